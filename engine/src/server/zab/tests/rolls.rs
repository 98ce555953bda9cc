//! Who goes by another list of voters (quorum-protocol §1.3, §2.11): nothing is lost by believing it.

use bytes::Bytes;

use super::solo::*;
use crate::server::zab::ballot::State;
use crate::server::zab::wire::{Kind, LearnerInfo, PROTOCOL_VERSION};
use crate::server::zab::*;
use crate::wire::jute::Writer;

fn list(ids: &[i64], version: i64) -> Bytes {
    let lines: String = ids.iter().map(|id| format!("server.{id}=n{id}:2888:3888:participant\n")).collect();
    format!("{lines}version={version:x}").into()
}

/// The transaction of a reconfiguration (quorum-protocol §2.11).
fn reconfiguration(zxid: Zxid, ids: &[i64]) -> Bytes {
    let mut w = Writer::new();
    w.long(1);
    w.int(1);
    w.long(zxid.0);
    w.long(0);
    w.int(16);
    w.string("/zookeeper/config");
    w.buffer(Some(&list(ids, zxid.0)));
    w.int(-1);
    w.finish()
}

fn says(out: &[Output], text: &str) -> bool {
    out.iter().any(|output| matches!(output, Output::Note(line) if line.contains(text)))
}

#[test]
fn a_reconfiguration_is_refused_before_it_is_logged() {
    let (mut solo, conn) = serving_follower(disk(1, 1, &[]), 2);
    let at = zxid(2, 1);
    let out = solo.packet(conn, Packet::with_data(Kind::PROPOSAL, at, reconfiguration(at, &[3, 4, 5])));
    assert!(is_closed(&out, conn) && has_role(&out, Role::Looking), "{out:?}");
    assert!(says(&out, "reconfigures the ensemble (to the voters 3, 4, 5 (version 200000001))"), "{out:?}");
    assert_eq!((solo.ops(), packets(&out)), (vec![], vec![]));
    // An observer that is told of it when it is decided, neither.
    let membership = Membership::parse("server.1=a:1:2\nserver.4=b:1:2:observer").unwrap();
    let rolls = Rolls::new(&membership);
    assert!(rolls.refusal(at, &reconfiguration(at, &[1])).is_some(), "whatever it changes");
    assert!(rolls.refusal(at, &txn(at)).is_none() && rolls.refusal(at, &Bytes::new()).is_none());
}

/// The others may have reconfigured and come back to the same voters: a snapshot does not say how.
#[test]
fn a_snapshot_is_asked_for_once_past_each_reconfiguration() {
    let (mut solo, mut conn, _) = promised(disk(1, 1, &[]), 2);
    let at = zxid(1, 1);
    solo.kind(conn, Kind::DIFF, at);
    let (nothing, nothing_new) = (Zxid::ZERO, Epoch(-1));
    for (last, expected) in [
        (nothing, wire::ack_epoch_for_snapshot(nothing, nothing_new)),
        (zxid(1, 0), wire::ack_epoch(zxid(1, 0), nothing_new)),
    ] {
        let out = solo.packet(conn, Packet::with_data(Kind::PROPOSAL, at, reconfiguration(at, &[1, 2, 3])));
        assert!(is_closed(&out, conn), "{out:?}");
        conn = follow_again(&mut solo, last, 1).0;
        let out = solo.packet(conn, wire::leader_info(Epoch(2)));
        assert_eq!(packets(&out), [(conn.0, expected)]);
        if last == nothing {
            solo.kind(conn, Kind::SNAP, zxid(1, 0));
            let (body, config) = (Bytes::from_static(b"tree"), Some(list(&[1, 2, 3], 1 << 32)));
            solo.step(Input::SnapshotReceived { conn, body, config });
            assert_eq!(solo.ops().len(), 1, "the same voters");
            solo.persist();
        }
    }
}

#[test]
fn a_snapshot_of_other_voters_is_not_installed() {
    for (config, taken) in [
        (Some(list(&[3, 4, 5], 7)), false),
        (Some(list(&[1, 2, 3, 4, 5], 0)), false),
        (Some(list(&[1, 2, 3, 4], 7)), false),
        (Some(list(&[1, 2, 3, 4], 0)), true),
        (Some(list(&[1, 2, 3], 7)), true),
        (None, true),
    ] {
        let (mut solo, conn, _) = promised(disk(1, 1, &[]), 2);
        solo.kind(conn, Kind::SNAP, zxid(1, 9));
        let body = Bytes::from_static(b"tree");
        let out = solo.step(Input::SnapshotReceived { conn, body, config: config.clone() });
        assert_eq!((solo.ops().len(), is_closed(&out, conn)), (usize::from(taken), !taken), "{config:?}");
        assert_eq!(says(&out, "server 3 is not followed: it goes by the voters"), !taken);
    }
}

