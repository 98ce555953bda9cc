//! Following a leader, second half: the sync stream, NEWLEADER, UPTODATE and the broadcast that
//! follows (quorum-protocol §2.5, §2.7, §2.9).
//!
//! Everything is logged as it arrives and delivered only when it is both committed and durable.
//! The order that §2.5 demands of NEWLEADER — sync transactions durable, then `currentEpoch`, then
//! the acks — is kept by waiting for each write before the next is issued.

use bytes::{Buf, Bytes};

use super::learner::{Learner, Stage, misplaced};
use super::wire::Kind;
use super::{ConnId, Next, Output, Packet, Role, Turn, bent};
use crate::wire::ids::Zxid;
use crate::wire::jute::Writer;

impl Learner {
    /// A packet after ACKEPOCH.
    pub(super) fn stream(&mut self, t: &mut Turn, packet: Packet) -> Next {
        if let Stage::Cutting { .. } = self.stage {
            return self.keep(t, packet);
        }
        match (self.stage, packet.kind) {
            (Stage::Receiving { .. }, _) => misplaced(&packet),
            (Stage::Promised, Kind::DIFF) if !wants_snapshot(t) => {
                self.stage = Stage::Syncing;
                Next::Stay
            }
            (Stage::Promised, Kind::TRUNC) if !wants_snapshot(t) => self.truncate(t, packet.zxid),
            (Stage::Promised, Kind::SNAP) if packet.zxid.0 >= 0 && packet.zxid.epoch() <= self.epoch => {
                self.stage = Stage::Receiving { zxid: packet.zxid };
                Next::Stay
            }
            (Stage::Promised, _) => misplaced(&packet),
            (Stage::Syncing, Kind::NEWLEADER) if packet.zxid == self.epoch.start() => {
                if let Some(why) = t.core.rolls.conflict(packet.data.as_ref())
                    && !bent::follows_foreign_leaders()
                {
                    return self.leave_foreign(&why);
                }
                self.stage = Stage::Flushing { upto: t.core.ledger.newest_write() };
                self.expect_packet(t);
                Next::Stay
            }
            (Stage::Synced, Kind::UPTODATE) => self.up_to_date(t),
            (_, Kind::PROPOSAL | Kind::COMMIT) if self.is_deaf_to_proposals() => Next::Stay,
            (_, Kind::PROPOSAL) => self.proposal(t, packet.zxid, packet.data),
            // The second kind commits what is in the log since before this server ran: it logs none (`rolls`).
            (_, Kind::COMMIT | Kind::COMMITANDACTIVATE) => self.commit(t, packet.zxid),
            (_, Kind::INFORM) => self.inform(t, packet.zxid, packet.data),
            (_, Kind::INFORMANDACTIVATE) => {
                let txn = packet.data.filter(|data| data.len() > 8).map(|mut data| {
                    data.advance(8);
                    data
                });
                self.inform(t, packet.zxid, txn)
            }
            (Stage::Live { .. }, Kind::PING) => {
                t.out.push(Output::PingDue { zxid: packet.zxid });
                Next::Stay
            }
            // The reference pings from NEWLEADER on and does not wait for answers there (§2.5).
            (_, Kind::PING) => Next::Stay,
            (Stage::Live { .. }, Kind::REVALIDATE | Kind::SYNC) => self.answer(t, packet),
            (Stage::Live { .. }, kind) if kind.0 > Kind::INFORMANDACTIVATE.0 => Next::Stay,
            _ => misplaced(&packet),
        }
    }

