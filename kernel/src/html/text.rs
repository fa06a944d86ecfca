//! Text for a page: escaped, with terminal colours as spans.

use crate::ansi::{Colour, Style, pieces};
use std::fmt::Write;

/// Text with nothing left that a browser would take for markup, in elements and in quoted attributes.
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 8);
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // What XML forbids, a page had better not hold either.
            '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{7f}' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// Printed text: a carriage return begins its line anew, as on a terminal, and colours become spans.
pub fn printed(text: &str) -> String {
    let lines: Vec<&str> = text.split('\n').map(overwritten).collect();
    let text = lines.join("\n");
    let mut out = String::with_capacity(text.len() * 2);
    for (style, piece) in pieces(&text) {
        let piece: String = piece.chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t')).collect();
        match attributes(style) {
            attributes if attributes.is_empty() => out.push_str(&escaped(&piece)),
            attributes => {
                // Writing to a `String` cannot fail.
                let _ = write!(out, "<span{attributes}>{}</span>", escaped(&piece));
            }
        }
    }
    out
}

/// What is left of a line that redraws itself.
fn overwritten(line: &str) -> &str {
    line.split('\r').rfind(|piece| !piece.is_empty()).unwrap_or_default()
}

/// Classes for the sixteen colours that follow light and dark, a style for exact ones.
fn attributes(style: Style) -> String {
    let mut classes = Vec::new();
    let mut exact = String::new();
    for (colour, class, property) in [(style.colour, "c", "color"), (style.ground, "g", "background-color")] {
        match colour {
            Some(Colour::Named(n)) => classes.push(format!("{class}{n}")),
            Some(Colour::Rgb(r, g, b)) => {
                let _ = write!(exact, "{property}:#{r:02x}{g:02x}{b:02x};");
            }
            None => {}
        }
    }
    let switches = [(style.bold, "b"), (style.dim, "d"), (style.italic, "i"), (style.underlined, "u")];
    classes.extend(switches.into_iter().filter(|(on, _)| *on).map(|(_, class)| class.to_owned()));
    let mut out = String::new();
    if !classes.is_empty() {
        let _ = write!(out, " class=\"{}\"", classes.join(" "));
    }
    if !exact.is_empty() {
        let _ = write!(out, " style=\"{exact}\"");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_become_spans_and_markup_stays_text() {
        let cases = [
            ("a < b & \"c\" 'd'", "a &lt; b &amp; &quot;c&quot; &#39;d&#39;"),
            ("\x1b[1;31merror\x1b[0m: <x>", "<span class=\"c1 b\">error</span>: &lt;x&gt;"),
            ("\x1b[38;2;255;0;1m</span><script>", "<span style=\"color:#ff0001;\">&lt;/span&gt;&lt;script&gt;</span>"),
            ("1 %\r50 %\r100 %\r\nend\x08\x1b[2J", "100 %\nend"),
        ];
        for (text, want) in cases {
            assert_eq!(printed(text), want);
        }
    }
}
