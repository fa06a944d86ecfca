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
/// Each part of a title has at most this many lines.
const LINES: usize = 2;
const HEADING: usize = 18;
/// More would make a page nobody looks through, and a notebook too large to open.
const MOST: usize = 200;
const QUALITY: u8 = 85;

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
    let mut y = draw_heading(&mut body, heading, width);
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
    let y = draw_heading(&mut body, title, page);
    image(&mut body, &shown, ((page - width) / 2, y), (width, height))?;
    Ok(Picture::Svg { svg: document(page, y + height + MARGIN, title, &body), alt: title.to_owned() })
}

/// Writes the heading of a page and gives the height at which the rest begins.
pub(super) fn draw_heading(body: &mut String, heading: &str, page: usize) -> usize {
    let limit = page - 2 * MARGIN;
    let mut y = MARGIN;
    for line in text::wrap(heading, limit as f64 / HEADING as f64, 3) {
        y += HEADING + 6;
        words(body, &line, page / 2, y - 8, HEADING, INK, limit);
    }
    y + 4
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
pub(super) fn within(photo: &Pixels, side: usize) -> Result<(Pixels, usize, usize)> {
    let longest = photo.height.max(photo.width);
    if longest == 0 {
        return Err(Error::Plot("a photo has no pixels".to_owned()));
    }
    let scaled = |length: usize| (length * side / longest).max(1);
    let (height, width) = (scaled(photo.height), scaled(photo.width));
    let shown = if longest > side { photo.resized(height, width)? } else { photo.clone() };
    Ok((shown, height, width))
}

pub(super) fn image(
    body: &mut String,
    photo: &Pixels,
    (x, y): (usize, usize),
    (width, height): (usize, usize),
) -> Result<()> {
    let jpeg = base64(&photo.to_jpeg(QUALITY)?);
    let _ = writeln!(
        body,
        "<image x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" preserveAspectRatio=\"none\" \
         href=\"data:image/jpeg;base64,{jpeg}\"/>"
    );
    Ok(())
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
    use super::*;
    use crate::models::imagenet;
    use std::collections::BTreeMap;

    fn grey(height: usize, width: usize) -> Pixels {
        Pixels { height, width, rgb: vec![128; 3 * height * width] }
    }

    /// Where a text may reach: left, right, baseline, in pixels of the page.
    #[derive(Debug)]
    struct Extent {
        left: f64,
        right: f64,
        baseline: f64,
        text: String,
    }

    fn attribute(tag: &str, name: &str) -> Option<f64> {
        let start = tag.find(&format!(" {name}=\""))? + name.len() + 3;
        tag[start..].split('"').next()?.parse().ok()
    }

    fn plain(escaped: &str) -> String {
        let marks = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&amp;", "&")];
        marks.iter().fold(escaped.to_owned(), |text, (mark, letter)| text.replace(mark, letter))
    }

    /// Every text of the document, measured with DejaVu Sans' real advances, and not with the bounds it was laid out by.
    fn extents(svg: &str) -> Vec<Extent> {
        let advances: BTreeMap<char, f64> =
            serde_json::from_str(include_str!("../../tests/golden/dejavu_sans_advances.json")).unwrap();
        let mut offset = (0.0, 0.0);
        let mut extents = Vec::new();
        for line in svg.lines() {
            if line.starts_with("<svg x=") {
                offset = (attribute(line, "x").unwrap(), attribute(line, "y").unwrap());
            } else if line == "</svg>" {
                offset = (0.0, 0.0);
            } else if line.starts_with("<text ") {
                let text = plain(line.split_once('>').unwrap().1.strip_suffix("</text>").unwrap());
                let size = attribute(line, "font-size").unwrap();
                let natural = || text.chars().map(|letter| advances[&letter] * size).sum();
                let width: f64 = attribute(line, "textLength").unwrap_or_else(natural);
                let middle = offset.0 + attribute(line, "x").unwrap();
                let baseline = offset.1 + attribute(line, "y").unwrap();
                extents.push(Extent { left: middle - width / 2.0, right: middle + width / 2.0, baseline, text });
            }
        }
        extents
    }

    /// No two texts on the same height touch, lines stand a font size apart, and nothing leaves the page.
    fn assert_apart(svg: &str) -> usize {
        let extents = extents(svg);
        let (page, height) = (attribute(svg, "width").unwrap(), attribute(svg, "height").unwrap());
        for (index, a) in extents.iter().enumerate() {
            assert!(a.left >= 0.0 && a.right <= page && a.baseline < height, "{} leaves the page: {a:?}", a.text);
            for b in extents.iter().skip(index + 1) {
                let level = (a.baseline - b.baseline).abs() < FONT as f64;
                assert!(
                    !level || a.right < b.left || b.right < a.left,
                    "{} and {} collide: {a:?}, {b:?}",
                    a.text,
                    b.text
                );
            }
        }
        extents.len()
    }

    fn svg(picture: Picture) -> String {
        match picture {
            Picture::Svg { svg, .. } => svg,
            Picture::Png { .. } => panic!("a grid is vectors"),
        }
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
