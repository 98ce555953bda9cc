//! Model: a queue, first in, first out. Every item is put once.
//!
//! A put is told its place in the order of all puts (a sequence number, a zxid): among concurrent ones the search
//! need not guess.

use std::collections::{BTreeMap, VecDeque};

use super::history::{Op, Outcome};
use super::linear::Model;

pub(crate) struct Queue;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Call {
    Put(u64),
    /// Takes whatever is first.
    Take,
    /// Takes this item, if it is first: what is left of a take whose last step was sent. It is never answered.
    TakeOf(u64),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reply {
    /// `order` grows with every put; 0: not told.
    Put {
        order: u64,
    },
    Took(u64),
    /// Nothing to take.
    Empty,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(crate) struct State {
    items: VecDeque<u64>,
    /// The highest order told so far.
    order: u64,
}

pub(crate) type QueueOp = Op<Call, Reply>;

impl Model for Queue {
    type State = State;
    type Call = Call;
    type Reply = Reply;

    fn step(state: &State, call: &Call, reply: Option<&Reply>) -> Option<State> {
        let mut next = state.clone();
        let first = state.items.front();
        let may_take = match call {
            Call::Put(_) => false,
            Call::Take => first.is_some(),
            Call::TakeOf(item) => first == Some(item),
        };
        match (call, reply) {
            (Call::Put(item), None | Some(Reply::Put { order: 0 })) => next.items.push_back(*item),
            (Call::Put(item), Some(Reply::Put { order })) if *order > state.order => {
                next.items.push_back(*item);
                next.order = *order;
            }
            (Call::Take, Some(Reply::Took(item))) if first == Some(item) => {
                next.items.pop_front();
            }
            (Call::Take | Call::TakeOf(_), None) if may_take => {
                next.items.pop_front();
            }
            (Call::Take | Call::TakeOf(_), None) => {}
            (Call::Take, Some(Reply::Empty)) if first.is_none() => {}
            _ => return None,
        }
        Some(next)
    }

    /// An item that was taken had been put by then, and by nobody else taken. One that no answer shows can only be
    /// in the way of others: that it was never put explains no less.
    fn settle(ops: Vec<QueueOp>) -> Vec<QueueOp> {
        let taken: BTreeMap<u64, u64> = ops
            .iter()
            .filter_map(|op| match op.reply() {
                Some(Reply::Took(item)) => Some((*item, op.completed)),
                _ => None,
            })
            .collect();
        let settled = ops.into_iter().filter_map(|mut op| {
            match (&op.outcome, &op.call) {
                (Outcome::Unknown, Call::Put(item)) => {
                    let completed = *taken.get(item)?;
                    // An answer before the call proves something else: the take is left to fail.
                    if completed >= op.invoked {
                        op.completed = completed;
                        op.outcome = Outcome::Ok(Reply::Put { order: 0 });
                    }
                }
                (Outcome::Unknown, Call::TakeOf(item)) if taken.contains_key(item) => return None,
                _ => {}
            }
            Some(op)
        });
        settled.collect()
    }
}
