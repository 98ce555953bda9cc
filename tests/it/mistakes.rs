//! What goes wrong before anything is changed: exit code, message, nothing half-done.

use crate::lab::Lab;
use crate::run::{Ended, ZKOPS, run};

/// Nothing of ours is on the host.
#[track_caller]
fn untouched(lab: &Lab, node: usize) {
    let found = lab.on(node, "ls -A /export | grep -v -e lost+found -e .lab-fill; ls /etc/systemd/system | grep zkops; pgrep -x zkops").stdout;
    assert_eq!(found, "", "node-{node} is not as it was");
    let open = lab
        .on(node, "firewall-cmd --permanent --list-ports; firewall-cmd --permanent --list-rich-rules")
        .ok()
        .stdout;
    assert_eq!(open.trim(), "", "node-{node} has open ports");
}

#[test]
fn a_bad_inventory_is_refused_before_any_host_is_asked() {
    let lab = Lab::up(1);
    let text = "cluster: orders\nssh: { usr: root }\nnodes:\n  a: { id: 1, ip: 10.77.0.11 }\n  b: { id: 1, ip: 10.77.0.300 }\n";
    let path = lab.write("bad.yml", text);
    let refused = lab.zkops(&["deploy", &path]).expect(2);
    refused.says("bad.yml:2:8").says("did you mean `user`?").says("10.77.0.300");
    lab.zkops(&["deploy", "/no/such/file.yml"]).expect(2).says("/no/such/file.yml");
    untouched(&lab, 1);
}

/// Three hosts that nobody has: whoever asked them would not end with 2.
#[test]
fn settings_that_the_server_would_refuse_reach_no_host() {
    let home = tempfile::tempdir().expect("a temporary directory");
    let at = home.path().display().to_string();
    let path = home.path().join("orders.yml");
    let zkops = |verb: &[&str], zoo: &str| -> Ended {
        let text = format!("zoo: {{ {zoo} }}\nnodes: [192.0.2.1, 192.0.2.2, 192.0.2.3]\n");
        std::fs::write(&path, text).expect("the home is writable");
        let shown = path.display().to_string();
        run(ZKOPS, &[verb, &[shown.as_str()]].concat(), &[("HOME", &at), ("XDG_STATE_HOME", &at)])
    };
    for (zoo, place, what) in [
        ("snapCount: 10k", "1:19", "not a whole number"),
        ("jute.maxbuffer: 0x9fffff", "1:24", "not a whole number"),
        ("maxSessionTimeout: 1000", "1:27", "above maxSessionTimeout (1000 ms)"),
        ("tickTime: 0", "1:18", "tickTime is 0"),
        ("syncLimit: 0", "1:19", "syncLimit is 0"),
        ("electionAlg: 0", "1:21", "gone since 3.6"),
        ("sslQuorum: true", "1:19", "asks for TLS"),
        ("oraclePath: /x", "1:20", "cannot do it yet"),
        ("observerMasterPort: 2190", "1:28", "cannot do it yet"),
        ("group.1: 1:2", "1:17", "hierarchical quorums"),
        ("quorumListenOnAllIPs: 'yes'", "1:30", "write true or false"),
        ("cnxTimeout: 5s", "1:20", "not a whole number"),
        ("leaderServes: no", "1:22", "to spare the leader"),
        ("zookeeper.standaloneEnabled: no", "1:8", "written by deploy itself"),
        ("zookeeper.dataDir: /x", "1:8", "written by deploy itself"),
        ("zookeeper.clientPort: 2181", "1:8", "written by deploy itself"),
        ("ticktime: 2000", "1:8", "did you mean `tickTime`?"),
        ("tickTimee: 2000", "1:8", "did you mean `tickTime`?"),
    ] {
        let refused = zkops(&["plan"], zoo).expect(2);
        refused.says(&format!("orders.yml:{place}")).says(what).says("no host was contacted");
    }
    for verb in [&["deploy"][..], &["plan"], &["check"], &["destroy", "--yes"]] {
        let refused = zkops(verb, "snapCount: 10k, cnxTimeout: 5s, ticktime: 1").expect(2);
        for place in ["1:19", "1:36", "1:40"] {
            refused.says(&format!("orders.yml:{place}"));
        }
    }
}

#[test]
fn keys_and_host_keys_that_do_not_fit_stop_the_deploy() {
    let lab = Lab::up(1);
    let dir = lab.dir().display().to_string();
    let inventory = |ssh: &str| {
        lab.write("one.yml", &format!("cluster: orders\nssh: {{ user: root, {ssh} }}\nnodes:\n  node-1: {{ id: 1, ip: 10.77.0.11 }}\n"))
    };
    let key = lab.home().join("stranger").display().to_string();
    run("ssh-keygen", &["-qt", "ed25519", "-N", "", "-f", &key], &[]).ok();

    let wrong_key = inventory(&format!("key: {key}, known_hosts: {dir}/known_hosts"));
    lab.zkops(&["deploy", &wrong_key]).expect(7).says("node-1").says("key");
    let unknown = lab.write("none", "");
    let unknown = inventory(&format!("key: {dir}/id, known_hosts: {unknown}"));
    lab.zkops(&["deploy", &unknown]).expect(7).says("SHA256:").says("--accept-new-host-keys");
    let public = std::fs::read_to_string(format!("{key}.pub")).expect("ssh-keygen made it");
    let changed = lab.write("changed", &format!("10.77.0.11 {public}"));
    let changed = inventory(&format!("key: {dir}/id, known_hosts: {changed}"));
    lab.zkops(&["deploy", "--accept-new-host-keys", &changed]).expect(7).says("changed");
    untouched(&lab, 1);
}

