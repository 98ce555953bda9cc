//! Following a leader, first half (quorum-protocol §2.3, §2.14 seen from the learner): dial it,
//! agree on its epoch, take its packets. What the sync and broadcast packets mean is in
//! `learner_sync`.
//!
//! Any packet that does not belong where it arrives ends the role: the connection is closed and a
//! new election starts.

use std::collections::VecDeque;

use bytes::Bytes;

use super::wire::{self, Kind, LearnerInfo, PROTOCOL_VERSION};
use super::{ConnId, Next, Output, Packet, PersistId, Turn, bent};
use crate::wire::ids::{Epoch, ServerId, Zxid};

pub(super) struct Learner {
    pub(super) leader: ServerId,
    /// An observer is told of commits only and votes on nothing.
    pub(super) observer: bool,
    address: (String, u16),
    pub(super) conn: Option<ConnId>,
    pub(super) stage: Stage,
    /// The leader's epoch, from LEADERINFO on.
    pub(super) epoch: Epoch,
    /// The leader is given up when nothing is heard until then.
    read_by_ms: u64,
    /// Proposals of this connection that wait for their ACK, in order.
    pub(super) unacked: VecDeque<Zxid>,
    /// Answers that wait until all that was committed before them is delivered.
    pub(super) answers: VecDeque<(Zxid, Packet)>,
    /// Packets that arrived while the log was being cut.
    pub(super) inbox: VecDeque<Packet>,
    pub(super) inbox_bytes: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stage {
    /// Dialling, or pausing until `next_ms` when no dial is under way.
    Dialing { dials: u32, next_ms: u64, give_up_ms: u64 },
    /// FOLLOWERINFO or OBSERVERINFO is sent.
    Introduced,
    /// The promise for the leader's epoch is being written.
    Promising { fresh: bool },
    /// ACKEPOCH is sent; DIFF, TRUNC or SNAP comes next.
    Promised,
    /// The snapshot stream is running.
    Receiving { zxid: Zxid },
    /// The log is being cut. `exact`: a snapshot with just this zxid must be what is left.
    Cutting { to: Zxid, exact: bool },
    /// The sync stream is running.
    Syncing,
    /// NEWLEADER has come; all that came before it is being made durable.
    Flushing { upto: PersistId },
    /// The current epoch is being written.
    Dating,
    /// This server's data was not whole and is now; that is being written.
    Mending,
    /// NEWLEADER is acknowledged.
    Synced,
    /// UPTODATE has come; clients are served once `serve_at` is delivered.
    Live { serve_at: Zxid },
}

impl Learner {
    pub(super) fn start(t: &mut Turn, leader: ServerId, observer: bool) -> Learner {
        let member = t.core.config.membership.get(leader).expect("only members are elected");
        let address = (member.address().host.clone(), member.address().quorum_port);
        let give_up_ms = t.now_ms + t.core.config.connect_ms();
        let mut learner = Learner {
            leader,
            observer,
            address,
            conn: None,
            stage: Stage::Dialing { dials: 0, next_ms: t.now_ms, give_up_ms },
            epoch: Epoch(0),
            read_by_ms: u64::MAX,
            unacked: VecDeque::new(),
            answers: VecDeque::new(),
            inbox: VecDeque::new(),
            inbox_bytes: 0,
        };
        learner.dial(t);
        learner
    }

    pub(super) fn connected(&mut self, t: &mut Turn, conn: ConnId) -> Next {
        if self.conn != Some(conn) || !matches!(self.stage, Stage::Dialing { .. }) {
            t.out.push(Output::Close { conn });
            return Next::Stay;
        }
        let kind = if self.observer { Kind::OBSERVERINFO } else { Kind::FOLLOWERINFO };
        let info = LearnerInfo {
            sid: t.core.config.me,
            protocol_version: PROTOCOL_VERSION,
            config_version: t.core.config.membership.version(),
        };
        t.send(conn, &Packet::with_data(kind, t.core.ledger.accepted().start(), info.encode()));
        self.stage = Stage::Introduced;
        self.expect_packet(t);
        Next::Stay
    }

