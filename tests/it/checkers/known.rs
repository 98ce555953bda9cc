//! Linearizability: histories known to be good and bad, by model.

use std::collections::BTreeSet;

use super::{at, broken, holds, ok, unknown};
use crate::check::Verdict;
use crate::check::linear::{STEPS_MAX, linearizable};
use crate::check::lock::{self, Lock, LockOp};
use crate::check::queue::{self, Queue, QueueOp};
use crate::check::register::{self, Register, RegisterOp};
use crate::check::set::{self, GrowingSet, SetOp};

const BAD: &str = "not linearizable";

fn register(history: &[RegisterOp]) -> Verdict {
    linearizable::<Register>(history, STEPS_MAX)
}

fn create(process: u64, value: u64, span: (u64, u64), zxid: u64) -> RegisterOp {
    ok(process, register::Call::Create { value }, span, register::Reply::Written { version: 0, zxid })
}

fn set(process: u64, value: u64, span: (u64, u64), version: i32, zxid: u64) -> RegisterOp {
    let call = register::Call::Set { value, version: None };
    ok(process, call, span, register::Reply::Written { version, zxid })
}

fn cas(process: u64, value: u64, from: i32, span: (u64, u64), zxid: u64) -> RegisterOp {
    let call = register::Call::Set { value, version: Some(from) };
    ok(process, call, span, register::Reply::Written { version: from + 1, zxid })
}

fn get(process: u64, span: (u64, u64), value: u64, version: i32, zxid: u64) -> RegisterOp {
    ok(process, register::Call::Get, span, register::Reply::Node { value, version, zxid })
}

fn delete(process: u64, span: (u64, u64)) -> RegisterOp {
    ok(process, register::Call::Delete { version: None }, span, register::Reply::Deleted)
}

fn lost_set(process: u64, value: u64, invoked: u64) -> RegisterOp {
    unknown(process, register::Call::Set { value, version: None }, invoked)
}

#[test]
fn good_registers() {
    holds(register(&[]));
    let base = create(1, 1, (0, 1), 1);
    // Concurrent operations in any order.
    holds(register(&[
        base.clone(),
        set(1, 2, (2, 9), 2, 3),
        set(2, 3, (2, 9), 1, 2),
        get(3, (2, 9), 1, 0, 1),
    ]));
    // What nobody heard of: took effect late, or never, or unseen but counted in the version.
    holds(register(&[base.clone(), lost_set(1, 2, 2), get(2, (3, 4), 1, 0, 1), get(2, (5, 6), 2, 1, 5)]));
    holds(register(&[base.clone(), lost_set(1, 2, 2), get(2, (3, 4), 1, 0, 1), get(2, (5, 6), 1, 0, 1)]));
    holds(register(&[base.clone(), lost_set(1, 2, 2), set(2, 3, (3, 4), 2, 7)]));
    // Refusals, a second life, and equal times, which are concurrent.
    let refused = register::Call::Set { value: 9, version: Some(4) };
    holds(register(&[base.clone(), ok(2, refused, (2, 3), register::Reply::BadVersion)]));
    holds(register(&[base.clone(), delete(1, (2, 3)), create(2, 2, (4, 5), 6), get(1, (6, 7), 2, 0, 6)]));
    holds(register(&[base.clone(), set(1, 2, (2, 5), 1, 2), get(2, (5, 6), 1, 0, 1)]));
    holds(register(&[base, at("other", get(2, (0, 1), 1, 0, 1)), at("other", create(1, 1, (0, 1), 1))]));
}

