//! One server's mind: agreement (`zab`), the replicated tree, the request pipeline, sessions and watches,
//! as one deterministic `step(now, input, &mut outputs)`.
//!
//! Deliberately not here: sockets, files, clocks, threads (`server` drives this), and the protocol between
//! servers (`zab` decides; this only hands its outputs on).
//!
//! Order of things within one step: a transaction is applied, its watch events are written to their
//! connections, then its own reply — so a notification for zxid Z precedes every reply with zxid ≥ Z
//! (client-protocol §1.8 row 3).

#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

mod apply;
mod clients;
mod connect;
mod leader;
mod learner;
mod pipeline;
mod read;
mod roles;
mod sessions;
mod standalone;
mod stats;
mod status;
mod watches;

use std::collections::VecDeque;
use std::net::SocketAddr;

use bytes::Bytes;

use crate::server::tree::Tree;
use crate::server::zab::{self, PersistId, PersistOp, Zab};
use crate::wire::ids::ServerId;
use clients::Clients;
use leader::Lead;
use learner::Learn;
use standalone::Standalone;
use watches::Watches;

pub use clients::ClientId;
pub use stats::{ClientStats, LatencyStats, ServerStats};
pub use status::{ClientLine, ModeWord};

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
    /// The digest `user:hash` that is `super`, if one is set.
    pub super_digest: Option<String>,
    /// How the tree checks and stamps requests.
    pub tree: crate::server::tree::Settings,
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
    /// Its connection ended, for whatever reason.
    ClientDown { client: ClientId },
    /// A peer's message or connection event.
    Peer(zab::Input),
    /// Everything persisted up to this id is durable.
    Persisted { id: PersistId },
    /// A truncation is done: this is the state and log tail that are left.
    Reloaded { id: PersistId, tree: Box<Tree>, tail: Vec<(crate::wire::ids::Zxid, Bytes)> },
}

/// What a replica wants done. Bytes for clients are not outputs: see [`Replica::drain_clients`].
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

/// A server without its process.
pub struct Replica {
    settings: Settings,
    now: Now,
    tree: Tree,
    tree_generation: u64,
    agreement: Agreement,
    clients: Clients,
    watches: Watches,
    /// What only a server that prepares transactions has: a leader or a standalone server.
    lead: Option<Lead>,
    /// What only a serving follower or observer has.
    learn: Option<Learn>,
    next_session: i64,
    stats: ServerStats,
    /// Outputs of `zab` not yet acted upon.
    todo: VecDeque<zab::Output>,
    out: Vec<Output>,
}

enum Agreement {
    Standalone(Standalone),
    Ensemble(Box<Zab>),
}

impl Replica {
    /// A member of an ensemble. `tree` is what recovery found, uncommitted tail included; the same
    /// state's log end must be in `zab`.
    pub fn member(settings: Settings, tree: Tree, zab: Zab, now: Now) -> Replica {
        Replica::new(settings, tree, Agreement::Ensemble(Box::new(zab)), now)
    }

    /// A server of its own, serving at once.
    pub fn standalone(settings: Settings, tree: Tree, now: Now) -> Replica {
        let standalone = Standalone::new(tree.last_zxid());
        let mut replica = Replica::new(settings, tree, Agreement::Standalone(standalone), now);
        replica.start_leading();
        replica
    }

    fn new(settings: Settings, mut tree: Tree, agreement: Agreement, now: Now) -> Replica {
        if let Some(text) = &settings.config_text {
            tree.set_config(text, 0, now.wall_ms);
        }
        let standalone = matches!(agreement, Agreement::Standalone(_));
        Replica {
            next_session: connect::first_session(&settings, standalone, now),
            now,
            tree,
            tree_generation: 0,
            agreement,
            clients: Clients::default(),
            watches: Watches::default(),
            lead: None,
            learn: None,
            stats: ServerStats::new(now),
            todo: VecDeque::new(),
            out: Vec::new(),
            settings,
        }
    }

    /// Takes one input and appends what must be done. Afterwards ask [`Replica::drain_clients`].
    pub fn step(&mut self, now: Now, input: Input, out: &mut Vec<Output>) {
        self.now = now;
        match input {
            Input::Tick => self.tick(),
            Input::ClientUp { client, addr } => self.client_up(client, addr),
            Input::ClientFrame { client, frame } => self.client_frame(client, frame),
            Input::ClientDown { client } => self.client_down(client),
            Input::Peer(input) => self.zab_step(input),
            Input::Persisted { id } => match &mut self.agreement {
                Agreement::Standalone(standalone) => {
                    let durable = standalone.persisted(id);
                    durable.into_iter().for_each(|(zxid, txn)| self.deliver(zxid, txn));
                }
                Agreement::Ensemble(_) => self.zab_step(zab::Input::Persisted { id }),
            },
            Input::Reloaded { id, tree, tail } => self.reloaded(id, *tree, tail),
        }
        self.act();
        out.append(&mut self.out);
    }

    /// When `Input::Tick` is wanted next.
    pub fn deadline_ms(&self) -> u64 {
        let zab = match &self.agreement {
            Agreement::Standalone(_) => u64::MAX,
            Agreement::Ensemble(zab) => zab.deadline_ms(),
        };
        let lead = self.lead.as_ref().map_or(u64::MAX, Lead::deadline_ms);
        zab.min(lead)
    }

    /// The replicated state, for status words and snapshots.
    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    /// Changes whenever the whole tree is replaced by another.
    pub fn tree_generation(&self) -> u64 {
        self.tree_generation
    }

    /// For a snapshot's walk, which keeps its place in the tree while transactions go on.
    pub fn tree_mut(&mut self) -> &mut Tree {
        &mut self.tree
    }

    fn tick(&mut self) {
        if matches!(self.agreement, Agreement::Ensemble(_)) {
            self.zab_step(zab::Input::Tick);
            self.act();
        }
        self.lead_tick();
    }

    fn zab_step(&mut self, input: zab::Input) {
        let Agreement::Ensemble(zab) = &mut self.agreement else { return };
        let mut outputs = Vec::new();
        zab.step(self.now.ms, input, &mut outputs);
        self.todo.extend(outputs);
    }

    /// Calls into `zab` that are no inputs of its own, and takes what comes of them.
    fn with_zab(&mut self, call: impl FnOnce(&mut Zab, &mut Vec<zab::Output>)) {
        let Agreement::Ensemble(zab) = &mut self.agreement else { return };
        let mut outputs = Vec::new();
        call(zab, &mut outputs);
        self.todo.extend(outputs);
    }

    /// Acts on everything `zab` has said, also on what it says in answer to that.
    fn act(&mut self) {
        while let Some(output) = self.todo.pop_front() {
            self.act_on(output);
        }
    }
}

#[cfg(test)]
mod tests;
