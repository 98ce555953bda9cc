//! One server between scripted peers: the stage for the tests of single rules.

use bytes::{Bytes, BytesMut};

use super::cluster::{member_list, test_config};
use crate::server::zab::ballot::State;
use crate::server::zab::wire::{Kind, LearnerInfo, PROTOCOL_VERSION, take_packet};
use crate::server::zab::*;
use crate::wire::jute::FIELD_LEN_MAX;

pub(super) struct Solo {
    pub(super) zab: Zab,
    pub(super) now_ms: u64,
    /// Writes handed out and not reported durable.
    pub(super) writes: Vec<(PersistId, PersistOp)>,
}

pub(super) fn zxid(epoch: i64, counter: u32) -> Zxid {
    Zxid::new(Epoch(epoch), counter)
}

pub(super) fn txn(zxid: Zxid) -> Bytes {
    Bytes::from(format!("txn {zxid}"))
}

/// A disk with these transactions.
pub(super) fn disk(accepted: i64, current: i64, zxids: &[Zxid]) -> Durable {
    Durable {
        accepted_epoch: Epoch(accepted),
        current_epoch: Epoch(current),
        last_zxid: zxids.last().copied().unwrap_or(Zxid::ZERO),
        tail: zxids.iter().map(|z| (*z, txn(*z))).collect(),
        wounded: false,
    }
}

/// The packets in these outputs, as `(connection, packet)`.
pub(super) fn packets(out: &[Output]) -> Vec<(u64, Packet)> {
    let mut found = Vec::new();
    for output in out {
        if let Output::Send { conn, bytes } = output {
            let mut buffer = BytesMut::from(&bytes[..]);
            while let Some(packet) = take_packet(&mut buffer, FIELD_LEN_MAX).unwrap() {
                found.push((conn.0, packet));
            }
        }
    }
    found
}

/// Kind and zxid of the packets to one connection.
pub(super) fn sent(out: &[Output], conn: ConnId) -> Vec<(Kind, Zxid)> {
    packets(out).into_iter().filter(|(c, _)| *c == conn.0).map(|(_, p)| (p.kind, p.zxid)).collect()
}

pub(super) fn notifications(out: &[Output]) -> Vec<(u64, Notification)> {
    let mut found = Vec::new();
    for output in out {
        if let Output::SendElection { conn, bytes } = output
            && bytes[0] != 0xff
        {
            found.push((conn.0, Notification::decode(bytes.slice(4..)).unwrap()));
        }
    }
    found
}

pub(super) fn delivered(out: &[Output]) -> Vec<Zxid> {
    out.iter()
        .filter_map(|output| match output {
            Output::Deliver { zxid, .. } => Some(*zxid),
            _ => None,
        })
        .collect()
}

pub(super) fn has_role(out: &[Output], role: Role) -> bool {
    out.contains(&Output::Role(role))
}

pub(super) fn is_closed(out: &[Output], conn: ConnId) -> bool {
    out.contains(&Output::Close { conn })
}

/// What a voter says that wants `leader`.
pub(super) fn vote(state: State, leader: i64, zxid: Zxid, round: i64, peer_epoch: i64) -> Notification {
    Notification {
        state,
        leader: ServerId(leader),
        zxid,
        round,
        peer_epoch: Epoch(peer_epoch),
        version: 2,
        config: None,
    }
}

impl Solo {
    pub(super) fn new(me: i64, voters: usize, observers: usize, durable: Durable) -> Solo {
        Solo::admitting(0, me, voters, observers, durable)
    }

    /// One that lets so many learners in that are not listed.
    pub(super) fn admitting(
        unlisted_learners: usize,
        me: i64,
        voters: usize,
        observers: usize,
        durable: Durable,
    ) -> Solo {
        let membership = Membership::parse(&member_list(voters, observers)).unwrap();
        let config = Config { unlisted_learners, ..test_config(ServerId(me), &membership) };
        Solo { zab: Zab::new(config, durable, 7, 0), now_ms: 0, writes: Vec::new() }
    }

    pub(super) fn step(&mut self, input: Input) -> Vec<Output> {
        let mut out = Vec::new();
        self.zab.step(self.now_ms, input, &mut out);
        self.keep(&out);
        out
    }

    pub(super) fn keep(&mut self, out: &[Output]) {
        for output in out {
            if let Output::Persist { id, op } = output {
                self.writes.push((*id, op.clone()));
            }
        }
    }

    /// Lets time pass, with the ticks that are asked for.
    pub(super) fn wait(&mut self, ms: u64) -> Vec<Output> {
        let until_ms = self.now_ms + ms;
        let mut out = Vec::new();
        while self.zab.deadline_ms() <= until_ms {
            self.now_ms = self.now_ms.max(self.zab.deadline_ms());
            out.extend(self.step(Input::Tick));
        }
        self.now_ms = until_ms;
        out.extend(self.step(Input::Tick));
        out
    }

