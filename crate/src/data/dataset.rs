//! A list of photos with a class each, and how it is divided.

use super::{Batches, Photo};
use crate::images::{Batch, Pixels, Preprocess};
use crate::notebook::{Picture, Progress, report};
use crate::{Error, Result};
use rand::{RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use std::sync::Arc;

/// Something found among the photos that is not used, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// Which file or folder.
    pub name: String,
    /// Why it is left out.
    pub why: String,
}

impl Skipped {
    pub(crate) fn new(name: impl Into<String>, why: impl Into<String>) -> Self {
        Self { name: name.into(), why: why.into() }
    }

    /// Left out for an error, whose own mention of the photo would be one too many.
    pub(super) fn because(name: impl Into<String>, error: &Error) -> Self {
        match error {
            Error::Photo { why, .. } => Self::new(name, why),
            other => Self::new(name, other.to_string()),
        }
    }

    /// The first ten in words, each with its reason, and how many more there are.
    pub(crate) fn first_ten(skipped: &[Self]) -> String {
        const TEN: usize = 10;
        let named: Vec<_> = skipped.iter().take(TEN).map(|Self { name, why }| format!("{name} ({why})")).collect();
        match skipped.len().saturating_sub(TEN) {
            0 => named.join(", "),
            more => format!("{} and {more} more", named.join(", ")),
        }
    }
}

/// Photos with a class each.
///
/// Cheap to clone and to divide: photos are read when they are asked for. It shows itself when it ends a cell.
#[derive(Clone, Debug)]
pub struct Dataset {
    classes: Arc<[String]>,
    photos: Vec<Photo>,
    source: String,
    is_sketches: bool,
    skipped: Arc<[Skipped]>,
    /// How many photos there were before any were taken or split off.
    whole: usize,
}

impl Dataset {
    /// A data set of `photos` whose labels are indices into `classes`; `source` says where they are from.
    ///
    /// # Errors
    /// [`Error::Data`] for a label that has no class.
    pub fn new(classes: Vec<String>, photos: Vec<Photo>, source: impl Into<String>) -> Result<Self> {
        if let Some(photo) = photos.iter().find(|photo| photo.label >= classes.len()) {
            let (name, label, count) = (&photo.name, photo.label, classes.len());
            return Err(Error::Data(format!("{name} has class {label}, and there are {count} classes, from 0")));
        }
        Ok(Self::whole(classes, photos, source.into(), false))
    }

    /// A data set of drawings, whose labels are right by construction.
    pub(super) fn of_sketches(classes: Vec<String>, photos: Vec<Photo>, source: &str) -> Self {
        Self::whole(classes, photos, source.into(), true)
    }

    fn whole(classes: Vec<String>, photos: Vec<Photo>, source: String, is_sketches: bool) -> Self {
        let whole = photos.len();
        Self { classes: classes.into(), photos, source, is_sketches, skipped: Arc::new([]), whole }
    }

    pub(super) fn with_skipped(mut self, skipped: Vec<Skipped>) -> Self {
        self.skipped = skipped.into();
        self
    }

    /// The same photos as a source of their own.
    pub(super) fn with_source(self, source: String) -> Self {
        Self { source, whole: self.len(), ..self }
    }

    /// How many photos the source gave, of which these are all or some. Those that cannot be decoded do not count.
    pub(crate) fn at_source(&self) -> usize {
        self.whole
    }

    /// The classes' names; a label is an index into them.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// How many photos there are.
    pub fn len(&self) -> usize {
        self.photos.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.photos.is_empty()
    }

    /// The photos, in order.
    pub fn photos(&self) -> &[Photo] {
        &self.photos
    }

    /// Where the photos are from, in words.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Whether these are no photos but [`sketches`](super::sketches): what is measured on them says nothing about photos.
    pub fn is_sketches(&self) -> bool {
        self.is_sketches
    }

    /// What was found at the source and is not used, and why.
    pub fn skipped(&self) -> &[Skipped] {
        &self.skipped
    }

