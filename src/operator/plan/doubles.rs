//! What must never be seen in an ensemble: two servers of one id, a server that answers as another member, a follower
//! that no member is, servers and files that list other members. Judged from what answers where; who leads and who follows
//! whom is `ensemble`'s business.

use std::collections::BTreeMap;

use super::desired::Desired;
use super::facts::{Answer, Facts, Former, HostView, Old};
use super::former;
use super::lists::{self, List};
use super::server::{Mode, Sight};
use crate::wire::ids::ServerId;

/// One thing that must not be, with what was seen and the one thing to do.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Double {
    pub(super) kind: Kind,
    /// Whose trouble it is: never empty.
    pub(super) members: Vec<ServerId>,
    pub(super) what: String,
    pub(super) evidence: Vec<String>,
    pub(super) next: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// Each of both may acknowledge what the other does not know.
    TwoOfOneId,
    /// The same, where the old one takes no part now.
    OldRuns,
    /// The server of one member's host says that it is another member.
    Impostor,
    /// The leader counts a follower that is none of the members that were seen.
    Uncounted,
    /// A roll that was not finished, or a file changed by hand: a quorum of one list may be none of the other.
    Lists,
}

/// Everything of the kind that the facts show, the worst first.
pub(super) fn found(desired: &Desired, facts: &Facts) -> Vec<Double> {
    let mut found = of_one_id(desired, facts);
    let told: Vec<ServerId> = found
        .iter()
        .filter(|double| double.kind == Kind::TwoOfOneId)
        .flat_map(|double| double.members.clone())
        .collect();
    let old = facts.elsewhere.former.iter().filter(|old| !told.contains(&old.member));
    found.extend(old.filter_map(|old| old_runs(desired, facts, old)));
    found.sort_by_key(|double| double.kind);
    found.extend(lists_apart(desired, facts));
    found
}

/// A server of `id` that runs on no host of the inventory: none runs on its own, and the leader counts more than can
/// follow it. That leader may only not have missed yet who was there a moment ago.
pub(super) fn counted_elsewhere(desired: &Desired, facts: &Facts, id: ServerId) -> Option<Double> {
    let gone = |id: &ServerId| facts.host(*id).is_some_and(|host| host.no_process().is_some());
    let gone: Vec<ServerId> = desired.voters().map(|voter| voter.id).filter(gone).collect();
    let double = gone.contains(&id).then(|| uncounted(desired, facts, &gone))??;
    let next = format!("{}; stop that server, then run this again", double.next);
    Some(Double { next, ..double })
}

/// Nothing may go on while it lasts: what one of both acknowledges, the other does not know.
pub(super) fn fatal(desired: &Desired, facts: &Facts) -> Option<Double> {
    let fatal = |double: &Double| matches!(double.kind, Kind::TwoOfOneId | Kind::Impostor);
    of_one_id(desired, facts).into_iter().find(fatal)
}

/// What the facts contradict of one ensemble beside [`fatal`], in words.
pub(super) fn contradictions(desired: &Desired, facts: &Facts) -> Vec<String> {
    let rest = |double: &Double| !matches!(double.kind, Kind::TwoOfOneId | Kind::Impostor);
    found(desired, facts).into_iter().filter(rest).map(|double| double.what).collect()
}

/// As [`found`], without the lists: they differ for a while in every roll.
fn of_one_id(desired: &Desired, facts: &Facts) -> Vec<Double> {
    let mut found: Vec<Double> = Vec::new();
    for answer in &facts.elsewhere.answers {
        let Some(says) = answer.says else { continue };
        let at_home = desired
            .members
            .get(&answer.member)
            .is_some_and(|member| lists::same_address(&member.address, &answer.address));
        match (at_home, says == answer.member) {
            (true, true) => {}
            (true, false) => found.push(impostor(desired, answer, says)),
            (false, _) => found.extend(elsewhere(desired, facts, answer, says)),
        }
    }
    // Who was not seen may be the one that is counted.
    let cannot = |id: &ServerId| matches!(facts.sight(*id), Sight::NotServing(_));
    let gone: Vec<ServerId> = desired.voters().map(|voter| voter.id).filter(cannot).collect();
    found.extend(uncounted(desired, facts, &gone));
    found.sort_by_key(|double| double.kind);
    found
}

/// An old place still answers as a member that is somewhere else too.
fn elsewhere(desired: &Desired, facts: &Facts, answer: &Answer, says: ServerId) -> Option<Double> {
    let member = desired.members.get(&says)?;
    // Where another one is said to have been, this one is at home.
    if lists::same_address(&member.address, &answer.address) {
        return None;
    }
    let same_machine =
        facts.elsewhere.former_of(says).any(|old| old.address == answer.address && !old.elsewhere());
    let at_home = match facts.sight(says) {
        Sight::Serving(_) => true,
        Sight::NotServing(_) | Sight::Unseen(_) => facts.host(says).is_some_and(|host| host.unit.runs()),
    };
    (at_home && !same_machine).then(|| Double {
        kind: Kind::TwoOfOneId,
        members: vec![says],
        what: format!("two servers of {}: at {} and at {}", member.name, member.address, answer.address),
        evidence: vec![format!("{} answers that it is server {says}, too", answer.address)],
        next: format!(
            "zkops deploy {}   (stops and disables the one at {})",
            desired.inventory, answer.address
        ),
    })
}

