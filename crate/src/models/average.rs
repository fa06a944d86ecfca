//! The mean of each 3x3 window on the CPU: one pass forwards and one backwards.
//!
//! As sums of parts of padded tensors it takes ten passes, and more for its gradient.

use super::contiguous::{is_ours, values};
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

/// Whether [`average`] can take this: on the CPU in f32.
pub(super) fn applies(x: &Tensor) -> bool {
    is_ours(x)
}

/// The mean of the 3x3 window around each pixel: `(N, C, H, W)` to the same shape; differentiable, once. What lies beyond
/// the edge counts as zeros, or not at all.
pub(super) fn average(x: &Tensor, counts_padding: bool) -> Result<Tensor> {
    x.contiguous()?.apply_op1(Forward { counts_padding })
}

/// The gradient of the input of [`average`], from that of what comes out.
pub(super) fn to_input(gradient: &Tensor, counts_padding: bool) -> Result<Tensor> {
    gradient.contiguous()?.apply_op1_no_bwd(&Backward { counts_padding })
}

struct Forward {
    counts_padding: bool,
}
/// The gradient of the input: argument gradient of the output.
struct Backward {
    counts_padding: bool,
}

impl CustomOp1 for Forward {
    fn name(&self) -> &'static str {
        "average-pool"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        each_plane(x, layout, self.counts_padding, |windows, x, out| {
            windows.sums(x, out);
            windows.divide(out);
        })
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        to_input(gradient, self.counts_padding).map(Some)
    }
}

impl CustomOp1 for Backward {
    fn name(&self) -> &'static str {
        "average-pool-backward"
    }

    /// A pixel is in as many windows as are around it: each has its part of what that window's mean gets.
    fn cpu_fwd(&self, g: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        each_plane(g, layout, self.counts_padding, |windows, g, out| {
            let mut parts = g.to_vec();
            windows.divide(&mut parts);
            windows.sums(&parts, out);
        })
    }
}

fn each_plane(
    x: &CpuStorage,
    layout: &Layout,
    counts_padding: bool,
    work: impl Fn(&Windows, &[f32], &mut [f32]) + Sync,
) -> Result<(CpuStorage, Shape)> {
    let (_, _, height, width) = layout.shape().dims4()?;
    let windows = Windows::new(height, width, counts_padding);
    let (x, plane) = (values(x, layout, "average-pool")?, (height * width).max(1));
    let mut out = vec![0f32; x.len()];
    out.par_chunks_mut(plane).zip(x.par_chunks(plane)).for_each(|(out, x)| work(&windows, x, out));
    Ok((CpuStorage::F32(out), layout.shape().clone()))
}

/// One window around each pixel of a plane.
struct Windows {
    height: usize,
    width: usize,
    /// One over how many pixels each window has, row by row.
    shares: Vec<f32>,
}

impl Windows {
    fn new(height: usize, width: usize, counts_padding: bool) -> Self {
        let inside = |at: usize, length: usize| ((at + 2).min(length) - at.saturating_sub(1)) as f32;
        let share = |y: usize, x: usize| match counts_padding {
            true => 1. / 9.,
            false => 1. / inside(y, height) * (1. / inside(x, width)),
        };
        let shares = (0..height).flat_map(|y| (0..width).map(move |x| (y, x))).map(|(y, x)| share(y, x)).collect();
        Self { height, width, shares }
    }

    /// Onto `out`, which is zeros, the sum of each pixel and its up to eight neighbours.
    fn sums(&self, x: &[f32], out: &mut [f32]) {
        let (height, width) = (self.height, self.width);
        let mut column = vec![0f32; width];
        for (y, out) in out.chunks_mut(width.max(1)).enumerate() {
            column.fill(0.);
            for row in y.saturating_sub(1)..(y + 2).min(height) {
                column.iter_mut().zip(&x[row * width..]).for_each(|(sum, x)| *sum += x);
            }
            for (x, out) in out.iter_mut().enumerate() {
                *out = column[x.saturating_sub(1)..(x + 2).min(width)].iter().sum();
            }
        }
    }

    fn divide(&self, sums: &mut [f32]) {
        sums.iter_mut().zip(&self.shares).for_each(|(sum, share)| *sum *= share);
    }
}
