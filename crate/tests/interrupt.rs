//! Interrupted work keeps what it has reached. A test binary of its own, because asking to stop stops the whole process.
#![allow(clippy::unwrap_used)]

use candlewick::explain::{Ended, FilterOptions};
use candlewick::freeze::{Normalise, Unfreeze};
use candlewick::models::{LayerInfo, Layers, Tap};
use candlewick::notebook;
use candlewick::prelude::*;
use candlewick::train::FeatureTable;
use candlewick::weights::Weights;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Stands in for a network: the features are the mean colour, times a weight. Asks to stop when it has seen `stop_at`
/// photos, or batches while its weight learns.
struct MeanColour {
    spec: candlewick::models::BackboneSpec,
    seen: Arc<AtomicUsize>,
    stop_at: usize,
    weight: Tensor,
}

impl MeanColour {
    fn see(&self) {
        if self.seen.fetch_add(1, Ordering::SeqCst) + 1 == self.stop_at {
            notebook::interrupt();
        }
    }

    fn of(&self, weights: &Weights) -> Self {
        let spec = candlewick::models::BackboneSpec { weights: weights.identity().to_owned(), ..self.spec.clone() };
        let weight = weights.get("last.weight").unwrap().clone();
        Self { spec, seen: Arc::clone(&self.seen), stop_at: self.stop_at, weight }
    }
}

impl Unfreeze for MeanColour {
    fn tensors(&self) -> Result<HashMap<String, Tensor>> {
        Ok(HashMap::from([("last.weight".to_owned(), self.weight.clone())]))
    }

    fn rebuilt(&self, weights: &Weights) -> Result<Box<dyn Unfreeze>> {
        Ok(Box::new(self.of(weights)))
    }

    fn resume(&self, x: &Tensor, _: &str, _: &Normalise<'_>) -> Result<Tensor> {
        self.see();
        Ok(x.mean((2, 3))?.broadcast_mul(&self.weight)?)
    }

    fn with_weights(&self, weights: &Weights) -> Result<Self> {
        Ok(self.of(weights))
    }

    fn frozen(self) -> Result<Frozen<Self>> {
        Frozen::plain(self)
    }
}

impl Backbone for MeanColour {
    fn spec(&self) -> &candlewick::models::BackboneSpec {
        &self.spec
    }

    fn features(&self, photos: &Tensor) -> Result<Tensor> {
        self.see();
        Ok(photos.mean((2, 3))?.broadcast_mul(&self.weight)?)
    }

    fn logits(&self, _: &Tensor) -> Result<Tensor> {
        Err(Error::Data("no head".to_owned()))
    }

    fn tapped(&self, photos: &Tensor, tap: &mut Tap<'_>) -> Result<Option<Tensor>> {
        let Some(photos) = tap("last", photos.clone())? else { return Ok(None) };
        self.features(&photos).map(Some)
    }

    fn layer_names(&self) -> Vec<String> {
        vec!["last".to_owned()]
    }

    fn classifier(&self) -> Option<(&Tensor, &Tensor)> {
        None
    }

