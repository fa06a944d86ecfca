//! Types as the compiler writes them, and as a later cell can.

use super::Diagnostic;
use std::collections::BTreeSet;

/// The function that a cell is judged in, as the compiler names it before what stands in it.
const JUDGED: &str = "candlewick_cell::";

/// The type as source text; none where no source can name it. `own` are the names of the cell's items.
pub fn nameable(found: &str, own: &BTreeSet<String>) -> Option<String> {
    // Every function has a type of its own, written `fn(i32) -> i32 {name}`; as a plain pointer it can be kept.
    let pointer = found.rsplit_once(" {").filter(|_| found.starts_with("fn(") && found.ends_with('}'));
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
    let message = if found.contains("{closure") {
        format!(
            "the variable `{name}` is a closure, whose type has no name, so no later cell could use it. \
             Box it, as in `let {name}: Box<dyn Fn(f32) -> f32> = Box::new(…);`, or put the cell into `{{ … }}`"
        )
    } else if found.contains(JUDGED) && !found.contains('{') {
        let found = found.replace(JUDGED, "");
        format!(
            "the variable `{name}` is a `{found}`, a type from inside a block or a macro, so no later cell could use it. \
             Define the type in the cell itself, or put the cell into `{{ … }}`"
        )
    } else {
        format!(
            "the variable `{name}` is a `{found}`, a type that has no name, so no later cell could use it. \
             Collect it or box it, or put the cell into `{{ … }}`"
        )
    };
    let rendered = format!("error: {message}\n");
    Diagnostic { code: None, message, line: None, column: None, rendered }
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
}
