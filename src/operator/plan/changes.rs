//! What people change in an inventory after it was deployed: each change is planned as what it is, or refused before
//! anything is done, with the way to do it. Where members live is `moves`' business, who they are `identity`'s.
//!
//! | change | what comes of it |
//! |---|---|
//! | client port | a roll: the new port is opened first, the old one closed at the end if we opened it |
//! | quorum or election port of one member | a roll that begins with that member |
//! | the same of several members at once | refused while servers run: they would not find each other |
//! | data_dir, data_log_dir | refused until the databases were moved by hand: a server without them has forgotten |
//! | install_dir | refused while the last deployment's is in use |
//! | another user, another name of the service | refused while a server runs that its service does not keep |
//! | tickTime and the other keys of `zoo:` | a roll that names them |

use std::collections::{BTreeMap, BTreeSet};

use super::desired::{Desired, DesiredMember, Ports};
use super::facts::{Facts, HostFacts};
use super::lists::{self, setting};
use super::{Refused, Stop, ownership};
use crate::formats::marker::UUID_KEY;
use crate::wire::ids::ServerId;

/// # Errors
/// The first change that cannot be made as it is, with the way to make it.
pub(super) fn check(desired: &Desired, facts: &Facts) -> Result<(), Stop> {
    for member in desired.members.values() {
        let Some(host) = facts.host(member.id) else { continue };
        for refused in
            [moved_install(desired, facts, member), moved_data(desired, member, host), unkept(member, host)]
        {
            let Some(refused) = refused else { continue };
            // By the inventory of another cluster nothing is as it was deployed: whose it is, is what there is to say.
            ownership::check(desired, facts)?;
            return Err(Stop::Refused(refused));
        }
    }
    several_ports(desired, facts)
}

/// Members whose quorum or election port other lists have differently.
fn peer_ports(desired: &Desired, facts: &Facts) -> BTreeMap<ServerId, String> {
    let mut changed = BTreeMap::new();
    for (id, place) in facts.lists().values().flatten() {
        let Some(member) = desired.members.get(id) else { continue };
        let ports = member.ports;
        if place.quorum != 0 && (place.quorum, place.election) != (ports.quorum, ports.election) {
            let words = format!(
                "{}: {}/{} → {}/{}",
                member.name, place.quorum, place.election, ports.quorum, ports.election
            );
            changed.insert(*id, words);
        }
    }
    changed
}

/// A server that runs with another list finds nobody at ports that changed meanwhile, except by being found.
fn several_ports(desired: &Desired, facts: &Facts) -> Result<(), Stop> {
    let changed = peer_ports(desired, facts);
    let runs = |id: &ServerId| facts.host(*id).is_none_or(|host| !host.unit.is_down());
    if changed.len() < 2 || !desired.members.keys().any(runs) {
        return Ok(());
    }
    Err(Stop::Refused(Refused {
        what: format!(
            "the quorum or election ports of {} change at once: members that were restarted would not find the others",
            desired.names(changed.keys())
        ),
        evidence: changed.into_values().collect(),
        next: vec![format!(
            "change the ports of one member at a time (`ports:` of that member in {0}), or, with an interruption: zkops stop --all, then: zkops deploy {0}",
            desired.inventory
        )],
    }))
}

/// Whose ports changed goes first: it finds the others where they are, and they learn from it where it is now.
pub(super) fn order(desired: &Desired, facts: &Facts, order: Vec<ServerId>) -> Vec<ServerId> {
    let changed = peer_ports(desired, facts);
    let (mut first, rest): (Vec<_>, Vec<_>) = order.into_iter().partition(|id| changed.contains_key(id));
    first.extend(rest);
    first
}

/// Data that stand where the installed zoo.cfg has them, and the inventory no more.
pub(super) fn moved_data(desired: &Desired, member: &DesiredMember, host: &HostFacts) -> Option<Refused> {
    let config = host.installed_config.is()?;
    let data = setting(config, "dataDir")?;
    let log = setting(config, "dataLogDir").unwrap_or(data);
    let keys = [("data_dir", data, &member.dirs.data), ("data_log_dir", log, &member.dirs.data_log)];
    let changed: Vec<_> = keys.into_iter().filter(|(_, now, wanted)| now != wanted).collect();
    let (key, now, wanted) = changed.first()?;
    let left = match host.left_behind.is() {
        Some(left) if left.is_empty() => return None,
        Some(left) => format!("still there: {}", left.join(", ")),
        None => format!("{now} could not be looked at"),
    };
    let name = &member.name;
    Some(Refused {
        what: format!("{key} of {name} changes from {now} to {wanted}: data do not move by themselves"),
        evidence: vec![left, "a server started without them has forgotten what it acknowledged".to_owned()],
        next: vec![format!(
            "zkops stop {name}; on its host: mkdir -p {wanted} && mv -T {now} {wanted}; then: zkops deploy {}   (one member at a time, each with its own {key} in the inventory)",
            desired.inventory
        )],
    })
}

