//! The checkers that are not searches: zxids, sessions, sequence numbers, watches, ephemerals.

use std::collections::BTreeMap;

use super::{at, broken, holds, ok, unknown};
use crate::check::ephemeral::{Life, Sighting, ephemerals};
use crate::check::history::Op;
use crate::check::ids;
use crate::check::order::{real_time, session_order};
use crate::check::register::{Call, RegisterOp, Reply};
use crate::check::watch::{Step, Watcher, fan_out};

fn set(process: u64, key: &str, span: (u64, u64), zxid: u64) -> RegisterOp {
    at(key, ok(process, Call::Set { value: zxid, version: None }, span, Reply::Written { version: 1, zxid }))
}

fn get(process: u64, key: &str, span: (u64, u64), zxid: u64) -> RegisterOp {
    at(key, ok(process, Call::Get, span, Reply::Node { value: zxid, version: 1, zxid }))
}

#[test]
fn zxids_fit_real_time() {
    holds(real_time(&[set(1, "a", (0, 9), 2), set(2, "b", (0, 9), 1), get(3, "a", (10, 11), 2)]));
    holds(real_time(&[set(1, "a", (0, 1), 1), set(2, "b", (2, 3), 2), get(3, "a", (4, 5), 1)]));
    // A later write under another key is not later; one zxid for two writes; a stale read.
    broken(real_time(&[set(1, "a", (0, 1), 2), set(2, "b", (2, 3), 1)]), "no higher zxid");
    broken(real_time(&[set(1, "a", (0, 9), 2), set(2, "b", (0, 9), 2)]), "two writes have zxid");
    broken(
        real_time(&[set(1, "a", (0, 1), 1), set(1, "a", (2, 3), 2), get(3, "a", (4, 5), 1)]),
        "after sync",
    );
    broken(real_time(&[get(1, "a", (0, 1), 5), set(2, "b", (2, 3), 4)]), "no higher zxid");
}

#[test]
fn sessions_never_go_back() {
    let writes = [set(1, "a", (0, 1), 1), set(1, "a", (2, 3), 2), set(1, "b", (4, 5), 3)];
    let check = |ops: &[RegisterOp]| session_order(&[&writes, ops].concat());
    // Another session may lag behind, for as long as it likes.
    holds(check(&[get(2, "a", (10, 11), 1), get(2, "a", (12, 13), 2), get(2, "b", (14, 15), 3)]));
    holds(check(&[get(2, "a", (10, 11), 1), get(3, "a", (12, 13), 2), get(2, "a", (14, 15), 1)]));
    // Back in one znode; its own write unseen; back in another znode than the one that showed the new.
    broken(check(&[get(2, "a", (10, 11), 2), get(2, "a", (12, 13), 1)]), "went back behind 0x2");
    broken(check(&[get(1, "a", (10, 11), 1)]), "went back behind 0x2");
    broken(check(&[get(2, "b", (10, 11), 3), get(2, "a", (12, 13), 1)]), "went back behind 0x2");
    broken(check(&[get(2, "b", (10, 11), 3), set(2, "c", (12, 13), 3)]), "went back behind 0x3");
}

#[test]
fn numbers_are_given_once() {
    let id = |process, span, number: u64| -> Op<(), u64> { ok(process, (), span, number) };
    holds(ids::unique(&[id(1, (0, 9), 2), id(2, (0, 9), 1), unknown(3, (), 0), id(3, (10, 11), 4)]));
    holds(ids::unique(&[id(1, (0, 1), 1), at("l", id(1, (2, 3), 1))]));
    broken(ids::unique(&[id(1, (0, 9), 1), id(2, (0, 9), 1)]), "1 was given twice");
    broken(ids::unique(&[id(1, (0, 1), 2), id(2, (2, 3), 1)]), "went backwards");
}

fn armed(zxid: u64) -> Step {
    Step::Armed { key: "k".to_owned(), zxid }
}

fn fired(zxid: u64) -> Step {
    Step::Fired { key: "k".to_owned(), zxid: Some(zxid).filter(|zxid| *zxid != 0) }
}

fn saw(zxid: u64) -> Step {
    Step::Saw { key: "k".to_owned(), zxid }
}

#[test]
fn watches_fire_once() {
    let changes = BTreeMap::from([("k".to_owned(), [2, 4, 6].into())]);
    let watcher = |steps: &[Step]| Watcher { session: 1, steps: steps.to_vec(), ended: false };
    let check = |steps: &[Step]| fan_out(&[watcher(steps)], &changes);
    holds(check(&[armed(2), fired(4), armed(4), fired(6), saw(6)]));
    // Caught up after a reconnect: one event for several changes, without a zxid; one watch left twice.
    holds(check(&[armed(2), fired(0), armed(6)]));
    holds(check(&[armed(2), armed(2), fired(4), saw(4)]));
    holds(fan_out(&[Watcher { ended: true, ..watcher(&[armed(2)]) }], &changes));
    broken(check(&[armed(2)]), "never fired");
    broken(check(&[armed(2), fired(4), armed(4)]), "never fired");
    broken(check(&[armed(2), fired(4), fired(4)]), "no watch was left");
    broken(check(&[armed(2), saw(4), fired(4)]), "before the event");
    broken(check(&[armed(2), armed(4), fired(6)]), "before the event");
    broken(check(&[armed(2), fired(6)]), "not for 0x4 before it");
    broken(check(&[armed(2), fired(2)]), "was known before");
    broken(check(&[armed(6), fired(0), saw(6)]), "nothing has changed");
    broken(check(&[fired(2)]), "no watch was left");
}

#[test]
fn ephemerals_live_as_long_as_their_sessions() {
    let life =
        Life { key: "k".into(), session: 1, created: 10, alive_until: 50, deleted: None, over: Some(70) };
    let sighting = |invoked, completed, owner| Sighting { key: "k".into(), invoked, completed, owner };
    let check = |sighting| ephemerals(std::slice::from_ref(&life), &[sighting]);
    for (invoked, completed, owner) in [
        (5, 12, None),
        (20, 30, Some(1)),
        (45, 55, None),
        (60, 61, Some(1)),
        (60, 61, None),
        (65, 80, Some(1)),
        (80, 81, None),
        (80, 81, Some(2)),
    ] {
        holds(check(sighting(invoked, completed, owner)));
    }
    broken(check(sighting(20, 30, None)), "gone before its session");
    broken(check(sighting(20, 30, Some(2))), "gone before its session");
    broken(check(sighting(71, 72, Some(1))), "outlives its session");
    let deleted = Life { deleted: Some(25), ..life };
    holds(ephemerals(&[deleted], &[sighting(20, 30, None)]));
}
