//! The twelve TODOs and their hints, as `candlewick exercise release` writes them.
//!
//! The kernel compiles this very file too, so that notebook and command line say the same.

use serde::{Deserialize, Serialize};
use std::sync::LazyLock;

/// One TODO of the exercise.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Todo {
    /// From 1.
    pub number: usize,
    /// What it is called in the lesson: "Download the flowers dataset".
    pub title: String,
    /// The release's own answer.
    pub solution: String,
}

impl Todo {
    /// `TODO 1, Download the flowers dataset`.
    pub fn name(&self) -> String {
        format!("TODO {}, {}", self.number, self.title)
    }
}

/// What a release holds for those who have no notebook at hand.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Release {
    /// Counted up by each release in which cells change.
    pub release: u64,
    /// In order.
    pub todos: Vec<Todo>,
}

/// The release that this build carries.
pub fn release() -> &'static Release {
    // Written by a program and proved by a test; without it there would be no TODOs, and that would be said.
    static RELEASE: LazyLock<Release> =
        LazyLock::new(|| serde_json::from_str(include_str!("flowers.json")).unwrap_or_default());
    &RELEASE
}

/// All TODOs, in order.
pub fn todos() -> &'static [Todo] {
    &release().todos
}

/// The TODO of this number.
pub fn todo(number: usize) -> Option<&'static Todo> {
    todos().iter().find(|todo| todo.number == number)
}

/// A TODO's hints, each telling more than the one before; none for a number that no TODO has.
pub fn hints(number: usize) -> Vec<&'static str> {
    let wanted = format!("{number}");
    let sections = include_str!("hints.md").split("\n## ").skip(1);
    let section = sections.filter_map(|section| section.split_once('\n')).find(|(head, _)| head.trim() == wanted);
    let paragraphs = section.map_or("", |(_, text)| text).split("\n\n");
    paragraphs.map(str::trim).filter(|hint| !hint.is_empty()).collect()
}
