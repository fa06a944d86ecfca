//! Messages in and out: signed, checked, never trusted. <https://jupyter-client.readthedocs.io/en/stable/messaging.html>

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use jupyter_protocol::messaging::{Header, UnknownMessage};
use jupyter_zmq_client::{Connection, JupyterMessage, JupyterMessageContent, RawMessage};
use serde_json::{Map, Value};
use std::cell::RefCell;
use std::collections::{HashSet, VecDeque};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use zeromq::{Socket as _, SocketSend, ZmqMessage, ZmqResult};

/// The version of the protocol that this kernel speaks.
pub(super) const PROTOCOL: &str = "5.4";

/// How many signatures are remembered: what `jupyter_client` remembers, too.
const MOST_SEEN: usize = 1 << 16;

/// A checked message from a client.
#[derive(Debug)]
pub(super) struct Request {
    /// The client's own name, to answer it.
    pub(super) peer: Bytes,
    /// More names, of those who passed the message on.
    route: Vec<Bytes>,
    pub(super) header: Header,
    content: Map<String, Value>,
    /// Why there is no content, where what was sent is none.
    fault: Option<String>,
}

impl Request {
    /// The request's kind, as in `execute_request`.
    pub(super) fn kind(&self) -> &str {
        &self.header.msg_type
    }

    /// Its reply's kind; none where it is no request.
    pub(super) fn reply_kind(&self) -> Option<String> {
        self.kind().strip_suffix("_request").map(|what| format!("{what}_reply"))
    }

    /// What is wrong with it: it is signed and somebody waits for an answer, but it cannot be read.
    ///
    /// # Errors
    /// That.
    pub(super) fn readable(&self) -> Result<()> {
        self.fault.as_ref().map_or(Ok(()), |why| anyhow::bail!("{}: {why}", self.kind()))
    }

    pub(super) fn get(&self, name: &str) -> &Value {
        self.content.get(name).unwrap_or(&Value::Null)
    }

    /// A text that the request must have.
    pub(super) fn text(&self, name: &str) -> Result<&str> {
        self.get(name).as_str().with_context(|| format!("{} without the text {name:?}", self.kind()))
    }

    /// A flag, or what it is by default.
    pub(super) fn flag(&self, name: &str, default: bool) -> bool {
        self.get(name).as_bool().unwrap_or(default)
    }
}

/// Signs what goes out, checks what comes in.
pub(super) struct Wire {
    signer: RefCell<Connection<Outbox>>,
    seen: RefCell<Seen>,
}

/// Signatures that were seen, oldest first.
#[derive(Default)]
struct Seen {
    order: VecDeque<Bytes>,
    all: HashSet<Bytes>,
}

impl Seen {
    /// Takes in a signature; whether it is new.
    fn insert(&mut self, signature: &[u8]) -> bool {
        // A copy: the message that it is part of may be large.
        let signature = Bytes::copy_from_slice(signature);
        if !self.all.insert(signature.clone()) {
            return false;
        }
        self.order.push_back(signature);
        if self.order.len() > MOST_SEEN
            && let Some(oldest) = self.order.pop_front()
        {
            self.all.remove(&oldest);
        }
        true
    }
}

impl Wire {
    /// For that key, and for a session of a name that nobody else has.
    pub(super) fn new(key: &str, session: &str) -> Self {
        let mac = Connection::new(zeromq::RouterSocket::new(), key, session).mac;
        let signer = Connection { socket: Outbox(None), mac, session_id: session.to_owned() };
        Self { signer: RefCell::new(signer), seen: RefCell::default() }
    }

