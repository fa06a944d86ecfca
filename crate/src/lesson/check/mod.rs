//! The check below each TODO: by what the learner's variables hold, not by how they were made.
//!
//! A pass prints a tick and the bar of twelve. A failure is an [`Error::Lesson`](crate::Error::Lesson): which mistake it
//! is, why it matters, what to try. Nothing that is checked is changed or used up.

mod batches;
mod features;
mod head;
mod inception;
mod photos;
mod predictions;
mod split;
mod training;

use super::diagnosis::settle;
use crate::Result;
use crate::data::Dataset;
use crate::freeze::Unfreeze;
use crate::images::{Batch, Preprocess};
use crate::models::Backbone;
use crate::notebook::Picture;
use crate::train::{Comparison, History, TransferModel};
pub use batches::Batched;
use candle_core::Tensor;

// None is named as a variable of the exercise: the compiler would offer to import it where the variable is missing.
//
// Each function is compiled again in every cell that uses it where it is generic: then it only passes on.

/// TODO 1: `training` and `validation` are 70 % and 30 % of `data`, with no photo in both.
///
/// # Errors
/// [`Error::Lesson`](crate::Error::Lesson) with the mistake; the same for every function here.
pub fn split(data: &Dataset, training: &Dataset, validation: &Dataset) -> Result<()> {
    settle(1, split::split(data, training, validation))
}

/// TODO 2: the numbers of classes and of photos are those of the data.
///
/// # Errors
/// As for [`split`].
pub fn counts(
    training: &Dataset,
    validation: &Dataset,
    num_classes: impl TryInto<usize>,
    num_training: impl TryInto<usize>,
    num_validation: impl TryInto<usize>,
) -> Result<()> {
    let counted = [num_classes.try_into().ok(), num_training.try_into().ok(), num_validation.try_into().ok()];
    settle(2, split::counts(training, validation, counted))
}

/// TODO 3: all photos in batches of 32, squares of 224 pixels, normalised as MobileNetV2 expects.
///
/// # Errors
/// As for [`split`].
pub fn batches(
    preprocess: &Preprocess,
    training_batches: &dyn Batched,
    validation_batches: &dyn Batched,
    training: &Dataset,
    validation: &Dataset,
) -> Result<()> {
    settle(3, batches::batches(preprocess, training_batches, validation_batches, training, validation))
}

/// TODO 4: `features` are those of the network for this batch, and not its logits.
///
/// # Errors
/// As for [`split`].
pub fn extractor<B: Backbone>(network: &B, batch: &Batch, features: &Tensor) -> Result<()> {
    settle(4, features::features(network, batch, features))
}

/// TODO 5: `frozen` gives the features that the network gave, and lets no gradient through.
///
/// # Errors
/// As for [`split`].
pub fn freezing<B: Backbone>(frozen: &B, batch: &Batch, features: &Tensor) -> Result<()> {
    settle(5, features::frozen(frozen, batch, features))
}

/// TODO 6: the head has an output for each class of `data`; and the model can learn, which takes `mut`.
///
/// # Errors
/// As for [`split`].
pub fn head<B: Backbone>(model: &mut TransferModel<B>, data: &Dataset) -> Result<()> {
    settle(6, head::head(&model.examined(), data, &training::FIRST))
}

/// TODO 7: six epochs in one `fit` on `training`, measured on `validation`; and the frozen part still gives `features` for
/// `batch`. A head that had learnt before this `fit` passes as well: nothing that it holds tells.
///
/// # Errors
/// As for [`split`].
pub fn trained<B: Unfreeze>(
    model: &TransferModel<B>,
    history: &History,
    batch: &Batch,
    features: &Tensor,
    training: &Dataset,
    validation: &Dataset,
) -> Result<()> {
    let unchanged = features::unchanged(&**model.frozen().unfolded(), model.frozen(), batch, features);
    let model = model.examined();
    settle(7, unchanged.and_then(|()| training::trained(&model, history, training, validation, &training::FIRST)))
}

/// TODO 8: `curves` is the picture of `history`.
///
/// # Errors
/// As for [`split`].
pub fn graphs(curves: &Picture, history: &History) -> Result<()> {
    settle(8, training::curves(curves, history))
}

/// TODO 9: the names of the classes, in the order of the head's outputs.
///
/// # Errors
/// As for [`split`].
pub fn classes<S: AsRef<str>>(class_names: &[S], data: &Dataset) -> Result<()> {
    let names: Vec<&str> = class_names.iter().map(AsRef::as_ref).collect();
    settle(9, predictions::class_names(&names, data))
}

/// TODO 10: a batch of 30 validation photos, and for each the class that the model finds most probable, by index and by name.
///
/// # Errors
/// As for [`split`].
pub fn predictions<B: Backbone, I: Copy + TryInto<usize>, S: AsRef<str>>(
    model: &TransferModel<B>,
    image_batch: &Batch,
    predicted_ids: &[I],
    predicted_names: &[S],
    training: &Dataset,
    validation: &Dataset,
) -> Result<()> {
    let ids: Vec<Option<usize>> = predicted_ids.iter().map(|id| (*id).try_into().ok()).collect();
    let names: Vec<&str> = predicted_names.iter().map(AsRef::as_ref).collect();
    let answers = predictions::Answers { ids: &ids, names: &names };
    settle(10, predictions::predictions(&model.examined(), image_batch, &answers, training, validation))
}

/// TODO 11: the true and the predicted classes of the batch, by index.
///
/// # Errors
/// As for [`split`].
pub fn indices<B: Backbone, T: Copy + TryInto<usize>, U: Copy + TryInto<usize>>(
    model: &TransferModel<B>,
    image_batch: &Batch,
    true_labels: &[T],
    predicted_ids: &[U],
) -> Result<()> {
    let labels: Vec<Option<usize>> = true_labels.iter().map(|label| (*label).try_into().ok()).collect();
    let ids: Vec<Option<usize>> = predicted_ids.iter().map(|id| (*id).try_into().ok()).collect();
    settle(11, predictions::indices(&model.examined(), image_batch, &labels, &ids))
}

/// TODO 12: InceptionV3 fed with squares of 299 pixels, trained as MobileNetV2 was, and both compared truly.
///
/// # Errors
/// As for [`split`].
pub fn inception<A: Backbone, B: Backbone>(
    model: &TransferModel<A>,
    inception_model: &TransferModel<B>,
    inception_batch: &Batch,
    inception_history: &History,
    comparison: &Comparison,
    training: &Dataset,
    validation: &Dataset,
) -> Result<()> {
    let inception = inception::Inception {
        model: inception_model.examined(),
        batch: inception_batch,
        history: inception_history,
        comparison,
    };
    settle(12, inception::inception(&model.examined(), &inception, training, validation))
}
