//! A picture from its frequencies, and a gradient back to them.
//!
//! The inverse real Fourier transform of a small picture is two products of matrices, one along its columns and one along its
//! rows; transposed, the same two take a gradient back. So no network's graph has to hold it.

use crate::Result;
use candle_core::{Device, Tensor};
use std::f64::consts::TAU;

/// lucid's root of the covariance of ImageNet's colours: a row for red, green and blue each, and columns that vary on their
/// own (lightness first).
const COLOURS: [[f64; 3]; 3] = [[0.26, 0.09, 0.02], [0.27, 0.00, -0.05], [0.27, -0.09, 0.03]];

/// Turns a spectrum `(3, 2, H, W / 2 + 1)`, real and imaginary part, into a picture `(3, H, W)` with values in 0..=1.
pub(super) struct Frequencies {
    /// `(H, W / 2 + 1)`: one over the frequency, so that a step changes low frequencies more, as they are in photos.
    scale: Tensor,
    /// `(2 H, 2 H)`: along the columns, real and imaginary rows one above the other.
    columns: Tensor,
    /// `(2 (W / 2 + 1), W)`: along the rows, of which only the real part is left.
    rows: Tensor,
    /// `(3, 3)`.
    colours: Tensor,
}

impl Frequencies {
    /// For pictures of `height` rows and `width` columns, at least one of each.
    pub fn new(height: usize, width: usize) -> Result<Self> {
        let half = width / 2 + 1;
        let longest = height.max(width) as f64;
        let scale = table(height, half, |y, x| {
            let (fy, fx) = (y.min(height - y) as f64 / height as f64, x as f64 / width as f64);
            1.0 / fy.hypot(fx).max(1.0 / longest)
        })?;
        let angle = |a: usize, b: usize, of: usize| TAU * (a * b % of) as f64 / of as f64;
        // (re + i im) (cos + i sin), of which the first rows are the real part.
        let columns = table(2 * height, 2 * height, |n, k| {
            let (sin, cos) = angle(n % height, k % height, height).sin_cos();
            match (n < height, k < height) {
                (true, true) | (false, false) => cos,
                (true, false) => -sin,
                (false, true) => sin,
            }
        })?;
        let size = ((height * width) as f64).sqrt();
        let rows = table(2 * half, width, |k, m| {
            let (sin, cos) = angle(k % half, m, width).sin_cos();
            // The half of the spectrum that is not stored adds the same once more.
            let twice = if k % half == 0 || 2 * (k % half) == width { 1.0 } else { 2.0 };
            twice / size * if k < half { cos } else { -sin }
        })?;
        let column = |i: usize| COLOURS.iter().map(|row| row[i] * row[i]).sum::<f64>().sqrt();
        let largest = (0..3).map(column).fold(0.0, f64::max);
        let colours = table(3, 3, |o, i| COLOURS[o][i] / largest)?;
        Ok(Self { scale, columns, rows, colours })
    }

    /// The picture `(3, H, W)`.
    pub fn picture(&self, spectrum: &Tensor) -> Result<Tensor> {
        Ok(sigmoid(&self.coloured(&self.pixels(spectrum)?)?)?)
    }

    /// What a gradient `(3, H, W)` of the picture is for its spectrum.
    pub fn to_spectrum(&self, picture: &Tensor, gradient: &Tensor) -> Result<Tensor> {
        // The logistic function's slope.
        let slope = (picture * (1.0 - picture)?)?;
        self.pixels_to_spectrum(&self.coloured_to_pixels(&(gradient * slope)?)?)
    }

    /// torch's `irfft2(spectrum * scale, norm="ortho")`.
    fn pixels(&self, spectrum: &Tensor) -> Result<Tensor> {
        let (channels, _, height, half) = spectrum.dims4()?;
        let scaled = spectrum.broadcast_mul(&self.scale)?.reshape((channels, 2 * height, half))?;
        let turned = self.columns.broadcast_matmul(&scaled)?.reshape((channels, 2, height, half))?;
        let side_by_side = turned.transpose(1, 2)?.reshape((channels * height, 2 * half))?;
        Ok(side_by_side.matmul(&self.rows)?.reshape((channels, height, ()))?)
    }

    fn pixels_to_spectrum(&self, gradient: &Tensor) -> Result<Tensor> {
        let (channels, height, width) = gradient.dims3()?;
        let half = width / 2 + 1;
        let side_by_side = gradient.reshape((channels * height, width))?.matmul(&self.rows.t()?)?;
        let turned = side_by_side.reshape((channels, height, 2, half))?.transpose(1, 2)?;
        let turned = turned.reshape((channels, 2 * height, half))?;
        let scaled = self.columns.t()?.contiguous()?.broadcast_matmul(&turned)?;
        Ok(scaled.reshape((channels, 2, height, half))?.broadcast_mul(&self.scale)?)
    }

    /// Red, green and blue out of what varies on its own.
    fn coloured(&self, pixels: &Tensor) -> Result<Tensor> {
        Ok(self.colours.matmul(&pixels.flatten_from(1)?)?.reshape(pixels.shape())?)
    }

