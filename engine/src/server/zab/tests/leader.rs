//! The rules of a leader, one by one (quorum-protocol §2.3–§2.8, §2.12).

use bytes::Bytes;

use super::cluster::{member_list, test_config};
use super::disk::Random;
use super::solo::*;
use crate::server::zab::ballot::State;
use crate::server::zab::ledger::Ledger;
use crate::server::zab::sync::{Plan, plan};
use crate::server::zab::wire::{Kind, LearnerInfo};
use crate::server::zab::*;
use crate::wire::jute::FIELD_LEN_MAX;

#[test]
fn the_epoch_is_above_all_that_were_heard_and_durable_before_it_is_announced() {
    let (mut solo, out) = candidate(3, 1, disk(4, 4, &[zxid(4, 1)]));
    assert!(out.contains(&Output::ListenQuorum(true)));
    // An observer's voice does not count (lesson 2959), and neither does its epoch.
    solo.learner(B, Kind::OBSERVERINFO, 4, 8);
    assert!(solo.writes.is_empty());
    let out = solo.learner(A, Kind::FOLLOWERINFO, 1, 6);
    assert_eq!(solo.ops(), [PersistOp::AcceptedEpoch(Epoch(7))]);
    assert!(packets(&out).is_empty());
    let out = solo.persist();
    assert_eq!(sent(&out, A), [(Kind::LEADERINFO, Epoch(7).start())]);
    assert_eq!(sent(&out, B), [(Kind::LEADERINFO, Epoch(7).start())]);
}

#[test]
fn a_leader_serves_once_a_quorum_and_itself_have_the_history_durable() {
    let (mut solo, _) = candidate(3, 0, disk(4, 4, &[zxid(4, 1)]));
    solo.learner(A, Kind::FOLLOWERINFO, 1, 4);
    solo.persist();
    let out = solo.packet(A, wire::ack_epoch(zxid(4, 1), Epoch(4)));
    let start = Epoch(5).start();
    assert_eq!(sent(&out, A), [(Kind::DIFF, zxid(4, 1)), (Kind::NEWLEADER, start)]);
    let config = packets(&out).pop().unwrap().1.data.unwrap();
    assert_eq!(config, member_list(3, 0).as_bytes());
    let out = solo.kind(A, Kind::ACK, start);
    assert!(!has_role(&out, Role::Leading { serving: true }), "its own epoch is not durable yet");
    assert_eq!(solo.zab.next_zxid(), None);
    assert_eq!(solo.ops(), [PersistOp::CurrentEpoch(Epoch(5))]);
    let out = solo.persist();
    assert_eq!(out[..2], [Output::EpochStart { zxid: start }, Output::Role(Role::Leading { serving: true })]);
    assert_eq!(sent(&out, A), [(Kind::UPTODATE, Zxid(-1))]);
    assert_eq!(solo.zab.next_zxid(), Some(zxid(5, 1)));
    assert_eq!((solo.zab.last_committed(), solo.zab.epoch()), (start, Epoch(5)));
}

#[test]
fn a_repeated_promise_elects_nobody() {
    let (mut solo, _) = candidate(3, 0, disk(4, 4, &[zxid(4, 1)]));
    solo.learner(A, Kind::FOLLOWERINFO, 1, 4);
    solo.persist();
    let out = solo.packet(A, wire::ack_epoch(zxid(4, 1), Epoch(-1)));
    assert!(out.is_empty() && solo.writes.is_empty(), "{out:?}");
    // A server that lost its data promises nothing either.
    solo.learner(B, Kind::FOLLOWERINFO, 2, 4);
    let out = solo.packet(B, wire::ack_epoch(Zxid::NONE, Epoch(4)));
    assert!(out.is_empty() && solo.writes.is_empty(), "{out:?}");
    assert!(has_role(&solo.wait(400), Role::Looking), "nobody promised in time");
}

