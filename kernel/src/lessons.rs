//! The lessons that the binary carries, so that it works outside its repository.

/// A lesson's notebook.
#[derive(Clone, Copy, Debug)]
pub struct Lesson {
    /// Its name on the command line: `cats_vs_dogs`.
    pub name: &'static str,
    /// The notebook's text.
    pub text: &'static str,
}

/// All lessons, by name. The build script finds them: a new lesson is a new file in `notebooks/`.
#[cfg(not(test))]
pub const LESSONS: &[Lesson] = include!(concat!(env!("OUT_DIR"), "/lessons.rs"));

/// Lessons for tests: one in the echo session's language, and the exercise as it is.
#[cfg(test)]
pub const LESSONS: &[Lesson] = &[
    Lesson { name: "cats_vs_dogs", text: include_str!("../tests/notebooks/a_lesson_for_the_echo_session.ipynb") },
    Lesson { name: "flowers_solution", text: include_str!("../../notebooks/flowers_solution.ipynb") },
];

/// The lesson of this name.
pub fn find(name: &str) -> Option<Lesson> {
    LESSONS.iter().find(|lesson| lesson.name == name).copied()
}
