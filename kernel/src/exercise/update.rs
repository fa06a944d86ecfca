//! A notebook brought to this release of the exercise, with all of the learner's work in it.

use super::answers::Answers;
use super::parts::{What, parted};
use super::source::Exercise;
use crate::notebook::json::Json;
use crate::notebook::{Cell, Notebook};
use std::collections::BTreeMap;

/// The release's notebook with the learner's work in it: answers in their cells, and whatever else the learner has typed,
/// in cells of its own behind the release's cell that it stood behind or in.
///
/// # Errors
/// As for [`Answers::find`].
pub fn moved(notebook: &Notebook, exercise: &Exercise) -> anyhow::Result<(Notebook, Vec<String>)> {
    let mut answers = Answers::find(notebook, exercise)?;
    let mut behind: BTreeMap<Option<usize>, Vec<Json>> = BTreeMap::new();
    let mut last = None;
    for (index, (cell, parted)) in notebook.cells().zip(parted(notebook, exercise)).enumerate() {
        let is_whole = parted.own.is_none() && parted.parts.len() < 2;
        last = parted.own.or(last);
        if parted.parts.is_empty() && parted.own.is_none() {
            behind.entry(last).or_default().push(cell.json().clone());
        }
        for part in parted.parts {
            match part.what {
                What::Released(place) => last = Some(place),
                What::Answer(todo) => last = exercise.cells.iter().position(|cell| cell.answers(todo)).or(last),
                What::Added if is_whole => behind.entry(last).or_default().push(cell.json().clone()),
                What::Added => behind.entry(last).or_default().push(own_cell(&cell, &part.text)),
                What::Changed(place) => {
                    behind.entry(Some(place)).or_default().push(own_cell(&cell, &part.text));
                    answers.notes.push(format!(
                        "cell {} is the exercise's own, and you had changed it: your text stands right behind it",
                        index + 1
                    ));
                }
            }
        }
    }
    let mut fresh = exercise.notebook();
    let mut cells = behind.remove(&None).unwrap_or_default();
    for (place, cell) in fresh.cells().enumerate() {
        let mut json = cell.json().clone();
        let pieces = exercise.answer_at(place).map(|todo| answers.of(todo)).unwrap_or_default();
        let texts: Vec<&str> = pieces.iter().filter(|piece| piece.is_answer).map(|piece| piece.code.as_str()).collect();
        if !texts.is_empty() {
            json.set("source", Json::lines(&texts.join("\n\n")));
        }
        cells.push(json);
        cells.append(&mut behind.remove(&Some(place)).unwrap_or_default());
    }
    fresh.set_cells(cells);
    Ok((fresh, answers.notes))
}

/// A cell of the same kind with a part of its text, which nothing takes for the release's.
fn own_cell(cell: &Cell<'_>, text: &str) -> Json {
    let mut json = cell.json().clone();
    json.set("id", Json::String(uuid::Uuid::new_v4().to_string()));
    json.set("metadata", Json::Object(Vec::new()));
    json.set("source", Json::lines(text));
    if json.get("outputs").is_some() {
        json.set("outputs", Json::Array(Vec::new()));
        json.set("execution_count", Json::Null);
    }
    json
}
