//! One file over HTTP: taken up again where it broke off, never longer than announced, checked as a whole.

use super::files::{FolderLock, lock, verify};
use super::waiting::{next, on_a_thread, unless_interrupted};
use crate::notebook::Progress;
use crate::{Error, Result};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;
use ureq::Body;
use ureq::http::{Response, StatusCode, header};

/// A file that lies at an address, known by its content.
#[derive(Clone, Copy, Debug)]
pub struct Remote<'a> {
    /// Where it lies.
    pub url: &'a str,
    /// The sha256 of all its bytes, 64 hexadecimal digits.
    pub sha256: &'a str,
    /// How many bytes it has.
    pub bytes: u64,
    /// What it is, as people call it: "MobileNetV2 weights".
    pub what: &'a str,
}

/// Without a network this is how long it takes to say so.
const CONNECT: Duration = Duration::from_secs(5);
/// A server that sends nothing for this long has gone.
const SILENCE: Duration = Duration::from_secs(30);
/// How many pieces may wait to be written.
const WAITING: usize = 16;
/// How often a broken download is taken up again, as long as each try brings bytes.
const TRIES: usize = 4;

/// Brings a remote file to the path `to`; where it lies there already, nothing is done.
///
/// A download that breaks off leaves `to` + `.part`, and the next one asks only for the rest. Two processes at once are
/// safe: the second waits and finds the file.
///
/// # Errors
/// [`Error::Fetch`] with the address and the reason: no network, another status than 200 or 206, fewer or more bytes
/// than announced, another sha256. A file with wrong bytes never gets the name `to`. [`Error::Interrupted`]: what has
/// come so far is kept.
pub fn download(remote: &Remote<'_>, to: &Path) -> Result<()> {
    if fetched(remote, to) {
        return Ok(());
    }
    let held = lock(to)?;
    if fetched(remote, to) { Ok(()) } else { download_under(&held, remote, to) }
}

/// Whether the remote file lies at `to`, whole and right.
pub(crate) fn fetched(remote: &Remote<'_>, to: &Path) -> bool {
    to.exists() && verify(to, remote.sha256, remote.bytes).is_ok()
}

/// [`download`] for who holds the lock of `to` already.
pub(crate) fn download_under(held: &FolderLock, remote: &Remote<'_>, to: &Path) -> Result<()> {
    download_within(held, remote, to, SILENCE)
}

/// [`download_under`], with its own idea of how long a body may be silent before it is asked for again.
pub(super) fn download_within(_held: &FolderLock, remote: &Remote<'_>, to: &Path, silence: Duration) -> Result<()> {
    let mut part = Part::open(to, silence)?;
    let progress = Progress::new(format!("Fetching {}", remote.what), Some(remote.bytes), "bytes");
    // A part left by another file of the same name can be as long as you like and still be wrong: then once from zero.
    let resumed = part.have(remote)? > 0;
    let outcome = part.fill(remote, &progress).and_then(|()| part.check(remote));
    match outcome {
        Err(Error::Fetch(_)) if resumed && part.have(remote)? == 0 => {
            part.fill(remote, &progress)?;
            part.check(remote)?;
        }
        outcome => outcome?,
    }
    fs::rename(&part.path, to).map_err(Error::file("cannot write", to))
}

/// What has been fetched of a file.
struct Part {
    path: PathBuf,
    file: File,
    silence: Duration,
}

/// What one answer of the server brought.
enum Answer {
    Whole,
    /// It broke off, for this reason; asking for the rest may help.
    Broken(String),
    /// The rest is not to be had, for this reason; asking for all may help.
    Refused(String),
    /// Nobody wants it any more.
    Interrupted,
}

impl Part {
    fn open(to: &Path, silence: Duration) -> Result<Self> {
        let mut name = to.as_os_str().to_owned();
        name.push(".part");
        let path = PathBuf::from(name);
        let file = File::options().create(true).append(true).open(&path).map_err(Error::file("cannot write", &path))?;
        Ok(Self { path, file, silence })
    }

    /// How many bytes are there; none where they are more than the whole.
    fn have(&mut self, remote: &Remote<'_>) -> Result<u64> {
        let have = self.file.metadata().map_err(Error::file("cannot read", &self.path))?.len();
        if have <= remote.bytes {
            return Ok(have);
        }
        self.clear()?;
        Ok(0)
    }

    fn clear(&mut self) -> Result<()> {
        self.file.set_len(0).map_err(Error::file("cannot write", &self.path))
    }

    /// Asks until all bytes are there.
    fn fill(&mut self, remote: &Remote<'_>, progress: &Progress) -> Result<()> {
        let failed = |why: &str| Error::Fetch(format!("{}: {why}", remote.url));
        let mut why = String::from("no bytes came");
        for _ in 0..TRIES {
            let have = self.have(remote)?;
            if have == remote.bytes {
                return Ok(());
            }
            progress.set(have);
            match self.ask(remote, have, progress).map_err(|why| failed(&why))? {
                Answer::Whole => return Ok(()),
                Answer::Broken(reason) => {
                    why = reason;
                    if self.have(remote)? <= have {
                        break;
                    }
                }
                Answer::Refused(reason) => {
                    why = reason;
                    self.clear()?;
                }
                Answer::Interrupted => return Err(Error::Interrupted),
            }
        }
        Err(failed(&why))
    }

