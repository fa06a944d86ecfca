//! What comes on shell: one request after another, each with its reply and its status.

use super::history::History;
use super::server::{GRACE, Server};
use super::session_thread::Fault;
use super::wire::Request;
use super::{cursor, execute, page};
use crate::outputs::Failure;
use crate::session::{Completeness, Completions};
use anyhow::{Result, anyhow};
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::rc::Rc;
use tokio::sync::mpsc;

/// The shell's requests, and what they leave behind.
pub(super) struct Shell {
    pub(super) server: Rc<Server>,
    requests: mpsc::Receiver<Request>,
    /// Requests that were queued when a cell failed.
    aborted: VecDeque<Request>,
    /// What comes on stdin.
    pub(super) stdin: mpsc::Receiver<Request>,
    /// The cells that were run and counted.
    pub(super) count: u64,
    pub(super) history: History,
}

impl Shell {
    pub(super) fn new(
        server: Rc<Server>,
        requests: mpsc::Receiver<Request>,
        stdin: mpsc::Receiver<Request>,
        history: History,
    ) -> Self {
        Self { server, requests, aborted: VecDeque::new(), stdin, count: 0, history }
    }

    /// Answers until the kernel is to end, and then, in few words, what is still queued.
    pub(super) async fn run(mut self) {
        let server = Rc::clone(&self.server);
        loop {
            let next = tokio::select! {
                biased;
                () = server.stop() => break,
                next = self.next() => next,
            };
            let Some((request, aborted)) = next else { return };
            self.handle(&request, aborted).await;
        }
        self.abort_queue().await;
        for request in std::mem::take(&mut self.aborted) {
            server.status("busy", &request).await;
            server.answer(&server.shell, &request, json!({"status": "aborted"})).await;
            server.status("idle", &request).await;
        }
    }

    /// The next request, and whether it was queued when a cell failed.
    async fn next(&mut self) -> Option<(Request, bool)> {
        match self.aborted.pop_front() {
            Some(request) => Some((request, true)),
            None => Some((self.requests.recv().await?, false)),
        }
    }

    /// Marks all that is queued now.
    pub(super) async fn abort_queue(&mut self) {
        // What has arrived on the wire is queued, too, once it has been read.
        for _ in 0..3 {
            tokio::task::yield_now().await;
        }
        while let Ok(request) = self.requests.try_recv() {
            self.aborted.push_back(request);
        }
    }

    /// Whatever comes of a request: busy, its reply, idle.
    async fn handle(&mut self, request: &Request, aborted: bool) {
        let server = Rc::clone(&self.server);
        server.status("busy", request).await;
        let answer = if aborted && request.kind() == "execute_request" {
            Ok(Some(json!({"status": "aborted", "execution_count": self.count})))
        } else {
            tokio::select! {
                answer = self.dispatch(request) => answer,
                () = async { server.stop().await; tokio::time::sleep(GRACE).await } => Err(anyhow!("the kernel was shut down")),
            }
        };
        let answer = answer.unwrap_or_else(|why| {
            let mut answer = refused(&why);
            answer["execution_count"] = self.count.into();
            Some(answer)
        });
        // Nobody waits for an answer to what is no request.
        if let Some(answer) = answer.filter(|_| request.reply_kind().is_some()) {
            server.answer(&server.shell, request, answer).await;
        }
        server.status("idle", request).await;
    }

    /// A cell that cannot be read has failed, for whoever looks at it and for those behind it.
    async fn unreadable(&mut self, request: &Request, why: &anyhow::Error) -> Result<Option<Value>> {
        let server = Rc::clone(&self.server);
        let mut answer = refused(why);
        if request.kind() == "execute_request" {
            let mut shown = answer.clone();
            shown.as_object_mut().map(|shown| shown.remove("status"));
            server.publish("error", shown, &request.header).await;
            self.abort_queue().await;
        }
        answer["execution_count"] = self.count.into();
        Ok(Some(answer))
    }

