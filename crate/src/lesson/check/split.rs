//! TODO 1 and 2: the two parts of the data, and what is in them.

use super::super::diagnosis::{Checked, mistake};
use super::photos::names;
use crate::data::{Dataset, is_one_folder_for_both};

/// What TODO 1 asks for.
const SHARE: f64 = 0.7;
const SEED: u64 = 42;

pub(super) fn split(data: &Dataset, training: &Dataset, validation: &Dataset) -> Checked {
    other_set(data)?;
    some_only(data)?;
    empty(training, validation)?;
    strangers(data, training, validation)?;
    shared(training, validation)?;
    share(data, training, validation)?;
    one_sided(data, training, validation)?;
    other_seed(data, training)
}

/// The other notebook's photos, whose first cell is soon copied; but a folder of one's own may hold anything.
fn other_set(data: &Dataset) -> Checked {
    if data.classes() != ["cat", "dog"] || is_one_folder_for_both() {
        return Ok(());
    }
    mistake(
        "cats-and-dogs",
        "`data` holds cats and dogs, the photos of the other notebook.",
        "what follows speaks of five kinds of flowers.",
        "the flowers have a function of their own, named as what it gives.",
    )
}

/// A data set that was cut before it was split.
fn some_only(data: &Dataset) -> Checked {
    let (here, all) = (data.len(), data.at_source());
    if here >= all {
        return Ok(());
    }
    mistake(
        "photos-left-out",
        format!("`data` holds {here} of the {all} photos that were loaded."),
        LEFT_OUT,
        "keep all photos in `data`; to try things out with fewer, give those another name.",
    )
}

/// Why photos should not be left out.
const LEFT_OUT: &str = "photos are what is scarce: each that is left out makes the head or its measure a little worse.";

fn empty(training: &Dataset, validation: &Dataset) -> Checked {
    for (name, part) in [("training", training), ("validation", validation)] {
        if part.is_empty() {
            return mistake(
                if name == "training" { "empty-training" } else { "empty-validation" },
                format!("`{name}` has no photos."),
                "without photos to learn from nothing is learnt; without photos kept aside nothing is known of it.",
                "`split` gives both parts at once; its first argument is the share of the first part.",
            );
        }
    }
    Ok(())
}

/// Photos or classes that are not the data's.
fn strangers(data: &Dataset, training: &Dataset, validation: &Dataset) -> Checked {
    let ours: std::collections::HashMap<&str, usize> =
        data.photos().iter().map(|photo| (photo.name.as_str(), photo.label)).collect();
    for (name, part) in [("training", training), ("validation", validation)] {
        let strange = part.photos().iter().filter(|photo| !ours.contains_key(photo.name.as_str())).count();
        if strange > 0 || part.classes() != data.classes() {
            return mistake(
                "other-photos",
                format!("{strange} of the {} photos in `{name}` are not in `data`.", part.len()),
                "the parts must come from the same photos, or their accuracies are about different things.",
                "load the flowers once, and split that very data set.",
            );
        }
        let moved = part.photos().iter().filter(|photo| ours.get(photo.name.as_str()) != Some(&photo.label)).count();
        if moved > 0 {
            return mistake(
                "labels-shifted",
                format!("{moved} photos in `{name}` have another label than in `data`."),
                "a head learns whatever the labels say, right or wrong.",
                "leave the labels as the data set has them: they are indices into `data.classes()`, from 0.",
            );
        }
    }
    Ok(())
}

/// Photos that are in both parts.
fn shared(training: &Dataset, validation: &Dataset) -> Checked {
    let (ours, theirs) = (names(training), names(validation));
    let both = theirs.intersection(&ours).count();
    if both == 0 {
        return Ok(());
    }
    let why = "on photos that it has learnt from, a head looks better than it is: .94 on flowers instead of .89.";
    if ours == theirs {
        let what = format!("`training` and `validation` are the same {} photos.", training.len());
        let cure = "the two parts come from one `split`, in one `let` with a pair on its left.";
        return mistake("same-photos-twice", what, why, cure);
    }
    mistake(
        "overlap",
        format!("{both} of {} validation photos are in `training` as well.", validation.len()),
        why,
        "take both parts from one call of `split`; two calls with two seeds, or `take`, give parts that overlap.",
    )
}

