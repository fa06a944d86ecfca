//! Where cells run, and how long they may: what `lesson`, `run` and `check` share.

use super::Open;
use crate::session::{Options, Output, Session};
use crate::timed::Timed;
use std::time::Duration;

#[derive(Clone, Debug, Default, clap::Args)]
pub struct Running {
    /// Run the cells on this installed Jupyter kernel, not in this program itself
    #[arg(long, value_name = "NAME")]
    pub kernel: Option<String>,
    /// Interrupt a cell that takes longer, and stop there
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    timeout: Option<u64>,
}

impl Running {
    /// Opens the session that is asked for.
    pub fn open(
        &self,
        open: Open<'_>,
        options: Options,
        progress: &mut dyn FnMut(Output),
    ) -> anyhow::Result<Box<dyn Session>> {
        let options = Options { kernel: self.kernel.clone(), ..options };
        Ok(Timed::limit(open(options, progress)?, self.timeout.map(Duration::from_secs)))
    }
}
