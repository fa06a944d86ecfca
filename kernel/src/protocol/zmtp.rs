//! ZeroMQ's wire format, ZMTP 3.0 with the mechanism NULL, as far as a kernel's sockets need it.
//!
//! Written here because the `zeromq` crate (0.7) reserves whatever length a peer claims, so that fifteen bytes from anyone
//! end the kernel, and waits without end for a subscriber that stops reading. <https://rfc.zeromq.org/spec/23/>

use anyhow::{Context, Result, bail, ensure};
use bytes::{BufMut, Bytes, BytesMut};
use std::io::{Error, ErrorKind};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// The largest message that is taken in, all frames together.
pub(super) const MOST_BYTES: u64 = 64 << 20;

/// The largest message of those who never send more than a few bytes: a topic, a heart's beat.
const MOST_BYTES_OF_FEW: u64 = 8 << 10;

/// The most frames of a message.
const MOST_FRAMES: usize = 1024;

/// The largest command: a handshake with its properties, a ping.
const MOST_COMMAND: u64 = 4096;

const MORE: u8 = 1;
const LONG: u8 = 2;
const COMMAND: u8 = 4;

/// The kind of a socket of a kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Takes requests and sends each reply to who asked.
    Router,
    /// Sends to all who have subscribed, and hears of subscriptions.
    Publisher,
    /// Sends back what it gets.
    Echo,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Router => "ROUTER",
            Self::Publisher => "XPUB",
            Self::Echo => "REP",
        }
    }

    /// The largest message that such a socket takes in.
    pub(super) fn most(self) -> u64 {
        match self {
            Self::Router => MOST_BYTES,
            Self::Publisher | Self::Echo => MOST_BYTES_OF_FEW,
        }
    }

    fn takes(self, peer: &[u8]) -> bool {
        match self {
            Self::Router => matches!(peer, b"DEALER" | b"REQ" | b"ROUTER"),
            Self::Publisher => matches!(peer, b"SUB" | b"XSUB"),
            Self::Echo => matches!(peer, b"REQ" | b"DEALER"),
        }
    }
}

/// What a peer sends once it is connected.
#[derive(Debug, PartialEq)]
pub(super) enum Received {
    /// A whole message, in frames.
    Message(Vec<Bytes>),
    /// A command, its name's length and name first.
    Command(Bytes),
    /// A message of so many bytes or frames that it was thrown away.
    TooLarge,
}

/// Greets a new peer; returns the identity that it gives itself, empty where it gives none.
///
/// # Errors
/// Where it does not speak ZMTP 3, wants another mechanism, or is a socket that has no business here.
pub(super) async fn greet<S>(stream: &mut S, kind: Kind) -> Result<Bytes>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut greeting = [0; 64];
    greeting[0] = 0xff;
    greeting[9] = 0x7f;
    greeting[10] = 3;
    greeting[12..16].copy_from_slice(b"NULL");
    stream.write_all(&greeting).await?;
    let mut theirs = [0; 64];
    stream.read_exact(&mut theirs).await.context("left before the greeting was over")?;
    ensure!(theirs[0] == 0xff && theirs[9] & 1 == 1 && theirs[10] >= 3, "does not speak ZMTP 3");
    ensure!(theirs[12..32] == greeting[12..32], "wants another security mechanism than NULL");
    stream.write_all(&ready(kind)).await?;
    match read(stream, &mut |_| false).await? {
        Received::Command(command) => identity(&command, kind),
        _ => bail!("sent a message before it was ready"),
    }
}

fn ready(kind: Kind) -> Bytes {
    let mut body = BytesMut::new();
    body.put_slice(b"\x05READY\x0bSocket-Type");
    body.put_u32(u32::try_from(kind.name().len()).unwrap_or_default());
    body.put_slice(kind.name().as_bytes());
    command(&body)
}

