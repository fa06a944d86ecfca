//! The session over evcxr.

use super::analyst::Analyst;
use super::cell::{Cell, Moved, Variables, header_in, split_commands};
use super::commands::compile_error;
use super::compiler::{Compiler, Ended, Judgement};
use super::completeness::completeness;
use super::end::{End, outcome};
use super::names::{is_member, with_source, word_at};
use super::questions::Questions;
use super::refusals::{as_evcxr_says, borrowed, note_moved};
use super::reins::{Rein, Reins};
use super::worker::{Event, Finished, Refusal, Worker};
use super::{Completeness, Completions, Control, Diagnostic, Host, Outcome, Output, Report, Session};
use crate::build::{SessionFolder, Template};
use anyhow::Result;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

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
    pub(super) worker: Worker,
    pub(super) reins: Arc<Reins>,
    pub(super) compiler: Compiler,
    pub(super) kept: Variables,
    /// What the cells have defined or imported so far: name and text.
    pub(super) items: BTreeMap<String, String>,
    pub(super) cells: u64,
    /// The `impl`s that stand behind a definition, and went to evcxr with it: the definition's name and what they are about.
    pub(super) behind: BTreeMap<String, BTreeSet<String>>,
    /// The `impl`s that have a constant of their own, by its name.
    pub(super) impls: BTreeSet<String>,
    /// What cells have used up: the variable's name, and the first line of the cell.
    pub(super) used_up: BTreeMap<String, String>,
    /// Variables that go with the cell under way, unless evcxr refuses it.
    pub(super) dropped: Variables,
    /// Whether evcxr has compiled the cell under way, and taken over what it defines.
    pub(super) taken_over: bool,
    pub(super) questions: Questions,
    pub(super) peak_memory: Option<u64>,
    pub(super) template: Template,
    pub(super) options: SessionOptions,
    pub(super) analyst: Option<Analyst>,
    /// Last, so that it goes when nothing uses it any more.
    pub(super) folder: SessionFolder,
}

/// How often a cell is built again because a variable turns out to be used up.
const RETRIES: usize = 8;
/// How many events are passed on between cells before whoever waits has a turn.
const MOST_AT_ONCE: usize = 64;
/// How long a completion may take: a front end waits about a second for it.
const TAB: Duration = Duration::from_millis(700);
/// How long what is compiled may take to end with the session.
const ENDS: Duration = Duration::from_secs(1);
/// How long an inspection may take, once all is read: cells wait for it.
const HOVER: Duration = Duration::from_secs(5);

impl EvcxrSession {
    /// Opens a session against a finished template.
    ///
    /// # Errors
    /// Where the disk or evcxr refuses.
    pub fn open(template: &Template, options: &SessionOptions) -> Result<Self> {
        let folder = SessionFolder::create(template)?;
        let worker = Worker::start(template, &folder, &options.runtime, &options.directory, &options.environment)?;
        let reins = Reins::new(worker.child(), folder.path());
        Ok(Self {
            compiler: Compiler::new(&template.toolchain, folder.path(), &options.runtime, &reins),
            reins,
            worker,
            kept: Variables::new(),
            items: BTreeMap::new(),
            cells: 0,
            behind: BTreeMap::new(),
            impls: BTreeSet::new(),
            used_up: BTreeMap::new(),
            dropped: Variables::new(),
            taken_over: false,
            questions: Questions::default(),
            peak_memory: None,
            template: template.clone(),
            options: options.clone(),
            analyst: None,
            folder,
        })
    }

