//! What this server has written, what of it is durable, and what of that may be applied: the one
//! place that knows all three, so that no phase can act on a promise the disk has not kept
//! (quorum-protocol §6.1 I1–I4).
//!
//! It decides nothing about the protocol. It holds the newest transactions in memory (the
//! reference's committed log plus everything not yet committed) and the two epochs.

use std::collections::VecDeque;

use bytes::Bytes;

use super::{Config, Durable, Output, PersistId, PersistOp, bent};
use crate::wire::ids::{Epoch, Zxid};

pub(super) struct Ledger {
    issued: u64,
    pending: VecDeque<Pending>,
    pending_bytes: usize,
    accepted: Epoch,
    current: Epoch,
    /// The newest logged transactions, oldest first, without a hole, up to `logged`.
    entries: VecDeque<Entry>,
    entry_bytes: usize,
    entries_max: usize,
    entry_bytes_max: usize,
    /// The last transaction handed to the log (or the snapshot installed in its place).
    logged: Zxid,
    /// The last transaction known to be durable.
    durable: Zxid,
    /// Nothing beyond it may be delivered.
    committed: Zxid,
    delivered: Zxid,
    /// The tree's `last_zxid`: `delivered`, or the epoch start of a leader without transactions.
    processed: Zxid,
    /// What this server acknowledged may be missing here: its data was lost, or a snapshot older than its log took
    /// the log's place and what follows is not durable yet.
    unsynced: bool,
}

pub(super) struct Entry {
    pub(super) zxid: Zxid,
    pub(super) txn: Bytes,
}

struct Pending {
    id: PersistId,
    what: Write,
}

enum Write {
    Append { zxid: Zxid, cost: usize },
    Accepted(Epoch),
    Current(Epoch),
    Truncate,
    Whole,
    Snapshot { zxid: Zxid, body: Bytes },
}

impl Ledger {
    pub(super) fn new(durable: Durable, config: &Config) -> Ledger {
        assert!(
            durable.accepted_epoch >= durable.current_epoch,
            "accepted {} is older than current {}: the epoch files are damaged",
            durable.accepted_epoch,
            durable.current_epoch
        );
        let last = durable.last_zxid;
        // Whoever has a transaction of an epoch has followed it, whatever the file says (Q14).
        let accepted = durable.accepted_epoch.max(last.epoch());
        let mut ledger = Ledger {
            issued: 0,
            pending: VecDeque::new(),
            pending_bytes: 0,
            accepted,
            current: durable.current_epoch,
            entries: VecDeque::new(),
            entry_bytes: 0,
            entries_max: config.committed_log_max,
            entry_bytes_max: config.committed_log_bytes_max,
            logged: last,
            durable: last,
            committed: last,
            delivered: last,
            processed: last,
            unsynced: last == Zxid::NONE,
        };
        ledger.take_tail(durable.tail);
        ledger
    }

    /// The promise not to follow a leader of an older epoch, as far as it is durable.
    pub(super) fn accepted(&self) -> Epoch {
        self.accepted
    }

    /// The epoch whose initial history is durable here (I2).
    pub(super) fn current(&self) -> Epoch {
        self.current
    }

    /// Whether this server may count in an election or an epoch's quorum: not while it may lack what it
    /// acknowledged.
    pub(super) fn is_unsynced(&self) -> bool {
        self.unsynced
    }

    /// How far this server's history goes, as others may count on it.
    pub(super) fn claimed(&self) -> Zxid {
        if self.unsynced { Zxid::NONE } else { self.logged }
    }

    pub(super) fn logged(&self) -> Zxid {
        self.logged
    }

    pub(super) fn durable(&self) -> Zxid {
        self.durable
    }

    pub(super) fn committed(&self) -> Zxid {
        self.committed
    }

    pub(super) fn delivered(&self) -> Zxid {
        self.delivered
    }

    pub(super) fn processed(&self) -> Zxid {
        self.processed
    }

    /// Whether all that was written is durable.
    pub(super) fn is_quiescent(&self) -> bool {
        self.pending.is_empty()
    }

    /// Bytes in memory of transactions handed to the log and not yet durable.
    pub(super) fn unflushed_bytes(&self) -> usize {
        self.pending_bytes
    }

    pub(super) fn entry_bytes(&self) -> usize {
        self.entry_bytes
    }

    /// The id of the newest write; it is durable when [`Ledger::has_persisted`] says so.
    pub(super) fn newest_write(&self) -> PersistId {
        PersistId(self.issued)
    }

    pub(super) fn has_persisted(&self, id: PersistId) -> bool {
        self.pending.front().is_none_or(|p| p.id > id)
    }

    /// The zxid of the oldest transaction held in memory.
    pub(super) fn oldest(&self) -> Option<Zxid> {
        self.entries.front().map(|e| e.zxid)
    }

