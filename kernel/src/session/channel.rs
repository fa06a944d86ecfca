//! The sockets to which the cells' process connects itself: its three streams, by a way that evcxr does not read.

use super::said::{Said, Stream};
use super::worker::{Event, StreamName};
use anyhow::{Context, Result};
use std::fs::Permissions;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, PoisonError};
use tempfile::TempDir;

/// Tells the cells' process the folder of the sockets.
pub const FOLDER: &str = "CANDLEWICK_SOCKETS";

/// A socket's path may have some hundred bytes; this leaves room for its name and its folder's.
const LONGEST_FOLDER: usize = 70;

type Shared = Arc<Mutex<Option<UnixStream>>>;

/// Three sockets in a folder that only its owner can enter.
pub struct Channel {
    folder: PathBuf,
    /// Where it is not a part of the session's own folder.
    _elsewhere: Option<TempDir>,
    answers: Shared,
    input: Shared,
    sockets: Sockets,
}

/// What the threads share that listen.
#[derive(Clone, Default)]
struct Sockets {
    /// How many connections there have been.
    connections: Arc<AtomicU64>,
    closed: Arc<AtomicBool>,
}

/// The names of the sockets.
const NAMES: [&str; 3] = ["out", "err", "in"];

impl Channel {
    /// Opens the sockets of a session. What comes in goes to `events`, from each process that connects.
    ///
    /// # Errors
    /// Where the system refuses sockets.
    pub fn open(session: &Path, events: &SyncSender<Event>) -> Result<Self> {
        let mut builder = tempfile::Builder::new();
        let builder = builder.prefix("candlewick-").permissions(Permissions::from_mode(0o700));
        // With the session's folder it goes, however the session ends; but a socket's path may not be long.
        let (folder, elsewhere) = if session.as_os_str().len() < LONGEST_FOLDER {
            (builder.tempdir_in(session).context("no folder for sockets")?.keep(), None)
        } else {
            let folder = builder.tempdir().context("no folder for sockets")?;
            (folder.path().to_path_buf(), Some(folder))
        };
        let (answers, input) = (Shared::default(), Shared::default());
        // From here on, whatever fails, the threads end with it.
        let channel = Self { folder, _elsewhere: elsewhere, answers, input, sockets: Sockets::default() };
        let [output, errors, standard_input] = NAMES;
        channel.listen(output, &channel.answers, Some((StreamName::Output, events.clone())))?;
        channel.listen(errors, &Shared::default(), Some((StreamName::Errors, events.clone())))?;
        channel.listen(standard_input, &channel.input, None)?;
        Ok(channel)
    }

    /// How many connections there have been: they are numbered from 1.
    pub fn connections(&self) -> u64 {
        self.sockets.connections.load(Ordering::Acquire)
    }

    /// Takes connections: the newest is in `current`, and what comes from each goes to the events.
    fn listen(&self, name: &str, current: &Shared, events: Option<(StreamName, SyncSender<Event>)>) -> Result<()> {
        let path = self.folder.join(name);
        let listener = UnixListener::bind(&path).with_context(|| format!("no socket at {}", path.display()))?;
        let (current, sockets) = (Arc::clone(current), self.sockets.clone());
        std::thread::Builder::new().name("socket".into()).spawn(move || {
            // It goes before the rest does.
            let listener = listener;
            for stream in listener.incoming().map_while(Result::ok) {
                if sockets.closed.load(Ordering::Acquire) {
                    return;
                }
                let number = sockets.connections.fetch_add(1, Ordering::AcqRel) + 1;
                let reader = stream.try_clone();
                // Before the first word is read from it: that may have to be answered.
                *current.lock().unwrap_or_else(PoisonError::into_inner) = Some(stream);
                if let (Some((name, events)), Ok(reader)) = (&events, reader) {
                    let (name, events) = (*name, events.clone());
                    std::thread::spawn(move || read(reader, name, number, &events));
                }
            }
        })?;
        Ok(())
    }

    /// Where the sockets are.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Answers what the cells' process waits for. Where it has died, nobody waits.
    pub fn answer(&self, line: &str) {
        write(&self.answers, &format!("{line}\n"));
    }

    /// Gives the cell a line to read on its standard input; where there is none, its input is at its end.
    pub fn feed(&self, line: Option<&str>) {
        match line {
            Some(line) => write(&self.input, &format!("{line}\n")),
            None => drop(self.input.lock().unwrap_or_else(PoisonError::into_inner).take()),
        }
    }
}

fn write(to: &Shared, text: &str) {
    if let Some(stream) = to.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
        let _ = stream.write_all(text.as_bytes());
    }
}

impl Drop for Channel {
    /// The threads hear of it by one more connection.
    fn drop(&mut self) {
        self.sockets.closed.store(true, Ordering::Release);
        for name in NAMES {
            // Where the folder is gone, nobody else can connect either.
            let _ = UnixStream::connect(self.folder.join(name));
        }
    }
}

fn read(mut stream: UnixStream, name: StreamName, number: u64, events: &SyncSender<Event>) {
    let mut said = Stream::default();
    let mut buffer = vec![0; 1 << 16];
    // Nobody listens any more: the session is over.
    let mut send = |said: Said| drop(events.send(Event::Said(name, said)));
    while let Ok(count) = stream.read(&mut buffer) {
        if count == 0 {
            break;
        }
        said.take(&buffer[..count], &mut send);
    }
    said.end(&mut send);
    let _ = events.send(Event::Closed(name, number));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sockets_close_with_the_session_and_connections_are_numbered() {
        let folder = tempfile::tempdir().unwrap();
        let (events, received) = std::sync::mpsc::sync_channel(8);
        let channel = Channel::open(folder.path(), &events).unwrap();
        let sockets = channel.folder().to_path_buf();
        let connect = |name: &str| UnixStream::connect(sockets.join(name));
        for number in 1..=2 {
            drop(connect("err").unwrap());
            let closed = received.recv().unwrap();
            assert!(matches!(closed, Event::Closed(StreamName::Errors, of) if of == number), "{closed:?}");
        }
        assert_eq!(channel.connections(), 2);
        drop((channel, events));
        // Ends when the threads have: each holds a sender.
        assert!(received.recv().is_err());
        assert!(connect("out").is_err() && connect("err").is_err());
    }
}
