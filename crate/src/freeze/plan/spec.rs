//! What a plan is compiled from: convolutions with the batch norm folded in, in neutral words.

use crate::fetch::Hasher;
use crate::models::{Activation, Convolution};
use crate::{Error, Result};
use candle_core::{DType, Device};

/// A convolution as numbers.
#[derive(Clone, Debug)]
pub(in crate::freeze) struct Conv {
    /// Output channels, input channels of a group, rows, columns: the order of `weight`.
    pub shape: [usize; 4],
    pub weight: Vec<f32>,
    /// One for each output channel.
    pub bias: Vec<f32>,
    pub stride: usize,
    /// Zeros above and below, left and right.
    pub padding: (usize, usize),
    pub groups: usize,
    pub activation: Activation,
}

/// An inverted residual: pointwise up, depthwise 3x3, pointwise down.
#[derive(Clone, Debug)]
pub(in crate::freeze) struct BlockSpec {
    pub expand: Option<Conv>,
    pub depthwise: Conv,
    pub project: Conv,
    /// Whether the block's input is added to its output.
    pub residual: bool,
}

/// A network of inverted residuals, Sandler et al. 2018 (arXiv 1801.04381), up to the mean over all pixels.
#[derive(Clone, Debug)]
pub(in crate::freeze) struct PlanSpec {
    /// 3x3, stride 2, three channels in.
    pub stem: Conv,
    pub blocks: Vec<BlockSpec>,
    /// 1x1; its mean over rows and columns is the features.
    pub last: Conv,
}

impl Conv {
    /// The numbers of a folded convolution; a missing bias is zero.
    ///
    /// # Errors
    /// Where a batch norm is left, or the bias does not fit the kernel.
    pub fn of(layer: &Convolution) -> Result<Self> {
        let what = "the frozen plan";
        if layer.batch_norm.is_some() {
            return Err(Error::Setting {
                setting: "batch norm",
                got: "not folded".into(),
                want: "the frozen plan takes folded convolutions".into(),
            });
        }
        let (outputs, inputs, rows, columns) = layer.weight.dims4()?;
        let numbers = |tensor: &candle_core::Tensor| -> Result<Vec<f32>> {
            Ok(tensor.to_device(&Device::Cpu)?.to_dtype(DType::F32)?.flatten_all()?.to_vec1()?)
        };
        let bias = layer.bias.as_ref().map_or_else(|| Ok(vec![0.0; outputs]), &numbers)?;
        if bias.len() != outputs {
            return Err(Error::shape(what, format!("({outputs},)"), &[bias.len()]));
        }
        Ok(Self {
            shape: [outputs, inputs, rows, columns],
            weight: numbers(&layer.weight)?,
            bias,
            stride: layer.stride,
            padding: layer.padding,
            groups: layer.groups,
            activation: layer.activation,
        })
    }

    pub fn outputs(&self) -> usize {
        self.shape[0]
    }

    /// Whether the numbers are as many as the shape says, and the kernel is `side` x `side` with the padding that
    /// keeps the middle in the middle.
    fn is_square(&self, side: usize) -> bool {
        let [outputs, inputs, rows, columns] = self.shape;
        (rows, columns, self.padding) == (side, side, (side / 2, side / 2))
            && outputs > 0
            && self.bias.len() == outputs
            && self.weight.len() == outputs * inputs * side * side
    }

    fn is_pointwise(&self, inputs: usize) -> bool {
        self.is_square(1) && self.shape[1] == inputs && (self.stride, self.groups) == (1, 1)
    }

    fn is_depthwise(&self, channels: usize) -> bool {
        let same = self.shape[0] == channels && self.shape[1] == 1 && self.groups == channels;
        self.is_square(3) && same && matches!(self.stride, 1 | 2)
    }
}

/// Tells weights apart by their numbers, whatever they are called: a name that somebody chose stays when they change.
/// The first 16 hexadecimal digits of a sha256.
pub(in crate::freeze) fn digest<'a>(convolutions: impl Iterator<Item = &'a Conv>) -> String {
    let mut hasher = Hasher::default();
    for conv in convolutions {
        for numbers in [&conv.weight, &conv.bias] {
            // The length keeps a number from moving from one tensor to the next unseen.
            let bytes = numbers.iter().flat_map(|number| number.to_le_bytes());
            hasher.update(&(numbers.len() as u64).to_le_bytes());
            hasher.update(&bytes.collect::<Vec<u8>>());
        }
    }
    let mut hex = hasher.hex();
    hex.truncate(16);
    hex
}

impl PlanSpec {
    /// Its convolutions in order.
    pub fn convolutions(&self) -> impl Iterator<Item = &Conv> {
        let middle = self.blocks.iter().flat_map(|block| block.expand.iter().chain([&block.depthwise, &block.project]));
        [&self.stem].into_iter().chain(middle).chain([&self.last])
    }

    /// Says which part no plan can be made of, if there is one.
    ///
    /// # Errors
    /// The part, and what it would have to be.
    pub fn check(&self) -> Result<()> {
        let refuse = |part: String, conv: &Conv, want: &str| {
            let got = format!("{:?}, stride {}, {} groups", conv.shape, conv.stride, conv.groups);
            Err(Error::Setting { setting: "the frozen plan", got: format!("{part} {got}"), want: want.into() })
        };
        let stem = &self.stem;
        if !stem.is_square(3) || (stem.shape[1], stem.stride, stem.groups) != (3, 2, 1) {
            return refuse("stem".into(), stem, "it takes a 3x3 stem of stride 2 over three channels");
        }
        let mut channels = stem.outputs();
        for (i, block) in self.blocks.iter().enumerate() {
            let input = channels;
            if let Some(expand) = &block.expand {
                if !expand.is_pointwise(channels) {
                    return refuse(format!("block {i}, expand"), expand, "it takes a 1x1 that fits what comes in");
                }
                channels = expand.outputs();
            }
            if !block.depthwise.is_depthwise(channels) {
                return refuse(format!("block {i}, depthwise"), &block.depthwise, "it takes 3x3 of stride 1 or 2");
            }
            if !block.project.is_pointwise(channels) {
                return refuse(format!("block {i}, project"), &block.project, "it takes a 1x1 that fits what comes in");
            }
            channels = block.project.outputs();
            if block.residual && (block.depthwise.stride, channels) != (1, input) {
                return refuse(format!("block {i}, residual"), &block.project, "input and output must be alike");
            }
        }
        if !self.last.is_pointwise(channels) {
            return refuse("last".into(), &self.last, "it takes a 1x1 that fits what comes in");
        }
        Ok(())
    }
}
