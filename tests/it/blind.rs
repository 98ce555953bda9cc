//! What an operator does that does not see: its packets to client ports dropped or refused, the limit of
//! connections used up, ssh to hosts cut. Never is more than one voter down by its hand, and nothing is
//! said of the ensemble that nobody proved.

use std::process::{Child, Command, Stdio};

use crate::ensemble::{SOON, Writer, kazoo_script};
use crate::lab::{Lab, Make};
use crate::run::{Ended, eventually, figure, time};

const UNIT: &str = "zkops-orders";

/// When the server of a host went away last, and when it was back, by the machine's one monotonic clock.
fn last_restart(lab: &Lab, node: usize) -> (u64, u64) {
    let show = format!("systemctl show {UNIT} -p ActiveExitTimestampMonotonic,ActiveEnterTimestampMonotonic");
    let text = lab.on(node, &show).ok().stdout;
    let value = |key: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(key)).expect("systemd says it");
        line.trim_start_matches('=').trim().parse().expect("a number")
    };
    (value("ActiveExitTimestampMonotonic"), value("ActiveEnterTimestampMonotonic"))
}

/// Every server was restarted since `before`, and no two were away at the same time.
#[track_caller]
fn one_after_the_other(lab: &Lab, before: &[(u64, u64)]) {
    let mut away: Vec<(u64, u64)> = (1..=3).map(|node| last_restart(lab, node)).collect();
    for (now, before) in away.iter().zip(before) {
        assert!(now.0 > before.1 && now.1 > now.0, "not restarted: {now:?}, before {before:?}");
    }
    away.sort_unstable();
    for pair in away.windows(2) {
        assert!(pair[0].1 < pair[1].0, "two voters were down at once: {away:?}");
    }
}

/// Numbers written without a pause from the operator's machine, by a way that is never blind.
fn writer(lab: &Lab) -> Writer {
    lab.lab(&["sidedoor", "12181", "2181"]).ok();
    let hosts: Vec<String> = (1..=3).map(|node| format!("{}:12181", Lab::ip(node))).collect();
    let [python, script] = kazoo_script("writer.py");
    Writer::start(lab.ctl_command(&[&python, &script, &hosts.join(","), "/writer"]))
}

fn blind(lab: &Lab, how: &str, port: &str, nodes: &[&str]) {
    lab.lab(&[&["blind", how, port], nodes].concat()).ok();
}

fn see(lab: &Lab) {
    lab.lab(&["see"]).ok();
}

/// Sixty idle connections from the operator's address to each server, held until dropped.
struct Hoard(Child);

impl Hoard {
    fn of(lab: &Lab, count: usize) -> Hoard {
        let [python, _] = kazoo_script("writer.py");
        let hosts: Vec<String> = (1..=3).map(Lab::ip).collect();
        let script = "import socket, sys\nall = []\nfor host in sys.argv[2:]:\n    for n in range(int(sys.argv[1])):\n        \
                      all.append(socket.create_connection((host, 2181), 5))\nprint('held', flush=True)\nsys.stdin.read()\n";
        let count = count.to_string();
        let mut command: Command = lab.ctl_command(
            &[
                &[python.as_str(), "-c", script, &count],
                &hosts.iter().map(String::as_str).collect::<Vec<_>>()[..],
            ]
            .concat(),
        );
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("python is there");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("stdout is piped");
        std::io::BufRead::read_line(&mut std::io::BufReader::new(stdout), &mut line).expect("it says a line");
        assert_eq!(line, "held\n");
        Hoard(child)
    }
}

