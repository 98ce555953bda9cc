//! The laws of design.md that hold for every plan, on generated ensembles and faults.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::world::World;
use crate::operator::plan::damage::Damage;
use crate::operator::plan::facts::{DataFacts, Myid};
use crate::operator::plan::network::PortRule;
use crate::operator::plan::repair::Wipe;
use crate::operator::plan::seen::Seen;
use crate::operator::plan::step::{Action, Condition, Plan, Risk, Service};
use crate::operator::plan::{Goal, ensemble, plan};
use crate::wire::ids::ServerId;

#[derive(Clone, Copy, Debug)]
enum Fault {
    Dead,
    Blocked,
    NoMyid,
    Garbage,
    Emptied,
    StaleConfig,
    Unreachable,
}

fn fault() -> impl Strategy<Value = Fault> {
    use Fault::*;
    prop_oneof![
        Just(Dead),
        Just(Blocked),
        Just(NoMyid),
        Just(Garbage),
        Just(Emptied),
        Just(StaleConfig),
        Just(Unreachable)
    ]
}

fn put(world: &mut World, id: i64, fault: Fault) {
    match fault {
        Fault::Dead => world.dies(id),
        Fault::Blocked => {
            world.rule(id, 2888, PortRule::default());
            world.settle();
        }
        Fault::NoMyid => {
            world.data(id).myid = Myid::Missing;
            world.dies(id);
        }
        Fault::Garbage => {
            world.data(id).damage = vec![Damage::LogsWithoutSnapshot];
            world.dies(id);
        }
        Fault::Emptied => {
            world.host(id).data = Seen::Is(DataFacts { exists: true, empty: true, ..DataFacts::default() });
            world.dies(id);
        }
        Fault::StaleConfig => {
            let path = world.desired.members[&ServerId(id)].config_path.clone();
            world.facts.wall_ms += 10_000;
            let world_now = world.facts.wall_ms;
            let file = world.host(id).files.get_mut(&path).and_then(Seen::is_mut).expect("deployed");
            file.mtime_ms = world_now;
        }
        Fault::Unreachable => world.unreachable(id),
    }
}

/// An ensemble, possibly with observers, and at most one fault a member.
pub(super) fn ensembles() -> impl Strategy<Value = World> {
    (prop_oneof![Just(1i64), Just(2), Just(3), Just(4), Just(5)], 0i64..2)
        .prop_flat_map(|(voters, observers)| {
            let members = voters + observers;
            let faults =
                proptest::collection::btree_map(1..=members, fault(), 0..=usize::try_from(members).unwrap());
            (Just(voters), Just(observers), faults)
        })
        .prop_map(|(voters, observers, faults)| {
            let mut world = World::deployed(voters, observers);
            // Unreachable last: nothing can be done to such a host afterwards.
            let (away, here): (Vec<_>, Vec<_>) =
                faults.into_iter().partition(|(_, fault)| matches!(fault, Fault::Unreachable));
            for (id, fault) in here.into_iter().chain(away) {
                put(&mut world, id, fault);
            }
            world
        })
}

pub(super) fn goals() -> impl Strategy<Value = Goal> {
    let member = (1i64..=3).prop_map(ServerId);
    prop_oneof![
        Just(Goal::Deploy),
        Just(Goal::Start { members: vec![] }),
        Just(Goal::Stop { members: vec![] }),
        Just(Goal::Restart { members: vec![] }),
        Just(Goal::Destroy { data: false }),
        Just(Goal::Destroy { data: true }),
        member.clone().prop_map(|id| Goal::Start { members: vec![id] }),
        member.clone().prop_map(|id| Goal::Stop { members: vec![id] }),
        member.clone().prop_map(|id| Goal::Restart { members: vec![id] }),
        (member, any::<bool>(), any::<bool>()).prop_map(|(member, always, purge_old)| Goal::Repair {
            member,
            wipe: if always { Wipe::Asked } else { Wipe::No },
            purge_old
        }),
    ]
}

