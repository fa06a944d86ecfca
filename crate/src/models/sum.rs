//! A sum of two tensors on the CPU: candle's own is shared out to threads that may have no core (see [`super::trail`]).

use super::contiguous::{PIECE, is_ours, values};
use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

/// `a + b`, of the same shape; differentiable.
pub(super) fn sum(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    if !(is_ours(a) && is_ours(b) && a.dims() == b.dims()) {
        return a + b;
    }
    a.contiguous()?.apply_op2(&b.contiguous()?, Sum)
}

struct Sum;

impl CustomOp2 for Sum {
    fn name(&self) -> &'static str {
        "sum"
    }

    fn cpu_fwd(&self, a: &CpuStorage, al: &Layout, b: &CpuStorage, bl: &Layout) -> Result<(CpuStorage, Shape)> {
        let (a, b) = (values(a, al, self.name())?, values(b, bl, self.name())?);
        let mut sum = vec![0f32; a.len()];
        sum.par_chunks_mut(PIECE).zip(a.par_chunks(PIECE).zip(b.par_chunks(PIECE))).for_each(|(sum, (a, b))| {
            sum.iter_mut().zip(a.iter().zip(b)).for_each(|(sum, (a, b))| *sum = a + b);
        });
        Ok((CpuStorage::F32(sum), al.shape().clone()))
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        Ok((Some(gradient.clone()), Some(gradient.clone())))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use candle_core::{DType, Device, Var};

    #[test]
    fn it_is_candles_forwards_and_backwards() {
        // More than one piece, and a view that is not contiguous.
        let a = Tensor::arange(0f32, 40_000., &Device::Cpu).unwrap().reshape((200, 200)).unwrap();
        let (a, b) = (Var::from_tensor(&a).unwrap(), Var::from_tensor(&(&a * 0.5).unwrap()).unwrap());
        let view = a.t().unwrap();
        let ours = sum(&view, &b).unwrap();
        assert_eq!(ours.to_vec2::<f32>().unwrap(), (&view + b.as_tensor()).unwrap().to_vec2::<f32>().unwrap());
        let gradients = (ours * &view).unwrap().sum_all().unwrap().backward().unwrap();
        // Of (a + b) a: 2 a + b, and a, each where it stands.
        let want = ((a.as_tensor() * 2.).unwrap() + b.t().unwrap()).unwrap();
        assert_eq!(gradients.get(&a).unwrap().to_vec2::<f32>().unwrap(), want.to_vec2::<f32>().unwrap());
        assert_eq!(gradients.get(&b).unwrap().to_vec2::<f32>().unwrap(), view.to_vec2::<f32>().unwrap());
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        let zeros = |count: usize| Tensor::zeros(count, DType::F32, &Device::Cpu).unwrap();
        assert!(sum(&zeros(2), &zeros(3)).is_err());
    }
}
