//! What tests of a GPU share: the GPU, numbers that look random, and how far two tensors are apart.
// Each of them uses some of it.
#![allow(clippy::unwrap_used, dead_code)]

use crate::reference::skipped;
use candlewick::device::{DeviceChoice, pick};
use candlewick::prelude::{DType, Device, Pixels, Tensor};
use std::process::{Command, Output};

/// The GPU; says so where there is none, or this build cannot use it.
pub fn gpu() -> Option<Device> {
    match pick(DeviceChoice::Cuda(0)) {
        Ok(picked) => Some(picked.device),
        Err(why) => {
            // Why, and not what a person would do about it.
            skipped(why.to_string().split(". ").next().unwrap_or_default());
            None
        }
    }
}

/// Numbers in [-1, 1), the same everywhere.
pub fn noise(seed: u32, shape: &[usize], device: &Device) -> Tensor {
    let value =
        |i: u32| ((i ^ seed.wrapping_mul(7919)).wrapping_mul(2_654_435_761) >> 8) as f32 / (1 << 23) as f32 - 1.;
    let count: usize = shape.iter().product();
    let values = Tensor::from_iter((0..count as u32).map(value), &Device::Cpu).unwrap();
    values.reshape(shape).unwrap().to_device(device).unwrap()
}

/// A tensor's numbers, wherever it is.
pub fn numbers(tensor: &Tensor) -> Vec<f32> {
    let tensor = tensor.to_device(&Device::Cpu).unwrap().to_dtype(DType::F32).unwrap();
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

/// The largest difference over the largest number wanted; what is no number is infinitely far off.
pub fn furthest(got: &Tensor, want: &Tensor) -> f32 {
    assert_eq!(got.dims(), want.dims());
    let (got, want) = (numbers(got), numbers(want));
    let off = got.iter().zip(&want).map(|(a, b)| (a - b).abs());
    let off = off.fold(0., |most: f32, x| if x.is_nan() { f32::INFINITY } else { most.max(x) });
    off / want.iter().fold(f32::MIN_POSITIVE, |most: f32, x| most.max(x.abs()))
}

/// A smooth picture, with some noise.
pub fn photo(seed: usize, side: usize) -> Pixels {
    let byte = |i: usize| {
        let (y, x) = (i / 3 / side, i / 3 % side);
        let noise = (i as u32 + seed as u32 * 977).wrapping_mul(2_654_435_761) >> 28;
        (110. + 70. * ((x + i % 3 * 40 + seed * 13) as f32 / 30.).sin() + 30. * (y as f32 / 17.).cos()) as u8
            + noise as u8
    };
    Pixels::new(side, side, (0..side * side * 3).map(byte).collect()).unwrap()
}

/// This program again, with one test of it and something in its environment.
pub fn again(test: &str, environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture", "--test-threads=1"]);
    command.env_remove("CANDLEWICK_DEVICE").envs(environment.iter().copied()).output().unwrap()
}

/// Whether the GPU is the one of `tests/pretend_gpu`, which does what its environment asks for; says so where it is not.
pub fn is_pretended() -> bool {
    let pretended = pick(DeviceChoice::Cuda(0)).is_ok_and(|picked| picked.why.contains("pretended"));
    if !pretended {
        skipped("this is for a pretended GPU (.ci/cuda)");
    }
    pretended
}
