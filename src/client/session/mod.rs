//! The session as a pure state machine: inputs in, actions out, time as an argument (milliseconds of
//! any one origin). It holds every rule of client-protocol §12: server choice, handshake, time limits,
//! pings, xids, matching of replies, watches and identities after a reconnect, expiry.
//!
//! It opens no socket and reads no clock: `connection` does what the actions say.

mod link;
mod requests;
mod servers;
mod watches;

use std::collections::VecDeque;

use bytes::Bytes;

pub use watches::Watch;

use self::requests::Auth;
use self::servers::Servers;
use self::watches::Watches;
use super::random::Random;
use super::{ConnectString, Event, Server, State};
use crate::wire::ids::{SessionId, Zxid};
use crate::wire::jute;
use crate::wire::proto::{OpCode, Request, Response, WatcherType};

/// Names a call between the machine and who waits for its answer.
pub type Ticket = u64;

/// One request and what its success means here. Paths carry the chroot already.
#[derive(Debug, Clone)]
pub struct Call {
    pub request: Request,
    pub effect: Effect,
}

/// What a call does to the watch tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    None,
    Watch(Watch),
    /// `local`: also done when no server can be told.
    Unwatch {
        path: String,
        kind: WatcherType,
        local: bool,
    },
}

#[derive(Debug)]
pub enum Input {
    Call {
        ticket: Ticket,
        call: Call,
    },
    AddAuth {
        ticket: Ticket,
        scheme: String,
        auth: Bytes,
    },
    /// End the session.
    Close,
    /// The connection of [`Action::Dial`] is up.
    Connected,
    /// One frame, without its length.
    Frame(Bytes),
    /// The dial failed, the connection ended or broke the framing.
    Down,
    /// The answer to [`Action::Probe`].
    Probed {
        server: Server,
        read_write: bool,
    },
    /// [`Session::deadline_ms`] has come.
    Tick,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Action {
    /// Open a connection; answered by `Connected` or `Down`.
    Dial(Server),
    /// Write these bytes, length included.
    Send(Bytes),
    /// Drop the connection or the dial under way; no `Down` follows.
    Hangup,
    Answer {
        ticket: Ticket,
        result: Result<Response, Failure>,
    },
    Tell(Event),
    /// Ask this server `isro`; answered by `Probed`.
    Probe(Server),
}

/// Why a call failed, before the caller's path is added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The server's error code, maybe one we do not know.
    Code(i32),
    ConnectionLoss,
    Expired,
    AuthFailed,
    Closed,
    Malformed(jute::Error),
}

/// What the machine is told once.
#[derive(Debug, Clone)]
pub struct Settings {
    pub timeout_ms: u64,
    pub pause_ms_max: u64,
    pub read_only: bool,
    pub seed: u64,
}

pub struct Session {
    settings: Settings,
    chroot: Option<String>,
    servers: Servers,
    random: Random,

    state: State,
    link: Link,
    id: SessionId,
    password: Bytes,
    /// What the server agreed to; the requested timeout before that.
    timeout_ms: u64,
    /// A server with a quorum knows this session (§9.1).
    seen_read_write: bool,
    last_zxid: Zxid,
    last_xid: i32,

    /// Calls not sent yet: the connection is not up.
    queue: VecDeque<Queued>,
    /// Calls sent, in order; the first one's reply comes next.
    pending: VecDeque<Pending>,
    auth: Vec<Auth>,
    /// Indices into `auth` in the order sent on this connection and not answered yet.
    auth_sent: VecDeque<usize>,
    watches: Watches,

    last_heard_ms: u64,
    last_sent_ms: u64,
    /// A TCP connection has been made once: from now on reconnects pause (§12).
    ever_connected: bool,
    /// Dials and handshakes that failed, ever: a queued call gives up after a whole round.
    failed_attempts: u64,
    probe: Probe,
    /// When to stop waiting for the answer to closeSession.
    close_by_ms: Option<u64>,
}

/// The connection's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Link {
    Idle {
        dial_at_ms: u64,
    },
    Dialing {
        since_ms: u64,
    },
    /// ConnectRequest sent, nothing else may be.
    Handshake {
        since_ms: u64,
    },
    Up,
    Ended,
}

/// The search for a server with a quorum while connected to one without.
#[derive(Debug, Clone, Copy)]
struct Probe {
    at_ms: u64,
    interval_ms: u64,
    asked: usize,
}

#[derive(Debug)]
struct Queued {
    ticket: Ticket,
    call: Call,
    /// `failed_attempts` when it came.
    since_attempt: u64,
}

#[derive(Debug)]
struct Pending {
    xid: i32,
    op: OpCode,
    /// `None` for requests of our own (setWatches, closeSession).
    ticket: Option<Ticket>,
    effect: Effect,
}

impl Session {
    /// A session that dials at its first [`Input::Tick`].
    pub fn new(to: &ConnectString, settings: Settings, now_ms: u64) -> Session {
        let mut random = Random::new(settings.seed);
        Session {
            chroot: to.chroot().map(str::to_owned),
            servers: Servers::new(to.servers().to_vec(), &mut random),
            random,
            state: State::Connecting,
            link: Link::Idle { dial_at_ms: now_ms },
            id: SessionId::NONE,
            password: Bytes::from_static(&[0; 16]),
            timeout_ms: settings.timeout_ms,
            seen_read_write: false,
            last_zxid: Zxid::ZERO,
            last_xid: 0,
            queue: VecDeque::new(),
            pending: VecDeque::new(),
            auth: Vec::new(),
            auth_sent: VecDeque::new(),
            watches: Watches::default(),
            last_heard_ms: now_ms,
            last_sent_ms: now_ms,
            ever_connected: false,
            failed_attempts: 0,
            probe: Probe { at_ms: u64::MAX, interval_ms: 0, asked: 0 },
            close_by_ms: None,
            settings,
        }
    }

    pub fn step(&mut self, now_ms: u64, input: Input, out: &mut Vec<Action>) {
        match input {
            Input::Call { ticket, call } => self.on_call(now_ms, ticket, call, out),
            Input::AddAuth { ticket, scheme, auth } => self.on_add_auth(now_ms, ticket, scheme, auth, out),
            Input::Close => self.on_close(now_ms, out),
            Input::Connected => self.on_connected(now_ms, out),
            Input::Frame(frame) => self.on_frame(now_ms, frame, out),
            Input::Down => self.on_down(now_ms, out),
            Input::Probed { server, read_write } => self.on_probed(now_ms, &server, read_write, out),
            Input::Tick => self.on_tick(now_ms, out),
        }
    }

    pub fn state(&self) -> State {
        self.state
    }

    pub fn id(&self) -> SessionId {
        self.id
    }

    pub fn timeout_ms(&self) -> u64 {
        self.timeout_ms
    }

    pub fn server(&self) -> Option<&Server> {
        self.servers.current()
    }

    /// Nothing will happen any more; every call has been answered.
    pub fn is_ended(&self) -> bool {
        self.link == Link::Ended
    }
}

#[cfg(test)]
mod tests;
