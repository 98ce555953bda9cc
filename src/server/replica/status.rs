//! What the status words want to know of a replica (operations §8.2). Read-only.

use super::bent;
use super::clients::ClientLine;
use super::mind::Replica;
use super::stats::ServerStats;
use crate::server::tree::Tree;
use crate::server::zab::{Role, Zab};
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

impl Replica {
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

    pub fn client_count(&self) -> usize {
        self.desk.clients().len()
    }

    /// Watches in both tables.
    pub fn watch_count(&self) -> usize {
        self.desk.watches().count()
    }

    /// (connections, paths, watches) of the data table, as `wchs` counts.
    pub fn watch_summary(&self) -> (usize, usize, usize) {
        self.desk.watches().summary()
    }

    pub fn client_lines(&self) -> Vec<ClientLine> {
        self.desk.clients().lines()
    }

    /// (expiry in monotonic ms, sessions) by bucket; `None` where nothing is expired: on learners.
    pub fn session_buckets(&self) -> Option<Vec<(u64, Vec<SessionId>)>> {
        self.duty.lead().map(|lead| lead.session_buckets())
    }
}
