//! Convolutions on the CPU as products of matrices, forwards and backwards.
//!
//! candle finds the gradient of a kernel even where it is frozen, and that of the input by a scalar product for each pixel
//! and tap; it finds none where other numbers of pixels are left over at the right and below. Here each gradient is a
//! product of matrices, and only those that somebody asks for.

use super::contiguous::{is_ours, values};
use super::taps::Taps;
use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp2, Error, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;

/// Whether [`convolve`] can convolve these: on the CPU in f32.
pub(super) fn applies(x: &Tensor, kernel: &Tensor) -> bool {
    is_ours(x) && is_ours(kernel)
}

/// `(N, I, H, W)` with `(O, I, h, w)` to `(N, O, H', W')`; differentiable in both, once. The kernel must fit.
pub(super) fn convolve(x: &Tensor, kernel: &Tensor, stride: usize, padding: (usize, usize)) -> Result<Tensor> {
    let (_, _, height, width) = x.dims4()?;
    let (_, _, rows, columns) = kernel.dims4()?;
    let taps = Taps { stride, padding, input: (height, width), kernel: (rows, columns) };
    x.contiguous()?.apply_op2(&kernel.contiguous()?, Forward(taps))
}

/// The gradient of the input, which has so many rows and columns, from that of what [`convolve`] makes of it.
pub(super) fn to_input(
    gradient: &Tensor,
    kernel: &Tensor,
    input: (usize, usize),
    stride: usize,
    padding: (usize, usize),
) -> Result<Tensor> {
    let (_, _, rows, columns) = kernel.dims4()?;
    let taps = Taps { stride, padding, input, kernel: (rows, columns) };
    gradient.contiguous()?.apply_op2_no_bwd(&kernel.contiguous()?, &ToInput(taps))
}

/// The convolution: arguments input and kernel.
struct Forward(Taps);
/// The gradient of its input: arguments gradient of the output and kernel.
struct ToInput(Taps);
/// The gradient of its kernel: arguments input and gradient of the output.
struct ToKernel(Taps);

/// Sizes of a convolution as a product: the kernel is `outputs` x `depth`, a photo `depth` x `pixels`.
struct Sizes {
    photos: usize,
    outputs: usize,
    depth: usize,
    pixels: usize,
}

impl Sizes {
    fn of(taps: &Taps, x: &[usize], k: &[usize]) -> Result<Self> {
        let (&[photos, _, _, _], &[outputs, inputs, rows, columns]) = (x, k) else {
            bail!("a convolution is of (N, I, H, W) with (O, I, h, w), and not {x:?} with {k:?}");
        };
        let (height, width) = taps.output();
        Ok(Self { photos, outputs, depth: inputs * rows * columns, pixels: height * width })
    }

    /// How many photos lie side by side in one product. Each product reads the kernel once more, and as often adds up its
    /// gradient; side by side, activations are copied. The smaller is copied, up to where it no longer helps.
    fn together(&self) -> usize {
        let kernel_is_larger = self.outputs * self.depth > self.pixels * (self.outputs + self.depth);
        if kernel_is_larger { (1024 / self.pixels).clamp(1, self.photos) } else { 1 }
    }
}

impl CustomOp2 for Forward {
    fn name(&self) -> &'static str {
        "convolution"
    }

    fn cpu_fwd(&self, x: &CpuStorage, xl: &Layout, k: &CpuStorage, kl: &Layout) -> Result<(CpuStorage, Shape)> {
        let sizes = Sizes::of(&self.0, xl.dims(), kl.dims())?;
        let kernel = matrix(kl, sizes.outputs, sizes.depth);
        let mut out = Vec::with_capacity(sizes.photos * sizes.outputs * sizes.pixels);
        each_group(&sizes, |first, count| {
            let (columns, layout) = gathered(&self.0, x, xl, first, count, &sizes)?;
            let columns = columns.as_ref().unwrap_or(x);
            let y = product(k, &kernel, columns, &layout)?;
            apart(&y, count, sizes.pixels, &mut out);
            Ok(())
        })?;
        let (height, width) = self.0.output();
        Ok((CpuStorage::F32(out), (sizes.photos, sizes.outputs, height, width).into()))
    }

    fn bwd(&self, x: &Tensor, k: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let gradient = gradient.contiguous()?;
        let to_x = x.track_op().then(|| gradient.apply_op2_no_bwd(k, &ToInput(self.0))).transpose()?;
        let to_k = k.track_op().then(|| self.to_kernel(x, k, &gradient)).transpose()?;
        Ok((to_x, to_k))
    }
}

impl Forward {
    fn to_kernel(&self, x: &Tensor, k: &Tensor, gradient: &Tensor) -> Result<Tensor> {
        x.apply_op2_no_bwd(gradient, &ToKernel(self.0))?.reshape(k.shape())
    }
}

