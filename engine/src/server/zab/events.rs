//! What goes into `zab` and what comes out of it: the whole surface between the protocol and the
//! loop around it. No behaviour here.

use bytes::Bytes;

use super::ballot::Hello;
use super::wire::Packet;
use crate::wire::ids::{ServerId, Zxid};

/// A connection, unique in the process. Ids of dialled connections are chosen by `zab` and odd,
/// those of accepted ones by the driver and even. An id is never used again.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ConnId(pub u64);

/// A write to disk, numbered in the order in which the writes must happen.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct PersistId(pub u64);

/// What happened.
#[derive(Clone, Debug)]
pub enum Input {
    /// Time has passed; wanted at [`super::Zab::deadline_ms`].
    Tick,
    /// A connection dialled on [`Output::DialElection`] is up.
    ElectionUp { conn: ConnId },
    /// A connection accepted on the election port has said who it is. Of the IP addresses that it names, only the one
    /// that it came from is left.
    ElectionHello { conn: ConnId, hello: Hello },
    /// A notification's payload, without its length. One that cannot be read is ignored.
    ElectionMessage { conn: ConnId, payload: Bytes },
    /// Leader: a learner has connected to the quorum port.
    LearnerUp { conn: ConnId },
    /// Learner: the connection dialled on [`Output::DialLeader`] is up.
    LeaderUp { conn: ConnId },
    /// A packet of a quorum connection, in order.
    Packet { conn: ConnId, packet: Packet },
    /// Bytes of a snapshot stream moved on `conn`, in either direction: the peer is alive although
    /// no packet is complete. Restarts the read timeout, as a read does in the reference (§2.8).
    Progress { conn: ConnId },
    /// Learner: the whole stream that followed SNAP, without the closing signature. The driver has
    /// proved that it decodes; otherwise it closes the connection and reports [`Input::Down`]. `config` is the data of
    /// `/zookeeper/config` in it.
    SnapshotReceived { conn: ConnId, body: Bytes, config: Option<Bytes> },
    /// A connection has closed, or a dial has failed.
    Down { conn: ConnId },
    /// Every write up to and including `id` is durable.
    Persisted { id: PersistId },
    /// The answer to [`PersistOp::Truncate`]; implies `Persisted { id }`. The tree was replaced
    /// by what `last_zxid` and `tail` describe before this input. When the log cannot be cut
    /// exactly there, nothing is changed and `last_zxid` is still beyond the cut.
    Reloaded { id: PersistId, last_zxid: Zxid, tail: Vec<(Zxid, Bytes)> },
}

/// What is to be done. Outputs of one step are executed in order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Output {
    /// Dial a peer's election port; answer with `ElectionUp` or `Down`.
    DialElection { conn: ConnId, to: ServerId, host: String, port: u16 },
    /// Dial the leader's quorum port; answer with `LeaderUp` or `Down`.
    DialLeader { conn: ConnId, host: String, port: u16 },
    /// Open or close the quorum port. Closing it leaves accepted connections alone.
    ListenQuorum(bool),
    /// Close a connection after what was sent on it before; no `Down` is needed.
    Close { conn: ConnId },
    /// Complete bytes for an election connection: HELLO, or a notification with its length.
    SendElection { conn: ConnId, bytes: Bytes },
    /// Whole encoded packets for a quorum connection.
    Send { conn: ConnId, bytes: Bytes },
    /// Write the tree's snapshot body as of now, then the ustring `BenWasHere`, in order with `Send`.
    SendSnapshot { conn: ConnId },
    /// Write to disk. Strictly in order of ids.
    Persist { id: PersistId, op: PersistOp },
    /// The role has changed. `Looking` means: stop serving at once.
    Role(Role),
    /// Apply to the tree. While the role is `Looking` this is the log's uncommitted tail:
    /// nobody may be told of it.
    Deliver { zxid: Zxid, txn: Bytes },
    /// Leader, established: the tree's last zxid becomes this.
    EpochStart { zxid: Zxid },
    /// Replace the tree by this snapshot; it is durable.
    InstallSnapshot { zxid: Zxid, body: Bytes },
    /// Leader: a REQUEST of a learner (SYNC inside).
    Request { conn: ConnId, from: ServerId, packet: Packet },
    /// Leader: it led when this round of [`super::Zab::confirm_leadership`] was asked for, and every earlier one.
    LeadershipConfirmed { round: u64 },
    /// Leader: a learner asks whether a session is alive.
    Revalidate { conn: ConnId, from: ServerId, packet: Packet },
    /// Leader: the sessions a learner has seen since its last answer to PING.
    Touched { conn: ConnId, entries: Bytes },
    /// Learner: answer with `send_to_leader(PING with the touched sessions)`.
    PingDue { zxid: Zxid },
    /// Learner: REVALIDATE or SYNC from the leader; all that was committed before it is delivered.
    Answer { packet: Packet },
    /// Leader: nothing more comes from this learner or reaches it.
    LearnerGone { conn: ConnId },
    /// A line for the log: why a role or a connection was given up.
    Note(String),
    /// The process must stop: going on would let this replica diverge.
    Halt { reason: String },
}

/// A write to disk.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PersistOp {
    Append {
        zxid: Zxid,
        txn: Bytes,
    },
    AcceptedEpoch(crate::wire::ids::Epoch),
    CurrentEpoch(crate::wire::ids::Epoch),
    /// Cut the log right after the last transaction ≤ `to`, remove snapshots newer than that, load
    /// the tree anew, answer with [`Input::Reloaded`]. All or nothing.
    Truncate {
        to: Zxid,
    },
    /// Make this snapshot the base of all data. `zxid` may be older than the log's end: no
    /// transaction logged before this write may be replayed on top of it.
    ///
    /// When this server started without a vote ([`super::Durable::last_zxid`] was NONE) or `zxid` is older than
    /// the log's end, the data is not whole before [`PersistOp::Whole`]: a start in between must be one without
    /// a vote.
    InstallSnapshot {
        zxid: Zxid,
        body: Bytes,
    },
    /// The leader's whole initial history is durable: the next start may vote.
    Whole,
}

/// What this server is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    Looking,
    Following { leader: ServerId, serving: bool },
    Observing { leader: ServerId, serving: bool },
    Leading { serving: bool },
}

impl Role {
    /// Whether clients may be served.
    pub fn is_serving(self) -> bool {
        match self {
            Role::Looking => false,
            Role::Following { serving, .. } | Role::Observing { serving, .. } | Role::Leading { serving } => {
                serving
            }
        }
    }
}
