//! What was seen of the hosts and of the servers, as plain data: the only thing a planner knows
//! about the world. Collected by `observe`; nothing here asks anybody.
//!
//! Unknown is a value of its own (`Unasked`, `None`), never a default that looks like an answer.

use std::collections::BTreeMap;

use super::damage::Damage;
use crate::formats::marker::{CLUSTER_KEY, UUID_KEY};
use crate::wire::ids::{Epoch, ServerId, Zxid};

/// Everything seen in one round of looking.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts {
    pub members: BTreeMap<ServerId, MemberFacts>,
    /// Who reaches whom, tried with real connections. Empty: not tried.
    pub reach: Vec<Reach>,
    pub read_back: ReadBack,
    /// Wall clock of the operator when looking began: names quarantined directories.
    pub wall_ms: i64,
    /// A fresh random id, for a cluster that has none yet.
    pub fresh_uuid: String,
}

impl Facts {
    /// The id of cluster `name`: the one most of its data already carries, else the one most of its servers are
    /// started for, else the fresh one.
    pub(crate) fn uuid_of(&self, name: &str) -> String {
        let hosts = || self.members.keys().filter_map(|id| self.host(*id));
        let of_data = hosts().filter_map(|host| {
            host.data.marker.as_ref().filter(|marker| marker.cluster == name).map(|marker| &*marker.uuid)
        });
        let of_configs = hosts().filter_map(|host| {
            let config = host.installed_config.as_deref()?;
            let value = |key| config.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
            value(UUID_KEY).filter(|_| value(CLUSTER_KEY) == Some(name))
        });
        let uuid = most(of_data).or_else(|| most(of_configs));
        uuid.map_or_else(|| self.fresh_uuid.clone(), str::to_owned)
    }

    /// What was seen of `id`; a member nobody looked at has nothing to show.
    pub fn member(&self, id: ServerId) -> &MemberFacts {
        static NOTHING: MemberFacts = MemberFacts { host: HostView::Unasked, server: ServerView::Unasked };
        self.members.get(&id).unwrap_or(&NOTHING)
    }

    /// The host facts of `id`, when its host was asked and answered.
    pub fn host(&self, id: ServerId) -> Option<&HostFacts> {
        match &self.member(id).host {
            HostView::Seen(host) => Some(host),
            HostView::Unasked | HostView::Unreachable(_) => None,
        }
    }

    /// What the server of `id` said on its client port, when it serves.
    pub fn server(&self, id: ServerId) -> Option<&ServerFacts> {
        match &self.member(id).server {
            ServerView::Serving(server) => Some(server),
            ServerView::Unasked | ServerView::Silent { .. } | ServerView::NotServing { .. } => None,
        }
    }
}

/// What is said most often; of two the first by name.
fn most<'a>(said: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let mut votes: BTreeMap<&str, usize> = BTreeMap::new();
    said.for_each(|word| *votes.entry(word).or_default() += 1);
    let winner = votes.into_iter().max_by_key(|(word, count)| (*count, std::cmp::Reverse(*word)));
    winner.map(|(word, _)| word)
}

/// A canary written through the leader and read through every member (law 4).
#[derive(Clone, Debug, Default, PartialEq)]
pub enum ReadBack {
    #[default]
    Untried,
    Everywhere,
    /// Where it failed, in words.
    Failed(String),
}

/// One member: its host, and its server as a client sees it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MemberFacts {
    pub host: HostView,
    pub server: ServerView,
}

/// What became of asking a host.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum HostView {
    /// Nobody asked: the verb did not need it.
    #[default]
    Unasked,
    /// It was asked and there is no way in, or nothing of ours can run there.
    Unreachable(Unreachable),
    Seen(Box<HostFacts>),
}

/// Why a host could not be used.
#[derive(Clone, Debug, PartialEq)]
pub struct Unreachable {
    pub kind: NoWayIn,
    /// What happened, in words that carry the evidence.
    pub text: String,
}

