//! Messages and connections that mean no good: none of them ends the kernel, or keeps it from the next good one.

use super::front_end::{FrontEnd, cell, receive, said, send};
use super::*;
use crate::protocol::wire::Wire;
use bytes::Bytes;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpStream;
use zeromq::{Socket, SocketRecv, SocketSend, ZmqMessage};

/// Numbers that look random and are the same in each run: xorshift.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit.max(1) as u64) as usize
    }
}

fn signed(key: &str, kind: &str, content: Value) -> Vec<Bytes> {
    Wire::new(key, "hostile").sign(kind, content, None, vec![]).unwrap()
}

/// A socket that sends frames as they are.
async fn dealer(url: &str) -> zeromq::DealerSocket {
    let mut socket = zeromq::DealerSocket::new();
    socket.connect(url).await.unwrap();
    socket
}

async fn throw(socket: &mut zeromq::DealerSocket, frames: Vec<Bytes>) {
    if let Ok(message) = ZmqMessage::try_from(frames) {
        socket.send(message).await.unwrap();
    }
}

/// What a socket gets next, as text.
async fn got(socket: &mut zeromq::DealerSocket) -> String {
    let message = tokio::time::timeout(front_end::PATIENCE, socket.recv()).await.expect("nothing comes").unwrap();
    message.iter().map(|frame| String::from_utf8_lossy(frame).into_owned()).collect()
}

/// Changes a message at one or a few places.
fn mutated(mut frames: Vec<Bytes>, numbers: &mut Numbers) -> Vec<Bytes> {
    for _ in 0..=numbers.below(3) {
        let place = numbers.below(frames.len());
        match (numbers.below(7), frames.get(place).map(|frame| frame.to_vec())) {
            (0, Some(_)) => drop(frames.remove(place)),
            (1, Some(frame)) => frames.insert(place, frame.into()),
            (2, Some(mut frame)) => {
                frame.truncate(numbers.below(frame.len()));
                frames[place] = frame.into();
            }
            (3, Some(mut frame)) => {
                let at = numbers.below(frame.len());
                frame.insert(at, numbers.below(256) as u8);
                frames[place] = frame.into();
            }
            (4, Some(_)) => frames[place] = "[".repeat(numbers.below(5000)).into(),
            (_, Some(mut frame)) if !frame.is_empty() => {
                let at = numbers.below(frame.len());
                frame[at] ^= 1 << numbers.below(8);
                frames[place] = frame.into();
            }
            _ => {}
        }
    }
    frames
}

/// With a key all changes break the signature; without one they reach what stands behind it.
#[tokio::test]
async fn two_thousand_mutations_do_no_harm() {
    for key in ["a key", ""] {
        let kernel = Kernel::with_key(key);
        let mut front_end = FrontEnd::first(&kernel).await;
        let connection = &kernel.connection;
        let mut sockets = [
            dealer(&connection.shell_url()).await,
            dealer(&connection.control_url()).await,
            dealer(&connection.stdin_url()).await,
        ];
        let mut numbers = Numbers(0x5eed);
        let contents = [
            ("execute_request", cell("print a")),
            ("history_request", json!({"hist_access_type": "search", "pattern": "*", "n": 3})),
            ("complete_request", json!({"code": "pr", "cursor_pos": 1})),
            ("comm_open", json!({"comm_id": "1"})),
            ("input_reply", json!({"value": "x"})),
        ];
        for i in 0..2000 {
            let (kind, content) = &contents[i % contents.len()];
            let frames = mutated(signed(key, kind, content.clone()), &mut numbers);
            throw(&mut sockets[numbers.below(3)], frames).await;
        }
        let id = send(&mut front_end.shell, "kernel_info_request", json!({})).await;
        assert_eq!(front_end.reply(&id).await.content["status"], "ok");
        send(&mut front_end.control, "kernel_info_request", json!({})).await;
        assert_eq!(receive(&mut front_end.control).await.content["status"], "ok");
    }
}

