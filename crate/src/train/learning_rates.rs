//! Which learning rate to take: one short training in which it grows from far too small to far too large.

use super::fit::{FitOptions, loss};
use super::{FeatureTable, Head};
use crate::notebook::{self, Picture, display};
use crate::{Error, Result, plot};
use candle_core::Tensor;
use candle_nn::{AdamW, Optimizer, ParamsAdamW};
use std::fmt;

/// The smallest and the largest rate, and how many are tried: fastai's.
const FROM: f64 = 1e-7;
const TO: f64 = 10.0;
const STEPS: usize = 100;
/// How much of the running mean of the loss is that of the step before.
const RUNNING: f64 = 0.98;
/// The width of the bell that the shown loss is smoothed by, in steps: its standard deviation.
const WIDTH: f64 = 8.0;
/// The loss diverges once its running mean is so many times its least.
const DIVERGED: f64 = 4.0;
/// The first steps, where the mean is of few, and the last ones, where the loss may be exploding, suggest nothing.
const FIRST: usize = STEPS / 10;
const LAST: usize = 5;

/// What the loss did while the learning rate grew. It shows itself as a picture when it ends a cell.
///
/// The range test of Smith (2015, "Cyclical learning rates for training neural networks", arXiv 1506.01186; 2017 in
/// WACV), as fastai's `lr_find` does it: a step of Adam at each of 100 rates from 1e-7 to 10, exponentially spaced, and
/// an end once the loss' running mean (0.98) is four times its least.
///
/// One thing is not fastai's. It takes the running mean for the curve, too, which lags by up to 50 of the 100 steps, and
/// on a head alone its steepest place was anywhere from 1e-6 to 1. Here the curve is smoothed evenly to both sides, by a
/// bell with a standard deviation of 8 steps: its suggestions were 1.6e-3 to 2.3e-3 for five heads on flowers, and 6e-4 to
/// 1.3e-3 for five on cats and dogs.
#[derive(Clone, Debug, PartialEq)]
pub struct LearningRates {
    /// The rates that were tried, in order.
    pub rates: Vec<f64>,
    /// The loss of each step's batch, just before the step.
    pub losses: Vec<f64>,
    /// The same, smoothed evenly to both sides.
    pub smoothed: Vec<f64>,
}

impl LearningRates {
    /// The rate at which the smoothed loss fell fastest per factor of the rate, as fastai's `steep`
    /// looks for it. Take it or a little less.
    ///
    /// Of the steps, the first ten and the last five suggest nothing.
    ///
    /// # Errors
    /// [`Error::Data`] where the loss fell nowhere.
    pub fn suggestion(&self) -> Result<f64> {
        let points: Vec<(f64, f64)> = self.rates.iter().copied().zip(self.smoothed.iter().copied()).collect();
        let points = points.get(FIRST..points.len().saturating_sub(LAST)).unwrap_or_default();
        let slope = |pair: &[(f64, f64)]| match pair {
            [(from, before), (to, after)] => ((after - before) / (to.ln() - from.ln()), *from),
            _ => (f64::INFINITY, f64::NAN),
        };
        match points.windows(2).map(slope).min_by(|(a, _), (b, _)| a.total_cmp(b)) {
            Some((slope, rate)) if slope < 0.0 => Ok(rate),
            _ => Err(Error::Data(
                "the loss fell at no learning rate: is the head trained already? `forget()` it and try again"
                    .to_owned(),
            )),
        }
    }

    /// The smoothed loss over the learning rate, which has a logarithmic axis, with the suggestion.
    ///
    /// # Errors
    /// [`Error::Plot`] where no step was made.
    pub fn plot(&self) -> Result<Picture> {
        let suggestion = self.suggestion().ok();
        plot::over_learning_rates(&self.rates, &self.smoothed, suggestion, &self.to_string())
    }

    /// Shows the picture below a notebook cell.
    pub fn evcxr_display(&self) {
        match self.plot() {
            Ok(picture) => picture.evcxr_display(),
            Err(_) => display::text(&self.to_string()),
        }
    }
}

