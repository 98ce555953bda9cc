//! One host's own account of itself: asked in parallel over one link, put into the planners'
//! words by `words`. What could not be answered is unseen, with the host's reason.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use futures_util::future::join_all;

use super::answer::{seen, wall_ms};
use super::{installed, remains, words};
use crate::operator::fleet::hosts::Host;
use crate::operator::fleet::unit;
use crate::operator::host::CallError;
use crate::operator::host::data::{InspectData, Inspection};
use crate::operator::host::files::{Found, PathSpace, PathStat};
use crate::operator::host::net::Expected;
use crate::operator::host::service::{Active, FindServer, RunningServer, ServiceCall, ServiceState, Verb};
use crate::operator::plan::account;
use crate::operator::plan::desired::{Desired, DesiredMember};
use crate::operator::plan::facts::{Clock, DataFacts, DirFacts, HostFacts, Installed, NameFacts, UnitFacts};
use crate::operator::plan::seen::Seen;
use crate::operator::plan::wipe::OLD;

/// How much is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Depth {
    /// What a planner needs to know of a host that serves or served.
    State,
    /// As State, and the clock, fences, and names that the inventory has for addresses.
    Diagnosis,
    /// As Diagnosis, and all names, and whether directories can be written.
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
    let mut files = installed::paths(member);
    files.extend([PathBuf::from(&member.config_path), definition.clone()]);
    let parts = words::parts(member);
    let state = ServiceCall { service: unit::service(&manager, member), verb: Verb::State };

    let (spaces, stats, inspection, ports, state, servers, on_data, config, written, quarantined, journal) = tokio::join!(
        link.disk_space(dirs.clone()),
        link.stat(dirs.iter().chain(&files).cloned().chain(parts.iter().map(PathBuf::from)).collect()),
        link.inspect_data(inspected(member)),
        link.ports_in_use(member.ports.all().to_vec()),
        link.service(state),
        by_config(member, host, deadline),
        link.find_server(by_data(member)),
        config(member, host, deadline),
        link.read_file(definition, CONFIG_BYTES_MAX),
        quarantined(member, host, deadline),
        link.read_journal(PathBuf::from(unit::journal_path(member)), JOURNAL_LINES),
    );
    let (clock, names, obstacles, owners, fences, left_behind) = tokio::join!(
        clock(host, depth, deadline),
        names(desired, host, depth, deadline),
        obstacles(member, host, depth, deadline),
        installed::owners(member, host, depth > Depth::State, deadline),
        fences(host, depth, deadline),
        remains::left_behind(member, host, &config, deadline),
    );
    // The host is gone if it cannot even say how its service is.
    let state = match state {
        Err(CallError::Gone(gone)) => return Err(gone.into()),
        other => other.map(|report| report.state),
    };
    let stats = Stats { answered: seen(stats) };
    let servers = processes(servers, on_data);
    let written = seen(written).map(|file| file.content.into_text());
    let mut facts = HostFacts {
        layout: installed::layout(member, |path| stats.found(path)),
        owners,
        clock,
        dirs: dir_facts(member, seen(spaces), &stats, &obstacles),
        data: data(member, seen(inspection), parts, &stats, quarantined),
        files: [(member.config_path.clone(), words::file(&config, stats.found(&member.config_path)))].into(),
        // Asked last, when it is known how the member is.
        firewall: Seen::default(),
        sources: Seen::default(),
        journal: words::journal(seen(journal).map(|tail| tail.lines)),
        names,
        fences,
        left_behind,
        installed_config: config,
        ..machine_facts(member, host)
    };
    // The definition names whom the server runs as, which the rest tells.
    facts.unit = unit_facts(member, host, &facts, seen(state), &servers, written, deadline).await;
    facts.ports = seen(ports).map(|ports| words::ports(&ports, member, facts.unit.runs()));
    facts.processes = servers.map(|servers| servers.iter().map(words::process_facts).collect());
    Ok(facts)
}

/// The text of the zoo.cfg that counts: that of the slot, else that of the layout before the slots.
async fn config(member: &DesiredMember, host: &Host, deadline: Duration) -> Seen<String> {
    let link = host.link.within(deadline);
    for path in [member.config_path.clone(), member.legacy_config()] {
        let read = seen(link.read_file(PathBuf::from(path), CONFIG_BYTES_MAX).await);
        if !read.is_absent() {
            return read.map(|file| file.content.into_text());
        }
    }
    Seen::Absent
}

/// What is at the paths that were asked about.
struct Stats {
    answered: Seen<Vec<PathStat>>,
}

impl Stats {
    fn found(&self, path: &str) -> Seen<&Found> {
        let stats = match self.answered.as_ref() {
            Seen::Is(stats) => stats,
            Seen::Absent => return Seen::default(),
            Seen::Unseen(why) => return Seen::Unseen(why),
        };
        match stats.iter().find(|stat| stat.path.as_os_str() == path) {
            Some(PathStat { problem: Some(problem), .. }) => Seen::unseen(problem.to_string(), wall_ms()),
            Some(PathStat { found, .. }) => Seen::answered(found.as_ref()),
            None => Seen::default(),
        }
    }
}