/// Reads a READY command: checks the socket's type, returns its identity.
fn identity(ready: &[u8], kind: Kind) -> Result<Bytes> {
    let mut rest = ready.strip_prefix(b"\x05READY").context("sent another command than READY")?;
    let (mut own_kind, mut identity) = (None, Bytes::new());
    while !rest.is_empty() {
        let (name, value, after) = property(rest).context("sent a READY that ends early")?;
        rest = after;
        if name.eq_ignore_ascii_case(b"Socket-Type") {
            own_kind = Some(value);
        } else if name.eq_ignore_ascii_case(b"Identity") {
            ensure!(value.len() <= 255, "has an identity of {} bytes", value.len());
            identity = Bytes::copy_from_slice(value);
        }
    }
    let own_kind = own_kind.context("does not say its socket's type")?;
    ensure!(kind.takes(own_kind), "is a {} socket", own_kind.escape_ascii());
    Ok(identity)
}

/// Splits a name with its value off a list of properties.
fn property(list: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let (&length, list) = list.split_first()?;
    let (name, list) = list.split_at_checked(length.into())?;
    let (&length, list) = list.split_first_chunk::<4>()?;
    let (value, list) = list.split_at_checked(usize::try_from(u32::from_be_bytes(length)).ok()?)?;
    Some((name, value, list))
}

/// Reads the next message or command. What is more than `allows` says of so many bytes is read over and not kept.
///
/// # Errors
/// Where the peer left, or what it sends is not ZMTP.
pub(super) async fn read<R: AsyncRead + Unpin>(
    reader: &mut R,
    allows: &mut dyn FnMut(u64) -> bool,
) -> std::io::Result<Received> {
    let (mut frames, mut size) = (Vec::new(), 0_u64);
    loop {
        let flags = reader.read_u8().await?;
        let length = if flags & LONG == 0 { reader.read_u8().await?.into() } else { reader.read_u64().await? };
        if flags & COMMAND != 0 {
            let odd = length > MOST_COMMAND || flags & MORE != 0 || size > 0;
            return if odd {
                Err(ErrorKind::InvalidData.into())
            } else {
                Ok(Received::Command(body(reader, length).await?))
            };
        }
        size = size.saturating_add(length).saturating_add(1);
        if size == u64::MAX || frames.len() >= MOST_FRAMES || !allows(size) {
            size = u64::MAX;
            frames.clear();
            skip(reader, length).await?;
        } else {
            frames.push(body(reader, length).await?);
        }
        if flags & MORE == 0 {
            return Ok(if size == u64::MAX { Received::TooLarge } else { Received::Message(frames) });
        }
    }
}

/// Reads `length` bytes; memory grows with what comes, not with what was claimed.
async fn body<R: AsyncRead + Unpin>(reader: &mut R, length: u64) -> std::io::Result<Bytes> {
    let mut body = Vec::new();
    let read = reader.take(length).read_to_end(&mut body).await?;
    if read as u64 == length { Ok(body.into()) } else { Err(Error::from(ErrorKind::UnexpectedEof)) }
}

async fn skip<R: AsyncRead + Unpin>(reader: &mut R, length: u64) -> std::io::Result<()> {
    let skipped = tokio::io::copy(&mut reader.take(length), &mut tokio::io::sink()).await?;
    if skipped == length { Ok(()) } else { Err(Error::from(ErrorKind::UnexpectedEof)) }
}

/// The bytes of a message.
pub(super) fn message(frames: &[Bytes]) -> Bytes {
    let mut bytes = BytesMut::with_capacity(frames.iter().map(|frame| frame.len() + 9).sum());
    for (i, frame) in frames.iter().enumerate() {
        put(&mut bytes, frame, if i + 1 < frames.len() { MORE } else { 0 });
    }
    bytes.freeze()
}

fn command(body: &[u8]) -> Bytes {
    let mut bytes = BytesMut::new();
    put(&mut bytes, body, COMMAND);
    bytes.freeze()
}

