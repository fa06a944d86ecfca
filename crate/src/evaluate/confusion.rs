//! Which classes are taken for which.

use super::Predictions;
use crate::Result;
use crate::notebook::{Picture, display};
use crate::plot;
use std::fmt;

/// How many photos of each class were predicted as each class.
///
/// It shows itself as a picture when it ends a cell.
///
/// ```text
/// Confusion matrix: 3 of 4 photos right (rows: true class, columns: predicted)
///      cat  dog
/// cat    2    0
/// dog    1    1
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfusionMatrix {
    /// `counts[actual][predicted]`: photos of class `actual` that were predicted as class `predicted`.
    pub counts: Vec<Vec<usize>>,
    /// The names of the classes, in the order of rows and columns.
    pub classes: Vec<String>,
}

impl ConfusionMatrix {
    pub(super) fn new(predictions: &Predictions) -> Self {
        let classes = predictions.classes.clone();
        let mut counts = vec![vec![0; classes.len()]; classes.len()];
        for (label, predicted) in predictions.labels.iter().zip(&predictions.predicted) {
            if let Some(count) = counts.get_mut(*label).and_then(|row: &mut Vec<usize>| row.get_mut(*predicted)) {
                *count += 1;
            }
        }
        Self { counts, classes }
    }

    /// How many photos there are.
    pub fn photos(&self) -> usize {
        self.counts.iter().flatten().sum()
    }

    /// How many are on the diagonal, where true and predicted class are the same.
    pub fn right(&self) -> usize {
        self.counts.iter().enumerate().filter_map(|(class, row)| row.get(class)).sum()
    }

    /// The `n` largest counts beside the diagonal, the largest first and none of zero; equal ones in the order of the
    /// classes.
    pub fn most_confused(&self, n: usize) -> MostConfused {
        let mut pairs: Vec<Confused> = Vec::new();
        for (actual, row) in self.classes.iter().zip(&self.counts) {
            for (predicted, &photos) in self.classes.iter().zip(row) {
                if photos > 0 && !std::ptr::eq(actual, predicted) {
                    pairs.push(Confused { actual: actual.clone(), predicted: predicted.clone(), photos });
                }
            }
        }
        pairs.sort_by_key(|pair| std::cmp::Reverse(pair.photos));
        pairs.truncate(n);
        MostConfused { pairs, photos: self.photos() }
    }

    /// The matrix as a picture: numbers on fields that are the deeper, the larger the share of their row, blue on the
    /// diagonal and red beside it.
    ///
    /// # Errors
    /// [`Error::Plot`](crate::Error::Plot) for no classes or more than 60; [`most_confused`](Self::most_confused) tells
    /// of those.
    pub fn plot(&self) -> Result<Picture> {
        plot::matrix(&self.counts, &self.classes, &self.headline())
    }

    /// Shows the picture below a notebook cell, and text where there is none.
    pub fn evcxr_display(&self) {
        match self.plot() {
            Ok(picture) => picture.show_beside(&self.to_string()),
            Err(error) => println!("{self}\n{error}"),
        }
    }

    fn headline(&self) -> String {
        format!("Confusion matrix: {} of {} photos right", self.right(), self.photos())
    }
}

/// The counts as text, a row for each true class.
impl fmt::Display for ConfusionMatrix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.classes.iter().map(|class| class.chars().count()).max().unwrap_or(0);
        let digits = self.counts.iter().flatten().map(|count| count.to_string().len()).max().unwrap_or(1);
        let width = names.max(digits);
        writeln!(f, "{} (rows: true class, columns: predicted)", self.headline())?;
        write!(f, "{:names$}", "")?;
        self.classes.iter().try_for_each(|class| write!(f, "  {class:>width$}"))?;
        for (class, row) in self.classes.iter().zip(&self.counts) {
            write!(f, "\n{class:<names$}")?;
            row.iter().try_for_each(|count| write!(f, "  {count:>width$}"))?;
        }
        Ok(())
    }
}

/// Two classes, one of which was taken for the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confused {
    /// What the photos are.
    pub actual: String,
    /// What they were taken for.
    pub predicted: String,
    /// How many of them.
    pub photos: usize,
}

/// The pairs of classes that are confused most often. It shows itself as a table when it ends a cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MostConfused {
    /// The most frequent first.
    pub pairs: Vec<Confused>,
    /// How many photos there are in all, right ones included.
    pub photos: usize,
}

