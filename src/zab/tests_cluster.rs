//! A whole ensemble in memory: N state machines, a network, disks and virtual time, all driven by
//! one seed. After every step the oracle (`tests_oracle`) looks at what was sent, written and
//! delivered.
//!
//! It knows the driver's duties (framing, order of outputs, group commit) and nothing of the
//! protocol's decisions.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::{Bytes, BytesMut};

use super::tests_oracle::Oracle;
use super::wire::{Kind, take_packet};
use super::*;
use crate::jute::{Reader, Writer};

pub(super) const QUORUM_PORT: u16 = 2888;
/// The zxid of votes that a liar spreads.
pub(super) const RUMOUR: Zxid = Zxid(1 << 60);

thread_local! {
    pub(super) static STATS: RefCell<BTreeMap<String, u64>> = const { RefCell::new(BTreeMap::new()) };
    static TRACE: RefCell<VecDeque<String>> = const { RefCell::new(VecDeque::new()) };
}

/// Keeps the last lines of what happened, for the report of a failing seed.
pub(super) fn stat(k: &str) { STATS.with_borrow_mut(|s| *s.entry(k.to_owned()).or_default() += 1); }
pub(super) fn trace(line: impl FnOnce() -> String) {
    const LINES_MAX: usize = 400;
    TRACE.with_borrow_mut(|lines| {
        if lines.len() == LINES_MAX {
            lines.pop_front();
        }
        lines.push_back(line());
    });
}

/// Runs one seed; if it panics, prints the seed and the trace.
pub(super) fn run_seed(name: &str, seed: u64, run: impl FnOnce() + std::panic::UnwindSafe) {
    TRACE.with_borrow_mut(VecDeque::clear);
    if let Err(panic) = std::panic::catch_unwind(run) {
        TRACE.with_borrow(|lines| lines.iter().for_each(|line| println!("{line}")));
        println!("{name}: seed {seed} failed");
        std::panic::resume_unwind(panic);
    }
}

pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        // splitmix64
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound.max(1)
    }

    pub(super) fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high - low + 1)
    }

    pub(super) fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

/// The replicated state: the list of all transactions applied.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub(super) struct Tree {
    pub(super) txns: Vec<(Zxid, Bytes)>,
    pub(super) last: Zxid,
}

impl Tree {
    fn apply(&mut self, zxid: Zxid, txn: Bytes) {
        self.txns.push((zxid, txn));
        self.last = self.last.max(zxid);
    }

    fn encode(&self) -> Bytes {
        let mut w = Writer::new();
        for (zxid, txn) in &self.txns {
            w.long(zxid.0);
            w.buffer(Some(txn));
        }
        w.finish()
    }

    fn decode(zxid: Zxid, body: Bytes) -> Tree {
        let mut r = Reader::new(body);
        let mut tree = Tree { txns: Vec::new(), last: zxid };
        while r.remaining() > 0 {
            let zxid = Zxid(r.long().unwrap());
            tree.txns.push((zxid, r.buffer().unwrap().unwrap()));
        }
        tree
    }
}

/// A snapshot, the log behind it, and the epoch files.
#[derive(Clone, Default, Debug)]
pub(super) struct Disk {
    pub(super) base: Tree,
    pub(super) log: Vec<(Zxid, Bytes)>,
    pub(super) accepted: Epoch,
    pub(super) current: Epoch,
}

impl Disk {
    pub(super) fn last(&self) -> Zxid {
        self.log.last().map_or(self.base.last, |(zxid, _)| *zxid)
    }

    /// Whether `zxid` names all that is here: the last transaction, or the snapshot that may carry
    /// the start of an epoch without transactions.
    pub(super) fn ends_at(&self, zxid: Zxid) -> bool {
        let last = self.log.last().or(self.base.txns.last()).map_or(Zxid::ZERO, |(zxid, _)| *zxid);
        zxid == self.last() || zxid == last
    }

