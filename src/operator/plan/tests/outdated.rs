//! An inventory from before a move, and one whose move was begun and not finished: said as that by every verb, whatever
//! else it looks like by such an inventory.

use std::net::IpAddr;

use super::show;
use super::world::World;
use crate::operator::plan::cures::Cause;
use crate::operator::plan::facts::{Answer, Former, HostView, NameFacts, Old, UnitState};
use crate::operator::plan::network::PortRule;
use crate::operator::plan::remembered::{Last, Remembered};
use crate::operator::plan::repair::Wipe;
use crate::operator::plan::seen::Seen;
use crate::operator::plan::server::{BlindCause, Server, ServerView};
use crate::operator::plan::status::{Verdict, judge};
use crate::operator::plan::ways::{Reach, ReachResult};
use crate::operator::plan::{Goal, diagnosis, lists};
use crate::wire::ids::ServerId;

/// Where zkops keeps the third member of three away from the others, and nothing between them gets through.
fn fenced() -> World {
    let mut world = World::deployed(3, 0);
    let old: IpAddr = "10.0.0.3".parse().expect("an address");
    // The others have elected another leader without it.
    let host = world.host(3).clone();
    world.dies(3);
    *world.host(3) = host;
    let cut = ServerView::NotServing { words: "not currently serving requests".into() };
    world.facts.members.get_mut(&ServerId(3)).expect("member").server = Server::from_here(cut);
    for (from, to) in [(1, 3), (2, 3), (3, 1), (3, 2)] {
        for port in [2888, 3888] {
            let (from, to) = (Some(ServerId(from)), ServerId(to));
            world.facts.reach.push(Reach { from, to, port, result: ReachResult::NoRoute });
        }
    }
    for id in [1, 2] {
        world.host(id).fences = Seen::Is(vec![old]);
    }
    world.host(3).fences = Seen::Is(Vec::new());
    world
}

/// As [`fenced`]; the others have the third member at 10.0.0.103 by now.
fn moved_on() -> World {
    let mut world = fenced();
    for id in [1, 2] {
        let config = world.host(id).installed_config.is_mut().expect("deployed");
        *config = config.replace("=10.0.0.3:", "=10.0.0.103:");
    }
    world
}

fn every_goal() -> Vec<Goal> {
    let repair = Goal::Repair { member: ServerId(3), wipe: Wipe::No, purge_old: false };
    let (start, restart) = (Goal::Start { members: vec![] }, Goal::Restart { members: vec![] });
    vec![Goal::Deploy, repair, start, restart, Goal::Stop { members: vec![] }, Goal::Destroy { data: false }]
}

/// The newer inventory, as it was deployed from here.
fn remember_newer(world: &mut World) {
    let mut newer = world.desired.clone();
    newer.members.get_mut(&ServerId(3)).expect("member").address = "10.0.0.103".into();
    let last = Last::Another { inventory: "/home/ops/newer.yml".into() };
    world.facts.elsewhere.remembered = Remembered::new(last, Some(&newer));
}

#[test]
fn by_an_older_inventory_nothing_is_done_and_one_thing_is_said() {
    let mut world = moved_on();
    let what = "orders.yml has node-3 at 10.0.0.3; it has moved from there to 10.0.0.103";
    for goal in every_goal() {
        let text = show(&world, &goal);
        assert!(text.starts_with(&format!("REFUSED {what}\n")), "{goal:?}: {text}");
    }
    let health = judge(&world.desired, &world.facts);
    assert!(matches!(&health.verdict, Verdict::Unknown { unseen, .. } if unseen == &[what]), "{health:?}");
    assert_eq!(health.reasons.len(), 1, "{health:?}");
    let reason = &health.reasons[0];
    let next = "name the inventory that has node-3 at 10.0.0.103, or put that address into this one";
    assert_eq!((reason.what.as_str(), &reason.next[..]), (what, [next.to_owned()].as_slice()));
    assert_eq!(
        reason.evidence,
        [
            "zoo.cfg of node-1 and node-2 has node-3 at 10.0.0.103",
            "10.0.0.3 is blocked on node-1 and node-2 since then"
        ]
    );
    // A machine that deployed the newer one knows the command.
    remember_newer(&mut world);
    let next = judge(&world.desired, &world.facts).reasons.remove(0).next;
    assert_eq!(next, ["zkops status -i /home/ops/newer.yml   (it was deployed last, and has it there)"]);
}

