//! From each request to the code that answers it: the one place that knows both. It reads no frame.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::protocol::{Ask, Request, Response};
use crate::operator::host::data::{inspect, marker};
use crate::operator::host::failure::{Failure, Kind};
use crate::operator::host::files::{dirs, disk, look, own, owners, put, remove, switch};
use crate::operator::host::firewall::fence;
use crate::operator::host::firewall::scope::Scope;
use crate::operator::host::firewall::verbs as firewall;
use crate::operator::host::machine::blocking::blocking;
use crate::operator::host::machine::{facts, users};
use crate::operator::host::net::listen::{self, Listeners};
use crate::operator::host::net::{Caller, Listen, connect, four_letter, names, ports, sources};
use crate::operator::host::runs::{journal, lock};
use crate::operator::host::service::{logs, servers, verbs as service};

/// What differs between a real host and a test.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// Command that runs [`crate::operator::host::supervise()`] on the file named by one more argument.
    pub(crate) supervisor: Vec<OsString>,
    /// Where zkops keeps its own notes about this host.
    pub(crate) state_dir: PathBuf,
}

impl Default for Settings {
    fn default() -> Settings {
        let exe = std::env::current_exe().unwrap_or_else(|_| PathBuf::from("/proc/self/exe"));
        // Replaced while it runs: the new one supervises from now on.
        let exe = match exe.to_str().and_then(|path| path.strip_suffix(" (deleted)")) {
            Some(path) => PathBuf::from(path),
            None => exe,
        };
        Settings {
            supervisor: vec![exe.into_os_string(), "host".into(), "--supervise".into()],
            state_dir: PathBuf::from("/var/lib/zkops"),
        }
    }
}

/// One serving process: what its answers need to know and to keep.
pub(super) struct Agent {
    settings: Settings,
    listeners: Mutex<Vec<Listeners>>,
    /// Two changes of the firewall at once would each verify the other's half.
    firewall: tokio::sync::Mutex<()>,
}

impl Agent {
    pub(super) fn new(settings: Settings) -> Agent {
        Agent { settings, listeners: Mutex::default(), firewall: tokio::sync::Mutex::default() }
    }

    /// Never later than the request allows.
    pub(super) async fn answer(&self, ask: Ask) -> Result<Response, Failure> {
        let deadline = Instant::now() + Duration::from_millis(ask.limit_ms).min(LIMIT_MAX);
        // What keeps to the deadline by itself gets to say more than that it is over.
        timeout_at(deadline + GRACE, self.dispatch(ask.request, deadline)).await.unwrap_or_else(|_| {
            let why = format!("not done within {} ms", ask.limit_ms);
            Err(Failure::new("finish", "the request", Kind::Timeout, why))
        })
    }

    async fn dispatch(&self, request: Request, deadline: Instant) -> Result<Response, Failure> {
        use Request as Q;
        use Response as R;
        match request {
            Q::Connect(request) => Ok(R::Reached(connect::connect(&request).await)),
            Q::FourLetter(request) => four_letter::four_letter(&request).await.map(R::FourLetter),
            Q::Names { names } => Ok(R::Names(Box::new(names::report(&names, deadline).await))),
            Q::Listen(request) => self.listen(request).await,
            Q::StopListening { token } => Ok(R::Heard(self.stop_listening(&token).await)),
            Q::Sources { hosts } => Ok(R::Sources(sources::sources(&hosts, deadline).await)),
            Q::InstallService(request) => {
                service::install(request, deadline).await.map(|report| R::Service(Box::new(report)))
            }
            Q::Service(request) => service::call(request, &self.settings.supervisor, deadline)
                .await
                .map(|report| R::Service(Box::new(report))),
            Q::LogTail { source, lines } => logs::tail(source, lines, deadline).await.map(R::Log),
            Q::EnsureUser { name } => users::ensure(&name, deadline).await.map(R::Changed),
            Q::RemoveUser { name } => users::remove(&name, deadline).await.map(R::Changed),
            Q::OpenPorts(_)
            | Q::ClosePorts(_)
            | Q::ExplainPorts(_)
            | Q::Fence(_)
            | Q::Unfence(_)
            | Q::Fences => self.firewall(request, deadline).await,
            Q::TakeLock(request) => {
                blocking(move || lock::take(&request, deadline.into_std()).map(R::Taken)).await
            }
            Q::ReleaseLock { path, id } => {
                blocking(move || lock::release(&path, &id, deadline.into_std()).map(R::Changed)).await
            }
            other => blocking(move || look_or_write(other)).await,
        }
    }

