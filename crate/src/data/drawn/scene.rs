//! What stands around an animal or a flower, and what a camera adds. The same for every class of a set.

use super::canvas::{Canvas, Colour, hash, mix, noise, shade};
use super::dice::Dice;
use super::shapes::{Frame, Point, ellipse, ribbon};

/// Any colour a wall, a cushion or a toy may have.
pub(super) fn any_colour(dice: &mut Dice) -> Colour {
    let strong = [dice.between(0.1, 0.95), dice.between(0.1, 0.95), dice.between(0.1, 0.95)];
    let grey = (strong[0] + strong[1] + strong[2]) / 3.0;
    mix([grey; 3], strong, dice.between(0.2, 0.9))
}

/// Any green of leaves and lawns.
pub(super) fn any_green(dice: &mut Dice) -> Colour {
    let bright = dice.between(0.28, 0.62);
    [bright * dice.between(0.45, 0.95), bright, bright * dice.between(0.2, 0.6)]
}

/// A room: a wall, perhaps papered, a floor, and a few things that stand about.
pub(super) fn room(canvas: &mut Canvas, dice: &mut Dice) {
    let (wide, high) = (canvas.width as f32, canvas.height as f32);
    let (wall, paper, floor) = (any_colour(dice), any_colour(dice), any_colour(dice));
    let (skirting, seed) = (high * dice.between(0.35, 1.1), dice.bits());
    let (stripes, board) = (dice.chance(0.35), dice.between(0.06, 0.2) * high);
    let step = dice.between(0.06, 0.22) * wide;
    canvas.paint(|[x, y]| {
        let rough = 1.0 + 0.04 * noise([x * 0.5, y * 0.5], seed);
        if y > skirting {
            let gap = ((y - skirting) / board).floor() as i32;
            return shade(floor, rough * (0.95 + 0.09 * hash(gap, 0, seed)));
        }
        let on_stripe = stripes && (x / step).floor() as i32 % 2 == 0;
        let plain = if on_stripe { mix(wall, paper, 0.35) } else { wall };
        shade(plain, rough * (1.08 - 0.2 * y / high))
    });
    if dice.chance(0.3) {
        window(canvas, dice);
    }
    for _ in 0..dice.whole(0, 4) {
        let (at, size) = ([dice.between(0.0, wide), dice.between(0.2 * high, high)], dice.between(0.05, 0.28) * wide);
        let (colour, turn) = (any_colour(dice), dice.between(-0.1, 0.1));
        let half = size * dice.between(0.4, 1.3);
        let thing = if dice.chance(0.5) {
            ellipse(at, (size, half), turn)
        } else {
            Frame::new(at, 1.0, 1.0, turn).path(&[[-size, -half], [size, -half], [size, half], [-size, half]])
        };
        canvas
            .rimmed(&thing, 1.0, shade(colour, 0.7), |[x, y]| shade(colour, 1.1 - 0.25 * (x / wide + y / high) * 0.5));
    }
}

fn window(canvas: &mut Canvas, dice: &mut Dice) {
    let (wide, high) = (canvas.width as f32, canvas.height as f32);
    let (left, top) = (dice.between(-0.1, 0.7) * wide, dice.between(-0.1, 0.2) * high);
    let (right, bottom) = (left + dice.between(0.2, 0.5) * wide, top + dice.between(0.25, 0.5) * high);
    let frame = [[left, top], [right, top], [right, bottom], [left, bottom]];
    let (sky, land) = ([0.75, 0.87, 0.96], any_green(dice));
    let horizon = top + (bottom - top) * dice.between(0.4, 0.9);
    canvas.rimmed(&frame, 2.5, [0.93, 0.92, 0.9], |[_, y]| if y > horizon { land } else { sky });
    let middle = 0.5 * (left + right);
    canvas.flat(&ribbon(&[[middle, top], [middle, bottom]], 2.0, 2.0), [0.93, 0.92, 0.9]);
}

