//! Model: a queue, first in, first out. Every item is put once, and none is [`UNSEEN`].

use std::collections::{BTreeMap, VecDeque};

use super::{
    history::{Op, Outcome},
    linear::Model,
};

/// Stands for all items that nobody is known to have taken.
pub(crate) const UNSEEN: u64 = u64::MAX;

pub(crate) struct Queue;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Call {
    Put(u64),
    Take,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reply {
    Put,
    Took(u64),
    Empty,
}

pub(crate) type QueueOp = Op<Call, Reply>;

impl Model for Queue {
    type State = VecDeque<u64>;
    type Call = Call;
    type Reply = Reply;

    fn step(state: &VecDeque<u64>, call: &Call, reply: Option<&Reply>) -> Option<VecDeque<u64>> {
        let mut next = state.clone();
        match (call, reply) {
            (Call::Put(item), Some(Reply::Put) | None) => next.push_back(*item),
            (Call::Take, Some(Reply::Took(item))) => {
                next.pop_front().filter(|first| first == item)?;
            }
            (Call::Take, Some(Reply::Empty)) if state.is_empty() => {}
            (Call::Take, None) => drop(next.pop_front()),
            _ => return None,
        }
        Some(next)
    }

    /// An item that was taken had been put by then; the others whose putting is unknown are all alike.
    fn settle(mut ops: Vec<QueueOp>) -> Vec<QueueOp> {
        let taken: BTreeMap<u64, u64> = ops
            .iter()
            .filter_map(|op| match op.reply() {
                Some(Reply::Took(item)) => Some((*item, op.completed)),
                _ => None,
            })
            .collect();
        for op in ops.iter_mut().filter(|op| op.outcome == Outcome::Unknown) {
            let Call::Put(item) = op.call else { continue };
            match taken.get(&item) {
                // An answer before the call proves something else: the take is left to fail.
                Some(completed) if *completed < op.invoked => {}
                Some(completed) => {
                    op.completed = *completed;
                    op.outcome = Outcome::Ok(Reply::Put);
                }
                None => op.call = Call::Put(UNSEEN),
            }
        }
        ops
    }
}
