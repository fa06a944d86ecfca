//! What `lesson` and `run` share: a notebook goes through a session, and its results are written.

use super::running::Running;
use super::{End, Surroundings};
use crate::html;
use crate::notebook::{Notebook, NotebookError, write_beside};
use crate::runner::{self, Event, Run};
use crate::session::Options;
use crate::summary::{self, Written};
use anyhow::{Context, bail};
use std::path::{Path, PathBuf};

/// Where results go unless the command says otherwise.
pub const OUTPUT_FOLDER: &str = "candlewick-output";

/// A notebook and where its results go.
pub struct Work {
    /// What is run.
    pub notebook: Notebook,
    /// The file that gets the results, after each cell.
    pub output: PathBuf,
    /// The file that gets them instead, once all cells ran: the notebook's own.
    pub in_place: Option<PathBuf>,
    /// What the session starts with.
    pub options: Options,
    /// Where its cells run.
    pub running: Running,
}

/// Makes one line of JSON of a run.
pub type Summary = fn(&Run, &Written) -> serde_json::Value;

/// Runs the notebook, shows the run, writes notebook and page; with a summary, prints its line for programs.
pub fn execute(mut work: Work, around: &mut Surroundings<'_>, json: Option<Summary>) -> anyhow::Result<End> {
    refuse_other_languages(&work.notebook, work.running.kernel.as_deref())?;
    // A folder that cannot be written is better known now than after the work.
    writable(work.in_place.as_ref().unwrap_or(&work.output))?;
    let (run, saved) = run(&mut work, around)?;
    for line in summary::lines(&run) {
        around.terminal.line(&line);
    }
    saved?;
    let written = write_results(&work, &run)?;
    around.terminal.line(&format!("Notebook: {}", written.notebook.display()));
    around.terminal.line(&format!("Page:     {}", written.html.display()));
    if let Some(summary) = json {
        around.print(&summary(&run, &written));
    }
    Ok(match &run.stopped {
        None => End::AllRan,
        Some(stop) if stop.session_failed => End::SessionFailed,
        Some(_) => End::CellFailed,
    })
}

/// Runs all cells; tells also whether the last of the savings in between went well.
fn run(work: &mut Work, around: &mut Surroundings<'_>) -> anyhow::Result<(Run, anyhow::Result<()>)> {
    let Work { notebook, output, in_place, options, running } = work;
    let terminal = &mut *around.terminal;
    let mut session = running.open(around.open, options.clone(), &mut |sent| terminal.sent(&sent))?;
    let mut saved = Ok(());
    let run = runner::run(notebook, session.as_mut(), &mut |event| {
        terminal.show(&event);
        // After each cell: what is done is not lost when somebody stops the run. In a file of its own, so that the
        // notebook and the page are always of one run.
        if let Event::Ends { notebook, .. } = event
            && in_place.is_none()
        {
            saved = write(notebook, &unfinished(output));
        }
    });
    Ok((run, saved))
}

fn write_results(work: &Work, run: &Run) -> anyhow::Result<Written> {
    let output = work.in_place.as_ref().filter(|_| run.stopped.is_none()).unwrap_or(&work.output);
    write(&work.notebook, output)?;
    let page = output.with_extension("html");
    let name = output.file_stem().unwrap_or_default().to_string_lossy();
    let text = html::page(&work.notebook, &name);
    write_beside(&page, text.as_bytes()).with_context(|| format!("cannot write {}", page.display()))?;
    // Where it cannot be removed, it holds nothing that the results do not.
    let _ = std::fs::remove_file(unfinished(&work.output));
    Ok(Written { notebook: output.clone(), html: page })
}

/// The file that has the outputs so far while cells run.
fn unfinished(output: &Path) -> PathBuf {
    output.with_extension("unfinished.ipynb")
}

fn write(notebook: &Notebook, path: &Path) -> anyhow::Result<()> {
    notebook.write(path).with_context(|| format!("cannot write {}", path.display()))
}

/// Makes the folder of a file that is to come, and tries to write there.
fn writable(path: &Path) -> anyhow::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let tried = std::fs::create_dir_all(folder).and_then(|()| tempfile::tempfile_in(folder));
    tried.with_context(|| format!("cannot write into {}", folder.display()))?;
    Ok(())
}

/// Reads a notebook and names it where that fails.
pub fn read(path: &Path) -> anyhow::Result<Notebook> {
    Notebook::read(path).map_err(|why| match why {
        NotebookError::File(why) => anyhow::anyhow!("cannot read {}: {why}", path.display()),
        why => anyhow::anyhow!("{}: {why}", path.display()),
    })
}

/// Without another kernel only Rust runs.
pub fn refuse_other_languages(notebook: &Notebook, kernel: Option<&str>) -> anyhow::Result<()> {
    if let Some(language) = notebook.language().filter(|language| language != "rust" && kernel.is_none()) {
        bail!("the notebook is written in {language}; candlewick runs Rust (--kernel NAME runs others)");
    }
    Ok(())
}

/// Whether two paths lead to one file, which may not exist yet.
pub fn same_file(a: &Path, b: &Path) -> bool {
    let real = |path: &Path| {
        let path = std::path::absolute(path).ok()?;
        path.canonicalize().ok().or_else(|| Some(path.parent()?.canonicalize().ok()?.join(path.file_name()?)))
    };
    real(a).is_some_and(|a| real(b) == Some(a))
}
