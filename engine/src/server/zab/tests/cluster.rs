//! A whole ensemble in memory: N state machines, a network, disks and virtual time, all driven by
//! one seed. After every step the oracle (`oracle`) looks at what was sent, written and
//! delivered.
//!
//! It knows the driver's duties (framing, order of outputs, group commit) and nothing of the
//! protocol's decisions.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;

use super::disk::{Disk, Random, Tree, trace};
use super::network::{End, Item};
use super::oracle::Oracle;
use crate::server::zab::wire::Kind;
use crate::server::zab::*;

pub(super) const QUORUM_PORT: u16 = 2888;

pub(super) struct Node {
    pub(super) sid: ServerId,
    pub(super) zab: Option<Zab>,
    pub(super) disk: Disk,
    pub(super) tree: Tree,
    pub(super) listening: bool,
    /// Grows with every start; events of an older life are dropped.
    pub(super) life: u64,
    pub(super) writes: VecDeque<(PersistId, PersistOp)>,
    disk_busy: bool,
    pub(super) disk_ms_max: u64,
    pub(super) ends: BTreeMap<ConnId, End>,
    pub(super) next_accepted: u64,
    tick_at_ms: u64,
    pub(super) notes: Vec<String>,
    /// SYNC requests under way: how much was committed when they were sent.
    syncs: VecDeque<usize>,
    /// Leader: SYNCs to answer once this is committed.
    sync_replies: Vec<(Zxid, u64, ConnId, Packet)>,
    confirmed_round: u64,
}

impl Node {
    /// Who is at the other end.
    pub(super) fn peer(&self, conn: ConnId) -> Option<usize> {
        self.ends.get(&conn).map(|end| end.peer)
    }
}

pub(super) enum Event {
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
    pub(super) rumours: i64,
    events: BTreeMap<(u64, u64), (u64, Event)>,
    sequence: u64,
    membership: Membership,
    pub(super) voters: usize,
    writes: u64,
    /// Servers without their data that found no leader in time.
    pub(super) halts: u64,
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
        txn_len_max: crate::wire::jute::FIELD_LEN_MAX,
        counter_max: COUNTER_MAX,
        unlisted_learners: 0,
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
            confirmed_round: 0,
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
            halts: 0,
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
        let wounded = node.disk.is_wounded();
        if wounded {
            node.tree = Tree { txns: Vec::new(), last: Zxid::NONE };
        }
        let durable = Durable {
            accepted_epoch: node.disk.accepted,
            current_epoch: node.disk.current,
            last_zxid: if wounded { Zxid::NONE } else { node.disk.last() },
            tail: if wounded { Vec::new() } else { node.disk.tail(tail_len) },
            wounded,
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
            self.nodes[i].disk.execute(op);
        }
        let node = &mut self.nodes[i];
        node.writes.clear();
        node.disk_busy = false;
        node.listening = false;
        node.life += 1;
        node.syncs.clear();
        node.sync_replies.clear();
        node.confirmed_round = 0;
        for conn in node.ends.keys().copied().collect::<Vec<_>>() {
            self.hang_up(i, conn);
        }
        self.oracle.stopped(i);
    }

    /// The disk of a server that is down loses its data, unless somebody else's has: what is on a quorum must
    /// survive one loss.
    pub(super) fn lose_data(&mut self, i: usize) {
        let someone = self.nodes.iter().any(|node| node.disk.is_wounded());
        if self.nodes[i].zab.is_none() && !someone {
            trace(|| format!("{:6} n{} loses its data", self.now_ms, i + 1));
            self.nodes[i].disk.lose();
        }
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
                    self.nodes[i].confirmed_round = 0;
                    self.whisper(i);
                }
            }
            Output::Deliver { zxid, txn } => {
                self.nodes[i].tree.apply(zxid, txn);
                self.oracle.delivered(i, &self.nodes[i]);
                self.answer_syncs(i);
            }
            Output::EpochStart { zxid } => self.nodes[i].tree.last = zxid,
            Output::InstallSnapshot { zxid, body } => {
                self.nodes[i].tree = Tree::decode(zxid, body);
                self.oracle.installed(i, &self.nodes[i]);
            }
            Output::Request { conn, packet, .. } => {
                let reply = Packet::new(Kind::SYNC, Zxid(0));
                assert_eq!(packet.data.as_deref(), Some(&b"sync"[..]));
                let zab = self.nodes[i].zab.as_mut().unwrap();
                let mut out = Vec::new();
                let (after, round) = (zab.last_proposed(), zab.confirm_leadership(self.now_ms, &mut out));
                self.nodes[i].sync_replies.push((after, round, conn, reply));
                self.perform(i, out);
            }
            Output::LeadershipConfirmed { round } => {
                self.nodes[i].confirmed_round = round;
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
            Output::LearnerGone { conn } => self.nodes[i].sync_replies.retain(|(.., c, _)| *c != conn),
            Output::Revalidate { .. } | Output::Touched { .. } => {}
            Output::Note(text) => {
                trace(|| format!("{:6} n{} notes: {text}", self.now_ms, i + 1));
                self.nodes[i].notes.push(text);
            }
            // A server that cannot be healed stops, and is started again by who looks after it.
            Output::Halt { .. } if self.nodes[i].disk.is_wounded() => {
                self.halts += 1;
                self.crash(i);
                self.start(i);
            }
            Output::Halt { reason } => panic!("n{} halts: {reason}", i + 1),
        }
    }

    fn answer_syncs(&mut self, i: usize) {
        let committed = self.nodes[i].zab.as_ref().unwrap().last_committed();
        let replies = std::mem::take(&mut self.nodes[i].sync_replies);
        let confirmed = self.nodes[i].confirmed_round;
        let due = |after: Zxid, round: u64| after <= committed && round <= confirmed;
        let (due, later) = replies.into_iter().partition(|(after, round, ..)| due(*after, *round));
        self.nodes[i].sync_replies = later;
        for (_, _, conn, packet) in due {
            let mut out = Vec::new();
            self.nodes[i].zab.as_mut().unwrap().send_to_learner(conn, packet, &mut out);
            self.perform(i, out);
        }
    }

    pub(super) fn schedule(&mut self, delay_ms: u64, event: Event) {
        self.sequence += 1;
        let life = self.nodes[event.node()].life;
        self.events.insert((self.now_ms + delay_ms, self.sequence), (life, event));
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
            self.nodes[i].disk.execute(op);
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
}
