//! What the status words want to know of a replica (operations §8.2). Read-only.

use std::net::SocketAddr;

use super::{Agreement, ClientStats, Replica, ServerStats};
use crate::server::mutants::{self, Mutant};
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

/// One connection as `cons` shows it.
#[derive(Debug)]
pub struct ClientLine<'a> {
    pub addr: SocketAddr,
    pub session: SessionId,
    pub timeout_ms: i32,
    pub queued: usize,
    pub stats: &'a ClientStats,
}

impl Replica {
    /// `None` while there is no leader: the server does not serve.
    pub fn mode(&self) -> Option<ModeWord> {
        match &self.agreement {
            Agreement::Standalone(_) => Some(ModeWord::Standalone),
            Agreement::Ensemble(zab) => match zab.role() {
                Role::Leading { serving: true } => Some(ModeWord::Leader),
                Role::Following { serving: true, .. } => Some(ModeWord::Follower),
                Role::Observing { serving: true, .. } => Some(ModeWord::Observer),
                _ => None,
            },
        }
    }

    /// Whether the tree holds only what is decided, so that it may be kept as a snapshot.
    pub fn settled(&self) -> bool {
        self.lead.is_some() || self.learn.is_some() || mutants::on(Mutant::TaintedSnapshotPublished)
    }

    /// Transactions proposed here that are not applied yet.
    pub fn in_flight(&self) -> usize {
        match &self.agreement {
            Agreement::Standalone(standalone) => standalone.in_flight(),
            Agreement::Ensemble(_) => self.lead.as_ref().map_or(0, |lead| lead.in_flight()),
        }
    }

    /// Whether this server's data is damaged and not yet replaced by a leader's: it does not vote.
    pub fn is_wounded(&self) -> bool {
        self.zab().is_some_and(Zab::is_wounded)
    }

    pub fn zab(&self) -> Option<&Zab> {
        match &self.agreement {
            Agreement::Standalone(_) => None,
            Agreement::Ensemble(zab) => Some(zab),
        }
    }

    pub fn epoch(&self) -> Epoch {
        self.zab().map_or(Epoch(0), Zab::epoch)
    }

    pub fn last_zxid(&self) -> Zxid {
        self.tree.last_zxid()
    }

    pub fn stats(&self) -> &ServerStats {
        &self.stats
    }

    pub fn client_count(&self) -> usize {
        self.clients.len()
    }

    /// Watches in both tables.
    pub fn watch_count(&self) -> usize {
        self.watches.count()
    }

    /// (connections, paths, watches) of the data table, as `wchs` counts.
    pub fn watch_summary(&self) -> (usize, usize, usize) {
        self.watches.summary()
    }

    pub fn client_lines(&self) -> Vec<ClientLine<'_>> {
        self.clients
            .sorted()
            .into_iter()
            .map(|(_, client)| ClientLine {
                addr: client.addr,
                session: client.session,
                timeout_ms: client.timeout_ms,
                queued: client.queue.len(),
                stats: &client.stats,
            })
            .collect()
    }

    /// (expiry in monotonic ms, sessions) by bucket; `None` where nothing is expired: on learners.
    pub fn session_buckets(&self) -> Option<Vec<(u64, Vec<SessionId>)>> {
        let lead = self.lead.as_ref()?;
        Some(lead.tracker.buckets().map(|(at, ids)| (at, ids.collect())).collect())
    }
}
