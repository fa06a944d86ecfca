//! What one cell sent, gathered into the outputs of the notebook format.

use crate::notebook::json::Json;
use crate::session::{Diagnostic, Outcome, Output, Report};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// How much of a cell's printed text is kept, in bytes: a notebook with more opens nowhere.
const MOST_TEXT: usize = 8 << 20;

/// Gathers a cell's outputs in order.
#[derive(Debug, Default)]
pub struct Outputs {
    entries: Vec<Entry>,
    text: usize,
}

#[derive(Debug)]
enum Entry {
    Stream { name: &'static str, text: String },
    Display { media: BTreeMap<String, String>, id: Option<String> },
    Result { media: BTreeMap<String, String> },
}

impl Outputs {
    /// Takes in one output. Progress and reports are for whoever runs the notebook, and are not kept.
    pub fn add(&mut self, output: &Output) {
        match output {
            Output::Stdout(text) => self.print("stdout", text),
            Output::Stderr(text) => self.print("stderr", text),
            Output::Display { media, id } => self.display(media, id.as_ref()),
            Output::Result { media } => self.entries.push(Entry::Result { media: media.clone() }),
            // What the cell shows next comes soon enough: a file does not flicker.
            Output::Clear { .. } => self.entries.clear(),
            Output::Progress { .. } | Output::Report { .. } => {}
        }
    }

    /// Text joins the stream before it, if that has the same name.
    fn print(&mut self, name: &'static str, more: &str) {
        if self.text > MOST_TEXT {
            return;
        }
        self.text += more.len();
        let notice = format!("\n[more than {} MiB printed: the rest is not kept]\n", MOST_TEXT >> 20);
        let more = if self.text > MOST_TEXT { &notice } else { more };
        match self.entries.last_mut() {
            Some(Entry::Stream { name: last, text }) if *last == name => text.push_str(more),
            _ => self.entries.push(Entry::Stream { name, text: more.to_owned() }),
        }
    }

    /// A display takes the place of the one of the same name in its cell.
    fn display(&mut self, new: &BTreeMap<String, String>, name: Option<&String>) {
        for entry in &mut self.entries {
            if let Entry::Display { media, id } = entry
                && name.is_some()
                && id.as_ref() == name
            {
                *media = new.clone();
                return;
            }
        }
        self.entries.push(Entry::Display { media: new.clone(), id: name.cloned() });
    }

    /// The outputs as a notebook's file has them, and what went wrong as the last one.
    pub fn finish(self, count: u64, outcome: &Outcome) -> Vec<Json> {
        let mut outputs: Vec<Json> = self.entries.into_iter().map(|entry| entry.into_json(count)).collect();
        outputs.extend(error(outcome));
        outputs
    }
}

impl Entry {
    fn into_json(self, count: u64) -> Json {
        match self {
            Self::Stream { name, text } => {
                Json::object([("name", name.into()), ("output_type", "stream".into()), ("text", Json::lines(&text))])
            }
            Self::Display { media, .. } => Json::object([
                ("data", bundle(media)),
                ("metadata", Json::object([])),
                ("output_type", "display_data".into()),
            ]),
            Self::Result { media } => Json::object([
                ("data", bundle(media)),
                ("execution_count", count.into()),
                ("metadata", Json::object([])),
                ("output_type", "execute_result".into()),
            ]),
        }
    }
}

/// Text as lines, JSON as JSON, all else (base64) as one string: what Jupyter's own files have.
fn bundle(media: BTreeMap<String, String>) -> Json {
    let content = |kind: &str, text: String| {
        if kind.starts_with("text/") || kind == "image/svg+xml" || kind == "application/javascript" {
            Json::lines(&text)
        } else if kind == "application/json" || kind.ends_with("+json") {
            Json::parse(&text).unwrap_or(Json::String(text))
        } else {
            Json::String(text)
        }
    };
    Json::Object(media.into_iter().map(|(kind, text)| (kind.clone(), content(&kind, text))).collect())
}

/// The error output of a failed cell; none where nothing went wrong.
fn error(outcome: &Outcome) -> Option<Json> {
    let failure = Failure::of(outcome)?;
    let (value, traceback) = match outcome {
        // What another kernel says is passed on as it is.
        Outcome::Error { message, traceback, .. } => {
            (message.clone(), traceback.iter().map(|t| t.as_str().into()).collect())
        }
        _ => (failure.message, failure.text.lines().map(Json::from).collect()),
    };
    Some(Json::object([
        ("ename", failure.kind.as_ref().into()),
        ("evalue", Json::String(value)),
        ("output_type", "error".into()),
        ("traceback", Json::Array(traceback)),
    ]))
}

/// A failure in the words that people and programs see.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    /// "compile error", "panic", "error", "died", "interrupted" or "session"; or another kernel's name for it.
    pub kind: Cow<'static, str>,
    /// One line.
    pub message: String,
    /// All there is to say, in lines; may hold ANSI colours.
    pub text: String,
}

