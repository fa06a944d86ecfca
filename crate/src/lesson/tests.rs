//! What the checks say, where no trained weights are needed. `candlewick exercise verify` runs them all.
#![allow(clippy::unwrap_used)]

use super::{check, hint, solution, todo};
use crate::data::{Dataset, Photo, Sketches, sketches};
use crate::images::{Batch, Preprocess};
use crate::{Error, Result};

fn flowers() -> (Dataset, Dataset, Dataset) {
    let data = sketches(Sketches::Flowers, 20, 3);
    let (training, validation) = data.split(0.7, 1).unwrap();
    (data, training, validation)
}

#[test]
fn a_stub_names_its_todo_in_one_line() {
    let line = todo(3).unwrap_err().to_string();
    assert!(line.starts_with("TODO 3, Reformat images and create batches: ") && line.ends_with("hint(3)"), "{line}");
    assert_eq!(line.lines().count(), 1);
    for unknown in [0, 13] {
        assert!(hint(unknown).to_string().contains("from 1 to 12"));
        assert!(solution(unknown).to_string().contains("from 1 to 12"));
        assert!(todo(unknown).is_err());
    }
}

#[test]
fn a_diagnosis_says_what_why_and_what_to_try_but_not_the_answer() {
    let (data, training, validation) = flowers();
    let said = check::split(&data, &validation, &training).unwrap_err().to_string();
    for words in ["TODO 1, Download", "swapped", "30 %", "70 %", "Why it matters: ", "Try: ", "hint(1)"] {
        assert!(said.contains(words), "{words}: {said}");
    }
    assert!(!said.contains("split(0.7"), "{said}");
}

#[test]
fn counts_of_any_integer_type_are_understood_and_negative_ones_are_wrong() {
    let (_, training, validation) = flowers();
    let said = check::counts(&training, &validation, -5_i32, 70_u8, 30_i64).unwrap_err().to_string();
    assert!(said.contains("`num_classes` is no such number, and the data says"), "{said}");
}

/// However the parts of seed 42 were come by, they pass; parts of another seed do not.
#[test]
fn the_seed_that_was_asked_for_and_no_other() {
    let data = sketches(Sketches::Flowers, 20, 3);
    let (training, validation) = data.split(0.7, 42).unwrap();
    check::split(&data, &training, &validation).unwrap();
    // As many, in another order.
    check::split(&data, &training.shuffled(1), &validation.shuffled(2)).unwrap();
    // The smaller part named first.
    let (rest, most) = data.split(0.3, 42).unwrap();
    check::split(&data, &most, &rest).unwrap();
    // A share that comes to a photo less.
    let odd = sketches(Sketches::Flowers, 21, 3);
    let (training, validation) = odd.split(0.695, 42).unwrap();
    assert_ne!(training.len(), odd.split(0.7, 42).unwrap().0.len());
    check::split(&odd, &training, &validation).unwrap();
    for seed in [0, 1, 43] {
        let (training, validation) = data.split(0.7, seed).unwrap();
        let said = check::split(&data, &training, &validation).unwrap_err().to_string();
        assert!(said.contains("not those that seed 42 gives"), "{said}");
    }
}

#[test]
fn photos_that_were_left_out_before_the_split_are_told_but_not_those_that_are_broken() {
    let all = sketches(Sketches::Flowers, 20, 3);
    for data in [all.take(60), all.split(0.5, 1).unwrap().1, all.take(99).without_broken()] {
        let (training, validation) = data.split(0.7, 42).unwrap();
        let said = check::split(&data, &training, &validation).unwrap_err().to_string();
        assert!(said.contains(&format!("`data` holds {} of the 100 photos", data.len())), "{said}");
    }
    let mut photos = all.photos().to_vec();
    let mut png = photos[0].pixels().unwrap().to_png().unwrap();
    let middle = png.len() / 2;
    png[middle] ^= 0xFF;
    photos.push(Photo::from_bytes("daisy/broken.png", 0, png).unwrap());
    let data = Dataset::new(all.classes().to_vec(), photos, "test").unwrap().without_broken();
    let (training, validation) = data.split(0.7, 42).unwrap();
    check::split(&data, &training, &validation).unwrap();
}

/// What `collect` gives of batches, which learners write without a thought.
#[test]
fn batches_collected_into_a_list_are_looked_at_with_their_errors() {
    let (_, training, validation) = flowers();
    let preprocess = Preprocess::IMAGENET;
    let collected = |data: &Dataset| -> Vec<Result<Batch>> { data.batches(32, &preprocess).collect() };
    let (of_training, of_validation) = (collected(&training), collected(&validation));
    check::batches(&preprocess, &of_training, &of_validation, &training, &validation).unwrap();
    let said = check::batches(&preprocess, &of_validation, &of_training, &training, &validation).unwrap_err();
    assert!(said.to_string().contains("holds the photos of the other part"), "{said}");
    let mut broken = collected(&training);
    broken.push(Err(Error::Data("rose.jpg is broken".to_owned())));
    let said = check::batches(&preprocess, &broken, &of_validation, &training, &validation).unwrap_err();
    assert!(said.to_string().contains("rose.jpg is broken"), "{said}");
}
