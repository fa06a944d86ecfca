//! Heat maps, silent channels and occlusion against PyTorch's, which golden/make_explain.py found in double precision.
//!
//! Weights and photo follow formulas, so this needs no file; the numbers of the trained MobileNetV2 need its weights,
//! and are skipped where those cannot be had.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use candlewick::candle_core::Tensor;
use candlewick::explain::{Explain, Method, Relevance};
use candlewick::models::MobileNetV2;
use candlewick::weights::WEIGHTS;
use golden_explain::{Golden, inception_v3, mobilenet_v2, photo, sizes};
use golden_numbers::{flat, numbers};
use serde_json::Value;

mod golden_explain;
mod golden_numbers;
mod reference;

/// How far a map may be off anywhere, where its largest value is 1.
const ALLOWED: f64 = 1e-3;
/// The same behind many ReLU6s with weights by formula, where many units stand near a kink: PyTorch's own map in single
/// precision is 3.3e-2 from its double one there, and a photo 1e-7 brighter moves that by 1.8e-3.
const NEAR_KINKS: f64 = 5e-2;

/// Every method that needs a layer, for both classes, and the silent channels.
fn compare(what: &str, net: &impl Explain, golden: &Value, (side, scale): (usize, f32)) {
    let (x, subject) = (photo(side, scale), net.subject());
    let maps = golden["maps"].as_object().expect("maps");
    assert_eq!(maps.len(), 2);
    for (class, maps) in maps {
        let number: usize = class.parse().unwrap();
        let earlier = maps["earlier"].as_str().unwrap();
        let far = if what.starts_with("formula") { NEAR_KINKS } else { ALLOWED };
        let cases = [
            ("cam", None, Method::Cam),
            ("grad_cam", None, Method::GradCam),
            ("grad_cam_plus_plus", None, Method::GradCamPlusPlus),
            ("grad_cam_earlier", Some(earlier), Method::GradCam),
        ];
        for (key, layer, method) in cases {
            let found = subject.relevance(&x, &[number], layer, method).unwrap();
            let logit = golden["logits"][class]["value"].as_f64().unwrap();
            assert!((f64::from(found[0].logit) - logit).abs() < 1e-3 * (1. + logit.abs()), "{what}, {class}");
            let allowed = if layer.is_some() { far } else { ALLOWED };
            near(&format!("{what}, {key} of {class}"), &found[0], &maps[key], allowed);
        }
    }
    silent(what, net, &x, &golden["silent"]);
}

fn near(what: &str, found: &Relevance, golden: &Value, allowed: f64) {
    let (peak, want) = (golden["peak"].as_f64().unwrap(), numbers(&golden["map"]));
    let values = flat(&found.values);
    assert_eq!(values.len(), want.len(), "{what}");
    let largest = values.iter().copied().fold(0., f64::max);
    assert!((largest - peak).abs() < allowed * peak, "{what}: at most {largest} and not {peak}");
    let off = values.iter().zip(&want).map(|(value, want)| (value / peak - want).abs()).fold(0., f64::max);
    assert!(off < allowed, "{what}: off by {off:.1e}");
}

/// Rounding may put a number or two on the other side of 0.
fn silent(what: &str, net: &impl Explain, x: &Tensor, golden: &Value) {
    let golden = golden.as_object().expect("silent channels");
    let layers = net.subject().silent(x).unwrap();
    assert_eq!(layers.len(), golden.len());
    for layer in layers {
        let want = &golden[&layer.layer];
        let of = |key: &str| want[key].as_f64().unwrap();
        assert_eq!(layer.channels as f64, of("channels"), "{what}, {}", layer.layer);
        let (silent, zeros) = (layer.silent * of("channels"), layer.zeros * of("numbers"));
        assert!((silent - of("silent")).abs() < 0.5, "{what}, {}: {silent} silent", layer.layer);
        let apart = (zeros - of("zeros")).abs();
        assert!(apart <= 2. + 1e-4 * of("numbers"), "{what}, {}: {zeros} zeros", layer.layer);
    }
}

/// The golden squares leave the last pixels uncovered, ours do not: where only theirs reach, a pixel's value is the
/// mean of theirs.
fn occluded(net: &impl Explain, golden: &Value) {
    let side = 224;
    let number = |key: &str| golden["occlusion"][key].as_u64().unwrap() as usize;
    let (patch, stride, starts) = (number("patch"), number("stride"), sizes(&golden["occlusion"]["starts"]));
    let drops = golden["occlusion"]["drop"].as_object().expect("drops");
    assert_eq!(drops.len(), 2);
    for (class, drops) in drops {
        let drops = numbers(drops);
        let method = Method::Occlusion { patch, stride };
        let found = net.subject().relevance(&photo(side, 2.), &[class.parse().unwrap()], None, method).unwrap();
        let values = flat(&found[0].values);
        let covers = |start: usize, pixel: usize| (start..start + patch).contains(&pixel);
        let largest = drops.iter().fold(0f64, |largest, drop| largest.max(drop.abs()));
        for row in 0..side - patch {
            for column in 0..side - patch {
                let over: Vec<f64> = (0..drops.len())
                    .filter(|at| covers(starts[at / starts.len()], row) && covers(starts[at % starts.len()], column))
                    .map(|at| drops[at])
                    .collect();
                let want = (over.iter().sum::<f64>() / over.len() as f64).max(0.);
                let off = (values[row * side + column] - want).abs() / largest;
                assert!(off < ALLOWED, "class {class}, row {row}, column {column}: off by {off:.1e}");
            }
        }
    }
}

#[test]
fn mobilenet_v2_with_weights_by_formula() {
    let golden = &Golden::networks()["mobilenet_v2"]["formula"];
    let net = mobilenet_v2();
    compare("formula", &net, golden, (224, 2.));
    compare("formula, frozen", &net.clone().freeze().unwrap(), golden, (224, 2.));
    occluded(&net.freeze().unwrap(), golden);
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
    compare("trained", &net, golden, (224, 2.));
    let frozen = net.freeze().unwrap();
    compare("trained, frozen", &frozen, golden, (224, 2.));
    occluded(&frozen, golden);
}

#[test]
fn inception_v3_with_torchvisions_conventions() {
    let golden = &Golden::networks()["inception_v3"]["torchvision"];
    compare("torchvision", &inception_v3(true), golden, (299, 1.));
}

#[test]
fn inception_v3_with_keras_conventions() {
    let golden = &Golden::networks()["inception_v3"]["keras"];
    compare("keras", &inception_v3(false), golden, (299, 1.));
}