impl CustomOp2 for ToInput {
    fn name(&self) -> &'static str {
        "convolution-to-input"
    }

    fn cpu_fwd(&self, g: &CpuStorage, gl: &Layout, k: &CpuStorage, kl: &Layout) -> Result<(CpuStorage, Shape)> {
        let (taps, sizes) = (&self.0, Sizes::of(&self.0, gl.dims(), kl.dims())?);
        let kernel = matrix(kl, sizes.outputs, sizes.depth).transpose(0, 1)?;
        let (_, inputs, rows, columns) = kl.shape().dims4()?;
        let (plane, taps_of_one) = (taps.input.0 * taps.input.1, rows * columns);
        let mut to_x = vec![0f32; sizes.photos * inputs * plane];
        let pointwise = Taps::pointwise(sizes.pixels);
        each_group(&sizes, |first, count| {
            let (side_by_side, layout) = gathered(&pointwise, g, gl, first, count, &sizes)?;
            let scattered = product(k, &kernel, side_by_side.as_ref().unwrap_or(g), &layout)?;
            let wide = count * sizes.pixels;
            let to_x = &mut to_x[first * inputs * plane..][..count * inputs * plane];
            if count == 1 && taps.meets_each_pixel_once() {
                to_x.copy_from_slice(&scattered);
                return Ok(());
            }
            to_x.par_chunks_mut(plane.max(1)).enumerate().for_each(|(number, to_x)| {
                let (photo, channel) = (number / inputs, number % inputs);
                let from = &scattered[channel * taps_of_one * wide..][..taps_of_one * wide];
                taps.each_run(|tap, pixels, first| {
                    let from = &from[tap * wide + photo * sizes.pixels..][pixels];
                    match taps.stride {
                        1 => to_x[first..].iter_mut().zip(from).for_each(|(to, from)| *to += from),
                        by => to_x[first..].iter_mut().step_by(by).zip(from).for_each(|(to, from)| *to += from),
                    }
                });
            });
            Ok(())
        })?;
        Ok((CpuStorage::F32(to_x), (sizes.photos, inputs, taps.input.0, taps.input.1).into()))
    }
}

impl CustomOp2 for ToKernel {
    fn name(&self) -> &'static str {
        "convolution-to-kernel"
    }

    fn cpu_fwd(&self, x: &CpuStorage, xl: &Layout, g: &CpuStorage, gl: &Layout) -> Result<(CpuStorage, Shape)> {
        let (rows, columns) = self.0.kernel;
        let kernel = [gl.dims()[1], xl.dims()[1], rows, columns];
        let sizes = Sizes::of(&self.0, xl.dims(), &kernel)?;
        let pointwise = Taps::pointwise(sizes.pixels);
        let mut to_k: Vec<f32> = Vec::new();
        each_group(&sizes, |first, count| {
            let (columns, columns_layout) = gathered(&self.0, x, xl, first, count, &sizes)?;
            let (side_by_side, layout) = gathered(&pointwise, g, gl, first, count, &sizes)?;
            let columns_layout = columns_layout.transpose(0, 1)?;
            let (g, columns) = (side_by_side.as_ref().unwrap_or(g), columns.as_ref().unwrap_or(x));
            let part = product(g, &layout, columns, &columns_layout)?;
            if to_k.is_empty() {
                to_k = part;
            } else {
                to_k.par_iter_mut().zip(&part).for_each(|(sum, part)| *sum += part);
            }
            Ok(())
        })?;
        Ok((CpuStorage::F32(to_k), kernel.as_slice().into()))
    }
}

/// Calls `run(first photo, how many)` for the photos of each product.
fn each_group(sizes: &Sizes, mut run: impl FnMut(usize, usize) -> Result<()>) -> Result<()> {
    let together = sizes.together();
    (0..sizes.photos).step_by(together).try_for_each(|first| run(first, together.min(sizes.photos - first)))
}

/// A contiguous tensor as a matrix.
fn matrix(layout: &Layout, rows: usize, columns: usize) -> Layout {
    Layout::contiguous_with_offset((rows, columns), layout.start_offset())
}

