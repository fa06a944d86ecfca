//! A photo beside what it is taken for: a bar for each class.

use super::draw::{self, FONT, MARGIN, image, within};
use super::{BLUE, INK, document, hex, text};
use crate::Result;
use crate::images::Pixels;
use crate::notebook::Picture;
use crate::notebook::display::escape;
use std::fmt::Write;

const PHOTO: usize = 224;
/// A name, its bar below it, and a gap.
const ROW: usize = 44;
const BAR: usize = 200;

/// A photo, and beside it each class with a bar as long as its probability, 0 to 1.
///
/// # Errors
/// Where the photo cannot be written.
pub fn photo_with_bars(photo: &Pixels, classes: &[(String, f64)], heading: &str) -> Result<Picture> {
    let (shown, height, width) = within(photo, PHOTO)?;
    let left = 2 * MARGIN + PHOTO;
    let page = left + BAR + 60 + MARGIN;
    let mut body = String::new();
    let top = draw::heading(&mut body, heading, page);
    image(&mut body, &shown, (MARGIN + (PHOTO - width) / 2, top + (PHOTO - height) / 2), (width, height))?;
    for (number, (class, probability)) in classes.iter().enumerate() {
        row(&mut body, class, *probability, (left, top + number * ROW));
    }
    let words: Vec<String> = classes.iter().map(|(class, share)| format!("{class} {:.1} %", 100.0 * share)).collect();
    let alt = format!("{heading}. {}", words.join(", "));
    let bottom = top + PHOTO.max(classes.len() * ROW) + MARGIN;
    Ok(Picture::Svg { svg: document(page, bottom, &alt, &body), alt })
}

fn row(body: &mut String, class: &str, probability: f64, (x, y): (usize, usize)) {
    let name = text::wrap(class, (BAR + 50) as f64 / FONT as f64, 1).pop().unwrap_or_default();
    let line = |body: &mut String, words: &str, x: usize, y: usize| {
        // Writing to a string cannot fail.
        let _ = writeln!(
            body,
            "<text x=\"{x}\" y=\"{y}\" font-family=\"sans-serif\" font-size=\"{FONT}\" fill=\"{}\"{}>{}</text>",
            hex(INK),
            text::fixed_length(words, FONT, BAR + 50),
            escape(words)
        );
    };
    line(body, &name, x, y + FONT);
    // What is no number has no bar.
    let length = BAR as f64 * if probability.is_finite() { probability.clamp(0.0, 1.0) } else { 0.0 };
    for (length, fill) in [(BAR as f64, "#eeeeee"), (length, &*hex(BLUE))] {
        let _ = writeln!(
            body,
            "<rect x=\"{x}\" y=\"{}\" width=\"{length:.1}\" height=\"14\" fill=\"{fill}\"/>",
            y + FONT + 6
        );
    }
    line(body, &format!("{:.1} %", 100.0 * probability), x + BAR + 6, y + FONT + 18);
}
