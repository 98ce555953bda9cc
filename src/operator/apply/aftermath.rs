//! What a run that could not be finished says: what happened with the logs of those who failed,
//! what is true now, what to run next, how to take it back (law 10).

use std::time::Duration;

use super::gates;
use super::run::{Applied, Run};
use crate::operator::fleet::hosts::Fleet;
use crate::operator::observe::look;
use crate::operator::plan::facts::{Facts, ServerView};
use crate::operator::plan::preflight::{self, Expect, Level};
use crate::operator::plan::step::{Condition, Gate, Plan, Shut, Step};
use crate::operator::plan::{diagnosis, ensemble, status};
use crate::report::{Exit, Failure};
use crate::wire::ids::ServerId;

/// Where a run stopped.
pub(super) struct Halt<'a> {
    pub(super) plan: &'a Plan,
    pub(super) wave: usize,
    pub(super) applied: Applied,
    pub(super) run: &'a Run,
}

pub(super) async fn steps_failed(
    fleet: &Fleet,
    facts: &mut Facts,
    halt: Halt<'_>,
    failed: Vec<(Step, String)>,
) -> Failure {
    let what: Vec<String> =
        failed.iter().map(|(step, why)| format!("{}: {}: {why}", step.name, step.action)).collect();
    let exit = if halt.applied.changed == 0 { Exit::Failed } else { Exit::Halfway };
    let mut failure = Failure::new(exit, what.join("; "));
    for (step, _) in &failed {
        if let (Some(member), Some(host)) = (fleet.desired.members.get(&step.member), fleet.host(step.member))
        {
            let log = look::log(member, host, PATIENCE).await;
            failure = failure.evidence(format!("{}: last lines of its server's log", step.name), log);
        }
    }
    gates::units(fleet, facts, PATIENCE).await;
    closing(fleet, facts, &halt, failure)
}

pub(super) async fn gate_shut(
    fleet: &Fleet,
    facts: &mut Facts,
    halt: Halt<'_>,
    gate: &Gate,
    why: String,
    reverted: Vec<String>,
) -> Failure {
    let exit = match halt.plan.waves[halt.wave].shut {
        Shut::Halfway => Exit::Halfway,
        Shut::Preflight => Exit::Preflight,
        Shut::Refused => Exit::Refused,
    };
    let mut failure = Failure::new(exit, format!("{}: not so: {why}", gate.condition));
    if let Condition::Reachable { .. } = gate.condition {
        for finding in preflight::check_reach(&fleet.desired, facts, Expect::Open) {
            if finding.level == Level::Fail {
                failure = failure.evidence(finding.evidence, finding.fix.into_iter().collect());
            }
        }
    } else {
        gates::units(fleet, facts, PATIENCE).await;
        for id in suspects(fleet, facts, &gate.condition) {
            for cause in diagnosis::diagnose(&fleet.desired, facts, id) {
                failure = failure.evidence(cause.what, cause.evidence);
            }
            let (Some(member), Some(host)) = (fleet.desired.members.get(&id), fleet.host(id)) else {
                continue;
            };
            let log = look::log(member, host, PATIENCE).await;
            failure = failure.evidence(format!("{}: last lines of its server's log", member.name), log);
        }
    }
    for line in reverted {
        failure = failure.state(line);
    }
    closing(fleet, facts, &halt, failure)
}

/// Those whose logs may explain why a gate stayed shut.
fn suspects(fleet: &Fleet, facts: &Facts, condition: &Condition) -> Vec<ServerId> {
    let in_sync = ensemble::in_sync(&fleet.desired, facts);
    match condition {
        Condition::Synced { member } | Condition::Alive { member } | Condition::Down { member } => {
            vec![*member]
        }
        Condition::Quorum { without, .. } => {
            let out = |id: &ServerId| !in_sync.contains(id) && Some(*id) != *without;
            fleet.desired.members.keys().filter(|id| out(id)).copied().collect()
        }
        // It shut because all is well.
        Condition::Idle => Vec::new(),
        Condition::Ready | Condition::Reachable { .. } => {
            fleet.desired.members.keys().filter(|id| !in_sync.contains(id)).copied().collect()
        }
    }
}

fn closing(fleet: &Fleet, facts: &Facts, halt: &Halt<'_>, mut failure: Failure) -> Failure {
    let Halt { plan, wave, applied, run } = halt;
    let wave = *wave;
    let (steps, total) = (applied.changed + applied.unchanged, plan.steps().count());
    failure = failure.state(format!(
        "{steps} of {total} steps done ({} changed something), stopped in {:?} ({} of {})",
        applied.changed,
        plan.waves[wave].title,
        wave + 1,
        plan.waves.len()
    ));
    if facts.members.values().any(|seen| seen.server != ServerView::Unasked) {
        failure = failure.state(status::judge(&fleet.desired, facts).verdict.to_string());
    }
    failure = failure.next(run.again.clone());
    let mut undo: Vec<String> = plan.waves[..=wave]
        .iter()
        .flat_map(|wave| &wave.steps)
        .filter_map(|step| Some(format!("{}: {}", step.name, step.undo.as_ref()?)))
        .collect();
    undo.dedup();
    if undo.len() > UNDO_LINES {
        undo = vec![format!("zkops destroy {} (takes everything back; data stays)", fleet.desired.inventory)];
    }
    for line in undo {
        failure = failure.undo(line);
    }
    failure
}

/// For a question whose answer only decorates a failure.
const PATIENCE: Duration = Duration::from_secs(5);
/// More than that nobody does by hand.
const UNDO_LINES: usize = 6;
