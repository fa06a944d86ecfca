//! A table of counts as coloured fields with numbers: a confusion matrix.

use super::draw::{self, FONT, MARGIN, aligned, turned, words};
use super::{BLUE, Colour, INK, RED, document, hex, text};
use crate::notebook::Picture;
use crate::{Error, Result};
use std::fmt::Write;

/// Room for the words "true" and "predicted" beside the names.
const AXIS: usize = 22;
/// Names are cut beyond this, in font sizes.
const NAME: f64 = 14.0;
/// More classes make a picture that nobody looks through.
const MOST: usize = 60;

/// Counts by true class (rows) and predicted class (columns), with the classes' names.
///
/// A field is the deeper, the larger its share of the row: blue on the diagonal, red beside it.
///
/// # Errors
/// [`Error::Plot`] for no classes, more than 60, or another number of rows or columns than of classes.
pub fn matrix(counts: &[Vec<usize>], classes: &[String], heading: &str) -> Result<Picture> {
    if classes.is_empty() || classes.len() > MOST {
        return Err(Error::Plot(format!("a matrix shows 1 to {MOST} classes, and got {}", classes.len())));
    }
    if counts.len() != classes.len() || counts.iter().any(|row| row.len() != classes.len()) {
        return Err(Error::Plot(format!("the matrix of {} classes wants as many rows and columns", classes.len())));
    }
    let names: Vec<String> = classes.iter().flat_map(|class| text::wrap(class, NAME, 1)).collect();
    let layout = Layout::new(counts, &names);
    let side = layout.side * names.len();
    let width = (layout.left + side + MARGIN).max(360);
    let mut body = String::new();
    let top = draw::heading(&mut body, heading, width) + AXIS + layout.above;
    let centre = |index: usize| index * layout.side + layout.side / 2;
    words(&mut body, "predicted", layout.left + side / 2, top - layout.above - 6, FONT, INK, side.max(80));
    turned(&mut body, "true", (MARGIN + 6, top + side / 2), "middle", side.max(40));
    for (index, name) in names.iter().enumerate() {
        layout.column_name(&mut body, name, (layout.left + centre(index), top));
        aligned(&mut body, name, (layout.left - 6, top + centre(index) + 5), "end", layout.left - AXIS);
    }
    for (row, values) in counts.iter().enumerate() {
        let sum: usize = values.iter().sum();
        for (column, &count) in values.iter().enumerate() {
            let share = if sum == 0 { 0.0 } else { count as f64 / sum as f64 };
            let at = (layout.left + column * layout.side, top + row * layout.side);
            field(&mut body, at, layout.side, count, shade(share, row == column));
        }
    }
    let alt = alt(counts, classes, heading);
    Ok(Picture::Svg { svg: document(width, top + side + MARGIN, &alt, &body), alt })
}

/// Where things are.
struct Layout {
    /// Side of a field.
    side: usize,
    /// Where the fields begin.
    left: usize,
    /// Room for the columns' names.
    above: usize,
    /// Whether those stand upright.
    turned: bool,
}

impl Layout {
    fn new(counts: &[Vec<usize>], names: &[String]) -> Self {
        let digits = counts.iter().flatten().map(|count| count.to_string().len()).max().unwrap_or(1);
        let usual = match names.len() {
            0..=6 => 64,
            7..=16 => 44,
            _ => 28,
        };
        let side = usual.max((digits as f64 * 0.65 * FONT as f64) as usize + 8);
        let longest = names.iter().map(|name| text::width(name) * FONT as f64).fold(0.0, f64::max).ceil() as usize;
        let turned = longest + 6 > side;
        Self { side, left: MARGIN + AXIS + longest + 6, above: if turned { longest + 8 } else { FONT + 8 }, turned }
    }

    fn column_name(&self, body: &mut String, name: &str, (x, y): (usize, usize)) {
        match self.turned {
            true => turned(body, name, (x + 5, y - 6), "start", self.above),
            false => words(body, name, x, y - 6, FONT, INK, self.side),
        }
    }
}

