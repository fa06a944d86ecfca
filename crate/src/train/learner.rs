//! What learns behind [`TransferModel`](super::TransferModel), whatever the backbone's type.
//!
//! Not generic, so that it is compiled once, here, and not again in every notebook cell that uses it.

use super::features::{Broken, Part, Rows, Source, tables};
use super::fine_tune::{self, FineTuning, Tuned};
use super::store::FeatureStore;
use super::{FeatureTable, FitOptions, Head, History, LearningRates, checks, fit, learning_rates, live, saved};
use crate::data::{Dataset, Photo, photos_below};
use crate::evaluate::{Classification, Classifications, Predictions};
use crate::freeze::{Engine, Unfreeze};
use crate::images::Batch;
use crate::models::BackboneSpec;
use crate::notebook::report;
use crate::{Error, Result, fetch};
use candle_core::{Device, Tensor};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// A frozen part and a head; its methods are those of `TransferModel`.
pub(super) struct Learner {
    frozen: Arc<Engine>,
    pub head: Head,
    /// Whether the head has met `fit`: the first one draws its weights from its own seed.
    trained: bool,
    pub classes: Vec<String>,
    /// Where features are kept between sessions.
    folder: Option<PathBuf>,
    store: Mutex<FeatureStore>,
    broken: Mutex<Broken>,
}

impl Learner {
    pub fn new(frozen: Arc<Engine>, classes: &[String]) -> Result<Self> {
        checks::classes(classes)?;
        let head = Head::glorot(frozen.spec().features, classes.len(), FitOptions::default().seed)?;
        Ok(Self { trained: false, ..Self::with_head(frozen, head, classes)? })
    }

    /// With a head that has been trained.
    pub fn with_head(frozen: Arc<Engine>, head: Head, classes: &[String]) -> Result<Self> {
        // Without a cache folder features are kept in memory only.
        let folder = fetch::cache_folder().ok().map(|folder| folder.join("features"));
        let store = Mutex::new(store_of(&frozen, folder.clone()));
        Ok(Self { frozen, head, trained: true, classes: classes.to_vec(), folder, store, broken: Mutex::default() })
    }

    /// The frozen part.
    pub fn engine(&self) -> &Engine {
        &self.frozen
    }

    pub fn keep_features_in(&mut self, folder: Option<PathBuf>) {
        self.store = Mutex::new(store_of(&self.frozen, folder.clone()));
        self.folder = folder;
    }

    /// Goes on with another frozen part, of the same architecture: its features are others.
    pub fn refrozen(&mut self, frozen: Arc<Engine>) {
        self.store = Mutex::new(store_of(&frozen, self.folder.clone()));
        self.frozen = frozen;
    }

    pub fn fine_tune(
        &mut self,
        backbone: &dyn Unfreeze,
        layer: &str,
        (training, validation): (&Dataset, &Dataset),
        options: &FineTuning,
    ) -> Result<Tuned> {
        options.check()?;
        checks::dataset("training", training, &self.classes)?;
        checks::dataset("validation", validation, &self.classes)?;
        checks::enough(training)?;
        if !self.trained {
            println!("{}", checks::UNTRAINED_HEAD);
        }
        let parts = [training, validation].map(|set| Part { photos: set.photos(), classes: set.classes() });
        let broken = self.broken.get_mut().unwrap_or_else(PoisonError::into_inner);
        let inputs = fine_tune::inputs(&self.frozen, layer, broken, &parts)?;
        checks::no_class_lost(training, &inputs.training)?;
        let before = self.head.snapshot()?;
        let mut tuned = fine_tune::tune(backbone, &self.head, layer, &inputs, options);
        match &mut tuned {
            Ok(tuned) => tuned.history.continued = std::mem::replace(&mut self.trained, true),
            Err(_) => self.head.restore(&before)?,
        }
        tuned
    }

    pub fn features(&self, dataset: &Dataset) -> Result<FeatureTable> {
        self.table(&Part { photos: dataset.photos(), classes: dataset.classes() })
    }

    fn table(&self, part: &Part<'_>) -> Result<FeatureTable> {
        self.tables(std::slice::from_ref(part))?.pop().ok_or_else(|| Error::Data("there is no data set".to_owned()))
    }

    pub fn fit(&mut self, training: &Dataset, validation: &Dataset, options: FitOptions) -> Result<History> {
        options.check(&self.head)?;
        checks::dataset("training", training, &self.classes)?;
        checks::dataset("validation", validation, &self.classes)?;
        checks::enough(training)?;
        let began = Instant::now();
        let tables =
            self.tables(&[training, validation].map(|set| Part { photos: set.photos(), classes: set.classes() }))?;
        if let Some(table) = tables.first() {
            checks::no_class_lost(training, table)?;
        }
        report("stage", json!({"name": "features", "seconds": began.elapsed().as_secs_f64()}));
        let [training, validation] = tables.as_slice() else {
            return Err(Error::Data("features are wanted of a training and a validation set".to_owned()));
        };
        self.fit_features(training, validation, options)
    }

