//! How faithful a heat map is: what becomes of the answer as the places that it marks go, or come.

use super::axes::PANEL;
use super::curves::{Across, drawn};
use super::{Panel, text};
use crate::notebook::Picture;
use crate::{Error, Result};

/// The area under values that stand at even steps from 0 to 1, by trapezia: 0 to 1 for probabilities.
///
/// Nothing for less than two values, or a value that is no number.
pub fn area(values: &[f64]) -> Option<f64> {
    let steps = values.len().checked_sub(1).filter(|steps| *steps > 0)?;
    let area = values.windows(2).map(|pair| (pair[0] + pair[1]) / 2.0).sum::<f64>() / steps as f64;
    area.is_finite().then_some(area)
}

/// Two curves of a class's probability, at even steps from no pixel to all: `deletion` takes those away that the heat map
/// marks strongest, `insertion` brings them in first. The legend has their areas: a faithful map's deletion falls early, its
/// insertion rises early.
///
/// # Errors
/// [`Error::Plot`] for less than two values in a curve, or one that is no number.
pub fn deletion_and_insertion(deletion: &[f64], insertion: &[f64], title: &str) -> Result<Picture> {
    let area = |what: &str, values: &[f64]| {
        let why = || Error::Plot(format!("{what}: {} values, of which two or more must be numbers all", values.len()));
        area(values).ok_or_else(why)
    };
    let (gone, come) = (area("deletion", deletion)?, area("insertion", insertion)?);
    let names = [format!("deletion (area {gone:.2})"), format!("insertion (area {come:.2})")];
    let ends =
        |values: &[f64]| format!("{:.2} to {:.2}", values.first().unwrap_or(&0.0), values.last().unwrap_or(&0.0));
    let alt = format!(
        "{title}. The probability as the strongest places go, from {}, area {gone:.2}; and as they come, from {}, area {come:.2}",
        ends(deletion),
        ends(insertion)
    );
    let lines = vec![deletion.to_vec(), insertion.to_vec()];
    // The title has one line, as wide as the panel.
    let title = text::wrap(title, f64::from(PANEL.0 - 28) / 16.0, 1).pop().unwrap_or_default();
    let panel = Panel { title: &title, quantity: "probability", bounds: (0.0, 1.0), lines };
    let across = Across::Shares("share of the pixels deleted or inserted");
    drawn(&names.each_ref().map(String::as_str), &[panel], across, &alt)
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

    #[test]
    fn the_legend_has_the_areas_and_the_axis_the_shares() {
        let picture = deletion_and_insertion(&[0.8, 0.2, 0.0], &[0.0, 0.6, 0.7, 0.7], "cat & <dog>").unwrap();
        let words = "cat & <dog>. The probability as the strongest places go, from 0.80 to 0.00, area 0.30; and as they come, \
                     from 0.00 to 0.70, area 0.55";
        assert_eq!(picture.alt(), words);
        let svg = svg(picture);
        for text in ["deletion (area 0.30)", "insertion (area 0.55)", "0 %", "100 %", "probability"] {
            assert_eq!(svg.matches(&format!("\n{text}\n")).count(), 1, "{text}");
        }
        assert!(svg.contains("cat &amp; &lt;dog&gt;") && !svg.contains("epoch") && !svg.contains("NaN"));
        // Both curves reach from the left end to the right, however many steps they have.
        let ends: Vec<(i32, i32)> =
            (svg.lines().filter(|line| line.starts_with("<polyline") && line.contains("stroke-width=\"2\"")))
                .filter(|line| line.matches(',').count() > 2)
                .map(|line| {
                    let points = line.split("points=\"").nth(1).unwrap().split('"').next().unwrap().trim();
                    let x: Vec<i32> =
                        points.split(' ').map(|point| point.split(',').next().unwrap().parse().unwrap()).collect();
                    (x[0], x[x.len() - 1])
                })
                .collect();
        assert_eq!(ends.len(), 2);
        assert_eq!(ends[0], ends[1]);
    }

    #[test]
    fn title_and_legend_fit_the_picture() {
        let svg = svg(deletion_and_insertion(&[1.0, 1.0], &[1.0, 1.0], &"W".repeat(200)).unwrap());
        let cut = svg.lines().find(|line| line.starts_with("WW")).unwrap();
        assert!(text::width(cut) * 16.0 < f64::from(PANEL.0) && cut.ends_with('…'));
        let legend = ["deletion (area 1.00)", "insertion (area 1.00)"].map(|name| text::width(name) * 13.0 + 68.0);
        assert!(legend.iter().sum::<f64>() < f64::from(PANEL.0), "{legend:?}");
    }

    #[test]
    fn curves_without_numbers_are_errors() {
        let good = [0.1, 0.2];
        for bad in [&[][..], &[0.5], &[0.5, f64::NAN], &[f64::INFINITY, 0.0]] {
            assert!(deletion_and_insertion(bad, &good, "").is_err() && deletion_and_insertion(&good, bad, "").is_err());
        }
    }
}
