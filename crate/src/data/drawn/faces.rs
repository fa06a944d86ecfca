//! Heads of cats and dogs, seen from the front. One unit is half a cat's head across; the middle of the head is (0, 0).

use super::canvas::{Canvas, Colour, mix, shade};
use super::coat::Coat;
use super::dice::Dice;
use super::shapes::{Frame, Point, ellipse, mirrored, ribbon, smooth, symmetric};

const BLACK: Colour = [0.09, 0.07, 0.07];
const PINK: Colour = [0.9, 0.62, 0.62];
const CAT_EYES: [Colour; 5] =
    [[0.55, 0.72, 0.28], [0.88, 0.68, 0.2], [0.35, 0.65, 0.75], [0.78, 0.52, 0.18], [0.65, 0.8, 0.45]];

/// What an artist's pen needs: where, how wide its rims are, and in which fur.
pub(super) struct Pen<'a> {
    pub canvas: &'a mut Canvas,
    pub frame: Frame,
    /// Rims, in pixels.
    pub rim: f32,
    pub coat: Coat,
}

impl Pen<'_> {
    /// A part covered in fur.
    pub fn fur(&mut self, path: &[Point]) {
        let path = self.frame.path(path);
        self.canvas.rimmed(&path, self.rim, self.coat.dark, self.coat.paint(&self.frame));
    }

    /// Fur that lies in the shade, or in the light.
    pub fn fur_shaded(&mut self, path: &[Point], by: f32) {
        let path = self.frame.path(path);
        self.canvas.rimmed(&path, self.rim, self.coat.dark, self.coat.shaded(&self.frame, by));
    }

    /// Bright fur without a rim.
    pub fn bright_fur(&mut self, path: &[Point]) {
        let path = self.frame.path(path);
        self.canvas.fill(&path, 0.92, self.coat.light_paint(&self.frame));
    }

    /// One colour without a rim.
    pub fn flat(&mut self, path: &[Point], colour: Colour) {
        let path = self.frame.path(path);
        self.canvas.flat(&path, colour);
    }

    /// The same shape on the left and, mirrored, on the right.
    pub fn both(&mut self, path: &[Point], draw: impl Fn(&mut Self, &[Point])) {
        draw(self, path);
        draw(self, &mirrored(path));
    }
}

/// A cat: pointed ears, almond eyes with slits, a small nose, a short muzzle, whiskers.
pub(super) fn cat(pen: &mut Pen, dice: &mut Dice) {
    let tall = dice.between(1.1, 1.4);
    let out = dice.between(0.74, 0.98);
    let ear = [[-0.97, -0.1], [-0.97, -0.66], [-out, -tall], [-0.6, -0.98], [-0.2, -0.72], [-0.4, -0.2]];
    pen.both(&ear, |pen, path| pen.fur_shaded(path, 0.96));
    let skin = mix(PINK, pen.coat.base, 0.35);
    let inner = [[-0.86, -0.4], [-0.88, -0.7], [-out * 0.98, -tall + 0.2], [-0.6, -0.86], [-0.42, -0.66]];
    pen.both(&inner, |pen, path| pen.flat(path, skin));

    let cheek = dice.between(0.94, 1.1);
    let left = [[0.0, -0.8], [-0.5, -0.75], [-0.87, -0.4], [-cheek, 0.1], [-0.84, 0.5], [-0.45, 0.75], [0.0, 0.82]];
    pen.fur(&smooth(&symmetric(&left)));
    if pen.coat.blaze {
        pen.bright_fur(&smooth(&symmetric(&[[0.0, -0.6], [-0.08, -0.3], [-0.22, 0.2], [0.0, 0.4]])));
    }
    for x in [-0.26, 0.0, 0.26] {
        // The M on a forehead.
        let mark = ribbon(&[[x * 1.2, -0.7], [x, -0.52], [x * 0.9, -0.4]], 0.05, 0.02);
        let path = pen.frame.path(&mark);
        pen.canvas.fill(&path, 0.55, |_| pen.coat.dark);
    }
    cat_eyes(pen, dice);
    pen.both(&ellipse([-0.2, 0.4], (0.27, 0.2), 0.0), |pen, path| pen.bright_fur(path));
    pen.bright_fur(&ellipse([0.0, 0.6], (0.2, 0.13), 0.0));
    let nose = if dice.chance(0.6) { shade(PINK, 0.88) } else { mix(BLACK, PINK, 0.25) };
    pen.flat(&smooth(&symmetric(&[[0.0, 0.2], [-0.12, 0.19], [-0.08, 0.27], [0.0, 0.34]])), nose);
    let ink = shade(pen.coat.dark, 0.6);
    pen.flat(&ribbon(&[[0.0, 0.32], [0.0, 0.45]], 0.035, 0.035), ink);
    pen.both(&ribbon(&[[0.0, 0.45], [-0.1, 0.53], [-0.24, 0.49]], 0.04, 0.02), |pen, path| pen.flat(path, ink));
    whiskers(pen, dice);
}