/// One count on its field.
fn field(body: &mut String, (x, y): (usize, usize), side: usize, count: usize, (fill, ink): (Colour, Colour)) {
    let (middle, baseline) = (x + side / 2, y + side / 2 + 5);
    // Writing to a string cannot fail.
    let _ = writeln!(
        body,
        "<rect x=\"{x}\" y=\"{y}\" width=\"{side}\" height=\"{side}\" fill=\"{}\" stroke=\"#ffffff\"/>\n\
         <text class=\"count\" x=\"{middle}\" y=\"{baseline}\" font-family=\"sans-serif\" font-size=\"{FONT}\" \
         text-anchor=\"middle\" fill=\"{}\">{count}</text>",
        hex(fill),
        hex(ink)
    );
}

/// The colours of a field and of its number.
fn shade(share: f64, right: bool) -> (Colour, Colour) {
    const PALE: Colour = (246, 246, 246);
    const FAINT: Colour = (120, 120, 120);
    if share <= 0.0 {
        return (PALE, FAINT);
    }
    let (red, green, blue) = if right { BLUE } else { RED };
    // One of a hundred is still to be seen.
    let depth = 0.06 + 0.94 * share;
    let mix = |tone: u8, pale: u8| (f64::from(pale) + depth * (f64::from(tone) - f64::from(pale))).round() as u8;
    let fill = (mix(red, PALE.0), mix(green, PALE.1), mix(blue, PALE.2));
    (fill, if depth > 0.7 { (255, 255, 255) } else { INK })
}

/// The matrix in words: for each true class what its photos were taken for.
fn alt(counts: &[Vec<usize>], classes: &[String], heading: &str) -> String {
    let row = |(class, row): (&String, &Vec<usize>)| {
        let taken = row.iter().zip(classes).filter(|(count, _)| **count > 0);
        let taken: Vec<String> = taken.map(|(count, class)| format!("{count} {class}")).collect();
        let taken = if taken.is_empty() { "no photos".to_owned() } else { taken.join(", ") };
        format!("{class}: {taken}")
    };
    format!("{heading}. {}", classes.iter().zip(counts).map(row).collect::<Vec<_>>().join("; "))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn fields_deepen_with_their_share_and_zeros_are_pale() {
        let depth = |share| i32::from(shade(share, true).0.0);
        assert!(depth(0.0) > depth(0.01) && depth(0.01) > depth(0.5) && depth(0.5) > depth(1.0));
        assert_eq!((shade(1.0, true).0, shade(1.0, false).0), (BLUE, RED));
    }

    #[test]
    fn numbers_and_names_have_room() {
        for (classes, count) in [(2, 9), (5, 123_456), (60, 1_000_000)] {
            let names: Vec<String> = (0..classes).map(|class| format!("{} <{class}>", "W".repeat(class))).collect();
            let counts = vec![vec![count; classes]; classes];
            let layout = Layout::new(&counts, &names);
            assert!(layout.side as f64 > text::width(&count.to_string()) * FONT as f64);
            let Picture::Svg { svg, .. } = matrix(&counts, &names, "Counts").unwrap() else { panic!("vectors") };
            assert!(!svg.contains("<0>") && svg.contains("&lt;0&gt;"), "names are text");
            assert_eq!(svg.matches(&format!(">{count}</text>")).count(), classes * classes);
        }
    }

    #[test]
    fn what_does_not_fit_together_is_refused() {
        let names = ["a".to_owned(), "b".to_owned()];
        assert!(matrix(&[vec![1, 2]], &names, "").is_err());
        assert!(matrix(&[vec![1, 2], vec![3]], &names, "").is_err());
        assert!(matrix(&[], &[], "").is_err());
        assert!(matrix(&vec![vec![0; 61]; 61], &vec![String::new(); 61], "").is_err());
    }
}
