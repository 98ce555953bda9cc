//! What keeps a member from the others: ports that another process has, and firewalls, its own host's and the others'.

use std::collections::BTreeSet;

use super::Diagnosis;
use crate::formats::opening::Opening;
use crate::operator::plan::cures::Cause;
use crate::operator::plan::desired::{Desired, DesiredMember};
use crate::operator::plan::ensemble;
use crate::operator::plan::facts::{Facts, HostFacts};
use crate::operator::plan::outdated;
use crate::operator::plan::preflight::ANOTHER_LOOK;
use crate::operator::plan::ways::{Reach, ReachResult};
use crate::wire::ids::ServerId;

/// Of the member's own host.
pub(super) fn own(
    desired: &Desired,
    facts: &Facts,
    member: &DesiredMember,
    host: &HostFacts,
) -> Vec<Diagnosis> {
    let mut found: Vec<Diagnosis> = taken(member, host).into_iter().collect();
    found.extend(blocked(desired, facts, member, host));
    found
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
            .filter(|reach| {
                reach.from == Some(member.id) && reach.to == other.id && is_lost(desired, facts, reach)
            })
            .filter(|reach| needed.iter().any(|(port, _)| *port == reach.port))
            .map(|reach| (reach.port, tried(desired, reach)))
            .collect();
        let port = match rules.first() {
            Some((port, _)) => port.to_string(),
            None => listed(lost.iter().map(|(port, _)| *port))?,
        };
        let by = host.firewall.is().map(|firewall| &firewall.kind).filter(|_| !rules.is_empty());
        let (what, next) = match by {
            Some(kind) => (
                format!("{kind} on {} blocks tcp {port}: {} cannot reach it", other.name, member.name),
                opens(desired, facts, &other.name),
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
    let next = match user.program == ANOTHER_LOOK {
        true => "try again when it is done".to_owned(),
        false => format!("stop {who} on {0}, then: zkops start {0}", member.name),
    };
    Some(Diagnosis::new(member, Cause::PortTaken, what).then(vec![next]))
}

/// Ports that are closed: by its host's own firewall, which repair opens; or by what stands between the hosts, which is
/// a person's to open: then connections that were tried are lost and no rule there says why.
fn blocked(desired: &Desired, facts: &Facts, member: &DesiredMember, host: &HostFacts) -> Vec<Diagnosis> {
    let rules: Vec<String> = member
        .ports
        .all()
        .into_iter()
        .filter_map(|port| {
            let rule = host.firewall.is()?.ports.get(&port).filter(|rule| !rule.open)?;
            Some(format!("tcp {port}: {}", rule.rule))
        })
        .collect();
    let lost: Vec<&Reach> =
        facts.reach.iter().filter(|reach| reach.to == member.id && is_lost(desired, facts, reach)).collect();
    if let Some(firewall) = host.firewall.is().filter(|_| !rules.is_empty()) {
        let what = format!("{} on {} blocks its ports", firewall.kind, member.name);
        let evidence = rules.into_iter().chain(lost.iter().map(|reach| tried(desired, reach))).collect();
        let next = vec![opens(desired, facts, &member.name)];
        return vec![Diagnosis::new(member, Cause::PortBlocked, what).shown(evidence).then(next)];
    }
    let (clients, members): (Vec<&Reach>, Vec<&Reach>) =
        lost.into_iter().partition(|reach| reach.port == member.ports.client);
    let of_members = between(desired, member, Cause::PathBlocked, &members);
    let of_clients = between(desired, member, Cause::ClientsBlocked, &clients);
    of_members.into_iter().chain(of_clients).collect()
}

/// What opens the ports of a member; where more than one host closes them, each repair would wait for the others.
fn opens(desired: &Desired, facts: &Facts, name: &str) -> String {
    let closes = |member: &&DesiredMember| {
        let firewall = facts.host(member.id).and_then(|host| host.firewall.is());
        let closed = |port: u16| {
            firewall.is_some_and(|firewall| firewall.ports.get(&port).is_some_and(|rule| !rule.open))
        };
        closed(member.ports.quorum) || closed(member.ports.election)
    };
    match desired.members.values().filter(closes).count() {
        0 | 1 => format!("zkops repair {name}"),
        _ => format!("zkops deploy {}   (opens the ports of all)", desired.inventory),
    }
}

/// What is lost on the way to the member, and from whom.
fn between(desired: &Desired, member: &DesiredMember, cause: Cause, lost: &[&Reach]) -> Option<Diagnosis> {
    let ports = listed(lost.iter().map(|reach| reach.port))?;
    let whence = |from: Option<ServerId>| match from {
        Some(id) => desired.members.get(&id).map_or_else(|| desired.name(id), |from| from.address.clone()),
        None => "this machine".to_owned(),
    };
    let from: BTreeSet<String> = lost.iter().map(|reach| whence(reach.from)).collect();
    let from: Vec<String> = from.into_iter().collect();
    let what = match cause {
        Cause::ClientsBlocked => {
            format!("something on the way blocks tcp {ports} of {} for clients", member.name)
        }
        _ => format!("something between the hosts blocks tcp {ports} of {}", member.name),
    };
    let next =
        format!("open tcp {ports} from {} to {} in the network between", from.join(", "), member.address);
    let evidence = lost.iter().map(|reach| tried(desired, reach)).collect();
    Some(Diagnosis::new(member, cause, what).shown(evidence).then(vec![next]))
}

/// Ports as a person reads them, each once.
fn listed(ports: impl Iterator<Item = u16>) -> Option<String> {
    let ports: BTreeSet<u16> = ports.collect();
    let ports: Vec<String> = ports.iter().map(u16::to_string).collect();
    let (last, others) = ports.split_last()?;
    Some(if others.is_empty() { last.clone() } else { format!("{} and {last}", others.join(", ")) })
}

/// Nothing came back; or a refusal, where the host itself shows our server listening: something on the way refuses in
/// its name. What zkops blocks itself is told as that.
fn is_lost(desired: &Desired, facts: &Facts, reach: &Reach) -> bool {
    if reach.from.is_some_and(|from| outdated::are_apart(desired, facts, from, reach.to)) {
        return false;
    }
    match reach.result {
        ReachResult::Timeout | ReachResult::NoRoute => true,
        ReachResult::Refused => facts.host(reach.to).is_some_and(|host| host.listens(reach.port)),
        ReachResult::Ok | ReachResult::Reset | ReachResult::WrongAnswer => false,
    }
}

fn tried(desired: &Desired, reach: &Reach) -> String {
    let from = reach.from.map_or_else(|| "this machine".to_owned(), |id| desired.name(id));
    format!("{from} → {}:{} {}", desired.name(reach.to), reach.port, reach.result.word())
}
