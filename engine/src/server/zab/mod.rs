//! Agreement on a log of opaque transactions: ZAB as Apache ZooKeeper speaks it, byte for byte
//! (quorum-protocol Parts 1 and 2), as a deterministic state machine without I/O.
//!
//! | file | phase |
//! |---|---|
//! | [`membership`], `terms` | which membership is in force, what is a quorum; what else the server goes by |
//! | [`ballot`], [`wire`] | the bytes of the election port and of the quorum port |
//! | [`events`] | what goes in, what comes out |
//! | `ledger` | what is written, durable, committed, delivered |
//! | `healing` | how long a server without its data waits for a leader |
//! | `mesh`, `election` | election connections; fast leader election |
//! | `learner`, `learner_sync` | following: finding the leader, epoch, sync, then the stream |
//! | `leader`, `discovery`, `learner_link` | leading: stages, epoch agreement, one link per learner |
//! | `door`, `strangers` | who may come in at the quorum port; what is told of those who may not |
//! | `rolls` | who goes by another list of voters, and counts for nothing |
//! | `sync`, `broadcast`, `ping` | leading: bringing a learner up to date, proposals, liveness |
//! | `confirm`, `proof` | leading: whether a quorum still follows, asked before SYNC is answered |
//! | `bent` | the rules as they must not be, for the simulator to find |
//!
//! What it deliberately does not do: it opens no socket and no file, reads no clock, knows neither
//! what a transaction means nor what a session is, and never reconfigures itself (quorum-protocol §2.11): it refuses
//! to (`rolls`).
//!
//! An ack, a vote or an epoch promise leaves only after [`Input::Persisted`] covered it.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

pub mod ballot;
mod bent;
mod broadcast;
mod confirm;
mod discovery;
mod door;
mod election;
pub mod events;
mod healing;
mod leader;
mod learner;
mod learner_link;
mod learner_sync;
mod ledger;
mod membership;
mod mesh;
mod ping;
mod proof;
mod roles;
mod rolls;
mod strangers;
mod sync;
mod terms;
pub mod wire;

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

pub use self::ballot::{Hello, Notification};
pub use self::events::{ConnId, Input, Output, PersistId, PersistOp, Role};
pub use self::membership::Memberships;
pub use self::wire::Packet;

use self::ballot::State;
use self::door::Yielded;
use self::election::{Election, Vote};
use self::healing::Healing;
use self::leader::Leader;
use self::learner::Learner;
use self::ledger::Ledger;
use self::mesh::Mesh;
use self::rolls::Rolls;
use self::strangers::{Comings, Parted, Strangers};
use self::terms::Terms;
use crate::ensemble::Membership;
use crate::wire::ids::{Epoch, ServerId, Zxid};

/// What a server is told once. Times in milliseconds, limits in ticks, as in `zoo.cfg`.
#[derive(Clone, Debug)]
pub struct Config {
    pub me: ServerId,
    /// The one to begin with; afterwards [`Memberships`] has it.
    pub membership: Membership,
    pub tick_ms: u64,
    pub init_limit: u32,
    pub sync_limit: u32,
    /// `connectToLearnerMasterLimit`; 0 means `init_limit`.
    pub connect_limit: u32,
    /// Limit of one dial (`zookeeper.cnxTimeout`, 5000).
    pub cnx_timeout_ms: u64,
    /// First and longest pause between two broadcasts of a vote (200 and 60 000).
    pub notification_ms_min: u64,
    pub notification_ms_max: u64,
    /// How many committed transactions are kept for learners that come back (at least 500 in
    /// the reference), and how many bytes of them.
    pub committed_log_max: usize,
    pub committed_log_bytes_max: usize,
    /// The longest transaction: what every learner accepts (TRAP Q1).
    pub txn_len_max: usize,
    /// The last counter of an epoch that is used: [`COUNTER_MAX`], or less where a test wants the
    /// counter to run out often (§2.12).
    pub counter_max: u32,
    /// Servers outside the membership that may learn at a time, without a vote: joiners before they are listed. What
    /// they get is the whole tree, with all that is secret in it.
    pub unlisted_learners: usize,
}

/// 0xffffffff is never used (§2.12).
pub const COUNTER_MAX: u32 = u32::MAX - 1;

impl Config {
    fn init_ms(&self) -> u64 {
        self.tick_ms * u64::from(self.init_limit)
    }

    fn sync_ms(&self) -> u64 {
        self.tick_ms * u64::from(self.sync_limit)
    }

    fn connect_ms(&self) -> u64 {
        let limit = if self.connect_limit == 0 { self.init_limit } else { self.connect_limit };
        self.tick_ms * u64::from(limit)
    }

    /// A bound in bytes for transactions that wait: `len`, or more where single ones are very long.
    fn room(&self, len: usize) -> usize {
        len.max(4 * self.txn_len_max)
    }

    /// The next zxid of the same epoch; `None` once the epoch's counter is used up.
    fn zxid_after(&self, zxid: Zxid) -> Option<Zxid> {
        zxid.next().filter(|next| next.counter() <= self.counter_max)
    }
}

