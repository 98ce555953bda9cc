//! The vocabulary of a plan: steps that name a desired state, the waves that group them, and the
//! gates that must hold before the next wave may begin. Says nothing about how a step is done.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;

use sha2::{Digest, Sha256};

use super::facts::Marker;
use super::layout::Slot;
use super::owners::Account;
use crate::formats::opening::Opening;
use crate::wire::ids::ServerId;

/// What will be done, in order. The plan that is shown is the plan that is applied: both carry
/// the same [`Plan::fingerprint`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// What it is for: `deploy orders`.
    pub title: String,
    pub waves: Vec<Wave>,
    /// Things worth knowing before saying yes; nothing here stops the plan.
    pub warnings: Vec<String>,
    /// Members the goal is about whose hosts cannot be used: the rest is done without them.
    pub skipped: Vec<super::Refused>,
}

impl Plan {
    pub fn is_empty(&self) -> bool {
        self.waves.is_empty()
    }

    pub fn steps(&self) -> impl Iterator<Item = &Step> {
        self.waves.iter().flat_map(|wave| &wave.steps)
    }

    /// It restarts servers all at once, provided that nothing is served by then.
    pub fn expects_idle(&self) -> bool {
        let gates = self.waves.iter().flat_map(|wave| &wave.gates);
        gates.into_iter().any(|gate| gate.condition == Condition::Idle)
    }

    /// Adds a wave, unless it would do nothing and prove nothing.
    pub fn push(&mut self, wave: Wave) {
        if !(wave.steps.is_empty() && wave.gates.is_empty()) {
            self.waves.push(wave);
        }
    }

    /// Twelve hex digits over everything the plan does, file contents included.
    pub fn fingerprint(&self) -> String {
        let mut hash = Sha256::new();
        hash.update(self.to_string());
        for step in self.steps() {
            if let Action::PutFile { content, .. } = &step.action {
                hash.update(content);
            }
        }
        hash.finalize().iter().take(6).map(|byte| format!("{byte:02x}")).collect()
    }
}

/// Steps on several members at once; all are done and all gates hold before the next wave.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Wave {
    pub title: String,
    /// Steps of one member are done in this order; members run in parallel.
    pub steps: Vec<Step>,
    pub gates: Vec<Gate>,
    pub shut: Shut,
    /// Done when a gate stays shut, before anything is said: the state before the wave.
    pub revert: Vec<Step>,
}

/// What it means when a gate of a wave stays shut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Shut {
    /// Stopped half-way: run again to resume.
    #[default]
    Halfway,
    /// The hosts turned out not to be fit for the goal.
    Preflight,
    /// The proof failed: going on could lose data.
    Refused,
}

/// One desired state on one member.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    pub member: ServerId,
    /// The member's name, for people.
    pub name: String,
    pub action: Action,
    /// Why it is needed, from the facts.
    pub why: String,
    pub risk: Risk,
    /// How a person takes it back; `None`: nothing to take back.
    pub undo: Option<String>,
}

/// What a step could cost while it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Risk {
    /// Serving is not touched.
    None,
    /// This member's clients reconnect elsewhere.
    Clients,
    /// This member is a voter and does not count while the step lasts.
    Voter,
    /// The ensemble stops serving; the goal asked for it.
    Service,
}

/// A desired state. A step whose state holds already does nothing and says so.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    EnsureDir {
        path: String,
        mode: u32,
        /// Whose it is; `None`: whoever makes it.
        owner: Option<Account>,
    },
    /// A user of the system, without a shell and without a home.
    EnsureUser {
        user: String,
    },
    /// The binary that was sent, put into a slot that does not count yet.
    InstallBinary {
        staged: String,
        path: String,
        sha256: String,
    },
    PutFile {
        path: String,
        mode: u32,
        content: String,
        owner: Option<Account>,
    },
    /// These trees belong to the user, for nobody else to read. Only while no server runs there.
    Own {
        paths: Vec<String>,
        owner: Account,
    },
    /// From now on the slot counts: what starts, starts from there.
    SwitchSlot {
        link: String,
        to: Slot,
    },
    /// Nothing of the layout before the slots is left.
    RemoveLegacy {
        dir: String,
    },
    /// Open now and after a reboot.
    OpenPorts {
        openings: Vec<Opening>,
        /// Where listeners saw members come from, by name: later plans must know of it, too.
        observed: BTreeMap<String, BTreeSet<IpAddr>>,
    },
    /// Closes what we opened, and nothing of others.
    ClosePorts {
        openings: Vec<Opening>,
    },
    /// Whose data this is, written into the dataDir; never over another identity.
    WriteMarker {
        data_dir: String,
        marker: Marker,
        owner: Option<Account>,
    },
    /// `initialize` in the dataLogDir: an empty database here is intended (disk-format §8).
    AllowEmptyDatabase {
        path: String,
        owner: Option<Account>,
    },
    /// Renamed inside its own directory; nothing is deleted.
    Quarantine {
        path: String,
        to: String,
    },
    Service(Service),
    RemovePath {
        path: String,
        recursive: bool,
    },
    /// A user that a deployment made is gone, unless something else runs as it.
    RemoveUser {
        user: String,
    },
    /// Slots, journal and lock are gone from the install directory; the directory too if
    /// nothing else is in it, and so are those above that deploy made.
    Uninstall {
        dir: String,
        made: Vec<String>,
    },
    /// On the member's old host: its server is stopped, its service disabled, and nothing of it is left running.
    Retire {
        address: String,
    },
    /// On the member's old host: what deploy put there is gone, its data stay.
    Vacate {
        address: String,
        openings: Vec<Opening>,
        /// Members that it blocks since a move to it was begun.
        fences: Vec<IpAddr>,
        /// As with `Uninstall`.
        made: Vec<String>,
    },
    /// Nothing goes to these addresses and nothing comes from them, now and after a reboot.
    Fence {
        addresses: Vec<IpAddr>,
    },
    Unfence {
        addresses: Vec<IpAddr>,
    },
}