#[test]
fn bad_registers() {
    let base = create(1, 1, (0, 1), 1);
    let check = |ops: &[RegisterOp]| {
        broken(register(&[std::slice::from_ref(&base), ops].concat()), BAD);
    };
    // A write lost: acknowledged, then not there, by value and by version.
    check(&[set(1, 2, (2, 3), 1, 2), get(2, (4, 5), 1, 0, 1)]);
    check(&[set(1, 2, (2, 3), 1, 2), set(2, 3, (4, 5), 1, 3)]);
    // A stale read although another had seen the new value.
    check(&[set(1, 2, (2, 20), 1, 2), get(2, (3, 4), 2, 1, 2), get(3, (5, 6), 1, 0, 1)]);
    // Read from the future, by an answered and by an unanswered write.
    check(&[get(2, (2, 3), 2, 1, 2), set(1, 2, (4, 5), 1, 2)]);
    check(&[get(2, (2, 3), 2, 1, 2), lost_set(1, 2, 4)]);
    // A value that nobody wrote; the right value at another version, or with another zxid.
    check(&[get(2, (2, 3), 7, 0, 1)]);
    check(&[get(2, (2, 3), 1, 1, 1)]);
    check(&[get(2, (2, 3), 1, 0, 4)]);
    // Two writers won with the same version; a refusal without reason.
    check(&[cas(1, 2, 0, (2, 9), 2), cas(2, 3, 0, (2, 9), 3)]);
    let refused = register::Call::Set { value: 9, version: Some(0) };
    check(&[ok(2, refused, (2, 3), register::Reply::BadVersion)]);
    // Reordered: the later write has the lower zxid.
    check(&[set(1, 2, (2, 3), 1, 9), set(1, 3, (4, 5), 2, 8)]);
    // Created over an existing one; deleted and still there; gone without a delete.
    check(&[create(2, 2, (2, 3), 2)]);
    check(&[delete(1, (2, 3)), get(2, (4, 5), 1, 0, 1)]);
    check(&[ok(2, register::Call::Get, (2, 3), register::Reply::NoNode)]);
    // One lost write happened twice: before and after another value.
    check(&[lost_set(1, 2, 2), get(2, (3, 4), 2, 1, 2), set(2, 3, (5, 6), 2, 3), get(2, (7, 8), 2, 3, 4)]);
    // A version moved on without any write to move it.
    check(&[set(2, 3, (3, 4), 2, 7), lost_set(1, 2, 5)]);
}

#[test]
fn a_violation_is_told_with_the_operations_that_prove_it() {
    let history = [create(1, 1, (0, 1), 1), set(1, 2, (2, 3), 1, 2), get(2, (4, 5), 1, 0, 1)];
    broken(register(&history), "after 2 of 3 answered operations");
    broken(register(&history), "2: k Get at 4..=5 -> Node { value: 1, version: 0, zxid: 1 }");
}

#[test]
fn a_search_that_is_given_up_is_no_pass() {
    let adds = |n: u64| ok(n, set::Call::Add(n), (0, 100), set::Reply::Added);
    let mut history: Vec<SetOp> = (1..=40).map(adds).collect();
    history.push(ok(50, set::Call::Read, (0, 100), set::Reply::Members((1..=20).chain([99]).collect())));
    assert!(matches!(linearizable::<GrowingSet>(&history, 10_000), Verdict::Undecided(_)));
    // But a violation elsewhere is one.
    history.push(at("l", ok(50, set::Call::Read, (0, 1), set::Reply::Members([7].into()))));
    broken(linearizable::<GrowingSet>(&history, 10_000), BAD);
}

#[test]
fn sets() {
    let add = |n: u64, span| ok(n, set::Call::Add(n), span, set::Reply::Added);
    let lost = |n: u64, invoked| unknown(n, set::Call::Add(n), invoked);
    let read = |span, members: &[u64]| {
        ok(9, set::Call::Read, span, set::Reply::Members(members.iter().copied().collect::<BTreeSet<_>>()))
    };
    let check = |history: &[SetOp]| linearizable::<GrowingSet>(history, STEPS_MAX);
    holds(check(&[add(1, (0, 9)), add(2, (0, 9)), read((1, 2), &[2]), read((3, 4), &[1, 2])]));
    holds(check(&[add(1, (0, 1)), lost(2, 0), lost(3, 0), read((2, 3), &[1]), read((4, 5), &[1, 3])]));
    // Lost; never added; added later; forgotten again.
    broken(check(&[add(1, (0, 1)), read((2, 3), &[])]), BAD);
    broken(check(&[add(1, (0, 1)), read((2, 3), &[1, 7])]), BAD);
    broken(check(&[read((0, 1), &[2]), lost(2, 2)]), BAD);
    broken(check(&[lost(1, 0), read((1, 2), &[1]), read((3, 4), &[])]), BAD);
    // Two readers disagree on what came first; the second add without the first, which was over before it.
    broken(check(&[add(1, (0, 9)), add(2, (0, 9)), read((1, 8), &[1]), read((1, 8), &[2])]), BAD);
    broken(check(&[add(1, (0, 1)), add(2, (2, 3)), read((0, 9), &[2])]), BAD);
}