    /// The held transactions after `zxid`, in order.
    pub(super) fn after(&self, zxid: Zxid) -> impl Iterator<Item = &Entry> {
        let from = self.entries.partition_point(|e| e.zxid <= zxid);
        self.entries.range(from..)
    }

    /// The newest held transaction that is not after `zxid`.
    pub(super) fn newest_until(&self, zxid: Zxid) -> Option<&Entry> {
        let end = self.entries.partition_point(|e| e.zxid <= zxid);
        end.checked_sub(1).map(|index| &self.entries[index])
    }

    /// Whether `zxid` may come right after the last logged one without a hole.
    pub(super) fn is_next(&self, zxid: Zxid) -> bool {
        follows(self.logged, zxid)
    }

    pub(super) fn append(&mut self, zxid: Zxid, txn: Bytes, out: &mut Vec<Output>) {
        assert!(self.is_next(zxid), "log would have a hole: {zxid} after {}", self.logged);
        self.logged = zxid;
        let cost = txn.len() + ENTRY_OVERHEAD;
        self.pending_bytes += cost;
        self.entry_bytes += cost;
        self.entries.push_back(Entry { zxid, txn: txn.clone() });
        let write = Write::Append { zxid, cost };
        self.issue(write, PersistOp::Append { zxid, txn }, out);
    }

    pub(super) fn write_accepted(&mut self, epoch: Epoch, out: &mut Vec<Output>) {
        assert!(epoch > self.accepted, "accepted epoch must grow: {epoch} after {}", self.accepted);
        self.issue(Write::Accepted(epoch), PersistOp::AcceptedEpoch(epoch), out);
    }

    pub(super) fn write_current(&mut self, epoch: Epoch, out: &mut Vec<Output>) {
        assert!(
            epoch > self.current && epoch <= self.accepted,
            "current epoch must grow up to the accepted one: {epoch} after {}, accepted {}",
            self.current,
            self.accepted
        );
        self.issue(Write::Current(epoch), PersistOp::CurrentEpoch(epoch), out);
    }

    /// States that the leader's whole initial history is durable in place of what was lost.
    pub(super) fn declare_whole(&mut self, out: &mut Vec<Output>) {
        self.issue(Write::Whole, PersistOp::Whole, out);
    }

    /// Cuts the log behind `to`. Nothing else may be written before [`Ledger::reloaded`].
    pub(super) fn truncate(&mut self, to: Zxid, out: &mut Vec<Output>) {
        assert!(self.is_quiescent(), "a log is cut only before anything of a new leader is in it");
        self.durable = NOTHING_DURABLE;
        self.issue(Write::Truncate, PersistOp::Truncate { to }, out);
    }

    /// Replaces all data by a snapshot; the tree is replaced once it is durable.
    pub(super) fn install(&mut self, zxid: Zxid, body: Bytes, out: &mut Vec<Output>) {
        self.clear_entries();
        // Until the proposals behind it are durable, too, it may lack what was acknowledged.
        self.unsynced |= zxid < self.logged;
        self.logged = zxid;
        self.committed = zxid;
        self.delivered = zxid;
        self.durable = NOTHING_DURABLE;
        let op = PersistOp::InstallSnapshot { zxid, body: body.clone() };
        self.issue(Write::Snapshot { zxid, body }, op, out);
    }

    /// Everything up to `id` is durable.
    pub(super) fn persisted(&mut self, id: PersistId, out: &mut Vec<Output>) {
        assert!(id.0 <= self.issued, "{id:?} was never written");
        while self.pending.front().is_some_and(|p| p.id <= id) {
            let write = self.pending.pop_front().expect("the loop's condition saw it").what;
            match write {
                Write::Append { zxid, cost } => {
                    self.pending_bytes -= cost;
                    self.durable = zxid;
                }
                Write::Accepted(epoch) => self.accepted = epoch,
                Write::Current(epoch) => self.current = epoch,
                Write::Whole => self.unsynced = false,
                Write::Truncate => panic!("a truncation is answered with Reloaded, not Persisted"),
                Write::Snapshot { zxid, body } => {
                    self.durable = zxid;
                    self.processed = zxid;
                    out.push(Output::InstallSnapshot { zxid, body });
                }
            }
        }
    }

    /// The log was cut and the tree loaded anew (or left as they were, when cutting is impossible).
    pub(super) fn reloaded(&mut self, id: PersistId, last: Zxid, tail: Vec<(Zxid, Bytes)>) {
        let pending = self.pending.pop_front().expect("Reloaded answers a pending truncation");
        assert!(pending.id == id && matches!(pending.what, Write::Truncate), "Reloaded answers a truncation");
        assert!(self.pending.is_empty(), "nothing is written while a truncation is pending");
        self.clear_entries();
        self.logged = last;
        self.durable = last;
        self.committed = last;
        self.delivered = last;
        self.processed = last;
        self.take_tail(tail);
    }

