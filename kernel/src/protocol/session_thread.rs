//! The session on its own thread: it is opened there, lives there, and does one thing after another.

use crate::session::{Answer, Control, Host, Outcome, Output, Report, Session};
use anyhow::{Context, Result};
use std::cell::RefCell;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::RecvTimeoutError;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};

/// Opens a session, and says how far that has come.
pub(super) type Open = Box<dyn FnOnce(&mut dyn FnMut(Output)) -> Result<Box<dyn Session>> + Send>;

type Job = Box<dyn FnOnce(&mut dyn Session) + Send>;

/// Compilers recurse: the main thread's usual 8 MiB are the least they expect.
const STACK: usize = 32 << 20;

/// How many outputs of a cell may wait before the cell waits, too.
const MOST_EVENTS: usize = 64;

/// How often the session is asked, between cells, what threads say that cells have left running.
const LOOK: Duration = Duration::from_millis(50);

/// How far opening has come.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Opening {
    Busy,
    Ready,
    /// It never will be, and why.
    Failed(String),
}

/// Why a session did not answer.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Fault {
    /// It panicked, saying this.
    Panicked(String),
    /// It is there no more.
    Gone,
}

impl Fault {
    /// The same as the end of a cell.
    pub(super) fn outcome(self) -> Outcome {
        match self {
            Self::Panicked(why) => Outcome::Failed(Report {
                message: format!("a fault of the kernel itself was caught: {why}"),
                line: None,
                detail: "The cell may have run in part. If the next cells fail like this, too, restart the kernel."
                    .into(),
            }),
            Self::Gone => Outcome::Failed(Report::new("the session has ended: restart the kernel")),
        }
    }
}

/// What a running cell says, and asks.
pub(super) enum Event {
    Output(Output),
    Ask { prompt: String, secret: bool, answer: oneshot::Sender<Option<String>> },
}

/// A session as seen from the thread of the sockets.
pub(super) struct SessionThread {
    jobs: RefCell<Option<std::sync::mpsc::Sender<Job>>>,
    control: Arc<OnceLock<Arc<dyn Control>>>,
    /// What opening says, for the first cell that waits for it.
    pub(super) said: RefCell<mpsc::UnboundedReceiver<Output>>,
    pub(super) opening: watch::Receiver<Opening>,
    /// What is said between cells, for who takes it first.
    late: RefCell<Option<mpsc::Receiver<Event>>>,
    ended: RefCell<oneshot::Receiver<()>>,
}

impl SessionThread {
    /// Starts the thread, which begins to open.
    ///
    /// # Errors
    /// Where the system has no more threads.
    pub(super) fn start(open: Open) -> Result<Self> {
        let (jobs, todo) = std::sync::mpsc::channel::<Job>();
        let (say, said) = mpsc::unbounded_channel();
        let (progress, opening) = watch::channel(Opening::Busy);
        let (between, late) = mpsc::channel(MOST_EVENTS);
        let (alive, ended) = oneshot::channel::<()>();
        let control = Arc::new(OnceLock::new());
        let slot = Arc::clone(&control);
        let live = move || {
            let _alive = alive;
            match opened(open, say) {
                Ok(mut session) => {
                    let _ = slot.set(session.control());
                    progress.send_replace(Opening::Ready);
                    work(session.as_mut(), &todo, &mut CellHost { events: between });
                }
                Err(why) => drop(progress.send_replace(Opening::Failed(why))),
            }
        };
        let thread = std::thread::Builder::new().name("session".to_owned()).stack_size(STACK);
        thread.spawn(live).context("cannot start a thread for the session")?;
        let (jobs, said, ended) = (RefCell::new(Some(jobs)), RefCell::new(said), RefCell::new(ended));
        Ok(Self { jobs, control, said, opening, late: RefCell::new(Some(late)), ended })
    }

    /// What is said between cells; none where somebody has it. The session waits where it is not read.
    pub(super) fn late(&self) -> Option<mpsc::Receiver<Event>> {
        self.late.take()
    }

    /// A hold on the session, once it is open.
    pub(super) fn control(&self) -> Option<Arc<dyn Control>> {
        self.control.get().cloned()
    }

