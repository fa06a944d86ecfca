//! Every block of InceptionV3 against Keras' and torchvision's, by numbers.
//!
//! Weights and input follow a formula that makes the same bits everywhere, so the half with torchvision's conventions
//! needs no file: its numbers lie beside this test. The other half, with Keras' trained weights, needs the project's
//! `shared/` folder (`$CANDLEWICK_SHARED`) and the weights, and is skipped where either cannot be had.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use candlewick::candle_core::{Device, Tensor};
use candlewick::models::{Backbone, InceptionV3};
use candlewick::weights::{WEIGHTS, Weights, read};
use serde_json::Value;
use std::collections::HashMap;

mod golden_numbers;
mod reference;

use golden_numbers::{bits, flat, layer_off, numbers, row_off, synthetic};

/// How far activations may be off, in standard deviations of their layer. Keras and torch differ by up to 6e-5 with
/// trained weights; 1e-3 already means a wrong layer.
const TRAINED: f64 = 1e-4;
const FORMULA: f64 = 3e-4;

/// The reference's two photos, exact in f32, laid out as `shape`.
fn counted(shape: [usize; 4]) -> Tensor {
    let value = |i: u32| (i.wrapping_mul(2_654_435_761) >> 8) as f32 * 2f32.powi(-23) - 1.;
    Tensor::from_vec((0..2 * 3 * 299 * 299).map(value).collect::<Vec<_>>(), &shape, &Device::Cpu).unwrap()
}

/// Every block of a network against golden numbers, then its rows of features or logits.
fn compare(net: &InceptionV3, x: &Tensor, golden: &Value, rows: &[&str], allowed: f64) {
    let layers = golden["layers"].as_object().expect("layers");
    assert_eq!(layers.len(), 18, "the golden file has all blocks");
    let mut worst: f64 = 0.;
    for layer in net.layers() {
        let off = layer_off(&net.layer(x, &layer.name).unwrap(), &layers[&layer.name]);
        assert!(off < allowed, "{}: off by {off:.1e} of its deviation", layer.name);
        worst = worst.max(off);
    }
    for what in rows {
        let found = if *what == "logits" { net.logits(x).unwrap() } else { net.features(x).unwrap() };
        worst = worst.max(rows_off(&found, &golden[*what], allowed));
    }
    println!("18 blocks and {rows:?}: off by at most {worst:.1e}");
}

fn rows_off(found: &Tensor, golden: &Value, allowed: f64) -> f64 {
    let rows = golden.as_array().expect("rows");
    assert_eq!(rows.len(), 2);
    let offs = (0..2).map(|index| row_off(&flat(&found.get(index).unwrap()), &rows[index]));
    let off = offs.fold(0., f64::max);
    assert!(off < 4. * allowed, "off by {off:.1e} of its size");
    off
}

fn beside() -> Value {
    serde_json::from_str(include_str!("parity_inception_v3.json")).unwrap()
}

/// torchvision's names and shapes, from the reference, with numbers by formula.
fn formula_net(golden: &Value) -> InceptionV3 {
    let mut tensors = HashMap::new();
    let mut add = |name: String, shape: &[usize]| drop(tensors.insert(name.clone(), synthetic(&name, shape)));
    let shapes = golden["shapes"].as_array().expect("shapes");
    assert_eq!(shapes.len(), 94);
    for row in shapes {
        let name = row[0].as_str().unwrap();
        let hwio: Vec<usize> = numbers(&row[1]).iter().map(|&size| size as usize).collect();
        add(format!("{name}.conv.weight"), &[hwio[3], hwio[2], hwio[0], hwio[1]]);
        for part in ["weight", "bias", "running_mean", "running_var"] {
            add(format!("{name}.bn.{part}"), &hwio[3..]);
        }
    }
    add("fc.weight".into(), &[1000, 2048]);
    add("fc.bias".into(), &[1000]);
    // An auxiliary head, as files for training have it, is left out.
    add("AuxLogits.fc.bias".into(), &[1000]);
    let samples = golden["synthetic"]["samples"].as_object().expect("samples");
    assert_eq!(samples.len(), 7);
    for (name, sample) in samples {
        let values = bits(&flat(&tensors[name]));
        assert_eq!(values[..4], bits(&numbers(&sample["first4"])), "{name}");
        assert_eq!(values[values.len() - 1..], bits(&[sample["last"].as_f64().unwrap()]), "{name}");
    }
    InceptionV3::from_weights(&Weights::new("formula", tensors)).unwrap()
}

