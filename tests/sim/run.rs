//! One seed, start to end: faults, then healing, then everybody must serve, agree, and answer.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::check::Violation;
use crate::scenario::{SECOND, Scenario};
use crate::trace::Trace;
use crate::world::World;

/// What came of a run.
#[derive(Debug)]
pub(crate) struct Verdict {
    pub(crate) violation: Option<Violation>,
    pub(crate) seconds: f64,
    pub(crate) events: u64,
    pub(crate) committed: usize,
    pub(crate) answered: u64,
    /// Of everything that happened: the same for the same seed.
    pub(crate) hash: u64,
    pub(crate) lines: Vec<String>,
}

/// Runs a scenario. A panic of the code under test is a violation like any other.
pub(crate) fn run(scenario: &Scenario, keep_lines: bool, loud: bool) -> Verdict {
    let mut world = World::new(scenario, Trace::new(keep_lines, loud));
    let outcome = catch_unwind(AssertUnwindSafe(|| play(&mut world, scenario)));
    if let Err(panic) = outcome {
        let text = panic
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
            .unwrap_or_default();
        world.checks.fail("panic", text);
    }
    Verdict {
        violation: world.checks.violation.take(),
        seconds: world.seconds(),
        events: world.events,
        committed: world.checks.committed.len(),
        answered: world.clients.iter().map(|client| client.answered).sum(),
        hash: world.trace.hash(),
        lines: world.trace.into_lines(),
    }
}

fn play(world: &mut World, scenario: &Scenario) {
    world.start();
    if !world.run_until(scenario.chaos_us) {
        return;
    }
    world.heal();
    let healing_us = world.healing_us();
    if !world.run_supervised(healing_us, |world| !world.is_whole()) {
        if world.is_beyond_healing() {
            return;
        }
        let roles: Vec<_> = world.nodes.iter().map(|node| node.role()).collect();
        let what = format!("{:.1} s after the faults ended: {roles:?}", healing_us as f64 / SECOND as f64);
        return world.checks.fail("liveness: whole again", what);
    }
    // Everybody goes on working for a while, to a minute at least, then comes to rest.
    if !world.run_until((world.now + 3 * SECOND).max(scenario.chaos_us + 12 * SECOND)) {
        return;
    }
    for client in &mut world.clients {
        client.busy = false;
    }
    let rest_us = 20 * SECOND;
    if !world.run_while(rest_us, |world| world.clients.iter().any(|client| client.outstanding() > 0)) {
        let waiting: Vec<usize> = world.clients.iter().map(|client| client.outstanding()).collect();
        return world.checks.fail("liveness: answers", format!("requests without an answer: {waiting:?}"));
    }
    settle(world);
}

/// Sessions of clients that are gone end; every server ends with what the model holds.
fn settle(world: &mut World) {
    let expiry_us = (20 + 2) * world.knobs.tick_ms * 1000 + 10 * SECOND;
    let mine = |world: &World| -> Vec<_> { world.clients.iter().map(|client| client.session.id()).collect() };
    let lingering = |world: &World| {
        let mine = mine(world);
        world.checks.model.sessions().any(|session| !mine.contains(&session))
    };
    if !world.run_while(expiry_us, lingering) {
        let sessions: Vec<_> = world.checks.model.sessions().collect();
        return world
            .checks
            .fail("liveness: expiry", format!("{sessions:?} live on, clients have {:?}", mine(world)));
    }
    let apart = |world: &World| {
        let last = world.checks.last_committed();
        world.nodes.iter().any(|node| node.process.as_ref().is_none_or(|p| p.replica.last_zxid() < last))
    };
    if !world.run_while(10 * SECOND, apart) {
        let zxids: Vec<_> =
            world.nodes.iter().map(|n| n.process.as_ref().map(|p| p.replica.last_zxid())).collect();
        return world.checks.fail("liveness: in sync", format!("servers stay at {zxids:?}"));
    }
    world.counters_return_to_zero();
    for i in 0..world.nodes.len() {
        if let Some(process) = &world.nodes[i].process {
            world.checks.equals_model(i, &process.replica);
        }
    }
}