    pub(super) fn packet(&mut self, t: &mut Turn, conn: ConnId, packet: Packet) -> Next {
        if self.conn != Some(conn) {
            return Next::Stay;
        }
        self.expect_packet(t);
        let next = match (self.stage, packet.kind) {
            (Stage::Introduced, Kind::LEADERINFO) => self.leader_info(t, &packet),
            (Stage::Dialing { .. } | Stage::Introduced | Stage::Promising { .. }, _) => misplaced(&packet),
            _ => self.stream(t, packet),
        };
        match next {
            Next::Stay => self.advance(t),
            other => other,
        }
    }

    pub(super) fn progress(&mut self, t: &Turn, conn: ConnId) -> Next {
        if self.conn == Some(conn) {
            self.expect_packet(t);
        }
        Next::Stay
    }

    pub(super) fn down(&mut self, t: &Turn, conn: ConnId) -> Next {
        if self.conn != Some(conn) {
            return Next::Stay;
        }
        self.conn = None;
        match &mut self.stage {
            Stage::Dialing { dials, next_ms, .. } if *dials < DIALS_MAX => {
                *next_ms = t.now_ms + (REDIAL_MS_MIN << (*dials - 1)).min(REDIAL_MS_MAX);
                Next::Stay
            }
            Stage::Dialing { .. } => Next::Leave(format!("{:?} cannot be reached", self.leader)),
            _ => Next::Leave(format!("the connection to {:?} is gone", self.leader)),
        }
    }

    /// Something became durable.
    pub(super) fn written(&mut self, t: &mut Turn) -> Next {
        self.advance(t)
    }

    pub(super) fn timers(&mut self, t: &mut Turn) -> Next {
        if let Stage::Dialing { next_ms, give_up_ms, .. } = self.stage {
            if give_up_ms <= t.now_ms {
                return Next::Leave(format!("{:?} cannot be reached in time", self.leader));
            }
            if next_ms <= t.now_ms {
                match self.conn {
                    Some(conn) => {
                        t.out.push(Output::Close { conn });
                        return self.down(t, conn);
                    }
                    None => self.dial(t),
                }
            }
            return Next::Stay;
        }
        if self.deadline_ms() <= t.now_ms {
            return Next::Leave(format!("nothing heard from {:?} in time", self.leader));
        }
        Next::Stay
    }

    pub(super) fn deadline_ms(&self) -> u64 {
        match self.stage {
            Stage::Dialing { next_ms, give_up_ms, .. } => next_ms.min(give_up_ms),
            // Our own disk is what is waited for; the leader may be silent meanwhile.
            Stage::Promising { .. }
            | Stage::Cutting { .. }
            | Stage::Flushing { .. }
            | Stage::Dating
            | Stage::Mending => u64::MAX,
            _ => self.read_by_ms,
        }
    }

    /// Sends a packet of the application, once this server is up to date.
    pub(super) fn forward(&self, mut packet: Packet, out: &mut Vec<Output>) {
        let (Some(conn), Stage::Live { .. }) = (self.conn, self.stage) else {
            return;
        };
        if packet.kind == Kind::PING && packet.data.is_none() {
            packet.data = Some(Bytes::new()); // TRAP Q12
        }
        out.push(Output::Send { conn, bytes: packet.encode() });
    }

    pub(super) fn close(&self, out: &mut Vec<Output>) {
        if let Some(conn) = self.conn {
            out.push(Output::Close { conn });
        }
    }

    /// Restarts the read timeout (§2.8): generous until NEWLEADER, then the sync limit.
    pub(super) fn expect_packet(&mut self, t: &Turn) {
        let config = &t.core.config;
        let limit_ms = match self.stage {
            Stage::Flushing { .. } | Stage::Dating | Stage::Mending | Stage::Synced | Stage::Live { .. } => {
                config.sync_ms()
            }
            _ => config.init_ms(),
        };
        self.read_by_ms = t.now_ms + limit_ms;
    }

