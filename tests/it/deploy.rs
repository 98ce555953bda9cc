//! `zkops deploy` on bare hosts: systemd, a firewall with only SSH open, no JDK.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use crate::lab::{Lab, Make};
use crate::run::time;

/// The one port that is for everybody.
const CLIENT: &str = "2181/tcp";

/// What must not move when nothing changes: inode and time of everything deploy puts on a host.
fn fingerprint(lab: &Lab, node: usize) -> String {
    let files = "/export/server/zkops/current /export/server/zkops/current/zkops /export/server/zkops/current/zoo.cfg /export/data/zkdata/myid \
                 /etc/systemd/system/zkops-orders.service /etc/firewalld/zones/public.xml";
    let pid = lab.on(node, "systemctl show -p MainPID --value zkops-orders").ok().stdout;
    lab.on(node, &format!("stat -c '%n %i %Y' {files}")).ok().stdout + &pid
}

#[test]
fn three_bare_hosts_become_an_ensemble_and_a_second_deploy_changes_nothing() {
    let lab = Lab::up(3);
    let inventory = lab.inventory("");
    let first = lab.zkops(&["deploy", &inventory]).ok();
    time("cold deploy of three hosts", first.took);
    let modes = lab.modes();
    assert_eq!(modes.iter().filter(|mode| *mode == "leader").count(), 1, "{modes:?}");
    assert_eq!(modes.iter().filter(|mode| *mode == "follower").count(), 2, "{modes:?}");
    for node in 1..=3 {
        let open = lab.on(node, "firewall-cmd --permanent --list-ports").ok().stdout;
        assert_eq!(open.trim(), CLIENT, "node-{node}");
        assert_eq!(lab.on(node, "systemctl is-enabled zkops-orders").ok().stdout.trim(), "enabled");
    }

    let before: Vec<String> = (1..=3).map(|node| fingerprint(&lab, node)).collect();
    let second = lab.zkops(&["deploy", &inventory]).ok();
    time("repeated deploy", second.took);
    second.says("nothing to do");
    assert!(!second.all().contains("upload"), "{second}");
    let after: Vec<String> = (1..=3).map(|node| fingerprint(&lab, node)).collect();
    assert_eq!(before, after);

    let status = lab.zkops(&["status"]).ok();
    time("status", status.took);
    // And after all hosts lost power, the ensemble comes back by itself.
    lab.on(1, "sync");
    for node in 1..=3 {
        lab.lab(&["kill", &format!("node-{node}")]).ok();
    }
    for node in 1..=3 {
        lab.lab(&["start", &format!("node-{node}")]).ok();
    }
    lab.await_healthy();
}

#[test]
fn a_deploy_killed_at_any_step_converges_when_it_is_run_again() {
    let lab = Lab::up(3);
    let inventory = lab.inventory("");
    let mut kills = 0;
    for lines in 1.. {
        assert!(lines < 400, "deploy never ends");
        if deploy_killed_after(&lab, &inventory, lines) {
            kills += 1;
            continue;
        }
        break;
    }
    assert!(kills > 10, "deploy tells of more than {kills} steps");
    println!("deploy killed {kills} times");
    lab.zkops(&["deploy", &inventory]).ok().says("nothing to do");
    lab.zkops(&["status"]).ok();
}

