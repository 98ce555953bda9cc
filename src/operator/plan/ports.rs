//! Who is let in where: the ports of the ensemble for its members alone, the client port for everybody
//! or for those whom the inventory names. What is missing is opened before anything else; what we opened
//! and nobody needs any more is closed behind everything else, one host at a time, each proven by fresh
//! connections: an established one hides a mistake until the next election.
//!
//! Rules of others are never closed and never judged: `preflight` names those that let everybody in.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::desired::{Desired, DesiredMember};
use super::facts::{Facts, HostFacts};
use super::install::step;
use super::network::PortRule;
use super::step::{Action, Condition, Gate, Shut, Step, Wave};
use crate::formats::opening::{Network, Opening};

/// Everybody whom the member's ports must let in. Nobody, where loopback is all there is.
pub fn wanted(desired: &Desired, facts: &Facts, member: &DesiredMember) -> BTreeSet<Opening> {
    let mut all = BTreeSet::new();
    if is_loopback(&member.address) {
        return all;
    }
    let members = sources(desired, facts, member);
    for port in [member.ports.quorum, member.ports.election] {
        all.extend(members.iter().map(|address| Opening::to_host(port, *address)));
    }
    let client = member.ports.client;
    match &desired.clients {
        None => {
            all.insert(Opening::to_all(client));
        }
        Some(clients) => {
            let session = facts.host(member.id).and_then(|host| host.sources.is()?.session);
            let hosts = members.into_iter().chain(session).map(Network::host);
            // A network covers its hosts: one rule each is enough.
            let clients = clients.iter().copied();
            let all_hosts: BTreeSet<Network> = clients.chain(hosts).collect();
            let covered = |one: &Network| all_hosts.iter().any(|other| other != one && other.contains(one));
            let needed = all_hosts.iter().copied().filter(|one| !covered(one));
            all.extend(needed.map(|from| Opening { port: client, from: Some(from) }));
        }
    }
    all
}

/// Of those wanted, whom the member's own firewall does not let in, or forgets at the next boot; and
/// those who depend on a wider opening of ours, which is to be closed.
pub fn missing(desired: &Desired, facts: &Facts, member: &DesiredMember, host: &HostFacts) -> Vec<Opening> {
    let Some(firewall) = host.firewall.is() else { return Vec::new() };
    let closed = closed(desired, facts, member, host);
    let wanted = wanted(desired, facts, member).into_iter();
    wanted.filter(|opening| closed.contains(opening) || firewall.leaning.contains(opening)).collect()
}

/// Of those wanted, whom the member's own firewall does not let in, or forgets at the next boot.
pub fn closed(desired: &Desired, facts: &Facts, member: &DesiredMember, host: &HostFacts) -> Vec<Opening> {
    let Some(firewall) = host.firewall.is() else { return Vec::new() };
    let open = |opening: &Opening| {
        let rule = firewall.openings.get(opening).or_else(|| firewall.ports.get(&opening.port));
        rule.is_some_and(|rule| rule.open && rule.permanent)
    };
    wanted(desired, facts, member).into_iter().filter(|opening| !open(opening)).collect()
}

/// What a run of ours opened for this member and nobody needs any more. Nothing, while it is not known
/// of every member where it comes from: a rule that looks needless may be the one it needs.
pub fn needless(desired: &Desired, facts: &Facts, member: &DesiredMember, host: &HostFacts) -> Vec<Opening> {
    let (Some(firewall), Some(journal)) = (host.firewall.is(), host.journal.is()) else { return Vec::new() };
    let known = |other: &DesiredMember| facts.host(other.id).is_some_and(|host| host.sources.is().is_some());
    if !desired.members.values().all(known) {
        return Vec::new();
    }
    let wanted = wanted(desired, facts, member);
    let ours = firewall.ours.iter().copied();
    ours.filter(|opening| journal.opened.contains(opening) && !wanted.contains(opening)).collect()
}

