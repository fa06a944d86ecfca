//! Terminal colours in text: taken apart into pieces that each have one style.

/// A colour as terminals name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    /// One of the sixteen that the reader's theme chooses: 0 to 7 dark, 8 to 15 bright.
    Named(u8),
    /// Red, green, blue.
    Rgb(u8, u8, u8),
}

/// How a piece of text looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Style {
    /// Of the letters.
    pub colour: Option<Colour>,
    /// Of the ground behind them.
    pub ground: Option<Colour>,
    /// Bold.
    pub bold: bool,
    /// Fainter than the rest.
    pub dim: bool,
    /// Slanted.
    pub italic: bool,
    /// Underlined.
    pub underlined: bool,
}

/// The text in pieces of one style; everything else that a terminal would obey is left out.
pub fn pieces(text: &str) -> Vec<(Style, &str)> {
    let mut pieces = Vec::new();
    let mut style = Style::default();
    let mut rest = text;
    while let Some(at) = rest.find('\u{1b}') {
        let (before, sequence) = rest.split_at(at);
        if !before.is_empty() {
            pieces.push((style, before));
        }
        let (parameters, after) = sequence_of(sequence);
        if let Some(parameters) = parameters {
            style.apply(parameters);
        }
        rest = after;
    }
    if !rest.is_empty() {
        pieces.push((style, rest));
    }
    pieces
}

/// The text alone: no colours, no control characters but line breaks and tabs.
pub fn plain(text: &str) -> String {
    pieces(text).into_iter().flat_map(|(_, piece)| piece.chars().filter(harmless)).collect()
}

/// The text with its colours, and without all else that a terminal would obey: it shall not clear the screen.
pub fn tame(text: &str) -> String {
    let mut tame = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\u{1b}') {
        let (before, sequence) = rest.split_at(at);
        tame.extend(before.chars().filter(harmless));
        let (parameters, after) = sequence_of(sequence);
        if let Some(parameters) = parameters {
            tame.push_str(&format!("\u{1b}[{parameters}m"));
        }
        rest = after;
    }
    tame.extend(rest.chars().filter(harmless));
    tame
}

fn harmless(c: &char) -> bool {
    !c.is_control() || matches!(c, '\n' | '\r' | '\t')
}

/// Takes one escape sequence off the front: its parameters, if it is one that sets a style, and what follows it.
fn sequence_of(text: &str) -> (Option<&str>, &str) {
    let body = &text[1..];
    match body.as_bytes().first() {
        // Control sequence: parameters up to a final letter.
        Some(b'[') => {
            let body = &body[1..];
            let Some(end) = body.find(|c: char| !matches!(c, ' '..='?')) else { return (None, "") };
            let after = body[end..].chars().next().map_or(end, |last| end + last.len_utf8());
            let is_style = body[end..].starts_with('m');
            (is_style.then(|| &body[..end]), &body[after..])
        }
        // Operating system command (a title, a link): up to a bell or an escape and backslash.
        Some(b']') => match body.find(['\u{7}', '\u{1b}']) {
            Some(end) => (None, body[end..].trim_start_matches('\u{7}').trim_start_matches("\u{1b}\\")),
            None => (None, ""),
        },
        _ => (None, body),
    }
}

impl Style {
    fn apply(&mut self, parameters: &str) {
        let mut codes =
            parameters.split([';', ':']).map(|code| if code.is_empty() { Some(0) } else { code.parse().ok() });
        while let Some(code) = codes.next() {
            match code {
                Some(0) => *self = Self::default(),
                Some(1) => self.bold = true,
                Some(2) => self.dim = true,
                Some(3) => self.italic = true,
                Some(4) => self.underlined = true,
                Some(22) => (self.bold, self.dim) = (false, false),
                Some(23) => self.italic = false,
                Some(24) => self.underlined = false,
                Some(n @ 30..=37) => self.colour = Some(Colour::Named(n - 30)),
                Some(n @ 90..=97) => self.colour = Some(Colour::Named(n - 90 + 8)),
                Some(38) => self.colour = extended(&mut codes).or(self.colour),
                Some(39) => self.colour = None,
                Some(n @ 40..=47) => self.ground = Some(Colour::Named(n - 40)),
                Some(n @ 100..=107) => self.ground = Some(Colour::Named(n - 100 + 8)),
                Some(48) => self.ground = extended(&mut codes).or(self.ground),
                Some(49) => self.ground = None,
                _ => {}
            }
        }
    }
}

/// A colour after 38 or 48: `5;n` of a palette of 256, or `2;r;g;b`.
fn extended(codes: &mut impl Iterator<Item = Option<u8>>) -> Option<Colour> {
    let mut next = || codes.next().flatten();
    match next()? {
        5 => Some(match next()? {
            n @ 0..=15 => Colour::Named(n),
            n @ 16..=231 => {
                let level = |step: u8| if step == 0 { 0 } else { 55 + 40 * step };
                let n = n - 16;
                Colour::Rgb(level(n / 36), level(n / 6 % 6), level(n % 6))
            }
            n => {
                let grey = 8 + 10 * (n - 232);
                Colour::Rgb(grey, grey, grey)
            }
        }),
        2 => Some(Colour::Rgb(next()?, next()?, next()?)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn styles_apply_until_they_are_taken_back() {
        let text = "a\x1b[1;31mb\x1b[22mc\x1b[38;5;196md\x1b[38;2;1;2;3;4me\x1b[48;5;255mf\x1b[mg";
        let red = Some(Colour::Named(1));
        let rgb = Style { colour: Some(Colour::Rgb(1, 2, 3)), underlined: true, ..Style::default() };
        let want = [
            (Style::default(), "a"),
            (Style { colour: red, bold: true, ..Style::default() }, "b"),
            (Style { colour: red, ..Style::default() }, "c"),
            (Style { colour: Some(Colour::Rgb(255, 0, 0)), ..Style::default() }, "d"),
            (rgb, "e"),
            (Style { ground: Some(Colour::Rgb(238, 238, 238)), ..rgb }, "f"),
            (Style::default(), "g"),
        ];
        assert_eq!(pieces(text), want);
    }

    #[test]
    fn what_else_terminals_obey_is_left_out() {
        let cases = [
            ("\x1b[2J\x1b[1;1Hcleared", "cleared"),
            ("\x1b]0;title\x07text", "text"),
            ("\x1b]8;;https://x\x1b\\link\x1b]8;;\x1b\\", "link"),
            ("é\x1b[", "é"),
            ("a\x1b[31é", "a"),
            ("a\x1b", "a"),
            ("a\x1b[999;38;5m", "a"),
            ("a\x1b]never ends", "a"),
            ("a\u{9b}2Jb\x08\x07\tc\r\n", "a2Jb\tc\r\n"),
        ];
        for (text, want) in cases {
            assert_eq!(plain(text), want, "{text:?}");
            assert_eq!(plain(&tame(text)), want, "{text:?}");
        }
        assert_eq!(tame("a\x1b[2J\x1b[1;31mb\x1b[m"), "a\x1b[1;31mb\x1b[m");
    }
}
