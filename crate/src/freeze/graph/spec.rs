//! What a graph is compiled from, and which networks can be.

use crate::freeze::kernels::LANES;
use crate::freeze::plan::Conv;
use crate::models::{Block, Step};
use crate::{Error, Result};

/// A network of layers with branches, up to the mean over all pixels: InceptionV3 and its like.
#[derive(Clone, Debug)]
pub(in crate::freeze) struct GraphSpec {
    /// The first is a single convolution of stride 2 over the photo's three channels, without padding.
    pub blocks: Vec<Block<Conv>>,
    /// Whether average pools count zeros beyond the edge.
    pub counts_padding: bool,
}

/// Channels, rows and columns of an activation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size {
    pub channels: usize,
    pub height: usize,
    pub width: usize,
}

impl GraphSpec {
    /// All convolutions in order.
    pub fn convolutions(&self) -> impl Iterator<Item = &Conv> {
        self.blocks.iter().flat_map(Block::units)
    }
}

/// What comes out of the first convolution.
///
/// # Errors
/// Where it is not as [`GraphSpec::blocks`] says, or the photo is too small for it.
pub(super) fn after_stem(name: &str, conv: &Conv, (height, width): (usize, usize)) -> Result<Size> {
    if conv.shape[1..] != [3, 3, 3] || (conv.stride, conv.padding, conv.groups) != (2, (0, 0), 1) {
        return Err(refused(name, conv, "it begins with a 3x3 convolution of stride 2 over three channels"));
    }
    after(name, conv, Size { channels: 3, height, width })
}

/// What comes out of a convolution of `input`.
///
/// # Errors
/// Where it does not fit the input, or is of a kind for which there is no kernel.
pub(super) fn after(name: &str, conv: &Conv, input: Size) -> Result<Size> {
    let [outputs, inputs, rows, columns] = conv.shape;
    let numbers = [outputs, inputs, rows, columns].iter().try_fold(1usize, |product, size| product.checked_mul(*size));
    if numbers != Some(conv.weight.len())
        || conv.bias.len() != outputs
        || outputs == 0
        || !outputs.is_multiple_of(LANES)
    {
        return Err(refused(name, conv, "its channels come in sixteens"));
    }
    if inputs != input.channels || conv.groups != 1 || !matches!(conv.stride, 1 | 2) {
        return Err(refused(name, conv, "it takes convolutions of stride 1 or 2 over all channels that come in"));
    }
    let (height, width) = (input.height + 2 * conv.padding.0, input.width + 2 * conv.padding.1);
    if rows == 0 || columns == 0 || height < rows || width < columns {
        return Err(refused(name, conv, "its kernels fit into what comes in"));
    }
    let along = |padded: usize, kernel: usize| (padded - kernel) / conv.stride + 1;
    Ok(Size { channels: outputs, height: along(height, rows), width: along(width, columns) })
}

/// What comes out of a whole step.
///
/// # Errors
/// As for [`after`], and where two convolutions side by side do not end alike, or a window is larger than the input.
pub(super) fn after_step(name: &str, step: &Step<Conv>, input: Size) -> Result<Size> {
    match step {
        Step::Convolution(conv) => after(name, conv, input),
        Step::Split([left, right]) => {
            let (left, other) = (after(name, left, input)?, after(name, right, input)?);
            joined(name, left, other)
        }
        Step::MaxPool if input.height < 3 || input.width < 3 => {
            Err(unlike(name, "at least 3x3 pixels for a pool", input))
        }
        Step::MaxPool => Ok(Size { height: (input.height - 1) / 2, width: (input.width - 1) / 2, ..input }),
        Step::AveragePool => Ok(input),
    }
}

/// Two activations joined along channels.
///
/// # Errors
/// Where they have not as many rows and columns.
pub(super) fn joined(name: &str, left: Size, right: Size) -> Result<Size> {
    if (left.height, left.width) != (right.height, right.width) {
        return Err(unlike(name, &format!("branches that end alike, with {}x{}", left.height, left.width), right));
    }
    Ok(Size { channels: left.channels + right.channels, ..left })
}

fn refused(name: &str, conv: &Conv, want: &str) -> Error {
    let got = format!("{name} {:?}, stride {}, {} groups", conv.shape, conv.stride, conv.groups);
    Error::Setting { setting: "the frozen plan", got, want: want.into() }
}

fn unlike(name: &str, want: &str, got: Size) -> Error {
    Error::shape(format!("the frozen plan, {name},"), want, &[got.channels, got.height, got.width])
}
