//! A member whose address changes in the inventory: one id is never two servers. Four hosts, three members, a writer.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use crate::ensemble::{SOON, Writer, kazoo_script};
use crate::lab::{Lab, Make};
use crate::run::eventually;

/// Three members on these hosts, node-1 first.
fn inventory(lab: &Lab, hosts: [usize; 3]) -> String {
    inventory_named(lab, "orders.yml", hosts)
}

fn inventory_named(lab: &Lab, name: &str, hosts: [usize; 3]) -> String {
    let dir = lab.dir().display().to_string();
    let mut text = format!(
        "cluster: orders\nssh: {{ user: root, key: {dir}/id, known_hosts: {dir}/known_hosts }}\nnodes:\n"
    );
    for (id, host) in (1..).zip(hosts) {
        text += &format!("  node-{id}: {{ id: {id}, ip: {} }}\n", Lab::ip(host));
    }
    lab.write(name, &text)
}

fn writer(lab: &Lab) -> Writer {
    let hosts: Vec<String> = (1..=4).map(|host| format!("{}:2181", Lab::ip(host))).collect();
    let [python, script] = kazoo_script("writer.py");
    Writer::start(lab.ctl_command(&[&python, &script, &hosts.join(","), "/written"]))
}

/// Which hosts have a server that says it is `id`.
fn who_is(lab: &Lab, id: usize) -> Vec<usize> {
    let conf = |host: &usize| {
        let ask = format!("exec 3<>/dev/tcp/{}/2181; echo conf >&3; timeout 3 cat <&3", Lab::ip(*host));
        lab.ctl(&["timeout", "5", "bash", "-c", &ask]).stdout.contains(&format!("serverId={id}\n"))
    };
    (1..=4).filter(conf).collect()
}

#[track_caller]
fn assert_moved(lab: &Lab, from: usize, to: usize) {
    assert_eq!(who_is(lab, 3), [to], "one server is node-3");
    // What deploy put on the old host is gone; what the member had, and whose it is, stays.
    let left = "systemctl cat zkops-orders 2>/dev/null; ls -d /export/server/zkops 2>/dev/null; systemctl is-active -q zkops-orders && echo active; id -u zkops >/dev/null && ls -d /export/data/zkdata/version-2";
    assert_eq!(lab.on(from, left).stdout, "/export/data/zkdata/version-2\n");
    lab.zkops(&["status"]).ok().says("2 followers in sync");
}

/// A new place is an empty one: what an earlier move left there is taken away by a person.
fn clear(lab: &Lab, host: usize) {
    lab.on(host, "rm -rf /export/data/zkdata").ok();
}

/// Ten timings when `ZKOPS_LONG` is set, else the two that differ most: node-3 leads, or follows; later ones cut the
/// deployment off after ever more of it, and it is run again.
#[test]
fn a_member_moves_away_from_a_living_server_and_no_write_is_lost() {
    let lab = Lab::up(4);
    lab.zkops(&["deploy", &inventory(&lab, [1, 2, 3])]).ok();
    // Refused before anything changes, and put back: two voters at once, and data of somebody else at the new place.
    let two = inventory(&lab, [1, 4, 2]);
    lab.zkops(&["deploy", &two]).expect(4).says("only one voter can move at a time");
    lab.on(4, "mkdir -p /export/data/zkdata/version-2 && touch /export/data/zkdata/version-2/log.1").ok();
    let taken = inventory(&lab, [1, 2, 4]);
    assert_ne!(lab.zkops(&["deploy", &taken]).code, 0);
    assert_ne!(lab.zkops(&["check", "-i", &taken]).code, 0, "check says what deploy does");
    clear(&lab, 4);
    assert_eq!(who_is(&lab, 3), [3], "nothing was touched");

    let timings = if std::env::var_os("ZKOPS_LONG").is_some() { 10 } else { 2 };
    let mut writing = writer(&lab);
    let (mut from, mut to) = (3, 4);
    for timing in 0..timings {
        let leads = lab.mode(from).as_deref() == Some("leader");
        if leads == (timing % 2 == 1) {
            // The leadership goes to somebody else, or comes back.
            let leader = lab.node_that_is("leader");
            lab.on(leader, "systemctl kill -s KILL zkops-orders").ok();
            lab.await_healthy();
        }
        println!("timing {timing}: {from} ({:?}) → {to}", lab.mode(from));
        writing.await_acks(50);
        let inventory = inventory(&lab, [1, 2, to]);
        lab.zkops(&["plan", &inventory])
            .expect(8)
            .says(&format!("server on {} stopped and disabled", Lab::ip(from)));
        if timing >= 2 {
            cut_off(&lab, &inventory, 5 * (timing - 1));
        }
        let moved = lab.zkops(&["deploy", "--break-lock", &inventory]).ok();
        println!("{}", moved.all());
        assert_moved(&lab, from, to);
        lab.zkops(&["deploy", &inventory]).ok().says("nothing to do");
        writing.await_acks(50);
        (from, to) = (to, from);
        clear(&lab, to);
    }
    println!("{}", writing.finish());
    disabled_is_not_started(&lab);
}

