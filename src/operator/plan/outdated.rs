//! An inventory that is not that of the ensemble as it is: it has a member at an address that the member moved away from, or is
//! to move to, or it lacks one. Whatever such an inventory seems to show of troubles follows from this, and nothing done by
//! it would be right. Where zkops itself blocks an address on the other hosts, the member is known to have moved from there.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::desired::{Desired, DesiredMember};
use super::facts::Facts;
use super::remembered::Last;
use super::{Refused, Stop, lists};
use crate::wire::ids::ServerId;

/// A member that the inventory has where it was once.
#[derive(Clone, Debug, PartialEq)]
struct Left<'a> {
    member: &'a DesiredMember,
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
    left(desired, facts).map_or(Ok(()), |left| Err(Stop::Refused(left.refused(desired, facts))))
}

/// The first of them; nobody moves two members without a deployment in between.
fn left<'a>(desired: &'a Desired, facts: &Facts) -> Option<Left<'a>> {
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
    fn refused(&self, desired: &Desired, facts: &Facts) -> Refused {
        Refused { what: self.what(desired), evidence: self.evidence(desired), next: vec![self.next(facts)] }
    }

    fn what(&self, desired: &Desired) -> String {
        let Left { member, to, .. } = self;
        format!(
            "{} has {} at {}; it has moved from there to {to}",
            desired.inventory, member.name, member.address
        )
    }

    fn evidence(&self, desired: &Desired) -> Vec<String> {
        let Left { member, to, by, blocked_on } = self;
        vec![
            format!("zoo.cfg of {} has {} at {to}", desired.names(by), member.name),
            format!("{} is blocked on {} since then", member.address, desired.names(blocked_on)),
        ]
    }

    fn next(&self, facts: &Facts) -> String {
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
    let remembered = &facts.elsewhere.remembered;
    let moves =
        remembered.members.get(&member.id).is_some_and(|last| !lists::same_address(&last.address, address));
    let next = match &remembered.last {
        Last::Another { inventory } if moves => format!("zkops deploy {inventory}   (finishes the move)"),
        _ => format!("deploy the inventory that {name} was to move by"),
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

/// Servers that take part by the lists on the hosts, or by those that servers run with, and that the inventory does not have:
/// whatever it says of majorities is wrong.
fn lacking(desired: &Desired, facts: &Facts) -> Option<(ServerId, Refused)> {
    let on_disk = facts.lists();
    let of_disk = on_disk.iter().map(|(id, list)| (*id, list));
    let answers = facts.elsewhere.answers.iter().filter(|answer| answer.says == Some(answer.member));
    let of_servers = answers.filter_map(|answer| Some((answer.member, answer.list.as_ref()?)));
    let strange = |(by, list): (ServerId, &lists::List)| {
        let (id, place) = list.iter().find(|(id, _)| !desired.members.contains_key(id))?;
        Some((by, *id, place.host.clone()))
    };
    let (by, id, host) = of_disk.chain(of_servers).find_map(strange)?;
    let remembered = &facts.elsewhere.remembered;
    let next = match &remembered.last {
        Last::Another { inventory } if remembered.members.contains_key(&id) => {
            format!("zkops status -i {inventory}   (it was deployed last, and has it)")
        }
        _ => format!("name the inventory that has server {id}, or put it into this one"),
    };
    let refused = Refused {
        what: format!(
            "{} lacks server {id} ({host}), which takes part in {}",
            desired.inventory, desired.cluster
        ),
        evidence: vec![format!("by the list of {}", desired.name(by))],
        next: vec![next],
    };
    Some((by, refused))
}

/// All others have `member` elsewhere, and in one place: it moved, or is to move, and no deployment by this inventory has done
/// so. Fences tell which of both; where there are none, nobody does. The place, and what to say of it.
fn listed_elsewhere(desired: &Desired, facts: &Facts, member: &DesiredMember) -> Option<(String, Refused)> {
    let lists = facts.lists();
    let others = lists.iter().filter(|(id, _)| **id != member.id);
    let there: Vec<(ServerId, &str)> =
        others.filter_map(|(id, list)| Some((*id, list.get(&member.id)?.host.as_str()))).collect();
    let (_, to) = *there.first()?;
    let is_there = |(_, host): &(ServerId, &str)| {
        !host.is_empty() && !lists::same_address(host, &member.address) && lists::same_address(host, to)
    };
    there.iter().all(is_there).then(|| {
        let Desired { inventory, .. } = desired;
        let refused = Refused {
            what: format!(
                "{inventory} has {} at {}; the others have it at {to}",
                member.name, member.address
            ),
            evidence: vec![format!("by the zoo.cfg of {}", desired.names(there.iter().map(|(id, _)| id)))],
            next: vec![format!(
                "zkops plan {inventory}   (shows what would move; or name the inventory that has it at {to})"
            )],
        };
        (to.to_owned(), refused)
    })
}

/// Where a server of it runs by now, the move is on its way.
fn elsewhere(desired: &Desired, facts: &Facts) -> Option<(ServerId, Refused)> {
    let told = |member: &DesiredMember| {
        let runs =
            facts.server(member.id).is_some() || facts.host(member.id).is_some_and(|host| host.unit.runs());
        let (to, refused) = listed_elsewhere(desired, facts, member).filter(|_| !runs)?;
        let mut old = facts.elsewhere.former_of(member.id);
        old.any(|old| lists::same_address(&old.address, &to) && old.elsewhere()).then_some(refused)
    };
    desired.members.values().find_map(|member| Some((member.id, told(member)?)))
}

/// Why nothing that the inventory seems to show is worth telling: it is that of another time.
pub(super) fn of_another_time(desired: &Desired, facts: &Facts) -> Option<(ServerId, Refused)> {
    let left = left(desired, facts).map(|left| (left.member.id, left.refused(desired, facts)));
    left.or_else(|| lacking(desired, facts)).or_else(|| elsewhere(desired, facts))
}

/// For verbs that take members as they are: one of `ids` is listed elsewhere by all others, or the inventory lacks somebody.
///
/// # Errors
/// Refused: what is done there would be done to somebody else, or counted wrongly.
pub(super) fn as_listed(desired: &Desired, facts: &Facts, ids: &[ServerId]) -> Result<(), Stop> {
    if let Some((_, refused)) = lacking(desired, facts) {
        return Err(Stop::Refused(refused));
    }
    let members = ids.iter().filter_map(|id| desired.members.get(id));
    let elsewhere = members.filter_map(|member| listed_elsewhere(desired, facts, member)).next();
    elsewhere.map_or(Ok(()), |(_, refused)| Err(Stop::Refused(refused)))
}