    pub fn fit_features(
        &mut self,
        training: &FeatureTable,
        validation: &FeatureTable,
        options: FitOptions,
    ) -> Result<History> {
        options.check(&self.head)?;
        checks::table("training", training, &self.classes)?;
        checks::table("validation", validation, &self.classes)?;
        let continued = self.trained;
        if !continued {
            self.head = self.fresh_head(options.seed)?;
        }
        let shared = validation.shared_with(training);
        checks::softmax_twice(&self.head, &options).iter().for_each(|warning| println!("{warning}"));
        checks::warnings(training, validation, shared).iter().for_each(|warning| println!("{warning}"));
        let began = Instant::now();
        let mut live = live::Epochs::new(options.epochs);
        let run = fit::train(&self.head, training, validation, &options, fit::shuffles(options.seed), |epoch| {
            live.show(epoch);
        })?;
        self.trained = true;
        let history = History {
            epochs: run.epochs,
            planned: options.epochs,
            training_photos: training.len(),
            validation_photos: validation.len(),
            shared_photos: shared,
            interrupted: run.interrupted,
            continued,
        };
        report("stage", json!({"name": "head", "seconds": began.elapsed().as_secs_f64()}));
        report("fit", history.facts());
        Ok(history)
    }

    pub fn find_learning_rate(&self, training: &Dataset) -> Result<LearningRates> {
        checks::dataset("training", training, &self.classes)?;
        let options = FitOptions { from_logits: !self.head.has_softmax(), ..FitOptions::default() };
        learning_rates::sweep(&self.head, &self.features(training)?, &options, fit::shuffles(options.seed))
    }

    pub fn end_in_softmax(&mut self) {
        self.head = self.head.sharing_weights().with_softmax(true);
    }

    pub fn forget(&mut self) -> Result<()> {
        self.head = self.fresh_head(FitOptions::default().seed)?;
        self.trained = false;
        Ok(())
    }

    /// A head of the same shape that has learnt nothing.
    fn fresh_head(&self, seed: u64) -> Result<Head> {
        let head = Head::glorot(self.head.features(), self.classes.len(), seed)?;
        Ok(head.with_softmax(self.head.has_softmax()))
    }

    pub fn logits(&self, photos: &Tensor) -> Result<Tensor> {
        self.head.logits(&self.frozen.features(photos)?.to_device(&Device::Cpu)?)
    }

    /// What the backbone is.
    pub fn spec(&self) -> &BackboneSpec {
        self.frozen.spec()
    }

    pub fn save(&self, path: &Path, backbone: &dyn Unfreeze) -> Result<()> {
        saved::save(path, &self.head, &self.classes, backbone)
    }

    pub fn classify(&self, photo: Photo) -> Result<Classification> {
        let features = self.frozen.features_of_pixels(&photo.pixels()?)?;
        let features = Tensor::from_vec(features, (1, self.head.features()), &Device::Cpu)?;
        let logits = self.head.logits(&features)?;
        let mut all = Classifications::from_logits(&logits, &[photo], &self.classes, Vec::new())?;
        all.photos.pop().ok_or_else(|| Error::Data("there is no photo".to_owned()))
    }

    pub fn classify_folder(&self, path: &Path) -> Result<Classifications> {
        let (photos, mut skipped) = photos_below(path)?;
        let table = self.table(&Part { photos: &photos, classes: &self.classes })?;
        skipped.extend_from_slice(table.skipped());
        Classifications::from_logits(&self.head.logits(table.features())?, table.photos(), &self.classes, skipped)
    }

    pub fn predict(&self, dataset: &Dataset) -> Result<Predictions> {
        checks::dataset("given", dataset, &self.classes)?;
        let table = self.features(dataset)?;
        let logits = self.head.logits(table.features())?;
        let predictions = Predictions::from_logits(&logits, table.labels(), table.names().to_vec(), &self.classes)?;
        predictions.with_photos(table.photos().to_vec())
    }

    pub fn predict_batch(&self, batch: &Batch) -> Result<Predictions> {
        let logits = self.logits(&batch.photos)?;
        let predictions = Predictions::from_logits(&logits, batch.labels.clone(), batch.names.clone(), &self.classes)?;
        // A batch that somebody put together may lack its pixels: then there is nothing to show.
        if batch.pixels.len() != predictions.len() {
            return Ok(predictions);
        }
        let parts = batch.names.iter().zip(&batch.labels).zip(&batch.pixels);
        let photos = parts.map(|((name, label), pixels)| Photo::from_pixels(name, *label, pixels.clone()));
        predictions.with_photos(photos.collect())
    }

    fn tables(&self, parts: &[Part<'_>]) -> Result<Vec<FeatureTable>> {
        // A panic elsewhere cannot leave a store half changed: rows are added whole.
        let mut store = self.store.lock().unwrap_or_else(PoisonError::into_inner);
        let mut broken = self.broken.lock().unwrap_or_else(PoisonError::into_inner);
        let rows: &Rows<'_> = &|photos, photo, progress| self.frozen.features_of_all(photos, photo, progress);
        let source = Source { what: "features", chunk: self.frozen.chunk(), rows };
        tables(&source, &mut store, &mut broken, parts)
    }
}

/// An empty store for what this frozen part makes of photos.
fn store_of(frozen: &Engine, folder: Option<PathBuf>) -> FeatureStore {
    let spec = frozen.spec();
    FeatureStore::new(folder, spec.name, &frozen.identity(), spec.features)
}
