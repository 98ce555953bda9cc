//! A member whose address changes: what is planned, what is refused, and the laws that hold whatever is seen.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use proptest::prelude::*;

use super::world::World;
use super::{check, show};
use crate::operator::plan::facts::{Answer, Former, HostView, NoWayIn, Old, UnitState, Unreachable};
use crate::operator::plan::remembered::{Last, Remembered};
use crate::operator::plan::repair::Wipe;
use crate::operator::plan::seen::Seen;
use crate::operator::plan::server::{BlindCause, Server, ServerView};
use crate::operator::plan::step::{Action, Condition, Plan, Service, Shut};
use crate::operator::plan::{Goal, Stop, diagnosis, former, lists, plan};
use crate::wire::ids::ServerId;

/// The inventory has `id` at an address that nobody lists, on a bare host; its old place is as `view` says.
pub(super) fn moves(world: &mut World, id: i64, view: Old, said_gone: bool) {
    let (old, new) = (format!("10.0.0.{id}"), format!("10.0.0.{}", 100 + id));
    for member in world.desired.members.values_mut() {
        member.config = member.config.replace(&format!("={old}:"), &format!("={new}:"));
    }
    let at = ServerId(id);
    if !matches!(view, Old::SameMachine | Old::Host(HostView::Seen(_))) {
        world.dies(id);
    }
    let server = world.facts.member(at).server.clone();
    let member = world.desired.members.get_mut(&at).expect("member");
    member.address = new;
    let voters = i64::try_from(world.desired.voters().count()).expect("few");
    let observers = i64::try_from(world.desired.members.len()).expect("few") - voters;
    if view != Old::SameMachine {
        let mut bare = World::bare(voters, observers).facts.members.remove(&at).expect("member");
        bare.server = Server::from_here(ServerView::blind(BlindCause::Refused, "connection refused"));
        if let HostView::Seen(host) = &mut bare.host {
            host.fences = Seen::Is(Vec::new());
        }
        world.facts.members.insert(at, bare);
    }
    let ips = vec![old.parse::<IpAddr>().expect("an address")];
    world.facts.elsewhere.former.push(Former {
        ips,
        listed: true,
        said_gone,
        view,
        server,
        ..Former::at(at, old)
    });
}

/// The host of `id` as it is now, reached at its old address.
fn alive(world: &World, id: i64) -> Old {
    Old::Host(world.facts.member(ServerId(id)).host.clone())
}

pub(super) fn away() -> Old {
    let text = "cannot reach 10.0.0.3:22: timed out".to_owned();
    Old::Host(HostView::Unreachable(Unreachable { kind: NoWayIn::Connection, text }))
}

#[test]
fn the_old_server_is_proven_never_to_run_again_before_the_new_one_starts() {
    let mut world = World::deployed(3, 0);
    let old = alive(&world, 3);
    moves(&mut world, 3, old, false);
    let text = show(&world, &Goal::Deploy);
    let order = [
        "prove that the others hold everything without node-3",
        "then 2 voters in sync and committing without server 3",
        "make sure that the old server of node-3 never runs again",
        "server on 10.0.0.3 stopped and disabled [node-3 moves to 10.0.0.103]",
        "then 2 voters in sync and committing without server 3",
        "node-3: server started",
        "prove that the others serve without node-1",
        "node-2: server restarted",
        "wait until ready",
    ];
    let mut rest = text.as_str();
    for line in order {
        let (_, after) =
            rest.split_once(line).unwrap_or_else(|| panic!("{line:?} is not in its place:\n{text}"));
        rest = after;
    }
    assert!(!text.contains("may begin empty"), "{text}");
    assert!(text.contains("note: node-3 starts empty at 10.0.0.103 and syncs from the others"), "{text}");
}

#[test]
fn an_old_host_that_cannot_be_asked_is_a_reason_to_refuse() {
    let mut world = World::deployed(3, 0);
    moves(&mut world, 3, away(), false);
    check(
        &world,
        &Goal::Deploy,
        "REFUSED node-3 cannot move: its old server on 10.0.0.3 is not proven stopped
           node-3 was at 10.0.0.3; the inventory has it at 10.0.0.103
           cannot reach 10.0.0.3:22: timed out
           next: make 10.0.0.3 reachable again and run this again: it stops and disables the old server
           next: if that host is gone for good: zkops deploy orders.yml --old-host-is-gone   (all others block 10.0.0.3)",
    );
    // A person's word alone is not enough: everybody blocks it.
    world.facts.elsewhere.former[0].said_gone = true;
    let text = show(&world, &Goal::Deploy);
    for node in 1..=3 {
        assert!(text.contains(&format!("node-{node}: block 10.0.0.3 in both directions")), "{text}");
    }
    // Who cannot is named.
    world.host(2).fences = Seen::unseen("only root may list the fences of this host", 1);
    let text = show(&world, &Goal::Deploy);
    assert!(text.starts_with("REFUSED node-3 cannot move: not every host can block 10.0.0.3\n"), "{text}");
    assert!(text.contains("node-2: only root may list"), "{text}");
}

