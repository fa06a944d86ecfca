//! Notebooks that have been through much: what is found in them, moved to a newer release, and reset.

use super::{RIGHT, exercise, filled, notebook, opened, verdicts};
use crate::exercise::answers::Answers;
use crate::exercise::built_in;
use crate::exercise::edit::restore;
use crate::exercise::grade::grade;
use crate::exercise::source::{Earlier, Role, stop};
use crate::exercise::update::moved;
use crate::notebook::Notebook;
use serde_json::{Value, json};

#[test]
fn answers_are_found_wherever_they_went() {
    let right = filled(RIGHT);
    let check = |change: &dyn Fn(&mut Vec<Value>), want: [&str; 3]| {
        let mut cells = right.clone();
        change(&mut cells);
        assert_eq!(verdicts(&cells), want, "{cells:#?}");
    };
    check(&|cells| cells.reverse(), ["passed"; 3]);
    check(&|cells| cells.iter_mut().for_each(|cell| cell["metadata"] = json!({})), ["passed"; 3]);
    check(&|cells| drop(cells.remove(5)), ["passed", "missing", "passed"]);
    check(&|cells| cells.retain(|cell| cell["id"].as_str().is_some_and(|id| id.starts_with('a'))), ["passed"; 3]);
    // Copied, and split in two.
    check(&|cells| cells.insert(3, cells[2].clone()), ["passed"; 3]);
    check(
        &|cells| {
            let mut half = cells[5].clone();
            half["id"] = json!("new");
            half["source"] = json!("make v2");
            cells[5]["source"] = json!("need v1\nuse-up v1");
            cells.insert(6, half);
        },
        ["passed"; 3],
    );
    // Merged with its check, which then runs without a word to answer with.
    check(&|cells| cells[2]["source"] = json!("make v1\ngood v1"), ["passed"; 3]);
    // Neither metadata nor ids, but comments.
    check(
        &|cells| {
            for (cell, number) in [(2, 1), (5, 2), (8, 3)] {
                cells[cell]["source"] = json!(format!("// Make v{number}.\n{}", RIGHT[number - 1]));
            }
            cells.iter_mut().for_each(|cell| {
                cell["metadata"] = json!({});
                cell["id"] = json!("x");
            });
        },
        ["passed"; 3],
    );
    // A cell of the learner's own, that an answer needs; and one that ends the session.
    let own = |source: &str| json!({"cell_type": "code", "id": "own", "metadata": {}, "source": source});
    check(
        &|cells| {
            cells.insert(8, own("die"));
            cells.insert(8, own("make helper"));
            cells[10]["source"] = json!("need v2\nmake v3");
        },
        ["passed"; 3],
    );
}

#[test]
fn other_notebooks_and_newer_releases_are_refused_and_older_ones_noted() {
    let python = notebook(&[json!({"cell_type": "code", "id": "x", "metadata": {}, "source": "print(1)"})], 2);
    let refused = |notebook: &Notebook| Answers::find(notebook, &exercise()).unwrap_err().to_string();
    assert!(refused(&python).contains("no cell of the flowers exercise"));
    assert!(refused(&notebook(&filled(RIGHT), 3)).contains("newer candlewick"));
    let notes = Answers::find(&notebook(&filled(RIGHT), 1), &exercise()).unwrap().notes;
    assert!(notes[0].contains("release 1: its answers were put into release 2"), "{notes:?}");
}

#[test]
fn an_older_notebook_moves_with_all_of_its_work() {
    let mut cells = filled(["make v1 // mine", RIGHT[1], "// Make v3."]);
    let own = |kind: &str, source: &str| json!({"cell_type": kind, "id": source, "metadata": {}, "source": source});
    cells.insert(5, own("markdown", "a thought"));
    cells.insert(6, own("code", "make helper"));
    cells[0]["source"] = json!("an older set-up");
    let earlier = Earlier { id: "setup".to_owned(), text: "an older set-up".to_owned() };
    let (fresh, notes) = moved(&notebook(&cells, 1), &exercise().with_earlier(&[earlier])).unwrap();
    let sources: Vec<String> = fresh.cells().map(|cell| cell.source()).collect();
    assert_eq!(sources[0], "nothing");
    assert_eq!(sources[2], "make v1 // mine");
    assert_eq!(sources[5..8], ["a thought", "make helper", RIGHT[1]]);
    assert!(sources[10].contains(&stop(3)), "{sources:?}");
    assert_eq!((fresh.cells().count(), notes.len()), (13, 1));
}

