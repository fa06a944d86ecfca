//! `execute_request`: one cell from its input to its reply.

use super::cell_outputs::{CellOutputs, Message, bundle};
use super::late::{self, Last};
use super::server::Server;
use super::session_thread::{Event, Opening};
use super::shell::Shell;
use super::wire::Request;
use super::{page, stdin};
use crate::outputs::Failure;
use crate::session::{Outcome, Output, Report};
use anyhow::Result;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Instant;
use tokio::sync::{mpsc, watch};

/// A cell that runs.
struct Cell<'a> {
    server: &'a Server,
    request: &'a Request,
    outputs: CellOutputs,
    /// Nothing of it is shown.
    silent: bool,
    /// Where it may ask.
    stdin: Option<&'a mut mpsc::Receiver<Request>>,
    /// Its value, if it has sent one.
    value: Option<BTreeMap<String, String>>,
    interrupts: watch::Receiver<u64>,
}

/// Runs the cell of a request and sends all that it says; returns the reply.
///
/// # Errors
/// Where the request has no code.
pub(super) async fn execute(shell: &mut Shell, request: &Request) -> Result<Value> {
    let code = request.text("code")?.to_owned();
    let silent = request.flag("silent", false);
    let counted = !silent && !code.trim().is_empty() && request.flag("store_history", true);
    shell.count += u64::from(counted);
    let count = shell.count;
    let server = Rc::clone(&shell.server);
    server.session.hold();
    if !silent {
        late::end(&server).await;
        server.publish("execute_input", json!({"code": code, "execution_count": count}), &request.header).await;
    }
    let stdin = request.flag("allow_stdin", false).then_some(&mut shell.stdin);
    let mut cell = Cell::new(&server, request, count, silent, stdin);
    let (outcome, page) = match page::asked(&code) {
        Some((name, source)) => cell.look_up(name, source).await,
        None => (cell.run(code.clone()).await, None),
    };
    let failure = Failure::of(&outcome);
    if !silent {
        server.last.replace(Some(Last { header: request.header.clone(), outputs: cell.outputs }));
    }
    let value = cell.value.and_then(|media| media.get("text/plain").cloned());
    if counted {
        shell.history.add(count, code, value);
    }
    let mut reply = match &failure {
        Some(failure) => {
            let mut reply = error(failure, "status");
            reply["user_expressions"] = json!({});
            reply
        }
        None => json!({"status": "ok", "user_expressions": expressions(&server, request, count).await}),
    };
    server.session.release();
    reply["execution_count"] = count.into();
    reply["payload"] = page.map_or_else(|| json!([]), |page| json!([{"source": "page", "data": page, "start": 0}]));
    if let Some(failure) = failure
        && !silent
    {
        server.publish("error", error(&failure, ""), &request.header).await;
        if request.flag("stop_on_error", true) {
            shell.abort_queue().await;
        }
    }
    Ok(reply)
}

/// A failure as Jupyter has it: in a reply with its status, elsewhere without.
pub(super) fn error(failure: &Failure, status: &str) -> Value {
    let lines: Vec<&str> = failure.text.lines().collect();
    let mut error = json!({"ename": failure.kind, "evalue": failure.message, "traceback": lines});
    if !status.is_empty() {
        error[status] = "error".into();
    }
    error
}

/// The values of a request's `user_expressions`, each run as a cell that shows nothing.
async fn expressions(server: &Server, request: &Request, count: u64) -> Value {
    let mut values = Map::new();
    for (name, expression) in request.get("user_expressions").as_object().into_iter().flatten() {
        let mut cell = Cell::new(server, request, count, true, None);
        let outcome = match expression.as_str() {
            Some(expression) => cell.run(expression.to_owned()).await,
            None => Outcome::Failed(Report::new("the expression is no text")),
        };
        let value = match Failure::of(&outcome) {
            Some(failure) => error(&failure, "status"),
            None => json!({"status": "ok", "data": bundle(cell.value.unwrap_or_default()), "metadata": {}}),
        };
        values.insert(name.clone(), value);
    }
    Value::Object(values)
}

impl<'a> Cell<'a> {
    fn new(
        server: &'a Server,
        request: &'a Request,
        count: u64,
        silent: bool,
        stdin: Option<&'a mut mpsc::Receiver<Request>>,
    ) -> Self {
        let outputs = CellOutputs::new(count, &request.header.msg_id);
        let interrupts = server.interrupts.subscribe();
        Self { server, request, outputs, silent, stdin, value: None, interrupts }
    }

