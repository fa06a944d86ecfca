//! The compiler's messages, with their places counted as in the cell.

use super::Diagnostic;
use super::cell::{CONSTANT, OPENS};
use super::type_names::JUDGED;
use crate::ansi;
use serde::Deserialize;

/// How a cell lies in the file that was compiled.
#[derive(Clone, Debug)]
pub struct Placed {
    /// Lines before the cell's first.
    pub lines_before: usize,
    /// Lines of the cell.
    pub lines: usize,
}

impl Placed {
    /// The line in the cell for a line of the file; none where it is not the cell's.
    fn line(&self, file_line: usize) -> Option<usize> {
        file_line.checked_sub(self.lines_before).filter(|line| (1..=self.lines).contains(line))
    }
}

#[derive(Debug, Deserialize)]
struct Raw {
    message: String,
    level: String,
    code: Option<Code>,
    spans: Vec<Span>,
    rendered: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Code {
    code: String,
}

#[derive(Debug, Deserialize)]
struct Span {
    file_name: String,
    line_start: usize,
    column_start: usize,
    is_primary: bool,
    text: Vec<SpanText>,
    expansion: Option<Expansion>,
}

/// Where a macro is called in which a span lies.
#[derive(Debug, Deserialize)]
struct Expansion {
    span: Box<Span>,
}

/// The file in which cells are judged.
const FILE: &str = "judged.rs";

impl Span {
    /// The place in the judged file: of what lies in a macro of another file, where that is called.
    fn in_file(&self) -> Option<&Self> {
        match self.file_name.ends_with(FILE) {
            true => Some(self),
            false => self.expansion.as_ref()?.span.in_file(),
        }
    }
}

#[derive(Debug, Deserialize)]
struct SpanText {
    text: String,
}

/// One message of the compiler.
#[derive(Debug)]
pub struct Message {
    raw: Raw,
    placed: Placed,
}

impl Message {
    /// Reads a line of `--error-format=json`; none for what is no message.
    pub fn parse(line: &str, placed: &Placed) -> Option<Self> {
        Some(Self { raw: serde_json::from_str(line).ok()?, placed: placed.clone() })
    }

    /// Whether it is an error, and not the count of errors at the end.
    pub fn is_error(&self) -> bool {
        self.raw.level.starts_with("error")
            && !(self.raw.spans.is_empty() && self.raw.message.starts_with("aborting due to"))
    }

    /// The variable and its type, where this is the compiler's answer to `type_of`.
    pub fn probed_type(&self) -> Option<(String, String)> {
        let span = self.raw.spans.iter().find(|span| span.is_primary)?;
        let name = span.text.first()?.text.strip_prefix("/*")?.split_once("*/")?.0;
        let found = self.raw.message.strip_prefix("the trait bound `")?;
        let found = found.strip_suffix(": candlewick::cell::Kept` is not satisfied")?;
        Some((name.to_owned(), found.to_owned()))
    }

    /// What Rust does not say, because it knows nothing of cells.
    fn help(&self) -> &'static str {
        match self.raw.code.as_ref().map(|code| code.code.as_str()) {
            Some("E0728") => {
                "help: a cell is not async: add a runtime, as in `:dep tokio = { version = \"1\", features = [\"full\"] }`, \
                 and wait by `tokio::runtime::Runtime::new()?.block_on(async { … })`\n"
            }
            _ => "",
        }
    }

    /// The line of the judged file that it is about.
    pub fn line_in_file(&self) -> Option<usize> {
        Some(self.primary()?.line_start)
    }

    fn primary(&self) -> Option<&Span> {
        self.raw.spans.iter().find(|span| span.is_primary)?.in_file()
    }

    /// It, for people.
    pub fn diagnostic(&self) -> Diagnostic {
        let primary = self.primary();
        let line = primary.and_then(|span| self.placed.line(span.line_start));
        let column = line.and(primary).map(|span| span.column_start);
        Diagnostic {
            code: self.raw.code.as_ref().map(|code| code.code.clone()),
            message: self.raw.message.replace(JUDGED, ""),
            line,
            column,
            rendered: self.renumbered(),
        }
    }

