//! `candlewick lesson`: one lesson, from nothing to its pictures.

use super::execute::{OUTPUT_FOLDER, Work, execute as run};
use super::running::Running;
use super::{End, Surroundings};
use crate::lessons::{self, LESSONS};
use crate::notebook::Notebook;
use crate::session::Options;
use crate::summary;
use anyhow::{Context, bail};
use clap::builder::PossibleValuesParser;
use std::path::{Path, PathBuf};

/// What is run when no lesson is named.
const FIRST: &str = "cats_vs_dogs";

/// The word that asks for drawn photos.
const SKETCHES: &str = "sketches";

/// Run a lesson's notebook from start to end, and write it with its outputs, and as a page
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The lesson [default: cats_vs_dogs]
    #[arg(value_parser = PossibleValuesParser::new(LESSONS.iter().map(|lesson| lesson.name)))]
    name: Option<String>,
    /// Photos to use instead: a folder with one folder a class, or `sketches` for drawn ones
    #[arg(long, value_name = "FOLDER|sketches")]
    data: Option<PathBuf>,
    /// Folder for the results
    #[arg(short, long, value_name = "DIR", default_value = OUTPUT_FOLDER)]
    output: PathBuf,
    #[command(flatten)]
    pub running: Running,
    /// Print the figures as one line of JSON on standard output
    #[arg(long)]
    pub json: bool,
}

pub fn execute(args: &Args, around: &mut Surroundings<'_>) -> anyhow::Result<End> {
    let name = args.name.as_deref().unwrap_or(FIRST);
    let lesson = lessons::find(name).with_context(|| format!("this build holds no lesson {name}"))?;
    let notebook = Notebook::parse(lesson.text).with_context(|| format!("the lesson {name}"))?;
    if args.output.exists() && !args.output.is_dir() {
        bail!("--output {} is a file; a lesson's results need a folder", args.output.display());
    }
    // Cells run where the notebook will lie, as they will in Jupyter.
    let folder = std::path::absolute(&args.output).with_context(|| format!("--output {}", args.output.display()))?;
    let mut options = Options { folder: Some(folder), ..Options::default() };
    if let Some(data) = &args.data {
        options.environment.insert("CANDLEWICK_DATA".into(), photos(data)?);
    }
    let output = args.output.join(format!("{name}.ipynb"));
    run(
        Work { notebook, output, in_place: None, options, running: args.running.clone() },
        around,
        args.json.then_some(summary::lesson),
    )
}

/// The value of `CANDLEWICK_DATA`: an absolute folder, because cells may run elsewhere, or the word for sketches.
pub(super) fn photos(data: &Path) -> anyhow::Result<String> {
    if data == Path::new(SKETCHES) {
        return Ok(SKETCHES.to_owned());
    }
    if !data.is_dir() {
        let what = if data.exists() { "is no folder" } else { "does not exist" };
        bail!(
            "--data {} {what}; give a folder that holds one folder of photos a class, or `--data {SKETCHES}`",
            data.display()
        );
    }
    let folder = std::path::absolute(data).with_context(|| format!("--data {}", data.display()))?;
    folder
        .into_os_string()
        .into_string()
        .map_err(|path| anyhow::anyhow!("--data {}: the path is not UTF-8; rename the folder", path.display()))
}
