//! The compiled form of a frozen network: what runs once per photo, on one thread, without allocating.
//!
//! - Batch norm is folded in; bias, ReLU6 and residuals are applied while sums are still in registers.
//! - An inverted residual runs in stripes of rows: what the expansion makes of a few rows stays in the L2 cache until
//!   the projection has used it. The wide middle of a block never exists as a whole.
//! - The mean over all pixels is taken as the last layer makes them.
//! - One photo, one thread: threads share the weights and nothing else, so they never wait for each other.

pub(super) mod pack;
mod run;
mod spec;

#[cfg(test)]
mod tests;

pub(super) use spec::{BlockSpec, Conv, PlanSpec, digest};

use super::kernels::{Kernels, LANES, Packed, PackedDepthwise};
use super::photo::PhotoFrame;
use crate::{Error, Result};

/// Memory that a stripe may fill: a quarter to a half of a common L2 cache, as activations and weights pass through it
/// too. Measured, anything from 128 to 512 KiB is alike.
const STRIPE_BYTES: usize = 256 << 10;

/// A network compiled for one machine and one size of photo.
#[derive(Debug)]
pub(super) struct Plan {
    kernels: Kernels,
    photo: PhotoFrame,
    steps: Vec<Step>,
    last: Packed,
    features: usize,
    sizes: Sizes,
}

/// Rows, columns and blocks of 16 channels of an activation.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Size {
    height: usize,
    width: usize,
    blocks: usize,
}

impl Size {
    fn pixels(self) -> usize {
        self.height * self.width
    }
    fn total(self) -> usize {
        self.pixels() * self.blocks
    }
}

/// Where a depthwise convolution has its rows from.
#[derive(Debug)]
enum Source {
    /// The stem makes them, from the photo.
    Stem(Packed),
    /// The expansion makes them, from the activation before.
    Expand(Packed),
    /// They are the activation before.
    Input,
}

#[derive(Debug)]
enum Step {
    /// The stem on its own: only where the first block has an expansion.
    Stem { stem: Packed, output: Size },
    /// An inverted residual; the first one may begin with the stem.
    Residual(Inverted),
}

#[derive(Debug)]
struct Inverted {
    source: Source,
    depthwise: PackedDepthwise,
    project: Packed,
    residual: bool,
    /// What comes in: of no use to the stem.
    input: Size,
    /// What the depthwise convolution sees.
    middle: Size,
    output: Size,
    /// Output rows at a time.
    stripe: usize,
    /// Rows of the middle that are kept.
    ring: usize,
}

/// Blocks of scratch memory that the largest step needs.
#[derive(Clone, Copy, Debug, Default)]
struct Sizes {
    activation: usize,
    ring: usize,
    stripe: usize,
    row: usize,
}

impl Plan {
    /// Compiles `spec` for photos of `height` x `width`.
    ///
    /// # Errors
    /// Where the network is not of the kind that [`PlanSpec`] describes, or the photos have no pixels.
    pub fn new(spec: &PlanSpec, side: (usize, usize), kernels: Kernels) -> Result<Self> {
        Self::in_stripes(spec, side, kernels, STRIPE_BYTES)
    }

    /// As [`new`](Self::new), with stripes that fill `bytes` in place of the usual.
    fn in_stripes(spec: &PlanSpec, (height, width): (usize, usize), kernels: Kernels, bytes: usize) -> Result<Self> {
        spec.check()?;
        if height == 0 || width == 0 {
            return Err(Error::shape("the frozen plan", "(N, 3, H, W), H and W above 0", &[3, height, width]));
        }
        let half = |n: usize| n.div_ceil(2);
        let stem = pack::dense(&spec.stem, kernels);
        let mut size = Size { height: half(height), width: half(width), blocks: stem.bias.len() };
        let mut steps = Vec::new();
        let mut source = Some(Source::Stem(stem));
        for block in &spec.blocks {
            // A residual adds the block's input, so that has to be there.
            if block.expand.is_some() || block.residual {
                steps.extend(Self::lone_stem(&mut source, size));
            }
            let own = block.expand.as_ref().map_or(Source::Input, |conv| Source::Expand(pack::dense(conv, kernels)));
            let step = Inverted::new(block, source.take().unwrap_or(own), size, kernels, bytes);
            size = step.output;
            steps.push(Step::Residual(step));
        }
        steps.extend(Self::lone_stem(&mut source, size));
        let sizes = steps.iter().fold(Sizes::default(), |sizes, step| sizes.with(step));
        let (last, features) = (pack::dense(&spec.last, kernels), spec.last.outputs());
        let photo = PhotoFrame { height, width, border: 1 };
        Ok(Self { kernels, photo, steps, last, features, sizes })
    }

    fn lone_stem(source: &mut Option<Source>, output: Size) -> Option<Step> {
        match source.take() {
            Some(Source::Stem(stem)) => Some(Step::Stem { stem, output }),
            _ => None,
        }
    }
}

impl Inverted {
    fn new(block: &BlockSpec, source: Source, input: Size, kernels: Kernels, bytes: usize) -> Self {
        let depthwise = pack::depthwise(&block.depthwise);
        let project = pack::dense(&block.project, kernels);
        let stride = depthwise.stride;
        let middle = Size { blocks: depthwise.weights.len() / 10, ..input };
        let (height, width) = (input.height.div_ceil(stride), input.width.div_ceil(stride));
        let output = Size { height, width, blocks: project.bias.len() };
        let row_bytes = (stride * middle.width + width) * middle.blocks * LANES * size_of::<f32>();
        let stripe = (bytes / row_bytes.max(1)).clamp(1, height.max(1));
        // As even as they come: 14 rows are 7 and 7, not 13 and 1.
        let stripe = height.div_ceil(height.div_ceil(stripe).max(1));
        let ring = ((stripe - 1) * stride + 3).min(middle.height);
        Self { source, depthwise, project, residual: block.residual, input, middle, output, stripe, ring }
    }
}

impl Sizes {
    fn with(self, step: &Step) -> Self {
        match step {
            Step::Stem { output, .. } => Self { activation: self.activation.max(output.total()), ..self },
            Step::Residual(step) => {
                let ring = step.ring * step.middle.width * step.middle.blocks;
                let stripe = step.stripe * step.output.width * step.middle.blocks;
                Self {
                    activation: self.activation.max(step.output.total()),
                    ring: self.ring.max(ring),
                    stripe: self.stripe.max(stripe),
                    row: self.row.max(step.middle.width),
                }
            }
        }
    }
}
