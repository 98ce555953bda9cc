//! Where members were before: found in the lists on the hosts, in what this machine deployed before and in fences; reached by
//! the settings of then, and looked at. What follows from it is planned elsewhere.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use futures_util::future::join_all;

use super::session::Session;
use crate::formats::marker::MEMBER_KEY;
use crate::operator::fleet::former::Place;
use crate::operator::fleet::hosts::Fleet;
use crate::operator::fleet::visit::Push;
use crate::operator::fleet::ways::Ways;
use crate::operator::observe::{self, former, identity};
use crate::operator::plan::desired::{Desired, DesiredMember, Ports};
use crate::operator::plan::facts::{Elsewhere, Facts, Former, HostView, Old};
use crate::operator::plan::remembered::Remembered;
use crate::operator::plan::{self, changes, lists};
use crate::operator::transport::{SshTarget, Target};
use crate::report::Failure;
use crate::wire::ids::ServerId;

/// Adds to `facts` what there is to see of old places, and who answers where.
///
/// # Errors
/// What concerns no single host: ~/.ssh/config.
pub(super) async fn look(
    session: &Session<'_>,
    fleet: &mut Fleet,
    push: &Push,
    facts: &mut Facts,
) -> Result<(), Failure> {
    at_their_ports(session, fleet, facts).await;
    let earlier = session.earlier();
    let mut found = found(&session.desired, facts, &earlier);
    for old in &mut found {
        name(session, fleet, old).await;
    }
    let known: Vec<_> = fleet.former().map(|(member, _)| (member.id, member.address.clone())).collect();
    let new = |old: &&Former| old.elsewhere() && !known.contains(&(old.member, old.address.clone()));
    let places = found.iter().filter(new).map(|old| place(session, &earlier, old)).collect();
    let (dialer, watch) = (session.caller.dialer()?, session.caller.watcher());
    let patience = session.caller.at_most(REACH_PATIENCE);
    fleet.reach_former(places, &dialer, push, &watch, patience).await;
    let mut looked = former::look(fleet, found, session.caller.at_most(LOOK_PATIENCE)).await;
    if named(&session.desired, fleet, &mut looked) {
        // With the directories and ports of the member that it is.
        looked = former::look(fleet, looked, session.caller.at_most(LOOK_PATIENCE)).await;
    }
    facts.elsewhere.former = looked;
    facts.elsewhere.remembered = Remembered::new(session.last(), earlier.last().map(|(last, _)| last));
    if !facts.elsewhere.former.is_empty() {
        identity::elsewhere(fleet, facts, session.caller.at_most(ANSWER_PATIENCE)).await;
    }
    Ok(())
}

/// Servers that run with other ports than the inventory's are asked again, there.
async fn at_their_ports(session: &Session<'_>, fleet: &mut Fleet, facts: &mut Facts) {
    let ports = session.desired.members.values();
    let ports =
        ports.filter_map(|member| Some((member.id, changes::earlier_ports(member, facts.host(member.id)?)?)));
    let ports: BTreeMap<ServerId, Ports> = ports.collect();
    if ports.is_empty() {
        return;
    }
    fleet.run_with(ports);
    let patience = session.caller.at_most(REACH_PATIENCE);
    let again = observe::facts::servers_alone(fleet, facts, patience).await;
    for (id, seen) in again.members {
        facts.members.entry(id).or_default().server = seen.server;
    }
    facts.elsewhere = again.elsewhere;
}

/// As [`look`], but nobody is reached: the old places are only asked who answers there. What there is to see beside
/// `facts`.
pub(super) async fn glance(
    session: &Session<'_>,
    fleet: Option<&Fleet>,
    ways: &Ways,
    facts: &Facts,
) -> Elsewhere {
    let earlier = session.earlier();
    let mut found = found(&session.desired, facts, &earlier);
    for old in &mut found {
        match fleet {
            Some(fleet) => name(session, fleet, old).await,
            None => old.ips.extend(old.address.parse::<IpAddr>()),
        }
    }
    let before: Vec<DesiredMember> = found.iter().map(|old| place(session, &earlier, old).member).collect();
    let patience = session.caller.at_most(ANSWER_PATIENCE);
    let waiting = join_all(before.iter().map(|old| identity::waits(&session.desired, old, ways, patience)));
    let (answers, waiting) =
        tokio::join!(identity::answers(&session.desired, &before, ways, patience), waiting);
    for (old, server) in found.iter_mut().zip(waiting) {
        old.server = server.unwrap_or_default();
    }
    let remembered = Remembered::new(session.last(), earlier.last().map(|(last, _)| last));
    Elsewhere { former: found, answers, remembered }
}

