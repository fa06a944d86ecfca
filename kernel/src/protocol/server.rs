//! The kernel's five sockets and what is common to all requests; what comes on control.

use super::KernelInfo;
use super::connection_file::ports;
use super::history::History;
use super::history_file::HistoryFile;
use super::late::{self, Last};
use super::log::Log;
use super::session_thread::{Open, SessionThread};
use super::shell::{Shell, refused};
use super::sockets::{Socket, Welcome};
use super::wire::{PROTOCOL, Request, Wire};
use super::zmtp::Kind;
use anyhow::Result;
use jupyter_protocol::connection_info::ConnectionInfo;
use jupyter_protocol::messaging::Header;
use serde_json::{Value, json};
use std::cell::{Cell, RefCell};
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

/// How long a session may take to hear of an interrupt.
const HEARD: Duration = Duration::from_secs(1);

/// How long what is under way may take to end once the kernel is shut down.
pub(super) const GRACE: Duration = Duration::from_secs(1);

/// What all requests need.
pub(super) struct Server {
    connection: ConnectionInfo,
    kernel: KernelInfo,
    wire: Rc<Wire>,
    pub(super) log: Rc<Log>,
    pub(super) shell: Rc<Socket>,
    iopub: Rc<Socket>,
    pub(super) stdin: Rc<Socket>,
    control: Rc<Socket>,
    pub(super) session: SessionThread,
    /// The cell that ran last.
    pub(super) last: RefCell<Option<Last>>,
    /// Counts the interrupts.
    pub(super) interrupts: watch::Sender<u64>,
    /// Whether the kernel is to end.
    pub(super) stopped: watch::Sender<bool>,
}

/// Serves until the kernel is shut down, or `from_outside` comes to its end. Must be in a [`tokio::task::LocalSet`].
///
/// # Errors
/// Where no thread can be started for the session.
pub(super) async fn run(
    connection: &ConnectionInfo,
    listeners: [TcpListener; 5],
    kernel: KernelInfo,
    history: Option<PathBuf>,
    open: Open,
    from_outside: impl AsyncFnOnce(&Server),
) -> Result<()> {
    let log = Rc::new(Log::new());
    let wire = Rc::new(Wire::new(&connection.key, &uuid::Uuid::new_v4().to_string()));
    if connection.key.is_empty() {
        log.line("the connection file has no key: anyone who reaches the ports can run cells");
    }
    let [shell, iopub, stdin, control, heartbeat] = listeners;
    let (shell, requests) = Socket::open("shell", Kind::Router, shell, &wire, None, &log);
    let (iopub, _) = Socket::open("iopub", Kind::Publisher, iopub, &wire, Some(welcome(&wire)), &log);
    let (stdin, answers) = Socket::open("stdin", Kind::Router, stdin, &wire, None, &log);
    let (control, orders) = Socket::open("control", Kind::Router, control, &wire, None, &log);
    let (_heartbeat, _) = Socket::open("heartbeat", Kind::Echo, heartbeat, &wire, None, &log);
    let session = SessionThread::start(open)?;
    let (interrupts, stopped) = (watch::Sender::new(0), watch::Sender::new(false));
    let connection = connection.clone();
    let (last, late) = (RefCell::new(None), session.late());
    let server =
        Server { connection, kernel, wire, log, shell, iopub, stdin, control, session, last, interrupts, stopped };
    let server = Rc::new(server);
    if let Some(late) = late {
        tokio::task::spawn_local(late::publish(Rc::clone(&server), late));
    }
    let history = History::new(history.map(HistoryFile::new), Rc::clone(&server.log));
    let shell = tokio::task::spawn_local(Shell::new(Rc::clone(&server), requests, answers, history).run());
    let control = tokio::task::spawn_local(obey(Rc::clone(&server), orders));
    tokio::select! {
        () = server.stop() => {}
        () = from_outside(&server) => server.kill().await,
    }
    // Twice the grace: once for what is under way, once for what is queued behind it.
    let _ = timeout(GRACE * 2, shell).await;
    let _ = timeout(GRACE, control).await;
    let _ = timeout(GRACE, server.flush()).await;
    // A session's folder holds some thousand links.
    let _ = timeout(GRACE * 8, server.session.end()).await;
    Ok(())
}

/// JEP 65: a subscriber learns that it is one. The first also learns that the kernel starts: nobody was there to hear it.
fn welcome(wire: &Rc<Wire>) -> Welcome {
    let (wire, first) = (Rc::clone(wire), Cell::new(true));
    Box::new(move |topic| {
        let route = || vec![bytes::Bytes::copy_from_slice(topic)];
        let subscription = String::from_utf8_lossy(topic);
        let welcome = wire.sign("iopub_welcome", json!({"subscription": subscription}), None, route());
        let starting = wire.sign("status", json!({"execution_state": "starting"}), None, vec!["status".into()]);
        [Some(welcome), first.replace(false).then_some(starting)].into_iter().flatten().flatten().collect()
    })
}

