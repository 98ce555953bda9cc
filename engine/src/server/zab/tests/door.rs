//! Who may come in at the quorum port, and whose epochs count (quorum-protocol §2.3, §2.14).

use bytes::Bytes;

use super::cluster::Cluster;
use super::solo::*;
use crate::server::zab::ballot::State;
use crate::server::zab::wire::Kind;
use crate::server::zab::*;

fn ping() -> Packet {
    Packet::with_data(Kind::PING, Zxid(0), Bytes::new())
}

fn notes(out: &[Output]) -> usize {
    out.iter().filter(|output| matches!(output, Output::Note(_))).count()
}

#[test]
fn who_cannot_vote_raises_no_epoch() {
    for (unlisted, sid, kind) in
        [(0, 4, Kind::OBSERVERINFO), (1, 77, Kind::FOLLOWERINFO), (0, 2, Kind::OBSERVERINFO)]
    {
        let mut solo = admitting_leader(unlisted, 3, 1);
        let out = solo.learner(B, kind, sid, 900);
        assert_eq!(sent(&out, B), [(Kind::LEADERINFO, Epoch(5).start())], "{sid}: it decides by itself");
        assert_eq!(solo.zab.core.epoch_floor, Epoch(4), "{sid}");
    }
}

#[test]
fn a_claim_waits_until_the_link_of_that_server_is_down() {
    let (mut solo, _) = serving_leader(3, 0, disk(4, 4, &[]));
    let out = solo.learner(B, Kind::FOLLOWERINFO, 1, 900);
    assert_eq!(out, [], "it is told nothing");
    let (one, out) = solo.propose();
    assert_eq!((sent(&out, A), sent(&out, B)), (vec![(Kind::PROPOSAL, one)], vec![]));
    solo.persist();
    assert_eq!(delivered(&solo.kind(A, Kind::ACK, one)), [one], "the older link goes on");
    assert_eq!(solo.zab.core.epoch_floor, Epoch(4), "and the claim raises no epoch");
    // A third one finds the place taken.
    assert!(is_closed(&solo.learner(C, Kind::FOLLOWERINFO, 1, 5), C));
    let out = solo.step(Input::Down { conn: A });
    assert!(has_role(&out, Role::Looking), "now it is heard: {out:?}");
}

#[test]
fn a_parked_claim_takes_over_a_link_that_has_not_moved_for_a_tick() {
    let (mut solo, _) = serving_leader(5, 0, disk(4, 4, &[]));
    let (one, _) = solo.propose();
    solo.wait(30);
    solo.packet(B, ping());
    solo.learner(C, Kind::FOLLOWERINFO, 1, 5);
    assert!(!is_closed(&solo.wait(9), A), "it moved 39 ms ago");
    let out = solo.wait(1);
    assert!(is_closed(&out, A) && out.contains(&Output::LearnerGone { conn: A }), "{out:?}");
    assert_eq!(sent(&out, C), [(Kind::LEADERINFO, Epoch(5).start())]);
    // What the dead link sends counts for nothing.
    solo.persist();
    solo.kind(B, Kind::ACK, one);
    assert!(delivered(&solo.kind(A, Kind::ACK, one)).is_empty());
    // A link that moves in either direction lives.
    let (mut solo, _) = serving_leader(3, 0, disk(4, 4, &[]));
    solo.learner(C, Kind::FOLLOWERINFO, 1, 5);
    for i in 0..9 {
        assert!(!is_closed(&solo.wait(39), A));
        match i % 3 {
            0 => solo.packet(A, ping()),
            _ => solo.step(Input::Progress { conn: A }),
        };
    }
    // And whoever waits is not waited for: the init limit is all it has.
    solo.wait(30);
    solo.packet(A, ping());
    assert!(is_closed(&solo.wait(20), C));
}

#[test]
fn what_a_parked_connection_says_ends_it() {
    let (mut solo, _) = serving_leader(3, 0, disk(4, 4, &[]));
    for packet in [wire::ack_epoch(Zxid(0), Epoch(4)), Packet::new(Kind::ACK, Epoch(5).start()), ping()] {
        solo.learner(B, Kind::FOLLOWERINFO, 1, 5);
        assert!(is_closed(&solo.packet(B, packet), B));
    }
}

#[test]
fn a_follower_whose_sid_is_used_five_times_a_second_stays() {
    let (mut solo, _) = serving_leader(3, 0, disk(4, 4, &[]));
    let mut lines = 0;
    for i in 0..200 {
        let mut out = solo.learner(ConnId(100 + 2 * i), Kind::FOLLOWERINFO, 1, 0x7fff_fffe);
        out.extend(solo.learner(ConnId(1000 + 2 * i), Kind::FOLLOWERINFO, 1, 700));
        out.extend(solo.step(Input::Down { conn: ConnId(1000 + 2 * i) }));
        out.extend(solo.wait(10));
        out.extend(solo.packet(A, ping()));
        lines += notes(&out);
        assert!(!is_closed(&out, A) && *solo.zab.role() == Role::Leading { serving: true }, "{out:?}");
    }
    assert_eq!((lines, solo.zab.core.epoch_floor), (1, Epoch(4)));
}

