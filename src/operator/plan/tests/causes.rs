//! The table of repair: whatever keeps a member out is put into an ensemble, and gives its cause, its one piece of advice
//! and its cure; none of them moves data by itself.

use super::repair::{closed, repair};
use super::world::{World, serving};
use super::{check, show};
use crate::operator::plan::cures::{Cause, Cure};
use crate::operator::plan::damage::Damage;
use crate::operator::plan::facts::{DataFacts, Installed, Myid, PortUser, UnitState};
use crate::operator::plan::install::sha256_hex;
use crate::operator::plan::repair::{Wipe, wipes};
use crate::operator::plan::seen::Seen;
use crate::operator::plan::server::{BlindCause, Mode, ServerView};
use crate::operator::plan::ways::{Reach, ReachResult};
use crate::operator::plan::{Goal, Stop, diagnosis, plan, status};
use crate::wire::ids::{Epoch, ServerId, Zxid};

/// What stands in the third member's way: how it is put there, its cause, the one thing to do, and whether repair acts.
type Row = (fn(&mut World), Cause, &'static str, bool);

/// Whatever is in the way, the cause is named, one thing is to be done, and repair does what its row says: no cause by
/// itself moves data.
#[test]
fn each_cause_gives_its_cure_and_none_moves_data() {
    for (number, (inject, cause, next, acts)) in TABLE.into_iter().enumerate() {
        let mut world = World::deployed(3, 0);
        inject(&mut world);
        let causes = diagnosis::diagnose(&world.desired, &world.facts, ServerId(3));
        assert!(causes.iter().any(|found| found.cause == cause), "row {number}: {causes:?}");
        assert_eq!(diagnosis::advice(&causes).as_deref(), Some(next), "row {number}: {causes:?}");
        let advised = causes.iter().filter(|found| !found.next.is_empty()).count();
        assert_eq!(advised, 1, "row {number}: two pieces of advice contradict each other: {causes:?}");
        match plan(&world.desired, &world.facts, &repair(3)) {
            Ok(plan) => {
                assert!(!wipes(&plan), "row {number}: {plan}");
                assert_eq!(!plan.is_empty(), acts, "row {number}: {plan}");
                assert!(world.apply(&plan) || cause == Cause::Stuck, "row {number}: {plan}");
            }
            Err(Stop::Refused(refused)) => {
                assert!(!acts, "row {number}: {refused:?}");
                assert_eq!(refused.next, [next], "row {number}: {refused:?}");
            }
            Err(other) => panic!("row {number}: {other:?}"),
        }
    }
}

/// A row of the table that nothing injects protects nothing.
#[test]
fn each_cause_that_a_host_can_show_is_injected() {
    let injected = |cause: Cause| TABLE.iter().any(|row| row.1 == cause);
    let elsewhere = [
        Cause::HostUnreachable,
        Cause::NotInstalled,
        Cause::BinaryUnfit,
        Cause::Unreadable,
        Cause::HalfMoved,
        Cause::UnitMissing,
        Cause::NotSeen,
        Cause::Double,
    ];
    let all = (0..).map_while(nth);
    let missing: Vec<Cause> = all.filter(|cause| !injected(*cause) && !elsewhere.contains(cause)).collect();
    assert_eq!(missing, []);
}

/// Asking again is no cure: an order of cures in which the first would move data does not exist.
#[test]
fn a_start_limit_of_before_the_last_start_is_over() {
    let mut world = World::deployed(3, 0);
    world.dies(3);
    let said = ["zkops-orders.service: Start request repeated too quickly.", "Started zkops-orders.service."];
    world.host(3).unit.log = said.map(|line| format!("host systemd[1]: {line}")).to_vec();
    let causes = diagnosis::diagnose(&world.desired, &world.facts, ServerId(3));
    assert_eq!(causes.iter().map(|found| found.cause).collect::<Vec<_>>(), [Cause::ProcessDead]);
}

#[test]
fn no_cause_has_a_cure_that_moves_data_by_itself() {
    for cause in (0..).map_while(nth) {
        assert!(cause.cure() != Cure::Named || cause == Cause::ForeignData, "{cause:?}");
    }
}

/// A zoo.cfg that was spoilt by hand is kept beside the new one; the data is not looked at twice.
#[test]
fn a_zoo_cfg_spoilt_by_hand_is_written_again_and_nothing_else() {
    let mut world = World::deployed(3, 0);
    write_config(&mut world, |config| config.replace("tickTime=2000", "tickTime=never"));
    world.dies(3);
    let text = show(&world, &repair(3));
    for step in
        ["file /export/server/zkops/slots/b/zoo.cfg", "run from slots/b", "server started [not running]"]
    {
        assert!(text.contains(step), "{step} is not in {text}");
    }
    assert!(!text.contains(" aside "), "{text}");
    let causes = diagnosis::diagnose(&world.desired, &world.facts, ServerId(3));
    assert!(causes[0].evidence[0].contains("zoo.cfg:1: tickTime is"), "{causes:?}");
    let start = show(&world, &Goal::Start { members: vec![ServerId(3)] });
    assert!(
        start.starts_with("REFUSED the server cannot start with")
            && start.contains("next: zkops repair node-3"),
        "{start}"
    );
}

/// It runs, and the others go on without it.
fn out_of_sync(world: &mut World) {
    world.server(3, ServerView::NotServing { words: "no leader".into() });
    let zxid = Zxid::new(Epoch(1), 7);
    world.server(2, serving(Mode::Leader, zxid));
}

fn write_config(world: &mut World, change: impl FnOnce(String) -> String) {
    let path = world.desired.members[&ServerId(3)].config_path.clone();
    let host = world.host(3);
    let text = change(host.installed_config.is().expect("deployed").clone());
    let sha256 = sha256_hex(&text);
    host.files.get_mut(&path).and_then(Seen::is_mut).expect("deployed").sha256 = sha256;
    host.installed_config = Seen::Is(text);
}

fn nth(at: usize) -> Option<Cause> {
    use Cause::*;
    let all = [
        HostUnreachable,
        NotInstalled,
        BinaryUnfit,
        Unreadable,
        DiskFull,
        PortTaken,
        HalfMoved,
        DataMoved,
        ForeignData,
        MyidWrong,
        ConfigBroken,
        PortBlocked,
        PathBlocked,
        OthersBlocked,
        MyidMissing,
        UnitMasked,
        UnitMissing,
        DamagedData,
        LostData,
        ClientsBlocked,
        ClockOff,
        StartLimit,
        ProcessDead,
        ConfigDiffers,
        NoQuorum,
        NotSeen,
        Double,
        Stuck,
    ];
    all.get(at).copied()
}

/// Its server goes on with what it has open.
fn data_moves_away(world: &mut World) {
    let mut view = serving(Mode::Leader, Zxid::new(Epoch(1), 7));
    if let ServerView::Serving(server) = &mut view {
        server.data_moved = Seen::Is(true);
        server.synced_followers = Seen::Is(2);
    }
    world.server(3, view);
    world.host(3).data = Seen::Is(DataFacts { empty: true, ..DataFacts::default() });
}

/// What would be put in its place is not its data; a new process would have none.
#[test]
fn nothing_is_put_where_the_data_of_a_running_server_was() {
    let mut world = World::deployed(3, 0);
    data_moves_away(&mut world);
    let what =
        "the data of node-3 was moved away under its server: /export/data/zkdata is not what it writes to";
    let wiped = Goal::Repair { member: ServerId(3), wipe: Wipe::Asked, purge_old: false };
    for goal in [Goal::Deploy, Goal::Restart { members: vec![] }, repair(3), wiped] {
        let text = show(&world, &goal);
        assert!(text.starts_with("REFUSED ") && text.contains(what), "{goal:?}: {text}");
        assert!(text.contains("next: on the host of node-3, move its directory back"), "{text}");
    }
    let stop = show(&world, &Goal::Stop { members: vec![ServerId(3)] });
    assert!(stop.contains("node-3: server stopped"), "{stop}");
    let health = status::judge(&world.desired, &world.facts);
    assert_eq!(health.reasons.len(), 1, "{:?}", health.reasons);
    assert!(health.verdict.to_string().starts_with("unhealthy: serving with 3 of 3 voters"), "{health:?}");
}

/// Connections from `from` to a port of the third member come to that.
fn lost(world: &mut World, from: Option<i64>, port: u16, result: ReachResult) {
    world.facts.reach.push(Reach { from: from.map(ServerId), to: ServerId(3), port, result });
}

/// Our server of the third member is seen listening on its own host.
fn listens(world: &mut World, port: u16) {
    let user = PortUser { pid: Some(100), program: "zkops".into(), ours: true };
    world.host(3).ports = Seen::Is([(port, user)].into());
}

/// Nothing that repair could do opens a way between hosts: it says which, at once.
#[test]
fn what_stands_between_the_hosts_is_named_and_left_to_people() {
    let mut world = World::deployed(3, 0);
    out_of_sync(&mut world);
    lost(&mut world, Some(1), 2888, ReachResult::Timeout);
    lost(&mut world, Some(1), 3888, ReachResult::NoRoute);
    lost(&mut world, Some(2), 3888, ReachResult::Timeout);
    check(
        &world,
        &repair(3),
        "REFUSED repair of node-3 would not help: something between the hosts blocks tcp 2888 and 3888 of node-3
         node-1 → node-3:2888 timeout
         node-1 → node-3:3888 no route
         node-2 → node-3:3888 timeout
         next: open tcp 2888 and 3888 from 10.0.0.1, 10.0.0.2 to 10.0.0.3 in the network between",
    );
    // A server that does not run is started all the same: the others may be enough for it.
    world.dies(3);
    assert!(show(&world, &repair(3)).contains("server started [not running]"));
}

/// From here alone it is not reached: its own host sees it in sync, and nothing is to be repaired.
#[test]
fn a_client_port_that_is_cut_off_from_here_is_nothing_to_repair() {
    let mut world = World::deployed(3, 0);
    let zxid = Zxid::new(Epoch(1), 7);
    let late = ServerView::blind(BlindCause::Timeout, "timed out");
    let seen = world.facts.members.get_mut(&ServerId(2)).expect("member");
    seen.server.from_here = late;
    seen.server.on_host = serving(Mode::Follower, zxid);
    let (to, port) = (ServerId(2), 2181);
    world.facts.reach.push(Reach { from: None, to, port, result: ReachResult::Timeout });
    let causes = diagnosis::diagnose(&world.desired, &world.facts, to);
    assert_eq!(causes.iter().map(|found| found.cause).collect::<Vec<_>>(), [Cause::ClientsBlocked]);
    let plan = plan(&world.desired, &world.facts, &repair(2)).expect("nothing is wrong with it");
    assert!(plan.is_empty(), "{plan}");
}

/// A firewall on the way that answers in the host's name.
#[test]
fn a_refusal_in_the_name_of_a_server_that_listens_is_a_block() {
    let mut world = World::deployed(3, 0);
    out_of_sync(&mut world);
    lost(&mut world, Some(1), 3888, ReachResult::Refused);
    let causes = |world: &World| diagnosis::diagnose(&world.desired, &world.facts, ServerId(3));
    assert_eq!(causes(&world)[0].cause, Cause::Stuck, "it may listen no more");
    listens(&mut world, 3888);
    let found = causes(&world);
    assert_eq!(found[0].cause, Cause::PathBlocked, "{found:?}");
    assert_eq!(found[0].evidence, ["node-1 → node-3:3888 refused"]);
}

const TABLE: [Row; 24] = [
    (|world| world.dies(3), Cause::ProcessDead, "zkops start node-3", true),
    (
        |world| {
            world.dies(3);
            world.host(3).unit.installed = Seen::Is(Installed::Masked);
        },
        Cause::UnitMasked,
        "systemctl unmask zkops-orders on 10.0.0.3, then: zkops repair node-3",
        false,
    ),
    (
        data_moves_away,
        Cause::DataMoved,
        "on the host of node-3, move its directory back to /export/data/zkdata   (if it was removed: zkops stop node-3, then zkops repair node-3)",
        false,
    ),
    (
        |world| {
            world.dies(3);
            let how = "killed by signal 9, start limit hit".into();
            world.host(3).unit.state = Seen::Is(UnitState::Failed { how, again: false });
        },
        Cause::StartLimit,
        "zkops start node-3",
        true,
    ),
    (
        |world| {
            world.dies(3);
            let said = [
                "Started zkops-orders.service.",
                "zkops-orders.service: Start request repeated too quickly.",
            ];
            world.host(3).unit.log = said.map(|line| format!("host systemd[1]: {line}")).to_vec();
        },
        Cause::StartLimit,
        "zkops start node-3",
        true,
    ),
    (
        |world| {
            world.dies(3);
            let user = PortUser { pid: Some(77), program: "nc".into(), ours: false };
            world.host(3).ports = Seen::Is([(3888, user)].into());
        },
        Cause::PortTaken,
        "stop nc (pid 77) on node-3, then: zkops start node-3",
        false,
    ),
    (
        |world| {
            world.rule(3, 2888, closed("zone public: REJECT"));
            world.settle();
        },
        Cause::PortBlocked,
        "zkops repair node-3",
        true,
    ),
    (
        |world| {
            out_of_sync(world);
            world.rule(2, 3888, closed("zone public: REJECT"));
        },
        Cause::OthersBlocked,
        "zkops repair node-2",
        false,
    ),
    (
        |world| {
            out_of_sync(world);
            let (from, to) = (Some(ServerId(3)), ServerId(1));
            world.facts.reach.push(Reach { from, to, port: 3888, result: ReachResult::Timeout });
        },
        Cause::OthersBlocked,
        "open tcp 3888 from 10.0.0.3 to 10.0.0.1 in the network between",
        false,
    ),
    (
        |world| {
            out_of_sync(world);
            lost(world, Some(2), 3888, ReachResult::Timeout);
        },
        Cause::PathBlocked,
        "open tcp 3888 from 10.0.0.2 to 10.0.0.3 in the network between",
        false,
    ),
    (
        |world| lost(world, None, 2181, ReachResult::Timeout),
        Cause::ClientsBlocked,
        "open tcp 2181 from this machine to 10.0.0.3 in the network between",
        false,
    ),
    (
        |world| {
            world.data(3).myid = Myid::Missing;
            world.dies(3);
        },
        Cause::MyidMissing,
        "zkops repair node-3",
        true,
    ),
    (
        |world| {
            world.data(3).myid = Myid::Is(ServerId(2));
            world.dies(3);
        },
        Cause::MyidMissing,
        "zkops repair node-3",
        true,
    ),
    (
        |world| {
            world.data(3).myid = Myid::Is(ServerId(2));
            world.data(3).marker = None;
            world.dies(3);
        },
        Cause::MyidWrong,
        "zkops repair node-3 --wipe",
        false,
    ),
    (
        |world| {
            write_config(world, |config| config.replace("tickTime=2000", "tickTime=never"));
            world.dies(3);
        },
        Cause::ConfigBroken,
        "zkops repair node-3",
        true,
    ),
    (
        |world| {
            let path = world.desired.members[&ServerId(3)].config_path.clone();
            world.host(3).installed_config = Seen::Absent;
            world.host(3).files.insert(path, Seen::Absent);
            world.dies(3);
        },
        Cause::ConfigBroken,
        "zkops repair node-3",
        true,
    ),
    (
        |world| {
            write_config(world, |config| config + "snapCount=7\n");
            out_of_sync(world);
        },
        Cause::ConfigDiffers,
        "zkops repair node-3",
        true,
    ),
    (
        |world| {
            world.dies(3);
            world.room(3, 0);
        },
        Cause::DiskFull,
        "free space on the file system of /export/data/zkdata on node-3, then: zkops start node-3",
        false,
    ),
    (
        |world| world.host(3).clock.is_mut().expect("clock").offset_ms = 90_000.0,
        Cause::ClockOff,
        "set the clock of node-3: systemctl enable --now chronyd (or systemd-timesyncd)",
        false,
    ),
    (
        |world| {
            world.dies(1);
            world.dies(2);
        },
        Cause::NoQuorum,
        "zkops start",
        false,
    ),
    (
        |world| {
            world.dies(3);
            world.data(3).damage = vec![Damage::LogsWithoutSnapshot];
        },
        Cause::DamagedData,
        "zkops repair node-3",
        true,
    ),
    (
        |world| {
            world.dies(3);
            world.data(3).marker.as_mut().expect("marker").cluster = "billing".into();
        },
        Cause::ForeignData,
        "zkops repair node-3 --foreign-data billing",
        false,
    ),
    (
        |world| {
            world.dies(3);
            let data = world.data(3);
            *data =
                DataFacts { exists: true, empty: true, marker: data.marker.take(), ..DataFacts::default() };
            data.myid = Myid::Is(ServerId(3));
        },
        Cause::LostData,
        "zkops repair node-3",
        true,
    ),
    (out_of_sync, Cause::Stuck, "zkops repair node-3", true),
];
