//! What the servers of a test ensemble stand on: a replicated state, a disk, chance, and the trace
//! of what happened. No protocol here.

use std::cell::RefCell;
use std::collections::VecDeque;

use bytes::Bytes;

use crate::server::zab::events::PersistOp;
use crate::wire::ids::{Epoch, Zxid};
use crate::wire::jute::{Reader, Writer};

thread_local! {
    static TRACE: RefCell<VecDeque<String>> = const { RefCell::new(VecDeque::new()) };
}

/// Keeps the last lines of what happened, for the report of a failing seed.
pub(super) fn trace(line: impl FnOnce() -> String) {
    const LINES_MAX: usize = 400;
    TRACE.with_borrow_mut(|lines| {
        if lines.len() == LINES_MAX {
            lines.pop_front();
        }
        lines.push_back(line());
    });
}

/// Runs one seed; if it panics, prints the seed and the trace.
pub(super) fn run_seed(name: &str, seed: u64, run: impl FnOnce() + std::panic::UnwindSafe) {
    TRACE.with_borrow_mut(VecDeque::clear);
    if let Err(panic) = std::panic::catch_unwind(run) {
        TRACE.with_borrow(|lines| lines.iter().for_each(|line| println!("{line}")));
        println!("{name}: seed {seed} failed");
        std::panic::resume_unwind(panic);
    }
}

pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        // splitmix64
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound.max(1)
    }

    pub(super) fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high - low + 1)
    }

    pub(super) fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

/// The replicated state: the list of all transactions applied.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub(super) struct Tree {
    pub(super) txns: Vec<(Zxid, Bytes)>,
    pub(super) last: Zxid,
}

impl Tree {
    pub(super) fn apply(&mut self, zxid: Zxid, txn: Bytes) {
        self.txns.push((zxid, txn));
        self.last = self.last.max(zxid);
    }

    pub(super) fn encode(&self) -> Bytes {
        let mut w = Writer::new();
        for (zxid, txn) in &self.txns {
            w.long(zxid.0);
            w.buffer(Some(txn));
        }
        w.finish()
    }

    pub(super) fn decode(zxid: Zxid, body: Bytes) -> Tree {
        let mut r = Reader::new(body);
        let mut tree = Tree { txns: Vec::new(), last: zxid };
        while r.remaining() > 0 {
            let zxid = Zxid(r.long().unwrap());
            tree.txns.push((zxid, r.buffer().unwrap().unwrap()));
        }
        tree
    }
}

/// A snapshot, the log behind it, and the epoch files.
#[derive(Clone, Default, Debug)]
pub(super) struct Disk {
    pub(super) base: Tree,
    pub(super) log: Vec<(Zxid, Bytes)>,
    pub(super) accepted: Epoch,
    pub(super) current: Epoch,
    /// The data is gone: only a snapshot brings it back. Or that snapshot is there, and what follows is not.
    pub(super) lost: bool,
    /// It was lost, and nothing whole has taken its place.
    pub(super) bereft: bool,
    pub(super) unsynced: bool,
}

impl Disk {
    /// Whether a start here is one without a vote.
    pub(super) fn is_wounded(&self) -> bool {
        self.lost || self.unsynced
    }

    /// Everything but the promises is gone.
    pub(super) fn lose(&mut self) {
        self.base = Tree { txns: Vec::new(), last: Zxid::NONE };
        self.log.clear();
        self.lost = true;
        self.bereft = true;
    }

    pub(super) fn last(&self) -> Zxid {
        self.log.last().map_or(self.base.last, |(zxid, _)| *zxid)
    }

    /// Whether `zxid` names all that is here: the last transaction, or the snapshot that may carry
    /// the start of an epoch without transactions.
    pub(super) fn ends_at(&self, zxid: Zxid) -> bool {
        let last = self.log.last().or(self.base.txns.last()).map_or(Zxid::ZERO, |(zxid, _)| *zxid);
        zxid == self.last() || zxid == last
    }

    pub(super) fn holds(&self, zxid: Zxid) -> bool {
        self.base.txns.iter().chain(&self.log).any(|(z, _)| *z == zxid)
    }

    pub(super) fn load(&self) -> Tree {
        let mut tree = self.base.clone();
        for (zxid, txn) in &self.log {
            tree.apply(*zxid, txn.clone());
        }
        tree
    }

    pub(super) fn tail(&self, len: usize) -> Vec<(Zxid, Bytes)> {
        self.log[self.log.len().saturating_sub(len)..].to_vec()
    }

    /// One write, done.
    pub(super) fn execute(&mut self, op: PersistOp) {
        match op {
            PersistOp::Append { zxid, txn } => {
                assert!(zxid > self.last(), "{zxid} appended after {}", self.last());
                self.log.push((zxid, txn));
            }
            PersistOp::AcceptedEpoch(epoch) => {
                assert!(epoch > self.accepted, "accepted epochs grow");
                self.accepted = epoch;
            }
            PersistOp::CurrentEpoch(epoch) => {
                assert!(epoch > self.current && epoch <= self.accepted, "I1");
                self.current = epoch;
            }
            PersistOp::Truncate { to } => {
                if to >= self.base.last {
                    self.log.retain(|(zxid, _)| *zxid <= to);
                }
            }
            PersistOp::Whole => (self.unsynced, self.bereft) = (false, false),
            PersistOp::InstallSnapshot { zxid, body } => {
                self.unsynced |= self.lost || zxid < self.last();
                self.lost = false;
                self.base = Tree::decode(zxid, body);
                self.log.clear();
            }
        }
    }
}
