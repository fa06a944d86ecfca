//! Photos told apart by name and class, and their values made anew to compare with.

use super::super::diagnosis::{Checked, mistake};
use crate::Result;
use crate::data::{Dataset, Photo};
use crate::images::{Batch, Preprocess};
use std::collections::HashSet;

/// What tells a photo of a data set from the others.
pub(super) fn names(data: &Dataset) -> HashSet<&str> {
    data.photos().iter().map(|photo| photo.name.as_str()).collect()
}

/// The photo of this name.
pub(super) fn named<'a>(data: &'a Dataset, name: &str) -> Option<&'a Photo> {
    data.photos().iter().find(|photo| photo.name == name)
}

/// Whether the first and the last photo of a batch hold what `want` makes of them; `which` names the batch.
pub(super) fn normalised(which: &str, batch: &Batch, data: &Dataset, want: &Preprocess) -> Checked {
    let side = batch.photos.dims().get(2..).unwrap_or_default();
    if side != [want.side, want.side] {
        return other_side(which, batch.photos.dims(), want.side);
    }
    let last = batch.names.len().saturating_sub(1);
    for row in if last == 0 { vec![0] } else { vec![0, last] } {
        let Some(photo) = batch.names.get(row).and_then(|name| named(data, name)) else {
            return strangers(which);
        };
        let values = batch.photos.get(row)?.flatten_all()?.to_vec1::<f32>()?;
        if is_near(&values, photo, want)? {
            continue;
        }
        return other_values(which, &values, photo, want);
    }
    Ok(())
}

/// A batch with photos that are not the data's.
fn strangers(which: &str) -> Checked {
    mistake(
        "other-photos",
        format!("{which} holds photos that are not of the part that it should come from."),
        "what a network says of a photo can be judged only where it is known which photo it is.",
        "make the batch with the data set's own `batch`.",
    )
}

/// That a batch to predict holds photos that were kept aside, and enough of them; `which` names it.
pub(super) fn kept_aside(which: &str, batch: &Batch, training: &Dataset, validation: &Dataset) -> Checked {
    let (ours, theirs) = (names(validation), names(training));
    let learnt = batch.names.iter().filter(|name| theirs.contains(name.as_str())).count();
    if learnt > 0 {
        return mistake(
            "predicted-training-photos",
            format!("{learnt} of the {} photos in {which} are training photos.", batch.names.len()),
            "the head has seen their answers; the original checks its predictions so, and learns nothing from it.",
            "take the batch from the photos kept aside.",
        );
    }
    if batch.names.iter().any(|name| !ours.contains(name.as_str())) {
        return strangers(which);
    }
    Ok(())
}

/// How many photos TODO 10 and 12 ask for.
const BATCH: usize = 30;

/// That a batch to predict has as many photos as were asked for; `which` names it.
pub(super) fn enough(which: &str, batch: &Batch, validation: &Dataset) -> Checked {
    let (got, want) = (batch.labels.len(), BATCH.min(validation.len()));
    if got >= want {
        return Ok(());
    }
    mistake(
        if got == 1 { "one-photo" } else { "few-photos" },
        format!("{which} holds {got} photo{}, and {want} were asked for.", if got == 1 { "" } else { "s" }),
        "one answer or two, right or wrong, say next to nothing about a classifier.",
        "the number of photos is the first argument of `batch`.",
    )
}

fn other_side(which: &str, got: &[usize], side: usize) -> Checked {
    let name = if side == 299 { "inception-fed-224" } else { "other-side" };
    mistake(
        name,
        format!("{which} has the shape {got:?}, and this network wants squares of {side} x {side} pixels."),
        "a network's filters were learnt at one size; at another it answers all the same, and worse.",
        "look at `side` in the `Preprocess` that you use: each network's own is in its `spec().preprocess`.",
    )
}

/// Which known way of scaling gave these values.
fn other_values(which: &str, values: &[f32], photo: &Photo, want: &Preprocess) -> Checked {
    let side = want.side;
    let unit = Preprocess::unit(side);
    let bytes = Preprocess { side, mean: [0.0; 3], std: [1.0 / 255.0; 3] };
    let symmetric = Preprocess { side, mean: [0.5; 3], std: [0.5; 3] };
    let why = "the network was trained on shifted and scaled colours; fed with others it sees a world of odd light.";
    let cure = "this network's own scaling is the `Preprocess` that its `spec()` names; TODO 3's hints tell more.";
    if is_near(values, photo, &unit)? {
        return mistake("not-normalised", format!("{which} has its colours between 0 and 1, and no more."), why, cure);
    }
    if is_near(values, photo, &bytes)? {
        return mistake("bytes-as-they-are", format!("{which} has its colours between 0 and 255."), why, cure);
    }
    if is_near(values, photo, &symmetric)? || is_near(values, photo, &Preprocess::IMAGENET)? {
        return mistake("not-normalised", format!("{which} is scaled for another network than this."), why, cure);
    }
    mistake(
        "other-values",
        format!("{which} does not hold the values of its photo {}.", photo.name),
        "what is learnt from other pixels than those of the labelled photo is learnt wrongly.",
        "resize each photo to the square as a whole, and keep photos, labels and names in one order.",
    )
}

/// Whether values are a photo's under a preprocessing, to rounding.
fn is_near(values: &[f32], photo: &Photo, preprocess: &Preprocess) -> Result<bool> {
    let want = photo.pixels()?.to_tensor(preprocess)?.flatten_all()?.to_vec1::<f32>()?;
    let reach = want.iter().fold(1.0f32, |most, value| most.max(value.abs()));
    let off = |(got, want): (&f32, &f32)| (got - want).abs() <= 1e-3 * reach;
    Ok(values.len() == want.len() && values.iter().zip(&want).all(off))
}
