//! The desk alone, with a tree beside it: requests in, frames out.

use super::{NOW, connect_frame, create, exists, frames, header};
use crate::server::replica::desk::Desk;
use crate::server::replica::event::ClientId;
use crate::server::replica::held::View;
use crate::server::replica::queue::Waiting;
use crate::server::tree::{AclList, Acls, Change, ChangeKind, Outcome, Tree};
use crate::wire::ids::{SessionId, Zxid};
use crate::wire::proto::{Acl, CreateMode, ErrorCode, OpCode, Perms, Request, SetWatches, Stat, xid};

struct Hall {
    desk: Desk,
    tree: Tree,
}

impl Hall {
    fn new() -> Hall {
        Hall { desk: Desk::new(false, 1000), tree: Tree::new() }
    }

    fn connect(&mut self, n: u64) -> ClientId {
        let id = ClientId(n);
        self.desk.up(NOW, id, "10.0.0.1:4000".parse().unwrap(), true);
        let clients = self.desk.clients_mut();
        clients.hear(id, connect_frame(SessionId::NONE)).unwrap();
        clients.opening(id, 4000, true);
        clients.seat(id, SessionId(n.cast_signed()));
        clients.settle(id, true).unwrap();
        self.replies();
        id
    }

    fn ask(&mut self, id: ClientId, xid: i32, request: Request) {
        let view = View { now: NOW, tree: &self.tree };
        self.desk.ask(view, id, xid, request.op(), Waiting::Turn(request));
    }

    fn hold(&mut self, id: ClientId, xid: i32, request: Request) {
        let what = Waiting::Commit(Some(Box::new(request)));
        assert!(self.desk.hold(NOW, id, xid, OpCode::Create, what));
    }

    fn committed(&mut self, id: ClientId, xid: i32, outcome: &Outcome) {
        let view = View { now: NOW, tree: &self.tree };
        self.desk.committed(view, SessionId(id.0.cast_signed()), xid, Zxid(9), outcome);
    }

    /// (connection, xid, error) of every frame; no frame for a connection that only ends.
    fn replies(&mut self) -> Vec<(u64, i32, i32)> {
        let mut all = Vec::new();
        self.desk.drain(|id, bytes, _| {
            all.extend(frames(bytes).into_iter().map(header).map(|(xid, err)| (id.0, xid, err)));
        });
        all
    }
}

fn change(kind: ChangeKind, path: &str, acl: AclList) -> Change {
    Change { kind, path: path.into(), acl, parent_acl: AclList::Open }
}

#[test]
fn a_read_waits_for_the_write_before_it_and_not_for_that_of_another() {
    let mut hall = Hall::new();
    let (a, b) = (hall.connect(1), hall.connect(2));
    hall.hold(a, 1, create("/a", CreateMode::Persistent));
    hall.ask(a, 2, exists("/", false));
    hall.ask(b, 1, exists("/", false));
    assert_eq!(hall.replies(), [(2, 1, 0)]);
    let created = Outcome::Created { path: "/a".into(), stat: Stat::default() };
    hall.committed(b, 1, &created);
    assert_eq!(hall.replies(), [], "it was not his");
    hall.committed(a, 1, &created);
    assert_eq!(hall.replies(), [(1, 1, 0), (1, 2, 0)]);
}

#[test]
fn a_session_that_moved_is_never_told() {
    let mut hall = Hall::new();
    let a = hall.connect(1);
    hall.hold(a, 1, create("/a", CreateMode::Persistent));
    hall.committed(a, 1, &Outcome::Error(ErrorCode::SessionMoved.code()));
    let mut ended = Vec::new();
    hall.desk.drain(|id, bytes, closing| ended.push((id.0, bytes.len(), closing)));
    assert_eq!(ended, [(1, 0, true)]);
    assert_eq!(hall.desk.clients().traffic().outstanding, 0);
}

#[test]
fn a_watch_is_left_by_an_answered_read_and_tells_of_one_change() {
    let mut hall = Hall::new();
    let (a, b) = (hall.connect(1), hall.connect(2));
    hall.ask(a, 1, exists("/x", true));
    hall.ask(b, 1, Request::GetData { path: "/x".into(), watch: true });
    assert_eq!(hall.replies(), [(1, 1, -101), (2, 1, -101)]);
    assert_eq!(hall.desk.watches().count(), 1, "only exists leaves one on a missing node");
    hall.desk.tell(Zxid(4), &change(ChangeKind::Created, "/x", AclList::Open));
    hall.desk.tell(Zxid(5), &change(ChangeKind::DataChanged, "/x", AclList::Open));
    assert_eq!(hall.replies(), [(1, xid::NOTIFICATION, 0)]);
}