    fn run(&mut self, code: &str, host: &mut dyn Host) -> Result<Outcome> {
        self.cells += 1;
        let mut cell = match Cell::parse(code) {
            Ok(cell) => cell,
            Err((_, text)) => return self.refuse_unparsed(&text),
        };
        let mut commands = cell.commands.clone();
        let unknown = cell.extern_crates.iter().filter(|name| !self.compiler.knows(name));
        commands.extend(unknown.map(|name| format!(":dep {name} = \"*\"")));
        if let Some(failed) = self.run_commands(&commands, host)? {
            return Ok(failed);
        }
        if cell.is_empty() {
            return Ok(Outcome::Done);
        }
        for ignored in &cell.ignored {
            let told = format!("`{ignored}` changes nothing here: it would judge the code around the cell as well.\n");
            host.send(Output::Stdout(told));
        }
        let redefined = self.redefined(&cell.definitions);
        let outdated = self.outdated(&cell.definitions, &redefined);
        if cell.may_have_no_value && self.compiler.has_no_value(&cell, &self.kept)? {
            cell.show_nothing();
        }
        let mut judgement = None;
        if !redefined.is_empty() || cell.may_await() || !cfg!(unix) {
            // Nothing may be lost for a cell that does not compile.
            judgement = match self.judge_whole(&cell, host)? {
                Judgement::Wrong(diagnostics) => return Ok(Outcome::CompileErrors(diagnostics)),
                sound => Some(sound),
            };
            let broken = self.broken(&cell, &redefined)?;
            if !broken.is_empty() {
                return Ok(Outcome::CompileErrors(broken));
            }
        }
        self.drop_outdated(&outdated);
        // Commands have run by now, and are no part of what follows.
        self.taken_over = false;
        let outcome = self.run_cell(&cell, judgement, host);
        let dropped = std::mem::take(&mut self.dropped);
        if self.taken_over {
            self.define(&cell, &outdated, host);
        } else {
            self.kept.extend(dropped);
        }
        outcome
    }

    /// Only a cell that binds variables needs to be judged; for the others, building them is judgement enough.
    fn judge(&self, cell: &Cell) -> Result<Judgement> {
        if cell.bound.is_empty() {
            Ok(Judgement::Sound(Variables::new()))
        } else {
            self.compiler.judge(cell, &self.kept)
        }
    }

    /// As [`judge`](Self::judge), with all that the compiler has against a cell, before anything of it is given to evcxr.
    fn judge_whole(&mut self, cell: &Cell, host: &mut dyn Host) -> Result<Judgement> {
        loop {
            let wrong = match self.compiler.check(cell, &self.kept)? {
                wrong if wrong.is_empty() => match self.judge(cell)? {
                    Judgement::Wrong(wrong) => wrong,
                    sound => return Ok(sound),
                },
                wrong => wrong,
            };
            if !self.drop_unusable(cell, host)? {
                return Ok(Judgement::Wrong(wrong));
            }
        }
    }

    fn run_cell(&mut self, cell: &Cell, judged: Option<Judgement>, host: &mut dyn Host) -> Result<Outcome> {
        let mut moved = Moved::default();
        let mut judged = judged.map(Ok);
        for _ in 0..RETRIES {
            if self.reins.is_interrupted() {
                return Ok(before_it_ran());
            }
            self.request(cell.wrapped(self.cells, &self.kept, &moved, &self.impls))?;
            // While evcxr builds the cell. It waits for the judgement before it runs.
            let judgement = judged.take().unwrap_or_else(|| self.judge(cell));
            let casts = match &judgement {
                Ok(Judgement::Sound(made)) => Some(casts(made)),
                _ => None,
            };
            let wanted = casts.as_ref() == Some(&moved.pointers);
            if !wanted {
                self.reins.stop_compiling();
            }
            let end = self.follow(Some(wanted), host)?;
            if let Some(interrupted) = self.interrupted_before_it_ran(&end) {
                return Ok(interrupted);
            }
            let made = match judgement? {
                Judgement::Sound(made) => made,
                Judgement::Wrong(_) if self.drop_unusable(cell, host)? => continue,
                Judgement::Wrong(mut diagnostics) => {
                    self.tell_used_up(&mut diagnostics);
                    return Ok(Outcome::CompileErrors(diagnostics));
                }
            };
            if !wanted {
                // Built again, now that it is known which variables are pointers to functions.
                moved.pointers = casts.unwrap_or_default();
                judged = Some(Ok(Judgement::Sound(made)));
                continue;
            }
            let Finished::Refused(refusals) = &end.finished else {
                return Ok(self.conclude(cell, end, made, &moved));
            };
            if !note_moved(refusals, cell.keeping_lines(), &mut moved) {
                if self.drop_unusable(cell, host)? {
                    continue;
                }
                return self.explain(cell, refusals);
            }
            judged = Some(Ok(Judgement::Sound(made)));
        }
        Ok(Outcome::Failed(Report::new(
            "the variables that this cell uses up could not be told: split it into smaller cells",
        )))
    }

