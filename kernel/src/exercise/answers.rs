//! What a learner has written, found in a notebook that may have been through much.

use super::source::{Exercise, Role};
use crate::notebook::json::Json;
use crate::notebook::{Cell, CellKind, Notebook};
use anyhow::bail;
use std::collections::BTreeMap;

/// A code cell of the learner's.
#[derive(Clone, Debug, PartialEq)]
pub struct Piece {
    /// Its place in the notebook.
    pub index: usize,
    /// Its text.
    pub code: String,
    /// Whether it answers a TODO; else it is a cell that the learner has added.
    pub is_answer: bool,
}

/// The learner's work, by TODO: cells that answer it, and before them cells that the learner has added above them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answers {
    /// In the order of the TODOs, each with its cells in the order of the notebook.
    pub pieces: BTreeMap<usize, Vec<Piece>>,
    /// Cells that the learner has added behind the last answer.
    pub rest: Vec<Piece>,
    /// What is odd about the notebook, in sentences.
    pub notes: Vec<String>,
}

impl Answers {
    /// Finds them: by the cells' metadata, else by their ids, else by what stands in them.
    ///
    /// # Errors
    /// Where no cell is of the exercise, or it is of a newer release than this build knows.
    pub fn find(notebook: &Notebook, exercise: &Exercise) -> anyhow::Result<Self> {
        let mut found = Self { notes: notes(notebook, exercise)?, ..Self::default() };
        let mut added = Vec::new();
        let mut answers = 0;
        for (index, cell) in notebook.cells().enumerate().filter(|(_, cell)| cell.kind() == CellKind::Code) {
            let code = cell.source();
            match role(&cell, exercise) {
                Some(Role::Answer(todo)) => {
                    answers += 1;
                    let pieces = found.pieces.entry(todo).or_default();
                    pieces.append(&mut added);
                    let is_new = !pieces.iter().any(|piece| piece.code.trim() == code.trim());
                    if is_new && !is_untouched(&code, exercise, todo) {
                        pieces.push(Piece { index, code, is_answer: true });
                    }
                }
                Some(_) => {}
                None if code.trim().is_empty() => {}
                None => added.push(Piece { index, code, is_answer: false }),
            }
        }
        if answers == 0 {
            bail!("no cell of the flowers exercise is in it: is it another notebook?");
        }
        found.rest = added;
        found.note_counts();
        Ok(found)
    }

    fn note_counts(&mut self) {
        for (todo, pieces) in &self.pieces {
            let cells = pieces.iter().filter(|piece| piece.is_answer).count();
            if cells > 1 {
                self.notes.push(format!("TODO {todo} is answered in {cells} cells, which run one after the other"));
            }
        }
    }

    /// The cells that answer a TODO, and those added above them.
    pub fn of(&self, todo: usize) -> &[Piece] {
        self.pieces.get(&todo).map(Vec::as_slice).unwrap_or_default()
    }
}

/// Where the notebook comes from, where that is not as usual.
fn notes(notebook: &Notebook, exercise: &Exercise) -> anyhow::Result<Vec<String>> {
    let mut notes = Vec::new();
    match super::source::release_of(notebook) {
        Some(release) if release > exercise.release => bail!(
            "it is of release {release} of the exercise, and this candlewick knows release {}: take a newer candlewick",
            exercise.release
        ),
        Some(release) if release < exercise.release => {
            notes.push(format!("it is of release {release}: its answers were put into release {}", exercise.release));
        }
        Some(_) => {}
        None => notes.push("it names no release of the exercise".to_owned()),
    }
    let name = notebook.metadata().and_then(|metadata| metadata.get("kernelspec")?.get("name")?.as_str());
    if let Some(name) = name.filter(|name| *name != "candlewick") {
        notes.push(format!("it was saved by another kernel, {name}; its cells run as Rust all the same"));
    }
    Ok(notes)
}

/// What a cell is; none for one that the learner has added.
pub fn role(cell: &Cell<'_>, exercise: &Exercise) -> Option<Role> {
    let known = |role: &Role| exercise.step(role).is_some() || *role == Role::Given;
    let by_id = || exercise.steps.iter().find(|step| cell.id() == Some(step.id.as_str())).map(|step| step.role.clone());
    Role::of(cell).filter(known).or_else(by_id).or_else(|| by_text(&cell.source(), exercise))
}

/// By the stub's comment or its stop, which learners mostly leave or only part of; or by being the release's own text.
fn by_text(code: &str, exercise: &Exercise) -> Option<Role> {
    let has_line = |line: &str| code.lines().any(|other| other.trim() == line.trim());
    let is = |step: &&super::source::Step| match &step.role {
        Role::Answer(todo) => {
            let comment = step.stub.lines().find(|line| line.trim().starts_with("//"));
            comment.is_some_and(has_line) || code.contains(&format!("lesson::todo({todo})"))
        }
        _ => code.trim() == step.code.trim(),
    };
    exercise.steps.iter().find(is).map(|step| step.role.clone())
}

/// Whether there is nothing in an answer but what the release has put there.
pub fn is_untouched(code: &str, exercise: &Exercise, todo: usize) -> bool {
    let stub = exercise.step(&Role::Answer(todo)).map(|step| step.stub.trim()).unwrap_or_default();
    let says_nothing = |line: &str| line.trim().is_empty() || line.trim().starts_with("//");
    let stops = |line: &str| line.trim().starts_with(&format!("candlewick::lesson::todo({todo})"));
    code.trim() == stub || code.lines().all(|line| says_nothing(line) || stops(line))
}

/// The release's notebook with the learner's work in it: answers in their cells, and what the learner has added, text
/// too, above the answer that it stood above.
///
/// # Errors
/// As for [`Answers::find`].
pub fn moved(notebook: &Notebook, exercise: &Exercise) -> anyhow::Result<(Notebook, Vec<String>)> {
    let answers = Answers::find(notebook, exercise)?;
    let mut fresh = exercise.notebook();
    let known: Vec<String> = fresh.cells().filter_map(|cell| cell.id().map(str::to_owned)).collect();
    let (mut above, mut waiting): (BTreeMap<usize, Vec<Json>>, Vec<Json>) = (BTreeMap::new(), Vec::new());
    for cell in notebook.cells() {
        match role(&cell, exercise) {
            Some(Role::Answer(todo)) => above.entry(todo).or_default().append(&mut waiting),
            Some(_) => {}
            None if cell.kind() != CellKind::Code && cell.id().is_some_and(|id| known.iter().any(|own| own == id)) => {}
            None => waiting.push(cell.json().clone()),
        }
    }
    let mut cells = Vec::new();
    for (index, cell) in fresh.cells().enumerate() {
        let Some(step) = exercise.steps.iter().find(|step| step.index == index) else {
            cells.push(cell.json().clone());
            continue;
        };
        let mut json = cell.json().clone();
        if let Role::Answer(todo) = step.role {
            cells.append(&mut above.remove(&todo).unwrap_or_default());
            let texts: Vec<&str> =
                answers.of(todo).iter().filter(|piece| piece.is_answer).map(|piece| piece.code.as_str()).collect();
            if !texts.is_empty() {
                json.set("source", Json::lines(&texts.join("\n\n")));
            }
        }
        cells.push(json);
    }
    cells.append(&mut waiting);
    fresh.set_cells(cells);
    Ok((fresh, answers.notes))
}
