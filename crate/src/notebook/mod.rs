//! How values show themselves in a notebook, and how long work reports on itself.
//!
//! On the candlewick kernel, displays and progress are live; on the stock evcxr kernel the same calls print whole lines.

pub mod display;
pub mod lines;
mod progress;

pub use display::show_debug;
pub use progress::Progress;

use lines::Line;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Once};

/// Whether the cell runs on the candlewick kernel, which understands marked [`lines`].
pub fn on_candlewick_kernel() -> bool {
    static ON: std::sync::OnceLock<bool> = std::sync::OnceLock::new();
    *ON.get_or_init(|| std::env::var_os("CANDLEWICK_KERNEL").is_some())
}

/// Sends one line to the kernel. Where nobody listens any more, there is nobody to tell.
pub(crate) fn send(line: &Line) {
    crate::cell::send(line);
}

/// Tells whoever runs the notebook a measured fact: `lesson --json` gathers these. Silent on other kernels.
pub fn report(about: &str, facts: serde_json::Value) {
    if on_candlewick_kernel() {
        send(&Line::Report { about: about.to_owned(), facts });
    }
}

/// Asks the person at the notebook for a line of text; none where there is nobody to ask, or no answer.
///
/// ```no_run
/// let folder = candlewick::notebook::input("Folder with photos: ");
/// ```
pub fn input(prompt: &str) -> Option<String> {
    ask(prompt, false)
}

/// As [`input`], for what nobody else should read on the screen.
pub fn secret_input(prompt: &str) -> Option<String> {
    ask(prompt, true)
}

fn ask(prompt: &str, secret: bool) -> Option<String> {
    if on_candlewick_kernel() {
        return crate::cell::ask(prompt, secret);
    }
    // What the stock kernel looks for.
    println!("EVCXR_INPUT_REQUEST{}:{prompt}", if secret { "_PASSWORD" } else { "" });
    let mut line = String::new();
    let read = std::io::stdin().read_line(&mut line).ok()?;
    (read > 0).then(|| line.trim_end_matches(['\n', '\r']).to_owned())
}

/// Takes away all that the cell has shown so far; with `wait`, only when the next thing is shown, so that nothing
/// flickers. Does nothing on other kernels.
pub fn clear_output(wait: bool) {
    if on_candlewick_kernel() {
        send(&Line::Clear { wait });
    }
}

/// Whether a cell that panics shows what had called what.
static BACKTRACES: AtomicBool = AtomicBool::new(false);

/// From now on a cell that panics shows what had called what, or does not any more. On other kernels it does nothing.
pub fn show_backtraces(show: bool) {
    BACKTRACES.store(show, Ordering::Relaxed);
}

pub(crate) fn backtraces_are_shown() -> bool {
    BACKTRACES.load(Ordering::Relaxed)
}

/// Whether the work that is under way has been asked to stop.
static INTERRUPTED: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);

/// Asks the work that is under way to stop at the next good place. What it has reached is kept.
///
/// It stays asked until [`resume`]: a cell's later work stops as well. The kernel's interrupt comes here, too.
pub fn interrupt() {
    INTERRUPTED.store(true, Ordering::Relaxed);
}

/// Forgets an [`interrupt`]: a new cell begins.
pub fn resume() {
    INTERRUPTED.store(false, Ordering::Relaxed);
}

/// Whether long work should stop: it asks between photos, and between steps of training. So can a loop of one's own.
pub fn interrupted() -> bool {
    INTERRUPTED.load(Ordering::Relaxed)
}

/// From now on the signal of an interrupt, SIGINT, asks instead of ending the process.
pub(crate) fn listen_for_interrupts() {
    static LISTENS: Once = Once::new();
    LISTENS.call_once(|| {
        // Where that is refused, an interrupt ends the process.
        let _ = signal_hook::flag::register(signal_hook::consts::SIGINT, Arc::clone(&INTERRUPTED));
    });
}

/// A picture that shows itself when it ends a cell.
#[derive(Clone, PartialEq)]
pub enum Picture {
    /// Vector graphics: a whole `<svg>` document, and words for those who cannot see it.
    Svg {
        /// The document.
        svg: String,
        /// What it shows.
        alt: String,
    },
    /// Pixels, as the bytes of a PNG file, and words for those who cannot see it.
    Png {
        /// The file.
        png: Vec<u8>,
        /// What it shows.
        alt: String,
    },
}
