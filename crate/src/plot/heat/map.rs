//! One heat map: enlarged to a photo, coloured, laid over it.

use super::super::ColourMap;
use crate::images::Pixels;
use crate::{Error, Result};

/// The longest side that a map is enlarged to, as a photo's.
const LONGEST_SIDE: usize = 20_000;

/// How strongly each place of a photo counts, on a grid that is usually coarser than the photo: `(H, W)`.
#[derive(Clone, Copy, Debug)]
pub struct HeatMap<'a> {
    /// `height * width` values, row by row from the top.
    pub values: &'a [f32],
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

/// Which numbers the colours of heat maps stand for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HeatScale<'a> {
    /// The colours from `low` to `high`.
    pub colours: ColourMap,
    /// What has the first colour, and all below.
    pub low: f32,
    /// What has the last colour, and all above.
    pub high: f32,
    /// What the numbers mean, for the legend.
    pub meaning: &'a str,
}

impl<'a> HeatScale<'a> {
    /// From 0 to 1, in viridis.
    pub fn unit(meaning: &'a str) -> Self {
        Self { colours: ColourMap::Viridis, low: 0.0, high: 1.0, meaning }
    }

    /// From -1 to 1, blue and red with white for 0: what speaks for one class and what for another.
    pub fn signed(meaning: &'a str) -> Self {
        Self { colours: ColourMap::Diverging, low: -1.0, high: 1.0, meaning }
    }

    pub(super) fn check(&self) -> Result<()> {
        if self.low < self.high && (self.high - self.low).is_finite() {
            return Ok(());
        }
        Err(Error::Plot(format!("a scale from {} to {}: it must rise from one number to another", self.low, self.high)))
    }

    /// The share of the way from the first colour to the last.
    fn share(&self, value: f32) -> f32 {
        (value - self.low) / (self.high - self.low)
    }

    /// The colour of a value.
    pub fn colour(&self, value: f32) -> [u8; 3] {
        self.colours.colour(self.share(value))
    }
}

