//! Whole animals: a portrait, sitting before us, or standing sideways. Units and origin as in `faces`.

use super::canvas::{Canvas, Colour, mix, shade};
use super::coat::Coat;
use super::dice::Dice;
use super::faces::{self, Pen};
use super::scene::{any_colour, any_green, blurred, exposed, garden, room, shadow};
use super::shapes::{Frame, Point, ellipse, ribbon, smooth, symmetric};

/// Which animal.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Animal {
    Cat,
    Dog,
}

/// Draws an animal somewhere: the place, the light, the pose and the coat are drawn from the same hats for both.
pub(super) fn draw(canvas: &mut Canvas, dice: &mut Dice, animal: Animal) {
    match dice.whole(0, 9) {
        0..=4 => room(canvas, dice),
        5..=7 => garden(canvas, dice),
        8 => blurred(canvas, dice, any_colour),
        _ => blurred(canvas, dice, any_green),
    }
    let coat = Coat::new(dice);
    let pose = dice.between(0.0, 1.0);
    let (wide, high) = (canvas.width as f32, canvas.height as f32);
    // The middle and half the size of what must fit, in head units.
    let (middle, fits): (Point, Point) = match pose {
        ..0.45 => ([0.0, 0.1], [1.25, 1.4]),
        0.45..0.75 => ([0.0, 0.95], [1.6, 2.4]),
        _ => ([0.1, 0.6], [2.6, 2.1]),
    };
    let scale = (wide / fits[0]).min(high / fits[1]) * 0.5 * dice.between(0.6, 1.12);
    let at = [wide * dice.between(0.36, 0.64), high * dice.between(0.4, 0.6)];
    let mirror = dice.side();
    let frame =
        Frame::new(at, scale, mirror, dice.between(-0.035, 0.035)).inside([-middle[0], -middle[1]], (1.0, 1.0), 0.0);
    let mut pen = Pen { canvas, frame, rim: (0.035 * scale).clamp(0.5, 1.8), coat };
    match pose {
        ..0.45 => portrait(&mut pen, dice, animal),
        0.45..0.75 => sitting(&mut pen, dice, animal),
        _ => sideways(&mut pen, dice, animal),
    }
    exposed(canvas, dice);
}

/// The head, in its own slightly tilted frame.
fn head(pen: &mut Pen, dice: &mut Dice, animal: Animal, at: Point, size: f32) {
    let body = pen.frame;
    pen.frame =
        body.inside(at, (size * dice.between(0.92, 1.08), size * dice.between(0.92, 1.08)), dice.between(-0.05, 0.05));
    match animal {
        Animal::Cat => faces::cat(pen, dice),
        Animal::Dog => faces::dog(pen, dice),
    }
    pen.frame = body;
}

/// A collar where head and body meet: most dogs wear one, and some cats.
fn collar(pen: &mut Pen, dice: &mut Dice, animal: Animal, band: &[Point], tag: Point) {
    let worn = dice.chance(if animal == Animal::Dog { 0.6 } else { 0.3 });
    let colour = any_colour(dice);
    if worn {
        pen.flat(&ribbon(band, 0.17, 0.17), colour);
        pen.flat(&ellipse(tag, (0.1, 0.1), 0.0), mix([0.95, 0.8, 0.3], colour, 0.15));
    }
}

fn portrait(pen: &mut Pen, dice: &mut Dice, animal: Animal) {
    let wide = dice.between(0.75, 1.15);
    let left = [[0.0, 0.35], [-0.6, 0.5], [-wide, 1.15], [-wide - 0.15, 2.2], [-wide, 4.0], [0.0, 4.2]];
    pen.fur(&smooth(&symmetric(&left)));
    pen.bright_fur(&smooth(&symmetric(&[[0.0, 0.8], [-0.34, 1.1], [-0.4, 1.8], [0.0, 2.6]])));
    let low = if animal == Animal::Dog { 1.28 } else { 1.0 };
    collar(pen, dice, animal, &[[-0.72, low - 0.25], [-0.3, low], [0.3, low], [0.72, low - 0.25]], [0.0, low + 0.14]);
    head(pen, dice, animal, [0.0, 0.0], 1.0);
}

