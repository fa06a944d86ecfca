//! `candlewick exercise grade`: a class's notebooks.

use crate::cli::execute::read;
use crate::cli::{End, Open, Surroundings};
use crate::client::was_stopped;
use crate::exercise::built_in;
use crate::exercise::grade::{Graded, Verdict, grade};
use crate::exercise::source::Exercise;
use crate::notebook::write_beside;
use crate::session::{Options, Output, Session};
use crate::terminal::progress::duration;
use crate::timed::Timed;
use anyhow::Context;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

/// Grade notebooks: run the answers in them between the exercise's own cells, and check each
///
/// Answers run, and cells that the learner has added above them; given cells and checks are the exercise's own, so that edited
/// checks and printed marks count for nothing. That is no guard against code written to cheat: whoever wants to can find a way,
/// so look at an answer that looks odd. Where an answer does not pass, the lesson's stands in for it, so that each TODO is
/// graded by itself. Answers are code, and run with your rights: grade strangers' in a container.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The notebooks (.ipynb)
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// How many are graded at a time
    #[arg(short, long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    jobs: u16,
    /// Write the results as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// End a cell that takes longer
    #[arg(long, value_name = "SECONDS", default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..))]
    timeout: u64,
    /// Where photos come from: a folder, or `sketches` [default: as in the notebook]
    #[arg(long, value_name = "FOLDER|sketches")]
    data: Option<PathBuf>,
}

/// A notebook's end.
struct Done {
    result: anyhow::Result<Graded>,
    took: Duration,
}

/// What those who grade say to the one who shows it.
enum Said {
    /// While a session opens.
    Opening(Output),
    /// So many TODOs are done.
    Todos(usize, usize),
    /// The notebook is done.
    Done(usize, Box<Done>),
}

/// What all notebooks are graded with.
struct Work<'a> {
    args: &'a Args,
    exercise: &'a Exercise,
    options: Options,
    open: Open<'a>,
}

pub fn execute(args: &Args, around: &mut Surroundings<'_>) -> anyhow::Result<End> {
    let exercise = built_in()?;
    let mut options = Options::default();
    if let Some(data) = &args.data {
        options.environment.insert("CANDLEWICK_DATA".into(), crate::cli::lesson::photos(data)?);
    }
    let work = Work { args, exercise: &exercise, options, open: around.open };
    let mut done: Vec<Option<Done>> = args.files.iter().map(|_| None).collect();
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        let (said, heard) = channel();
        for _ in 0..usize::from(args.jobs).min(args.files.len()) {
            let (said, next, work) = (said.clone(), &next, &work);
            scope.spawn(move || work.all(next, &said));
        }
        drop(said);
        for message in heard {
            hear(message, &work, &mut done, around);
        }
    });
    let results: Vec<(&Path, &Done)> =
        args.files.iter().zip(&done).filter_map(|(path, done)| Some((path.as_path(), done.as_ref()?))).collect();
    for line in table(&results, &exercise) {
        let _ = writeln!(around.out, "{line}");
    }
    if let Some(file) = &args.json {
        let text = format!("{:#}\n", report(&results, &exercise));
        write_beside(file, text.as_bytes()).with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(end(&results, args.files.len(), &exercise))
}

impl Work<'_> {
    /// Takes one notebook after the other, until none is left or somebody stops us.
    fn all(&self, next: &AtomicUsize, said: &Sender<Said>) {
        while !was_stopped() {
            let index = next.fetch_add(1, Ordering::SeqCst);
            let Some(path) = self.args.files.get(index) else { return };
            let begun = Instant::now();
            let result = self.one(path, &|message| drop(said.send(message)), index);
            let done = Done { result, took: begun.elapsed() };
            // Who listens does so until all are done.
            let _ = said.send(Said::Done(index, Box::new(done)));
        }
    }

    /// Grades one notebook, in a folder that nobody else uses.
    fn one(&self, path: &Path, say: &dyn Fn(Said), index: usize) -> anyhow::Result<Graded> {
        let notebook = read(path)?;
        let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
        let options = Options { folder: Some(folder.path().to_owned()), ..self.options.clone() };
        let limit = Some(Duration::from_secs(self.args.timeout));
        let open = || -> anyhow::Result<Box<dyn Session>> {
            let session = (self.open)(options.clone(), &mut |output| say(Said::Opening(output)))?;
            Ok(Timed::limit(session, limit))
        };
        grade(self.exercise, &notebook, &open, &mut |todos| say(Said::Todos(index, todos)))
    }
}

