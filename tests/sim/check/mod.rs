//! What must never happen, looked for after every step of every server and at every byte a client gets
//! (quorum-protocol §6.1, client-protocol §1.8, §5). The first violation ends the run.
//!
//! | file | promise |
//! |---|---|
//! | `log` | one history: agreement, prefix, quorum durability, epochs, leaders, digests |
//! | `session` | what a client is told: order, results, reads, sync, real time |
//! | `watch` | each change is told exactly once, and before anything that shows it |

pub(crate) mod log;
pub(crate) mod session;
pub(crate) mod watch;

use std::collections::BTreeMap;

use bytes::Bytes;
use zkops::wire::ids::{Epoch, ServerId, SessionId, Zxid};
use zkops::wire::proto::Request;

use crate::model::Model;
use log::NodeView;

/// A broken promise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Violation {
    /// Which promise, in a word or two: a shrunken plan must break the same one.
    pub(crate) promise: &'static str,
    pub(crate) what: String,
}

/// A request that a client has sent under its session and cxid.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) request: Request,
    pub(crate) committed_at: Option<Zxid>,
}

/// Everything that is remembered of a run to judge it by.
pub(crate) struct Checks {
    pub(crate) violation: Option<Violation>,
    pub(crate) model: Model,
    pub(crate) nodes: Vec<NodeView>,
    pub(crate) committed: Vec<(Zxid, Bytes)>,
    proposed: BTreeMap<Zxid, Bytes>,
    leaders: BTreeMap<Epoch, ServerId>,
    digests: BTreeMap<Zxid, u64>,
    asked: BTreeMap<(SessionId, i32), Asked>,
    last_cxid: BTreeMap<SessionId, i32>,
    /// The newest write that any client has been told of.
    pub(crate) acked: Zxid,
    pub(crate) voters: usize,
}

impl Checks {
    pub(crate) fn new(nodes: usize, voters: usize) -> Checks {
        Checks {
            violation: None,
            model: Model::new(),
            nodes: (0..nodes).map(|_| NodeView::default()).collect(),
            committed: Vec::new(),
            proposed: BTreeMap::new(),
            leaders: BTreeMap::new(),
            digests: BTreeMap::new(),
            asked: BTreeMap::new(),
            last_cxid: BTreeMap::new(),
            acked: Zxid::ZERO,
            voters,
        }
    }

    pub(crate) fn fail(&mut self, promise: &'static str, what: String) {
        if self.violation.is_none() {
            self.violation = Some(Violation { promise, what });
        }
    }

    /// A client sends a request.
    pub(crate) fn sends(&mut self, session: SessionId, cxid: i32, request: Request) {
        self.asked.insert((session, cxid), Asked { request, committed_at: None });
    }

    pub(crate) fn last_committed(&self) -> Zxid {
        self.committed.last().map_or(Zxid::ZERO, |(zxid, _)| *zxid)
    }

    fn committed_txn(&self, zxid: Zxid) -> Option<&Bytes> {
        let at = self.committed.binary_search_by_key(&zxid, |(zxid, _)| *zxid).ok()?;
        Some(&self.committed[at].1)
    }
}
