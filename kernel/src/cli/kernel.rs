//! `candlewick kernel` and `candlewick stock`: what Jupyter starts. People do not.

use super::End;
use crate::settle;
use std::path::{Path, PathBuf};

/// Be a Jupyter kernel, as a kernelspec asks
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The file that says where to listen
    #[arg(long, value_name = "FILE")]
    connection_file: PathBuf,
}

pub fn execute(args: &Args) -> anyhow::Result<End> {
    serve_file(&args.connection_file)?;
    Ok(End::AllRan)
}

pub fn stock(args: &Args) -> anyhow::Result<End> {
    settle::start_stock(&args.connection_file).map(End::Exited)
}

/// Stands for the server of the protocol until that is there.
fn serve_file(_: &Path) -> anyhow::Result<()> {
    anyhow::bail!("the kernel is not built yet")
}
