//! The leader's view of the near future: the tree as it will be once every prepared transaction is
//! applied (quorum-protocol §3.1). One record per touched path, the latest counts; records go when
//! their transaction is applied, or when the multi that made them fails.

use std::collections::VecDeque;
use std::sync::Arc;

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use super::acl::AclList;
use super::bent;
use super::digest;
use super::nodes::canonical;
use super::stat::StoredStat;
use super::state::Tree;
use super::txn::TxnDigest;
use crate::wire::ids::{SessionId, Zxid};

/// Changes that are prepared and not yet applied.
#[derive(Debug, Default)]
pub struct Outstanding {
    records: HashMap<Arc<str>, Record, FixedState>,
    /// Every record ever put, oldest first; an overwritten one is found by its zxid.
    order: VecDeque<(Zxid, Arc<str>)>,
    /// The tree's digest after all that is prepared; `None`: as it is now.
    digest: Option<u64>,
    last_zxid: Zxid,
    /// What a running multi has overwritten, for the way back.
    undo: Option<Undo>,
}

#[derive(Debug, Clone)]
struct Record {
    zxid: Zxid,
    /// `None`: deleted.
    node: Option<PendingNode>,
}

#[derive(Debug)]
struct Undo {
    digest: Option<u64>,
    order_len: usize,
    replaced: Vec<(Arc<str>, Option<Record>)>,
}

/// A node as it will be: what checks and the digest need of it.
#[derive(Debug, Clone)]
pub(super) struct PendingNode {
    pub(super) stat: StoredStat,
    pub(super) child_count: u32,
    pub(super) acl: AclList,
    pub(super) data_len: usize,
    pub(super) prefix_crc: u32,
}

impl Outstanding {
    pub fn new() -> Outstanding {
        Outstanding::default()
    }

    /// Forgets what was prepared up to `zxid`, which the tree now holds.
    pub fn applied(&mut self, zxid: Zxid) {
        while let Some((made_by, path)) = self.order.pop_front_if(|(made_by, _)| *made_by <= zxid) {
            if self.records.get(&path).is_some_and(|record| record.zxid == made_by) {
                self.records.remove(&path);
            }
        }
        if zxid >= self.last_zxid {
            self.digest = None;
        }
    }

    /// Forgets everything (the leader steps down).
    pub fn clear(&mut self) {
        *self = Outstanding::default();
    }

    /// True when every prepared transaction is applied.
    pub fn is_empty(&self) -> bool {
        self.order.is_empty() && self.digest.is_none()
    }

    /// The node at a path as it will be.
    pub(super) fn node(&self, tree: &Tree, path: &str) -> Option<PendingNode> {
        let path = canonical(path);
        match self.records.get(path).filter(|_| !bent::sees_only_what_is_applied()) {
            Some(record) => record.node.clone(),
            None => tree.nodes.find(path).map(|id| PendingNode::of(tree, id)),
        }
    }

    /// Paths of the ephemerals that the session will own, sorted.
    pub(super) fn ephemerals(&self, tree: &Tree, session: SessionId) -> Vec<String> {
        let mut paths = tree.ephemerals_of(session, None);
        paths.retain(|path| !self.records.contains_key(path.as_str()));
        let is_owned =
            |node: &PendingNode| tree.owner(&node.stat) == crate::wire::proto::Owner::Session(session);
        let pending = self.records.iter().filter(|(_, record)| record.node.as_ref().is_some_and(is_owned));
        paths.extend(pending.map(|(path, _)| path.to_string()));
        paths.sort_unstable();
        paths
    }

    /// Records that the transaction `zxid` makes of the node at `path` what `node` says; `before` is
    /// what [`Outstanding::node`] has said of it.
    pub(super) fn put(
        &mut self,
        tree: &Tree,
        zxid: Zxid,
        path: &str,
        before: Option<&PendingNode>,
        node: Option<PendingNode>,
    ) {
        let path = canonical(path);
        if !path.starts_with(digest::OUTSIDE) {
            let part = |node: Option<&PendingNode>| node.map_or(0, PendingNode::digest);
            let sum = self.digest(tree).wrapping_sub(part(before)).wrapping_add(part(node.as_ref()));
            self.digest = Some(sum);
        }
        let key = match self.records.get_key_value(path) {
            Some((key, _)) => Arc::clone(key),
            None => Arc::from(path),
        };
        let replaced = self.records.insert(Arc::clone(&key), Record { zxid, node });
        self.order.push_back((zxid, Arc::clone(&key)));
        if let Some(undo) = &mut self.undo {
            undo.replaced.push((key, replaced));
        }
    }

    /// The trailer of the transaction just prepared as `zxid`.
    pub(super) fn trailer(&mut self, tree: &Tree, zxid: Zxid) -> TxnDigest {
        let sum = self.digest(tree);
        self.digest = Some(sum);
        self.last_zxid = zxid;
        TxnDigest { version: digest::VERSION, tree: sum }
    }

    /// From here on changes can be taken back.
    pub(super) fn begin(&mut self) {
        let replaced = Vec::new();
        self.undo = Some(Undo { digest: self.digest, order_len: self.order.len(), replaced });
    }

    pub(super) fn commit(&mut self) {
        self.undo = None;
    }

    /// Takes back all since [`Outstanding::begin`], parents' records included (ZOOKEEPER-1624).
    pub(super) fn roll_back(&mut self) {
        let Some(undo) = self.undo.take() else {
            return;
        };
        for (path, replaced) in undo.replaced.into_iter().rev() {
            match replaced {
                Some(record) => self.records.insert(path, record),
                None => self.records.remove(&path),
            };
        }
        self.order.truncate(undo.order_len);
        self.digest = undo.digest;
    }

    fn digest(&self, tree: &Tree) -> u64 {
        self.digest.unwrap_or_else(|| tree.digest())
    }
}

impl PendingNode {
    fn of(tree: &Tree, id: super::node::NodeId) -> PendingNode {
        let node = tree.nodes.get(id);
        PendingNode {
            stat: node.stat(),
            child_count: node.child_count,
            acl: tree.acls.list(node.acl),
            data_len: node.data_len(),
            prefix_crc: node.prefix_crc,
        }
    }

    fn digest(&self) -> u64 {
        digest::node(self.prefix_crc, &self.stat)
    }
}
