//! A tiny HTTP server on this machine for the tests, and what `download` makes of its answers.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::Result;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use std::{fs, thread};

/// A header that makes the server fall silent after its answer.
const SILENT: &str = "X-Silent: yes\r\n";

/// What the server was asked for: the `Range` header of each request.
type Asked = Arc<Mutex<Vec<Option<String>>>>;

/// Serves on a port of its own until the test ends: `answer` gets the request's number and its `Range`, and gives all
/// the bytes to send, head included. After a [`SILENT`] answer the connection stays open.
pub(crate) fn serve(answer: impl Fn(usize, Option<&str>) -> Vec<u8> + Send + 'static) -> (String, Asked) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/file", listener.local_addr().unwrap());
    let asked = Asked::default();
    let log = Arc::clone(&asked);
    thread::spawn(move || {
        let mut silent = Vec::new();
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut range = None;
            for line in BufReader::new(&stream).lines().map_while(|line| line.ok()).take_while(|line| !line.is_empty())
            {
                if let Some((name, value)) = line.split_once(':').filter(|(n, _)| n.eq_ignore_ascii_case("range")) {
                    let _ = name;
                    range = Some(value.trim().to_owned());
                }
            }
            let number = log.lock().unwrap().len();
            log.lock().unwrap().push(range.clone());
            let bytes = answer(number, range.as_deref());
            let _ = stream.write_all(&bytes);
            if bytes.windows(SILENT.len()).any(|window| window == SILENT.as_bytes()) {
                silent.push(stream);
            }
        }
    });
    (url, asked)
}

/// An answer with a body, its length as announced.
pub(crate) fn answer(status: &str, headers: &str, announced: usize, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {announced}\r\n{headers}\r\n");
    [head.as_bytes(), body].concat()
}

/// A server that does it right: ranges are answered with ranges.
fn honest(body: Vec<u8>) -> impl Fn(usize, Option<&str>) -> Vec<u8> {
    move |_, range| {
        let from = range.map(|range| range.strip_prefix("bytes=").unwrap().strip_suffix('-').unwrap().parse().unwrap());
        match from {
            None => answer("200 OK", "", body.len(), &body),
            Some(from) => rest(&body, from),
        }
    }
}

fn rest(body: &[u8], from: usize) -> Vec<u8> {
    let range = format!("Content-Range: bytes {from}-{}/{}\r\n", body.len() - 1, body.len());
    answer("206 Partial Content", &range, body.len() - from, &body[from..])
}

fn body() -> Vec<u8> {
    (0..200_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}

/// Downloads into `folder`, with `part` left there by an earlier try.
fn fetch(url: &str, body: &[u8], part: Option<&[u8]>, folder: &Path) -> Result<Vec<u8>> {
    let to = folder.join("file");
    if let Some(part) = part {
        fs::write(folder.join("file.part"), part).unwrap();
    }
    let sha256 = sha256_hex(body);
    let outcome = download(&Remote { url, sha256: &sha256, bytes: body.len() as u64, what: "a file" }, &to);
    assert_eq!(outcome.is_ok(), to.exists(), "the name stands for the whole file only");
    outcome.map(|()| fs::read(&to).unwrap())
}

#[test]
fn a_whole_file_arrives_once() {
    let folder = tempfile::tempdir().unwrap();
    let (url, asked) = serve(honest(body()));
    assert_eq!(fetch(&url, &body(), None, folder.path()).unwrap(), body());
    assert!(!folder.path().join("file.part").exists());
    fetch(&url, &body(), None, folder.path()).unwrap();
    assert_eq!(*asked.lock().unwrap(), [None], "what is there already is not asked for again");
}

#[test]
fn a_corrupt_file_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("file"), vec![0; 200_000]).unwrap();
    let (url, _) = serve(honest(body()));
    assert_eq!(fetch(&url, &body(), None, folder.path()).unwrap(), body());
}

