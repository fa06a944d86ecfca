//! `candlewick run`: any notebook, from start to end.

use super::execute::{OUTPUT_FOLDER, Work, execute as run, read, same_file};
use super::running::Running;
use super::{End, Surroundings};
use crate::session::Options;
use crate::summary;
use anyhow::{Context, bail};
use std::path::{Path, PathBuf};

/// Run a notebook's cells from start to end, up to the first that fails
///
/// Cells run in the notebook's folder, as they do in Jupyter. A cell tagged `raises-exception` may fail; one tagged
/// `skip-execution` does not run.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The notebook (.ipynb)
    notebook: PathBuf,
    /// File for the notebook with its outputs; a page (.html) goes beside it [default: candlewick-output/NOTEBOOK]
    #[arg(short, long, value_name = "FILE", conflicts_with = "in_place")]
    output: Option<PathBuf>,
    /// Write the outputs into the notebook itself, if all cells ran
    #[arg(long, visible_alias = "inplace")]
    in_place: bool,
    #[command(flatten)]
    pub running: Running,
    /// Print how it went as one line of JSON on standard output
    #[arg(long)]
    pub json: bool,
}

pub fn execute(args: &Args, around: &mut Surroundings<'_>) -> anyhow::Result<End> {
    let path = &args.notebook;
    let notebook = read(path)?;
    let absolute = std::path::absolute(path).with_context(|| path.display().to_string())?;
    let options = Options { folder: absolute.parent().map(Path::to_owned), ..Options::default() };
    let (output, in_place) = if args.in_place {
        // A failed run must not cost the outputs that the notebook has.
        (path.with_extension("failed.ipynb"), Some(path.clone()))
    } else {
        (output(args)?, None)
    };
    run(
        Work { notebook, output, in_place, options, running: args.running.clone() },
        around,
        args.json.then_some(summary::run),
    )
}

/// Where the results go, if that is neither the notebook itself nor no file at all.
fn output(args: &Args) -> anyhow::Result<PathBuf> {
    let path = &args.notebook;
    let name = path.file_name().with_context(|| format!("{} names no file", path.display()))?;
    let by_default = || Path::new(OUTPUT_FOLDER).join(name).with_extension("ipynb");
    let output = args.output.clone().unwrap_or_else(by_default);
    if output.is_dir() {
        bail!("--output {} is a folder; name a file in it", output.display());
    }
    if same_file(&output, path) {
        bail!("the results would overwrite {}; say --in-place for that, or --output FILE", path.display());
    }
    if output.extension().is_some_and(|end| end == "html") || same_file(&output.with_extension("html"), path) {
        bail!("--output {}: name the notebook (.ipynb); the page goes beside it", output.display());
    }
    Ok(output)
}
