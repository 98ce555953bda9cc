//! The leader's part alone: writes in, proposals out; sessions, containers and syncs.

use super::{NOW, create, settings};
use crate::server::replica::agreement::Proposal;
use crate::server::replica::event::{ClientId, Now};
use crate::server::replica::held::View;
use crate::server::replica::leader::{Lead, LeadSettings, SyncAsker, Write};
use crate::server::replica::sessions::SessionOwner;
use crate::server::tree::{Tree, Txn, TxnBody};
use crate::server::zab::wire::Kind;
use crate::server::zab::{ConnId, Packet};
use crate::wire::ids::{SessionId, Zxid};
use crate::wire::jute;
use crate::wire::proto::{CreateMode, ErrorCode, Request};

struct Chair {
    lead: Lead,
    tree: Tree,
    now: Now,
    last: Zxid,
}

impl Chair {
    fn new() -> Chair {
        let tree = Tree::new();
        let settings = settings(0);
        let settings =
            LeadSettings { tick_ms: 1000, containers_every_ms: 60_000, tree: settings.tree, alone: false };
        let lead = Lead::new(View { now: NOW, tree: &tree }, settings);
        let mut chair = Chair { lead, tree, now: NOW, last: Zxid::ZERO };
        let made = chair.ask(LEARNER, Request::CreateSession { timeout_ms: 4000 });
        assert!(matches!(made, TxnBody::CreateSession { .. }), "{made:?}");
        chair
    }

    /// There is room for a proposal.
    fn ask(&mut self, from: SessionOwner, request: Request) -> TxnBody {
        let next = Some(Zxid(self.last.0 + 1));
        let proposal = self.try_ask(next, from, &Ok(request)).expect("there is room");
        assert_eq!(Some(proposal.zxid), next);
        self.last = proposal.zxid;
        Txn::decode(proposal.txn).unwrap().body
    }

    fn try_ask(
        &mut self,
        next: Option<Zxid>,
        from: SessionOwner,
        request: &jute::Result<Request>,
    ) -> Option<Proposal> {
        let view = View { now: self.now, tree: &self.tree };
        self.lead.ask(view, next, Write { from, session: SESSION, cxid: 1, request, who: &[] })
    }

    fn apply(&mut self, zxid: Zxid) {
        let txn = self.lead.take_prepared(zxid).expect("it was prepared here");
        self.tree.apply(&txn);
        self.lead.applied(zxid, &txn);
    }
}

fn error(code: ErrorCode) -> TxnBody {
    TxnBody::Error(code.code())
}

#[test]
fn writes_are_judged_by_what_is_proposed_before_them() {
    let mut chair = Chair::new();
    assert!(matches!(chair.ask(LEARNER, create("/a", CreateMode::Persistent)), TxnBody::Create(_)));
    assert_eq!(chair.ask(LEARNER, create("/a", CreateMode::Persistent)), error(ErrorCode::NodeExists));
    assert_eq!(chair.lead.in_flight(), 3);
    (1..=3).for_each(|zxid| chair.apply(Zxid(zxid)));
    assert_eq!(chair.lead.in_flight(), 0);
    assert!(chair.lead.take_prepared(Zxid(4)).is_none());
    assert!(chair.tree.stat("/a").is_some());
}

#[test]
fn what_cannot_be_read_has_a_zxid_of_its_own() {
    let mut chair = Chair::new();
    let unread = Err(jute::Error::Short { at: 0, missing: 4 });
    let proposal = chair.try_ask(Some(Zxid(2)), LEARNER, &unread).unwrap();
    assert_eq!(Txn::decode(proposal.txn).unwrap().body, error(ErrorCode::MarshallingError));
}

#[test]
fn what_finds_no_room_waits_and_nothing_overtakes_it() {
    let mut chair = Chair::new();
    let ask = |chair: &mut Chair, next, path: &str| {
        chair.try_ask(next, LEARNER, &Ok(create(path, CreateMode::Persistent)))
    };
    assert_eq!(ask(&mut chair, None, "/a"), None);
    assert_eq!(ask(&mut chair, Some(Zxid(2)), "/b"), None, "room is for the first that waits");
    assert!(chair.lead.is_waiting());
    for (zxid, path) in [(2, "/a"), (3, "/b")] {
        let view = View { now: chair.now, tree: &chair.tree };
        let proposal = chair.lead.ask_waiting(view, Zxid(zxid)).unwrap();
        let TxnBody::Create(created) = Txn::decode(proposal.txn).unwrap().body else { panic!() };
        assert_eq!(&*created.path, path);
    }
    assert!(!chair.lead.is_waiting());
}

