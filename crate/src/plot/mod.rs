//! Pictures: curves, grids of photos and what one sees inside a network, in one style.
//!
//! Colours are Okabe and Ito's, which stay apart for people who see colours differently; shapes and frames say the same
//! again. Fonts are the reader's own, so nothing here relies on how wide a letter is: see [`grid`].

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod apart;
mod axes;
mod bars;
mod colour_map;
mod curves;
mod depth;
mod draw;
mod faithful;
mod grid;
mod heat;
mod indexed;
mod lightness;
mod matrix;
mod rates;
mod text;
mod tiles;

pub use bars::photo_with_bars;
pub use colour_map::ColourMap;
pub use curves::{Panel, curves};
pub use depth::{SilentShare, silent_by_depth};
pub use faithful::{Beside, area, deletion_and_insertion};
pub use grid::{Mark, grid, photo};
pub(crate) use heat::MOST_ROWS;
pub use heat::{HeatMap, HeatPanel, HeatScale, OPACITY, Shown, heat_panels};
pub use lightness::colour_maps;
pub use matrix::matrix;
pub use rates::over_learning_rates;
pub use tiles::{Planes, Tiling, activation_tiles, filter_tiles};

use crate::notebook::display::escape;

/// `(red, green, blue)`.
type Colour = (u8, u8, u8);

const BLUE: Colour = (0, 114, 178);
const ORANGE: Colour = (230, 159, 0);
const GREEN: Colour = (0, 158, 115);
const PURPLE: Colour = (204, 121, 167);
const RED: Colour = (200, 30, 30);
const INK: Colour = (34, 34, 34);

fn hex((red, green, blue): Colour) -> String {
    format!("#{red:02x}{green:02x}{blue:02x}")
}

/// A document of `width` by `height` pixels around `body`, with words for screen readers.
fn document(width: usize, height: usize, alt: &str, body: &str) -> String {
    let alt = escape(alt);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{alt}\">\n<desc>{alt}</desc>\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"#ffffff\"/>\n{body}</svg>\n"
    )
}