    /// Rust's own text, its line numbers those of the cell, its arrow naming the cell and not a file.
    fn renumbered(&self) -> String {
        let rendered = self.raw.rendered.as_deref().unwrap_or(&self.raw.message);
        // The function that a cell is judged in, and what points at it, is nothing that anybody has written.
        let mut ours = false;
        let mut lines: Vec<&str> = Vec::new();
        for line in rendered.split_inclusive('\n') {
            let plain = ansi::plain(line);
            let begins = ["fn candlewick_cell(", "fn candlewick_cell<"].iter().any(|ours| plain.contains(ours));
            ours = begins || ours && plain.trim_start().starts_with('|');
            if begins && lines.len() > 1 && ansi::plain(lines[lines.len() - 2]).starts_with("help: ") {
                // It would have that function changed.
                lines.truncate(lines.len() - 2);
            }
            if !ours {
                lines.push(line);
            }
        }
        let (mut elsewhere, mut shift) = (false, 0);
        let lines = lines.into_iter().map(|line| {
            if let Some(place) = ["--> ", "::: "].iter().find_map(|arrow| line.split_once(arrow)) {
                elsewhere = !place.1.contains(FILE);
            }
            // Lines of the standard library's macros have numbers of their own.
            let line = if elsewhere { without_number(line) } else { self.renumbered_line(line) };
            without_constant(&line, &mut shift).replace(JUDGED, "")
        });
        lines.chain([self.help().to_owned()]).collect()
    }

    fn renumbered_line(&self, line: &str) -> String {
        if let Some((before, place)) = line.split_once("judged.rs:") {
            let mut numbers = place.trim_end().splitn(2, ':');
            let at = numbers.next().and_then(|line| line.parse().ok()).and_then(|line| self.placed.line(line));
            let arrow = before.rfind("--> ").or_else(|| before.rfind("::: ")).map_or(before, |at| &before[..at + 4]);
            return match at {
                Some(line) => format!("{arrow}line {line}\n"),
                None => format!("{arrow}an earlier cell\n"),
            };
        }
        let Some(digits) = gutter_number(line) else { return line.to_owned() };
        let number = &line[digits.clone()];
        let in_cell = number.parse().ok().and_then(|number| self.placed.line(number));
        let width = number.len();
        let shown = in_cell.map_or_else(|| " ".repeat(width), |line| format!("{line:>width$}"));
        format!("{}{shown}{}", &line[..digits.start], &line[digits.end..])
    }
}

/// A line without the constant that an `impl` is given to live in; what points at such a line moves along by `shift`.
fn without_constant(line: &str, shift: &mut usize) -> String {
    let constant = line.find(&format!("const {CONSTANT}")).and_then(|start| {
        let end = start + line[start..].find(OPENS)? + OPENS.len();
        Some(start..end)
    });
    if let Some(constant) = constant {
        *shift = constant.len();
        let rest = line[constant.end..].replacen(" };\n", "\n", 1);
        return format!("{}{rest}", &line[..constant.start]);
    }
    // Another line of text begins.
    if gutter_number(line).is_some() || line.contains("-->") {
        *shift = 0;
    }
    match line.find(&" ".repeat(*shift)).filter(|_| *shift > 0) {
        Some(at) => format!("{}{}", &line[..at], &line[at + *shift..]),
        None => line.to_owned(),
    }
}

/// A line of text without the number of the line that it shows.
fn without_number(line: &str) -> String {
    let Some(digits) = gutter_number(line) else { return line.to_owned() };
    format!("{}{}{}", &line[..digits.start], " ".repeat(digits.len()), &line[digits.end..])
}

