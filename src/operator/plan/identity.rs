//! Whether the ensemble that the inventory describes is still the one on the hosts: the same members, who between
//! them still remember what was acknowledged. It changes nothing and plans nothing: it refuses.

use std::collections::BTreeMap;

use super::desired::{Desired, membership};
use super::facts::Facts;
use super::{Refused, Stop, ensemble};
use crate::formats::marker::{CLUSTER_KEY, UUID_KEY};
use crate::wire::ids::ServerId;

/// # Errors
/// Why deploy would make another ensemble of it, or one that forgot.
pub(super) fn check(desired: &Desired, facts: &Facts) -> Result<(), Stop> {
    same_membership(desired, facts)?;
    enough_memory(desired, facts)
}

/// Rewriting the server list of a living ensemble can elect a leader that cannot commit
/// (apache/zookeeper#1370); that needs reconfiguration, not deployment.
fn same_membership(desired: &Desired, facts: &Facts) -> Result<(), Stop> {
    if !ensemble::has_history(desired, facts) {
        return Ok(());
    }
    for member in desired.members.values() {
        let Some(installed) = facts.host(member.id).and_then(|host| host.installed_config.is()) else {
            continue;
        };
        let (now, wanted) = (membership(installed, member.id), membership(&member.config, member.id));
        if now == wanted {
            continue;
        }
        let text = |members: &BTreeMap<i64, bool>| {
            let ids: Vec<String> = members
                .iter()
                .map(|(id, voter)| format!("{id}{}", if *voter { "" } else { " (observer)" }))
                .collect();
            ids.join(", ")
        };
        return Err(Stop::Refused(Refused {
            what: "the inventory changes the members of an ensemble that already holds data".to_owned(),
            evidence: vec![format!(
                "{} runs with servers {}; the inventory lists {}",
                member.name,
                text(&now),
                text(&wanted)
            )],
            next: vec![
                "put the members back as they were; changing them safely is not part of deploy".to_owned(),
            ],
        }));
    }
    Ok(())
}

/// Voters that lost their databases cannot vote until they have synced. If they are the
/// majority, nobody can tell any more what was acknowledged.
fn enough_memory(desired: &Desired, facts: &Facts) -> Result<(), Stop> {
    let remember: Vec<ServerId> = desired
        .voters()
        .map(|voter| voter.id)
        .filter(|id| ensemble::member_has_history(facts, *id))
        .collect();
    if remember.is_empty() || remember.len() >= desired.majority() {
        return Ok(());
    }
    let forgot: Vec<ServerId> =
        desired.voters().map(|voter| voter.id).filter(|id| !remember.contains(id)).collect();
    Err(Stop::Refused(Refused {
        what: format!(
            "only {} of {} voters still hold a database; what the others had acknowledged may exist nowhere else",
            remember.len(),
            desired.voters().count()
        ),
        evidence: vec![
            format!("with a database: {}", desired.names(&remember)),
            format!("empty: {}", desired.names(&forgot)),
        ],
        next: vec![format!(
            "put the data of {} back (zkops.old-* in their data directories is what repair moved aside)",
            desired.names(&forgot)
        )],
    }))
}

impl Facts {
    /// The id of cluster `name`: the one most of its data already carries, else the one most of its servers are
    /// started for, else the fresh one.
    pub(crate) fn uuid_of(&self, name: &str) -> String {
        let hosts = || self.members.keys().filter_map(|id| self.host(*id));
        let of_data = hosts().filter_map(|host| {
            host.data
                .is()?
                .marker
                .as_ref()
                .filter(|marker| marker.cluster == name)
                .map(|marker| &*marker.uuid)
        });
        let of_configs = hosts().filter_map(|host| {
            let config = host.installed_config.is()?;
            let value = |key| config.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
            value(UUID_KEY).filter(|_| value(CLUSTER_KEY) == Some(name))
        });
        let uuid = most(of_data).or_else(|| most(of_configs));
        uuid.map_or_else(|| self.fresh_uuid.clone(), str::to_owned)
    }
}

/// What is said most often; of two the first by name.
fn most<'a>(said: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let mut votes: BTreeMap<&str, usize> = BTreeMap::new();
    said.for_each(|word| *votes.entry(word).or_default() += 1);
    let winner = votes.into_iter().max_by_key(|(word, count)| (*count, std::cmp::Reverse(*word)));
    winner.map(|(word, _)| word)
}
