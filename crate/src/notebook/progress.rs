//! Progress of long tasks: live on the candlewick kernel, a few whole lines elsewhere.

use super::{lines::Line, on_candlewick_kernel, send};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A task that reports how far it has come. It may be advanced from several threads.
///
/// ```
/// let progress = candlewick::notebook::Progress::new("Reading photos", Some(3), "photos");
/// for _ in 0..3 {
///     progress.advance(1);
/// }
/// ```
pub struct Progress {
    task: u64,
    what: String,
    unit: String,
    total: Option<u64>,
    done: AtomicU64,
    shown: Mutex<Shown>,
}

struct Shown {
    at: Option<Instant>,
    quarter: u64,
}

/// Often enough to look alive, seldom enough to cost nothing.
const INTERVAL: Duration = Duration::from_millis(100);
/// A task shorter than this prints nothing on other kernels.
const QUIET: Duration = Duration::from_secs(2);

impl Progress {
    /// Begins a task: `what` is being done, `total` of `unit` in all where that is known.
    pub fn new(what: impl Into<String>, total: Option<u64>, unit: impl Into<String>) -> Self {
        static TASKS: AtomicU64 = AtomicU64::new(1);
        Self {
            task: TASKS.fetch_add(1, Ordering::Relaxed),
            what: what.into(),
            unit: unit.into(),
            total,
            done: AtomicU64::new(0),
            shown: Mutex::new(Shown { at: None, quarter: 0 }),
        }
    }

    /// Counts `by` more as done.
    pub fn advance(&self, by: u64) {
        let done = self.done.fetch_add(by, Ordering::Relaxed) + by;
        self.show(done, false);
    }

    /// Sets how much is done: a resumed download does not begin at none.
    pub fn set(&self, done: u64) {
        self.done.store(done, Ordering::Relaxed);
        self.show(done, false);
    }

    fn show(&self, done: u64, finished: bool) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if on_candlewick_kernel() {
            if finished || shown.at.is_none_or(|at| now - at >= INTERVAL) {
                shown.at = Some(now);
                send(&self.line(done, finished));
            }
            return;
        }
        let began = *shown.at.get_or_insert(now);
        let quarter = self.total.map_or(0, |total| 4 * done / total.max(1));
        if !finished && now - began >= QUIET && quarter > shown.quarter {
            shown.quarter = quarter;
            println!("{}: {}% of {} {}", self.what, 25 * quarter, self.total.unwrap_or(done), self.unit);
        }
    }

    fn line(&self, done: u64, finished: bool) -> Line {
        Line::Progress {
            task: self.task,
            what: self.what.clone(),
            done,
            total: self.total,
            unit: self.unit.clone(),
            finished,
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.show(self.done.load(Ordering::Relaxed), true);
    }
}