    pub(super) fn holds(&self, zxid: Zxid) -> bool {
        self.base.txns.iter().chain(&self.log).any(|(z, _)| *z == zxid)
    }

    fn load(&self) -> Tree {
        let mut tree = self.base.clone();
        for (zxid, txn) in &self.log {
            tree.apply(*zxid, txn.clone());
        }
        tree
    }

    fn tail(&self, len: usize) -> Vec<(Zxid, Bytes)> {
        self.log[self.log.len().saturating_sub(len)..].to_vec()
    }
}

pub(super) struct Node {
    pub(super) sid: ServerId,
    pub(super) zab: Option<Zab>,
    pub(super) disk: Disk,
    pub(super) tree: Tree,
    pub(super) listening: bool,
    /// Grows with every start; events of an older life are dropped.
    life: u64,
    pub(super) writes: VecDeque<(PersistId, PersistOp)>,
    disk_busy: bool,
    pub(super) disk_ms_max: u64,
    ends: BTreeMap<ConnId, End>,
    next_accepted: u64,
    tick_at_ms: u64,
    pub(super) notes: Vec<String>,
    /// SYNC requests under way: how much was committed when they were sent.
    syncs: VecDeque<usize>,
    /// Leader: SYNCs to answer once this is committed.
    sync_replies: Vec<(Zxid, ConnId, Packet)>,
}

impl Node {
    /// Who is at the other end.
    pub(super) fn peer(&self, conn: ConnId) -> Option<usize> {
        self.ends.get(&conn).map(|end| end.peer)
    }
}

/// One end of a connection.
struct End {
    peer: usize,
    peer_conn: ConnId,
    /// The life of the peer that this connection belongs to.
    peer_life: u64,
    quorum: bool,
    /// The peer's HELLO is still to come.
    hello: bool,
    buffer: BytesMut,
    /// A snapshot stream comes next.
    snapshot: bool,
    /// Nothing arrives before this: the order of what was sent.
    arrives_ms: u64,
    /// Something was lost: nothing more arrives, and nobody knows yet.
    broken: bool,
}

#[derive(Clone)]
enum Item {
    Bytes(Bytes),
    Snapshot(Bytes),
    Close,
}

enum Event {
    Tick { node: usize },
    Disk { node: usize },
    Dialled { node: usize, conn: ConnId, to: usize, quorum: bool },
    Arrive { node: usize, conn: ConnId, item: Item },
    Down { node: usize, conn: ConnId },
    Rumour { node: usize },
}

impl Event {
    fn node(&self) -> usize {
        match self {
            Event::Tick { node }
            | Event::Disk { node }
            | Event::Rumour { node }
            | Event::Dialled { node, .. }
            | Event::Arrive { node, .. }
            | Event::Down { node, .. } => *node,
        }
    }
}

pub(super) struct Cluster {
    pub(super) now_ms: u64,
    pub(super) random: Random,
    pub(super) nodes: Vec<Node>,
    pub(super) oracle: Oracle,
    /// Pairs that cannot reach each other.
    pub(super) cut: BTreeSet<(usize, usize)>,
    pub(super) delay_ms_max: u64,
    pub(super) committed_log_max: usize,
    /// Until then elections end with whom a liar chooses: safety must not rest on them.
    pub(super) rumours_until_ms: u64,
    rumours: i64,
    events: BTreeMap<(u64, u64), (u64, Event)>,
    sequence: u64,
    membership: Membership,
    voters: usize,
    writes: u64,
}

pub(super) fn member_list(voters: usize, observers: usize) -> String {
    let line = |i: usize| {
        let role = if i < voters { "participant" } else { "observer" };
        format!("server.{}=n{}:{QUORUM_PORT}:3888:{role}\n", i + 1, i + 1)
    };
    (0..voters + observers).map(line).collect::<String>() + "version=0"
}

