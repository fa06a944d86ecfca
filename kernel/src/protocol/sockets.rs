//! One socket of the kernel: who is connected to it, what they send, and what is on its way to each.

use super::log::Log;
use super::wire::{Request, Wire};
use super::zmtp::{self, Kind, Received};
use anyhow::{Context, Result};
use bytes::{Buf, Bytes};
use socket2::{SockRef, TcpKeepalive};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
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

/// How long a connection may be silent before it is asked whether the other end is still there.
const KEEPALIVE: Duration = Duration::from_secs(60);

/// The most clients of one socket.
const MOST_CLIENTS: usize = 128;

/// The largest message that is taken in from a client that has shown nothing yet that only the key's owner can make.
const MOST_FROM_STRANGERS: u64 = 256 << 10;

/// What all of them together may send beyond that at a time: a first message may be large.
const POOL_OF_STRANGERS: u64 = zmtp::MOST_BYTES;

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
    /// All who are connected, oldest first.
    clients: RefCell<BTreeMap<u64, Client>>,
    /// Those of them who have greeted, by their names.
    peers: RefCell<HashMap<Bytes, Peer>>,
    connections: Cell<u64>,
    /// How much of [`POOL_OF_STRANGERS`] is taken.
    from_strangers: Cell<u64>,
    unsent: Rc<Cell<usize>>,
    incoming: mpsc::Sender<Request>,
    wire: Rc<Wire>,
    welcome: Option<Welcome>,
    log: Rc<Log>,
}

struct Client {
    /// Whether it has done what a client comes for: signed a message, subscribed, let the heart beat.
    is_known: bool,
    /// Dropped with it, which ends its connection.
    _open: oneshot::Sender<()>,
}

struct Peer {
    connection: u64,
    outgoing: Outgoing,
    topics: Vec<Bytes>,
}

/// What one message may still weigh; what it takes of the strangers' pool goes back with it.
struct Allowance<'a> {
    socket: &'a Socket,
    connection: u64,
    taken: u64,
}

impl Allowance<'_> {
    /// Whether a message of so many bytes may be kept.
    fn allows(&mut self, bytes: u64) -> bool {
        let most = self.socket.kind.most();
        if bytes > most || bytes <= MOST_FROM_STRANGERS || self.socket.knows(self.connection) {
            return bytes <= most;
        }
        let pool = &self.socket.from_strangers;
        let more = (bytes - MOST_FROM_STRANGERS).saturating_sub(self.taken);
        let is_there = pool.get() + more <= POOL_OF_STRANGERS;
        if is_there {
            self.taken += more;
            pool.set(pool.get() + more);
        }
        is_there
    }
}

