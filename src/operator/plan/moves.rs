//! A member that the inventory has at another address than it had: one id, one server. Before anything starts at the
//! new address, the others are proven to hold everything without it, and its old server is proven stopped and never to
//! start again; where its old host cannot be asked, a person says that it is gone and everybody else blocks it.
//!
//! The new server starts empty and syncs: no data moves. Who has moved is judged by the lists that stand on the hosts and by
//! the last deployment; what became of looking at the old place is part of the facts. Several members at once are refused
//! as soon as two of them vote.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::desired::{Desired, DesiredMember};
use super::facts::{Answer, Facts, Former, HostView, Old};
use super::install::step;
use super::step::{Action, Condition, Gate, Risk, Shut, Step, Wave};
use super::{Refused, Stop, diagnosis, ensemble, former, lists, outdated};
use crate::wire::ids::ServerId;

/// Which addresses are blocked, where, why, and what ends it.
pub(super) fn fences(desired: &Desired, facts: &Facts) -> Vec<String> {
    told(desired, facts, |_| true)
}

/// Fences that stay behind this deployment, other than those of members that it moves.
fn staying(desired: &Desired, facts: &Facts) -> Vec<String> {
    told(desired, facts, |ip| {
        let of = |old: &&Former| old.ips.contains(ip);
        !facts
            .elsewhere
            .former
            .iter()
            .filter(of)
            .any(|old| old.listed || matches!(old.view, Old::Host(HostView::Seen(_))))
    })
}

fn told(desired: &Desired, facts: &Facts, is_told: impl Fn(&IpAddr) -> bool) -> Vec<String> {
    let mut blocked: BTreeMap<IpAddr, Vec<ServerId>> = BTreeMap::new();
    for id in desired.members.keys() {
        let fences = facts.host(*id).and_then(|host| host.fences.is());
        fences.into_iter().flatten().for_each(|ip| blocked.entry(*ip).or_default().push(*id));
    }
    // Where a member is at home, `outdated` says it.
    let homes = desired.members.values().flat_map(|member| outdated::addresses(desired, facts, member));
    let homes: BTreeSet<IpAddr> = homes.collect();
    let told = blocked.into_iter().filter(|(ip, _)| is_told(ip) && !homes.contains(ip)).map(|(ip, on)| {
        let whose = facts.elsewhere.former.iter().find(|old| old.ips.contains(&ip) && is_known(facts, old));
        let whose = whose.map_or_else(|| "an old server".to_owned(), |old| format!("the old server of {}", desired.name(old.member)));
        format!(
            "{ip} is blocked on {}: {whose} there was not seen disabled; when that host is back: zkops deploy {}",
            desired.names(&on),
            desired.inventory
        )
    });
    told.collect()
}

/// Whose place it was is not only guessed: a list or what was deployed names it, or what stands there.
fn is_known(facts: &Facts, old: &Former) -> bool {
    let before = facts.elsewhere.remembered.members.get(&old.member);
    let was_there = before.is_some_and(|before| lists::same_address(&before.address, &old.address));
    old.listed || was_there || matches!(old.view, Old::Host(HostView::Seen(_)))
}

/// The facts with the servers of moved members as they are at their old places, where only those serve: until it is
/// stopped, one may lead there.
pub(crate) fn with_old_servers(facts: &Facts) -> Facts {
    let mut there = facts.clone();
    for old in facts.elsewhere.former.iter().filter(|old| old.elsewhere() && old.server.serving().is_some()) {
        if facts.server(old.member).is_none() {
            there.members.entry(old.member).or_default().server = old.server.clone();
            // It is one server, not a second one.
            let here = |answer: &Answer| answer.member == old.member && answer.address == old.address;
            there.elsewhere.answers.retain(|answer| !here(answer));
        }
    }
    there
}

/// What goes before anything is installed or started, and what is worth knowing about it.
#[derive(Debug, Default)]
pub(super) struct Before {
    pub(super) waves: Vec<Wave>,
    pub(super) notes: Vec<String>,
}

