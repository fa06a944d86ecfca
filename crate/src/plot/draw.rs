//! What the pictures that are written by hand are made of: lines of text, photos and rasters, a heading, a colour bar.
//!
//! Writing to a string cannot fail, so what `write!` answers is not looked at.

use super::{Colour, ColourMap, INK, hex, indexed, text};
use crate::images::Pixels;
use crate::notebook::display::{base64, escape};
use crate::{Error, Result};
use std::fmt::Write;

pub(super) const MARGIN: usize = 14;
pub(super) const FONT: usize = 13;
const HEADING: usize = 18;
const QUALITY: u8 = 85;

/// Writes the heading of a page and gives the height at which the rest begins.
pub(super) fn heading(body: &mut String, heading: &str, page: usize) -> usize {
    let limit = page - 2 * MARGIN;
    let mut y = MARGIN;
    for line in text::wrap(heading, limit as f64 / HEADING as f64, 3) {
        y += HEADING + 6;
        words(body, &line, page / 2, y - 8, HEADING, INK, limit);
    }
    y + 4
}

/// One centred line of text, `limit` pixels wide at most.
pub(super) fn words(body: &mut String, line: &str, x: usize, y: usize, size: usize, colour: Colour, limit: usize) {
    let length = text::fixed_length(line, size, limit);
    let _ = writeln!(
        body,
        "<text x=\"{x}\" y=\"{y}\" font-family=\"sans-serif\" font-size=\"{size}\" text-anchor=\"middle\" \
         fill=\"{}\"{length}>{}</text>",
        hex(colour),
        escape(line)
    );
}

/// A line of text in the usual size that begins or ends at (x, y).
pub(super) fn aligned(body: &mut String, line: &str, (x, y): (usize, usize), anchor: &str, limit: usize) {
    let _ = writeln!(
        body,
        "<text x=\"{x}\" y=\"{y}\" font-family=\"sans-serif\" font-size=\"{FONT}\" text-anchor=\"{anchor}\" \
         fill=\"{}\"{}>{}</text>",
        hex(INK),
        text::fixed_length(line, FONT, limit),
        escape(line)
    );
}

/// The same from below to above.
pub(super) fn turned(body: &mut String, line: &str, (x, y): (usize, usize), anchor: &str, limit: usize) {
    let _ = write!(body, "<g transform=\"translate({x} {y}) rotate(-90)\">");
    aligned(body, line, (0, 0), anchor, limit);
    body.push_str("</g>\n");
}

/// The height and width to show a photo at in a square of this side: small photos are shown larger.
pub(super) fn shown_size(photo: &Pixels, side: usize) -> (usize, usize) {
    let longest = photo.height.max(photo.width).max(1);
    let scaled = |length: usize| (length.saturating_mul(side) / longest).max(1);
    (scaled(photo.height), scaled(photo.width))
}

/// A photo at no more than `side`, and the height and width to show it at.
pub(super) fn within(photo: &Pixels, side: usize) -> Result<(Pixels, usize, usize)> {
    let longest = photo.height.max(photo.width);
    if longest == 0 {
        return Err(Error::Plot("a photo has no pixels".to_owned()));
    }
    let (height, width) = shown_size(photo, side);
    let shown = if longest > side { photo.resized(height, width)? } else { photo.clone() };
    Ok((shown, height, width))
}

/// A photo, `(width, height)` large.
pub(super) fn image(body: &mut String, photo: &Pixels, at: (usize, usize), size: (usize, usize)) -> Result<()> {
    embed(body, "jpeg", &photo.to_jpeg(QUALITY)?, at, size);
    Ok(())
}

/// A PNG file, `(width, height)` large, whose pixels keep their edges where they are enlarged.
pub(super) fn raster(body: &mut String, png: &[u8], at: (usize, usize), size: (usize, usize)) {
    embed(body, "png", png, at, size);
}

fn embed(body: &mut String, kind: &str, bytes: &[u8], (x, y): (usize, usize), (width, height): (usize, usize)) {
    let edges = if kind == "png" { " style=\"image-rendering:pixelated\"" } else { "" };
    let _ = writeln!(
        body,
        "<image x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" preserveAspectRatio=\"none\"{edges} \
         href=\"data:image/{kind};base64,{}\"/>",
        base64(bytes)
    );
}

/// The colours of a map from left to right, with a thin frame.
pub(super) fn colour_bar(
    body: &mut String,
    colours: ColourMap,
    (x, y): (usize, usize),
    (width, height): (usize, usize),
) -> Result<()> {
    let steps: Vec<u8> = (0..=255).collect();
    raster(body, &indexed::png(256, 1, &steps, colours)?, (x, y), (width, height));
    let _ = writeln!(
        body,
        "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" fill=\"none\" stroke=\"{}\" \
         stroke-width=\"0.5\"/>",
        hex(INK)
    );
    Ok(())
}
