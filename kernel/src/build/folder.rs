//! A session's own folder: links into the template, removed at the end, or by the next start after a crash.

use super::{EVCXR_CONFIG, Template, cache_folder, manifest};
use crate::tools::Recorded;
use anyhow::{Context, Result};
use std::fs::{self, File, FileTimes};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Held locked while the session lives.
const ALIVE: &str = "alive.lock";

/// How often the folder is tried to be removed.
const ATTEMPTS: usize = 10;
/// How long to wait before it is tried again.
const BETWEEN_ATTEMPTS: Duration = Duration::from_millis(50);

/// The folder in which one session's cells are compiled.
#[derive(Debug)]
pub struct SessionFolder {
    path: PathBuf,
    _alive: File,
}

impl SessionFolder {
    /// Makes a folder from `template`: as good as copied, at the cost of some thousand links.
    ///
    /// # Errors
    /// Where the disk refuses.
    pub fn create(template: &Template) -> Result<Self> {
        let sessions = sessions_folder()?;
        fs::create_dir_all(&sessions).with_context(|| format!("cannot create {}", sessions.display()))?;
        remove_dead(&sessions);
        let made = tempfile::Builder::new().prefix("session-").tempdir_in(&sessions);
        let path = made.with_context(|| format!("cannot create a folder in {}", sessions.display()))?.keep();
        // Locked before it has its name, so that nobody takes a newborn session for a dead one.
        let unborn = path.join("unborn.lock");
        let alive = File::create(&unborn)?;
        alive.lock()?;
        fs::rename(unborn, path.join(ALIVE))?;
        let folder = Self { path, _alive: alive };
        folder.fill(template).with_context(|| format!("cannot fill {}", folder.path.display()))?;
        Ok(folder)
    }

    fn fill(&self, template: &Template) -> Result<()> {
        for file in ["Cargo.toml", "Cargo.lock"] {
            fs::copy(template.folder.join(file), self.path.join(file))?;
        }
        let config = manifest::evcxr_config(&self.path, &template.helper, &template.features);
        fs::write(self.path.join(EVCXR_CONFIG), config)?;
        Recorded::carry(&template.folder, &self.path)?;
        // What belongs to the crate that cells become is written anew in each session, in place.
        link_tree(&template.folder.join("target"), &self.path.join("target"), &|name| is_of(name, "ctx"))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for SessionFolder {
    fn drop(&mut self) {
        // A compiler that was ended may take a moment to be gone. What cannot be removed then, the next start removes.
        for _ in 0..ATTEMPTS {
            if fs::remove_dir_all(&self.path).is_ok() {
                return;
            }
            std::thread::sleep(BETWEEN_ATTEMPTS);
        }
    }
}

/// Where sessions work. evcxr cannot take a path with a space in it.
fn sessions_folder() -> Result<PathBuf> {
    let has_space = |path: &Path| path.to_string_lossy().contains(char::is_whitespace);
    let folders = [cache_folder()?.join("sessions"), std::env::temp_dir().join("candlewick-sessions")];
    let found = folders.iter().find(|folder| !has_space(folder)).cloned();
    found.context("evcxr cannot work in a folder with a space in its path: set CANDLEWICK_CACHE to one without")
}

/// Whether a file or folder of a target folder belongs to the crate `name`.
pub fn is_of(file: &str, name: &str) -> bool {
    let stem = file.strip_prefix("lib").unwrap_or(file);
    stem.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', '.']))
}

/// Links a target folder, file by file, without what is `private`.
pub fn link_tree(from: &Path, to: &Path, private: &dyn Fn(&str) -> bool) -> Result<()> {
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let name = entry.file_name();
        let (source, target) = (entry.path(), to.join(&name));
        match name.to_string_lossy().as_ref() {
            // Cargo's lock: two sessions that shared it would wait for each other.
            "incremental" | ".cargo-lock" => {}
            name if private(name) => {}
            // What cargo writes in place where something has to be compiled again: by links, the template would hear of it.
            ".fingerprint" | "out" => copy_tree(&source, &target, private)?,
            _ if entry.file_type()?.is_dir() => link_tree(&source, &target, private)?,
            // So are these, what a build script has said among them.
            ".rustc_info.json" | "output" | "stderr" | "root-output" | "invoked.timestamp" => {
                copy_with_time(&source, &target)?
            }
            _ => fs::hard_link(&source, &target).or_else(|_| copy_with_time(&source, &target))?,
        }
    }
    Ok(())
}

fn copy_tree(from: &Path, to: &Path, private: &dyn Fn(&str) -> bool) -> Result<()> {
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        match entry.file_type()?.is_dir() {
            _ if private(&entry.file_name().to_string_lossy()) => {}
            true => copy_tree(&entry.path(), &target, private)?,
            false => copy_with_time(&entry.path(), &target)?,
        }
    }
    Ok(())
}