#[test]
fn a_session_writes_through_its_owner_until_another_takes_it_over() {
    let mut chair = Chair::new();
    let moved = chair.ask(SessionOwner::Local, create("/a", CreateMode::Persistent));
    assert_eq!(moved, error(ErrorCode::SessionMoved));
    assert!(chair.lead.revalidate(NOW.ms, SESSION, SessionOwner::Local));
    let taken = chair.ask(SessionOwner::Local, create("/a", CreateMode::Persistent));
    assert!(matches!(taken, TxnBody::Create(_)), "{taken:?}");
    assert!(!chair.lead.revalidate(NOW.ms, SessionId(8), LEARNER), "nobody knows it");
}

#[test]
fn a_learner_writes_only_in_sessions_that_live_on_it() {
    // As after an election: the session is known, and nobody has spoken for it yet.
    let mut before = Chair::new();
    before.apply(Zxid(1));
    let settings =
        LeadSettings { tick_ms: 1000, containers_every_ms: 60_000, tree: settings(0).tree, alone: false };
    let lead = Lead::new(View { now: NOW, tree: &before.tree }, settings);
    let mut chair = Chair { lead, ..before };
    let forged = chair.ask(LEARNER, create("/a", CreateMode::Persistent));
    assert_eq!(forged, error(ErrorCode::SessionMoved));
    assert!(chair.lead.revalidate(NOW.ms, SESSION, LEARNER));
    let own = chair.ask(LEARNER, create("/a", CreateMode::Persistent));
    assert!(matches!(own, TxnBody::Create(_)), "{own:?}");
    let other = chair.ask(SessionOwner::Learner(ConnId(12)), create("/b", CreateMode::Persistent));
    assert_eq!(other, error(ErrorCode::SessionMoved));
}

#[test]
fn a_silent_session_expires_once_and_may_not_write_any_more() {
    let mut chair = Chair::new();
    assert!(chair.lead.touch(NOW.ms + 2000, SESSION));
    assert_eq!(chair.lead.deadline_ms(), NOW.ms - NOW.ms % 1000 + 7000);
    assert!(chair.lead.expired(NOW.ms + 6000).is_empty());
    assert_eq!(chair.lead.expired(NOW.ms + 7000), [SESSION]);
    assert!(chair.lead.expired(NOW.ms + 9000).is_empty());
    let closed = chair.ask(SessionOwner::Local, Request::CloseSession);
    assert!(matches!(closed, TxnBody::CloseSession { .. }), "an expiry closes whoever owns it: {closed:?}");
    assert!(!chair.lead.touch(NOW.ms + 9000, SESSION));
    let late = chair.ask(LEARNER, create("/e", CreateMode::Ephemeral));
    assert_eq!(late, error(ErrorCode::SessionExpired));
}

#[test]
fn containers_are_looked_for_at_their_interval() {
    let mut chair = Chair::new();
    assert!(!chair.lead.containers_are_due(NOW.ms + 59_999));
    assert!(chair.lead.containers_are_due(NOW.ms + 60_000));
    assert!(!chair.lead.containers_are_due(NOW.ms + 119_999));
    assert!(chair.lead.containers_are_due(NOW.ms + 120_000));
}

#[test]
fn a_sync_waits_for_what_is_before_it_and_for_a_quorum() {
    let mut lead = Chair::new().lead;
    let answer = Packet::new(Kind::SYNC, Zxid::ZERO);
    lead.await_sync(Zxid(5), 1, SyncAsker::Client(ClientId(1)));
    lead.await_sync(Zxid(5), 2, SyncAsker::Learner(ConnId(10), answer.clone()));
    lead.await_sync(Zxid(6), 2, SyncAsker::Learner(ConnId(12), answer));
    assert_eq!(lead.next_sync(Zxid(5)), None, "no quorum has spoken");
    lead.confirmed(1);
    assert_eq!(lead.next_sync(Zxid(4)), None, "what is before it is not applied");
    assert_eq!(lead.next_sync(Zxid(5)), Some(SyncAsker::Client(ClientId(1))));
    assert_eq!(lead.next_sync(Zxid(5)), None);
    lead.confirmed(2);
    lead.forget_syncs(ConnId(10));
    assert_eq!(lead.next_sync(Zxid(5)), None, "that learner is gone, the next waits for more");
    assert!(matches!(lead.next_sync(Zxid(6)), Some(SyncAsker::Learner(ConnId(12), _))));
}

const SESSION: SessionId = SessionId(7);
const LEARNER: SessionOwner = SessionOwner::Learner(ConnId(10));
