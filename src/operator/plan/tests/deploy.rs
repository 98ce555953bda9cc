//! Deploy: facts in, waves and gates out; a finished deployment plans nothing.

use super::world::World;
use super::{check, show};
use crate::operator::inventory;
use crate::operator::plan::facts::{
    Clock, DataFacts, HostView, Marker, MemberFacts, Myid, NoWayIn, PortUser, Process, UnitState, Unreachable,
};
use crate::operator::plan::gate::{self, Gatekeeper};
use crate::operator::plan::network::PortRule;
use crate::operator::plan::seen::Seen;
use crate::operator::plan::server::{Server, ServerView};
use crate::operator::plan::step::Condition;
use crate::operator::plan::{Goal, ensemble, plan};
use crate::wire::ids::ServerId;

#[test]
fn three_bare_hosts_are_opened_installed_and_started_together() {
    let text = show(&World::bare(3, 0), &Goal::Deploy);
    let titles: Vec<&str> =
        text.lines().filter(|line| line.starts_with(|c: char| c.is_ascii_digit())).collect();
    assert_eq!(titles, ["1. open the ports", "2. install", "3. start", "4. wait until ready"]);
    for line in [
        "node-1: open tcp 2181, tcp 2888 3888 from 10.0.0.2 10.0.0.3 [firewalld does not let them through for good] undo: close them again with \
         the same tool; zkops destroy does it",
        "then all hosts reach the ports of server 1, 2, 3 (within 15 s)",
        "node-3: directory /export/data/zkdata [missing]",
        "node-3: file /export/data/zkdata/myid (2 bytes) [the member's identity]",
        "node-3: first start may begin empty: /export/data/zkdata/initialize [first deployment: there is nothing to \
         forget]",
        "node-2: server started [not running] undo: zkops stop node-2",
        "then one leader, all others in sync, canary read back everywhere (within 60 s)",
    ] {
        assert!(text.contains(line), "{line}\n--- is not in ---\n{text}");
    }
}

#[test]
fn a_finished_deployment_has_nothing_left_to_do() {
    check(&World::deployed(3, 0), &Goal::Deploy, "deploy orders: nothing to do");
    check(&World::deployed(5, 2), &Goal::Deploy, "deploy orders: nothing to do");
}

#[test]
fn a_changed_config_is_rolled_out_leader_last() {
    let mut world = World::deployed(3, 0);
    for member in world.desired.members.values_mut() {
        member.config = member.config.replace("2000", "1000");
    }
    check(
        &world,
        &Goal::Deploy,
        "deploy orders
         1. install
         node-1: binary /export/server/zkops/slots/b/zkops b1nary000000 [beside the new zoo.cfg]
         node-1: file /export/server/zkops/slots/b/zoo.cfg (228 bytes) [differs from the inventory]
         node-2: binary /export/server/zkops/slots/b/zkops b1nary000000 [beside the new zoo.cfg]
         node-2: file /export/server/zkops/slots/b/zoo.cfg (228 bytes) [differs from the inventory]
         node-3: binary /export/server/zkops/slots/b/zkops b1nary000000 [beside the new zoo.cfg]
         node-3: file /export/server/zkops/slots/b/zoo.cfg (228 bytes) [differs from the inventory]
         2. prove that the others serve without node-1
         then 2 voters in sync and committing without server 1 (within 60 s)
         3. replace the server of node-1
         node-1: run from slots/b [differs from the inventory]
         node-1: server restarted [it runs with an older zoo.cfg: tickTime 2000 → 1000] risk: one voter down meanwhile
         then server 1 in sync and committing (within 60 s)
         4. prove that the others serve without node-2
         then 2 voters in sync and committing without server 2 (within 60 s)
         5. replace the server of node-2
         node-2: run from slots/b [differs from the inventory]
         node-2: server restarted [it runs with an older zoo.cfg: tickTime 2000 → 1000] risk: one voter down meanwhile
         then server 2 in sync and committing (within 60 s)
         6. prove that the others serve without node-3
         then 2 voters in sync and committing without server 3 (within 60 s)
         7. replace the server of node-3
         node-3: run from slots/b [differs from the inventory]
         node-3: server restarted [it runs with an older zoo.cfg: tickTime 2000 → 1000] risk: one voter down meanwhile
         then server 3 in sync and committing (within 60 s)
         8. wait until ready
         then one leader, all others in sync, canary read back everywhere (within 60 s)",
    );
}