/// Cargo takes a younger file for a changed one.
fn copy_with_time(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::copy(from, to)?;
    let modified = fs::metadata(from)?.modified()?;
    File::options().write(true).open(to)?.set_times(FileTimes::new().set_modified(modified))
}

/// Removes the folders of sessions that ended without doing so themselves.
fn remove_dead(sessions: &Path) {
    for entry in fs::read_dir(sessions).into_iter().flatten().flatten().filter(is_dead) {
        let _ = fs::remove_dir_all(entry.path());
    }
}

fn is_dead(session: &fs::DirEntry) -> bool {
    match File::open(session.path().join(ALIVE)) {
        Ok(alive) => alive.try_lock().is_ok(),
        // Being made just now, or half removed long ago.
        Err(_) => session.metadata().and_then(|data| data.modified()).is_ok_and(is_old),
    }
}

/// How many folders of sessions there are, and how many of them nobody uses any more: the next start removes those.
///
/// # Errors
/// Where the system names no folder for them.
pub fn count_sessions() -> Result<(usize, usize)> {
    let entries: Vec<_> = fs::read_dir(sessions_folder()?).into_iter().flatten().flatten().collect();
    Ok((entries.len(), entries.iter().filter(|entry| is_dead(entry)).count()))
}

fn is_old(time: std::time::SystemTime) -> bool {
    time.elapsed().is_ok_and(|age| age > Duration::from_secs(3600))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn dependencies_are_linked_and_the_cells_own_files_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let from = folder.path().join("from");
        fs::create_dir_all(from.join("deps")).unwrap();
        fs::create_dir_all(from.join("incremental")).unwrap();
        for name in ["deps/libcandle.rlib", "deps/libctx.so", "deps/ctx-12.d", "deps/libctxt.rlib", ".cargo-lock"] {
            fs::write(from.join(name), name).unwrap();
        }
        let to = folder.path().join("to");
        link_tree(&from, &to, &|name| is_of(name, "ctx")).unwrap();
        let exists = |name: &str| to.join(name).exists();
        assert!(exists("deps/libcandle.rlib") && exists("deps/libctxt.rlib"));
        assert!(!exists("deps/libctx.so") && !exists("deps/ctx-12.d") && !exists(".cargo-lock"));
        assert!(!exists("incremental"));
        let time = |path: PathBuf| fs::metadata(path).unwrap().modified().unwrap();
        assert_eq!(time(from.join("deps/libcandle.rlib")), time(to.join("deps/libcandle.rlib")));
    }

    #[test]
    fn what_a_session_compiles_again_leaves_the_template_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        for name in [".fingerprint/ring-1", "build/ring-1"] {
            fs::create_dir_all(from.join(name)).unwrap();
            fs::write(from.join(name).join("output"), "the template's").unwrap();
        }
        link_tree(&from, &to, &|_| false).unwrap();
        for name in [".fingerprint/ring-1/output", "build/ring-1/output"] {
            // In place, as cargo does.
            fs::write(to.join(name), "the session's").unwrap();
            assert_eq!(fs::read_to_string(from.join(name)).unwrap(), "the template's", "{name}");
        }
    }

    #[test]
    fn only_dead_sessions_are_removed() {
        let sessions = tempfile::tempdir().unwrap();
        let make = |name: &str| {
            let path = sessions.path().join(name);
            fs::create_dir(&path).unwrap();
            (File::create(path.join(ALIVE)).unwrap(), path)
        };
        let (alive, living) = make("1-0");
        alive.lock().unwrap();
        let (_, dead) = make("2-0");
        remove_dead(sessions.path());
        assert!(living.exists() && !dead.exists());
    }
}
