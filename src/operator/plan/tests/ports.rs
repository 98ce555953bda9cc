//! Who is let in where, and what is closed again.

use super::world::World;
use super::{check, show};
use crate::formats::opening::Opening;
use crate::operator::plan::facts::{Facts, HostView, JournalFacts};
use crate::operator::plan::network::PortRule;
use crate::operator::plan::seen::Seen;
use crate::operator::plan::ways::{SourceFacts, WayFacts};
use crate::operator::plan::{Goal, ports};
use crate::wire::ids::ServerId;

/// Everybody who is let in on node-1.
fn wanted(world: &World) -> Vec<String> {
    let member = &world.desired.members[&ServerId(1)];
    ports::wanted(&world.desired, &world.facts, member).iter().map(ToString::to_string).collect()
}

fn way(to: &str, addresses: &[&str], from: &[&str]) -> WayFacts {
    let parsed = |all: &[&str]| all.iter().map(|text| text.parse().expect("an address")).collect();
    WayFacts { to: to.into(), addresses: parsed(addresses), from: parsed(from) }
}

/// A deployment of the first version: its ports stand open to all, and the journal says that it was us.
fn opened_wide() -> World {
    let mut world = World::deployed(3, 0);
    for id in 1..=3 {
        for port in [2888, 3888] {
            let wide = Opening::to_all(port);
            let host = world.host(id);
            let firewall = host.firewall.is_mut().expect("a firewall");
            let narrow = |one: &Opening| one.port == port && one.from.is_some();
            firewall.leaning.extend(firewall.ours.iter().filter(|one| narrow(one)));
            firewall.ours.retain(|one| !narrow(one));
            firewall.ours.push(wide);
            let rule = PortRule { open: true, permanent: true, rule: "zone public".into() };
            firewall.openings.insert(wide, rule);
            let journal = host.journal.is_mut().expect("a journal");
            journal.opened.retain(|one| !narrow(one));
            journal.opened.push(wide);
        }
    }
    world
}

#[test]
fn members_come_from_where_the_inventory_the_routes_and_the_listeners_say() {
    let mut world = World::bare(3, 0);
    assert_eq!(
        wanted(&world),
        ["2181", "2888 from 10.0.0.2", "2888 from 10.0.0.3", "3888 from 10.0.0.2", "3888 from 10.0.0.3"]
    );
    // A second interface, an address translation, and a name with both families.
    world.host(2).sources =
        Seen::Is(SourceFacts { session: None, ways: vec![way("10.0.0.1", &["10.0.0.1"], &["10.9.0.2"])] });
    world.facts.observed = [(ServerId(3), ["192.0.2.7".parse().expect("an address")].into())].into();
    world.desired.members.get_mut(&ServerId(3)).expect("member").address = "node-3.lan".into();
    let resolved = way("node-3.lan", &["10.0.0.3", "fd00::3", "127.0.1.1"], &["10.0.0.1"]);
    world.host(1).sources = Seen::Is(SourceFacts { session: None, ways: vec![resolved] });
    let from: Vec<String> = wanted(&world).into_iter().filter(|one| one.starts_with("2888")).collect();
    let all = ["10.0.0.2", "10.0.0.3", "10.9.0.2", "192.0.2.7", "fd00::3"];
    assert_eq!(from, all.map(|address| format!("2888 from {address}")));
}

#[test]
fn named_clients_the_members_and_the_operator_reach_the_client_port_and_nobody_else() {
    let mut world = World::bare(3, 0);
    world.desired.clients = Some(vec!["192.168.0.0/16".parse().unwrap(), "fd00::/8".parse().unwrap()]);
    world.host(1).sources =
        Seen::Is(SourceFacts { session: Some("192.0.2.1".parse().unwrap()), ways: Vec::new() });
    let client: Vec<String> = wanted(&world).into_iter().filter(|one| one.starts_with("2181")).collect();
    assert_eq!(
        client,
        ["10.0.0.2", "10.0.0.3", "192.0.2.1", "192.168.0.0/16", "fd00::/8"]
            .map(|from| format!("2181 from {from}"))
    );
    // What a network covers needs no rule of its own.
    world.desired.clients = Some(vec!["10.0.0.0/8".parse().unwrap()]);
    world.host(1).sources = Seen::Is(SourceFacts::default());
    assert!(wanted(&world).contains(&"2181 from 10.0.0.0/8".into()), "{:?}", wanted(&world));
    assert!(!wanted(&world).contains(&"2181 from 10.0.0.2".into()));
}

