//! Training with a frozen part on a GPU: heads learn on the host, from the same numbers as on the CPU.
//!
//! Skipped in a build without the feature `cuda`, and where there is no GPU. `.ci/cuda` runs it on a pretended one.
#![allow(clippy::unwrap_used)]

mod gpu;
mod reference;

use candlewick::data::{Sketches, sketches};
use candlewick::device::DeviceChoice;
use candlewick::freeze::{FreezeOptions, Precision};
use candlewick::prelude::{DType, Device, FitOptions, Frozen, History, MobileNetV2, TransferModel};
use candlewick::train::FeatureTable;
use gpu::{furthest, gpu, noise};

fn model(frozen: Frozen, classes: &[String]) -> TransferModel {
    TransferModel::new(frozen, classes).unwrap().keep_features_in(None)
}

fn on_gpu(precision: Precision) -> Frozen {
    let options = FreezeOptions { device: DeviceChoice::Cuda(0), precision, ..FreezeOptions::default() };
    MobileNetV2::random(7).unwrap().freeze_with(options).unwrap()
}

/// The furthest that two histories' losses are apart.
fn apart(got: &History, want: &History) -> f64 {
    assert_eq!(got.epochs.len(), want.epochs.len());
    let pairs = got.epochs.iter().zip(&want.epochs);
    let losses = pairs.flat_map(|(a, b)| {
        [(a.training_loss, b.training_loss), (a.validation_loss, b.validation_loss)].map(|(a, b)| (a - b).abs())
    });
    losses.fold(0., |most, off| if off.is_nan() { f64::INFINITY } else { most.max(off) })
}

#[test]
fn a_head_learns_what_it_learns_on_the_cpu() {
    if gpu().is_none() {
        return;
    }
    let photos = sketches(Sketches::CatsVsDogs, 4, 1);
    let (training, validation) = photos.split(0.8, 3).unwrap();
    let options = FitOptions { epochs: 3, batch: 4, ..FitOptions::default() };
    let fit = |model: &mut TransferModel| model.fit(&training, &validation, options.clone()).unwrap();
    let mut there = model(on_gpu(Precision::F32), photos.classes());
    let mut here = model(Frozen::plain(MobileNetV2::random(7).unwrap().folded().unwrap()).unwrap(), photos.classes());
    let (got, want) = (fit(&mut there), fit(&mut here));
    assert!(apart(&got, &want) < 1e-5, "{}", apart(&got, &want));
    assert!(want.epochs[0].training_loss - want.epochs[2].training_loss > 1e-3, "it learns: {want}");
    assert!(furthest(there.head().weight(), here.head().weight()) < 1e-3);
    assert!(there.head().weight().device().is_cpu());
    // Each precision keeps features of its own.
    let half = on_gpu(Precision::F16);
    assert!(half.identity().ends_with("f16") && there.frozen().identity().ends_with("f32"));
}

#[test]
fn features_made_on_the_gpu_are_brought_to_the_head() {
    let Some(gpu) = gpu() else { return };
    let classes = ["cat", "dog"].map(str::to_owned);
    let labels: Vec<usize> = (0..12).map(|photo| photo % 2).collect();
    let fit = |device: &Device| {
        let table = FeatureTable::new(noise(3, &[12, 1280], device), &labels, &classes).unwrap();
        assert_eq!((table.labels(), table.features().dtype()), (labels.clone(), DType::F32));
        let mut model = model(on_gpu(Precision::F32), &classes);
        model.fit_features(&table, &table, FitOptions::default()).unwrap()
    };
    assert_eq!(apart(&fit(&gpu), &fit(&Device::Cpu)), 0.);
}
