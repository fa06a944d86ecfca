//! The exercise over a session that runs no Rust, and the committed files against their source.

use super::answers::{Answers, moved};
use super::edit::restore;
use super::grade::{Verdict, grade};
use super::mistakes::{self, Mistake};
use super::source::{Exercise, Role, stop};
use super::verify::verify;
use super::{progress, todos};
use crate::notebook::Notebook;
use crate::session::{Completeness, Completions, Control, Host, Outcome, Output, Report, Session};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Stands in for Rust: a cell is a list of words. `make NAME` makes a variable, `use-up NAME` takes one away, `need NAME`
/// fails without it, `blow` ends the session where there is a `bomb`, `spoil NAME` makes one that no check likes; `loop` and `die` lose the session; `tick` prints as a check
/// would. A check cell `good NAME` passes where the variable is there and not spoilt. Comments and all else do nothing.
#[derive(Default)]
struct Words {
    there: BTreeSet<String>,
    spoilt: BTreeSet<String>,
    asked: Option<String>,
}

impl Words {
    fn line(&mut self, line: &str, host: &mut dyn Host) -> Option<Outcome> {
        let (command, name) = line.trim().split_once(' ').unwrap_or((line.trim(), ""));
        let error = |text: String| Some(Outcome::ReturnedError(Report::new(text)));
        if let Some(word) = line.strip_prefix("::candlewick::lesson::ask(\"") {
            self.asked = Some(word.trim_end_matches("\");").to_owned());
        }
        if let Some(todo) = line.strip_prefix("candlewick::lesson::todo(") {
            let todo = &todo[..todo.find(')')?];
            return error(format!("TODO {todo}, Title {todo}: write your code"));
        }
        match command {
            "make" | "spoil" => {
                self.there.insert(name.to_owned());
                if command == "spoil" {
                    self.spoilt.insert(name.to_owned())
                } else {
                    self.spoilt.remove(name)
                };
            }
            "blow" if self.there.contains("bomb") => return Some(Outcome::Died(Report::new("exit status 0"))),
            "use-up" => {
                self.there.remove(name);
            }
            "need" if !self.there.contains(name) => return error(format!("cannot find value `{name}`")),
            "loop" => return Some(Outcome::Interrupted(Report::new("it took longer than 1 s"))),
            "die" => return Some(Outcome::Died(Report::new("signal 6"))),
            "tick" => host.send(report(1, true, Some("guessed"))),
            "good" => return self.good(name, host),
            _ => {}
        }
        None
    }

    fn good(&mut self, name: &str, host: &mut dyn Host) -> Option<Outcome> {
        let todo = name.trim_start_matches('v').parse().unwrap();
        let word = self.asked.take();
        if !self.there.contains(name) {
            return Some(Outcome::ReturnedError(Report::new(format!("cannot find value `{name}`"))));
        }
        let passed = !self.spoilt.contains(name);
        host.send(report(todo, passed, word.as_deref()));
        (!passed).then(|| Outcome::ReturnedError(Report::new("spoilt")))
    }
}

fn report(todo: usize, passed: bool, word: Option<&str>) -> Output {
    let facts = json!({"todo": todo, "passed": passed, "mistake": (!passed).then_some("spoilt"), "text": "it is spoilt",
        "word": word});
    Output::Report { about: "exercise".to_owned(), facts }
}

struct Nobody;

impl Control for Nobody {
    fn interrupt(&self) {}
    fn kill(&self) {}
}

impl Session for Words {
    fn execute(&mut self, code: &str, host: &mut dyn Host) -> Outcome {
        // A cell that fails leaves no variables behind.
        let before = (self.there.clone(), self.spoilt.clone());
        for line in code.lines() {
            if let Some(outcome) = self.line(line, host) {
                (self.there, self.spoilt) = before;
                if matches!(outcome, Outcome::Died(_) | Outcome::Interrupted(_)) {
                    self.there.clear();
                }
                return outcome;
            }
        }
        Outcome::Done
    }

