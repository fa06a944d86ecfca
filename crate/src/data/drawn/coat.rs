//! Fur: the same colours and patterns for cats and for dogs, so that colour does not tell them apart.

use super::canvas::{Colour, mix, noise, shade};
use super::dice::Dice;
use super::shapes::{Frame, Point, sin_cos};

/// Black, white, grey, ginger, tan, brown, cream, chocolate, blue-grey, gold.
const FURS: [Colour; 10] = [
    [0.17, 0.16, 0.17],
    [0.93, 0.91, 0.88],
    [0.55, 0.54, 0.53],
    [0.85, 0.52, 0.25],
    [0.74, 0.56, 0.38],
    [0.47, 0.32, 0.21],
    [0.91, 0.80, 0.62],
    [0.35, 0.23, 0.17],
    [0.43, 0.46, 0.52],
    [0.82, 0.64, 0.33],
];

#[derive(Clone, Copy, PartialEq)]
enum Pattern {
    Plain,
    Stripes,
    Patches,
}

/// What an animal's fur looks like.
#[derive(Clone, Copy)]
pub(super) struct Coat {
    pub base: Colour,
    /// Muzzle, chest and paws.
    pub light: Colour,
    /// Rims, and the marks of a pattern.
    pub dark: Colour,
    pattern: Pattern,
    /// Whether a bright stripe runs down the forehead.
    pub blaze: bool,
    seed: u32,
}

impl Coat {
    pub fn new(dice: &mut Dice) -> Self {
        let fur = dice.of(&FURS);
        let tone = dice.between(0.85, 1.08);
        let base = fur.map(|value| value * tone * dice.between(0.96, 1.04));
        let bright = (base[0] + base[1] + base[2]) / 3.0;
        let light =
            if dice.chance(0.6) { mix(base, [0.97, 0.94, 0.9], dice.between(0.35, 0.9)) } else { shade(base, 1.12) };
        let dark = if bright < 0.3 { shade(base, 0.45) } else { shade(base, dice.between(0.42, 0.62)) };
        let pattern = dice.of(&[Pattern::Plain, Pattern::Plain, Pattern::Stripes, Pattern::Patches]);
        Self { base, light, dark, pattern, blaze: dice.chance(0.25), seed: dice.bits() }
    }

    /// The fur at a point of the drawing, lit from above on the left.
    pub fn at(&self, point: Point) -> Colour {
        let [x, y] = point;
        let fine = noise([x * 16.0, y * 9.0], self.seed);
        let colour = match self.pattern {
            Pattern::Plain => self.base,
            Pattern::Stripes => {
                let wave = sin_cos(x * 1.9 + 0.35 * noise([x * 2.0, y * 2.5], self.seed ^ 7)).0;
                mix(self.base, self.dark, 2.2 * (wave - 0.35))
            }
            Pattern::Patches => {
                mix(self.base, self.light, 7.0 * (noise([x * 1.1 + 9.0, y * 1.1], self.seed ^ 3) - 0.12))
            }
        };
        shade(colour, 1.0 + 0.07 * fine - 0.09 * x - 0.1 * y)
    }

    /// A paint for shapes in `frame`.
    pub fn paint(&self, frame: &Frame) -> impl Fn(Point) -> Colour {
        let (coat, frame) = (*self, *frame);
        move |point| coat.at(frame.from(point))
    }

    /// As [`paint`](Self::paint), darker or brighter.
    pub fn shaded(&self, frame: &Frame, by: f32) -> impl Fn(Point) -> Colour {
        let paint = self.paint(frame);
        move |point| shade(paint(point), by)
    }

    /// The paint of muzzle, chest and paws.
    pub fn light_paint(&self, frame: &Frame) -> impl Fn(Point) -> Colour {
        let (coat, frame) = (*self, *frame);
        move |point| {
            let [x, y] = frame.from(point);
            shade(coat.light, 1.0 + 0.05 * noise([x * 16.0, y * 9.0], coat.seed) - 0.09 * x - 0.1 * y)
        }
    }
}
