//! What a seed stands for: an ensemble, its settings, and a plan of faults. Everything is drawn once, up front,
//! so that a failing plan can be cut down fault by fault (`shrink`) while the rest stays as it was.

use fastrand::Rng;

use crate::foreign::Foreign;
use crate::greedy::Greed;
use crate::siege;
use crate::stranger::{Caller, Siege};

/// Simulated time is counted in microseconds.
pub(crate) const MS: u64 = 1_000;
pub(crate) const SECOND: u64 = 1_000 * MS;

/// An ensemble and what happens to it.
#[derive(Debug, Clone)]
pub(crate) struct Scenario {
    pub(crate) seed: u64,
    pub(crate) voters: usize,
    pub(crate) observers: usize,
    pub(crate) clients: usize,
    pub(crate) knobs: Knobs,
    /// How long faults go on.
    pub(crate) chaos_us: u64,
    /// When, and what; in order of time.
    pub(crate) faults: Vec<(u64, Fault)>,
    /// Strangers are all that happens.
    pub(crate) siege: Option<Siege>,
}

/// The settings of one run. Swarm testing: each seed has its own extremes.
#[derive(Debug, Clone)]
pub(crate) struct Knobs {
    pub(crate) tick_ms: u64,
    pub(crate) init_limit: u32,
    pub(crate) sync_limit: u32,
    /// One-way delay of a message: least, and most beyond it.
    pub(crate) latency_us: (u64, u64),
    /// A group commit's time: least, and most beyond it.
    pub(crate) disk_us: (u64, u64),
    /// How long a batch waits for the processor.
    pub(crate) cpu_us: u64,
    pub(crate) committed_log_max: usize,
    pub(crate) counter_max: u32,
    pub(crate) snap_count: u32,
    pub(crate) log_file_bytes_max: Option<u64>,
    pub(crate) snapshot_chunk: usize,
    /// Snapshots kept by a purge.
    pub(crate) retain: usize,
    pub(crate) dirs_apart: bool,
    /// How long a client thinks between two requests, at most.
    pub(crate) think_ms: u64,
    pub(crate) pipeline_max: usize,
    pub(crate) session_timeout_ms: u64,
    /// Parts per million by which each server's clock may run fast or slow.
    pub(crate) drift_ppm: i64,
    /// How many requests may wait for their answers in all (`globalOutstandingLimit`).
    pub(crate) outstanding_max: u64,
}