/// Where the line number stands in a line such as `12 | let x = 1;`, with colours or without.
fn gutter_number(line: &str) -> Option<std::ops::Range<usize>> {
    let mut start = 0;
    let bytes = line.as_bytes();
    while start < bytes.len() {
        match bytes[start] {
            b' ' => start += 1,
            0x1b => start += line[start..].find('m')? + 1,
            b'0'..=b'9' => break,
            _ => return None,
        }
    }
    let end = start + bytes[start..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let mut rest = &line[end..];
    loop {
        rest = rest.trim_start_matches(' ');
        match rest.strip_prefix('\x1b') {
            Some(colour) => rest = &colour[colour.find('m')? + 1..],
            None => break,
        }
    }
    (end > start && rest.starts_with(['|', '-', '+', '~'])).then_some(start..end)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn message(rendered: &str) -> Message {
        let json = serde_json::json!({
            "message": "mismatched types", "level": "error", "code": {"code": "E0308"}, "rendered": rendered,
            "spans": [{"file_name": "/tmp/x/judged.rs", "line_start": 42, "column_start": 14, "is_primary": true, "text": []}],
        });
        Message::parse(&json.to_string(), &Placed { lines_before: 40, lines: 3 }).unwrap()
    }

    #[test]
    fn places_are_the_cells_own() {
        let diagnostic = message(
            "error[E0308]: mismatched types\n  --> /tmp/x/judged.rs:42:14\n   |\n\u{1b}[1m42\u{1b}[0m \u{1b}[1m|\u{1b}[0m let a: u8 = 300u16;\n7  | fn old() {}\n   | 42 apples\n",
        )
        .diagnostic();
        assert_eq!((diagnostic.line, diagnostic.column), (Some(2), Some(14)));
        assert_eq!(
            diagnostic.rendered,
            "error[E0308]: mismatched types\n  --> line 2\n   |\n\u{1b}[1m 2\u{1b}[0m \u{1b}[1m|\u{1b}[0m let a: u8 = 300u16;\n   | fn old() {}\n   | 42 apples\n"
        );
    }

    #[test]
    fn what_nobody_has_written_is_left_out() {
        let diagnostic = message(
            "error\n   |\n40 | fn candlewick_cell() -> R {\n   | --- this is not `async`\n41 | f().await\n   |     ^^^^^ only allowed inside\n",
        )
        .diagnostic();
        assert_eq!(diagnostic.rendered, "error\n   |\n 1 | f().await\n   |     ^^^^^ only allowed inside\n");
    }

    #[test]
    fn what_lies_in_a_macro_of_the_library_is_told_of_its_call() {
        let own = serde_json::json!({"file_name": "judged.rs", "line_start": 43, "column_start": 5, "is_primary": false,
            "text": [], "expansion": null});
        let json = serde_json::json!({
            "message": "mismatched types of `candlewick_cell::Net`", "level": "error", "code": null,
            "rendered": "error\n  --> /rust/alloc/src/macros.rs:41:9\n   |\n41 | inner\n  ::: judged.rs:43:5\n   |\n43 | vec![1]\n",
            "spans": [{"file_name": "/rust/alloc/src/macros.rs", "line_start": 41, "column_start": 9, "is_primary": true,
                "text": [], "expansion": {"span": own}}],
        });
        let told = Message::parse(&json.to_string(), &Placed { lines_before: 40, lines: 3 }).unwrap().diagnostic();
        assert_eq!((told.line, told.message.as_str()), (Some(3), "mismatched types of `Net`"));
        assert!(told.rendered.ends_with("   | inner\n  ::: line 3\n   |\n 3 | vec![1]\n"), "{}", told.rendered);
    }

    #[test]
    fn what_points_at_an_impl_stands_below_it() {
        let text = format!("  --> judged.rs:2:9\n2 | const {CONSTANT}0F{OPENS}impl A {{ f() }} }};\n");
        let pointer = format!("  | {}^^^\n", " ".repeat(text.find("f()").unwrap() - text.find("const").unwrap()));
        let told = message(&format!("{text}{pointer}")).diagnostic().rendered;
        let column = |line: &str, part: &str| line.find(part).unwrap();
        let lines: Vec<&str> = told.lines().collect();
        assert_eq!((column(lines[1], "f()"), lines[1].trim()), (column(lines[2], "^^^"), "| impl A { f() }"), "{told}");
    }

    #[test]
    fn what_would_change_our_function_is_no_help() {
        let diagnostic = message(
            "error\n   |\n41 | K\n   |\nhelp: you might be missing a const parameter\n   |\n40 | fn candlewick_cell\u{1b}[92m<const K: T>\u{1b}[0m() {\n   |                   +++\nnote: evaluation of `candlewick_cell::f::<0>`\n",
        )
        .diagnostic();
        assert_eq!(diagnostic.rendered, "error\n   |\n 1 | K\n   |\nnote: evaluation of `f::<0>`\n");
    }

    #[test]
    fn an_answer_about_a_type_is_told_from_an_error() {
        let json = serde_json::json!({
            "message": "the trait bound `std::vec::Vec<f32>: candlewick::cell::Kept` is not satisfied", "level": "error",
            "code": null, "rendered": null,
            "spans": [{"file_name": "judged.rs", "line_start": 9, "column_start": 1, "is_primary": true, "text": [{"text": "/*xs*/ candlewick::cell::type_of(&xs);"}]}],
        });
        let placed = Placed { lines_before: 1, lines: 1 };
        let probed = Message::parse(&json.to_string(), &placed).unwrap().probed_type();
        assert_eq!(probed, Some(("xs".to_owned(), "std::vec::Vec<f32>".to_owned())));
        assert_eq!(message("").probed_type(), None);
    }
}
