//! One trial: an ensemble on a network of its own, clients at work, faults by a seed; then healed, and judged.

// The schedule and the verdicts, for whoever reads a failure.
#![allow(clippy::print_stdout)]

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::clients::Clients;
use super::network::{self, End, Network};
use super::random::Random;
use super::record::Records;
use crate::check::ephemeral::ephemerals;
use crate::check::history::{Op, Outcome};
use crate::check::linear::{STEPS_MAX, linearizable};
use crate::check::lock::{self, Lock};
use crate::check::queue::Queue;
use crate::check::register::Register;
use crate::check::set::GrowingSet;
use crate::check::{Verdict, ids, order, watch};
use crate::ensemble::{Ensemble, Place, SOON};
use crate::run::{ZKOPS, eventually};

pub(crate) const TICK_MS: u64 = 200;
/// A learner that was silent for so long is cut off, a leader without a quorum for so long steps down.
pub(crate) const SYNC_LIMIT: Duration = Duration::from_millis(8 * TICK_MS);
/// Snapshots come often, so that learners which were away get some.
const SETTINGS: &str = "tickTime=200\ninitLimit=25\nsyncLimit=8\nsnapCount=400\n";
/// Answers that show that the ensemble works.
const SOME: u64 = 40;

pub(crate) struct Trial {
    // Dropped in this order: nobody calls a server that is gone, no server outlives its network.
    clients: Clients,
    pub(crate) ensemble: Ensemble,
    pub(crate) network: Network,
    pub(crate) random: Random,
    /// How each server that needs more than its program is started.
    launch: BTreeMap<usize, Vec<String>>,
    frozen: BTreeSet<usize>,
    seed: u64,
    began: Instant,
}

impl Trial {
    /// So many members serve, and clients work. The seed is the test's own unless `ZKOPS_FAULT_SEED` is set.
    pub(crate) fn start(members: usize, seed: u64) -> Trial {
        Trial::with(members, seed, |_, _| BTreeMap::new())
    }

    /// The same, where some servers are started by other commands: `launch` gives them, words before the program.
    pub(crate) fn with(
        members: usize,
        seed: u64,
        launch: impl FnOnce(&Ensemble, &mut Random) -> BTreeMap<usize, Vec<String>>,
    ) -> Trial {
        let seed = match std::env::var("ZKOPS_FAULT_SEED") {
            Ok(text) => text.parse().expect("ZKOPS_FAULT_SEED is a number"),
            Err(_) => seed,
        };
        println!("seed {seed}");
        let mut random = Random::new(seed);
        let network = Network::up(members);
        let places: Vec<Place> = (1..=members)
            .map(|n| Place {
                host: network::address(End::Server(n)),
                client_port: 2181,
                quorum_port: 2888,
                election_port: 3888,
            })
            .collect();
        let mut ensemble = Ensemble::at(&places, 0, SETTINGS);
        let launch = launch(&ensemble, &mut random);
        for n in 1..=members {
            let command = command(&network, &ensemble, &launch, n);
            ensemble.start_as(n, command);
        }
        ensemble.await_serving();
        let servers = (1..=members).map(|n| ensemble.address(n)).collect();
        let clients = Clients::start(network.namespace(End::Clients), servers, random.fork());
        let began = Instant::now();
        let trial =
            Trial { clients, ensemble, network, random, launch, frozen: BTreeSet::new(), seed, began };
        trial.await_answers(5 * SOME);
        trial
    }

    pub(crate) fn members(&self) -> Vec<usize> {
        (1..=self.ensemble.len()).collect()
    }

    pub(crate) fn start_again(&mut self, n: usize) {
        let command = command(&self.network, &self.ensemble, &self.launch, n);
        self.ensemble.start_as(n, command);
        self.say(&format!("server {n} starts"));
    }

    pub(crate) fn launch_as(&mut self, n: usize, words: Vec<String>) {
        self.launch.insert(n, words);
    }

