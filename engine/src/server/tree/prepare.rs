//! Request → checked transaction, on the leader (client-protocol §2.2–§2.7, quorum-protocol §3.2).
//! The first failing check of each table decides. Every request becomes a transaction: a refused one
//! becomes an error that consumes its zxid. Creates are in `prepare_create`, multi in `prepare_multi`.

use std::sync::Arc;

use bytes::Bytes;

use super::nodes::{canonical, split};
use super::outstanding::{Outstanding, PendingNode};
use super::state::Tree;
use super::txn::{Txn, TxnBody, TxnHeader};
use super::{Settings, acl, digest};
use crate::wire::ids::{SessionId, Zxid};
use crate::wire::jute::Str;
use crate::wire::proto::{Acl, ErrorCode, Id, OpCode, Owner, Perms, Request, path};

/// What prepare must know beside the request and the tree.
#[derive(Debug, Clone, Copy)]
pub struct PrepareContext<'a> {
    /// The transaction's zxid, which is consumed in any case.
    pub zxid: Zxid,
    /// Milliseconds since 1970.
    pub wall_ms: i64,
    pub session: SessionId,
    pub cxid: i32,
    /// The connection's identities.
    pub who: &'a [Id],
    /// Whether the session may write: known, not closing, sent by its owner (§2.2 check 13).
    pub session_check: Result<(), ErrorCode>,
    /// The same for creating ephemerals: the session must also be a global one (§2.4 check 4).
    pub ephemeral_check: Result<(), ErrorCode>,
    pub settings: &'a Settings,
}

/// What a request becomes when it passes.
pub(super) type Prepared = Result<(OpCode, TxnBody), ErrorCode>;

impl Outstanding {
    /// Turns a write request into its transaction. `ctx.zxid` must be above all before it.
    pub fn prepare(&mut self, tree: &Tree, request: &Request, ctx: &PrepareContext) -> Txn {
        if let Request::Multi(ops) = request {
            return self.prepare_multi(tree, ops, ctx);
        }
        if let Request::Check { .. } = request {
            // It stands in a multi only (TRAP 10).
            return Txn::error(ctx, ErrorCode::Unimplemented);
        }
        self.begin();
        let prepared = self.prepare_op(tree, request, ctx).and_then(|(op, body)| fits(op, body, ctx));
        match prepared {
            Ok((op, body)) => {
                self.commit();
                self.txn(tree, ctx, op, body)
            }
            Err(code) => {
                self.roll_back();
                Txn::error(ctx, code)
            }
        }
    }

    pub(super) fn txn(&mut self, tree: &Tree, ctx: &PrepareContext, op: OpCode, body: TxnBody) -> Txn {
        let digest = self.trailer(tree, ctx.zxid);
        let digest = ctx.settings.digest_enabled.then_some(digest);
        Txn { header: ctx.header(op), body, digest }
    }

    /// One op, alone or in a multi.
    pub(super) fn prepare_op(&mut self, tree: &Tree, request: &Request, ctx: &PrepareContext) -> Prepared {
        match request {
            Request::Create(create)
            | Request::Create2(create)
            | Request::CreateContainer(create)
            | Request::CreateTtl(create) => self.prepare_create(tree, request.op(), create, ctx),
            Request::Delete { path, version } => self.prepare_delete(tree, path, *version, ctx),
            Request::DeleteContainer { path } => self.prepare_delete_container(tree, path, ctx),
            Request::SetData { path, data, version } => {
                self.prepare_set_data(tree, path, data.as_ref(), *version, ctx)
            }
            Request::SetAcl { path, acl, version } => {
                self.prepare_set_acl(tree, path, acl.as_deref(), *version, ctx)
            }
            Request::Check { path, version } => self.prepare_check(tree, path, *version, ctx),
            Request::CreateSession { timeout_ms } => {
                Ok((OpCode::CreateSession, TxnBody::CreateSession { timeout_ms: *timeout_ms }))
            }
            Request::CloseSession => Ok(self.prepare_close_session(tree, ctx)),
            // The membership is not changed through the tree: §2.10 check 1.
            Request::Reconfig { .. } => Err(ErrorCode::ReconfigDisabled),
            _ => Err(ErrorCode::Unimplemented),
        }
    }

