//! A photo on its way into a plan: normalised, three floats a pixel, in a frame of zeros.

use super::kernels::Framed;
use crate::images::Preprocess;

/// A photo as a plan takes it.
#[derive(Clone, Copy)]
pub(super) enum Photo<'a> {
    /// Row by row, pixel by pixel, red, green and blue: to be normalised.
    Rgb(&'a [u8], &'a Preprocess),
    /// `(3, H, W)`, normalised already.
    Planes(&'a [f32]),
}

impl Photo<'_> {
    fn numbers(self) -> usize {
        match self {
            Self::Rgb(rgb, _) => rgb.len(),
            Self::Planes(planes) => planes.len(),
        }
    }
}

/// Bytes of a square photo.
#[cfg(any(feature = "cuda", test))]
pub(super) fn photo_bytes(side: usize) -> usize {
    3 * side * side
}

/// The size of photos, and how many pixels of zeros are around them.
#[derive(Clone, Copy, Debug)]
pub(super) struct PhotoFrame {
    pub height: usize,
    pub width: usize,
    pub border: usize,
}

impl PhotoFrame {
    /// Floats of a row.
    fn row(self) -> usize {
        (self.width + 2 * self.border) * 3
    }

    /// Memory for a photo, zero at first: what `fill` leaves alone stays zero.
    pub fn memory(self) -> Vec<f32> {
        vec![0.0; (self.height + 2 * self.border) * self.row()]
    }

    /// The photo for the stem.
    pub fn of(self, data: &[f32]) -> Framed<'_> {
        Framed { data, row: self.row() }
    }

    /// Normalises `photo` into its place within the zeros.
    pub fn fill(self, photo: Photo<'_>, to: &mut [f32]) {
        let Self { height, width, border } = self;
        assert_eq!(photo.numbers(), height * width * 3);
        let rows = to.chunks_exact_mut(self.row()).skip(border).take(height);
        let rows = rows.map(|row| &mut row[3 * border..][..width * 3]);
        match photo {
            Photo::Rgb(rgb, preprocess) => {
                // A table, as a byte has few values: the same numbers as `Pixels::to_tensor`, bit by bit.
                let table: [[f32; 256]; 3] = std::array::from_fn(|c| {
                    std::array::from_fn(|v| (v as f32 / 255.0 - preprocess.mean[c]) / preprocess.std[c])
                });
                for (to, from) in rows.zip(rgb.chunks_exact(width * 3)) {
                    for (to, from) in to.as_chunks_mut::<3>().0.iter_mut().zip(from.as_chunks::<3>().0) {
                        for c in 0..3 {
                            to[c] = table[c][usize::from(from[c])];
                        }
                    }
                }
            }
            Photo::Planes(planes) => {
                let plane = height * width;
                for (y, to) in rows.enumerate() {
                    for (x, to) in to.as_chunks_mut::<3>().0.iter_mut().enumerate() {
                        *to = std::array::from_fn(|c| planes[c * plane + y * width + x]);
                    }
                }
            }
        }
    }
}
