//! One connection between servers: how it comes up, what its task does with the frames, what the state thread
//! holds of it. What a frame means is `zab`'s business.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::io;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, lookup_host};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};

use super::stream::accept::{self, Arrival};
use super::stream::driver;
use super::stream::machine::closed::Closed;
use super::stream::machine::election::{Hellos, Notifications};
use super::stream::machine::inbox::Inbox;
use super::stream::machine::outbox::WhenFull;
use super::stream::machine::quorum::{Frame, Packets};
use super::stream::outlet::Outlet;
use super::stream::plain;
use super::told::Told;
use crate::server::tree::{self, snapshot};
use crate::server::zab::{self, ConnId};

/// The two ports between servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Port {
    Election,
    Quorum,
}

/// The state thread's end of a connection.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) outlet: Outlet,
    port: Port,
    /// What the batch at hand owes this connection.
    queued: Vec<Bytes>,
}

/// What a connection needs to take part.
#[derive(Debug, Clone)]
pub(super) struct Acceptor {
    pub(super) inputs: mpsc::Sender<Vec<zab::Input>>,
    /// Takes the state thread's ends of connections that have come in.
    pub(super) accepted: mpsc::UnboundedSender<(ConnId, Link)>,
    pub(super) next: Arc<AtomicU64>,
    /// How long a peer may take to answer a call, or to say who it is.
    pub(super) patience: Duration,
    pub(super) stop: watch::Receiver<bool>,
    pub(super) silent: Silent,
    /// Descriptors that those who come may have, by port.
    pub(super) places: [Arc<Semaphore>; 2],
    pub(super) nameless: Nameless,
    /// The longest transaction (`jute.maxbuffer` and its extra).
    pub(super) txn_len_max: usize,
}

/// Callers at the election port that have not said who they are: the oldest makes room for the newest, so that nobody
/// keeps members out by saying nothing.
#[derive(Debug, Clone, Default)]
pub(super) struct Nameless {
    waiting: Arc<Mutex<VecDeque<oneshot::Sender<()>>>>,
}

impl Nameless {
    /// Takes one more in. What comes back ends when it must go.
    fn enter(&self) -> oneshot::Receiver<()> {
        let (place, out) = oneshot::channel();
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.retain(|place| !place.is_closed());
        if waiting.len() >= NAMELESS_MAX {
            waiting.pop_front();
        }
        waiting.push_back(place);
        out
    }
}

/// The ports of peers that cannot be reached, and since when.
#[derive(Debug, Clone, Default)]
pub(super) struct Silent {
    ports: Arc<Mutex<SilentPorts>>,
}

/// By host and port: since when, and what has been said.
type SilentPorts = BTreeMap<(String, u16), (Instant, Told)>;

impl Link {
    pub(super) fn new(port: Port) -> Link {
        let when_full = match port {
            Port::Election => WhenFull::KeepNewest,
            Port::Quorum => WhenFull::Close { len_max: OWED_LEN_MAX },
        };
        Link { outlet: Outlet::new(when_full), port, queued: Vec::new() }
    }

    /// Keeps bytes until [`Link::flush`]; whether they are the first.
    pub(super) fn queue(&mut self, bytes: Bytes) -> bool {
        self.queued.push(bytes);
        self.queued.len() == 1
    }

    /// Writes what is queued. Small packets are joined: a batch is one system call. Notifications are not, so
    /// that the newest can take the place of one that waits.
    pub(super) fn flush(&mut self) {
        let mut joined = BytesMut::new();
        for piece in std::mem::take(&mut self.queued) {
            if self.port == Port::Quorum && piece.len() <= JOINED_LEN_MAX {
                joined.extend_from_slice(&piece);
                continue;
            }
            self.outlet.send(joined.split().freeze());
            self.outlet.send(piece);
        }
        self.outlet.send(joined.freeze());
    }

