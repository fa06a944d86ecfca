//! Encoded bytes to pixels, for bytes that nobody vouches for.

use crate::{Error, Result};
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits};
use std::io::Cursor;

/// The longest side of a photo that is decoded.
const LONGEST_SIDE: u32 = 20_000;
/// The most memory that decoding one photo may take.
const MOST_MEMORY: u64 = 512 << 20;
/// The largest file that is read as a photo.
pub(crate) const MOST_BYTES: u64 = 64 << 20;

/// Whether `bytes` look like a photo that [`decode`] can read, from the header and the end alone: its format.
///
/// A photo that passes may still be broken in the middle; one that ends early does not pass.
pub(crate) fn check(name: &str, bytes: &[u8]) -> Result<ImageFormat> {
    let format = format_of(name, bytes)?;
    let decoder = ImageReader::with_format(Cursor::new(bytes), format).into_decoder().map_err(broken(name))?;
    within_limits(name, decoder.dimensions(), decoder.total_bytes())?;
    if format == ImageFormat::Jpeg && !jpeg_is_whole(bytes) {
        return Err(photo(name, "the file ends before the photo does"));
    }
    Ok(format)
}

/// Decodes a JPEG, PNG, WebP, GIF (its first frame) or BMP, told apart by content.
pub(super) fn decode(name: &str, bytes: &[u8]) -> Result<DynamicImage> {
    let mut reader = ImageReader::with_format(Cursor::new(bytes), check(name, bytes)?);
    let mut limits = Limits::default();
    limits.max_image_width = Some(LONGEST_SIDE);
    limits.max_image_height = Some(LONGEST_SIDE);
    limits.max_alloc = Some(MOST_MEMORY);
    reader.limits(limits);
    reader.decode().map_err(broken(name))
}

fn format_of(name: &str, bytes: &[u8]) -> Result<ImageFormat> {
    if bytes.is_empty() {
        return Err(photo(name, "the file is empty"));
    }
    if bytes.len() as u64 > MOST_BYTES {
        return Err(photo(name, format!("it is larger than {} MiB", MOST_BYTES >> 20)));
    }
    match image::guess_format(bytes) {
        Ok(
            format @ (ImageFormat::Jpeg | ImageFormat::Png | ImageFormat::WebP | ImageFormat::Gif | ImageFormat::Bmp),
        ) => Ok(format),
        Ok(other) => Err(photo(name, format!("{other:?} is not read here; JPEG, PNG, WebP, GIF and BMP are"))),
        Err(_) => Err(photo(name, "its content is no JPEG, PNG, WebP, GIF or BMP")),
    }
}

fn within_limits(name: &str, (width, height): (u32, u32), bytes: u64) -> Result<()> {
    if width == 0 || height == 0 {
        return Err(photo(name, format!("it is {width}x{height} pixels")));
    }
    if width > LONGEST_SIDE || height > LONGEST_SIDE || bytes > MOST_MEMORY {
        let most = format!("{LONGEST_SIDE} a side and {} MiB decoded are the most", MOST_MEMORY >> 20);
        return Err(photo(name, format!("it is {width}x{height} pixels, too large: {most}")));
    }
    Ok(())
}

/// Whether a JPEG's end mark follows its scans. The decoder fills what is missing with grey and says nothing.
///
/// Segments are stepped over by their lengths, so that the end mark of a thumbnail inside one does not count.
fn jpeg_is_whole(bytes: &[u8]) -> bool {
    let mut at = 2;
    while let Some(&[mark, kind]) = bytes.get(at..at + 2).and_then(|pair| <&[u8; 2]>::try_from(pair).ok()) {
        at += match (mark, kind) {
            (0xFF, 0xD9) => return true,
            // A fill byte; one byte of a scan.
            (0xFF, 0xFF) | (0..0xFF, _) => 1,
            // A 0xFF inside a scan is followed by 0; restarts stand alone.
            (0xFF, 0x00 | 0x01 | 0xD0..=0xD8) => 2,
            (0xFF, _) => match bytes.get(at + 2..at + 4) {
                Some(&[high, low]) => 2 + usize::from(u16::from_be_bytes([high, low])),
                _ => return false,
            },
        };
    }
    false
}

fn photo(name: &str, why: impl Into<String>) -> Error {
    Error::Photo { photo: name.to_owned(), why: why.into() }
}

