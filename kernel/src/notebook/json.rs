//! JSON that comes back as it went: keys keep their order, numbers their digits.
//!
//! `serde_json::Value` sorts keys and rounds long numbers; its features that do not would change, and build again,
//! all of rust-analyzer, which shares it. A notebook is somebody's work, so what we do not understand we must not touch.

use super::json_reader::Reader;
use std::fmt;
use std::ops::Range;

/// How deep lists and objects may stand in each other, so that a hostile file cannot use up the stack.
const DEEPEST: usize = 128;

/// A JSON value.
#[derive(Clone, Debug, PartialEq)]
pub enum Json {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number, as it was written.
    Number(String),
    /// Text.
    String(String),
    /// A list.
    Array(Vec<Json>),
    /// An object; the order of its keys is kept.
    Object(Vec<(String, Json)>),
}

/// A step on the way to a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place<'a> {
    /// Into an object: the value of this key, the last where it is there twice.
    Key(&'a str),
    /// Into a list: the value at this place, from 0.
    Index(usize),
}

/// Where and why a text is not JSON.
#[derive(Clone, Debug, PartialEq)]
pub struct NotJson {
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
    /// What is wrong there.
    pub why: &'static str,
}

impl fmt::Display for NotJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in line {}, column {}", self.why, self.line, self.column)
    }
}

impl Json {
    /// Reads a whole text.
    ///
    /// # Errors
    /// Where the text breaks JSON's rules, or nests more than 128 levels deep.
    pub fn parse(text: &str) -> Result<Self, NotJson> {
        let mut reader = Reader { text, at: 0 };
        let read = reader.value(DEEPEST).and_then(|value| {
            reader.space();
            if reader.at == text.len() { Ok(value) } else { Err("more text after the end") }
        });
        read.map_err(|why| {
            // An error may be found inside a character.
            let before = String::from_utf8_lossy(&text.as_bytes()[..reader.at.min(text.len())]);
            let last = before.rsplit('\n').next().unwrap_or_default();
            NotJson { line: before.matches('\n').count() + 1, column: last.chars().count() + 1, why }
        })
    }

    /// Where in a text a value stands, in bytes; none where the text is not JSON, or has no such value.
    pub fn locate(text: &str, place: &[Place<'_>]) -> Option<Range<usize>> {
        Reader { text, at: text.len() - text.trim_start_matches('\u{feff}').len() }.locate(place, DEEPEST).ok()?
    }

    /// As it is written where it stands so many levels deep: all lines but the first are indented.
    pub fn indented(&self, levels: usize) -> String {
        struct Indented<'a>(&'a Json, usize);
        impl fmt::Display for Indented<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write(self.0, self.1, f)
            }
        }
        Indented(self, levels).to_string()
    }

    /// The value under a key, the last where a key is there twice, as Python takes it; none for other kinds of value.
    pub fn get(&self, key: &str) -> Option<&Json> {
        match self {
            Self::Object(fields) => fields.iter().rfind(|(name, _)| name == key).map(|(_, value)| value),
            _ => None,
        }
    }

    /// The same, to change it.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut Json> {
        match self {
            Self::Object(fields) => fields.iter_mut().rfind(|(name, _)| name == key).map(|(_, value)| value),
            _ => None,
        }
    }

    /// Sets a key of an object: in its place where it exists, else where Jupyter, which sorts keys, would have it.
    pub fn set(&mut self, key: &str, value: Json) {
        if let Some(old) = self.get_mut(key) {
            *old = value;
        } else if let Self::Object(fields) = self {
            let place = fields.iter().position(|(name, _)| name.as_str() > key).unwrap_or(fields.len());
            fields.insert(place, (key.to_owned(), value));
        }
    }

    /// The text, if it is one.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// The elements, if it is a list.
    pub fn as_array(&self) -> Option<&[Json]> {
        match self {
            Self::Array(items) => Some(items),
            _ => None,
        }
    }

    /// The whole number, if it is one.
    pub fn as_u64(&self) -> Option<u64> {
        match self {
            Self::Number(digits) => digits.parse().ok(),
            _ => None,
        }
    }

    /// An object with these keys.
    pub fn object<const N: usize>(fields: [(&str, Json); N]) -> Self {
        Self::Object(fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
    }

    /// Notebook text as Jupyter writes it: a list of lines, each with its newline.
    pub fn lines(text: &str) -> Self {
        Self::Array(text.split_inclusive('\n').map(Self::from).collect())
    }

    /// Notebook text as it is found: one string, or a list of pieces.
    pub fn text(&self) -> Option<String> {
        match self {
            Self::String(text) => Some(text.clone()),
            Self::Array(pieces) => pieces.iter().map(Self::as_str).collect(),
            _ => None,
        }
    }
}

