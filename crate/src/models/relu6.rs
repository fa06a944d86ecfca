//! ReLU and ReLU6: one pass forwards and one backwards.
//!
//! candle's clamp is a maximum and a minimum, whose gradients take some twenty passes over the activations; that of its
//! ReLU takes five.

use super::Activation;
use super::contiguous::{PIECE, is_ours_anywhere, values};
#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::{CpuStorage, CustomOp1, CustomOp2, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

/// Every number clamped to 0..=6; differentiable, once. Where it is clamped, at the ends too, the gradient is zero, as in
/// PyTorch.
pub(super) fn relu6(x: &Tensor) -> Result<Tensor> {
    if !is_ours_anywhere(x) {
        return x.clamp(0f32, 6f32);
    }
    x.contiguous()?.apply_op1(Forward(Activation::Relu6))
}

/// What is below 0 becomes 0; differentiable, once. At 0 the gradient is zero, as in PyTorch.
pub(super) fn relu(x: &Tensor) -> Result<Tensor> {
    if !is_ours_anywhere(x) {
        return x.relu();
    }
    x.contiguous()?.apply_op1(Forward(Activation::Relu))
}

/// The gradient of the input `x` of [`relu6`] or [`relu`], from that of what comes out.
pub(super) fn to_input(x: &Tensor, gradient: &Tensor, activation: Activation) -> Result<Tensor> {
    x.contiguous()?.apply_op2_no_bwd(&gradient.contiguous()?, &Backward(activation))
}

/// Every number clamped to 0 and [`upper`].
#[derive(Clone, Copy)]
struct Forward(Activation);
/// The gradient of the input: arguments input and gradient of the output.
struct Backward(Activation);

/// Numbers are clamped to 0 and this.
fn upper(activation: Activation) -> f32 {
    if activation == Activation::Relu6 { 6.0 } else { f32::INFINITY }
}

impl CustomOp1 for Forward {
    fn name(&self) -> &'static str {
        "relu6"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (x, upper) = (values(x, layout, self.name())?, upper(self.0));
        let mut out = vec![0f32; x.len()];
        out.par_chunks_mut(PIECE).zip(x.par_chunks(PIECE)).for_each(|(out, x)| {
            out.iter_mut().zip(x).for_each(|(out, x)| *out = x.clamp(0.0, upper));
        });
        Ok((CpuStorage::F32(out), layout.shape().clone()))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, x: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
        crate::cuda::run(&crate::cuda::relu(layout.dims(), self.0, false)?, &[(x, layout)])
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        Ok(Some(x.contiguous()?.apply_op2_no_bwd(&gradient.contiguous()?, &Backward(self.0))?))
    }
}

impl CustomOp2 for Backward {
    fn name(&self) -> &'static str {
        "relu6-backward"
    }

    fn cpu_fwd(&self, x: &CpuStorage, xl: &Layout, g: &CpuStorage, gl: &Layout) -> Result<(CpuStorage, Shape)> {
        let (x, g, upper) = (values(x, xl, self.name())?, values(g, gl, self.name())?, upper(self.0));
        let mut to_x = vec![0f32; x.len()];
        to_x.par_chunks_mut(PIECE).zip(x.par_chunks(PIECE).zip(g.par_chunks(PIECE))).for_each(|(to_x, (x, g))| {
            for (to_x, (x, g)) in to_x.iter_mut().zip(x.iter().zip(g)) {
                *to_x = if *x > 0.0 && *x < upper { *g } else { 0.0 };
            }
        });
        Ok((CpuStorage::F32(to_x), xl.shape().clone()))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, x: &CudaStorage, xl: &Layout, g: &CudaStorage, gl: &Layout) -> Result<(CudaStorage, Shape)> {
        crate::cuda::run(&crate::cuda::relu(xl.dims(), self.0, true)?, &[(x, xl), (g, gl)])
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use candle_core::{Device, Var};

    #[test]
    fn it_clamps_as_candle_does_and_passes_gradients_in_between() {
        // More than one piece, and a view that is not contiguous.
        let x = Tensor::arange(0f32, 40_000., &Device::Cpu).unwrap().affine(5e-4, -7.).unwrap();
        let x = Var::from_tensor(&x.reshape((200, 200)).unwrap()).unwrap();
        let view = x.t().unwrap();
        let y = relu6(&view).unwrap();
        let numbers = |t: &Tensor| t.contiguous().unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert_eq!(numbers(&y), numbers(&view.clamp(0f32, 6f32).unwrap()));
        let gradient = (y * 3.).unwrap().sum_all().unwrap().backward().unwrap();
        let got = numbers(gradient.get(&x).unwrap());
        let inside = |x: &f32| if *x > 0. && *x < 6. { 3. } else { 0. };
        assert_eq!(got, numbers(&x).iter().map(inside).collect::<Vec<f32>>());
        assert!(got.contains(&0.) && got.contains(&3.));
        let relued = relu(&view).unwrap();
        assert_eq!(numbers(&relued), numbers(&view.relu().unwrap()));
        let gradient = (relued * 3.).unwrap().sum_all().unwrap().backward().unwrap();
        let above = |x: &f32| if *x > 0. { 3. } else { 0. };
        let got = numbers(gradient.get(&x).unwrap());
        assert_eq!(got, numbers(&x).iter().map(above).collect::<Vec<f32>>());
        assert!(numbers(&x).iter().any(|x| *x > 6.));
        let ends = Var::new(&[0f32, 6., f32::NAN], &Device::Cpu).unwrap();
        let y = relu6(&ends).unwrap();
        assert!(numbers(&y)[2].is_nan(), "what is no number stays so");
        assert_eq!(numbers(y.sum_all().unwrap().backward().unwrap().get(&ends).unwrap()), [0., 0., 0.]);
    }

    #[test]
    fn a_gpus_kernels_compute_the_same() {
        let Some(host) = crate::cuda::host() else { return };
        let x = Tensor::arange(0f32, 1400., &Device::Cpu).unwrap().affine(1e-2, -7.).unwrap();
        let x = Tensor::cat(&[x, Tensor::new(&[0f32, 6.], &Device::Cpu).unwrap()], 0).unwrap();
        let g = x.affine(0.3, 1.).unwrap();
        for activation in [Activation::Relu, Activation::Relu6] {
            let launch = |backward| crate::cuda::relu(x.dims(), activation, backward).unwrap();
            let forward = |at: &[Tensor]| at[0].apply_op1_no_bwd(&Forward(activation)).unwrap();
            host.compare(&launch(false), &[&x], forward, &format!("{activation:?}, forwards"));
            let backward = |at: &[Tensor]| at[0].apply_op2_no_bwd(&at[1], &Backward(activation)).unwrap();
            host.compare(&launch(true), &[&x, &g], backward, &format!("{activation:?}, backwards"));
        }
    }
}
