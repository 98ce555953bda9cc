//! One connection's unanswered requests, in order (client-protocol §1.8): a write holds back the later requests of
//! its own connection until it is applied. What a request says, and how it is answered, is not known here.

use std::collections::VecDeque;

use super::bent;
use crate::wire::jute::Str;
use crate::wire::proto::{ErrorCode, OpCode, Request};

/// One unanswered request.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) xid: i32,
    pub(super) op: OpCode,
    pub(super) since_ms: u64,
    pub(super) what: Waiting,
}

/// What an unanswered request waits for.
#[derive(Debug)]
pub(super) enum Waiting {
    /// Its transaction to be applied here. `None` is a request that could not be read.
    Commit(Option<Box<Request>>),
    /// The leader's word that all it had proposed is on its way, then those transactions (§2.9).
    Sync { path: Str },
    /// Only the requests before it.
    Turn(Request),
    /// Only the requests before it; the outcome is known.
    Refusal(ErrorCode),
}

/// The requests of one connection. Its head is the next to be answered, always.
#[derive(Debug, Default)]
pub(super) struct Queue {
    pending: VecDeque<Pending>,
    /// How many of them wait for those before them only: they are answered all at once.
    turns: usize,
}

impl Queue {
    /// Takes a request that waits for its turn only. It comes back when that is now.
    pub(super) fn take_turn(&mut self, pending: Pending) -> Option<Pending> {
        if self.is_turn() {
            return Some(pending);
        }
        self.pending.push_back(pending);
        self.turns += 1;
        None
    }

    /// Takes a request that waits for something else, too.
    pub(super) fn hold(&mut self, pending: Pending) {
        self.pending.push_back(pending);
    }

    /// The head, if nothing else stands before its answer.
    pub(super) fn next_turn(&mut self) -> Option<Pending> {
        let is_next = matches!(self.pending.front()?.what, Waiting::Turn(_) | Waiting::Refusal(_));
        self.turns -= usize::from(is_next);
        is_next.then(|| self.pending.pop_front())?
    }

    /// A transaction of this connection was applied: the head, if it is the write that waited for it.
    pub(super) fn committed(&mut self, xid: i32) -> Option<Pending> {
        let head = self.pending.front()?;
        let waited = head.xid == xid && matches!(head.what, Waiting::Commit(_));
        waited.then(|| self.pending.pop_front())?
    }

    /// The first sync has been granted. A write before it may still wait for room at the leader: then it is
    /// only that write's turn that the sync waits for.
    pub(super) fn grant_sync(&mut self) {
        let sync = self.pending.iter_mut().find(|pending| matches!(pending.what, Waiting::Sync { .. }));
        if let Some(pending) = sync
            && let Waiting::Sync { path } = &pending.what
        {
            pending.what = Waiting::Turn(Request::Sync { path: path.clone() });
            self.turns += 1;
        }
    }

    /// Whether so many requests stand here already that those behind must wait outside.
    pub(super) fn is_long(&self) -> bool {
        self.turns >= TURNS_MAX
    }

    pub(super) fn len(&self) -> usize {
        self.pending.len()
    }

    /// Nobody is there any more to be answered; how many were not.
    pub(super) fn clear(&mut self) -> usize {
        std::mem::take(self).len()
    }

    /// Whether a request that comes now has nothing before it.
    fn is_turn(&self) -> bool {
        if let Some(bent) = bent::is_turn() {
            return bent;
        }
        self.pending.is_empty()
    }
}

/// Requests that may stand behind a write and be answered with it: what they come to at most is owed at once.
const TURNS_MAX: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    fn pending(xid: i32, what: Waiting) -> Pending {
        Pending { xid, op: OpCode::Ping, since_ms: 0, what }
    }

    fn turn(xid: i32) -> Pending {
        pending(xid, Waiting::Turn(Request::Ping))
    }

    fn drained(queue: &mut Queue) -> Vec<i32> {
        std::iter::from_fn(|| queue.next_turn()).map(|pending| pending.xid).collect()
    }

    #[test]
    fn a_request_is_answered_at_once_when_nothing_stands_before_it() {
        let mut queue = Queue::default();
        assert_eq!(queue.take_turn(turn(1)).map(|pending| pending.xid), Some(1));
        assert_eq!(queue.len(), 0);
    }

    #[test]
    fn what_stands_behind_a_write_comes_when_the_write_is_applied_and_in_order() {
        let mut queue = Queue::default();
        queue.hold(pending(1, Waiting::Commit(None)));
        assert!(queue.take_turn(turn(2)).is_none());
        assert!(queue.take_turn(pending(3, Waiting::Refusal(ErrorCode::BadArguments))).is_none());
        queue.hold(pending(4, Waiting::Commit(None)));
        assert!(queue.take_turn(turn(5)).is_none());
        assert!(drained(&mut queue).is_empty());
        assert!(queue.committed(4).is_none(), "the write before it is not answered");
        assert_eq!(queue.committed(1).map(|pending| pending.xid), Some(1));
        assert_eq!(drained(&mut queue), [2, 3]);
        assert_eq!(queue.committed(4).map(|pending| pending.xid), Some(4));
        assert_eq!(drained(&mut queue), [5]);
    }

    #[test]
    fn a_queue_is_long_by_what_is_answered_at_once() {
        let mut queue = Queue::default();
        (0..100).for_each(|xid| queue.hold(pending(xid, Waiting::Commit(None))));
        assert!(!queue.is_long(), "writes are answered one by one");
        (0..32).for_each(|xid| assert!(queue.take_turn(turn(xid)).is_none()));
        assert!(queue.is_long());
        (0..100).for_each(|xid| assert!(queue.committed(xid).is_some()));
        assert!(queue.next_turn().is_some() && !queue.is_long());
        assert_eq!((queue.clear(), queue.is_long()), (31, false));
    }

    #[test]
    fn a_sync_that_is_granted_still_waits_for_its_turn() {
        let sync = || Waiting::Sync { path: "/".into() };
        let mut queue = Queue::default();
        queue.hold(pending(1, Waiting::Commit(None)));
        queue.hold(pending(2, sync()));
        queue.hold(pending(3, sync()));
        queue.grant_sync();
        assert!(drained(&mut queue).is_empty());
        assert!(queue.committed(1).is_some());
        assert_eq!(drained(&mut queue), [2], "the second sync has not been granted");
        queue.grant_sync();
        assert_eq!(drained(&mut queue), [3]);
    }
}
