//! The Jupyter kernel, version 5.4 of its protocol, over any [`Session`].
//!
//! From below: `zmtp` is the bytes on the wire, `wire` the signed messages, `sockets` who is connected; `server` has what
//! all requests need and obeys what comes on control; `shell` answers one request after another, `execute` those that run
//! a cell, with `cell_outputs`, `progress` and `stdin` for what a cell says, shows and asks, and `late` for what it says
//! afterwards. The session has a thread of its own (`session_thread`). <https://jupyter-client.readthedocs.io/en/stable/messaging.html>

mod cell_outputs;
mod connection_file;
mod cursor;
mod ending;
mod execute;
mod history;
mod history_file;
mod late;
mod log;
mod page;
mod progress;
mod server;
mod session_thread;
mod shell;
mod sockets;
mod stdin;
#[cfg(test)]
mod tests;
mod wire;
mod zmtp;

/// The environment variable that, where it is `off`, keeps a kernel's cells out of the file of its history.
pub const HISTORY: &str = "CANDLEWICK_HISTORY";

pub use connection_file::read_connection_file;
pub use jupyter_protocol::connection_info::ConnectionInfo;

use crate::session::{Output, Session};
use anyhow::{Context, Result};
use serde::Serialize;
use std::path::PathBuf;
use tokio::net::TcpListener;

/// What a kernel says of itself.
#[derive(Clone, Debug)]
pub struct KernelInfo {
    /// Its name.
    pub implementation: String,
    /// Its version.
    pub version: String,
    /// What a console shows first.
    pub banner: String,
    /// The language of its cells.
    pub language: LanguageInfo,
    /// What a front end's help menu offers.
    pub help_links: Vec<HelpLink>,
}

/// What front ends and converters must know of a language.
#[derive(Clone, Debug, Serialize)]
pub struct LanguageInfo {
    /// Its name, in lower case.
    pub name: String,
    /// Its version.
    pub version: String,
    /// As in `text/x-rust`.
    pub mimetype: String,
    /// With the dot.
    pub file_extension: String,
    /// Pygments' name of it, for nbconvert.
    pub pygments_lexer: String,
    /// CodeMirror's name of it, for notebooks.
    pub codemirror_mode: String,
}

/// A page that helps.
#[derive(Clone, Debug, Serialize)]
pub struct HelpLink {
    /// What it is called.
    pub text: String,
    /// Where it is.
    pub url: String,
}

/// Serves as a kernel on that connection until it is shut down; then a cell may still be running on another thread, and
/// the process had better end.
///
/// `open` is called at once, on the session's own thread. Until it is done all is answered that needs no session; what it
/// says is shown in the first cell that waits for it. Where it fails, each cell fails and says why. The cells are kept in the
/// file `history`, which kernels share, for the kernels after this one; none keeps them while this one runs.
///
/// # Errors
/// Where the connection cannot be served: the ports are taken, say.
pub fn serve(
    connection: &ConnectionInfo,
    kernel: KernelInfo,
    history: Option<PathBuf>,
    open: impl FnOnce(&mut dyn FnMut(Output)) -> Result<Box<dyn Session>> + Send + 'static,
) -> Result<()> {
    connection_file::check(connection).context("this connection cannot be served")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start")?;
    let served = tokio::task::LocalSet::new().block_on(&runtime, async {
        let listeners = listen(connection).await?;
        server::run(connection, listeners, kernel, history, Box::new(open), ending::from_outside).await
    });
    // What does not end by itself is not waited for.
    runtime.shutdown_background();
    served
}

async fn listen(connection: &ConnectionInfo) -> Result<[TcpListener; 5]> {
    let ip = if connection.ip == "*" { "0.0.0.0" } else { &connection.ip };
    let mut listeners = Vec::new();
    for (name, port) in connection_file::ports(connection) {
        let listener = TcpListener::bind((ip, port)).await;
        listeners.push(listener.with_context(|| format!("cannot listen on {ip}:{port} ({name})"))?);
    }
    listeners.try_into().map_err(|_| anyhow::anyhow!("a kernel has five ports"))
}
