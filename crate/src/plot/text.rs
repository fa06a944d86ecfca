//! How wide text may become, and how to make it fit.
//!
//! The reader's browser chooses the font, so widths are bounds: no letter is wider in Verdana or DejaVu Sans, the widest
//! sans-serif fonts in common use.

/// The most that a text takes, in units of the font size.
pub(super) fn width(text: &str) -> f64 {
    text.chars().map(advance).sum()
}

/// Whether the bound of [`width`] is known to hold: letters of other scripts come from fonts one cannot foresee.
fn is_bounded(text: &str) -> bool {
    text.chars().all(|character| matches!(character, ' '..='~' | '…'))
}

/// The attributes that keep a line of `size` pixels within `limit`: none where its letters do so by themselves, else a
/// length that it is drawn at, which is the last resort for scripts whose width cannot be foreseen.
pub(super) fn fixed_length(line: &str, size: usize, limit: usize) -> String {
    if is_bounded(line) {
        return String::new();
    }
    let length = (width(line) * size as f64).min(limit as f64);
    format!(" textLength=\"{length:.0}\" lengthAdjust=\"spacingAndGlyphs\"")
}

fn advance(character: char) -> f64 {
    match character {
        'i' | 'j' | 'l' | '\'' => 0.32,
        ' ' | '.' | ',' | 'f' => 0.37,
        't' | 'r' | 'I' | '!' => 0.43,
        ':' | ';' | '-' | '(' | ')' | '[' | ']' | '/' | '\\' | '|' | '"' | 'J' => 0.46,
        'm' | 'M' | 'W' | '@' | '…' => 1.0,
        '%' => 1.08,
        'w' | '#' | '+' | '<' | '=' | '>' | '^' | '~' => 0.84,
        'A'..='Z' | '&' => 0.80,
        ' '..='~' => 0.65,
        _ => 1.4,
    }
}

/// A text in at most `lines` lines of `limit` font sizes; what does not fit is cut off, and an ellipsis says so.
///
/// Lines break at blanks and behind hyphens, and only inside a word that is too long for any line.
pub(super) fn wrap(text: &str, limit: f64, lines: usize) -> Vec<String> {
    let mut wrapped: Vec<String> = Vec::new();
    let mut line = String::new();
    for word in pieces(text) {
        if width(&line) + width(word.trim_end()) > limit && !line.is_empty() {
            wrapped.push(std::mem::take(&mut line));
        }
        for character in word.chars() {
            if character != ' ' && width(&line) + advance(character) > limit && !line.is_empty() {
                wrapped.push(std::mem::take(&mut line));
            }
            line.push(character);
        }
    }
    wrapped.push(line);
    wrapped.iter_mut().for_each(|line| line.truncate(line.trim_end().len()));
    if wrapped.len() > lines.max(1) {
        wrapped.truncate(lines.max(1));
        if let Some(last) = wrapped.last_mut() {
            while width(last) + advance('…') > limit && last.pop().is_some() {}
            last.truncate(last.trim_end().len());
            last.push('…');
        }
    }
    wrapped
}

/// The text in pieces that a line break may follow, a blank or a hyphen at their ends. All white space is one blank.
fn pieces(text: &str) -> Vec<String> {
    let words =
        text.split(|letter: char| letter.is_whitespace() || letter.is_control()).filter(|word| !word.is_empty());
    let text = words.collect::<Vec<_>>().join(" ");
    text.split_inclusive([' ', '-', '_', '/']).map(str::to_owned).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    /// DejaVu Sans' own advances, measured from the font file: tests/golden/make_advances.py.
    #[test]
    fn no_letter_is_wider_than_its_bound() {
        let golden = include_str!("../../tests/golden/dejavu_sans_advances.json");
        let advances: BTreeMap<char, f64> = serde_json::from_str(golden).unwrap();
        assert_eq!(advances.len(), 96, "printable ASCII and the ellipsis");
        let wider: Vec<_> = advances.iter().filter(|(letter, wide)| advance(**letter) < **wide).collect();
        assert!(wider.is_empty(), "{wider:?}");
    }

    #[test]
    fn lines_break_where_a_reader_would_break_them() {
        let cases = [
            ("cat", 20.0, vec!["cat"]),
            ("", 20.0, vec![""]),
            ("American Staffordshire terrier", 12.0, vec!["American", "Staffordshire terrier"]),
            ("red-breasted merganser", 8.0, vec!["red-breasted", "merganser"]),
            ("  a\n b  ", 20.0, vec!["a b"]),
            ("one two three four five six seven", 6.0, vec!["one two", "three fou…"]),
        ];
        for (text, limit, want) in cases {
            assert_eq!(wrap(text, limit, 2), want, "{text:?}");
        }
    }

    #[test]
    fn whatever_the_text_no_line_is_too_wide() {
        let long = "W".repeat(500);
        for text in [
            "Llanfairpwllgwyngyllgogerychwyrndrobwllllantysiliogogogoch",
            long.as_str(),
            "日本語の長い名前です",
            "a-b-c",
        ] {
            for limit in [3.0, 7.5, 12.0] {
                for lines in 1..4 {
                    let wrapped = wrap(text, limit, lines);
                    assert!(wrapped.len() <= lines && wrapped.iter().all(|line| width(line) <= limit), "{wrapped:?}");
                }
            }
        }
    }
}
