//! How a picture climbs, and what is refused before it begins.

use crate::{Error, Result};

/// What is moved to change the picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parametrisation {
    /// Its frequencies, low ones further than high ones, in colours that vary on their own (Olah, Mordvintsev and Schubert
    /// 2017, "Feature Visualization"): the picture stays smooth, and most filters of deep layers are legible.
    Frequency,
    /// Its pixels, each on its own, as the article does it: fine for early layers, grey noise for deep ones.
    Pixels,
}

/// What of a channel is to become large: of a layer that ends in a ReLU, what goes into the ReLU, which has a slope where the
/// ReLU is closed, too, and may be below 0. A class has one number only, its logit, whichever is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Objective {
    /// Its mean over rows and columns: the pattern fills the picture.
    Mean,
    /// Its value in the middle: the pattern once, where the middle looks. Of a deep layer whose pictures stay pale noise by the
    /// mean (some of MobileNetV2's `features.14`) it may show a thing all the same.
    Centre,
}

/// How to find what a filter looks for. All fields, as `FilterOptions::default()` has them:
///
/// ```
/// use candlewick::prelude::*;
/// let defaults = FilterOptions {
///     parametrisation: Parametrisation::Frequency, // or Pixels
///     objective: Objective::Mean,                  // or Centre
///     steps: 96,
///     learning_rate: 0.025,
///     side: 96,
///     jitter: 8,
///     rotation: 5.0,
///     zoom: 0.05,
///     total_variation: 0.05,
///     decay: 0.05,
///     seed: 42,
/// };
/// assert_eq!(defaults, FilterOptions::default());
/// // Others name what differs:
/// let other = FilterOptions { seed: 7, steps: 64, ..FilterOptions::default() };
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct FilterOptions {
    /// What is moved.
    pub parametrisation: Parametrisation,
    /// What is to become large.
    pub objective: Objective,
    /// Steps to climb; at least 1.
    pub steps: usize,
    /// Of [`Parametrisation::Frequency`], Adam's step size; of [`Parametrisation::Pixels`], how far a pixel of the range
    /// 0..=1 moves a step, in the root mean square. Above 0.
    pub learning_rate: f64,
    /// Rows and columns of the picture, from 16 to 512, and no less than the network takes (InceptionV3: 75). The time goes
    /// with its square. It need not be the side of the network's photos.
    pub side: usize,
    /// Each step sees the picture moved by up to this many pixels either way, at random and around the edges. A pattern that
    /// is still there when it is moved is one that the filter looks for; a trick with single pixels is not.
    pub jitter: usize,
    /// Each step sees it turned by up to this many degrees either way, from 0 to 180.
    pub rotation: f64,
    /// Each step sees it larger or smaller by up to this part, from 0 to 0.5.
    pub zoom: f64,
    /// How much differences between neighbouring pixels hold the climb back, beside a gradient whose root mean square is
    /// 1; from 0 to 1000.
    pub total_variation: f64,
    /// How much the distance from grey holds it back, on the same scale; from 0 to 1000.
    pub decay: f64,
    /// Decides the first noise, and how the picture is moved about. The same for a filter whatever else climbs beside it.
    pub seed: u64,
}

impl Default for FilterOptions {
    /// Frequencies, the channel's mean, and settings at which most filters of deep layers are legible.
    fn default() -> Self {
        Self {
            parametrisation: Parametrisation::Frequency,
            objective: Objective::Mean,
            steps: 96,
            learning_rate: 0.025,
            side: 96,
            jitter: 8,
            rotation: 5.0,
            zoom: 0.05,
            total_variation: 0.05,
            decay: 0.05,
            seed: 42,
        }
    }
}

impl FilterOptions {
    /// The article's way: pixels, 80 steps along the gradient over its root mean square, and nothing that holds it back.
    pub fn pixels() -> Self {
        Self {
            parametrisation: Parametrisation::Pixels,
            steps: 80,
            // One grey level.
            learning_rate: 1.0 / 255.0,
            jitter: 0,
            rotation: 0.0,
            zoom: 0.0,
            total_variation: 0.0,
            decay: 0.0,
            ..Self::default()
        }
    }

    /// Refuses what cannot be climbed with, before any work starts.
    pub(super) fn check(&self) -> Result<()> {
        let wrong = |setting, got: String, want: &str| Err(Error::Setting { setting, got, want: want.to_owned() });
        if self.steps == 0 {
            return wrong("steps", "0".to_owned(), "the picture would stay noise; take 1 or more, 96 is usual");
        }
        if !(self.learning_rate.is_finite() && self.learning_rate > 0.0) {
            return wrong("learning_rate", self.learning_rate.to_string(), "it must be above 0; 0.025 is usual");
        }
        if !SIDES.contains(&self.side) {
            return wrong("side", self.side.to_string(), "a picture has 16 to 512 rows and columns; 96 is usual");
        }
        if self.jitter > self.side {
            return wrong("jitter", self.jitter.to_string(), "that is more than the picture's side; 8 is usual");
        }
        let ranges = [
            ("rotation", self.rotation, 180.0, "it must be in 0..=180 degrees; 5 is usual"),
            ("zoom", self.zoom, 0.5, "it must be in 0..=0.5; 0.05 is usual"),
            ("total_variation", self.total_variation, STRONGEST, "it must be in 0..=1000; 0.05 is usual"),
            ("decay", self.decay, STRONGEST, "it must be in 0..=1000; 0.05 is usual"),
        ];
        match ranges.into_iter().find(|(_, value, most, _)| !(0.0..=*most).contains(value)) {
            Some((setting, value, _, want)) => wrong(setting, value.to_string(), want),
            None => Ok(()),
        }
    }
}

/// What holds a picture back a thousand times as much as the filter pulls, leaves no more of the filter than anything above.
const STRONGEST: f64 = 1000.0;
const SIDES: std::ops::RangeInclusive<usize> = 16..=512;
