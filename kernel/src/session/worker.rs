//! The thread that owns evcxr. What it answers and what the cells print arrive in one queue, in order.

#[cfg(unix)]
use super::channel::{self, Channel};
use super::reins::end_with_its_group;
use super::said::{Said, Stream};
use crate::build::{EVCXR_CONFIG, SessionFolder, Template, cache_folder};
use crate::panics;
use crate::tools::with_the_users_environment;
use anyhow::{Context, Result, bail};
use evcxr::{CommandContext, Error, EvalContext};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// What comes from the worker.
#[derive(Debug)]
pub enum Event {
    /// The cells' process has written something.
    Said(StreamName, Said),
    /// A stream of its own is at its end: it has died. By which connection that one came.
    Closed(StreamName, u64),
    /// evcxr has carried out what it was asked for.
    Finished(Finished),
    /// evcxr itself has panicked, and does nothing any more.
    Stopped(String),
}

/// One of the streams of the cells' process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamName {
    /// Standard output.
    Output,
    /// Standard error.
    Errors,
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
    /// Whether evcxr has nothing to do.
    finished: Arc<AtomicBool>,
    #[cfg(unix)]
    channel: Channel,
    /// The last connection of a process that has died.
    dead: u64,
}

/// How many pieces of what cells say may wait: a cell that prints faster than anybody reads has to wait, too.
const WAITING: usize = 256;

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
        let (sender, events) = sync_channel(WAITING);
        let (ready, started) = channel();
        #[allow(unused_mut)]
        let mut command = runtime_command(template, folder, runtime, directory, environment);
        #[cfg(unix)]
        let channel = Channel::open(folder.path(), &sender)?;
        #[cfg(unix)]
        command.env(channel::FOLDER, channel.folder());
        let folder = folder.path().to_path_buf();
        let finished = Arc::new(AtomicBool::new(true));
        let idle = Arc::clone(&finished);
        std::thread::Builder::new().name("evcxr".into()).spawn(move || {
            match open(&folder, command) {
                Ok((context, outputs)) => {
                    forward(outputs.stdout, sender.clone(), StreamName::Output);
                    forward(outputs.stderr, sender.clone(), StreamName::Errors);
                    // Fails only where nobody waits any more.
                    let _ = ready.send(Ok(context.process_handle()));
                    report_panic(&sender, &idle, || serve(context, &requested, &sender, &idle));
                }
                Err(error) => drop(ready.send(Err(error))),
            }
        })?;
        let child = started.recv().context("evcxr panicked while starting")??;
        Ok(Self {
            requests,
            events,
            child,
            finished,
            #[cfg(unix)]
            channel,
            dead: 0,
        })
    }

    /// Asks for `code` to be compiled and run; its events follow.
    ///
    /// # Errors
    /// Where the thread has died.
    pub fn request(&self, code: String) -> Result<()> {
        self.finished.store(false, Ordering::Release);
        self.requests.send(code).ok().context("evcxr has stopped: start the notebook again")
    }

    /// Whether evcxr has done what it was asked for, whatever is still to be read of it.
    pub fn has_finished(&self) -> bool {
        self.finished.load(Ordering::Acquire)
    }

    /// Whether a connection is of the process that runs the cells now.
    pub fn is_current(&self, connection: u64) -> bool {
        connection > self.dead
    }

    /// Another process runs the cells from now on.
    pub fn forget_connections(&mut self) {
        #[cfg(unix)]
        {
            self.dead = self.channel.connections();
        }
    }

    /// The next event; none where there is none within `patience`.
    ///
    /// # Errors
    /// Where the thread has died.
    pub fn event(&self, patience: Duration) -> Result<Option<Event>> {
        match self.events.recv_timeout(patience) {
            Ok(event) => Ok(Some(event)),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => bail!("evcxr has stopped: start the notebook again"),
        }
    }

    /// Answers what the cells' process waits for.
    pub fn answer(&self, line: &str) {
        #[cfg(unix)]
        self.channel.answer(line);
        #[cfg(not(unix))]
        let _ = line;
    }

    /// Gives the cell a line to read on its standard input; where there is none, its input is at its end.
    pub fn feed(&self, line: Option<&str>) {
        #[cfg(unix)]
        self.channel.feed(line);
        #[cfg(not(unix))]
        let _ = line;
    }

    /// The cells' process.
    pub fn child(&self) -> Arc<Mutex<Child>> {
        Arc::clone(&self.child)
    }

    /// The number of the cells' process.
    pub fn process(&self) -> u32 {
        self.child.lock().unwrap_or_else(PoisonError::into_inner).id()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // The thread ends when its requests do, but only after the cell under way; that one must not outlive us.
        end_with_its_group(&self.child);
    }
}

