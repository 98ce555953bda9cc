//! A one-process ZooKeeper in memory for the tests of the client and the shell: it speaks the wire
//! protocol over loopback, keeps nodes, sessions, watches and ACLs, and breaks on request. It has no
//! quorum, no disk and no time of its own.

mod tree;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};

use self::tree::{Fired, Tree};
use crate::wire::ids::{SessionId, Zxid};
use crate::wire::jute::{Reader, Str, Writer};
use crate::wire::proto::{
    ConnectRequest, ConnectResponse, ErrorCode, EventState, EventType, Id, OpCode, ReplyHeader, Request,
    RequestHeader, Response, WatcherEvent, digest_id, session_password, xid,
};

/// A running fake; stops when dropped.
pub(crate) struct Fake {
    pub(crate) addr: SocketAddr,
    world: Arc<Mutex<World>>,
    task: JoinHandle<()>,
}

/// Everything there is, behind one lock: every request is one step.
#[derive(Default)]
struct World {
    tree: Tree,
    sessions: BTreeSet<i64>,
    last_session: i64,
    connections: BTreeMap<u64, Peer>,
    last_connection: u64,
    /// Close connections as they come.
    refuses: bool,
    /// Accept, read, never answer.
    mute: bool,
    read_only: bool,
    /// What was asked, for tests that look at the wire.
    seen: Vec<String>,
}

/// One connection: how to reach it, who it is, what it watches.
struct Peer {
    frames: mpsc::UnboundedSender<Option<Bytes>>,
    session: i64,
    ids: Vec<Id>,
    data: BTreeSet<String>,
    child: BTreeSet<String>,
    persistent: BTreeSet<String>,
    recursive: BTreeSet<String>,
}

impl Fake {
    pub(crate) async fn start() -> Fake {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let addr = listener.local_addr().unwrap();
        let world = Arc::new(Mutex::new(World::default()));
        let task = tokio::spawn(accept(listener, world.clone()));
        Fake { addr, world, task }
    }

    /// For a connect string.
    pub(crate) fn server(&self) -> String {
        self.addr.to_string()
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    /// The zxid the next transaction gets, less one.
    pub(crate) fn set_last_zxid(&self, zxid: i64) {
        self.world().tree.last_zxid = zxid;
    }

    /// The clock of the transactions to come.
    pub(crate) fn set_wall_ms(&self, wall_ms: i64) {
        self.world().tree.wall_ms = wall_ms;
    }

    /// The text of the config node, which no client may write.
    pub(crate) fn set_config(&self, text: &str) {
        self.world().tree.set_data("/zookeeper/config", text);
    }

    pub(crate) fn drop_connections(&self) {
        for (_, peer) in std::mem::take(&mut self.world().connections) {
            let _ = peer.frames.send(None);
        }
    }

    pub(crate) fn refuse(&self, refuses: bool) {
        self.world().refuses = refuses;
    }

    pub(crate) fn mute(&self, mute: bool) {
        self.world().mute = mute;
    }

    pub(crate) fn serve_read_only(&self, read_only: bool) {
        self.world().read_only = read_only;
    }

    /// Forgets every session, as if their timeouts had passed.
    pub(crate) fn expire_all(&self) {
        let mut world = self.world();
        for session in std::mem::take(&mut world.sessions) {
            world.close_session(session);
        }
    }

    /// Sends these bytes as a frame to every connection.
    pub(crate) fn inject(&self, payload: &'static [u8]) {
        for peer in self.world().connections.values() {
            let _ = peer.frames.send(Some(Bytes::from_static(payload)));
        }
    }

    /// The requests since the last call.
    pub(crate) fn seen(&self) -> Vec<String> {
        std::mem::take(&mut self.world().seen)
    }

    pub(crate) fn session_count(&self) -> usize {
        self.world().sessions.len()
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, world: Arc<Mutex<World>>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        if !world.lock().unwrap().refuses {
            connections.spawn(serve(stream, world.clone()));
        }
    }
}

/// One connection: the handshake or a four-letter word, then frames both ways.
async fn serve(stream: TcpStream, world: Arc<Mutex<World>>) {
    stream.set_nodelay(true).unwrap();
    let (mut reader, mut writer) = stream.into_split();
    let mut inbox = BytesMut::new();
    if reader.read_buf(&mut inbox).await.is_err() {
        return;
    }
    if inbox.starts_with(b"isro") {
        let answer: &[u8] = if world.lock().unwrap().read_only { b"ro" } else { b"rw" };
        let _ = writer.write_all(answer).await;
        return;
    }
    let (frames, mut outgoing) = mpsc::unbounded_channel();
    let mut me = None;
    loop {
        while let Some(frame) = take_frame(&mut inbox) {
            let mut world = world.lock().unwrap();
            if world.mute {
                continue;
            }
            match me {
                None => me = world.welcome(frame, &frames),
                Some(id) => world.on_frame(id, frame),
            }
        }
        tokio::select! {
            biased;
            out = outgoing.recv() => {
                let Some(Some(payload)) = out else { break };
                let mut framed = BytesMut::from(&(payload.len() as u32).to_be_bytes()[..]);
                framed.extend_from_slice(&payload);
                if writer.write_all(&framed).await.is_err() {
                    break;
                }
            }
            read = reader.read_buf(&mut inbox) => if !matches!(read, Ok(1..)) { break },
        }
    }
    if let Some(id) = me {
        world.lock().unwrap().connections.remove(&id);
    }
}

fn take_frame(inbox: &mut BytesMut) -> Option<Bytes> {
    let len = u32::from_be_bytes(*inbox.first_chunk::<4>()?) as usize;
    (inbox.len() >= 4 + len).then(|| inbox.split_to(4 + len).freeze().slice(4..))
}

impl World {
    fn welcome(&mut self, frame: Bytes, frames: &mpsc::UnboundedSender<Option<Bytes>>) -> Option<u64> {
        let hello = ConnectRequest::decode(frame).unwrap();
        self.seen.push(format!("connect 0x{:x} zxid 0x{:x}", hello.session.0, hello.last_zxid_seen.0));
        if (self.read_only && hello.read_only != Some(true)) || hello.last_zxid_seen.0 > self.tree.last_zxid {
            let _ = frames.send(None);
            return None;
        }
        let session = match hello.session.0 {
            0 => {
                self.last_session += 1;
                self.last_session
            }
            known => known,
        };
        let mut answer = ConnectResponse {
            timeout_ms: hello.timeout_ms.clamp(4_000, 40_000),
            session: SessionId(session),
            password: session_password(SessionId(session)),
            read_only: hello.read_only.map(|_| self.read_only),
        };
        let resumes = hello.session.0 != 0;
        let refused = resumes && (!self.sessions.contains(&session) || hello.password[..] != answer.password);
        if refused {
            answer = ConnectResponse::refused(true);
        }
        let mut w = Writer::new();
        answer.encode(&mut w);
        let _ = frames.send(Some(w.finish()));
        if refused {
            let _ = frames.send(None);
            return None;
        }
        self.sessions.insert(session);
        self.last_connection += 1;
        let peer = Peer {
            frames: frames.clone(),
            session,
            ids: vec![Id::new("ip", "127.0.0.1")],
            data: BTreeSet::new(),
            child: BTreeSet::new(),
            persistent: BTreeSet::new(),
            recursive: BTreeSet::new(),
        };
        self.connections.insert(self.last_connection, peer);
        Some(self.last_connection)
    }

