//! What strangers and careless clients do to a server's ports, on real processes: whoever comes, and however it
//! goes or stays, the server is no worse for it.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use crate::ensemble::{Ensemble, Place, SOON};
use crate::run::eventually;

/// A client that speaks without understanding: frames out, and none in unless it is asked to.
pub(crate) struct Raw {
    pub(crate) stream: TcpStream,
}

impl Raw {
    /// A session of `timeout_ms`, its answer read.
    pub(crate) fn session(addr: &str, timeout_ms: i32) -> Raw {
        let mut raw = Raw { stream: TcpStream::connect(addr).expect("the server listens") };
        raw.stream.set_read_timeout(Some(SOON)).expect("a socket has timeouts");
        let password = [&16_i32.to_be_bytes()[..], &[0; 16]].concat();
        // Protocol version, last zxid, timeout, session, password, read-only.
        raw.send(&[&[0; 12][..], &timeout_ms.to_be_bytes(), &[0; 8], &password, &[0]].concat());
        raw.reply();
        raw
    }

    pub(crate) fn send(&mut self, body: &[u8]) {
        self.stream.write_all(&framed(body)).expect("the server reads");
    }

    pub(crate) fn reply(&mut self) -> Vec<u8> {
        let mut len = [0; 4];
        self.stream.read_exact(&mut len).expect("a reply");
        let mut body = vec![0; i32::from_be_bytes(len) as usize];
        self.stream.read_exact(&mut body).expect("a whole reply");
        body
    }
}

pub(crate) fn framed(body: &[u8]) -> Vec<u8> {
    [&(body.len() as i32).to_be_bytes(), body].concat()
}

/// A request's header: a number of the client's choice, and what it wants.
pub(crate) fn request(op: i32, body: &[u8]) -> Vec<u8> {
    [&1_i32.to_be_bytes(), &op.to_be_bytes(), body].concat()
}

fn open_files(ensemble: &Ensemble, n: usize) -> usize {
    let pid = ensemble.pid(n).expect("it runs");
    std::fs::read_dir(format!("/proc/{pid}/fd")).expect("its process is ours").count()
}

/// Makes a node of a megabyte; who made it, and its path as requests have it.
pub(crate) fn big_node(addr: &str) -> (Raw, Vec<u8>) {
    let mut owner = Raw::session(addr, 60_000);
    let path = framed(b"/big");
    let open_acl = [&1_i32.to_be_bytes()[..], &31_i32.to_be_bytes(), &framed(b"world"), &framed(b"anyone")];
    let create = [&path, &framed(&[b'x'; 1_000_000]), &open_acl.concat(), &[0; 4][..]].concat();
    owner.send(&request(1, &create));
    owner.reply();
    (owner, path)
}

fn await_open_files(ensemble: &Ensemble, n: usize, most: usize) {
    eventually(&format!("server {n} has no more than {most} files open"), SOON, || {
        let open = open_files(ensemble, n);
        if open <= most { Ok(()) } else { Err(open) }
    });
}

#[test]
fn sessions_that_end_here_and_are_not_read_there_leave_nothing_behind() {
    let ensemble = Ensemble::started(1);
    let addr = ensemble.address(1);
    let (_owner, path) = big_node(&addr);
    let before = open_files(&ensemble, 1);
    // Each asks for far more than the sockets between hold, and then neither reads nor pings.
    let get = framed(&request(4, &[&path[..], &[0]].concat()));
    let mute: Vec<Raw> = (0..10)
        .map(|_| {
            let mut raw = Raw::session(&addr, 2000);
            raw.stream.write_all(&get.repeat(30)).expect("thirty requests are a kilobyte");
            raw
        })
        .collect();
    assert_eq!(open_files(&ensemble, 1), before + mute.len());
    await_open_files(&ensemble, 1, before);
    drop(mute);
}

#[test]
fn who_does_not_ask_for_a_session_in_time_is_closed_however_much_it_has_said() {
    let ensemble = Ensemble::started(1);
    let length = 44_i32.to_be_bytes();
    let slow = [&[][..], &length, &[&length[..], &[0; 20]].concat()].map(|said| {
        let mut stream = TcpStream::connect(ensemble.address(1)).expect("the server listens");
        stream.set_read_timeout(Some(SOON)).expect("a socket has timeouts");
        stream.write_all(said).expect("the server reads");
        (said.len(), stream)
    });
    for (len, mut stream) in slow {
        assert_eq!(stream.read(&mut [0]).ok(), Some(0), "{len} bytes and then silence");
    }
}