    /// The whole snapshot has arrived. The tree is replaced when it is durable (lesson 3642).
    pub(super) fn snapshot(
        &mut self,
        t: &mut Turn,
        conn: ConnId,
        body: Bytes,
        config: Option<&Bytes>,
    ) -> Next {
        let Stage::Receiving { zxid } = self.stage else {
            return Next::Stay;
        };
        if self.conn != Some(conn) {
            return Next::Stay;
        }
        if let Some(why) = t.core.rolls.conflict(config)
            && !bent::installs_foreign_snapshots()
        {
            return self.leave_foreign(&why);
        }
        t.core.ledger.install(zxid, body, t.out);
        t.core.needs_snapshot = false;
        t.core.told_of_no_cut = None;
        self.stage = Stage::Syncing;
        self.expect_packet(t);
        Next::Stay
    }

    /// The log is cut, or cannot be.
    pub(super) fn cut(&mut self, t: &mut Turn, to: Zxid, exact: bool) -> Next {
        let last = t.core.ledger.logged();
        let start = last.epoch().start();
        if !exact && last > start && start > to {
            // A snapshot `epoch << 32` in the way holds the initial history of a leader that was
            // established, hence of this one: nothing lies between `to` and it. Cut there.
            t.core.ledger.truncate(start, t.out);
            self.stage = Stage::Cutting { to: start, exact: true };
            return Next::Stay;
        }
        if last > to || (exact && last != to) {
            self.refuse_cut(t);
            return Next::Leave(format!("the log cannot be cut at {to}; a snapshot is needed"));
        }
        if last < to && !to.is_epoch_start() {
            return Next::Halt(format!(
                "the log was to keep everything up to {to} but ends at {last}: \
                 acknowledged transactions are missing here; repair this server from the others"
            ));
        }
        self.stage = Stage::Syncing;
        self.expect_packet(t);
        self.inbox_bytes = 0;
        for packet in std::mem::take(&mut self.inbox) {
            let next = self.stream(t, packet);
            if !matches!(next, Next::Stay) {
                return next;
            }
        }
        Next::Stay
    }

    /// Delivers, acknowledges and answers what has become possible.
    pub(super) fn follow(&mut self, t: &mut Turn) -> Next {
        t.core.ledger.deliver(t.out);
        t.core.ledger.trim(Zxid(i64::MAX));
        let dated = t.core.ledger.current() == self.epoch || bent::acks_undated();
        if !t.core.ledger.is_unsynced() {
            match self.stage {
                Stage::Dating if dated => self.acknowledge_leader(t),
                Stage::Mending => {
                    t.core.healing = None;
                    t.note(
                        "this server has all that its leader has, durable: it is whole and votes again"
                            .to_owned(),
                    );
                    self.acknowledge_leader(t);
                }
                _ => {}
            }
        }
        if let Stage::Synced | Stage::Live { .. } = self.stage {
            self.acknowledge(t);
        }
        if let Stage::Live { serve_at } = self.stage
            && t.core.ledger.delivered() >= serve_at
        {
            let leader = self.leader;
            let role = match self.observer {
                true => Role::Observing { leader, serving: true },
                false => Role::Following { leader, serving: true },
            };
            let is_new = t.core.role != role;
            t.set_role(role);
            if is_new {
                let what = if self.observer { "observing" } else { "following" };
                t.note(format!(
                    "{what} server {leader} in epoch {}, in sync at zxid {serve_at}",
                    self.epoch.0
                ));
            }
        }
        while self.answers.front().is_some_and(|(after, _)| *after <= t.core.ledger.delivered()) {
            let (_, packet) = self.answers.pop_front().expect("the loop's condition saw it");
            t.out.push(Output::Answer { packet });
        }
        Next::Stay
    }

    fn keep(&mut self, t: &Turn, packet: Packet) -> Next {
        self.inbox_bytes += PACKET_OVERHEAD + packet.data.as_ref().map_or(0, Bytes::len);
        self.inbox.push_back(packet);
        if self.inbox_bytes > t.core.config.room(INBOX_BYTES_MAX) {
            return Next::Leave("the leader sends faster than the log can be cut".to_owned());
        }
        Next::Stay
    }

