//! Ephemerals that end with a session whose closeSession does not list them: logs of servers before 3.6, or with
//! `closeSessionTxn.enabled=false`. Who created them is told by the creates before, if those are in the log.

use std::collections::{BTreeMap, BTreeSet};

use super::question::Znode;
use crate::server::tree::{CreatedNode, Txn, TxnBody};
use crate::wire::ids::SessionId;

/// Who owns the ephemerals that are asked about, as far as the log tells.
#[derive(Debug)]
pub struct Owners {
    asked: Option<Znode>,
    owned: BTreeMap<SessionId, BTreeSet<String>>,
    owner: BTreeMap<String, SessionId>,
    /// Sessions whose beginning these logs have: all that they created is known.
    opened: BTreeSet<SessionId>,
    /// More were alive at once than are kept.
    pub is_too_many: bool,
    /// Sessions that ended without a list and began before these logs: what they took along is not known.
    pub unlisted: u64,
}

impl Owners {
    /// Nobody is remembered where no znode is asked about.
    pub fn new(asked: Option<Znode>) -> Owners {
        Owners {
            asked,
            owned: BTreeMap::new(),
            owner: BTreeMap::new(),
            opened: BTreeSet::new(),
            is_too_many: false,
            unlisted: 0,
        }
    }

    /// The ephemerals that end with this transaction although it does not list them.
    pub fn hear(&mut self, txn: &Txn) -> Vec<String> {
        let Some(asked) = self.asked.clone() else { return Vec::new() };
        let session = txn.header.session;
        match &txn.body {
            TxnBody::CreateSession { .. } => {
                self.is_too_many |= self.opened.len() >= OWNED_MAX;
                if self.opened.len() < OWNED_MAX {
                    self.opened.insert(session);
                }
            }
            TxnBody::CloseSession { paths: None } => {
                let is_known = self.opened.remove(&session);
                let ended = self.owned.remove(&session).unwrap_or_default();
                self.unlisted += u64::from(ended.is_empty() && !is_known);
                ended.iter().for_each(|path| _ = self.owner.remove(path));
                return ended.into_iter().collect();
            }
            TxnBody::CloseSession { paths: Some(paths) } => {
                self.opened.remove(&session);
                paths.iter().for_each(|path| self.forget(path));
            }
            TxnBody::Multi(ops) if ops.iter().any(|op| matches!(op.body, TxnBody::Error(_))) => {}
            TxnBody::Multi(ops) => ops.iter().for_each(|op| self.note(&asked, session, &op.body)),
            body => self.note(&asked, session, body),
        }
        Vec::new()
    }

    fn note(&mut self, asked: &Znode, session: SessionId, body: &TxnBody) {
        match body {
            TxnBody::Create(create) if asked.covers(&create.path) => {
                self.forget(&create.path);
                let is_ephemeral = create.node == (CreatedNode::Plain { ephemeral: true });
                self.is_too_many |= is_ephemeral && self.owner.len() >= OWNED_MAX;
                if is_ephemeral && self.owner.len() < OWNED_MAX {
                    self.owner.insert(create.path.to_string(), session);
                    self.owned.entry(session).or_default().insert(create.path.to_string());
                }
            }
            TxnBody::Delete { path } => self.forget(path),
            _ => {}
        }
    }

    fn forget(&mut self, path: &str) {
        let Some(session) = self.owner.remove(path) else { return };
        if let Some(owned) = self.owned.get_mut(&session) {
            owned.remove(path);
            if owned.is_empty() {
                self.owned.remove(&session);
            }
        }
    }
}

/// Ephemerals alive at once below one path, and sessions: more than any ensemble should have.
const OWNED_MAX: usize = 1_000_000;
