//! Types as the compiler writes them, and as a later cell can.

use super::Diagnostic;
use std::collections::BTreeSet;

/// The function that a cell is judged in, as the compiler names it before what stands in it.
pub(super) const JUDGED: &str = "candlewick_cell::";

/// Whether it is the type that one function has alone: kept, it is a pointer to such functions.
pub fn is_functions_own(found: &str) -> bool {
    found.starts_with("fn(") && found.ends_with('}') && found.contains(" {")
}

/// The type as source text; none where no source can name it. `own` are the names of the cell's items.
pub fn nameable(found: &str, own: &BTreeSet<String>) -> Option<String> {
    // Every function has a type of its own, written `fn(i32) -> i32 {name}`; as a plain pointer it can be kept.
    let pointer = found.rsplit_once(" {").filter(|_| is_functions_own(found));
    let found = pointer.map_or(found, |(pointer, _)| pointer);
    let found = found.replace("{integer}", "i32").replace("{float}", "f64");
    // The judged cell is a function's body; evcxr puts its items beside the function. What stands deeper, in a block, or is
    // made by a macro stays inside.
    let is_item =
        |rest: &str| own.contains(rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or(""));
    if !found.split(JUDGED).skip(1).all(is_item) {
        return None;
    }
    let found = found.replace(JUDGED, "");
    (!found.contains('{') && !found.contains("impl ")).then_some(found)
}

/// What to say of a variable of such a type.
pub fn unnameable(name: &str, found: &str) -> Diagnostic {
    let shown = without_places(&found.replace(JUDGED, ""));
    let (what, instead) = if found.starts_with("{closure") {
        let boxed = format!("Box it, as in `let {name}: Box<dyn Fn(f32) -> f32> = Box::new(…);`");
        ("a closure, whose type has no name".to_owned(), boxed)
    } else if found.starts_with("{async") || found.starts_with("impl std::future::Future") {
        let instead = "Wait for it in this cell, by a runtime's `block_on`, and keep what comes of it".to_owned();
        ("a future, whose type has no name".to_owned(), instead)
    } else if found.contains(JUDGED) && !found.contains('{') {
        let what = format!("a `{shown}`, a type from inside a block or a macro");
        (what, "Define the type in the cell itself".to_owned())
    } else {
        (format!("a `{shown}`, a type that has no name"), "Collect it or box it".to_owned())
    };
    let message = format!(
        "the variable `{name}` is {what}, so no later cell could use it. {instead}, or put the cell into `{{ … }}`"
    );
    let rendered = format!("error: {message}\n");
    Diagnostic { code: None, message, line: None, column: None, rendered }
}

/// A type without the file and the lines that the compiler names, as in `{closure@judged.rs:3:9: 3:12}`.
fn without_places(found: &str) -> String {
    let mut pieces = found.split('@');
    let mut shown = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        shown.push_str(piece.find('}').map_or(piece, |end| &piece[end..]));
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_become_source_or_are_refused() {
        let own = ["Point", "net", "f"].map(str::to_owned).into();
        for (found, want) in [
            ("{integer}", Some("i32")),
            ("std::vec::Vec<{float}>", Some("std::vec::Vec<f64>")),
            ("candlewick_cell::Point", Some("Point")),
            ("fn(i32) -> std::option::Option<i32> {candlewick_cell::f}", Some("fn(i32) -> std::option::Option<i32>")),
            ("fn() {candlewick_cell::f}", Some("fn()")),
            ("std::boxed::Box<dyn std::ops::Fn(i32) -> i32>", Some("std::boxed::Box<dyn std::ops::Fn(i32) -> i32>")),
            ("std::vec::Vec<candlewick_cell::net::Layer>", Some("std::vec::Vec<net::Layer>")),
            ("candlewick_cell::Local", None),
            ("(candlewick_cell::Point, candlewick_cell::Pointed)", None),
            ("{closure@judged.rs:3:9: 3:12}", None),
            ("std::iter::Map<std::ops::Range<i32>, {closure@judged.rs:3:9: 3:12}>", None),
            ("impl std::iter::Iterator<Item = i32>", None),
        ] {
            assert_eq!(nameable(found, &own).as_deref(), want, "{found}");
        }
    }

    #[test]
    fn what_is_said_of_a_type_without_a_name_fits_it_and_names_no_file() {
        for (found, want) in [
            (
                "{closure@/tmp/judged.rs:3:9: 3:12}",
                "is a closure, whose type has no name, so no later cell could use it. Box it",
            ),
            (
                "{async block@/tmp/judged.rs:5:10: 5:15}",
                "is a future, whose type has no name, so no later cell could use it. Wait for it",
            ),
            (
                "std::iter::Map<std::ops::Range<i32>, {closure@/tmp/judged.rs:3:9: 3:12}>",
                "is a `std::iter::Map<std::ops::Range<i32>, {closure}>`, a type that has no name, so no later cell could use it. Collect",
            ),
            (
                "std::option::Option<candlewick_cell::Net>",
                "is a `std::option::Option<Net>`, a type from inside a block or a macro",
            ),
        ] {
            let message = unnameable("x", found).message;
            assert!(message.starts_with(&format!("the variable `x` {want}")), "{message}");
        }
    }
}