#[test]
fn a_leader_of_other_voters_is_not_acknowledged() {
    for (config, taken) in [(list(&[3, 4, 5], 7), false), (list(&[1, 2, 3], 7), true)] {
        let (mut solo, conn, _) = promised(disk(1, 1, &[]), 2);
        solo.kind(conn, Kind::DIFF, Zxid::ZERO);
        let mut out = solo.packet(conn, Packet::with_data(Kind::NEWLEADER, Epoch(2).start(), config));
        out.extend(solo.persist());
        assert_eq!((packets(&out).len(), is_closed(&out, conn)), (usize::from(taken), !taken), "{out:?}");
    }
}

#[test]
fn who_goes_by_another_list_is_not_counted_and_that_is_told() {
    for (ids, counts) in [(&[1, 2, 3, 4, 5][..], false), (&[1, 2, 3, 4], true)] {
        // Server 3 of three; server 1 would make it a quorum.
        let mut solo = Solo::new(3, 3, 0, disk(4, 4, &[]));
        let start = solo.step(Input::Tick);
        let (conn, _) = solo.reach_peer(&start, 1);
        let n = Notification { config: Some(list(ids, 0)), ..vote(State::Looking, 3, Zxid::ZERO, 1, 4) };
        let mut out = Vec::new();
        for _ in 0..5 {
            out.extend(solo.hear(conn, &n));
            out.extend(solo.wait(300));
        }
        assert_eq!(has_role(&out, Role::Leading { serving: false }), counts, "{out:?}");
        let told =
            |output: &&Output| says(std::slice::from_ref(*output), "server 1 is not counted: it goes by");
        assert_eq!(out.iter().filter(told).count(), usize::from(!counts), "{out:?}");
        if !counts {
            let answers = |solo: &mut Solo| notifications(&solo.hear(conn, &n)).len();
            solo.wait(1000);
            assert_eq!(
                (answers(&mut solo), answers(&mut solo)),
                (1, 0),
                "it hears how things stand, once a second"
            );
            // It is started again with the list of the others, and counts.
            let out = solo.hear(conn, &Notification { config: Some(list(&[1, 2, 3], 0)), ..n });
            let out = [out, solo.wait(300)].concat();
            assert!(has_role(&out, Role::Leading { serving: false }), "{out:?}");
        }
    }
}

#[test]
fn a_leader_that_others_have_by_another_list_is_not_joined() {
    let mut solo = Solo::new(1, 3, 0, disk(4, 4, &[]));
    solo.step(Input::Tick);
    for (conn, sid, state) in [(2, 2, State::Following), (4, 3, State::Leading)] {
        solo.accept_peer(ConnId(conn), sid);
        let config = Some(list(&[2, 3, 4], 1 << 32));
        let out = solo.hear(ConnId(conn), &Notification { config, ..vote(state, 3, Zxid::ZERO, 9, 4) });
        assert_eq!(*solo.zab.role(), Role::Looking, "{out:?}");
    }
    // Nor is it voted for because somebody who goes by our list proposes it.
    let config = Some(list(&[1, 2, 3], 0));
    let out = solo.hear(ConnId(2), &Notification { config, ..vote(State::Looking, 3, zxid(9, 9), 1, 9) });
    let voted = notifications(&out).into_iter().chain(notifications(&solo.wait(1000)));
    assert!(voted.into_iter().all(|(_, n)| n.leader != ServerId(3)));
}

#[test]
fn a_leader_counts_no_learner_of_another_list_and_minds_no_version_of_the_same() {
    let (mut solo, _) = serving_leader(3, 0, disk(4, 4, &[]));
    let looking = |ids: &[i64], version| Notification {
        config: Some(list(ids, version)),
        ..vote(State::Looking, 2, Zxid::ZERO, 9, 4)
    };
    let info = LearnerInfo { sid: ServerId(2), protocol_version: PROTOCOL_VERSION, config_version: 7 };
    let join = |solo: &mut Solo, conn: u64| {
        solo.step(Input::LearnerUp { conn: ConnId(conn) });
        let packet = Packet::with_data(Kind::FOLLOWERINFO, Epoch(4).start(), info.encode());
        !is_closed(&solo.packet(ConnId(conn), packet), ConnId(conn))
    };
    // The election connection to server 2, dialled by the higher id.
    let two = ConnId(3);
    assert!(!join(&mut solo, 20), "a later config, and nobody knows which");
    solo.hear(two, &looking(&[2, 4, 5], 7));
    assert!(!join(&mut solo, 22), "other voters");
    solo.hear(two, &looking(&[1, 2, 3], 7));
    assert!(join(&mut solo, 24), "the same voters");
}
