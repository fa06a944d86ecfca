//! Every layer of MobileNetV2 against torchvision's, by numbers.
//!
//! Weights and input follow a formula that makes the same bits everywhere, so half of this needs no file: its numbers
//! lie beside this test. The other half, with the trained weights, needs the project's `shared/` folder
//! (`$CANDLEWICK_SHARED`) and the weights, and is skipped where either cannot be had.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use candlewick::candle_core::{Device, Tensor};
use candlewick::models::{Backbone, MobileNetV2};
use candlewick::weights::{WEIGHTS, Weights};
use serde_json::Value;
use std::collections::HashMap;

mod golden_numbers;
mod reference;

use golden_numbers::{bits, flat, layer_off, numbers, row_off, synthetic};

/// How far activations may be off, in standard deviations of their layer. Torch and numpy differ by up to 1e-5 with
/// trained weights and 1e-4 with formula weights; 1e-3 already means a wrong layer.
const TRAINED: f64 = 5e-5;
const FORMULA: f64 = 3e-4;

/// The reference's two photos, exact in f32.
fn input() -> Tensor {
    let value = |i: u32| (i.wrapping_mul(2_654_435_761) >> 8) as f32 * 2f32.powi(-22) - 2.;
    Tensor::from_vec((0..2 * 3 * 224 * 224).map(value).collect::<Vec<_>>(), (2, 3, 224, 224), &Device::Cpu).unwrap()
}

/// Every layer, the features and the logits of a network against one half of the golden numbers.
fn compare(net: &MobileNetV2, golden: &Value, allowed: f64) {
    let x = input();
    let layers = golden["layers"].as_object().expect("layers");
    assert_eq!(layers.len(), 19, "the golden file has all layers");
    let mut worst: f64 = 0.;
    for layer in net.layers() {
        let off = layer_off(&net.layer(&x, &layer.name).unwrap(), &layers[&layer.name]);
        assert!(off < allowed, "{}: off by {off:.1e} of its deviation", layer.name);
        worst = worst.max(off);
    }
    for (what, found) in [("pooled", net.features(&x).unwrap()), ("logits", net.logits(&x).unwrap())] {
        let rows = golden[what].as_array().expect("rows");
        assert_eq!(rows.len(), 2);
        for (index, row) in rows.iter().enumerate() {
            let off = row_off(&flat(&found.get(index).unwrap()), row);
            assert!(off < 4. * allowed, "{what} {index}: off by {off:.1e} of its size");
            worst = worst.max(off);
        }
    }
    println!("19 layers, features and logits: off by at most {worst:.1e}");
}

fn beside() -> Value {
    serde_json::from_str(include_str!("parity_mobilenet_v2.json")).unwrap()
}

/// The names and shapes of all tensors, from a network that has them.
fn formula_net(golden: &Value) -> MobileNetV2 {
    let mut tensors = HashMap::new();
    let mut add = |name: String, shape: &[usize]| drop(tensors.insert(name.clone(), synthetic(&name, shape)));
    // Sandler et al. 2018, table 2, written out once more: (first block, blocks, expand, in, out).
    let stages = [
        (1, 1, 1, 32, 16),
        (2, 2, 6, 16, 24),
        (4, 3, 6, 24, 32),
        (7, 4, 6, 32, 64),
        (11, 3, 6, 64, 96),
        (14, 3, 6, 96, 160),
        (17, 1, 6, 160, 320),
    ];
    let mut unit = |kernel: &str, norm: &str, shape: [usize; 4]| {
        add(format!("{kernel}.weight"), &shape);
        for part in ["weight", "bias", "running_mean", "running_var"] {
            add(format!("{norm}.{part}"), &shape[..1]);
        }
    };
    unit("features.0.0", "features.0.1", [32, 3, 3, 3]);
    for (first, blocks, expand, from, to) in stages {
        for block in 0..blocks {
            let name = format!("features.{}.conv", first + block);
            let input = if block == 0 { from } else { to };
            let hidden = input * expand;
            let mut part = 0;
            if expand > 1 {
                unit(&format!("{name}.0.0"), &format!("{name}.0.1"), [hidden, input, 1, 1]);
                part = 1;
            }
            unit(&format!("{name}.{part}.0"), &format!("{name}.{part}.1"), [hidden, 1, 3, 3]);
            unit(&format!("{name}.{}", part + 1), &format!("{name}.{}", part + 2), [to, hidden, 1, 1]);
        }
    }
    unit("features.18.0", "features.18.1", [1280, 320, 1, 1]);
    add("classifier.1.weight".into(), &[1000, 1280]);
    add("classifier.1.bias".into(), &[1000]);
    // The formula itself first: its bits are those of the reference.
    let samples = golden["synthetic"]["samples"].as_object().expect("samples");
    assert_eq!(samples.len(), 8);
    for (name, sample) in samples {
        let values = bits(&flat(&tensors[name]));
        assert_eq!(values[..4], bits(&numbers(&sample["first4"])), "{name}");
        assert_eq!(values[values.len() - 1..], bits(&[sample["last"].as_f64().unwrap()]), "{name}");
    }
    MobileNetV2::from_weights(&Weights::new("formula", tensors)).unwrap()
}

#[test]
fn every_layer_is_torchvisions_with_weights_by_formula() {
    let golden = beside();
    let x = bits(&flat(&input()));
    assert_eq!(x[..8], bits(&numbers(&golden["input"]["first8"])));
    assert_eq!(x[x.len() - 4..], bits(&numbers(&golden["input"]["last4"])));
    let net = formula_net(&golden);
    compare(&net, &golden["synthetic"], FORMULA);
    compare(&net.folded().unwrap(), &golden["synthetic"], FORMULA);
}

#[test]
fn every_layer_is_torchvisions_with_the_trained_weights() {
    let Some(golden) = reference::shared("reference/mobilenet_v2.json") else { return };
    if reference::weights().is_none() {
        return;
    }
    let golden: Value = serde_json::from_slice(&std::fs::read(golden).unwrap()).unwrap();
    let row = WEIGHTS.iter().find(|row| row.name == reference::WEIGHTS).unwrap();
    assert_eq!(golden["real"]["weights_sha256"].as_str(), row.sha256);
    let net = MobileNetV2::load(row.name).unwrap();
    assert_eq!(net.spec().weights, row.name);
    compare(&net, &golden["real"], TRAINED);
    compare(&net.folded().unwrap(), &golden["real"], TRAINED);
    // The numbers beside this test are those of the reference, word for word.
    assert_eq!(golden["synthetic"], beside()["synthetic"]);
}
