//! A standard error to which writing never fails, whoever has stopped to read it.
//!
//! evcxr panics where it cannot write there, and says so there while it panics: that would end the process.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};

/// While it lives, what is written to standard error passes through a thread of its own.
pub struct StaysOpen {
    real: OwnedFd,
}

impl StaysOpen {
    /// None where the system refuses: then all is as before.
    pub fn new() -> Option<Self> {
        let (mut reader, writer) = std::io::pipe().ok()?;
        let real = std::io::stderr().as_fd().try_clone_to_owned().ok()?;
        let mut to = File::from(real.try_clone().ok()?);
        std::thread::Builder::new()
            .name("standard error".to_owned())
            .spawn(move || {
                let mut piece = [0; 4096];
                while let Some(text) = reader.read(&mut piece).ok().and_then(|read| piece.get(..read)) {
                    if text.is_empty() {
                        return;
                    }
                    // Nobody reads it any more, and there is nobody to tell.
                    let _ = to.write_all(text);
                }
            })
            .ok()?;
        rustix::stdio::dup2_stderr(&writer).ok()?;
        Some(Self { real })
    }
}

impl Drop for StaysOpen {
    /// What the program says last is not to wait for a thread.
    fn drop(&mut self) {
        let _ = rustix::stdio::dup2_stderr(&self.real);
    }
}
