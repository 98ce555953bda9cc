//! Whatever keeps a member out is named by `status` from the host itself, and `repair` does what that cause needs and
//! nothing else: with none of these is data moved, agreed to or not. What is wrong with data itself is in `repair`.

use crate::ensemble::{SOON, kazoo_script};
use crate::lab::Lab;
use crate::run::eventually;

fn deployed() -> Lab {
    let lab = Lab::up(3);
    let inventory = lab.inventory("");
    lab.zkops(&["deploy", &inventory]).ok();
    lab
}

/// `status` names the cause, for people and for machines.
#[track_caller]
fn status_says(lab: &Lab, cause: &str, words: &[&str]) {
    eventually(&format!("status names {cause}"), SOON, || {
        let status = lab.zkops(&["status"]);
        match status.code == 9 && words.iter().all(|word| status.all().contains(word)) {
            true => Ok(()),
            false => Err(status.to_string()),
        }
    });
    let json = lab.zkops(&["status", "--json"]).expect(9);
    assert!(json.stdout.contains(cause), "{cause} is not a cause: {json}");
}

/// What repair is forbidden to touch: the directory itself, and what would stand beside it.
pub(crate) fn data(lab: &Lab, node: usize) -> String {
    lab.on(node, "cd /export/data/zkdata && stat -c '%i %n' version-2 && ls -d zkops.old-* 2>/dev/null; true")
        .ok()
        .stdout
}

/// `repair` mends it, and the data stays where it is.
#[track_caller]
pub(crate) fn mended(lab: &Lab, node: usize) {
    let before = data(lab, node);
    // Everything that could be agreed to beforehand is: it must not be needed.
    let name = format!("node-{node}");
    lab.zkops(&["repair", &name, "--yes", "--move-data-aside"]).ok();
    assert_eq!(data(lab, node), before, "data was moved");
    lab.await_healthy();
}

/// `repair` does nothing, and says what is to be done.
#[track_caller]
pub(crate) fn left_alone(lab: &Lab, node: usize, words: &[&str]) {
    let before = data(lab, node);
    let name = format!("node-{node}");
    let refused = lab.zkops(&["repair", &name, "--yes", "--move-data-aside"]).expect(4);
    for word in words {
        assert!(refused.all().contains(word), "repair does not say {word:?}: {refused}");
    }
    assert_eq!(data(lab, node), before, "data was moved");
}

#[test]
fn files_processes_and_ports_are_mended_with_the_data_in_place() {
    let lab = deployed();
    a_hand_broken_zoo_cfg(&lab);
    killed_six_times(&lab);
    a_missing_and_a_wrong_myid(&lab);
    a_port_that_another_process_has(&lab);
    a_rule_on_its_own_host(&lab);
    a_closed_port_on_the_leaders_host(&lab);
    another_clusters_inventory(&lab);
}

fn a_hand_broken_zoo_cfg(lab: &Lab) {
    let spoil = "sed -i 's/^tickTime=.*/tickTime=never/' /export/server/zkops/current/zoo.cfg; \
                 systemctl kill -s KILL zkops-orders";
    lab.on(3, spoil).ok();
    status_says(lab, "ConfigBroken", &["node-3", "the server cannot start with", "tickTime is \"never\""]);
    lab.zkops(&["start", "node-3"]).expect(4).says("zkops repair node-3");
    mended(lab, 3);
}

/// The last one is not waited for: a manager may have given up, or be about to start it.
fn killed_six_times(lab: &Lab) {
    let node = lab.node_that_is("follower");
    for _ in 0..6 {
        lab.on(node, "systemctl kill -s KILL zkops-orders; systemctl start zkops-orders || true").ok();
    }
    lab.on(node, "systemctl kill -s KILL zkops-orders").ok();
    mended(lab, node);
}

fn a_missing_and_a_wrong_myid(lab: &Lab) {
    let restart = |change: &str| {
        let line = format!("systemctl stop zkops-orders; {change}; systemctl start zkops-orders; true");
        lab.on(3, &line).ok();
    };
    restart("rm /export/data/zkdata/myid");
    status_says(lab, "MyidMissing", &["node-3", "myid is missing"]);
    mended(lab, 3);
    restart("echo 2 >/export/data/zkdata/myid");
    status_says(lab, "MyidMissing", &["node-3", "myid says 2 instead of 3"]);
    mended(lab, 3);
}

fn a_port_that_another_process_has(lab: &Lab) {
    lab.zkops(&["stop", "node-3"]).ok();
    let thief = "import socket, time; s = socket.socket(); s.setsockopt(1, 2, 1); s.bind((\"\", 3888)); s.listen(); time.sleep(600)";
    lab.on(3, &format!("systemd-run -q --unit=thief python3 -c '{thief}'")).ok();
    status_says(lab, "PortTaken", &["tcp 3888 on node-3 is taken by python3 (pid "]);
    left_alone(lab, 3, &["tcp 3888", "python3 (pid ", "then: zkops start node-3"]);
    lab.zkops(&["start", "node-3"]).expect(4).says("python3 (pid ");
    lab.on(3, "systemctl stop thief").ok();
    lab.zkops(&["start", "node-3"]).ok();
    lab.await_healthy();
}