#[test]
fn a_port_that_an_earlier_deployment_opened_to_all_is_narrowed_one_host_at_a_time() {
    let mut world = opened_wide();
    let text = show(&world, &Goal::Deploy);
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let at = |line: &str| {
        lines.iter().position(|one| *one == line).unwrap_or_else(|| panic!("{line}\nin\n{text}"))
    };
    let narrow = at(
        "node-2: open tcp 2888 3888 from 10.0.0.1 10.0.0.3 [firewalld does not let them through for good] \
                     undo: close them again with the same tool; zkops destroy does it",
    );
    let closes: Vec<usize> = (1..=3)
        .map(|n| {
            at(&format!(
                "node-{n}: close tcp 2888 3888 [an earlier deployment opened them, and nobody needs them any more]"
            ))
        })
        .collect();
    assert!(narrow < closes[0] && closes.is_sorted(), "{text}");
    for (n, close) in (1..).zip(&closes) {
        assert_eq!(lines[close + 1], "then all hosts reach the ports of server 1, 2, 3 (within 15 s)");
        assert_eq!(lines[close + 2], format!("else node-{n}: open tcp 2888 3888 [it was open before]"));
    }
    // No server was touched: that it serves is seen by its servers all the same, behind all of it.
    let ready = at("then one leader, all others in sync, canary read back everywhere (within 60 s)");
    assert!(closes[2] < ready && ready == lines.len() - 1, "{text}");
    let plan = crate::operator::plan::plan(&world.desired, &world.facts, &Goal::Deploy).expect("a plan");
    assert!(world.apply(&plan), "{plan}");
    check(&world, &Goal::Deploy, "deploy orders: nothing to do");
}

#[test]
fn nothing_is_closed_while_it_is_not_known_where_somebody_comes_from() {
    let mut world = opened_wide();
    world.host(3).sources = Seen::unseen("no answer", 0);
    assert!(!show(&world, &Goal::Deploy).contains(": close tcp"), "{}", show(&world, &Goal::Deploy));
    // Nor what is not ours by the journal, or by the mark on the host.
    let mut world = opened_wide();
    for id in 1..=3 {
        world.host(id).journal = Seen::Is(JournalFacts::default());
    }
    assert!(!show(&world, &Goal::Deploy).contains(": close tcp"));
}

#[test]
fn an_opening_of_an_older_client_port_is_closed_when_all_is_done() {
    let mut world = World::deployed(3, 0);
    for member in world.desired.members.values_mut() {
        member.ports.client = 2190;
        member.config = format!("clientPort=2190\n{}", member.config);
    }
    for id in 1..=3 {
        world.rule(id, 2190, PortRule::default());
    }
    let text = show(&world, &Goal::Deploy);
    let at = |part: &str| text.find(part).unwrap_or_else(|| panic!("{part}\nin\n{text}"));
    assert!(at("node-1: open tcp 2190") < at("replace the server of"), "{text}");
    assert!(at("one leader, all others in sync") < at("node-1: close tcp 2181 ["), "{text}");
    assert!(at("node-1: close tcp 2181 [") < text.rfind("one leader, all others in sync").unwrap(), "{text}");
}

#[test]
fn where_a_member_was_seen_to_come_from_is_known_to_later_plans() {
    let mut world = World::bare(3, 0);
    world.facts.observed = [(ServerId(3), ["192.0.2.7".parse().expect("an address")].into())].into();
    let plan = crate::operator::plan::plan(&world.desired, &world.facts, &Goal::Deploy).expect("a plan");
    assert!(plan.to_string().contains("from 10.0.0.2 10.0.0.3 192.0.2.7"), "{plan}");
    assert!(world.apply(&plan), "{plan}");
    world.facts.observed.clear();
    check(&world, &Goal::Deploy, "deploy orders: nothing to do");
    let journal = |world: &mut World| world.host(1).journal.is_mut().expect("a journal").observed.clear();
    journal(&mut world);
    assert!(show(&world, &Goal::Deploy).contains("node-1: close tcp 2888 3888 from 192.0.2.7 ["));
}

/// What is asked of a host of which nothing was seen.
#[test]
fn hosts_that_were_not_seen_have_nothing_to_open_or_close() {
    let mut world = World::bare(3, 0);
    world.facts.members.get_mut(&ServerId(2)).expect("member").host = HostView::Unasked;
    let Facts { members, .. } = &world.facts;
    assert_eq!(members.len(), 3);
    assert_eq!(ports::close_needless(&world.desired, &world.facts), []);
}