/// Whoever runs from the member's configuration, and whoever runs on its data.
fn processes(
    of_config: Result<Vec<RunningServer>, CallError>,
    on_data: Result<Vec<RunningServer>, CallError>,
) -> Seen<Vec<RunningServer>> {
    let (mut all, on_data) = match (seen(of_config), seen(on_data)) {
        (Seen::Is(of_config), Seen::Is(on_data)) => (of_config, on_data),
        (Seen::Unseen(why), _) | (_, Seen::Unseen(why)) => return Seen::Unseen(why),
        // A look at processes finds none or some; it is never not there.
        (Seen::Absent, _) | (_, Seen::Absent) => return Seen::default(),
    };
    for server in on_data {
        if all.iter().all(|known| known.process.pid != server.process.pid) {
            all.push(server);
        }
    }
    Seen::Is(all)
}

/// The member's data: all of it was looked at, or it was not seen.
fn data(
    member: &DesiredMember,
    inspection: Seen<Box<Inspection>>,
    parts: Vec<String>,
    stats: &Stats,
    quarantined: Seen<Vec<String>>,
) -> Seen<DataFacts> {
    let inspection = match inspection {
        Seen::Is(inspection) => inspection,
        Seen::Absent => return Seen::default(),
        Seen::Unseen(why) => return Seen::Unseen(why),
    };
    let mut data = match words::data(&inspection, member) {
        Ok(data) => data,
        Err(why) => return Seen::unseen(why, wall_ms()),
    };
    for path in parts {
        match stats.found(&path) {
            Seen::Is(_) => data.parts.push(path),
            Seen::Absent => {}
            Seen::Unseen(why) => return Seen::Unseen(why),
        }
    }
    match quarantined {
        Seen::Is(quarantined) => data.quarantined = quarantined,
        Seen::Absent => {}
        Seen::Unseen(why) => return Seen::Unseen(why),
    }
    Seen::Is(data)
}

/// Whoever runs from the member's zoo.cfg, or from that of the layout before the slots.
async fn by_config(
    member: &DesiredMember,
    host: &Host,
    deadline: Duration,
) -> Result<Vec<RunningServer>, CallError> {
    let link = host.link.within(deadline);
    let of = |config: String| FindServer { config: Some(PathBuf::from(config)), data_dir: None };
    let (mut found, older) = tokio::try_join!(
        link.find_server(of(member.config_path.clone())),
        link.find_server(of(member.legacy_config())),
    )?;
    found.extend(older);
    Ok(found)
}

fn by_data(member: &DesiredMember) -> FindServer {
    FindServer { config: None, data_dir: Some(PathBuf::from(&member.dirs.data)) }
}

fn inspected(member: &DesiredMember) -> InspectData {
    InspectData {
        data_dir: PathBuf::from(&member.dirs.data),
        log_dir: Some(PathBuf::from(&member.dirs.data_log)),
    }
}

/// Not asked where nothing is planned.
async fn fences(host: &Host, depth: Depth, deadline: Duration) -> Seen<Vec<IpAddr>> {
    if depth == Depth::State { Seen::default() } else { remains::fences(host, deadline).await }
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
    seen: &HostFacts,
    state: Seen<ServiceState>,
    servers: &Seen<Vec<RunningServer>>,
    written: Seen<String>,
    deadline: Duration,
) -> UnitFacts {
    let manager = host.manager(member);
    let stands = state.is_and(|state| state.active != Active::Running);
    let masked = state.is_and(|state| state.masked);
    let enabled = match state.as_ref() {
        Seen::Is(state) => Seen::answered(state.enabled.then_some(())),
        Seen::Absent => Seen::Absent,
        Seen::Unseen(why) => Seen::Unseen(why),
    };
    UnitFacts {
        installed: match masked {
            true => Seen::Is(Installed::Masked),
            false => written.map(|written| {
                unit::installed(&manager, member, account::of(member, seen).as_ref(), &written)
            }),
        },
        enabled,
        state: words::unit_state(state, servers, host, &seen.layout),
        log: if stands { log(member, host, deadline).await } else { Vec::new() },
    }
}

fn dir_facts(
    member: &DesiredMember,
    spaces: Seen<Vec<PathSpace>>,
    stats: &Stats,
    obstacles: &BTreeMap<String, Seen<String>>,
) -> BTreeMap<String, DirFacts> {
    let facts = member.directories().into_iter().map(|path| {
        let space = match spaces.as_ref() {
            Seen::Is(spaces) => spaces
                .iter()
                .find(|space| space.path.as_os_str() == path)
                .map_or_else(Seen::default, Seen::Is),
            Seen::Absent => Seen::default(),
            Seen::Unseen(why) => Seen::Unseen(why),
        };
        let obstacle = obstacles.get(path).cloned().unwrap_or_default();
        (path.to_owned(), words::dir(space, stats.found(path).map(drop), obstacle))
    });
    facts.collect()
}

