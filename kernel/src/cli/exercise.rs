//! `candlewick exercise`: the flowers exercise, for its author, its learners and their teachers.

use super::{End, Surroundings};
use crate::exercise::source::Exercise;
use crate::exercise::verify::{Trial, verify};
use crate::exercise::{EXERCISE, built_in, mistakes};
use crate::notebook::write_beside;
use crate::session::{Options, Session};
use anyhow::{Context, bail};
use clap::Subcommand;
use std::path::{Path, PathBuf};

/// The flowers exercise: release and verify it, take hints, reset a TODO, grade a class
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write the exercise, and what the helper crate carries of it, from the solution
    Release {
        /// The source
        #[arg(value_name = "NOTEBOOK", default_value = "notebooks/flowers_solution.ipynb")]
        source: PathBuf,
    },
    /// Prove by running that every stub stops, every mistake is told by its name, and every solution passes
    Verify {
        /// Where photos come from: a folder, or `sketches`
        #[arg(long, value_name = "FOLDER|sketches", default_value = "sketches")]
        data: PathBuf,
        /// Only up to this TODO
        #[arg(long, value_name = "N")]
        until: Option<usize>,
    },
}

impl Args {
    /// Whether cells run in this program itself.
    pub fn runs_cells(&self) -> bool {
        matches!(self.command, Command::Verify { .. })
    }
}

pub fn execute(args: &Args, around: &mut Surroundings<'_>) -> anyhow::Result<End> {
    match &args.command {
        Command::Release { source } => release(source, around),
        Command::Verify { data, until } => verified(data, *until, around),
    }
}

/// Writes what comes from the source: beside it, and in the helper crate of the same repository.
fn release(source: &Path, around: &mut Surroundings<'_>) -> anyhow::Result<End> {
    let notebook = super::execute::read(source)?;
    let exercise = Exercise::read(notebook).with_context(|| source.display().to_string())?;
    let carried = source.parent().unwrap_or(Path::new(".")).join("../crate/src/lesson/flowers.json");
    if !carried.parent().is_some_and(Path::is_dir) {
        bail!("{} is not in candlewick's repository: there is no {}", source.display(), carried.display());
    }
    let beside = source.with_file_name(EXERCISE).with_extension("ipynb");
    let text = serde_json::to_string_pretty(&exercise.carried())? + "\n";
    for (path, text) in [(beside, exercise.notebook().to_string()), (carried, text)] {
        write_beside(&path, text.as_bytes()).with_context(|| format!("cannot write {}", path.display()))?;
        around.terminal.line(&format!("Written: {}", path.display()));
    }
    Ok(End::AllRan)
}

fn verified(data: &Path, until: Option<usize>, around: &mut Surroundings<'_>) -> anyhow::Result<End> {
    let mut exercise = built_in()?;
    exercise.cut(until.unwrap_or(usize::MAX));
    let environment = [("CANDLEWICK_DATA".to_owned(), super::lesson::photos(data)?)].into();
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
