//! The thread that owns evcxr. What it answers and what the cells print arrive in one queue, in order.

use crate::build::{EVCXR_CONFIG, SessionFolder, Template, cache_folder};
use crate::tools::with_the_users_environment;
use anyhow::{Context, Result, bail};
use evcxr::{CommandContext, Error, EvalContext};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// What comes from the worker.
#[derive(Debug)]
pub enum Event {
    /// A line that the cells' process printed, without its newline.
    Stdout(String),
    /// A line on its standard error.
    Stderr(String),
    /// evcxr has carried out what it was asked for.
    Finished(Finished),
}

/// How evcxr fared with one piece of code.
#[derive(Debug)]
pub enum Finished {
    /// It was compiled and its function returned. What it displayed in evcxr's own way, and the source as compiled.
    Returned { media: BTreeMap<String, String>, source: String },
    /// It was not compiled: code, message and line of each complaint.
    Refused(Vec<Refusal>),
    /// The cells' process ended; evcxr has started another.
    Died(String),
    /// evcxr could not do it.
    Failed(String),
}

/// One complaint about the code as it was given to evcxr.
#[derive(Debug)]
pub struct Refusal {
    pub code: Option<String>,
    pub message: String,
    pub line: Option<usize>,
    pub rendered: String,
}

/// A handle to the thread.
pub struct Worker {
    requests: Sender<String>,
    events: Receiver<Event>,
    child: Arc<Mutex<Child>>,
}

/// evcxr reads its settings from the current folder, of which a process has one only.
static CURRENT_FOLDER: Mutex<()> = Mutex::new(());

impl Worker {
    /// Starts evcxr in `folder`, and the cells' process (`runtime`, this program itself as a rule) in `directory`.
    ///
    /// # Errors
    /// Where evcxr does not come up.
    pub fn start(
        template: &Template,
        folder: &SessionFolder,
        runtime: &Path,
        directory: &Path,
        environment: &[(String, String)],
    ) -> Result<Self> {
        let (requests, requested) = channel();
        let (sender, events) = channel();
        let (ready, started) = channel();
        let command = runtime_command(template, folder, runtime, directory, environment);
        let folder = folder.path().to_path_buf();
        std::thread::Builder::new().name("evcxr".into()).spawn(move || {
            match open(&folder, command) {
                Ok((context, outputs)) => {
                    forward(outputs.stdout, sender.clone(), Event::Stdout);
                    forward(outputs.stderr, sender.clone(), Event::Stderr);
                    // Fails only where nobody waits any more.
                    let _ = ready.send(Ok(context.process_handle()));
                    serve(context, &requested, &sender);
                }
                Err(error) => drop(ready.send(Err(error))),
            }
        })?;
        let child = started.recv().context("evcxr panicked while starting")??;
        Ok(Self { requests, events, child })
    }

    /// Asks for `code` to be compiled and run; its events follow.
    ///
    /// # Errors
    /// Where the thread has died.
    pub fn request(&self, code: String) -> Result<()> {
        self.requests.send(code).ok().context("evcxr has stopped: start the notebook again")
    }

    /// The next event; none where there is none within `patience`.
    ///
    /// # Errors
    /// Where the thread has died.
    pub fn event(&self, patience: Option<Duration>) -> Result<Option<Event>> {
        let received = match patience {
            None => self.events.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(patience) => self.events.recv_timeout(patience),
        };
        match received {
            Ok(event) => Ok(Some(event)),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => bail!("evcxr has stopped: start the notebook again"),
        }
    }

    /// The number of the cells' process.
    pub fn process(&self) -> u32 {
        self.child.lock().unwrap_or_else(PoisonError::into_inner).id()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // The thread ends when its requests do, but only after the cell under way; that one must not outlive us.
        let _ = self.child.lock().unwrap_or_else(PoisonError::into_inner).kill();
    }
}

fn open(folder: &Path, command: Command) -> Result<(CommandContext, evcxr::EvalContextOutputs)> {
    let _guard = CURRENT_FOLDER.lock().unwrap_or_else(PoisonError::into_inner);
    let before = std::env::current_dir().context("the current folder is gone")?;
    std::env::set_current_dir(folder).with_context(|| format!("{EVCXR_CONFIG} in {}", folder.display()))?;
    let opened = EvalContext::with_subprocess_command(command);
    std::env::set_current_dir(before)?;
    match opened {
        Ok((context, outputs)) => Ok((CommandContext::with_eval_context(context), outputs)),
        Err(error) => bail!("evcxr could not start: {error}"),
    }
}

fn runtime_command(
    template: &Template,
    folder: &SessionFolder,
    runtime: &Path,
    directory: &Path,
    environment: &[(String, String)],
) -> Command {
    let mut command = Command::new(runtime);
    with_the_users_environment(&mut command);
    command.current_dir(directory).env("CANDLEWICK_KERNEL", "1");
    // Cells run in another folder, where a relative path would mean another place.
    if let Ok(cache) = cache_folder() {
        command.env("CANDLEWICK_CACHE", cache);
    }
    let dependencies = folder.path().join("target").join(&template.toolchain.host).join("debug").join("deps");
    // A cell finds the standard library by a relative path, which comes out wrong where both lie under one prefix.
    let variable = if cfg!(target_os = "macos") { "DYLD_LIBRARY_PATH" } else { "LD_LIBRARY_PATH" };
    let folders: Vec<PathBuf> = [dependencies, template.toolchain.library_folder.clone()]
        .into_iter()
        .chain(std::env::var_os(variable).iter().flat_map(std::env::split_paths))
        .collect();
    if let Ok(joined) = std::env::join_paths(folders) {
        command.env(variable, joined);
    }
    command.envs(environment.iter().map(|(name, value)| (name, value)));
    command
}

fn forward(
    lines: impl IntoIterator<Item = String> + Send + 'static,
    sender: Sender<Event>,
    event: impl Fn(String) -> Event + Send + 'static,
) {
    std::thread::spawn(move || lines.into_iter().map(event).try_for_each(|event| sender.send(event)));
}

fn serve(mut context: CommandContext, requests: &Receiver<String>, sender: &Sender<Event>) {
    for code in requests {
        let result = context.execute(&code);
        let finished = match result {
            Ok(outputs) => Finished::Returned {
                media: outputs.content_by_mime_type.into_iter().collect(),
                source: context.last_source().unwrap_or_default(),
            },
            Err(Error::CompilationErrors(errors)) => Finished::Refused(errors.iter().map(refusal).collect()),
            Err(Error::SubprocessTerminated(message)) => Finished::Died(message),
            Err(error) => Finished::Failed(error.to_string()),
        };
        if sender.send(Event::Finished(finished)).is_err() {
            return;
        }
    }
}

fn refusal(error: &evcxr::CompilationError) -> Refusal {
    let span = error.primary_spanned_message().and_then(|message| message.span);
    Refusal {
        code: error.code().map(str::to_owned),
        message: error.message(),
        line: span.map(|span| span.start_line),
        rendered: error.rendered(),
    }
}
