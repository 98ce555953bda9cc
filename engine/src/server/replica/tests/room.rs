//! What a client that asks for much and reads little can make a server hold: a bounded number of bytes, and in the
//! end all its answers, in order.

use super::{NOW, Server, create, header};
use crate::server::replica::{ClientId, Input};
use crate::server::tree::Tree;
use crate::wire::proto::{CreateMode, CreateRequest, ErrorCode, Request};

/// A server with a client and a node of 300 kB.
fn server() -> Server {
    let mut server = Server::new(Tree::new(), 0);
    server.connect(ID.0);
    let Request::Create(request) = create("/big", CreateMode::Persistent) else { unreachable!() };
    let data = Some(vec![b'x'; BIG_LEN].into());
    server.ask(ID.0, 1, &Request::Create(CreateRequest { data, ..request }));
    server.flush();
    assert_eq!(server.replies(), [(1, 1, 0)]);
    server
}

fn get() -> Request {
    Request::GetData { path: "/big".into(), watch: false }
}

impl Server {
    /// The xids of the answers in the connection's buffer, and the buffer's length.
    fn owed(&mut self) -> (Vec<i32>, usize) {
        let sent = self.sent();
        let len = sent.iter().map(|(_, frame)| frame.len()).sum();
        (sent.into_iter().map(|(_, frame)| header(frame).0).collect(), len)
    }

    fn held_back(&mut self) -> Vec<(u64, bool)> {
        let mut all = Vec::new();
        self.replica.drain_held_back(|id, is_held_back| all.push((id.0, is_held_back)));
        all
    }
}

#[test]
fn answers_are_made_when_there_is_room_for_them_and_in_order() {
    let mut server = server();
    (10..40).for_each(|xid| server.ask(ID.0, xid, &get()));
    assert_eq!(server.held_back(), [(1, true)], "once");
    let mut answered = Vec::new();
    loop {
        let (xids, len) = server.owed();
        assert!(!xids.is_empty() && len < OWED_LEN_MAX, "{len} bytes at once");
        answered.extend(xids);
        if answered.len() >= 30 {
            break;
        }
        server.step(Input::ClientFull { client: ID });
        server.ask(ID.0, 90, &get());
        assert!(server.owed().0.is_empty(), "nothing is answered while nothing is read");
        server.step(Input::ClientRoom { client: ID });
    }
    assert!(answered[..30].iter().copied().eq(10..40), "{answered:?}");
}

#[test]
fn each_batch_has_one_turn_for_everybody() {
    let mut server = server();
    server.connect(2);
    let exists = Request::Exists { path: "/none".into(), watch: false };
    (10..1010).for_each(|xid| server.ask(ID.0, xid, &exists));
    server.ask(2, 5, &Request::Ping);
    assert_eq!((server.held_back(), server.owed().0.len()), (vec![(1, true)], 256 + 1));
    let mut answered = 256;
    while answered < 1000 {
        server.step(Input::ClientRoom { client: ID });
        let turn = server.owed().0.len();
        assert!((1..=256).contains(&turn), "{turn}");
        answered += turn;
    }
    assert_eq!(server.held_back().last(), Some(&(1, false)));
}

/// Otherwise so many clients would make a server hold so many times what one can.
#[test]
fn what_is_answered_in_a_batch_to_all_together_has_an_end_and_everybody_is_answered() {
    let mut server = server();
    let clients = 2..102;
    clients.clone().for_each(|client| {
        server.connect(client);
    });
    server.flush();
    for client in clients.clone() {
        server.ask(client, 10, &get());
        server.ask(client, 11, &Request::Ping);
    }
    let mut answered = 0;
    while answered < 200 {
        let (xids, len) = server.owed();
        assert!(!xids.is_empty() && len < BATCH_LEN_MAX + BIG_LEN + 100, "{len} bytes at once");
        answered += xids.len();
        for (client, _) in server.held_back().into_iter().filter(|(_, is_held_back)| *is_held_back) {
            server.step(Input::ClientRoom { client: ClientId(client) });
        }
    }
    assert!(server.owed().0.is_empty() && answered == 200, "{answered}");
}

