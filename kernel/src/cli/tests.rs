//! The commands from arguments to files, over the echo session.

use super::*;
use crate::echo::Echo;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// What a command did.
struct Did {
    end: anyhow::Result<End>,
    out: String,
    options: Vec<Options>,
}

fn candlewick(arguments: &[&str]) -> Did {
    let args = Args::try_parse_from([&["candlewick"], arguments].concat()).unwrap();
    let options = Mutex::new(Vec::new());
    let open = |given: Options, _: &mut dyn FnMut(Output)| {
        options.lock().unwrap().push(given);
        Ok(Box::new(Echo::default()) as Box<dyn Session>)
    };
    let mut terminal = Terminal::new(Box::new(std::io::sink()), None, false);
    let mut out = Vec::new();
    let end = args.execute(&mut Surroundings { open: &open, terminal: &mut terminal, out: &mut out });
    Did { end, out: String::from_utf8(out).unwrap(), options: options.into_inner().unwrap() }
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/notebooks").join(name).with_extension("ipynb")
}

/// A folder with a copy of a fixture in it.
fn copied(name: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("note book.ipynb");
    std::fs::copy(fixture(name), &path).unwrap();
    (folder, path)
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn files(folder: &Path) -> Vec<String> {
    let names = folder.read_dir().unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

#[test]
fn a_lesson_is_written_and_summed_up() {
    let folder = tempfile::tempdir().unwrap();
    let did = candlewick(&["lesson", "--json", "--output", text(folder.path()), "--data", "sketches"]);
    assert_eq!(did.end.unwrap(), End::AllRan);
    assert_eq!(files(folder.path()), ["cats_vs_dogs.html", "cats_vs_dogs.ipynb"]);
    let mut line: Value = serde_json::from_str(did.out.lines().last().unwrap()).unwrap();
    assert!(line["seconds"]["total"].as_f64().unwrap() >= 0.0);
    line["seconds"]["total"] = json!(0);
    assert_eq!(line["cell_seconds"].as_array().map(Vec::len), Some(2), "one for each cell");
    line["cell_seconds"] = json!([]);
    let want = json!({
        "cell_seconds": [],
        "accuracy_by_epoch": {"training_running": null, "training": 0.95, "validation": 0.9},
        "source": "sketches", "photos": 40, "skipped": 0, "epochs": 6, "training_accuracy": 0.95,
        "validation_accuracy": 0.9, "seconds": {"data": 0.5, "fit": 1.5, "total": 0}, "peak_memory_bytes": 123_456_789,
        "notebook": text(&folder.path().join("cats_vs_dogs.ipynb")),
        "html": text(&folder.path().join("cats_vs_dogs.html")),
    });
    assert_eq!(line, want);
    let html = std::fs::read_to_string(folder.path().join("cats_vs_dogs.html")).unwrap();
    assert!(html.contains("<title>Cats and dogs</title>"));
    assert_eq!(did.options[0].environment, [("CANDLEWICK_DATA".to_owned(), "sketches".to_owned())].into());
}

#[test]
fn a_lesson_takes_photos_from_a_folder_that_exists() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let did = candlewick(&["lesson", "-o", text(&out), "--data", text(folder.path())]);
    assert_eq!(did.end.unwrap(), End::AllRan);
    let given = &did.options[0].environment["CANDLEWICK_DATA"];
    assert!(Path::new(given).is_absolute() && Path::new(given).is_dir(), "{given}");
    let did = candlewick(&["lesson", "-o", text(&out), "--data", "no such folder"]);
    let why = did.end.unwrap_err().to_string();
    assert!(why.contains("no such folder does not exist") && why.contains("--data sketches"), "{why}");
    assert!(did.options.is_empty(), "no session is opened for nothing");
}

#[test]
fn an_unknown_lesson_is_answered_with_the_known_ones() {
    let error = Args::try_parse_from(["candlewick", "lesson", "cats_vs_dog"]).unwrap_err().to_string();
    assert!(
        error.contains("[possible values: cats_vs_dogs, flowers_solution]") && error.contains("similar"),
        "{error}"
    );
}

#[test]
fn a_failed_run_is_written_up_to_its_failure() {
    let (folder, path) = copied("stops_at_the_first_failure");
    let output = folder.path().join("new/result.ipynb");
    let did = candlewick(&["run", text(&path), "--json", "--output", text(&output)]);
    assert_eq!(did.end.unwrap(), End::CellFailed);
    let line: Value = serde_json::from_str(did.out.trim_end()).unwrap();
    assert_eq!(line["error"], json!({"cell": 2, "kind": "panic", "message": "too bad (line 2)"}));
    assert_eq!((&line["cells"], &line["ran"]), (&json!(3), &json!(2)));
    assert_eq!(files(output.parent().unwrap()), ["result.html", "result.ipynb"]);
    let written = std::fs::read_to_string(&output).unwrap();
    assert!(written.contains("\"too bad (line 2)\"") && !written.contains("older run"));
    assert_eq!(did.options[0].folder.as_deref(), Some(folder.path()), "cells run in the notebook's folder");
}

#[test]
fn a_session_that_fails_is_not_the_notebooks_fault() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.ipynb");
    let cell = json!({"cell_type": "code", "source": "lose the compiler is gone"});
    std::fs::write(&path, json!({"nbformat": 4, "cells": [cell]}).to_string()).unwrap();
    let output = folder.path().join("b.ipynb");
    assert_eq!(candlewick(&["run", text(&path), "-o", text(&output)]).end.unwrap(), End::SessionFailed);
}

