//! What the facts prove about the ensemble as a whole: who leads, who is in sync, whether it serves,
//! whether members can be spared. Every safety decision of every planner rests on these few functions,
//! and they never guess: what was not seen is not counted, and is not counted as missing either.

use std::collections::{BTreeMap, BTreeSet};

use super::desired::{Desired, membership};
use super::facts::Facts;
use super::server::{Canary, Mode, ServerFacts, Sight};
use super::{Refused, Stop, doubles};
use crate::wire::ids::ServerId;

/// Whether writes are committed, as far as it is proven.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Service {
    /// One leader and a majority of all voters are in sync.
    Proven,
    /// So many voters are proven not to serve that the others are no majority.
    ProvenNot,
    /// Neither; why those who might tell were not seen.
    Unknown(Vec<String>),
}

/// The one leader, when exactly one member says it leads and serves.
pub fn leader(desired: &Desired, facts: &Facts) -> Option<ServerId> {
    match leaders(desired, facts)[..] {
        [only] => Some(only),
        _ => None,
    }
}

/// Members that follow or observe the leader in sync, and itself. Empty without a leader.
pub fn in_sync(desired: &Desired, facts: &Facts) -> BTreeSet<ServerId> {
    let Some(leader) = leader(desired, facts).and_then(|id| facts.server(id)) else {
        return BTreeSet::new();
    };
    let complete = leader_count(leader).is_some_and(|count| count >= desired.voters().count());
    desired
        .members
        .keys()
        .filter(|id| facts.server(**id).is_some_and(|server| follows(server, leader, complete)))
        .copied()
        .collect()
}

/// Voters among [`in_sync`].
pub(crate) fn voters_in_sync(desired: &Desired, facts: &Facts) -> BTreeSet<ServerId> {
    in_sync(desired, facts).into_iter().filter(|id| desired.members[id].voter).collect()
}

/// How many voters beside `without` are proven to be in sync: no more than are seen, and no more
/// than the leader itself counts.
pub(crate) fn voters_proven(desired: &Desired, facts: &Facts, without: &BTreeSet<ServerId>) -> usize {
    let seen = voters_in_sync(desired, facts);
    let rest = seen.difference(without).count();
    let counted = leader(desired, facts).and_then(|id| facts.server(id)).and_then(leader_count);
    match counted {
        Some(count) => rest.min(count.saturating_sub(seen.intersection(without).count())),
        None => rest,
    }
}

/// Whether writes are committed.
pub(crate) fn service(desired: &Desired, facts: &Facts) -> Service {
    if voters_proven(desired, facts, &BTreeSet::new()) >= desired.majority() {
        return Service::Proven;
    }
    let silent = |id: ServerId| matches!(facts.sight(id), Sight::NotServing(_));
    let might = desired.voters().filter(|voter| !silent(voter.id)).count();
    if might < desired.majority() { Service::ProvenNot } else { Service::Unknown(unseen(desired, facts)) }
}

/// Proven: writes are committed.
pub fn serves(desired: &Desired, facts: &Facts) -> bool {
    service(desired, facts) == Service::Proven
}

/// Proven: nothing is served, so nobody is interrupted.
fn is_idle(desired: &Desired, facts: &Facts) -> bool {
    service(desired, facts) == Service::ProvenNot
}

/// Who could not be seen, and what each way of asking came to.
pub(crate) fn unseen(desired: &Desired, facts: &Facts) -> Vec<String> {
    let why = |id: &ServerId| match facts.sight(*id) {
        Sight::Unseen(why) => Some(format!("{} is not seen: {why}", desired.name(*id))),
        Sight::Serving(_) | Sight::NotServing(_) => None,
    };
    desired.members.keys().filter_map(why).collect()
}

/// Members that are seen by their own hosts only: why they are not from here.
pub(crate) fn seen_from_hosts_alone(desired: &Desired, facts: &Facts) -> Vec<String> {
    let why = |id: &ServerId| {
        let server = &facts.member(*id).server;
        let (Some(_), None) = (server.on_host.serving(), server.from_here.serving()) else { return None };
        let blind = server.blindness();
        (!blind.is_empty())
            .then(|| format!("{} is seen by its own host alone; {}", desired.name(*id), blind.join("; ")))
    };
    desired.members.keys().filter_map(why).collect()
}

/// The leader itself misses somebody: its own count lacks a member, whether that is seen or not.
pub(crate) fn missed_by_leader(desired: &Desired, facts: &Facts) -> Option<String> {
    let leader = leader(desired, facts)?;
    let server = facts.server(leader)?;
    let voters = desired.voters().count().saturating_sub(1);
    let observers = desired.members.len().saturating_sub(voters + 1);
    let short = |count: Option<&u32>, of: usize, noun: &str| {
        let count = usize::try_from(*count?).ok().filter(|count| *count < of)?;
        Some(format!("{} leads and counts {count} of {of} other {noun} in sync", desired.name(leader)))
    };
    short(server.synced_followers.is(), voters, "voters")
        .or_else(|| short(server.synced_observers.is(), observers, "observers"))
}

