//! Runs notebooks and commands as a person does: by the program itself, in a folder of their own.
#![allow(clippy::expect_used, clippy::unwrap_used)]

use serde_json::{Value, json};
use std::process::{Command, Output};

// Skipping has one set of rules in the whole workspace.
#[path = "../crate/tests/reference/mod.rs"]
mod reference;

pub use reference::{shared, weights, weights_of};

/// The program, as cargo has built it for the test that calls this.
pub fn candlewick() -> Command {
    let program = std::env::var_os("CARGO_BIN_EXE_candlewick").expect("a test of candlewick-kernel, run by cargo");
    let mut command = Command::new(program);
    command.env_remove("CANDLEWICK_DATA").env("NO_COLOR", "1");
    command
}

/// A notebook that has been run.
pub struct Ran {
    /// What the program answered.
    pub output: Output,
    /// The notebook as it was written, null where it was not.
    pub notebook: Value,
    /// The folder in which it ran.
    pub folder: tempfile::TempDir,
}

impl Ran {
    /// Everything that code cell `index` (from 0) printed or showed as text.
    pub fn text(&self, index: usize) -> String {
        let outputs = self.notebook["cells"][index]["outputs"].as_array().cloned().unwrap_or_default();
        let pieces = outputs.iter().map(|output| match output["output_type"].as_str() {
            Some("stream") => joined(&output["text"]),
            Some("error") => format!("{}: {}", joined(&output["ename"]), joined(&output["evalue"])),
            _ => joined(&output["data"]["text/plain"]),
        });
        pieces.collect()
    }

    /// All that the errors of code cell `index` (from 0) say, line by line.
    pub fn traceback(&self, index: usize) -> String {
        let outputs = self.notebook["cells"][index]["outputs"].as_array().cloned().unwrap_or_default();
        let lines = outputs.iter().filter_map(|output| output["traceback"].as_array());
        lines.flatten().filter_map(Value::as_str).map(|line| format!("{line}\n")).collect()
    }

    /// What the program said to the person.
    pub fn said(&self) -> String {
        String::from_utf8_lossy(&self.output.stderr).into_owned()
    }
}

/// Runs a notebook of these code cells by `candlewick run`.
pub fn run(cells: &[&str]) -> Ran {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let cells: Vec<_> = cells.iter().enumerate().map(|(index, code)| code_cell(index, code)).collect();
    let notebook = json!({
        "cells": cells, "nbformat": 4, "nbformat_minor": 5,
        "metadata": {"language_info": {"name": "rust"}},
    });
    std::fs::write(folder.path().join("in.ipynb"), notebook.to_string()).expect("the temporary folder is writable");
    let output = candlewick()
        .args(["run", "in.ipynb", "--output", "out.ipynb"])
        .current_dir(folder.path())
        .output()
        .expect("the program starts");
    let notebook = std::fs::read(folder.path().join("out.ipynb")).unwrap_or_default();
    Ran { output, notebook: serde_json::from_slice(&notebook).unwrap_or_default(), folder }
}

fn code_cell(index: usize, code: &str) -> Value {
    // `# raises` marks a cell that is expected to fail, so that those behind it run.
    let (tags, source) = match code.strip_prefix("# raises\n") {
        Some(source) => (json!(["raises-exception"]), source),
        None => (json!([]), code),
    };
    json!({
        "cell_type": "code", "id": format!("cell-{index}"), "execution_count": null, "outputs": [],
        "metadata": {"tags": tags}, "source": source,
    })
}

/// A notebook's text: one string or a list of lines.
pub fn joined(text: &Value) -> String {
    match text {
        Value::Array(lines) => lines.iter().filter_map(Value::as_str).collect(),
        other => other.as_str().unwrap_or_default().to_owned(),
    }
}
