//! PNG files of a byte a pixel whose palette is a colour map: a third of what they would be in red, green and blue.

use super::ColourMap;
use crate::{Error, Result};
use flate2::Compression;
use flate2::write::ZlibEncoder;
use std::io::Write;

/// The bytes of a PNG file (W3C PNG, third edition) of `steps`, row by row from the top.
///
/// # Errors
/// [`Error::Plot`] unless there are `height * width` steps, and at least one.
pub(super) fn png(width: usize, height: usize, steps: &[u8], colours: ColourMap) -> Result<Vec<u8>> {
    let why = |error: &dyn std::fmt::Display| Error::Plot(error.to_string());
    if steps.is_empty() || width.checked_mul(height) != Some(steps.len()) {
        return Err(Error::Plot(format!("a raster of {width} x {height} got {} pixels", steps.len())));
    }
    let side = |pixels: usize| i32::try_from(pixels).map(i32::to_be_bytes).map_err(|error| why(&error));
    let mut header = [side(width)?, side(height)?].concat();
    // Eight bits a pixel, colours from a palette; the one compression and filtering there are; not interlaced.
    header.extend([8, 3, 0, 0, 0]);
    let palette: Vec<u8> = (0..=255).flat_map(|step| colours.step(step)).collect();
    let mut rows = ZlibEncoder::new(Vec::new(), Compression::default());
    for row in steps.chunks(width) {
        // Each row begins with its filter; palettes compress best without.
        rows.write_all(&[0]).and_then(|()| rows.write_all(row)).map_err(|error| why(&error))?;
    }
    let rows = rows.finish().map_err(|error| why(&error))?;
    let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
    for (name, content) in [(b"IHDR", &header), (b"PLTE", &palette), (b"IDAT", &rows), (b"IEND", &Vec::new())] {
        let length = u32::try_from(content.len()).map_err(|error| why(&error))?;
        let mut sum = flate2::Crc::new();
        sum.update(name);
        sum.update(content);
        file.extend(length.to_be_bytes());
        file.extend(name);
        file.extend(content);
        file.extend(sum.sum().to_be_bytes());
    }
    Ok(file)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::images::Pixels;

    /// Another decoder reads the very colours.
    #[test]
    fn every_step_keeps_its_colour() {
        let steps: Vec<u8> = (0..=255).chain((0..=255).rev()).collect();
        for colours in [ColourMap::Viridis, ColourMap::Jet] {
            let file = png(64, 8, &steps, colours).unwrap();
            let want: Vec<u8> = steps.iter().flat_map(|step| colours.step(*step)).collect();
            assert!(Pixels::decode("raster", &file).unwrap() == Pixels::new(8, 64, want).unwrap());
        }
    }

    #[test]
    fn sizes_that_do_not_fit_are_errors() {
        for (width, height) in [(3, 3), (0, 8), (0, 0), (usize::MAX, 2)] {
            assert!(png(width, height, &[0; 8], ColourMap::Grey).is_err(), "{width} x {height}");
        }
        assert!(png(0, 0, &[], ColourMap::Grey).is_err());
    }
}
