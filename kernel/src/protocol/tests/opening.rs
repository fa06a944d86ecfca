//! A session that takes its time to open, or never does.

use super::front_end::{FrontEnd, cell, receive, said, send};
use super::*;
use serde_json::json;
use std::sync::mpsc;

/// A kernel whose session says `line` and opens when it is let.
fn slow() -> (Kernel, mpsc::Sender<Result<()>>) {
    let (let_go, wait) = mpsc::channel::<Result<()>>();
    let kernel = Kernel::open("key", move |say| {
        say(Output::Stderr("compiling\n".into()));
        say(Output::Progress {
            task: 0,
            what: "Compiling".into(),
            done: 1,
            total: Some(2),
            unit: "crates".into(),
            finished: false,
        });
        wait.recv()??;
        Ok(Box::new(Echo::default()))
    });
    (kernel, let_go)
}

#[tokio::test]
async fn all_that_needs_no_session_is_answered_while_it_opens() {
    let (kernel, let_go) = slow();
    let mut front_end = FrontEnd::first(&kernel).await;
    let cases = [
        ("kernel_info_request", json!({}), "ok"),
        ("is_complete_request", json!({"code": "print"}), "unknown"),
        ("complete_request", json!({"code": "pr", "cursor_pos": 2}), "ok"),
        ("inspect_request", json!({"code": "print", "cursor_pos": 2}), "ok"),
        ("history_request", json!({"hist_access_type": "tail", "n": 1}), "ok"),
        ("comm_info_request", json!({}), "ok"),
    ];
    for (kind, content, status) in cases {
        assert_eq!(front_end.ask(kind, content).await.0["status"], status, "{kind}");
    }
    let id = send(&mut front_end.shell, "execute_request", cell("print ran")).await;
    assert_eq!(front_end.heard_until("stream").await.content["text"], "compiling\n");
    send(&mut front_end.control, "kernel_info_request", json!({})).await;
    assert_eq!(receive(&mut front_end.control).await.content["implementation"], "echo");
    let_go.send(Ok(())).unwrap();
    assert_eq!(front_end.reply(&id).await.content["status"], "ok");
    assert_eq!(front_end.heard_until("stream").await.content["text"], "ran\n");
}

#[tokio::test]
async fn what_opening_says_is_shown_in_the_cell_that_waits() {
    let (kernel, let_go) = slow();
    let mut front_end = FrontEnd::first(&kernel).await;
    let id = send(&mut front_end.shell, "execute_request", cell("print ran")).await;
    let shown = front_end.heard_until("display_data").await;
    assert_eq!(shown.content["data"]["text/plain"], "Compiling  1/2 crates  50 %");
    let_go.send(Ok(())).unwrap();
    front_end.reply(&id).await;
    front_end.heard_until_idle(&id).await;
    let (_, heard) = front_end.run("print next").await;
    assert_eq!(said(&heard), ["execute_input", "stdout: next\n"]);
}

#[tokio::test]
async fn a_cell_that_waits_can_be_interrupted() {
    let (kernel, let_go) = slow();
    let mut front_end = FrontEnd::first(&kernel).await;
    let id = send(&mut front_end.shell, "execute_request", cell("print never")).await;
    front_end.heard_until("stream").await;
    send(&mut front_end.control, "interrupt_request", json!({})).await;
    let reply = front_end.reply(&id).await.content;
    assert_eq!(reply["ename"], "interrupted");
    assert!(reply["evalue"].as_str().unwrap().contains("was not run"), "{reply}");
    let_go.send(Ok(())).unwrap();
    front_end.heard_until_idle(&id).await;
    receive(&mut front_end.control).await;
    assert_eq!(front_end.run("print now").await.0["status"], "ok");
}

#[tokio::test]
async fn a_session_that_does_not_open_fails_every_cell_and_says_why() {
    let (failing, let_go) = slow();
    let_go.send(Err(anyhow::anyhow!("no space left").context("cannot compile"))).unwrap();
    let panicking = Kernel::open("key", |_| panic!("an opening that panics"));
    for (kernel, why) in [(failing, "cannot compile: no space left"), (panicking, "an opening that panics")] {
        let mut front_end = FrontEnd::first(&kernel).await;
        for _ in 0..2 {
            let (reply, heard) = front_end.run("print a").await;
            assert_eq!((&reply["status"], &reply["ename"]), (&json!("error"), &json!("session")));
            assert!(reply["evalue"].as_str().unwrap().contains(why), "{reply}");
            assert_eq!(heard.iter().filter(|(kind, _)| kind == "error").count(), 1);
        }
        send(&mut front_end.control, "shutdown_request", json!({"restart": false})).await;
        assert_eq!(receive(&mut front_end.control).await.kind, "shutdown_reply");
        kernel.wait();
    }
}

#[tokio::test]
async fn a_kernel_shuts_down_while_it_opens() {
    let (kernel, let_go) = slow();
    let mut front_end = FrontEnd::first(&kernel).await;
    let id = send(&mut front_end.shell, "execute_request", cell("print never")).await;
    front_end.heard_until("stream").await;
    send(&mut front_end.control, "shutdown_request", json!({"restart": false})).await;
    let reply = front_end.reply(&id).await.content;
    assert_eq!((&reply["status"], &reply["evalue"]), (&json!("error"), &json!("the kernel was shut down")));
    front_end.heard_until_idle(&id).await;
    drop(let_go);
    kernel.wait();
}

#[test]
fn a_port_that_is_taken_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let kernel = Kernel::start();
    let connection = ConnectionInfo { iopub_port: taken.local_addr().unwrap().port(), ..kernel.connection.clone() };
    drop(kernel);
    let error = serve(&connection, echo_info(), None, |_| unreachable!()).unwrap_err();
    let (error, port) = (format!("{error:#}"), connection.iopub_port);
    assert!(error.starts_with(&format!("cannot listen on 127.0.0.1:{port} (iopub): ")), "{error}");
}
