//! The sockets to a kernel: requests go out, messages come in, one queue for all.

use anyhow::{Context, Result};
use jupyter_protocol::{ConnectionInfo, JupyterMessage};
use jupyter_zmq_client::{
    ClientControlConnection, Connection, DealerSendConnection, RawMessage, create_client_control_connection,
    create_client_iopub_connection, create_client_shell_connection_with_identity, peer_identity_for_session,
};
use serde_json::Value;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use zeromq::SocketRecv;

/// How many messages may wait. A kernel that floods waits for us, or drops messages, as its own rules are.
const WAITING: usize = 1024;

/// So many unreadable messages in a row are no accident: the socket is not read any more.
const MOST_ERRORS: usize = 1000;

/// Where a message came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Replies.
    Shell,
    /// Replies to what goes first: shut down, interrupt.
    Control,
    /// What a kernel publishes to all.
    IoPub,
}

/// A message whose signature is right.
#[derive(Debug)]
pub struct Message {
    /// The socket it came by.
    pub origin: Origin,
    /// Its type: `execute_reply`.
    pub kind: String,
    /// The request that it is about.
    pub parent: String,
    /// What it says: hostile until looked at.
    pub content: Value,
}

/// The connection to one kernel.
pub struct Wire {
    shell: DealerSendConnection,
    control: DealerSendConnection,
    messages: Receiver<Message>,
}

impl Wire {
    /// Connects; waits where the kernel does not listen yet.
    ///
    /// # Errors
    /// Where the system refuses.
    pub async fn connect(info: &ConnectionInfo, session: &str) -> Result<Self> {
        let (sender, messages) = channel(WAITING);
        let iopub = create_client_iopub_connection(info, "", session).await.context("cannot connect to iopub")?;
        let identity = peer_identity_for_session(session)?;
        let shell = create_client_shell_connection_with_identity(info, session, identity).await;
        let (shell, replies) = shell.context("cannot connect to shell")?.split();
        let control: ClientControlConnection =
            create_client_control_connection(info, session).await.context("cannot connect to control")?;
        let (control, answers) = control.split();
        tokio::spawn(read(iopub, Origin::IoPub, sender.clone()));
        tokio::spawn(read(replies, Origin::Shell, sender.clone()));
        tokio::spawn(read(answers, Origin::Control, sender));
        Ok(Self { shell, control, messages })
    }

    /// Sends a request on shell; gives its id.
    ///
    /// # Errors
    /// Where the connection is gone.
    pub async fn ask(&mut self, request: impl Into<JupyterMessage>) -> Result<String> {
        send(&mut self.shell, request.into()).await
    }

    /// Sends a request on control; gives its id.
    ///
    /// # Errors
    /// Where the connection is gone.
    pub async fn command(&mut self, request: impl Into<JupyterMessage>) -> Result<String> {
        send(&mut self.control, request.into()).await
    }

    /// The next message; none where all sockets are closed. May be dropped while it waits, and loses nothing.
    pub async fn next(&mut self) -> Option<Message> {
        self.messages.recv().await
    }
}

async fn send(connection: &mut DealerSendConnection, message: JupyterMessage) -> Result<String> {
    let id = message.header.msg_id.clone();
    connection.send(message).await.context("cannot send to the kernel")?;
    Ok(id)
}

/// Passes on what comes, until nobody wants it. What is malformed or wrongly signed is dropped.
async fn read<S: SocketRecv>(mut connection: Connection<S>, origin: Origin, sender: Sender<Message>) {
    let mut errors = 0;
    while errors < MOST_ERRORS {
        let Ok(parts) = connection.socket.recv().await else {
            errors += 1;
            tokio::task::yield_now().await;
            continue;
        };
        errors = 0;
        let message = RawMessage::from_multipart(parts, &connection.mac).ok().and_then(|raw| message(&raw, origin));
        if let Some(message) = message
            && sender.send(message).await.is_err()
        {
            return;
        }
    }
}

/// Reads leniently: a kernel that leaves out a field that we do not need is understood all the same.
fn message(raw: &RawMessage, origin: Origin) -> Option<Message> {
    let part = |index: usize| serde_json::from_slice::<Value>(raw.jparts.get(index)?).ok();
    let kind = part(0)?["msg_type"].as_str()?.to_owned();
    let parent = part(1)?["msg_id"].as_str().unwrap_or_default().to_owned();
    Some(Message { origin, kind, parent, content: part(3)? })
}
