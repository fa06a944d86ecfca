//! Photos through the whole front: decoded, resized, normalised, classified, against Pillow and torchvision.
//!
//! The photos and the golden numbers lie in the project's `shared/` folder (`$CANDLEWICK_SHARED`), the weights are
//! fetched; where either cannot be had this is skipped. No photo is ever part of the repository.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use candlewick::fetch::sha256_hex;
use candlewick::images::{Pixels, Preprocess};
use candlewick::models::{Backbone, MobileNetV2, imagenet};
use serde_json::Value;

mod reference;

/// How far one probability may be off. Decoders differ by a few grey levels, and torch itself, given pixels of which a
/// fifth are one level off, moves by up to .065 on these photos; without anti-aliasing it is .26.
const PROBABILITY: f64 = 0.07;
/// How far the middle one of the photos may be off: .022 without anti-aliasing, .0015 with the very decoder of Pillow.
const MEDIAN: f64 = 0.015;
/// Grey levels by which decoders differ in the mean over a photo.
const LEVELS: f64 = 0.5;

fn mean_rgb(pixels: &Pixels) -> [f64; 3] {
    let mean = |channel| {
        let values = pixels.rgb.iter().skip(channel).step_by(3);
        values.map(|&value| f64::from(value)).sum::<f64>() / (pixels.height * pixels.width) as f64
    };
    [mean(0), mean(1), mean(2)]
}

fn furthest(ours: &[f64], theirs: &Value) -> f64 {
    let theirs = theirs.as_array().expect("a list").iter().map(|number| number.as_f64().expect("a number"));
    ours.iter().zip(theirs).map(|(ours, theirs)| (ours - theirs).abs()).fold(0., f64::max)
}

fn softmax(logits: &[f32]) -> Vec<f64> {
    let largest = logits.iter().copied().fold(f32::MIN, f32::max);
    let powers: Vec<f64> = logits.iter().map(|&logit| f64::from(logit - largest).exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.iter().map(|power| power / sum).collect()
}

#[test]
fn photos_are_seen_as_pillow_and_torchvision_see_them() {
    let (Some(golden), Some(data)) = (reference::shared("reference/images.json"), reference::shared("data")) else {
        return;
    };
    if reference::weights().is_none() {
        return;
    }
    let net = MobileNetV2::load(reference::WEIGHTS).unwrap();
    let golden: Value = serde_json::from_slice(&std::fs::read(golden).unwrap()).unwrap();
    let photos = golden["photos"].as_array().expect("photos");
    let (mut same, mut sure, mut offs, mut failures) = (0, 0, Vec::new(), Vec::new());
    for photo in photos {
        let path = photo["path"].as_str().unwrap();
        let Ok(bytes) = std::fs::read(data.join(path)) else { continue };
        if sha256_hex(&bytes) != photo["sha256"].as_str().unwrap() {
            failures.push(format!("{path}: another photo than the reference's"));
            continue;
        }
        let pixels = Pixels::decode(path, &bytes).unwrap();
        assert_eq!(photo["width"].as_u64(), Some(pixels.width as u64), "{path}");
        assert_eq!(photo["height"].as_u64(), Some(pixels.height as u64), "{path}");
        let small = pixels.resized(224, 224).unwrap();
        for (what, pixels) in [("decoded_mean_rgb", &pixels), ("resized224_mean_rgb", &small)] {
            let off = furthest(&mean_rgb(pixels), &photo[what]);
            if off > LEVELS {
                failures.push(format!("{path}: {what} is off by {off:.2}"));
            }
        }
        let x = pixels.to_tensor(&Preprocess::IMAGENET).unwrap();
        let probabilities = softmax(&net.logits(&x).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap());
        let top5 = photo["top5"].as_array().unwrap();
        let mut off = 0f64;
        for entry in top5 {
            let class = entry[0].as_u64().unwrap() as usize;
            assert_eq!(imagenet::label(class), entry[1].as_str(), "{path}");
            off = off.max((probabilities[class] - entry[2].as_f64().unwrap()).abs());
        }
        if off > PROBABILITY {
            failures.push(format!("{path}: a probability is off by {off:.4}"));
        }
        offs.push(off);
        let best = (0..1000).max_by(|&a, &b| probabilities[a].total_cmp(&probabilities[b])).unwrap();
        let agrees = top5[0][0].as_u64() == Some(best as u64);
        same += usize::from(agrees);
        // Where the two first are closer than decoders are, either may win.
        if top5[0][2].as_f64().unwrap() - top5[1][2].as_f64().unwrap() > 2. * PROBABILITY {
            sure += 1;
            if !agrees {
                failures.push(format!("{path}: {:?} and not {}", imagenet::label(best), top5[0][1]));
            }
        }
    }
    assert!(!offs.is_empty(), "none of the photos is under {}: {}", data.display(), failures.join("\n"));
    offs.sort_by(f64::total_cmp);
    let (seen, median, worst) = (offs.len(), offs[offs.len() / 2], offs[offs.len() - 1]);
    println!(
        "{seen} photos: {same} with the same first class; {sure} where it is sure; off by {median:.4}, at most {worst:.4}"
    );
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(median < MEDIAN, "the middle photo is off by {median:.4}");
    assert!(sure >= seen / 3, "only {sure} of {seen} photos can tell anything");
}
