//! This program as a stand-in for cargo, rustc and rustup, as evcxr and its rust-analyzer call them.
//!
//! At every start rust-analyzer asks cargo for all packages and reads all of their sources, asks rustup to download the
//! standard library's where they are missing, and reads those: seconds, and nothing here needs it, since types come from
//! the compiler. And for every cell evcxr calls cargo, which takes as long as compiling the cell does, and finds each time
//! that there is one crate to compile, by a [command](rustc) that is known.

mod locked;
mod rustc;
mod validation;

pub use rustc::{RECORD, RECORDED, Recorded, record};

use crate::build::EVCXR_CONFIG;
use anyhow::{Context, Result};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// Where cargo really is; set once the environment is right.
pub const REAL_CARGO: &str = "CANDLEWICK_REAL_CARGO";
/// Where rustc really is.
pub const REAL_RUSTC: &str = "CANDLEWICK_REAL_RUSTC";
/// The path as the user has it.
pub const REAL_PATH: &str = "CANDLEWICK_REAL_PATH";

/// The toolchain that the user has asked rustup for, if any.
pub const REAL_TOOLCHAIN: &str = "CANDLEWICK_REAL_TOOLCHAIN";

/// Where this file is in a session's folder, nothing is compiled: the cell is not wanted any more.
pub const REFUSED: &str = "refused";

/// The file of a session's folder that names a package that would have been compiled once more for a new dependency.
pub const UNFIT: &str = "unfit";

/// The file of a session's folder that names the process which compiles, or did last.
pub const COMPILING: &str = "compiling.pid";

/// Where this names a program of the toolchain, this one becomes it, and ends with the one who asks.
pub const BECOME: &str = "CANDLEWICK_BECOME";

/// A folder in which `cargo`, `rustc` and `rustup` are this program.
///
/// # Errors
/// Where the cache cannot be written.
#[cfg(unix)]
pub fn links(cache: &Path, program: &Path) -> Result<PathBuf> {
    use sha2::{Digest, Sha256};
    use std::os::unix::{ffi::OsStrExt, fs::symlink};
    // A folder for each program: two clones must not answer for each other.
    let digest = Sha256::digest(program.as_os_str().as_bytes());
    let name: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let folder = cache.join("tools").join(name);
    if !["cargo", "rustc", "rustup"]
        .iter()
        .all(|tool| std::fs::read_link(folder.join(tool)).is_ok_and(|to| to == program))
    {
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        for tool in ["cargo", "rustc", "rustup"] {
            // Beside and renamed: another start may be using it.
            let beside = folder.join(format!("{tool}.{}", std::process::id()));
            let made = symlink(program, &beside).and_then(|()| std::fs::rename(&beside, folder.join(tool)));
            made.with_context(|| format!("cannot write into {}", folder.display()))?;
        }
    }
    Ok(folder)
}

/// Other systems have no links that everybody may make; evcxr's own way is slower, and right.
#[cfg(not(unix))]
pub fn links(cache: &Path, _: &Path) -> Result<PathBuf> {
    Ok(cache.to_path_buf())
}

/// Does a tool's work where this program was called by its name; none where it was called by its own.
pub fn stand_in() -> Option<ExitCode> {
    let mut arguments = std::env::args_os();
    let name = PathBuf::from(arguments.next()?);
    let arguments: Vec<OsString> = arguments.collect();
    let has = |word: &str| arguments.iter().any(|argument| argument == word);
    let verb = arguments.first().and_then(|first| first.to_str()).unwrap_or_default();
    let ended = match name.file_stem()?.to_str()? {
        "cargo" if verb == "metadata" && !has("--no-deps") && !is_evcxr() && !is_analyst() => {
            return Some(refuse("all packages are not wanted here"));
        }
        "cargo" if verb == "metadata" && is_evcxr() && validation::is_asked() => validation::answer(&arguments),
        "cargo" if has("build") && has("--message-format=json") && is_session() => rustc::build(&arguments),
        "cargo" => real(REAL_CARGO, &arguments),
        "rustc" if has("--print") && has("sysroot") && !is_analyst() => {
            return Some(refuse("the library's sources are not wanted here"));
        }
        "rustc" => real(REAL_RUSTC, &arguments),
        "rustup" if verb == "which" => which(&name, arguments.get(1)?.to_str()?),
        "rustup" if verb == "component" => return Some(refuse("nothing is downloaded for rust-analyzer")),
        "rustup" => real_rustup(&arguments),
        _ => return None,
    };
    Some(ended.unwrap_or_else(|error| refuse(&format!("{error:#}"))))
}

/// Becomes the program that is wanted, and ends with the one who asks; none where nobody wants one.
pub fn wanted() -> Option<ExitCode> {
    let program = std::env::var_os(BECOME)?;
    end_with_parent();
    let mut command = Command::new(program);
    command.args(std::env::args_os().skip(1)).env_remove(BECOME);
    Some(become_command(&mut command).unwrap_or_else(|error| refuse(&format!("{error:#}"))))
}

/// Whether the current folder is one in which cells are built.
fn is_session() -> bool {
    std::env::current_dir().is_ok_and(|folder| folder.join(EVCXR_CONFIG).is_file())
}