#[test]
fn an_elector_with_a_longer_history_is_sent_away() {
    for (last, current) in [(zxid(4, 2), 4), (zxid(3, 9), 5)] {
        let (mut solo, _) = candidate(3, 0, disk(5, 4, &[zxid(4, 1)]));
        solo.learner(A, Kind::FOLLOWERINFO, 1, 5);
        solo.persist();
        let out = solo.packet(A, wire::ack_epoch(last, Epoch(current)));
        assert!(is_closed(&out, A), "({current}, {last}): {out:?}");
        // Another completes the quorum; then the first may come back, and forgets.
        solo.learner(B, Kind::FOLLOWERINFO, 2, 4);
        solo.packet(B, wire::ack_epoch(zxid(4, 1), Epoch(4)));
        solo.learner(C, Kind::FOLLOWERINFO, 1, 5);
        let out = solo.packet(C, wire::ack_epoch(last, Epoch(-1)));
        assert!(!is_closed(&out, C) && sent(&out, C).last().unwrap().0 == Kind::NEWLEADER, "{out:?}");
    }
}

#[test]
fn live_traffic_is_held_back_between_newleader_and_uptodate() {
    let (mut solo, _) = serving_leader(3, 1, disk(4, 4, &[zxid(4, 1)]));
    let (one, _) = solo.propose();
    for (conn, kind, sid) in [(B, Kind::FOLLOWERINFO, 2), (C, Kind::OBSERVERINFO, 4)] {
        solo.learner(conn, kind, sid, 4);
        let out = solo.packet(conn, wire::ack_epoch(zxid(4, 1), Epoch(4)));
        let mut expected = vec![(Kind::DIFF, zxid(4, 1)), (Kind::NEWLEADER, Epoch(5).start())];
        if conn == B {
            expected.insert(1, (Kind::PROPOSAL, one)); // TRAP Q21: never to an observer
        }
        assert_eq!(sent(&out, conn), expected);
    }
    let (two, out) = solo.propose();
    assert_eq!(sent(&out, A), [(Kind::PROPOSAL, two)]);
    assert!(sent(&out, B).is_empty() && sent(&out, C).is_empty());
    solo.persist();
    let out = solo.kind(A, Kind::ACK, one);
    assert_eq!(delivered(&out), [one]);
    assert_eq!(sent(&out, A), [(Kind::COMMIT, one)]);
    assert!(sent(&out, B).is_empty() && sent(&out, C).is_empty());
    let out = solo.kind(B, Kind::ACK, Epoch(5).start());
    assert_eq!(sent(&out, B), [(Kind::UPTODATE, Zxid(-1)), (Kind::COMMIT, one), (Kind::PROPOSAL, two)]);
    let out = solo.kind(C, Kind::ACK, Epoch(5).start());
    assert_eq!(sent(&out, C), [(Kind::UPTODATE, Zxid(-1)), (Kind::INFORM, one)]);
    let out = solo.kind(B, Kind::ACK, two);
    assert_eq!(sent(&out, B), [(Kind::COMMIT, two)]);
    assert_eq!(sent(&out, C), [(Kind::INFORM, two)]);
}

#[test]
fn acks_of_proposals_count_before_the_ack_of_newleader() {
    let (mut solo, _) = serving_leader(3, 0, disk(4, 4, &[zxid(4, 1)]));
    solo.step(Input::Down { conn: A });
    let (one, _) = solo.propose();
    solo.persist();
    solo.learner(B, Kind::FOLLOWERINFO, 2, 4);
    solo.packet(B, wire::ack_epoch(zxid(4, 1), Epoch(4)));
    let out = solo.kind(B, Kind::ACK, one);
    assert_eq!(delivered(&out), [one], "ZOOKEEPER-4685");
    let out = solo.kind(B, Kind::ACK, Epoch(5).start());
    assert_eq!(sent(&out, B), [(Kind::UPTODATE, Zxid(-1)), (Kind::COMMIT, one)]);
}

