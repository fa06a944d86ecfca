//! How a run shows itself while it lasts: each cell as it begins and ends, and what it prints, live.
//!
//! All of it is for people and goes to standard error; standard output is for programs.

pub mod progress;

use crate::ansi;
use crate::outputs::Failure;
use crate::runner::{Event, first_line};
use crate::session::{Outcome, Output};
use progress::{Shown, Step, Tasks, duration};
use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::time::Instant;

/// What stands before all that a cell sends.
const GUTTER: &str = "        ";

/// Shows a run. Nothing here fails: where nobody reads any more, there is nobody to tell.
pub struct Terminal {
    out: Box<dyn Write>,
    /// In characters; none where lines cannot be redrawn.
    width: Option<usize>,
    colours: bool,
    tasks: Tasks,
    /// The bar that stands in the last line.
    bar: Option<String>,
    /// Whether the last line still waits for its newline.
    open: bool,
    /// The cell's named displays, and the words for each that were last shown.
    named: BTreeMap<String, String>,
}

impl Terminal {
    /// Shows runs on standard error, as it is: colours and bars on a terminal, plain whole lines elsewhere.
    pub fn stderr() -> Self {
        let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let tty = std::io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb");
        let columns = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok()).unwrap_or(80);
        let width = tty.then_some(columns).map(|columns: usize| columns.max(20));
        Self::new(Box::new(std::io::stderr()), width, tty && !is_set("NO_COLOR"))
    }

    /// Shows runs on `out`. With a width, lines may be redrawn.
    pub fn new(out: Box<dyn Write>, width: Option<usize>, colours: bool) -> Self {
        Self { out, width, colours, tasks: Tasks::default(), bar: None, open: false, named: BTreeMap::new() }
    }

    /// Shows one event of a run.
    pub fn show(&mut self, event: &Event<'_>) {
        match event {
            Event::Begins { number, of, source } => {
                let digits = of.to_string().len();
                let room = self.width.map_or(100, |width| width.saturating_sub(2 * digits + 4));
                let line = clipped(first_line(source), room);
                let head = self.painted("1", &format!("[{number:digits$}/{of}]"));
                self.line(&format!("{head} {line}"));
            }
            Event::Sent(output) => self.sent(output),
            Event::Ends { outcome, took, .. } => {
                self.tasks.clear();
                self.named.clear();
                self.unbar();
                let took = duration(*took);
                match Failure::of(outcome) {
                    None => self.line(&self.painted("2", &format!("{GUTTER}{took}"))),
                    Some(failure) => self.failed(outcome, &failure, &took),
                }
            }
        }
    }

    /// Shows what anything sends: a cell, or the building of its environment.
    pub fn sent(&mut self, output: &Output) {
        match output {
            Output::Stdout(text) | Output::Stderr(text) => self.print(text),
            Output::Display { media, id: Some(id) } => {
                let words = words(media);
                let before = self.named.insert(id.clone(), words.clone()).unwrap_or_default();
                // A display that grows says what is new; one that stays the same (a curve's words) says nothing.
                let new = words.strip_prefix(&before).unwrap_or(&words).trim_start_matches('\n');
                if !new.is_empty() {
                    self.whole_lines(new);
                }
            }
            Output::Display { media, id: None } | Output::Result { media } => self.whole_lines(&words(media)),
            Output::Progress { task, what, done, total, unit, finished } => self.progress(&Step {
                task: *task,
                what: one_line(what),
                done: *done,
                total: *total,
                unit: one_line(unit),
                finished: *finished,
            }),
            Output::Clear { .. } | Output::Report { .. } => {}
        }
    }

    /// One whole line for people.
    pub fn line(&mut self, text: &str) {
        self.unbar();
        if self.open {
            self.write("\n");
            self.open = false;
        }
        self.write(&format!("{text}\n"));
    }

    fn failed(&mut self, outcome: &Outcome, failure: &Failure, took: &str) {
        let text = if self.colours { ansi::tame(&failure.text) } else { ansi::plain(&failure.text) };
        for line in text.lines() {
            self.line(&format!("{GUTTER}{line}"));
        }
        let what = match outcome {
            Outcome::CompileErrors(_) => "does not compile",
            Outcome::Panicked(_) => "panicked",
            Outcome::ReturnedError(_) => "returned an error",
            Outcome::Error { .. } => "failed",
            Outcome::Died(_) => "died",
            Outcome::Interrupted(_) => "interrupted",
            Outcome::Failed(_) | Outcome::Done => "could not be run",
        };
        self.line(&format!("{GUTTER}{} after {took}", self.painted("1;31", what)));
    }

    /// Text as it comes. A line may come in pieces; what redraws itself by a carriage return becomes whole lines.
    fn print(&mut self, text: &str) {
        self.unbar();
        let text = if self.colours { ansi::tame(text) } else { ansi::plain(text) };
        for piece in text.split_inclusive(['\n', '\r']) {
            let line = piece.trim_end_matches(['\n', '\r']);
            let mut shown = if self.open || line.is_empty() { String::new() } else { GUTTER.to_owned() };
            shown.push_str(line);
            self.open |= !line.is_empty();
            // An empty line is shown; a carriage return with nothing before it is not a line.
            if piece.ends_with('\n') || (piece.ends_with('\r') && self.open) {
                shown.push('\n');
                self.open = false;
            }
            self.write(&shown);
        }
    }

    fn whole_lines(&mut self, text: &str) {
        if self.open {
            self.print("\n");
        }
        self.print(&format!("{text}\n"));
    }

    fn progress(&mut self, step: &Step) {
        let room = self.width.map(|width| width.saturating_sub(GUTTER.len() + 1));
        match self.tasks.step(step, Instant::now(), room) {
            Shown::Nothing => {}
            Shown::Line(line) => self.line(&format!("{GUTTER}{line}")),
            Shown::Bar(bar) if self.bar.as_ref() == Some(&bar) => {}
            Shown::Bar(bar) => {
                if self.open {
                    self.line("");
                }
                self.write(&format!("\r\u{1b}[2K{GUTTER}{bar}"));
                self.bar = Some(bar);
            }
        }
    }

    /// Takes the bar away, so that a line can stand in its place.
    fn unbar(&mut self) {
        if self.bar.take().is_some() {
            self.write("\r\u{1b}[2K");
        }
    }

    fn painted(&self, code: &str, text: &str) -> String {
        if self.colours { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    fn write(&mut self, text: &str) {
        let _ = self.out.write_all(text.as_bytes()).and_then(|()| self.out.flush());
    }
}

/// What a terminal shows of a display: its words.
fn words(media: &BTreeMap<String, String>) -> String {
    let words = media.get("text/plain").map(|text| text.trim_end()).unwrap_or_default();
    if media.keys().any(|kind| kind.starts_with("image/")) {
        format!("‹picture: {}›", one_line(words))
    } else if words.is_empty() {
        format!("‹{}›", media.keys().map(|kind| one_line(kind)).collect::<Vec<_>>().join(", "))
    } else {
        words.to_owned()
    }
}

/// Text for one line of a terminal: no line breaks, nothing that a terminal obeys.
fn one_line(text: &str) -> String {
    let words = ansi::plain(text);
    let words: Vec<&str> =
        words.split(|c: char| c.is_whitespace() || c.is_control()).filter(|w| !w.is_empty()).collect();
    words.join(" ")
}

fn clipped(text: &str, room: usize) -> String {
    let text = one_line(text);
    if text.chars().count() <= room {
        return text;
    }
    let kept: String = text.chars().take(room.saturating_sub(1)).collect();
    format!("{kept}…")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::echo::Echo;
    use crate::notebook::Notebook;
    use std::sync::{Arc, Mutex};

    /// What was written, for a test to look at.
    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// A pipe whose reader has gone.
    struct Closed;

    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Err(std::io::ErrorKind::BrokenPipe.into())
        }
    }

    fn notebook(cells: &[&str]) -> Notebook {
        let cells: Vec<_> = cells.iter().map(|code| serde_json::json!({"cell_type": "code", "source": code})).collect();
        Notebook::parse(&serde_json::json!({"nbformat": 4, "cells": cells}).to_string()).unwrap()
    }

    fn shown(cells: &[&str], width: Option<usize>, colours: bool) -> String {
        let written = Written::default();
        let mut terminal = Terminal::new(Box::new(written.clone()), width, colours);
        crate::runner::run(&mut notebook(cells), &mut Echo::default(), &mut |event| terminal.show(&event));
        let bytes = written.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    /// Times differ from run to run.
    fn without_times(text: &str) -> String {
        text.replace("0.00 s", "TIME").replace("0.01 s", "TIME")
    }

    #[test]
    fn a_run_reads_as_whole_lines_where_there_is_no_terminal() {
        let cells = [
            "print \u{1b}[32mone\u{1b}[0m\nwrite two\nshow <svg/>\nvalue (32, 1280)\nhtml <b>",
            "progress 0/4\nprogress 1/4\nprogress 4/4",
            "write no newline\npanic too\u{1b}[2J bad",
        ];
        let want = "\
[1/3] print one
        one
        two
        ‹picture: a drawing›
        (32, 1280)
        ‹text/html›
        TIME
[2/3] progress 0/4
        Counting 0 % of 4 sheep
        Counting 25 % of 4 sheep
        Counting 4 sheep, TIME
        TIME
[3/3] write no newline
        no newline
        the cell panicked (line 2)
        too bad
        backtrace
        panicked after TIME
";
        assert_eq!(without_times(&shown(&cells, None, false)), want);
    }

    #[test]
    fn a_bar_is_gone_before_the_next_line() {
        let text = shown(&["progress 1/4\nprint done"], Some(80), true);
        let (bar, after) = text.split_once("Counting").unwrap();
        assert!(bar.ends_with("\r\u{1b}[2K        "), "{text:?}");
        assert!(after.contains("sheep\r\u{1b}[2K        done\n"), "{text:?}");
    }

    #[test]
    fn a_display_that_grows_is_named_once() {
        let text =
            shown(&["show-as curve one\nshow-as curve one\nshow-as curve two", "show-as curve two"], None, false);
        assert_eq!((text.matches("        one\n").count(), text.matches("        two\n").count()), (1, 2));
    }

    #[test]
    fn a_closed_pipe_stops_nothing() {
        let mut terminal = Terminal::new(Box::new(Closed), Some(80), true);
        let mut notebook = notebook(&["print a", "progress 1/2", "panic b"]);
        let run = crate::runner::run(&mut notebook, &mut Echo::default(), &mut |event| terminal.show(&event));
        assert_eq!(run.ran, 3);
    }

    #[test]
    fn long_first_lines_are_clipped_to_the_terminal() {
        let code = format!("print {}", "é".repeat(200));
        let text = shown(&[&code], Some(40), false);
        assert_eq!(text.lines().next().map(|line| line.chars().count()), Some(40));
    }
}
