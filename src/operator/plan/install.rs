//! The steps that bring one member's files, ports and service to what the inventory asks:
//! shared by deploy and repair. Each is emitted only where the facts show that it is missing.

use super::account;
use super::desired::{Desired, DesiredMember};
use super::facts::{Facts, HostFacts, Installed, Marker, Myid, UnitState};
use super::layout::Slot;
use super::owners::Account;
use super::seen::Seen;
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

/// Directories, the user, myid and marker: what may be written while the server runs. `first_start` says that an empty
/// database is intended: no quorum of this ensemble was ever formed.
pub fn steps(
    desired: &Desired,
    facts: &Facts,
    member: &DesiredMember,
    data: Data,
    first_start: bool,
) -> Vec<Step> {
    let Some(host) = facts.host(member.id) else { return Vec::new() };
    let owner = account::of(member, host);
    let user = account::missing(member, host);
    let mut steps: Vec<Step> = user
        .map(|user| step(member, Action::EnsureUser { user }, "its server runs as nobody else"))
        .into_iter()
        .collect();
    steps.extend(directories(member, host, owner.as_ref()));
    let seen = host.data.is();
    if data == Data::MovedAside || seen.is_some_and(|data| data.myid != Myid::Is(member.id)) {
        let action = Action::PutFile {
            path: member.myid_path(),
            mode: 0o600,
            content: member.myid(),
            owner: owner.clone(),
        };
        steps.push(step(member, action, "the member's identity"));
    }
    let marker =
        Marker { cluster: desired.cluster.clone(), uuid: facts.uuid_of(&desired.cluster), id: member.id };
    if data == Data::MovedAside || seen.is_some_and(|data| data.marker.as_ref() != Some(&marker)) {
        let action = Action::WriteMarker { data_dir: member.dirs.data.clone(), marker, owner: owner.clone() };
        steps.push(step(member, action, "says whose data this is"));
    }
    let empty = seen.is_some_and(|data| data.empty && !data.initialize);
    if first_start && empty && host.unit.is_down() {
        let action = Action::AllowEmptyDatabase { path: member.initialize_path(), owner: owner.clone() };
        steps.push(step(member, action, "first deployment: there is nothing to forget"));
    }
    if host.unit.installed == Seen::Is(Installed::AsWanted) && host.unit.enabled.is().is_none() {
        steps.push(service(member, owner, "would not start at boot"));
    }
    steps
}

/// What the member's next process is to run, put into the slot that does not count: whatever restarts meanwhile runs
/// what it ran before.
pub(super) fn fill_slot(desired: &Desired, facts: &Facts, member: &DesiredMember) -> Vec<Step> {
    let Some(host) = facts.host(member.id) else { return Vec::new() };
    let Some((why, slot)) = new_slot(desired, facts, member, host) else { return Vec::new() };
    let running = host.binary.installed_sha256.is();
    let wanted = desired.binary.as_ref().map(|binary| &binary.sha256).or(running);
    let binary = wanted.map(|sha256| {
        let action = Action::InstallBinary {
            staged: member.staged_path.clone(),
            path: member.slot_binary(slot),
            sha256: sha256.clone(),
        };
        let why = match running {
            None => "not installed",
            Some(sha) if sha == sha256 => "beside the new zoo.cfg",
            Some(_) => "another version is installed",
        };
        step(member, action, why)
    });
    let owner = account::of(member, host).map(|account| Account { user: "root".to_owned(), ..account });
    let config = Action::PutFile {
        path: member.slot_config(slot),
        mode: 0o640,
        content: member.zoo_cfg(&facts.uuid_of(&desired.cluster)),
        owner,
    };
    binary.into_iter().chain([step(member, config, why)]).collect()
}

/// Right before the member's own start: its data given to its user, the slot switched, the service defined. With data
/// to be given its server is stopped first; the caller starts it.
pub(super) fn enter(desired: &Desired, facts: &Facts, member: &DesiredMember, host: &HostFacts) -> Vec<Step> {
    let mut steps = Vec::new();
    let owner = account::of(member, host);
    let paths = account::to_give(member, host);
    if let Some(owner) = owner.clone().filter(|_| !paths.is_empty()) {
        if !matches!(host.unit.state, Seen::Absent | Seen::Is(UnitState::Stopped)) {
            let stop = step(member, Action::Service(Service::Stopped), "its data changes hands");
            steps.push(stop.undo(format!("zkops start {}", member.name)));
        }
        let why = given(host, &paths);
        steps.push(step(member, Action::Own { paths, owner }, &why));
    }
    if let Some((why, to)) = new_slot(desired, facts, member, host) {
        steps.push(step(member, Action::SwitchSlot { link: member.link_path(), to }, why));
    }
    let why = match host.unit.installed {
        Seen::Absent => "not installed",
        Seen::Is(Installed::Differs) => "differs from the inventory",
        Seen::Is(Installed::Masked) => "is masked",
        Seen::Is(Installed::AsWanted) => return steps,
        Seen::Unseen(_) => "could not be compared with the inventory",
    };
    steps.push(service(member, owner, why));
    steps
}

