//! Cells that were merged, and text that was typed into the release's own cells.

use super::{RIGHT, exercise, filled, notebook, opened, source, verdicts};
use crate::exercise::answers::Answers;
use crate::exercise::edit::restore;
use crate::exercise::grade::grade;
use crate::exercise::source::{Earlier, Exercise, stop};
use crate::exercise::update::moved;
use crate::notebook::Notebook;
use serde_json::{Value, json};
use std::ops::RangeInclusive;

/// As front ends merge cells: texts joined by an empty line, the metadata and the kind of one of them, and its id or a new one.
fn merge(cells: &mut Vec<Value>, range: RangeInclusive<usize>, primary: usize, has_new_id: bool) {
    let texts: Vec<&str> = cells[range.clone()].iter().map(|cell| cell["source"].as_str().unwrap()).collect();
    let mut merged = cells[primary].clone();
    merged["source"] = json!(texts.join("\n\n"));
    if has_new_id {
        merged["id"] = json!("new");
    }
    cells.splice(range, [merged]);
}

/// The filled exercise with texts as strings: its answers bare, or behind the comments of their stubs.
fn answered(has_comments: bool) -> Vec<Value> {
    let text = |number: usize, right: &str| {
        if has_comments { format!("// Make v{number}.\n{right}") } else { right.to_owned() }
    };
    let mut cells = filled([&text(1, RIGHT[0]), &text(2, RIGHT[1]), &text(3, RIGHT[2])]);
    for cell in &mut cells {
        if let Value::Array(lines) = &cell["source"] {
            cell["source"] = json!(lines.iter().map(|line| line.as_str().unwrap()).collect::<String>());
        }
    }
    cells
}

fn sources(notebook: &Notebook) -> Vec<String> {
    notebook.cells().map(|cell| cell.source()).collect()
}

/// Every run of neighbouring cells, into every one of them.
#[test]
fn whatever_is_merged_into_whatever_no_answer_is_lost() {
    let mut seen = 0;
    for has_comments in [false, true] {
        let whole = answered(has_comments);
        for (from, to) in (0..whole.len()).flat_map(|from| (from + 1..whole.len()).map(move |to| (from, to))) {
            for (primary, has_new_id) in (from..=to).flat_map(|primary| [(primary, false), (primary, true)]) {
                // Text runs nowhere: only its comment tells that an answer is one.
                if !has_comments && whole[primary]["cell_type"] == "markdown" {
                    continue;
                }
                let mut cells = whole.clone();
                merge(&mut cells, from..=to, primary, has_new_id);
                let case = format!("{from} to {to} into {primary}, comments {has_comments}, new id {has_new_id}");
                assert_eq!(verdicts(&cells), ["passed"; 3], "{case}: {cells:#?}");
                let (fresh, _) = moved(&notebook(&cells, 2), &exercise()).unwrap();
                assert_eq!(sources(&fresh), sources(&notebook(&whole, 2)), "{case}: {cells:#?}");
                seen += 1;
            }
        }
    }
    assert!(seen > 500, "{seen}");
}

#[test]
fn an_answer_in_another_cell_is_told() {
    let mut cells = answered(false);
    merge(&mut cells, 2..=3, 3, false);
    let notes = Answers::find(&notebook(&cells, 2), &exercise()).unwrap().notes;
    assert_eq!(notes, ["the answer to TODO 1 stands in another cell, cell 3"]);
}