pub(super) fn test_config(me: ServerId, membership: &Membership) -> Config {
    Config {
        me,
        membership: membership.clone(),
        tick_ms: 40,
        init_limit: 10,
        sync_limit: 5,
        connect_limit: 0,
        cnx_timeout_ms: 100,
        notification_ms_min: 20,
        notification_ms_max: 640,
        committed_log_max: 500,
        committed_log_bytes_max: 1 << 20,
    }
}

impl Cluster {
    pub(super) fn new(voters: usize, observers: usize, seed: u64) -> Cluster {
        let membership = Membership::parse(&member_list(voters, observers)).unwrap();
        let node = |i: usize| Node {
            sid: ServerId(i as i64 + 1),
            zab: None,
            disk: Disk::default(),
            tree: Tree::default(),
            listening: false,
            life: 0,
            writes: VecDeque::new(),
            disk_busy: false,
            disk_ms_max: 3,
            ends: BTreeMap::new(),
            next_accepted: 0,
            tick_at_ms: u64::MAX,
            notes: Vec::new(),
            syncs: VecDeque::new(),
            sync_replies: Vec::new(),
        };
        Cluster {
            now_ms: 1000,
            random: Random(seed),
            nodes: (0..voters + observers).map(node).collect(),
            oracle: Oracle::new(),
            cut: BTreeSet::new(),
            delay_ms_max: 3,
            committed_log_max: 500,
            rumours_until_ms: 0,
            rumours: 0,
            events: BTreeMap::new(),
            sequence: 0,
            membership,
            voters,
            writes: 0,
        }
    }

    pub(super) fn start_all(&mut self) {
        (0..self.nodes.len()).for_each(|i| self.start(i));
    }

    pub(super) fn start(&mut self, i: usize) {
        if self.nodes[i].zab.is_some() {
            return;
        }
        let mut config = test_config(self.nodes[i].sid, &self.membership);
        config.committed_log_max = self.committed_log_max;
        let tail_len = self.random.below(self.committed_log_max as u64 + 1) as usize;
        let seed = self.random.below(u64::MAX);
        let node = &mut self.nodes[i];
        node.life += 1;
        node.tree = node.disk.load();
        node.tick_at_ms = u64::MAX;
        let durable = Durable {
            accepted_epoch: node.disk.accepted,
            current_epoch: node.disk.current,
            last_zxid: node.disk.last(),
            tail: node.disk.tail(tail_len),
        };
        trace(|| format!("{:6} n{} starts at {}", self.now_ms, i + 1, node.disk.last()));
        node.zab = Some(Zab::new(config, durable, seed, self.now_ms));
        self.oracle.started(i, &self.nodes[i]);
        self.step(i, Input::Tick);
        self.whisper(i);
    }

    /// Kills a server; what its disk had not finished is done up to a random point.
    pub(super) fn crash(&mut self, i: usize) {
        if self.nodes[i].zab.take().is_none() {
            return;
        }
        trace(|| format!("{:6} n{} crashes", self.now_ms, i + 1));
        let done = self.random.below(self.nodes[i].writes.len() as u64 + 1);
        for _ in 0..done {
            let (_, op) = self.nodes[i].writes.pop_front().unwrap();
            self.execute(i, op);
        }
        let node = &mut self.nodes[i];
        node.writes.clear();
        node.disk_busy = false;
        node.listening = false;
        node.life += 1;
        node.syncs.clear();
        node.sync_replies.clear();
        for conn in node.ends.keys().copied().collect::<Vec<_>>() {
            self.hang_up(i, conn);
        }
        self.oracle.stopped(i);
    }

    pub(super) fn step(&mut self, i: usize, input: Input) {
        let mut out = Vec::new();
        let now_ms = self.now_ms;
        let Some(zab) = self.nodes[i].zab.as_mut() else {
            return;
        };
        zab.step(now_ms, input, &mut out);
        self.perform(i, out);
    }

