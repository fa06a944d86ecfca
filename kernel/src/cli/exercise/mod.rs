//! `candlewick exercise`: the flowers exercise, for its author, its learners and their teachers.

mod author;
mod grade;
mod learner;
#[cfg(test)]
mod tests;

use super::{End, Surroundings};
use clap::Subcommand;
use std::path::PathBuf;

/// The flowers exercise: how far you are, hints, a TODO reset; a class graded; release and verify for its author
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show how far you have come
    Status {
        #[command(flatten)]
        file: learner::File,
    },
    /// Give the next hint for a TODO
    Hint {
        /// The TODO
        n: usize,
        #[command(flatten)]
        file: learner::File,
    },
    /// Put a TODO back as it was; the rest of the file stays as it is, and your answer is kept beside it
    Reset {
        /// The TODO
        n: usize,
        #[command(flatten)]
        file: learner::File,
    },
    /// Show the lesson's answer beside your own, once yours has passed
    Solution {
        /// The TODO
        n: usize,
        #[command(flatten)]
        file: learner::File,
    },
    /// Bring a notebook to this release of the exercise, with your work in it; the old file is kept beside it
    Update {
        #[command(flatten)]
        file: learner::File,
    },
    Grade(grade::Args),
    /// Write the exercise, and what the helper crate carries of it, from the solution
    Release {
        /// The source
        #[arg(value_name = "NOTEBOOK", default_value = "notebooks/flowers_solution.ipynb")]
        source: PathBuf,
    },
    /// Prove by running that every stub stops, every mistake is told by its name, and every solution passes
    Verify {
        /// Where photos come from: `sketches`, or a folder that holds `cats_vs_dogs` and `flowers`, each with a folder per class
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
        matches!(self.command, Command::Verify { .. } | Command::Grade(_))
    }
}

pub fn execute(args: &Args, around: &mut Surroundings<'_>) -> anyhow::Result<End> {
    match &args.command {
        Command::Status { file } => learner::status(file, around),
        Command::Hint { n, file } => learner::hint(*n, file, around),
        Command::Reset { n, file } => learner::reset(*n, file, around),
        Command::Solution { n, file } => learner::solution(*n, file, around),
        Command::Update { file } => learner::update(file, around),
        Command::Grade(args) => grade::execute(args, around),
        Command::Release { source } => author::release(source, around),
        Command::Verify { data, until } => author::verified(data, *until, around),
    }
}
