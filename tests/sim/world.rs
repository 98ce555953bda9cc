//! The simulated world: machines, clients, the network between them, and the one thread of events that drives
//! them all from one seed.

use std::collections::{BTreeMap, VecDeque};

use fastrand::Rng;
use zkops::client::ConnectString;
use zkops::client::session::Input;
use zkops::server::store::mem::ReadFault;
use zkops::wire::ids::SessionId;

use crate::check::Checks;
use crate::client::Client;
use crate::foreign::Foreigners;
use crate::greedy::Held;
use crate::net::{End, Host, Item, LinkId, Net, Port};
use crate::node::{Node, dirs};
use crate::queue::{Event, Queue};
use crate::scenario::{Ambush, Direction, Fault, Knobs, MS, SECOND, Scenario, Target};
use crate::stranger::Strangers;
use crate::trace::Trace;

/// A run has some ten thousand events: whoever needs this many goes round in circles.
const EVENTS_MAX: u64 = 2_000_000;

pub(crate) struct World {
    pub(crate) now: u64,
    pub(crate) rng: Rng,
    pub(crate) knobs: Knobs,
    pub(crate) membership: String,
    pub(crate) nodes: Vec<Node>,
    pub(crate) clients: Vec<Client>,
    pub(crate) net: Net,
    /// The session that each client connection belongs to.
    pub(crate) sessions: Vec<SessionId>,
    pub(crate) strangers: Strangers,
    pub(crate) foreigners: Foreigners,
    pub(crate) greedy: BTreeMap<LinkId, Held>,
    pub(crate) queue: Queue,
    pub(crate) checks: Checks,
    pub(crate) trace: Trace,
    faults: Vec<(u64, Fault)>,
    /// What waits for the next candidates.
    ambushes: VecDeque<(Ambush, u64)>,
    pub(crate) events: u64,
}

impl World {
    pub(crate) fn new(scenario: &Scenario, trace: Trace) -> World {
        let mut rng = Rng::with_seed(scenario.seed);
        let line = |i: usize| {
            let role = if i < scenario.voters { "participant" } else { "observer" };
            format!("server.{}=n{}:2888:3888:{role}\n", i + 1, i + 1)
        };
        let knobs = scenario.knobs.clone();
        let nodes: Vec<Node> = (0..scenario.nodes())
            .map(|i| {
                let drift_ppm =
                    if knobs.drift_ppm == 0 { 0 } else { rng.i64(-knobs.drift_ppm..=knobs.drift_ppm) };
                let node = Node::new(i, rng.u64(..), drift_ppm);
                // The first deploy's word that an empty directory is meant (disk-format §8).
                node.disk.put(&dirs(&knobs).log.join("initialize"), b"");
                node.disk.put(&dirs(&knobs).data.join("myid"), format!("{}\n", i + 1).as_bytes());
                node
            })
            .collect();
        let servers: Vec<String> = (1..=scenario.nodes()).map(|n| format!("n{n}:2181")).collect();
        let to: ConnectString = servers.join(",").parse().expect("a list of hosts");
        let clients = (0..scenario.clients)
            .map(|c| Client::new(c, to.clone(), knobs.session_timeout_ms, rng.fork()))
            .collect();
        World {
            now: 0,
            net: Net::new(knobs.latency_us, rng.fork()),
            membership: (0..scenario.nodes()).map(line).collect(),
            checks: Checks::new(nodes.len(), scenario.voters),
            nodes,
            clients,
            sessions: Vec::new(),
            strangers: Strangers::new(scenario.siege),
            foreigners: Foreigners::default(),
            greedy: BTreeMap::new(),
            queue: Queue::default(),
            trace,
            faults: scenario.faults.clone(),
            ambushes: VecDeque::new(),
            events: 0,
            knobs,
            rng,
        }
    }

    /// Starts everything, and plans the faults.
    pub(crate) fn start(&mut self) {
        for i in 0..self.nodes.len() {
            self.start_node(i);
        }
        for c in 0..self.clients.len() {
            self.client_input(c, Input::Tick);
            self.plan_act(c);
        }
        for (index, (at, _)) in self.faults.iter().enumerate() {
            self.queue.push(*at, Event::Fault { index });
        }
    }

    /// Runs until a time, or a violation. False at a violation.
    pub(crate) fn run_until(&mut self, until: u64) -> bool {
        while self.checks.violation.is_none() {
            let Some((at, event)) = self.queue.pop(until) else {
                self.now = until;
                return true;
            };
            self.now = at;
            if self.events > EVENTS_MAX {
                self.checks
                    .fail("livelock", format!("more than {EVENTS_MAX} events by {:.1} s", self.seconds()));
            }
            self.happen(event);
        }
        false
    }

