//! The largest of each 3x3 window: one pass forwards and one backwards.
//!
//! As maxima of maxima, each finds its gradient in some ten passes over the activations.

use super::contiguous::{is_ours_anywhere, values};
#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::{CpuStorage, CustomOp1, CustomOp2, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;

/// Whether [`largest`] can take this: on the CPU in f32, on a GPU in halves too.
pub(super) fn applies(x: &Tensor) -> bool {
    is_ours_anywhere(x)
}

/// The largest of each 3x3 window, two pixels apart: `(N, C, H, W)`, H and W at least 3, to
/// `(N, C, (H - 1) / 2, (W - 1) / 2)`; differentiable, once. A window that holds what is no number gives that.
pub(super) fn largest(x: &Tensor) -> Result<Tensor> {
    x.contiguous()?.apply_op1(Forward)
}

/// The gradient of the input `x` of [`largest`], from that of what comes out.
pub(super) fn to_input(x: &Tensor, gradient: &Tensor) -> Result<Tensor> {
    x.contiguous()?.apply_op2_no_bwd(&gradient.contiguous()?, &Backward)
}

struct Forward;
/// The gradient of the input: arguments input and gradient of the output.
struct Backward;

impl CustomOp1 for Forward {
    fn name(&self) -> &'static str {
        "max-pool"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let windows = Windows::of(layout)?;
        let x = values(x, layout, self.name())?;
        let mut out = vec![0f32; windows.planes * windows.rows * windows.columns];
        out.par_chunks_mut(windows.rows * windows.columns).zip(x.par_chunks(windows.plane())).for_each(|(out, x)| {
            windows.each_largest(x, |window, pixel| out[window] = x[pixel]);
        });
        let (photos, channels, _, _) = layout.shape().dims4()?;
        Ok((CpuStorage::F32(out), (photos, channels, windows.rows, windows.columns).into()))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, x: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
        crate::cuda::run(&crate::cuda::max_pool(layout.shape().dims4()?, false)?, &[(x, layout)])
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        Ok(Some(x.contiguous()?.apply_op2_no_bwd(&gradient.contiguous()?, &Backward)?))
    }
}

impl CustomOp2 for Backward {
    fn name(&self) -> &'static str {
        "max-pool-backward"
    }

    fn cpu_fwd(&self, x: &CpuStorage, xl: &Layout, g: &CpuStorage, gl: &Layout) -> Result<(CpuStorage, Shape)> {
        let windows = Windows::of(xl)?;
        let (x, g) = (values(x, xl, self.name())?, values(g, gl, self.name())?);
        let mut to_x = vec![0f32; x.len()];
        let gradients = g.par_chunks(windows.rows * windows.columns);
        to_x.par_chunks_mut(windows.plane())
            .zip(x.par_chunks(windows.plane()).zip(gradients))
            .for_each(|(to_x, (x, g))| windows.each_largest(x, |window, pixel| to_x[pixel] += g[window]));
        Ok((CpuStorage::F32(to_x), xl.shape().clone()))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, x: &CudaStorage, xl: &Layout, g: &CudaStorage, gl: &Layout) -> Result<(CudaStorage, Shape)> {
        crate::cuda::run(&crate::cuda::max_pool(xl.shape().dims4()?, true)?, &[(x, xl), (g, gl)])
    }
}

/// How many windows there are.
struct Windows {
    planes: usize,
    height: usize,
    width: usize,
    rows: usize,
    columns: usize,
}

impl Windows {
    fn of(layout: &Layout) -> Result<Self> {
        let (photos, channels, height, width) = layout.shape().dims4()?;
        if height < 3 || width < 3 {
            bail!("a window of 3x3 does not fit into {height}x{width} pixels");
        }
        Ok(Self { planes: photos * channels, height, width, rows: (height - 1) / 2, columns: (width - 1) / 2 })
    }

    fn plane(&self) -> usize {
        self.height * self.width
    }

    /// Calls `found(window, pixel)` with the largest pixel of each window, the first of equals.
    fn each_largest(&self, x: &[f32], mut found: impl FnMut(usize, usize)) {
        for row in 0..self.rows {
            for column in 0..self.columns {
                let corner = 2 * (row * self.width + column);
                let mut largest = corner;
                for y in 0..3 {
                    for pixel in corner + y * self.width..corner + y * self.width + 3 {
                        if x[pixel] > x[largest] || x[pixel].is_nan() {
                            largest = pixel;
                        }
                    }
                }
                found(row * self.columns + column, largest);
            }
        }
    }
}
