//! How far a learner has come, in a small file beside the notebook.
//!
//! The kernel compiles this very file too, so that both ends share one format.

use super::todos::todos;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

/// The file's name.
pub const FILE: &str = "flowers_exercise.progress.json";
/// Where a file goes that is no progress, so that nothing of anybody's is lost.
const ASIDE: &str = "flowers_exercise.progress.broken.json";
/// More than a progress can have, in bytes.
const LARGEST: u64 = 1 << 20;

/// What a learner has done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Progress {
    /// The TODOs whose checks passed.
    pub passed: BTreeSet<usize>,
    /// How many hints of a TODO were asked for.
    pub hints: BTreeMap<usize, usize>,
}

/// Whether a change is on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kept {
    /// It is.
    OnDisk,
    /// It is not, or something had to go aside for it: a line that says so.
    Not(String),
}

/// Where the progress of the notebooks in a folder is.
pub fn path(folder: &Path) -> PathBuf {
    folder.join(FILE)
}

impl Progress {
    /// Reads the progress of a folder; where there is no file yet, nothing has been done.
    ///
    /// # Errors
    /// A line that says why the file cannot be read, or is no progress.
    pub fn read(folder: &Path) -> Result<Self, String> {
        let path = path(folder);
        let wrong = |why: &str| format!("{} is no progress file that can be read: {why}.", path.display());
        // Before it is opened: opening a pipe would wait for a writer.
        match std::fs::metadata(&path) {
            Err(why) if why.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(why) => return Err(wrong(&why.to_string())),
            Ok(about) if !about.is_file() => return Err(wrong("it is no ordinary file")),
            Ok(about) if about.len() > LARGEST => return Err(wrong("it is too large")),
            Ok(_) => {}
        }
        let mut text = String::new();
        let file = std::fs::File::open(&path).map_err(|why| wrong(&why.to_string()))?;
        file.take(LARGEST).read_to_string(&mut text).map_err(|why| wrong(&why.to_string()))?;
        let value: serde_json::Value = serde_json::from_str(&text).map_err(|why| wrong(&why.to_string()))?;
        // A list would be taken for a progress without names.
        if !value.is_object() {
            return Err(wrong("it is no JSON object"));
        }
        let mut progress: Self = serde_json::from_value(value).map_err(|why| wrong(&why.to_string()))?;
        progress.passed.retain(|number| (1..=todos().len()).contains(number));
        Ok(progress)
    }

    /// Writes it beside the file and renames it. A file that is there and no progress is kept under another name.
    pub fn write(&self, folder: &Path) -> Kept {
        let mut aside = None;
        if let Err(why) = Self::read(folder) {
            match std::fs::rename(path(folder), folder.join(ASIDE)) {
                Ok(()) => aside = Some(format!("{why} It is now {ASIDE}, and a new one is begun.")),
                Err(_) => return Kept::Not(format!("{why} Your progress is kept for this session only.")),
            }
        }
        match self.try_write(folder) {
            Ok(()) => aside.map_or(Kept::OnDisk, Kept::Not),
            Err(why) => Kept::Not(format!(
                "{} cannot be written: {why}. Your progress is kept for this session only.",
                path(folder).display()
            )),
        }
    }

    fn try_write(&self, folder: &Path) -> std::io::Result<()> {
        // Renaming would replace a file that somebody has protected.
        if std::fs::metadata(path(folder)).is_ok_and(|about| about.permissions().readonly()) {
            return Err(std::io::Error::other("it is read-only"));
        }
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        serde_json::to_writer_pretty(&mut file, self)?;
        file.write_all(b"\n")?;
        file.persist(path(folder))?;
        Ok(())
    }

    /// Counts a hint that is asked for: its number, from 1, at most `all`.
    pub fn next_hint(&mut self, number: usize, all: usize) -> usize {
        let asked = self.hints.entry(number).or_default();
        *asked = (*asked).min(all.saturating_sub(1)) + 1;
        *asked
    }

    /// A square for each TODO, filled where its check has passed, and the count: `■■□□□□□□□□□□  2 of 12`.
    pub fn bar(&self) -> String {
        let square = |number| if self.passed.contains(&number) { '■' } else { '□' };
        let squares: String = todos().iter().map(|todo| square(todo.number)).collect();
        format!("{squares}  {} of {}", self.passed.len(), todos().len())
    }
}

/// The bar, and what is next.
impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.bar())?;
        match todos().iter().find(|todo| !self.passed.contains(&todo.number)) {
            Some(next) => write!(f, "\nNext: {}", next.name()),
            None => f.write_str("\nAll done."),
        }
    }
}