fn sitting(pen: &mut Pen, dice: &mut Dice, animal: Animal) {
    let frame = pen.frame;
    shadow(pen.canvas, &frame, [0.1, 3.05], (1.5, 0.3));
    match animal {
        Animal::Cat => {
            let reach = dice.between(1.3, 1.8);
            let tail = [[0.6, 2.85], [1.2, 2.95], [reach, 2.5], [reach - 0.1, 1.9], [reach + 0.2, 1.5]];
            pen.fur_shaded(&ribbon(&tail, 0.3, 0.2), 0.9);
        }
        Animal::Dog => {
            let reach = dice.between(1.1, 1.4);
            pen.fur_shaded(&ribbon(&[[0.6, 2.8], [reach, 2.65], [reach + 0.25, 2.2]], 0.32, 0.14), 0.9);
        }
    }
    let wide = dice.between(0.82, 1.02);
    let left = [[0.0, 0.4], [-0.5, 0.55], [-0.68, 1.2], [-wide, 2.1], [-wide - 0.08, 2.75], [-0.6, 3.02], [0.0, 3.05]];
    pen.fur(&smooth(&symmetric(&left)));
    pen.both(&ellipse([-0.8, 2.92], (0.34, 0.18), 0.0), |pen, path| pen.fur_shaded(path, 0.95));
    pen.bright_fur(&smooth(&symmetric(&[[0.0, 0.9], [-0.32, 1.1], [-0.3, 1.6], [0.0, 2.0]])));
    let leg = ribbon(&[[-0.26, 1.5], [-0.3, 2.3], [-0.29, 2.98]], 0.34, 0.3);
    pen.both(&leg, |pen, path| pen.fur_shaded(path, 1.03));
    pen.both(&ellipse([-0.31, 3.0], (0.24, 0.14), 0.0), |pen, path| pen.bright_fur(path));
    let low = if animal == Animal::Dog { 1.12 } else { 0.86 };
    collar(pen, dice, animal, &[[-0.6, low - 0.2], [-0.25, low], [0.25, low], [0.6, low - 0.2]], [0.0, low + 0.13]);
    head(pen, dice, animal, [0.0, -0.05], 0.92);
}

/// Standing, and looking the way it stands or at us.
fn sideways(pen: &mut Pen, dice: &mut Dice, animal: Animal) {
    let frame = pen.frame;
    let legs = if animal == Animal::Dog { dice.between(2.2, 2.5) } else { dice.between(1.95, 2.2) };
    shadow(pen.canvas, &frame, [0.0, legs + 0.05], (2.1, 0.25));
    let stride = dice.between(0.0, 0.3);
    for (x, by) in [(-1.15 - stride, 0.72), (0.95 + stride, 0.72), (-1.35 + stride, 1.0), (1.15 - stride, 1.0)] {
        let thick = if animal == Animal::Dog { 0.42 } else { 0.36 };
        pen.fur_shaded(&ribbon(&[[x * 0.95, 0.9], [x, 1.5], [x, legs]], thick + 0.12, thick * 0.66), by);
        pen.fur_shaded(&ellipse([x + 0.08, legs], (0.24, 0.12), 0.0), by);
    }
    side_tail(pen, dice, animal);
    let back = dice.between(-0.15, 0.15);
    let (chest, belly) = if animal == Animal::Dog { (1.5, 1.15) } else { (1.3, 1.3) };
    let body = [
        [-1.5, 0.1],
        [-0.6, back],
        [0.5, 0.1],
        [1.25, -0.15],
        [1.6, 0.35],
        [1.25, chest],
        [0.2, belly],
        [-1.1, 1.3],
        [-1.7, 0.8],
    ];
    pen.fur(&smooth(&body));
    if dice.chance(0.45) {
        head(pen, dice, animal, [1.55, -0.45], 0.74);
    } else {
        let neck = [[0.9, 0.0], [1.35, -0.65], [1.9, -0.55], [1.65, 0.55]];
        pen.fur(&smooth(&neck));
        collar(pen, dice, animal, &[[1.12, -0.22], [1.45, 0.05], [1.75, 0.08]], [1.66, 0.2]);
        match animal {
            Animal::Cat => cat_profile(pen, dice),
            Animal::Dog => dog_profile(pen, dice),
        }
    }
}

fn side_tail(pen: &mut Pen, dice: &mut Dice, animal: Animal) {
    let up = dice.between(0.0, 1.0);
    match animal {
        Animal::Cat => {
            let tail =
                [[-1.4, 0.4], [-2.1, 0.3], [-2.3, -0.4 - up * 0.6], [-2.0, -1.0 - up * 0.5], [-2.25, -1.45 - up * 0.4]];
            pen.fur_shaded(&ribbon(&tail, 0.3, 0.18), 0.92);
        }
        Animal::Dog => {
            let tail = [[-1.4, 0.35], [-1.95, 0.15 - up * 0.3], [-2.25, 0.0 - up * 0.9]];
            pen.fur_shaded(&ribbon(&tail, 0.34, 0.1), 0.92);
        }
    }
}

