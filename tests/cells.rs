//! What cells may rely on: true gradients, true ends, variables that stay.
#![allow(clippy::expect_used, clippy::unwrap_used)]

use candlewick_tests::{candlewick, run};

/// With a = 2, b = 3, x = 5, each made in a cell of its own, (ax + b)² has the derivatives 2(ax + b)x = 130 and
/// 2(ax + b) = 26. Linked into each cell, candle numbers the tensors of every cell from 1 and gives 208 and 208.
#[test]
fn gradients_are_right_across_cells() {
    let ran = run(&[
        "use candlewick::prelude::*;",
        "let a = Var::new(2f32, &Device::Cpu)?;",
        "let b = Var::new(3f32, &Device::Cpu)?;",
        "let x = Tensor::new(5f32, &Device::Cpu)?;",
        "let y = (a.as_tensor() * &x)?.add(&b)?.sqr()?;\nlet gradients = y.backward()?;",
        "let of = |v: &Var| gradients.get(v).ok_or(\"no gradient\").and_then(|g| g.to_scalar::<f32>().map_err(|_| \"no scalar\"));\n\
         println!(\"{} {}\", of(&a)?, of(&b)?);",
    ]);
    // The last cell keeps a closure, which cannot be: it must be told so, and not run.
    assert_eq!(ran.output.status.code(), Some(1), "{}", ran.said());
    assert!(ran.text(5).contains("closure"), "{}", ran.text(5));

    let ran = run(&[
        ":dep candle-core = \"0.11.1\"\nuse candlewick::prelude::*;",
        "let a = Var::new(2f32, &Device::Cpu)?;",
        "let b = candle_core::Var::new(3f32, &Device::Cpu)?;",
        "let x = Tensor::new(5f32, &Device::Cpu)?;",
        "let y = (a.as_tensor() * &x)?.add(&b)?.sqr()?;\nlet gradients = y.backward()?;",
        "for v in [&a, &b] {\n    let gradient = gradients.get(v).ok_or(\"no gradient\")?;\n    println!(\"{}\", gradient.to_scalar::<f32>()?);\n}",
    ]);
    assert!(ran.output.status.success(), "{}", ran.said());
    assert_eq!(ran.text(5), "130\n26\n");
    assert!(ran.text(0).contains("candlewick's own"), "a second candle is refused aloud: {}", ran.text(0));
}

#[test]
fn every_bad_end_is_told_and_variables_survive_what_they_can() {
    let ran = run(&[
        "let kept = vec![1, 2, 3];\nlet number = 4;",
        "# raises\nlet lost = 1;\n\nassert_eq!(kept.len(), 4, \"four wanted\");",
        "# raises\nlet parsed: i32 = \"x\".parse()?;",
        "# raises\nlet wrong: u8 = 300u16;\nlet other = undefined();",
        "# raises\nlet open = \"...",
        "# raises\nstd::thread::spawn(|| panic!(\"in a thread\")).join().map_err(|_| \"the thread panicked\")?;",
        "print!(\"no newline, \"); eprint!(\"nor here\");",
        "let moved = kept;",
        "# raises\nkept.len()",
        "fn double(x: i32) -> i32 {\n    x * 2\n}\nstruct Point { x: i32 }\nlet point = Point { x: double(number) };",
        "moved.len() as i32 + point.x",
        "let kept = moved.len();\nlet (mut left, right) = (kept, \"text\".to_owned());\nleft += 1;",
        "left += 1;\nprintln!(\"{left} {right} {kept}\");",
        "# raises\n\nlet open = (2;",
        "# raises\nstruct Dumb;\nDumb",
        "let v: Vec<i32> = vec![];\nv[3]",
    ]);
    let end = |index: usize| ran.text(index);
    assert!(end(1).contains("four wanted"), "{}", end(1));
    assert!(end(2).contains("invalid digit"), "{}", end(2));
    assert!(end(3).contains("mismatched types"), "{}", end(3));
    assert!(end(4).contains("unterminated"), "{}", end(4));
    assert!(end(5).contains("the thread panicked"), "{}", end(5));
    assert_eq!(end(6).matches("no newline, ").count(), 1, "{}", end(6));
    assert!(end(6).contains("nor here"));
    assert!(end(8).contains("kept"), "{}", end(8));
    assert_eq!(end(10), "11");
    assert_eq!(end(12), "5 text 3\n");
    assert_eq!(ran.output.status.code(), Some(1));
    assert!(end(13).contains("delimiter") && end(13).contains("line 2"), "{}", end(13));
    assert!(end(14).contains("derive(Debug)"), "{}", end(14));
    for end in [end(13), end(14)] {
        assert!(!end.contains("candlewick"), "code that nobody has written: {end}");
    }
    assert!(end(15).contains("index out of bounds"), "{}", end(15));
    assert!(end(2).contains("line 1"), "the line of the `?`: {}", end(2));
    assert!(ran.said().contains("line 2"), "the panic's line: {}", ran.said());
}

