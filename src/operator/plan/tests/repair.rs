//! Repair: which cause gives which cure, what is proven before data is moved aside, and what is refused.

use super::world::World;
use super::{check, show};
use crate::operator::plan::damage::{Damage, OddFile};
use crate::operator::plan::escalation::StillDamaged;
use crate::operator::plan::facts::{DataFacts, HostView, Myid, UnitState};
use crate::operator::plan::network::PortRule;
use crate::operator::plan::repair::Wipe;
use crate::operator::plan::seen::Seen;
use crate::operator::plan::server::ServerView;
use crate::operator::plan::{Goal, repair as planner};
use crate::wire::ids::ServerId;

pub(super) fn repair(member: i64) -> Goal {
    Goal::Repair { member: ServerId(member), wipe: Wipe::No, purge_old: false }
}

fn forced(wipe: Wipe) -> Goal {
    Goal::Repair { member: ServerId(3), wipe, purge_old: false }
}

/// An ensemble whose third member is down, its data full of garbage.
fn garbage() -> World {
    let mut world = World::deployed(3, 0);
    world.dies(3);
    world.data(3).damage = vec![Damage::LogsWithoutSnapshot];
    world
}

/// The same after the server was started on it, refused it, and ended.
fn garbage_still() -> (World, StillDamaged) {
    let before = garbage();
    let mut now = before.clone();
    now.host(3).unit.state = Seen::Is(UnitState::Failed { how: "exit status 3".into(), again: false });
    now.host(3).unit.log = vec!["10:05 acceptedEpoch holds \"x\", which is no epoch".into()];
    let host = |world: &World| world.facts.host(ServerId(3)).expect("seen").clone();
    let proof = StillDamaged::proven(&host(&before), &host(&now)).expect("it says so");
    (now, proof)
}

pub(super) fn closed(rule: &str) -> PortRule {
    PortRule { open: false, permanent: false, rule: rule.into() }
}

#[test]
fn damaged_data_stays_and_its_server_is_started() {
    check(
        &garbage(),
        &repair(3),
        "repair node-3
         1. bring node-3 back
         node-3: server started [not running]
         then server 3 in sync and committing (within 60 s)
         note: the database in /export/data/zkdata is damaged: there are logs but no snapshot
         note: the server of node-3 ended: killed by signal 9",
    );
}

