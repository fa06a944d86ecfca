//! A small rasteriser: closed outlines, filled with smooth edges.

use super::shapes::{Point, grown};
use crate::images::Pixels;

/// Red, green and blue in 0..=1.
pub(super) type Colour = [f32; 3];

/// A picture that is being drawn.
pub(super) struct Canvas {
    pub height: usize,
    pub width: usize,
    rgb: Vec<Colour>,
    /// Scratch: how much each pixel's coverage changes from its left neighbour's.
    change: Vec<f32>,
}

impl Canvas {
    pub fn new(height: usize, width: usize) -> Self {
        Self { height, width, rgb: vec![[0.0; 3]; height * width], change: vec![0.0; height * width] }
    }

    /// Paints every pixel.
    pub fn paint(&mut self, colour: impl Fn(Point) -> Colour) {
        let width = self.width;
        for (at, pixel) in self.rgb.iter_mut().enumerate() {
            *pixel = colour([(at % width) as f32 + 0.5, (at / width) as f32 + 0.5]);
        }
    }

    /// Repaints every pixel from what it is.
    pub fn repaint(&mut self, change: impl Fn(Point, Colour) -> Colour) {
        let width = self.width;
        for (at, pixel) in self.rgb.iter_mut().enumerate() {
            *pixel = change([(at % width) as f32 + 0.5, (at / width) as f32 + 0.5], *pixel);
        }
    }

    /// Fills a closed outline with one colour.
    pub fn flat(&mut self, path: &[Point], colour: Colour) {
        self.fill(path, 1.0, |_| colour);
    }

    /// Fills a closed outline, with a dark rim `rim` pixels wide around it.
    pub fn rimmed(&mut self, path: &[Point], rim: f32, dark: Colour, colour: impl Fn(Point) -> Colour) {
        self.fill(&grown(path, rim), 1.0, |_| dark);
        self.fill(path, 1.0, colour);
    }

    /// Fills a closed outline; `opacity` in 0..=1.
    ///
    /// Coverage is exact for outlines that do not cross themselves: each edge adds its signed area to the pixels it
    /// touches, and a running sum along the row turns that into coverage.
    pub fn fill(&mut self, path: &[Point], opacity: f32, colour: impl Fn(Point) -> Colour) {
        let (width, height) = (self.width as f32, self.height as f32);
        let bound = |axis: usize, limit: f32| {
            let low = path.iter().fold(limit, |low, point| low.min(point[axis])).max(0.0);
            let high = path.iter().fold(0.0f32, |high, point| high.max(point[axis])).min(limit);
            (low.floor() as usize, high.ceil() as usize)
        };
        let ((left, right), (top, bottom)) = (bound(0, width), bound(1, height));
        if left >= right || top >= bottom {
            return;
        }
        for (at, from) in path.iter().enumerate() {
            self.edge(*from, path[(at + 1) % path.len()]);
        }
        for y in top..bottom {
            let mut sum = 0.0f32;
            for x in left..right {
                let at = y * self.width + x;
                sum += std::mem::take(&mut self.change[at]);
                let cover = sum.abs().min(1.0) * opacity;
                if cover > 0.004 {
                    let new = colour([x as f32 + 0.5, y as f32 + 0.5]);
                    let pixel = &mut self.rgb[at];
                    for channel in 0..3 {
                        pixel[channel] += (new[channel] - pixel[channel]) * cover;
                    }
                }
            }
            // An edge on the right border spills into the next cell.
            if right < self.width {
                self.change[y * self.width + right] = 0.0;
            }
        }
    }

    /// Adds one edge's signed area to `change`, row by row.
    fn edge(&mut self, from: Point, to: Point) {
        let (direction, [x0, y0], [x1, y1]) = if from[1] < to[1] { (1.0, from, to) } else { (-1.0, to, from) };
        let (height, width) = (self.height as f32, self.width as f32);
        if y1 <= 0.0 || y0 >= height || y1 - y0 < 1e-6 {
            return;
        }
        let slope = (x1 - x0) / (y1 - y0);
        let (first, last) = (y0.max(0.0).floor() as usize, (y1.min(height).ceil() as usize).min(self.height));
        for row in first..last {
            let (above, below) = (y0.max(row as f32), y1.min(row as f32 + 1.0));
            let tall = below - above;
            if tall <= 0.0 {
                continue;
            }
            // What lies outside the picture counts on its border.
            let at = |y: f32| (x0 + (y - y0) * slope).clamp(0.0, width);
            let (a, b) = (at(above), at(below));
            self.span(row, a.min(b), a.max(b), tall * direction);
        }
    }

    /// One row's part of an edge that runs from column `low` to `high`, `area` tall.
    fn span(&mut self, row: usize, low: f32, high: f32, area: f32) {
        let row = row * self.width;
        let (first, last) = (low.floor() as usize, (high.ceil() as usize).max(low.floor() as usize + 1));
        if last == first + 1 {
            let right_of_middle = 0.5 * (low + high) - first as f32;
            self.add(row + first, area * (1.0 - right_of_middle), first);
            self.add(row + first + 1, area * right_of_middle, first + 1);
            return;
        }
        // Each column's share of the edge, split between it and the column to its right as a single one's is.
        let a_column = area / (high - low);
        for column in first..last {
            let (from, to) = (low.max(column as f32), high.min(column as f32 + 1.0));
            let (share, right_of_middle) = (a_column * (to - from), 0.5 * (from + to) - column as f32);
            self.add(row + column, share * (1.0 - right_of_middle), column);
            self.add(row + column + 1, share * right_of_middle, column + 1);
        }
    }

