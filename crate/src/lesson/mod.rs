//! The flowers exercise: a check for each of its twelve TODOs, hints on demand, and how far one has come.
//!
//! In the notebook: `hint(3)` gives the next hint for TODO 3, `progress()` shows the bar of twelve, `solution(3)` shows
//! the release's own answer once yours has passed. The functions of [`check`] stand in the cells below the answers.

pub mod check;
mod diagnosis;
mod progress;
mod todos;

use crate::notebook::display;
use crate::{Error, Result};
pub use diagnosis::{ask, rehearse};
use progress::{Kept, Progress};
use std::fmt;
use std::path::Path;
use todos::{Todo, hints, todo as find, todos};

/// Stops a cell at a TODO that is still to be written. It stands where the answer goes.
///
/// # Errors
/// Always, with one line: [`Error::Lesson`].
pub fn todo(number: usize) -> Result<()> {
    let name = find(number).map_or_else(|| format!("TODO {number}"), Todo::name);
    Err(Error::Lesson(format!("{name}: write your code in place of this line. For a hint: hint({number})")))
}

/// The next hint for a TODO; each call gives one more, the last is nearly the answer.
pub fn hint(number: usize) -> Message {
    let hints = hints(number);
    if hints.is_empty() {
        return unknown(number);
    }
    let mut shown = 1;
    let note = update(|progress| shown = progress.next_hint(number, hints.len()));
    Message(hint_text(number, shown).unwrap_or_default() + &note)
}

/// A TODO's hint, from 1, with how many there are.
fn hint_text(number: usize, shown: usize) -> Option<String> {
    let (todo, hints) = (find(number)?, hints(number));
    let text = hints.get(shown.checked_sub(1)?)?;
    let more = if shown < hints.len() { format!(" More: hint({number})") } else { String::new() };
    Some(format!("{}, hint {shown} of {}:\n{text}{more}", todo.name(), hints.len()))
}

/// How far you have come: a bar of twelve, and what is next.
pub fn progress() -> Message {
    match diagnosis::read(here()) {
        Ok(progress) => Message(progress.to_string()),
        Err(why) => Message(format!("{why}\n{}", diagnosis::remembered())),
    }
}

/// The release's answer to a TODO, once yours has passed its check.
pub fn solution(number: usize) -> Message {
    let Some(todo) = find(number) else { return unknown(number) };
    let passed = diagnosis::read(here()).unwrap_or_else(|_| diagnosis::remembered()).passed.contains(&number);
    if passed {
        return Message(format!("{}, as the lesson has it:\n\n{}", todo.name(), todo.solution));
    }
    Message(format!("{}: the solution opens once yours passes its check. For a hint: hint({number})", todo.name()))
}

fn unknown(number: usize) -> Message {
    Message(format!("There is no TODO {number}: they are numbered from 1 to {}.", todos().len()))
}

/// Changes the progress on disk; where that cannot be, in memory, and says so in a line of its own.
fn update(change: impl FnOnce(&mut Progress)) -> String {
    match diagnosis::update(here(), change) {
        Kept::OnDisk => String::new(),
        Kept::Not(why) => format!("\n{why}"),
    }
}

/// Progress lies in the working folder, which is the notebook's.
fn here() -> &'static Path {
    Path::new(".")
}

/// A few lines for the learner. They show themselves when they end a cell.
pub struct Message(String);

impl Message {
    /// Shows the lines below a notebook cell.
    pub fn evcxr_display(&self) {
        display::text(&self.0);
    }
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// In the same words.
impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests;