#[test]
fn the_leaders_own_ack_waits_for_its_disk() {
    let (mut solo, _) = serving_leader(5, 0, disk(4, 4, &[]));
    let (one, _) = solo.propose();
    for conn in [A, B] {
        assert!(delivered(&solo.kind(conn, Kind::ACK, one)).is_empty(), "two of five");
    }
    assert_eq!(delivered(&solo.persist()), [one]);
    // A quorum of others commits without it, but nothing is applied here before it is durable.
    solo.join_follower(C, 4, Zxid(0), 4);
    let (two, _) = solo.propose();
    for conn in [A, B] {
        assert!(sent(&solo.kind(conn, Kind::ACK, two), A).is_empty());
    }
    let out = solo.kind(C, Kind::ACK, two);
    assert_eq!(sent(&out, A), [(Kind::COMMIT, two)]);
    assert!(delivered(&out).is_empty() && !solo.zab.has_outstanding(), "{out:?}");
    assert_eq!(delivered(&solo.persist()), [two]);
}

#[test]
fn only_voters_count_for_commits() {
    let mut solo = admitting_leader(1, 3, 1);
    solo.join_follower(B, 77, Zxid(0), 4); // TRAP Q11: a follower outside the config
    solo.join_follower(C, 4, Zxid(0), 4); // an observer that calls itself a follower
    solo.step(Input::Down { conn: A });
    let (one, out) = solo.propose();
    assert_eq!(sent(&out, B), [(Kind::PROPOSAL, one)], "it is served all the same");
    solo.persist();
    for conn in [B, C] {
        assert!(delivered(&solo.kind(conn, Kind::ACK, one)).is_empty());
    }
    assert!(solo.zab.has_outstanding());
}

#[test]
fn acks_of_what_was_never_proposed_count_for_nothing() {
    let (mut solo, _) = serving_leader(3, 0, disk(4, 4, &[]));
    for strange in [zxid(5, 9), zxid(4, 1), zxid(6, 1), Zxid(-1)] {
        solo.kind(A, Kind::ACK, strange);
    }
    let (_, _) = solo.propose();
    assert!(delivered(&solo.persist()).is_empty());
}

#[test]
fn an_ack_dies_with_its_connection() {
    // The learner may be told to cut what it had acknowledged, and crash before it has it again.
    let (mut solo, _) = serving_leader(5, 0, disk(4, 4, &[]));
    let (one, _) = solo.propose();
    solo.kind(A, Kind::ACK, one);
    solo.step(Input::Down { conn: A });
    solo.learner(C, Kind::FOLLOWERINFO, 1, 5);
    let out = solo.packet(C, wire::ack_epoch(one, Epoch(-1)));
    let expected =
        [(Kind::TRUNC, Epoch(5).start()), (Kind::PROPOSAL, one), (Kind::NEWLEADER, Epoch(5).start())];
    assert_eq!(sent(&out, C), expected);
    assert!(delivered(&solo.persist()).is_empty(), "the leader and a lost ack are not three of five");
    solo.kind(C, Kind::ACK, Epoch(5).start());
    assert!(delivered(&solo.kind(B, Kind::ACK, one)).is_empty());
    assert_eq!(delivered(&solo.kind(C, Kind::ACK, one)), [one]);
}

#[test]
fn impostors_and_foreigners_are_refused() {
    let refuse = |packet: Packet| {
        let (mut solo, _) = candidate(3, 0, disk(4, 4, &[]));
        solo.step(Input::LearnerUp { conn: A });
        let out = solo.packet(A, packet);
        assert!(is_closed(&out, A), "{out:?}");
    };
    let with = |info: LearnerInfo| Packet::with_data(Kind::FOLLOWERINFO, Zxid(0), info.encode());
    let good = LearnerInfo { sid: ServerId(1), protocol_version: 0x10000, config_version: 0 };
    refuse(with(LearnerInfo { sid: ServerId(3), ..good }));
    refuse(with(LearnerInfo { protocol_version: 1, ..good }));
    refuse(with(LearnerInfo { config_version: 1, ..good }));
    refuse(Packet::new(Kind::FOLLOWERINFO, Zxid(0)));
    refuse(info(Kind::FOLLOWERINFO, 1, -1));
    refuse(info(Kind::FOLLOWERINFO, 1, i64::from(i32::MAX)));
    refuse(Packet::new(Kind::ACKEPOCH, Zxid(0)));
}

