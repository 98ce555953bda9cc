//! Answers as servers of several ages give them, refusals, and a server that says nothing.

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::timeout;

use super::{Error, Mntr, Mode, Srvr, ask};
use crate::client::{Route, Server};
use crate::wire::ids::Zxid;

#[test]
fn srvr_of_a_leader_is_read_whole() {
    let srvr: Srvr = LEADER.parse().unwrap();
    assert_eq!(srvr.mode, Mode::Leader);
    assert_eq!(srvr.zxid, Zxid(0x12_0000_0007));
    assert_eq!((srvr.received, srvr.sent, srvr.connections, srvr.outstanding), (1790, 1801, 3, 0));
    assert_eq!((srvr.latency.min, srvr.latency.avg, srvr.latency.max), (0, 2.2051, 112));
    assert_eq!(srvr.node_count, 11);
    assert_eq!(srvr.proposal_sizes, Some([48, 48, 92]));
    assert!(srvr.version.starts_with("3.9.3-c26634f"), "{}", srvr.version);
    assert!(!srvr.read_only);
}

#[test]
fn srvr_of_a_3_4_follower_has_whole_number_latency_and_no_proposals() {
    let text = LEADER.replace("2.2051", "2").replace("leader", "follower");
    let srvr: Srvr = text.split("Proposal").next().unwrap().parse().unwrap();
    assert_eq!((srvr.mode, srvr.latency.avg, srvr.proposal_sizes), (Mode::Follower, 2.0, None));
}

#[test]
fn what_lacks_a_line_names_it() {
    for (remove, field) in [("Mode: leader\n", "Mode"), ("Zxid: 0x1200000007\n", "Zxid")] {
        let error = LEADER.replace(remove, "").parse::<Srvr>().unwrap_err();
        assert_eq!(error.to_string(), format!("the answer to \"srvr\" lacks a readable {field:?} line"));
    }
    assert!("HTTP/1.1 400 Bad Request".parse::<Srvr>().is_err());
    assert!("".parse::<Mntr>().is_err());
}

#[test]
fn mntr_gives_types_for_what_an_operator_reads_and_text_for_the_rest() {
    let text = "zk_version\t3.9.3-c26, built on 2024\nzk_server_state\tleader\nzk_peer_state\tleading - broadcast\n\
        zk_avg_latency\t0.25\nzk_num_alive_connections\t2\nzk_znode_count\t5\nzk_uptime\t90500\n\
        zk_synced_followers\t2\nzk_learners\t2.0\nzk_quorum_size\t3\nzk_max_latency\t7\n";
    let mntr: Mntr = text.parse().unwrap();
    assert_eq!((mntr.mode, mntr.synced_followers, mntr.learners), (Mode::Leader, Some(2), Some(2)));
    assert_eq!(mntr.uptime, Some(Duration::from_millis(90_500)));
    assert_eq!(mntr.latency_avg_ms, Some(0.25));
    assert_eq!(mntr.peer_state.as_deref(), Some("leading - broadcast"));
    assert_eq!(mntr.values["znode_count"], "5");
    assert_eq!(mntr.ephemerals_count, None);
}

/// A server for one connection; gives its address to `test`.
fn at(addr: SocketAddr) -> Server {
    Server { host: addr.ip().to_string(), port: addr.port() }
}

async fn one_answer<F: Future<Output = ()>>(answer: &'static [u8], test: impl FnOnce(SocketAddr) -> F) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let addr = listener.local_addr().unwrap();
    let server = async {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut word = [0; 4];
        socket.read_exact(&mut word).await.unwrap();
        socket.write_all(answer).await.unwrap();
    };
    tokio::join!(server, test(addr));
}

#[tokio::test]
async fn an_answer_ends_where_the_server_closes() {
    one_answer(b"imok", |addr| async move {
        assert_eq!(ask(&Route::Direct, &at(addr), "ruok", Duration::from_secs(5)).await.unwrap(), "imok");
    })
    .await;
}

#[tokio::test]
async fn the_refusals_are_errors_of_their_own() {
    one_answer(b"mntr is not executed because it is not in the whitelist.\n", |addr| async move {
        let error = ask(&Route::Direct, &at(addr), "mntr", Duration::from_secs(5)).await.unwrap_err();
        assert!(matches!(error, Error::NotWhitelisted(word) if word == "mntr"));
    })
    .await;
    one_answer(b"This ZooKeeper instance is not currently serving requests\n", |addr| async move {
        assert!(matches!(
            ask(&Route::Direct, &at(addr), "srvr", Duration::from_secs(5)).await,
            Err(Error::NotServing)
        ));
    })
    .await;
    one_answer(b"", |addr| async move {
        assert!(matches!(
            ask(&Route::Direct, &at(addr), "srvr", Duration::from_secs(5)).await,
            Err(Error::Silent(_))
        ));
    })
    .await;
}

#[tokio::test]
async fn a_server_that_says_nothing_costs_the_deadline_and_no_more() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let addr = listener.local_addr().unwrap();
    let route = Route::Direct;
    let to = at(addr);
    let asked = timeout(Duration::from_secs(20), ask(&route, &to, "srvr", Duration::from_millis(50)));
    let error = asked.await.expect("it ends").unwrap_err();
    assert!(matches!(error, Error::Timeout { ms: 50, .. }), "{error}");
}

const LEADER: &str =
    "Zookeeper version: 3.9.3-c26634f34490bb0ea7a09cc51e05ede3b4e320ee, built on 2024-10-17 23:21 UTC
Latency min/avg/max: 0/2.2051/112
Received: 1790
Sent: 1801
Connections: 3
Outstanding: 0
Zxid: 0x1200000007
Mode: leader
Node count: 11
Proposal sizes last/min/max: 48/48/92
";