#[test]
fn queues() {
    let put = |n: u64, span| ok(1, queue::Call::Put(n), span, queue::Reply::Put { order: n });
    let lost_put = |n: u64, invoked| unknown(1, queue::Call::Put(n), invoked);
    let took = |n: u64, span| ok(2, queue::Call::Take, span, queue::Reply::Took(n));
    let lost_take = |invoked| unknown(3, queue::Call::Take, invoked);
    let empty = |span| ok(2, queue::Call::Take, span, queue::Reply::Empty);
    let check = |history: &[QueueOp]| linearizable::<Queue>(history, STEPS_MAX);
    holds(check(&[put(1, (0, 1)), put(2, (2, 3)), took(1, (4, 5)), took(2, (6, 7)), empty((8, 9))]));
    holds(check(&[put(1, (0, 1)), put(2, (2, 3)), lost_take(3), took(2, (6, 7))]));
    holds(check(&[lost_put(1, 0), put(2, (2, 3)), took(2, (4, 5)), took(1, (6, 7))]));
    holds(check(&[lost_put(1, 0), lost_put(3, 0), put(2, (2, 3)), took(2, (4, 5)), empty((6, 7))]));
    // Taken twice; out of order; never put; before it was put; empty although something is there; lost.
    broken(check(&[put(1, (0, 1)), took(1, (2, 3)), took(1, (4, 5))]), BAD);
    broken(check(&[put(1, (0, 1)), put(2, (2, 3)), took(2, (4, 5))]), BAD);
    broken(check(&[put(1, (0, 1)), took(7, (2, 3))]), BAD);
    broken(check(&[took(1, (0, 1)), lost_put(1, 2)]), BAD);
    broken(check(&[put(1, (0, 1)), empty((2, 3))]), BAD);
    broken(check(&[put(1, (0, 1)), put(2, (2, 3)), took(1, (4, 5)), empty((6, 7)), took(2, (8, 9))]), BAD);
    // A take of which only the last answer is lost took that item or none; puts are in the order they were told.
    let lost_take_of = |n: u64, invoked| unknown(3, queue::Call::TakeOf(n), invoked);
    holds(check(&[put(1, (0, 1)), put(2, (2, 3)), lost_take_of(1, 3), took(2, (6, 7))]));
    broken(check(&[put(1, (0, 1)), put(2, (2, 3)), lost_take_of(2, 3), took(2, (6, 7))]), BAD);
    holds(check(&[put(2, (0, 9)), put(1, (0, 9)), took(1, (10, 11))]));
    broken(check(&[put(2, (0, 9)), put(1, (0, 9)), took(2, (10, 11))]), BAD);
    // One lost take cannot have taken two.
    broken(check(&[put(1, (0, 1)), put(2, (2, 3)), put(3, (4, 5)), lost_take(5), took(3, (6, 7))]), BAD);
}

#[test]
fn locks() {
    let acquire = |session, span, got| ok(session, lock::Call::Acquire(session), span, got);
    let release = |session, span, held| ok(session, lock::Call::Release(session), span, held);
    let expiry = |session, from| unknown(session, lock::Call::End(session), from);
    let check = |history: &[LockOp]| linearizable::<Lock>(history, STEPS_MAX);
    holds(check(&[acquire(1, (0, 1), true), acquire(2, (2, 3), false), release(1, (4, 5), true)]));
    holds(check(&[
        acquire(1, (0, 1), true),
        expiry(1, 2),
        acquire(2, (5, 6), true),
        release(1, (7, 8), false),
    ]));
    holds(check(&[unknown(1, lock::Call::Acquire(1), 0), acquire(2, (2, 3), false)]));
    // Two holders; refused with nobody holding; granted before the holder could have expired; lost while held.
    broken(check(&[acquire(1, (0, 1), true), acquire(2, (2, 3), true)]), BAD);
    broken(check(&[acquire(1, (0, 1), true), acquire(2, (2, 3), true), release(1, (4, 5), true)]), BAD);
    broken(check(&[acquire(2, (2, 3), false)]), BAD);
    broken(check(&[acquire(1, (0, 1), true), acquire(2, (2, 3), true), expiry(1, 4)]), BAD);
    broken(check(&[acquire(1, (0, 1), true), release(1, (2, 3), false)]), BAD);
}
