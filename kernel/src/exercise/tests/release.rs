//! What comes of the source, and the committed files against it.

use super::{code, exercise, notebook, opened, source};
use crate::exercise::mistakes::{self, Mistake};
use crate::exercise::source::{Exercise, stop};
use crate::exercise::todos;
use crate::exercise::verify::verify;
use crate::notebook::Notebook;
use serde_json::{Value, json};

#[test]
fn the_committed_files_are_what_the_source_gives() {
    let source = Notebook::parse(include_str!("../../../../notebooks/flowers_solution.ipynb")).unwrap();
    let exercise = Exercise::read(source).unwrap();
    let again = "run `candlewick exercise release` in the repository";
    assert_eq!(
        include_str!("../../../../notebooks/flowers_exercise.ipynb"),
        exercise.notebook().to_string(),
        "{again}"
    );
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
            // What only prints is no part of the answer.
            let is_answer = |line: &&str| !line.starts_with("//") && !line.starts_with("println!");
            let mut lines = todo.solution.lines().filter(is_answer);
            assert!(!lines.all(|line| hint.contains(line.trim_end_matches(';'))), "the whole solution: {hint}");
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
    let sections = include_str!("../mistakes.md").matches("\n## ").count();
    assert!(sections >= 70, "the file is cut: {sections}");
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
    // A check must not tell a line of the solution; nor, at the last TODO, to forget the model of another.
    let mut telling = source();
    telling[2]["source"] = json!("// BEGIN SOLUTION\ncall(v1)\nmake v1\n// END SOLUTION");
    let told = [
        made(1, "spoilt", "say try call(v1) here\nspoil v1"),
        made(2, "spoilt", "say model.forget first\nspoil v2"),
        made(3, "spoilt", "say model.forget first\nspoil v3"),
    ];
    let broken = wrong(&telling, &told);
    assert_eq!(broken.len(), 2, "{broken:?}");
    assert!(broken[0].starts_with("1 spoilt: the check tells a line of the solution, `call(v1)`"), "{broken:?}");
    assert!(broken[1].starts_with("3 spoilt: the check tells to forget a model"), "{broken:?}");
    // What one mistake has used up is there again for the next.
    let twice = [made(2, "spoilt", "use-up v1\nspoil v2"), made(2, "spoilt", "need v1\nspoil v2")];
    assert_eq!(wrong(&source(), &twice), [] as [&str; 0]);
    let mut stubs = source();
    stubs[0]["source"] = json!("make v1");
    stubs[5]["source"] = json!("ruin v1\n// BEGIN SOLUTION\nmake v2\n// END SOLUTION");
    let broken = wrong(&stubs, &[]);
    assert!(broken[0].starts_with("1 the stub: its own check passes"), "{broken:?}");
    assert!(broken[1].starts_with("2 the stub: a check of an earlier TODO does not pass any more"), "{broken:?}");
    let mut stubs = source();
    stubs[2]["source"] = json!("make v1\n// BEGIN SOLUTION\n// END SOLUTION\nmake v1");
    assert_eq!(wrong(&stubs, &[]), [] as [&str; 0], "a cell that stops leaves nothing");
    let mut solution = source();
    solution[5]["source"] = json!("// BEGIN SOLUTION\nspoil v2\n// END SOLUTION");
    assert!(wrong(&solution, &[])[0].starts_with("2 the solution: the check does not pass"));
}

/// Its times differ from run to run, so that `candlewick check` leaves it out.
#[test]
fn the_saved_solution_ends_in_a_comparison_of_both_networks_and_what_they_cost() {
    let solution: Value = serde_json::from_str(include_str!("../../../../notebooks/flowers_solution.ipynb")).unwrap();
    let cell = solution["cells"].as_array().unwrap().iter().find(|cell| cell["id"] == "todo-12-answer").unwrap();
    let result = cell["outputs"].as_array().unwrap().iter().find(|output| output["output_type"] == "execute_result");
    let text = |kind: &str| -> String {
        let lines = result.unwrap()["data"][kind].as_array().unwrap();
        lines.iter().map(|line| line.as_str().unwrap()).collect()
    };
    let (plain, html) = (text("text/plain"), text("text/html"));
    let rows: Vec<Vec<&str>> =
        plain.lines().map(|line| line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect()).collect();
    assert_eq!(rows[0], ["Network", "Accuracy (95 % interval)", "Parameters", "ms a photo", "MB"]);
    let number = |text: &str| -> f64 { text.trim().parse().unwrap_or_else(|_| panic!("{text}: {plain}")) };
    // torchvision's and Keras' counts less ImageNet's head, and a head for five classes; four bytes each, statistics too.
    for (row, network, parameters, megabytes) in
        [(&rows[1], "mobilenet_v2", "2,230,277", "9.1"), (&rows[2], "inception_v3", "21,795,813", "87.3")]
    {
        assert_eq!((row[0], row[2], row[4]), (network, parameters, megabytes));
        let (accuracy, interval) = row[1].split_once(" (").unwrap();
        let (low, high) = interval.trim_end_matches(')').split_once(" to ").unwrap();
        let (accuracy, low, high) = (number(accuracy), number(low), number(high));
        assert!(low <= accuracy && accuracy <= high && low < high && high <= 1.0, "{plain}");
        assert!(number(row[3]) > 0.0, "{plain}");
        assert!(row.iter().all(|cell| html.contains(&format!("<td>{cell}</td>"))), "{html}");
    }
    let words = plain.lines().last().unwrap();
    assert!(rows.len() == 4 && words.contains("300 photos") && html.contains(words), "{plain}");
}