    pub(crate) fn kill(&mut self, n: usize) {
        self.ensemble.kill(n);
        self.say(&format!("server {n} is killed"));
    }

    pub(crate) fn freeze(&mut self, n: usize) {
        self.ensemble.freeze(n);
        self.frozen.insert(n);
        self.say(&format!("server {n} is frozen"));
    }

    pub(crate) fn thaw(&mut self, n: usize) {
        self.ensemble.thaw(n);
        self.frozen.remove(&n);
        self.say(&format!("server {n} goes on"));
    }

    /// One leader that serves, besides those that only think so: the caller knows who cannot be it.
    pub(crate) fn leader_among(&self, members: &[usize]) -> usize {
        let leader = eventually("a leader serves", SOON, || {
            let leads = |n: &usize| self.ensemble.mode(*n).as_deref() == Some("leader");
            members.iter().copied().find(leads).ok_or("none leads")
        });
        self.say(&format!("server {leader} leads"));
        leader
    }

    pub(crate) fn leader(&self) -> usize {
        self.leader_among(&self.members())
    }

    /// All members but these.
    pub(crate) fn others(&self, than: &[usize]) -> Vec<usize> {
        self.members().into_iter().filter(|n| !than.contains(n)).collect()
    }

    /// Lets a fault last.
    pub(crate) fn hold(&self, span: Duration) {
        let end = Instant::now() + span;
        while Instant::now() < end {
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Waits until clients have got so many more answers.
    pub(crate) fn await_answers(&self, count: u64) {
        let goal = self.clients.signals.answered.load(Ordering::Relaxed) + count;
        eventually("clients get answers", SOON, || {
            let answered = self.clients.signals.answered.load(Ordering::Relaxed);
            if answered >= goal {
                Ok(())
            } else {
                Err(format!("{answered} of {goal}\n{}", self.ensemble.logs()))
            }
        });
    }

    /// A line of the schedule, for whoever reads a failure.
    pub(crate) fn say(&self, what: &str) {
        println!("{:6.2} s: {what}", self.began.elapsed().as_secs_f64());
    }

    /// Cables are mended, frozen servers go on, dead ones are started; all serve and clients get answers.
    pub(crate) fn heal(&mut self) {
        self.network.heal();
        self.say("healed");
        for n in self.frozen.clone() {
            self.thaw(n);
        }
        for n in self.members() {
            if self.ensemble.pid(n).is_none() || self.ensemble.ended(n).is_some() {
                self.start_again(n);
            }
        }
        self.ensemble.await_serving();
        self.await_answers(SOME);
        self.say("all serve");
    }

    /// Heals, ends the work, and judges.
    pub(crate) fn finish(mut self) {
        self.heal();
        let records = self.clients.finish();
        self.say("work is done");
        self.await_same_state();
        for n in self.members() {
            let text = std::fs::read_to_string(self.ensemble.log(n)).expect("every server has a log");
            assert!(!text.contains("panicked"), "server {n} panicked:\n{text}");
            let mntr = self.ensemble.ask(n, "mntr").expect("every server answers");
            let mismatches = mntr.lines().find(|line| line.contains("digest_mismatches_count"));
            let mismatches = mismatches.and_then(|line| line.split_whitespace().last());
            assert_eq!(mismatches, Some("0"), "server {n}'s tree differs from the leader's: {mntr}");
        }
        self.say("all members are the same");
        verdicts(records, self.seed);
    }

    fn await_same_state(&self) {
        eventually("all members are at the same zxid", SOON, || {
            let zxids: Vec<Option<String>> = self
                .members()
                .into_iter()
                .map(|n| {
                    self.ensemble
                        .ask(n, "srvr")?
                        .lines()
                        .find(|line| line.starts_with("Zxid"))
                        .map(str::to_owned)
                })
                .collect();
            let same = zxids[0].is_some() && zxids.iter().all(|zxid| *zxid == zxids[0]);
            if same { Ok(()) } else { Err(zxids) }
        });
    }
}

/// How server `n` is started at its end of the network.
fn command(
    network: &Network,
    ensemble: &Ensemble,
    launch: &BTreeMap<usize, Vec<String>>,
    n: usize,
) -> Command {
    let words = launch.get(&n).cloned().unwrap_or_default();
    let config = ensemble.config(n).display().to_string();
    let mut words = words.into_iter().chain([ZKOPS, "server", &config].map(str::to_owned));
    let program = words.next().expect("the program is the last of them");
    let mut command = network.command(End::Server(n), &program);
    command.args(words);
    command
}

/// Every promise against what clients were told. A history in which little happened proves little: there is a least.
fn verdicts(mut records: Records, seed: u64) {
    let proof = |records: &Records, process: &u64| records.proofs.get(process).copied().unwrap_or(0);
    // A session may have ended at any time after its last proof of life.
    let holders: BTreeSet<u64> = records.locks.iter().map(|op| op.process).collect();
    for process in holders {
        let (invoked, key, call) = (proof(&records, &process), "l".to_owned(), lock::Call::End(process));
        records.locks.push(Op { process, key, call, invoked, completed: 0, outcome: Outcome::Unknown });
    }
    let lives: Vec<_> = records
        .lives
        .iter()
        .map(|(process, life)| crate::check::ephemeral::Life {
            alive_until: proof(&records, process),
            ..life.clone()
        })
        .collect();
    let mut changes: BTreeMap<String, BTreeSet<u64>> = BTreeMap::new();
    for op in &records.told {
        if let Some(zxid) = op.reply().and_then(crate::check::register::Reply::zxid) {
            changes.entry(op.key.clone()).or_default().insert(zxid);
        }
    }
    let fired = records.watchers.iter().flat_map(|watcher| &watcher.steps);
    let fired = fired.filter(|step| matches!(step, watch::Step::Fired { .. })).count();

    let found = [
        (
            "register: linearizable",
            size(&records.register),
            linearizable::<Register>(&records.register, STEPS_MAX),
        ),
        ("register: zxids in real time", size(&records.register), order::real_time(&records.register)),
        ("sessions never go back", size(&records.told), order::session_order(&records.told)),
        ("set", size(&records.sets), linearizable::<GrowingSet>(&records.sets, STEPS_MAX)),
        ("queue", size(&records.queues), linearizable::<Queue>(&records.queues, STEPS_MAX)),
        ("lock", size(&records.locks), linearizable::<Lock>(&records.locks, STEPS_MAX)),
        ("sequence numbers", size(&records.ids), ids::unique(&records.ids)),
        ("watches", (fired, 0), watch::fan_out(&records.watchers, &changes)),
        ("ephemerals", (records.sightings.len(), 0), ephemerals(&lives, &records.sightings)),
    ];
    let mut failed = Vec::new();
    for (promise, (answered, unknown), verdict) in found {
        let is = if verdict.holds() { "holds" } else { "DOES NOT HOLD" };
        println!("{promise}: {is} ({answered} answered, {unknown} unknown)");
        if answered < 25 {
            failed.push(format!("{promise}: only {answered} answers, which prove nothing"));
        }
        match verdict {
            Verdict::Holds => {}
            Verdict::Broken(why) => failed.push(format!("{promise}: {why}")),
            Verdict::Undecided(why) => failed.push(format!("{promise}: undecided: {why}")),
        }
    }
    assert!(failed.is_empty(), "seed {seed}:\n{}", failed.join("\n"));
}

fn size<C, R>(history: &[Op<C, R>]) -> (usize, usize) {
    let answered = history.iter().filter(|op| op.reply().is_some()).count();
    (answered, history.iter().filter(|op| matches!(op.outcome, Outcome::Unknown)).count())
}
