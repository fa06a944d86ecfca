//! What a new dependency does to the crates that all cells share, known from `Cargo.lock` before anything is compiled.

use super::{REAL_CARGO, UNFIT, real_tool};
use anyhow::Result;
use std::collections::BTreeSet;
use std::fs;
use std::process::Stdio;

/// What all cells of a session share. Compiled once more, tensors of before and after would not know each other.
const SHARED: [&str; 3] = ["candlewick", "candle-core", "candle-nn"];

/// Whether the crate of that name, as the compiler knows it, is one that all cells share.
pub fn is_shared(crate_name: &str) -> bool {
    SHARED.iter().any(|package| package.replace('-', "_") == crate_name)
}

/// Has cargo choose the releases for the manifest in the current folder. Where another release of a crate that all cells share
/// is among them, that is noted there, the lock is as it was, and the answer is true.
///
/// # Errors
/// Where cargo is not there, or the folder cannot be written.
pub fn is_unfit() -> Result<bool> {
    let Ok(before) = fs::read_to_string("Cargo.lock") else { return Ok(false) };
    let mut cargo = real_tool(REAL_CARGO, &["update".into(), "--workspace".into(), "--quiet".into()])?;
    // The build that follows tries for longer.
    cargo.env("CARGO_NET_RETRY", "0");
    let chosen = cargo.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status()?;
    // Where it cannot choose, the build that follows says why.
    let other = match chosen.success() {
        true => another(&before, &fs::read_to_string("Cargo.lock")?),
        false => None,
    };
    let Some(other) = other else { return Ok(false) };
    fs::write("Cargo.lock", before)?;
    fs::write(UNFIT, other)?;
    Ok(true)
}

/// A shared package in a release that was not there before.
fn another(before: &str, after: &str) -> Option<String> {
    let before = shared(before);
    shared(after).into_iter().find(|package| !before.contains(package))
}

/// The shared packages of a lock, by name and release.
fn shared(lock: &str) -> BTreeSet<String> {
    let value = |package: &str, key: &str| {
        let line = package.lines().find_map(|line| line.strip_prefix(key)?.trim_start().strip_prefix('='))?;
        Some(line.trim().trim_matches('"').to_owned())
    };
    let packages = lock.split("[[package]]").filter_map(|package| {
        let name = value(package, "name")?;
        SHARED.contains(&name.as_str()).then_some(format!("{name} {}", value(package, "version")?))
    });
    packages.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: &str = "version = 4\n\n[[package]]\nname = \"candle-core\"\nversion = \"0.11.1\"\ndependencies = [\n \"rand \
                        0.9.0\",\n]\n\n[[package]]\nname = \"rand\"\nversion = \"0.9.0\"\n";

    #[test]
    fn a_second_candle_is_found_in_the_lock_and_other_crates_are_not() {
        let with =
            |name: &str, version: &str| format!("{OURS}\n[[package]]\nname = \"{name}\"\nversion = \"{version}\"\n");
        assert_eq!(another(OURS, OURS), None);
        assert_eq!(another(OURS, &with("rand", "0.8.5")), None);
        assert_eq!(another(OURS, &with("candle-core", "0.10.2")).as_deref(), Some("candle-core 0.10.2"));
        // Moved instead of doubled: compiled anew all the same.
        assert_eq!(another(OURS, &OURS.replace("0.11.1", "0.11.2")).as_deref(), Some("candle-core 0.11.2"));
        assert!(is_shared("candle_core") && !is_shared("candle-core") && !is_shared("rand"));
    }
}