    /// Proposes a new transaction if `i` is a serving leader.
    pub(super) fn propose(&mut self, i: usize) -> Option<Zxid> {
        let zxid = self.nodes[i].zab.as_ref()?.next_zxid()?;
        self.writes += 1;
        let txn = Bytes::from(format!("write {}", self.writes));
        let mut out = Vec::new();
        let now_ms = self.now_ms;
        self.nodes[i].zab.as_mut().unwrap().propose(now_ms, zxid, txn, &mut out);
        trace(|| format!("{:6} n{} proposes {zxid}", now_ms, i + 1));
        self.perform(i, out);
        Some(zxid)
    }

    /// Sends a SYNC through a serving learner; the oracle judges the answer.
    pub(super) fn request_sync(&mut self, i: usize) {
        let serving = |role: &Role| {
            matches!(role, Role::Following { serving: true, .. } | Role::Observing { serving: true, .. })
        };
        let node = &mut self.nodes[i];
        let Some(zab) = node.zab.as_mut().filter(|zab| serving(zab.role())) else {
            return;
        };
        node.syncs.push_back(self.oracle.committed.len());
        let mut out = Vec::new();
        zab.send_to_leader(Packet::with_data(Kind::REQUEST, Zxid(-1), Bytes::from_static(b"sync")), &mut out);
        self.perform(i, out);
    }

    /// A serving server snapshots its tree: the log before it goes.
    pub(super) fn compact(&mut self, i: usize) {
        let node = &mut self.nodes[i];
        let serving = matches!(
            node.zab.as_ref().map(Zab::role),
            Some(Role::Leading { serving: true } | Role::Following { serving: true, .. })
        );
        let cutting = node.writes.iter().any(|(_, op)| !matches!(op, PersistOp::Append { .. }));
        if serving && !cutting {
            node.disk.base = node.tree.clone();
            let last = node.tree.last;
            node.disk.log.retain(|(zxid, _)| *zxid > last);
        }
    }

    /// Runs until `until_ms`.
    pub(super) fn run_until(&mut self, until_ms: u64) {
        while let Some((&(at_ms, _), _)) = self.events.first_key_value() {
            if at_ms > until_ms {
                break;
            }
            let ((at_ms, _), (life, event)) = self.events.pop_first().unwrap();
            self.now_ms = self.now_ms.max(at_ms);
            self.happen(life, event);
        }
        self.now_ms = self.now_ms.max(until_ms);
    }

    pub(super) fn run_for(&mut self, ms: u64) {
        self.run_until(self.now_ms + ms);
    }

    /// Runs until `done`, at most for `limit_ms`.
    pub(super) fn run_while(&mut self, limit_ms: u64, busy: impl Fn(&Cluster) -> bool) -> bool {
        let until_ms = self.now_ms + limit_ms;
        while busy(self) {
            if self.now_ms >= until_ms {
                return false;
            }
            self.run_for(5);
        }
        true
    }

    pub(super) fn leader(&self) -> Option<usize> {
        let leads = |n: &Node| n.zab.as_ref().is_some_and(|z| *z.role() == Role::Leading { serving: true });
        let leaders: Vec<usize> = (0..self.nodes.len()).filter(|i| leads(&self.nodes[*i])).collect();
        (leaders.len() == 1).then(|| leaders[0])
    }

    /// One leader, everybody else serving under it.
    pub(super) fn is_whole(&self) -> bool {
        let Some(leader) = self.leader() else {
            return false;
        };
        let leader_sid = self.nodes[leader].sid;
        (0..self.nodes.len()).filter(|i| *i != leader).all(|i| {
            let role = self.nodes[i].zab.as_ref().map(Zab::role);
            matches!(role, Some(Role::Following { leader, serving: true } | Role::Observing { leader, serving: true }) if *leader == leader_sid)
        })
    }

    pub(super) fn trees_equal(&self) -> bool {
        self.nodes.windows(2).all(|pair| pair[0].tree.txns == pair[1].tree.txns)
    }