/// What repairs moved aside, in the dataDir and in a dataLogDir of its own.
async fn quarantined(member: &DesiredMember, host: &Host, deadline: Duration) -> Seen<Vec<String>> {
    let mut dirs = vec![&member.dirs.data, &member.dirs.data_log];
    dirs.dedup();
    let listed = dirs.into_iter().map(|dir| async move {
        let listing = seen(host.link.within(deadline).list_dir(PathBuf::from(dir)).await);
        listing.map(|listing| {
            let old = listing.entries.into_iter().filter(|entry| entry.name.starts_with(OLD));
            old.map(|entry| format!("{dir}/{}", entry.name)).collect::<Vec<_>>()
        })
    });
    let mut all = Vec::new();
    for listed in join_all(listed).await {
        match listed {
            Seen::Is(names) => all.extend(names),
            Seen::Absent => {}
            Seen::Unseen(why) => return Seen::Unseen(why),
        }
    }
    Seen::Is(all)
}

/// How one member's service and its processes are, and the end of its log when it does not run:
/// nothing else of its host is looked at.
pub async fn service(member: &DesiredMember, host: &Host, deadline: Duration) -> HostFacts {
    let link = host.link.within(deadline);
    let manager = host.manager(member);
    let call = ServiceCall { service: unit::service(&manager, member), verb: Verb::State };
    let (state, servers, on_data, stats) = tokio::join!(
        link.service(call),
        by_config(member, host, deadline),
        link.find_server(by_data(member)),
        link.stat(installed::paths(member)),
    );
    let stats = Stats { answered: seen(stats) };
    let layout = installed::layout(member, |path| stats.found(path));
    let servers = processes(servers, on_data);
    let state = words::unit_state(seen(state.map(|report| report.state)), &servers, host, &layout);
    let mut facts = HostFacts { layout, ..machine_facts(member, host) };
    facts.unit.state = state;
    facts.processes = servers.map(|servers| servers.iter().map(words::process_facts).collect());
    if !facts.unit.runs() {
        facts.unit.log = log(member, host, deadline).await;
    }
    facts
}

/// The last lines of the member's log, oldest first.
pub async fn log(member: &DesiredMember, host: &Host, deadline: Duration) -> Vec<String> {
    let source = unit::log_source(&host.manager(member), member);
    host.link.within(deadline).log_tail(source, LOG_LINES).await.map(|tail| tail.lines).unwrap_or_default()
}

async fn clock(host: &Host, depth: Depth, deadline: Duration) -> Seen<Clock> {
    if depth == Depth::State {
        return Seen::default();
    }
    host.clock(deadline).await.map_or_else(|why| Seen::unseen(why, wall_ms()), Seen::Is)
}

async fn names(desired: &Desired, host: &Host, depth: Depth, deadline: Duration) -> Seen<Vec<NameFacts>> {
    // What an address means decides whether it is blocked; a name that only people use is worth no question then.
    let by_name = desired.members.values().any(|member| !words::is_address(&member.address));
    if depth < Depth::Diagnosis || (depth < Depth::Preflight && !by_name) {
        return Seen::default();
    }
    let asked = desired
        .members
        .values()
        .map(|member| {
            let name = if words::is_address(&member.address) { &member.name } else { &member.address };
            Expected { name: name.clone(), ip: member.address.parse().ok() }
        })
        .collect();
    seen(host.link.within(deadline).names(asked).await).map(|report| words::names(&report))
}

/// Why directories cannot be written, where they cannot: tried with a real file.
async fn obstacles(
    member: &DesiredMember,
    host: &Host,
    depth: Depth,
    deadline: Duration,
) -> BTreeMap<String, Seen<String>> {
    if depth < Depth::Preflight {
        return BTreeMap::new();
    }
    let tried = member.directories().into_iter().map(|path| async move {
        let tried = host.link.within(deadline).check_writable(PathBuf::from(path)).await;
        let obstacle = match tried {
            Ok(_) => Seen::Absent,
            Err(CallError::Failed(failure)) => Seen::Is(failure.why),
            Err(why) => Seen::unseen(why.to_string(), wall_ms()),
        };
        (path.to_owned(), obstacle)
    });
    join_all(tried).await.into_iter().collect()
}

/// A zoo.cfg of a thousand members fits.
const CONFIG_BYTES_MAX: u64 = 1 << 20;
const LOG_LINES: usize = 20;
/// As far back as a deployment can lie behind restarts and repairs.
const JOURNAL_LINES: usize = 5_000;
