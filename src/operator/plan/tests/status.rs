//! Status: when an ensemble is healthy and what is said when it is not.

use super::show;
use super::world::{World, serving};
use crate::operator::plan::cures::Cause;
use crate::operator::plan::damage::Damage;
use crate::operator::plan::facts::{HostView, Myid, NoWayIn, Process, UnitState};
use crate::operator::plan::network::PortRule;
use crate::operator::plan::repair::Wipe;
use crate::operator::plan::seen::Seen;
use crate::operator::plan::server::{BlindCause, Canary, Mode, ServerView};
use crate::operator::plan::{Goal, diagnosis, status};
use crate::wire::ids::{Epoch, ServerId, Zxid};

fn reasons(world: &World) -> Vec<String> {
    status::judge(&world.desired, &world.facts).reasons.into_iter().map(|reason| reason.what).collect()
}

fn verdict(world: &World) -> String {
    status::judge(&world.desired, &world.facts).verdict.to_string()
}

#[test]
fn all_in_sync_is_healthy() {
    assert_eq!(verdict(&World::deployed(3, 0)), "healthy: 1 leader + 2 followers in sync; may lose 1 voter");
    assert_eq!(
        verdict(&World::deployed(5, 1)),
        "healthy: 1 leader + 4 followers + 1 observer in sync; may lose 2 voters"
    );
    let health = status::judge(&World::deployed(3, 0).desired, &World::deployed(3, 0).facts);
    assert!(health.healthy() && health.reasons.is_empty());
    assert_eq!(health.rows[0].mode, "follower");
    assert_eq!(health.rows[0].lag, Some(0));
    assert_eq!(health.rows[2].mode, "leader");
}

#[test]
fn a_follower_of_an_older_epoch_is_not_in_sync() {
    let mut world = World::deployed(3, 0);
    world.server(1, serving(Mode::Follower, Zxid::new(Epoch(0), 9)));
    assert_eq!(
        verdict(&world),
        "unhealthy: serving with 2 of 3 voters in sync; losing one more voter stops it"
    );
}

#[test]
fn a_member_whose_canary_does_not_commit_is_not_in_sync() {
    let mut world = World::deployed(3, 0);
    let ServerView::Serving(mut server) = serving(Mode::Follower, Zxid::new(Epoch(1), 7)) else {
        unreachable!()
    };
    server.canary = Some(Canary::Failed { why: "timed out".into() });
    world.server(1, ServerView::Serving(server));
    assert!(!status::judge(&world.desired, &world.facts).healthy());
}

#[test]
fn two_leaders_are_no_leader() {
    let mut world = World::deployed(3, 0);
    world.server(1, serving(Mode::Leader, Zxid::new(Epoch(1), 7)));
    assert_eq!(
        verdict(&world),
        "unhealthy: not one ensemble: 2 servers lead at once: node-1 in epoch 1, node-3 in epoch 1"
    );
}

#[test]
fn each_cause_is_named() {
    let mut dead = World::deployed(3, 0);
    dead.host(3).unit.log = vec!["ERROR disk on fire".into()];
    dead.dies(3);
    let health = status::judge(&dead.desired, &dead.facts);
    let reason = health.reasons.iter().find(|reason| reason.member == ServerId(3)).expect("a reason");
    assert_eq!(reason.what, "the server of node-3 ended: killed by signal 9");
    assert_eq!(reason.evidence, ["ERROR disk on fire"]);
    assert_eq!(reason.next, ["zkops start node-3"]);

    let mut blocked = World::deployed(3, 0);
    let rule = PortRule { open: false, permanent: false, rule: "zone public: default REJECT".into() };
    blocked.rule(3, 2181, rule);
    blocked.settle();
    let health = status::judge(&blocked.desired, &blocked.facts);
    assert_eq!(health.reasons[0].what, "firewalld on node-3 blocks its ports");
    assert_eq!(health.reasons[0].evidence, ["tcp 2181: zone public: default REJECT"]);

    let mut no_myid = World::deployed(3, 0);
    no_myid.data(3).myid = Myid::Missing;
    no_myid.dies(3);
    assert_eq!(reasons(&no_myid)[0], "/export/data/zkdata/myid is missing");

    let mut foreign = World::deployed(3, 0);
    foreign.data(3).marker.as_mut().expect("marker").cluster = "billing".into();
    foreign.dies(3);
    assert_eq!(reasons(&foreign)[0], "/export/data/zkdata holds data of cluster \"billing\", server 3");

    let mut full = World::deployed(3, 0);
    full.room(3, 0);
    full.dies(3);
    assert_eq!(reasons(&full)[0], "the disk of /export/data/zkdata is full: 0 KiB free");

    let mut clock = World::deployed(3, 0);
    clock.host(3).clock.is_mut().expect("clock").offset_ms = 90_000.0;
    clock.dies(3);
    assert_eq!(reasons(&clock)[0], "the clock of node-3 is off by 90.0 s");
}

