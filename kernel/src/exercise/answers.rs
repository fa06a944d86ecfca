//! What a learner has written, found in a notebook that may have been through much.

use super::parts::{Parted, What, is_untouched, parted};
use super::source::{Exercise, Role};
use crate::notebook::Notebook;
use anyhow::bail;
use std::collections::BTreeMap;

/// Code of the learner's: a cell, or a part of one.
#[derive(Clone, Debug, PartialEq)]
pub struct Piece {
    /// Its cell's place in the notebook.
    pub index: usize,
    /// Its text.
    pub code: String,
    /// Whether it answers a TODO; else it is something that the learner has added.
    pub is_answer: bool,
}

/// The learner's work, by TODO: what answers it, and what the learner has added before its check.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answers {
    /// In the order of the TODOs, each with its pieces in the order of the notebook.
    pub pieces: BTreeMap<usize, Vec<Piece>>,
    /// What the learner has added behind the last answer and check.
    pub rest: Vec<Piece>,
    /// The places of cells that are the release's own, and were changed.
    pub changed: Vec<usize>,
    /// What is odd about the notebook, in sentences.
    pub notes: Vec<String>,
}

impl Answers {
    /// Finds them: by the cells' metadata, else by their ids, else by what stands in them; see [`parts`](super::parts).
    ///
    /// # Errors
    /// Where no cell is of the exercise, or it is of a newer release than this build knows.
    pub fn find(notebook: &Notebook, exercise: &Exercise) -> anyhow::Result<Self> {
        let mut found = Self { notes: notes(notebook, exercise)?, ..Self::default() };
        let mut answers = 0;
        for (index, cell) in parted(notebook, exercise).into_iter().enumerate() {
            let own = cell.own.and_then(|place| exercise.answer_at(place));
            if let Some(todo) = own {
                answers += 1;
                found.flush(todo);
            }
            answers +=
                cell.parts.iter().filter(|part| matches!(part.what, What::Answer(todo) if Some(todo) != own)).count();
            found.take(index, cell, own, exercise);
        }
        if answers == 0 {
            bail!("no cell of the flowers exercise is in it: is it another notebook?");
        }
        found.note_counts();
        Ok(found)
    }

    /// Takes what is the learner's in a cell.
    fn take(&mut self, index: usize, cell: Parted, own: Option<usize>, exercise: &Exercise) {
        let check = |place: usize| match exercise.cells.get(place)?.role {
            Some(Role::Check(todo)) => Some(todo),
            _ => None,
        };
        for part in cell.parts {
            match part.what {
                What::Answer(todo) => {
                    self.flush(todo);
                    let pieces = self.pieces.entry(todo).or_default();
                    let is_new = !pieces.iter().any(|piece| piece.code.trim() == part.text.trim());
                    if is_new && !is_untouched(&part.text, exercise, todo) {
                        pieces.push(Piece { index, code: part.text, is_answer: true });
                        if own != Some(todo) {
                            let place = index + 1;
                            self.notes.push(format!("the answer to TODO {todo} stands in another cell, cell {place}"));
                        }
                    }
                }
                What::Added if cell.is_code => self.rest.push(Piece { index, code: part.text, is_answer: false }),
                What::Added => {}
                What::Released(place) | What::Changed(place) => {
                    if let Some(todo) = check(place) {
                        self.flush(todo);
                    }
                    if cell.is_code && matches!(part.what, What::Changed(_)) {
                        self.changed.push(index);
                    }
                }
            }
        }
    }

    /// What was added up to here goes to a TODO.
    fn flush(&mut self, todo: usize) {
        self.pieces.entry(todo).or_default().append(&mut self.rest);
    }

    fn note_counts(&mut self) {
        for (todo, pieces) in &self.pieces {
            let cells = pieces.iter().filter(|piece| piece.is_answer).count();
            if cells > 1 {
                self.notes.push(format!("TODO {todo} is answered in {cells} cells, which run one after the other"));
            }
        }
    }

    /// What answers a TODO, and what was added before its check.
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
