//! Depthwise convolution: each channel with its own small kernel, forwards and backwards.
//!
//! candle takes a grouped convolution apart into one call a channel, which is most of a MobileNet's time. Here all
//! planes are one parallel loop on the CPU, one launch on a GPU, and its gradients are two more; the numbers are the same.

use super::contiguous::{is_ours_anywhere, values};
#[cfg(feature = "cuda")]
use super::layers::Activation;
use super::taps::Taps;
use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor};
#[cfg(feature = "cuda")]
use candle_core::{CudaStorage, CustomOp3, bail};
use rayon::prelude::*;

/// Whether [`depthwise`] can convolve these: a kernel `(C, 1, h, w)`, both where [`is_ours_anywhere`] takes them.
pub(super) fn applies(x: &Tensor, kernel: &Tensor, groups: usize) -> bool {
    let one_each = kernel.dims().first() == Some(&groups) && kernel.dims().get(1) == Some(&1);
    groups > 1 && one_each && is_ours_anywhere(x) && is_ours_anywhere(kernel) && x.dtype() == kernel.dtype()
}

/// `(N, C, H, W)` with `(C, 1, h, w)` to `(N, C, H', W')`; differentiable in both, once.
pub(super) fn depthwise(x: &Tensor, kernel: &Tensor, stride: usize, padding: usize) -> Result<Tensor> {
    x.contiguous()?.apply_op2(&kernel.contiguous()?, Forward(taps(x, kernel, stride, padding)?))
}

/// The same on a GPU with a bias `(C,)` and an activation behind it, in one launch; not differentiable.
#[cfg(feature = "cuda")]
pub(super) fn depthwise_fused(
    x: &Tensor,
    (kernel, bias): (&Tensor, &Tensor),
    (stride, padding): (usize, usize),
    activation: Activation,
) -> Result<Tensor> {
    let fused = Fused(taps(x, kernel, stride, padding)?, activation);
    x.contiguous()?.apply_op3_no_bwd(&kernel.contiguous()?, &bias.contiguous()?, &fused)
}

fn taps(x: &Tensor, kernel: &Tensor, stride: usize, padding: usize) -> Result<Taps> {
    let (_, _, height, width) = x.dims4()?;
    let (_, _, rows, columns) = kernel.dims4()?;
    Ok(Taps { stride, padding: (padding, padding), input: (height, width), kernel: (rows, columns) })
}

/// The gradient of the input, which has so many rows and columns, from that of what [`depthwise`] makes of it.
pub(super) fn to_input(
    gradient: &Tensor,
    kernel: &Tensor,
    input: (usize, usize),
    stride: usize,
    padding: usize,
) -> Result<Tensor> {
    let (_, _, rows, columns) = kernel.dims4()?;
    let taps = Taps { stride, padding: (padding, padding), input, kernel: (rows, columns) };
    gradient.contiguous()?.apply_op2_no_bwd(&kernel.contiguous()?, &ToInput(taps))
}

/// The convolution: arguments input and kernel.
struct Forward(Taps);
/// The gradient of its input: arguments gradient of the output and kernel.
struct ToInput(Taps);
/// The gradient of its kernel: arguments input and gradient of the output.
struct ToKernel(Taps);

