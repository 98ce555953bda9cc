//! Members whose hosts are left out of a run, because a person said so: what may be done without them, and what of a
//! plan is then not asked of them. They count as voters that are down, in every majority; nothing is believed of them.

use std::collections::BTreeSet;

use super::desired::Desired;
use super::facts::{Facts, NoWayIn, Unreachable};
use super::server::Mode;
use super::step::{Action, Condition, Gate, Plan, Service, Wave};
use super::{Goal, Refused, Stop, ensemble};
use crate::wire::ids::ServerId;

/// As [`super::plan`], without `left_out`: no step is done there, no gate asks for them, and nobody who is needed in
/// their stead is taken down.
pub fn plan(
    desired: &Desired,
    facts: &Facts,
    goal: &Goal,
    left_out: &BTreeSet<ServerId>,
) -> Result<Plan, Stop> {
    if left_out.is_empty() {
        return super::plan(desired, facts, goal);
    }
    allowed(desired, goal, left_out)?;
    let goal = narrowed(desired, goal, left_out)?;
    led_by_others(desired, facts, &goal, left_out)?;
    let mut plan = super::plan(desired, facts, &goal)?;
    spared(desired, facts, &goal, &plan)?;
    for wave in &mut plan.waves {
        wave.gates = wave.gates.drain(..).flat_map(|gate| gates(desired, gate, left_out)).collect();
    }
    // Proofs alone of what the facts show already.
    let in_sync = ensemble::in_sync(desired, facts);
    let shown =
        |gate: &Gate| matches!(gate.condition, Condition::Synced { member } if in_sync.contains(&member));
    let idle = |wave: &Wave| wave.steps.is_empty() && wave.gates.iter().all(shown);
    if plan.waves.iter().all(idle) {
        plan.waves.clear();
    }
    Ok(plan)
}

/// How a host that is left out looks to the planners: not seen, and not to be reached.
pub fn unreachable(name: &str) -> Unreachable {
    Unreachable { kind: NoWayIn::LeftOut, text: format!("{name} is left out by request") }
}

/// Without a quorum among the others nothing could be proven of the ensemble; only its end needs no proof.
fn allowed(desired: &Desired, goal: &Goal, left_out: &BTreeSet<ServerId>) -> Result<(), Stop> {
    let rest: Vec<ServerId> =
        desired.voters().map(|voter| voter.id).filter(|id| !left_out.contains(id)).collect();
    if rest.len() >= desired.majority() || matches!(goal, Goal::Destroy { .. }) {
        return Ok(());
    }
    Err(Stop::Refused(Refused {
        what: format!(
            "without {} only {} of {} voters are left, and {} make a quorum",
            desired.names(left_out),
            rest.len(),
            desired.voters().count(),
            desired.majority()
        ),
        evidence: vec![format!("voters that are left: {}", desired.names(&rest))],
        next: vec![format!("bring one of {} back first, or leave fewer out", desired.names(left_out))],
    }))
}

/// The goal of those who are left: all of them where it names none.
fn narrowed(desired: &Desired, goal: &Goal, left_out: &BTreeSet<ServerId>) -> Result<Goal, Stop> {
    let rest = || desired.members.keys().filter(|id| !left_out.contains(id)).copied().collect::<Vec<_>>();
    let named = match goal {
        Goal::Start { members } | Goal::Stop { members } | Goal::Restart { members } => members.clone(),
        Goal::Repair { member, .. } => vec![*member],
        Goal::Deploy | Goal::Destroy { .. } => Vec::new(),
    };
    if let Some(both) = named.iter().find(|id| left_out.contains(id)) {
        let name = desired.name(*both);
        return Err(Stop::Refused(Refused {
            what: format!("{name} is named, and left out"),
            evidence: Vec::new(),
            next: vec![format!("say it without --without {name}, or do not name it")],
        }));
    }
    Ok(match goal {
        Goal::Start { members } if members.is_empty() => Goal::Start { members: rest() },
        Goal::Restart { members } if members.is_empty() => Goal::Restart { members: rest() },
        goal => goal.clone(),
    })
}

/// Members that follow prove a leader; when none is seen among those who are asked, one that is left out leads. Nothing
/// could be proven of the others without it, and no gate would open.
fn led_by_others(
    desired: &Desired,
    facts: &Facts,
    goal: &Goal,
    left_out: &BTreeSet<ServerId>,
) -> Result<(), Stop> {
    let follows = |id: &&ServerId| facts.server(**id).is_some_and(|server| server.mode == Mode::Follower);
    let followers: Vec<&ServerId> = desired.members.keys().filter(follows).collect();
    if followers.is_empty() || ensemble::leader(desired, facts).is_some() || needs_nobody(goal) {
        return Ok(());
    }
    let names = desired.names(left_out);
    let next = left_out.iter().map(|id| format!("zkops stop {}", desired.name(*id)));
    Err(Stop::Refused(Refused {
        what: format!("{names} leads: whoever leads is not left out"),
        evidence: vec![format!("{} follow, and lead not", desired.names(followers))],
        next: next.chain(["or say it without --without".to_owned()]).collect(),
    }))
}

/// Whoever stops all of it, or ends it, does not want to be served.
fn needs_nobody(goal: &Goal) -> bool {
    matches!(goal, Goal::Destroy { .. }) || matches!(goal, Goal::Stop { members } if members.is_empty())
}

/// Whoever the plan takes down while the ensemble serves can be spared, with those left out counted as down.
fn spared(desired: &Desired, facts: &Facts, goal: &Goal, plan: &Plan) -> Result<(), Stop> {
    if needs_nobody(goal) {
        return Ok(());
    }
    let down = |action: &Action| matches!(action, Action::Service(Service::Stopped | Service::Restarted));
    let members = plan.steps().filter(|step| down(&step.action)).map(|step| step.member);
    members.into_iter().try_for_each(|member| ensemble::can_spare(desired, facts, member))
}

/// What is asked of all is asked of those who are there.
fn gates(desired: &Desired, gate: Gate, left_out: &BTreeSet<ServerId>) -> Vec<Gate> {
    let there = |id: &ServerId| !left_out.contains(id);
    match gate.condition {
        Condition::Ready => {
            let members = desired.members.keys().filter(|id| there(id));
            members.map(|id| Gate::of(Condition::Synced { member: *id })).collect()
        }
        Condition::Reachable { members } => {
            let members = members.into_iter().filter(there).collect();
            vec![Gate { condition: Condition::Reachable { members }, ..gate }]
        }
        _ => vec![gate],
    }
}
