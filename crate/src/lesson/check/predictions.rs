//! TODO 9 to 11: names, predictions, indices.

use super::super::diagnosis::{Checked, mistake};
use super::photos::{enough, kept_aside, normalised};
use crate::data::Dataset;
use crate::images::Batch;
use crate::train::Examined;
use std::collections::HashSet;

pub(super) fn class_names(got: &[&str], data: &Dataset) -> Checked {
    let want: Vec<&str> = data.classes().iter().map(String::as_str).collect();
    if got == want {
        return Ok(());
    }
    let why = "the model answers with an index: without the list in the right order, the answer has the wrong name.";
    let cure = "the data set knows the names of its classes, in order.";
    if got.iter().collect::<HashSet<_>>() == want.iter().collect() && got.len() == want.len() {
        return mistake("names-out-of-order", "`class_names` has the right names in another order.", why, cure);
    }
    let what = match got.iter().find(|name| !want.contains(name)) {
        Some(name) if got.len() == want.len() => {
            format!("`class_names` has `{name}`, and the data's classes are {want:?}.")
        }
        _ => format!("`class_names` has {} names, and the data has {} classes.", got.len(), want.len()),
    };
    mistake("other-names", what, why, cure)
}

/// What TODO 10 makes of a batch.
pub(super) struct Answers<'a> {
    pub ids: &'a [Option<usize>],
    pub names: &'a [&'a str],
}

pub(super) fn predictions(
    model: &Examined<'_>,
    batch: &Batch,
    answers: &Answers<'_>,
    training: &Dataset,
    validation: &Dataset,
) -> Checked {
    kept_aside("`image_batch`", batch, training, validation)?;
    normalised("`image_batch`", batch, validation, model.preprocess())?;
    enough("`image_batch`", batch, validation)?;
    let predictions = model.predict_batch(batch)?;
    let got = answers.names;
    if got == predictions.predicted_names() {
        return predicted_ids(answers.ids, &predictions.predicted);
    }
    if got.len() != batch.labels.len() {
        return mistake(
            "number-of-predictions",
            format!("`predicted_names` has {} names for {} photos.", got.len(), batch.labels.len()),
            "each photo gets one answer: the class with the largest logit.",
            "take the largest along the classes, not along the photos.",
        );
    }
    if got == predictions.label_names() {
        return mistake(
            "labels-for-predictions",
            "`predicted_names` are the true names of the photos, not the model's answers.",
            "compared with themselves, labels are always right.",
            "ask the model about the batch; the labels are for TODO 11.",
        );
    }
    let agree = got.iter().zip(predictions.predicted_names()).filter(|(got, want)| **got == *want).count();
    mistake(
        "other-predictions",
        format!("`predicted_names` agrees with the model's answers for {agree} of {} photos.", got.len()),
        "the index of the largest logit is the answer, and `class_names` turns it into a word.",
        "look at how you go from logits to an index, and from the index to a name.",
    )
}

fn predicted_ids(got: &[Option<usize>], want: &[usize]) -> Checked {
    if got.iter().copied().eq(want.iter().copied().map(Some)) {
        return Ok(());
    }
    mistake(
        "other-ids",
        "`predicted_names` are the model's answers, and `predicted_ids` are not.",
        "the names are made from the indices; TODO 11 prints the indices beside the labels.",
        "keep the indices of the largest logits under their name, one a photo.",
    )
}

pub(super) fn indices(model: &Examined<'_>, batch: &Batch, labels: &[Option<usize>], ids: &[Option<usize>]) -> Checked {
    let want_labels: Vec<Option<usize>> = batch.labels.iter().copied().map(Some).collect();
    let want_ids: Vec<Option<usize>> = model.predict_batch(batch)?.predicted.into_iter().map(Some).collect();
    if labels == want_labels && ids == want_ids {
        return Ok(());
    }
    let why = "two rows are compared photo by photo: each must be what its name says, in the order of the batch.";
    if labels == want_ids && ids == want_labels {
        let cure = "`true_labels` are the batch's, `predicted_ids` the model's.";
        return mistake("rows-swapped", "`true_labels` and `predicted_ids` are each other's.", why, cure);
    }
    let (name, cure) = match labels == want_labels {
        true => ("predicted_ids", "predict the very batch that the labels are of."),
        false => ("true_labels", "a batch brings its labels along, in its own order."),
    };
    mistake("other-indices", format!("`{name}` is not what it should be for `image_batch`."), why, cure)
}
