//! Cells run on any installed Jupyter kernel, over the protocol.
//!
//! [`KernelSession`] is a [`Session`] as the one over evcxr is, so that whatever runs notebooks need not know which one it
//! has. Each has a thread of its own, which owns the kernel's process and its sockets.

mod messages;
mod process;
mod stops;
mod wire;
mod worker;

pub use stops::was_stopped;

use crate::kernelspec::folders::Folders;
use crate::kernelspec::{self, Installed};
use crate::session::{Completeness, Completions, Control, Host, Options, Outcome, Output, Report, Session};
use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread::JoinHandle;
use tokio::sync::mpsc::{Receiver, UnboundedSender, channel, unbounded_channel};
use worker::{Command, Event};

/// How many outputs may wait for who takes them: a kernel that floods must not fill the memory.
const WAITING: usize = 1024;

/// A kernel's process, and what runs cells on it.
pub struct KernelSession {
    commands: UnboundedSender<Command>,
    thread: Option<JoinHandle<()>>,
}

/// Starts the kernel that `options` name, and waits until it answers.
///
/// # Errors
/// Where no such kernel is installed, or it does not start: with what it said.
pub fn open_session(name: &str, options: &Options) -> Result<KernelSession> {
    let folders = Folders::here();
    KernelSession::open(&kernelspec::find(name, &folders)?, &folders, options)
}

impl KernelSession {
    /// Starts an installed kernel, and waits until it answers.
    ///
    /// # Errors
    /// Where it does not start: with what it said.
    pub fn open(kernel: &Installed, folders: &Folders<'_>, options: &Options) -> Result<Self> {
        let launch = process::Launch::new(kernel, folders, options)?;
        let (commands, received) = unbounded_channel();
        let (ready, started) = std::sync::mpsc::channel();
        let name = kernel.name.clone();
        let thread = std::thread::Builder::new()
            .name(format!("kernel {name}"))
            .spawn(move || worker::run(launch, received, &ready))
            .context("cannot start a thread")?;
        let mut session = Self { commands, thread: Some(thread) };
        match started.recv() {
            Ok(started) => started.with_context(|| format!("the kernel {name}"))?,
            Err(_) => {
                session.thread = None;
                anyhow::bail!("the kernel {name} could not be watched: a thread of candlewick's has died");
            }
        }
        Ok(session)
    }
}

impl Session for KernelSession {
    fn execute(&mut self, code: &str, host: &mut dyn Host) -> Outcome {
        let (events, mut received): (_, Receiver<Event>) = channel(WAITING);
        if self.commands.send(Command::Execute { code: code.to_owned(), events }).is_ok() {
            while let Some(event) = received.blocking_recv() {
                match event {
                    Event::Sent(output) => host.send(output),
                    Event::Ended(outcome) => return outcome,
                }
            }
        }
        Outcome::Failed(Report::new("the kernel is not watched any more: start the notebook again"))
    }

    fn control(&self) -> Arc<dyn Control> {
        Arc::new(Remote(self.commands.clone()))
    }

    /// Not asked of another kernel: who runs whole notebooks has whole cells.
    fn completeness(&self, _: &str) -> Completeness {
        Completeness::Complete
    }

    /// Not asked of another kernel.
    fn complete(&mut self, _: &str, cursor: usize) -> Completions {
        Completions { matches: Vec::new(), replaces: cursor..cursor }
    }

    /// Not asked of another kernel.
    fn inspect(&mut self, _: &str, _: usize, _: bool) -> Option<BTreeMap<String, String>> {
        None
    }

    fn peak_memory(&self) -> Option<u64> {
        None
    }
}

impl Drop for KernelSession {
    /// Shuts the kernel down, and waits until nothing of it is left.
    fn drop(&mut self) {
        // Fails only where the thread has ended, and the kernel with it.
        let _ = self.commands.send(Command::Close);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Remote(UnboundedSender<Command>);

impl Control for Remote {
    fn interrupt(&self) {
        let _ = self.0.send(Command::Interrupt);
    }

    fn kill(&self) {
        let _ = self.0.send(Command::Kill);
    }
}

/// Opens whatever session `options` ask for: this program's own, or that of an installed kernel.
///
/// # Errors
/// As the two that it chooses from.
pub fn open_any(options: Options, progress: &mut dyn FnMut(Output)) -> Result<Box<dyn Session>> {
    match options.kernel.clone() {
        None => crate::session::open_session(options, progress),
        Some(name) => Ok(Box::new(open_session(&name, &options)?)),
    }
}
