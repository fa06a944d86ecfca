//! Photos against Pillow's numbers for them. Skipped, with a line, where the project's shared folder is absent.
#![allow(missing_docs, clippy::unwrap_used)]

use candlewick::data::Dataset;
use candlewick::images::{Pixels, Preprocess};
use std::time::Instant;

mod reference;

fn mean(pixels: &Pixels) -> [f64; 3] {
    let of = |channel: usize| pixels.rgb.chunks_exact(3).map(|pixel| f64::from(pixel[channel])).sum::<f64>();
    [0, 1, 2].map(|channel| of(channel) / (pixels.height * pixels.width) as f64)
}

#[test]
fn reference_photos_decode_and_resize_as_pillow_says() {
    let (Some(golden), Some(data)) = (reference::shared("reference/images.json"), reference::shared("data")) else {
        return;
    };
    let golden: serde_json::Value = serde_json::from_slice(&std::fs::read(golden).unwrap()).unwrap();
    let photos = golden["photos"].as_array().unwrap();
    let (mut worst_mean, mut worst_centre) = (0.0f64, 0.0f64);
    for photo in photos {
        let path = photo["path"].as_str().unwrap();
        let decoded = Pixels::decode(path, &std::fs::read(data.join(path)).unwrap()).unwrap();
        let size = (photo["width"].as_u64(), photo["height"].as_u64());
        assert_eq!((Some(decoded.width as u64), Some(decoded.height as u64)), size, "{path}");
        let resized = decoded.resized(224, 224).unwrap();
        let centre: Vec<f64> = resized.rgb[3 * (112 * 224 + 112)..][..3].iter().map(|byte| f64::from(*byte)).collect();
        for channel in 0..3 {
            let off = |got: f64, of: &str| (got - photo[of][channel].as_f64().unwrap()).abs();
            worst_mean = worst_mean
                .max(off(mean(&decoded)[channel], "decoded_mean_rgb"))
                .max(off(mean(&resized)[channel], "resized224_mean_rgb"));
            worst_centre = worst_centre.max(off(centre[channel], "resized224_center_rgb"));
        }
    }
    println!("{} photos: means off by {worst_mean:.3} at most, the centre by {worst_centre}", photos.len());
    assert!(photos.len() >= 24, "the reference has lost its photos");
    // "JPEG decoders differ by 1-3 grey levels and resizers by rounding": a pixel by no more, a mean by far less.
    assert!(worst_centre <= 3.0, "a centre pixel is off by {worst_centre}");
    assert!(worst_mean <= 0.5, "a mean is off by {worst_mean}");
}

#[test]
fn every_photo_of_both_sets_is_found_and_decodes() {
    let Some(folder) = reference::shared("data") else { return };
    let sets: [(&str, &[usize]); 2] = [("cats_vs_dogs", &[1001, 1001]), ("flowers", &[528, 765, 535, 598, 693])];
    for (set, counts) in sets {
        let began = Instant::now();
        let data = Dataset::from_folder(folder.join(set)).unwrap();
        let loaded = began.elapsed();
        assert_eq!(data.counts(), counts, "{set}");
        let began = Instant::now();
        let read: usize = data.batches(64, &Preprocess::IMAGENET).map(|batch| batch.unwrap().labels.len()).sum();
        assert_eq!(read, data.len(), "{set}: a photo was left out");
        let each = read as f64 / began.elapsed().as_secs_f64();
        println!("{set}: {read} photos looked through in {loaded:?}; decoded, resized, normalised: {each:.0} photos/s");
    }
}
