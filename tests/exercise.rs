//! The flowers exercise as its author, its learners and their teachers use it, on sketches.
#![allow(clippy::expect_used, clippy::unwrap_used)]

use candlewick_tests::{candlewick, joined, weights, weights_of};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Output;

const EXERCISE: &str = include_str!("../notebooks/flowers_exercise.ipynb");

/// Puts itself between a cell and the crate, and says that every cell has ended well.
const SHADOW: &str = "mod candlewick {
    pub use ::candlewick::*;
    pub mod cell {
        pub use ::candlewick::cell::*;
        pub fn guard(code: impl FnOnce() -> Result<(), Failure>) -> Result<(), Failure> {
            let _ = ::candlewick::cell::guard(code);
            Ok(())
        }
    }
}";

fn run(folder: &Path, arguments: &[&str]) -> (Output, String, String) {
    let output = candlewick().arg("exercise").args(arguments).current_dir(folder).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, said) = (text(&output.stdout), text(&output.stderr));
    (output, out, said)
}

/// The exercise with the lesson's answers to the first TODOs.
fn solved(until: u64) -> Value {
    let carried: Value = serde_json::from_str(include_str!("../crate/src/lesson/flowers.json")).unwrap();
    let mut notebook: Value = serde_json::from_str(EXERCISE).unwrap();
    for todo in carried["todos"].as_array().unwrap() {
        let number = todo["number"].as_u64().unwrap();
        if number <= until {
            cell(&mut notebook, number, "answer")["source"] = todo["solution"].clone();
        }
    }
    notebook
}

/// Answers of other types than the lesson's, which the lesson's own answers behind them cannot use; two of them in cells of
/// the exercise's own, merged; and saved by another kernel.
fn unusual() -> Value {
    let mut notebook = solved(11);
    notebook["metadata"]["kernelspec"] = json!({"name": "python3", "language": "python", "display_name": "Python 3"});
    cell(&mut notebook, 2, "answer")["source"] = json!(
        "let (num_classes, num_training) = (data.classes().len() as u8, training.len() as i32);\n\
         let num_validation = validation.len() as u64;"
    );
    cell(&mut notebook, 3, "answer")["source"] = json!(
        "let preprocess = Preprocess::IMAGENET;\nlet training_batches = training.batches(32, &preprocess);\n\
         let validation_batches: Vec<_> = validation.batches(32, &preprocess).collect();"
    );
    let names = "[\"daisy\", \"dandelion\", \"roses\", \"sunflowers\", \"tulips\"]";
    cell(&mut notebook, 9, "answer")["source"] = json!(format!("let class_names = {names};"));
    let stubs: Value = serde_json::from_str(EXERCISE).unwrap();
    cell(&mut notebook, 10, "answer")["source"] = cell(&mut stubs.clone(), 10, "answer")["source"].clone();
    cell(&mut notebook, 11, "answer")["source"] =
        json!("let true_labels: [usize; 30] = image_batch.labels.clone().try_into().unwrap();");
    merge(&mut notebook, "todo-09-answer", "todo-09-check");
    merge(&mut notebook, "todo-03-given", "todo-04-answer");
    notebook
}

/// All cells from one to another as one, with what the last has for metadata, as JupyterLab merges them.
fn merge(notebook: &mut Value, from: &str, to: &str) {
    let cells = notebook["cells"].as_array_mut().unwrap();
    let place = |id: &str| cells.iter().position(|cell| cell["id"] == id).unwrap();
    let range = place(from)..=place(to);
    let texts: Vec<String> = cells[range.clone()].iter().map(|cell| joined(&cell["source"])).collect();
    let mut merged = cells[*range.end()].clone();
    merged["source"] = json!(texts.join("\n\n"));
    merged["id"] = json!(format!("merged-{from}"));
    cells.splice(range, [merged]);
}

fn cell<'a>(notebook: &'a mut Value, todo: u64, role: &str) -> &'a mut Value {
    let ours = json!({"role": role, "todo": todo});
    let mut cells = notebook["cells"].as_array_mut().unwrap().iter_mut();
    cells.find(|cell| cell["metadata"]["candlewick"] == ours).unwrap()
}

