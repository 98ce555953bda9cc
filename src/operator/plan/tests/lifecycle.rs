//! Start, stop and restart: who goes when, behind which gates.

use super::world::World;
use super::{check, show};
use crate::operator::plan::Goal;
use crate::operator::plan::facts::Marker;
use crate::operator::plan::server::ServerView;
use crate::wire::ids::ServerId;

fn all_dead() -> World {
    let mut world = World::deployed(3, 0);
    for id in [1, 2, 3] {
        world.dies(id);
    }
    world
}

#[test]
fn a_fully_stopped_ensemble_starts_together() {
    check(
        &all_dead(),
        &Goal::Start { members: vec![] },
        "start orders
         1. start
         node-1: server started [not running]
         node-2: server started [not running]
         node-3: server started [not running]
         then one leader, all others in sync, canary read back everywhere (within 60 s)",
    );
}

#[test]
fn starting_one_of_many_only_asks_that_it_lives() {
    let text = show(&all_dead(), &Goal::Start { members: vec![ServerId(1)] });
    assert!(text.contains("then server 1 keeps running (within 5 s)"), "{text}");
    assert!(text.contains("1 of 3 voters will run; 2 are needed"), "{text}");
}

#[test]
fn what_runs_need_not_be_started() {
    check(&World::deployed(3, 1), &Goal::Start { members: vec![] }, "start orders: nothing to do");
}

/// Its manager may be restarting a server that ends again and again: that is not "started".
#[test]
fn a_member_that_runs_and_does_not_take_part_is_waited_for() {
    let mut world = World::deployed(3, 0);
    world.server(2, ServerView::NotServing { words: "no leader".to_owned() });
    check(
        &world,
        &Goal::Start { members: vec![ServerId(2)] },
        "start node-2
         1. wait until ready
         then one leader, all others in sync, canary read back everywhere (within 60 s)",
    );
}

#[test]
fn a_member_never_starts_on_data_of_another() {
    let mut world = all_dead();
    world.data(2).marker =
        Some(Marker { cluster: "orders".into(), uuid: "11111111-2222".into(), id: ServerId(1) });
    check(
        &world,
        &Goal::Start { members: vec![] },
        "REFUSED /export/data/zkdata holds data of cluster \"orders\", server 1
         /export/data/zkdata/zkops.json says so
         next: zkops repair node-2 --foreign-data orders",
    );
}

#[test]
fn stopping_everything_takes_the_leader_last() {
    check(
        &World::deployed(3, 0),
        &Goal::Stop { members: vec![] },
        "stop orders
         1. stop node-1 and node-2
         node-1: server stopped [asked for] risk: the ensemble stops serving undo: zkops start node-1
         node-2: server stopped [asked for] risk: the ensemble stops serving undo: zkops start node-2
         then server 1 has ended (within 60 s)
         then server 2 has ended (within 60 s)
         2. stop node-3
         node-3: server stopped [asked for] risk: the ensemble stops serving undo: zkops start node-3
         then server 3 has ended (within 60 s)",
    );
    check(&all_dead(), &Goal::Stop { members: vec![] }, "stop orders: nothing to do");
}

#[test]
fn stopping_the_voter_that_holds_the_quorum_is_refused() {
    let mut world = World::deployed(3, 0);
    world.dies(1);
    check(
        &world,
        &Goal::Stop { members: vec![ServerId(2)] },
        "REFUSED taking node-2 down would stop the ensemble: 2 of 3 voters are needed, and without node-2 only 1 \
         would be left
         in sync besides node-2: node-3; not in sync: node-1
         node-3 leads and counts 1 of 2 other voters in sync
         next: zkops start node-1",
    );
}

#[test]
fn an_observer_can_always_be_stopped() {
    let mut world = World::deployed(3, 1);
    world.dies(1);
    let text = show(&world, &Goal::Stop { members: vec![ServerId(4)] });
    assert!(text.contains("node-4: server stopped [asked for] risk: its clients reconnect"), "{text}");
}

#[test]
fn a_restart_rolls_and_starts_what_is_down_first() {
    let mut world = World::deployed(5, 0);
    world.dies(1);
    let text = show(&world, &Goal::Restart { members: vec![] });
    let titles: Vec<&str> =
        text.lines().filter(|line| line.starts_with(|c: char| c.is_ascii_digit())).collect();
    assert_eq!(titles[0], "1. start together");
    assert_eq!(titles[1], "2. prove that the others serve without node-2");
    assert_eq!(titles[titles.len() - 2], "9. replace the server of node-5");
}

#[test]
fn a_restart_of_what_does_not_serve_needs_no_rolling() {
    let mut world = World::deployed(3, 0);
    world.dies(1);
    world.dies(2);
    check(
        &world,
        &Goal::Restart { members: vec![] },
        "restart orders
         1. prove that nothing is served yet
         then nothing is served yet (within 5 s)
         2. start together
         node-1: server started [not running]
         node-2: server started [not running]
         node-3: server restarted [nothing serves now]
         then 2 voters in sync and committing (within 60 s)
         3. wait until ready
         then one leader, all others in sync, canary read back everywhere (within 60 s)",
    );
}

#[test]
fn one_dead_host_does_not_keep_the_others_from_stopping() {
    let mut world = World::deployed(3, 0);
    world.unreachable(1);
    let plan = crate::operator::plan::plan(&world.desired, &world.facts, &Goal::Stop { members: vec![] })
        .expect("plan");
    assert_eq!(plan.steps().count(), 2);
    assert_eq!(plan.skipped.len(), 1);
}

#[test]
fn destroy_removes_what_deploy_made_and_keeps_data() {
    let text = show(&World::deployed(3, 0), &Goal::Destroy { data: false });
    assert!(text.contains("node-1: service removed"), "{text}");
    assert!(
        text.contains("node-1: close tcp 2181, tcp 2888 3888 from 10.0.0.2 10.0.0.3 [deploy opened them]"),
        "{text}"
    );
    assert!(text.contains("node-1: remove zkops from /export/server/zkops"), "{text}");
    assert!(!text.contains("/export/data/zkdata"), "{text}");
    let text = show(&World::deployed(3, 0), &Goal::Destroy { data: true });
    assert!(text.contains("remove /export/data/zkdata and all in it"), "{text}");
    check(&World::bare(3, 0), &Goal::Destroy { data: true }, "destroy orders: nothing to do");
}

/// One alone serves nobody, whether it is started, restarted, or runs already.
#[test]
fn a_member_that_is_alone_is_not_taken_for_an_ensemble() {
    let members = || vec![ServerId(1)];
    for goal in [Goal::Restart { members: members() }, Goal::Start { members: members() }] {
        let text = show(&all_dead(), &goal);
        assert!(text.contains("1 of 3 voters will run; 2 are needed before anything is served"), "{text}");
        assert!(text.contains("zkops start"), "{text}");
        let text = show(&World::deployed(3, 0), &goal);
        assert!(!text.contains("are needed"), "{text}");
    }
}
