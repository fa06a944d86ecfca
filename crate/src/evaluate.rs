//! What a model's predictions come to.

use crate::images::Pixels;
use crate::notebook::{Picture, display};
use crate::plot::{self, Mark};
use crate::{Error, Result};
use candle_core::Tensor;
use std::fmt;

/// What a model says of some photos, beside what they are.
#[derive(Clone, Debug)]
pub struct Predictions {
    /// The true class of each photo, as an index into [`classes`](Self::classes).
    pub labels: Vec<usize>,
    /// The most probable class of each photo.
    pub predicted: Vec<usize>,
    /// The probability of every class for every photo, `(N, K)`: a softmax, rows sum to 1.
    pub probabilities: Tensor,
    /// The names of the classes.
    pub classes: Vec<String>,
    /// The photos' names.
    pub names: Vec<String>,
}

impl Predictions {
    /// From logits `(N, K)`, N true labels and names, and K class names.
    ///
    /// # Errors
    /// [`Error::Shape`] where their numbers differ, [`Error::Data`] for a label without a class.
    pub fn from_logits(logits: &Tensor, labels: Vec<usize>, names: Vec<String>, classes: &[String]) -> Result<Self> {
        if logits.dims() != [labels.len(), classes.len()] || names.len() != labels.len() {
            return Err(Error::shape("predictions", format!("({}, {})", labels.len(), classes.len()), logits.dims()));
        }
        if let Some(label) = labels.iter().find(|label| **label >= classes.len()) {
            return Err(Error::Data(format!("a photo has label {label}, and there are {} classes", classes.len())));
        }
        let predicted = logits.to_vec2::<f32>()?.iter().map(|row| best(row)).collect();
        // candle has no softmax of nothing.
        let probabilities = if labels.is_empty() { logits.clone() } else { candle_nn::ops::softmax(logits, 1)? };
        Ok(Self { labels, predicted, probabilities: probabilities.detach(), classes: classes.to_vec(), names })
    }

    /// How many photos.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// How many are right.
    pub fn right(&self) -> usize {
        self.marks().iter().filter(|mark| **mark == Mark::Right).count()
    }

    /// The share that is right, 0 to 1; NaN where there are no photos.
    pub fn accuracy(&self) -> f64 {
        self.right() as f64 / self.len() as f64
    }

    /// Where the accuracy on ever more photos of this kind would lie, 19 times out of 20: low and high, 0 to 1.
    pub fn interval(&self) -> (f64, f64) {
        wilson(self.right(), self.len())
    }

    /// The photos that are wrong, as indices, in order.
    pub fn wrong(&self) -> Vec<usize> {
        let both = self.labels.iter().zip(&self.predicted).enumerate();
        both.filter(|(_, (label, predicted))| label != predicted).map(|(index, _)| index).collect()
    }

    /// The name of each photo's predicted class.
    pub fn predicted_names(&self) -> Vec<&str> {
        self.predicted.iter().map(|class| self.class(*class)).collect()
    }

    /// The name of each photo's true class.
    pub fn label_names(&self) -> Vec<&str> {
        self.labels.iter().map(|class| self.class(*class)).collect()
    }

    /// True and predicted labels as two aligned rows of integers.
    ///
    /// ```text
    /// Labels:           0 1 1 0
    /// Predicted labels: 0 1 0 0
    /// ```
    pub fn rows(&self) -> String {
        let width = self.labels.iter().chain(&self.predicted).map(|label| label.to_string().len()).max().unwrap_or(1);
        let row = |labels: &[usize]| labels.iter().map(|label| format!(" {label:>width$}")).collect::<String>();
        format!("Labels:          {}\nPredicted labels:{}", row(&self.labels), row(&self.predicted))
    }

