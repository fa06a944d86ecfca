//! Proves, by running, that the exercise keeps its promises: stubs stop, checks catch, solutions pass.

use super::mistakes::Mistake;
use super::source::{Exercise, Role};
use super::stage::{Opener, Said, Stage};

/// One thing that was tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trial {
    /// At which TODO; 0 for given cells.
    pub todo: usize,
    /// What: "the stub", "swapped-split".
    pub what: String,
    /// What is wrong; nothing where all is as promised.
    pub wrong: Option<String>,
}

/// Runs all in one session, in order. For each TODO: its stub must stop with a line that names it, and its check must
/// fail, and no earlier one; each mistake must be told by its name; the solution must pass. `watch` hears of each trial.
///
/// # Errors
/// Where no session opens, or one that is lost cannot be made anew.
pub fn verify(
    exercise: &Exercise,
    mistakes: &[Mistake],
    open: Opener<'_>,
    watch: &mut dyn FnMut(&Trial),
) -> anyhow::Result<Vec<Trial>> {
    let mut all = Vec::new();
    let mut stage = Stage::open(exercise, open)?;
    // The checks that pass as things stand: not those whose variables a later answer has used up.
    let mut passing = Vec::new();
    for step in &exercise.steps {
        let trials = match &step.role {
            Role::Given => {
                let failed = stage.run(&step.code);
                stage.keep(&[&step.code], &step.code);
                vec![trial(0, &step.id, failed.map(|failure| failure.message))]
            }
            Role::Answer(todo) => at_todo(&mut stage, *todo, &step.stub, mistakes, &mut passing)?,
            // It runs with its answer.
            Role::Check(_) => Vec::new(),
        };
        trials.iter().for_each(&mut *watch);
        all.extend(trials);
    }
    Ok(all)
}

fn trial(todo: usize, what: &str, wrong: Option<String>) -> Trial {
    Trial { todo, what: what.to_owned(), wrong }
}

fn at_todo(
    stage: &mut Stage<'_>,
    todo: usize,
    stub: &str,
    mistakes: &[Mistake],
    passing: &mut Vec<usize>,
) -> anyhow::Result<Vec<Trial>> {
    let mut trials = vec![trial(todo, "the stub", stub_fails(stage, todo, stub, passing))];
    for mistake in mistakes.iter().filter(|mistake| mistake.todo == todo) {
        let wrong = told(stage, mistake);
        trials.push(trial(todo, &mistake.name, wrong));
        // What a mistake has used up or changed must not be blamed on the next one.
        if stage.is_lost() || !stage.all_pass(passing) {
            stage.reopen()?;
        }
    }
    stage.stand_in(todo)?;
    let wrong = match stage.check(todo) {
        Said::Passed => None,
        other => Some(format!("the check does not pass: {}", words(&other))),
    };
    trials.push(trial(todo, "the solution", wrong));
    passing.push(todo);
    if !stage.all_pass(passing) {
        passing.retain(|todo| stage.check(*todo) == Said::Passed);
    }
    Ok(trials)
}

/// What is wrong with how the stub fails.
fn stub_fails(stage: &mut Stage<'_>, todo: usize, stub: &str, passing: &[usize]) -> Option<String> {
    let name = stage.exercise.todos.iter().find(|one| one.number == todo).map(|todo| todo.name()).unwrap_or_default();
    let Some(failed) = stage.run(stub) else { return Some("it runs, and must stop".to_owned()) };
    if failed.kind != "error" || !failed.message.starts_with(&format!("{name}: ")) {
        return Some(format!("it stops with {}: {}", failed.kind, failed.message));
    }
    if stage.check(todo) == Said::Passed {
        return Some("its own check passes".to_owned());
    }
    (!stage.all_pass(passing)).then(|| "a check of an earlier TODO does not pass any more".to_owned())
}

/// What is wrong with how a mistake is told.
fn told(stage: &mut Stage<'_>, mistake: &Mistake) -> Option<String> {
    let failed = stage.run(&mistake.code);
    match (&mistake.says, failed) {
        (Some(_), None) => Some("the cell runs, and must stop".to_owned()),
        (Some(says), Some(failed)) if failed.text.contains(says.as_str()) => None,
        (_, Some(failed)) => Some(format!("the cell stops with {}: {}", failed.kind, failed.text)),
        (None, None) => match stage.check(mistake.todo) {
            Said::Wrong { mistake: Some(name), text } if name == mistake.name => misleads(stage, mistake.todo, &text),
            other => Some(format!("the check says: {}", words(&other))),
        },
    }
}

/// What a diagnosis must not say: a line of the solution; at TODO 12, what would destroy the model of TODO 7.
fn misleads(stage: &Stage<'_>, todo: usize, text: &str) -> Option<String> {
    if todo == stage.exercise.todos.len() && text.contains("model.forget") {
        return Some(format!("the check tells to forget a model of an earlier TODO: {text}"));
    }
    let solution = stage.exercise.todos.iter().find(|one| one.number == todo).map(|todo| todo.solution.as_str());
    let mut lines = solution.unwrap_or_default().lines().map(str::trim);
    let told = lines.find(|line| {
        line.contains(['(', '=']) && !line.starts_with("//") && text.contains(line.trim_end_matches(';'))
    })?;
    Some(format!("the check tells a line of the solution, `{told}`: {text}"))
}

fn words(said: &Said) -> String {
    match said {
        Said::Passed => "passed".to_owned(),
        Said::Wrong { mistake, text } => format!("{}: {text}", mistake.as_deref().unwrap_or("no known mistake")),
        Said::Nothing(failure) => format!("{}: {}", failure.kind, failure.text),
    }
}
