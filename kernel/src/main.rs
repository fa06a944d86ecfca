//! The command line.

use candlewick_kernel::cli::{Args, Surroundings};
use candlewick_kernel::terminal::Terminal;
use candlewick_kernel::{client, session, settle, stock, summary, tools};
use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    // First of all: this very binary is started again as cargo and rustc, and by evcxr as the process that runs cells.
    if let Some(code) = tools::stand_in().or_else(tools::wanted).or_else(tools::record) {
        return code;
    }
    if std::env::var_os("EVCXR_IS_RUNTIME").is_some() {
        tools::end_as_a_group();
    }
    evcxr::runtime_hook();
    if let Some(code) = session::analyst::serve() {
        return code;
    }
    if let Some(code) = stock::serve() {
        return code;
    }
    let args = Args::parse();
    let (mut terminal, mut out) = (Terminal::stderr(), std::io::stdout());
    let mut around = Surroundings { open: &client::open_any, terminal: &mut terminal, out: &mut out };
    // Another kernel gets the environment as it is.
    let restarted = if args.runs_cells() { settle::settle() } else { Ok(None) };
    let end = restarted.and_then(|restarted| restarted.map_or_else(|| args.execute(&mut around).map(Into::into), Ok));
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
