//! Weights by a formula that makes the same bits everywhere, and how far a network is from golden numbers.
// Each test that includes this uses its own part of it.
#![allow(dead_code)]

use candlewick::candle_core::{DType, Device, Tensor};
use serde_json::Value;

/// FNV-1a, 32 bit.
fn hash(name: &str) -> u32 {
    name.bytes().fold(2_166_136_261, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(16_777_619))
}

/// Noise for a tensor of this name, in [-1, 1).
fn signed(name: &str, index: usize) -> f32 {
    let mut z = hash(name).wrapping_add((index as u32).wrapping_mul(2_654_435_761));
    z ^= z >> 16;
    z = z.wrapping_mul(0x7feb_352d);
    z ^= z >> 15;
    z = z.wrapping_mul(0x846c_a68b);
    z ^= z >> 16;
    (z >> 8) as f32 * 2f32.powi(-23) - 1.
}

/// The noise itself as a tensor.
pub fn signed_tensor(name: &str, shape: &[usize]) -> Tensor {
    let values: Vec<f32> = (0..shape.iter().product()).map(|index| signed(name, index)).collect();
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}

/// A tensor by formula, chosen by the last part of its name and its rank.
pub fn synthetic(name: &str, shape: &[usize]) -> Tensor {
    let fan_in: usize = shape.iter().skip(1).product();
    let scale = (6. / fan_in as f64).sqrt() as f32;
    let value = |s: f32| match name.rsplit('.').next().unwrap() {
        "running_var" => 1. + 0.5 * s,
        "running_mean" | "bias" => 0.125 * s,
        _ if shape.len() == 1 => 1. + 0.25 * s,
        _ => scale * s,
    };
    let count = shape.iter().product();
    let values: Vec<f32> = (0..count).map(|index| value(signed(name, index))).collect();
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}

/// All its numbers in order.
pub fn flat(tensor: &Tensor) -> Vec<f64> {
    tensor.flatten_all().unwrap().to_dtype(DType::F64).unwrap().to_vec1().unwrap()
}

/// As f32, which the formula's values are: reading JSON may be off by the last bit of an f64.
pub fn bits(values: &[f64]) -> Vec<f32> {
    values.iter().map(|&value| value as f32).collect()
}

/// A list of numbers.
pub fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().expect("a list").iter().map(|number| number.as_f64().expect("a number")).collect()
}

/// How far one layer is off, in its standard deviations: mean, deviation, both ends and eight values.
pub fn layer_off(tensor: &Tensor, golden: &Value) -> f64 {
    let shape: Vec<usize> = numbers(&golden["shape"]).iter().map(|&size| size as usize).collect();
    assert_eq!(tensor.dims(), shape);
    let values = flat(tensor);
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let std = (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count).sqrt();
    let ends = values.iter().fold((f64::MAX, f64::MIN), |(low, high), &value| (low.min(value), high.max(value)));
    let mut ours = vec![mean, std, ends.0, ends.1];
    ours.extend((0..8).map(|j| values[values.len() * j / 8]));
    let mut theirs: Vec<f64> = ["mean", "std", "min", "max"].map(|key| golden[key].as_f64().unwrap()).into();
    theirs.extend(numbers(&golden["sample8"]));
    assert_eq!(ours.len(), theirs.len());
    let off = ours.iter().zip(&theirs).map(|(ours, theirs)| (ours - theirs).abs()).fold(0., f64::max);
    off / golden["std"].as_f64().unwrap()
}

/// How far a row of features or logits is off, in root mean squares: 16 values and the length; the largest must agree.
pub fn row_off(row: &[f64], golden: &Value) -> f64 {
    let length = row.iter().map(|value| value * value).sum::<f64>().sqrt();
    let size = length / (row.len() as f64).sqrt();
    let wanted = numbers(&golden["first16"]);
    let mut off = row.iter().zip(&wanted).map(|(ours, theirs)| (ours - theirs).abs()).fold(0., f64::max);
    off = off.max((length - golden["l2"].as_f64().unwrap()).abs());
    // The trained logits sum to almost nothing, so the sum is compared as it is.
    let sum = row.iter().sum::<f64>();
    assert!((sum - golden["sum"].as_f64().unwrap()).abs() < 2e-2, "sum {sum} and not {}", golden["sum"]);
    let largest = (0..row.len()).max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap();
    assert_eq!(largest as u64, golden["argmax"].as_u64().unwrap());
    off / size
}
