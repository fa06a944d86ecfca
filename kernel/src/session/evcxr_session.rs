//! The session over evcxr.

use super::cell::{Cell, Moved, Variables};
use super::compiler::{Compiler, Judgement};
use super::worker::{Event, Finished, Refusal, Worker};
use super::{Diagnostic, Outcome, Output, Report, Session};
use crate::build::{SessionFolder, Template};
use crate::lines::Line;
use anyhow::Result;
use std::path::PathBuf;
use std::time::Duration;

/// How a session is opened.
#[derive(Clone, Debug)]
pub struct SessionOptions {
    /// The program that runs the cells: one whose `main` begins with `evcxr::runtime_hook()`.
    pub runtime: PathBuf,
    /// The folder that cells see as the current one.
    pub directory: PathBuf,
    /// Environment variables for the cells.
    pub environment: Vec<(String, String)>,
}

/// One evcxr context, and what it needs to tell the truth and keep up.
pub struct EvcxrSession {
    worker: Worker,
    compiler: Compiler,
    kept: Variables,
    cells: u64,
    peak_memory: Option<u64>,
    /// Last, so that it goes when nothing uses it any more.
    _folder: SessionFolder,
}

/// How often a cell is built again because a variable turns out to be used up.
const RETRIES: usize = 8;
/// How long lines on standard error may lag behind those on standard output.
const STDERR_LAG: Duration = Duration::from_millis(500);

impl EvcxrSession {
    /// Opens a session against a finished template.
    ///
    /// # Errors
    /// Where the disk or evcxr refuses.
    pub fn open(template: &Template, options: &SessionOptions) -> Result<Self> {
        let folder = SessionFolder::create(template)?;
        let worker = Worker::start(template, &folder, &options.runtime, &options.directory, &options.environment)?;
        let compiler = Compiler::new(&template.toolchain, folder.path());
        Ok(Self { worker, compiler, kept: Variables::new(), cells: 0, peak_memory: None, _folder: folder })
    }

    fn run(&mut self, code: &str, out: &mut dyn FnMut(Output)) -> Result<Outcome> {
        self.cells += 1;
        let cell = match Cell::parse(code) {
            Ok(cell) => cell,
            Err((commands, text)) => return self.run_unparsed(commands, &text, out),
        };
        if let Some(failed) = self.run_commands(&cell.commands, out)? {
            return Ok(failed);
        }
        if cell.is_empty() {
            return Ok(Outcome::Done);
        }
        let made = match self.judge(&cell)? {
            Judgement::Sound(made) => made,
            Judgement::Wrong(diagnostics) => return Ok(Outcome::CompileErrors(diagnostics)),
        };
        self.run_cell(&cell, made, out)
    }

    /// Only a cell that binds variables needs to be judged first; for the others, building them is judgement enough.
    fn judge(&self, cell: &Cell) -> Result<Judgement> {
        if cell.bound.is_empty() {
            Ok(Judgement::Sound(Variables::new()))
        } else {
            self.compiler.judge(cell, &self.kept)
        }
    }

    fn run_cell(&mut self, cell: &Cell, made: Variables, out: &mut dyn FnMut(Output)) -> Result<Outcome> {
        let mut moved = Moved::default();
        for _ in 0..RETRIES {
            let end = self.execute(cell.wrapped(self.cells, &self.kept, &moved), out)?;
            if let Finished::Refused(refusals) = &end.finished {
                if note_moved(refusals, cell.keeping_lines(), &mut moved) {
                    continue;
                }
                let own = self.compiler.check(cell, &self.kept)?;
                let diagnostics = if own.is_empty() { refusals.iter().map(as_evcxr_says).collect() } else { own };
                return Ok(Outcome::CompileErrors(diagnostics));
            }
            let outcome = outcome(end);
            self.keep(made, &moved, &outcome);
            return Ok(outcome);
        }
        Ok(Outcome::Failed(Report::new(
            "the variables that this cell uses up could not be told: split it into smaller cells",
        )))
    }

    /// Which variables there are after a cell.
    fn keep(&mut self, made: Variables, moved: &Moved, outcome: &Outcome) {
        match outcome {
            Outcome::Died(_) => {
                self.kept.clear();
                return;
            }
            Outcome::Failed(_) => return,
            _ => self.kept.retain(|name, _| !moved.old.contains(name)),
        }
        if *outcome == Outcome::Done {
            self.kept.extend(made.into_iter().filter(|(name, _)| !moved.new.contains(name)));
        }
    }

