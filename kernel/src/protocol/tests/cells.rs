//! Cells: what they show, how they end, and what stops them.

use super::front_end::{FrontEnd, cell, receive, said, send};
use super::*;
use serde_json::{Value, json};
use std::sync::atomic::Ordering;

#[tokio::test]
async fn a_cell_shows_all_it_says_in_order() {
    let kernel = Kernel::start();
    let mut front_end = FrontEnd::first(&kernel).await;
    let code = "print a\nwrite b\nwarn c\nshow <svg/>\nprint d\nclear\nclear-later\nvalue 7";
    let (reply, heard) = front_end.run(code).await;
    assert_eq!(reply, json!({"status": "ok", "execution_count": 1, "user_expressions": {}, "payload": []}));
    let svg = json!({"image/svg+xml": "<svg/>", "text/plain": "a drawing"});
    let want = [
        ("execute_input", json!({"code": code, "execution_count": 1})),
        ("stream", json!({"name": "stdout", "text": "a\nb"})),
        ("stream", json!({"name": "stderr", "text": "c\n"})),
        ("display_data", json!({"data": svg, "metadata": {}, "transient": {}})),
        ("stream", json!({"name": "stdout", "text": "d\n"})),
        ("clear_output", json!({"wait": false})),
        ("clear_output", json!({"wait": true})),
        ("execute_result", json!({"data": {"text/plain": "7"}, "metadata": {}, "execution_count": 1})),
    ];
    assert_eq!(heard, want.map(|(kind, content)| (kind.to_owned(), content)));
}

#[tokio::test]
async fn named_displays_and_progress_are_updated_and_reports_stay_here() {
    let kernel = Kernel::start();
    let mut front_end = FrontEnd::first(&kernel).await;
    let code = "show-as loss 3\nshow-as loss 2\nreport fit {}\nprogress 1/3\nprogress 2/3\nprogress 3/3";
    let (_, heard) = front_end.run(code).await;
    let names: Vec<&Value> = heard.iter().map(|(_, content)| &content["transient"]["display_id"]).collect();
    let kinds = ["execute_input", "display_data", "update_display_data", "display_data", "update_display_data"];
    assert_eq!(said(&heard), kinds);
    assert_eq!((names[1], names[2]), (&json!("loss"), &json!("loss")));
    assert!(names[3].as_str().unwrap().starts_with("candlewick-progress-") && names[3] == names[4]);
    assert_eq!(heard[4].1["data"]["text/plain"], "Counting  3/3 sheep  100 %");
    let (_, again) = front_end.run("show-as loss 1\nprogress 1/3").await;
    assert_eq!(said(&again), ["execute_input", "display_data", "display_data"]);
    assert_ne!(&again[2].1["transient"]["display_id"], names[3], "each run has a bar of its own");
}

#[tokio::test]
async fn every_bad_end_is_one_error_and_the_same_in_the_reply() {
    let kernel = Kernel::start();
    let mut front_end = FrontEnd::first(&kernel).await;
    let cases = [
        ("panic ouch", "panic", "ouch (line 1)"),
        ("return no file", "error", "no file (line 1)"),
        ("die", "died", "signal 6"),
        ("interrupt", "interrupted", "the cell was interrupted"),
        ("lose all", "session", "all (line 1)"),
        ("let x", "compile error", "cannot find `let` (line 1)"),
    ];
    for (code, kind, message) in cases {
        let (reply, heard) = front_end.run(code).await;
        assert_eq!(said(&heard), ["execute_input", "error"], "{code}");
        let error = &heard[1].1;
        assert_eq!((&error["ename"], &error["evalue"]), (&json!(kind), &json!(message)));
        assert!(!error["traceback"].as_array().unwrap().is_empty());
        assert_eq!(reply["status"], "error");
        for name in ["ename", "evalue", "traceback"] {
            assert_eq!(reply[name], error[name]);
        }
    }
    let (reply, _) = front_end.run("panic in\u{1b}[31m red").await;
    assert_eq!(reply["traceback"].as_array().unwrap().last().unwrap(), "\u{1b}[31mbacktrace\u{1b}[0m");
}

