//! Notebooks graded: each TODO by itself, whatever an answer does.

use super::{RIGHT, Words, code, exercise, filled, notebook, opened, source, verdicts};
use crate::exercise::grade::{Verdict, grade};
use crate::exercise::source::Exercise;
use crate::session::Session;
use serde_json::json;

#[test]
fn each_todo_is_graded_by_itself() {
    assert_eq!(verdicts(&filled(RIGHT)), ["passed"; 3]);
    assert_eq!(verdicts(&filled(["spoil v1", RIGHT[1], RIGHT[2]])), ["mistake", "passed", "passed"]);
    assert_eq!(verdicts(&filled([RIGHT[0], "loop", RIGHT[2]])), ["passed", "failed", "passed"]);
    assert_eq!(verdicts(&filled([RIGHT[0], "use-up v1\ndie", RIGHT[2]])), ["passed", "failed", "passed"]);
    assert_eq!(verdicts(&filled(["", "", ""])), ["missing"; 3]);
    let stubs = exercise().notebook();
    let graded = grade(&exercise(), &stubs, &opened, &mut |_| {}).unwrap();
    assert!(graded.verdicts.iter().all(|(_, verdict)| *verdict == Verdict::Missing) && graded.notes.is_empty());
}

#[test]
fn what_stands_behind_the_last_check_is_not_graded() {
    let mut cells = source();
    cells.last_mut().unwrap()["source"] = json!("die");
    let exercise = Exercise::read(notebook(&cells, 2)).unwrap();
    for answers in [RIGHT, ["", "", ""]] {
        let sessions = std::cell::Cell::new(0);
        let counted = || {
            sessions.set(sessions.get() + 1);
            opened()
        };
        let graded = grade(&exercise, &notebook(&filled(answers), 2), &counted, &mut |_| {}).unwrap();
        assert_eq!(graded.passed(), if answers == RIGHT { 3 } else { 0 });
        assert_eq!(sessions.get(), 1, "no stand-in for what nothing follows");
    }
}

/// What passes may be of no use to what follows: then the release's own cells go on, and no mark is lost.
#[test]
fn an_answer_that_passes_and_does_not_carry_what_follows_costs_itself_alone() {
    // A check that looks at `v2` alone, and a third answer that needs `helper`, which only the release's second makes.
    let source = |third: &str| {
        let mut cells = source();
        cells[5]["source"] = json!("// BEGIN SOLUTION\nmake v2\nmake helper\n// END SOLUTION");
        cells[8]["source"] = json!(format!("// BEGIN SOLUTION\nneed helper\nmake v3\n// END SOLUTION\n{third}"));
        Exercise::read(notebook(&cells, 2)).unwrap()
    };
    let judged = |answers: [&str; 3]| {
        let graded = grade(&source(""), &notebook(&filled(answers), 2), &opened, &mut |_| {}).unwrap();
        graded.verdicts.iter().map(|(_, verdict)| verdict.word()).collect::<Vec<_>>()
    };
    for (third, want) in
        [("", "missing"), ("make v4", "failed"), ("need helper\nmake v3", "failed"), ("loop", "failed")]
    {
        assert_eq!(judged([RIGHT[0], "make v2", third]), ["passed", "passed", want], "{third}");
    }
}

/// As a thread does that ends the process some seconds after its cell.
#[test]
fn an_answer_with_a_late_effect_loses_its_own_mark_and_no_other() {
    let mut cells = source();
    cells.insert(7, code("between", json!({"role": "given"}), "blow"));
    let exercise = Exercise::read(notebook(&cells, 2)).unwrap();
    let judged = |answers: [&str; 3]| {
        let mut cells = filled(answers);
        cells.insert(7, code("between", json!({"role": "given"}), "blow"));
        let graded = grade(&exercise, &notebook(&cells, 2), &opened, &mut |_| {}).unwrap();
        graded.verdicts
    };
    let verdicts = judged([RIGHT[0], "use-up v1\nmake v2\nmake bomb", RIGHT[2]]);
    let words: Vec<&str> = verdicts.iter().map(|(_, verdict)| verdict.word()).collect();
    assert_eq!(words, ["passed", "failed", "passed"]);
    let Verdict::Failed { kind, text } = &verdicts[1].1 else { panic!("{verdicts:?}") };
    assert!(kind == "died" && text.starts_with("its check passed, but"), "{text}");
    // One that has failed already is not to be blamed on another.
    let words: Vec<&str> = judged([RIGHT[0], "make bomb\nspoil v2", RIGHT[2]]).iter().map(|(_, v)| v.word()).collect();
    assert_eq!(words, ["passed", "mistake", "passed"]);
}

