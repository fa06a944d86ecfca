//! A session runs cells, one after the other, and keeps their variables between them.
//!
//! What stands above it (runner, terminal, command line) knows no Rust: it sees outcomes and outputs only.

use std::collections::BTreeMap;
use std::path::PathBuf;

/// What happened when a cell ran.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// It ran to its end.
    Done,
    /// It does not compile; nothing of it ran.
    CompileErrors(Vec<Diagnostic>),
    /// It panicked: a failed `assert!`, an `unwrap` of nothing.
    Panicked(Report),
    /// A `?` met an error.
    ReturnedError(Report),
    /// The process that ran the cell is gone, and its variables with it: an abort, a signal, too little memory.
    Died(Report),
    /// Somebody stopped it.
    Interrupted,
    /// The session itself could not run the cell.
    Failed(Report),
}

/// What went wrong.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// One sentence.
    pub message: String,
    /// Where, as a line of the cell's source, from 1.
    pub line: Option<usize>,
    /// Longer text: a backtrace, the last words of a process. May be empty; may hold ANSI colours.
    pub detail: String,
}

/// One error of the compiler.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Diagnostic {
    /// Rust's number for it: `E0308`.
    pub code: Option<String>,
    /// Its first line: "mismatched types".
    pub message: String,
    /// Where, as a line of the cell's source, from 1.
    pub line: Option<usize>,
    /// Where in that line, in characters from 1.
    pub column: Option<usize>,
    /// Rust's own text, with the lines it points at. May hold ANSI colours.
    pub rendered: String,
}

/// What a cell sends while it runs, in order.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Printed text, newlines included; a piece need not end with its line.
    Stdout(String),
    /// Text printed on standard error, newlines included.
    Stderr(String),
    /// Something to show.
    Display {
        /// Media type to content; binary content in base64.
        media: BTreeMap<String, String>,
        /// Displays of one name replace each other.
        id: Option<String>,
    },
    /// The value that the cell ends with.
    Result {
        /// Media type to content; binary content in base64.
        media: BTreeMap<String, String>,
    },
    /// How far a long task has come.
    Progress {
        /// The same for all that one task sends.
        task: u64,
        /// What is being done: "Fetching weights".
        what: String,
        /// How much is done.
        done: u64,
        /// Of how much, where that is known.
        total: Option<u64>,
        /// What is counted: "photos", "bytes".
        unit: String,
        /// Whether the task is over.
        finished: bool,
    },
    /// A measured fact for whoever runs the notebook.
    Report {
        /// What it is about: "data", "fit", "stage".
        about: String,
        /// The facts.
        facts: serde_json::Value,
    },
}

/// Runs cells and keeps their variables.
pub trait Session {
    /// Runs one cell to its end and gives what it sends, as it comes, to `out`.
    fn execute(&mut self, code: &str, out: &mut dyn FnMut(Output)) -> Outcome;

    /// The most memory the cells' process has held so far, in bytes, where that is known.
    fn peak_memory(&self) -> Option<u64>;
}

/// What a session starts with.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The folder that the cells run in; the current one where there is none.
    pub folder: Option<PathBuf>,
    /// What the cells' environment has beside, or instead of, our own: `CANDLEWICK_DATA`.
    pub environment: BTreeMap<String, String>,
}

/// Opens a session that runs Rust.
///
/// What it must build first is shown through `progress`.
pub fn open_session(_options: Options, _progress: &mut dyn FnMut(Output)) -> anyhow::Result<Box<dyn Session>> {
    anyhow::bail!("not wired yet")
}
