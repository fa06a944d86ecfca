//! What a notebook's author asks of a check, cell by cell: nbval's tags, and nbval's comments.

use crate::notebook::Cell;

/// What is to be done with a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Marks {
    /// It does not run.
    pub skip: bool,
    /// Its outputs are compared with the saved ones.
    pub compare: bool,
    /// It may fail; how it fails is compared like any output.
    pub may_fail: bool,
}

/// Each mark as nbval writes it in a comment; as a tag it is in lower case, with hyphens.
const MARKS: [(&str, Mark); 5] = [
    ("PYTEST_VALIDATE_IGNORE_OUTPUT", Mark::Compare(false)),
    ("NBVAL_IGNORE_OUTPUT", Mark::Compare(false)),
    ("NBVAL_CHECK_OUTPUT", Mark::Compare(true)),
    ("NBVAL_RAISES_EXCEPTION", Mark::MayFail),
    ("NBVAL_SKIP", Mark::Skip),
];

#[derive(Clone, Copy)]
enum Mark {
    Compare(bool),
    MayFail,
    Skip,
}

impl Marks {
    /// Reads a cell's marks. Unless they say otherwise its outputs are compared, or, where the check is `lax`, are not.
    /// A comment outweighs a tag, and a later one an earlier one, as in nbval.
    pub fn of(cell: &Cell<'_>, lax: bool) -> Self {
        let mut marks =
            Self { skip: cell.has_tag("skip-execution"), compare: !lax, may_fail: cell.has_tag("raises-exception") };
        for tag in cell.tags() {
            if let Some((_, mark)) = MARKS.iter().find(|(name, _)| name.to_lowercase().replace('_', "-") == tag) {
                marks.apply(*mark);
            }
        }
        for line in cell.source().lines() {
            if let Some(mark) = comment(line).and_then(|text| MARKS.iter().find(|(name, _)| *name == text)) {
                marks.apply(mark.1);
            }
        }
        marks
    }

    fn apply(&mut self, mark: Mark) {
        match mark {
            Mark::Compare(compare) => self.compare = compare,
            Mark::MayFail => self.may_fail = true,
            Mark::Skip => self.skip = true,
        }
    }
}

/// What a line says, where it is a comment of Rust's or Python's.
fn comment(line: &str) -> Option<&str> {
    let line = line.trim();
    let text = line.strip_prefix("//").map(|rest| rest.trim_start_matches('/'));
    text.or_else(|| line.strip_prefix('#').map(|rest| rest.trim_start_matches('#'))).map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notebook::Notebook;
    use serde_json::json;

    #[test]
    fn tags_and_comments_mean_what_they_mean_to_nbval() {
        let usual = Marks { skip: false, compare: true, may_fail: false };
        let cases = [
            (json!([]), "let x = 1;", usual),
            (json!(["nbval-skip"]), "x", Marks { skip: true, ..usual }),
            (json!(["skip-execution"]), "x", Marks { skip: true, ..usual }),
            (json!(["nbval-ignore-output"]), "x", Marks { compare: false, ..usual }),
            (json!(["raises-exception"]), "x", Marks { may_fail: true, ..usual }),
            (json!(["nbval-raises-exception"]), "x", Marks { may_fail: true, ..usual }),
            (json!(["nbval-check-output", "nbval-ignore-output"]), "x", Marks { compare: false, ..usual }),
            (json!(["nbval-ignore-output", "nbval-check-output"]), "x", usual),
            (json!(["nbval-ignore-output"]), "x\n  // NBVAL_CHECK_OUTPUT", usual),
            (json!([]), "# NBVAL_IGNORE_OUTPUT\nx", Marks { compare: false, ..usual }),
            (json!([]), "/// NBVAL_SKIP", Marks { skip: true, ..usual }),
            (json!([]), "//NBVAL_RAISES_EXCEPTION", Marks { may_fail: true, ..usual }),
            (json!([]), "let x = 1; // NBVAL_SKIP", usual),
            (json!([]), "// NBVAL_SKIP this", usual),
            (json!("nbval-skip"), "NBVAL_SKIP", usual),
        ];
        for (tags, source, want) in cases {
            let cell = json!({"cell_type": "code", "source": source, "metadata": {"tags": tags}});
            let notebook = Notebook::parse(&json!({"nbformat": 4, "cells": [cell]}).to_string()).unwrap();
            let cell = notebook.cells().next().unwrap();
            assert_eq!(Marks::of(&cell, false), want, "{cell:?}");
            let last_tag = tags.as_array().and_then(|tags| tags.last()).and_then(serde_json::Value::as_str);
            let wants_check = source.contains("CHECK_OUTPUT") || last_tag == Some("nbval-check-output");
            assert_eq!(Marks::of(&cell, true).compare, wants_check, "lax: {cell:?}");
        }
    }
}