fn hear(said: Said, work: &Work<'_>, done: &mut [Option<Done>], around: &mut Surroundings<'_>) {
    let path = |index: usize| work.args.files.get(index).map(|path| path.display().to_string()).unwrap_or_default();
    match said {
        Said::Opening(output) => around.terminal.sent(&output),
        Said::Todos(index, todos) => {
            let (task, what, unit) = (index as u64 + 1, path(index), "TODOs".to_owned());
            let of = work.exercise.todos.len();
            let (finished, done, total) = (todos == of, todos as u64, Some(of as u64));
            around.terminal.sent(&Output::Progress { task, what, done, total, unit, finished });
        }
        Said::Done(index, one) => {
            around.terminal.line(&format!("{}: {}", path(index), duration(one.took)));
            if let Some(place) = done.get_mut(index) {
                *place = Some(*one);
            }
        }
    }
}

/// A row for each notebook, and below them what is wrong with each.
fn table(results: &[(&Path, &Done)], exercise: &Exercise) -> Vec<String> {
    let width = results.iter().map(|(path, _)| path.display().to_string().chars().count()).max().unwrap_or(0).max(8);
    let numbers: String = exercise.todos.iter().map(|todo| format!("{:>3}", todo.number)).collect();
    let mut lines = vec![format!("{:width$} {numbers}  passed", "notebook")];
    for (path, done) in results {
        let path = path.display().to_string();
        lines.push(match &done.result {
            Err(why) => format!("{path:width$} could not be graded: {}", crate::ansi::plain(&format!("{why:#}"))),
            Ok(graded) => {
                let marks: String =
                    graded.verdicts.iter().map(|(_, verdict)| format!("{:>3}", mark(verdict))).collect();
                format!("{path:width$} {marks}  {} of {}", graded.passed(), exercise.todos.len())
            }
        });
    }
    for (path, done) in results {
        let Ok(graded) = &done.result else { continue };
        let told: Vec<String> = graded.verdicts.iter().filter_map(|(todo, verdict)| told(*todo, verdict)).collect();
        if !told.is_empty() || !graded.notes.is_empty() {
            lines.extend([String::new(), path.display().to_string()]);
            lines.extend(graded.notes.iter().map(|note| format!("  note: {note}")));
            lines.extend(told);
        }
    }
    lines
}

fn mark(verdict: &Verdict) -> char {
    match verdict {
        Verdict::Passed => '✓',
        Verdict::Mistake { .. } | Verdict::Failed { .. } => '✗',
        Verdict::Missing => '·',
    }
}

/// What is wrong with an answer, in a line.
fn told(todo: usize, verdict: &Verdict) -> Option<String> {
    let first = |text: &str| crate::ansi::plain(text.lines().next().unwrap_or_default());
    Some(match verdict {
        Verdict::Passed => return None,
        Verdict::Missing => format!("  TODO {todo}: no answer"),
        Verdict::Mistake { name, text } => format!("  {name}: {}", first(text)),
        Verdict::Failed { kind, text } => format!("  TODO {todo}: {kind}: {}", first(text)),
    })
}

fn report(results: &[(&Path, &Done)], exercise: &Exercise) -> Value {
    let notebook = |(path, done): &(&Path, &Done)| {
        let seconds = (done.took.as_secs_f64() * 1000.0).round() / 1000.0;
        let mut entry = json!({"notebook": path.display().to_string(), "seconds": seconds});
        match &done.result {
            Err(why) => entry["error"] = json!(format!("{why:#}")),
            Ok(graded) => {
                entry["passed"] = json!(graded.passed());
                entry["notes"] = json!(graded.notes);
                entry["todos"] = graded.verdicts.iter().map(|(todo, verdict)| one(*todo, verdict)).collect();
            }
        }
        entry
    };
    json!({"release": exercise.release, "of": exercise.todos.len(),
        "notebooks": results.iter().map(notebook).collect::<Vec<_>>()})
}

fn one(todo: usize, verdict: &Verdict) -> Value {
    let mut entry = json!({"todo": todo, "verdict": verdict.word()});
    match verdict {
        Verdict::Passed | Verdict::Missing => {}
        Verdict::Mistake { name, text } => {
            entry["mistake"] = json!(name);
            entry["message"] = json!(text);
        }
        Verdict::Failed { kind, text } => {
            entry["kind"] = json!(kind);
            entry["message"] = json!(text);
        }
    }
    entry
}

/// 0 where everybody has passed everything, 1 where somebody has not, 2 where a notebook could not be graded.
fn end(results: &[(&Path, &Done)], files: usize, exercise: &Exercise) -> End {
    let all = exercise.todos.len();
    if results.len() < files || results.iter().any(|(_, done)| done.result.is_err()) {
        End::SessionFailed
    } else if results.iter().all(|(_, done)| done.result.as_ref().is_ok_and(|graded| graded.passed() == all)) {
        End::AllRan
    } else {
        End::CellFailed
    }
}
