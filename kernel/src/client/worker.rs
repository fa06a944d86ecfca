//! The thread that owns a kernel: starts it, has it run cells, interrupts it, and ends it.

use super::messages::Heard;
use super::process::{Launch, Process};
use super::stops::{Stop, Stops};
use super::wire::{Message, Origin, Wire};
use crate::session::{Outcome, Output, Report};
use anyhow::{Context, Result, bail};
use jupyter_zmq_client::{ExecuteRequest, InterruptRequest, KernelInfoRequest, ShutdownRequest};
use std::time::Duration;
use tokio::sync::mpsc::{Sender, UnboundedReceiver};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use uuid::Uuid;

/// How long a kernel may take to start. Ours may have crates to compile first.
const START: Duration = Duration::from_secs(900);
/// How often a connection is tried that breaks off.
const ATTEMPTS: usize = 20;
/// How long to wait before it is tried again.
const BETWEEN_ATTEMPTS: Duration = Duration::from_millis(100);
/// How long to wait for a published answer before asking again: subscriptions take a moment.
const ASK_AGAIN: Duration = Duration::from_millis(500);
/// How long outputs may come after a cell's reply, from a kernel that does not say when it is idle.
const LATE: Duration = Duration::from_secs(4);
/// How long a cell may take to end once it is interrupted.
const DEAF: Duration = Duration::from_secs(5);
/// How long messages may be under way from a kernel that has died.
const LAST_WORDS: Duration = Duration::from_millis(500);
/// How long a kernel may take to end once it is told to.
const SHUTDOWN: Duration = Duration::from_secs(5);

/// What others ask of the thread.
pub enum Command {
    /// Run a cell.
    Execute {
        /// Its text.
        code: String,
        /// Takes what happens; the last is its end.
        events: Sender<Event>,
    },
    /// Interrupt the cell under way.
    Interrupt,
    /// End the kernel at once.
    Kill,
    /// Shut it down; the thread ends.
    Close,
}

/// What happens while a cell runs.
pub enum Event {
    /// It sends something.
    Sent(Output),
    /// It has come to its end.
    Ended(Outcome),
}

/// The thread's body.
pub fn run(launch: Launch, commands: UnboundedReceiver<Command>, ready: &std::sync::mpsc::Sender<Result<()>>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let end = runtime.context("cannot make a runtime").map(|runtime| {
        runtime.block_on(async {
            match Worker::start(launch, commands).await {
                Ok(worker) => {
                    // Nobody waits where the session was given up meanwhile; it is closed just the same.
                    let _ = ready.send(Ok(()));
                    worker.serve().await;
                    Ok(())
                }
                Err(error) => Err(error),
            }
        })
    });
    if let Err(error) = end.flatten() {
        let _ = ready.send(Err(error));
    }
}

struct Worker {
    launch: Launch,
    process: Process,
    wire: Wire,
    commands: UnboundedReceiver<Command>,
    stops: Stops,
    /// Why no more cells run.
    over: Option<Outcome>,
}

impl Worker {
    async fn start(launch: Launch, commands: UnboundedReceiver<Command>) -> Result<Self> {
        let mut stops = Stops::new().context("signals cannot be heard")?;
        let mut process = launch.start()?;
        let info = process.info.clone();
        let started = tokio::select! {
            wire = connect(&info) => wire,
            how = process.ended() => Err(anyhow::anyhow!("it ended while starting ({how})")),
            _ = stops.next() => Err(anyhow::anyhow!("stopped while it was starting")),
            () = sleep(START) => Err(anyhow::anyhow!("it gave no answer within {} s", START.as_secs())),
        };
        match started {
            Ok(wire) => Ok(Self { launch, process, wire, commands, stops, over: None }),
            Err(why) => {
                process.kill().await;
                let said = process.said();
                if said.is_empty() { Err(why) } else { bail!("{why:#}; it said:\n{said}") }
            }
        }
    }

    async fn serve(mut self) {
        loop {
            // Between cells nobody waits for messages; the queue must not fill all the same.
            tokio::select! {
                command = self.commands.recv() => match command {
                    Some(Command::Execute { code, events }) => {
                        let outcome = self.execute(code, &events).await;
                        let _ = events.send(Event::Ended(outcome)).await;
                    }
                    Some(Command::Interrupt) => {}
                    Some(Command::Kill) => self.kill("it was killed").await,
                    Some(Command::Close) | None => break,
                },
                Some(_) = self.wire.next() => {}
                _ = self.stops.next() => {
                    self.over = Some(Outcome::Interrupted(Report::new("stopped by Ctrl-C")));
                }
            }
        }
        self.shut_down().await;
    }

    async fn execute(&mut self, code: String, events: &Sender<Event>) -> Outcome {
        if let Some(over) = &self.over {
            return over.clone();
        }
        let request = ExecuteRequest { code, allow_stdin: false, stop_on_error: false, ..ExecuteRequest::default() };
        let id = match self.wire.ask(request).await {
            Ok(id) => id,
            Err(why) => return Outcome::Failed(Report::new(format!("{why:#}"))),
        };
        self.listen(&id, events).await
    }

