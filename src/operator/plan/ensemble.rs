//! What the facts prove about the ensemble as a whole: who leads, who is in sync, whether a
//! member can be spared. Every safety decision of every planner rests on these few functions.

use std::collections::BTreeSet;

use super::desired::Desired;
use super::facts::{Canary, Facts, Mode, ServerFacts, ServerView};
use super::{Refused, Stop};
use crate::wire::ids::ServerId;

/// The one leader, when exactly one member says it leads and serves.
pub fn leader(desired: &Desired, facts: &Facts) -> Option<ServerId> {
    let mut leaders = desired.members.keys().filter(|id| {
        facts.server(**id).is_some_and(|server| matches!(server.mode, Mode::Leader | Mode::Standalone))
    });
    match (leaders.next(), leaders.next()) {
        (Some(only), None) => Some(*only),
        _ => None,
    }
}

/// Members that serve in the leader's epoch and did not fail the canary: the leader, and those
/// who follow or observe it. Empty without a leader.
pub fn in_sync(desired: &Desired, facts: &Facts) -> BTreeSet<ServerId> {
    let Some(leader) = leader(desired, facts).and_then(|id| facts.server(id)) else {
        return BTreeSet::new();
    };
    desired
        .members
        .keys()
        .filter(|id| facts.server(**id).is_some_and(|server| follows(server, leader)))
        .copied()
        .collect()
}

/// Voters among [`in_sync`].
pub(crate) fn voters_in_sync(desired: &Desired, facts: &Facts) -> BTreeSet<ServerId> {
    in_sync(desired, facts).into_iter().filter(|id| desired.members[id].voter).collect()
}

/// True when one leader and a majority of all voters are in sync: writes are committed.
pub fn serves(desired: &Desired, facts: &Facts) -> bool {
    voters_in_sync(desired, facts).len() >= desired.majority()
}

/// Proof that the ensemble goes on serving while `member` is down, or that it has nothing to
/// lose by it: an observer, a voter outside the quorum, or an ensemble that does not serve.
pub(crate) fn can_spare(desired: &Desired, facts: &Facts, member: ServerId) -> Result<(), Stop> {
    let voters = voters_in_sync(desired, facts);
    if voters.len() < desired.majority() || !voters.contains(&member) {
        return Ok(());
    }
    let rest: BTreeSet<ServerId> = voters.into_iter().filter(|id| *id != member).collect();
    if rest.len() >= desired.majority() {
        return Ok(());
    }
    let name = desired.name(member);
    let missing: Vec<ServerId> =
        desired.voters().map(|voter| voter.id).filter(|id| *id != member && !rest.contains(id)).collect();
    Err(Stop::Refused(Refused {
        what: format!(
            "taking {name} down would stop the ensemble: {} of {} voters are needed, and without {name} only {} \
             would be left",
            desired.majority(),
            desired.voters().count(),
            rest.len()
        ),
        evidence: vec![format!(
            "in sync besides {name}: {}; not in sync: {}",
            desired.names(&rest),
            desired.names(&missing)
        )],
        next: bring_back(desired, facts, &missing),
    }))
}

/// What to type so that these members take part again: those that run only wait for the others.
pub(crate) fn bring_back(desired: &Desired, facts: &Facts, missing: &[ServerId]) -> Vec<String> {
    let running = running(desired, facts);
    let waits = |id: &ServerId| {
        running.contains(id) || matches!(facts.member(*id).server, ServerView::NotServing { .. })
    };
    missing
        .iter()
        .filter(|id| !waits(id))
        .map(|id| format!("zkops start {0}   (or: zkops repair {0})", desired.name(*id)))
        .collect()
}

/// Some database has taken part in a formed ensemble: an epoch above zero was promised. From
/// then on an empty voter is a voter that forgot what it acknowledged.
pub(crate) fn has_history(desired: &Desired, facts: &Facts) -> bool {
    desired.members.keys().any(|id| member_has_history(facts, *id))
}

/// This member's data has taken part in a formed ensemble.
pub(crate) fn member_has_history(facts: &Facts, id: ServerId) -> bool {
    let on_disk = facts.host(id).is_some_and(|host| {
        let epoch = host.data.current_epoch.max(host.data.accepted_epoch);
        epoch.is_some_and(|epoch| epoch.0 > 0)
    });
    on_disk || facts.server(id).is_some_and(|server| server.zxid.0 > 0)
}

/// Members whose server process runs, or that answer as one.
pub fn running(desired: &Desired, facts: &Facts) -> BTreeSet<ServerId> {
    desired
        .members
        .keys()
        .filter(|id| {
            facts.server(**id).is_some() || facts.host(**id).is_some_and(|host| host.unit.state.running())
        })
        .copied()
        .collect()
}

/// Order in which members are taken down one by one: observers, followers, the leader last,
/// so that the ensemble elects at most once.
pub(crate) fn rolling_order(desired: &Desired, facts: &Facts, members: &BTreeSet<ServerId>) -> Vec<ServerId> {
    let leader = leader(desired, facts);
    let mut order: Vec<ServerId> = members.iter().copied().collect();
    order.sort_by_key(|id| (Some(*id) == leader, desired.members[id].voter, *id));
    order
}

fn follows(server: &ServerFacts, leader: &ServerFacts) -> bool {
    let canary_failed = matches!(server.canary, Some(Canary::Failed { .. }));
    server.mode != Mode::ReadOnly && server.zxid.epoch() == leader.zxid.epoch() && !canary_failed
}
