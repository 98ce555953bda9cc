//! Connections alone: what they say, what they are owed, and their end.

use bytes::Bytes;

use super::{NOW, connect_frame, frames, request_frame};
use crate::server::replica::clients::Clients;
use crate::server::replica::event::ClientId;
use crate::server::replica::queue::{Pending, Waiting};
use crate::server::replica::said::{Opened, Said};
use crate::wire::ids::{SessionId, Zxid};
use crate::wire::proto::{Id, OpCode, Request};

fn up(clients: &mut Clients, id: ClientId) {
    clients.up(NOW, id, "10.0.0.1:4000".parse().unwrap());
}

/// A connection with a session.
fn open(clients: &mut Clients, id: ClientId, session: SessionId) -> Opened {
    up(clients, id);
    assert!(matches!(clients.hear(id, connect_frame(SessionId::NONE)), Some(Said::Connect(_))));
    clients.opening(id, 4000, true);
    clients.seat(id, session);
    clients.settle(id, true).unwrap()
}

/// (connection, number of frames, whether it ends).
fn drained(clients: &mut Clients) -> Vec<(u64, usize, bool)> {
    let mut all = Vec::new();
    clients.drain(|id, bytes, closing| all.push((id.0, frames(bytes).len(), closing)));
    all
}

#[test]
fn what_is_said_before_the_session_stands_is_heard_behind_it() {
    let mut clients = Clients::default();
    up(&mut clients, ID);
    assert!(matches!(clients.hear(ID, connect_frame(SessionId::NONE)), Some(Said::Connect(_))));
    clients.opening(ID, 4000, true);
    clients.seat(ID, SESSION);
    assert!(clients.hear(ID, request_frame(1, &Request::Ping)).is_none());
    assert_eq!(drained(&mut clients), [], "nothing is answered yet");
    let opened = clients.settle(ID, true).unwrap();
    assert_eq!((opened.session, opened.timeout_ms), (SESSION, 4000));
    assert_eq!(drained(&mut clients), [(1, 1, false)]);
    let said = clients.hear_later(ID);
    assert!(matches!(said, Some(Said::Request { session: SESSION, xid: 1, .. })), "{said:?}");
    assert!(clients.hear_later(ID).is_none());
    assert!(clients.settle(ID, true).is_none(), "it stands already");
}

#[test]
fn a_connection_that_says_too_much_too_early_is_closed() {
    let mut clients = Clients::default();
    up(&mut clients, ID);
    clients.hear(ID, connect_frame(SessionId::NONE)).unwrap();
    clients.opening(ID, 4000, true);
    (0..65).for_each(|_| assert!(clients.hear(ID, request_frame(1, &Request::Ping)).is_none()));
    assert_eq!(drained(&mut clients), [(1, 0, true)]);
    assert_eq!(clients.len(), 0);
}

#[test]
fn a_refused_session_is_told_and_its_connection_closed() {
    let mut clients = Clients::default();
    up(&mut clients, ID);
    clients.hear(ID, connect_frame(SESSION)).unwrap();
    clients.opening(ID, 4000, true);
    clients.seat(ID, SESSION);
    assert_eq!(clients.settle(ID, false), None);
    assert_eq!(clients.of_session(SESSION), None);
    assert_eq!(drained(&mut clients), [(1, 1, true)]);
}

#[test]
fn a_session_belongs_to_the_connection_that_was_seated_last() {
    let mut clients = Clients::default();
    open(&mut clients, ID, SESSION);
    open(&mut clients, ClientId(2), SESSION);
    clients.close(ID);
    assert_eq!(clients.of_session(SESSION), Some(ClientId(2)), "the end of the old one leaves it alone");
    clients.remove(ClientId(2));
    assert_eq!(clients.of_session(SESSION), None);
}

#[test]
fn nothing_is_sent_to_a_connection_that_is_being_closed() {
    let mut clients = Clients::default();
    open(&mut clients, ID, SESSION);
    clients.refuse_op(ID, 9);
    assert!(clients.live(ID).is_none() && clients.who(ID).is_none());
    assert!(clients.hear(ID, request_frame(1, &Request::Ping)).is_none());
    clients.answer_sasl(ID, 3);
    assert_eq!(drained(&mut clients), [(1, 2, true)], "the session's answer and the refusal");
}

#[test]
fn an_identity_is_added_once_and_a_refused_one_ends_the_connection() {
    let mut clients = Clients::default();
    open(&mut clients, ID, SESSION);
    let ann = Id::new("digest", "ann:x");
    clients.authenticated(ID, -4, Some(vec![ann.clone()]));
    clients.authenticated(ID, -4, Some(vec![ann.clone()]));
    assert_eq!(clients.who(ID).unwrap().1, [Id::new("ip", "10.0.0.1"), ann]);
    clients.authenticated(ID, -4, None);
    assert_eq!(clients.traffic().auth_failed, 1);
    assert_eq!(drained(&mut clients), [(1, 4, true)]);
}

#[test]
fn a_connection_that_is_more_people_than_anybody_is_refused_and_ends() {
    for (count, name) in [(300, "u".to_owned()), (5, "u".repeat(20_000))] {
        let mut clients = Clients::default();
        open(&mut clients, ID, SESSION);
        (0..count).for_each(|i| {
            clients.authenticated(ID, -4, Some(vec![Id::new("digest", &format!("{name}{i}:x"))]))
        });
        assert!(clients.who(ID).is_none(), "{count} times {} bytes", name.len());
        assert_eq!(clients.traffic().auth_failed, 1);
        assert!(drained(&mut clients)[0].2);
    }
}

