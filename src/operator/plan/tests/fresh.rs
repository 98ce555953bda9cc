//! No gate is judged by what was seen before the step: a member that died then and lives now, and
//! one that lived then and is dead now.

use super::world::World;
use crate::operator::plan::deploy;
use crate::operator::plan::facts::*;
use crate::operator::plan::fresh::Fresh;
use crate::operator::plan::gate::{self, Gatekeeper};
use crate::operator::plan::seen::{Seen, Stamp};
use crate::operator::plan::server::ServerView;
use crate::operator::plan::step::Condition;
use crate::wire::ids::ServerId;

/// Every condition that a gate can have.
fn conditions() -> Vec<Condition> {
    let all = vec![ServerId(1), ServerId(2), LAST];
    vec![
        Condition::Reachable { members: all },
        Condition::Quorum { min: 2, without: None },
        Condition::Quorum { min: 2, without: Some(LAST) },
        Condition::Synced { member: LAST },
        Condition::Alive { member: LAST },
        Condition::Down { member: LAST },
        Condition::Idle,
        Condition::Ready,
    ]
}

fn asked(world: &World, condition: &Condition) -> Gatekeeper {
    gate::ask(&world.desired, world.fresh(), condition)
}

fn dead() -> World {
    let mut world = World::deployed(3, 0);
    world.dies(3);
    world
}

#[test]
fn a_deployment_ends_with_a_leader_seen_behind_its_last_step() {
    let mut world = World::deployed(3, 0);
    let now = world.facts.stamp;
    let tells = |world: &World, last| deploy::tells_ready(&world.desired, &world.facts, last);
    assert!(tells(&world, now));
    assert!(!tells(&world, now.next()), "older than the last step");
    for id in 1..=3 {
        world.server(id, ServerView::default());
    }
    assert!(!tells(&world, now), "a look at firewalls alone");
}

#[test]
fn a_look_from_before_the_step_is_no_answer_for_any_gate() {
    let world = World::deployed(3, 0);
    let after = world.facts.stamp.next();
    // There is no gate to ask without a look from behind the step.
    let stale = Fresh::of(&world.facts, after).expect_err("older than the step");
    assert_eq!((stale.seen, stale.after), (world.facts.stamp, after));
    assert!(Fresh::of(&world.facts, world.facts.stamp).is_ok());
    assert!(Fresh::of(&world.facts, Stamp::default()).is_ok(), "younger than asked for");
}

#[test]
fn a_member_that_died_before_the_step_and_lives_now_is_judged_by_now() {
    let before = dead();
    // As it was, nobody but `Down` lets it pass, and some give up for good.
    assert!(matches!(asked(&before, &Condition::Synced { member: LAST }), Gatekeeper::Hopeless(_)));
    assert!(matches!(asked(&before, &Condition::Alive { member: LAST }), Gatekeeper::Hopeless(_)));
    // Behind the step only the servers were looked at again: its old end is not seen any more.
    let now = World::deployed(3, 0);
    let mut mixed = before.clone();
    mixed.facts = before.facts.renewed(before.facts.stamp.next());
    for (id, seen) in &now.facts.members {
        mixed.facts.members.get_mut(id).expect("the same members").server = seen.server.clone();
    }
    mixed.facts.read_back = ReadBack::Everywhere;
    for condition in conditions() {
        let answer = asked(&mixed, &condition);
        assert!(
            !matches!(&answer, Gatekeeper::Hopeless(why) if why.contains("signal 9")),
            "{condition}: {answer:?}"
        );
    }
    assert_eq!(asked(&mixed, &Condition::Synced { member: LAST }), Gatekeeper::Open);
    assert_eq!(asked(&mixed, &Condition::Ready), Gatekeeper::Open);
    // What was not looked at again proves nothing, in either direction.
    assert!(matches!(asked(&mixed, &Condition::Alive { member: LAST }), Gatekeeper::Waiting(_)));
    assert!(matches!(asked(&mixed, &Condition::Down { member: LAST }), Gatekeeper::Waiting(_)));
}

#[test]
fn a_member_that_lived_before_the_step_and_is_dead_now_is_judged_by_now() {
    let before = World::deployed(3, 0);
    let now = before.facts.renewed(before.facts.stamp.next());
    let mut nothing = before.clone();
    nothing.facts = now;
    // Nothing was looked at again: no gate but the one without connections to judge is open.
    for condition in conditions().into_iter().skip(1) {
        let answer = asked(&nothing, &condition);
        assert!(matches!(answer, Gatekeeper::Waiting(_)), "{condition}: {answer:?}");
    }
    let dead = dead();
    for condition in conditions().into_iter().skip(3) {
        let open = asked(&dead, &condition) == Gatekeeper::Open;
        assert_eq!(open, condition == Condition::Down { member: LAST }, "{condition}");
    }
}

#[test]
fn a_look_that_renews_nothing_sees_nothing_of_what_steps_change() {
    let world = World::deployed(3, 0);
    let renewed = world.facts.renewed(world.facts.stamp.next());
    for id in world.desired.members.keys() {
        let host = renewed.host(*id).expect("the machine is the same");
        assert!(host.systemd && host.root);
        assert_eq!((&host.data, &host.unit), (&Seen::default(), &UnitFacts::default()));
        assert!(host.installed_config.why_unseen().is_some() && host.processes.why_unseen().is_some());
        assert!(renewed.server(*id).is_none());
    }
    assert_eq!(renewed.read_back, ReadBack::Untried);
}

#[test]
fn an_end_is_believed_when_neither_a_service_nor_a_stray_process_is_left() {
    let mut world = dead();
    assert_eq!(asked(&world, &Condition::Down { member: LAST }), Gatekeeper::Open);
    world.host(3).processes = Seen::Is(vec![Process { pid: 77, ..Process::default() }]);
    let Gatekeeper::Waiting(why) = asked(&world, &Condition::Down { member: LAST }) else { panic!("open") };
    assert!(why.contains("pid 77"), "{why}");
    world.host(3).processes = Seen::unseen("no answer", 1);
    assert!(matches!(asked(&world, &Condition::Down { member: LAST }), Gatekeeper::Waiting(_)));
    world.host(3).processes = Seen::Is(Vec::new());
    world.host(3).unit.state = Seen::Is(UnitState::Failed { how: "exit status 1".into(), again: true });
    assert!(
        matches!(asked(&world, &Condition::Down { member: LAST }), Gatekeeper::Waiting(_)),
        "it comes back"
    );
}

const LAST: ServerId = ServerId(3);
