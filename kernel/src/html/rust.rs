//! Rust code in colours: a tokenizer that never fails, because a cell need not be right to be shown.

use super::text::escaped;

const KEYWORDS: [&str; 39] = [
    "as", "async", "await", "break", "const", "continue", "crate", "dyn", "else", "enum", "extern", "false", "fn",
    "for", "if", "impl", "in", "let", "loop", "match", "mod", "move", "mut", "pub", "ref", "return", "self", "Self",
    "static", "struct", "super", "trait", "true", "type", "unsafe", "use", "where", "while", "yield",
];

/// The code, escaped, with spans of class `k` (keyword), `s` (text), `n` (number), `o` (comment), `m` (macro,
/// attribute, kernel command) and `t` (type).
pub fn highlighted(code: &str) -> String {
    let mut out = String::with_capacity(code.len() * 2);
    let mut rest = code;
    let mut line_begins = true;
    while let Some(first) = rest.chars().next() {
        let (length, class) = token(rest, first, line_begins);
        let (token, after) = rest.split_at(length);
        match class {
            Some(class) => out.push_str(&format!("<span class=\"{class}\">{}</span>", escaped(token))),
            None => out.push_str(&escaped(token)),
        }
        line_begins = token.ends_with('\n') || (line_begins && token.trim().is_empty());
        rest = after;
    }
    out
}

/// The next token's length in bytes, which is never 0, and its class.
fn token(text: &str, first: char, line_begins: bool) -> (usize, Option<&'static str>) {
    let line = text.find('\n').unwrap_or(text.len());
    match first {
        '/' if text.starts_with("//") => (line, Some("o")),
        '/' if text.starts_with("/*") => (block_comment(text), Some("o")),
        '"' => (quoted(text, 1), Some("s")),
        'b' | 'c' | 'r' if let Some(length) = prefixed(text) => (length, Some("s")),
        '\'' => character(text),
        '#' if text.starts_with("#[") || text.starts_with("#![") => {
            (text.find(']').map_or(line, |end| end + 1), Some("m"))
        }
        // evcxr's own commands: `:dep candle-core = "0.11"`.
        ':' if line_begins && text[1..].starts_with(|c: char| c.is_ascii_lowercase()) => (line, Some("m")),
        '0'..='9' => (number(text), Some("n")),
        c if c == '_' || c.is_alphabetic() => word(text),
        c => (c.len_utf8(), None),
    }
}

fn word(text: &str) -> (usize, Option<&'static str>) {
    let length = text.find(|c: char| c != '_' && !c.is_alphanumeric()).unwrap_or(text.len());
    let (word, after) = text.split_at(length);
    if KEYWORDS.contains(&word) {
        (length, Some("k"))
    } else if after.starts_with('!') && !after.starts_with("!=") {
        (length + 1, Some("m"))
    } else {
        (length, word.starts_with(char::is_uppercase).then_some("t"))
    }
}

fn number(text: &str) -> usize {
    let mut length = 0;
    let bytes = text.as_bytes();
    while let Some(byte) = bytes.get(length) {
        let next = bytes.get(length + 1);
        let goes_on = match byte {
            b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'_' => true,
            // `1.5` is one number, `1..5` and `1.max(5)` are not.
            b'.' => next.is_some_and(u8::is_ascii_digit),
            b'-' | b'+' => !text.starts_with("0x") && matches!(bytes[length - 1], b'e' | b'E'),
            _ => false,
        };
        if !goes_on {
            break;
        }
        length += 1;
    }
    length
}