/// Each of these made evcxr wait for ever, or lost what was printed.
#[test]
fn whatever_is_printed_is_shown_in_order_and_hangs_nothing() {
    let ran = run(&[
        "use std::io::Write;\nfor step in 0..3 { print!(\"{step}\"); std::io::stdout().flush()?; }",
        "std::io::stdout().write_all(b\"\\xff\\x00|\")?;\nprint!(\"\\u{1}candlewick no message\");",
        "println!(\"{}\", \"x\".repeat(1 << 20));",
        "std::thread::spawn(|| { for n in 0..1000 { println!(\"{n}\"); } }).join().map_err(|_| \"panicked\")?;",
        "std::thread::spawn(|| loop {\n    print!(\"late\");\n    std::io::stdout().flush().ok();\n    std::thread::sleep(std::time::Duration::from_micros(50));\n});",
        "# raises\nlet wrong: u8 = \"while it prints\";",
        "std::thread::spawn(|| for _ in 0..1000 { std::io::stdout().write_all(b\"\\xff\\n\").ok(); std::thread::sleep(std::time::Duration::from_micros(300)); });",
        "println!(\"EVCXR_EXECUTION_COMPLETE\");\nprint!(\"EVCXR_EXECUTION_COMPLETE\");",
        "println!(\"end\");",
        "print!(\"last words\");\neprintln!(\"and these\");\nstd::io::stdout().flush()?;\nstd::process::abort();",
    ]);
    assert_eq!(ran.text(0), "012");
    assert_eq!(ran.text(1), "\u{fffd}\0|\u{1}candlewick no message");
    assert_eq!(ran.text(2).len(), (1 << 20) + 1);
    let numbers: String = (0..1000).map(|n| format!("{n}\n")).collect();
    assert_eq!(ran.text(3), numbers);
    assert!(ran.text(5).contains("mismatched types"), "{}", ran.text(5));
    let told = ran.text(7).replace("late", "").replace("\u{fffd}\n", "");
    assert_eq!(told, "EVCXR_EXECUTION_COMPLETE\n".repeat(2).trim_end());
    assert!(ran.text(8).replace("late", "").contains("end\n"), "{}", ran.text(8));
    let last = ran.text(9).replace("late", "");
    assert!(last.contains("last words") && last.contains("and these"), "{last}");
    assert_eq!(ran.output.status.code(), Some(1));
}

#[test]
fn a_backtrace_is_there_on_request() {
    let ran = run(&[
        "#[inline(never)]\nfn deep(list: &[i32]) -> i32 { list[7] }",
        "# raises\ndeep(&[]);",
        "candlewick::notebook::show_backtraces(true);",
        "# raises\ndeep(&[]);",
    ]);
    let trace = |index: usize| ran.notebook["cells"][index]["outputs"][0]["traceback"].to_string();
    assert!(!trace(1).contains("ctx::deep") && trace(3).contains("ctx::deep"), "{} {}", trace(1), trace(3));
}

