//! One host's own account of itself: asked in parallel over one link, put into the planners'
//! words by `words`. What could not be answered stays unknown.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use futures_util::future::join_all;

use super::words;
use crate::operator::fleet::hosts::Host;
use crate::operator::fleet::journal::Entry;
use crate::operator::fleet::unit;
use crate::operator::host::CallError;
use crate::operator::host::data::InspectData;
use crate::operator::host::files::PathSpace;
use crate::operator::host::net::Expected;
use crate::operator::host::service::{Active, FindServer, RunningServer, ServiceCall, ServiceState, Verb};
use crate::operator::plan::desired::{Desired, DesiredMember};
use crate::operator::plan::facts::{
    Clock, DirFacts, FirewallFacts, HostFacts, NameFacts, UnitFacts, UnitState,
};
use crate::operator::plan::repair::OLD;

/// How much is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Depth {
    /// What a planner needs to know of a host that serves or served.
    State,
    /// As State, and the clock.
    Diagnosis,
    /// As Diagnosis, and names, and whether directories can be written.
    Preflight,
}

/// Asks one host everything at once.
///
/// # Errors
/// When the host itself is gone; single questions that fail leave their answer unknown.
pub async fn host(
    desired: &Desired,
    member: &DesiredMember,
    host: &Host,
    depth: Depth,
    deadline: Duration,
) -> Result<HostFacts, CallError> {
    let link = host.link.within(deadline);
    let manager = host.manager(member);
    let dirs: Vec<PathBuf> = member.directories().into_iter().map(PathBuf::from).collect();
    let definition = unit::definition_path(&manager, member);
    let files = vec![PathBuf::from(&member.config_path), definition.clone()];
    let parts = words::parts(member);
    let find = FindServer { config: Some(PathBuf::from(&member.config_path)), data_dir: None };
    let state = ServiceCall { service: unit::service(&manager, member), verb: Verb::State };

    let (spaces, stats, seen, ports, state, servers, config, written, quarantined, journal) = tokio::join!(
        link.disk_space(dirs.clone()),
        link.stat(dirs.iter().chain(&files).cloned().chain(parts.iter().map(PathBuf::from)).collect()),
        link.inspect_data(inspected(member)),
        link.ports_in_use(member.ports.all().to_vec()),
        link.service(state),
        link.find_server(find),
        link.read_file(PathBuf::from(&member.config_path), CONFIG_BYTES_MAX),
        link.read_file(definition, CONFIG_BYTES_MAX),
        quarantined(member, host, deadline),
        link.read_journal(PathBuf::from(unit::journal_path(member)), JOURNAL_LINES),
    );
    let (clock, names, obstacles) = tokio::join!(
        clock(host, depth, deadline),
        names(desired, host, depth, deadline),
        obstacles(member, host, depth, deadline),
    );
    let stats = stats.unwrap_or_default();
    let there = |path: &str| {
        stats.iter().find(|stat| stat.path.as_os_str() == path).and_then(|stat| stat.found.as_ref())
    };
    // The host is gone if it cannot even say how its service is.
    let state = match state {
        Err(CallError::Gone(gone)) => return Err(gone.into()),
        other => other.map(|report| report.state),
    };
    let servers = servers.unwrap_or_default();
    let config = config.ok().map(|file| file.content.into_text());
    let written = written.ok().map(|file| file.content.into_text());
    let unit = unit_facts(member, host, state.ok().as_ref(), &servers, written.as_deref(), deadline).await;
    let lines = journal.map(|tail| tail.lines).unwrap_or_default();
    let journal: Vec<Entry> = lines.iter().filter_map(|line| Entry::read(line)).collect();
    let mut data = seen.map(|seen| words::data(&seen, member)).unwrap_or_default();
    data.parts = parts.into_iter().filter(|path| there(path).is_some()).collect();
    data.quarantined = quarantined;
    Ok(HostFacts {
        clock,
        dirs: dir_facts(&spaces.unwrap_or_default(), |path| there(path).is_some(), &obstacles),
        data,
        files: words::files(member, config.as_deref(), there(&member.config_path)),
        installed_config: config,
        ports: words::ports(&ports.unwrap_or_default(), member, unit.state.running()),
        // Asked last, when it is known how the member is.
        firewall: FirewallFacts::default(),
        opened_zone: words::opened_zone(&journal),
        last_entry: lines.last().cloned(),
        opened_ports: words::opened_ports(&journal),
        names,
        unit,
        ..machine_facts(member, host)
    })
}

fn inspected(member: &DesiredMember) -> InspectData {
    InspectData {
        data_dir: PathBuf::from(&member.dirs.data),
        log_dir: Some(PathBuf::from(&member.dirs.data_log)),
    }
}

