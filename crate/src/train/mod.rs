//! Transfer learning: a frozen backbone, a head that learns, and what training measured.
//!
//! ```no_run
//! use candlewick::prelude::*;
//!
//! # fn main() -> Result<()> {
//! let photos = cats_vs_dogs()?;
//! let (training, validation) = photos.split(0.8, 42)?;
//! let mut model = TransferModel::new(MobileNetV2::pretrained()?.freeze()?, photos.classes())?;
//! let history = model.fit(&training, &validation, FitOptions::default())?;
//! println!("{history}");
//! # Ok(())
//! # }
//! ```

mod checks;
mod features;
mod fit;
mod head;
mod history;
mod live;
mod store;
mod summary;
#[cfg(test)]
mod tests;

pub use features::FeatureTable;
pub use fit::FitOptions;
pub use head::Head;
pub use history::{Epoch, History};
pub use summary::Summary;

use crate::data::Dataset;
use crate::evaluate::Predictions;
use crate::freeze::Frozen;
use crate::images::Batch;
use crate::models::{Backbone, MobileNetV2};
use crate::notebook::report;
use crate::{Error, Result, fetch};
use candle_core::{Device, Tensor};
use features::{Part, tables};
use serde_json::json;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;
use store::FeatureStore;

/// A frozen backbone with a new head for the learner's own classes.
///
/// Features are computed once a photo and kept, in memory and in the cache folder; the head learns from those.
pub struct TransferModel<B: Backbone = MobileNetV2> {
    frozen: Frozen<B>,
    head: Head,
    /// Whether the head has met `fit`: the first one draws its weights from its own seed.
    trained: bool,
    classes: Vec<String>,
    store: Mutex<FeatureStore>,
}

impl<B: Backbone> TransferModel<B> {
    /// A model that tells `classes` apart: usually `dataset.classes()`.
    ///
    /// # Errors
    /// [`Error::Data`] for fewer than two classes, or two of the same name.
    pub fn new(frozen: Frozen<B>, classes: &[String]) -> Result<Self> {
        checks::classes(classes)?;
        let spec = frozen.spec();
        let head = Head::glorot(spec.features, classes.len(), FitOptions::default().seed)?;
        // Without a cache folder features are kept in memory only.
        let folder = fetch::cache_folder().ok().map(|folder| folder.join("features"));
        let store = Mutex::new(FeatureStore::new(folder, spec.name, &frozen.identity(), spec.features));
        Ok(Self { frozen, head, trained: false, classes: classes.to_vec(), store })
    }

    /// The same model, its features kept in another folder; with none, in memory only.
    pub fn keep_features_in(mut self, folder: Option<PathBuf>) -> Self {
        let spec = self.frozen.spec();
        self.store = Mutex::new(FeatureStore::new(folder, spec.name, &self.frozen.identity(), spec.features));
        self
    }

    /// The frozen part.
    pub fn frozen(&self) -> &Frozen<B> {
        &self.frozen
    }

    /// The part that learns.
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// The names of the classes it tells apart.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// Its layers and parameters, as a table.
    pub fn summary(&self) -> Summary {
        Summary::new(&self.frozen, &self.head, &self.classes)
    }

    /// The features of every photo: computed the first time, then kept.
    ///
    /// # Errors
    /// Where a photo cannot be read, or [`Error::Interrupted`]; what was computed until then is kept.
    pub fn features(&self, dataset: &Dataset) -> Result<FeatureTable> {
        self.tables(&[dataset])?.pop().ok_or_else(|| Error::Data("there is no data set".to_owned()))
    }