    /// Runs it to its end.
    async fn run(&mut self, code: String) -> Outcome {
        if code.trim().is_empty() {
            return Outcome::Done;
        }
        if let Err(outcome) = self.wait_for_session().await {
            self.publish_rest().await;
            return outcome;
        }
        // For the cell that has waited.
        self.server.session.hold();
        let (mut events, ended) = self.server.session.execute(code);
        loop {
            let event = tokio::select! {
                biased;
                () = until(self.outputs.due()) => None,
                event = events.recv() => match event {
                    Some(event) => Some(event),
                    None => break,
                },
            };
            match event {
                Some(Event::Output(output)) => self.take(output).await,
                Some(Event::Ask { prompt, secret, mut answer }) => {
                    self.publish_rest().await;
                    let given = tokio::select! {
                        biased;
                        () = answer.closed() => continue,
                        given = self.ask(&prompt, secret) => given,
                    };
                    let _ = answer.send(given);
                }
                None => self.publish_overdue().await,
            }
        }
        let outcome = ended.await;
        self.publish_rest().await;
        outcome.unwrap_or_else(super::session_thread::Fault::outcome)
    }

    /// Looks a name up: what the front end is to show in its pager. Where nothing is known, the cell says so.
    async fn look_up(&mut self, name: &str, source: bool) -> (Outcome, Option<Value>) {
        if let Err(outcome) = self.wait_for_session().await {
            self.publish_rest().await;
            return (outcome, None);
        }
        // The word of a macro's name ends before its mark.
        let code = name.trim_end_matches('!').to_owned();
        let known = self.server.session.begin(move |session| {
            let found = session.inspect(&code, code.len(), source);
            found.ok_or_else(|| session.is_still_reading())
        });
        let known = tokio::select! {
            biased;
            known = known => known,
            _ = self.interrupts.changed() => {
                return (Outcome::Interrupted(Report::new("nothing was looked up: all variables are there")), None);
            }
        };
        let page = match known {
            Ok(Ok(known)) => Some(bundle(known)),
            Ok(Err(still_reading)) => {
                let told = match still_reading {
                    true => {
                        format!("rust-analyzer is still reading what cells import: ask `?{name}` again in a while.\n")
                    }
                    false => format!("Nothing is known of `{name}`.\n"),
                };
                self.take(Output::Stdout(told)).await;
                None
            }
            Err(fault) => return (fault.outcome(), None),
        };
        self.publish_rest().await;
        (Outcome::Done, page)
    }

    /// Waits until there is a session, and shows what its opening says; else how the cell ends without.
    async fn wait_for_session(&mut self) -> Result<(), Outcome> {
        let mut opening = self.server.session.opening.clone();
        loop {
            match &*opening.borrow_and_update() {
                Opening::Ready => return Ok(()),
                Opening::Failed(why) => return Err(Outcome::Failed(Report::new(why))),
                Opening::Busy => {}
            }
            let output = tokio::select! {
                biased;
                () = until(self.outputs.due()) => None,
                said = std::future::poll_fn(|context| self.server.session.said.borrow_mut().poll_recv(context)) => said,
                _ = opening.changed() => continue,
                _ = self.interrupts.changed() => {
                    let why = "the session is still being opened: the cell was not run. Where what cells import is being \
                               compiled, that goes on, once for all notebooks; it ends with the kernel";
                    return Err(Outcome::Interrupted(Report::new(why)));
                }
            };
            match output {
                Some(output) => self.take(output).await,
                None => self.publish_overdue().await,
            }
        }
    }

    async fn ask(&mut self, prompt: &str, secret: bool) -> Option<String> {
        let answers = self.stdin.as_deref_mut()?;
        stdin::ask(self.server, self.request, answers, &mut self.interrupts, prompt, secret).await
    }

    async fn take(&mut self, output: Output) {
        if let Output::Result { media } = &output {
            self.value = Some(media.clone());
        }
        if !self.silent {
            let messages = self.outputs.take(output, Instant::now());
            self.publish(messages).await;
        }
    }

    async fn publish_overdue(&mut self) {
        let messages = self.outputs.overdue(Instant::now());
        self.publish(messages).await;
    }

    async fn publish_rest(&mut self) {
        let messages = self.outputs.rest(Instant::now());
        self.publish(messages).await;
    }

    async fn publish(&self, messages: Vec<Message>) {
        for (kind, content) in messages {
            self.server.publish(kind, content, &self.request.header).await;
        }
    }
}

/// Waits until then; without end where there is no then.
pub(super) async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}