    fn control(&self) -> Arc<dyn Control> {
        Arc::new(Nobody)
    }
    fn completeness(&self, _: &str) -> Completeness {
        Completeness::Complete
    }
    fn complete(&mut self, _: &str, _: usize) -> Completions {
        Completions::default()
    }
    fn inspect(&mut self, _: &str, _: usize, _: bool) -> Option<BTreeMap<String, String>> {
        None
    }
    fn peak_memory(&self) -> Option<u64> {
        None
    }
}

fn code(id: &str, ours: Value, source: &str) -> Value {
    json!({"cell_type": "code", "id": id, "metadata": {"candlewick": ours}, "outputs": [], "execution_count": null,
        "source": source})
}

fn notebook(cells: &[Value], release: u64) -> Notebook {
    let metadata = json!({"candlewick": {"exercise": "flowers", "release": release}});
    Notebook::parse(&json!({"nbformat": 4, "nbformat_minor": 5, "metadata": metadata, "cells": cells}).to_string())
        .unwrap()
}

/// Three TODOs; the second's answer uses up what the first has made, the third's needs what the second has.
fn source() -> Vec<Value> {
    let answers = ["make v1", "need v1\nuse-up v1\nmake v2", "need v2\nmake v3"];
    let mut cells = vec![code("setup", json!({"role": "given"}), "nothing")];
    for (number, answer) in (1..).zip(answers) {
        let text = format!("// Make v{number}.\n// BEGIN SOLUTION\n{answer}\n// END SOLUTION");
        cells.push(json!({"cell_type": "markdown", "id": format!("h{number}"), "metadata": {},
            "source": format!("## TODO {number}: Title {number}")}));
        cells.push(code(&format!("a{number}"), json!({"role": "answer", "todo": number}), &text));
        cells.push(code(&format!("c{number}"), json!({"role": "check", "todo": number}), &format!("good v{number}")));
    }
    cells.push(code("end", json!({"role": "given"}), "need v3"));
    cells
}

fn exercise() -> Exercise {
    Exercise::read(notebook(&source(), 2)).unwrap()
}

/// The exercise as a learner has filled it in.
fn filled(answers: [&str; 3]) -> Vec<Value> {
    let mut cells: Vec<Value> =
        serde_json::from_str::<Value>(&exercise().notebook().to_string()).unwrap()["cells"].as_array().unwrap().clone();
    for (cell, answer) in [2, 5, 8].into_iter().zip(answers) {
        cells[cell]["source"] = json!(answer);
    }
    cells
}

fn opened() -> anyhow::Result<Box<dyn Session>> {
    Ok(Box::new(Words::default()))
}

fn verdicts(cells: &[Value]) -> Vec<&'static str> {
    let graded = grade(&exercise(), &notebook(cells, 2), &opened, &mut |_| {}).unwrap();
    graded.verdicts.iter().map(|(_, verdict)| verdict.word()).collect()
}

const RIGHT: [&str; 3] = ["make v1", "need v1\nuse-up v1\nmake v2", "need v2\nmake v3"];

#[test]
fn the_committed_files_are_what_the_source_gives() {
    let source = Notebook::parse(include_str!("../../../notebooks/flowers_solution.ipynb")).unwrap();
    let exercise = Exercise::read(source).unwrap();
    let again = "run `candlewick exercise release` in the repository";
    assert_eq!(include_str!("../../../notebooks/flowers_exercise.ipynb"), exercise.notebook().to_string(), "{again}");
    assert_eq!(*todos::release(), exercise.carried(), "{again}");
    // The lesson's table.
    let titles: Vec<&str> = exercise.todos.iter().map(|todo| todo.title.as_str()).collect();
    let want = [
        "Download the flowers dataset",
        "Print information about it",
        "Reformat images and create batches",
        "Create a feature extractor",
        "Freeze the pretrained model",
        "Attach a classification head",
        "Train the model",
        "Plot training and validation graphs",
        "Check predictions",
        "Create an image batch and make predictions",
        "Print true labels and predicted indices",
        "Transfer learning with the Inception model",
    ];
    assert_eq!(titles, want);
    for todo in &exercise.todos {
        assert_eq!(todos::hints(todo.number).len(), 3, "TODO {}", todo.number);
        assert!(mistakes::built_in().iter().any(|mistake| mistake.todo == todo.number), "TODO {}", todo.number);
        for hint in todos::hints(todo.number) {
            let mut lines = todo.solution.lines().filter(|line| !line.starts_with("//"));
            assert!(!lines.all(|line| hint.contains(line)), "the whole solution: {hint}");
        }
    }
}

