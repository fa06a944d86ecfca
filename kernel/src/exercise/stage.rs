//! A session in which cells of the exercise run, and what each comes to.

use super::source::{Exercise, Role};
use crate::outputs::Failure;
use crate::session::{Outcome, Output, Session};
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

/// A cell that failed, and how.
#[derive(Clone, Debug)]
pub struct Failed {
    pub failure: Failure,
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
    lost: bool,
}

impl<'a> Stage<'a> {
    pub fn open(exercise: &'a Exercise, open: Opener<'a>) -> anyhow::Result<Self> {
        Ok(Self { exercise, open, session: open()?, ran: Vec::new(), lost: false })
    }

    /// Runs a cell; none where it ran to its end.
    pub fn run(&mut self, code: &str) -> Option<Failed> {
        self.execute(code, &mut |_| {})
    }

    /// Whether the session's variables are lost, or may be.
    pub fn is_lost(&self) -> bool {
        self.lost
    }

    /// The cell has done its part: a new session would need it, too.
    pub fn keep(&mut self, code: &str) {
        self.ran.push(code.to_owned());
    }

    fn execute(&mut self, code: &str, host: &mut dyn FnMut(Output)) -> Option<Failed> {
        let outcome = self.session.execute(code, &mut |output: Output| host(output));
        self.lost |= matches!(outcome, Outcome::Died(_) | Outcome::Interrupted(_) | Outcome::Failed(_));
        Some(Failed { failure: Failure::of(&outcome)? })
    }

    /// Runs the check of a TODO, in the release's own words. Only its own answer counts: it holds a word that nothing in the
    /// learner's cells can know.
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
            (_, Some(failed)) => Said::Nothing(failed.failure),
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

    /// Puts the release's own answer in place of one that did not pass, so that what follows does not suffer from it:
    /// in this session where it can be, else in a new one that has all that passed before.
    pub fn stand_in(&mut self, todo: usize) -> anyhow::Result<()> {
        let code = self.exercise.step(&Role::Answer(todo)).map(|step| step.code.clone()).unwrap_or_default();
        let in_place = !self.lost && self.run(&code).is_none() && self.check(todo) == Said::Passed;
        self.ran.push(code);
        if in_place { Ok(()) } else { self.reopen() }
    }

    /// A new session, in which all has run that is worth keeping.
    pub fn reopen(&mut self) -> anyhow::Result<()> {
        self.session = (self.open)()?;
        self.lost = false;
        for code in self.ran.clone() {
            if let Some(failed) = self.run(&code) {
                let first = crate::runner::first_line(&code).to_owned();
                return Err(anyhow::anyhow!(failed.failure.message))
                    .with_context(|| format!("running `{first}` again"));
            }
        }
        Ok(())
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
