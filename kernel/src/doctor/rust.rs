//! The Rust side: what cells are compiled with.

use super::{Finding, answer};
use crate::build::{self, Template};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The oldest Rust that will do.
const OLDEST: &str = env!("CARGO_PKG_RUST_VERSION");

const GET_RUST: &str = "install Rust from https://rustup.rs, then open a new terminal";

pub fn compiler() -> Finding {
    tool("Rust compiler", "rustc")
}

pub fn cargo() -> Finding {
    tool("Cargo", "cargo")
}

fn tool(about: &'static str, name: &str) -> Finding {
    let path = build::find_tool(name);
    match answer(&path, &["--version"]) {
        None => Finding::bad(about, format!("there is no {name}"), GET_RUST),
        Some(version) if is_old(&version) => {
            Finding::bad(about, format!("{version} is too old: {OLDEST} is needed"), "rustup update stable")
        }
        Some(version) => Finding::good(about, format!("{version}, {}", path.display())),
    }
}

/// Whether `rustc 1.94.0 (…)` is older than what is needed; what cannot be read is taken to be new.
fn is_old(version: &str) -> bool {
    let numbers = |text: &str| -> Vec<u32> { text.split(['.', '-']).map_while(|part| part.parse().ok()).collect() };
    let found = version.split_whitespace().nth(1).map(numbers).unwrap_or_default();
    !found.is_empty() && found < numbers(OLDEST)
}

/// Links a program: only that tells that a linker works.
pub fn linker() -> Finding {
    let about = "Linker";
    let cure = "install a C compiler: gcc or clang (Debian: apt install build-essential; macOS: xcode-select --install; \
                Windows: the Build Tools of Visual Studio)";
    match link() {
        Ok(None) => Finding::good(about, "a small program links"),
        Ok(Some(said)) => Finding::bad(about, format!("a small program does not link: {said}"), cure),
        Err(why) => Finding::bad(about, format!("it could not be tried: {why}"), GET_RUST),
    }
}

/// What rustc complains of, if it does.
fn link() -> std::io::Result<Option<String>> {
    let folder = tempfile::tempdir()?;
    let mut rustc = Command::new(build::find_tool("rustc"))
        .args(["--crate-name", "tiny", "-", "-o"])
        .arg(folder.path().join("tiny"))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    if let Some(mut stdin) = rustc.stdin.take() {
        stdin.write_all(b"fn main() {}")?;
    }
    let output = rustc.wait_with_output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    let first = said.lines().find(|line| line.starts_with("error")).unwrap_or("rustc failed").to_owned();
    Ok((!output.status.success()).then_some(first))
}

pub fn helper_crate() -> Finding {
    match build::helper_crate() {
        Ok(folder) => Finding::good("Helper crate", folder.display().to_string()),
        Err(why) => Finding::bad("Helper crate", why.to_string(), "set CANDLEWICK_CRATE to the clone's `crate` folder"),
    }
}

/// What cells import; where it is still to be compiled, the network matters too.
pub fn template() -> Finding {
    let about = "Crates for cells";
    match Template::is_built() {
        Ok(true) => Finding::good(about, "compiled for this compiler (the network, not needed then, was not tried)"),
        Ok(false) if reaches_registry() => Finding::poor(
            about,
            "not compiled yet for this compiler; crates.io can be reached",
            "the first run does it, in some minutes",
        ),
        Ok(false) => Finding::poor(
            about,
            "not compiled yet for this compiler, and crates.io cannot be reached",
            "the first run needs the network, unless cargo has the crates already: check the connection, or HTTPS_PROXY",
        ),
        Err(why) => Finding::bad(about, format!("they cannot be compiled: {why}"), GET_RUST),
    }
}

/// Completion reads the standard library's sources, as an editor does; nothing else needs them.
pub fn library_sources() -> Finding {
    let about = "Completion";
    let sysroot = answer(build::find_tool("rustc"), &["--print", "sysroot"]).unwrap_or_default();
    if Path::new(&sysroot).join("lib/rustlib/src/rust/library/std").is_dir() {
        return Finding::good(about, "of the standard library's names, too: its sources are there");
    }
    Finding::poor(
        about,
        "of candlewick's and the notebook's names; the standard library's sources are not there",
        "rustup component add rust-src",
    )
}

/// Asks cargo, which knows of proxies and mirrors.
fn reaches_registry() -> bool {
    let Ok(folder) = tempfile::tempdir() else { return false };
    let cargo: PathBuf = build::find_tool("cargo");
    let mut command = Command::new(cargo);
    command.args(["info", "--quiet", "candle-core"]).current_dir(folder.path());
    command.env("CARGO_NET_RETRY", "0").env("CARGO_HTTP_TIMEOUT", "10");
    let command = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_their_numbers() {
        let (major, minor) = OLDEST.split_once('.').unwrap();
        let minor: u32 = minor.parse().unwrap();
        let cases = [
            (format!("rustc {major}.{minor}.0 (abc 2026-01-01)"), false),
            (format!("rustc {major}.{}.0", minor + 10), false),
            (format!("cargo {major}.{}.9-nightly (abc)", minor - 1), true),
            (format!("rustc {major}.9.0"), true),
            ("rustc".to_owned(), false),
            ("something else".to_owned(), false),
        ];
        for (version, old) in cases {
            assert_eq!(is_old(&version), old, "{version}");
        }
    }
}
