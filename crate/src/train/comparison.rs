//! What a model gets right and what it costs, side by side with others.

use super::examined::Examined;
use crate::Result;
use crate::data::Dataset;
use crate::evaluate;
use crate::models::thousands;
use crate::notebook::display;
use std::fmt;
use std::time::Instant;

/// What a model gets right, and what it costs.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    /// The backbone's name: `mobilenet_v2`.
    pub network: String,
    /// How many photos it was measured on.
    pub photos: usize,
    /// The share of them that is right, 0 to 1.
    pub accuracy: f64,
    /// Where the accuracy on ever more such photos would lie, 19 times out of 20: low and high.
    pub interval: (f64, f64),
    /// Parameters of backbone and head, as torchvision counts them.
    pub parameters: usize,
    /// Milliseconds from a photo's pixels to its logits, on this machine, in batches of 32.
    pub milliseconds: f64,
    /// What its numbers take up, in millions of bytes.
    pub megabytes: f64,
}

/// How many photos are timed at once.
const TIMED: usize = 32;
/// The best of so many counts: whatever else the machine does only makes it slower.
const ROUNDS: usize = 3;

impl Measured {
    pub(super) fn of(model: &Examined<'_>, photos: &Dataset) -> Result<Self> {
        let predictions = model.predict(photos)?;
        let batch = photos.batch(TIMED, model.preprocess())?;
        let mut best = f64::INFINITY;
        for _ in 0..ROUNDS {
            let began = Instant::now();
            model.predict_batch(&batch)?;
            best = best.min(began.elapsed().as_secs_f64());
        }
        Ok(Self {
            network: model.name().to_owned(),
            photos: predictions.len(),
            accuracy: predictions.accuracy(),
            interval: predictions.interval(),
            parameters: model.parameters(),
            milliseconds: 1000.0 * best / batch.labels.len().max(1) as f64,
            megabytes: model.megabytes(),
        })
    }

    fn cells(&self) -> [String; 5] {
        let (low, high) = self.interval;
        [
            self.network.clone(),
            format!("{:.3} ({low:.3} to {high:.3})", self.accuracy),
            thousands(self.parameters),
            format!("{:.1}", self.milliseconds),
            format!("{:.1}", self.megabytes),
        ]
    }
}

/// Models side by side: a row each.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Comparison {
    rows: Vec<Measured>,
}

const COLUMNS: [&str; 5] = ["Network", "Accuracy (95 % interval)", "Parameters", "ms a photo", "MB"];

impl Comparison {
    /// From what was measured of each model, in the order to be shown.
    pub fn new(rows: Vec<Measured>) -> Self {
        Self { rows }
    }

    /// The rows.
    pub fn rows(&self) -> &[Measured] {
        &self.rows
    }

    /// What the first two accuracies say of each other, in words that claim no more than chance allows: by the 95 %
    /// interval of their difference ([`newcombe`](evaluate::newcombe)), as if each were measured on photos of its own.
    pub fn explain(&self) -> String {
        let [a, b, ..] = self.rows.as_slice() else {
            return "There is nothing to compare yet.".to_owned();
        };
        let (low, high) = if a.accuracy <= b.accuracy { (a, b) } else { (b, a) };
        let points = 100.0 * (high.accuracy - low.accuracy);
        if a.photos != b.photos {
            return format!("They were measured on {} and {} photos: measure both on the same.", a.photos, b.photos);
        }
        let right = |row: &Measured| ((row.accuracy * row.photos as f64).round() as usize, row.photos);
        let (least, most) = evaluate::newcombe(right(high), right(low));
        if least <= 0.0 {
            return format!(
                "{points:.1} points between them, with a 95 % interval from {:.1} to {:.1}: {} photos cannot tell which \
                 is better.",
                100.0 * least,
                100.0 * most,
                a.photos
            );
        }
        format!("{} is better by {points:.1} points, more than chance in {} photos explains.", high.network, a.photos)
    }

    /// Shows the table below a notebook cell.
    pub fn evcxr_display(&self) {
        let line = |tag: &str, cells: &[String]| -> String {
            let cells = cells.iter().map(|cell| format!("<{tag}>{}</{tag}>", display::escape(cell)));
            format!("<tr>{}</tr>", cells.collect::<String>())
        };
        let rows: String = self.rows.iter().map(|row| line("td", &row.cells())).collect();
        let html = format!(
            "<table><thead>{}</thead><tbody>{rows}</tbody></table><p>{}</p>",
            line("th", &COLUMNS.map(str::to_owned)),
            display::escape(&self.explain())
        );
        display::html(&html, &self.to_string());
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = |[a, b, c, d, e]: [&str; 5]| format!("{a:<14}{b:>26}{c:>14}{d:>12}{e:>8}");
        writeln!(f, "{}", line(COLUMNS))?;
        for row in &self.rows {
            writeln!(f, "{}", line(row.cells().each_ref().map(String::as_str)))?;
        }
        f.write_str(&self.explain())
    }
}