    /// A leader is established: its epoch begins with nothing outstanding (§2.6).
    pub(super) fn start_epoch(&mut self, zxid: Zxid) {
        assert!(self.is_quiescent() && zxid > self.logged, "{zxid} cannot start after {}", self.logged);
        self.committed = zxid;
        self.delivered = zxid;
        self.processed = zxid;
    }

    /// All up to `zxid` is committed.
    pub(super) fn commit(&mut self, zxid: Zxid) {
        assert!(zxid >= self.committed, "commit point cannot move back to {zxid} from {}", self.committed);
        self.committed = zxid;
    }

    /// On the way to an election the whole log counts: what is logged may have been committed by
    /// others (§2.13).
    pub(super) fn settle(&mut self, out: &mut Vec<Output>) {
        assert!(self.is_quiescent(), "a vote may name only what is durable");
        self.delivered = self.delivered.min(self.logged);
        self.committed = self.logged;
        if !bent::keeps_the_tail_back() {
            self.deliver(out);
        }
    }

    /// Delivers what is committed and durable (I4, TRAP 4882).
    pub(super) fn deliver(&mut self, out: &mut Vec<Output>) {
        let upto = bent::deliverable(self.durable).unwrap_or(self.committed.min(self.durable));
        if upto <= self.delivered {
            return;
        }
        let from = self.entries.partition_point(|e| e.zxid <= self.delivered);
        for entry in self.entries.range(from..).take_while(|e| e.zxid <= upto) {
            out.push(Output::Deliver { zxid: entry.zxid, txn: entry.txn.clone() });
            self.delivered = entry.zxid;
        }
        self.processed = self.processed.max(self.delivered);
    }

    /// Forgets old transactions beyond the configured limits, but never one that is not delivered
    /// or that comes after `pin`. Says whether the limits are kept.
    pub(super) fn trim(&mut self, pin: Zxid) -> bool {
        let keep_after = pin.min(self.delivered).min(self.durable);
        while self.entries.len() > self.entries_max || self.entry_bytes > self.entry_bytes_max {
            match self.entries.front() {
                Some(entry) if entry.zxid <= keep_after => {
                    self.entry_bytes -= entry.txn.len() + ENTRY_OVERHEAD;
                    self.entries.pop_front();
                }
                _ => return false,
            }
        }
        true
    }

    /// Pretends that the epoch went on up to `zxid` and all of it is forgotten.
    #[cfg(test)]
    pub(super) fn skip_to(&mut self, zxid: Zxid) {
        self.clear_entries();
        self.logged = zxid;
        self.durable = zxid;
        self.committed = zxid;
        self.delivered = zxid;
        self.processed = zxid;
    }

    fn issue(&mut self, what: Write, op: PersistOp, out: &mut Vec<Output>) {
        let cutting = self.pending.back().is_some_and(|p| matches!(p.what, Write::Truncate));
        assert!(!cutting, "nothing is written while a truncation is pending");
        self.issued += 1;
        let id = PersistId(self.issued);
        self.pending.push_back(Pending { id, what });
        out.push(Output::Persist { id, op });
    }

    fn clear_entries(&mut self) {
        self.entries.clear();
        self.entry_bytes = 0;
    }

    /// Keeps the longest part of `tail` that ends in the last logged transaction without a hole.
    fn take_tail(&mut self, tail: Vec<(Zxid, Bytes)>) {
        let mut next: Option<Zxid> = None;
        for (zxid, txn) in tail.into_iter().rev() {
            let fits = match next {
                None => zxid == self.logged,
                Some(next) => follows(zxid, next),
            };
            if !fits {
                break;
            }
            next = Some(zxid);
            self.entry_bytes += txn.len() + ENTRY_OVERHEAD;
            self.entries.push_front(Entry { zxid, txn });
        }
        self.trim(Zxid(i64::MAX));
    }
}

/// Whether a log may hold `next` right after `last`: the next counter of the same epoch, or the
/// first of a later one (quorum-protocol TRAP Q20).
fn follows(last: Zxid, next: Zxid) -> bool {
    let next_counter = last.next() == Some(next);
    let later_epoch = next.epoch() > last.epoch() && next.counter() == 1;
    next_counter || later_epoch || bent::follows(last, next)
}

/// What a transaction costs in memory beside its bytes.
const ENTRY_OVERHEAD: usize = 128;
/// Nothing at all is known to be durable in the log that is being rewritten.
const NOTHING_DURABLE: Zxid = Zxid(i64::MIN);
