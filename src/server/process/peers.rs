//! Connections between servers: the election port and the quorum port. Frames and packets are cut here and
//! handed on; what they mean is `zab`'s business (quorum §1.1, §2.1).
//!
//! Reading a snapshot stream is the one stateful thing: it has no length, so its end is found by walking it.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::peer_socket::{PeerSocket, Tail, write_tail};
use crate::server::tree::{self, snapshot};
use crate::server::zab::wire::{self, Kind};
use crate::server::zab::{self, ConnId, Hello, Notification};
use crate::wire::jute::Writer;

/// Bytes asked of a socket at a time.
const READ_LEN: usize = 256 * 1024;

/// The two ports between servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Port {
    Election,
    Quorum,
}

/// All connections to other servers, by the numbers `zab` and this module give them.
#[derive(Debug)]
pub(super) struct Peers {
    inputs: mpsc::Sender<Vec<zab::Input>>,
    sockets: HashMap<ConnId, PeerSocket, FixedState>,
    /// Connections that the batch at hand has something for.
    dirty: Vec<ConnId>,
    /// Connections accepted by the listeners, not yet in `sockets`.
    accepted: mpsc::UnboundedReceiver<(ConnId, PeerSocket)>,
    acceptor: Acceptor,
    quorum_addr: SocketAddr,
    quorum_listener: Option<JoinHandle<()>>,
    connect_timeout: Duration,
    /// Where the connections' tasks run: not on the state thread.
    tasks: Handle,
    stop: watch::Receiver<bool>,
}

/// What a listener needs to take connections in.
#[derive(Debug, Clone)]
struct Acceptor {
    inputs: mpsc::Sender<Vec<zab::Input>>,
    accepted: mpsc::UnboundedSender<(ConnId, PeerSocket)>,
    next: Arc<AtomicU64>,
    /// How long a peer may take to say who it is.
    hello_timeout: Duration,
    stop: watch::Receiver<bool>,
}

impl Peers {
    /// Starts listening on the election port; the quorum port opens when this server leads.
    pub(super) fn start(
        election: TcpListener,
        quorum_addr: SocketAddr,
        connect_timeout: Duration,
        inputs: mpsc::Sender<Vec<zab::Input>>,
        stop: watch::Receiver<bool>,
        tasks: Handle,
    ) -> Peers {
        let (sender, accepted) = mpsc::unbounded_channel();
        let acceptor = Acceptor {
            inputs: inputs.clone(),
            accepted: sender,
            next: Arc::new(AtomicU64::new(2)),
            hello_timeout: connect_timeout,
            stop: stop.clone(),
        };
        tasks.spawn(listen(election, Port::Election, acceptor.clone()));
        Peers {
            inputs,
            sockets: HashMap::default(),
            dirty: Vec::new(),
            accepted,
            acceptor,
            quorum_addr,
            quorum_listener: None,
            connect_timeout,
            tasks,
            stop,
        }
    }

    /// Does what `zab` wants done on the network.
    pub(super) fn act(&mut self, output: zab::Output) {
        self.take_accepted();
        match output {
            zab::Output::DialElection { conn, host, port, .. } => self.dial(conn, host, port, Port::Election),
            zab::Output::DialLeader { conn, host, port } => self.dial(conn, host, port, Port::Quorum),
            zab::Output::ListenQuorum(listen) => self.listen_quorum(listen),
            zab::Output::Close { conn } => {
                if let Some(mut socket) = self.sockets.remove(&conn) {
                    socket.flush();
                }
            }
            zab::Output::SendElection { conn, bytes } | zab::Output::Send { conn, bytes } => {
                self.send(conn, bytes);
            }
            // Everything else is the replica's, which does not pass it on.
            _ => {}
        }
    }

    /// Queues bytes until `flush`; a connection that is gone has said so to `zab` already, or is about to.
    pub(super) fn send(&mut self, conn: ConnId, bytes: Bytes) {
        self.take_accepted();
        let Some(socket) = self.sockets.get_mut(&conn) else { return };
        if socket.queued.is_empty() {
            self.dirty.push(conn);
        }
        socket.queued.push(bytes);
    }

