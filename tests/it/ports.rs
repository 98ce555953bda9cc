//! Who is let in, with each kind of firewall: the members at their own ports, clients at the client port,
//! nobody else; and what is left when all is gone.

use crate::ensemble::SOON;
use crate::lab::{Lab, Make};
use crate::run::eventually;

const NODES: usize = 4;
const FIREWALLS: &str = "firewalld ufw nft iptables";
/// An address of the controller that is neither a member's nor the operator's.
const STRANGER: &str = "10.77.0.99";
const OPERATOR: &str = "10.77.0.1";

#[test]
fn members_are_let_in_and_nobody_else_with_each_firewall() {
    let lab = Lab::made(NODES, &Make { firewalls: Some(FIREWALLS), ..Make::default() });
    lab.ctl(&["ip", "addr", "add", &format!("{STRANGER}/24"), "dev", "br0"]).ok();
    // To node-1 the packets of node-4 seem to come from elsewhere: nobody can know that.
    lab.on(4, "ip addr add 10.77.0.50/24 dev eth0; iptables -t nat -A POSTROUTING -d 10.77.0.11 -j SNAT --to 10.77.0.50")
        .ok();
    let inventory = lab.inventory("");
    lab.zkops(&["deploy", &inventory])
        .ok()
        .says("planned again")
        .says("node-1: open tcp 2888 3888 from 10.77.0.50");
    lab.zkops(&["deploy", &inventory]).ok().says("nothing to do");
    closed_to_strangers(&lab);
    // An election takes new connections, on both ports.
    let leader = format!("node-{}", lab.node_that_is("leader"));
    lab.zkops(&["stop", &leader]).ok();
    lab.node_that_is("leader");
    lab.zkops(&["start", &leader]).ok();
    lab.await_healthy();
    // The one that no other test powers off.
    lab.on(4, "sync").ok();
    lab.lab(&["kill", "node-4"]).ok();
    lab.lab(&["start", "node-4"]).ok();
    lab.await_healthy();
    closed_to_strangers(&lab);

    // As the first version left them: open to all.
    for node in 1..=NODES {
        open_wide(&lab, node);
        assert!(passes(&lab, OPERATOR, node, 3888), "node-{node} is open to all");
    }
    let plan = lab.zkops(&["plan", &inventory]).expect(8);
    plan.says("node-3: close tcp 2888 3888").says("else node-3: open tcp 2888 3888");
    lab.zkops(&["deploy", &inventory]).ok();
    closed_to_strangers(&lab);
    lab.zkops(&["plan", &inventory]).ok().says("nothing to do");
    // A rule of somebody else's is named and left alone.
    lab.on(3, "nft insert rule inet filter input tcp dport 3888 accept comment \"mine\"").ok();
    lab.zkops(&["check", &inventory])
        .ok()
        .says("tcp 3888, which the members alone need, is open to everybody");
    lab.on(3, "nft -a list chain inet filter input | grep mine").ok();

    // A run that was killed before it could say that the ports are open.
    for node in 1..=NODES {
        lab.on(node, "sed -i '/\"event\":\"end\"/d' /export/server/zkops/var/journal.jsonl").ok();
    }
    lab.zkops(&["destroy", "--yes", "--cluster", "orders", "--data"]).ok();
    nothing_is_left(&lab, Some((3, 3888)));
}

#[test]
fn named_clients_are_let_in_and_an_older_client_port_is_closed() {
    let lab = Lab::made(NODES, &Make { firewalls: Some(FIREWALLS), ..Make::default() });
    lab.ctl(&["ip", "addr", "add", &format!("{STRANGER}/24"), "dev", "br0"]).ok();
    lab.zkops(&["deploy", &lab.inventory("clients: [192.168.7.0/24]\n")]).ok();
    for node in 1..=NODES {
        assert!(passes(&lab, OPERATOR, node, 2181), "the operator reaches node-{node}");
        assert!(!passes(&lab, STRANGER, node, 2181), "a stranger reaches node-{node}");
        let next = node % NODES + 1;
        lab.on(node, &format!("nc -zw2 {} 2181", Lab::ip(next))).ok();
    }
    lab.zkops(&["status"]).ok();
    let named = lab.inventory(&format!("clients: [192.168.7.0/24, {STRANGER}]\n"));
    lab.zkops(&["deploy", &named]).ok();
    (1..=NODES).for_each(|node| reaches_clients(&lab, node, 2181));
    let everybody = lab.inventory("");
    lab.zkops(&["deploy", &everybody]).ok();
    (1..=NODES).for_each(|node| reaches_clients(&lab, node, 2181));
    for node in 1..=NODES {
        let narrow = lab.on(node, &rules("192.168.7.0")).stdout;
        assert_eq!(narrow, "", "node-{node} keeps what nobody needs any more");
    }
    lab.zkops(&["plan", &everybody]).ok().says("nothing to do");

    // Another port for clients: the old one is closed behind the last server that moved.
    for node in 1..=NODES {
        lab.on(node, "systemctl stop zkops-orders").ok();
    }
    lab.zkops(&["deploy", &lab.inventory("defaults: { ports: { client: 2190 } }\n")]).ok();
    for node in 1..=NODES {
        reaches_clients(&lab, node, 2190);
        assert!(!passes(&lab, STRANGER, node, 2181), "node-{node}");
    }
    lab.zkops(&["status"]).ok();
    lab.zkops(&["destroy", "--yes", "--cluster", "orders", "--data"]).ok();
    nothing_is_left(&lab, None);
}