    fn dial(&mut self, t: &mut Turn) {
        let conn = t.core.dialled_conn();
        self.conn = Some(conn);
        if let Stage::Dialing { dials, next_ms, .. } = &mut self.stage {
            *dials += 1;
            *next_ms = t.now_ms + t.core.config.cnx_timeout_ms;
        }
        let (host, port) = self.address.clone();
        t.out.push(Output::DialLeader { conn, host, port });
    }

    /// §2.3 step 4: the promise is durable before it is given.
    ///
    /// An observer's binds nobody, itself included: no leader counts it, so none need know how far it goes, and none
    /// goes beyond it. Whoever has promised too much, by a candidate that is gone or by a flipped bit, would be left
    /// outside for ever. It goes back behind no leader whose history it has, though.
    fn leader_info(&mut self, t: &mut Turn, packet: &Packet) -> Next {
        let version = wire::int_of(packet).unwrap_or(0);
        if version < PROTOCOL_VERSION {
            return Next::Leave(format!("{:?} speaks protocol version {version:#x}", self.leader));
        }
        let (epoch, accepted) = (packet.zxid.epoch(), t.core.ledger.accepted());
        let reached = if self.observer { t.core.ledger.current() } else { accepted };
        if epoch < reached && !bent::follows_a_stale_epoch() {
            let what = if self.observer { "was followed" } else { "is promised" };
            return Next::Leave(format!("{:?} leads {epoch}, but {reached} {what}", self.leader));
        }
        self.epoch = epoch;
        self.stage = Stage::Promising { fresh: epoch > accepted && !self.observer };
        if epoch > accepted {
            t.core.ledger.write_accepted(epoch, t.out);
        }
        Next::Stay
    }

    /// Goes on as far as what is durable allows.
    fn advance(&mut self, t: &mut Turn) -> Next {
        loop {
            let before = self.stage;
            let ledger = &t.core.ledger;
            match self.stage {
                Stage::Promising { fresh }
                    if ledger.accepted() >= self.epoch || bent::promises_before_fsync() =>
                {
                    self.promise(t, fresh);
                }
                Stage::Cutting { to, exact } if ledger.is_quiescent() => {
                    let next = self.cut(t, to, exact);
                    if !matches!(next, Next::Stay) {
                        return next;
                    }
                }
                Stage::Flushing { upto } if ledger.has_persisted(upto) || bent::dates_before_sync() => {
                    self.stage = Stage::Dating;
                    if ledger.current() < self.epoch {
                        t.core.ledger.write_current(self.epoch, t.out);
                    }
                }
                Stage::Dating if ledger.current() == self.epoch && ledger.is_unsynced() => {
                    self.stage = Stage::Mending;
                    t.core.ledger.declare_whole(t.out);
                }
                _ => {}
            }
            if self.stage == before {
                return self.follow(t);
            }
        }
    }

    /// A promise given once for this epoch is not counted again: the reply is −1 (§2.3 step 4), and that of an
    /// observer always. A server that lost its data names no zxid, and its promise elects nobody, for it does not know
    /// what it has acknowledged. One that is whole and needs a snapshot does know.
    fn promise(&mut self, t: &mut Turn, fresh: bool) {
        let ledger = &t.core.ledger;
        let current = if fresh && !ledger.is_unsynced() { ledger.current() } else { Epoch(-1) };
        let packet = match ledger.claimed() {
            Zxid::NONE => wire::ack_epoch(Zxid::NONE, current),
            has if t.core.needs_snapshot => wire::ack_epoch_for_snapshot(has, current),
            has => wire::ack_epoch(has, current),
        };
        self.stage = Stage::Promised;
        self.expect_packet(t);
        if let Some(conn) = self.conn {
            t.send(conn, &packet);
        }
    }
}

pub(super) fn misplaced(packet: &Packet) -> Next {
    Next::Leave(format!("the leader sent a packet of type {} where it does not belong", packet.kind.0))
}

/// Dials of the leader before giving up on it. With the pauses below about half a second, as in
/// the reference (5 × 100 ms), but a leader that needs only a moment to listen is found at once.
const DIALS_MAX: u32 = 8;
const REDIAL_MS_MIN: u64 = 10;
const REDIAL_MS_MAX: u64 = 100;
