//! `candlewick check`: notebooks still show what is saved in them.

use super::execute::{read, refuse_other_languages};
use super::running::Running;
use super::{End, Open, Surroundings};
use crate::check::{Checked, CheckedCell, Difference, Sanitizer, Settings, Verdict, check, junit};
use crate::client::was_stopped;
use crate::notebook::{Notebook, write_beside};
use crate::session::{Options, Output};
use crate::terminal::progress::duration;
use anyhow::Context;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

/// Run notebooks anew, and compare what their cells show with what is saved in them
///
/// Each runs on a fresh session, in its own folder. Cells are marked as for nbval, by tags or comments: `nbval-skip`,
/// `nbval-ignore-output`, `nbval-check-output`, `raises-exception`. PNG, JPEG, GIF, WebP and BMP are
/// compared by their pixels.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The notebooks (.ipynb)
    #[arg(required = true, value_name = "NOTEBOOK")]
    notebooks: Vec<PathBuf>,
    #[command(flatten)]
    pub running: Running,
    /// Compare only cells marked `nbval-check-output`
    #[arg(long)]
    lax: bool,
    /// Replace what differs from run to run before comparing: `regex:` and `replace:` lines, as nbval has them
    #[arg(long, value_name = "FILE")]
    sanitize_with: Option<PathBuf>,
    /// Save the new outputs in notebooks that ran through
    #[arg(long)]
    update: bool,
    /// Write the results as JUnit XML
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// How many notebooks run at a time
    #[arg(short, long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    jobs: u16,
    /// Print the results as one line of JSON on standard output
    #[arg(long)]
    pub json: bool,
}

/// A notebook to check.
struct ToCheck {
    /// As the user named it.
    named: PathBuf,
    /// The same, wherever the current folder is.
    file: PathBuf,
    notebook: Notebook,
}

/// A notebook's end: none where it could not be run at all.
struct Done {
    result: anyhow::Result<Checked>,
    /// How many cells were saved anew.
    updated: usize,
    took: Duration,
}

/// What those who check say to the one who shows it.
enum Said {
    /// While a session opens.
    Opening(Output),
    /// So many cells of so many are done.
    Cells(usize, usize, usize),
    /// The notebook is done.
    Done(usize, Box<Done>),
}

pub fn execute(args: &Args, around: &mut Surroundings<'_>) -> anyhow::Result<End> {
    let settings = Settings { lax: args.lax, sanitizer: sanitizer(args.sanitize_with.as_deref())? };
    let mut notebooks = Vec::new();
    for path in &args.notebooks {
        let notebook = read(path)?;
        let kernel = args.running.kernel.as_deref();
        refuse_other_languages(&notebook, kernel).with_context(|| path.display().to_string())?;
        // While one session opens, the current folder is another one, for those who check beside it, too.
        let file = std::path::absolute(path).with_context(|| path.display().to_string())?;
        notebooks.push(ToCheck { named: path.clone(), file, notebook });
    }
    let mut done: Vec<Option<Done>> = notebooks.iter().map(|_| None).collect();
    let open = around.open;
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        let (said, heard) = channel();
        for _ in 0..usize::from(args.jobs).min(notebooks.len()) {
            let (said, next, notebooks, settings) = (said.clone(), &next, &notebooks, &settings);
            scope.spawn(move || work(args, notebooks, settings, open, next, &said));
        }
        drop(said);
        for message in heard {
            hear(message, &notebooks, &mut done, around);
        }
    });
    let results: Vec<(&Path, &Done)> =
        notebooks.iter().zip(&done).filter_map(|(one, done)| Some((one.named.as_path(), done.as_ref()?))).collect();
    if let Some(file) = &args.junit {
        write_junit(file, &results)?;
    }
    if args.json {
        around.print(&Value::Array(results.iter().map(|(path, done)| line(path, done)).collect()));
    }
    Ok(if results.len() < notebooks.len() { End::SessionFailed } else { end(&results, args.update) })
}

fn sanitizer(file: Option<&Path>) -> anyhow::Result<Sanitizer> {
    let Some(file) = file else { return Ok(Sanitizer::default()) };
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    Sanitizer::parse(&text).with_context(|| file.display().to_string())
}

/// Takes one notebook after the other, until none is left or somebody stops us.
fn work(
    args: &Args,
    notebooks: &[ToCheck],
    settings: &Settings,
    open: Open<'_>,
    next: &AtomicUsize,
    said: &Sender<Said>,
) {
    while !was_stopped() {
        let index = next.fetch_add(1, Ordering::SeqCst);
        let Some(to_check) = notebooks.get(index) else { return };
        let begun = Instant::now();
        let mut updated = 0;
        let result = one(args, to_check, settings, open, &|message| drop(said.send(message)), index);
        let result = result.and_then(|checked| {
            if args.update && checked.ran_through() {
                updated = update(to_check, &checked)?;
            }
            Ok(checked)
        });
        let done = Done { result, updated, took: begun.elapsed() };
        // Who listens does so until all are done.
        let _ = said.send(Said::Done(index, Box::new(done)));
    }
}

fn one(
    args: &Args,
    ToCheck { file, notebook, .. }: &ToCheck,
    settings: &Settings,
    open: Open<'_>,
    say: &dyn Fn(Said),
    index: usize,
) -> anyhow::Result<Checked> {
    let options = Options { folder: file.parent().map(Path::to_owned), ..Options::default() };
    let mut session = args.running.open(open, options, &mut |output| say(Said::Opening(output)))?;
    Ok(check(notebook, session.as_mut(), settings, &mut |done, of| say(Said::Cells(index, done, of))))
}

