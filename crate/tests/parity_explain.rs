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

/// How far a gradient may be off, in its own size. Most are within 1e-5.
const ALLOWED: f64 = 1e-3;
/// And one of the trained MobileNetV2, with the units that rounding puts on the other side of their kink moved back. Without
/// that a single unit, 1.6e-7 from the kink of its ReLU6, was seen to set a logit's gradient apart by 1.7e-3.
const ALLOWED_WITHOUT_KINKS: f64 = 1e-5;
/// And, where rounding puts units on the other side of their kink, how far in what PyTorch itself is off in f32.
const SINGLE: f64 = 4.;

/// A layer's activations, or the logits, with the units of golden/explain_kinks.json that rounding has put on the other side
/// of the kink of their ReLU6 moved to where they are in double precision; and how many these are.
fn without_kinks(net: &dyn Backbone, x: &Tensor, layer: Option<&str>) -> (Tensor, usize) {
    let kinks: Value = serde_json::from_str(include_str!("golden/explain_kinks.json")).unwrap();
    let (mut met, mut moved, mut found) = (0, 0, None);
    let features = net.tapped(x, &mut |name, y| {
        let units = kinks.get(name).and_then(Value::as_array);
        met += usize::from(units.is_some());
        let (values, mut steps) = (flat(&y), vec![0f32; y.elem_count()]);
        for unit in units.into_iter().flatten() {
            let (index, exact) = (unit[0].as_u64().unwrap() as usize, unit[1].as_f64().unwrap());
            let (value, open) = (values[index], |value: f64| value > 0. && value < 6.);
            assert!((value - exact).abs() < 1e-4, "{name}, {index}: {value} and not {exact}");
            if open(value) != open(exact) {
                moved += 1;
                steps[index] = (exact - value) as f32;
            }
        }
        let y = if units.is_some() { (y.clone() + Tensor::from_vec(steps, y.shape(), y.device())?)? } else { y };
        if layer == Some(name) {
            found = Some(y);
            return Ok(None);
        }
        Ok(Some(y))
    });
    if let Some(found) = found {
        return (found, moved);
    }
    assert_eq!(met, kinks.as_object().unwrap().len());
    let (weight, bias) = net.classifier().unwrap();
    let logits = features.unwrap().unwrap().matmul(&weight.t().unwrap()).unwrap().broadcast_add(bias).unwrap();
    (logits, moved)
}

/// Gradients of logits and of channels' means, by name, against one part of the golden numbers.
fn compare(what: &str, net: &dyn Backbone, golden: &Value, sides: usize, scale: f32) {
    let x = Var::from_tensor(&photo(sides, scale)).unwrap();
    let trained = what.starts_with("trained");
    let mut worst: (f64, String) = (0., String::new());
    let mut found = |name: &str, value: &Tensor, golden: &Value| {
        let gradients = value.backward().unwrap();
        let off = gradient_off(&flat(gradients.get(&x).expect("a gradient")), &golden["gradient"]);
        let single = golden["gradient"]["single"].as_f64().expect("single");
        let allowed = if trained { ALLOWED_WITHOUT_KINKS } else { ALLOWED.max(SINGLE * single) };
        assert!(off < allowed, "{what}, {name}: off by {off:.1e}, PyTorch in f32 by {single:.1e}");
        let value = f64::from(value.to_scalar::<f32>().unwrap());
        let want = golden["value"].as_f64().unwrap();
        assert!((value - want).abs() < 1e-3 * (1. + want.abs()), "{what}, {name}: {value} and not {want}");
        if off > worst.0 {
            worst = (off, name.to_owned());
        }
    };
    let (logits, moved) = if trained { without_kinks(net, &x, None) } else { (net.logits(&x).unwrap(), 0) };
    println!("{what}: {moved} units moved back from the other side of their kink");
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
        let Ok(activations) =
            net.layer(&x, name).map(|y| if trained { without_kinks(net, &x, Some(name)).0 } else { y })
        else {
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
