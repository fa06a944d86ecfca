//! The session over evcxr.

use super::cell::{Cell, Moved, Variable, Variables, words};
use super::compiler::{Compiler, Judgement};
use super::worker::{Event, Finished, Refusal, Worker};
use super::{Completeness, Completions, Control, Diagnostic, Host, Outcome, Output, Report, Session};
use crate::build::{SessionFolder, Template};
use crate::lines::Line;
use anyhow::Result;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
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
    /// What the cells have defined or imported so far: name and text.
    items: BTreeMap<String, String>,
    cells: u64,
    peak_memory: Option<u64>,
    /// Last, so that it goes when nothing uses it any more.
    _folder: SessionFolder,
}

/// How often a cell is built again because a variable turns out to be used up.
const RETRIES: usize = 8;
/// How long lines may lag behind evcxr's word that it has finished.
const LAG: Duration = Duration::from_secs(2);
/// How long lines are waited for that may or may not come.
const DRAIN: Duration = Duration::from_millis(20);

impl EvcxrSession {
    /// Opens a session against a finished template.
    ///
    /// # Errors
    /// Where the disk or evcxr refuses.
    pub fn open(template: &Template, options: &SessionOptions) -> Result<Self> {
        let folder = SessionFolder::create(template)?;
        let worker = Worker::start(template, &folder, &options.runtime, &options.directory, &options.environment)?;
        let compiler = Compiler::new(&template.toolchain, folder.path());
        let (kept, items) = (Variables::new(), BTreeMap::new());
        Ok(Self { worker, compiler, kept, items, cells: 0, peak_memory: None, _folder: folder })
    }

    fn run(&mut self, code: &str, host: &mut dyn Host) -> Result<Outcome> {
        self.cells += 1;
        let cell = match Cell::parse(code) {
            Ok(cell) => cell,
            Err((_, text)) => return self.refuse_unparsed(&text),
        };
        if let Some(failed) = self.run_commands(&cell.commands, host)? {
            return Ok(failed);
        }
        if cell.is_empty() {
            return Ok(Outcome::Done);
        }
        let made = match self.judge(&cell)? {
            Judgement::Sound(made) => made,
            Judgement::Wrong(diagnostics) => return Ok(Outcome::CompileErrors(diagnostics)),
        };
        self.drop_outdated(&cell, host);
        self.run_cell(&cell, made, host)
    }

    /// Drops variables whose type may not be what it was.
    ///
    /// Every cell compiles all items anew, and the compiler takes a type of the same name for the same type, whatever its
    /// fields are now. So where a cell defines a name anew, and differently, nothing of a type of the notebook's own stays.
    fn drop_outdated(&mut self, cell: &Cell, host: &mut dyn Host) {
        let definitions = cell.definitions();
        let changed = definitions.iter().any(|(name, text)| self.items.get(name).is_some_and(|before| before != text));
        self.items.extend(definitions);
        if !changed {
            return;
        }
        let own = |variable: &Variable| words(&variable.type_name).iter().any(|word| self.items.contains_key(word));
        let outdated: Vec<String> =
            self.kept.iter().filter(|(_, variable)| own(variable)).map(|(name, _)| name.clone()).collect();
        if !outdated.is_empty() {
            let names = outdated.join("`, `");
            host.send(Output::Stdout(format!("`{names}` went: a type of the notebook's own has been defined anew.\n")));
            self.kept.retain(|name, _| !outdated.contains(name));
        }
    }

    /// Only a cell that binds variables needs to be judged first; for the others, building them is judgement enough.
    fn judge(&self, cell: &Cell) -> Result<Judgement> {
        if cell.bound.is_empty() {
            Ok(Judgement::Sound(Variables::new()))
        } else {
            self.compiler.judge(cell, &self.kept)
        }
    }

