//! One socket of the kernel: who is connected to it, what they send, and what is on its way to each.

use super::log::Log;
use super::wire::{Request, Wire};
use super::zmtp::{self, Kind, Received};
use anyhow::{Context, Result};
use bytes::{Buf, Bytes};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::timeout;

/// How many bytes may wait for one peer before who sends more must wait, too.
const ROOM: usize = 8 << 20;

/// Messages up to this size have room of their own: a status gets out while a cell floods.
const SMALL: usize = 4096;

/// How many bytes of small messages may wait for one peer when there is no other room.
const ROOM_FOR_SMALL: usize = 1 << 20;

/// How long a peer may take nothing while others wait for it.
const PATIENCE: Duration = Duration::from_millis(if cfg!(test) { 1000 } else { 10_000 });

/// How often that may be waited for one message, where the peer takes a little each time.
const WAITS: usize = 6;

/// How long a peer may take to greet.
const GREETING: Duration = Duration::from_secs(10);

/// The most peers of one socket.
const MOST_PEERS: usize = 128;

/// The most topics of one subscriber.
const MOST_TOPICS: usize = 64;

/// The most messages that wait to be handled.
const MOST_WAITING: usize = 4096;

/// What is sent to a new subscriber of a topic.
pub(super) type Welcome = Box<dyn Fn(&[u8]) -> Vec<Vec<Bytes>>>;

/// A socket that listens.
pub(super) struct Socket {
    name: &'static str,
    kind: Kind,
    peers: RefCell<HashMap<Bytes, Peer>>,
    connections: Cell<u64>,
    unsent: Rc<Cell<usize>>,
    incoming: mpsc::Sender<Request>,
    wire: Rc<Wire>,
    welcome: Option<Welcome>,
    log: Rc<Log>,
}

struct Peer {
    connection: u64,
    outgoing: Outgoing,
    topics: Vec<Bytes>,
    /// Dropped with the peer, which ends its connection.
    _open: oneshot::Sender<()>,
}

/// The way to one peer.
#[derive(Clone)]
struct Outgoing {
    queue: mpsc::UnboundedSender<Queued>,
    room: Arc<Semaphore>,
    room_for_small: Arc<Semaphore>,
    /// How many bytes it has taken so far.
    taken: Rc<Cell<u64>>,
}

impl Outgoing {
    /// Room for so many bytes, if there is any now.
    fn room_now(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        let from = |room: &Arc<Semaphore>| Arc::clone(room).try_acquire_many_owned(permits(bytes)).ok();
        from(&self.room).or_else(|| (bytes <= SMALL).then(|| from(&self.room_for_small)).flatten())
    }

    /// Waits for room; none where the peer takes nothing, or too little, for too long.
    async fn room(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        let mut room = pin!(Arc::clone(&self.room).acquire_many_owned(permits(bytes)));
        for _ in 0..WAITS {
            let taken = self.taken.get();
            match timeout(PATIENCE, &mut room).await {
                Ok(room) => return room.ok(),
                Err(_) if self.taken.get() == taken => return None,
                Err(_) => {}
            }
        }
        None
    }
}

/// A message that is larger than all room has it to itself.
fn permits(bytes: usize) -> u32 {
    u32::try_from(bytes.min(ROOM)).unwrap_or(u32::MAX)
}

struct Queued {
    bytes: Bytes,
    _room: OwnedSemaphorePermit,
    _unsent: Unsent,
}

/// Counts the messages that are on their way.
struct Unsent(Rc<Cell<usize>>);

impl Unsent {
    fn one(count: &Rc<Cell<usize>>) -> Self {
        count.set(count.get() + 1);
        Self(Rc::clone(count))
    }
}

impl Drop for Unsent {
    fn drop(&mut self) {
        self.0.set(self.0.get().saturating_sub(1));
    }
}

