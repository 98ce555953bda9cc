//! From the host's answers to the planners' facts: conversions only, no questions asked.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::operator::fleet::hosts::Host;
use crate::operator::fleet::journal::Entry;
use crate::operator::host::data::{self as found, Inspection, Number, NumberFile};
use crate::operator::host::files::{Found, PathSpace};
use crate::operator::host::firewall::{Firewall, FirewallReport, Verdict};
use crate::operator::host::net::{NamesReport, PortUse};
use crate::operator::host::service::{Active, RunningServer, ServiceState};
use crate::operator::plan::damage::{Damage, OddFile};
use crate::operator::plan::desired::DesiredMember;
use crate::operator::plan::facts::{
    DataFacts, DirFacts, FileFacts, FirewallFacts, Marker, Myid, NameFacts, PortRule, PortUser, Process,
    UnitState,
};
use crate::operator::plan::install::sha256_hex;
use crate::wire::ids::{Epoch, ServerId};

pub(super) fn is_address(text: &str) -> bool {
    text.parse::<IpAddr>().is_ok()
}

pub(super) fn is_loopback(address: &str) -> bool {
    address == "localhost" || address.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// What a wipe moves aside, whether it exists or not.
pub(super) fn parts(member: &DesiredMember) -> Vec<String> {
    let data = &member.dirs.data;
    let mut parts = vec![format!("{data}/version-2"), format!("{data}/myid"), format!("{data}/zkops.json")];
    if member.dirs.data_log != *data {
        parts.push(format!("{}/version-2", member.dirs.data_log));
    }
    parts
}

pub(super) fn dir(space: &PathSpace, exists: bool, obstacle: Option<String>) -> DirFacts {
    let problem = space.problem.as_ref().map(|failure| failure.why.clone());
    let read_only = space
        .space
        .as_ref()
        .filter(|space| space.read_only)
        .map(|space| format!("{} is mounted read-only", space.mount_point.display()));
    DirFacts {
        exists,
        obstacle: obstacle.or(problem).or(read_only),
        free_bytes: space.space.as_ref().map_or(0, |space| space.available_bytes),
        total_bytes: space.space.as_ref().map_or(0, |space| space.total_bytes),
    }
}

pub(super) fn data(seen: &Inspection, member: &DesiredMember) -> DataFacts {
    let value = |number: &Option<Number>| number.as_ref().and_then(|number| number.value);
    let in_dir = |path: &std::path::PathBuf| {
        let path = path.to_string_lossy();
        let relative = path.strip_prefix(member.dirs.data.as_str()).unwrap_or(&path);
        relative.trim_start_matches('/').to_owned()
    };
    DataFacts {
        exists: seen.data_dir_exists,
        empty: seen.empty && seen.foreign_count == 0,
        myid: match &seen.myid {
            None => Myid::Missing,
            Some(Number { value: Some(id), .. }) => Myid::Is(ServerId(*id)),
            Some(Number { raw, value: None }) => Myid::Garbage(raw.clone()),
        },
        marker: seen.marker.as_ref().map(|marker| Marker {
            cluster: marker.cluster.clone(),
            uuid: marker.uuid.clone(),
            id: ServerId(marker.member),
        }),
        has_database: !(seen.snapshots.is_empty() && seen.logs.is_empty()),
        accepted_epoch: value(&seen.accepted_epoch).map(Epoch),
        current_epoch: value(&seen.current_epoch).map(Epoch),
        initialize: seen.initialize,
        damage: seen.damage.iter().filter_map(damage).collect(),
        entries: seen.foreign.iter().take(ENTRIES_SHOWN).map(in_dir).collect(),
        parts: Vec::new(),
        quarantined: Vec::new(),
    }
}

/// A wrong myid has a fact of its own and says nothing about the database.
fn damage(seen: &found::Damage) -> Option<Damage> {
    let text = |path: &std::path::Path| path.to_string_lossy().into_owned();
    let odd = |odd: &found::OddFile| OddFile { path: text(&odd.path), how: odd.how.clone() };
    let number = |file: &str, raw: &str| Damage::NotANumber { file: file.to_owned(), raw: raw.to_owned() };
    Some(match seen {
        found::Damage::NotANumber { file: NumberFile::Myid, .. } => return None,
        found::Damage::NotANumber { file: NumberFile::AcceptedEpoch, raw } => {
            number("version-2/acceptedEpoch", raw)
        }
        found::Damage::NotANumber { file: NumberFile::CurrentEpoch, raw } => {
            number("version-2/currentEpoch", raw)
        }
        found::Damage::NotADirectory { path } => Damage::NotADirectory { path: text(path) },
        found::Damage::EpochsReversed { accepted, current } => {
            Damage::EpochsReversed { accepted: *accepted, current: *current }
        }
        found::Damage::NoSnapshotLoads { odd: all } => {
            Damage::NoSnapshotLoads { odd: all.iter().map(odd).collect() }
        }
        found::Damage::LogsWithoutSnapshot => Damage::LogsWithoutSnapshot,
        found::Damage::BadLog(log) => Damage::BadLog(odd(log)),
        found::Damage::BadMarker(marker) => Damage::BadMarker(odd(marker)),
    })
}

/// zoo.cfg as a file with its content's hash.
pub(super) fn files(
    member: &DesiredMember,
    config: Option<&str>,
    found: Option<&Found>,
) -> BTreeMap<String, FileFacts> {
    let file = config.zip(found).map(|(text, found)| {
        let facts = FileFacts { sha256: sha256_hex(text), mode: found.mode, mtime_ms: found.modified_ms };
        (member.config_path.clone(), facts)
    });
    file.into_iter().collect()
}

pub(super) fn unit_state(
    state: &ServiceState,
    servers: &[RunningServer],
    member: &DesiredMember,
    host: &Host,
) -> UnitState {
    match state.active {
        _ if !state.installed => UnitState::Absent,
        Active::Running | Active::Starting => UnitState::Running(process(state, servers, member, host)),
        Active::Stopping | Active::Stopped => UnitState::Stopped,
        Active::Failed => UnitState::Failed {
            how: ended(state),
            // A manager that starts it again and again is not about to succeed.
            again: state.restarts < RESTARTS_HOPEFUL && pending(&state.sub),
        },
    }
}

fn pending(sub: &str) -> bool {
    sub.contains("restart")
}

pub(super) fn ended(state: &ServiceState) -> String {
    let mut how = match (state.exit_signal, state.exit_status) {
        (Some(signal), _) => format!("killed by signal {signal}"),
        (None, Some(status)) => format!("exit status {status}"),
        (None, None) => state.result.clone(),
    };
    if state.restarts > 0 {
        how += &format!(", {} restarts", state.restarts);
    }
    how
}

fn process(state: &ServiceState, servers: &[RunningServer], member: &DesiredMember, host: &Host) -> Process {
    let pid = state.main_pid.unwrap_or_default();
    let server = servers.iter().find(|server| server.process.pid == pid).map(|server| &server.process);
    let exe = server.and_then(|process| process.exe.as_ref()).map(|exe| exe.to_string_lossy().into_owned());
    Process {
        pid: u32::try_from(pid).unwrap_or_default(),
        started_ms: server.and_then(|process| process.started_ms),
        exe_sha256: match exe {
            Some(exe) if exe == member.binary_path => host.binary.installed_sha256.clone(),
            // Replaced since it started, or started from elsewhere.
            Some(exe) => Some(format!("of {exe}")),
            None => None,
        },
    }
}

pub(super) fn ports(uses: &[PortUse], member: &DesiredMember, running: bool) -> BTreeMap<u16, PortUser> {
    uses.iter()
        .filter_map(|used| {
            let listener = used.listeners.first()?;
            let user = match &listener.process {
                Some(process) => PortUser {
                    pid: u32::try_from(process.pid).ok(),
                    program: process.comm.clone(),
                    ours: listener.ours && process.cmdline.contains(&member.config_path),
                },
                // Somebody else's process: only ours if ours runs here at all.
                None => PortUser {
                    pid: None,
                    program: listener
                        .user
                        .clone()
                        .map_or_else(|| "somebody".to_owned(), |user| format!("a process of {user}")),
                    ours: running,
                },
            };
            Some((used.port, user))
        })
        .collect()
}

pub(super) fn firewall(report: &FirewallReport) -> FirewallFacts {
    let kind = report.firewalls.first().map(|firewall| match firewall {
        Firewall::Firewalld { zone } => format!("firewalld (zone {zone})"),
        Firewall::Ufw => "ufw".to_owned(),
        Firewall::Nftables { .. } => "nftables".to_owned(),
        Firewall::Iptables => "iptables".to_owned(),
    });
    let ports = report
        .ports
        .iter()
        .map(|state| {
            let rule = match &state.verdict {
                Verdict::Open => {
                    PortRule { open: true, permanent: report.survives_reboot, rule: String::new() }
                }
                // Somebody limited the port to some sources on purpose: whether ours are among
                // them, only a connection can tell.
                Verdict::Limited { by } => PortRule { open: true, permanent: true, rule: by.clone() },
                // Only a connection can tell, and we could change nothing anyway.
                Verdict::Unknown { why } => PortRule { open: true, permanent: true, rule: why.clone() },
                Verdict::Blocked { by } => PortRule { open: false, permanent: false, rule: by.clone() },
            };
            (state.port, rule)
        })
        .collect();
    FirewallFacts { kind, ports }
}

pub(super) fn names(report: &NamesReport) -> Vec<NameFacts> {
    let own = (report.own_name.name != "localhost").then_some(&report.own_name);
    report
        .names
        .iter()
        .chain(own)
        .map(|resolved| NameFacts {
            name: resolved.name.clone(),
            addresses: resolved.addresses.iter().map(IpAddr::to_string).collect(),
        })
        .collect()
}

/// Ports that our own steps opened, from the journal, less those closed since.
pub(super) fn opened_ports(journal: &[Entry]) -> Vec<u16> {
    let mut opened = BTreeSet::new();
    for effects in journal.iter().filter_map(Entry::effects) {
        opened.extend(effects.opened_ports.iter().copied());
        for port in &effects.closed_ports {
            opened.remove(port);
        }
    }
    opened.into_iter().collect()
}

/// The firewalld zone in which our steps last opened ports, from the journal.
pub(super) fn opened_zone(journal: &[Entry]) -> Option<String> {
    let mut zones = journal.iter().rev().filter_map(|entry| entry.effects()?.zone.as_ref());
    // It becomes part of a path.
    let is_name = |zone: &&String| zone.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
    zones.find(is_name).cloned()
}

/// So many names say what kind of directory it is.
const ENTRIES_SHOWN: usize = 5;
/// A port still in TIME_WAIT, a disk that was slow: twice may be bad luck.
const RESTARTS_HOPEFUL: u32 = 3;
