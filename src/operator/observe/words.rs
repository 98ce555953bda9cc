//! From the host's answers to the planners' facts: conversions only, no questions asked.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::answer::wall_ms;
use crate::formats::opening::Opening;
use crate::operator::fleet::hosts::Host;
use crate::operator::fleet::journal::{Entry, Event};
use crate::operator::host::Kind;
use crate::operator::host::data::{self as found, Inspection, Number, NumberFile};
use crate::operator::host::files::{Found, PathSpace};
use crate::operator::host::firewall::{Firewall, FirewallReport, Verdict};
use crate::operator::host::net::{NamesReport, PortUse, Sources, Towards};
use crate::operator::host::service::{Active, RunningServer, ServiceState};
use crate::operator::plan::damage::{Damage, OddFile};
use crate::operator::plan::desired::DesiredMember;
use crate::operator::plan::facts::{
    DataFacts, DirFacts, FileFacts, JournalFacts, Marker, Myid, NameFacts, PortUser, Process, Room, UnitState,
};
use crate::operator::plan::install::sha256_hex;
use crate::operator::plan::layout::{Current, LayoutFacts};
use crate::operator::plan::network::{FirewallFacts, PortRule};
use crate::operator::plan::ports;
use crate::operator::plan::preflight::ANOTHER_LOOK;
use crate::operator::plan::seen::Seen;
use crate::operator::plan::ways::{SourceFacts, WayFacts};
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

pub(super) fn dir(space: Seen<&PathSpace>, exists: Seen<()>, obstacle: Seen<String>) -> DirFacts {
    let room = match &space {
        Seen::Is(PathSpace { problem: Some(problem), .. }) => Seen::unseen(problem.to_string(), wall_ms()),
        Seen::Is(PathSpace { space, .. }) => space.as_ref().map_or_else(Seen::default, Seen::Is),
        Seen::Absent => Seen::default(),
        Seen::Unseen(why) => Seen::Unseen(why.clone()),
    };
    let read_only = room
        .is()
        .filter(|space| space.read_only)
        .map(|space| format!("{} is mounted read-only", space.mount_point.display()));
    DirFacts {
        exists,
        obstacle: match (obstacle, read_only) {
            (Seen::Absent | Seen::Unseen(_), Some(read_only)) => Seen::Is(read_only),
            (obstacle, _) => obstacle,
        },
        room: room.map(|space| Room { free_bytes: space.available_bytes, total_bytes: space.total_bytes }),
    }
}

