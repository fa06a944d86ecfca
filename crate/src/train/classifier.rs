//! A trained model out of a file, ready to classify.

use super::learner::Learner;
use super::{Head, saved};
use crate::Result;
use crate::data::{Dataset, IntoPhoto};
use crate::evaluate::{Classification, Classifications, Predictions};
use crate::freeze::Engine;
use crate::images::{Batch, Preprocess};
use crate::models::Layers;
use crate::notebook::display;
use std::fmt;
use std::path::Path;

/// A trained classifier that [`TransferModel::save`](super::TransferModel::save) wrote, whatever its backbone.
///
/// ```no_run
/// use candlewick::prelude::*;
/// let flowers = Classifier::load("flowers.safetensors")?;
/// println!("{}", flowers.classify("garden/rose.jpg")?);
/// println!("{}", flowers.classify_folder("garden")?);
/// # Ok::<(), Error>(())
/// ```
pub struct Classifier {
    learner: Learner,
}

impl Classifier {
    /// Reads a classifier, and its backbone by the identity of its weights (which are fetched where they are not in the
    /// cache), frozen and compiled.
    ///
    /// # Errors
    /// [`Error::File`](crate::Error::File) where it cannot be read; [`Error::Weights`](crate::Error::Weights), saying
    /// which, where it is no classifier, is cut off, was changed after it was saved, is of another format version or on a
    /// backbone that this version does not have; [`Error::Fetch`](crate::Error::Fetch) where the backbone's weights cannot
    /// be had.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        Self::read(path.as_ref())
    }

    fn read(path: &Path) -> Result<Self> {
        let saved::Loaded { frozen, head, classes } = saved::load(path)?;
        Ok(Self { learner: Learner::with_head(frozen, head, &classes)? })
    }

    /// The names of the classes it tells apart.
    pub fn classes(&self) -> &[String] {
        &self.learner.classes
    }

    /// The part that was trained.
    pub fn head(&self) -> &Head {
        &self.learner.head
    }

    /// How it wants its photos; only [`predict_batch`](Self::predict_batch) needs them so.
    pub fn preprocess(&self) -> Preprocess {
        self.learner.spec().preprocess
    }

    /// The layers of its backbone, as a table.
    pub fn layers(&self) -> Layers {
        self.engine().backbone().layers()
    }

    /// The names of those layers and of the parts inside them: what can be looked at
    /// ([`Explain`](crate::explain::Explain)).
    pub fn layer_names(&self) -> Vec<String> {
        self.engine().backbone().layer_names()
    }

    /// The frozen part.
    pub(crate) fn engine(&self) -> &Engine {
        self.learner.engine()
    }

    /// What it says of one photo: a path, a [`Photo`](crate::data::Photo) or [`Pixels`](crate::images::Pixels).
    ///
    /// # Errors
    /// Where it cannot be read or decoded.
    pub fn classify(&self, photo: impl IntoPhoto) -> Result<Classification> {
        self.learner.classify(photo.into_photo()?)
    }

    /// What it says of each photo in a folder and the folders in it. What cannot be read is named and skipped.
    ///
    /// # Errors
    /// As for [`TransferModel::classify_folder`](super::TransferModel::classify_folder).
    pub fn classify_folder(&self, path: impl AsRef<Path>) -> Result<Classifications> {
        self.learner.classify_folder(path.as_ref())
    }

    /// What it says of every photo of a data set with the same classes.
    ///
    /// # Errors
    /// As for [`TransferModel::predict`](super::TransferModel::predict).
    pub fn predict(&self, dataset: &Dataset) -> Result<Predictions> {
        self.learner.predict(dataset)
    }

    /// What it says of one batch.
    ///
    /// # Errors
    /// As for [`TransferModel::predict_batch`](super::TransferModel::predict_batch).
    pub fn predict_batch(&self, batch: &Batch) -> Result<Predictions> {
        self.learner.predict_batch(batch)
    }

    /// Shows what it is below a notebook cell.
    pub fn evcxr_display(&self) {
        display::text(&self.to_string());
    }
}

/// `Classifier of daisy, dandelion, roses, sunflowers, tulips on mobilenet_v2 (weights mobilenet_v2.tv_in1k)`.
impl fmt::Display for Classifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let spec = self.learner.spec();
        write!(f, "Classifier of {} on {} (weights {})", self.classes().join(", "), spec.name, spec.weights)
    }
}

impl fmt::Debug for Classifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
