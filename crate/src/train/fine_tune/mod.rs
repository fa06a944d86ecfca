//! Fine-tuning: the backbone's last layers learn with the head, on what the frozen part before them made once.

mod inputs;
mod tail;
#[cfg(test)]
mod tests;

pub(super) use inputs::{Inputs, inputs};
pub use tail::BatchNorm;

use super::fit::{self, FitOptions, Score};
use super::history::Epoch;
use super::{FeatureTable, Head, History, checks, live};
use crate::freeze::{Unfreeze, digest};
use crate::notebook::{self, report};
use crate::weights::Weights;
use crate::{Error, Result};
use candle_core::Tensor;
use candle_nn::{AdamW, Optimizer, ParamsAdamW};
use serde_json::json;
use std::time::Instant;
use tail::Tail;

/// How to fine-tune.
///
/// ```
/// use candlewick::train::{BatchNorm, FineTuning};
/// let options = FineTuning { epochs: 3, ..FineTuning::default() };
/// assert_eq!(options.batch_norm, BatchNorm::Stored);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct FineTuning {
    /// How often each training photo is seen; at least 1.
    pub epochs: usize,
    /// Adam's step size, above 0. Much smaller than the head's: the weights are good already.
    pub learning_rate: f64,
    /// Photos a step, at least 1. The last batch of an epoch is smaller where the photos do not divide evenly.
    pub batch_size: usize,
    /// Decides the order of the photos.
    pub seed: u64,
    /// How the batch norms of the layers that learn are computed.
    pub batch_norm: BatchNorm,
}

impl Default for FineTuning {
    /// 6 epochs, learning rate 1e-5, batches of 32, seed 42, stored statistics.
    fn default() -> Self {
        Self { epochs: 6, learning_rate: 1e-5, batch_size: 32, seed: 42, batch_norm: BatchNorm::Stored }
    }
}

impl FineTuning {
    pub(super) fn check(&self) -> Result<()> {
        let wrong = |setting, got: String, want: &str| Err(Error::Setting { setting, got, want: want.to_owned() });
        if self.epochs == 0 {
            return wrong("epochs", "0".to_owned(), "nothing would be learnt; take 1 or more, 6 is usual");
        }
        if self.batch_size == 0 {
            return wrong("batch_size", "0".to_owned(), "a step needs at least one photo; 32 is usual");
        }
        if !self.learning_rate.is_finite() || self.learning_rate <= 0.0 {
            return wrong("learning_rate", self.learning_rate.to_string(), "it must be above 0; 0.00001 is usual");
        }
        Ok(())
    }
}

/// What fine-tuning came to.
pub(super) struct Tuned {
    /// All of the backbone's weights, those of before among them.
    pub weights: Weights,
    pub history: History,
}

/// Trains the layers of `backbone` from `layer` on, and the head.
pub(super) fn tune(
    backbone: &dyn Unfreeze,
    head: &Head,
    layer: &str,
    inputs: &Inputs,
    options: &FineTuning,
) -> Result<Tuned> {
    let began = Instant::now();
    let tail = Tail::new(backbone, head, layer, inputs.shape, options.batch_norm)?;
    let shared = inputs.validation.shared_with(&inputs.training);
    checks::warnings(&inputs.training, &inputs.validation, shared).iter().for_each(|warning| println!("{warning}"));
    let mut live = live::Epochs::new(options.epochs);
    let run = train(&tail, inputs, options, fit::shuffles(options.seed), |epoch| live.show(epoch))?;
    let history = History {
        epochs: run.epochs,
        planned: options.epochs,
        training_photos: inputs.training.len(),
        validation_photos: inputs.validation.len(),
        shared_photos: shared,
        interrupted: run.interrupted,
        // The learner knows.
        continued: false,
    };
    report("stage", json!({"name": "fine-tuning", "seconds": began.elapsed().as_secs_f64()}));
    report("fine_tune", history.facts());
    let tensors = tail.tensors(backbone)?;
    // Whatever these were tuned from before, the numbers tell them apart.
    let base = backbone.spec().weights.split(", fine-tuned").next().unwrap_or_default().to_owned();
    let mut digits = digest(&tensors)?;
    digits.truncate(16);
    let weights = Weights::new(format!("{base}, fine-tuned from {layer} to {digits}"), tensors);
    Ok(Tuned { weights, history })
}

