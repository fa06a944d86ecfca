//! What charts share: the picture around them, axes with round ticks, marks and a legend.

use super::{Colour, INK};
use crate::Result;
use crate::notebook::Picture;
use crate::notebook::display::escape;
use plotters::coord::Shift;
use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint, Ranged};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use std::ops::Range;

pub(super) type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

pub(super) const PANEL: (u32, u32) = (480, 330);
pub(super) const LEGEND: u32 = 36;
/// Height of what stands below the axes.
pub(super) const BELOW: u32 = 42;

pub(super) fn colour((red, green, blue): Colour) -> RGBColor {
    RGBColor(red, green, blue)
}

pub(super) fn font(size: f64) -> TextStyle<'static> {
    // Plotters writes its size divided by 1.24.
    ("sans-serif", size * 1.24).into_font().color(&colour(INK))
}

pub(super) type Drawn = Result<(), DrawingAreaErrorKind<std::io::Error>>;

/// A picture of what plotters drew, which writes no words for screen readers.
pub(super) fn finished(svg: &str, alt: &str) -> Picture {
    let words = escape(alt);
    let svg = svg.replacen("<svg ", &format!("<svg role=\"img\" aria-label=\"{words}\" "), 1);
    let svg = svg.replacen(">\n", &format!(">\n<desc>{words}</desc>\n"), 1);
    Picture::Svg { svg, alt: alt.to_owned() }
}

/// An axis that has its ticks exactly where it is told.
pub(super) struct Axis {
    pub low: f64,
    pub high: f64,
    pub ticks: Vec<f64>,
}

impl Ranged for Axis {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, (start, end): (i32, i32)) -> i32 {
        start + (f64::from(end - start) * (value - self.low) / (self.high - self.low)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        if hint.weight().allow_light_points() { Vec::new() } else { self.ticks.clone() }
    }

    fn range(&self) -> Range<f64> {
        self.low..self.high
    }
}

/// A mark on the whole picture.
pub(super) fn draw_mark(root: &Area<'_>, (x, y): (i32, i32), tone: Colour, shape: Shape) -> Drawn {
    let fill = colour(tone).filled();
    match shape {
        Shape::Circle => root.draw(&Circle::new((x, y), 4, fill)),
        Shape::Triangle => root.draw(&Polygon::new([(x, y - 5), (x - 5, y + 4), (x + 5, y + 4)], fill)),
        Shape::Square => root.draw(&Rectangle::new([(x - 4, y - 4), (x + 4, y + 4)], fill)),
        Shape::Diamond => root.draw(&Polygon::new([(x, y - 5), (x - 5, y), (x, y + 5), (x + 5, y)], fill)),
    }
}

/// Names in one row in the middle, each beside a stretch of its line, with its mark where lines have marks.
pub(super) fn draw_legend(root: &Area<'_>, width: u32, names: &[&str], styles: &[(Colour, Option<Shape>)]) -> Drawn {
    const SIZE: f64 = 13.0;
    let entry = |name: &str| 44 + (super::text::width(name) * SIZE).ceil() as i32 + 24;
    let mut x = (width as i32 - names.iter().map(|name| entry(name)).sum::<i32>()).max(0) / 2;
    let y = (PANEL.1 + LEGEND / 2) as i32 - 4;
    for (name, &(tone, shape)) in names.iter().zip(styles) {
        root.draw(&PathElement::new([(x, y), (x + 34, y)], colour(tone).stroke_width(2)))?;
        if let Some(shape) = shape {
            draw_mark(root, (x + 17, y), tone, shape)?;
        }
        let style = font(SIZE).pos(Pos::new(HPos::Left, VPos::Center));
        root.draw(&Text::new((*name).to_owned(), (x + 42, y), style))?;
        x += entry(name);
    }
    Ok(())
}

/// The lowest and the highest value to show, and the step between ticks: 1, 2 or 5 times a power of ten.
///
/// Values stand a little off the edges; beyond what they can be there is no more room than that.
pub(super) fn scale(values: impl Iterator<Item = f64>, bounds: (f64, f64)) -> (f64, f64, f64) {
    let extend = |(low, high): (f64, f64), value: f64| (low.min(value), high.max(value));
    let (least, most) = values.fold((f64::INFINITY, f64::NEG_INFINITY), extend);
    // A flat line is shown at a scale that makes it look flat.
    let flat = most - least <= 1e-6 * most.abs().max(1e-6);
    let span = if flat { (0.1 * most.abs()).max(0.01) } else { most - least };
    let (low, high) = if flat { (most - span / 2.0, most + span / 2.0) } else { (least, most) };
    let margin = 0.06 * span;
    let (low, high) = ((low - margin).max(bounds.0 - margin), (high + margin).min(bounds.1 + margin));
    (low, high, nice((high - low) / 6.0))
}

/// The least of 1, 2, 5, 10 times a power of ten that is not, or hardly, below `step`.
pub(super) fn nice(step: f64) -> f64 {
    let power = 10_f64.powf(step.log10().floor());
    [1.0, 2.0, 5.0].into_iter().map(|factor| factor * power).find(|nice| *nice > 0.9 * step).unwrap_or(10.0 * power)
}

/// Multiples of `step` from `low` to `high`.
pub(super) fn ticks(low: f64, high: f64, step: f64) -> Vec<f64> {
    // A bound may be a tick itself, rounding or not.
    let first = (low / step - 1e-6).ceil();
    let count = ((high / step + 1e-6).floor() - first).clamp(0.0, 50.0) as usize;
    (0..=count).map(|index| (first + index as f64) * step).collect()
}

#[derive(Clone, Copy)]
pub(super) enum Shape {
    Circle,
    Triangle,
    Square,
    Diamond,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_have_round_ticks_inside_their_bounds() {
        type Case<'a> = (&'a str, &'a [f64], (f64, f64), &'a [f64]);
        let cases: [Case<'_>; 5] = [
            ("lesson", &[0.9132, 0.992, 0.984], (0.0, 1.0), &[0.92, 0.94, 0.96, 0.98]),
            ("up to one", &[0.5, 1.0], (0.0, 1.0), &[0.5, 0.6, 0.7, 0.8, 0.9, 1.0]),
            ("all one", &[1.0, 1.0], (0.0, 1.0), &[0.95, 0.96, 0.97, 0.98, 0.99, 1.0]),
            ("loss gone", &[1e-7, 1e-7], (0.0, f64::INFINITY), &[0.0, 0.001, 0.002, 0.003, 0.004, 0.005]),
            ("large", &[12_000.0, 700.0], (0.0, f64::INFINITY), &[2000.0, 4000.0, 6000.0, 8000.0, 10_000.0, 12_000.0]),
        ];
        for (what, values, bounds, want) in cases {
            let (low, high, step) = scale(values.iter().copied(), bounds);
            assert!(values.iter().all(|value| (low..=high).contains(value)), "{what}: {low} to {high}");
            let got = ticks(low.max(bounds.0), high.min(bounds.1), step);
            let near =
                got.len() == want.len() && got.iter().zip(want).all(|(a, b)| (a - b).abs() < 1e-9 * b.abs().max(1.0));
            assert!(near, "{what}: {got:?}");
        }
    }
}