#[test]
fn a_packet_out_of_place_closes_the_connection() {
    let (mut solo, _) = candidate(3, 0, disk(4, 4, &[]));
    solo.learner(A, Kind::FOLLOWERINFO, 1, 4);
    assert!(is_closed(&solo.kind(A, Kind::REQUEST, Zxid(-1)), A));
    let (mut solo, _) = serving_leader(3, 0, disk(4, 4, &[]));
    solo.learner(B, Kind::FOLLOWERINFO, 2, 4);
    solo.packet(B, wire::ack_epoch(Zxid(0), Epoch(4)));
    assert!(is_closed(&solo.kind(B, Kind::PING, Zxid(0)), B));
    assert_eq!(solo.kind(A, Kind(99), Zxid(0)), [], "unknown types of a live learner are ignored");
}

#[test]
fn what_learners_ask_reaches_the_application_and_comes_back() {
    let (mut solo, _) = serving_leader(3, 0, disk(4, 4, &[]));
    let request = Packet::with_data(Kind::REQUEST, Zxid(-1), Bytes::from_static(b"r"));
    let from = ServerId(1);
    assert_eq!(solo.packet(A, request.clone()), [Output::Request { conn: A, from, packet: request }]);
    let revalidate = Packet::with_data(Kind::REVALIDATE, Zxid(-1), Bytes::from_static(b"v"));
    assert_eq!(
        solo.packet(A, revalidate.clone()),
        [Output::Revalidate { conn: A, from, packet: revalidate }]
    );
    let entries = Bytes::from_static(&[1; 12]);
    let ping = |data: Option<Bytes>| Packet { data, ..Packet::new(Kind::PING, Zxid(0)) };
    assert_eq!(solo.packet(A, ping(Some(entries.clone()))), [Output::Touched { conn: A, entries }]);
    assert_eq!(solo.packet(A, ping(Some(Bytes::new()))), []);
    assert_eq!(solo.packet(A, ping(None)), []);
    let mut out = Vec::new();
    let sync = Packet::new(Kind::SYNC, Zxid(0));
    solo.zab.send_to_learner(A, sync.clone(), &mut out);
    solo.zab.send_to_learner(B, sync.clone(), &mut out);
    assert_eq!(out, [Output::Send { conn: A, bytes: sync.encode() }]);
}

#[test]
fn pings_go_out_every_half_tick_from_newleader_on() {
    let (mut solo, _) = candidate(3, 0, disk(4, 4, &[]));
    solo.learner(A, Kind::FOLLOWERINFO, 1, 4);
    assert!(packets(&solo.wait(100)).is_empty());
    solo.persist();
    solo.packet(A, wire::ack_epoch(Zxid(0), Epoch(4)));
    assert_eq!(sent(&solo.wait(100), A), [(Kind::PING, Epoch(5).start()); 5]);
}

#[test]
fn a_leader_without_followers_steps_down() {
    let (mut solo, _) = serving_leader(3, 0, disk(4, 4, &[]));
    for _ in 0..10 {
        assert!(!has_role(&solo.wait(100), Role::Looking));
        solo.packet(A, Packet::with_data(Kind::PING, Zxid(0), Bytes::new()));
    }
    let (one, _) = solo.propose();
    let out = solo.wait(300);
    assert!(has_role(&out, Role::Looking) && out.contains(&Output::ListenQuorum(false)), "{out:?}");
    assert!(is_closed(&out, A) && delivered(&out).is_empty());
    assert_eq!(solo.zab.next_zxid(), None);
    // Its own unacknowledged proposal is part of its next vote.
    let out = solo.persist();
    assert_eq!(delivered(&out), [one]);
    assert!(notifications(&out).iter().all(|(_, n)| n.zxid == one && n.peer_epoch == Epoch(5)));
}

