//! Random weights with the statistics of a trained network, for tests and benchmarks.

use super::{BatchNorm, imagenet};
use crate::Result;
use candle_core::{Device, Tensor};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

/// A stream of numbers that is the same on every machine: ChaCha8 by its definition, no distribution of a library.
pub(super) struct Random(ChaCha8Rng);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    /// Values between `middle - reach` and `middle + reach`, evenly spread.
    fn around(&mut self, shape: &[usize], middle: f32, reach: f32) -> Result<Tensor> {
        let count = shape.iter().product();
        // 24 bits make an f32 in [-1, 1) exactly.
        let mut value = || middle + reach * ((self.0.next_u32() >> 8) as f32 / (1u32 << 23) as f32 - 1.);
        let values: Vec<f32> = (0..count).map(|_| value()).collect();
        Ok(Tensor::from_vec(values, shape, &Device::Cpu)?)
    }

    /// Kaiming's kernel of `shape`, whose outputs have the mean square `flow` of its inputs, and a batch norm that
    /// expects just that.
    pub(super) fn unit(&mut self, shape: &[usize; 4], flow: f32, eps: f64) -> Result<(Tensor, BatchNorm)> {
        let fan_in: usize = shape.iter().skip(1).product();
        let weight = self.around(shape, 0., (3. / fan_in as f32).sqrt())?;
        let channels = [shape[0]];
        let batch_norm = BatchNorm {
            weight: self.around(&channels, 1., 0.25)?,
            bias: self.around(&channels, 0., 0.25)?,
            running_mean: self.around(&channels, 0., 0.25 * flow.sqrt())?,
            running_var: self.around(&channels, flow, 0.25 * flow)?,
            eps,
        };
        Ok((weight, batch_norm))
    }

    /// Weight and bias of a head from `features` to ImageNet's classes.
    pub(super) fn classifier(&mut self, features: usize) -> Result<(Tensor, Tensor)> {
        let weight = self.around(&[imagenet::CLASSES, features], 0., (3. / features as f32).sqrt())?;
        Ok((weight, self.around(&[imagenet::CLASSES], 0., 0.1)?))
    }
}
