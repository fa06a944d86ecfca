//! Features computed once: the frozen part of a transfer model runs one time per photo, and what follows is cheap.

use super::store::{FeatureStore, Fingerprint, Row};
use crate::data::{Photo, Skipped};
use crate::images::Pixels;
use crate::notebook::{self, Progress};
use crate::{Error, Result};
use candle_core::{Device, Tensor};
use rayon::prelude::*;
use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A data set as the head sees it: a row of features and a label for every photo that can be read.
///
/// A photo that proves broken when it is decoded has no row; a printed line names it, and [`names`](Self::names) says
/// which photos there are.
///
/// Frozen features of a photo never change, so six epochs, a second fit and tomorrow's session all use the same table.
#[derive(Clone, Debug)]
pub struct FeatureTable {
    features: Tensor,
    labels: Tensor,
    classes: Vec<String>,
    names: Vec<String>,
    fingerprints: Vec<Fingerprint>,
    photos: Vec<Photo>,
    skipped: Vec<Skipped>,
}

impl FeatureTable {
    /// A table from features `(N, F)` and N labels, each below the number of classes. Photos are named by number. Features
    /// on a GPU are copied to the host, where heads learn.
    ///
    /// # Errors
    /// [`Error::Shape`] where the numbers of rows differ, [`Error::Data`] for a label without a class.
    pub fn new(features: Tensor, labels: &[usize], classes: &[String]) -> Result<Self> {
        let (count, _) = features.dims2().map_err(|_| Error::shape("a feature table", "(N, F)", features.dims()))?;
        if count != labels.len() {
            return Err(Error::shape("a feature table", format!("({}, F)", labels.len()), features.dims()));
        }
        if let Some(label) = labels.iter().find(|label| **label >= classes.len()) {
            return Err(Error::Data(format!("a photo has label {label}, and there are {} classes", classes.len())));
        }
        let labels: Vec<u32> = labels.iter().map(|label| *label as u32).collect();
        let labels = Tensor::from_vec(labels, count, &Device::Cpu)?;
        Ok(Self {
            labels,
            features: features.to_device(&Device::Cpu)?.contiguous()?.detach(),
            classes: classes.to_vec(),
            names: (0..count).map(|number| format!("photo {number}")).collect(),
            fingerprints: Vec::new(),
            photos: Vec::new(),
            skipped: Vec::new(),
        })
    }

    /// The features `(N, F)`.
    pub fn features(&self) -> &Tensor {
        &self.features
    }

    /// The class of each photo, as an index into [`classes`](Self::classes).
    pub fn labels(&self) -> Vec<usize> {
        // The labels were made from a vector of u32, so reading them back cannot fail.
        self.labels.to_vec1::<u32>().unwrap_or_default().into_iter().map(|label| label as usize).collect()
    }

    /// The labels `(N,)`, u32.
    pub(super) fn label_tensor(&self) -> &Tensor {
        &self.labels
    }

    /// The class names.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// The photos' names.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The photos themselves; none where the table was made of features alone.
    pub(super) fn photos(&self) -> &[Photo] {
        &self.photos
    }

    /// The photos that have no row, and why.
    pub(super) fn skipped(&self) -> &[Skipped] {
        &self.skipped
    }

    /// How many photos.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// How many photos of this table are in `other` too, by content.
    pub fn shared_with(&self, other: &Self) -> usize {
        let theirs: HashSet<&Fingerprint> = other.fingerprints.iter().collect();
        self.fingerprints.iter().filter(|fingerprint| theirs.contains(fingerprint)).count()
    }
}

/// Some photos and the names of their classes: what a table is made of.
pub(super) struct Part<'a> {
    pub photos: &'a [Photo],
    pub classes: &'a [String],
}

/// What is computed of each photo, and by what.
pub(super) struct Source<'a> {
    /// "features".
    pub what: &'a str,
    /// Photos computed between two looks at what should be saved.
    pub chunk: usize,
    /// The rows of the photos that the second argument reads for `0..n`, as [`Frozen::features_of_all`](crate::freeze::Frozen::features_of_all).
    pub rows: &'a Rows<'a>,
}

