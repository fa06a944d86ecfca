//! Cells taken apart, and what evcxr and the compiler are given of them.
#![allow(clippy::unwrap_used)]

use super::*;

fn kept(names: &[&str]) -> Variables {
    let variable = || Variable { type_name: "i32".into(), mutable: false, is_pointer: false };
    names.iter().map(|name| ((*name).to_owned(), variable())).collect()
}

#[test]
fn bindings_of_every_kind_of_pattern_are_found() {
    for (code, want) in [
        ("let a = 1;", "a"),
        ("let (a, mut b) = f();", "a mut b"),
        ("let P { x, y: z, .. } = p;", "x z"),
        ("let [first, .., last] = v;", "first last"),
        ("let Some(a) = o else { let inner = 1; panic!() };", "a"),
        ("let w @ (a, _) = p; { let inner = 1; }", "a w"),
        ("let _ = 1; if let Some(q) = o {}", ""),
        ("let a: Vec<_> = x.iter().map(|y| y).collect();", "a"),
    ] {
        let cell = Cell::parse(code).unwrap();
        let names: Vec<_> =
            cell.bound.iter().map(|(name, mutable)| format!("{}{name}", if *mutable { "mut " } else { "" })).collect();
        assert_eq!(names.join(" "), want, "{code}");
    }
}

#[test]
fn commands_are_lines_of_their_own_and_no_part_of_a_string_or_comment() {
    for (code, commands, text) in [
        (":dep a = \"1\"\n:vars\nlet b = 1;\n:vars", &[":dep a = \"1\"", ":vars", ":vars"][..], "\n\nlet b = 1;\n\n"),
        ("let s = \"a\n:vars\nb\"; s", &[], "let s = \"a\n:vars\nb\"; s"),
        ("r#\"\n:vars\n\"#\n:vars\n", &[":vars"], "r#\"\n:vars\n\"#\n\n"),
        ("/*\n:vars\n/*\n:dep x\n*/\n:vars */ 1", &[], "/*\n:vars\n/*\n:dep x\n*/\n:vars */ 1"),
        ("// '\n:vars\n1", &[":vars"], "// '\n\n1"),
        (":load don't \"stop\n:vars\n\"é\"", &[":load don't \"stop", ":vars"], "\n\n\"é\""),
        ("::std::mem::drop(1)\n :vars\n:Upper", &[], "::std::mem::drop(1)\n :vars\n:Upper"),
    ] {
        let (found, left) = split_commands(code);
        assert_eq!(
            (found.iter().map(String::as_str).collect::<Vec<_>>(), left.as_str()),
            (commands.to_vec(), text),
            "{code}"
        );
    }
}

#[test]
fn lines_keep_their_numbers() {
    let code = ":dep x = \"1\"\nuse a::b;\nlet é = 1;\nfn f() {\n  2\n}\né + f()";
    let cell = Cell::parse(code).unwrap();
    assert_eq!(cell.commands, [":dep x = \"1\""]);
    let wrapped = cell.wrapped(1, &Variables::new(), &Moved::default(), &BTreeSet::new());
    let lines: Vec<_> = wrapped.lines().collect();
    assert_eq!(lines[3], "let é = 1;");
    assert!(lines[7].starts_with("match &(é + f()) { candlewick_value => "), "{wrapped}");
    assert!(wrapped.ends_with("use a::b;\nfn f() {\n  2\n}\n"), "{wrapped}");
    let (new, old) = cell.keeping_lines();
    let of: Vec<_> = (1..=lines.len()).map(|line| cell.line_of(line)).collect();
    let places = [None, Some(1), Some(2), Some(3), Some(4), Some(5), Some(6), Some(7), None, None];
    assert_eq!(of, [&places[..], &[Some(2), Some(4), Some(5), Some(6)]].concat(), "{wrapped}");
    assert!(lines[new - 1].contains("put(\"é\", é)") && lines[old - 1].contains("candlewick_ended }"), "{wrapped}");
}

#[test]
fn what_is_said_of_the_whole_file_stands_before_everything() {
    let code =
        "//! Words.\n#![allow(\n    unused, // all\n    dead_code\n)]\n#![deny(warnings)]\nlet é = 1;\nfn f() {}";
    let cell = Cell::parse(code).unwrap();
    assert_eq!(
        (cell.attributes.as_str(), &cell.ignored[..]),
        ("#![allow( unused, dead_code )] ", &["#![deny(warnings)]".to_owned()][..])
    );
    let wrapped = cell.wrapped(1, &Variables::new(), &Moved::default(), &BTreeSet::new());
    assert!(wrapped.starts_with("#![allow( unused, dead_code )] (::candlewick::cell::run)"), "{wrapped}");
    assert_eq!(wrapped.lines().nth(7), Some("let é = 1;"), "{wrapped}");
    assert!(wrapped.ends_with("\nfn f() {}\n"), "{wrapped}");
    assert!(Cell::parse("#![allow(unused)]").is_ok_and(|cell| !cell.is_empty()));
    assert!(Cell::parse("let a = 1;\n#![allow(unused)]").is_err());
}

