//! How a cell's process and the kernel are connected: while a cell runs, its standard streams lead straight to the kernel.
//!
//! evcxr reads its process's output by lines, and waits for one of its own: a `print!` without newline before that one
//! makes it wait for ever, and bytes that are no text make it lose count. So from the first cell on, sockets of the
//! kernel's are in the place of the process's streams, and evcxr is told directly that a cell has ended. What has been
//! printed is the kernel's even if the process dies the next moment.

#[cfg(unix)]
pub use unix::{ask, enter, leave, send, send_errors, take_back, wanted};

#[cfg(unix)]
mod unix {
    use crate::notebook::lines::Line;
    use rustix::stdio::{dup2_stderr, dup2_stdin, dup2_stdout};
    use std::fs::File;
    use std::io::{BufRead, BufReader, Write};
    use std::os::fd::{AsFd, OwnedFd};
    use std::os::unix::net::UnixStream;
    use std::path::{Path, PathBuf};
    use std::sync::{Mutex, OnceLock, PoisonError};

    /// Names the folder of the kernel's sockets.
    const FOLDER: &str = "CANDLEWICK_SOCKETS";

    struct Channel {
        folder: PathBuf,
        /// What the kernel says on the socket to which the cell prints.
        answers: Mutex<BufReader<UnixStream>>,
        /// What the process's streams are, whatever a cell makes of them.
        output: UnixStream,
        errors: UnixStream,
        evcxrs_input: OwnedFd,
        evcxrs_output: Mutex<File>,
    }

    /// What evcxr waits for.
    const ENDED: &[u8] = b"EVCXR_EXECUTION_COMPLETE\n";

    static CHANNEL: OnceLock<Option<Channel>> = OnceLock::new();

    fn open(folder: &Path) -> std::io::Result<Channel> {
        let connect = |name: &str| UnixStream::connect(folder.join(name));
        let (output, errors) = (connect("out")?, connect("err")?);
        let answers = Mutex::new(BufReader::new(output.try_clone()?));
        let evcxrs_input = std::io::stdin().as_fd().try_clone_to_owned()?;
        let evcxrs_output = Mutex::new(File::from(std::io::stdout().as_fd().try_clone_to_owned()?));
        std::io::stdout().flush()?;
        dup2_stderr(&errors)?;
        dup2_stdout(&output)?;
        Ok(Channel { folder: folder.to_path_buf(), answers, output, errors, evcxrs_input, evcxrs_output })
    }

    fn channel() -> Option<&'static Channel> {
        let open = || open(Path::new(&std::env::var_os(FOLDER)?)).ok();
        CHANNEL.get_or_init(open).as_ref()
    }

    /// The streams are what they were: a cell may have closed them, or led them elsewhere.
    pub fn take_back() {
        if let Some(channel) = channel() {
            // What is left of a line goes where the cell has led it.
            let _ = std::io::stdout().flush();
            let _ = dup2_stdout(&channel.output).and_then(|()| dup2_stderr(&channel.errors));
        }
    }

    /// Tells the kernel, wherever standard output leads now.
    pub fn send(line: &Line) {
        // Nobody else prints meanwhile; what was printed before comes before.
        let mut out = std::io::stdout().lock();
        let text = line.encode();
        let _ = out.flush();
        let _ = match CHANNEL.get() {
            Some(Some(channel)) => (&channel.output).write_all(text.as_bytes()),
            _ => out.write_all(text.as_bytes()).and_then(|()| out.flush()),
        };
    }

    /// Tells the kernel on the channel of standard error, which waits for nobody who prints.
    pub fn send_errors(line: &Line) {
        let text = line.encode();
        let _ = match CHANNEL.get() {
            Some(Some(channel)) => (&channel.errors).write_all(text.as_bytes()),
            _ => std::io::stderr().write_all(text.as_bytes()),
        };
    }

    /// A cell begins: what it reads comes from the kernel.
    pub fn enter() {
        take_back();
        if let Some(channel) = channel() {
            // A new one each time: the kernel ends one where nobody answers.
            let _ = UnixStream::connect(channel.folder.join("in")).and_then(|input| Ok(dup2_stdin(&input)?));
        }
    }

    /// A cell has ended: evcxr gets its input back, and hears of it.
    pub fn leave() {
        if let Some(channel) = channel() {
            let _ = dup2_stdin(&channel.evcxrs_input);
            send(&Line::Left);
            let mut output = channel.evcxrs_output.lock().unwrap_or_else(PoisonError::into_inner);
            let _ = output.write_all(ENDED);
        }
    }

    /// Tells that cell `number` begins, and hears whether the kernel wants it to run: while it was being built, the
    /// kernel has looked at it, too.
    pub fn wanted(number: u64) -> bool {
        let began = Line::Began { cell: number };
        let Some(channel) = channel() else {
            send(&began);
            return true;
        };
        answer(channel, &began).as_deref() == Some("go")
    }

    /// Asks the person at the notebook for a line of text.
    pub fn ask(prompt: &str, secret: bool) -> Option<String> {
        let answer = answer(channel()?, &Line::Ask { prompt: prompt.to_owned(), secret })?;
        serde_json::from_str(&answer).ok()
    }

    /// The kernel's answer. Threads ask one after another: each gets its own answer, and none the cell's.
    fn answer(channel: &Channel, question: &Line) -> Option<String> {
        let mut line = String::new();
        let mut answers = channel.answers.lock().unwrap_or_else(PoisonError::into_inner);
        send(question);
        let read = answers.read_line(&mut line).ok()?;
        (read > 0).then(|| line.trim_end_matches('\n').to_owned())
    }
}

#[cfg(not(unix))]
pub use elsewhere::{ask, enter, leave, send, send_errors, take_back, wanted};

/// Elsewhere evcxr's own streams must do, by whole lines.
#[cfg(not(unix))]
mod elsewhere {
    use crate::notebook::lines::Line;
    use std::io::Write;

    pub fn enter() {}
    pub fn leave() {}
    pub fn take_back() {}
    pub fn send(line: &Line) {
        let mut out = std::io::stdout().lock();
        let _ = out.write_all(line.encode().as_bytes()).and_then(|()| out.flush());
    }
    pub fn send_errors(line: &Line) {
        let _ = std::io::stderr().write_all(line.encode().as_bytes());
    }
    pub fn wanted(number: u64) -> bool {
        send(&Line::Began { cell: number });
        true
    }
    pub fn ask(_: &str, _: bool) -> Option<String> {
        None
    }
}