    fn run_cell(&mut self, cell: &Cell, made: Variables, host: &mut dyn Host) -> Result<Outcome> {
        let mut moved = Moved::default();
        for _ in 0..RETRIES {
            let end = self.execute(cell.wrapped(self.cells, &self.kept, &moved), true, host)?;
            if let Finished::Refused(refusals) = &end.finished {
                if note_moved(refusals, cell.keeping_lines(), &mut moved) {
                    continue;
                }
                let own = self.compiler.check(cell, &self.kept)?;
                let diagnostics = match borrowed(refusals) {
                    _ if !own.is_empty() => own,
                    Some(borrowed) => vec![borrowed],
                    None => refusals.iter().map(as_evcxr_says).collect(),
                };
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
            self.kept.retain(|name, _| !moved.new.contains(name));
            self.kept.extend(made.into_iter().filter(|(name, _)| !moved.new.contains(name)));
        }
    }

    /// evcxr's own commands; an outcome only where one fails.
    fn run_commands(&mut self, commands: &[String], host: &mut dyn Host) -> Result<Option<Outcome>> {
        for command in commands {
            let dependency = command.strip_prefix(":dep ").map(|rest| {
                rest.split(['=', ' ', '@']).find(|word| !word.is_empty()).unwrap_or_default().replace('-', "_")
            });
            let execute = match dependency.as_deref() {
                // It is there already.
                Some("candlewick") => continue,
                Some(name @ ("candle_core" | "candle_nn")) => {
                    host.send(Output::Stdout(format!(
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
            let end = self.execute(execute, false, host)?;
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

    fn refuse_unparsed(&self, text: &str) -> Result<Outcome> {
        let diagnostics = self.compiler.check_text(text, &self.kept)?;
        if !diagnostics.is_empty() {
            return Ok(Outcome::CompileErrors(diagnostics));
        }
        Ok(Outcome::Failed(Report::new("the cell's syntax is newer than the parser that this kernel uses")))
    }

    /// Has evcxr run `code` and passes on what it says. A `marked` code tells its end itself.
    fn execute(&mut self, code: String, marked: bool, host: &mut dyn Host) -> Result<End> {
        self.worker.request(code)?;
        let mut end = End { finished: Finished::Failed(String::new()), marked: None, stderr: String::new() };
        let (mut waiting, mut stderr_open) = (true, marked);
        // evcxr may have finished before its process's last lines are here.
        while waiting || stderr_open || (marked && end.marked.is_none()) {
            let patience = if waiting { None } else { Some(LAG) };
            match self.worker.event(patience)? {
                None => break,
                Some(Event::Finished(finished)) => {
                    waiting = false;
                    end.finished = finished;
                    if !matches!(end.finished, Finished::Returned { .. }) {
                        // Code that did not run, or whose process has died, tells no end.
                        self.drain(&mut end, host);
                        break;
                    }
                }
                Some(event) => stderr_open &= !self.pass_on(event, &mut end, host),
            }
        }
        if let Finished::Returned { media, source } = &mut end.finished {
            self.compiler.remember_items(source);
            if !media.is_empty() {
                host.send(Output::Result { media: std::mem::take(media) });
            }
        }
        self.note_memory();
        Ok(end)
    }

    /// Passes on what has been said already.
    fn drain(&self, end: &mut End, host: &mut dyn Host) {
        while let Ok(Some(event)) = self.worker.event(Some(DRAIN)) {
            self.pass_on(event, end, host);
        }
    }

    /// Passes on one line; whether it was the end mark on standard error.
    fn pass_on(&self, event: Event, end: &mut End, host: &mut dyn Host) -> bool {
        match event {
            Event::Stderr(line) => match Line::decode(&line) {
                Some((before, _)) => {
                    if !before.is_empty() {
                        host.send(Output::Stderr(before.to_owned()));
                    }
                    return true;
                }
                None => {
                    end.stderr += &line;
                    end.stderr.push('\n');
                    host.send(Output::Stderr(line + "\n"));
                }
            },
            Event::Stdout(line) => match Line::decode(&line) {
                Some((before, message)) => {
                    if !before.is_empty() {
                        host.send(Output::Stdout(before.to_owned()));
                    }
                    take_message(message, self.cells, end, host);
                }
                None => host.send(Output::Stdout(line + "\n")),
            },
            Event::Finished(_) => {}
        }
        false
    }

    fn note_memory(&mut self) {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.worker.process())).unwrap_or_default();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kibibytes = peak.and_then(|peak| peak.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        self.peak_memory = self.peak_memory.max(kibibytes.map(|kibibytes| kibibytes * 1024));
    }
}

impl Session for EvcxrSession {
    fn execute(&mut self, code: &str, host: &mut dyn Host) -> Outcome {
        self.run(code, host).unwrap_or_else(|error| Outcome::Failed(Report::new(format!("{error:#}"))))
    }

    fn control(&self) -> Arc<dyn Control> {
        struct Nothing;
        impl Control for Nothing {
            fn interrupt(&self) {}
            fn kill(&self) {}
        }
        Arc::new(Nothing)
    }

    fn completeness(&self, _: &str) -> Completeness {
        Completeness::Complete
    }

    fn complete(&mut self, _: &str, cursor: usize) -> Completions {
        Completions { matches: Vec::new(), replaces: cursor..cursor }
    }

    fn inspect(&mut self, _: &str, _: usize) -> Option<BTreeMap<String, String>> {
        None
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

fn take_message(message: Line, cell: u64, end: &mut End, host: &mut dyn Host) {
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
            host.send(Output::Progress { task, what, done, total, unit, finished });
        }
        Line::Display { media, id } => host.send(Output::Display { media, id }),
        Line::Report { about, facts } => host.send(Output::Report { about, facts }),
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

/// What to say where evcxr's own part of the code is refused because a variable cannot outlive the cell.
fn borrowed(refusals: &[Refusal]) -> Option<Diagnostic> {
    const CODES: [&str; 7] = ["E0310", "E0499", "E0502", "E0505", "E0521", "E0597", "E0716"];
    let refusal = refusals.iter().find(|refusal| refusal.code.as_deref().is_some_and(|code| CODES.contains(&code)))?;
    let message = "a variable of this cell borrows from another value, and what is kept for later cells may not borrow: \
                   `.clone()` it, as in `let first = items[0].clone();`, or put the cell into `{ … }`";
    let line = refusal.line.and_then(|line| line.checked_sub(1)).filter(|line| *line > 0);
    let rendered = format!("error[{}]: {message}\n({})\n", refusal.code.as_deref()?, refusal.message);
    Some(Diagnostic { code: refusal.code.clone(), message: message.to_owned(), line, column: None, rendered })
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