impl MostConfused {
    /// Shows the table below a notebook cell.
    pub fn evcxr_display(&self) {
        let row = |pair: &Confused| {
            let (actual, predicted) = (display::escape(&pair.actual), display::escape(&pair.predicted));
            format!("<tr><td>{actual}</td><td>{predicted}</td><td>{}</td></tr>", pair.photos)
        };
        let rows: String = self.pairs.iter().map(row).collect();
        let html = match self.pairs.is_empty() {
            true => format!("<p>{}</p>", display::escape(&self.to_string())),
            false => format!(
                "<table><thead><tr><th>is</th><th>taken for</th><th>photos, of {}</th></tr></thead>\
                 <tbody>{rows}</tbody></table>",
                self.photos
            ),
        };
        display::html(&html, &self.to_string());
    }
}

/// A line for each pair: `3 of dandelion taken for sunflowers`.
impl fmt::Display for MostConfused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.pairs.is_empty() {
            return write!(f, "No class was taken for another in {} photos.", self.photos);
        }
        let line = |pair: &Confused| format!("{} of {} taken for {}", pair.photos, pair.actual, pair.predicted);
        f.write_str(&self.pairs.iter().map(line).collect::<Vec<_>>().join("\n"))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use candle_core::{Device, Tensor};

    /// Predictions of photos that are `(actual, predicted)`.
    fn predictions(pairs: &[(usize, usize)], classes: &[&str]) -> Predictions {
        let logits: Vec<f32> = pairs
            .iter()
            .flat_map(|(_, predicted)| (0..classes.len()).map(move |class| f32::from(u8::from(class == *predicted))))
            .collect();
        let logits = Tensor::from_vec(logits, (pairs.len(), classes.len()), &Device::Cpu).unwrap();
        let labels = pairs.iter().map(|(actual, _)| *actual).collect();
        let classes: Vec<String> = classes.iter().map(|class| (*class).to_owned()).collect();
        Predictions::from_logits(&logits, labels, vec![String::new(); pairs.len()], &classes).unwrap()
    }

    const PAIRS: [(usize, usize); 8] = [(0, 0), (0, 0), (0, 1), (1, 1), (2, 0), (2, 0), (2, 2), (1, 2)];

    #[test]
    fn counts_are_by_true_and_predicted_class() {
        let matrix = predictions(&PAIRS, &["cat", "dog", "a bird"]).confusion_matrix();
        assert_eq!(matrix.counts, [[2, 1, 0], [0, 1, 1], [2, 0, 1]]);
        assert_eq!((matrix.photos(), matrix.right()), (8, 4));
        let text = [
            "Confusion matrix: 4 of 8 photos right (rows: true class, columns: predicted)",
            "           cat     dog  a bird",
            "cat          2       1       0",
            "dog          0       1       1",
            "a bird       2       0       1",
        ];
        assert_eq!(matrix.to_string(), text.join("\n"));
    }

    #[test]
    fn the_most_confused_are_the_largest_beside_the_diagonal() {
        let predictions = predictions(&PAIRS, &["cat", "dog", "bird"]);
        let pairs = |n| {
            let most = predictions.most_confused(n).pairs;
            most.into_iter().map(|pair| (pair.actual, pair.predicted, pair.photos)).collect::<Vec<_>>()
        };
        let all = [("bird", "cat", 2), ("cat", "dog", 1), ("dog", "bird", 1)];
        let all = all.map(|(actual, predicted, photos)| (actual.to_owned(), predicted.to_owned(), photos));
        assert_eq!(pairs(9), all);
        assert_eq!(pairs(1), all[..1]);
        assert_eq!(predictions.most_confused(1).to_string(), "2 of bird taken for cat");
        let none = self::predictions(&PAIRS[..2], &["cat", "dog", "bird"]).most_confused(5);
        assert_eq!(none.to_string(), "No class was taken for another in 2 photos.");
    }

    #[test]
    fn the_picture_has_every_number_and_words() {
        let matrix = predictions(&PAIRS, &["cat", "dog", "bird"]).confusion_matrix();
        let Picture::Svg { svg, alt } = matrix.plot().unwrap() else { panic!("a matrix is vectors") };
        assert_eq!(
            alt,
            "Confusion matrix: 4 of 8 photos right. cat: 2 cat, 1 dog; dog: 1 dog, 1 bird; bird: 2 cat, 1 bird"
        );
        assert_eq!(svg.matches("class=\"count\"").count(), 9);
        assert!(predictions(&[], &[]).confusion_matrix().plot().is_err());
    }
}
