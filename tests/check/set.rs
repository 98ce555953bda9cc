//! Model: a set that only grows, with reads of all members. Every element is added once.

use std::collections::{BTreeMap, BTreeSet};

use super::history::{Op, Outcome};
use super::linear::Model;

pub(crate) struct GrowingSet;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Call {
    Add(u64),
    Read,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reply {
    Added,
    Members(BTreeSet<u64>),
}

pub(crate) type SetOp = Op<Call, Reply>;

impl Model for GrowingSet {
    type State = BTreeSet<u64>;
    type Call = Call;
    type Reply = Reply;

    fn step(state: &BTreeSet<u64>, call: &Call, reply: Option<&Reply>) -> Option<BTreeSet<u64>> {
        match (call, reply) {
            (Call::Add(element), Some(Reply::Added) | None) => {
                let mut next = state.clone();
                (next.insert(*element) || reply.is_none()).then_some(next)
            }
            (Call::Read, Some(Reply::Members(members))) => (members == state).then(|| state.clone()),
            (Call::Read, None) => Some(state.clone()),
            _ => None,
        }
    }

    /// An element that was read had been added by then; one that was never read need not have been.
    fn settle(ops: Vec<SetOp>) -> Vec<SetOp> {
        let mut seen: BTreeMap<u64, u64> = BTreeMap::new();
        for op in &ops {
            if let Some(Reply::Members(members)) = op.reply() {
                for element in members {
                    let first = seen.entry(*element).or_insert(u64::MAX);
                    *first = op.completed.min(*first);
                }
            }
        }
        let settled = ops.into_iter().filter_map(|mut op| {
            if op.outcome == Outcome::Unknown {
                let Call::Add(element) = op.call else { return None };
                op.completed = *seen.get(&element)?;
                // An answer before the call proves something else: the read is left to fail.
                if op.completed >= op.invoked {
                    op.outcome = Outcome::Ok(Reply::Added);
                }
            }
            Some(op)
        });
        settled.collect()
    }
}
