//! What is said at the ports between servers under the name of a member that is down, and what members themselves claim
//! that is far from the others: an ensemble forms, nobody is led away from it, and no log grows with it.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use crate::edges::{Raw, framed, request};
use crate::ensemble::{Ensemble, SOON};
use crate::run::eventually;

/// A member that promised forty epochs which nobody else has heard of, and one that comes back with such a promise.
#[test]
fn an_ensemble_forms_with_a_voter_that_is_forty_epochs_ahead() {
    let mut ensemble = Ensemble::started(3);
    let leader = ensemble.leader();
    let follower = (1..=3).find(|n| *n != leader).expect("two others");
    ensemble.kill(follower);
    promise(&ensemble, follower, accepted(&ensemble, leader) + 40);
    let promised = accepted(&ensemble, follower);
    ensemble.start(follower);
    ensemble.await_serving();
    assert_beyond(&ensemble, promised);

    // None of them runs, and each has promised something else.
    (1..=3).for_each(|n| ensemble.kill(n));
    (1..=3).for_each(|n| promise(&ensemble, n, promised + 40 * n as i64));
    (1..=3).for_each(|n| ensemble.start(n));
    ensemble.await_serving();
    // Two of three are enough, and need not hear of what the third has promised.
    assert_beyond(&ensemble, promised + 80);
}

fn accepted(ensemble: &Ensemble, n: usize) -> i64 {
    let said = std::fs::read_to_string(ensemble.data(n).join("version-2/acceptedEpoch"));
    said.expect("it is written").trim().parse().expect("a number")
}

fn promise(ensemble: &Ensemble, n: usize, epoch: i64) {
    let path = ensemble.data(n).join("version-2/acceptedEpoch");
    std::fs::write(path, epoch.to_string()).expect("the directory is ours");
}

/// All go by one epoch, which is later than this one.
#[track_caller]
fn assert_beyond(ensemble: &Ensemble, epoch: i64) {
    eventually("all are in one later epoch", SOON, || {
        let all = [1, 2, 3].map(|n| accepted(ensemble, n));
        if all[0] > epoch && all.iter().all(|one| *one == all[0]) { Ok(()) } else { Err(all) }
    });
}

/// A round of an election that no counter survives, said to one that looks for a leader, under the name of one that is down.
#[test]
fn a_round_beyond_all_keeps_nobody_from_electing() {
    let mut ensemble = Ensemble::started(3);
    // The highest id, whose connections are kept; the other two go on without it, and then one of them alone.
    ensemble.kill(3);
    ensemble.await_serving();
    let leader = ensemble.leader();
    let other = 3 - leader;
    ensemble.kill(leader);
    let mut stranger = said_hello(&ensemble, other, 3, "127.0.0.1:1");
    stranger.set_read_timeout(Some(SOON)).expect("a socket has timeouts");
    let looks = |round: i64| {
        let vote = [3, 0, round, 0].map(i64::to_be_bytes).concat();
        framed(&[&0_i32.to_be_bytes()[..], &vote, &2_i32.to_be_bytes(), &framed(b"")].concat())
    };
    for _ in 0..20 {
        stranger.write_all(&looks(1 << 62)).expect("it is read");
        // Whoever is behind its round is answered, and all that was said before was heard by then.
        stranger.write_all(&looks(0)).expect("it is read");
        stranger.read_exact(&mut [0; 44]).expect("it answers");
    }
    ensemble.start(leader);
    ensemble.await_serving();
    ensemble.start(3);
    ensemble.await_serving();
    drop(stranger);
    // The round after it.
    let leader = ensemble.leader();
    ensemble.kill(leader);
    ensemble.await_serving();
}

