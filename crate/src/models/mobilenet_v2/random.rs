//! Random weights with the statistics of a trained network, for tests and benchmarks.

use super::table::{self, FEATURES, Unit};
use super::{BatchNorm, EPS};
use crate::Result;
use crate::models::imagenet;
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

    /// Kernel and batch norm of every convolution, in order.
    pub(super) fn blocks(&mut self) -> Result<Vec<(Tensor, BatchNorm)>> {
        let mut all = Vec::new();
        // The mean square of what flows: 1 for preprocessed photos, 1 after a batch norm, half of it after ReLU6.
        let mut flow = 1.;
        for block in table::blocks() {
            let mut inside = flow;
            for unit in &block.units {
                all.push(self.unit(unit, inside)?);
                inside = if unit.activation.is_some() { 0.5 } else { 1. };
            }
            flow = if block.residual { flow + inside } else { inside };
        }
        Ok(all)
    }

    /// Kaiming's kernel, whose outputs have the mean square of its inputs, and a batch norm that expects just that.
    fn unit(&mut self, unit: &Unit, flow: f32) -> Result<(Tensor, BatchNorm)> {
        let shape = unit.shape();
        let fan_in: usize = shape.iter().skip(1).product();
        let weight = self.around(&shape, 0., (3. / fan_in as f32).sqrt())?;
        let channels = [unit.output];
        let batch_norm = BatchNorm {
            weight: self.around(&channels, 1., 0.25)?,
            bias: self.around(&channels, 0., 0.25)?,
            running_mean: self.around(&channels, 0., 0.25 * flow.sqrt())?,
            running_var: self.around(&channels, flow, 0.25 * flow)?,
            eps: EPS,
        };
        Ok((weight, batch_norm))
    }

    /// Weight and bias of a head for ImageNet's classes.
    pub(super) fn classifier(&mut self) -> Result<(Tensor, Tensor)> {
        let weight = self.around(&[imagenet::CLASSES, FEATURES], 0., (3. / FEATURES as f32).sqrt())?;
        Ok((weight, self.around(&[imagenet::CLASSES], 0., 0.1)?))
    }
}
