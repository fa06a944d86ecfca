//! The author's side: a release, and the proof that it keeps its promises.

use crate::cli::{End, Surroundings};
use crate::exercise::source::{Earlier, Exercise};
use crate::exercise::verify::{Trial, verify};
use crate::exercise::{EXERCISE, built_in, mistakes};
use crate::notebook::write_beside;
use crate::session::{Options, Session};
use anyhow::{Context, bail};
use std::path::Path;

/// Writes what comes from the source: beside it, and in the helper crate of the same repository.
pub fn release(source: &Path, around: &mut Surroundings<'_>) -> anyhow::Result<End> {
    let notebook = crate::cli::execute::read(source)?;
    let exercise = Exercise::read(notebook).with_context(|| source.display().to_string())?;
    let carried = source.parent().unwrap_or(Path::new(".")).join("../crate/src/lesson/flowers.json");
    if !carried.parent().is_some_and(Path::is_dir) {
        bail!("{} is not in candlewick's repository: there is no {}", source.display(), carried.display());
    }
    let beside = source.with_file_name(EXERCISE).with_extension("ipynb");
    let text = serde_json::to_string_pretty(&exercise.carried())? + "\n";
    let earlier = source.parent().unwrap_or(Path::new(".")).join("../kernel/src/exercise/earlier.json");
    let kept = with_those_of(&beside, &exercise, &earlier)?;
    // Before the notebook that it keeps something of is written anew.
    for (path, text) in [(earlier, kept), (beside, exercise.notebook().to_string()), (carried, text)] {
        // A file that is newer than it need be has cargo compile the crate anew, and all that cells import.
        let is_same = std::fs::read_to_string(&path).is_ok_and(|old| old == text);
        if !is_same {
            write_beside(&path, text.as_bytes()).with_context(|| format!("cannot write {}", path.display()))?;
        }
        around.terminal.line(&format!("{}: {}", if is_same { "Unchanged" } else { "Written" }, path.display()));
    }
    Ok(End::AllRan)
}

/// What earlier releases had in cells, with what the last one has there and this one has not: without it `update` would take
/// it for the learner's.
fn with_those_of(last: &Path, exercise: &Exercise, earlier: &Path) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(earlier).with_context(|| format!("cannot read {}", earlier.display()))?;
    let mut kept: Vec<Earlier> = serde_json::from_str(&text).with_context(|| earlier.display().to_string())?;
    if last.exists() {
        let last = crate::cli::execute::read(last)?;
        for cell in last.cells() {
            let now = exercise.cells.iter().find(|now| now.is_kept() && cell.id() == Some(now.id.as_str()));
            let Some(now) = now.filter(|now| now.texts.first() != Some(&cell.source())) else { continue };
            let gone = Earlier { id: now.id.clone(), text: cell.source() };
            if !kept.contains(&gone) {
                kept.push(gone);
            }
        }
    }
    Ok(serde_json::to_string_pretty(&kept)? + "\n")
}

/// Runs everything that is promised, and says what is not kept.
pub fn verified(data: &Path, until: Option<usize>, around: &mut Surroundings<'_>) -> anyhow::Result<End> {
    let mut exercise = built_in()?;
    let all = exercise.todos.len();
    exercise.cut(until.unwrap_or(usize::MAX));
    if exercise.todos.len() < all {
        around.terminal.line(&format!("Left out: TODO {} to {all}", exercise.todos.len() + 1));
    }
    let environment = [("CANDLEWICK_DATA".to_owned(), crate::cli::lesson::photos(data)?)].into();
    let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
    let options = Options { folder: Some(folder.path().to_owned()), environment, ..Options::default() };
    let Surroundings { open, terminal, .. } = around;
    let opened = || -> anyhow::Result<Box<dyn Session>> { open(options.clone(), &mut |_| {}) };
    let trials = verify(&exercise, &mistakes::built_in(), &opened, &mut |trial| {
        terminal.line(&line(trial));
    })?;
    let wrong = trials.iter().filter(|trial| trial.wrong.is_some()).count();
    around.terminal.line(&format!("{} trials, {wrong} not as promised", trials.len()));
    Ok(if wrong == 0 { End::AllRan } else { End::CellFailed })
}

/// `✓ TODO 1: swapped-split`, with what is wrong below.
fn line(Trial { todo, what, wrong }: &Trial) -> String {
    let place = if *todo == 0 { "given".to_owned() } else { format!("TODO {todo}") };
    match wrong {
        None => format!("✓ {place}: {what}"),
        Some(why) => format!("✗ {place}: {what}\n    {}", crate::ansi::plain(why).replace('\n', "\n    ")),
    }
}
