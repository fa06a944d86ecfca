//! The lines by which a cell speaks to the kernel: one JSON object a line on standard output, behind a mark.
//!
//! The kernel compiles this very file too, so that both ends share one format.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a marked line begins with. Control characters keep it apart from what people print.
pub const MARK: &str = "\u{1}candlewick ";

/// What a cell tells the kernel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum Line {
    /// The cell's code begins to run (it has been compiled).
    Began {
        /// The cell's number, as the kernel gave it.
        cell: u64,
    },
    /// The cell reached its end.
    Done {
        /// The cell's number, as the kernel gave it.
        cell: u64,
    },
    /// The cell ended early: a `?` met an error.
    ReturnedError {
        /// The cell's number, as the kernel gave it.
        cell: u64,
        /// The error, as its `Display` writes it.
        message: String,
        /// Line in the source file of the `?`, if it is a cell's.
        line: Option<u32>,
    },
    /// The cell panicked.
    Panicked {
        /// The cell's number, as the kernel gave it.
        cell: u64,
        /// The panic's message.
        message: String,
        /// Line in the source file that the panic names, if it is a cell's.
        line: Option<u32>,
        /// What had called what, where that was asked for; else empty.
        backtrace: String,
    },
    /// A panic has begun in the cell: where it cannot be caught, the process ends, and this is all that is known of it.
    Panicking {
        /// The panic's message.
        message: String,
    },
    /// How far a long task has come.
    Progress {
        /// The same for all lines of one task.
        task: u64,
        /// What is being done: "Fetching weights".
        what: String,
        /// How much is done.
        done: u64,
        /// Of how much, where that is known.
        total: Option<u64>,
        /// What is counted: "photos", "bytes".
        unit: String,
        /// Whether this is the task's last line.
        finished: bool,
    },
    /// Something to show: the same content in one or more media types.
    Display {
        /// Media type to content; binary content in base64.
        media: BTreeMap<String, String>,
        /// Displays with the same name replace each other.
        id: Option<String>,
    },
    /// What is shown next is the value that the cell ends in, in whatever way.
    Ends,
    /// The value that the cell ends in.
    Result {
        /// Media type to content; binary content in base64.
        media: BTreeMap<String, String>,
    },
    /// All that the cell has shown so far is to go.
    Clear {
        /// Only when the next thing is shown.
        wait: bool,
    },
    /// The cell waits for a line from the person at the notebook; the kernel answers with JSON: a text, or null.
    Ask {
        /// What to ask.
        prompt: String,
        /// Whether the answer is to be hidden.
        secret: bool,
    },
    /// The cell is left: evcxr's own word for that comes behind this line, and is not for people.
    Left,
    /// A measured fact for whoever runs the notebook: `lesson --json` gathers these.
    Report {
        /// What it is about: "data", "fit", "stage".
        about: String,
        /// The facts.
        facts: serde_json::Value,
    },
}

impl Line {
    /// The line as it is printed, mark and newline included.
    pub fn encode(&self) -> String {
        // Maps have text keys and no number is NaN in a `Value`, so writing cannot fail; an empty line is harmless.
        let json = serde_json::to_string(self).unwrap_or_default();
        format!("{MARK}{json}\n")
    }

    /// Reads one line of output (without its newline): what was printed before the mark, and the message.
    ///
    /// None where the line has no mark, or what follows it is not a message of this format.
    pub fn decode(line: &str) -> Option<(&str, Self)> {
        let (before, json) = line.split_once(MARK)?;
        Some((before, serde_json::from_str(json).ok()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_comes_back_as_it_went() {
        let lines = [
            Line::Began { cell: 1 },
            Line::Done { cell: u64::MAX },
            Line::ReturnedError { cell: 2, message: "two\nlines \u{1} and \"quotes\"".into(), line: None },
            Line::Panicked { cell: 3, message: String::new(), line: Some(7), backtrace: "0: main".into() },
            Line::Progress { task: 4, what: "é".into(), done: 1, total: None, unit: "bytes".into(), finished: false },
            Line::Display { media: [("text/plain".to_owned(), "a\n\tb".to_owned())].into(), id: None },
            Line::Panicking { message: "first".into() },
            Line::Clear { wait: true },
            Line::Left,
            Line::Ask { prompt: "name? ".into(), secret: false },
            Line::Report { about: "fit".into(), facts: serde_json::json!({"epochs": 6, "accuracy": [0.5, 1.0]}) },
        ];
        for line in lines {
            let text = line.encode();
            assert_eq!(text.matches('\n').count(), 1, "one line: {text:?}");
            assert_eq!(Line::decode(text.trim_end_matches('\n')), Some(("", line.clone())));
            let glued = format!("printed without newline{}", text.trim_end_matches('\n'));
            assert_eq!(Line::decode(&glued), Some(("printed without newline", line)));
        }
    }

    #[test]
    fn what_people_print_is_not_a_message() {
        for line in ["", "hello", "candlewick {}", "\u{1}candlewick ", "\u{1}candlewick {\"is\":\"unknown\"}"] {
            assert_eq!(Line::decode(line), None, "{line:?}");
        }
    }
}
