//! Flowers: daisies, dandelions, roses, sunflowers and tulips. One unit is a flower's radius; its middle is (0, 0).

use super::canvas::{Canvas, Colour, mix, noise, shade};
use super::dice::Dice;
use super::scene::{any_colour, any_green, blurred, exposed, garden};
use super::shapes::{Frame, Point, ellipse, ribbon, sin_cos, smooth, symmetric};

/// Which flower.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Flower {
    Daisy,
    Dandelion,
    Rose,
    Sunflower,
    Tulip,
}

const YELLOW: Colour = [0.96, 0.8, 0.15];
/// White, pink, red, yellow, peach, violet: roses and tulips have them all, daisies and sunflowers some.
const PETALS: [Colour; 6] =
    [[0.96, 0.95, 0.92], [0.94, 0.6, 0.7], [0.8, 0.12, 0.16], [0.96, 0.82, 0.2], [0.97, 0.68, 0.48], [0.6, 0.32, 0.66]];

/// Draws one to five flowers of a kind, somewhere.
pub(super) fn draw(canvas: &mut Canvas, dice: &mut Dice, flower: Flower) {
    match dice.whole(0, 9) {
        0..=3 => garden(canvas, dice),
        4..=8 => blurred(canvas, dice, any_green),
        _ => blurred(canvas, dice, any_colour),
    }
    let (wide, high) = (canvas.width as f32, canvas.height as f32);
    let count = dice.of(&[1, 1, 1, 1, 2, 3, 5]);
    let largest = if count == 1 { 0.44 } else { 0.62 / (count as f32).sqrt() };
    let leaf = any_green(dice);
    for _ in 0..count {
        let radius = wide.min(high) * largest * dice.between(0.6, 1.0);
        let at = [wide * dice.between(0.25, 0.75), high * dice.between(0.22, 0.66)];
        // Seen from above, or leaning back.
        let (flat, turn) = (dice.between(0.62, 1.0), dice.between(-0.08, 0.08));
        stem(canvas, dice, flower, at, radius, leaf);
        let frame = Frame::new(at, radius, dice.side(), turn);
        let mut brush = Brush { canvas, frame: frame.inside([0.0, 0.0], (1.0, flat), 0.0) };
        match flower {
            Flower::Daisy => daisy(&mut brush, dice),
            Flower::Dandelion => dandelion(&mut brush, dice),
            Flower::Rose => rose(&mut brush, dice),
            Flower::Sunflower => sunflower(&mut brush, dice),
            Flower::Tulip => tulip(&mut Brush { canvas: brush.canvas, frame }, dice),
        }
    }
    exposed(canvas, dice);
}

struct Brush<'a> {
    canvas: &'a mut Canvas,
    frame: Frame,
}

impl Brush<'_> {
    /// A shape whose colour depends on where in the flower it is.
    fn fill(&mut self, path: &[Point], colour: impl Fn(Point) -> Colour) {
        let (path, frame) = (self.frame.path(path), self.frame);
        self.canvas.fill(&path, 1.0, |point| colour(frame.from(point)));
    }

    fn rimmed(&mut self, path: &[Point], dark: Colour, colour: impl Fn(Point) -> Colour) {
        let (path, frame) = (self.frame.path(path), self.frame);
        self.canvas.rimmed(&path, 0.6, dark, |point| colour(frame.from(point)));
    }

    /// Petals all round, each drawn upwards from the middle and then turned.
    fn petals(&mut self, count: u32, turn: f32, petal: impl Fn(&mut Self, u32)) {
        let whole = self.frame;
        for number in 0..count {
            self.frame = whole.inside([0.0, 0.0], (1.0, 1.0), turn + number as f32 / count as f32);
            petal(self, number);
        }
        self.frame = whole;
    }
}

