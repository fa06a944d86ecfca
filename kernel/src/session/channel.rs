//! The sockets to which the cells' process connects itself: its three streams, by a way that evcxr does not read.

use super::said::{Said, Stream};
use super::worker::{Event, StreamName};
use anyhow::{Context, Result};
use std::fs::Permissions;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
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
}

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
        listen(&folder.join("out"), &answers, Some((StreamName::Output, events.clone())))?;
        listen(&folder.join("err"), &Shared::default(), Some((StreamName::Errors, events.clone())))?;
        listen(&folder.join("in"), &input, None)?;
        Ok(Self { folder, _elsewhere: elsewhere, answers, input })
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

/// Takes connections: the newest is in `current`, and what comes from each goes to the events.
fn listen(path: &Path, current: &Shared, events: Option<(StreamName, SyncSender<Event>)>) -> Result<()> {
    let listener = UnixListener::bind(path).with_context(|| format!("no socket at {}", path.display()))?;
    let current = Arc::clone(current);
    std::thread::Builder::new().name("socket".into()).spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let reader = stream.try_clone();
            // Before the first word is read from it: that may have to be answered.
            *current.lock().unwrap_or_else(PoisonError::into_inner) = Some(stream);
            if let (Some((name, events)), Ok(reader)) = (&events, reader) {
                let (name, events) = (*name, events.clone());
                std::thread::spawn(move || read(reader, name, &events));
            }
        }
    })?;
    Ok(())
}

fn read(mut stream: UnixStream, name: StreamName, events: &SyncSender<Event>) {
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
    let _ = events.send(Event::Closed(name));
}