#[test]
fn a_host_that_is_down_stops_the_deploy_after_one_timeout() {
    let lab = Lab::up(3);
    lab.lab(&["kill", "node-2"]).ok();
    let refused = lab.zkops(&["deploy", &lab.inventory("")]).expect(7);
    refused.says("node-2");
    println!("host down: {:?}", refused.took);
    untouched(&lab, 1);
    untouched(&lab, 3);
}

#[test]
fn a_full_disk_a_noexec_directory_and_a_strange_architecture_are_found_in_time() {
    let lab = Lab::up(3);
    let inventory = lab.inventory("");
    lab.lab(&["fill", "node-1"]).ok();
    lab.zkops(&["deploy", &inventory]).expect(3).says("node-1");
    lab.lab(&["unfill", "node-1"]).ok();

    lab.on(2, "mount -o remount,noexec /export").ok();
    lab.zkops(&["deploy", &inventory]).expect(3).says("node-2").says("noexec");
    lab.on(2, "mount -o remount,exec /export").ok();

    lab.on(3, "printf '#!/bin/sh\\ncase $1 in -m) echo aarch64;; *) exec /usr/bin/uname \"$@\";; esac\\n' >/usr/local/bin/uname; chmod +x /usr/local/bin/uname").ok();
    lab.zkops(&["deploy", &inventory]).expect(3).says("node-3").says("aarch64");
    lab.on(3, "rm /usr/local/bin/uname").ok();

    for node in 1..=3 {
        untouched(&lab, node);
    }
    lab.zkops(&["deploy", &inventory]).ok();
}

#[test]
fn somebody_elses_data_is_not_touched() {
    let lab = Lab::up(3);
    lab.on(2, "mkdir -p /export/data/zkdata && echo precious >/export/data/zkdata/letter.txt").ok();
    lab.zkops(&["deploy", &lab.inventory("")]).expect(3).says("node-2").says("letter.txt");
    lab.on(2, "grep -q precious /export/data/zkdata/letter.txt").ok();
}

#[test]
fn a_clock_that_is_off_is_measured() {
    let lab = Lab::up(3);
    lab.lab(&["skew", "node-3", "+90s"]).ok();
    let check = lab.zkops(&["check", &lab.inventory("")]);
    check.says("clock").says("node-3");
    assert!(check.all().contains("90"), "the offset is not told: {check}");
}

#[test]
fn a_taken_port_and_a_wall_between_two_hosts_are_found_before_anything_is_installed() {
    let lab = Lab::up(3);
    let inventory = lab.inventory("");
    lab.on(2, "systemd-run -q --unit=squatter nc -lk 2181").ok();
    lab.zkops(&["deploy", &inventory]).expect(3).says("node-2").says("2181 is taken by nc");
    for node in 1..=3 {
        untouched(&lab, node);
    }
    lab.on(2, "systemctl stop squatter").ok();

    // One way only: node-1 is heard by everybody but node-2. The open ports are closed again.
    lab.lab(&["drop", "node-1", "node-2"]).ok();
    let refused = lab.zkops(&["deploy", &inventory]).expect(3);
    refused.says("node-1 → node-2:2888").says("node-1 → node-2:3888").says("firewall between the hosts");
    assert!(!refused.all().contains("→ node-3:"), "node-3 is reached by all: {refused}");
    assert!(!refused.all().contains("not listed"), "the rules from before are blamed: {refused}");
    lab.lab(&["heal"]).ok();
    lab.zkops(&["deploy", &inventory]).ok();
}

/// Debian's installer maps the host's own name to 127.0.1.1: a server that listens there is heard by nobody else.
#[test]
fn names_that_mean_something_else_on_a_host_are_found() {
    let lab = Lab::up(3);
    let inventory = lab.inventory("");
    let map = |node, line: &str| {
        lab.on(node, &format!("sed -i '/node-/d' /etc/hosts; printf '{line}\\n' >>/etc/hosts")).ok();
    };
    map(2, "127.0.1.1 node-2");
    lab.zkops(&["check", &inventory])
        .ok()
        .says("node-2 resolves to 127.0.1.1 on node-2, not to 10.77.0.12")
        .says("/etc/hosts");
    map(2, &format!("{} node-1", Lab::ip(3)));
    lab.zkops(&["check", &inventory]).ok().says("node-1 is 10.77.0.13 here, 10.77.0.11 in the inventory");
    lab.zkops(&["deploy", &inventory]).ok().says("node-1 is 10.77.0.13 here");
}

#[test]
fn a_host_that_hangs_is_given_up_while_it_hangs() {
    let lab = Lab::up(3);
    lab.lab(&["pause", "node-2"]).ok();
    let refused = lab.zkops(&["deploy", "--timeout", "6s", &lab.inventory("")]).expect(7);
    // It is said while the host still hangs.
    refused.says("node-2");
    lab.lab(&["resume", "node-2"]).ok();
    for node in 1..=3 {
        untouched(&lab, node);
    }
}

#[test]
fn plan_and_check_look_and_change_nothing() {
    let lab = Lab::up(3);
    let inventory = lab.inventory("");
    let plan = lab.zkops(&["plan", &inventory]).expect(8);
    plan.says("1. open the ports").says("4. wait until ready").says("fingerprint");
    lab.zkops(&["check", &inventory]).ok().says("clock");
    lab.zkops(&["deploy", "--dry-run", &inventory]).expect(8);
    for node in 1..=3 {
        untouched(&lab, node);
    }
    lab.zkops(&["deploy", &inventory]).ok();
    lab.zkops(&["plan", &inventory]).ok().says("nothing to do");
    lab.zkops(&["check"]).ok();
}
