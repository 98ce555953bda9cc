//! A member's data moved aside and its server started empty (law 7): first the proof that the others hold everything,
//! then each part renamed beside itself. Why it may go is decided in `repair`.
//!
//! The server is started without `initialize`, so its empty database cannot vote before it has synced (disk-format §5).

use super::desired::{Desired, DesiredMember};
use super::facts::{Facts, HostFacts};
use super::install::{self, Data, step};
use super::step::{Action, Condition, Gate, Plan, Risk, Service, Shut, Step, Wave};
use super::{Refused, Stop, diagnosis, ensemble, fit, ports};
use crate::wire::ids::{ServerId, Zxid};

/// The others hold a synced majority of all voters, as far as can be seen before the target is
/// stopped; the gates of the plan prove it again with the target down.
pub(super) fn prove_others(desired: &Desired, facts: &Facts, member: &DesiredMember) -> Result<(), Stop> {
    let mut others = ensemble::voters_in_sync(desired, facts);
    others.remove(&member.id);
    let proven = ensemble::voters_proven(desired, facts, &[member.id].into());
    if proven >= desired.majority() || (!member.voter && ensemble::serves(desired, facts)) {
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
    evidence.extend(missing.iter().filter_map(|id| diagnosis::said(desired, facts, *id)));
    evidence.extend(at_stake(facts, member, &others.iter().copied().collect::<Vec<_>>()));
    let (name, all, needed) = (&member.name, desired.voters().count(), desired.majority());
    let whole = fit::intact(desired, facts);
    let intact: Vec<ServerId> = whole.iter().copied().filter(|id| *id != member.id).collect();
    if intact.len() < needed {
        let gone: Vec<ServerId> =
            desired.voters().map(|voter| voter.id).filter(|id| !whole.contains(id)).collect();
        return Err(Stop::Refused(Refused {
            what: format!(
                "{name} cannot be repaired without loss: {needed} of {all} voters must hold the data to know what was \
                 acknowledged, and besides {name} only {} do",
                intact.len()
            ),
            evidence,
            next: vec![put_back(desired, facts, &gone)],
        }));
    }
    Err(Stop::Refused(Refused {
        what: format!(
            "the data of {name} must come from the others, and they are no quorum: a synced majority of all voters, \
             {needed} of {all}, is needed, and only {proven} are in sync"
        ),
        evidence,
        next: diagnosis::way_back(desired, facts, &missing),
    }))
}

/// The way where nobody can tell any more what was acknowledged: the old data back in its place.
fn put_back(desired: &Desired, facts: &Facts, gone: &[ServerId]) -> String {
    let kept = gone.iter().find_map(|id| {
        let aside =
            facts.host(*id)?.data.is()?.quarantined.iter().rev().find(|path| path.ends_with(".version-2"))?;
        let dir = aside.rsplit_once('/').map_or("", |(dir, _)| dir);
        Some(format!("on {}: put {aside} back as {dir}/version-2, then: zkops start", desired.name(*id)))
    });
    let restore = || {
        let dirs: Vec<String> = gone
            .iter()
            .filter_map(|id| {
                Some(format!("{} ({}/version-2)", desired.name(*id), desired.members.get(id)?.dirs.data))
            })
            .collect();
        format!("restore a backup of the data of {}, then: zkops start", dirs.join(" or "))
    };
    kept.unwrap_or_else(restore)
}

/// Stop and prove; move aside; install; start.
pub(super) fn waves(
    desired: &Desired,
    facts: &Facts,
    member: &DesiredMember,
    host: &HostFacts,
    plan: &mut Plan,
) {
    let id = member.id;
    let stop = (!host.unit.state.is_absent()).then(|| {
        step(member, Action::Service(Service::Stopped), "its data must not change while it is judged")
            .risk(if member.voter { Risk::Voter } else { Risk::Clients })
            .undo(format!("zkops start {}", member.name))
    });
    let mut gates = Vec::new();
    if stop.is_some() {
        gates.push(Gate::of(Condition::Down { member: id }));
    }
    gates.push(Gate::of(Condition::Quorum { min: desired.majority(), without: Some(id) }));
    let revert = host
        .unit
        .runs()
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
        ..Wave::default()
    });
    let mut steps: Vec<Step> = ports::open(desired, facts, member, host).into_iter().collect();
    steps.extend(install::steps(desired, facts, member, Data::MovedAside, false));
    steps.extend(install::fill_slot(desired, facts, member));
    steps.extend(install::enter(desired, facts, member, host));
    plan.push(Wave { title: format!("install {} anew", member.name), steps, ..Wave::default() });
    plan.push(Wave {
        title: "start; it cannot vote before it has synced".to_owned(),
        steps: vec![step(member, Action::Service(Service::Started), "it takes all data from the leader")],
        gates: vec![Gate::of(Condition::Synced { member: id })],
        ..Wave::default()
    });
}

/// Where a path goes when it is moved aside: renamed inside its own directory.
pub(super) fn aside(wall_ms: i64, path: &str) -> String {
    let (dir, name) = path.rsplit_once('/').unwrap_or(("", path));
    format!("{dir}/{OLD}{}.{name}", stamp(wall_ms))
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
    if let Some(epoch) = facts.host(member.id).and_then(|host| host.data.is()?.current_epoch) {
        lines.push(format!("the data of {} took part in epoch {epoch}", member.name));
    }
    lines
}

/// Databases, myid and marker, each renamed beside itself: that works on a mount point and
/// without rights on the parent directory, and no server looks at such names.
fn quarantine(wall_ms: i64, member: &DesiredMember, host: &HostFacts) -> Vec<Step> {
    let parts = host.data.is().map_or(&[][..], |data| &data.parts);
    parts
        .iter()
        .map(|path| {
            let to = aside(wall_ms, path);
            let undo = format!("stop the server, remove {path}, rename {to} to {path}");
            step(member, Action::Quarantine { path: path.clone(), to }, "kept, not deleted").undo(undo)
        })
        .collect()
}

/// `20261123T035111Z`: sorts by time, needs no quoting, says its zone.
fn stamp(wall_ms: i64) -> String {
    let time = jiff::Timestamp::from_millisecond(wall_ms).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    time.strftime("%Y%m%dT%H%M%SZ").to_string()
}

/// How every name of old data begins, inside the data directories.
pub const OLD: &str = "zkops.old-";
