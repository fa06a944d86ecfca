//! What becomes of variables, functions and `impl`s where cells define something again, and what is said of it.
#![allow(clippy::expect_used, clippy::unwrap_used)]

use candlewick_tests::run;

const NET: &str = "#[derive(Debug)]\nstruct Net { w: Vec<f32> }\nlet net = Net { w: vec![1.0] };";

/// A helper function that is mended, or an import, costs no model.
#[test]
fn a_variable_goes_only_where_its_type_may_have_changed() {
    let ran = run(&[
        NET,
        "use std::collections::hash_map::HashMap;\nfn helper(x: f32) -> f32 { x }\nstruct Other { a: i32 }",
        "fn helper(x: f32) -> f32 { x * 2.0 }",
        "use std::collections::HashMap;\nstruct Other { b: i32 }",
        "struct Holds { net: Net }\nlet holds = Holds { net: Net { w: vec![] } };\nlet kept = (helper(net.w[0]), net.w.len());",
        "#[derive(Debug)]\nstruct Net { w: Vec<f64> }",
        "# raises\nholds.net.w.len()",
        "kept",
    ]);
    assert!(ran.output.status.success(), "{}", ran.said());
    assert_eq!((ran.text(2).as_str(), ran.text(3).as_str(), ran.text(7).as_str()), ("", "", "(2.0, 1)"));
    // What holds a `Net` is another type as well.
    assert!(ran.text(5).contains("`holds`, `net` went") || ran.text(5).contains("`holds`, `net`"), "{}", ran.text(5));
    assert!(ran.text(6).contains("E0425"), "{}", ran.text(6));
}

/// What no longer fits is named, nothing goes, and nothing is said to have gone.
#[test]
fn a_definition_that_breaks_an_earlier_one_is_refused_with_its_name() {
    let ran = run(&[
        NET,
        "fn square(x: i32) -> i32 { x * x }\nfn fourth(x: i32) -> i32 {\n    square(square(x))\n}",
        "# raises\n#[derive(Debug)]\nstruct Net { w: u8 }\nfn square(x: i32) -> i64 { (x * x) as i64 }",
        "fourth(2) + net.w.len() as i32",
        "fn square(x: i32) -> i64 { (x * x) as i64 }\nfn fourth(x: i32) -> i64 { square(square(x) as i32) }",
        "fourth(2)",
    ]);
    assert!(ran.output.status.success(), "{}", ran.said());
    let told = ran.text(2) + &ran.traceback(2);
    assert!(
        told.contains("this breaks `fourth` of an earlier cell") && told.contains("define it in this cell, too"),
        "{told}"
    );
    assert!(!told.contains("went") && !told.contains("lib.rs"), "{told}");
    assert_eq!((ran.text(3).as_str(), ran.text(5).as_str()), ("17", "16"));
}

/// As "Run all" twice, or a cell that is edited and run again.
#[test]
fn a_cell_of_impls_can_be_run_again() {
    let methods =
        "impl Net {\n    fn len(&self) -> usize { self.w.len() }\n    fn twice(&self) -> usize { 2 * self.len() }\n}";
    let shown = "impl std::fmt::Display for Net {\n    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result { write!(f, \"one\") }\n}";
    let ran = run(&[
        NET,
        methods,
        methods,
        shown,
        &shown.replace("one", "two"),
        "impl Net {\n    fn thrice(&self) -> usize { 3 * self.len() }\n}",
        &methods.replace("2 *", "20 *"),
        "(net.twice(), net.thrice(), net.to_string())",
        "# raises\nimpl Net {\n    fn wrong(&self) -> usize { 1 }\n    fn other(&self) -> usize { \"no\" }\n}",
        // All in one cell: what stood alone makes room.
        &format!("struct Net {{ w: Vec<f32> }}\n{methods}\nlet net = Net {{ w: vec![] }};"),
        "net.twice()",
        "# raises\nstruct Net { other: u8 }\nimpl Net { fn len(&self) -> u8 { self.other } }",
    ]);
    assert!(ran.output.status.success(), "{}", ran.said());
    let told = ran.text(11) + &ran.traceback(11);
    assert!(told.contains("this breaks `impl Net` of an earlier cell") && !told.contains("CANDLEWICK"), "{told}");
    assert_eq!(ran.text(7), "(20, 3, \"two\")");
    assert!(ran.text(8).contains("line 3"), "{}", ran.text(8));
    assert_eq!(ran.text(10), "0");
}

