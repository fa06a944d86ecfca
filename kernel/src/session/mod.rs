//! A session: cells run one after another, and what each says and how it ends comes out as it happens.

pub mod analyst;
mod cell;
#[cfg(unix)]
mod channel;
mod commands;
mod compiler;
mod completeness;
mod diagnostics;
mod end;
mod evcxr_session;
mod following;
mod names;
mod privates;
mod questions;
mod refusals;
mod reins;
mod said;
mod standard_input;
mod type_names;
mod variables;
mod worker;

pub use evcxr_session::{EvcxrSession, SessionOptions};

use crate::build::{BuildStep, Template};
use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

/// The names that a cell's items define or import, each with the item's text; none for what is not Rust.
pub fn defines(code: &str) -> Option<Vec<(String, String)>> {
    cell::Cell::parse(code).ok().map(|cell| cell.definitions)
}

/// How a cell ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// It reached its end.
    Done,
    /// It was never run: the compiler refused it.
    CompileErrors(Vec<Diagnostic>),
    /// It panicked: an assertion, an index, an `unwrap`.
    Panicked(Report),
    /// A `?` met an error.
    ReturnedError(Report),
    /// Another kernel says that something went wrong, in its own words.
    Error {
        /// What kind of error it is: `NameError`.
        name: String,
        /// What it says of itself.
        message: String,
        /// How it came about, in pieces of one or more lines; may hold ANSI colours.
        traceback: Vec<String>,
    },
    /// Its process died: an abort, an exit, a kill. All variables are gone.
    Died(Report),
    /// It was stopped on request. The message says what of its variables is lost, if anything is.
    Interrupted(Report),
    /// The session itself could not run it.
    Failed(Report),
}

impl Outcome {
    /// Whether no later cell is worth running; where the cell `may_fail`, the end of its process alone is no reason.
    pub fn ends_the_run(&self, may_fail: bool) -> bool {
        match self {
            Self::Interrupted(_) | Self::Failed(_) => true,
            Self::Died(_) => !may_fail,
            _ => false,
        }
    }
}

/// What is known of a cell that ended badly.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// What happened, in a line or a few.
    pub message: String,
    /// The line in the cell, counted from 1, where it is known.
    pub line: Option<usize>,
    /// More for who asks for it; may be empty, may hold ANSI colours.
    pub detail: String,
}

impl Report {
    /// A report that is only a message.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), ..Self::default() }
    }
}

/// One complaint of the compiler.
#[derive(Clone, Debug, PartialEq)]
pub struct Diagnostic {
    /// Its code, as in `E0308`.
    pub code: Option<String>,
    /// Its first line.
    pub message: String,
    /// The line in the cell, counted from 1, where it is the cell's.
    pub line: Option<usize>,
    /// The column there, counted from 1.
    pub column: Option<usize>,
    /// Rust's own text, with the lines counted as in the cell.
    pub rendered: String,
}

/// What a cell says while it runs.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Printed text, newlines included.
    Stdout(String),
    /// The same on standard error.
    Stderr(String),
    /// Something shown, the same in several media types; binary content in base64.
    Display {
        /// Media type to content.
        media: BTreeMap<String, String>,
        /// Displays with the same name replace each other.
        id: Option<String>,
    },
    /// The value that the cell ends in.
    Result {
        /// Media type to content.
        media: BTreeMap<String, String>,
    },
    /// All outputs of this cell so far are to go.
    Clear {
        /// Only when the next one comes, so that nothing flickers.
        wait: bool,
    },
    /// How far a long task has come.
    Progress {
        /// The same for all steps of one task.
        task: u64,
        /// What is being done.
        what: String,
        /// How much is done.
        done: u64,
        /// Of how much, where that is known.
        total: Option<u64>,
        /// What is counted: "photos", "bytes".
        unit: String,
        /// Whether this is the task's last step.
        finished: bool,
    },
    /// A measured fact for `lesson --json`.
    Report {
        /// What it is about: "data", "fit", "stage".
        about: String,
        /// The facts.
        facts: serde_json::Value,
    },
}

/// Whoever has a cell run: takes what it says, in order, as it happens, and answers what it asks.
pub trait Host {
    /// Takes one output.
    fn send(&mut self, output: Output);

    /// Asks the person for a line, which may be a secret.
    fn ask(&mut self, prompt: &str, secret: bool) -> Answer {
        let _ = (prompt, secret);
        Box::new(|| Some(None))
    }
}

/// What has become of a question: nothing yet, the line, or that there is nobody to ask. Where it is dropped, nobody waits
/// for the answer any more.
pub type Answer = Box<dyn FnMut() -> Option<Option<String>> + Send>;

