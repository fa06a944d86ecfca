//! Outlines as closed polygons, and the frame they stand in.
//!
//! Only `+ - * /`, `sqrt` and `floor` are used on floats: these give the same bits on every machine, where a platform's
//! own sine does not.

/// Right and down.
pub(super) type Point = [f32; 2];

/// Sine and cosine of an angle in turns, correct to about 1e-6.
pub(super) fn sin_cos(turns: f32) -> (f32, f32) {
    (sin(turns), sin(turns + 0.25))
}

fn sin(turns: f32) -> f32 {
    let turns = turns - turns.floor();
    // To -1/4..=1/4 of a turn, where the series is short.
    let folded = if turns > 0.75 {
        turns - 1.0
    } else if turns > 0.25 {
        0.5 - turns
    } else {
        turns
    };
    let x = folded * std::f32::consts::TAU;
    let square = x * x;
    x * (1.0 - square / 6.0 * (1.0 - square / 20.0 * (1.0 - square / 42.0 * (1.0 - square / 72.0))))
}

/// Where a drawing's own coordinates lie in the picture: `at + x * right + y * down`.
#[derive(Clone, Copy)]
pub(super) struct Frame {
    at: Point,
    right: Point,
    down: Point,
}

impl Frame {
    /// One unit is `scale` pixels; `mirror` is 1 or -1; turned clockwise by `turns`.
    pub fn new(at: Point, scale: f32, mirror: f32, turns: f32) -> Self {
        let (sin, cos) = sin_cos(turns);
        Self { at, right: [cos * scale * mirror, sin * scale * mirror], down: [-sin * scale, cos * scale] }
    }

    /// A frame within this one.
    pub fn inside(&self, at: Point, (wide, high): (f32, f32), turns: f32) -> Self {
        let (sin, cos) = sin_cos(turns);
        let direction = |x: f32, y: f32| [self.right[0] * x + self.down[0] * y, self.right[1] * x + self.down[1] * y];
        Self { at: self.to(at), right: direction(cos * wide, sin * wide), down: direction(-sin * high, cos * high) }
    }

    /// A point of the drawing, in the picture.
    pub fn to(&self, [x, y]: Point) -> Point {
        [self.at[0] + x * self.right[0] + y * self.down[0], self.at[1] + x * self.right[1] + y * self.down[1]]
    }

    /// A point of the picture, in the drawing.
    pub fn from(&self, [x, y]: Point) -> Point {
        let (x, y) = (x - self.at[0], y - self.at[1]);
        let area = self.right[0] * self.down[1] - self.right[1] * self.down[0];
        [(x * self.down[1] - y * self.down[0]) / area, (y * self.right[0] - x * self.right[1]) / area]
    }

    /// An outline of the drawing, in the picture.
    pub fn path(&self, path: &[Point]) -> Vec<Point> {
        path.iter().map(|point| self.to(*point)).collect()
    }
}

/// An ellipse about `at`, turned clockwise.
pub(super) fn ellipse(at: Point, (wide, high): (f32, f32), turns: f32) -> Vec<Point> {
    let frame = Frame::new(at, 1.0, 1.0, turns);
    const CORNERS: usize = 28;
    (0..CORNERS)
        .map(|corner| {
            let (sin, cos) = sin_cos(corner as f32 / CORNERS as f32);
            frame.to([wide * cos, high * sin])
        })
        .collect()
}

/// A closed curve through the points (Catmull and Rom).
pub(super) fn smooth(points: &[Point]) -> Vec<Point> {
    let count = points.len();
    (0..count)
        .flat_map(|at| {
            let point = |step: usize| points[(at + count + step - 1) % count];
            let through = [point(0), point(1), point(2), point(3)];
            (0..6).map(move |step| along(through, step as f32 / 6.0))
        })
        .collect()
}

/// The point at `t` of 0..=1 between the second and third of four points on a curve.
fn along([a, b, c, d]: [Point; 4], t: f32) -> Point {
    let of = |axis: usize| {
        let (a, b, c, d) = (a[axis], b[axis], c[axis], d[axis]);
        0.5 * (2.0 * b + t * (c - a + t * (2.0 * a - 5.0 * b + 4.0 * c - d + t * (3.0 * (b - c) + d - a))))
    };
    [of(0), of(1)]
}