fn share(data: &Dataset, training: &Dataset, validation: &Dataset) -> Checked {
    let all = data.len().max(1) as f64;
    let lost = data.len().saturating_sub(training.len() + validation.len());
    if lost > 0 {
        return mistake(
            "photos-left-out",
            format!("{lost} of {} photos are in neither part.", data.len()),
            LEFT_OUT,
            "split the whole data set; `take` is for trying things out.",
        );
    }
    let is = |share: f64| (training.len() as f64 / all - share).abs() <= (1.0 / all).max(0.005);
    if is(SHARE) {
        return Ok(());
    }
    let percent = |part: &Dataset| 100.0 * part.len() as f64 / all;
    if is(1.0 - SHARE) {
        return mistake(
            "swapped-split",
            format!(
                "the parts are swapped: {:.0} % of the photos are in `training`, and {:.0} % in `validation`.",
                percent(training),
                percent(validation)
            ),
            "all runs, but the head learns from less than half the photos: .872 on flowers instead of .893.",
            "the larger part is for training; look at the share, and at the order of the two names.",
        );
    }
    mistake(
        "other-share",
        format!("{:.1} % of the photos are in `training`, and 70 % were asked for.", percent(training)),
        "results can be compared only where they come from the same division.",
        "give the share for training as a number between 0 and 1.",
    )
}

/// A class that one part has none of, though there are plenty.
fn one_sided(data: &Dataset, training: &Dataset, validation: &Dataset) -> Checked {
    for (name, part) in [("training", training), ("validation", validation)] {
        let classes = data.classes().iter().zip(data.counts()).zip(part.counts());
        for ((class, all), here) in classes {
            if all >= 40 && here == 0 {
                return mistake(
                    "not-shuffled",
                    format!("`{name}` has none of the {all} photos of {class}."),
                    "data sets often come class by class: cut in one place, one part never sees the last classes.",
                    "`split` shuffles before it divides.",
                );
            }
        }
    }
    Ok(())
}

/// Parts of the right sizes that are not those of the seed that was asked for. Which of a split's two parts is called what,
/// is one's own affair as long as the larger one is for training.
fn other_seed(data: &Dataset, training: &Dataset) -> Checked {
    let is_part = |part: &Dataset| {
        let (ours, theirs) = (names(training), names(part));
        // A share of 0.7 may be written otherwise, and come to a photo more or less.
        ours.difference(&theirs).count() <= ours.len().abs_diff(theirs.len())
    };
    let asked = [data.split(SHARE, SEED), data.split(1.0 - SHARE, SEED)];
    if let [Ok((larger, _)), Ok((_, rest))] = &asked
        && !is_part(larger)
        && !is_part(rest)
    {
        return mistake(
            "other-seed",
            "the parts have the right sizes, but are not those that seed 42 gives.",
            "chance decides which photos are easy: only who divides them alike can compare results, to the last photo.",
            "the seed is the second argument of the method that divides; give it the one that was asked for.",
        );
    }
    Ok(())
}

/// The number of classes, of training photos, and of validation photos; none where it is no such number.
pub(super) fn counts(training: &Dataset, validation: &Dataset, counted: [Option<usize>; 3]) -> Checked {
    let want = [training.classes().len(), training.len(), validation.len()].map(Some);
    if counted == want {
        return Ok(());
    }
    let why = "a wrong count is the first sign of a wrong split, and all later numbers rest on these.";
    let [classes, of_training, of_validation] = counted;
    if [classes, of_validation, of_training] == want {
        return mistake(
            "counts-swapped",
            "`num_training` and `num_validation` are each other's.",
            why,
            "ask each part for its own length.",
        );
    }
    if of_training == Some(training.len() + validation.len()) || of_validation == of_training {
        return mistake(
            "counted-all",
            "`num_training` or `num_validation` counts the photos of more than its part.",
            why,
            "ask each part, not the whole data set, for its length.",
        );
    }
    let names = ["num_classes", "num_training", "num_validation"];
    let wrong = names.iter().zip(counted.iter().zip(&want)).filter(|(_, (got, want))| got != want);
    let shown = |count: &Option<usize>| count.map_or_else(|| "no such number".to_owned(), |count| count.to_string());
    let wrong =
        wrong.map(|(name, (got, want))| format!("`{name}` is {}, and the data says {}", shown(got), shown(want)));
    mistake(
        "miscounted",
        format!("{}.", wrong.collect::<Vec<_>>().join("; ")),
        why,
        "count by asking: a data set knows its `classes()` and its length.",
    )
}
