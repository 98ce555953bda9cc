//! The rules of a learner, one by one (quorum-protocol §2.3, §2.5, §2.7–§2.9, §2.13).

use bytes::Bytes;

use super::codec::hex;
use super::solo::*;
use crate::server::zab::ballot::State;
use crate::server::zab::wire::Kind;
use crate::server::zab::*;

pub(super) fn newleader(solo: &mut Solo, conn: ConnId, epoch: i64) -> Vec<Output> {
    solo.kind(conn, Kind::NEWLEADER, Epoch(epoch).start())
}

#[test]
fn the_first_handshake_has_the_bytes_of_the_reference() {
    let (mut solo, conn, out) = follower(disk(0, 0, &[]));
    let send = |text: &str| Output::Send { conn, bytes: hex(text) };
    assert!(out.contains(&send(
        "0000000b 0000000000000000 00000014 0000000000000001 00010000 0000000000000000 ffffffff"
    )));
    solo.packet(conn, wire::leader_info(Epoch(1)));
    let out = solo.persist();
    assert!(out.contains(&send("00000012 0000000000000000 00000004 00000000 ffffffff")));
    solo.kind(conn, Kind::DIFF, Zxid(0));
    newleader(&mut solo, conn, 1);
    let ack = send("00000003 0000000100000000 ffffffff ffffffff");
    assert!(solo.persist().contains(&ack));
    assert!(solo.kind(conn, Kind::UPTODATE, Zxid(-1)).contains(&ack));
}

#[test]
fn the_epoch_is_accepted_durably_before_it_is_promised() {
    let (mut solo, conn, _) = follower(disk(4, 4, &[zxid(4, 7)]));
    let out = solo.packet(conn, wire::leader_info(Epoch(5)));
    assert_eq!(solo.ops(), [PersistOp::AcceptedEpoch(Epoch(5))]);
    assert!(packets(&out).is_empty(), "{out:?}");
    let out = solo.persist();
    assert_eq!(packets(&out), [(conn.0, wire::ack_epoch(zxid(4, 7), Epoch(4)))]);
}

#[test]
fn an_epoch_accepted_before_is_promised_without_a_voice() {
    let (mut solo, conn, _) = follower(disk(5, 4, &[zxid(4, 7)]));
    let out = solo.packet(conn, wire::leader_info(Epoch(5)));
    assert_eq!(packets(&out), [(conn.0, wire::ack_epoch(zxid(4, 7), Epoch(-1)))]);
    assert!(solo.writes.is_empty());
}

#[test]
fn a_leader_of_an_older_epoch_is_left() {
    let (mut solo, conn, _) = follower(disk(5, 4, &[zxid(4, 7)]));
    let out = solo.packet(conn, wire::leader_info(Epoch(4)));
    assert!(is_closed(&out, conn) && has_role(&out, Role::Looking), "{out:?}");
}

#[test]
fn newleader_is_acknowledged_after_the_history_and_then_the_epoch_are_durable() {
    let (mut solo, conn, _) = promised(disk(1, 1, &[zxid(1, 1)]), 2);
    let mut out = solo.kind(conn, Kind::DIFF, zxid(1, 3));
    for counter in 2..=3 {
        out.extend(solo.proposal(conn, zxid(1, counter)));
    }
    out.extend(solo.kind(conn, Kind::COMMIT, zxid(1, 2)));
    out.extend(newleader(&mut solo, conn, 2));
    assert!(packets(&out).is_empty() && delivered(&out).is_empty(), "{out:?}");
    let appended = |counter| PersistOp::Append { zxid: zxid(1, counter), txn: txn(zxid(1, counter)) };
    assert_eq!(solo.ops(), [appended(2), appended(3)], "currentEpoch waits for its history");

    let out = solo.persist_one();
    assert_eq!(delivered(&out), [zxid(1, 2)], "committed and durable");
    assert!(solo.ops().len() == 1 && packets(&out).is_empty());
    solo.persist_one();
    assert_eq!(solo.ops(), [PersistOp::CurrentEpoch(Epoch(2))]);
    let out = solo.persist_one();
    // First NEWLEADER, then the proposals that are not known to be committed.
    assert_eq!(sent(&out, conn), [(Kind::ACK, Epoch(2).start()), (Kind::ACK, zxid(1, 3))]);
    assert!(delivered(&out).is_empty());
}

