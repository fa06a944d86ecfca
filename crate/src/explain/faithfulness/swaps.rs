//! One photo that turns into another pixel by pixel, and what a network makes of it on the way.

use crate::explain::Subject;
use crate::explain::activations::numbers;
use crate::explain::occlusion::AT_ONCE;
use crate::images::Pixels;
use crate::notebook::{Progress, interrupted};
use crate::plot;
use crate::{Error, Result};
use candle_core::{Device, Tensor};

/// From no pixel to all.
pub(super) const STEPS: usize = 32;
/// A side of the blurred photo before it is enlarged again.
const BLURRED: usize = 7;

/// The network and the class that it is asked about.
pub(super) struct Asked<'a> {
    pub subject: &'a Subject<'a>,
    pub side: usize,
    pub class: usize,
    pub progress: Progress,
}

impl Asked<'_> {
    /// The class's probability for each of some photos `(3, side, side)`, one behind the other.
    pub fn probabilities(&self, photos: Vec<f32>) -> Result<Vec<f64>> {
        if interrupted() {
            return Err(Error::Interrupted);
        }
        let count = photos.len() / (3 * self.side * self.side).max(1);
        let batch = Tensor::from_vec(photos, (count, 3, self.side, self.side), &Device::Cpu)?;
        let logits = self.subject.logits_of(&batch.to_device(self.subject.device())?)?.to_device(&Device::Cpu)?;
        let of_class = candle_nn::ops::softmax(&logits, 1)?.narrow(1, self.class, 1)?;
        self.progress.advance(count as u64);
        Ok(numbers(&of_class)?.into_iter().map(f64::from).collect())
    }

    /// The class's probability at each of the steps in which one photo `(3, side, side)` turns into another, pixel by pixel
    /// in this order. What it is for either comes with them.
    pub fn curve(&self, (from, first): (&[f32], f64), (to, last): (&[f32], f64), order: &[usize]) -> Result<Vec<f64>> {
        let (pixels, mut now, mut done) = (order.len(), from.to_vec(), 0);
        let mut probabilities = Vec::with_capacity(STEPS + 1);
        probabilities.push(first);
        let steps: Vec<usize> = (1..STEPS).map(|step| step * pixels / STEPS).collect();
        for steps in steps.chunks(AT_ONCE) {
            let mut batch = Vec::with_capacity(steps.len() * now.len());
            for step in steps {
                for pixel in order.iter().take(*step).skip(done) {
                    for plane in 0..now.len() / pixels.max(1) {
                        now[plane * pixels + pixel] = to[plane * pixels + pixel];
                    }
                }
                done = *step;
                batch.extend_from_slice(&now);
            }
            probabilities.extend(self.probabilities(batch)?);
        }
        probabilities.push(last);
        Ok(probabilities)
    }
}

/// A map's values, row by row, with its rows and columns.
pub(super) type Map = (Vec<f32>, usize, usize);

/// The pixels of a square in the order of a map enlarged to it, the strongest first. Equals go as the other map says: by place
/// they would be taken row by row, which is an order that nobody has asked about.
pub(super) fn order(map: &Map, equals: &Map, side: usize) -> Result<Vec<usize>> {
    let enlarged =
        |(values, height, width): &Map| plot::HeatMap { values, height: *height, width: *width }.resized(side, side);
    let (map, equals) = (enlarged(map)?, enlarged(equals)?);
    let mut order: Vec<usize> = (0..map.len()).collect();
    order.sort_by(|a, b| map[*b].total_cmp(&map[*a]).then_with(|| equals[*b].total_cmp(&equals[*a])));
    Ok(order)
}

/// The photo at a few pixels a side, enlarged again.
pub(super) fn blurred(photo: &Pixels) -> Result<Pixels> {
    photo.resized(BLURRED.min(photo.height), BLURRED.min(photo.width))?.resized(photo.height, photo.width)
}

/// `(3, side, side)` of one colour: the mean of each plane.
pub(super) fn mean_colour(photo: &[f32]) -> Vec<f32> {
    let plane = (photo.len() / 3).max(1);
    let mean = |plane: &[f32]| plane.iter().sum::<f32>() / plane.len() as f32;
    photo.chunks(plane).flat_map(|plane| std::iter::repeat_n(mean(plane), plane.len())).collect()
}