    /// What the compiler has against a cell, in the cell's own words.
    fn explain(&self, cell: &Cell, refusals: &[Refusal]) -> Result<Outcome> {
        let mut own = self.compiler.check(cell, &self.kept)?;
        if own.is_empty() {
            own = self.compiler.check_generated(cell, &self.kept)?;
        }
        self.tell_used_up(&mut own);
        Ok(Outcome::CompileErrors(match borrowed(cell, refusals) {
            _ if !own.is_empty() => own,
            Some(borrowed) => vec![borrowed],
            None => refusals.iter().map(|refusal| as_evcxr_says(cell, refusal)).collect(),
        }))
    }

    /// What of earlier cells does not compile any more beside what this one defines in place of `redefined`.
    fn broken(&self, cell: &Cell, redefined: &BTreeSet<String>) -> Result<Vec<Diagnostic>> {
        // A macro is seen below the place where it stands, and evcxr puts items in an order of its own.
        if redefined.is_empty() || cell.defines_macro() {
            return Ok(Vec::new());
        }
        let earlier = self.compiler.check_earlier(cell, redefined)?;
        let mut broken: Vec<Diagnostic> = Vec::new();
        for (mut diagnostic, line) in earlier {
            let of = match header_in(&line) {
                Some(header) => format!("`{header}`"),
                None => {
                    let holds =
                        |(name, text): &(&String, &String)| !redefined.contains(*name) && text.contains(line.trim());
                    self.items.iter().find(holds).map_or_else(|| "a part".to_owned(), |(name, _)| format!("`{name}`"))
                }
            };
            diagnostic.rendered += &format!(
                "help: {of} of an earlier cell does not fit what this cell defines: define it in this cell, too, in a way that \
                 does\n"
            );
            diagnostic.message = format!("this breaks {of} of an earlier cell: {}", diagnostic.message);
            broken.push(diagnostic);
        }
        Ok(broken)
    }

    /// Where a cell was interrupted while it was being compiled.
    pub(super) fn interrupted_before_it_ran(&self, end: &End) -> Option<Outcome> {
        let is_whole = !matches!(end.finished, Finished::Died(_)) && !end.started_anew;
        (!end.ran && is_whole && self.reins.is_interrupted()).then(before_it_ran)
    }

    /// How a cell ended that ran, and what it leaves.
    fn conclude(&mut self, cell: &Cell, end: End, made: Variables, moved: &Moved) -> Outcome {
        let lost = self.kept_is_gone();
        let mut outcome = outcome(end, cell, &self.items);
        self.note_used_up(cell, moved, &mut outcome);
        self.keep(made, moved, &outcome);
        if let Outcome::Died(report) = outcome {
            return self.died(&lost, report);
        }
        if !self.reins.is_interrupted() {
            return outcome;
        }
        Outcome::Interrupted(match outcome {
            Outcome::Failed(_) => return outcome,
            Outcome::Panicked(mut report) | Outcome::ReturnedError(mut report) => {
                report.message.push_str("; the variables of earlier cells are there");
                report
            }
            _ => Report::new("it stopped early, with what it had reached: all variables are there"),
        })
    }

    fn refuse_unparsed(&self, text: &str) -> Result<Outcome> {
        let diagnostics = self.compiler.check_text(text, &self.kept)?;
        if !diagnostics.is_empty() {
            return Ok(Outcome::CompileErrors(diagnostics));
        }
        Ok(compile_error("the cell's syntax is newer than the parser that this kernel uses".to_owned()))
    }
}

