//! What must never happen in an ensemble (quorum-protocol §6.1), checked on every output while the
//! cluster runs. One method per kind of evidence.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};

use super::cluster::Node;
use super::disk::trace;
use super::network::RUMOUR;
use crate::server::zab::ballot::State;
use crate::server::zab::wire::{Kind, take_packet};
use crate::server::zab::*;
use crate::wire::jute::FIELD_LEN_MAX;

pub(super) struct Oracle {
    /// All that is committed, in order: the longest prefix that any serving server has shown.
    pub(super) committed: Vec<(Zxid, Bytes)>,
    leaders: BTreeMap<Epoch, usize>,
    roles: BTreeMap<usize, Role>,
    streams: BTreeMap<(usize, ConnId), Stream>,
}

/// What a leader has sent on one connection.
#[derive(Default)]
struct Stream {
    bytes: BytesMut,
    base: Option<Zxid>,
    proposed: Vec<Zxid>,
    committed: usize,
    gated: bool,
}

impl Oracle {
    pub(super) fn new() -> Oracle {
        Oracle {
            committed: Vec::new(),
            leaders: BTreeMap::new(),
            roles: BTreeMap::new(),
            streams: BTreeMap::new(),
        }
    }

    pub(super) fn started(&mut self, i: usize, node: &Node) {
        self.roles.insert(i, Role::Looking);
        assert!(node.disk.accepted >= node.disk.current, "I1 on disk");
    }

    pub(super) fn stopped(&mut self, i: usize) {
        self.roles.insert(i, Role::Looking);
        self.streams.retain(|(node, _), _| *node != i);
    }

    /// An output, before it is executed.
    pub(super) fn output(&mut self, now_ms: u64, i: usize, node: &Node, output: &Output, voters: usize) {
        match output {
            Output::Role(role) => self.role(now_ms, i, node, *role),
            Output::EpochStart { zxid } => self.established(i, node, *zxid),
            Output::Send { conn, bytes } => self.sent(now_ms, i, node, *conn, bytes),
            // Observers are told the vote of the last reign (TRAP Q9).
            Output::SendElection { conn, bytes } if node.peer(*conn).is_some_and(|p| p < voters) => {
                self.voted(node, bytes);
            }
            Output::Deliver { zxid, txn } => {
                // I4 and TRAP 4882: durable here, and exactly this.
                let held = node.disk.base.txns.iter().chain(&node.disk.log).find(|(z, _)| z == zxid);
                assert_eq!(held.map(|(_, t)| t), Some(txn), "n{} delivers {zxid} before its disk", i + 1);
                let last = node.tree.txns.last().map_or(Zxid::ZERO, |(z, _)| *z);
                let next = zxid.epoch() == last.epoch() && last.next() == Some(*zxid);
                assert!(
                    next || (zxid.epoch() > last.epoch() && zxid.counter() == 1),
                    "n{} delivers {zxid} after {last}",
                    i + 1
                );
            }
            Output::InstallSnapshot { zxid, .. } => {
                assert!(node.disk.base.last >= *zxid, "n{} installs {zxid} before its disk", i + 1);
            }
            // I2 must not hang on how a batch of writes is flushed.
            Output::Persist { op: PersistOp::CurrentEpoch(_), .. } => {
                assert!(node.writes.is_empty(), "currentEpoch is written beside its history");
            }
            Output::Close { conn } => {
                self.streams.remove(&(i, *conn));
            }
            _ => {}
        }
    }

    /// After a delivery: what a serving server shows agrees with what everybody else has shown.
    pub(super) fn delivered(&mut self, i: usize, node: &Node) {
        if self.is_serving(i) {
            let at = node.tree.txns.len() - 1;
            self.agree(i, node, at);
        }
    }

    pub(super) fn installed(&mut self, i: usize, _node: &Node) {
        assert!(!self.is_serving(i), "n{} replaces its tree while it serves", i + 1);
    }

    fn is_serving(&self, i: usize) -> bool {
        self.roles[&i].is_serving()
    }

    fn role(&mut self, now_ms: u64, i: usize, node: &Node, role: Role) {
        trace(|| format!("{now_ms:6} n{} is {role:?}", i + 1));
        self.roles.insert(i, role);
        if self.is_serving(i) {
            self.agree(i, node, 0);
        }
    }

    /// PrefixConsistency, TotalOrder, Agreement: the tree from `from` on against the one history.
    fn agree(&mut self, i: usize, node: &Node, from: usize) {
        let txns = &node.tree.txns;
        let common = txns.len().min(self.committed.len());
        if from < common {
            assert_eq!(txns[from..common], self.committed[from..common], "n{} shows another history", i + 1);
        }
        if txns.len() > common {
            self.committed.extend_from_slice(&txns[common..]);
        }
    }