#[tokio::test]
async fn silent_and_unstored_cells_are_not_counted() {
    let kernel = Kernel::start();
    let mut front_end = FrontEnd::first(&kernel).await;
    front_end.run("print a").await;
    let silent = json!({"code": "print b\nvalue 1\nshow x", "silent": true, "store_history": true});
    let (reply, heard) = front_end.ask("execute_request", silent).await;
    assert_eq!((&reply["status"], &reply["execution_count"], heard), (&json!("ok"), &json!(1), vec![]));
    let silent = json!({"code": "panic", "silent": true});
    let (reply, heard) = front_end.ask("execute_request", silent).await;
    assert_eq!((&reply["status"], heard), (&json!("error"), vec![]));
    let unstored = json!({"code": "print c", "store_history": false});
    let (reply, heard) = front_end.ask("execute_request", unstored).await;
    assert_eq!((&reply["execution_count"], said(&heard).len()), (&json!(1), 2));
    let (reply, _) = front_end.run("  \n").await;
    assert_eq!((&reply["status"], &reply["execution_count"]), (&json!("ok"), &json!(1)));
    assert_eq!(front_end.run("print d").await.0["execution_count"], 2);
}

#[tokio::test]
async fn user_expressions_are_values_or_errors_of_their_own() {
    let kernel = Kernel::start();
    let mut front_end = FrontEnd::first(&kernel).await;
    let expressions = json!({"good": "print unseen\nvalue 7", "bad": "panic no", "none": "print x", "number": 3});
    let request = json!({"code": "print a", "user_expressions": expressions});
    let (reply, heard) = front_end.ask("execute_request", request).await;
    assert_eq!(said(&heard), ["execute_input", "stdout: a\n"]);
    let values = &reply["user_expressions"];
    assert_eq!(values["good"], json!({"status": "ok", "data": {"text/plain": "7"}, "metadata": {}}));
    assert_eq!(values["none"], json!({"status": "ok", "data": {}, "metadata": {}}));
    assert_eq!((&values["bad"]["status"], &values["bad"]["ename"]), (&json!("error"), &json!("panic")));
    assert_eq!(values["number"]["status"], "error");
    for odd in [json!(null), json!([]), json!("x")] {
        let (reply, _) = front_end.ask("execute_request", json!({"code": "print a", "user_expressions": odd})).await;
        assert_eq!(reply["user_expressions"], json!({}));
    }
    let failed = json!({"code": "panic", "user_expressions": {"a": "value 1"}});
    assert_eq!(front_end.ask("execute_request", failed).await.0["user_expressions"], json!({}));
}

#[tokio::test]
async fn what_is_queued_behind_a_failed_cell_is_aborted() {
    let kernel = Kernel::start();
    let mut front_end = FrontEnd::first(&kernel).await;
    let failing = send(&mut front_end.shell, "execute_request", cell("ask go?\npanic now")).await;
    // While it asks, the others arrive.
    assert_eq!(receive(&mut front_end.stdin).await.kind, "input_request");
    let second = send(&mut front_end.shell, "execute_request", cell("print second")).await;
    let info = send(&mut front_end.shell, "kernel_info_request", json!({})).await;
    let third = send(&mut front_end.shell, "execute_request", cell("print third")).await;
    // Each socket is read on its own: what was sent on shell is there for certain once control, later, has answered.
    send(&mut front_end.control, "kernel_info_request", json!({})).await;
    receive(&mut front_end.control).await;
    send(&mut front_end.stdin, "input_reply", json!({"value": "go"})).await;
    assert_eq!(front_end.reply(&failing).await.content["status"], "error");
    for (id, status) in [(&second, "aborted"), (&info, "ok"), (&third, "aborted")] {
        assert_eq!(front_end.reply(id).await.content["status"], status);
    }
    let (reply, heard) = {
        let id = send(&mut front_end.shell, "execute_request", cell("print later")).await;
        let reply = front_end.reply(&id).await;
        for id in [&second, &info, &third] {
            front_end.heard_until_idle(id).await;
        }
        (reply.content, front_end.heard(&id).await)
    };
    assert_eq!((&reply["status"], &reply["execution_count"]), (&json!("ok"), &json!(2)));
    assert_eq!(said(&heard), ["execute_input", "stdout: later\n"]);
}

#[tokio::test]
async fn without_stop_on_error_the_queue_goes_on() {
    let kernel = Kernel::start();
    let mut front_end = FrontEnd::first(&kernel).await;
    let failing = json!({"code": "ask go?\npanic now", "stop_on_error": false, "allow_stdin": true});
    let failing = send(&mut front_end.shell, "execute_request", failing).await;
    receive(&mut front_end.stdin).await;
    let second = send(&mut front_end.shell, "execute_request", cell("print second")).await;
    send(&mut front_end.stdin, "input_reply", json!({"value": "go"})).await;
    assert_eq!(front_end.reply(&failing).await.content["status"], "error");
    assert_eq!(front_end.reply(&second).await.content["status"], "ok");
}

