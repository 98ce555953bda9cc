//! Linearizability: is there one order of all operations, each at some moment between its call and its answer,
//! in which a [`Model`] gives exactly these answers?
//!
//! Wing and Gong's search (1993) with Lowe's memory of what was tried (2017): depth first, never twice into the
//! same (set of operations done, state). Keys are searched one by one, which is sound because linearizability is
//! local (Herlihy and Wing 1990). An operation of unknown outcome may come at any moment after its call, or never.
//! Two things keep many of them cheap: of equal calls the earliest is taken first (it can stand wherever the later
//! one can), and a model may [settle](Model::settle) those whose effect was seen.

use std::collections::HashSet;
use std::fmt::Debug;
use std::hash::Hash;

use super::Verdict;
use super::history::{Op, Outcome, by_key};

/// A sequential object.
pub(crate) trait Model {
    type State: Clone + Default + Eq + Hash + Debug;
    type Call: Clone + Eq + Debug;
    type Reply: Clone + Debug;

    /// The state after `call`; `None` if it cannot answer `reply` here. Without a reply nobody was told, and
    /// every call is possible, with whatever effect it has in this state.
    fn step(state: &Self::State, call: &Self::Call, reply: Option<&Self::Reply>) -> Option<Self::State>;

    /// Replaces operations of unknown outcome of one key by what other operations prove about them, and drops
    /// those that can make no difference. Must not change the verdict.
    fn settle(ops: Vec<Operation<Self>>) -> Vec<Operation<Self>> {
        ops
    }
}

pub(crate) type Operation<M> = Op<<M as Model>::Call, <M as Model>::Reply>;

/// Steps after which a search gives up: a second or so, a thousand times what a sound history needs.
pub(crate) const STEPS_MAX: u64 = 2_000_000;

/// Checks a history of writes and of reads after `sync`, from the initial state.
pub(crate) fn linearizable<M: Model>(history: &[Operation<M>], steps_max: u64) -> Verdict {
    let mut steps = Steps { taken: 0, max: steps_max };
    let mut undecided = None;
    for (key, ops) in by_key(history) {
        let ops = M::settle(ops.into_iter().cloned().collect());
        match Search::<M>::new(&ops).run(&mut steps) {
            Found::Order => {}
            // A violation under another key outweighs a search that was given up.
            Found::None(why) => return Verdict::Broken(format!("{key}: {why}")),
            Found::Nothing => {
                undecided = Some(format!("{key}: no verdict after {} steps", steps.taken));
                steps.taken = 0;
            }
        }
    }
    undecided.map_or(Verdict::Holds, Verdict::Undecided)
}

struct Steps {
    taken: u64,
    max: u64,
}

enum Found {
    Order,
    None(String),
    /// The steps ran out.
    Nothing,
}

/// The search over one key. `sure` have answers and must all find a place; `unsure` may.
struct Search<'a, M: Model> {
    sure: Vec<&'a Operation<M>>,
    unsure: Vec<&'a Operation<M>>,
    /// For each unsure operation the one before it with an equal call.
    twin: Vec<Option<usize>>,
    /// Which are done: `sure` first, then `unsure`.
    done: Vec<u64>,
    seen: HashSet<(Vec<u64>, M::State)>,
}

struct Frame<S> {
    state: S,
    /// What may come next, in the order to try, as places in `sure` then `unsure`.
    next: Vec<usize>,
    tried: usize,
    /// No sure operation before this place is open.
    open_from: usize,
}

