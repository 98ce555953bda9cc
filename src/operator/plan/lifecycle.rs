//! Start, stop and restart of servers that are already installed. Never more than one voter down
//! by our hand while the ensemble serves; a fully stopped ensemble starts together (law 6).

use std::collections::BTreeSet;

use super::desired::Desired;
use super::diagnosis::{self, Cause};
use super::facts::{Facts, HostFacts, HostView, UnitState};
use super::install::{step, targets};
use super::step::{Action, Condition, Plan, Risk, Service, Wave};
use super::{Refused, Stop, deploy, ensemble};
use crate::wire::ids::ServerId;

pub fn start(desired: &Desired, facts: &Facts, named: &[ServerId]) -> Result<Plan, Stop> {
    let ids = targets(desired, named);
    let hosts = installed(desired, facts, &ids, named.is_empty())?;
    let mut plan = Plan { title: title("start", desired, named), ..Plan::default() };
    let down: Vec<ServerId> =
        hosts.iter().filter(|(_, host)| !host.unit.state.running()).map(|(id, _)| *id).collect();
    for id in &down {
        fit_to_start(desired, facts, *id)?;
    }
    let steps = down
        .iter()
        .map(|id| step(&desired.members[id], Action::Service(Service::Started), "not running"))
        .collect::<Vec<_>>();
    let mut after = ensemble::running(desired, facts);
    after.extend(&down);
    let voters_after = after.iter().filter(|id| desired.members[*id].voter).count();
    let condition = |id: &ServerId| match voters_after >= desired.majority() {
        true => Condition::Synced { member: *id },
        false => Condition::Alive { member: *id },
    };
    // A process that runs may be about to fail again: a member is started when it takes part, where it can.
    let in_sync = ensemble::in_sync(desired, facts);
    let lags = |id: &ServerId| voters_after >= desired.majority() && !in_sync.contains(id);
    let awaited: Vec<ServerId> =
        hosts.iter().map(|(id, _)| *id).filter(|id| down.contains(id) || lags(id)).collect();
    let gates = if after.len() == desired.members.len() && !awaited.is_empty() {
        vec![deploy::gate(Condition::Ready)]
    } else {
        awaited.iter().map(|id| deploy::gate(condition(id))).collect()
    };
    if !down.is_empty() && voters_after < desired.majority() {
        plan.warnings.push(format!(
            "{voters_after} of {} voters will run; {} are needed before anything is served",
            desired.voters().count(),
            desired.majority()
        ));
    }
    skipped(facts, &ids, &mut plan);
    let title = if steps.is_empty() { "wait until ready" } else { "start" };
    plan.push(Wave { title: title.to_owned(), steps, gates, ..Wave::default() });
    Ok(plan)
}

pub fn stop(desired: &Desired, facts: &Facts, named: &[ServerId]) -> Result<Plan, Stop> {
    let ids = targets(desired, named);
    let hosts = installed(desired, facts, &ids, named.is_empty())?;
    let mut plan = Plan { title: title("stop", desired, named), ..Plan::default() };
    let up: BTreeSet<ServerId> =
        hosts.iter().filter(|(_, host)| alive(&host.unit.state)).map(|(id, _)| *id).collect();
    if !named.is_empty() {
        for id in &up {
            ensemble::can_spare(desired, facts, *id)?;
        }
    }
    let risk = |id: &ServerId| match (named.is_empty(), desired.members[id].voter) {
        (true, _) => Risk::Service,
        (false, true) => Risk::Voter,
        (false, false) => Risk::Clients,
    };
    // The leader goes last: whoever stops before it need not elect another one.
    let leader = ensemble::leader(desired, facts);
    let (last, first): (Vec<ServerId>, Vec<ServerId>) = up.into_iter().partition(|id| Some(*id) == leader);
    for group in [first, last] {
        let steps = group
            .iter()
            .map(|id| {
                let member = &desired.members[id];
                step(member, Action::Service(Service::Stopped), "asked for")
                    .risk(risk(id))
                    .undo(format!("zkops start {}", member.name))
            })
            .collect();
        let gates = group.iter().map(|id| deploy::gate(Condition::Down { member: *id })).collect();
        plan.push(Wave { title: format!("stop {}", desired.names(&group)), steps, gates, ..Wave::default() });
    }
    skipped(facts, &ids, &mut plan);
    Ok(plan)
}

