//! One sketch: what it shows, and the numbers it grows from.

use super::blossoms::{self, Flower};
use super::bodies::{self, Animal};
use super::canvas::Canvas;
use super::dice::Dice;
use crate::images::Pixels;

/// What a sketch shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Subject {
    Cat,
    Dog,
    Daisy,
    Dandelion,
    Rose,
    Sunflower,
    Tulip,
}

/// A drawing that has not been drawn yet.
#[derive(Clone, Debug)]
pub struct Sketch {
    subject: Subject,
    seed: u64,
    index: usize,
}

impl Sketch {
    pub(super) fn new(subject: Subject, seed: u64, index: usize) -> Self {
        Self { subject, seed, index }
    }

    /// Draws it: the same pixels for the same subject, seed and index, on every machine.
    pub fn draw(&self) -> Pixels {
        let dice = &mut Dice::new(self.seed, self.subject as u64, self.index as u64);
        let (long, short) = (dice.whole(96, 160), dice.between(0.67, 1.0));
        let (long, short) = (long as usize, (long as f32 * short) as usize);
        let mut canvas = if dice.chance(0.5) { Canvas::new(long, short) } else { Canvas::new(short, long) };
        match self.subject {
            Subject::Cat => bodies::draw(&mut canvas, dice, Animal::Cat),
            Subject::Dog => bodies::draw(&mut canvas, dice, Animal::Dog),
            Subject::Daisy => blossoms::draw(&mut canvas, dice, Flower::Daisy),
            Subject::Dandelion => blossoms::draw(&mut canvas, dice, Flower::Dandelion),
            Subject::Rose => blossoms::draw(&mut canvas, dice, Flower::Rose),
            Subject::Sunflower => blossoms::draw(&mut canvas, dice, Flower::Sunflower),
            Subject::Tulip => blossoms::draw(&mut canvas, dice, Flower::Tulip),
        }
        canvas.pixels()
    }
}
