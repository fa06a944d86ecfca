//! What a cell sends, as Jupyter's messages: printed text gathered, displays replaced, progress slowed down.

use super::progress::Bars;
use crate::session::Output;
use crate::terminal::progress::Step;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// A message's kind and content.
pub(super) type Message = (&'static str, Value);

/// How long printed text is gathered at most.
const GATHERED: Duration = Duration::from_millis(50);

/// How much of it at most, in bytes.
const MOST_TEXT: usize = 64 << 10;

/// The outputs of one cell's execution, on their way out.
#[derive(Debug)]
pub(super) struct CellOutputs {
    count: u64,
    text: Option<Text>,
    /// The named displays that this execution has shown.
    shown: BTreeSet<String>,
    bars: Bars,
}

#[derive(Debug)]
struct Text {
    name: &'static str,
    text: String,
    since: Instant,
}

impl CellOutputs {
    /// For the execution with that number and a name that is its own.
    pub(super) fn new(count: u64, name: &str) -> Self {
        Self { count, text: None, shown: BTreeSet::new(), bars: Bars::new(name) }
    }

    /// Takes in one output; returns what is to be sent now.
    pub(super) fn take(&mut self, output: Output, now: Instant) -> Vec<Message> {
        match output {
            Output::Stdout(text) => self.print("stdout", text, now),
            Output::Stderr(text) => self.print("stderr", text, now),
            Output::Display { media, id } => {
                let message = self.display(media, id);
                self.after_text(message)
            }
            Output::Result { media } => {
                let content = json!({"execution_count": self.count, "data": bundle(media), "metadata": {}});
                self.after_text(("execute_result", content))
            }
            Output::Clear { wait } => {
                self.shown.clear();
                self.bars.clear();
                self.after_text(("clear_output", json!({"wait": wait})))
            }
            Output::Progress { task, what, done, total, unit, finished } => {
                self.bars.step(Step { task, what, done, total, unit, finished });
                self.bars(now, false)
            }
            // For programs that run a notebook in this process; no front end knows it.
            Output::Report { .. } => Vec::new(),
        }
    }

    /// When something is to be sent that waits, at the latest.
    pub(super) fn due(&self) -> Option<Instant> {
        let text = self.text.as_ref().map(|text| text.since + GATHERED);
        text.into_iter().chain(self.bars.due()).min()
    }

    /// What is to be sent at `now` of what waits.
    pub(super) fn overdue(&mut self, now: Instant) -> Vec<Message> {
        let due = self.text.as_ref().is_some_and(|text| now.duration_since(text.since) >= GATHERED);
        let mut messages = if due { self.flush() } else { Vec::new() };
        messages.extend(self.bars(now, false));
        messages
    }

    /// All that waits: something else is to be sent, or the cell is over.
    pub(super) fn rest(&mut self, now: Instant) -> Vec<Message> {
        let mut messages = self.flush();
        messages.extend(self.bars(now, true));
        messages
    }

    fn print(&mut self, name: &'static str, more: String, now: Instant) -> Vec<Message> {
        let mut messages = Vec::new();
        if self.text.as_ref().is_some_and(|text| text.name != name) {
            messages = self.flush();
        }
        let text = self.text.get_or_insert_with(|| Text { name, text: String::new(), since: now });
        text.text.push_str(&more);
        if text.text.len() >= MOST_TEXT {
            messages.extend(self.flush());
        }
        messages
    }

    fn flush(&mut self) -> Vec<Message> {
        let text = self.text.take().filter(|text| !text.text.is_empty());
        text.map(|text| ("stream", json!({"name": text.name, "text": text.text}))).into_iter().collect()
    }

    fn after_text(&mut self, message: Message) -> Vec<Message> {
        let mut messages = self.flush();
        messages.push(message);
        messages
    }

    fn bars(&mut self, now: Instant, all: bool) -> Vec<Message> {
        let moved = self.bars.take(now, all);
        if moved.is_empty() {
            return moved;
        }
        let mut messages = self.flush();
        messages.extend(moved);
        messages
    }

    /// A name's first display in an execution shows it, so that a cell that runs again shows something; the next ones
    /// replace it. Front ends replace, at either, what earlier cells have shown under that name.
    fn display(&mut self, media: BTreeMap<String, String>, id: Option<String>) -> Message {
        let mut content = json!({"data": bundle(media), "metadata": {}, "transient": {}});
        let mut kind = "display_data";
        if let Some(id) = id {
            content["transient"] = json!({"display_id": &id});
            if !self.shown.insert(id) {
                kind = "update_display_data";
            }
        }
        (kind, content)
    }
}

/// JSON as JSON, all else as one string.
pub(super) fn bundle(media: BTreeMap<String, String>) -> Value {
    let content = |kind: &str, text: String| {
        let json = kind == "application/json" || kind.ends_with("+json");
        let parsed = json.then(|| serde_json::from_str(&text).ok()).flatten();
        parsed.unwrap_or(Value::String(text))
    };
    Value::Object(media.into_iter().map(|(kind, text)| (kind.clone(), content(&kind, text))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(name: &str, text: &str) -> Message {
        ("stream", json!({"name": name, "text": text}))
    }

    fn shown(text: &str, id: Option<&str>) -> Output {
        Output::Display { media: [("text/plain".to_owned(), text.to_owned())].into(), id: id.map(str::to_owned) }
    }

    #[test]
    fn printed_text_is_gathered_and_keeps_its_place() {
        let (mut outputs, start) = (CellOutputs::new(3, "cell"), Instant::now());
        for text in ["a", "b\n"] {
            assert_eq!(outputs.take(Output::Stdout(text.into()), start), []);
        }
        assert_eq!(outputs.due(), Some(start + GATHERED));
        assert_eq!(outputs.overdue(start), []);
        assert_eq!(outputs.take(Output::Stderr("e".into()), start), [stream("stdout", "ab\n")]);
        let result = outputs.take(Output::Result { media: [("text/plain".into(), "7".into())].into() }, start);
        let value = ("execute_result", json!({"execution_count": 3, "data": {"text/plain": "7"}, "metadata": {}}));
        assert_eq!(result, [stream("stderr", "e"), value]);
        outputs.take(Output::Stdout("c".into()), start);
        assert_eq!(outputs.overdue(start + GATHERED), [stream("stdout", "c")]);
        assert_eq!((outputs.due(), outputs.rest(start)), (None, vec![]));
    }

    #[test]
    fn a_flood_goes_out_in_large_pieces() {
        let (mut outputs, now) = (CellOutputs::new(1, "cell"), Instant::now());
        let mut messages = Vec::new();
        for i in 0..100_000 {
            messages.extend(outputs.take(Output::Stdout(format!("{i}\n")), now));
        }
        messages.extend(outputs.rest(now));
        let text: String = messages.iter().map(|(_, content)| content["text"].as_str().unwrap()).collect();
        assert!(text.lines().enumerate().all(|(i, line)| line == i.to_string()), "in order and whole");
        assert_eq!(messages.len(), text.len().div_ceil(MOST_TEXT));
    }

    #[test]
    fn a_named_display_is_shown_once_in_an_execution_and_then_replaced() {
        let now = Instant::now();
        let kinds = |outputs: &mut CellOutputs, output| -> Vec<_> {
            outputs.take(output, now).into_iter().map(|(kind, content)| (kind, content["transient"].clone())).collect()
        };
        let named = json!({"display_id": "loss"});
        let mut outputs = CellOutputs::new(1, "first");
        assert_eq!(kinds(&mut outputs, shown("1", Some("loss"))), [("display_data", named.clone())]);
        assert_eq!(kinds(&mut outputs, shown("2", Some("loss"))), [("update_display_data", named.clone())]);
        assert_eq!(kinds(&mut outputs, shown("3", None)), [("display_data", json!({}))]);
        assert_eq!(kinds(&mut outputs, Output::Clear { wait: true }), [("clear_output", Value::Null)]);
        assert_eq!(kinds(&mut outputs, shown("4", Some("loss"))), [("display_data", named.clone())]);
        assert_eq!(kinds(&mut CellOutputs::new(2, "again"), shown("5", Some("loss"))), [("display_data", named)]);
    }

    #[test]
    fn json_is_sent_as_json() {
        let media = [("application/json", "{\"a\": 1}"), ("application/x+json", "{broken"), ("image/png", "aGk=")];
        let media = media.map(|(kind, text)| (kind.to_owned(), text.to_owned())).into();
        let want = json!({"application/json": {"a": 1}, "application/x+json": "{broken", "image/png": "aGk="});
        assert_eq!(bundle(media), want);
    }
}