/// The answer to a ping, which has a time to live and then what is to be sent back; none where it is no ping.
pub(super) fn pong(ping: &[u8]) -> Option<Bytes> {
    let context = ping.strip_prefix(b"\x04PING")?.get(2..)?;
    Some(command(&[b"\x04PONG", context].concat()))
}

fn put(bytes: &mut BytesMut, frame: &[u8], flags: u8) {
    if let Ok(length) = u8::try_from(frame.len()) {
        bytes.put_u8(flags);
        bytes.put_u8(length);
    } else {
        bytes.put_u8(flags | LONG);
        bytes.put_u64(frame.len() as u64);
    }
    bytes.put_slice(frame);
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn next(reader: &mut &[u8]) -> std::io::Result<Received> {
        read(reader, &mut |bytes| bytes <= MOST_BYTES).await
    }

    async fn reads(bytes: &[u8]) -> std::io::Result<Received> {
        next(&mut &*bytes).await
    }

    #[tokio::test]
    async fn messages_survive_the_wire() {
        let long = Bytes::from(vec![7; 300]);
        for frames in [vec![Bytes::new()], vec![Bytes::from_static(b"a"), long, Bytes::new()]] {
            assert_eq!(reads(&message(&frames)).await.unwrap(), Received::Message(frames));
        }
    }

    #[tokio::test]
    async fn what_is_too_large_is_read_over_and_the_next_message_is_whole() {
        let mut bytes = [&[LONG | MORE][..], &MOST_BYTES.to_be_bytes()].concat();
        bytes.resize(bytes.len() + MOST_BYTES as usize, 0);
        bytes.extend_from_slice(&message(&[Bytes::from_static(b"rest of it")]));
        bytes.extend_from_slice(&message(&[Bytes::from_static(b"next")]));
        let mut reader = &bytes[..];
        assert_eq!(next(&mut reader).await.unwrap(), Received::TooLarge);
        assert_eq!(next(&mut reader).await.unwrap(), Received::Message(vec![Bytes::from_static(b"next")]));

        let many = message(&vec![Bytes::new(); MOST_FRAMES + 2]);
        assert_eq!(reads(&many).await.unwrap(), Received::TooLarge);
    }

    /// A claim of 2^63 bytes costs nothing: the bytes must come first.
    #[tokio::test]
    async fn claims_are_not_believed() {
        for length in [1_u64 << 63, u64::MAX, MOST_BYTES - 1] {
            let bytes = [&[LONG][..], &length.to_be_bytes(), b"short"].concat();
            assert_eq!(reads(&bytes).await.unwrap_err().kind(), ErrorKind::UnexpectedEof);
        }
        let large_command = [&[LONG | COMMAND][..], &(MOST_COMMAND + 1).to_be_bytes()].concat();
        assert_eq!(reads(&large_command).await.unwrap_err().kind(), ErrorKind::InvalidData);
    }

    #[test]
    fn a_ready_command_is_checked() {
        let ready = |properties: &[u8]| [b"\x05READY", properties].concat();
        let dealer = b"\x0bSocket-Type\0\0\0\x06DEALER\x08Identity\0\0\0\x02me";
        assert_eq!(identity(&ready(dealer), Kind::Router).unwrap(), "me");
        assert_eq!(identity(&ready(&dealer[..22]), Kind::Echo).unwrap(), "");
        assert!(identity(&ready(dealer), Kind::Publisher).unwrap_err().to_string().contains("DEALER"));
        for length in (0..dealer.len()).filter(|&length| length != 22) {
            assert!(identity(&ready(&dealer[..length]), Kind::Router).is_err(), "{length}");
        }
        assert!(identity(b"\x05ERROR", Kind::Router).is_err());
    }

    #[test]
    fn pings_are_answered_with_their_context() {
        assert_eq!(pong(b"\x04PING\0\x0ahello").unwrap(), &b"\x04\x0a\x04PONGhello"[..]);
        assert_eq!(pong(b"\x04PING\0"), None);
        assert_eq!(pong(b"\x05READY"), None);
    }
}
