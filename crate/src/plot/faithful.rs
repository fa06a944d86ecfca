//! How faithful a heat map is: what becomes of the answer as the places that it marks go, or come.

use super::axes::PANEL;
use super::curves::{Across, Band, drawn};
use super::{Panel, text};
use crate::notebook::Picture;
use crate::{Error, Result};

/// Room for the vertical axis' name, in its font sizes.
const PROBABILITY: f64 = 18.0;
/// Room for the map's name in the legend, in its font sizes.
const MAP: f64 = 34.0;

/// The area under values that stand at even steps from 0 to 1, by trapezia: 0 to 1 for probabilities.
///
/// Nothing for less than two values, or a value that is no number.
pub fn area(values: &[f64]) -> Option<f64> {
    let steps = values.len().checked_sub(1).filter(|steps| *steps > 0)?;
    let area = values.windows(2).map(|pair| (pair[0] + pair[1]) / 2.0).sum::<f64>() / steps as f64;
    area.is_finite().then_some(area)
}

/// A class's probability at even steps from no pixel to all, in the order of a heat map and beside it in that of random maps.
#[derive(Clone, Copy, Debug)]
pub struct Beside<'a> {
    /// In the order of the map.
    pub map: &'a [f64],
    /// In the order of each random map, with as many steps; there may be none.
    pub random: &'a [Vec<f64>],
}

impl Beside<'_> {
    fn check(&self, what: &str) -> Result<()> {
        let curves = || std::iter::once(self.map).chain(self.random.iter().map(Vec::as_slice));
        if curves().any(|curve| area(curve).is_none()) {
            return Err(Error::Plot(format!(
                "{what}: each curve has two values or more, and they must be numbers all"
            )));
        }
        if curves().any(|curve| curve.len() != self.map.len()) {
            return Err(Error::Plot(format!("{what}: the curves of random maps have as many values as the map's")));
        }
        Ok(())
    }

    /// At each step, `of` the values of the random maps; none where there are no such maps.
    fn across(&self, of: impl Fn(&mut dyn Iterator<Item = f64>) -> f64) -> Option<Vec<f64>> {
        let at = |step| of(&mut self.random.iter().filter_map(|curve| curve.get(step)).copied());
        (!self.random.is_empty()).then(|| (0..self.map.len()).map(at).collect())
    }

    fn mean(&self) -> Option<Vec<f64>> {
        self.across(|values| values.sum::<f64>() / self.random.len() as f64)
    }

    fn range(&self) -> Option<Band> {
        let low = self.across(|values| values.fold(f64::INFINITY, f64::min))?;
        Some(Band { low, high: self.across(|values| values.fold(f64::NEG_INFINITY, f64::max))? })
    }

    /// `area 0.53, random 0.70 to 0.85`.
    fn areas(&self) -> String {
        let own = format!("area {:.2}", area(self.map).unwrap_or(f64::NAN));
        let random: Vec<f64> = self.random.iter().filter_map(|curve| area(curve)).collect();
        match (random.iter().copied().reduce(f64::min), random.iter().copied().reduce(f64::max)) {
            (Some(least), Some(most)) => format!("{own}, random {least:.2} to {most:.2}"),
            _ => own,
        }
    }

    /// `from 1.00 to 0.25, area 0.53, random 0.70 to 0.85`.
    fn in_words(&self) -> String {
        let (first, last) = (self.map.first().unwrap_or(&0.0), self.map.last().unwrap_or(&0.0));
        format!("from {first:.2} to {last:.2}, {}", self.areas())
    }
}