impl<F: FnMut(Output)> Host for F {
    fn send(&mut self, output: Output) {
        self(output);
    }
}

/// Something that runs cells. The layers above know no more of Rust than this.
pub trait Session {
    /// Runs one cell.
    fn execute(&mut self, code: &str, host: &mut dyn Host) -> Outcome;

    /// Between cells: passes on what threads say that earlier cells have left running, as far as it is there, and returns.
    /// Whoever has time between cells calls this now and then.
    fn idle(&mut self, host: &mut dyn Host) {
        let _ = host;
    }

    /// A hold on the session for other threads, while a cell runs.
    fn control(&self) -> Arc<dyn Control>;

    /// Whether `code` is a whole cell, as far as its syntax tells.
    fn completeness(&self, code: &str) -> Completeness;

    /// What could stand at byte `cursor` of `code`.
    fn complete(&mut self, code: &str, cursor: usize) -> Completions;

    /// What is known of the name at byte `cursor` of `code`: media type to content; none where nothing is. With `source`,
    /// what the notebook itself defines is shown with its code.
    fn inspect(&mut self, code: &str, cursor: usize, source: bool) -> Option<BTreeMap<String, String>>;

    /// Whether what it does not know of a name now, it may know later: it is still reading what cells import.
    fn is_still_reading(&self) -> bool {
        false
    }

    /// The most memory that the cells' process has had, in bytes, where the system tells.
    fn peak_memory(&self) -> Option<u64>;
}

/// A session as seen from another thread.
pub trait Control: Send + Sync {
    /// A request begins that may run several cells, one after another: an interrupt is meant for all of them, even where
    /// the session has not heard of the first one yet. Says no more where it has been said already.
    fn begin(&self) {}

    /// That request has ended.
    fn end(&self) {}

    /// Stops the cell under way: first by asking it, then, where it does not listen, by ending its process. Does nothing
    /// where no cell runs.
    fn interrupt(&self);

    /// Ends everything that the session has started, at once: nothing of it is to be used afterwards.
    fn kill(&self);
}

/// Whether a text is a whole cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Completeness {
    /// It can be run.
    Complete,
    /// More must follow: the next line is best indented so.
    Incomplete {
        /// Spaces.
        indent: String,
    },
    /// Nothing that follows can make it right.
    Invalid,
}

/// What could stand at a place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Completions {
    /// The texts, best first.
    pub matches: Vec<Completion>,
    /// The bytes of the code that one of them replaces.
    pub replaces: Range<usize>,
}

/// One text that could stand at a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completion {
    /// The text.
    pub text: String,
    /// "function", "type", "variable", "module", "keyword": Jupyter's own words.
    pub kind: &'static str,
    /// Its type or signature; may be empty.
    pub signature: String,
}

/// What a session starts with.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The folder that the cells run in; the current one where there is none.
    pub folder: Option<PathBuf>,
    /// What the cells' environment has beside, or instead of, our own: `CANDLEWICK_DATA`.
    pub environment: BTreeMap<String, String>,
    /// The installed Jupyter kernel that is to run the cells; this program itself where none is named.
    pub kernel: Option<String>,
}

/// Opens a session that runs Rust, in the process that this program starts of itself.
///
/// What it must build first is shown through `progress`.
///
/// # Errors
/// Where there is no Rust, no network for the first build, or no space.
pub fn open_session(options: Options, progress: &mut dyn FnMut(Output)) -> Result<Box<dyn Session>> {
    // Before the compiler, which does not start in a folder that is gone: there would seem to be none.
    let current = std::env::current_dir()
        .context("the folder in which this was started is gone: start it in one that is there")?;
    let mut compiled = None;
    let template = Template::ready(&mut |step| match step {
        BuildStep::Waiting => {
            progress(Output::Stderr("Waiting for another candlewick, which compiles what cells import.\n".to_owned()));
        }
        BuildStep::Compiled { done, total } => {
            compiled = Some(total);
            progress(compiling(done, total, false));
        }
    })?;
    if let Some(total) = compiled {
        progress(compiling(total, total, true));
    }
    let directory = options.folder.unwrap_or(current);
    let runtime = std::env::current_exe().context("cannot find this program's own file")?;
    let environment = options.environment.into_iter().collect();
    Ok(Box::new(EvcxrSession::open(&template, &SessionOptions { runtime, directory, environment })?))
}

fn compiling(done: u64, total: u64, finished: bool) -> Output {
    let what = "Compiling what cells import, once".to_owned();
    Output::Progress { task: 0, what, done, total: Some(total), unit: "crates".to_owned(), finished }
}