    /// Trains the head on `training`, and measures it on `validation` after every epoch.
    ///
    /// The first `fit` draws the head's initial weights from the seed; another one goes on from what the head has
    /// learnt, until [`forget`](Self::forget). Interrupted between two epochs, it gives the history so far, and the head
    /// keeps what it learnt.
    ///
    /// # Errors
    /// - [`Error::Setting`] for options that cannot be trained with, or a loss that stops being a number.
    /// - [`Error::Data`] for data sets without photos or with other classes than the model's.
    /// - [`Error::Interrupted`] where it was interrupted while the features were still being computed.
    pub fn fit(&mut self, training: &Dataset, validation: &Dataset, options: FitOptions) -> Result<History> {
        options.check()?;
        checks::dataset("training", training, &self.classes)?;
        checks::dataset("validation", validation, &self.classes)?;
        checks::enough(training)?;
        let began = Instant::now();
        let tables = self.tables(&[training, validation])?;
        report("stage", json!({"name": "features", "seconds": began.elapsed().as_secs_f64()}));
        let [training, validation] = tables.as_slice() else {
            return Err(Error::Data("features are wanted of a training and a validation set".to_owned()));
        };
        self.fit_features(training, validation, options)
    }

    /// As [`fit`](Self::fit), on features that are already at hand.
    ///
    /// # Errors
    /// As for `fit`, and [`Error::Shape`] for features of another backbone.
    pub fn fit_features(
        &mut self,
        training: &FeatureTable,
        validation: &FeatureTable,
        options: FitOptions,
    ) -> Result<History> {
        options.check()?;
        checks::table("training", training, &self.classes)?;
        checks::table("validation", validation, &self.classes)?;
        if !self.trained {
            self.head = Head::glorot(self.head.features(), self.classes.len(), options.seed)?;
        }
        let shared = validation.shared_with(training);
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
        };
        report("stage", json!({"name": "head", "seconds": began.elapsed().as_secs_f64()}));
        report("fit", history.facts());
        Ok(history)
    }

    /// Gives the head new weights, as if it had never been trained.
    ///
    /// # Errors
    /// Where candle cannot allocate.
    pub fn forget(&mut self) -> Result<()> {
        self.head = Head::glorot(self.head.features(), self.classes.len(), FitOptions::default().seed)?;
        self.trained = false;
        Ok(())
    }

    /// Photos `(N, 3, H, W)`, preprocessed as the backbone wants them, to logits `(N, K)` of the model's classes.
    ///
    /// # Errors
    /// [`Error::Shape`] for tensors of another shape.
    pub fn logits(&self, photos: &Tensor) -> Result<Tensor> {
        self.head.forward(&self.frozen.features(photos)?.to_device(&Device::Cpu)?)
    }

    /// What the model says of every photo.
    ///
    /// # Errors
    /// [`Error::Data`] for other classes than the model's; and as for [`features`](Self::features).
    pub fn predict(&self, dataset: &Dataset) -> Result<Predictions> {
        checks::dataset("given", dataset, &self.classes)?;
        let table = self.features(dataset)?;
        let logits = self.head.forward(table.features())?;
        Predictions::from_logits(&logits, table.labels(), table.names().to_vec(), &self.classes)
    }

    /// What the model says of one batch.
    ///
    /// # Errors
    /// As for [`logits`](Self::logits).
    pub fn predict_batch(&self, batch: &Batch) -> Result<Predictions> {
        let logits = self.logits(&batch.photos)?;
        Predictions::from_logits(&logits, batch.labels.clone(), batch.names.clone(), &self.classes)
    }

    /// Shows the [`summary`](Self::summary) below a notebook cell.
    pub fn evcxr_display(&self) {
        self.summary().evcxr_display();
    }

    fn tables(&self, datasets: &[&Dataset]) -> Result<Vec<FeatureTable>> {
        let parts: Vec<Part<'_>> =
            datasets.iter().map(|set| Part { photos: set.photos(), classes: set.classes() }).collect();
        // A panic elsewhere cannot leave a store half changed: rows are added whole.
        tables(&self.frozen, &mut self.store.lock().unwrap_or_else(PoisonError::into_inner), &parts)
    }
}