#[test]
fn only_variables_that_are_mentioned_are_taken_and_moved_ones_do_not_come_back() {
    let cell = Cell::parse("println!(\"{a}\"); drop(b);").unwrap();
    let moved = Moved { old: BTreeSet::from(["b".to_owned()]), ..Moved::default() };
    let wrapped = cell.wrapped(1, &kept(&["a", "b", "c"]), &moved, &BTreeSet::new());
    assert!(wrapped.contains("take::<i32>(\"a\")") && wrapped.contains("take::<i32>(\"b\")"));
    assert!(!wrapped.contains("\"c\""));
    assert!(wrapped.contains("{ ::candlewick::cell::put_back(\"a\", a); }") && !wrapped.contains("put_back(\"b\""));
}

#[test]
fn what_ends_a_cell_is_shown_only_without_semicolon() {
    for (code, shown) in [("a", true), ("a;", false), ("f(x)?", true), ("vec![1]", true), ("for i in 0..3 {}", true)] {
        let wrapped = Cell::parse(code).unwrap().wrapped(1, &Variables::new(), &Moved::default(), &BTreeSet::new());
        assert_eq!(wrapped.contains("candlewick_value.evcxr_display();"), shown, "{code}");
    }
}

#[test]
fn what_items_define_is_known_by_name() {
    let cell =
        Cell::parse("use a::{b, c as d, e::*};\nstruct P { x: i32 }\nimpl P {}\nextern crate f as g;\nlet x = 1;")
            .unwrap();
    let names: Vec<_> = cell.definitions.into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["b", "d", "P", "g"]);
}

#[test]
fn what_is_not_rust_is_left_to_the_compiler() {
    assert!(Cell::parse("let = ;").is_err());
    assert!(Cell::parse("let s = \"open").is_err());
    assert!(Cell::parse("").unwrap().is_empty() && Cell::parse("\n:vars\n").unwrap().is_empty());
}

#[test]
fn impls_that_stand_alone_have_constants_part_by_part() {
    let code = "impl<T> Net<T> {\n    /// Words.\n    fn a(&self) {}\n    const B: u8 = 1;\n}\nimpl Drop for Net<u8> {\n    fn drop(&mut self) {}\n}\nstruct Net<T>(T);\nimpl Net<i8> { fn c() {} }";
    let cell = Cell::parse(code).unwrap();
    let impls = &cell.impls;
    let about: Vec<_> = impls.iter().map(|one| (one.header.as_str(), one.is_part, one.behind.as_deref())).collect();
    assert_eq!(
        about,
        [
            ("impl<T> Net<T>", true, None),
            ("impl<T> Net<T>", true, None),
            ("impl Drop for Net<u8>", false, None),
            ("impl Net<i8>", true, Some("Net")),
        ]
    );
    let wrapped = cell.wrapped(1, &Variables::new(), &Moved::default(), &[impls[3].name.clone()].into());
    let lines: Vec<&str> = wrapped.lines().collect();
    let at = |text: &str| 1 + lines.iter().position(|line| line.contains(text)).unwrap();
    assert!(lines[at("fn a(&self)") - 2].ends_with(": () = { impl<T> Net<T> { /// Words."), "{wrapped}");
    for (text, line) in [("fn a(", 3), ("const B: u8", 4), ("fn drop(", 7), ("struct Net", 9), ("fn c()", 10)] {
        assert_eq!(cell.line_of(at(text)), Some(line), "{text}");
        assert_eq!(cell.line_of_item(&wrapped, at(text)), Some(line), "{text}");
    }
    let items = wrapped.split_once("candlewick_ended });\n").unwrap().1;
    let free = freed(items);
    assert!(free.lines().count() == items.lines().count() && !free.contains("CANDLEWICK"), "{free}");
    let impls_of = |source: &str| {
        let file = syn::parse_file(source).unwrap();
        file.items.iter().filter(|item| matches!(item, Item::Impl(_))).count()
    };
    assert_eq!((impls_of(items), impls_of(&free)), (1, 4));
    // What stood alone before, and stands behind its type now, makes room.
    assert!(wrapped.ends_with(&format!("const {}: () = ();\n", impls[3].name)), "{wrapped}");
    let again = Cell::parse("impl<T>  Net<T> {\n\n fn a(&self) { self.b() } }").unwrap();
    assert_eq!(again.impls[0].name, impls[0].name);
    assert_ne!(impls[0].name, impls[1].name);
}

#[test]
fn what_a_type_is_made_of_begins_a_path() {
    assert_eq!(first_words("std::vec::Vec<net::Layer<'a, Net>>"), ["std", "net", "a", "Net"]);
    assert_eq!(first_words("(i32, [Net; 3])"), ["i32", "Net", "3"]);
    assert!(is_plain_function("fn f() {}") && !is_plain_function("const fn f() {}") && !is_plain_function("struct F;"));
    let source = "use a::B;\nstruct C;\nimpl C {}\nfn d() {\n}\nimpl X {}\n";
    let without = |names: &[&str]| without_items(source, &names.iter().map(|name| (*name).to_owned()).collect());
    assert_eq!(without(&["C"]).split_whitespace().collect::<Vec<_>>().join(" "), "use a::B; fn d() { } impl X {}");
    assert_eq!(without(&["C", "d"]).lines().count(), source.lines().count());
}