/// Outdoors: sky, land and grass, or only grass.
pub(super) fn garden(canvas: &mut Canvas, dice: &mut Dice) {
    let (wide, high) = (canvas.width as f32, canvas.height as f32);
    let (low, green, far) = (dice.between(0.45, 1.0), any_green(dice), any_green(dice));
    let sky = mix([0.5 * low, 0.7 * low, low], [low; 3], dice.between(0.0, 0.8));
    let (horizon, seed) = (high * dice.between(-0.2, 0.75), dice.bits());
    canvas.paint(|[x, y]| {
        let line = horizon + 0.08 * high * noise([x / wide * 4.0, 0.0], seed);
        if y < line - 0.12 * high * (1.0 + noise([x / wide * 7.0, 5.0], seed)) {
            return mix(sky, [0.97; 3], 1.5 * noise([x / wide * 3.0, y / high * 6.0], seed ^ 9) - 0.2);
        }
        let rough = noise([x * 0.35, y * 0.2], seed);
        shade(if y < line { far } else { green }, 1.0 + 0.16 * rough)
    });
    let blades = dice.whole(0, 45);
    for _ in 0..blades {
        let (x, y) = (dice.between(0.0, wide), dice.between(horizon.max(0.0), high + 6.0));
        let (tall, lean) = (dice.between(0.04, 0.13) * high, dice.between(-4.0, 4.0));
        let blade = ribbon(&[[x, y], [x + 0.3 * lean, y - 0.6 * tall], [x + lean, y - tall]], 1.8, 0.3);
        let tone = dice.between(0.75, 1.3);
        canvas.flat(&blade, shade(green, tone));
    }
}

/// Far away and out of focus: soft discs of light.
pub(super) fn blurred(canvas: &mut Canvas, dice: &mut Dice, colour: fn(&mut Dice) -> Colour) {
    let (wide, high) = (canvas.width as f32, canvas.height as f32);
    let (above, below, seed) = (colour(dice), colour(dice), dice.bits());
    let scale = dice.between(2.0, 5.0);
    canvas.paint(|[x, y]| {
        let (across, down) = (x / wide, y / high);
        let cloud = noise([across * scale, down * scale], seed);
        shade(mix(above, below, down + 0.4 * cloud), 1.0 + 0.12 * noise([across * scale + 3.0, down * scale], seed ^ 5))
    });
    for _ in 0..dice.whole(0, 14) {
        let (at, size) = ([dice.between(0.0, wide), dice.between(0.0, high)], dice.between(0.03, 0.16) * wide);
        let (colour, opacity) = (mix(colour(dice), [1.0; 3], 0.3), dice.between(0.1, 0.5));
        canvas.fill(&ellipse(at, (size, size), 0.0), opacity, |_| colour);
    }
}

/// The shadow that something casts on the ground: dark in the middle, soft at its edge.
pub(super) fn shadow(canvas: &mut Canvas, frame: &Frame, at: Point, size: (f32, f32)) {
    for ring in 0..4 {
        let grow = 1.0 - 0.2 * ring as f32;
        let path = frame.path(&ellipse(at, (size.0 * grow, size.1 * grow), 0.0));
        canvas.fill(&path, 0.11, |_| [0.05, 0.04, 0.06]);
    }
}

/// What a camera adds: light of some tint and strength from some side, and grain.
pub(super) fn exposed(canvas: &mut Canvas, dice: &mut Dice) {
    let (wide, high) = (canvas.width as f32, canvas.height as f32);
    let (strength, contrast) = (dice.between(0.78, 1.18), dice.between(0.8, 1.12));
    let tint = [dice.between(0.93, 1.07), 1.0, dice.between(0.9, 1.1)];
    let (across, down) = (dice.between(-0.16, 0.16), dice.between(-0.16, 0.16));
    let (grain, seed) = (dice.between(0.004, 0.03), dice.bits());
    canvas.repaint(|[x, y], colour| {
        let light = strength * (1.0 + across * (x / wide - 0.5) + down * (y / high - 0.5));
        let speck = grain * hash(x as i32, y as i32, seed);
        [0, 1, 2].map(|channel| (0.5 + (colour[channel] - 0.5) * contrast) * light * tint[channel] + speck)
    });
}
