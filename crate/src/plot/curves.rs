//! Curves over epochs: panels side by side, one legend beneath them all.

use super::axes::{
    Area, Axis, BELOW, Drawn, LEGEND, PANEL, Shape, colour, draw_legend, draw_mark, finished, font, nice, scale, ticks,
};
use super::{BLUE, Colour, GREEN, ORANGE, PURPLE};
use crate::notebook::Picture;
use crate::{Error, Result};
use plotters::prelude::*;

/// One set of axes with its lines.
#[derive(Clone, Debug, PartialEq)]
pub struct Panel<'a> {
    /// What stands above it.
    pub title: &'a str,
    /// What its values are: the vertical axis' name.
    pub quantity: &'a str,
    /// The least and the most that a value can be: the axis has no ticks beyond.
    pub bounds: (f64, f64),
    /// Its lines: a value for every epoch, from 1. What is not finite leaves a gap.
    pub lines: Vec<Vec<f64>>,
}

/// How dark a band is.
const SHADE: f64 = 0.2;
/// Marks on every epoch crowd a long line.
const MARKED: usize = 30;

/// Panels side by side. The lines of each are named `names`, in order, by one legend below, where it covers none.
///
/// # Errors
/// [`Error::Plot`] for no panels, more than four lines, another number of lines than of names, or lines without values.
pub fn curves(names: &[&str], panels: &[Panel<'_>], alt: &str) -> Result<Picture> {
    drawn(names, panels, &[], Across::Epochs, alt)
}

/// The range of the values around the last line of a panel, as many as the line has.
pub(super) struct Band {
    pub low: Vec<f64>,
    pub high: Vec<f64>,
}

/// As [`curves`], over epochs or something else; with a band shaded in each panel that has one.
pub(super) fn drawn(
    names: &[&str],
    panels: &[Panel<'_>],
    bands: &[Band],
    across: Across,
    alt: &str,
) -> Result<Picture> {
    check(names, panels)?;
    let size = (PANEL.0 * panels.len() as u32, PANEL.1 + LEGEND);
    let mut svg = String::new();
    draw(&mut svg, size, names, (panels, bands), across).map_err(|error| Error::Plot(error.to_string()))?;
    Ok(finished(&svg, alt))
}

/// What the values of a line stand over.
#[derive(Clone, Copy)]
pub(super) enum Across {
    /// Epochs from 1.
    Epochs,
    /// Even steps from 0 to 100 % of what is named.
    Shares(&'static str),
}

impl Across {
    fn name(self) -> &'static str {
        match self {
            Self::Epochs => "epoch",
            Self::Shares(name) => name,
        }
    }

    /// Values that are in sight whatever the lines hold: an area under shares is seen only over the whole range.
    fn always(self, bounds: (f64, f64)) -> impl Iterator<Item = f64> {
        let whole = matches!(self, Self::Shares(_)).then_some([bounds.0, bounds.1]);
        whole.into_iter().flatten()
    }

    /// Where the value `at` of `count` stands.
    fn place(self, at: usize, count: usize) -> f64 {
        match self {
            Self::Epochs => (at + 1) as f64,
            Self::Shares(_) => at as f64 / count.saturating_sub(1).max(1) as f64,
        }
    }

    fn axis(self, count: usize) -> Axis {
        match self {
            Self::Epochs => {
                let margin = (0.04 * (count - 1) as f64).max(0.3);
                Axis { low: 1.0 - margin, high: count as f64 + margin, ticks: epoch_ticks(count) }
            }
            Self::Shares(_) => Axis { low: -0.04, high: 1.04, ticks: ticks(0.0, 1.0, 0.2) },
        }
    }

    fn label(self, place: f64) -> String {
        match self {
            Self::Epochs => format!("{place:.0}"),
            Self::Shares(_) => format!("{:.0} %", 100.0 * place),
        }
    }
}

fn check(names: &[&str], panels: &[Panel<'_>]) -> Result<()> {
    let wrong = |why: String| Err(Error::Plot(why));
    if panels.is_empty() || names.len() > STYLES.len() {
        return wrong(format!("curves want a panel or more, and up to {} lines each", STYLES.len()));
    }
    for panel in panels {
        if panel.lines.len() != names.len() {
            return wrong(format!("{}: {} lines and {} names", panel.title, panel.lines.len(), names.len()));
        }
        if !panel.lines.iter().flatten().any(|value| value.is_finite()) {
            return wrong(format!("{}: there is no value to draw", panel.title));
        }
    }
    Ok(())
}

/// Colour and mark of the first line, the second, ...
const STYLES: [(Colour, Shape); 4] =
    [(ORANGE, Shape::Triangle), (BLUE, Shape::Circle), (GREEN, Shape::Square), (PURPLE, Shape::Diamond)];

fn draw(
    svg: &mut String,
    size: (u32, u32),
    names: &[&str],
    (panels, bands): (&[Panel<'_>], &[Band]),
    across: Across,
) -> Drawn {
    let root = SVGBackend::with_string(svg, size).into_drawing_area();
    root.fill(&WHITE)?;
    let (above, _) = root.split_vertically(PANEL.1);
    for (index, (area, panel)) in above.split_evenly((1, panels.len())).iter().zip(panels).enumerate() {
        draw_panel(&root, area, (panel, bands.get(index)), across)?;
    }
    let styles = STYLES.map(|(tone, shape)| (tone, is_marked(panels).then_some(shape)));
    draw_legend(&root, size.0, names, &styles)?;
    root.present()
}

/// Whether any panel's lines have marks; the legend shows the ones that there are.
fn is_marked(panels: &[Panel<'_>]) -> bool {
    panels.iter().any(|panel| longest(panel) <= MARKED)
}

fn longest(panel: &Panel<'_>) -> usize {
    panel.lines.iter().map(Vec::len).max().unwrap_or(1).max(1)
}

fn draw_panel(root: &Area<'_>, area: &Area<'_>, (panel, band): (&Panel<'_>, Option<&Band>), across: Across) -> Drawn {
    let epochs = longest(panel);
    let around = band.into_iter().flat_map(|band| band.low.iter().chain(&band.high));
    let values = panel.lines.iter().flatten().chain(around).copied().filter(|value| value.is_finite());
    let (low, high, step) = scale(values.chain(across.always(panel.bounds)), panel.bounds);
    let decimals = (-step.log10()).ceil().max(0.0) as usize;
    let mut chart = ChartBuilder::on(area)
        .margin(8)
        .margin_right(20)
        .caption(panel.title, font(16.0))
        .x_label_area_size(BELOW)
        .y_label_area_size(64)
        .build_cartesian_2d(
            across.axis(epochs),
            Axis { low, high, ticks: ticks(low.max(panel.bounds.0), high.min(panel.bounds.1), step) },
        )?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(RGBColor(225, 225, 225))
        .axis_style(RGBColor(120, 120, 120))
        .x_desc(across.name())
        .y_desc(panel.quantity)
        .x_label_formatter(&|place| across.label(*place))
        .y_label_formatter(&|value| format!("{value:.decimals$}"))
        .label_style(font(12.0))
        .axis_desc_style(font(13.0))
        .draw()?;
    if let (Some(band), Some((tone, _))) = (band, STYLES.get(panel.lines.len().saturating_sub(1))) {
        let point = |(at, value): (usize, &f64)| (across.place(at, band.low.len()), *value);
        let below = band.low.iter().enumerate().map(point);
        let above = band.high.iter().enumerate().map(point).rev();
        let outline: Vec<(f64, f64)> = below.chain(above).collect();
        chart.draw_series(std::iter::once(Polygon::new(outline, colour(*tone).mix(SHADE))))?;
    }
    for (values, (tone, shape)) in panel.lines.iter().zip(STYLES) {
        let place = |at: usize| across.place(at, values.len());
        let points: Vec<(f64, f64)> = values.iter().enumerate().map(|(at, value)| (place(at), *value)).collect();
        for run in points.split(|(_, value)| !value.is_finite()) {
            chart.draw_series(LineSeries::new(run.iter().copied(), colour(tone).stroke_width(2)))?;
        }
        if epochs <= MARKED {
            for point in points.iter().filter(|(_, value)| value.is_finite()) {
                draw_mark(root, chart.backend_coord(point), tone, shape)?;
            }
        }
    }
    Ok(())
}

/// Whole epochs, ten of them at the most and always the first.
fn epoch_ticks(epochs: usize) -> Vec<f64> {
    let step = if epochs <= 10 { 1 } else { nice(epochs as f64 / 8.0).max(1.0) as usize };
    let mut ticks = vec![1.0];
    ticks.extend((1..=epochs).filter(|epoch| *epoch > 1 && epoch % step == 0).map(|epoch| epoch as f64));
    ticks
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_first_epoch_has_a_tick_and_no_more_than_ten_do() {
        assert_eq!(epoch_ticks(1), [1.0]);
        assert_eq!(epoch_ticks(6), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        assert_eq!(epoch_ticks(60), [1.0, 10.0, 20.0, 30.0, 40.0, 50.0, 60.0]);
        assert_eq!(epoch_ticks(1000).len(), 6);
    }

    fn panel(lines: Vec<Vec<f64>>) -> Panel<'static> {
        Panel { title: "a < b & c", quantity: "share", bounds: (0.0, 1.0), lines }
    }

    #[test]
    fn what_is_drawn_can_be_read_by_anyone() {
        let panels = [panel(vec![vec![0.1, 0.5], vec![0.2, f64::NAN]])];
        let Picture::Svg { svg, .. } = curves(&["x", "y < z"], &panels, "words & \"more\"").unwrap() else {
            panic!("curves are vectors")
        };
        assert!(svg.starts_with("<svg role=\"img\" aria-label=\"words &amp; &quot;more&quot;\" "));
        assert!(svg.contains("<desc>words &amp; &quot;more&quot;</desc>"));
        assert!(svg.contains("a &lt; b &amp; c") && svg.contains("y &lt; z"));
        assert_eq!(svg.matches("<circle").count(), 2, "one value and the legend; NaN leaves a gap");
        assert!(!svg.contains("NaN"));
    }

    #[test]
    fn one_epoch_can_be_seen_and_none_is_an_error() {
        let Picture::Svg { svg, .. } = curves(&["x", "y"], &[panel(vec![vec![0.1], vec![0.2]])], "").unwrap() else {
            panic!("curves are vectors")
        };
        assert_eq!(svg.matches("<circle").count(), 2, "its mark and the legend's");
        for lines in [vec![], vec![vec![], vec![]], vec![vec![f64::NAN], vec![]], vec![vec![0.1]]] {
            assert!(curves(&["x", "y"], &[panel(lines.clone())], "").is_err(), "{lines:?}");
        }
        assert!(curves(&[], &[], "").is_err());
        assert!(curves(&["x"; 5], &[panel(vec![vec![0.1]; 5])], "").is_err());
    }

    #[test]
    fn a_legend_has_the_marks_that_lines_have() {
        for (count, marks) in [(MARKED, 2 * MARKED + 2), (MARKED + 1, 0)] {
            let picture = curves(&["x", "y"], &[panel(vec![vec![0.1; count], vec![0.2; count]])], "").unwrap();
            let Picture::Svg { svg, .. } = picture else { panic!("curves are vectors") };
            assert_eq!(svg.matches("<circle").count() + svg.matches("<polygon").count(), marks, "{count}");
        }
    }

    /// The legend stands below every axis, so it covers no line.
    #[test]
    fn the_legend_is_beneath_the_panels() {
        let Picture::Svg { svg, .. } = curves(&["first", "second"], &[panel(vec![vec![0.1]; 2])], "").unwrap() else {
            panic!("curves are vectors")
        };
        let height = |name: &str| -> u32 {
            let before = &svg[..svg.find(&format!("\n{name}\n")).unwrap()];
            let y = before.rfind(" y=\"").unwrap() + 4;
            before[y..].split('"').next().unwrap().parse().unwrap()
        };
        assert!(height("first") > PANEL.1 && height("second") > PANEL.1 && height("epoch") < PANEL.1);
    }
}
