//! Occlusion: what the logit loses as parts of the photo are covered (Zeiler and Fergus 2014,
//! <https://arxiv.org/abs/1311.2901>). It needs no gradient.

use super::activations::numbers;
use super::{Relevance, Subject};
use crate::notebook::{Progress, interrupted};
use crate::{Error, Result};
use candle_core::{Device, Tensor};
use std::ops::Range;

/// Photos that are run at once.
pub(super) const AT_ONCE: usize = 16;

/// Each place's loss is the mean over the squares that cover it; what gains by being covered counts 0.
///
/// Squares are covered with zeros of the preprocessed photo: ImageNet's mean colour, or a middle grey.
pub(super) fn relevance(
    subject: &Subject<'_>,
    photo: &Tensor,
    classes: &[usize],
    (patch, stride): (usize, usize),
) -> Result<Vec<Relevance>> {
    let (_, channels, height, width) = photo.dims4()?;
    let corners = corners((height, width), (patch, stride))?;
    let whole = subject.logits_of(photo)?.to_device(&Device::Cpu)?;
    let before = numbers(&whole)?;
    if before.iter().any(|logit| !logit.is_finite()) {
        return Err(Error::Data("the photo's logits are not all numbers: are the weights?".to_owned()));
    }
    let photo_values = numbers(photo)?;
    let mut losses = Losses::new(height * width, classes.len());
    let progress = Progress::new("Covering the photo", Some(corners.len() as u64), "squares");
    for corners in corners.chunks(AT_ONCE) {
        if interrupted() {
            return Err(Error::Interrupted);
        }
        let batch = corners.iter().flat_map(|corner| without(&photo_values, *corner, patch, (height, width))).collect();
        let batch = Tensor::from_vec(batch, (corners.len(), channels, height, width), &Device::Cpu)?;
        let logits = numbers(&subject.logits_of(&batch.to_device(photo.device())?)?)?;
        for (corner, logits) in corners.iter().zip(logits.chunks_exact(before.len())) {
            let lost = |class: &usize| f64::from(before[*class]) - f64::from(logits[*class]);
            losses.add(square(*corner, patch, width), classes.iter().map(lost));
        }
        progress.advance(corners.len() as u64);
    }
    let map = |(values, class): (Vec<f32>, &usize)| {
        Relevance::new(Tensor::from_vec(values, (height, width), &Device::Cpu)?, &whole, *class)
    };
    losses.means().zip(classes).map(map).collect()
}

/// A map `(height, width)` of losses that nothing has measured, one a square, spread as measured ones are: as coarse as an
/// occlusion map by such squares.
///
/// # Errors
/// [`Error::Setting`] for squares that do not cover every pixel.
pub(super) fn spread(
    (height, width): (usize, usize),
    (patch, stride): (usize, usize),
    mut loss: impl FnMut() -> f32,
) -> Result<Vec<f32>> {
    let mut losses = Losses::new(height * width, 1);
    for corner in corners((height, width), (patch, stride))? {
        losses.add(square(corner, patch, width), std::iter::once(f64::from(loss())));
    }
    Ok(losses.means().next().unwrap_or_default())
}

/// The upper left corners of all squares, row by row.
fn corners((height, width): (usize, usize), (patch, stride): (usize, usize)) -> Result<Vec<(usize, usize)>> {
    let least = height.min(width);
    if !(1..=least).contains(&patch) || !(1..=patch).contains(&stride) {
        let got = format!("{patch} pixels wide, {stride} apart");
        let want =
            format!("squares must be 1 to {least} wide and 1 to their width apart, so that they cover every pixel");
        return Err(Error::Setting { setting: "the occlusion", got, want });
    }
    let row = |top| starts(width, patch, stride).into_iter().map(move |left| (top, left));
    Ok(starts(height, patch, stride).into_iter().flat_map(row).collect())
}

/// A photo `(C, height, width)` with a square of zeros.
fn without(photo: &[f32], corner: (usize, usize), patch: usize, (height, width): (usize, usize)) -> Vec<f32> {
    let mut photo = photo.to_vec();
    for plane in photo.chunks_exact_mut(height * width) {
        square(corner, patch, width).for_each(|row| plane[row].fill(0.0));
    }
    photo
}

/// What each class's logit has lost at each pixel, summed over the squares that cover it.
struct Losses {
    /// One plane a class.
    sums: Vec<Vec<f64>>,
    squares: Vec<u32>,
}

impl Losses {
    fn new(pixels: usize, classes: usize) -> Self {
        Self { sums: vec![vec![0.0; pixels]; classes], squares: vec![0; pixels] }
    }

    fn add(&mut self, rows: impl Iterator<Item = Range<usize>> + Clone, lost: impl Iterator<Item = f64>) {
        for row in rows.clone() {
            self.squares[row].iter_mut().for_each(|squares| *squares += 1);
        }
        for (sums, lost) in self.sums.iter_mut().zip(lost) {
            for row in rows.clone() {
                sums[row].iter_mut().for_each(|sum| *sum += lost);
            }
        }
    }

    /// The mean loss at each pixel, nothing below 0, for each class.
    fn means(self) -> impl Iterator<Item = Vec<f32>> {
        let Self { sums, squares } = self;
        let mean = |(sum, squares): (&f64, &u32)| (sum / f64::from((*squares).max(1))).max(0.0) as f32;
        sums.into_iter().map(move |sums| sums.iter().zip(&squares).map(mean).collect())
    }
}

/// Where squares begin along a side: every `stride`, and one at the end, so that the last pixels are covered too.
fn starts(side: usize, patch: usize, stride: usize) -> Vec<usize> {
    let last = side - patch;
    let mut starts: Vec<usize> = (0..=last).step_by(stride).collect();
    if !last.is_multiple_of(stride) {
        starts.push(last);
    }
    starts
}

/// The rows of a square, as ranges of a plane.
fn square((top, left): (usize, usize), patch: usize, width: usize) -> impl Iterator<Item = Range<usize>> + Clone {
    (top..top + patch).map(move |row| row * width + left..row * width + left + patch)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn squares_cover_a_side_to_its_end() {
        let cases = [
            ((8, 4, 2), vec![0, 2, 4]),
            ((9, 4, 2), vec![0, 2, 4, 5]),
            ((4, 4, 1), vec![0]),
            ((3, 1, 1), vec![0, 1, 2]),
        ];
        for ((side, patch, stride), want) in cases {
            assert_eq!(starts(side, patch, stride), want);
        }
        assert_eq!(square((1, 2), 2, 5).collect::<Vec<_>>(), [7..9, 12..14]);
    }
}
