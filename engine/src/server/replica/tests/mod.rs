//! One server's mind without anything around it: a standalone replica whose disk answers when the test says so.

mod clients;
mod desk;
mod leader;
mod leading;
mod learner;
mod room;
mod sessions;
mod status;
mod watches;

use bytes::Bytes;

use super::{ClientId, Input, Now, Output, Replica, Settings};
use crate::server::tree::{self, Tree};
use crate::server::zab::PersistId;
use crate::wire::ids::{ServerId, SessionId, Zxid};
use crate::wire::jute::{Reader, Writer};
use crate::wire::proto::{Acl, ConnectRequest, CreateMode, CreateRequest, Perms, Request, xid};

pub(super) fn settings(salt: u16) -> Settings {
    Settings {
        me: ServerId(1),
        tick_ms: 1000,
        session_timeout_ms_min: 2000,
        session_timeout_ms_max: 20_000,
        session_salt: salt,
        leader_serves: true,
        outstanding_max: 1000,
        super_digest: None,
        tree: tree::Settings::default(),
        container_check_ms: 60_000,
        container_never_used_ms: 0,
        config_text: None,
    }
}

struct Server {
    replica: Replica,
    now: Now,
    /// The newest write that is not durable yet.
    unwritten: Option<PersistId>,
}

impl Server {
    fn new(tree: Tree, salt: u16) -> Server {
        Server { replica: Replica::standalone(settings(salt), tree, NOW), now: NOW, unwritten: None }
    }

    fn step(&mut self, input: Input) {
        let mut out = Vec::new();
        self.replica.step(self.now, input, &mut out);
        for output in out {
            match output {
                Output::Persist { id, .. } => self.unwritten = Some(id),
                other => panic!("a server of its own wants {other:?}"),
            }
        }
    }

    /// What was written reaches the disk.
    fn flush(&mut self) {
        if let Some(id) = self.unwritten.take() {
            self.step(Input::Persisted { id });
        }
    }

    /// What each client was sent, frame by frame.
    fn sent(&mut self) -> Vec<(u64, Bytes)> {
        let mut sent = Vec::new();
        self.replica.drain_clients(|client, bytes, _| {
            sent.extend(frames(bytes).into_iter().map(|frame| (client.0, frame)));
        });
        sent
    }

    /// The same as (client, xid, error).
    fn replies(&mut self) -> Vec<(u64, i32, i32)> {
        let reply = |(client, frame)| (client, header(frame));
        self.sent().into_iter().map(reply).map(|(client, (xid, err))| (client, xid, err)).collect()
    }

    /// A client with a new session.
    fn connect(&mut self, client: u64) -> SessionId {
        let addr = "10.0.0.1:4000".parse().unwrap();
        self.step(Input::ClientUp { client: ClientId(client), addr });
        let frame = connect_frame(SessionId::NONE);
        self.step(Input::ClientFrame { client: ClientId(client), frame });
        self.flush();
        let sent = self.sent();
        let [(_, frame)] = &sent[..] else { panic!("{sent:?}") };
        let mut r = Reader::new(frame.slice(8..));
        SessionId(r.long().unwrap())
    }

    fn ask(&mut self, client: u64, xid: i32, request: &Request) {
        self.step(Input::ClientFrame { client: ClientId(client), frame: request_frame(xid, request) });
    }
}

fn connect_frame(session: SessionId) -> Bytes {
    let request = ConnectRequest {
        protocol_version: 0,
        last_zxid_seen: Zxid(0),
        timeout_ms: 4000,
        session,
        password: Bytes::from_static(&[0; 16]),
        read_only: Some(false),
    };
    let mut w = Writer::new();
    request.encode(&mut w);
    w.finish()
}

fn request_frame(xid: i32, request: &Request) -> Bytes {
    let mut w = Writer::new();
    w.int(xid);
    w.int(request.op().code());
    request.encode(&mut w);
    w.finish()
}

/// The frames of what a connection was sent.
fn frames(bytes: Bytes) -> Vec<Bytes> {
    let mut r = Reader::new(bytes);
    std::iter::from_fn(|| r.buffer().ok().flatten()).collect()
}

