//! Reading JSON: from text to values, and to where in it a value stands.

use super::json::{Json, Place};
use std::ops::Range;

/// Reads a text from one place on.
pub(super) struct Reader<'a> {
    pub(super) text: &'a str,
    /// In bytes. All that is compared is ASCII, so it only ever rests inside a character when an error ends the reading.
    pub(super) at: usize,
}

/// What was read, or why it cannot be.
pub(super) type Read<T> = Result<T, &'static str>;

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    pub(super) fn space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    pub(super) fn value(&mut self, depth: usize) -> Read<Json> {
        self.space();
        match self.peek() {
            Some(b'{' | b'[') if depth == 0 => Err("nested too deeply"),
            Some(b'{') => self.object(depth - 1),
            Some(b'[') => self.array(depth - 1),
            Some(b'"') => self.string().map(Json::String),
            Some(b'-' | b'0'..=b'9') => self.number(),
            None => Err("the text ends too early"),
            Some(_) => {
                let words = [("null", Json::Null), ("true", Json::Bool(true)), ("false", Json::Bool(false))];
                let rest = &self.text.as_bytes()[self.at..];
                let (word, value) =
                    words.into_iter().find(|(word, _)| rest.starts_with(word.as_bytes())).ok_or("no value")?;
                self.at += word.len();
                Ok(value)
            }
        }
    }

    /// Where the value at the end of `place` stands, from here on.
    pub(super) fn locate(&mut self, place: &[Place<'_>], depth: usize) -> Read<Option<Range<usize>>> {
        self.space();
        let Some((step, rest)) = place.split_first() else {
            let start = self.at;
            self.value(depth)?;
            return Ok(Some(start..self.at));
        };
        let is_object = matches!(step, Place::Key(_));
        if depth == 0 || !self.eat(if is_object { b'{' } else { b'[' }) {
            return Ok(None);
        }
        let (mut found, mut index) = (None, 0);
        loop {
            self.space();
            if self.eat(if is_object { b'}' } else { b']' }) {
                break;
            }
            let key = if is_object { Some(self.string()?) } else { None };
            self.space();
            if is_object && !self.eat(b':') {
                return Err("no colon after a key");
            }
            let is_wanted = match step {
                Place::Key(name) => key.as_deref() == Some(*name),
                Place::Index(wanted) => index == *wanted,
            };
            if is_wanted {
                found = Some(self.at);
            }
            self.value(depth - 1)?;
            self.space();
            self.eat(b',');
            index += 1;
        }
        found.map_or(Ok(None), |at| Reader { text: self.text, at }.locate(rest, depth - 1))
    }

    fn array(&mut self, depth: usize) -> Read<Json> {
        self.at += 1;
        let mut items = Vec::new();
        self.space();
        if self.eat(b']') {
            return Ok(Json::Array(items));
        }
        loop {
            items.push(self.value(depth)?);
            self.space();
            if self.eat(b']') {
                return Ok(Json::Array(items));
            } else if !self.eat(b',') {
                return Err("no comma or closing bracket");
            }
        }
    }

    fn object(&mut self, depth: usize) -> Read<Json> {
        self.at += 1;
        let mut fields = Vec::new();
        self.space();
        if self.eat(b'}') {
            return Ok(Json::Object(fields));
        }
        loop {
            self.space();
            let key = self.string()?;
            self.space();
            if !self.eat(b':') {
                return Err("no colon after a key");
            }
            fields.push((key, self.value(depth)?));
            self.space();
            if self.eat(b'}') {
                return Ok(Json::Object(fields));
            } else if !self.eat(b',') {
                return Err("no comma or closing brace");
            }
        }
    }

    /// Finds the string's end and leaves its escapes to serde_json.
    fn string(&mut self) -> Read<String> {
        if self.peek() != Some(b'"') {
            return Err("no opening quote");
        }
        let mut end = self.at + 1;
        loop {
            match self.text.as_bytes().get(end) {
                Some(b'"') => break,
                Some(b'\\') => end += 2,
                Some(_) => end += 1,
                None => return Err("a text without closing quote"),
            }
        }
        let text = self.text.get(self.at..=end).ok_or("a broken escape")?;
        let text = serde_json::from_str(text).map_err(|_| "a text with a broken escape or a bare control character")?;
        self.at = end + 1;
        Ok(text)
    }

    fn number(&mut self) -> Read<Json> {
        let start = self.at;
        self.eat(b'-');
        if !self.eat(b'0') {
            self.digits()?;
        }
        if self.eat(b'.') {
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(Json::Number(self.text[start..self.at].to_owned()))
    }

    fn digits(&mut self) -> Read<()> {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        if self.at > start { Ok(()) } else { Err("a number without digits") }
    }
}
