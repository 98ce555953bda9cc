//! Whatever is blind: three members in every true state, seen by every combination of ways of not
//! seeing. No plan takes a voter down that the true ensemble needs, none moves data, and no verdict
//! says what is not so.

use std::collections::BTreeSet;

use super::world::World;
use crate::operator::plan::facts::*;
use crate::operator::plan::fresh::Fresh;
use crate::operator::plan::gate::{self, Gatekeeper};
use crate::operator::plan::network::PortRule;
use crate::operator::plan::repair::Wipe;
use crate::operator::plan::seen::Seen;
use crate::operator::plan::server::*;
use crate::operator::plan::status::{self, Verdict};
use crate::operator::plan::step::{Action, Plan, Service};
use crate::operator::plan::{Goal, ensemble, plan};
use crate::wire::ids::ServerId;

/// What one member truly is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Truth {
    Up,
    Stopped,
    Dead,
    /// It runs, and its peers do not reach it: it says that it serves nobody.
    Cut,
}

/// How one member is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sees {
    All,
    /// Its client port is not seen from here, for any reason of the network or of the server's.
    NotFromHere(BlindCause),
    /// Its host is away.
    NoHost,
    /// Neither.
    Nothing,
    /// Not from here, and the agent cannot ask the server either.
    NotTheServer,
    /// The word is in no whitelist: neither way learns anything of the server.
    NoWord,
    /// The agent answers nothing that is asked about the host.
    NoAnswers,
    /// As NoAnswers, and the server is not seen from here.
    OnlyTheAgent,
    /// Files cannot be read, the rest can.
    NoFiles,
}

fn world(truths: [Truth; 3]) -> World {
    let mut world = World::deployed(3, 0);
    for (id, truth) in (1i64..).zip(truths) {
        match truth {
            Truth::Up => {}
            Truth::Stopped => {
                world.host(id).unit.state = Seen::Is(UnitState::Stopped);
                world.host(id).processes = Seen::Is(Vec::new());
            }
            Truth::Dead => world.dies(id),
            Truth::Cut => world.rule(id, 2888, PortRule::default()),
        }
    }
    world.settle();
    world
}

/// What an operator with these ways sees of the true facts.
fn seen(truth: &Facts, ways: [Sees; 3]) -> Facts {
    let mut facts = truth.clone();
    for (id, sees) in (1i64..).map(ServerId).zip(ways) {
        let member = facts.members.get_mut(&id).expect("three members");
        // The second way is gone where the first does not see; both show the same server.
        let server = match &member.server.on_host {
            ServerView::Unasked => member.server.from_here.clone(),
            on_host => on_host.clone(),
        };
        let blind = |cause| ServerView::blind(cause, format!("{cause:?}"));
        let away = HostView::Unreachable(Unreachable { kind: NoWayIn::Connection, text: "no route".into() });
        let (from_here, on_host) = match sees {
            Sees::All | Sees::NoHost | Sees::NoAnswers | Sees::NoFiles => (None, Some(server)),
            Sees::NotFromHere(cause) => (Some(blind(cause)), Some(server)),
            Sees::Nothing => (Some(blind(BlindCause::Timeout)), Some(blind(BlindCause::HostAway))),
            Sees::NotTheServer | Sees::OnlyTheAgent => {
                (Some(blind(BlindCause::Timeout)), Some(blind(BlindCause::Agent)))
            }
            Sees::NoWord => (Some(blind(BlindCause::Whitelist)), Some(blind(BlindCause::Whitelist))),
        };
        if let Some(from_here) = from_here {
            member.server.from_here = from_here;
        }
        let asked = matches!(member.server.from_here, ServerView::Blind(_));
        member.server.on_host = on_host.filter(|_| asked).unwrap_or_default();
        if sees == Sees::NoHost && asked {
            member.server.on_host = blind(BlindCause::HostAway);
        }
        if let ServerView::Serving(server) = &mut member.server.on_host {
            server.canary = None;
        }
        match sees {
            Sees::NoHost | Sees::Nothing => member.host = away,
            Sees::NoAnswers | Sees::OnlyTheAgent => {
                let HostView::Seen(host) = &mut member.host else { unreachable!("all hosts are there") };
                **host = HostFacts { root: true, systemd: true, ..HostFacts::default() };
            }
            Sees::NoFiles => {
                let HostView::Seen(host) = &mut member.host else { unreachable!("all hosts are there") };
                host.data = Seen::unseen("permission denied", 1);
                host.installed_config = Seen::unseen("permission denied", 1);
                host.files.values_mut().for_each(|file| *file = Seen::unseen("permission denied", 1));
            }
            _ => {}
        }
    }
    facts
}

fn goals() -> Vec<Goal> {
    let ids = |ids: &[i64]| ids.iter().copied().map(ServerId).collect::<Vec<_>>();
    let mut goals = vec![
        Goal::Deploy,
        Goal::Start { members: vec![] },
        Goal::Stop { members: vec![] },
        Goal::Restart { members: vec![] },
        Goal::Stop { members: ids(&[1, 2]) },
        Goal::Restart { members: ids(&[2, 3]) },
        Goal::Destroy { data: true },
    ];
    for id in [1, 3] {
        goals.push(Goal::Start { members: ids(&[id]) });
        goals.push(Goal::Stop { members: ids(&[id]) });
        goals.push(Goal::Restart { members: ids(&[id]) });
        for wipe in [Wipe::No, Wipe::Asked] {
            goals.push(Goal::Repair { member: ServerId(id), wipe, purge_old: false });
        }
    }
    goals
}