fn a_rule_on_its_own_host(lab: &Lab) {
    let rule = "rule family=ipv4 port port=2181 protocol=tcp reject";
    lab.on(3, &format!("firewall-cmd -q --add-rich-rule='{rule}'")).ok();
    let status = lab.zkops(&["status"]);
    assert!(
        status.all().contains("port port=\"2181\" protocol=\"tcp\" reject") || status.code == 0,
        "{status}"
    );
    lab.on(3, &format!("firewall-cmd -q --remove-rich-rule='{rule}'")).ok();
    lab.on(3, &format!("{}; {}; systemctl restart zkops-orders", closing(2181), closing(2888))).ok();
    mended(lab, 3);
}

/// What somebody types who closes a port: the opening for all, and those for single addresses.
fn closing(port: u16) -> String {
    format!(
        "firewall-cmd -q --permanent --remove-port={port}/tcp; firewall-cmd --permanent --list-rich-rules | grep {port} | \
         while read rule; do firewall-cmd -q --permanent --remove-rich-rule=\"$rule\"; done; firewall-cmd -q --reload"
    )
}

/// The rule stands on another host than the member's: it is named there, at once, and opened there.
fn a_closed_port_on_the_leaders_host(lab: &Lab) {
    let (leader, node) = (lab.node_that_is("leader"), lab.node_that_is("follower"));
    lab.on(leader, &closing(2888)).ok();
    lab.on(node, "systemctl restart zkops-orders").ok();
    let (blocked, way) = (format!("on node-{leader} blocks tcp 2888"), format!("zkops repair node-{leader}"));
    status_says(lab, "OthersBlocked", &[&blocked, "tcp 2888 (quorum port of", &way]);
    left_alone(lab, node, &[&blocked, "tcp 2888 (quorum port of", &way]);
    lab.zkops(&["repair", &format!("node-{leader}"), "--yes"]).ok();
    lab.await_healthy();
}

/// Same hosts, another name: nothing is touched, by whatever verb.
fn another_clusters_inventory(lab: &Lab) {
    let inventory = std::fs::read_to_string(lab.home().join("orders.yml")).expect("it was deployed");
    let other = lab.write("other.yml", &inventory.replace("cluster: orders", "cluster: other"));
    let before: Vec<String> = (1..=3).map(|node| data(lab, node)).collect();
    for verb in [&["repair", "node-1", "--yes"][..], &["start", "node-1"], &["stop", "node-1"], &["restart"]]
    {
        let refused = lab.zkops(&[verb, &["-i", &other]].concat()).expect(4);
        refused.says("belongs to cluster \"orders\"");
    }
    lab.zkops(&["destroy", &other, "--yes"]).expect(4).says("belongs to cluster \"orders\"");
    assert_ne!(lab.zkops(&["deploy", &other]).code, 0);
    assert_eq!((1..=3).map(|node| data(lab, node)).collect::<Vec<_>>(), before);
    assert_eq!(lab.on(1, "ls /etc/systemd/system | grep -c zkops-other; true").ok().stdout.trim(), "0");
    lab.zkops(&["status"]).ok();
}

#[test]
fn machines_that_are_full_late_or_down_are_named_and_left_to_people() {
    let lab = deployed();
    a_full_disk(&lab);
    a_clock_that_is_off(&lab);
    lab.lab(&["kill", "node-2"]).ok();
    status_says(&lab, "HostUnreachable", &["node-2", "cannot be reached"]);
}

fn a_full_disk(lab: &Lab) {
    // Not the leader: its end would break the writer's connection.
    let node = lab.node_that_is("follower");
    let leader = lab.node_that_is("leader");
    let name = format!("node-{node}");
    lab.lab(&["fill", &name]).ok();
    // Its log has room set aside already; what does not fit there any more ends the server.
    let [python, _] = kazoo_script("writer.py");
    lab.ctl(&[&python, "-c", MUCH, &format!("{}:2181", Lab::ip(leader))]).ok();
    status_says(lab, "DiskFull", &[&name, "the disk of /export", "is full"]);
    left_alone(lab, node, &["the disk of /export", "free space on the file system of"]);
    assert!(lab.cli(leader, "ls /\n").contains("much"), "the others serve");
    lab.lab(&["unfill", &name]).ok();
    lab.zkops(&["start", &name]).ok();
    lab.zkops(&["status"]).ok();
    assert!(lab.cli(node, "ls /\n").contains("much"), "it caught up");
}

/// It keeps nobody from taking part: it is said, and the member is started.
fn a_clock_that_is_off(lab: &Lab) {
    lab.lab(&["skew", "node-3", "+90s"]).ok();
    lab.zkops(&["stop", "node-3"]).ok();
    status_says(lab, "ClockOff", &["node-3", "the clock of node-3 is off by 90"]);
    mended(lab, 3);
    // Its server's lines stand where they were written, by the clock of whoever reads them.
    lab.zkops(&["restart", "node-3"]).ok();
    let before = jiff::Timestamp::now().to_string();
    let told = lab.zkops(&["logs"]).ok();
    let last = told.stdout.lines().rfind(|line| line.contains(" node-3 "));
    let last = last.and_then(|line| line.split(' ').next()).unwrap_or_else(|| panic!("{told}"));
    assert!(last < before.as_str(), "{last} is not before {before}: {told}");
    lab.lab(&["skew", "node-3", "0"]).ok();
}

/// More than the 64 MiB by which a log grows.
const MUCH: &str = "
import sys
from kazoo.client import KazooClient
zk = KazooClient(hosts=sys.argv[1], timeout=60)
zk.start(timeout=30)
zk.create('/much')
for n in range(90):
    zk.create('/much/%d' % n, bytes(900000))
zk.stop()
";
