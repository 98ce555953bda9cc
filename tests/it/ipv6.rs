//! Hosts with IPv6 addresses alone: ssh, probes, firewalls, zoo.cfg, clients and status know no other.

use crate::lab::{Lab, Make};
use crate::run::time;

#[test]
fn hosts_with_ipv6_alone_are_deployed_watched_and_repaired() {
    let make = Make { firewalls: Some("firewalld ufw iptables"), v6: Some("only"), ..Make::default() };
    let lab = Lab::made(3, &make);
    let inventory = lab.inventory("");
    let first = lab.zkops(&["deploy", &inventory]).ok();
    time("cold deploy over IPv6", first.took);
    lab.zkops(&["deploy", &inventory]).ok().says("nothing to do");
    let config = lab.on(1, "cat /export/server/zkops/current/zoo.cfg").ok().stdout;
    assert!(config.contains("server.2=[fd77::12]:2888:3888"), "{config}");
    lab.zkops(&["status"]).ok().says("1 leader + 2 followers in sync");
    lab.cli(1, "create /precious 123\n");
    // The members' ports are for the members, in this family too.
    for node in 1..=3 {
        for port in [2888, 3888] {
            let tried = format!("exec 3<>/dev/tcp/{}/{port}", lab.address(node));
            let tried = lab.ctl(&["timeout", "2", "bash", "-c", &tried]);
            assert!(tried.code != 0 && !tried.stderr.contains("refused"), "{port} of node-{node}: {tried}");
        }
    }

    let leader = format!("node-{}", lab.node_that_is("leader"));
    lab.lab(&["kill", &leader]).ok();
    lab.node_that_is("leader");
    lab.zkops(&["status"]).expect(9).says(&leader);
    lab.lab(&["start", &leader]).ok();
    lab.await_healthy();
    lab.on(3, "systemctl stop zkops-orders").ok();
    lab.zkops(&["start", "node-3"]).ok();
    lab.on(
        2,
        "systemctl stop zkops-orders; for f in /export/data/zkdata/version-2/*; do echo garbage >$f; done",
    )
    .ok();
    lab.zkops(&["repair", "node-2", "--yes", "--move-data-aside"]).ok();
    lab.zkops(&["status"]).ok();
    assert!(lab.cli(2, "get /precious\n").contains("123"), "the data is not back");
    lab.zkops(&["restart"]).ok();
}

/// Names that stand for an address of each family, and members that choose the one or the other.
#[test]
fn names_with_both_families_are_let_in_by_both() {
    let lab = Lab::made(3, &Make { v6: Some("dual"), ..Make::default() });
    let dir = lab.dir().display().to_string();
    let mut text = format!(
        "cluster: orders\nssh: {{ user: root, key: {dir}/id, known_hosts: {dir}/known_hosts }}\nnodes:\n"
    );
    for node in 1..=3 {
        text += &format!("  node-{node}: {{ id: {node}, ip: node-{node} }}\n");
    }
    let inventory = lab.write("orders.yml", &text);
    lab.zkops(&["deploy", &inventory]).ok();
    lab.zkops(&["deploy", &inventory]).ok().says("nothing to do");
    lab.zkops(&["status"]).ok();
    let rules = lab.on(1, "firewall-cmd --permanent --list-rich-rules").ok().stdout;
    for address in ["10.77.0.12", "10.77.0.13", "fd77::12", "fd77::13"] {
        assert_eq!(rules.matches(&format!("address=\"{address}\"")).count(), 2, "{address} in {rules}");
    }
    // One host that takes itself for loopback is told from the others.
    lab.on(2, "sed -i 's/^10.77.0.12 .*/127.0.1.1 node-2/; /^fd77::12 /d' /etc/hosts").ok();
    lab.zkops(&["check", &inventory])
        .expect(3)
        .says("node-2 resolves to 127.0.1.1 on node-2, not to 10.77.0.12");
}