    /// Checks a message: its signature, that it is new, and its form.
    ///
    /// # Errors
    /// Where it is to be dropped, with the reason.
    pub(super) fn check(&self, peer: Bytes, frames: Vec<Bytes>) -> Result<Request> {
        let signature = frames.iter().skip_while(|frame| frame[..] != b"<IDS|MSG>"[..]).nth(1).cloned();
        let multipart = ZmqMessage::try_from(frames).map_err(|error| anyhow::anyhow!("{error}"))?;
        let raw = {
            let signer = self.signer.borrow();
            let raw = RawMessage::from_multipart(multipart, &signer.mac).context("not a signed message")?;
            let new = signer.mac.is_none() || self.seen.borrow_mut().insert(&signature.unwrap_or_default());
            ensure!(new, "seen before");
            raw
        };
        let [header, parent, metadata, content, ..] = &raw.jparts[..] else { anyhow::bail!("too few parts") };
        let header = read_header(header).context("a header that is none")?;
        let object = |part: &Bytes, what: &str| -> Result<Map<String, Value>> {
            serde_json::from_slice(part).with_context(|| format!("{what} that is no JSON object"))
        };
        let read = || {
            object(parent, "a parent header")?;
            object(metadata, "metadata")?;
            object(content, "content")
        };
        let (content, fault) = match read() {
            Ok(content) => (content, None),
            Err(why) => (Map::new(), Some(format!("{why:#}"))),
        };
        Ok(Request { peer, route: raw.zmq_identities, header, content, fault })
    }

    /// A message of that kind, signed. Its first frames are `route`, for which a subscriber's topic counts, too.
    ///
    /// # Errors
    /// Where it has no form as JSON, which no message of ours is.
    pub(super) fn sign(
        &self,
        kind: &str,
        content: Value,
        parent: Option<&Header>,
        route: Vec<Bytes>,
    ) -> Result<Vec<Bytes>> {
        let content = UnknownMessage { msg_type: kind.to_owned(), content };
        let mut message = JupyterMessage::new(JupyterMessageContent::UnknownMessage(content), None);
        "kernel".clone_into(&mut message.header.username);
        PROTOCOL.clone_into(&mut message.header.version);
        message.parent_header = parent.cloned();
        message.zmq_identities = route;
        let mut signer = self.signer.borrow_mut();
        {
            let mut sending = pin!(signer.send(message));
            let Poll::Ready(sent) = sending.as_mut().poll(&mut Context::from_waker(Waker::noop())) else {
                anyhow::bail!("cannot sign {kind}");
            };
            sent.with_context(|| format!("cannot sign {kind}"))?;
        }
        Ok(signer.socket.0.take().map(ZmqMessage::into_vec).unwrap_or_default())
    }

    /// The answer to a request, signed.
    ///
    /// # Errors
    /// Those of [`Self::sign`].
    pub(super) fn answer(&self, request: &Request, kind: &str, content: Value) -> Result<Vec<Bytes>> {
        self.sign(kind, content, Some(&request.header), request.route.clone())
    }
}

/// Reads a header. It must say what is asked, and by which name the answer is known; the rest is nothing to fail for.
fn read_header(header: &[u8]) -> Result<Header> {
    let mut header: Map<String, Value> = serde_json::from_slice(header)?;
    for (name, default) in [("username", ""), ("session", ""), ("version", PROTOCOL)] {
        if !header.get(name).is_some_and(Value::is_string) {
            header.insert(name.to_owned(), default.into());
        }
    }
    Ok(serde_json::from_value(Value::Object(header))?)
}

/// Where the signing [`Connection`] leaves its messages: the sockets are our own.
struct Outbox(Option<ZmqMessage>);

