//! The golden numbers of golden/make_explain.py and make_explain_operations.py, and the formulas they were made with.
// Each test that includes this uses its own part of it.
#![allow(dead_code)]

use crate::golden_numbers::{bits, flat, numbers, signed_tensor, synthetic};
use candlewick::candle_core::{Device, Tensor};
use candlewick::models::{InceptionV3, MobileNetV2};
use candlewick::weights::Weights;
use serde_json::Value;
use std::collections::HashMap;

/// Where the golden numbers come from.
pub struct Golden;

impl Golden {
    /// Of whole networks: `mobilenet_v2` with `trained` and `formula`, `inception_v3` with `torchvision` and `keras`.
    pub fn networks() -> Value {
        serde_json::from_str(include_str!("../golden/explain.json")).unwrap()
    }

    /// Of single operations.
    pub fn operations() -> Value {
        let golden: Value = serde_json::from_str(include_str!("../golden/explain_operations.json")).unwrap();
        // The formulas first: their bits are those of the maker.
        assert_eq!(bits(&flat(&steps(1, &[8]))), bits(&numbers(&golden["steps"])));
        assert!(furthest_from(&signed_tensor("weights", &[8]), &golden["signed"]) < 1e-5);
        golden
    }
}

/// The first of the reference's two photos, `(1, 3, side, side)` from `-scale` on to below `scale`.
pub fn photo(side: usize, scale: f32) -> Tensor {
    let value = |i: u32| (i.wrapping_mul(2_654_435_761) >> 8) as f32 * (scale * 2f32.powi(-23)) - scale;
    let values: Vec<f32> = (0..3 * (side * side) as u32).map(value).collect();
    Tensor::from_vec(values, (1, 3, side, side), &Device::Cpu).unwrap()
}

/// Whole numbers from -6 to 6, many of them equal.
pub fn steps(seed: usize, shape: &[usize]) -> Tensor {
    let value = |i: usize| ((i * 7919 + seed * 104_729) % 13) as f32 - 6.;
    let values: Vec<f32> = (0..shape.iter().product()).map(value).collect();
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}

/// MobileNetV2 with weights by formula.
pub fn mobilenet_v2() -> MobileNetV2 {
    let tensors = formula("mobilenet_v2", |kernel| {
        // `features.3.conv.0.0` is a bare convolution, `features.3.conv.0.1` its batch norm.
        let (layer, part) = kernel.rsplit_once('.').unwrap();
        format!("{layer}.{}", part.parse::<usize>().unwrap() + 1)
    });
    MobileNetV2::from_weights(&Weights::new("formula", tensors)).unwrap()
}

/// InceptionV3 with weights by formula: torchvision's conventions, or Keras', which has no scales.
pub fn inception_v3(torchvision: bool) -> InceptionV3 {
    let mut tensors = formula("inception_v3", |kernel| kernel.replace(".conv", ".bn"));
    tensors.retain(|name, _| torchvision || !name.ends_with(".bn.weight"));
    InceptionV3::from_weights(&Weights::new("formula", tensors)).unwrap()
}

/// All tensors of a network, where `norm` tells the batch norm of a kernel.
fn formula(network: &str, norm: impl Fn(&str) -> String) -> HashMap<String, Tensor> {
    let mut tensors = HashMap::new();
    let mut add = |name: String, shape: &[usize]| drop(tensors.insert(name.clone(), synthetic(&name, shape)));
    let golden = Golden::networks();
    let kernels = golden[network]["kernels"].as_array().expect("kernels");
    assert!(kernels.len() > 50);
    for row in kernels {
        let (kernel, shape) = (row[0].as_str().unwrap(), sizes(&row[1]));
        add(format!("{kernel}.weight"), &shape);
        if shape.len() == 2 {
            add(format!("{kernel}.bias"), &shape[..1]);
            continue;
        }
        for part in ["weight", "bias", "running_mean", "running_var"] {
            add(format!("{}.{part}", norm(kernel)), &shape[..1]);
        }
    }
    tensors
}

/// A list of sizes.
pub fn sizes(value: &Value) -> Vec<usize> {
    numbers(value).iter().map(|&size| size as usize).collect()
}

/// The furthest that numbers are from the golden ones, all of them, over the root mean square of those.
pub fn furthest_from(tensor: &Tensor, golden: &Value) -> f64 {
    let (ours, theirs) = (flat(tensor), numbers(golden));
    assert_eq!(ours.len(), theirs.len());
    let furthest = ours.iter().zip(&theirs).map(|(ours, theirs)| (ours - theirs).abs()).fold(0., f64::max);
    furthest / (norm(&theirs) / (theirs.len() as f64).sqrt())
}

/// How far a gradient is from the golden one, in its own norm: what its norm, its forty values (as a sample of all) and
/// its products with three directions tell, the worst of them.
pub fn gradient_off(gradient: &[f64], golden: &Value) -> f64 {
    let length = golden["norm"].as_f64().unwrap();
    assert!(length > 0.);
    let some = numbers(&golden["some"]);
    assert_eq!(some.len(), 40);
    let apart: Vec<f64> = (0..40).map(|j| gradient[gradient.len() * j / 40] - some[j]).collect();
    let sampled = norm(&apart) * (gradient.len() as f64 / 40.).sqrt() / length;
    let along = numbers(&golden["along"]);
    assert_eq!(along.len(), 3);
    let apart = along.iter().enumerate().map(|(j, along)| {
        let direction = flat(&signed_tensor(&format!("along.{j}"), &[gradient.len()]));
        (direction.iter().zip(gradient).map(|(a, b)| a * b).sum::<f64>() - along).abs() / length
    });
    apart.fold(sampled.max((norm(gradient) - length).abs() / length), f64::max)
}

fn norm(values: &[f64]) -> f64 {
    values.iter().map(|value| value * value).sum::<f64>().sqrt()
}