    /// Writes everything queued, what belongs to one connection at once.
    pub(super) fn flush(&mut self) {
        for conn in self.dirty.drain(..) {
            if let Some(socket) = self.sockets.get_mut(&conn) {
                socket.flush();
            }
        }
    }

    fn take_accepted(&mut self) {
        while let Ok((conn, socket)) = self.accepted.try_recv() {
            self.sockets.insert(conn, socket);
        }
    }

    fn dial(&mut self, conn: ConnId, host: String, port: u16, kind: Port) {
        let (socket, tail) = PeerSocket::new();
        self.sockets.insert(conn, socket);
        let (inputs, timeout, stop) = (self.inputs.clone(), self.connect_timeout, self.stop.clone());
        self.tasks.spawn(async move {
            let connecting = tokio::time::timeout(timeout, TcpStream::connect((host.as_str(), port)));
            let Ok(Ok(stream)) = connecting.await else {
                let _ = inputs.send(vec![zab::Input::Down { conn }]).await;
                return;
            };
            let up = match kind {
                Port::Election => zab::Input::ElectionUp { conn },
                Port::Quorum => zab::Input::LeaderUp { conn },
            };
            if inputs.send(vec![up]).await.is_ok() {
                converse(stream, BytesMut::new(), conn, kind, inputs, tail, stop).await;
            }
        });
    }

    /// Only the leader's quorum port is open: learners are refused elsewhere (quorum §0).
    fn listen_quorum(&mut self, listen_now: bool) {
        if let Some(listener) = self.quorum_listener.take() {
            listener.abort();
        }
        if !listen_now {
            return;
        }
        let (addr, acceptor) = (self.quorum_addr, self.acceptor.clone());
        self.quorum_listener = Some(self.tasks.spawn(async move {
            match bind_retrying(addr).await {
                Ok(listener) => listen(listener, Port::Quorum, acceptor).await,
                // The followers' connects fail, the leader gives up after initLimit, and this line says why.
                Err(error) => tracing::error!(
                    %addr, %error,
                    "the quorum port cannot be opened: no follower can join this leader. \
                     Find what holds the port (ss -ltnp) and stop it"
                ),
            }
        }));
    }
}

/// A port that a previous listener of ours is just leaving is free in a moment.
async fn bind_retrying(addr: SocketAddr) -> io::Result<TcpListener> {
    let mut tries = 0;
    loop {
        match super::sockets::listen(addr, None) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && tries < 50 => {
                tries += 1;
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            done => return done,
        }
    }
}