    fn coloured_to_pixels(&self, gradient: &Tensor) -> Result<Tensor> {
        Ok(self.colours.t()?.matmul(&gradient.flatten_from(1)?)?.reshape(gradient.shape())?)
    }
}

fn sigmoid(x: &Tensor) -> candle_core::Result<Tensor> {
    candle_nn::ops::sigmoid(x)
}

/// A matrix by formula, computed in double precision.
fn table(rows: usize, columns: usize, value: impl Fn(usize, usize) -> f64) -> Result<Tensor> {
    let values = (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column)));
    let values: Vec<f32> = values.map(|(row, column)| value(row, column) as f32).collect();
    Ok(Tensor::from_vec(values, (rows, columns), &Device::Cpu)?)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::tests::signed;
    use super::*;
    use serde_json::Value;

    fn assert_close(ours: &Tensor, theirs: &Value, what: &str) {
        let ours: Vec<f32> = ours.contiguous().unwrap().flatten_all().unwrap().to_vec1().unwrap();
        let theirs: Vec<f64> = theirs.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect();
        assert_eq!(ours.len(), theirs.len(), "{what}");
        let largest = theirs.iter().fold(0.0, |most: f64, value| most.max(value.abs()));
        let off = ours.iter().zip(&theirs).map(|(ours, theirs)| (f64::from(*ours) - theirs).abs()).fold(0.0, f64::max);
        assert!(off < 1e-5 * largest, "{what}: off by {off} of {largest}");
    }

    /// The same as PyTorch's `irfft2` and its gradients: tests/golden/make_explain_operations.py has the formulas.
    #[test]
    fn spectra_and_their_gradients_are_pytorchs() {
        let golden: Value =
            serde_json::from_str(include_str!("../../../tests/golden/explain_operations.json")).unwrap();
        let cases = golden["spectrum"].as_array().unwrap();
        assert!(cases.len() >= 2, "an even and an odd size");
        for case in cases {
            let height = case["input"][1].as_u64().unwrap() as usize;
            let half = case["input"][2].as_u64().unwrap() as usize;
            let width = case["pixels"].as_array().unwrap().len() / (3 * height);
            let frequencies = Frequencies::new(height, width).unwrap();
            assert_close(&frequencies.scale, &case["scale"], "scale");
            assert_close(&frequencies.colours, &golden["colours"], "colours");
            // Theirs has the real and imaginary parts in pairs.
            let pairs = Tensor::from_vec(signed("spectrum", 6 * height * half), (3, height, half, 2), &Device::Cpu);
            let ours = |pairs: Tensor| pairs.permute((0, 3, 1, 2)).unwrap().contiguous().unwrap();
            let theirs = |parts: Tensor| parts.permute((0, 2, 3, 1)).unwrap();
            let spectrum = ours(pairs.unwrap());
            let pixels = frequencies.pixels(&spectrum).unwrap();
            assert_close(&pixels, &case["pixels"], "pixels");
            let coloured = frequencies.coloured(&pixels).unwrap();
            assert_close(&coloured, &case["colours"], "coloured");
            let picture = frequencies.picture(&spectrum).unwrap();
            assert_close(&picture, &case["image"], "picture");
            let weights = signed("weights", 3 * height * width);
            let weights = Tensor::from_vec(weights, (3, height, width), &Device::Cpu).unwrap();
            let back = frequencies.pixels_to_spectrum(&weights).unwrap();
            assert_close(&theirs(back), &case["pixels_to_spectrum"], "gradient of the pixels");
            let back = frequencies.pixels_to_spectrum(&frequencies.coloured_to_pixels(&weights).unwrap()).unwrap();
            assert_close(&theirs(back), &case["colours_to_spectrum"], "gradient of the colours");
            let back = frequencies.to_spectrum(&picture, &weights).unwrap();
            assert_close(&theirs(back), &case["image_to_spectrum"], "gradient of the picture");
        }
    }

    #[test]
    fn gradients_are_the_differences_of_values() {
        let frequencies = Frequencies::new(6, 5).unwrap();
        let values = signed("another", 3 * 2 * 6 * 3);
        let at = |values: Vec<f32>| {
            frequencies.picture(&Tensor::from_vec(values, (3, 2, 6, 3), &Device::Cpu).unwrap()).unwrap()
        };
        let weights = Tensor::from_vec(signed("weights", 90), (3, 6, 5), &Device::Cpu).unwrap();
        let back = frequencies.to_spectrum(&at(values.clone()), &weights).unwrap();
        let back: Vec<f32> = back.flatten_all().unwrap().to_vec1().unwrap();
        let (mut apart, mut size) = (0.0, 0.0);
        for (index, gradient) in back.iter().enumerate() {
            let moved = |step: f32| {
                let mut values = values.clone();
                values[index] += step;
                let terms: Vec<f32> = (at(values) * &weights).unwrap().flatten_all().unwrap().to_vec1().unwrap();
                terms.iter().map(|term| f64::from(*term)).sum::<f64>()
            };
            let difference = (moved(1.0 / 64.0) - moved(-1.0 / 64.0)) * 32.0;
            apart += (difference - f64::from(*gradient)).powi(2);
            size += difference.powi(2);
        }
        assert!((apart / size).sqrt() < 1e-3, "off by {:.1e}", (apart / size).sqrt());
    }
}
