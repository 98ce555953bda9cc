//! The causes that take more than a kill to bring about: what a manager, a whitelist, a right or a mount does to a member.
//! Each is brought about on a host; then `status` names it for machines, and `repair` does what its row of the table says
//! or says who must act first. Data stays where it is, unless it is another cluster's and that name was typed.

use std::process::Child;

use serde_json::Value;

use crate::causes::{data, left_alone, mended};
use crate::ensemble::SOON;
use crate::lab::Lab;
use crate::run::eventually;

fn deployed() -> (Lab, String) {
    let lab = Lab::up(3);
    let inventory = lab.inventory("");
    lab.zkops(&["deploy", &inventory]).ok();
    lab.cli(1, "create /precious 123\n");
    (lab, inventory)
}

/// `status --json` ends with `code` and has this cause among the member's, with the words in what it says of it.
#[track_caller]
fn named(lab: &Lab, code: i32, node: usize, cause: &str, words: &[&str]) {
    named_by(lab, &[], code, node, cause, words);
}

#[track_caller]
fn named_by(lab: &Lab, args: &[&str], code: i32, node: usize, cause: &str, words: &[&str]) {
    eventually(&format!("status names {cause} of node-{node}"), SOON, || {
        let status = lab.zkops(&[&["status", "--json"], args].concat());
        let document: Value =
            status.stdout.lines().last().and_then(|line| serde_json::from_str(line).ok()).unwrap_or_default();
        let reasons = document["reasons"].as_array().cloned().unwrap_or_default();
        let this = |reason: &&Value| reason["id"] == node && reason["cause"] == cause;
        let said = reasons.iter().find(this).map(Value::to_string).unwrap_or_default();
        let all = !said.is_empty() && words.iter().all(|word| said.contains(word));
        if status.code == code && all { Ok(()) } else { Err(status.to_string()) }
    });
}

/// The member is back, with all that was written.
#[track_caller]
fn back(lab: &Lab) {
    lab.await_healthy();
    assert!(lab.cli(3, "get /precious\n").contains("123"), "the data is not back");
}

/// A drop-in as `systemctl edit` makes it.
fn edit_unit(lab: &Lab, node: usize, lines: &str) {
    let dir = "/etc/systemd/system/zkops-orders.service.d";
    lab.on(node, &format!("mkdir -p {dir}; printf '{lines}' >{dir}/override.conf; systemctl daemon-reload"))
        .ok();
}

/// Somebody's hand in the zoo.cfg that counts, and a restart.
fn edit_config(lab: &Lab, node: usize, sed: &str) {
    let file = "/export/server/zkops/current/zoo.cfg";
    lab.on(
        node,
        &format!("cp -p {file} /root/zoo.cfg; sed -i '{sed}' {file}; ! cmp -s {file} /root/zoo.cfg"),
    )
    .ok();
    lab.on(node, "systemctl restart zkops-orders").ok();
}

#[test]
fn what_a_manager_does_to_a_member_is_named_and_mended_with_the_data_in_place() {
    let (lab, _) = deployed();
    stopped_by_hand(&lab);
    a_start_limit(&lab);
    a_unit_that_is_gone(&lab);
    a_unit_that_is_masked(&lab);
    data_of_somebody_else(&lab);
}

fn stopped_by_hand(lab: &Lab) {
    lab.on(3, "systemctl stop zkops-orders").ok();
    named(lab, 9, 3, "ProcessDead", &["was stopped", "zkops start node-3"]);
    mended(lab, 3);
}

/// Ours has none: an older unit, or a hand, brings it back.
fn a_start_limit(lab: &Lab) {
    edit_unit(lab, 3, "[Unit]\\nStartLimitIntervalSec=600\\nStartLimitBurst=2\\n");
    let kill = "for n in $(seq 300); do systemctl -q is-failed zkops-orders && exit; \
                systemctl kill -s KILL zkops-orders 2>/dev/null; sleep 0.1; done; exit 1";
    lab.on(3, kill).ok();
    named(lab, 9, 3, "StartLimit", &["start limit hit", "zkops start node-3"]);
    mended(lab, 3);
}

/// A start is no cure for it, and says so.
fn data_of_somebody_else(lab: &Lab) {
    lab.on(3, "systemctl stop zkops-orders; chown -R root: /export/data/zkdata").ok();
    named(lab, 9, 3, "ProcessDead", &["is not, or not wholly, its server's own", "zkops repair node-3"]);
    let failed = lab.zkops(&["start", "node-3"]).expect(5);
    failed.says("do next:   zkops repair node-3");
    mended(lab, 3);
}