/// The kinds of no way in, because they end in different exit codes and different advice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoWayIn {
    /// No connection: host down, port closed, authentication or host key refused.
    Connection,
    /// Connected, but our binary does not run there (architecture, noexec, no space).
    Binary,
    /// Connected, but zkops was never installed there and this verb does not install.
    NotInstalled,
}

/// One host as `zkops host` describes it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HostFacts {
    pub arch: String,
    pub kernel: String,
    pub distro: String,
    pub hostname: String,
    pub root: bool,
    /// A running systemd manages services here.
    pub systemd: bool,
    pub binary: BinaryFacts,
    pub clock: Option<Clock>,
    /// By path of the directory asked about.
    pub dirs: BTreeMap<String, DirFacts>,
    pub data: DataFacts,
    /// By path; a missing file has no entry.
    pub files: BTreeMap<String, FileFacts>,
    /// The text of the installed zoo.cfg, when there is one.
    pub installed_config: Option<String>,
    pub unit: UnitFacts,
    /// Who listens, by port; a free port has no entry.
    pub ports: BTreeMap<u16, PortUser>,
    pub firewall: FirewallFacts,
    /// The last line of the journal there: another one means that somebody changed things since.
    pub last_entry: Option<String>,
    /// Ports that a deployment of ours opened, from the journal on the host.
    pub opened_ports: Vec<u16>,
    /// The firewalld zone in which it did.
    pub opened_zone: Option<String>,
    pub names: Vec<NameFacts>,
}

/// The pushed binary.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BinaryFacts {
    /// SHA-256 (hex) of `bin/zkops`, when it is there.
    pub installed_sha256: Option<String>,
    /// SHA-256 (hex) of the copy pushed beside it, waiting to be put in place.
    pub staged_sha256: Option<String>,
}

/// A host's clock against the operator's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Clock {
    /// Positive: the host is ahead.
    pub offset_ms: f64,
    /// The true offset is within `offset_ms ± bound_ms`.
    pub bound_ms: f64,
}

/// A directory that we use or would create.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DirFacts {
    pub exists: bool,
    /// Why neither it nor its nearest existing parent can be written by us; `None`: it can.
    pub obstacle: Option<String>,
    pub free_bytes: u64,
    pub total_bytes: u64,
}

/// The identity and the state of a member's dataDir and dataLogDir.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DataFacts {
    pub exists: bool,
    /// Neither directory holds anything (our own marker and `initialize` apart).
    pub empty: bool,
    pub myid: Myid,
    /// Our own marker: whose data this is.
    pub marker: Option<Marker>,
    /// Snapshots or transaction logs are present.
    pub has_database: bool,
    pub accepted_epoch: Option<Epoch>,
    pub current_epoch: Option<Epoch>,
    /// `initialize` is present: an empty database here is intended (disk-format §8).
    pub initialize: bool,
    /// What is wrong with the files themselves, as far as was seen.
    pub damage: Vec<Damage>,
    /// Up to a handful of names that are neither ZooKeeper's nor ours, for messages.
    pub entries: Vec<String>,
    /// Full paths of what a wipe moves aside, as far as they exist: databases, myid, marker.
    pub parts: Vec<String>,
    /// What earlier repairs moved aside, oldest first; full paths.
    pub quarantined: Vec<String>,
}

/// The `myid` file.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Myid {
    #[default]
    Missing,
    Is(ServerId),
    /// Present, but not a number: the text found.
    Garbage(String),
}

