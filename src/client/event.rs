//! What a client tells beside answers: watch events and the state of its session.

use std::fmt;
use std::time::Duration;

use tokio::sync::broadcast;

use super::Server;
use crate::wire::ids::{SessionId, Zxid};
use crate::wire::proto::{EventState, EventType};

/// Something happened to a watched node, or to the session (`kind` None, no path).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    pub kind: EventType,
    pub state: EventState,
    /// As the caller sees it: without the chroot.
    pub path: Option<String>,
    /// The transaction that fired it; [`Zxid::NONE`] when unknown (§5.3: old servers, catch-up, session).
    pub zxid: Zxid,
}

impl Event {
    pub(super) fn session(state: EventState) -> Event {
        Event { kind: EventType::None, state, path: None, zxid: Zxid::NONE }
    }
}

/// Where the session stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// No connection at the moment; one is being sought.
    Connecting,
    Connected,
    /// Connected to a server without a quorum: reads only (§9.1).
    ConnectedReadOnly,
    /// An identity was refused. Final.
    AuthFailed,
    /// The server gave the session up, or nothing was heard for too long. Final.
    Expired,
    /// Closed by the caller. Final.
    Closed,
}

impl State {
    pub fn is_connected(self) -> bool {
        matches!(self, State::Connected | State::ConnectedReadOnly)
    }

    /// Nothing will come any more.
    pub fn is_final(self) -> bool {
        matches!(self, State::AuthFailed | State::Expired | State::Closed)
    }
}

/// As the shell's prompt shows it (operations §11.1); an expired session counts as closed.
impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            State::Connecting => "CONNECTING",
            State::Connected => "CONNECTED",
            State::ConnectedReadOnly => "CONNECTEDREADONLY",
            State::AuthFailed => "AUTH_FAILED",
            State::Expired | State::Closed => "CLOSED",
        })
    }
}

/// The session as of now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    pub state: State,
    /// 0 before the first server accepted it.
    pub session: SessionId,
    /// The negotiated session timeout; the requested one before that.
    pub timeout: Duration,
    /// The server connected to, or tried last.
    pub server: Option<Server>,
    /// Why there is no connection: what the last attempt ran into. `None` while connected.
    pub trouble: Option<String>,
}

/// The events of one client, in order. A reader that falls behind by more than
/// [`Events::BACKLOG_MAX`] loses the oldest and is told how many.
#[derive(Debug)]
pub struct Events {
    pub(super) receiver: broadcast::Receiver<Event>,
}

/// What [`Events::next`] yields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Noticed {
    Event(Event),
    /// This many events were dropped because nobody read them in time.
    Missed(u64),
}

impl Events {
    /// Events kept for a slow reader: a burst of one-shot watches of a whole tree fits.
    pub(super) const BACKLOG_MAX: usize = 4096;

    /// The next one; `None` when the client is gone. Cancellation-safe.
    pub async fn next(&mut self) -> Option<Noticed> {
        match self.receiver.recv().await {
            Ok(event) => Some(Noticed::Event(event)),
            Err(broadcast::error::RecvError::Lagged(count)) => Some(Noticed::Missed(count)),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }

    /// The next one that is already there.
    pub fn try_next(&mut self) -> Option<Noticed> {
        match self.receiver.try_recv() {
            Ok(event) => Some(Noticed::Event(event)),
            Err(broadcast::error::TryRecvError::Lagged(count)) => Some(Noticed::Missed(count)),
            Err(_) => None,
        }
    }
}