impl Drop for EvcxrSession {
    /// Ends what is compiled, and waits for it: otherwise it would go on writing into the folder that is about to go.
    fn drop(&mut self) {
        self.reins.end_all();
        let begun = Instant::now();
        while !self.worker.has_finished() && begun.elapsed() < ENDS {
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Session for EvcxrSession {
    fn execute(&mut self, code: &str, host: &mut dyn Host) -> Outcome {
        self.reins.begin();
        let outcome = self.run(code, host);
        self.reins.end();
        outcome.unwrap_or_else(|error| match error.is::<Ended>() {
            true => before_it_ran(),
            false => Outcome::Failed(Report::new(format!("{error:#}"))),
        })
    }

    fn idle(&mut self, host: &mut dyn Host) {
        for _ in 0..MOST_AT_ONCE {
            match self.worker.event(Duration::ZERO) {
                Ok(Some(Event::Said(name, said))) => self.pass_on(name, said, None, &mut End::default(), host),
                Ok(Some(Event::Stopped(message))) => {
                    let told = self.start_anew(&message).unwrap_or_else(|why| format!("{why:#}"));
                    host.send(Output::Stderr(format!("{told}\n")));
                }
                // Where the process has died, evcxr says so to the next cell.
                Ok(Some(Event::Closed(..) | Event::Finished(_))) => {}
                Ok(None) | Err(_) => return,
            }
        }
    }

    fn control(&self) -> Arc<dyn Control> {
        Arc::new(Rein(Arc::clone(&self.reins)))
    }

    fn completeness(&self, code: &str) -> Completeness {
        completeness(&split_commands(code).1)
    }

    fn complete(&mut self, code: &str, cursor: usize) -> Completions {
        let before = self.before(code);
        let at = before.len() + cursor;
        let code = format!("{before}{code}");
        let found = self.analyst().and_then(|analyst| analyst.complete(&code, at, TAB));
        let inside = |found: &Completions| found.replaces.start >= before.len() && found.replaces.end >= at;
        match found.filter(inside) {
            Some(Completions { matches, replaces }) => {
                Completions { matches, replaces: replaces.start - before.len()..replaces.end - before.len() }
            }
            None => self.names(&code[before.len()..], cursor),
        }
    }

    fn inspect(&mut self, code: &str, cursor: usize, source: bool) -> Option<BTreeMap<String, String>> {
        let word = word_at(code, cursor);
        let is_member = is_member(code, word.start);
        if let Some(variable) = self.kept.get(&code[word.clone()]).filter(|_| !is_member) {
            let mutable = if variable.mutable { "mut " } else { "" };
            let text = format!("let {mutable}{}: {}", &code[word], variable.type_name);
            return Some([("text/plain".to_owned(), text)].into());
        }
        let before = self.before(code);
        let at = before.len() + word.end;
        let source = self.items.get(&code[word]).filter(|_| source && !is_member).cloned();
        let known = self.analyst().and_then(|analyst| analyst.inspect(&format!("{before}{code}"), at, HOVER));
        with_source(known, source.as_deref())
    }

    fn is_still_reading(&self) -> bool {
        self.analyst.as_ref().is_some_and(|analyst| !analyst.is_awake())
    }

    fn peak_memory(&self) -> Option<u64> {
        self.peak_memory
    }
}

/// The variables that are made of functions by name, and the types of pointers as which they are kept.
fn casts(made: &Variables) -> BTreeMap<String, String> {
    let pointers = made.iter().filter(|(_, variable)| variable.is_pointer);
    pointers.map(|(name, variable)| (name.clone(), variable.type_name.clone())).collect()
}

pub(super) fn before_it_ran() -> Outcome {
    Outcome::Interrupted(Report::new("nothing of it has run yet, and all variables are there"))
}
