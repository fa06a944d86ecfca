//! Photos in rows of five, each with its title.
//!
//! Titles never collide: they are wrapped by widths that no common font exceeds ([`text`](super::text)), a title that
//! may still be wider is drawn at a fixed length, and each photo has a frame of its own that nothing can leave.

use super::{BLUE, Colour, INK, RED, document, hex, text};
use crate::images::Pixels;
use crate::notebook::Picture;
use crate::notebook::display::{base64, escape};
use crate::{Error, Result};
use std::fmt::Write;

/// What a title says about its photo.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// Just its name: dark.
    Plain,
    /// The prediction is right: blue.
    Right,
    /// The prediction is wrong: red, and framed, so that colour is not all that tells.
    Wrong,
}

impl Mark {
    fn colour(self) -> Colour {
        match self {
            Self::Plain => INK,
            Self::Right => BLUE,
            Self::Wrong => RED,
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Right => " (correct)",
            Self::Wrong => " (incorrect)",
        }
    }
}

const COLUMNS: usize = 5;
/// Photos are shown in a square of this side, in pixels.
const PHOTO: usize = 160;
const GAP: usize = 12;
const CELL: usize = PHOTO + GAP;
const MARGIN: usize = 14;
const FONT: usize = 13;
const LINE: usize = 16;
/// Titles have at most this many lines.
const LINES: usize = 2;
const HEADING: usize = 18;
/// More would make a page nobody looks through, and a notebook too large to open.
const MOST: usize = 200;
const QUALITY: u8 = 85;

/// Photos in rows of five, each under its title, under one heading. Marks colour the titles; none at all means plain.
///
/// Every photo that is given is shown, up to 200.
///
/// # Errors
/// [`Error::Plot`] for no photos, too many, or another number of titles or marks than of photos.
pub fn grid(photos: &[Pixels], titles: &[String], marks: &[Mark], heading: &str) -> Result<Picture> {
    let fits = |what: &str, got: usize| {
        (got == photos.len())
            .then_some(())
            .ok_or_else(|| Error::Plot(format!("{} photos and {got} {what}: each photo needs one", photos.len())))
    };
    fits("titles", titles.len())?;
    if !marks.is_empty() {
        fits("marks", marks.len())?;
    }
    if photos.is_empty() || photos.len() > MOST {
        return Err(Error::Plot(format!("a grid shows 1 to {MOST} photos, and got {}", photos.len())));
    }
    let tiles: Vec<Tile<'_>> = (photos.iter().zip(titles).enumerate())
        .map(|(index, (photo, title))| Tile {
            photo,
            title,
            mark: marks.get(index).copied().unwrap_or(Mark::Plain),
            lines: text::wrap(title, (CELL - 6) as f64 / FONT as f64, LINES),
        })
        .collect();
    let width = 2 * MARGIN + COLUMNS.min(tiles.len()) * CELL;
    let mut body = String::new();
    let mut y = MARGIN;
    for line in text::wrap(heading, (width - 2 * MARGIN) as f64 / HEADING as f64, 3) {
        y += HEADING + 6;
        words(&mut body, &line, width / 2, y - 8, HEADING, INK, width - 2 * MARGIN);
    }
    for row in tiles.chunks(COLUMNS) {
        let lines = row.iter().map(|tile| tile.lines.len()).max().unwrap_or(1);
        let height = lines * LINE + 6 + PHOTO + GAP;
        for (column, tile) in row.iter().enumerate() {
            tile.draw(&mut body, MARGIN + column * CELL, y, lines, height)?;
        }
        y += height;
    }
    let alt = alt(&tiles, heading);
    Ok(Picture::Svg { svg: document(width, y + MARGIN, &alt, &body), alt })
}

/// One photo under its title, at its own size up to 448 pixels.
///
/// # Errors
/// [`Error::Plot`] where it cannot be written.
pub fn photo(photo: &Pixels, title: &str) -> Result<Picture> {
    const SIDE: usize = 448;
    let (shown, height, width) = within(photo, SIDE)?;
    let page = width.max(280) + 2 * MARGIN;
    let mut body = String::new();
    let mut y = MARGIN;
    for line in text::wrap(title, (page - 2 * MARGIN) as f64 / HEADING as f64, 3) {
        y += HEADING + 6;
        words(&mut body, &line, page / 2, y - 8, HEADING, INK, page - 2 * MARGIN);
    }
    image(&mut body, &shown, ((page - width) / 2, y), (width, height))?;
    Ok(Picture::Svg { svg: document(page, y + height + MARGIN, title, &body), alt: title.to_owned() })
}