#[test]
fn a_commit_between_newleader_and_uptodate_is_taken() {
    // ZOOKEEPER-4394, both kinds of leader: proposed before NEWLEADER, and after it.
    let (mut solo, conn, _) = promised(disk(1, 1, &[]), 2);
    solo.kind(conn, Kind::DIFF, Zxid(0));
    solo.proposal(conn, zxid(1, 1));
    newleader(&mut solo, conn, 2);
    solo.proposal(conn, zxid(1, 2));
    solo.kind(conn, Kind::COMMIT, zxid(1, 1));
    let out = solo.persist();
    assert_eq!(delivered(&out), [zxid(1, 1)]);
    assert_eq!(sent(&out, conn), [(Kind::ACK, Epoch(2).start()), (Kind::ACK, zxid(1, 2))]);
    let out = solo.kind(conn, Kind::COMMIT, zxid(1, 2));
    assert_eq!(delivered(&out), [zxid(1, 2)]);
    let out = solo.kind(conn, Kind::UPTODATE, Zxid(-1));
    assert!(has_role(&out, Role::Following { leader: ServerId(3), serving: true }));
}

#[test]
fn clients_are_served_only_after_everything_committed_is_delivered() {
    let (mut solo, conn, _) = promised(disk(1, 1, &[]), 2);
    solo.kind(conn, Kind::DIFF, Zxid(0));
    newleader(&mut solo, conn, 2);
    solo.persist();
    solo.proposal(conn, zxid(2, 1));
    solo.kind(conn, Kind::COMMIT, zxid(2, 1));
    let out = solo.kind(conn, Kind::UPTODATE, Zxid(-1));
    let serving = Role::Following { leader: ServerId(3), serving: true };
    assert!(!has_role(&out, serving));
    let out = solo.persist();
    let at = |wanted: &Output| out.iter().position(|o| o == wanted).unwrap();
    let delivery = Output::Deliver { zxid: zxid(2, 1), txn: txn(zxid(2, 1)) };
    assert!(at(&delivery) < at(&Output::Role(serving)), "{out:?}");
}

#[test]
fn a_proposal_is_applied_only_when_it_is_committed_and_durable() {
    let (mut solo, conn) = serving_follower(disk(1, 1, &[]), 2);
    for counter in 1..=2 {
        assert!(packets(&solo.proposal(conn, zxid(2, counter))).is_empty(), "no ack before the disk");
    }
    assert!(delivered(&solo.kind(conn, Kind::COMMIT, zxid(2, 1))).is_empty(), "TRAP 4882");
    let out = solo.persist();
    assert_eq!(sent(&out, conn), [(Kind::ACK, zxid(2, 1)), (Kind::ACK, zxid(2, 2))]);
    assert_eq!(delivered(&out), [zxid(2, 1)]);
    assert_eq!(delivered(&solo.kind(conn, Kind::COMMIT, zxid(2, 2))), [zxid(2, 2)]);
}

#[test]
fn a_proposal_that_is_logged_already_is_acknowledged_and_dropped() {
    let (mut solo, conn) = serving_follower(disk(1, 1, &[]), 2);
    solo.proposal(conn, zxid(2, 1));
    solo.persist();
    let again = Packet::with_data(Kind::PROPOSAL, zxid(2, 1), Bytes::from_static(b"another"));
    let out = solo.packet(conn, again);
    assert_eq!(sent(&out, conn), [(Kind::ACK, zxid(2, 1))], "TRAP Q24");
    assert!(solo.writes.is_empty());
    let out = solo.kind(conn, Kind::COMMIT, zxid(2, 1));
    assert!(out.contains(&Output::Deliver { zxid: zxid(2, 1), txn: txn(zxid(2, 1)) }));
    assert_eq!(solo.kind(conn, Kind::COMMIT, zxid(2, 1)), [], "a second commit is nothing new");
}

