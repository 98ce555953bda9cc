//! Agreement with nobody else: a transaction is decided once it is durable here.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::server::zab::{Output, PersistId, PersistOp};
use crate::wire::ids::Zxid;

/// Zxids count on from what the disk held; there are no epochs (disk-format §11).
#[derive(Debug)]
pub(super) struct Standalone {
    last_proposed: Zxid,
    next_persist: u64,
    waiting: VecDeque<(PersistId, Zxid, Bytes)>,
}

impl Standalone {
    pub(super) fn new(last_zxid: Zxid) -> Standalone {
        Standalone { last_proposed: last_zxid, next_persist: 1, waiting: VecDeque::new() }
    }

    /// The counter runs into the epoch bits when it is used up, as the reference's standalone server does.
    pub(super) fn next_zxid(&self) -> Zxid {
        Zxid(self.last_proposed.0 + 1)
    }

    /// Takes a transaction; what comes back is how it gets durable.
    pub(super) fn propose(&mut self, zxid: Zxid, txn: Bytes) -> Output {
        let id = PersistId(self.next_persist);
        self.next_persist += 1;
        self.last_proposed = zxid;
        self.waiting.push_back((id, zxid, txn.clone()));
        Output::Persist { id, op: PersistOp::Append { zxid, txn } }
    }

    /// Tells the transactions that `id` makes durable, in order.
    pub(super) fn persisted(&mut self, id: PersistId, mut decided: impl FnMut(Zxid, Bytes)) {
        while self.waiting.front().is_some_and(|(waiting, ..)| *waiting <= id)
            && let Some((_, zxid, txn)) = self.waiting.pop_front()
        {
            decided(zxid, txn);
        }
    }

    pub(super) fn in_flight(&self) -> usize {
        self.waiting.len()
    }
}
