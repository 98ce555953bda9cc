//! What is done while some hosts are left out: laws over generated ensembles, and a few plans as they are shown.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::laws::{ensembles, fits, goals, takes_down};
use super::world::World;
use crate::operator::plan::facts::{HostView, MemberFacts};
use crate::operator::plan::server::{BlindCause, Server, ServerView};
use crate::operator::plan::step::{Condition, Plan};
use crate::operator::plan::{Goal, Stop, ensemble, without};
use crate::wire::ids::ServerId;

/// The facts of a run that reaches neither the hosts of `ids` nor their servers.
fn leave_out(world: &mut World, ids: &BTreeSet<ServerId>) {
    for id in ids {
        let why = without::unreachable(&world.desired.name(*id));
        let server = Server::from_here(ServerView::blind(BlindCause::HostAway, why.text.clone()));
        let seen = MemberFacts { host: HostView::Unreachable(why), server };
        world.facts.members.insert(*id, seen);
    }
}

fn planned(world: &World, goal: &Goal, ids: &[i64]) -> Result<Plan, Stop> {
    let left_out = ids.iter().map(|id| ServerId(*id)).collect();
    let mut world = world.clone();
    leave_out(&mut world, &left_out);
    without::plan(&world.desired, &world.facts, goal, &left_out)
}