#[test]
fn the_last_epochs_are_damage_unless_we_are_there() {
    const STRETCH: i64 = i32::MAX as i64 - (1 << 20);
    for accepted in [STRETCH, i64::from(i32::MAX) - 1] {
        let (mut solo, _) = serving_leader(3, 0, disk(4, 4, &[]));
        let out = solo.learner(B, Kind::FOLLOWERINFO, 2, accepted);
        assert!(is_closed(&out, B) && solo.zab.role().is_serving(), "{accepted}: {out:?}");
        assert_eq!(solo.zab.core.epoch_floor, Epoch(4));
    }
    for (accepted, taken) in [(STRETCH + 40, true), (i64::from(i32::MAX) - 1, false)] {
        let (mut solo, _) = candidate(3, 0, disk(STRETCH, 4, &[]));
        let out = solo.learner(A, Kind::FOLLOWERINFO, 1, accepted);
        assert_eq!(is_closed(&out, A), !taken, "{out:?}");
        let expected = [PersistOp::AcceptedEpoch(Epoch(accepted + 1))];
        assert_eq!(solo.ops(), expected[..usize::from(taken)]);
    }
}

#[test]
fn a_leader_yields_once_to_one_claim_and_not_soon_again_to_that_voter() {
    let (mut solo, _) = serving_leader(3, 0, disk(4, 4, &[]));
    assert!(has_role(&solo.learner(B, Kind::FOLLOWERINFO, 2, 900), Role::Looking));
    lead_again(&mut solo, 12);
    assert_eq!(solo.zab.epoch(), Epoch(901));
    // The same claim is no reason any more.
    let out = solo.learner(ConnId(22), Kind::FOLLOWERINFO, 2, 900);
    assert_eq!(sent(&out, ConnId(22)), [(Kind::LEADERINFO, Epoch(901).start())]);
    solo.step(Input::Down { conn: ConnId(22) });
    // A still higher one is, but not at once.
    let out = solo.learner(ConnId(24), Kind::FOLLOWERINFO, 2, 5000);
    assert!(is_closed(&out, ConnId(24)) && solo.zab.role().is_serving(), "{out:?}");
    for _ in 0..20 {
        solo.wait(20);
        solo.packet(ConnId(20), ping());
    }
    assert!(has_role(&solo.learner(ConnId(26), Kind::FOLLOWERINFO, 2, 5000), Role::Looking));
}

/// Server 3 is elected again, and serves with server 1.
fn lead_again(solo: &mut Solo, rounds_max: i64) {
    assert!(solo.zab.core.round < rounds_max);
    solo.persist();
    let n = vote(State::Looking, 3, solo.zab.core.ledger.logged(), solo.zab.core.round, solo.zab.epoch().0);
    for conn in [1, 3] {
        solo.hear(ConnId(conn), &n);
    }
    assert_eq!(*solo.zab.role(), Role::Leading { serving: false });
    let last = solo.zab.core.ledger.logged();
    solo.join_follower(ConnId(20), 1, last, 5);
    assert!(solo.zab.role().is_serving());
}

#[test]
fn an_ensemble_forms_with_a_voter_that_is_forty_epochs_ahead() {
    for ahead in 0..3 {
        let mut cluster = Cluster::new(3, 1, 7);
        for (i, node) in cluster.nodes.iter_mut().enumerate() {
            node.disk.accepted = Epoch(if i == ahead { 44 } else { 4 });
        }
        cluster.start_all();
        assert!(cluster.run_while(5000, |cluster| !cluster.is_whole()), "voter {}", ahead + 1);
    }
}

#[test]
fn who_is_not_listed_gets_nothing_unless_the_settings_let_it_in() {
    let (mut solo, _) = serving_leader(3, 0, disk(4, 4, &[]));
    for kind in [Kind::FOLLOWERINFO, Kind::OBSERVERINFO] {
        let out = solo.learner(B, kind, 99, 0);
        assert!(is_closed(&out, B) && sent(&out, B).is_empty(), "{out:?}");
        assert!(solo.packet(B, wire::ack_epoch(Zxid(-1), Epoch(-1))).is_empty());
    }
    let mut solo = admitting_leader(2, 3, 0);
    for (conn, sid, admitted) in [(B, 99, true), (C, 98, true), (ConnId(16), 97, false)] {
        assert_eq!(is_closed(&solo.learner(conn, Kind::FOLLOWERINFO, sid, 0), conn), !admitted, "{sid}");
    }
    solo.step(Input::Down { conn: B });
    assert!(
        !is_closed(&solo.learner(ConnId(18), Kind::FOLLOWERINFO, 97, 0), ConnId(18)),
        "there is room again"
    );
}

#[test]
fn silent_callers_keep_nobody_out() {
    let (mut solo, _) = serving_leader(3, 0, disk(4, 4, &[]));
    let mut open = 0;
    let mut lines = 0;
    for i in 0..600 {
        let out = solo.step(Input::LearnerUp { conn: ConnId(100 + 2 * i) });
        open += 1;
        open -= out.iter().filter(|output| matches!(output, Output::Close { .. })).count();
        lines += notes(&out);
    }
    assert_eq!((open, lines), (32, 1));
    let mut out = solo.learner(B, Kind::FOLLOWERINFO, 2, 4);
    assert_eq!(sent(&out, B), [(Kind::LEADERINFO, Epoch(5).start())]);
    // Slow talk buys no time: the init limit is all they have.
    out.clear();
    for _ in 0..40 {
        solo.packet(A, ping());
        solo.step(Input::Progress { conn: ConnId(1298) });
        out.extend(solo.wait(10));
    }
    assert!(is_closed(&out, ConnId(1298)) && !is_closed(&out, A));
}

const A: ConnId = ConnId(10);
const B: ConnId = ConnId(12);
const C: ConnId = ConnId(14);
