//! What a run that was told to stop says: who told it, what stands on each member and what does not, how to go on.
//! Pure: the words of a plan and of how far it came.

use std::collections::BTreeMap;

use super::run::Run;
use crate::operator::fleet::stop::Why;
use crate::operator::plan::step::{Gate, Plan, Step};
use crate::report::{Exit, Failure};
use crate::wire::ids::ServerId;

/// How far a plan has come: steps done of each member, those that found nothing to do included.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Progress {
    pub(super) done: BTreeMap<ServerId, usize>,
    pub(super) changed: usize,
}

/// The failure that a run ends with; `gate` is the one that was waited at.
pub(super) fn told(why: &Why, plan: &Plan, progress: &Progress, gate: Option<&Gate>, run: &Run) -> Failure {
    let untouched = progress.changed == 0;
    let taken_over = matches!(why, Why::TakenOver { .. });
    let exit = if taken_over && untouched { Exit::Locked } else { Exit::Halfway };
    let mut failure = Failure::new(exit, why.words());
    if untouched {
        failure = failure.state("nothing was changed");
    } else {
        for line in members(plan, progress) {
            failure = failure.state(line);
        }
    }
    if let Some(gate) = gate {
        failure = failure.state(format!("not waited for: {}", gate.condition));
    }
    match why {
        Why::Signal(_) => failure.next(run.again.clone()),
        Why::TimeUp => failure.next(format!("{} --timeout 30m", run.again)),
        Why::TakenOver { .. } => failure.next(format!("see what that run did, then: {}", run.again)),
    }
}

/// One line a member.
fn members(plan: &Plan, progress: &Progress) -> Vec<String> {
    let mut steps: BTreeMap<ServerId, Vec<&Step>> = BTreeMap::new();
    for step in plan.steps() {
        steps.entry(step.member).or_default().push(step);
    }
    let line = |(id, steps): (ServerId, Vec<&Step>)| {
        let done = progress.done.get(&id).copied().unwrap_or_default().min(steps.len());
        let left = &steps[done..];
        let name = &steps.first()?.name;
        let mut line = format!("{name}: {done} of {} steps done", steps.len());
        let shown: Vec<String> = left.iter().take(SHOWN).map(|step| step.action.to_string()).collect();
        if !shown.is_empty() {
            line += &format!("; not done: {}", shown.join(", "));
        }
        if left.len() > SHOWN {
            line += &format!(" and {} more", left.len() - SHOWN);
        }
        Some(line)
    };
    steps.into_iter().filter_map(line).collect()
}

/// The next ones tell where a member stands; the rest is in the plan.
const SHOWN: usize = 3;

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::{Progress, told};
    use crate::operator::apply::run::Run;
    use crate::operator::fleet::stop::{Stop, Why};
    use crate::operator::host::runs::{Held, Holder, StaleLock};
    use crate::operator::plan::step::{Action, Condition, Gate, Plan, Risk, Step, Wave};
    use crate::report::{Exit, Sink};
    use crate::wire::ids::ServerId;

    fn run() -> Run {
        let holder = Holder { id: "a".into(), who: "ann@desk".into(), pid: 7, command: "deploy".into() };
        Run {
            events: Sink::new(|_| ()),
            holder,
            break_lock: false,
            again: "zkops deploy it.yml".into(),
            stop: Stop::default(),
            since_ms: 0,
            until: Instant::now(),
        }
    }

    fn plan() -> Plan {
        let step = |id: i64, path: &str| Step {
            member: ServerId(id),
            name: format!("node-{id}"),
            action: Action::EnsureDir { path: path.into(), mode: 0o755, owner: None },
            why: String::new(),
            risk: Risk::None,
            undo: None,
        };
        let wave = |title: &str, steps| Wave { title: title.into(), steps, ..Wave::default() };
        let waves = vec![
            wave("one", vec![step(1, "/a"), step(2, "/a"), step(1, "/b")]),
            wave("two", vec![step(2, "/b"), step(2, "/c"), step(2, "/d"), step(2, "/e")]),
        ];
        Plan { waves, ..Plan::default() }
    }

    #[test]
    fn what_stands_and_what_does_not_is_said_of_every_member() {
        let done = [(ServerId(1), 2), (ServerId(2), 1)].into();
        let progress = Progress { done, changed: 2 };
        let gate = Gate { condition: Condition::Ready, deadline_ms: 1000 };
        let failure = told(&Why::Signal("SIGTERM".into()), &plan(), &progress, Some(&gate), &run());
        assert_eq!((failure.exit, failure.what.as_str()), (Exit::Halfway, "stopped by SIGTERM"));
        let state: Vec<&str> = failure.state.iter().map(String::as_str).collect();
        assert_eq!(state[0], "node-1: 2 of 2 steps done");
        assert!(state[1].starts_with("node-2: 1 of 5 steps done; not done: "), "{state:?}");
        assert!(state[1].contains("/b") && state[1].ends_with("and 1 more"), "{state:?}");
        assert!(state[2].starts_with("not waited for: "), "{state:?}");
        assert_eq!(failure.next, ["zkops deploy it.yml"]);
    }

    #[test]
    fn a_run_that_was_replaced_says_by_whom_and_whether_it_changed_anything() {
        let holder = Holder { id: "b".into(), who: "bob@den".into(), pid: 9, command: "zkops stop".into() };
        let now = Some(Held { holder, since_ms: 0, until_ms: 1, fence: 2, released: false });
        let stale = Box::new(StaleLock { path: "/x".into(), now });
        let why = Why::TakenOver { member: "node-1".into(), stale };
        let failure = told(&why, &plan(), &Progress::default(), None, &run());
        assert_eq!(failure.exit, Exit::Locked);
        assert_eq!(failure.what, "node-1: bob@den (pid 9) took the lock over: zkops stop");
        assert_eq!(failure.state, ["nothing was changed"]);
        let halfway = Progress { changed: 1, ..Progress::default() };
        assert_eq!(told(&why, &plan(), &halfway, None, &run()).exit, Exit::Halfway);
    }
}