    /// The reply to a request; none where there is to be none.
    async fn dispatch(&mut self, request: &Request) -> Result<Option<Value>> {
        let server = Rc::clone(&self.server);
        if let Err(why) = request.readable() {
            return self.unreadable(request, &why).await;
        }
        Ok(Some(match request.kind() {
            "execute_request" => execute::execute(self, request).await?,
            "kernel_info_request" => server.kernel_info(),
            "is_complete_request" => is_complete(&server, request).await?,
            "complete_request" => complete(&server, request).await?,
            "inspect_request" => inspect(&server, request).await?,
            "history_request" => json!({"status": "ok", "history": self.history.answer(request)?}),
            "comm_info_request" => json!({"status": "ok", "comms": {}}),
            "connect_request" => server.ports(),
            kind => {
                match kind {
                    "shutdown_request" => server.shut_down(&server.shell, request).await,
                    "comm_open" => close_comm(&server, request).await?,
                    _ => server.log.line(&format!("shell: {kind} is ignored: unknown here")),
                }
                return Ok(None);
            }
        }))
    }
}

/// The error reply to a request that asks for nothing that there is.
pub(super) fn refused(why: &anyhow::Error) -> Value {
    let why = format!("{why:#}");
    json!({"status": "error", "ename": "request", "evalue": why, "traceback": [why]})
}

/// There is nobody to talk to here, as the front end is to know.
async fn close_comm(server: &Server, request: &Request) -> Result<()> {
    let content = json!({"comm_id": request.text("comm_id")?, "data": {}});
    server.publish("comm_close", content, &request.header).await;
    Ok(())
}

async fn is_complete(server: &Server, request: &Request) -> Result<Value> {
    let code = request.text("code")?.to_owned();
    if page::asked(&code).is_some() {
        return Ok(json!({"status": "complete"}));
    }
    if !server.session.is_open() {
        return Ok(json!({"status": "unknown"}));
    }
    Ok(match server.session.begin(move |session| session.completeness(&code)).await {
        Ok(Completeness::Complete) => json!({"status": "complete"}),
        Ok(Completeness::Incomplete { indent }) => json!({"status": "incomplete", "indent": indent}),
        Ok(Completeness::Invalid) => json!({"status": "invalid"}),
        Err(_) => json!({"status": "unknown"}),
    })
}

/// The code of a request, and the byte at its cursor.
fn code_and_cursor(request: &Request) -> Result<(String, usize)> {
    let code = request.text("code")?.to_owned();
    let cursor = cursor::to_byte(&code, request.get("cursor_pos").as_u64().unwrap_or(u64::MAX));
    Ok((code, cursor))
}

async fn complete(server: &Server, request: &Request) -> Result<Value> {
    let (code, cursor) = code_and_cursor(request)?;
    let nothing = Completions { matches: Vec::new(), replaces: cursor..cursor };
    let text = code.clone();
    let found = if server.session.is_open() {
        server.session.begin(move |session| session.complete(&code, cursor)).await
    } else {
        Ok(nothing)
    };
    let Completions { matches, replaces } = match found {
        Ok(found) => found,
        Err(fault) => return Ok(failed(fault)),
    };
    let start = cursor::to_character(&text, replaces.start);
    let end = cursor::to_character(&text, replaces.end).max(start);
    let typed = matches.iter().map(|found| {
        json!({"start": start, "end": end, "text": found.text, "type": found.kind, "signature": found.signature})
    });
    let typed: Vec<Value> = typed.collect();
    let matches: Vec<&str> = matches.iter().map(|found| found.text.as_str()).collect();
    Ok(json!({
        "status": "ok", "matches": matches, "cursor_start": start, "cursor_end": end,
        "metadata": {"_jupyter_types_experimental": typed},
    }))
}

async fn inspect(server: &Server, request: &Request) -> Result<Value> {
    let (code, cursor) = code_and_cursor(request)?;
    let source = request.get("detail_level").as_u64().is_some_and(|level| level > 0);
    let found = if server.session.is_open() {
        server.session.begin(move |session| session.inspect(&code, cursor, source)).await
    } else {
        Ok(None)
    };
    Ok(match found {
        Ok(found) => json!({
            "status": "ok", "found": found.is_some(), "metadata": {},
            "data": super::cell_outputs::bundle(found.unwrap_or_default()),
        }),
        Err(fault) => failed(fault),
    })
}

/// A fault as an error reply.
fn failed(fault: Fault) -> Value {
    Failure::of(&fault.outcome()).map_or(Value::Null, |failure| execute::error(&failure, "status"))
}