fn open(folder: &Path, command: Command) -> Result<(CommandContext, evcxr::EvalContextOutputs)> {
    let _guard = CURRENT_FOLDER.lock().unwrap_or_else(PoisonError::into_inner);
    let before = std::env::current_dir().context("the current folder is gone")?;
    std::env::set_current_dir(folder).with_context(|| format!("{EVCXR_CONFIG} in {}", folder.display()))?;
    let program = command.get_program().to_owned();
    let opened = EvalContext::with_subprocess_command(command);
    std::env::set_current_dir(before)?;
    match opened {
        Ok((context, outputs)) => Ok((CommandContext::with_eval_context(context), outputs)),
        Err(_) if !Path::new(&program).is_file() => {
            bail!("this kernel's program is not there any more: it was built anew or moved. Restart the kernel")
        }
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
    // A group of its own: with whatever the cells start, it is interrupted and ended.
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    command.envs(environment.iter().map(|(name, value)| (name, value)));
    command
}

/// Passes on the lines that evcxr does not understand.
fn forward(lines: impl IntoIterator<Item = String> + Send + 'static, sender: SyncSender<Event>, name: StreamName) {
    std::thread::spawn(move || {
        let mut stream = Stream::default();
        for line in lines {
            // With streams of its own, a cell puts an empty line before evcxr's.
            if line.is_empty() && cfg!(unix) {
                continue;
            }
            // Nobody listens any more: the session is over.
            stream.take(format!("{line}\n").as_bytes(), &mut |said| drop(sender.send(Event::Said(name, said))));
        }
    });
}

fn serve(mut context: CommandContext, requests: &Receiver<String>, sender: &SyncSender<Event>, idle: &AtomicBool) {
    for code in requests {
        let result = context.execute(&code);
        let finished = match result {
            Ok(outputs) => Finished::Returned {
                media: outputs.content_by_mime_type.into_iter().collect(),
                source: context.last_source().unwrap_or_default(),
            },
            Err(Error::CompilationErrors(errors)) => Finished::Refused(refusals(&errors)),
            Err(Error::SubprocessTerminated(message)) => Finished::Died(message),
            Err(error) => Finished::Failed(error.to_string()),
        };
        idle.store(true, Ordering::Release);
        if sender.send(Event::Finished(finished)).is_err() {
            return;
        }
    }
}

/// Does the thread's work; where evcxr panics, whoever waits is told.
fn report_panic(sender: &SyncSender<Event>, idle: &AtomicBool, work: impl FnOnce()) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(work)) {
        idle.store(true, Ordering::Release);
        let message = panics::message(panic.as_ref()).unwrap_or_else(|| "it did not say why".to_owned());
        // Nobody listens any more: the session is over.
        let _ = sender.send(Event::Stopped(message));
    }
}

/// What keeps the code from being compiled. evcxr hands on warnings with it, mostly about the code around a cell.
fn refusals(errors: &[evcxr::CompilationError]) -> Vec<Refusal> {
    let wrong: Vec<_> = errors.iter().filter(|error| error.level() == "error").map(refusal).collect();
    if !wrong.is_empty() {
        return wrong;
    }
    // Where an error has a note about the cell, evcxr hands on the note alone.
    errors.iter().filter(|error| error.level() != "warning").map(refusal).collect()
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_of_evcxr_is_told_to_whoever_waits() {
        let (sender, events) = sync_channel(WAITING);
        let idle = AtomicBool::new(false);
        report_panic(&sender, &idle, || {
            let _ = Vec::<u8>::new().remove(3);
        });
        assert!(idle.load(Ordering::Acquire), "the session would wait for ever");
        assert!(matches!(events.try_recv().unwrap(), Event::Stopped(message) if message.contains("removal index")));
        report_panic(&sender, &idle, || {});
        assert!(events.try_recv().is_err(), "nothing has panicked");
    }
}