impl Failure {
    /// What went wrong, if anything did.
    pub fn of(outcome: &Outcome) -> Option<Self> {
        Some(match outcome {
            Outcome::Done => return None,
            Outcome::CompileErrors(errors) => Self::compile(errors),
            Outcome::Panicked(report) => Self::report("panic", "the cell panicked", report),
            Outcome::ReturnedError(report) => Self::report("error", "the cell returned an error", report),
            Outcome::Error { name, message, traceback } => Self::elsewhere(name, message, traceback),
            Outcome::Died(report) => {
                Self::report("died", "the cell's process died, and all variables are lost", report)
            }
            Outcome::Interrupted(report) => Self::report("interrupted", "the cell was interrupted", report),
            Outcome::Failed(report) => Self::report("session", "the session could not run the cell", report),
        })
    }

    fn compile(errors: &[Diagnostic]) -> Self {
        let message = match errors {
            [] => "the cell does not compile".to_owned(),
            [first, rest @ ..] => {
                let code = first.code.as_ref().map(|code| format!("{code}: ")).unwrap_or_default();
                let more = match rest.len() {
                    0 => String::new(),
                    1 => ", and 1 more error".to_owned(),
                    n => format!(", and {n} more errors"),
                };
                format!("{code}{}{}{more}", first_line(&first.message), place(first.line))
            }
        };
        let texts: Vec<&str> = errors.iter().map(|error| error.rendered.trim_end()).filter(|t| !t.is_empty()).collect();
        let text = match (missing(errors), texts.as_slice()) {
            (_, []) => message.clone(),
            // One place is enough to see, and the names are what is needed.
            (Some(names), [first, ..]) => format!(
                "{first}\n\nNot there: `{}`. Run the cell that makes it first; where that failed, mend it.",
                names.join("`, `")
            ),
            (None, all) => all.join("\n\n"),
        };
        Self { kind: "compile error".into(), message, text }
    }

    fn elsewhere(name: &str, message: &str, traceback: &[String]) -> Self {
        let kind: Cow<'static, str> = Cow::Owned(if name.trim().is_empty() { "error" } else { name }.to_owned());
        let text = if traceback.is_empty() { format!("{kind}: {message}") } else { traceback.join("\n") };
        let line = first_line(message.trim());
        let message = if line.is_empty() { kind.to_string() } else { line.to_owned() };
        Self { kind, message, text }
    }

    fn report(kind: &'static str, what: &str, report: &Report) -> Self {
        let said = report.message.trim();
        let message = if said.is_empty() { what } else { first_line(said) };
        let mut text = format!("{what}{}", place(report.line));
        for more in [said, report.detail.trim_end()] {
            if !more.is_empty() {
                text = format!("{text}\n{more}");
            }
        }
        Self { kind: kind.into(), message: format!("{message}{}", place(report.line)), text }
    }
}

/// The variables that a cell wants and nobody has made, where that is all that is wrong with it: an earlier cell has not run,
/// or has failed. Where the compiler has a better idea, such as a name that is spelt alike, it is to say so.
fn missing(errors: &[Diagnostic]) -> Option<Vec<&str>> {
    fn name(error: &Diagnostic) -> Option<&str> {
        let name = error.message.strip_prefix("cannot find value `")?.strip_suffix("` in this scope")?;
        (error.code.as_deref() == Some("E0425") && !error.rendered.contains("help")).then_some(name)
    }
    let mut names: Vec<&str> = Vec::new();
    for error in errors {
        let name = name(error)?;
        if !names.contains(&name) {
            names.push(name);
        }
    }
    (!names.is_empty()).then_some(names)
}