#[test]
fn nothing_is_outstanding_once_those_who_asked_are_gone() {
    let ensemble = Ensemble::started(1);
    for _ in 0..20 {
        let mut raw = Raw::session(&ensemble.address(1), 4000);
        let write = framed(&request(5, &[&framed(b"/none")[..], &framed(b"x"), &[0xff; 4]].concat()));
        raw.stream.write_all(&write.repeat(500)).expect("it is read");
    }
    eventually("nothing is outstanding", SOON, || {
        let text = ensemble.ask(1, "srvr").unwrap_or_default();
        if text.contains("Outstanding: 0\n") && text.contains("Connections: 0\n") {
            Ok(())
        } else {
            Err(text)
        }
    });
}

#[test]
fn answers_that_are_not_read_cost_no_memory_and_all_come_when_they_are() {
    let ensemble = Ensemble::started(1);
    let addr = ensemble.address(1);
    let (_owner, path) = big_node(&addr);
    let before = peak_mib(&ensemble, 1);
    let get = framed(&request(4, &[&path[..], &[0]].concat()));
    let mut greedy: Vec<Raw> = (0..4).map(|_| Raw::session(&addr, 30_000)).collect();
    for raw in &mut greedy {
        raw.stream.write_all(&get.repeat(500)).expect("500 requests are a few kilobytes");
    }
    // It is served beside them.
    Raw::session(&addr, 4000);
    for _ in 0..500 {
        assert_eq!(greedy[0].reply().len(), 16 + 4 + 1_000_000 + 68, "header, data, stat");
    }
    let after = peak_mib(&ensemble, 1);
    assert!(after < before + 60, "two gigabytes of answers: from {before} to {after} MiB");
}

#[test]
fn a_multi_read_of_gigabytes_is_refused_and_costs_no_memory() {
    let ensemble = Ensemble::started(1);
    let addr = ensemble.address(1);
    let (_owner, path) = big_node(&addr);
    let before = peak_mib(&ensemble, 1);
    let get = [&4_i32.to_be_bytes()[..], &[0], &[0xff; 4], &path, &[0]].concat();
    let end = [&[0xff; 4][..], &[1], &[0xff; 4]].concat();
    let mut raw = Raw::session(&addr, 30_000);
    raw.send(&request(22, &[get.repeat(40_000), end].concat()));
    let reply = raw.reply();
    assert_eq!((reply.len(), &reply[12..]), (16, &(-5_i32).to_be_bytes()[..]), "a header that says no");
    let after = peak_mib(&ensemble, 1);
    assert!(after < before + 60, "from {before} to {after} MiB");
}

