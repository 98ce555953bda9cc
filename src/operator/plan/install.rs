//! The steps that bring one member's files, ports and service to what the inventory asks:
//! shared by deploy and repair. Each is emitted only where the facts show that it is missing.

use super::desired::{Desired, DesiredMember};
use super::facts::{Facts, HostFacts, Installed, Marker, Myid};
use super::preflight;
use super::step::{Action, Risk, Service, Step};
use crate::wire::ids::ServerId;

/// What to assume about the data directories when the files are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Data {
    /// As the facts show them.
    AsSeen,
    /// Moved aside by an earlier wave of the same plan: nothing is there any more.
    MovedAside,
}

/// Ports that the member's own firewall does not let through yet.
pub fn open_ports(member: &DesiredMember, host: &HostFacts) -> Option<Step> {
    let ports = preflight::closed_ports(member, host);
    let kind = host.firewall.kind.as_deref().unwrap_or("no firewall");
    (!ports.is_empty()).then(|| {
        step(member, Action::OpenPorts { ports }, &format!("{kind} does not let them through for good"))
            .undo("close them again with the same tool; zkops destroy does it")
    })
}

/// Directories, binary, zoo.cfg, myid, marker and service definition. `first_start` says that an
/// empty database is intended: no quorum of this ensemble was ever formed.
pub fn steps(
    desired: &Desired,
    facts: &Facts,
    member: &DesiredMember,
    data: Data,
    first_start: bool,
) -> Vec<Step> {
    let Some(host) = facts.host(member.id) else { return Vec::new() };
    let mut steps = directories(member, host);
    let installed = host.binary.installed_sha256.as_deref();
    if let Some(binary) = desired.binary.as_ref().filter(|binary| installed != Some(&binary.sha256)) {
        let action = Action::InstallBinary {
            staged: member.staged_path.clone(),
            path: member.binary_path.clone(),
            sha256: binary.sha256.clone(),
        };
        let why = if installed.is_some() { "another version is installed" } else { "not installed" };
        steps.push(step(member, action, why));
    }
    let uuid = facts.uuid_of(&desired.cluster);
    let config = member.zoo_cfg(&uuid);
    if !same_file(host, &member.config_path, &config) {
        let why = if host.files.contains_key(&member.config_path) {
            "differs from the inventory"
        } else {
            "missing"
        };
        steps.push(put(member, &member.config_path, &config, why));
    }
    if data == Data::MovedAside || host.data.myid != Myid::Is(member.id) {
        steps.push(put(member, &member.myid_path(), &member.myid(), "the member's identity"));
    }
    let marker = Marker { cluster: desired.cluster.clone(), uuid, id: member.id };
    if data == Data::MovedAside || host.data.marker.as_ref() != Some(&marker) {
        let action = Action::WriteMarker { data_dir: member.dirs.data.clone(), marker };
        steps.push(step(member, action, "says whose data this is"));
    }
    if first_start && host.data.empty && !host.data.initialize && !host.unit.state.running() {
        let action = Action::AllowEmptyDatabase { path: member.initialize_path() };
        steps.push(step(member, action, "first deployment: there is nothing to forget"));
    }
    if host.unit.installed != Installed::Yes || !host.unit.enabled {
        let action = Action::Service(Service::Installed { definition: member.unit.definition.clone() });
        let why = match (host.unit.installed, host.unit.enabled) {
            (Installed::No, _) => "not installed",
            (Installed::Differs, _) => "differs from the inventory",
            (Installed::Yes, _) => "would not start at boot",
        };
        steps.push(step(member, action, why));
    }
    steps
}

/// Why the running server must become a new process to be what the inventory asks; `None`: it is.
pub fn stale(
    desired: &Desired,
    facts: &Facts,
    member: &DesiredMember,
    host: &HostFacts,
) -> Option<&'static str> {
    let super::facts::UnitState::Running(process) = &host.unit.state else { return None };
    let config = host.files.get(&member.config_path);
    let changed_since = config
        .zip(process.started_ms)
        .is_some_and(|(file, started)| file.mtime_ms > started + CLOCK_GRAIN_MS);
    let wanted = member.zoo_cfg(&facts.uuid_of(&desired.cluster));
    if !same_file(host, &member.config_path, &wanted) || changed_since {
        Some("it runs with an older zoo.cfg")
    } else if process.exe_sha256.as_deref().is_some_and(|sha| !desired.accepts_binary(Some(sha))) {
        Some("it runs an older binary")
    } else if host.unit.installed == Installed::Differs {
        Some("its service definition changed")
    } else {
        None
    }
}

/// A step without risk and without undo; the caller adds them.
pub fn step(member: &DesiredMember, action: Action, why: &str) -> Step {
    Step {
        member: member.id,
        name: member.name.clone(),
        action,
        why: why.to_owned(),
        risk: Risk::None,
        undo: None,
    }
}

impl Step {
    #[must_use]
    pub fn risk(self, risk: Risk) -> Step {
        Step { risk, ..self }
    }

    #[must_use]
    pub fn undo(self, undo: impl Into<String>) -> Step {
        Step { undo: Some(undo.into()), ..self }
    }
}

/// `path → its SHA-256 in hex` comparison for a file we would write.
pub fn sha256_hex(content: &str) -> String {
    use sha2::{Digest, Sha256};
    Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Members by id that the plan is about: the named ones, or all.
pub fn targets(desired: &Desired, named: &[ServerId]) -> Vec<ServerId> {
    if named.is_empty() { desired.members.keys().copied().collect() } else { named.to_vec() }
}

fn directories(member: &DesiredMember, host: &HostFacts) -> Vec<Step> {
    member
        .directories()
        .into_iter()
        .filter(|path| !host.dirs.get(*path).is_some_and(|dir| dir.exists))
        .map(|path| {
            // 0750: what clients store is not for every login on the host.
            let mode = if path == member.dirs.install { 0o755 } else { 0o750 };
            step(member, Action::EnsureDir { path: path.to_owned(), mode }, "missing")
        })
        .collect()
}

fn put(member: &DesiredMember, path: &str, content: &str, why: &str) -> Step {
    let action = Action::PutFile { path: path.to_owned(), mode: 0o644, content: content.to_owned() };
    step(member, action, why)
}

fn same_file(host: &HostFacts, path: &str, content: &str) -> bool {
    host.files.get(path).is_some_and(|file| file.sha256 == sha256_hex(content))
}

/// A process's start is known to clock ticks of ten milliseconds and through an uptime.
const CLOCK_GRAIN_MS: i64 = 200;
