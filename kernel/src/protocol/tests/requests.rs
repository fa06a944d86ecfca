//! Each kind of request and its reply.

use super::front_end::{FrontEnd, receive, send};
use super::*;
use serde_json::json;

#[tokio::test]
async fn the_kernel_says_what_it_is() {
    let kernel = Kernel::start();
    let mut front_end = FrontEnd::first(&kernel).await;
    let (info, heard) = front_end.ask("kernel_info_request", json!({})).await;
    assert_eq!(heard, []);
    let language = json!({"name": "rust", "version": "1.95", "mimetype": "text/x-rust", "file_extension": ".rs",
        "pygments_lexer": "rust", "codemirror_mode": "rust"});
    let want = json!({"status": "ok", "protocol_version": "5.4", "implementation": "echo", "banner": "An echo",
        "implementation_version": "1.2.3", "language_info": language, "debugger": false, "supported_features": [],
        "help_links": [{"text": "Echo", "url": "https://example.org"}]});
    assert_eq!(info, want);

    let id = send(&mut front_end.control, "kernel_info_request", json!({})).await;
    let reply = receive(&mut front_end.control).await;
    assert_eq!((reply.parent["msg_id"].as_str().unwrap(), reply.content), (id.as_str(), want));
    assert_eq!(front_end.heard(&id).await, []);
}

#[tokio::test]
async fn code_is_completed_and_inspected_at_characters() {
    let kernel = Kernel::start();
    let mut front_end = FrontEnd::first(&kernel).await;
    // Sent once before: a session that still opens completes nothing.
    front_end.run("print ready").await;
    let code = "warn 🦀\npr and more";
    let (reply, _) = front_end.ask("complete_request", json!({"code": code, "cursor_pos": 9})).await;
    let typed = |text: &str| json!({"start": 7, "end": 9, "text": text, "type": "keyword", "signature": ""});
    let want = json!({"status": "ok", "matches": ["print", "progress"], "cursor_start": 7, "cursor_end": 9,
        "metadata": {"_jupyter_types_experimental": [typed("print"), typed("progress")]}});
    assert_eq!(reply, want);
    for outside in [json!(1000), json!(-1), json!(null), json!("x")] {
        let (reply, _) = front_end.ask("complete_request", json!({"code": "🦀 pan", "cursor_pos": outside})).await;
        assert_eq!((&reply["matches"], &reply["cursor_end"]), (&json!(["panic"]), &json!(5)));
    }

    let (reply, _) = front_end.ask("inspect_request", json!({"code": "print", "cursor_pos": 2})).await;
    assert_eq!(reply, json!({"status": "ok", "found": true, "data": {"text/plain": "prints a text"}, "metadata": {}}));
    let (reply, _) =
        front_end.ask("inspect_request", json!({"code": "print", "cursor_pos": 2, "detail_level": 1})).await;
    assert_eq!(reply["data"]["text/plain"], "prints a text\n\nprint: no more than that");
    let (reply, _) = front_end.ask("inspect_request", json!({"code": "x", "cursor_pos": 1, "detail_level": 1})).await;
    assert_eq!(reply, json!({"status": "ok", "found": false, "data": {}, "metadata": {}}));
}

#[tokio::test]
async fn completeness_is_the_sessions_word() {
    let kernel = Kernel::start();
    let mut front_end = FrontEnd::first(&kernel).await;
    front_end.run("print ready").await;
    let cases = [
        ("print a", json!({"status": "complete"})),
        ("print \\", json!({"status": "incomplete", "indent": "    "})),
        ("\0", json!({"status": "invalid"})),
    ];
    for (code, want) in cases {
        assert_eq!(front_end.ask("is_complete_request", json!({"code": code})).await.0, want);
    }
}

#[tokio::test]
async fn a_cell_that_asks_about_a_name_is_answered_in_the_pager() {
    let kernel = Kernel::start();
    let mut front_end = FrontEnd::first(&kernel).await;
    for (code, text) in [("?print", "prints a text"), ("??print", "prints a text\n\nprint: no more than that")] {
        assert_eq!(front_end.ask("is_complete_request", json!({"code": code})).await.0, json!({"status": "complete"}));
        let (reply, _) = front_end.run(code).await;
        let want = json!([{"source": "page", "data": {"text/plain": text}, "start": 0}]);
        assert_eq!((&reply["status"], &reply["payload"]), (&json!("ok"), &want));
    }
    for (cell, told) in [("print reading", "rust-analyzer is still"), ("print a", "Nothing is known of `nobody`.")] {
        front_end.run(cell).await;
        let (reply, said) = front_end.run("?nobody").await;
        assert_eq!((&reply["status"], &reply["payload"]), (&json!("ok"), &json!([])));
        let is_told = |text: &str| text.starts_with(told);
        assert!(said.iter().any(|(_, content)| content["text"].as_str().is_some_and(is_told)), "{told}");
    }
}

