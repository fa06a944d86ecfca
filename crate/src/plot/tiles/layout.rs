//! Where tiles stand, and how large they are.

use super::super::draw::{self, MARGIN, raster, words};
use super::super::{ColourMap, INK, indexed, text};
use super::Tiling;
use super::planes::{Plane, Planes};
use crate::images::Pixels;
use crate::{Error, Result};
use std::fmt::Write;

/// A row of tiles with its gaps, in pixels: most layers' sides go into the tiles of 4, 8, 16 and 32 columns evenly.
const ROW: usize = 932;
/// A tile is no larger than this.
const LARGEST: usize = 224;
/// Headings and legends have at least this much room.
const NARROWEST: usize = 460;
const LABEL: usize = 11;
/// More would make a page that nobody looks through.
const MOST: usize = 4096;
/// Nor would a page of more pixels be opened.
const MOST_PIXELS: usize = 1 << 24;

/// Where tiles stand.
pub(super) struct Layout {
    count: usize,
    pub(super) columns: usize,
    /// Of a tile, in pixels.
    pub(super) height: usize,
    pub(super) width: usize,
    pub(super) gap: usize,
    /// What a label adds to a row.
    label: usize,
    pub(super) page: usize,
}

impl Layout {
    /// For `count` tiles of a `(height, width)`; pictures that are not `pixelated` may be enlarged by any factor.
    pub(super) fn new(count: usize, size: (usize, usize), tiling: &Tiling<'_>, pixelated: bool) -> Result<Self> {
        if count == 0 || count > MOST {
            return Err(Error::Plot(format!("1 to {MOST} tiles can be shown, and got {count}")));
        }
        if !(1..=64).contains(&tiling.columns) {
            return Err(Error::Plot(format!("1 to 64 tiles stand in a row, and not {}", tiling.columns)));
        }
        if !tiling.labels.is_empty() && tiling.labels.len() != count {
            return Err(Error::Plot(format!("{count} tiles and {} labels: each tile needs one", tiling.labels.len())));
        }
        let gap = match tiling.columns {
            0..=7 => 8,
            8 => 4,
            9..=16 => 2,
            _ => 1,
        };
        let side = (ROW / tiling.columns - gap).min(LARGEST);
        let (height, width) = fitted(size, side, pixelated);
        if count * height * width > MOST_PIXELS {
            let columns = tiling.columns;
            return Err(Error::Plot(format!("{count} tiles are too large at {columns} a row: ask for more columns")));
        }
        let label = if tiling.labels.is_empty() { 0 } else { LABEL + 4 };
        let columns = tiling.columns.min(count);
        let page = (columns * (width + gap) - gap + 2 * MARGIN).max(NARROWEST);
        Ok(Self { count, columns, height, width, gap, label, page })
    }

    fn rows(&self) -> usize {
        self.count.div_ceil(self.columns)
    }

    /// Of all the tiles, with the labels below them.
    pub(super) fn height(&self) -> usize {
        self.rows() * self.down() - self.gap
    }

    fn inner(&self) -> usize {
        self.columns * self.across() - self.gap
    }

    /// From one tile to the next.
    fn across(&self) -> usize {
        self.width + self.gap
    }

    fn down(&self) -> usize {
        self.height + self.label + self.gap
    }

    /// The upper left corner of a tile.
    pub(super) fn at(&self, index: usize, top: usize) -> (usize, usize) {
        let left = (self.page - self.inner()) / 2;
        (left + index % self.columns * self.across(), top + index / self.columns * self.down())
    }