fn stem(canvas: &mut Canvas, dice: &mut Dice, flower: Flower, at: Point, radius: f32, green: Colour) {
    let frame = Frame::new(at, radius, dice.side(), 0.0);
    let (lean, low) = (dice.between(-0.6, 0.6), 6.0);
    let thick = match flower {
        Flower::Sunflower | Flower::Tulip => 0.2,
        Flower::Rose => 0.13,
        Flower::Daisy | Flower::Dandelion => 0.09,
    };
    let path = frame.path(&ribbon(&[[0.0, 0.2], [0.3 * lean, 2.0], [lean, low]], thick, thick * 1.2));
    canvas.rimmed(&path, 0.5, shade(green, 0.6), |_| green);
    for side in [-1.0, 1.0] {
        if dice.chance(0.25) {
            continue;
        }
        let from = dice.between(1.3, 2.2);
        let leaf = match flower {
            Flower::Tulip => blade(dice, side, from),
            Flower::Dandelion => jagged(dice, side, from),
            _ => broad(dice, side, from),
        };
        let tone = dice.between(0.75, 1.1);
        let path = frame.path(&leaf);
        canvas.rimmed(&path, 0.5, shade(green, 0.5), |point| {
            let [x, y] = frame.from(point);
            shade(green, tone * (1.0 + 0.12 * noise([x * 3.0, y * 3.0], 77)))
        });
    }
}

fn blade(dice: &mut Dice, side: f32, from: f32) -> Vec<Point> {
    let out = dice.between(0.5, 1.0);
    smooth(&[
        [0.1 * side, from + 2.5],
        [0.7 * out * side, from],
        [out * side, from - 1.2],
        [0.35 * out * side, from + 0.4],
    ])
}

fn broad(dice: &mut Dice, side: f32, from: f32) -> Vec<Point> {
    let out = dice.between(0.9, 1.3);
    let points = [[0.05, 0.1], [0.35, -0.25], [0.8, -0.35], [1.0, -0.2], [0.75, 0.1], [0.35, 0.2]];
    smooth(&points.map(|[x, y]| [x * out * side, from + y]))
}

fn jagged(dice: &mut Dice, side: f32, from: f32) -> Vec<Point> {
    let out = dice.between(1.0, 1.5);
    let points = [
        [0.0, 0.0],
        [0.3, -0.22],
        [0.32, -0.05],
        [0.6, -0.3],
        [0.62, -0.1],
        [0.85, -0.25],
        [1.0, 0.0],
        [0.85, 0.16],
        [0.66, 0.05],
        [0.6, 0.25],
        [0.36, 0.08],
        [0.3, 0.24],
    ];
    points.map(|[x, y]| [x * out * side, from + 0.5 + y]).to_vec()
}

/// Slender petals around a small yellow button.
fn daisy(brush: &mut Brush, dice: &mut Dice) {
    let (colour, seed) = (dice.of(&[PETALS[0], PETALS[0], PETALS[0], PETALS[1], PETALS[5], PETALS[3]]), dice.bits());
    let (count, wide) = (dice.whole(13, 22), dice.between(0.1, 0.15));
    let shadow = shade(colour, 0.68);
    for (turn, tone) in [(0.5 / count as f32, 0.88), (0.0, 1.0)] {
        brush.petals(count, turn, |brush, number| {
            let tip = -0.94 + 0.07 * super::canvas::hash(number as i32, 0, seed);
            let left = [[0.0, tip], [-wide * 0.8, tip + 0.12], [-wide, -0.55], [-wide * 0.5, -0.15], [0.0, -0.1]];
            brush.rimmed(&smooth(&symmetric(&left)), shadow, |[x, y]| {
                shade(colour, tone * (0.8 - 0.22 * y - 0.6 * x * x))
            });
        });
    }
    let size = dice.between(0.22, 0.32);
    button(brush, size, YELLOW, seed);
}

/// A round middle of many small dots.
fn button(brush: &mut Brush, size: f32, colour: Colour, seed: u32) {
    brush.rimmed(&ellipse([0.0, 0.0], (size, size), 0.0), shade(colour, 0.6), |[x, y]| {
        let bump = noise([x * 22.0, y * 22.0], seed);
        shade(colour, 0.95 + 0.2 * bump - 0.35 * (x + y) - 0.5 * (x * x + y * y))
    });
}