#[test]
fn a_commit_that_is_not_the_head_stops_the_process() {
    let (mut solo, conn) = serving_follower(disk(1, 1, &[]), 2);
    solo.proposal(conn, zxid(2, 1));
    solo.proposal(conn, zxid(2, 2));
    let out = solo.kind(conn, Kind::COMMIT, zxid(2, 2));
    assert!(matches!(&out[..], [Output::Halt { .. }]), "{out:?}");
    assert_eq!(solo.zab.deadline_ms(), u64::MAX);
    assert_eq!(solo.persist(), [], "a halted server does nothing more");
}

#[test]
fn a_commit_of_what_was_never_proposed_ends_the_role() {
    let (mut solo, conn) = serving_follower(disk(1, 1, &[]), 2);
    let out = solo.kind(conn, Kind::COMMIT, zxid(2, 1));
    assert!(is_closed(&out, conn) && has_role(&out, Role::Looking), "{out:?}");
}

#[test]
fn a_hole_in_the_sync_stream_leads_to_a_snapshot() {
    let (mut solo, conn, _) = promised(disk(1, 1, &[zxid(1, 1)]), 2);
    solo.kind(conn, Kind::DIFF, zxid(1, 3));
    let out = solo.proposal(conn, zxid(1, 3));
    assert!(is_closed(&out, conn), "{out:?}");
    let (conn, _) = follow_again(&mut solo, zxid(1, 1), 1);
    solo.packet(conn, wire::leader_info(Epoch(3)));
    let out = solo.persist();
    assert_eq!(packets(&out), [(conn.0, wire::ack_epoch_for_snapshot(zxid(1, 1), Epoch(1)))]);
    let out = solo.kind(conn, Kind::DIFF, zxid(1, 3));
    assert!(is_closed(&out, conn), "only a snapshot will do: {out:?}");
}

#[test]
fn truncation_is_finished_before_anything_else_is_written() {
    let (mut solo, conn, _) = promised(disk(1, 1, &[zxid(1, 1), zxid(1, 2), zxid(1, 3)]), 2);
    solo.kind(conn, Kind::TRUNC, zxid(1, 1));
    let [(id, PersistOp::Truncate { to })] = solo.writes[..] else {
        panic!("{:?}", solo.writes);
    };
    assert_eq!(to, zxid(1, 1));
    solo.writes.clear();
    let mut out = solo.packet(conn, Packet::with_data(Kind::PROPOSAL, zxid(2, 1), txn(zxid(2, 1))));
    out.extend(solo.kind(conn, Kind::COMMIT, zxid(2, 1)));
    out.extend(newleader(&mut solo, conn, 2));
    assert_eq!(out, []);
    let tail = vec![(zxid(1, 1), txn(zxid(1, 1)))];
    solo.step(Input::Reloaded { id, last_zxid: zxid(1, 1), tail });
    let out = solo.persist();
    assert_eq!(delivered(&out), [zxid(2, 1)]);
    assert_eq!(sent(&out, conn), [(Kind::ACK, Epoch(2).start())]);
}

