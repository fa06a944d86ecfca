//! The recipe against saved runs of an independent implementation: real photos, five seeds.
#![allow(clippy::expect_used, clippy::unwrap_used)]

use candlewick::prelude::*;
use candlewick_tests::{shared, weights, weights_of};
use serde_json::Value;
use std::path::Path;

/// The band of a network's validation accuracy after six epochs: mean and deviation of one run.
fn band(heads: &Path, row: &str) -> (f64, f64) {
    let heads: Value = serde_json::from_slice(&std::fs::read(heads).unwrap()).unwrap();
    let last = &heads[row]["epochs"][5]["val_accuracy"];
    (last[0].as_f64().unwrap(), last[1].as_f64().unwrap())
}

/// Five seeds of the recipe, of which `share` of the photos are for training.
fn assert_within_band<B: Backbone>(network: Frozen<B>, data: &Dataset, share: f64, (mean, deviation): (f64, f64)) {
    let mut model = TransferModel::new(network, data.classes()).unwrap();
    let accuracies: Vec<f64> = (0..5)
        .map(|seed| {
            let (training, validation) = data.split(share, seed).unwrap();
            model.forget().unwrap();
            let history = model.fit(&training, &validation, FitOptions { seed, ..FitOptions::default() }).unwrap();
            history.last().unwrap().validation_accuracy
        })
        .collect();
    let ours = accuracies.iter().sum::<f64>() / 5.0;
    println!(
        "validation accuracy after 6 epochs, five seeds: {accuracies:?}, mean {ours:.4}; reference {mean} ± {deviation}"
    );
    // Both means are of five runs, so their difference scatters by √(2/5) of one run's deviation.
    let band = 3.0 * deviation * (2.0f64 / 5.0).sqrt();
    assert!((ours - mean).abs() <= band, "{ours:.4} is not within {mean} ± {band:.4}");
}

#[test]
fn mobilenet_v2_on_cats_and_dogs_is_within_the_references_band() {
    let (Some(photos), Some(heads)) = (shared("data/cats_vs_dogs"), shared("reference/heads.json")) else { return };
    if weights().is_none() {
        return;
    }
    let data = Dataset::from_folder(photos).unwrap();
    assert_eq!(data.len(), 2002);
    let network = MobileNetV2::pretrained().unwrap().freeze().unwrap();
    assert_within_band(network, &data, 0.8, band(&heads, "mobilenet_v2_cats_vs_dogs"));
}

#[test]
fn mobilenet_v2_on_flowers_is_within_the_references_band() {
    let (Some(photos), Some(heads)) = (shared("data/flowers"), shared("reference/heads.json")) else { return };
    if weights().is_none() {
        return;
    }
    let data = Dataset::from_folder(photos).unwrap();
    assert_eq!(data.len(), 3119);
    let network = MobileNetV2::pretrained().unwrap().freeze().unwrap();
    assert_within_band(network, &data, 0.7, band(&heads, "mobilenet_v2_flowers"));
}

#[test]
fn inception_v3_on_flowers_is_within_the_references_band() {
    let (Some(photos), Some(heads)) = (shared("data/flowers"), shared("reference/heads.json")) else { return };
    if weights_of("inception_v3.keras_in1k").is_none() {
        return;
    }
    let data = Dataset::from_folder(photos).unwrap();
    assert_eq!(data.len(), 3119);
    let network = InceptionV3::pretrained().unwrap().freeze().unwrap();
    assert_within_band(network, &data, 0.7, band(&heads, "inception_v3_flowers"));
}
