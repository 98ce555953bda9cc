//! Destroy: what deploy put on the hosts goes, and nothing else. Data stays unless asked for.

use super::desired::{Desired, DesiredMember};
use super::facts::{Facts, Former, HostFacts, HostView, NoWayIn, Old};
use super::install::step;
use super::seen::Seen;
use super::step::{Action, Condition, Gate, Plan, Risk, Service, Step, Wave};
use super::{Refused, Stop, account, former, ownership};

pub fn plan(desired: &Desired, facts: &Facts, data: bool) -> Result<Plan, Stop> {
    let away: Vec<Refused> = desired
        .members
        .values()
        .filter_map(|member| match &facts.member(member.id).host {
            // Nothing of ours is there, so nothing of ours is left there.
            HostView::Unreachable(why) if why.kind == NoWayIn::NotInstalled => None,
            HostView::Unreachable(why) if why.kind == NoWayIn::LeftOut => None,
            HostView::Unreachable(why) => Some(Refused { what: why.text.clone(), ..Refused::default() }),
            HostView::Seen(_) | HostView::Unasked => None,
        })
        .collect();
    if !away.is_empty() {
        return Err(Stop::Unreachable(away));
    }
    ownership::data_apart(desired, facts)?;
    old_servers(desired, facts)?;
    let hosts: Vec<(&DesiredMember, &HostFacts)> =
        desired.members.values().filter_map(|member| Some((member, facts.host(member.id)?))).collect();
    for (member, host) in &hosts {
        foreign(desired, member, host)?;
        if data {
            unread(member, host)?;
            in_use(desired, member, host)?;
        }
    }
    let mut plan = Plan { title: format!("destroy {}", desired.cluster), ..Plan::default() };
    plan.push(stop_wave(&hosts));
    plan.push(remove_wave(desired, &hosts, data));
    if data {
        let left = |host: &HostFacts| host.data.is().is_some_and(|data| data.has_database);
        let unknown = hosts.iter().filter(|(_, host)| left(host) && !is_ours(desired, host));
        plan.warnings.extend(unknown.map(|(member, _)| {
            format!(
                "{}: {} is not known to be of {}, and stays",
                member.name, member.dirs.data, desired.cluster
            )
        }));
    } else {
        plan.warnings.push("data directories stay; --data removes them too".to_owned());
        plan.warnings.extend(hosts.iter().flat_map(|(member, host)| staying(member, host)));
    }
    Ok(plan)
}

/// A server that moved, and runs or may start where it was: with the fences goes what keeps it apart, and with the record
/// who knows of it.
fn old_servers(desired: &Desired, facts: &Facts) -> Result<(), Stop> {
    let alive = |old: &&Former| {
        let Old::Host(HostView::Seen(host)) = &old.view else { return false };
        !old.is_retired() && former::is_left(desired, facts, old, host)
    };
    let Some(old) = facts.elsewhere.former.iter().find(alive) else { return Ok(()) };
    let (name, address) = (desired.name(old.member), &old.address);
    let unit = desired.members.get(&old.member).map_or("", |member| &member.unit.name);
    Err(Stop::Refused(Refused {
        what: format!("the old server of {name} on {address} is not proven stopped and disabled"),
        evidence: vec![
            format!("{name} moved from there; that server would outlive the ensemble"),
            format!("by hand, on {address}: systemctl disable --now {unit}"),
        ],
        next: vec![format!("zkops deploy {}   (ends it, and cleans up there)", desired.inventory)],
    }))
}