/// # Errors
/// Why a part of it could not be read: half a look says nothing about the whole.
pub(super) fn data(seen: &Inspection, member: &DesiredMember) -> Result<DataFacts, String> {
    // A marker that can be read and is none is damage, told as such.
    if let Some(failure) = seen.unreadable.iter().find(|failure| failure.kind != Kind::Foreign) {
        return Err(failure.to_string());
    }
    let value = |number: &Option<Number>| number.as_ref().and_then(|number| number.value);
    let in_dir = |path: &std::path::PathBuf| {
        let path = path.to_string_lossy();
        let relative = path.strip_prefix(member.dirs.data.as_str()).unwrap_or(&path);
        relative.trim_start_matches('/').to_owned()
    };
    Ok(DataFacts {
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
    })
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

/// A file by its text and by what stands at its path.
pub(super) fn file(text: &Seen<String>, found: Seen<&Found>) -> Seen<FileFacts> {
    match (text, found) {
        (Seen::Is(text), Seen::Is(found)) => {
            let group = found.group.clone().unwrap_or_else(|| found.gid.to_string());
            let (sha256, mtime_ms) = (sha256_hex(text), found.modified_ms);
            Seen::Is(FileFacts { sha256, mode: found.mode, group, mtime_ms })
        }
        (Seen::Unseen(why), _) => Seen::Unseen(why.clone()),
        (_, Seen::Unseen(why)) => Seen::Unseen(why),
        (Seen::Absent, _) | (_, Seen::Absent) => Seen::Absent,
    }
}

pub(super) fn unit_state(
    state: Seen<ServiceState>,
    servers: &Seen<Vec<RunningServer>>,
    host: &Host,
    layout: &LayoutFacts,
) -> Seen<UnitState> {
    let state = match state {
        Seen::Is(state) if state.installed || state.masked => state,
        Seen::Is(_) | Seen::Absent => return Seen::Absent,
        Seen::Unseen(why) => return Seen::Unseen(why),
    };
    Seen::Is(match state.active {
        Active::Running | Active::Starting => UnitState::Running(process(&state, servers, host, layout)),
        Active::Stopping | Active::Stopped => UnitState::Stopped,
        Active::Failed => UnitState::Failed {
            how: ended(&state),
            // A manager that starts it again and again is not about to succeed.
            again: state.restarts < RESTARTS_HOPEFUL && pending(&state.sub),
        },
    })
}

/// A server process as it was found, whoever started it.
pub(super) fn process_facts(server: &RunningServer) -> Process {
    Process {
        pid: u32::try_from(server.process.pid).unwrap_or_default(),
        started_ms: server.process.started_ms,
        exe_sha256: None,
        is_current: None,
    }
}

fn pending(sub: &str) -> bool {
    sub.contains("restart")
}

pub(super) fn ended(state: &ServiceState) -> String {
    let mut how = match (state.exit_signal, state.exit_status) {
        (Some(signal), _) => format!("killed by signal {signal}"),
        (None, Some(status)) => format!("exit status {status}"),
        // Nobody saw it end: it went with its supervisor, or with the host.
        (None, None) if state.result == "success" => "it is gone since its host was restarted".to_owned(),
        (None, None) => state.result.clone(),
    };
    if state.restarts > 0 {
        how += &format!(", {} restarts", state.restarts);
    }
    if state.result.starts_with("start-limit") {
        how += ", start limit hit";
    }
    how
}

fn process(
    state: &ServiceState,
    servers: &Seen<Vec<RunningServer>>,
    host: &Host,
    layout: &LayoutFacts,
) -> Process {
    let pid = state.main_pid.unwrap_or_default();
    let servers = servers.is().map_or(&[][..], Vec::as_slice);
    let server = servers.iter().find(|server| server.process.pid == pid).map(|server| &server.process);
    let exe = server.and_then(|process| process.exe.as_ref()).map(|exe| exe.to_string_lossy().into_owned());
    let is_current = exe.as_ref().and_then(|exe| match &layout.current {
        // As the kernel shows it: links resolved, and with a word behind it when the file was replaced since.
        Seen::Is(Current::Slot(slot)) => Some(exe.ends_with(&format!("/{slot}/zkops"))),
        Seen::Absent => Some(false),
        Seen::Is(Current::Odd(_)) | Seen::Unseen(_) => None,
    });
    Process {
        pid: u32::try_from(pid).unwrap_or_default(),
        started_ms: server.and_then(|process| process.started_ms),
        exe_sha256: match exe {
            Some(_) if is_current == Some(true) => host.binary.installed_sha256.is().cloned(),
            // Replaced since it started, or started from elsewhere.
            Some(exe) => Some(format!("of {exe}")),
            None => None,
        },
        is_current,
    }
}

pub(super) fn ports(uses: &[PortUse], member: &DesiredMember, running: bool) -> BTreeMap<u16, PortUser> {
    let configs = [member.config_path.clone(), member.legacy_config()];
    uses.iter()
        .filter_map(|used| {
            let listener = used.listeners.first()?;
            let user = match &listener.process {
                Some(process) => PortUser {
                    pid: u32::try_from(process.pid).ok(),
                    program: program(&process.comm, &process.cmdline),
                    ours: listener.ours && configs.iter().any(|config| process.cmdline.contains(config)),
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

/// A zkops that listens and is no server tries ways between hosts, for another run.
pub(super) fn program(comm: &str, cmdline: &[String]) -> String {
    let server = cmdline.is_empty() || cmdline.iter().any(|word| word == "server");
    if comm.starts_with("zkops") && !server { ANOTHER_LOOK.to_owned() } else { comm.to_owned() }
}

/// `wanted` are those of the openings asked about that somebody needs.
pub(super) fn firewall(
    report: &FirewallReport,
    member: &DesiredMember,
    wanted: &BTreeSet<Opening>,
) -> Seen<FirewallFacts> {
    let hidden = report.ports.iter().find_map(|state| match &state.verdict {
        Verdict::Unknown { why } => Some(why.clone()),
        _ => None,
    });
    // No rule that may be read is not "no rule".
    if let Some(why) = hidden {
        return Seen::unseen(why, wall_ms());
    }
    let kind = match report.firewalls.first() {
        Some(Firewall::Firewalld { zone }) => format!("firewalld (zone {zone})"),
        Some(Firewall::Ufw) => "ufw".to_owned(),
        Some(Firewall::Nftables { .. }) => "nftables".to_owned(),
        Some(Firewall::Iptables) => "iptables".to_owned(),
        None => return Seen::Absent,
    };
    let openings: BTreeMap<Opening, PortRule> = report
        .ports
        .iter()
        .map(|state| (state.opening, rule(&state.verdict, report.survives_reboot)))
        .collect();
    let leaning = report.ports.iter().filter(|state| state.leans).map(|state| state.opening).collect();
    let of_port = |port: u16| {
        // Nobody needs it.
        let unneeded = PortRule { open: true, permanent: true, rule: String::new() };
        let needed = openings.iter().filter(|(opening, _)| wanted.contains(opening));
        let needed: BTreeMap<Opening, PortRule> =
            needed.map(|(opening, rule)| (*opening, rule.clone())).collect();
        (port, ports::worst(&needed, port).cloned().unwrap_or(unneeded))
    };
    let ports = member.ports.all().map(of_port).into();
    Seen::Is(FirewallFacts { kind, ports, openings, leaning, ours: report.ours.clone() })
}

fn rule(verdict: &Verdict, survives_reboot: bool) -> PortRule {
    let always = |rule: &String| PortRule { open: true, permanent: true, rule: rule.clone() };
    match verdict {
        Verdict::Open { by } => PortRule { open: true, permanent: survives_reboot, rule: by.clone() },
        // Somebody limited the port to some sources on purpose: whether ours are among them, only a
        // connection can tell.
        Verdict::Limited { by } => always(by),
        // Only a connection can tell, and we could change nothing anyway.
        Verdict::Unknown { why } => always(why),
        Verdict::Blocked { by } => PortRule { open: false, permanent: false, rule: by.clone() },
    }
}

/// A host's ways to the members.
pub(super) fn sources(sources: Sources) -> SourceFacts {
    let way = |way: Towards| WayFacts { to: way.host, addresses: way.addresses, from: way.from };
    SourceFacts { session: sources.session, ways: sources.towards.into_iter().map(way).collect() }
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

/// What our runs left in the journal; no line at all: no journal.
pub(super) fn journal(lines: Seen<Vec<String>>) -> Seen<JournalFacts> {
    let lines = match lines {
        Seen::Is(lines) => lines,
        Seen::Absent => return Seen::Absent,
        Seen::Unseen(why) => return Seen::Unseen(why),
    };
    let entries: Vec<Entry> = lines.iter().filter_map(|line| Entry::read(line)).collect();
    Seen::answered(lines.last().map(|last| JournalFacts {
        last_entry: last.clone(),
        opened: opened(&entries),
        observed: observed(&entries),
        opened_zone: opened_zone(&entries),
        made_users: made_users(&entries),
        made_dirs: made_dirs(&entries),
    }))
}

/// What our own steps opened, or were about to, from the journal; less what was closed since.
pub(super) fn opened(journal: &[Entry]) -> Vec<Opening> {
    let mut opened = BTreeSet::new();
    for entry in journal {
        opened.extend(entry.opening());
        for opening in entry.closing() {
            opened.remove(&opening);
        }
    }
    opened.into_iter().collect()
}

/// Users that our own steps made, from the journal.
fn made_users(journal: &[Entry]) -> Vec<String> {
    let made: BTreeSet<&String> =
        journal.iter().filter_map(|entry| entry.effects()?.made_user.as_ref()).collect();
    made.into_iter().cloned().collect()
}

/// Directories that our own steps made, each behind those above it.
fn made_dirs(journal: &[Entry]) -> Vec<String> {
    let effects = journal.iter().filter_map(Entry::effects);
    let made: BTreeSet<&String> = effects.flat_map(|effects| &effects.made_dirs).collect();
    made.into_iter().filter(|dir| dir.starts_with('/')).cloned().collect()
}

/// Where members were seen to come from when ports were opened.
fn observed(journal: &[Entry]) -> BTreeMap<String, BTreeSet<IpAddr>> {
    let mut all: BTreeMap<String, BTreeSet<IpAddr>> = BTreeMap::new();
    for entry in journal {
        let Event::Begin { observed, .. } = &entry.event else { continue };
        for (name, addresses) in observed {
            all.entry(name.clone()).or_default().extend(addresses);
        }
    }
    all
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