    /// How many photos each class has.
    pub fn counts(&self) -> Vec<usize> {
        let mut counts = vec![0; self.classes.len()];
        for photo in &self.photos {
            if let Some(count) = counts.get_mut(photo.label) {
                *count += 1;
            }
        }
        counts
    }

    /// Divides the photos into two by one seeded permutation: `training_share` of them (rounded), and the rest.
    ///
    /// The same seed divides the same photos in the same way on every machine. Classes are not balanced on purpose: each
    /// part has about their shares.
    ///
    /// # Errors
    /// [`Error::Setting`] where the share is not between 0 and 1, or leaves one of the two without photos.
    pub fn split(&self, training_share: f64, seed: u64) -> Result<(Self, Self)> {
        let refuse =
            |want: String| Err(Error::Setting { setting: "the training share", got: training_share.to_string(), want });
        if !(training_share > 0.0 && training_share < 1.0) {
            return refuse("it must be between 0 and 1, as in 0.8 for 80 %".into());
        }
        let training = (training_share * self.len() as f64).round() as usize;
        if training == 0 || training >= self.len() {
            return refuse(format!("of {} photos it leaves one part without any", self.len()));
        }
        let mut all = self.shuffled(seed);
        let rest = all.photos.split_off(training);
        Ok((all, Self { photos: rest, ..self.clone_without_photos() }))
    }

    /// The same photos in a seeded random order, the same on every machine.
    pub fn shuffled(&self, seed: u64) -> Self {
        let mut photos = self.photos.clone();
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        // Fisher and Yates, in our own words: a library's shuffle may change with its version.
        for last in (1..photos.len()).rev() {
            let among = last as u64 + 1;
            photos.swap(last, (random.next_u64() % among) as usize);
        }
        Self { photos, ..self.clone_without_photos() }
    }

    /// The first `n` photos, or all where there are fewer.
    pub fn take(&self, n: usize) -> Self {
        Self { photos: self.photos.iter().take(n).cloned().collect(), ..self.clone_without_photos() }
    }

    fn clone_without_photos(&self) -> Self {
        Self {
            classes: self.classes.clone(),
            photos: Vec::new(),
            source: self.source.clone(),
            is_sketches: self.is_sketches,
            skipped: self.skipped.clone(),
            whole: self.whole,
        }
    }

    /// The photos in order, `size` at a time, decoded in parallel; the last batch may be smaller.
    ///
    /// A photo that proves broken is left out of its batch, and a printed line says so.
    pub fn batches(&self, size: usize, preprocess: &Preprocess) -> Batches {
        Batches::new(self.photos.clone(), size, *preprocess)
    }

    /// The first batch of `size` photos.
    ///
    /// # Errors
    /// [`Error::Data`] where no photo can be read.
    pub fn batch(&self, size: usize, preprocess: &Preprocess) -> Result<Batch> {
        let none = || Error::Data(format!("there is no photo to make a batch of in {}", self.source));
        self.batches(size, preprocess).next().ok_or_else(none)?
    }

    /// The data set without the photos that cannot be decoded; each is named among the [`skipped`](Self::skipped).
    ///
    /// Loading looks at every photo's header and end; what is broken in the middle shows only here, where every photo is
    /// decoded once.
    pub fn without_broken(&self) -> Self {
        let progress = Progress::new("Checking photos", Some(self.len() as u64), "photos");
        let why: Vec<Option<Error>> = self
            .photos
            .par_iter()
            .map(|photo| {
                let why = photo.pixels().err();
                progress.advance(1);
                why
            })
            .collect();
        let mut skipped = self.skipped.to_vec();
        let mut photos = Vec::with_capacity(self.len());
        for (photo, why) in self.photos.iter().zip(why) {
            match why {
                None => photos.push(photo.clone()),
                Some(error) => skipped.push(Skipped::because(&photo.name, &error)),
            }
        }
        let whole = self.whole - (self.len() - photos.len());
        Self { photos, whole, ..self.clone_without_photos() }.with_skipped(skipped)
    }