/// Nobody but the members gets through to their ports; clients do.
#[track_caller]
fn closed_to_strangers(lab: &Lab) {
    for node in 1..=NODES {
        for port in [2888, 3888] {
            assert!(!passes(lab, OPERATOR, node, port), "the operator reaches {port} of node-{node}");
            assert!(!passes(lab, STRANGER, node, port), "a stranger reaches {port} of node-{node}");
        }
        reaches_clients(lab, node, 2181);
    }
}

/// A client gets through; one packet may be lost on a busy machine.
#[track_caller]
fn reaches_clients(lab: &Lab, node: usize, port: u16) {
    eventually(&format!("clients reach node-{node}"), SOON, || {
        match tried(lab, STRANGER, node, port).as_str() {
            THROUGH => Ok(()),
            why => Err(format!("{why}: {}", lab.on(node, &rules(&port.to_string())))),
        }
    });
}

/// Packets get through: somebody accepts, or the host itself says that nobody listens.
fn passes(lab: &Lab, from: &str, node: usize, port: u16) -> bool {
    tried(lab, from, node, port) == THROUGH
}

fn tried(lab: &Lab, from: &str, node: usize, port: u16) -> String {
    let tried = lab.ctl(&["python3", "-c", CONNECT, from, &Lab::ip(node), &port.to_string()]).ok();
    tried.stdout.trim().to_owned()
}

const THROUGH: &str = "through";

const CONNECT: &str = "
import socket, sys
try:
    socket.create_connection((sys.argv[2], int(sys.argv[3])), 1.5, (sys.argv[1], 0)).close()
    print('through')
except ConnectionRefusedError:
    print('through')
except OSError as why:
    print(why)
";

/// Openings to all that carry our mark, as a deployment of the first version left them.
fn open_wide(lab: &Lab, node: usize) {
    let record = "[{\"zone\":\"public\",\"port\":2888},{\"zone\":\"public\",\"port\":3888}";
    let open = [
        format!(
            "for p in 2888 3888; do firewall-cmd -q --add-port=$p/tcp; firewall-cmd -q --permanent --add-port=$p/tcp; done; \
             sed -i 's/^\\[/{record},/' /var/lib/zkops/firewalld-ports.json"
        ),
        "for p in 2888 3888; do ufw allow $p/tcp comment zkops; done".to_owned(),
        "for p in 2888 3888; do nft insert rule inet filter input tcp dport $p accept comment '\"zkops\"'; done".to_owned(),
        "for p in 2888 3888; do iptables -I INPUT -p tcp -m tcp --dport $p -m comment --comment zkops -j ACCEPT; done"
            .to_owned(),
    ];
    lab.on(node, &open[node - 1]).ok();
    let line = "{\"event\":\"end\",\"outcome\":\"changed\",\"opened_ports\":[2888,3888],\"zone\":\"public\"}";
    lab.on(node, &format!("echo '{line}' >>/export/server/zkops/var/journal.jsonl")).ok();
}

/// Lines of rules, running and kept, that contain a word.
fn rules(word: &str) -> String {
    let all = "firewall-cmd --list-all; firewall-cmd --permanent --list-all; ufw status verbose; nft list ruleset; \
               iptables -S; cat /etc/nftables.conf /etc/nftables.d/* /etc/iptables/rules.v4 /etc/ufw/user*.rules";
    format!("{{ {all}; }} 2>/dev/null | grep -e '{word}'; true")
}

/// `foreign`: a port of a host that somebody else's rule opens.
#[track_caller]
fn nothing_is_left(lab: &Lab, foreign: Option<(usize, u16)>) {
    for node in 1..=NODES {
        let left = lab.on(node, &rules("zkops\\|2181\\|2190\\|2888")).ok().stdout;
        assert_eq!(left, "", "left on node-{node}");
        for port in [2181, 2888, 3888] {
            let open = foreign == Some((node, port));
            eventually("it is closed", SOON, || match passes(lab, OPERATOR, node, port) == open {
                true => Ok(()),
                false => Err(format!("{port} of node-{node}")),
            });
        }
    }
}