#[test]
fn names_by_which_checks_are_reached_are_not_to_be_defined_anew() {
    for cheat in [
        "mod candlewick { pub use ::candlewick::*; }",
        "extern crate self as candlewick;",
        "use std as candlewick;",
        "use mine::core as std;",
    ] {
        let mut cells = filled([cheat, RIGHT[1], RIGHT[2]]);
        cells[2]["source"] = json!(cheat);
        let graded = grade(&exercise(), &notebook(&cells, 2), &opened, &mut |_| {}).unwrap();
        let Verdict::Failed { kind, text } = &graded.verdicts[0].1 else { panic!("{cheat}: {graded:?}") };
        assert!(kind == "refused" && text.contains("anew, by which the checks are reached"), "{text}");
        assert_eq!(graded.passed(), 2, "{cheat}");
    }
    // Though another cell has made what the check wants.
    let mut cells = filled(["use std as candlewick;", RIGHT[1], RIGHT[2]]);
    cells.insert(2, json!({"cell_type": "code", "id": "own", "metadata": {}, "source": "make v1"}));
    assert_eq!(verdicts(&cells), ["failed", "passed", "passed"]);
    assert_eq!(verdicts(&filled(["extern crate candlewick;", "", ""])), ["failed", "missing", "missing"]);
}

#[test]
fn an_edited_check_and_printed_ticks_fool_nobody() {
    let mut cells = filled(["spoil v1\ntick", RIGHT[1], RIGHT[2]]);
    cells[3]["source"] = json!("tick");
    cells[6]["source"] = json!("loop");
    assert_eq!(verdicts(&cells), ["mistake", "passed", "passed"]);
    // Nor does it help to have checks end well.
    assert_eq!(verdicts(&filled(["spoil v1\nhush", RIGHT[1], RIGHT[2]])), ["mistake", "passed", "passed"]);
    // What a thread of the learner's says while the check runs holds no word that was asked for.
    assert_eq!(verdicts(&filled(["spoil v1\nforge", RIGHT[1], RIGHT[2]])), ["mistake", "passed", "passed"]);
    let mut cells = filled(["good v1", RIGHT[1], RIGHT[2]]);
    cells[0]["source"] = json!("make v1");
    assert_eq!(verdicts(&cells), ["failed", "passed", "passed"], "a given cell is the release's own");
}

/// As where the machine has no memory for a moment.
#[test]
fn a_failure_that_nothing_of_the_learners_explains_is_blamed_on_nobody() {
    let mut cells = source();
    cells.insert(4, code("between", json!({"role": "given"}), "blow"));
    let exercise = Exercise::read(notebook(&cells, 2)).unwrap();
    let answers: Vec<&str> = exercise.todos.iter().map(|todo| todo.solution.as_str()).collect();
    let is_first = std::cell::Cell::new(true);
    let unlucky = || -> anyhow::Result<Box<dyn Session>> {
        let mut session = Words::default();
        if is_first.replace(false) {
            session.there.insert("bomb".to_owned());
        }
        Ok(Box::new(session))
    };
    let graded = grade(&exercise, &notebook(&filled([answers[0], "", answers[2]]), 2), &unlucky, &mut |_| {}).unwrap();
    let words: Vec<&str> = graded.verdicts.iter().map(|(_, verdict)| verdict.word()).collect();
    assert_eq!((words, is_first.get()), (vec!["passed", "missing", "passed"], false));
}
