//! `candlewick kernel` and `candlewick stock`: what Jupyter starts. People do not.

use super::End;
use crate::kernelspec::Folders;
use crate::protocol::{self, HelpLink, KernelInfo, LanguageInfo, read_connection_file};
use crate::session::{Options, open_session};
use crate::{build::Toolchain, stock};
use std::path::PathBuf;

/// Be a Jupyter kernel, as a kernelspec asks
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The file that says where to listen
    #[arg(long, value_name = "FILE")]
    connection_file: PathBuf,
}

pub fn execute(args: &Args) -> anyhow::Result<End> {
    let connection = read_connection_file(&args.connection_file)?;
    // Beside what Jupyter itself keeps of a user's notebooks.
    let kept = std::env::var_os(protocol::HISTORY).is_none_or(|history| history != "off");
    let history = Folders::here().user().ok().filter(|_| kept).map(|folder| folder.join("candlewick_history.jsonl"));
    protocol::serve(&connection, kernel_info(), history, |progress| open_session(Options::default(), progress))?;
    Ok(End::AllRan)
}

pub fn stock(args: &Args) -> anyhow::Result<End> {
    stock::start(&args.connection_file).map(End::Exited)
}

fn kernel_info() -> KernelInfo {
    let version = env!("CARGO_PKG_VERSION").to_owned();
    // Without a toolchain no cell runs, and the first one says so.
    let rust = Toolchain::find().ok().and_then(|found| found.version.split(' ').nth(1).map(str::to_owned));
    let link = |text: &str, url: &str| HelpLink { text: text.to_owned(), url: url.to_owned() };
    KernelInfo {
        implementation: "candlewick".to_owned(),
        banner: format!("candlewick {version}: transfer learning in Rust"),
        version,
        language: LanguageInfo {
            name: "rust".to_owned(),
            version: rust.unwrap_or_default(),
            mimetype: "text/x-rust".to_owned(),
            file_extension: ".rs".to_owned(),
            pygments_lexer: "rust".to_owned(),
            codemirror_mode: "rust".to_owned(),
        },
        help_links: vec![
            link("Rust", "https://doc.rust-lang.org/book/"),
            link("candle", "https://docs.rs/candle-core/"),
            link("evcxr", "https://github.com/evcxr/evcxr"),
        ],
    }
}
