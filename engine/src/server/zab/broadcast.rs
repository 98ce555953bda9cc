//! Leading: proposals, their acks, and commits (quorum-protocol §2.7), up to the end of an epoch's
//! counter (§2.12).

use super::leader::{Leader, Stage};
use super::learner_link;
use super::ledger::Entry;
use super::terms::Terms;
use super::wire::{Kind, Packet};
use super::{ConnId, Core, Next, Output, Turn, bent};
use crate::wire::ids::{ServerId, Zxid};

impl Leader {
    pub(super) fn next_zxid(&self, core: &Core) -> Option<Zxid> {
        let waiting = self.outstanding_bytes + core.ledger.unflushed_bytes();
        (self.stage == Stage::Serving && waiting < core.config.room(OUTSTANDING_BYTES_MAX))
            .then(|| core.config.zxid_after(self.last_proposed))
            .flatten()
    }

    pub(super) fn propose(&mut self, t: &mut Turn, zxid: Zxid, txn: bytes::Bytes) {
        self.last_proposed = zxid;
        self.outstanding_bytes += txn.len() + PROPOSAL_OVERHEAD;
        t.core.ledger.append(zxid, txn.clone(), t.out);
        let bytes = Packet::with_data(Kind::PROPOSAL, zxid, txn).encode();
        for link in self.links.values_mut() {
            if link.stage == learner_link::Stage::Live && !link.observer {
                t.out.push(Output::Send { conn: link.conn, bytes: bytes.clone() });
                link.note_proposed(zxid, t.now_ms);
            }
        }
    }

    /// ACK, of NEWLEADER or of proposals; the latter may come first (ZOOKEEPER-4685).
    pub(super) fn acked(&mut self, t: &mut Turn, conn: ConnId, zxid: Zxid) {
        let start = self.epoch.start();
        let Some(link) = self.links.get_mut(&conn) else {
            return;
        };
        if zxid == Zxid::NONE && link.is_gated() {
            // It was told to cut its log and cannot: it comes again, for a snapshot.
            let is_voter = |sid: &ServerId| t.core.config.membership.is_voter(*sid);
            let voter = link.sid.filter(is_voter);
            t.core.uncut.extend(voter);
            return;
        }
        if !zxid.is_epoch_start() {
            return link.note_acked(zxid, self.epoch);
        }
        if link.stage != learner_link::Stage::Gated {
            return; // the ack of UPTODATE
        }
        if zxid != start {
            return self.cut(t, conn, &format!("acknowledged the leader of {}", zxid.epoch()));
        }
        if let Some(sid) = &link.sid {
            t.core.uncut.remove(sid);
        }
        link.stage = learner_link::Stage::Synced;
        link.expect_packet(t.now_ms, &t.core.config);
        if let Some(sid) = link.sid.filter(|_| !link.observer && !link.forgetful) {
            self.synced.insert(sid); // only voters among them count
        }
        if self.stage == Stage::Serving {
            self.open_gate(t, conn);
        }
    }

    /// Commits what a quorum has durable, in order, and delivers what is durable here.
    pub(super) fn commit(&mut self, t: &mut Turn) {
        let ledger = &mut t.core.ledger;
        let from = ledger.committed();
        let mine = bent::own_ack(ledger.logged()).unwrap_or(ledger.durable());
        if let Some(upto) = commit_point(self, &t.core.config, mine, from) {
            for entry in ledger.after(from).take_while(|entry| entry.zxid <= upto) {
                self.outstanding_bytes -= entry.txn.len() + PROPOSAL_OVERHEAD;
                if !bent::leaves_commit_out(entry.zxid, upto) {
                    self.tell_committed(entry, t.out);
                }
            }
            ledger.commit(upto);
        }
        ledger.deliver(t.out);
    }

    /// COMMIT to followers, each transaction by its own; INFORM, with the transaction, to observers.
    fn tell_committed(&mut self, entry: &Entry, out: &mut Vec<Output>) {
        let commit = Packet::new(Kind::COMMIT, entry.zxid).encode();
        let mut inform = None;
        for link in self.links.values_mut().filter(|l| l.stage == learner_link::Stage::Live) {
            let bytes = if link.observer {
                inform.get_or_insert_with(|| {
                    Packet::with_data(Kind::INFORM, entry.zxid, entry.txn.clone()).encode()
                })
            } else {
                &commit
            };
            out.push(Output::Send { conn: link.conn, bytes: bytes.clone() });
            link.committed = entry.zxid;
        }
    }

    /// Keeps the log in memory within its limits, but not at the cost of a learner that is just
    /// being synced, unless that takes too long.
    pub(super) fn trim(&mut self, t: &mut Turn) {
        loop {
            let gated = self.links.values().filter(|link| link.is_gated());
            let slowest = gated.min_by_key(|link| link.committed).map(|link| (link.conn, link.committed));
            let pin = slowest.map_or(Zxid(i64::MAX), |(_, committed)| committed);
            let kept = t.core.ledger.trim(pin);
            match slowest {
                Some((conn, _))
                    if !kept && t.core.ledger.entry_bytes() > t.core.config.room(HELD_BYTES_MAX) =>
                {
                    self.cut(t, conn, "takes too long to sync");
                }
                _ => return,
            }
        }
    }

    /// The counter is used up: once the last proposal is committed, a new election starts the next
    /// epoch (ZOOKEEPER-1277).
    pub(super) fn retire_if_exhausted(&self, t: &Turn) -> Next {
        let exhausted =
            self.stage == Stage::Serving && t.core.config.zxid_after(self.last_proposed).is_none();
        let done = t.core.ledger.delivered() == self.last_proposed;
        if exhausted && done && !bent::stays_although_exhausted() {
            return Next::Leave(format!("all zxids of {} are used up", self.epoch));
        }
        Next::Stay
    }
}

/// The last transaction that a quorum has durable, if it is after `committed`.
fn commit_point(leader: &Leader, config: &Terms, durable: Zxid, committed: Zxid) -> Option<Zxid> {
    let has = |sid, zxid| {
        if sid == config.me {
            return durable >= zxid;
        }
        leader.links.values().any(|link| link.is_voter(sid) && link.acked >= zxid)
    };
    let acked = leader.links.values().map(|link| link.acked).chain([durable]);
    acked
        .filter(|zxid| *zxid > committed && config.is_quorum(|sid| has(sid, *zxid)))
        .max()
        .filter(|zxid| zxid.epoch() == leader.epoch)
}

/// Proposals not yet committed, in bytes with their overhead. Beyond it [`super::Zab::next_zxid`]
/// says to wait: without acks the leader's memory would be the only limit.
const OUTSTANDING_BYTES_MAX: usize = 256 << 20;
/// What a proposal costs in memory beside its bytes.
const PROPOSAL_OVERHEAD: usize = 128;
/// Committed transactions kept for learners whose gate is still closed, in bytes: a learner that
/// takes longer than this much traffic to sync is cut and starts again.
const HELD_BYTES_MAX: usize = 512 << 20;
