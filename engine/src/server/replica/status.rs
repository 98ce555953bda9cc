//! What a replica looks like at one moment, as plain data (operations §8.2), and the few questions that the driver
//! asks it every now and then. Read-only; how it is shown is not known here.

use super::bent;
use super::event::Now;
use super::mind::Replica;
use super::stats::{ClientLine, ServerStats};
use super::watches::Watched;
use crate::server::tree::Tree;
use crate::server::zab::{LearnerStatus, Role, Zab};
use crate::wire::ids::{Epoch, SessionId, Zxid};

/// The word of `Mode:` in `srvr`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ModeWord {
    Standalone,
    Leader,
    Follower,
    Observer,
}

impl ModeWord {
    pub const fn text(self) -> &'static str {
        match self {
            ModeWord::Standalone => "standalone",
            ModeWord::Leader => "leader",
            ModeWord::Follower => "follower",
            ModeWord::Observer => "observer",
        }
    }
}

/// What a replica looks like, taken in one step. It borrows nothing: who asked may take all the time it needs.
#[derive(Debug, Clone)]
pub struct Status {
    pub now: Now,
    /// `None` while there is no leader: the server does not serve.
    pub mode: Option<ModeWord>,
    /// As agreement has it; `None` when standalone.
    pub role: Option<Role>,
    pub epoch: Epoch,
    pub last_zxid: Zxid,
    pub stats: ServerStats,
    pub connections: usize,
    /// Watches in both tables.
    pub watches: usize,
    pub watched: Watched,
    /// Real nodes, the root once.
    pub znodes: usize,
    pub ephemerals: usize,
    pub data_size: u64,
    pub sessions: usize,
    /// Leader: who is connected.
    pub learners: Vec<LearnerStatus>,
    pub lists: Lists,
}

/// The lists that a question wants. They are copied while everybody else waits; the figures are not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Wanted {
    pub connections: bool,
    pub sessions: bool,
    pub ephemerals: bool,
}

/// What was wanted; the rest is empty.
#[derive(Debug, Clone, Default)]
pub struct Lists {
    /// In the order of their acceptance.
    pub connections: Vec<ClientLine>,
    pub sessions: Option<Sessions>,
    /// Sessions that own ephemerals, with the paths of these.
    pub ephemerals: Vec<(SessionId, Vec<String>)>,
}

/// Sessions as a server knows them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sessions {
    /// Where they are expired, by the monotonic time in ms at which that is due.
    Expiring(Vec<(u64, Vec<SessionId>)>),
    /// Elsewhere: with their timeouts in ms.
    Known(Vec<(SessionId, i32)>),
}

impl Replica {
    /// How it looks now. The cost is that of the lists wanted.
    pub fn status(&self, now: Now, wanted: Wanted) -> Status {
        let (tree, watches) = (self.tree(), self.desk.watches());
        Status {
            now,
            mode: self.mode(),
            role: self.zab().map(|zab| *zab.role()),
            epoch: self.epoch(),
            last_zxid: self.last_zxid(),
            stats: self.stats(),
            connections: self.desk.clients().len(),
            watches: watches.count(),
            watched: watches.summary(),
            znodes: tree.node_count(),
            ephemerals: tree.ephemerals_count(),
            data_size: tree.approximate_data_size(),
            sessions: tree.sessions().len(),
            learners: self.zab().map(|zab| zab.learners().collect()).unwrap_or_default(),
            lists: self.lists(wanted),
        }
    }

    fn lists(&self, wanted: Wanted) -> Lists {
        let mut lists = Lists::default();
        if wanted.connections {
            lists.connections = self.desk.clients().lines();
        }
        if wanted.sessions {
            lists.sessions = Some(match self.duty.lead() {
                Some(lead) => Sessions::Expiring(lead.session_buckets()),
                None => Sessions::Known(self.tree().sessions().collect()),
            });
        }
        if wanted.ephemerals {
            lists.ephemerals = self.tree().ephemerals().collect();
        }
        lists
    }

    /// `None` while there is no leader: the server does not serve.
    pub fn mode(&self) -> Option<ModeWord> {
        let Some(zab) = self.zab() else { return Some(ModeWord::Standalone) };
        match zab.role() {
            Role::Leading { serving: true } => Some(ModeWord::Leader),
            Role::Following { serving: true, .. } => Some(ModeWord::Follower),
            Role::Observing { serving: true, .. } => Some(ModeWord::Observer),
            _ => None,
        }
    }

    /// Whether the tree holds only what is decided, so that it may be kept as a snapshot.
    pub fn settled(&self) -> bool {
        if let Some(bent) = bent::is_settled() {
            return bent;
        }
        !self.duty.is_nothing()
    }

    /// The replicated state, for status words and snapshots.
    pub fn tree(&self) -> &Tree {
        self.held.tree()
    }

    /// Changes whenever the whole tree is replaced by another.
    pub fn tree_generation(&self) -> u64 {
        self.held.generation()
    }

    /// For a snapshot's walk, which keeps its place in the tree while transactions go on.
    pub fn tree_mut(&mut self) -> &mut Tree {
        self.held.tree_mut()
    }

    /// Transactions proposed here that are not applied yet.
    pub fn in_flight(&self) -> usize {
        match self.zab() {
            None => self.agreement.undecided(),
            Some(_) => self.duty.lead().map_or(0, |lead| lead.in_flight()),
        }
    }

    /// Whether this server's data is damaged and not yet replaced by a leader's: it does not vote.
    pub fn is_wounded(&self) -> bool {
        self.zab().is_some_and(Zab::is_wounded)
    }

    pub fn zab(&self) -> Option<&Zab> {
        self.agreement.zab()
    }

    pub fn epoch(&self) -> Epoch {
        self.zab().map_or(Epoch(0), Zab::epoch)
    }

    pub fn last_zxid(&self) -> Zxid {
        self.tree().last_zxid()
    }

    pub fn stats(&self) -> ServerStats {
        ServerStats {
            started_ms: self.started_ms,
            traffic: self.desk.clients().traffic().clone(),
            proposals: self.agreement.sizes().clone(),
            digest_mismatches: self.held.digest_mismatches(),
        }
    }
}
