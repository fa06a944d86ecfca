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
#[derive(Clone, Debug, Default, PartialEq)]
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
    /// How long each cell took that ran, in seconds, compiling included.
    pub cell_seconds: Vec<f64>,
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
    let mut run = Run { cells: cells.len(), ..Run::default() };
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
        run.cell_seconds.push(took.as_secs_f64());
        watch(Event::Ends { outcome: &outcome, took, notebook });
        let lost = outcome.ends_the_run(*may_fail);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::echo::Echo;
    use crate::notebook::NotebookError;
    use crate::notebook::json::Json;
    use std::path::{Path, PathBuf};

    /// A fixture: its file's name is the behaviour.
    fn fixture(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/notebooks").join(name).with_extension("ipynb")
    }

    fn ran(name: &str) -> (Notebook, Run, Echo) {
        let mut notebook = Notebook::read(&fixture(name)).unwrap();
        let mut echo = Echo::default();
        let run = run(&mut notebook, &mut echo, &mut |_| {});
        (notebook, run, echo)
    }

    /// Each code cell's number and outputs in short: `stdout:a`, `display_data:a drawing`, `error:panic`.
    fn outputs(notebook: &Notebook) -> Vec<(Option<u64>, Vec<String>)> {
        let short = |output: &Json| {
            let field = |name: &str| output.get(name).and_then(Json::text);
            let data = || output.get("data")?.get("text/plain")?.text();
            let kind = field("name").or_else(|| field("output_type")).unwrap();
            format!("{kind}:{}", field("text").or_else(|| field("ename")).or_else(data).unwrap_or_default())
        };
        let code = notebook.cells().filter(|cell| cell.kind() == CellKind::Code);
        code.map(|cell| (cell.execution_count(), cell.outputs().iter().map(short).collect())).collect()
    }

    fn strings(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn stops_at_the_first_failure() {
        let (notebook, run, echo) = ran("stops_at_the_first_failure");
        let want = vec![
            (Some(1), strings(&["stdout:one\n"])),
            (Some(2), strings(&["stdout:before\n", "error:panic"])),
            (None, vec![]),
        ];
        assert_eq!(outputs(&notebook), want);
        let stop = run.stopped.unwrap();
        assert_eq!((stop.cell, stop.source.as_str(), stop.failure.kind.as_ref()), (2, "print before", "panic"));
        assert_eq!((run.cells, run.ran, echo.executed.len()), (3, 2, 2));
    }

    #[test]
    fn all_kinds_of_outputs() {
        let (notebook, run, _) = ran("all_kinds_of_outputs");
        let want = vec![
            (Some(1), strings(&["stdout:abc\n", "stderr:d\n", "display_data:a drawing", "execute_result:(1, 2)"])),
            (Some(2), strings(&["display_data:second", "stdout:between\n"])),
            (Some(3), strings(&["display_data:third"])),
            (Some(4), vec![]),
        ];
        assert_eq!(outputs(&notebook), want);
        assert_eq!(run.reports, [("fit".to_owned(), serde_json::json!({"epochs": 6}))]);
        assert_eq!((run.stopped, run.peak_memory), (None, Some(123_456_789)));
    }

    #[test]
    fn cells_that_may_fail() {
        let (notebook, run, _) = ran("raises_exception_tag_goes_on");
        let want = vec![(Some(1), strings(&["error:compile error"])), (Some(2), strings(&["stdout:after\n"]))];
        assert_eq!((outputs(&notebook), run.stopped), (want, None));

        let (notebook, run, _) = ran("raises_exception_tag_outlives_the_process");
        let want = vec![(Some(1), strings(&["error:died"])), (Some(2), strings(&["stdout:after\n"]))];
        assert_eq!((outputs(&notebook), run.stopped), (want, None));
    }

    #[test]
    fn empty_and_skipped_cells_do_not_run() {
        let (notebook, run, echo) = ran("empty_and_skipped_cells_do_not_run");
        let want = vec![(None, vec![]), (None, vec![]), (None, vec![]), (Some(1), strings(&["stdout:only\n"]))];
        assert_eq!((outputs(&notebook), run.stopped), (want, None));
        assert_eq!(echo.executed, ["print only"]);
        let (_, run, _) = ran("markdown_only");
        assert_eq!((run.cells, run.ran, run.stopped), (0, 0, None));
    }

    #[test]
    fn older_and_odder_notebooks_run_too() {
        let (notebook, ..) = ran("source_is_one_string");
        assert_eq!(outputs(&notebook), vec![(Some(1), strings(&["stdout:one\ntwo\n"]))]);
        let (notebook, ..) = ran("code_cell_without_outputs_field");
        assert_eq!(outputs(&notebook), vec![(Some(1), strings(&["stdout:one\n"]))]);
        let (notebook, ..) = ran("cell_ids_are_missing");
        assert!(!notebook.to_string().contains("\"id\""), "we make nothing up");
    }

    #[test]
    fn unknown_fields_survive() {
        let text = |name| std::fs::read_to_string(fixture(name)).unwrap();
        let notebook = Notebook::read(&fixture("unknown_fields_survive")).unwrap();
        assert_eq!(notebook.to_string(), text("unknown_fields_survive"));
        let (notebook, ..) = ran("unknown_fields_survive");
        assert_eq!(notebook.to_string(), text("unknown_fields_survive.after.ipynb"));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/folder/a.ipynb");
        notebook.write(&path).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text("unknown_fields_survive.after.ipynb"));
        let left: Vec<_> = path.parent().unwrap().read_dir().unwrap().collect();
        assert_eq!(left.len(), 1, "nothing is left beside it: {left:?}");
    }

    #[test]
    fn another_reader_of_notebooks_agrees() {
        let mut seen = 0;
        for entry in fixture("x").parent().unwrap().read_dir().unwrap() {
            let path = entry.unwrap().path();
            let Ok(mut notebook) = Notebook::read(&path) else { continue };
            if path.to_string_lossy().contains("unknown_fields") {
                continue;
            }
            run(&mut notebook, &mut Echo::default(), &mut |_| {});
            let theirs = nbformat::parse_notebook(&notebook.to_string());
            assert!(matches!(theirs, Ok(nbformat::Notebook::V4(_) | nbformat::Notebook::Legacy(_))), "{path:?}");
            seen += 1;
        }
        assert!(seen >= 8, "only {seen} notebooks");
    }

    #[test]
    fn each_wrong_file_has_its_own_error() {
        let error = |name: &str| Notebook::read(&fixture(name)).unwrap_err();
        assert!(matches!(error("not_json"), NotebookError::NotJson(why) if (why.line, why.column) == (3, 25)));
        assert!(matches!(error("not_a_notebook"), NotebookError::NotANotebook(why) if why.contains("nbformat")));
        assert!(matches!(error("cell_without_source"), NotebookError::NotANotebook(why) if why.contains("cell 2")));
        assert!(matches!(error("not_text"), NotebookError::NotText));
        assert!(matches!(error("old_format"), NotebookError::TooOld(3)));
        assert!(matches!(error("newer_format"), NotebookError::TooNew(5)));
        assert!(matches!(error("is_not_there"), NotebookError::File(_)));
        assert!(matches!(Notebook::read(Path::new("/")), Err(NotebookError::File(_))));
    }
}