    /// Cuts a pair off from each other. Silently: both believe in their connections for now.
    pub(super) fn part(&mut self, a: usize, b: usize, silently: bool) {
        self.cut.insert((a.min(b), a.max(b)));
        trace(|| format!("{:6} n{} and n{} part (silently: {silently})", self.now_ms, a + 1, b + 1));
        if !silently {
            self.reset(a, b);
        }
    }

    pub(super) fn join(&mut self, a: usize, b: usize) {
        if self.cut.remove(&(a.min(b), a.max(b))) {
            trace(|| format!("{:6} n{} and n{} can talk again", self.now_ms, a + 1, b + 1));
            let broken = |c: &Cluster, x: usize, y: usize| -> Vec<ConnId> {
                c.nodes[x].ends.iter().filter(|(_, e)| e.peer == y && e.broken).map(|(c, _)| *c).collect()
            };
            for (x, y) in [(a, b), (b, a)] {
                for conn in broken(self, x, y) {
                    self.schedule(1, Event::Down { node: x, conn });
                }
            }
        }
    }

    /// Resets all connections between two servers.
    pub(super) fn reset(&mut self, a: usize, b: usize) {
        for (x, y) in [(a, b), (b, a)] {
            let conns: Vec<ConnId> =
                self.nodes[x].ends.iter().filter(|(_, end)| end.peer == y).map(|(conn, _)| *conn).collect();
            for conn in conns {
                self.nodes[x].ends.get_mut(&conn).unwrap().broken = true;
                let delay_ms = self.random.below(self.delay_ms_max + 1);
                self.schedule(delay_ms, Event::Down { node: x, conn });
            }
        }
    }

    fn happen(&mut self, life: u64, event: Event) {
        let i = event.node();
        if self.nodes[i].life != life {
            return;
        }
        match event {
            Event::Tick { .. } => {
                self.nodes[i].tick_at_ms = u64::MAX;
                self.step(i, Input::Tick);
            }
            Event::Disk { .. } => self.flush(i),
            Event::Rumour { .. } => self.rumour(i),
            Event::Dialled { conn, to, quorum, .. } => self.dialled(i, conn, to, quorum),
            Event::Arrive { conn, item, .. } => self.arrive(i, conn, item),
            Event::Down { conn, .. } => {
                if self.nodes[i].ends.remove(&conn).is_some() {
                    self.step(i, Input::Down { conn });
                }
            }
        }
    }

    fn perform(&mut self, i: usize, out: Vec<Output>) {
        for output in out {
            self.oracle.output(self.now_ms, i, &self.nodes[i], &output, self.voters);
            self.output(i, output);
        }
        let node = &mut self.nodes[i];
        let Some(deadline_ms) = node.zab.as_ref().map(Zab::deadline_ms) else {
            return;
        };
        if deadline_ms < node.tick_at_ms {
            node.tick_at_ms = deadline_ms;
            self.schedule(deadline_ms.saturating_sub(self.now_ms), Event::Tick { node: i });
        }
    }