/// Members the goal names exist in this world.
pub(super) fn fits(world: &World, goal: &Goal) -> bool {
    let named = match goal {
        Goal::Start { members } | Goal::Stop { members } | Goal::Restart { members } => members.clone(),
        Goal::Repair { member, .. } => vec![*member],
        Goal::Deploy | Goal::Destroy { .. } => vec![],
    };
    named.iter().all(|id| world.desired.members.contains_key(id))
}

pub(super) fn takes_down(plan: &Plan, wave: usize) -> BTreeSet<ServerId> {
    plan.waves[wave]
        .steps
        .iter()
        .filter(|step| {
            matches!(step.action, Action::Service(Service::Stopped | Service::Restarted | Service::Removed))
        })
        .map(|step| step.member)
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn planned_again_after_it_was_applied_a_plan_is_empty(world in ensembles(), goal in goals()) {
        prop_assume!(fits(&world, &goal));
        // A restart and a forced wipe are wishes that cannot be seen to be fulfilled.
        prop_assume!(!matches!(goal, Goal::Restart { .. } | Goal::Repair { wipe: Wipe::Asked, .. }));
        let Ok(first) = plan(&world.desired, &world.facts, &goal) else { return Ok(()) };
        let mut after = world.clone();
        if !after.apply(&first) {
            return Ok(());
        }
        match plan(&after.desired, &after.facts, &goal) {
            Ok(second) => prop_assert!(second.is_empty(), "first {first}\nsecond {second}"),
            Err(stop) => {
                // Only where it began: a member that is well in an ensemble that is not.
                prop_assert!(!ensemble::serves(&after.desired, &after.facts)
                    || matches!(goal, Goal::Repair { .. }), "first {first}\nthen {stop:?}");
            }
        }
    }

    #[test]
    fn no_wave_takes_a_serving_ensemble_below_its_quorum(world in ensembles(), goal in goals()) {
        prop_assume!(fits(&world, &goal));
        prop_assume!(!matches!(&goal, Goal::Destroy { .. }));
        prop_assume!(!matches!(&goal, Goal::Stop { members } if members.is_empty()));
        let Ok(plan) = plan(&world.desired, &world.facts, &goal) else { return Ok(()) };
        let mut now = world.clone();
        for number in 0..plan.waves.len() {
            let serves = ensemble::serves(&now.desired, &now.facts);
            let down = takes_down(&plan, number);
            let voters = ensemble::voters_in_sync(&now.desired, &now.facts);
            let left = voters.difference(&down).count();
            let shown = plan.waves[number].steps.iter().any(|step| step.risk == Risk::Service);
            prop_assert!(!serves || left >= now.desired.majority() || shown, "wave {number} of {plan}");
            prop_assert!(shown || !serves || down.iter().filter(|id| voters.contains(id)).count() <= 1);
            let single = Plan { waves: vec![plan.waves[number].clone()], ..Plan::default() };
            if !now.apply(&single) {
                break;
            }
        }
    }

    #[test]
    fn data_is_moved_aside_only_behind_the_proof(world in ensembles(), goal in goals()) {
        prop_assume!(fits(&world, &goal));
        let Ok(plan) = plan(&world.desired, &world.facts, &goal) else { return Ok(()) };
        let mut proven = false;
        for wave in &plan.waves {
            for step in &wave.steps {
                if let Action::Quarantine { path, to } = &step.action {
                    prop_assert!(proven, "{plan}");
                    let dir = |path: &str| path.rsplit_once('/').map(|(dir, _)| dir.to_owned());
                    prop_assert_eq!(dir(path), dir(to), "inside its own directory: {}", plan);
                }
                if let Action::RemovePath { path, recursive: true } = &step.action {
                    let old = path.contains("/zkops.old-");
                    prop_assert!(old || matches!(goal, Goal::Destroy { data: true }), "{plan}");
                }
                let allowed = matches!(goal, Goal::Deploy) && !ensemble::has_history(&world.desired, &world.facts);
                prop_assert!(allowed || !matches!(step.action, Action::AllowEmptyDatabase { .. }), "{plan}");
            }
            proven |= wave.gates.iter().any(|gate| {
                matches!(gate.condition, Condition::Quorum { min, without: Some(_) } if min >= world.desired.majority())
            });
        }
    }
}