impl Action {
    /// Where it is done, when that is where the member was and not where it is.
    pub fn old_address(&self) -> Option<&str> {
        match self {
            Action::Retire { address } | Action::Vacate { address, .. } => Some(address),
            _ => None,
        }
    }

    /// Nothing of ours is left behind it on that host, the journal neither.
    pub(crate) fn takes_everything(&self) -> bool {
        matches!(self, Action::Uninstall { .. } | Action::Vacate { .. })
    }

    /// An old server is harmless behind it: only then may its id start elsewhere.
    pub(crate) fn ends_an_old_server(&self) -> bool {
        matches!(self, Action::Retire { .. } | Action::Fence { .. })
    }
}

/// Desired states of the unit that runs a member's server.
#[derive(Clone, Debug, PartialEq)]
pub enum Service {
    /// Defined as `definition` says, for this user, and enabled at boot.
    Installed {
        definition: String,
        account: Option<Account>,
    },
    Started,
    /// A new process, because the running one has an older configuration or binary.
    Restarted,
    Stopped,
    /// Neither defined nor enabled.
    Removed,
}

/// What must hold before the next wave begins; evaluated while applying, with one deadline.
#[derive(Clone, Debug, PartialEq)]
pub struct Gate {
    pub condition: Condition,
    pub deadline_ms: u64,
}