#[test]
fn who_comes_to_the_quorum_port_and_goes_leaves_nothing_behind() {
    let ensemble = Ensemble::started(3);
    // Fewer than may be there without a word (32): more make room for each other at once. On a busy machine the first
    // leader may give way meanwhile, and its port closes with all who came.
    let (leader, before, strangers) = eventually("they are all let in", 2 * SOON, || {
        let leader = ensemble.leader();
        let before = open_files(&ensemble, leader);
        let addr = ensemble.quorum_address(leader);
        let strangers = (0..24).map(|_| TcpStream::connect(&addr)).collect::<Result<Vec<_>, _>>();
        let strangers = strangers.map_err(|error| error.to_string())?;
        let end = Instant::now() + Duration::from_secs(10);
        while open_files(&ensemble, leader) < before + strangers.len() {
            if Instant::now() > end {
                let open = open_files(&ensemble, leader);
                // Else the next attempt would count these among those that were there before.
                drop(strangers);
                await_open_files(&ensemble, leader, before + 5);
                return Err(format!("{open} files are open, {before} were before"));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok((leader, before, strangers))
    });
    drop(strangers);
    // Connections between members may come and go meanwhile.
    await_open_files(&ensemble, leader, before + 5);
}

#[test]
fn a_stranger_that_asks_the_election_port_and_reads_nothing_costs_no_memory() {
    let ensemble = Ensemble::started(3);
    let mut stranger = TcpStream::connect(ensemble.election_address(1)).expect("the server listens");
    // Its id is higher than all: its connection is kept.
    let hello = [&(-65536_i64).to_be_bytes()[..], &1000_i64.to_be_bytes(), &framed(b"127.0.0.1:1")].concat();
    stranger.write_all(&hello).expect("it is read");
    let looking = [&0_i32.to_be_bytes()[..], &1000_i64.to_be_bytes(), &[0; 8], &1_i64.to_be_bytes(), &[0; 8]];
    let notification = framed(&[&looking.concat()[..], &2_i32.to_be_bytes(), &framed(b"")].concat());
    let before = resident_mib(&ensemble, 1);
    let thousand = notification.repeat(1000);
    for _ in 0..500 {
        stranger.write_all(&thousand).expect("it is read");
    }
    let after = resident_mib(&ensemble, 1);
    assert!(after < before + 40, "half a million questions: from {before} to {after} MiB");
}

#[test]
fn without_an_address_clients_of_both_families_are_served() {
    let mut ensemble = Ensemble::new(1, 0, "");
    let config = std::fs::read_to_string(ensemble.config(1)).expect("it is written");
    let lines = config.lines().filter(|line| !line.starts_with("clientPortAddress"));
    std::fs::write(ensemble.config(1), lines.collect::<Vec<_>>().join("\n")).expect("the directory is ours");
    ensemble.start(1);
    ensemble.await_serving();
    let port = ensemble.client_port(1);
    let _kept = Raw::session(&format!("[::1]:{port}"), 30_000);
    let _too = Raw::session(&format!("127.0.0.1:{port}"), 30_000);
    let clients = ensemble.ask(1, "cons").expect("it serves");
    assert!(clients.contains("/127.0.0.1:") && !clients.contains("ffff:"), "IPv4 is called so: {clients}");
}

#[test]
fn an_ensemble_of_ipv6_addresses_forms_also_when_it_listens_everywhere() {
    let ports = Ensemble::new(3, 0, "");
    let places = [1, 2, 3].map(|n| {
        let port = |addr: String| addr.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
        Place {
            host: "[::1]".to_owned(),
            client_port: ports.client_port(n),
            quorum_port: port(ports.quorum_address(n)).expect("a port"),
            election_port: port(ports.election_address(n)).expect("a port"),
        }
    });
    for everywhere in [false, true] {
        let settings = format!("tickTime=500\ninitLimit=20\nsyncLimit=10\nquorumListenOnAllIPs={everywhere}");
        let mut ensemble = Ensemble::at(&places, 0, &settings);
        (1..=3).for_each(|n| ensemble.start(n));
        ensemble.await_serving();
    }
}

#[test]
fn ports_that_others_hold_are_told_of_and_taken_when_they_are_free() {
    let mut ensemble = Ensemble::new(3, 0, "");
    let held = [ensemble.election_address(3), ensemble.quorum_address(3), ensemble.address(2)]
        .map(|addr| TcpListener::bind(addr).expect("nobody has it"));
    ensemble.start(3);
    await_line(&ensemble, 3, "cannot open the election port");
    await_line(&ensemble, 3, "is not reached");
    ensemble.start(2);
    await_line(&ensemble, 2, "cannot open the client port");
    await_line(&ensemble, 3, "cannot open the quorum port");
    drop(held);
    ensemble.await_serving();
    await_line(&ensemble, 2, "the client port is open now");
    ensemble.start(1);
    ensemble.await_serving();
}

#[test]
fn a_server_waits_for_its_own_name_and_says_so() {
    let mut ensemble = Ensemble::new(1, 0, "");
    let config = std::fs::read_to_string(ensemble.config(1)).expect("it is written");
    let config = config.replace("clientPortAddress=127.0.0.1", "clientPortAddress=zk-of-later.invalid");
    std::fs::write(ensemble.config(1), config).expect("the directory is ours");
    ensemble.start(1);
    await_line(&ensemble, 1, "zk-of-later.invalid of zoo.cfg has no address here");
    assert!(ensemble.ended(1).is_none(), "it goes on waiting");
}

pub(crate) fn await_line(ensemble: &Ensemble, n: usize, text: &str) {
    eventually(&format!("server {n} says {text:?}"), SOON, || {
        let log = std::fs::read_to_string(ensemble.log(n)).unwrap_or_default();
        if log.contains(text) { Ok(()) } else { Err(log) }
    });
}

fn resident_mib(ensemble: &Ensemble, n: usize) -> u64 {
    memory_mib(ensemble, n, "VmRSS:")
}

/// The most that a server has ever held.
pub(crate) fn peak_mib(ensemble: &Ensemble, n: usize) -> u64 {
    memory_mib(ensemble, n, "VmHWM:")
}

fn memory_mib(ensemble: &Ensemble, n: usize, figure: &str) -> u64 {
    let pid = ensemble.pid(n).expect("it runs");
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("its process is ours");
    let kib =
        status.lines().find_map(|line| line.strip_prefix(figure)?.strip_suffix("kB")?.trim().parse().ok());
    kib.unwrap_or(0_u64) / 1024
}
