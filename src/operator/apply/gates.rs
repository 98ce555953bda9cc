//! Waiting at a gate: look, ask the planner whether it holds, look again, until it does or its
//! one deadline has passed. What "holds" means is decided in `plan::gate`.

use std::time::{Duration, Instant};

use super::run::Run;
use crate::operator::fleet::hosts::Fleet;
use crate::operator::observe::reach::{self, Probe};
use crate::operator::observe::token::random_hex;
use crate::operator::observe::{self, canary};
use crate::operator::plan::ensemble;
use crate::operator::plan::facts::{Facts, ReadBack};
use crate::operator::plan::fresh::Fresh;
use crate::operator::plan::gate::{self, Gatekeeper, Needs};
use crate::operator::plan::step::Gate;
use crate::report::Event;
use crate::wire::ids::ServerId;

/// Waits until the gate is open.
///
/// # Errors
/// What kept it shut, in words; `facts` then show what was seen last.
pub(super) async fn pass(
    fleet: &Fleet,
    facts: &mut Facts,
    gate: &Gate,
    run: &Run,
) -> Result<Duration, String> {
    let started = Instant::now();
    let allowed = Duration::from_millis(gate.deadline_ms).min(run.left());
    let mut said = String::new();
    let mut round = 0u32;
    loop {
        look(fleet, facts, gate.condition.needs(), round, allowed.saturating_sub(started.elapsed())).await;
        let fresh = Fresh::of(facts, fleet.stamp()).map_err(|stale| stale.to_string())?;
        let missing = match gate::ask(&fleet.desired, fresh, &gate.condition) {
            Gatekeeper::Open => return Ok(started.elapsed()),
            Gatekeeper::Hopeless(why) => return Err(why),
            Gatekeeper::Waiting(missing) => missing,
        };
        // A matrix of listeners is not tried over and over: rules do not change by waiting.
        let last =
            started.elapsed() >= allowed || (gate.condition.needs() == Needs::Reach && round >= REACH_ROUNDS);
        if last {
            return Err(format!("{missing} (waited {:.1} s)", started.elapsed().as_secs_f32()));
        }
        if missing != said {
            run.events.event(Event::Waiting { gate: gate.condition.to_string(), missing: missing.clone() });
            said = missing;
        }
        tokio::time::sleep(PAUSE.min(allowed.saturating_sub(started.elapsed()))).await;
        round += 1;
    }
}

/// Looks anew; what it does not look at is not seen any more.
async fn look(fleet: &Fleet, facts: &mut Facts, needs: Needs, round: u32, left: Duration) {
    let patience = left.clamp(Duration::from_millis(200), SERVER_PATIENCE);
    match needs {
        Needs::Reach => {
            let mut now = observe::facts::units_alone(fleet, facts, patience).await;
            let tried = reach::matrix(fleet, &now, Probe::Listeners, &random_hex(8), patience).await;
            tried.into_facts(&mut now);
            *facts = now;
        }
        Needs::Units => *facts = observe::facts::units_alone(fleet, facts, patience).await,
        Needs::Servers | Needs::ReadBack => {
            let mut now = observe::facts::servers_alone(fleet, facts, patience).await;
            // Processes that died explain more than servers that do not answer, and cost more to ask.
            if round % UNITS_EVERY == UNITS_EVERY - 1 {
                observe::facts::units(fleet, &mut now, patience).await;
            }
            let ready = ensemble::in_sync(&fleet.desired, &now).len() == fleet.desired.members.len();
            if let (Needs::ReadBack, true, Some(leader)) =
                (needs, ready, ensemble::leader(&fleet.desired, &now))
            {
                now.read_back = read_back(fleet, &now, leader, patience).await;
            }
            *facts = now;
        }
    }
}

/// The canary takes the way that sees: from here, or through the hosts of those who are not seen from here.
async fn read_back(fleet: &Fleet, now: &Facts, leader: ServerId, patience: Duration) -> ReadBack {
    let hidden = now.members.iter().filter_map(|(id, seen)| {
        let server = seen.server.on_host.serving().filter(|_| seen.server.from_here.serving().is_none())?;
        Some((*id, server))
    });
    let hidden: Vec<_> = hidden.collect();
    if let Some((id, _)) = hidden.iter().find(|(_, server)| server.canary.is_none()) {
        let name = fleet.desired.name(*id);
        return ReadBack::NoWay(format!(
            "{name} is seen by its own host alone, and no session of ours gets there"
        ));
    }
    let ways = fleet.ways().carrying(hidden.into_iter().map(|(id, _)| id));
    let read = canary::read_back(&fleet.desired, &ways, leader, &random_hex(6), patience).await;
    read.map_or_else(ReadBack::Failed, |()| ReadBack::Everywhere)
}

/// Between two looks: an election takes a few hundred milliseconds.
const PAUSE: Duration = Duration::from_millis(100);
const UNITS_EVERY: u32 = 10;
/// A firewall may need a moment to take a new rule; more tries change nothing.
const REACH_ROUNDS: u32 = 3;
/// One look at one server.
const SERVER_PATIENCE: Duration = Duration::from_secs(3);
