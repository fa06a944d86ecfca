//! Convolutions on a GPU as products of matrices, forwards and backwards: unrolled by one launch, multiplied by cuBLAS.
//!
//! What [`columns`](super::columns) is on the CPU. candle's own find the gradient of a kernel even where it is frozen, and
//! that of the input by one thread a pixel that walks all taps of all channels; none where other numbers of pixels are left
//! over at the right and below.

use super::contiguous::is_ours_anywhere;
use super::taps::Taps;
use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CudaStorage, CustomOp1, CustomOp2, Layout, Result, Shape, Tensor, bail};

/// Whether [`convolve`] can convolve these: both on a GPU, in one of our types.
pub(super) fn applies(x: &Tensor, kernel: &Tensor) -> bool {
    x.device().is_cuda() && is_ours_anywhere(x) && is_ours_anywhere(kernel) && x.dtype() == kernel.dtype()
}

/// `(N, I, H, W)` with `(O, I, h, w)` to `(N, O, H', W')`; differentiable in both, once. The kernel must fit.
pub(super) fn convolve(x: &Tensor, kernel: &Tensor, stride: usize, padding: (usize, usize)) -> Result<Tensor> {
    let (_, _, height, width) = x.dims4()?;
    let (_, _, rows, columns) = kernel.dims4()?;
    let taps = Taps { stride, padding, input: (height, width), kernel: (rows, columns) };
    x.contiguous()?.apply_op2(&kernel.contiguous()?, Convolve(taps))
}

/// The convolution: arguments input and kernel.
struct Convolve(Taps);
/// What each tap of each channel meets: `(N, I, H, W)` to `(N, I·h·w, H'·W')`.
struct Unroll(Taps);
/// The gradient of that, back to pixels.
struct RollUp(Taps);

impl CustomOp2 for Convolve {
    fn name(&self) -> &'static str {
        "convolution"
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        bail!("this convolution is for GPUs")
    }

    fn cuda_fwd(&self, x: &CudaStorage, xl: &Layout, k: &CudaStorage, kl: &Layout) -> Result<(CudaStorage, Shape)> {
        let (photos, channels, _, _) = xl.shape().dims4()?;
        let (outputs, depth) = (kl.dims().first().copied().unwrap_or(0), channels * self.0.kernel.0 * self.0.kernel.1);
        let (height, width) = self.0.output();
        let sizes = (photos, outputs, height * width, depth);
        // cuBLAS takes the same kernel for each photo where it lies.
        let kernel = Layout::contiguous_with_offset((outputs, depth), kl.start_offset());
        let kernel = kernel.broadcast_as((photos, outputs, depth))?;
        let y = if self.0.meets_each_pixel_once() {
            let whole = Layout::contiguous_with_offset((photos, depth, height * width), xl.start_offset());
            k.matmul(x, sizes, &kernel, &whole)?
        } else {
            let (unrolled, shape) = crate::cuda::run(&self.0.window(photos, channels).unroll()?, &[(x, xl)])?;
            k.matmul(&unrolled, sizes, &kernel, &Layout::contiguous(shape))?
        };
        Ok((y, (photos, outputs, height, width).into()))
    }

    fn bwd(&self, x: &Tensor, k: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let (x, kernel) = (x.track_op().then_some(x.detach()), k.track_op().then_some(x.detach()));
        let gradient = gradient.contiguous()?.flatten_from(2)?;
        let to_x = x.map(|x| self.to_input(&x, k, &gradient)).transpose()?;
        let to_k = kernel.map(|x| self.to_kernel(&x, k, &gradient)).transpose()?;
        Ok((to_x, to_k))
    }
}

impl Convolve {
    /// `gradient` is `(N, O, H'·W')`.
    fn to_input(&self, x: &Tensor, k: &Tensor, gradient: &Tensor) -> Result<Tensor> {
        let turned = k.detach().flatten_from(1)?.t()?;
        let (depth, outputs) = turned.dims2()?;
        let each = turned.broadcast_as((gradient.dim(0)?, depth, outputs))?.matmul(gradient)?;
        if self.0.meets_each_pixel_once() {
            return each.reshape(x.shape());
        }
        each.apply_op1_no_bwd(&RollUp(self.0))
    }

    fn to_kernel(&self, x: &Tensor, k: &Tensor, gradient: &Tensor) -> Result<Tensor> {
        let unrolled = match self.0.meets_each_pixel_once() {
            true => x.flatten_from(2)?,
            false => x.apply_op1_no_bwd(&Unroll(self.0))?,
        };
        gradient.matmul(&unrolled.t()?)?.sum(0)?.reshape(k.shape())
    }
}

impl CustomOp1 for Unroll {
    fn name(&self) -> &'static str {
        "unroll"
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        bail!("unrolling is for GPUs")
    }

    fn cuda_fwd(&self, x: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
        let (photos, channels, _, _) = layout.shape().dims4()?;
        crate::cuda::run(&self.0.window(photos, channels).unroll()?, &[(x, layout)])
    }
}

impl CustomOp1 for RollUp {
    fn name(&self) -> &'static str {
        "roll-up"
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        bail!("rolling up is for GPUs")
    }

    fn cuda_fwd(&self, unrolled: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
        let (photos, depth, _) = layout.shape().dims3()?;
        let channels = depth / (self.0.kernel.0 * self.0.kernel.1).max(1);
        crate::cuda::run(&self.0.window(photos, channels).roll_up()?, &[(unrolled, layout)])
    }
}
