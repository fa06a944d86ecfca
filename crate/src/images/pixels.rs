//! A photo in memory.

use super::{Preprocess, decode::decode};
use crate::notebook::Picture;
use crate::{Error, Result};
use candle_core::{Device, Tensor};
use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use std::cell::RefCell;
use std::io::Cursor;

/// The longest side that a photo is resized to.
const LONGEST_SIDE: usize = 20_000;

thread_local! {
    /// Keeps its scratch memory from photo to photo.
    static RESIZER: RefCell<Resizer> = RefCell::new(Resizer::new());
}

/// A photo in memory: three bytes a pixel, red, green and blue, row by row from the top.
///
/// It shows itself when it ends a cell.
#[derive(Clone, PartialEq, Eq)]
pub struct Pixels {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// `height * width * 3` bytes, `(H, W, C)`.
    pub rgb: Vec<u8>,
}

impl std::fmt::Debug for Pixels {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Pixels({}x{}, RGB)", self.width, self.height)
    }
}

impl Pixels {
    /// A photo of `height` rows and `width` columns from its bytes `(H, W, 3)`.
    ///
    /// # Errors
    /// [`Error::Shape`] unless there are `height * width * 3` bytes, and at least one pixel.
    pub fn new(height: usize, width: usize, rgb: Vec<u8>) -> Result<Self> {
        let pixels = Self { height, width, rgb };
        pixels.check()?;
        Ok(pixels)
    }

    /// Decodes a JPEG, PNG, WebP, GIF (its first frame) or BMP, told apart by content; `name` is for the error.
    ///
    /// As Pillow's `open(..).convert("RGB")`: grey becomes three equal channels, alpha is dropped and not blended, and
    /// the orientation a camera noted is not applied. JPEG decoders differ among themselves by 1 to 3 grey levels.
    ///
    /// # Errors
    /// [`Error::Photo`] where the bytes are no photo, end early, or are larger than 20,000 pixels a side or 512 MiB.
    pub fn decode(name: &str, bytes: &[u8]) -> Result<Self> {
        let image = decode(name, bytes)?.into_rgb8();
        let (width, height) = image.dimensions();
        Ok(Self { height: height as usize, width: width as usize, rgb: image.into_raw() })
    }

    /// The photo at another size, each side on its own: the aspect is not kept.
    ///
    /// As Pillow's `BILINEAR`: a triangle filter that widens as it shrinks the photo (so it does not alias), rows first,
    /// rounded to bytes after each pass.
    ///
    /// # Errors
    /// [`Error::Setting`] where a side is not in 1..=20,000; [`Error::Shape`] where `rgb` has not the length it must have.
    pub fn resized(&self, height: usize, width: usize) -> Result<Self> {
        self.check()?;
        if !(1..=LONGEST_SIDE).contains(&height) || !(1..=LONGEST_SIDE).contains(&width) {
            let (got, want) = (format!("{width}x{height}"), format!("each side must be in 1..={LONGEST_SIDE}"));
            return Err(Error::Setting { setting: "the new size of a photo", got, want });
        }
        if (height, width) == (self.height, self.width) {
            return Ok(self.clone());
        }
        let mut rgb = vec![0; height * width * 3];
        self.resize_into(height, width, &mut rgb).map_err(|why| Error::Plot(why.to_string()))?;
        Ok(Self { height, width, rgb })
    }

