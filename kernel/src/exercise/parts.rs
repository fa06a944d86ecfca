//! A notebook's cells taken apart: what is the release's in them, what answers a TODO, what a learner has added.
//!
//! Cells get merged, split, copied and moved. Front ends join the texts of merged cells by an empty line, and keep the
//! metadata of any one of them, so that an answer may come to stand in the cell of a check, of a given cell, or of another
//! answer, and the release's own text in an answer's.

use super::source::{Exercise, Role};
use crate::notebook::{Cell, CellKind, Notebook};
use std::collections::BTreeSet;
use std::ops::Range;

/// What a part of a cell is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// The text of the release's cell at this place, or less of it.
    Released(usize),
    /// That text as the learner has changed it.
    Changed(usize),
    /// An answer to this TODO.
    Answer(usize),
    /// Something that the learner has added.
    Added,
}

/// A part of a cell: some of its lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// What it is.
    pub what: What,
    /// Its lines, counted from 0; empty lines around it are not of it.
    pub lines: Range<usize>,
    /// Their text.
    pub text: String,
}

/// A cell, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parted {
    /// Whether it runs.
    pub is_code: bool,
    /// The place of the release's cell that it is.
    pub own: Option<usize>,
    /// Its parts in order, each with some text.
    pub parts: Vec<Part>,
}

/// Takes all cells apart, in their order.
pub fn parted(notebook: &Notebook, exercise: &Exercise) -> Vec<Parted> {
    let mut owns: Vec<Option<usize>> = notebook.cells().map(|cell| named(&cell, exercise)).collect();
    let missing = missing(&owns, exercise);
    for (own, cell) in owns.iter_mut().zip(notebook.cells()) {
        *own = own.or_else(|| told_by_text(&cell, exercise, &missing));
    }
    let mut answered = BTreeSet::new();
    for (own, cell) in owns.iter().zip(notebook.cells()) {
        let todo = own.and_then(|place| exercise.answer_at(place));
        answered.extend(todo.filter(|todo| !is_untouched(&cell.source(), exercise, *todo)));
    }
    let table = Table { exercise, missing: self::missing(&owns, exercise), answered };
    owns.iter().zip(notebook.cells()).map(|(own, cell)| table.take_apart(&cell, *own)).collect()
}

fn missing(owns: &[Option<usize>], exercise: &Exercise) -> BTreeSet<usize> {
    (0..exercise.cells.len()).filter(|place| !owns.contains(&Some(*place))).collect()
}

/// The place of the release's cell that a cell is by its metadata, else by its id.
fn named(cell: &Cell<'_>, exercise: &Exercise) -> Option<usize> {
    let role = Role::of(cell).filter(|role| *role != Role::Given);
    let by_role = role.and_then(|role| exercise.cells.iter().position(|own| own.role.as_ref() == Some(&role)));
    by_role.or_else(|| exercise.cells.iter().position(|own| cell.id() == Some(own.id.as_str())))
}

/// By being the release's own text; or the answer whose comment or stop comes first in it, where that cell is missing.
fn told_by_text(cell: &Cell<'_>, exercise: &Exercise, missing: &BTreeSet<usize>) -> Option<usize> {
    let code = cell.source();
    let is_text = |texts: &[String]| texts.iter().any(|text| text.trim() == code.trim());
    let released = exercise.cells.iter().position(|own| own.is_kept() && is_text(&own.texts));
    if released.is_some() || Role::of(cell).is_some() || cell.kind() != CellKind::Code {
        return released;
    }
    let marks = |place: &usize| {
        let todo = exercise.answer_at(*place)?;
        let stub = exercise.cells.get(*place)?.texts.first()?;
        let stop = format!("lesson::todo({todo})");
        let is_own =
            |line: &str| line.contains(&stop) || line.starts_with("//") && stub.lines().any(|own| own.trim() == line);
        let first = code.lines().map(str::trim).position(is_own)?;
        Some((first, *place))
    };
    // What comes first in it.
    missing.iter().filter_map(marks).min().map(|(_, place)| place)
}

/// Whether there is nothing in an answer but what the release has put there.
pub fn is_untouched(code: &str, exercise: &Exercise, todo: usize) -> bool {
    let stub = exercise.step(&Role::Answer(todo)).map(|step| step.stub.trim()).unwrap_or_default();
    let says_nothing = |line: &str| line.trim().is_empty() || line.trim().starts_with("//");
    let stops = |line: &str| line.trim().starts_with(&format!("candlewick::lesson::todo({todo})"));
    code.trim() == stub || code.lines().all(|line| says_nothing(line) || stops(line))
}

/// What decides whose a part is.
struct Table<'a> {
    exercise: &'a Exercise,
    /// The places of the release's cells that no cell of the notebook is.
    missing: BTreeSet<usize>,
    /// The TODOs with a cell of their own in which something is written.
    answered: BTreeSet<usize>,
}

/// What is known of some lines before their neighbours are looked at.
#[derive(Clone, Copy, PartialEq)]
enum Seen {
    Released(usize),
    Marked(usize),
    Unmarked,
}

