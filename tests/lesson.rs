//! The lesson's command, as the README gives it, on sketches: no photo is needed for those, but the weights are.
#![allow(clippy::expect_used, clippy::unwrap_used)]

use candlewick_tests::{candlewick, joined, weights};
use serde_json::Value;

#[test]
fn cats_vs_dogs_runs_from_nothing_to_a_trained_classifier() {
    // Into the cache that the program uses too.
    if weights().is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let output = candlewick()
        .args(["lesson", "cats_vs_dogs", "--data", "sketches", "--json"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");

    let summary: Value = serde_json::from_str(printed.lines().last().unwrap_or_default()).unwrap();
    assert!(summary["source"].as_str().unwrap().contains("sketches"), "{summary}");
    assert_eq!(summary["epochs"], 6);
    // Chance is 0.5; the exact value is the sketches' own.
    assert!(summary["validation_accuracy"].as_f64().unwrap() > 0.85, "{summary}");
    assert!(summary["peak_memory_bytes"].as_u64().unwrap() < 1 << 30, "{summary}");

    let results = folder.path().join("candlewick-output");
    let notebook: Value = serde_json::from_slice(&std::fs::read(results.join("cats_vs_dogs.ipynb")).unwrap()).unwrap();
    let cells = notebook["cells"].as_array().unwrap();
    let code = cells.iter().filter(|cell| cell["cell_type"] == "code");
    assert!(code.clone().all(|cell| cell["execution_count"].is_u64()), "every cell has run");
    let pictures = code.flat_map(|cell| cell["outputs"].as_array().cloned().unwrap_or_default());
    let pictures: Vec<_> = pictures.filter(|output| output["data"]["image/svg+xml"] != Value::Null).collect();
    assert!(pictures.len() >= 4, "one photo, two grids, the curves: {}", pictures.len());
    for picture in &pictures {
        assert!(joined(&picture["data"]["text/plain"]).len() > 10, "each in words, too");
    }
    let page = std::fs::read_to_string(results.join("cats_vs_dogs.html")).unwrap();
    assert!(page.contains("data:image/svg+xml;base64,") && !page.contains("src=\"http"), "self-contained");
}

#[test]
fn the_saved_lesson_shows_sketches_only() {
    let notebook = include_str!("../notebooks/cats_vs_dogs.ipynb");
    let notebook: Value = serde_json::from_str(notebook).unwrap();
    let outputs: String =
        notebook["cells"].as_array().unwrap().iter().map(|cell| cell["outputs"].to_string()).collect();
    assert!(outputs.contains("sketches"), "saved with outputs, from the sketch set");
    assert!(!outputs.contains("/root") && !outputs.contains("/home"), "no machine's paths");
}
