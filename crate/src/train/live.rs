//! Training as it happens: one line an epoch.

use super::history::Epoch;
use crate::notebook::{display, on_candlewick_kernel};
use std::sync::atomic::{AtomicU64, Ordering};

/// The lines of the epochs so far: one display that grows on the candlewick kernel, plain lines elsewhere.
pub(super) struct Epochs {
    id: String,
    planned: usize,
    lines: Vec<String>,
}

/// A display is sent again and again as it grows, so it keeps to the latest lines; the history has all.
const SHOWN: usize = 40;

impl Epochs {
    pub fn new(planned: usize) -> Self {
        static RUNS: AtomicU64 = AtomicU64::new(1);
        let run = RUNS.fetch_add(1, Ordering::Relaxed);
        Self { id: format!("fit-{}-{run}", std::process::id()), planned, lines: Vec::new() }
    }

    pub fn show(&mut self, epoch: &Epoch) {
        let line = epoch.line(self.lines.len() + 1, self.planned);
        if !on_candlewick_kernel() {
            println!("{line}");
        }
        self.lines.push(line);
        if on_candlewick_kernel() {
            let latest = self.lines.get(self.lines.len().saturating_sub(SHOWN)..).unwrap_or_default();
            display::update(&self.id, &latest.join("\n"));
        }
    }
}
