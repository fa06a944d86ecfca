//! What a kernel's messages mean: the outputs of a cell, and how it ended.

use crate::session::{Outcome, Output, Report};
use serde_json::Value;
use std::collections::{BTreeMap, HashSet};

/// What has been heard of one cell.
#[derive(Debug, Default)]
pub struct Heard {
    /// The names of its displays.
    displays: HashSet<String>,
    /// What went wrong, as the kernel published it.
    errors: Vec<Complaint>,
    /// The reply, once it is there.
    reply: Option<Reply>,
    /// Whether the kernel has said that it is idle again: all outputs are there.
    idle: bool,
}

#[derive(Clone, Debug)]
struct Complaint {
    name: String,
    message: String,
    traceback: Vec<String>,
}

#[derive(Debug)]
enum Reply {
    Ok,
    Error(Complaint),
    Aborted,
}

impl Heard {
    /// Takes in a published message about the cell; gives what it shows.
    pub fn published(&mut self, kind: &str, content: &Value) -> Option<Output> {
        match kind {
            "stream" => {
                let text = text(&content["text"]);
                Some(if content["name"] == "stderr" { Output::Stderr(text) } else { Output::Stdout(text) })
            }
            "display_data" => {
                let id = content["transient"]["display_id"].as_str().map(str::to_owned);
                self.displays.extend(id.clone());
                Some(Output::Display { media: media(&content["data"]), id })
            }
            // One that an earlier cell shows is not this cell's output.
            "update_display_data" => {
                let id = content["transient"]["display_id"].as_str().filter(|id| self.displays.contains(*id))?;
                Some(Output::Display { media: media(&content["data"]), id: Some(id.to_owned()) })
            }
            "execute_result" => Some(Output::Result { media: media(&content["data"]) }),
            "clear_output" => Some(Output::Clear { wait: content["wait"].as_bool().unwrap_or_default() }),
            "error" => {
                self.errors.push(complaint(content));
                None
            }
            "status" => {
                self.idle |= content["execution_state"] == "idle";
                None
            }
            _ => None,
        }
    }

    /// Takes in the reply to the cell.
    pub fn replied(&mut self, content: &Value) {
        self.reply = Some(match content["status"].as_str() {
            Some("error") => Reply::Error(complaint(content)),
            Some("aborted" | "abort") => Reply::Aborted,
            _ => Reply::Ok,
        });
    }

    /// Whether the reply is there.
    pub fn has_reply(&self) -> bool {
        self.reply.is_some()
    }

    /// Whether nothing more is to come.
    pub fn is_whole(&self) -> bool {
        self.idle && self.reply.is_some()
    }

    /// How the cell ended, by all that was heard. A kernel that publishes an error and then replies that all is well, as
    /// some do, has an error.
    pub fn outcome(self) -> Outcome {
        let replied = match self.reply {
            Some(Reply::Error(complaint)) => Some(complaint),
            Some(Reply::Aborted) => {
                return Outcome::Failed(Report::new("the kernel did not run the cell: it aborted it"));
            }
            Some(Reply::Ok) | None => None,
        };
        let mut errors = self.errors;
        if errors.is_empty() {
            errors.extend(replied);
        }
        let traceback: Vec<String> = errors.iter().flat_map(|error| error.traceback.clone()).collect();
        match errors.into_iter().next() {
            None => Outcome::Done,
            Some(first) => Outcome::Error { name: first.name, message: first.message, traceback },
        }
    }
}

fn complaint(content: &Value) -> Complaint {
    let traceback = content["traceback"].as_array().into_iter().flatten();
    Complaint {
        name: text(&content["ename"]),
        message: text(&content["evalue"]),
        traceback: traceback.map(text).collect(),
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// Text as it is, though it may come in pieces, as a notebook has it; anything else is JSON.
fn media(data: &Value) -> BTreeMap<String, String> {
    let content = |kind: &str, value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Array(pieces) if !is_json(kind) => pieces.iter().filter_map(Value::as_str).collect(),
        json => json.to_string(),
    };
    let data = data.as_object().into_iter().flatten();
    data.map(|(kind, value)| (kind.clone(), content(kind, value))).collect()
}

fn is_json(kind: &str) -> bool {
    kind == "application/json" || kind.ends_with("+json")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn shown(text: &str, id: Option<&str>) -> Output {
        Output::Display { media: [("text/plain".to_owned(), text.to_owned())].into(), id: id.map(str::to_owned) }
    }

    #[test]
    fn published_messages_are_outputs() {
        let mut heard = Heard::default();
        let display = |text: &str, id: Value| json!({"data": {"text/plain": text}, "metadata": {}, "transient": {"display_id": id}});
        let cases = [
            ("stream", json!({"name": "stdout", "text": "a\n"}), Some(Output::Stdout("a\n".into()))),
            ("stream", json!({"name": "stderr", "text": "b"}), Some(Output::Stderr("b".into()))),
            ("display_data", display("one", json!("x")), Some(shown("one", Some("x")))),
            ("display_data", display("two", Value::Null), Some(shown("two", None))),
            ("update_display_data", display("three", json!("x")), Some(shown("three", Some("x")))),
            ("update_display_data", display("four", json!("of an earlier cell")), None),
            ("clear_output", json!({"wait": true}), Some(Output::Clear { wait: true })),
            ("execute_input", json!({"code": "1"}), None),
            ("no such thing", json!([]), None),
        ];
        for (kind, content, want) in cases {
            assert_eq!(heard.published(kind, &content), want, "{kind} {content}");
        }
        let result = json!({"data": {"text/html": ["<b>\n", "x"], "application/json": [1, "é"]}, "execution_count": 1});
        let media = [("application/json", "[1,\"é\"]"), ("text/html", "<b>\nx")];
        let media = media.map(|(kind, text)| (kind.to_owned(), text.to_owned())).into();
        assert_eq!(heard.published("execute_result", &result), Some(Output::Result { media }));
    }

    #[test]
    fn a_cell_is_over_when_it_has_its_reply_and_the_kernel_is_idle() {
        let mut heard = Heard::default();
        heard.published("status", &json!({"execution_state": "busy"}));
        heard.replied(&json!({"status": "ok"}));
        assert!(heard.has_reply() && !heard.is_whole());
        heard.published("status", &json!({"execution_state": "idle"}));
        assert!(heard.is_whole());
        assert_eq!(heard.outcome(), Outcome::Done);
    }

    #[test]
    fn an_error_is_an_error_wherever_it_is_said() {
        let error = json!({"status": "error", "ename": "E", "evalue": "v", "traceback": ["t", "u"]});
        let want = |traceback: &[&str]| Outcome::Error {
            name: "E".into(),
            message: "v".into(),
            traceback: traceback.iter().map(|line| (*line).to_owned()).collect(),
        };
        let mut replied = Heard::default();
        replied.replied(&error);
        assert_eq!(replied.outcome(), want(&["t", "u"]));
        let mut published_only = Heard::default();
        published_only.published("error", &error);
        published_only.published("error", &json!({"ename": "F", "evalue": "w", "traceback": ["x"]}));
        published_only.replied(&json!({"status": "ok"}));
        assert_eq!(published_only.outcome(), want(&["t", "u", "x"]));
        let mut aborted = Heard::default();
        aborted.replied(&json!({"status": "aborted"}));
        assert!(matches!(aborted.outcome(), Outcome::Failed(_)));
        let mut broken = Heard::default();
        broken.replied(&json!({"status": "error", "traceback": "no list"}));
        let nameless = Outcome::Error { name: String::new(), message: String::new(), traceback: vec![] };
        assert_eq!(broken.outcome(), nameless);
    }
}
