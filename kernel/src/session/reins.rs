//! A hold on a session from other threads: to interrupt a cell, and to end everything.

use super::Control;
use crate::tools::{COMPILING, REFUSED};
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long a cell may take to stop when it is asked.
pub const GRACE: Duration = Duration::from_secs(3);
/// How often a compiler is looked for that has been asked to end before it began.
const AGAIN: Duration = Duration::from_millis(20);

/// What a session is doing, and the processes that do it.
pub struct Reins {
    child: Mutex<Arc<Mutex<Child>>>,
    folder: PathBuf,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct State {
    phase: Phase,
    /// How many executions there have been.
    number: u64,
    /// Whether a cell is under way, in whatever phase.
    busy: bool,
    interrupted: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Phase {
    #[default]
    Idle,
    Compiling,
    Running,
}

impl Reins {
    /// For the cells' process `child`, whose cells are compiled in `folder`.
    pub fn new(child: Arc<Mutex<Child>>, folder: &Path) -> Arc<Self> {
        let (state, changed) = (Mutex::default(), Condvar::new());
        Arc::new(Self { child: Mutex::new(child), folder: folder.to_path_buf(), state, changed })
    }

    /// A cell begins.
    pub fn begin(&self) {
        let mut state = self.state();
        (state.busy, state.interrupted) = (true, false);
    }

    /// A cell has ended.
    pub fn end(&self) {
        self.state().busy = false;
    }

    /// Something is compiled from now on.
    pub fn compiling(&self) {
        self.forget_compiler();
        // As a rule it is not there.
        let _ = std::fs::remove_file(self.folder.join(REFUSED));
        let mut state = self.state();
        (state.phase, state.number) = (Phase::Compiling, state.number + 1);
    }

    /// What was compiled runs from now on.
    pub fn running(&self) {
        self.forget_compiler();
        self.state().phase = Phase::Running;
        self.changed.notify_all();
    }

    /// What was compiled has ended.
    pub fn idle(&self) {
        self.forget_compiler();
        self.state().phase = Phase::Idle;
        self.changed.notify_all();
    }

    /// Whether the cell has been asked to stop.
    pub fn is_interrupted(&self) -> bool {
        self.state().interrupted
    }

    /// Ends the compiler; what evcxr has compiled instead, fails too.
    pub fn stop_compiling(self: &Arc<Self>) {
        let number = self.state().number;
        // Where it cannot be written, evcxr compiles once more.
        let _ = std::fs::write(self.folder.join(REFUSED), "");
        let reins = Arc::clone(self);
        std::thread::spawn(move || {
            while reins.is_still(Phase::Compiling, number, AGAIN) {
                end_group(&reins.folder);
            }
        });
        end_group(&self.folder);
    }

    /// The number of a process that has ended may be another's soon.
    fn forget_compiler(&self) {
        let _ = std::fs::remove_file(self.folder.join(COMPILING));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether that phase of that execution lasts for at least `time` more.
    fn is_still(&self, phase: Phase, number: u64, time: Duration) -> bool {
        let lasts = |state: &mut State| state.phase == phase && state.number == number;
        let waited = self.changed.wait_timeout_while(self.state(), time, lasts);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        lasts(&mut state)
    }

    /// Another process runs the cells from now on.
    pub fn replace_child(&self, child: Arc<Mutex<Child>>) {
        *self.child.lock().unwrap_or_else(PoisonError::into_inner) = child;
    }

    fn child(&self) -> Arc<Mutex<Child>> {
        Arc::clone(&self.child.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn end_child(&self) {
        // It may have ended by itself.
        let _ = self.child().lock().unwrap_or_else(PoisonError::into_inner).kill();
    }
}

/// What other threads are given.
pub struct Rein(pub Arc<Reins>);

impl Control for Rein {
    fn interrupt(&self) {
        let state = {
            let mut state = self.0.state();
            if !state.busy {
                return;
            }
            state.interrupted = true;
            *state
        };
        match state.phase {
            // It is looked at before anything more is done.
            Phase::Idle => return,
            Phase::Compiling => return self.0.stop_compiling(),
            Phase::Running => {}
        }
        ask_to_stop(self.0.child().lock().unwrap_or_else(PoisonError::into_inner).id());
        let reins = Arc::clone(&self.0);
        std::thread::spawn(move || {
            if reins.is_still(Phase::Running, state.number, GRACE) {
                reins.end_child();
            }
        });
    }

    fn kill(&self) {
        let phase = {
            let mut state = self.0.state();
            state.interrupted = true;
            state.phase
        };
        let _ = std::fs::write(self.0.folder.join(REFUSED), "");
        if phase == Phase::Compiling {
            end_group(&self.0.folder);
        }
        self.0.end_child();
    }
}

#[cfg(unix)]
fn ask_to_stop(process: u32) {
    use rustix::process::{Pid, Signal, kill_process};
    if let Some(process) = i32::try_from(process).ok().and_then(Pid::from_raw) {
        // It may have ended by itself.
        let _ = kill_process(process, Signal::INT);
    }
}

#[cfg(not(unix))]
fn ask_to_stop(_: u32) {}

/// Ends the compiler with all that it has started.
#[cfg(unix)]
fn end_group(folder: &Path) {
    use rustix::process::{Pid, Signal, kill_process_group};
    let named = std::fs::read_to_string(folder.join(COMPILING)).ok();
    if let Some(group) = named.and_then(|text| text.parse().ok()).and_then(Pid::from_raw) {
        let _ = kill_process_group(group, Signal::KILL);
    }
}

#[cfg(not(unix))]
fn end_group(_: &Path) {}