/// Signed, but of any form: a client with a fault.
#[tokio::test]
async fn signed_nonsense_is_answered_or_ignored() {
    let kernel = Kernel::start();
    let mut front_end = FrontEnd::first(&kernel).await;
    let odd = [json!(null), json!(-1), json!(1e300), json!([[]]), json!({"a": {}}), json!("\u{0}"), json!(true)];
    let mut numbers = Numbers(7);
    let kinds = ["execute", "history", "complete", "inspect", "is_complete", "comm_info", "interrupt", "connect", ""];
    let fields = ["code", "cursor_pos", "user_expressions", "hist_access_type", "n", "pattern", "silent", "session"];
    let mut asked = 0;
    for _ in 0..300 {
        let kind = format!("{}_request", kinds[numbers.below(kinds.len())]);
        let content = fields.iter().map(|name| ((*name).to_owned(), odd[numbers.below(odd.len())].clone())).collect();
        send(&mut front_end.shell, &kind, Value::Object(content)).await;
        asked += usize::from(!["interrupt_request", "_request"].contains(&kind.as_str()));
    }
    for _ in 0..asked {
        receive(&mut front_end.shell).await;
    }
    let (reply, _) = {
        let id = send(&mut front_end.shell, "execute_request", cell("print fine")).await;
        (front_end.reply(&id).await.content, front_end.heard_until_idle(&id).await)
    };
    assert_eq!(reply["status"], "ok");
}

#[tokio::test]
async fn a_message_counts_once_and_only_with_the_key() {
    let kernel = Kernel::start();
    let mut front_end = FrontEnd::first(&kernel).await;
    let mut socket = dealer(&kernel.connection.shell_url()).await;
    let mut control = dealer(&kernel.connection.control_url()).await;
    let good = signed("a key", "execute_request", cell("print once"));
    let mut unsigned = signed("a key", "execute_request", cell("print unsigned"));
    unsigned[1] = Bytes::new();
    for frames in [&good, &good, &unsigned, &signed("another", "execute_request", cell("print forged"))] {
        throw(&mut socket, frames.clone()).await;
    }
    // What has been taken on shell is not taken on control either.
    assert!(got(&mut socket).await.contains("execute_reply"));
    throw(&mut control, good).await;
    let heard = front_end.heard_until("stream").await;
    assert_eq!(heard.content["text"], "once\n");
    front_end.heard_until("status").await;
    let (reply, heard) = front_end.run("print next").await;
    assert_eq!((&reply["execution_count"], said(&heard).len()), (&json!(2), 2));
}

#[tokio::test]
async fn an_oversized_message_is_dropped_and_its_sender_stays() {
    let kernel = Kernel::start();
    let mut socket = dealer(&kernel.connection.shell_url()).await;
    let mut frames = signed("a key", "execute_request", cell("print large"));
    frames.push(vec![0; 65 << 20].into());
    throw(&mut socket, frames).await;
    throw(&mut socket, signed("a key", "connect_request", json!({}))).await;
    assert!(got(&mut socket).await.contains("connect_reply"));
}

/// Greets as a socket of that kind, and is done with manners.
fn greeted(port: u16, kind: &str) -> TcpStream {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let mut greeting = [0; 64];
    (greeting[0], greeting[9], greeting[10]) = (0xff, 0x7f, 3);
    greeting[12..16].copy_from_slice(b"NULL");
    let body = [b"\x05READY\x0bSocket-Type\0\0\0", &[kind.len() as u8][..], kind.as_bytes()].concat();
    stream.write_all(&[&greeting[..], &[4, body.len() as u8], &body].concat()).unwrap();
    let mut theirs = [0; 64];
    stream.read_exact(&mut theirs).unwrap();
    stream
}

#[tokio::test]
async fn bytes_that_are_no_messages_disconnect_their_sender_only() {
    let kernel = Kernel::start();
    let mut front_end = FrontEnd::first(&kernel).await;
    let ConnectionInfo { shell_port, iopub_port, stdin_port, control_port, hb_port, .. } = kernel.connection;
    let mut kept = Vec::new();
    for port in [shell_port, iopub_port, stdin_port, control_port, hb_port] {
        let mut http = TcpStream::connect(("127.0.0.1", port)).unwrap();
        http.write_all(&b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(3)).unwrap();
        // It is shown the door: the greeting, and then the end. What else it sent may turn the end into a reset.
        let _ = http.read_to_end(&mut Vec::new());
        // A page of the browser is no dealer, nor is a publisher.
        let mut wrong = greeted(port, "PUB");
        let _ = wrong.read_to_end(&mut Vec::new());
        kept.push(TcpStream::connect(("127.0.0.1", port)).unwrap());
    }
    for (port, kind) in [(shell_port, "DEALER"), (iopub_port, "SUB"), (hb_port, "REQ"), (control_port, "DEALER")] {
        // A frame of 2^63 - 1 bytes, it says, and a terabyte.
        for claim in [i64::MAX as u64, 1 << 40] {
            let mut stream = greeted(port, kind);
            stream.write_all(&[&[2][..], &claim.to_be_bytes(), b"and so on"].concat()).unwrap();
            kept.push(stream);
        }
    }
    let mut odd_command = greeted(shell_port, "DEALER");
    odd_command.write_all(&[&[6][..], &u64::MAX.to_be_bytes()].concat()).unwrap();
    let _ = odd_command.read_to_end(&mut Vec::new());
    assert_eq!(front_end.run("print fine").await.0["status"], "ok");
}

