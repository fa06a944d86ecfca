//! A front end for tests: what a person's notebook sends and gets, message by message.

use super::Kernel;
use bytes::Bytes;
use jupyter_protocol::messaging::UnknownMessage;
use jupyter_zmq_client::{
    ClientControlConnection, ClientIoPubConnection, ClientShellConnection, ClientStdinConnection, Connection,
    JupyterMessage, JupyterMessageContent, RawMessage, create_client_control_connection,
    create_client_iopub_connection, create_client_shell_connection_with_identity,
    create_client_stdin_connection_with_identity, peer_identity_for_session,
};
use serde_json::{Value, json};
use std::time::Duration;
use zeromq::{SocketRecv, SocketSend};

/// Long enough for any answer on any machine; a test that waits so long has failed.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// A message as it came.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Got {
    pub(super) kind: String,
    pub(super) parent: Value,
    pub(super) content: Value,
}

pub(super) struct FrontEnd {
    pub(super) shell: ClientShellConnection,
    pub(super) control: ClientControlConnection,
    pub(super) iopub: ClientIoPubConnection,
    pub(super) stdin: ClientStdinConnection,
}

impl FrontEnd {
    /// Connects to all sockets, and hears what a new subscriber hears.
    pub(super) async fn connect(kernel: &Kernel, session: &str) -> Self {
        let connection = &kernel.connection;
        let me = peer_identity_for_session(session).unwrap();
        let mut front_end = Self {
            shell: create_client_shell_connection_with_identity(connection, session, me.clone()).await.unwrap(),
            control: create_client_control_connection(connection, session).await.unwrap(),
            iopub: create_client_iopub_connection(connection, "", session).await.unwrap(),
            stdin: create_client_stdin_connection_with_identity(connection, session, me).await.unwrap(),
        };
        let welcome = receive(&mut front_end.iopub).await;
        assert_eq!((welcome.kind.as_str(), welcome.content), ("iopub_welcome", json!({"subscription": ""})));
        front_end
    }

    /// The first front end of a kernel, which also sees it start.
    pub(super) async fn first(kernel: &Kernel) -> Self {
        let mut front_end = Self::connect(kernel, "session").await;
        let starting = receive(&mut front_end.iopub).await;
        assert_eq!((starting.kind.as_str(), starting.content), ("status", json!({"execution_state": "starting"})));
        front_end
    }

    /// Asks on shell, gets the reply and what iopub said, which begins with busy and ends with idle.
    pub(super) async fn ask(&mut self, kind: &str, content: Value) -> (Value, Vec<(String, Value)>) {
        let id = send(&mut self.shell, kind, content).await;
        let reply = self.reply(&id).await;
        assert_eq!(reply.kind, kind.replace("_request", "_reply"));
        (reply.content, self.heard(&id).await)
    }

    /// Runs a cell as a notebook does.
    pub(super) async fn run(&mut self, code: &str) -> (Value, Vec<(String, Value)>) {
        self.ask("execute_request", cell(code)).await
    }

    /// The next reply on shell, which must be to that request.
    pub(super) async fn reply(&mut self, id: &str) -> Got {
        let reply = receive(&mut self.shell).await;
        assert_eq!(reply.parent["msg_id"], id, "{reply:?}");
        reply
    }

    /// What iopub says of a request, from busy to idle; all of it must be of this request.
    pub(super) async fn heard(&mut self, id: &str) -> Vec<(String, Value)> {
        let mut heard = vec![];
        loop {
            let got = receive(&mut self.iopub).await;
            assert_eq!(got.parent["msg_id"], id, "{got:?}");
            let first = heard.is_empty();
            heard.push((got.kind.clone(), got.content.clone()));
            if got.kind == "status" {
                let state = got.content["execution_state"].as_str().unwrap();
                assert_eq!(state, if first { "busy" } else { "idle" });
                if !first {
                    return heard[1..heard.len() - 1].to_vec();
                }
            }
        }
    }

    /// Reads iopub up to the end of that request.
    pub(super) async fn heard_until_idle(&mut self, id: &str) {
        loop {
            let got = self.heard_until("status").await;
            if got.parent["msg_id"] == id && got.content["execution_state"] == "idle" {
                return;
            }
        }
    }

    /// Reads iopub up to a message of that kind.
    pub(super) async fn heard_until(&mut self, kind: &str) -> Got {
        loop {
            let got = receive(&mut self.iopub).await;
            if got.kind == kind {
                return got;
            }
        }
    }
}

/// A notebook's request to run a cell.
pub(super) fn cell(code: &str) -> Value {
    json!({"code": code, "silent": false, "store_history": true, "user_expressions": {}, "allow_stdin": true,
        "stop_on_error": true})
}

/// Sends a message; returns its id.
pub(super) async fn send<S: SocketSend>(connection: &mut Connection<S>, kind: &str, content: Value) -> String {
    let content = UnknownMessage { msg_type: kind.to_owned(), content };
    let message = JupyterMessage::new(JupyterMessageContent::UnknownMessage(content), None);
    let id = message.header.msg_id.clone();
    connection.send(message).await.unwrap();
    id
}

/// The next message, its signature checked.
pub(super) async fn receive<S: SocketRecv>(connection: &mut Connection<S>) -> Got {
    let message = tokio::time::timeout(PATIENCE, connection.socket.recv()).await.expect("nothing comes").unwrap();
    let raw = RawMessage::from_multipart(message, &connection.mac).unwrap();
    let part = |part: &Bytes| serde_json::from_slice::<Value>(part).unwrap();
    let header = part(&raw.jparts[0]);
    assert_eq!(header["version"], "5.4");
    let kind = header["msg_type"].as_str().unwrap().to_owned();
    Got { kind, parent: part(&raw.jparts[1]), content: part(&raw.jparts[3]) }
}

/// The kinds of messages, and of streams their text.
pub(super) fn said(heard: &[(String, Value)]) -> Vec<String> {
    let said = |(kind, content): &(String, Value)| match kind.as_str() {
        "stream" => format!("{}: {}", content["name"].as_str().unwrap(), content["text"].as_str().unwrap()),
        kind => kind.to_owned(),
    };
    heard.iter().map(said).collect()
}