    fn add(&mut self, at: usize, change: f32, column: usize) {
        if column < self.width {
            self.change[at] += change;
        }
    }

    /// The picture as bytes.
    pub fn pixels(&self) -> Pixels {
        let rgb = self.rgb.iter().flatten().map(|value| (value.clamp(0.0, 1.0) * 255.0 + 0.5) as u8).collect();
        Pixels { height: self.height, width: self.width, rgb }
    }
}

/// Between two colours: all `a` at 0, all `b` at 1.
pub(super) fn mix(a: Colour, b: Colour, t: f32) -> Colour {
    let t = t.clamp(0.0, 1.0);
    [0, 1, 2].map(|channel| a[channel] + (b[channel] - a[channel]) * t)
}

/// Brighter above 1, darker below.
pub(super) fn shade(colour: Colour, by: f32) -> Colour {
    colour.map(|value| value * by)
}

/// Smooth noise in -1..=1 with features about one unit large.
pub(super) fn noise([x, y]: Point, seed: u32) -> f32 {
    let (left, top) = (x.floor(), y.floor());
    let ease = |t: f32| t * t * (3.0 - 2.0 * t);
    let (across, down) = (ease(x - left), ease(y - top));
    let corner = |right: i32, below: i32| hash(left as i32 + right, top as i32 + below, seed);
    let above = corner(0, 0) + (corner(1, 0) - corner(0, 0)) * across;
    let below = corner(0, 1) + (corner(1, 1) - corner(0, 1)) * across;
    above + (below - above) * down
}

/// A number in -1..=1 for every point of a grid.
pub(super) fn hash(x: i32, y: i32, seed: u32) -> f32 {
    let mut bits = (x as u32).wrapping_mul(0x9E37_79B1) ^ (y as u32).wrapping_mul(0x85EB_CA77) ^ seed;
    bits = (bits ^ bits >> 15).wrapping_mul(0x2C1B_3C6D);
    bits = (bits ^ bits >> 12).wrapping_mul(0x297A_2D39);
    ((bits ^ bits >> 15) >> 8) as f32 / 8_388_608.0 - 1.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::drawn::shapes::ellipse;

    /// How much of each pixel is covered, in row order, of a white shape on black.
    fn covered(height: usize, width: usize, path: &[Point]) -> Vec<f32> {
        let mut canvas = Canvas::new(height, width);
        canvas.flat(path, [1.0; 3]);
        assert!(canvas.change.iter().all(|change| *change == 0.0), "the scratch is left clean");
        canvas.rgb.iter().map(|pixel| pixel[0]).collect()
    }

    fn close(got: &[f32], want: &[f32]) {
        assert!(got.len() == want.len() && got.iter().zip(want).all(|(a, b)| (a - b).abs() < 1e-5), "{got:?}");
    }

    #[test]
    fn pixels_are_covered_by_the_area_that_lies_in_them() {
        // A rectangle from (0.5, 0.25) to (2.5, 2): halves at its sides, three quarters in its first row.
        let rectangle = [[0.5, 0.25], [2.5, 0.25], [2.5, 2.0], [0.5, 2.0]];
        let want = [0.375, 0.75, 0.375, 0.0, 0.5, 1.0, 0.5, 0.0, 0.0, 0.0, 0.0, 0.0];
        close(&covered(3, 4, &rectangle), &want);
        let backwards: Vec<Point> = rectangle.into_iter().rev().collect();
        close(&covered(3, 4, &backwards), &want);
        // A triangle over half of 2 x 2 pixels, and one whose edge crosses several columns.
        close(&covered(2, 2, &[[0.0, 0.0], [2.0, 2.0], [0.0, 2.0]]), &[0.5, 0.0, 1.0, 0.5]);
        close(&covered(1, 4, &[[0.0, 0.0], [4.0, 1.0], [0.0, 1.0]]), &[0.875, 0.625, 0.375, 0.125]);
    }

    #[test]
    fn what_lies_outside_is_cut_off() {
        let all = [[-5.0, -5.0], [9.0, -5.0], [9.0, 9.0], [-5.0, 9.0]];
        close(&covered(2, 3, &all), &[1.0; 6]);
        close(&covered(2, 2, &[[-3.0, -3.0], [1.0, -3.0], [1.0, 1.5], [-3.0, 1.5]]), &[1.0, 0.0, 0.5, 0.0]);
        close(&covered(2, 2, &[[5.0, 0.0], [6.0, 0.0], [6.0, 2.0]]), &[0.0; 4]);
        close(&covered(2, 2, &[[0.0, -6.0], [2.0, -6.0], [2.0, -5.0]]), &[0.0; 4]);
    }

    #[test]
    fn an_ellipse_has_its_area() {
        let sum: f32 = covered(40, 50, &ellipse([25.0, 20.0], (20.0, 12.0), 0.05)).iter().sum();
        // A polygon of 28 corners lies 0.84 % inside.
        let want = std::f32::consts::PI * 20.0 * 12.0 * 0.9916;
        assert!((sum - want).abs() < 1.0, "{sum} for {want}");
    }
}
