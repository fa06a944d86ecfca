//! The environment that this program needs from its first moment, and its part as a stand-in for cargo and rustc.

use crate::build::find_tool;
use anyhow::{Context, Result};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// Where cargo really is; set once the environment is right.
pub const REAL_CARGO: &str = "CANDLEWICK_REAL_CARGO";
/// Where rustc really is.
pub const REAL_RUSTC: &str = "CANDLEWICK_REAL_RUSTC";

/// Starts the program again with the environment it needs, once; none where it runs in it already.
///
/// At every start evcxr's rust-analyzer asks cargo for all packages and reads all of their sources, asks rustup to
/// download the standard library's where they are missing, and reads those: seconds, and nothing here needs it, since
/// types come from the compiler. It finds cargo and rustc by the variables `CARGO` and `RUSTC`, and evcxr itself does
/// not; so they name this program, which answers for them ([`stand_in`]). A process may not change its own environment
/// safely once it has threads, so it is started anew.
///
/// # Errors
/// Where the program cannot be started.
pub fn settle() -> Result<Option<ExitCode>> {
    if std::env::var_os(REAL_CARGO).is_some() {
        return Ok(None);
    }
    let program = std::env::current_exe().context("cannot find this program's own file")?;
    let (cargo, rustc) = (find_tool("cargo"), find_tool("rustc"));
    let mut command = Command::new(&program);
    // evcxr asks rustup again, in its own folder, where no `rust-toolchain.toml` of the user's speaks.
    if let Some(toolchain) = rustc.parent().and_then(Path::parent).filter(|_| rustc.is_absolute()) {
        command.env("RUSTUP_TOOLCHAIN", toolchain);
    }
    // `cargo run` describes its package in the environment, and build scripts that watch it would run again each time.
    let of_package = |name: &OsString| {
        let name = name.to_string_lossy();
        [
            "CARGO_PKG_",
            "CARGO_MANIFEST_",
            "CARGO_BIN_",
            "CARGO_CRATE_",
            "CARGO_PRIMARY_",
            "CARGO_TARGET_TMPDIR",
            "OUT_DIR",
        ]
        .iter()
        .any(|start| name.starts_with(start))
    };
    for (name, _) in std::env::vars_os().filter(|(name, _)| of_package(name)) {
        command.env_remove(name);
    }
    command
        .args(std::env::args_os().skip(1))
        .env(REAL_CARGO, cargo)
        .env(REAL_RUSTC, rustc)
        .env("CARGO", &program)
        .env("RUSTC", &program);
    run(&mut command).map(Some)
}

/// Answers in place of cargo and rustc where rust-analyzer has called this program as one of them; none where it has not.
///
/// A list of all packages, and the place of the standard library, are refused: rust-analyzer goes on without. All else
/// goes to the real one.
pub fn stand_in() -> Option<ExitCode> {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let has = |word: &str| arguments.iter().any(|argument| argument == word);
    let first = arguments.first()?.to_str()?;
    let real = match first {
        "metadata" if !has("--no-deps") => return Some(refuse("all packages are not wanted here")),
        "--print" if has("sysroot") => return Some(refuse("the standard library's sources are not wanted here")),
        "metadata" | "locate-project" | "config" | "rustc" => REAL_CARGO,
        "-Z" if has("config") => REAL_CARGO,
        "-vV" | "--print" | "-Z" | "-O" => REAL_RUSTC,
        // Both have it, and so have we: only rust-analyzer asks for it with the directory of a session.
        "--version" if is_session() => REAL_CARGO,
        _ => return None,
    };
    let real = PathBuf::from(std::env::var_os(real)?);
    let mut command = Command::new(real);
    command.args(arguments).env_remove("CARGO").env_remove("RUSTC");
    Some(run(&mut command).unwrap_or_else(|error| refuse(&format!("{error:#}"))))
}

/// The argument by which the stock kernel is called: its own.
const STOCK: &str = "--control_file";

/// Starts the program again as the stock evcxr kernel, which reads its arguments itself, in the environment that it would
/// have without us.
///
/// # Errors
/// Where the program cannot be started.
pub fn start_stock(connection_file: &Path) -> Result<ExitCode> {
    let program = std::env::current_exe().context("cannot find this program's own file")?;
    let mut command = Command::new(&program);
    if std::env::var_os(REAL_CARGO).is_some() {
        for name in [REAL_CARGO, REAL_RUSTC, "CARGO", "RUSTC", "RUSTUP_TOOLCHAIN"] {
            command.env_remove(name);
        }
    }
    // It would write this program into the user's own evcxr kernelspec, of another version, if it found that. It looks in
    // this folder only, which cannot be there: its parent is a file.
    command.env("JUPYTER_PATH", program.join("none"));
    run(command.arg(STOCK).arg(connection_file))
}

/// Is the stock kernel, where this program was started as such; none where it was not.
pub fn stock() -> Option<ExitCode> {
    if std::env::args_os().nth(1)? != STOCK {
        return None;
    }
    Some(evcxr_jupyter::main().map_or_else(|error| refuse(&format!("{error:#}")), |()| ExitCode::SUCCESS))
}

/// Whether the current folder is one in which cells are built.
fn is_session() -> bool {
    std::env::current_dir().is_ok_and(|folder| folder.join(crate::build::EVCXR_CONFIG).is_file())
}

fn refuse(why: &str) -> ExitCode {
    eprintln!("candlewick: {why}");
    ExitCode::FAILURE
}

/// Runs another program in place of this one; gives how it ended, where it does not take this process's place.
///
/// # Errors
/// Where it cannot be started.
#[cfg(unix)]
pub fn run(command: &mut Command) -> Result<ExitCode> {
    use std::os::unix::process::CommandExt;
    // Takes this process's place; returns only where it cannot.
    Err(command.exec()).with_context(|| format!("cannot start {}", command.get_program().display()))
}

/// Runs another program in place of this one; gives how it ended.
///
/// # Errors
/// Where it cannot be started.
#[cfg(not(unix))]
pub fn run(command: &mut Command) -> Result<ExitCode> {
    let status = command.status().with_context(|| format!("cannot start {}", command.get_program().display()))?;
    Ok(ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1)))
}
