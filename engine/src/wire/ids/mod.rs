//! The numbers that every layer names: transaction ids, epochs, server and session ids.
//! One newtype each, so that two `u64`s can never be swapped. Imports nothing.

#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::fmt;

/// A transaction id: epoch in the high 32 bits, counter in the low 32 (quorum-protocol §0).
///
/// The wire carries it as a signed 64-bit number; the order of zxids is the order of that
/// signed number, and −1 marks "no database" (disk-format §5).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Zxid(pub i64);

impl Zxid {
    /// Zxid of an empty database.
    pub const ZERO: Zxid = Zxid(0);
    /// An empty database that must not vote (disk-format §5, last row).
    pub const NONE: Zxid = Zxid(-1);

    pub const fn new(epoch: Epoch, counter: u32) -> Zxid {
        Zxid((epoch.0 << 32) | counter as i64)
    }
    /// The epoch part (arithmetic shift, as the reference does).
    pub const fn epoch(self) -> Epoch {
        Epoch(self.0 >> 32)
    }
    /// The counter part.
    pub const fn counter(self) -> u32 {
        self.0 as u32
    }
    /// The next zxid of the same epoch; `None` when the counter would reach 0xffffffff,
    /// which is never used (quorum-protocol §2.12).
    pub fn next(self) -> Option<Zxid> {
        (self.counter() < u32::MAX - 1).then(|| Zxid(self.0 + 1))
    }
    /// True when `next` may directly follow in a log: +1, or the first of a later epoch.
    pub fn is_followed_by(self, next: Zxid) -> bool {
        self.0.checked_add(1) == Some(next.0) || (next.epoch() > self.epoch() && next.counter() == 1)
    }
    /// True for `epoch << 32`: the zxid of a NEWLEADER, never of a transaction.
    pub const fn is_epoch_start(self) -> bool {
        self.counter() == 0
    }
}

impl fmt::Display for Zxid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{:x}", self.0)
    }
}

impl fmt::Debug for Zxid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{:x}", self.0)
    }
}

/// The reign of one leader (quorum-protocol §2.3). Signed as on the wire.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Epoch(pub i64);

impl Epoch {
    /// The zxid that opens this epoch, `epoch << 32`.
    pub const fn start(self) -> Zxid {
        Zxid(self.0 << 32)
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl fmt::Debug for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "epoch {}", self.0)
    }
}

/// A member's id: `myid`, the N of `server.N` (operations §10.3).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerId(pub i64);

impl fmt::Display for ServerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl fmt::Debug for ServerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "server.{}", self.0)
    }
}

/// A client session (client-protocol §1.4). Zero means "none".
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct SessionId(pub i64);

impl SessionId {
    pub const NONE: SessionId = SessionId(0);
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{:x}", self.0)
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "session 0x{:x}", self.0)
    }
}