    /// evcxr's own commands; an outcome only where one fails.
    fn run_commands(&mut self, commands: &[String], out: &mut dyn FnMut(Output)) -> Result<Option<Outcome>> {
        for command in commands {
            let dependency = command.strip_prefix(":dep ").map(|rest| {
                rest.split(['=', ' ', '@']).find(|word| !word.is_empty()).unwrap_or_default().replace('-', "_")
            });
            let execute = match dependency.as_deref() {
                // It is there already.
                Some("candlewick") => continue,
                Some(name @ ("candle_core" | "candle_nn")) => {
                    out(Output::Stdout(format!(
                        "`{name}` is candlewick's own: a second copy would number tensors anew and give wrong gradients.\n"
                    )));
                    format!("use candlewick::{name};")
                }
                Some(name) => {
                    self.compiler.add_crate(name);
                    command.clone()
                }
                None => command.clone(),
            };
            let end = self.execute(execute, out)?;
            match end.finished {
                Finished::Returned { .. } => {}
                Finished::Refused(refusals) => {
                    return Ok(Some(Outcome::CompileErrors(refusals.iter().map(as_evcxr_says).collect())));
                }
                Finished::Died(message) => return Ok(Some(Outcome::Died(Report::new(message)))),
                Finished::Failed(message) => return Ok(Some(Outcome::Failed(Report::new(message)))),
            }
        }
        Ok(None)
    }

    fn run_unparsed(&mut self, commands: Vec<String>, text: &str, out: &mut dyn FnMut(Output)) -> Result<Outcome> {
        let diagnostics = self.compiler.check_text(text, &self.kept)?;
        if !diagnostics.is_empty() {
            return Ok(Outcome::CompileErrors(diagnostics));
        }
        let _ = (commands, out);
        Ok(Outcome::Failed(Report::new("the cell's syntax is newer than the parser that this kernel uses")))
    }

    /// Has evcxr run `code` and passes on what it says.
    fn execute(&mut self, code: String, out: &mut dyn FnMut(Output)) -> Result<End> {
        self.worker.request(code)?;
        let mut end = End { finished: Finished::Failed(String::new()), marked: None, stderr: String::new() };
        let (mut began, mut stderr_open) = (false, true);
        let mut waiting = true;
        while waiting || (began && stderr_open) {
            let patience = if waiting { None } else { Some(STDERR_LAG) };
            match self.worker.event(patience)? {
                None => stderr_open = false,
                Some(Event::Finished(finished)) => {
                    waiting = false;
                    // The end of its process is the end of its lines.
                    stderr_open &= !matches!(finished, Finished::Died(_));
                    end.finished = finished;
                }
                Some(Event::Stderr(line)) => match Line::decode(&line) {
                    Some((before, _)) => {
                        stderr_open = false;
                        say(before, "", &mut |text| out(Output::Stderr(text)));
                    }
                    None => {
                        end.stderr += &line;
                        end.stderr.push('\n');
                        out(Output::Stderr(line + "\n"));
                    }
                },
                Some(Event::Stdout(line)) => match Line::decode(&line) {
                    Some((before, message)) => {
                        say(before, "", &mut |text| out(Output::Stdout(text)));
                        began |= matches!(message, Line::Began { .. });
                        take_message(message, self.cells, &mut end, out);
                    }
                    None => out(Output::Stdout(line + "\n")),
                },
            }
        }
        if let Finished::Returned { media, source } = &mut end.finished {
            self.compiler.remember_items(source);
            if !media.is_empty() {
                out(Output::Result { media: std::mem::take(media) });
            }
        }
        self.note_memory();
        Ok(end)
    }

    fn note_memory(&mut self) {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.worker.process())).unwrap_or_default();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kibibytes = peak.and_then(|peak| peak.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        self.peak_memory = self.peak_memory.max(kibibytes.map(|kibibytes| kibibytes * 1024));
    }
}

impl Session for EvcxrSession {
    fn execute(&mut self, code: &str, out: &mut dyn FnMut(Output)) -> Outcome {
        self.run(code, out).unwrap_or_else(|error| Outcome::Failed(Report::new(format!("{error:#}"))))
    }

    fn peak_memory(&self) -> Option<u64> {
        self.peak_memory
    }
}

