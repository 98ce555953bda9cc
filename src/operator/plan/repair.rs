//! Repair one member: what decides among its causes, and the mildest plan for it. Data stays where it is unless `Wipe`
//! says why it may go; then it goes behind the proof that the others hold all of it (law 7, `wipe`).

use super::cures::{Cause, Cure};
use super::desired::{Desired, DesiredMember};
use super::diagnosis::{self, Diagnosis};
use super::escalation::StillDamaged;
use super::facts::{Facts, HostFacts, HostView, NoWayIn};
use super::install::{self, Data, step};
use super::preflight::{Check, Finding, Level};
use super::step::{Action, Condition, Gate, Plan, Risk, Service, Step, Wave};
use super::{Refused, Stop, ensemble, former, ownership, ports, wipe};
use crate::wire::ids::ServerId;

/// Whether a member's data may be moved aside, and why.
#[derive(Clone, Debug, PartialEq)]
pub enum Wipe {
    /// It may not.
    No,
    /// The milder cure was tried by this very run, and the data is damaged still.
    StillDamaged(StillDamaged),
    /// Data of another cluster or member, if it is that of this name: somebody typed it.
    Foreign(String),
    /// Somebody asked for all data anew, whatever is found.
    Asked,
}

pub fn plan(
    desired: &Desired,
    facts: &Facts,
    id: ServerId,
    wipe: &Wipe,
    purge_old: bool,
) -> Result<Plan, Stop> {
    let member = &desired.members[&id];
    let host = usable(member, facts)?;
    let mut plan = Plan { title: format!("repair {}", member.name), ..Plan::default() };
    if let Some((what, unseen)) = diagnosis::unlooked(member, host).first() {
        return Err(Stop::Refused(Refused {
            what: format!("{what} could not be looked at: nothing is done about what was not seen"),
            evidence: vec![unseen.to_string()],
            next: vec![format!("let the ssh user of {} look at that, then ask again", member.name)],
        }));
    }
    ownership::same_members(desired, facts, id)?;
    former::may_run_elsewhere(desired, member, host).map_or(Ok(()), |away| Err(Stop::Refused(away)))?;
    let causes = diagnosis::diagnose(desired, facts, id);
    plan.warnings.extend(causes.iter().map(|cause| cause.what.clone()));
    if let Wipe::StillDamaged(proof) = wipe {
        plan.warnings
            .push(format!("started again, it says: {}", proof.said.last().cloned().unwrap_or_default()));
    }
    let cure = causes.iter().map(|cause| cause.cause.cure()).max().unwrap_or(Cure::Said);
    let blocking = diagnosis::decisive(&causes).filter(|_| stops(wipe, &causes, cure));
    if let Some(cause) = blocking {
        return Err(would_not_help(desired, cause));
    }
    match wipe {
        Wipe::No => mild(desired, facts, member, host, &causes, cure, &mut plan)?,
        Wipe::Foreign(name) if cure == Cure::Named => {
            named(member, host, name)?;
            wipe::prove_others(desired, facts, member)?;
            wipe::waves(desired, facts, member, host, &mut plan);
        }
        Wipe::Foreign(_) => mild(desired, facts, member, host, &causes, cure, &mut plan)?,
        Wipe::StillDamaged(_) | Wipe::Asked => {
            wipe::prove_others(desired, facts, member)?;
            wipe::waves(desired, facts, member, host, &mut plan);
        }
    }
    if purge_old {
        let moved = moved(&plan);
        plan.push(purge_wave(member, host, &moved));
    }
    Ok(plan)
}

/// Whether a plan of repair moves data aside: what a person must agree to.
pub fn wipes(plan: &Plan) -> bool {
    plan.steps().any(|step| matches!(step.action, Action::Quarantine { .. }))
}

/// The cluster whose data stands where the member's should: what must be typed before it goes aside.
pub fn foreign(desired: &Desired, facts: &Facts, id: ServerId) -> Option<String> {
    let causes = diagnosis::diagnose(desired, facts, id);
    let decides = diagnosis::decisive(&causes)?.cause == Cause::ForeignData;
    let marker = facts.host(id)?.data.is()?.marker.as_ref().filter(|_| decides)?;
    Some(marker.cluster.clone())
}

fn usable<'a>(member: &DesiredMember, facts: &'a Facts) -> Result<&'a HostFacts, Stop> {
    match &facts.member(member.id).host {
        HostView::Seen(host) => Ok(host),
        HostView::Unreachable(why) if why.kind == NoWayIn::Binary => Err(Stop::Preflight(vec![Finding {
            check: Check::Binary,
            member: member.id,
            level: Level::Fail,
            evidence: why.text.clone(),
            fix: None,
        }])),
        HostView::Unreachable(why) => {
            Err(Stop::Unreachable(vec![Refused { what: why.text.clone(), ..Refused::default() }]))
        }
        HostView::Unasked => Err(Stop::Unreachable(vec![Refused {
            what: format!("{}: nobody asked its host", member.name),
            ..Refused::default()
        }])),
    }
}

/// What a person, a name or the others must do first.
fn stops(wipe: &Wipe, causes: &[Diagnosis], cure: Cure) -> bool {
    let decides = diagnosis::decisive(causes).map(|cause| cause.cause);
    match (cure, wipe) {
        // The wipe is the cure.
        (Cure::Person, Wipe::Asked) => decides != Some(Cause::MyidWrong),
        (Cure::Person, _) => true,
        (Cure::Named, Wipe::No | Wipe::StillDamaged(_)) => true,
        // Where the others are no quorum, the proof says it with what would be lost.
        (Cure::Elsewhere, Wipe::Asked) => decides == Some(Cause::OthersBlocked),
        (Cure::Elsewhere, _) => true,
        // Nothing else is wrong with it, and no new process or data opens the way.
        (Cure::Said, _) => decides == Some(Cause::PathBlocked),
        (Cure::Named | Cure::InOrder | Cure::Restart, _) => false,
    }
}

