//! The commands. Each reads its arguments, refuses what is wrong before any work starts, and does one thing.

mod check;
mod doctor;
mod execute;
mod exercise;
mod install;
mod kernel;
mod lab;
mod lesson;
mod run;
mod running;
#[cfg(test)]
mod tests;

use crate::session::{Options, Output, Session};
use crate::terminal::Terminal;
use clap::{Parser, Subcommand};
use std::io::Write;
use std::process::ExitCode;

/// What opens a session, from any thread: [`crate::client::open_any`], or a test's stand-in.
pub type Open<'a> = &'a (dyn Fn(Options, &mut dyn FnMut(Output)) -> anyhow::Result<Box<dyn Session>> + Sync);

/// What a command works with.
pub struct Surroundings<'a> {
    /// Opens the session.
    pub open: Open<'a>,
    /// Where people read: standard error.
    pub terminal: &'a mut Terminal,
    /// Where programs read: standard output.
    pub out: &'a mut dyn Write,
}

impl Surroundings<'_> {
    /// Writes one line for programs; where nobody reads it, there is nobody to tell.
    pub fn print(&mut self, line: &serde_json::Value) {
        let _ = writeln!(self.out, "{line}").and_then(|()| self.out.flush());
    }
}

/// Transfer learning in Rust, in a notebook.
#[derive(Debug, Parser)]
#[command(
    name = "candlewick",
    version,
    after_help = "Exit status: 0 all is well, 1 a cell failed or is not as it was saved (doctor: something is missing), 2 nothing could be run."
)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Lesson(lesson::Args),
    Run(run::Args),
    Check(check::Args),
    Exercise(exercise::Args),
    Lab(lab::Args),
    Install(install::Install),
    Uninstall(install::Uninstall),
    Doctor(doctor::Args),
    #[command(hide = true)]
    Kernel(kernel::Args),
    #[command(hide = true)]
    Stock(kernel::Args),
}

/// How a command ended, when it could do its work.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum End {
    /// All is well: every cell ran, and is as it was saved where that was asked.
    AllRan,
    /// A cell failed, or is not as it was saved; something that is needed is missing.
    CellFailed,
    /// The session failed.
    SessionFailed,
    /// Another program ran for us, and ended so.
    Exited(ExitCode),
}

impl From<End> for ExitCode {
    fn from(end: End) -> Self {
        match end {
            End::AllRan => ExitCode::SUCCESS,
            End::CellFailed => Self::from(1),
            End::SessionFailed => Self::from(2),
            End::Exited(code) => code,
        }
    }
}

impl Args {
    /// Whether programs read our standard output.
    pub fn json(&self) -> bool {
        match &self.command {
            Command::Lesson(args) => args.json,
            Command::Run(args) => args.json,
            Command::Check(args) => args.json,
            Command::Doctor(args) => args.json,
            _ => false,
        }
    }

    /// Whether cells run in this program itself, which then needs an environment of its own (see [`crate::settle`]).
    pub fn runs_cells(&self) -> bool {
        match &self.command {
            Command::Lesson(args) => args.running.kernel.is_none(),
            Command::Run(args) => args.running.kernel.is_none(),
            Command::Check(args) => args.running.kernel.is_none(),
            Command::Exercise(args) => args.runs_cells(),
            Command::Kernel(_) => true,
            _ => false,
        }
    }

    /// Does what the arguments ask.
    ///
    /// # Errors
    /// When nothing could be run: files that are not there or not right, a session that does not open.
    pub fn execute(&self, around: &mut Surroundings<'_>) -> anyhow::Result<End> {
        match &self.command {
            Command::Lesson(args) => lesson::execute(args, around),
            Command::Run(args) => run::execute(args, around),
            Command::Check(args) => check::execute(args, around),
            Command::Exercise(args) => exercise::execute(args, around),
            Command::Lab(args) => lab::execute(args, around),
            Command::Install(args) => install::install(args, around),
            Command::Uninstall(args) => install::uninstall(args, around),
            Command::Doctor(args) => Ok(doctor::execute(args, around)),
            Command::Kernel(args) => kernel::execute(args),
            Command::Stock(args) => kernel::stock(args),
        }
    }
}