/// Data of another cluster in our place: nothing on this host is ours to remove.
fn foreign(desired: &Desired, member: &DesiredMember, host: &HostFacts) -> Result<(), Stop> {
    match host.data.is().and_then(|data| data.marker.as_ref()) {
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

/// Data is this cluster's where its program stands beside it, and by its marker where that is gone already.
fn is_ours(desired: &Desired, host: &HostFacts) -> bool {
    let marker = host.data.is().and_then(|data| data.marker.as_ref());
    !host.binary.installed_sha256.is_absent()
        || marker.is_some_and(|marker| marker.cluster == desired.cluster)
}

/// Whose data it is could not be read: it is not removed unseen.
fn unread(member: &DesiredMember, host: &HostFacts) -> Result<(), Stop> {
    match host.data.why_unseen() {
        None => Ok(()),
        Some(why) => Err(Stop::Refused(Refused {
            what: format!("whose data {} holds could not be looked at", member.name),
            evidence: vec![format!("{}: {why}", member.dirs.data)],
            next: vec!["let the ssh user read it (ssh.user root or sudo), then run this again".to_owned()],
        })),
    }
}

/// Where nothing of ours is installed any more, no service of ours keeps a server on the data that could be stopped.
fn in_use(desired: &Desired, member: &DesiredMember, host: &HostFacts) -> Result<(), Stop> {
    if !host.binary.installed_sha256.is_absent() || !is_ours(desired, host) {
        return Ok(());
    }
    let (evidence, next) = match &host.processes {
        Seen::Absent => return Ok(()),
        Seen::Unseen(why) => (why.to_string(), format!("zkops status {}", desired.inventory)),
        Seen::Is(all) => {
            let Some(process) = all.first() else { return Ok(()) };
            (
                format!("pid {}", process.pid),
                format!("stop that process on {} (kill {}), then run this again", member.name, process.pid),
            )
        }
    };
    Err(Stop::Refused(Refused {
        what: format!("the data of {} is not proven to be out of use", member.name),
        evidence: vec![evidence],
        next: vec![next],
    }))
}

/// What stays with the data, and would surprise.
fn staying(member: &DesiredMember, host: &HostFacts) -> Vec<String> {
    let links = account::data_dirs(member).into_iter().filter_map(|dir| Some((dir, link_target(host, dir)?)));
    let mut said: Vec<String> = links
        .map(|(dir, target)| format!("{}: {dir} is a link to {target}: both stay", member.name))
        .collect();
    said.extend(account::made_users(host).iter().map(|user| {
        format!("{}: the user {user}, which deploy made, stays: the data is theirs", member.name)
    }));
    said
}

/// Where the directory really is, when its name is a link.
fn link_target<'a>(host: &'a HostFacts, dir: &str) -> Option<&'a str> {
    host.owners.is()?.dirs.get(dir)?.target.as_deref()
}

fn stop_wave(hosts: &[(&DesiredMember, &HostFacts)]) -> Wave {
    let up: Vec<&DesiredMember> =
        hosts.iter().filter(|(_, host)| !host.unit.is_down()).map(|(member, _)| *member).collect();
    Wave {
        title: "stop".to_owned(),
        steps: up
            .iter()
            .map(|member| step(member, Action::Service(Service::Stopped), "asked for").risk(Risk::Service))
            .collect(),
        gates: up.iter().map(|member| Gate::of(Condition::Down { member: member.id })).collect(),
        ..Wave::default()
    }
}

fn remove_wave(desired: &Desired, hosts: &[(&DesiredMember, &HostFacts)], data: bool) -> Wave {
    let removed = |host: &HostFacts| data && is_ours(desired, host);
    let steps = hosts.iter().flat_map(|(member, host)| removals(member, host, removed(host))).collect();
    Wave { title: "remove".to_owned(), steps, gates: Vec::new(), ..Wave::default() }
}

fn removals(member: &DesiredMember, host: &HostFacts, data: bool) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut remove = |path: &str, recursive: bool, why: &str| {
        steps.push(step(member, Action::RemovePath { path: path.to_owned(), recursive }, why));
    };
    if data {
        for dir in account::data_dirs(member) {
            if host.dir(dir).exists.is_absent() {
                continue;
            }
            match link_target(host, dir) {
                Some(target) => {
                    remove(target, true, &format!("data, its removal was asked for: {dir} is a link to it"));
                    remove(dir, false, "the link to the data");
                }
                None => remove(dir, true, "data, its removal was asked for"),
            }
        }
        for dir in host.data.is().map_or(&[][..], |data| &data.quarantined) {
            remove(dir, true, "old data, its removal was asked for");
        }
    }
    let mut service = Vec::new();
    if !host.unit.installed.is_absent() || !host.unit.state.is_absent() {
        service.push(step(member, Action::Service(Service::Removed), "deploy put it there"));
    }
    if !host.opened().is_empty() {
        let action = Action::ClosePorts { openings: host.opened().to_vec() };
        service.push(step(member, action, "deploy opened them"));
    }
    // With the ensemble goes whom it had to be kept apart from.
    if let Some(addresses) = host.fences.is().filter(|fences| !fences.is_empty()) {
        let action = Action::Unfence { addresses: addresses.clone() };
        service.push(step(member, action, "deploy blocked it"));
    }
    service.extend(steps);
    if data {
        let users = account::made_users(host).iter().cloned();
        service.extend(users.map(|user| step(member, Action::RemoveUser { user }, "deploy made it")));
    }
    // The journal of the removal itself is written there, too.
    let leaves = data && !service.is_empty();
    if leaves || !host.binary.installed_sha256.is_absent() {
        // The last one: it takes the binary, its state and, when empty, the directory.
        service.push(step(
            member,
            Action::Uninstall { dir: member.dirs.install.clone(), made: account::made_dirs(host).to_vec() },
            "deploy put it there",
        ));
    }
    service
}
