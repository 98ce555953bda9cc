//! One typed method for each request, on [`Link`]. Each takes the link's time limit
//! (`link.within(…)` sets another) and fails as [`CallError`] says.

use std::path::PathBuf;

use super::link::{CallError, Link};
use super::protocol::{Request, Response};
use crate::operator::host::data::{InspectData, Inspection, WriteMarker};
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
use crate::operator::host::runs::{AppendJournal, Held, JournalTail, RenewLock, TakeLock, Taken};
use crate::operator::host::service::{
    FindServer, InstallService, LogSource, LogTail, RunningServer, ServiceCall, ServiceReport,
};

macro_rules! calls {
    ($($(#[$doc:meta])* $name:ident($($arg:ident: $type:ty),*) -> $out:ty = $request:expr => $response:ident;)*) => {
        impl Link {
            $(
                $(#[$doc])*
                pub async fn $name(&self, $($arg: $type),*) -> Result<$out, CallError> {
                    match self.call($request, self.limit()).await? {
                        Response::$response(body) => Ok(body),
                        other => Err(CallError::unexpected(stringify!($name), &other)),
                    }
                }
            )*
        }
    };
}

calls! {
    /// What kind of machine it is.
    facts() -> Box<Facts> = Request::Facts => Facts;
    /// The zkops that runs there.
    binary() -> Binary = Request::Binary => Binary;

    /// The file systems that these paths are on, or would be on.
    disk_space(paths: Vec<PathBuf>) -> Vec<PathSpace> = Request::DiskSpace { paths } => Spaces;
    /// Really writes, syncs and removes a file in the directory or its nearest existing ancestor.
    check_writable(path: PathBuf) -> Writable = Request::CheckWritable { path } => Writable;
    stat(paths: Vec<PathBuf>) -> Vec<PathStat> = Request::Stat { paths } => Stats;
    list_dir(path: PathBuf) -> Listing = Request::ListDir { path } => Listing;
    /// The first `max` bytes of a file.
    read_file(path: PathBuf, max: u64) -> FileContent = Request::ReadFile { path, max } => Content;
    file_sha256(paths: Vec<PathBuf>) -> Vec<FileHash> = Request::FileSha256 { paths } => Hashes;

    ensure_dir(request: EnsureDir) -> EnsuredDir = Request::EnsureDir(request) => EnsuredDir;
    put_file(request: PutFile) -> Put = Request::PutFile(request) => Put;
    remove(request: Remove) -> Removed = Request::Remove(request) => Removed;
    /// False when only the new name was there: it had been done.
    rename(request: Rename) -> bool = Request::Rename(request) => Changed;

    /// False when that very program was there.
    place_program(request: PlaceProgram) -> bool = Request::PlaceProgram(request) => Changed;
    /// False when the link said so already.
    switch_link(request: SwitchLink) -> bool = Request::SwitchLink(request) => Changed;
    look_owners(request: LookOwners) -> Box<OwnersReport> = Request::LookOwners(request) => Owners;
    own(request: Own) -> Owned = Request::Own(request) => Owned;
    /// False when there was one.
    ensure_user(name: String) -> bool = Request::EnsureUser { name } => Changed;
    /// False when there was none, or it is still needed.
    remove_user(name: String) -> bool = Request::RemoveUser { name } => Changed;

    inspect_data(request: InspectData) -> Box<Inspection> = Request::InspectData(request) => Inspection;
    /// False when exactly this marker was there.
    write_marker(request: WriteMarker) -> bool = Request::WriteMarker(request) => Changed;

    /// Who listens on these TCP ports.
    ports_in_use(ports: Vec<u16>) -> Vec<PortUse> = Request::PortsInUse { ports } => Ports;
    /// Starts listeners that answer with a token; they end with the link, or as the request says.
    listen(request: Listen) -> Vec<Listening> = Request::Listen(request) => Listening;
    /// Who called meanwhile, as the listeners with that token saw them.
    stop_listening(token: String) -> Vec<Caller> = Request::StopListening { token } => Heard;
    /// Connects from that host to all targets at once. The link's limit must exceed `timeout_ms`.
    connect(request: Connect) -> Vec<Reach> = Request::Connect(request) => Reached;
    /// Sends a four-letter word from that host.
    four_letter(request: FourLetter) -> FourLetterReply = Request::FourLetter(request) => FourLetter;
    /// Which addresses that host's packets to these hosts carry.
    sources(hosts: Vec<String>) -> Sources = Request::Sources { hosts } => Sources;
    /// Names as that host resolves them.
    names(names: Vec<Expected>) -> Box<NamesReport> = Request::Names { names } => Names;

    /// Opens what is closed, now and for good.
    open_ports(request: FirewallPorts) -> Box<FirewallReport> = Request::OpenPorts(request) => Firewall;
    /// Takes back what `open_ports` did; rules of others stay.
    close_ports(request: FirewallPorts) -> Box<FirewallReport> = Request::ClosePorts(request) => Firewall;
    /// What becomes of connections to these ports, and by which rule.
    explain_ports(request: FirewallPorts) -> Box<FirewallReport> = Request::ExplainPorts(request) => Firewall;
    /// Blocks an address in both directions, for good. `Unsupported`: that host cannot.
    fence(request: Fence) -> Box<FirewallReport> = Request::Fence(request) => Firewall;
    unfence(request: Fence) -> Box<FirewallReport> = Request::Unfence(request) => Firewall;
    /// The fences in force; only root may know.
    fences() -> Vec<Fence> = Request::Fences => Fences;

    install_service(request: InstallService) -> Box<ServiceReport> = Request::InstallService(request) => Service;
    service(request: ServiceCall) -> Box<ServiceReport> = Request::Service(request) => Service;
    /// Running ZooKeeper servers, ours or Java's.
    find_server(request: FindServer) -> Vec<RunningServer> = Request::FindServer(request) => Servers;
    log_tail(source: LogSource, lines: usize) -> LogTail = Request::LogTail { source, lines } => Log;

    take_lock(request: TakeLock) -> Taken = Request::TakeLock(request) => Taken;
    renew_lock(request: RenewLock) -> bool = Request::RenewLock(request) => Changed;
    /// False when this holder did not hold it.
    release_lock(path: PathBuf, id: String) -> bool = Request::ReleaseLock { path, id } => Changed;
    read_lock(path: PathBuf) -> Option<Held> = Request::ReadLock { path } => Lock;
    append_journal(request: AppendJournal) -> bool = Request::AppendJournal(request) => Changed;
    /// The last `max` lines.
    read_journal(path: PathBuf, max: usize) -> JournalTail = Request::ReadJournal { path, max } => Journal;
}