    /// The photos in rows of five, each titled with its predicted class: blue where right, red where wrong.
    ///
    /// # Errors
    /// [`Error::Plot`] where these are not the pixels of these predictions, one each.
    pub fn grid(&self, pixels: &[Pixels]) -> Result<Picture> {
        let titles: Vec<String> = self.predicted_names().into_iter().map(str::to_owned).collect();
        plot::grid(pixels, &titles, &self.marks(), "Model predictions (blue: correct, red: incorrect)")
    }

    fn marks(&self) -> Vec<Mark> {
        let mark = |(label, predicted)| if label == predicted { Mark::Right } else { Mark::Wrong };
        self.labels.iter().zip(&self.predicted).map(mark).collect()
    }

    fn class(&self, index: usize) -> &str {
        self.classes.get(index).map_or("", String::as_str)
    }

    /// For each class: its name, how many photos are of it, how many of those are right.
    fn per_class(&self) -> Vec<(&str, usize, usize)> {
        let mut rows: Vec<_> = self.classes.iter().map(|class| (class.as_str(), 0, 0)).collect();
        for (label, predicted) in self.labels.iter().zip(&self.predicted) {
            if let Some((_, photos, right)) = rows.get_mut(*label) {
                *photos += 1;
                *right += usize::from(label == predicted);
            }
        }
        rows
    }

    /// Shows accuracy, overall and by class, below a notebook cell.
    pub fn evcxr_display(&self) {
        let rows: String = (self.per_class().iter())
            .map(|(class, photos, right)| {
                format!("<tr><td>{}</td><td>{photos}</td><td>{right}</td></tr>", display::escape(class))
            })
            .collect();
        let html = format!(
            "<p>{}</p><table><thead><tr><th>class</th><th>photos</th><th>right</th></tr></thead>\
             <tbody>{rows}</tbody></table>",
            display::escape(&self.headline())
        );
        display::html(&html, &self.to_string());
    }

    fn headline(&self) -> String {
        if self.is_empty() {
            return "No photos, no predictions.".to_owned();
        }
        let (low, high) = self.interval();
        format!(
            "{} of {} photos right: accuracy {:.3} (95 % interval {low:.3} to {high:.3})",
            self.right(),
            self.len(),
            self.accuracy()
        )
    }
}

/// Accuracy with its interval, then a line for each class.
impl fmt::Display for Predictions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.headline())?;
        for (class, photos, right) in self.per_class() {
            write!(f, "\n  {class}: {right} of {photos}")?;
        }
        Ok(())
    }
}

/// The 95 % score interval for `right` successes among `all` (Wilson 1927): honest near 1, where accuracies live.
///
/// Low and high, both in 0..=1; of no trials at all nothing is known, so 0 and 1.
///
/// ```
/// let (low, high) = candlewick::evaluate::wilson(9, 10);
/// assert!((low - 0.5958).abs() < 1e-4 && (high - 0.9821).abs() < 1e-4);
/// ```
pub fn wilson(right: usize, all: usize) -> (f64, f64) {
    if all == 0 {
        return (0.0, 1.0);
    }
    /// 97.5 % of a standard normal lie below this.
    const Z: f64 = 1.959_963_984_540_054;
    let (n, p) = (all as f64, right.min(all) as f64 / all as f64);
    let centre = p + Z * Z / (2.0 * n);
    let spread = Z * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
    let scale = 1.0 + Z * Z / n;
    (((centre - spread) / scale).max(0.0), ((centre + spread) / scale).min(1.0))
}

