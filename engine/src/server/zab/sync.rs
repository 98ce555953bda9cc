//! Leading: bringing one learner up to date (quorum-protocol §2.4, §2.5): what it needs, the
//! stream, and the gate that is closed from NEWLEADER to UPTODATE.
//!
//! Differences come from memory only. A learner behind what is held there gets a snapshot: the log
//! on disk may have a hole (TRAP Q18), and padded files make the reference do the same (Q17).

use super::leader::{Leader, Stage};
use super::learner_link;
use super::ledger::Ledger;
use super::wire::{Kind, Packet};
use super::{ConnId, Output, Turn, bent};
use crate::wire::ids::{Epoch, Zxid};
use crate::wire::jute::Writer;

/// How a learner is brought up to date.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Plan {
    /// It keeps all it has and gets what comes after.
    Diff { announce: Zxid },
    /// It cuts its log at `to` and gets what comes after.
    Truncate { to: Zxid },
    /// It gets the whole tree.
    Snapshot,
}

/// The decision of §2.4 for a learner whose last zxid is `peer`.
///
/// Towards a reference server TRUNC is dangerous: it leaves snapshots with the cut transactions in
/// place (TRAP Q22), and we cannot tell who is at the other end. A snapshot is safe only if its
/// zxid is larger than all that the learner must forget, that is, once the epoch is established.
/// So: a tail of an older epoch is cut only while the learner may be needed for the quorum. The
/// tail of our own epoch is always cut: a snapshot would not be newer than it, and it is not
/// tainted, for nobody else has led in this epoch.
pub(super) fn plan(ledger: &Ledger, peer: Zxid, epoch: Epoch, established: bool) -> Plan {
    let processed = ledger.processed();
    if peer == processed {
        return Plan::Diff { announce: peer };
    }
    let max = ledger.newest_until(ledger.committed()).map_or(processed, |entry| entry.zxid);
    let min = ledger.oldest().map_or(processed, |oldest| oldest.min(max));
    if peer > max {
        // `epoch << 32` is the whole initial history of a leader that was established, and thereby
        // part of ours (lesson 2033). The reference sends a snapshot here.
        return if peer.is_epoch_start() {
            Plan::Diff { announce: peer }
        } else if peer.epoch() == epoch {
            Plan::Truncate { to: max.max(epoch.start()) }
        } else if established {
            Plan::Snapshot
        } else {
            Plan::Truncate { to: max }
        };
    }
    // Any other zxid that is not in our history belongs to a tail that nobody else has.
    let known = ledger.newest_until(peer).is_some_and(|entry| entry.zxid == peer);
    let reached = peer >= min && (known || peer.is_epoch_start());
    if reached || bent::sends_diff(peer, min) {
        return Plan::Diff { announce: max };
    }
    Plan::Snapshot
}

impl Leader {
    /// Sends the whole sync stream up to NEWLEADER and closes the gate behind it.
    pub(super) fn sync(&mut self, t: &mut Turn, conn: ConnId, peer: Zxid) {
        let established = self.stage == Stage::Serving;
        let ledger = &t.core.ledger;
        let Some(link) = self.links.get_mut(&conn) else {
            return;
        };
        let plan = match plan(ledger, peer, self.epoch, established) {
            Plan::Truncate { .. } if link.sid.is_some_and(|sid| t.core.uncut.contains(&sid)) => {
                Plan::Snapshot
            }
            plan => plan,
        };
        let mut w = Writer::new();
        let after = match plan {
            Plan::Diff { announce } => {
                Packet::new(Kind::DIFF, announce).write(&mut w);
                peer
            }
            Plan::Truncate { to } => {
                Packet::new(Kind::TRUNC, bent::cut_told(to).unwrap_or(to)).write(&mut w);
                to
            }
            Plan::Snapshot => {
                let processed = ledger.processed();
                let zxid = bent::snapshot_name(ledger.logged(), processed).unwrap_or(processed);
                link.send(&Packet::new(Kind::SNAP, zxid), t.out);
                t.out.push(Output::SendSnapshot { conn });
                zxid
            }
        };
        link.proposed = after;
        link.committed = after;
        for entry in ledger.after(after) {
            let committed = entry.zxid <= ledger.committed();
            // TRAP Q21: an observer must never see a proposal without its commit.
            if !committed && link.observer {
                break;
            }
            Packet::with_data(Kind::PROPOSAL, entry.zxid, entry.txn.clone()).write(&mut w);
            if committed {
                // Whether it acknowledges these is its version's choice: nothing waits for it.
                link.proposed = entry.zxid;
                link.committed = entry.zxid;
                Packet::new(Kind::COMMIT, entry.zxid).write(&mut w);
            } else {
                link.note_proposed(entry.zxid, t.now_ms);
            }
        }
        Packet::with_data(Kind::NEWLEADER, self.epoch.start(), t.core.config.membership.text()).write(&mut w);
        t.out.push(Output::Send { conn, bytes: w.finish() });
        link.stage = learner_link::Stage::Gated;
        link.expect_packet(t.now_ms, &t.core.config);
    }

    /// UPTODATE, and all that was held back, in order (§2.5 MUST).
    pub(super) fn open_gate(&mut self, t: &mut Turn, conn: ConnId) {
        let ledger = &t.core.ledger;
        let Some(link) = self.links.get_mut(&conn) else {
            return;
        };
        let committed = ledger.committed();
        if let Some(sid) = link.sid {
            let what = format!("server {sid} follows: it has all up to zxid {}", link.committed);
            t.core.comings.tell(t.now_ms, sid, &what, t.out);
        }
        link.restart_patience(t.now_ms);
        let mut w = Writer::new();
        Packet::new(Kind::UPTODATE, Zxid(-1)).write(&mut w);
        let from = bent::committed_at(link.proposed, link.committed).unwrap_or(link.committed);
        for entry in ledger.after(from) {
            let is_committed = entry.zxid <= committed;
            if link.observer {
                if !is_committed {
                    break;
                }
                Packet::with_data(Kind::INFORM, entry.zxid, entry.txn.clone()).write(&mut w);
            } else {
                if entry.zxid > link.proposed {
                    Packet::with_data(Kind::PROPOSAL, entry.zxid, entry.txn.clone()).write(&mut w);
                    link.note_proposed(entry.zxid, t.now_ms);
                }
                if is_committed {
                    Packet::new(Kind::COMMIT, entry.zxid).write(&mut w);
                }
            }
        }
        link.committed = link.committed.max(committed);
        link.stage = learner_link::Stage::Live;
        link.touch(t.now_ms, &t.core.config);
        t.out.push(Output::Send { conn, bytes: w.finish() });
    }
}
