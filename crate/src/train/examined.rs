//! A transfer model to look at, whatever its backbone's type: for the checks of the lesson, and to be measured.

use super::learner::Learner;
use super::{FeatureTable, Summary};
use crate::Result;
use crate::data::Dataset;
use crate::evaluate::Predictions;
use crate::images::{Batch, Preprocess};
use crate::models::Backbone;
use candle_core::Tensor;

/// A model, borrowed, without the backbone's type.
#[derive(Clone, Copy)]
pub(crate) struct Examined<'a> {
    pub(super) learner: &'a Learner,
    /// The frozen part.
    pub(crate) backbone: &'a dyn Backbone,
}

impl Examined<'_> {
    /// The backbone's name: `mobilenet_v2`.
    pub(crate) fn name(&self) -> &'static str {
        self.backbone.spec().name
    }

    /// How the backbone wants its photos.
    pub(crate) fn preprocess(&self) -> &Preprocess {
        &self.backbone.spec().preprocess
    }

    pub(crate) fn classes(&self) -> &[String] {
        &self.learner.classes
    }

    pub(crate) fn features(&self, dataset: &Dataset) -> Result<FeatureTable> {
        self.learner.features(dataset)
    }

    /// Features `(N, F)` to what the head makes of them, `(N, K)`.
    pub(crate) fn head(&self, features: &Tensor) -> Result<Tensor> {
        self.learner.head.forward(features)
    }

    pub(crate) fn predict(&self, dataset: &Dataset) -> Result<Predictions> {
        self.learner.predict(dataset)
    }

    pub(crate) fn predict_batch(&self, batch: &Batch) -> Result<Predictions> {
        self.learner.predict_batch(batch)
    }

    fn summary(&self) -> Summary {
        Summary::new(self.backbone, &self.learner.head, &self.learner.classes)
    }

    /// Parameters of backbone and head, as torchvision counts them.
    pub(crate) fn parameters(&self) -> usize {
        let summary = self.summary();
        summary.frozen + summary.head
    }

    /// What its numbers take up, batch norm's statistics included, in millions of bytes: four bytes each.
    pub(crate) fn megabytes(&self) -> f64 {
        4.0 * (self.parameters() + self.summary().statistics) as f64 / 1e6
    }
}
