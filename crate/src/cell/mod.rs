//! What the candlewick kernel wraps around each cell: variables that outlive it, and a true account of how it ended.
//!
//! Nobody calls this by hand. Variables are kept here, in the helper crate's one dylib, so that all cells share them.

mod channel;
mod kept;
mod panics;

pub use kept::{Kept, check, put, put_back, take, type_of};

pub(crate) use channel::{ask, send};

use crate::notebook::lines::Line;
use std::cell::Cell;
use std::fmt::Display;
use std::io::Write as _;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::sync::{Once, OnceLock};
use std::time::Duration;

thread_local! {
    /// Whether this thread is the one that runs the cells.
    static IN_CELL: Cell<bool> = const { Cell::new(false) };
    /// Whether the next display is of the value that the cell ends in.
    static ENDS: Cell<bool> = const { Cell::new(false) };
}

/// The process that runs the cells.
static PROCESS: OnceLock<u32> = OnceLock::new();

/// What ended a cell early.
///
/// Anything that can be displayed turns into it, so that `?` works on every kind of error.
pub struct Failure(Kind);

enum Kind {
    Returned { message: String, line: Option<u32> },
    Panicked(panics::Panic),
}

impl<E: Display> From<E> for Failure {
    #[track_caller]
    fn from(error: E) -> Self {
        Self::returned(&error, Location::caller())
    }
}

// Generic code is compiled again in every cell that uses it, at some 50 ms a function. So what is generic here only
// passes on, and the work is done in functions that were compiled once.
impl Failure {
    #[inline(never)]
    fn returned(error: &dyn Display, place: &Location<'_>) -> Self {
        Self(Kind::Returned { message: error.to_string(), line: cell_line(place) })
    }
}

/// Runs one cell and tells the kernel how it ended. `number` is the kernel's own.
#[track_caller]
pub fn run(number: u64, cell: impl FnOnce() -> Result<(), Failure>) {
    run_boxed(number, Location::caller().line(), Box::new(cell));
}

#[inline(never)]
fn run_boxed(number: u64, line: u32, cell: Box<dyn FnOnce() -> Result<(), Failure> + '_>) {
    static FLUSHED: Once = Once::new();
    FLUSHED.call_once(flush_now_and_then);
    PROCESS.get_or_init(std::process::id);
    panics::note();
    crate::notebook::listen_for_interrupts();
    channel::enter();
    panics::last().take();
    crate::notebook::resume();
    if channel::wanted(number) {
        ENDS.set(false);
        IN_CELL.set(true);
        panics::begins_in(line);
        let ended = guard_boxed(cell);
        panics::begins_in(0);
        IN_CELL.set(false);
        end_if_forked(&ended);
        channel::take_back();
        send(&account(number, ended));
        // On both channels: the kernel waits for both, so that no late line is taken for the next cell's. Where standard
        // error is closed, nothing can be late on it.
        channel::send_errors(&Line::Done { cell: number });
    }
    channel::leave();
}

/// A cell may have made a second process of this one. That has run to the cell's end and has nothing to go on with: the
/// kernel and evcxr talk with the first.
fn end_if_forked(ended: &Result<(), Failure>) {
    if PROCESS.get().is_none_or(|process| *process == std::process::id()) {
        return;
    }
    let _ = std::io::stdout().flush();
    let code = match ended {
        Ok(()) => 0,
        Err(Failure(Kind::Returned { message, .. })) => {
            eprintln!("A forked process ended early: {message}");
            1
        }
        Err(Failure(Kind::Panicked(panic))) => {
            eprintln!("A forked process panicked: {}", panic.message);
            101
        }
    };
    std::process::exit(code);
}

/// Rust keeps what `print!` writes until the line is whole; a row of dots is there to be seen grow.
fn flush_now_and_then() {
    const PAUSE: Duration = Duration::from_millis(100);
    let flush = || loop {
        std::thread::sleep(PAUSE);
        // Where nobody reads any more, the process is about to end.
        let _ = std::io::stdout().flush();
    };
    // Without it lines appear when they are whole.
    let _ = std::thread::Builder::new().name("flush".to_owned()).spawn(flush);
}

/// Announces that what is shown next is the value that the cell ends in.
#[inline(never)]
pub fn ends_in() {
    ENDS.set(true);
    send(&Line::Ends);
}

/// Whether what is about to be shown is the value that the cell ends in.
pub(crate) fn takes_end() -> bool {
    ENDS.take()
}

/// How a cell ended, as the kernel is told.
fn account(cell: u64, ended: Result<(), Failure>) -> Line {
    match ended {
        Ok(()) => Line::Done { cell },
        Err(Failure(Kind::Returned { message, line })) => Line::ReturnedError { cell, message, line },
        Err(Failure(Kind::Panicked(panics::Panic { message, line, backtrace }))) => {
            Line::Panicked { cell, message, line, backtrace }
        }
    }
}

/// Runs the part of a cell that people wrote; a panic in it becomes a [`Failure`], so that variables can be put back.
///
/// # Errors
/// What the code returned early with, or that it panicked.
pub fn guard(code: impl FnOnce() -> Result<(), Failure>) -> Result<(), Failure> {
    guard_boxed(Box::new(code))
}

#[inline(never)]
fn guard_boxed(code: Box<dyn FnOnce() -> Result<(), Failure> + '_>) -> Result<(), Failure> {
    catch_unwind(AssertUnwindSafe(code))
        .unwrap_or_else(|payload| Err(Failure(Kind::Panicked(panics::of_payload(&*payload)))))
}

/// Whether this crate was compiled with debug assertions: not in a notebook, whose cells have them all the same.
pub fn has_debug_assertions() -> bool {
    cfg!(debug_assertions)
}

/// A cell is compiled as `src/lib.rs`, by that relative name; every other crate has a longer path.
fn cell_line(place: &Location<'_>) -> Option<u32> {
    (place.file() == "src/lib.rs").then(|| place.line())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_and_an_error_are_failures_and_variables_survive_them() {
        let panicked = guard(|| panic!("no"));
        assert!(matches!(panicked, Err(Failure(Kind::Panicked(panic))) if panic.message == "no"));
        let returned = guard(|| {
            "x".parse::<i32>()?;
            Ok(())
        });
        assert!(
            matches!(returned, Err(Failure(Kind::Returned { message, .. })) if message == "invalid digit found in string")
        );
    }
}