/// # Errors
/// Why a member cannot start at its new address, with what to do.
pub(super) fn before(desired: &Desired, facts: &Facts) -> Result<Before, Stop> {
    let moving: Vec<Moving<'_>> =
        desired.members.values().filter_map(|member| moving(facts, member)).collect();
    one_voter_at_most(desired, &moving)?;
    for member in
        desired.members.values().filter(|member| !moving.iter().any(|moves| moves.member.id == member.id))
    {
        let away = facts.host(member.id).and_then(|host| former::may_run_elsewhere(desired, member, host));
        away.map_or(Ok(()), |refused| Err(Stop::Refused(refused)))?;
    }
    same_family(desired, facts)?;
    let mut before = Before::default();
    for moving in &moving {
        empty_there(facts, moving)?;
        let proof = others_hold_everything(desired, facts, moving)?;
        let mut wave = Wave {
            title: format!("make sure that the old server of {} never runs again", moving.member.name),
            shut: Shut::Refused,
            ..Wave::default()
        };
        for old in &moving.old {
            wave.steps.extend(end(desired, facts, moving, old)?);
            before.notes.push(note(moving, old));
        }
        if let Some(condition) = proof {
            before.waves.push(Wave {
                title: format!("prove that the others hold everything without {}", moving.member.name),
                gates: vec![Gate::of(condition.clone())],
                shut: Shut::Refused,
                ..Wave::default()
            });
            // Once more without its help: the commit that proves it is on disk with a majority of the others.
            wave.gates.push(Gate::of(condition));
        }
        before.waves.push(wave);
    }
    before.waves.extend(lift(desired, facts));
    before.waves.extend(back_home(desired, facts)?);
    before.notes.extend(staying(desired, facts));
    Ok(before)
}

/// A member on its way, with the places that it comes from.
struct Moving<'a> {
    member: &'a DesiredMember,
    old: Vec<&'a Former>,
}

fn moving<'a>(facts: &'a Facts, member: &'a DesiredMember) -> Option<Moving<'a>> {
    let old: Vec<&Former> =
        facts.elsewhere.former_of(member.id).filter(|former| former.listed && former.elsewhere()).collect();
    (!old.is_empty()).then_some(Moving { member, old })
}

/// On the same machine, a server that was reached by one family and listens to the other is found by nobody who goes by the
/// list from before; with all stopped nobody does.
fn same_family(desired: &Desired, facts: &Facts) -> Result<(), Stop> {
    let runs = |id: &ServerId| facts.host(*id).is_none_or(|host| !host.unit.is_down());
    if !desired.members.keys().any(runs) {
        return Ok(());
    }
    for old in facts.elsewhere.former.iter().filter(|old| old.listed && !old.elsewhere()) {
        let Some(member) = desired.members.get(&old.member) else { continue };
        let (Ok(was), Ok(is)) = (old.address.parse::<IpAddr>(), member.address.parse::<IpAddr>()) else {
            continue;
        };
        if was.is_ipv4() != is.is_ipv4() {
            return Err(Stop::Refused(Refused {
                what: format!(
                    "{} changes the family of its address, {was} to {is}: who has the old one would not reach it",
                    member.name
                ),
                evidence: vec![
                    "members get the new list one after the other, and must reach each other meanwhile"
                        .to_owned(),
                ],
                next: vec![format!(
                    "put {was} back in {0}; or, with an interruption: zkops stop --all -i {0}, then: zkops deploy {0}",
                    desired.inventory
                )],
            }));
        }
    }
    Ok(())
}