#[test]
fn impls_that_go_with_their_definition_are_named() {
    let ran =
        run(&["struct A { x: i32 }\nimpl A {\n    fn g(&self) -> i32 { self.x }\n}", "struct A { x: i32, y: i32 }"]);
    assert!(ran.output.status.success(), "{}", ran.said());
    assert!(ran.text(1).contains("`impl A` went with the `A` before"), "{}", ran.text(1));
}

/// Each function has a type of its own; kept is a pointer to it.
#[test]
fn a_function_in_a_variable_can_be_called_by_later_cells() {
    let ran = run(&[
        "fn own(x: i32) -> i32 { x + 1 }\nlet op = own;\nlet tanh = f32::tanh;\nop(1)",
        "(op(2), tanh(0.0))",
        "# raises\nlet wrong = own;\nlet text: String = 1;",
    ]);
    assert!(ran.output.status.success(), "{}", ran.said());
    assert_eq!((ran.text(0).as_str(), ran.text(1).as_str()), ("2", "(3, 0.0)"));
    assert!(ran.text(2).contains("E0308"), "{}", ran.text(2));
}

/// Of a panic in a function its line, or where it is.
#[test]
fn a_panic_in_a_function_is_placed() {
    let ran = run(&[
        "# raises\nfn boom(x: i32) -> i32 {\n    let v: Vec<i32> = vec![];\n    v[x as usize]\n}\nlet ok = 1;\nboom(ok)",
        "# raises\n1 + 1;\nboom(3)",
        "# raises\nimpl Place {\n    fn go(&self) {\n        todo!()\n    }\n}\nstruct Place;\nPlace.go()",
    ]);
    assert!(ran.output.status.success(), "{}", ran.said());
    assert!(ran.text(0).contains("(line 3)"), "{}", ran.text(0));
    assert!(ran.text(1).contains("in `boom`, of an earlier cell"), "{}", ran.text(1));
    assert!(ran.text(2).contains("(line 3)"), "{}", ran.text(2));
}

/// What is used up is not there any more, and each cell that misses it is told why.
#[test]
fn what_is_used_up_is_told() {
    let ran = run(&[
        "let v = vec![1];\nlet m = vec![2];",
        "# raises\nlet v2 = v;\npanic!(\"after the move\");",
        "# raises\nv.len()",
        "drop(m);",
        "# raises\nm.len()",
    ]);
    assert!(ran.output.status.success(), "{}", ran.said());
    assert!(ran.text(1).contains("after the move; `v` is used up by the cell, and gone"), "{}", ran.text(1));
    for (cell, told) in
        [(2, "has used `v` up, the one that begins with `let v2 = v;`"), (4, "the one that begins with `drop(m);`")]
    {
        let traceback = ran.traceback(cell);
        assert!(traceback.contains(told) && !traceback.contains("Not there"), "{traceback}");
    }
}

/// Lines of the standard library's own files are no lines of the cell.
#[test]
fn what_is_wrong_inside_a_macro_is_told_of_the_line_that_calls_it() {
    let many: String = (0..55).map(|line| format!("// {line}\n")).collect();
    let ran = run(&[
        &format!("# raises\n{many}let s: String = vec!['a'];"),
        "# raises\nlet a = 1;\nlet s: String = vec!['a'];",
        "enum Op { Add(i32), Nop }",
        "# raises\nmatch Op::Nop {\n    Op::Add(n) => n,\n};",
        "# raises\nenum Op { Add(i32), Nop }\nmatch Op::Nop {\n    Op::Add(n) => n,\n};",
    ]);
    assert!(ran.output.status.success(), "{}", ran.said());
    for (cell, line) in [(0, 56), (1, 2)] {
        assert!(ran.text(cell).contains(&format!("(line {line})")), "{}", ran.text(cell));
    }
    assert!(ran.text(4).contains("`Op::Nop`") && !ran.text(4).contains("candlewick_cell"), "{}", ran.text(4));
}
