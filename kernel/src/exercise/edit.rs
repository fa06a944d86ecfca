//! One TODO of a notebook restored, and not a byte of the rest touched.

use super::answers::{is_untouched, role};
use super::source::{Exercise, Role};
use crate::notebook::json::{Json, Place};
use crate::notebook::{CellKind, Notebook};
use anyhow::{Context, bail};
use std::path::{Path, PathBuf};

/// A notebook's text with one answer restored, and what stood there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// The whole file's text.
    pub text: String,
    /// The learner's answer; none where nothing had been written.
    pub answer: Option<String>,
}

/// Puts the stub back in place of the answer to a TODO, and takes away what the cell showed.
///
/// # Errors
/// Where the text is no notebook, or no cell of it answers this TODO.
pub fn restore(text: &str, exercise: &Exercise, todo: usize) -> anyhow::Result<Restored> {
    let notebook = Notebook::parse(text)?;
    let step = exercise.step(&Role::Answer(todo)).with_context(|| no_such_todo(exercise, todo))?;
    let is_answer = |(_, cell): &(usize, crate::notebook::Cell<'_>)| {
        cell.kind() == CellKind::Code && role(cell, exercise) == Some(Role::Answer(todo))
    };
    let (index, cell) = notebook.cells().enumerate().find(is_answer).with_context(|| {
        format!("the cell of TODO {todo} is gone; `candlewick exercise update FILE` brings it back")
    })?;
    let code = cell.source();
    let mut edits = Vec::new();
    for (key, value) in
        [("source", Json::lines(&step.stub)), ("outputs", Json::Array(Vec::new())), ("execution_count", Json::Null)]
    {
        let place = [Place::Key("cells"), Place::Index(index), Place::Key(key)];
        match Json::locate(text, &place) {
            Some(range) => edits.push((range, value.indented(3))),
            None if key == "source" => bail!("cell {} has no text", index + 1),
            None => {}
        }
    }
    // From the end, so that places stay true.
    edits.sort_by_key(|(range, _)| std::cmp::Reverse(range.start));
    let mut text = text.to_owned();
    for (range, value) in edits {
        text.replace_range(range, &value);
    }
    Ok(Restored { text, answer: Some(code).filter(|code| !is_untouched(code, exercise, todo)) })
}

/// What is said of a number that no TODO has.
pub fn no_such_todo(exercise: &Exercise, todo: usize) -> String {
    format!("there is no TODO {todo}: they are numbered from 1 to {}", exercise.todos.len())
}

/// A file beside `notebook` that does not exist yet: `flowers_exercise.todo-3.rs`, then `….todo-3-2.rs`.
pub fn unused(notebook: &Path, name: &str, extension: &str) -> PathBuf {
    let path = |number: usize| {
        let number = if number == 1 { String::new() } else { format!("-{number}") };
        notebook.with_extension(format!("{name}{number}.{extension}"))
    };
    (1..).map(path).find(|path| !path.exists()).unwrap_or_else(|| path(1))
}