    /// Says in one line where the set `name` is from, and why better sources did not serve, and in another what is not
    /// used; and tells the same facts to whoever runs the notebook.
    pub(super) fn announce(&self, name: &str, why_not: &[String]) {
        let because: String = why_not.iter().map(|why| format!("; not {why}")).collect();
        println!("{name}: {} from {}{because}", self.counted(), self.source);
        if let Some(line) = self.not_used() {
            println!("{line}");
        }
        let facts = serde_json::json!({
            "set": name, "source": self.source, "sketches": self.is_sketches, "photos": self.len(),
            "skipped": self.skipped.len(), "classes": &*self.classes, "not": why_not,
        });
        report("data", facts);
    }

    fn counted(&self) -> String {
        format!("{} {}", self.len(), if self.is_sketches { "sketches" } else { "photos" })
    }

    fn not_used(&self) -> Option<String> {
        let line = || format!("{} not used: {}", self.skipped.len(), Skipped::first_ten(&self.skipped));
        (!self.skipped.is_empty()).then(line)
    }

    /// Shows where it ends a cell: source, classes and counts, what was skipped, and its first photos.
    pub fn evcxr_display(&self) {
        println!("{self}");
        let thumbnails: Vec<Pixels> =
            self.photos.iter().take(8).filter_map(|photo| photo.pixels().ok()?.resized(112, 112).ok()).collect();
        if let Ok(png) = beside_each_other(&thumbnails).and_then(|strip| strip.to_png()) {
            let names: Vec<_> = self.photos.iter().take(8).map(|photo| photo.name.as_str()).collect();
            Picture::Png { png, alt: format!("The first photos: {}", names.join(", ")) }.evcxr_display();
        }
    }
}

impl std::fmt::Display for Dataset {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let counts: Vec<_> =
            self.classes.iter().zip(self.counts()).map(|(class, count)| format!("{class} {count}")).collect();
        writeln!(f, "{} in {} classes: {}", self.counted(), self.classes.len(), counts.join(", "))?;
        write!(f, "from {}", self.source)?;
        if let Some(line) = self.not_used() {
            write!(f, "\n{line}")?;
        }
        Ok(())
    }
}

