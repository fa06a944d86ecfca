//! Waiting for what is slow, until an interrupt: for threads that ask a server, and for programs that fetch for us.

use crate::notebook::interrupted;
use crate::{Error, Result};
use std::process::{Child, Command, ExitStatus};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

/// How often it is asked for an interrupt.
const LOOK: Duration = Duration::from_millis(50);

/// What comes next; none where no more comes.
///
/// # Errors
/// [`Error::Interrupted`]; who sends finds nobody there, and ends by itself.
pub(super) fn next<T>(from: &Receiver<T>) -> Result<Option<T>> {
    loop {
        match from.recv_timeout(LOOK) {
            Ok(one) => return Ok(Some(one)),
            Err(RecvTimeoutError::Disconnected) => return Ok(None),
            Err(RecvTimeoutError::Timeout) if interrupted() => return Err(Error::Interrupted),
            Err(RecvTimeoutError::Timeout) => {}
        }
    }
}

/// What `work` gives, on a thread of its own; none where it panics. Interrupted, nobody waits for it any more.
///
/// # Errors
/// [`Error::Interrupted`], or where there is no thread to be had.
pub(super) fn unless_interrupted<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<Option<T>> {
    let (done, result) = sync_channel(1);
    // Nobody may wait any more.
    on_a_thread(move || drop(done.send(work())))?;
    next(&result)
}

/// Does `work` beside.
///
/// # Errors
/// Where there is no thread to be had.
pub(super) fn on_a_thread(work: impl FnOnce() + Send + 'static) -> Result<()> {
    let started = std::thread::Builder::new().name("fetch".into()).spawn(work);
    started.map(drop).map_err(|why| Error::Fetch(format!("no thread to be had: {why}")))
}

/// Runs a program that fetches for us to its end. `look` is called ten or more times a second meanwhile.
///
/// # Errors
/// [`Error::Interrupted`], or what `look` says; the program is ended then. [`Error::File`] where it does not start.
pub(crate) fn run(command: &mut Command, look: &mut dyn FnMut() -> Result<()>) -> Result<ExitStatus> {
    let lost = || Error::file("cannot run", command.get_program().to_owned());
    let (not_started, not_seen) = (lost(), lost());
    let mut running = Running(command.spawn().map_err(not_started)?);
    loop {
        match running.0.try_wait() {
            Ok(Some(status)) => return Ok(status),
            Ok(None) if interrupted() => return Err(Error::Interrupted),
            Ok(None) => look()?,
            Err(why) => return Err(not_seen(why)),
        }
        std::thread::sleep(LOOK);
    }
}

/// Ends the program with whoever waits for it.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Where it has ended by itself, there is nothing to end.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