#[test]
fn a_lonely_server_waits_for_a_quorum() {
    let mut world = World::deployed(3, 0);
    world.dies(1);
    world.dies(2);
    assert!(
        reasons(&world).contains(&"node-3 waits for a quorum: 1 of 3 voters run, 2 are needed".to_owned())
    );
}

/// Enough run, and still nobody serves: whoever does not do its part is named, with the one thing to do.
#[test]
fn enough_voters_that_are_no_quorum_say_who_keeps_them() {
    let mut world = World::deployed(3, 0);
    let waits = || ServerView::NotServing { words: "not currently serving requests".into() };
    for id in [1, 2, 3] {
        world.server(id, waits());
    }
    let of = |world: &World, id| diagnosis::diagnose(&world.desired, &world.facts, ServerId(id)).remove(0);
    assert_eq!(of(&world, 2).what, "node-2 waits for a quorum: 3 of 3 voters run, but no quorum answers");

    // One answers nobody: another process is what it needs.
    let mut frozen = world.clone();
    let seen = &mut frozen.facts.members.get_mut(&ServerId(3)).expect("member").server;
    seen.from_here = ServerView::blind(BlindCause::Timeout, "timed out");
    seen.on_host = ServerView::blind(BlindCause::Timeout, "timed out");
    let (waiting, itself) = (of(&frozen, 2), of(&frozen, 3));
    assert_eq!(waiting.next, ["zkops repair node-3"], "{waiting:?}");
    assert_eq!((itself.cause, &*itself.next), (Cause::Stuck, &["zkops repair node-3".to_owned()][..]));
    let goal = Goal::Repair { member: ServerId(3), wipe: Wipe::No, purge_old: false };
    let text = show(&frozen, &goal);
    assert!(text.contains("node-3: server restarted"), "what is advised works: {text}");

    // One has no vote before its data is whole again, and a third would make a quorum: it is started.
    world.data(3).damage = vec![Damage::LogsWithoutSnapshot];
    assert_eq!(of(&world, 2).next, ["zkops repair node-3"]);
    world.host(1).unit.state = Seen::Is(UnitState::Stopped);
    world.host(1).processes = Seen::Is(Vec::new());
    world.server(1, ServerView::blind(BlindCause::Refused, "connection refused"));
    let waiting = of(&world, 2);
    assert_eq!(waiting.what, "node-2 waits for a quorum: 2 of 3 voters run, but no quorum answers");
    assert_eq!(waiting.next, ["zkops start node-1"]);
}

/// A server that would be started on data of somebody's choice is put in order, not started.
#[test]
fn a_stopped_server_with_a_hand_edited_zoo_cfg_is_for_repair() {
    let mut world = World::deployed(3, 0);
    world.dies(3);
    let advice = |world: &World| {
        diagnosis::advice(&diagnosis::diagnose(&world.desired, &world.facts, ServerId(3))).expect("advice")
    };
    assert_eq!(advice(&world), "zkops start node-3");
    let written = world.host(3).installed_config.is().expect("deployed").clone();
    let ticks = written.replace("tickTime=2000", "tickTime=3000");
    world.host(3).installed_config = Seen::Is(ticks);
    assert_eq!(advice(&world), "zkops start node-3", "it takes part with it");
    let elsewhere = written.replace("dataDir=/export/data/zkdata", "dataDir=/tmp/elsewhere");
    world.host(3).installed_config = Seen::Is(elsewhere);
    assert_eq!(advice(&world), "zkops repair node-3");
    let found = diagnosis::diagnose(&world.desired, &world.facts, ServerId(3));
    assert!(found[0].evidence.iter().any(|line| line.contains("dataDir=/tmp/elsewhere")), "{found:?}");
}