    async fn firewall(&self, request: Request, deadline: Instant) -> Result<Response, Failure> {
        let _one_at_a_time = self.firewall.lock().await;
        let scope = |address| Scope::new(address, &self.settings.state_dir, deadline);
        let report = match request {
            Request::OpenPorts(of) => firewall::ensure_open(&of.openings, &scope(of.address)).await?,
            Request::ClosePorts(of) => firewall::close(&of.openings, &scope(of.address)).await?,
            Request::ExplainPorts(of) => firewall::explain(&of.openings, &scope(of.address)).await?,
            Request::Fence(of) => fence::fence(of, deadline).await?,
            Request::Unfence(of) => fence::unfence(of, deadline).await?,
            Request::Fences => return fence::fences(deadline).await.map(Response::Fences),
            other => return Err(misplaced(&other)),
        };
        Ok(Response::Firewall(Box::new(report)))
    }

    async fn listen(&self, request: Listen) -> Result<Response, Failure> {
        let (answers, listeners) = listen::start(&request).await?;
        let mut all = self.listeners.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|one| one.until > Instant::now());
        all.push(listeners);
        Ok(Response::Listening(answers))
    }

    /// When it answers, the ports are free.
    async fn stop_listening(&self, token: &str) -> Vec<Caller> {
        let stopped: Vec<Listeners> = {
            let mut all = self.listeners.lock().unwrap_or_else(PoisonError::into_inner);
            all.extract_if(.., |one| one.token == token).collect()
        };
        let mut callers = Vec::new();
        for one in stopped {
            callers.extend(one.stop().await);
        }
        callers
    }
}

/// The requests that only touch files and /proc.
fn look_or_write(request: Request) -> Result<Response, Failure> {
    use Request as Q;
    use Response as R;
    Ok(match request {
        Q::Facts => R::Facts(Box::new(facts::gather())),
        Q::Binary => R::Binary(facts::binary()?),
        Q::DiskSpace { paths } => R::Spaces(disk::spaces(&paths)),
        Q::CheckWritable { path } => R::Writable(disk::check_writable(&path)?),
        Q::Stat { paths } => R::Stats(look::stat(&paths)),
        Q::ListDir { path } => R::Listing(look::list(&path)?),
        Q::ReadFile { path, max } => R::Content(look::read(&path, max)?),
        Q::FileSha256 { paths } => R::Hashes(look::hashes(&paths)),
        Q::EnsureDir(request) => R::EnsuredDir(dirs::ensure(&request)?),
        Q::PutFile(request) => R::Put(put::put(request)?),
        Q::Remove(request) => R::Removed(remove::remove(&request)?),
        Q::Rename(request) => R::Changed(remove::rename(&request)?),
        Q::PlaceProgram(request) => R::Changed(switch::place(&request)?),
        Q::SwitchLink(request) => R::Changed(switch::switch(&request)?),
        Q::LookOwners(request) => R::Owners(Box::new(owners::look(&request, users::can_make()))),
        Q::Own(request) => R::Owned(own::own(&request)?),
        Q::InspectData(request) => R::Inspection(Box::new(inspect::inspect(&request))),
        Q::WriteMarker(request) => R::Changed(marker::write(&request)?),
        Q::PortsInUse { ports } => R::Ports(ports::in_use(&ports)),
        Q::FindServer(request) => R::Servers(servers::find(&request)),
        Q::RenewLock(request) => R::Changed(lock::renew(&request)?),
        Q::ReadLock { path } => R::Lock(lock::held(&path)?),
        Q::AppendJournal(request) => {
            journal::append(&request.path, &request.line)?;
            R::Changed(true)
        }
        Q::ReadJournal { path, max } => R::Journal(journal::read(&path, max)?),
        Q::Connect(_)
        | Q::FourLetter(_)
        | Q::Names { .. }
        | Q::Sources { .. }
        | Q::Listen(_)
        | Q::StopListening { .. }
        | Q::InstallService(_)
        | Q::Service(_)
        | Q::LogTail { .. }
        | Q::EnsureUser { .. }
        | Q::RemoveUser { .. }
        | Q::TakeLock(_)
        | Q::ReleaseLock { .. }
        | Q::OpenPorts(_)
        | Q::ClosePorts(_)
        | Q::ExplainPorts(_)
        | Q::Fence(_)
        | Q::Unfence(_)
        | Q::Fences => return Err(misplaced(&request)),
    })
}

/// Cannot happen while `dispatch` is right; said, not panicked, if it ever is not.
fn misplaced(request: &Request) -> Failure {
    Failure::invalid("answer", format!("{request:?}"), "the request went the wrong way inside zkops")
}

/// Whatever a request says, it is given up after this long.
const LIMIT_MAX: Duration = Duration::from_secs(3600);
/// For what ends at its deadline by itself, such as a command that has to be killed.
const GRACE: Duration = Duration::from_millis(100);
