//! Whether the hosts are those of the cluster that the inventory describes, asked before anything is done to them: what
//! is installed there says whose it is. One member with data of another cluster is `diagnosis`'s; here it is about
//! naming the wrong inventory.

use super::desired::{Desired, DesiredMember};
use super::facts::{Facts, HostFacts};
use super::{Refused, Stop};
use crate::formats::marker::{CLUSTER_KEY, UUID_KEY};

/// # Errors
/// Refused where a host that was seen is another cluster's.
pub(super) fn check(desired: &Desired, facts: &Facts) -> Result<(), Stop> {
    let uuid = facts.uuid_of(&desired.cluster);
    let others: Vec<Other> = desired
        .members
        .values()
        .filter_map(|member| other(desired, member, facts.host(member.id)?, &uuid))
        .collect();
    let Some(first) = others.first() else { return Ok(()) };
    let what = match first.cluster == desired.cluster {
        false => format!(
            "{} belongs to cluster {:?}, and {} describes {:?}",
            first.member, first.cluster, desired.inventory, desired.cluster
        ),
        true => format!("{} belongs to another cluster that is called {:?} too", first.member, first.cluster),
    };
    Err(Stop::Refused(Refused {
        what,
        evidence: others.iter().map(|other| other.says.clone()).collect(),
        next: vec![format!("name the inventory of cluster {:?}", first.cluster)],
    }))
}

/// A host that is somebody else's, and what says so.
struct Other {
    member: String,
    cluster: String,
    says: String,
}

/// The zoo.cfg that is installed says whose server runs there; where there is none, the data says it.
fn other(desired: &Desired, member: &DesiredMember, host: &HostFacts, uuid: &str) -> Option<Other> {
    let value = |key: &str| {
        let config = host.installed_config.is()?;
        config.lines().find_map(|line| line.trim().strip_prefix(key)?.trim_start().strip_prefix('='))
    };
    let found = |cluster: &str, says: String| {
        let says = format!("{}: {says}", member.name);
        Some(Other { member: member.name.clone(), cluster: cluster.to_owned(), says })
    };
    match (value(CLUSTER_KEY).map(str::trim), value(UUID_KEY).map(str::trim)) {
        (Some(cluster), _) if cluster != desired.cluster => {
            found(cluster, format!("{} says {CLUSTER_KEY}={cluster}", member.config_path))
        }
        (Some(cluster), Some(theirs)) if theirs != uuid => {
            let says = format!("{} says {UUID_KEY}={theirs}, the others say {uuid}", member.config_path);
            found(cluster, says)
        }
        (Some(_), _) => None,
        (None, _) => {
            let marker =
                host.data.is()?.marker.as_ref().filter(|marker| marker.cluster != desired.cluster)?;
            let says = format!("{}/zkops.json says cluster {:?}", member.dirs.data, marker.cluster);
            found(&marker.cluster, says)
        }
    }
}
