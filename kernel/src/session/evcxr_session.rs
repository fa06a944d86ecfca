//! The session over evcxr.

use super::analyst::Analyst;
use super::cell::{Cell, Moved, Variable, Variables, split_commands, words};
use super::commands::compile_error;
use super::compiler::{Compiler, Ended, Judgement};
use super::completeness::completeness;
use super::end::{End, outcome, take_message};
use super::names::{is_member, with_source, word_at};
use super::questions::Questions;
use super::refusals::{as_evcxr_says, borrowed, note_moved};
use super::reins::{GRACE, Rein, Reins};
use super::said::Said;
use super::worker::{Event, Finished, Refusal, StreamName, Worker};
use super::{Completeness, Completions, Control, Host, Outcome, Output, Report, Session};
use crate::build::{SessionFolder, Template};
use crate::lines::Line;
use anyhow::Result;
use std::collections::BTreeMap;
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
    /// Variables that go with the cell under way, unless evcxr refuses it.
    dropped: Variables,
    /// Whether evcxr has compiled the cell under way, and taken over what it defines.
    taken_over: bool,
    pub(super) questions: Questions,
    peak_memory: Option<u64>,
    pub(super) template: Template,
    pub(super) options: SessionOptions,
    pub(super) analyst: Option<Analyst>,
    /// Last, so that it goes when nothing uses it any more.
    pub(super) folder: SessionFolder,
}

