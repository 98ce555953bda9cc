//! Leading (quorum-protocol §2.3, §2.6): the stages from an elected candidate to a leader that
//! serves, and the packets of its learners.
//!
//! Each stage ends when a quorum has been heard *and* this server's own write is durable. Who
//! is let in stands in `door`, epoch agreement in `discovery`, bringing a learner up to date in `sync`, proposals in
//! `broadcast`, timeouts in `ping`.

use std::collections::{BTreeMap, BTreeSet};

use super::learner_link::{self, Link};
use super::proof::Rounds;
use super::wire::Kind;
use super::{ConnId, Core, LearnerStatus, Next, Output, Packet, Role, Turn, bent};
use crate::wire::ids::{Epoch, ServerId, Zxid};

pub(super) struct Leader {
    pub(super) stage: Stage,
    /// While gathering: one above the largest epoch anybody has accepted. Then: the epoch.
    pub(super) epoch: Epoch,
    /// (current epoch, last zxid) of the candidate: no elector may have a longer history.
    pub(super) summary: (Epoch, Zxid),
    /// Voters that said which epoch they have accepted; that promised this one; that have its
    /// initial history durable. This server is among them when its own writes are durable.
    pub(super) heard: BTreeSet<ServerId>,
    pub(super) promised: BTreeSet<ServerId>,
    pub(super) synced: BTreeSet<ServerId>,
    pub(super) links: BTreeMap<ConnId, Link>,
    pub(super) last_proposed: Zxid,
    pub(super) outstanding_bytes: usize,
    /// A voter that cannot follow, because it has promised a later epoch to somebody who then
    /// failed. It would stay outside for as long as this server leads.
    pub(super) outbid_by: Option<ServerId>,
    /// The stage must end before this.
    pub(super) give_up_ms: u64,
    /// Not serving yet: when a quorum was last seen connected.
    pub(super) lonely_since_ms: u64,
    pub(super) next_ping_ms: u64,
    pub(super) full_tick: bool,
    pub(super) rounds: Rounds,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stage {
    /// Waiting until a quorum has said which epochs are taken.
    Gathering,
    /// The new epoch's acceptance is being written.
    Accepting,
    /// LEADERINFO goes out; waiting until a quorum has promised.
    Electing,
    /// Learners are brought up to date; waiting until a quorum has the initial history.
    Syncing,
    Serving,
}

impl Leader {
    pub(super) fn start(t: &mut Turn) -> (Leader, Next) {
        let (me, accepted) = (t.core.config.me, t.core.ledger.accepted());
        t.core.needs_snapshot = false;
        t.core.told_of_no_cut = None;
        let mut leader = Leader {
            stage: Stage::Gathering,
            epoch: Epoch(accepted.max(t.core.epoch_floor).0 + 1),
            summary: (t.core.ledger.current(), t.core.ledger.logged()),
            heard: BTreeSet::from([me]),
            promised: BTreeSet::new(),
            synced: BTreeSet::new(),
            links: BTreeMap::new(),
            last_proposed: t.core.ledger.logged(),
            outstanding_bytes: 0,
            outbid_by: None,
            give_up_ms: t.now_ms + t.core.config.init_ms(),
            lonely_since_ms: t.now_ms,
            next_ping_ms: t.now_ms + ping_pause_ms(t.core),
            full_tick: false,
            rounds: Rounds::default(),
        };
        if leader.epoch.0 > i64::from(i32::MAX) {
            let reason = "all epochs are used up; the ensemble must be set up anew".to_owned();
            return (leader, Next::Halt(reason));
        }
        let next = leader.advance(t);
        (leader, next)
    }

    pub(super) fn last_proposed(&self) -> Zxid {
        self.last_proposed
    }

    pub(super) fn packet(&mut self, t: &mut Turn, conn: ConnId, packet: Packet) -> Next {
        let conn = bent::speaker(&self.links, conn).unwrap_or(conn);
        let Some(link) = self.links.get_mut(&conn) else {
            return Next::Stay;
        };
        link.touch(t.now_ms, &t.core.config);
        match (link.stage, packet.kind) {
            (learner_link::Stage::Accepted, Kind::FOLLOWERINFO | Kind::OBSERVERINFO) => {
                self.introduce(t, conn, &packet);
            }
            (learner_link::Stage::Informed, Kind::ACKEPOCH) => self.promise(t, conn, &packet),
            (stage, Kind::ACK) if link.is_gated() || stage == learner_link::Stage::Live => {
                self.acked(t, conn, packet.zxid);
            }
            (learner_link::Stage::Live, _) => self.application(t, conn, packet),
            (stage, kind) => {
                self.cut(t, conn, &format!("sent a packet of type {} while {stage:?}", kind.0));
            }
        }
        self.advance(t)
    }

    pub(super) fn progress(&mut self, t: &Turn, conn: ConnId) -> Next {
        if let Some(link) = self.links.get_mut(&conn) {
            link.expect_packet(t.now_ms, &t.core.config);
        }
        Next::Stay
    }