/// Under the name of a member, of nobody who is listed, and of one above all.
#[test]
fn nobody_is_dialled_where_a_stranger_says() {
    let mut ensemble = Ensemble::started(3);
    ensemble.kill(1);
    ensemble.await_serving();
    // Of no member, and not where it is called from.
    let elsewhere = TcpListener::bind("127.0.0.78:0").expect("a free port");
    elsewhere.set_nonblocking(true).expect("a socket need not block");
    let address = elsewhere.local_addr().expect("it is bound").to_string();
    let kept: Vec<TcpStream> = [2, 3]
        .into_iter()
        .flat_map(|n| [1, 0, 77].map(|sid| said_hello(&ensemble, n, sid, &address)))
        .collect();
    // The member itself, at the same doors, behind all of these.
    ensemble.start(1);
    ensemble.await_serving();
    drop(kept);
    for n in 1..=3 {
        assert_eq!(ensemble.stop(n), 0);
    }
    let dialled = elsewhere.accept().map(|(_, from)| from);
    assert!(dialled.is_err(), "{dialled:?} dialled where it was told to");
}

/// A connection to an election port, introduced.
fn said_hello(ensemble: &Ensemble, n: usize, sid: i64, address: &str) -> TcpStream {
    let mut stream = TcpStream::connect(ensemble.election_address(n)).expect("the server listens");
    let hello = [&(-65536_i64).to_be_bytes()[..], &sid.to_be_bytes(), &framed(address.as_bytes())].concat();
    stream.write_all(&hello).expect("it is read");
    stream
}

/// Under the name of a follower that is down, in a session of somebody else's, as `super`.
#[test]
fn whoever_learns_in_a_members_name_writes_in_nobody_elses() {
    let mut ensemble = Ensemble::started(3);
    let leader = ensemble.leader();
    let follower = (1..=3).find(|n| *n != leader).expect("two others");
    ensemble.kill(follower);
    let mut owner = Raw::session(&ensemble.address(leader), 30_000);
    let nobody = [&1_i32.to_be_bytes()[..], &1_i32.to_be_bytes(), &framed(b"world"), &framed(b"anyone")];
    owner.send(&request(
        1,
        &[&framed(b"/readable")[..], &framed(b"kept"), &nobody.concat(), &[0; 4]].concat(),
    ));
    assert_eq!(&owner.reply()[12..16], &[0; 4]);

    let mut link = Link::follows(&ensemble, leader, follower);
    let session = sessions_of(&ensemble, leader);
    let set = [&framed(b"/readable")[..], &framed(b"overwritten"), &[0xff; 4]].concat();
    for session in session {
        let body = [&session.to_be_bytes()[..], &7_i32.to_be_bytes(), &5_i32.to_be_bytes(), &set].concat();
        let identities = [&1_i32.to_be_bytes()[..], &framed(b"super"), &framed(b"")].concat();
        link.send(1, -1, &body, &identities);
    }
    // The leader has read them by the time it answers this: a REVALIDATE of a session.
    link.send(6, 0, &[&1_i64.to_be_bytes()[..], &1000_i32.to_be_bytes()].concat(), &[0xff; 4]);
    let _ = link.until(6);
    // Decided behind all that was asked for before.
    owner.send(&request(1, &[&framed(b"/behind")[..], &framed(b""), &nobody.concat(), &[0; 4]].concat()));
    assert_eq!(&owner.reply()[12..16], &[0; 4]);
    owner.send(&request(4, &[&framed(b"/readable")[..], &[0]].concat()));
    assert_eq!(&owner.reply()[16..24], &framed(b"kept")[..]);
    assert!(!ensemble.logs().contains("panic"), "{}", ensemble.logs());
}

/// The sessions of a server, as its `cons` tells them.
fn sessions_of(ensemble: &Ensemble, n: usize) -> Vec<i64> {
    let text = ensemble.ask(n, "cons").expect("it serves");
    let numbers = text.split("sid=0x").skip(1).filter_map(|rest| rest.split(',').next());
    let sessions: Vec<i64> =
        numbers.filter_map(|hex| u64::from_str_radix(hex, 16).ok().map(|id| id as i64)).collect();
    assert!(!sessions.is_empty(), "{text}");
    sessions
}