/// No verb of ours undoes what somebody forbade.
fn a_unit_that_is_masked(lab: &Lab) {
    let masked = "cd /etc/systemd/system && systemctl stop zkops-orders && ln -sf /dev/null zkops-orders.service && systemctl daemon-reload";
    lab.on(3, masked).ok();
    named(lab, 9, 3, "UnitMasked", &["is masked", "systemctl unmask zkops-orders"]);
    for args in [&["start", "node-3"][..], &["repair", "node-3"], &["restart"]] {
        lab.zkops(args).expect(4).says("is masked").says("nothing was changed");
    }
    lab.on(3, "systemctl unmask zkops-orders").ok();
    mended(lab, 3);
}

fn a_unit_that_is_gone(lab: &Lab) {
    let gone = "systemctl stop zkops-orders; rm -r /etc/systemd/system/zkops-orders.service*; systemctl daemon-reload";
    lab.on(3, gone).ok();
    named(lab, 9, 3, "UnitMissing", &["has no zkops service", "zkops repair node-3"]);
    lab.zkops(&["start", "node-3"]).expect(4).says("has no zkops service");
    mended(lab, 3);
    lab.on(3, "systemctl is-enabled zkops-orders").ok();
}

#[test]
fn what_hands_do_to_a_server_is_named_and_mended_with_the_data_in_place() {
    let (lab, inventory) = deployed();
    a_server_that_says_nothing(&lab);
    another_client_port(&lab);
    a_limit_that_is_used_up(&lab, &inventory);
    a_list_that_its_next_start_would_read(&lab, &inventory);
    data_that_moves_away(&lab, &inventory);
    another_members_server(&lab);
    no_quorum(&lab);
}

/// It lives, and not even its own host hears a word of it.
fn a_server_that_says_nothing(lab: &Lab) {
    let node = lab.node_that_is("follower");
    // Its manager does not wait for long until it takes a stronger signal.
    edit_unit(lab, node, "[Service]\\nTimeoutStopSec=2\\n");
    lab.on(node, "systemctl kill -s STOP zkops-orders").ok();
    let way = format!("zkops repair node-{node}");
    named(lab, 9, node, "Stuck", &["runs but is not in sync", &way]);
    mended(lab, node);
}

/// Not the leader's: a restart of that one makes the others elect, and repair refuses until they serve.
fn another_client_port(lab: &Lab) {
    let node = lab.node_that_is("follower");
    edit_config(lab, node, "s/^clientPort=.*/clientPort=2199/");
    let way = format!("zkops repair node-{node}");
    named(lab, 9, node, "ConfigDiffers", &["other settings than the inventory", &way]);
    mended(lab, node);
}

/// It runs and nothing is proven against it: nobody, not even its own host, gets a word in. What is not seen is not
/// mended by a guess.
fn a_limit_that_is_used_up(lab: &Lab, inventory: &str) {
    edit_config(lab, 3, "$a maxClientCnxns=1");
    let script = lab.write("hold.py", HOLD);
    lab.on(
        3,
        &format!("cat >/root/hold.py <<'END'\n{HOLD}END\nsystemd-run -q --unit=hold python3 /root/hold.py"),
    )
    .ok();
    let held = Held(lab.ctl_command(&["python3", &script]).spawn().expect("python is there"));
    named(lab, 7, 3, "NotSeen", &["whether it serves could not be seen", "maxClientCnxns"]);
    left_alone(lab, 3, &["whether it serves could not be seen", "zkops status"]);
    drop(held);
    lab.on(3, "systemctl stop hold").ok();
    lab.zkops(&["deploy", inventory]).ok();
    back(lab);
}

/// Every server is well: only its disk would make one of them look for the others elsewhere.
fn a_list_that_its_next_start_would_read(lab: &Lab, inventory: &str) {
    let file = "/export/server/zkops/current/zoo.cfg";
    lab.on(
        2,
        &format!("sed -i 's/^server.3=10.77.0.13:/server.3=10.77.0.33:/' {file}; grep 10.77.0.33: {file}"),
    )
    .ok();
    named(lab, 9, 1, "Double", &["not listed alike everywhere", "node-3: 10.77.0.13", "zkops deploy"]);
    for verb in [&["restart"][..], &["restart", "node-1"]] {
        lab.zkops(verb).expect(4).says("not listed alike everywhere").says("zkops deploy");
    }
    lab.zkops(&["deploy", inventory]).ok();
    back(lab);
}

