//! What a seed stands for: an ensemble, its settings, and a plan of faults. Everything is drawn once, up front,
//! so that a failing plan can be cut down fault by fault (`shrink`) while the rest stays as it was.

use fastrand::Rng;

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
    pub(crate) dirs_apart: bool,
    /// How long a client thinks between two requests, at most.
    pub(crate) think_ms: u64,
    pub(crate) pipeline_max: usize,
    pub(crate) session_timeout_ms: u64,
    /// Parts per million by which each server's clock may run fast or slow.
    pub(crate) drift_ppm: i64,
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
    /// The wall clock jumps by so many ms.
    ClockJump(Target, i64),
    Purge(Target),
    ClientGone(usize),
    ClientPause(usize, u64),
    ClientReset(usize),
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
            0..=11 => (3, 0),
            12..=13 => (3, 1),
            14..=17 => (5, 0),
            18 => (5, 1),
            _ => (4, 0),
        };
        let nodes = voters + observers;
        let knobs = Knobs::draw(&mut rng);
        let clients = rng.usize(2..=5);
        let faults = draw_faults(&mut rng, nodes, clients, chaos_us);
        Scenario { seed, voters, observers, clients, knobs, chaos_us, faults }
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
            dirs_apart: rng.bool(),
            think_ms: pick(rng, &[60, 250, 600]),
            pipeline_max: pick(rng, &[1, 2, 6]) as usize,
            session_timeout_ms: pick(rng, &[1_200, 3_000, 8_000]),
            drift_ppm: pick(rng, &[0, 200, 20_000]) as i64,
        }
    }
}

/// A subset of the kinds of fault, each with its own weight, at a pace of its own.
fn draw_faults(rng: &mut Rng, nodes: usize, clients: usize, chaos_us: u64) -> Vec<(u64, Fault)> {
    let mut weights = [0_u32; KINDS];
    for weight in &mut weights {
        if rng.u32(0..3) > 0 {
            *weight = 1 << rng.u32(0..4);
        }
    }
    let pause_us = [500, 1_500, 4_000][rng.usize(0..3)] * MS;
    let mut faults = Vec::new();
    let mut at = rng.u64(1..4_000) * MS;
    let total: u32 = weights.iter().sum();
    while at < chaos_us && total > 0 {
        let mut ticket = rng.u32(0..total);
        let kind = weights.iter().position(|weight| match ticket.checked_sub(*weight) {
            Some(rest) => {
                ticket = rest;
                false
            }
            None => true,
        });
        draw_fault(rng, kind.unwrap_or(0), nodes, clients, at, &mut faults);
        at += rng.u64(1..pause_us * 2);
    }
    faults.sort_by_key(|(at, _)| *at);
    faults
}

const KINDS: usize = 26;

fn draw_fault(
    rng: &mut Rng,
    kind: usize,
    nodes: usize,
    clients: usize,
    at: u64,
    faults: &mut Vec<(u64, Fault)>,
) {
    let node = rng.usize(0..nodes);
    let other = (node + rng.usize(1..nodes)) % nodes;
    let target = if rng.u32(0..3) == 0 { Target::Leader } else { Target::Node(node) };
    let down_us = [50, 700, 6_000][rng.usize(0..3)] * MS;
    let later = |rng: &mut Rng, most_us: u64| at + rng.u64(1..most_us);
    let back = |rng: &mut Rng, faults: &mut Vec<(u64, Fault)>| {
        // A leader that went down is nobody known beforehand: a supervisor starts whoever is down.
        for node in 0..nodes {
            faults.push((later(rng, down_us), Fault::Start(node)));
        }
    };
    let outage_us = [300, 2_500, 9_000][rng.usize(0..3)] * MS;
    match kind {
        0..=1 => {
            faults.push((at, Fault::Kill(target)));
            back(rng, faults);
        }
        2..=3 => {
            faults.push((at, Fault::PowerOff(target)));
            back(rng, faults);
        }
        4..=6 => {
            faults.push((at, Fault::CrashAtWrite(target, rng.u64(0..40))));
            for node in 0..nodes {
                faults.push((later(rng, down_us) + 500 * MS, Fault::Start(node)));
            }
        }
        7 => {
            faults.push((at, Fault::PowerOffAll));
            back(rng, faults);
        }
        8 => faults.push((at, Fault::Pause(target, rng.u64(10..6_000)))),
        9 => {
            faults.push((at, Fault::CutOneWay(node, other)));
            faults.push((later(rng, outage_us), Fault::Join));
        }
        10..=11 => {
            let direction = [Direction::In, Direction::Out, Direction::Both][rng.usize(0..3)];
            faults.push((at, Fault::Isolate(target, direction)));
            faults.push((later(rng, outage_us), Fault::Join));
        }
        12 => {
            faults.push((at, Fault::Split(rng.u32(1..(1 << nodes) - 1))));
            faults.push((later(rng, outage_us), Fault::Join));
        }
        13 => {
            faults.push((at, Fault::Bridge(node)));
            faults.push((later(rng, outage_us), Fault::Join));
        }
        14 => {
            faults.push((at, Fault::CutClients(target)));
            faults.push((later(rng, outage_us), Fault::Join));
        }
        15..=16 => faults.push((at, Fault::Reset(node, other))),
        17 => faults.push((at, Fault::ResetClients(target))),
        18 => faults.push((at, Fault::Slow(target, rng.u64(1..300) * MS, rng.u64(100..4_000)))),
        19 => faults.push((at, Fault::SlowDisk(target, rng.u64(1..2_000) * MS, rng.u64(100..5_000)))),
        20 => {
            faults.push((at, Fault::DiskFull(target)));
            for node in 0..nodes {
                faults.push((at + outage_us, Fault::DiskRoom(node)));
            }
            back(rng, faults);
        }
        21 => {
            faults.push((at, Fault::DiskError(target, rng.u64(0..30))));
            back(rng, faults);
        }
        22 => faults.push((at, Fault::ClockJump(target, rng.i64(-40_000..40_000)))),
        23 => faults.push((at, Fault::Purge(target))),
        24 => faults.push((
            at,
            match rng.u32(0..3) {
                0 => Fault::ClientGone(rng.usize(0..clients)),
                1 => Fault::ClientPause(rng.usize(0..clients), rng.u64(50..9_000)),
                _ => Fault::ClientReset(rng.usize(0..clients)),
            },
        )),
        _ => {
            faults.push((at, Fault::Kill(Target::Node(node))));
            faults.push((at + 1, Fault::BitFlip(node)));
            back(rng, faults);
        }
    }
}