fn cat_eyes(pen: &mut Pen, dice: &mut Dice) {
    let (iris, slit) = (dice.of(&CAT_EYES), dice.between(0.035, 0.085));
    let (wide, high) = (dice.between(0.2, 0.24), dice.between(0.14, 0.19));
    let look = dice.between(-0.04, 0.04);
    for side in [-1.0, 1.0] {
        let at = [side * 0.42, -0.06];
        pen.flat(&ellipse(at, (wide + 0.045, high + 0.045), side * -0.035), shade(pen.coat.dark, 0.45));
        let eye = pen.frame.path(&ellipse(at, (wide, high), side * -0.035));
        let frame = pen.frame;
        pen.canvas.fill(&eye, 1.0, |point| shade(iris, 0.92 + 1.2 * (frame.from(point)[1] - at[1])));
        pen.flat(&ellipse([at[0] + look, at[1]], (slit, high * 0.94), 0.0), BLACK);
        pen.flat(&ellipse([at[0] + look - 0.06, at[1] - 0.06], (0.04, 0.04), 0.0), [1.0; 3]);
    }
}

fn whiskers(pen: &mut Pen, dice: &mut Dice) {
    let long = dice.between(0.95, 1.35);
    let colour = if pen.coat.base[1] > 0.75 { [0.45, 0.42, 0.4] } else { [0.97, 0.96, 0.94] };
    // Never thinner than half a pixel, or they vanish.
    let [dx, dy] = [
        pen.frame.to([1.0, 0.0])[0] - pen.frame.to([0.0, 0.0])[0],
        pen.frame.to([1.0, 0.0])[1] - pen.frame.to([0.0, 0.0])[1],
    ];
    let thick = (0.7 / (dx * dx + dy * dy).sqrt()).max(0.028);
    for row in 0..3 {
        let drop = row as f32 - 1.0;
        let hair = [[-0.28, 0.38 + 0.06 * drop], [-0.75, 0.32 + 0.13 * drop], [-0.3 - long, 0.4 + 0.24 * drop]];
        pen.both(&ribbon(&hair, thick, thick * 0.6), |pen, path| {
            let path = pen.frame.path(path);
            pen.canvas.fill(&path, 0.85, |_| colour);
        });
    }
}

/// How a dog carries its ears.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Ears {
    Floppy,
    Erect,
    Folded,
}

/// A dog: floppy or tall ears, round dark eyes, a long muzzle with a broad nose, often a tongue.
pub(super) fn dog(pen: &mut Pen, dice: &mut Dice) {
    let ears = dice.of(&[Ears::Floppy, Ears::Floppy, Ears::Floppy, Ears::Erect, Ears::Folded]);
    if ears != Ears::Floppy {
        upright_ears(pen, dice, ears);
    }
    let (wide, long) = (dice.between(0.68, 0.8), dice.between(1.0, 1.2));
    let left = [
        [0.0, -0.86],
        [-0.45, -0.78],
        [-wide, -0.38],
        [-wide, 0.08],
        [-0.56, 0.42],
        [-0.5, 0.75],
        [-0.3, long - 0.05],
        [0.0, long],
    ];
    pen.fur(&smooth(&symmetric(&left)));
    if pen.coat.blaze {
        pen.bright_fur(&smooth(&symmetric(&[[0.0, -0.75], [-0.12, -0.3], [-0.26, 0.3], [0.0, 0.6]])));
    }
    if dice.chance(0.3) {
        let side = dice.side();
        let patch = pen.frame.path(&ellipse([side * 0.34, -0.2], (0.27, 0.34), side * 0.06));
        pen.canvas.fill(&patch, 0.75, pen.coat.shaded(&pen.frame, 0.6));
    }
    if ears == Ears::Floppy {
        floppy_ears(pen, dice);
    }
    dog_eyes(pen, dice);
    dog_muzzle(pen, dice, long);
}