impl CustomOp2 for Forward {
    fn name(&self) -> &'static str {
        "depthwise"
    }

    fn cpu_fwd(&self, x: &CpuStorage, xl: &Layout, k: &CpuStorage, kl: &Layout) -> Result<(CpuStorage, Shape)> {
        let (taps, x, k) = (self.0, values(x, xl, self.name())?, values(k, kl, self.name())?);
        let (count, channels, height, width) = xl.shape().dims4()?;
        let (out_height, out_width) = taps.output();
        let size = taps.kernel.0 * taps.kernel.1;
        let mut out = vec![0f32; count * channels * out_height * out_width];
        out.par_chunks_mut(out_height * out_width).zip(x.par_chunks(height * width)).enumerate().for_each(
            |(plane, (out, x))| {
                let kernel = &k[plane % channels * size..][..size];
                taps.each_run(|tap, pixels, first| add(&mut out[pixels], &x[first..], taps.stride, kernel[tap]));
            },
        );
        Ok((CpuStorage::F32(out), (count, channels, out_height, out_width).into()))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, x: &CudaStorage, xl: &Layout, k: &CudaStorage, kl: &Layout) -> Result<(CudaStorage, Shape)> {
        let (count, channels, ..) = xl.shape().dims4()?;
        crate::cuda::run(&self.0.window(count, channels).forward(Activation::Linear)?, &[(x, xl), (k, kl)])
    }

    fn bwd(&self, x: &Tensor, k: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let gradient = gradient.contiguous()?;
        let to_x = x.track_op().then(|| gradient.apply_op2_no_bwd(k, &ToInput(self.0))).transpose()?;
        let to_k = k.track_op().then(|| x.apply_op2_no_bwd(&gradient, &ToKernel(self.0))).transpose()?;
        Ok((to_x, to_k))
    }
}

impl CustomOp2 for ToInput {
    fn name(&self) -> &'static str {
        "depthwise-to-input"
    }

    fn cpu_fwd(&self, g: &CpuStorage, gl: &Layout, k: &CpuStorage, kl: &Layout) -> Result<(CpuStorage, Shape)> {
        let (taps, g, k) = (self.0, values(g, gl, self.name())?, values(k, kl, self.name())?);
        let (count, channels, out_height, out_width) = gl.shape().dims4()?;
        let (height, width) = taps.input;
        let size = taps.kernel.0 * taps.kernel.1;
        let mut to_x = vec![0f32; count * channels * height * width];
        to_x.par_chunks_mut(height * width).zip(g.par_chunks(out_height * out_width)).enumerate().for_each(
            |(plane, (to_x, g))| {
                let kernel = &k[plane % channels * size..][..size];
                taps.each_run(|tap, pixels, first| {
                    for (to_x, g) in to_x[first..].iter_mut().step_by(taps.stride).zip(&g[pixels]) {
                        *to_x += kernel[tap] * g;
                    }
                });
            },
        );
        Ok((CpuStorage::F32(to_x), (count, channels, height, width).into()))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, g: &CudaStorage, gl: &Layout, k: &CudaStorage, kl: &Layout) -> Result<(CudaStorage, Shape)> {
        let (count, channels, ..) = gl.shape().dims4()?;
        crate::cuda::run(&self.0.window(count, channels).to_input()?, &[(g, gl), (k, kl)])
    }
}

impl CustomOp2 for ToKernel {
    fn name(&self) -> &'static str {
        "depthwise-to-kernel"
    }

    fn cpu_fwd(&self, x: &CpuStorage, xl: &Layout, g: &CpuStorage, gl: &Layout) -> Result<(CpuStorage, Shape)> {
        let (taps, x, g) = (self.0, values(x, xl, self.name())?, values(g, gl, self.name())?);
        let (count, channels, height, width) = xl.shape().dims4()?;
        let (_, _, out_height, out_width) = gl.shape().dims4()?;
        let (rows, columns) = taps.kernel;
        let mut to_k = vec![0f32; channels * rows * columns];
        to_k.par_chunks_mut(rows * columns).enumerate().for_each(|(channel, to_k)| {
            for photo in 0..count {
                let plane = photo * channels + channel;
                let x = &x[plane * height * width..][..height * width];
                let g = &g[plane * out_height * out_width..][..out_height * out_width];
                taps.each_run(|tap, pixels, first| {
                    let met = x[first..].iter().step_by(taps.stride);
                    to_k[tap] += met.zip(&g[pixels]).map(|(x, g)| x * g).sum::<f32>();
                });
            }
        });
        Ok((CpuStorage::F32(to_k), (channels, 1, rows, columns).into()))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, x: &CudaStorage, xl: &Layout, g: &CudaStorage, gl: &Layout) -> Result<(CudaStorage, Shape)> {
        let (count, channels, ..) = xl.shape().dims4()?;
        crate::cuda::run(&self.0.window(count, channels).to_kernel()?, &[(x, xl), (g, gl)])
    }
}

