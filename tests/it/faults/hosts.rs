//! Servers killed and hosts powered off under a continuous writer: no acknowledged write is lost.

use crate::ensemble::{Writer, kazoo_script};
use crate::lab::Lab;

fn writer(lab: &Lab) -> Writer {
    let hosts: Vec<String> = (1..=3).map(|node| format!("{}:2181", Lab::ip(node))).collect();
    let [python, script] = kazoo_script("writer.py");
    Writer::start(lab.ctl_command(&[&python, &script, &hosts.join(","), "/written"]))
}

#[test]
fn kazoo_recipes_hold_on_three_hosts() {
    let lab = Lab::up(3);
    lab.zkops(&["deploy", &lab.inventory("")]).ok();
    let hosts: Vec<String> = (1..=3).map(|node| format!("{}:2181", Lab::ip(node))).collect();
    let [python, script] = kazoo_script("recipes.py");
    lab.ctl(&[&python, &script, &hosts.join(",")]).ok();
}

#[test]
fn nothing_is_lost_when_the_leader_is_killed_a_host_loses_power_and_all_restart() {
    let lab = Lab::up(3);
    lab.zkops(&["deploy", &lab.inventory("")]).ok();
    let mut writing = writer(&lab);
    writing.await_acks(100);

    // kill -9 of the leader, then of a follower: systemd starts them again.
    for role in ["leader", "follower"] {
        let node = lab.node_that_is(role);
        lab.on(node, "systemctl kill -s KILL zkops-orders").ok();
        writing.await_acks(100);
        lab.await_healthy();
    }
    println!("killed: {}", writing.finish());

    // The leader's host loses power: what was not fsynced is really gone.
    let mut writing = writer(&lab);
    writing.await_acks(50);
    let node = format!("node-{}", lab.node_that_is("leader"));
    lab.lab(&["kill", &node]).ok();
    writing.await_acks(50);
    lab.lab(&["start", &node]).ok();
    lab.await_healthy();
    println!("power off: {}", writing.finish());

    // All at once.
    let writing = writer(&lab);
    lab.zkops(&["restart"]).ok();
    println!("restart: {}", writing.finish());
    for node in 1..=3 {
        lab.on(node, "systemctl kill -s KILL zkops-orders").ok();
    }
    lab.await_healthy();
    let writing = writer(&lab);
    println!("all killed: {}", writing.finish());
}
