//! The real binary, as a person starts it. Nothing here needs a session that runs Rust.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use candlewick_kernel::lessons::LESSONS;
use candlewick_kernel::notebook::Notebook;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// Starts the binary in a throw-away folder.
fn candlewick(arguments: &[&str]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let output = command(arguments).current_dir(folder.path()).output().unwrap();
    let left: Vec<_> = folder.path().read_dir().unwrap().collect();
    assert!(left.is_empty(), "{arguments:?} left {left:?}");
    output
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_candlewick"));
    command.args(arguments).stdin(Stdio::null());
    command
}

fn fixture(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/notebooks").join(name).with_extension("ipynb");
    path.to_str().unwrap().to_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn help_and_version_go_to_standard_output() {
    for arguments in [&["--help"][..], &["run", "--help"], &["lesson", "--help"], &["--version"]] {
        let output = candlewick(arguments);
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        assert!(text.contains("candlewick") && output.stderr.is_empty(), "{arguments:?}: {text}");
    }
}

#[test]
fn wrong_arguments_end_with_status_2_and_nothing_on_standard_output() {
    for arguments in
        [&[][..], &["bake"], &["run"], &["run", "a", "b"], &["lesson", "none_such"], &["run", "--jsn", "a"]]
    {
        let output = candlewick(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(output.stdout.is_empty() && !output.stderr.is_empty(), "{arguments:?}");
    }
}

#[test]
fn files_that_are_no_rust_notebooks_are_named_with_what_is_wrong() {
    let cases = [
        ("is_not_there", "cannot read"),
        ("not_json", "not JSON (no opening quote in line 3, column 25)"),
        ("not_a_notebook", "it has no \"nbformat\""),
        ("cell_without_source", "cell 2 has no \"source\""),
        ("not_text", "not UTF-8"),
        ("old_format", "the old format 3"),
        ("newer_format", "format 5"),
        ("python", "written in python"),
    ];
    for (name, want) in cases {
        let output = candlewick(&["run", &fixture(name)]);
        assert_eq!(output.status.code(), Some(2), "{name}");
        assert!(stderr(&output).starts_with("error: ") && stderr(&output).contains(want), "{}", stderr(&output));
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn the_last_line_for_programs_is_json_even_when_nothing_ran() {
    let output = candlewick(&["run", "nowhere.ipynb", "--json"]);
    let text = String::from_utf8(output.stdout).unwrap();
    let line: serde_json::Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert_eq!(line["error"]["kind"], "set-up");
    assert!(line["error"]["message"].as_str().unwrap().contains("nowhere.ipynb"));
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn closed_pipes_are_no_panic() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = command(&["run", "nowhere.ipynb", "--json"]);
    let mut child = command.stdout(writer.try_clone().unwrap()).stderr(writer).spawn().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(2), "a panic would end with 101");
}

#[test]
fn every_lesson_is_a_rust_notebook_that_we_can_run() {
    for lesson in LESSONS {
        let notebook = Notebook::parse(lesson.text).unwrap_or_else(|why| panic!("{}: {why}", lesson.name));
        assert_eq!(notebook.language().as_deref(), Some("rust"), "{}", lesson.name);
    }
    println!("{} lessons", LESSONS.len());
}