/// A dense yellow cushion of fine rays, or the ball of its seeds.
fn dandelion(brush: &mut Brush, dice: &mut Dice) {
    let seed = dice.bits();
    if dice.chance(0.3) {
        return clock(brush, dice, seed);
    }
    let warm = mix(YELLOW, [0.97, 0.6, 0.08], dice.between(0.0, 0.5));
    for (ring, count) in [(1.0, 38), (0.8, 32), (0.6, 26), (0.4, 18), (0.22, 10)] {
        let tone = 1.12 - 0.26 * ring;
        let turn = dice.between(0.0, 1.0);
        brush.petals(count, turn, |brush, number| {
            let tip = -ring * (0.92 + 0.12 * super::canvas::hash(number as i32, (ring * 10.0) as i32, seed));
            let ray = [[-0.05, tip + 0.03], [0.0, tip], [0.05, tip + 0.03], [0.035, 0.0], [-0.035, 0.0]];
            brush.rimmed(&ray, shade(warm, 0.76 * tone), |[_, y]| shade(warm, tone * (0.8 - 0.3 * y)));
        });
    }
}

/// The seed head: rays from a small core, each with a tuft at its end.
fn clock(brush: &mut Brush, dice: &mut Dice, seed: u32) {
    let white = [0.93, 0.93, 0.9];
    let ball = brush.frame.path(&ellipse([0.0, 0.0], (0.98, 0.98), 0.0));
    brush.canvas.fill(&ball, 0.28, |_| white);
    for (ring, count) in [(0.95, 26), (0.7, 18), (0.45, 11)] {
        let turn = dice.between(0.0, 1.0);
        brush.petals(count, turn, |brush, number| {
            let tip = -ring * (0.94 + 0.06 * super::canvas::hash(number as i32, 1, seed));
            brush.fill(&[[-0.012, 0.0], [-0.012, tip], [0.012, tip], [0.012, 0.0]], |_| shade(white, 0.86));
            for out in [-0.11, -0.04, 0.04, 0.11] {
                let hair =
                    [[-0.012, tip + 0.1], [out - 0.012, tip - 0.05], [out + 0.012, tip - 0.05], [0.012, tip + 0.1]];
                brush.fill(&hair, |_| white);
            }
        });
    }
    button(brush, 0.13, [0.42, 0.32, 0.2], seed);
}

/// Broad petals in closing rings, wound towards the middle.
fn rose(brush: &mut Brush, dice: &mut Dice) {
    let colour = mix(dice.of(&PETALS[..5]), any_colour(dice), 0.08);
    let dark = shade(colour, 0.52);
    let mut turn = dice.between(0.0, 1.0);
    for (ring, count) in [(0.98, 6), (0.78, 5), (0.58, 5), (0.4, 4), (0.24, 3)] {
        turn += dice.between(0.07, 0.13);
        let tone = 0.72 + 0.38 * ring;
        brush.petals(count, turn, |brush, _| {
            let half = ring * 0.66;
            let petal = [
                [-0.1, 0.0],
                [-half, -0.45 * ring],
                [-half * 0.7, -0.9 * ring],
                [0.0, -ring],
                [half * 0.75, -0.86 * ring],
                [half, -0.4 * ring],
                [0.1, 0.0],
            ];
            brush.rimmed(&smooth(&petal), dark, |[x, y]| shade(colour, tone * (0.62 - 0.42 * y / ring - 0.12 * x)));
        });
    }
    brush.fill(&ellipse([0.0, 0.0], (0.12, 0.1), 0.1), |_| dark);
    let curl = [[0.02, 0.0], [0.07, -0.05], [0.0, -0.1], [-0.1, -0.04], [-0.08, 0.09], [0.06, 0.13]];
    brush.fill(&ribbon(&curl, 0.05, 0.04), |_| shade(colour, 1.05));
}

