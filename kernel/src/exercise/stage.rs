//! A session in which cells of the exercise run, and what each comes to.

use super::source::{Exercise, Role};
use crate::outputs::Failure;
use crate::session::{Output, Session};
use anyhow::Context;
use std::borrow::Cow;

/// What a check said.
#[derive(Clone, Debug, PartialEq)]
pub enum Said {
    /// The TODO is done.
    Passed,
    /// It is not, and why: the mistake's name, where the check knows it, and its words.
    Wrong {
        /// `swapped-split`.
        mistake: Option<String>,
        /// All that the check says.
        text: String,
    },
    /// It could not even run.
    Nothing(Failure),
}

/// Opens sessions for one notebook.
pub type Opener<'a> = &'a dyn Fn() -> anyhow::Result<Box<dyn Session>>;

/// A session, and the cells that have made it what it is.
pub struct Stage<'a> {
    pub exercise: &'a Exercise,
    open: Opener<'a>,
    session: Box<dyn Session>,
    /// What would make a new session the same.
    ran: Vec<String>,
    /// What the release has at the same places: given cells, and its own answers.
    released: Vec<String>,
    /// Whether cells have run in this session that are not to be kept: what fails later may be of their making.
    pub has_strays: bool,
    lost: bool,
}

impl<'a> Stage<'a> {
    pub fn open(exercise: &'a Exercise, open: Opener<'a>) -> anyhow::Result<Self> {
        Ok(Self {
            exercise,
            open,
            session: open()?,
            ran: Vec::new(),
            released: Vec::new(),
            has_strays: false,
            lost: false,
        })
    }

    /// Runs a cell; none where it ran to its end.
    pub fn run(&mut self, code: &str) -> Option<Failure> {
        self.execute(code, &mut |_| {})
    }

    /// Whether the session's variables are lost, or may be.
    pub fn is_lost(&self) -> bool {
        self.lost
    }

    /// These cells have done the part of one of the release's: a new session would need them, too.
    pub fn keep(&mut self, codes: &[&str], released: &str) {
        self.ran.extend(codes.iter().map(|code| (*code).to_owned()));
        self.released.push(released.to_owned());
    }

    fn execute(&mut self, code: &str, host: &mut dyn FnMut(Output)) -> Option<Failure> {
        let outcome = self.session.execute(code, &mut |output: Output| host(output));
        self.lost |= outcome.ends_the_run(false);
        Failure::of(&outcome)
    }

    /// Runs the check of a TODO, in the release's own words. Only the answer that holds a fresh word counts, so
    /// that edited checks and printed marks are worth nothing. It is no wall: the word is in the learner's own process, where
    /// code written to cheat can find it.
    pub fn check(&mut self, todo: usize) -> Said {
        let word = uuid::Uuid::new_v4().to_string();
        let code = self.asked(todo, &word);
        let mut said = None;
        let failed = self.execute(&code, &mut |output| said = answer(output, todo, &word).or(said.take()));
        match (said, failed) {
            (Some(facts), None) if facts["passed"] == true => Said::Passed,
            (Some(facts), _) if facts["passed"] == false => Said::Wrong {
                mistake: facts["mistake"].as_str().map(str::to_owned),
                text: facts["text"].as_str().unwrap_or_default().to_owned(),
            },
            (_, Some(failure)) => Said::Nothing(failure),
            (_, None) => Said::Nothing(Failure {
                kind: Cow::Borrowed("no answer"),
                message: "the check ended without an answer".to_owned(),
                text: String::new(),
            }),
        }
    }

    /// Whether all of these checks pass, run as one cell.
    pub fn all_pass(&mut self, todos: &[usize]) -> bool {
        let word = uuid::Uuid::new_v4().to_string();
        let cells: Vec<String> = todos.iter().map(|todo| self.asked(*todo, &word)).collect();
        let mut passed = Vec::new();
        let failed = self.execute(&cells.join("\n"), &mut |output| {
            let hit = todos.iter().find_map(|todo| Some((*todo, answer(output.clone(), *todo, &word)?)));
            passed.extend(hit.filter(|(_, facts)| facts["passed"] == true).map(|(todo, _)| todo));
        });
        failed.is_none() && passed == todos
    }

