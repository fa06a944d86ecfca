//! The picture as a step sees it: moved, turned, larger or smaller, at random.

use super::FilterOptions;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::RngCore;

/// A number in [-1, 1), the same on every machine.
pub(super) fn signed(random: &mut ChaCha8Rng) -> f32 {
    (random.next_u32() >> 8) as f32 / (1u32 << 23) as f32 - 1.0
}

/// Which pixels of a square picture each pixel of the view is made of, and in what parts: a linear map, of planes of pixels
/// to planes of pixels. What leaves the picture on one side comes in on the other.
pub(super) struct View {
    parts: Vec<[(usize, f32); 4]>,
}

impl View {
    /// One at random within what the options allow.
    pub fn at_random(options: &FilterOptions, random: &mut ChaCha8Rng) -> Self {
        let [turn, zoom, down, right] = [(); 4].map(|()| f64::from(signed(random)));
        // Whole pixels, so that a view that is only moved is not blurred.
        let reach = options.jitter as f64;
        let whole = |part: f64| ((part + 1.0) / 2.0 * (2.0 * reach + 1.0)).floor() - reach;
        let moved = (whole(down), whole(right));
        Self::new(options.side, (turn * options.rotation).to_radians(), 1.0 + zoom * options.zoom, moved)
    }

    /// Turned by `angle` about the middle, enlarged by `zoom`, and moved by pixels down and right.
    fn new(side: usize, angle: f64, zoom: f64, (down, right): (f64, f64)) -> Self {
        let middle = (side - 1) as f64 / 2.0;
        let (sin, cos) = angle.sin_cos();
        let place = |index: usize| {
            let (y, x) = ((index / side) as f64 - middle, (index % side) as f64 - middle);
            ((cos * y - sin * x) / zoom + middle + down, (sin * y + cos * x) / zoom + middle + right)
        };
        Self { parts: (0..side * side).map(|index| between(place(index), side)).collect() }
    }

    /// The view of planes of `side * side` pixels.
    pub fn of(&self, picture: &[f32]) -> Vec<f32> {
        let planes = picture.chunks_exact(self.parts.len());
        let pixel = |plane: &[f32], parts: &[(usize, f32); 4]| parts.iter().map(|(at, part)| part * plane[*at]).sum();
        planes.flat_map(|plane| self.parts.iter().map(move |parts| pixel(plane, parts))).collect()
    }

    /// What a gradient of the view is for the picture: the map transposed.
    pub fn back(&self, gradient: &[f32]) -> Vec<f32> {
        let mut back = vec![0.0; gradient.len()];
        let planes = back.chunks_exact_mut(self.parts.len()).zip(gradient.chunks_exact(self.parts.len()));
        for (back, gradient) in planes {
            for (parts, gradient) in self.parts.iter().zip(gradient) {
                parts.iter().for_each(|(at, part)| back[*at] += part * gradient);
            }
        }
        back
    }
}

/// The four pixels around a place, each with its part (bilinear).
fn between((y, x): (f64, f64), side: usize) -> [(usize, f32); 4] {
    let along = |place: f64| {
        let whole = place.floor();
        // No picture is so large that these do not fit.
        let first = (whole as i64).rem_euclid(side as i64) as usize;
        (first, (first + 1) % side, (place - whole) as f32)
    };
    let ((top, below, down), (left, beside, right)) = (along(y), along(x));
    [
        (top * side + left, (1.0 - down) * (1.0 - right)),
        (top * side + beside, (1.0 - down) * right),
        (below * side + left, down * (1.0 - right)),
        (below * side + beside, down * right),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::rand_core::SeedableRng;

    #[test]
    fn whole_pixels_move_around_the_edges_and_quarter_turns_are_exact() {
        let picture: Vec<f32> = (0..9).map(|value| value as f32).collect();
        assert_eq!(View::new(3, 0.0, 1.0, (0.0, 0.0)).of(&picture), picture);
        assert_eq!(View::new(3, 0.0, 1.0, (1.0, 0.0)).of(&picture), [3., 4., 5., 6., 7., 8., 0., 1., 2.]);
        assert_eq!(View::new(3, 0.0, 1.0, (0.0, -1.0)).of(&picture), [2., 0., 1., 5., 3., 4., 8., 6., 7.]);
        let turned = View::new(3, std::f64::consts::FRAC_PI_2, 1.0, (0.0, 0.0)).of(&picture);
        for (got, want) in turned.iter().zip([6., 3., 0., 7., 4., 1., 8., 5., 2.]) {
            assert!((got - want).abs() < 1e-5, "{turned:?}");
        }
        // Twice as large: the corners stand half a pixel inside.
        let enlarged = View::new(3, 0.0, 2.0, (0.0, 0.0)).of(&picture);
        assert_eq!(enlarged, [2., 2.5, 3., 3.5, 4., 4.5, 5., 5.5, 6.]);
    }

    /// `sum(view(a) * b) = sum(a * back(b))` for any a and b is what transposed means.
    #[test]
    fn gradients_go_back_the_way_the_pixels_came() {
        let mut random = ChaCha8Rng::seed_from_u64(3);
        let options = FilterOptions { side: 7, jitter: 4, rotation: 30.0, zoom: 0.4, ..FilterOptions::default() };
        for _ in 0..5 {
            let view = View::at_random(&options, &mut random);
            let [a, b] = [(); 2].map(|()| (0..2 * 49).map(|_| signed(&mut random)).collect::<Vec<f32>>());
            let product = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(a * b)).sum::<f64>();
            let (there, back) = (product(&view.of(&a), &b), product(&a, &view.back(&b)));
            assert!((there - back).abs() < 1e-5 && there.abs() > 1e-2, "{there} and {back}");
        }
    }

    #[test]
    fn jitter_reaches_every_shift_and_none_beyond() {
        let mut random = ChaCha8Rng::seed_from_u64(5);
        let options = FilterOptions { side: 16, jitter: 2, rotation: 0.0, zoom: 0.0, ..FilterOptions::default() };
        let picture: Vec<f32> = (0..256).map(|value| value as f32).collect();
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..400 {
            let first = View::at_random(&options, &mut random).of(&picture)[0] as i64;
            let shift = |place: i64| (place + 8) % 16 - 8;
            seen.insert((shift(first / 16), shift(first % 16)));
        }
        assert_eq!(seen.len(), 25, "{seen:?}");
        assert!(seen.iter().all(|(down, right)| down.abs() <= 2 && right.abs() <= 2), "{seen:?}");
        let still = FilterOptions { jitter: 0, ..options };
        assert_eq!(View::at_random(&still, &mut random).of(&picture), picture);
    }
}