/// The index of the largest logit; the first of several, and no NaN is ever largest. 0 for an empty row.
pub(crate) fn best(row: &[f32]) -> usize {
    let mut best = (0, f32::NEG_INFINITY);
    for (index, &value) in row.iter().enumerate() {
        if value > best.1 {
            best = (index, value);
        }
    }
    best.0
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use candle_core::Device;

    fn three() -> Predictions {
        let logits = Tensor::new(&[[2.0_f32, 0.0], [0.0, 1.0], [3.0, 0.0]], &Device::Cpu).unwrap();
        let names = ["a.jpg", "b.jpg", "c.jpg"].map(str::to_owned).to_vec();
        Predictions::from_logits(&logits, vec![0, 1, 1], names, &["cat".to_owned(), "dog".to_owned()]).unwrap()
    }

    #[test]
    fn predictions_are_counted() {
        let three = three();
        assert_eq!(three.predicted, [0, 1, 0]);
        assert_eq!((three.right(), three.wrong()), (2, vec![2]));
        assert_eq!(three.accuracy(), 2.0 / 3.0);
        assert_eq!(three.predicted_names(), ["cat", "dog", "cat"]);
        assert_eq!(three.label_names(), ["cat", "dog", "dog"]);
        let probabilities = three.probabilities.to_vec2::<f32>().unwrap();
        // 1 / (1 + e^-2)
        assert!((probabilities[0][0] - 0.880_797).abs() < 1e-6, "{probabilities:?}");
        let text = three.to_string();
        assert!(text.starts_with("2 of 3 photos right: accuracy 0.667 (95 % interval 0.208 to 0.939)"), "{text}");
        assert!(text.ends_with("cat: 1 of 1\n  dog: 1 of 2"), "{text}");
    }

    #[test]
    fn rows_are_aligned_however_many_classes() {
        assert_eq!(three().rows(), "Labels:           0 1 1\nPredicted labels: 0 1 0");
        let wide = Predictions { labels: vec![5, 104], predicted: vec![12, 7], ..three() };
        assert_eq!(wide.rows(), "Labels:             5 104\nPredicted labels:  12   7");
    }

    /// Values of scipy's `binomtest(right, all).proportion_ci(method="wilson")`.
    #[test]
    fn wilson_is_the_score_interval() {
        let cases = [
            (9, 10, 0.595_850, 0.982_124),
            (393, 400, 0.964_323, 0.991_498),
            (0, 10, 0.0, 0.277_533),
            (10, 10, 0.722_467, 1.0),
        ];
        for (right, all, low, high) in cases {
            let got = wilson(right, all);
            assert!((got.0 - low).abs() < 1e-6 && (got.1 - high).abs() < 1e-6, "{right}/{all}: {got:?}");
        }
        assert_eq!(wilson(0, 0), (0.0, 1.0));
        assert_eq!(wilson(11, 10), wilson(10, 10), "never above 1");
    }

    #[test]
    fn the_best_is_the_first_largest_and_no_nan() {
        let cases: [(&[f32], usize); 5] = [
            (&[1.0, 3.0, 2.0], 1),
            (&[2.0, 2.0], 0),
            (&[f32::NAN, 1.0], 1),
            (&[f32::NEG_INFINITY, f32::NEG_INFINITY], 0),
            (&[], 0),
        ];
        for (row, want) in cases {
            assert_eq!(best(row), want, "{row:?}");
        }
    }

    #[test]
    fn what_does_not_fit_together_is_refused() {
        let logits = Tensor::zeros((2, 2), candle_core::DType::F32, &Device::Cpu).unwrap();
        let classes = ["cat".to_owned(), "dog".to_owned()];
        let names = |count: usize| vec![String::new(); count];
        assert!(Predictions::from_logits(&logits, vec![0], names(1), &classes).is_err());
        assert!(Predictions::from_logits(&logits, vec![0, 1], names(1), &classes).is_err());
        assert!(Predictions::from_logits(&logits, vec![0, 2], names(2), &classes).is_err());
        assert!(Predictions::from_logits(&logits, vec![0, 1], names(2), &classes[..1]).is_err());
        let none = Tensor::zeros((0, 2), candle_core::DType::F32, &Device::Cpu).unwrap();
        let none = Predictions::from_logits(&none, vec![], vec![], &classes);
        assert!(none.is_ok_and(|none| none.is_empty() && none.to_string().starts_with("No photos")));
    }
}
