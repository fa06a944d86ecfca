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
mod classifier;
mod comparison;
mod examined;
mod explain;
mod features;
mod fine_tune;
mod fit;
mod head;
mod history;
mod learner;
mod learning_rates;
mod live;
mod saved;
mod store;
mod summary;
#[cfg(test)]
mod tests;

pub use classifier::Classifier;
pub use comparison::{Comparison, Measured};
pub(crate) use examined::Examined;
pub use features::FeatureTable;
pub use fine_tune::{BatchNorm, FineTuning};
pub use fit::FitOptions;
pub use head::Head;
pub use history::{Epoch, History};
pub use learning_rates::LearningRates;
pub use summary::Summary;

use crate::Result;
use crate::data::{Dataset, IntoPhoto};
use crate::evaluate::{Classification, Classifications, Predictions};
use crate::freeze::{Frozen, Unfreeze};
use crate::images::Batch;
use crate::models::{Backbone, Layers, MobileNetV2};
use candle_core::Tensor;
use learner::Learner;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A frozen backbone with a new head for the learner's own classes.
///
/// Features are computed once a photo and kept, in memory and in the cache folder; the head learns from those.
///
/// It learns on the CPU, also where a GPU computes the features: six epochs of 2,002 photos with MobileNetV2's 1280 features
/// take 0.2 s on two busy cores, .6 ms a step, and a step is some dozens of small operations, each of which would be a launch
/// of its own. What a GPU shortens is the pass before that.
pub struct TransferModel<B: Backbone = MobileNetV2> {
    frozen: Frozen<B>,
    learner: Learner,
}

impl<B: Backbone> TransferModel<B> {
    /// A model that tells `classes` apart: usually `dataset.classes()`.
    ///
    /// # Errors
    /// [`Error::Data`](crate::Error::Data) for fewer than two classes, or two of the same name.
    pub fn new(frozen: Frozen<B>, classes: &[String]) -> Result<Self> {
        Ok(Self { learner: Learner::new(Arc::clone(frozen.engine()), classes)?, frozen })
    }

    /// The same model, its features kept in another folder; with none, in memory only.
    pub fn keep_features_in(mut self, folder: Option<PathBuf>) -> Self {
        self.learner.keep_features_in(folder);
        self
    }

    /// The same model with a softmax at the head's end, so that its outputs are probabilities. Train it with
    /// [`from_logits: false`](FitOptions::from_logits).
    pub fn softmax(mut self) -> Self {
        self.learner.end_in_softmax();
        self
    }

    /// The frozen part.
    pub fn frozen(&self) -> &Frozen<B> {
        &self.frozen
    }

    /// The part that learns.
    pub fn head(&self) -> &Head {
        &self.learner.head
    }

    /// The names of the classes it tells apart.
    pub fn classes(&self) -> &[String] {
        &self.learner.classes
    }

    /// The layers of its backbone, as a table.
    pub fn layers(&self) -> Layers {
        self.frozen.layers()
    }

    /// The names of those layers and of the parts inside them: what can be looked at
    /// ([`Explain`](crate::explain::Explain)).
    pub fn layer_names(&self) -> Vec<String> {
        self.frozen.layer_names()
    }

    /// Its frozen part and its head, with all parameters, as a table.
    pub fn summary(&self) -> Summary {
        Summary::new(&self.frozen, &self.learner.head, &self.learner.classes)
    }

    /// The features of every photo: computed the first time, then kept. Photos that cannot be decoded are left out, and
    /// named.
    ///
    /// # Errors
    /// Where no photo is left or a file has gone, or [`Error::Interrupted`](crate::Error::Interrupted); what was computed
    /// until then is kept.
    pub fn features(&self, dataset: &Dataset) -> Result<FeatureTable> {
        self.learner.features(dataset)
    }

    /// Trains the head on `training`, and measures it on `validation` after every epoch.
    ///
    /// The first `fit` draws the head's initial weights from the seed; another one goes on from what the head has
    /// learnt, until [`forget`](Self::forget). Interrupted between two epochs, it gives the history so far, and the head
    /// keeps what it learnt.
    ///
    /// # Errors
    /// - [`Error::Setting`](crate::Error::Setting) for options that cannot be trained with, or a loss that stops being a number.
    /// - [`Error::Data`](crate::Error::Data) for data sets without photos or with other classes than the model's.
    /// - [`Error::Interrupted`](crate::Error::Interrupted) where it was interrupted while the features were still being computed.
    pub fn fit(&mut self, training: &Dataset, validation: &Dataset, options: FitOptions) -> Result<History> {
        self.learner.fit(training, validation, options)
    }

    /// As [`fit`](Self::fit), on features that are already at hand.
    ///
    /// # Errors
    /// As for `fit`, and [`Error::Shape`](crate::Error::Shape) for features of another backbone.
    pub fn fit_features(
        &mut self,
        training: &FeatureTable,
        validation: &FeatureTable,
        options: FitOptions,
    ) -> Result<History> {
        self.learner.fit_features(training, validation, options)
    }

    /// Tries learning rates from far too small to far too large in one short training, and suggests one. The head is left
    /// as it was.
    ///
    /// # Errors
    /// [`Error::Data`](crate::Error::Data) for a data set without photos or with other classes than the model's, and as
    /// for [`features`](Self::features).
    pub fn find_learning_rate(&self, training: &Dataset) -> Result<LearningRates> {
        self.learner.find_learning_rate(training)
    }