/// What became of one piece of code.
struct End {
    finished: Finished,
    /// How the helper crate says that the cell ended.
    marked: Option<Outcome>,
    stderr: String,
}

fn say(text: &str, end: &str, out: &mut dyn FnMut(String)) {
    if !text.is_empty() {
        out(format!("{text}{end}"));
    }
}

fn take_message(message: Line, cell: u64, end: &mut End, out: &mut dyn FnMut(Output)) {
    // Line n of the cell is line n + 1 of what was compiled, behind the items; the line is told by the source instead.
    match message {
        Line::Began { .. } => {}
        Line::Done { cell: number } if number == cell => end.marked = Some(Outcome::Done),
        Line::ReturnedError { cell: number, message } if number == cell => {
            end.marked = Some(Outcome::ReturnedError(Report::new(message)));
        }
        Line::Panicked { cell: number, message, line } if number == cell => {
            let line = line.and_then(|line| usize::try_from(line).ok());
            end.marked = Some(Outcome::Panicked(Report { message, line, detail: String::new() }));
        }
        // Another cell's number: printed by the cell itself, or by a thread that an earlier one left running.
        Line::Done { .. } | Line::ReturnedError { .. } | Line::Panicked { .. } => {}
        Line::Progress { task, what, done, total, unit, finished } => {
            out(Output::Progress { task, what, done, total, unit, finished });
        }
        Line::Display { media, id } => out(Output::Display { media, id }),
        Line::Report { about, facts } => out(Output::Report { about, facts }),
    }
}

fn outcome(end: End) -> Outcome {
    match end.finished {
        Finished::Returned { source, .. } => match end.marked {
            Some(Outcome::Panicked(report)) => {
                let line = report.line.and_then(|line| line_in_cell(&source, line));
                Outcome::Panicked(Report { line, ..report })
            }
            Some(outcome) => outcome,
            None => Outcome::Failed(Report::new("the cell returned without saying how it ended")),
        },
        Finished::Died(message) => Outcome::Died(Report { detail: end.stderr, ..Report::new(message.trim()) }),
        Finished::Failed(message) => Outcome::Failed(Report::new(message)),
        Finished::Refused(refusals) => Outcome::CompileErrors(refusals.iter().map(as_evcxr_says).collect()),
    }
}

/// The line of the cell for a line of the source that evcxr made of it.
fn line_in_cell(source: &str, line: usize) -> Option<usize> {
    let start = source.lines().position(|text| text.contains("candlewick::cell::run("))?;
    line.checked_sub(start + 1).filter(|line| *line > 0)
}

fn as_evcxr_says(refusal: &Refusal) -> Diagnostic {
    Diagnostic {
        code: refusal.code.clone(),
        message: refusal.message.clone(),
        line: refusal.line.and_then(|line| line.checked_sub(1)).filter(|line| *line > 0),
        column: None,
        rendered: refusal.rendered.clone(),
    }
}

/// Notes the variables that the compiler says are used up where they should be kept; whether there were any new ones.
fn note_moved(refusals: &[Refusal], (new, old): (usize, usize), moved: &mut Moved) -> bool {
    let mut found = false;
    for refusal in refusals.iter().filter(|refusal| refusal.code.as_deref() == Some("E0382")) {
        let Some(name) = refusal.message.split('`').nth(1).and_then(|place| place.split('.').next()) else { continue };
        let set = match refusal.line {
            Some(line) if line == new => &mut moved.new,
            Some(line) if line == old => &mut moved.old,
            _ => continue,
        };
        found |= set.insert(name.to_owned());
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_that_is_used_up_is_told_from_a_mistake() {
        let refusal = |message: &str, line| Refusal {
            code: Some("E0382".into()),
            message: message.into(),
            line: Some(line),
            rendered: String::new(),
        };
        let mut moved = Moved::default();
        assert!(!note_moved(&[refusal("use of moved value: `a`", 2)], (5, 6), &mut moved), "in the cell itself");
        assert!(note_moved(&[refusal("use of moved value: `a`", 5)], (5, 6), &mut moved));
        assert!(note_moved(&[refusal("use of partially moved value: `b.c`", 6)], (5, 6), &mut moved));
        assert!(!note_moved(&[refusal("use of moved value: `b`", 6)], (5, 6), &mut moved), "known already");
        assert!(moved.new.contains("a") && moved.old.contains("b") && moved.old.len() == 1);
    }
}
