//! How pixels become numbers, and photos a batch.

use super::Pixels;
use candle_core::Tensor;

/// How a backbone wants its photos: `(v / 255 - mean) / std` for every channel of a square photo.
///
/// The photo is squashed to the square, not cropped. A network fed with other numbers than it was trained on still
/// answers, and worse: take the backbone's own, from its spec.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Preprocess {
    /// Rows and columns of the square.
    pub side: usize,
    /// Subtracted from red, green and blue once they are in 0..=1.
    pub mean: [f32; 3],
    /// What they are divided by then.
    pub std: [f32; 3],
}

impl Preprocess {
    /// 224 pixels a side, with the mean and deviation of ImageNet's training photos, as torchvision's networks want.
    pub const IMAGENET: Self = Self { side: 224, mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] };

    /// 299 pixels a side, values in -1..=1, as InceptionV3 wants, by torchvision as by Keras.
    ///
    /// torchvision's model takes ImageNet's mean and deviation and turns them into this first (`transform_input`).
    pub const INCEPTION: Self = Self { side: 299, mean: [0.5; 3], std: [0.5; 3] };

    /// `side` pixels a side, values in 0..=1.
    pub const fn unit(side: usize) -> Self {
        Self { side, mean: [0.0; 3], std: [1.0; 3] }
    }

    /// The same as one factor and one summand a channel, for bytes: `byte * factor + summand`.
    #[cfg(any(feature = "cuda", test))]
    pub(crate) fn factor_and_summand(&self) -> ([f32; 3], [f32; 3]) {
        let each = |of: &dyn Fn(usize) -> f32| std::array::from_fn(of);
        (each(&|channel| 1.0 / (255.0 * self.std[channel])), each(&|channel| -self.mean[channel] / self.std[channel]))
    }

    /// `(H, W, 3)` bytes to `(3, H, W)` values; `to` is as long as `rgb`.
    pub(crate) fn normalise(&self, rgb: &[u8], to: &mut [f32]) {
        let plane = rgb.len() / 3;
        for (channel, values) in to.chunks_exact_mut(plane.max(1)).enumerate().take(3) {
            let (mean, std) = (self.mean[channel], self.std[channel]);
            let value: [f32; 256] = std::array::from_fn(|byte| (byte as f32 / 255.0 - mean) / std);
            for (value_of_pixel, pixel) in values.iter_mut().zip(rgb.chunks_exact(3)) {
                *value_of_pixel = value[usize::from(pixel[channel])];
            }
        }
    }
}

/// Some photos of a data set, ready for a network.
#[derive(Clone, Debug)]
pub struct Batch {
    /// `(N, 3, side, side)`, preprocessed.
    pub photos: Tensor,
    /// Each photo's class, by index.
    pub labels: Vec<usize>,
    /// The same photos as bytes, resized to the same square, to be shown.
    pub pixels: Vec<Pixels>,
    /// Each photo's name.
    pub names: Vec<String>,
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn channels_become_planes_and_bytes_the_values_the_formula_gives() {
        let photo = Pixels::new(1, 2, vec![0, 51, 102, 255, 204, 153]).unwrap();
        let tensor = photo.resized(1, 2).unwrap();
        let mut values = [0.0; 6];
        Preprocess::unit(1).normalise(&tensor.rgb, &mut values);
        assert_eq!(values, [0.0, 1.0, 0.2, 0.8, 0.4, 0.6]);
        Preprocess::IMAGENET.normalise(&tensor.rgb, &mut values);
        // (0 - .485) / .229, (1 - .485) / .229, (.2 - .456) / .224, ...
        let want = [-2.117904, 2.248908, -1.142857, 1.535714, -0.026667, 0.862222];
        for (got, want) in values.iter().zip(want) {
            assert!((got - want).abs() < 1e-5, "{got} for {want}");
        }
    }

    #[test]
    fn a_tensor_has_the_square_that_was_asked_for() {
        let photo = Pixels::new(2, 5, vec![255; 30]).unwrap();
        let tensor = photo.to_tensor(&Preprocess::unit(7)).unwrap();
        assert_eq!(tensor.dims(), [1, 3, 7, 7]);
        assert!(tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap().iter().all(|value| *value == 1.0));
    }
}