    /// Leadership, PrimaryIntegrity, I7: one leader per epoch, with all that was ever shown.
    fn established(&mut self, i: usize, node: &Node, start: Zxid) {
        let epoch = start.epoch();
        let other = self.leaders.insert(epoch, i);
        assert!(other.is_none(), "{epoch} has two leaders: n{} and n{}", other.unwrap_or(0) + 1, i + 1);
        let txns = &node.tree.txns;
        assert!(
            txns.len() >= self.committed.len() && txns[..self.committed.len()] == self.committed[..],
            "n{} leads {epoch} without committed transactions: has {} of {}",
            i + 1,
            txns.len(),
            self.committed.len()
        );
        assert_eq!(node.disk.current, epoch, "I2 of the leader");
        assert!(node.writes.is_empty(), "a leader's history is durable");
    }

    /// I10: a vote for oneself names what is on disk.
    fn voted(&self, node: &Node, bytes: &Bytes) {
        let mut buffer = BytesMut::from(&bytes[..]);
        if bytes[0] == 0xff {
            return; // HELLO
        }
        let payload = Notification::take_payload(&mut buffer).unwrap().unwrap();
        let n = Notification::decode(payload).unwrap();
        let looking = node.zab.as_ref().is_none_or(|zab| *zab.role() == Role::Looking);
        if n.state == State::Looking && n.leader == node.sid && n.zxid != RUMOUR && looking {
            if n.zxid == Zxid::NONE || node.disk.is_wounded() {
                assert_eq!(
                    (n.zxid, n.peer_epoch),
                    (Zxid::NONE, Epoch(-1)),
                    "a server without its data votes"
                );
                return;
            }
            assert!(node.disk.ends_at(n.zxid), "a vote names {}, which is not what is durable", n.zxid);
            assert_eq!(n.peer_epoch, node.disk.current, "a vote names an epoch that is not durable");
        }
    }

    fn sent(&mut self, now_ms: u64, i: usize, node: &Node, conn: ConnId, bytes: &Bytes) {
        let leading = matches!(self.roles[&i], Role::Leading { .. });
        let stream = self.streams.entry((i, conn)).or_default();
        stream.bytes.extend_from_slice(bytes);
        while let Some(packet) = take_packet(&mut stream.bytes, FIELD_LEN_MAX).unwrap() {
            if packet.kind != Kind::PING {
                trace(|| format!("{now_ms:6} n{} {conn:?} {:?} {}", i + 1, packet.kind, packet.zxid));
            }
            if leading { stream.of_leader(node, &packet) } else { of_learner(node, &packet) }
        }
    }
}

impl Stream {
    fn of_leader(&mut self, node: &Node, packet: &Packet) {
        let zxid = packet.zxid;
        match packet.kind {
            Kind::LEADERINFO => {
                assert_eq!(node.disk.accepted, zxid.epoch(), "I1: LEADERINFO before its file");
            }
            Kind::DIFF | Kind::TRUNC | Kind::SNAP => {
                assert!(self.base.is_none(), "two syncs on one connection");
                self.base = Some(zxid);
            }
            Kind::PROPOSAL => {
                assert!(!self.gated, "{zxid} proposed between NEWLEADER and UPTODATE");
                if let Some(last) = self.proposed.last() {
                    let next = last.next() == Some(zxid) && last.epoch() == zxid.epoch();
                    let first = zxid.epoch() > last.epoch() && zxid.counter() == 1;
                    assert!(next || first, "TRAP Q20: {zxid} sent after {last}");
                }
                self.proposed.push(zxid);
            }
            Kind::COMMIT => {
                assert!(!self.gated, "{zxid} committed between NEWLEADER and UPTODATE");
                assert_eq!(self.proposed.get(self.committed), Some(&zxid), "commit is not the head");
                self.committed += 1;
            }
            Kind::INFORM => {
                assert!(!self.gated, "{zxid} informed between NEWLEADER and UPTODATE");
                assert_eq!(self.proposed.len(), self.committed, "TRAP Q21");
                assert!(self.proposed.last().is_none_or(|last| *last < zxid), "informed twice");
                self.proposed.push(zxid);
                self.committed += 1;
            }
            Kind::NEWLEADER => self.gated = true,
            Kind::UPTODATE => {
                assert!(self.gated, "UPTODATE without NEWLEADER");
                self.gated = false;
            }
            _ => {}
        }
    }
}

/// I1, I3: what a learner promises is on its disk.
fn of_learner(node: &Node, packet: &Packet) {
    let zxid = packet.zxid;
    match packet.kind {
        Kind::ACKEPOCH => {
            assert!(zxid == Zxid::NONE || !node.disk.is_wounded(), "a server without its data promises");
            assert!(zxid == Zxid::NONE || node.disk.ends_at(zxid), "ACKEPOCH names what is not durable");
            assert!(node.writes.is_empty(), "ACKEPOCH before its file");
        }
        Kind::ACK if zxid.is_epoch_start() => {
            assert!(!node.disk.is_wounded(), "NEWLEADER acknowledged before the data is whole");
            assert_eq!(node.disk.current, zxid.epoch(), "I3: NEWLEADER acknowledged before its file");
        }
        Kind::ACK if zxid == Zxid::NONE => {} // the log cannot be cut
        Kind::ACK => assert!(node.disk.holds(zxid), "I3: {zxid} acknowledged before its disk"),
        _ => {}
    }
}
