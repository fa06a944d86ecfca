//! The flowers exercise from the author's side, the learner's, and the teacher's.
//!
//! One notebook is the source: the solution, with markers around what learners write themselves. From it come the
//! [`release`](source), a [proof](verify) that its checks do what they promise, and what [grades](grade) a class.

pub mod answers;
pub mod edit;
pub mod grade;
pub mod mistakes;
pub mod parts;
#[path = "../../../crate/src/lesson/progress.rs"]
pub mod progress;
pub mod source;
mod stage;
#[cfg(test)]
mod tests;
#[path = "../../../crate/src/lesson/todos.rs"]
pub mod todos;
pub mod update;
pub mod verify;

use crate::lessons;
use crate::notebook::Notebook;
use anyhow::Context;
use source::{Earlier, Exercise};

/// The source's name among the lessons.
pub const SOLUTION: &str = "flowers_solution";
/// What learners get: its name among the lessons, and its file's without the ending.
pub const EXERCISE: &str = "flowers_exercise";

/// The exercise that this build carries.
///
/// # Errors
/// Where it was built outside its repository.
pub fn built_in() -> anyhow::Result<Exercise> {
    let lesson = lessons::find(SOLUTION).with_context(|| format!("this build holds no lesson {SOLUTION}"))?;
    let exercise = Exercise::read(Notebook::parse(lesson.text)?).with_context(|| SOLUTION.to_owned())?;
    let earlier: Vec<Earlier> = serde_json::from_str(include_str!("earlier.json")).context("earlier.json")?;
    Ok(exercise.with_earlier(&earlier))
}