#[test]
fn a_log_that_cannot_be_cut_is_replaced_by_a_snapshot() {
    let zxids = [zxid(1, 1), zxid(1, 2), zxid(1, 3)];
    let (mut solo, conn, _) = promised(disk(1, 1, &zxids), 2);
    solo.kind(conn, Kind::TRUNC, zxid(1, 1));
    let (id, _) = solo.writes.remove(0);
    let tail = disk(1, 1, &zxids).tail;
    let out = solo.step(Input::Reloaded { id, last_zxid: zxid(1, 3), tail });
    assert!(is_closed(&out, conn) && has_role(&out, Role::Looking), "{out:?}");
    assert_eq!(sent(&out, conn), [(Kind::ACK, Zxid::NONE)], "the leader is told");
    let n = notifications(&out);
    assert!(n.iter().all(|(_, n)| n.zxid == zxid(1, 3)), "its vote is still what it has: {n:?}");
    // Its promise still says what it has, so that it counts; the leader knows what to send.
    let (conn, _) = follow_again(&mut solo, zxid(1, 3), 1);
    solo.packet(conn, wire::leader_info(Epoch(3)));
    assert_eq!(packets(&solo.persist()), [(conn.0, wire::ack_epoch(zxid(1, 3), Epoch(1)))]);
    // A reference server does not: it is asked by a promise whose zxid names nothing.
    solo.kind(conn, Kind::TRUNC, zxid(1, 1));
    let (id, _) = solo.writes.remove(0);
    let tail = disk(1, 1, &zxids).tail;
    solo.step(Input::Reloaded { id, last_zxid: zxid(1, 3), tail });
    let (conn, _) = follow_again(&mut solo, zxid(1, 3), 1);
    solo.packet(conn, wire::leader_info(Epoch(4)));
    assert_eq!(packets(&solo.persist()), [(conn.0, wire::ack_epoch_for_snapshot(zxid(1, 3), Epoch(1)))]);
}

#[test]
fn a_snapshot_of_an_epochs_start_stands_for_the_transaction_before_it() {
    let (mut solo, conn, _) = promised(disk(2, 2, &[zxid(2, 1), zxid(2, 2)]), 3);
    solo.kind(conn, Kind::TRUNC, zxid(1, 9));
    let (id, _) = solo.writes.remove(0);
    let tail = disk(2, 2, &[zxid(2, 1), zxid(2, 2)]).tail;
    solo.step(Input::Reloaded { id, last_zxid: zxid(2, 2), tail });
    let (id, op) = solo.writes.remove(0);
    assert_eq!(op, PersistOp::Truncate { to: Epoch(2).start() });
    solo.step(Input::Reloaded { id, last_zxid: Epoch(2).start(), tail: vec![] });
    newleader(&mut solo, conn, 3);
    assert_eq!(sent(&solo.persist(), conn), [(Kind::ACK, Epoch(3).start())]);
}

#[test]
fn only_a_snapshot_with_the_very_zxid_stands_for_it() {
    let (mut solo, conn, _) = promised(disk(2, 2, &[zxid(2, 1), zxid(2, 2)]), 3);
    solo.kind(conn, Kind::TRUNC, zxid(1, 7));
    let (id, _) = solo.writes.remove(0);
    solo.step(Input::Reloaded { id, last_zxid: zxid(2, 2), tail: vec![] });
    let (id, _) = solo.writes.remove(0);
    let out = solo.step(Input::Reloaded { id, last_zxid: zxid(1, 9), tail: vec![] });
    assert!(is_closed(&out, conn) && solo.zab.core.told_of_no_cut.is_some(), "{out:?}");
}

#[test]
fn a_cut_that_loses_what_was_to_be_kept_stops_the_process() {
    let (mut solo, conn, _) = promised(disk(1, 1, &[zxid(1, 3), zxid(1, 4)]), 2);
    solo.kind(conn, Kind::TRUNC, zxid(1, 2));
    let (id, _) = solo.writes.remove(0);
    let out = solo.step(Input::Reloaded { id, last_zxid: zxid(1, 1), tail: vec![] });
    assert!(out.iter().any(|o| matches!(o, Output::Halt { .. })), "{out:?}");
}