/// Where nobody is there to answer, input is at its end.
#[test]
fn reading_input_without_a_person_ends() {
    let ran = run(&[
        "let mut line = String::new();\nlet read = std::io::stdin().read_line(&mut line)?;\nread",
        "candlewick::notebook::input(\"name? \")",
    ]);
    assert!(ran.output.status.success(), "{}", ran.said());
    assert_eq!((ran.text(0), ran.text(1)), ("0".to_owned(), "None".to_owned()));
}

#[test]
fn commands_that_would_break_the_session_are_refused_and_a_bad_cell_costs_no_variable() {
    let ran = run(&[
        "struct P { x: i32 }\nlet p = P { x: 1 };",
        "# raises\n:build_env RUSTFLAGS=-Copt-level=0",
        "# raises\n:restart",
        "# raises\nstruct P { x: i32, y: i32 }\nprintln!(\"{}\", not_there);",
        ":vars\nprintln!(\"{}\", p.x);",
        "struct P { x: i32, y: i32 }\nprintln!(\"new\");",
        "# raises\np.x",
        // What notebooks for the stock kernel often begin with.
        ":opt 3\n:cache 500\n:preserve_vars_on_panic 1\nprintln!(\"on\");",
    ]);
    assert!(ran.output.status.success(), "{}", ran.said());
    assert!(ran.text(1).contains("`:build_env` is not for this kernel") && ran.text(2).contains("`:restart`"));
    assert_eq!(ran.text(4), "let p: P\n1\n");
    assert!(ran.text(5).contains("defined anew") && ran.text(6).contains("cannot find value `p`"));
    assert!(
        ran.text(7).ends_with("on\n") && ran.text(7).matches("changes nothing here").count() == 3,
        "{}",
        ran.text(7)
    );
}

