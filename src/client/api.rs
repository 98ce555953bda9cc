//! The typed API: one method per operation. Paths are checked before anything is sent, the chroot is
//! put in front of them and taken off what comes back (client-protocol §12).

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::{Notify, broadcast, mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use super::connection::{Command, Connection, Ends};
use super::session::{Call, Effect, Failure, Session, Settings, Watch};
use super::{ConnectString, Error, Event, Events, Options, Result, State, Status};
use crate::wire::ids::SessionId;
use crate::wire::jute::Str;
use crate::wire::proto::path::{self, PathError};
use crate::wire::proto::{
    Acl, AddWatchMode, CreateMode, CreateRequest, ErrorCode, Request, Response, Stat, WatcherType,
};

pub(super) const ANY_VERSION: i32 = -1;

/// A session with an ensemble. Clones share it; when the last one is dropped the session is closed in
/// the background, [`Client::close`] waits for that.
///
/// Every method is bounded by [`Options::request_timeout`] and may be dropped while it waits: the
/// request may then still be executed.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
}

struct Shared {
    commands: mpsc::Sender<Command>,
    status: watch::Receiver<Status>,
    close: Arc<Notify>,
    events: broadcast::WeakSender<Event>,
    /// Holds what happened before the first reader came.
    first_events: Mutex<Option<broadcast::Receiver<Event>>>,
    task: tokio::sync::Mutex<Option<JoinHandle<()>>>,
    chroot: Option<String>,
    request_timeout: Duration,
}

/// A node's data and metadata.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Null differs from empty.
    pub data: Option<Bytes>,
    pub stat: Stat,
}

/// What a create made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Created {
    /// With the sequence number, if one was asked for.
    pub path: String,
    pub stat: Stat,
}

impl Client {
    /// Starts a session in the background; needs a tokio runtime. See [`Client::connected`].
    pub fn connect(to: ConnectString, options: Options) -> Client {
        let origin = Instant::now();
        let settings = Settings {
            timeout_ms: millis(options.session_timeout),
            pause_ms_max: millis(options.reconnect_pause_max),
            read_only: options.read_only,
            seed: options.seed,
        };
        let session = Session::new(&to, settings, 0);
        let (commands, command_receiver) = mpsc::channel(COMMANDS_MAX);
        let (status_sender, status) = watch::channel(Status {
            state: State::Connecting,
            session: SessionId::NONE,
            timeout: options.session_timeout,
            server: None,
            trouble: None,
        });
        let (events, first_events) = broadcast::channel(Events::BACKLOG_MAX);
        let close = Arc::new(Notify::new());
        let weak_events = events.downgrade();
        let ends = Ends { commands: command_receiver, close: close.clone(), status: status_sender, events };
        let task = tokio::spawn(
            Connection::new(session, origin, options.frame_bytes_max, options.route, ends).run(),
        );
        Client {
            shared: Arc::new(Shared {
                commands,
                status,
                close,
                events: weak_events,
                first_events: Mutex::new(Some(first_events)),
                task: tokio::sync::Mutex::new(Some(task)),
                chroot: to.chroot().map(str::to_owned),
                request_timeout: options.request_timeout,
            }),
        }
    }

    /// Waits until the session stands.
    ///
    /// # Errors
    /// `Timeout` after `within`; `SessionExpired`, `AuthFailed` or `Closed` when it never will.
    pub async fn connected(&self, within: Duration) -> Result<()> {
        let mut status = self.shared.status.clone();
        let settled = status.wait_for(|status| status.state.is_connected() || status.state.is_final());
        match tokio::time::timeout(within, settled).await {
            Err(_) => Err(Error::Timeout { ms: millis(within), path: String::new() }),
            Ok(Ok(status)) if status.state.is_connected() => Ok(()),
            Ok(_) => Err(self.gone("")),
        }
    }

    pub fn state(&self) -> State {
        self.shared.status.borrow().state
    }

    pub fn status(&self) -> Status {
        self.shared.status.borrow().clone()
    }

    /// The events from now on; the first reader gets all since [`Client::connect`].
    pub fn events(&self) -> Events {
        let first = self.shared.first_events.lock().unwrap_or_else(PoisonError::into_inner).take();
        let receiver = first.unwrap_or_else(|| match self.shared.events.upgrade() {
            Some(events) => events.subscribe(),
            // The session has ended: a stream that ends at once.
            None => broadcast::channel(1).1,
        });
        Events { receiver }
    }

