//! The create family (client-protocol §2.4): the longest table of checks, sequence numbers, and the
//! four kinds of node. What is created is decided by the op, not by the flags.

use std::sync::Arc;

use bytes::Bytes;

use super::acl::{self, AclList};
use super::bent;
use super::digest;
use super::outstanding::{Outstanding, PendingNode};
use super::prepare::{PrepareContext, Prepared};
use super::stat::StoredStat;
use super::state::Tree;
use super::txn::{CreateTxn, CreatedNode, TxnBody};
use crate::wire::jute::Str;
use crate::wire::proto::{CreateMode, CreateRequest, ErrorCode, OpCode, Owner, Perms, TTL_MS_MAX, path};

impl Outstanding {
    pub(super) fn prepare_create(
        &mut self,
        tree: &Tree,
        op: OpCode,
        create: &CreateRequest,
        ctx: &PrepareContext,
    ) -> Prepared {
        let mode = checked_mode(op, create, ctx)?;
        if mode.is_ephemeral() {
            ctx.ephemeral_check?
        } else {
            ctx.session_check?
        }
        let parent_path = match create.path.rsplit_once('/') {
            Some((parent, _)) if !create.path.contains('\0') => parent,
            _ => return Err(ErrorCode::BadArguments),
        };
        let list = acl::fixup(create.acl.as_deref(), ctx.who, ctx.settings)?;
        let parent_before = self.existing(tree, parent_path)?;
        acl::check(&parent_before.acl, Perms::CREATE, ctx.who, ctx.settings)?;
        let number = bent::sequence_number(parent_before.child_count).unwrap_or(parent_before.stat.cversion);
        let path = if mode.is_sequential() {
            Str::from(numbered(&create.path, number))
        } else {
            create.path.clone()
        };
        path::validate(&path).map_err(|_| ErrorCode::BadArguments)?;
        if self.node(tree, &path).is_some() {
            return Err(ErrorCode::NodeExists);
        }
        if matches!(tree.owner(&parent_before.stat), Owner::Session(_)) {
            return Err(ErrorCode::NoChildrenForEphemerals);
        }
        let data_len = create.data.as_ref().map_or(0, Bytes::len);
        if ctx.settings.enforce_quota && tree.quotas.refuses(&tree.nodes, &path, 1, data_len as i64) {
            return Err(ErrorCode::QuotaExceeded);
        }

        let (node, owner) = kind(op, mode, create, ctx);
        let parent_cversion = parent_before.stat.cversion.wrapping_add(1);
        let mut parent = parent_before.clone();
        parent.child_count += 1;
        parent.stat.child_created(parent_cversion, ctx.zxid);
        self.put(tree, ctx.zxid, parent_path, Some(&parent_before), Some(parent));
        let pending = PendingNode {
            stat: StoredStat::born(ctx.zxid, ctx.wall_ms, owner),
            child_count: 0,
            acl: AclList::Listed(Arc::clone(&list)),
            data_len,
            prefix_crc: digest::prefix_crc(&path, create.data.as_deref().unwrap_or_default()),
        };
        self.put(tree, ctx.zxid, &path, None, Some(pending));
        let body = CreateTxn {
            path,
            data: create.data.clone(),
            acl: Some(list),
            node,
            parent_cversion: Some(parent_cversion),
        };
        Ok((op, TxnBody::Create(body)))
    }
}

/// Checks 1 to 3, and what the reference leaves open: an op 21 with other than TTL flags would crash
/// it (TRAP 12).
fn checked_mode(op: OpCode, create: &CreateRequest, ctx: &PrepareContext) -> Result<CreateMode, ErrorCode> {
    let mode = CreateMode::from_flags(create.flags).ok_or(ErrorCode::BadArguments)?;
    if mode.is_ttl() && !ctx.settings.extended_types {
        return Err(ErrorCode::Unimplemented);
    }
    let ttl_ms = create.ttl_ms.unwrap_or(-1);
    let fits = if mode.is_ttl() { (1..=TTL_MS_MAX).contains(&ttl_ms) } else { ttl_ms < 0 };
    let crashes = op == OpCode::CreateTtl && !mode.is_ttl();
    if fits && !crashes { Ok(mode) } else { Err(ErrorCode::BadArguments) }
}

/// The record and the owner that the op makes (TRAP 13).
fn kind(op: OpCode, mode: CreateMode, create: &CreateRequest, ctx: &PrepareContext) -> (CreatedNode, Owner) {
    match (op, create.ttl_ms) {
        (OpCode::CreateContainer, _) => (CreatedNode::Container, Owner::Container),
        (OpCode::CreateTtl, Some(ms)) => (CreatedNode::Ttl { ms }, Owner::Ttl { ms }),
        _ if mode.is_ephemeral() => (CreatedNode::Plain { ephemeral: true }, Owner::Session(ctx.session)),
        _ => (CreatedNode::Plain { ephemeral: false }, Owner::None),
    }
}

/// C's `%010d`: at least ten characters, the sign among them.
fn numbered(path: &str, cversion: i32) -> String {
    format!("{path}{cversion:010}")
}
