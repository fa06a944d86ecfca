//! The ready-made cell environment: what cells are compiled against, built once and then only linked.
//!
//! A *template* is a finished evcxr folder: the manifest of the crate that cells become, its lock file, and a target
//! folder with every dependency compiled. Each session works in a folder of its own whose big files are hard links into
//! the template, so that it starts at once, costs no disk and disturbs nobody.

mod cuda;
mod folder;
mod key;
mod manifest;
mod template;

pub use cuda::{Card, Found as CudaFound};
pub use folder::{SessionFolder, count_sessions};
pub use manifest::EVCXR_CONFIG;
pub use template::{BuildStep, Template};

use crate::tools::{REAL_CARGO, REAL_RUSTC};
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The manifest of a cell, as evcxr writes it before any `:dep`.
#[cfg(test)]
pub(crate) fn cell_manifest(helper: &Path) -> String {
    manifest::manifest(helper, &[])
}

/// The compiler that cells are built with, and what it says of itself.
#[derive(Clone, Debug)]
pub struct Toolchain {
    /// The compiler proper, not rustup's proxy, which costs 30 ms a call.
    pub rustc: PathBuf,
    /// Cargo proper.
    pub cargo: PathBuf,
    /// `rustc -vV`, whole.
    pub version: String,
    /// The host's target triple.
    pub host: String,
    /// Where the shared standard library lies.
    pub library_folder: PathBuf,
}

impl Toolchain {
    /// Finds the toolchain as evcxr does: by rustup, else on the path.
    ///
    /// # Errors
    /// Where there is none, or it does not answer.
    pub fn find() -> Result<Self> {
        let real = |variable, name| std::env::var_os(variable).map_or_else(|| find_tool(name), PathBuf::from);
        let rustc = real(REAL_RUSTC, "rustc");
        let version = answer(Command::new(&rustc).arg("-vV"))
            .context("no Rust compiler was found: install Rust from https://rustup.rs, then open a new terminal")?;
        let host = version.lines().find_map(|line| line.strip_prefix("host: ")).context("rustc -vV names no host")?;
        let library_folder = answer(Command::new(&rustc).args(["--print", "target-libdir"]))?;
        Ok(Self {
            cargo: real(REAL_CARGO, "cargo"),
            host: host.to_owned(),
            library_folder: PathBuf::from(library_folder.trim()),
            rustc,
            version,
        })
    }
}

/// Where a tool of the toolchain in use really is: rustup knows, else the path will.
pub fn find_tool(name: &str) -> PathBuf {
    answer(Command::new("rustup").args(["which", name]))
        .map_or_else(|_| PathBuf::from(name), |path| PathBuf::from(path.trim()))
}

fn answer(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("cannot run {command:?}"))?;
    if !output.status.success() {
        bail!("{command:?} failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// The folder in which candlewick keeps what can be made again: `$CANDLEWICK_CACHE`, else the user's cache folder.
///
/// # Errors
/// Where the system names no home.
pub fn cache_folder() -> Result<PathBuf> {
    if let Some(folder) = std::env::var_os("CANDLEWICK_CACHE").filter(|folder| !folder.is_empty()) {
        return std::path::absolute(folder).context("CANDLEWICK_CACHE");
    }
    let folders = directories::ProjectDirs::from("", "", "candlewick");
    let folders = folders.context("the system names no home folder: set CANDLEWICK_CACHE to a folder for caches")?;
    Ok(folders.cache_dir().to_path_buf())
}

/// The sources of the helper crate that cells import: `$CANDLEWICK_CRATE`, else those this program was built beside.
///
/// # Errors
/// Where they are not there any more.
pub fn helper_crate() -> Result<PathBuf> {
    let folder = match std::env::var_os("CANDLEWICK_CRATE") {
        Some(folder) => std::path::absolute(folder).context("CANDLEWICK_CRATE")?,
        None => Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("crate"),
    };
    if !folder.join("Cargo.toml").is_file() {
        bail!(
            "the helper crate is not at {}: this program was built in a clone that has moved since. \
             Build it again there (`cargo build --release`), or set CANDLEWICK_CRATE to the clone's `crate` folder",
            folder.display()
        );
    }
    Ok(folder)
}
