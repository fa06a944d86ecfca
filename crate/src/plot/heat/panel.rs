//! One panel: a photo or a heat map of it, its title above, its note below.

use super::super::draw::{FONT, image, raster, shown_size, within, words};
use super::super::grid::{Mark, frame};
use super::super::{INK, indexed, text};
use super::{GAP, HeatPanel, HeatScale, LINE, NOTE, OPACITY, Shown};
use crate::Result;
use crate::notebook::display::escape;
use std::fmt::Write;

const NOTE_LINES: usize = 3;

/// A panel whose lines are broken.
pub(super) struct Drawn<'a> {
    panel: &'a HeatPanel<'a>,
    cell: usize,
    pub title: Vec<String>,
    pub note: Vec<String>,
}

impl<'a> Drawn<'a> {
    pub fn new(panel: &'a HeatPanel<'a>, cell: usize) -> Self {
        let room = |size: usize| (cell - 6) as f64 / size as f64;
        let title = panel.title.splitn(2, '\n').flat_map(|part| text::wrap(part, room(FONT), 2)).collect();
        let note = if panel.note.is_empty() { Vec::new() } else { text::wrap(panel.note, room(NOTE), NOTE_LINES) };
        Self { panel, cell, title, note }
    }

    /// How tall the photo is shown.
    pub fn photo_height(&self) -> usize {
        shown_size(self.panel.photo, self.cell - GAP).0
    }

    /// Draws into a frame of its own; `lines` is the most that a title of this row has, so that photos stand level, and
    /// `tallest` the height of its tallest photo, so that titles and notes stand near them.
    pub fn draw(
        &self,
        body: &mut String,
        scale: &HeatScale<'_>,
        (x, y): (usize, usize),
        (lines, tallest, height): (usize, usize, usize),
    ) -> Result<()> {
        let (panel, cell) = (self.panel, self.cell);
        let _ = writeln!(
            body,
            "<svg x=\"{x}\" y=\"{y}\" width=\"{cell}\" height=\"{height}\" overflow=\"hidden\"><title>{}{}</title>",
            escape(panel.title),
            panel.mark.words()
        );
        for (number, line) in self.title.iter().enumerate() {
            let baseline = (lines - self.title.len() + number + 1) * LINE - 2;
            words(body, line, cell / 2, baseline, FONT, panel.mark.colour(), cell - 6);
        }
        let (top, side) = (lines * LINE + 6, cell - GAP);
        let (shown, photo_height, photo_width) = within(panel.photo, side)?;
        let at = ((cell - photo_width) / 2, top + (tallest - photo_height.min(tallest)) / 2);
        let size = (photo_width, photo_height);
        match &panel.shown {
            Shown::Photo => image(body, &shown, at, size)?,
            // A small photo is enlarged first, so that the map over it is as fine as it is shown.
            Shown::Over(map) => {
                image(body, &map.over(&shown.resized(photo_height, photo_width)?, scale, OPACITY)?, at, size)?;
            }
            Shown::Alone(map) => {
                let steps = map.steps(scale, photo_height, photo_width)?;
                raster(body, &indexed::png(photo_width, photo_height, &steps, scale.colours)?, at, size);
            }
        }
        if panel.mark == Mark::Wrong {
            frame(body, at, size);
        }
        for (number, line) in self.note.iter().enumerate() {
            let baseline = top + tallest + (number + 1) * LINE - 2;
            words(body, line, cell / 2, baseline, NOTE, INK, cell - 6);
        }
        body.push_str("</svg>\n");
        Ok(())
    }
}