#[tokio::test]
async fn a_cell_is_interrupted_over_control() {
    let kernel = Kernel::start();
    let mut front_end = FrontEnd::first(&kernel).await;
    let id = send(&mut front_end.shell, "execute_request", cell("print started\nsleep 600000")).await;
    front_end.heard_until("stream").await;
    send(&mut front_end.control, "interrupt_request", json!({})).await;
    let reply = receive(&mut front_end.control).await;
    assert_eq!((reply.kind.as_str(), reply.content), ("interrupt_reply", json!({"status": "ok"})));
    let reply = front_end.reply(&id).await.content;
    assert_eq!((&reply["ename"], &reply["evalue"]), (&json!("interrupted"), &json!("nothing is lost")));
    let id = send(&mut front_end.shell, "execute_request", cell("print on")).await;
    assert_eq!(front_end.reply(&id).await.content["status"], "ok");
}

#[tokio::test]
async fn a_shutdown_ends_a_cell_and_answers_what_is_queued() {
    for (code, restart) in [("print started\nsleep 600000", false), ("print started\ndeaf 600000", true)] {
        let kernel = Kernel::start();
        let mut front_end = FrontEnd::first(&kernel).await;
        let running = send(&mut front_end.shell, "execute_request", cell(code)).await;
        front_end.heard_until("stream").await;
        let queued = send(&mut front_end.shell, "execute_request", cell("print never")).await;
        send(&mut front_end.control, "shutdown_request", json!({"restart": restart})).await;
        let want = json!({"status": "ok", "restart": restart});
        let reply = receive(&mut front_end.control).await;
        assert_eq!((reply.kind.as_str(), &reply.content), ("shutdown_reply", &want));
        assert_eq!(front_end.heard_until("shutdown_reply").await.content, want);
        front_end.reply(&running).await;
        front_end.heard_until_idle(&running).await;
        assert_eq!(front_end.reply(&queued).await.content["status"], "aborted");
        front_end.heard_until_idle(&queued).await;
        assert!(kernel.asked.killed.load(Ordering::SeqCst));
        kernel.wait();
    }
}

#[tokio::test]
async fn an_idle_kernel_shuts_down_over_shell_too() {
    let kernel = Kernel::start();
    let mut front_end = FrontEnd::first(&kernel).await;
    let (reply, heard) = front_end.ask("shutdown_request", json!({})).await;
    assert_eq!(reply, json!({"status": "ok", "restart": false}));
    assert_eq!(said(&heard), ["shutdown_reply"]);
    kernel.wait();
}

#[tokio::test]
async fn a_cell_asks_who_ran_it() {
    let kernel = Kernel::start();
    let mut other = FrontEnd::first(&kernel).await;
    let mut front_end = FrontEnd::connect(&kernel, "asked").await;
    for (code, secret) in [("print before\nask name?", false), ("print before\nask-secret name?", true)] {
        let id = send(&mut front_end.shell, "execute_request", cell(code)).await;
        let question = receive(&mut front_end.stdin).await;
        assert_eq!((question.kind.as_str(), &question.parent["msg_id"]), ("input_request", &json!(id)));
        assert_eq!(question.content, json!({"prompt": "name?", "password": secret}));
        // Another's answer is not taken.
        send(&mut other.stdin, "input_reply", json!({"value": "mallory"})).await;
        send(&mut front_end.stdin, "input_reply", json!({"value": "ada"})).await;
        assert_eq!(front_end.reply(&id).await.content["status"], "ok");
        let heard = front_end.heard(&id).await;
        assert_eq!(said(&heard), ["execute_input", "stdout: before\n", "stdout: ada\n"]);
    }
}

#[tokio::test]
async fn nobody_is_asked_where_that_is_not_allowed_or_nobody_is_there() {
    let kernel = Kernel::start();
    let mut front_end = FrontEnd::first(&kernel).await;
    let (_, heard) = front_end.ask("execute_request", json!({"code": "ask name?", "allow_stdin": false})).await;
    assert_eq!(said(&heard), ["execute_input", "stdout: nobody\n"]);
    let (_, heard) = front_end.ask("execute_request", json!({"code": "ask name?"})).await;
    assert_eq!(said(&heard)[1], "stdout: nobody\n");
    let id = send(&mut front_end.shell, "execute_request", cell("ask name?")).await;
    receive(&mut front_end.stdin).await;
    send(&mut front_end.control, "interrupt_request", json!({})).await;
    assert_eq!(front_end.reply(&id).await.content["status"], "ok");
    assert_eq!(front_end.heard_until("stream").await.content["text"], "nobody\n");
}

