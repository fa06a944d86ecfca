//! What threads say between cells: it is shown under the cell that ran last.

use super::cell_outputs::{CellOutputs, Message};
use super::execute::until;
use super::server::Server;
use super::session_thread::Event;
use crate::session::Output;
use jupyter_protocol::messaging::Header;
use std::rc::Rc;
use std::time::Instant;
use tokio::sync::mpsc;

/// The cell that ran last, and its outputs, which go on.
pub(super) struct Last {
    pub(super) header: Header,
    pub(super) outputs: CellOutputs,
}

/// Publishes it as it comes, until the session is gone.
pub(super) async fn publish(server: Rc<Server>, mut late: mpsc::Receiver<Event>) {
    loop {
        let due = server.last.borrow().as_ref().and_then(|last| last.outputs.due());
        let event = tokio::select! {
            biased;
            () = until(due) => None,
            event = late.recv() => match event {
                Some(event) => Some(event),
                None => return,
            },
        };
        let take = |outputs: &mut CellOutputs| match event {
            // Not the cell's value: that has ended.
            Some(Event::Output(Output::Result { media })) => {
                outputs.take(Output::Display { media, id: None }, Instant::now())
            }
            Some(Event::Output(output)) => outputs.take(output, Instant::now()),
            // Nobody is asked between cells.
            Some(Event::Ask { .. }) => Vec::new(),
            None => outputs.overdue(Instant::now()),
        };
        with_last(&server, take).await;
    }
}

/// Another cell begins: what still waits of the one before is sent.
pub(super) async fn end(server: &Server) {
    with_last(server, |outputs| outputs.rest(Instant::now())).await;
}

async fn with_last(server: &Server, take: impl FnOnce(&mut CellOutputs) -> Vec<Message>) {
    let taken = server.last.borrow_mut().as_mut().map(|last| (last.header.clone(), take(&mut last.outputs)));
    let Some((header, messages)) = taken else { return };
    for (kind, content) in messages {
        server.publish(kind, content, &header).await;
    }
}
