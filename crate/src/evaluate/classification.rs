//! What a model says of photos that nobody has labelled.

use crate::data::{Photo, Skipped};
use crate::notebook::{Picture, display};
use crate::plot;
use crate::{Error, Result};
use candle_core::Tensor;
use std::fmt;

/// What a model says of one photo. It shows itself, photo and all, when it ends a cell.
#[derive(Clone, Debug)]
pub struct Classification {
    /// The photo's name.
    pub name: String,
    /// The photo.
    pub photo: Photo,
    /// Every class with its probability, 0 to 1, the most probable first; together they are 1.
    pub probabilities: Vec<(String, f64)>,
}

impl Classification {
    /// The most probable class.
    pub fn class(&self) -> &str {
        self.probabilities.first().map_or("", |(class, _)| class)
    }

    /// How probable that one is, 0 to 1.
    pub fn probability(&self) -> f64 {
        self.probabilities.first().map_or(f64::NAN, |(_, probability)| *probability)
    }

    /// The photo beside its most probable classes.
    ///
    /// # Errors
    /// Where the photo can no longer be read.
    pub fn plot(&self) -> Result<Picture> {
        let best = self.probabilities.get(..SHOWN).unwrap_or(&self.probabilities);
        plot::photo_with_bars(&self.photo.pixels()?, best, &format!("Prediction: {}", self.class()))
    }

    /// Shows photo and classes below a notebook cell.
    pub fn evcxr_display(&self) {
        match self.plot() {
            Ok(picture) => picture.show_beside(&self.to_string()),
            Err(_) => display::text(&self.to_string()),
        }
    }
}

/// So many classes are shown; all of them are in [`Classification::probabilities`].
const SHOWN: usize = 5;
/// So many photos are shown at once.
const PHOTOS_SHOWN: usize = 30;

/// One line: `rose.jpg: roses 93.1 %, tulips 6.2 %, daisy 0.4 %`.
impl fmt::Display for Classification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let one = |(class, probability): &(String, f64)| format!("{class} {:.1} %", 100.0 * probability);
        let best: Vec<String> = self.probabilities.iter().take(SHOWN).map(one).collect();
        write!(f, "{}: {}", self.name, best.join(", "))
    }
}

/// What a model says of a folder of photos. It shows itself as a grid when it ends a cell.
#[derive(Clone, Debug)]
pub struct Classifications {
    /// The photos in the order of their names.
    pub photos: Vec<Classification>,
    /// What was found in the folder and is no photo that can be read, and why.
    pub skipped: Vec<Skipped>,
}

impl Classifications {
    /// From logits `(N, K)` of N photos, for K classes.
    ///
    /// # Errors
    /// [`Error::Shape`] where their numbers differ.
    pub fn from_logits(logits: &Tensor, photos: &[Photo], classes: &[String], skipped: Vec<Skipped>) -> Result<Self> {
        if logits.dims() != [photos.len(), classes.len()] {
            let want = format!("({}, {})", photos.len(), classes.len());
            return Err(Error::shape("classifications", want, logits.dims()));
        }
        let one = |(photo, row): (&Photo, Vec<f32>)| Classification {
            name: photo.name.clone(),
            photo: photo.clone(),
            probabilities: ranked(&row, classes),
        };
        Ok(Self { photos: photos.iter().zip(logits.to_vec2::<f32>()?).map(one).collect(), skipped })
    }

    /// How many photos were taken for each class that any was taken for, the most frequent first.
    pub fn counts(&self) -> Vec<(String, usize)> {
        let mut counts: Vec<(String, usize)> = Vec::new();
        for photo in &self.photos {
            match counts.iter_mut().find(|(class, _)| class == photo.class()) {
                Some((_, count)) => *count += 1,
                None => counts.push((photo.class().to_owned(), 1)),
            }
        }
        counts.sort_by(|(a, x), (b, y)| y.cmp(x).then_with(|| a.cmp(b)));
        counts
    }

    /// The first 30 photos in rows of five, each titled with its most probable class and how probable that is.
    ///
    /// # Errors
    /// [`Error::Plot`] where there is none, and where one can no longer be read.
    pub fn grid(&self) -> Result<Picture> {
        let shown = self.photos.get(..PHOTOS_SHOWN).unwrap_or(&self.photos);
        let pixels = shown.iter().map(|one| one.photo.pixels()).collect::<Result<Vec<_>>>()?;
        let title = |one: &Classification| format!("{} {:.0} %\n{}", one.class(), 100.0 * one.probability(), one.name);
        let titles: Vec<String> = shown.iter().map(title).collect();
        plot::grid(&pixels, &titles, &[], &self.headline())
    }

