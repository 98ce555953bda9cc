//! Bytes that arrive, cut into frames. What a frame is, says the framing of the port; no byte is copied.

use bytes::BytesMut;

use super::closed::Closed;

/// How a port's stream is cut.
pub trait Framing {
    type Frame;

    /// Bytes of room that a read should find.
    const READ_LEN: usize;

    /// Takes the next whole frame off the front; `None` when more bytes are needed.
    ///
    /// # Errors
    /// Bytes that are no frame, before memory is spent on them.
    fn take(&mut self, buffer: &mut BytesMut) -> Result<Option<Self::Frame>, Closed>;
}

/// The reading half of a connection.
#[derive(Debug)]
pub struct Inbox<F> {
    framing: F,
    buffer: BytesMut,
    opened_ms: u64,
    /// The first frame must be complete by then.
    deadline_ms: u64,
}

impl<F: Framing> Inbox<F> {
    /// An inbox whose first frame may take `wait_ms`.
    pub fn new(framing: F, now_ms: u64, wait_ms: u64) -> Inbox<F> {
        Inbox {
            framing,
            buffer: BytesMut::with_capacity(F::READ_LEN),
            opened_ms: now_ms,
            deadline_ms: now_ms.saturating_add(wait_ms),
        }
    }

    /// Where the next bytes go, with room for a read.
    pub fn room(&mut self) -> &mut BytesMut {
        // A buffer that is nearly full is not worth a new one yet.
        self.buffer.reserve(F::READ_LEN / 4);
        &mut self.buffer
    }

    /// Bytes that have come of a frame that is not whole.
    pub fn begun_len(&self) -> usize {
        self.buffer.len()
    }

    /// The next whole frame of what has arrived.
    ///
    /// # Errors
    /// Bytes that are no frame: nothing behind them can be cut.
    pub fn next_frame(&mut self) -> Result<Option<F::Frame>, Closed> {
        self.framing.take(&mut self.buffer)
    }

    /// The first frame has said what is to follow: the stream goes on in another framing, without a deadline.
    pub fn followed_by<G: Framing>(self, framing: G) -> Inbox<G> {
        let Inbox { buffer, opened_ms, .. } = self;
        Inbox { framing, buffer, opened_ms, deadline_ms: u64::MAX }
    }

    /// When [`Inbox::on_time`] is wanted.
    pub fn deadline_ms(&self) -> u64 {
        self.deadline_ms
    }

    /// # Errors
    /// The deadline has passed.
    pub fn on_time(&self, now_ms: u64) -> Result<(), Closed> {
        if now_ms < self.deadline_ms {
            return Ok(());
        }
        Err(Closed::Silent { waited_ms: self.deadline_ms - self.opened_ms })
    }
}
