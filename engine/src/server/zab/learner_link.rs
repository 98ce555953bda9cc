//! Leading: what is known of one learner (quorum-protocol §2.14), and its liveness (§2.8).
//!
//! A link keeps no queue. What a learner has been sent is two marks in the leader's log; what it
//! missed while its gate was closed is taken from the log when the gate opens.

use super::proof::Pings;
use super::{Config, ConnId, Output, Packet};
use crate::wire::ids::{Epoch, ServerId, Zxid};

pub(super) struct Link {
    pub(super) conn: ConnId,
    /// Unknown until the learner has introduced itself and was let in.
    pub(super) sid: Option<ServerId>,
    pub(super) observer: bool,
    /// It came without its data before this leader was established: it does not help to establish it.
    pub(super) forgetful: bool,
    pub(super) stage: Stage,
    /// The link is cut when no packet arrives until then.
    pub(super) read_by_ms: u64,
    /// When a byte moved last, in either direction.
    moved_ms: u64,
    /// Until then the learner counts as alive in the leader's quorum check.
    pub(super) synced_by_ms: u64,
    /// The last proposal and the last commit it was sent.
    pub(super) proposed: Zxid,
    pub(super) committed: Zxid,
    /// The last proposal it has acknowledged. Acks come in order and the log is flushed in
    /// order, so one stands for all before it (I3). It dies with the connection: a learner that
    /// comes back may have been told to cut what it had acknowledged.
    pub(super) acked: Zxid,
    /// The oldest proposal it was sent and has not acknowledged, and when it was sent.
    slow: Option<(Zxid, u64)>,
    newest_sent_ms: u64,
    pub(super) pings: Pings,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stage {
    /// Connected; FOLLOWERINFO or OBSERVERINFO comes next.
    Accepted,
    /// It says that it is a server whose link lives. It is told nothing and counts for nothing until that link ends:
    /// by its Down, by being cut, or because no byte moved on it for one tick (a live learner answers a PING every half
    /// tick). Only then is the claim heard, and from then on nothing that the older link sent counts.
    Parked(Claim),
    /// It waits for LEADERINFO.
    Introduced,
    /// LEADERINFO is sent; ACKEPOCH comes next.
    Informed,
    /// ACKEPOCH has come with this zxid; the sync waits for the epoch quorum.
    Promised { last: Zxid },
    /// The sync stream and NEWLEADER are sent; live traffic is held back.
    Gated,
    /// NEWLEADER is acknowledged; UPTODATE waits for the quorum.
    Synced,
    /// UPTODATE is sent; the gate is open.
    Live,
}

/// What a connection says of itself: who it is, and which epoch it has accepted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Claim {
    pub(super) sid: ServerId,
    pub(super) observer: bool,
    pub(super) accepted: Epoch,
}

impl Link {
    pub(super) fn new(conn: ConnId, now_ms: u64, config: &Config) -> Link {
        Link {
            conn,
            sid: None,
            observer: false,
            forgetful: false,
            stage: Stage::Accepted,
            read_by_ms: now_ms + config.init_ms(),
            moved_ms: now_ms,
            synced_by_ms: now_ms + config.init_ms() + config.sync_ms(),
            proposed: Zxid::ZERO,
            committed: Zxid::ZERO,
            acked: Zxid::ZERO,
            slow: None,
            newest_sent_ms: now_ms,
            pings: Pings::default(),
        }
    }

    /// A packet has arrived.
    pub(super) fn touch(&mut self, now_ms: u64, config: &Config) {
        self.expect_packet(now_ms, config);
        if self.stage == Stage::Live {
            self.synced_by_ms = now_ms + config.sync_ms();
        }
    }

    /// Restarts the read timeout: generous until NEWLEADER is acknowledged (§2.8). Who has not come in yet gets no
    /// second one, however slowly it talks.
    pub(super) fn expect_packet(&mut self, now_ms: u64, config: &Config) {
        self.moved_ms = now_ms;
        let limit_ms = match self.stage {
            Stage::Accepted | Stage::Parked(_) => return,
            Stage::Synced | Stage::Live => config.sync_ms(),
            _ => config.init_ms(),
        };
        self.read_by_ms = now_ms + limit_ms;
    }

    /// Whether it was answered: it had an id that was free, and an epoch that can be followed.
    pub(super) fn has_come_in(&self) -> bool {
        !matches!(self.stage, Stage::Accepted | Stage::Parked(_) | Stage::Introduced)
    }

    /// Whether no byte has moved for one tick, so that whoever says the same of itself may take over.
    pub(super) fn is_dead(&self, now_ms: u64, tick_ms: u64) -> bool {
        self.dead_ms(tick_ms) <= now_ms
    }

    /// When it is, if nothing moves until then.
    pub(super) fn dead_ms(&self, tick_ms: u64) -> u64 {
        self.moved_ms + tick_ms
    }

    /// Whether this is the link of the voter `sid`. Observers never count (lesson 2959).
    pub(super) fn is_voter(&self, sid: ServerId) -> bool {
        self.sid == Some(sid) && !self.observer
    }

    /// Whether live traffic is held back.
    pub(super) fn is_gated(&self) -> bool {
        matches!(self.stage, Stage::Gated | Stage::Synced)
    }

    pub(super) fn note_proposed(&mut self, zxid: Zxid, now_ms: u64) {
        self.proposed = zxid;
        self.newest_sent_ms = now_ms;
        self.slow.get_or_insert((zxid, now_ms));
    }

    /// The time a learner took to sync does not count against it.
    pub(super) fn restart_patience(&mut self, now_ms: u64) {
        self.newest_sent_ms = now_ms;
        self.slow = self.slow.map(|(zxid, _)| (zxid, now_ms));
    }

    /// Notes an ACK of a proposal of `epoch`. Acks of what was never sent, or of older epochs
    /// (a follower of 3.8 sends them after a DIFF, §2.17), count for nothing.
    pub(super) fn note_acked(&mut self, zxid: Zxid, epoch: Epoch) {
        if zxid.epoch() != epoch || zxid > self.proposed || zxid <= self.acked {
            return;
        }
        self.acked = zxid;
        if self.slow.is_some_and(|(oldest, _)| oldest <= zxid) {
            // What is left is at most as old as the newest: the reference tracks two marks as well.
            self.slow = (self.proposed > zxid).then_some((self.proposed, self.newest_sent_ms));
        }
    }

    /// Whether its oldest unacknowledged proposal is too old (§2.8 "slow acker").
    pub(super) fn is_slow(&self, now_ms: u64, limit_ms: u64) -> bool {
        self.stage == Stage::Live
            && !self.observer
            && self.slow.is_some_and(|(_, sent_ms)| sent_ms + limit_ms <= now_ms)
    }

    pub(super) fn send(&self, packet: &Packet, out: &mut Vec<Output>) {
        out.push(Output::Send { conn: self.conn, bytes: packet.encode() });
    }
}
