//! A history: every call that clients made, when, and what came of it. Not here: how it is recorded.

use std::collections::BTreeMap;
use std::fmt;

/// One call of one client.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Op<C, R> {
    /// Who called: one number per session.
    pub(crate) process: u64,
    /// What is independent of everything under another key: a path, a queue, a lock.
    pub(crate) key: String,
    pub(crate) call: C,
    pub(crate) invoked: u64,
    /// When the caller heard; means nothing for [`Outcome::Unknown`].
    pub(crate) completed: u64,
    pub(crate) outcome: Outcome<R>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome<R> {
    /// An answer, refusals included: `BadVersion` tells something about the state.
    Ok(R),
    /// Certainly without effect, and nothing learnt: never sent.
    Failed,
    /// Connection loss or timeout: it may have happened, may happen at any later time, or never.
    Unknown,
}

impl<C, R> Op<C, R> {
    pub(crate) fn reply(&self) -> Option<&R> {
        match &self.outcome {
            Outcome::Ok(reply) => Some(reply),
            Outcome::Failed | Outcome::Unknown => None,
        }
    }

    /// It had ended when the other began.
    pub(crate) fn precedes(&self, other: &Op<C, R>) -> bool {
        self.reply().is_some() && self.completed < other.invoked
    }
}

/// `3: Set(7) at 100..=120 -> Ok(…)`
impl<C: fmt::Debug, R: fmt::Debug> fmt::Debug for Op<C, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Op { process, key, call, invoked, completed, outcome } = self;
        match outcome {
            Outcome::Ok(reply) => {
                write!(f, "{process}: {key} {call:?} at {invoked}..={completed} -> {reply:?}")
            }
            Outcome::Failed => write!(f, "{process}: {key} {call:?} at {invoked} failed"),
            Outcome::Unknown => write!(f, "{process}: {key} {call:?} at {invoked}.. unknown"),
        }
    }
}

/// The operations of each key, in their order.
pub(crate) fn by_key<C, R>(history: &[Op<C, R>]) -> BTreeMap<&str, Vec<&Op<C, R>>> {
    let mut keys: BTreeMap<&str, Vec<&Op<C, R>>> = BTreeMap::new();
    for op in history {
        keys.entry(&op.key).or_default().push(op);
    }
    keys
}

/// A number that an operation was given, and when: the material of [`disorder`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mark {
    pub(crate) invoked: u64,
    pub(crate) completed: u64,
    pub(crate) number: u64,
    /// Whether the number is new with this operation (a write), so that it must be above all before it; what
    /// only looks (a read) may find the number of what came before.
    pub(crate) new: bool,
}

/// The first pair, as places in `marks`, of which the one had ended before the other began and yet has the
/// higher number, or the same one although the later is new.
pub(crate) fn disorder(marks: &[Mark]) -> Option<(usize, usize)> {
    let mut by_begin: Vec<usize> = (0..marks.len()).collect();
    by_begin.sort_by_key(|at| marks[*at].invoked);
    let mut by_end: Vec<usize> = (0..marks.len()).collect();
    by_end.sort_by_key(|at| marks[*at].completed);
    let mut ended = by_end.into_iter().peekable();
    let mut highest: Option<usize> = None;
    for later in by_begin {
        while let Some(at) = ended.next_if(|at| marks[*at].completed < marks[later].invoked) {
            if highest.is_none_or(|highest| marks[at].number > marks[highest].number) {
                highest = Some(at);
            }
        }
        if let Some(earlier) = highest {
            let (was, is) = (marks[earlier].number, marks[later].number);
            if was > is || was == is && marks[later].new {
                return Some((earlier, later));
            }
        }
    }
    None
}