#[test]
fn what_did_not_heal_is_moved_aside_after_the_others_proved_to_hold_everything() {
    let (world, proof) = garbage_still();
    check(
        &world,
        &forced(Wipe::StillDamaged(proof)),
        "repair node-3
         1. stop node-3 and prove that the others hold everything
         node-3: server stopped [its data must not change while it is judged] risk: one voter down meanwhile undo: \
         zkops start node-3
         then server 3 has ended (within 60 s)
         then 2 voters in sync and committing without server 3 (within 60 s)
         2. move the old data aside
         node-3: move /export/data/zkdata/version-2 aside to \
         /export/data/zkdata/zkops.old-20261123T033111Z.version-2 [kept, not deleted] undo: stop the server, remove \
         /export/data/zkdata/version-2, rename /export/data/zkdata/zkops.old-20261123T033111Z.version-2 to \
         /export/data/zkdata/version-2
         node-3: move /export/data/zkdata/myid aside to /export/data/zkdata/zkops.old-20261123T033111Z.myid [kept, \
         not deleted] undo: stop the server, remove /export/data/zkdata/myid, rename \
         /export/data/zkdata/zkops.old-20261123T033111Z.myid to /export/data/zkdata/myid
         node-3: move /export/data/zkdata/zkops.json aside to \
         /export/data/zkdata/zkops.old-20261123T033111Z.zkops.json [kept, not deleted] undo: stop the server, remove \
         /export/data/zkdata/zkops.json, rename /export/data/zkdata/zkops.old-20261123T033111Z.zkops.json to \
         /export/data/zkdata/zkops.json
         3. install node-3 anew
         node-3: file /export/data/zkdata/myid (2 bytes) [the member's identity]
         node-3: mark /export/data/zkdata as server 3 of orders [says whose data this is]
         4. start; it cannot vote before it has synced
         node-3: server started [it takes all data from the leader]
         then server 3 in sync and committing (within 60 s)
         note: the database in /export/data/zkdata is damaged: there are logs but no snapshot
         note: the server of node-3 ended: exit status 3
         note: started again, it says: 10:05 acceptedEpoch holds \"x\", which is no epoch",
    );
}

#[test]
fn a_running_target_is_started_again_when_the_proof_fails() {
    let text = show(&World::deployed(3, 0), &forced(Wipe::Asked));
    assert!(text.contains("else node-3: server started [as it was: the proof failed]"), "{text}");
}

#[test]
fn data_is_not_taken_anew_from_others_that_are_no_quorum() {
    let mut world = garbage();
    world.dies(2);
    check(
        &world,
        &repair(3),
        "REFUSED the data of node-3 must come from the others, and they are no quorum: a synced majority of all \
         voters, 2 of 3, is needed, and only 0 are in sync
         voters in sync besides node-3: none; not in sync: node-1 and node-2
         node-1 waits for a quorum: 1 of 3 voters run, 2 are needed
         the server of node-2 ended: killed by signal 9
         the data of node-3 took part in epoch 1
         next: zkops start node-2",
    );
}

/// One voter of three is left: nobody can tell what the others had acknowledged, and asking repair for it again would
/// go round in a circle.
#[test]
fn data_that_only_one_of_three_still_holds_is_put_back_by_a_person() {
    let mut world = World::deployed(3, 0);
    for id in [2, 3] {
        let marker = world.data(id).marker.take();
        *world.data(id) = DataFacts { exists: true, empty: true, marker, ..DataFacts::default() };
        world.data(id).myid = Myid::Is(ServerId(id));
        world.dies(id);
    }
    for id in [2, 3] {
        let text = show(&world, &repair(id));
        assert!(text.contains(&format!("REFUSED node-{id} cannot be repaired without loss")), "{text}");
        assert!(text.contains("the database of node-2 is gone") || id == 2, "{text}");
        let next: Vec<&str> = text.lines().filter(|line| line.contains("next: ")).collect();
        assert_eq!(
            next,
            ["  next: restore a backup of the data of node-2 (/export/data/zkdata/version-2) or node-3 \
              (/export/data/zkdata/version-2), then: zkops start"],
        );
    }
    let old = "/export/data/zkdata/zkops.old-20261123T033111Z.version-2";
    world.data(3).quarantined = vec![old.to_owned()];
    let text = show(&world, &repair(2));
    let way = format!("next: on node-3: put {old} back as /export/data/zkdata/version-2, then: zkops start");
    assert!(text.contains(&way), "{text}");
}

#[test]
fn a_member_that_alone_makes_no_quorum_points_to_the_others() {
    let mut world = World::deployed(3, 0);
    [1, 2, 3].into_iter().for_each(|id| world.dies(id));
    check(
        &world,
        &repair(3),
        "REFUSED repair of node-3 alone would not help: with it 1 of 3 voters run, and 2 are needed
         the server of node-1 ended: killed by signal 9
         the server of node-2 ended: killed by signal 9
         next: zkops start",
    );
}

/// What keeps this member out is a rule on another host: it is named there, and nothing here is touched.
#[test]
fn a_firewall_of_the_leaders_host_is_named_with_port_and_rule() {
    let mut world = World::deployed(3, 0);
    world.server(1, ServerView::NotServing { words: "no leader".into() });
    world.rule(3, 2888, closed("zone public: default REJECT"));
    check(
        &world,
        &repair(1),
        "REFUSED repair of node-1 would not help: firewalld on node-3 blocks tcp 2888: node-1 cannot reach it
         tcp 2888 (quorum port of node-3): zone public: default REJECT
         next: zkops repair node-3",
    );
    check(
        &world,
        &repair(3),
        "repair node-3
         1. put node-3 in order
         node-3: open tcp 2888 from 10.0.0.1 10.0.0.2 [firewalld does not let them through for good] undo: close them again with the same \
         tool; zkops destroy does it
         note: firewalld on node-3 blocks its ports",
    );
}

#[test]
fn foreign_data_goes_only_by_its_name() {
    let mut world = World::deployed(3, 0);
    world.dies(3);
    world.data(3).marker.as_mut().expect("marker").cluster = "billing".into();
    assert_eq!(planner::foreign(&world.desired, &world.facts, ServerId(3)).as_deref(), Some("billing"));
    let refused = show(&world, &repair(3));
    assert!(
        refused.starts_with("REFUSED /export/data/zkdata holds data of cluster \"billing\", server 3"),
        "{refused}"
    );
    let wrong = show(&world, &forced(Wipe::Foreign("orders".into())));
    assert!(
        wrong.starts_with("REFUSED /export/data/zkdata holds data of cluster \"billing\", not of"),
        "{wrong}"
    );
    let (_, proof) = garbage_still();
    assert!(
        show(&world, &forced(Wipe::StillDamaged(proof))).starts_with("REFUSED"),
        "damage is not foreign data"
    );
    let text = show(&world, &forced(Wipe::Foreign("billing".into())));
    assert!(text.contains("prove that the others hold everything"), "{text}");
    // A name that was said beforehand takes nothing that is not foreign.
    check(&World::deployed(3, 0), &forced(Wipe::Foreign("billing".into())), "repair node-3: nothing to do");
}

/// Same hosts, another cluster's inventory: every verb that changes something refuses, whatever is seen of whose it is.
#[test]
fn another_clusters_inventory_changes_nothing() {
    let mut installed = World::deployed(3, 0);
    for id in 1..=3 {
        let config = installed.host(id).installed_config.is().expect("deployed").clone();
        installed.host(id).installed_config =
            Seen::Is(config.replace("zkops.cluster=orders", "zkops.cluster=billing"));
    }
    let mut marked = World::deployed(3, 0);
    for id in 1..=3 {
        marked.host(id).installed_config = Seen::Absent;
        marked.data(id).marker.as_mut().expect("marker").cluster = "billing".into();
    }
    let goals = [
        repair(3),
        forced(Wipe::Asked),
        forced(Wipe::Foreign("billing".into())),
        Goal::Start { members: vec![] },
        Goal::Stop { members: vec![] },
        Goal::Restart { members: vec![] },
        Goal::Destroy { data: true },
    ];
    for goal in &goals {
        for (world, says) in
            [(&installed, "zoo.cfg says zkops.cluster=billing"), (&marked, "zkops.json says cluster")]
        {
            let text = show(world, goal);
            assert!(
                text.starts_with(
                    "REFUSED node-1 belongs to cluster \"billing\", and orders.yml describes \"orders\""
                ),
                "{text}"
            );
            assert!(text.contains(says), "{text}");
        }
    }
    assert!(show(&installed, &Goal::Deploy).starts_with("REFUSED node-1 belongs to cluster \"billing\""));
}

/// A member at another address, or another member, is no repair: two servers of one id could come of it.
#[test]
fn an_inventory_that_moves_a_member_is_for_deploy() {
    let mut world = World::deployed(3, 0);
    world.dies(3);
    for member in world.desired.members.values_mut() {
        member.config = member.config.replace("10.0.0.3:2888", "10.0.0.9:2888");
    }
    let text = show(&world, &repair(3));
    assert!(text.starts_with("REFUSED orders.yml has server 3 otherwise than node-1 knows it"), "{text}");
    assert!(text.contains("next: zkops deploy orders.yml"), "{text}");
}

/// The server heals what a leader's data makes good, so it is started; what it would refuse is not.
#[test]
fn a_start_on_damage_that_heals_is_a_start() {
    let start = |world: &World| show(world, &Goal::Start { members: vec![ServerId(3)] });
    assert!(start(&garbage()).contains("node-3: server started"), "{}", start(&garbage()));
    let mut alone = garbage();
    for id in [1, 2] {
        alone.data(id).damage = vec![Damage::LogsWithoutSnapshot];
    }
    assert!(start(&alone).starts_with("REFUSED the database in"), "nobody is left to heal it");
    let mut marker = garbage();
    let path = "/export/data/zkdata/zkops.json".into();
    marker.data(3).damage = vec![Damage::BadMarker(OddFile { path, how: "says nothing".into() })];
    assert!(start(&marker).starts_with("REFUSED the database in"), "it is nobody's");
}

#[test]
fn a_healthy_member_needs_nothing() {
    check(&World::deployed(3, 0), &repair(3), "repair node-3: nothing to do");
    // Nor does it when another one is down.
    let mut world = World::deployed(3, 0);
    world.dies(2);
    check(&world, &repair(3), "repair node-3: nothing to do");
    assert!(show(&world, &forced(Wipe::Asked)).contains("next: zkops start node-2"));
}

#[test]
fn a_closed_firewall_is_opened_and_the_data_stays() {
    let mut world = World::deployed(3, 0);
    let rule = PortRule { open: false, permanent: false, rule: "zone public: default REJECT".into() };
    for port in [2181, 2888, 3888] {
        world.rule(3, port, rule.clone());
    }
    world.settle();
    check(
        &world,
        &repair(3),
        "repair node-3
         1. put node-3 in order
         node-3: open tcp 2181, tcp 2888 3888 from 10.0.0.1 10.0.0.2 [firewalld does not let them through for good] undo: close them again with \
         the same tool; zkops destroy does it
         2. bring node-3 back
         then server 3 in sync and committing (within 60 s)
         note: firewalld on node-3 blocks its ports",
    );
}

#[test]
fn a_missing_myid_beside_our_own_data_is_written_again() {
    let mut world = World::deployed(3, 0);
    world.data(3).myid = Myid::Missing;
    world.dies(3);
    check(
        &world,
        &repair(3),
        "repair node-3
         1. put node-3 in order
         node-3: file /export/data/zkdata/myid (2 bytes) [the member's identity]
         2. bring node-3 back
         node-3: server started [not running]
         then server 3 in sync and committing (within 60 s)
         note: /export/data/zkdata/myid is missing
         note: the server of node-3 ended: killed by signal 9",
    );
}

#[test]
fn an_emptied_data_directory_is_filled_by_the_others_or_not_at_all() {
    let mut world = World::deployed(3, 0);
    *world.data(3) = DataFacts { exists: true, empty: true, ..DataFacts::default() };
    world.dies(3);
    let text = show(&world, &repair(3));
    assert!(text.contains("node-3: server started") && text.contains("zkdata/myid (2 bytes)"), "{text}");
    assert!(!text.contains("begin empty"), "a wiped voter must not vote: {text}");
    world.dies(2);
    assert!(show(&world, &repair(3)).starts_with("REFUSED the data of node-3 must come from the others"));
}

#[test]
fn old_data_goes_only_when_asked_for() {
    let goal = Goal::Repair { member: ServerId(3), wipe: Wipe::Asked, purge_old: true };
    let text = show(&World::deployed(3, 0), &goal);
    assert!(
        text.contains("remove /export/data/zkdata/zkops.old-20261123T033111Z.version-2 and all in it"),
        "{text}"
    );
}

#[test]
fn a_host_that_cannot_be_reached_is_said_so() {
    let mut world = World::deployed(3, 0);
    world.unreachable(3);
    check(&world, &repair(3), "UNREACHABLE cannot reach 10.0.0.1:22: timed out");
    world.facts.members.get_mut(&ServerId(3)).expect("member").host = HostView::Unasked;
    world.server(3, ServerView::Unasked);
    check(&world, &repair(3), "UNREACHABLE node-3: nobody asked its host");
}
