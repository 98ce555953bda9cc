//! Ports, listeners, reachability and names, on loopback.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::records::{Caller, Connect, Expected, FourLetter, Listen, Listening, Outcome, Target, Trap};
use super::{addresses, names, ports};
use crate::operator::host::Link;
use crate::operator::host::agent::tests::host;
use crate::operator::host::failure::Kind;
use crate::operator::host::machine::facts;

fn target(port: u16) -> Target {
    Target { host: "127.0.0.1".into(), port }
}

async fn reach(link: &Link, targets: Vec<Target>, token: &str) -> Vec<Outcome> {
    let request = Connect { targets, token: token.into(), name: "node-7".into(), timeout_ms: 5000 };
    link.connect(request).await.unwrap().into_iter().map(|reach| reach.outcome).collect()
}

fn listen(ports: Vec<u16>) -> Listen {
    Listen { ports, address: LOCALHOST, token: "the-token".into(), seconds: 60 }
}

/// A port that was free a moment ago.
async fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port()
}

#[tokio::test]
async fn listeners_answer_with_their_token_until_they_are_stopped() {
    let dir = tempfile::tempdir().unwrap();
    let (listening, probing) = (host(dir.path()), host(dir.path()));
    let answers = listening.listen(listen(vec![0, 0, 0])).await.unwrap();
    let ports: Vec<u16> = answers
        .iter()
        .map(|answer| match answer {
            Listening::Listening { port } => *port,
            other => panic!("{other:?}"),
        })
        .collect();
    let targets = || ports.iter().copied().map(target).collect::<Vec<_>>();
    assert_eq!(reach(&probing, targets(), "the-token").await, vec![Outcome::Token; 3]);
    assert_eq!(reach(&probing, targets(), "another12").await, vec![Outcome::Open; 3], "somebody else's");
    assert_eq!(reach(&probing, targets(), "").await, vec![Outcome::Open; 3]);
    let heard = Caller { name: "node-7".into(), address: LOCALHOST };
    // Who had another token in mind, or none, was not told apart from a server, and says nothing.
    assert_eq!(listening.stop_listening("the-token".into()).await.unwrap(), [heard]);
    assert_eq!(listening.stop_listening("the-token".into()).await.unwrap(), []);
    assert_eq!(reach(&probing, targets(), "the-token").await, vec![Outcome::Refused; 3]);
    // And a server can have them at once.
    for port in ports {
        TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    }
}

