//! `candlewick doctor`: is everything there that candlewick needs?

use super::{End, Surroundings};
use crate::doctor;

/// Check what candlewick needs on this machine, and say how to get what is missing
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print the findings as one line of JSON on standard output
    #[arg(long)]
    pub json: bool,
}

pub fn execute(args: &Args, around: &mut Surroundings<'_>) -> End {
    let findings = doctor::examine(&mut |finding| {
        for line in doctor::lines(finding) {
            around.terminal.line(&line);
        }
    });
    if args.json {
        around.print(&doctor::json(&findings));
    }
    if doctor::is_well(&findings) { End::AllRan } else { End::CellFailed }
}
