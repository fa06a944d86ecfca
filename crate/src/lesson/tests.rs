//! What the checks say, where no trained weights are needed. `candlewick exercise verify` runs them all.
#![allow(clippy::unwrap_used)]

use super::{check, hint, solution, todo};
use crate::data::{Dataset, Sketches, sketches};

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
    assert!(said.contains("`num_classes` is not"), "{said}");
}

#[test]
fn any_seed_will_do() {
    let data = sketches(Sketches::Flowers, 20, 3);
    for seed in [0, 1, 42] {
        let (training, validation) = data.split(0.7, seed).unwrap();
        check::split(&data, &training, &validation).unwrap();
    }
}
