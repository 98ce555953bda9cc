//! A TCP connection as the driver's two halves, of which the writing one can be shared with the state thread.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use rustix::net::Shutdown;
use tokio::io::AsyncWrite;
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

/// The writing half.
#[derive(Debug)]
pub(crate) struct PlainWriter {
    socket: Arc<OwnedWriteHalf>,
}

/// Both halves; what is small leaves at once.
pub(crate) fn halves(stream: TcpStream) -> (OwnedReadHalf, PlainWriter) {
    // A socket that cannot be told so only waits a little longer.
    let _ = stream.set_nodelay(true);
    let (read, write) = stream.into_split();
    (read, PlainWriter { socket: Arc::new(write) })
}

impl PlainWriter {
    /// The socket, for who writes past the task.
    pub(crate) fn socket(&self) -> Arc<OwnedWriteHalf> {
        self.socket.clone()
    }
}

impl AsyncWrite for PlainWriter {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.socket.as_ref().as_ref().poll_write_ready(cx))?;
            match self.socket.try_write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                done => return Poll::Ready(done),
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// Both directions: another thread may hold the socket a moment longer, the peer must see the end now.
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let stream: &TcpStream = self.socket.as_ref().as_ref();
        Poll::Ready(rustix::net::shutdown(stream, Shutdown::Both).map_err(io::Error::from))
    }
}
