//! What tests need and a clone may not have: the project's `shared/` folder, and the trained weights.
//!
//! A test is skipped where the folder is absent or no source of the weights can be reached, and for no other reason.
// Each test that includes this uses its own part of it.
#![allow(dead_code)]

use candlewick::Error;
use std::io::Write;
use std::path::{Path, PathBuf};

/// The weights these tests use.
pub const WEIGHTS: &str = "mobilenet_v2.tv_in1k";

/// A file or folder in `$CANDLEWICK_SHARED`, else in `shared/` beside the repository; says so where it is missing.
pub fn shared(path: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("CANDLEWICK_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared"), PathBuf::from);
    let path = folder.join(path);
    if !path.exists() {
        skipped(&format!("{} is not there (set CANDLEWICK_SHARED)", path.display()));
        return None;
    }
    Some(path)
}

/// The usual weights' file, fetched where it is not in the cache; says so where no source can be reached.
pub fn weights() -> Option<PathBuf> {
    weights_of(WEIGHTS)
}

/// The file of the weights of this identity, likewise.
pub fn weights_of(identity: &str) -> Option<PathBuf> {
    match candlewick::weights::fetch(identity) {
        Ok(path) => Some(path),
        Err(error) if unreachable(&error) => {
            skipped(&format!("no source of the weights can be reached: {error}"));
            None
        }
        Err(error) => panic!("the weights: {error}"),
    }
}

/// Says which test leaves something out, and why: past libtest, which keeps what passing tests print to itself, and in the
/// file `$CANDLEWICK_SKIPPED`, from which CI says it all once more at its end.
pub fn skipped(why: &str) {
    let line = skip_line(std::thread::current().name(), why);
    let _ = std::io::stderr().write_all(line.as_bytes());
    if let Some(file) = std::env::var_os("CANDLEWICK_SKIPPED") {
        note(Path::new(&file), &line);
    }
}

/// libtest names a test's thread as the test.
fn skip_line(test: Option<&str>, why: &str) -> String {
    format!("skipped: {}: {}\n", test.unwrap_or("a test"), why.replace('\n', " "))
}

/// Adds a line to a file in one piece, for tests run beside each other.
fn note(file: &Path, line: &str) {
    let added = std::fs::OpenOptions::new().create(true).append(true).open(file);
    if let Err(why) = added.and_then(|mut file| file.write_all(line.as_bytes())) {
        panic!("{}: {why}", file.display());
    }
}

/// Whether each source of a weights file failed because nothing answered, as offline. An answer with an error or wrong
/// bytes, and a wrong file in the cache, are faults.
fn unreachable(error: &Error) -> bool {
    let Error::Fetch(text) = error else { return false };
    let mut reasons = text.lines().filter_map(|line| line.strip_prefix("  - ")).peekable();
    reasons.peek().is_some() && reasons.all(|reason| SILENT.iter().any(|words| reason.contains(words)))
}

/// How silence is told: by our downloads, by the system through them, and by pip, whose last words are the same without a
/// network and for an index that lacks the package: a mirror without it counts as out of reach, too.
const SILENT: [&str; 9] = [
    "no such host (no network?)",
    "no answer in time",
    "connection failed",
    "CONNECT proxy failed",
    "Connection refused",
    "Network is unreachable",
    "name resolution",
    "(from versions: none)",
    "there is no Python with pip here",
];

#[test]
fn only_silence_of_every_source_is_a_reason_to_skip() {
    let says = |text: &str| unreachable(&Error::Fetch(text.to_owned()));
    let (url, pip) =
        ("\n  - https://a.org/b: no such host (no network?)", "\n  - PyPI c 1: `pip` failed: (from versions: none)");
    assert!(says(&format!("none:{url}{pip}\nIf you have the file elsewhere, put it at d")));
    for wrong in
        ["the cache (sha256 is other)", "https://a.org/b: other bytes", "https://a.org/b: the server answered 500"]
    {
        assert!(!says(&format!("none:{url}{pip}\n  - {wrong}")), "{wrong}");
    }
    assert!(!says("no such host (no network?)"), "no list of sources");
    assert!(!unreachable(&Error::Data("no such host (no network?)".to_owned())));
}

#[test]
fn what_is_left_out_is_noted_with_the_tests_name() {
    let folder = tempfile::tempdir().unwrap_or_else(|why| panic!("{why}"));
    let file = folder.path().join("skipped");
    let me = std::thread::current();
    note(&file, &skip_line(me.name(), "no weights:\n  - a.org"));
    note(&file, &skip_line(Some("other"), "no photos"));
    let text = std::fs::read_to_string(&file).unwrap_or_else(|why| panic!("{why}"));
    let name = me.name().unwrap_or_default();
    assert!(name.ends_with("what_is_left_out_is_noted_with_the_tests_name"), "{name}");
    assert_eq!(text, format!("skipped: {name}: no weights:   - a.org\nskipped: other: no photos\n"));
}