/// A class's probability, at even steps from no pixel to all: `deletion` takes those away that the heat map marks strongest,
/// `insertion` brings them in first. A faithful map's deletion falls early, its insertion rises early. Beside the map's own
/// curve stands the mean of the random maps', and their range at each step is shaded; the titles have the areas.
///
/// # Errors
/// [`Error::Plot`] for less than two values in a curve, one that is no number, or random maps with other steps.
pub fn deletion_and_insertion(deletion: Beside<'_>, insertion: Beside<'_>, class: &str, how: &str) -> Result<Picture> {
    deletion.check("deletion")?;
    insertion.check("insertion")?;
    let maps = deletion.random.len();
    if insertion.random.len() != maps {
        let got = format!("{maps} of deletion and {} of insertion", insertion.random.len());
        return Err(Error::Plot(format!("the random maps must be the same for both, and got {got}")));
    }
    let alt = format!(
        "{class}: {how}. The probability as the strongest places go, {}; and as they come, {}{}",
        deletion.in_words(),
        insertion.in_words(),
        if maps == 0 { "" } else { "; the range of the random maps is shaded" }
    );
    let quantity = cut(&format!("probability of {class}"), PROBABILITY);
    let titles = [("Deletion", &deletion), ("Insertion", &insertion)]
        .map(|(what, curves)| cut(&format!("{what}: {}", curves.areas()), f64::from(PANEL.0 - 28) / 16.0));
    let panels = [(&titles[0], &deletion), (&titles[1], &insertion)].map(|(title, curves)| {
        let lines = std::iter::once(curves.map.to_vec()).chain(curves.mean()).collect();
        Panel { title, quantity: &quantity, bounds: (0.0, 1.0), lines }
    });
    let names = [cut(how, MAP), format!("{maps} random maps: mean, and range shaded")];
    let names: Vec<&str> = names.iter().map(String::as_str).take(panels[0].lines.len()).collect();
    let bands: Vec<Band> = [&deletion, &insertion].into_iter().filter_map(Beside::range).collect();
    drawn(&names, &panels, &bands, Across::Shares("share of the pixels deleted or inserted"), &alt)
}