/// What was tried and what is suggested, in words.
impl fmt::Display for LearningRates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Some(first), Some(last)) = (self.rates.first(), self.rates.last()) else {
            return f.write_str("No learning rate was tried.");
        };
        match self.suggestion() {
            Ok(rate) => write!(f, "Suggested learning rate: {rate:.1e}, where the loss fell fastest. ")?,
            Err(error) => write!(f, "No suggestion: {error}. ")?,
        }
        let least = self.smoothed.iter().copied().fold(f64::INFINITY, f64::min);
        write!(f, "{} steps from {first:.0e} to {last:.1e}; least smoothed loss {least:.3}", self.rates.len())?;
        f.write_str(if self.rates.len() < STEPS { ", then it diverged." } else { "." })
    }
}

/// The rate of a step, 0 to 99.
fn rate(step: usize) -> f64 {
    FROM * (TO / FROM).powf(step as f64 / (STEPS - 1) as f64)
}

/// Makes the short training and gives the head its weights back, however it ends.
pub(super) fn sweep(
    head: &Head,
    table: &FeatureTable,
    options: &FitOptions,
    order: impl FnMut(usize) -> Vec<u32>,
) -> Result<LearningRates> {
    let before = head.snapshot()?;
    let swept = steps(head, table, options, order);
    head.restore(&before)?;
    swept
}

fn steps(
    head: &Head,
    table: &FeatureTable,
    options: &FitOptions,
    mut order: impl FnMut(usize) -> Vec<u32>,
) -> Result<LearningRates> {
    let adam = ParamsAdamW { lr: rate(0), beta1: 0.9, beta2: 0.999, eps: 1e-7, weight_decay: 0.0 };
    let mut adam = AdamW::new(head.variables(), adam)?;
    let (mut rates, mut losses) = (Vec::new(), Vec::new());
    let (mut waiting, mut mean, mut best) = (Vec::new(), 0.0, f64::INFINITY);
    for step in 0..STEPS {
        if notebook::interrupted() {
            return Err(Error::Interrupted);
        }
        if waiting.is_empty() {
            waiting = order(table.len());
        }
        let rest = waiting.split_off(options.batch.min(waiting.len()));
        let batch = Tensor::new(std::mem::replace(&mut waiting, rest), table.features().device())?;
        let labels = table.label_tensor().index_select(&batch, 0)?;
        let loss = loss(&head.logits(&table.features().index_select(&batch, 0)?)?, &labels, head, options)?;
        let value = f64::from(loss.to_scalar::<f32>()?);
        mean = RUNNING * mean + (1.0 - RUNNING) * value;
        let running = mean / (1.0 - RUNNING.powi(step as i32 + 1));
        if !running.is_finite() {
            break;
        }
        rates.push(rate(step));
        losses.push(value);
        best = best.min(running);
        if running > DIVERGED * best {
            break;
        }
        adam.set_learning_rate(rate(step));
        adam.backward_step(&loss)?;
    }
    Ok(LearningRates { smoothed: smoothed(&losses), rates, losses })
}