/// Photos of the same size in one row, with two white columns between them.
fn beside_each_other(photos: &[Pixels]) -> Result<Pixels> {
    let height = photos.first().map_or(0, |photo| photo.height);
    let mut rgb = Vec::new();
    for row in 0..height {
        for (number, photo) in photos.iter().enumerate() {
            let gap = if number == 0 { 0 } else { 6 };
            rgb.extend(std::iter::repeat_n(255, gap));
            rgb.extend_from_slice(photo.rgb.chunks_exact(3 * photo.width).nth(row).unwrap_or_default());
        }
    }
    let width = rgb.len() / 3 / height.max(1);
    Pixels::new(height, width, rgb)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::data::{Sketches, sketches};
    use std::collections::HashSet;

    fn names(data: &Dataset) -> Vec<&str> {
        data.photos().iter().map(|photo| photo.name.as_str()).collect()
    }

    #[test]
    fn a_split_is_disjoint_covers_everything_and_depends_on_the_seed_alone() {
        for (per_class, share) in [(1, 0.5), (3, 0.8), (5, 0.7), (40, 0.8), (101, 0.333), (7, 0.07)] {
            let all = sketches(Sketches::CatsVsDogs, per_class, 1);
            for seed in [0, 1, 42, u64::MAX] {
                let (training, rest) = all.split(share, seed).unwrap();
                assert_eq!(training.len(), (share * all.len() as f64).round() as usize, "{per_class} {share}");
                assert_eq!(training.len() + rest.len(), all.len());
                let both: HashSet<_> = names(&training).into_iter().chain(names(&rest)).collect();
                assert_eq!(both, names(&all).into_iter().collect(), "every photo is in one part, none in both");
                let again = all.split(share, seed).unwrap();
                assert_eq!((names(&again.0), names(&again.1)), (names(&training), names(&rest)));
                assert_eq!(training.classes(), all.classes());
            }
        }
    }

    #[test]
    fn the_order_of_a_seed_is_pinned() {
        let photo = |number: usize| Photo::in_file(number.to_string(), 0, "nowhere".into());
        let ten = Dataset::new(vec!["a".into()], (0..10).map(photo).collect(), "numbers").unwrap();
        // A change here changes every split that a learner has seen: numbers in texts would no longer hold.
        assert_eq!(names(&ten.shuffled(42)).join(" "), "1 5 9 6 3 2 0 8 4 7");
        assert_ne!(names(&ten.shuffled(43)), names(&ten.shuffled(42)));
        assert_eq!(names(&ten.shuffled(42).take(3)).len(), 3);
        assert_eq!(ten.take(11).len(), 10);
    }

    #[test]
    fn shares_that_leave_a_part_empty_are_refused() {
        let four = sketches(Sketches::CatsVsDogs, 2, 1);
        for share in [0.0, 1.0, -0.1, 1.5, 0.01, 0.99, f64::NAN, f64::INFINITY] {
            let error = four.split(share, 1).unwrap_err();
            assert!(matches!(error, Error::Setting { .. }), "{share}: {error}");
        }
    }

    #[test]
    fn a_label_without_a_class_is_refused() {
        let photos = sketches(Sketches::Flowers, 1, 0).photos().to_vec();
        let error = Dataset::new(vec!["daisy".into()], photos, "test").unwrap_err().to_string();
        assert!(error.contains("class 1, and there are 1 classes"), "{error}");
    }

    #[test]
    fn what_is_broken_in_the_middle_is_found_and_said() {
        let whole = sketches(Sketches::CatsVsDogs, 1, 0);
        let mut png = whole.photos()[0].pixels().unwrap().to_png().unwrap();
        let middle = png.len() / 2;
        png[middle] ^= 0xFF;
        let mut photos = whole.photos().to_vec();
        photos.push(Photo::from_bytes("cat/broken.png", 0, png).unwrap());
        let mended = Dataset::new(whole.classes().to_vec(), photos, "test").unwrap().without_broken();
        assert_eq!(mended.counts(), [1, 1]);
        assert_eq!((mended.at_source(), mended.take(1).at_source()), (2, 2));
        assert_eq!(mended.skipped().len(), 1);
        assert_eq!(mended.skipped()[0].name, "cat/broken.png");
        let why = &mended.skipped()[0].why;
        assert!(mended.to_string().ends_with(&format!("\n1 not used: cat/broken.png ({why})")), "{mended}");
        assert!(!why.contains("broken.png"), "the name is not said twice: {why}");
    }

    #[test]
    fn ten_of_those_not_used_are_named_and_the_rest_counted() {
        let skipped = |count| (1..=count).map(|n| Skipped::new(format!("{n}.jpg"), "empty")).collect::<Vec<_>>();
        let text = |count| sketches(Sketches::CatsVsDogs, 1, 0).with_skipped(skipped(count)).to_string();
        assert!(!text(0).contains("not used"), "{}", text(0));
        assert!(text(2).ends_with("\n2 not used: 1.jpg (empty), 2.jpg (empty)"), "{}", text(2));
        assert!(text(10).ends_with(", 10.jpg (empty)"), "{}", text(10));
        assert!(text(12).contains("\n12 not used: 1.jpg"), "{}", text(12));
        assert!(text(12).ends_with(", 10.jpg (empty) and 2 more"), "{}", text(12));
    }

    #[test]
    fn thumbnails_stand_in_one_row() {
        let white = Pixels::new(2, 1, vec![9; 6]).unwrap();
        let row = beside_each_other(&[white.clone(), white]).unwrap();
        assert_eq!((row.height, row.width), (2, 4));
        assert_eq!(row.rgb[..12], [9, 9, 9, 255, 255, 255, 255, 255, 255, 9, 9, 9]);
        assert!(beside_each_other(&[]).is_err());
    }
}
