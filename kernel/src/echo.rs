//! A session for tests that runs no Rust: each line of a cell is one command, and does what it says.

use crate::session::{
    Completeness, Completion, Completions, Control, Diagnostic, Host, Outcome, Output, Report, Session,
};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// Runs these lines:
/// - `print TEXT`, `write TEXT` (no newline), `warn TEXT` (standard error);
/// - `show SVG`, `show-as NAME TEXT` (a named display), `value TEXT` (a result), `html TEXT`;
/// - `clear`, `clear-later`: the outputs so far go;
/// - `ask PROMPT`, `ask-secret PROMPT`: prints the answer, or `nobody`;
/// - `sleep MILLISECONDS`: ends the cell as interrupted where it is; `deaf MILLISECONDS` does not listen;
/// - `progress DONE/TOTAL`, `report ABOUT JSON`;
/// - `fail MESSAGE`, `panic MESSAGE`, `return MESSAGE`, `die`, `interrupt`, `lose MESSAGE`: the cell ends so.
///
/// Anything else does not compile.
#[derive(Default)]
pub struct Echo {
    /// The cells it was given.
    pub executed: Vec<String>,
    /// What others have asked for.
    pub asked: Arc<Asked>,
}

/// What other threads have asked an [`Echo`] for.
#[derive(Default)]
pub struct Asked {
    stop: Mutex<bool>,
    changed: Condvar,
    /// Whether it was killed.
    pub killed: AtomicBool,
}

impl Asked {
    /// Waits; whether that was interrupted.
    fn sleep(&self, time: Duration) -> bool {
        let stop = self.stop.lock().unwrap();
        let (mut stop, _) = self.changed.wait_timeout_while(stop, time, |stop| !*stop).unwrap();
        std::mem::take(&mut *stop)
    }
}

impl Control for Asked {
    fn interrupt(&self) {
        *self.stop.lock().unwrap() = true;
        self.changed.notify_all();
    }

    fn kill(&self) {
        self.killed.store(true, Ordering::SeqCst);
        self.interrupt();
    }
}

impl Session for Echo {
    fn execute(&mut self, code: &str, host: &mut dyn Host) -> Outcome {
        self.executed.push(code.to_owned());
        *self.asked.stop.lock().unwrap() = false;
        for (i, line) in code.lines().enumerate() {
            let (command, rest) = line.split_once(' ').unwrap_or((line, ""));
            match command {
                "ask" | "ask-secret" => {
                    let mut answer = host.ask(rest, command == "ask-secret");
                    let answered = std::iter::repeat_with(|| {
                        std::thread::sleep(Duration::from_millis(5));
                        answer()
                    });
                    let line = answered.flatten().next().flatten().unwrap_or_else(|| "nobody".to_owned());
                    host.send(Output::Stdout(format!("{line}\n")));
                }
                "sleep" if self.asked.sleep(Duration::from_millis(rest.parse().unwrap())) => {
                    return Outcome::Interrupted(Report::new("nothing is lost"));
                }
                "deaf" => {
                    let end = Instant::now() + Duration::from_millis(rest.parse().unwrap());
                    while Instant::now() < end && !self.asked.killed.load(Ordering::SeqCst) {
                        std::thread::sleep(Duration::from_millis(5));
                    }
                }
                "sleep" => {}
                _ => {
                    if let Some(output) = sends(command, rest) {
                        host.send(output);
                    } else if let Some(outcome) = ends(command, rest, i + 1) {
                        return outcome;
                    }
                }
            }
        }
        Outcome::Done
    }

    fn control(&self) -> Arc<dyn Control> {
        Arc::clone(&self.asked) as Arc<dyn Control>
    }

    /// A cell that ends in a backslash wants more; one with a NUL in it is beyond help.
    fn completeness(&self, code: &str) -> Completeness {
        match code.trim_end() {
            code if code.contains('\0') => Completeness::Invalid,
            code if code.ends_with('\\') => Completeness::Incomplete { indent: "    ".to_owned() },
            _ => Completeness::Complete,
        }
    }

    fn complete(&mut self, code: &str, cursor: usize) -> Completions {
        let start = code[..cursor].rfind(char::is_whitespace).map_or(0, |space| space + 1);
        let known = ["print", "progress", "panic"].into_iter().filter(|word| word.starts_with(&code[start..cursor]));
        let matches = known.map(|word| Completion { text: word.to_owned(), kind: "keyword", signature: String::new() });
        Completions { matches: matches.collect(), replaces: start..cursor }
    }

    fn inspect(&mut self, code: &str, _: usize, source: bool) -> Option<BTreeMap<String, String>> {
        let text = if source { "prints a text\n\nprint: no more than that" } else { "prints a text" };
        code.contains("print").then(|| [("text/plain".to_owned(), text.to_owned())].into())
    }

    /// Where the last cell says so.
    fn is_still_reading(&self) -> bool {
        self.executed.last().is_some_and(|code| code == "print reading")
    }

    fn peak_memory(&self) -> Option<u64> {
        Some(123_456_789)
    }
}

fn sends(command: &str, rest: &str) -> Option<Output> {
    let media = |kind: &str, text: &str| [(kind.to_owned(), text.to_owned())].into();
    Some(match command {
        "print" => Output::Stdout(format!("{rest}\n")),
        "write" => Output::Stdout(rest.to_owned()),
        "warn" => Output::Stderr(format!("{rest}\n")),
        "show" => {
            let alt = ("text/plain".to_owned(), "a drawing".to_owned());
            Output::Display { media: [("image/svg+xml".to_owned(), rest.to_owned()), alt].into(), id: None }
        }
        "show-as" => {
            let (id, text) = rest.split_once(' ')?;
            Output::Display { media: media("text/plain", text), id: Some(id.to_owned()) }
        }
        "html" => Output::Result { media: media("text/html", rest) },
        "clear" => Output::Clear { wait: false },
        "clear-later" => Output::Clear { wait: true },
        "value" => Output::Result { media: media("text/plain", rest) },
        "progress" => {
            let (done, total) = rest.split_once('/')?;
            let (done, total) = (done.parse().ok()?, total.parse().ok()?);
            let (what, unit) = ("Counting".to_owned(), "sheep".to_owned());
            Output::Progress { task: 1, what, done, total: Some(total), unit, finished: done == total }
        }
        "report" => {
            let (about, facts) = rest.split_once(' ')?;
            Output::Report { about: about.to_owned(), facts: serde_json::from_str(facts).ok()? }
        }
        _ => return None,
    })
}

fn ends(command: &str, rest: &str, line: usize) -> Option<Outcome> {
    let report = Report { message: rest.to_owned(), line: Some(line), detail: "\u{1b}[31mbacktrace\u{1b}[0m".into() };
    Some(match command {
        "" => return None,
        "panic" => Outcome::Panicked(report),
        "return" => Outcome::ReturnedError(report),
        "die" => Outcome::Died(Report { message: "signal 6".into(), line: None, detail: String::new() }),
        "interrupt" => Outcome::Interrupted(Report::default()),
        "lose" => Outcome::Failed(report),
        other => {
            let message = if other == "fail" { rest.to_owned() } else { format!("cannot find `{other}`") };
            let rendered = format!("\u{1b}[1merror\u{1b}[0m: {message}\n --> cell:{line}:1");
            Outcome::CompileErrors(vec![Diagnostic {
                code: None,
                message,
                line: Some(line),
                column: Some(1),
                rendered,
            }])
        }
    })
}