/// Each loss as the mean of its neighbours, weighted by a bell.
fn smoothed(losses: &[f64]) -> Vec<f64> {
    let weight = |distance: usize| (-0.5 * (distance as f64 / WIDTH).powi(2)).exp();
    let mean = |at: usize| {
        let weights = (0..losses.len()).map(|other| weight(at.abs_diff(other)));
        let (sum, all) = losses.iter().zip(weights).fold((0.0, 0.0), |(sum, all), (x, w)| (sum + w * x, all + w));
        sum / all
    };
    (0..losses.len()).map(mean).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use candle_core::Device;

    /// The same sweep by PyTorch, in double precision: tests/golden/make_learning_rates.py.
    #[test]
    fn a_sweep_is_pytorchs_and_leaves_the_head_as_it_was() {
        let golden: serde_json::Value =
            serde_json::from_str(include_str!("../../tests/golden/learning_rates.json")).unwrap();
        let head: serde_json::Value = serde_json::from_str(include_str!("../../tests/golden/head.json")).unwrap();
        let matrix = |value: &serde_json::Value| {
            Tensor::new(serde_json::from_value::<Vec<Vec<f32>>>(value.clone()).unwrap(), &Device::Cpu).unwrap()
        };
        let labels: Vec<usize> = serde_json::from_value(head["labels"].clone()).unwrap();
        let table = FeatureTable::new(matrix(&head["features"]), &labels, &["a", "b", "c"].map(str::to_owned)).unwrap();
        let orders: Vec<Vec<u32>> = serde_json::from_value(head["orders"].clone()).unwrap();
        let mut orders = orders.into_iter().cycle();
        let bias = Tensor::zeros(3, candle_core::DType::F32, &Device::Cpu).unwrap();
        let head = Head::from_weights(&matrix(&head["weight"]), &bias).unwrap();
        let before = head.weight().to_vec2::<f32>().unwrap();
        let found = sweep(&head, &table, &FitOptions::default(), |_| orders.next().unwrap()).unwrap();
        assert_eq!(head.weight().to_vec2::<f32>().unwrap(), before);

        let list = |name: &str| serde_json::from_value::<Vec<f64>>(golden[name].clone()).unwrap();
        for (name, got) in [("rates", &found.rates), ("losses", &found.losses), ("smoothed", &found.smoothed)] {
            let want = list(name);
            assert_eq!(got.len(), want.len(), "{name}");
            for (step, (got, want)) in got.iter().zip(&want).enumerate() {
                assert!((got / want - 1.0).abs() < 1e-3, "{name}, step {step}: {got} instead of {want}");
            }
        }
        let (got, want) = (found.suggestion().unwrap(), golden["suggestion"].as_f64().unwrap());
        assert!((got / want - 1.0).abs() < 1e-6, "{got} instead of {want}");
    }

    #[test]
    fn a_sweep_that_diverges_stops_there() {
        // Features so large that the loss explodes long before the last rate.
        let rows: Vec<f32> = (0..64).map(|i| 1e4 * (i as f32 * 0.37).sin()).collect();
        let table = Tensor::from_vec(rows, (32, 2), &Device::Cpu).unwrap();
        let labels: Vec<usize> = (0..32).map(|i| i % 2).collect();
        let table = FeatureTable::new(table, &labels, &["a", "b"].map(str::to_owned)).unwrap();
        let head = Head::from_weights(
            &Tensor::new(&[[1e-5_f32, 0.0], [0.0, 1e-5]], &Device::Cpu).unwrap(),
            &Tensor::new(&[0.0_f32, 0.0], &Device::Cpu).unwrap(),
        );
        let (head, options) = (head.unwrap(), FitOptions::default());
        let found = sweep(&head, &table, &options, |photos| (0..photos as u32).collect()).unwrap();
        assert!(found.rates.len() < STEPS && found.losses.iter().all(|loss| loss.is_finite()), "{found}");
        assert!(found.losses.last().unwrap() > &found.losses[0] && found.to_string().ends_with("then it diverged."));
        assert_eq!(head.weight().to_vec2::<f32>().unwrap()[0], [1e-5, 0.0]);
    }

    #[test]
    fn the_suggestion_is_where_a_loss_falls_fastest() {
        // A loss that falls around 1e-3 and rises from 1e-1 on.
        let rates: Vec<f64> = (0..STEPS).map(rate).collect();
        assert!((rates[0] - 1e-7).abs() < 1e-20 && (rates[99] - 10.0).abs() < 1e-9);
        let loss = |rate: &f64| 1.0 - 0.8 / (1.0 + (1e-3 / rate).powi(2)) + (rate / 0.3).powi(2).min(3.0);
        let smoothed: Vec<f64> = rates.iter().map(loss).collect();
        let found = LearningRates { losses: smoothed.clone(), smoothed, rates };
        let rate = found.suggestion().unwrap();
        assert!(rate > 8e-4 && rate < 1.2e-3, "{rate}");
        let Picture::Svg { svg, alt } = found.plot().unwrap() else { panic!("a curve is vectors") };
        assert!(alt.starts_with("Suggested learning rate: 9.") && svg.contains("learning rate"), "{alt}");
        assert!(svg.contains("\n1e-3\n") && svg.contains("\n1e1\n"));

        let flat = LearningRates { smoothed: vec![0.5; STEPS], ..found };
        assert!(flat.suggestion().is_err() && flat.plot().is_ok() && flat.to_string().starts_with("No suggestion"));
        let none = LearningRates { rates: vec![], losses: vec![], smoothed: vec![] };
        assert!(none.suggestion().is_err() && none.plot().is_err());
    }
}
