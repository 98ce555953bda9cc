//! What was seen of the hosts and of the servers, as plain data: the only thing a planner knows
//! about the world. Collected by `observe`; nothing here asks anybody.
//!
//! How to read it:
//!
//! - Whatever could be looked at in vain is a [`Seen`]: `Is`, `Absent`, or `Unseen` with its reason.
//!   Proof that something is there is `is()`, proof that it is not is `is_absent()`; neither follows from the other's
//!   failing. A new fact that a host is asked for is a `Seen` too, and its default is "nobody asked".
//! - A host is [`HostView`]: unasked, unreachable, or seen. A host that was seen may have been asked for parts only: the
//!   rest of its [`HostFacts`] is `Unseen`.
//! - A server is [`Server`]: asked from here and on its host. What both prove is [`Facts::sight`]; what it says of itself,
//!   where it is proven to serve, [`Facts::server`].
//! - Everything in one `Facts` is as young as its [`Stamp`]: a look that renews a part only makes the parts that are older
//!   `Unseen` ([`Facts::renewed`]). Only what no step of ours changes (the machine itself) is kept.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::LazyLock;

use super::damage::Damage;
use super::layout::LayoutFacts;
use super::lists::{self, List};
use super::network::FirewallFacts;
use super::owners::OwnersFacts;
use super::remembered::Remembered;
use super::seen::{Seen, Stamp};
use super::server::{Server, ServerFacts, ServerView, Sight};
use super::ways::{Reach, SourceFacts};
use crate::formats::opening::Opening;
use crate::wire::ids::{Epoch, ServerId};

/// Everything seen in one round of looking.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts {
    /// How many steps had been carried out when this look began.
    pub stamp: Stamp,
    pub members: BTreeMap<ServerId, MemberFacts>,
    /// Who reaches whom, tried with real connections. Empty: not tried.
    pub reach: Vec<Reach>,
    /// Where members came from, as listeners on the other hosts saw it. A step of ours changes no
    /// routes, so it is kept.
    pub observed: BTreeMap<ServerId, BTreeSet<IpAddr>>,
    pub read_back: ReadBack,
    /// Wall clock of the operator when looking began: names quarantined directories.
    pub wall_ms: i64,
    /// A fresh random id, for a cluster that has none yet.
    pub fresh_uuid: String,
    pub elsewhere: Elsewhere,
}

impl Facts {
    /// What was seen of `id`; a member nobody looked at has nothing to show.
    pub fn member(&self, id: ServerId) -> &MemberFacts {
        static NOTHING: MemberFacts = MemberFacts {
            host: HostView::Unasked,
            server: Server { from_here: ServerView::Unasked, on_host: ServerView::Unasked },
        };
        self.members.get(&id).unwrap_or(&NOTHING)
    }

    /// The host facts of `id`, when its host was asked and answered.
    pub fn host(&self, id: ServerId) -> Option<&HostFacts> {
        match &self.member(id).host {
            HostView::Seen(host) => Some(host),
            HostView::Unasked | HostView::Unreachable(_) => None,
        }
    }

    /// What the server of `id` says of itself, when one way of asking or the other shows that it serves.
    pub fn server(&self, id: ServerId) -> Option<&ServerFacts> {
        self.member(id).server.serving()
    }

    /// The lists of members in the zoo.cfg of each host that showed one.
    pub fn lists(&self) -> BTreeMap<ServerId, List> {
        let of = |id: &ServerId| Some((*id, lists::read(self.host(*id)?.installed_config.is()?)));
        self.members.keys().filter_map(of).collect()
    }

    /// What all ways of asking together prove of the server of `id`.
    pub(crate) fn sight(&self, id: ServerId) -> Sight<'_> {
        let seen = self.member(id);
        if let Some(server) = seen.server.serving() {
            return Sight::Serving(server);
        }
        if let Some(words) = seen.server.not_serving() {
            return Sight::NotServing(words.to_owned());
        }
        if let Some(how) = self.host(id).and_then(HostFacts::no_process) {
            return Sight::NotServing(how);
        }
        let mut why = seen.server.blindness();
        match &seen.host {
            HostView::Unasked if !seen.server.on_host.asked() => {
                why.push("its host was not asked".to_owned());
            }
            HostView::Unreachable(away) if !seen.server.on_host.asked() => why.push(away.text.clone()),
            HostView::Unasked | HostView::Unreachable(_) | HostView::Seen(_) => {}
        }
        Sight::Unseen(why.join("; "))
    }

    /// The same for a look that begins now, behind `stamp` steps: what an older look saw is not
    /// seen any more, until it is looked at again.
    #[must_use]
    pub fn renewed(&self, stamp: Stamp) -> Facts {
        let members = self.members.iter().map(|(id, seen)| {
            let host = match &seen.host {
                HostView::Seen(host) => HostView::Seen(Box::new(host.machine_alone())),
                HostView::Unasked => HostView::Unasked,
                HostView::Unreachable(why) => HostView::Unreachable(why.clone()),
            };
            (*id, MemberFacts { host, server: Server::default() })
        });
        Facts {
            stamp,
            members: members.collect(),
            reach: Vec::new(),
            observed: self.observed.clone(),
            read_back: ReadBack::Untried,
            wall_ms: self.wall_ms,
            fresh_uuid: self.fresh_uuid.clone(),
            elsewhere: self.elsewhere.renewed(),
        }
    }
}

