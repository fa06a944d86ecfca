//! The cells of a user's kernels on disk, as IPython keeps them: one line of JSON for each, without what it gave.

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The most bytes of it that are read. Once it has twice as many, the older half goes.
const MOST_BYTES: u64 = 8 << 20;

/// How often a lock that another kernel holds is tried, and how long between: writing takes it less than one of these.
const TRIES: u32 = 20;
const PAUSE: Duration = Duration::from_millis(10);

/// A cell on disk.
#[derive(Debug, Deserialize, Serialize, PartialEq, Eq)]
pub(super) struct Stored {
    /// The kernel that ran it: they are numbered from 1, in the order of their first cells.
    pub(super) session: i64,
    /// Its number there.
    pub(super) line: u64,
    pub(super) input: String,
}

/// The file, and which of its kernels this one is.
#[derive(Debug)]
pub(super) struct HistoryFile {
    path: PathBuf,
    /// None before the first cell.
    session: Option<i64>,
}

impl HistoryFile {
    /// It need not be there.
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, session: None }
    }

    /// Adds a cell of this kernel.
    ///
    /// # Errors
    /// Where the file, or its lock, cannot be written.
    pub(super) fn add(&mut self, line: u64, input: &str) -> Result<()> {
        let _lock = lock(&self.path)?;
        let session = match self.session {
            Some(session) => session,
            None => self.begin()?,
        };
        let cell = serde_json::to_string(&Stored { session, line, input: input.to_owned() })?;
        append_line(&self.path, &cell).with_context(|| cannot("write", &self.path))?;
        self.session = Some(session);
        Ok(())
    }

    /// The cells of other kernels, oldest first, and the number of this one. What cannot be read is not there.
    pub(super) fn others(&self) -> (Vec<Stored>, i64) {
        let mut cells = cells(&newest(&self.path).unwrap_or_default());
        let this = self.session.unwrap_or_else(|| next(&cells));
        cells.retain(|cell| cell.session != this);
        (cells, this)
    }

    /// The number of a kernel that has its first cell; the time to make the file shorter. The lock is held.
    fn begin(&self) -> Result<i64> {
        let text = newest(&self.path)?;
        if std::fs::metadata(&self.path).is_ok_and(|file| file.len() > 2 * MOST_BYTES) {
            crate::notebook::write_beside(&self.path, &text).with_context(|| cannot("write", &self.path))?;
        }
        Ok(next(&cells(&text)))
    }
}

fn cannot(what: &str, path: &Path) -> String {
    format!("cannot {what} {}", path.display())
}

fn next(cells: &[Stored]) -> i64 {
    cells.iter().map(|cell| cell.session).max().unwrap_or(0).saturating_add(1)
}

/// The whole lines among the last [`MOST_BYTES`].
fn newest(path: &Path) -> Result<Vec<u8>> {
    let mut file = match File::open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        file => file.with_context(|| cannot("read", path))?,
    };
    let mut text = Vec::new();
    let skipped = file.metadata().map_or(0, |file| file.len()).saturating_sub(MOST_BYTES);
    let read = file.seek(SeekFrom::Start(skipped)).and_then(|_| file.take(MOST_BYTES).read_to_end(&mut text));
    read.with_context(|| cannot("read", path))?;
    if skipped > 0 {
        let first = text.iter().position(|byte| *byte == b'\n').map_or(text.len(), |end| end + 1);
        text.drain(..first);
    }
    Ok(text)
}

/// What is no cell is passed over: other programs may write here.
fn cells(text: &[u8]) -> Vec<Stored> {
    text.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect()
}

fn append_line(path: &Path, text: &str) -> std::io::Result<()> {
    let mut file = private(File::options().create(true).read(true).append(true)).open(path)?;
    let mut last = *b"\n";
    if file.seek(SeekFrom::End(0))? > 0 {
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
    }
    // Whoever died while writing left half a line.
    let begin = if last == *b"\n" { "" } else { "\n" };
    file.write_all(format!("{begin}{text}\n").as_bytes())
}

