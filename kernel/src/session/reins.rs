//! A hold on a session from other threads: to interrupt a cell, and to end everything.

use super::Control;
use crate::tools::{COMPILING, REFUSED};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
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
    /// Whether it is another thread that says so, for all cells of one request.
    held: bool,
    interrupted: bool,
    /// Whether the cells' process was ended because it did not stop.
    ended_child: bool,
    /// The compiler that looks at the cell, in a group of its own.
    judge: Option<u32>,
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
        state.ended_child = false;
        if !state.held {
            (state.busy, state.interrupted) = (true, false);
        }
    }

    /// A cell has ended.
    pub fn end(&self) {
        let mut state = self.state();
        state.busy = state.held;
    }

    /// Something is compiled from now on.
    pub fn compiling(&self) {
        self.forget_compiler();
        let mut state = self.state();
        // As a rule it is not there.
        let _ = std::fs::remove_file(self.folder.join(REFUSED));
        if state.interrupted {
            self.refuse();
        }
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

    /// Whether the cells' process was ended because the cell did not stop when it was asked.
    pub fn has_ended_child(&self) -> bool {
        self.state().ended_child
    }

    /// Starts the compiler that looks at a cell; not where the cell has been asked to stop.
    ///
    /// # Errors
    /// Where it cannot be started.
    pub fn start_judge(&self, command: &mut Command) -> std::io::Result<Option<Child>> {
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(command, 0);
        // So that an interrupt finds either none or all of it.
        let mut state = self.state();
        if state.interrupted {
            return Ok(None);
        }
        let judge = command.spawn()?;
        state.judge = Some(judge.id());
        Ok(Some(judge))
    }

    /// That compiler has said all; its number may be another's soon.
    pub fn judged(&self) {
        self.state().judge = None;
    }

    /// Ends the compiler; what evcxr has compiled instead, fails too.
    pub fn stop_compiling(self: &Arc<Self>) {
        let number = self.state().number;
        self.stop_compiling_of(number);
    }

    fn stop_compiling_of(self: &Arc<Self>, number: u64) {
        {
            let state = self.state();
            if (state.phase, state.number) != (Phase::Compiling, number) {
                return;
            }
            self.refuse();
        }
        let reins = Arc::clone(self);
        std::thread::spawn(move || {
            while reins.is_still(Phase::Compiling, number, AGAIN) {
                end_compiler(&reins.folder);
            }
        });
        end_compiler(&self.folder);
    }

    /// Has nothing be compiled. Where that cannot be written, evcxr compiles once more.
    fn refuse(&self) {
        let _ = std::fs::write(self.folder.join(REFUSED), "");
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

    /// Ends the cells' process, where that execution still goes on: a session that is idle by now keeps its variables.
    fn end_child_of(&self, phase: Phase, number: u64) {
        let child = self.child();
        loop {
            {
                // While no other cell can begin.
                let mut state = self.state();
                if (state.phase, state.number) != (phase, number) {
                    return;
                }
                // evcxr may have it, to wait for its end.
                if let Ok(mut child) = child.try_lock() {
                    state.ended_child = true;
                    return end_group(&mut child);
                }
            }
            if !self.is_still(phase, number, AGAIN) {
                return;
            }
        }
    }

    /// Ends whatever the session has started: nothing more is compiled, and nothing runs.
    pub fn end_all(&self) {
        let phase = {
            let mut state = self.state();
            state.interrupted = true;
            self.refuse();
            if let Some(judge) = state.judge {
                signal_group(judge, Asked::ToEnd);
            }
            state.phase
        };
        if phase == Phase::Compiling {
            end_compiler(&self.folder);
        }
        end_with_its_group(&self.child());
    }
}

/// What other threads are given.
pub struct Rein(pub Arc<Reins>);

impl Control for Rein {
    fn begin(&self) {
        let mut state = self.0.state();
        if !state.held {
            (state.held, state.busy, state.interrupted) = (true, true, false);
        }
    }

    fn end(&self) {
        let mut state = self.0.state();
        (state.held, state.busy) = (false, false);
    }

    fn interrupt(&self) {
        let (phase, number) = {
            let mut state = self.0.state();
            if !state.busy {
                return;
            }
            state.interrupted = true;
            if let Some(judge) = state.judge {
                signal_group(judge, Asked::ToEnd);
            }
            // While no other cell can begin.
            if state.phase == Phase::Running {
                signal_group(self.0.child().lock().unwrap_or_else(PoisonError::into_inner).id(), Asked::ToStop);
            }
            (state.phase, state.number)
        };
        match phase {
            // It is looked at before anything more is done.
            Phase::Idle => return,
            Phase::Compiling => self.0.stop_compiling_of(number),
            Phase::Running => {}
        }
        // A cell that is being loaded, or has not begun for other reasons, hears nothing either.
        let reins = Arc::clone(&self.0);
        std::thread::spawn(move || {
            if reins.is_still(phase, number, GRACE) {
                reins.end_child_of(phase, number);
            }
        });
    }

    fn kill(&self) {
        self.0.end_all();
    }
}

/// Ends the cells' process, and what cells have started with it.
pub fn end_with_its_group(child: &Mutex<Child>) {
    end_group(&mut child.lock().unwrap_or_else(PoisonError::into_inner));
}

fn end_group(child: &mut Child) {
    // Where it has ended by itself, its number may be another's.
    if let Ok(None) = child.try_wait() {
        signal_group(child.id(), Asked::ToEnd);
        // Where there are no groups.
        let _ = child.kill();
    }
}

/// What a group of processes is asked.
#[derive(Clone, Copy)]
enum Asked {
    ToStop,
    ToEnd,
}

/// Asks a group that goes by the number of its first process.
#[cfg(unix)]
fn signal_group(group: u32, asked: Asked) {
    use rustix::process::{Pid, Signal, kill_process_group};
    let signal = match asked {
        Asked::ToStop => Signal::INT,
        Asked::ToEnd => Signal::KILL,
    };
    if let Some(group) = i32::try_from(group).ok().and_then(Pid::from_raw) {
        // It may have ended by itself.
        let _ = kill_process_group(group, signal);
    }
}

#[cfg(not(unix))]
fn signal_group(_: u32, _: Asked) {}

/// Ends the compiler with all that it has started.
fn end_compiler(folder: &Path) {
    let named = std::fs::read_to_string(folder.join(COMPILING)).ok();
    if let Some(group) = named.and_then(|text| text.parse().ok()) {
        signal_group(group, Asked::ToEnd);
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn reins(folder: &Path) -> Arc<Reins> {
        let child = Command::new("sleep").arg("600").spawn().unwrap();
        Reins::new(Arc::new(Mutex::new(child)), folder)
    }

    #[test]
    fn an_interrupt_is_meant_for_the_whole_request_and_for_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let reins = reins(folder.path());
        let rein = Rein(Arc::clone(&reins));
        rein.interrupt();
        rein.begin();
        assert!(!reins.is_interrupted(), "nothing ran then");
        rein.interrupt();
        for _ in 0..2 {
            reins.begin();
            assert!(reins.is_interrupted(), "it came before the session heard of the cell");
            reins.end();
        }
        rein.end();
        rein.interrupt();
        reins.begin();
        assert!(!reins.is_interrupted());
        reins.end();
        reins.end_all();
    }

    #[test]
    fn no_later_compilation_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (reins, refused) = (reins(folder.path()), folder.path().join(REFUSED));
        reins.begin();
        reins.compiling();
        let first = reins.state().number;
        reins.compiling();
        reins.stop_compiling_of(first);
        assert!(!refused.exists());
        Rein(Arc::clone(&reins)).interrupt();
        assert!(refused.exists());
        reins.compiling();
        assert!(refused.exists(), "it is interrupted");
        reins.begin();
        reins.compiling();
        assert!(!refused.exists());
        reins.idle();
        reins.end_all();
    }
}
