//! One id, one server: asked of every plan that starts a server where none runs, whichever verb made it. A server of that
//! id may run where nobody looks: what tells is the leader's count of those who follow it, and the lists of the others.

use std::collections::BTreeSet;
use std::time::Duration;

use super::desired::{Desired, DesiredMember};
use super::doubles::{self, Double};
use super::facts::Facts;
use super::lists::{self, setting};
use super::step::{Action, Plan, Service, Step};
use super::{Refused, Stop, former, moves};
use crate::wire::ids::ServerId;

/// # Errors
/// Refused where a server that the plan starts is proven, or said by most of the others, to be elsewhere.
pub(super) fn check(desired: &Desired, facts: &Facts, plan: &Plan) -> Result<(), Stop> {
    let starts = |step: &&Step| matches!(step.action, Action::Service(Service::Started | Service::Restarted));
    let down = |id: &ServerId| facts.host(*id).is_some_and(|host| host.no_process().is_some());
    let starting: BTreeSet<ServerId> =
        plan.steps().filter(starts).map(|step| step.member).filter(down).collect();
    // What the plan ends first, or cuts off, may be what is counted and listed.
    let ends = |id: ServerId| {
        let of = |step: &Step| match &step.action {
            Action::Retire { .. } => step.member == id,
            Action::Fence { .. } => true,
            _ => false,
        };
        plan.steps().any(of)
    };
    let there = moves::with_old_servers(facts);
    for id in starting.into_iter().filter(|id| !ends(*id)) {
        if let Some(double) = doubles::counted_elsewhere(desired, &there, id) {
            return Err(Stop::Refused(of_double(desired, id, double)));
        }
        let Some(member) = desired.members.get(&id) else { continue };
        listed_elsewhere(desired, facts, member).map_or(Ok(()), |refused| Err(Stop::Refused(refused)))?;
    }
    Ok(())
}

/// The leader counts somebody who runs nowhere, and may only not have missed him yet: worth another look until
/// [`patience`] is over. Who moves, or is disabled because he moved, is counted elsewhere.
pub fn may_be_stale(desired: &Desired, facts: &Facts) -> bool {
    let lists = facts.lists();
    let at_home = |member: &DesiredMember| {
        let place = |list: &lists::List| list.get(&member.id).map(|place| place.host.clone());
        lists.values().filter_map(place).all(|host| lists::same_address(&host, &member.address))
    };
    let counted = |member: &&DesiredMember| {
        let disabled = facts
            .host(member.id)
            .is_some_and(|host| former::may_run_elsewhere(desired, member, host).is_some());
        !disabled && at_home(member) && doubles::counted_elsewhere(desired, facts, member.id).is_some()
    };
    desired.voters().any(|voter| counted(&voter))
}

/// How long a leader may count a follower that is gone without a word.
pub fn patience(desired: &Desired) -> Duration {
    let config = desired.members.values().next().map_or("", |member| &member.config);
    let number =
        |key: &str, usual: u64| setting(config, key).and_then(|text| text.parse().ok()).unwrap_or(usual);
    let limit = number("tickTime", TICK_MS).saturating_mul(number("syncLimit", SYNC_TICKS).saturating_add(1));
    Duration::from_millis(limit).min(PATIENCE_MAX)
}

fn of_double(desired: &Desired, id: ServerId, double: Double) -> Refused {
    Refused {
        what: format!("a server of {} may run elsewhere: {}", desired.name(id), double.what),
        evidence: double.evidence,
        next: vec![double.next],
    }
}

/// A server that runs has it at another address, or most of the others' files do: there it may run.
fn listed_elsewhere(desired: &Desired, facts: &Facts, member: &DesiredMember) -> Option<Refused> {
    let away = |list: &lists::List| {
        let host = &list.get(&member.id)?.host;
        let same_machine = |host: &str| {
            facts.elsewhere.former_of(member.id).any(|old| old.address == host && !old.elsewhere())
        };
        let is_away = !host.is_empty() && !lists::same_address(host, &member.address) && !same_machine(host);
        is_away.then(|| host.clone())
    };
    let answers = facts.elsewhere.answers.iter().filter(|answer| {
        let home = desired.members.get(&answer.member);
        answer.member != member.id
            && answer.says == Some(answer.member)
            && home.is_some_and(|home| lists::same_address(&home.address, &answer.address))
    });
    let by_server = answers
        .filter_map(|answer| Some((answer.member, away(answer.list.as_ref()?)?)))
        .map(|(by, host)| (host, format!("by the server of {}, as it runs", desired.name(by))));
    let on_disk = facts.lists();
    let others = || on_disk.iter().filter(|(id, list)| **id != member.id && list.contains_key(&member.id));
    let by_disk: Vec<(ServerId, String)> =
        others().filter_map(|(id, list)| Some((*id, away(list)?))).collect();
    let most = by_disk.len() * 2 > others().count();
    let by_disk = by_disk.first().filter(|_| most).map(|(_, host)| {
        let by = desired.names(by_disk.iter().map(|(id, _)| id));
        (host.clone(), format!("by the zoo.cfg of {by}"))
    });
    let (to, by) = by_server.chain(by_disk).next()?;
    let Desired { inventory, .. } = desired;
    Some(Refused {
        what: format!("{inventory} has {} at {}; others have it at {to}", member.name, member.address),
        evidence: vec![by, "one id, one server: it may run there".to_owned()],
        next: vec![format!(
            "zkops plan {inventory}   (shows what would move; or name the inventory that has it at {to})"
        )],
    })
}

/// What ZooKeeper takes where zoo.cfg does not say.
const TICK_MS: u64 = 2_000;
const SYNC_TICKS: u64 = 5;
/// Whoever sets longer ticks than this waits no longer.
const PATIENCE_MAX: Duration = Duration::from_secs(60);
