//! The rules of an observer (quorum-protocol §1.6, §2.5, §2.10).

use super::follower::newleader;
use super::solo::*;
use crate::server::zab::ballot::State;
use crate::server::zab::wire::Kind;
use crate::server::zab::*;

/// Server 4, an observer of three voters, promised to the leader of [`EPOCH`].
fn observer() -> (Solo, ConnId, Vec<Output>) {
    let (mut solo, conn, mut out) = introduced(disk(5, 5, &[zxid(5, 1)]));
    solo.packet(conn, wire::leader_info(Epoch(EPOCH)));
    out.extend(solo.persist());
    (solo, conn, out)
}

/// The same, connected to server 3, which has not said which epoch it leads.
fn introduced(durable: Durable) -> (Solo, ConnId, Vec<Output>) {
    let mut solo = Solo::new(4, 3, 1, durable);
    let start = solo.step(Input::Tick);
    let (three, _) = solo.reach_peer(&start, 3);
    let (two, _) = solo.reach_peer(&start, 2);
    // TRAP Q9: the stale vote of one who looks is not trusted, not even by two of them.
    for conn in [two, three] {
        assert_eq!(solo.hear(conn, &vote(State::Looking, 3, zxid(5, 9), 1, 5)), []);
    }
    solo.hear(two, &vote(State::Following, 3, zxid(5, 9), 8, EPOCH));
    let out = solo.hear(three, &vote(State::Leading, 3, zxid(5, 9), 8, EPOCH));
    assert!(has_role(&out, Role::Observing { leader: ServerId(3), serving: false }), "{out:?}");
    let conn = Solo::dialled_leader(&out);
    let out = solo.step(Input::LeaderUp { conn });
    (solo, conn, out)
}

#[test]
fn it_introduces_itself_and_acknowledges_no_proposal() {
    let (mut solo, conn, out) = observer();
    assert_eq!(sent(&out, conn)[0], (Kind::OBSERVERINFO, Epoch(5).start()));
    solo.kind(conn, Kind::DIFF, zxid(5, 2));
    solo.proposal(conn, zxid(5, 2));
    solo.kind(conn, Kind::COMMIT, zxid(5, 2));
    newleader(&mut solo, conn, EPOCH);
    let out = solo.persist();
    assert_eq!(sent(&out, conn), [(Kind::ACK, Epoch(EPOCH).start())]);
    assert_eq!(delivered(&out), [zxid(5, 2)]);
    let out = solo.kind(conn, Kind::UPTODATE, Zxid(-1));
    assert!(has_role(&out, Role::Observing { leader: ServerId(3), serving: true }));
    // Live: only INFORM counts.
    assert_eq!(solo.proposal(conn, zxid(EPOCH, 1)), []);
    assert_eq!(solo.kind(conn, Kind::COMMIT, zxid(EPOCH, 1)), []);
    let inform = Packet::with_data(Kind::INFORM, zxid(EPOCH, 1), txn(zxid(EPOCH, 1)));
    solo.packet(conn, inform);
    let out = solo.persist();
    assert_eq!((delivered(&out), packets(&out)), (vec![zxid(EPOCH, 1)], vec![]));
    let mut data = vec![0; 8];
    data.extend_from_slice(&txn(zxid(EPOCH, 2)));
    let activate = Packet::with_data(Kind::INFORMANDACTIVATE, zxid(EPOCH, 2), data.into());
    solo.packet(conn, activate);
    let two = zxid(EPOCH, 2);
    assert!(solo.persist().contains(&Output::Deliver { zxid: two, txn: txn(two) }));
}

/// A candidate that is gone, or a flipped bit, has left a promise that no leader will reach soon.
#[test]
fn what_it_has_promised_keeps_it_from_no_leader_whose_history_is_not_behind() {
    for (accepted, current, follows) in [(91, 5, true), (EPOCH, EPOCH, true), (91, EPOCH + 1, false)] {
        let (mut solo, conn, _) = introduced(disk(accepted, current, &[zxid(5, 1)]));
        let mut out = solo.packet(conn, wire::leader_info(Epoch(EPOCH)));
        out.extend(solo.persist());
        // Its promise is never counted: it may have given a higher one.
        let expected = [(conn.0, wire::ack_epoch(zxid(5, 1), Epoch(-1)))];
        assert_eq!(packets(&out), expected[..usize::from(follows)], "{accepted}, {current}");
        assert_eq!(is_closed(&out, conn), !follows);
        if follows {
            solo.kind(conn, Kind::DIFF, zxid(5, 1));
            let mut out = newleader(&mut solo, conn, EPOCH);
            out.extend(solo.persist());
            assert_eq!(sent(&out, conn), [(Kind::ACK, Epoch(EPOCH).start())]);
        }
    }
}

#[test]
fn it_pauses_before_it_looks_again_and_asks_often() {
    let (mut solo, conn, _) = observer();
    let out = solo.step(Input::Down { conn });
    assert!(has_role(&out, Role::Looking) && notifications(&out).is_empty(), "{out:?}");
    let out = solo.wait(200);
    let first = notifications(&out);
    assert!(first.iter().all(|(_, n)| n.leader.0 == i64::MIN && n.zxid.0 == i64::MIN), "{first:?}");
    let asked = notifications(&solo.wait(20_000)).len();
    assert!(asked >= 2 * 10, "asked {asked} times in 20 s");
}

const EPOCH: i64 = 6;
