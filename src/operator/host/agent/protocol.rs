//! The closed enums that travel between operator and host. Each variant's record lives in its room,
//! apart from the code that answers it. The two ends are the same binary: a different [`PROTOCOL`] is
//! an error said at once, never a guess.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::operator::host::data::{InspectData, Inspection, WriteMarker};
use crate::operator::host::failure::Failure;
use crate::operator::host::files::{
    EnsureDir, EnsuredDir, FileContent, FileHash, Listing, PathSpace, PathStat, Put, PutFile, Remove,
    Removed, Rename, Writable,
};
use crate::operator::host::firewall::{FirewallPorts, FirewallReport};
use crate::operator::host::machine::{Binary, Facts};
use crate::operator::host::net::{
    Connect, Expected, FourLetter, FourLetterReply, Listen, Listening, NamesReport, PortUse, Reach,
};
use crate::operator::host::runs::{AppendJournal, Held, JournalTail, TakeLock, Taken};
use crate::operator::host::service::{
    FindServer, InstallService, LogSource, LogTail, RunningServer, ServiceCall, ServiceReport,
};

/// One question of the operator.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Ask {
    /// Chosen by the operator; the answer repeats it. Answers may come in any order.
    pub(crate) id: u64,
    /// The host gives up after this long.
    pub(crate) limit_ms: u64,
    pub(crate) request: Request,
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

    InspectData(InspectData),
    WriteMarker(WriteMarker),

    PortsInUse { ports: Vec<u16> },
    Listen(Listen),
    StopListening { token: String },
    Connect(Connect),
    FourLetter(FourLetter),
    Names { names: Vec<Expected> },

    OpenPorts(FirewallPorts),
    ClosePorts(FirewallPorts),
    ExplainPorts(FirewallPorts),

    InstallService(InstallService),
    Service(ServiceCall),
    FindServer(FindServer),
    LogTail { source: LogSource, lines: usize },

    TakeLock(TakeLock),
    ReleaseLock { path: PathBuf, id: String },
    ReadLock { path: PathBuf },
    AppendJournal(AppendJournal),
    ReadJournal { path: PathBuf, max: usize },
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

    Inspection(Box<Inspection>),

    Ports(Vec<PortUse>),
    Listening(Vec<Listening>),
    Reached(Vec<Reach>),
    FourLetter(FourLetterReply),
    Names(Box<NamesReport>),

    Firewall(Box<FirewallReport>),

    Service(Box<ServiceReport>),
    Servers(Vec<RunningServer>),
    Log(LogTail),

    Taken(Taken),
    Lock(Option<Held>),
    Journal(JournalTail),
}

/// Raised with every change of what travels.
pub(super) const PROTOCOL: u32 = 3;
/// The host says this before its first frame. Whatever a login shell prints before it (a banner,
/// an `echo` in .bashrc) is skipped, and shown when this never comes.
pub(super) const PREAMBLE: &[u8] = b"\0zkops host\0";
