//! Why a connection ends. It says nothing about who is to hear of it.

use std::io::ErrorKind;

use crate::server::zab::wire::FrameError;
use crate::wire::jute;

/// The end of a connection. Both halves end with the first reason that either of them has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Closed {
    /// The stream has ended; what was owed is dropped, since nobody would read it.
    #[error("the other side has closed it")]
    There,
    #[error("the socket failed: {0}")]
    Socket(ErrorKind),
    /// The first frame was not complete in time.
    #[error("the other side has not said who it is in {waited_ms} ms")]
    Silent { waited_ms: u64 },
    /// A length that no honest peer sends: the stream cannot be cut any further.
    #[error("{0}")]
    Frame(#[from] FrameError),
    #[error("a snapshot that cannot be read: {0}")]
    Snapshot(jute::Error),
    #[error("a snapshot stream does not end as it must")]
    Signature,
    /// The other side reads less than it is owed, and was owed too much.
    #[error("{held} bytes wait to be read there, and {len} more do not fit")]
    Full { held: usize, len: usize },
    /// All connections together read less than they are owed, and this one was owed most.
    #[error("{held} bytes wait to be read there, and too many in all")]
    Deaf { held: usize },
    /// All connections together have begun more than there is room for, and this one did not go on.
    #[error("{held} bytes of a frame have come, and the rest has not, while others wait for the room")]
    Unfinished { held: usize },
    /// Wanted by this server; all that was owed has been written.
    #[error("closed here")]
    Here,
    /// Wanted by this server; the other side did not read what it was owed in the time that it had.
    #[error("closed here, and {held} bytes were not read in {waited_ms} ms")]
    Unread { held: usize, waited_ms: u64 },
    /// The process ends, or who takes the frames is gone.
    #[error("this server stops")]
    Stopping,
}

impl Closed {
    /// What waits in the system's own buffers is not to be waited for either: the other side does not read.
    pub fn is_abrupt(self) -> bool {
        matches!(self, Closed::Full { .. } | Closed::Deaf { .. } | Closed::Unread { .. })
    }
}
