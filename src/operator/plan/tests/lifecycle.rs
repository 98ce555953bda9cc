//! Start, stop and restart: who goes when, behind which gates.

use super::world::World;
use super::{check, show};
use crate::operator::plan::Goal;
use crate::operator::plan::facts::{Marker, Process};
use crate::operator::plan::repair::Wipe;
use crate::operator::plan::seen::Seen;
use crate::operator::plan::server::ServerView;
use crate::operator::plan::ways::{Reach, ReachResult};
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
fn a_stopped_leader_is_waited_for_to_be_followed_by_another() {
    let stop = |id| show(&World::deployed(3, 0), &Goal::Stop { members: vec![ServerId(id)] });
    let (follower, leader) = (stop(1), stop(3));
    let proof = "prove that the others serve without node-3";
    assert!(!follower.contains("prove that"), "{follower}");
    assert!(leader.find("server stopped") < leader.find(proof), "{leader}");
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

/// The program went first, and the data is asked for later.
#[test]
fn destroy_removes_data_that_was_left_by_a_destroy_before() {
    let mut world = World::deployed(3, 0);
    let first = crate::operator::plan::plan(&world.desired, &world.facts, &Goal::Destroy { data: false });
    assert!(world.apply(&first.expect("a plan")));
    check(
        &world,
        &Goal::Destroy { data: false },
        "destroy orders: nothing to do
         note: data directories stay; --data removes them too",
    );
    let text = show(&world, &Goal::Destroy { data: true });
    for n in 1..=3 {
        assert!(text.contains(&format!("node-{n}: remove /export/data/zkdata and all in it")), "{text}");
        assert!(text.contains(&format!("node-{n}: remove zkops from /export/server/zkops")), "{text}");
    }
    let mut used = world.clone();
    used.host(1).processes = Seen::Is(vec![Process { pid: 7, ..Process::default() }]);
    let text = show(&used, &Goal::Destroy { data: true });
    assert!(text.starts_with("REFUSED the data of node-1 is not proven to be out of use"), "{text}");
    world.data(1).marker = None;
    let text = show(&world, &Goal::Destroy { data: true });
    assert!(!text.contains("node-1: remove"), "{text}");
    assert!(text.contains("node-1: /export/data/zkdata is not known to be of orders, and stays"), "{text}");
    let whole = crate::operator::plan::plan(&world.desired, &world.facts, &Goal::Destroy { data: true });
    assert!(world.apply(&whole.expect("a plan")));
    assert!(!show(&world, &Goal::Destroy { data: true }).contains("node-2: remove"));
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

/// In the inventory two ids change places: every host is right, and no verb may make it wrong.
#[test]
fn exchanged_ids_are_refused_by_every_verb() {
    let mut world = World::deployed(3, 0);
    for (id, other) in [(1, 2), (2, 1)] {
        let member = world.desired.members.get_mut(&ServerId(id)).expect("member");
        member.address = format!("10.0.0.{other}");
    }
    let (one, two) = (ServerId(1), ServerId(2));
    let seen = world.facts.members.clone();
    world.facts.members.insert(one, seen[&two].clone());
    world.facts.members.insert(two, seen[&one].clone());
    let all = Vec::new;
    let goals = [
        Goal::Deploy,
        Goal::Start { members: all() },
        Goal::Stop { members: vec![one] },
        Goal::Restart { members: all() },
        Goal::Destroy { data: true },
        Goal::Repair { member: two, wipe: Wipe::No, purge_old: false },
    ];
    for goal in goals {
        check(
            &world,
            &goal,
            "REFUSED the inventory has ids at hosts that are other members of this cluster
             10.0.0.2 is server 2 by its /export/server/zkops/current/zoo.cfg, and orders.yml has server 1 there
             10.0.0.1 is server 1 by its /export/server/zkops/current/zoo.cfg, and orders.yml has server 2 there
             next: put the ids and addresses back as they were in orders.yml",
        );
    }
}

#[test]
fn nobody_is_restarted_with_a_list_that_the_others_do_not_have() {
    let mut world = World::deployed(3, 0);
    let config = world.host(2).installed_config.is_mut().expect("deployed");
    *config = config.replace("server.3=10.0.0.3:", "server.3=10.0.0.33:");
    for members in [vec![], vec![ServerId(1)], vec![ServerId(2)]] {
        let text = show(&world, &Goal::Restart { members });
        assert!(text.starts_with("REFUSED the members are not listed alike everywhere\n"), "{text}");
        assert!(text.contains("next: zkops deploy orders.yml"), "{text}");
    }
    world.dies(2);
    check(
        &world,
        &Goal::Start { members: vec![ServerId(2)] },
        "REFUSED node-2 would look for the others where nobody else has them
         node-3: 10.0.0.33:2888:3888 or 10.0.0.3:2888:3888
         next: zkops deploy orders.yml",
    );
    // What others have, too, is a roll that was not finished: everybody may start as it is.
    let config = world.host(1).installed_config.is_mut().expect("deployed");
    *config = config.replace("server.3=10.0.0.3:", "server.3=10.0.0.33:");
    let text = show(&world, &Goal::Start { members: vec![ServerId(2)] });
    assert!(text.contains("node-2: server started"), "{text}");
}

/// It would be waited for in vain, and the network is not named.
#[test]
fn a_restart_that_opens_no_way_is_refused_with_the_way() {
    let mut world = World::deployed(3, 0);
    world.server(1, ServerView::NotServing { words: "not currently serving requests".into() });
    let cut = |from: i64, to: i64| Reach {
        from: Some(ServerId(from)),
        to: ServerId(to),
        port: 3888,
        result: ReachResult::Timeout,
    };
    world.facts.reach = vec![cut(1, 3)];
    let text = show(&world, &Goal::Restart { members: vec![] });
    assert!(
        text.starts_with("REFUSED a restart of node-1 would not help: something between the hosts blocks tcp 3888 of node-3 for node-1"),
        "{text}"
    );
    assert!(text.contains("next: open tcp 3888 from 10.0.0.1 to 10.0.0.3 in the network between"), "{text}");
    // Nothing keeps it out but itself: that is what a restart is for.
    world.facts.reach.clear();
    assert!(!show(&world, &Goal::Restart { members: vec![] }).starts_with("REFUSED"));
}
