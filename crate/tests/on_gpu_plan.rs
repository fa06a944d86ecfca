//! The plan of launches that a frozen network is on a GPU: its numbers, and its memory.
//!
//! Skipped in a build without the feature `cuda`, and where there is no GPU. `.ci/cuda` runs it on a pretended one.
#![allow(clippy::unwrap_used)]

mod gpu;
mod reference;

use candlewick::device::DeviceChoice;
use candlewick::freeze::{FreezeOptions, Precision};
use candlewick::models::{Backbone, InceptionV3, MobileNetV2};
use candlewick::notebook::Progress;
use candlewick::prelude::{DType, Frozen, Preprocess, Tensor};
use gpu::{again, furthest, gpu, is_pretended, photo};

fn features<B: Backbone>(frozen: &Frozen<B>, photos: usize, side: usize) -> candlewick::Result<Tensor> {
    let progress = Progress::new("photos", Some(photos as u64), "photos");
    frozen.features_of_all(photos, |index| Ok(photo(index, side)), &progress)
}

/// All of its layers: 1x7 and 7x1, both pools, branches beside each other.
#[test]
fn frozen_inception_gives_the_cpus_features() {
    if gpu().is_none() {
        return;
    }
    let net = InceptionV3::random(7).unwrap();
    let want = net.features(&photo(0, 299).to_tensor(&Preprocess::INCEPTION).unwrap()).unwrap();
    for (precision, allowed) in [(Precision::F32, 1e-4), (Precision::F16, 2e-2)] {
        let options = FreezeOptions { device: DeviceChoice::Cuda(0), precision, ..FreezeOptions::default() };
        let frozen = net.clone().freeze_with(options).unwrap();
        let off = furthest(&features(&frozen, 1, 299).unwrap(), &want);
        println!("{precision}: off by {off:.1e}");
        assert!(off < allowed, "{precision}: {off}");
    }
}

/// Of the GPU's own photos, and of a head behind the plan; photos of other sizes are not the plan's.
#[test]
fn photos_on_the_gpu_stay_there() {
    let Some(gpu) = gpu() else { return };
    let net = MobileNetV2::random(7).unwrap();
    let there = net.clone().freeze().unwrap();
    let here = net.folded().unwrap();
    for (side, count) in [(224, 2), (64, 1)] {
        let photos: Vec<Tensor> = (0..count)
            .map(|seed| photo(seed, side).to_tensor(&Preprocess { side, ..Preprocess::IMAGENET }).unwrap())
            .collect();
        let x = Tensor::cat(&photos, 0).unwrap();
        let on_gpu = x.to_device(&gpu).unwrap();
        for (got, want) in [
            (there.features(&on_gpu).unwrap(), here.features(&x).unwrap()),
            (there.logits(&on_gpu).unwrap(), here.logits(&x).unwrap()),
        ] {
            assert!(got.device().same_device(&gpu));
            let off = furthest(&got, &want);
            assert!(off < 1e-4, "{side}: {off}");
        }
        // A view that is not contiguous.
        let turned = on_gpu.transpose(2, 3).unwrap();
        let want = here.features(&x.transpose(2, 3).unwrap().contiguous().unwrap()).unwrap();
        assert!(furthest(&there.features(&turned).unwrap(), &want) < 1e-4, "{side}");
        assert!(there.features(&x).unwrap().device().is_cpu());
    }
}

/// Not a test of its own: what [`batches_behind_the_first_allocate_nothing`] asks for.
#[test]
fn print_memory() {
    if std::env::var_os("PRETEND_TELL").is_none() {
        return;
    }
    let said = |what: &str| eprintln!("-- {what}");
    let frozen = MobileNetV2::random(7).unwrap().freeze().unwrap();
    said("the first batch");
    features(&frozen, 2, 224).unwrap();
    said("three batches of photos");
    features(&frozen, 5, 224).unwrap();
    said("between");
    let x = Tensor::zeros((2, 3, 224, 224), DType::F32, frozen.device()).unwrap();
    said("tensors");
    frozen.features(&x).unwrap();
    frozen.features(&x.narrow(0, 0, 1).unwrap()).unwrap();
    said("more at once");
    features(&frozen, 2, 224).unwrap();
    frozen.features(&Tensor::cat(&[&x, &x], 0).unwrap()).unwrap();
    said("the end");
}

/// Memory is the first batch's to take; behind it, what is given out is the features of photos on the GPU, as a tensor there.
#[test]
fn batches_behind_the_first_allocate_nothing() {
    if !is_pretended() {
        return;
    }
    // Room for two photos at a time.
    let output = again("print_memory", &[("PRETEND_TELL", "1"), ("PRETEND_FREE", "40000000")]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    let given = |what: &str| -> Vec<usize> {
        let part = said.split(&format!("-- {what}\n")).nth(1).unwrap_or_else(|| panic!("{said}"));
        let lines = part.lines().take_while(|line| !line.starts_with("-- "));
        lines
            .map(|line| line.split("gives ").nth(1).unwrap().strip_suffix(" bytes").unwrap().parse().unwrap())
            .collect()
    };
    let first = given("the first batch");
    assert!(first.len() == 1 && first[0] > 2 * 4 * 2_000_000, "one piece of memory: {first:?}");
    assert_eq!(given("three batches of photos"), [0usize; 0], "features go to the host's memory");
    assert_eq!(given("tensors"), [2 * 1280 * 4, 1280 * 4]);
    // Two photos as before; then four together, where there has been no memory for four.
    let more = given("more at once");
    assert_eq!(more.len(), 3, "the photos side by side, their features, and the plan's memory: {more:?}");
    assert!(more.contains(&(4 * 1280 * 4)) && more.iter().any(|bytes| *bytes > first[0]), "{more:?}");
}