#[test]
fn a_download_is_taken_up_where_it_broke_off() {
    let part = &body()[..70_000];
    // The first answer of this one ends early, and the next request asks for the rest.
    let breaks = |number: usize, _: Option<&str>| match number {
        0 => answer("200 OK", "", 200_000, &body()[..70_000]),
        _ => rest(&body(), 70_000),
    };
    let all = |_: usize, _: Option<&str>| answer("200 OK", "", 200_000, &body());
    let other = |_: usize, range: Option<&str>| match range {
        Some(_) => rest(&body(), 60_000),
        None => answer("200 OK", "", 200_000, &body()),
    };
    let refuses = |_: usize, range: Option<&str>| match range {
        Some(_) => answer("416 Range Not Satisfiable", "", 0, b""),
        None => answer("200 OK", "", 200_000, &body()),
    };
    type Answer = Box<dyn Fn(usize, Option<&str>) -> Vec<u8> + Send>;
    let wrong = vec![9; 70_000];
    let whole_but_wrong = vec![9; 200_000];
    let too_long = vec![9; 200_001];
    let resumed = Some("bytes=70000-".to_owned());
    // (label, what the server does, what an earlier try left, the ranges it is asked for)
    type Case<'a> = (&'a str, Answer, Option<&'a [u8]>, Vec<Option<String>>);
    let cases: [Case<'_>; 9] = [
        ("the rest", Box::new(honest(body())), Some(part), vec![resumed.clone()]),
        ("breaks off", Box::new(breaks), None, vec![None, resumed.clone()]),
        ("no ranges", Box::new(all), Some(part), vec![resumed.clone()]),
        ("another range", Box::new(other), Some(part), vec![resumed.clone(), None]),
        ("refuses", Box::new(refuses), Some(part), vec![resumed.clone(), None]),
        ("wrong part", Box::new(honest(body())), Some(&wrong), vec![resumed, None]),
        ("whole part", Box::new(honest(body())), Some(&body()), vec![]),
        ("whole, wrong", Box::new(honest(body())), Some(&whole_but_wrong), vec![None]),
        ("too long", Box::new(honest(body())), Some(&too_long), vec![None]),
    ];
    for (label, answers, part, ranges) in cases {
        let folder = tempfile::tempdir().unwrap();
        let (url, asked) = serve(answers);
        let found = fetch(&url, &body(), part, folder.path());
        assert_eq!(found.unwrap_or_else(|e| panic!("{label}: {e}")), body(), "{label}");
        assert_eq!(*asked.lock().unwrap(), ranges, "{label}");
    }
}