    /// All channels as one PNG. What stands between them is covered in white.
    pub(super) fn channels(
        &self,
        body: &mut String,
        tiles: &[Plane],
        planes: &Planes<'_>,
        colours: ColourMap,
        top: usize,
    ) -> Result<()> {
        let (height, width) = (self.height(), self.inner());
        // The brightest step: white lines over it have no dark edges where a browser scales the picture.
        let mut steps = vec![255; height * width];
        for (index, tile) in tiles.iter().enumerate() {
            let Plane::Lively(bytes) = tile else { continue };
            let shown = resized(bytes, (planes.height, planes.width), (self.height, self.width));
            let (x, y) = (index % self.columns * self.across(), index / self.columns * self.down());
            for (row, line) in shown.chunks(self.width).enumerate() {
                let start = (y + row) * width + x;
                steps[start..start + self.width].copy_from_slice(line);
            }
        }
        let (left, _) = self.at(0, top);
        raster(body, &indexed::png(width, height, &steps, colours)?, (left, top), (width, height));
        let mut gaps = String::new();
        for column in 1..self.columns {
            let _ = write!(
                gaps,
                "M{} {top}h{}v{height}h-{}z",
                left + column * self.across() - self.gap,
                self.gap,
                self.gap
            );
        }
        for row in 0..self.rows() {
            let (y, covered) = (top + row * self.down() + self.height, self.label + self.gap);
            let covered = if row + 1 == self.rows() { self.label } else { covered };
            let _ = write!(gaps, "M{left} {y}h{width}v{covered}h-{width}z");
        }
        if self.count < self.rows() * self.columns {
            let (x, y) = self.at(self.count, top);
            let _ = write!(gaps, "M{x} {y}H{}V{}H{x}z", left + width, top + height);
        }
        let _ = writeln!(body, "<path d=\"{gaps}\" fill=\"#ffffff\"/>");
        Ok(())
    }

    /// A filter in the middle of its tile.
    pub(super) fn filter(&self, body: &mut String, filter: &Pixels, (x, y): (usize, usize)) -> Result<()> {
        if is_small(filter.height.max(filter.width)) {
            raster(body, &self.enlarged(filter)?.to_png()?, (x, y), (self.width, self.height));
            return Ok(());
        }
        let shown = if filter.height > self.height { filter.resized(self.height, self.width)? } else { filter.clone() };
        draw::image(body, &shown, (x, y), (self.width, self.height))
    }

    /// A small filter as large as its tile, in which each place keeps its edges.
    fn enlarged(&self, filter: &Pixels) -> Result<Pixels> {
        let Pixels { height, width, rgb } = Pixels::new(filter.height, filter.width, filter.rgb.clone())?;
        let pixel = |index: usize| {
            let (row, column) = (index / self.width * height / self.height, index % self.width * width / self.width);
            let at = 3 * (row * width + column);
            [rgb[at], rgb[at + 1], rgb[at + 2]]
        };
        Pixels::new(self.height, self.width, (0..self.height * self.width).flat_map(pixel).collect())
    }

    pub(super) fn labels(&self, body: &mut String, labels: &[String], top: usize) {
        for (index, label) in labels.iter().enumerate() {
            let (x, y) = self.at(index, top);
            let limit = self.width as f64 / LABEL as f64;
            // Its number tells a channel from the next one; the layer's name, cut, does not.
            let number = label.rfind(" #").and_then(|at| label.get(at + 1..));
            let label = if text::width(label) > limit { number.unwrap_or(label) } else { label };
            let line = text::wrap(label, limit, 1).pop().unwrap_or_default();
            words(body, &line, x + self.width / 2, y + self.height + LABEL, LABEL, INK, self.width);
        }
    }
}

/// The size to show tiles at, to fit a square: what is small, or `pixelated`, is enlarged by a whole factor.
fn fitted((height, width): (usize, usize), side: usize, pixelated: bool) -> (usize, usize) {
    let longest = height.max(width).max(1);
    if longest <= side && (pixelated || is_small(longest)) {
        let factor = side / longest;
        return (height.max(1) * factor, width.max(1) * factor);
    }
    let scaled = |length: usize| (length.saturating_mul(side) / longest).max(1);
    (scaled(height), scaled(width))
}

/// Whether a picture is so small that its single places shall be seen, as those of a kernel's weights.
fn is_small(longest: usize) -> bool {
    longest <= 32
}

/// Bytes at another size: each new place is the mean of the old ones that it covers, or the one that it lies in.
fn resized(bytes: &[u8], (height, width): (usize, usize), (to_height, to_width): (usize, usize)) -> Vec<u8> {
    let span = |index: usize, from: usize, to: usize| {
        let start = index * from / to;
        start..((index + 1) * from / to).max(start + 1)
    };
    let mut shown = Vec::with_capacity(to_height * to_width);
    for row in 0..to_height {
        for column in 0..to_width {
            let columns = span(column, width, to_width);
            let (mut sum, mut count) = (0, 0);
            for y in span(row, height, to_height) {
                let line = &bytes[y * width + columns.start..y * width + columns.end];
                sum += line.iter().map(|byte| usize::from(*byte)).sum::<usize>();
                count += line.len();
            }
            shown.push((sum / count) as u8);
        }
    }
    shown
}
