//! What stands below tiles: their scale, and how many are crossed and why.

use super::super::draw::{FONT, MARGIN, aligned, colour_bar};
use super::super::{ColourMap, text};
use crate::Result;
use std::fmt::Write;

/// Why a tile is crossed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Cross {
    Silent,
    NotANumber,
}

impl Cross {
    /// The colours of its ground and of its lines.
    fn colours(self) -> (&'static str, &'static str) {
        match self {
            Self::Silent => ("#3c3c3c", "#9a9a9a"),
            Self::NotANumber => ("#5a1010", "#ff6b6b"),
        }
    }
}

/// How many tiles are crossed, in words; nothing where none is.
pub(super) fn counted(count: usize, what: &str, silent: &[usize], broken: &[usize]) -> Vec<(Cross, String)> {
    let mut counted = Vec::new();
    if !silent.is_empty() {
        counted.push((Cross::Silent, format!("{} of {count} {what} silent (crossed)", silent.len())));
    }
    if !broken.is_empty() {
        counted.push((Cross::NotANumber, format!("{} of {count} {what} not a number (crossed in red)", broken.len())));
    }
    counted
}

/// Adds what is crossed to a description, the first few by number.
pub(super) fn describe(alt: &mut String, counted: &[(Cross, String)], silent: &[usize]) {
    const NAMED: usize = 12;
    for (_, words) in counted {
        let _ = write!(alt, "; {words}");
    }
    if !silent.is_empty() {
        let named: Vec<String> = silent.iter().take(NAMED).map(usize::to_string).collect();
        let more = if silent.len() > NAMED { ", ..." } else { "" };
        let _ = write!(alt, "; silent, counted from 0: {}{more}", named.join(", "));
    }
}

/// Dark tiles with a cross, all of them as two paths.
pub(super) fn crossed(
    body: &mut String,
    corners: impl Iterator<Item = (usize, usize)>,
    (width, height): (usize, usize),
    cross: Cross,
) {
    let (mut grounds, mut lines) = (String::new(), String::new());
    for (x, y) in corners {
        let _ = write!(grounds, "M{x} {y}h{width}v{height}h-{width}z");
        let _ = write!(lines, "M{x} {y}l{width} {height}m0 -{height}l-{width} {height}");
    }
    if !grounds.is_empty() {
        let (ground, line) = cross.colours();
        let stroke = (width / 50).max(1);
        let _ = writeln!(
            body,
            "<path d=\"{grounds}\" fill=\"{ground}\"/>\n<path d=\"{lines}\" fill=\"none\" stroke=\"{line}\" \
             stroke-width=\"{stroke}\"/>"
        );
    }
}

/// Lines below the tiles, one under the other.
pub(super) struct Legend {
    page: usize,
    y: usize,
}

impl Legend {
    const SWATCH: usize = 16;

    pub(super) fn new(page: usize, y: usize) -> Self {
        Self { page, y }
    }

    /// The colours, from two deviations below the mean of `whose` values to two above it.
    pub(super) fn scale(&mut self, body: &mut String, colours: ColourMap, whose: &str) -> Result<()> {
        const BAR: usize = 120;
        self.y += 10;
        let (below, above) = ("mean - 2 sd", format!("mean + 2 sd, of {whose}"));
        let room = |words: &str| (text::width(words) * FONT as f64).ceil() as usize;
        let baseline = self.y + FONT;
        aligned(body, below, (MARGIN, baseline), "start", self.page);
        let bar = MARGIN + room(below) + 6;
        colour_bar(body, colours, (bar, self.y + 2), (BAR, FONT))?;
        aligned(body, &above, (bar + BAR + 8, baseline), "start", self.page);
        self.y += Self::SWATCH + 4;
        Ok(())
    }

    /// A crossed swatch for each kind of crossed tile, and how many there are.
    pub(super) fn crosses(&mut self, body: &mut String, counted: &[(Cross, String)]) {
        for (cross, words) in counted {
            self.y += 8;
            crossed(body, std::iter::once((MARGIN, self.y)), (Self::SWATCH, Self::SWATCH), *cross);
            aligned(body, words, (MARGIN + Self::SWATCH + 8, self.y + FONT), "start", self.page);
            self.y += Self::SWATCH;
        }
    }

    pub(super) fn bottom(&self) -> usize {
        self.y + MARGIN
    }
}
