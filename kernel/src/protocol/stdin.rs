//! Asking the person at the front end for a line.

use super::server::Server;
use super::wire::Request;
use serde_json::json;
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// Between two looks whether the front end is still there.
const LOOK: Duration = Duration::from_millis(500);

/// Asks whoever sent `request`, and waits for the answer. None where nobody is there to answer, or the wait is interrupted.
pub(super) async fn ask(
    server: &Server,
    request: &Request,
    answers: &mut mpsc::Receiver<Request>,
    interrupts: &mut watch::Receiver<u64>,
    prompt: &str,
    secret: bool,
) -> Option<String> {
    // Answers to earlier questions come too late.
    while answers.try_recv().is_ok() {}
    server.send(&server.stdin, request, "input_request", json!({"prompt": prompt, "password": secret})).await;
    while server.stdin.has(&request.peer) {
        let answer = tokio::select! {
            biased;
            () = server.stop() => return None,
            _ = interrupts.changed() => return None,
            answer = answers.recv() => answer?,
            () = tokio::time::sleep(LOOK) => continue,
        };
        if answer.peer == request.peer && answer.kind() == "input_reply" {
            return Some(answer.get("value").as_str().unwrap_or_default().to_owned());
        }
        server.log.line(&format!("stdin: {} is ignored: not asked for", answer.kind()));
    }
    server.log.line("stdin: nobody is connected to answer");
    None
}
