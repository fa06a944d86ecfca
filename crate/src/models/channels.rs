//! A factor and a summand for each channel: one pass forwards, two backwards.
//!
//! It is what a batch norm with stored statistics comes to. candle's own needs several passes with broadcasting, and sums
//! gradients over photos, rows and columns number by number.

use super::contiguous::{is_ours_anywhere, values};
#[cfg(any(feature = "cuda", test))]
use super::layers::Activation;
#[cfg(any(feature = "cuda", test))]
use crate::cuda;
#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::{CpuStorage, CustomOp2, CustomOp3, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

/// `x * factor + summand` for `(N, C, H, W)` and twice `(C,)`; differentiable in all three, once.
pub(super) fn scale_and_shift(x: &Tensor, factor: &Tensor, summand: &Tensor) -> Result<Tensor> {
    let channels = x.dims4()?.1;
    let fits = |t: &Tensor| t.dims() == [channels] && is_ours_anywhere(t) && t.dtype() == x.dtype();
    if !(is_ours_anywhere(x) && fits(factor) && fits(summand)) {
        let along_channels = |t: &Tensor| t.reshape((1, (), 1, 1));
        return x.broadcast_mul(&along_channels(factor)?)?.broadcast_add(&along_channels(summand)?);
    }
    x.contiguous()?.apply_op3(&factor.contiguous()?, &summand.contiguous()?, Forward)
}

struct Forward;
/// The gradient of the input: arguments gradient of the output and factor.
struct ToInput;
/// The gradients of factor and summand, `(2, C)`: arguments input and gradient of the output.
struct ToBoth;

impl CustomOp3 for Forward {
    fn name(&self) -> &'static str {
        "scale-and-shift"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        xl: &Layout,
        factor: &CpuStorage,
        fl: &Layout,
        summand: &CpuStorage,
        sl: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (x, factor, summand) =
            (values(x, xl, self.name())?, values(factor, fl, self.name())?, values(summand, sl, self.name())?);
        let mut out = vec![0f32; x.len()];
        let plane = plane(xl)?;
        out.par_chunks_mut(plane).zip(x.par_chunks(plane)).enumerate().for_each(|(number, (out, x))| {
            let (factor, summand) = (factor[number % factor.len()], summand[number % summand.len()]);
            out.iter_mut().zip(x).for_each(|(out, x)| *out = x * factor + summand);
        });
        Ok((CpuStorage::F32(out), xl.shape().clone()))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        x: &CudaStorage,
        xl: &Layout,
        factor: &CudaStorage,
        fl: &Layout,
        summand: &CudaStorage,
        sl: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        let launch = cuda::scale(xl.shape().dims4()?, Activation::Linear)?;
        cuda::run(&launch, &[(x, xl), (factor, fl), (summand, sl)])
    }

    fn bwd(
        &self,
        x: &Tensor,
        factor: &Tensor,
        summand: &Tensor,
        _: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let gradient = gradient.contiguous()?;
        let to_x = x.track_op().then(|| gradient.apply_op2_no_bwd(factor, &ToInput)).transpose()?;
        if !(factor.track_op() || summand.track_op()) {
            return Ok((to_x, None, None));
        }
        let both = x.apply_op2_no_bwd(&gradient, &ToBoth)?;
        Ok((to_x, Some(both.get(0)?), Some(both.get(1)?)))
    }
}

impl CustomOp2 for ToInput {
    fn name(&self) -> &'static str {
        "scale-and-shift-to-input"
    }

    fn cpu_fwd(&self, g: &CpuStorage, gl: &Layout, factor: &CpuStorage, fl: &Layout) -> Result<(CpuStorage, Shape)> {
        let (g, factor, plane) = (values(g, gl, self.name())?, values(factor, fl, self.name())?, plane(gl)?);
        let mut to_x = vec![0f32; g.len()];
        to_x.par_chunks_mut(plane).zip(g.par_chunks(plane)).enumerate().for_each(|(number, (to_x, g))| {
            let factor = factor[number % factor.len()];
            to_x.iter_mut().zip(g).for_each(|(to_x, g)| *to_x = g * factor);
        });
        Ok((CpuStorage::F32(to_x), gl.shape().clone()))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        g: &CudaStorage,
        gl: &Layout,
        factor: &CudaStorage,
        fl: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        cuda::run(&cuda::scale(gl.shape().dims4()?, Activation::Linear)?, &[(g, gl), (factor, fl)])
    }
}