    fn on_frame(&mut self, me: u64, frame: Bytes) {
        let mut r = Reader::new(frame);
        let header = RequestHeader::decode(&mut r).unwrap();
        let op = OpCode::from_code(header.op).unwrap();
        let request = Request::decode(op, &mut r).unwrap();
        if op != OpCode::Ping {
            self.seen.push(format!("{} {op:?}", header.xid));
        }
        let Some(peer) = self.connections.get(&me) else { return };
        let (session, ids) = (peer.session, peer.ids.clone());
        let result = if self.read_only && op.is_write() && op != OpCode::CloseSession {
            Err(ErrorCode::NotReadOnly)
        } else {
            self.answer(me, session, &ids, request)
        };
        let (xid, zxid) = match op {
            OpCode::Ping => (xid::PING, self.tree.last_zxid),
            OpCode::Auth => (header.xid, 0),
            _ => (header.xid, self.tree.last_zxid),
        };
        let mut w = Writer::new();
        let err = result.as_ref().err().map_or(0, |code| code.code());
        ReplyHeader { xid, zxid: Zxid(zxid), err }.encode(&mut w);
        if let Ok(response) = &result {
            response.encode(&mut w);
        }
        self.send(me, w.finish());
        let last = op == OpCode::CloseSession || (op == OpCode::Auth && err != 0);
        if let Some(peer) = last.then(|| self.connections.remove(&me)).flatten() {
            let _ = peer.frames.send(None);
        }
    }

