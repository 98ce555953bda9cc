//! Waiting at a gate: look, ask the planner whether it holds, look again, until it does or its
//! one deadline has passed. What "holds" means is decided in `plan::gate`.

use std::time::{Duration, Instant};

use futures_util::future::join_all;

use super::run::Run;
use crate::operator::fleet::hosts::Fleet;
use crate::operator::observe::reach::{self, Probe};
use crate::operator::observe::token::random_hex;
use crate::operator::observe::{canary, look, servers};
use crate::operator::plan::ensemble;
use crate::operator::plan::facts::{Facts, HostView, ReadBack};
use crate::operator::plan::gate::{self, Gatekeeper, Needs};
use crate::operator::plan::step::Gate;
use crate::report::Event;

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
        let missing = match gate::ask(&fleet.desired, facts, &gate.condition) {
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

async fn look(fleet: &Fleet, facts: &mut Facts, needs: Needs, round: u32, left: Duration) {
    let patience = left.clamp(Duration::from_millis(200), SERVER_PATIENCE);
    match needs {
        Needs::Reach => {
            facts.reach = reach::matrix(fleet, facts, Probe::Listeners, &random_hex(8), patience).await;
        }
        Needs::Units => units(fleet, facts, patience).await,
        Needs::Servers | Needs::ReadBack => {
            // Processes that died explain more than servers that do not answer, and cost more to ask.
            if round % UNITS_EVERY == UNITS_EVERY - 1 {
                units(fleet, facts, patience).await;
            }
            let ways = fleet.ways();
            for (id, view) in servers::servers(&fleet.desired, &ways, patience).await {
                facts.members.entry(id).or_default().server = view;
            }
            let ready = ensemble::in_sync(&fleet.desired, facts).len() == fleet.desired.members.len();
            facts.read_back = ReadBack::Untried;
            if let (Needs::ReadBack, true, Some(leader)) =
                (needs, ready, ensemble::leader(&fleet.desired, facts))
            {
                let read = canary::read_back(&fleet.desired, &ways, leader, &random_hex(6), patience).await;
                facts.read_back = read.map_or_else(ReadBack::Failed, |()| ReadBack::Everywhere);
            }
        }
    }
}

/// The services of all members, as their hosts see them now.
pub(super) async fn units(fleet: &Fleet, facts: &mut Facts, patience: Duration) {
    let asked = fleet
        .hosts()
        .map(|(member, host)| async move { (member.id, look::service(member, host, patience).await) });
    for (id, seen) in join_all(asked).await {
        if let (HostView::Seen(host), Some((state, log))) =
            (&mut facts.members.entry(id).or_default().host, seen)
        {
            host.unit.state = state;
            host.unit.log = log;
        }
    }
}

/// Between two looks: an election takes a few hundred milliseconds.
const PAUSE: Duration = Duration::from_millis(100);
const UNITS_EVERY: u32 = 10;
/// A firewall may need a moment to take a new rule; more tries change nothing.
const REACH_ROUNDS: u32 = 3;
/// One look at one server.
const SERVER_PATIENCE: Duration = Duration::from_secs(3);