#[test]
fn a_move_is_refused_where_the_others_do_not_hold_everything() {
    let mut world = World::deployed(3, 0);
    let old = alive(&world, 3);
    moves(&mut world, 3, old, false);
    world.dies(1);
    let text = show(&world, &Goal::Deploy);
    assert!(
        text.starts_with("REFUSED node-3 cannot move: the others do not hold a quorum without it"),
        "{text}"
    );
    assert!(text.contains("next: zkops start node-1"), "{text}");

    // Two voters cannot spare any.
    let mut world = World::deployed(2, 0);
    let old = alive(&world, 2);
    moves(&mut world, 2, old, false);
    let text = show(&world, &Goal::Deploy);
    assert!(text.contains("next: put node-2 back to 10.0.0.2 in orders.yml"), "{text}");

    let mut world = World::deployed(5, 0);
    for id in [2, 4] {
        let old = alive(&world, id);
        moves(&mut world, id, old, false);
    }
    let text = show(&world, &Goal::Deploy);
    assert!(text.starts_with("REFUSED node-2 and node-4 change their addresses at once"), "{text}");
    assert!(text.contains("next: put node-4 to 10.0.0.4 back in orders.yml"), "{text}");
}

#[test]
fn data_at_the_new_place_are_not_overwritten() {
    let mut world = World::deployed(3, 0);
    let old = alive(&world, 3);
    moves(&mut world, 3, old, false);
    let marker = world
        .data(1)
        .marker
        .clone()
        .map(|marker| crate::operator::plan::facts::Marker { id: ServerId(3), ..marker });
    let data = world.data(3);
    (data.empty, data.marker) = (false, marker);
    let text = show(&world, &Goal::Deploy);
    assert!(
        text.starts_with(
            "REFUSED node-3 cannot move to 10.0.0.103: /export/data/zkdata there is not proven empty"
        ),
        "{text}"
    );
}

/// Only what is proven to be this member's: the host may have somebody else's ensemble by now.
#[test]
fn what_deploy_put_on_the_old_host_goes_when_all_are_ready() {
    let removed = "node-3: service and zkops removed from 10.0.0.3";
    let planned = |config: &str| {
        let mut world = World::deployed(3, 0);
        world.host(3).installed_config.is_mut().expect("a zoo.cfg").push_str(config);
        let old = alive(&world, 3);
        moves(&mut world, 3, old, false);
        show(&world, &Goal::Deploy)
    };
    let ours = "\nzkops.cluster=orders\nzkops.member=3\n";
    let text = planned(ours);
    let (_, behind) = text.split_once("wait until ready").expect("it waits");
    assert!(
        behind.contains(removed) && behind.contains("[node-3 is at 10.0.0.103; its data there stay]"),
        "{text}"
    );
    for theirs in ["\nzkops.cluster=billing\nzkops.member=3\n", "\nzkops.cluster=orders\nzkops.member=2\n"] {
        let text = planned(&format!("{ours}{theirs}"));
        assert!(text.contains("server on 10.0.0.3 stopped") && !text.contains(removed), "{theirs}{text}");
    }
}

/// Back where it was: the data that stayed there know nothing of what the member promised since.
#[test]
fn a_place_it_moved_away_from_does_not_count_as_this_move_begun() {
    let mut world = World::deployed(3, 0);
    let mut there = world.clone();
    let host = there.host(3);
    let config = host.installed_config.is_mut().expect("a zoo.cfg");
    *config = config.replace("=10.0.0.3:", "=10.0.0.103:");
    host.unit.enabled = Seen::Absent;
    there.dies(3);
    let old = alive(&world, 3);
    moves(&mut world, 3, old, false);
    world.facts.members.insert(ServerId(3), there.facts.member(ServerId(3)).clone());
    let text = show(&world, &Goal::Deploy);
    assert!(text.starts_with("REFUSED node-3 cannot move to 10.0.0.103: /export/data/zkdata"), "{text}");
    assert!(text.contains("next: on 10.0.0.103: mv /export/data/zkdata /export/data/zkdata.old"), "{text}");
    // What this move has put there is to start at boot, even where it does not run.
    world.host(3).unit.enabled = Seen::Is(());
    assert!(!show(&world, &Goal::Deploy).contains("cannot move to"));
}

