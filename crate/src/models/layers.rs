//! The layers that backbones are made of: a convolution, with the batch norm and the activation behind it.

use crate::Result;
use candle_core::Tensor;

/// The stored statistics and scale of a batch norm, each of shape `(C,)`.
#[derive(Clone, Debug)]
pub struct BatchNorm {
    /// Scale, gamma.
    pub weight: Tensor,
    /// Shift, beta.
    pub bias: Tensor,
    /// Mean of the training batches.
    pub running_mean: Tensor,
    /// Variance of the training batches.
    pub running_var: Tensor,
    /// Added to the variance before its root: 1e-5 in torchvision, 1e-3 in Keras.
    pub eps: f64,
}

/// A two-dimensional convolution without bias of its own, then a batch norm or (folded) a bias, then perhaps ReLU6.
#[derive(Clone, Debug)]
pub struct Convolution {
    /// Kernel `(O, I / groups, h, w)`.
    pub weight: Tensor,
    /// Bias `(O,)`: there once the batch norm has been folded in.
    pub bias: Option<Tensor>,
    /// The batch norm behind it; none once folded.
    pub batch_norm: Option<BatchNorm>,
    /// Step between output pixels, the same along rows and columns.
    pub stride: usize,
    /// Zeros added at each of the four sides.
    pub padding: usize,
    /// How many groups of channels are convolved apart; as many as channels makes it depthwise.
    pub groups: usize,
    /// Whether the result is clamped to 0..=6.
    pub relu6: bool,
}

/// One named layer of a network.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerInfo {
    /// Its name in the weights file: `features.18`.
    pub name: String,
    /// What it is, in a word or two: `InvertedResidual`.
    pub kind: &'static str,
    /// Channels, rows and columns that come out for an input of the usual side: `(C, h, w)`.
    pub output: (usize, usize, usize),
    /// Learnable numbers: kernels, scales and shifts.
    pub parameters: usize,
    /// Stored numbers that are not learnt by gradient: means and variances of batch norms. Keras counts them as parameters.
    pub statistics: usize,
}

impl Convolution {
    /// `(N, I, H, W)` to `(N, O, h, w)`; differentiable.
    ///
    /// # Errors
    /// Where the input's channels do not fit.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let _ = x;
        unimplemented!()
    }

    /// The same function with the batch norm folded into kernel and bias.
    ///
    /// # Errors
    /// Where the tensors' shapes do not fit each other.
    pub fn folded(&self) -> Result<Self> {
        unimplemented!()
    }
}
