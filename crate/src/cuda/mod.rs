//! Operations of our own on NVIDIA's GPUs: what is launched, and for which shapes.
//!
//! candle 0.11 runs a grouped convolution as one launch a channel, and has no gradient of a pool whose windows overlap.
//! `kernels.cu` has one kernel for each such operation, one thread a number, in f32 and both halves.
//!
//! The kernels are compiled when a process first needs them, by NVRTC, for the very GPU that is there. That asks for
//! nothing more: candle itself links NVRTC, and its own kernels are compiled by the toolkit's nvcc when it is built. It
//! leaves this crate without a build script, and the source is the same for every GPU.
//!
//! What this file says of an operation is all that a launch needs, and no GPU: so a test gives the same launches to the
//! same kernels on the host ([`host`]), and compares with the operations of the CPU number by number.

#[cfg(any(feature = "cuda", test))]
mod frozen;
#[cfg(feature = "cuda")]
mod gpu;
#[cfg(test)]
mod host;
#[cfg(feature = "cuda")]
mod machine;
#[cfg(test)]
mod tests;

#[cfg(any(feature = "cuda", test))]
pub(crate) use frozen::{Size, channelwise, mean, pixels, pool_largest, pool_mean, settle, turned, window};
#[cfg(feature = "cuda")]
pub(crate) use gpu::{Pinned, in_place, run, run_into, upload};
#[cfg(test)]
pub(crate) use host::{Host, host};
#[cfg(feature = "cuda")]
pub(crate) use machine::OnGpu;

use crate::models::Activation;
use candle_core::{Result, bail};

/// The kernels, for the compiler.
#[cfg(feature = "cuda")]
const SOURCE: &str = concat!(include_str!("kernels.cu"), include_str!("frozen.cu"));
/// Threads of a block.
#[cfg(feature = "cuda")]
const BLOCK: usize = 256;
/// Threads that a sum should have at least, so that all of a GPU takes part.
const BUSY: usize = 1 << 16;

/// What each kernel takes as its first argument; as `Plan` in `kernels.cu`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub(crate) struct Plan {
    threads: i32,
    photos: i32,
    channels: i32,
    height: i32,
    width: i32,
    out_height: i32,
    out_width: i32,
    rows: i32,
    columns: i32,
    stride: i32,
    above: i32,
    left: i32,
    activation: i32,
    slices: i32,
    row: i32,
    before: i32,
    padded: i32,
}

/// A kernel with its plan, and the shape of what comes out.
#[derive(Clone, Debug)]
pub(crate) struct Launch {
    /// The kernel's name, without the type behind it.
    pub kernel: &'static str,
    pub plan: Plan,
    pub out: Vec<usize>,
}

/// A convolution: what is on which side of it. Of one that is not depthwise, `channels` are those that go in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    pub photos: usize,
    pub channels: usize,
    pub input: (usize, usize),
    pub output: (usize, usize),
    pub kernel: (usize, usize),
    pub stride: usize,
    /// Rows of zeros above and below, columns left and right.
    pub padding: (usize, usize),
}

impl Window {
    /// `(x, kernel, bias or none)` to the output, with what follows it.
    pub fn forward(self, activation: Activation) -> Result<Launch> {
        let out = vec![self.photos, self.channels, self.output.0, self.output.1];
        let plan = Plan { activation: code(activation), ..self.plan(count(&out)?)? };
        Ok(Launch { kernel: "depthwise", plan, out })
    }

    /// `(gradient of the output, kernel)` to the gradient of the input.
    pub fn to_input(self) -> Result<Launch> {
        let out = vec![self.photos, self.channels, self.input.0, self.input.1];
        Ok(Launch { kernel: "depthwise_to_input", plan: self.plan(count(&out)?)?, out })
    }

    /// `(x, gradient of the output)` to the gradient of the kernel.
    pub fn to_kernel(self) -> Result<Launch> {
        let out = vec![self.channels, 1, self.kernel.0, self.kernel.1];
        sliced("depthwise_to_kernel", out, self.photos * self.output.0, |threads| self.plan(threads))
    }

    /// `x` to what each tap of each channel meets: `(photos, channels * taps, pixels of the output)`.
    pub fn unroll(self) -> Result<Launch> {
        let out = vec![self.photos, self.channels * self.kernel.0 * self.kernel.1, self.output.0 * self.output.1];
        Ok(Launch { kernel: "unroll", plan: self.plan(count(&out)?)?, out })
    }

    /// The gradient of what `unroll` makes to that of `x`.
    pub fn roll_up(self) -> Result<Launch> {
        // What is read is larger than what is written, and counted too.
        let read = self.unroll()?;
        let out = vec![self.photos, self.channels, self.input.0, self.input.1];
        Ok(Launch { kernel: "roll_up", plan: Plan { threads: count(&out)?, ..read.plan }, out })
    }

    fn plan(self, threads: i32) -> Result<Plan> {
        Ok(Plan {
            rows: number(self.kernel.0)?,
            columns: number(self.kernel.1)?,
            stride: number(self.stride)?,
            above: number(self.padding.0)?,
            left: number(self.padding.1)?,
            ..planes(threads, (self.photos, self.channels), self.input, self.output)?
        })
    }
}