impl SocketSend for Outbox {
    fn send<'a, 'b>(&'a mut self, message: ZmqMessage) -> Pin<Box<dyn Future<Output = ZmqResult<()>> + Send + 'b>>
    where
        'a: 'b,
        Self: 'b,
    {
        self.0 = Some(message);
        Box::pin(std::future::ready(Ok(())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn checks(wire: &Wire, frames: &[Bytes]) -> Result<Request> {
        wire.check(Bytes::from_static(b"me"), frames.to_vec())
    }

    #[test]
    fn a_signed_message_is_taken_once() {
        let wire = Wire::new("key", "session");
        let frames = wire.sign("kernel_info_request", json!({"a": null}), None, vec![Bytes::from_static(b"hop")]);
        let frames = frames.unwrap();
        let request = checks(&wire, &frames).unwrap();
        assert_eq!((request.kind(), request.header.version.as_str()), ("kernel_info_request", "5.4"));
        assert_eq!(request.get("a"), request.get("b"));
        assert_eq!(wire.answer(&request, "kernel_info_reply", json!({})).unwrap()[0], "hop");
        assert!(checks(&wire, &frames).unwrap_err().to_string().contains("seen before"));
        assert!(checks(&Wire::new("other", "session"), &frames).is_err());
    }

    #[test]
    fn without_a_key_anything_well_formed_is_taken() {
        let wire = Wire::new("", "session");
        let frames = wire.sign("kernel_info_request", json!({}), None, vec![]).unwrap();
        assert_eq!(frames[1], "");
        assert!(checks(&wire, &frames).is_ok());
        assert!(checks(&wire, &frames).is_ok());
    }

    /// HMAC-SHA256 as Python's `hmac` has it: key `key`, message `{}` four times.
    #[test]
    fn signatures_are_pythons() {
        let wire = Wire::new("key", "session");
        let parts = ["<IDS|MSG>", "3c4a2b2c", "{}", "{}", "{}", "{}"].map(|part| Bytes::from(part.to_owned()));
        assert!(checks(&wire, &parts).unwrap_err().to_string().contains("not a signed message"));
        let mut parts = parts.to_vec();
        parts[1] = Bytes::from_static(PYTHONS.as_bytes());
        // Its signature holds, and so it fails at the next step.
        assert!(checks(&wire, &parts).unwrap_err().to_string().contains("a header that is none"));
    }

    const PYTHONS: &str = "ca767b02c5bc061ed184a9a029e7f93a7f2f7ed4e8fe74120fc1212f0b008fa3";

    #[test]
    fn every_malformed_message_is_refused_with_a_reason() {
        let wire = Wire::new("", "session");
        let good = wire.sign("execute_request", json!({"code": ""}), None, vec![]).unwrap();
        assert!(checks(&wire, &good).is_ok());
        let deep = "[".repeat(100_000);
        let bad: [&[u8]; 6] = [b"", b"[]", b"{\"a\":", b"\xff\xfe", b"null", deep.as_bytes()];
        for part in 2..6 {
            for bad in bad {
                let mut frames = good.clone();
                frames[part] = Bytes::copy_from_slice(bad);
                let checked = checks(&wire, &frames);
                // Who sent it is known by a header that holds, and is to be told.
                let refused = if part == 2 { checked.is_err() } else { checked.unwrap().readable().is_err() };
                assert!(refused, "part {part} {}", bad.escape_ascii());
            }
            assert!(checks(&wire, &good[..part]).is_err());
        }
        assert!(checks(&wire, &[]).is_err());
    }

    #[test]
    fn a_header_needs_its_name_and_its_kind_only() {
        let wire = Wire::new("", "session");
        let good = wire.sign("kernel_info_request", json!({}), None, vec![]).unwrap();
        let whole: Map<String, Value> = serde_json::from_slice(&good[2]).unwrap();
        for name in ["msg_id", "username", "session", "date", "msg_type", "version"] {
            for odd in [None, Some(Value::Null), Some(json!(7))] {
                let mut header = whole.clone();
                header.remove(name);
                header.extend(odd.map(|odd| (name.to_owned(), odd)));
                let mut frames = good.clone();
                frames[2] = serde_json::to_vec(&header).unwrap().into();
                let checked = checks(&wire, &frames);
                assert_eq!(checked.is_ok(), !["msg_id", "msg_type"].contains(&name), "{name}: {checked:?}");
            }
        }
    }

    #[test]
    fn the_memory_for_signatures_is_bounded() {
        let mut seen = Seen::default();
        for i in 0..=MOST_SEEN as u32 {
            assert!(seen.insert(&i.to_be_bytes()));
            assert!(!seen.insert(&i.to_be_bytes()));
        }
        assert_eq!((seen.order.len(), seen.all.len()), (MOST_SEEN, MOST_SEEN));
        assert!(seen.insert(&0_u32.to_be_bytes()), "the oldest is forgotten");
    }
}