#[test]
fn a_cut_where_no_transaction_ends_is_refused() {
    for to in [zxid(1, 9), zxid(2, 7), Zxid(-5)] {
        let (mut solo, conn, _) = promised(disk(2, 2, &[zxid(1, 1), zxid(2, 1)]), 3);
        let out = solo.kind(conn, Kind::TRUNC, to);
        assert!(is_closed(&out, conn) && solo.writes.is_empty(), "{to}: {out:?}");
    }
}

#[test]
fn the_tree_is_replaced_only_when_the_snapshot_is_durable() {
    let (mut solo, conn, _) = promised(disk(1, 1, &[zxid(1, 1)]), 3);
    solo.kind(conn, Kind::SNAP, zxid(2, 5));
    let body = Bytes::from_static(b"tree");
    let out = solo.step(Input::SnapshotReceived { conn, body: body.clone(), config: None });
    assert!(!out.iter().any(|o| matches!(o, Output::InstallSnapshot { .. })));
    // Traffic queued since the sync began may repeat what the snapshot holds (§2.5).
    solo.proposal(conn, zxid(2, 5));
    solo.kind(conn, Kind::COMMIT, zxid(2, 5));
    solo.proposal(conn, zxid(2, 6));
    solo.kind(conn, Kind::COMMIT, zxid(2, 6));
    newleader(&mut solo, conn, 3);
    assert_eq!(solo.ops().len(), 2, "{:?}", solo.ops());
    let out = solo.persist_one();
    assert!(out.contains(&Output::InstallSnapshot { zxid: zxid(2, 5), body }));
    let out = solo.persist();
    assert_eq!(delivered(&out), [zxid(2, 6)]);
    assert_eq!(sent(&out, conn), [(Kind::ACK, Epoch(3).start())]);
}

#[test]
fn a_connection_lost_during_a_snapshot_leaves_memory_as_the_disk_is() {
    let (mut solo, conn, _) = promised(disk(1, 1, &[zxid(1, 1)]), 3);
    solo.kind(conn, Kind::SNAP, zxid(2, 5));
    solo.step(Input::SnapshotReceived { conn, body: Bytes::from_static(b"tree"), config: None });
    let out = solo.step(Input::Down { conn });
    assert!(has_role(&out, Role::Looking) && notifications(&out).is_empty(), "{out:?}");
    let out = solo.persist();
    assert!(out.iter().any(|o| matches!(o, Output::InstallSnapshot { .. })), "ZOOKEEPER-3642");
    assert!(notifications(&out).iter().all(|(_, n)| n.zxid == zxid(2, 5)), "{out:?}");
}

#[test]
fn the_log_is_drained_and_applied_before_the_next_vote() {
    let (mut solo, conn) = serving_follower(disk(1, 1, &[]), 2);
    solo.proposal(conn, zxid(2, 1));
    solo.kind(conn, Kind::COMMIT, zxid(2, 1));
    solo.proposal(conn, zxid(2, 2));
    let out = solo.step(Input::Down { conn });
    assert!(has_role(&out, Role::Looking), "clients are dropped at once: {out:?}");
    assert!(delivered(&out).is_empty() && notifications(&out).is_empty());
    let out = solo.persist();
    assert_eq!(delivered(&out), [zxid(2, 1), zxid(2, 2)], "the tail counts, committed or not (§2.13)");
    let votes = notifications(&out);
    assert!(!votes.is_empty() && votes.iter().all(|(_, n)| n.zxid == zxid(2, 2)), "I10: {votes:?}");
    assert!(votes.iter().all(|(_, n)| n.peer_epoch == Epoch(2) && n.state == State::Looking));
}

