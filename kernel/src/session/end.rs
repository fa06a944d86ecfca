//! What became of one piece of code: gathered from what evcxr says and what the cell says of itself.

use super::cell::{Cell, line_within};
use super::refusals::as_cargo_says;
use super::worker::{Finished, StreamName};
use super::{Host, Outcome, Output, Report};
use crate::lines::Line;
use std::collections::BTreeMap;

/// How much of what a cell said last on standard error is told where its process dies, in bytes.
const LAST_ERRORS: usize = 16 << 10;

/// What became of one piece of code.
pub(super) struct End {
    pub(super) finished: Finished,
    /// Whether the process has come to the cell.
    pub(super) began: bool,
    /// Whether evcxr had to be started anew.
    pub(super) started_anew: bool,
    /// Whether the cell was let go.
    pub(super) ran: bool,
    /// Whether what is shown next is the value that the cell ends in.
    pub(super) ends: bool,
    /// How the helper crate says that the cell ended.
    marked: Option<Outcome>,
    /// Whether all that the cell wrote to standard error is here.
    pub(super) errors_ended: bool,
    /// The last panic of the cell, caught or not.
    pub(super) panic: Option<String>,
    output_closed: bool,
    errors_closed: bool,
    stderr: String,
}

impl Default for End {
    fn default() -> Self {
        Self {
            finished: Finished::Failed(String::new()),
            began: false,
            started_anew: false,
            ran: false,
            ends: false,
            marked: None,
            errors_ended: false,
            panic: None,
            output_closed: false,
            errors_closed: false,
            stderr: String::new(),
        }
    }
}

impl End {
    pub(super) fn closed(&mut self, name: StreamName) {
        match name {
            StreamName::Output => self.output_closed = true,
            StreamName::Errors => self.errors_closed = true,
        }
    }

    /// Whether nothing more is to come, now that evcxr has finished.
    pub(super) fn is_whole(&self) -> bool {
        match self.finished {
            Finished::Returned { .. } if self.ran => {
                (self.marked.is_some() || self.output_closed) && (self.errors_ended || self.errors_closed)
            }
            Finished::Died(_) if self.began => self.output_closed && self.errors_closed,
            // Nothing of it has run.
            _ => true,
        }
    }

    pub(super) fn add_errors(&mut self, text: &str) {
        self.stderr += text;
        let surplus = self.stderr.len().saturating_sub(LAST_ERRORS);
        if surplus > LAST_ERRORS {
            let cut = (surplus..).find(|at| self.stderr.is_char_boundary(*at)).unwrap_or(0);
            self.stderr.drain(..cut);
        }
    }
}

pub(super) fn take_message(message: Line, cell: u64, end: &mut End, host: &mut dyn Host) {
    match message {
        Line::Done { cell: number } if number == cell => end.marked = Some(Outcome::Done),
        Line::ReturnedError { cell: number, message, line } if number == cell => {
            end.marked = Some(Outcome::ReturnedError(report(message, line, String::new())));
        }
        Line::Panicked { cell: number, message, line, backtrace } if number == cell => {
            end.marked = Some(Outcome::Panicked(report(message, line, backtrace)));
        }
        // Another cell's number: printed by the cell itself, or by a thread that an earlier one left running.
        Line::Began { .. } | Line::Done { .. } | Line::ReturnedError { .. } | Line::Panicked { .. } => {}
        Line::Progress { task, what, done, total, unit, finished } => {
            host.send(Output::Progress { task, what, done, total, unit, finished });
        }
        Line::Display { media, id } => host.send(Output::Display { media, id }),
        Line::Ends => end.ends = true,
        Line::Result { media } => {
            end.ends = false;
            host.send(Output::Result { media });
        }
        Line::Clear { wait } => host.send(Output::Clear { wait }),
        Line::Report { about, facts } => host.send(Output::Report { about, facts }),
        // Asked where the answer is waited for; the panic comes on standard error.
        Line::Ask { .. } | Line::Left | Line::Panicking { .. } => {}
    }
}

fn report(message: String, line: Option<u32>, detail: String) -> Report {
    Report { message, line: line.and_then(|line| usize::try_from(line).ok()), detail }
}

/// How a cell ended, by its own lines; `items` are what earlier cells have defined, by name.
pub(super) fn outcome(end: End, cell: &Cell, items: &BTreeMap<String, String>) -> Outcome {
    match end.finished {
        Finished::Returned { source, .. } => match end.marked {
            Some(Outcome::Panicked(report)) => Outcome::Panicked(placed(report, &source, cell, items)),
            Some(Outcome::ReturnedError(report)) => Outcome::ReturnedError(placed(report, &source, cell, items)),
            Some(outcome) => outcome,
            None => Outcome::Failed(Report::new("the cell returned without saying how it ended")),
        },
        Finished::Died(message) => {
            let cause = if message.contains("SIGSEGV") { ": most often a recursion without end" } else { "" };
            let panic = match end.panic {
                Some(panic) if message.contains("SIGABRT") => {
                    format!(": the cell panicked where that cannot be caught: {panic}")
                }
                _ => String::new(),
            };
            let report = Report::new(format!("{}{cause}{panic}", message.trim()));
            Outcome::Died(Report { detail: end.stderr, ..report })
        }
        Finished::Failed(message) => Outcome::Failed(Report::new(message)),
        Finished::Refused(refusals) => Outcome::CompileErrors(refusals.iter().map(as_cargo_says).collect()),
    }
}

/// A report with the cell's line in the place of the source's; where that is in what an earlier cell has defined, its name.
fn placed(report: Report, source: &str, cell: &Cell, items: &BTreeMap<String, String>) -> Report {
    let Some(at) = report.line else { return report };
    let line = line_in_cell(source, at).or_else(|| cell.line_of_item(source, at));
    let earlier = items.iter().find(|(_, text)| line.is_none() && line_within(source, text, at).is_some());
    let message = match earlier {
        Some((name, _)) => format!("{} (in `{name}`, of an earlier cell)", report.message),
        None => report.message,
    };
    Report { message, line, ..report }
}

/// The line of the cell for a line of the source that evcxr made of it.
fn line_in_cell(source: &str, line: usize) -> Option<usize> {
    let start = source.lines().position(|text| text.contains("candlewick::cell::run)("))?;
    line.checked_sub(start + 1).filter(|line| *line > 0)
}