/// A file that was given out, as a learner's: `exercise release` has kept what its cells said.
#[test]
fn the_first_release_moves_and_nothing_of_its_own_is_taken_for_the_learners() {
    let exercise = built_in().unwrap();
    let mut old: Value = serde_json::from_str(include_str!("release_1.ipynb")).unwrap();
    let mut want: Value = serde_json::from_str(&exercise.notebook().to_string()).unwrap();
    for notebook in [&mut old, &mut want] {
        for cell in notebook["cells"].as_array_mut().unwrap() {
            let Some(todo) = cell["metadata"]["candlewick"]["todo"].as_u64() else { continue };
            if cell["metadata"]["candlewick"]["role"] == "answer" && todo != 12 {
                cell["source"] = json!([format!("let mine = {todo};")]);
            }
        }
    }
    let (fresh, notes) = moved(&Notebook::parse(&old.to_string()).unwrap(), &exercise).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&fresh.to_string()).unwrap(), want);
    assert_eq!(notes.len(), 1, "{notes:?}");
    assert!(notes[0].starts_with("it is of release 1: its answers were put into release"), "{notes:?}");
}

/// Other front ends write another kernel's name, new ids or none, and keep no metadata of ours.
#[test]
fn a_notebook_saved_by_another_kernel_is_read_all_the_same_and_that_is_told() {
    let cells: Vec<Value> = filled(RIGHT)
        .into_iter()
        .enumerate()
        .map(|(index, mut cell)| {
            if let Some(answer) = [2, 5, 8].iter().position(|place| *place == index) {
                cell["source"] = json!(format!("// Make v{}.\n{}", answer + 1, RIGHT[answer]));
            }
            let cell = cell.as_object_mut().unwrap();
            cell.remove("id");
            cell["metadata"] = json!({"vscode": {"languageId": "rust"}});
            json!(cell)
        })
        .collect();
    for (name, language) in [("rust", "rust"), ("python3", "python")] {
        let kernel = json!({"name": name, "language": language, "display_name": name});
        let saved = json!({"nbformat": 4, "nbformat_minor": 2, "metadata": {"kernelspec": kernel}, "cells": cells});
        let saved = Notebook::parse(&saved.to_string()).unwrap();
        let graded = grade(&exercise(), &saved, &opened, &mut |_| {}).unwrap();
        assert_eq!(graded.passed(), 3, "{graded:?}");
        let told = format!("it was saved by another kernel, {name}; its cells run as Rust all the same");
        assert_eq!(graded.notes, ["it names no release of the exercise".to_owned(), told]);
        let (fresh, _) = moved(&saved, &exercise()).unwrap();
        assert_eq!(fresh.metadata(), exercise().notebook().metadata(), "this kernel's again");
        assert_eq!(fresh.cells().count(), exercise().notebook().cells().count());
        assert!(fresh.cells().nth(8).unwrap().source().ends_with(RIGHT[2]));
    }
}

#[test]
fn a_reset_touches_one_cell_and_keeps_the_answer() {
    let cells = filled(RIGHT);
    let odd =
        json!({"nbformat": 4, "cells": cells, "metadata": {}}).to_string().replacen("{", "{ \"mine\" :1.50 ,\n", 1);
    let restored = restore(&odd, &exercise(), 2).unwrap();
    assert_eq!(restored.answer.as_deref(), Some(RIGHT[1]));
    let (before, after) = (Notebook::parse(&odd).unwrap(), Notebook::parse(&restored.text).unwrap());
    let changed: Vec<usize> = before
        .cells()
        .zip(after.cells())
        .enumerate()
        .filter(|(_, (old, new))| old.source() != new.source())
        .map(|(index, _)| index)
        .collect();
    assert_eq!(changed, [5]);
    // All that stands before the cell, and all behind it.
    let start = odd.bytes().zip(restored.text.bytes()).take_while(|(a, b)| a == b).count();
    let end = odd.bytes().rev().zip(restored.text.bytes().rev()).take_while(|(a, b)| a == b).count();
    assert!(odd[start..odd.len() - end].len() < RIGHT[1].len() + 100, "{}", &odd[start..odd.len() - end]);
    assert_eq!(restore(&restored.text, &exercise(), 2).unwrap().answer, None, "nothing is written there any more");
    assert!(restore(&odd, &exercise(), 4).unwrap_err().to_string().contains("numbered from 1 to 3"));
    assert!(restore("{}", &exercise(), 1).is_err());
    assert_eq!(exercise().step(&Role::Answer(9)), None);
}
