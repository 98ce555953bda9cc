//! The checkers of histories (`tests/check`) checked: histories known to be good and bad, and random ones against a
//! reference that tries everything.

mod contracts;
mod known;
mod random;

use crate::check::Verdict;
use crate::check::history::{Op, Outcome};

fn ok<C, R>(process: u64, call: C, (invoked, completed): (u64, u64), reply: R) -> Op<C, R> {
    Op { process, key: "k".to_owned(), call, invoked, completed, outcome: Outcome::Ok(reply) }
}

fn unknown<C, R>(process: u64, call: C, invoked: u64) -> Op<C, R> {
    Op { process, key: "k".to_owned(), call, invoked, completed: 0, outcome: Outcome::Unknown }
}

fn at<C, R>(key: &str, op: Op<C, R>) -> Op<C, R> {
    Op { key: key.to_owned(), ..op }
}

#[track_caller]
fn holds(verdict: Verdict) {
    assert_eq!(verdict, Verdict::Holds);
}

/// Broken, and for the reason that was planted.
#[track_caller]
fn broken(verdict: Verdict, why: &str) {
    match verdict {
        Verdict::Broken(found) => assert!(found.contains(why), "not for {why:?}: {found}"),
        other => panic!("{other:?}, expected: {why}"),
    }
}
