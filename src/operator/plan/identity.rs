//! Whether the ensemble that the inventory describes is still the one on the hosts: the same members, who between
//! them still remember what was acknowledged. It changes nothing and plans nothing: it refuses.

use super::desired::{Desired, membership};
use super::facts::Facts;
use super::{Refused, Stop, ensemble};
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
        let text = |members: &std::collections::BTreeMap<i64, bool>| {
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
