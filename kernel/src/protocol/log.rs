//! What the kernel says on its own standard error, which Jupyter shows where the server runs.

use std::cell::Cell;
use std::io::Write;
use std::time::{Duration, Instant};

/// The most lines in one [`WINDOW`].
const MOST_LINES: u32 = 20;

const WINDOW: Duration = Duration::from_secs(10);

/// The longest line, in characters.
const LONGEST: usize = 300;

/// A log that whoever sends bad messages cannot flood.
#[derive(Debug)]
pub(super) struct Log {
    began: Cell<Instant>,
    lines: Cell<u32>,
}

impl Log {
    pub(super) fn new() -> Self {
        Self { began: Cell::new(Instant::now()), lines: Cell::new(0) }
    }

    /// Writes one line; where standard error is closed, `eprintln!` would panic.
    pub(super) fn line(&self, text: &str) {
        for line in self.lines_for(text, Instant::now()) {
            let _ = writeln!(std::io::stderr(), "candlewick: {line}");
        }
    }

    fn lines_for(&self, text: &str, now: Instant) -> Vec<String> {
        let mut lines = Vec::new();
        if now.duration_since(self.began.get()) >= WINDOW {
            let left_out = self.lines.get().saturating_sub(MOST_LINES);
            if left_out > 0 {
                lines.push(format!("{left_out} more lines are left out"));
            }
            self.began.set(now);
            self.lines.set(0);
        }
        self.lines.set(self.lines.get().saturating_add(1));
        if self.lines.get() <= MOST_LINES {
            // What others sent may be in it: no line breaks, no colours.
            lines.push(text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(LONGEST).collect());
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_counted_and_not_written() {
        let log = Log::new();
        let now = log.began.get();
        let written: usize = (0..1000).map(|_| log.lines_for("bad\u{1b}[2J\nmessage", now).len()).sum();
        assert_eq!(written, 20);
        assert_eq!(log.lines_for("late", now + WINDOW), ["980 more lines are left out", "late"]);
        assert_eq!(log.lines_for(&"a\n".repeat(1000), now + WINDOW), ["a ".repeat(150)]);
    }
}
