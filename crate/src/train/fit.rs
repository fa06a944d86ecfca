//! Training the head on frozen features: Adam on the softmax cross-entropy, batch after batch.

use super::history::Epoch;
use super::{FeatureTable, Head};
use crate::evaluate::best;
use crate::{Error, Result, notebook};
use candle_core::Tensor;
use candle_nn::loss::cross_entropy;
use candle_nn::{AdamW, Optimizer, ParamsAdamW};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use std::time::Instant;

/// How to train: the course's settings, unless told otherwise.
///
/// ```
/// use candlewick::train::FitOptions;
/// let longer = FitOptions { epochs: 12, ..FitOptions::default() };
/// assert_eq!(longer.batch, 32);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct FitOptions {
    /// How often each training photo is seen; at least 1.
    pub epochs: usize,
    /// Adam's step size, above 0; 1e-3 is usual.
    pub learning_rate: f64,
    /// Photos a step, at least 1. The last batch of an epoch is smaller where the photos do not divide evenly.
    pub batch: usize,
    /// Decides the head's initial weights and the order of the photos.
    pub seed: u64,
    /// Whether the loss is to take the head's outputs for logits, as Keras calls it. True fits a head as it comes; false
    /// fits one that ends in a [`softmax`](super::TransferModel::softmax), and trains it exactly as the same head without
    /// a softmax. True with a softmax is a classic mistake: the loss takes probabilities for logits and applies a second
    /// softmax, which flattens them, so that it stays high and the head learns slowly.
    pub from_logits: bool,
}

impl Default for FitOptions {
    /// 6 epochs, learning rate 1e-3, batches of 32, seed 42, from logits.
    fn default() -> Self {
        Self { epochs: 6, learning_rate: 1e-3, batch: 32, seed: 42, from_logits: true }
    }
}

impl FitOptions {
    /// Refuses what cannot be trained with, before any work starts.
    pub(super) fn check(&self, head: &Head) -> Result<()> {
        let wrong = |setting, got: String, want: &str| Err(Error::Setting { setting, got, want: want.to_owned() });
        if self.epochs == 0 {
            return wrong("epochs", "0".to_owned(), "nothing would be learnt; take 1 or more, 6 is usual");
        }
        if self.batch == 0 {
            return wrong("batch", "0".to_owned(), "a step needs at least one photo; 32 is usual");
        }
        if !self.learning_rate.is_finite() || self.learning_rate <= 0.0 {
            return wrong("learning_rate", self.learning_rate.to_string(), "it must be above 0; 0.001 is usual");
        }
        if !self.from_logits && !head.has_softmax() {
            let want =
                "the head's outputs are logits and no probabilities; leave it true, or end the head in `softmax()`";
            return wrong("from_logits", "false".to_owned(), want);
        }
        Ok(())
    }
}

/// The order in which the photos are seen in an epoch: a fresh permutation each time, all of them decided by the seed.
pub(super) fn shuffles(seed: u64) -> impl FnMut(usize) -> Vec<u32> {
    // Another stream than the initial weights', which come from the same seed.
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    random.set_stream(1);
    move |photos| {
        let mut order: Vec<u32> = (0..photos as u32).collect();
        order.shuffle(&mut random);
        order
    }
}

/// What a run of [`train`] came to.
pub(super) struct Run {
    /// The epochs that were finished.
    pub epochs: Vec<Epoch>,
    /// Whether it was stopped before the last one.
    pub interrupted: bool,
}

