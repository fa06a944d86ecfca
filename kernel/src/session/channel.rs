//! The sockets to which the cells' process connects itself: its three streams, by a way that evcxr does not read.

use super::said::{Said, Stream};
use super::worker::{Event, StreamName};
use anyhow::{Context, Result};
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};

/// Tells the cells' process the folder of the sockets.
pub const FOLDER: &str = "CANDLEWICK_SOCKETS";

type Shared = Arc<Mutex<Option<UnixStream>>>;

/// Three sockets in a folder that only its owner can enter.
pub struct Channel {
    folder: tempfile::TempDir,
    answers: Shared,
    input: Shared,
}

impl Channel {
    /// Opens the sockets. What comes in goes to `events`, from each process that connects.
    ///
    /// # Errors
    /// Where the system refuses sockets.
    pub fn open(events: &Sender<Event>) -> Result<Self> {
        // Not in the cache: a socket's path may only be some hundred bytes long.
        let folder = tempfile::Builder::new().prefix("candlewick-").tempdir().context("no folder for sockets")?;
        let (answers, input) = (Shared::default(), Shared::default());
        listen(&folder.path().join("out"), &answers, Some((StreamName::Output, events.clone())))?;
        listen(&folder.path().join("err"), &Shared::default(), Some((StreamName::Errors, events.clone())))?;
        listen(&folder.path().join("in"), &input, None)?;
        Ok(Self { folder, answers, input })
    }

    /// Where the sockets are.
    pub fn folder(&self) -> &Path {
        self.folder.path()
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
fn listen(path: &Path, current: &Shared, events: Option<(StreamName, Sender<Event>)>) -> Result<()> {
    let listener = UnixListener::bind(path).with_context(|| format!("no socket at {}", path.display()))?;
    let current = Arc::clone(current);
    std::thread::Builder::new().name("socket".into()).spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            if let Some((name, events)) = &events
                && let Ok(reader) = stream.try_clone()
            {
                let (name, events) = (*name, events.clone());
                std::thread::spawn(move || read(reader, name, &events));
            }
            *current.lock().unwrap_or_else(PoisonError::into_inner) = Some(stream);
        }
    })?;
    Ok(())
}

fn read(mut stream: UnixStream, name: StreamName, events: &Sender<Event>) {
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