/// Trains the tail; `order` gives each epoch's permutation of the photos, `each` hears of every finished epoch.
fn train(
    tail: &Tail<'_>,
    inputs: &Inputs,
    options: &FineTuning,
    mut order: impl FnMut(usize) -> Vec<u32>,
    mut each: impl FnMut(&Epoch),
) -> Result<fit::Run> {
    let adam = ParamsAdamW { lr: options.learning_rate, beta1: 0.9, beta2: 0.999, eps: 1e-7, weight_decay: 0.0 };
    let mut adam = AdamW::new(tail.variables(), adam)?;
    let mut run = fit::Run { epochs: Vec::new(), interrupted: false };
    for epoch in 1..=options.epochs {
        let began = Instant::now();
        let order = order(inputs.training.len());
        let Some([running, end, held_out]) = scores(tail, &mut adam, inputs, &order, options, epoch)? else {
            run.interrupted = true;
            return Ok(run);
        };
        if !(end.loss.is_finite() && held_out.loss.is_finite()) {
            return Err(diverged(epoch, options));
        }
        let epoch = Epoch {
            training_accuracy_running: running.accuracy,
            training_loss_running: running.loss,
            training_accuracy: end.accuracy,
            training_loss: end.loss,
            validation_accuracy: held_out.accuracy,
            validation_loss: held_out.loss,
            seconds: began.elapsed().as_secs_f64(),
        };
        each(&epoch);
        run.epochs.push(epoch);
    }
    Ok(run)
}

/// An epoch, and what it came to: the running score of training, that at its end, and that of validation.
fn scores(
    tail: &Tail<'_>,
    adam: &mut AdamW,
    inputs: &Inputs,
    order: &[u32],
    options: &FineTuning,
    epoch: usize,
) -> Result<Option<[Score; 3]>> {
    let Some(running) = pass(tail, adam, &inputs.training, order, options, epoch)? else { return Ok(None) };
    let Some(end) = score(tail, &inputs.training)? else { return Ok(None) };
    Ok(score(tail, &inputs.validation)?.map(|held_out| [running, end, held_out]))
}

/// One epoch of steps, each batch scored before its step; none where it was interrupted.
fn pass(
    tail: &Tail<'_>,
    adam: &mut AdamW,
    table: &FeatureTable,
    order: &[u32],
    options: &FineTuning,
    epoch: usize,
) -> Result<Option<Score>> {
    let (mut hits, mut loss_sum) = (0, 0.0);
    for batch in order.chunks(options.batch_size) {
        if notebook::interrupted() {
            return Ok(None);
        }
        let batch = Tensor::new(batch, table.features().device())?;
        let labels = table.label_tensor().index_select(&batch, 0)?;
        let logits = tail.learning(&table.features().index_select(&batch, 0)?)?;
        let loss = tail.loss(&logits, &labels)?;
        let value = f64::from(loss.to_scalar::<f32>()?);
        if !value.is_finite() {
            return Err(diverged(epoch, options));
        }
        loss_sum += value * labels.elem_count() as f64;
        hits += fit::count_hits(&logits, &labels)?;
        adam.backward_step(&loss)?;
    }
    let count = order.len() as f64;
    Ok(Some(Score { accuracy: hits as f64 / count, loss: loss_sum / count }))
}

/// Scores the tail as it stands, without changing it; none where it was interrupted.
fn score(tail: &Tail<'_>, table: &FeatureTable) -> Result<Option<Score>> {
    /// So many photos at once fit into any memory, and keep all cores busy.
    const PHOTOS: usize = 64;
    let (mut hits, mut loss_sum) = (0, 0.0);
    for start in (0..table.len()).step_by(PHOTOS) {
        if notebook::interrupted() {
            return Ok(None);
        }
        let size = PHOTOS.min(table.len() - start);
        let labels = table.label_tensor().narrow(0, start, size)?;
        let logits = tail.knowing(&table.features().narrow(0, start, size)?)?.detach();
        loss_sum += f64::from(tail.loss(&logits, &labels)?.to_scalar::<f32>()?) * size as f64;
        hits += fit::count_hits(&logits, &labels)?;
    }
    let count = table.len() as f64;
    Ok(Some(Score { accuracy: hits as f64 / count, loss: loss_sum / count }))
}

/// The options of `fit` that say what its loss is.
fn loss_options(head: &Head) -> FitOptions {
    FitOptions { from_logits: !head.has_softmax(), ..FitOptions::default() }
}

fn diverged(epoch: usize, options: &FineTuning) -> Error {
    Error::Setting {
        setting: "learning_rate",
        got: options.learning_rate.to_string(),
        want: format!(
            "the loss stopped being a number in epoch {epoch}, because the steps were too long. Take a smaller one; \
             0.00001 is usual. The model is as it was before"
        ),
    }
}