/// Only a move disables a server: where that was cut off, it may run at its new place, which an older inventory names not.
fn disabled_is_not_started(lab: &Lab) {
    lab.on(1, "systemctl disable --now zkops-orders").ok();
    for verb in ["start", "repair"] {
        let refused = lab.zkops(&[verb, "node-1"]).expect(4);
        refused
            .says("was disabled there: it may run where it moved to")
            .says("systemctl enable zkops-orders");
    }
    assert_ne!(lab.on(1, "systemctl is-active zkops-orders").code, 0, "it was started");
    lab.on(1, "systemctl enable zkops-orders").ok();
    lab.zkops(&["start", "node-1"]).ok();
    lab.await_healthy();
}

/// It says that it has no fences, and loads none.
fn one_host_cannot_block(lab: &Lab, moved: &str) {
    let stubborn = "#!/bin/sh\ncase \"$*\" in *zkops-fence*) echo \"Error: no\" >&2; exit 1 ;; esac\nexec /usr/sbin/nft \"$@\"\n";
    lab.on(2, &format!("printf '%s' '{stubborn}' >/usr/local/sbin/nft; chmod 755 /usr/local/sbin/nft")).ok();
    let refused = lab.zkops(&["deploy", moved, "--old-host-is-gone"]).expect(4);
    refused.says("node-2: block 10.77.0.13 in both directions: ").says("no server was started");
    lab.on(2, "rm /usr/local/sbin/nft").ok();
    let old = lab.on(4, "systemctl is-enabled zkops-orders; pgrep -x zkops").stdout;
    assert_eq!((who_is(lab, 3).len(), old.contains("enabled")), (0, false), "something started: {old}");
}

/// A deployment that is killed when it has told of so many things.
fn cut_off(lab: &Lab, inventory: &str, lines: usize) {
    let mut told = 0;
    cut_off_when(lab, inventory, |_| {
        told += 1;
        told == lines
    });
}

