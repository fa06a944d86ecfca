//! What the plan of a frozen network launches, beside products of matrices: for one photo, and for as many as a batch has.
//!
//! Activations lie channels last, `(N, H, W, C)`.

use super::{Launch, Plan, code, count, number};
use crate::models::Activation;
use candle_core::Result;

/// Channels, rows and columns of what goes in or comes out.
pub(crate) type Size = (usize, usize, usize);

impl Launch {
    /// The same launch for so many photos, where it has been made for one.
    ///
    /// # Errors
    /// Where a kernel could not count their numbers.
    pub fn of(&self, photos: usize) -> Result<Self> {
        let Plan { channels, height, width, out_height, out_width, row, .. } = self.plan;
        let size = |side: i32| usize::try_from(side).unwrap_or(0);
        count(&[photos, size(channels), size(height), size(width)])?;
        count(&[photos, size(row), size(out_height), size(out_width)])?;
        let plan = Plan { photos: number(photos)?, threads: count(&[photos, self.writes()])?, ..self.plan };
        Ok(Self { plan, ..self.clone() })
    }

    /// How many photos it is for.
    #[cfg(test)]
    pub fn photos(&self) -> usize {
        usize::try_from(self.plan.photos).unwrap_or(0)
    }

    /// Channels that go in.
    #[cfg(test)]
    pub fn channels(&self) -> usize {
        usize::try_from(self.plan.channels).unwrap_or(0)
    }

    /// Numbers of a photo that goes in.
    pub fn input(&self) -> usize {
        let Plan { channels, height, width, .. } = self.plan;
        [channels, height, width].map(|side| usize::try_from(side).unwrap_or(0)).iter().product()
    }
}

/// `(bytes, factors and summands (6,))` of a photo to its numbers.
pub(crate) fn pixels(side: (usize, usize)) -> Result<Launch> {
    one("pixels", (3, side.0, side.1), (3, side.0, side.1))
}

/// Planes `(3, H, W)` of a photo, in f32, to the same channels last.
pub(crate) fn turned(side: (usize, usize)) -> Result<Launch> {
    one("turned", (3, side.0, side.1), (3, side.0, side.1))
}

/// `x` to what a kernel meets at each pixel that comes out of a convolution: rows of `row` numbers, tap by tap all channels,
/// zeros behind them.
pub(crate) fn window(
    input: Size,
    output: (usize, usize),
    kernel: (usize, usize),
    (stride, padding): (usize, (usize, usize)),
    row: usize,
) -> Result<Launch> {
    let launch = one("window", input, (row, output.0, output.1))?;
    let (rows, columns, stride) = (number(kernel.0)?, number(kernel.1)?, number(stride)?);
    let (above, left) = (number(padding.0)?, number(padding.1)?);
    Ok(Launch { plan: Plan { rows, columns, stride, above, left, ..launch.plan }, ..launch })
}

/// `(x, constants (11, C))` to a depthwise convolution of 3x3, four pixels a thread; the constants are nine taps, its bias
/// and the bias of `x`, which `before` follows.
pub(crate) fn channelwise(
    input: Size,
    output: (usize, usize),
    (stride, padding): (usize, (usize, usize)),
    (before, activation): (Activation, Activation),
) -> Result<Launch> {
    let launch = one("channelwise", input, (input.0, output.0, output.1))?;
    let plan = Plan {
        threads: count(&[input.0, output.0, output.1.div_ceil(4)])?,
        stride: number(stride)?,
        above: number(padding.0)?,
        left: number(padding.1)?,
        before: code(before),
        activation: code(activation),
        ..launch.plan
    };
    Ok(Launch { plan, ..launch })
}

/// `(x, bias (C,), what is added or nothing)` to `activation(x + bias)` and that.
pub(crate) fn settle(size: Size, activation: Activation) -> Result<Launch> {
    let launch = one("settle", size, size)?;
    Ok(Launch { plan: Plan { activation: code(activation), ..launch.plan }, ..launch })
}

/// `x` to the largest of each 3x3 window, two apart, into rows of `row` numbers.
pub(crate) fn pool_largest(input: Size, output: (usize, usize), row: usize) -> Result<Launch> {
    let launch = one("pool_largest", input, (row, output.0, output.1))?;
    Ok(Launch { plan: Plan { threads: count(&[input.0, output.0, output.1])?, ..launch.plan }, ..launch })
}

/// `x` to the mean of the 3x3 window around each pixel.
pub(crate) fn pool_mean(size: Size, counts_padding: bool) -> Result<Launch> {
    let launch = one("pool_mean", size, size)?;
    Ok(Launch { plan: Plan { padded: i32::from(counts_padding), ..launch.plan }, ..launch })
}

/// `(x, bias (C,))` to the mean of all pixels of each channel, in f32, behind bias and activation.
pub(crate) fn mean(size: Size, activation: Activation) -> Result<Launch> {
    let launch = one("mean", size, (size.0, 1, 1))?;
    Ok(Launch { plan: Plan { activation: code(activation), ..launch.plan }, ..launch })
}

/// One photo, a thread for each number that comes out.
fn one(kernel: &'static str, (channels, height, width): Size, output: Size) -> Result<Launch> {
    let plan = Plan {
        threads: count(&[output.0, output.1, output.2])?,
        photos: 1,
        channels: number(channels)?,
        height: number(height)?,
        width: number(width)?,
        out_height: number(output.1)?,
        out_width: number(output.2)?,
        row: number(output.0)?,
        ..Plan::default()
    };
    count(&[channels, height, width])?;
    Ok(Launch { kernel, plan, out: vec![output.1, output.2, output.0] })
}
