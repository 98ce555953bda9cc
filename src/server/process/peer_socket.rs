//! The writing side of one connection to another server. The state thread writes to the socket itself, once
//! per batch; only what the socket does not take at once, or what comes before it is connected, goes through
//! the connection's own task. It knows no packet.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use bytes::{Buf, Bytes, BytesMut};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

/// Bytes between two reports of progress: some hundred for the largest snapshots.
const PROGRESS_LEN: usize = 1024 * 1024;

/// Pieces up to this size are worth a copy to save a system call.
const JOINED_LEN_MAX: usize = 64 * 1024;

/// The state thread's end. Dropping it ends the connection once all is written.
#[derive(Debug)]
pub(super) struct PeerSocket {
    /// What the batch at hand owes this connection.
    pub(super) queued: Vec<Bytes>,
    stream: Arc<OnceLock<Arc<TcpStream>>>,
    backlog: mpsc::UnboundedSender<Bytes>,
    waiting: Arc<AtomicUsize>,
}

/// The connection task's end.
#[derive(Debug)]
pub(super) struct Tail {
    /// Set once, when the connection is up.
    pub(super) stream: Arc<OnceLock<Arc<TcpStream>>>,
    pub(super) bytes: mpsc::UnboundedReceiver<Bytes>,
    /// Bytes handed over and not yet written.
    pub(super) waiting: Arc<AtomicUsize>,
}

impl PeerSocket {
    pub(super) fn new() -> (PeerSocket, Tail) {
        let (backlog, bytes) = mpsc::unbounded_channel();
        let (stream, waiting) = (Arc::new(OnceLock::new()), Arc::new(AtomicUsize::new(0)));
        let tail = Tail { stream: stream.clone(), bytes, waiting: waiting.clone() };
        (PeerSocket { queued: Vec::new(), stream, backlog, waiting }, tail)
    }

    /// Writes what is queued, small pieces joined: a batch is one system call, a snapshot is not copied.
    pub(super) fn flush(&mut self) {
        let mut joined = BytesMut::new();
        for piece in std::mem::take(&mut self.queued) {
            if piece.len() <= JOINED_LEN_MAX {
                joined.extend_from_slice(&piece);
                continue;
            }
            self.write(joined.split().freeze());
            self.write(piece);
        }
        self.write(joined.freeze());
    }

    /// An error is left to the reading side, which sees the end of the connection.
    fn write(&self, mut bytes: Bytes) {
        if !bytes.is_empty()
            && self.waiting.load(Ordering::Acquire) == 0
            && let Some(stream) = self.stream.get()
            && let Ok(written) = stream.try_write(&bytes)
        {
            bytes.advance(written);
        }
        if !bytes.is_empty() {
            self.waiting.fetch_add(bytes.len(), Ordering::AcqRel);
            let _ = self.backlog.send(bytes);
        }
    }
}

/// Writes what the socket did not take at once; ends when the state thread has dropped its end. Of every
/// [`PROGRESS_LEN`] bytes `progress` is told: who takes a long snapshot is alive although it answers nothing.
pub(super) async fn write_tail<F: Future<Output = ()>>(
    stream: &TcpStream,
    waiting: &AtomicUsize,
    mut bytes: mpsc::UnboundedReceiver<Bytes>,
    progress: impl Fn() -> F,
) -> io::Result<()> {
    let mut untold = 0;
    while let Some(piece) = bytes.recv().await {
        let mut rest = &piece[..];
        while !rest.is_empty() {
            stream.writable().await?;
            match stream.try_write(rest) {
                Ok(written) => {
                    rest = &rest[written..];
                    untold += written;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
            if untold >= PROGRESS_LEN {
                untold = 0;
                progress().await;
            }
        }
        waiting.fetch_sub(piece.len(), Ordering::AcqRel);
    }
    Ok(())
}
