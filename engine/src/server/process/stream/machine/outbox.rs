//! What is owed to the other side and not yet written: pieces in order, bounded in bytes.
//!
//! It pauses nobody itself: it says how much it holds, and whoever takes requests from the same peer looks.

use std::collections::VecDeque;

use bytes::{Buf, Bytes};

use super::closed::Closed;

/// What happens to a piece that comes when much waits already. It meets the peer that does not read, and nobody
/// else: whoever fills the outbox never waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenFull {
    /// Every piece counts: a peer that is owed more than `len_max` bytes is closed, its pieces are dropped. A
    /// single piece may be longer.
    Close { len_max: usize },
    /// Pieces are states, the newest says all (quorum-protocol §1.1): of those behind the first that has not been
    /// begun it alone is kept. The first may be a HELLO.
    KeepNewest,
}

/// The writing half of a connection.
#[derive(Debug)]
pub struct Outbox {
    when_full: WhenFull,
    pieces: VecDeque<Piece>,
    held: usize,
    /// What of it counts against the bound.
    counted: usize,
    /// A piece has waited here before.
    is_used: bool,
    /// Since when nothing more is taken, and until when the rest may be read.
    finishing: Option<(u64, u64)>,
    closed: Option<Closed>,
}

/// What is to be done for the peer now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    Write(Bytes),
    /// Nothing is owed.
    Wait,
    Close(Closed),
}

#[derive(Debug)]
struct Piece {
    bytes: Bytes,
    counts: bool,
    begun: bool,
}

impl Outbox {
    pub fn new(when_full: WhenFull) -> Outbox {
        Outbox {
            when_full,
            pieces: VecDeque::new(),
            held: 0,
            counted: 0,
            is_used: false,
            finishing: None,
            closed: None,
        }
    }

    /// Bytes that wait.
    pub fn held(&self) -> usize {
        self.held
    }

    /// Takes a message; [`WhenFull`] says what else may happen.
    pub fn push(&mut self, bytes: Bytes) {
        self.add(Piece { bytes, counts: true, begun: false });
    }

    /// Takes the rest of a message whose beginning the socket has taken: it must follow.
    pub fn push_rest(&mut self, bytes: Bytes) {
        self.add(Piece { bytes, counts: true, begun: true });
    }

    /// Takes a snapshot, or the rest of one: as long as the tree is, made once for this peer; it does not count.
    pub fn push_snapshot(&mut self, bytes: Bytes) {
        self.add(Piece { bytes, counts: false, begun: true });
    }

    fn add(&mut self, piece: Piece) {
        if piece.bytes.is_empty() || self.finishing.is_some() || self.closed.is_some() {
            return;
        }
        let len = piece.bytes.len();
        match self.when_full {
            WhenFull::Close { len_max }
                if piece.counts && self.counted > 0 && self.counted + len > len_max =>
            {
                return self.close(Closed::Full { held: self.held, len });
            }
            WhenFull::KeepNewest if self.is_used => {
                if let Some(older) = self.pieces.pop_back_if(|older| !older.begun) {
                    self.forget(older.bytes.len(), older.counts);
                }
            }
            _ => {}
        }
        self.held += len;
        self.counted += if piece.counts { len } else { 0 };
        // The first piece is spared by being taken for one that was begun.
        let begun = piece.begun || !self.is_used;
        self.is_used = true;
        self.pieces.push_back(Piece { begun, ..piece });
    }

    /// What to do now; asked again after every change. A piece that is given out counts as begun.
    pub fn next_step(&mut self) -> Next {
        if let Some(closed) = self.closed {
            return Next::Close(closed);
        }
        match self.pieces.front_mut() {
            Some(piece) => {
                piece.begun = true;
                Next::Write(piece.bytes.clone())
            }
            None if self.finishing.is_some() => Next::Close(Closed::Here),
            None => Next::Wait,
        }
    }

    /// The socket has taken the beginning of the piece that [`Outbox::next_step`] gave.
    pub fn written(&mut self, len: usize) {
        let Some(piece) = self.pieces.front_mut() else { return };
        piece.bytes.advance(len);
        let (counts, is_done) = (piece.counts, piece.bytes.is_empty());
        self.forget(len, counts);
        if is_done {
            self.pieces.pop_front();
        }
    }

    fn forget(&mut self, len: usize, counts: bool) {
        self.held -= len;
        self.counted -= if counts { len } else { 0 };
    }

    /// Nothing more is taken; what is owed has `wait_ms` to be read.
    pub fn finish(&mut self, now_ms: u64, wait_ms: u64) {
        self.finishing.get_or_insert((now_ms, now_ms.saturating_add(wait_ms)));
    }

    /// The end, now: what is owed is dropped. The first reason stays.
    pub fn close(&mut self, closed: Closed) {
        self.closed.get_or_insert(closed);
        self.pieces.clear();
        (self.held, self.counted) = (0, 0);
    }

    /// When [`Outbox::on_time`] is wanted.
    pub fn deadline_ms(&self) -> u64 {
        self.finishing.map_or(u64::MAX, |(_, until_ms)| until_ms)
    }

    pub fn on_time(&mut self, now_ms: u64) {
        if let Some((since_ms, until_ms)) = self.finishing
            && now_ms >= until_ms
            && self.closed.is_none()
            && self.held > 0
        {
            self.close(Closed::Unread { held: self.held, waited_ms: until_ms - since_ms });
        }
    }
}
