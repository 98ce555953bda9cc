//! Repair: what is proven before data is moved aside, and what is refused.

use super::world::World;
use super::{check, show};
use crate::operator::plan::Goal;
use crate::operator::plan::damage::Damage;
use crate::operator::plan::facts::{DataFacts, HostView, Myid, PortRule, ServerView};
use crate::operator::plan::repair::Wipe;
use crate::wire::ids::ServerId;

fn repair(member: i64) -> Goal {
    Goal::Repair { member: ServerId(member), wipe: Wipe::IfNeeded, purge_old: false }
}

/// A running ensemble whose third member's data directory is full of garbage.
fn garbage() -> World {
    let mut world = World::deployed(3, 0);
    world.dies(3);
    world.host(3).data.damage = vec![Damage::LogsWithoutSnapshot];
    world
}

#[test]
fn garbage_is_moved_aside_after_the_others_proved_to_hold_everything() {
    check(
        &garbage(),
        &repair(3),
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
         note: the server of node-3 ended: killed by signal 9",
    );
}

#[test]
fn a_running_target_is_started_again_when_the_proof_fails() {
    let world = World::deployed(3, 0);
    let goal = Goal::Repair { member: ServerId(3), wipe: Wipe::Always, purge_old: false };
    let text = show(&world, &goal);
    assert!(text.contains("else node-3: server started [as it was: the proof failed]"), "{text}");
}

#[test]
fn wiping_is_refused_while_a_second_voter_is_down() {
    let mut world = garbage();
    world.dies(2);
    check(
        &world,
        &repair(3),
        "REFUSED wiping node-3 can lose acknowledged writes: the others must hold a synced majority of all voters, \
         2 of 3, and only 0 do
         voters in sync besides node-3: none; not in sync: node-1 and node-2
         the data of node-3 took part in epoch 1
         next: zkops start node-2   (or: zkops repair node-2)
         next: zkops repair node-3",
    );
}

#[test]
fn a_healthy_member_that_the_ensemble_cannot_spare_is_refused() {
    let mut world = World::deployed(3, 0);
    world.dies(2);
    assert!(show(&world, &repair(3)).starts_with("REFUSED wiping node-3 can lose acknowledged writes"));
}

#[test]
fn a_healthy_member_needs_nothing() {
    check(&World::deployed(3, 0), &repair(3), "repair node-3: nothing to do");
}

#[test]
fn a_closed_firewall_is_opened_and_the_data_stays() {
    let mut world = World::deployed(3, 0);
    let rule = PortRule { open: false, permanent: false, rule: "zone public: default REJECT".into() };
    for port in [2181, 2888, 3888] {
        world.host(3).firewall.ports.insert(port, rule.clone());
    }
    world.settle();
    check(
        &world,
        &repair(3),
        "repair node-3
         1. put node-3 in order
         node-3: open tcp 2181 2888 3888 [firewalld does not let them through for good] undo: close them again with \
         the same tool; zkops destroy does it
         2. bring node-3 back
         then server 3 in sync and committing (within 60 s)
         note: firewalld on node-3 blocks its ports",
    );
}

#[test]
fn a_missing_myid_beside_our_own_data_is_written_again() {
    let mut world = World::deployed(3, 0);
    world.host(3).data.myid = Myid::Missing;
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
fn an_emptied_data_directory_needs_the_proof_before_it_is_filled_again() {
    let mut world = World::deployed(3, 0);
    world.host(3).data = DataFacts { exists: true, empty: true, ..DataFacts::default() };
    world.dies(3);
    let text = show(&world, &repair(3));
    assert!(text.contains("prove that the others hold everything"), "{text}");
    assert!(!text.contains("begin empty"), "a wiped voter must not vote: {text}");
    world.dies(2);
    assert!(show(&world, &repair(3)).starts_with("REFUSED"));
}

#[test]
fn a_full_disk_is_for_a_person_to_cure() {
    let mut world = World::deployed(3, 0);
    world.dies(3);
    world.host(3).dirs.get_mut("/export/data/zkdata").expect("dir").free_bytes = 0;
    check(
        &world,
        &repair(3),
        "REFUSED repair of node-3 would not help: the disk of /export/data/zkdata is full: 0 KiB free
         next: free space on the file system of /export/data/zkdata on node-3
         next: zkops start node-3",
    );
}

#[test]
fn old_data_goes_only_when_asked_for() {
    let goal = Goal::Repair { member: ServerId(3), wipe: Wipe::IfNeeded, purge_old: true };
    let text = show(&garbage(), &goal);
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