#[test]
fn what_comes_early_is_bounded_in_bytes() {
    let mut clients = Clients::default();
    up(&mut clients, ID);
    clients.hear(ID, connect_frame(SessionId::NONE)).unwrap();
    clients.opening(ID, 4000, true);
    let big = || Bytes::from(vec![0; 700_000]);
    assert!(clients.hear(ID, big()).is_none() && drained(&mut clients).is_empty());
    assert!(clients.hear(ID, big()).is_none());
    assert_eq!(drained(&mut clients), [(1, 0, true)]);
}

#[test]
fn requests_are_counted_until_they_are_answered() {
    let mut clients = Clients::default();
    open(&mut clients, ID, SESSION);
    let pending = |what| Pending { xid: 1, op: OpCode::Ping, since_ms: 2, what };
    let mut served = clients.live(ID).unwrap();
    served.hold(pending(Waiting::Commit(None)));
    assert!(served.take_turn(pending(Waiting::Turn(Request::Ping))).is_none());
    let write = served.committed(1).unwrap();
    served.answered(NOW, &write, Zxid(5));
    let lines = clients.lines();
    assert_eq!((lines[0].queued, lines[0].stats.last_zxid, lines[0].session), (1, Zxid(5), SESSION));
    let traffic = clients.traffic();
    assert_eq!((traffic.outstanding, traffic.sent, traffic.latency.max_ms), (1, 1, NOW.ms - 2));
}

#[test]
fn what_a_closed_connection_has_asked_for_is_not_outstanding() {
    let mut clients = Clients::default();
    for id in [ID, ClientId(2)] {
        open(&mut clients, id, SessionId(id.0.cast_signed()));
        let mut served = clients.live(id).unwrap();
        for _ in 0..3 {
            served.hold(Pending { xid: 1, op: OpCode::Ping, since_ms: 2, what: Waiting::Commit(None) });
        }
    }
    assert_eq!(clients.traffic().outstanding, 6);
    clients.remove(ID);
    assert_eq!(clients.traffic().outstanding, 3, "it went away by itself");
    clients.close(ClientId(2));
    assert_eq!(clients.traffic().outstanding, 0, "it was closed here");
    drained(&mut clients);
    assert_eq!((clients.traffic().outstanding, clients.len()), (0, 0));
}

/// `globalOutstandingLimit`: who waits for an answer waits with the next, and nobody waits for the answers of others.
#[test]
fn beyond_the_limit_of_all_everybody_has_one_request() {
    let other = ClientId(2);
    let mut clients = Clients::new(2);
    for id in [ID, other] {
        open(&mut clients, id, SessionId(id.0.cast_signed()));
    }
    let write = |xid| Pending { xid, op: OpCode::Ping, since_ms: 2, what: Waiting::Commit(None) };
    let says = |clients: &mut Clients, id, xid| {
        let said = clients.hear(id, request_frame(xid, &Request::Ping));
        let is_taken = matches!(said, Some(Said::Request { .. }));
        assert!(is_taken || matches!(said, Some(Said::Later { .. })), "{said:?}");
        if is_taken {
            clients.live(id).unwrap().hold(write(xid));
        }
        is_taken
    };
    let taken: Vec<bool> = (1..=4).map(|xid| says(&mut clients, ID, xid)).collect();
    assert_eq!(taken, [true, true, true, false], "what is one too many is seen by the next");
    assert!(says(&mut clients, other, 1), "everybody has one");
    assert!(!says(&mut clients, other, 2));
    // The answers of the first let in the first, as far as all together allow.
    let answer = |clients: &mut Clients, id, xid| {
        let mut served = clients.live(id).unwrap();
        let pending = served.committed(xid).unwrap();
        served.answered(NOW, &pending, Zxid(5));
        assert!(served.next_turn().is_none());
        let resumed: Vec<ClientId> = std::iter::from_fn(|| clients.next_resumed()).collect();
        (resumed, clients.hear_later(id).is_some())
    };
    assert_eq!(answer(&mut clients, ID, 1), (vec![ID], false), "three wait still");
    assert_eq!(answer(&mut clients, other, 1), (vec![other], true));
}

#[test]
fn connections_are_owed_in_the_order_in_which_they_came_to_be() {
    let mut clients = Clients::default();
    for id in [3, 1, 2] {
        open(&mut clients, ClientId(id), SessionId(id.cast_signed()));
    }
    assert_eq!(drained(&mut clients), [(3, 1, false), (1, 1, false), (2, 1, false)]);
    assert_eq!(drained(&mut clients), []);
    clients.close_all();
    assert_eq!(drained(&mut clients), [(1, 0, true), (2, 0, true), (3, 0, true)]);
}

#[test]
fn a_frame_that_is_no_request_closes_its_connection() {
    let mut clients = Clients::default();
    open(&mut clients, ID, SESSION);
    assert!(clients.hear(ID, Bytes::from_static(&[0; 7])).is_none());
    assert_eq!(drained(&mut clients), [(1, 1, true)]);
}

const ID: ClientId = ClientId(1);
const SESSION: SessionId = SessionId(0x77);