#[test]
fn another_name_of_the_same_machine_is_no_move() {
    let mut world = World::deployed(3, 0);
    moves(&mut world, 3, Old::SameMachine, false);
    let text = show(&world, &Goal::Deploy);
    assert!(!text.contains("never runs again") && text.contains("replace the server of node-1"), "{text}");
}

#[test]
fn a_fence_is_lifted_once_the_old_server_was_seen_disabled() {
    let mut world = World::deployed(3, 0);
    let old = alive(&world, 3);
    world.facts.elsewhere.remembered = Remembered::new(Last::This, Some(&world.desired));
    moves(&mut world, 3, away(), true);
    let plan = plan(&world.desired, &world.facts, &Goal::Deploy).expect("a plan");
    assert!(world.apply(&plan), "{plan}");
    // The lists name it no more; the fence does.
    world.facts.elsewhere.former[0].listed = false;
    world.facts.elsewhere.former[0].said_gone = false;
    check(
        &world,
        &Goal::Deploy,
        "deploy orders: nothing to do
         note: 10.0.0.3 is blocked on node-1, node-2 and node-3: the old server of node-3 there was not seen disabled; \
         when that host is back: zkops deploy orders.yml",
    );
    world.facts.elsewhere.former[0].view = old;
    check(
        &world,
        &Goal::Deploy,
        "deploy orders
         1. make sure that the old server of node-3 never runs again
            node-3: server on 10.0.0.3 stopped and disabled [node-3 moves to 10.0.0.103]
         2. lift the fence around 10.0.0.3
            node-1: block 10.0.0.3 no longer [the old server of node-3 is stopped and disabled]
            node-2: block 10.0.0.3 no longer [the old server of node-3 is stopped and disabled]
            node-3: block 10.0.0.3 no longer [the old server of node-3 is stopped and disabled]
         3. wait until ready
         then one leader, all others in sync, canary read back everywhere (within 60 s)
         4. leave the old hosts
            node-3: service and zkops removed from 10.0.0.3, close tcp 2181, tcp 2888 3888 from 10.0.0.1 10.0.0.2 [node-3 is at 10.0.0.103; its data there stay]",
    );
    // A run that was stopped before its last wave is finished by the next one.
    for id in 1..=3 {
        world.host(id).fences = Seen::Is(Vec::new());
    }
    let Old::Host(HostView::Seen(host)) = &mut world.facts.elsewhere.former[0].view else { panic!() };
    host.unit.state = Seen::Is(UnitState::Stopped);
    (host.unit.enabled, host.processes) = (Seen::Absent, Seen::Is(Vec::new()));
    let text = show(&world, &Goal::Deploy);
    assert!(
        text.starts_with("deploy orders\n1. leave the old hosts\n   node-3: service and zkops removed"),
        "{text}"
    );
    assert!(!text.contains("2. "), "{text}");
}

/// The zoo.cfg of `on` has server 3 at `address`, changed by hand.
fn edited(world: &mut World, on: i64, address: &str) {
    let config = world.host(on).installed_config.is_mut().expect("a zoo.cfg");
    *config = config.replace("server.3=10.0.0.3:", &format!("server.3={address}:"));
}

#[test]
fn one_file_changed_by_hand_is_no_move() {
    for address in ["10.0.0.99", "10.0.0.2"] {
        let mut world = World::deployed(3, 0);
        edited(&mut world, 1, address);
        assert_eq!(former::moved(&world.desired, &world.facts, |_, _| false), BTreeMap::new(), "{address}");
        // What a deployment or a fence remembers is looked at, and so is what most have.
        let there = BTreeMap::from([(ServerId(3), BTreeSet::from([address.to_owned()]))]);
        assert_eq!(former::moved(&world.desired, &world.facts, |_, _| true), there);
        let mut stopped = world.clone();
        stopped.dies(3);
        assert_eq!(
            former::moved(&stopped.desired, &stopped.facts, |_, _| false),
            there,
            "nothing runs at home"
        );
        edited(&mut world, 2, address);
        assert_eq!(
            former::moved(&world.desired, &world.facts, |_, _| false),
            there,
            "two of three have it there"
        );
    }
    // Nor where it is the file of the member itself, whose server says where it is.
    let mut world = World::deployed(3, 0);
    edited(&mut world, 3, "10.0.0.99");
    let list = lists::wanted(&world.desired);
    for id in 1..=3 {
        let (member, says) = (ServerId(id), Some(ServerId(id)));
        let answer = Answer { member, address: format!("10.0.0.{id}"), says, list: Some(list.clone()) };
        world.facts.elsewhere.answers.push(answer);
    }
    assert_eq!(former::moved(&world.desired, &world.facts, |_, _| false), BTreeMap::new());
}