    /// Runs until a condition holds; false when it does not by then.
    pub(crate) fn run_while(&mut self, limit_us: u64, busy: impl Fn(&World) -> bool) -> bool {
        let until = self.now + limit_us;
        while busy(self) {
            if self.now >= until || !self.run_until((self.now + 20 * MS).min(until)) {
                return !busy(self);
            }
        }
        true
    }

    /// The same with a supervisor, which starts what has ended: a server that found its data damaged gives up when
    /// no leader comes in time, and is started again. One that refuses its data is repaired.
    pub(crate) fn run_supervised(&mut self, limit_us: u64, busy: impl Fn(&World) -> bool) -> bool {
        let until = self.now + limit_us;
        while self.now < until && self.checks.violation.is_none() {
            if self.run_while((until - self.now).min(SECOND), &busy) {
                return true;
            }
            (0..self.nodes.len()).for_each(|i| {
                self.repair(i);
                self.start_node(i);
            });
        }
        !busy(self)
    }

    fn happen(&mut self, event: Event) {
        self.events += 1;
        self.trace.mix(self.now);
        match event {
            Event::Run { node, life } => self.run_node(node, life),
            Event::Disk { node, life } => {
                let paused_until = self.nodes[node].paused_until;
                if paused_until > self.now {
                    return self.queue.push(paused_until, event);
                }
                self.run_disk(node, life);
            }
            Event::SnapshotChunk { node, life } => self.snapshot_chunk(node, life),
            Event::SnapshotFinish { node, life } => self.snapshot_finish(node, life),
            Event::Ambushed { node, how } => self.ambushed(node, how),
            Event::Relieved { node } => {
                self.start_node(node);
                self.fault(Fault::Join);
            }
            Event::Dialled { link } => self.dialled(link),
            Event::DialFails { link } => self.dial_ends(link, false),
            Event::Arrive { link, side } => self.arrive(link, side),
            Event::ClientTick { client } => self.client_tick(client),
            Event::ClientActs { client } => self.client_acts(client),
            Event::StrangerGoesOn { link, left } => self.stranger_goes_on(link, left),
            Event::GreedyAsks { link, left } => self.greedy_asks_again(link, left),
            Event::GreedyReads { link } => self.greedy_reads(link),
            Event::Fault { index } => {
                let fault = self.faults[index].1;
                self.trace.say(self.now, || format!("--- {fault:?}"));
                self.fault(fault);
            }
        }
    }

    /// Dials: the answer comes as [`Event::Dialled`], or never.
    pub(crate) fn open(&mut self, from: Host, life: u64, conn: u64, to: Host, port: Port) -> LinkId {
        let link = self.net.add(port, End::new(from, life, conn), End::new(to, 0, 0));
        self.sessions.push(SessionId::NONE);
        let delay = self.net.delay(self.now, from, to);
        self.queue.push(self.now + delay, Event::Dialled { link });
        link
    }

    fn dialled(&mut self, link: LinkId) {
        let (from, to) = (self.net.links[link].ends[0].host, self.net.links[link].ends[1].host);
        let Host::Node(j) = to else { return };
        let silent = self.net.is_cut(from, to) || self.net.is_cut(to, from) || !self.nodes[j].powered;
        if silent {
            let patience = 5 * self.knobs.tick_ms * MS;
            return self.queue.push(self.now + patience, Event::DialFails { link });
        }
        let is_up = self.accept(link, j);
        self.dial_ends(link, is_up);
    }

    fn dial_ends(&mut self, link: LinkId, is_up: bool) {
        if !is_up {
            self.net.links[link].ends.iter_mut().for_each(|end| end.open = false);
        }
        match self.net.links[link].ends[0].host {
            Host::Node(i) => self.node_dialled(i, link, is_up),
            Host::Client(c) => self.client_dialled(c, link, is_up),
            Host::Stranger => self.stranger_dialled(link, is_up),
            Host::Greedy => self.greedy_dialled(link, is_up),
        }
    }

    pub(crate) fn send(&mut self, link: LinkId, side: usize, item: Item) {
        match &item {
            Item::Bytes(bytes) | Item::Snapshot(bytes, _) => self.trace.bytes(bytes),
            Item::Fin => self.trace.mix(1),
        }
        if let Some(at) = self.net.send(self.now, link, side, item) {
            self.queue.push(at, Event::Arrive { link, side: 1 - side });
        }
    }

    /// Closes one end; the other hears of it behind what was sent before.
    pub(crate) fn close(&mut self, link: LinkId, side: usize) {
        let end = &mut self.net.links[link].ends[side];
        if std::mem::take(&mut end.open) {
            end.queue.clear();
            self.send(link, side, Item::Fin);
        }
    }