fn would_not_help(desired: &Desired, cause: &Diagnosis) -> Stop {
    let name = desired.name(cause.member);
    let what = match cause.cause.cure() {
        Cure::Named => format!("{}: it is not {name}'s to move", cause.what),
        _ => format!("repair of {name} would not help: {}", cause.what),
    };
    let next = match cause.next.is_empty() {
        true => vec!["zkops status   (says what could not be seen, and from where)".to_owned()],
        false => cause.next.clone(),
    };
    Stop::Refused(Refused { what, evidence: cause.evidence.clone(), next })
}

fn named(member: &DesiredMember, host: &HostFacts, name: &str) -> Result<(), Stop> {
    match host.data.is().and_then(|data| data.marker.as_ref()) {
        Some(marker) if marker.cluster == name => Ok(()),
        found => Err(Stop::Refused(Refused {
            what: format!(
                "{} holds data of cluster {:?}, not of {name:?}",
                member.dirs.data,
                found.map(|marker| marker.cluster.as_str()).unwrap_or_default()
            ),
            ..Refused::default()
        })),
    }
}

/// The data stays: files, ports and service in order, then the server. Who needs a leader's data needs the others.
fn mild(
    desired: &Desired,
    facts: &Facts,
    member: &DesiredMember,
    host: &HostFacts,
    causes: &[Diagnosis],
    cure: Cure,
    plan: &mut Plan,
) -> Result<(), Stop> {
    let id = member.id;
    let healthy = ensemble::in_sync(desired, facts).contains(&id);
    let needs_data = |cause: &Diagnosis| matches!(cause.cause, Cause::DamagedData | Cause::LostData);
    if !healthy && causes.iter().any(needs_data) {
        wipe::prove_others(desired, facts, member)?;
    }
    if !healthy {
        enough_run(desired, facts, member)?;
    }
    let mut steps: Vec<Step> = ports::open(desired, facts, member, host).into_iter().collect();
    steps.extend(install::steps(desired, facts, member, Data::AsSeen, false));
    plan.push(Wave { title: format!("put {} in order", member.name), steps, ..Wave::default() });

    let running = host.unit.runs();
    let service = match (running, cure) {
        (false, _) => Some((Service::Started, "not running")),
        (true, Cure::Restart) if healthy => Some((Service::Restarted, "it would not start again")),
        (true, Cure::Restart) => Some((Service::Restarted, "runs but is not in sync")),
        (true, _) => None,
    };
    if matches!(service, Some((Service::Restarted, _))) {
        ensemble::can_spare(desired, facts, id)?;
    }
    let steps = service.map_or_else(Vec::new, |(service, why)| {
        let risk = if member.voter && running { Risk::Voter } else { Risk::None };
        // What somebody wrote into zoo.cfg by hand stays in the slot that counted.
        let mut steps = install::fill_slot(desired, facts, member);
        steps.extend(install::enter(desired, facts, member, host));
        steps.push(step(member, Action::Service(service), why).risk(risk));
        steps
    });
    // Who was well before is well again behind a new process, and not sooner.
    let is_awaited = !healthy || steps.iter().any(|step| matches!(step.action, Action::Service(_)));
    let gates = if is_awaited { vec![Gate::of(Condition::Synced { member: id })] } else { Vec::new() };
    plan.push(Wave { title: format!("bring {} back", member.name), steps, gates, ..Wave::default() });
    Ok(())
}

/// With this member, enough voters run to make a quorum: else it would wait, and so would whoever repairs it.
fn enough_run(desired: &Desired, facts: &Facts, member: &DesiredMember) -> Result<(), Stop> {
    // Whoever was not seen may run: starting a member takes nobody down.
    let down =
        |id: &ServerId| *id != member.id && facts.host(*id).is_some_and(|host| host.no_process().is_some());
    let running: Vec<ServerId> = desired.members.keys().copied().filter(|id| !down(id)).collect();
    let voters = desired.voters().filter(|voter| running.contains(&voter.id)).count();
    if voters >= desired.majority() {
        return Ok(());
    }
    let missing: Vec<ServerId> =
        desired.voters().map(|voter| voter.id).filter(|id| !running.contains(id)).collect();
    Err(Stop::Refused(Refused {
        what: format!(
            "repair of {} alone would not help: with it {voters} of {} voters run, and {} are needed",
            member.name,
            desired.voters().count(),
            desired.majority()
        ),
        evidence: missing.iter().filter_map(|id| diagnosis::said(desired, facts, *id)).collect(),
        next: diagnosis::way_back(desired, facts, &missing),
    }))
}

fn moved(plan: &Plan) -> Vec<String> {
    plan.steps()
        .filter_map(|step| match &step.action {
            Action::Quarantine { to, .. } => Some(to.clone()),
            _ => None,
        })
        .collect()
}

fn purge_wave(member: &DesiredMember, host: &HostFacts, moved: &[String]) -> Wave {
    let old = host.data.is().map_or(&[][..], |data| &data.quarantined);
    let steps = old
        .iter()
        .chain(moved)
        .map(|path| {
            let action = Action::RemovePath { path: path.clone(), recursive: true };
            step(member, action, "old data, its removal was asked for")
        })
        .collect();
    Wave { title: "remove old data".to_owned(), steps, gates: Vec::new(), ..Wave::default() }
}
