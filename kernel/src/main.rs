//! The command line.

use candlewick_kernel::cli::{Args, print_line};
use candlewick_kernel::{session, summary};
use clap::Parser;
use std::io::Write;
use std::process::ExitCode;

fn main() -> ExitCode {
    // First of all: evcxr starts this very binary again, as the process that runs cells.
    evcxr::runtime_hook();
    let args = Args::parse();
    match args.execute(&mut session::open_session) {
        Ok(end) => end.into(),
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: {error:#}");
            if args.json() {
                print_line(&summary::set_up_error(&error));
            }
            ExitCode::from(2)
        }
    }
}
