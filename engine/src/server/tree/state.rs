//! [`Tree`]: all that a server holds in memory of the replicated state, and its figures.
//! What changes it is in `apply`, what is asked of it in `read`.

use std::sync::Arc;

use bytes::Bytes;

use super::acl::AclList;
use super::acl_cache::{AclCache, AclRef};
use super::acl_index::Acls;
use super::digest::{self, Promise};
use super::node::NodeId;
use super::nodes::Nodes;
use super::quota::Quotas;
use super::sessions::Sessions;
use super::settings::Settings;
use super::stat::StoredStat;
use crate::wire::ids::{SessionId, Zxid};
use crate::wire::proto::{Acl, Owner, Perms};

pub(super) const CONFIG: &str = "/zookeeper/config";

/// The state that all servers agree on.
#[derive(Debug)]
pub struct Tree {
    pub(super) settings: Settings,
    pub(super) nodes: Nodes,
    pub(super) acls: AclCache,
    pub(super) sessions: Sessions,
    pub(super) quotas: Quotas,
    pub(super) last_zxid: Zxid,
    pub(super) history: digest::History,
    pub(super) promise: Option<Promise>,
}

impl Default for Tree {
    fn default() -> Tree {
        Tree::new()
    }
}

impl Tree {
    /// An empty tree: the root and the built-in nodes (disk-format §3.1).
    pub fn new() -> Tree {
        Tree::with_settings(Settings::default())
    }

    pub fn with_settings(settings: Settings) -> Tree {
        let mut tree = Tree::bare(settings);
        for path in ["/zookeeper", CONFIG, "/zookeeper/quota"] {
            if path == CONFIG {
                tree.add_config_node();
            } else {
                tree.add_node(path, Some(b""), StoredStat::default(), AclRef::OPEN);
            }
        }
        tree
    }

    /// A root and nothing else.
    pub(super) fn bare(settings: Settings) -> Tree {
        Tree {
            settings,
            nodes: Nodes::new(),
            acls: AclCache::default(),
            sessions: Sessions::default(),
            quotas: Quotas::default(),
            last_zxid: Zxid::ZERO,
            history: digest::History::default(),
            promise: None,
        }
    }

    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Zxid of the last applied transaction, or what the epoch's start made it.
    pub fn last_zxid(&self) -> Zxid {
        self.last_zxid
    }

    /// Sets it where no transaction does: a new epoch, a loaded snapshot.
    pub fn set_last_zxid(&mut self, zxid: Zxid) {
        self.last_zxid = zxid;
    }

    /// The digest of the tree as it is now.
    pub fn digest(&self) -> u64 {
        self.nodes.digest()
    }

