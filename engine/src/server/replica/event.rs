//! What goes into a replica and what comes out of it: the whole surface between one server's mind and the loop
//! around it. No behaviour here.

use std::net::SocketAddr;

use bytes::Bytes;

use crate::server::tree::{self, Tree};
use crate::server::zab::{self, PersistId, PersistOp};
use crate::wire::ids::{ServerId, Zxid};

/// A client's connection, numbered by the driver, never used twice in a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientId(pub u64);

/// The time of one step: the monotonic clock decides, the wall clock only stamps transactions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Milliseconds of any monotonic origin.
    pub ms: u64,
    /// Milliseconds since 1970.
    pub wall_ms: i64,
}

/// What a replica is told at its birth and never changes.
#[derive(Debug, Clone)]
pub struct Settings {
    pub me: ServerId,
    pub tick_ms: u64,
    pub session_timeout_ms_min: i32,
    pub session_timeout_ms_max: i32,
    /// Where the low 16 bits of this process's session ids begin: a host whose wall clock was set back to the same
    /// millisecond does not give out the ids of its earlier process again.
    pub session_salt: u16,
    /// `leaderServes=no`: a leader closes its clients' connections.
    pub leader_serves: bool,
    /// How many requests of all clients may be unanswered at a time: beyond it a connection has one.
    pub outstanding_max: u64,
    /// The digest `user:hash` that is `super`, if one is set.
    pub super_digest: Option<String>,
    /// How the tree checks and stamps requests.
    pub tree: tree::Settings,
    /// How often empty containers and expired TTL nodes are looked for.
    pub container_check_ms: u64,
    /// How long a container may stay without ever having had a child; 0 is for ever.
    pub container_never_used_ms: i64,
    /// The committed membership as text, shown in `/zookeeper/config`; `None` when standalone.
    pub config_text: Option<String>,
}

/// What happens to a replica.
#[derive(Debug)]
pub enum Input {
    /// Time has come to `deadline_ms`.
    Tick,
    /// A client's connection was accepted.
    ClientUp { client: ClientId, addr: SocketAddr },
    /// One frame body arrived from it.
    ClientFrame { client: ClientId, frame: Bytes },
    /// More waits to be read there than may: its requests wait, too, until there is room.
    ClientFull { client: ClientId },
    /// What it was owed has been taken from here, and there is room for more: asked for by
    /// [`super::Replica::drain_held_back`].
    ClientRoom { client: ClientId },
    /// Its connection ended, for whatever reason.
    ClientDown { client: ClientId },
    /// A peer's message or connection event.
    Peer(zab::Input),
    /// Everything persisted up to this id is durable.
    Persisted { id: PersistId },
    /// A truncation is done: this is the state and log tail that are left.
    Reloaded { id: PersistId, tree: Box<Tree>, tail: Vec<(Zxid, Bytes)> },
}

/// What a replica wants done. Bytes for clients are not outputs: see [`super::Replica::drain_clients`].
#[derive(Debug)]
pub enum Output {
    /// For the connections between servers, in order.
    Peer(zab::Output),
    /// The tree's snapshot stream for a learner, in order with the packets around it.
    PeerSnapshot { conn: zab::ConnId, body: Bytes },
    /// For the log thread, in order.
    Persist { id: PersistId, op: PersistOp },
    /// A line for the log.
    Note(String),
    /// The process must end; the reason is for people.
    Halt { reason: String },
}