/// Whether evcxr itself calls, and not its rust-analyzer.
fn is_evcxr() -> bool {
    std::env::var_os("EVCXR_CORE_EXTERN").is_some()
}

/// Whether the one who calls is asked about names, and must know all packages.
fn is_analyst() -> bool {
    std::env::var_os(crate::session::analyst::ANALYST).is_some()
}

fn refuse(why: &str) -> ExitCode {
    eprintln!("candlewick: {why}");
    ExitCode::FAILURE
}

/// evcxr asks where cargo and rustc are: cargo is this program, rustc is what it is.
fn which(own_name: &Path, tool: &str) -> Result<ExitCode> {
    let path = match tool {
        "cargo" => own_name.with_file_name("cargo"),
        "rustc" => PathBuf::from(std::env::var_os(REAL_RUSTC).context(REAL_RUSTC)?),
        other => return real_rustup(&["which".into(), other.into()]),
    };
    println!("{}", path.display());
    Ok(ExitCode::SUCCESS)
}

fn real(variable: &str, arguments: &[OsString]) -> Result<ExitCode> {
    become_command(&mut real_tool(variable, arguments)?)
}

fn real_tool(variable: &str, arguments: &[OsString]) -> Result<Command> {
    let mut command = Command::new(std::env::var_os(variable).with_context(|| format!("{variable} is not set"))?);
    command.args(arguments);
    with_the_users_environment(&mut command);
    if variable == REAL_CARGO {
        // rust-analyzer's is the stand-in; evcxr's is the real one.
        let rustc = std::env::var_os("RUSTC").filter(|path| Path::new(path).parent() != own_folder().as_deref());
        if let Some(rustc) = rustc {
            command.env("RUSTC", rustc);
        }
    }
    Ok(command)
}

fn own_folder() -> Option<PathBuf> {
    Some(PathBuf::from(std::env::args_os().next()?).parent()?.to_path_buf())
}

fn real_rustup(arguments: &[OsString]) -> Result<ExitCode> {
    let mut command = Command::new("rustup");
    with_the_users_environment(&mut command);
    // Found by the path that the command gets.
    become_command(command.args(arguments))
}

/// Takes back what [`settle`](crate::settle) has changed, for programs that are not ours.
pub fn with_the_users_environment(command: &mut Command) {
    if let Some(path) = std::env::var_os(REAL_PATH) {
        command.env("PATH", path);
    }
    for name in ["CARGO", "RUSTC", "RUSTUP_TOOLCHAIN", REAL_CARGO, REAL_RUSTC, REAL_PATH, REAL_TOOLCHAIN] {
        command.env_remove(name);
    }
    if let Some(toolchain) = std::env::var_os(REAL_TOOLCHAIN) {
        command.env("RUSTUP_TOOLCHAIN", toolchain);
    }
}

/// Takes this process's place; returns only where it cannot.
///
/// # Errors
/// Where the program cannot be started.
#[cfg(unix)]
pub fn become_command(command: &mut Command) -> Result<ExitCode> {
    use std::os::unix::process::CommandExt;
    Err(command.exec()).with_context(|| format!("cannot start {}", command.get_program().display()))
}

/// Runs the program, and ends as it does.
///
/// # Errors
/// Where the program cannot be started.
#[cfg(not(unix))]
pub fn become_command(command: &mut Command) -> Result<ExitCode> {
    let status = command.status().with_context(|| format!("cannot start {}", command.get_program().display()))?;
    Ok(ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1)))
}

/// From now on this process ends when the one that started it does, however that ends; a program that takes its place
/// does so too. Only Linux can; elsewhere a compiler under way goes on to its end.
pub fn end_with_parent() {
    #[cfg(target_os = "linux")]
    // Refused by some sandboxes: then a compiler goes on to its end.
    let _ = rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL));
}

/// From now on the cells' process ends when the kernel does, and whatever cells have started ends with the cells' process.
pub fn end_as_a_group() {
    end_with_parent();
    #[cfg(unix)]
    if rustix::process::getpgrp() == rustix::process::getpid() {
        // All others of the group are ours, then.
        watch_group();
        #[cfg(not(target_os = "linux"))]
        watch_parent();
    }
}

/// Has a shell end the group as soon as this process has ended, however that is: then it has nothing more to read.
#[cfg(unix)]
fn watch_group() {
    use std::process::Stdio;
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", "trap '' INT TERM HUP; read line; kill -KILL 0"]);
    shell.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    // Without it, a process that a cell has started may go on alone.
    if let Ok(mut watch) = shell.spawn() {
        std::mem::forget(watch.stdin.take());
    }
}

/// Ends the group when the one that started this process is gone, where the system does not.
#[cfg(all(unix, not(target_os = "linux")))]
fn watch_parent() {
    use rustix::process::{Signal, getppid, kill_current_process_group};
    let parent = getppid();
    std::thread::spawn(move || {
        while getppid() == parent {
            std::thread::sleep(std::time::Duration::from_secs(1));
        }
        let _ = kill_current_process_group(Signal::KILL);
    });
}