/// Runs deploy and kills it (-9) when it has told of so many things; false when it ended well before.
fn deploy_killed_after(lab: &Lab, inventory: &str, lines: usize) -> bool {
    let mut command: Command = lab.zkops_command(&["deploy", "--json", "--break-lock", inventory]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("zkops is built");
    let stdout = child.stdout.take().expect("stdout is piped");
    let told = BufReader::new(stdout).lines().map_while(Result::ok).take(lines).count();
    if told == lines {
        child.kill().expect("our own child can be killed");
        child.wait().expect("our own child can be waited for");
        return true;
    }
    let status = child.wait().expect("our own child can be waited for");
    assert!(status.success(), "the last deploy failed");
    false
}

#[test]
fn every_kind_of_firewall_is_opened_for_good() {
    let lab = Lab::made(3, &Make { firewalls: Some("firewalld-drop ufw nft"), ..Make::default() });
    let inventory = lab.inventory("");
    lab.zkops(&["deploy", &inventory]).ok();
    lab.zkops(&["deploy", &inventory]).ok().says("nothing to do");
    for node in 1..=3 {
        lab.on(node, "sync");
        lab.lab(&["kill", &format!("node-{node}")]).ok();
        lab.lab(&["start", &format!("node-{node}")]).ok();
    }
    lab.await_healthy();
}

#[test]
fn firewalld_keeps_the_ports_over_a_reload_and_everybody_elses_rules() {
    let lab = Lab::up(1);
    // A port that an administrator opened for now only: deploy must not throw it away.
    lab.on(1, "firewall-cmd -q --add-port=9999/tcp").ok();
    lab.zkops(&["deploy", &lab.inventory("")]).ok();
    let open = |flags: &str| lab.on(1, &format!("firewall-cmd {flags} --list-ports")).ok().stdout;
    assert!(open("").contains("9999/tcp"), "a runtime rule is gone: {}", open(""));
    assert!(!open("--permanent").contains("9999/tcp"), "a runtime rule was made permanent");
    lab.on(1, "firewall-cmd -q --reload").ok();
    for listed in [open(""), open("--permanent")] {
        assert!(listed.contains(CLIENT), "open after a reload: {listed}");
    }
    // Closed by hand for now: deploy sees it and opens it again.
    lab.on(1, "firewall-cmd -q --remove-port=2181/tcp").ok();
    lab.zkops(&["deploy", &lab.inventory("")]).ok().says("open tcp");
    assert!(open("").contains("2181/tcp"));
    lab.zkops(&["destroy", "--cluster", "orders", "--data"]).ok();
    assert_eq!((open("").trim(), open("--permanent").trim()), ("", ""), "destroy closes what deploy opened");
}

#[test]
fn hosts_without_systemd_get_a_supervised_daemon() {
    let lab = Lab::made(3, &Make { firewalls: Some("nft iptables none"), plain: true, ..Make::default() });
    let inventory = lab.inventory("");
    lab.zkops(&["deploy", &inventory]).ok();
    lab.zkops(&["deploy", &inventory]).ok().says("nothing to do");
    // The supervisor brings a killed server back.
    lab.on(2, "kill -9 $(pgrep -f 'zkops server' | head -1)").ok();
    lab.await_healthy();
    lab.zkops(&["destroy", "--yes"]).ok();
}

#[test]
fn destroy_removes_what_deploy_put_there_and_keeps_the_data_unless_told() {
    let lab = Lab::up(3);
    let inventory = lab.inventory("");
    // What only looks leaves nothing at all, and takes nothing that was there.
    lab.on(2, "mkdir -p /export/server").ok();
    lab.zkops(&["check", &inventory]).ok();
    lab.zkops(&["plan", &inventory]).expect(8);
    for (node, expected) in [(1, ""), (2, "/export/server\n"), (3, "")] {
        assert_eq!(
            lab.on(node, "find /export -mindepth 1 ! -name lost+found").stdout,
            expected,
            "node-{node}"
        );
    }
    lab.zkops(&["deploy", &inventory]).ok();
    lab.zkops(&["destroy", "--yes"]).ok();
    for node in 1..=3 {
        let above = if node == 2 { "test -d /export/server" } else { "test ! -e /export/server" };
        lab.on(node, above).ok();
        lab.on(node, "test ! -e /export/server/zkops && test ! -e /etc/systemd/system/zkops-orders.service")
            .ok();
        lab.on(node, "test -d /export/data/zkdata/version-2").ok();
    }
    // Once more, for the data that was left; and then in one go.
    let all = ["destroy", &inventory, "--cluster", "orders", "--data"];
    lab.zkops(&all).ok().says("remove /export/data/zkdata");
    let gone = "test ! -e /export/data/zkdata && test ! -e /export/server/zkops";
    for node in 1..=3 {
        lab.on(node, gone).ok();
    }
    lab.zkops(&["deploy", &inventory]).ok();
    lab.zkops(&all).ok();
    for node in 1..=3 {
        lab.on(node, gone).ok();
    }
}
