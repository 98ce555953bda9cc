//! `status` says why a member does not answer, from the host itself. The firewall, a missing myid and
//! a damaged database are in `repair`; here is everything else that an operator meets.

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

#[test]
fn a_dead_process_is_shown_with_the_end_of_its_log() {
    let lab = deployed();
    // It cannot start again: what it said last is on the screen.
    lab.on(3, "sed -i 's/^tickTime=.*/tickTime=never/' /export/server/zkops/conf/zoo.cfg; systemctl kill -s KILL zkops-orders").ok();
    status_says(&lab, "ProcessDead", &["node-3", "the server of node-3 ended", "tickTime"]);
}

#[test]
fn a_closed_port_is_shown_with_the_rule_that_closes_it() {
    let lab = deployed();
    let rule = "rule family=ipv4 port port=2181 protocol=tcp reject";
    lab.on(3, &format!("firewall-cmd -q --add-rich-rule='{rule}'")).ok();
    status_says(
        &lab,
        "PortBlocked",
        &["node-3", "firewalld", "tcp 2181", "rich rule", "port port=\"2181\" protocol=\"tcp\" reject"],
    );
    lab.on(3, &format!("firewall-cmd -q --remove-rich-rule='{rule}'")).ok();
    lab.await_healthy();
}

#[test]
fn a_wrong_myid_is_shown_and_mended() {
    let lab = deployed();
    lab.on(
        3,
        "systemctl stop zkops-orders; echo 2 >/export/data/zkdata/myid; systemctl start zkops-orders; true",
    )
    .ok();
    status_says(&lab, "MyidMissing", &["node-3", "myid says 2 instead of 3"]);
    lab.zkops(&["repair", "node-3", "--yes"]).ok();
    lab.zkops(&["status"]).ok();
}

#[test]
fn data_of_another_cluster_is_shown_and_never_started() {
    let lab = deployed();
    // Somebody restored the wrong backup: the directory says whose it is.
    lab.on(
        3,
        "systemctl stop zkops-orders; sed -i 's/\"orders\"/\"billing\"/' /export/data/zkdata/zkops.json",
    )
    .ok();
    status_says(&lab, "ForeignData", &["node-3", "holds data of cluster \"billing\""]);
    lab.zkops(&["start", "node-3"]).expect(4).says("billing");
    lab.zkops(&["status"]).expect(9);
    // Moved aside by repair, never deleted.
    lab.zkops(&["repair", "node-3", "--yes"]).ok();
    let aside = lab.on(3, "cat /export/data/zkdata/zkops.old-*zkops.json").ok().stdout;
    assert!(aside.contains("billing"), "{aside}");
    lab.zkops(&["status"]).ok();
}

#[test]
fn a_full_disk_is_shown_and_the_others_go_on() {
    let lab = deployed();
    // Not the leader: its end would break the writer's connection.
    let node = lab.node_that_is("follower");
    let leader = lab.node_that_is("leader");
    let name = format!("node-{node}");
    lab.lab(&["fill", &name]).ok();
    // Its log has room set aside already; what does not fit there any more ends the server.
    let [python, _] = kazoo_script("writer.py");
    lab.ctl(&[&python, "-c", MUCH, &format!("{}:2181", Lab::ip(leader))]).ok();
    status_says(&lab, "DiskFull", &[&name, "the disk of /export", "is full"]);
    assert!(lab.cli(leader, "ls /\n").contains("much"), "the others serve");
    lab.lab(&["unfill", &name]).ok();
    lab.zkops(&["start", &name]).ok();
    lab.zkops(&["status"]).ok();
    assert!(lab.cli(node, "ls /\n").contains("much"), "it caught up");
}

#[test]
fn a_clock_that_is_off_is_shown_for_a_member_that_is_down() {
    let lab = deployed();
    lab.lab(&["skew", "node-3", "+90s"]).ok();
    lab.zkops(&["stop", "node-3"]).ok();
    status_says(&lab, "ClockOff", &["node-3", "the clock of node-3 is off by 90"]);
}

#[test]
fn a_host_that_is_down_is_told_from_a_server_that_is() {
    let lab = deployed();
    lab.lab(&["kill", "node-2"]).ok();
    status_says(&lab, "HostUnreachable", &["node-2", "cannot be reached"]);
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