async fn listen(listener: TcpListener, kind: Port, acceptor: Acceptor) {
    let mut stop = acceptor.stop.clone();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.wait_for(|stop| *stop) => return,
        };
        match accepted {
            Ok((stream, _)) => {
                tokio::spawn(welcome(stream, kind, acceptor.clone()));
            }
            Err(error) => {
                tracing::warn!(%error, "a peer's connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

async fn welcome(mut stream: TcpStream, kind: Port, acceptor: Acceptor) {
    let conn = ConnId(acceptor.next.fetch_add(2, Ordering::Relaxed));
    let mut buffer = BytesMut::new();
    let first = match kind {
        Port::Quorum => zab::Input::LearnerUp { conn },
        Port::Election => {
            let hello = tokio::time::timeout(acceptor.hello_timeout, read_hello(&mut stream, &mut buffer));
            let Ok(Ok(hello)) = hello.await else { return };
            zab::Input::ElectionHello { conn, hello }
        }
    };
    let (socket, tail) = PeerSocket::new();
    if acceptor.accepted.send((conn, socket)).is_ok() && acceptor.inputs.send(vec![first]).await.is_ok() {
        converse(stream, buffer, conn, kind, acceptor.inputs, tail, acceptor.stop).await;
    }
}

async fn read_hello(stream: &mut TcpStream, buffer: &mut BytesMut) -> io::Result<Hello> {
    loop {
        if let Some(hello) = Hello::take(buffer).map_err(io::Error::other)? {
            return Ok(hello);
        }
        if stream.read_buf(buffer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

/// Reads and writes one connection until either side ends it; then says so, once.
async fn converse(
    stream: TcpStream,
    buffer: BytesMut,
    conn: ConnId,
    kind: Port,
    inputs: mpsc::Sender<Vec<zab::Input>>,
    tail: Tail,
    mut stop: watch::Receiver<bool>,
) {
    let _ = stream.set_nodelay(true);
    let stream = Arc::new(stream);
    let _ = tail.stream.set(stream.clone());
    let read = async {
        match kind {
            Port::Election => read_notifications(&stream, buffer, conn, &inputs).await,
            Port::Quorum => read_packets(&stream, buffer, conn, &inputs).await,
        }
    };
    let progress = || async {
        let _ = inputs.send(vec![zab::Input::Progress { conn }]).await;
    };
    tokio::select! {
        result = read => {
            if let Err(error) = result {
                tracing::debug!(?conn, %error, "a peer's connection ended");
            }
        }
        _ = write_tail(&stream, &tail.waiting, tail.bytes, progress) => {}
        _ = stop.wait_for(|stop| *stop) => {}
    }
    // The state thread may hold the socket a moment longer: the peer must see the end now.
    let _ = rustix::net::shutdown(&*stream, rustix::net::Shutdown::Both);
    let _ = inputs.send(vec![zab::Input::Down { conn }]).await;
}

async fn read_notifications(
    stream: &TcpStream,
    mut buffer: BytesMut,
    conn: ConnId,
    inputs: &mpsc::Sender<Vec<zab::Input>>,
) -> io::Result<()> {
    loop {
        while let Some(payload) = Notification::take_payload(&mut buffer).map_err(io::Error::other)? {
            if inputs.send(vec![zab::Input::ElectionMessage { conn, payload }]).await.is_err() {
                return Ok(());
            }
        }
        more(stream, &mut buffer).await?;
    }
}

/// Hands on whole packets, all that one read brought in one message.
async fn read_packets(
    stream: &TcpStream,
    mut buffer: BytesMut,
    conn: ConnId,
    inputs: &mpsc::Sender<Vec<zab::Input>>,
) -> io::Result<()> {
    loop {
        let mut packets = Vec::new();
        let mut snapshot_follows = false;
        while !snapshot_follows
            && let Some(packet) = wire::take_packet(&mut buffer).map_err(io::Error::other)?
        {
            snapshot_follows = packet.kind == Kind::SNAP;
            packets.push(zab::Input::Packet { conn, packet });
        }
        if !packets.is_empty() && inputs.send(packets).await.is_err() {
            return Ok(());
        }
        if snapshot_follows {
            let body = read_snapshot(stream, &mut buffer, conn, inputs).await?;
            if inputs.send(vec![zab::Input::SnapshotReceived { conn, body }]).await.is_err() {
                return Ok(());
            }
        } else {
            more(stream, &mut buffer).await?;
        }
    }
}

/// The stream behind SNAP: a tree's body, then its closing words, which are checked and dropped. The body is
/// proved to be one before anybody acts on it.
async fn read_snapshot(
    stream: &TcpStream,
    buffer: &mut BytesMut,
    conn: ConnId,
    inputs: &mpsc::Sender<Vec<zab::Input>>,
) -> io::Result<Bytes> {
    let mut scanner = snapshot::Scanner::new();
    let mut scanned = 0;
    let end = loop {
        let fresh = buffer.len() - scanned;
        match scanner.feed(&buffer[scanned..]).map_err(io::Error::other)? {
            Some(used) => break scanned + used,
            None => scanned += fresh,
        }
        more(stream, buffer).await?;
        let _ = inputs.send(vec![zab::Input::Progress { conn }]).await;
    };
    let body = buffer.split_to(end).freeze();
    let mut signature = Writer::new();
    signature.string(wire::SNAPSHOT_SIGNATURE);
    let signature = signature.finish();
    while buffer.len() < signature.len() {
        more(stream, buffer).await?;
    }
    if buffer.split_to(signature.len()) != signature {
        return Err(io::Error::other("the snapshot stream does not end as it must"));
    }
    let whole = body.clone();
    let proved =
        tokio::task::spawn_blocking(move || snapshot::decode(whole, tree::Settings::default()).map(drop));
    proved.await.map_err(io::Error::other)?.map_err(io::Error::other)?;
    Ok(body)
}

async fn more(stream: &TcpStream, buffer: &mut BytesMut) -> io::Result<()> {
    buffer.reserve(READ_LEN);
    loop {
        stream.readable().await?;
        match stream.try_read_buf(buffer) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}
