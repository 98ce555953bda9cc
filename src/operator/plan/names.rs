//! Names on a host that keep an ensemble from forming: one that means loopback there, nothing, another
//! machine than the inventory says, or another than the other hosts say. It resolves nothing itself.

use std::net::IpAddr;

use super::desired::{Desired, DesiredMember};
use super::facts::{Facts, NameFacts};
use crate::wire::ids::ServerId;

/// What is wrong with a name.
pub(super) struct Trouble {
    /// The inventory uses the name: nothing can work.
    pub(super) fatal: bool,
    pub(super) evidence: String,
    pub(super) fix: String,
}

/// The first trouble among the names that a host was asked for.
pub(super) fn trouble(
    desired: &Desired,
    facts: &Facts,
    member: &DesiredMember,
    hostname: &str,
    names: &[NameFacts],
) -> Option<Trouble> {
    let loopback_cluster = is_loopback(&member.address);
    for resolved in names {
        let about = desired.members.values().find(|m| m.name == resolved.name || m.address == resolved.name);
        let uses_name = desired.members.values().any(|m| m.address == resolved.name);
        let own = resolved.name == hostname || about.is_some_and(|m| m.id == member.id);
        let trap = resolved.addresses.iter().find(|address| is_loopback(address));
        if let (Some(trap), true, false) = (trap, own || about.is_some(), loopback_cluster) {
            let address = match about {
                Some(about) => known_as(desired, facts, about, member),
                None => Some(member.address.clone()),
            };
            let others = address.as_ref().filter(|address| **address != resolved.name);
            let evidence = format!(
                "{} resolves to {trap} on {}{}",
                resolved.name,
                member.name,
                others.map_or_else(String::new, |address| format!(", not to {address}"))
            );
            let fix = format!(
                "in /etc/hosts on {} take {} off the line of {trap} and give it {}",
                member.name,
                resolved.name,
                others.map_or("the address by which the others reach it", |address| address)
            );
            return Some(Trouble { fatal: uses_name, evidence, fix });
        }
        let Some(about) = about else { continue };
        if resolved.addresses.is_empty() && uses_name {
            return Some(Trouble {
                fatal: true,
                evidence: format!("{} does not resolve", resolved.name),
                fix: "add it to /etc/hosts or to DNS, or write its address into the inventory".to_owned(),
            });
        }
        let literal = about.address.parse::<IpAddr>().ok();
        let is_address = literal.is_some();
        if let (false, Some((mine, theirs))) = (is_address, disagreement(desired, facts, about, member)) {
            return Some(Trouble {
                fatal: false,
                evidence: format!("{} is {mine} on {}, {theirs}", about.address, member.name),
                fix: "make /etc/hosts or DNS say the same on all hosts".to_owned(),
            });
        }
        if is_address
            && !resolved.addresses.is_empty()
            && !literal.is_some_and(|ip| resolved.addresses.contains(&ip.to_string()))
        {
            return Some(Trouble {
                fatal: false,
                evidence: format!(
                    "{} is {} here, {} in the inventory",
                    about.name,
                    resolved.addresses.join(" "),
                    about.address
                ),
                fix: format!("correct /etc/hosts on {}", member.name),
            });
        }
    }
    None
}

/// The address that a member has for everybody else: the inventory's, or what the other hosts make of
/// its name.
fn known_as(desired: &Desired, facts: &Facts, about: &DesiredMember, here: &DesiredMember) -> Option<String> {
    if about.address.parse::<IpAddr>().is_ok() {
        return Some(about.address.clone());
    }
    let others = desired.members.keys().filter(|id| **id != here.id && **id != about.id);
    let sources = others.filter_map(|id| facts.host(*id)?.sources.is());
    let mut seen = sources.flat_map(|sources| sources.addresses_of(&about.address));
    seen.find(|address| !address.is_loopback()).map(|address| address.to_string())
}

/// A name that some hosts take for another machine than this one does.
fn disagreement(
    desired: &Desired,
    facts: &Facts,
    about: &DesiredMember,
    here: &DesiredMember,
) -> Option<(String, String)> {
    let seen = |id: ServerId| -> Option<Vec<IpAddr>> {
        let sources = facts.host(id)?.sources.is()?;
        let all: Vec<IpAddr> =
            sources.addresses_of(&about.address).filter(|one| !one.is_loopback()).collect();
        (!all.is_empty()).then_some(all)
    };
    let mine = seen(here.id)?;
    let others = desired.members.keys().filter(|id| **id != here.id);
    let differing = others.filter_map(|id| Some((*id, seen(*id)?)));
    let differing: Vec<(ServerId, Vec<IpAddr>)> =
        differing.filter(|(_, theirs)| !theirs.iter().any(|address| mine.contains(address))).collect();
    let (_, theirs) = differing.first()?;
    let shown = |all: &[IpAddr]| all.iter().map(IpAddr::to_string).collect::<Vec<_>>().join(" ");
    Some((
        shown(&mine),
        format!("{} on {}", shown(theirs), desired.names(differing.iter().map(|(id, _)| id))),
    ))
}

fn is_loopback(address: &str) -> bool {
    address == "localhost" || address.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}
