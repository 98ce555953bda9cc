//! A leader's proof that it still leads: counted answers to PING.

use super::solo::*;
use crate::server::zab::wire::Kind;
use crate::server::zab::*;

fn ask(solo: &mut Solo) -> (u64, Vec<Output>) {
    let mut out = Vec::new();
    let round = solo.zab.confirm_leadership(solo.now_ms, &mut out);
    (round, out)
}

fn answer(solo: &mut Solo, conn: ConnId) -> Vec<Output> {
    solo.kind(conn, Kind::PING, Zxid(0))
}

#[test]
fn a_quorum_must_answer_a_ping_that_was_sent_after_the_question() {
    let (mut solo, epoch) = serving_leader(5, 0, disk(4, 4, &[]));
    // The answers to this one may be on their way already when the question comes.
    let out = solo.wait(20);
    assert_eq!([A, B].map(|conn| sent(&out, conn).len()), [1, 1]);
    let (round, out) = ask(&mut solo);
    assert_eq!([A, B].map(|conn| sent(&out, conn)), [A, B].map(|_| vec![(Kind::PING, epoch.start())]));
    assert_eq!(answer(&mut solo, A), []);
    assert_eq!(answer(&mut solo, B), []);
    assert_eq!(answer(&mut solo, A), [], "two of five");
    assert_eq!(answer(&mut solo, A), [], "answers nobody asked for count for nothing");
    assert_eq!(answer(&mut solo, B), [Output::LeadershipConfirmed { round }]);
}

#[test]
fn questions_that_come_during_a_round_share_the_next() {
    let (mut solo, _) = serving_leader(3, 0, disk(4, 4, &[]));
    let (first, _) = ask(&mut solo);
    let (second, out) = ask(&mut solo);
    assert!(second > first && out.is_empty(), "a round is under way");
    assert_eq!(ask(&mut solo).0, second);
    let out = answer(&mut solo, A);
    assert_eq!(out[0], Output::LeadershipConfirmed { round: first });
    assert_eq!(sent(&out, A).len(), 1, "the next begins");
    assert_eq!(answer(&mut solo, A), [Output::LeadershipConfirmed { round: second }]);
    assert_eq!(answer(&mut solo, A), []);
}

#[test]
fn observers_and_gated_learners_prove_nothing_and_a_new_connection_starts_anew() {
    let (mut solo, _) = serving_leader(3, 1, disk(4, 4, &[]));
    solo.learner(B, Kind::OBSERVERINFO, 4, 5);
    solo.packet(B, wire::ack_epoch(Zxid(0), Epoch(4)));
    solo.kind(B, Kind::ACK, Epoch(5).start());
    let (round, out) = ask(&mut solo);
    assert_eq!((sent(&out, A).len(), sent(&out, B).len()), (1, 0));
    assert_eq!(answer(&mut solo, B), []);
    solo.step(Input::Down { conn: A });
    // The same server again: only what it answers on this connection counts.
    let again = ConnId(14);
    solo.join_follower(again, 1, Zxid(0), 4);
    assert_eq!(answer(&mut solo, again), []);
    let out = solo.wait(20);
    assert_eq!(sent(&out, again).len(), 1);
    assert_eq!(answer(&mut solo, again), [Output::LeadershipConfirmed { round }]);
}

#[test]
fn a_single_voter_needs_nobody_and_one_that_does_not_lead_is_never_confirmed() {
    let mut solo = Solo::new(1, 1, 1, disk(0, 0, &[]));
    solo.step(Input::Tick);
    solo.persist();
    let (round, out) = ask(&mut solo);
    assert_eq!(out, [Output::LeadershipConfirmed { round }]);
    let (mut solo, _) = serving_follower(disk(4, 4, &[]), 5);
    assert_eq!(ask(&mut solo).0, u64::MAX);
}

const A: ConnId = ConnId(10);
const B: ConnId = ConnId(12);