    /// Writes a snapshot behind all that is queued, without a copy.
    pub(super) fn send_snapshot(&mut self, body: Bytes) {
        self.flush();
        self.outlet.send_snapshot(body);
    }
}

/// Takes in who comes to a port.
pub(super) async fn listen(listener: TcpListener, port: Port, acceptor: Acceptor) {
    let stop = acceptor.stop.clone();
    let admit = |_| Some(());
    let places = acceptor.places[port as usize].clone();
    let serve = |arrival, ()| welcome(arrival, port, acceptor.clone());
    accept::accept(listener, "peer's", places, stop, admit, serve).await;
}

async fn welcome(arrival: Arrival, port: Port, acceptor: Acceptor) {
    let Arrival { mut read, write, caller } = arrival;
    let conn = ConnId(acceptor.next.fetch_add(2, Ordering::Relaxed));
    tracing::debug!(?conn, ?port, addr = %caller.addr, identities = ?caller.identities, "a peer has connected");
    let link = Link::new(port);
    let outlet = link.outlet.clone();
    outlet.connect(&write);
    match port {
        Port::Quorum => {
            if acceptor.accepted.send((conn, link)).is_ok() {
                acceptor.learn(conn, zab::Input::LearnerUp { conn }, (read, write), &outlet).await;
            }
        }
        Port::Election => {
            let (clock, patience_ms) = (outlet.clock(), acceptor.patience.as_millis() as u64);
            let mut inbox = Inbox::new(Hellos, clock.now_ms(), patience_ms);
            let out = acceptor.nameless.enter();
            let hello = tokio::select! {
                hello = driver::first(&mut read, &mut inbox, clock) => hello,
                _ = out => Err(Closed::Here),
            };
            match hello {
                Ok(mut hello) => {
                    hello.addresses.retain(|(host, _)| is_believable(host, caller.addr.ip()));
                    let (first, inbox) =
                        (zab::Input::ElectionHello { conn, hello }, inbox.followed_by(Notifications));
                    if acceptor.accepted.send((conn, link)).is_ok() {
                        acceptor.elect(conn, first, (read, write), inbox, &outlet).await;
                    }
                }
                Err(closed) => tracing::debug!(?conn, %closed, "a peer's connection has ended"),
            }
        }
    }
}

/// An IP address must be the caller's own; what a name means is for the list of members to say.
fn is_believable(host: &str, caller: IpAddr) -> bool {
    host.parse::<IpAddr>().map_or(true, |said| said.to_canonical() == caller.to_canonical())
}

/// Calls a peer; what is said there goes through `outlet`.
pub(super) async fn dial(
    conn: ConnId,
    host: String,
    number: u16,
    port: Port,
    outlet: Outlet,
    acceptor: Acceptor,
) {
    let connected = connect(&host, number, acceptor.patience).await;
    acceptor.silent.tell(port, host, number, connected.as_ref().err());
    let Ok(stream) = connected else {
        let _ = acceptor.inputs.send(vec![zab::Input::Down { conn }]).await;
        return;
    };
    let halves = plain::halves(stream);
    outlet.connect(&halves.1);
    match port {
        Port::Quorum => acceptor.learn(conn, zab::Input::LeaderUp { conn }, halves, &outlet).await,
        Port::Election => {
            let inbox = Inbox::new(Notifications, 0, u64::MAX);
            acceptor.elect(conn, zab::Input::ElectionUp { conn }, halves, inbox, &outlet).await;
        }
    }
}