/// A name is what the hosts say that it is.
#[test]
fn an_address_that_is_a_name_is_known_by_what_it_resolves_to() {
    let mut world = moved_on();
    world.desired.members.get_mut(&ServerId(3)).expect("member").address = "db-3".into();
    let what = "orders.yml has node-3 at db-3; it has moved from there to 10.0.0.103";
    let left =
        |world: &World| judge(&world.desired, &world.facts).reasons.iter().any(|found| found.what == what);
    assert!(!left(&world), "nobody has said what db-3 is");
    let names = NameFacts { name: "db-3".into(), addresses: vec!["10.0.0.3".into()] };
    world.host(1).names = Seen::Is(vec![names]);
    assert!(left(&world));
}

/// A new address in the inventory is no old one: nobody blocks it.
#[test]
fn a_newer_inventory_is_not_taken_for_an_older_one() {
    let mut world = moved_on();
    for id in [1, 2] {
        world.host(id).fences = Seen::Is(Vec::new());
    }
    for goal in every_goal() {
        let text = show(&world, &goal);
        assert!(!text.contains("has moved"), "{goal:?}: {text}");
    }
    // Not even where hosts cannot say what they block.
    world.host(1).fences = Seen::unseen("only root may list the fences of this host", 1);
    assert!(!show(&world, &Goal::Deploy).contains("has moved"));
}

#[test]
fn a_move_that_was_begun_is_named_and_not_the_network() {
    let mut world = fenced();
    let causes = |world: &World, id| diagnosis::diagnose(&world.desired, &world.facts, ServerId(id));
    let found: Vec<Cause> = causes(&world, 3).iter().map(|found| found.cause).collect();
    assert_eq!(found.first(), Some(&Cause::HalfMoved), "{found:?}");
    let network = [Cause::PathBlocked, Cause::OthersBlocked, Cause::PortBlocked];
    for id in 1..=3 {
        assert!(
            causes(&world, id).iter().all(|found| !network.contains(&found.cause)),
            "{:?}",
            causes(&world, id)
        );
    }
    let text = show(&world, &Goal::Deploy);
    assert!(
        text.starts_with("REFUSED 10.0.0.3, where orders.yml has node-3, is blocked on node-1 and node-2\n"),
        "{text}"
    );
    assert!(text.contains("next: deploy the inventory that node-3 was to move by"), "{text}");
    remember_newer(&mut world);
    let text = show(&world, &Goal::Deploy);
    assert!(text.contains("next: zkops deploy /home/ops/newer.yml   (finishes the move)"), "{text}");
    // Another inventory that has it where this one has it finishes nothing.
    let last = Last::Another { inventory: "/home/ops/other.yml".into() };
    world.facts.elsewhere.remembered = Remembered::new(last, Some(&world.desired));
    let text = show(&world, &Goal::Deploy);
    assert!(text.contains("next: deploy the inventory that node-3 was to move by"), "{text}");
}

/// Back home out of a move that did not end: first the new place is done with, then the others hear this one again.
#[test]
fn who_goes_back_is_let_in_again_once_the_new_place_is_done_with() {
    let mut world = fenced();
    let bare = World::bare(3, 0).facts.members.remove(&ServerId(3)).expect("member");
    let HostView::Seen(_) = &bare.host else { panic!("bare hosts are seen") };
    let server = Server::from_here(ServerView::blind(BlindCause::Refused, "connection refused"));
    world.facts.elsewhere.former.push(Former {
        ips: vec!["10.0.0.103".parse().expect("an address")],
        listed: true,
        view: Old::Host(bare.host),
        server,
        ..Former::at(ServerId(3), "10.0.0.103")
    });
    for listed in [true, false] {
        world.facts.elsewhere.former[0].listed = listed;
        let text = show(&world, &Goal::Deploy);
        let order = [
            "server on 10.0.0.103 stopped and disabled",
            "prove that the others hold everything without node-3",
            "then 2 voters in sync and committing without server 3",
            "lift the fence around 10.0.0.3",
            "block 10.0.0.3 no longer",
            "wait until ready",
        ];
        // Where it is known to have stopped long ago there is nothing to end.
        let mut rest = text.as_str();
        for line in &order[usize::from(!listed)..] {
            let (_, after) =
                rest.split_once(line).unwrap_or_else(|| panic!("{line:?} is not in its place:\n{text}"));
            rest = after;
        }
    }
    // Who cannot be asked may serve.
    world.facts.elsewhere.former[0].view = Old::Host(HostView::Unasked);
    assert!(
        show(&world, &Goal::Deploy).starts_with("REFUSED 10.0.0.3, where orders.yml has node-3, is blocked")
    );
}

