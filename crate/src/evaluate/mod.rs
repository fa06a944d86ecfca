//! What a model's predictions come to.

mod classification;
mod confusion;
mod interval;
mod top_losses;

pub use classification::{Classification, Classifications};
pub use confusion::{Confused, ConfusionMatrix, MostConfused};
pub use interval::{newcombe, wilson};
pub use top_losses::{TopLoss, TopLosses};

use crate::data::Photo;
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
    /// The loss of each photo: minus the logarithm of its true class' probability.
    losses: Vec<f64>,
    /// The photos themselves; none where they are not known.
    photos: Vec<Photo>,
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
        let rows = logits.to_vec2::<f32>()?;
        let predicted = rows.iter().map(|row| best(row)).collect();
        let losses = rows.iter().zip(&labels).map(|(row, label)| cross_entropy(row, *label)).collect();
        // candle has no softmax of nothing.
        let probabilities = if labels.is_empty() { logits.clone() } else { candle_nn::ops::softmax(logits, 1)? };
        let (probabilities, classes, photos) = (probabilities.detach(), classes.to_vec(), Vec::new());
        Ok(Self { labels, predicted, probabilities, classes, names, losses, photos })
    }

    /// The same with the photos that they are of, one each and in order, so that these can be shown.
    ///
    /// # Errors
    /// [`Error::Data`] for another number of photos.
    pub fn with_photos(self, photos: Vec<Photo>) -> Result<Self> {
        if photos.len() != self.len() {
            return Err(Error::Data(format!("{} predictions, and {} photos of them", self.len(), photos.len())));
        }
        Ok(Self { photos, ..self })
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
    ///
    /// Wilson's score interval at 95 %, see [`wilson`]; of no photos at all nothing is known, so 0 and 1.
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

    /// How often which class was taken for which; it shows itself as a picture when it ends a cell.
    pub fn confusion_matrix(&self) -> ConfusionMatrix {
        ConfusionMatrix::new(self)
    }

    /// The `n` pairs of classes of which one is most often taken for the other, the most frequent first.
    pub fn most_confused(&self, n: usize) -> MostConfused {
        self.confusion_matrix().most_confused(n)
    }

    /// The `n` photos with the highest loss, that is those of whose true class the model was least convinced, the worst
    /// first; it shows itself as a grid of photos when it ends a cell.
    pub fn top_losses(&self, n: usize) -> TopLosses {
        TopLosses::new(self, n)
    }

    /// The photos in rows of five, each titled with its predicted class: blue where right, red where wrong, with the true
    /// class in brackets.
    ///
    /// # Errors
    /// [`Error::Plot`] where these are not the pixels of these predictions, one each.
    pub fn grid(&self, pixels: &[Pixels]) -> Result<Picture> {
        let title = |(label, predicted): (&usize, &usize)| match label == predicted {
            true => self.class(*predicted).to_owned(),
            false => format!("{} (is {})", self.class(*predicted), self.class(*label)),
        };
        let titles: Vec<String> = self.labels.iter().zip(&self.predicted).map(title).collect();
        plot::grid(pixels, &titles, &self.marks(), "Model predictions (blue: correct, red: incorrect)")
    }

    fn marks(&self) -> Vec<Mark> {
        let mark = |(label, predicted)| if label == predicted { Mark::Right } else { Mark::Wrong };
        self.labels.iter().zip(&self.predicted).map(mark).collect()
    }

    /// The probability of the predicted class of a photo.
    fn probability(&self, index: usize) -> f64 {
        let row = self.probabilities.get(index).and_then(|row| row.to_vec1::<f32>()).unwrap_or_default();
        let predicted = self.predicted.get(index).and_then(|predicted| row.get(*predicted));
        predicted.map_or(f64::NAN, |probability| f64::from(*probability))
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

/// Minus the logarithm of the softmax at `label`, in nats.
fn cross_entropy(logits: &[f32], label: usize) -> f64 {
    let most = f64::from(logits.iter().copied().fold(f32::NEG_INFINITY, f32::max));
    let sum: f64 = logits.iter().map(|logit| (f64::from(*logit) - most).exp()).sum();
    logits.get(label).map_or(f64::NAN, |logit| most + sum.ln() - f64::from(*logit))
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
    fn a_wrong_photo_of_the_grid_says_what_it_is() {
        let pixels = vec![Pixels { height: 1, width: 1, rgb: vec![0; 3] }; 3];
        let picture = three().grid(&pixels).unwrap();
        let alt = "3 photos, 2 correct and 1 incorrect. cat (correct), dog (correct), cat (is dog) (incorrect)";
        assert!(picture.alt().ends_with(alt), "{}", picture.alt());
    }

    #[test]
    fn rows_are_aligned_however_many_classes() {
        assert_eq!(three().rows(), "Labels:           0 1 1\nPredicted labels: 0 1 0");
        let wide = Predictions { labels: vec![5, 104], predicted: vec![12, 7], ..three() };
        assert_eq!(wide.rows(), "Labels:             5 104\nPredicted labels:  12   7");
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