/// One line of at most so many font sizes.
fn cut(words: &str, room: f64) -> String {
    text::wrap(words, room, 1).pop().unwrap_or_default()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::apart::svg;
    use super::*;

    #[test]
    fn areas_are_of_trapezia() {
        let cases = [
            (&[1.0, 1.0, 1.0][..], Some(1.0)),
            (&[1.0, 0.0], Some(0.5)),
            (&[0.8, 0.2, 0.0], Some(0.3)),
            (&[0.5], None),
            (&[], None),
            (&[0.5, f64::NAN], None),
        ];
        for (values, want) in cases {
            let got = area(values);
            assert!(got == want || (got.unwrap() - want.unwrap()).abs() < 1e-12, "{values:?}: {got:?}");
        }
    }

    const RANDOM: [[f64; 3]; 2] = [[0.8, 0.6, 0.0], [0.8, 0.4, 0.2]];

    fn beside<'a>(map: &'a [f64], random: &'a [Vec<f64>]) -> Beside<'a> {
        Beside { map, random }
    }

    /// The points of polylines and polygons that begin so.
    fn points(svg: &str, begins: &str, holds: &str) -> Vec<Vec<(i32, i32)>> {
        let point = |point: &str| point.split_once(',').map(|(x, y)| (x.parse().unwrap(), y.parse().unwrap()));
        (svg.lines().filter(|line| line.starts_with(begins) && line.contains(holds)))
            .map(|line| line.split("points=\"").nth(1).unwrap().split('"').next().unwrap().trim())
            .map(|points| points.split(' ').filter_map(point).collect::<Vec<_>>())
            .filter(|points| points.len() > 2)
            .collect()
    }

    #[test]
    fn both_tests_have_their_areas_beside_those_of_random_maps() {
        let random = RANDOM.map(Vec::from);
        let (gone, come) = ([0.8, 0.2, 0.0], [0.0, 0.6, 0.7]);
        let picture =
            deletion_and_insertion(beside(&gone, &random), beside(&come, &random), "cat & <dog>", "Grad-CAM").unwrap();
        let words = "cat & <dog>: Grad-CAM. The probability as the strongest places go, from 0.80 to 0.00, area 0.30, random \
                     0.45 to 0.50; and as they come, from 0.00 to 0.70, area 0.47, random 0.45 to 0.50; the range of the random \
                     maps is shaded";
        assert_eq!(picture.alt(), words);
        let svg = svg(picture);
        for (text, count) in [
            ("Deletion: area 0.30, random 0.45 to 0.50", 1),
            ("Insertion: area 0.47, random 0.45 to 0.50", 1),
            ("Grad-CAM", 1),
            ("2 random maps: mean, and range shaded", 1),
            ("probability of cat &amp; &lt;dog&gt;", 2),
            ("0 %", 2),
            ("100 %", 2),
        ] {
            assert_eq!(svg.matches(&format!("\n{text}\n")).count(), count, "{text}");
        }
        assert!(!svg.contains("epoch") && !svg.contains("NaN"));
    }

    /// Curves between .4 and .6 stand in the middle, and do not seem to reach the ends.
    #[test]
    fn an_area_is_seen_from_nothing_to_all() {
        let picture = deletion_and_insertion(beside(&[0.6, 0.4], &[]), beside(&[0.4, 0.6], &[]), "cat", "CAM").unwrap();
        let svg = svg(picture);
        assert_eq!(["0.0", "1.0"].map(|tick| svg.matches(&format!("\n{tick}\n")).count()), [2, 2]);
    }

    /// Three steps: all begin at .8, in the middle the range is .4 to .6 with its mean halfway, at the end 0 to .2.
    #[test]
    fn the_band_holds_every_random_curve_and_the_line_is_their_mean() {
        let random = RANDOM.map(Vec::from);
        let map = [0.8, 0.2, 0.0];
        let svg = svg(deletion_and_insertion(beside(&map, &random), beside(&map, &random), "", "").unwrap());
        let (bands, lines) =
            (points(&svg, "<polygon", "opacity=\"0.2\""), points(&svg, "<polyline", "stroke-width=\"2\""));
        assert_eq!((bands.len(), lines.len()), (2, 4), "a band a panel, and two lines");
        let (band, own, mean) = (&bands[0], &lines[0], &lines[1]);
        // Below from left to right, above from right to left.
        let [begin, low, low_end, high_end, high, begin_again] = band[..6] else { panic!("{band:?}") };
        assert_eq!([begin, begin_again], [own[0], own[0]]);
        assert!(low.1 > mean[1].1 && mean[1].1 > high.1, "{band:?} around {mean:?}");
        assert!((low.1 + high.1 - 2 * mean[1].1).abs() <= 1 && (low_end.1 + high_end.1 - 2 * mean[2].1).abs() <= 1);
        assert_eq!([low_end, own[2]], [own[2]; 2]);
        // All reach from the left end to the right.
        assert!(lines[..2].iter().all(|line| (line[0].0, line[2].0) == (begin.0, low_end.0)));
    }

    #[test]
    fn without_random_maps_there_is_one_line() {
        let picture = deletion_and_insertion(beside(&[1.0, 0.0], &[]), beside(&[0.0, 1.0], &[]), "cat", "CAM").unwrap();
        assert!(picture.alt().ends_with("and as they come, from 0.00 to 1.00, area 0.50"), "{}", picture.alt());
        let svg = svg(picture);
        assert!(!svg.contains("random") && points(&svg, "<polygon", "opacity=\"0.2\"").is_empty());
    }

    #[test]
    fn titles_and_legend_fit_the_picture() {
        let (curve, random) = ([1.0, 1.0], vec![vec![1.0, 1.0]; 99]);
        let (long, curves) = ("W".repeat(200), beside(&curve, &random));
        let svg = svg(deletion_and_insertion(curves, curves, &long, &long).unwrap());
        let cut: Vec<&str> = svg.lines().filter(|line| line.ends_with('…')).collect();
        assert_eq!(cut[..2], ["probability of…"; 2], "{cut:?}");
        assert!(cut.len() == 3 && cut[2].starts_with("WW") && text::width(cut[2]) <= MAP, "{cut:?}");
        let title = svg.lines().find(|line| line.starts_with("Insertion: ")).unwrap();
        assert!(text::width(title) * 16.0 < f64::from(PANEL.0) && title.ends_with("random 1.00 to 1.00"), "{title}");
        let legend = MAP * 13.0 + text::width("99 random maps: mean, and range shaded") * 13.0 + 2.0 * 68.0;
        assert!(legend < f64::from(2 * PANEL.0), "{legend}");
        assert!(PROBABILITY * 13.0 < f64::from(PANEL.1 - super::super::axes::BELOW));
    }

    #[test]
    fn curves_without_numbers_are_errors() {
        let (good, random) = ([0.1, 0.2], vec![vec![0.3, 0.4]]);
        let refused = |one: Beside<'_>, other: Beside<'_>| {
            deletion_and_insertion(one, other, "", "").is_err() && deletion_and_insertion(other, one, "", "").is_err()
        };
        let right = beside(&good, &random);
        assert!(!refused(right, right));
        for bad in [&[][..], &[0.5], &[0.5, f64::NAN], &[f64::INFINITY, 0.0]] {
            assert!(refused(beside(bad, &random), right) && refused(beside(&good, &[bad.to_vec()]), right), "{bad:?}");
        }
        assert!(refused(beside(&good, &[vec![0.1, 0.2, 0.3]]), right), "other steps");
        assert!(refused(beside(&good, &[]), right), "other maps");
    }
}