/// A deployment that is killed when it tells this.
fn cut_off_when(lab: &Lab, inventory: &str, mut is_it: impl FnMut(&str) -> bool) {
    let mut command = lab.zkops_command(&["deploy", "--json", "--break-lock", inventory]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("zkops is built");
    let stdout = child.stdout.take().expect("stdout is piped");
    let _told = BufReader::new(stdout).lines().map_while(Result::ok).find(|line| is_it(line));
    let _ = child.kill();
    child.wait().expect("our own child can be waited for");
}

/// Nothing starts a server at boot there, so it is its description that says that it is nobody's to start.
#[test]
fn without_systemd_nobody_starts_the_old_server_of_a_move_that_was_cut_off() {
    let lab = Lab::made(4, &Make { plain: true, ..Make::default() });
    let before = inventory_named(&lab, "before.yml", [1, 2, 3]);
    lab.zkops(&["deploy", &before]).ok();
    let moved = inventory(&lab, [1, 2, 4]);
    cut_off_when(&lab, &moved, |line| {
        ["\"step\"", "node-3", "server started"].iter().all(|word| line.contains(word))
    });
    eventually("the new server serves", SOON, || match who_is(&lab, 3) {
        there if there == [4] => Ok(()),
        there => Err(there),
    });
    let what = "node-3 does not run at 10.77.0.13 and was disabled there: it may run where it moved to";
    let started = |options: &[&str]| {
        let args = [options, &["-i", &before, "--break-lock"]].concat();
        lab.zkops(&args).expect(4).says(what).says("set \"disabled\" to false");
        assert_eq!(who_is(&lab, 3), [4], "{options:?}");
        assert_ne!(lab.on(3, "pgrep -f 'zkops [s]erver'").code, 0, "{options:?}");
    };
    let verbs = || {
        started(&["start", "node-3"]);
        started(&["restart", "node-3"]);
        started(&["repair", "node-3", "--yes"]);
        started(&["repair", "node-3", "--wipe", "--yes"]);
    };
    verbs();
    // A machine that remembers nothing of it.
    std::fs::remove_dir_all(lab.home().join("zkops")).expect("what was deployed is remembered there");
    verbs();
    // One that was restarted with the old list finds no quorum: deploy gives it the new one.
    lab.on(1, "pkill -9 -f 'zkops [s]erver'").ok();
    eventually("node-1 runs again", SOON, || match lab.on(1, "pgrep -f 'zkops [s]erver'") {
        found if found.code == 0 => Ok(()),
        found => Err(found.stdout),
    });
    lab.zkops(&["deploy", &moved, "--break-lock"]).ok();
    assert_eq!(who_is(&lab, 3), [4]);
    lab.zkops(&["status"]).ok().says("2 followers in sync");
}

#[test]
fn a_host_that_is_gone_is_fenced_until_its_server_was_seen_disabled() {
    let lab = Lab::made(4, &Make { firewalls: Some("firewalld ufw firewalld nft"), ..Make::default() });
    lab.zkops(&["deploy", &inventory(&lab, [1, 2, 3])]).ok();
    lab.on(3, "sync");
    let mut writing = writer(&lab);
    lab.lab(&["kill", "node-3"]).ok();
    eventually("the others have a leader", SOON, || {
        match [1, 2].map(|host| lab.mode(host).unwrap_or_default()) {
            modes if modes.contains(&"leader".to_owned()) => Ok(()),
            modes => Err(modes),
        }
    });
    let moved = inventory(&lab, [1, 2, 4]);
    let refused = lab.zkops(&["deploy", &moved]).expect(4);
    refused.says("10.77.0.13 is not proven stopped").says("--old-host-is-gone").says("nothing was changed");
    assert_eq!(who_is(&lab, 3), [0; 0], "nothing started");
    one_host_cannot_block(&lab, &moved);

    lab.zkops(&["deploy", &moved, "--old-host-is-gone"]).ok();
    assert_eq!(who_is(&lab, 3), [4]);
    writing.await_acks(50);

    // It comes back, and with it the old server: nobody hears it, it hears nobody.
    lab.lab(&["start", "node-3"]).ok();
    eventually("the old server runs again", SOON, || {
        match lab.on(3, "systemctl is-active zkops-orders").stdout.trim() {
            "active" => Ok(()),
            other => Err(other.to_owned()),
        }
    });
    for host in [1, 2, 4] {
        let knock = |from: usize, to: usize| {
            let connect = format!("timeout 3 bash -c 'exec 3<>/dev/tcp/{}/3888'", Lab::ip(to));
            lab.on(from, &connect).code
        };
        assert_ne!(knock(3, host), 0, "the old host reaches {host}");
        assert_ne!(knock(host, 3), 0, "{host} reaches the old host");
    }
    assert_eq!(lab.mode(3), None, "it serves nobody");
    writing.await_acks(50);
    let told = lab.zkops(&["status"]).ok();
    told.says("10.77.0.13 is blocked on node-1, node-2 and node-3: the old server of node-3 there");
    told.says("zkops deploy");
    by_the_inventory_of_before(&lab, &moved);
    lab.zkops(&["destroy", &moved, "--cluster", "orders"])
        .expect(4)
        .says("the old server of node-3 on 10.77.0.13 is not proven stopped")
        .says(&format!("zkops deploy {moved}"));
    // Whoever has deployed nothing yet knows that place by its fence alone, and whose it is by what stands there.
    std::fs::remove_dir_all(lab.home().join("zkops")).expect("what was deployed is remembered there");
    lab.zkops(&["status", "-i", &moved]).ok().says("10.77.0.13 is blocked on node-1, node-2 and node-3");
    let lifted = lab.zkops(&["deploy", &moved]).ok();
    lifted.says("server on 10.77.0.13 stopped and disabled").says("block 10.77.0.13 no longer");
    assert_moved(&lab, 3, 4);
    assert!(!lab.zkops(&["status"]).ok().all().contains("blocked"));
    lab.zkops(&["deploy", &moved]).ok().says("nothing to do");
    println!("{}", writing.finish());
}

/// It is told as that, and not as a network that loses packets; nothing is done by it.
fn by_the_inventory_of_before(lab: &Lab, moved: &str) {
    let old = inventory_named(lab, "old.yml", [1, 2, 3]);
    let what = format!("{old} has node-3 at 10.77.0.13; it has moved from there to 10.77.0.14");
    let told = lab.zkops(&["status", "-i", &old]).expect(7);
    told.says(&what).says(&format!("next: zkops status -i {moved}"));
    assert!(!told.all().contains("repair") && !told.all().contains("between"), "{told}");
    for verb in ["plan", "deploy"] {
        lab.zkops(&[verb, &old]).expect(4).says(&what).says("nothing was changed");
    }
}