impl<'a, M: Model> Search<'a, M> {
    fn new(ops: &'a [Operation<M>]) -> Search<'a, M> {
        let mut sure: Vec<_> = ops.iter().filter(|op| op.reply().is_some()).collect();
        let mut unsure: Vec<_> = ops.iter().filter(|op| matches!(op.outcome, Outcome::Unknown)).collect();
        sure.sort_by_key(|op| op.invoked);
        unsure.sort_by_key(|op| op.invoked);
        let twin =
            (0..unsure.len()).map(|at| (0..at).rev().find(|before| unsure[*before].call == unsure[at].call));
        let twin = twin.collect();
        let done = vec![0; (sure.len() + unsure.len()).div_ceil(64)];
        Search { sure, unsure, twin, done, seen: HashSet::new() }
    }

    fn run(mut self, steps: &mut Steps) -> Found {
        let mut frames = vec![self.frame(M::State::default(), 0)];
        let mut furthest: Option<(usize, String)> = None;
        while let Some(depth) = frames.len().checked_sub(1) {
            let frame = &mut frames[depth];
            if frame.next.is_empty() && self.is_complete() {
                return Found::Order;
            }
            let Some(at) = frame.next.get(frame.tried).copied() else {
                if furthest.as_ref().is_none_or(|(deepest, _)| depth > *deepest) {
                    furthest = Some((depth, self.describe(&frames[depth])));
                }
                frames.pop();
                if let Some(parent) = frames.last() {
                    self.flip(parent.next[parent.tried - 1]);
                }
                continue;
            };
            frame.tried += 1;
            steps.taken += 1;
            if steps.taken > steps.max {
                return Found::Nothing;
            }
            let Some(state) = self.step(&frame.state, at) else { continue };
            let open_from = frame.open_from;
            self.flip(at);
            if self.seen.insert((self.done.clone(), state.clone())) {
                frames.push(self.frame(state, open_from));
            } else {
                self.flip(at);
            }
        }
        Found::None(furthest.map_or_else(String::new, |(_, why)| why))
    }

    fn step(&self, state: &M::State, at: usize) -> Option<M::State> {
        match self.sure.get(at) {
            Some(op) => M::step(state, &op.call, op.reply()),
            // One without effect need not happen at all.
            None => M::step(state, &self.unsure[at - self.sure.len()].call, None).filter(|new| new != state),
        }
    }

    /// What may come next: all that was called before the first open answer.
    fn frame(&self, state: M::State, open_from: usize) -> Frame<M::State> {
        let open_from = (open_from..self.sure.len()).find(|at| !self.is_done(*at)).unwrap_or(self.sure.len());
        let mut first_answer = u64::MAX;
        let mut next = Vec::new();
        for (at, op) in self.sure.iter().enumerate().skip(open_from) {
            if op.invoked > first_answer {
                break;
            }
            if !self.is_done(at) {
                first_answer = first_answer.min(op.completed);
                next.push(at);
            }
        }
        next.retain(|at| self.sure[*at].invoked <= first_answer);
        next.sort_by_key(|at| self.sure[*at].completed);
        if !next.is_empty() {
            let called = self.unsure.iter().take_while(|op| op.invoked <= first_answer).count();
            let base = self.sure.len();
            let open = (0..called).filter(|at| {
                !self.is_done(base + at) && self.twin[*at].is_none_or(|twin| self.is_done(base + twin))
            });
            next.extend(open.map(|at| base + at));
        }
        Frame { state, next, tried: 0, open_from }
    }

    fn is_complete(&self) -> bool {
        (0..self.sure.len()).all(|at| self.is_done(at))
    }

    fn is_done(&self, at: usize) -> bool {
        self.done[at / 64] & (1 << (at % 64)) != 0
    }

    fn flip(&mut self, at: usize) {
        self.done[at / 64] ^= 1 << (at % 64);
    }

    fn describe(&self, frame: &Frame<M::State>) -> String {
        let done = (0..self.sure.len()).filter(|at| self.is_done(*at)).count();
        let next = frame.next.iter().filter_map(|at| self.sure.get(*at));
        let next: Vec<String> = next.map(|op| format!("\n  {op:?}")).collect();
        format!(
            "not linearizable: after {done} of {} answered operations, in state {:?}, none can come next of{}",
            self.sure.len(),
            frame.state,
            next.concat()
        )
    }
}
