//! What connections say, as the rest of the server hears it.

use crate::wire::ids::SessionId;
use crate::wire::jute::Reader;
use crate::wire::proto::ConnectRequest;

/// What a frame says to the rest of the server.
#[derive(Debug)]
pub(super) enum Said {
    /// The first frame: a session is wanted.
    Connect(ConnectRequest),
    /// A request of an open connection. `body` stands behind the header, `op` may be no op at all.
    Request { session: SessionId, timeout_ms: i32, xid: i32, op: i32, body: Reader },
    /// A frame of an open connection that waits outside: it is not looked at yet.
    Later { session: SessionId, timeout_ms: i32 },
}

/// A connection whose session is set up. What it said before it knew is heard by `Clients::hear_later`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Opened {
    pub(super) session: SessionId,
    pub(super) timeout_ms: i32,
}