    /// Reports the oldest write durable.
    pub(super) fn persist_one(&mut self) -> Vec<Output> {
        let (id, _) = self.writes.remove(0);
        self.step(Input::Persisted { id })
    }

    /// Reports all writes durable, and those that follow from that.
    pub(super) fn persist(&mut self) -> Vec<Output> {
        let mut out = Vec::new();
        while let Some((id, _)) = self.writes.last().cloned() {
            self.writes.clear();
            out.extend(self.step(Input::Persisted { id }));
        }
        out
    }

    pub(super) fn ops(&self) -> Vec<PersistOp> {
        self.writes.iter().map(|(_, op)| op.clone()).collect()
    }

    pub(super) fn packet(&mut self, conn: ConnId, packet: Packet) -> Vec<Output> {
        self.step(Input::Packet { conn, packet })
    }

    pub(super) fn kind(&mut self, conn: ConnId, kind: Kind, zxid: Zxid) -> Vec<Output> {
        self.packet(conn, Packet::new(kind, zxid))
    }

    pub(super) fn proposal(&mut self, conn: ConnId, zxid: Zxid) -> Vec<Output> {
        self.packet(conn, Packet::with_data(Kind::PROPOSAL, zxid, txn(zxid)))
    }

    pub(super) fn hear(&mut self, conn: ConnId, n: &Notification) -> Vec<Output> {
        self.step(Input::ElectionMessage { conn, payload: n.encode().slice(4..) })
    }

    /// A peer with a higher id connects to the election port.
    pub(super) fn accept_peer(&mut self, conn: ConnId, sid: i64) -> Vec<Output> {
        let hello = Hello { sid: ServerId(sid), addresses: vec![(format!("n{sid}"), 3888)] };
        self.step(Input::ElectionHello { conn, hello })
    }

    /// Brings up the dialled election connection to a peer with a lower id.
    pub(super) fn reach_peer(&mut self, out: &[Output], sid: i64) -> (ConnId, Vec<Output>) {
        let conn = out
            .iter()
            .find_map(|output| match output {
                Output::DialElection { conn, to, .. } if to.0 == sid => Some(*conn),
                _ => None,
            })
            .expect("the peer is dialled");
        let out = self.step(Input::ElectionUp { conn });
        (conn, out)
    }

    pub(super) fn dialled_leader(out: &[Output]) -> ConnId {
        out.iter()
            .find_map(|output| match output {
                Output::DialLeader { conn, .. } => Some(*conn),
                _ => None,
            })
            .expect("the leader is dialled")
    }
}

/// The election connection of the scripted leader of [`follower`], server 3.
pub(super) const LEADER_BALLOT: ConnId = ConnId(2);

/// Server 1 of three, decided to follow server 3, with the connection to it up.
pub(super) fn follower(durable: Durable) -> (Solo, ConnId, Vec<Output>) {
    let (last, current) = (durable.last_zxid, durable.current_epoch.0);
    let mut solo = Solo::new(1, 3, 0, durable);
    solo.step(Input::Tick);
    solo.accept_peer(LEADER_BALLOT, 3);
    let out = follow_again(&mut solo, last, current);
    (solo, out.0, out.1)
}

/// Server 3 asks to be followed; the connection to it comes up.
pub(super) fn follow_again(solo: &mut Solo, last: Zxid, current: i64) -> (ConnId, Vec<Output>) {
    let n = vote(State::Looking, 3, Zxid(last.0.max(0)), solo.zab.core.round, current);
    let mut out = solo.hear(LEADER_BALLOT, &n);
    if last == Zxid::NONE {
        // It has no vote: it believes a leader and its follower.
        solo.accept_peer(ConnId(4), 2);
        let n = vote(State::Following, 3, Zxid::ZERO, 9, current);
        solo.hear(ConnId(4), &n);
        out = solo.hear(LEADER_BALLOT, &Notification { state: State::Leading, ..n });
    }
    assert!(has_role(&out, Role::Following { leader: ServerId(3), serving: false }), "{out:?}");
    let conn = Solo::dialled_leader(&out);
    let out = solo.step(Input::LeaderUp { conn });
    (conn, out)
}

/// A follower that has promised `epoch` and waits for DIFF, TRUNC or SNAP.
pub(super) fn promised(durable: Durable, epoch: i64) -> (Solo, ConnId, Vec<Output>) {
    let (mut solo, conn, _) = follower(durable);
    solo.packet(conn, wire::leader_info(Epoch(epoch)));
    let out = solo.persist();
    (solo, conn, out)
}