impl Socket {
    /// A socket of that kind, and the requests that come in on it. Must be in a [`tokio::task::LocalSet`].
    pub(super) fn open(
        name: &'static str,
        kind: Kind,
        listener: TcpListener,
        wire: &Rc<Wire>,
        welcome: Option<Welcome>,
        log: &Rc<Log>,
    ) -> (Rc<Self>, mpsc::Receiver<Request>) {
        let (incoming, received) = mpsc::channel(MOST_WAITING);
        let (peers, connections, unsent) = <(RefCell<HashMap<_, _>>, Cell<_>, Rc<Cell<_>>)>::default();
        let (wire, log) = (Rc::clone(wire), Rc::clone(log));
        let socket = Rc::new(Self { name, kind, peers, connections, unsent, incoming, wire, welcome, log });
        tokio::task::spawn_local(Rc::clone(&socket).accept(listener));
        (socket, received)
    }

    async fn accept(self: Rc<Self>, listener: TcpListener) {
        let slots = Arc::new(Semaphore::new(MOST_PEERS));
        loop {
            match listener.accept().await {
                Ok((stream, _)) => match Arc::clone(&slots).try_acquire_owned() {
                    Ok(slot) => drop(tokio::task::spawn_local(Rc::clone(&self).connection(stream, slot))),
                    Err(_) => self.log.line(&format!("{}: refused one more than {MOST_PEERS} clients", self.name)),
                },
                // No descriptors are left, perhaps; they come back.
                Err(error) => {
                    self.log.line(&format!("{}: cannot take a connection: {error}", self.name));
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }

    /// Serves one client as long as it stays.
    async fn connection(self: Rc<Self>, mut stream: TcpStream, _slot: OwnedSemaphorePermit) {
        // Only speed is lost without.
        let _ = stream.set_nodelay(true);
        let greeted = timeout(GREETING, zmtp::greet(&mut stream, self.kind)).await.context("does not greet");
        let served = match greeted.and_then(std::convert::identity) {
            Ok(identity) => self.serve(stream, identity).await,
            Err(error) => Err(error),
        };
        if let Err(error) = served {
            self.log.line(&format!("{}: a client is disconnected: {error:#}", self.name));
        }
    }

    async fn serve(&self, stream: TcpStream, identity: Bytes) -> Result<()> {
        let connection = self.connections.get() + 1;
        self.connections.set(connection);
        let identity = if identity.is_empty() { format!("\0{connection}").into() } else { identity };
        let (open, closed) = oneshot::channel();
        let (queue, queued) = mpsc::unbounded_channel();
        let (room, room_for_small) = (Arc::new(Semaphore::new(ROOM)), Arc::new(Semaphore::new(ROOM_FOR_SMALL)));
        let outgoing = Outgoing { queue, room, room_for_small, taken: Rc::default() };
        let taken = Rc::clone(&outgoing.taken);
        let peer = Peer { connection, outgoing, topics: Vec::new(), _open: open };
        match self.peers.borrow_mut().entry(identity.clone()) {
            Entry::Vacant(place) => {
                place.insert(peer);
            }
            // As ZeroMQ has it, nobody takes another one's name. Who comes back too early tries again.
            Entry::Occupied(_) => anyhow::bail!("its name is another's"),
        }
        let (reader, writer) = stream.into_split();
        let served = tokio::select! {
            read = self.read(&identity, BufReader::with_capacity(64 << 10, reader)) => read,
            written = write(writer, queued, &taken) => written,
            _ = closed => Ok(()),
        };
        let mut peers = self.peers.borrow_mut();
        if peers.get(&identity).is_some_and(|peer| peer.connection == connection) {
            peers.remove(&identity);
        }
        served
    }

    async fn read<R: AsyncRead + Unpin>(&self, peer: &Bytes, mut reader: R) -> Result<()> {
        use std::io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
        loop {
            let received = match zmtp::read(&mut reader).await {
                Err(error)
                    if matches!(error.kind(), UnexpectedEof | ConnectionReset | ConnectionAborted | BrokenPipe) =>
                {
                    return Ok(());
                }
                received => received?,
            };
            match received {
                Received::Message(frames) => self.take(peer, frames).await,
                Received::Command(command) => {
                    if let Some(pong) = zmtp::pong(&command) {
                        self.push(peer, pong).await;
                    }
                }
                Received::TooLarge => {
                    let most = zmtp::MOST_BYTES >> 20;
                    self.log.line(&format!("{}: dropped a message of more than {most} MiB", self.name));
                }
            }
        }
    }

    async fn take(&self, peer: &Bytes, frames: Vec<Bytes>) {
        match self.kind {
            Kind::Echo => self.push(peer, zmtp::message(&frames)).await,
            Kind::Publisher => {
                for frames in self.subscribe(peer, &frames) {
                    self.send(peer, &frames).await;
                }
            }
            // What is not signed does not even wait.
            Kind::Router => match self.wire.check(peer.clone(), frames) {
                // It fails where the kernel is about to end.
                Ok(request) => drop(self.incoming.send(request).await),
                Err(why) => self.log.line(&format!("{}: dropped a message: {why:#}", self.name)),
            },
        }
    }

    /// A subscription is a byte, 1 for on and 0 for off, and the topic. Returns how a new one is welcomed.
    fn subscribe(&self, peer: &Bytes, frames: &[Bytes]) -> Vec<Vec<Bytes>> {
        let [frame] = frames else { return Vec::new() };
        let mut peers = self.peers.borrow_mut();
        let (Some((&on, topic)), Some(peer)) = (frame.split_first(), peers.get_mut(peer)) else { return Vec::new() };
        if on == 0 {
            if let Some(place) = peer.topics.iter().position(|known| known == topic) {
                peer.topics.swap_remove(place);
            }
        } else if on == 1 && topic.len() <= SMALL && peer.topics.len() < MOST_TOPICS {
            peer.topics.push(Bytes::copy_from_slice(topic));
            return self.welcome.as_ref().map(|welcome| welcome(topic)).unwrap_or_default();
        }
        Vec::new()
    }

    /// Whether that peer is there.
    pub(super) fn has(&self, peer: &Bytes) -> bool {
        self.peers.borrow().contains_key(peer)
    }

    /// Sends to one peer; to nobody where it has left.
    pub(super) async fn send(&self, peer: &Bytes, frames: &[Bytes]) {
        self.push(peer, zmtp::message(frames)).await;
    }

    /// Sends to all who have subscribed to a topic that the first frame begins with. Waits while one of them lags.
    pub(super) async fn publish(&self, frames: &[Bytes]) {
        let Some(topic) = frames.first() else { return };
        let wants = |peer: &Peer| peer.topics.iter().any(|wanted| topic.starts_with(wanted));
        let peers: Vec<Bytes> =
            self.peers.borrow().iter().filter(|(_, peer)| wants(peer)).map(|(name, _)| name.clone()).collect();
        let bytes = zmtp::message(frames);
        for peer in peers {
            self.push(&peer, bytes.clone()).await;
        }
    }

    async fn push(&self, peer: &Bytes, bytes: Bytes) {
        let found = self.peers.borrow().get(peer).map(|peer| (peer.connection, peer.outgoing.clone()));
        let Some((connection, outgoing)) = found else { return };
        let room = match outgoing.room_now(bytes.len()) {
            None => outgoing.room(bytes.len()).await,
            room => room,
        };
        let Some(room) = room else { return self.give_up(peer, connection) };
        let _ = outgoing.queue.send(Queued { bytes, _room: room, _unsent: Unsent::one(&self.unsent) });
    }

    fn give_up(&self, peer: &Bytes, connection: u64) {
        let mut peers = self.peers.borrow_mut();
        if peers.get(peer).is_some_and(|peer| peer.connection == connection) {
            peers.remove(peer);
            let (name, seconds) = (self.name, PATIENCE.as_secs_f32());
            self.log
                .line(&format!("{name}: a client is disconnected: it reads nothing, or too slowly, for {seconds} s"));
        }
    }

    /// Waits until all that was sent is on the wire.
    pub(super) async fn flush(&self) {
        while self.unsent.get() > 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

async fn write<W: AsyncWrite + Unpin>(
    mut writer: W,
    mut queued: mpsc::UnboundedReceiver<Queued>,
    taken: &Cell<u64>,
) -> Result<()> {
    while let Some(mut next) = queued.recv().await {
        while !next.bytes.is_empty() {
            match writer.write(&next.bytes).await {
                Ok(length) if length > 0 => {
                    next.bytes.advance(length);
                    taken.set(taken.get() + length as u64);
                }
                // Who has left is seen where it is read from.
                _ => std::future::pending::<()>().await,
            }
        }
    }
    Ok(())
}
