//! What a run that could not be finished says: what happened with the logs of those who failed,
//! what is true now, what to run next, how to take it back (law 10).

use std::sync::Arc;
use std::time::Duration;

use super::excerpt;
use super::run::{Applied, Run};
use crate::operator::fleet::hosts::Fleet;
use crate::operator::fleet::watch::Watcher;
use crate::operator::observe;
use crate::operator::observe::look::{self, Depth};
use crate::operator::observe::reach;
use crate::operator::plan::facts::Facts;
use crate::operator::plan::fresh::Fresh;
use crate::operator::plan::preflight::{self, Expect, Level};
use crate::operator::plan::step::{Action, Condition, Gate, Plan, Service, Shut, Step, Wave};
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
    let exit = exit_of(&failed, halt.applied);
    let mut failure = Failure::new(exit, what.join("; "));
    if exit == Exit::Refused && !starts(&halt.plan.waves[..=halt.wave]) {
        failure = failure.state("no server was started");
    }
    *facts = now(fleet, facts).await;
    for (step, _) in &failed {
        let Log { young, .. } = log(fleet, facts, step.member, halt.run).await;
        failure = failure.evidence(format!("{}: its server's log since then", step.name), young);
    }
    closing(fleet, facts, &halt, failure, None)
}

/// Behind a step that should have made an old server harmless and did not, going on could make two servers of one id:
/// that is refused, whatever else was done.
fn exit_of(failed: &[(Step, String)], applied: Applied) -> Exit {
    if failed.iter().any(|(step, _)| step.action.ends_an_old_server()) {
        return Exit::Refused;
    }
    if applied.changed == 0 { Exit::Failed } else { Exit::Halfway }
}

fn starts(waves: &[Wave]) -> bool {
    let started = |step: &Step| matches!(step.action, Action::Service(Service::Started | Service::Restarted));
    waves.iter().flat_map(|wave| &wave.steps).any(started)
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
    let mut advice = None;
    if let Condition::Reachable { .. } = gate.condition {
        for finding in preflight::check_reach(&fleet.desired, facts, Expect::Open) {
            if finding.level == Level::Fail {
                failure = failure.evidence(finding.evidence, finding.fix.into_iter().collect());
            }
        }
    } else {
        *facts = now(fleet, facts).await;
        reach::servers(fleet, facts).await;
        for id in suspects(fleet, facts, &gate.condition) {
            let Log { all, young } = log(fleet, facts, id, halt.run).await;
            let causes = diagnosis::diagnose(&fleet.desired, facts, id);
            advice = advice.or_else(|| diagnosis::advice(&causes));
            for cause in causes {
                // What its log says is shown once, and only what this run made of it.
                let other = cause.evidence.into_iter().filter(|line| !all.contains(line)).collect();
                failure = failure.evidence(cause.what, other);
            }
            let from = format!("{}: its server's log since then", fleet.desired.name(id));
            failure = failure.evidence(from, young);
        }
    }
    for line in reverted {
        failure = failure.state(line);
    }
    let advice = advice.filter(|advice| is_instead(advice, &halt.run.again));
    closing(fleet, facts, &halt, failure, advice)
}

/// What a start could not do, another will not do either; nor does a restart what a repair is for.
fn is_instead(advice: &str, again: &str) -> bool {
    let restarts = again.starts_with("zkops restart") && advice.starts_with("zkops repair");
    again.starts_with("zkops start") || restarts
}

/// The end of a server's log, and what of it was written since the run began.
#[derive(Default)]
struct Log {
    all: Vec<String>,
    young: Vec<String>,
}

async fn log(fleet: &Fleet, facts: &Facts, id: ServerId, run: &Run) -> Log {
    let (Some(member), Some(host)) = (fleet.desired.members.get(&id), fleet.host(id)) else {
        return Log::default();
    };
    let all = look::log(member, host, PATIENCE).await;
    // The host writes times of its own clock.
    let ahead_ms = facts.host(id).and_then(|host| Some(host.clock.is()?.offset_ms)).unwrap_or_default();
    let since_ms = run.since_ms + ahead_ms as i64 - CLOCK_GRAIN_MS;
    Log { young: excerpt::since(all.clone(), since_ms), all }
}