/// What each tap of each channel meets, a row for each, the photos' pixels side by side. A pointwise convolution of one
/// photo meets the photo as it is: then it is not copied, and the layout is one of `x` itself.
fn gathered(
    taps: &Taps,
    x: &CpuStorage,
    layout: &Layout,
    first: usize,
    count: usize,
    sizes: &Sizes,
) -> Result<(Option<CpuStorage>, Layout)> {
    let &[_, channels, ref rest @ ..] = layout.dims() else { bail!("a convolution is of (N, I, H, W)") };
    let plane: usize = rest.iter().product();
    let taps_of_one = taps.kernel.0 * taps.kernel.1;
    let pointwise = taps.meets_each_pixel_once();
    if count == 1 && pointwise {
        let offset = layout.start_offset() + first * channels * plane;
        return Ok((None, Layout::contiguous_with_offset((channels, plane), offset)));
    }
    let x = &values(x, layout, "convolution")?[first * channels * plane..][..count * channels * plane];
    // Rows of pixels as one.
    let taps = if pointwise { &Taps::pointwise(plane) } else { taps };
    let wide = count * sizes.pixels;
    let mut columns = vec![0f32; channels * taps_of_one * wide];
    columns.par_chunks_mut((taps_of_one * wide).max(1)).enumerate().for_each(|(channel, columns)| {
        for photo in 0..count {
            let x = &x[(photo * channels + channel) * plane..][..plane];
            taps.each_run(|tap, pixels, first| {
                let to = &mut columns[tap * wide + photo * sizes.pixels..][pixels];
                match taps.stride {
                    1 => to.copy_from_slice(&x[first..][..to.len()]),
                    by => to.iter_mut().zip(x[first..].iter().step_by(by)).for_each(|(to, x)| *to = *x),
                }
            });
        }
    });
    Ok((Some(CpuStorage::F32(columns)), Layout::contiguous((channels * taps_of_one, wide))))
}

/// Rows that hold `count` photos' pixels side by side, photo by photo onto the end of `out`.
fn apart(rows: &[f32], count: usize, pixels: usize, out: &mut Vec<f32>) {
    if count == 1 {
        return out.extend_from_slice(rows);
    }
    for photo in 0..count {
        rows.chunks(count * pixels).for_each(|row| out.extend_from_slice(&row[photo * pixels..][..pixels]));
    }
}

/// The product of two matrices, row by row.
fn product(a: &CpuStorage, al: &Layout, b: &CpuStorage, bl: &Layout) -> Result<Vec<f32>> {
    let ((rows, depth), (_, columns)) = (al.shape().dims2()?, bl.shape().dims2()?);
    match a.matmul(b, (1, rows, columns, depth), al, bl)? {
        CpuStorage::F32(values) => Ok(values),
        other => Err(Error::UnsupportedDTypeForOp(other.dtype(), "convolution").bt()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use candle_core::{DType, Device};

    /// A GPU unrolls what a kernel meets, and multiplies: with a kernel for each tap that is 1 there and 0 elsewhere, a
    /// convolution does nothing but unroll, and its gradient nothing but roll up.
    #[test]
    fn a_gpu_unrolls_and_rolls_up_as_a_convolution_with_unit_kernels() {
        let Some(host) = crate::cuda::host() else { return };
        // (channels, height, width, kernel, stride, padding): Inception's kinds, and what is left over at edges.
        let cases = [
            (3, 9, 11, (3, 3), 2, (0, 0)),
            (2, 8, 9, (3, 3), 2, (1, 1)),
            (2, 6, 5, (1, 7), 1, (0, 3)),
            (2, 5, 6, (7, 1), 1, (3, 0)),
            (1, 7, 7, (5, 5), 1, (2, 2)),
            (1, 1, 1, (3, 3), 1, (1, 1)),
            (3, 4, 4, (1, 1), 2, (0, 0)),
        ];
        for case in cases {
            let (channels, height, width, kernel, stride, padding) = case;
            let depth = channels * kernel.0 * kernel.1;
            let values = |count: usize, step: f32| (0..count).map(move |i| ((i as f32 + 1.) * step).sin());
            let tensor = |shape: &[usize], step: f32| {
                let values = values(shape.iter().product(), step);
                Tensor::from_iter(values, &Device::Cpu).unwrap().reshape(shape).unwrap()
            };
            let units = Tensor::eye(depth, DType::F32, &Device::Cpu).unwrap();
            let units = units.reshape((depth, channels, kernel.0, kernel.1)).unwrap();
            let taps = Taps { stride, padding, input: (height, width), kernel };
            let window = taps.window(2, channels);
            let x = tensor(&[2, channels, height, width], 0.7);
            let unrolled = |at: &[Tensor]| convolve(&at[0], &units, stride, padding).unwrap().flatten_from(2).unwrap();
            host.compare(&window.unroll().unwrap(), &[&x], unrolled, &format!("unrolled, {case:?}"));
            let (rows, columns) = taps.output();
            let g = tensor(&[2, depth, rows * columns], 1.3);
            let rolled_up = |at: &[Tensor]| {
                let gradient = at[0].reshape((2, depth, rows, columns)).unwrap();
                gradient.apply_op2_no_bwd(&units, &ToInput(taps)).unwrap()
            };
            host.compare(&window.roll_up().unwrap(), &[&g], rolled_up, &format!("rolled up, {case:?}"));
        }
    }
}
