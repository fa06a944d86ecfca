//! Interrupted work keeps what it has reached. A test binary of its own, because asking to stop stops the whole process.
#![allow(clippy::unwrap_used)]

use candlewick::models::LayerInfo;
use candlewick::notebook;
use candlewick::prelude::*;
use candlewick::train::FeatureTable;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Stands in for a network: the features are the mean colour. Asks to stop when it has seen `stop_at` photos.
struct MeanColour {
    spec: candlewick::models::BackboneSpec,
    seen: Arc<AtomicUsize>,
    stop_at: usize,
}

impl Backbone for MeanColour {
    fn spec(&self) -> &candlewick::models::BackboneSpec {
        &self.spec
    }

    fn features(&self, photos: &Tensor) -> Result<Tensor> {
        if self.seen.fetch_add(1, Ordering::SeqCst) + 1 == self.stop_at {
            notebook::interrupt();
        }
        Ok(photos.mean((2, 3))?)
    }

    fn logits(&self, _: &Tensor) -> Result<Tensor> {
        Err(Error::Data("no head".to_owned()))
    }

    fn layer(&self, _: &Tensor, _: &str) -> Result<Tensor> {
        Err(Error::Data("no layers".to_owned()))
    }

    fn layers(&self) -> Vec<LayerInfo> {
        Vec::new()
    }
}

fn model_that_stops(stop_at: usize, folder: &std::path::Path) -> (TransferModel<MeanColour>, Arc<AtomicUsize>) {
    let seen = Arc::new(AtomicUsize::new(0));
    let spec = candlewick::models::BackboneSpec {
        name: "mean_colour",
        preprocess: Preprocess::unit(4),
        features: 3,
        classes: 1000,
        last_convolution: "last",
        weights: "none".to_owned(),
    };
    let frozen = Frozen::plain(MeanColour { spec, seen: Arc::clone(&seen), stop_at }).unwrap();
    let model = TransferModel::new(frozen, &["red", "blue"].map(str::to_owned)).unwrap();
    (model.keep_features_in(Some(folder.to_path_buf())), seen)
}

fn photos(count: usize) -> Dataset {
    let photo = |number: usize| {
        let shade = (number % 100) as u8;
        let rgb = if number.is_multiple_of(2) {
            [150 + shade, 0, (number / 100) as u8]
        } else {
            [(number / 100) as u8, 0, 150 + shade]
        };
        let png = Pixels { height: 1, width: 1, rgb: rgb.to_vec() }.to_png().unwrap();
        Photo::from_bytes(format!("photo {number}"), number % 2, png).unwrap()
    };
    Dataset::new(["red", "blue"].map(str::to_owned).to_vec(), (0..count).map(photo).collect(), "colours").unwrap()
}

#[test]
fn interrupted_work_keeps_what_it_has_reached() {
    let folder = tempfile::tempdir().unwrap();
    let (training, validation) = photos(400).split(0.75, 1).unwrap();

    // While features are computed: an error, a head that has learnt nothing, and the finished photos are kept.
    let (mut model, _) = model_that_stops(300, folder.path());
    let before = model.head().weight().to_vec2::<f32>().unwrap();
    let stopped = model.fit(&training, &validation, FitOptions::default());
    assert!(matches!(stopped, Err(Error::Interrupted)), "{stopped:?}");
    assert_eq!(model.head().weight().to_vec2::<f32>().unwrap(), before);
    assert!(notebook::interrupted(), "the cell's later work stops as well");
    notebook::resume();

    let (mut model, seen) = model_that_stops(usize::MAX, folder.path());
    let history = model.fit(&training, &validation, FitOptions::default()).unwrap();
    assert_eq!(history.epochs.len(), 6);
    let again = seen.load(Ordering::SeqCst);
    assert!(again <= 400 - 256, "at least the first 256 photos were kept, yet {again} were computed again");

    // While the head trains, from another thread: the history so far, and what was learnt.
    let before = model.head().weight().to_vec2::<f32>().unwrap();
    let endless = FitOptions { epochs: 100_000_000, ..FitOptions::default() };
    let history = std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(300));
            notebook::interrupt();
        });
        model.fit(&training, &validation, endless).unwrap()
    });
    assert!(history.interrupted && history.epochs.len() < history.planned);
    assert!(history.to_string().contains("the head keeps what it learnt"));
    assert!(model.head().weight().to_vec2::<f32>().unwrap() != before);

    // Interrupted before it begins: no epoch, no change, and nothing to plot.
    let before = model.head().weight().to_vec2::<f32>().unwrap();
    let table = |set: &Dataset| -> FeatureTable { model.features(set).unwrap() };
    let (training, validation) = (table(&training), table(&validation));
    let history = model.fit_features(&training, &validation, FitOptions::default()).unwrap();
    assert!(history.epochs.is_empty() && history.interrupted && history.plot().is_err());
    assert_eq!(model.head().weight().to_vec2::<f32>().unwrap(), before);
    notebook::resume();
}