/// The convolution with bias and activation: arguments input, kernel and bias.
#[cfg(feature = "cuda")]
struct Fused(Taps, Activation);

#[cfg(feature = "cuda")]
impl CustomOp3 for Fused {
    fn name(&self) -> &'static str {
        "depthwise-fused"
    }

    fn cpu_fwd(
        &self,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        bail!("depthwise-fused is for GPUs: on the CPU the frozen plan does this")
    }

    fn cuda_fwd(
        &self,
        x: &CudaStorage,
        xl: &Layout,
        k: &CudaStorage,
        kl: &Layout,
        b: &CudaStorage,
        bl: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        let (count, channels, ..) = xl.shape().dims4()?;
        crate::cuda::run(&self.0.window(count, channels).forward(self.1)?, &[(x, xl), (k, kl), (b, bl)])
    }
}

/// `out += factor * x`, the pixels of `x` being `stride` apart. The two usual strides are known to the compiler.
fn add(out: &mut [f32], x: &[f32], stride: usize, factor: f32) {
    match stride {
        1 => out.iter_mut().zip(x).for_each(|(out, x)| *out += factor * x),
        2 => out.iter_mut().zip(x.iter().step_by(2)).for_each(|(out, x)| *out += factor * x),
        _ => out.iter_mut().zip(x.iter().step_by(stride)).for_each(|(out, x)| *out += factor * x),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::models::Activation;
    use candle_core::{Device, Var};

    /// Values that look random and are the same everywhere.
    fn noise(shape: (usize, usize, usize, usize), seed: u32) -> Tensor {
        let count = shape.0 * shape.1 * shape.2 * shape.3;
        let value = |i: u32| ((i ^ seed).wrapping_mul(2_654_435_761) >> 8) as f32 / (1 << 23) as f32 - 1.;
        let values: Vec<f32> = (0..count as u32).map(value).collect();
        Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
    }

    fn furthest(a: &Tensor, b: &Tensor) -> f32 {
        assert_eq!(a.dims(), b.dims());
        (a - b).unwrap().abs().unwrap().flatten_all().unwrap().max(0).unwrap().to_scalar().unwrap()
    }

    #[test]
    fn it_computes_what_candle_does_channel_by_channel() {
        // (photos, channels, height, width, kernel, stride, padding): odd and even sides, planes smaller than the kernel
        let cases = [
            (2, 5, 9, 12, 3, 1, 1),
            (2, 5, 9, 12, 3, 2, 1),
            (1, 3, 8, 8, 3, 2, 1),
            (1, 2, 7, 6, 5, 1, 2),
            (1, 2, 7, 6, 5, 3, 0),
            (3, 2, 1, 1, 3, 1, 1),
            (1, 2, 2, 1, 3, 2, 1),
            (1, 4, 6, 6, 1, 1, 0),
        ];
        for case in cases {
            let (photos, channels, height, width, kernel, stride, padding) = case;
            let x = Var::from_tensor(&noise((photos, channels, height, width), 1)).unwrap();
            let k = Var::from_tensor(&noise((channels, 1, kernel, kernel), 2)).unwrap();
            assert!(applies(&x, &k, channels));
            let ours = depthwise(&x, &k, stride, padding).unwrap();
            let theirs = x.conv2d(&k, padding, stride, 1, channels).unwrap();
            assert!(furthest(&ours, &theirs) < 1e-5, "{case:?}");
            // Both gradients, of a sum with different weights for each output.
            let weights = noise(ours.dims4().unwrap(), 3);
            let ours = (ours * &weights).unwrap().sum_all().unwrap().backward().unwrap();
            // The sum is linear in each argument: along any direction it grows as its gradient says.
            let sum = |a: Tensor, b: &Tensor| (a * b).unwrap().sum_all().unwrap().to_scalar::<f32>().unwrap();
            for seed in 10..14 {
                let (dx, dk) = (noise(x.dims4().unwrap(), seed), noise(k.dims4().unwrap(), seed));
                let along_x = sum(depthwise(&dx, &k, stride, padding).unwrap(), &weights);
                let along_k = sum(depthwise(&x, &dk, stride, padding).unwrap(), &weights);
                assert!((along_x - sum(dx, ours.get(&x).unwrap())).abs() < 1e-3, "{case:?}");
                assert!((along_k - sum(dk, ours.get(&k).unwrap())).abs() < 1e-3, "{case:?}");
            }
            // candle 0.11 finds a gradient only where the same number of pixels is left over at the right and below.
            if (height + 2 * padding - kernel) % stride != (width + 2 * padding - kernel) % stride {
                continue;
            }
            let theirs = (theirs * &weights).unwrap().sum_all().unwrap().backward().unwrap();
            for variable in [&x, &k] {
                let (ours, theirs) = (ours.get(variable).unwrap(), theirs.get(variable).unwrap());
                assert!(furthest(ours, theirs) < 2e-5, "{case:?}: gradient {:?}", variable.dims());
            }
        }
    }

    #[test]
    fn a_gpus_kernels_compute_the_same() {
        let Some(host) = crate::cuda::host() else { return };
        let cases = [(2, 5, 9, 12, 3, 1, 1), (2, 3, 9, 12, 3, 2, 1), (1, 2, 7, 6, 5, 1, 2), (1, 2, 7, 6, 5, 3, 0)];
        let small = [(3, 2, 1, 1, 3, 1, 1), (1, 2, 2, 1, 3, 2, 1), (1, 4, 6, 6, 1, 1, 0), (2, 3, 14, 14, 5, 2, 2)];
        for case in cases.into_iter().chain(small) {
            let (photos, channels, height, width, kernel, stride, padding) = case;
            let (x, k) = (noise((photos, channels, height, width), 1), noise((channels, 1, kernel, kernel), 2));
            let taps = taps(&x, &k, stride, padding).unwrap();
            let window = taps.window(photos, channels);
            let bias = noise((1, channels, 1, 1), 4).flatten_all().unwrap();
            let (out_height, out_width) = taps.output();
            let g = noise((photos, channels, out_height, out_width), 3);
            let what = |operation: &str| format!("{operation}, {case:?}");
            let bare = |at: &[Tensor]| depthwise(&at[0], &at[1], stride, padding).unwrap();
            let biased = |at: &[Tensor]| bare(at).broadcast_add(&at[2].reshape((1, channels, 1, 1)).unwrap()).unwrap();
            let forward = |activation| window.forward(activation).unwrap();
            host.compare(&forward(Activation::Linear), &[&x, &k], bare, &what("bare"));
            let relu6 = |at: &[Tensor]| biased(at).clamp(0f32, 6f32).unwrap();
            host.compare(&forward(Activation::Relu6), &[&x, &k, &bias], relu6, &what("fused"));
            let relu = |at: &[Tensor]| biased(at).relu().unwrap();
            host.compare(&forward(Activation::Relu), &[&x, &k, &bias], relu, &what("with ReLU"));
            let to_input = |at: &[Tensor]| at[0].apply_op2_no_bwd(&at[1], &ToInput(taps)).unwrap();
            host.compare(&window.to_input().unwrap(), &[&g, &k], to_input, &what("to input"));
            let to_kernel = |at: &[Tensor]| at[0].apply_op2_no_bwd(&at[1], &ToKernel(taps)).unwrap();
            host.compare(&window.to_kernel().unwrap(), &[&x, &g], to_kernel, &what("to kernel"));
        }
    }

    #[test]
    fn it_reads_views_as_they_are_meant() {
        let wide = noise((1, 6, 8, 8), 4);
        let view = wide.narrow(1, 2, 3).unwrap().transpose(2, 3).unwrap();
        let kernel = noise((3, 1, 3, 3), 5);
        let ours = depthwise(&view, &kernel, 1, 1).unwrap();
        let theirs = view.contiguous().unwrap().conv2d(&kernel, 1, 1, 1, 3).unwrap();
        assert!(furthest(&ours, &theirs) < 1e-5);
    }
}
