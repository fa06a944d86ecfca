//! One picture's way up.

use super::canvas::{Canvas, Paint};
use super::goal::{Goal, Slope};
use super::view::View;
use super::{Ended, Filter, FilterOptions, penalty};
use crate::Result;
use crate::images::{Pixels, Preprocess};
use candle_core::{Device, Tensor};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

/// What all that climb have in common.
pub(super) struct Mountain<'a> {
    pub goal: Goal<'a>,
    pub paint: Paint,
    pub preprocess: Preprocess,
    pub device: Device,
    pub options: FilterOptions,
}

impl Mountain<'_> {
    /// A picture as the network wants it, `(1, 3, side, side)`.
    fn photo(&self, mut picture: Vec<f32>) -> Result<Tensor> {
        let side = self.options.side;
        for (channel, plane) in picture.chunks_exact_mut(side * side).enumerate().take(3) {
            let (mean, std) = (self.preprocess.mean[channel], self.preprocess.std[channel]);
            plane.iter_mut().for_each(|value| *value = (*value - mean) / std);
        }
        Ok(Tensor::from_vec(picture, (1, 3, side, side), &self.device)?)
    }

    /// The value of a channel for a picture as seen through a view, and its gradient for the picture.
    pub fn slope(&self, picture: &[f32], view: &View, channel: usize) -> Result<(Vec<f32>, Slope)> {
        let slope = self.goal.slope(&self.photo(view.of(picture))?, channel)?;
        Ok((view.back(&self.to_picture(&slope.gradient)?), slope))
    }

    /// What a gradient of such a photo is for the picture.
    fn to_picture(&self, gradient: &Tensor) -> Result<Vec<f32>> {
        let mut gradient = gradient.flatten_all()?.to_vec1::<f32>()?;
        let plane = self.options.side * self.options.side;
        for (plane, std) in gradient.chunks_exact_mut(plane).zip(self.preprocess.std) {
            plane.iter_mut().for_each(|slope| *slope /= std);
        }
        Ok(gradient)
    }
}

/// One picture on its way.
pub(super) struct Climber {
    name: String,
    channel: usize,
    random: ChaCha8Rng,
    canvas: Canvas,
    /// The canvas's picture `(3, side, side)`.
    pub(super) picture: Tensor,
    /// The latest picture that the network had an answer to.
    good: Tensor,
    objective: Vec<f32>,
    /// Whether any step has felt a slope, or found the filter above 0.
    is_excited: bool,
    ended: Option<Ended>,
}

impl Climber {
    /// At the foot: noise, decided by the seed and the channel alone.
    pub fn new(name: String, channel: usize, paint: &Paint, options: &FilterOptions) -> Result<Self> {
        let mut random = ChaCha8Rng::seed_from_u64(options.seed);
        random.set_stream(channel as u64);
        let canvas = paint.noise(options.side, &mut random)?;
        let picture = paint.picture(&canvas)?;
        let (good, objective) = (picture.clone(), Vec::new());
        Ok(Self { name, channel, random, canvas, picture, good, objective, is_excited: false, ended: None })
    }

    /// A step up, unless it has ended.
    ///
    /// Where the value, a gradient or the picture is no number, it ends, and goes back to the latest picture that was good.
    pub fn step(&mut self, mountain: &Mountain<'_>) -> Result<()> {
        if self.ended.is_some() {
            return Ok(());
        }
        let options = &mountain.options;
        let view = View::at_random(options, &mut self.random);
        let picture = self.picture.flatten_all()?.to_vec1::<f32>()?;
        let (gradient, Slope { value, is_felt, .. }) = mountain.slope(&picture, &view, self.channel)?;
        let mut gradient = normalised(gradient);
        if !value.is_finite() || gradient.iter().any(|slope| !slope.is_finite()) {
            self.ended = Some(Ended::NotANumber { step: self.objective.len() + 1 });
            self.picture = self.good.clone();
            return Ok(());
        }
        self.objective.push(value);
        self.is_excited |= is_felt || value > 0.0;
        self.good = self.picture.clone();
        let penalty = penalty::gradient(&picture, (options.side, options.side), options.total_variation, options.decay);
        gradient.iter_mut().zip(penalty).for_each(|(gradient, penalty)| *gradient -= penalty);
        let gradient = Tensor::from_vec(gradient, self.picture.shape(), &Device::Cpu)?;
        mountain.paint.climb(&mut self.canvas, &self.picture, &gradient, options.learning_rate)?;
        self.picture = mountain.paint.picture(&self.canvas)?;
        if !self.picture.sum_all()?.to_scalar::<f32>()?.is_finite() {
            self.ended = Some(Ended::NotANumber { step: self.objective.len() });
            self.picture = self.good.clone();
        }
        Ok(())
    }

    /// What it had reached at the latest step.
    pub fn latest(&self) -> Option<f32> {
        self.objective.last().copied()
    }

    /// Whether it will not go on.
    pub fn has_ended(&self) -> bool {
        self.ended.is_some()
    }

    /// The picture so far; none where nothing has excited the filter.
    pub fn shown(&self, paint: &Paint) -> Result<Option<Pixels>> {
        (self.is_excited || self.objective.is_empty()).then(|| paint.shown(&self.picture)).transpose()
    }

    /// What it came to; `or` says how it ended where it might have gone on.
    pub fn finish(self, paint: &Paint, or: Ended) -> Result<Filter> {
        let picture = self.shown(paint)?;
        let Self { name, channel, objective, ended, .. } = self;
        Ok(Filter { name, channel, picture, objective, ended: ended.unwrap_or(or) })
    }
}

/// The gradient over its root mean square, plus 1e-5, as in the article: how far a step goes does not depend on the layer.
fn normalised(mut gradient: Vec<f32>) -> Vec<f32> {
    let square: f64 = gradient.iter().map(|slope| f64::from(slope * slope)).sum();
    let size = (square / gradient.len().max(1) as f64).sqrt() as f32 + 1e-5;
    gradient.iter_mut().for_each(|slope| *slope /= size);
    gradient
}