/// Whom a fault meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    Node(usize),
    /// Whoever leads at that moment; nobody when nobody does.
    Leader,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// SIGKILL: the machine and its page cache live on.
    Kill(Target),
    /// The machine stops; what was not synced is lost or torn. Nobody is told.
    PowerOff(Target),
    /// The same in the middle of the disk operation that many from now.
    CrashAtWrite(Target, u64),
    PowerOffAll,
    /// Starts a node that is down.
    Start(usize),
    /// SIGSTOP for so many ms.
    Pause(Target, u64),
    /// Nothing goes from the first to the second.
    CutOneWay(usize, usize),
    /// Nobody hears the target, or it hears nobody, or both.
    Isolate(Target, Direction),
    /// Those in the mask and the others do not hear each other.
    Split(u32),
    /// The two halves hear each other only through this node.
    Bridge(usize),
    /// Clients do not reach it; the other servers do.
    CutClients(Target),
    /// Every path is open again; what was held arrives.
    Join,
    /// All connections between the two end.
    Reset(usize, usize),
    ResetClients(Target),
    /// Everything to and from it takes that much longer for so many ms.
    Slow(Target, u64, u64),
    SlowDisk(Target, u64, u64),
    DiskFull(Target),
    DiskRoom(usize),
    /// The disk operation that many from now fails with EIO.
    DiskError(Target, u64),
    /// One bit of one file flips on a node that is down.
    BitFlip(usize),
    /// The file read that many from now, by a node that is down, fails with EIO.
    ReadError(usize, u64),
    /// The same read gets one bit wrong.
    ReadFlip(usize, u64),
    /// The next server that becomes a candidate is hit so many us later: amid the agreement on its epoch, or the
    /// sync of its learners.
    Ambush(Ambush, u64),
    /// The wall clock jumps by so many ms.
    ClockJump(Target, i64),
    Purge(Target),
    /// Every client asks for what is true now: sync, and a read behind it.
    EveryoneSyncs,
    ClientGone(usize),
    ClientPause(usize, u64),
    ClientReset(usize),
    /// So many strangers of a kind call.
    Strangers(Target, Caller, i64),
    Greedy(Target, Greed),
    /// It hears members that go by another list of voters, for so many ms.
    Foreigners(Target, Foreign, u64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Ambush {
    Kill,
    PowerOff,
    Isolate,
    /// Left alone with this server.
    Corner(usize),
    /// For so many ms.
    Pause(u64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    In,
    Out,
    Both,
}

impl Scenario {
    /// Draws the scenario of a seed. `chaos_us` is how long faults go on.
    pub(crate) fn draw(seed: u64, chaos_us: u64) -> Scenario {
        let mut rng = Rng::with_seed(seed ^ 0x5ce0_a210);
        let (voters, observers) = match rng.u32(0..20) {
            0..=9 => (3, 0),
            10..=11 => (3, 1),
            12..=17 => (5, 0),
            18 => (5, 1),
            _ => (4, 0),
        };
        let nodes = voters + observers;
        let knobs = Knobs::draw(&mut rng);
        let clients = rng.usize(2..=5);
        let planner = Planner { rng: &mut rng, knobs: &knobs, nodes, clients, faults: Vec::new() };
        let faults = planner.draw(chaos_us);
        let mut scenario =
            Scenario { seed, voters, observers, clients, knobs, chaos_us, faults, siege: None };
        siege::draw(&mut scenario);
        // Apart from the other draws, so that those stay as they were.
        scenario.knobs.outstanding_max = match Rng::with_seed(seed ^ 0x0b5e_55ed).u32(0..8) {
            0 => 1,
            1 => 5,
            _ => 1000,
        };
        scenario
    }

    pub(crate) fn nodes(&self) -> usize {
        self.voters + self.observers
    }
}

impl Knobs {
    fn draw(rng: &mut Rng) -> Knobs {
        let pick = |rng: &mut Rng, values: &[u64]| values[rng.usize(0..values.len())];
        Knobs {
            tick_ms: pick(rng, &[200, 400, 800]),
            init_limit: rng.u32(6..=15),
            sync_limit: rng.u32(3..=8),
            latency_us: (pick(rng, &[50, 200, 1_000]), pick(rng, &[100, 2_000, 15_000])),
            disk_us: (pick(rng, &[100, 1_000, 5_000]), pick(rng, &[500, 8_000, 40_000])),
            cpu_us: pick(rng, &[30, 200, 3_000]),
            committed_log_max: pick(rng, &[4, 20, 100, 500]) as usize,
            counter_max: pick(rng, &[40, 150, 600, u64::from(u32::MAX - 1)]) as u32,
            snap_count: pick(rng, &[6, 25, 80, 400]) as u32,
            log_file_bytes_max: [None, Some(2_000), Some(20_000)][rng.usize(0..3)],
            snapshot_chunk: pick(rng, &[1, 200, 2_000, 1 << 20]) as usize,
            retain: rng.usize(1..=3),
            dirs_apart: rng.bool(),
            think_ms: pick(rng, &[60, 250, 600]),
            pipeline_max: pick(rng, &[1, 2, 6]) as usize,
            session_timeout_ms: pick(rng, &[1_200, 3_000, 8_000]),
            drift_ppm: pick(rng, &[0, 200, 20_000]) as i64,
            outstanding_max: 1000,
        }
    }
}

/// Draws a subset of the kinds of fault, each with its own weight, at a pace of its own.
struct Planner<'a> {
    rng: &'a mut Rng,
    knobs: &'a Knobs,
    nodes: usize,
    clients: usize,
    faults: Vec<(u64, Fault)>,
}

const KINDS: usize = 30;

impl Planner<'_> {
    fn draw(mut self, chaos_us: u64) -> Vec<(u64, Fault)> {
        let mut weights = [0_u32; KINDS];
        for weight in &mut weights {
            if self.rng.u32(0..3) > 0 {
                *weight = 1 << self.rng.u32(0..4);
            }
        }
        let pause_us = [500, 1_500, 4_000][self.rng.usize(0..3)] * MS;
        let mut at = self.rng.u64(1..4_000) * MS;
        let total: u32 = weights.iter().sum();
        while at < chaos_us && total > 0 {
            let mut ticket = self.rng.u32(0..total);
            let kind = weights.iter().position(|weight| match ticket.checked_sub(*weight) {
                Some(rest) => {
                    ticket = rest;
                    false
                }
                None => true,
            });
            self.fault(kind.unwrap_or(0), at);
            at += self.rng.u64(1..pause_us * 2);
        }
        self.faults.sort_by_key(|(at, _)| *at);
        self.faults
    }

    fn fault(&mut self, kind: usize, at: u64) {
        let node = self.rng.usize(0..self.nodes);
        let other = (node + self.rng.usize(1..self.nodes)) % self.nodes;
        let target = if self.rng.u32(0..3) == 0 { Target::Leader } else { Target::Node(node) };
        match kind {
            0..=1 => self.down(at, Fault::Kill(target)),
            2..=3 => self.down(at, Fault::PowerOff(target)),
            4..=6 => {
                let fault = Fault::CrashAtWrite(target, self.rng.u64(0..40));
                self.down(at, fault);
            }
            7 => self.down(at, Fault::PowerOffAll),
            8 => {
                let ms = self.rng.u64(10..6_000);
                self.faults.push((at, Fault::Pause(target, ms)));
            }
            9 => self.cut(at, Fault::CutOneWay(node, other)),
            10..=11 => {
                let direction = [Direction::In, Direction::Out, Direction::Both][self.rng.usize(0..3)];
                self.cut(at, Fault::Isolate(target, direction));
            }
            12 => {
                let mask = self.rng.u32(1..(1 << self.nodes) - 1);
                self.cut(at, Fault::Split(mask));
            }
            13 => self.cut(at, Fault::Bridge(node)),
            14 => self.cut(at, Fault::CutClients(target)),
            15..=16 => self.faults.push((at, Fault::Reset(node, other))),
            17 => self.faults.push((at, Fault::ResetClients(target))),
            18..=21 => self.slow_or_failing(kind, at, target),
            22 => {
                let ms = self.rng.i64(-40_000..40_000);
                self.faults.push((at, Fault::ClockJump(target, ms)));
            }
            23 => self.faults.push((at, Fault::Purge(target))),
            24 => self.client(at),
            25..=26 => {
                self.down(at, Fault::Kill(Target::Node(node)));
                let rot = match self.rng.u32(0..4) {
                    0..=1 => Fault::BitFlip(node),
                    2 => Fault::ReadError(node, self.rng.u64(0..40)),
                    _ => Fault::ReadFlip(node, self.rng.u64(0..40)),
                };
                self.faults.push((at + 1, rot));
            }
            27..=28 => self.ambush(at),
            // Long enough to be replaced without knowing.
            _ => {
                let limit_ms = u64::from(self.knobs.sync_limit) * self.knobs.tick_ms;
                let ms = limit_ms + self.rng.u64(1..2_500);
                self.faults.push((at, Fault::Pause(Target::Leader, ms)));
                for _ in 0..3 {
                    let before_ms = self.rng.u64(0..ms.min(2_000));
                    self.faults.push((at + (ms - before_ms) * MS, Fault::EveryoneSyncs));
                }
            }
        }
    }

    /// Somebody goes down. A leader that does is nobody known beforehand: a supervisor starts whoever is down.
    fn down(&mut self, at: u64, fault: Fault) {
        self.faults.push((at, fault));
        let delay = if matches!(fault, Fault::CrashAtWrite(..)) { 500 * MS } else { 0 };
        self.supervise(at + delay);
    }

    fn supervise(&mut self, at: u64) {
        let down_us = [50, 700, 6_000][self.rng.usize(0..3)] * MS;
        for node in 0..self.nodes {
            self.faults.push((at + self.rng.u64(1..down_us), Fault::Start(node)));
        }
    }

    fn outage_us(&mut self) -> u64 {
        [300, 2_500, 9_000][self.rng.usize(0..3)] * MS
    }

    fn cut(&mut self, at: u64, fault: Fault) {
        self.faults.push((at, fault));
        let outage_us = self.outage_us();
        self.faults.push((at + self.rng.u64(1..outage_us), Fault::Join));
    }

    fn slow_or_failing(&mut self, kind: usize, at: u64, target: Target) {
        let rng = &mut *self.rng;
        match kind {
            18 => self.faults.push((at, Fault::Slow(target, rng.u64(1..300) * MS, rng.u64(100..4_000)))),
            19 => {
                self.faults.push((at, Fault::SlowDisk(target, rng.u64(1..2_000) * MS, rng.u64(100..5_000))))
            }
            20 => {
                let until = at + self.outage_us();
                for node in 0..self.nodes {
                    self.faults.push((until, Fault::DiskRoom(node)));
                }
                self.down(at, Fault::DiskFull(target));
            }
            _ => {
                let fault = Fault::DiskError(target, rng.u64(0..30));
                self.down(at, fault);
            }
        }
    }

    fn client(&mut self, at: u64) {
        let client = self.rng.usize(0..self.clients);
        let fault = match self.rng.u32(0..3) {
            0 => Fault::ClientGone(client),
            1 => Fault::ClientPause(client, self.rng.u64(50..9_000)),
            _ => Fault::ClientReset(client),
        };
        self.faults.push((at, fault));
    }

    /// The leader goes, and so do those who would follow it. In a siege candidate after candidate is heard by the
    /// same one server only.
    fn ambush(&mut self, at: u64) {
        let most_us = [1, 20, 150][self.rng.usize(0..3)] * MS;
        let besieged = self.rng.u32(0..3) == 0;
        let witness = self.rng.usize(0..self.nodes);
        for _ in 0..self.rng.u32(1..=4) {
            let how = match self.rng.u32(0..5) {
                _ if besieged => Ambush::Corner(witness),
                0 => Ambush::Kill,
                1 => Ambush::PowerOff,
                2 => Ambush::Isolate,
                3 => Ambush::Corner(self.rng.usize(0..self.nodes)),
                _ => Ambush::Pause(self.rng.u64(50..6_000)),
            };
            self.faults.push((at, Fault::Ambush(how, self.rng.u64(0..most_us))));
        }
        self.down(at + 1, Fault::Kill(Target::Leader));
    }
}
