//! What keeps a member from the others: ports that another process has, and firewalls, its own host's and the others'.

use super::Diagnosis;
use crate::formats::opening::Opening;
use crate::operator::plan::cures::Cause;
use crate::operator::plan::desired::{Desired, DesiredMember};
use crate::operator::plan::ensemble;
use crate::operator::plan::facts::{Facts, HostFacts};
use crate::operator::plan::ways::{Reach, ReachResult};

/// Of the member's own host.
pub(super) fn own(
    desired: &Desired,
    facts: &Facts,
    member: &DesiredMember,
    host: &HostFacts,
) -> Vec<Diagnosis> {
    taken(member, host).into_iter().chain(blocked(desired, facts, member, host)).collect()
}

/// Of the other hosts: what this member must reach there and cannot.
pub(super) fn others(desired: &Desired, facts: &Facts, member: &DesiredMember) -> Vec<Diagnosis> {
    let leader = ensemble::leader(desired, facts);
    let all = desired.members.values().filter(|other| other.id != member.id);
    let found = all.filter_map(|other| {
        // Where no server is yet, a closed port keeps nobody from one.
        let host = facts.host(other.id).filter(|host| !host.unit.state.is_absent())?;
        // Whoever follows needs the leader's quorum port, and nobody else's; all talk of elections.
        let follows = leader.is_none_or(|leader| leader == other.id);
        let mut needed = vec![(other.ports.election, "election")];
        if follows {
            needed.insert(0, (other.ports.quorum, "quorum"));
        }
        let rules: Vec<(u16, String)> = needed
            .iter()
            .filter_map(|(port, role)| {
                let firewall = host.firewall.is()?;
                let to_it = Opening { port: *port, from: member.address.parse().ok() };
                let rule = firewall.openings.get(&to_it).or_else(|| firewall.ports.get(port));
                let rule = rule.filter(|rule| !rule.open)?;
                Some((*port, format!("tcp {port} ({role} port of {}): {}", other.name, rule.rule)))
            })
            .collect();
        let lost: Vec<(u16, String)> = facts
            .reach
            .iter()
            .filter(|reach| reach.from == Some(member.id) && reach.to == other.id && is_lost(reach))
            .filter(|reach| needed.iter().any(|(port, _)| *port == reach.port))
            .map(|reach| (reach.port, tried(desired, reach)))
            .collect();
        let (port, _) = rules.first().or(lost.first())?;
        let by = host.firewall.is().map(|firewall| &firewall.kind).filter(|_| !rules.is_empty());
        let (what, next) = match by {
            Some(kind) => (
                format!("{kind} on {} blocks tcp {port}: {} cannot reach it", other.name, member.name),
                format!("zkops repair {}", other.name),
            ),
            None => (
                format!(
                    "something between the hosts blocks tcp {port} of {} for {}",
                    other.name, member.name
                ),
                format!(
                    "open tcp {port} from {} to {} in the network between",
                    member.address, other.address
                ),
            ),
        };
        let evidence = rules.into_iter().chain(lost).map(|(_, line)| line).collect();
        Some(Diagnosis::new(member, Cause::OthersBlocked, what).shown(evidence).then(vec![next]))
    });
    found.collect()
}

fn taken(member: &DesiredMember, host: &HostFacts) -> Option<Diagnosis> {
    let other = |port: &u16| host.ports.is()?.get(port).filter(|user| !user.ours);
    let port = member.ports.all().into_iter().find(|port| other(port).is_some())?;
    let user = other(&port)?;
    let who = match user.pid {
        Some(pid) => format!("{} (pid {pid})", user.program),
        None => user.program.clone(),
    };
    let what = format!("tcp {port} on {} is taken by {who}", member.name);
    let next = format!("stop {who} on {0}, then: zkops start {0}", member.name);
    Some(Diagnosis::new(member, Cause::PortTaken, what).then(vec![next]))
}

/// Ports that a firewall keeps closed: its own rules, or connections that were tried and failed.
fn blocked(desired: &Desired, facts: &Facts, member: &DesiredMember, host: &HostFacts) -> Option<Diagnosis> {
    let ports = member.ports.all();
    let rules: Vec<String> = ports
        .into_iter()
        .filter_map(|port| {
            let rule = host.firewall.is()?.ports.get(&port).filter(|rule| !rule.open)?;
            Some(format!("tcp {port}: {}", rule.rule))
        })
        .collect();
    let lost = facts.reach.iter().filter(|reach| reach.to == member.id && is_lost(reach));
    let lost: Vec<String> = lost.map(|reach| tried(desired, reach)).collect();
    if rules.is_empty() && lost.is_empty() {
        return None;
    }
    let (what, next) = match host.firewall.is().map(|firewall| &firewall.kind).filter(|_| !rules.is_empty()) {
        Some(kind) => {
            (format!("{kind} on {} blocks its ports", member.name), format!("zkops repair {}", member.name))
        }
        None => (
            format!("something between the hosts blocks the ports of {}", member.name),
            format!("open tcp {ports:?} to {} in the network between", member.address),
        ),
    };
    let evidence = rules.into_iter().chain(lost).collect();
    Some(Diagnosis::new(member, Cause::PortBlocked, what).shown(evidence).then(vec![next]))
}

fn is_lost(reach: &Reach) -> bool {
    matches!(reach.result, ReachResult::Timeout | ReachResult::NoRoute)
}

fn tried(desired: &Desired, reach: &Reach) -> String {
    let from = reach.from.map_or_else(|| "this machine".to_owned(), |id| desired.name(id));
    format!("{from} → {}:{} {}", desired.name(reach.to), reach.port, reach.result.word())
}