/// `(x, factor or none, summand or none)` to `activation(x * factor + summand)`, for `(N, C, H, W)` and `(C,)`.
pub(crate) fn scale(shape: (usize, usize, usize, usize), activation: Activation) -> Result<Launch> {
    let (photos, channels, height, width) = shape;
    let out = vec![photos, channels, height, width];
    let plan = planes(count(&out)?, (photos, channels), (height, width), (height, width))?;
    Ok(Launch { kernel: "scale", plan: Plan { activation: code(activation), ..plan }, out })
}

/// `(x, gradient)` to the gradients of factor and summand, `(2, C)`.
#[cfg_attr(not(feature = "cuda"), allow(dead_code))]
pub(crate) fn scale_to_both((photos, channels, height, width): (usize, usize, usize, usize)) -> Result<Launch> {
    let plan = |threads| planes(threads, (photos, channels), (height, width), (height, width));
    sliced("scale_to_both", vec![2, channels], photos * height, plan)
}

/// `x` to its ReLU or ReLU6, or `(x, gradient)` back.
pub(crate) fn relu(shape: &[usize], activation: Activation, backward: bool) -> Result<Launch> {
    let kernel = if backward { "relu_backward" } else { "relu" };
    let plan = Plan { threads: count(shape)?, activation: code(activation), ..Plan::default() };
    Ok(Launch { kernel, plan, out: shape.to_vec() })
}

/// `x` to the largest of each 3x3 window, two apart, or `(x, gradient)` back.
pub(crate) fn max_pool(shape: (usize, usize, usize, usize), backward: bool) -> Result<Launch> {
    let (photos, channels, height, width) = shape;
    let (down, across) = (height.saturating_sub(1) / 2, width.saturating_sub(1) / 2);
    let (kernel, out) = match backward {
        false => ("max_pool", vec![photos, channels, down, across]),
        true => ("max_pool_backward", vec![photos, channels, height, width]),
    };
    Ok(Launch { kernel, plan: planes(count(&out)?, (photos, channels), (height, width), (down, across))?, out })
}

/// `(bytes (N, H, W, 3), factor (3,), summand (3,))`, these in f32, to `(N, 3, H, W)`.
pub(crate) fn normalise(photos: usize, (height, width): (usize, usize)) -> Result<Launch> {
    let out = vec![photos, 3, height, width];
    let plan = planes(count(&out)?, (photos, 3), (height, width), (height, width))?;
    Ok(Launch { kernel: "planes", plan, out })
}

impl Launch {
    /// The launch that makes sums of slices, where this one only makes slices.
    pub fn finish(&self) -> Option<Self> {
        (self.plan.slices > 0).then(|| {
            let threads = self.plan.threads / self.plan.slices;
            Self { kernel: "finish", plan: Plan { threads, ..self.plan }, out: self.out.clone() }
        })
    }

    /// How many numbers a kernel writes: slices, where sums are made of slices.
    pub fn writes(&self) -> usize {
        usize::try_from(self.plan.threads).unwrap_or(0)
    }
}

/// Sums over so many lines, cut so finely that enough threads take part.
fn sliced(kernel: &'static str, out: Vec<usize>, lines: usize, plan: impl Fn(i32) -> Result<Plan>) -> Result<Launch> {
    let sums = usize::try_from(count(&out)?).unwrap_or(0).max(1);
    let slices = BUSY.div_ceil(sums).clamp(1, lines.max(1));
    let plan = Plan { slices: number(slices)?, ..plan(number(sums * slices)?)? };
    Ok(Launch { kernel, plan, out })
}

fn planes(
    threads: i32,
    (photos, channels): (usize, usize),
    input: (usize, usize),
    output: (usize, usize),
) -> Result<Plan> {
    // Kernels count input and output in 32 bits.
    count(&[photos, channels, input.0, input.1])?;
    count(&[photos, channels, output.0, output.1])?;
    Ok(Plan {
        threads,
        photos: number(photos)?,
        channels: number(channels)?,
        height: number(input.0)?,
        width: number(input.1)?,
        out_height: number(output.0)?,
        out_width: number(output.1)?,
        ..Plan::default()
    })
}

fn code(activation: Activation) -> i32 {
    match activation {
        Activation::Linear => 0,
        Activation::Relu => 1,
        Activation::Relu6 => 2,
    }
}

/// How many numbers a tensor of this shape has.
fn count(shape: &[usize]) -> Result<i32> {
    match shape.iter().try_fold(1usize, |product, side| product.checked_mul(*side)) {
        Some(count) => number(count),
        None => bail!("a tensor of shape {shape:?} has more numbers than can be counted"),
    }
}

fn number(count: usize) -> Result<i32> {
    match i32::try_from(count) {
        Ok(count) => Ok(count),
        Err(_) => bail!("{count} numbers are too many for one launch: take fewer photos at a time"),
    }
}
