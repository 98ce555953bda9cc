//! One transaction as a document for machines.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use super::question::{self, Answer};
use super::{op, text};
use crate::server::tree::{CreatedNode, Txn, TxnBody, TxnHeader};
use crate::wire::proto::ErrorCode;

/// Where a transaction was read.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    pub file: &'a str,
    pub offset: u64,
}

#[derive(Debug, Serialize)]
#[serde(tag = "event", rename = "txn")]
pub struct Entry {
    file: String,
    offset: u64,
    zxid: String,
    time: String,
    session: String,
    cxid: i32,
    #[serde(flatten)]
    act: Act,
    timeout_ms: Option<i32>,
    /// How a session ended.
    ended: Option<&'static str>,
    /// Ephemerals that end with the session, those that answer.
    deletes: Vec<String>,
    /// The log does not list them.
    inferred: bool,
    ops: Vec<Op>,
    digest: Option<String>,
    /// Why the bytes behind the header could not be read.
    unknown: Option<String>,
}

/// One op of a multi.
#[derive(Debug, Serialize)]
struct Op {
    #[serde(flatten)]
    act: Act,
    /// It is one that was asked for.
    answers: bool,
}

/// What is done to one znode.
#[derive(Debug, Serialize)]
struct Act {
    op: String,
    path: Option<String>,
    data_len: Option<usize>,
    data: Option<String>,
    data_base64: Option<String>,
    version: Option<i32>,
    mode: Option<&'static str>,
    ttl_ms: Option<i64>,
    acl: Option<String>,
    error: Option<String>,
}

impl Entry {
    pub fn of(place: Place, txn: &Txn, answer: &Answer, with_data: bool) -> Entry {
        let mut entry = Entry::bare(place, &txn.header, Act::of(txn.header.kind, &txn.body, with_data));
        match &txn.body {
            TxnBody::CreateSession { timeout_ms } => entry.timeout_ms = Some(*timeout_ms),
            TxnBody::CloseSession { .. } => entry.ended = Some(ended(txn.header.cxid)),
            TxnBody::Multi(ops) => {
                let ops = ops.iter().enumerate().map(|(place, op)| Op {
                    act: Act::of(op.kind, &op.body, with_data),
                    answers: answer.ops.contains(&place),
                });
                entry.ops = ops.collect();
                entry.act.error = failed(&txn.body).map(error);
            }
            _ => {}
        }
        entry.deletes.clone_from(&answer.deletes);
        entry.inferred = answer.is_inferred;
        entry.digest = txn.digest.map(|digest| format!("0x{:x}", digest.tree));
        entry
    }

    /// One whose header alone can be read.
    pub fn unknown(place: Place, header: &TxnHeader, why: &str) -> Entry {
        let mut entry = Entry::bare(place, header, Act::bare(header.kind));
        entry.unknown = Some(why.to_owned());
        entry
    }

    fn bare(place: Place, header: &TxnHeader, act: Act) -> Entry {
        Entry {
            file: place.file.to_owned(),
            offset: place.offset,
            zxid: header.zxid.to_string(),
            time: text::time(header.time_ms),
            session: header.session.to_string(),
            cxid: header.cxid,
            act,
            timeout_ms: None,
            ended: None,
            deletes: Vec::new(),
            inferred: false,
            ops: Vec::new(),
            digest: None,
            unknown: None,
        }
    }
}

impl Act {
    fn bare(kind: i32) -> Act {
        Act {
            op: op::name(kind),
            path: None,
            data_len: None,
            data: None,
            data_base64: None,
            version: None,
            mode: None,
            ttl_ms: None,
            acl: None,
            error: None,
        }
    }

    fn of(kind: i32, body: &TxnBody, with_data: bool) -> Act {
        let mut act = Act::bare(kind);
        act.path = question::path(body).map(str::to_owned);
        let data = question::data(body);
        act.data_len = data.map(<[u8]>::len);
        if let Some(data) = data.filter(|_| with_data) {
            (act.data, act.data_base64) = written(data);
        }
        match body {
            TxnBody::Create(create) => {
                act.mode = Some(mode(create.node));
                act.acl = create.acl.as_deref().map(|list| text::acl(list));
                if let CreatedNode::Ttl { ms } = create.node {
                    act.ttl_ms = Some(ms);
                }
            }
            TxnBody::SetData { version, .. } | TxnBody::Check { version, .. } => act.version = Some(*version),
            TxnBody::SetAcl { acl, version, .. } => {
                act.version = Some(*version);
                act.acl = acl.as_deref().map(|list| text::acl(list));
            }
            TxnBody::Error(code) => act.error = Some(error(*code)),
            _ => {}
        }
        act
    }
}

/// Data as text, or else as base64.
pub(super) fn written(data: &[u8]) -> (Option<String>, Option<String>) {
    match std::str::from_utf8(data) {
        Ok(text) => (Some(text.to_owned()), None),
        Err(_) => (None, Some(STANDARD.encode(data))),
    }
}

pub(super) fn mode(node: CreatedNode) -> &'static str {
    match node {
        CreatedNode::Plain { ephemeral: false } => "persistent",
        CreatedNode::Plain { ephemeral: true } => "ephemeral",
        CreatedNode::Container => "container",
        CreatedNode::Ttl { .. } => "ttl",
    }
}

/// Why a request failed: the reference's word and its number.
pub(super) fn error(code: i32) -> String {
    match ErrorCode::from_code(code) {
        Some(known) => format!("{} ({code})", known.text()),
        None => format!("error {code}"),
    }
}

/// Who ended a session: a client's own request has a number, what a server does by itself has none.
pub(super) fn ended(cxid: i32) -> &'static str {
    if cxid == 0 { "expired" } else { "closed" }
}

/// The last op of a failed multi says why; all before it say 0, all behind it that they were not tried.
pub(super) fn failed(body: &TxnBody) -> Option<i32> {
    let TxnBody::Multi(ops) = body else { return None };
    let codes = ops.iter().filter_map(|op| match op.body {
        TxnBody::Error(code) => Some(code),
        _ => None,
    });
    codes.filter(|code| *code != 0 && *code != NOT_TRIED).last().or_else(|| {
        let is_failed = ops.iter().any(|op| matches!(op.body, TxnBody::Error(_)));
        is_failed.then_some(0)
    })
}

/// RUNTIMEINCONSISTENCY: what ops behind a failed one get.
const NOT_TRIED: i32 = -2;
