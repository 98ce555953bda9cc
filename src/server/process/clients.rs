//! The client port: accepts connections, cuts the byte stream into frames, recognises four-letter words
//! (client-protocol §1.2, operations §8.1). It understands no request.
//!
//! Replies take the short way: the state thread writes to the socket itself, and only what the socket
//! does not take at once goes through the connection's writer task.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};

use super::four_letter::{Word, Words};
use super::limits::Limits;
use crate::server::replica::ClientId;

/// Bytes asked of a socket at a time: a batch of small requests in one read.
const READ_LEN: usize = 64 * 1024;

/// A client that does not read is cut off when this many bytes wait for it: the largest answer a
/// reader is expected to take, and then some.
const BACKLOG_LEN_MAX: usize = 256 * 1024 * 1024;

/// Reading stops while more than this waits to be written, so that a slow reader slows only itself.
const BACKLOG_LEN_PAUSE: usize = 1024 * 1024;

/// What connections tell the state thread.
#[derive(Debug)]
pub(super) enum FromClient {
    Up { client: ClientId, addr: SocketAddr, socket: Arc<ClientSocket> },
    Frames { client: ClientId, frames: Vec<Bytes> },
    Down { client: ClientId },
}

/// The writing side of one client connection.
#[derive(Debug)]
pub(super) struct ClientSocket {
    stream: Arc<TcpStream>,
    backlog: mpsc::UnboundedSender<Bytes>,
    /// Bytes handed to the writer task and not yet written.
    waiting: AtomicUsize,
    closed: watch::Sender<bool>,
}

impl ClientSocket {
    /// Writes what the socket takes now and leaves the rest to the writer task. Called by the state
    /// thread only, so that bytes keep their order.
    pub(super) fn send(&self, mut bytes: Bytes) {
        if self.waiting.load(Ordering::Acquire) == 0 {
            match self.stream.try_write(&bytes) {
                Ok(written) => bytes.advance(written),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return self.close(),
            }
        }
        if bytes.is_empty() {
            return;
        }
        let waiting = self.waiting.fetch_add(bytes.len(), Ordering::AcqRel);
        if waiting > BACKLOG_LEN_MAX || self.backlog.send(bytes).is_err() {
            self.close();
        }
    }

    /// Ends the connection once the writer task has written what waits.
    pub(super) fn close_after_writes(&self) {
        if self.waiting.load(Ordering::Acquire) == 0 {
            self.close();
        } else {
            // An empty piece is the mark of the end for the writer task.
            let _ = self.backlog.send(Bytes::new());
        }
    }

    fn close(&self) {
        self.closed.send_replace(true);
    }
}