/// Part of an answer copied along with its comment is no answer to the TODO that it was copied from.
#[test]
fn a_copied_comment_moves_nothing() {
    let mut cells = answered(true);
    cells[8]["source"] = json!("// Make v3.\nneed v2\n// Make v1.\nmake v3");
    let found = Answers::find(&notebook(&cells, 2), &exercise()).unwrap();
    assert_eq!(found.of(1).len(), 1);
    assert_eq!(found.of(3)[0].code, cells[8]["source"].as_str().unwrap());
    assert_eq!(verdicts(&cells), ["passed"; 3]);
    // A copy of a whole answer counts once.
    let mut copied = cells.clone();
    copied.insert(6, cells[5].clone());
    let found = Answers::find(&notebook(&copied, 2), &exercise()).unwrap();
    assert_eq!((found.of(2).len(), found.notes.len()), (1, 0));
    // Where there is nothing else to go by, what comes first counts.
    for cell in &mut cells {
        cell["metadata"] = json!({});
        cell["id"] = json!("x");
    }
    assert_eq!(verdicts(&cells), ["passed"; 3]);
    // Even where the copy is on top.
    cells[8]["source"] = json!("// Make v1.\n// Make v3.\nneed v2\nmake v3");
    let found = Answers::find(&notebook(&cells, 2), &exercise()).unwrap();
    assert_eq!((found.of(1).len(), found.of(3).len()), (1, 1), "{found:?}");
}

/// `use` lines at the end of the first cell, which answers need.
#[test]
fn lines_added_to_given_cells_and_checks_run_and_are_no_answers() {
    let mut cells = filled([RIGHT[0], "need helper\nneed other\nuse-up v1\nmake v2", RIGHT[2]]);
    cells[0]["source"] = json!("nothing\n\nmake helper");
    cells[3]["source"] = json!("good v1\nmake other");
    assert_eq!(verdicts(&cells), ["passed"; 3]);
    let found = Answers::find(&notebook(&cells, 2), &exercise()).unwrap();
    assert_eq!(found.pieces.values().flatten().filter(|piece| piece.is_answer).count(), 3);
    let mut cells = filled(["", RIGHT[1], RIGHT[2]]);
    cells[0]["source"] = json!("nothing\nloop");
    cells[3]["source"] = json!("good v1\nmake v1");
    assert_eq!(verdicts(&cells), ["missing", "passed", "passed"]);
    // A cell of one's own where the answer's was, and what stands between an answer and its check.
    let own = |source: &str| json!({"cell_type": "code", "id": "own", "metadata": {}, "source": source});
    let mut cells = filled(RIGHT);
    cells[5] = own(RIGHT[1]);
    cells.insert(9, own("make v3"));
    cells[8]["source"] = json!("need v2");
    assert_eq!(verdicts(&cells), ["passed"; 3]);
}

#[test]
fn a_given_cell_that_was_changed_does_not_run_and_that_is_told() {
    let mut cells = filled(["good v1", RIGHT[1], RIGHT[2]]);
    cells[0]["source"] = json!("make v1");
    let graded = grade(&exercise(), &notebook(&cells, 2), &opened, &mut |_| {}).unwrap();
    assert_eq!(graded.passed(), 2);
    assert_eq!(graded.notes, ["cell 1, the exercise's own, was changed; the exercise's own ran"]);
}

#[test]
fn what_was_typed_into_the_releases_own_cells_is_kept_behind_them() {
    let mut cells = answered(false);
    cells[0]["source"] = json!("nothing\nmake helper");
    cells[4]["source"] = json!("## TODO 2: Title 2\n\nWhat I think.");
    cells[6]["source"] = json!("good v2 if you please");
    cells[9]["source"] = json!("");
    let (fresh, notes) = moved(&notebook(&cells, 2), &exercise()).unwrap();
    let mut want = sources(&notebook(&answered(false), 2));
    want.insert(7, "good v2 if you please".to_owned());
    want.insert(5, "What I think.".to_owned());
    want.insert(1, "make helper".to_owned());
    assert_eq!(sources(&fresh), want);
    assert_eq!(notes, ["cell 7 is the exercise's own, and you had changed it: your text stands right behind it"]);
    // Where lines are only missing, nothing is the learner's; and what was typed above a text stays out of it, too.
    let mut longer = source();
    longer[0]["source"] = json!("nothing\nmore");
    let longer = Exercise::read(notebook(&longer, 2)).unwrap();
    let mut cells = answered(false);
    cells[0]["source"] = json!("more");
    cells[4]["source"] = json!("What I think.\n\n## TODO 2: Title 2");
    cells[8]["source"] = json!("");
    cells.insert(9, json!({"cell_type": "code", "id": "own", "metadata": {}, "source": "make helper"}));
    let (moved_on, notes) = moved(&notebook(&cells, 2), &longer).unwrap();
    let mut wanted = sources(&notebook(&answered(false), 2));
    wanted[0] = "nothing\nmore".to_owned();
    wanted[8] = format!("// Make v3.\n{}", stop(3));
    wanted.insert(9, "make helper".to_owned());
    wanted.insert(5, "What I think.".to_owned());
    assert_eq!((sources(&moved_on), notes.len()), (wanted, 0), "{notes:?}");
    // These are the learner's own now, and stay, however often.
    let (again, notes) = moved(&fresh, &exercise()).unwrap();
    assert_eq!((sources(&again), notes.len()), (want, 0));
    let kinds: Vec<_> = again.cells().map(|cell| cell.kind()).collect();
    assert_eq!(kinds[6], kinds[5], "text stays text");
}