fn impostor(desired: &Desired, answer: &Answer, says: ServerId) -> Double {
    let name = desired.name(answer.member);
    // By the list it runs with it is at home there: then the inventory is what was changed.
    let place = answer.list.as_ref().and_then(|list| list.get(&says));
    let at_home = place.is_some_and(|place| lists::same_address(&place.host, &answer.address));
    Double {
        kind: Kind::Impostor,
        members: vec![answer.member],
        what: format!("the server at {} is {}, not {name}", answer.address, desired.name(says)),
        evidence: vec![format!("{} answers that it is server {says}", answer.address)],
        next: match at_home {
            true => format!("put the ids and addresses back as they were in {}", desired.inventory),
            false => format!("zkops repair {name} -i {}", desired.inventory),
        },
    }
}

/// At an old place of a member that is where the inventory has it, its server runs still: by what its host shows, or by
/// what answers there, and serves nobody. Where everybody blocks that place, it is told as that.
fn old_runs(desired: &Desired, facts: &Facts, old: &Former) -> Option<Double> {
    let member = desired.members.get(&old.member)?;
    let fenced = |id: &ServerId| facts.host(*id).is_some_and(|host| old.is_fenced_by(host));
    let is_fenced = desired.members.keys().all(fenced);
    if !old.elsewhere() || is_fenced || former::taken_by(desired, member, &old.address).is_some() {
        return None;
    }
    let shown = match &old.view {
        Old::Host(HostView::Seen(host)) => {
            let runs = host.unit.runs() || host.processes.is_and(|all| !all.is_empty());
            (runs && former::is_left(desired, facts, old, host)).then_some("its service or its process runs")
        }
        _ => old.server.not_serving().map(|_| "a server that waits for others answers"),
    }?;
    let here =
        facts.server(member.id).is_some() || facts.host(member.id).is_some_and(|host| host.unit.runs());
    here.then(|| Double {
        kind: Kind::OldRuns,
        members: vec![member.id],
        what: format!("two servers of {}: at {} and at {}", member.name, member.address, old.address),
        evidence: vec![format!("{shown} on {}, too", old.address)],
        next: format!("zkops deploy {}   (stops and disables the one at {})", desired.inventory, old.address),
    })
}

/// The leader's own count against those who can follow, where `gone` cannot.
fn uncounted(desired: &Desired, facts: &Facts, gone: &[ServerId]) -> Option<Double> {
    let voters = || desired.voters().map(|voter| voter.id);
    let leads = |id: &ServerId| facts.server(*id).is_some_and(|server| server.mode == Mode::Leader);
    let leader = voters().find(leads)?;
    let counted = usize::try_from(*facts.server(leader)?.synced_followers.is()?).ok()?;
    let most = desired.voters().count().saturating_sub(1 + gone.len());
    (counted > most).then(|| Double {
        kind: Kind::Uncounted,
        members: vec![leader],
        what: format!("a server follows {} that is on no host of the inventory", desired.name(leader)),
        evidence: vec![format!(
            "the leader counts {counted} voters in sync behind it, and at most {most} can be: {} does not run",
            desired.names(gone)
        )],
        next: format!("on the host of {}: ss -tn sport = :{}   (shows from where)", desired.name(leader), desired.members[&leader].ports.quorum),
    })
}

/// What runs, and what stands on disk, against each other.
pub(super) fn lists_apart(desired: &Desired, facts: &Facts) -> Option<Double> {
    let mut lists: BTreeMap<&List, Vec<String>> = BTreeMap::new();
    let on_disk = facts.lists();
    for (id, list) in &on_disk {
        lists.entry(list).or_default().push(format!("zoo.cfg of {}", desired.name(*id)));
    }
    for answer in &facts.elsewhere.answers {
        if let (Some(list), true) = (&answer.list, answer.says == Some(answer.member)) {
            lists.entry(list).or_default().push(format!("the server of {}", desired.name(answer.member)));
        }
    }
    let mut apart = lists.into_iter();
    let ((one, says_one), (other, says_other)) = (apart.next()?, apart.next()?);
    let members = on_disk.keys().copied().chain(facts.elsewhere.answers.iter().map(|answer| answer.member));
    let mut members: Vec<ServerId> = members.collect();
    members.sort();
    members.dedup();
    Some(Double {
        kind: Kind::Lists,
        members,
        what: "the members are not listed alike everywhere".to_owned(),
        evidence: lists::differences(desired, one, other)
            .into_iter()
            .chain([format!("by {}; or by {}", says_one.join(", "), says_other.join(", "))])
            .collect(),
        next: format!(
            "zkops deploy {}   (one member after the other gets the list of the inventory)",
            desired.inventory
        ),
    })
}
