//! Sanitize files: what differs from run to run (times, addresses) is replaced before outputs are compared.
//!
//! The format is nbval's: pairs of lines `regex: …` and `replace: …`, under any section headings.

use anyhow::{Context, Result, bail};
use regex::Regex;

/// Replacements, in order.
#[derive(Debug, Default)]
pub struct Sanitizer {
    pairs: Vec<(Regex, String)>,
}

impl Sanitizer {
    /// Reads a file's text.
    ///
    /// # Errors
    /// Where a `regex:` has no `replace:` after it, or is not one that Rust's `regex` takes: with its line.
    pub fn parse(text: &str) -> Result<Self> {
        let mut pairs = Vec::new();
        let mut lines = text.lines().zip(1..).peekable();
        while let Some((line, number)) = lines.next() {
            let Some(pattern) = line.strip_prefix("regex: ") else {
                if line.starts_with("replace: ") {
                    bail!("line {number}: a `replace:` without a `regex:` in the line before");
                }
                continue;
            };
            let replacement = lines.next_if(|(next, _)| next.starts_with("replace:"));
            let replacement = replacement.and_then(|(next, _)| next.strip_prefix("replace:"));
            let replacement = replacement.with_context(|| format!("line {number}: no `replace:` in the line after"))?;
            let regex = Regex::new(pattern).with_context(|| {
                format!("line {number}: not a regex of Rust's, which has no look-around and no back-references")
            })?;
            pairs.push((regex, rust_replacement(replacement.strip_prefix(' ').unwrap_or(replacement))));
        }
        Ok(Self { pairs })
    }

    /// The text, with all replacements made.
    pub fn clean(&self, text: &str) -> String {
        self.pairs.iter().fold(text.to_owned(), |text, (regex, replacement)| {
            regex.replace_all(&text, replacement.as_str()).into_owned()
        })
    }
}

/// A replacement in Python's words, `\1` and `\g<name>`, in Rust's, `${1}` and `${name}`.
fn rust_replacement(python: &str) -> String {
    let mut rust = String::new();
    let mut rest = python.chars();
    while let Some(c) = rest.next() {
        match c {
            '$' => rust.push_str("$$"),
            '\\' => match rest.next() {
                Some(digit @ '0'..='9') => {
                    let more = rest.clone().take(1).filter(char::is_ascii_digit).collect::<String>();
                    rest.by_ref().take(more.len()).for_each(drop);
                    rust.push_str(&format!("${{{digit}{more}}}"));
                }
                Some('g') if rest.as_str().starts_with('<') && rest.as_str().contains('>') => {
                    let name: String = rest.by_ref().skip(1).take_while(|&c| c != '>').collect();
                    rust.push_str(&format!("${{{name}}}"));
                }
                Some('n') => rust.push('\n'),
                Some('t') => rust.push('\t'),
                Some('\\') => rust.push('\\'),
                Some(other) => rust.extend(['\\', other]),
                None => rust.push('\\'),
            },
            c => rust.push(c),
        }
    }
    rust
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_as_nbval_does() {
        // The example of nbval's documentation, and what Python's `re.sub` makes of these lines.
        let file = r"[regex1]
regex: \d{1,2}/\d{1,2}/\d{2,4}
replace: DATE-STAMP

[regex2]
regex: \d{2}:\d{2}:\d{2}
replace: TIME-STAMP

[swap]
regex: <(\w+) (?P<second>\w+)>
replace: <\g<second> \1 $1>
[gone]
regex:  seconds
replace:
";
        let sanitizer = Sanitizer::parse(file).unwrap();
        assert_eq!(sanitizer.clean("01/02/2026 10:20:30"), "DATE-STAMP TIME-STAMP");
        assert_eq!(sanitizer.clean("a <b c> d"), "a <c b $1> d");
        assert_eq!(sanitizer.clean("3 seconds"), "3");
        assert_eq!(Sanitizer::default().clean("as it is"), "as it is");
    }

    #[test]
    fn a_broken_file_is_refused_with_the_line() {
        let cases = [
            ("[a]\nregex: x\n", "line 2: no `replace:`"),
            ("[a]\nregex: x\nregex: y\nreplace: z", "line 2: no `replace:`"),
            ("replace: z", "line 1: a `replace:` without"),
            ("regex: (\nreplace: z", "line 1: not a regex"),
            ("\n\nregex: (?=x)y\nreplace: z", "line 3: not a regex"),
        ];
        for (text, want) in cases {
            let why = format!("{:#}", Sanitizer::parse(text).unwrap_err());
            assert!(why.contains(want), "{text:?}: {why}");
        }
    }

    #[test]
    fn odd_replacements_are_no_panic() {
        for (python, rust) in
            [("\\", "\\"), ("\\12x", "${12}x"), ("\\g<a", "\\g<a"), ("é\\n\\\\", "é\n\\"), ("\\q", "\\q")]
        {
            assert_eq!(rust_replacement(python), rust);
        }
    }
}
