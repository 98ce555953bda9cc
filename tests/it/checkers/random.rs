//! Random histories: what a real sequential execution gives is accepted, and what is made of it afterwards is judged
//! as a reference judges that knows no shortcut.

use proptest::prelude::*;
use proptest::sample::Index;

use super::holds;
use crate::check::history::{Op, Outcome};
use crate::check::linear::{Model, Operation, STEPS_MAX, linearizable};
use crate::check::lock::{self, Lock};
use crate::check::order::{real_time, session_order};
use crate::check::queue::{self, Queue};
use crate::check::register::{self, Register, RegisterOp};
use crate::check::set::{self, GrowingSet};

/// What a random history is made of.
trait Sample: Model {
    /// The call in place `at`, one of four kinds.
    fn call(kind: usize, at: u64) -> Self::Call;

    /// Every reply that the operation in place `at` of a history of at most ten could give, and some more.
    fn replies(at: u64) -> Vec<Self::Reply>;
}

impl Sample for Register {
    fn call(kind: usize, at: u64) -> register::Call {
        match kind {
            0 => register::Call::Create { value: at },
            1 => {
                register::Call::Set { value: at, version: (at.is_multiple_of(2)).then_some((at % 3) as i32) }
            }
            2 if at.is_multiple_of(3) => register::Call::Delete { version: None },
            _ => register::Call::Get,
        }
    }

    fn replies(at: u64) -> Vec<register::Reply> {
        use register::Reply::{BadVersion, Deleted, NoNode, Node, NodeExists, Written};
        let mut replies = vec![Deleted, NoNode, NodeExists, BadVersion];
        for version in 0..10 {
            replies.push(Written { version, zxid: at + 1 });
            replies.extend((0..10).map(|value| Node { value, version, zxid: value + 1 }));
        }
        replies
    }
}

impl Sample for GrowingSet {
    fn call(kind: usize, at: u64) -> set::Call {
        if kind < 2 { set::Call::Add(at) } else { set::Call::Read }
    }

    fn replies(_: u64) -> Vec<set::Reply> {
        let subset = |bits: u64| (0..10).filter(move |element| bits & (1 << element) != 0).collect();
        let subsets = (0..1024).map(|bits| set::Reply::Members(subset(bits)));
        [set::Reply::Added].into_iter().chain(subsets).collect()
    }
}

impl Sample for Queue {
    fn call(kind: usize, at: u64) -> queue::Call {
        match kind {
            0 | 1 => queue::Call::Put(at),
            2 => queue::Call::Take,
            _ => queue::Call::TakeOf(at.saturating_sub(2)),
        }
    }

    fn replies(at: u64) -> Vec<queue::Reply> {
        [queue::Reply::Put { order: at + 1 }, queue::Reply::Empty]
            .into_iter()
            .chain((0..10).map(queue::Reply::Took))
            .collect()
    }
}

impl Sample for Lock {
    fn call(kind: usize, at: u64) -> lock::Call {
        let session = at % 3;
        [lock::Call::Acquire(session), lock::Call::Release(session), lock::Call::Acquire(session)]
            .get(kind)
            .copied()
            .unwrap_or(lock::Call::End(session))
    }

    fn replies(_: u64) -> Vec<bool> {
        vec![true, false]
    }
}

/// One operation of a plan: its kind, how long before its effect it was called and after it answered, and what the
/// caller heard.
#[derive(Debug, Clone)]
struct Planned {
    kind: usize,
    before: u64,
    after: u64,
    fate: Fate,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Answered,
    Unheard,
    NeverHappened,
}

fn plan(length: usize) -> impl Strategy<Value = Vec<Planned>> {
    let fate =
        prop_oneof![4 => Just(Fate::Answered), 1 => Just(Fate::Unheard), 1 => Just(Fate::NeverHappened)];
    let planned = (0..4usize, 0..25u64, 0..25u64, fate);
    let planned = planned.prop_map(|(kind, before, after, fate)| Planned { kind, before, after, fate });
    prop::collection::vec(planned, 0..=length)
}

