//! Preflight: one cell for every check and member.

use super::world::World;
use crate::formats::opening::Opening;
use crate::operator::plan::facts::{Clock, NameFacts};
use crate::operator::plan::network::PortRule;
use crate::operator::plan::preflight::{self, Check, Expect, Finding, Level};
use crate::operator::plan::seen::Seen;
use crate::operator::plan::ways::{Reach, ReachResult, SourceFacts, WayFacts};
use crate::wire::ids::ServerId;

fn cell(world: &World, check: Check, member: i64) -> Finding {
    preflight::check(&world.desired, &world.facts)
        .into_iter()
        .find(|finding| finding.check == check && finding.member == ServerId(member))
        .expect("every check has a cell for every member")
}

#[track_caller]
fn expect(world: &World, check: Check, member: i64, level: Level, evidence: &str) {
    let finding = cell(world, check, member);
    assert_eq!((finding.level, finding.evidence.as_str()), (level, evidence));
}

#[test]
fn bare_hosts_are_fit() {
    let world = World::bare(3, 0);
    let findings = preflight::check(&world.desired, &world.facts);
    assert_eq!(findings.len(), 9 * 3);
    assert_eq!(preflight::worst(&findings), Level::Ok);
    expect(&world, Check::Firewall, 2, Level::Ok, "firewalld: 2181 2888 3888 to be opened");
    expect(&world, Check::Data, 2, Level::Ok, "empty");
}

#[test]
fn the_one_wrong_clock_is_named_even_when_it_is_the_operators() {
    let mut world = World::bare(3, 0);
    for id in [1, 2, 3] {
        world.host(id).clock = Seen::Is(Clock { offset_ms: 600_000.0, bound_ms: 1.0 });
    }
    expect(&world, Check::Clock, 1, Level::Ok, "+600000.0 ± 1.0 ms");
    world.host(2).clock = Seen::Is(Clock { offset_ms: 602_500.0, bound_ms: 1.0 });
    expect(&world, Check::Clock, 2, Level::Warn, "+602500.0 ± 1.0 ms");
}

#[test]
fn a_wide_bound_is_no_proof_of_a_wrong_clock() {
    let mut world = World::bare(3, 0);
    world.host(2).clock = Seen::Is(Clock { offset_ms: 40_000.0, bound_ms: 39_500.0 });
    expect(&world, Check::Clock, 2, Level::Ok, "+40000.0 ± 39500.0 ms");
}

#[test]
fn a_full_disk_is_found_before_anything_is_written() {
    let mut world = World::bare(3, 0);
    world.room(1, 1 << 20);
    expect(&world, Check::Disk, 1, Level::Fail, "/export/data/zkdata: 1 MiB free, 128 MiB needed");
}

#[test]
fn the_debian_loopback_line_is_a_trap() {
    let mut world = World::bare(3, 0);
    world.host(1).names =
        Seen::Is(vec![NameFacts { name: "node-1".into(), addresses: vec!["127.0.1.1".into()] }]);
    expect(&world, Check::Names, 1, Level::Warn, "node-1 resolves to 127.0.1.1 on node-1, not to 10.0.0.1");
    world.desired.members.get_mut(&ServerId(1)).expect("member").address = "node-1".into();
    expect(&world, Check::Names, 1, Level::Fail, "node-1 resolves to 127.0.1.1 on node-1");
    let advice = |world: &World| cell(world, Check::Names, 1).fix.expect("a cure");
    let general = "give it the address by which the others reach it";
    assert!(advice(&world).ends_with(general), "{}", advice(&world));
    // The others know better.
    let way =
        WayFacts { to: "node-1".into(), addresses: vec!["10.0.0.1".parse().unwrap()], from: Vec::new() };
    world.host(2).sources = Seen::Is(SourceFacts { session: None, ways: vec![way] });
    expect(&world, Check::Names, 1, Level::Fail, "node-1 resolves to 127.0.1.1 on node-1, not to 10.0.0.1");
    assert_eq!(
        advice(&world),
        "in /etc/hosts on node-1 take node-1 off the line of 127.0.1.1 and give it 10.0.0.1"
    );
}

