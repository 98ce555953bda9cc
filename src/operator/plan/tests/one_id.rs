//! One id, one server: no verb starts one beside another that the facts show, and status names both.

use super::moves::{away, moves};
use super::show;
use super::world::{World, serving};
use crate::operator::plan::facts::{Answer, HostView, Old, UnitState};
use crate::operator::plan::repair::Wipe;
use crate::operator::plan::seen::Seen;
use crate::operator::plan::server::{Mode, Server, ServerView};
use crate::operator::plan::status::judge;
use crate::operator::plan::{Goal, diagnosis, lists, one_id, plan};
use crate::wire::ids::{Epoch, ServerId, Zxid};

/// Every goal that starts server `id` where it does not run.
fn starting(id: i64) -> Vec<Goal> {
    let member = ServerId(id);
    vec![
        Goal::Deploy,
        Goal::Start { members: vec![] },
        Goal::Start { members: vec![member] },
        Goal::Restart { members: vec![] },
        Goal::Repair { member, wipe: Wipe::No, purge_old: false },
        Goal::Repair { member, wipe: Wipe::Asked, purge_old: false },
    ]
}

/// Server 3 leads, and counts so many who follow it.
fn counts(world: &mut World, followers: u32) {
    let server = world.facts.members.get_mut(&ServerId(3)).expect("member");
    let ServerView::Serving(leader) = &mut server.server.from_here else { panic!("it leads") };
    leader.synced_followers = Seen::Is(followers);
}

/// A copy of a server on a host of no inventory takes part.
#[test]
fn nobody_starts_a_server_that_the_leader_counts_already() {
    let mut world = World::deployed(3, 0);
    world.dies(1);
    for goal in starting(1) {
        assert!(!show(&world, &goal).starts_with("REFUSED"), "{goal:?}");
    }
    assert!(!one_id::may_be_stale(&world.desired, &world.facts));
    counts(&mut world, 2);
    assert!(one_id::may_be_stale(&world.desired, &world.facts), "it may not have missed it yet");
    let what = "REFUSED a server of node-1 may run elsewhere: a server follows node-3 that is on no host of the inventory\n";
    for goal in starting(1) {
        let text = show(&world, &goal);
        assert!(text.starts_with(what), "{goal:?}: {text}");
        assert!(text.contains("next: on the host of node-3: ss -tn sport = :2888"), "{text}");
    }
    let causes = diagnosis::diagnose(&world.desired, &world.facts, ServerId(1));
    let advice = diagnosis::advice(&causes).expect("advice");
    assert!(advice.starts_with("on the host of node-3: ss"), "no line says to start it: {advice}");
    // Whoever is down otherwise than by proof may be the one that is counted.
    world.host(1).processes = Seen::default();
    assert!(!show(&world, &Goal::Deploy).contains("may run elsewhere"));
}

#[test]
fn a_leader_that_misses_nobody_yet_is_given_the_time_its_ticks_give_it() {
    let mut world = World::deployed(3, 0);
    let patience = |world: &World| one_id::patience(&world.desired).as_millis();
    assert_eq!(patience(&world), 12_000);
    for member in world.desired.members.values_mut() {
        member.config += "tickTime=3000\nsyncLimit=2\n";
    }
    assert_eq!(patience(&world), 9_000);
    // Who moves is counted where it was: nothing is waited for.
    world.dies(1);
    counts(&mut world, 2);
    let config = world.host(2).installed_config.is_mut().expect("deployed");
    *config = config.replace("=10.0.0.1:", "=10.0.0.101:");
    assert!(!one_id::may_be_stale(&world.desired, &world.facts));
}

#[test]
fn nobody_starts_a_member_that_a_running_server_or_most_files_have_elsewhere() {
    let what = "REFUSED orders.yml has node-1 at 10.0.0.1; others have it at 10.0.0.101\n";
    let elsewhere = |config: &str| config.replace("=10.0.0.1:", "=10.0.0.101:");
    let mut world = World::deployed(3, 0);
    world.dies(1);
    let list = lists::read(&elsewhere(world.host(2).installed_config.is().expect("deployed")));
    let (member, address) = (ServerId(2), "10.0.0.2".to_owned());
    world.facts.elsewhere.answers.push(Answer { member, address, says: Some(member), list: Some(list) });
    for goal in [Goal::Start { members: vec![ServerId(1)] }, Goal::Deploy] {
        let text = show(&world, &goal);
        assert!(text.starts_with(what), "{goal:?}: {text}");
        assert!(text.contains("by the server of node-2, as it runs"), "{text}");
    }
    // By files alone: one changed by hand says nothing, most of them do.
    let mut world = World::deployed(5, 0);
    world.dies(1);
    let start = Goal::Start { members: vec![ServerId(1)] };
    for (id, refused) in [(2, false), (3, false), (4, true)] {
        let config = world.host(id).installed_config.is_mut().expect("deployed");
        *config = elsewhere(config);
        let text = show(&world, &start);
        assert_eq!(text.starts_with(what), refused, "{id}: {text}");
    }
}