fn cat_profile(pen: &mut Pen, dice: &mut Dice) {
    for (x, by) in [(1.95, 0.8), (1.58, 1.0)] {
        pen.fur_shaded(&[[x - 0.3, -0.95], [x - 0.26, -1.6], [x + 0.2, -1.12]], by);
    }
    let skull = [
        [1.2, -0.65],
        [1.4, -1.12],
        [1.85, -1.22],
        [2.2, -0.95],
        [2.36, -0.7],
        [2.3, -0.48],
        [1.95, -0.28],
        [1.5, -0.25],
    ];
    pen.fur(&smooth(&skull));
    pen.bright_fur(&ellipse([2.18, -0.55], (0.2, 0.15), 0.0));
    pen.flat(&ellipse([2.36, -0.68], (0.07, 0.06), 0.0), shade([0.9, 0.62, 0.62], 0.85));
    let iris = dice.of(&[[0.55, 0.72, 0.28], [0.88, 0.68, 0.2], [0.35, 0.65, 0.75]]);
    eye(pen, [1.98, -0.84], (0.12, 0.11), iris, (0.035, 0.1));
    let light: Colour = if pen.coat.base[1] > 0.75 { [0.45, 0.42, 0.4] } else { [0.97, 0.96, 0.94] };
    for drop in [-0.12, 0.02, 0.16] {
        let path = pen.frame.path(&ribbon(&[[2.2, -0.54], [2.5, -0.5 + drop], [2.85, -0.44 + 2.0 * drop]], 0.05, 0.03));
        pen.canvas.fill(&path, 0.8, |_| light);
    }
}

fn dog_profile(pen: &mut Pen, dice: &mut Dice) {
    let long = dice.between(2.7, 3.0);
    if dice.chance(0.55) {
        let tongue = ribbon(&[[long - 0.35, -0.42], [long - 0.25, -0.15], [long - 0.28, 0.05]], 0.18, 0.16);
        pen.flat(&tongue, [0.93, 0.5, 0.52]);
    }
    let erect = dice.chance(0.35);
    if erect {
        for (x, by) in [(1.75, 0.75), (1.5, 1.0)] {
            pen.fur_shaded(&smooth(&[[x - 0.25, -0.9], [x - 0.18, -1.7], [x + 0.05, -1.5], [x + 0.24, -1.05]]), by);
        }
    }
    let skull = [
        [1.2, -0.6],
        [1.35, -1.05],
        [1.75, -1.22],
        [2.1, -1.05],
        [2.25, -0.82],
        [long - 0.1, -0.74],
        [long, -0.6],
        [long - 0.15, -0.4],
        [2.2, -0.28],
        [1.6, -0.15],
    ];
    pen.fur(&smooth(&skull));
    let lips = [[2.2, -0.55], [long - 0.2, -0.62], [long - 0.1, -0.5], [long - 0.25, -0.4], [2.2, -0.32]];
    pen.bright_fur(&smooth(&lips));
    pen.flat(&ribbon(&[[long - 0.1, -0.46], [2.5, -0.44], [2.2, -0.5]], 0.04, 0.03), shade(pen.coat.dark, 0.45));
    pen.flat(&ellipse([long - 0.03, -0.68], (0.14, 0.12), 0.0), [0.09, 0.07, 0.07]);
    eye(pen, [2.0, -0.86], (0.1, 0.1), [0.3, 0.18, 0.1], (0.06, 0.06));
    if !erect {
        let low = dice.between(-0.35, 0.15);
        let ear = [[1.45, -1.12], [1.75, -1.05], [1.78, -0.6], [1.62, low], [1.35, low - 0.1], [1.25, -0.6]];
        pen.fur_shaded(&smooth(&ear), 0.78);
    }
}

fn eye(pen: &mut Pen, at: Point, (wide, high): (f32, f32), iris: Colour, pupil: (f32, f32)) {
    pen.flat(&ellipse(at, (wide + 0.035, high + 0.035), 0.0), shade(pen.coat.dark, 0.45));
    pen.flat(&ellipse(at, (wide, high), 0.0), iris);
    pen.flat(&ellipse([at[0] + 0.02, at[1]], pupil, 0.0), [0.09, 0.07, 0.07]);
    pen.flat(&ellipse([at[0] - 0.02, at[1] - 0.04], (0.03, 0.03), 0.0), [1.0; 3]);
}
