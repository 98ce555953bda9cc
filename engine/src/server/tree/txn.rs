//! Transactions: what the leader made of requests, what the log holds and every server applies
//! (quorum-protocol §3.2, §3.3). The bytes are in `txn_codec`, their meaning in `apply`.

use std::sync::Arc;

use bytes::Bytes;

use super::acl_index::Acls;
use crate::wire::ids::{SessionId, Zxid};
use crate::wire::jute::Str;
use crate::wire::proto::ErrorCode;

/// One entry of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Txn {
    pub header: TxnHeader,
    pub body: TxnBody,
    /// Digest of the tree after this transaction, as the leader predicts it.
    pub digest: Option<TxnDigest>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TxnHeader {
    pub session: SessionId,
    pub cxid: i32,
    pub zxid: Zxid,
    /// Milliseconds since 1970, the leader's clock at preparation.
    pub time_ms: i64,
    /// The op code that the body belongs to; −1 for a failed request.
    pub kind: i32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TxnDigest {
    pub version: i32,
    pub tree: u64,
}

/// What a transaction does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TxnBody {
    Create(CreateTxn),
    /// Also deleteContainer.
    Delete {
        path: Str,
    },
    /// Also reconfig. `version` is the new one.
    SetData {
        path: Str,
        data: Option<Bytes>,
        version: i32,
    },
    /// `version` is the new aversion.
    SetAcl {
        path: Str,
        acl: Option<Arc<Acls>>,
        version: i32,
    },
    /// Inside a multi; changes nothing. `version` is the node's plus one (TRAP Q27).
    Check {
        path: Str,
        version: i32,
    },
    CreateSession {
        timeout_ms: i32,
    },
    /// The session's ephemerals; `None` from writers that leave the list to each server.
    CloseSession {
        paths: Option<Vec<Str>>,
    },
    Multi(Vec<SubTxn>),
    /// A request that failed: it consumed its zxid and nothing else.
    Error(i32),
}

/// One op of a multi.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubTxn {
    pub kind: i32,
    pub body: TxnBody,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateTxn {
    pub path: Str,
    pub data: Option<Bytes>,
    pub acl: Option<Arc<Acls>>,
    pub node: CreatedNode,
    /// The parent's stored cversion after this create; −1 is "current + 1". `None` is the record of
    /// logs before 3.3, which lacks the field and means the same.
    pub parent_cversion: Option<i32>,
}

/// Which record carries a create.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CreatedNode {
    /// CreateTxn.
    Plain { ephemeral: bool },
    /// CreateContainerTxn.
    Container,
    /// CreateTTLTxn.
    Ttl { ms: i64 },
}

impl TxnBody {
    /// True for a failed request and for a multi one of whose ops failed.
    #[cfg(test)]
    pub(super) fn is_failure(&self) -> bool {
        match self {
            TxnBody::Error(_) => true,
            TxnBody::Multi(ops) => ops.iter().any(|op| matches!(op.body, TxnBody::Error(_))),
            _ => false,
        }
    }
}

impl SubTxn {
    pub(super) fn error(code: ErrorCode) -> SubTxn {
        SubTxn { kind: crate::wire::proto::OpCode::Error.code(), body: TxnBody::Error(code.code()) }
    }
}
