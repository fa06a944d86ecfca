//! A loss over the learning rate, on a logarithmic axis.

use super::axes::{
    Area, Axis, BELOW, Drawn, LEGEND, PANEL, Shape, colour, draw_legend, draw_mark, finished, font, scale, ticks,
};
use super::{BLUE, ORANGE};
use crate::notebook::Picture;
use crate::{Error, Result};
use plotters::prelude::*;

/// Losses over the learning rates that they were met at, and the rate that is suggested.
///
/// # Errors
/// [`Error::Plot`] for no point that can be drawn.
pub fn over_learning_rates(rates: &[f64], losses: &[f64], suggestion: Option<f64>, alt: &str) -> Result<Picture> {
    let points: Vec<(f64, f64)> = (rates.iter().zip(losses))
        .filter(|(rate, loss)| **rate > 0.0 && rate.is_finite() && loss.is_finite())
        .map(|(rate, loss)| (rate.log10(), *loss))
        .collect();
    if points.is_empty() {
        return Err(Error::Plot("no learning rate was tried, so there is no curve".to_owned()));
    }
    let mut svg = String::new();
    let suggestion = suggestion.filter(|rate| *rate > 0.0 && rate.is_finite());
    draw(&mut svg, &points, suggestion).map_err(|error| Error::Plot(error.to_string()))?;
    Ok(finished(&svg, alt))
}

fn draw(svg: &mut String, points: &[(f64, f64)], suggestion: Option<f64>) -> Drawn {
    let root = SVGBackend::with_string(svg, (PANEL.0, PANEL.1 + LEGEND)).into_drawing_area();
    root.fill(&WHITE)?;
    let (above, _) = root.split_vertically(PANEL.1);
    draw_curve(&root, &above, points, suggestion)?;
    let suggested = suggestion.map(|rate| format!("suggestion: {rate:.1e}"));
    let names: Vec<&str> = std::iter::once("loss, smoothed").chain(suggested.as_deref()).collect();
    draw_legend(&root, PANEL.0, &names, &[(BLUE, Some(Shape::Circle)), (ORANGE, Some(Shape::Diamond))])?;
    root.present()
}

fn draw_curve(root: &Area<'_>, area: &Area<'_>, points: &[(f64, f64)], suggestion: Option<f64>) -> Drawn {
    let ends = |(low, high): (f64, f64), (x, _): &(f64, f64)| (low.min(*x), high.max(*x));
    let (left, right) = points.iter().fold((f64::INFINITY, f64::NEG_INFINITY), ends);
    let (low, high, step) = scale(points.iter().map(|(_, loss)| *loss), (0.0, f64::INFINITY));
    let decimals = (-step.log10()).ceil().max(0.0) as usize;
    let mut chart = ChartBuilder::on(area)
        .margin(8)
        .margin_right(20)
        .caption("Loss by Learning Rate", font(16.0))
        .x_label_area_size(BELOW)
        .y_label_area_size(64)
        .build_cartesian_2d(
            Axis { low: left - 0.2, high: right + 0.2, ticks: ticks(left, right, 1.0) },
            Axis { low, high, ticks: ticks(low.max(0.0), high, step) },
        )?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(RGBColor(225, 225, 225))
        .axis_style(RGBColor(120, 120, 120))
        .x_desc("learning rate")
        .y_desc("loss")
        .x_label_formatter(&|decade| format!("1e{decade:.0}"))
        .y_label_formatter(&|value| format!("{value:.decimals$}"))
        .label_style(font(12.0))
        .axis_desc_style(font(13.0))
        .draw()?;
    chart.draw_series(LineSeries::new(points.iter().copied(), colour(BLUE).stroke_width(2)))?;
    let Some(at) = suggestion.map(f64::log10) else { return Ok(()) };
    chart.draw_series(LineSeries::new([(at, low), (at, high)], colour(ORANGE).stroke_width(1)))?;
    let nearest = |a: &&(f64, f64), b: &&(f64, f64)| (a.0 - at).abs().total_cmp(&(b.0 - at).abs());
    match points.iter().min_by(nearest) {
        Some(point) => draw_mark(root, chart.backend_coord(point), ORANGE, Shape::Diamond),
        None => Ok(()),
    }
}
