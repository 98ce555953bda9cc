//! Whether the hosts are those of the cluster that the inventory describes, asked before anything is done to them: what
//! is installed there says whose it is. One member with data of another cluster is `diagnosis`'s; here it is about
//! naming the wrong inventory.

use std::collections::BTreeMap;
use std::path::Path;

use super::desired::{Desired, DesiredMember};
use super::facts::{Facts, HostFacts};
use super::{Refused, Stop, account, layout, lists};
use crate::ensemble::{Member, grammar};
use crate::formats::marker::{CLUSTER_KEY, MEMBER_KEY, UUID_KEY};
use crate::wire::ids::ServerId;

/// # Errors
/// Refused where a host that was seen is another cluster's.
pub(super) fn check(desired: &Desired, facts: &Facts) -> Result<(), Stop> {
    match refused(desired, &others(desired, facts)) {
        Some(refused) => Err(Stop::Refused(refused)),
        None => same_ids(desired, facts),
    }
}

/// Most of the members are another cluster's: whatever the inventory seems to show is about that one. The first of them.
pub(super) fn of_another_cluster(desired: &Desired, facts: &Facts) -> Option<(ServerId, Refused)> {
    let others = others(desired, facts);
    let most = others.len() * 2 > desired.members.len();
    Some((others.first()?.id, refused(desired, &others).filter(|_| most)?))
}

fn others(desired: &Desired, facts: &Facts) -> Vec<Other> {
    let uuid = facts.uuid_of(&desired.cluster);
    let of = |member: &DesiredMember| other(desired, member, facts.host(member.id)?, &uuid);
    desired.members.values().filter_map(of).collect()
}

fn refused(desired: &Desired, others: &[Other]) -> Option<Refused> {
    let first = others.first()?;
    let what = match first.cluster == desired.cluster {
        false => format!(
            "{} belongs to cluster {:?}, and {} describes {:?}",
            first.member, first.cluster, desired.inventory, desired.cluster
        ),
        true => format!("{} belongs to another cluster that is called {:?} too", first.member, first.cluster),
    };
    Some(Refused {
        what,
        evidence: others.iter().map(|other| other.says.clone()).collect(),
        next: vec![format!("name the inventory of cluster {:?}", first.cluster)],
    })
}

/// The inventory has an id where the host, by its own files, is another member of the same cluster, whose own place it
/// gives to a third or to the first: ids or addresses were exchanged there. Nothing on those hosts is wrong, and no verb may
/// make it so.
///
/// # Errors
/// With every such host.
pub(super) fn same_ids(desired: &Desired, facts: &Facts) -> Result<(), Stop> {
    let another = |member: &DesiredMember| {
        let host = facts.host(member.id)?;
        let config = host.installed_config.is()?;
        let id = ServerId(lists::setting(config, MEMBER_KEY)?.parse().ok()?);
        let place = lists::read(config).remove(&id)?;
        let at_home = id != member.id && lists::same_address(&place.host, &member.address);
        // Where a member moved away, its files may have stayed: they say nothing of who is there now.
        let data_agrees = host.data.is_and(|data| data.marker.as_ref().is_some_and(|marker| marker.id == id));
        (at_home && (data_agrees || host.unit.runs())).then_some(id)
    };
    let exchanged = |member: &DesiredMember| {
        let id = another(member)?;
        // One that has a host of its own to go to moves.
        another(desired.members.get(&id)?)?;
        Some(format!(
            "{} is server {id} by its {}, and {} has server {} there",
            member.address, member.config_path, desired.inventory, member.id
        ))
    };
    let evidence: Vec<String> = desired.members.values().filter_map(exchanged).collect();
    if evidence.is_empty() {
        return Ok(());
    }
    Err(Stop::Refused(Refused {
        what: "the inventory has ids at hosts that are other members of this cluster".to_owned(),
        evidence,
        next: vec![format!("put the ids and addresses back as they were in {}", desired.inventory)],
    }))
}

/// No data directory is, or is in, what is removed with the program, of any member on the same host. Inventories are
/// refused for that; two spellings of one place come to light here.
///
/// # Errors
/// With every such directory.
pub(crate) fn data_apart(desired: &Desired, facts: &Facts) -> Result<(), Stop> {
    let mut evidence = Vec::new();
    for member in desired.members.values() {
        let owners = facts.host(member.id).and_then(|host| host.owners.is());
        let links = |dir: &str| owners.and_then(|owners| owners.dirs.get(dir)?.target.clone());
        let named = account::data_dirs(member).into_iter().map(str::to_owned);
        let dirs: Vec<String> = named.flat_map(|dir| [links(&dir), Some(dir)]).flatten().collect();
        for other in desired.members.values().filter(|other| other.address == member.address) {
            let own: Vec<String> = layout::own_paths(&other.dirs.install).collect();
            let within = |dir: &String| {
                Path::new(dir) == Path::new(&other.dirs.install)
                    || own.iter().any(|own| Path::new(dir).starts_with(own))
            };
            let held = dirs.iter().filter(|dir| within(dir));
            evidence.extend(
                held.map(|dir| {
                    format!("{}: {dir} is among the files in {}", member.name, other.dirs.install)
                }),
            );
        }
    }
    if evidence.is_empty() {
        return Ok(());
    }
    Err(Stop::Refused(Refused {
        what: "data stands where zkops keeps its own files, and would go with them".to_owned(),
        evidence,
        next: vec!["give the data a directory of its own (`data_dir`, `data_log_dir`)".to_owned()],
    }))
}

/// A repair brings one member back as the others know it: an inventory that has members elsewhere, or others, is for
/// deploy, which moves them safely. Who is listed is told by the zoo.cfg of the other members.
///
/// # Errors
/// Refused where one of the others lists a member differently.
pub(super) fn same_members(desired: &Desired, facts: &Facts, id: ServerId) -> Result<(), Stop> {
    let member = &desired.members[&id];
    let wanted = listed(&member.config);
    for other in desired.members.values().filter(|other| other.id != id) {
        let Some(config) = facts.host(other.id).and_then(|host| host.installed_config.is()) else { continue };
        let found = listed(config);
        let differs = |(id, place): (&i64, &Member)| found.get(id).is_none_or(|found| found != place);
        let Some((changed, _)) = wanted.iter().find(|(id, place)| !found.is_empty() && differs((id, place)))
        else {
            continue;
        };
        return Err(Stop::Refused(Refused {
            what: format!(
                "{} has server {changed} otherwise than {} knows it: repair brings {} back as it was",
                desired.inventory, other.name, member.name
            ),
            evidence: vec![format!("{} of {} lists the members it knows", other.config_path, other.name)],
            next: vec![format!("zkops deploy {}", desired.inventory)],
        }));
    }
    Ok(())
}

/// The members of a zoo.cfg by id, as far as their lines can be read; none where they are in a file of their own.
fn listed(config: &str) -> BTreeMap<i64, Member> {
    let member = |line: &str| {
        let (key, value) = line.trim().strip_prefix("server.")?.split_once('=')?;
        let id = grammar::parse_id(key.trim())?;
        Some((id.0, Member::parse(id, value.trim()).ok()?))
    };
    config.lines().filter_map(member).collect()
}

/// A host that is somebody else's, and what says so.
struct Other {
    id: ServerId,
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
        Some(Other { id: member.id, member: member.name.clone(), cluster: cluster.to_owned(), says })
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
