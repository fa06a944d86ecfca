//! The frozen plan with the trained weights against torchvision's features and logits.
//!
//! Needs the project's `shared/` folder (`$CANDLEWICK_SHARED`) and the weights; skipped where either cannot be had.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use candlewick::candle_core::{Device, Tensor};
use candlewick::models::{Backbone, MobileNetV2};
use serde_json::Value;

mod reference;

/// The reference's two photos, exact in f32.
fn input() -> Tensor {
    let value = |i: u32| (i.wrapping_mul(2_654_435_761) >> 8) as f32 * 2f32.powi(-22) - 2.;
    Tensor::from_vec((0..2 * 3 * 224 * 224).map(value).collect::<Vec<_>>(), (2, 3, 224, 224), &Device::Cpu).unwrap()
}

/// The largest difference from the reference's first numbers, over the largest of all.
fn relative(row: &[f32], want: &Value) -> f64 {
    let largest = row.iter().fold(0.0, |a: f64, &b| a.max(f64::from(b).abs()));
    let want = want["first16"].as_array().expect("first16");
    assert_eq!(want.len(), 16);
    let off = row.iter().zip(want).map(|(got, want)| (f64::from(*got) - want.as_f64().expect("a number")).abs());
    off.fold(0.0, f64::max) / largest
}

#[test]
fn frozen_features_and_logits_are_torchvisions() {
    let Some(golden) = reference::shared("reference/mobilenet_v2.json") else { return };
    let Some(weights) = reference::weights() else { return };
    let golden: Value = serde_json::from_slice(&std::fs::read(golden).unwrap()).expect("the reference is JSON");
    let frozen = MobileNetV2::load(&weights.to_string_lossy()).unwrap().freeze().unwrap();
    for (what, got) in [("pooled", frozen.features(&input())), ("logits", frozen.logits(&input()))] {
        let rows: Vec<Vec<f32>> = got.unwrap().to_vec2().unwrap();
        for (i, row) in rows.iter().enumerate() {
            let off = relative(row, &golden["real"][what][i]);
            assert!(off < 1e-4, "{what} of photo {i}, by {}: {off}", frozen.cpu());
            println!("{what} of photo {i}, by {}: off by {off:.1e}", frozen.cpu());
        }
    }
    let folded: Vec<Vec<f32>> = frozen.backbone().features(&input()).unwrap().to_vec2().unwrap();
    let plan: Vec<Vec<f32>> = frozen.features(&input()).unwrap().to_vec2().unwrap();
    for (plan, folded) in plan.iter().zip(&folded) {
        let largest = folded.iter().fold(0.0, |a: f32, b| a.max(b.abs()));
        let off = plan.iter().zip(folded).fold(0.0, |a: f32, (p, f)| a.max((p - f).abs())) / largest;
        assert!(off < 1e-4, "against plain candle: {off}");
        println!("against plain candle: off by {off:.1e}");
    }
}
