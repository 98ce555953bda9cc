//! Why one member is not well, from the evidence on its own host: the causes an operator meets,
//! most explanatory first, each with what was seen and what to type next.

use super::desired::{Desired, DesiredMember};
use super::facts::{
    Facts, HostFacts, HostView, Installed, Marker, Myid, NoWayIn, ReachResult, ServerView, UnitState,
};
use super::{damage, ensemble, install, preflight};
use crate::wire::ids::ServerId;

#[derive(Clone, Debug, PartialEq)]
pub struct Diagnosis {
    pub member: ServerId,
    pub cause: Cause,
    /// One sentence for the table.
    pub what: String,
    /// What shows it: log lines, rules, file contents.
    pub evidence: Vec<String>,
    /// Commands, most useful first.
    pub next: Vec<String>,
}

/// The closed list of causes; [`Cause::cure`] says what repair does about each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// No way to the host itself.
    HostUnreachable,
    /// zkops was never deployed there, or its unit is gone.
    NotInstalled,
    /// The data belongs to another cluster or another member.
    ForeignData,
    /// Files of the database cannot be what a server wrote.
    DamagedData,
    /// A voter that took part has no database any more.
    LostData,
    MyidMissing,
    MyidWrong,
    DiskFull,
    /// The server process ended, or was never started.
    ProcessDead,
    /// A firewall does not let one of its ports through.
    PortBlocked,
    /// The wall clock is far from the others'.
    ClockOff,
    /// The installed zoo.cfg is not the inventory's.
    ConfigDiffers,
    /// It runs and waits: too few other voters do.
    NoQuorum,
    /// It runs, a quorum is there, and still it does not serve.
    Stuck,
}

/// What repair does about a cause, mildest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cure {
    /// Nothing on this member would help.
    Elsewhere,
    /// A person must act on the host first.
    Person,
    /// Files, ports, service as the inventory says; the data stays.
    Reinstall,
    /// As Reinstall, with a new process.
    Restart,
    /// The data is moved aside and the member syncs anew.
    Wipe,
}

impl Cause {
    pub fn cure(self) -> Cure {
        match self {
            Cause::NoQuorum => Cure::Elsewhere,
            Cause::HostUnreachable | Cause::DiskFull | Cause::ClockOff => Cure::Person,
            Cause::NotInstalled | Cause::ProcessDead | Cause::PortBlocked | Cause::MyidMissing => {
                Cure::Reinstall
            }
            Cause::ConfigDiffers | Cause::Stuck => Cure::Restart,
            Cause::MyidWrong | Cause::ForeignData | Cause::DamagedData | Cause::LostData => Cure::Wipe,
        }
    }
}

/// Why `id` is not in sync. Never empty for such a member; a member in sync has no diagnosis but
/// what its host shows to be wrong already.
pub fn diagnose(desired: &Desired, facts: &Facts, id: ServerId) -> Vec<Diagnosis> {
    let Some(member) = desired.members.get(&id) else { return Vec::new() };
    match &facts.member(id).host {
        HostView::Seen(host) => {
            let mut found = data(desired, facts, member, host);
            found.extend(machine(desired, facts, member, host));
            if !ensemble::in_sync(desired, facts).contains(&id) {
                found.extend(process(desired, facts, member, host, found.is_empty()));
            }
            found
        }
        HostView::Unreachable(why) => {
            let (cause, next) = match why.kind {
                NoWayIn::NotInstalled => (Cause::NotInstalled, format!("zkops deploy {}", desired.inventory)),
                NoWayIn::Connection | NoWayIn::Binary => (
                    Cause::HostUnreachable,
                    format!("reach {} first: power, network, sshd, key", member.address),
                ),
            };
            let what = match why.kind {
                NoWayIn::NotInstalled => format!("zkops is not installed on {}", member.name),
                NoWayIn::Connection => format!("the host of {} cannot be reached", member.name),
                NoWayIn::Binary => format!("zkops does not run on the host of {}", member.name),
            };
            let evidence = [why.text.clone()].into_iter().chain(silent_words(facts, id)).collect();
            vec![Diagnosis { member: id, cause, what, evidence, next: vec![next] }]
        }
        HostView::Unasked => vec![Diagnosis {
            member: id,
            cause: Cause::HostUnreachable,
            what: format!("{} does not serve, and its host was not asked", member.name),
            evidence: silent_words(facts, id),
            next: Vec::new(),
        }],
    }
}