fn takes_down(action: &Action) -> bool {
    matches!(action, Action::Service(Service::Stopped | Service::Restarted | Service::Removed))
}

/// Carries the plan out over the truth, its gates judged by what is seen; panics at the first step
/// that no operator may take.
#[track_caller]
fn carry_out(mut truth: World, ways: [Sees; 3], goal: &Goal, plan: &Plan) {
    let everything =
        matches!(goal, Goal::Destroy { .. }) || matches!(goal, Goal::Stop { members } if members.is_empty());
    let told = |what: &str| format!("{what}: {goal:?} seen by {ways:?}\n{plan}\n{truth:?}", truth = "");
    for wave in &plan.waves {
        let serving = ensemble::voters_in_sync(&truth.desired, &truth.facts);
        let serves = serving.len() >= truth.desired.majority();
        let down: BTreeSet<ServerId> =
            wave.steps.iter().filter(|step| takes_down(&step.action)).map(|step| step.member).collect();
        let left = serving.difference(&down).count();
        assert!(!serves || everything || left >= truth.desired.majority(), "{}", told("no quorum is left"));
        assert!(!serves || everything || serving.intersection(&down).count() <= 1, "{}", told("two at once"));
        for step in &wave.steps {
            let sees = ways[usize::try_from(step.member.0 - 1).expect("1, 2, 3")];
            assert!(
                !matches!(sees, Sees::NoHost | Sees::Nothing),
                "{}",
                told("a step on a host that is away")
            );
            match &step.action {
                Action::Quarantine { .. } => {
                    let asked_for = matches!(goal, Goal::Repair { wipe: Wipe::Asked, .. });
                    assert!(asked_for && left >= truth.desired.majority(), "{}", told("data is moved"));
                }
                Action::RemovePath { path, recursive: true } if path.ends_with("/zkdata") => {
                    let unseen = matches!(sees, Sees::NoFiles | Sees::NoAnswers | Sees::OnlyTheAgent);
                    assert!(!unseen, "{}", told("data that nobody saw is removed"));
                }
                _ => {}
            }
        }
        let steps = Plan {
            waves: vec![crate::operator::plan::step::Wave { gates: Vec::new(), ..wave.clone() }],
            ..Plan::default()
        };
        truth.apply(&steps);
        let now = seen(&truth.facts, ways);
        let fresh = Fresh::of(&now, truth.facts.stamp).expect("seen behind the step");
        if !wave
            .gates
            .iter()
            .all(|gate| gate::ask(&truth.desired, fresh, &gate.condition) == Gatekeeper::Open)
        {
            return;
        }
    }
}

/// What is said is so; what is seen whole is said.
fn judged(truth: &World, ways: [Sees; 3]) {
    let serving = ensemble::in_sync(&truth.desired, &truth.facts).len();
    let verdict = status::judge(&truth.desired, &seen(&truth.facts, ways)).verdict;
    let told = || format!("{verdict}: {serving} serve, seen by {ways:?}\n{truth:?}");
    match &verdict {
        Verdict::Healthy { .. } => assert_eq!(serving, 3, "{}", told()),
        Verdict::Degraded { voters, .. } => assert!(serving == 2 && *voters <= 2, "{}", told()),
        Verdict::NoQuorum { .. } => assert!(serving < 2, "{}", told()),
        Verdict::Unwell { .. } => assert!(serving < 3, "{}", told()),
        Verdict::Split { .. } => panic!("{}", told()),
        Verdict::Unknown { unseen, .. } => {
            assert!(!unseen.is_empty() && ways != [Sees::All; 3], "{}", told());
        }
    }
}

/// Every combination of three.
fn triples<T: Copy>(of: &[T]) -> Vec<[T; 3]> {
    let pairs = of.iter().flat_map(|a| of.iter().map(|b| (*a, *b)));
    pairs.flat_map(|(a, b)| of.iter().map(move |c| [a, b, *c])).collect()
}

/// One in `STRIDE` of all combinations of ways and goals for each truth, from another beginning each time.
fn every_combination(truths: &[[Truth; 3]]) {
    let (goals, ways) = (goals(), triples(&WAYS));
    for (beginning, truths) in truths.iter().enumerate() {
        let truth = world(*truths);
        for (number, ways) in ways.iter().enumerate() {
            judged(&truth, *ways);
            let facts = seen(&truth.facts, *ways);
            for (at, goal) in goals.iter().enumerate() {
                if !(beginning + number * goals.len() + at).is_multiple_of(STRIDE) {
                    continue;
                }
                if let Ok(plan) = plan(&truth.desired, &facts, goal) {
                    carry_out(truth.clone(), *ways, goal, &plan);
                }
            }
        }
    }
}

/// All that is true and all that is blind.
#[test]
fn nothing_blind_takes_a_needed_voter_down_moves_data_or_says_what_is_not_so() {
    every_combination(&triples(&TRUTHS));
}

/// All of them, a million plans, where the code is fast; else one in so many, prime to all counts.
const STRIDE: usize = if cfg!(debug_assertions) { 23 } else { 1 };
const TRUTHS: [Truth; 4] = [Truth::Up, Truth::Stopped, Truth::Dead, Truth::Cut];
const WAYS: [Sees; 10] = [
    Sees::All,
    Sees::NotFromHere(BlindCause::Timeout),
    Sees::NotFromHere(BlindCause::Limit),
    Sees::NoHost,
    Sees::Nothing,
    Sees::NotTheServer,
    Sees::NoWord,
    Sees::NoAnswers,
    Sees::OnlyTheAgent,
    Sees::NoFiles,
];