    fn arrive(&mut self, link: LinkId, side: usize) {
        loop {
            let link_ = &mut self.net.links[link];
            let (from, to) = (link_.ends[1 - side].host, link_.ends[side].host);
            let due = link_.ends[side].queue.front().is_some_and(|(at, _)| *at <= self.now);
            if !due || self.net.is_cut(from, to) {
                return;
            }
            let end = &mut self.net.links[link].ends[side];
            let Some((_, item)) = end.queue.pop_front() else { return };
            if !end.open {
                continue;
            }
            match to {
                Host::Node(i) => self.node_receives(i, link, side, item),
                Host::Client(c) if self.clients[c].paused_until > self.now => {
                    let until = self.clients[c].paused_until;
                    self.net.links[link].ends[side].queue.push_front((until, item));
                    return self.queue.push(until, Event::Arrive { link, side });
                }
                Host::Client(c) => self.client_receives(c, link, item),
                Host::Stranger => self.stranger_hears(link, item),
                Host::Greedy => self.greedy_hears(link, item),
            }
        }
    }

    fn target(&self, target: Target) -> Option<usize> {
        match target {
            Target::Node(i) => Some(i),
            Target::Leader => self.leader(),
        }
    }

    fn fault(&mut self, fault: Fault) {
        match fault {
            Fault::Start(i) => self.start_node(i),
            Fault::PowerOffAll => (0..self.nodes.len()).for_each(|i| self.power_off(i)),
            Fault::CutOneWay(a, b) => self.net.cut(Host::Node(a), Host::Node(b)),
            Fault::Split(mask) => self.split(|a, b| (mask >> a) & 1 != (mask >> b) & 1),
            Fault::Bridge(bridge) => {
                self.split(|a, b| a != bridge && b != bridge && (a < bridge) != (b < bridge));
            }
            Fault::EveryoneSyncs => (0..self.clients.len()).for_each(|c| self.client_syncs(c)),
            Fault::Join => {
                for (link, side, at) in self.net.join(self.now) {
                    self.queue.push(at, Event::Arrive { link, side });
                }
            }
            Fault::Reset(a, b) => self.reset(|x, y| {
                [(Host::Node(a), Host::Node(b)), (Host::Node(b), Host::Node(a))].contains(&(x, y))
            }),
            Fault::DiskRoom(i) => self.nodes[i].disk.clear_faults(),
            Fault::BitFlip(i) => self.flip_bit(i),
            Fault::ReadError(i, after) => self.bad_read(i, after, ReadFault::Io),
            Fault::ReadFlip(i, after) => self.bad_read(i, after, ReadFault::Flip),
            Fault::Ambush(how, delay_us) => self.ambushes.push_back((how, delay_us)),
            Fault::ClientGone(c) => {
                // Its process is gone; another takes its place, with a session of its own.
                self.client_gone(c);
            }
            Fault::ClientPause(c, ms) => self.clients[c].paused_until = self.now + ms * MS,
            Fault::ClientReset(c) => self.reset(|x, y| x == Host::Client(c) || y == Host::Client(c)),
            Fault::Kill(target)
            | Fault::PowerOff(target)
            | Fault::CrashAtWrite(target, _)
            | Fault::Pause(target, _)
            | Fault::Isolate(target, _)
            | Fault::CutClients(target)
            | Fault::ResetClients(target)
            | Fault::Slow(target, ..)
            | Fault::SlowDisk(target, ..)
            | Fault::DiskFull(target)
            | Fault::DiskError(target, _)
            | Fault::ClockJump(target, _)
            | Fault::Purge(target)
            | Fault::Strangers(target, ..)
            | Fault::Greedy(target, _)
            | Fault::Foreigners(target, ..) => {
                if let Some(i) = self.target(target) {
                    self.fault_of(fault, i);
                }
            }
        }
    }