    fn prepare_delete(&mut self, tree: &Tree, path: &Str, version: i32, ctx: &PrepareContext) -> Prepared {
        ctx.session_check?;
        let parent_path = deletable(path)?;
        let parent = self.existing(tree, parent_path)?;
        acl::check(&parent.acl, Perms::DELETE, ctx.who, ctx.settings)?;
        let node = self.existing(tree, path)?;
        next_version(version, node.stat.version)?;
        if node.child_count > 0 {
            return Err(ErrorCode::NotEmpty);
        }
        self.put_deleted(tree, ctx.zxid, path);
        Ok((OpCode::Delete, TxnBody::Delete { path: path.clone() }))
    }

    fn prepare_delete_container(&mut self, tree: &Tree, path: &Str, ctx: &PrepareContext) -> Prepared {
        let parent_path = deletable(path)?;
        let node = self.existing(tree, path)?;
        if node.child_count > 0 {
            return Err(ErrorCode::NotEmpty);
        }
        if matches!(tree.owner(&node.stat), Owner::Session(_)) {
            return Err(ErrorCode::BadVersion);
        }
        self.existing(tree, parent_path)?;
        self.put_deleted(tree, ctx.zxid, path);
        Ok((OpCode::DeleteContainer, TxnBody::Delete { path: path.clone() }))
    }

    fn prepare_set_data(
        &mut self,
        tree: &Tree,
        path: &Str,
        data: Option<&Bytes>,
        version: i32,
        ctx: &PrepareContext,
    ) -> Prepared {
        ctx.session_check?;
        path::validate(path).map_err(|_| ErrorCode::BadArguments)?;
        let before = self.existing(tree, path)?;
        acl::check(&before.acl, Perms::WRITE, ctx.who, ctx.settings)?;
        let data_len = data.map_or(0, Bytes::len);
        let grown = data_len as i64 - before.data_len as i64;
        if ctx.settings.enforce_quota && tree.quotas.refuses(&tree.nodes, path, 0, grown) {
            return Err(ErrorCode::QuotaExceeded);
        }
        let version = next_version(version, before.stat.version)?;
        let mut node = before.clone();
        node.stat.version = version;
        node.stat.mzxid = ctx.zxid;
        node.stat.mtime_ms = ctx.wall_ms;
        node.data_len = data_len;
        node.prefix_crc = digest::prefix_crc(canonical(path), data.map_or(&[], |data| &data[..]));
        self.put(tree, ctx.zxid, path, Some(&before), Some(node));
        Ok((OpCode::SetData, TxnBody::SetData { path: path.clone(), data: data.cloned(), version }))
    }

    fn prepare_set_acl(
        &mut self,
        tree: &Tree,
        path: &Str,
        given: Option<&[Acl]>,
        version: i32,
        ctx: &PrepareContext,
    ) -> Prepared {
        ctx.session_check?;
        path::validate(path).map_err(|_| ErrorCode::BadArguments)?;
        let list = acl::fixup(given, ctx.who, ctx.settings)?;
        let before = self.existing(tree, path)?;
        acl::check(&before.acl, Perms::ADMIN, ctx.who, ctx.settings)?;
        let version = next_version(version, before.stat.aversion)?;
        let mut node = before.clone();
        node.stat.aversion = version;
        node.acl = acl::AclList::Listed(Arc::clone(&list));
        self.put(tree, ctx.zxid, path, Some(&before), Some(node));
        Ok((OpCode::SetAcl, TxnBody::SetAcl { path: path.clone(), acl: Some(list), version }))
    }