#[test]
fn what_learners_get_has_stops_for_solutions_and_no_outputs() {
    let exercise = exercise();
    let cells: Vec<String> = exercise.notebook().cells().map(|cell| cell.source()).collect();
    assert_eq!(cells[2], format!("// Make v1.\n{}", stop(1)));
    assert_eq!((cells[3].as_str(), cells[0].as_str()), ("good v1", "nothing"));
    assert!(!exercise.notebook().to_string().contains("SOLUTION"));
    assert_eq!(exercise.todos[1].solution, "// Make v2.\nneed v1\nuse-up v1\nmake v2");

    let mut cells = source();
    cells[0]["source"] = json!("nothing\n// BEGIN SOLUTION\nthe source's alone\n// END SOLUTION");
    let exercise = Exercise::read(notebook(&cells, 1)).unwrap();
    assert_eq!(exercise.notebook().cells().next().unwrap().source(), "nothing");
    assert!(exercise.steps.iter().any(|step| step.code == "nothing\nthe source's alone"));
}

/// A section that is misspelt would fall out unseen.
#[test]
fn every_section_of_mistakes_is_read() {
    let sections = include_str!("mistakes.md").matches("\n## ").count();
    assert!(sections > 80 / 2);
    assert_eq!(mistakes::built_in().len(), sections);
}

#[test]
fn a_source_that_is_not_whole_is_refused() {
    let wrong = |change: &dyn Fn(&mut Vec<Value>)| {
        let mut cells = source();
        change(&mut cells);
        format!("{:#}", Exercise::read(notebook(&cells, 1)).unwrap_err())
    };
    assert!(wrong(&|cells| cells[2]["source"] = json!("// BEGIN SOLUTION\nx")).contains("without // END"));
    assert!(wrong(&|cells| cells[2]["source"] = json!("x")).contains("0 marked regions"));
    assert!(wrong(&|cells| cells[3]["source"] = json!("// BEGIN SOLUTION\n// END SOLUTION")).contains("no markers"));
    assert!(wrong(&|cells| cells[0]["metadata"] = json!({})).contains("no role"));
    assert!(wrong(&|cells| drop(cells.remove(3))).contains("one answer and one check"));
    assert!(wrong(&|cells| drop(cells.remove(1))).contains("TODO 1 is due"));
    assert!(
        wrong(&|cells| cells.insert(3, code("between", json!({"role": "given"}), "x"))).contains("not right below")
    );
}

#[test]
fn verify_sees_every_promise_that_is_broken() {
    let wrong = |source: &[Value], mistakes: &[Mistake]| -> Vec<String> {
        let exercise = Exercise::read(notebook(source, 1)).unwrap();
        let trials = verify(&exercise, mistakes, &opened, &mut |_| {}).unwrap();
        trials
            .into_iter()
            .filter_map(|trial| Some(format!("{} {}: {}", trial.todo, trial.what, trial.wrong?)))
            .collect()
    };
    let made = |todo: usize, name: &str, code: &str| Mistake { todo, name: name.into(), says: None, code: code.into() };
    let mistakes = [made(1, "spoilt", "spoil v1"), made(3, "spoilt", "use-up v2\nspoil v3"), made(2, "spoilt", "die")];
    let broken = wrong(&source(), &mistakes);
    assert_eq!(broken.len(), 1, "{broken:?}");
    assert!(broken[0].starts_with("2 spoilt: the cell stops with died"), "{broken:?}");
    let broken = wrong(&source(), &[made(2, "other-name", "spoil v2"), made(3, "spoilt", "make v3")]);
    assert!(
        broken[0].contains("2 other-name: the check says: spoilt")
            && broken[1].contains("3 spoilt: the check says: passed")
    );
    let mut stubs = source();
    stubs[2]["source"] = json!("make v1\n// BEGIN SOLUTION\n// END SOLUTION\nmake v1");
    assert_eq!(wrong(&stubs, &[]), [] as [&str; 0], "a cell that stops leaves nothing");
    let mut solution = source();
    solution[5]["source"] = json!("// BEGIN SOLUTION\nspoil v2\n// END SOLUTION");
    assert!(wrong(&solution, &[])[0].starts_with("2 the solution: the check does not pass"));
}

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
    assert_eq!(verdicts(&filled(["extern crate candlewick;", "", ""])), ["failed", "missing", "missing"]);
}