/// A follower that serves under the leader of `epoch`, synced by an empty DIFF.
pub(super) fn serving_follower(durable: Durable, epoch: i64) -> (Solo, ConnId) {
    let last = durable.last_zxid;
    let (mut solo, conn, _) = promised(durable, epoch);
    solo.kind(conn, Kind::DIFF, last);
    solo.kind(conn, Kind::NEWLEADER, Epoch(epoch).start());
    solo.persist();
    let out = solo.kind(conn, Kind::UPTODATE, Zxid(-1));
    assert!(has_role(&out, Role::Following { leader: ServerId(3), serving: true }));
    (solo, conn)
}

pub(super) fn info(kind: Kind, sid: i64, accepted: i64) -> Packet {
    let info = LearnerInfo { sid: ServerId(sid), protocol_version: PROTOCOL_VERSION, config_version: 0 };
    Packet::with_data(kind, Epoch(accepted).start(), info.encode())
}

/// Server 3 of `voters`, elected; nobody is connected to its quorum port yet.
pub(super) fn candidate(voters: usize, observers: usize, durable: Durable) -> (Solo, Vec<Output>) {
    let (last, current) = (durable.last_zxid, durable.current_epoch.0);
    elected(Solo::new(3, voters, observers, durable), last, current)
}

fn elected(mut solo: Solo, last: Zxid, current: i64) -> (Solo, Vec<Output>) {
    let start = solo.step(Input::Tick);
    let mut out = Vec::new();
    // The lower servers agree; the higher ones are silent.
    for sid in 1..=2 {
        let (conn, _) = solo.reach_peer(&start, sid);
        if !matches!(solo.zab.role(), Role::Leading { .. }) {
            out.extend(solo.hear(conn, &vote(State::Looking, 3, last, 1, current)));
        }
    }
    assert!(has_role(&out, Role::Leading { serving: false }), "{out:?}");
    (solo, out)
}

impl Solo {
    /// A learner connects and introduces itself.
    pub(super) fn learner(&mut self, conn: ConnId, kind: Kind, sid: i64, accepted: i64) -> Vec<Output> {
        self.step(Input::LearnerUp { conn });
        self.packet(conn, info(kind, sid, accepted))
    }

    /// A follower joins up to its ACK of NEWLEADER.
    pub(super) fn join_follower(&mut self, conn: ConnId, sid: i64, last: Zxid, current: i64) -> Vec<Output> {
        let mut out = self.learner(conn, Kind::FOLLOWERINFO, sid, current);
        out.extend(self.persist());
        out.extend(self.packet(conn, wire::ack_epoch(last, Epoch(current))));
        out.extend(self.persist());
        let epoch =
            packets(&out).iter().find(|(c, p)| *c == conn.0 && p.kind == Kind::LEADERINFO).unwrap().1.zxid;
        out.extend(self.kind(conn, Kind::ACK, epoch));
        out
    }

    pub(super) fn propose(&mut self) -> (Zxid, Vec<Output>) {
        let zxid = self.zab.next_zxid().expect("a serving leader");
        let mut out = Vec::new();
        self.zab.propose(self.now_ms, zxid, txn(zxid), &mut out);
        self.keep(&out);
        (zxid, out)
    }
}

/// Server 3 leads and serves with follower 1 on `ConnId(10)`; its epoch is one above `current`.
pub(super) fn serving_leader(voters: usize, observers: usize, durable: Durable) -> (Solo, Epoch) {
    let (last, current) = (durable.last_zxid, durable.current_epoch.0);
    let (solo, _) = candidate(voters, observers, durable);
    served(solo, voters, last, current)
}

/// The same, with as many learners let in that are not listed.
pub(super) fn admitting_leader(unlisted_learners: usize, voters: usize, observers: usize) -> Solo {
    let solo = Solo::admitting(unlisted_learners, 3, voters, observers, disk(4, 4, &[]));
    let (solo, _) = elected(solo, Zxid::ZERO, 4);
    served(solo, voters, Zxid::ZERO, 4).0
}

fn served(mut solo: Solo, voters: usize, last: Zxid, current: i64) -> (Solo, Epoch) {
    let mut out = Vec::new();
    match voters {
        3 => out.extend(solo.join_follower(ConnId(10), 1, last, current)),
        _ => {
            // Two followers are needed: both must be heard before either is informed.
            solo.learner(ConnId(10), Kind::FOLLOWERINFO, 1, current);
            solo.learner(ConnId(12), Kind::FOLLOWERINFO, 2, current);
            solo.persist();
            for conn in [10, 12] {
                solo.packet(ConnId(conn), wire::ack_epoch(last, Epoch(current)));
            }
            solo.persist();
            for conn in [10, 12] {
                out.extend(solo.kind(ConnId(conn), Kind::ACK, Epoch(current + 1).start()));
            }
        }
    }
    assert!(has_role(&out, Role::Leading { serving: true }), "{out:?}");
    (solo, Epoch(current + 1))
}