/// See [`Source::rows`].
pub(super) type Rows<'a> = dyn Fn(usize, &(dyn Fn(usize) -> Result<Pixels> + Sync), &Progress) -> Result<Tensor> + 'a;

/// Features that took longer than this are saved at once, in case the process is killed.
const SAVE_EVERY: Duration = Duration::from_secs(20);

/// Photos that cannot be decoded, by content, and why: told once, and not tried again.
pub(super) type Broken = HashMap<Fingerprint, String>;

/// A table for each part, all of them in one pass: from memory, from disk, or computed.
///
/// Photos that cannot be decoded are told and left out. Where the pass is interrupted or fails otherwise, what was
/// computed until then is kept.
pub(super) fn tables(
    source: &Source<'_>,
    store: &mut FeatureStore,
    broken: &mut Broken,
    parts: &[Part<'_>],
) -> Result<Vec<FeatureTable>> {
    let photos: Vec<&Photo> = parts.iter().flat_map(|part| part.photos).collect();
    let fingerprints = fingerprints(&photos)?;
    say(store.read());
    let mut wanted = HashSet::new();
    let missing: Vec<(&Photo, Fingerprint)> = (photos.iter().copied().zip(fingerprints.iter().copied()))
        .filter(|(_, fingerprint)| store.get(fingerprint).is_none() && !broken.contains_key(fingerprint))
        .filter(|(_, fingerprint)| wanted.insert(*fingerprint))
        .collect();
    if !missing.is_empty() {
        let began = Instant::now();
        let computed = compute(source, store, broken, &missing);
        say(store.write());
        let skipped: Vec<Skipped> = (photos.iter().zip(&fingerprints))
            .filter(|(_, fingerprint)| wanted.contains(*fingerprint))
            .filter_map(|(photo, fingerprint)| Some(Skipped::new(&photo.name, broken.get(fingerprint)?)))
            .collect();
        say(skipped_line(&skipped));
        let (new, seconds) = (computed?, began.elapsed().as_secs_f64());
        let all = fingerprints.iter().filter(|fingerprint| !broken.contains_key(*fingerprint)).count();
        // The candlewick kernel shows the bar, and a notebook's saved output does not hang on what is kept.
        let line = format!(
            "{} of {all} photos: {} kept from before, {new} computed in {seconds:.1} s ({:.0} a second).",
            capitalised(source.what),
            all - new,
            new as f64 / seconds.max(1e-9)
        );
        if !notebook::on_candlewick_kernel() {
            println!("{line}");
        }
    }
    let mut start = 0;
    let table = |part: &Part<'_>| {
        let fingerprints = fingerprints.get(start..start + part.photos.len()).unwrap_or_default();
        start += part.photos.len();
        table(part, fingerprints, store, broken)
    };
    parts.iter().map(table).collect()
}

/// The fingerprint of each photo; all of them are read for it.
fn fingerprints(photos: &[&Photo]) -> Result<Vec<Fingerprint>> {
    let progress = Progress::new("Reading photos", Some(photos.len() as u64), "photos");
    let fingerprint = |photo: &&Photo| {
        let fingerprint = photo.fingerprint();
        progress.advance(1);
        fingerprint
    };
    photos.par_iter().map(fingerprint).collect()
}

/// `skipped 1 photo that cannot be read: cat/3.png (why)`.
pub(super) fn skipped_line(skipped: &[Skipped]) -> Option<String> {
    let photos = if skipped.len() == 1 { "photo" } else { "photos" };
    let line = || format!("skipped {} {photos} that cannot be read: {}", skipped.len(), Skipped::first_ten(skipped));
    (!skipped.is_empty()).then(line)
}

