//! The command line.

use candlewick_kernel::cli::{Args, Surroundings};
use candlewick_kernel::terminal::Terminal;
use candlewick_kernel::{session, settle, summary, tools};
use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    // First of all: this very binary is started again as cargo and rustc, and by evcxr as the process that runs cells.
    if let Some(code) = tools::stand_in().or_else(tools::record) {
        return code;
    }
    evcxr::runtime_hook();
    if let Some(code) = session::analyst::serve() {
        return code;
    }
    let args = Args::parse();
    let (mut terminal, mut out) = (Terminal::stderr(), std::io::stdout());
    let mut around = Surroundings { open: &mut session::open_session, terminal: &mut terminal, out: &mut out };
    let end =
        settle::settle().and_then(|restarted| restarted.map_or_else(|| args.execute(&mut around).map(Into::into), Ok));
    match end {
        Ok(code) => code,
        Err(error) => {
            around.terminal.line(&format!("error: {error:#}"));
            if args.json() {
                around.print(&summary::set_up_error(&error));
            }
            ExitCode::from(2)
        }
    }
}