struct Tile<'a> {
    photo: &'a Pixels,
    title: &'a str,
    mark: Mark,
    lines: Vec<String>,
}

impl Tile<'_> {
    /// Draws into a frame of its own at (x, y), one cell wide; `lines` is the row's most, so that photos stand level.
    fn draw(&self, body: &mut String, x: usize, y: usize, lines: usize, height: usize) -> Result<()> {
        let top = lines * LINE + 6;
        let name = format!("{}{}", self.title, self.mark.words());
        // Writing to a string cannot fail.
        let _ = writeln!(
            body,
            "<svg x=\"{x}\" y=\"{y}\" width=\"{CELL}\" height=\"{height}\" overflow=\"hidden\"><title>{}</title>",
            escape(&name)
        );
        for (number, line) in self.lines.iter().enumerate() {
            let baseline = (lines - self.lines.len() + number + 1) * LINE - 2;
            words(body, line, CELL / 2, baseline, FONT, self.mark.colour(), CELL - 6);
        }
        let (shown, photo_height, photo_width) = within(self.photo, PHOTO)?;
        let (left, above) = ((CELL - photo_width) / 2, top + (PHOTO - photo_height) / 2);
        image(body, &shown, (left, above), (photo_width, photo_height))?;
        if self.mark == Mark::Wrong {
            let _ = writeln!(
                body,
                "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"4\"/>",
                left - 1,
                above - 1,
                photo_width + 2,
                photo_height + 2,
                hex(RED)
            );
        }
        body.push_str("</svg>\n");
        Ok(())
    }
}

/// A photo at no more than `side`, and the height and width to show it at: small photos are shown larger.
fn within(photo: &Pixels, side: usize) -> Result<(Pixels, usize, usize)> {
    let longest = photo.height.max(photo.width);
    if longest == 0 {
        return Err(Error::Plot("a photo has no pixels".to_owned()));
    }
    let scaled = |length: usize| (length * side / longest).max(1);
    let (height, width) = (scaled(photo.height), scaled(photo.width));
    let shown = if longest > side { photo.resized(height, width)? } else { photo.clone() };
    Ok((shown, height, width))
}

fn image(body: &mut String, photo: &Pixels, (x, y): (usize, usize), (width, height): (usize, usize)) -> Result<()> {
    let jpeg = base64(&photo.to_jpeg(QUALITY)?);
    let _ = writeln!(
        body,
        "<image x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" preserveAspectRatio=\"none\" \
         href=\"data:image/jpeg;base64,{jpeg}\"/>"
    );
    Ok(())
}

/// One centred line of text, `limit` pixels wide at most.
fn words(body: &mut String, line: &str, x: usize, y: usize, size: usize, colour: Colour, limit: usize) {
    let length = if text::is_bounded(line) {
        String::new()
    } else {
        let length = (text::width(line) * size as f64).min(limit as f64);
        // The last resort, for scripts whose width cannot be foreseen.
        format!(" textLength=\"{length:.0}\" lengthAdjust=\"spacingAndGlyphs\"")
    };
    let _ = writeln!(
        body,
        "<text x=\"{x}\" y=\"{y}\" font-family=\"sans-serif\" font-size=\"{size}\" text-anchor=\"middle\" \
         fill=\"{}\"{length}>{}</text>",
        hex(colour),
        escape(line)
    );
}

/// The grid in words: how many photos, and what they are called, in order.
fn alt(tiles: &[Tile<'_>], heading: &str) -> String {
    let mut alt = format!("{heading}: {} photos", tiles.len());
    if tiles.iter().any(|tile| tile.mark != Mark::Plain) {
        let wrong = tiles.iter().filter(|tile| tile.mark == Mark::Wrong).count();
        let _ = write!(alt, ", {} correct and {wrong} incorrect", tiles.len() - wrong);
    }
    alt.push_str(". ");
    let names: Vec<String> = tiles.iter().map(|tile| format!("{}{}", tile.title, tile.mark.words())).collect();
    alt.push_str(&names.join(", "));
    alt
}
