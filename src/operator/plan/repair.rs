//! Repair one member (law 7): the mildest cure that its diagnosis allows, and where data must
//! go, first the proof that the others hold all of it.
//!
//! A wiped member is started without `initialize`, so its empty database cannot vote before it
//! has synced (disk-format §5).

use super::desired::{Desired, DesiredMember};
use super::diagnosis::{self, Cure, Diagnosis};
use super::facts::{Facts, HostFacts, HostView, NoWayIn, UnitState};
use super::install::{self, Data, step};
use super::preflight::{Check, Finding, Level};
use super::step::{Action, Condition, Plan, Risk, Service, Shut, Step, Wave};
use super::{Refused, Stop, deploy, ensemble};
use crate::wire::ids::{ServerId, Zxid};

/// How far repair may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wipe {
    /// Only when no milder cure fits the diagnosis.
    IfNeeded,
    /// Whatever the diagnosis says: asked for, or the milder cure was tried and did not help.
    Always,
}

pub fn plan(
    desired: &Desired,
    facts: &Facts,
    id: ServerId,
    wipe: Wipe,
    purge_old: bool,
) -> Result<Plan, Stop> {
    let member = &desired.members[&id];
    let host = usable(member, facts)?;
    let mut plan = Plan { title: format!("repair {}", member.name), ..Plan::default() };
    let causes = diagnosis::diagnose(desired, facts, id);
    let healthy = ensemble::in_sync(desired, facts).contains(&id);
    plan.warnings.extend(causes.iter().map(|cause| cause.what.clone()));

    let cure = causes.iter().map(|cause| cause.cause.cure()).max().unwrap_or(Cure::Elsewhere);
    if wipe == Wipe::Always || (cure == Cure::Wipe && !healthy) {
        prove_others(desired, facts, member)?;
        by_person(desired, &causes, cure)?;
        wipe_waves(desired, facts, member, host, &mut plan);
    } else if healthy && causes.is_empty() {
        prove_others(desired, facts, member)?;
    } else {
        by_person(desired, &causes, cure)?;
        mild_waves(desired, facts, member, host, cure, &mut plan)?;
    }
    let moved: Vec<String> = plan
        .steps()
        .filter_map(|step| match &step.action {
            Action::Quarantine { to, .. } => Some(to.clone()),
            _ => None,
        })
        .collect();
    if purge_old {
        plan.push(purge_wave(member, host, &moved));
    }
    Ok(plan)
}