fn moved_install(desired: &Desired, facts: &Facts, member: &DesiredMember) -> Option<Refused> {
    let last = &facts.elsewhere.remembered.members.get(&member.id)?.dirs.install;
    let now = &member.dirs.install;
    let still = facts.host(member.id).is_some_and(|host| host.installed_config.is().is_some());
    (last != now && !still).then(|| Refused {
        what: format!("install_dir of {} changes from {last} to {now}", member.name),
        evidence: vec!["its service, its journal and its lock are in the old one".to_owned()],
        next: vec![format!(
            "put install_dir back; or, with an interruption: zkops destroy (data stay), then: zkops deploy {}",
            desired.inventory
        )],
    })
}

/// Starting a second server on the same data, or beside one that another manager restarts.
fn unkept(member: &DesiredMember, host: &HostFacts) -> Option<Refused> {
    let runs = host.processes.is().and_then(|processes| processes.first()).filter(|_| !host.unit.runs())?;
    let name = &member.name;
    let (evidence, next) = match host.root {
        true => (
            format!("service {} does not keep it", member.unit.name),
            format!(
                "put the name of {name} and its directories back as they were deployed, or stop that server on its host"
            ),
        ),
        false => (
            "this login is not root, and only root may ask about a service of systemd".to_owned(),
            format!("let the ssh user of {name} be root, or give it `sudo: /usr/bin/sudo`"),
        ),
    };
    Some(Refused {
        what: format!("a server of {name} runs (pid {}) that its service does not keep", runs.pid),
        evidence: vec![evidence],
        next: vec![next],
    })
}

/// The ports of a server that runs with those of the zoo.cfg it was started with, where they are not the inventory's.
pub fn earlier_ports(member: &DesiredMember, host: &HostFacts) -> Option<Ports> {
    let config = host.installed_config.is().filter(|_| host.unit.runs())?;
    let own = lists::read(config).remove(&member.id).filter(|place| place.quorum != 0);
    let (quorum, election) =
        own.map_or((member.ports.quorum, member.ports.election), |place| (place.quorum, place.election));
    let client =
        setting(config, "clientPort").and_then(|port| port.parse().ok()).unwrap_or(member.ports.client);
    let ports = Ports { client, quorum, election };
    (ports != member.ports).then_some(ports)
}

/// Why a server is replaced, with what is changed in its zoo.cfg.
pub(super) fn named(why: &str, member: &DesiredMember, host: &HostFacts) -> String {
    let changed = host.installed_config.is().map(|installed| differences(installed, &member.config));
    match changed {
        Some(changed) if !changed.is_empty() => format!("{why}: {}", changed.join(", ")),
        _ => why.to_owned(),
    }
}

/// What differs between an installed zoo.cfg and the one wanted, for people: `tickTime 2000 → 3000, list of members`. Only
/// values that cannot be secrets are shown.
fn differences(installed: &str, wanted: &str) -> Vec<String> {
    let (now, then) = (keys(installed), keys(wanted));
    let names: BTreeSet<&String> = now.keys().chain(then.keys()).collect();
    let changed = names.into_iter().filter(|key| now.get(*key) != then.get(*key));
    let mut words: Vec<String> = changed.map(|key| difference(key, now.get(key), then.get(key))).collect();
    if lists::read(installed) != lists::read(wanted) {
        words.push("list of members".to_owned());
    }
    words
}

fn difference(key: &str, now: Option<&String>, then: Option<&String>) -> String {
    match (now, then) {
        (Some(now), Some(then)) if plain(key, now) && plain(key, then) => format!("{key} {now} → {then}"),
        (None, Some(then)) if plain(key, then) => format!("{key} = {then}"),
        (Some(_), None) => format!("{key} removed"),
        _ => key.to_owned(),
    }
}

/// Numbers, switches and our own paths.
fn plain(key: &str, value: &str) -> bool {
    let secret =
        ["pass", "secret", "digest", "token"].iter().any(|word| key.to_ascii_lowercase().contains(word));
    let number = !value.is_empty() && value.chars().all(|c| c.is_ascii_digit());
    let switch = ["true", "false", "yes", "no"].contains(&value);
    !secret && (number || switch || ["dataDir", "dataLogDir"].contains(&key))
}

fn keys(config: &str) -> BTreeMap<String, String> {
    let lines = config.lines().map(str::trim).filter(|line| !line.starts_with('#'));
    let pairs = lines.filter_map(|line| line.split_once('=')).map(|(key, value)| (key.trim(), value.trim()));
    pairs
        // The uuid stands on the hosts, not in the inventory.
        .filter(|(key, _)| !key.starts_with("server.") && *key != UUID_KEY)
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::differences;

    #[test]
    fn differences_are_told_without_secrets() {
        let now =
            "# x\ntickTime=2000\nsuperDigest=a\nssl.keyStore.password=1234\nforceSync=yes\nserver.1=a:1:2\n";
        let then =
            "tickTime=3000\nsuperDigest=b\nssl.keyStore.password=12345\nsnapCount=10\nserver.1=b:1:2\n";
        let expected = [
            "forceSync removed",
            "snapCount = 10",
            "ssl.keyStore.password",
            "superDigest",
            "tickTime 2000 → 3000",
            "list of members",
        ];
        assert_eq!(differences(now, then), expected);
        assert!(differences(now, now).is_empty());
    }
}
