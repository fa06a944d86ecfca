//! A session for tests that runs no Rust: each line of a cell is one command, and does what it says.

use crate::session::{Diagnostic, Outcome, Output, Report, Session};

/// Runs these lines:
/// - `print TEXT`, `write TEXT` (no newline), `warn TEXT` (standard error);
/// - `show SVG`, `show-as NAME TEXT` (a named display), `value TEXT` (a result), `html TEXT`;
/// - `progress DONE/TOTAL`, `report ABOUT JSON`;
/// - `fail MESSAGE`, `panic MESSAGE`, `return MESSAGE`, `die`, `interrupt`, `lose MESSAGE`: the cell ends so.
///
/// Anything else does not compile.
#[derive(Default)]
pub struct Echo {
    /// The cells it was given.
    pub executed: Vec<String>,
}

impl Session for Echo {
    fn execute(&mut self, code: &str, out: &mut dyn FnMut(Output)) -> Outcome {
        self.executed.push(code.to_owned());
        for (i, line) in code.lines().enumerate() {
            let (command, rest) = line.split_once(' ').unwrap_or((line, ""));
            if let Some(output) = sends(command, rest) {
                out(output);
            } else if let Some(outcome) = ends(command, rest, i + 1) {
                return outcome;
            }
        }
        Outcome::Done
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
        "interrupt" => Outcome::Interrupted,
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
