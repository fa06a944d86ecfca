//! The frozen plan with the trained weights against torchvision's features and logits.
//!
//! Needs the project's `shared/` folder (`$CANDLEWICK_SHARED`) and the weights in the cache; skipped where either is
//! absent.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use candlewick::candle_core::{Device, Tensor};
use candlewick::fetch::cache_folder;
use candlewick::models::{Backbone, MobileNetV2};
use serde_json::Value;
use std::path::PathBuf;

/// The reference's two photos, exact in f32.
fn input() -> Tensor {
    let value = |i: u32| (i.wrapping_mul(2_654_435_761) >> 8) as f32 * 2f32.powi(-22) - 2.;
    Tensor::from_vec((0..2 * 3 * 224 * 224).map(value).collect::<Vec<_>>(), (2, 3, 224, 224), &Device::Cpu).unwrap()
}

fn reference() -> Option<Value> {
    let beside = || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared"));
    let shared = std::env::var_os("CANDLEWICK_SHARED").map_or_else(beside, PathBuf::from);
    let text = std::fs::read_to_string(shared.join("reference/mobilenet_v2.json")).ok()?;
    Some(serde_json::from_str(&text).expect("the reference is JSON"))
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
    let weights = cache_folder().unwrap().join("mobilenet_v2-b0353104.pth");
    let Some(reference) = reference() else { return println!("skipped: no shared/reference/mobilenet_v2.json") };
    if !weights.exists() {
        return println!("skipped: no {}", weights.display());
    }
    let frozen = MobileNetV2::load(&weights.to_string_lossy()).unwrap().freeze().unwrap();
    for (what, got) in [("pooled", frozen.features(&input())), ("logits", frozen.logits(&input()))] {
        let rows: Vec<Vec<f32>> = got.unwrap().to_vec2().unwrap();
        for (i, row) in rows.iter().enumerate() {
            let off = relative(row, &reference["real"][what][i]);
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
