//! Where a network looks: heat maps over photos, side by side, with one legend for all.

mod map;
mod panel;

pub use map::{HeatMap, HeatScale};

use super::draw::{self, FONT, MARGIN, aligned, colour_bar, words};
use super::grid::Mark;
use super::{INK, document, text};
use crate::images::Pixels;
use crate::notebook::Picture;
use crate::{Error, Result};
use panel::Drawn;
use std::fmt::Write;

/// How much of a heat map's colour lies over a photo.
pub const OPACITY: f32 = 0.4;

/// What a panel shows of its photo.
#[derive(Clone, Copy, Debug)]
pub enum Shown<'a> {
    /// The photo itself.
    Photo,
    /// A heat map over the photo, enlarged to it.
    Over(HeatMap<'a>),
    /// A heat map alone, place by place as it was computed.
    Alone(HeatMap<'a>),
}

/// One photo with what is to be said of it.
#[derive(Clone, Copy, Debug)]
pub struct HeatPanel<'a> {
    /// The photo.
    pub photo: &'a Pixels,
    /// Itself, or a heat map of it.
    pub shown: Shown<'a>,
    /// What stands above: the class and its logit or probability. Two lines; with a line break in it, two before the break
    /// and two behind it.
    pub title: &'a str,
    /// The title's colour.
    pub mark: Mark,
    /// What stands below, three lines at most: how faithful the map is. May be empty.
    pub note: &'a str,
}

impl<'a> HeatPanel<'a> {
    /// A photo as it is, under its title.
    pub fn photo(photo: &'a Pixels, title: &'a str) -> Self {
        Self { photo, shown: Shown::Photo, title, mark: Mark::Plain, note: "" }
    }

    /// A heat map over its photo, under its title.
    pub fn over(photo: &'a Pixels, map: HeatMap<'a>, title: &'a str) -> Self {
        Self { shown: Shown::Over(map), ..Self::photo(photo, title) }
    }
}

/// The panels of a row and their gaps, in pixels: a notebook's column.
const ROW: usize = 932;
const GAP: usize = 12;
const LARGEST: usize = 224;
/// Panels in a row; more would be too small to see anything.
const MOST: usize = 6;
/// Rows of panels; more would make a page that nobody looks through.
pub(crate) const MOST_ROWS: usize = 40;
const NARROWEST: usize = 480;
const LINE: usize = 16;
const NOTE: usize = 12;