#[test]
fn a_candidate_whose_voters_have_died_does_not_wait_for_the_init_limit() {
    let (mut solo, _) = candidate(3, 0, disk(4, 4, &[]));
    solo.learner(A, Kind::FOLLOWERINFO, 1, 4);
    solo.persist();
    assert!(!has_role(&solo.wait(200), Role::Looking), "it is connected");
    solo.step(Input::Down { conn: A });
    assert!(!has_role(&solo.wait(60), Role::Looking));
    assert!(has_role(&solo.wait(60), Role::Looking));
}

#[test]
fn a_learner_that_does_not_acknowledge_is_cut() {
    let (mut solo, _) = serving_leader(3, 0, disk(4, 4, &[]));
    solo.join_follower(B, 2, Zxid(0), 4);
    let (one, _) = solo.propose();
    let (two, _) = solo.propose();
    let mut closed = [false; 2];
    for _ in 0..5 {
        let out = solo.wait(50);
        closed = [closed[0] || is_closed(&out, A), closed[1] || is_closed(&out, B)];
        for conn in [A, B] {
            solo.packet(conn, Packet::with_data(Kind::PING, Zxid(0), Bytes::new()));
        }
        solo.kind(A, Kind::ACK, one);
        solo.kind(A, Kind::ACK, two);
    }
    assert_eq!(closed, [false, true]);
}

#[test]
fn the_last_zxid_of_an_epoch_ends_the_reign() {
    let (mut solo, _) = serving_leader(3, 0, disk(4, 4, &[]));
    let Phase::Leading(leader) = &mut solo.zab.phase else {
        panic!("it leads");
    };
    // As if four billion transactions had gone by.
    leader.last_proposed = zxid(5, 0xffff_fffd);
    solo.zab.core.ledger.skip_to(zxid(5, 0xffff_fffd));
    let (last, out) = solo.propose();
    assert_eq!(last, zxid(5, 0xffff_fffe));
    assert_eq!(sent(&out, A), [(Kind::PROPOSAL, last)]);
    assert_eq!(solo.zab.next_zxid(), None, "0xffffffff is never used");
    let out = solo.kind(A, Kind::ACK, last);
    assert!(!has_role(&out, Role::Looking));
    let out = solo.persist();
    let at = |wanted: &Output| out.iter().position(|o| o == wanted).unwrap();
    let delivery = Output::Deliver { zxid: last, txn: txn(last) };
    assert!(at(&delivery) < at(&Output::Role(Role::Looking)), "{out:?}");
}

#[test]
fn a_voter_that_has_promised_a_later_epoch_gets_a_new_election() {
    let (mut solo, _) = serving_leader(3, 0, disk(4, 4, &[]));
    let out = solo.learner(B, Kind::FOLLOWERINFO, 2, 9);
    assert!(has_role(&out, Role::Looking), "{out:?}");
    let conn = ConnId(solo.zab.core.next_conn - 2);
    assert!(conn.0 % 2 == 1);
    // Elected again, even without hearing of it: the next epoch is above that promise.
    let n = vote(State::Looking, 3, Zxid(0), solo.zab.core.round, 5);
    let peers: Vec<ConnId> = [1, 3].map(ConnId).to_vec();
    for conn in peers {
        solo.hear(conn, &n);
    }
    assert_eq!(*solo.zab.role(), Role::Leading { serving: false });
    solo.learner(C, Kind::FOLLOWERINFO, 1, 5);
    assert_eq!(solo.ops(), [PersistOp::AcceptedEpoch(Epoch(10))]);
    // An observer does not have that weight.
    let (mut solo, _) = serving_leader(3, 1, disk(4, 4, &[]));
    let out = solo.learner(B, Kind::OBSERVERINFO, 4, 9);
    assert_eq!(sent(&out, B), [(Kind::LEADERINFO, Epoch(5).start())]);
}

