//! Pictures as they climb: a grid that is drawn anew a few times a second.

use crate::Result;
use crate::notebook::{Picture, display, on_candlewick_kernel};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A display that is replaced on the candlewick kernel; a few whole lines elsewhere.
pub(super) struct Live {
    id: String,
    heading: String,
    steps: usize,
    began: Instant,
    drawn: Option<Instant>,
    quarter: usize,
}

/// Often enough to look alive, seldom enough to cost little.
const INTERVAL: Duration = Duration::from_millis(300);
/// Climbs shorter than this print nothing on other kernels.
const QUIET: Duration = Duration::from_secs(2);

impl Live {
    pub fn new(heading: &str, steps: usize) -> Self {
        static CLIMBS: AtomicU64 = AtomicU64::new(1);
        let climb = CLIMBS.fetch_add(1, Ordering::Relaxed);
        let id = format!("climb-{}-{climb}", std::process::id());
        Self { id, heading: heading.to_owned(), steps, began: Instant::now(), drawn: None, quarter: 0 }
    }

    /// Shows how far it has come, with the grid that `draw` makes where it is time for one.
    pub fn show(&mut self, done: usize, objective: f32, draw: impl FnOnce() -> Result<Picture>) {
        let line = format!("{}: step {done} of {}, objective {objective:.3}", self.heading, self.steps);
        if on_candlewick_kernel() {
            if done < self.steps && self.drawn.is_none_or(|at| at.elapsed() >= INTERVAL) {
                self.drawn = Some(Instant::now());
                match draw() {
                    Ok(picture) => display::update_with_picture(&self.id, &line, &picture),
                    Err(_) => display::update(&self.id, &line),
                }
            }
            return;
        }
        let quarter = 4 * done / self.steps.max(1);
        if done < self.steps && quarter > self.quarter && self.began.elapsed() >= QUIET {
            self.quarter = quarter;
            println!("{line}");
        }
    }

    /// The line that stays; the result shows the pictures itself.
    pub fn end(self, line: &str) {
        if on_candlewick_kernel() {
            display::update(&self.id, &format!("{line}, {:.1} s", self.began.elapsed().as_secs_f64()));
        }
    }
}