fn asks_of(condition: &Condition) -> Option<ServerId> {
    match condition {
        Condition::Synced { member } | Condition::Alive { member } | Condition::Down { member } => {
            Some(*member)
        }
        _ => None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn who_is_left_out_is_neither_touched_nor_waited_for_nor_counted(
        world in ensembles(), goal in goals(), left_out in proptest::collection::btree_set(1i64..=6, 1..4)
    ) {
        prop_assume!(fits(&world, &goal));
        let mut world = world;
        let left_out: BTreeSet<ServerId> =
            left_out.into_iter().map(ServerId).filter(|id| world.desired.members.contains_key(id)).collect();
        prop_assume!(!left_out.is_empty());
        leave_out(&mut world, &left_out);
        let (desired, facts) = (&world.desired, &world.facts);
        let planned = without::plan(desired, facts, &goal, &left_out);
        let rest = desired.voters().filter(|voter| !left_out.contains(&voter.id)).count();
        let ends = matches!(goal, Goal::Destroy { .. });
        if rest < desired.majority() && !ends {
            prop_assert!(matches!(planned, Err(Stop::Refused(_))), "{rest} are left: {planned:?}");
        }
        let Ok(plan) = planned else { return Ok(()) };
        prop_assert!(plan.steps().all(|step| !left_out.contains(&step.member)), "{plan}");
        prop_assert!(plan.skipped.iter().all(|one| !one.what.contains("left out by request")), "{plan}");
        for gate in plan.waves.iter().flat_map(|wave| &wave.gates) {
            let waits = matches!(gate.condition, Condition::Ready)
                || asks_of(&gate.condition).is_some_and(|id| left_out.contains(&id))
                || matches!(&gate.condition, Condition::Reachable { members } if members.iter().any(|id| left_out.contains(id)));
            prop_assert!(!waits, "{:?} in {plan}", gate.condition);
        }
        let stops_all = matches!(&goal, Goal::Stop { members } if members.is_empty());
        if ensemble::serves(desired, facts) && !ends && !stops_all {
            let in_sync = ensemble::voters_in_sync(desired, facts);
            for wave in 0..plan.waves.len() {
                let down = takes_down(&plan, wave);
                let needed = down.iter().any(|id| in_sync.contains(id));
                let stay = in_sync.difference(&down).count();
                prop_assert!(!needed || stay >= desired.majority(), "{stay} stay in wave {wave} of {plan}");
            }
        }
    }

    #[test]
    fn what_was_done_without_them_is_not_done_again(voters in 3i64..=5, out in 1i64..=5) {
        prop_assume!(out <= voters);
        let left_out = BTreeSet::from([ServerId(out)]);
        let mut world = World::bare(voters, 0);
        leave_out(&mut world, &left_out);
        let first = without::plan(&world.desired, &world.facts, &Goal::Deploy, &left_out);
        let first = first.expect("the others are fit, and a quorum");
        prop_assert!(world.apply(&first), "{first}");
        // Nobody asks them: what the world makes of them is not seen.
        leave_out(&mut world, &left_out);
        let again = without::plan(&world.desired, &world.facts, &Goal::Deploy, &left_out).expect("as before");
        prop_assert!(again.is_empty(), "{again}");
    }
}

#[test]
fn a_minority_can_be_left_out_and_no_more() {
    let world = World::deployed(3, 1);
    assert!(planned(&world, &Goal::Deploy, &[1]).is_ok_and(|plan| plan.is_empty()));
    assert!(planned(&world, &Goal::Deploy, &[1, 4]).is_ok(), "an observer is no voter");
    let Err(Stop::Refused(refused)) = planned(&world, &Goal::Deploy, &[1, 2]) else { panic!("it is unsafe") };
    assert_eq!(refused.what, "without node-1 and node-2 only 1 of 3 voters are left, and 2 make a quorum");
    let end = planned(&world, &Goal::Destroy { data: false }, &[1, 2, 3]).expect("the end needs no quorum");
    assert!(end.steps().all(|step| step.member == ServerId(4)) && !end.is_empty(), "{end}");
}

#[test]
fn three_voters_without_one_have_none_to_spare_and_five_have() {
    let restart = Goal::Restart { members: Vec::new() };
    let Err(Stop::Refused(refused)) = planned(&World::deployed(3, 0), &restart, &[1]) else {
        panic!("two of three are needed")
    };
    assert!(refused.what.contains("without node-2: 2 of 3 voters are needed"), "{refused:?}");
    let plan = planned(&World::deployed(5, 0), &restart, &[1]).expect("three of five stay");
    let members: Vec<i64> = plan.steps().map(|step| step.member.0).collect();
    assert_eq!(members, [2, 3, 4, 5], "the leader last: {plan}");
    // Starting takes nobody down.
    let mut world = World::deployed(3, 0);
    world.dies(2);
    world.dies(3);
    let plan =
        planned(&world, &Goal::Start { members: Vec::new() }, &[1]).expect("two of three are a quorum");
    assert_eq!(plan.steps().count(), 2, "{plan}");
    // Whoever stops all of it knows that nobody is served then.
    let plan = planned(&World::deployed(3, 0), &Goal::Stop { members: Vec::new() }, &[1]).expect("asked for");
    assert_eq!((plan.steps().count(), plan.skipped.len()), (2, 0), "{plan}");
}

#[test]
fn whoever_leads_is_not_left_out() {
    for goal in [Goal::Restart { members: Vec::new() }, Goal::Deploy, Goal::Start { members: Vec::new() }] {
        let Err(Stop::Refused(refused)) = planned(&World::deployed(5, 0), &goal, &[5]) else {
            panic!("nothing could be proven of the others: {goal:?}")
        };
        assert_eq!(refused.what, "node-5 leads: whoever leads is not left out");
        assert_eq!(refused.next[0], "zkops stop node-5");
    }
    // The end needs no proof.
    for goal in [Goal::Destroy { data: false }, Goal::Stop { members: Vec::new() }] {
        assert!(planned(&World::deployed(5, 0), &goal, &[5]).is_ok(), "{goal:?}");
    }
}

#[test]
fn a_member_is_not_both_named_and_left_out() {
    let world = World::deployed(3, 0);
    for goal in [
        Goal::Stop { members: vec![ServerId(3)] },
        Goal::Repair { member: ServerId(3), wipe: crate::operator::plan::repair::Wipe::No, purge_old: false },
    ] {
        let Err(Stop::Refused(refused)) = planned(&world, &goal, &[3]) else { panic!("{goal:?}") };
        assert_eq!(refused.what, "node-3 is named, and left out");
    }
}