    pub(super) fn down(&mut self, t: &mut Turn, conn: ConnId) -> Next {
        if let Some(link) = self.links.get(&conn).filter(|link| link.stage == learner_link::Stage::Live)
            && let Some(sid) = link.sid
        {
            let what = format!("server {sid} no longer follows: its connection is gone");
            t.core.comings.tell(t.now_ms, sid, &what, t.out);
        }
        self.forget(t, conn);
        Next::Stay
    }

    /// Something became durable.
    pub(super) fn written(&mut self, t: &mut Turn) -> Next {
        self.advance(t)
    }

    pub(super) fn answer(&self, conn: ConnId, packet: Packet, out: &mut Vec<Output>) {
        if let Some(link) = self.links.get(&conn).filter(|l| l.stage == learner_link::Stage::Live) {
            link.send(&packet, out);
        }
    }

    pub(super) fn close_all(&self, out: &mut Vec<Output>) {
        out.extend(self.links.keys().map(|conn| Output::Close { conn: *conn }));
    }

    pub(super) fn learners(&self) -> impl Iterator<Item = LearnerStatus> {
        let start = self.epoch.start();
        self.links.values().filter_map(move |link| {
            Some(LearnerStatus {
                conn: link.conn,
                sid: link.sid?,
                observer: link.observer,
                synced: link.stage == learner_link::Stage::Live,
                acked: link.acked.max(start),
            })
        })
    }

    /// Passes from stage to stage as far as what was heard and what is durable allow.
    pub(super) fn advance(&mut self, t: &mut Turn) -> Next {
        loop {
            let before = self.stage;
            match self.stage {
                Stage::Gathering if self.has_quorum(t.core, &self.heard) => self.take_epoch(t),
                Stage::Accepting if t.core.ledger.accepted() == self.epoch => self.announce(t),
                Stage::Electing if self.has_quorum(t.core, &self.promised) => self.begin_sync(t),
                Stage::Syncing if t.core.ledger.current() == self.epoch => {
                    self.synced.insert(t.core.config.me);
                    if self.has_quorum(t.core, &self.synced) || bent::leads_before_quorum() {
                        self.establish(t);
                    }
                }
                Stage::Serving => self.commit(t),
                _ => {}
            }
            if self.stage == before {
                break;
            }
        }
        self.trim(t);
        if let Some(sid) = self.outbid_by {
            return Next::Leave(format!("{sid:?} has promised an epoch after {}", self.epoch));
        }
        self.retire_if_exhausted(t)
    }

    pub(super) fn has_quorum(&self, core: &Core, set: &BTreeSet<ServerId>) -> bool {
        core.config.is_quorum(|sid| set.contains(&sid))
    }

    /// A quorum has the initial history durable: the leader leads (§2.6).
    fn establish(&mut self, t: &mut Turn) {
        let start = self.epoch.start();
        self.stage = Stage::Serving;
        self.give_up_ms = u64::MAX;
        self.last_proposed = start;
        t.core.ledger.start_epoch(start);
        t.core.vote.peer_epoch = self.epoch;
        t.out.push(Output::EpochStart { zxid: start });
        let with: Vec<String> = self.synced.iter().map(ServerId::to_string).collect();
        t.set_role(Role::Leading { serving: true });
        t.note(format!("leading since zxid {start}, with the servers {} in sync", with.join(", ")));
        for conn in self.conns() {
            if self.links[&conn].stage == learner_link::Stage::Synced {
                self.open_gate(t, conn);
            }
        }
    }

    fn application(&mut self, t: &mut Turn, conn: ConnId, packet: Packet) {
        let Some(from) = self.links.get(&conn).and_then(|link| link.sid) else {
            return;
        };
        match packet.kind {
            Kind::REQUEST => t.out.push(Output::Request { conn, from, packet }),
            Kind::REVALIDATE => t.out.push(Output::Revalidate { conn, from, packet }),
            Kind::PING => {
                if let Some(entries) = packet.data.filter(|entries| !entries.is_empty()) {
                    t.out.push(Output::Touched { conn, entries });
                }
                if let Some(link) = self.links.get_mut(&conn) {
                    link.pings.note_answered();
                }
                self.confirm_next(t);
            }
            _ => {}
        }
    }

    pub(super) fn forget(&mut self, t: &mut Turn, conn: ConnId) {
        if self.links.remove(&conn).is_some_and(|link| link.stage == learner_link::Stage::Live) {
            t.out.push(Output::LearnerGone { conn });
        }
    }

    pub(super) fn conns(&self) -> Vec<ConnId> {
        self.links.keys().copied().collect()
    }
}

/// The leader pings every half tick (§2.8).
pub(super) fn ping_pause_ms(core: &Core) -> u64 {
    (core.config.tick_ms / 2).max(1)
}