/// Whether a plan of repair moves data aside: what a person must agree to.
pub fn wipes(plan: &Plan) -> bool {
    plan.steps().any(|step| matches!(step.action, Action::Quarantine { .. }))
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

/// The others hold a synced majority of all voters, as far as can be seen before the target is
/// stopped; the gates of the plan prove it again with the target down.
fn prove_others(desired: &Desired, facts: &Facts, member: &DesiredMember) -> Result<(), Stop> {
    let mut others = ensemble::voters_in_sync(desired, facts);
    others.remove(&member.id);
    if others.len() >= desired.majority() || (!member.voter && ensemble::serves(desired, facts)) {
        return Ok(());
    }
    let missing: Vec<ServerId> = desired
        .voters()
        .map(|voter| voter.id)
        .filter(|id| *id != member.id && !others.contains(id))
        .collect();
    let mut evidence = vec![format!(
        "voters in sync besides {}: {}; not in sync: {}",
        member.name,
        desired.names(&others),
        desired.names(&missing)
    )];
    evidence.extend(at_stake(facts, member, &others.iter().copied().collect::<Vec<_>>()));
    let mut next = ensemble::bring_back(desired, facts, &missing);
    next.push(format!("zkops repair {}", member.name));
    Err(Stop::Refused(Refused {
        what: format!(
            "wiping {} can lose acknowledged writes: the others must hold a synced majority of all voters, {} of {}, \
             and only {} do",
            member.name,
            desired.majority(),
            desired.voters().count(),
            others.len()
        ),
        evidence,
        next,
    }))
}

/// The newest state known on either side, for a person who must weigh it.
fn at_stake(facts: &Facts, member: &DesiredMember, others: &[ServerId]) -> Vec<String> {
    let zxid = |id: &ServerId| facts.server(*id).map(|server| server.zxid);
    let elsewhere: Option<Zxid> = others.iter().filter_map(zxid).max();
    let mut lines = Vec::new();
    match (zxid(&member.id), elsewhere) {
        (Some(here), Some(there)) if here > there => {
            lines.push(format!("{} holds {here}; the others are seen up to {there} only", member.name));
        }
        (Some(here), None) => {
            lines.push(format!("{} holds {here}; no other voter shows its state", member.name))
        }
        _ => {}
    }
    if let Some(epoch) = facts.host(member.id).and_then(|host| host.data.current_epoch) {
        lines.push(format!("the data of {} took part in epoch {epoch}", member.name));
    }
    lines
}

/// What only a person can cure first: a full disk, a lost clock.
fn by_person(desired: &Desired, causes: &[Diagnosis], cure: Cure) -> Result<(), Stop> {
    let full = causes.iter().find(|cause| cause.cause == diagnosis::Cause::DiskFull);
    let blocking = full.or_else(|| causes.first().filter(|_| cure <= Cure::Person));
    let Some(first) = blocking else { return Ok(()) };
    Err(Stop::Refused(Refused {
        what: format!("repair of {} would not help: {}", desired.name(first.member), first.what),
        evidence: first.evidence.clone(),
        next: first.next.clone(),
    }))
}

fn mild_waves(
    desired: &Desired,
    facts: &Facts,
    member: &DesiredMember,
    host: &HostFacts,
    cure: Cure,
    plan: &mut Plan,
) -> Result<(), Stop> {
    let id = member.id;
    let mut steps: Vec<Step> = install::open_ports(member, host).into_iter().collect();
    steps.extend(install::steps(desired, facts, member, Data::AsSeen, false));
    plan.push(Wave {
        title: format!("put {} in order", member.name),
        steps,
        gates: Vec::new(),
        ..Wave::default()
    });

    let running = host.unit.state.running();
    let healthy = ensemble::in_sync(desired, facts).contains(&id);
    let service = match (running, cure) {
        (false, _) => Some((Service::Started, "not running")),
        (true, Cure::Restart) => Some((Service::Restarted, "runs but is not in sync")),
        (true, _) => None,
    };
    if matches!(service, Some((Service::Restarted, _))) {
        ensemble::can_spare(desired, facts, id)?;
    }
    let steps = service
        .map(|(service, why)| {
            let risk = if member.voter && running { Risk::Voter } else { Risk::None };
            step(member, Action::Service(service), why).risk(risk)
        })
        .into_iter()
        .collect();
    let gates = if healthy { Vec::new() } else { vec![deploy::gate(Condition::Synced { member: id })] };
    plan.push(Wave { title: format!("bring {} back", member.name), steps, gates, ..Wave::default() });
    Ok(())
}

fn wipe_waves(desired: &Desired, facts: &Facts, member: &DesiredMember, host: &HostFacts, plan: &mut Plan) {
    let id = member.id;
    let start_again = format!("zkops start {}", member.name);
    let stop = (!matches!(host.unit.state, UnitState::Absent)).then(|| {
        step(member, Action::Service(Service::Stopped), "its data must not change while it is judged")
            .risk(if member.voter { Risk::Voter } else { Risk::Clients })
            .undo(start_again)
    });
    let mut gates = Vec::new();
    if stop.is_some() {
        gates.push(deploy::gate(Condition::Down { member: id }));
    }
    gates.push(deploy::gate(Condition::Quorum { min: desired.majority(), without: Some(id) }));
    let revert = host
        .unit
        .state
        .running()
        .then(|| step(member, Action::Service(Service::Started), "as it was: the proof failed"));
    plan.push(Wave {
        title: format!("stop {} and prove that the others hold everything", member.name),
        steps: stop.into_iter().collect(),
        gates,
        shut: Shut::Refused,
        revert: revert.into_iter().collect(),
    });
    plan.push(Wave {
        title: "move the old data aside".to_owned(),
        steps: quarantine(facts.wall_ms, member, host),
        gates: Vec::new(),
        ..Wave::default()
    });
    let mut steps: Vec<Step> = install::open_ports(member, host).into_iter().collect();
    steps.extend(install::steps(desired, facts, member, Data::MovedAside, false));
    plan.push(Wave {
        title: format!("install {} anew", member.name),
        steps,
        gates: Vec::new(),
        ..Wave::default()
    });
    plan.push(Wave {
        title: "start; it cannot vote before it has synced".to_owned(),
        steps: vec![step(member, Action::Service(Service::Started), "it takes all data from the leader")],
        gates: vec![deploy::gate(Condition::Synced { member: id })],
        ..Wave::default()
    });
}

/// Databases, myid and marker, each renamed beside itself: that works on a mount point and
/// without rights on the parent directory, and no server looks at such names.
fn quarantine(wall_ms: i64, member: &DesiredMember, host: &HostFacts) -> Vec<Step> {
    host.data
        .parts
        .iter()
        .map(|path| {
            let (dir, name) = path.rsplit_once('/').unwrap_or(("", path));
            let to = format!("{dir}/{OLD}{}.{name}", stamp(wall_ms));
            let undo = format!("stop the server, remove {path}, rename {to} to {path}");
            step(member, Action::Quarantine { path: path.clone(), to }, "kept, not deleted").undo(undo)
        })
        .collect()
}

fn purge_wave(member: &DesiredMember, host: &HostFacts, moved: &[String]) -> Wave {
    let steps = host
        .data
        .quarantined
        .iter()
        .chain(moved)
        .map(|path| {
            let action = Action::RemovePath { path: path.clone(), recursive: true };
            step(member, action, "old data, its removal was asked for")
        })
        .collect();
    Wave { title: "remove old data".to_owned(), steps, gates: Vec::new(), ..Wave::default() }
}

/// How every name of old data begins, inside the data directories.
pub const OLD: &str = "zkops.old-";

/// `20261123T035111Z`: sorts by time, needs no quoting, says its zone.
fn stamp(wall_ms: i64) -> String {
    let time = jiff::Timestamp::from_millisecond(wall_ms).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    time.strftime("%Y%m%dT%H%M%SZ").to_string()
}
