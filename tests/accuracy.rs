//! The recipe against saved runs of an independent implementation: real photos, five seeds.
#![allow(clippy::expect_used, clippy::unwrap_used)]

use candlewick::prelude::*;
use candlewick_tests::{shared, weights};
use serde_json::Value;

#[test]
fn validation_accuracy_is_within_the_references_band() {
    let (Some(photos), Some(heads)) = (shared("data/cats_vs_dogs"), shared("reference/heads.json")) else { return };
    if weights().is_none() {
        return;
    }
    let heads: Value = serde_json::from_slice(&std::fs::read(heads).unwrap()).unwrap();
    let last = &heads["mobilenet_v2_cats_vs_dogs"]["epochs"][5]["val_accuracy"];
    let (mean, deviation) = (last[0].as_f64().unwrap(), last[1].as_f64().unwrap());

    let data = Dataset::from_folder(photos).unwrap();
    assert_eq!(data.len(), 2002);
    let network = MobileNetV2::pretrained().unwrap().freeze().unwrap();
    let mut model = TransferModel::new(network, data.classes()).unwrap();
    let accuracies: Vec<f64> = (0..5)
        .map(|seed| {
            let (training, validation) = data.split(0.8, seed).unwrap();
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
