//! Checks a notebook as nbval does: runs it anew, and compares what each cell shows with what is saved.

mod compare;
pub mod junit;
mod marks;
mod picture;
mod sanitize;

pub use compare::Difference;
pub use sanitize::Sanitizer;

use crate::notebook::json::Json;
use crate::notebook::{CellKind, Notebook};
use crate::outputs::{Failure, Outputs};
use crate::runner::first_line;
use crate::session::{Outcome, Output, Session};
use marks::Marks;
use std::time::{Duration, Instant};

/// How strictly outputs are compared.
#[derive(Debug, Default)]
pub struct Settings {
    /// Compares only the cells marked `nbval-check-output`.
    pub lax: bool,
    /// Takes out what differs from run to run.
    pub sanitizer: Sanitizer,
}

/// What came of a cell.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// It shows what is saved.
    Same,
    /// It ran; its outputs were not to be compared, or none are saved.
    Ran,
    /// It was not to run.
    Skipped,
    /// It shows something else.
    Different(Vec<Difference>),
    /// It failed, and may not.
    Failed(Failure),
    /// The session was lost before.
    NotRun,
}

impl Verdict {
    /// In one word, for programs.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Ran => "ran",
            Self::Skipped => "skipped",
            Self::Different(_) => "different",
            Self::Failed(_) => "failed",
            Self::NotRun => "not run",
        }
    }
}

/// A cell, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckedCell {
    /// Its number among the notebook's code cells that say anything, from 1.
    pub number: usize,
    /// The first line of its text.
    pub source: String,
    /// What came of it.
    pub verdict: Verdict,
    /// How long it ran.
    pub took: Duration,
    /// Its place in the notebook, and what it shows now, where that is to be saved by an update.
    fresh: Option<(usize, Vec<Json>)>,
}

/// A notebook, checked.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Checked {
    /// Its code cells that say anything.
    pub cells: Vec<CheckedCell>,
    /// Whether the session, not a cell, is to blame for what failed.
    pub session_failed: bool,
}

impl Checked {
    /// Whether every cell ran that was to, and none failed.
    pub fn ran_through(&self) -> bool {
        !self.cells.iter().any(|cell| matches!(cell.verdict, Verdict::Failed(_) | Verdict::NotRun))
    }

    /// Whether all is as it was saved.
    pub fn is_same(&self) -> bool {
        self.ran_through() && !self.cells.iter().any(|cell| matches!(cell.verdict, Verdict::Different(_)))
    }

    /// Saves what is new in the notebook; what is as it was, or was not to be compared, stays. Gives the number of cells.
    pub fn update(&self, notebook: &mut Notebook) -> usize {
        let mut updated = 0;
        for cell in &self.cells {
            if let Some((index, outputs)) = &cell.fresh {
                notebook.set_outputs(*index, outputs.clone(), Some(cell.number as u64));
                updated += 1;
            }
        }
        updated
    }
}

/// Runs all code cells, those after a failed one too, and compares each. `watch` hears how many of how many are done.
pub fn check(
    notebook: &Notebook,
    session: &mut dyn Session,
    settings: &Settings,
    watch: &mut dyn FnMut(usize, usize),
) -> Checked {
    let code = notebook.cells().enumerate().filter(|(_, cell)| cell.kind() == CellKind::Code);
    let cells: Vec<_> = code.filter(|(_, cell)| !cell.source().trim().is_empty()).collect();
    let mut checked = Checked::default();
    let mut lost = false;
    for (done, (index, cell)) in cells.iter().enumerate() {
        watch(done, cells.len());
        let source = cell.source();
        let marks = Marks::of(cell, settings.lax);
        let mut one = CheckedCell {
            number: done + 1,
            source: first_line(&source).to_owned(),
            verdict: if lost { Verdict::NotRun } else { Verdict::Skipped },
            took: Duration::ZERO,
            fresh: None,
        };
        if !lost && !marks.skip {
            let begun = Instant::now();
            let (outcome, outputs) = run(session, &source, one.number as u64);
            one.took = begun.elapsed();
            lost = outcome.ends_the_run(marks.may_fail);
            checked.session_failed |= matches!(outcome, Outcome::Failed(_));
            let failure = Failure::of(&outcome).filter(|_| lost || !marks.may_fail);
            let never_ran = cell.execution_count().is_none() && cell.outputs().is_empty();
            one.verdict = match failure {
                Some(failure) => Verdict::Failed(failure),
                None if never_ran || !marks.compare => Verdict::Ran,
                None => verdict(cell.outputs(), &outputs, &settings.sanitizer),
            };
            if never_ran || matches!(one.verdict, Verdict::Different(_)) {
                one.fresh = Some((*index, outputs));
            }
        }
        checked.cells.push(one);
    }
    watch(cells.len(), cells.len());
    checked
}

fn run(session: &mut dyn Session, source: &str, count: u64) -> (Outcome, Vec<Json>) {
    let mut outputs = Outputs::default();
    let outcome = session.execute(source, &mut |output: Output| outputs.add(&output));
    let outputs = outputs.finish(count, &outcome);
    (outcome, outputs)
}