/// Where only a fence names the place, the zoo.cfg there says whose it was; true: it is another's than was thought.
fn named(desired: &Desired, fleet: &mut Fleet, looked: &mut [Former]) -> bool {
    let mut renamed = false;
    for old in looked {
        let (false, Old::Host(HostView::Seen(host))) = (old.listed, &old.view) else { continue };
        let says =
            host.installed_config.is().and_then(|config| lists::setting(config, MEMBER_KEY)?.parse().ok());
        let Some(member) = says.and_then(|id| desired.members.get(&ServerId(id))) else { continue };
        if member.id != old.member {
            fleet.former_is(old.member, DesiredMember { address: old.address.clone(), ..member.clone() });
            old.member = member.id;
            renamed = true;
        }
    }
    renamed
}

/// Every old place that is named somewhere.
fn found(desired: &Desired, facts: &Facts, earlier: &[(Desired, BTreeMap<ServerId, Target>)]) -> Vec<Former> {
    let lists = facts.lists();
    let mut found: BTreeMap<(ServerId, String), bool> = BTreeMap::new();
    let fenced = fenced(desired, facts);
    let remembers = |id: ServerId, address: &str| {
        let was = |(before, _): &(Desired, _)| {
            before.members.get(&id).is_some_and(|was| lists::same_address(&was.address, address))
        };
        earlier.iter().any(was) || fenced.iter().any(|ip| lists::same_address(&ip.to_string(), address))
    };
    for (id, addresses) in plan::former::moved(desired, facts, remembers) {
        found.extend(addresses.into_iter().map(|address| ((id, address), true)));
    }
    for (before, _) in earlier {
        for (id, was) in &before.members {
            let Some(member) = desired.members.get(id) else { continue };
            if !lists::same_address(&was.address, &member.address) {
                // Where nobody says that it is at its new address, it is where it was deployed.
                let arrived = lists
                    .values()
                    .filter_map(|list| list.get(id))
                    .any(|place| lists::same_address(&place.host, &member.address));
                found.entry((*id, was.address.clone())).or_insert(!arrived);
            }
        }
    }
    let mut found: Vec<Former> = found
        .into_iter()
        .map(|((member, address), listed)| Former { listed, ..Former::at(member, address) })
        .collect();
    for ip in fenced {
        let is_at = |address: &str| lists::same_address(address, &ip.to_string());
        let home = desired.members.values().any(|member| is_at(&member.address));
        if !home && !found.iter().any(|old| is_at(&old.address)) {
            // Whose it was, nobody remembers: the zoo.cfg there will say.
            found.extend(desired.members.keys().next().map(|id| Former::at(*id, ip.to_string())));
        }
    }
    found
}

fn fenced(desired: &Desired, facts: &Facts) -> BTreeSet<IpAddr> {
    let fences = desired.members.keys().filter_map(|id| facts.host(*id)?.fences.is());
    fences.flatten().copied().collect()
}

/// What the old address is, by the member's host of today or, where that is away, by any other.
async fn name(session: &Session<'_>, fleet: &Fleet, old: &mut Former) {
    let patience = session.caller.at_most(ANSWER_PATIENCE);
    let own = fleet.host(old.member);
    let Some(host) = own.or_else(|| fleet.hosts().map(|(_, host)| host).next()) else { return };
    let address = former::address(host, &old.address, patience).await;
    let here = matches!(session.targets.get(&old.member), Some(Target::Local(_)));
    let loopback = !address.ips.is_empty() && address.ips.iter().all(IpAddr::is_loopback);
    if own.is_some() && (address.own || (here && loopback)) {
        old.view = Old::SameMachine;
    }
    old.ips = address.ips;
}

/// The member as it was there and the way to it: as it was deployed, or as it is now with the address of then.
fn place(session: &Session<'_>, earlier: &[(Desired, BTreeMap<ServerId, Target>)], old: &Former) -> Place {
    let then = earlier.iter().rev().find_map(|(desired, targets)| {
        let was = |member: &&DesiredMember| {
            member.id == old.member && lists::same_address(&member.address, &old.address)
        };
        let member = desired.members.values().find(was)?;
        Some(Place { member: member.clone(), target: targets.get(&member.id)?.clone() })
    });
    then.unwrap_or_else(|| {
        let now = &session.desired.members[&old.member];
        let target = match &session.targets[&old.member] {
            Target::Ssh(ssh) => {
                Target::Ssh(Box::new(SshTarget { host: old.address.clone(), ..(**ssh).clone() }))
            }
            Target::Local(local) => Target::Local(local.clone()),
        };
        Place { member: DesiredMember { address: old.address.clone(), ..now.clone() }, target }
    })
}

/// A dead host is waited for no longer: a deployment behind a fence tries it each time.
const REACH_PATIENCE: Duration = Duration::from_secs(5);
const LOOK_PATIENCE: Duration = Duration::from_secs(10);
/// A server that lives answers in milliseconds.
const ANSWER_PATIENCE: Duration = Duration::from_millis(1_000);