    /// Digests after every 128th zxid, oldest first, at most 1024.
    #[cfg(test)]
    pub(super) fn digest_history(&self) -> impl ExactSizeIterator<Item = (Zxid, u64)> + '_ {
        self.history.entries()
    }

    /// Takes the digest that stood in the snapshot this tree was loaded from (disk-format §10): older
    /// than the tree it says nothing, for the tree's own zxid it is compared now, for a later one when
    /// replay gets there. Until then no transaction's trailer is compared.
    pub fn promise_digest(&mut self, zxid: Zxid, digest: u64) -> Option<bool> {
        match zxid.cmp(&self.last_zxid) {
            std::cmp::Ordering::Less => None,
            std::cmp::Ordering::Equal => Some(digest == self.digest()),
            std::cmp::Ordering::Greater => {
                self.promise = Some(Promise { zxid, digest });
                None
            }
        }
    }

    /// Finds the quotas of a loaded tree and counts each anew. Also after the replay behind a snapshot taken while
    /// transactions went on: what it already held of them is not counted a second time.
    pub fn recount_quotas(&mut self) {
        self.quotas.recount_all(&mut self.nodes);
    }

    /// Real nodes, the root once (`mntr` adds one: operations §8).
    pub fn node_count(&self) -> usize {
        self.nodes.len()
    }

    pub fn ephemerals_count(&self) -> usize {
        self.sessions.ephemeral_count()
    }

    /// Path characters and data bytes, counted as the reference does: 44 when empty.
    pub fn approximate_data_size(&self) -> u64 {
        self.nodes.size()
    }

    /// Global sessions and their timeouts in milliseconds, by id.
    pub fn sessions(&self) -> impl ExactSizeIterator<Item = (SessionId, i32)> + '_ {
        self.sessions.timeouts_ms.iter().map(|(id, timeout_ms)| (*id, *timeout_ms))
    }

    pub fn session_timeout_ms(&self, session: SessionId) -> Option<i32> {
        self.sessions.timeouts_ms.get(&session).copied()
    }

    /// Sessions that own ephemerals without being in the session table: none unless the servers'
    /// settings differ or the data comes from old servers. The leader should close them.
    #[cfg(test)]
    pub(super) fn orphaned_sessions(&self) -> Vec<SessionId> {
        self.sessions.owners().filter(|id| !self.sessions.timeouts_ms.contains_key(id)).collect()
    }

    /// Sessions that own ephemerals, and the paths of these, sorted (the `dump` word).
    pub fn ephemerals(&self) -> impl Iterator<Item = (SessionId, Vec<String>)> + '_ {
        self.sessions.owners().map(|session| (session, self.ephemerals_of(session, None)))
    }

    /// The data of `/zookeeper/config`, if there is any.
    pub fn config(&self) -> Option<Bytes> {
        let data = self.nodes.data(self.nodes.find(CONFIG)?)?;
        (!data.is_empty()).then(|| Bytes::copy_from_slice(data))
    }

    /// Writes the ensemble's configuration into its node, on this server alone: no transaction, no
    /// digest (client-protocol §2.11). `version` is the configuration's.
    pub fn set_config(&mut self, text: &str, version: i64, wall_ms: i64) {
        if self.nodes.find(CONFIG).is_none() {
            self.add_config_node();
        }
        let Some(id) = self.nodes.find(CONFIG) else {
            return;
        };
        self.nodes.set_data(id, CONFIG, Some(text.as_bytes()));
        self.nodes.change_stat(id, |stat| {
            stat.version = -1;
            stat.mzxid = Zxid(version);
            stat.mtime_ms = wall_ms;
        });
    }

    /// Childless containers and TTL nodes whose time has come, for deleteContainer (§2.5), sorted.
    /// A container that never had a child goes after `never_used_ms`; 0 keeps it.
    pub fn expired_nodes(&self, wall_ms: i64, never_used_ms: i64) -> Vec<String> {
        let childless = |id: &NodeId| self.nodes.get(*id).child_count == 0;
        let age_ms = |id: NodeId| wall_ms.saturating_sub(self.nodes.get(id).stat().mtime_ms);
        let containers = self.sessions.containers.iter().copied().filter(childless).filter(|id| {
            let used = self.nodes.get(*id).stat().cversion > 0;
            used || (never_used_ms > 0 && age_ms(*id) > never_used_ms)
        });
        let ttls =
            self.sessions.ttls.iter().copied().filter(childless).filter(|id| {
                match Owner::from_stored(self.nodes.get(*id).stat().owner, self.settings.extended_types) {
                    Owner::Ttl { ms } => ms != 0 && age_ms(*id) > ms,
                    _ => false,
                }
            });
        let mut paths: Vec<String> = containers.chain(ttls).map(|id| self.nodes.path(id)).collect();
        paths.sort_unstable();
        paths
    }

    pub(super) fn owner(&self, stat: &StoredStat) -> Owner {
        Owner::from_stored(stat.owner, self.settings.extended_types)
    }

    pub(super) fn acl_of(&self, id: NodeId) -> AclList {
        self.acls.list(self.nodes.get(id).acl)
    }

    /// Adds a node under a parent that exists; `None` when it does not, or the path names no child.
    fn add_node(&mut self, path: &str, data: Option<&[u8]>, stat: StoredStat, acl: AclRef) -> Option<NodeId> {
        let (parent, _) = super::nodes::split(path)?;
        let parent = self.nodes.find(parent)?;
        let owner = self.owner(&stat);
        let id = self.nodes.insert(parent, path, data, stat, acl);
        self.sessions.node_added(id, owner);
        Some(id)
    }

    /// Also for trees from before the node existed (3.4). Its ACL: read by anyone, written by `super`.
    pub(super) fn add_config_node(&mut self) {
        if self.nodes.find("/zookeeper").is_none() {
            return;
        }
        let list: Arc<Acls> = Acls::shared(vec![Acl::new(Perms::READ, "world", "anyone")]);
        let acl = self.acls.hold(Some(&list));
        self.add_node(CONFIG, Some(b""), StoredStat { aversion: -1, ..StoredStat::default() }, acl);
    }
}