#[test]
fn a_single_voter_leads_alone() {
    let mut solo = Solo::new(1, 1, 1, disk(0, 0, &[]));
    let mut out = solo.step(Input::Tick);
    out.extend(solo.persist());
    assert!(has_role(&out, Role::Leading { serving: true }), "{out:?}");
    let (one, _) = solo.propose();
    assert_eq!(delivered(&solo.persist()), [one]);
}

#[test]
fn proposals_stop_while_too_much_is_outstanding() {
    let (mut solo, _) = serving_leader(3, 0, disk(4, 4, &[]));
    let big = Bytes::from(vec![0; 2 << 20]).slice(..FIELD_LEN_MAX);
    let mut proposed = 0;
    while let Some(zxid) = solo.zab.next_zxid() {
        let mut out = Vec::new();
        solo.zab.propose(0, zxid, big.clone(), &mut out);
        solo.keep(&out);
        proposed += 1;
        assert!(proposed < 1000, "never stops");
    }
    solo.persist();
    let last = solo.zab.last_proposed();
    solo.kind(A, Kind::ACK, last);
    assert_eq!(solo.zab.next_zxid(), last.next());
}

#[test]
fn a_learner_is_brought_up_to_date_as_section_2_4_says() {
    let z = zxid;
    let history = [z(2, 1), z(2, 2), z(4, 1), z(4, 2)];
    let config = test_config(ServerId(3), &Membership::parse(&member_list(3, 0)).unwrap());
    let ledger = Ledger::new(disk(4, 4, &history), &config);
    let bare = Ledger::new(Durable { last_zxid: z(4, 2), ..disk(4, 4, &[]) }, &config);
    let diff = |announce| Plan::Diff { announce };
    let cut = |to| Plan::Truncate { to };
    for (ledger, peer, established, expected) in [
        (&ledger, z(4, 2), false, diff(z(4, 2))), // row 2: equal
        (&ledger, z(2, 1), false, diff(z(4, 2))), // row 4: the oldest held
        (&ledger, z(4, 1), true, diff(z(4, 2))),
        (&ledger, z(4, 0), true, diff(z(4, 2))), // ZOOKEEPER-2033: the start of an epoch
        (&ledger, z(3, 0), true, diff(z(4, 2))),
        (&ledger, z(2, 3), false, Plan::Snapshot), // a tail that nobody else has, older epoch
        (&ledger, z(3, 1), true, Plan::Snapshot),
        (&ledger, z(4, 3), false, cut(z(4, 2))), // row 3, needed for the quorum
        (&ledger, z(4, 3), true, Plan::Snapshot), // row 3, established (TRAP Q22)
        (&ledger, z(5, 3), true, cut(z(5, 0))),  // our own epoch's tail
        (&ledger, z(5, 0), false, diff(z(5, 0))), // a snapshot of an established leader
        (&ledger, z(2, 0), false, Plan::Snapshot), // before what is held
        (&ledger, z(1, 9), true, Plan::Snapshot),
        (&ledger, Zxid(0), true, Plan::Snapshot),
        (&ledger, Zxid::NONE, false, Plan::Snapshot),
        (&bare, z(4, 2), false, diff(z(4, 2))), // nothing held in memory
        (&bare, z(4, 1), false, Plan::Snapshot),
        (&bare, z(4, 3), false, cut(z(4, 2))),
        (&bare, z(4, 3), true, Plan::Snapshot),
    ] {
        assert_eq!(plan(ledger, peer, Epoch(5), established), expected, "{peer}, established: {established}");
    }
}

