//! What the files of the operations do not test themselves: the halves' conversions, photos, and what is too large.

#![allow(clippy::unwrap_used)]

use super::*;
use crate::images::{Pixels, Preprocess};
use candle_core::{DType, Device, Tensor};

fn numbers(tensor: &Tensor) -> Vec<f32> {
    tensor.to_dtype(DType::F32).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

#[test]
fn halves_are_rounded_as_candle_rounds_them() {
    let Some(host) = host() else { return };
    let all: Vec<u8> = (0..=u16::MAX).flat_map(u16::to_le_bytes).collect();
    let factors = [1f32, 0.37, 1.000_976_6, 3.1, 6.1e-5, 1234.5, 1e-7];
    for dtype in [DType::F16, DType::BF16] {
        // Every number of the type, infinities and NaN with them, times some: a product of two halves is exact in f32.
        let x = Tensor::from_raw_buffer(&all, dtype, &[1, 1, 256, 256], &Device::Cpu).unwrap();
        for factor in factors {
            let factor = Tensor::new(&[factor], &Device::Cpu).unwrap().to_dtype(dtype).unwrap();
            let wide = |t: &Tensor| t.to_dtype(DType::F32).unwrap();
            let want = wide(&x).broadcast_mul(&wide(&factor)).unwrap().to_dtype(dtype).unwrap();
            let launch = scale((1, 1, 256, 256), Activation::Linear).unwrap();
            let got = host.run(&launch, dtype, [Some(&x), Some(&factor), None]);
            let pairs: Vec<(f32, f32)> = numbers(&got).into_iter().zip(numbers(&want)).collect();
            let same = |(got, want): &(f32, f32)| got.to_bits() == want.to_bits() || got.is_nan() && want.is_nan();
            assert_eq!(pairs.iter().position(|pair| !same(pair)), None, "{dtype:?} times {factor}");
            assert!(pairs.iter().any(|(got, _)| got.is_nan()) && pairs.iter().any(|(got, _)| got.is_infinite()));
        }
    }
}

#[test]
fn a_photos_bytes_become_planes_as_on_the_cpu() {
    let Some(host) = host() else { return };
    let side = 9;
    let photos: Vec<Pixels> = (0..2)
        .map(|photo| Pixels {
            height: side,
            width: side,
            rgb: (0..side * side * 3).map(|i| (i * 37 + photo * 11) as u8).collect(),
        })
        .collect();
    let bytes: Vec<u8> = photos.iter().flat_map(|photo| photo.rgb.clone()).collect();
    let bytes = Tensor::from_vec(bytes, (2, side, side, 3), &Device::Cpu).unwrap();
    for preprocess in [Preprocess::IMAGENET, Preprocess::INCEPTION] {
        let preprocess = Preprocess { side, ..preprocess };
        let (factor, summand) = preprocess.factor_and_summand();
        let three = |values: [f32; 3]| Tensor::new(&values, &Device::Cpu).unwrap();
        let launch = normalise(2, (side, side)).unwrap();
        let got = host.run(&launch, DType::F32, [Some(&bytes), Some(&three(factor)), Some(&three(summand))]);
        let want: Vec<Tensor> = photos.iter().map(|photo| photo.to_tensor(&preprocess).unwrap()).collect();
        let want = numbers(&Tensor::cat(&want, 0).unwrap());
        let off = numbers(&got).iter().zip(&want).map(|(got, want)| (got - want).abs()).fold(0., f32::max);
        assert!(off < 1e-6, "{preprocess:?}: {off}");
    }
}

#[test]
fn a_launch_of_more_numbers_than_a_kernel_counts_is_refused() {
    let error = scale((4096, 96, 112, 112), Activation::Relu6).unwrap_err().to_string();
    assert!(error.contains("fewer photos"), "{error}");
    assert!(max_pool((1, usize::MAX, 3, 3), false).is_err());
    // The input counts too, where the output is smaller.
    assert!(max_pool((1024, 64, 299, 299), false).is_err());
}

#[test]
fn sums_are_cut_into_enough_pieces_and_no_more() {
    // (channels, photos, rows) to slices: few channels need many, and no slice is empty.
    for (channels, photos, rows) in [(32, 1, 112), (960, 32, 7), (2, 1, 1), (4096, 64, 64)] {
        let launch = scale_to_both((photos, channels, rows, 5)).unwrap();
        let slices = launch.plan.slices as usize;
        assert!(slices >= 1 && slices <= photos * rows, "{slices}");
        assert!(launch.writes() >= BUSY || slices == photos * rows);
        assert_eq!(launch.finish().unwrap().writes(), 2 * channels);
    }
}
