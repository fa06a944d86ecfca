//! What holds a picture back: differences between neighbours, and distance from grey.

/// The gradient of `total_variation * V + decay * D` with respect to a picture `(3, height, width)` in 0..=1.
///
/// V is the sum of absolute differences between neighbours along rows and columns, total variation in its anisotropic form
/// (Mahendran and Vedaldi 2015, section 3, take the root of the sum of both squares instead); D is half the sum of squared
/// distances from grey, 0.5.
pub(super) fn gradient(picture: &[f32], (height, width): (usize, usize), total_variation: f64, decay: f64) -> Vec<f32> {
    let (total_variation, decay) = (total_variation as f32, decay as f32);
    let mut gradient: Vec<f32> = picture.iter().map(|value| decay * (value - 0.5)).collect();
    for (plane, gradient) in picture.chunks_exact(height * width).zip(gradient.chunks_exact_mut(height * width)) {
        let mut pair = |here: usize, next: usize| {
            let slope = total_variation * sign(plane[next] - plane[here]);
            gradient[next] += slope;
            gradient[here] -= slope;
        };
        for index in 0..height * width {
            if (index + 1) % width != 0 {
                pair(index, index + 1);
            }
            if index + width < height * width {
                pair(index, index + width);
            }
        }
    }
    gradient
}

/// `f32::signum` is 1 at 0.
fn sign(value: f32) -> f32 {
    if value == 0.0 { 0.0 } else { value.signum() }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn gradients_are_the_differences_of_values() {
        const SIDE: usize = 4;
        let picture: Vec<f32> = (0..3 * SIDE * SIDE).map(|index| (index * 37 % 48) as f32 / 48.0).collect();
        let value = |picture: &[f32]| {
            let at = |c: usize, y: usize, x: usize| f64::from(picture[(c * SIDE + y) * SIDE + x]);
            let mut sum = 0.0;
            for (c, y, x) in (0..3).flat_map(|c| (0..SIDE).flat_map(move |y| (0..SIDE).map(move |x| (c, y, x)))) {
                if x + 1 < SIDE {
                    sum += 0.3 * (at(c, y, x + 1) - at(c, y, x)).abs();
                }
                if y + 1 < SIDE {
                    sum += 0.3 * (at(c, y + 1, x) - at(c, y, x)).abs();
                }
                sum += 0.7 * (at(c, y, x) - 0.5).powi(2) / 2.0;
            }
            sum
        };
        for (index, gradient) in gradient(&picture, (SIDE, SIDE), 0.3, 0.7).iter().enumerate() {
            let moved = |step: f32| {
                let mut picture = picture.clone();
                picture[index] += step;
                value(&picture)
            };
            // Neighbours are at least a 48th apart.
            let difference = (moved(1.0 / 128.0) - moved(-1.0 / 128.0)) * 64.0;
            assert!((difference - f64::from(*gradient)).abs() < 1e-3, "{index}: {gradient} and {difference}");
        }
        assert!(gradient(&[0.5; 48], (SIDE, SIDE), 1.0, 1.0).iter().all(|value| *value == 0.0), "grey is held nowhere");
    }

    /// tests/golden/make_explain_operations.py has the formula.
    #[test]
    fn total_variation_is_pytorchs() {
        let golden = include_str!("../../../tests/golden/explain_operations.json");
        let golden: serde_json::Value = serde_json::from_str(golden).unwrap();
        let golden = &golden["total_variation"];
        let sizes: Vec<usize> =
            golden["input"].as_array().unwrap().iter().map(|n| n.as_u64().unwrap() as usize).collect();
        let photo = super::super::tests::signed("photo", sizes.iter().product());
        let ours = gradient(&photo, (sizes[1], sizes[2]), 1.0, 0.0);
        let theirs = golden["absolute"]["to_x"].as_array().unwrap();
        assert_eq!(ours.len(), theirs.len());
        assert!(ours.iter().zip(theirs).all(|(ours, theirs)| f64::from(*ours) == theirs.as_f64().unwrap()));
    }
}