impl From<&str> for Json {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

impl From<u64> for Json {
    fn from(number: u64) -> Self {
        Self::Number(number.to_string())
    }
}

/// As Jupyter writes it: indented by one space a level, text outside ASCII left as it is.
impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write(self, 0, f)
    }
}

fn write(value: &Json, indent: usize, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match value {
        Json::Null => f.write_str("null"),
        Json::Bool(value) => write!(f, "{value}"),
        Json::Number(digits) => f.write_str(digits),
        Json::String(text) => write_string(text, f),
        Json::Array(items) if items.is_empty() => f.write_str("[]"),
        Json::Object(fields) if fields.is_empty() => f.write_str("{}"),
        Json::Array(items) => {
            for (i, item) in items.iter().enumerate() {
                write!(f, "{}\n{:2$}", if i == 0 { "[" } else { "," }, "", indent + 1)?;
                write(item, indent + 1, f)?;
            }
            write!(f, "\n{:indent$}]", "")
        }
        Json::Object(fields) => {
            for (i, (key, item)) in fields.iter().enumerate() {
                write!(f, "{}\n{:2$}", if i == 0 { "{" } else { "," }, "", indent + 1)?;
                write_string(key, f)?;
                f.write_str(": ")?;
                write(item, indent + 1, f)?;
            }
            write!(f, "\n{:indent$}}}", "")
        }
    }
}