/// Whatever names it as a former place: it would be the server of a healthy member that is stopped, or blocked.
#[test]
fn the_address_of_another_member_is_neither_stopped_nor_blocked() {
    let mut world = World::deployed(3, 0);
    edited(&mut world, 1, "10.0.0.2");
    for view in [alive(&world, 2), away()] {
        for listed in [true, false] {
            let mut world = world.clone();
            let old = Former::at(ServerId(3), "10.0.0.2");
            let ips = vec!["10.0.0.2".parse::<IpAddr>().expect("an address")];
            world.facts.elsewhere.former =
                vec![Former { listed, said_gone: true, view: view.clone(), ips, ..old }];
            let text = show(&world, &Goal::Deploy);
            assert!(!text.contains("stopped and disabled") && !text.contains("node-1: block"), "{text}");
            let refused = "REFUSED node-3 cannot move from 10.0.0.2: that is the address of node-2";
            assert_eq!(text.starts_with(refused), listed, "{text}");
        }
    }
}

/// A move that was cut off, and the inventory of before: the member may run where nobody looks.
#[test]
fn a_server_that_a_move_disabled_is_started_by_nobody() {
    let mut world = World::deployed(3, 0);
    world.host(3).unit.enabled = Seen::Absent;
    world.dies(3);
    let id = ServerId(3);
    let goals = [
        Goal::Deploy,
        Goal::Start { members: vec![] },
        Goal::Start { members: vec![id] },
        Goal::Restart { members: vec![] },
        Goal::Repair { member: id, wipe: Wipe::No, purge_old: false },
    ];
    let what =
        "REFUSED node-3 does not run at 10.0.0.3 and was disabled there: it may run where it moved to\n";
    let enable = ["set \"disabled\" to false in", "systemctl enable"];
    for (systemd, enable) in [false, true].into_iter().zip(enable) {
        world.host(3).systemd = systemd;
        for goal in &goals {
            let text = show(&world, goal);
            assert!(text.starts_with(what) && text.contains(enable), "{goal:?}: {text}");
            assert!(text.contains("next: deploy the inventory that has node-3 where it moved to"), "{text}");
        }
    }
    let causes = diagnosis::diagnose(&world.desired, &world.facts, id);
    let advice = diagnosis::advice(&causes).expect("advice");
    assert!(advice.starts_with("deploy the inventory that has node-3 where it moved to"), "{advice}");
    // A first deployment that was cut off before its service was enabled has nothing to be somewhere else.
    world.data(3).has_database = false;
    assert!(!show(&world, &Goal::Deploy).contains("may run where"));
}

/// Nobody remembers whose it was, and its host is away: it stays, and that is said.
#[test]
fn a_fence_of_nobody_knows_whom_is_told_by_deploy() {
    let mut world = World::deployed(3, 0);
    for id in [1, 2] {
        world.host(id).fences = Seen::Is(vec!["10.0.0.99".parse().expect("an address")]);
    }
    let told = "note: 10.0.0.99 is blocked on node-1 and node-2: an old server there was not seen disabled";
    let text = show(&world, &Goal::Deploy);
    assert!(text.contains(told), "{text}");
    // Its place was found, and reached: what is done about it is in the plan.
    let seen = alive(&world, 3);
    let ips = vec!["10.0.0.99".parse().expect("an address")];
    world.facts.elsewhere.former.push(Former { ips, view: seen, ..Former::at(ServerId(3), "10.0.0.99") });
    let text = show(&world, &Goal::Deploy);
    assert!(!text.contains("is blocked on"), "{text}");
    assert!(text.contains("lift the fence around 10.0.0.99"), "{text}");
}

/// Whose they were, nobody needs to know for that.
#[test]
fn destroy_leaves_no_fence() {
    let mut world = World::deployed(3, 0);
    world.host(2).fences = Seen::Is(vec!["10.0.0.99".parse().expect("an address")]);
    let text = show(&world, &Goal::Destroy { data: false });
    assert!(text.contains("node-2: block 10.0.0.99 no longer [deploy blocked it]"), "{text}");
    assert!(!text.contains("node-1: block"), "{text}");
}

