//! An inventory that the ensemble has moved on from: it has a member at an address that zkops itself blocks on the other
//! hosts, since the member moved away from there, and none of them lists it there any more. Whatever such an inventory says
//! of that member's trouble follows from this, and nothing done by it would be right.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::desired::{Desired, DesiredMember};
use super::facts::Facts;
use super::remembered::Last;
use super::{Refused, Stop, lists};
use crate::wire::ids::ServerId;

/// A member that the inventory has where it was once.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Left<'a> {
    pub(super) member: &'a DesiredMember,
    /// Where the others have it.
    to: String,
    /// Who lists it there.
    by: Vec<ServerId>,
    /// Where its old address is blocked.
    blocked_on: Vec<ServerId>,
}

/// # Errors
/// Refused where the inventory is older than the ensemble.
pub(super) fn check(desired: &Desired, facts: &Facts) -> Result<(), Stop> {
    left(desired, facts).map_or(Ok(()), |left| {
        Err(Stop::Refused(Refused {
            what: left.what(desired),
            evidence: left.evidence(desired),
            next: vec![left.next(facts)],
        }))
    })
}

/// The first of them; nobody moves two members without a deployment in between.
pub(super) fn left<'a>(desired: &'a Desired, facts: &Facts) -> Option<Left<'a>> {
    let lists = facts.lists();
    desired.members.values().find_map(|member| {
        let blocked_on = blocked_on(desired, facts, member);
        if blocked_on.is_empty() {
            return None;
        }
        // The zoo.cfg at its own old place is as old as the place.
        let others = lists.iter().filter(|(id, _)| **id != member.id);
        let there: Vec<(ServerId, &str)> = others
            .filter_map(|(id, list)| Some((*id, list.get(&member.id)?.host.as_str())))
            .filter(|(_, host)| !host.is_empty())
            .collect();
        let (_, to) = *there.first()?;
        let all_moved = there.iter().all(|(_, host)| !lists::same_address(host, &member.address));
        let by = there.iter().filter(|(_, host)| lists::same_address(host, to)).map(|(id, _)| *id).collect();
        all_moved.then(|| Left { member, to: to.to_owned(), by, blocked_on })
    })
}

/// Hosts of others that let nothing through to where the inventory has `member`.
pub(super) fn blocked_on(desired: &Desired, facts: &Facts, member: &DesiredMember) -> Vec<ServerId> {
    let home = addresses(desired, facts, member);
    let blocks = |id: &ServerId| {
        let fences = facts.host(*id).and_then(|host| host.fences.is());
        fences.is_some_and(|fences| fences.iter().any(|ip| home.contains(ip)))
    };
    desired.members.keys().copied().filter(|id| *id != member.id && blocks(id)).collect()
}

/// What the inventory's address of a member is, as far as hosts that were seen resolve it.
pub(super) fn addresses(desired: &Desired, facts: &Facts, member: &DesiredMember) -> BTreeSet<IpAddr> {
    let literal = member.address.parse::<IpAddr>().ok();
    let names = desired.members.keys().filter_map(|id| facts.host(*id)?.names.is()).flatten();
    let of_name = names.filter(|name| name.name == member.address).flat_map(|name| &name.addresses);
    let of_name = of_name.filter_map(|address| address.parse::<IpAddr>().ok());
    literal.into_iter().chain(of_name).map(|ip| ip.to_canonical()).collect()
}

impl Left<'_> {
    pub(super) fn what(&self, desired: &Desired) -> String {
        let Left { member, to, .. } = self;
        format!(
            "{} has {} at {}; it has moved from there to {to}",
            desired.inventory, member.name, member.address
        )
    }

    pub(super) fn evidence(&self, desired: &Desired) -> Vec<String> {
        let Left { member, to, by, blocked_on } = self;
        vec![
            format!("zoo.cfg of {} has {} at {to}", desired.names(by), member.name),
            format!("{} is blocked on {} since then", member.address, desired.names(blocked_on)),
        ]
    }

    pub(super) fn next(&self, facts: &Facts) -> String {
        let Left { member, to, .. } = self;
        let remembered = &facts.elsewhere.remembered;
        let last = remembered.members.get(&member.id);
        match (&remembered.last, last) {
            (Last::Another { inventory }, Some(last)) if lists::same_address(&last.address, to) => {
                format!("zkops status -i {inventory}   (it was deployed last, and has it there)")
            }
            _ => format!(
                "name the inventory that has {} at {to}, or put that address into this one",
                member.name
            ),
        }
    }
}

/// A move away from where the inventory has `member` was begun and not finished: its old place is blocked, and the others
/// still list it there.
pub(super) fn half_moved(desired: &Desired, facts: &Facts, member: &DesiredMember) -> Option<Refused> {
    let on = blocked_on(desired, facts, member);
    if on.is_empty() || left(desired, facts).is_some() {
        return None;
    }
    let (name, address) = (&member.name, &member.address);
    let next = match &facts.elsewhere.remembered.last {
        Last::Another { inventory } => format!("zkops deploy {inventory}   (finishes the move)"),
        Last::This | Last::Nothing => format!("deploy the inventory that {name} was to move by"),
    };
    Some(Refused {
        what: format!(
            "{address}, where {} has {name}, is blocked on {}",
            desired.inventory,
            desired.names(&on)
        ),
        evidence: vec![format!(
            "zkops blocks an address when a member moves away from it; {name} has not arrived anywhere"
        )],
        next: vec![next],
    })
}

/// Zkops itself keeps these two apart, on either host.
pub(super) fn are_apart(desired: &Desired, facts: &Facts, one: ServerId, other: ServerId) -> bool {
    let blocks = |who: ServerId, whom: ServerId| {
        desired.members.get(&whom).is_some_and(|whom| blocked_on(desired, facts, whom).contains(&who))
    };
    blocks(one, other) || blocks(other, one)
}