/// Pointed petals in two rows around a large dark disc of seeds.
fn sunflower(brush: &mut Brush, dice: &mut Dice) {
    let colour =
        mix(YELLOW, dice.of(&[[0.98, 0.62, 0.1], [0.97, 0.88, 0.35], [0.75, 0.3, 0.1]]), dice.between(0.0, 0.7));
    let (count, seed) = (dice.whole(15, 21), dice.bits());
    for (turn, tone, long) in [(0.5 / count as f32, 0.8, 1.0), (0.0, 1.0, 0.94)] {
        brush.petals(count, turn, |brush, number| {
            let tip = -long * (0.95 + 0.06 * super::canvas::hash(number as i32, 2, seed));
            let left = [[0.0, tip], [-0.07, tip + 0.16], [-0.14, -0.62], [-0.08, -0.35], [0.0, -0.3]];
            brush.rimmed(&smooth(&symmetric(&left)), shade(colour, 0.58), |[x, y]| {
                shade(colour, tone * (0.66 - 0.36 * y - 2.5 * x * x))
            });
        });
    }
    let (size, brown) = (dice.between(0.42, 0.54), dice.of(&[[0.3, 0.19, 0.1], [0.22, 0.14, 0.1], [0.42, 0.3, 0.12]]));
    button(brush, size, brown, seed);
    // Seeds on the golden spiral, as a sunflower sets them.
    for number in 0..70 {
        let (sin, cos) = sin_cos(number as f32 * 0.381_966);
        let out = size * 0.94 * (number as f32 / 70.0).sqrt();
        let tone = if number % 3 == 0 { 1.7 } else { 0.6 };
        let [x, y] = [out * cos, out * sin];
        let dot = [[x - 0.025, y], [x, y - 0.025], [x + 0.025, y], [x, y + 0.025]];
        brush.fill(&dot, |_| shade(brown, tone));
    }
}

/// A cup from the side: three petals before two.
fn tulip(brush: &mut Brush, dice: &mut Dice) {
    let colour = mix(dice.of(&PETALS), any_colour(dice), 0.08);
    let (edge, open) =
        (if dice.chance(0.4) { mix(colour, YELLOW, 0.6) } else { shade(colour, 1.12) }, dice.between(0.0, 0.28));
    let dark = shade(colour, 0.55);
    let paint =
        |tone: f32| move |[x, y]: Point| shade(mix(colour, edge, -0.2 - 0.9 * y), tone * (0.95 - 0.12 * y - 0.18 * x));
    for side in [-1.0, 1.0] {
        let back = [
            [0.0, 0.7],
            [0.45 * side, 0.3],
            [(0.5 + open) * side, -0.4],
            [(0.32 + open) * side, -0.88],
            [0.05 * side, -0.4],
        ];
        brush.rimmed(&smooth(&back), dark, paint(0.8));
    }
    for side in [-1.0, 1.0] {
        let petal = [
            [0.0, 0.82],
            [0.42 * side, 0.7],
            [0.68 * side, 0.15],
            [(0.62 + open) * side, -0.5],
            [(0.58 + 1.3 * open) * side, -0.92],
            [0.3 * side, -0.5],
            [0.02 * side, 0.1],
        ];
        brush.rimmed(&smooth(&petal), dark, paint(0.95));
    }
    let front = [[0.0, 0.84], [-0.36, 0.55], [-0.4, -0.1], [-0.16, -0.66], [0.0, -0.8]];
    brush.rimmed(
        &smooth(&symmetric(&front.map(|[x, y]| [x, y]).into_iter().rev().collect::<Vec<_>>())),
        dark,
        paint(1.05),
    );
    let vein = ribbon(&[[0.0, -0.6], [0.02, 0.0], [0.0, 0.6]], 0.02, 0.03);
    brush.fill(&vein, |_| shade(colour, 0.82));
}