/// Tries all addresses of a name in turn, each with its share of the time.
async fn connect(host: &str, port: u16, patience: Duration) -> io::Result<TcpStream> {
    let late = |_| io::Error::from(io::ErrorKind::TimedOut);
    let addrs: Vec<_> =
        tokio::time::timeout(patience, lookup_host((host, port))).await.map_err(late)??.collect();
    let share = patience / u32::try_from(addrs.len()).unwrap_or(u32::MAX).max(1);
    let mut failed = io::Error::from(io::ErrorKind::NotFound);
    for addr in addrs {
        match tokio::time::timeout(share, TcpStream::connect(addr)).await.map_err(late).flatten() {
            Ok(stream) => return Ok(stream),
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

impl Silent {
    /// Says what is in the way of a peer when it begins and every minute, and when it is there again.
    fn tell(&self, port: Port, host: String, number: u16, error: Option<&io::Error>) {
        let now = Instant::now();
        let mut ports = self.ports.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(error) = error else {
            if let Some((since, _)) = ports.remove(&(host.clone(), number)) {
                let silent_s = since.elapsed().as_secs();
                tracing::info!("the {port} port of {host}:{number} is reached again, after {silent_s} s");
            }
            return;
        };
        let key = (host.clone(), number);
        // A HELLO names any address: whoever makes some up must neither fill the memory nor the log.
        if !ports.contains_key(&key) && ports.len() >= SILENT_MAX {
            ports.retain(|_, (_, told)| told.lasts(now));
            if ports.len() >= SILENT_MAX {
                return;
            }
        }
        let (since, told) = ports.entry(key).or_insert_with(|| (now, Told::default()));
        if told.is_news(&error.to_string(), now) {
            let silent_s = since.elapsed().as_secs();
            tracing::warn!(
                "the {port} port of {host}:{number} is not reached, for {silent_s} s now: {error}"
            );
        }
    }
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Port::Election => "election",
            Port::Quorum => "quorum",
        })
    }
}

impl Acceptor {
    /// A quorum connection, from its beginning to its end.
    async fn learn(
        &self,
        conn: ConnId,
        first: zab::Input,
        (read, write): (impl AsyncRead + Unpin, impl AsyncWrite + Unpin),
        outlet: &Outlet,
    ) {
        let inbox = Inbox::new(Packets::new(self.txn_len_max), 0, u64::MAX);
        let quorum = Quorum { conn, inputs: self.inputs.clone(), txn_len_max: self.txn_len_max };
        self.run(conn, first, driver::converse(read, write, inbox, outlet, &quorum, self.stop.clone())).await;
    }

    /// An election connection, from its beginning to its end.
    async fn elect(
        &self,
        conn: ConnId,
        first: zab::Input,
        (read, write): (impl AsyncRead + Unpin, impl AsyncWrite + Unpin),
        inbox: Inbox<Notifications>,
        outlet: &Outlet,
    ) {
        let election = Election { conn, inputs: self.inputs.clone() };
        self.run(conn, first, driver::converse(read, write, inbox, outlet, &election, self.stop.clone()))
            .await;
    }

    /// Says that a connection is up, lets it run, and says, once, that it is down.
    async fn run(&self, conn: ConnId, first: zab::Input, conversation: impl Future<Output = Closed>) {
        if self.inputs.send(vec![first]).await.is_err() {
            return;
        }
        match conversation.await {
            closed @ Closed::Full { .. } => {
                tracing::warn!(?conn, %closed, "a peer is cut off: it does not read")
            }
            closed => tracing::debug!(?conn, %closed, "a peer's connection has ended"),
        }
        let _ = self.inputs.send(vec![zab::Input::Down { conn }]).await;
    }
}

/// The frames of one election connection, on their way to the state thread.
struct Election {
    conn: ConnId,
    inputs: mpsc::Sender<Vec<zab::Input>>,
}

/// The frames of one quorum connection.
struct Quorum {
    conn: ConnId,
    inputs: mpsc::Sender<Vec<zab::Input>>,
    txn_len_max: usize,
}

impl driver::Port for Election {
    type Framing = Notifications;

    /// Who is told too much is told the newest alone.
    const PAUSE_LEN: usize = usize::MAX;