/// What was known when the host was reached.
fn machine_facts(member: &DesiredMember, host: &Host) -> HostFacts {
    let machine = host.machine();
    HostFacts {
        arch: machine.arch.clone(),
        kernel: machine.kernel.clone(),
        distro: machine.os.pretty.clone(),
        hostname: machine.hostname.clone(),
        root: machine.uid == 0,
        systemd: unit::is_systemd(&host.manager(member)),
        binary: host.binary.clone(),
        ..HostFacts::default()
    }
}

/// How the service is, and the end of its log where it does not run; `written` is its installed definition.
async fn unit_facts(
    member: &DesiredMember,
    host: &Host,
    state: Option<&ServiceState>,
    servers: &[RunningServer],
    written: Option<&str>,
    deadline: Duration,
) -> UnitFacts {
    let manager = host.manager(member);
    let stands = state.is_some_and(|state| state.active != Active::Running);
    UnitFacts {
        installed: unit::installed(&manager, member, written),
        enabled: state.is_some_and(|state| state.enabled) || unit::needs_no_enabling(&manager),
        state: state.map_or(UnitState::Absent, |state| words::unit_state(state, servers, member, host)),
        log: if stands { log(member, host, deadline).await } else { Vec::new() },
    }
}

fn dir_facts(
    spaces: &[PathSpace],
    there: impl Fn(&str) -> bool,
    obstacles: &BTreeMap<String, String>,
) -> BTreeMap<String, DirFacts> {
    let facts = spaces.iter().map(|space| {
        let path = space.path.to_string_lossy().into_owned();
        let facts = words::dir(space, there(&path), obstacles.get(&path).cloned());
        (path, facts)
    });
    facts.collect()
}

/// What repairs moved aside, in the dataDir and in a dataLogDir of its own.
async fn quarantined(member: &DesiredMember, host: &Host, deadline: Duration) -> Vec<String> {
    let mut dirs = vec![&member.dirs.data, &member.dirs.data_log];
    dirs.dedup();
    let listed = dirs.into_iter().map(|dir| async move {
        let listing = host.link.within(deadline).list_dir(PathBuf::from(dir)).await;
        let entries = listing.map(|listing| listing.entries).unwrap_or_default();
        let old = entries.into_iter().filter(|entry| entry.name.starts_with(OLD));
        old.map(|entry| format!("{dir}/{}", entry.name)).collect::<Vec<_>>()
    });
    join_all(listed).await.concat()
}

/// How one member's service is, and the end of its log when it does not run.
pub async fn service(
    member: &DesiredMember,
    host: &Host,
    deadline: Duration,
) -> Option<(UnitState, Vec<String>)> {
    let link = host.link.within(deadline);
    let manager = host.manager(member);
    let call = ServiceCall { service: unit::service(&manager, member), verb: Verb::State };
    let state = link.service(call).await.ok()?.state;
    let find = FindServer { config: Some(PathBuf::from(&member.config_path)), data_dir: None };
    let servers = link.find_server(find).await.unwrap_or_default();
    let log = log(member, host, deadline).await;
    Some((words::unit_state(&state, &servers, member, host), log))
}

/// The last lines of the member's log, oldest first.
pub async fn log(member: &DesiredMember, host: &Host, deadline: Duration) -> Vec<String> {
    let source = unit::log_source(&host.manager(member), member);
    host.link.within(deadline).log_tail(source, LOG_LINES).await.map(|tail| tail.lines).unwrap_or_default()
}

async fn clock(host: &Host, depth: Depth, deadline: Duration) -> Option<Clock> {
    if depth == Depth::State {
        return None;
    }
    host.clock(deadline).await
}

async fn names(desired: &Desired, host: &Host, depth: Depth, deadline: Duration) -> Vec<NameFacts> {
    if depth < Depth::Preflight {
        return Vec::new();
    }
    let asked = desired
        .members
        .values()
        .map(|member| {
            let name = if words::is_address(&member.address) { &member.name } else { &member.address };
            Expected { name: name.clone(), ip: member.address.parse().ok() }
        })
        .collect();
    host.link.within(deadline).names(asked).await.map(|report| words::names(&report)).unwrap_or_default()
}

/// Directories that cannot be written, and why: tried with a real file.
async fn obstacles(
    member: &DesiredMember,
    host: &Host,
    depth: Depth,
    deadline: Duration,
) -> BTreeMap<String, String> {
    if depth < Depth::Preflight {
        return BTreeMap::new();
    }
    let tried = member.directories().into_iter().map(|path| async move {
        let why = host.link.within(deadline).check_writable(PathBuf::from(path)).await.err()?;
        Some((path.to_owned(), why.failure().map_or_else(|| why.to_string(), |failure| failure.why.clone())))
    });
    join_all(tried).await.into_iter().flatten().collect()
}

/// A zoo.cfg of a thousand members fits.
const CONFIG_BYTES_MAX: u64 = 1 << 20;
const LOG_LINES: usize = 20;
/// As far back as a deployment can lie behind restarts and repairs.
const JOURNAL_LINES: usize = 5_000;
