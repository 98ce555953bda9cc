//! Whole servers on loopback: standalone and ensembles, an independent client, kills and restarts.

use crate::edges::await_line;
use crate::ensemble::{Ensemble, SOON, Writer, kazoo};
use crate::run::eventually;

#[track_caller]
fn recipes(hosts: &str) {
    let output = kazoo("recipes.py").arg(hosts).output().expect("python is there");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "kazoo: {out}\n{err}");
}

fn writer(ensemble: &Ensemble, path: &str) -> Writer {
    let mut command = kazoo("writer.py");
    command.arg(ensemble.addresses()).arg(path);
    Writer::start(command)
}

#[test]
fn kazoo_recipes_hold_on_a_standalone_server() {
    let ensemble = Ensemble::started(1);
    recipes(&ensemble.addresses());
}

#[test]
fn kazoo_recipes_hold_on_three_servers() {
    let ensemble = Ensemble::started(3);
    recipes(&ensemble.addresses());
}

#[test]
fn a_server_ends_with_0_on_sigterm_and_keeps_its_data() {
    let mut ensemble = Ensemble::started(1);
    writer(&ensemble, "/w").finish();
    let before = ensemble.ask(1, "srvr").expect("it serves");
    assert_eq!(ensemble.stop(1), 0);
    ensemble.start(1);
    ensemble.await_serving();
    let after = ensemble.ask(1, "srvr").expect("it serves");
    let nodes = |text: &str| text.lines().find(|line| line.starts_with("Node count")).map(str::to_owned);
    assert_eq!(nodes(&before), nodes(&after));
}

#[test]
fn no_acknowledged_write_is_lost_when_the_leader_is_killed_under_load() {
    let mut ensemble = Ensemble::started(3);
    let mut writer = writer(&ensemble, "/w");
    writer.await_acks(100);
    let leader = ensemble.leader();
    ensemble.kill(leader);
    writer.await_acks(100);
    ensemble.start(leader);
    ensemble.await_serving();
    writer.await_acks(50);
    println!("leader killed: {}", writer.finish());
}

#[test]
fn no_acknowledged_write_is_lost_when_every_server_is_killed_in_turn() {
    let mut ensemble = Ensemble::started(3);
    let mut writer = writer(&ensemble, "/w");
    for n in 1..=3 {
        writer.await_acks(50);
        ensemble.kill(n);
        writer.await_acks(50);
        ensemble.start(n);
        ensemble.await_serving();
    }
    println!("each killed in turn: {}", writer.finish());
}

#[test]
fn all_data_is_there_after_all_servers_were_killed_and_started_again() {
    let mut ensemble = Ensemble::started(3);
    let mut writer = writer(&ensemble, "/w");
    writer.await_acks(200);
    (1..=3).for_each(|n| ensemble.kill(n));
    (1..=3).for_each(|n| ensemble.start(n));
    ensemble.await_serving();
    writer.await_acks(20);
    println!("all killed: {}", writer.finish());
}

#[test]
fn an_observer_serves_and_does_not_count() {
    let mut ensemble = Ensemble::new(4, 1, "");
    (1..=4).for_each(|n| ensemble.start(n));
    ensemble.await_serving();
    assert_eq!(ensemble.mode(4).as_deref(), Some("observer"));
    recipes(&format!("{},{}", ensemble.address(4), ensemble.address(1)));
    let leader = ensemble.leader();
    let follower = (1..=3).find(|n| *n != leader).expect("three voters");
    ensemble.kill(follower);
    let other = (1..=3).find(|n| *n != leader && *n != follower).expect("three voters");
    ensemble.kill(other);
    // One voter and one observer are no quorum of three voters.
    eventually("the leader steps down", SOON, || match ensemble.mode(leader) {
        None => Ok(()),
        Some(mode) => Err(mode),
    });
}

#[test]
fn a_follower_far_behind_is_brought_up_by_a_snapshot() {
    let mut ensemble = Ensemble::new(3, 0, "snapCount=200");
    (1..=3).for_each(|n| ensemble.start(n));
    ensemble.await_serving();
    let leader = ensemble.leader();
    let behind = (1..=3).find(|n| *n != leader).expect("three servers");
    ensemble.kill(behind);
    let mut writer = writer(&ensemble, "/w");
    writer.await_acks(1500);
    writer.finish();
    ensemble.start(behind);
    ensemble.await_serving();
    let zxid = |n| {
        let text = ensemble.ask(n, "srvr").unwrap_or_default();
        text.lines().find_map(|line| line.strip_prefix("Zxid: ")).map(str::to_owned)
    };
    eventually("the follower has caught up", SOON, || match zxid(behind) == zxid(leader) {
        true => Ok(()),
        false => Err((zxid(behind), zxid(leader))),
    });
}

/// What is asked at night: who leads since when, who follows whom, and because of whom nobody serves.
#[test]
fn the_log_tells_who_leads_who_follows_and_who_is_missed() {
    let mut ensemble = Ensemble::started(3);
    let leader = ensemble.leader();
    let followers: Vec<usize> = (1..=3).filter(|n| *n != leader).collect();
    await_line(&ensemble, leader, "looking for a leader: this server has just started");
    await_line(&ensemble, leader, "leading since zxid 0x");
    for n in &followers {
        await_line(&ensemble, leader, &format!("server {n} follows: it has all up to zxid 0x"));
        await_line(&ensemble, *n, &format!("following server {leader} in epoch "));
    }
    ensemble.kill(followers[0]);
    await_line(
        &ensemble,
        leader,
        &format!("server {} no longer follows: its connection is gone", followers[0]),
    );
    ensemble.kill(followers[1]);
    let missed = format!("nothing from the servers {}, {}", followers[0], followers[1]);
    await_line(&ensemble, leader, &format!("looking for a leader: a quorum no longer follows: {missed}"));
    ensemble.start(followers[0]);
    ensemble.await_serving();
    // Whoever of the two leads now.
    let second = ensemble.leader();
    ensemble.kill(second);
    let left = if second == leader { followers[0] } else { leader };
    await_line(&ensemble, left, &format!("looking for a leader: the connection to server.{second} is gone"));
}