#[test]
fn who_may_not_read_a_node_is_not_told_and_its_watch_is_used_up() {
    let mut hall = Hall::new();
    let a = hall.connect(1);
    hall.ask(a, 1, exists("/x", true));
    hall.replies();
    let secret = AclList::Listed(Acls::shared(vec![Acl::new(Perms::ALL, "digest", "ann:x")]));
    hall.desk.tell(Zxid(4), &change(ChangeKind::Created, "/x", secret));
    assert_eq!(hall.replies(), []);
    assert_eq!(hall.desk.watches().count(), 0);
}

/// A session with thousands of ephemerals ends while many watch the whole tree.
#[test]
fn events_of_one_batch_have_an_end_and_who_is_owed_least_is_told_all() {
    let mut hall = Hall::new();
    let watchers: Vec<ClientId> = (1..=40).map(|n| hall.connect(n)).collect();
    for id in &watchers {
        hall.ask(*id, 1, Request::AddWatch { path: "/".into(), mode: 1 });
    }
    let modest = hall.connect(41);
    hall.ask(modest, 1, exists("/x9", true));
    hall.replies();
    let long = "x".repeat(1000);
    for i in 0..5000 {
        hall.desk.tell(Zxid(4), &change(ChangeKind::Created, &format!("/{long}{i}"), AclList::Open));
    }
    hall.desk.tell(Zxid(5), &change(ChangeKind::Created, "/x9", AclList::Open));
    let mut owed = Vec::new();
    hall.desk.drain(|id, bytes, closing| owed.push((id, bytes.len(), closing)));
    let all: usize = owed.iter().map(|(_, len, _)| len).sum();
    assert!(all < 80 << 20, "two hundred megabytes were to be told, and {all} bytes were");
    assert!(watchers.iter().all(|watcher| owed.iter().any(|(id, _, ends)| id == watcher && *ends)));
    let told = owed.iter().find(|(id, ..)| *id == modest).expect("it is told");
    assert!(told.1 > 0 && !told.2, "its one event is nobody's flood");
}

#[test]
fn a_client_that_was_away_is_told_what_it_missed_and_watches_the_rest() {
    let mut hall = Hall::new();
    let a = hall.connect(1);
    let lost = SetWatches {
        relative_zxid: Zxid(1),
        data: vec!["/zookeeper".into(), "/gone".into()],
        exist: vec!["/later".into(), "/".into()],
        child: vec!["/".into()],
        ..SetWatches::default()
    };
    hall.ask(a, xid::SET_WATCHES, Request::SetWatches(lost));
    let told: Vec<_> = hall.replies().into_iter().map(|(_, xid, _)| xid).collect();
    assert_eq!(told, [xid::NOTIFICATION, xid::NOTIFICATION, xid::SET_WATCHES]);
    assert_eq!(hall.desk.watches().count(), 3, "/zookeeper, /later and the children of the root");
}

#[test]
fn no_watch_outlives_its_connection() {
    let mut hall = Hall::new();
    let (a, b, c) = (hall.connect(1), hall.connect(2), hall.connect(3));
    [a, b, c].into_iter().for_each(|id| hall.ask(id, 1, exists("/x", true)));
    assert_eq!(hall.desk.watches().count(), 3);
    hall.desk.down(a);
    assert_eq!(hall.desk.watches().count(), 2);
    hall.desk.clients_mut().close(b);
    hall.replies();
    assert_eq!(hall.desk.watches().count(), 1);
    hall.desk.close_all();
    assert_eq!(hall.desk.watches().count(), 0);
}

#[test]
fn who_comes_while_nobody_is_served_is_closed_at_once() {
    let mut desk = Desk::new(false, 1000);
    desk.up(NOW, ClientId(1), "10.0.0.1:4000".parse().unwrap(), false);
    let mut ended = Vec::new();
    desk.drain(|id, _, closing| ended.push((id.0, closing)));
    assert_eq!(ended, [(1, true)]);
}