/// A learner's link to a leader, by hand.
struct Link(TcpStream);

impl Link {
    /// Joins as a follower without any history, up to the leader's word that it is one.
    fn follows(ensemble: &Ensemble, leader: usize, sid: usize) -> Link {
        let stream = eventually("the member's place is free", SOON, || {
            let mut stream =
                TcpStream::connect(ensemble.quorum_address(leader)).map_err(|error| error.to_string())?;
            stream.set_read_timeout(Some(SOON)).map_err(|error| error.to_string())?;
            let info = [&(sid as i64).to_be_bytes()[..], &0x10000_i32.to_be_bytes(), &[0; 8]].concat();
            stream.write_all(&packet(11, 0, &info, &[0xff; 4])).map_err(|error| error.to_string())?;
            let kind = stream.peek(&mut [0]).map_err(|error| error.to_string())?;
            if kind == 1 { Ok(stream) } else { Err("closed".to_owned()) }
        });
        let mut link = Link(stream);
        link.until(17);
        link.send(18, -1, &(-1_i32).to_be_bytes(), &[0xff; 4]);
        link.until(15);
        // The snapshot ends with its signature; NEWLEADER follows.
        let mut seen = Vec::new();
        let mut byte = [0];
        while !seen.ends_with(b"BenWasHere") {
            link.0.read_exact(&mut byte).expect("the leader sends its tree");
            seen.push(byte[0]);
        }
        let zxid = link.until(10);
        link.send(3, zxid, &[], &[0xff; 4]);
        link.until(12);
        link
    }

    fn send(&mut self, kind: i32, zxid: i64, data: &[u8], identities: &[u8]) {
        self.0.write_all(&packet(kind, zxid, data, identities)).expect("the leader reads");
    }

    /// Reads up to a packet of this kind; its zxid.
    fn until(&mut self, wanted: i32) -> i64 {
        loop {
            let (mut kind, mut zxid) = ([0; 4], [0; 8]);
            self.0.read_exact(&mut kind).expect("a packet");
            self.0.read_exact(&mut zxid).expect("a packet");
            self.field();
            for _ in 0..2 * self.number().max(0) {
                self.field();
            }
            if i32::from_be_bytes(kind) == wanted {
                return i64::from_be_bytes(zxid);
            }
        }
    }

    fn field(&mut self) {
        let mut data = vec![0; self.number().max(0) as usize];
        self.0.read_exact(&mut data).expect("a whole packet");
    }

    fn number(&mut self) -> i32 {
        let mut number = [0; 4];
        self.0.read_exact(&mut number).expect("a whole packet");
        i32::from_be_bytes(number)
    }
}

/// A packet between servers; `identities` with their count.
fn packet(kind: i32, zxid: i64, data: &[u8], identities: &[u8]) -> Vec<u8> {
    [&kind.to_be_bytes()[..], &zxid.to_be_bytes(), &framed(data), identities].concat()
}

/// Two thousand who say what no server would say, at every port.
#[test]
fn whoever_comes_again_and_again_fills_no_log() {
    let ensemble = Ensemble::started(3);
    let leader = ensemble.leader();
    let doors =
        [ensemble.address(leader), ensemble.quorum_address(leader), ensemble.election_address(leader)];
    let size = || std::fs::metadata(ensemble.log(leader)).expect("the log is ours").len();
    let before = size();
    let mut came = 0;
    for k in 0..2000 {
        for addr in &doors {
            let Ok(mut stream) = TcpStream::connect(addr) else { continue };
            came += 1;
            let noise = [framed(&[0xee; 20]), vec![0x7f; 40], packet(11, 0, &[9; 20], &[0xff; 4])];
            let _ = stream.write_all(&noise[k % noise.len()]);
        }
    }
    assert!(came > 4000, "{came} came in");
    let after = size();
    assert!(after < before + 30_000, "{} bytes: {}", after - before, ensemble.logs());
    ensemble.await_serving();
}