/// Answers what comes on control, while cells run, until the kernel is to end.
async fn obey(server: Rc<Server>, mut orders: mpsc::Receiver<Request>) {
    loop {
        let request = tokio::select! {
            biased;
            () = server.stop() => return,
            request = orders.recv() => request,
        };
        let Some(request) = request else { return };
        let readable = request.readable();
        // First of all: it must not wait for front ends that lag.
        if readable.is_ok() && request.kind() == "interrupt_request" {
            server.interrupt().await;
        }
        server.status("busy", &request).await;
        let answer = match request.kind() {
            _ if readable.is_err() => {
                readable.err().filter(|_| request.reply_kind().is_some()).map(|why| refused(&why))
            }
            "interrupt_request" => Some(json!({"status": "ok"})),
            "kernel_info_request" => Some(server.kernel_info()),
            "debug_request" => Some(no_debugger(&request)),
            "shutdown_request" => {
                server.shut_down(&server.control, &request).await;
                None
            }
            other => {
                server.log.line(&format!("control: {other} is ignored: unknown here"));
                None
            }
        };
        if let Some(answer) = answer {
            server.answer(&server.control, &request, answer).await;
        }
        server.status("idle", &request).await;
    }
}

fn no_debugger(request: &Request) -> Value {
    let [sequence, command] = ["seq", "command"].map(|name| request.get(name).clone());
    let why = "this kernel has no debugger";
    json!({"type": "response", "seq": 1, "request_seq": sequence, "command": command, "success": false, "message": why,
        "body": {}})
}

impl Server {
    /// Sends to all subscribers.
    pub(super) async fn publish(&self, kind: &str, content: Value, parent: &Header) {
        match self.wire.sign(kind, content, Some(parent), vec![kind.to_owned().into()]) {
            Ok(frames) => self.iopub.publish(&frames).await,
            Err(why) => self.log.line(&format!("iopub: {why:#}")),
        }
    }

    /// Says that a request begins to be handled, or that it has been.
    pub(super) async fn status(&self, state: &str, request: &Request) {
        self.publish("status", json!({"execution_state": state}), &request.header).await;
    }

    /// Answers a request on the socket that it came on.
    pub(super) async fn answer(&self, socket: &Socket, request: &Request, content: Value) {
        let kind = request.reply_kind().unwrap_or_else(|| request.kind().to_owned());
        self.send(socket, request, &kind, content).await;
    }

    /// Sends to who sent a request.
    pub(super) async fn send(&self, socket: &Socket, request: &Request, kind: &str, content: Value) {
        match self.wire.answer(request, kind, content) {
            Ok(frames) => socket.send(&request.peer, &frames).await,
            Err(why) => self.log.line(&format!("{kind}: {why:#}")),
        }
    }

    /// Stops the cell that runs, and no later one: it comes back when the session has heard.
    pub(super) async fn interrupt(&self) {
        self.interrupts.send_modify(|interrupts| *interrupts += 1);
        if let Some(control) = self.session.control() {
            let heard = tokio::task::spawn_blocking(move || control.interrupt());
            // What comes next on control, a shutdown for one, must not wait for a session that is stuck.
            let _ = timeout(HEARD, heard).await;
        }
    }

    /// Answers a request for the kernel's end, and brings it about.
    pub(super) async fn shut_down(&self, socket: &Socket, request: &Request) {
        let content = json!({"status": "ok", "restart": request.flag("restart", false)});
        self.answer(socket, request, content.clone()).await;
        self.publish("shutdown_reply", content, &request.header).await;
        self.kill().await;
    }

    /// Ends the session's cell at once, and then the kernel.
    pub(super) async fn kill(&self) {
        self.stopped.send_replace(true);
        if let Some(control) = self.session.control() {
            let _ = timeout(GRACE, tokio::task::spawn_blocking(move || control.kill())).await;
        }
    }

    /// Waits until the kernel is to end.
    pub(super) async fn stop(&self) {
        // It cannot fail: the sender is here.
        let _ = self.stopped.subscribe().wait_for(|stopped| *stopped).await;
    }

    async fn flush(&self) {
        for socket in [&self.shell, &self.control, &self.stdin, &self.iopub] {
            socket.flush().await;
        }
    }

    /// What the kernel is, for `kernel_info_request`.
    pub(super) fn kernel_info(&self) -> Value {
        let KernelInfo { implementation, version, banner, language, help_links } = &self.kernel;
        json!({
            "status": "ok", "protocol_version": PROTOCOL, "implementation": implementation,
            "implementation_version": version, "banner": banner, "language_info": language,
            "help_links": help_links, "debugger": false, "supported_features": [],
        })
    }

    /// Where the kernel listens, for `connect_request`.
    pub(super) fn ports(&self) -> Value {
        let port = |(name, port)| (format!("{}_port", if name == "heartbeat" { "hb" } else { name }), json!(port));
        let status = ("status".to_owned(), json!("ok"));
        Value::Object(ports(&self.connection).map(port).into_iter().chain([status]).collect())
    }
}