/// A canary written through the leader and read through every member (law 4).
#[derive(Clone, Debug, Default, PartialEq)]
pub enum ReadBack {
    #[default]
    Untried,
    Everywhere,
    /// Members are seen by their own hosts alone, and no session of ours reaches them: why.
    NoWay(String),
    /// Where it failed, in words.
    Failed(String),
}

/// One member: its host, and its server as a client sees it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MemberFacts {
    pub host: HostView,
    pub server: Server,
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

/// Why a host could not be used; `text` carries the evidence.
#[derive(Clone, Debug, PartialEq)]
pub struct Unreachable {
    pub kind: NoWayIn,
    pub text: String,
}

/// The kinds of no way in, because they end in different exit codes and different advice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoWayIn {
    /// No connection: host down, port closed, authentication refused, another host key.
    Connection,
    /// It answers, and nobody said that its host key is the right one.
    HostKey,
    /// Connected, but our binary does not run there (architecture, noexec, no space).
    Binary,
    /// Connected, but zkops was never installed there and this verb does not install.
    NotInstalled,
    /// A person said that the run is to go without it; nobody asked.
    LeftOut,
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
    /// Which of its slots counts, and what the layout before them left.
    pub layout: LayoutFacts,
    /// Whose the directories are: all of them were looked at, or none was seen.
    pub owners: Seen<OwnersFacts>,
    pub clock: Seen<Clock>,
    /// By path of the directory asked about: [`HostFacts::dir`].
    pub dirs: BTreeMap<String, DirFacts>,
    /// Unseen as soon as one part could not be read: half a look proves neither that data is there nor that it is not.
    pub data: Seen<DataFacts>,
    /// By path: [`HostFacts::file`].
    pub files: BTreeMap<String, Seen<FileFacts>>,
    /// The text of the installed zoo.cfg.
    pub installed_config: Seen<String>,
    pub unit: UnitFacts,
    /// Every server process on the host that runs from this member's zoo.cfg or on its data, whoever
    /// started it. Empty: looked for, and none runs.
    pub processes: Seen<Vec<Process>>,
    /// Who listens, by port; a free port has no entry.
    pub ports: Seen<BTreeMap<u16, PortUser>>,
    /// Absent: no firewall is active.
    pub firewall: Seen<FirewallFacts>,
    /// Absent: no run of ours left a line there.
    pub journal: Seen<JournalFacts>,
    pub names: Seen<Vec<NameFacts>>,
    /// Addresses that this host blocks for us, in both directions.
    pub fences: Seen<Vec<IpAddr>>,
    /// Databases in directories that the installed zoo.cfg names and the inventory does not; empty: there are none.
    pub left_behind: Seen<Vec<String>>,
    /// Where packets between this host and the members come from.
    pub sources: Seen<SourceFacts>,
}

impl HostFacts {
    /// A directory asked about; all of it unseen where nobody asked.
    pub fn dir(&self, path: &str) -> &DirFacts {
        static UNASKED: LazyLock<DirFacts> = LazyLock::new(DirFacts::default);
        self.dirs.get(path).unwrap_or(&UNASKED)
    }

    pub fn file(&self, path: &str) -> &Seen<FileFacts> {
        static UNASKED: LazyLock<Seen<FileFacts>> = LazyLock::new(Seen::default);
        self.files.get(path).unwrap_or(&UNASKED)
    }

    /// Its host shows its own server listening there.
    pub fn listens(&self, port: u16) -> bool {
        let ours = |user: &PortUser| user.ours && user.pid.is_some();
        self.unit.runs() && self.ports.is_and(|users| users.get(&port).is_some_and(ours))
    }

    /// What deployments of ours opened, as far as the journal there was seen.
    pub fn opened(&self) -> &[Opening] {
        self.journal.is().map_or(&[], |journal| &journal.opened)
    }

    /// Proof that no process of this member runs: its manager says so, and none is found. In words.
    pub(crate) fn no_process(&self) -> Option<String> {
        if !self.processes.is_and(Vec::is_empty) {
            return None;
        }
        match &self.unit.state {
            Seen::Absent => Some("no service of ours is installed and no server runs".to_owned()),
            Seen::Is(UnitState::Stopped) => Some("stopped".to_owned()),
            Seen::Is(UnitState::Failed { how, .. }) => Some(format!("ended: {how}")),
            Seen::Is(UnitState::Running(_)) | Seen::Unseen(_) => None,
        }
    }

