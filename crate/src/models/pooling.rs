//! Pools whose windows overlap: candle cannot differentiate its own there.

use super::{average, largest};
use crate::{Error, Result};
use candle_core::{Device, Tensor};

const WHAT: &str = "a max pool of 3x3";
const WANT: &str = "(N, C, H, W), H and W at least 3";

/// The largest of each 3x3 window, two pixels apart, none beyond the edge: `(N, C, H, W)` to `(N, C, h, w)` with
/// `h = (H - 1) / 2` and `w = (W - 1) / 2`; differentiable.
///
/// Of equal values in a window the first takes all of the gradient, as in PyTorch; halves on the CPU share it.
///
/// # Errors
/// [`Error::Shape`] below 3x3 pixels.
pub(super) fn max_pool(x: &Tensor) -> Result<Tensor> {
    match x.dims() {
        &[_, _, height, width] if height < 3 || width < 3 => Err(Error::shape(WHAT, WANT, x.dims())),
        &[_, _, _, _] if largest::applies(x) => Ok(largest::largest(x)?),
        &[_, _, _, _] => every_other(&every_other(x, 2)?, 3),
        dims => Err(Error::shape(WHAT, WANT, dims)),
    }
}

/// The largest of three along `dim`, two apart.
fn every_other(x: &Tensor, dim: usize) -> Result<Tensor> {
    let windows = (x.dim(dim)? - 1) / 2;
    // Pairs from the first pixel on: first and second of each window; pairs from the second on: second and third.
    let half = |start: usize, which: usize| -> Result<Tensor> {
        let mut shape = x.dims().to_vec();
        shape.splice(dim..=dim, [windows, 2]);
        let pairs = x.narrow(dim, start, 2 * windows)?.contiguous()?.reshape(shape)?;
        Ok(pairs.narrow(dim + 1, which, 1)?.squeeze(dim + 1)?)
    };
    Ok(half(0, 0)?.maximum(&half(0, 1)?)?.maximum(&half(1, 1)?)?)
}

/// The mean of the 3x3 window around each pixel: `(N, C, H, W)` to the same shape; differentiable.
///
/// At the edge, `counts_padding` takes what lies outside for zeros (torchvision); otherwise only what lies inside is
/// averaged (Keras).
///
/// # Errors
/// Where it has not four dimensions.
pub(super) fn average_pool(x: &Tensor, counts_padding: bool) -> Result<Tensor> {
    let (_, _, height, width) = x.dims4()?;
    if average::applies(x) {
        return Ok(average::average(x, counts_padding)?);
    }
    let sums = sum_of_three(&sum_of_three(x, 2)?, 3)?;
    if counts_padding {
        return Ok((sums * (1. / 9.))?);
    }
    let (rows, columns) = (inside(height, x.device())?, inside(width, x.device())?);
    let counts = rows.reshape((height, 1))?.broadcast_mul(&columns.reshape((1, width))?)?;
    Ok(sums.broadcast_mul(&counts.to_dtype(x.dtype())?)?)
}

/// The sum of each pixel and its neighbours along `dim`.
fn sum_of_three(x: &Tensor, dim: usize) -> Result<Tensor> {
    let length = x.dim(dim)?;
    let padded = x.pad_with_zeros(dim, 1, 1)?;
    let part = |start| padded.narrow(dim, start, length);
    Ok(((part(0)? + part(1)?)? + part(2)?)?)
}