    fn truncate(&mut self, t: &mut Turn, to: Zxid) -> Next {
        let ledger = &mut t.core.ledger;
        if to == ledger.logged() {
            self.stage = Stage::Syncing;
            return Next::Stay;
        }
        if to > ledger.logged() || to.0 < 0 {
            return Next::Leave(format!("the leader wants the log cut at {to}, beyond its end"));
        }
        // Where the log is known, a cut between two transactions would tear it.
        let known = ledger.oldest().is_some_and(|oldest| oldest <= to);
        let held = ledger.newest_until(to).is_some_and(|entry| entry.zxid == to);
        if known && !held && !to.is_epoch_start() {
            self.refuse_cut(t);
            return Next::Leave(format!("the leader wants the log cut at {to}, which is not in it"));
        }
        ledger.truncate(to, t.out);
        self.stage = Stage::Cutting { to, exact: false };
        Next::Stay
    }

    /// Says so to the leader before the connection ends: an ACK that names no zxid, which a reference server takes
    /// for one of another epoch.
    fn refuse_cut(&self, t: &mut Turn) {
        self.send(t, &Packet::new(Kind::ACK, Zxid::NONE));
        t.core.needs_snapshot |= t.core.told_of_no_cut == Some(self.leader);
        t.core.told_of_no_cut = Some(self.leader);
    }

    fn up_to_date(&mut self, t: &mut Turn) -> Next {
        // The reference acknowledges UPTODATE as it did NEWLEADER; the leader ignores it.
        self.send(t, &Packet::new(Kind::ACK, self.epoch.start()));
        t.core.vote.peer_epoch = bent::epoch_told(t.core.vote.peer_epoch).unwrap_or(self.epoch);
        self.stage = Stage::Live { serve_at: t.core.ledger.committed() };
        Next::Stay
    }

    /// An observer takes proposals only while it syncs (§2.7).
    fn is_deaf_to_proposals(&self) -> bool {
        self.observer && matches!(self.stage, Stage::Live { .. })
    }

    fn proposal(&mut self, t: &mut Turn, zxid: Zxid, txn: Option<Bytes>) -> Next {
        match self.log(t, zxid, txn) {
            Ok(()) if self.observer => Next::Stay,
            Ok(()) => {
                self.unacked.push_back(zxid);
                match self.unacked.len() {
                    ..=UNACKED_MAX => Next::Stay,
                    _ => Next::Leave("too many proposals wait for the disk".to_owned()),
                }
            }
            Err(next) => next,
        }
    }

    fn inform(&mut self, t: &mut Turn, zxid: Zxid, txn: Option<Bytes>) -> Next {
        match self.log(t, zxid, txn) {
            Ok(()) => self.commit(t, zxid),
            Err(next) => next,
        }
    }

    /// Logs a transaction, unless it is logged already (TRAP Q24: it is acknowledged and dropped).
    fn log(&mut self, t: &mut Turn, zxid: Zxid, txn: Option<Bytes>) -> Result<(), Next> {
        let Some(txn) = txn else {
            return Err(Next::Leave(format!("the leader sent {zxid} without its transaction")));
        };
        if zxid.0 <= 0 || zxid.counter() == 0 || zxid.epoch() > self.epoch {
            return Err(Next::Leave(format!("{zxid} cannot be a transaction of {}", self.epoch)));
        }
        let ledger = &mut t.core.ledger;
        if zxid <= ledger.logged() {
            return Ok(());
        }
        if let Some(why) = t.core.rolls.refusal(zxid, &txn) {
            // Committed long ago, and the voters are the same again: then a snapshot tells no more of it.
            let syncs = !matches!(self.stage, Stage::Live { .. });
            t.core.needs_snapshot |= syncs && t.core.rolls.may_step_over(zxid);
            return Err(Next::Leave(why));
        }
        if !ledger.is_next(zxid) {
            // A hole in the leader's log (ZOOKEEPER-4925) would come again with the same sync.
            t.core.needs_snapshot |= !matches!(self.stage, Stage::Live { .. });
            return Err(Next::Leave(format!("{zxid} does not follow {} in the log", ledger.logged())));
        }
        ledger.append(zxid, txn, t.out);
        if ledger.unflushed_bytes() > t.core.config.room(UNFLUSHED_BYTES_MAX) {
            return Err(Next::Leave("the disk is too slow for this leader".to_owned()));
        }
        Ok(())
    }