#[test]
fn an_edited_check_and_printed_ticks_fool_nobody() {
    let mut cells = filled(["spoil v1\ntick", RIGHT[1], RIGHT[2]]);
    cells[3]["source"] = json!("tick");
    cells[6]["source"] = json!("loop");
    assert_eq!(verdicts(&cells), ["mistake", "passed", "passed"]);
    let mut cells = filled(["good v1", RIGHT[1], RIGHT[2]]);
    cells[0]["source"] = json!("make v1");
    assert_eq!(verdicts(&cells), ["failed", "passed", "passed"], "a given cell is the release's own");
}

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
    let (fresh, notes) = moved(&notebook(&cells, 1), &exercise()).unwrap();
    let sources: Vec<String> = fresh.cells().map(|cell| cell.source()).collect();
    assert_eq!(sources[0], "nothing");
    assert_eq!(sources[2], "make v1 // mine");
    assert_eq!(sources[5..8], ["a thought", "make helper", RIGHT[1]]);
    assert!(sources[10].contains(&stop(3)), "{sources:?}");
    assert_eq!((fresh.cells().count(), notes.len()), (13, 1));
    assert!(Exercise::read(notebook(&source(), 2)).is_ok());
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

#[test]
fn progress_survives_whatever_its_file_is() {
    use progress::{FILE, Kept, Progress};
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(FILE);
    assert_eq!(Progress::read(folder.path()), Ok(Progress::default()));
    let mine = Progress { passed: [1, 3].into(), hints: [(2, 1)].into() };
    assert_eq!(mine.write(folder.path()), Kept::OnDisk);
    assert_eq!(Progress::read(folder.path()), Ok(mine.clone()));
    assert_eq!(mine.bar(), "■□■□□□□□□□□□  2 of 12");
    std::fs::write(&file, "{\"passed\": [0, 3, 99], \"later\": true}").unwrap();
    assert_eq!(Progress::read(folder.path()).unwrap().passed, [3].into(), "only TODOs that there are");
    for broken in ["{\"passed\": [1", "[]", "\u{0}", "{\"passed\": -1}"] {
        std::fs::write(&file, broken).unwrap();
        assert!(Progress::read(folder.path()).unwrap_err().contains(FILE));
        let Kept::Not(said) = mine.write(folder.path()) else { panic!("{broken}: not said") };
        assert!(said.contains("broken.json"), "{said}");
        assert_eq!(
            std::fs::read_to_string(folder.path().join("flowers_exercise.progress.broken.json")).unwrap(),
            broken
        );
        assert_eq!(Progress::read(folder.path()), Ok(mine.clone()));
    }
    let mut protected = std::fs::metadata(&file).unwrap().permissions();
    protected.set_readonly(true);
    std::fs::set_permissions(&file, protected).unwrap();
    let Kept::Not(said) = Progress::default().write(folder.path()) else { panic!("it replaced a protected file") };
    assert!(said.contains("read-only") && said.contains("this session only"), "{said}");
    assert_eq!(Progress::read(folder.path()), Ok(mine));
    std::fs::remove_file(&file).unwrap();
    std::fs::create_dir(&file).unwrap();
    assert!(Progress::read(folder.path()).unwrap_err().contains("no ordinary file"));
}

#[test]
fn hints_come_one_by_one_and_the_last_one_stays() {
    let mut progress = progress::Progress::default();
    let shown: Vec<usize> = (0..5).map(|_| progress.next_hint(3, 3)).collect();
    assert_eq!(shown, [1, 2, 3, 3, 3]);
    assert!(todos::hints(0).is_empty() && todos::hints(13).is_empty());
}
