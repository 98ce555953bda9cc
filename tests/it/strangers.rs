//! Strangers on the quorum port of a real ensemble: what they claim raises no epoch, ends no link, and keeps nobody out.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::ensemble::{Ensemble, SOON};
use crate::lab::{Lab, Make};
use crate::run::eventually;

#[test]
fn what_a_stranger_claims_costs_an_ensemble_nothing() {
    let mut ensemble = Ensemble::started(3);
    let leader = ensemble.leader();
    let follower = (1..=3).find(|n| *n != leader).expect("two others");
    let quorum = ensemble.quorum_address(leader);
    // Somebody that no server line lists is told nothing.
    let mut stranger = follower_info(&quorum, 99, 0);
    stranger.set_read_timeout(Some(SOON)).expect("a socket has timeouts");
    let mut told = Vec::new();
    stranger.read_to_end(&mut told).expect("it is closed");
    assert!(told.is_empty(), "not even the epoch: {told:?}");
    // A follower's own id, with the last epoch there is and with a later one than the leader's, again and again.
    let claims: Vec<TcpStream> = (0..20)
        .flat_map(|_| [0x7fff_fffe, 900].map(|accepted| follower_info(&quorum, follower as i64, accepted)))
        .collect();
    // As many as keep every place, and say nothing.
    let silent: Vec<TcpStream> =
        (0..200).map(|_| TcpStream::connect(&quorum).expect("the leader listens")).collect();
    ensemble.kill(follower);
    ensemble.start(follower);
    // One of the claims was heard while it was away: an election at most, which any of the three may win.
    eventually("the follower is back", SOON, || match ensemble.mode(follower).as_deref() {
        Some("follower" | "leader") => Ok(()),
        other => Err(format!("{other:?}")),
    });
    drop((claims, silent));
    ensemble.await_serving();
    let accepted = std::fs::read_to_string(ensemble.data(leader).join("version-2/acceptedEpoch"));
    let accepted: i64 = accepted.expect("it is written").trim().parse().expect("a number");
    assert!(accepted < 1000, "{accepted}");
}

/// A connection that says that it is a follower.
fn follower_info(addr: &str, sid: i64, accepted: i64) -> TcpStream {
    let mut stream = TcpStream::connect(addr).expect("the leader listens");
    let info = [&sid.to_be_bytes()[..], &0x10000_i32.to_be_bytes(), &[0; 8]].concat();
    let packet = [
        &11_i32.to_be_bytes()[..],
        &(accepted << 32).to_be_bytes(),
        &(info.len() as i32).to_be_bytes(),
        &info,
        &(-1_i32).to_be_bytes(),
    ];
    stream.write_all(&packet.concat()).expect("it is read");
    stream
}

/// The follower is gone and nothing of that reaches the leader: to it the old connection stands.
#[test]
fn a_link_that_is_half_open_makes_way_for_the_new_one() {
    let lab = Lab::made(3, &Make { firewalls: Some("none"), ..Make::default() });
    lab.zkops(&["deploy", &lab.inventory("")]).ok();
    let listens = |node: &usize| !lab.on(*node, "ss -Htln 'sport = :2888'").stdout.trim().is_empty();
    let leader = (1..=3).find(listens).expect("the leader listens for followers");
    let follower = (1..=3).find(|node| *node != leader).expect("two others");
    let link = "ss -Htn state established 'dport = :2888'";
    let port = lab.on(follower, &format!("{link} | sed 's/.*:\\([0-9]*\\) .*:2888.*/\\1/'")).ok().stdout;
    let port = port.trim();
    assert!(port.parse::<u16>().is_ok(), "{port:?}");
    // Neither its end nor what answers a packet that comes too late.
    lab.on(
        follower,
        &format!(
            "nft add table inet half; nft add chain inet half to '{{ type filter hook output priority 0; }}'; \
             nft add chain inet half from '{{ type filter hook input priority 0; }}'; \
             nft add rule inet half to tcp sport {port} drop; nft add rule inet half from tcp dport {port} drop"
        ),
    )
    .ok();
    lab.on(follower, "systemctl kill --kill-whom=main -s KILL zkops-orders").ok();
    let stands = lab.on(leader, &format!("ss -Htn state established 'dport = :{port}'")).ok().stdout;
    assert!(stands.contains(":2888"), "the leader has heard of it: {stands:?}");
    lab.await_healthy();
    let log = lab.on(leader, "journalctl -q -o cat -u zkops-orders").ok().stdout;
    let expected = format!("learner {follower} moved no byte for a tick, and has connected anew");
    assert!(log.contains(&expected), "{log}");
    assert!(!log.contains("a quorum no longer follows"), "{log}");
    assert!(listens(&leader), "another one leads: {log}");
}
