//! Fences on real hosts, with each kind of firewall: nothing goes to or comes from an address, in both
//! families, until the fence is taken away.

use std::net::IpAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use zkops::operator::host::firewall::Fence;
use zkops::operator::host::net::{Connect, Outcome, Target};
use zkops::operator::host::runs::{Holder, LockToken, TakeLock, Taken};
use zkops::operator::host::{Kind, Link};

use crate::ensemble::SOON;
use crate::lab::{Lab, Make};
use crate::run::{ZKOPS, block_on, eventually};

/// The host that nobody can stop.
const OLD: usize = 5;

#[test]
fn a_fence_holds_both_ways_in_both_families_and_over_a_power_cut() {
    let make =
        Make { firewalls: Some("firewalld ufw nft iptables none"), v6: Some("dual"), ..Make::default() };
    let lab = Lab::made(OLD, &make);
    let fences = ["10.77.0.15", "fd77::15"].map(|text| Fence { address: text.parse().expect("an address") });
    for node in 1..OLD {
        put_agent(&lab, node);
        assert!(passes(&lab, node, true) && passes(&lab, node, false), "node-{node} before");
        block_on(async {
            let link = agent(&lab, node);
            hold(&link).await;
            for fence in fences {
                let report = link.fence(fence).await.unwrap_or_else(|why| panic!("node-{node}: {why}"));
                assert!(report.changed && report.survives_reboot, "node-{node}: {report:?}");
                let again = link.fence(fence).await.unwrap();
                assert!(!again.changed, "node-{node}: a second time changes nothing: {again:?}");
            }
            assert_eq!(link.fences().await.unwrap(), fences, "node-{node}");
            let own = Fence { address: "127.0.0.1".parse().expect("an address") };
            assert_eq!(link.fence(own).await.unwrap_err().kind(), Some(Kind::Refused));
        });
        blocked(&lab, node);
    }
    for node in 1..OLD {
        lab.lab(&["kill", &format!("node-{node}")]).ok();
        lab.lab(&["start", &format!("node-{node}")]).ok();
        // Its network comes from outside, at once: no unit of the host waits for it.
        eventually("the fence is up again", SOON, || match passes(&lab, node, false) {
            false => Ok(()),
            true => Err(format!("node-{node} is reached")),
        });
        blocked(&lab, node);
        block_on(async {
            let link = agent(&lab, node);
            hold(&link).await;
            assert_eq!(link.fences().await.unwrap(), fences, "node-{node} after a power cut");
            for fence in fences {
                assert!(link.unfence(fence).await.unwrap().changed, "node-{node}");
                assert!(!link.unfence(fence).await.unwrap().changed, "node-{node}");
            }
            assert_eq!(link.fences().await.unwrap(), [], "node-{node}");
        });
        assert!(passes(&lab, node, true) && passes(&lab, node, false), "node-{node} afterwards");
        let left = "find /etc -name '*zkops*'; grep -rl zkops /etc/nftables.conf /etc/iptables /etc/ufw; iptables -S; nft list tables";
        let left = lab.on(node, &format!("{{ {left}; }} 2>/dev/null | grep zkops; true")).ok().stdout;
        assert_eq!(left, "", "left on node-{node}");
    }
    put_agent(&lab, OLD);
    lab.on(OLD, "rm /usr/sbin/nft /usr/sbin/iptables /usr/sbin/ip6tables").ok();
    block_on(async {
        let other = Fence { address: IpAddr::from([10, 77, 0, 11]) };
        let link = agent(&lab, OLD);
        hold(&link).await;
        let refused = link.fence(other).await.unwrap_err();
        assert_eq!(refused.kind(), Some(Kind::Unsupported), "{refused}");
        assert_eq!(agent(&lab, OLD).fences().await.unwrap(), []);
    });
}

/// No connection either way, in either family; and our own host says so, which a dead host cannot.
#[track_caller]
fn blocked(lab: &Lab, node: usize) {
    let targets = ["10.77.0.15", "fd77::15"].map(|host| Target { host: host.into(), port: 22 }).to_vec();
    let tried = Connect { targets, token: String::new(), name: String::new(), timeout_ms: 5_000 };
    for reach in block_on(async { agent(lab, node).connect(tried).await.expect("the agent tries") }) {
        assert!(matches!(reach.outcome, Outcome::NoRoute { .. }), "node-{node}: {reach:?}");
    }
    assert!(!passes(lab, node, false), "{OLD} reaches node-{node}");
}

/// Do connections in both families go out to the old host (or come in from it)?
fn passes(lab: &Lab, node: usize, out: bool) -> bool {
    let (from, to) = if out { (node, OLD) } else { (OLD, node) };
    [Lab::ip(to), format!("fd77::{}", to + 10)].iter().any(|address| connects(lab, from, address))
}

fn connects(lab: &Lab, from: usize, address: &str) -> bool {
    lab.on(from, &format!("nc -zw1 {address} 22")).code == 0
}

fn put_agent(lab: &Lab, node: usize) {
    let command =
        format!("exec \"$LAB\" exec node-{node} 'cat >/root/zkops; chmod +x /root/zkops; sync' <{ZKOPS}");
    lab.script(&command).ok();
}

/// What changes a host is sent under its lock.
async fn hold(link: &Link) {
    let path = PathBuf::from("/root/fences.lock");
    let holder = Holder {
        id: "fences".into(),
        who: "the test".into(),
        pid: std::process::id(),
        command: "fences".into(),
    };
    let request = TakeLock { path: path.clone(), holder, ttl_ms: 600_000, over: None };
    let Taken::Taken { held, .. } = link.take_lock(request).await.expect("the host answers") else {
        panic!("somebody else has the lock")
    };
    link.hold(Some(LockToken { path, holder: held.holder.id, fence: held.fence }));
}

/// `zkops host` on that host, started from outside: it is there also when nothing gets in.
fn agent(lab: &Lab, node: usize) -> Link {
    let mut command = tokio::process::Command::from(lab.command(&[
        "exec",
        &format!("node-{node}"),
        "exec /root/zkops host",
    ]));
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the lab runs it");
    let (stdin, stdout) = (child.stdin.take().expect("piped"), child.stdout.take().expect("piped"));
    Link::new(stdout, stdin).within(Duration::from_secs(60))
}