fn write_string(text: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    // Text cannot fail to become JSON; serde_json's escapes are those of Python's `json`.
    f.write_str(&serde_json::to_string(text).map_err(|_| fmt::Error)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_written_as_python_writes_it() {
        // python3 -c 'import json; print(json.dumps({"b":[1,2.50e+3,[]],"a":{},"é":"\u0001\n\"\\/\x7f"},indent=1,ensure_ascii=False))'
        let jupyter = "{\n \"b\": [\n  1,\n  2500.0,\n  []\n ],\n \"a\": {},\n \"é\": \"\\u0001\\n\\\"\\\\/\u{7f}\"\n}";
        let compact = r#"{"b":[1,2500.0,[]],"a":{},"é":"\u0001\n\"\\\/"}"#.replace("/\"", "/\u{7f}\"");
        assert_eq!(Json::parse(&compact).unwrap().to_string(), jupyter);
        assert_eq!(Json::parse(jupyter).unwrap().to_string(), jupyter);
    }

    #[test]
    fn numbers_keep_their_digits() {
        for number in ["-0", "1E5", "0.1000000000000000055511151231257827", "123456789012345678901234567890", "2e-999"]
        {
            assert_eq!(Json::parse(number).unwrap().to_string(), number);
        }
    }

    #[test]
    fn agrees_with_serde_json_on_what_json_is() {
        const INSERTED: &[u8] = b"\"\\{}[],:0-.eE+tfnu \n\x01";
        let seeds = [
            r#"{"a": [1, -2.5e-3, null, true, false, "x\u00e9\ud83d\ude00\n", {}], "b": {"": ""}, "b": 0}"#,
            "[ \"\u{e9}\u{20ac}\u{1f600}\" , 0.0, 10 ]\r\n",
        ];
        let mut state = 1_u64;
        let mut random = |below: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % below
        };
        let (mut good, mut bad) = (0, 0);
        for _ in 0..20_000 {
            let mut bytes = seeds[random(seeds.len())].as_bytes().to_vec();
            for _ in 0..random(3) {
                let at = random(bytes.len());
                match random(3) {
                    0 => drop(bytes.remove(at)),
                    1 => bytes.insert(at, INSERTED[random(INSERTED.len())]),
                    _ => bytes.truncate(at + 1),
                }
            }
            let Ok(text) = String::from_utf8(bytes) else { continue };
            match (Json::parse(&text), serde_json::from_str::<serde_json::Value>(&text)) {
                (Ok(ours), Ok(theirs)) => {
                    good += 1;
                    assert_eq!(serde_json::from_str::<serde_json::Value>(&ours.to_string()).unwrap(), theirs, "{text}");
                    assert_eq!(Json::parse(&ours.to_string()).unwrap(), ours, "{text}");
                }
                (Err(_), Err(_)) => bad += 1,
                (ours, theirs) => panic!("{text:?}: {ours:?} or {theirs:?}?"),
            }
        }
        assert!(good > 5000 && bad > 5000, "{good} good, {bad} bad");
    }

    #[test]
    fn errors_say_where() {
        let cases = [
            ("", 1, 1, "the text ends too early"),
            ("{\n \"é\": 1,\n é\n}", 3, 2, "no opening quote"),
            ("[1 2]", 1, 4, "no comma or closing bracket"),
            ("{\"a\" 1}", 1, 6, "no colon after a key"),
            ("[] []", 1, 4, "more text after the end"),
            ("\"é", 1, 1, "a text without closing quote"),
            ("\"\\é", 1, 1, "a text without closing quote"),
            ("[-]", 1, 3, "a number without digits"),
            ("nul", 1, 1, "no value"),
        ];
        for (text, line, column, why) in cases {
            assert_eq!(Json::parse(text), Err(NotJson { line, column, why }), "{text:?}");
        }
        let deep = "[".repeat(1_000_000);
        assert_eq!(Json::parse(&deep).unwrap_err().why, "nested too deeply");
    }

    #[test]
    fn a_value_is_found_in_its_text() {
        let text = "\u{feff}{\"a\": 1, \"cells\": [ {\"s\":[\"x\"]}, {\"é\": 0, \"s\": [\"}\",\"]\"] , \"s\":  {} } ]}";
        let at = |place: &[Place<'_>]| Json::locate(text, place).map(|range| &text[range]);
        use Place::{Index, Key};
        assert_eq!(at(&[Key("cells"), Index(0), Key("s")]), Some("[\"x\"]"));
        assert_eq!(at(&[Key("cells"), Index(1), Key("s")]), Some("{}"), "the last, as Python reads it");
        assert_eq!(at(&[Key("cells"), Index(1), Key("é")]), Some("0"));
        for missing in [&[Key("b")][..], &[Key("cells"), Index(2)], &[Key("a"), Key("b")], &[Index(0)]] {
            assert_eq!(at(missing), None);
        }
        assert_eq!(Json::locate("{\"a\": [1", &[Key("a")]), None, "not JSON");
        assert_eq!(Json::locate(&"[".repeat(1 << 20), &[Index(0)]), None);
        assert_eq!(Json::lines("a\nb").indented(1), "[\n  \"a\\n\",\n  \"b\"\n ]");
    }

    #[test]
    fn a_new_key_stands_where_sorting_would_put_it() {
        let mut value = Json::parse(r#"{"a": 1, "c": 2}"#).unwrap();
        value.set("b", Json::Null);
        value.set("c", Json::Bool(true));
        value.set("d", Json::Bool(false));
        assert_eq!(value, Json::parse(r#"{"a": 1, "b": null, "c": true, "d": false}"#).unwrap());
        let mut twice = Json::parse(r#"{"a": 1, "a": 2}"#).unwrap();
        twice.set("a", Json::Null);
        assert_eq!(twice, Json::parse(r#"{"a": 1, "a": null}"#).unwrap(), "Python reads the last");
        assert_eq!(twice.get("a"), Some(&Json::Null));
    }
}
