//! Every notebook on sketches, output by output: what is saved in it is what comes out.
#![allow(clippy::expect_used, clippy::unwrap_used)]

use candlewick_tests::{candlewick, weights, weights_of};
use std::path::Path;

/// Runs copies of the repository's notebooks by `candlewick check`.
///
/// They were saved on a machine with AVX-512; elsewhere the last digits are others, and all but decimals is compared.
fn check(names: &[&str]) {
    check_at(None, names);
}

/// Every decimal, and the name of the level, with which a learner's machine may differ.
const DIGITS: &str =
    "regex: -?\\d+\\.\\d+\nreplace: N\nregex: candlewick is ready: \\w+\nreplace: candlewick is ready\n";

/// The same at this level of instructions.
fn check_at(level: Option<&str>, names: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let notebooks = Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("notebooks");
    for name in names {
        std::fs::copy(notebooks.join(name), folder.path().join(name)).unwrap();
    }
    let mut command = candlewick();
    command.arg("check").args(names).current_dir(folder.path()).env("CANDLEWICK_DATA", "sketches");
    if level.is_some() || !has_avx512() {
        std::fs::write(folder.path().join("digits"), DIGITS).unwrap();
        command.args(["--sanitize-with", "digits"]);
    }
    if let Some(level) = level {
        command.env("CANDLEWICK_CPU", level);
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let progress = folder.path().join("flowers_exercise.progress.json");
    assert!(!progress.exists(), "the solution counts for nobody");
}

#[cfg(target_arch = "x86_64")]
fn has_avx512() -> bool {
    std::arch::is_x86_feature_detected!("avx512f")
}

#[cfg(not(target_arch = "x86_64"))]
fn has_avx512() -> bool {
    false
}

#[test]
fn cats_vs_dogs_shows_what_is_saved() {
    if weights().is_some() {
        check(&["cats_vs_dogs.ipynb"]);
    }
}

/// As on most learners' machines.
#[test]
fn cats_vs_dogs_shows_the_same_but_for_digits_without_avx512() {
    if weights().is_some() && has_avx512() {
        check_at(Some("avx2"), &["cats_vs_dogs.ipynb"]);
    }
}

#[test]
fn the_flowers_solution_shows_what_is_saved() {
    if weights().is_some() && weights_of("inception_v3.keras_in1k").is_some() {
        check(&["flowers_solution.ipynb"]);
    }
}

#[test]
fn inside_convnets_shows_what_is_saved() {
    if weights().is_some() && weights_of("inception_v3.keras_in1k").is_some() {
        check(&["inside_convnets.ipynb"]);
    }
}