    fn leave_foreign(&self, why: &str) -> Next {
        Next::Leave(format!("server {} is not followed: {why}", self.leader))
    }

    /// A commit must name the first transaction that is not committed (§2.7).
    fn commit(&mut self, t: &mut Turn, zxid: Zxid) -> Next {
        let ledger = &mut t.core.ledger;
        if zxid <= ledger.committed() {
            return Next::Stay;
        }
        let head = ledger.after(ledger.committed()).next().map(|entry| entry.zxid);
        match head {
            Some(head) if head == zxid => {
                ledger.commit(zxid);
                // What is committed during the sync needs no vote of ours any more.
                if !matches!(self.stage, Stage::Synced | Stage::Live { .. }) {
                    while self.unacked.pop_front_if(|unacked| *unacked <= zxid).is_some() {}
                }
                Next::Stay
            }
            Some(head) => Next::Halt(format!(
                "the leader committed {zxid} where {head} is next: the logs differ; \
                 restart this server to sync it again"
            )),
            None => Next::Leave(format!("the leader committed {zxid}, which it never proposed")),
        }
    }

    fn answer(&mut self, t: &mut Turn, packet: Packet) -> Next {
        let after = bent::answered_after().unwrap_or(t.core.ledger.committed());
        self.answers.push_back((after, packet));
        if self.answers.len() > ANSWERS_MAX {
            return Next::Leave("too many answers wait for the disk".to_owned());
        }
        Next::Stay
    }

    /// §2.5 MUST (follower), steps 4 and 5: the whole initial history and the epoch are durable.
    fn acknowledge_leader(&mut self, t: &mut Turn) {
        self.stage = Stage::Synced;
        self.expect_packet(t);
        self.send(t, &Packet::new(Kind::ACK, self.epoch.start()));
    }

    /// Acknowledges the proposals that are durable, each one, in order (§2.7).
    fn acknowledge(&mut self, t: &mut Turn) {
        let ledger = &t.core.ledger;
        let durable = bent::acknowledgeable(ledger.logged()).unwrap_or(ledger.durable());
        let count = self.unacked.iter().take_while(|zxid| **zxid <= durable).count();
        let (true, Some(conn)) = (count > 0, self.conn) else {
            return;
        };
        let mut w = Writer::with_capacity(24 * count);
        for zxid in self.unacked.drain(..count) {
            Packet::new(Kind::ACK, zxid).write(&mut w);
        }
        t.out.push(Output::Send { conn, bytes: w.finish() });
    }

    fn send(&self, t: &mut Turn, packet: &Packet) {
        if let Some(conn) = self.conn {
            t.send(conn, packet);
        }
    }
}

/// Whether nothing but a snapshot will do: the log here cannot be continued, or is not there.
fn wants_snapshot(t: &Turn) -> bool {
    t.core.needs_snapshot || t.core.ledger.is_unsynced()
}

/// Transactions written and not yet durable, in bytes: a disk this far behind the leader must
/// resync instead of eating the memory.
const UNFLUSHED_BYTES_MAX: usize = 256 << 20;
/// Bytes kept while the log is being cut, which takes as long as loading the tree.
const INBOX_BYTES_MAX: usize = 64 << 20;
/// What a packet costs in memory beside its data.
const PACKET_OVERHEAD: usize = 128;
/// Answers waiting for deliveries; a client has one SYNC or REVALIDATE under way at a time.
const ANSWERS_MAX: usize = 1 << 16;
/// Proposals waiting for their ack: more than any leader lets be outstanding.
const UNACKED_MAX: usize = 1 << 21;