#[test]
fn pings_are_answered_only_when_up_to_date() {
    let (mut solo, conn, _) = promised(disk(1, 1, &[]), 2);
    solo.kind(conn, Kind::DIFF, Zxid(0));
    newleader(&mut solo, conn, 2);
    assert_eq!(solo.kind(conn, Kind::PING, Zxid(0)), []);
    solo.persist();
    assert_eq!(solo.kind(conn, Kind::PING, Zxid(0)), []);
    solo.kind(conn, Kind::UPTODATE, Zxid(-1));
    assert_eq!(solo.kind(conn, Kind::PING, zxid(2, 0)), [Output::PingDue { zxid: zxid(2, 0) }]);
    let mut out = Vec::new();
    solo.zab.send_to_leader(Packet::new(Kind::PING, zxid(2, 0)), &mut out);
    assert_eq!(out, [Output::Send { conn, bytes: hex("00000005 0000000200000000 00000000 ffffffff") }]);
}

#[test]
fn an_answer_waits_for_the_commits_before_it() {
    let (mut solo, conn) = serving_follower(disk(1, 1, &[]), 2);
    solo.proposal(conn, zxid(2, 1));
    solo.kind(conn, Kind::COMMIT, zxid(2, 1));
    let sync = Packet::new(Kind::SYNC, Zxid(0));
    assert_eq!(solo.packet(conn, sync.clone()), []);
    let out = solo.persist();
    assert_eq!(out.last(), Some(&Output::Answer { packet: sync }), "{out:?}");
    assert_eq!(delivered(&out), [zxid(2, 1)]);
}

#[test]
fn the_commit_of_a_reconfiguration_applies_its_transaction() {
    let (mut solo, conn) = serving_follower(disk(1, 1, &[]), 2);
    solo.proposal(conn, zxid(2, 1));
    solo.persist();
    let data = Bytes::from_static(&[0; 8]);
    let out = solo.packet(conn, Packet::with_data(Kind::COMMITANDACTIVATE, zxid(2, 1), data));
    assert_eq!(delivered(&out), [zxid(2, 1)]);
}

#[test]
fn a_silent_leader_is_left_after_the_sync_limit() {
    let (mut solo, conn) = serving_follower(disk(1, 1, &[]), 2);
    solo.wait(150);
    solo.kind(conn, Kind::PING, zxid(2, 0));
    assert!(!has_role(&solo.wait(199), Role::Looking));
    let out = solo.wait(1);
    assert!(has_role(&out, Role::Looking) && is_closed(&out, conn), "{out:?}");
}

#[test]
fn a_snapshot_stream_may_take_as_long_as_it_moves() {
    let (mut solo, conn, _) = promised(disk(1, 1, &[]), 2);
    solo.kind(conn, Kind::SNAP, zxid(1, 9));
    for _ in 0..5 {
        assert!(!has_role(&solo.wait(399), Role::Looking));
        solo.step(Input::Progress { conn });
    }
    assert!(has_role(&solo.wait(400), Role::Looking));
}

#[test]
fn a_leader_that_does_not_listen_is_tried_a_few_times() {
    let mut solo = Solo::new(1, 3, 0, disk(0, 0, &[]));
    solo.step(Input::Tick);
    solo.accept_peer(LEADER_BALLOT, 3);
    let mut out = solo.hear(LEADER_BALLOT, &vote(State::Looking, 3, Zxid(0), 1, 0));
    let mut dials = 0;
    while !has_role(&out, Role::Looking) {
        let conn = Solo::dialled_leader(&out);
        dials += 1;
        out = solo.step(Input::Down { conn });
        while !has_role(&out, Role::Looking) && !out.iter().any(|o| matches!(o, Output::DialLeader { .. })) {
            out = solo.wait(1);
        }
    }
    assert_eq!(dials, 7, "as many as the connect limit of 400 ms has room for");
}

#[test]
fn votes_heard_while_the_log_drains_are_not_forgotten() {
    let (mut solo, conn) = serving_follower(disk(1, 1, &[]), 2);
    solo.accept_peer(ConnId(4), 2);
    solo.proposal(conn, zxid(2, 1));
    solo.step(Input::Down { conn });
    for ballot in [ConnId(4), LEADER_BALLOT] {
        assert_eq!(solo.hear(ballot, &vote(State::Looking, 2, zxid(2, 9), 7, 2)), []);
    }
    assert!(has_role(&solo.persist(), Role::Following { leader: ServerId(2), serving: false }));
}

