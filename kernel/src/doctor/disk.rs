//! The cache folder, and what is in it.

use super::{Finding, answer};
use crate::build::{self, cache_folder};
use crate::terminal::progress::amount;
use std::collections::HashSet;
use std::fs;
use std::path::Path;

/// What the compiled crates take, and a first run with its photos: less is too little.
const NEEDED: u64 = 2_000_000_000;

/// The weights that the lesson uses: their file in the cache folder, and its size.
const WEIGHTS: (&str, u64) = ("mobilenet_v2-b0353104.pth", 14_212_972);

const ELSEWHERE: &str = "set CANDLEWICK_CACHE to a folder that can be written";

/// Whether it can be written, and what is in it.
pub fn cache() -> Finding {
    let about = "Cache folder";
    let folder = match cache_folder() {
        Ok(folder) => folder,
        Err(why) => return Finding::bad(about, format!("{why:#}"), ELSEWHERE),
    };
    if let Err(why) = fs::create_dir_all(&folder).and_then(|()| tempfile::tempfile_in(&folder)) {
        return Finding::bad(about, format!("{} cannot be written: {why}", folder.display()), ELSEWHERE);
    }
    // Sessions consist of links to what is compiled, which is counted once.
    let mut counted = HashSet::new();
    let parts = ["cells", "sessions", "jupyter"].map(|part| (part, size(&folder.join(part), &mut counted)));
    let rest = size(&folder, &mut counted);
    let parts: Vec<_> = parts.iter().map(|(part, bytes)| format!("{part} {}", amount(*bytes, "bytes"))).collect();
    let rest = amount(rest, "bytes");
    Finding::good(about, format!("{} ({}, weights and photos {rest})", folder.display(), parts.join(", ")))
}

/// The bytes of all files in a folder that have not been counted yet.
fn size(folder: &Path, counted: &mut HashSet<Identity>) -> u64 {
    let mut bytes = 0;
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let Ok(data) = entry.metadata() else { continue };
        if data.is_dir() {
            bytes += size(&entry.path(), counted);
        } else if counted.insert(identity(&entry.path(), &data)) {
            bytes += data.len();
        }
    }
    bytes
}

#[cfg(unix)]
type Identity = (u64, u64);

#[cfg(unix)]
fn identity(_: &Path, data: &fs::Metadata) -> Identity {
    use std::os::unix::fs::MetadataExt;
    (data.dev(), data.ino())
}

#[cfg(not(unix))]
type Identity = std::path::PathBuf;

#[cfg(not(unix))]
fn identity(path: &Path, _: &fs::Metadata) -> Identity {
    path.to_owned()
}

/// How much is free; the system's own program knows.
pub fn space() -> Finding {
    let about = "Free space";
    let folder = cache_folder().ok();
    // What is not there yet will be made in the next folder up that is.
    let there = folder.as_deref().and_then(|folder| folder.ancestors().find(|folder| folder.is_dir()));
    let free = there.and_then(Path::to_str).and_then(|folder| free(&answer("df", &["-Pk", folder])?));
    match free {
        None => Finding::good(about, "not known on this system"),
        Some(bytes) if bytes < NEEDED => {
            let text = format!("{} in the cache folder; compiling takes up to {}", words(bytes), words(NEEDED));
            Finding::poor(about, text, "make room, or set CANDLEWICK_CACHE to a folder on another disk")
        }
        Some(bytes) => Finding::good(about, format!("{} in the cache folder", words(bytes))),
    }
}

fn words(bytes: u64) -> String {
    amount(bytes, "bytes")
}

/// The free bytes in what `df -Pk` answers: POSIX fixes its form.
fn free(df: &str) -> Option<u64> {
    let kibibytes: u64 = df.lines().nth(1)?.split_whitespace().nth(3)?.parse().ok()?;
    kibibytes.checked_mul(1024)
}

pub fn sessions() -> Finding {
    let about = "Sessions";
    match build::count_sessions() {
        Err(why) => Finding::bad(about, format!("{why:#}"), ELSEWHERE),
        Ok((0, _)) => Finding::good(about, "none is open"),
        Ok((all, 0)) => Finding::good(about, format!("{all} open")),
        Ok((all, dead)) => {
            let text = format!("{} open, {dead} left behind by a crash", all - dead);
            Finding::poor(about, text, "nothing to do: the next start removes what was left")
        }
    }
}

pub fn weights() -> Finding {
    let (file, bytes) = WEIGHTS;
    let found =
        cache_folder().ok().map(|folder| folder.join(file)).and_then(|path| Some(fs::metadata(path).ok()?.len()));
    match found {
        None => Finding::good("Weights", "not in the cache yet; the first lesson fetches them (14 MB)"),
        Some(size) if size == bytes => Finding::good("Weights", format!("{file}, {}", words(bytes))),
        Some(size) => Finding::poor(
            "Weights",
            format!("{file} has {size} bytes and should have {bytes}"),
            "nothing to do: the next use fetches it again",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_space_is_read_from_what_df_says() {
        let df = "Filesystem 1024-blocks Used Available Capacity Mounted on\n/dev/a 100 40 60 40% /\n";
        assert_eq!(free(df), Some(61_440));
        assert_eq!((free(""), free("Filesystem\nx y z w"), free("a\nb 1 2 99999999999999999999")), (None, None, None));
    }

    #[test]
    fn linked_files_are_counted_once() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("a/b")).unwrap();
        fs::create_dir(folder.path().join("c")).unwrap();
        fs::write(folder.path().join("a/b/file"), [0; 1000]).unwrap();
        fs::hard_link(folder.path().join("a/b/file"), folder.path().join("c/link")).unwrap();
        fs::write(folder.path().join("c/own"), [0; 10]).unwrap();
        let mut counted = HashSet::new();
        let sizes = ["a", "c", "none such"].map(|part| size(&folder.path().join(part), &mut counted));
        assert_eq!(sizes, if cfg!(unix) { [1000, 10, 0] } else { [1000, 1010, 0] });
    }

    #[test]
    fn the_weights_are_those_that_the_helper_crate_knows() {
        let table = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crate/src/weights/mod.rs");
        let table = fs::read_to_string(table).unwrap().replace('_', "");
        let (file, bytes) = WEIGHTS;
        let wanted = format!("file: \"{file}\",\n        bytes: Some({bytes}),").replace('_', "");
        assert!(table.contains(&wanted), "{wanted}");
    }
}