#[test]
fn the_sync_stream_carries_the_whole_tail_as_committed() {
    let history = [zxid(4, 1), zxid(4, 2), zxid(4, 3)];
    let (mut solo, _) = candidate(3, 0, disk(4, 4, &history));
    solo.learner(A, Kind::FOLLOWERINFO, 1, 4);
    solo.persist();
    let out = solo.packet(A, wire::ack_epoch(zxid(4, 1), Epoch(4)));
    let expected = [
        (Kind::DIFF, zxid(4, 3)),
        (Kind::PROPOSAL, zxid(4, 2)),
        (Kind::COMMIT, zxid(4, 2)),
        (Kind::PROPOSAL, zxid(4, 3)),
        (Kind::COMMIT, zxid(4, 3)),
        (Kind::NEWLEADER, Epoch(5).start()),
    ];
    assert_eq!(sent(&out, A), expected, "TRAP Q16");
}

#[test]
fn newleader_follows_the_snapshot_stream() {
    let (mut solo, _) = serving_leader(3, 0, disk(4, 4, &[zxid(4, 1)]));
    solo.learner(B, Kind::FOLLOWERINFO, 2, 0);
    let out = solo.packet(B, wire::ack_epoch(Zxid(0), Epoch(0)));
    let [Output::Send { .. }, Output::SendSnapshot { conn: B }, Output::Send { .. }] = &out[..] else {
        panic!("{out:?}");
    };
    assert_eq!(sent(&out, B), [(Kind::SNAP, Epoch(5).start()), (Kind::NEWLEADER, Epoch(5).start())]);
    // The stream may take longer than the limits, as long as it moves.
    for _ in 0..5 {
        solo.packet(A, Packet::with_data(Kind::PING, Zxid(0), Bytes::new()));
        assert!(!is_closed(&solo.wait(150), B));
        solo.step(Input::Progress { conn: B });
    }
}

#[test]
fn a_hostile_learner_cannot_make_the_leader_panic() {
    let mut random = Random(1);
    for round in 0..300 {
        let (mut solo, _) = serving_leader(3, 1, disk(4, 4, &[zxid(4, 1)]));
        for _ in 0..20 {
            let conn = [A, B][random.below(2) as usize];
            solo.step(Input::LearnerUp { conn: B });
            solo.packet(conn, strange_packet(&mut random));
            if random.one_in(4) {
                solo.persist();
            }
        }
        assert!(!solo.zab.role().is_serving() || solo.zab.next_zxid().is_some(), "round {round}");
    }
}

#[test]
fn a_hostile_leader_cannot_make_a_follower_panic() {
    let mut random = Random(2);
    for _ in 0..300 {
        let (mut solo, conn, _) = promised(disk(4, 4, &[zxid(4, 1)]), 5);
        if random.one_in(2) {
            solo.kind(conn, Kind::DIFF, Zxid(0));
        }
        for _ in 0..20 {
            solo.packet(conn, strange_packet(&mut random));
            if random.one_in(8) {
                solo.step(Input::SnapshotReceived { conn, body: Bytes::new(), config: None });
            }
            if random.one_in(4) && !solo.ops().iter().any(|op| matches!(op, PersistOp::Truncate { .. })) {
                solo.persist();
            }
        }
    }
}

fn strange_packet(random: &mut Random) -> Packet {
    let zxids =
        [Zxid(0), Zxid(-1), zxid(4, 1), zxid(4, 2), zxid(5, 0), zxid(5, 1), zxid(5, 2), Zxid(i64::MAX)];
    let packet = Packet::new(Kind(random.below(21) as i32), zxids[random.below(8) as usize]);
    let data =
        [None, Some(Bytes::new()), Some(Bytes::from_static(&[0; 4])), Some(Bytes::from_static(&[1; 20]))];
    Packet { data: data[random.below(4) as usize].clone(), ..packet }
}

const A: ConnId = ConnId(10);
const B: ConnId = ConnId(12);
const C: ConnId = ConnId(14);
