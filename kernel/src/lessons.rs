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
pub const LESSONS: &[Lesson] = include!(concat!(env!("OUT_DIR"), "/lessons.rs"));

/// The lesson of this name.
pub fn find(name: &str) -> Option<Lesson> {
    LESSONS.iter().find(|lesson| lesson.name == name).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notebook::Notebook;

    #[test]
    fn every_lesson_is_a_rust_notebook_that_we_can_run() {
        for lesson in LESSONS {
            let notebook = Notebook::parse(lesson.text).unwrap_or_else(|why| panic!("{}: {why}", lesson.name));
            assert_eq!(notebook.language().as_deref(), Some("rust"), "{}", lesson.name);
            assert_eq!(find(lesson.name).map(|found| found.text), Some(lesson.text));
        }
        println!("{} lessons", LESSONS.len());
    }
}