/// What cannot be true of one ensemble: two leaders, members that follow another epoch than the
/// leader's, members that list different members.
pub(crate) fn disagreements(desired: &Desired, facts: &Facts) -> Vec<String> {
    let mut found = Vec::new();
    let epoch = |id: &ServerId| facts.server(*id).map(|server| server.zxid.epoch());
    let leaders = leaders(desired, facts);
    if leaders.len() > 1 {
        let told: Vec<String> = leaders
            .iter()
            .filter_map(|id| Some(format!("{} in epoch {}", desired.name(*id), epoch(id)?)))
            .collect();
        found.push(format!("{} servers lead at once: {}", leaders.len(), told.join(", ")));
    }
    let alone = |id: &&ServerId| {
        desired.members.len() > 1 && facts.server(**id).is_some_and(|server| server.mode == Mode::Standalone)
    };
    for id in desired.members.keys().filter(alone) {
        found.push(format!("{} serves alone, as a standalone server", desired.name(*id)));
    }
    if let [leader] = leaders[..] {
        let ahead = desired.members.keys().filter(|id| epoch(id) > epoch(&leader) && **id != leader);
        for (id, theirs) in ahead.filter_map(|id| Some((*id, epoch(&id.clone())?))) {
            let led = epoch(&leader).map_or(0, |epoch| epoch.0);
            found.push(format!(
                "{} follows in epoch {theirs}, but {} leads in epoch {led}",
                desired.name(id),
                desired.name(leader)
            ));
        }
    }
    found.extend(different_lists(desired, facts));
    found.extend(doubles::fatal(desired, facts).map(|double| double.what));
    found
}

/// Members whose zoo.cfg, as it is on their disks, lists other members than those of most.
fn different_lists(desired: &Desired, facts: &Facts) -> Option<String> {
    let lists: Vec<(ServerId, BTreeMap<i64, bool>)> = desired
        .members
        .keys()
        .filter_map(|id| {
            let config = facts.host(*id)?.installed_config.is()?;
            // There the members are in a file of their own.
            let dynamic = config.lines().any(|line| line.trim().starts_with("dynamicConfigFile"));
            (!dynamic).then(|| (*id, membership(config, *id)))
        })
        .collect();
    let (first, list) = lists.first()?;
    let (other, theirs) = lists.iter().find(|(_, theirs)| theirs != list)?;
    let ids = |list: &BTreeMap<i64, bool>| list.keys().map(i64::to_string).collect::<Vec<_>>().join(", ");
    Some(format!(
        "the zoo.cfg files list different members: {} has servers {}, {} has servers {}",
        desired.name(*first),
        ids(list),
        desired.name(*other),
        ids(theirs)
    ))
}

/// As [`can_spare_all`], for one.
pub(crate) fn can_spare(desired: &Desired, facts: &Facts, member: ServerId) -> Result<(), Stop> {
    can_spare_all(desired, facts, &BTreeSet::from([member]))
}

/// Proof that the ensemble goes on serving while `members` are down, or that it has nothing to
/// lose by it: observers, voters that are proven not to serve, an ensemble that is proven not to.
pub(crate) fn can_spare_all(
    desired: &Desired,
    facts: &Facts,
    members: &BTreeSet<ServerId>,
) -> Result<(), Stop> {
    let takes_part =
        |id: &&ServerId| desired.members[*id].voter && !matches!(facts.sight(**id), Sight::NotServing(_));
    let taken: BTreeSet<ServerId> = members.iter().filter(takes_part).copied().collect();
    if taken.is_empty() || is_idle(desired, facts) {
        return Ok(());
    }
    let disagreements = disagreements(desired, facts);
    let left = voters_proven(desired, facts, &taken);
    if left >= desired.majority() && disagreements.is_empty() {
        return Ok(());
    }
    Err(Stop::Refused(not_spared(desired, facts, &taken, left, disagreements)))
}