/// Saves what is new; a notebook in which nothing is stays as it is, to the byte.
fn update(ToCheck { named, file, notebook }: &ToCheck, checked: &Checked) -> anyhow::Result<usize> {
    let mut notebook = notebook.clone();
    let updated = checked.update(&mut notebook);
    if updated > 0 {
        notebook.write(file).with_context(|| format!("cannot write {}", named.display()))?;
    }
    Ok(updated)
}

fn hear(said: Said, notebooks: &[ToCheck], done: &mut [Option<Done>], around: &mut Surroundings<'_>) {
    let path = |index: usize| notebooks.get(index).map(|one| one.named.display().to_string()).unwrap_or_default();
    match said {
        Said::Opening(output) => around.terminal.sent(&output),
        Said::Cells(index, cells, of) => {
            let (task, what, unit) = (index as u64 + 1, path(index), "cells".to_owned());
            let (finished, done, total) = (cells == of, cells as u64, Some(of as u64));
            around.terminal.sent(&Output::Progress { task, what, done, total, unit, finished });
        }
        Said::Done(index, one) => {
            for line in lines(&path(index), &one) {
                around.terminal.line(&line);
            }
            if let Some(place) = done.get_mut(index) {
                *place = Some(*one);
            }
        }
    }
}

/// A notebook's end, in lines for people.
fn lines(path: &str, done: &Done) -> Vec<String> {
    let took = duration(done.took);
    let checked = match &done.result {
        Ok(checked) => checked,
        Err(why) => return vec![format!("✗ {path}: could not be run, {took}"), format!("  {why:#}")],
    };
    let mark = if checked.is_same() || done.updated > 0 { '✓' } else { '✗' };
    let updated = if done.updated > 0 { format!(", {} saved anew", done.updated) } else { String::new() };
    let mut lines = vec![format!("{mark} {path}: {}{updated}, {took}", counts(checked))];
    for cell in &checked.cells {
        let head = format!("  cell {}, `{}`", cell.number, cell.source);
        match &cell.verdict {
            Verdict::Different(differences) => {
                for Difference { what, how } in differences {
                    lines.push(format!("{head}: {what}"));
                    lines.extend(how.lines().map(|line| format!("    {line}")));
                }
            }
            Verdict::Failed(failure) => {
                lines.push(format!("{head}: {}", failure.kind));
                lines.extend(crate::ansi::plain(&failure.text).lines().map(|line| format!("    {line}")));
            }
            _ => {}
        }
    }
    lines
}

/// `12 cells: 9 same, 2 ran, 1 skipped`; what ran was not to be compared.
fn counts(checked: &Checked) -> String {
    let counted = ["same", "ran", "skipped", "different", "failed", "not run"]
        .map(|word| (checked.cells.iter().filter(|cell| cell.verdict.word() == word).count(), word));
    let words: Vec<_> = counted.iter().filter(|(n, _)| *n > 0).map(|(n, word)| format!("{n} {word}")).collect();
    let cells = crate::terminal::progress::amount(checked.cells.len() as u64, "cells");
    if words.is_empty() { cells } else { format!("{cells}: {}", words.join(", ")) }
}

fn write_junit(file: &Path, results: &[(&Path, &Done)]) -> anyhow::Result<()> {
    let named: Vec<_> = results.iter().map(|(path, done)| (path.display().to_string(), &done.result)).collect();
    let texts: Vec<_> = named.iter().map(|(_, result)| result.as_ref().err().map(|why| format!("{why:#}"))).collect();
    let suites: Vec<junit::Suite<'_>> = named
        .iter()
        .zip(&texts)
        .map(|((name, result), why)| (name.as_str(), result.as_ref().map_err(|_| why.as_deref().unwrap_or_default())))
        .collect();
    write_beside(file, junit::xml(&suites).as_bytes()).with_context(|| format!("cannot write {}", file.display()))
}

/// A notebook's end, for programs.
fn line(path: &Path, done: &Done) -> Value {
    let seconds = |time: Duration| (time.as_secs_f64() * 1000.0).round() / 1000.0;
    let mut line =
        json!({"notebook": path.display().to_string(), "seconds": seconds(done.took), "updated": done.updated});
    match &done.result {
        Err(why) => line["error"] = json!({"cell": null, "kind": "set-up", "message": format!("{why:#}")}),
        Ok(checked) => {
            line["same"] = json!(checked.is_same());
            let cell = |cell: &CheckedCell| {
                let mut entry = json!({"cell": cell.number, "source": cell.source, "verdict": cell.verdict.word(),
                    "seconds": seconds(cell.took)});
                match &cell.verdict {
                    Verdict::Different(differences) => {
                        let each = |each: &Difference| json!({"what": each.what, "how": each.how});
                        entry["differences"] = differences.iter().map(each).collect();
                    }
                    Verdict::Failed(failure) => {
                        entry["error"] = json!({"kind": failure.kind, "message": failure.message});
                    }
                    _ => {}
                }
                entry
            };
            line["cells"] = checked.cells.iter().map(cell).collect();
        }
    }
    line
}

fn end(results: &[(&Path, &Done)], update: bool) -> End {
    let could_not = |done: &Done| done.result.as_ref().map_or(true, |checked| checked.session_failed);
    let is_well =
        |done: &Done| done.result.as_ref().is_ok_and(|checked| checked.is_same() || (update && checked.ran_through()));
    if results.iter().any(|(_, done)| could_not(done)) {
        End::SessionFailed
    } else if results.iter().all(|(_, done)| is_well(done)) {
        End::AllRan
    } else {
        End::CellFailed
    }
}
