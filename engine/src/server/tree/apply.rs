//! Transaction → change (disk-format §4). Total: the same rules serve live commits, replay over a
//! fuzzy snapshot, and synchronisation; what does not fit the tree is answered with an error code and
//! leaves no trace but the zxid. Nothing is checked here that `prepare` has decided.

use std::sync::Arc;

use bytes::Bytes;
use smallvec::SmallVec;

use super::acl::AclList;
use super::acl_index::Acls;
use super::bent;
use super::digest;
use super::node::NodeId;
use super::nodes::{self, split};
use super::outcome::Outcome;
use super::stat::StoredStat;
use super::state::Tree;
use super::txn::{CreateTxn, CreatedNode, SubTxn, Txn, TxnBody, TxnDigest};
use crate::wire::ids::{SessionId, Zxid};
use crate::wire::jute::Str;
use crate::wire::proto::{ErrorCode, OpCode, Owner};

/// What became of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// For the client that waits for it.
    pub outcome: Outcome,
    /// For the watches, in firing order.
    pub changes: SmallVec<[Change; 1]>,
    /// Whether the tree is now what the leader (or the loaded snapshot) said; `None`: nothing to
    /// compare. A `false` means that this server's data differs from the ensemble's.
    pub digest_ok: Option<bool>,
}

/// One change that watches may fire on (client-protocol §5.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    pub kind: ChangeKind,
    pub path: Str,
    /// The node's own list, by which events of this path are filtered.
    pub acl: AclList,
    /// The parent's, for NodeChildrenChanged. [`AclList::Open`] for `DataChanged`.
    pub parent_acl: AclList,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeKind {
    Created,
    Deleted,
    /// setData and reconfig; setACL fires nothing.
    DataChanged,
}

type Changes = SmallVec<[Change; 1]>;

/// The transaction around a body.
#[derive(Clone, Copy)]
struct At {
    session: SessionId,
    zxid: Zxid,
    time_ms: i64,
}

impl Tree {
    /// Applies the next transaction. Transactions at or below [`Tree::last_zxid`] are applied as
    /// well: that is what repairs a fuzzy snapshot.
    pub fn apply(&mut self, txn: &Txn) -> Applied {
        let at = At { session: txn.header.session, zxid: txn.header.zxid, time_ms: txn.header.time_ms };
        let mut changes = Changes::new();
        let outcome = match &txn.body {
            TxnBody::Multi(ops) => self.apply_multi(at, ops, &mut changes),
            body => self.apply_one(at, txn.header.kind, body, &mut changes),
        };
        self.last_zxid = self.last_zxid.max(at.zxid);
        let digest_ok = self.compare_digest(at.zxid, txn.digest);
        self.history.record(at.zxid, self.digest());
        Applied { outcome, changes, digest_ok }
    }

    /// The loaded snapshot's promise goes before the trailers: until it is met the tree is fuzzy.
    fn compare_digest(&mut self, zxid: Zxid, trailer: Option<TxnDigest>) -> Option<bool> {
        if let Some(promise) = self.promise {
            if zxid < promise.zxid {
                return None;
            }
            self.promise = None;
            if zxid == promise.zxid {
                return Some(promise.digest == self.digest());
            }
        }
        trailer.filter(|d| d.version == digest::VERSION).map(|d| d.tree == self.digest())
    }

    fn apply_multi(&mut self, at: At, ops: &[SubTxn], changes: &mut Changes) -> Outcome {
        let failed_at = ops.iter().position(|op| matches!(op.body, TxnBody::Error(_)));
        let Some(failed_at) = failed_at.filter(|_| !bent::applies_failed_multi()) else {
            return Outcome::Multi(
                ops.iter().map(|op| self.apply_one(at, op.kind, &op.body, changes)).collect(),
            );
        };
        // Nothing is applied; what stands before the failed op is answered with 0 (§2.7).
        let code = |(position, op): (usize, &SubTxn)| match op.body {
            TxnBody::Error(code) => Outcome::Error(code),
            _ if position < failed_at => Outcome::Error(ErrorCode::Ok.code()),
            _ => Outcome::Error(ErrorCode::RuntimeInconsistency.code()),
        };
        Outcome::Multi(ops.iter().enumerate().map(code).collect())
    }

    fn apply_one(&mut self, at: At, kind: i32, body: &TxnBody, changes: &mut Changes) -> Outcome {
        let done = match body {
            TxnBody::Create(create) => self.apply_create(at, create, changes),
            TxnBody::Delete { path } => self.apply_delete(at, path, changes).map(|()| Outcome::Done),
            TxnBody::SetData { path, data, version } => {
                self.apply_set_data(at, kind, path, data.as_ref(), *version, changes)
            }
            TxnBody::SetAcl { path, acl, version } => self.apply_set_acl(path, acl.as_ref(), *version),
            TxnBody::Check { .. } => Ok(Outcome::Done),
            TxnBody::CreateSession { timeout_ms } => {
                self.sessions.timeouts_ms.insert(at.session, *timeout_ms);
                Ok(Outcome::Done)
            }
            TxnBody::CloseSession { paths } => {
                self.apply_close_session(at, paths.as_deref().unwrap_or_default(), changes);
                Ok(Outcome::Done)
            }
            TxnBody::Error(code) => return Outcome::Error(*code),
            TxnBody::Multi(_) => Err(ErrorCode::Unimplemented),
        };
        done.unwrap_or_else(|code| Outcome::Error(code.code()))
    }