/// All have an older configuration, and closed ports keep them apart.
fn stale_and_apart() -> World {
    let mut world = World::deployed(3, 0);
    // The servers were started well before.
    world.facts.wall_ms += 10_000;
    for member in world.desired.members.values_mut() {
        member.config = member.config.replace("2000", "1000");
    }
    for id in [1, 2, 3] {
        world.rule(id, 2888, PortRule::default());
    }
    world.settle();
    assert!(!ensemble::serves(&world.desired, &world.facts));
    world
}

#[test]
fn a_restart_of_all_is_given_up_when_opened_ports_bring_a_quorum_together() {
    let mut world = stale_and_apart();
    let plan_now = |world: &World| plan(&world.desired, &world.facts, &Goal::Deploy).expect("plan");
    let first = plan_now(&world);
    let text = first.to_string();
    let (proof, restart) =
        ("prove that nothing is served yet\n   then nothing is served yet", "restart: nothing serves yet");
    assert!(text.find(proof).expect(&text) < text.find(restart).expect(&text), "{text}");
    assert!(first.expects_idle());

    let running = |world: &mut World| [1, 2, 3].map(|id| world.host(id).unit.state.clone());
    let before = running(&mut world);
    assert!(!world.apply(&first), "the ports made them serve: {text}");
    assert_eq!(running(&mut world), before, "nobody was restarted");
    assert!(ensemble::serves(&world.desired, &world.facts));

    let second = plan_now(&world);
    assert!(!second.expects_idle(), "{second}");
    assert!(second.to_string().contains("prove that the others serve without node-1"), "{second}");
    assert!(world.apply(&second) && plan_now(&world).is_empty());
}

#[test]
fn what_does_not_serve_is_restarted_all_at_once() {
    let mut world = stale_and_apart();
    // The wall between them is nothing that opening a port would mend: no quorum comes up.
    let first = plan(&world.desired, &world.facts, &Goal::Deploy).expect("plan");
    world.facts.members.values_mut().for_each(|member| {
        member.server = Server::from_here(ServerView::NotServing { words: "no quorum".into() });
    });
    let gate = first.waves.iter().flat_map(|wave| &wave.gates).find(|gate| gate.condition == Condition::Idle);
    let condition = &gate.expect("a gate").condition;
    assert_eq!(gate::ask(&world.desired, world.fresh(), condition), Gatekeeper::Open);
}

#[test]
fn a_voter_that_lost_its_data_is_not_allowed_to_begin_empty() {
    let mut world = World::deployed(3, 0);
    world.dies(1);
    let host = world.host(1);
    host.data = Seen::Is(DataFacts { exists: true, empty: true, ..DataFacts::default() });
    let text = show(&world, &Goal::Deploy);
    assert!(text.contains("node-1: server started"), "{text}");
    assert!(!text.contains("begin empty"), "{text}");
}

#[test]
fn a_majority_without_databases_is_refused() {
    let mut world = World::deployed(3, 0);
    for id in [1, 2] {
        world.dies(id);
        world.host(id).data = Seen::Is(DataFacts { exists: true, empty: true, ..DataFacts::default() });
    }
    world.settle();
    check(
        &world,
        &Goal::Deploy,
        "REFUSED only 1 of 3 voters still hold a database; what the others had acknowledged may exist nowhere else
         with a database: node-3
         empty: node-1 and node-2
         next: put the data of node-1 and node-2 back (zkops.old-* in their data \
         directories is what repair moved aside)",
    );
}

#[test]
fn changing_the_members_of_a_living_ensemble_is_refused() {
    let mut world = World::deployed(3, 0);
    let five = World::bare(5, 0);
    world.desired.members = five.desired.members;
    for id in [4, 5] {
        world.facts.members.insert(ServerId(id), five.facts.members[&ServerId(id)].clone());
    }
    let text = show(&world, &Goal::Deploy);
    assert!(
        text.starts_with("REFUSED the inventory changes the members of an ensemble that already holds data"),
        "{text}"
    );
}

#[test]
fn a_standalone_server_with_data_does_not_become_one_of_three() {
    let mut world = World::deployed(1, 0);
    world.host(1).installed_config = Seen::Is("dataDir=/export/data/zkdata\n".into());
    let three = World::bare(3, 0);
    world.desired.members = three.desired.members;
    for id in [2, 3] {
        world.facts.members.insert(ServerId(id), three.facts.members[&ServerId(id)].clone());
    }
    assert!(show(&world, &Goal::Deploy).starts_with("REFUSED the inventory changes the members"));
}