    fn answer(&mut self, me: u64, session: i64, ids: &[Id], request: Request) -> Result<Response, ErrorCode> {
        match request {
            Request::Ping => Ok(Response::Empty),
            Request::CloseSession => {
                self.sessions.remove(&session);
                self.close_session(session);
                Ok(Response::Empty)
            }
            Request::Auth { scheme, auth } => {
                if &*scheme != "digest" {
                    return Err(ErrorCode::AuthFailed);
                }
                let auth = String::from_utf8(auth.unwrap().to_vec()).unwrap();
                self.peer(me).ids.push(Id::new("digest", &digest_id(&auth)));
                Ok(Response::Empty)
            }
            Request::SetWatches(watches) | Request::SetWatches2(watches) => {
                let strings = |list: &[Str]| list.iter().map(Str::to_string).collect::<Vec<_>>();
                for path in strings(&watches.data) {
                    match self.tree.stat(&path) {
                        None => self.notify(me, EventType::NodeDeleted, &path, -1),
                        Some(stat) if stat.mzxid > watches.relative_zxid => {
                            self.notify(me, EventType::NodeDataChanged, &path, -1);
                        }
                        Some(_) => drop(self.peer(me).data.insert(path)),
                    }
                }
                for path in strings(&watches.exist) {
                    match self.tree.stat(&path) {
                        None => drop(self.peer(me).data.insert(path)),
                        Some(_) => self.notify(me, EventType::NodeCreated, &path, -1),
                    }
                }
                for path in strings(&watches.child) {
                    self.peer(me).child.insert(path);
                }
                self.peer(me).persistent.extend(strings(&watches.persistent));
                self.peer(me).recursive.extend(strings(&watches.persistent_recursive));
                Ok(Response::Empty)
            }
            Request::AddWatch { path, mode } => {
                let peer = self.peer(me);
                let table = if mode == 0 { &mut peer.persistent } else { &mut peer.recursive };
                table.insert(path.to_string());
                Ok(Response::Number(0))
            }
            Request::RemoveWatches { path, kind } => {
                let peer = self.peer(me);
                let mut removed = false;
                for (table, kinds) in [
                    (&mut peer.child, [1, 3]),
                    (&mut peer.data, [2, 3]),
                    (&mut peer.persistent, [4, 3]),
                    (&mut peer.recursive, [5, 3]),
                ] {
                    removed |= kinds.contains(&kind) && table.remove(&*path);
                }
                if removed { Ok(Response::Empty) } else { Err(ErrorCode::NoWatcher) }
            }
            Request::WhoAmI => {
                let user = |id: &Id| id.id.split(':').next().unwrap().to_owned();
                Ok(Response::WhoAmI(
                    ids.iter().map(|id| (Str::from(id.scheme.as_str()), Str::from(user(id)))).collect(),
                ))
            }
            Request::Exists { path, watch } => {
                if watch {
                    self.peer(me).data.insert(path.to_string());
                }
                self.tree.read(session, ids, &Request::Exists { path, watch })
            }
            Request::GetData { ref path, watch } | Request::GetChildren2 { ref path, watch } => {
                let answer = self.tree.read(session, ids, &request)?;
                if watch {
                    let peer = self.peer(me);
                    let table = match answer {
                        Response::Data { .. } => &mut peer.data,
                        _ => &mut peer.child,
                    };
                    table.insert(path.to_string());
                }
                Ok(answer)
            }
            request if request.op().is_write() => {
                let (result, fired) = self.tree.write(session, ids, request);
                self.fire(&fired);
                result
            }
            request => self.tree.read(session, ids, &request),
        }
    }

    fn close_session(&mut self, session: i64) {
        let fired = self.tree.close_session(session);
        self.fire(&fired);
    }

    /// Data table, then child tables, one event per connection and firing (client-protocol §5.2).
    fn fire(&mut self, fired: &[Fired]) {
        for Fired { kind, path } in fired {
            let zxid = self.tree.last_zxid;
            let parent = crate::wire::proto::path::parent(path).unwrap_or("/").to_owned();
            for me in self.connections.keys().copied().collect::<Vec<_>>() {
                let peer = self.peer(me);
                let recursive =
                    peer.recursive.iter().any(|root| path == root || path.starts_with(&format!("{root}/")));
                let deleted = *kind == EventType::NodeDeleted;
                let watched = peer.data.remove(path)
                    | (deleted && peer.child.remove(path))
                    | peer.persistent.contains(path)
                    | recursive;
                let children = *kind != EventType::NodeDataChanged
                    && peer.child.remove(&parent) | peer.persistent.contains(&parent);
                if watched {
                    self.notify(me, *kind, path, zxid);
                }
                if children {
                    self.notify(me, EventType::NodeChildrenChanged, &parent, zxid);
                }
            }
        }
    }

    fn notify(&mut self, me: u64, kind: EventType, path: &str, zxid: i64) {
        let mut w = Writer::new();
        ReplyHeader { xid: xid::NOTIFICATION, zxid: Zxid(zxid), err: 0 }.encode(&mut w);
        WatcherEvent { kind, state: EventState::SyncConnected, path: Str::from(path) }.encode(&mut w);
        self.send(me, w.finish());
    }

    fn send(&mut self, me: u64, payload: Bytes) {
        let _ = self.peer(me).frames.send(Some(payload));
    }

    fn peer(&mut self, me: u64) -> &mut Peer {
        self.connections.get_mut(&me).expect("asked by a connection that is there")
    }
}
