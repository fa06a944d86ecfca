//! TODO 12: the other network, and the comparison.

use super::super::diagnosis::{Checked, mistake};
use super::head;
use super::photos::{enough, kept_aside, normalised};
use super::training::{SECOND, trained};
use crate::data::Dataset;
use crate::images::Batch;
use crate::train::{Comparison, Examined, History, Measured};

/// What TODO 12 makes.
pub(super) struct Inception<'a> {
    pub model: Examined<'a>,
    pub batch: &'a Batch,
    pub history: &'a History,
    pub comparison: &'a Comparison,
}

pub(super) fn inception(
    first: &Examined<'_>,
    second: &Inception<'_>,
    training: &Dataset,
    validation: &Dataset,
) -> Checked {
    if second.model.name() == first.name() {
        return mistake(
            "same-network",
            format!("`inception_model` stands on {}, as `model` does.", first.name()),
            "a comparison of a network with itself shows only chance.",
            "load the other network, freeze it, and give it a head of its own.",
        );
    }
    kept_aside("`inception_batch`", second.batch, training, validation)?;
    normalised("`inception_batch`", second.batch, validation, second.model.preprocess())?;
    enough("`inception_batch`", second.batch, validation)?;
    head::head(&second.model, validation, &SECOND)?;
    trained(&second.model, second.history, training, validation, &SECOND)?;
    for model in [first, &second.model] {
        let Some(row) = second.comparison.rows().iter().find(|row| row.network == model.name()) else {
            return mistake(
                "comparison-incomplete",
                format!("`comparison` has no row for {}.", model.name()),
                "a comparison needs both: which is better is the question.",
                "measure both models on the same photos, and put both into the comparison.",
            );
        };
        row_is_true(row, model, training, validation)?;
    }
    Ok(())
}

/// Whether a row says what can be measured anew. Time is only looked at for sense: it differs from run to run.
fn row_is_true(row: &Measured, model: &Examined<'_>, training: &Dataset, validation: &Dataset) -> Checked {
    let want = model.predict(validation)?;
    let is = |got: f64, want: f64| (got - want).abs() <= 1e-9 + 1e-3 * want.abs();
    let (low, high) = want.interval();
    if !(is(row.accuracy, want.accuracy()) && is(row.interval.0, low) && is(row.interval.1, high)) {
        let learnt = is(row.accuracy, model.predict(training)?.accuracy());
        return mistake(
            if learnt { "measured-on-training" } else { "other-accuracy" },
            format!("the accuracy of {} in `comparison` is not that on `validation`.", row.network),
            "two accuracies can be compared only where they were measured on the same photos, kept aside from both.",
            "measure both models on `validation`, after both are trained.",
        );
    }
    let sizes = is(row.parameters as f64, model.parameters() as f64) && is(row.megabytes, model.megabytes());
    if sizes && row.milliseconds.is_finite() && row.milliseconds > 0.0 {
        return Ok(());
    }
    mistake(
        "comparison-untrue",
        format!("parameters, time or size of {} in `comparison` are not what the model has.", row.network),
        "which network to take depends on what it costs as much as on what it gets right.",
        "let the model measure itself.",
    )
}