/// Up to the closing quote, or the end; the first `from` bytes open it.
fn quoted(text: &str, from: usize) -> usize {
    let mut escape = false;
    for (at, c) in text.char_indices().skip_while(|(at, _)| *at < from) {
        match c {
            _ if escape => escape = false,
            '\\' => escape = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// `b"…"`, `c"…"`, `r"…"`, `br#"…"#`, `b'x'`: the length, where the text begins with one.
fn prefixed(text: &str) -> Option<usize> {
    let letters = text.find(|c| !matches!(c, 'b' | 'c' | 'r')).filter(|length| *length <= 2)?;
    let after = &text[letters..];
    if text.starts_with("b'") {
        return Some(1 + character(after).0);
    }
    if !text[..letters].ends_with('r') {
        return after.starts_with('"').then(|| quoted(text, letters + 1));
    }
    let hashes = after.find(|c| c != '#')?;
    let body = after[hashes..].strip_prefix('"')?;
    let close = format!("\"{}", "#".repeat(hashes));
    Some(body.find(&close).map_or(text.len(), |end| text.len() - body.len() + end + close.len()))
}

/// A character, `'x'` or `'\n'`, or else a lifetime, `'static`.
fn character(text: &str) -> (usize, Option<&'static str>) {
    let body = &text[1..];
    let mut chars = body.char_indices();
    match (chars.next(), chars.next()) {
        (Some((_, '\\')), Some((_, escaped))) => {
            let from = 1 + escaped.len_utf8();
            let length = body[from..].find(['\'', '\n']).map_or(body.len(), |end| from + end + 1);
            (1 + length, Some("s"))
        }
        (Some(_), Some((close, '\''))) => (1 + close + 1, Some("s")),
        _ => (1 + body.find(|c: char| c != '_' && !c.is_alphanumeric()).unwrap_or(body.len()), Some("t")),
    }
}

/// Comments nest in Rust.
fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < text.len() {
        match text.as_bytes().get(at..at + 2) {
            Some(b"/*") => (depth, at) = (depth + 1, at + 2),
            Some(b"*/") if depth == 1 => return at + 2,
            Some(b"*/") => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ansi;

    /// `k:let`, one a span; the rest of the text is left out.
    fn spans(code: &str) -> Vec<String> {
        highlighted(code)
            .split("<span class=\"")
            .skip(1)
            .map(|span| span.split("</span>").next().unwrap().replacen("\">", ":", 1))
            .collect()
    }

    #[test]
    fn tokens_have_their_classes() {
        let cases: [(&str, &[&str]); 12] = [
            ("let x = y;", &["k:let"]),
            (":dep a = \"1\"\nx", &["m::dep a = &quot;1&quot;"]),
            ("Tensor::new(1.5e-3f32, 0xFFu8)?", &["t:Tensor", "n:1.5e-3f32", "n:0xFFu8"]),
            ("1..2 1.max(2)", &["n:1", "n:2", "n:1", "n:2"]),
            ("println!(\"a\\\"b\") x != y", &["m:println!", "s:&quot;a\\&quot;b&quot;"]),
            ("r#\"a\"b\"# rest br\"\\\"", &["s:r#&quot;a&quot;b&quot;#", "s:br&quot;\\&quot;"]),
            (
                "'a' '\\'' '\\u{e9}' &'a str b'x'",
                &["s:&#39;a&#39;", "s:&#39;\\&#39;&#39;", "s:&#39;\\u{e9}&#39;", "t:&#39;a", "s:b&#39;x&#39;"],
            ),
            ("/* a /* b */ c */ d // e\nf", &["o:/* a /* b */ c */", "o:// e"]),
            ("#[derive(Debug)] struct S", &["m:#[derive(Debug)]", "k:struct", "t:S"]),
            ("letter r bcr", &[]),
            ("\"never ends", &["s:&quot;never ends"]),
            ("é'", &["t:&#39;"]),
        ];
        for (code, want) in cases {
            assert_eq!(spans(code), want, "{code}");
        }
    }

    #[test]
    fn any_text_comes_through_whole_and_escaped() {
        let alphabet: Vec<char> = "\"'/*#r!b\\[é]:n0.e-x_<\n ".chars().collect();
        let mut state = 7_u64;
        for _ in 0..5000 {
            let mut code = String::new();
            for _ in 0..12 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                code.push(alphabet[(state >> 33) as usize % alphabet.len()]);
            }
            let mut shown = highlighted(&code).replace("</span>", "");
            for class in ["k", "s", "n", "o", "m", "t"] {
                shown = shown.replace(&format!("<span class=\"{class}\">"), "");
            }
            assert_eq!(shown, escaped(&code));
            assert_eq!(ansi::plain(&code), code);
        }
    }
}