#[test]
fn what_an_earlier_release_had_in_a_cell_is_not_the_learners() {
    let mut cells = answered(false);
    cells[3]["source"] = json!("fine v1\n\nmake helper");
    cells[4]["source"] = json!("## TODO 2: An older title");
    let earlier = [("c1", "fine v1"), ("h2", "## TODO 2: An older title")];
    let earlier = earlier.map(|(id, text)| Earlier { id: id.to_owned(), text: text.to_owned() });
    let (fresh, notes) = moved(&notebook(&cells, 1), &exercise().with_earlier(&earlier)).unwrap();
    let mut want = sources(&notebook(&answered(false), 2));
    want.insert(4, "make helper".to_owned());
    assert_eq!((sources(&fresh), notes.len()), (want, 1));
}

#[test]
fn a_reset_takes_the_whole_answer_wherever_it_went_and_nothing_else() {
    let reset = |change: &dyn Fn(&mut Vec<Value>)| {
        let mut cells = answered(false);
        change(&mut cells);
        let text = serde_json::to_string_pretty(&json!({"nbformat": 4, "cells": cells, "metadata": {}})).unwrap();
        let restored = restore(&text, &exercise(), 2).unwrap();
        (sources(&Notebook::parse(&restored.text).unwrap()), restored)
    };
    let mut want = sources(&notebook(&answered(false), 2));
    want[5] = format!("// Make v2.\n{}", stop(2));
    // Split in two, as JupyterLab does; copied.
    for (first, second) in [("need v1\nuse-up v1", "make v2"), (RIGHT[1], RIGHT[1]), (RIGHT[1], "make v2")] {
        let (got, restored) = reset(&|cells| {
            let mut half = cells[5].clone();
            half["id"] = json!("new");
            half["source"] = json!(second);
            cells[5]["source"] = json!(first);
            cells.insert(6, half);
        });
        let answer = if first == second { first.to_owned() } else { format!("{first}\n\n{second}") };
        assert_eq!((got, restored.answer), (want.clone(), Some(answer)));
        assert_eq!(restored.notes, ["The answer to TODO 2 stood in 2 cells; it is one again."]);
    }
    // A half that says nothing of whose it is.
    let (got, restored) = reset(&|cells| {
        cells.insert(6, json!({"cell_type": "code", "id": "new", "metadata": {}, "source": "make v2"}));
    });
    assert_eq!(got[5..7], [want[5].clone(), "make v2".to_owned()]);
    assert!(restored.notes[0].contains("`make v2`") && restored.notes[0].contains("left as it is"), "{restored:?}");
    // In one cell with its check, and with another answer.
    let (got, restored) = reset(&|cells| merge(cells, 5..=6, 5, true));
    assert_eq!(got[5], format!("{}\n\ngood v2", want[5]));
    assert_eq!((restored.answer.as_deref(), restored.notes.len()), (Some(RIGHT[1]), 0));
    let (got, _) = reset(&|cells| merge(cells, 2..=5, 2, false));
    assert_eq!(got[2], format!("{}\n\ngood v1\n\n## TODO 2: Title 2\n\n{}", RIGHT[0], want[5]));
}