#[test]
fn a_leader_that_cannot_be_followed_is_not_called_without_end() {
    let (mut solo, mut conn, _) = follower(disk(5, 4, &[zxid(4, 7)]));
    solo.accept_peer(ConnId(4), 2);
    let leading = vote(State::Leading, 3, zxid(4, 7), 9, 4);
    let mut tries = 0;
    while solo.now_ms < 10_000 {
        solo.packet(conn, wire::leader_info(Epoch(4)));
        tries += 1;
        while *solo.zab.role() == Role::Looking {
            let mut out = solo.wait(1);
            out.extend(solo.hear(ConnId(4), &Notification { state: State::Following, ..leading.clone() }));
            out.extend(solo.hear(LEADER_BALLOT, &leading));
            if solo.zab.role() != &Role::Looking {
                conn = Solo::dialled_leader(&out);
                solo.step(Input::LeaderUp { conn });
            }
        }
    }
    assert!((10..25).contains(&tries), "{tries} tries in 10 s");
    // But an election that begins ends the pause.
    solo.packet(conn, wire::leader_info(Epoch(4)));
    let out = solo.hear(LEADER_BALLOT, &vote(State::Looking, 3, zxid(4, 8), 99, 4));
    assert!(!notifications(&out).is_empty(), "{out:?}");
}

#[test]
fn a_misplaced_packet_ends_the_role() {
    for kind in [Kind::DIFF, Kind::LEADERINFO, Kind::NEWLEADER, Kind::UPTODATE, Kind::REQUEST, Kind(0)] {
        let (mut solo, conn) = serving_follower(disk(1, 1, &[]), 2);
        let out = solo.kind(conn, kind, Zxid(0));
        assert!(is_closed(&out, conn), "{kind:?} while serving");
    }
    for kind in [Kind::PROPOSAL, Kind::COMMIT, Kind::NEWLEADER, Kind::UPTODATE, Kind::ACK] {
        let (mut solo, conn, _) = promised(disk(1, 1, &[]), 2);
        let out = solo.kind(conn, kind, Zxid(0));
        assert!(is_closed(&out, conn), "{kind:?} before the sync");
    }
    let (mut solo, conn) = serving_follower(disk(1, 1, &[]), 2);
    assert_eq!(solo.kind(conn, Kind(77), Zxid(0)), [], "unknown types are ignored");
}

#[test]
fn impossible_zxids_end_the_role() {
    for bad in [Zxid(-1), Zxid(0), zxid(2, 0), zxid(9, 1), zxid(2, 2)] {
        let (mut solo, conn) = serving_follower(disk(1, 1, &[]), 2);
        let out = solo.proposal(conn, bad);
        assert!(is_closed(&out, conn) && solo.writes.is_empty(), "{bad}");
    }
    let (mut solo, conn) = serving_follower(disk(1, 1, &[]), 2);
    assert!(is_closed(&solo.kind(conn, Kind::PROPOSAL, zxid(2, 1)), conn), "without a transaction");
}

#[test]
fn a_lost_database_is_announced_and_filled_by_a_snapshot() {
    let durable = Durable { last_zxid: Zxid::NONE, ..disk(0, 0, &[]) };
    let (mut solo, conn, _) = follower(durable);
    solo.packet(conn, wire::leader_info(Epoch(10)));
    assert_eq!(packets(&solo.persist()), [(conn.0, wire::ack_epoch(Zxid::NONE, Epoch(-1)))]);
    solo.kind(conn, Kind::SNAP, zxid(9, 9));
    solo.step(Input::SnapshotReceived { conn, body: Bytes::from_static(b"tree"), config: None });
    newleader(&mut solo, conn, 10);
    assert_eq!(sent(&solo.persist(), conn), [(Kind::ACK, Epoch(10).start())]);
}