/// The old server runs again, and takes no part yet: only its host shows it.
#[test]
fn status_names_both_while_the_old_one_is_out_of_sync() {
    let mut world = World::deployed(3, 0);
    let old = world.facts.member(ServerId(3)).host.clone();
    moves(&mut world, 3, away(), true);
    let deploy = plan(&world.desired, &world.facts, &Goal::Deploy).expect("a plan");
    assert!(world.apply(&deploy), "{deploy}");
    world.facts.elsewhere.former[0].listed = false;
    world.facts.elsewhere.former[0].view = Old::Host(old.clone());
    let fences: Vec<_> = (1..=3).map(|id| world.host(id).fences.clone()).collect();
    (1..=3).for_each(|id| world.host(id).fences = Seen::Is(Vec::new()));
    let told = |world: &World| {
        let health = judge(&world.desired, &world.facts);
        let double = "two servers of node-3: at 10.0.0.103 and at 10.0.0.3";
        (health.healthy(), health.reasons.iter().any(|reason| reason.what == double))
    };
    assert_eq!(told(&world), (false, true), "as it still runs there");
    let HostView::Seen(mut host) = old else { panic!("seen") };
    host.unit.state = Seen::Is(UnitState::Stopped);
    (host.unit.enabled, host.processes) = (Seen::Absent, Seen::Is(Vec::new()));
    world.facts.elsewhere.former[0].view = Old::Host(HostView::Seen(host));
    assert_eq!(told(&world), (true, false));
    (1..).zip(fences).for_each(|(id, fences)| world.host(id).fences = fences);
    // By what answers there alone.
    world.facts.elsewhere.former[0].view = away();
    let waits = Server::from_here(ServerView::NotServing { words: "not currently serving requests".into() });
    world.facts.elsewhere.former[0].server = waits;
    assert_eq!(told(&world), (true, false), "everybody blocks it");
    world.host(2).fences = Seen::Is(Vec::new());
    assert_eq!(told(&world), (false, true));
}

/// The new server is there and in sync; a member with the old list was restarted and does not find it.
#[test]
fn a_move_that_has_arrived_is_finished_though_one_of_the_others_is_out() {
    let mut world = World::deployed(3, 0);
    let HostView::Seen(mut old) = world.facts.member(ServerId(3)).host.clone() else { panic!("seen") };
    let new = old.clone();
    old.unit.state = Seen::Is(UnitState::Stopped);
    (old.unit.enabled, old.processes) = (Seen::Absent, Seen::Is(Vec::new()));
    moves(&mut world, 3, Old::Host(HostView::Seen(old)), false);
    *world.host(3) = *new;
    let config = world.desired.members[&ServerId(3)].config.clone();
    *world.host(3).installed_config.is_mut().expect("deployed") = config;
    let words = || ServerView::NotServing { words: "not currently serving requests".into() };
    world.server(2, words());
    let zxid = Zxid::new(Epoch(1), 7);
    world.server(1, serving(Mode::Follower, zxid));
    world.server(3, serving(Mode::Leader, zxid));
    counts(&mut world, 1);
    world.facts.elsewhere.former[0].server = Server::default();
    let deploy = plan(&world.desired, &world.facts, &Goal::Deploy).expect("a way out");
    let text = deploy.to_string();
    let first = text.find("replace the server of node-2").expect("it gets the list");
    assert!(text[..first].contains("prove that the others serve without node-2"), "{text}");
    assert!(!text[..first].contains("replace the server of node-1"), "whom the proof needs: {text}");
    assert!(!text.contains("hold everything without node-3"), "{text}");
    assert!(world.apply(&deploy), "{text}");
    // Where it has not arrived, the others are no quorum, and nothing is started.
    world.server(1, words());
    world.server(3, words());
    assert!(show(&world, &Goal::Deploy).starts_with("REFUSED node-3 cannot move"));
}