/// How everybody is behind the last step: nothing older explains a failure.
async fn now(fleet: &Fleet, older: &Facts) -> Facts {
    let quiet: Watcher = Arc::new(|_, _| {});
    let seen = observe::facts::everybody(fleet, Depth::Diagnosis, &quiet, PATIENCE).await;
    Facts { wall_ms: older.wall_ms, fresh_uuid: older.fresh_uuid.clone(), ..seen }
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

/// `advice`: what to run instead of the same again.
fn closing(
    fleet: &Fleet,
    facts: &Facts,
    halt: &Halt<'_>,
    mut failure: Failure,
    advice: Option<String>,
) -> Failure {
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
    // What is said of the state was seen behind the last step, or it is not said.
    match Fresh::of(facts, fleet.stamp()) {
        Ok(fresh) if fresh.facts().members.values().any(|seen| seen.server.asked()) => {
            failure = failure.state(status::judge(&fleet.desired, fresh.facts()).verdict.to_string());
        }
        Ok(_) => {}
        Err(stale) => failure = failure.state(format!("how the ensemble is now was not seen: {stale}")),
    }
    failure = failure.next(advice.unwrap_or_else(|| run.again.clone()));
    take_back(failure, plan, wave, &fleet.desired.inventory)
}

/// What takes the steps back that were begun, as commands that can be typed; where a person must do it by hand, that is
/// part of the state.
fn take_back(mut failure: Failure, plan: &Plan, wave: usize, inventory: &str) -> Failure {
    let steps = plan.waves[..=wave].iter().flat_map(|wave| &wave.steps);
    let undo = steps.filter_map(|step| Some((step.name.clone(), step.undo.clone()?)));
    let (mut typed, by_hand): (Vec<_>, Vec<_>) = undo.partition(|(_, undo)| undo.starts_with("zkops "));
    typed.dedup();
    if typed.len() > UNDO_LINES {
        typed = vec![(String::new(), format!("zkops destroy {inventory}"))];
        failure = failure.state("zkops destroy takes everything back; data stays");
    }
    for (name, line) in by_hand {
        failure = failure.state(format!("to take it back on {name}: {line}"));
    }
    typed.into_iter().fold(failure, |failure, (_, line)| failure.undo(line))
}

/// For a question whose answer only decorates a failure.
const PATIENCE: Duration = Duration::from_secs(5);
/// Journals of older systems write whole seconds.
const CLOCK_GRAIN_MS: i64 = 1_000;
/// More than that nobody does by hand.
const UNDO_LINES: usize = 6;

#[cfg(test)]
mod tests {
    use super::{exit_of, is_instead, starts, take_back};
    use crate::operator::apply::run::Applied;
    use crate::operator::plan::step::{Action, Plan, Risk, Service, Step, Wave};
    use crate::report::{Exit, Failure};
    use crate::wire::ids::ServerId;

    fn step(undo: Option<&str>) -> Step {
        Step {
            member: ServerId(3),
            name: "node-3".into(),
            action: Action::Service(Service::Started),
            why: String::new(),
            risk: Risk::None,
            undo: undo.map(str::to_owned),
        }
    }

    #[test]
    fn undo_is_a_command_and_what_is_none_is_said_as_it_is() {
        let steps = vec![step(Some("zkops stop node-3")), step(None), step(Some("rename b to a"))];
        let wave = Wave { title: "start".into(), steps, ..Wave::default() };
        let mut plan = Plan { waves: vec![wave], ..Plan::default() };
        let said = |plan: &Plan| take_back(Failure::new(Exit::Halfway, "x"), plan, 0, "orders.yml");
        let failure = said(&plan);
        assert_eq!(failure.undo, ["zkops stop node-3"]);
        assert_eq!(failure.state, ["to take it back on node-3: rename b to a"]);
        plan.waves[0].steps = (0..9).map(|n| step(Some(&format!("zkops stop node-{n}")))).collect();
        let failure = said(&plan);
        assert_eq!(failure.undo, ["zkops destroy orders.yml"]);
        assert_eq!(failure.state, ["zkops destroy takes everything back; data stays"]);
    }

    #[test]
    fn an_old_server_that_is_neither_ended_nor_blocked_is_a_refusal_whatever_was_done_before() {
        let failed = |action: Action| vec![(Step { action, ..step(None) }, "it cannot".to_owned())];
        let done = |changed: usize| Applied { changed, unchanged: 1 };
        for action in [
            Action::Fence { addresses: vec!["10.0.0.3".parse().expect("an address")] },
            Action::Retire { address: "10.0.0.3".into() },
        ] {
            for changed in [0, 2] {
                assert_eq!(exit_of(&failed(action.clone()), done(changed)), Exit::Refused, "{action}");
            }
        }
        let stop = || failed(Action::Service(Service::Stopped));
        assert_eq!(exit_of(&stop(), done(0)), Exit::Failed);
        assert_eq!(exit_of(&stop(), done(2)), Exit::Halfway);
        // One of several is enough.
        let both = [stop(), failed(Action::Retire { address: "10.0.0.3".into() })].concat();
        assert_eq!(exit_of(&both, done(2)), Exit::Refused);
    }

    #[test]
    fn a_cause_that_is_known_is_what_to_do_next() {
        assert!(is_instead("zkops repair node-3", "zkops restart --inventory orders.yml"));
        assert!(is_instead("zkops repair node-3", "zkops start node-3"));
        assert!(!is_instead("zkops start node-3", "zkops restart"), "a restart starts it, too");
        assert!(!is_instead("zkops repair node-3", "zkops deploy orders.yml"));
    }

    #[test]
    fn what_was_started_is_known_from_the_waves() {
        let wave = |service| Wave {
            steps: vec![Step { action: Action::Service(service), ..step(None) }],
            ..Wave::default()
        };
        assert!(!starts(&[wave(Service::Stopped)]));
        assert!(starts(&[wave(Service::Stopped), wave(Service::Started)]));
    }
}
