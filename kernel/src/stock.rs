//! This program as the stock evcxr kernel, to compare with.

use crate::tools::{become_command, with_the_users_environment};
use anyhow::{Context, Result};
use std::path::Path;
use std::process::{Command, ExitCode};

/// The argument by which the stock kernel is called: its own.
const STOCK: &str = "--control_file";

/// Starts the program again as the stock evcxr kernel, which reads its arguments itself, in the environment that it would
/// have without us.
///
/// # Errors
/// Where the program cannot be started.
pub fn start(connection_file: &Path) -> Result<ExitCode> {
    let program = std::env::current_exe().context("cannot find this program's own file")?;
    let mut command = Command::new(&program);
    with_the_users_environment(&mut command);
    // It would write this program into the user's own evcxr kernelspec, of another version, if it found that. It looks in
    // this folder only, which cannot be there: its parent is a file.
    command.env("JUPYTER_PATH", program.join("none"));
    command.arg(STOCK).arg(connection_file);
    become_command(&mut command)
}

/// Is the stock kernel, where this program was started as such; none where it was not.
pub fn serve() -> Option<ExitCode> {
    if std::env::args_os().nth(1)? != STOCK {
        return None;
    }
    Some(match evcxr_jupyter::main() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("candlewick: {error:#}");
            ExitCode::FAILURE
        }
    })
}
