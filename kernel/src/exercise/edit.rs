//! One TODO of a notebook restored, and not a byte of the rest touched.

use super::parts::{Part, Parted, What, is_untouched, parted};
use super::source::{Exercise, Role};
use crate::notebook::Notebook;
use crate::notebook::json::{Json, Place};
use anyhow::{Context, bail};
use std::ops::Range;
use std::path::{Path, PathBuf};

/// A notebook's text with one answer restored, and what stood there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// The whole file's text.
    pub text: String,
    /// The learner's answer, of all cells that it stood in; none where nothing had been written.
    pub answer: Option<String>,
    /// What is odd, in sentences.
    pub notes: Vec<String>,
}

/// Puts the stub back in place of the answer to a TODO, and takes away what the cell showed. Where the answer stands in
/// more than one cell, split or copied, the stub takes the place of the first, and the others go; where it shares a cell
/// with something else, that stays.
///
/// # Errors
/// Where the text is no notebook, or no cell of it answers this TODO.
pub fn restore(text: &str, exercise: &Exercise, todo: usize) -> anyhow::Result<Restored> {
    let notebook = Notebook::parse(text)?;
    let step = exercise.step(&Role::Answer(todo)).with_context(|| no_such_todo(exercise, todo))?;
    let cells = parted(&notebook, exercise);
    let has_answer = |cell: &Parted| cell.parts.iter().any(|part| part.what == What::Answer(todo));
    let is_empty = |cell: &Parted| cell.own == Some(step.index) && cell.parts.is_empty();
    let found: Vec<usize> = cells
        .iter()
        .enumerate()
        .filter(|(_, cell)| has_answer(cell) || is_empty(cell))
        .map(|(index, _)| index)
        .collect();
    let first = *found.first().with_context(|| {
        format!("the cell of TODO {todo} is gone; `candlewick exercise update FILE` brings it back")
    })?;
    let (mut edits, mut answers) = (Vec::new(), Vec::<String>::new());
    for (index, cell) in notebook.cells().enumerate().filter(|(index, _)| found.contains(index)) {
        let Some(parted) = cells.get(index) else { continue };
        let parts = parted.parts.iter().filter(|part| part.what == What::Answer(todo));
        for part in parts.filter(|part| !is_untouched(&part.text, exercise, todo)) {
            if !answers.contains(&part.text) {
                answers.push(part.text.clone());
            }
        }
        let stub = if index == first { step.stub.as_str() } else { "" };
        let left = without(&cell.source(), &parted.parts, todo, stub);
        if left.trim().is_empty() && index > 0 {
            edits.push((removal(text, index)?, String::new()));
        } else {
            edits.extend(rewriting(text, index, &left)?);
        }
    }
    // From the end, so that places stay true.
    edits.sort_by_key(|(range, _)| std::cmp::Reverse(range.start));
    let mut text = text.to_owned();
    for (range, value) in edits {
        text.replace_range(range, &value);
    }
    let answer = Some(answers.join("\n\n")).filter(|answer| !answer.is_empty());
    Ok(Restored { text, answer, notes: notes(&cells, exercise, todo, found.len()) })
}

/// A cell's text with a stub in place of its first part that answers a TODO, and without the others.
fn without(source: &str, parts: &[Part], todo: usize, stub: &str) -> String {
    let mut stub = Some(stub);
    if parts.iter().all(|part| part.what == What::Answer(todo)) {
        return stub.unwrap_or_default().to_owned();
    }
    let mut left = Vec::new();
    for (at, line) in source.lines().enumerate() {
        match parts.iter().find(|part| part.what == What::Answer(todo) && part.lines.contains(&at)) {
            Some(_) => left.extend(stub.take()),
            None => left.push(line),
        }
    }
    left.join("\n").trim_matches('\n').to_owned()
}

/// What writes a text into a cell and takes away what it showed.
fn rewriting(text: &str, index: usize, source: &str) -> anyhow::Result<Vec<(Range<usize>, String)>> {
    let mut edits = Vec::new();
    for (key, value) in
        [("source", Json::lines(source)), ("outputs", Json::Array(Vec::new())), ("execution_count", Json::Null)]
    {
        match Json::locate(text, &[Place::Key("cells"), Place::Index(index), Place::Key(key)]) {
            Some(range) => edits.push((range, value.indented(3))),
            None if key == "source" => bail!("cell {} has no text", index + 1),
            None => {}
        }
    }
    Ok(edits)
}

/// Where a cell stands in the file, with the comma before it. There is a cell before it.
fn removal(text: &str, index: usize) -> anyhow::Result<Range<usize>> {
    let cell = |index| Json::locate(text, &[Place::Key("cells"), Place::Index(index)]);
    let (Some(before), Some(this)) = (cell(index - 1), cell(index)) else {
        bail!("cell {} cannot be found", index + 1)
    };
    Ok(before.end..this.end)
}

/// That cells went, and that some between answer and check may belong to the answer: only the learner knows.
fn notes(cells: &[Parted], exercise: &Exercise, todo: usize, found: usize) -> Vec<String> {
    let mut notes = Vec::new();
    if found > 1 {
        notes.push(format!("The answer to TODO {todo} stood in {found} cells; it is one again."));
    }
    let place = |role: Role| exercise.cells.iter().position(|cell| cell.role.as_ref() == Some(&role));
    let at = |place: Option<usize>| cells.iter().rposition(|cell| place.is_some() && cell.own == place);
    let (Some(answer), Some(check)) = (at(place(Role::Answer(todo))), at(place(Role::Check(todo)))) else {
        return notes;
    };
    for cell in cells.iter().skip(answer + 1).take(check.saturating_sub(answer + 1)) {
        if let (true, None, Some(part)) = (cell.is_code, cell.own, cell.parts.first()) {
            let first = crate::runner::first_line(&part.text);
            notes.push(format!("`{first}`, a cell that you added between answer and check, is left as it is."));
        }
    }
    notes
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