/// Only a machine that deployed it knows that nobody ever moved.
#[test]
fn what_no_host_said_of_fences_is_said_where_nothing_is_remembered() {
    let mut world = World::deployed(3, 0);
    world.host(2).fences = Seen::unseen("only root may list the fences of this host", 1);
    world.host(1).fences = Seen::Is(Vec::new());
    world.host(3).fences = Seen::Is(Vec::new());
    let notes = |world: &World| judge(&world.desired, &world.facts).notes.join("\n");
    assert!(
        notes(&world).contains("whether node-2 still blocks an old address of a member is not seen"),
        "{}",
        notes(&world)
    );
    world.facts.elsewhere.remembered.last = Last::This;
    assert!(!notes(&world).contains("still blocks"), "{}", notes(&world));
}

/// With the fence would go the last that keeps it apart.
#[test]
fn an_old_server_does_not_outlive_its_ensemble() {
    let mut world = World::deployed(3, 0);
    let there = Old::Host(world.facts.member(ServerId(3)).host.clone());
    world.facts.elsewhere.former.push(Former { view: there, ..Former::at(ServerId(3), "10.0.0.9") });
    for data in [false, true] {
        let text = show(&world, &Goal::Destroy { data });
        assert!(
            text.starts_with("REFUSED the old server of node-3 on 10.0.0.9 is not proven stopped"),
            "{text}"
        );
        assert!(text.contains("next: zkops deploy orders.yml"), "{text}");
    }
    let Old::Host(HostView::Seen(host)) = &mut world.facts.elsewhere.former[0].view else { panic!("seen") };
    host.unit.state = Seen::Is(UnitState::Stopped);
    (host.unit.enabled, host.processes) = (Seen::Absent, Seen::Is(Vec::new()));
    let text = show(&world, &Goal::Destroy { data: true });
    assert!(!text.starts_with("REFUSED"), "{text}");
}

/// Whatever it says of majorities is wrong, and by it two of three would be restarted, or called healthy.
#[test]
fn an_inventory_that_lacks_a_member_is_no_measure_of_the_ensemble() {
    let mut world = World::deployed(3, 0);
    world.dies(3);
    world.desired.members.remove(&ServerId(3));
    world.facts.members.remove(&ServerId(3));
    let what = "orders.yml lacks server 3 (10.0.0.3), which takes part in orders";
    let health = judge(&world.desired, &world.facts);
    assert!(matches!(&health.verdict, Verdict::Unknown { unseen, .. } if unseen == &[what]), "{health:?}");
    assert_eq!(health.reasons[0].next, ["name the inventory that has server 3, or put it into this one"]);
    let repair = Goal::Repair { member: ServerId(1), wipe: Wipe::No, purge_old: false };
    let members = || vec![ServerId(1)];
    let (start, stop) = (Goal::Start { members: members() }, Goal::Stop { members: members() });
    for goal in [repair, start, stop, Goal::Restart { members: vec![] }] {
        let text = show(&world, &goal);
        assert!(text.starts_with(&format!("REFUSED {what}\n")), "{goal:?}: {text}");
    }
    // By the servers' own word, too, where no host was asked.
    let list = lists::read(world.host(1).installed_config.is().expect("deployed"));
    let (member, address) = (ServerId(1), "10.0.0.1".to_owned());
    world.facts.elsewhere.answers.push(Answer { member, address, says: Some(member), list: Some(list) });
    for seen in world.facts.members.values_mut() {
        seen.host = HostView::Unasked;
    }
    assert!(judge(&world.desired, &world.facts).unknown());
}