/// Every named server in a new process. Servers that already are new cannot be told apart from
/// others, so this is the one goal whose plan is not empty afterwards.
pub fn restart(desired: &Desired, facts: &Facts, named: &[ServerId]) -> Result<Plan, Stop> {
    let ids = targets(desired, named);
    let hosts = installed(desired, facts, &ids, false)?;
    let mut plan = Plan { title: title("restart", desired, named), ..Plan::default() };
    for (id, _) in &hosts {
        fit_to_start(desired, facts, *id)?;
    }
    let serving = ensemble::serves(desired, facts);
    let (up, down): (Vec<_>, Vec<_>) = hosts.into_iter().partition(|(_, host)| host.unit.state.running());
    let up: BTreeSet<ServerId> = up.into_iter().map(|(id, _)| id).collect();

    let mut together: Vec<_> = down
        .iter()
        .map(|(id, _)| step(&desired.members[id], Action::Service(Service::Started), "not running"))
        .collect();
    if !serving && !up.is_empty() {
        plan.push(deploy::idle());
        together.extend(
            up.iter().map(|id| {
                step(&desired.members[id], Action::Service(Service::Restarted), "nothing serves now")
            }),
        );
    }
    let after: BTreeSet<ServerId> =
        ensemble::running(desired, facts).union(&ids.iter().copied().collect()).copied().collect();
    let voters_after = after.iter().filter(|id| desired.members[*id].voter).count();
    let gates = match together.is_empty() {
        true => Vec::new(),
        false if voters_after >= desired.majority() => {
            vec![deploy::gate(Condition::Quorum { min: desired.majority(), without: None })]
        }
        false => together.iter().map(|step| deploy::gate(Condition::Alive { member: step.member })).collect(),
    };
    plan.push(Wave { title: "start together".to_owned(), steps: together, gates, ..Wave::default() });
    if serving {
        if !named.is_empty() {
            for id in &up {
                ensemble::can_spare(desired, facts, *id)?;
            }
        }
        let order = ensemble::rolling_order(desired, facts, &up);
        let restart = |id: &ServerId| {
            let member = &desired.members[id];
            let risk = if member.voter { Risk::Voter } else { Risk::Clients };
            Some(step(member, Action::Service(Service::Restarted), "asked for").risk(risk))
        };
        for wave in deploy::roll(desired, &order, restart) {
            plan.push(wave);
        }
    }
    if after.len() == desired.members.len() {
        plan.push(Wave {
            title: "wait until ready".to_owned(),
            steps: Vec::new(),
            gates: vec![deploy::gate(Condition::Ready)],
            ..Wave::default()
        });
    }
    Ok(plan)
}

/// The hosts among `ids` where zkops is installed. With `tolerant` those that cannot be reached
/// are left out (and named by [`skipped`]); otherwise one is enough to stop.
fn installed<'a>(
    desired: &Desired,
    facts: &'a Facts,
    ids: &[ServerId],
    tolerant: bool,
) -> Result<Vec<(ServerId, &'a HostFacts)>, Stop> {
    let mut hosts = Vec::new();
    let mut away = Vec::new();
    for id in ids {
        let name = desired.name(*id);
        match &facts.member(*id).host {
            HostView::Seen(host) if matches!(host.unit.state, UnitState::Absent) => {
                return Err(Stop::Refused(Refused {
                    what: format!("{name} has no zkops service"),
                    evidence: Vec::new(),
                    next: vec![format!("zkops deploy {}", desired.inventory)],
                }));
            }
            HostView::Seen(host) => hosts.push((*id, host.as_ref())),
            HostView::Unreachable(why) => {
                away.push(Refused { what: why.text.clone(), ..Refused::default() });
            }
            HostView::Unasked => {
                away.push(Refused { what: format!("{name}: nobody asked its host"), ..Refused::default() });
            }
        }
    }
    if away.is_empty() || (tolerant && !hosts.is_empty()) { Ok(hosts) } else { Err(Stop::Unreachable(away)) }
}

fn skipped(facts: &Facts, ids: &[ServerId], plan: &mut Plan) {
    for id in ids {
        if let HostView::Unreachable(why) = &facts.member(*id).host {
            plan.skipped.push(Refused { what: why.text.clone(), ..Refused::default() });
        }
    }
}

/// Law 8 before any start: data that is provably not this member's, or damaged, stops it. A
/// member that lost its data may start: it cannot vote until it has synced.
fn fit_to_start(desired: &Desired, facts: &Facts, id: ServerId) -> Result<(), Stop> {
    let unfit = diagnosis::diagnose(desired, facts, id).into_iter().find(|found| {
        matches!(
            found.cause,
            Cause::ForeignData | Cause::MyidWrong | Cause::MyidMissing | Cause::DamagedData | Cause::DiskFull
        )
    });
    match unfit {
        None => Ok(()),
        Some(found) => {
            Err(Stop::Refused(Refused { what: found.what, evidence: found.evidence, next: found.next }))
        }
    }
}

/// Something may still be running or be restarted by its manager.
fn alive(state: &UnitState) -> bool {
    matches!(state, UnitState::Running(_) | UnitState::Failed { again: true, .. })
}

fn title(verb: &str, desired: &Desired, named: &[ServerId]) -> String {
    if named.is_empty() {
        format!("{verb} {}", desired.cluster)
    } else {
        format!("{verb} {}", desired.names(named))
    }
}