/// Identity and integrity of the data.
fn data(desired: &Desired, facts: &Facts, member: &DesiredMember, host: &HostFacts) -> Vec<Diagnosis> {
    let mut found = Vec::new();
    let data = &host.data;
    let dir = &member.dirs.data;
    let repair = vec![format!("zkops repair {}", member.name)];
    let mut add = |cause, what: String, evidence: Vec<String>| {
        found.push(Diagnosis { member: member.id, cause, what, evidence, next: repair.clone() });
    };
    if host.unit.installed == Installed::No && data.marker.is_none() {
        return found;
    }
    let uuid = facts.uuid_of(&desired.cluster);
    let same =
        |marker: &Marker| marker.cluster == desired.cluster && marker.uuid == uuid && marker.id == member.id;
    let ours = data.marker.as_ref().is_some_and(same);
    if let Some(marker) = data.marker.as_ref().filter(|_| !ours) {
        let what = format!("{dir} holds data of cluster {:?}, server {}", marker.cluster, marker.id);
        add(Cause::ForeignData, what, Vec::new());
    }
    match &data.myid {
        Myid::Is(id) if *id == member.id => {}
        Myid::Missing => {
            add(Cause::MyidMissing, format!("{} is missing", member.myid_path()), listing(&data.entries));
        }
        // Our marker beside it proves whose data it is: only the file is wrong.
        Myid::Is(id) if ours => {
            add(
                Cause::MyidMissing,
                format!("{} says {id} instead of {}", member.myid_path(), member.id),
                Vec::new(),
            );
        }
        Myid::Garbage(text) if ours => {
            add(
                Cause::MyidMissing,
                format!("{} is not a number", member.myid_path()),
                vec![format!("{text:?}")],
            );
        }
        Myid::Is(id) => {
            add(
                Cause::MyidWrong,
                format!("{} says {id} instead of {}", member.myid_path(), member.id),
                Vec::new(),
            );
        }
        Myid::Garbage(text) => {
            add(
                Cause::MyidWrong,
                format!("{} is not a number", member.myid_path()),
                vec![format!("{text:?}")],
            );
        }
    }
    if !data.damage.is_empty() {
        let what = format!("the database in {dir} is damaged: {}", damage::sentence(&data.damage));
        add(Cause::DamagedData, what, Vec::new());
    } else if !data.has_database && !data.initialize && ensemble::has_history(desired, facts) {
        let what = format!("the database of {} is gone: {dir} {}", member.name, state_of(data.exists));
        add(Cause::LostData, what, listing(&data.entries));
    }
    found
}

fn state_of(exists: bool) -> &'static str {
    if exists { "holds none" } else { "does not exist" }
}

fn listing(entries: &[String]) -> Vec<String> {
    if entries.is_empty() { Vec::new() } else { vec![format!("found there: {}", entries.join(", "))] }
}

/// What is wrong with the machine: disk, clock, firewall.
fn machine(desired: &Desired, facts: &Facts, member: &DesiredMember, host: &HostFacts) -> Vec<Diagnosis> {
    let mut found = Vec::new();
    let id = member.id;
    for path in member.directories() {
        let Some(dir) = host.dirs.get(path).filter(|dir| dir.exists && dir.free_bytes < DISK_FULL_BYTES)
        else {
            continue;
        };
        found.push(Diagnosis {
            member: id,
            cause: Cause::DiskFull,
            what: format!("the disk of {path} is full: {} free", preflight::bytes(dir.free_bytes)),
            evidence: Vec::new(),
            next: vec![
                format!("free space on the file system of {path} on {}", member.name),
                format!("zkops start {}", member.name),
            ],
        });
        break;
    }
    found.extend(blocked(desired, facts, member, host));
    if let Some(excess_ms) =
        preflight::clock_excess_ms(desired, facts, id).filter(|ms| *ms > preflight::CLOCK_FAIL_MS)
    {
        found.push(Diagnosis {
            member: id,
            cause: Cause::ClockOff,
            what: format!("the clock of {} is off by {:.1} s", member.name, excess_ms / 1000.0),
            evidence: Vec::new(),
            next: vec![format!(
                "set the clock of {}: systemctl enable --now chronyd (or systemd-timesyncd)",
                member.name
            )],
        });
    }
    found
}

