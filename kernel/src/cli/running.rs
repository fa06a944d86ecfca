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
    /// Compute on the CPU, or on a GPU; as it comes, on the first GPU where there is one that can be used
    #[arg(long, value_name = "cpu|cuda[:N]", value_parser = device)]
    device: Option<String>,
}

/// As `candlewick::device` reads it.
fn device(text: &str) -> Result<String, String> {
    let is_number =
        |number: &str| number.len() <= 9 && !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
    match text.strip_prefix("cuda:") {
        None if text == "cpu" || text == "cuda" => Ok(text.to_owned()),
        Some(number) if is_number(number) => Ok(text.to_owned()),
        _ => Err("it must be `cpu`, `cuda` or `cuda:N`, N being the number of a GPU from 0".to_owned()),
    }
}

impl Running {
    /// Opens the session that is asked for.
    pub fn open(
        &self,
        open: Open<'_>,
        options: Options,
        progress: &mut dyn FnMut(Output),
    ) -> anyhow::Result<Box<dyn Session>> {
        let mut options = Options { kernel: self.kernel.clone(), ..options };
        options.environment.extend(self.device.iter().map(|device| ("CANDLEWICK_DEVICE".to_owned(), device.clone())));
        Ok(Timed::limit(open(options, progress)?, self.timeout.map(Duration::from_secs)))
    }
}