/// How often a cell is built again because a variable turns out to be used up.
const RETRIES: usize = 8;
/// How long a stream may lag behind evcxr's word that it has finished.
const LAG: Duration = Duration::from_secs(2);
/// How long it may lag in all where something keeps coming: longer than a front end may take to read.
const LONGEST_LAG: Duration = Duration::from_secs(60);
/// How many events are passed on between cells before whoever waits has a turn.
const MOST_AT_ONCE: usize = 64;
/// How long a completion may take: a front end waits about a second for it.
const TAB: Duration = Duration::from_millis(700);
/// How long what is compiled may take to end with the session.
const ENDS: Duration = Duration::from_secs(1);
/// How long an inspection may take: it is asked for on purpose.
const HOVER: Duration = Duration::from_secs(15);

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
        let definitions = cell.definitions();
        let outdated = self.outdated(&definitions);
        if cell.may_have_no_value && self.compiler.has_no_value(&cell, &self.kept)? {
            cell.show_nothing();
        }
        let mut judgement = None;
        if !outdated.is_empty() || cell.may_await() || !cfg!(unix) {
            // Nothing may be lost for a cell that does not compile.
            let wrong = self.compiler.check(&cell, &self.kept)?;
            if !wrong.is_empty() {
                return Ok(Outcome::CompileErrors(wrong));
            }
            judgement = Some(self.judge(&cell)?);
            if let Some(Judgement::Wrong(diagnostics)) = judgement {
                return Ok(Outcome::CompileErrors(diagnostics));
            }
        }
        self.drop_outdated(&outdated, host);
        // Commands have run by now, and are no part of what follows.
        self.taken_over = false;
        let outcome = self.run_cell(&cell, judgement, host);
        let dropped = std::mem::take(&mut self.dropped);
        if self.taken_over {
            self.items.extend(definitions);
        } else {
            self.kept.extend(dropped);
        }
        outcome
    }

    /// Variables whose type may not be what it was.
    ///
    /// Every cell compiles all items anew, and the compiler takes a type of the same name for the same type, whatever its
    /// fields are now. So where a cell defines a name anew, and differently, nothing of a type of the notebook's own stays.
    fn outdated(&self, definitions: &[(String, String)]) -> Vec<String> {
        let changed = definitions.iter().any(|(name, text)| self.items.get(name).is_some_and(|before| before != text));
        let is_new = |word: &String| definitions.iter().any(|(name, _)| name == word);
        let own = |variable: &Variable| {
            words(&variable.type_name).iter().any(|word| self.items.contains_key(word) || is_new(word))
        };
        let outdated = self.kept.iter().filter(|(_, variable)| changed && own(variable));
        outdated.map(|(name, _)| name.clone()).collect()
    }

    /// Drops them, for as long as evcxr does not refuse the cell.
    fn drop_outdated(&mut self, outdated: &[String], host: &mut dyn Host) {
        if !outdated.is_empty() {
            let names = outdated.join("`, `");
            host.send(Output::Stdout(format!("`{names}` went: a type of the notebook's own has been defined anew.\n")));
        }
        let (dropped, kept) = std::mem::take(&mut self.kept).into_iter().partition(|(name, _)| outdated.contains(name));
        (self.kept, self.dropped) = (kept, dropped);
    }

    /// Drops the variables that would keep every cell with their names in it from being compiled; whether there are any.
    ///
    /// A type may have a name that the compiler knows and no cell can write: one in a private module, say.
    fn drop_unusable(&mut self, cell: &Cell, host: &mut dyn Host) -> Result<bool> {
        let unusable = self.compiler.unusable(&cell.used(&self.kept))?;
        for name in &unusable {
            if let Some(variable) = self.kept.remove(name) {
                host.send(Output::Stdout(format!(
                    "`{name}` went: no cell can name its type, `{}`.\n",
                    variable.type_name
                )));
            }
        }
        Ok(!unusable.is_empty())
    }

    /// All variables went with their process.
    pub(super) fn lose_variables(&mut self) {
        self.kept.clear();
        self.dropped.clear();
    }

    /// Only a cell that binds variables needs to be judged; for the others, building them is judgement enough.
    fn judge(&self, cell: &Cell) -> Result<Judgement> {
        if cell.bound.is_empty() {
            Ok(Judgement::Sound(Variables::new()))
        } else {
            self.compiler.judge(cell, &self.kept)
        }
    }

    fn run_cell(&mut self, cell: &Cell, judged: Option<Judgement>, host: &mut dyn Host) -> Result<Outcome> {
        let mut moved = Moved::default();
        let mut judged = judged.map(Ok);
        for _ in 0..RETRIES {
            if self.reins.is_interrupted() {
                return Ok(before_it_ran());
            }
            self.request(cell.wrapped(self.cells, &self.kept, &moved))?;
            // While evcxr builds the cell. It waits for the judgement before it runs.
            let judgement = judged.take().unwrap_or_else(|| self.judge(cell));
            let wanted = matches!(judgement, Ok(Judgement::Sound(_)));
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
                Judgement::Wrong(diagnostics) => return Ok(Outcome::CompileErrors(diagnostics)),
            };
            let Finished::Refused(refusals) = &end.finished else {
                return Ok(self.conclude(end, made, &moved));
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
        Ok(Outcome::CompileErrors(match borrowed(cell, refusals) {
            _ if !own.is_empty() => own,
            Some(borrowed) => vec![borrowed],
            None => refusals.iter().map(|refusal| as_evcxr_says(cell, refusal)).collect(),
        }))
    }

    /// Where a cell was interrupted while it was being compiled.
    pub(super) fn interrupted_before_it_ran(&self, end: &End) -> Option<Outcome> {
        let is_whole = !matches!(end.finished, Finished::Died(_)) && !end.started_anew;
        (!end.ran && is_whole && self.reins.is_interrupted()).then(before_it_ran)
    }

    /// How a cell ended that ran, and what it leaves.
    fn conclude(&mut self, end: End, made: Variables, moved: &Moved) -> Outcome {
        let lost = self.kept_is_gone();
        let outcome = outcome(end);
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

    /// The variables in the words of a loss: "`x` is gone", "`x` and `y` are gone"; empty where there are none.
    pub(super) fn kept_is_gone(&self) -> String {
        let names: Vec<String> = self.kept.keys().map(|name| format!("`{name}`")).collect();
        match names.split_last() {
            None => String::new(),
            Some((only, [])) => format!("{only} is gone"),
            Some((last, others)) => format!("{} and {last} are gone", others.join(", ")),
        }
    }

    /// What to say where a cell's process has ended, with the variables `lost`.
    pub(super) fn died(&self, lost: &str, report: Report) -> Outcome {
        if !self.reins.is_interrupted() {
            return Outcome::Died(match lost.is_empty() {
                true => report,
                false => Report { message: format!("{}: {lost}", report.message), ..report },
            });
        }
        let mut message = match self.reins.has_ended_child() {
            true => format!("it did not stop within {} s, so its process was ended", GRACE.as_secs()),
            false => format!("its process ended by itself ({})", report.message),
        };
        if !lost.is_empty() {
            message += &format!(": {lost}. What the cells have defined is still there");
        }
        Outcome::Interrupted(Report { message, ..report })
    }

    /// Which variables there are after a cell.
    fn keep(&mut self, made: Variables, moved: &Moved, outcome: &Outcome) {
        match outcome {
            Outcome::Died(_) => return self.lose_variables(),
            // It has not run.
            Outcome::Failed(_) if !self.taken_over => return,
            _ => self.kept.retain(|name, _| !moved.old.contains(name)),
        }
        // The helper crate's own words: with that variable, no other cell could run either.
        if let Outcome::ReturnedError(report) = outcome
            && let Some(rest) = report.message.strip_prefix("the variable `")
            && let Some(name) = rest.strip_suffix("` is gone")
        {
            self.kept.remove(name);
        }
        if *outcome == Outcome::Done {
            self.kept.retain(|name, _| !moved.new.contains(name));
            self.kept.extend(made.into_iter().filter(|(name, _)| !moved.new.contains(name)));
        }
    }

    fn refuse_unparsed(&self, text: &str) -> Result<Outcome> {
        let diagnostics = self.compiler.check_text(text, &self.kept)?;
        if !diagnostics.is_empty() {
            return Ok(Outcome::CompileErrors(diagnostics));
        }
        Ok(compile_error("the cell's syntax is newer than the parser that this kernel uses".to_owned()))
    }

    pub(super) fn request(&self, code: String) -> Result<()> {
        self.reins.compiling();
        self.worker.request(code)
    }

    /// Passes on what is said until what was requested has ended. A cell tells its end itself, and waits before it runs
    /// until it hears whether it is `wanted`; evcxr's own commands (none) do neither.
    pub(super) fn follow(&mut self, wanted: Option<bool>, host: &mut dyn Host) -> Result<End> {
        let mut end = End::default();
        let followed = self.events(wanted, &mut end, host);
        self.reins.idle();
        followed?;
        if let Finished::Returned { media, source } = &mut end.finished {
            self.taken_over = true;
            self.compiler.remember_items(source);
            if !media.is_empty() {
                host.send(Output::Result { media: std::mem::take(media) });
            }
        }
        self.note_memory();
        Ok(end)
    }

    fn events(&mut self, wanted: Option<bool>, end: &mut End, host: &mut dyn Host) -> Result<()> {
        // Set when evcxr has finished. Only time in which nothing comes is counted: what is already on its way may have to
        // wait for whoever reads it.
        let mut patience: Option<Duration> = None;
        // But threads that go on printing must not keep the cell from ending.
        let mut deadline: Option<Instant> = None;
        while !(patience.is_some() && end.is_whole()) {
            if patience.is_some_and(|patience| patience.is_zero()) || deadline.is_some_and(|end| Instant::now() > end) {
                break;
            }
            let waits = Instant::now();
            let event = self.worker.event(patience.unwrap_or_else(|| self.questions.pause()))?;
            patience = patience.map(|patience| patience.saturating_sub(waits.elapsed()));
            match event {
                None => {}
                Some(Event::Finished(how)) => {
                    (patience, deadline) = (Some(LAG), Some(Instant::now() + LONGEST_LAG));
                    end.finished = how;
                    // Where the process has died, an interrupt would reach the one that follows it.
                    self.reins.idle();
                }
                Some(Event::Closed(name, connection)) if self.worker.is_current(connection) => end.closed(name),
                Some(Event::Closed(..)) => {}
                Some(Event::Stopped(message)) => {
                    end.finished = Finished::Failed(self.start_anew(&message)?);
                    end.started_anew = true;
                    break;
                }
                Some(Event::Said(name, said)) => self.pass_on(name, said, wanted, end, host),
            }
            self.tend_questions(end.began, host);
        }
        self.give_up_questions();
        if matches!(end.finished, Finished::Died(_)) {
            self.worker.forget_connections();
        }
        Ok(())
    }

    fn pass_on(&mut self, name: StreamName, said: Said, wanted: Option<bool>, end: &mut End, host: &mut dyn Host) {
        match (name, said) {
            (StreamName::Output, Said::Text(text)) => host.send(Output::Stdout(text)),
            (StreamName::Errors, Said::Text(text)) => {
                end.add_errors(&text);
                host.send(Output::Stderr(text));
            }
            // In evcxr's own way of showing things, the value that ends the cell is told by the helper crate's word before.
            (_, Said::Content(media)) => host.send(match std::mem::take(&mut end.ends) {
                true => Output::Result { media },
                false => Output::Display { media, id: None },
            }),
            (StreamName::Errors, Said::Message(Line::Done { cell })) if cell == self.cells => end.errors_ended = true,
            (StreamName::Errors, Said::Message(Line::Panicking { message })) if end.began => end.panic = Some(message),
            (StreamName::Errors, Said::Message(_)) => {}
            (StreamName::Output, Said::Message(Line::Began { cell })) if cell == self.cells => {
                end.began = true;
                // From here on an interrupt reaches the cell itself.
                self.reins.running();
                end.ran = wanted == Some(true) && !self.reins.is_interrupted();
                self.worker.answer(if end.ran { "go" } else { "no" });
            }
            (StreamName::Output, Said::Message(Line::Ask { prompt, secret })) => self.questions.ask(prompt, secret),
            (StreamName::Output, Said::Message(message)) => take_message(message, self.cells, end, host),
        }
    }

    /// Starts evcxr again after it has panicked; what to tell the person.
    fn start_anew(&mut self, message: &str) -> Result<String> {
        let SessionOptions { runtime, directory, environment } = &self.options;
        self.worker = Worker::start(&self.template, &self.folder, runtime, directory, environment)?;
        self.reins.replace_child(self.worker.child());
        self.compiler = Compiler::new(&self.template.toolchain, self.folder.path(), runtime, &self.reins);
        let lost = match self.kept_is_gone() {
            lost if lost.is_empty() => lost,
            lost => format!(", and {lost}"),
        };
        self.lose_variables();
        self.items.clear();
        Ok(format!(
            "evcxr itself has panicked: {message}. It has been started anew, without what cells have imported and \
             defined{lost}: run the cells from the top"
        ))
    }

    fn note_memory(&mut self) {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.worker.process())).unwrap_or_default();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kibibytes = peak.and_then(|peak| peak.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        self.peak_memory = self.peak_memory.max(kibibytes.map(|kibibytes| kibibytes * 1024));
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

pub(super) fn before_it_ran() -> Outcome {
    Outcome::Interrupted(Report::new("nothing of it has run yet, and all variables are there"))
}
