//! The photos that the model understands least.

use super::Predictions;
use crate::data::Photo;
use crate::notebook::{Picture, display};
use crate::plot::{self, Mark};
use crate::{Error, Result};
use std::fmt;

/// A photo with its loss.
#[derive(Clone, Debug)]
pub struct TopLoss {
    /// The photo's name.
    pub name: String,
    /// The photo itself, where it is known.
    pub photo: Option<Photo>,
    /// What it was taken for.
    pub predicted: String,
    /// What it is.
    pub actual: String,
    /// The cross-entropy in nats: minus the logarithm of the probability of what it is.
    pub loss: f64,
    /// The probability of what it was taken for, 0 to 1: how sure the model was.
    pub probability: f64,
}

/// The photos with the highest losses. It shows itself as a grid when it ends a cell.
///
/// A high loss is a mistake made with conviction. Look at these first: a wrong label shows here before all else.
#[derive(Clone, Debug)]
pub struct TopLosses {
    /// The highest loss first.
    pub photos: Vec<TopLoss>,
}

/// What stands above each photo, as in fastai.
const HEADING: &str = "predicted / actual / loss / probability";

impl TopLosses {
    pub(super) fn new(predictions: &Predictions, n: usize) -> Self {
        let mut order: Vec<(usize, f64)> = predictions.losses.iter().copied().enumerate().collect();
        order.sort_by(|(_, a), (_, b)| b.total_cmp(a));
        Self { photos: order.into_iter().take(n).map(|(index, loss)| top_loss(predictions, index, loss)).collect() }
    }

    /// The photos in rows of five, titled "predicted / actual / loss / probability": blue where the prediction is right
    /// all the same, red where it is wrong.
    ///
    /// # Errors
    /// [`Error::Plot`] for none or more than 200, or where the photos are not known; and where one cannot be read.
    pub fn grid(&self) -> Result<Picture> {
        let unknown = || Error::Plot("these predictions know the photos' names only".to_owned());
        let pixels = |top: &TopLoss| top.photo.as_ref().ok_or_else(unknown)?.pixels();
        let pixels = self.photos.iter().map(pixels).collect::<Result<Vec<_>>>()?;
        let titles: Vec<String> = self.photos.iter().map(TopLoss::title).collect();
        let mark = |top: &TopLoss| if top.predicted == top.actual { Mark::Right } else { Mark::Wrong };
        let marks: Vec<Mark> = self.photos.iter().map(mark).collect();
        plot::grid(&pixels, &titles, &marks, &format!("Top losses: {HEADING}"))
    }

    /// Shows the grid below a notebook cell, and a table where the photos cannot be shown.
    pub fn evcxr_display(&self) {
        match self.grid() {
            Ok(picture) => picture.show_beside(&self.to_string()),
            Err(_) => display::text(&self.to_string()),
        }
    }
}

impl TopLoss {
    /// The classes, then the numbers on a line of their own, which no long name can push out.
    fn title(&self) -> String {
        format!("{} / {} /\n{:.2} / {:.2}", self.predicted, self.actual, self.loss, self.probability)
    }
}

fn top_loss(predictions: &Predictions, index: usize, loss: f64) -> TopLoss {
    let class = |classes: &[usize]| predictions.class(classes.get(index).copied().unwrap_or(usize::MAX)).to_owned();
    TopLoss {
        name: predictions.names.get(index).cloned().unwrap_or_default(),
        photo: predictions.photos.get(index).cloned(),
        predicted: class(&predictions.predicted),
        actual: class(&predictions.labels),
        loss,
        probability: predictions.probability(index),
    }
}

/// A line for each photo, its name last.
impl fmt::Display for TopLosses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.photos.is_empty() {
            return f.write_str("No photos, no losses.");
        }
        f.write_str(HEADING)?;
        for top in &self.photos {
            write!(f, "\n{}  {}", top.title().replace('\n', " "), top.name)?;
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::images::Pixels;
    use candle_core::{Device, Tensor};

    /// Four photos of two classes; the third is wrong with conviction, the fourth right without.
    fn four() -> Predictions {
        let logits = [[2.0_f32, 0.0], [0.0, 1.0], [30.0, 0.0], [0.1, 0.0]];
        let names = ["a", "b", "c", "d"].map(str::to_owned).to_vec();
        let classes = ["a cat of some sort", "any dog there is"].map(str::to_owned);
        let logits = Tensor::new(&logits, &Device::Cpu).unwrap();
        Predictions::from_logits(&logits, vec![0, 1, 1, 0], names, &classes).unwrap()
    }

    #[test]
    fn the_highest_losses_come_first() {
        let top = four().top_losses(3).photos;
        assert_eq!(top.iter().map(|top| top.name.as_str()).collect::<Vec<_>>(), ["c", "d", "b"]);
        // ln(1 + e^30), where e^-30 is no longer to be told from 0 in f32; ln(1 + e^-.1); ln(1 + e^-1).
        for (top, loss) in top.iter().zip([30.0, 0.644_397, 0.313_262]) {
            assert!((top.loss - loss).abs() < 1e-6, "{top:?}");
        }
        assert_eq!((top[0].predicted.as_str(), top[0].actual.as_str()), ("a cat of some sort", "any dog there is"));
        // 1 / (1 + e^-.1)
        assert!((top[0].probability - 1.0).abs() < 1e-6 && (top[1].probability - 0.524_979).abs() < 1e-6);
        let text = four().top_losses(1).to_string();
        assert_eq!(
            text,
            "predicted / actual / loss / probability\na cat of some sort / any dog there is / 30.00 / 1.00  c"
        );
        assert_eq!(four().top_losses(99).photos.len(), 4);
        assert_eq!(four().top_losses(0).to_string(), "No photos, no losses.");
    }

    #[test]
    fn titles_keep_their_numbers_however_long_the_names() {
        let photo = |name: &str| Photo::from_pixels(name, 0, Pixels { height: 2, width: 3, rgb: vec![99; 18] });
        let photos = ["a", "b", "c", "d"].map(photo).to_vec();
        let mut long = four().with_photos(photos).unwrap();
        long.classes = vec!["W".repeat(100), "Grand Duchess ".repeat(20)];
        let Picture::Svg { svg, alt } = long.top_losses(4).grid().unwrap() else { panic!("a grid is vectors") };
        assert!(svg.contains(">30.00 / 1.00</text>") && svg.contains(">0.64 / 0.52</text>"), "{alt}");
        assert!(alt.contains("4 photos, 3 correct and 1 incorrect") && svg.matches("<image ").count() == 4);
    }

    #[test]
    fn without_photos_there_is_no_grid() {
        let error = four().top_losses(2).grid().unwrap_err().to_string();
        assert!(error.contains("names only"), "{error}");
        assert!(four().with_photos(Vec::new()).is_err());
    }
}