/// Executes a plan one operation after the other, ten units of time apart.
fn execute<M: Sample>(plan: &[Planned]) -> Vec<Operation<M>> {
    let mut state = M::State::default();
    let execute = |(at, planned): (u64, &Planned)| {
        let call = M::call(planned.kind, at);
        let effect = 50 + 10 * at;
        let outcome = match planned.fate {
            Fate::NeverHappened => Outcome::Unknown,
            Fate::Answered | Fate::Unheard => {
                let mut answers = M::replies(at).into_iter();
                let fitting = answers
                    .find_map(|reply| Some((M::step(&state, &call, Some(&reply))?, Outcome::Ok(reply))));
                // Some calls are never answered.
                let unheard = || (M::step(&state, &call, None).expect("it is possible"), Outcome::Unknown);
                let (next, outcome) = fitting.unwrap_or_else(unheard);
                state = next;
                if planned.fate == Fate::Answered { outcome } else { Outcome::Unknown }
            }
        };
        let (invoked, completed) = (effect - planned.before, effect + planned.after);
        Op { process: at, key: "k".to_owned(), call, invoked, completed, outcome }
    };
    (0..).zip(plan).map(execute).collect()
}

/// What is done to one operation of a history.
#[derive(Debug, Clone)]
enum Mutation {
    OtherReply(Index),
    Unheard,
    Moved(i64),
    Swapped(Index),
}

fn mutation() -> impl Strategy<Value = (Index, Mutation)> {
    let mutation = prop_oneof![
        3 => any::<Index>().prop_map(Mutation::OtherReply),
        1 => Just(Mutation::Unheard),
        3 => (-40..40i64).prop_map(Mutation::Moved),
        3 => any::<Index>().prop_map(Mutation::Swapped),
    ];
    (any::<Index>(), mutation)
}

fn mutate<M: Sample>(history: &mut [Operation<M>], (place, mutation): &(Index, Mutation)) {
    if history.is_empty() {
        return;
    }
    let at = place.index(history.len());
    match mutation {
        Mutation::OtherReply(index) => {
            let replies = M::replies(at as u64);
            history[at].outcome = Outcome::Ok(replies[index.index(replies.len())].clone());
        }
        Mutation::Unheard => history[at].outcome = Outcome::Unknown,
        Mutation::Moved(by) => {
            history[at].invoked = history[at].invoked.saturating_add_signed(*by);
            history[at].completed = history[at].completed.saturating_add_signed(*by);
        }
        Mutation::Swapped(other) => {
            let other = other.index(history.len());
            let (one, two) = (history[at].outcome.clone(), history[other].outcome.clone());
            history[at].outcome = two;
            history[other].outcome = one;
        }
    }
}

/// Tries every order of every choice of the unanswered operations.
fn reference<M: Model>(history: &[Operation<M>]) -> bool {
    fn extend<M: Model>(state: &M::State, open: &[&Operation<M>]) -> bool {
        open.iter().all(|op| op.reply().is_none())
            || (0..open.len()).any(|at| {
                let op = open[at];
                if open.iter().any(|other| other.precedes(op)) {
                    return false;
                }
                let rest = [&open[..at], &open[at + 1..]].concat();
                M::step(state, &op.call, op.reply()).is_some_and(|state| extend::<M>(&state, &rest))
            })
    }
    let open: Vec<_> = history.iter().filter(|op| !matches!(op.outcome, Outcome::Failed)).collect();
    extend::<M>(&M::State::default(), &open)
}