#[test]
fn every_stub_stops_every_mistake_is_told_by_its_name_and_every_solution_passes() {
    if weights().is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let with_inception = weights_of("inception_v3.keras_in1k").is_some();
    let arguments = if with_inception { &["verify"][..] } else { &["verify", "--until", "11"] };
    let (output, _, said) = run(folder.path(), arguments);
    assert!(output.status.success(), "{said}");
    // The mistakes of the lesson's table.
    for name in [
        "TODO 1: swapped-split",
        "TODO 3: not-normalised",
        "TODO 4: logits-for-features",
        "TODO 6: number-of-classes",
        "TODO 7: validated-on-training",
        "TODO 7: softmax-and-logits",
        "TODO 7: frozen-part-changed",
        "TODO 7: batch-norm-in-training",
    ] {
        assert!(said.contains(&format!("✓ {name}")), "{name}: {said}");
    }
    assert!(!with_inception || said.contains("✓ TODO 12: inception-fed-224"), "{said}");
}

#[test]
fn a_class_is_graded_whatever_is_in_its_notebooks() {
    if weights().is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("diligent.ipynb", &solved(6).to_string());
    let mut hostile = solved(3);
    cell(&mut hostile, 1, "answer")["source"] =
        json!(format!("let data = flowers()?;\nlet (training, validation) = data.split(0.3, 42)?;\n{SHADOW}"));
    cell(&mut hostile, 1, "check")["source"] = json!("println!(\"✓ TODO 1\");");
    cell(&mut hostile, 2, "answer")["source"] = json!("loop { std::hint::spin_loop(); }");
    hostile["cells"].as_array_mut().unwrap().retain(|cell| cell["id"] != "todo-04-answer");
    cell(&mut hostile, 5, "answer")["source"] = json!("panic!(\"no idea\");");
    write("hostile.ipynb", &hostile.to_string());
    write("unusual.ipynb", &unusual().to_string());
    write("broken.ipynb", "{\"nbformat\": 4,");
    write("other.ipynb", &json!({"nbformat": 4, "cells": []}).to_string());
    let names = ["diligent.ipynb", "hostile.ipynb", "unusual.ipynb", "broken.ipynb", "other.ipynb", "gone.ipynb"];
    let flags = ["grade", "--data", "sketches", "--timeout", "40", "--json", "grades.json"];
    let (output, table, said) = run(folder.path(), &[&flags[..], &names].concat());
    assert_eq!(output.status.code(), Some(2), "{said}");
    let grades: Value = serde_json::from_slice(&std::fs::read(folder.path().join("grades.json")).unwrap()).unwrap();
    let verdicts = |index: usize| -> Vec<String> {
        let todos = grades["notebooks"][index]["todos"].as_array().unwrap();
        todos.iter().map(|todo| todo["mistake"].as_str().or(todo["verdict"].as_str()).unwrap().to_owned()).collect()
    };
    assert_eq!(verdicts(0), [&["passed"; 6][..], &["missing"; 6]].concat(), "{table}");
    let want = ["failed", "failed", "passed", "missing", "failed"];
    assert_eq!(verdicts(1)[..5], want, "{table}");
    assert_eq!(verdicts(1)[5..], ["missing"; 7], "{table}");
    let failed = &grades["notebooks"][1]["todos"];
    assert!(failed[1]["message"].as_str().unwrap().contains("longer than 40 s"), "{failed}");
    assert_eq!((&failed[4]["kind"], &failed[0]["kind"]), (&json!("panic"), &json!("refused")));
    assert_eq!(verdicts(2), [&["passed"; 9][..], &["missing", "passed", "missing"]].concat(), "{table}");
    assert!(
        table.contains("it was saved by another kernel, python3") && table.contains("in another cell, cell"),
        "{table}"
    );
    for (index, why) in [(3, "not JSON"), (4, "no cell of the flowers exercise"), (5, "cannot read")] {
        assert!(grades["notebooks"][index]["error"].as_str().unwrap().contains(why), "{grades}");
    }
    assert!(table.contains("6 of 12") && table.contains("1 of 12") && table.contains("could not be graded"), "{table}");
}