/// All is well until its next start: the servers tell, and only then hosts are asked.
#[test]
fn a_zoo_cfg_changed_under_a_server_is_told() {
    let mut world = World::deployed(3, 0);
    assert!(status::stand_as_started(&world.facts));
    // What is not said is not proven: an older server, a word that is not in its whitelist.
    for says in [Seen::Absent, Seen::unseen("mntr is not in the whitelist", 1), Seen::Is(true)] {
        let seen = world.facts.members.get_mut(&ServerId(2)).expect("member");
        let ServerView::Serving(server) = &mut seen.server.from_here else { panic!("it serves") };
        server.config_changed = says;
        assert!(!status::stand_as_started(&world.facts));
    }
    let health = status::judge(&world.desired, &world.facts);
    assert!(health.healthy(), "{health:?}");
    let [note] = &health.notes[..] else { panic!("{health:?}") };
    assert!(note.starts_with("node-2: its zoo.cfg was changed since its server started"), "{note}");
    assert!(note.ends_with("zkops deploy orders.yml"), "{note}");
    // Where it lists others, its next start is not the ensemble's.
    let config = world.host(2).installed_config.is_mut().expect("deployed");
    *config = config.replace("server.3=10.0.0.3:", "server.3=10.0.0.33:");
    let health = status::judge(&world.desired, &world.facts);
    assert!(health.verdict.to_string().starts_with("unhealthy: not one ensemble"), "{health:?}");
}

#[test]
fn without_a_look_at_the_host_nothing_is_invented() {
    let mut world = World::deployed(3, 0);
    world.dies(1);
    world.facts.members.get_mut(&ServerId(1)).expect("member").host = HostView::Unasked;
    assert_eq!(reasons(&world), ["node-1 does not serve, and its host was not asked"]);
}

#[test]
fn a_disk_that_is_full_is_told_while_all_is_well() {
    let mut world = World::deployed(3, 0);
    assert_eq!(status::judge(&world.desired, &world.facts).notes, [""; 0]);
    let fill = |world: &mut World, free| {
        let seen = &mut world.facts.members.get_mut(&ServerId(2)).expect("member").server.from_here;
        let ServerView::Serving(server) = seen else { panic!("it serves") };
        server.disk_free_bytes = free;
    };
    fill(&mut world, Some(0));
    let health = status::judge(&world.desired, &world.facts);
    assert!(health.healthy(), "{}", health.verdict);
    assert_eq!(health.rows[1].disk_free_bytes, Some(0));
    assert!(health.notes[0].starts_with("node-2 has 0 "), "{:?}", health.notes);
    assert!(health.notes[0].contains("its server stops"), "{:?}", health.notes);
    // What neither the server nor the host says is not known to be low.
    fill(&mut world, None);
    world.host(2).dirs.clear();
    let health = status::judge(&world.desired, &world.facts);
    assert_eq!((health.notes.len(), health.rows[1].disk_free_bytes), (0, None));
}

/// What is healthy is another cluster, and nothing that is foreign to this one is to be moved there.
#[test]
fn the_inventory_of_another_cluster_is_no_measure_of_the_one_that_is_there() {
    let mut world = World::deployed(3, 0);
    for id in 1..=3 {
        world.data(id).marker.as_mut().expect("marker").cluster = "billing".into();
        if id < 3 {
            world.host(id).installed_config = Seen::Absent;
        }
    }
    let health = status::judge(&world.desired, &world.facts);
    let what = "node-1 belongs to cluster \"billing\", and orders.yml describes \"orders\"";
    assert!(health.unknown() && !health.healthy(), "{health:?}");
    let [reason] = &health.reasons[..] else { panic!("{health:?}") };
    assert_eq!(
        (reason.what.as_str(), &reason.next[..]),
        (what, &["name the inventory of cluster \"billing\"".to_owned()][..])
    );
    // By its own name of the service it is not kept, and by its own directories not installed.
    let host = world.host(2);
    host.unit.state = Seen::Absent;
    host.processes = Seen::Is(vec![Process { pid: 77, ..Process::default() }]);
    let text = show(&world, &Goal::Deploy);
    assert!(text.starts_with(&format!("REFUSED {what}")), "{text}");
    // One that was taken from elsewhere is one member's trouble.
    let mut world = World::deployed(3, 0);
    world.host(2).installed_config = Seen::Absent;
    world.data(2).marker.as_mut().expect("marker").cluster = "billing".into();
    assert!(!reasons(&world).iter().any(|reason| reason.contains("belongs to")), "{:?}", reasons(&world));
}

#[test]
fn a_host_key_that_nobody_accepted_is_no_host_that_is_away() {
    let mut world = World::deployed(3, 0);
    world.unreachable(1);
    let HostView::Unreachable(why) = &mut world.facts.members.get_mut(&ServerId(1)).expect("member").host
    else {
        panic!("unreachable")
    };
    why.kind = NoWayIn::HostKey;
    let health = status::judge(&world.desired, &world.facts);
    let [reason] = &health.reasons[..] else { panic!("{health:?}") };
    assert_eq!(reason.what, "the host of node-1 answers with a host key that nobody has accepted");
    assert_eq!(reason.next, ["compare the host key, then: zkops status --accept-new-host-keys"]);
    assert!(show(&world, &Goal::Deploy).starts_with("UNREACHABLE"), "nobody looked there");
}