    fn output(&mut self, i: usize, output: Output) {
        match output {
            Output::DialElection { conn, host, .. } => self.dial(i, conn, &host, false),
            Output::DialLeader { conn, host, .. } => self.dial(i, conn, &host, true),
            Output::ListenQuorum(on) => self.nodes[i].listening = on,
            Output::Close { conn } => self.hang_up(i, conn),
            Output::SendElection { conn, bytes } | Output::Send { conn, bytes } => {
                self.send(i, conn, Item::Bytes(bytes));
            }
            Output::SendSnapshot { conn } => {
                let body = self.nodes[i].tree.encode();
                self.send(i, conn, Item::Snapshot(body));
            }
            Output::Persist { id, op } => {
                self.nodes[i].writes.push_back((id, op));
                self.wake_disk(i);
            }
            Output::Role(role) => {
                if role == Role::Looking {
                    self.nodes[i].syncs.clear();
                    self.nodes[i].sync_replies.clear();
                    self.whisper(i);
                }
            }
            Output::Deliver { zxid, txn } => {
                self.nodes[i].tree.apply(zxid, txn);
                self.oracle.delivered(i, &self.nodes[i]);
                self.answer_syncs(i);
            }
            Output::EpochStart { zxid } => { stat("established"); self.nodes[i].tree.last = zxid },
            Output::InstallSnapshot { zxid, body } => {
                self.nodes[i].tree = Tree::decode(zxid, body);
                self.oracle.installed(i, &self.nodes[i]);
            }
            Output::Request { conn, packet, .. } => {
                let reply = Packet::new(Kind::SYNC, Zxid(0));
                assert_eq!(packet.data.as_deref(), Some(&b"sync"[..]));
                let after = self.nodes[i].zab.as_ref().unwrap().last_proposed();
                self.nodes[i].sync_replies.push((after, conn, reply));
                self.answer_syncs(i);
            }
            Output::PingDue { zxid } => {
                let mut out = Vec::new();
                let packet = Packet::new(Kind::PING, zxid);
                self.nodes[i].zab.as_mut().unwrap().send_to_leader(packet, &mut out);
                self.perform(i, out);
            }
            Output::Answer { .. } => {
                let promised = self.nodes[i].syncs.pop_front().expect("an answer without a SYNC");
                assert!(self.nodes[i].tree.txns.len() >= promised, "SYNC was answered too early");
            }
            Output::LearnerGone { conn } => self.nodes[i].sync_replies.retain(|(_, c, _)| *c != conn),
            Output::Revalidate { .. } | Output::Touched { .. } => {}
            Output::Note(text) => {
                if text.contains("where it does not belong") { panic!("{text}"); }
                let t: String = text.chars().filter(|c| !c.is_ascii_digit()).take(60).collect();
                stat(&t);
                trace(|| format!("{:6} n{} notes: {text}", self.now_ms, i + 1));
                self.nodes[i].notes.push(text);
            }
            Output::Halt { reason } => panic!("n{} halts: {reason}", i + 1),
        }
    }

    fn answer_syncs(&mut self, i: usize) {
        let committed = self.nodes[i].zab.as_ref().unwrap().last_committed();
        let replies = std::mem::take(&mut self.nodes[i].sync_replies);
        let (due, later) = replies.into_iter().partition(|(after, ..)| *after <= committed);
        self.nodes[i].sync_replies = later;
        for (_, conn, packet) in due {
            let mut out = Vec::new();
            self.nodes[i].zab.as_mut().unwrap().send_to_learner(conn, packet, &mut out);
            self.perform(i, out);
        }
    }

    fn whisper(&mut self, i: usize) {
        if self.now_ms < self.rumours_until_ms && i < self.voters {
            let delay_ms = self.random.below(6);
            self.schedule(delay_ms, Event::Rumour { node: i });
        }
    }

    /// Makes a looking server believe that all its peers want one leader, whoever that is.
    fn rumour(&mut self, i: usize) {
        let leader = self.random.below(self.voters as u64) as usize;
        let looking = self.nodes[i].zab.as_ref().is_some_and(|zab| *zab.role() == Role::Looking);
        if self.now_ms >= self.rumours_until_ms || !looking {
            return;
        }
        self.rumours += 1;
        let n = Notification {
            state: ballot::State::Looking,
            leader: self.nodes[leader].sid,
            zxid: RUMOUR,
            round: 1_000_000 + self.rumours,
            peer_epoch: Epoch(1 << 20),
            version: 2,
            config: None,
        };
        trace(|| format!("{:6} n{} hears that n{} shall lead", self.now_ms, i + 1, leader + 1));
        let voters = self.voters;
        let ends = self.nodes[i].ends.iter();
        let conns: Vec<ConnId> =
            ends.filter(|(_, e)| !e.quorum && e.peer < voters).map(|(conn, _)| *conn).collect();
        for conn in conns {
            let payload = n.encode().slice(4..);
            self.step(i, Input::ElectionMessage { conn, payload });
        }
    }

