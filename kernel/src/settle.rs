//! The environment that this program needs from its first moment.

use crate::build::cache_folder;
use anyhow::{Context, Result};
use std::process::{Command, ExitCode};

/// Set once the environment is right.
const SETTLED: &str = "CANDLEWICK_SETTLED";

/// Starts the program again with the environment it needs, once; none where it runs in it already.
///
/// evcxr's rust-analyzer looks for the sources of the standard library, and asks rustup to download them where they are
/// missing: with no network, that is the end; with them, a start takes seconds longer. Types come from the compiler
/// here, so an empty standard library will do, and `RUST_SRC_PATH` names one. A process may not change its own
/// environment safely once it has threads, so it is started anew.
///
/// # Errors
/// Where the cache folder cannot be written, or the program not be started.
pub fn settle() -> Result<Option<ExitCode>> {
    if std::env::var_os(SETTLED).is_some() {
        return Ok(None);
    }
    let library = cache_folder()?.join("empty-rust-src");
    let source = library.join("core").join("src");
    std::fs::create_dir_all(&source).with_context(|| format!("cannot create {}", source.display()))?;
    let file = source.join("lib.rs");
    if !file.is_file() {
        std::fs::write(&file, "#![no_core]\n").with_context(|| format!("cannot write {}", file.display()))?;
    }
    let mut command = Command::new(std::env::current_exe().context("cannot find this program's own file")?);
    command.args(std::env::args_os().skip(1)).env(SETTLED, "1").env("RUST_SRC_PATH", library);
    run(command).map(Some)
}

#[cfg(unix)]
fn run(mut command: Command) -> Result<ExitCode> {
    use std::os::unix::process::CommandExt;
    // Takes this process's place; returns only where it cannot.
    Err(command.exec()).context("cannot start this program again")
}

#[cfg(not(unix))]
fn run(mut command: Command) -> Result<ExitCode> {
    let status = command.status().context("cannot start this program again")?;
    Ok(ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1)))
}