/// While one session opens, the current folder of the whole process is another one.
#[test]
fn notebooks_that_are_checked_side_by_side_each_see_their_own_folder() {
    let folder = tempfile::tempdir().unwrap();
    let output = |text: &str| serde_json::json!({"output_type": "stream", "name": "stdout", "text": [text]});
    for name in ["one", "two", "three"] {
        std::fs::create_dir(folder.path().join(name)).unwrap();
        std::fs::write(folder.path().join(name).join("here.txt"), name).unwrap();
        let cell = serde_json::json!({"cell_type": "code", "id": "a", "execution_count": 1, "metadata": {},
            "outputs": [output(name)], "source": "print!(\"{}\", std::fs::read_to_string(\"here.txt\")?);"});
        let notebook = serde_json::json!({"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5});
        std::fs::write(folder.path().join(name).join("in.ipynb"), notebook.to_string()).unwrap();
    }
    let ran = candlewick()
        .args(["check", "--jobs", "3", "--junit", "report.xml"])
        .args(["one/in.ipynb", "two/in.ipynb", "three/in.ipynb"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    assert!(std::fs::read_to_string(folder.path().join("report.xml")).unwrap().contains("three/in.ipynb"));
}

#[test]
fn an_unknown_dependency_is_named() {
    let ran = run(&["use candlewick::prelude::*;", "# raises\n:dep no_such_crate_of_candlewick = \"1\"", "1 + 1"]);
    assert!(ran.text(1).contains("no_such_crate_of_candlewick"), "{}", ran.text(1));
    assert_eq!(ran.text(2), "2");
}

#[test]
fn a_cell_that_kills_its_process_fails() {
    for killer in ["std::process::abort();", "std::process::exit(0);"] {
        let ran = run(&["let kept = 1;", killer, "kept"]);
        assert_eq!(ran.output.status.code(), Some(1), "{killer}: {}", ran.said());
        assert_eq!(ran.text(2), "", "cells behind it do not run");
    }
}

#[test]
fn what_cells_import_has_no_overflow_checks_and_cells_have_them() {
    let ran = run(&[
        "println!(\"{}\", candlewick::cell::has_debug_assertions());",
        "let n = std::hint::black_box(255u8);\nlet m = n + 1;",
    ]);
    assert_eq!(ran.text(0), "false\n");
    assert_eq!(ran.output.status.code(), Some(1));
    assert!(ran.text(1).contains("overflow"), "{}", ran.text(1));
}

/// Every cell is a crate of the same name to the compiler, which takes `P` for `P` whatever its fields are.
#[test]
fn a_type_defined_anew_takes_its_variables_with_it() {
    let ran = run(&[
        "struct P { x: i32 }\nlet p = P { x: 1 };\nlet ps = vec![P { x: 2 }];\nlet other = 3;",
        "struct P { x: String }\nlet other = other + 1;",
        "# raises\np.x.len() + ps[0].x.len()",
        "let p = P { x: \"again\".to_owned() };\nother",
        "p.x.len()",
    ]);
    assert!(ran.output.status.success(), "{}", ran.said());
    assert!(ran.text(1).contains("defined anew"), "{}", ran.text(1));
    assert!(ran.text(2).contains("cannot find value `p`"), "{}", ran.text(2));
    assert_eq!((ran.text(3), ran.text(4)), ("4".to_owned(), "5".to_owned()));
}

/// A `:dep` before it is a cell of its own to evcxr, which says nothing of what follows.
#[test]
fn a_refused_cell_defines_nothing_whatever_its_commands_did() {
    let ran = run(&[
        "struct P { n: [u64; 3] }",
        "# raises\n:dep candle-core\nstruct P { n: String }\nlet x: i32 = \"oops\";",
        "let p = P { n: [1, 2, 3] };",
        ":dep candle-core\nstruct P { n: String }\nlet y = 1;",
        "# raises\np.n.len()",
        "y",
    ]);
    assert!(ran.output.status.success(), "{}", ran.said());
    assert!(ran.text(1).contains("mismatched types"), "{}", ran.text(1));
    assert!(ran.text(3).contains("defined anew"), "{}", ran.text(3));
    assert!(ran.text(4).contains("cannot find value `p`"), "{}", ran.text(4));
    assert_eq!(ran.text(5), "1");
}

#[test]
fn a_variable_that_is_gone_gives_its_name_back() {
    let ran = run(&[
        "let p = 1;",
        // The name is no word of the cell, so that the kernel does not know what it does.
        "let name: String = [112u8 as char].iter().collect();\nlet n = candlewick::cell::take::<i32>(&name)?;",
        "# raises\nlet p = 2;",
        "let p = 3;",
        "p + n",
    ]);
    assert!(ran.output.status.success(), "{}", ran.said());
    assert!(ran.text(2).contains("`p` is gone"), "{}", ran.text(2));
    assert_eq!(ran.text(4), "4");
}

#[test]
fn content_that_breaks_off_takes_nothing_with_it() {
    let ran = run(&[
        "struct P;\nimpl P { fn evcxr_display(&self) { println!(\"EVCXR_BEGIN_CONTENT text/html\"); panic!(\"halfway\") } }",
        "# raises\nP",
        "1 + 1",
    ]);
    assert!(ran.output.status.success(), "{}", ran.said());
    assert!(ran.text(1).contains("halfway"), "{}", ran.text(1));
    assert_eq!(ran.text(2), "2");
}

#[test]
fn borrows_and_shadows_are_told_in_the_cells_own_words() {
    let ran = run(&[
        "let items = vec![1, 2, 3];\nlet x = 1;",
        "# raises\nlet first = &items[0];",
        "println!(\"{x}\");\nlet x = vec![1];\ndrop(x);",
        "# raises\nx",
        "items.len()",
    ]);
    assert!(ran.output.status.success(), "{}", ran.said());
    assert!(ran.text(1).contains("borrows from another value") && ran.text(1).contains("line 1"), "{}", ran.text(1));
    let told = ran.notebook["cells"][1]["outputs"][0]["traceback"].to_string();
    assert!(told.contains("let first = &items[0];") && told.contains("clone"), "{told}");
    assert!(
        ran.text(3).contains("cannot find value `x`"),
        "the new x is used up, and the old one is not back: {}",
        ran.text(3)
    );
    assert_eq!(ran.text(4), "3");
}

/// What the compiler finds only when it makes code.
#[test]
fn what_making_code_finds_is_told_of_the_cells_own_lines() {
    let ran = run(&[
        "# raises\nlet d = 0;\nprintln!(\"{}\", 10 / d);",
        "# raises\nlet n = i32::MAX;\nn + 1",
        "# raises\nlet a = 1;\nfn bad() -> i32 { let d = 0; 1 / d }\nlet b = 2;\nprintln!(\"{a}{b}\");",
        "# raises\nfn f<const N: usize>() -> usize { const { assert!(N > 0) }; N }\n\nlet x = f::<0>();",
        "6 * 7",
    ]);
    assert!(ran.output.status.success(), "{}", ran.said());
    for (index, message, line) in [
        (0, "this operation will panic at runtime", "(line 2)"),
        (1, "this arithmetic operation will overflow", "(line 2)"),
        (2, "this operation will panic at runtime", "(line 2)"),
        (3, "assertion failed: N > 0", "(line 1)"),
    ] {
        let text = ran.text(index);
        assert!(text.contains(message) && text.contains(line), "{index}: {text}");
        let told = ran.notebook["cells"][index]["outputs"].to_string();
        assert!(!told.contains("candlewick"), "code that nobody has written: {told}");
    }
    assert_eq!(ran.text(4), "42");
}

/// Neither can a later cell name, whatever it is about.
#[test]
fn a_type_that_no_later_cell_can_name_spoils_none() {
    let ran = run(&[
        "# raises\nlet model = { #[derive(Debug)] struct Net { w: f32 } Net { w: 1.0 } };",
        "// the model is fine\nlet model = 1;\nmacro_rules! made { ($n:ident) => { struct $n { a: i32 } } }",
        "# raises\nmade!(Foo);\nlet foo = Foo { a: 1 };",
        "// the foo is fine\nmodel",
        "mod m {\n    mod inner {\n        #[derive(Debug)]\n        pub struct T;\n    }\n    pub fn t() -> inner::T { inner::T }\n}\nlet t = m::t();",
        "// the t is fine\nlet t = 2;",
        "t",
        "struct Q { x: i32 }\nlet q = Q { x: 5 };",
        "q.x",
        "let u = m::t();",
        // What is defined anew is looked at before anything else is.
        "// the u is fine\nstruct Q { y: i32 }\nlet u = 3;",
        "u",
    ]);
    assert!(ran.output.status.success(), "{}", ran.said());
    assert!(ran.text(10).contains("`u` went: no cell can name its type"), "{}", ran.text(10));
    assert_eq!(ran.text(11), "3");
    assert!(ran.text(0).contains("`model` is a `Net`, a type from inside a block"), "{}", ran.text(0));
    assert!(ran.text(2).contains("`foo` is a `Foo`, a type from inside a block or a macro"), "{}", ran.text(2));
    assert_eq!((ran.text(3).as_str(), ran.text(6).as_str(), ran.text(8).as_str()), ("1", "2", "5"));
    assert!(ran.text(5).contains("`t` went: no cell can name its type"), "{}", ran.text(5));
}

/// As notebooks for the stock kernel often begin.
#[test]
fn what_is_said_of_the_whole_file_is_taken_as_it_is() {
    let ran = run(&[
        "#![allow(unused)]\n//! Words.\nlet a = 1;\na",
        "#![deny(warnings)]\n#![allow(arithmetic_overflow)]\nfn f() -> u8 { 255u8 + 1 }\na",
        "# raises\n#![allow(unused)]\n\nlet b: u8 = \"\";",
        "# raises\n#![feature(never_type)]\n1",
        "a",
    ]);
    assert!(ran.output.status.success(), "{}", ran.said());
    assert_eq!(ran.text(0), "1");
    assert!(ran.text(1).starts_with("`#![deny(warnings)]` changes nothing here") && ran.text(1).ends_with("\n1"));
    assert!(ran.text(2).contains("mismatched types (line 3)"), "{}", ran.text(2));
    assert!(ran.text(3).contains("may not be used on the stable release channel"), "{}", ran.text(3));
    assert_eq!(ran.text(4), "1");
}

/// It may be a value, a statement or an item.
#[test]
fn a_macro_in_braces_is_shown_only_where_it_has_a_value() {
    let ran = run(&[
        "use std::cell::Cell;\nthread_local! { static K: Cell<i32> = const { Cell::new(3) }; }",
        "macro_rules! made { ($n:ident) => { struct $n; } }\nmade! { Foo }",
        "vec! { 1, 2 }",
        "# raises\nundefined! { 1 }",
        "# raises\nK",
    ]);
    assert!(ran.output.status.success(), "{}", ran.said());
    assert_eq!((ran.text(0).as_str(), ran.text(1).as_str(), ran.text(2).as_str()), ("", "", "[1, 2]"));
    assert!(ran.text(3).contains("cannot find macro `undefined`"), "{}", ran.text(3));
    let told = ran.notebook["cells"][4]["outputs"].to_string();
    assert!(told.contains("E0425") && !told.contains("candlewick"), "code that nobody has written: {told}");
}

#[test]
fn a_bracket_too_many_is_no_earlier_cells() {
    let ran = run(&["struct P<T> { x: T, y: i32 }", "# raises\n}", "# raises\nlet x = (1;"]);
    assert!(ran.output.status.success(), "{}", ran.said());
    for index in [1, 2] {
        let told = ran.notebook["cells"][index]["outputs"][0]["traceback"].to_string();
        assert!(told.contains("delimiter") && !told.contains("struct P"), "{told}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_folder_that_is_gone_is_no_missing_compiler() {
    let folder = tempfile::tempdir().unwrap();
    let cell = serde_json::json!({"cell_type": "code", "id": "a", "execution_count": null, "metadata": {}, "outputs": [],
        "source": "1"});
    let notebook = serde_json::json!({"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5});
    std::fs::write(folder.path().join("in.ipynb"), notebook.to_string()).unwrap();
    std::fs::create_dir(folder.path().join("gone")).unwrap();
    let ran = std::process::Command::new("sh")
        .args([
            "-c",
            "cd \"$1/gone\" && rmdir \"$1/gone\" && exec \"$2\" run \"$1/in.ipynb\" --output \"$1/out.ipynb\"",
            "sh",
        ])
        .args([folder.path().as_os_str(), candlewick().get_program()])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ran.stderr);
    assert!(!ran.status.success() && said.contains("is gone") && !said.contains("Rust compiler"), "{said}");
}

/// Names that Rust people define every day, and a crate that comes along the way.
#[test]
fn own_results_and_added_crates_leave_the_session_whole() {
    let ran = run(&[
        "type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;\n\
         #[derive(Debug)]\nstruct Point { x: i32 }\nlet point = Point { x: 1 };",
        "fn parsed(text: &str) -> Result<i32> {\n    Ok(text.parse()?)\n}\nlet seven = parsed(\"7\")?;",
        ":dep itoa = \"1\"",
        "println!(\"{} {}\", itoa::Buffer::new().format(point.x), seven);",
        "extern crate fastrand;\nlet below = fastrand::u8(..1);",
        "let (a, b) = (below, point.x);\nprintln!(\"{a} {b}\");",
        "# raises\nasync fn answer() -> i32 {\n    42\n}\nanswer().await",
    ]);
    assert!(ran.output.status.success(), "{}", ran.said());
    assert_eq!((ran.text(3).as_str(), ran.text(5).as_str()), ("1 7\n", "0 1\n"));
    assert!(ran.text(6).contains("E0728"), "{}", ran.text(6));
    assert!(ran.said().contains("block_on"), "{}", ran.said());
    assert!(!ran.said().contains("candlewick_cell"), "code that nobody has written: {}", ran.said());
}

/// By what a manifest calls it, and by what its own manifest calls its library.
#[test]
fn crates_go_by_the_names_that_cargo_gives_them() {
    let crates = tempfile::tempdir().unwrap();
    let write = |name: &str, library: &str| {
        let folder = crates.path().join(name);
        std::fs::create_dir_all(folder.join("src")).unwrap();
        let package =
            format!("[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n{library}[workspace]\n");
        std::fs::write(folder.join("Cargo.toml"), package).unwrap();
        std::fs::write(folder.join("src/lib.rs"), "pub fn seven() -> i32 { 7 }").unwrap();
        folder.display().to_string()
    };
    let (renamed, other) = (write("lib-one", ""), write("lib-two", "[lib]\nname = \"two\"\n"));
    let ran = run(&[
        &format!(":dep uno = {{ package = \"lib-one\", path = {renamed:?} }}"),
        "let x = uno::seven();",
        &format!(":dep lib-two = {{ path = {other:?} }}"),
        "let y = two::seven() + x;\ny",
    ]);
    assert!(ran.output.status.success(), "{}", ran.said());
    assert_eq!(ran.text(3), "14");
}

/// Under another name candle is still the one of the notebook.
#[test]
fn candle_by_another_name_is_the_same() {
    let ran = run(&[
        "use candlewick::candle_core::{Device, Tensor, Var};\nlet v = Var::new(2f64, &Device::Cpu)?;",
        ":dep again = { package = \"candle-core\", version = \"*\" }",
        "let t: again::Tensor = v.as_tensor().sqr()?;\n\
         let slope = t.backward()?.get(v.as_tensor()).unwrap().to_scalar::<f64>()?;\nslope",
        "# raises\n:dep other = { package = \"candle-core\", version = \"*\" }",
        "slope + 1.0",
    ]);
    assert!(ran.output.status.success(), "{}", ran.said());
    assert_eq!(ran.text(2), "4.0");
    assert!(ran.text(3).contains("multiple times with different names"), "cargo's own word: {}", ran.text(3));
    assert_eq!(ran.text(4), "5.0");
}

#[test]
fn a_second_candle_is_refused_and_costs_nothing() {
    let ran = run(&[
        "let x = 2;",
        "# raises\n:dep older = { package = \"candle-core\", version = \"=0.10.2\" }",
        "use candlewick::candle_core::{Device, Tensor};\nTensor::new(1f32, &Device::Cpu)?.to_scalar::<f32>()? + x as f32",
        // It brings its own.
        "# raises\n:dep candle-datasets = \"=0.10.2\"",
        ":dep itoa = \"1\"\nitoa::Buffer::new().format(x).len()",
    ]);
    assert!(ran.output.status.success(), "{}", ran.said());
    for refused in [1, 3] {
        let told = ran.text(refused);
        assert!(told.contains("would have candle-core 0.10.2 compiled once more"), "{told}");
    }
    assert_eq!((ran.text(2), ran.text(4)), ("3.0".into(), "1".into()));
}

#[test]
fn a_program_that_a_cell_starts_meets_the_end_of_its_input() {
    let ran = run(&["std::process::Command::new(\"cat\").status()?.success()"]);
    assert!(ran.output.status.success(), "{}", ran.said());
    assert_eq!(ran.text(0), "true");
}

#[test]
fn only_what_ends_a_cell_is_its_result() {
    let ran = run(&[
        "struct P(i32);\nimpl P { fn evcxr_display(&self) { \
         println!(\"EVCXR_BEGIN_CONTENT text/plain\\n{}\\nEVCXR_END_CONTENT\", self.0) } }",
        "P(1).evcxr_display();\nP(2).evcxr_display();\nP(3)",
    ]);
    assert!(ran.output.status.success(), "{}", ran.said());
    let kinds = ran.notebook["cells"][1]["outputs"].as_array().unwrap().iter().map(|output| &output["output_type"]);
    assert_eq!(kinds.collect::<Vec<_>>(), ["display_data", "display_data", "execute_result"]);
    assert_eq!(ran.text(1), "123");
}

/// Each of these left every later cell without an end.
#[cfg(unix)]
#[test]
fn a_cell_may_close_and_redirect_its_streams() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("kept.txt");
    let to_file = format!(
        "unsafe extern \"C\" {{ fn dup2(from: i32, to: i32) -> i32; }}\nuse std::os::fd::AsRawFd;\n\
         let file = std::fs::File::create({file:?})?;\nunsafe {{ dup2(file.as_raw_fd(), 1); dup2(file.as_raw_fd(), 2); }}\n\
         println!(\"to the file\");"
    );
    let ran = run(&[
        "use std::io::Write;\nuse std::os::fd::FromRawFd;",
        "{ let mut out = unsafe { std::fs::File::from_raw_fd(1) }; writeln!(out, \"by number\")?; }",
        "println!(\"after closing\"); eprintln!(\"errors, too\");",
        &to_file,
        "println!(\"after redirecting\"); eprintln!(\"errors, too\");",
    ]);
    assert!(ran.output.status.success(), "{}", ran.said());
    assert_eq!(ran.text(1), "by number\n");
    assert!(ran.text(2).contains("after closing") && ran.text(2).contains("errors, too"), "{}", ran.text(2));
    assert!(ran.text(4).contains("after redirecting") && ran.text(4).contains("errors, too"), "{}", ran.text(4));
    assert_eq!(std::fs::read_to_string(file).unwrap(), "to the file\n");
}

#[test]
fn a_panic_is_told_whatever_hook_there_is() {
    let ran = run(&[
        "# raises\nlet _ = std::panic::catch_unwind(|| panic!(\"inner, caught\"));\nstd::panic::set_hook(Box::new(|_| {}));\npanic!(\"outer\");",
        "# raises\nlet i = 7;\nassert_eq!(i, 8, \"seven is not eight\");",
        "let _ = std::thread::spawn(|| panic!(\"beside\")).join();",
    ]);
    assert!(ran.text(0).contains("outer") && !ran.text(0).contains("inner"), "{}", ran.text(0));
    assert!(ran.text(1).contains("seven is not eight") && ran.said().contains("line 2"), "{}", ran.text(1));
    assert!(!ran.text(2).contains("beside"), "the cell's own hook is silent: {}", ran.text(2));
}

#[test]
fn a_panic_that_ends_the_process_is_told() {
    let ran = run(&["extern \"C\" fn callback() { panic!(\"inside the callback\") }\ncallback();"]);
    assert!(ran.text(0).contains("inside the callback"), "{}", ran.text(0));
    let ran = run(&[
        "struct Bad;\nimpl Drop for Bad { fn drop(&mut self) { panic!(\"while dropping\") } }\nlet _bad = Bad;\npanic!(\"first\");",
    ]);
    assert!(ran.text(0).contains("while dropping"), "{}", ran.text(0));
}

#[test]
fn a_panic_beside_the_cell_is_told_without_a_backtrace() {
    let ran = run(&[
        "let _ = std::thread::Builder::new().name(\"loader\".into()).spawn(|| {\n    panic!(\"beside the cell\");\n})?.join();",
    ]);
    assert_eq!(ran.text(0), "The thread loader panicked: beside the cell (line 2)\n");
}

/// Where the child is not ended by the cell, it would go on as a second process of the notebook's.
#[cfg(unix)]
#[test]
fn a_forked_child_ends_with_its_cell() {
    let ran = run(&[
        "unsafe extern \"C\" { fn fork() -> i32; fn wait(status: *mut i32) -> i32; }\n\
         let child = unsafe { fork() };\nif child != 0 { let mut status = 1; unsafe { wait(&mut status) }; println!(\"ended: {status}\"); }",
        "println!(\"next\");",
    ]);
    assert!(ran.output.status.success(), "{}", ran.said());
    assert_eq!((ran.text(0), ran.text(1)), ("ended: 0\n".to_owned(), "next\n".to_owned()));
}