#[test]
fn every_finding_of_every_host_is_shown_at_once() {
    let mut world = World::bare(3, 0);
    let java = PortUser { pid: Some(77), program: "java".into(), ours: false };
    world.host(1).ports = Seen::Is([(2181, java)].into());
    world.data(2).marker = Some(Marker { cluster: "billing".into(), uuid: "9".into(), id: ServerId(2) });
    world.data(2).empty = false;
    world.host(3).clock = Seen::Is(Clock { offset_ms: 90_000.0, bound_ms: 3.0 });
    check(
        &world,
        &Goal::Deploy,
        "Fail Data 2: /export/data/zkdata holds data of cluster \"billing\" | name another data_dir for node-2, or \
         destroy that cluster first
         Fail Clock 3: +90000.0 ± 3.0 ms: off from the other clocks by 90.0 s | set the clock of node-3 (systemctl \
         enable --now chronyd, or systemd-timesyncd)
         Fail Ports 1: 2181 is taken by java (pid 77) | stop java, or name another port for node-1",
    );
}

#[test]
fn data_of_a_foreign_server_is_left_alone_even_with_the_right_myid() {
    let mut world = World::bare(3, 0);
    let data = world.data(1);
    data.empty = false;
    data.has_database = true;
    data.myid = Myid::Is(ServerId(1));
    let text = show(&world, &Goal::Deploy);
    assert!(text.contains("holds the database of a server 1 that zkops did not deploy"), "{text}");
}

#[test]
fn one_dead_host_stops_a_deployment_before_anything_is_done() {
    let mut world = World::bare(3, 0);
    world.unreachable(2);
    check(&world, &Goal::Deploy, "UNREACHABLE cannot reach 10.0.0.1:22: timed out");
}

#[test]
fn a_host_that_cannot_run_the_binary_is_a_preflight_failure() {
    let mut world = World::bare(3, 0);
    let why =
        Unreachable { kind: NoWayIn::Binary, text: "the host is aarch64, this binary is for x86_64".into() };
    let seen = MemberFacts { host: HostView::Unreachable(why), server: Server::default() };
    world.facts.members.insert(ServerId(3), seen);
    check(&world, &Goal::Deploy, "Fail Binary 3: the host is aarch64, this binary is for x86_64 | -");
}

#[test]
fn the_fingerprint_covers_file_contents() {
    let world = World::bare(3, 0);
    let mut other = world.clone();
    let member = other.desired.members.get_mut(&ServerId(1)).expect("member");
    member.config = member.config.replace("2000", "3000");
    let of = |world: &World| plan(&world.desired, &world.facts, &Goal::Deploy).expect("plan").fingerprint();
    assert_eq!(of(&world), of(&world.clone()));
    assert_ne!(of(&world), of(&other));
}

#[test]
fn the_uuid_of_a_cluster_outlives_its_markers() {
    let mut world = World::deployed(3, 0);
    let uuid = world.facts.fresh_uuid.clone();
    world.facts.fresh_uuid = "another".into();
    assert_eq!(world.facts.uuid_of("orders"), uuid, "the data says it");
    for id in 1..=3 {
        let host = world.host(id);
        host.data.is_mut().expect("seen").marker = None;
        host.installed_config = Seen::Is(format!("zkops.cluster=orders\nzkops.uuid={uuid}\n"));
    }
    assert_eq!(world.facts.uuid_of("orders"), uuid, "the servers were started for it");
    assert_eq!(world.facts.uuid_of("billing"), "another");
}

/// Advice that is followed to the letter is no mistake in the inventory.
#[test]
fn a_server_that_only_root_may_ask_about_is_left_alone_with_advice_that_an_inventory_takes() {
    let mut world = World::deployed(3, 0);
    let host = world.host(2);
    host.root = false;
    host.unit.state = Seen::Is(UnitState::Stopped);
    host.processes = Seen::Is(vec![Process { pid: 77, ..Process::default() }]);
    let text = show(&world, &Goal::Deploy);
    assert!(
        text.starts_with("REFUSED a server of node-2 runs (pid 77) that its service does not keep"),
        "{text}"
    );
    let (_, advice) = text.split_once("give it `").expect("it says what to write");
    let line = advice.split_once('`').expect("a line of the inventory").0;
    let text = format!("ssh: {{ {line} }}\nnodes: [10.0.0.1, 10.0.0.2, 10.0.0.3]\n");
    inventory::parse("orders.yml", &text, &|_| Vec::new()).unwrap_or_else(|why| panic!("{why:?}\n{text}"));
}