    async fn deliver(&self, payloads: Vec<Bytes>) -> Result<(), Closed> {
        let conn = self.conn;
        for payload in payloads {
            // The config in a long one is read on the state thread: who sends many of them waits, nobody else.
            if payload.len() > SHORT_LEN {
                tokio::time::sleep(LONG_PAUSE * (payload.len() / 1024) as u32).await;
            }
            // One by one: a flood of them does not make up one long batch.
            let message = vec![zab::Input::ElectionMessage { conn, payload }];
            self.inputs.send(message).await.map_err(|_| Closed::Stopping)?;
        }
        Ok(())
    }
}

impl driver::Port for Quorum {
    type Framing = Packets;

    /// An ack that is not read would hold up everybody.
    const PAUSE_LEN: usize = usize::MAX;

    async fn deliver(&self, frames: Vec<Frame>) -> Result<(), Closed> {
        let conn = self.conn;
        let mut inputs = Vec::with_capacity(frames.len());
        for frame in frames {
            let input = match frame {
                Frame::Packet(packet) => zab::Input::Packet { conn, packet },
                Frame::Moved => zab::Input::Progress { conn },
                Frame::Snapshot(body) => {
                    // What came before it is not held up by the proof.
                    self.hand_on(std::mem::take(&mut inputs)).await?;
                    let config = prove(body.clone(), self.txn_len_max).await?;
                    zab::Input::SnapshotReceived { conn, body, config }
                }
            };
            inputs.push(input);
        }
        self.hand_on(inputs).await
    }

    async fn progress(&self) {
        let _ = self.hand_on(vec![zab::Input::Progress { conn: self.conn }]).await;
    }
}

impl Quorum {
    async fn hand_on(&self, inputs: Vec<zab::Input>) -> Result<(), Closed> {
        if inputs.is_empty() {
            return Ok(());
        }
        self.inputs.send(inputs).await.map_err(|_| Closed::Stopping)
    }
}

/// A snapshot's body is proved to be a tree before anybody acts on it. What it says of who belongs to the ensemble.
async fn prove(body: Bytes, txn_len_max: usize) -> Result<Option<Bytes>, Closed> {
    let settings = tree::Settings { txn_len_max, ..tree::Settings::default() };
    let config = |body| snapshot::decode(body, settings).map(|tree| tree.config());
    let proof = tokio::task::spawn_blocking(move || config(body));
    proof.await.map_err(|_| Closed::Stopping)?.map_err(Closed::Snapshot)
}

/// Callers that have said nothing: more than members that start at once, few enough to leave them places.
const NAMELESS_MAX: usize = 16;

/// Pieces up to this size are worth a copy to save a system call.
const JOINED_LEN_MAX: usize = 64 * 1024;

/// A peer that reads so much less than it is owed is cut off, and brought up anew when it comes again. It is a
/// multiple of what the leader keeps in memory for those who come back. Snapshots come on top.
const OWED_LEN_MAX: usize = 256 * 1024 * 1024;

/// Notifications as members of almost any ensemble send them; and how long each KiB of a longer one keeps its sender
/// from the next.
const SHORT_LEN: usize = 4 * 1024;
const LONG_PAUSE: Duration = Duration::from_millis(1);
/// More than the ports of any ensemble.
const SILENT_MAX: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_up_addresses_of_peers_fill_neither_memory_nor_log() {
        let (silent, refused) = (Silent::default(), io::Error::from(io::ErrorKind::ConnectionRefused));
        let ports = || silent.ports.lock().unwrap_or_else(PoisonError::into_inner).len();
        for number in 0..=u16::try_from(SILENT_MAX).expect("a port") {
            silent.tell(Port::Election, "nowhere".to_owned(), number, Some(&refused));
        }
        assert_eq!(ports(), SILENT_MAX);
        silent.tell(Port::Election, "nowhere".to_owned(), 1, None);
        assert_eq!(ports(), SILENT_MAX - 1, "one that is reached makes room");
    }
}
