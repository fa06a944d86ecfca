//! Grades a notebook: the learner's answers, between the release's own cells, in sessions of their own.

use super::answers::Answers;
use super::source::{Exercise, Role};
use super::stage::{Opener, Said, Stage};
use crate::notebook::Notebook;
use crate::outputs::Failure;
use crate::session;

/// What came of a TODO.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Its check passed.
    Passed,
    /// Its check knows what is wrong.
    Mistake {
        /// `swapped-split`.
        name: String,
        /// The check's words.
        text: String,
    },
    /// The answer failed: a compile error, a panic, an endless loop; or left nothing that could be checked.
    Failed {
        /// "panic", "compile error", "interrupted", …
        kind: String,
        /// What it says.
        text: String,
    },
    /// There is no answer.
    Missing,
}

impl Verdict {
    /// In one word, for programs.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Mistake { .. } => "mistake",
            Self::Failed { .. } => "failed",
            Self::Missing => "missing",
        }
    }

    fn failed(failure: Failure) -> Self {
        Self::Failed { kind: failure.kind.into_owned(), text: failure.message }
    }
}

/// A notebook, graded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Graded {
    /// Each TODO and what came of it, in order.
    pub verdicts: Vec<(usize, Verdict)>,
    /// What is odd about the notebook.
    pub notes: Vec<String>,
}

impl Graded {
    /// How many TODOs are done.
    pub fn passed(&self) -> usize {
        self.verdicts.iter().filter(|(_, verdict)| *verdict == Verdict::Passed).count()
    }
}

/// Runs the learner's answers, and the cells that the learner has added above them; given cells and checks are the release's
/// own. Where an answer does not pass, the release's stands in for it, so that each TODO is graded by itself. `watch` hears
/// how many TODOs are done.
///
/// # Errors
/// Where the notebook is not of the exercise, no session opens, or the release's own cells fail.
pub fn grade(
    exercise: &Exercise,
    notebook: &Notebook,
    open: Opener<'_>,
    watch: &mut dyn FnMut(usize),
) -> anyhow::Result<Graded> {
    let mut answers = Answers::find(notebook, exercise)?;
    for index in &answers.changed {
        answers.notes.push(format!("cell {}, the exercise's own, was changed; the exercise's own ran", index + 1));
    }
    let mut stage = Stage::open(exercise, open)?;
    let mut verdicts = Vec::new();
    // What stands behind the last check is for learners to look at, and may take minutes.
    let last = exercise.steps.iter().rposition(|step| matches!(step.role, Role::Check(_))).unwrap_or(0);
    for step in exercise.steps.iter().take(last + 1) {
        match step.role {
            Role::Given => {
                if let Some(failure) = give(&mut stage, &step.code)? {
                    blame_last(&mut verdicts, failure);
                }
            }
            Role::Answer(todo) => {
                let (verdict, late) = judge(&mut stage, &answers, todo)?;
                if let Some(failure) = late {
                    blame_last(&mut verdicts, failure);
                }
                verdicts.push((todo, verdict));
                watch(verdicts.len());
            }
            Role::Check(_) => {}
        }
    }
    Ok(Graded { verdicts, notes: answers.notes })
}

/// Runs a given cell. Gives how it failed on what answers have made that passed; it runs on what the release has made then.
fn give(stage: &mut Stage<'_>, code: &str) -> anyhow::Result<Option<Failure>> {
    let failed = stage.run(code);
    stage.keep(&[code], code);
    if failed.is_some() { stage.recover(failed) } else { Ok(None) }
}

/// A cell of the release's own failed though all before it had passed: the last answer that did has done it, by what it left.
fn blame_last(verdicts: &mut [(usize, Verdict)], failure: Failure) {
    if let Some((_, verdict)) = verdicts.iter_mut().rev().find(|(_, verdict)| *verdict == Verdict::Passed) {
        let text = format!("its check passed, but a cell of the exercise behind it failed: {}", failure.message);
        *verdict = Verdict::Failed { kind: failure.kind.into_owned(), text };
    }
}

/// What comes of a TODO; and where the release's own answer ended the session, how.
fn judge(stage: &mut Stage<'_>, answers: &Answers, todo: usize) -> anyhow::Result<(Verdict, Option<Failure>)> {
    let pieces = answers.of(todo);
    let (mut worked, mut failure) = (Vec::new(), None);
    for piece in pieces {
        let failed = match refusal(&piece.code) {
            Some(refused) => Some(refused),
            None => stage.run(&piece.code),
        };
        match failed {
            None => worked.push(piece.code.as_str()),
            // A cell that the learner has added is none of the exercise's business.
            Some(_) if !piece.is_answer && stage.is_lost() => stage.reopen()?,
            Some(_) if !piece.is_answer => {}
            Some(failed) => failure = Some(failed),
        }
        if stage.is_lost() {
            break;
        }
    }
    let said = if stage.is_lost() { None } else { Some(stage.check(todo)) };
    if said == Some(Said::Passed) && failure.as_ref().is_none_or(|failure| failure.kind != REFUSED) {
        stage.keep(&worked, &stage.solution(todo));
        return Ok((Verdict::Passed, None));
    }
    if !pieces.is_empty() {
        stage.has_strays = true;
    }
    // Nothing follows the last one.
    let late = if todo < stage.exercise.todos.len() { stage.stand_in(todo)? } else { None };
    let has_answer = pieces.iter().any(|piece| piece.is_answer);
    let verdict = match (said, failure) {
        (Some(Said::Wrong { mistake: Some(name), text }), _) => Verdict::Mistake { name, text },
        (_, Some(failure)) => Verdict::failed(failure),
        (Some(Said::Nothing(_)) | None, None) if !has_answer => Verdict::Missing,
        (Some(Said::Wrong { text, .. }), None) => Verdict::Failed { kind: "check".to_owned(), text },
        (Some(Said::Nothing(failure)), None) => Verdict::failed(failure),
        (Some(Said::Passed) | None, None) => Verdict::Missing,
    };
    Ok((verdict, late))
}

/// The kind of a cell that is not run at all.
const REFUSED: &str = "refused";

/// Why a learner's cell is not run: it gives another meaning to a name by which checks are reached.
fn refusal(code: &str) -> Option<Failure> {
    let (name, item) = session::defines(code)?.into_iter().find(|(name, item)| {
        // What only names the crate changes nothing.
        ["candlewick", "std", "core"].contains(&name.as_str()) && *item != format!("extern crate {name};")
    })?;
    Some(Failure {
        kind: REFUSED.into(),
        message: format!(
            "it defines `{name}` anew, by which the checks are reached; give what `{}` makes another name",
            crate::runner::first_line(&item)
        ),
        text: String::new(),
    })
}