/// It was edited and not deployed: nothing is wrong with the firewalls, and with no member.
#[test]
fn a_move_that_nobody_has_begun_is_told_as_that() {
    let mut world = moved_on();
    for id in [1, 2] {
        world.host(id).fences = Seen::Is(Vec::new());
    }
    let bare = World::bare(3, 0).facts.members.remove(&ServerId(3)).expect("member");
    world.facts.members.insert(ServerId(3), bare);
    let there = Old::Host(HostView::Unasked);
    world.facts.elsewhere.former.push(Former { view: there, ..Former::at(ServerId(3), "10.0.0.103") });
    let health = judge(&world.desired, &world.facts);
    let what = "orders.yml has node-3 at 10.0.0.3; the others have it at 10.0.0.103";
    assert_eq!((health.reasons.len(), health.reasons[0].what.as_str()), (1, what));
    assert!(health.unknown() && health.reasons[0].next[0].starts_with("zkops plan orders.yml"), "{health:?}");
    for goal in [Goal::Stop { members: vec![ServerId(3)] }, Goal::Start { members: vec![] }] {
        assert!(show(&world, &goal).starts_with(&format!("REFUSED {what}\n")), "{goal:?}");
    }
    // Where it runs by now, the move is on its way: then members are what there is to tell of.
    world.host(3).unit = World::deployed(3, 0).host(3).unit.clone();
    assert!(judge(&world.desired, &world.facts).reasons.iter().all(|reason| reason.what != what));
}

/// The one that is left may be one whom the others would not elect.
#[test]
fn nobody_is_stopped_while_the_lists_differ() {
    let mut world = World::deployed(3, 0);
    let config = world.host(3).installed_config.is_mut().expect("deployed");
    *config = config.replace("=10.0.0.3:", "=10.0.0.103:");
    for id in [1, 2] {
        let text = show(&world, &Goal::Stop { members: vec![ServerId(id)] });
        assert!(text.starts_with("REFUSED the members are not listed alike everywhere"), "{text}");
    }
    assert!(
        !show(&world, &Goal::Stop { members: vec![] }).starts_with("REFUSED"),
        "all of it needs no proof"
    );
}

#[test]
fn an_address_of_the_other_family_on_the_same_machine_is_refused_while_servers_run() {
    let mut world = World::deployed(3, 0);
    let view = Old::SameMachine;
    world.facts.elsewhere.former.push(Former { listed: true, view, ..Former::at(ServerId(3), "fd77::3") });
    let text = show(&world, &Goal::Deploy);
    assert!(
        text.starts_with("REFUSED node-3 changes the family of its address, fd77::3 to 10.0.0.3"),
        "{text}"
    );
    (1..=3).for_each(|id| world.dies(id));
    assert!(!show(&world, &Goal::Deploy).starts_with("REFUSED"), "{}", show(&world, &Goal::Deploy));
}

/// Repair would find no database where the inventory has it, and begin anew.
#[test]
fn data_that_the_inventory_has_elsewhere_is_for_deploy() {
    let mut world = World::deployed(3, 0);
    world.desired.members.get_mut(&ServerId(1)).expect("member").dirs.data = "/export/data/zk2".into();
    world.host(1).left_behind = Seen::Is(vec!["/export/data/zkdata".into()]);
    let repair = Goal::Repair { member: ServerId(1), wipe: Wipe::No, purge_old: false };
    for goal in
        [repair, Goal::Start { members: vec![] }, Goal::Restart { members: vec![ServerId(1)] }, Goal::Deploy]
    {
        let text = show(&world, &goal);
        assert!(text.starts_with("REFUSED data_dir of node-1 changes"), "{goal:?}: {text}");
        assert!(
            text.contains("mkdir -p /export/data/zk2 && mv -T /export/data/zkdata /export/data/zk2"),
            "{text}"
        );
    }
}

/// Each repair would wait for the others.
#[test]
fn ports_that_several_hosts_close_are_for_deploy() {
    let mut world = World::deployed(3, 0);
    let closed = || PortRule { open: false, permanent: true, rule: "not listed".into() };
    let next = |world: &World| {
        let causes = diagnosis::diagnose(&world.desired, &world.facts, ServerId(1));
        diagnosis::advice(&causes)
    };
    world.rule(1, 3888, closed());
    assert_eq!(next(&world).as_deref(), Some("zkops repair node-1"));
    world.rule(2, 3888, closed());
    assert_eq!(next(&world).as_deref(), Some("zkops deploy orders.yml   (opens the ports of all)"));
}