impl HeatMap<'_> {
    /// The map at another size, `(height, width)`: bilinear between the centres of its places, and level beyond the outer
    /// ones, as PyTorch's `interpolate(mode="bilinear", align_corners=False)`.
    ///
    /// # Errors
    /// [`Error::Shape`] where the values are not `(H, W)`; [`Error::Setting`] where a new side is not in 1..=20,000;
    /// [`Error::Plot`] for a NaN or an infinity.
    pub fn resized(&self, height: usize, width: usize) -> Result<Vec<f32>> {
        self.check()?;
        if !(1..=LONGEST_SIDE).contains(&height) || !(1..=LONGEST_SIDE).contains(&width) {
            let (got, want) = (format!("{width}x{height}"), format!("each side must be in 1..={LONGEST_SIDE}"));
            return Err(Error::Setting { setting: "the new size of a heat map", got, want });
        }
        let columns: Vec<Between> = (0..width).map(|column| Between::new(column, self.width, width)).collect();
        let mut values = Vec::new();
        for row in 0..height {
            let rows = Between::new(row, self.height, height);
            let line = |row: usize| &self.values[row * self.width..(row + 1) * self.width];
            let (above, below) = (line(rows.first), line(rows.second));
            values.extend(columns.iter().map(|columns| rows.mix(columns.of(above), columns.of(below))));
        }
        Ok(values)
    }

    /// The photo with the map laid over it: `opacity` of the map's colour, 0 to 1, and the rest of the photo's.
    ///
    /// # Errors
    /// As for [`resized`](Self::resized), and [`Error::Shape`] where the photo has not the pixels it must have.
    pub fn over(&self, photo: &Pixels, scale: &HeatScale<'_>, opacity: f32) -> Result<Pixels> {
        scale.check()?;
        let mut shown = Pixels::new(photo.height, photo.width, photo.rgb.clone())?;
        let values = self.resized(photo.height, photo.width)?;
        let opacity = if opacity.is_nan() { 0.0 } else { opacity.clamp(0.0, 1.0) };
        for (pixel, value) in shown.rgb.chunks_exact_mut(3).zip(values) {
            for (tone, colour) in pixel.iter_mut().zip(scale.colour(value)) {
                let mixed = f32::from(*tone) + opacity * (f32::from(colour) - f32::from(*tone));
                *tone = mixed.round() as u8;
            }
        }
        Ok(shown)
    }

    /// The steps of a colour map at another size, in which each place keeps its edges.
    pub(super) fn steps(&self, scale: &HeatScale<'_>, height: usize, width: usize) -> Result<Vec<u8>> {
        self.check()?;
        let place = |index: usize| {
            let (row, column) = (index / width * self.height / height, index % width * self.width / width);
            self.values[row * self.width + column]
        };
        Ok((0..height * width).map(|index| (scale.share(place(index)) * 256.0) as u8).collect())
    }

    /// Where the map is strongest and how far it reaches, for those who cannot see it.
    pub(super) fn in_words(&self, scale: &HeatScale<'_>) -> String {
        let values = || self.values.iter().enumerate();
        let most = values().max_by(|a, b| a.1.total_cmp(b.1)).filter(|(_, value)| **value > 0.0);
        let least = values().min_by(|a, b| a.1.total_cmp(b.1)).filter(|(_, value)| **value < 0.0);
        let middle = scale.low + (scale.high - scale.low) / 2.0;
        let above = self.values.iter().filter(|value| **value > middle).count();
        let reach = 100.0 * above as f64 / self.values.len().max(1) as f64;
        let parts = [
            most.map(|(at, value)| format!("strongest, {value:.2}, {}", self.place(at))),
            least.map(|(at, value)| format!("lowest, {value:.2}, {}", self.place(at))),
            (most.is_some() || least.is_some()).then(|| format!("above {middle} on {reach:.0} % of the photo")),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        if parts.is_empty() { "zero everywhere".to_owned() } else { parts.join("; ") }
    }

    fn place(&self, at: usize) -> String {
        let percent = |index: usize, count: usize| 100.0 * (index as f64 + 0.5) / count as f64;
        let width = self.width.max(1);
        let (left, top) = (percent(at % width, width), percent(at / width, self.height));
        format!("at {left:.0} % from the left and {top:.0} % from the top")
    }

    pub(super) fn check(&self) -> Result<()> {
        if self.values.is_empty() || self.height.checked_mul(self.width) != Some(self.values.len()) {
            let want = format!("({}, {}), not empty", self.height, self.width);
            return Err(Error::shape("a heat map", want, &[self.values.len()]));
        }
        if self.values.iter().any(|value| !value.is_finite()) {
            return Err(Error::Plot("a heat map holds a value that is no number".to_owned()));
        }
        Ok(())
    }
}

/// Where a new row or column lies among the old ones.
struct Between {
    first: usize,
    second: usize,
    /// How far from the first to the second, 0 to 1.
    share: f32,
}

impl Between {
    fn new(index: usize, from: usize, to: usize) -> Self {
        let place = ((index as f64 + 0.5) * from as f64 / to as f64 - 0.5).max(0.0);
        let first = (place as usize).min(from - 1);
        Self { first, second: (first + 1).min(from - 1), share: (place - first as f64) as f32 }
    }

    fn of(&self, line: &[f32]) -> f32 {
        self.mix(line[self.first], line[self.second])
    }