    /// Shows the grid below a notebook cell, and names what was skipped.
    pub fn evcxr_display(&self) {
        match self.grid() {
            Ok(picture) => picture.show_beside(&self.to_string()),
            Err(_) => display::text(&self.to_string()),
        }
    }

    fn headline(&self) -> String {
        let counts: Vec<String> = self.counts().iter().map(|(class, count)| format!("{count} {class}")).collect();
        let photos = if self.photos.len() == 1 { "photo" } else { "photos" };
        format!("{} {photos}: {}", self.photos.len(), counts.join(", "))
    }
}

/// The classes with their softmax, the most probable first; of equal ones the order of the classes decides.
fn ranked(logits: &[f32], classes: &[String]) -> Vec<(String, f64)> {
    let most = f64::from(logits.iter().copied().fold(f32::NEG_INFINITY, f32::max));
    let powers: Vec<f64> = logits.iter().map(|logit| (f64::from(*logit) - most).exp()).collect();
    let sum: f64 = powers.iter().sum();
    let mut ranked: Vec<(String, f64)> = classes.iter().cloned().zip(powers.iter().map(|power| power / sum)).collect();
    ranked.sort_by(|(_, a), (_, b)| b.total_cmp(a));
    ranked
}

/// A line for each photo, up to 200 of them, and what was skipped.
impl fmt::Display for Classifications {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const LINES: usize = 200;
        f.write_str(&self.headline())?;
        self.photos.iter().take(LINES).try_for_each(|photo| write!(f, "\n{photo}"))?;
        if self.photos.len() > LINES {
            write!(f, "\nand {} more", self.photos.len() - LINES)?;
        }
        if !self.skipped.is_empty() {
            write!(f, "\n{} skipped: {}", self.skipped.len(), Skipped::first_ten(&self.skipped))?;
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::images::Pixels;
    use candle_core::Device;

    fn two() -> Classifications {
        let photo = |name: &str| Photo::from_pixels(name, 0, Pixels { height: 2, width: 3, rgb: vec![99; 18] });
        let logits = Tensor::new(&[[0.0_f32, 2.0, 1.0], [1.0, 0.0, 0.0]], &Device::Cpu).unwrap();
        let classes = ["daisy", "roses", "tulips"].map(str::to_owned);
        let skipped = vec![Skipped::new("notes.txt", "no photo")];
        Classifications::from_logits(&logits, &["a.jpg", "b.jpg"].map(photo), &classes, skipped).unwrap()
    }

    #[test]
    fn the_most_probable_class_comes_first() {
        let two = two();
        // e^2, e and 1 over their sum 11.1073.
        assert_eq!(two.photos[0].to_string(), "a.jpg: roses 66.5 %, tulips 24.5 %, daisy 9.0 %");
        // e and twice 1 over 4.71828; equal ones keep their order.
        assert_eq!(two.photos[1].to_string(), "b.jpg: daisy 57.6 %, roses 21.2 %, tulips 21.2 %");
        assert_eq!((two.photos[1].class(), two.counts()[0].1), ("daisy", 1));
        let text = two.to_string();
        assert!(
            text.starts_with("2 photos: 1 daisy, 1 roses\na.jpg") && text.ends_with("1 skipped: notes.txt (no photo)")
        );
    }

    #[test]
    fn pictures_say_class_and_probability() {
        let two = two();
        assert!(two.grid().unwrap().alt().contains("roses 67 % a.jpg, daisy 58 % b.jpg"));
        let Picture::Svg { svg, alt } = two.photos[0].plot().unwrap() else { panic!("vectors around a photo") };
        assert_eq!(alt, "Prediction: roses. roses 66.5 %, tulips 24.5 %, daisy 9.0 %");
        assert!(svg.contains(">24.5 %</text>") && svg.matches("<image ").count() == 1);
    }

    #[test]
    fn logits_of_another_number_are_refused() {
        let logits = Tensor::new(&[[0.0_f32, 2.0]], &Device::Cpu).unwrap();
        assert!(Classifications::from_logits(&logits, &[], &[], Vec::new()).is_err());
    }
}