#[test]
fn every_block_is_torchvisions_with_weights_by_formula() {
    let golden = beside();
    let x = counted([2, 3, 299, 299]);
    let flat_x = bits(&flat(&x));
    assert_eq!(flat_x[..8], bits(&numbers(&golden["synthetic"]["input"]["first8"])));
    assert_eq!(flat_x[flat_x.len() - 4..], bits(&numbers(&golden["synthetic"]["input"]["last4"])));
    let net = formula_net(&golden);
    compare(&net.folded().unwrap(), &x, &golden["synthetic"], &["pooled", "logits"], FORMULA);
    rows_off(&net.logits(&x).unwrap(), &golden["synthetic"]["logits"], FORMULA);
    let frozen = net.freeze().unwrap();
    for (what, found) in [("pooled", frozen.features(&x)), ("logits", frozen.logits(&x))] {
        let off = rows_off(&found.unwrap(), &golden["synthetic"][what], FORMULA);
        println!("frozen, {what}: off by {off:.1e}");
    }
}

#[test]
fn every_block_is_keras_with_the_trained_weights() {
    let Some(golden) = reference::shared("reference/inception_v3_keras.json") else { return };
    let row = WEIGHTS.iter().find(|row| row.name == "inception_v3.keras_in1k").unwrap();
    let Some(file) = reference::weights_of(row.name) else { return };
    let golden: Value = serde_json::from_slice(&std::fs::read(golden).unwrap()).unwrap();
    assert_eq!(golden["real"]["weights_sha256"].as_str(), row.sha256);
    // The numbers beside this test are those of the reference, word for word.
    for part in ["layers", "pooled", "logits", "samples"] {
        assert_eq!(golden["synthetic"][part], beside()["synthetic"][part], "{part}");
    }
    let x = counted([2, 299, 299, 3]).permute((0, 3, 1, 2)).unwrap().contiguous().unwrap();
    let net = InceptionV3::load(row.name).unwrap();
    assert_eq!(net.spec().weights, row.name);
    assert!(net.logits(&x).unwrap_err().to_string().contains("no head"));
    compare(&net, &x, &golden["real"], &["pooled"], TRAINED);
    let frozen = net.freeze().unwrap();
    println!("frozen: off by {:.1e}", rows_off(&frozen.features(&x).unwrap(), &golden["real"]["pooled"], TRAINED));
    under_torchvisions_names(&read(&file).unwrap(), &x, &golden);
}

/// The same numbers as torchvision would hold them: with a scale of one, its pools count the zeros at the edge; without
/// scales they are still Keras'.
fn under_torchvisions_names(keras: &HashMap<String, Tensor>, x: &Tensor, golden: &Value) {
    let mut tensors = HashMap::new();
    for row in golden["mapping"]["rows"].as_array().expect("rows") {
        let text = |column: usize| row[column].as_str().unwrap();
        let (conv, norm, name) = (text(0), text(1), text(4));
        let kernel = &keras[&format!("model_weights/{conv}/{conv}/kernel")];
        tensors.insert(format!("{name}.conv.weight"), kernel.permute((3, 2, 0, 1)).unwrap());
        for (theirs, ours) in [("beta", "bias"), ("moving_mean", "running_mean"), ("moving_variance", "running_var")] {
            let tensor = keras[&format!("model_weights/{norm}/{norm}/{theirs}")].clone();
            tensors.insert(format!("{name}.bn.{ours}"), tensor);
        }
    }
    let pooled = |tensors: &HashMap<String, Tensor>| {
        let net = InceptionV3::from_weights(&Weights::new("renamed", tensors.clone())).unwrap();
        net.freeze().unwrap().features(x).unwrap()
    };
    rows_off(&pooled(&tensors), &golden["real"]["pooled"], TRAINED);
    for row in golden["mapping"]["rows"].as_array().expect("rows") {
        let name = row[4].as_str().unwrap();
        let ones = tensors[&format!("{name}.bn.bias")].ones_like().unwrap();
        tensors.insert(format!("{name}.bn.weight"), ones);
    }
    rows_off(&pooled(&tensors), &golden["real"]["pooled_if_pad_were_included"], TRAINED);
}