    fn layers(&self) -> Layers {
        let (name, kind, output) = ("last".to_owned(), "weight", (3, 1, 1));
        vec![LayerInfo { name, kind, output, parameters: 3, statistics: 0 }].into()
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
    let weight = Tensor::ones(3, DType::F32, &Device::Cpu).unwrap();
    let frozen = Frozen::plain(MeanColour { spec, seen: Arc::clone(&seen), stop_at, weight }).unwrap();
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

    fine_tuning_keeps_what_it_has_reached(folder.path());
    climbing_keeps_what_it_has_reached(folder.path());
    mistakes_that_were_reached_are_kept(folder.path());
    looking_inside_stops();
}

/// Called by the only test here, too.
fn mistakes_that_were_reached_are_kept(folder: &std::path::Path) {
    let (training, validation) = photos(400).split(0.75, 1).unwrap();
    let (mut model, seen) = model_that_stops(402, folder);
    model.fit(&training, &validation, FitOptions::default()).unwrap();
    let losses = model.predict(&validation).unwrap().top_losses(5);
    // Asked to stop while it looks at the second.
    seen.store(400, Ordering::SeqCst);
    let mistakes = model.explain_losses(&losses, 5).unwrap();
    assert!(mistakes.interrupted && (mistakes.photos.len(), mistakes.planned) == (2, 5));
    assert!(mistakes.to_string().ends_with("interrupted after 2 of 5 photos") && mistakes.rows().is_ok(), "{mistakes}");
    // Before the first there is nothing to keep.
    assert!(matches!(model.explain_losses(&losses, 5), Err(Error::Interrupted)));
    notebook::resume();
    let all = model.explain_losses(&losses, 5).unwrap();
    assert!(!all.interrupted && all.photos.len() == 5 && !all.to_string().contains("interrupted"));
    // Occlusion runs the network as it is, then with squares covered; asked to stop between the two, at the second photo.
    seen.store(399, Ordering::SeqCst);
    let occlusion = HeatMapOptions { method: Method::Occlusion { patch: 1, stride: 1 }, ..HeatMapOptions::default() };
    let mistakes = model.explain_losses_with(&losses, 5, occlusion).unwrap();
    notebook::resume();
    assert!(mistakes.interrupted && mistakes.photos.len() == 1, "{mistakes}");
}

/// Called by the only test here, too.
fn climbing_keeps_what_it_has_reached(folder: &std::path::Path) {
    let options = FilterOptions { steps: 50, side: 16, ..FilterOptions::default() };
    // One run finds the place, and in the ninth step it is asked to stop.
    let (model, seen) = model_that_stops(10, folder);
    let filters = model.class_picture("0", options.clone()).unwrap();
    assert!(filters.interrupted() && filters.filters[0].ended == Ended::Interrupted);
    assert_eq!((filters.filters[0].objective.len(), seen.load(Ordering::SeqCst)), (9, 10));
    assert!(filters.to_string().ends_with("9 steps, interrupted") && filters.grid().is_ok(), "{filters}");
    // Before the first step there is nothing to keep.
    assert!(matches!(model.class_picture("0", options), Err(Error::Interrupted)));
    notebook::resume();
}

/// Called by the only test here: asking to stop stops whatever runs at the same time.
fn fine_tuning_keeps_what_it_has_reached(folder: &std::path::Path) {
    let (training, validation) = photos(400).split(0.75, 1).unwrap();
    let weight = |model: &TransferModel<MeanColour>| model.frozen().backbone().weight.to_vec1::<f32>().unwrap();
    let options = FineTuning { learning_rate: 0.01, ..FineTuning::default() };

    // Before it begins: an error, and the model as it was.
    let (mut model, seen) = model_that_stops(405, folder);
    model.fit(&training, &validation, FitOptions::default()).unwrap();
    let (identity, before) = (model.frozen().identity(), seen.load(Ordering::SeqCst));
    notebook::interrupt();
    let stopped = model.fine_tune("last", &training, &validation, options.clone());
    assert!(matches!(stopped, Err(Error::Interrupted)), "{stopped:?}");
    assert_eq!((model.frozen().identity(), weight(&model)), (identity.clone(), vec![1.0; 3]));
    notebook::resume();

    // Between two batches of the first epoch: no epoch, but what was learnt until then.
    seen.store(400, Ordering::SeqCst);
    let history = model.fine_tune("last", &training, &validation, options).unwrap();
    assert!(history.interrupted && history.epochs.is_empty() && before <= 400);
    assert_eq!(seen.load(Ordering::SeqCst), 405, "five batches, and then no more");
    assert!(weight(&model) != vec![1.0; 3] && model.frozen().identity() != identity);
    notebook::resume();
}

/// What runs the network many times stops between two batches; what runs it once does not ask.
fn looking_inside_stops() {
    let net = MobileNetV2::random(1).unwrap().freeze().unwrap();
    let set = photos(2);
    let photo = &set.photos()[0];
    let map = net.heat_map(photo, "7").unwrap();
    notebook::interrupt();
    let occlusion = HeatMapOptions { method: Method::OCCLUSION, ..HeatMapOptions::default() };
    assert!(matches!(net.heat_map_with(photo, occlusion), Err(Error::Interrupted)));
    assert!(matches!(net.faithfulness(&map), Err(Error::Interrupted)));
    assert!(matches!(net.silent_channels(&set), Err(Error::Interrupted)));
    assert!(net.heat_map(photo, "7").is_ok());
    notebook::resume();
    assert!(net.silent_channels(&set).is_ok());
}