fn broken(name: &str) -> impl FnOnce(image::ImageError) -> Error {
    move |error| photo(name, error.to_string())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use image::{ImageBuffer, Luma, LumaA, Rgba};

    fn encoded(image: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        image.into().write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    }

    fn grey() -> DynamicImage {
        ImageBuffer::from_fn(40, 30, |x, y| Luma([(5 * x + y) as u8])).into()
    }

    #[test]
    fn formats_are_told_by_content() {
        for format in [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::WebP, ImageFormat::Gif, ImageFormat::Bmp] {
            let image = if format == ImageFormat::Jpeg { grey() } else { grey().to_rgba8().into() };
            let decoded = decode("a.txt", &encoded(image, format)).unwrap().to_rgb8();
            assert_eq!(decoded.dimensions(), (40, 30), "{format:?}");
            let [red, green, blue] = decoded.get_pixel(10, 20).0;
            // Grey stays grey; 5 * 10 + 20, and a palette or a JPEG may round.
            assert!(red == green && green == blue && red.abs_diff(70) <= 3, "{format:?}: {red} {green} {blue}");
        }
    }

    #[test]
    fn alpha_is_dropped_and_not_blended() {
        let rgba = ImageBuffer::from_pixel(2, 2, Rgba([200u8, 100, 50, 0]));
        assert_eq!(decode("a", &encoded(rgba, ImageFormat::Png)).unwrap().to_rgb8().get_pixel(0, 0).0, [200, 100, 50]);
        let grey = ImageBuffer::from_pixel(2, 2, LumaA([7u8, 1]));
        assert_eq!(decode("a", &encoded(grey, ImageFormat::Png)).unwrap().to_rgb8().get_pixel(1, 1).0, [7, 7, 7]);
    }

    #[test]
    fn the_inks_of_a_cmyk_jpeg_become_pillows_colours() {
        let decoded = decode("cmyk", include_bytes!("../../tests/golden/cmyk.jpg")).unwrap().to_rgb8();
        // What make_cmyk.py beside the file prints.
        let want = [(8, 8, [255, 255, 255]), (24, 8, [0, 255, 255]), (8, 24, [255, 55, 0]), (24, 24, [107, 127, 82])];
        for (x, y, colour) in want {
            let got = decoded.get_pixel(x, y).0;
            assert!(got.iter().zip(colour).all(|(a, b)| a.abs_diff(b) <= 3), "({x}, {y}): {got:?} for {colour:?}");
        }
    }

    #[test]
    fn a_photo_cut_short_is_an_error_in_every_format() {
        for format in [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::WebP, ImageFormat::Gif, ImageFormat::Bmp] {
            let image = if format == ImageFormat::Jpeg { grey() } else { grey().to_rgba8().into() };
            let whole = encoded(image, format);
            for keep in [0, 1, 3, 10, whole.len() / 2, whole.len() * 9 / 10] {
                let error = decode("cut", &whole[..keep]).unwrap_err();
                assert!(matches!(&error, Error::Photo { photo, .. } if photo == "cut"), "{format:?} {keep}: {error}");
            }
        }
    }

    #[test]
    fn the_end_mark_of_a_thumbnail_is_not_the_photos() {
        let whole = encoded(grey(), ImageFormat::Jpeg);
        // An application segment of 6 bytes (its length counts itself) that holds an end mark.
        let mut with_thumbnail = whole[..2].to_vec();
        with_thumbnail.extend([0xFF, 0xE1, 0x00, 0x06, 0xFF, 0xD8, 0xFF, 0xD9]);
        with_thumbnail.extend(&whole[2..]);
        assert!(jpeg_is_whole(&with_thumbnail));
        assert!(!jpeg_is_whole(&with_thumbnail[..with_thumbnail.len() - 2]));
    }

    #[test]
    fn a_header_that_promises_too_much_is_refused_before_anything_is_allocated() {
        // A BMP header of 30,000 pixels a side, then of 19,000 (1 GB decoded).
        for side in [30_000u32, 19_000] {
            let mut bytes = encoded(grey(), ImageFormat::Bmp);
            bytes[18..22].copy_from_slice(&side.to_le_bytes());
            bytes[22..26].copy_from_slice(&side.to_le_bytes());
            let error = decode("bomb", &bytes).unwrap_err().to_string();
            assert!(error.contains("too large"), "{error}");
        }
    }

    #[test]
    fn flipped_bytes_never_panic() {
        // Deterministic damage all over small files of every format: an error or some pixels, never a panic.
        let mut decoded = 0;
        for format in [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::WebP, ImageFormat::Gif, ImageFormat::Bmp] {
            let image = if format == ImageFormat::Jpeg { grey() } else { grey().to_rgba8().into() };
            let whole = encoded(image, format);
            for at in 0..whole.len() {
                for flip in [0x01, 0x80, 0xFF] {
                    let mut bytes = whole.clone();
                    bytes[at] ^= flip;
                    decoded += usize::from(decode("flipped", &bytes).is_ok());
                }
            }
        }
        assert!(decoded > 0, "damage to pixels alone leaves a photo");
    }
}