fn verdict(saved: &[Json], new: &[Json], sanitizer: &Sanitizer) -> Verdict {
    match compare::compare(saved, new, sanitizer) {
        differences if differences.is_empty() => Verdict::Same,
        differences => Verdict::Different(differences),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::echo::Echo;
    use serde_json::{Value, json};

    /// A code cell with what it printed when it was saved.
    fn cell(tags: &[&str], source: &str, printed: &str) -> Value {
        let output = json!({"output_type": "stream", "name": "stdout", "text": printed});
        let outputs = if printed.is_empty() { json!([]) } else { json!([output]) };
        json!({"cell_type": "code", "source": source, "metadata": {"tags": tags}, "outputs": outputs,
            "execution_count": 7})
    }

    fn notebook(cells: &[Value]) -> Notebook {
        Notebook::parse(&json!({"nbformat": 4, "cells": cells}).to_string()).unwrap()
    }

    fn words(checked: &Checked) -> Vec<&'static str> {
        checked.cells.iter().map(|cell| cell.verdict.word()).collect()
    }

    fn checked(notebook: &Notebook, lax: bool) -> Checked {
        let settings = Settings { lax, ..Settings::default() };
        check(notebook, &mut Echo::default(), &settings, &mut |_, _| {})
    }

    #[test]
    fn each_cell_is_compared_and_a_failure_stops_nothing() {
        let mut never_run = cell(&[], "print new", "");
        never_run["execution_count"] = Value::Null;
        let cells = [
            cell(&[], "print a", "a\n"),
            cell(&[], "panic now", "a\n"),
            cell(&[], "print b", "c\n"),
            cell(&["nbval-ignore-output"], "print b", "c\n"),
            cell(&["nbval-skip"], "die", ""),
            cell(&[], "  \n", ""),
            never_run,
            cell(&[], "print b", ""),
        ];
        let notebook = notebook(&cells);
        let strict = checked(&notebook, false);
        assert_eq!(words(&strict), ["same", "failed", "different", "ran", "skipped", "ran", "different"]);
        assert!(!strict.is_same() && !strict.ran_through() && !strict.session_failed);
        assert_eq!(words(&checked(&notebook, true)), ["ran", "failed", "ran", "ran", "skipped", "ran", "ran"]);
    }

    #[test]
    fn a_failure_that_is_wanted_is_compared_like_any_output() {
        let error =
            |message: &str| json!([{"output_type": "error", "ename": "panic", "evalue": message, "traceback": []}]);
        let mut wanted = cell(&["raises-exception"], "panic now", "");
        wanted["outputs"] = error("now (line 1)");
        let mut other = cell(&["nbval-raises-exception"], "panic now", "");
        other["outputs"] = error("then (line 1)");
        let calm = cell(&["raises-exception"], "print a", "a\n");
        assert_eq!(words(&checked(&notebook(&[wanted, other, calm]), false)), ["same", "different", "same"]);
    }

    #[test]
    fn a_lost_session_ends_the_check() {
        let after = cell(&[], "print a", "a\n");
        for (source, tags, blamed) in [
            ("die", &[][..], false),
            ("lose it", &["raises-exception"], true),
            ("interrupt", &["raises-exception"], false),
        ] {
            let checked = checked(&notebook(&[cell(tags, source, ""), after.clone()]), false);
            assert_eq!((words(&checked), checked.session_failed), (vec!["failed", "not run"], blamed), "{source}");
        }
    }

    /// As in nbval: the kernel is there, and what the cell says of its end is compared.
    #[test]
    fn a_cell_may_end_its_process_where_it_may_fail() {
        let mut dies = cell(&["raises-exception"], "die", "");
        dies["outputs"] = json!([{"output_type": "error", "ename": "died", "evalue": "signal 6", "traceback": []}]);
        let cells = [dies, cell(&[], "print a", "a\n")];
        assert_eq!(words(&checked(&notebook(&cells), false)), ["same", "same"]);
    }

    #[test]
    fn an_update_touches_only_what_is_new() {
        let mut never_run = cell(&[], "print new", "");
        never_run["execution_count"] = Value::Null;
        let mut notebook = notebook(&[
            cell(&[], "print a", "a\n"),
            cell(&[], "print b", "old\n"),
            cell(&["nbval-ignore-output"], "print b", "kept\n"),
            never_run,
        ]);
        let before = notebook.clone();
        assert_eq!(checked(&notebook, false).update(&mut notebook), 2);
        let at = |notebook: &Notebook, index: usize| {
            let cell = notebook.cells().nth(index).unwrap();
            (cell.execution_count(), cell.outputs().to_vec())
        };
        assert_eq!((at(&notebook, 0), at(&notebook, 2)), (at(&before, 0), at(&before, 2)));
        assert_eq!((at(&notebook, 1).0, at(&notebook, 3).0), (Some(2), Some(4)));
        assert!(notebook.to_string().contains("\"b\\n\"") && !notebook.to_string().contains("old"));
        assert!(checked(&notebook, false).is_same(), "an updated notebook is as it is saved");
        assert_eq!(checked(&notebook, false).update(&mut notebook), 0);
    }
}
