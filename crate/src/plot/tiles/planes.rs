//! The channels of one layer, each scaled by itself, as the bytes of a picture.

use crate::{Error, Result};

/// What a layer answers to one photo: `(C, H, W)`, channel by channel, each row by row from the top.
#[derive(Clone, Copy, Debug)]
pub struct Planes<'a> {
    /// `C * height * width` values.
    pub values: &'a [f32],
    /// Rows of a channel.
    pub height: usize,
    /// Columns of a channel.
    pub width: usize,
}

/// One channel, ready to be drawn.
#[derive(Debug, PartialEq)]
pub(super) enum Plane {
    /// A byte a place: 128 is the channel's mean, 64 a standard deviation.
    Lively(Vec<u8>),
    /// The same everywhere: the channel says nothing about this photo.
    Silent,
    /// Holds a NaN or an infinity, so that it has neither mean nor deviation.
    NotANumber,
}

/// Channels of a larger spread than this share of their largest value say more than rounding does.
const ROUNDING: f64 = 1e-6;

impl Planes<'_> {
    /// How many channels there are; 0 where the sizes do not fit.
    pub fn count(&self) -> usize {
        self.height.checked_mul(self.width).and_then(|area| self.values.len().checked_div(area)).unwrap_or(0)
    }

    /// Every channel, less its mean, over its standard deviation, times 64, plus 128, cut to a byte.
    ///
    /// A channel of a single place has no deviation of its own: there all channels share one mean and one deviation, and
    /// those at zero are silent.
    pub(super) fn scaled(&self) -> Result<Vec<Plane>> {
        let area = self.height.checked_mul(self.width).unwrap_or(0);
        if area == 0 || self.values.is_empty() || !self.values.len().is_multiple_of(area) {
            let want = format!("(C, {}, {}), not empty", self.height, self.width);
            return Err(Error::shape("a picture of a layer's channels", want, &[self.values.len()]));
        }
        if area > 1 {
            return Ok(self.values.chunks_exact(area).map(|plane| scaled(plane, plane)).collect());
        }
        let finite: Vec<f32> = self.values.iter().copied().filter(|value| value.is_finite()).collect();
        let place = |value: &f32| if *value == 0.0 { Plane::Silent } else { scaled(&[*value], &finite) };
        Ok(self.values.iter().map(place).collect())
    }
}

/// `values` as bytes, by the mean and the standard deviation of `among`.
fn scaled(values: &[f32], among: &[f32]) -> Plane {
    if values.iter().any(|value| !value.is_finite()) {
        return Plane::NotANumber;
    }
    let count = among.len() as f64;
    let mean = among.iter().map(|value| f64::from(*value)).sum::<f64>() / count;
    let variance = among.iter().map(|value| (f64::from(*value) - mean).powi(2)).sum::<f64>() / count;
    let largest = among.iter().map(|value| f64::from(value.abs())).fold(0.0, f64::max);
    let deviation = variance.sqrt();
    if deviation <= ROUNDING * largest {
        return Plane::Silent;
    }
    // The cast cuts to 0..=255 by itself.
    Plane::Lively(values.iter().map(|value| ((f64::from(*value) - mean) / deviation * 64.0 + 128.0) as u8).collect())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn planes(values: &[f32], height: usize, width: usize) -> Planes<'_> {
        Planes { values, height, width }
    }

    /// Mean 1 and deviation 3^0.5: 128 - 64 / 3^0.5 = 91.05 and 128 + 64 * 3^0.5 = 238.85.
    #[test]
    fn a_channel_is_scaled_by_its_own_mean_and_deviation() {
        let values = [0.0, 0.0, 0.0, 4.0, 0.0, 0.0, 0.0, 4e-9, -5.0, -5.0, -5.0, -1.0];
        let want = Plane::Lively(vec![91, 91, 91, 238]);
        assert!(planes(&values, 2, 2).scaled().unwrap().iter().all(|plane| *plane == want));
    }

    #[test]
    fn what_lies_far_out_is_cut() {
        let mut values = vec![0.0; 100];
        values[7] = 1.0;
        values[8] = -1.0;
        let scaled = planes(&values, 10, 10).scaled().unwrap();
        let Plane::Lively(bytes) = &scaled[0] else { panic!("{scaled:?}") };
        assert_eq!((bytes[7], bytes[8], bytes[0]), (255, 0, 128));
    }

    #[test]
    fn a_channel_without_spread_is_silent_and_one_without_numbers_is_named() {
        let same = 0.1_f32;
        let values = [0.0, 0.0, 3.0, 3.0, f32::NAN, 1.0, 1.0, f32::INFINITY, same, same + same * 1e-7, 0.0, 1.0];
        let kinds: Vec<&str> = (planes(&values, 1, 2).scaled().unwrap().iter())
            .map(|plane| match plane {
                Plane::Lively(_) => "lively",
                Plane::Silent => "silent",
                Plane::NotANumber => "NaN",
            })
            .collect();
        assert_eq!(kinds, ["silent", "silent", "NaN", "NaN", "silent", "lively"]);
    }

    /// After pooling a channel is one number, and the channels are compared with each other.
    #[test]
    fn single_places_share_one_scale() {
        let scaled = planes(&[0.0, 2.0, 4.0, f32::NAN], 1, 1).scaled().unwrap();
        let (middle, above) = (Plane::Lively(vec![128]), Plane::Lively(vec![206]));
        assert_eq!(scaled, [Plane::Silent, middle, above, Plane::NotANumber]);
    }

    #[test]
    fn sizes_that_do_not_fit_are_errors() {
        for (count, height, width) in [(7, 2, 2), (0, 2, 2), (4, 0, 2), (4, usize::MAX, 2)] {
            let values = vec![1.0; count];
            assert!(matches!(planes(&values, height, width).scaled(), Err(Error::Shape { .. })), "{height} x {width}");
        }
    }
}
