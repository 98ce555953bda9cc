//! Members that go by another list of voters, or change the one there is (quorum-protocol §1.3, §2.11): what a leader or a
//! voter of the reference may say is put into the mouths of ours, on the way to one server. It must neither log,
//! install, acknowledge nor count it: the right outcome is that this server serves nobody meanwhile.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use zkops::server::zab::wire::Kind;
use zkops::server::zab::{ConnId, Input, Notification, Role};
use zkops::wire::proto::OpCode;

use crate::scenario::MS;
use crate::world::World;

/// Who speaks so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Foreign {
    /// The leader proposes a reconfiguration.
    Reconfiguration,
    /// The leader's NEWLEADER names other voters.
    Leader,
    /// The leader's snapshot does. The server was away for a while, and may need one.
    Snapshot,
    /// Everybody's notifications do. The server has just started: it remembers nothing better.
    Votes,
}

impl Foreign {
    pub(crate) const ALL: [Foreign; 4] =
        [Foreign::Reconfiguration, Foreign::Leader, Foreign::Snapshot, Foreign::Votes];
}

/// What servers hear in place of what is said to them.
#[derive(Debug, Default)]
pub(crate) struct Foreigners {
    /// By server: what, and until when.
    heard: BTreeMap<usize, (Foreign, u64)>,
    /// By server: where it was told of other voters last, in which life of its process, and how.
    told: BTreeMap<usize, (ConnId, u64, Foreign)>,
}

impl World {
    /// From now on a server hears foreigners, for so many ms.
    pub(crate) fn foreigners_speak(&mut self, i: usize, foreign: Foreign, ms: u64) {
        if foreign == Foreign::Votes {
            self.end_process(i, false);
        }
        self.foreigners.heard.insert(i, (foreign, self.now + ms * MS));
        if matches!(foreign, Foreign::Votes | Foreign::Snapshot) {
            self.start_node(i);
        }
    }

    pub(crate) fn foreigners_leave(&mut self) {
        self.foreigners = Foreigners::default();
    }

    /// What a server hears when a peer has said this.
    pub(crate) fn as_heard(&mut self, i: usize, said: Input) -> Input {
        let Some(foreign) = self.foreign_to(i) else { return said };
        match (foreign, said) {
            (Foreign::Reconfiguration, Input::Packet { conn, mut packet })
                if matches!(packet.kind, Kind::PROPOSAL | Kind::INFORM) =>
            {
                packet.data = packet.data.map(|txn| reconfiguration(&txn));
                Input::Packet { conn, packet }
            }
            (Foreign::Leader, Input::Packet { conn, mut packet }) if packet.kind == Kind::NEWLEADER => {
                packet.data = Some(others());
                self.foreigners.told.insert(i, (conn, self.nodes[i].life, foreign));
                Input::Packet { conn, packet }
            }
            (Foreign::Snapshot, Input::SnapshotReceived { conn, body, .. }) => {
                self.foreigners.told.insert(i, (conn, self.nodes[i].life, foreign));
                Input::SnapshotReceived { conn, body, config: Some(others()) }
            }
            (Foreign::Votes, Input::ElectionMessage { conn, payload }) => {
                let said = Notification::decode(payload).expect("our servers encode well");
                let frame = Notification { config: Some(others()), version: 2, ..said }.encode();
                Input::ElectionMessage { conn, payload: frame.slice(4..) }
            }
            (_, said) => said,
        }
    }

    /// A server sends packets to its leader, or to its learners.
    pub(crate) fn answers_foreigners(&mut self, i: usize, conn: ConnId, packets: &[u8]) {
        let is_ack = packets.get(..4) == Some(&Kind::ACK.0.to_be_bytes()[..]);
        let of_newleader = packets.get(8..12) == Some(&[0; 4][..]);
        if is_ack && of_newleader && self.was_told(i, conn, Foreign::Leader) {
            self.checks.fail("lists of voters", format!("n{} acknowledges a leader of others", i + 1));
        }
    }

    /// A server has taken a snapshot.
    pub(crate) fn takes_foreign(&mut self, i: usize, conn: ConnId, installs: bool) {
        if installs && self.was_told(i, conn, Foreign::Snapshot) {
            self.checks.fail("lists of voters", format!("n{} installs a snapshot of others", i + 1));
        }
    }

    /// A server has another role than before.
    pub(crate) fn role_among_foreigners(&mut self, i: usize, role: Option<Role>) {
        if self.foreign_to(i) == Some(Foreign::Votes) && role.is_some_and(|role| role != Role::Looking) {
            self.checks.fail("lists of voters", format!("n{} is {role:?} by votes of others", i + 1));
        }
    }

    fn was_told(&self, i: usize, conn: ConnId, how: Foreign) -> bool {
        self.foreigners.told.get(&i) == Some(&(conn, self.nodes[i].life, how))
    }

    fn foreign_to(&self, i: usize) -> Option<Foreign> {
        let (foreign, until) = self.foreigners.heard.get(&i)?;
        (*until > self.now).then_some(*foreign)
    }
}

/// The same transaction as one of the kind that changes who belongs to the ensemble (§3.3).
fn reconfiguration(txn: &Bytes) -> Bytes {
    let mut txn = BytesMut::from(&txn[..]);
    if let Some(kind) = txn.get_mut(28..32) {
        kind.copy_from_slice(&OpCode::Reconfig.code().to_be_bytes());
    }
    txn.freeze()
}

/// Voters of whom none is one of ours.
fn others() -> Bytes {
    let line = |n: i64| format!("server.{n}=o{n}:2888:3888:participant\n");
    ((201..204).map(line).collect::<String>() + "version=100000007").into()
}
