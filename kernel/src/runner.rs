//! Runs a notebook's code cells in order, and puts what they send into the notebook.

use crate::notebook::{CellKind, Notebook};
use crate::outputs::{Failure, Outputs};
use crate::session::{Outcome, Output, Session};
use std::time::{Duration, Instant};

/// A cell with this tag may fail: the notebook shows an error on purpose. Jupyter's own tag.
const MAY_FAIL: &str = "raises-exception";

/// A cell with this tag is left out. nbclient's own tag.
const LEFT_OUT: &str = "skip-execution";

/// What a run tells whoever watches it.
#[derive(Debug)]
pub enum Event<'a> {
    /// A cell begins.
    Begins {
        /// Its number among the code cells that run, from 1.
        number: usize,
        /// How many there are.
        of: usize,
        /// Its text.
        source: &'a str,
    },
    /// It sent something.
    Sent(&'a Output),
    /// It came to an end.
    Ends {
        /// How.
        outcome: &'a Outcome,
        /// How long it took.
        took: Duration,
        /// The notebook so far.
        notebook: &'a Notebook,
    },
}

/// How a run went.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// How many code cells there were to run.
    pub cells: usize,
    /// How many of them ran, the failed one included.
    pub ran: usize,
    /// What stopped the run, if anything did.
    pub stopped: Option<Stop>,
    /// What the cells reported, in order: what about, and the facts.
    pub reports: Vec<(String, serde_json::Value)>,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// The most memory that the cells' process held, in bytes, where that is known.
    pub peak_memory: Option<u64>,
}

/// Where and why a run stopped.
#[derive(Clone, Debug, PartialEq)]
pub struct Stop {
    /// The cell's number among the code cells that run, from 1.
    pub cell: usize,
    /// The first line of its text.
    pub source: String,
    /// What went wrong.
    pub failure: Failure,
    /// Whether the session, not the cell, is to blame.
    pub session_failed: bool,
}

/// Runs all code cells, up to the first that fails.
///
/// Old outputs go first, so that what the notebook shows afterwards is from this run alone. Cells without text and
/// cells tagged `skip-execution` do not run; a cell tagged `raises-exception` may fail, unless the session is lost.
pub fn run(notebook: &mut Notebook, session: &mut dyn Session, watch: &mut dyn FnMut(Event<'_>)) -> Run {
    let start = Instant::now();
    let cells = clear(notebook);
    let mut run =
        Run { cells: cells.len(), ran: 0, stopped: None, reports: Vec::new(), seconds: 0.0, peak_memory: None };
    for Task { index, source, may_fail } in &cells {
        let number = run.ran + 1;
        watch(Event::Begins { number, of: cells.len(), source });
        let mut outputs = Outputs::default();
        let begun = Instant::now();
        let outcome = session.execute(source, &mut |output| {
            watch(Event::Sent(&output));
            outputs.add(&output);
            if let Output::Report { about, facts } = output {
                run.reports.push((about, facts));
            }
        });
        let took = begun.elapsed();
        let count = number as u64;
        notebook.set_outputs(*index, outputs.finish(count, &outcome), Some(count));
        run.ran = number;
        watch(Event::Ends { outcome: &outcome, took, notebook });
        let lost = matches!(outcome, Outcome::Died(_) | Outcome::Interrupted | Outcome::Failed(_));
        if let Some(failure) = Failure::of(&outcome).filter(|_| lost || !may_fail) {
            let source = first_line(source).to_owned();
            let session_failed = matches!(outcome, Outcome::Failed(_));
            run.stopped = Some(Stop { cell: number, source, failure, session_failed });
            break;
        }
    }
    run.seconds = start.elapsed().as_secs_f64();
    run.peak_memory = session.peak_memory();
    run
}

/// A cell that is to run.
struct Task {
    index: usize,
    source: String,
    may_fail: bool,
}

/// Takes the old outputs out of all code cells, and says which of them are to run.
fn clear(notebook: &mut Notebook) -> Vec<Task> {
    let mut tasks = Vec::new();
    let mut code = Vec::new();
    for (index, cell) in notebook.cells().enumerate().filter(|(_, cell)| cell.kind() == CellKind::Code) {
        code.push(index);
        let source = cell.source();
        if !source.trim().is_empty() && !cell.has_tag(LEFT_OUT) {
            tasks.push(Task { index, source, may_fail: cell.has_tag(MAY_FAIL) });
        }
    }
    for index in code {
        notebook.set_outputs(index, Vec::new(), None);
    }
    tasks
}

/// The first line of a cell that says something.
pub fn first_line(source: &str) -> &str {
    source.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default()
}
