//! What comes out of convolutions and pools, and which of them no plan can be made of.

use crate::cuda::Size;
use crate::freeze::plan::Conv;
use crate::models;
use crate::{Error, Result};

/// A step of a network with branches.
pub(super) type GraphStep = models::Step<Conv>;

/// What comes out of a dense convolution.
pub(super) fn after(conv: &Conv, (channels, height, width): Size) -> Result<Size> {
    let [outputs, inputs, rows, columns] = conv.shape;
    let numbers = [outputs, inputs, rows, columns].iter().try_fold(1usize, |product, size| product.checked_mul(*size));
    if conv.groups != 1 || inputs != channels || numbers != Some(conv.weight.len()) || conv.bias.len() != outputs {
        return Err(refused("convolutions over all channels that come in", conv));
    }
    let (height, width) = along(conv, (channels, height, width))?;
    Ok((outputs, height, width))
}

/// Rows and columns that come out of a convolution.
pub(super) fn along(conv: &Conv, (_, height, width): Size) -> Result<(usize, usize)> {
    let [.., rows, columns] = conv.shape;
    let one = |size: usize, padding: usize, kernel: usize| {
        let left = (size + 2 * padding).checked_sub(kernel)?;
        Some(left.checked_div(conv.stride)? + 1)
    };
    let sides = one(height, conv.padding.0, rows).zip(one(width, conv.padding.1, columns));
    sides.filter(|_| rows * columns > 0).ok_or_else(|| refused("kernels that fit into what comes in", conv))
}

/// What comes out of a step.
pub(super) fn after_step(step: &GraphStep, size: Size) -> Result<Size> {
    match step {
        models::Step::Convolution(conv) => after(conv, size),
        models::Step::Split([left, right]) => {
            let (left, right) = (after(left, size)?, after(right, size)?);
            Ok((left.0 + right.0, left.1, left.2))
        }
        models::Step::MaxPool if size.1 < 3 || size.2 < 3 => Err(wrong("at least 3x3 pixels for a pool")),
        models::Step::MaxPool => Ok((size.0, (size.1 - 1) / 2, (size.2 - 1) / 2)),
        models::Step::AveragePool => Ok(size),
    }
}

/// That a convolution is not of a kind it takes.
pub(super) fn refused(want: &str, conv: &Conv) -> Error {
    let got = format!("a convolution {:?}, stride {}, {} groups", conv.shape, conv.stride, conv.groups);
    Error::Setting { setting: "the frozen plan", got, want: format!("it takes {want}") }
}

/// That a network is not.
pub(super) fn wrong(want: &str) -> Error {
    Error::Setting { setting: "the frozen plan", got: "another network".to_owned(), want: format!("it takes {want}") }
}