/// Accepts clients until `stop` says so.
pub(super) async fn accept(
    listener: TcpListener,
    state: mpsc::Sender<FromClient>,
    words: Arc<Words>,
    limits: Arc<Limits>,
    mut stop: watch::Receiver<bool>,
) {
    let per_ip = PerIp::default();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.wait_for(|stop| *stop) => return,
        };
        match accepted {
            Ok((stream, addr)) => {
                let Some(seat) = per_ip.take(addr.ip(), limits.clients_per_ip_max) else { continue };
                let (state, words, limits) = (state.clone(), words.clone(), limits.clone());
                let stop = stop.clone();
                tokio::spawn(async move {
                    serve(stream, addr, state, &words, &limits, stop).await;
                    drop(seat);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a client connection could not be accepted");
                // Out of descriptors: accepting again at once would only spin.
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

/// One connection, from its first byte to its close.
async fn serve(
    stream: TcpStream,
    addr: SocketAddr,
    state: mpsc::Sender<FromClient>,
    words: &Arc<Words>,
    limits: &Limits,
    mut stop: watch::Receiver<bool>,
) {
    let _ = stream.set_nodelay(true);
    let stream = Arc::new(stream);
    let client = limits.next_client();
    let (backlog, waiting_bytes) = mpsc::unbounded_channel();
    let (closed, mut is_closed) = watch::channel(false);
    let socket =
        Arc::new(ClientSocket { stream: stream.clone(), backlog, waiting: AtomicUsize::new(0), closed });

    let mut buffer = BytesMut::with_capacity(READ_LEN);
    // A connection that says nothing is closed (operations §10.4, sessionlessCnxnTimeout).
    let first = tokio::time::timeout(limits.silence_max, read_first(&stream, &mut buffer)).await;
    let Ok(Ok(true)) = first else { return };
    if let Some(word) = Word::from_bytes(&buffer[..4]) {
        return answer_word(&stream, word, words).await;
    }
    if state.send(FromClient::Up { client, addr, socket: socket.clone() }).await.is_err() {
        return;
    }
    let writer = write_backlog(&socket, waiting_bytes);
    let reader = read_frames(&socket, client, buffer, &state, limits);
    tokio::select! {
        () = reader => {}
        () = writer => {}
        _ = is_closed.wait_for(|closed| *closed) => {}
        _ = stop.wait_for(|stop| *stop) => {}
    }
    let _ = state.send(FromClient::Down { client }).await;
    // The state thread may hold the socket a moment longer: the peer must see the end now.
    let _ = rustix::net::shutdown(&*stream, rustix::net::Shutdown::Both);
}

/// True once four bytes are there.
async fn read_first(stream: &TcpStream, buffer: &mut BytesMut) -> io::Result<bool> {
    while buffer.len() < 4 {
        if read_some(stream, buffer).await? == 0 {
            return Ok(false);
        }
    }
    Ok(true)
}

async fn read_some(stream: &TcpStream, buffer: &mut BytesMut) -> io::Result<usize> {
    buffer.reserve(READ_LEN / 4);
    loop {
        stream.readable().await?;
        match stream.try_read_buf(buffer) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            done => return done,
        }
    }
}

/// Hands on whole frames, all that one read brought in one message.
async fn read_frames(
    socket: &ClientSocket,
    client: ClientId,
    mut buffer: BytesMut,
    state: &mpsc::Sender<FromClient>,
    limits: &Limits,
) {
    loop {
        let mut frames = Vec::new();
        let healthy = cut_frames(&mut buffer, limits.frame_len_max, &mut frames);
        if !frames.is_empty() && state.send(FromClient::Frames { client, frames }).await.is_err() {
            return;
        }
        if !healthy {
            return;
        }
        while socket.waiting.load(Ordering::Acquire) > BACKLOG_LEN_PAUSE {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        match read_some(&socket.stream, &mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
    }
}

/// Cuts whole frame bodies off the front; false when the next length is not one (§1.2).
fn cut_frames(buffer: &mut BytesMut, frame_len_max: usize, frames: &mut Vec<Bytes>) -> bool {
    while buffer.len() >= 4 {
        let len = i32::from_be_bytes([buffer[0], buffer[1], buffer[2], buffer[3]]);
        let Ok(len) = usize::try_from(len) else { return false };
        if len > frame_len_max {
            return false;
        }
        if buffer.len() < 4 + len {
            buffer.reserve(4 + len - buffer.len());
            break;
        }
        buffer.advance(4);
        frames.push(buffer.split_to(len).freeze());
    }
    true
}

/// Writes what the sockets did not take at once; ends at the mark of the end or on an error.
async fn write_backlog(socket: &ClientSocket, mut waiting: mpsc::UnboundedReceiver<Bytes>) {
    while let Some(bytes) = waiting.recv().await {
        if bytes.is_empty() {
            return;
        }
        let len = bytes.len();
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            if socket.stream.writable().await.is_err() {
                return;
            }
            match socket.stream.try_write(rest) {
                Ok(written) => rest = &rest[written..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return,
            }
        }
        socket.waiting.fetch_sub(len, Ordering::AcqRel);
    }
}

async fn answer_word(stream: &TcpStream, word: Word, words: &Arc<Words>) {
    let Some(text) = words.answer(word).await else { return };
    let mut rest = text.as_bytes();
    while !rest.is_empty() {
        if stream.writable().await.is_err() {
            return;
        }
        match stream.try_write(rest) {
            Ok(written) => rest = &rest[written..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => return,
        }
    }
}

/// Connections per address, for `maxClientCnxns`.
#[derive(Debug, Default, Clone)]
struct PerIp {
    counts: Arc<std::sync::Mutex<HashMap<IpAddr, usize, FixedState>>>,
}

/// Holds one connection's place in its address's count.
struct Seat {
    ip: IpAddr,
    counts: PerIp,
}

impl PerIp {
    /// `None` when the address has its share already; 0 is no limit.
    fn take(&self, ip: IpAddr, max: usize) -> Option<Seat> {
        let mut counts = self.counts.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let count = counts.entry(ip).or_insert(0);
        if max > 0 && *count >= max {
            return None;
        }
        *count += 1;
        Some(Seat { ip, counts: self.clone() })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut counts = self.counts.counts.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.ip) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.ip);
            }
        }
    }
}