#[test]
fn wrong_bytes_never_get_the_name() {
    let mut long = body();
    long.push(0);
    let mut other = body();
    other[123_456] ^= 1;
    let unannounced = [b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", &long[..]].concat();
    let garbage = b"SSH-2.0-not-http\r\n".to_vec();
    // (label, the server's one answer, words of the error, bytes kept for another try)
    let cases = [
        ("not found", answer("404 Not Found", "", 4, b"gone"), "404 Not Found", 0),
        ("server error", answer("503 Service Unavailable", "", 0, b""), "503", 0),
        ("announces more", answer("200 OK", "", 200_001, &long), "announces 200001 bytes, not 200000", 0),
        ("announces less", answer("200 OK", "", 3, b"abc"), "announces 3 bytes", 0),
        ("sends more", unannounced, "more than 200000 bytes", 0),
        ("other bytes", answer("200 OK", "", 200_000, &other), "has sha256", 0),
        ("ends early", answer("200 OK", "", 200_000, &body()[..1000]), "after 1000 of 200000 bytes", 1000),
        ("a part unasked", rest(&body(), 1000), "another part", 0),
        ("not HTTP", garbage, "127.0.0.1", 0),
    ];
    for (label, bytes, words, kept) in cases {
        let folder = tempfile::tempdir().unwrap();
        let (url, _) = serve(move |_, _| bytes.clone());
        let error = fetch(&url, &body(), None, folder.path()).unwrap_err().to_string();
        assert!(error.contains(words) && error.contains(&url), "{label}: {error}");
        let part = fs::metadata(folder.path().join("file.part")).unwrap().len();
        assert_eq!(part, kept, "{label}");
    }
}

#[test]
fn an_answer_that_is_not_the_file_costs_nothing_that_was_fetched() {
    let part = &body()[..70_000];
    let page = b"<html>Sign in to this network</html>";
    let unannounced = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<html>";
    let cases = [
        ("a page", answer("200 OK", "Content-Type: text/html\r\n", page.len(), page), "announces 36 bytes, not 200000"),
        ("a page of any length", unannounced.to_vec(), "web page"),
        ("another file", answer("200 OK", "", 3, b"abc"), "announces 3 bytes, not 200000"),
        ("server error", answer("503 Service Unavailable", "", 0, b""), "503"),
    ];
    for (label, bytes, words) in cases {
        let folder = tempfile::tempdir().unwrap();
        let (url, asked) = serve(move |_, _| bytes.clone());
        let error = fetch(&url, &body(), Some(part), folder.path()).unwrap_err().to_string();
        assert!(error.contains(words), "{label}: {error}");
        assert_eq!(*asked.lock().unwrap(), [Some("bytes=70000-".to_owned())], "{label}");
        assert_eq!(fs::read(folder.path().join("file.part")).unwrap(), part, "{label}");
        // Behind the sign-in the rest is still all that is asked for.
        let (url, asked) = serve(honest(body()));
        assert_eq!(fetch(&url, &body(), None, folder.path()).unwrap(), body(), "{label}");
        assert_eq!(*asked.lock().unwrap(), [Some("bytes=70000-".to_owned())], "{label}");
    }
}

#[test]
fn a_redirect_is_followed_and_takes_the_range_along() {
    let resumed = Some("bytes=70000-".to_owned());
    let cases = [("301 Moved Permanently", None, None), ("302 Found", Some(&body()[..70_000]), resumed)];
    for (status, part, range) in cases {
        let folder = tempfile::tempdir().unwrap();
        let (there, asked_there) = serve(honest(body()));
        let (here, asked_here) = serve(move |_, _| answer(status, &format!("Location: {there}\r\n"), 0, b""));
        assert_eq!(fetch(&here, &body(), part, folder.path()).unwrap(), body(), "{status}");
        assert_eq!(*asked_here.lock().unwrap(), std::slice::from_ref(&range), "{status}");
        assert_eq!(*asked_there.lock().unwrap(), [range], "{status}");
    }
}

#[test]
fn a_body_that_falls_silent_is_asked_for_again_from_there() {
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("file");
    let rest = honest(body());
    let (url, asked) = serve(move |number, range| match number {
        0 => answer("200 OK", SILENT, 200_000, &body()[..100_000]),
        _ => rest(number, range),
    });
    let sha256 = sha256_hex(&body());
    let remote = Remote { url: &url, sha256: &sha256, bytes: 200_000, what: "a file" };
    download::download_within(&lock(&to).unwrap(), &remote, &to, Duration::from_millis(300)).unwrap();
    assert_eq!(fs::read(&to).unwrap(), body());
    // On a machine that is busy elsewhere 300 ms can pass in more places, so only the kind of request is certain.
    let asked = asked.lock().unwrap();
    assert!(asked.len() > 1 && asked[0].is_none(), "{asked:?}");
    assert!(asked[1..].iter().all(Option::is_some), "{asked:?}");
}

#[test]
fn without_a_network_it_says_so() {
    let folder = tempfile::tempdir().unwrap();
    // RFC 2606 keeps `.invalid` free of hosts, and nobody listens on port 1 here.
    for url in ["http://candlewick.invalid/file", "http://127.0.0.1:1/file", "no address"] {
        let error = fetch(url, &body(), None, folder.path()).unwrap_err().to_string();
        assert!(error.starts_with(url), "{error}");
    }
}

#[test]
fn several_at_once_fetch_once() {
    let folder = tempfile::tempdir().unwrap();
    let (url, asked) = serve(honest(body()));
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| assert_eq!(fetch(&url, &body(), None, folder.path()).unwrap(), body()));
        }
    });
    assert_eq!(asked.lock().unwrap().len(), 1);
}