    fn fault_of(&mut self, fault: Fault, i: usize) {
        let now = self.now;
        let node = &mut self.nodes[i];
        match fault {
            Fault::Kill(_) => self.end_process(i, false),
            Fault::PowerOff(_) => self.power_off(i),
            Fault::CrashAtWrite(_, after) => {
                let at = node.disk.operations() + after;
                node.disk.fail_at(at, zkops::server::store::mem::Fault::Crash);
            }
            Fault::Pause(_, ms) => node.paused_until = now + ms * MS,
            Fault::Isolate(_, direction) => {
                for other in (0..self.nodes.len()).filter(|other| *other != i) {
                    if direction != Direction::Out {
                        self.net.cut(Host::Node(other), Host::Node(i));
                    }
                    if direction != Direction::In {
                        self.net.cut(Host::Node(i), Host::Node(other));
                    }
                }
            }
            Fault::CutClients(_) => {
                for c in 0..self.clients.len() {
                    self.net.cut(Host::Node(i), Host::Client(c));
                    self.net.cut(Host::Client(c), Host::Node(i));
                }
            }
            Fault::ResetClients(_) => self.reset(|x, y| match (x, y) {
                (Host::Client(_), Host::Node(j)) => j == i,
                _ => false,
            }),
            Fault::Slow(_, us, ms) => self.net.slow_down(Host::Node(i), us, now + ms * MS),
            Fault::SlowDisk(_, us, ms) => node.slow_disk = (us, now + ms * MS),
            Fault::DiskFull(_) => {
                node.disk_fails = true;
                node.disk.set_free_bytes(0);
            }
            Fault::DiskError(_, after) => {
                node.disk_fails = true;
                let at = node.disk.operations() + after;
                node.disk.fail_at(at, zkops::server::store::mem::Fault::Io);
            }
            Fault::ClockJump(_, ms) => node.clock.wall_offset_ms += ms,
            Fault::Purge(_) => self.purge(i),
            Fault::Strangers(_, caller, count) => self.strangers_call(i, caller, count),
            Fault::Greedy(_, greed) => self.greedy_calls(i, greed),
            Fault::Foreigners(_, foreign, ms) => self.foreigners_speak(i, foreign, ms),
            other => unreachable!("{other:?} has no target"),
        }
    }

    fn split(&mut self, apart: impl Fn(usize, usize) -> bool) {
        for a in 0..self.nodes.len() {
            for b in (0..self.nodes.len()).filter(|b| *b != a) {
                if apart(a, b) {
                    self.net.cut(Host::Node(a), Host::Node(b));
                }
            }
        }
    }

    /// Ends connections from both sides, as a middlebox does.
    fn reset(&mut self, hits: impl Fn(Host, Host) -> bool) {
        for link in 0..self.net.links.len() {
            let [a, b] = &self.net.links[link].ends;
            if (a.open || b.open) && hits(a.host, b.host) {
                for side in 0..2 {
                    if self.net.links[link].ends[side].open {
                        self.net.links[link].ends[side].queue.clear();
                        self.net.links[link].ends[1 - side].open |= false;
                        self.send(link, 1 - side, Item::Fin);
                    }
                }
            }
        }
    }

    fn client_gone(&mut self, c: usize) {
        let to = (1..=self.nodes.len()).map(|n| format!("n{n}:2181")).collect::<Vec<_>>().join(",");
        let to: ConnectString = to.parse().expect("a list of hosts");
        let fresh = Client::new(
            c + 100 * (1 + self.events as usize),
            to,
            self.knobs.session_timeout_ms,
            self.rng.fork(),
        );
        // Its machine goes with it: nothing tells the server.
        self.clients[c] = fresh;
        self.client_input(c, Input::Tick);
        self.plan_act(c);
    }

    /// A server has become a candidate.
    pub(crate) fn spring_ambush(&mut self, i: usize) {
        if let Some((how, delay_us)) = self.ambushes.pop_front() {
            self.queue.push(self.now + delay_us, Event::Ambushed { node: i, how });
        }
    }

    fn ambushed(&mut self, i: usize, how: Ambush) {
        self.trace.say(self.now, || format!("--- {how:?} for the candidate n{}", i + 1));
        match how {
            Ambush::Kill => self.end_process(i, false),
            Ambush::PowerOff => self.power_off(i),
            Ambush::Isolate => self.fault_of(Fault::Isolate(Target::Node(i), Direction::Both), i),
            Ambush::Corner(witness) => {
                let is_in = |node: usize| node == i || node == witness;
                self.split(|a, b| is_in(a) != is_in(b));
            }
            Ambush::Pause(ms) => self.fault_of(Fault::Pause(Target::Node(i), ms), i),
        }
        let relief_us = if self.rng.bool() { self.rng.u64(50..600) } else { self.rng.u64(600..9_000) } * MS;
        self.queue.push(self.now + relief_us, Event::Relieved { node: i });
    }

    /// The faults end: every path is open, every disk has room, everybody runs.
    pub(crate) fn heal(&mut self) {
        self.trace.say(self.now, || "=== healing".to_owned());
        self.ambushes.clear();
        self.strangers_leave();
        self.greedy_leave();
        self.foreigners_leave();
        self.fault(Fault::Join);
        self.net.calm((100, 500));
        self.knobs.disk_us = (200, 400);
        for i in 0..self.nodes.len() {
            let node = &mut self.nodes[i];
            node.paused_until = 0;
            node.slow_disk = (0, 0);
            node.disk.clear_faults();
            self.start_node(i);
        }
        for c in 0..self.clients.len() {
            self.clients[c].paused_until = 0;
        }
    }

    pub(crate) fn seconds(&self) -> f64 {
        self.now as f64 / SECOND as f64
    }
}