/// It writes on, and its next start would find nothing: nothing is put there and nothing restarted.
fn data_that_moves_away(lab: &Lab, inventory: &str) {
    lab.on(3, "mv /export/data/zkdata /export/data/elsewhere").ok();
    named(
        lab,
        9,
        3,
        "DataMoved",
        &["moved away under its server", "move its directory back to /export/data/zkdata"],
    );
    for verb in
        [&["deploy", inventory][..], &["restart"], &["repair", "node-3", "--yes", "--move-data-aside"]]
    {
        lab.zkops(verb).expect(4).says("moved away under its server").says("move its directory back");
    }
    lab.on(3, "test ! -e /export/data/zkdata").ok();
    lab.on(3, "mv /export/data/elsewhere /export/data/zkdata").ok();
    back(lab);
}

/// Ends with the test.
struct Held(Child);

impl Drop for Held {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// By hand, on files of its own: nothing may go on while it answers as somebody who is elsewhere.
fn another_members_server(lab: &Lab) {
    let start = "set -e; systemctl stop zkops-orders; mkdir -p /root/two; echo 2 >/root/two/myid; \
                 sed '/^zkops\\./d; s,^dataDir=.*,dataDir=/root/two,; /^server\\./d; s/^db.autocreate=.*/db.autocreate=true/' \
                 /export/server/zkops/current/zoo.cfg >/root/two/zoo.cfg; echo standaloneEnabled=false >>/root/two/zoo.cfg; \
                 echo server.2=10.77.0.13:2888:3888 >>/root/two/zoo.cfg; \
                 systemd-run -q --unit=two /export/server/zkops/current/zkops server /root/two/zoo.cfg";
    lab.on(3, start).ok();
    named(lab, 9, 3, "Double", &["the server at 10.77.0.13 is node-2, not node-3"]);
    for verb in [&["stop", "node-1"][..], &["restart"]] {
        lab.zkops(verb).expect(4);
    }
    left_alone(lab, 3, &["node-3"]);
    lab.on(3, "systemctl stop two").ok();
    mended(lab, 3);
}

fn no_quorum(lab: &Lab) {
    for node in [1, 2] {
        lab.on(node, "systemctl stop zkops-orders").ok();
    }
    named(lab, 9, 3, "NoQuorum", &["1 of 3 voters run, 2 are needed", "zkops start"]);
    left_alone(lab, 3, &["node-3 waits for a quorum", "zkops start"]);
    lab.zkops(&["start"]).ok();
    back(lab);
}

#[test]
fn data_that_is_gone_anothers_or_nobodys_is_named_and_left_to_its_owner() {
    let (lab, inventory) = deployed();
    wiped(&lab);
    nobodys(&lab, &inventory);
    anothers(&lab);
}

/// Everything in it, then the directory itself: filled again from the others, nothing is moved.
fn wiped(lab: &Lab) {
    let aside = |what: &str| {
        let found =
            lab.on(3, "ls -d /export/data/zkdata*/zkops.old-* /export/data/zkdata.*; true").ok().stdout;
        assert_eq!(found, "", "{what}: something was moved aside");
    };
    for (wipe, words) in [
        ("find /export/data/zkdata -mindepth 1 -delete", "/export/data/zkdata holds none"),
        ("rm -r /export/data/zkdata", "does not exist (is its file system mounted?)"),
    ] {
        lab.on(3, &format!("systemctl stop zkops-orders; {wipe}")).ok();
        named(lab, 9, 3, "LostData", &["the database of node-3 is gone", words]);
        lab.zkops(&["repair", "node-3", "--yes", "--move-data-aside"]).ok();
        aside(wipe);
        back(lab);
        lab.on(3, "grep -q '\"orders\"' /export/data/zkdata/zkops.json").ok();
    }
}

/// Neither myid nor a marker says that it is this member's.
fn nobodys(lab: &Lab, inventory: &str) {
    lab.on(3, "systemctl stop zkops-orders; cd /export/data/zkdata; rm zkops.json; echo 2 >myid").ok();
    named(lab, 9, 3, "MyidWrong", &["says 2 instead of 3", "zkops.json", "zkops repair node-3 --wipe"]);
    lab.zkops(&["start", "node-3"]).expect(4).says("says 2 instead of 3");
    left_alone(lab, 3, &["says 2 instead of 3", "--wipe"]);
    lab.on(3, "echo 3 >/export/data/zkdata/myid").ok();
    lab.zkops(&["start", "node-3"]).ok();
    lab.zkops(&["deploy", inventory]).ok();
    back(lab);
}

/// A person at a terminal is asked for the name, letter by letter.
fn anothers(lab: &Lab) {
    let spoil =
        "systemctl stop zkops-orders; sed -i 's/\"orders\"/\"billing\"/' /export/data/zkdata/zkops.json";
    lab.on(3, spoil).ok();
    named(
        lab,
        9,
        3,
        "ForeignData",
        &["cluster \\\"billing\\\"", "zkops repair node-3 --foreign-data billing"],
    );
    left_alone(lab, 3, &["zkops repair node-3 --foreign-data billing"]);
    let before = data(lab, 3);
    for (typed, code) in [("orders", 1), ("billing", 0)] {
        let asked = lab.terminal(&["repair", "node-3"]);
        let screen = asked.await_text("type billing to move the data of that cluster aside");
        assert!(screen.contains("/export/data/zkdata/version-2 aside"), "the plan is not shown:\n{screen}");
        assert_eq!(data(lab, 3), before, "moved before the name was typed");
        asked.line(typed);
        let screen = asked.ends(code);
        assert!(code == 0 || screen.contains("\"billing\" was not typed"), "{screen}");
    }
    let kept = lab.on(3, "cat /export/data/zkdata/zkops.old-*zkops.json").ok().stdout;
    assert!(kept.contains("billing"), "{kept}");
    back(lab);
}

#[test]
fn hosts_that_cannot_be_asked_or_have_no_zkops_are_named_and_left_to_people() {
    let (lab, inventory) = deployed();
    may_not_look(&lab, &inventory);
    not_installed(&lab, &inventory);
    an_unfit_binary(&lab, &inventory);
    lab.on(2, "sync").ok();
    lab.lab(&["kill", "node-2"]).ok();
    named(&lab, 9, 2, "HostUnreachable", &["cannot be reached", "reach 10.77.0.12 first"]);
    lab.zkops(&["repair", "node-2", "--yes", "--move-data-aside"]).expect(7).says("node-2");
}

/// A user without root sees neither data nor zoo.cfg there: that is no proof of anything.
fn may_not_look(lab: &Lab, inventory: &str) {
    let text = std::fs::read_to_string(inventory).expect("it was deployed");
    let rootless = lab.write("rootless.yml", &text.replace("user: root", "user: ops"));
    // A firewall that nobody may look at is not none.
    lab.zkops(&["check", &rootless]).says("cannot be looked at without root");
    lab.on(3, "systemctl stop zkops-orders").ok();
    named_by(
        lab,
        &[&rootless],
        9,
        3,
        "Unreadable",
        &["could not be looked at", "let the ssh user of node-3"],
    );
    let before = data(lab, 3);
    let repair = ["repair", "node-3", "-i", &rootless, "--yes", "--move-data-aside"];
    lab.zkops(&repair).expect(4).says("could not be looked at").says("let the ssh user of node-3");
    assert_eq!(data(lab, 3), before, "data was moved");
    mended(lab, 3);
}

fn not_installed(lab: &Lab, inventory: &str) {
    let before = data(lab, 3);
    lab.on(3, "systemctl stop zkops-orders; rm -r /export/server/zkops").ok();
    named(lab, 9, 3, "NotInstalled", &["zkops is not installed on node-3", "zkops deploy"]);
    lab.zkops(&["repair", "node-3", "--yes", "--move-data-aside"]).expect(7).says("node-3");
    lab.zkops(&["deploy", inventory]).ok();
    assert_eq!(data(lab, 3), before, "data was moved");
    back(lab);
}

fn an_unfit_binary(lab: &Lab, inventory: &str) {
    let before = data(lab, 3);
    let spoil = "systemctl stop zkops-orders; cd /export/server/zkops/current; printf '#!/bin/sh\\nexit 1\\n' >new; \
                 chmod 755 new; mv new zkops";
    lab.on(3, spoil).ok();
    named(lab, 9, 3, "BinaryUnfit", &["zkops does not run on the host of node-3", "zkops deploy"]);
    lab.zkops(&["repair", "node-3", "--yes", "--move-data-aside"]).expect(3).says("node-3");
    lab.zkops(&["deploy", inventory]).ok();
    assert_eq!(data(lab, 3), before, "data was moved");
    back(lab);
}

/// Connections that ask for nothing are closed after a while: another takes the place.
const HOLD: &str = "import socket, threading, time
def hold():
    while True:
        try:
            held = socket.create_connection(('10.77.0.13', 2181), 5)
            held.settimeout(None)
            while held.recv(99):
                pass
        except OSError:
            pass
        time.sleep(0.01)
for _ in range(3):
    threading.Thread(target=hold, daemon=True).start()
time.sleep(600)
";
