//! How values show themselves in a notebook, and how long work reports on itself.
//!
//! On the candlewick kernel, displays and progress are live; on the stock evcxr kernel the same calls print whole lines.

pub mod display;
pub mod lines;
mod progress;

pub use display::DebugDisplay;
pub use progress::Progress;

use lines::Line;
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether the cell runs on the candlewick kernel, which understands marked [`lines`].
pub fn on_candlewick_kernel() -> bool {
    static ON: std::sync::OnceLock<bool> = std::sync::OnceLock::new();
    *ON.get_or_init(|| std::env::var_os("CANDLEWICK_KERNEL").is_some())
}

/// Sends one line to the kernel. Where nobody listens any more, there is nobody to tell.
pub(crate) fn send(line: &Line) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(line.encode().as_bytes()).and_then(|()| out.flush());
}

/// Tells whoever runs the notebook a measured fact: `lesson --json` gathers these. Silent on other kernels.
pub fn report(about: &str, facts: serde_json::Value) {
    if on_candlewick_kernel() {
        send(&Line::Report { about: about.to_owned(), facts });
    }
}

/// Whether the work that is under way has been asked to stop.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Asks the work that is under way to stop at the next good place. What it has reached is kept.
///
/// It stays asked until [`resume`]: a cell's later work stops as well. For programs of one's own: the kernel's interrupt
/// does not call it yet.
pub fn interrupt() {
    INTERRUPTED.store(true, Ordering::Relaxed);
}

/// Forgets an [`interrupt`]: a new cell begins.
pub fn resume() {
    INTERRUPTED.store(false, Ordering::Relaxed);
}

/// Whether long work should stop: it asks between photos, and between steps of training.
pub fn interrupted() -> bool {
    INTERRUPTED.load(Ordering::Relaxed)
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