/// One over how many of a pixel and its neighbours lie inside, along one side.
fn inside(length: usize, device: &Device) -> Result<Tensor> {
    let share = |at: usize| 1. / ((at + 2).min(length) - at.saturating_sub(1)) as f32;
    Ok(Tensor::from_iter((0..length).map(share), device)?)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use candle_core::{DType, Var};

    /// 1 to 20 in four rows of five.
    fn counting() -> Tensor {
        Tensor::arange(1f32, 21f32, &Device::Cpu).unwrap().reshape((1, 1, 4, 5)).unwrap()
    }

    fn rows(x: &Tensor) -> Vec<Vec<f32>> {
        x.squeeze(0).unwrap().squeeze(0).unwrap().to_vec2().unwrap()
    }

    #[test]
    fn the_largest_of_each_window() {
        // Of rows 1 to 3 and columns 1 to 3, then 3 to 5; a fourth row fills no further window.
        assert_eq!(rows(&max_pool(&counting()).unwrap()), [[13., 15.]]);
        assert_eq!(rows(&max_pool(&counting().neg().unwrap()).unwrap()), [[-1., -3.]]);
        // candle's own, which has no gradient here, as the measure.
        for (height, width) in [(3, 3), (8, 9), (35, 35), (16, 147)] {
            let value = |i: usize| ((i * 7919) % 1009) as f32;
            let x = Tensor::from_iter((0..2 * height * width).map(value), &Device::Cpu).unwrap();
            let x = x.reshape((1, 2, height, width)).unwrap();
            let want = x.max_pool2d_with_stride(3, 2).unwrap();
            let off = (max_pool(&x).unwrap() - want).unwrap().abs().unwrap().max_all().unwrap();
            assert_eq!(off.to_scalar::<f32>().unwrap(), 0., "{height}x{width}");
            let elsewhere = max_pool(&x.to_dtype(DType::F64).unwrap()).unwrap().to_dtype(DType::F32).unwrap();
            assert_eq!(
                rows(&elsewhere.narrow(1, 0, 1).unwrap()),
                rows(&max_pool(&x).unwrap().narrow(1, 0, 1).unwrap())
            );
        }
    }

    #[test]
    fn the_mean_with_and_without_what_lies_outside() {
        let off = |got: f32, want: f32| (got - want).abs() < 1e-5;
        let (with, without) = (average_pool(&counting(), true).unwrap(), average_pool(&counting(), false).unwrap());
        for (counts, ours) in [(true, &with), (false, &without)] {
            let elsewhere = average_pool(&counting().to_dtype(DType::F64).unwrap(), counts).unwrap();
            let off = (elsewhere.to_dtype(DType::F32).unwrap() - ours).unwrap().abs().unwrap().max_all().unwrap();
            assert!(off.to_scalar::<f32>().unwrap() < 1e-5, "off the CPU's f32 it is the same");
        }
        let (with, without) = (rows(&with), rows(&without));
        // Corner: 1 + 2 + 6 + 7 = 16. Upper edge: 1 + 2 + 3 + 6 + 7 + 8 = 27. Inside: the middle, 7.
        assert!(off(with[0][0], 16. / 9.) && off(without[0][0], 4.));
        assert!(off(with[0][1], 3.) && off(without[0][1], 4.5));
        assert!(off(with[1][1], 7.) && off(without[1][1], 7.));
        // Right edge: 4 + 5 + 9 + 10 + 14 + 15 = 57.
        assert!(off(with[1][4], 57. / 9.) && off(without[1][4], 9.5));
    }

    #[test]
    fn gradients_go_where_the_values_came_from() {
        let x = Var::from_tensor(&counting()).unwrap();
        let gradient = |y: Tensor| rows(y.sum_all().unwrap().backward().unwrap().get(&x).unwrap());
        let largest = gradient(max_pool(&x).unwrap());
        let hit: Vec<_> = (0..20).filter(|i| largest[i / 5][i % 5] == 1.).collect();
        assert_eq!((hit, largest.concat().iter().sum::<f32>()), (vec![12, 14], 2.));
        let mean = gradient(average_pool(&x, true).unwrap());
        assert!((mean[0][0] - 4. / 9.).abs() < 1e-6 && (mean[1][1] - 1.).abs() < 1e-6);
        // Without the zeros outside, every window gives its weight of 1 away.
        let mean = gradient(average_pool(&x, false).unwrap());
        assert!((mean.concat().iter().sum::<f32>() - 20.).abs() < 1e-4);
    }

    #[test]
    fn a_gpus_kernels_compute_the_same() {
        let Some(host) = crate::cuda::host() else { return };
        for (height, width) in [(3, 3), (4, 5), (9, 8), (17, 12)] {
            // No two numbers of a plane alike, in bf16 neither: one of them is the largest of a window.
            let value = |i: usize| match i % (height * width) * 97 % 211 {
                low @ ..128 => 1. + low as f32 / 128.,
                high => 2. + (high - 128) as f32 / 64.,
            };
            let x = Tensor::from_iter((0..6 * height * width).map(value), &Device::Cpu).unwrap();
            let x = x.reshape((2, 3, height, width)).unwrap();
            let g = max_pool(&x).unwrap().sin().unwrap();
            let what = format!("{height}x{width}");
            let launch = |backward| crate::cuda::max_pool((2, 3, height, width), backward).unwrap();
            host.compare(&launch(false), &[&x], |at| max_pool(&at[0]).unwrap(), &what);
            let backward = |at: &[Tensor]| {
                let x = Var::from_tensor(&at[0]).unwrap();
                let sum = (max_pool(&x).unwrap() * &at[1]).unwrap().sum_all().unwrap();
                sum.backward().unwrap().get(&x).unwrap().clone()
            };
            host.compare(&launch(true), &[&x, &g], backward, &format!("{what}, backwards"));
        }
    }

    #[test]
    fn what_is_smaller_than_a_window() {
        let small = Tensor::ones((1, 1, 2, 5), DType::F32, &Device::Cpu).unwrap();
        assert!(matches!(max_pool(&small), Err(Error::Shape { .. })));
        assert!(rows(&average_pool(&small, false).unwrap()).concat().iter().all(|mean| (mean - 1.).abs() < 1e-6));
        let one = Tensor::ones((1, 1, 1, 1), DType::F32, &Device::Cpu).unwrap();
        assert!((rows(&average_pool(&one, true).unwrap())[0][0] - 1. / 9.).abs() < 1e-6);
        assert_eq!(rows(&average_pool(&one, false).unwrap()), [[1.]]);
    }
}
