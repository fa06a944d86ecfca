//! A session whose cells may take only so long.

use crate::session::{Completeness, Completions, Control, Host, Outcome, Report, Session};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

/// Interrupts cells of another session that take too long.
pub struct Timed {
    session: Box<dyn Session>,
    limit: Duration,
}

impl Timed {
    /// Limits the cells of `session`, where a limit is given.
    pub fn limit(session: Box<dyn Session>, limit: Option<Duration>) -> Box<dyn Session> {
        match limit {
            Some(limit) => Box::new(Self { session, limit }),
            None => session,
        }
    }
}

impl Session for Timed {
    fn execute(&mut self, code: &str, host: &mut dyn Host) -> Outcome {
        let (control, limit) = (self.session.control(), self.limit);
        let (over, ended) = channel::<()>();
        let (outcome, late) = std::thread::scope(|scope| {
            let watch = scope.spawn(move || {
                let late = ended.recv_timeout(limit) == Err(RecvTimeoutError::Timeout);
                if late {
                    control.interrupt();
                }
                late
            });
            let outcome = self.session.execute(code, host);
            drop(over);
            (outcome, watch.join().unwrap_or_default())
        });
        match outcome {
            Outcome::Interrupted(report) if late => {
                let said = [report.message.trim(), report.detail.trim()].join("\n");
                let message = format!("it took longer than {} s", self.limit.as_secs());
                Outcome::Interrupted(Report { message, detail: said.trim().to_owned(), ..report })
            }
            outcome => outcome,
        }
    }

    fn control(&self) -> Arc<dyn Control> {
        self.session.control()
    }

    fn completeness(&self, code: &str) -> Completeness {
        self.session.completeness(code)
    }

    fn complete(&mut self, code: &str, cursor: usize) -> Completions {
        self.session.complete(code, cursor)
    }

    fn inspect(&mut self, code: &str, cursor: usize, source: bool) -> Option<BTreeMap<String, String>> {
        self.session.inspect(code, cursor, source)
    }

    fn peak_memory(&self) -> Option<u64> {
        self.session.peak_memory()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::echo::Echo;
    use crate::session::Output;
    use std::sync::{Condvar, Mutex};

    /// Runs every cell until it is interrupted, even where that comes before the cell.
    #[derive(Default)]
    struct Endless(Arc<Interrupted>);

    #[derive(Default)]
    struct Interrupted(Mutex<bool>, Condvar);

    impl Control for Interrupted {
        fn interrupt(&self) {
            *self.0.lock().unwrap() = true;
            self.1.notify_all();
        }
        fn kill(&self) {}
    }

    impl Session for Endless {
        fn execute(&mut self, _: &str, _: &mut dyn Host) -> Outcome {
            drop(self.0.1.wait_while(self.0.0.lock().unwrap(), |interrupted| !*interrupted).unwrap());
            Outcome::Interrupted(Report::new("nothing is lost"))
        }
        fn control(&self) -> Arc<dyn Control> {
            Arc::clone(&self.0) as Arc<dyn Control>
        }
        fn completeness(&self, _: &str) -> Completeness {
            Completeness::Complete
        }
        fn complete(&mut self, _: &str, _: usize) -> Completions {
            Completions::default()
        }
        fn inspect(&mut self, _: &str, _: usize, _: bool) -> Option<BTreeMap<String, String>> {
            None
        }
        fn peak_memory(&self) -> Option<u64> {
            None
        }
    }

    fn ends(session: Box<dyn Session>, limit: Duration, code: &str) -> Outcome {
        Timed::limit(session, Some(limit)).execute(code, &mut |_: Output| {})
    }

    #[test]
    fn a_cell_that_takes_too_long_is_interrupted_and_told_why() {
        let outcome = ends(Box::new(Endless::default()), Duration::ZERO, "");
        let Outcome::Interrupted(report) = outcome else { panic!("{outcome:?}") };
        assert_eq!((report.message.as_str(), report.detail.as_str()), ("it took longer than 0 s", "nothing is lost"));
    }

    #[test]
    fn others_end_as_they_do() {
        let hour = Duration::from_secs(3600);
        assert_eq!(ends(Box::new(Echo::default()), hour, "print a"), Outcome::Done);
        let interrupted = ends(Box::new(Echo::default()), hour, "interrupt");
        assert!(matches!(interrupted, Outcome::Interrupted(report) if report.message.is_empty()));
    }
}