fn table(part: &Part<'_>, fingerprints: &[Fingerprint], store: &FeatureStore, broken: &Broken) -> Result<FeatureTable> {
    let whole: Vec<(&Photo, Fingerprint)> = (part.photos.iter().zip(fingerprints.iter().copied()))
        .filter(|(_, fingerprint)| !broken.contains_key(fingerprint))
        .collect();
    if let (Some(first), true) = (part.photos.first(), whole.is_empty()) {
        let why = fingerprints.first().and_then(|fingerprint| broken.get(fingerprint)).map_or("", String::as_str);
        let count = part.photos.len();
        return Err(Error::Data(format!("none of the {count} photos can be read; the first: {} ({why})", first.name)));
    }
    let mut values = Vec::with_capacity(whole.len() * store.width());
    for (photo, fingerprint) in &whole {
        let row = store.get(fingerprint).ok_or_else(|| Error::Data(format!("{} has no features", photo.name)))?;
        values.extend_from_slice(row);
    }
    let features = Tensor::from_vec(values, (whole.len(), store.width()), &Device::Cpu)?;
    let labels: Vec<usize> = whole.iter().map(|(photo, _)| photo.label).collect();
    let mut table = FeatureTable::new(features, &labels, part.classes)?;
    table.names = whole.iter().map(|(photo, _)| photo.name.clone()).collect();
    table.skipped = (part.photos.iter().zip(fingerprints))
        .filter_map(|(photo, fingerprint)| Some(Skipped::new(&photo.name, broken.get(fingerprint)?)))
        .collect();
    table.photos = whole.iter().map(|(photo, _)| Photo::clone(photo)).collect();
    table.fingerprints = whole.iter().map(|(_, fingerprint)| *fingerprint).collect();
    Ok(table)
}

/// Runs the frozen part over the photos that have no features yet, and says of how many there are features now.
fn compute(
    source: &Source<'_>,
    store: &mut FeatureStore,
    broken: &mut Broken,
    missing: &[(&Photo, Fingerprint)],
) -> Result<usize> {
    let progress = Progress::new(format!("Computing {}", source.what), Some(missing.len() as u64), "photos");
    let (mut saved, mut new) = (Instant::now(), 0);
    for chunk in missing.chunks(source.chunk.max(1)) {
        let found = Mutex::new(Broken::new());
        let read = |index: usize| {
            if notebook::interrupted() {
                return Err(Error::Interrupted);
            }
            // An index beyond the chunk would be a fault in `features_of_all`; an error says so better than a panic.
            let (photo, fingerprint) =
                chunk.get(index).ok_or_else(|| Error::Data(format!("there is no photo {index}")))?;
            match photo.pixels() {
                Err(Error::Photo { why, .. }) => {
                    found.lock().unwrap_or_else(PoisonError::into_inner).insert(*fingerprint, why);
                    // An error would end the whole chunk: a black pixel stands in, and its row is thrown away.
                    Pixels::new(1, 1, vec![0; 3])
                }
                pixels => pixels,
            }
        };
        let features = (source.rows)(chunk.len(), &read, &progress);
        broken.extend(found.into_inner().unwrap_or_else(PoisonError::into_inner));
        let features = features?.to_device(&Device::Cpu)?;
        let rows = features.to_vec2::<f32>()?;
        if rows.len() != chunk.len() || rows.iter().any(|row| row.len() != store.width()) {
            return Err(Error::shape("the features", format!("({}, {})", chunk.len(), store.width()), features.dims()));
        }
        for ((photo, fingerprint), row) in chunk.iter().zip(rows) {
            if broken.contains_key(fingerprint) {
                continue;
            }
            if row.iter().any(|value| !value.is_finite()) {
                return Err(Error::Data(format!(
                    "the backbone's {} of {} are not all numbers: are the weights damaged?",
                    source.what, photo.name
                )));
            }
            store.add(*fingerprint, Row::from(row));
            new += 1;
        }
        if saved.elapsed() > SAVE_EVERY {
            say(store.write());
            saved = Instant::now();
        }
    }
    Ok(new)
}

/// The words with a capital at their beginning.
fn capitalised(words: &str) -> String {
    let mut letters = words.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

fn say(note: Option<String>) {
    if let Some(note) = note {
        println!("{note}");
    }
}
