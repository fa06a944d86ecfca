//! evcxr's question whether a dependency exists, asked where it changes nothing.
//!
//! Before `:dep` adds a crate, evcxr writes a manifest with that crate alone over the session's and has cargo look at it. Cargo
//! then writes a `Cargo.lock` that knows only that crate, and the build that follows takes the newest release of all others:
//! as soon as one of them has a newer one, everything is compiled anew, and cells of another candle no longer load.

use super::{REAL_CARGO, become_command, real_tool};
use anyhow::{Context, Result};
use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::ExitCode;

/// How evcxr names the package whose manifest it writes for this.
const PACKAGE: &str = "evcxr_dummy_validate_dep";
/// The folder in which cargo looks at it instead.
const FOLDER: &str = "validation";

/// Whether the manifest in the current folder is the one for that question.
pub fn is_asked() -> bool {
    fs::read_to_string("Cargo.toml").is_ok_and(|manifest| manifest.contains(PACKAGE))
}

/// Answers as cargo does, by what is locked already where the crate is among that.
///
/// # Errors
/// Where the session's folder cannot be written, or cargo is not there.
pub fn answer(arguments: &[OsString]) -> Result<ExitCode> {
    let folder = Path::new(FOLDER);
    fs::create_dir_all(folder).with_context(|| format!("cannot create {FOLDER} in the session's folder"))?;
    for file in ["Cargo.toml", "Cargo.lock"] {
        fs::copy(file, folder.join(file)).with_context(|| format!("cannot copy {file} to {FOLDER}"))?;
    }
    become_command(real_tool(REAL_CARGO, arguments)?.arg("--manifest-path").arg(folder.join("Cargo.toml")))
}
