//! Gradients with respect to the photo against PyTorch's, which golden/make_explain.py found in double precision.
//!
//! Weights and photo follow formulas, so this needs no file; the numbers of the trained MobileNetV2 need its weights, and
//! are skipped where those cannot be had.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use candlewick::candle_core::{Tensor, Var};
use candlewick::models::{Activation, Backbone, Convolution, InceptionV3, MobileNetV2};
use candlewick::weights::WEIGHTS;
use golden_explain::{Golden, furthest_from, gradient_off, inception_v3, mobilenet_v2, photo, sizes, steps};
use golden_numbers::{flat, signed_tensor};
use serde_json::Value;

mod golden_explain;
mod golden_numbers;
mod reference;

/// How far a gradient may be off, in its own size. Most are within 1e-5; 1.7e-3 was measured for a logit of the trained
/// MobileNetV2, where PyTorch in f32 is off by 7e-7: a unit that rounding puts on the other side of its kink would do that.
const ALLOWED: f64 = 3e-3;
/// And, where rounding puts units on the other side of their kink, how far in what PyTorch itself is off in f32.
const SINGLE: f64 = 4.;

/// Gradients of logits and of channels' means, by name, against one part of the golden numbers.
fn compare(what: &str, net: &dyn Backbone, golden: &Value, sides: usize, scale: f32) {
    let x = Var::from_tensor(&photo(sides, scale)).unwrap();
    let mut worst: (f64, String) = (0., String::new());
    let mut found = |name: &str, value: &Tensor, golden: &Value| {
        let gradients = value.backward().unwrap();
        let off = gradient_off(&flat(gradients.get(&x).expect("a gradient")), &golden["gradient"]);
        let single = golden["gradient"]["single"].as_f64().expect("single");
        assert!(off < ALLOWED.max(SINGLE * single), "{what}, {name}: off by {off:.1e}, PyTorch in f32 by {single:.1e}");
        let value = f64::from(value.to_scalar::<f32>().unwrap());
        let want = golden["value"].as_f64().unwrap();
        assert!((value - want).abs() < 1e-3 * (1. + want.abs()), "{what}, {name}: {value} and not {want}");
        if off > worst.0 {
            worst = (off, name.to_owned());
        }
    };
    let logits = net.logits(&x).unwrap();
    let classes = golden["logits"].as_object().expect("logits");
    assert_eq!(classes.len(), 2);
    for (class, golden) in classes {
        let class: usize = class.parse().unwrap();
        found(&format!("class {class}"), &logits.get(0).unwrap().get(class).unwrap(), golden);
    }
    let layers = golden["layers"].as_object().expect("layers");
    assert!(layers.len() > 10);
    for (name, golden) in layers {
        // Folded, there are no bare convolutions.
        let Ok(activations) = net.layer(&x, name) else {
            assert!(
                what.contains("folded") && [".0.0", ".1.0"].iter().any(|end| name.ends_with(end)),
                "{what}: {name}"
            );
            continue;
        };
        assert_eq!(activations.dims()[1..], sizes(&golden["shape"]));
        let channel = golden["channel"].as_u64().unwrap() as usize;
        found(name, &activations.get(0).unwrap().get(channel).unwrap().mean_all().unwrap(), golden);
    }
    println!("{what}: off by at most {:.1e}, {}", worst.0, worst.1);
}

#[test]
fn mobilenet_v2_with_weights_by_formula() {
    let golden = &Golden::networks()["mobilenet_v2"]["formula"];
    let net = mobilenet_v2();
    compare("formula", &net, golden, 224, 2.);
    compare("formula, folded", &net.folded().unwrap(), golden, 224, 2.);
}

#[test]
fn mobilenet_v2_with_the_trained_weights() {
    if reference::weights().is_none() {
        return;
    }
    let golden = &Golden::networks()["mobilenet_v2"]["trained"];
    let row = WEIGHTS.iter().find(|row| row.name == reference::WEIGHTS).unwrap();
    assert_eq!(golden["weights_sha256"].as_str(), row.sha256);
    let net = MobileNetV2::load(row.name).unwrap();
    compare("trained", &net, golden, 224, 2.);
    compare("trained, folded", &net.folded().unwrap(), golden, 224, 2.);
}

#[test]
fn inception_v3_with_torchvisions_conventions() {
    let golden = &Golden::networks()["inception_v3"]["torchvision"];
    let net: InceptionV3 = inception_v3(true);
    compare("torchvision", &net, golden, 299, 1.);
    compare("torchvision, folded", &net.folded().unwrap(), golden, 299, 1.);
}

#[test]
fn inception_v3_with_keras_conventions() {
    let golden = &Golden::networks()["inception_v3"]["keras"];
    let net: InceptionV3 = inception_v3(false);
    compare("keras", &net, golden, 299, 1.);
}

#[test]
fn every_kind_of_convolution() {
    let golden = Golden::operations();
    let cases = golden["convolution"].as_object().expect("convolutions");
    assert_eq!(cases.len(), 14);
    for (name, golden) in cases {
        let shape = |key: &str| sizes(&golden[key]);
        let number = |key: &str| golden[key].as_u64().unwrap() as usize;
        let x = Var::from_tensor(&steps(3, &shape("input"))).unwrap();
        let kernel = Var::from_tensor(&steps(4, &shape("kernel"))).unwrap();
        let padding = shape("padding");
        let convolution = Convolution {
            weight: kernel.as_tensor().clone(),
            bias: None,
            batch_norm: None,
            stride: number("stride"),
            padding: (padding[0], padding[1]),
            groups: number("groups"),
            activation: Activation::Linear,
        };
        let y = convolution.forward(&x).unwrap();
        assert_eq!(y.dims(), shape("shape"), "{name}");
        assert!(furthest_from(&y, &golden["value"]) < 1e-5, "{name}");
        let gradients = (&y * signed_tensor("weights", y.dims())).unwrap().sum_all().unwrap().backward();
        let gradients = gradients.unwrap_or_else(|error| panic!("{name}: {error}"));
        for (key, variable) in [("to_x", &x), ("to_kernel", &kernel)] {
            let off = furthest_from(gradients.get(variable).unwrap(), &golden[key]);
            // The golden numbers have six digits, and are in the tens.
            assert!(off < 5e-5, "{name}, {key}: off by {off:.1e}");
        }
    }
}