impl Gate {
    /// With the deadline that fits its condition.
    pub fn of(condition: Condition) -> Gate {
        let deadline_ms = match &condition {
            Condition::Reachable { .. } => 15_000,
            Condition::Alive { .. } | Condition::Idle => 5_000,
            // Apache's own initLimit default in the sample file is 10 ticks of 2 s, after an
            // election of a few seconds; a large snapshot may take the rest.
            Condition::Quorum { .. }
            | Condition::Synced { .. }
            | Condition::Ready
            | Condition::Down { .. } => 60_000,
        };
        Gate { condition, deadline_ms }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    /// Every host reaches these members' quorum and election ports and the operator their
    /// client ports, tried with real listeners through the real firewall.
    Reachable { members: Vec<ServerId> },
    /// One leader and in all at least `min` voters in sync, `without` not counted, and a canary
    /// commits there.
    Quorum { min: usize, without: Option<ServerId> },
    /// This member serves and a canary committed through it.
    Synced { member: ServerId },
    /// The process lives and keeps living; a quorum to serve with is not there yet.
    Alive { member: ServerId },
    /// No process of this member is left.
    Down { member: ServerId },
    /// Nothing is served: whatever is restarted together interrupts nobody. Shut for good as soon
    /// as a quorum has formed.
    Idle,
    /// One leader, every other member following and synced, a canary write committed through
    /// the leader and read back through every node.
    Ready,
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            writeln!(f, "{}: nothing to do", self.title)?;
        } else {
            writeln!(f, "{}", self.title)?;
        }
        for (number, wave) in self.waves.iter().enumerate() {
            writeln!(f, "{}. {}", number + 1, wave.title)?;
            for step in &wave.steps {
                writeln!(f, "   {}: {}", step.name, step)?;
            }
            for gate in &wave.gates {
                writeln!(f, "   then {} (within {} s)", gate.condition, gate.deadline_ms.div_ceil(1000))?;
            }
            for step in &wave.revert {
                writeln!(f, "   else {}: {}", step.name, step)?;
            }
        }
        for warning in &self.warnings {
            writeln!(f, "note: {warning}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.action)?;
        if !self.why.is_empty() {
            write!(f, " [{}]", self.why)?;
        }
        if self.risk != Risk::None {
            write!(f, " risk: {}", self.risk)?;
        }
        if let Some(undo) = &self.undo {
            write!(f, " undo: {undo}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Risk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Risk::None => "none",
            Risk::Clients => "its clients reconnect",
            Risk::Voter => "one voter down meanwhile",
            Risk::Service => "the ensemble stops serving",
        })
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Action::EnsureDir { path, .. } => write!(f, "directory {path}"),
            Action::InstallBinary { path, sha256, .. } => write!(f, "binary {path} {}", short(sha256)),
            Action::PutFile { path, content, .. } => write!(f, "file {path} ({} bytes)", content.len()),
            Action::OpenPorts { openings, .. } => write!(f, "open {}", list(openings)),
            Action::ClosePorts { openings } => write!(f, "close {}", list(openings)),
            Action::EnsureUser { user } => write!(f, "user {user} of the system"),
            Action::Own { paths, owner } => {
                write!(f, "{} {} to {owner}", paths.join(" "), belong(paths.len()))
            }
            Action::SwitchSlot { to, .. } => write!(f, "run from {to}"),
            Action::RemoveLegacy { dir } => write!(f, "remove {dir}/bin and {dir}/conf"),
            Action::RemoveUser { user } => write!(f, "remove the user {user}"),
            Action::WriteMarker { data_dir, marker, .. } => {
                write!(f, "mark {data_dir} as server {} of {}", marker.id, marker.cluster)
            }
            Action::AllowEmptyDatabase { path, .. } => write!(f, "first start may begin empty: {path}"),
            Action::Quarantine { path, to } => write!(f, "move {path} aside to {to}"),
            Action::Service(service) => service.fmt(f),
            Action::RemovePath { path, recursive: false } => write!(f, "remove {path}"),
            Action::RemovePath { path, recursive: true } => write!(f, "remove {path} and all in it"),
            Action::Uninstall { dir, made } if made.is_empty() => write!(f, "remove zkops from {dir}"),
            Action::Uninstall { dir, made } => {
                write!(f, "remove zkops from {dir}, and {} where nothing is left in them", made.join(" "))
            }
            Action::Retire { address } => write!(f, "server on {address} stopped and disabled"),
            Action::Vacate { address, openings, .. } if openings.is_empty() => {
                write!(f, "service and zkops removed from {address}")
            }
            Action::Vacate { address, openings, .. } => {
                write!(f, "service and zkops removed from {address}, close {}", list(openings))
            }
            Action::Fence { addresses } => write!(f, "block {} in both directions", listed(addresses)),
            Action::Unfence { addresses } => write!(f, "block {} no longer", listed(addresses)),
        }
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Service::Installed { .. } => "service installed and enabled",
            Service::Started => "server started",
            Service::Restarted => "server restarted",
            Service::Stopped => "server stopped",
            Service::Removed => "service removed",
        })
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Condition::Reachable { members } => {
                write!(f, "all hosts reach the ports of {}", ids(members))
            }
            Condition::Quorum { min, without: None } => write!(f, "{min} voters in sync and committing"),
            Condition::Quorum { min, without: Some(id) } => {
                write!(f, "{min} voters in sync and committing without server {id}")
            }
            Condition::Synced { member } => write!(f, "server {member} in sync and committing"),
            Condition::Alive { member } => write!(f, "server {member} keeps running"),
            Condition::Down { member } => write!(f, "server {member} has ended"),
            Condition::Idle => f.write_str("nothing is served yet"),
            Condition::Ready => f.write_str("one leader, all others in sync, canary read back everywhere"),
        }
    }
}

fn belong(count: usize) -> &'static str {
    if count == 1 { "belongs" } else { "belong" }
}

fn ids(members: &[ServerId]) -> String {
    let ids: Vec<String> = members.iter().map(ServerId::to_string).collect();
    format!("server {}", ids.join(", "))
}

/// "tcp 2181, tcp 2888 3888 from 10.0.0.2 10.0.0.3": ports for the same sources together.
fn list(openings: &[Opening]) -> String {
    let mut by_port: BTreeMap<u16, Vec<String>> = BTreeMap::new();
    for opening in openings {
        let from = opening.from.map_or_else(String::new, |from| from.to_string());
        by_port.entry(opening.port).or_default().push(from);
    }
    let mut groups: Vec<(Vec<u16>, Vec<String>)> = Vec::new();
    for (port, from) in by_port {
        match groups.iter_mut().find(|(_, known)| *known == from) {
            Some((ports, _)) => ports.push(port),
            None => groups.push((vec![port], from)),
        }
    }
    let shown = groups.iter().map(|(ports, from)| {
        let ports: Vec<String> = ports.iter().map(u16::to_string).collect();
        let all = from.iter().all(String::is_empty);
        let from = if all { String::new() } else { format!(" from {}", from.join(" ")) };
        format!("tcp {}{}", ports.join(" "), from.trim_end())
    });
    shown.collect::<Vec<_>>().join(", ")
}

fn listed(addresses: &[IpAddr]) -> String {
    let addresses: Vec<String> = addresses.iter().map(IpAddr::to_string).collect();
    addresses.join(" ")
}

/// The first twelve characters of a hash: enough for a person to compare.
pub fn short(sha256: &str) -> &str {
    sha256.get(..12).unwrap_or(sha256)
}