    fn apply_create(
        &mut self,
        at: At,
        create: &CreateTxn,
        changes: &mut Changes,
    ) -> Result<Outcome, ErrorCode> {
        let path: &str = &create.path;
        let (parent_path, _) = split(path).ok_or(ErrorCode::NoNode)?;
        let parent = self.nodes.find(parent_path).ok_or(ErrorCode::NoNode)?;
        let parent_cversion = create.parent_cversion.unwrap_or(-1);
        let acl = self.acls.hold(create.acl.as_ref());
        self.nodes.change_stat(parent, |stat| stat.child_created(parent_cversion, at.zxid));
        if let Some(id) = self.nodes.find(path) {
            // The snapshot caught a later state of the node; its list may be one it did not catch.
            let old = self.nodes.set_acl(id, acl);
            self.acls.release(old);
            return Err(ErrorCode::NodeExists);
        }
        let owner = match create.node {
            CreatedNode::Plain { ephemeral: false } => Owner::None,
            CreatedNode::Plain { ephemeral: true } => Owner::Session(at.session),
            CreatedNode::Container => Owner::Container,
            CreatedNode::Ttl { ms } => Owner::Ttl { ms },
        };
        let stat = StoredStat::born(at.zxid, at.time_ms, owner);
        let owner = self.owner(&stat);
        let id = self.nodes.insert(parent, path, create.data.as_deref(), stat, acl);
        self.sessions.node_added(id, owner);
        let data_len = self.nodes.get(id).data_len();
        self.quotas.node_created(&mut self.nodes, path, data_len);
        changes.push(Change {
            kind: ChangeKind::Created,
            path: create.path.clone(),
            acl: self.acl_of(id),
            parent_acl: self.acl_of(parent),
        });
        let stat = self.nodes.get(id).visible_stat(self.settings.extended_types);
        Ok(Outcome::Created { path: create.path.clone(), stat })
    }

    fn apply_delete(&mut self, at: At, path: &Str, changes: &mut Changes) -> Result<(), ErrorCode> {
        let (parent_path, _) = split(path).ok_or(ErrorCode::NoNode)?;
        let parent = self.nodes.find(parent_path).ok_or(ErrorCode::NoNode)?;
        self.nodes.change_stat(parent, |stat| stat.child_deleted(at.zxid));
        let id = self.nodes.find(path).ok_or(ErrorCode::NoNode)?;
        let (acl, parent_acl) = (self.acl_of(id), self.acl_of(parent));
        self.remove_subtree(id);
        changes.push(Change { kind: ChangeKind::Deleted, path: path.clone(), acl, parent_acl });
        Ok(())
    }

    /// Removes a node and, first, what a fuzzy snapshot caught below a later node of the same path:
    /// replay creates that again.
    fn remove_subtree(&mut self, top: NodeId) {
        let below: Vec<NodeId> = self.nodes.subtree(top).collect();
        for id in below.into_iter().rev() {
            let path = self.nodes.path(id);
            let data_len = self.nodes.get(id).data_len();
            let node = self.nodes.remove(id);
            self.acls.release(node.acl);
            self.sessions.node_removed(id, self.owner(&node.stat()));
            self.quotas.node_deleted(&mut self.nodes, &path, data_len);
        }
    }

    fn apply_set_data(
        &mut self,
        at: At,
        kind: i32,
        path: &Str,
        data: Option<&Bytes>,
        version: i32,
        changes: &mut Changes,
    ) -> Result<Outcome, ErrorCode> {
        let id = self.nodes.find(path).ok_or(ErrorCode::NoNode)?;
        let old_len = self.nodes.get(id).data_len();
        self.nodes.set_data(id, path, data.map(|data| &data[..]));
        self.nodes.change_stat(id, |stat| {
            stat.version = version;
            stat.mzxid = at.zxid;
            stat.mtime_ms = at.time_ms;
        });
        self.quotas.data_changed(&mut self.nodes, path, old_len, data.map_or(0, Bytes::len));
        changes.push(Change {
            kind: ChangeKind::DataChanged,
            path: path.clone(),
            acl: self.acl_of(id),
            parent_acl: AclList::Open,
        });
        let stat = self.nodes.get(id).visible_stat(self.settings.extended_types);
        Ok(match OpCode::from_code(kind) {
            Some(OpCode::Reconfig) => Outcome::Data { data: data.cloned(), stat },
            _ => Outcome::Stat(stat),
        })
    }

    fn apply_set_acl(
        &mut self,
        path: &Str,
        acl: Option<&Arc<Acls>>,
        version: i32,
    ) -> Result<Outcome, ErrorCode> {
        let id = self.nodes.find(path).ok_or(ErrorCode::NoNode)?;
        let acl = self.acls.hold(acl);
        let old = self.nodes.set_acl(id, acl);
        self.acls.release(old);
        self.nodes.change_stat(id, |stat| stat.aversion = version);
        Ok(Outcome::Stat(self.nodes.get(id).visible_stat(self.settings.extended_types)))
    }

    /// The listed paths first, then whatever else the session owns here (§4).
    fn apply_close_session(&mut self, at: At, paths: &[Str], changes: &mut Changes) {
        for path in paths {
            // One that is gone already has still left its mark on the parent.
            let _ = self.apply_delete(at, path, changes);
        }
        let rest: Vec<String> = self.sessions.ephemerals(at.session).map(|id| self.nodes.path(id)).collect();
        for path in rest {
            let _ = self.apply_delete(at, &Str::from(path), changes);
        }
        if !bent::keeps_closed_session() {
            self.sessions.timeouts_ms.remove(&at.session);
        }
    }

    /// For reads and prepare: the node at a path.
    pub(super) fn find(&self, path: &str) -> Result<NodeId, ErrorCode> {
        self.nodes.find(nodes::canonical(path)).ok_or(ErrorCode::NoNode)
    }
}
