//! The head: one dense layer from a backbone's features to the logits of the learner's own classes.

use crate::{Error, Result};
use candle_core::{Device, Tensor, Var};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A dense layer, `logits = features · weightᵀ + bias`: the only part of a transfer model that learns.
///
/// It may end in a softmax: then its outputs are probabilities.
#[derive(Debug)]
pub struct Head {
    weight: Var,
    bias: Var,
    softmax: bool,
}

impl Head {
    /// A new head: weights uniform in ±√(6 / (features + classes)), biases zero. The same seed gives the same weights.
    ///
    /// Glorot and Bengio 2010, as Keras initialises a dense layer: large enough for gradients to flow, small enough
    /// for the softmax not to be sure of anything yet.
    ///
    /// # Errors
    /// Where candle cannot allocate.
    pub fn glorot(features: usize, classes: usize, seed: u64) -> Result<Self> {
        let limit = (6.0 / (features + classes).max(1) as f32).sqrt();
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let weight: Vec<f32> = (0..classes * features).map(|_| limit * (2.0 * random.random::<f32>() - 1.0)).collect();
        Self::from_weights(
            &Tensor::from_vec(weight, (classes, features), &Device::Cpu)?,
            &Tensor::zeros(classes, candle_core::DType::F32, &Device::Cpu)?,
        )
    }

    /// A head with these weights `(K, F)` and biases `(K,)`, both f32.
    ///
    /// # Errors
    /// [`Error::Shape`] where the two do not fit each other.
    pub fn from_weights(weight: &Tensor, bias: &Tensor) -> Result<Self> {
        let (classes, _) = weight.dims2().map_err(|_| Error::shape("a head's weight", "(K, F)", weight.dims()))?;
        if bias.dims() != [classes] {
            return Err(Error::shape("a head's bias", format!("({classes},)"), bias.dims()));
        }
        Ok(Self { weight: Var::from_tensor(weight)?, bias: Var::from_tensor(bias)?, softmax: false })
    }

    /// The same head with a softmax at its end, or without one.
    pub fn with_softmax(self, softmax: bool) -> Self {
        Self { softmax, ..self }
    }

    /// Whether it ends in a softmax.
    pub fn has_softmax(&self) -> bool {
        self.softmax
    }

    /// Features `(N, F)` to outputs `(N, K)`: logits, or probabilities where it ends in a softmax; differentiable.
    ///
    /// # Errors
    /// [`Error::Shape`] for features of another width: computed with another backbone?
    pub fn forward(&self, features: &Tensor) -> Result<Tensor> {
        let logits = self.logits(features)?;
        if self.softmax { Ok(candle_nn::ops::softmax(&logits, 1)?) } else { Ok(logits) }
    }

    /// Features `(N, F)` to logits `(N, K)`, whether or not a softmax follows; differentiable.
    ///
    /// # Errors
    /// As for [`forward`](Self::forward).
    pub fn logits(&self, features: &Tensor) -> Result<Tensor> {
        match features.dims() {
            [_, width] if *width == self.features() => {}
            got => return Err(Error::shape("the head", format!("(N, {})", self.features()), got)),
        }
        Ok(features.matmul(&self.weight.t()?)?.broadcast_add(&self.bias)?)
    }

    /// The weights `(K, F)`.
    pub fn weight(&self) -> &Tensor {
        self.weight.as_tensor()
    }

    /// The biases `(K,)`.
    pub fn bias(&self) -> &Tensor {
        self.bias.as_tensor()
    }

    /// How many features it takes.
    pub fn features(&self) -> usize {
        self.weight.dims().last().copied().unwrap_or(0)
    }

    /// How many classes it tells apart.
    pub fn classes(&self) -> usize {
        self.bias.elem_count()
    }

    /// How many numbers it learns: `K (F + 1)`.
    pub fn parameters(&self) -> usize {
        self.weight.elem_count() + self.bias.elem_count()
    }

    /// The same head: both have the same weights, and what one learns the other knows.
    pub(super) fn sharing_weights(&self) -> Self {
        Self { weight: self.weight.clone(), bias: self.bias.clone(), softmax: self.softmax }
    }

    /// What an optimizer changes.
    pub(super) fn variables(&self) -> Vec<Var> {
        vec![self.weight.clone(), self.bias.clone()]
    }

    /// A copy of the weights as they are now, for [`restore`](Self::restore).
    pub(super) fn snapshot(&self) -> Result<(Tensor, Tensor)> {
        Ok((self.weight.copy()?.detach(), self.bias.copy()?.detach()))
    }

    /// Takes back what a snapshot held.
    pub(super) fn restore(&self, (weight, bias): &(Tensor, Tensor)) -> Result<()> {
        self.weight.set(weight)?;
        Ok(self.bias.set(bias)?)
    }
}
