//! Whether a cell reads its standard input. Only Linux tells.

use std::path::PathBuf;

/// A thread that waits, and how often it has: where it has taken what it was given and waits again, that is another one.
#[derive(Clone, Debug, PartialEq)]
pub struct Reader {
    thread: PathBuf,
    waits: String,
}

/// The thread that waits for what the cell has as standard input, if one does: of the cells' process, or of one that a
/// cell has started with the same input.
///
/// While a cell runs that is a socket; before and after, when evcxr waits there for its next command, it is a pipe. Which
/// it is is looked at again at the end: meanwhile the cell may be over.
pub fn reader(process: u32) -> Option<Reader> {
    let input = input_of(process)?;
    let same = |other: &u32| input_of(*other).is_some_and(|of_other| of_other == input);
    let reader = family(process).into_iter().filter(same).find_map(reader_of)?;
    (input_of(process)? == input).then_some(reader)
}

/// The socket that a process has as standard input.
fn input_of(process: u32) -> Option<PathBuf> {
    let input = std::fs::read_link(format!("/proc/{process}/fd/0")).ok()?;
    input.to_string_lossy().starts_with("socket:").then_some(input)
}

/// A process, and all that descend from it.
fn family(process: u32) -> Vec<u32> {
    let mut family = vec![process];
    let mut at = 0;
    while let Some(one) = family.get(at) {
        let threads = std::fs::read_dir(format!("/proc/{one}/task")).into_iter().flatten().flatten();
        let children = threads.filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok());
        let found: Vec<u32> =
            children.flat_map(|text| text.split(' ').filter_map(|id| id.parse().ok()).collect::<Vec<_>>()).collect();
        family.extend(found);
        at += 1;
    }
    family
}

fn reader_of(process: u32) -> Option<Reader> {
    let read = if cfg!(target_arch = "x86_64") { "0 0x0 " } else { "63 0x0 " };
    let mut threads = std::fs::read_dir(format!("/proc/{process}/task")).ok()?.flatten().map(|thread| thread.path());
    let reads = |thread: &PathBuf| std::fs::read_to_string(thread.join("syscall")).is_ok_and(|it| it.starts_with(read));
    let thread = threads.find(reads)?;
    let status = std::fs::read_to_string(thread.join("status")).ok()?;
    let waits = status.lines().find(|line| line.starts_with("voluntary_ctxt_switches"))?.to_owned();
    Some(Reader { thread, waits })
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixStream;
    use std::process::{Child, Command, Stdio};

    fn cat(input: impl Into<Stdio>) -> Child {
        Command::new("cat").stdin(input).stdout(Stdio::null()).spawn().unwrap()
    }

    fn wait_until_it_sleeps_in_a_read(cat: &Child) {
        let call = format!("/proc/{}/syscall", cat.id());
        let read = if cfg!(target_arch = "x86_64") { "0 0x0 " } else { "63 0x0 " };
        while !std::fs::read_to_string(&call).unwrap().starts_with(read) {
            std::thread::yield_now();
        }
    }

    /// A reader that has not had its turn still seems to wait, with what it was given.
    #[test]
    fn a_reader_that_waits_again_is_told_from_one_that_still_does() {
        let (mut ours, theirs) = UnixStream::pair().unwrap();
        let mut cell = cat(OwnedFd::from(theirs));
        wait_until_it_sleeps_in_a_read(&cell);
        let before = reader(cell.id()).unwrap();
        assert_eq!(reader(cell.id()), Some(before.clone()), "it still waits for the same");
        ours.write_all(b"line\n").unwrap();
        let again = std::iter::repeat_with(|| reader(cell.id())).flatten().find(|reader| *reader != before).unwrap();
        assert_eq!(again.thread, before.thread);
        drop(ours);
        assert!(cell.wait().unwrap().success());
    }

    #[test]
    fn a_cell_that_reads_is_told_from_evcxr_that_waits() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let mut cell = cat(OwnedFd::from(theirs));
        let mut evcxr = cat(Stdio::piped());
        wait_until_it_sleeps_in_a_read(&cell);
        wait_until_it_sleeps_in_a_read(&evcxr);
        assert_eq!((reader(cell.id()).is_some(), reader(evcxr.id())), (true, None));
        drop((ours, evcxr.stdin.take()));
        assert!(cell.wait().unwrap().success() && evcxr.wait().unwrap().success());
        let mut idle =
            Command::new("sleep").arg("600").stdin(OwnedFd::from(UnixStream::pair().unwrap().0)).spawn().unwrap();
        assert!(reader(idle.id()).is_none(), "it has a socket, and does not read");
        idle.kill().unwrap();
        idle.wait().unwrap();
    }
}