impl Table<'_> {
    fn take_apart(&self, cell: &Cell<'_>, own: Option<usize>) -> Parted {
        let (source, is_code) = (cell.source(), cell.kind() == CellKind::Code);
        let lines: Vec<&str> = source.lines().collect();
        let seen = self.sections(&lines, own);
        // A cell of the release's that does not hold its text was changed.
        let changed = own.filter(|place| self.exercise.answer_at(*place).is_none());
        let changed = changed.filter(|place| seen.iter().all(|(section, _)| *section != Seen::Released(*place)));
        let mut parts: Vec<Part> = Vec::new();
        for (at, (section, range)) in seen.iter().enumerate() {
            let what = match section {
                Seen::Released(place) => What::Released(*place),
                Seen::Marked(todo) => What::Answer(*todo),
                Seen::Unmarked if !is_code && changed.is_none() => What::Added,
                Seen::Unmarked => {
                    let before = at.checked_sub(1).and_then(|at| seen.get(at)).map(|(section, _)| *section);
                    let behind = seen.get(at + 1).map(|(section, _)| *section);
                    let is_taken = |todo| parts.iter().any(|part| part.what == What::Answer(todo));
                    match changed {
                        Some(place) => self.changed(&lines[range.clone()], place),
                        None => self.unmarked(own, before, behind, &is_taken),
                    }
                }
            };
            parts.push(Part { what, lines: range.clone(), text: lines[range.clone()].join("\n") });
        }
        Parted { is_code, own, parts }
    }

    /// Divides a cell at texts of the release and at the first lines of stubs.
    fn sections(&self, lines: &[&str], own: Option<usize>) -> Vec<(Seen, Range<usize>)> {
        let mut found = Vec::new();
        let (mut seen, mut from, mut at) = (Seen::Unmarked, 0, 0);
        while at < lines.len() {
            if let Some((place, length)) = self.released(&lines[at..], own) {
                found.push((seen, from..at));
                found.push((Seen::Released(place), at..at + length));
                at += length;
                (seen, from) = (Seen::Unmarked, at);
                continue;
            }
            let mark = self.begun(lines[at], own).map(Seen::Marked).filter(|mark| *mark != seen);
            if let Some(mark) = mark {
                found.push((seen, from..at));
                (seen, from) = (mark, at);
            }
            at += 1;
        }
        found.push((seen, from..at));
        let is_empty = |at: usize| lines.get(at).is_none_or(|line| line.trim().is_empty());
        for (_, range) in &mut found {
            range.start += range.clone().take_while(|at| is_empty(*at)).count();
            range.end -= range.clone().rev().take_while(|at| is_empty(*at)).count();
        }
        found.retain(|(_, range)| !range.is_empty());
        found
    }

    /// The longest text of the release with which these lines begin: the cell's own, or that of a cell that is missing. Any
    /// other is a copy, and the learner's.
    fn released(&self, lines: &[&str], own: Option<usize>) -> Option<(usize, usize)> {
        let mut best = None;
        for (place, cell) in self.exercise.cells.iter().enumerate() {
            if !cell.is_kept() || !(own == Some(place) || self.missing.contains(&place)) {
                continue;
            }
            for text in &cell.texts {
                let wanted: Vec<&str> = text.trim().lines().collect();
                let begins =
                    lines.len() >= wanted.len() && wanted.iter().zip(lines).all(|(a, b)| a.trim_end() == b.trim_end());
                if begins && !text.trim().is_empty() && best.is_none_or(|(_, most)| wanted.len() > most) {
                    best = Some((place, wanted.len()));
                }
            }
        }
        best
    }

    /// The TODO whose stub begins with this line, where the answer may be here: a learner may well copy a comment.
    fn begun(&self, line: &str, own: Option<usize>) -> Option<usize> {
        let is_mark = |step: &&super::source::Step| match &step.role {
            Role::Answer(todo) => {
                let first = step.stub.lines().map(str::trim).find(|line| !line.is_empty());
                first.is_some_and(|first| first == line.trim() && first.starts_with("//"))
                    || line.trim().starts_with(&format!("candlewick::lesson::todo({todo})"))
            }
            _ => false,
        };
        let step = self.exercise.steps.iter().find(is_mark)?;
        let Role::Answer(todo) = step.role else { return None };
        (own == Some(step.index) || !self.answered.contains(&todo)).then_some(todo)
    }

    /// What lines of code are that nothing marks: by the release's texts around them, else by the cell that they are in.
    fn unmarked(
        &self,
        own: Option<usize>,
        before: Option<Seen>,
        behind: Option<Seen>,
        is_taken: &dyn Fn(usize) -> bool,
    ) -> What {
        let is_code = |place: &usize| self.exercise.cells.get(*place).is_some_and(|cell| cell.role.is_some());
        let above = match behind {
            Some(Seen::Released(place)) => (0..place).rev().find(is_code),
            _ => None,
        };
        let below = match before {
            Some(Seen::Released(place)) => (place + 1..self.exercise.cells.len()).find(is_code),
            _ => None,
        };
        let is_here = |place: &usize| own == Some(*place) || self.missing.contains(place);
        let next = [above, below].into_iter().flatten().filter(is_here).chain(own);
        match next.filter_map(|place| self.exercise.answer_at(place)).find(|todo| !is_taken(*todo)) {
            Some(todo) => What::Answer(todo),
            None => What::Added,
        }
    }

    /// A cell of the release's that does not hold its text: where lines are only missing from it, nothing is the learner's.
    fn changed(&self, lines: &[&str], place: usize) -> What {
        let texts = self.exercise.cells.get(place).map(|cell| cell.texts.as_slice()).unwrap_or_default();
        let has = |text: &String, line: &str| text.lines().any(|own| own.trim() == line.trim());
        let is_less = texts.iter().any(|text| lines.iter().all(|line| line.trim().is_empty() || has(text, line)));
        if is_less { What::Released(place) } else { What::Changed(place) }
    }
}