/// What the disk holds at the start.
#[derive(Clone, Debug)]
pub struct Durable {
    pub accepted_epoch: Epoch,
    pub current_epoch: Epoch,
    /// [`Zxid::NONE`]: the database was lost; this server is not counted until it has synced.
    pub last_zxid: Zxid,
    /// The newest logged transactions, oldest first, without a hole, up to `last_zxid`.
    pub tail: Vec<(Zxid, Bytes)>,
    /// The database was damaged (`last_zxid` is NONE): a leader is not waited for without end.
    pub wounded: bool,
}

/// One server's part in the protocol.
pub struct Zab {
    core: Core,
    mesh: Mesh,
    phase: Phase,
    /// Votes that arrived between two elections: the newest of each voter.
    early: BTreeMap<ServerId, Notification>,
    now_ms: u64,
}

/// What all phases share.
struct Core {
    config: Terms,
    ledger: Ledger,
    /// The election round (`logicalclock`): in memory only.
    round: i64,
    /// The vote that led to the present role, as others are told.
    vote: Vote,
    role: Role,
    next_conn: u64,
    random: u64,
    /// The largest epoch that any voter of a role we led has accepted: the next one to take.
    epoch_floor: Epoch,
    /// Roles in a row that ended before this server served, and when the last one began.
    futile_roles: u32,
    role_since_ms: u64,
    /// The log cannot be continued from this leader's; ask for a snapshot next time.
    needs_snapshot: bool,
    /// The leader that was told last that the log here cannot be cut as it wants. One of ours remembers, so that it
    /// is promised in full, which counts; a reference server is asked for a snapshot next time.
    told_of_no_cut: Option<ServerId>,
    /// Leader: voters that said so. Others count for nothing, and may ask as a reference server is asked.
    uncut: BTreeSet<ServerId>,
    /// Leader: voters that made it yield.
    yields: BTreeMap<ServerId, Yielded>,
    strangers: Strangers,
    comings: Comings,
    rolls: Rolls,
    /// Why the last role was left, if that is to be said once a minute only.
    parted: Parted,
    healing: Option<Healing>,
}

impl Core {
    fn dialled_conn(&mut self) -> ConnId {
        let conn = ConnId(self.next_conn);
        self.next_conn += 2;
        conn
    }

    /// A number below `bound`, from the seed (xorshift).
    fn random_below(&mut self, bound: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % bound.max(1)
    }
}

enum Phase {
    /// Before the first election; an observer's pause before each (§1.6); anybody's pause after
    /// roles that led to nothing.
    Resting {
        until_ms: u64,
    },
    Looking(Election),
    Leading(Box<Leader>),
    Learning(Box<Learner>),
    /// A role was left; its last writes are not durable yet (§2.13).
    Leaving,
    Halted,
}

/// One step's hands: the time, what is shared, and where outputs go.
struct Turn<'a> {
    now_ms: u64,
    core: &'a mut Core,
    out: &'a mut Vec<Output>,
}

impl Turn<'_> {
    fn send(&mut self, conn: ConnId, packet: &Packet) {
        self.out.push(Output::Send { conn, bytes: packet.encode() });
    }

    fn set_role(&mut self, role: Role) {
        if self.core.role != role {
            self.core.role = role;
            if role.is_serving() {
                self.core.futile_roles = 0;
            }
            self.out.push(Output::Role(role));
        }
    }

    fn note(&mut self, text: String) {
        self.out.push(Output::Note(text));
    }
}

/// What a phase wants after an event.
enum Next {
    Stay,
    /// Give up the role and look for a leader again.
    Leave(String),
    /// The election has ended with this vote.
    Decided(Vote),
    Halt(String),
}

impl Zab {
    /// A server that has not looked at anybody yet: the first election starts with the first step.
    pub fn new(config: Config, durable: Durable, seed: u64, now_ms: u64) -> Zab {
        let mesh = Mesh::new(config.me, &config.membership, config.cnx_timeout_ms);
        let rolls = Rolls::new(&config.membership);
        let config = Terms::new(config);
        let healing = durable.wounded.then(|| Healing::new(&config, now_ms));
        let ledger = Ledger::new(durable, &config);
        let nobody = Vote {
            leader: config.me,
            zxid: ledger.claimed(),
            round: 0,
            peer_epoch: ledger.current(),
            state: State::Looking,
            version: 0,
        };
        let core = Core {
            config,
            ledger,
            round: 0,
            vote: nobody,
            role: Role::Looking,
            next_conn: 1,
            random: seed | 1,
            epoch_floor: Epoch(0),
            futile_roles: 0,
            role_since_ms: now_ms,
            needs_snapshot: false,
            told_of_no_cut: None,
            uncut: BTreeSet::new(),
            yields: BTreeMap::new(),
            strangers: Strangers::default(),
            comings: Comings::default(),
            rolls,
            parted: Parted::default(),
            healing,
        };
        let phase = Phase::Resting { until_ms: now_ms };
        Zab { core, mesh, phase, early: BTreeMap::new(), now_ms }
    }