fn one_voter_at_most(desired: &Desired, moving: &[Moving<'_>]) -> Result<(), Stop> {
    let voters: Vec<&Moving<'_>> = moving.iter().filter(|moving| moving.member.voter).collect();
    let [_, others @ ..] = &voters[..] else { return Ok(()) };
    if others.is_empty() {
        return Ok(());
    }
    let ids: Vec<ServerId> = voters.iter().map(|moving| moving.member.id).collect();
    let back = others.iter().map(|moving| format!("{} to {}", moving.member.name, addresses(moving)));
    Err(Stop::Refused(Refused {
        what: format!(
            "{} change their addresses at once: only one voter can move at a time",
            desired.names(&ids)
        ),
        evidence: voters.iter().map(|moving| sentence(moving)).collect(),
        next: vec![format!(
            "put {} back in {}, deploy, then move the next",
            back.collect::<Vec<_>>().join(", "),
            desired.inventory
        )],
    }))
}

/// No data moves and none is overwritten: what already stands at the new place is somebody's.
fn empty_there(facts: &Facts, moving: &Moving<'_>) -> Result<(), Stop> {
    let member = moving.member;
    let Some(host) = facts.host(member.id) else { return Ok(()) };
    // A move that stopped half-way: what is there was put there by it, and is to run. Where the member was before, its
    // service was disabled when it moved away, and what it promised since is not in the data that stayed.
    let is_to_run = host.unit.runs() || (host.systemd && host.unit.enabled.is().is_some());
    if host.data.is_and(|data| data.empty) || (former::lists_itself(member, host) && is_to_run) {
        return Ok(());
    }
    let (dir, address) = (&member.dirs.data, &member.address);
    Err(Stop::Refused(Refused {
        what: format!("{} cannot move to {address}: {dir} there is not proven empty", member.name),
        evidence: vec!["a member starts empty at its new address and syncs from the others".to_owned()],
        next: vec![format!("on {address}: mv {dir} {dir}.old   (then run this again)")],
    }))
}

/// What proves it while the plan is carried out; `None`: nothing was ever acknowledged, so there is nothing to hold.
fn others_hold_everything(
    desired: &Desired,
    facts: &Facts,
    moving: &Moving<'_>,
) -> Result<Option<Condition>, Stop> {
    let id = moving.member.id;
    if never_formed(desired, facts, id) || has_arrived(desired, facts, id) {
        return Ok(None);
    }
    let there = with_old_servers(facts);
    let without = BTreeSet::from([id]);
    if ensemble::voters_proven(desired, &there, &without) >= desired.majority() {
        return Ok(Some(Condition::Quorum { min: desired.majority(), without: Some(id) }));
    }
    let name = &moving.member.name;
    let others: BTreeSet<ServerId> =
        ensemble::voters_in_sync(desired, &there).difference(&without).copied().collect();
    let missing: Vec<ServerId> = desired
        .voters()
        .map(|voter| voter.id)
        .filter(|voter| *voter != id && !others.contains(voter))
        .collect();
    // Who runs elects, or is about to: that is worth another look, and no cure.
    let runs = |id: &&ServerId| facts.host(**id).is_some_and(|host| host.unit.runs());
    let down: Vec<ServerId> = missing.iter().filter(|id| !runs(id)).copied().collect();
    let mut next = diagnosis::way_back(desired, facts, &down);
    if next.is_empty() {
        let back = addresses(moving);
        next.push(match missing.is_empty() {
            true => format!(
                "put {name} back to {back} in {}: too few members are left without it",
                desired.inventory
            ),
            false => format!(
                "zkops status {}   (says what keeps {} from taking part)",
                desired.inventory,
                desired.names(&missing)
            ),
        });
    }
    Err(Stop::Refused(Refused {
        what: format!("{name} cannot move: the others do not hold a quorum without it"),
        evidence: vec![
            sentence(moving),
            format!(
                "in sync besides {name}: {}; {} of {} voters are needed",
                desired.names(&others),
                desired.majority(),
                desired.voters().count()
            ),
        ],
        next,
    }))
}

/// It was begun, and got that far: the new server serves in sync, and with it the ensemble. What the others held without
/// it was proven before it started; by now one of them may need the new list to find it.
fn has_arrived(desired: &Desired, facts: &Facts, id: ServerId) -> bool {
    ensemble::in_sync(desired, facts).contains(&id) && ensemble::serves(desired, facts)
}

/// Every other host was seen, and none of their databases ever took part in a formed ensemble.
fn never_formed(desired: &Desired, facts: &Facts, moved: ServerId) -> bool {
    let blank = |id: &ServerId| {
        facts.host(*id).is_some_and(|host| host.data.is().is_some())
            && !ensemble::member_has_history(facts, *id)
    };
    let others: Vec<ServerId> = desired.members.keys().filter(|id| **id != moved).copied().collect();
    !others.is_empty() && others.iter().all(blank)
}

/// The steps behind which the old server cannot run, or reaches nobody.
fn end(desired: &Desired, facts: &Facts, moving: &Moving<'_>, old: &Former) -> Result<Vec<Step>, Stop> {
    let member = moving.member;
    if let Some(other) = former::taken_by(desired, member, &old.address) {
        return Err(taken(desired, moving, old, other));
    }
    match &old.view {
        Old::Host(HostView::Seen(_)) => Ok(vec![retire(member, old)]),
        Old::SameMachine => Ok(Vec::new()),
        Old::Host(HostView::Unreachable(why)) => away(desired, facts, moving, old, &why.text),
        Old::Host(HostView::Unasked) => away(desired, facts, moving, old, "it was not asked"),
    }
}

/// What runs there is another member's server: it is neither stopped nor blocked.
fn taken(desired: &Desired, moving: &Moving<'_>, old: &Former, other: &DesiredMember) -> Stop {
    let name = &moving.member.name;
    Stop::Refused(Refused {
        what: format!("{name} cannot move from {}: that is the address of {}", old.address, other.name),
        evidence: vec![sentence(moving)],
        next: vec![format!(
            "give {name} and {} their own addresses in {} and in the zoo.cfg of every host, then deploy",
            other.name, desired.inventory
        )],
    })
}

fn retire(member: &DesiredMember, old: &Former) -> Step {
    let action = Action::Retire { address: old.address.clone() };
    let why = format!("{} moves to {}", member.name, member.address);
    let risk = if member.voter { Risk::Voter } else { Risk::Clients };
    step(member, action, &why).risk(risk)
}

/// The old host cannot be asked.
fn away(
    desired: &Desired,
    facts: &Facts,
    moving: &Moving<'_>,
    old: &Former,
    why: &str,
) -> Result<Vec<Step>, Stop> {
    let member = moving.member;
    let address = &old.address;
    let unfenced: Vec<&DesiredMember> = desired
        .members
        .values()
        .filter(|other| !facts.host(other.id).is_some_and(|host| old.is_fenced_by(host)))
        .collect();
    if !old.said_gone && !unfenced.is_empty() {
        return Err(Stop::Refused(Refused {
            what: format!("{} cannot move: its old server on {address} is not proven stopped", member.name),
            evidence: vec![sentence(moving), why.to_owned()],
            next: vec![
                format!(
                    "make {address} reachable again and run this again: it stops and disables the old server"
                ),
                format!(
                    "if that host is gone for good: zkops deploy {} --old-host-is-gone   (all others block {address})",
                    desired.inventory
                ),
            ],
        }));
    }
    let cannot: Vec<String> = unfenced
        .iter()
        .filter_map(|other| match facts.host(other.id) {
            Some(host) => Some(format!("{}: {}", other.name, host.fences.why_unseen()?)),
            None => Some(format!("{}: its host is not reached", other.name)),
        })
        .collect();
    if !cannot.is_empty() || old.ips.is_empty() {
        let unresolved = old.ips.is_empty().then(|| format!("{address} is no address and does not resolve"));
        return Err(Stop::Refused(Refused {
            what: format!("{} cannot move: not every host can block {address}", member.name),
            evidence: cannot.into_iter().chain(unresolved).collect(),
            next: vec![format!(
                "bring {address} back within reach and run this again, or give those hosts a firewall (nftables) and root"
            )],
        }));
    }
    let fences = unfenced.iter().map(|other| {
        let action = Action::Fence { addresses: old.ips.clone() };
        step(other, action, &format!("the old server of {} must reach nobody", member.name))
    });
    Ok(fences.collect())
}

/// Fences whose old server was reached: once it is retired, they may go.
fn lift(desired: &Desired, facts: &Facts) -> Vec<Wave> {
    let mut waves = Vec::new();
    for old in facts.elsewhere.former.iter().filter(|old| matches!(old.view, Old::Host(HostView::Seen(_)))) {
        let Some(member) = desired.members.get(&old.member) else { continue };
        if former::taken_by(desired, member, &old.address).is_some() {
            continue;
        }
        let fenced = desired
            .members
            .values()
            .filter(|other| facts.host(other.id).is_some_and(|host| old.blocked_by(host)));
        let lifted: Vec<Step> = fenced
            .map(|other| {
                let action = Action::Unfence { addresses: old.ips.clone() };
                step(other, action, &format!("the old server of {} is stopped and disabled", member.name))
            })
            .collect();
        // Where it moves just now, this was done by the waves before.
        if !old.listed && (!lifted.is_empty() || !old.is_retired()) {
            waves.push(Wave {
                title: format!("make sure that the old server of {} never runs again", member.name),
                steps: vec![retire(member, old).risk(Risk::None)],
                shut: Shut::Refused,
                ..Wave::default()
            });
        }
        waves.push(Wave {
            title: format!("lift the fence around {}", old.address),
            steps: lifted,
            ..Wave::default()
        });
    }
    waves
}

/// A member that goes back to where it was, out of a move that did not end: nobody blocks its own address any longer once
/// the place that it was to move to is proven done with, and the others hold what may have been acknowledged from there.
fn back_home(desired: &Desired, facts: &Facts) -> Result<Vec<Wave>, Stop> {
    let mut waves = Vec::new();
    for member in desired.members.values() {
        let Some(half_moved) = outdated::half_moved(desired, facts, member) else { continue };
        let old: Vec<&Former> = facts.elsewhere.former_of(member.id).filter(|old| old.elsewhere()).collect();
        // Retired by the waves before, or long ago.
        let done_with = |old: &&Former| old.listed || matches!(old.view, Old::Host(HostView::Seen(_)));
        if old.is_empty() || !old.iter().all(done_with) {
            return Err(Stop::Refused(half_moved));
        }
        let proof = others_hold_everything(desired, facts, &Moving { member, old })?;
        waves.push(Wave {
            title: format!("prove that the others hold everything without {}", member.name),
            gates: proof.into_iter().map(Gate::of).collect(),
            shut: Shut::Refused,
            ..Wave::default()
        });
        let lifted = outdated::blocked_on(desired, facts, member).into_iter().map(|other| {
            let addresses = outdated::addresses(desired, facts, member).into_iter().collect();
            let why = format!("{} stays there", member.name);
            step(&desired.members[&other], Action::Unfence { addresses }, &why)
        });
        let title = format!("lift the fence around {}", member.address);
        waves.push(Wave { title, steps: lifted.collect(), ..Wave::default() });
    }
    Ok(waves)
}

fn note(moving: &Moving<'_>, old: &Former) -> String {
    let Moving { member, .. } = moving;
    match &old.view {
        Old::Host(HostView::Seen(_)) => format!(
            "{} starts empty at {} and syncs from the others; its old data stay on {}",
            member.name, member.address, old.address
        ),
        _ => format!(
            "{} is blocked on every host until the old server of {} there was seen stopped and disabled",
            old.address, member.name
        ),
    }
}

fn sentence(moving: &Moving<'_>) -> String {
    format!(
        "{} was at {}; the inventory has it at {}",
        moving.member.name,
        addresses(moving),
        moving.member.address
    )
}

fn addresses(moving: &Moving<'_>) -> String {
    let all: Vec<&str> = moving.old.iter().map(|old| old.address.as_str()).collect();
    all.join(" and ")
}