    fn schedule(&mut self, delay_ms: u64, event: Event) {
        self.sequence += 1;
        let life = self.nodes[event.node()].life;
        self.events.insert((self.now_ms + delay_ms, self.sequence), (life, event));
    }

    fn is_cut(&self, a: usize, b: usize) -> bool {
        self.cut.contains(&(a.min(b), a.max(b)))
    }

    fn dial(&mut self, i: usize, conn: ConnId, host: &str, quorum: bool) {
        let to = host.strip_prefix('n').and_then(|n| n.parse::<usize>().ok()).unwrap() - 1;
        let delay_ms = self.random.between(1, self.delay_ms_max);
        self.schedule(delay_ms, Event::Dialled { node: i, conn, to, quorum });
    }

    fn dialled(&mut self, i: usize, conn: ConnId, to: usize, quorum: bool) {
        if self.is_cut(i, to) {
            // Half of the lost dials are noticed; the others end by their own deadline.
            if self.random.one_in(2) {
                self.step(i, Input::Down { conn });
            }
            return;
        }
        let target = &mut self.nodes[to];
        if target.zab.is_none() || (quorum && !target.listening) {
            return self.step(i, Input::Down { conn });
        }
        let target = &mut self.nodes[to];
        target.next_accepted += 2;
        let accepted = ConnId(target.next_accepted);
        let lives = [self.nodes[i].life, self.nodes[to].life];
        let end = |peer, peer_conn, hello| End {
            peer,
            peer_conn,
            peer_life: lives[usize::from(peer == to)],
            quorum,
            hello,
            buffer: BytesMut::new(),
            snapshot: false,
            arrives_ms: 0,
            broken: false,
        };
        self.nodes[to].ends.insert(accepted, end(i, conn, !quorum));
        self.nodes[i].ends.insert(conn, end(to, accepted, false));
        if quorum {
            self.step(to, Input::LearnerUp { conn: accepted });
            self.step(i, Input::LeaderUp { conn });
        } else {
            self.step(i, Input::ElectionUp { conn });
        }
    }

    /// Closes our end; the other hears of it after what was sent before.
    fn hang_up(&mut self, i: usize, conn: ConnId) {
        self.send(i, conn, Item::Close);
        self.nodes[i].ends.remove(&conn);
    }

    fn send(&mut self, i: usize, conn: ConnId, item: Item) {
        let delay_ms = self.random.between(1, self.delay_ms_max);
        let now_ms = self.now_ms;
        let lives: Vec<u64> = self.nodes.iter().map(|node| node.life).collect();
        let Some(end) = self.nodes[i].ends.get_mut(&conn) else {
            return;
        };
        let (peer, peer_conn, peer_life) = (end.peer, end.peer_conn, end.peer_life);
        if peer_life != lives[peer] {
            return;
        }
        end.arrives_ms = end.arrives_ms.max(now_ms + delay_ms);
        let delay_ms = end.arrives_ms - now_ms;
        self.schedule(delay_ms, Event::Arrive { node: peer, conn: peer_conn, item });
    }

    fn arrive(&mut self, i: usize, conn: ConnId, item: Item) {
        let Some(peer) = self.nodes[i].ends.get(&conn).map(|end| end.peer) else {
            return;
        };
        let lost = self.is_cut(i, peer);
        let end = self.nodes[i].ends.get_mut(&conn).unwrap();
        end.broken |= lost;
        if end.broken {
            let (peer, peer_conn) = (end.peer, end.peer_conn);
            let other = self.nodes[peer].ends.get_mut(&peer_conn);
            if let Some(other) = other.filter(|other| other.peer == i && other.peer_conn == conn) {
                other.broken = true;
            }
            return;
        }
        match item {
            Item::Close => {
                self.nodes[i].ends.remove(&conn);
                self.step(i, Input::Down { conn });
            }
            Item::Snapshot(body) => {
                assert!(end.snapshot, "a snapshot stream without SNAP");
                end.snapshot = false;
                self.step(i, Input::Progress { conn });
                self.step(i, Input::SnapshotReceived { conn, body });
            }
            Item::Bytes(bytes) => {
                end.buffer.extend_from_slice(&bytes);
                while let Some(input) = self.frame(i, conn) {
                    self.step(i, input);
                }
            }
        }
    }