/// Whether the member's next process must be another one than its last, why, and the slot for it.
fn new_slot(
    desired: &Desired,
    facts: &Facts,
    member: &DesiredMember,
    host: &HostFacts,
) -> Option<(&'static str, Slot)> {
    let slot = host.layout.free()?;
    let why = if host.layout.is_older() {
        "deployed in the older layout"
    } else if host.layout.current.is_absent() {
        "not installed"
    } else if !desired.accepts_binary(&host.binary.installed_sha256) {
        "another version is installed"
    } else if !same_file(host, &member.config_path, &member.zoo_cfg(&facts.uuid_of(&desired.cluster))) {
        "differs from the inventory"
    } else if unreadable(member, host) {
        "its server's user could not read it"
    } else {
        return None;
    };
    Some((why, slot))
}

/// The zoo.cfg that counts was put there for another user.
fn unreadable(member: &DesiredMember, host: &HostFacts) -> bool {
    let account = account::of(member, host).filter(|account| account.user != "root");
    account.is_some_and(|account| {
        host.file(&member.config_path).is_and(|file| file.group != account.group && file.mode & 0o004 == 0)
    })
}

/// Why the running server must become a new process to be what the inventory asks; `None`: it is.
pub fn stale(
    desired: &Desired,
    facts: &Facts,
    member: &DesiredMember,
    host: &HostFacts,
) -> Option<&'static str> {
    let Seen::Is(UnitState::Running(process)) = &host.unit.state else { return None };
    let config = host.file(&member.config_path);
    let changed_since = config
        .is()
        .zip(process.started_ms)
        .is_some_and(|(file, started)| file.mtime_ms > started + CLOCK_GRAIN_MS);
    let wanted = member.zoo_cfg(&facts.uuid_of(&desired.cluster));
    if host.layout.is_older() {
        Some("it runs in the older layout")
    } else if !same_file(host, &member.config_path, &wanted) || changed_since {
        Some("it runs with an older zoo.cfg")
    } else if process
        .exe_sha256
        .as_deref()
        .is_some_and(|sha| !desired.accepts_binary(&Seen::Is(sha.to_owned())))
    {
        Some("it runs an older binary")
    } else if process.is_current == Some(false) {
        Some("it runs what counted before")
    } else if !account::to_give(member, host).is_empty() {
        Some("its data belongs to another user")
    } else if matches!(host.unit.installed, Seen::Is(Installed::Differs) | Seen::Absent) {
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

fn directories(member: &DesiredMember, host: &HostFacts, owner: Option<&Account>) -> Vec<Step> {
    let made = member.directories().into_iter().filter(|path| host.dir(path).exists.is().is_none());
    let mut steps: Vec<Step> = made
        .map(|path| {
            // What clients store is for no other login on the host.
            let of_server = path != member.dirs.install;
            let mode = if of_server { 0o700 } else { 0o755 };
            let owner = owner.filter(|_| of_server).cloned();
            step(member, Action::EnsureDir { path: path.to_owned(), mode, owner }, "missing")
        })
        .collect();
    let Some(seen) = host.owners.is() else { return steps };
    let (var, dynamic) = (member.var_dir(), member.dynamic_dir());
    let why = match seen.dirs.get(&var) {
        None => Some("missing"),
        Some(dir) if dir.mode & 0o077 != 0 => Some("others can look into it"),
        Some(_) => None,
    };
    steps.extend(why.map(|why| step(member, Action::EnsureDir { path: var, mode: 0o700, owner: None }, why)));
    if !seen.dirs.contains_key(&dynamic) {
        let action = Action::EnsureDir { path: dynamic, mode: 0o700, owner: owner.cloned() };
        steps.push(step(member, action, "missing"));
    }
    steps
}

fn service(member: &DesiredMember, account: Option<Account>, why: &str) -> Step {
    let definition = member.unit.definition(account.as_ref());
    step(member, Action::Service(Service::Installed { definition, account }), why)
}

/// What is said of data that changes hands: whose it was, and where it is if its name is a link.
fn given(host: &HostFacts, paths: &[String]) -> String {
    let dirs = host.owners.is().map(|owners| &owners.dirs);
    let mut said: Vec<String> = Vec::new();
    for (path, seen) in paths.iter().filter_map(|path| Some((path, dirs?.get(path)?))) {
        said.push(match (&seen.target, &seen.stranger) {
            (Some(target), _) => format!("{path} is a link to {target}, which is {}'s", seen.owner),
            (None, Some(stranger)) => format!("{stranger} is somebody else's"),
            (None, None) => format!("now {}'s", seen.owner),
        });
    }
    said.dedup();
    said.join("; ")
}

fn same_file(host: &HostFacts, path: &str, content: &str) -> bool {
    host.file(path).is_and(|file| file.sha256 == sha256_hex(content))
}

/// A process's start is known to clock ticks of ten milliseconds and through an uptime.
const CLOCK_GRAIN_MS: i64 = 200;
