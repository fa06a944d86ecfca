//! Whether a cell reads its standard input. Only Linux tells.

use std::path::{Path, PathBuf};

/// Whether a thread of the process waits for what the cell has as standard input.
///
/// While a cell runs that is a socket; before and after, when evcxr waits there for its next command, it is a pipe. Which
/// it is is looked at again at the end: meanwhile the cell may be over.
pub fn is_read(process: u32) -> bool {
    let process = PathBuf::from(format!("/proc/{process}"));
    let read = if cfg!(target_arch = "x86_64") { "0 0x0 " } else { "63 0x0 " };
    let threads = || std::fs::read_dir(process.join("task")).into_iter().flatten().flatten();
    let mut calls = threads().filter_map(|thread| std::fs::read_to_string(thread.path().join("syscall")).ok());
    calls.any(|call| call.starts_with(read)) && is_a_socket(&process.join("fd").join("0"))
}

fn is_a_socket(descriptor: &Path) -> bool {
    std::fs::read_link(descriptor).is_ok_and(|to| to.to_string_lossy().starts_with("socket:"))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixStream;
    use std::process::{Child, Command, Stdio};

    fn cat(input: impl Into<Stdio>) -> Child {
        Command::new("cat").stdin(input).spawn().unwrap()
    }

    fn wait_until_it_sleeps_in_a_read(cat: &Child) {
        let call = format!("/proc/{}/syscall", cat.id());
        let read = if cfg!(target_arch = "x86_64") { "0 0x0 " } else { "63 0x0 " };
        while !std::fs::read_to_string(&call).unwrap().starts_with(read) {
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_cell_that_reads_is_told_from_evcxr_that_waits() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let mut cell = cat(OwnedFd::from(theirs));
        let mut evcxr = cat(Stdio::piped());
        wait_until_it_sleeps_in_a_read(&cell);
        wait_until_it_sleeps_in_a_read(&evcxr);
        assert_eq!((is_read(cell.id()), is_read(evcxr.id())), (true, false));
        drop((ours, evcxr.stdin.take()));
        assert!(cell.wait().unwrap().success() && evcxr.wait().unwrap().success());
        let mut idle =
            Command::new("sleep").arg("600").stdin(OwnedFd::from(UnixStream::pair().unwrap().0)).spawn().unwrap();
        assert!(!is_read(idle.id()), "it has a socket, and does not read");
        idle.kill().unwrap();
        idle.wait().unwrap();
    }
}