#[tokio::test]
async fn listeners_end_with_their_link() {
    let dir = tempfile::tempdir().unwrap();
    let (listening, probing) = (host(dir.path()), host(dir.path()));
    let answers = listening.listen(listen(vec![0])).await.unwrap();
    let Listening::Listening { port } = answers[0] else { panic!("{answers:?}") };
    drop(listening);
    let begun = std::time::Instant::now();
    while reach(&probing, vec![target(port)], "").await != [Outcome::Refused] {
        assert!(begun.elapsed().as_secs() < 20, "still listening");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_taken_port_is_reported_with_its_owner_and_others_still_work() {
    let dir = tempfile::tempdir().unwrap();
    let other = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let taken = other.local_addr().unwrap().port();
    let answers = host(dir.path()).listen(listen(vec![taken, 0])).await.unwrap();
    let Listening::InUse { port, by: Some(by) } = &answers[0] else { panic!("{answers:?}") };
    assert_eq!(*port, taken);
    let me = i32::try_from(std::process::id()).unwrap();
    assert_eq!(by.process.as_ref().unwrap().pid, me);
    assert!(matches!(answers[1], Listening::Listening { .. }));
}

#[tokio::test]
async fn an_address_that_is_not_ours_fails_for_that_port_only() {
    let dir = tempfile::tempdir().unwrap();
    let foreign = Listen { address: "192.0.2.1".parse().unwrap(), ..listen(vec![0]) };
    let answers = host(dir.path()).listen(foreign).await.unwrap();
    assert!(
        matches!(&answers[0], Listening::Failed { why, .. } if why.kind == Kind::Unreachable),
        "{answers:?}"
    );
    let odd = Listen { token: String::new(), ..listen(vec![0]) };
    assert_eq!(host(dir.path()).listen(odd).await.unwrap_err().kind(), Some(Kind::Invalid));
}

#[tokio::test]
async fn outcomes_of_a_connection() {
    let dir = tempfile::tempdir().unwrap();
    let link = host(dir.path());
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let open = silent.local_addr().unwrap().port();
    let resetting = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let reset = resetting.local_addr().unwrap().port();
    let server = tokio::spawn(async move {
        let (stream, _) = resetting.accept().await.unwrap();
        // Closing with a zero linger sends a reset.
        socket2::SockRef::from(&stream).set_linger(Some(std::time::Duration::ZERO)).unwrap();
    });
    let unknown = Target { host: "no-such-host.invalid".into(), port: 1 };
    let targets = vec![target(open), target(free_port().await), target(reset), unknown];
    let outcomes = reach(&link, targets, "the-token").await;
    server.await.unwrap();
    assert_eq!(outcomes[..2], [Outcome::Open, Outcome::Refused]);
    assert!(matches!(outcomes[2], Outcome::Reset), "{outcomes:?}");
    assert!(matches!(&outcomes[3], Outcome::NameError { why } if !why.is_empty()), "{outcomes:?}");
}

#[tokio::test]
async fn a_name_is_resolved_on_the_host() {
    let dir = tempfile::tempdir().unwrap();
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = silent.local_addr().unwrap().port();
    let request = Connect {
        targets: vec![Target { host: "localhost".into(), port }],
        token: String::new(),
        name: String::new(),
        timeout_ms: 5000,
    };
    let reached = host(dir.path()).connect(request).await.unwrap();
    assert_eq!(reached[0].outcome, Outcome::Open);
    assert_eq!(reached[0].address, Some(SocketAddr::new(LOCALHOST, port)));
}

#[tokio::test]
async fn a_four_letter_word_is_sent_and_its_answer_read_to_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let link = host(dir.path());
    let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = server.local_addr().unwrap().port();
    let serving = tokio::spawn(async move {
        let (mut stream, _) = server.accept().await.unwrap();
        let mut word = [0; 4];
        stream.read_exact(&mut word).await.unwrap();
        stream.write_all(&word).await.unwrap();
        stream.write_all(&vec![b'x'; 100_000]).await.unwrap();
    });
    let ask =
        |port, word: &str| FourLetter { host: "127.0.0.1".into(), port, word: word.into(), timeout_ms: 5000 };
    let answer = link.four_letter(ask(port, "mntr")).await.unwrap();
    serving.await.unwrap();
    assert!(answer.reply.starts_with("mntrxxx") && answer.reply.len() == 100_004 && !answer.truncated);
    let error = link.four_letter(ask(free_port().await, "ruok")).await.unwrap_err();
    assert_eq!(error.kind(), Some(Kind::ConnectionRefused));
    assert_eq!(link.four_letter(ask(port, "toolong")).await.unwrap_err().kind(), Some(Kind::Invalid));
}

#[tokio::test]
async fn ports_in_use_name_the_process() {
    let dir = tempfile::tempdir().unwrap();
    let v4 = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = v4.local_addr().unwrap().port();
    let free = free_port().await;
    let all = host(dir.path()).ports_in_use(vec![port, free]).await.unwrap();
    assert_eq!(all[0].listeners.len(), 1, "{all:?}");
    let listener = &all[0].listeners[0];
    assert_eq!(listener.address, v4.local_addr().unwrap());
    let process = listener.process.as_ref().unwrap();
    assert_eq!(process.pid, i32::try_from(std::process::id()).unwrap());
    assert_eq!(process.exe, Some(std::env::current_exe().unwrap()));
    assert!(!listener.ours);
    assert!(all[1].listeners.is_empty());
}

#[test]
fn the_kernels_tables_of_sockets() {
    let v4 = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   \
              0: 0100007F:0885 00000000:0000 0A 00000000:00000000 00:00000000 00000000   112        0 31337 1 0 100\n   \
              1: 0B004D0A:1234 0100007F:0885 01 00000000:00000000 00:00000000 00000000     0        0 31338 1 0 100\n";
    assert_eq!(
        ports::rows(v4),
        [ports::Row { local: "127.0.0.1:2181".parse().unwrap(), uid: 112, inode: 31337 }]
    );
    let v6 = "header\n   0: 00000000000000000000000001000000:0F30 00000000000000000000000000000000:0000 0A 0:0 00:0 0 0 0 7 1\n";
    assert_eq!(ports::rows(v6)[0].local, "[::1]:3888".parse().unwrap());
    assert!(ports::rows("header\nrubbish\n 0: 01:02 x 0A\n").is_empty());
}

#[test]
fn own_addresses_and_the_interface_of_one() {
    let trie = "\
Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 10.77.0.0
        /24 link UNICAST
     |-- 10.77.0.11
        /32 host LOCAL
     |-- 10.77.0.255
        /32 link BROADCAST
     |-- 127.0.0.1
        /32 host LOCAL
Local:
     |-- 127.0.0.0
        /8 host LOCAL
     |-- 10.77.0.11
        /32 host LOCAL
";
    assert_eq!(addresses::local_v4(trie), [Ipv4Addr::new(10, 77, 0, 11), Ipv4Addr::LOCALHOST]);
    let route = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n\
                 eth9\t00000000\t0100A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n\
                 eth0\t00004D0A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n\
                 tun0\t0000000A\t00000000\t0001\t0\t0\t0\t000000FF\t0\t0\t0\n";
    let via = |text: &str| addresses::route_to(route, text.parse().unwrap());
    assert_eq!(via("10.77.0.11").as_deref(), Some("eth0"));
    assert_eq!(via("10.1.1.1").as_deref(), Some("tun0"));
    assert_eq!(via("192.168.0.5").as_deref(), Some("eth9"));
    assert_eq!(addresses::route_to("", Ipv4Addr::LOCALHOST), None);
    let v6 = "00000000000000000000000000000001 01 80 10 80       lo\nfe80000000000000021b21fffe000001 02 40 20 80     eth0\n";
    let found = addresses::local_v6(v6);
    assert_eq!(found[0], ("::1".parse().unwrap(), "lo".to_string()));
    assert_eq!(found[1].1, "eth0");
}

#[tokio::test]
async fn names_as_this_host_sees_them() {
    let dir = tempfile::tempdir().unwrap();
    let asked = ["localhost", "127.0.0.1", "no-such-host.invalid"];
    let expected = asked.iter().map(|name| Expected { name: (*name).into(), ip: Some(LOCALHOST) }).collect();
    let report = host(dir.path()).names(expected).await.unwrap();
    assert!(report.addresses.contains(&LOCALHOST));
    assert_eq!(report.own_name.name, report.hostname);
    let [localhost, literal, unknown] = report.names.as_slice() else { panic!("{report:?}") };
    assert!(localhost.addresses.contains(&LOCALHOST) && localhost.trap.is_none());
    assert_eq!(literal.matches, Some(true));
    assert!(unknown.addresses.is_empty() && unknown.problem.is_some() && unknown.matches == Some(false));
}

#[test]
fn traps_of_names() {
    let ip = |text: &str| text.parse::<IpAddr>().unwrap();
    let check = |name: &str, expected: Option<&str>, got: &[&str], trap: Option<Trap>| {
        let asked = Expected { name: name.into(), ip: expected.map(ip) };
        let seen = names::judge(&asked, got.iter().map(|text| ip(text)).collect(), Vec::new(), None);
        assert_eq!(seen.trap, trap, "{name} {got:?}");
    };
    check("node-1", Some("10.0.0.1"), &["10.0.0.1", "10.0.0.2"], None);
    check("node-1", Some("10.0.0.1"), &["127.0.1.1"], Some(Trap::Loopback(ip("127.0.1.1"))));
    check("node-1", None, &["127.0.1.1"], Some(Trap::Loopback(ip("127.0.1.1"))));
    check("node-1", Some("127.0.0.1"), &["127.0.0.1"], None);
    check("localhost", None, &["127.0.0.1"], None);
    let (expected, other) = (ip("10.0.0.1"), ip("10.0.0.9"));
    check("node-1", Some("10.0.0.1"), &["10.0.0.9"], Some(Trap::Other { expected, got: other }));
    check(
        "node-1",
        Some("10.0.0.1"),
        &["10.0.0.9", "10.0.0.1"],
        Some(Trap::NotFirst { expected, first: other }),
    );
    check("node-1", Some("10.0.0.1"), &[], None);
}

#[test]
fn the_hosts_file() {
    let hosts = "127.0.0.1 localhost # me\n127.0.1.1\tnode-1.example.org node-1\n# 10.0.0.1 node-1\nfe80::1%lo0 node-1\nrubbish node-1\n\n";
    let found = names::in_hosts(hosts, "NODE-1");
    assert_eq!(found, ["127.0.1.1".parse::<IpAddr>().unwrap(), "fe80::1".parse().unwrap()]);
    assert_eq!(facts::fqdn("node-1", hosts).as_deref(), Some("node-1.example.org"));
    assert_eq!(facts::fqdn("node-9", hosts), None);
    assert_eq!(facts::fqdn("a.b.c", hosts).as_deref(), Some("a.b.c"));
}

const LOCALHOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