    /// Takes in what comes until the cell has ended, one way or another.
    async fn listen(&mut self, id: &str, events: &Sender<Event>) -> Outcome {
        let mut cell = Running::default();
        while !cell.heard.is_whole() {
            tokio::select! {
                message = self.wire.next() => match message {
                    Some(message) if message.parent == id => cell.take(&message, events).await,
                    Some(_) => {}
                    None => return Outcome::Failed(Report::new("the connection to the kernel broke")),
                },
                how = self.process.ended(), if cell.dead.is_none() => cell.dies(how),
                command = self.commands.recv() => match command {
                    Some(Command::Interrupt) => self.interrupt(&mut cell).await,
                    Some(Command::Kill) | None => self.process.kill().await,
                    // One session asks for one thing at a time.
                    Some(Command::Execute { .. } | Command::Close) => {}
                },
                stop = self.stops.next() => {
                    self.over = Some(Outcome::Interrupted(Report::new("stopped by Ctrl-C")));
                    let again = cell.interrupted;
                    match stop {
                        Stop::Politely if !again => self.interrupt(&mut cell).await,
                        _ => {
                            cell.interrupted = true;
                            self.process.kill().await;
                        }
                    }
                }
                () = sleep_until(cell.until.unwrap_or_else(Instant::now)), if cell.until.is_some() => {
                    if cell.dead.is_some() || cell.heard.has_reply() {
                        break;
                    }
                    cell.until = None;
                    cell.deaf = true;
                    self.process.kill().await;
                }
            }
        }
        self.ending(cell)
    }

    async fn interrupt(&mut self, cell: &mut Running) {
        if std::mem::replace(&mut cell.interrupted, true) {
            return;
        }
        cell.until = Some(Instant::now() + DEAF);
        if self.launch.by_message {
            // Where the message does not get through, the time runs out.
            let _ = self.wire.command(InterruptRequest {}).await;
        } else {
            self.process.interrupt().await;
        }
    }

    fn ending(&mut self, cell: Running) -> Outcome {
        let lost = "all variables are lost";
        if let Some(how) = cell.dead {
            let said = self.process.said();
            let outcome = if cell.deaf {
                let message = format!("it did not stop within {} s and was ended: {lost}", DEAF.as_secs());
                Outcome::Interrupted(Report::new(message))
            } else if cell.interrupted {
                Outcome::Interrupted(Report::new(format!("the kernel ended on it ({how}): {lost}")))
            } else {
                Outcome::Died(Report { message: format!("the kernel ended: {how}"), line: None, detail: said })
            };
            self.over = Some(Outcome::Failed(Report::new("the kernel has ended")));
            return outcome;
        }
        let outcome = cell.heard.outcome();
        match outcome {
            Outcome::Error { name, message, traceback } if cell.interrupted => {
                let message = [name, message].into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>();
                Outcome::Interrupted(Report { message: message.join(": "), line: None, detail: traceback.join("\n") })
            }
            _ if cell.interrupted => Outcome::Interrupted(Report::default()),
            outcome => outcome,
        }
    }

    async fn kill(&mut self, why: &str) {
        self.process.kill().await;
        self.over = Some(Outcome::Died(Report::new(format!("the kernel ended: {why}"))));
    }

    /// Asks it to end, and waits; then ends whatever is left.
    async fn shut_down(mut self) {
        if self.wire.command(ShutdownRequest { restart: false }).await.is_ok() {
            let _ = timeout(SHUTDOWN, self.process.ended()).await;
        }
        self.process.kill().await;
    }
}

/// A cell under way.
#[derive(Default)]
struct Running {
    heard: Heard,
    /// How the process ended, if it did.
    dead: Option<String>,
    interrupted: bool,
    /// Whether the interrupt was not listened to.
    deaf: bool,
    /// When to wait no longer.
    until: Option<Instant>,
}

impl Running {
    async fn take(&mut self, message: &Message, events: &Sender<Event>) {
        match (message.origin, message.kind.as_str()) {
            (Origin::IoPub, kind) => {
                if let Some(output) = self.heard.published(kind, &message.content) {
                    // Where nobody takes it any more, there is nobody to tell.
                    let _ = events.send(Event::Sent(output)).await;
                }
            }
            (Origin::Shell, "execute_reply") => {
                self.heard.replied(&message.content);
                self.until = Some(Instant::now() + LATE);
            }
            _ => {}
        }
    }

    fn dies(&mut self, how: String) {
        self.dead = Some(how);
        self.until = Some(Instant::now() + LAST_WORDS);
    }
}

/// A kernel that is just beginning to listen may break off a connection; so may whoever has had its port before.
async fn connect_again_and_again(info: &jupyter_protocol::ConnectionInfo) -> Result<Wire> {
    for _ in 0..ATTEMPTS {
        if let Ok(wire) = Wire::connect(info, &Uuid::new_v4().to_string()).await {
            return Ok(wire);
        }
        sleep_until(Instant::now() + BETWEEN_ATTEMPTS).await;
    }
    Wire::connect(info, &Uuid::new_v4().to_string()).await
}

/// Connects, and waits for an answer on shell, and for one on iopub: what is published before we hear it is lost.
async fn connect(info: &jupyter_protocol::ConnectionInfo) -> Result<Wire> {
    let mut wire = connect_again_and_again(info).await?;
    let (mut answered, mut published) = (false, false);
    while !(answered && published) {
        let id = wire.ask(KernelInfoRequest {}).await?;
        let again = Instant::now() + ASK_AGAIN;
        while !(answered && published) {
            // A kernel that has begun to answer is asked again where its published words are not heard.
            let next = tokio::select! {
                message = wire.next() => message.context("the connection to the kernel broke")?,
                () = sleep_until(again), if answered => break,
            };
            answered |= next.origin == Origin::Shell && next.parent == id;
            published |= next.origin == Origin::IoPub;
        }
    }
    Ok(wire)
}