/// Who subscribes and does not read is waited for a while, and then let go; the others get all.
#[tokio::test]
async fn a_subscriber_that_does_not_read_stops_nobody() {
    let kernel = Kernel::open("key", |_| Ok(Box::new(Faulty(Echo::default()))));
    let mut front_end = FrontEnd::first(&kernel).await;
    let mut deaf = greeted(kernel.connection.iopub_port, "SUB");
    deaf.write_all(&[0, 1, 1]).unwrap();
    let id = send(&mut front_end.shell, "execute_request", cell("flood")).await;
    // Reads at once, as it would be let go of, too.
    let heard = front_end.heard(&id).await;
    assert_eq!(front_end.reply(&id).await.content["status"], "ok");
    let text: usize = heard[1..].iter().map(|(_, content)| content["text"].as_str().unwrap().len()).sum();
    assert_eq!(text, FLOOD.0 * FLOOD.1);
    // It was disconnected: what it was sent comes to an end.
    let mut got = Vec::new();
    let _ = deaf.read_to_end(&mut got);
    assert!(got.len() < text, "{} of {text}", got.len());
}

/// Nor are small messages kept for it without end.
#[tokio::test]
async fn a_subscriber_that_does_not_read_is_not_sent_small_messages_for_ever() {
    let kernel = Kernel::open("key", |_| Ok(Box::new(Faulty(Echo::default()))));
    let mut front_end = FrontEnd::first(&kernel).await;
    let mut deaf = greeted(kernel.connection.iopub_port, "SUB");
    deaf.write_all(&[0, 1, 1]).unwrap();
    let id = send(&mut front_end.shell, "execute_request", cell("sprinkle")).await;
    assert_eq!(front_end.heard(&id).await.len(), SPRINKLE.0 + 1);
    assert_eq!(front_end.reply(&id).await.content["status"], "ok");
    let mut got = Vec::new();
    let _ = deaf.read_to_end(&mut got);
    assert!(got.len() < SPRINKLE.0 * SPRINKLE.1, "{}", got.len());
}

/// As ipykernel has it: a front end whose connection died without a word comes back by its name, and is answered.
#[tokio::test]
async fn who_comes_by_a_name_in_use_takes_it_over() {
    let kernel = Kernel::start();
    let named = async || {
        let mut options = zeromq::SocketOptions::default();
        options.peer_identity("me".parse().unwrap());
        let mut socket = zeromq::DealerSocket::with_options(options);
        socket.connect(&kernel.connection.shell_url()).await.unwrap();
        socket
    };
    let mut sockets = Vec::new();
    for _ in 0..3 {
        let mut socket = named().await;
        throw(&mut socket, signed("a key", "connect_request", json!({}))).await;
        assert!(got(&mut socket).await.contains("connect_reply"));
        sockets.push(socket);
    }
}

/// More than a socket has room for, each greeted; none of them ever signs anything.
const SILENT: usize = 140;

#[tokio::test]
async fn silent_strangers_keep_nobody_out() {
    let kernel = Kernel::start();
    let mut front_end = FrontEnd::first(&kernel).await;
    assert_eq!(front_end.run("print known").await.0["status"], "ok");
    let ConnectionInfo { shell_port, control_port, .. } = kernel.connection;
    let strangers = [shell_port, control_port]
        .map(|port| (0..SILENT).map(|_| TcpStream::connect(("127.0.0.1", port)).unwrap()).collect::<Vec<_>>());
    for url in [kernel.connection.shell_url(), kernel.connection.control_url()] {
        let mut newcomer = dealer(&url).await;
        throw(&mut newcomer, signed("a key", "kernel_info_request", json!({}))).await;
        assert!(got(&mut newcomer).await.contains("kernel_info_reply"));
    }
    // Who has signed something stays.
    let id = send(&mut front_end.shell, "execute_request", cell("print still here")).await;
    assert_eq!(front_end.reply(&id).await.content["status"], "ok");
    drop(strangers);
}