    /// The block's `use` goes before whatever the learner's cells may call `check`.
    fn asked(&self, todo: usize, word: &str) -> String {
        let code = self.exercise.step(&Role::Check(todo)).map(|step| step.code.as_str()).unwrap_or_default();
        format!("::candlewick::lesson::ask(\"{word}\");\n{{\nuse ::candlewick::lesson::check;\n{code}\n}}")
    }

    /// The release's own answer to a TODO.
    pub fn solution(&self, todo: usize) -> String {
        self.exercise.step(&Role::Answer(todo)).map(|step| step.code.clone()).unwrap_or_default()
    }

    /// Puts the release's own answer in place of one that did not pass, so that what follows does not suffer from it: in this
    /// session where it can be, else in a new one that has all that passed before. Gives how the session ended, where it did
    /// so in the release's own words: something that passed before has ended it.
    ///
    /// # Errors
    /// As for [`reopen`](Self::reopen).
    pub fn stand_in(&mut self, todo: usize) -> anyhow::Result<Option<Failure>> {
        let code = self.solution(todo);
        let was_lost = self.lost;
        let failed = if was_lost { None } else { self.run(&code) };
        let in_place = !was_lost && failed.is_none() && self.check(todo) == Said::Passed;
        self.keep(&[&code], &code);
        match (in_place, self.lost && !was_lost) {
            (true, _) => Ok(None),
            (false, true) => self.recover(failed),
            (false, false) => self.reopen().map(|()| None),
        }
    }

    /// A new session after one of the release's own cells failed in this one. Gives the failure back where what passed is to
    /// blame for it.
    ///
    /// # Errors
    /// As for [`reopen`](Self::reopen).
    pub fn recover(&mut self, failed: Option<Failure>) -> anyhow::Result<Option<Failure>> {
        if self.has_strays {
            return self.reopen().map(|()| None);
        }
        let is_learners = self.ran != self.released;
        self.reopen_released().map(|()| failed.filter(|_| is_learners))
    }

    /// A new session, in which all has run that is worth keeping; where that fails, the release's own cells alone. What has
    /// passed may still be something that later cells cannot use: a list of another type, a model without `mut`.
    ///
    /// # Errors
    /// Where no session opens, or the release's own cells fail.
    pub fn reopen(&mut self) -> anyhow::Result<()> {
        match self.replay()? {
            None => Ok(()),
            Some(_) => self.reopen_released(),
        }
    }

    /// A new session in which nothing of the learner's has run.
    ///
    /// # Errors
    /// As for [`reopen`](Self::reopen).
    pub fn reopen_released(&mut self) -> anyhow::Result<()> {
        self.ran.clone_from(&self.released);
        match self.replay()? {
            None => Ok(()),
            Some((code, failure)) => {
                let first = crate::runner::first_line(&code).to_owned();
                Err(anyhow::anyhow!(failure.message)).with_context(|| format!("the release's own cell `{first}` fails"))
            }
        }
    }

    /// All that is kept, in a new session, up to what fails.
    fn replay(&mut self) -> anyhow::Result<Option<(String, Failure)>> {
        self.session = (self.open)()?;
        (self.lost, self.has_strays) = (false, false);
        for code in self.ran.clone() {
            if let Some(failure) = self.run(&code) {
                return Ok(Some((code, failure)));
            }
        }
        Ok(None)
    }
}

/// What a check has answered, if this is its answer and holds the word.
fn answer(output: Output, todo: usize, word: &str) -> Option<serde_json::Value> {
    match output {
        Output::Report { about, facts } if about == "exercise" && facts["word"] == word && facts["todo"] == todo => {
            Some(facts)
        }
        _ => None,
    }
}
