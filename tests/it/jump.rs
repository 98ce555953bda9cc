//! Everything through a jump host: the operator has no route to the members, neither to their sshd nor
//! to their client ports.

use crate::lab::Lab;
use crate::run::time;

/// Three members; node-4 is the jump host, the only one that the operator reaches.
fn behind_a_jump_host() -> (Lab, String) {
    let lab = Lab::up(4);
    lab.lab(&["far", "node-4"]).ok();
    let dir = lab.dir().display().to_string();
    let keys = std::fs::read_to_string(format!("{dir}/known_hosts")).expect("the lab wrote it");
    let known = lab.write("known_hosts", &keys.replace("node-4,", "node-4,10.78.0.2,"));
    // The jump host is none of the inventory's hosts: its key is a default one.
    std::fs::create_dir_all(lab.home().join(".ssh")).expect("the home is writable");
    std::fs::copy(format!("{dir}/id"), lab.home().join(".ssh/id_ed25519")).expect("the lab has a key");
    let mut text = format!(
        "cluster: orders\nssh: {{ user: root, known_hosts: {known}, jump: root@10.78.0.2 }}\nnodes:\n"
    );
    for node in 1..=3 {
        text += &format!("  node-{node}: {{ id: {node}, ip: {} }}\n", Lab::ip(node));
    }
    let inventory = lab.write("orders.yml", &text);
    (lab, inventory)
}

#[test]
fn members_behind_a_jump_host_are_deployed_watched_and_repaired() {
    let (lab, inventory) = behind_a_jump_host();
    let unreachable = ["-c", "exec 3<>/dev/tcp/10.77.0.11/22"];
    let direct = lab.lab(&[&["farctl", "timeout", "5", "bash"], &unreachable[..]].concat());
    assert_ne!(direct.code, 0, "the operator has a route: {direct}");

    let first = lab.zkops_from_far(&["deploy", &inventory]).ok();
    time("cold deploy through a jump host", first.took);
    first.says("canary read back everywhere");
    lab.zkops_from_far(&["deploy", &inventory]).ok().says("nothing to do");
    let status = lab.zkops_from_far(&["status"]).ok();
    time("status through a jump host", status.took);
    status.says("1 leader + 2 followers in sync");

    // Gates: one at a time, each proven in sync by its client port.
    lab.zkops_from_far(&["restart"]).ok();
    lab.cli(1, "create /precious 123\n");

    lab.on(
        3,
        "systemctl stop zkops-orders; for f in /export/data/zkdata/version-2/*; do echo garbage >$f; done",
    )
    .ok();
    lab.zkops_from_far(&["status"]).expect(9).says("node-3").says("damaged");
    lab.zkops_from_far(&["repair", "node-3", "--yes", "--move-data-aside"]).ok();
    lab.zkops_from_far(&["status"]).ok();
    assert!(lab.cli(3, "get /precious\n").contains("123"), "the data is not back");

    // The proof: with a second voter down repair must still refuse.
    lab.on(
        3,
        "systemctl stop zkops-orders; for f in /export/data/zkdata/version-2/*; do echo garbage >$f; done",
    )
    .ok();
    lab.on(2, "systemctl stop zkops-orders").ok();
    lab.zkops_from_far(&["repair", "node-3", "--yes", "--move-data-aside"]).expect(4).says("node-2");
    lab.zkops_from_far(&["start", "node-2"]).ok();
    lab.zkops_from_far(&["repair", "node-3", "--yes", "--move-data-aside"]).ok();

    // A closed client port is seen by the other members, who stand for the clients.
    lab.on(1, "firewall-cmd -q --permanent --remove-port=2181/tcp; firewall-cmd -q --remove-port=2181/tcp")
        .ok();
    lab.zkops_from_far(&["check"]).ok().says("2181 to be opened").says("closed, to be opened");
    lab.zkops_from_far(&["deploy", &inventory]).ok().says("open tcp 2181");
    lab.zkops_from_far(&["plan"]).ok().says("nothing to do");
}

#[test]
fn a_member_whose_host_is_gone_is_seen_through_the_others() {
    let (lab, inventory) = behind_a_jump_host();
    lab.zkops_from_far(&["deploy", &inventory]).ok();
    // Its sshd ends, its server goes on.
    lab.on(2, "systemctl stop ssh.socket ssh; pkill -x sshd; true").ok();
    lab.zkops_from_far(&["status"]).ok().says("1 leader + 2 followers in sync");

    // No way at all: said as such.
    lab.lab(&["kill", "node-4"]).ok();
    lab.zkops_from_far(&["status"]).expect(7).says("10.78.0.2");
}