/// Otherwise a leader would hear of its followers only behind what any number of clients ask for.
#[test]
fn so_many_requests_are_taken_in_a_batch_whoever_asks() {
    let mut server = server();
    let exists = Request::Exists { path: "/none".into(), watch: false };
    for client in 2..102 {
        server.connect(client);
        server.flush();
    }
    for client in 2..102 {
        (0..200).for_each(|xid| server.ask(client, xid + 10, &exists));
    }
    let turn = server.owed().0.len();
    assert_eq!(turn, 16 * 1024);
    let held_back = server.held_back();
    assert!(held_back.len() >= 18, "{}", held_back.len());
    held_back.into_iter().for_each(|(client, _)| server.step(Input::ClientRoom { client: ClientId(client) }));
    assert_eq!(server.owed().0.len(), 100 * 200 - turn);
}

#[test]
fn who_is_held_back_is_let_go_when_all_has_come_in() {
    let mut server = server();
    (10..16).for_each(|xid| server.ask(ID.0, xid, &get()));
    assert_eq!((server.held_back(), server.owed().0.len()), (vec![(1, true)], 4));
    server.step(Input::ClientRoom { client: ID });
    assert_eq!((server.held_back(), server.owed().0), (vec![(1, false)], vec![14, 15]));
    server.ask(ID.0, 16, &get());
    assert_eq!((server.held_back(), server.owed().0), (vec![], vec![16]));
}

#[test]
fn a_read_that_waits_for_room_does_not_see_a_later_write_of_its_connection() {
    let mut server = server();
    (10..15).for_each(|xid| server.ask(ID.0, xid, &get()));
    server.ask(ID.0, 15, &Request::Exists { path: "/later".into(), watch: false });
    server.ask(ID.0, 16, &create("/later", CreateMode::Persistent));
    server.flush();
    assert_eq!(server.owed().0, [10, 11, 12, 13]);
    server.step(Input::ClientRoom { client: ID });
    server.flush();
    let rest: Vec<_> = server.replies().into_iter().map(|(_, xid, err)| (xid, err)).collect();
    assert_eq!(rest, [(14, 0), (15, ErrorCode::NoNode.code()), (16, 0)]);
}

#[test]
fn no_more_reads_stand_behind_a_write_than_may_be_answered_with_it() {
    let mut server = server();
    server.ask(ID.0, 10, &create("/w", CreateMode::Persistent));
    (11..200).for_each(|xid| server.ask(ID.0, xid, &get()));
    server.flush();
    let (mut answered, len) = server.owed();
    assert!(answered.len() <= 1 + 32 && len < OWED_LEN_MAX + 32 * BIG_LEN, "{} answers", answered.len());
    while answered.len() < 190 {
        server.step(Input::ClientRoom { client: ID });
        answered.extend(server.owed().0);
    }
    assert!(answered.iter().copied().eq(10..200));
}

#[test]
fn what_waits_keeps_its_session_alive_and_ends_with_its_connection() {
    let mut server = server();
    (10..20).for_each(|xid| server.ask(ID.0, xid, &get()));
    server.step(Input::ClientFull { client: ID });
    for _ in 0..5 {
        server.now.ms += 3000;
        server.ask(ID.0, 90, &Request::Ping);
        server.step(Input::Tick);
    }
    assert!(server.unwritten.is_none(), "no session has ended");
    server.step(Input::ClientDown { client: ID });
    server.step(Input::ClientRoom { client: ID });
    assert!(server.owed().0.is_empty());
    assert_eq!(server.now.wall_ms, NOW.wall_ms);
}

#[test]
fn a_multi_read_is_no_longer_than_an_answer_may_be() {
    let mut server = server();
    server.ask(ID.0, 10, &Request::MultiRead(vec![get(); 10]));
    let (xids, len) = server.owed();
    assert!(xids == [10] && len > 10 * BIG_LEN);
    server.ask(ID.0, 11, &Request::MultiRead(vec![get(); 10_000]));
    assert_eq!(server.replies(), [(1, 11, ErrorCode::MarshallingError.code())]);
}

const ID: ClientId = ClientId(1);

const BIG_LEN: usize = 300_000;

/// What is answered in a batch to all.
const BATCH_LEN_MAX: usize = 16 * 1024 * 1024;

/// One batch's bound for one connection, and one answer.
const OWED_LEN_MAX: usize = 1024 * 1024 + BIG_LEN + 1000;