    /// Gives the head new weights, as if it had never been trained.
    ///
    /// # Errors
    /// Where candle cannot allocate.
    pub fn forget(&mut self) -> Result<()> {
        self.learner.forget()
    }

    /// Photos `(N, 3, H, W)`, preprocessed as the backbone wants them, to logits `(N, K)` of the model's classes, before
    /// any softmax.
    ///
    /// # Errors
    /// [`Error::Shape`](crate::Error::Shape) for tensors of another shape.
    pub fn logits(&self, photos: &Tensor) -> Result<Tensor> {
        self.learner.logits(photos)
    }

    /// What the model says of every photo.
    ///
    /// # Errors
    /// [`Error::Data`](crate::Error::Data) for other classes than the model's; and as for [`features`](Self::features).
    pub fn predict(&self, dataset: &Dataset) -> Result<Predictions> {
        self.learner.predict(dataset)
    }

    /// What the model says of one batch.
    ///
    /// # Errors
    /// As for [`logits`](Self::logits).
    pub fn predict_batch(&self, batch: &Batch) -> Result<Predictions> {
        self.learner.predict_batch(batch)
    }

    /// What it gets right of these photos, and what it costs: a row of a [`Comparison`].
    ///
    /// # Errors
    /// As for [`predict`](Self::predict).
    pub fn measure(&self, photos: &Dataset) -> Result<Measured> {
        Measured::of(&self.examined(), photos)
    }

    /// The model without its backbone's type.
    pub(crate) fn examined(&self) -> Examined<'_> {
        Examined { learner: &self.learner, backbone: &self.frozen }
    }

    /// What the model says of one photo: a path, a [`Photo`](crate::data::Photo) or [`Pixels`](crate::images::Pixels).
    ///
    /// # Errors
    /// Where it cannot be read or decoded.
    pub fn classify(&self, photo: impl IntoPhoto) -> Result<Classification> {
        self.learner.classify(photo.into_photo()?)
    }

    /// What the model says of each photo in a folder and the folders in it, of whatever class and without labels. What
    /// cannot be read is named and skipped.
    ///
    /// # Errors
    /// [`Error::File`](crate::Error::File) where the folder cannot be read, [`Error::Data`](crate::Error::Data) where no
    /// photo is in it; and as for [`features`](Self::features).
    pub fn classify_folder(&self, path: impl AsRef<Path>) -> Result<Classifications> {
        self.learner.classify_folder(path.as_ref())
    }

    /// Shows the [`summary`](Self::summary) below a notebook cell.
    pub fn evcxr_display(&self) {
        self.summary().evcxr_display();
    }
}

impl<B: Unfreeze> TransferModel<B> {
    /// Writes the model to a file, which [`Classifier::load`] reads: safetensors with the head, the classes, and what is
    /// needed to find the backbone again. A backbone that was fine-tuned, or is from a file of your own, is in it as a
    /// whole.
    ///
    /// The file is written beside its name and then renamed, so that a file of that name is replaced whole or not at all.
    ///
    /// # Errors
    /// [`Error::File`](crate::Error::File) where it cannot be written, [`Error::Setting`](crate::Error::Setting) for a
    /// backbone that is none of [`BACKBONES`](crate::models::BACKBONES).
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        self.learner.save(path.as_ref(), &**self.frozen.unfolded())
    }

    /// Lets the backbone learn with the head, from the layer `layer` on (`"features.17"`; [`layers`](Backbone::layers)
    /// lists them). Train the head by [`fit`](Self::fit) first.
    ///
    /// What goes into that layer is computed once a photo by the frozen part and kept in memory. Afterwards the backbone
    /// is frozen again with its new weights, under another identity, so that no feature of before is used.
    /// Interrupted between two batches, it gives the history so far, and the model keeps what it learnt.
    ///
    /// ```no_run
    /// # use candlewick::prelude::*;
    /// # fn of(mut model: TransferModel, training: Dataset, validation: Dataset) -> Result<()> {
    /// let options = FineTuning { epochs: 3, ..FineTuning::default() };
    /// let history = model.fine_tune("features.17", &training, &validation, options)?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The model is as it was before where there is one:
    /// - [`Error::Layer`](crate::Error::Layer), with the nearest name, for a layer that the backbone has not.
    /// - [`Error::Setting`](crate::Error::Setting) for options that cannot be trained with, a loss that stops being a
    ///   number, and a layer so early that what goes into it does not fit into 1 GiB for all photos.
    /// - [`Error::Data`](crate::Error::Data) and [`Error::Interrupted`](crate::Error::Interrupted) as for `fit`.
    pub fn fine_tune(
        &mut self,
        layer: &str,
        training: &Dataset,
        validation: &Dataset,
        options: FineTuning,
    ) -> Result<History> {
        let backbone = Arc::clone(self.frozen.unfolded());
        let tuned = self.learner.fine_tune(&*backbone, layer, (training, validation), &options)?;
        self.frozen = backbone.with_weights(&tuned.weights)?.frozen_with(self.frozen.options())?;
        self.learner.refrozen(Arc::clone(self.frozen.engine()));
        Ok(tuned.history)
    }
}
