//! Sequence numbers: never given twice, and of two calls one after the other the later one gets the higher.

use std::collections::BTreeMap;
use std::fmt::Debug;

use super::Verdict;
use super::history::{Mark, Op, by_key, disorder};

/// The answers are the numbers; each key counts for itself.
pub(crate) fn unique<C: Debug>(history: &[Op<C, u64>]) -> Verdict {
    let broken = by_key(history).into_values().find_map(|ops| {
        let given: Vec<(&Op<C, u64>, u64)> =
            ops.into_iter().filter_map(|op| Some((op, *op.reply()?))).collect();
        twice(&given).or_else(|| backwards(&given))
    });
    Verdict::of(broken)
}

fn twice<C: Debug>(given: &[(&Op<C, u64>, u64)]) -> Option<String> {
    let mut first = BTreeMap::new();
    given.iter().find_map(|(op, number)| {
        first.insert(number, op).map(|before| format!("{number} was given twice:\n  {before:?}\n  {op:?}"))
    })
}

fn backwards<C: Debug>(given: &[(&Op<C, u64>, u64)]) -> Option<String> {
    let marks: Vec<Mark> = given
        .iter()
        .map(|(op, number)| Mark { invoked: op.invoked, completed: op.completed, number: *number, new: true })
        .collect();
    disorder(&marks).map(|(earlier, later)| {
        format!("numbers went backwards:\n  {:?}\n  {:?}", given[earlier].0, given[later].0)
    })
}