#[test]
fn a_name_that_hosts_take_for_different_machines_is_named_with_both() {
    let mut world = World::bare(3, 0);
    world.desired.members.get_mut(&ServerId(2)).expect("member").address = "node-2.lan".into();
    for (id, address) in [(1, "10.9.9.9"), (2, "10.0.0.2"), (3, "10.0.0.2")] {
        let name = NameFacts { name: "node-2.lan".into(), addresses: vec![address.into()] };
        world.host(id).names = Seen::Is(vec![name]);
        let addresses = vec![address.parse().unwrap()];
        let way = WayFacts { to: "node-2.lan".into(), addresses, from: Vec::new() };
        world.host(id).sources = Seen::Is(SourceFacts { session: None, ways: vec![way] });
    }
    let said = "node-2.lan is 10.9.9.9 on node-1, 10.0.0.2 on node-2 and node-3";
    expect(&world, Check::Names, 1, Level::Warn, said);
}

#[test]
fn a_firewall_that_only_root_may_read_is_not_taken_for_none() {
    let mut world = World::bare(3, 0);
    world.host(1).firewall = Seen::unseen("only root may see them", 1);
    world.host(1).root = false;
    expect(&world, Check::Firewall, 1, Level::Warn, "cannot be looked at without root");
    world.host(1).firewall = Seen::Absent;
    expect(&world, Check::Firewall, 1, Level::Ok, "none active");
}

#[test]
fn a_rule_of_somebody_else_that_lets_everybody_in_is_named() {
    let mut world = World::deployed(3, 0);
    let wide = Opening::to_all(2888);
    let rule =
        PortRule { open: true, permanent: true, rule: "firewalld zone public lists port 2888/tcp".into() };
    world.host(1).firewall.is_mut().expect("a firewall").openings.insert(wide, rule);
    let said = "firewalld: tcp 2888, which the members alone need, is open to everybody: firewalld zone public lists \
                port 2888/tcp";
    expect(&world, Check::Firewall, 1, Level::Warn, said);
    world.host(1).firewall.is_mut().expect("a firewall").ours.push(wide);
    expect(&world, Check::Firewall, 1, Level::Ok, "firewalld: open");
}

#[test]
fn a_stale_hosts_file_is_a_warning_and_a_missing_name_is_none() {
    let mut world = World::bare(3, 0);
    world.host(1).names = Seen::Is(vec![
        NameFacts { name: "node-2".into(), addresses: vec!["10.9.9.9".into()] },
        NameFacts { name: "node-3".into(), addresses: vec![] },
    ]);
    expect(&world, Check::Names, 1, Level::Warn, "node-2 is 10.9.9.9 here, 10.0.0.2 in the inventory");
}

#[test]
fn a_closed_port_is_a_failure_only_after_it_was_opened() {
    let mut world = World::bare(3, 0);
    let to = ServerId(3);
    world.facts.reach = vec![
        Reach { from: Some(ServerId(1)), to, port: 2888, result: ReachResult::NoRoute },
        Reach { from: None, to, port: 2181, result: ReachResult::Ok },
    ];
    let find = |expect| preflight::check_reach(&world.desired, &world.facts, expect);
    assert_eq!(find(Expect::AsNow)[0].evidence, "closed, to be opened");
    let after = find(Expect::Open);
    assert_eq!(after[0].level, Level::Fail);
    assert_eq!(after[0].check, Check::QuorumPort(ServerId(1)));
    assert_eq!(after[0].evidence, "node-1 → node-3:2888 no route");
    assert_eq!(
        after[0].fix.as_deref(),
        Some("open tcp 2888 to 10.0.0.3 in the firewall between the hosts (security group, router)")
    );
    assert_eq!(after[1].level, Level::Ok);

    // Whether it will be opened is not known of a firewall that was not seen.
    world.host(3).firewall = Seen::unseen("it did not end in time", 1);
    let blind = preflight::check_reach(&world.desired, &world.facts, Expect::AsNow).swap_remove(0);
    assert_eq!((blind.level, blind.evidence.as_str()), (Level::Fail, "node-1 → node-3:2888 no route"));
    let fix = blind.fix.unwrap_or_default();
    assert!(fix.starts_with("the firewall on node-3 could not be looked at"), "{fix}");
}