    /// Ends the session (ephemerals vanish), waits for the server's word and for the task. Bounded by
    /// the machine's own limit of a few seconds; idempotent.
    pub async fn close(&self) {
        self.shared.close.notify_one();
        let mut task = self.shared.task.lock().await;
        if let Some(handle) = task.as_mut() {
            // A task that panicked has ended too; there is nobody left to close.
            let _ = handle.await;
            *task = None;
        }
    }

    /// Creates a node, with any mode but the TTL ones; the path with its sequence number.
    pub async fn create(
        &self,
        path: &str,
        data: Option<Bytes>,
        acl: Vec<Acl>,
        mode: CreateMode,
    ) -> Result<String> {
        let create = self.create_request(path, data, acl, mode)?;
        let request = match mode {
            CreateMode::Container => Request::CreateContainer(create),
            _ => Request::Create(create),
        };
        match self.call(path, request, Effect::None).await? {
            Response::Create { path } | Response::Create2 { path, .. } => Ok(self.client_path(&path)),
            other => Err(unexpected(path, &other)),
        }
    }

    /// As [`Client::create`], with the new node's Stat (servers from 3.5).
    pub async fn create2(
        &self,
        path: &str,
        data: Option<Bytes>,
        acl: Vec<Acl>,
        mode: CreateMode,
    ) -> Result<Created> {
        let create = self.create_request(path, data, acl, mode)?;
        let request = match mode {
            CreateMode::Container => Request::CreateContainer(create),
            _ => Request::Create2(create),
        };
        self.create_with_stat(path, request).await
    }

    /// Creates a node that the servers remove once it has had no children and no change for `ttl_ms`
    /// (servers with extended types enabled, §2.4).
    pub async fn create_ttl(
        &self,
        path: &str,
        data: Option<Bytes>,
        acl: Vec<Acl>,
        sequential: bool,
        ttl_ms: i64,
    ) -> Result<Created> {
        let mode = if sequential { CreateMode::PersistentSequentialTtl } else { CreateMode::PersistentTtl };
        let mut create = self.create_request(path, data, acl, mode)?;
        create.ttl_ms = Some(ttl_ms);
        self.create_with_stat(path, Request::CreateTtl(create)).await
    }

    /// Deletes a node without children; `version` `None` is any.
    pub async fn delete(&self, path: &str, version: Option<i32>) -> Result<()> {
        let request =
            Request::Delete { path: self.server_path(path)?, version: version.unwrap_or(ANY_VERSION) };
        self.call(path, request, Effect::None).await.map(drop)
    }

