//! Training as it happens: one line an epoch, and curves that grow.

use super::history::{Epoch, curves};
use crate::notebook::{display, on_candlewick_kernel};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The lines of the epochs so far: one display that grows on the candlewick kernel, plain lines elsewhere. While training
/// lasts it has the curves below it; they go at the end, because [`History::plot`](super::History::plot) draws them.
pub(super) struct Epochs {
    id: String,
    planned: usize,
    lines: Vec<String>,
    epochs: Vec<Epoch>,
    drawn: Option<Instant>,
}

/// A display is sent again and again as it grows, so it keeps to the latest lines; the history has all.
const SHOWN: usize = 40;
/// Often enough to look alive, seldom enough to cost nothing.
const INTERVAL: Duration = Duration::from_millis(200);

impl Epochs {
    pub fn new(planned: usize) -> Self {
        static RUNS: AtomicU64 = AtomicU64::new(1);
        let run = RUNS.fetch_add(1, Ordering::Relaxed);
        let id = format!("fit-{}-{run}", std::process::id());
        Self { id, planned, lines: Vec::new(), epochs: Vec::new(), drawn: None }
    }

    pub fn show(&mut self, epoch: &Epoch) {
        let line = epoch.line(self.lines.len() + 1, self.planned);
        if !on_candlewick_kernel() {
            println!("{line}");
        }
        self.lines.push(line);
        self.epochs.push(epoch.clone());
        // The last epoch is shown by the end.
        let is_due = self.epochs.len() < self.planned && self.drawn.is_none_or(|at| at.elapsed() >= INTERVAL);
        if !(on_candlewick_kernel() && is_due) {
            return;
        }
        self.drawn = Some(Instant::now());
        match curves(&self.epochs) {
            // A curve needs two points.
            Ok(picture) if self.epochs.len() > 1 => display::update_with_picture(&self.id, &self.latest(), &picture),
            _ => display::update(&self.id, &self.latest()),
        }
    }

    fn latest(&self) -> String {
        self.lines.get(self.lines.len().saturating_sub(SHOWN)..).unwrap_or_default().join("\n")
    }
}

impl Drop for Epochs {
    fn drop(&mut self) {
        if on_candlewick_kernel() && !self.lines.is_empty() {
            display::update(&self.id, &self.latest());
        }
    }
}
