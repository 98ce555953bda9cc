//! The closed enums that travel between operator and host. Each variant's record lives in its room,
//! apart from the code that answers it. The two ends are the same binary: a different [`PROTOCOL`] is
//! an error said at once, never a guess.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::operator::host::data::{InspectData, Inspection, WriteMarker};
use crate::operator::host::failure::Failure;
use crate::operator::host::files::{
    EnsureDir, EnsuredDir, FileContent, FileHash, Listing, LookOwners, Own, Owned, OwnersReport, PathSpace,
    PathStat, PlaceProgram, Put, PutFile, Remove, Removed, Rename, SwitchLink, Writable,
};
use crate::operator::host::firewall::{Fence, FirewallPorts, FirewallReport};
use crate::operator::host::machine::{Binary, Facts};
use crate::operator::host::net::{
    Caller, Connect, Expected, FourLetter, FourLetterReply, Listen, Listening, NamesReport, PortUse, Reach,
    Sources,
};
use crate::operator::host::runs::{
    AppendJournal, Held, JournalTail, LockToken, RenewLock, StaleLock, TakeLock, Taken,
};
use crate::operator::host::service::{
    FindServer, InstallService, LogSource, LogTail, RunningServer, ServiceCall, ServiceReport, Verb,
};

/// One question of the operator.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Ask {
    /// Chosen by the operator; the answer repeats it. Answers may come in any order.
    pub(crate) id: u64,
    /// The host gives up after this long.
    pub(crate) limit_ms: u64,
    pub(crate) request: Request,
    /// Under which lock; for what changes something.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) lock: Option<LockToken>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Answer {
    pub(crate) id: u64,
    pub(crate) result: Result<Response, Failure>,
}

/// Both ends introduce themselves with the first frame that each sends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Hello {
    pub(super) protocol: u32,
    /// Of the zkops that runs there.
    pub(super) version: String,
}

impl Hello {
    pub(super) fn ours() -> Hello {
        Hello { protocol: PROTOCOL, version: env!("CARGO_PKG_VERSION").to_string() }
    }
}

/// What can be asked of a host. [`crate::operator::host::Link`] has a typed method for each.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "request", content = "with", rename_all = "snake_case")]
pub enum Request {
    Facts,
    Binary,

    DiskSpace { paths: Vec<PathBuf> },
    CheckWritable { path: PathBuf },
    Stat { paths: Vec<PathBuf> },
    ListDir { path: PathBuf },
    ReadFile { path: PathBuf, max: u64 },
    FileSha256 { paths: Vec<PathBuf> },

    EnsureDir(EnsureDir),
    PutFile(PutFile),
    Remove(Remove),
    Rename(Rename),

    PlaceProgram(PlaceProgram),
    SwitchLink(SwitchLink),
    LookOwners(LookOwners),
    Own(Own),
    EnsureUser { name: String },
    RemoveUser { name: String },

    InspectData(InspectData),
    WriteMarker(WriteMarker),

    PortsInUse { ports: Vec<u16> },
    Listen(Listen),
    StopListening { token: String },
    Connect(Connect),
    FourLetter(FourLetter),
    Names { names: Vec<Expected> },
    Sources { hosts: Vec<String> },

    OpenPorts(FirewallPorts),
    ClosePorts(FirewallPorts),
    ExplainPorts(FirewallPorts),
    Fence(Fence),
    Unfence(Fence),
    Fences,

    InstallService(InstallService),
    Service(ServiceCall),
    FindServer(FindServer),
    LogTail { source: LogSource, lines: usize },

    TakeLock(TakeLock),
    RenewLock(RenewLock),
    ReleaseLock { path: PathBuf, id: String },
    ReadLock { path: PathBuf },
    AppendJournal(AppendJournal),
    ReadJournal { path: PathBuf, max: usize },
}

impl Request {
    /// It changes something that outlives the connection, so it is looked at only under the run's lock. Of what
    /// does not count, some write all the same, and why that needs no lock stands with it.
    pub(super) fn mutates(&self) -> bool {
        match self {
            Request::EnsureDir(_)
            | Request::PutFile(_)
            | Request::Remove(_)
            | Request::Rename(_)
            | Request::PlaceProgram(_)
            | Request::SwitchLink(_)
            | Request::Own(_)
            | Request::EnsureUser { .. }
            | Request::RemoveUser { .. }
            | Request::WriteMarker(_)
            | Request::OpenPorts(_)
            | Request::ClosePorts(_)
            | Request::Fence(_)
            | Request::Unfence(_)
            | Request::InstallService(_)
            | Request::RenewLock(_)
            | Request::AppendJournal(_) => true,
            Request::Service(call) => call.verb != Verb::State,
            // These end with the connection at the latest, and whoever only looks uses them.
            Request::Listen(_) | Request::StopListening { .. } => false,
            // A file that is gone when it answers; asked before there is a plan, and so before a lock.
            Request::CheckWritable { .. } => false,
            // The lock itself: who may is judged by what stands in it.
            Request::TakeLock(_) | Request::ReleaseLock { .. } => false,
            Request::Facts
            | Request::Binary
            | Request::DiskSpace { .. }
            | Request::Stat { .. }
            | Request::ListDir { .. }
            | Request::ReadFile { .. }
            | Request::FileSha256 { .. }
            | Request::LookOwners(_)
            | Request::InspectData(_)
            | Request::PortsInUse { .. }
            | Request::Connect(_)
            | Request::FourLetter(_)
            | Request::Names { .. }
            | Request::Sources { .. }
            | Request::ExplainPorts(_)
            | Request::Fences
            | Request::FindServer(_)
            | Request::LogTail { .. }
            | Request::ReadLock { .. }
            | Request::ReadJournal { .. } => false,
        }
    }
}

/// What a host answers when it did not fail.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "response", content = "with", rename_all = "snake_case")]
pub enum Response {
    Facts(Box<Facts>),
    Binary(Binary),

    Spaces(Vec<PathSpace>),
    Writable(Writable),
    Stats(Vec<PathStat>),
    Listing(Listing),
    Content(FileContent),
    Hashes(Vec<FileHash>),

    EnsuredDir(EnsuredDir),
    Put(Put),
    Removed(Removed),
    /// For requests that only change something: did they?
    Changed(bool),

    Owners(Box<OwnersReport>),
    Owned(Owned),

    Inspection(Box<Inspection>),

    Ports(Vec<PortUse>),
    Listening(Vec<Listening>),
    Heard(Vec<Caller>),
    Reached(Vec<Reach>),
    Sources(Sources),
    FourLetter(FourLetterReply),
    Names(Box<NamesReport>),

    Firewall(Box<FirewallReport>),
    Fences(Vec<Fence>),

    Service(Box<ServiceReport>),
    Servers(Vec<RunningServer>),
    Log(LogTail),

    Taken(Taken),
    Lock(Option<Held>),
    /// The request was not looked at. [`crate::operator::host::Link`] makes an error of it.
    StaleLock(StaleLock),
    Journal(JournalTail),
}

/// Raised with every change of what travels.
pub(super) const PROTOCOL: u32 = 4;
/// The host says this before its first frame. Whatever a login shell prints before it (a banner,
/// an `echo` in .bashrc) is skipped, and shown when this never comes.
pub(super) const PREAMBLE: &[u8] = b"\0zkops host\0";
