//! How faithful a heat map is: deletion and insertion (Petsiuk et al. 2018, RISE, <https://arxiv.org/abs/1806.07421>).

use super::activations::numbers;
use super::heat_map::predicted;
use super::occlusion::AT_ONCE;
use super::{HeatMap, Subject};
use crate::images::Pixels;
use crate::notebook::{Picture, Progress, display, interrupted};
use crate::plot;
use crate::{Error, Result};
use candle_core::{Device, Tensor};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::fmt;

/// What becomes of a class's probability as the places that a heat map marks go, or come: at 33 even steps from no
/// pixel to all of them. It shows itself as two curves when it ends a cell.
///
/// Deletion begins with the photo and puts its mean colour in the place of the pixels that the map marks strongest; a
/// faithful map's probability falls early, its area is small. Insertion begins with the photo blurred beyond
/// recognition and puts the strongest pixels in first; a faithful map's area is large. A random map of the same
/// coarseness (up to 14 x 14 places, seed 0) says what areas chance gives on this photo.
#[derive(Clone, Debug, PartialEq)]
pub struct Faithfulness {
    /// The class.
    pub class: String,
    /// How the heat map was found.
    pub how: String,
    /// The class that the network takes the photo for, where that is another one: then there is little to lose.
    pub taken_for: Option<String>,
    /// The class's probability as the strongest pixels go.
    pub deletion: Vec<f64>,
    /// The class's probability as the strongest pixels come.
    pub insertion: Vec<f64>,
    /// As `deletion`, in the order of the random map.
    pub random_deletion: Vec<f64>,
    /// As `insertion`, in the order of the random map.
    pub random_insertion: Vec<f64>,
}

/// From no pixel to all.
const STEPS: usize = 32;
/// Places a side at most of the random map: finer noise would only blur the photo.
const COARSE: usize = 14;
/// A side of the blurred photo before it is enlarged again.
const BLURRED: usize = 7;

impl Faithfulness {
    pub(super) fn of(subject: &Subject<'_>, map: &HeatMap) -> Result<Self> {
        let (side, class) = (subject.preprocess().side, map.index);
        if subject.class_name(class) != map.class || map.seen.height != side {
            let want = "the map must be of the network that is asked".to_owned();
            return Err(Error::Setting { setting: "the heat map", got: format!("of `{}`", map.class), want });
        }
        let (values, height, width) = map.values()?;
        let order = order(&values, (height, width), side)?;
        let (rows, columns) = (height.min(COARSE), width.min(COARSE));
        let mut random = ChaCha8Rng::seed_from_u64(0);
        let noise: Vec<f32> = (0..rows * columns).map(|_| random.random()).collect();
        let by_chance = self::order(&noise, (rows, columns), side)?;

        let taken_for = predicted(subject, &map.seen)?;
        let photo = numbers(&subject.input(&map.seen)?)?;
        let blurred = numbers(&subject.input(&blurred(&map.seen)?)?)?;
        let mean = mean_colour(&photo);
        let progress = Progress::new("Deleting and inserting", Some(4 * (STEPS as u64 + 1)), "photos");
        let curve = |from: &[f32], to: &[f32], order: &[usize]| {
            Swaps { subject, side, from, to, order }.probabilities(class, &progress)
        };
        Ok(Self {
            class: map.class.clone(),
            how: map.how(),
            taken_for: (taken_for != class).then(|| subject.class_name(taken_for)),
            deletion: curve(&photo, &mean, &order)?,
            insertion: curve(&blurred, &photo, &order)?,
            random_deletion: curve(&photo, &mean, &by_chance)?,
            random_insertion: curve(&blurred, &photo, &by_chance)?,
        })
    }

    /// The area under the deletion curve, 0 to 1: the smaller, the more faithful.
    pub fn deletion_area(&self) -> f64 {
        area(&self.deletion)
    }

    /// The area under the insertion curve, 0 to 1: the larger, the more faithful.
    pub fn insertion_area(&self) -> f64 {
        area(&self.insertion)
    }

    /// The areas of the random map: deletion, insertion.
    pub fn random_areas(&self) -> (f64, f64) {
        (area(&self.random_deletion), area(&self.random_insertion))
    }

    /// The two curves with their areas.
    ///
    /// # Errors
    /// [`Error::Plot`] where a curve has been changed into no numbers.
    pub fn curves(&self) -> Result<Picture> {
        let title = format!("{}: {}", self.class, self.how);
        plot::deletion_and_insertion(&self.deletion, &self.insertion, &title)
    }