/// Ports that a firewall keeps closed: its own rules, or connections that were tried and failed.
fn blocked(desired: &Desired, facts: &Facts, member: &DesiredMember, host: &HostFacts) -> Option<Diagnosis> {
    let rules: Vec<String> = member
        .ports
        .all()
        .into_iter()
        .filter_map(|port| {
            let rule = host.firewall.ports.get(&port).filter(|rule| !rule.open)?;
            Some(format!("tcp {port}: {}", rule.rule))
        })
        .collect();
    let tried: Vec<String> = facts
        .reach
        .iter()
        .filter(|reach| reach.to == member.id)
        .filter(|reach| matches!(reach.result, ReachResult::Timeout | ReachResult::NoRoute))
        .map(|reach| {
            let from = reach.from.map_or_else(|| "this machine".to_owned(), |id| desired.name(id));
            format!("{from} → {}:{} {}", member.name, reach.port, reach.result.word())
        })
        .collect();
    if rules.is_empty() && tried.is_empty() {
        return None;
    }
    let kind = host.firewall.kind.as_deref().filter(|_| !rules.is_empty());
    let what = match kind {
        Some(kind) => format!("{kind} on {} blocks its ports", member.name),
        None => format!("something between the hosts blocks the ports of {}", member.name),
    };
    let evidence = rules.into_iter().chain(tried).collect();
    let next = match kind {
        Some(_) => vec![format!("zkops repair {}", member.name)],
        None => {
            vec![format!("open tcp {:?} to {} in the network between", member.ports.all(), member.address)]
        }
    };
    Some(Diagnosis { member: member.id, cause: Cause::PortBlocked, what, evidence, next })
}

/// What the service and the process show. `alone`: nothing else explains the member's state.
fn process(
    desired: &Desired,
    facts: &Facts,
    member: &DesiredMember,
    host: &HostFacts,
    alone: bool,
) -> Vec<Diagnosis> {
    let mut found = Vec::new();
    let id = member.id;
    let next = |verb: &str| vec![format!("zkops {verb} {}", member.name)];
    let log = || host.unit.log.iter().rev().take(LOG_LINES).rev().cloned().collect::<Vec<_>>();
    let mut add = |cause, what: String, evidence, next| {
        found.push(Diagnosis { member: id, cause, what, evidence, next });
    };
    match &host.unit.state {
        UnitState::Absent => {
            add(
                Cause::NotInstalled,
                format!("{} has no zkops service", member.name),
                Vec::new(),
                vec![format!("zkops deploy {}", desired.inventory), format!("zkops repair {}", member.name)],
            );
        }
        UnitState::Stopped => {
            add(Cause::ProcessDead, format!("{} was stopped", member.name), log(), next("start"))
        }
        UnitState::Failed { how, .. } => {
            add(
                Cause::ProcessDead,
                format!("the server of {} ended: {how}", member.name),
                log(),
                next("repair"),
            );
        }
        UnitState::Running(_) if !alone => {}
        UnitState::Running(_) => {
            if install::stale(desired, facts, member, host).is_some() {
                let what = format!("{} runs with other settings than the inventory's", member.name);
                let next = vec![format!("zkops deploy {}", desired.inventory)];
                add(Cause::ConfigDiffers, what, vec![member.config_path.clone()], next);
            } else if ensemble::serves(desired, facts) {
                let mut evidence = silent_words(facts, id);
                evidence.extend(log());
                add(
                    Cause::Stuck,
                    format!("{} runs but is not in sync", member.name),
                    evidence,
                    next("repair"),
                );
            } else {
                let running = ensemble::running(desired, facts);
                let up = desired.voters().filter(|voter| running.contains(&voter.id)).count();
                let what = format!(
                    "{} waits for a quorum: {up} of {} voters run, {} are needed",
                    member.name,
                    desired.voters().count(),
                    desired.majority()
                );
                let mut evidence = silent_words(facts, id);
                if up >= desired.majority() {
                    evidence.extend(log());
                }
                // When enough run, the reasons of the others say what to do.
                let next = if up < desired.majority() { vec!["zkops start".to_owned()] } else { Vec::new() };
                add(Cause::NoQuorum, what, evidence, next);
            }
        }
    }
    found
}

fn silent_words(facts: &Facts, id: ServerId) -> Vec<String> {
    match &facts.member(id).server {
        ServerView::Silent { why } => vec![format!("client port: {why}")],
        ServerView::NotServing { words } => vec![format!("client port says: {}", words.trim())],
        ServerView::Serving(_) | ServerView::Unasked => Vec::new(),
    }
}

/// Below this not even a transaction log of a few kilobytes grows reliably.
const DISK_FULL_BYTES: u64 = 1 << 20;
/// The end of a log beside everything else that a status shows; a failed run shows more.
const LOG_LINES: usize = 10;
