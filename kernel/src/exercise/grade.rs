//! Grades a notebook: the learner's answers, between the release's own cells, in sessions of their own.

use super::answers::Answers;
use super::source::{Exercise, Role};
use super::stage::{Opener, Said, Stage};
use crate::notebook::Notebook;
use crate::outputs::Failure;

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

/// Runs the learner's answers and nothing else of the notebook's. Where one does not pass, the release's own stands in for
/// it, so that each TODO is graded by itself. `watch` hears how many TODOs are done.
///
/// # Errors
/// Where the notebook is not of the exercise, or no session opens.
pub fn grade(
    exercise: &Exercise,
    notebook: &Notebook,
    open: Opener<'_>,
    watch: &mut dyn FnMut(usize),
) -> anyhow::Result<Graded> {
    let answers = Answers::find(notebook, exercise)?;
    let mut stage = Stage::open(exercise, open)?;
    let mut verdicts = Vec::new();
    // What stands behind the last check is for learners to look at, and may take minutes.
    let last = exercise.steps.iter().rposition(|step| matches!(step.role, Role::Check(_))).unwrap_or(0);
    for step in exercise.steps.iter().take(last + 1) {
        match step.role {
            Role::Given => {
                // What is given runs on what is right: each answer has passed, or the release's stands in for it.
                if let Some(failed) = stage.run(&step.code) {
                    anyhow::bail!("a cell that is given failed: {}", failed.failure.message);
                }
                stage.keep(&step.code);
            }
            Role::Answer(todo) => {
                verdicts.push((todo, judge(&mut stage, &answers, todo)?));
                watch(verdicts.len());
            }
            Role::Check(_) => {}
        }
    }
    Ok(Graded { verdicts, notes: answers.notes })
}

fn judge(stage: &mut Stage<'_>, answers: &Answers, todo: usize) -> anyhow::Result<Verdict> {
    let pieces = answers.of(todo);
    let (mut worked, mut failure) = (Vec::new(), None);
    for piece in pieces {
        match stage.run(&piece.code) {
            None => worked.push(piece.code.as_str()),
            // A cell that the learner has added is none of the exercise's business.
            Some(_) if !piece.is_answer && stage.is_lost() => stage.reopen()?,
            Some(_) if !piece.is_answer => {}
            Some(failed) => failure = Some(failed.failure),
        }
        if stage.is_lost() {
            break;
        }
    }
    let said = if stage.is_lost() { None } else { Some(stage.check(todo)) };
    if said == Some(Said::Passed) {
        worked.into_iter().for_each(|code| stage.keep(code));
        return Ok(Verdict::Passed);
    }
    // Nothing follows the last one.
    if todo < stage.exercise.todos.len() {
        stage.stand_in(todo)?;
    }
    let has_answer = pieces.iter().any(|piece| piece.is_answer);
    Ok(match (said, failure) {
        (Some(Said::Wrong { mistake: Some(name), text }), _) => Verdict::Mistake { name, text },
        (_, Some(failure)) => Verdict::failed(failure),
        (Some(Said::Nothing(_)) | None, None) if !has_answer => Verdict::Missing,
        (Some(Said::Wrong { text, .. }), None) => Verdict::Failed { kind: "check".to_owned(), text },
        (Some(Said::Nothing(failure)), None) => Verdict::failed(failure),
        (Some(Said::Passed) | None, None) => Verdict::Missing,
    })
}