/// Our marker in the data directory.
#[derive(Clone, Debug, PartialEq)]
pub struct Marker {
    pub cluster: String,
    /// Of the cluster: two clusters may have the same name.
    pub uuid: String,
    pub id: ServerId,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct FileFacts {
    pub sha256: String,
    /// Permission bits.
    pub mode: u32,
    /// Last change by the host's clock, milliseconds since 1970.
    pub mtime_ms: i64,
}

/// The service that runs the server.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct UnitFacts {
    /// The installed definition is the one we would write.
    pub installed: Installed,
    pub enabled: bool,
    pub state: UnitState,
    /// Last lines of its log, oldest first.
    pub log: Vec<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Installed {
    #[default]
    No,
    /// A definition under our name with other contents.
    Differs,
    Yes,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub enum UnitState {
    #[default]
    Absent,
    Stopped,
    /// It ended by itself; how, in words.
    Failed {
        how: String,
        /// Its manager is about to start it again.
        again: bool,
    },
    Running(Process),
}

impl UnitState {
    /// True while a server process lives.
    pub fn running(&self) -> bool {
        matches!(self, UnitState::Running(_))
    }
}

/// A running server process.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Process {
    pub pid: u32,
    /// Start by the host's clock, milliseconds since 1970; `None`: unknown.
    pub started_ms: Option<i64>,
    /// SHA-256 (hex) of the executable it runs; `None`: unknown.
    pub exe_sha256: Option<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct PortUser {
    pub pid: Option<u32>,
    pub program: String,
    /// It is the server of this very member.
    pub ours: bool,
}

/// The firewall of a host.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FirewallFacts {
    /// `firewalld`, `ufw`, …; `None`: none is active.
    pub kind: Option<String>,
    /// By port.
    pub ports: BTreeMap<u16, PortRule>,
}

/// What the firewall does with one of our ports.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PortRule {
    pub open: bool,
    /// Still open after a reboot.
    pub permanent: bool,
    /// The rule that decides, as the firewall itself would show it.
    pub rule: String,
}

/// How a name resolves on a host.
#[derive(Clone, Debug, PartialEq)]
pub struct NameFacts {
    pub name: String,
    pub addresses: Vec<String>,
}

/// One attempted connection.
#[derive(Clone, Debug, PartialEq)]
pub struct Reach {
    /// `None`: the operator's own machine.
    pub from: Option<ServerId>,
    pub to: ServerId,
    pub port: u16,
    pub result: ReachResult,
}

/// How the attempt ended (lab: firewalld rejects with "no route to host", others drop).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReachResult {
    Ok,
    Refused,
    Timeout,
    NoRoute,
    Reset,
    /// Something listens that is neither our probe nor our server.
    WrongAnswer,
}

impl ReachResult {
    pub fn word(self) -> &'static str {
        match self {
            ReachResult::Ok => "ok",
            ReachResult::Refused => "refused",
            ReachResult::Timeout => "timeout",
            ReachResult::NoRoute => "no route",
            ReachResult::Reset => "reset",
            ReachResult::WrongAnswer => "wrong answer",
        }
    }
}

/// A server as a client sees it on the client port.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum ServerView {
    #[default]
    Unasked,
    /// No connection or no answer; how the attempt ended, in words.
    Silent {
        why: String,
    },
    /// It answers, but serves nobody: no leader, or not yet synced. Its words.
    NotServing {
        words: String,
    },
    Serving(Box<ServerFacts>),
}

#[derive(Clone, Debug, PartialEq)]
pub struct ServerFacts {
    pub mode: Mode,
    pub zxid: Zxid,
    pub version: String,
    pub connections: u64,
    pub uptime_ms: Option<u64>,
    /// A leader's own count of followers in sync.
    pub synced_followers: Option<u32>,
    /// A commit asked for through this server; `None`: not tried.
    pub canary: Option<Canary>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Standalone,
    Leader,
    Follower,
    Observer,
    ReadOnly,
}

impl Mode {
    pub fn word(self) -> &'static str {
        match self {
            Mode::Standalone => "standalone",
            Mode::Leader => "leader",
            Mode::Follower => "follower",
            Mode::Observer => "observer",
            Mode::ReadOnly => "read-only",
        }
    }
}

/// A transaction that changes nothing, sent through one server and committed by a quorum.
#[derive(Clone, Debug, PartialEq)]
pub enum Canary {
    Committed { zxid: Zxid, latency_us: u64 },
    Failed { why: String },
}
