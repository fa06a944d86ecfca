//! The course's figures on what mistakes cost: validation accuracy after six epochs, mean of five seeds, with what a single
//! run is off by.
//!
//!     cargo run --release -p candlewick --example figures -- --data FOLDER
//!
//! `FOLDER` has one sub-folder of photos for each class. The course's figures are of 3,119 of `tf_flowers`' photos.

mod bench;

use bench::{ended, threads, value};
use candle_core::Tensor;
use candlewick::models::{BackboneSpec, Layers, Tap};
use candlewick::prelude::*;
use std::process::ExitCode;

/// As many as the course says.
const SEEDS: u64 = 5;

fn main() -> ExitCode {
    ended(run())
}

fn run() -> Result<()> {
    threads();
    let Some(folder) = value("--data") else {
        eprintln!("--data takes a folder with one sub-folder of photos for each class");
        std::process::exit(2)
    };
    let data = Dataset::from_folder(folder)?;
    let mut model = TransferModel::new(MobileNetV2::pretrained()?.freeze()?, data.classes())?;
    let logits = Frozen::plain(LogitsForFeatures::new(MobileNetV2::pretrained()?.freeze()?))?;
    let mut on_logits = TransferModel::new(logits, data.classes())?.keep_features_in(None);
    let rows = [
        row("70 % train", &mut model, &data, 0.7, false)?,
        row("70 % train, ImageNet's logits for features", &mut on_logits, &data, 0.7, false)?,
        row("the split exchanged: 30 % train", &mut model, &data, 0.3, false)?,
        row("70 % train, and are validated on", &mut model, &data, 0.7, true)?,
    ];
    // Behind the epochs, which training prints.
    println!("{} photos of {} classes, {SEEDS} seeds", data.len(), data.classes().len());
    rows.iter().for_each(|row| println!("{row}"));
    Ok(())
}

/// Measures one way of doing it, on as many splits as there are seeds.
fn row<B: Backbone>(
    what: &str,
    model: &mut TransferModel<B>,
    data: &Dataset,
    share: f64,
    itself: bool,
) -> Result<String> {
    let mut accuracies = Vec::new();
    for seed in 0..SEEDS {
        let (training, rest) = data.split(share, seed)?;
        model.forget()?;
        let validation = if itself { &training } else { &rest };
        let history = model.fit(&training, validation, FitOptions { seed, ..FitOptions::default() })?;
        accuracies.extend(history.last().map(|epoch| epoch.validation_accuracy));
    }
    let count = accuracies.len() as f64;
    let mean = accuracies.iter().sum::<f64>() / count;
    let variance = accuracies.iter().map(|accuracy| (accuracy - mean).powi(2)).sum::<f64>() / (count - 1.0);
    Ok(format!("{what:<44} {mean:.3} ± {:.3}", variance.sqrt()))
}

/// MobileNetV2 as who mistakes its logits for features would use it.
struct LogitsForFeatures {
    network: Frozen<MobileNetV2>,
    spec: BackboneSpec,
}

impl LogitsForFeatures {
    fn new(network: Frozen<MobileNetV2>) -> Self {
        let spec = BackboneSpec { features: network.spec().classes, ..network.spec().clone() };
        Self { network, spec }
    }
}

impl Backbone for LogitsForFeatures {
    fn spec(&self) -> &BackboneSpec {
        &self.spec
    }

    fn features(&self, photos: &Tensor) -> Result<Tensor> {
        self.network.logits(photos)
    }

    fn logits(&self, photos: &Tensor) -> Result<Tensor> {
        self.network.logits(photos)
    }

    fn tapped(&self, photos: &Tensor, tap: &mut Tap<'_>) -> Result<Option<Tensor>> {
        self.network.tapped(photos, tap)
    }

    fn layer_names(&self) -> Vec<String> {
        self.network.layer_names()
    }

    fn classifier(&self) -> Option<(&Tensor, &Tensor)> {
        None
    }

    fn layers(&self) -> Layers {
        self.network.layers()
    }
}