#[derive(Clone, Copy, Debug)]
enum Seeing {
    Alive,
    Stopped,
    Away,
    Unasked,
    Same,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_id_starts_elsewhere_unproven(
        voters in prop_oneof![Just(3i64), Just(5)],
        observers in 0i64..2,
        moved in proptest::collection::btree_map(1i64..=6, (seeing(), any::<bool>()), 1..3),
        dead in proptest::collection::btree_set(1i64..=5, 0..3),
        fenced in proptest::collection::btree_set(1i64..=6, 0..7),
    ) {
        let mut world = World::deployed(voters, observers);
        let moved: Vec<_> = moved.into_iter().filter(|(id, _)| *id <= voters + observers).collect();
        for (id, (seeing, gone)) in &moved {
            let view = view(&world, *id, *seeing);
            moves(&mut world, *id, view, *gone);
        }
        let ids: Vec<i64> = moved.iter().map(|(id, _)| *id).collect();
        for id in dead.into_iter().filter(|id| *id <= voters && !ids.contains(id)) {
            world.dies(id);
        }
        let blocked: Vec<IpAddr> = world.facts.elsewhere.former.iter().flat_map(|old| old.ips.clone()).collect();
        for id in fenced.into_iter().filter(|id| *id <= voters + observers) {
            world.host(id).fences = Seen::Is(blocked.clone());
        }
        let Ok(plan) = plan(&world.desired, &world.facts, &Goal::Deploy) else { return Ok(()) };
        let elsewhere: Vec<&Former> = world.facts.elsewhere.former.iter().filter(|old| old.elsewhere()).collect();
        let moved_voters = elsewhere.iter().filter(|old| world.desired.members[&old.member].voter).count();
        prop_assert!(moved_voters <= 1, "{plan}");
        for old in elsewhere {
            let start = first(&plan, |action, id| {
                id == old.member && matches!(action, Action::Service(Service::Started | Service::Restarted))
            });
            let Some(start) = start else { continue };
            let retired = first(&plan, |action, id| id == old.member && action.old_address() == Some(&old.address));
            let fenced = world.desired.members.keys().all(|other| {
                let before = world.facts.host(*other).is_some_and(|host| old.is_fenced_by(host));
                let by_plan = first(&plan, |action, id| {
                    id == *other && matches!(action, Action::Fence { addresses } if *addresses == old.ips)
                });
                before || by_plan.is_some_and(|at| at < start)
            });
            prop_assert!(retired.is_some_and(|at| at < start) || fenced, "{plan}");
            // Behind the end of the old server, the others have proven what they hold.
            let ended = retired.unwrap_or(0);
            let proven = plan.waves[ended..start].iter().any(|wave| {
                let proof = Condition::Quorum { min: world.desired.majority(), without: Some(old.member) };
                wave.shut == Shut::Refused && wave.gates.iter().any(|gate| gate.condition == proof)
            });
            prop_assert!(proven, "{plan}");
        }
        for step in plan.steps() {
            prop_assert!(!matches!(step.action, Action::AllowEmptyDatabase { .. } | Action::Quarantine { .. }), "{plan}");
            if let Action::Unfence { addresses } = &step.action {
                let old = world.facts.elsewhere.former.iter().find(|old| old.ips == *addresses).expect("a former place");
                prop_assert!(plan.steps().any(|step| step.action.old_address() == Some(&old.address)), "{plan}");
            }
        }
    }
}

fn seeing() -> impl Strategy<Value = Seeing> {
    use Seeing::*;
    prop_oneof![Just(Alive), Just(Stopped), Just(Away), Just(Unasked), Just(Same)]
}

fn view(world: &World, id: i64, seeing: Seeing) -> Old {
    match seeing {
        Seeing::Alive => alive(world, id),
        Seeing::Stopped => {
            let mut world = world.clone();
            world.dies(id);
            alive(&world, id)
        }
        Seeing::Away => away(),
        Seeing::Unasked => Old::Host(HostView::Unasked),
        Seeing::Same => Old::SameMachine,
    }
}

/// The wave of the first step of that kind.
fn first(plan: &Plan, wanted: impl Fn(&Action, ServerId) -> bool) -> Option<usize> {
    plan.waves.iter().position(|wave| wave.steps.iter().any(|step| wanted(&step.action, step.member)))
}

/// Refused plans say why, whatever was seen.
#[test]
fn every_refusal_of_a_move_says_what_to_do() {
    for seeing in [Seeing::Away, Seeing::Unasked] {
        let mut world = World::deployed(3, 0);
        let view = view(&world, 2, seeing);
        moves(&mut world, 2, view, false);
        match plan(&world.desired, &world.facts, &Goal::Deploy) {
            Err(Stop::Refused(refused)) => assert!(!refused.next.is_empty() && !refused.evidence.is_empty()),
            other => panic!("{other:?}"),
        }
    }
}