#[tokio::test]
async fn a_question_whose_answer_nobody_wants_any_more_holds_nobody_up() {
    let kernel = Kernel::open("key", |_| Ok(Box::new(Faulty(Echo::default()))));
    let mut front_end = FrontEnd::first(&kernel).await;
    let id = send(&mut front_end.shell, "execute_request", cell("goes")).await;
    assert_eq!(front_end.reply(&id).await.content["status"], "ok");
    let next = send(&mut front_end.shell, "execute_request", cell("ask name?")).await;
    while receive(&mut front_end.stdin).await.parent["msg_id"] != json!(next) {}
    send(&mut front_end.stdin, "input_reply", json!({"value": "ada"})).await;
    assert_eq!(front_end.reply(&next).await.content["status"], "ok");
    assert_eq!(front_end.heard_until("stream").await.content["text"], "ada\n");
}

#[tokio::test]
async fn a_fault_of_the_session_is_an_error_and_the_kernel_goes_on() {
    let kernel = Kernel::open("key", |_| Ok(Box::new(Faulty(Echo::default()))));
    let mut front_end = FrontEnd::first(&kernel).await;
    let (reply, heard) = front_end.run("boom").await;
    assert_eq!(said(&heard), ["execute_input", "error"]);
    let evalue = reply["evalue"].as_str().unwrap();
    assert!(evalue.contains("a fault of the kernel itself") && evalue.contains("a fault for the test"), "{evalue}");
    assert!(reply["traceback"].to_string().contains("restart the kernel"), "{reply}");
    for kind in ["complete_request", "inspect_request"] {
        let (reply, _) = front_end.ask(kind, json!({"code": "boom", "cursor_pos": 4})).await;
        assert_eq!((&reply["status"], &reply["ename"]), (&json!("error"), &json!("session")));
    }
    let (reply, _) = front_end.ask("is_complete_request", json!({"code": "boom"})).await;
    assert_eq!(reply, json!({"status": "unknown"}));
    assert_eq!(front_end.run("print on").await.0["status"], "ok");
}

#[tokio::test]
async fn a_flood_arrives_whole_in_few_messages() {
    let kernel = Kernel::start();
    let mut front_end = FrontEnd::first(&kernel).await;
    let line = "x".repeat(100);
    let code = format!("print {line}\n").repeat(20_000);
    let (_, heard) = front_end.run(&code).await;
    let texts: Vec<&str> = heard[1..].iter().map(|(_, content)| content["text"].as_str().unwrap()).collect();
    assert_eq!(texts.concat(), format!("{line}\n").repeat(20_000));
    assert!(texts.len() <= 2_020_000 / 65_536 + 60, "{} messages", texts.len());
}

#[tokio::test]
async fn what_threads_say_between_cells_is_shown_under_the_last_one() {
    let kernel = Kernel::open("key", |_| Ok(Box::new(Faulty(Echo::default()))));
    let mut front_end = FrontEnd::first(&kernel).await;
    let id = send(&mut front_end.shell, "execute_request", cell("print now")).await;
    front_end.reply(&id).await;
    front_end.heard_until_idle(&id).await;
    let printed = receive(&mut front_end.iopub).await;
    assert_eq!((printed.kind.as_str(), &printed.content["text"]), ("stream", &json!("later\n")));
    let shown = receive(&mut front_end.iopub).await;
    assert_eq!((shown.kind.as_str(), &shown.content["data"]["text/plain"]), ("display_data", &json!("8")));
    assert_eq!((&printed.parent["msg_id"], &shown.parent["msg_id"]), (&json!(id), &json!(id)));
}

#[tokio::test]
async fn a_question_about_a_name_can_be_interrupted() {
    let kernel = Kernel::open("key", |_| Ok(Box::new(Faulty(Echo::default()))));
    let mut front_end = FrontEnd::first(&kernel).await;
    front_end.run("print a").await;
    let id = send(&mut front_end.shell, "execute_request", cell("?slow")).await;
    front_end.heard_until("execute_input").await;
    send(&mut front_end.control, "interrupt_request", json!({})).await;
    let reply = front_end.reply(&id).await;
    assert_eq!(reply.content["ename"], "interrupted", "{}", reply.content);
}
