//! Photos in rows of five, each with its title.
//!
//! Titles never collide: they are wrapped by widths that no common font exceeds ([`text`](super::text)), a title that
//! may still be wider is drawn at a fixed length, and each photo has a frame of its own that nothing can leave.

use super::draw::{self, FONT, MARGIN, image, within, words};
use super::{BLUE, Colour, INK, RED, document, hex, text};
use crate::images::Pixels;
use crate::notebook::Picture;
use crate::notebook::display::escape;
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
    pub(super) fn colour(self) -> Colour {
        match self {
            Self::Plain => INK,
            Self::Right => BLUE,
            Self::Wrong => RED,
        }
    }

    pub(super) fn words(self) -> &'static str {
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
const LINE: usize = 16;
/// Each part of a title has at most this many lines.
const LINES: usize = 2;
/// More would make a page nobody looks through, and a notebook too large to open.
const MOST: usize = 200;

/// Photos in rows of five, each under its title, under one heading. Marks colour the titles; none at all means plain.
///
/// A title has two lines at most and is cut where that is not enough; with a line break in it, two lines before the break
/// and two behind it.
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
            lines: lines_of(title),
        })
        .collect();
    let width = 2 * MARGIN + COLUMNS.min(tiles.len()) * CELL;
    let mut body = String::new();
    let mut y = draw::heading(&mut body, heading, width);
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

/// A title's lines; what stands behind its first line break has lines of its own.
fn lines_of(title: &str) -> Vec<String> {
    title.splitn(2, '\n').flat_map(|part| text::wrap(part, (CELL - 6) as f64 / FONT as f64, LINES)).collect()
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
    let y = draw::heading(&mut body, title, page);
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
            frame(body, (left, above), (photo_width, photo_height));
        }
        body.push_str("</svg>\n");
        Ok(())
    }
}

/// The frame around what is wrong.
pub(super) fn frame(body: &mut String, (x, y): (usize, usize), (width, height): (usize, usize)) {
    // Writing to a string cannot fail.
    let _ = writeln!(
        body,
        "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"4\"/>",
        x - 1,
        y - 1,
        width + 2,
        height + 2,
        hex(RED)
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
    let title = |tile: &Tile<'_>| tile.title.split_whitespace().collect::<Vec<_>>().join(" ");
    let names: Vec<String> = tiles.iter().map(|tile| format!("{}{}", title(tile), tile.mark.words())).collect();
    alt.push_str(&names.join(", "));
    alt
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::apart::{assert_apart, attribute, svg};
    use super::*;
    use crate::models::imagenet;

    fn grey(height: usize, width: usize) -> Pixels {
        Pixels { height, width, rgb: vec![128; 3 * height * width] }
    }

    #[test]
    fn titles_never_collide_not_even_imagenets_longest() {
        let mut labels: Vec<String> = (0..1000).filter_map(imagenet::label).map(str::to_owned).collect();
        assert_eq!(labels.len(), 1000);
        labels.sort_by_key(|label| std::cmp::Reverse(label.len()));
        let photos = vec![grey(2, 2); 30];
        for titles in labels.chunks_exact(30) {
            let svg = svg(grid(&photos, titles, &[], "ImageNet predictions").unwrap());
            assert!(assert_apart(&svg) > 30, "every title and the heading");
            // No ImageNet label needs cutting.
            assert!(!svg.contains('…'), "{titles:?}");
        }
    }

    #[test]
    fn titles_of_any_kind_stay_apart() {
        let titles =
            ["W".repeat(400), "m".repeat(19), "日本語".repeat(20), "😀".repeat(40), "i".repeat(200), String::new()];
        let titles: Vec<String> = titles.iter().cycle().take(30).cloned().collect();
        let svg = svg(grid(&vec![grey(3, 2); 30], &titles, &[], &"A long heading ".repeat(30)).unwrap());
        assert!(assert_apart(&svg) > 30);
    }

    #[test]
    fn a_title_is_text_and_never_markup() {
        let titles = ["</text><script>alert('1')</script>\u{0}".to_owned()];
        let svg = svg(grid(&[grey(2, 2)], &titles, &[], "<&\">").unwrap());
        assert!(!svg.contains("<script") && !svg.contains('\u{0}') && svg.contains("&lt;script&gt;"), "{svg}");
    }

    #[test]
    fn right_is_blue_and_wrong_is_red_and_framed() {
        let titles = ["cat", "dog", "bird"].map(str::to_owned);
        let marks = [Mark::Right, Mark::Wrong, Mark::Plain];
        let picture = grid(&vec![grey(2, 2); 3], &titles, &marks, "Model predictions").unwrap();
        let alt = "Model predictions: 3 photos, 2 correct and 1 incorrect. cat (correct), dog (incorrect), bird";
        assert_eq!(picture.alt(), alt);
        let svg = svg(picture);
        let colour =
            |title: &str| svg.lines().find(|line| line.ends_with(&format!(">{title}</text>"))).unwrap().to_owned();
        assert!(
            colour("cat").contains(&hex(BLUE))
                && colour("dog").contains(&hex(RED))
                && colour("bird").contains(&hex(INK))
        );
        assert_eq!(svg.matches("stroke=").count(), 1, "one frame");
        assert!(svg.contains("<title>dog (incorrect)</title>") && svg.contains(&format!("aria-label=\"{alt}\"")));
    }

    #[test]
    fn every_photo_is_shown() {
        for count in [1, 4, 5, 30, 32] {
            let titles: Vec<String> = (0..count).map(|number| number.to_string()).collect();
            let svg = svg(grid(&vec![grey(2, 2); count], &titles, &[], "").unwrap());
            assert_eq!(svg.matches("<image ").count(), count);
            assert_eq!(attribute(&svg, "width").unwrap() as usize, 2 * MARGIN + CELL * count.min(5));
        }
    }

    #[test]
    fn what_does_not_fit_together_is_refused() {
        let (photos, titles) = (vec![grey(2, 2); 2], vec!["a".to_owned(), "b".to_owned()]);
        assert!(grid(&photos, &titles[..1], &[], "").is_err(), "a title is missing");
        assert!(grid(&photos, &titles, &[Mark::Right], "").is_err(), "a mark is missing");
        assert!(grid(&[], &[], &[], "").is_err(), "no photos");
        assert!(grid(&vec![grey(1, 1); 201], &vec![String::new(); 201], &[], "").is_err(), "too many");
        assert!(grid(&[grey(0, 0)], &titles[..1], &[], "").is_err(), "no pixels");
    }
}