/// Frames of so many bytes, once as a message each.
fn weight(stream: &mut TcpStream, bytes: usize, more: bool) {
    let flags = 2 | u8::from(more);
    stream.write_all(&[&[flags][..], &(bytes as u64).to_be_bytes()].concat()).unwrap();
    stream.write_all(&vec![0; bytes]).unwrap();
}

#[tokio::test]
async fn a_heart_beats_back_no_megabytes() {
    let kernel = Kernel::start();
    let mut heart = greeted(kernel.connection.hb_port, "REQ");
    // Its READY.
    let mut ready = [0; 27];
    heart.read_exact(&mut ready[..2]).unwrap();
    let length = usize::from(ready[1]);
    heart.read_exact(&mut vec![0; length]).unwrap();
    weight(&mut heart, 1 << 20, false);
    heart.write_all(b"\0\x04beat").unwrap();
    let mut beat = [0; 6];
    heart.read_exact(&mut beat).unwrap();
    assert_eq!(&beat, b"\0\x04beat");
}

/// What strangers send and do not end is kept up to a bound, all of them together; who signs is served meanwhile.
#[tokio::test]
async fn strangers_have_a_bound_in_common() {
    let kernel = Kernel::start();
    let mut strangers = Vec::new();
    // The first takes nearly all there is and keeps it; nothing is left for the second, whose message is dropped.
    for _ in 0..2 {
        let mut stranger = greeted(kernel.connection.shell_port, "DEALER");
        weight(&mut stranger, 60 << 20, true);
        strangers.push(stranger);
    }
    let mut good = dealer(&kernel.connection.shell_url()).await;
    let large = json!({"x": "x".repeat(5 << 20)});
    // Too much for a stranger now; a client whose small message was signed is none.
    throw(&mut good, signed("a key", "connect_request", large.clone())).await;
    throw(&mut good, signed("a key", "kernel_info_request", json!({}))).await;
    assert!(got(&mut good).await.contains("kernel_info_reply"));
    throw(&mut good, signed("a key", "connect_request", large)).await;
    assert!(got(&mut good).await.contains("connect_reply"));
}

/// Half of a pair of UTF-16, as `JSON.stringify` writes half an emoji: signed, and no text.
#[tokio::test]
async fn signed_content_that_is_none_is_answered_with_an_error() {
    let kernel = Kernel::with_key("");
    let mut front_end = FrontEnd::first(&kernel).await;
    let half = |kind: &str| {
        let mut frames = signed("", kind, json!({}));
        let last = frames.len() - 1;
        frames[last] = Bytes::from_static(b"{\"code\": \"// \\ud83d\"}");
        frames
    };
    let mut shell = dealer(&kernel.connection.shell_url()).await;
    for kind in ["execute", "complete", "kernel_info", "no_such"] {
        throw(&mut shell, half(&format!("{kind}_request"))).await;
        let reply = got(&mut shell).await;
        assert!(reply.contains(&format!("{kind}_reply")) && reply.contains("\"status\":\"error\""), "{reply}");
        assert_eq!(front_end.heard_until("status").await.content["execution_state"], "busy");
        if kind == "execute" {
            let error = front_end.heard_until("error").await.content;
            assert!(error["evalue"].as_str().unwrap().contains("content that is no JSON object"), "{error}");
        }
        assert_eq!(front_end.heard_until("status").await.content["execution_state"], "idle");
    }
    let mut control = dealer(&kernel.connection.control_url()).await;
    throw(&mut control, half("debug_request")).await;
    assert!(got(&mut control).await.contains("debug_reply"));
    // Nobody waits for an answer to what is no request.
    throw(&mut shell, half("comm_open")).await;
    throw(&mut shell, half("connect_request")).await;
    assert!(got(&mut shell).await.contains("connect_reply"));
}