    /// The next complete message of a connection, as the driver would find it.
    fn frame(&mut self, i: usize, conn: ConnId) -> Option<Input> {
        let end = self.nodes[i].ends.get_mut(&conn)?;
        if end.quorum {
            if end.snapshot {
                assert!(end.buffer.is_empty(), "packets inside a snapshot stream");
                return None;
            }
            let packet = take_packet(&mut end.buffer).unwrap()?;
            end.snapshot = packet.kind == Kind::SNAP;
            Some(Input::Packet { conn, packet })
        } else if end.hello {
            let hello = Hello::take(&mut end.buffer).unwrap()?;
            end.hello = false;
            Some(Input::ElectionHello { conn, hello })
        } else {
            let payload = Notification::take_payload(&mut end.buffer).unwrap()?;
            Some(Input::ElectionMessage { conn, payload })
        }
    }

    fn wake_disk(&mut self, i: usize) {
        if !self.nodes[i].disk_busy && !self.nodes[i].writes.is_empty() {
            self.nodes[i].disk_busy = true;
            let delay_ms = self.random.between(0, self.nodes[i].disk_ms_max);
            self.schedule(delay_ms, Event::Disk { node: i });
        }
    }

    /// One group commit: some of the waiting writes, in order.
    fn flush(&mut self, i: usize) {
        self.nodes[i].disk_busy = false;
        let count = self.random.between(1, self.nodes[i].writes.len().max(1) as u64);
        let mut last = None;
        for _ in 0..count {
            let Some((id, op)) = self.nodes[i].writes.pop_front() else {
                break;
            };
            let truncates = matches!(op, PersistOp::Truncate { .. });
            self.execute(i, op);
            if truncates {
                if let Some(id) = last.take() {
                    self.step(i, Input::Persisted { id });
                }
                self.nodes[i].tree = self.nodes[i].disk.load();
                self.oracle.installed(i, &self.nodes[i]);
                let tail = self.nodes[i].disk.tail(self.committed_log_max);
                let last_zxid = self.nodes[i].disk.last();
                self.step(i, Input::Reloaded { id, last_zxid, tail });
            } else {
                last = Some(id);
            }
        }
        if let Some(id) = last {
            self.step(i, Input::Persisted { id });
        }
        self.wake_disk(i);
    }

    fn execute(&mut self, i: usize, op: PersistOp) {
        let disk = &mut self.nodes[i].disk;
        match op {
            PersistOp::Append { zxid, txn } => {
                assert!(zxid > disk.last(), "n{}: {zxid} appended after {}", i + 1, disk.last());
                disk.log.push((zxid, txn));
            }
            PersistOp::AcceptedEpoch(epoch) => {
                assert!(epoch > disk.accepted, "accepted epochs grow");
                disk.accepted = epoch;
            }
            PersistOp::CurrentEpoch(epoch) => {
                assert!(epoch > disk.current && epoch <= disk.accepted, "I1");
                disk.current = epoch;
            }
            PersistOp::Truncate { to } => {
                stat(if to >= disk.base.last {"cut"} else {"cannot cut"});
                if to >= disk.base.last {
                    disk.log.retain(|(zxid, _)| *zxid <= to);
                }
            }
            PersistOp::InstallSnapshot { zxid, body } => {
                stat("install"); if zxid.is_epoch_start() {stat("install start");} if zxid < disk.last() { stat("install backwards"); }
                disk.base = Tree::decode(zxid, body);
                disk.log.clear();
            }
        }
    }
}