/// No other kernel writes while this lives.
fn lock(path: &Path) -> Result<File> {
    let name = path.with_added_extension("lock");
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).with_context(|| cannot("create", folder))?;
    }
    let file = private(File::options().create(true).write(true)).open(&name).with_context(|| cannot("write", &name))?;
    for _ in 0..TRIES {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(std::fs::TryLockError::WouldBlock) => std::thread::sleep(PAUSE),
            Err(std::fs::TryLockError::Error(error)) => return Err(error).with_context(|| cannot("lock", &name)),
        }
    }
    bail!("another kernel holds {}", name.display())
}

/// Readable for its owner only: people type secrets into cells.
fn private(options: &mut std::fs::OpenOptions) -> &mut std::fs::OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(session: i64, line: u64, input: &str) -> Stored {
        Stored { session, line, input: input.to_owned() }
    }

    #[test]
    fn what_is_no_cell_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("not yet there").join("history.jsonl");
        HistoryFile::new(path.clone()).add(1, "print!(\"\n\")").unwrap();
        let mut text = std::fs::read(&path).unwrap();
        text.extend(
            b"\xff\n[1]\n{\"session\": 1e99}\n{\"session\": 4, \"line\": 2, \"input\": \"b\"}\n{\"session\": 9, \"li",
        );
        std::fs::write(&path, text).unwrap();
        let mut next = HistoryFile::new(path.clone());
        assert_eq!(next.others(), (vec![stored(1, 1, "print!(\"\n\")"), stored(4, 2, "b")], 5));
        // Whoever died left half a line: the cell behind it is on its own.
        next.add(1, "c").unwrap();
        assert_eq!(HistoryFile::new(path).others().0.last(), Some(&stored(5, 1, "c")));
    }

    #[test]
    fn the_file_stays_short_and_keeps_the_newest() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history.jsonl");
        let large = "x".repeat(MOST_BYTES as usize / 2);
        let mut first = HistoryFile::new(path.clone());
        (1..6).for_each(|line| first.add(line, &format!("{line}{large}")).unwrap());
        assert!(std::fs::metadata(&path).unwrap().len() > 2 * MOST_BYTES);
        let mut second = HistoryFile::new(path.clone());
        second.add(1, "a").unwrap();
        assert!(std::fs::metadata(&path).unwrap().len() < MOST_BYTES);
        let (others, this) = second.others();
        assert_eq!((others.len(), others[0].line, this), (1, 5, 2));
        first.add(6, "b").unwrap();
        assert_eq!(second.others().0.last(), Some(&stored(1, 6, "b")));
    }

    #[test]
    fn kernels_at_once_have_numbers_of_their_own() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history.jsonl");
        let kernel = |name: usize| {
            let mut file = HistoryFile::new(path.clone());
            (0..20).for_each(|line| file.add(line, &name.to_string()).unwrap());
            file.session
        };
        let sessions: std::collections::BTreeSet<_> = std::thread::scope(|scope| {
            let kernels: Vec<_> = (0..4).map(|name| scope.spawn(move || kernel(name))).collect();
            kernels.into_iter().map(|kernel| kernel.join().unwrap()).collect()
        });
        assert_eq!(sessions, (1..5).map(Some).collect());
        assert_eq!(HistoryFile::new(path).others().0.len(), 80);
    }

    #[test]
    fn a_lock_that_is_never_given_back_holds_nobody_up() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history.jsonl");
        let _held = lock(&path).unwrap();
        let error = HistoryFile::new(path).add(1, "a").unwrap_err();
        assert!(format!("{error:#}").contains("history.jsonl.lock"), "{error:#}");
    }

    #[cfg(unix)]
    #[test]
    fn only_its_owner_reads_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history.jsonl");
        HistoryFile::new(path.clone()).add(1, "let password = 1;").unwrap();
        let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&path).unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600);
    }
}
