//! The learner's part alone: what it remembers of what it asked, and what it tells of its sessions.

use crate::server::replica::event::ClientId;
use crate::server::replica::learner::{Answer, Learn, ping_answer};
use crate::server::zab::Packet;
use crate::server::zab::wire::Kind;
use crate::wire::ids::{SessionId, Zxid};
use crate::wire::jute::{Reader, Writer};

fn told(session: i64, valid: bool) -> Packet {
    let mut w = Writer::new();
    w.long(session);
    w.bool(valid);
    Packet::with_data(Kind::REVALIDATE, Zxid::NONE, w.finish())
}

#[test]
fn a_ping_is_answered_with_the_sessions_heard_from_since_the_last() {
    let mut learn = Learn::default();
    [(9, 4000), (7, 6000), (9, 4000)].into_iter().for_each(|(id, ms)| learn.touch(SessionId(id), ms));
    let mut r = Reader::new(ping_answer(Some(&mut learn), Zxid(3)).data.unwrap());
    let entries: Vec<_> =
        std::iter::from_fn(|| (r.remaining() > 0).then(|| (r.long().unwrap(), r.int().unwrap()))).collect();
    assert_eq!(entries, [(7, 6000), (9, 4000)]);
    assert_eq!(ping_answer(Some(&mut learn), Zxid(3)).data.unwrap().len(), 0, "told already");
    assert_eq!(ping_answer(None, Zxid(3)).data.unwrap().len(), 0, "empty, not null");
}

#[test]
fn resumes_of_one_session_are_answered_in_order() {
    let mut learn = Learn::default();
    for client in [1, 2] {
        let packet = learn.revalidate(ClientId(client), SessionId(7), 4000);
        assert_eq!((packet.kind, packet.data.unwrap().len()), (Kind::REVALIDATE, 12));
    }
    assert_eq!(learn.answered(told(8, true)), None, "nobody asked");
    let first = learn.answered(told(7, false));
    assert_eq!(first, Some(Answer::Revalidated { client: ClientId(1), valid: false }));
    let second = learn.answered(told(7, true));
    assert_eq!(second, Some(Answer::Revalidated { client: ClientId(2), valid: true }));
    assert_eq!(learn.answered(told(7, true)), None);
}

#[test]
fn syncs_are_granted_in_order_and_hostile_answers_grant_nothing() {
    let mut learn = Learn::default();
    learn.sync_asked(ClientId(1));
    learn.sync_asked(ClientId(2));
    let sync = || Packet::new(Kind::SYNC, Zxid::ZERO);
    assert_eq!(learn.answered(Packet::new(Kind::REVALIDATE, Zxid::ZERO)), None);
    assert_eq!(learn.answered(sync()), Some(Answer::SyncGranted { client: ClientId(1) }));
    assert_eq!(learn.answered(sync()), Some(Answer::SyncGranted { client: ClientId(2) }));
    assert_eq!(learn.answered(sync()), None);
}
