//! What `lesson` and `run` share: a notebook goes through a session, and its results are written.

use super::{End, Open};
use crate::notebook::{Notebook, write_beside};
use crate::runner::{self, Event, Run};
use crate::session::Options;
use crate::summary::{self, Written};
use crate::terminal::Terminal;
use crate::{html, notebook::NotebookError};
use anyhow::{Context, bail};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Where results go unless the command says otherwise.
pub const OUTPUT_FOLDER: &str = "candlewick-output";

/// A notebook and where its results go.
pub struct Work {
    /// What is run.
    pub notebook: Notebook,
    /// The file that gets the results, after each cell.
    pub output: PathBuf,
    /// The file that gets them instead once all cells ran: the notebook's own.
    pub in_place: Option<PathBuf>,
    /// What the session starts with.
    pub options: Options,
}

/// Makes one line of JSON of a run.
pub type Summary = fn(&Run, &Written) -> serde_json::Value;

/// Runs the notebook, shows the run, writes notebook and page; with a summary, prints its line on standard output.
pub fn execute(work: Work, open: Open<'_>, json: Option<Summary>) -> anyhow::Result<End> {
    let Work { mut notebook, output, in_place, options } = work;
    if let Some(language) = notebook.language().filter(|language| language != "rust") {
        bail!("the notebook is written in {language}; candlewick runs Rust");
    }
    let mut terminal = Terminal::stderr();
    // A folder that cannot be written is better known now than after the work.
    let keep = in_place.is_none();
    if keep {
        write(&notebook, &output)?;
    }
    let mut session = open(options, &mut |sent| terminal.sent(&sent))?;
    let mut unsaved: Option<anyhow::Error> = None;
    let run = runner::run(&mut notebook, session.as_mut(), &mut |event| {
        terminal.show(&event);
        // After each cell: what is done is not lost when somebody stops the run.
        if let Event::Ends { notebook, .. } = event
            && keep
        {
            unsaved = write(notebook, &output).err();
        }
    });
    drop(session);
    let output = in_place.filter(|_| run.stopped.is_none()).unwrap_or(output);
    if !keep {
        unsaved = write(&notebook, &output).err();
    }
    let page = output.with_extension("html");
    if let Some(error) = unsaved {
        return Err(error);
    }
    let name = output.file_stem().unwrap_or_default().to_string_lossy();
    let text = html::page(&notebook, &name);
    write_beside(&page, text.as_bytes()).with_context(|| format!("cannot write {}", page.display()))?;
    let written = Written { notebook: output, html: page };
    for line in summary::lines(&run, &written) {
        terminal.line(&line);
    }
    if let Some(summary) = json {
        print_line(&summary(&run, &written));
    }
    Ok(match &run.stopped {
        None => End::AllRan,
        Some(stop) if stop.session_failed => End::SessionFailed,
        Some(_) => End::CellFailed,
    })
}

/// Prints a line on standard output; where nobody reads it, there is nobody to tell.
pub fn print_line(line: &serde_json::Value) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

fn write(notebook: &Notebook, path: &Path) -> anyhow::Result<()> {
    notebook.write(path).with_context(|| format!("cannot write {}", path.display()))
}

/// Reads a notebook and names it where that fails.
pub fn read(path: &Path) -> anyhow::Result<Notebook> {
    Notebook::read(path).map_err(|why| match why {
        NotebookError::File(why) => anyhow::anyhow!("cannot read {}: {why}", path.display()),
        why => anyhow::anyhow!("{}: {why}", path.display()),
    })
}

/// Whether two paths lead to one file, which may not exist yet.
pub fn same_file(a: &Path, b: &Path) -> bool {
    let real = |path: &Path| {
        let path = std::path::absolute(path).ok()?;
        path.canonicalize().ok().or_else(|| Some(path.parent()?.canonicalize().ok()?.join(path.file_name()?)))
    };
    real(a).is_some_and(|a| real(b) == Some(a))
}