    /// What no step of ours changes.
    fn machine_alone(&self) -> HostFacts {
        HostFacts {
            arch: self.arch.clone(),
            kernel: self.kernel.clone(),
            distro: self.distro.clone(),
            hostname: self.hostname.clone(),
            root: self.root,
            systemd: self.systemd,
            ..HostFacts::default()
        }
    }
}

/// What runs of ours left in the journal on a host.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct JournalFacts {
    /// Its last line: another one means that somebody changed things since.
    pub last_entry: String,
    /// What a deployment of ours opened, or was about to open when it was killed.
    pub opened: Vec<Opening>,
    /// Where members were seen to come from when it did, by name.
    pub observed: BTreeMap<String, BTreeSet<IpAddr>>,
    /// The firewalld zone in which it did.
    pub opened_zone: Option<String>,
    /// Users, and directories above the member's (each behind those above it), that a deployment of ours made.
    pub made_users: Vec<String>,
    pub made_dirs: Vec<String>,
}

/// The pushed binary.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BinaryFacts {
    /// SHA-256 (hex) of the program that counts.
    pub installed_sha256: Seen<String>,
    /// SHA-256 (hex) of the copy pushed beside it, waiting to be put in place; `None`: this run pushed none.
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
    pub exists: Seen<()>,
    /// Why neither it nor its nearest existing parent can be written by us; absent: it can.
    pub obstacle: Seen<String>,
    pub room: Seen<Room>,
}

/// The file system that a directory is on, or would be on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Room {
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
    /// Who may read it beside its owner, by name or number.
    pub group: String,
    /// Last change by the host's clock, milliseconds since 1970.
    pub mtime_ms: i64,
}

/// The service that runs the server.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct UnitFacts {
    /// The definition under our name; absent: there is none.
    pub installed: Seen<Installed>,
    /// It starts at boot.
    pub enabled: Seen<()>,
    /// Absent: its manager knows no such service.
    pub state: Seen<UnitState>,
    /// Last lines of its log, oldest first.
    pub log: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Installed {
    /// With other contents than we would write.
    Differs,
    AsWanted,
    /// Somebody linked it to nowhere: nothing starts it.
    Masked,
}

#[derive(Clone, Debug, PartialEq)]
pub enum UnitState {
    Stopped,
    /// It ended by itself; how, in words.
    Failed {
        how: String,
        /// Its manager is about to start it again.
        again: bool,
    },
    Running(Process),
}

impl UnitFacts {
    /// Proven: its manager keeps a server process.
    pub fn runs(&self) -> bool {
        self.state.is_and(|state| matches!(state, UnitState::Running(_)))
    }

    /// Proven: its manager keeps none just now; it may be about to start one.
    pub fn is_down(&self) -> bool {
        match &self.state {
            Seen::Absent => true,
            Seen::Is(state) => !matches!(state, UnitState::Running(_)),
            Seen::Unseen(_) => false,
        }
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
    /// It runs the program of the slot that counts; `None`: unknown.
    pub is_current: Option<bool>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct PortUser {
    pub pid: Option<u32>,
    pub program: String,
    /// It is the server of this very member.
    pub ours: bool,
}

/// How a name resolves on a host.
#[derive(Clone, Debug, PartialEq)]
pub struct NameFacts {
    pub name: String,
    pub addresses: Vec<String>,
}

/// What was seen beside the members at their places of today.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Elsewhere {
    /// Where members were before.
    pub former: Vec<Former>,
    /// Who answers where, and as whom. Empty: nobody was asked.
    pub answers: Vec<Answer>,
    pub remembered: Remembered,
}

/// One old place of a member.
#[derive(Clone, Debug, PartialEq)]
pub struct Former {
    pub member: ServerId,
    /// As it is written where it is named.
    pub address: String,
    /// What that is, as far as it resolves.
    pub ips: Vec<IpAddr>,
    /// A list on a host, or the last deployment, still has the member there.
    pub listed: bool,
    /// A person says that the host will never run it again.
    pub said_gone: bool,
    pub view: Old,
    /// What answers at its client port there.
    pub server: Server,
}

/// What became of looking there.
#[derive(Clone, Debug, PartialEq)]
pub enum Old {
    /// The inventory's host of the member, under another name: nothing moves.
    SameMachine,
    Host(HostView),
}

/// A server that answered somewhere, and as whom.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// Whose place it is, or was.
    pub member: ServerId,
    pub address: String,
    /// By its own word; `None`: it does not say.
    pub says: Option<ServerId>,
    /// The members that it runs with, where it says them.
    pub list: Option<List>,
}
