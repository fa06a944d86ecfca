//! TODO 3: photos in batches, as the network wants them.

use super::super::diagnosis::{Checked, mistake};
use super::photos::{named, names, normalised};
use crate::data::{Batches, Dataset};
use crate::images::{Batch, Preprocess};
use crate::{Error, Result};

/// How many photos TODO 3 puts into a batch.
const SIZE: usize = 32;

/// What may hold a data set's photos as batches.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is nothing that this check can look at for batches",
    note = "what a data set's method for batches gives will do, and so will a `Vec` of all that comes out of it"
)]
pub trait Batched {
    /// Looks at them without using them up.
    ///
    /// # Errors
    /// Where a photo cannot be read.
    fn look(&self) -> Result<Look>;
}

/// What there is to see of some batches.
#[derive(Clone, Debug)]
pub struct Look {
    /// How many photos are in all batches.
    photos: usize,
    /// How many are in a batch, but for the last.
    size: usize,
    /// Whether it is one batch alone, and not a series.
    single: bool,
    /// The first batch and the last.
    ends: Vec<Batch>,
}

impl Batched for Batches {
    fn look(&self) -> Result<Look> {
        let ends = self.ends().into_iter().collect::<Result<Vec<Batch>>>()?;
        Ok(Look { photos: self.photos().len(), size: self.size(), single: false, ends })
    }
}

impl Batched for Vec<Batch> {
    fn look(&self) -> Result<Look> {
        Ok(series(self.iter().collect()))
    }
}

impl Batched for Vec<Result<Batch>> {
    fn look(&self) -> Result<Look> {
        let whole = |batch: &'_ Result<Batch>| match batch {
            Ok(_) => Ok(()),
            Err(Error::Interrupted) => Err(Error::Interrupted),
            Err(why) => Err(Error::Data(why.to_string())),
        };
        self.iter().try_for_each(whole)?;
        Ok(series(self.iter().flatten().collect()))
    }
}

fn series(batches: Vec<&Batch>) -> Look {
    let ends = batches.first().into_iter().chain(batches.last()).map(|batch| (*batch).clone()).collect();
    let photos = batches.iter().map(|batch| batch.labels.len()).sum();
    Look { photos, size: batches.first().map_or(0, |batch| batch.labels.len()), single: false, ends }
}

impl Batched for Batch {
    fn look(&self) -> Result<Look> {
        let size = self.labels.len();
        Ok(Look { photos: size, size, single: true, ends: vec![self.clone()] })
    }
}

pub(super) fn batches(
    preprocess: &Preprocess,
    training_batches: &dyn Batched,
    validation_batches: &dyn Batched,
    training: &Dataset,
    validation: &Dataset,
) -> Checked {
    for (name, batches, data, other) in [
        ("training_batches", training_batches, training, validation),
        ("validation_batches", validation_batches, validation, training),
    ] {
        let look = batches.look()?;
        of_the_right_photos(name, &look, data, other)?;
        sizes(name, &look, data.len())?;
        for batch in &look.ends {
            labels(name, batch, data)?;
            normalised(&format!("`{name}`"), batch, data, &Preprocess::IMAGENET)?;
        }
    }
    if *preprocess != Preprocess::IMAGENET {
        return mistake(
            "other-preprocess",
            "`preprocess` is not the one that your batches were made with.",
            "later cells make their batches with it: they must see photos as the network does.",
            "make both kinds of batches with the one `preprocess`.",
        );
    }
    Ok(())
}

fn of_the_right_photos(name: &str, look: &Look, data: &Dataset, other: &Dataset) -> Checked {
    let ours = names(data);
    let strange = |batch: &Batch| batch.names.iter().any(|name| !ours.contains(name.as_str()));
    if !look.ends.iter().any(strange) {
        return Ok(());
    }
    let theirs = names(other);
    let swapped = look.ends.iter().flat_map(|batch| &batch.names).all(|name| theirs.contains(name.as_str()));
    let what = match swapped {
        true => format!("`{name}` holds the photos of the other part."),
        false => format!("`{name}` holds photos that are not of its part."),
    };
    mistake(
        if swapped { "batches-swapped" } else { "batches-of-other-photos" },
        what,
        "a photo that is learnt from must not be among those that measure, or the measure flatters.",
        "make `training_batches` from `training`, and `validation_batches` from `validation`.",
    )
}

fn sizes(name: &str, look: &Look, all: usize) -> Checked {
    if look.single && all > look.size {
        return mistake(
            "one-batch",
            format!("`{name}` is one batch of {} photos, and there are {all} photos.", look.size),
            "a head that sees a handful of photos learns a handful of photos.",
            "a data set gives all of its batches by a method whose name is a plural.",
        );
    }
    if look.photos == 0 && all > 0 {
        return mistake(
            "used-up",
            format!("`{name}` has no batches left."),
            "batches come one after the other, and each only once: a loop over them uses them up.",
            "loop over a copy, `.clone()`, or make them once more after the loop.",
        );
    }
    // Where there are fewer photos than a batch takes, one batch has them all.
    if look.size != SIZE && look.size != SIZE.min(all) {
        return mistake(
            if look.size == 1 { "one-photo" } else { "batch-size" },
            format!("`{name}` has {} photos a batch, and {SIZE} were asked for.", look.size),
            "the size of a batch decides how many steps an epoch has, and how much each step can trust its gradient.",
            "the number of photos is the first argument of the method that makes batches.",
        );
    }
    if look.photos < all {
        let lost = all - look.photos;
        let is_last = lost == all % SIZE;
        return mistake(
            if is_last { "last-batch-lost" } else { "photos-left-out" },
            match is_last {
                true => format!("`{name}` leaves out the last batch, the smaller one of {lost} photos."),
                false => format!("{lost} of {all} photos are in no batch of `{name}`."),
            },
            "photos that are left out are not learnt from, or not counted: the original drops 2 of its 32 so.",
            "keep the last batch, though it is smaller; a batch that a loop has taken is gone from the rest.",
        );
    }
    Ok(())
}

fn labels(name: &str, batch: &Batch, data: &Dataset) -> Checked {
    let pairs = batch.names.iter().zip(&batch.labels);
    let is_wrong = |(photo, label): &(&String, &usize)| named(data, photo).is_none_or(|photo| photo.label != **label);
    let wrong = pairs.filter(is_wrong).count();
    let rows = batch.photos.dims().first().copied().unwrap_or(0);
    if wrong == 0 && rows == batch.labels.len() && batch.names.len() == rows {
        return Ok(());
    }
    mistake(
        "labels-shifted",
        format!("{wrong} of {rows} photos in a batch of `{name}` have another photo's label."),
        "a head learns whatever the labels say, right or wrong.",
        "keep photos, labels and names in one order, one of each a photo.",
    )
}