fn judged_alike<M: Sample>(plan: &[Planned], mutations: &[(Index, Mutation)]) -> Result<(), TestCaseError> {
    let mut history = execute::<M>(plan);
    prop_assert!(linearizable::<M>(&history, STEPS_MAX).holds(), "{history:#?}");
    for step in mutations {
        mutate::<M>(&mut history, step);
        let verdict = linearizable::<M>(&history, STEPS_MAX);
        prop_assert_eq!(verdict.holds(), reference::<M>(&history), "{:?}: {:#?}", verdict, history);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn registers_are_judged_as_by_the_reference(
        plan in plan(6), mutations in prop::collection::vec(mutation(), 1..4),
    ) {
        judged_alike::<Register>(&plan, &mutations)?;
    }

    #[test]
    fn sets_are_judged_as_by_the_reference(
        plan in plan(6), mutations in prop::collection::vec(mutation(), 1..4),
    ) {
        judged_alike::<GrowingSet>(&plan, &mutations)?;
    }

    #[test]
    fn queues_are_judged_as_by_the_reference(
        plan in plan(6), mutations in prop::collection::vec(mutation(), 1..4),
    ) {
        judged_alike::<Queue>(&plan, &mutations)?;
    }

    #[test]
    fn locks_are_judged_as_by_the_reference(
        plan in plan(6), mutations in prop::collection::vec(mutation(), 1..4),
    ) {
        judged_alike::<Lock>(&plan, &mutations)?;
    }
}

/// A minute of a real test: ten znodes, eight clients, and every seventh call unheard.
fn long_history() -> Vec<RegisterOp> {
    let plan = |key: u64| {
        (0..200).map(move |at| {
            let mixed = (at * 31 + key * 17 + at / 7) % 97;
            let fate = match mixed % 14 {
                0 => Fate::Unheard,
                7 => Fate::NeverHappened,
                _ => Fate::Answered,
            };
            let kind = if at == 0 { 0 } else { 1 + 2 * (mixed as usize % 2) };
            Planned {
                kind,
                before: mixed % 40,
                after: (mixed * 7) % 40,
                fate: if at == 0 { Fate::Answered } else { fate },
            }
        })
    };
    (0..10)
        .flat_map(|key| {
            let plan: Vec<Planned> = plan(key).collect();
            let history = long_execution(&plan);
            history.into_iter().map(move |op| Op { key: format!("k{key}"), ..op })
        })
        .collect()
}

/// As [`execute`], without the list of all replies, which is for short histories.
fn long_execution(plan: &[Planned]) -> Vec<RegisterOp> {
    let (mut value, mut version, mut zxid) = (0, 0, 0);
    let mut history = Vec::new();
    for (at, planned) in (1..).zip(plan) {
        let call = match planned.kind {
            0 => register::Call::Create { value: at },
            1 => register::Call::Set { value: at, version: None },
            _ => register::Call::Get,
        };
        let happened = planned.fate != Fate::NeverHappened;
        let reply = match call {
            register::Call::Get => register::Reply::Node { value, version, zxid },
            _ if happened => {
                (value, version, zxid) = (at, if at == 1 { 0 } else { version + 1 }, at);
                register::Reply::Written { version, zxid }
            }
            _ => register::Reply::NoNode,
        };
        let outcome = if planned.fate == Fate::Answered { Outcome::Ok(reply) } else { Outcome::Unknown };
        let effect = 50 + 10 * at;
        let (invoked, completed) = (effect - planned.before, effect + planned.after);
        history.push(Op { process: at, key: String::new(), call, invoked, completed, outcome });
    }
    history
}

#[test]
fn two_thousand_operations_take_no_more_steps_than_a_few_each() {
    let history = long_history();
    let unknown = history.iter().filter(|op| op.outcome == Outcome::Unknown).count();
    assert!(history.len() == 2000 && unknown > 200, "{unknown}");
    holds(linearizable::<Register>(&history, 20 * 2000));
    // Zxids here are each znode's own.
    let of_one: Vec<RegisterOp> = history.into_iter().filter(|op| op.key == "k3").collect();
    holds(real_time(&of_one).and(|| session_order(&of_one)));
}