impl Drop for Hoard {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

#[track_caller]
fn says_limit(ended: &Ended) {
    assert!(
        ended.stdout.contains("limit") || ended.stderr.contains("limit"),
        "no word of the limit: {ended}"
    );
}

#[test]
fn an_operator_that_does_not_see_takes_no_second_voter_down() {
    let lab = Lab::up(3);
    let inventory = lab.inventory("");
    lab.zkops(&["deploy", &inventory]).ok();
    let writer = writer(&lab);
    let all = ["node-1", "node-2", "node-3"];
    let healthy = "1 leader + 2 followers in sync";

    // Dropped everywhere: what the hosts say is enough to know, and to restart one after the other.
    blind(&lab, "drop", "2181", &all);
    let status = lab.zkops(&["status"]).ok();
    status.says(healthy).says("node-1 is seen by its own host alone");
    time("status, blind to all client ports", status.took);
    let before: Vec<_> = (1..=3).map(|node| last_restart(&lab, node)).collect();
    lab.zkops(&["restart"]).ok();
    one_after_the_other(&lab, &before);
    lab.zkops(&["plan"]).ok().says("nothing to do");
    lab.zkops(&["stop", "node-1"]).ok();
    lab.zkops(&["stop", "node-2"]).expect(4).says("node-2");
    lab.zkops(&["status"]).expect(9).says("serving with 2 of 3 voters in sync");
    lab.zkops(&["start", "node-1"]).ok();
    lab.zkops(&["stop", "node-1", "node-2"]).expect(4);
    lab.zkops(&["status"]).ok().says(healthy);

    // One host is reached no way at all: nothing proves that all is well, and nothing the contrary.
    blind(&lab, "reject with tcp reset", "22", &["node-3"]);
    let before: Vec<_> = (1..=3).map(|node| last_restart(&lab, node)).collect();
    lab.zkops(&["status"]).expect(7).says("unknown").says("node-3 is not seen");
    lab.zkops(&["stop", "node-1"]).expect(4).says("not proven");
    lab.zkops(&["restart"]).expect(7);
    // Nobody at all.
    blind(&lab, "reject with tcp reset", "22", &["node-1", "node-2"]);
    lab.zkops(&["status"]).expect(7).says("unknown: 0 of 3 voters are seen in sync");
    lab.zkops(&["restart"]).expect(7);
    lab.zkops(&["plan"]).expect(7);
    see(&lab);
    let after: Vec<_> = (1..=3).map(|node| last_restart(&lab, node)).collect();
    assert_eq!(before, after, "a server was touched by an operator that saw nothing");

    // Refused at one.
    blind(&lab, "reject with tcp reset", "2181", &["node-2"]);
    lab.zkops(&["status"]).ok().says(healthy).says("node-2 is seen by its own host alone");
    lab.zkops(&["restart", "node-2"]).ok();
    see(&lab);
    figure("a writer while the operator is blind", writer.finish());

    used_up(&lab, &inventory);

    // Killed again and again: judged by what was seen after the step.
    lab.on(2, &format!("for n in 1 2 3 4 5 6; do systemctl kill -s KILL {UNIT}; sleep 0.7; systemctl is-active {UNIT} || sleep 1.5; done; true"))
        .ok();
    let start = lab.zkops(&["start", "node-2"]).ok();
    assert!(!start.stdout.contains("signal 9") && !start.stderr.contains("signal 9"), "{start}");
    lab.zkops(&["deploy", &inventory]).ok();
    lab.await_healthy();
}

/// The operator's address has used up its connections.
fn used_up(lab: &Lab, inventory: &str) {
    let hoard = Hoard::of(lab, 60);
    let status = lab.zkops(&["status"]).ok();
    status.says("1 leader + 2 followers in sync");
    says_limit(&status);
    let text = std::fs::read_to_string(inventory).expect("it was written");
    let changed = lab.write("changed.yml", &format!("{text}zoo: {{ snapCount: 50000 }}\n"));
    let plan = lab.zkops(&["plan", &changed]).expect(8);
    plan.says("prove that the others serve without");
    says_limit(&plan);
    let before: Vec<_> = (1..=3).map(|node| last_restart(lab, node)).collect();
    lab.zkops(&["restart"]).ok();
    one_after_the_other(lab, &before);
    drop(hoard);
    lab.await_healthy();
}

#[test]
fn without_systemd_a_member_starts_after_a_restart_of_its_host_and_while_it_waits_to_be_restarted() {
    let lab = Lab::made(3, &Make { plain: true, ..Make::default() });
    let inventory = lab.inventory("");
    lab.zkops(&["deploy", &inventory]).ok();
    lab.lab(&["stop", "node-2"]).ok();
    lab.lab(&["start", "node-2"]).ok();
    lab.zkops(&["status"]).expect(9).says("node-2");
    lab.zkops(&["start", "node-2"]).ok();
    lab.zkops(&["status"]).ok();

    // It is killed until its supervisor takes its time.
    let kill = "pkill -9 -f 'zkops [s]erver' || true";
    for _ in 0..4 {
        lab.on(2, kill).ok();
        eventually("it was started again or waits", SOON, || {
            let alive = lab.on(2, "pgrep -f 'zkops [s]erver' || pgrep -f '[h]ost --supervise'");
            if alive.code == 0 { Ok(()) } else { Err("neither") }
        });
    }
    lab.zkops(&["start", "node-2"]).ok();
    lab.zkops(&["status"]).ok();

    // A power cut: two come back, the third host does not. They start without it, and serve.
    for node in ["node-1", "node-2", "node-3"] {
        lab.lab(&["kill", node]).ok();
    }
    lab.lab(&["start", "node-1"]).ok();
    lab.lab(&["start", "node-2"]).ok();
    lab.zkops(&["start"]).expect(7).says("node-3");
    lab.zkops(&["status"]).expect(9).says("serving with 2 of 3 voters in sync");
}
