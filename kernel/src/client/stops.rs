//! The signals by which a person or the system stops this program, while kernels run.
//!
//! A kernel is in a process group of its own, so Ctrl-C reaches us alone: we pass it on, and clean up.

use std::sync::atomic::{AtomicBool, Ordering};

/// Signals belong to the process, so what is known of them does too.
static STOPPED: AtomicBool = AtomicBool::new(false);

/// Whether this program has been asked to stop. Sessions under way end their cells; nothing new should begin.
pub fn was_stopped() -> bool {
    STOPPED.load(Ordering::SeqCst)
}

/// How urgently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Ctrl-C: the cell may end by itself.
    Politely,
    /// We are to end now.
    AtOnce,
}

#[cfg(unix)]
pub use unix::Stops;

#[cfg(unix)]
mod unix {
    use super::{Ordering, STOPPED, Stop};
    use tokio::signal::unix::{Signal, SignalKind, signal};

    /// Hears signals from its making on.
    pub struct Stops {
        interrupt: Signal,
        terminate: Signal,
        hang_up: Signal,
    }

    impl Stops {
        /// Begins to hear them; they do not end this process any more.
        ///
        /// # Errors
        /// Where the system refuses.
        pub fn new() -> std::io::Result<Self> {
            Ok(Self {
                interrupt: signal(SignalKind::interrupt())?,
                terminate: signal(SignalKind::terminate())?,
                hang_up: signal(SignalKind::hangup())?,
            })
        }

        /// Waits for the next one.
        pub async fn next(&mut self) -> Stop {
            let stop = tokio::select! {
                _ = self.interrupt.recv() => Stop::Politely,
                _ = self.terminate.recv() => Stop::AtOnce,
                _ = self.hang_up.recv() => Stop::AtOnce,
            };
            STOPPED.store(true, Ordering::SeqCst);
            stop
        }
    }
}

/// Hears Ctrl-C.
#[cfg(not(unix))]
pub struct Stops;

#[cfg(not(unix))]
impl Stops {
    /// Begins to hear it.
    ///
    /// # Errors
    /// None.
    pub fn new() -> std::io::Result<Self> {
        Ok(Self)
    }

    /// Waits for the next one.
    pub async fn next(&mut self) -> Stop {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
        STOPPED.store(true, Ordering::SeqCst);
        Stop::Politely
    }
}