#[test]
fn the_input_is_replaced_only_in_place_and_only_by_a_whole_run() {
    let (folder, path) = copied("all_kinds_of_outputs");
    let before = std::fs::read_to_string(&path).unwrap();
    let odd = folder.path().join(".").join("note book.ipynb");
    let why = candlewick(&["run", text(&path), "--output", text(&odd)]).end.unwrap_err().to_string();
    assert!(why.contains("--in-place"), "{why}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), before);
    assert_eq!(candlewick(&["run", text(&path), "--in-place"]).end.unwrap(), End::AllRan);
    assert!(std::fs::read_to_string(&path).unwrap().contains("a drawing"));
    assert_eq!(files(folder.path()), ["note book.html", "note book.ipynb"]);

    let (folder, path) = copied("stops_at_the_first_failure");
    let before = std::fs::read_to_string(&path).unwrap();
    assert_eq!(candlewick(&["run", text(&path), "--inplace"]).end.unwrap(), End::CellFailed);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), before, "old outputs are not lost to a failure");
    assert_eq!(files(folder.path()), ["note book.failed.html", "note book.failed.ipynb", "note book.ipynb"]);
}

#[test]
fn what_is_wrong_is_said_before_a_session_opens() {
    let (folder, path) = copied("all_kinds_of_outputs");
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let cases = [
        (vec!["run", "missing.ipynb"], "cannot read missing.ipynb"),
        (vec!["run", text(folder.path())], "it is a folder"),
        (vec!["run", text(&path), "-o", text(folder.path())], "is a folder; name a file"),
        (vec!["run", text(&path), "-o", "x.html"], "name the notebook (.ipynb)"),
        (vec!["lesson", "-o", text(&file)], "is a file"),
        (vec!["lesson", "--data", text(&file)], "is no folder"),
    ];
    let python = fixture("python");
    let under_a_file = file.join("out.ipynb");
    let more = [
        (vec!["run", text(&python)], "written in python"),
        (vec!["run", text(&path), "-o", text(&under_a_file)], "cannot write into"),
    ];
    for (arguments, want) in cases.into_iter().chain(more) {
        let did = candlewick(&arguments);
        let why = format!("{:#}", did.end.unwrap_err());
        assert!(why.contains(want), "{arguments:?}: {why}");
        assert!(did.options.is_empty(), "{arguments:?}");
    }
}