/// The left half of a symmetric outline, from top to bottom, and its mirror image.
pub(super) fn symmetric(left: &[Point]) -> Vec<Point> {
    let mirrored = left.iter().rev().filter(|point| point[0] != 0.0).map(|[x, y]| [-x, *y]);
    left.iter().copied().chain(mirrored).collect()
}

pub(super) fn mirrored(path: &[Point]) -> Vec<Point> {
    path.iter().map(|[x, y]| [-x, *y]).collect()
}

/// A band along a curve through the points, `from` wide at its beginning and `to` at its end.
pub(super) fn ribbon(points: &[Point], from: f32, to: f32) -> Vec<Point> {
    let last = points.len() - 1;
    let mut line = Vec::with_capacity(6 * points.len());
    for at in 0..last {
        let through = [points[at.saturating_sub(1)], points[at], points[at + 1], points[(at + 2).min(last)]];
        line.extend((0..6).map(|step| along(through, step as f32 / 6.0)));
    }
    line.push(points[last]);
    let count = line.len();
    let (mut left, mut right) = (Vec::with_capacity(2 * count + 6), Vec::with_capacity(count));
    for at in 0..count {
        let (before, after) = (line[at.saturating_sub(1)], line[(at + 1).min(count - 1)]);
        let [x, y] = direction(before, after);
        let half = 0.5 * (from + (to - from) * at as f32 / (count - 1) as f32);
        left.push([line[at][0] - y * half, line[at][1] + x * half]);
        right.push([line[at][0] + y * half, line[at][1] - x * half]);
    }
    // A round end.
    let [x, y] = direction(line[count - 2], line[count - 1]);
    let half = 0.5 * to;
    for step in 1..6 {
        let (sin, cos) = sin_cos(step as f32 / 12.0);
        let end = line[count - 1];
        left.push([end[0] + half * (sin * x - cos * y), end[1] + half * (sin * y + cos * x)]);
    }
    left.extend(right.into_iter().rev());
    left
}

fn direction(from: Point, to: Point) -> Point {
    let (x, y) = (to[0] - from[0], to[1] - from[1]);
    let length = (x * x + y * y).sqrt().max(1e-6);
    [x / length, y / length]
}

/// The outline moved outwards by `by`, for a rim behind the shape itself.
pub(super) fn grown(path: &[Point], by: f32) -> Vec<Point> {
    let count = path.len();
    let area: f32 = (0..count)
        .map(|at| {
            let (a, b) = (path[at], path[(at + 1) % count]);
            a[0] * b[1] - a[1] * b[0]
        })
        .sum();
    let by = if area > 0.0 { by } else { -by };
    (0..count)
        .map(|at| {
            let [x, y] = direction(path[(at + count - 1) % count], path[(at + 1) % count]);
            [path[at][0] + y * by, path[at][1] - x * by]
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sine_and_cosine_are_theirs() {
        for step in -200..=200 {
            let turns = step as f32 / 73.0;
            let (sin, cos) = sin_cos(turns);
            let angle = f64::from(turns) * std::f64::consts::TAU;
            assert!((f64::from(sin) - angle.sin()).abs() < 1e-5, "sin {turns}");
            assert!((f64::from(cos) - angle.cos()).abs() < 1e-5, "cos {turns}");
        }
    }

    #[test]
    fn a_frame_leads_there_and_back() {
        let frame = Frame::new([30.0, 40.0], 12.0, -1.0, 0.1).inside([1.0, 2.0], (0.5, 2.0), -0.3);
        let [x, y] = frame.from(frame.to([0.3, -0.7]));
        assert!((x - 0.3).abs() < 1e-4 && (y + 0.7).abs() < 1e-4, "{x} {y}");
    }

    #[test]
    fn grown_outlines_lie_outside_whichever_way_they_run() {
        let circle = ellipse([0.0, 0.0], (1.0, 1.0), 0.0);
        let backwards: Vec<Point> = circle.iter().rev().copied().collect();
        for path in [circle, backwards] {
            for [x, y] in grown(&path, 0.5) {
                assert!(((x * x + y * y).sqrt() - 1.5).abs() < 0.02);
            }
        }
    }
}