    fn mix(&self, first: f32, second: f32) -> f32 {
        first + self.share * (second - first)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn enlarging_agrees_with_pytorch() {
        let numbers =
            |text: &str| -> Vec<f32> { text.split_whitespace().map(|number| number.parse().unwrap()).collect() };
        let golden = include_str!("../../../tests/golden/heat.txt");
        let mut seen = 0;
        for line in golden.lines().filter(|line| !line.starts_with('#')) {
            let (sizes, rest) = line.split_once(": ").unwrap();
            let (values, want) = rest.split_once("; ").unwrap();
            let sizes: Vec<usize> = sizes.split(' ').map(|number| number.parse().unwrap()).collect();
            let map = HeatMap { values: &numbers(values), height: sizes[0], width: sizes[1] };
            let (got, want) = (map.resized(sizes[2], sizes[3]).unwrap(), numbers(want));
            assert_eq!(got.len(), want.len(), "{sizes:?}");
            let worst = got.iter().zip(&want).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(worst < 1e-6, "{sizes:?}: off by {worst}; make_heat.py beside the golden file remakes it");
            seen += 1;
        }
        assert_eq!(seen, 6, "the golden file has lost its lines");
    }

    /// 0.4 of viridis' ends, (68, 1, 84) and (253, 231, 36), and 0.6 of a grey of 100.
    #[test]
    fn the_photo_shows_through() {
        let photo = Pixels::new(1, 2, vec![100; 6]).unwrap();
        let map = HeatMap { values: &[0.0, 1.0], height: 1, width: 2 };
        let over = map.over(&photo, &HeatScale::unit(""), 0.4).unwrap();
        assert_eq!(over.rgb, [87, 60, 94, 161, 152, 74]);
        assert!(map.over(&photo, &HeatScale::unit(""), 0.0).unwrap() == photo);
        assert!(map.over(&photo, &HeatScale::unit(""), f32::NAN).unwrap() == photo);
        let all = map.over(&photo, &HeatScale::signed(""), 7.0).unwrap();
        assert_eq!(all.rgb[3..], [200, 30, 30]);
    }

    #[test]
    fn what_it_says_in_words_is_where_it_is_strongest() {
        let map = HeatMap { values: &[0.0, 0.2, 0.1, 0.3, 1.0, 0.6, 0.0, 0.0], height: 2, width: 4 };
        let want = "strongest, 1.00, at 12 % from the left and 75 % from the top; above 0.5 on 25 % of the photo";
        assert_eq!(map.in_words(&HeatScale::unit("")), want);
        let signed = HeatMap { values: &[-0.5, 0.5], height: 1, width: 2 };
        let want = "strongest, 0.50, at 75 % from the left and 50 % from the top; lowest, -0.50, at 25 % from the left and \
                    50 % from the top; above 0 on 50 % of the photo";
        assert_eq!(signed.in_words(&HeatScale::signed("")), want);
        let nothing = HeatMap { values: &[0.0; 4], height: 2, width: 2 };
        assert_eq!(nothing.in_words(&HeatScale::unit("")), "zero everywhere");
    }

    #[test]
    fn alone_each_place_keeps_its_edges() {
        let map = HeatMap { values: &[0.0, 0.5, 1.0, 2.0], height: 2, width: 2 };
        let steps = map.steps(&HeatScale::unit(""), 3, 4).unwrap();
        assert_eq!(steps, [0, 0, 128, 128, 0, 0, 128, 128, 255, 255, 255, 255]);
    }

    #[test]
    fn maps_and_scales_that_are_none_are_errors() {
        let photo = Pixels::new(1, 1, vec![0; 3]).unwrap();
        for (values, height, width) in [(&[0.0; 4][..], 2, 3), (&[], 0, 0), (&[], 0, 3), (&[0.0; 2], usize::MAX, 2)] {
            let map = HeatMap { values, height, width };
            assert!(matches!(map.resized(2, 2), Err(Error::Shape { .. })), "{height} x {width}");
        }
        let map = HeatMap { values: &[0.0, f32::NAN], height: 1, width: 2 };
        assert!(matches!(map.resized(2, 2), Err(Error::Plot(_))));
        let map = HeatMap { values: &[0.0], height: 1, width: 1 };
        assert!(map.resized(0, 2).is_err());
        for (low, high) in [(1.0, 1.0), (1.0, 0.0), (0.0, f32::NAN), (f32::NEG_INFINITY, 0.0)] {
            let scale = HeatScale { low, high, ..HeatScale::unit("") };
            assert!(map.over(&photo, &scale, 0.4).is_err(), "{low} to {high}");
        }
        let lying = Pixels { height: 3, width: 3, rgb: vec![0; 3] };
        assert!(map.over(&lying, &HeatScale::unit(""), 0.4).is_err());
    }
}