impl CustomOp2 for ToBoth {
    fn name(&self) -> &'static str {
        "scale-and-shift-to-both"
    }

    fn cpu_fwd(&self, x: &CpuStorage, xl: &Layout, g: &CpuStorage, gl: &Layout) -> Result<(CpuStorage, Shape)> {
        let (x, g, plane) = (values(x, xl, self.name())?, values(g, gl, self.name())?, plane(xl)?);
        let channels = xl.shape().dims4()?.1;
        let sums = |channel: usize| {
            let planes = x.chunks(plane).zip(g.chunks(plane)).skip(channel).step_by(channels);
            planes.fold((0f32, 0f32), |(products, sum), (x, g)| {
                let product: f32 = x.iter().zip(g).map(|(x, g)| x * g).sum();
                (products + product, sum + g.iter().sum::<f32>())
            })
        };
        let sums: Vec<(f32, f32)> = (0..channels).into_par_iter().map(sums).collect();
        let both = sums.iter().map(|(products, _)| *products).chain(sums.iter().map(|(_, sum)| *sum)).collect();
        Ok((CpuStorage::F32(both), (2, channels).into()))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, x: &CudaStorage, xl: &Layout, g: &CudaStorage, gl: &Layout) -> Result<(CudaStorage, Shape)> {
        cuda::run(&cuda::scale_to_both(xl.shape().dims4()?)?, &[(x, xl), (g, gl)])
    }
}

/// Pixels of one channel of one photo; a chunk has one at least.
fn plane(layout: &Layout) -> Result<usize> {
    let (_, _, height, width) = layout.shape().dims4()?;
    Ok((height * width).max(1))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use candle_core::{Device, Var};

    fn numbers(tensor: &Tensor) -> Vec<f32> {
        tensor.flatten_all().unwrap().to_vec1().unwrap()
    }

    fn ramp(shape: &[usize], step: f64) -> Tensor {
        let count = shape.iter().product::<usize>() as f32;
        Tensor::arange(0f32, count, &Device::Cpu)
            .unwrap()
            .affine(step, -1.)
            .unwrap()
            .sin()
            .unwrap()
            .reshape(shape)
            .unwrap()
    }

    #[test]
    fn it_is_candles_broadcasting_forwards_and_backwards() {
        let x = Var::from_tensor(&ramp(&[3, 5, 4, 6], 0.7)).unwrap();
        let (factor, summand) =
            (Var::from_tensor(&ramp(&[5], 1.3)).unwrap(), Var::from_tensor(&ramp(&[5], 0.9)).unwrap());
        let weights = ramp(&[3, 5, 6, 4], 0.3);
        // Through a view that is not contiguous.
        let view = x.transpose(2, 3).unwrap();
        let ours = scale_and_shift(&view, &factor, &summand).unwrap();
        let along_channels = |t: &Var| t.reshape((1, 5, 1, 1)).unwrap();
        let theirs = view.broadcast_mul(&along_channels(&factor)).unwrap();
        let theirs = theirs.broadcast_add(&along_channels(&summand)).unwrap();
        let close = |a: &Tensor, b: &Tensor| numbers(a).iter().zip(numbers(b)).all(|(a, b)| (a - b).abs() < 1e-5);
        assert!(close(&ours, &theirs));
        let gradients = |y: &Tensor| (y * &weights).unwrap().sum_all().unwrap().backward().unwrap();
        let (ours, theirs) = (gradients(&ours), gradients(&theirs));
        for variable in [&x, &factor, &summand] {
            let (ours, theirs) = (ours.get(variable).unwrap(), theirs.get(variable).unwrap());
            assert!(ours.dims() == theirs.dims() && close(ours, theirs), "{:?}", variable.dims());
        }
    }

    #[test]
    fn a_gpus_kernels_compute_the_same() {
        let Some(host) = cuda::host() else { return };
        let (x, g) = (ramp(&[3, 5, 4, 7], 0.7), ramp(&[3, 5, 4, 7], 0.31));
        let (factor, summand) = (ramp(&[5], 1.3), ramp(&[5], 0.9));
        let scale = |activation| cuda::scale((3, 5, 4, 7), activation).unwrap();
        let forward = |at: &[Tensor]| scale_and_shift(&at[0], &at[1], &at[2]).unwrap();
        host.compare(&scale(Activation::Linear), &[&x, &factor, &summand], forward, "forwards");
        let relu = |at: &[Tensor]| forward(at).relu().unwrap();
        host.compare(&scale(Activation::Relu), &[&x, &factor, &summand], relu, "with ReLU");
        let to_input = |at: &[Tensor]| at[0].apply_op2_no_bwd(&at[1], &ToInput).unwrap();
        host.compare(&scale(Activation::Linear), &[&g, &factor], to_input, "to input");
        let to_both = |at: &[Tensor]| at[0].apply_op2_no_bwd(&at[1], &ToBoth).unwrap();
        host.compare(&cuda::scale_to_both((3, 5, 4, 7)).unwrap(), &[&x, &g], to_both, "to factor and summand");
    }

    #[test]
    fn channels_that_do_not_fit_are_an_error() {
        let (x, two) = (ramp(&[1, 3, 2, 2], 1.), ramp(&[2], 1.));
        assert!(scale_and_shift(&x, &two, &two).is_err());
    }
}