impl Drop for Allowance<'_> {
    fn drop(&mut self) {
        self.socket.from_strangers.set(self.socket.from_strangers.get().saturating_sub(self.taken));
    }
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
        let (wire, log) = (Rc::clone(wire), Rc::clone(log));
        let socket = Rc::new(Self {
            name,
            kind,
            clients: RefCell::default(),
            peers: RefCell::default(),
            connections: Cell::default(),
            from_strangers: Cell::default(),
            unsent: Rc::default(),
            incoming,
            wire,
            welcome,
            log,
        });
        tokio::task::spawn_local(Rc::clone(&socket).accept(listener));
        (socket, received)
    }

    async fn accept(self: Rc<Self>, listener: TcpListener) {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => self.admit(stream),
                // No descriptors are left, perhaps; they come back.
                Err(error) => {
                    self.log.line(&format!("{}: cannot take a connection: {error}", self.name));
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }

    /// Serves one more client. Where it is one too many, the oldest that is not known leaves for it: who can connect, but
    /// not sign, must not keep those out who can.
    fn admit(self: &Rc<Self>, stream: TcpStream) {
        let mut clients = self.clients.borrow_mut();
        if clients.len() >= MOST_CLIENTS {
            let stranger = clients.iter().find(|(_, client)| !client.is_known).map(|(&connection, _)| connection);
            let Some(stranger) = stranger else {
                return self.log.line(&format!("{}: refused one more than {MOST_CLIENTS} clients", self.name));
            };
            clients.remove(&stranger);
            self.log.line(&format!("{}: a client is disconnected: there are too many, and it did nothing", self.name));
        }
        let connection = self.connections.get() + 1;
        self.connections.set(connection);
        let (open, closed) = oneshot::channel();
        clients.insert(connection, Client { is_known: false, _open: open });
        tokio::task::spawn_local(Rc::clone(self).connection(stream, connection, closed));
    }

    fn knows(&self, connection: u64) -> bool {
        self.clients.borrow().get(&connection).is_some_and(|client| client.is_known)
    }

    fn now_knows(&self, connection: u64) {
        if let Some(client) = self.clients.borrow_mut().get_mut(&connection) {
            client.is_known = true;
        }
    }

    /// Serves one client as long as it stays, and may.
    async fn connection(self: Rc<Self>, stream: TcpStream, connection: u64, closed: oneshot::Receiver<()>) {
        // Only speed is lost without.
        let _ = stream.set_nodelay(true);
        // Without, who went without a word (a laptop was closed) is missed when somebody sends to it.
        let _ = SockRef::from(&stream).set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE));
        let served = tokio::select! {
            served = self.serve(stream, connection) => served,
            _ = closed => Ok(()),
        };
        self.clients.borrow_mut().remove(&connection);
        self.peers.borrow_mut().retain(|_, peer| peer.connection != connection);
        if let Err(error) = served {
            self.log.line(&format!("{}: a client is disconnected: {error:#}", self.name));
        }
    }

    async fn serve(&self, mut stream: TcpStream, connection: u64) -> Result<()> {
        let greeted = timeout(GREETING, zmtp::greet(&mut stream, self.kind)).await.context("does not greet");
        let identity = greeted.and_then(std::convert::identity)?;
        let identity = if identity.is_empty() { format!("\0{connection}").into() } else { identity };
        let (queue, queued) = mpsc::unbounded_channel();
        let (room, room_for_small) = (Arc::new(Semaphore::new(ROOM)), Arc::new(Semaphore::new(ROOM_FOR_SMALL)));
        let outgoing = Outgoing { queue, room, room_for_small, taken: Rc::default() };
        let taken = Rc::clone(&outgoing.taken);
        let peer = Peer { connection, outgoing, topics: Vec::new() };
        // As ipykernel has it (ROUTER_HANDOVER), who comes by a name that is in use takes it over: it is the same front end,
        // whose old connection has died without a word.
        if let Some(older) = self.peers.borrow_mut().insert(identity.clone(), peer) {
            self.clients.borrow_mut().remove(&older.connection);
        }
        let (reader, writer) = stream.into_split();
        tokio::select! {
            read = self.read(&identity, connection, BufReader::with_capacity(64 << 10, reader)) => read,
            written = write(writer, queued, &taken) => written,
        }
    }

    async fn read<R: AsyncRead + Unpin>(&self, peer: &Bytes, connection: u64, mut reader: R) -> Result<()> {
        use std::io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
        loop {
            let mut allowance = Allowance { socket: self, connection, taken: 0 };
            let received = match zmtp::read(&mut reader, &mut |bytes| allowance.allows(bytes)).await {
                Err(error)
                    if matches!(error.kind(), UnexpectedEof | ConnectionReset | ConnectionAborted | BrokenPipe) =>
                {
                    return Ok(());
                }
                received => received?,
            };
            // Nothing else runs until the message has been checked.
            drop(allowance);
            match received {
                Received::Message(frames) => self.take(peer, connection, frames).await,
                Received::Command(command) => {
                    if let Some(pong) = zmtp::pong(&command) {
                        self.push(peer, pong).await;
                    }
                }
                Received::TooLarge => {
                    self.log.line(&format!("{}: dropped a message that is too large", self.name));
                }
            }
        }
    }

    async fn take(&self, peer: &Bytes, connection: u64, frames: Vec<Bytes>) {
        match self.kind {
            Kind::Echo => {
                self.now_knows(connection);
                self.push(peer, zmtp::message(&frames)).await;
            }
            Kind::Publisher => {
                self.now_knows(connection);
                for frames in self.subscribe(peer, &frames) {
                    self.send(peer, &frames).await;
                }
            }
            // What is not signed does not even wait.
            Kind::Router => match self.wire.check(peer.clone(), frames) {
                Ok(request) => {
                    self.now_knows(connection);
                    // It fails where the kernel is about to end.
                    drop(self.incoming.send(request).await);
                }
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
            self.clients.borrow_mut().remove(&connection);
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