/// Rows of photos and of heat maps over them, under one heading, with one legend for the colours below.
///
/// Several classes of one photo make a row; several photos make several. Heat maps lie over their photos at
/// [`OPACITY`].
///
/// # Errors
/// [`Error::Plot`] for no panels, more than 6 in a row or 40 rows, a scale that does not rise, or a map with a NaN or an
/// infinity; [`Error::Shape`] where a map or a photo has not the values it must have.
pub fn heat_panels(rows: &[Vec<HeatPanel<'_>>], scale: &HeatScale<'_>, heading: &str) -> Result<Picture> {
    scale.check()?;
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    if !(1..=MOST).contains(&columns) || rows.len() > MOST_ROWS {
        let got = format!("{} rows of up to {columns}", rows.len());
        return Err(Error::Plot(format!("1 to {MOST_ROWS} rows of 1 to {MOST} heat maps can be shown, and got {got}")));
    }
    let cell = (ROW / columns).min(LARGEST + GAP);
    let page = (columns * cell + 2 * MARGIN).max(NARROWEST);
    let left = (page - columns * cell) / 2;
    let mut body = String::new();
    let mut y = draw::heading(&mut body, heading, page);
    for row in rows {
        let drawn: Vec<Drawn<'_>> = row.iter().map(|panel| Drawn::new(panel, cell)).collect();
        let lines = drawn.iter().map(|panel| panel.title.len()).max().unwrap_or(1);
        let notes = drawn.iter().map(|panel| panel.note.len()).max().unwrap_or(0);
        let tallest = drawn.iter().map(Drawn::photo_height).max().unwrap_or(0);
        let height = lines * LINE + 6 + tallest + notes * LINE + GAP;
        for (column, panel) in drawn.iter().enumerate() {
            panel.draw(&mut body, scale, (left + column * cell, y), (lines, tallest, height))?;
        }
        y += height;
    }
    let over = rows.iter().flatten().any(|panel| matches!(panel.shown, Shown::Over(_)));
    if any_map(rows) {
        y = legend(&mut body, scale, over, page, y)?;
    }
    let alt = alt(rows, scale, heading);
    Ok(Picture::Svg { svg: document(page, y + MARGIN, &alt, &body), alt })
}

fn any_map(rows: &[Vec<HeatPanel<'_>>]) -> bool {
    rows.iter().flatten().any(|panel| !matches!(panel.shown, Shown::Photo))
}

/// The colours with their numbers, and what these mean. Gives the height at which it ends.
fn legend(body: &mut String, scale: &HeatScale<'_>, over: bool, page: usize, top: usize) -> Result<usize> {
    const BAR: (usize, usize) = (200, 14);
    let left = MARGIN + 20;
    colour_bar(body, scale.colours, (left, top + 4), BAR)?;
    let middle = scale.low + (scale.high - scale.low) / 2.0;
    for (place, value) in [scale.low, middle, scale.high].into_iter().enumerate() {
        words(body, &short(value), left + place * BAR.0 / 2, top + 4 + BAR.1 + LINE - 2, NOTE, INK, BAR.0 / 2);
    }
    let x = left + BAR.0 + 28;
    let drawn = if over {
        format!("{} ({:.0} % over the photo)", scale.meaning, 100.0 * OPACITY)
    } else {
        scale.meaning.to_owned()
    };
    let lines = text::wrap(&drawn, (page - MARGIN - x) as f64 / FONT as f64, 4);
    for (number, line) in lines.iter().enumerate() {
        aligned(body, line, (x, top + FONT + 2 + number * LINE), "start", page - MARGIN - x);
    }
    Ok(top + (4 + BAR.1 + LINE).max(lines.len() * LINE + 4))
}

/// A number with at most two decimals.
fn short(value: f32) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// The panels in words, row by row.
fn alt(rows: &[Vec<HeatPanel<'_>>], scale: &HeatScale<'_>, heading: &str) -> String {
    let mut alt = heading.to_owned();
    if any_map(rows) {
        let ((first, last), low, high) = (scale.colours.ends(), short(scale.low), short(scale.high));
        let _ = write!(alt, ". Heat maps from {first} ({low}) to {last} ({high}): {}", scale.meaning);
    }
    for panel in rows.iter().flatten() {
        let shown = match &panel.shown {
            Shown::Photo => "the photo".to_owned(),
            Shown::Over(map) | Shown::Alone(map) => map.in_words(scale),
        };
        let title = panel.title.split_whitespace().collect::<Vec<_>>().join(" ");
        let _ = write!(alt, ". {title}{}: {shown}", panel.mark.words());
        if !panel.note.is_empty() {
            let _ = write!(alt, "; {}", panel.note);
        }
    }
    alt
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::apart::{assert_apart, attribute, svg};
    use super::*;

    fn grey(height: usize, width: usize) -> Pixels {
        Pixels { height, width, rgb: vec![128; 3 * height * width] }
    }

    const MAP: HeatMap<'_> = HeatMap { values: &[0.0, 0.2, 0.4, 1.0], height: 2, width: 2 };
    const SCALE: HeatScale<'_> = HeatScale {
        colours: super::super::ColourMap::Viridis,
        low: 0.0,
        high: 1.0,
        meaning: "how much a place speaks for the class, over the most",
    };

    #[test]
    fn a_row_has_every_panel_and_one_legend() {
        let photo = grey(30, 40);
        let mut panels = vec![HeatPanel::photo(&photo, "cat_3.jpg")];
        panels.push(HeatPanel { mark: Mark::Wrong, note: "deletion 0.21", ..HeatPanel::over(&photo, MAP, "dog 0.71") });
        panels.push(HeatPanel { mark: Mark::Right, ..HeatPanel::over(&photo, MAP, "cat 0.29") });
        panels.push(HeatPanel { shown: Shown::Alone(MAP), ..HeatPanel::photo(&photo, "2 x 2") });
        let picture = heat_panels(&[panels.clone(), panels], &SCALE, "Why").unwrap();
        let words = "dog 0.71 (incorrect): strongest, 1.00, at 75 % from the left and 75 % from the top; above 0.5 on 25 % of the \
                     photo; deletion 0.21. cat 0.29 (correct)";
        assert!(
            picture.alt().starts_with("Why. Heat maps from dark violet (0) to yellow (1): how much"),
            "{}",
            picture.alt()
        );
        assert!(picture.alt().contains(words), "{}", picture.alt());
        let svg = svg(picture);
        assert_eq!(svg.matches("data:image/jpeg").count(), 6);
        assert_eq!(svg.matches("data:image/png").count(), 3, "two maps as they are, and one colour bar");
        assert_eq!(svg.matches("stroke-width=\"4\"").count(), 2, "what is wrong is framed");
        for number in ["0", "0.5", "1"] {
            assert_eq!(svg.matches(&format!(">{number}</text>")).count(), 1, "{number} once, in the legend");
        }
        assert!(svg.contains(">deletion 0.21</text>") && svg.contains("(40 % over the photo)"));
    }

    /// A photo four times as wide as tall has its title right above it and its note right below; beside a tall one both
    /// stand in the middle of the row.
    #[test]
    fn titles_and_notes_of_wide_photos_stand_near_them() {
        let (wide, tall) = (grey(20, 80), grey(80, 20));
        // Height of the photo's frame, of its title and of its note, in the panel of the wide photo.
        let heights = |photos: &[&Pixels]| {
            let panel = |photo| HeatPanel { note: "below", ..HeatPanel::photo(photo, "above") };
            let svg = svg(heat_panels(&[photos.iter().map(|photo| panel(photo)).collect()], &SCALE, "").unwrap());
            let of =
                |tag: &str| svg.lines().find(|line| line.contains(tag)).and_then(|line| attribute(line, "y")).unwrap();
            let whole =
                svg.lines().filter(|line| line.starts_with("<svg x=")).find_map(|line| attribute(line, "height"));
            (of(">above</text>"), of("<image"), of(">below</text>"), whole.unwrap())
        };
        let (title, photo, note, whole) = heights(&[&wide, &wide]);
        // Both photos are 224 wide, so 56 tall.
        assert!((0.0..12.0).contains(&(photo - title)) && note - (photo + 56.0) < 16.0, "{title}, {photo}, {note}");
        assert!(whole < 56.0 + 60.0, "{whole}");
        let (_, photo, note, whole) = heights(&[&wide, &tall]);
        assert!(photo - title > 80.0 && note > photo + 56.0 + 80.0 && whole > 224.0, "{photo}, {note}, {whole}");
    }

    #[test]
    fn photos_alone_need_no_legend() {
        let photo = grey(4, 4);
        let svg = svg(heat_panels(&[vec![HeatPanel::photo(&photo, "a")]], &SCALE, "").unwrap());
        assert!(!svg.contains("data:image/png") && !svg.contains("speaks for"));
    }

    #[test]
    fn texts_of_any_kind_stay_apart_and_are_text() {
        let photo = grey(5, 3);
        let texts = ["W".repeat(300), "</text><script>\u{0}".to_owned(), "日本語\n".repeat(30), String::new()];
        for columns in 1..=6 {
            let panels: Vec<HeatPanel<'_>> = (texts.iter().cycle().take(columns))
                .map(|text| HeatPanel { note: text, ..HeatPanel::over(&photo, MAP, text) })
                .collect();
            let scale = HeatScale { meaning: &texts[0], ..SCALE };
            let svg = svg(heat_panels(&[panels.clone(), panels], &scale, &texts[0]).unwrap());
            assert!(assert_apart(&svg) > 4 * columns);
            assert!(!svg.contains("<script") && !svg.contains('\u{0}') && !svg.contains("NaN"));
            assert!(attribute(&svg, "width").unwrap() <= 960.0);
        }
    }

    #[test]
    fn what_cannot_be_drawn_is_an_error() {
        let photo = grey(2, 2);
        let panel = HeatPanel::over(&photo, MAP, "");
        let refused = |rows: &[Vec<HeatPanel<'_>>]| heat_panels(rows, &SCALE, "").is_err();
        assert!(refused(&[]) && refused(&[vec![]]) && refused(&[vec![panel; 7]]) && refused(&vec![vec![panel]; 41]));
        let broken = HeatMap { values: &[f32::NAN; 4], ..MAP };
        let short = HeatMap { values: &[0.0; 3], ..MAP };
        for map in [broken, short] {
            assert!(refused(&[vec![HeatPanel::over(&photo, map, "")]]));
            assert!(refused(&[vec![HeatPanel { shown: Shown::Alone(map), ..panel }]]));
        }
        for (height, width) in [(0, 0), (usize::MAX, 1), (3, 2)] {
            let lying = Pixels { height, width, rgb: vec![0; 3] };
            assert!(refused(&[vec![HeatPanel::photo(&lying, "")]]), "{height} x {width}");
            assert!(refused(&[vec![HeatPanel::over(&lying, MAP, "")]]), "{height} x {width}");
        }
        assert!(heat_panels(&[vec![panel]], &HeatScale { high: 0.0, ..SCALE }, "").is_err());
    }
}
