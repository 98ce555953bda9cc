//! Which strangers, foreigners and greedy clients a seed meets. Drawn apart from the other faults, so that those stay as they were.

use fastrand::Rng;
use zkops::server::zab::COUNTER_MAX;
use zkops::server::zab::ballot::State;

use crate::foreign::Foreign;
use crate::greedy::Greed;
use crate::scenario::{Fault, MS, SECOND, Scenario, Target};
use crate::stranger::{Accepted, Caller, Siege};

/// Adds strangers to a seed in three, foreigners to one in six, and makes one in eight a siege, where strangers are all
/// that happens.
pub(crate) fn draw(scenario: &mut Scenario) {
    let mut rng = Rng::with_seed(scenario.seed ^ 0x57a4_6e35);
    match rng.u32(0..24) {
        0..=2 => besiege(scenario, &mut rng),
        3..=10 => {
            let mut may_outbid = true;
            for _ in 0..rng.u32(1..8) {
                let at = rng.u64(2 * SECOND..scenario.chaos_us.max(3 * SECOND));
                let sid = rng.i64(1..=scenario.nodes() as i64);
                let fault = any(scenario, &mut rng, sid, &mut may_outbid);
                scenario.faults.push((at, fault));
                if let Fault::Strangers(_, caller @ Caller::Elector { state: State::Looking, .. }, 1) = fault
                {
                    amid_an_election(scenario, &mut rng, at, caller);
                }
            }
        }
        11..=14 => {
            for _ in 0..rng.u32(1..5) {
                let at = rng.u64(4 * SECOND..scenario.chaos_us.max(5 * SECOND));
                let target = Target::Node(rng.usize(0..scenario.nodes()));
                let foreign = Foreign::ALL[rng.usize(0..Foreign::ALL.len())];
                if foreign == Foreign::Snapshot {
                    // Whoever was away for long enough needs one.
                    scenario.faults.push((at - 3 * SECOND, Fault::Kill(target)));
                }
                scenario.faults.push((at, Fault::Foreigners(target, foreign, rng.u64(300..8_000))));
            }
        }
        _ => return,
    }
    scenario.faults.sort_by_key(|(at, _)| *at);
}

/// A candidate's forged vote is heard by servers that look for a leader.
fn amid_an_election(scenario: &mut Scenario, rng: &mut Rng, at: u64, caller: Caller) {
    scenario.faults.push((at - rng.u64(1..40) * MS, Fault::Kill(Target::Leader)));
    for node in 0..scenario.nodes() {
        scenario.faults.push((at + rng.u64(1..60) * MS, Fault::Strangers(Target::Node(node), caller, 1)));
        scenario.faults.push((at + rng.u64(500..3_000) * MS, Fault::Start(node)));
    }
}

/// Nothing but strangers, and perhaps one server that is down.
fn besiege(scenario: &mut Scenario, rng: &mut Rng) {
    let from_us = 12 * SECOND;
    scenario.knobs.counter_max = COUNTER_MAX;
    scenario.faults.clear();
    let victim = rng.usize(0..scenario.voters);
    // With its observers alone a forged claim costs nothing at all.
    let (victim, observer, elections_max) = match rng.u32(0..4) {
        0..=1 => (None, false, 0),
        2 => (Some(victim), true, 0),
        _ => (Some(victim), false, 14),
    };
    let mut may_outbid = false;
    let mut at = from_us + SECOND;
    while at < scenario.chaos_us {
        let sid = victim.map_or(rng.i64(1..=scenario.nodes() as i64), |victim| victim as i64 + 1);
        let fault = match rng.u32(0..3) {
            0 => any(scenario, rng, sid, &mut may_outbid),
            _ => {
                let accepted = Accepted::Ahead(rng.i64(1..50));
                Fault::Strangers(Target::Leader, Caller::Learner { sid, observer, accepted }, 1)
            }
        };
        // Under the id of a living server every epoch is free to be claimed; so it is not by the way under a dead one's.
        scenario.faults.push((at, fault));
        at += rng.u64(50..600) * MS;
    }
    if let Some(victim) = victim {
        scenario.faults.insert(0, (6 * SECOND, Fault::Kill(Target::Node(victim))));
    }
    scenario.siege = Some(Siege { from_us, victim, elections_max });
}

fn any(scenario: &Scenario, rng: &mut Rng, sid: i64, may_outbid: &mut bool) -> Fault {
    let nodes = scenario.nodes();
    let target = if rng.bool() { Target::Leader } else { Target::Node(rng.usize(0..nodes)) };
    let unlisted = rng.i64(100..200);
    let (caller, count) = match rng.u32(0..11) {
        0 => (Caller::Silent, 1),
        1 => (Caller::Silent, 60),
        2 => (Caller::Learner { sid: unlisted, observer: rng.bool(), accepted: Accepted::Nothing }, 1),
        3 => {
            let accepted = Accepted::Impossible(i64::from(i32::MAX) - rng.i64(1..40));
            (Caller::Learner { sid, observer: false, accepted }, 1)
        }
        4 if std::mem::take(may_outbid) => {
            (Caller::Learner { sid, observer: false, accepted: Accepted::Ahead(rng.i64(1..60)) }, 1)
        }
        4..=5 => (Caller::Learner { sid, observer: rng.bool(), accepted: Accepted::Nothing }, 1),
        6 => (Caller::Learner { sid, observer: false, accepted: Accepted::Nothing }, 100),
        7 => {
            let round = 1;
            (Caller::Elector { sid: unlisted, state: State::Looking, leader: unlisted, epoch: 0, round }, 40)
        }
        8..=9 => {
            let state = [State::Looking, State::Following, State::Leading][rng.usize(0..3)];
            let round = if rng.bool() { (1 << 62) - rng.i64(0..2) } else { rng.i64(1..30) };
            let (leader, epoch) = (rng.i64(1..=nodes as i64), rng.i64(0..9));
            (Caller::Elector { sid, state, leader, epoch, round }, 1)
        }
        _ => {
            let greed = Greed::ALL[rng.usize(0..Greed::ALL.len())];
            return Fault::Greedy(target, greed);
        }
    };
    Fault::Strangers(target, caller, count)
}