    /// Takes one event and appends what is to be done. Total on whatever a peer may send.
    pub fn step(&mut self, now_ms: u64, input: Input, out: &mut Vec<Output>) {
        self.now_ms = self.now_ms.max(now_ms);
        if matches!(self.phase, Phase::Halted) {
            return;
        }
        let next = self.take(input, out);
        self.turn_to(next, out);
        self.timers(out);
    }

    /// When `step(Tick)` is wanted next; may be in the past, and `u64::MAX` means never.
    pub fn deadline_ms(&self) -> u64 {
        let phase = match &self.phase {
            Phase::Resting { until_ms } => *until_ms,
            Phase::Looking(election) => election.deadline_ms(),
            Phase::Leading(leader) => leader.deadline_ms(&self.core),
            Phase::Learning(learner) => learner.deadline_ms(),
            Phase::Leaving => u64::MAX,
            Phase::Halted => return u64::MAX,
        };
        phase.min(self.mesh.deadline_ms()).min(self.healing_deadline_ms())
    }

    /// The zxid of the next proposal. `None` while this server is not the serving leader, while
    /// too much is outstanding (ask again after a `Deliver`), and once the epoch's counter is used
    /// up (§2.12), when the leader steps down by itself.
    pub fn next_zxid(&self) -> Option<Zxid> {
        match &self.phase {
            Phase::Leading(leader) => leader.next_zxid(&self.core),
            _ => None,
        }
    }

    /// Proposes a transaction of at most [`Config::txn_len_max`] bytes under [`Zab::next_zxid`].
    pub fn propose(&mut self, now_ms: u64, zxid: Zxid, txn: Bytes, out: &mut Vec<Output>) {
        assert_eq!(self.next_zxid(), Some(zxid), "every proposal takes the next zxid, once (I9)");
        assert!(
            txn.len() <= self.core.config.txn_len_max,
            "{zxid} is larger than any learner accepts (TRAP Q1)"
        );
        self.now_ms = self.now_ms.max(now_ms);
        if let Phase::Leading(leader) = &mut self.phase {
            let mut t = Turn { now_ms: self.now_ms, core: &mut self.core, out };
            leader.propose(&mut t, zxid, txn);
        }
    }

    /// The last zxid proposed in this epoch; the epoch's start if there is none.
    pub fn last_proposed(&self) -> Zxid {
        match &self.phase {
            Phase::Leading(leader) => leader.last_proposed(),
            _ => self.core.ledger.logged(),
        }
    }

    pub fn last_committed(&self) -> Zxid {
        self.core.ledger.committed()
    }

    /// Whether a proposal of this leader is not committed yet.
    pub fn has_outstanding(&self) -> bool {
        matches!(&self.phase, Phase::Leading(_)) && self.last_proposed() > self.last_committed()
    }

    /// Leader: asks a quorum whether it still follows; [`Output::LeadershipConfirmed`] of the returned round
    /// or a later one is its word. That of a server that does not lead never comes.
    pub fn confirm_leadership(&mut self, now_ms: u64, out: &mut Vec<Output>) -> u64 {
        self.now_ms = self.now_ms.max(now_ms);
        match &mut self.phase {
            Phase::Leading(leader) => {
                leader.confirm(&mut Turn { now_ms: self.now_ms, core: &mut self.core, out })
            }
            _ => u64::MAX,
        }
    }

    /// Learner: sends REQUEST, REVALIDATE or the answer to PING. Dropped while this server does
    /// not serve under a leader.
    pub fn send_to_leader(&mut self, packet: Packet, out: &mut Vec<Output>) {
        if let Phase::Learning(learner) = &self.phase {
            learner.forward(packet, out);
        }
    }

    /// Leader: answers REVALIDATE or SYNC. Dropped when the learner is gone.
    pub fn send_to_learner(&mut self, conn: ConnId, packet: Packet, out: &mut Vec<Output>) {
        if let Phase::Leading(leader) = &self.phase {
            leader.answer(conn, packet, out);
        }
    }

    pub fn role(&self) -> &Role {
        &self.core.role
    }

    /// The epoch whose initial history is durable here.
    pub fn epoch(&self) -> Epoch {
        self.core.ledger.current()
    }

    /// The leader this server follows, or itself.
    pub fn leader(&self) -> Option<ServerId> {
        match self.core.role {
            Role::Looking => None,
            Role::Following { leader, .. } | Role::Observing { leader, .. } => Some(leader),
            Role::Leading { .. } => Some(self.core.config.me),
        }
    }

    /// Leader: who is connected, for status words.
    pub fn learners(&self) -> impl Iterator<Item = LearnerStatus> {
        let leader = match &self.phase {
            Phase::Leading(leader) => Some(leader),
            _ => None,
        };
        leader.into_iter().flat_map(|leader| leader.learners())
    }
}

/// A learner as its leader sees it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LearnerStatus {
    pub conn: ConnId,
    pub sid: ServerId,
    pub observer: bool,
    /// It has been told that it is up to date.
    pub synced: bool,
    /// The last transaction of this epoch it has acknowledged; the epoch's start if none.
    pub acked: Zxid,
}

#[cfg(test)]
mod tests;