    fn prepare_check(&self, tree: &Tree, path: &Str, version: i32, ctx: &PrepareContext) -> Prepared {
        ctx.session_check?;
        path::validate(path).map_err(|_| ErrorCode::BadArguments)?;
        let node = self.existing(tree, path)?;
        acl::check(&node.acl, Perms::READ, ctx.who, ctx.settings)?;
        let version = next_version(version, node.stat.version)?;
        Ok((OpCode::Check, TxnBody::Check { path: path.clone(), version }))
    }

    /// Never refused: an expired session must end. A list that would not fit is cut, every server
    /// deletes the session's remaining ephemerals by itself.
    fn prepare_close_session(&mut self, tree: &Tree, ctx: &PrepareContext) -> (OpCode, TxnBody) {
        let mut room =
            ctx.settings.txn_len_max.saturating_sub(super::TXN_HEADER_LEN + 4 + super::txn_codec::DIGEST_LEN);
        let mut listed = Vec::new();
        for path in self.ephemerals(tree, ctx.session) {
            self.put_deleted(tree, ctx.zxid, &path);
            match room.checked_sub(4 + path.len()) {
                Some(rest) => {
                    room = rest;
                    listed.push(Str::from(path));
                }
                None => room = 0,
            }
        }
        let paths = ctx.settings.close_session_paths.then_some(listed);
        (OpCode::CloseSession, TxnBody::CloseSession { paths })
    }

    pub(super) fn existing(&self, tree: &Tree, path: &str) -> Result<PendingNode, ErrorCode> {
        self.node(tree, path).ok_or(ErrorCode::NoNode)
    }

    /// Records a node's end and what it does to the parent.
    fn put_deleted(&mut self, tree: &Tree, zxid: Zxid, path: &str) {
        if let Some((parent_path, _)) = split(path)
            && let Some(before) = self.node(tree, parent_path)
        {
            let mut parent = before.clone();
            parent.child_count = parent.child_count.saturating_sub(1);
            parent.stat.child_deleted(zxid);
            self.put(tree, zxid, parent_path, Some(&before), Some(parent));
        }
        let before = self.node(tree, path);
        self.put(tree, zxid, path, before.as_ref(), None);
    }
}

impl PrepareContext<'_> {
    fn header(&self, op: OpCode) -> TxnHeader {
        TxnHeader {
            session: self.session,
            cxid: self.cxid,
            zxid: self.zxid,
            time_ms: self.wall_ms,
            kind: op.code(),
        }
    }
}

impl Txn {
    /// The transaction of a refused request. Also for what never came to [`Outstanding::prepare`]: a
    /// multi that does not decode consumes a zxid (client-protocol §1.7). No digest.
    pub fn error(ctx: &PrepareContext, code: ErrorCode) -> Txn {
        Txn { header: ctx.header(OpCode::Error), body: TxnBody::Error(code.code()), digest: None }
    }
}

/// A checked transaction that no peer can read must not leave the leader (TRAP Q1).
pub(super) fn fits(op: OpCode, body: TxnBody, ctx: &PrepareContext) -> Prepared {
    let len = super::TXN_HEADER_LEN + body.encoded_len() + super::txn_codec::DIGEST_LEN;
    if len <= ctx.settings.txn_len_max { Ok((op, body)) } else { Err(ErrorCode::MarshallingError) }
}

/// The parent's path, when the path may be deleted at all (§2.3). Odd paths end in "no node" later.
fn deletable(path: &str) -> Result<&str, ErrorCode> {
    let built_in = matches!(path, "/" | "/zookeeper" | "/zookeeper/quota" | "/zookeeper/config");
    match path.rsplit_once('/') {
        Some((parent, _)) if !built_in && !path.contains('\0') => Ok(parent),
        _ => Err(ErrorCode::BadArguments),
    }
}

/// The version after a write that expects `expected` (−1: any), skipping −1, which means "any".
fn next_version(expected: i32, current: i32) -> Result<i32, ErrorCode> {
    if expected != -1 && expected != current {
        return Err(ErrorCode::BadVersion);
    }
    match current.wrapping_add(1) {
        -1 => Ok(0),
        next => Ok(next),
    }
}