/// Trains the head; `order` gives each epoch's permutation of the photos, `each` hears of every finished epoch.
///
/// Where the loss stops being a number, the head goes back to the last finished epoch and an error says why.
pub(super) fn train(
    head: &Head,
    training: &FeatureTable,
    validation: &FeatureTable,
    options: &FitOptions,
    mut order: impl FnMut(usize) -> Vec<u32>,
    mut each: impl FnMut(&Epoch),
) -> Result<Run> {
    // Adam (Kingma and Ba 2015) is AdamW without weight decay. Epsilon is Keras' and the reference's.
    let adam = ParamsAdamW { lr: options.learning_rate, beta1: 0.9, beta2: 0.999, eps: 1e-7, weight_decay: 0.0 };
    let mut adam = AdamW::new(head.variables(), adam)?;
    let mut run = Run { epochs: Vec::with_capacity(options.epochs.min(1000)), interrupted: false };
    for epoch in 1..=options.epochs {
        let began = Instant::now();
        let earlier = head.snapshot()?;
        let order = order(training.len());
        let running = match pass(head, &mut adam, training, &order, options)? {
            Pass::Whole(score) => score,
            Pass::Interrupted => {
                run.interrupted = true;
                return Ok(run);
            }
            Pass::Diverged { step } => {
                head.restore(&earlier)?;
                return Err(diverged(epoch, step, options.learning_rate));
            }
        };
        let (end, held_out) = (score(head, training, options)?, score(head, validation, options)?);
        if !(end.loss.is_finite() && held_out.loss.is_finite()) {
            head.restore(&earlier)?;
            return Err(diverged(epoch, order.len().div_ceil(options.batch), options.learning_rate));
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

/// Accuracy and mean loss over some photos.
pub(super) struct Score {
    pub accuracy: f64,
    pub loss: f64,
}

enum Pass {
    Whole(Score),
    Interrupted,
    Diverged { step: usize },
}

/// One epoch of steps. Each batch is scored before its step, as Keras does: the mean lags behind what the head knows.
fn pass(head: &Head, adam: &mut AdamW, table: &FeatureTable, order: &[u32], options: &FitOptions) -> Result<Pass> {
    let (count, device) = (order.len(), table.features().device());
    // Gathered once an epoch, so that each batch is a contiguous view.
    let labels = table.label_tensor().index_select(&Tensor::from_slice(order, count, device)?, 0)?;
    let features = table.features().index_select(&Tensor::from_slice(order, count, device)?, 0)?;
    let (mut hits, mut loss_sum) = (0, 0.0);
    for (step, start) in (0..count).step_by(options.batch).enumerate() {
        if notebook::interrupted() {
            return Ok(Pass::Interrupted);
        }
        let size = options.batch.min(count - start);
        let labels = labels.narrow(0, start, size)?;
        let logits = head.logits(&features.narrow(0, start, size)?)?;
        let loss = loss(&logits, &labels, head, options)?;
        let value = f64::from(loss.to_scalar::<f32>()?);
        if !value.is_finite() {
            return Ok(Pass::Diverged { step: step + 1 });
        }
        loss_sum += value * size as f64;
        hits += count_hits(&logits, &labels)?;
        adam.backward_step(&loss)?;
    }
    Ok(Pass::Whole(Score { accuracy: hits as f64 / count as f64, loss: loss_sum / count as f64 }))
}

/// Scores the head as it stands, without changing it.
fn score(head: &Head, table: &FeatureTable, options: &FitOptions) -> Result<Score> {
    let logits = head.logits(table.features())?.detach();
    let loss = f64::from(loss(&logits, table.label_tensor(), head, options)?.to_scalar::<f32>()?);
    Ok(Score { accuracy: count_hits(&logits, table.label_tensor())? as f64 / table.len() as f64, loss })
}

/// The mean cross-entropy of what the loss takes for logits.
///
/// Of a head that ends in a softmax these are its probabilities where it is told so, and softmax is applied twice. Told
/// the truth, it takes the logits before the softmax: the logarithm of a softmax at once is exact where the logarithm of
/// an underflowed probability is not.
pub(super) fn loss(logits: &Tensor, labels: &Tensor, head: &Head, options: &FitOptions) -> Result<Tensor> {
    match head.has_softmax() && options.from_logits {
        true => Ok(cross_entropy(&candle_nn::ops::softmax(logits, 1)?, labels)?),
        false => Ok(cross_entropy(logits, labels)?),
    }
}

pub(super) fn count_hits(logits: &Tensor, labels: &Tensor) -> Result<usize> {
    let (rows, labels) = (logits.to_vec2::<f32>()?, labels.to_vec1::<u32>()?);
    Ok(rows.iter().zip(labels).filter(|(row, label)| best(row) == *label as usize).count())
}

fn diverged(epoch: usize, step: usize, learning_rate: f64) -> Error {
    Error::Setting {
        setting: "learning_rate",
        got: learning_rate.to_string(),
        want: format!(
            "the loss stopped being a number in epoch {epoch}, step {step}, because the steps were too long. \
             Take a smaller one; 0.001 is usual. The head is back where it was before epoch {epoch}"
        ),
    }
}