    /// The node's Stat, `None` when there is no node. A watch is left in either case.
    pub async fn exists(&self, path: &str, watch: bool) -> Result<Option<Stat>> {
        let server_path = self.server_path(path)?;
        let effect = watching(watch, || Watch::Exists(server_path.to_string()));
        match self.call(path, Request::Exists { path: server_path, watch }, effect).await {
            Ok(Response::Stat(stat)) => Ok(Some(stat)),
            Ok(other) => Err(unexpected(path, &other)),
            Err(Error::Code(ErrorCode::NoNode, _)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub async fn get(&self, path: &str, watch: bool) -> Result<Node> {
        let server_path = self.server_path(path)?;
        let effect = watching(watch, || Watch::Data(server_path.to_string()));
        match self.call(path, Request::GetData { path: server_path, watch }, effect).await? {
            Response::Data { data, stat } => Ok(Node { data, stat }),
            other => Err(unexpected(path, &other)),
        }
    }

    /// The ensemble's dynamic configuration, `/zookeeper/config` whatever the chroot.
    pub async fn config(&self, watch: bool) -> Result<Node> {
        let effect = watching(watch, || Watch::Data(CONFIG_PATH.to_owned()));
        let request = Request::GetData { path: Str::from_static(CONFIG_PATH), watch };
        match self.call(CONFIG_PATH, request, effect).await? {
            Response::Data { data, stat } => Ok(Node { data, stat }),
            other => Err(unexpected(CONFIG_PATH, &other)),
        }
    }

    /// Replaces the data; `version` `None` is any.
    pub async fn set(&self, path: &str, data: Option<Bytes>, version: Option<i32>) -> Result<Stat> {
        let version = version.unwrap_or(ANY_VERSION);
        let request = Request::SetData { path: self.server_path(path)?, data, version };
        self.stat(path, request).await
    }

    /// The children's names, sorted (servers send them in any order), and the node's Stat.
    pub async fn children(&self, path: &str, watch: bool) -> Result<(Vec<String>, Stat)> {
        let server_path = self.server_path(path)?;
        let effect = watching(watch, || Watch::Child(server_path.to_string()));
        match self.call(path, Request::GetChildren2 { path: server_path, watch }, effect).await? {
            Response::Children2 { names, stat } => {
                let mut names: Vec<String> = names.iter().map(Str::to_string).collect();
                names.sort_unstable();
                Ok((names, stat))
            }
            other => Err(unexpected(path, &other)),
        }
    }

    pub async fn get_acl(&self, path: &str) -> Result<(Vec<Acl>, Stat)> {
        let request = Request::GetAcl { path: self.server_path(path)? };
        match self.call(path, request, Effect::None).await? {
            Response::Acl { acl, stat } => Ok((acl, stat)),
            other => Err(unexpected(path, &other)),
        }
    }

    /// Replaces the whole list; `version` is the ACL's (`aversion`), `None` is any.
    pub async fn set_acl(&self, path: &str, acl: Vec<Acl>, version: Option<i32>) -> Result<Stat> {
        let version = version.unwrap_or(ANY_VERSION);
        let request = Request::SetAcl { path: self.server_path(path)?, acl: Some(acl), version };
        self.stat(path, request).await
    }

    /// Lets the server catch up with all the leader had proposed before (§2.9).
    pub async fn sync(&self, path: &str) -> Result<()> {
        let request = Request::Sync { path: self.server_path(path)? };
        self.call(path, request, Effect::None).await.map(drop)
    }

    /// Adds an identity to this and every later connection of the session. A digest with a wrong
    /// password succeeds too: it is just another identity (§4.5).
    pub async fn add_auth(&self, scheme: &str, auth: Bytes) -> Result<()> {
        let scheme = scheme.to_owned();
        self.answer("", |reply| Command::AddAuth { scheme, auth, reply }).await.map(drop)
    }

    /// Watches until removed: one node (`Persistent`) or a whole subtree.
    pub async fn add_watch(&self, path: &str, mode: AddWatchMode) -> Result<()> {
        let server_path = self.server_path(path)?;
        let effect = Effect::Watch(Watch::Add(server_path.to_string(), mode));
        self.call(path, Request::AddWatch { path: server_path, mode: mode as i32 }, effect).await.map(drop)
    }

    /// Removes the watches of one kind on exactly this path. `local`: also when no server can be told.
    ///
    /// # Errors
    /// `NoWatcher` when there is none.
    pub async fn remove_watches(&self, path: &str, kind: WatcherType, local: bool) -> Result<()> {
        let server_path = self.server_path(path)?;
        let effect = Effect::Unwatch { path: server_path.to_string(), kind, local };
        let request = Request::RemoveWatches { path: server_path, kind: kind as i32 };
        self.call(path, request, effect).await.map(drop)
    }

    /// This session's ephemerals whose path starts with `prefix`. No chroot, in or out (§12).
    pub async fn ephemerals(&self, prefix: &str) -> Result<Vec<String>> {
        let request = Request::GetEphemerals { prefix: Some(Str::from(prefix)) };
        match self.call(prefix, request, Effect::None).await? {
            Response::Names(names) => Ok(names.iter().map(Str::to_string).collect()),
            other => Err(unexpected(prefix, &other)),
        }
    }

    /// How many nodes are below.
    pub async fn all_children_number(&self, path: &str) -> Result<i32> {
        let request = Request::GetAllChildrenNumber { path: self.server_path(path)? };
        match self.call(path, request, Effect::None).await? {
            Response::Number(number) => Ok(number),
            other => Err(unexpected(path, &other)),
        }
    }

    /// The connection's identities: scheme and user.
    pub async fn who_am_i(&self) -> Result<Vec<(String, String)>> {
        match self.call("", Request::WhoAmI, Effect::None).await? {
            Response::WhoAmI(users) => {
                Ok(users.iter().map(|(scheme, user)| (scheme.to_string(), user.to_string())).collect())
            }
            other => Err(unexpected("", &other)),
        }
    }

    async fn stat(&self, path: &str, request: Request) -> Result<Stat> {
        match self.call(path, request, Effect::None).await? {
            Response::Stat(stat) => Ok(stat),
            other => Err(unexpected(path, &other)),
        }
    }

    async fn create_with_stat(&self, path: &str, request: Request) -> Result<Created> {
        match self.call(path, request, Effect::None).await? {
            Response::Create2 { path, stat } => Ok(Created { path: self.client_path(&path), stat }),
            other => Err(unexpected(path, &other)),
        }
    }

    pub(super) fn create_request(
        &self,
        path: &str,
        data: Option<Bytes>,
        acl: Vec<Acl>,
        mode: CreateMode,
    ) -> Result<CreateRequest> {
        // The number that will follow makes "/a/" a legal sequential path (§2.4).
        let path = if mode.is_sequential() {
            path::validate(&format!("{path}1"))?;
            self.prefixed(path)
        } else {
            self.server_path(path)?
        };
        Ok(CreateRequest { path, data, acl: Some(acl), flags: mode.flags(), ttl_ms: None })
    }

    pub(super) async fn call(&self, path: &str, request: Request, effect: Effect) -> Result<Response> {
        let call = Call { request, effect };
        self.answer(path, |reply| Command::Call { call, reply }).await
    }

    /// Hands a command to the task and waits for its answer, within the request timeout.
    async fn answer(
        &self,
        path: &str,
        command: impl FnOnce(super::connection::Reply) -> Command,
    ) -> Result<Response> {
        let (reply, answer) = oneshot::channel();
        let asked = async {
            self.shared.commands.send(command(reply)).await.map_err(|_| self.gone(path))?;
            match answer.await {
                Ok(result) => result.map_err(|failure| named(failure, path)),
                Err(_) => Err(self.gone(path)),
            }
        };
        let limit = self.shared.request_timeout;
        tokio::time::timeout(limit, asked)
            .await
            .unwrap_or_else(|_| Err(Error::Timeout { ms: millis(limit), path: path.to_owned() }))
    }

    /// Why the task takes no more calls.
    fn gone(&self, path: &str) -> Error {
        match self.state() {
            State::AuthFailed => Error::AuthFailed(path.to_owned()),
            State::Expired => Error::SessionExpired(path.to_owned()),
            State::Closed | State::Connecting | State::Connected | State::ConnectedReadOnly => Error::Closed,
        }
    }

    pub(super) fn server_path(&self, path: &str) -> std::result::Result<Str, PathError> {
        path::validate(path)?;
        Ok(self.prefixed(path))
    }

    fn prefixed(&self, path: &str) -> Str {
        match self.shared.chroot.as_deref() {
            None => Str::from(path),
            Some(chroot) if path == "/" => Str::from(chroot),
            Some(chroot) => Str::from(format!("{chroot}{path}")),
        }
    }

    pub(super) fn client_path(&self, path: &str) -> String {
        let stripped = self.shared.chroot.as_deref().and_then(|chroot| path.strip_prefix(chroot));
        match stripped {
            Some("") => "/".to_owned(),
            Some(rest) => rest.to_owned(),
            None => path.to_owned(),
        }
    }
}

fn watching(watch: bool, effect: impl FnOnce() -> Watch) -> Effect {
    if watch { Effect::Watch(effect()) } else { Effect::None }
}

fn named(failure: Failure, path: &str) -> Error {
    let path = path.to_owned();
    match failure {
        Failure::Code(code) => match ErrorCode::from_code(code) {
            Some(ErrorCode::ConnectionLoss) => Error::ConnectionLoss(path),
            Some(ErrorCode::SessionExpired) => Error::SessionExpired(path),
            Some(code) => Error::Code(code, path),
            None => Error::UnknownCode(code, path),
        },
        Failure::ConnectionLoss => Error::ConnectionLoss(path),
        Failure::Expired => Error::SessionExpired(path),
        Failure::AuthFailed => Error::AuthFailed(path),
        Failure::Closed => Error::Closed,
        Failure::Malformed(why) => Error::Malformed { why, path },
    }
}

/// The decoder picks the record by the op, so another one is an error of ours; it still must not panic.
pub(super) fn unexpected(path: &str, response: &Response) -> Error {
    tracing::error!(path, ?response, "an answer of another kind than its request");
    let why = crate::wire::jute::Error::Value { what: "kind of answer", value: 0 };
    Error::Malformed { why, path: path.to_owned() }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Calls that wait for the task to take them; callers beyond that wait in `send`.
const COMMANDS_MAX: usize = 64;

/// The dynamic configuration, which no chroot moves (§4.7, §12).
const CONFIG_PATH: &str = "/zookeeper/config";