/// A notebook whose cells have printed, when they were saved, what stands beside them.
fn saved(folder: &Path, name: &str, cells: &[(&str, &str)]) -> PathBuf {
    let cell = |(source, printed): &(&str, &str)| {
        let outputs = json!([{"output_type": "stream", "name": "stdout", "text": printed}]);
        json!({"cell_type": "code", "source": source, "metadata": {}, "outputs": outputs, "execution_count": 1})
    };
    let path = folder.join(name);
    let cells: Vec<_> = cells.iter().map(cell).collect();
    std::fs::write(&path, json!({"nbformat": 4, "nbformat_minor": 4, "cells": cells}).to_string()).unwrap();
    path
}

#[test]
fn a_check_tells_same_from_different_from_failed() {
    let folder = tempfile::tempdir().unwrap();
    let same = saved(folder.path(), "same.ipynb", &[("print a", "a\n"), ("print b", "b\n")]);
    let different = saved(folder.path(), "different.ipynb", &[("print a", "x\n"), ("print b", "b\n")]);
    let failed = saved(folder.path(), "failed.ipynb", &[("panic now", "x\n"), ("print b", "b\n")]);
    let lost = saved(folder.path(), "lost.ipynb", &[("lose it", "x\n"), ("print b", "b\n")]);
    let end = |paths: &[&PathBuf]| {
        let paths: Vec<_> = paths.iter().map(|path| text(path)).collect();
        candlewick(&[&["check"], &paths[..]].concat()).end.unwrap()
    };
    assert_eq!(end(&[&same, &same]), End::AllRan);
    assert_eq!(end(&[&same, &different]), End::CellFailed);
    assert_eq!(end(&[&failed]), End::CellFailed);
    assert_eq!(end(&[&different, &lost]), End::SessionFailed);
    let report = folder.path().join("new/report.xml");
    let paths = [text(&same), text(&different), text(&failed), text(&lost)];
    let flags = ["--jobs", "3", "--json", "--junit", text(&report)];
    let did = candlewick(&[&["check"], &paths[..], &flags].concat());
    assert_eq!(did.options.len(), 4, "each notebook has its own session");
    assert_eq!(did.options[0].folder.as_deref(), Some(folder.path()));
    let line: Value = serde_json::from_str(did.out.trim_end()).unwrap();
    let verdicts =
        |index: usize| line[index]["cells"].as_array().unwrap().iter().map(|cell| &cell["verdict"]).collect();
    let all: Vec<Vec<&Value>> = (0..4).map(verdicts).collect();
    let want = json!([["same", "same"], ["different", "same"], ["failed", "same"], ["failed", "not run"]]);
    assert_eq!(json!(all), want, "in the order they were given in");
    assert_eq!(line[1]["cells"][0]["differences"][0]["what"], "stdout");
    assert_eq!(line[2]["cells"][0]["error"], json!({"kind": "panic", "message": "now (line 1)"}));
    let xml = std::fs::read_to_string(&report).unwrap();
    assert!(xml.contains(r#"<testsuites tests="8" failures="3" errors="0" skipped="1""#), "{xml}");
}

#[test]
fn an_update_saves_what_is_new_if_the_notebook_ran_through() {
    let folder = tempfile::tempdir().unwrap();
    let different = saved(folder.path(), "different.ipynb", &[("print a", "x\n"), ("print b", "b\n")]);
    let failed = saved(folder.path(), "failed.ipynb", &[("print a", "x\n"), ("panic now", "b\n")]);
    let read = |path: &Path| std::fs::read_to_string(path).unwrap();
    let before = read(&failed);
    assert_eq!(candlewick(&["check", "--update", text(&failed)]).end.unwrap(), End::CellFailed);
    assert_eq!(read(&failed), before);
    assert_eq!(candlewick(&["check", "--update", text(&different)]).end.unwrap(), End::AllRan);
    assert!(read(&different).contains("\"a\\n\"") && !read(&different).contains("\"x\\n\""));
    let updated = read(&different);
    assert_eq!(candlewick(&["check", "--update", text(&different)]).end.unwrap(), End::AllRan);
    assert_eq!(read(&different), updated, "what is as it was stays, to the byte");
}

#[test]
fn a_check_replaces_what_differs_from_run_to_run() {
    let folder = tempfile::tempdir().unwrap();
    let path = saved(folder.path(), "a.ipynb", &[("print took 12 s", "took 3 s\n")]);
    let rules = folder.path().join("rules.cfg");
    std::fs::write(&rules, "[time]\nregex: \\d+ s\nreplace: TIME\n").unwrap();
    assert_eq!(candlewick(&["check", text(&path)]).end.unwrap(), End::CellFailed);
    assert_eq!(candlewick(&["check", text(&path), "--sanitize-with", text(&rules)]).end.unwrap(), End::AllRan);
    assert_eq!(candlewick(&["check", text(&path), "--lax"]).end.unwrap(), End::AllRan);
    std::fs::write(&rules, "regex: (\nreplace: x\n").unwrap();
    let did = candlewick(&["check", text(&path), "--sanitize-with", text(&rules)]);
    let why = format!("{:#}", did.end.unwrap_err());
    assert!(why.contains("rules.cfg: line 1") && did.options.is_empty(), "{why}");
}

#[test]
fn a_session_that_does_not_open_is_an_error_of_its_notebook() {
    let folder = tempfile::tempdir().unwrap();
    let path = saved(folder.path(), "a.ipynb", &[("print a", "a\n")]);
    let args = Args::try_parse_from(["candlewick", "check", "--json", text(&path)]).unwrap();
    let open = |_: Options, _: &mut dyn FnMut(Output)| anyhow::bail!("no kernel for today");
    let mut terminal = Terminal::new(Box::new(std::io::sink()), None, false);
    let mut out = Vec::new();
    let end = args.execute(&mut Surroundings { open: &open, terminal: &mut terminal, out: &mut out }).unwrap();
    let line: Value = serde_json::from_slice(&out).unwrap();
    assert_eq!((end, &line[0]["error"]["message"]), (End::SessionFailed, &json!("no kernel for today")));
}

#[test]
fn another_kernel_and_a_limit_go_with_the_session() {
    let folder = tempfile::tempdir().unwrap();
    let python = fixture("python");
    let output = folder.path().join("b.ipynb");
    let did = candlewick(&["run", text(&python), "-o", text(&output), "--kernel", "python3", "--timeout", "5"]);
    assert_eq!(did.options[0].kernel.as_deref(), Some("python3"));
    let error = Args::try_parse_from(["candlewick", "run", "a.ipynb", "--timeout", "0"]).unwrap_err().to_string();
    assert!(error.contains("--timeout"), "{error}");
}

#[test]
fn a_device_is_read_strictly_and_goes_to_the_cells() {
    let folder = tempfile::tempdir().unwrap();
    let (notebook, output) = (fixture("markdown_only"), folder.path().join("b.ipynb"));
    let run = ["run", text(&notebook), "-o", text(&output)];
    for device in ["cpu", "cuda", "cuda:1"] {
        let did = candlewick(&[&run[..], &["--device", device]].concat());
        assert_eq!(did.options[0].environment, [("CANDLEWICK_DEVICE".to_owned(), device.to_owned())].into());
    }
    for device in ["", "gpu", "cuda:", "cuda:-1", "cuda:1x", "cpu:0", "CUDA"] {
        let error = Args::try_parse_from([&["candlewick"], &run[..], &["--device", device]].concat()).unwrap_err();
        assert!(error.to_string().contains("`cuda:N`"), "{device}: {error}");
    }
}