    /// A request begins that runs cells, or goes on to: an interrupt is meant for it from now on.
    pub(super) fn hold(&self) {
        if let Some(control) = self.control.get() {
            control.begin();
        }
    }

    /// That request has ended.
    pub(super) fn release(&self) {
        if let Some(control) = self.control.get() {
            control.end();
        }
    }

    pub(super) fn is_open(&self) -> bool {
        *self.opening.borrow() == Opening::Ready
    }

    /// Begins something on the session, after what was begun before. What comes of it can be waited for.
    pub(super) fn begin<T, W>(&self, work: W) -> impl Future<Output = Result<T, Fault>> + use<T, W>
    where
        T: Send + 'static,
        W: FnOnce(&mut dyn Session) -> T + Send + 'static,
    {
        let (sender, receiver) = oneshot::channel();
        let job = Box::new(move |session: &mut dyn Session| {
            let result = catch_unwind(AssertUnwindSafe(|| work(session)));
            let _ = sender.send(result.map_err(|panic| Fault::Panicked(message(&*panic))));
        });
        if let Some(jobs) = &*self.jobs.borrow() {
            // Where it fails, nobody is there, as the receiver will find.
            let _ = jobs.send(job);
        }
        async { receiver.await.unwrap_or(Err(Fault::Gone)) }
    }

    /// Begins a cell: what it says, until it is over, and then how it ended.
    pub(super) fn execute(
        &self,
        code: String,
    ) -> (mpsc::Receiver<Event>, impl Future<Output = Result<Outcome, Fault>> + use<>) {
        let (events, said) = mpsc::channel(MOST_EVENTS);
        let ended = self.begin(move |session| session.execute(&code, &mut CellHost { events }));
        (said, ended)
    }

    /// Lets the session go; waits until it is gone.
    pub(super) async fn end(&self) {
        self.jobs.take();
        let (_, nobody) = oneshot::channel();
        let _ = self.ended.replace(nobody).await;
    }
}

/// Does what is to be done until there is nobody to ask for it; between, the session has some time of its own.
fn work(session: &mut dyn Session, todo: &std::sync::mpsc::Receiver<Job>, between: &mut CellHost) {
    loop {
        match todo.recv_timeout(LOOK) {
            Ok(job) => job(session),
            // Where it panics, the next cell tells.
            Err(RecvTimeoutError::Timeout) => drop(catch_unwind(AssertUnwindSafe(|| session.idle(between)))),
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

fn opened(open: Open, say: mpsc::UnboundedSender<Output>) -> Result<Box<dyn Session>, String> {
    let mut progress = |output| {
        if let Output::Stderr(text) = &output {
            let _ = write!(std::io::stderr(), "{text}");
        }
        let _ = say.send(output);
    };
    match catch_unwind(AssertUnwindSafe(|| open(&mut progress))) {
        Ok(opened) => opened.map_err(|error| format!("{error:#}")),
        Err(panic) => Err(format!("a fault of the kernel itself was caught: {}", message(&*panic))),
    }
}

fn message(panic: &(dyn std::any::Any + Send)) -> String {
    crate::panics::message(panic).unwrap_or_else(|| "a panic without a message".to_owned())
}

struct CellHost {
    events: mpsc::Sender<Event>,
}

impl Host for CellHost {
    /// Waits where the front ends do not keep up. Where nobody listens any more, the kernel is about to end.
    fn send(&mut self, output: Output) {
        let _ = self.events.blocking_send(Event::Output(output));
    }

    /// Where the question goes, whoever asks the person hears of it: nobody waits for the answer any more.
    fn ask(&mut self, prompt: &str, secret: bool) -> Answer {
        let (answer, mut answered) = oneshot::channel();
        let asked = self.events.blocking_send(Event::Ask { prompt: prompt.to_owned(), secret, answer });
        Box::new(move || match answered.try_recv() {
            Err(oneshot::error::TryRecvError::Empty) if asked.is_ok() => None,
            answered => Some(answered.ok().flatten()),
        })
    }
}
