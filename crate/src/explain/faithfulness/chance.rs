//! What areas random maps get, which know nothing of the photo, and where a heat map's lies beside them.

use super::area;
use crate::Result;
use crate::explain::{HeatMap, Method, occlusion};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// The areas that random maps get.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Chance {
    /// Their mean.
    pub mean: f64,
    /// The smallest.
    pub least: f64,
    /// The largest.
    pub most: f64,
}

impl Chance {
    pub(super) fn of(curves: &[Vec<f64>]) -> Self {
        let areas: Vec<f64> = curves.iter().map(|curve| area(curve)).collect();
        let mean = areas.iter().sum::<f64>() / areas.len() as f64;
        if !mean.is_finite() {
            return Self { mean: f64::NAN, least: f64::NAN, most: f64::NAN };
        }
        let extend = |(least, most): (f64, f64), area: &f64| (least.min(*area), most.max(*area));
        let (least, most) = areas.iter().fold((f64::INFINITY, f64::NEG_INFINITY), extend);
        Self { mean, least, most }
    }

    /// Where an area lies, the larger the better; what is no number lies among them.
    pub(super) fn place(self, area: f64) -> Place {
        match area {
            area if area > self.most => Place::Better,
            area if area < self.least => Place::Worse,
            _ => Place::Among,
        }
    }
}

/// Where an area lies beside those of random maps.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Place {
    Better,
    Among,
    Worse,
}

impl Place {
    pub(super) fn opposite(self) -> Self {
        match self {
            Self::Better => Self::Worse,
            Self::Among => Self::Among,
            Self::Worse => Self::Better,
        }
    }

    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Better => "better than chance",
            Self::Among => "no better than chance",
            Self::Worse => "worse than chance",
        }
    }
}

/// Noise as coarse as a map of a photo of this side: values, rows, columns.
pub(in crate::explain) fn map_by_chance(map: &HeatMap, side: usize, seed: u64) -> Result<(Vec<f32>, usize, usize)> {
    let (height, width) = map.map.dims2()?;
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let values = match map.method {
        Method::Occlusion { patch, stride } if (height, width) == (side, side) => {
            occlusion::spread((side, side), (patch, stride), || random.random())?
        }
        _ => (0..height * width).map(|_| random.random()).collect(),
    };
    Ok((values, height, width))
}
