//! The environment that this program needs from its first moment.

use crate::build::{cache_folder, find_tool};
use crate::tools::{self, REAL_CARGO, REAL_PATH, REAL_RUSTC, REAL_TOOLCHAIN};
use anyhow::{Context, Result};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// Starts the program again with the environment it needs, once; none where it runs in it already.
///
/// evcxr and its rust-analyzer find cargo, rustc and rustup by `PATH` and by the variables `CARGO` and `RUSTC`; there they
/// find this program, which answers for them ([`tools`]). A process may not change its own environment safely once it has
/// threads, so it is started anew.
///
/// # Errors
/// Where the program cannot be started, or the cache cannot be written.
pub fn settle() -> Result<Option<ExitCode>> {
    if std::env::var_os(REAL_CARGO).is_some() {
        return Ok(None);
    }
    let program = std::env::current_exe().context("cannot find this program's own file")?;
    let (cargo, rustc) = (find_tool("cargo"), find_tool("rustc"));
    let mut command = Command::new(&program);
    if let Some(toolchain) = std::env::var_os("RUSTUP_TOOLCHAIN") {
        command.env(REAL_TOOLCHAIN, toolchain);
    }
    // evcxr asks rustup again, in its own folder, where no `rust-toolchain.toml` of the user's speaks.
    if let Some(toolchain) = rustc.parent().and_then(Path::parent).filter(|_| rustc.is_absolute()) {
        command.env("RUSTUP_TOOLCHAIN", toolchain);
    }
    for (name, _) in std::env::vars_os().filter(|(name, _)| is_of_package(name)) {
        command.env_remove(name);
    }
    // While a session opens, the current folder of this process is another one; cells run in a third.
    for name in ["CANDLEWICK_CACHE", "CANDLEWICK_CRATE", "CANDLEWICK_DATA"] {
        let is_path = |value: &OsString| !value.is_empty() && value != "sketches";
        if let Some(folder) = std::env::var_os(name).filter(is_path) {
            command.env(name, std::path::absolute(folder).context(name)?);
        }
    }
    command.args(std::env::args_os().skip(1)).env(REAL_CARGO, cargo).env(REAL_RUSTC, rustc);
    let path = std::env::var_os("PATH").unwrap_or_default();
    if cfg!(unix) {
        let folder = tools::links(&cache_folder()?, &program)?;
        let folders: Vec<PathBuf> = [folder.clone()].into_iter().chain(std::env::split_paths(&path)).collect();
        command.env("PATH", std::env::join_paths(folders).context("the cache folder's name has a colon in it")?);
        command.env("CARGO", folder.join("cargo")).env("RUSTC", folder.join("rustc"));
    }
    command.env(REAL_PATH, path);
    tools::become_command(&mut command).map(Some)
}

/// `cargo run` describes its package in the environment, and build scripts that watch it would run again each time.
fn is_of_package(name: &OsString) -> bool {
    const STARTS: [&str; 7] = [
        "CARGO_PKG_",
        "CARGO_MANIFEST_",
        "CARGO_BIN_",
        "CARGO_CRATE_",
        "CARGO_PRIMARY_",
        "CARGO_TARGET_TMPDIR",
        "OUT_DIR",
    ];
    let name = name.to_string_lossy();
    STARTS.iter().any(|start| name.starts_with(start))
}