fn upright_ears(pen: &mut Pen, dice: &mut Dice, ears: Ears) {
    let (tall, out) = (dice.between(1.35, 1.6), dice.between(0.6, 0.85));
    let ear = smooth(&[[-0.74, -0.1], [-0.84, -0.75], [-out, -tall], [-0.42, -1.1], [-0.16, -0.7], [-0.4, -0.3]]);
    pen.both(&ear, |pen, path| pen.fur_shaded(path, 0.92));
    let skin = mix(PINK, pen.coat.dark, 0.55);
    let inner = smooth(&[[-0.68, -0.5], [-0.72, -0.85], [-out, -tall + 0.22], [-0.48, -1.0], [-0.36, -0.7]]);
    pen.both(&inner, |pen, path| pen.flat(path, skin));
    if ears == Ears::Folded {
        // The tip hangs forward over the lower half.
        let tip = smooth(&[[-0.86, -0.95], [-out, -1.18], [-0.36, -1.05], [-0.5, -0.72], [-0.72, -0.55]]);
        pen.both(&tip, |pen, path| pen.fur_shaded(path, 0.82));
    }
}

fn floppy_ears(pen: &mut Pen, dice: &mut Dice) {
    let (low, out) = (dice.between(0.3, 0.95), dice.between(1.0, 1.25));
    let ear = smooth(&[
        [-0.4, -0.78],
        [-0.78, -0.72],
        [-out, -0.2],
        [-out + 0.02, low - 0.2],
        [-0.88, low],
        [-0.68, low - 0.35],
        [-0.62, -0.2],
    ]);
    let by = dice.between(0.62, 0.95);
    pen.both(&ear, |pen, path| pen.fur_shaded(path, by));
}

fn dog_eyes(pen: &mut Pen, dice: &mut Dice) {
    let (iris, size) = (dice.of(&[[0.3, 0.18, 0.1], [0.42, 0.26, 0.12], [0.2, 0.13, 0.1]]), dice.between(0.115, 0.145));
    let brows = dice.chance(0.3);
    let ring = shade(pen.coat.dark, 0.5);
    for side in [-1.0, 1.0] {
        let at = [side * 0.32, -0.16];
        pen.flat(&ellipse(at, (size + 0.035, size + 0.03), side * 0.03), ring);
        pen.flat(&ellipse(at, (size, size), 0.0), iris);
        pen.flat(&ellipse(at, (size * 0.6, size * 0.6), 0.0), BLACK);
        pen.flat(&ellipse([at[0] - 0.04, at[1] - 0.05], (0.04, 0.04), 0.0), [1.0; 3]);
        if brows {
            pen.bright_fur(&ellipse([side * 0.3, -0.42], (0.12, 0.07), side * 0.03));
        }
    }
}

fn dog_muzzle(pen: &mut Pen, dice: &mut Dice, long: f32) {
    let tongue = dice.chance(0.6);
    let low = long - 0.36;
    if tongue {
        pen.flat(
            &smooth(&symmetric(&[[0.0, low], [-0.26, low + 0.05], [-0.18, low + 0.3], [0.0, low + 0.38]])),
            [0.3, 0.08, 0.1],
        );
        let out = low + dice.between(0.5, 0.75);
        let pink = [0.93, 0.5, 0.52];
        pen.flat(&smooth(&symmetric(&[[0.0, low + 0.1], [-0.15, low + 0.15], [-0.17, out - 0.1], [0.0, out]])), pink);
        pen.flat(&ribbon(&[[0.0, low + 0.15], [0.0, out - 0.12]], 0.03, 0.02), shade(pink, 0.8));
    }
    let left = [[0.0, 0.14], [-0.3, 0.2], [-0.48, 0.5], [-0.4, low + 0.14], [-0.16, low + 0.22], [0.0, low + 0.14]];
    pen.bright_fur(&smooth(&symmetric(&left)));
    let ink = shade(pen.coat.dark, 0.45);
    pen.flat(&ribbon(&[[0.0, 0.4], [0.0, low + 0.12]], 0.04, 0.04), ink);
    pen.both(&ribbon(&[[0.0, low + 0.1], [-0.2, low + 0.2], [-0.42, low + 0.06]], 0.045, 0.025), |pen, path| {
        pen.flat(path, ink)
    });
    let nose = if dice.chance(0.85) { BLACK } else { [0.4, 0.25, 0.22] };
    pen.flat(&smooth(&symmetric(&[[0.0, 0.15], [-0.17, 0.16], [-0.23, 0.28], [-0.1, 0.42], [0.0, 0.45]])), nose);
    pen.flat(&ellipse([-0.06, 0.22], (0.07, 0.035), 0.0), mix(nose, [1.0; 3], 0.5));
}
