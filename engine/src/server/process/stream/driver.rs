//! Moves bytes between a byte stream and the machine until either side ends the connection. It takes no decision:
//! what is a frame, what is too much and what is too late, says the machine.

use std::future::{pending, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::watch;

use super::clock::Clock;
use super::machine::closed::Closed;
use super::machine::inbox::{Framing, Inbox};
use super::machine::outbox::Next;
use super::outlet::Outlet;

/// Where a port's frames go.
pub(crate) trait Port {
    type Framing: Framing;

    /// Nothing more is read from a peer for whom more bytes wait than this: a slow reader slows only itself.
    const PAUSE_LEN: usize;

    /// Hands on all frames of one read; an error ends the connection.
    fn deliver(
        &self,
        frames: Vec<<Self::Framing as Framing>::Frame>,
    ) -> impl Future<Output = Result<(), Closed>> + Send;

    /// So many bytes of a frame that is not whole have come: comes when more may be read.
    fn room_to_go_on(&self, begun_len: usize) -> impl Future<Output = ()> + Send {
        let _ = begun_len;
        ready(())
    }

    /// The same bytes have waited too long for the rest. Comes when the connection must end.
    fn stalled(&self, begun_len: usize) -> impl Future<Output = Closed> + Send {
        let _ = begun_len;
        pending()
    }

    /// [`PROGRESS_LEN`] bytes more have been taken by the other side.
    fn progress(&self) -> impl Future<Output = ()> + Send {
        ready(())
    }

    /// There is the room in the outlet that [`Outlet::ask_for_room`] asked for.
    fn room(&self) -> impl Future<Output = ()> + Send {
        ready(())
    }
}

/// Reads up to the first frame, no longer than the inbox allows.
///
/// # Errors
/// Why there is none.
pub(crate) async fn first<F: Framing>(
    read: &mut (impl AsyncRead + Unpin),
    inbox: &mut Inbox<F>,
    clock: Clock,
) -> Result<F::Frame, Closed> {
    loop {
        if let Some(frame) = inbox.next_frame()? {
            return Ok(frame);
        }
        let deadline_ms = inbox.deadline_ms();
        tokio::select! {
            more = read_more(read, inbox) => more?,
            () = clock.reach(deadline_ms) => {}
        }
        inbox.on_time(clock.now_ms())?;
    }
}

/// Runs a connection to its end, and says why it came.
pub(crate) async fn converse<P: Port>(
    read: impl AsyncRead + Unpin,
    mut write: impl AsyncWrite + Unpin,
    inbox: Inbox<P::Framing>,
    outlet: &Outlet,
    port: &P,
    mut stop: watch::Receiver<bool>,
) -> Closed {
    let closed = tokio::select! {
        biased;
        _ = stop.wait_for(|stop| *stop) => Closed::Stopping,
        closed = write_out(&mut write, outlet, |news| tell(port, news)) => closed,
        closed = read_in(read, inbox, outlet, port) => closed,
    };
    end(write, outlet, closed).await
}

/// Writes what is owed, reads nothing, and ends.
pub(crate) async fn part(mut write: impl AsyncWrite + Unpin, outlet: &Outlet) -> Closed {
    outlet.finish();
    let closed = write_out(&mut write, outlet, |_| ready(())).await;
    end(write, outlet, closed).await
}

async fn end(mut write: impl AsyncWrite + Unpin, outlet: &Outlet, closed: Closed) -> Closed {
    outlet.close(closed);
    if closed.is_abrupt() {
        outlet.forget_unread();
    }
    // How the farewell fares is nobody's concern any more.
    let _ = tokio::time::timeout(FAREWELL_MAX, write.shutdown()).await;
    closed
}

async fn read_in<P: Port>(
    mut read: impl AsyncRead + Unpin,
    mut inbox: Inbox<P::Framing>,
    outlet: &Outlet,
    port: &P,
) -> Closed {
    loop {
        let mut frames = Vec::new();
        let cut = loop {
            match inbox.next_frame() {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break Ok(()),
                Err(closed) => break Err(closed),
            }
        };
        if !frames.is_empty()
            && let Err(closed) = port.deliver(frames).await
        {
            return closed;
        }
        if let Err(closed) = cut {
            return closed;
        }
        outlet.at_most(P::PAUSE_LEN).await;
        let begun_len = inbox.begun_len();
        let more = async {
            port.room_to_go_on(begun_len).await;
            read_more(&mut read, &mut inbox).await
        };
        let more = tokio::select! {
            biased;
            more = more => more,
            closed = port.stalled(begun_len) => Err(closed),
        };
        if let Err(closed) = more {
            return closed;
        }
    }
}

async fn read_more<F: Framing>(
    read: &mut (impl AsyncRead + Unpin),
    inbox: &mut Inbox<F>,
) -> Result<(), Closed> {
    match read.read_buf(inbox.room()).await {
        Ok(0) => Err(Closed::There),
        Ok(_) => Ok(()),
        Err(error) => Err(Closed::Socket(error.kind())),
    }
}

/// What becomes known while bytes are written.
enum News {
    Progress,
    Room,
}

async fn tell<P: Port>(port: &P, news: News) {
    match news {
        News::Progress => port.progress().await,
        News::Room => port.room().await,
    }
}

/// Empties the outbox, and waits for more. Of every [`PROGRESS_LEN`] bytes is told: who takes a long snapshot is
/// alive although it answers nothing.
async fn write_out<F: Future<Output = ()>>(
    write: &mut (impl AsyncWrite + Unpin),
    outlet: &Outlet,
    tell: impl Fn(News) -> F,
) -> Closed {
    let mut is_flushed = true;
    let mut untold = 0;
    loop {
        let (next, deadline_ms) = outlet.next_step();
        let work = async {
            match next {
                Next::Close(closed) => Err(closed),
                Next::Write(bytes) => match write.write(&bytes).await {
                    Ok(0) => Err(Closed::There),
                    Ok(len) => Ok(len),
                    Err(error) => Err(Closed::Socket(error.kind())),
                },
                Next::Wait if is_flushed => pending().await,
                Next::Wait => write.flush().await.map(|()| 0).map_err(|error| Closed::Socket(error.kind())),
            }
        };
        tokio::select! {
            biased;
            done = work => match done {
                Ok(len) => {
                    is_flushed = len == 0;
                    untold += len;
                    outlet.written(len);
                }
                Err(closed) => return closed,
            },
            () = outlet.changed() => {}
            () = outlet.clock().reach(deadline_ms) => outlet.on_time(),
        }
        if untold >= PROGRESS_LEN {
            untold = 0;
            tell(News::Progress).await;
        }
        if outlet.take_room() {
            tell(News::Room).await;
        }
    }
}

/// Bytes between two reports of progress: some hundred for the largest snapshots.
const PROGRESS_LEN: usize = 1024 * 1024;

/// How long a stream may take to say that it ends; a plain one says it at once.
const FAREWELL_MAX: Duration = Duration::from_secs(1);