#[tokio::test]
async fn history_has_the_cells_that_were_stored() {
    let kernel = Kernel::start();
    let mut front_end = FrontEnd::first(&kernel).await;
    front_end.run("value 1").await;
    front_end.ask("execute_request", json!({"code": "print hidden", "store_history": false})).await;
    front_end.ask("execute_request", json!({"code": "print silent", "silent": true})).await;
    front_end.run("panic no").await;
    let question = json!({"hist_access_type": "tail", "n": 10, "output": true, "raw": true});
    let (reply, _) = front_end.ask("history_request", question).await;
    let want = json!([[1, 1, ["value 1", "1"]], [1, 2, ["panic no", null]]]);
    assert_eq!(reply, json!({"status": "ok", "history": want}));
}

#[tokio::test]
async fn there_are_no_comms() {
    let kernel = Kernel::start();
    let mut front_end = FrontEnd::first(&kernel).await;
    let (reply, _) = front_end.ask("comm_info_request", json!({"target_name": "x"})).await;
    assert_eq!(reply, json!({"status": "ok", "comms": {}}));
    let id = send(&mut front_end.shell, "comm_open", json!({"comm_id": "7", "target_name": "x", "data": {}})).await;
    let closed = ("comm_close".to_owned(), json!({"comm_id": "7", "data": {}}));
    assert_eq!(front_end.heard(&id).await, [closed]);
    for kind in ["comm_msg", "comm_close", "no_such_request"] {
        let id = send(&mut front_end.shell, kind, json!({"comm_id": "7", "data": {}})).await;
        assert_eq!(front_end.heard(&id).await, [], "{kind}");
    }
}

#[tokio::test]
async fn the_ports_are_known() {
    let kernel = Kernel::start();
    let mut front_end = FrontEnd::first(&kernel).await;
    let ConnectionInfo { shell_port, iopub_port, stdin_port, control_port, hb_port, .. } = kernel.connection;
    let (reply, _) = front_end.ask("connect_request", json!({})).await;
    let want = json!({"status": "ok", "shell_port": shell_port, "iopub_port": iopub_port, "stdin_port": stdin_port,
        "control_port": control_port, "hb_port": hb_port});
    assert_eq!(reply, want);
}

#[tokio::test]
async fn a_request_without_what_it_needs_is_answered_with_an_error() {
    let kernel = Kernel::start();
    let mut front_end = FrontEnd::first(&kernel).await;
    let kinds = ["execute_request", "complete_request", "inspect_request", "is_complete_request", "history_request"];
    for kind in kinds {
        let (reply, heard) = front_end.ask(kind, json!({"code": 7, "hist_access_type": []})).await;
        assert_eq!((&reply["status"], &reply["ename"]), (&json!("error"), &json!("request")), "{kind}");
        assert!(reply["evalue"].as_str().unwrap().contains(kind), "{reply}");
        assert_eq!(heard, [], "{kind}");
    }
}

#[tokio::test]
async fn control_refuses_a_debugger_and_ignores_the_unknown() {
    let kernel = Kernel::start();
    let mut front_end = FrontEnd::first(&kernel).await;
    let id = send(&mut front_end.control, "no_such_request", json!({})).await;
    assert_eq!(front_end.heard(&id).await, []);
    let id = send(&mut front_end.control, "debug_request", json!({"seq": 4, "command": "attach"})).await;
    let reply = receive(&mut front_end.control).await;
    assert_eq!((reply.kind.as_str(), &reply.content["success"]), ("debug_reply", &json!(false)));
    assert_eq!((&reply.content["request_seq"], &reply.content["command"]), (&json!(4), &json!("attach")));
    assert_eq!(front_end.heard(&id).await, []);
}

#[tokio::test]
async fn the_heart_beats_back_the_bytes_it_got() {
    use zeromq::{Socket, SocketRecv, SocketSend};
    let kernel = Kernel::start();
    let mut heart = zeromq::ReqSocket::new();
    heart.connect(&kernel.connection.hb_url()).await.unwrap();
    for beat in [&b"ping"[..], b"", b"\0\xff"] {
        heart.send(beat.to_vec().into()).await.unwrap();
        assert_eq!(heart.recv().await.unwrap().into_vec(), [beat]);
    }
}

#[tokio::test]
async fn two_front_ends_share_a_kernel_and_each_gets_its_own_replies() {
    let kernel = Kernel::start();
    let mut first = FrontEnd::first(&kernel).await;
    let mut second = FrontEnd::connect(&kernel, "other").await;
    let id = send(&mut second.shell, "execute_request", front_end::cell("print hello")).await;
    assert_eq!(second.reply(&id).await.content["status"], "ok");
    assert_eq!(front_end::said(&first.heard(&id).await), ["execute_input", "stdout: hello\n"]);
    assert_eq!(front_end::said(&second.heard(&id).await), ["execute_input", "stdout: hello\n"]);
    assert_eq!(first.run("print again").await.0["execution_count"], 2);
}