/// A reply's xid and error.
fn header(frame: Bytes) -> (i32, i32) {
    let mut r = Reader::new(frame);
    let xid = r.int().unwrap();
    r.long().unwrap();
    (xid, r.int().unwrap())
}

fn create(path: &str, mode: CreateMode) -> Request {
    let acl = Some(vec![Acl::new(Perms::ALL, "world", "anyone")]);
    Request::Create(CreateRequest { path: path.into(), data: None, acl, flags: mode.flags(), ttl_ms: None })
}

fn exists(path: &str, watch: bool) -> Request {
    Request::Exists { path: path.into(), watch }
}

/// Found by the simulator: a host whose clock was set back to the very millisecond gave out the same ids again.
#[test]
fn session_ids_begin_at_the_salt_and_never_meet_one_that_lives() {
    let mut server = Server::new(Tree::new(), 0x1234);
    let first = server.connect(1);
    assert_eq!(first.0 & 0xffff, 0x1234);
    let second = server.connect(2);
    assert_eq!(second.0, first.0 + 1);
    // The same process again, as a clock set back has it, on the data that the first one left.
    let mut again = Server::new(std::mem::take(server.replica.tree_mut()), 0x1234);
    let third = again.connect(3);
    assert_eq!(third.0, second.0 + 1, "two ids are taken");
}

#[test]
fn a_write_is_answered_when_it_is_durable_and_holds_back_only_its_own_session() {
    let mut server = Server::new(Tree::new(), 0);
    server.connect(1);
    server.connect(2);
    server.ask(1, 1, &create("/a", CreateMode::Persistent));
    server.ask(1, 2, &exists("/a", false));
    server.ask(2, 1, &exists("/a", false));
    assert_eq!(server.replies(), [(2, 1, -101)], "not there for others, and its own read waits");
    server.flush();
    assert_eq!(server.replies(), [(1, 1, 0), (1, 2, 0)]);
}

#[test]
fn a_watch_fires_before_the_write_that_fires_it_is_answered() {
    let mut server = Server::new(Tree::new(), 0);
    server.connect(1);
    server.ask(1, 1, &exists("/a", true));
    server.ask(1, 2, &create("/a", CreateMode::Persistent));
    server.flush();
    assert_eq!(server.replies(), [(1, 1, -101), (1, xid::NOTIFICATION, 0), (1, 2, 0)]);
    server.ask(1, 3, &Request::Delete { path: "/a".into(), version: -1 });
    server.flush();
    assert_eq!(server.replies(), [(1, 3, 0)], "it was used up");
}

#[test]
fn a_session_that_is_silent_ends_with_its_ephemerals() {
    let mut server = Server::new(Tree::new(), 0);
    let gone = server.connect(1);
    server.ask(1, 1, &create("/e", CreateMode::Ephemeral));
    server.flush();
    server.step(Input::ClientDown { client: ClientId(1) });
    server.connect(2);
    server.ask(2, 1, &exists("/e", true));
    assert_eq!(server.sent().len(), 1);
    for _ in 0..10 {
        server.now.ms = server.replica.deadline_ms();
        server.step(Input::Tick);
        server.ask(2, xid::PING, &Request::Ping);
        server.flush();
    }
    assert!(server.replica.tree().session_timeout_ms(gone).is_none());
    assert!(server.replies().contains(&(2, xid::NOTIFICATION, 0)));
}

#[test]
fn hostile_frames_close_their_connection_and_nothing_else() {
    let mut server = Server::new(Tree::new(), 0);
    server.connect(1);
    for (client, frame) in [(7, &[0xff; 3][..]), (8, &[][..]), (9, &[0x7f; 60][..])] {
        let addr = "10.0.0.9:4000".parse().unwrap();
        server.step(Input::ClientUp { client: ClientId(client), addr });
        server.step(Input::ClientFrame { client: ClientId(client), frame: Bytes::copy_from_slice(frame) });
        let mut closed = Vec::new();
        server.replica.drain_clients(|client, _, closing| closed.push((client.0, closing)));
        assert_eq!(closed, [(client, true)]);
    }
    server.ask(1, 1, &exists("/", false));
    assert_eq!(server.replies(), [(1, 1, 0)]);
}

const NOW: Now = Now { ms: 5, wall_ms: 1_700_000_000_000 };