    /// One request, for all or for the rest after `have` bytes. An error is final, as text.
    fn ask(&mut self, remote: &Remote<'_>, have: u64, progress: &Progress) -> Result<Answer, String> {
        let mut request = agent(self.silence).get(remote.url).header(header::ACCEPT_ENCODING, "identity");
        if have > 0 {
            request = request.header(header::RANGE, format!("bytes={have}-"));
        }
        let response = match unless_interrupted(move || request.call()) {
            Ok(Some(response)) => response.map_err(|e| reason(&e))?,
            Ok(None) => return Err("the request panicked".into()),
            Err(Error::Interrupted) => return Ok(Answer::Interrupted),
            Err(why) => return Err(why.to_string()),
        };
        match response.status() {
            StatusCode::PARTIAL_CONTENT if have > 0 && continues(&response, have, remote.bytes) => {
                self.append(response.into_body(), have, remote.bytes, progress)
            }
            StatusCode::PARTIAL_CONTENT => Ok(Answer::Refused("the server sent another part than the rest".into())),
            StatusCode::RANGE_NOT_SATISFIABLE if have > 0 => Ok(Answer::Refused("the server refused the rest".into())),
            StatusCode::OK => {
                // A network's sign-in page comes with 200 too, and must not cost what has been fetched.
                measured(response.body(), remote.bytes)?;
                self.clear().map_err(|e| e.to_string())?;
                progress.set(0);
                self.append(response.into_body(), 0, remote.bytes, progress)
            }
            status => Err(format!("the server answered {status}")),
        }
    }

    fn append(&mut self, body: Body, have: u64, bytes: u64, progress: &Progress) -> Result<Answer, String> {
        measured(&body, bytes - have)?;
        // One byte more than the rest tells a longer body from a right one.
        let pieces = pieces(body, bytes - have + 1).map_err(|e| e.to_string())?;
        let mut have = have;
        loop {
            let piece = match next(&pieces) {
                Ok(Some(Ok(piece))) => piece,
                Ok(Some(Err(e))) => {
                    return Ok(Answer::Broken(format!("it broke off after {have} of {bytes} bytes ({e})")));
                }
                Ok(None) if have == bytes => return Ok(Answer::Whole),
                Ok(None) => return Ok(Answer::Broken(format!("it ended after {have} of {bytes} bytes"))),
                Err(_) => return Ok(Answer::Interrupted),
            };
            let read = piece.len() as u64;
            have += read;
            if have > bytes {
                self.clear().map_err(|e| e.to_string())?;
                return Err(format!("the server sends more than {bytes} bytes"));
            }
            self.file.write_all(&piece).map_err(|e| format!("cannot write {}: {e}", self.path.display()))?;
            progress.advance(read);
        }
    }

    /// Checks the whole; wrong bytes are thrown away.
    fn check(&mut self, remote: &Remote<'_>) -> Result<()> {
        self.file.sync_all().map_err(Error::file("cannot write", &self.path))?;
        verify(&self.path, remote.sha256, remote.bytes).map_err(|wrong| {
            let _ = self.clear();
            Error::Fetch(format!("{}: other bytes than expected: {wrong}", remote.url))
        })
    }
}

/// At most `most` bytes of a body as they come, read on a thread of its own: there may be long silence between them.
///
/// Where nobody wants them any more, the thread ends with the next piece, or when the server has been silent too long.
fn pieces(body: Body, most: u64) -> Result<Receiver<std::io::Result<Vec<u8>>>> {
    let (send, pieces) = sync_channel(WAITING);
    on_a_thread(move || {
        let mut body = body.into_reader().take(most);
        let mut piece = vec![0; 1 << 16];
        loop {
            let read = match body.read(&mut piece) {
                Ok(0) => return,
                Ok(read) => Ok(piece.get(..read).unwrap_or_default().to_vec()),
                Err(why) => Err(why),
            };
            let last = read.is_err();
            if send.send(read).is_err() || last {
                return;
            }
        }
    })?;
    Ok(pieces)
}

/// Refuses a body that says itself that it is not the `bytes` wanted: another length, or a web page of any.
fn measured(body: &Body, bytes: u64) -> Result<(), String> {
    match body.content_length() {
        Some(announced) if announced != bytes => Err(format!("the server announces {announced} bytes, not {bytes}")),
        None if body.mime_type().is_some_and(|mime| mime.eq_ignore_ascii_case("text/html")) => {
            Err("the server sends a web page instead (does this network want a sign-in?)".into())
        }
        _ => Ok(()),
    }
}

/// Whether a 206 holds what comes after `have` bytes: `Content-Range: bytes 5-9/10`.
fn continues(response: &Response<Body>, have: u64, bytes: u64) -> bool {
    let range = response.headers().get(header::CONTENT_RANGE).and_then(|value| value.to_str().ok());
    let range = range.and_then(|range| range.trim().strip_prefix("bytes ")).and_then(|range| range.split_once('/'));
    let Some((span, total)) = range else { return false };
    let first = span.split_once('-').and_then(|(first, _)| first.trim().parse::<u64>().ok());
    first == Some(have) && (total.trim() == "*" || total.trim().parse() == Ok(bytes))
}

fn agent(silence: Duration) -> ureq::Agent {
    ureq::Agent::config_builder()
        .user_agent(concat!("candlewick/", env!("CARGO_PKG_VERSION")))
        .http_status_as_error(false)
        .timeout_resolve(Some(CONNECT))
        .timeout_connect(Some(CONNECT))
        .timeout_recv_response(Some(SILENCE))
        .timeout_per_read(Some(silence))
        .build()
        .new_agent()
}

/// The error in the words of who waits for a file.
fn reason(error: &ureq::Error) -> String {
    match error {
        ureq::Error::HostNotFound => "no such host (no network?)".into(),
        ureq::Error::Timeout(what) => format!("no answer in time ({what})"),
        error => error.to_string(),
    }
}