    /// A line under a heat map.
    pub(super) fn note(&self) -> String {
        let (deletion, insertion) = self.random_areas();
        format!(
            "deletion {:.2} (random map {deletion:.2}), insertion {:.2} (random map {insertion:.2})",
            self.deletion_area(),
            self.insertion_area()
        )
    }

    /// Shows the curves below a notebook cell, with what they say in words.
    pub fn evcxr_display(&self) {
        match self.curves() {
            Ok(picture) => {
                picture.evcxr_display();
                println!("{self}");
            }
            Err(error) => display::text(&format!("{self}\n{error}")),
        }
    }
}

fn area(curve: &[f64]) -> f64 {
    plot::area(curve).unwrap_or(f64::NAN)
}

/// The areas beside chance, and on which side of it they are where the class is the one that the photo is taken for.
impl fmt::Display for Faithfulness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} for {}: {}; ", self.how, self.class, self.note())?;
        if let Some(other) = &self.taken_for {
            return write!(
                f,
                "the photo is taken for {other}, so {} has little to lose and this tells little",
                self.class
            );
        }
        let (deletion, insertion) = self.random_areas();
        let better = [self.deletion_area() < deletion, self.insertion_area() > insertion];
        let verdict = match better {
            [true, true] => "better than the random map in both",
            [true, false] => "better than the random map in deletion only",
            [false, true] => "better than the random map in insertion only",
            [false, false] => "no better than the random map",
        };
        f.write_str(verdict)
    }
}

/// One picture that turns into another pixel by pixel.
struct Swaps<'a> {
    subject: &'a Subject<'a>,
    side: usize,
    /// `(3, side, side)`.
    from: &'a [f32],
    to: &'a [f32],
    order: &'a [usize],
}

impl Swaps<'_> {
    /// The probability of a class at each of the steps from none to all.
    fn probabilities(&self, class: usize, progress: &Progress) -> Result<Vec<f64>> {
        let (pixels, mut now, mut done) = (self.order.len(), self.from.to_vec(), 0);
        let mut probabilities = Vec::with_capacity(STEPS + 1);
        let steps: Vec<usize> = (0..=STEPS).map(|step| step * pixels / STEPS).collect();
        for steps in steps.chunks(AT_ONCE) {
            if interrupted() {
                return Err(Error::Interrupted);
            }
            let mut batch = Vec::with_capacity(steps.len() * now.len());
            for step in steps {
                for pixel in self.order.iter().take(*step).skip(done) {
                    for plane in 0..now.len() / pixels.max(1) {
                        now[plane * pixels + pixel] = self.to[plane * pixels + pixel];
                    }
                }
                done = *step;
                batch.extend_from_slice(&now);
            }
            let shape = (steps.len(), 3, self.side, self.side);
            let logits = self.logits(Tensor::from_vec(batch, shape, &Device::Cpu)?)?;
            let of_class = candle_nn::ops::softmax(&logits, 1)?.narrow(1, class, 1)?;
            probabilities.extend(numbers(&of_class)?.into_iter().map(f64::from));
            progress.advance(steps.len() as u64);
        }
        Ok(probabilities)
    }

    fn logits(&self, batch: Tensor) -> Result<Tensor> {
        Ok(self.subject.logits_of(&batch.to_device(self.subject.device())?)?.to_device(&Device::Cpu)?)
    }
}

/// The pixels of a square in the order of a map enlarged to it, the strongest first; equals from the top left on.
fn order(values: &[f32], (height, width): (usize, usize), side: usize) -> Result<Vec<usize>> {
    let enlarged = plot::HeatMap { values, height, width }.resized(side, side)?;
    let mut order: Vec<usize> = (0..enlarged.len()).collect();
    order.sort_by(|a, b| enlarged[*b].total_cmp(&enlarged[*a]));
    Ok(order)
}

/// The photo at a few pixels a side, enlarged again.
fn blurred(photo: &Pixels) -> Result<Pixels> {
    photo.resized(BLURRED.min(photo.height), BLURRED.min(photo.width))?.resized(photo.height, photo.width)
}

/// `(3, side, side)` of one colour: the mean of each plane.
fn mean_colour(photo: &[f32]) -> Vec<f32> {
    let plane = (photo.len() / 3).max(1);
    let mean = |plane: &[f32]| plane.iter().sum::<f32>() / plane.len() as f32;
    photo.chunks(plane).flat_map(|plane| std::iter::repeat_n(mean(plane), plane.len())).collect()
}