    fn resize_into(&self, height: usize, width: usize, to: &mut [u8]) -> Result<(), Box<dyn std::error::Error>> {
        let from = ImageRef::new(self.width.try_into()?, self.height.try_into()?, &self.rgb, PixelType::U8x3)?;
        let mut to = Image::from_slice_u8(width.try_into()?, height.try_into()?, to, PixelType::U8x3)?;
        let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear));
        RESIZER.with_borrow_mut(|resizer| resizer.resize(&from, &mut to, &options))?;
        Ok(())
    }

    /// The photo as a backbone's input `(1, 3, side, side)`: resized to a square, normalised as `preprocess` says.
    ///
    /// # Errors
    /// As for [`resized`](Self::resized).
    pub fn to_tensor(&self, preprocess: &Preprocess) -> Result<Tensor> {
        let side = preprocess.side;
        let resized = self.resized(side, side)?;
        let mut values = vec![0.0; 3 * side * side];
        preprocess.normalise(&resized.rgb, &mut values);
        Ok(Tensor::from_vec(values, (1, 3, side, side), &Device::Cpu)?)
    }

    /// The bytes of a JPEG file of this photo; `quality` from 1 to 100, others count as the nearest of these.
    ///
    /// # Errors
    /// [`Error::Shape`] where `rgb` has not the length it must have; [`Error::Plot`] where the photo is too large for a JPEG.
    pub fn to_jpeg(&self, quality: u8) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.encode(image::codecs::jpeg::JpegEncoder::new_with_quality(&mut bytes, quality.clamp(1, 100)))?;
        Ok(bytes)
    }

    /// The bytes of a PNG file of this photo.
    ///
    /// # Errors
    /// [`Error::Shape`] where `rgb` has not the length it must have.
    pub fn to_png(&self) -> Result<Vec<u8>> {
        let mut bytes = Cursor::new(Vec::new());
        self.encode(image::codecs::png::PngEncoder::new(&mut bytes))?;
        Ok(bytes.into_inner())
    }

    fn encode(&self, encoder: impl image::ImageEncoder) -> Result<()> {
        self.check()?;
        let side = |pixels: usize| u32::try_from(pixels).map_err(|why| Error::Plot(why.to_string()));
        encoder
            .write_image(&self.rgb, side(self.width)?, side(self.height)?, image::ExtendedColorType::Rgb8)
            .map_err(|why| Error::Plot(why.to_string()))
    }

    /// Shows the photo where it ends a cell.
    pub fn evcxr_display(&self) {
        let alt = format!("A photo, {} x {} pixels", self.width, self.height);
        match self.to_png() {
            Ok(png) => Picture::Png { png, alt }.evcxr_display(),
            Err(error) => println!("{self:?}: {error}"),
        }
    }

    fn check(&self) -> Result<()> {
        let bytes = self.height.checked_mul(self.width).and_then(|pixels| pixels.checked_mul(3));
        if bytes != Some(self.rgb.len()) || self.rgb.is_empty() {
            let want = format!("({}, {}, 3), not empty", self.height, self.width);
            return Err(Error::shape("a photo", want, &[self.rgb.len()]));
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// The image that `tests/golden/make_resize.py` resizes with Pillow.
    fn gradient(height: usize, width: usize) -> Pixels {
        let of =
            |x: usize, y: usize| [(255 * x / (width - 1)) as u8, (255 * y / (height - 1)) as u8, (x * y % 256) as u8];
        let rgb = (0..height).flat_map(|y| (0..width).flat_map(move |x| of(x, y))).collect();
        Pixels::new(height, width, rgb).unwrap()
    }

    #[test]
    fn resizing_agrees_with_pillow_within_one_grey_level() {
        let golden = include_str!("../../tests/golden/resize.txt");
        let mut seen = 0;
        for line in golden.lines().filter(|line| !line.starts_with('#')) {
            let (size, hex) = line.split_once(": ").unwrap();
            let sizes: Vec<usize> = size.split_whitespace().map(|number| number.parse().unwrap()).collect();
            let [height, width, to_height, to_width] = sizes[..] else { panic!("{size}") };
            let want: Vec<u8> =
                (0..hex.len() / 2).map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap()).collect();
            let got = gradient(height, width).resized(to_height, to_width).unwrap();
            assert_eq!(got.rgb.len(), want.len(), "{size}");
            let worst = got.rgb.iter().zip(&want).map(|(a, b)| a.abs_diff(*b)).max();
            assert!(worst <= Some(1), "{size}: off by {worst:?}; make_resize.py beside the golden file remakes it");
            seen += 1;
        }
        assert!(seen >= 5, "the golden file has lost its lines");
    }

    #[test]
    fn sizes_outside_the_range_and_bytes_of_the_wrong_length_are_errors() {
        let photo = gradient(4, 6);
        assert!(matches!(photo.resized(0, 5), Err(Error::Setting { .. })));
        assert!(matches!(photo.resized(5, 20_001), Err(Error::Setting { .. })));
        let lying = Pixels { height: 4, width: 7, rgb: photo.rgb };
        assert!(matches!(lying.resized(2, 2), Err(Error::Shape { .. })));
        assert!(matches!(lying.to_png(), Err(Error::Shape { .. })));
        assert!(matches!(Pixels::new(0, 3, vec![]), Err(Error::Shape { .. })));
        assert!(matches!(Pixels::new(usize::MAX, 3, vec![0]), Err(Error::Shape { .. })));
    }

    #[test]
    fn png_keeps_every_byte_and_jpeg_nearly() {
        let photo = gradient(31, 17);
        assert!(Pixels::decode("png", &photo.to_png().unwrap()).unwrap() == photo);
        let again = Pixels::decode("jpeg", &photo.to_jpeg(95).unwrap()).unwrap();
        let off: u32 = again.rgb.iter().zip(&photo.rgb).map(|(a, b)| u32::from(a.abs_diff(*b))).sum();
        assert!((off as f64) < 6.0 * photo.rgb.len() as f64, "mean difference {}", off as f64 / photo.rgb.len() as f64);
    }
}