fn place(line: Option<usize>) -> String {
    line.map(|line| format!(" (line {line})")).unwrap_or_default()
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str, id: Option<&str>) -> Output {
        Output::Display { media: [("text/plain".to_owned(), text.to_owned())].into(), id: id.map(str::to_owned) }
    }

    fn texts(outputs: &[Json]) -> Vec<String> {
        let text = |output: &Json| output.get("text").or_else(|| output.get("data")?.get("text/plain"))?.text();
        outputs.iter().map(|output| text(output).unwrap()).collect()
    }

    #[test]
    fn printed_pieces_join_and_displays_keep_their_place() {
        let mut outputs = Outputs::default();
        for piece in ["a", "b\n", "c"] {
            outputs.add(&Output::Stdout(piece.into()));
        }
        outputs.add(&Output::Stderr("e".into()));
        outputs.add(&shown("first", Some("curve")));
        outputs.add(&shown("nameless", None));
        outputs.add(&shown("nameless too", None));
        outputs.add(&shown("second", Some("curve")));
        outputs.add(&Output::Stdout("d".into()));
        assert_eq!(
            texts(&outputs.finish(1, &Outcome::Done)),
            ["ab\nc", "e", "second", "nameless", "nameless too", "d"]
        );
    }

    #[test]
    fn endless_printing_is_cut_once() {
        let mut outputs = Outputs::default();
        let piece = "x".repeat(MOST_TEXT / 4);
        for _ in 0..10 {
            outputs.add(&Output::Stdout(piece.clone()));
        }
        let text = texts(&outputs.finish(1, &Outcome::Done)).concat();
        assert!(text.len() < MOST_TEXT + 100, "{}", text.len());
        assert!(text.ends_with("x\n[more than 8 MiB printed: the rest is not kept]\n"));
    }

    #[test]
    fn media_are_written_as_jupyter_writes_them() {
        let media = [
            ("image/png", "aGk="),
            ("image/svg+xml", "<svg>\n</svg>"),
            ("application/json", "{\"b\": 1.50}"),
            ("application/x+json", "{broken"),
            ("text/html", "<b>\n"),
        ];
        let media = media.map(|(kind, text)| (kind.to_owned(), text.to_owned())).into();
        let mut outputs = Outputs::default();
        outputs.add(&Output::Result { media });
        let want = r#"[{"data": {"application/json": {"b": 1.50}, "application/x+json": "{broken", "image/png": "aGk=",
            "image/svg+xml": ["<svg>\n", "</svg>"], "text/html": ["<b>\n"]},
            "execution_count": 7, "metadata": {}, "output_type": "execute_result"}]"#;
        assert_eq!(Json::Array(outputs.finish(7, &Outcome::Done)), Json::parse(want).unwrap());
    }

    #[test]
    fn every_failure_has_a_kind_and_one_line() {
        let report = Report { message: "no such\nfile".into(), line: Some(3), detail: "stack\n".into() };
        let mismatched = Diagnostic {
            code: Some("E0308".into()),
            message: "mismatched types".into(),
            line: Some(2),
            column: Some(1),
            rendered: "error[E0308]\n --> x\n".into(),
        };
        let cases = [
            (Outcome::Panicked(report.clone()), "panic", "no such (line 3)"),
            (Outcome::ReturnedError(report.clone()), "error", "no such (line 3)"),
            (Outcome::Died(Report::default()), "died", "the cell's process died, and all variables are lost"),
            (Outcome::Interrupted(Report::default()), "interrupted", "the cell was interrupted"),
            (Outcome::Failed(report), "session", "no such (line 3)"),
            (Outcome::CompileErrors(vec![]), "compile error", "the cell does not compile"),
            (
                Outcome::CompileErrors(vec![mismatched.clone(), mismatched]),
                "compile error",
                "E0308: mismatched types (line 2), and 1 more error",
            ),
        ];
        for (outcome, kind, message) in cases {
            let failure = Failure::of(&outcome).unwrap();
            assert_eq!((failure.kind.as_ref(), failure.message.as_str()), (kind, message));
            assert!(!failure.text.is_empty(), "{outcome:?}");
        }
        assert_eq!(Failure::of(&Outcome::Done), None);
    }

    #[test]
    fn variables_that_nobody_has_made_are_told_by_name_and_not_one_by_one() {
        let wants = |name: &str, more: &str| Diagnostic {
            code: Some("E0425".into()),
            message: format!("cannot find value `{name}` in this scope"),
            line: Some(1),
            column: Some(1),
            rendered: format!("error[E0425]: no `{name}`{more}\n"),
        };
        let text = |errors| Failure::of(&Outcome::CompileErrors(errors)).unwrap().text;
        let told = text(vec![wants("a", ""), wants("b", ""), wants("a", "")]);
        assert!(told.starts_with("error[E0425]: no `a`\n\nNot there: `a`, `b`. Run"), "{told}");
        assert_eq!(told.lines().count(), 3);
        let told = text(vec![wants("a", ""), wants("b", "\nhelp: a local variable with a similar name exists")]);
        assert!(told.contains("no `b`") && !told.contains("Not there"), "{told}");
    }

    #[test]
    fn the_words_of_another_kernel_stay_as_they_are() {
        let traceback = vec!["\u{1b}[31mline 1\nline 2\u{1b}[0m".to_owned(), "NameError: no x".to_owned()];
        let outcome = Outcome::Error { name: "NameError".into(), message: "no x\nat all".into(), traceback };
        let want = r#"[{"ename": "NameError", "evalue": "no x\nat all", "output_type": "error",
            "traceback": ["\u001b[31mline 1\nline 2\u001b[0m", "NameError: no x"]}]"#;
        assert_eq!(Json::Array(Outputs::default().finish(1, &outcome)), Json::parse(want).unwrap());
        let failure = Failure::of(&outcome).unwrap();
        assert_eq!((failure.kind.as_ref(), failure.message.as_str()), ("NameError", "no x"));
        let nameless = Outcome::Error { name: String::new(), message: String::new(), traceback: vec![] };
        assert_eq!(Failure::of(&nameless).unwrap().message, "error");
    }
}
