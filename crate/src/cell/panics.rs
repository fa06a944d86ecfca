//! What is known of a panic: noted by a hook, which the process may replace, and told by what is caught.

use super::{IN_CELL, cell_line, channel};
use crate::notebook::lines::Line;
use std::any::Any;
use std::backtrace::Backtrace;
use std::panic::PanicHookInfo;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The last panic while a cell ran. Not per thread: a worker's panic is resumed in the cell's
/// own thread without a message.
static PANIC: Mutex<Option<Panic>> = Mutex::new(None);

/// Where our hook is in memory; 0 where it is no more.
static HOOK: AtomicUsize = AtomicUsize::new(0);

/// The line in the source file where the cell under way begins; 0 while none runs.
static BEGINS: AtomicU32 = AtomicU32::new(0);

/// What is known of a panic.
pub(super) struct Panic {
    pub(super) message: String,
    pub(super) line: Option<u32>,
    pub(super) backtrace: String,
}

const NO_TEXT: &str = "a panic with a payload that is not text";

/// What Rust says, after the panic itself, of one that may not go on: nothing of the cell's.
const FOLLOWS: [&str; 2] = ["panic in a function that cannot unwind", "panic in a destructor during cleanup"];

pub(super) fn last() -> MutexGuard<'static, Option<Panic>> {
    PANIC.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A cell begins in this line of its source file (0: it has ended), and nothing has panicked.
pub(super) fn begins_in(line: u32) {
    BEGINS.store(line, Ordering::Relaxed);
}

/// What is known of a panic with this payload. Where the hook was another, what was noted is of one before.
pub(super) fn of_payload(payload: &(dyn Any + Send)) -> Panic {
    let message = text(payload);
    match last().take() {
        Some(noted) if noted.message == message => noted,
        _ => Panic { message, line: None, backtrace: String::new() },
    }
}

fn text(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_else(|| NO_TEXT.to_owned())
}

type Hook = Box<dyn Fn(&PanicHookInfo<'_>) + Sync + Send>;

/// In memory as long as our hook is.
struct Mark;

impl Drop for Mark {
    fn drop(&mut self) {
        HOOK.store(0, Ordering::Release);
    }
}

fn address(hook: &Hook) -> usize {
    std::ptr::from_ref(&**hook).cast::<()>().addr()
}

/// Has every panic noted, unless they are already: a cell may have set a hook of its own. That one goes on hearing of the
/// panics in other threads than the cell's.
pub(super) fn note() {
    let found = std::panic::take_hook();
    let ours = HOOK.load(Ordering::Acquire);
    if ours != 0 && ours == address(&found) {
        return std::panic::set_hook(found);
    }
    // The first hook that is found is Rust's own, which would show a backtrace and lines that nobody has written.
    static FIRST: std::sync::Once = std::sync::Once::new();
    let mut before = Some(found);
    FIRST.call_once(|| before = None);
    // Where the hook that was found holds an earlier one of ours, that one's end is not this one's.
    let mark = Arc::new(Mark);
    let hook: Hook = Box::new(move |info| {
        let _alive = &mark;
        heard(info, before.as_ref());
    });
    HOOK.store(address(&hook), Ordering::Release);
    std::panic::set_hook(hook);
}

fn heard(info: &PanicHookInfo<'_>, before: Option<&Hook>) {
    let message = text(info.payload());
    if FOLLOWS.iter().any(|follows| message.starts_with(follows)) {
        return;
    }
    let backtrace = match crate::notebook::backtraces_are_shown() {
        true => Backtrace::force_capture().to_string(),
        false => String::new(),
    };
    let line = info.location().and_then(cell_line);
    if !IN_CELL.get() {
        match before {
            Some(before) => before(info),
            None => tell(&message, line, &backtrace),
        }
    } else {
        // Now: where it cannot be caught, the process ends.
        channel::send_errors(&Line::Panicking { message: message.clone() });
    }
    *last() = Some(Panic { message, line, backtrace });
}

/// What a person is told of a panic in another thread than the cell's.
fn tell(message: &str, line: Option<u32>, backtrace: &str) {
    let thread = std::thread::current();
    let begins = BEGINS.load(Ordering::Relaxed);
    // A thread that an earlier cell has left may come here, too, but only where its line is none of this one's.
    let line = line.filter(|line| begins > 0 && *line > begins).map(|line| format!(" (line {})", line - begins));
    let name = thread.name().map_or_else(|| "A thread".to_owned(), |name| format!("The thread {name}"));
    eprintln!("{name} panicked: {message}{}", line.unwrap_or_default());
    if !backtrace.is_empty() {
        eprintln!("{backtrace}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::catch_unwind;

    #[test]
    fn a_panic_is_told_by_what_is_caught_whatever_was_noted() {
        let noted = |message: &str| {
            *last() = Some(Panic { message: message.to_owned(), line: Some(3), backtrace: String::new() });
        };
        let caught = catch_unwind(|| std::panic::resume_unwind(Box::new("outer"))).unwrap_err();
        noted("inner");
        let told = of_payload(&*caught);
        assert_eq!((told.message.as_str(), told.line), ("outer", None));
        noted("outer");
        assert_eq!(of_payload(&*caught).line, Some(3));
        assert_eq!(of_payload(&7).message, NO_TEXT);
    }
}