/// Opens what is missing.
pub fn open(desired: &Desired, facts: &Facts, member: &DesiredMember, host: &HostFacts) -> Option<Step> {
    let openings = missing(desired, facts, member, host);
    let kind = host.firewall.is().map_or("no firewall", |firewall| &firewall.kind);
    let seen = facts.observed.iter().filter(|(id, _)| **id != member.id);
    let observed = seen.map(|(id, addresses)| (desired.name(*id), addresses.clone())).collect();
    (!openings.is_empty()).then(|| {
        step(
            member,
            Action::OpenPorts { openings, observed },
            &format!("{kind} does not let them through for good"),
        )
        .undo("close them again with the same tool; zkops destroy does it")
    })
}

/// Closes what is needless, one host a wave; opened again where the proof fails.
pub(crate) fn close_needless(desired: &Desired, facts: &Facts) -> Vec<Wave> {
    let members = desired.members.values();
    let waves = members.filter_map(|member| {
        let openings = needless(desired, facts, member, facts.host(member.id)?);
        if openings.is_empty() {
            return None;
        }
        let closed = Action::ClosePorts { openings: openings.clone() };
        let why = "an earlier deployment opened them, and nobody needs them any more";
        let again = Action::OpenPorts { openings, observed: BTreeMap::new() };
        Some(Wave {
            title: format!("let in on {} whom it needs, and nobody else", member.name),
            steps: vec![step(member, closed, why)],
            gates: vec![proof(desired)],
            revert: vec![step(member, again, "it was open before")],
            shut: Shut::Halfway,
        })
    });
    waves.collect()
}

/// Everybody still reaches everybody, by connections made just now.
fn proof(desired: &Desired) -> Gate {
    let members = desired.members.keys().copied().collect();
    Gate { condition: Condition::Reachable { members }, deadline_ms: PROOF_MS }
}

/// An address of the member's host, which tells the interface that its traffic comes in by.
pub fn listens_at(facts: &Facts, member: &DesiredMember) -> Option<IpAddr> {
    let sources = || facts.host(member.id).and_then(|host| host.sources.is());
    let resolved = || sources()?.addresses_of(&member.address).find(|address| !address.is_loopback());
    member.address.parse().ok().or_else(resolved)
}

/// One rule for a port of which each opening has its own: the first that keeps somebody out.
pub fn worst(rules: &BTreeMap<Opening, PortRule>, port: u16) -> Option<&PortRule> {
    let mut of_port = rules.iter().filter(|(opening, _)| opening.port == port).map(|(_, rule)| rule);
    let first = of_port.next()?;
    Some(if first.open && first.permanent {
        of_port.find(|rule| !(rule.open && rule.permanent)).unwrap_or(first)
    } else {
        first
    })
}

/// Where connections of the other members come from, as far as it is known: their addresses in the
/// inventory as this host resolves them, those that their routes to here choose, and those that
/// listeners saw, now or before.
fn sources(desired: &Desired, facts: &Facts, member: &DesiredMember) -> BTreeSet<IpAddr> {
    let here = facts.host(member.id).and_then(|host| host.sources.is());
    let others = desired.members.values().filter(|other| other.id != member.id);
    let mut all = BTreeSet::new();
    for other in others.filter(|other| other.address != member.address) {
        all.extend(other.address.parse::<IpAddr>());
        all.extend(here.iter().flat_map(|sources| sources.addresses_of(&other.address)));
        let there = facts.host(other.id).and_then(|host| host.sources.is());
        all.extend(there.iter().flat_map(|sources| sources.towards(&member.address)));
        all.extend(facts.observed.get(&other.id).into_iter().flatten());
        let before = facts.host(member.id).and_then(|host| host.journal.is()?.observed.get(&other.name));
        all.extend(before.into_iter().flatten());
    }
    let elsewhere = |address: &IpAddr| !address.is_loopback() && !address.is_unspecified();
    all.into_iter().map(|address| address.to_canonical()).filter(elsewhere).collect()
}

fn is_loopback(address: &str) -> bool {
    address == "localhost" || address.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// A matrix of connections, a few times over.
const PROOF_MS: u64 = 15_000;
