//! Destroy: what deploy put on the hosts goes, and nothing else. Data stays unless asked for.

use super::desired::{Desired, DesiredMember};
use super::facts::{Facts, HostFacts, HostView, Installed, NoWayIn, UnitState};
use super::install::step;
use super::step::{Action, Condition, Plan, Risk, Service, Step, Wave};
use super::{Refused, Stop, deploy};

pub fn plan(desired: &Desired, facts: &Facts, data: bool) -> Result<Plan, Stop> {
    let away: Vec<Refused> = desired
        .members
        .values()
        .filter_map(|member| match &facts.member(member.id).host {
            // Nothing of ours is there, so nothing of ours is left there.
            HostView::Unreachable(why) if why.kind == NoWayIn::NotInstalled => None,
            HostView::Unreachable(why) => Some(Refused { what: why.text.clone(), ..Refused::default() }),
            HostView::Seen(_) | HostView::Unasked => None,
        })
        .collect();
    if !away.is_empty() {
        return Err(Stop::Unreachable(away));
    }
    let hosts: Vec<(&DesiredMember, &HostFacts)> =
        desired.members.values().filter_map(|member| Some((member, facts.host(member.id)?))).collect();
    for (member, host) in &hosts {
        foreign(desired, member, host)?;
    }
    let mut plan = Plan { title: format!("destroy {}", desired.cluster), ..Plan::default() };
    plan.push(stop_wave(&hosts));
    plan.push(remove_wave(&hosts, data));
    if !data {
        plan.warnings.push("data directories stay; --data removes them too".to_owned());
    }
    Ok(plan)
}

/// Data of another cluster in our place: nothing on this host is ours to remove.
fn foreign(desired: &Desired, member: &DesiredMember, host: &HostFacts) -> Result<(), Stop> {
    match &host.data.marker {
        Some(marker) if marker.cluster != desired.cluster => Err(Stop::Refused(Refused {
            what: format!(
                "{} holds data of cluster {:?}, not of {:?}",
                member.name, marker.cluster, desired.cluster
            ),
            evidence: vec![format!("the marker in {} says so", member.dirs.data)],
            next: vec!["name the inventory of that cluster".to_owned()],
        })),
        _ => Ok(()),
    }
}

fn stop_wave(hosts: &[(&DesiredMember, &HostFacts)]) -> Wave {
    let up: Vec<&DesiredMember> =
        hosts.iter().filter(|(_, host)| host.unit.state.running()).map(|(member, _)| *member).collect();
    Wave {
        title: "stop".to_owned(),
        steps: up
            .iter()
            .map(|member| step(member, Action::Service(Service::Stopped), "asked for").risk(Risk::Service))
            .collect(),
        gates: up.iter().map(|member| deploy::gate(Condition::Down { member: member.id })).collect(),
        ..Wave::default()
    }
}

fn remove_wave(hosts: &[(&DesiredMember, &HostFacts)], data: bool) -> Wave {
    let steps = hosts.iter().flat_map(|(member, host)| removals(member, host, data)).collect();
    Wave { title: "remove".to_owned(), steps, gates: Vec::new(), ..Wave::default() }
}

fn removals(member: &DesiredMember, host: &HostFacts, data: bool) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut remove = |path: &str, recursive: bool, why: &str| {
        steps.push(step(member, Action::RemovePath { path: path.to_owned(), recursive }, why));
    };
    if data {
        let mut dirs = vec![member.dirs.data.as_str(), member.dirs.data_log.as_str()];
        dirs.dedup();
        for dir in dirs {
            if host.dirs.get(dir).is_some_and(|dir| dir.exists) {
                remove(dir, true, "data, its removal was asked for");
            }
        }
        for dir in &host.data.quarantined {
            remove(dir, true, "old data, its removal was asked for");
        }
    }
    if host.files.contains_key(&member.config_path) {
        remove(&member.config_path, false, "deploy put it there");
    }
    let mut service = Vec::new();
    if host.unit.installed != Installed::No || !matches!(host.unit.state, UnitState::Absent) {
        service.push(step(member, Action::Service(Service::Removed), "deploy put it there"));
    }
    if !host.opened_ports.is_empty() {
        let action = Action::ClosePorts { ports: host.opened_ports.clone() };
        service.push(step(member, action, "deploy opened them"));
    }
    service.extend(steps);
    if host.binary.installed_sha256.is_some() {
        // The last one: it takes the binary, its state and, when empty, the directory.
        service.push(step(
            member,
            Action::Uninstall { dir: member.dirs.install.clone() },
            "deploy put it there",
        ));
    }
    service
}