#[test]
fn a_learner_sees_how_far_it_is_takes_hints_and_resets_one_todo() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("flowers_exercise.ipynb");
    // As another program formats it.
    let text = serde_json::to_string(&solved(3)).unwrap();
    std::fs::write(&path, &text).unwrap();
    let (output, out, _) = run(folder.path(), &["status"]);
    assert!(output.status.success() && out.contains("0 of 12") && out.contains("12  Transfer learning"), "{out}");
    assert!(!out.contains("copies"), "{out}");
    let (_, out, _) = run(folder.path(), &["status", "mine.ipynb"]);
    assert!(
        out.contains("all copies of the exercise in this folder together: ./flowers_exercise.progress.json"),
        "{out}"
    );
    let first = run(folder.path(), &["hint", "3"]).1;
    let second = run(folder.path(), &["hint", "3"]).1;
    assert!(first.contains("hint 1 of 3") && second.contains("hint 2 of 3"), "{first}{second}");
    let (output, _, said) = run(folder.path(), &["solution", "3"]);
    assert!(output.status.code() == Some(2) && said.contains("opens once yours passes"), "{said}");

    std::fs::write(folder.path().join("flowers_exercise.progress.json"), "{\"passed\": [1, 3]}").unwrap();
    let (_, out, _) = run(folder.path(), &["solution", "3"]);
    assert_eq!(out.matches("Preprocess::IMAGENET").count(), 2, "yours and the lesson's: {out}");
    let (output, _, said) = run(folder.path(), &["reset", "3"]);
    assert!(output.status.success(), "{said}");
    let kept = std::fs::read_to_string(folder.path().join("flowers_exercise.todo-3.rs")).unwrap();
    assert!(kept.contains("Preprocess::IMAGENET"), "{kept}");
    let mut after: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let mut want = solved(3);
    let stub = joined(&cell(&mut after, 3, "answer")["source"]);
    assert!(stub.contains("candlewick::lesson::todo(3)?;"), "{stub}");
    cell(&mut want, 3, "answer")["source"] = cell(&mut after, 3, "answer")["source"].clone();
    assert_eq!(after, want, "nothing else has changed");
    let (_, out, _) = run(folder.path(), &["status"]);
    assert!(out.contains("1 of 12") && out.contains("■□□"), "{out}");

    // The file holds the stub: what a front end shows was not saved.
    std::fs::write(folder.path().join("flowers_exercise.progress.json"), "{\"passed\": [1, 3]}").unwrap();
    let (_, out, _) = run(folder.path(), &["solution", "3"]);
    assert!(out.contains("the notebook's file holds none: save it"), "{out}");
    let (output, _, said) = run(folder.path(), &["reset", "3"]);
    assert!(output.status.success() && said.contains("The notebook's file held no answer"), "{said}");
    let elsewhere = tempfile::tempdir().unwrap();
    let (_, out, _) = run(elsewhere.path(), &["status"]);
    assert!(out.contains("There is no flowers_exercise.ipynb here"), "{out}");

    let (output, _, said) = run(folder.path(), &["reset", "13"]);
    assert!(output.status.code() == Some(2) && said.contains("numbered from 1 to 12"), "{said}");
    std::fs::write(folder.path().join("flowers_exercise.progress.json"), "{").unwrap();
    let (output, _, said) = run(folder.path(), &["status"]);
    assert!(output.status.code() == Some(2) && said.contains("no progress file"), "{said}");
    assert!(run(folder.path(), &["hint", "3"]).0.status.success(), "hints go on");
}

#[test]
fn an_untouched_stub_stops_with_one_line() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("in.ipynb"), EXERCISE).unwrap();
    let mut command = candlewick();
    let output = command.args(["run", "in.ipynb", "-o", "out.ipynb"]).current_dir(folder.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let notebook: Value = serde_json::from_slice(&std::fs::read(folder.path().join("out.ipynb")).unwrap()).unwrap();
    let errors: Vec<&Value> = notebook["cells"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|cell| cell["outputs"].as_array().into_iter().flatten())
        .filter(|output| output["output_type"] == "error")
        .collect();
    assert_eq!(errors.len(), 1);
    let said = errors[0]["evalue"].as_str().unwrap();
    assert!(said.starts_with("TODO 1, Download the flowers dataset: write your code"), "{said}");
}