fn not_spared(
    desired: &Desired,
    facts: &Facts,
    taken: &BTreeSet<ServerId>,
    left: usize,
    disagreements: Vec<String>,
) -> Refused {
    let names = desired.names(taken);
    let rest: BTreeSet<ServerId> = voters_in_sync(desired, facts).difference(taken).copied().collect();
    let missing: Vec<ServerId> = desired
        .voters()
        .map(|voter| voter.id)
        .filter(|id| !taken.contains(id) && !rest.contains(id))
        .collect();
    let (needed, of) = (desired.majority(), desired.voters().count());
    let blind = unseen(desired, facts);
    let what = if blind.is_empty() {
        format!(
            "taking {names} down would stop the ensemble: {needed} of {of} voters are needed, and without {names} only \
             {left} would be left"
        )
    } else {
        format!(
            "it is not proven that the ensemble serves without {names}: {needed} of {of} voters are needed, and only \
             {left} of the others are seen in sync"
        )
    };
    let mut evidence = vec![format!(
        "in sync besides {names}: {}; not in sync: {}",
        desired.names(&rest),
        desired.names(&missing)
    )];
    evidence.extend(missed_by_leader(desired, facts));
    evidence.extend(disagreements);
    evidence.extend(blind);
    Refused { what, evidence, next: bring_back(desired, facts, &missing) }
}

/// Why servers that may be serving are not taken down all at once.
pub(crate) fn not_proven_idle(desired: &Desired, facts: &Facts, verb: &str) -> Stop {
    let mut evidence = unseen(desired, facts);
    evidence.extend(disagreements(desired, facts));
    Stop::Refused(Refused {
        what: format!(
            "{verb}: neither is it proven that a quorum serves, so that one member after the other can go, nor that \
             nothing is served, so that all can at once"
        ),
        evidence,
        next: vec!["zkops status   (says what could not be seen, and from where)".to_owned()],
    })
}

/// What to type so that these members take part again: those that run only wait for the others, and
/// those that were not seen must be seen first.
fn bring_back(desired: &Desired, facts: &Facts, missing: &[ServerId]) -> Vec<String> {
    let down = |id: &&ServerId| facts.host(**id).is_some_and(|host| host.unit.is_down());
    let hidden = |id: &ServerId| matches!(facts.sight(*id), Sight::Unseen(_));
    let mut next: Vec<String> =
        missing.iter().filter(down).map(|id| format!("zkops start {}", desired.name(*id))).collect();
    if missing.iter().any(hidden) {
        next.push("zkops status   (says what could not be seen, and from where)".to_owned());
    }
    next
}

/// Some database has taken part in a formed ensemble: an epoch above zero was promised. From
/// then on an empty voter is a voter that forgot what it acknowledged.
pub(crate) fn has_history(desired: &Desired, facts: &Facts) -> bool {
    desired.members.keys().any(|id| member_has_history(facts, *id))
}

/// This member's data has taken part in a formed ensemble.
pub(crate) fn member_has_history(facts: &Facts, id: ServerId) -> bool {
    let on_disk = facts.host(id).is_some_and(|host| {
        host.data.is_and(|data| {
            let epoch = data.current_epoch.max(data.accepted_epoch);
            epoch.is_some_and(|epoch| epoch.0 > 0)
        })
    });
    on_disk || facts.server(id).is_some_and(|server| server.zxid.0 > 0)
}

/// Members whose server process runs, or that answer as one.
pub fn running(desired: &Desired, facts: &Facts) -> BTreeSet<ServerId> {
    desired
        .members
        .keys()
        .filter(|id| facts.server(**id).is_some() || facts.host(**id).is_some_and(|host| host.unit.runs()))
        .copied()
        .collect()
}

/// Order in which members are taken down one by one: those who take no part, whom nobody misses and whom the next proof may
/// need, then observers, followers, the leader last, so that the ensemble elects at most once.
pub(crate) fn rolling_order(desired: &Desired, facts: &Facts, members: &BTreeSet<ServerId>) -> Vec<ServerId> {
    let (leader, in_sync) = (leader(desired, facts), in_sync(desired, facts));
    let mut order: Vec<ServerId> = members.iter().copied().collect();
    order.sort_by_key(|id| (Some(*id) == leader, in_sync.contains(id), desired.members[id].voter, *id));
    order
}

/// All that say they lead and serve.
fn leaders(desired: &Desired, facts: &Facts) -> Vec<ServerId> {
    let leads = |id: &&ServerId| {
        facts.server(**id).is_some_and(|server| matches!(server.mode, Mode::Leader | Mode::Standalone))
    };
    desired.members.keys().filter(leads).copied().collect()
}

/// Voters in sync by the leader's own count, itself among them.
fn leader_count(leader: &ServerFacts) -> Option<usize> {
    usize::try_from(*leader.synced_followers.is()?).ok().map(|count| count + 1)
}

/// It says that it serves behind this leader. One that has seen no transaction of the leader's epoch
/// shows an older one until the first is committed: then the canary tells, or a leader that misses
/// nobody (`complete`).
fn follows(server: &ServerFacts, leader: &ServerFacts, complete: bool) -> bool {
    if server.mode == Mode::ReadOnly || matches!(server.canary, Some(Canary::Failed { .. })) {
        return false;
    }
    let (ours, theirs) = (server.zxid.epoch(), leader.zxid.epoch());
    ours == theirs || (ours < theirs && server.canary.is_none() && complete)
}
