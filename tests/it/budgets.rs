//! What greedy clients and small limits cost, on real processes: whoever fills a budget waits or is closed, the
//! server's memory is bounded, and everybody else is served.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::edges::{Raw, await_line, big_node, framed, peak_mib, request};
use crate::ensemble::{Ensemble, SOON};
use crate::run::{eventually, figure};

/// A client that writes what it is given again and again for a while, and reads all answers.
fn pump(addr: &str, frames: Vec<u8>, lasts: Duration) -> std::thread::JoinHandle<()> {
    let addr = addr.to_owned();
    std::thread::spawn(move || {
        let raw = Raw::session(&addr, 30_000);
        let mut reads = raw.stream.try_clone().expect("a socket can be shared");
        std::thread::spawn(move || {
            let mut buffer = vec![0; 1 << 20];
            while reads.read(&mut buffer).is_ok_and(|len| len > 0) {}
        });
        let mut writes = raw.stream;
        writes.set_write_timeout(Some(Duration::from_millis(500))).expect("a socket has timeouts");
        let end = Instant::now() + lasts;
        while Instant::now() < end {
            // Whoever is not read waits: that is the point.
            let _ = writes.write(&frames);
        }
        let _ = writes.shutdown(std::net::Shutdown::Both);
    })
}

/// How long its answer took; panics where the session has ended.
fn ping(raw: &mut Raw) -> Duration {
    let since = Instant::now();
    raw.send(&[&(-2_i32).to_be_bytes()[..], &11_i32.to_be_bytes()].concat());
    raw.reply();
    since.elapsed()
}

#[test]
fn writes_without_end_cost_a_bounded_memory_wherever_they_come_in() {
    let ensemble = Ensemble::started(3);
    let leader = ensemble.leader();
    let follower = (1..=3).find(|n| *n != leader).expect("two others");
    assert_writes_are_bounded(&ensemble, &[follower, follower, leader, leader]);
    assert_eq!(ensemble.leader(), leader, "nobody was too slow for the others");
    assert_writes_are_bounded(&Ensemble::started(1), &[1, 1, 1]);
}

/// Clients write megabytes through these servers without reading an answer; another one is served beside them.
fn assert_writes_are_bounded(ensemble: &Ensemble, through: &[usize]) {
    big_node(&ensemble.address(through[0]));
    let peaks = || (1..=ensemble.len()).map(|n| peak_mib(ensemble, n)).collect::<Vec<_>>();
    let before = peaks();
    let write =
        framed(&request(5, &[&framed(b"/big")[..], &framed(&[b'z'; 1_000_000]), &[0xff; 4]].concat()));
    let lasts = Duration::from_secs(6);
    let pumps: Vec<_> = through.iter().map(|n| pump(&ensemble.address(*n), write.clone(), lasts)).collect();
    let mut honest = Raw::session(&ensemble.address(through[0]), 10_000);
    let end = Instant::now() + lasts;
    while Instant::now() < end {
        ping(&mut honest);
        std::thread::sleep(Duration::from_millis(100));
    }
    pumps.into_iter().for_each(|pump| pump.join().expect("no panic"));
    let after = peaks();
    let is_bounded = |(before, after): (&u64, &u64)| *after < before + 300;
    assert!(before.iter().zip(&after).all(is_bounded), "{before:?} to {after:?} MiB");
}

/// What a path costs grows with its length, not with its square; and 64 frames of a megabyte before there is a session.
#[test]
fn paths_of_a_megabyte_and_frames_before_a_session_keep_nobody_waiting() {
    let ensemble = Ensemble::started(3);
    let leader = ensemble.leader();
    let follower = (1..=3).find(|n| *n != leader).expect("two others");
    let mut honest = Raw::session(&ensemble.address(follower), 4000);
    let before = [1, 2, 3].map(|n| peak_mib(&ensemble, n));
    for n in [follower, leader] {
        let mut client = Raw::session(&ensemble.address(n), 10_000);
        for len in [260_000, 520_000] {
            let path = framed("/a".repeat(len / 2).as_bytes());
            for (op, rest) in [(5, [&framed(b"x")[..], &[0xff; 4]].concat()), (3, vec![1])] {
                client.send(&request(op, &[&path[..], &rest].concat()));
                assert_eq!(&client.reply()[12..16], &(-101_i32).to_be_bytes(), "there is no such node");
                ping(&mut honest);
            }
        }
    }
    let mut early = TcpStream::connect(ensemble.address(follower)).expect("the server listens");
    early.set_write_timeout(Some(SOON)).expect("a socket has timeouts");
    let password = [&16_i32.to_be_bytes()[..], &[0; 16]].concat();
    let connect = [&[0; 12][..], &30_000_i32.to_be_bytes(), &[0; 8], &password, &[0]].concat();
    early.write_all(&framed(&connect)).expect("the server reads");
    let ping_of_a_megabyte = framed(&request(11, &[0; 1_000_000]));
    for _ in 0..64 {
        // Whoever is too many is closed.
        let _ = early.write_all(&ping_of_a_megabyte);
    }
    ping(&mut honest);
    let after = [1, 2, 3].map(|n| peak_mib(&ensemble, n));
    assert!(
        before.iter().zip(&after).all(|(before, after)| *after < before + 60),
        "{before:?} to {after:?} MiB"
    );
    assert_eq!(ensemble.leader(), leader, "nobody was too slow for the others");
}

#[test]
fn whoever_is_too_many_people_ends_nobody_s_connection_but_its_own() {
    let ensemble = Ensemble::started(3);
    let leader = ensemble.leader();
    let follower = (1..=3).find(|n| *n != leader).expect("two others");
    let mut bystander = Raw::session(&ensemble.address(follower), 10_000);
    for (count, name) in [(1100, "u".to_owned()), (5, "u".repeat(900_000))] {
        let mut crowd = Raw::session(&ensemble.address(follower), 10_000);
        for i in 0..count {
            let who = framed(format!("{name}{i}:p").as_bytes());
            let auth =
                [&(-4_i32).to_be_bytes()[..], &100_i32.to_be_bytes(), &[0; 4], &framed(b"digest"), &who];
            if crowd.stream.write_all(&framed(&auth.concat())).is_err() {
                break;
            }
        }
        // A write that would carry them all to the leader.
        let _ = crowd.stream.write_all(&framed(&request(2, &[&framed(b"/none")[..], &[0xff; 4]].concat())));
        let mut rest = Vec::new();
        let _ = crowd.stream.read_to_end(&mut rest);
        ping(&mut bystander);
    }
    assert_eq!((ensemble.leader(), ensemble.mode(follower).as_deref()), (leader, Some("follower")));
    let log = std::fs::read_to_string(ensemble.log(leader)).expect("the log is ours");
    assert!(!log.contains("its connection is closed"), "{log}");
}

#[test]
fn pings_do_not_wait_behind_the_reads_of_others_and_watches_have_an_end() {
    let ensemble = Ensemble::started(1);
    let addr = ensemble.address(1);
    // A session that waits for its turn behind all of them ends.
    let mut honest = Raw::session(&addr, 4000);
    let exists = framed(&request(3, &[&framed(b"/nope")[..], &[0]].concat()));
    let lasts = Duration::from_secs(5);
    let pumps: Vec<_> = (0..10).map(|_| pump(&addr, exists.repeat(3000), lasts)).collect();
    let end = Instant::now() + lasts;
    let mut slowest = Duration::ZERO;
    while Instant::now() < end {
        slowest = slowest.max(ping(&mut honest));
        std::thread::sleep(Duration::from_millis(100));
    }
    pumps.into_iter().for_each(|pump| pump.join().expect("no panic"));
    figure("budgets: the slowest ping beside ten clients that pipeline reads", format!("{slowest:.1?}"));

    let before = peak_mib(&ensemble, 1);
    let mut watcher = Raw::session(&addr, 30_000);
    let mut reads = watcher.stream.try_clone().expect("a socket can be shared");
    let reader = std::thread::spawn(move || reads.read_to_end(&mut Vec::new()).map(drop));
    let long = "x".repeat(100_000);
    for i in 0..2000 {
        let path = framed(format!("/{long}{i}").as_bytes());
        if watcher.stream.write_all(&framed(&request(3, &[&path[..], &[1]].concat()))).is_err() {
            break;
        }
    }
    let _ = reader.join().expect("no panic");
    let after = peak_mib(&ensemble, 1);
    assert!(after < before + 120, "watches of 200 MB: from {before} to {after} MiB");
    ping(&mut Raw::session(&addr, 4000));
}

/// Each of them stays below what one connection may leave unread, or unfinished.
#[test]
fn many_who_do_not_read_or_do_not_finish_hold_no_more_than_a_few_would() {
    let mut ensemble = Ensemble::new(1, 0, "maxClientCnxns=0");
    ensemble.start(1);
    ensemble.await_serving();
    let addr = ensemble.address(1);
    let (mut honest, big) = big_node(&addr);
    let before = peak_mib(&ensemble, 1);
    let get = request(4, &[&big[..], &[0]].concat());
    let write = framed(&request(5, &[&big[..], &framed(&[b'z'; 1_000_000]), &[0xff; 4]].concat()));
    let say = |said: &[u8]| {
        let mut raw = Raw::session(&addr, 30_000);
        raw.stream.set_write_timeout(Some(Duration::from_millis(200))).expect("a socket has timeouts");
        // What the sockets between do not take, either, is not said.
        let _ = raw.stream.write(said);
        raw
    };
    let slow: Vec<Raw> = (0..300).map(|_| say(&write[..950_000])).collect();
    for _ in 0..20 {
        honest.stream.write_all(&write).expect("the server reads");
        assert_eq!(&honest.reply()[12..16], &[0; 4]);
    }
    drop(slow);
    let after_slow = peak_mib(&ensemble, 1);
    let deaf: Vec<Raw> = (0..300).map(|_| say(&framed(&get).repeat(12))).collect();
    for _ in 0..20 {
        honest.send(&get);
        assert!(honest.reply().len() > 1_000_000);
    }
    drop(deaf);
    let after = peak_mib(&ensemble, 1);
    figure(
        "300 who do not finish, then 300 who do not read: peak memory, MiB",
        format!("{before}, {after_slow}, {after}"),
    );
    // It was 270 and 1,100 more. The budgets come to 64 MiB of frames and 80 MiB of answers; a buffer that grows has room
    // for as much again, and what the first part of this took is in the peak of the second.
    assert!(after_slow < before + 2 * 64 + 64, "from {before} to {after_slow} MiB");
    assert!(after < before + 2 * (64 + 80) + 64, "from {before} to {after} MiB");
}

/// `globalOutstandingLimit`, where all that wait belong to one client: it waits for one answer, and sees which one is too many.
#[test]
fn requests_that_wait_for_their_answers_are_bounded() {
    const WRITES: usize = 3000;
    let ensemble = Ensemble::cramped(1, "globalOutstandingLimit=1");
    let mut owner = Raw::session(&ensemble.address(1), 30_000);
    let open_acl = [&1_i32.to_be_bytes()[..], &31_i32.to_be_bytes(), &framed(b"world"), &framed(b"anyone")];
    let create = [&framed(b"/n")[..], &framed(b""), &open_acl.concat(), &2_i32.to_be_bytes()].concat();
    owner.stream.write_all(&framed(&request(1, &create)).repeat(WRITES)).expect("the server reads");
    let answers = std::thread::spawn(move || {
        for _ in 0..WRITES {
            assert_eq!(&owner.reply()[12..16], &[0; 4]);
        }
    });
    let mut most = 0;
    while !answers.is_finished() {
        let told = ensemble.ask(1, "mntr").expect("it serves");
        let waiting = told.lines().find_map(|line| line.strip_prefix("zk_outstanding_requests"));
        most = most.max(waiting.and_then(|count| count.trim().parse().ok()).expect("mntr tells it"));
    }
    answers.join().expect("all are answered");
    assert!(most <= 2, "{most} waited at once");
}

#[test]
fn connections_leave_descriptors_for_the_log_and_the_members() {
    let mut ensemble = Ensemble::cramped(3, "snapCount=50\nmaxClientCnxns=0");
    let leader = ensemble.leader();
    let mut owner = Raw::session(&ensemble.address(leader), 30_000);
    let doors =
        [ensemble.address(leader), ensemble.quorum_address(leader), ensemble.election_address(leader)];
    let strangers: Vec<TcpStream> = doors
        .iter()
        .flat_map(|addr| (0..200).filter_map(move |_| TcpStream::connect(addr).ok()))
        .filter_map(|mut stream| stream.write_all(&[0, 0, 0, 44]).map(|()| stream).ok())
        .collect();
    await_line(&ensemble, leader, "every descriptor for a client's connection is taken");
    // Logs roll, snapshots are taken, and a member comes back.
    let follower = (1..=3).find(|n| *n != leader).expect("two others");
    ensemble.kill(follower);
    let open_acl = [&1_i32.to_be_bytes()[..], &31_i32.to_be_bytes(), &framed(b"world"), &framed(b"anyone")];
    let create = [&framed(b"/n")[..], &framed(b""), &open_acl.concat(), &2_i32.to_be_bytes()].concat();
    for _ in 0..300 {
        owner.send(&request(1, &create));
        assert_eq!(&owner.reply()[12..16], &[0; 4]);
    }
    ensemble.start(follower);
    eventually("the follower is back", SOON, || {
        if ensemble.mode(follower).is_some() { Ok(()) } else { Err(ensemble.logs()) }
    });
    drop(strangers);
    eventually("clients come in again", SOON, || ensemble.mode(leader).ok_or("not yet"));
    assert_eq!(ensemble.ended(leader), None);
}

#[test]
fn a_snapshot_that_cannot_be_written_is_told_and_a_log_that_cannot_be_is_a_clear_stop() {
    let mut ensemble = Ensemble::new(1, 0, "snapCount=20");
    ensemble.start(1);
    ensemble.await_serving();
    let mut owner = Raw::session(&ensemble.address(1), 30_000);
    let open_acl = [&1_i32.to_be_bytes()[..], &31_i32.to_be_bytes(), &framed(b"world"), &framed(b"anyone")];
    let create = |data: &[u8]| {
        let body = [&framed(b"/n")[..], &framed(data), &open_acl.concat(), &2_i32.to_be_bytes()].concat();
        request(1, &body)
    };
    let write = |owner: &mut Raw, count: usize, size: usize| {
        for _ in 0..count {
            owner.send(&create(&vec![b'x'; size]));
            assert_eq!(&owner.reply()[12..16], &[0; 4]);
        }
    };
    write(&mut owner, 300, 40_000);
    assert_eq!(ensemble.stop(1), 0);
    // A file may have eight megabytes: what these nodes take in a snapshot is more, and the log behind them begins anew.
    ensemble.start_limited(1, "ulimit -f 16384");
    ensemble.await_serving();
    owner = Raw::session(&ensemble.address(1), 30_000);
    write(&mut owner, 60, 100);
    await_line(&ensemble, 1, "could not be written");
    await_line(&ensemble, 1, "It is tried again in 60 s");
    ping(&mut owner);
    // More than a log file may have, also where one is begun meanwhile.
    for _ in 0..24 {
        let _ = owner.stream.write_all(&framed(&create(&[b'x'; 1_000_000])));
    }
    assert_eq!(ensemble.await_end(1), 1, "no signal, and no success");
    await_line(&ensemble, 1, "File too large");
}

/// A list of thousands of entries, a client that is hundreds of people, one that owns thousands of ephemerals: none of them
/// multiplies what another asks for.
#[test]
fn long_lists_many_people_and_many_ephemerals_keep_nobody_waiting() {
    let ensemble = Ensemble::started(3);
    let leader = ensemble.leader();
    let addr = ensemble.address(leader);
    let over = Arc::new(AtomicBool::new(false));
    let honest = {
        let (addr, over) = (addr.clone(), over.clone());
        std::thread::spawn(move || {
            let mut honest = Raw::session(&addr, 4000);
            while !over.load(Ordering::Relaxed) {
                ping(&mut honest);
                std::thread::sleep(Duration::from_millis(100));
            }
        })
    };
    let before = peak_mib(&ensemble, leader);
    let mut greedy = Raw::session(&addr, 60_000);
    let acl = |perms: i32, scheme: &str, id: &str| {
        [&perms.to_be_bytes()[..], &framed(scheme.as_bytes()), &framed(id.as_bytes())].concat()
    };
    // Who may read stands last.
    let mut list: Vec<Vec<u8>> = (0..28_000).map(|i| acl(1, "digest", &format!("u{i}:x"))).collect();
    list.push(acl(31, "world", "anyone"));
    let list = [&(list.len() as i32).to_be_bytes()[..], &list.concat()].concat();
    greedy.send(&request(1, &[&framed(b"/acl")[..], &framed(b""), &list, &[0; 4]].concat()));
    assert_eq!(&greedy.reply()[12..16], &[0; 4]);
    // Reads of it, in one request.
    let part = |op: i32, body: &[u8]| [&op.to_be_bytes()[..], &[0], &[0xff; 4], body].concat();
    let end = [&[0xff; 4][..], &[1], &[0xff; 4]].concat();
    let get = part(4, &[&framed(b"/acl")[..], &[0]].concat());
    greedy.send(&request(22, &[get.repeat(30_000), end.clone()].concat()));
    greedy.reply();
    // Changes of it, watched by many.
    let watchers: Vec<Raw> = (0..40)
        .map(|_| {
            let mut watcher = Raw::session(&addr, 60_000);
            watcher.send(&request(106, &[&framed(b"/acl")[..], &1_i32.to_be_bytes()].concat()));
            assert_eq!(&watcher.reply()[12..16], &[0; 4], "a watch that stays");
            watcher
        })
        .collect();
    let set = part(5, &[&framed(b"/acl")[..], &framed(b"x"), &[0xff; 4]].concat());
    greedy.send(&request(14, &[set.repeat(1000), end.clone()].concat()));
    assert_eq!(&greedy.reply()[12..16], &[0; 4]);
    drop(watchers);
    // Ephemerals of one session, asked for again and again.
    let open_acl = [&1_i32.to_be_bytes()[..], &acl(31, "world", "anyone")].concat();
    let create = |path: &str, list: &[u8], flags: i32| {
        [&framed(path.as_bytes())[..], &framed(b""), list, &flags.to_be_bytes()].concat()
    };
    for at in (0..20_000).step_by(1000) {
        let creates = (at..at + 1000).map(|i| part(1, &create(&format!("/e{i}"), &open_acl, 1)));
        greedy.send(&request(14, &[creates.collect::<Vec<_>>().concat(), end.clone()].concat()));
        assert_eq!(&greedy.reply()[12..16], &[0; 4]);
    }
    let ephemerals = framed(&request(103, &framed(b"/none")));
    greedy.stream.write_all(&ephemerals.repeat(1500)).expect("the server reads");
    (0..1500).for_each(|_| assert_eq!(&greedy.reply()[12..16], &[0; 4]));
    // Many people, each of whom every node is to belong to.
    for i in 0..200 {
        let who = framed(format!("person-{i}:pw").as_bytes());
        greedy.send(
            &[&(-4_i32).to_be_bytes()[..], &100_i32.to_be_bytes(), &[0; 4], &framed(b"digest"), &who]
                .concat(),
        );
        assert_eq!(&greedy.reply()[12..16], &[0; 4]);
    }
    let auth = [&1_i32.to_be_bytes()[..], &acl(31, "auth", "")].concat();
    let creates = (0..15_000).map(|i| part(1, &create(&format!("/p{i}"), &auth, 0)));
    greedy.send(&request(14, &[creates.collect::<Vec<_>>().concat(), end].concat()));
    assert_eq!(&greedy.reply()[12..16], &(-5_i32).to_be_bytes(), "no peer could read what it becomes");
    over.store(true, Ordering::Relaxed);
    honest.join().expect("its session lives");
    let after = peak_mib(&ensemble, leader);
    assert!(after < before + 150, "from {before} to {after} MiB");
    assert_eq!(ensemble.leader(), leader, "nobody was too slow for the others");
}

/// Who asks for a word and does not read its answer is no session, and costs none its connection.
#[test]
fn words_whose_answers_nobody_reads_close_no_session() {
    let ensemble = Ensemble::started(1);
    let addr = ensemble.address(1);
    let mut owner = Raw::session(&addr, 60_000);
    let open_acl =
        [&1_i32.to_be_bytes()[..], &31_i32.to_be_bytes(), &framed(b"world"), &framed(b"anyone")].concat();
    let long = "x".repeat(3000);
    for at in (0..9000).step_by(300) {
        let create = |i: usize| {
            let path = framed(format!("/{long}{i}").as_bytes());
            let body = [&path[..], &framed(b""), &open_acl, &1_i32.to_be_bytes()].concat();
            [&1_i32.to_be_bytes()[..], &[0], &[0xff; 4], &body].concat()
        };
        let end = [&[0xff; 4][..], &[1], &[0xff; 4]].concat();
        owner.send(&request(14, &[(at..at + 300).map(create).collect::<Vec<_>>().concat(), end].concat()));
        assert_eq!(&owner.reply()[12..16], &[0; 4]);
    }
    // Each is 27 MB.
    let before = peak_mib(&ensemble, 1);
    let deaf: Vec<TcpStream> = (0..12)
        .map(|_| {
            let mut stream = TcpStream::connect(&addr).expect("the server listens");
            stream.write_all(b"dump").expect("the server reads");
            stream.set_nonblocking(true).expect("a socket need not block");
            stream
        })
        .collect();
    // The budget is used up when some of them are let go unanswered; sessions, and who asks how the server is, are served.
    eventually("somebody is not answered", SOON, || {
        ping(&mut owner);
        let is_let_go = |mut stream: &TcpStream| matches!(stream.read(&mut [0; 1]), Ok(0));
        if deaf.iter().any(is_let_go) { Ok(()) } else { Err("all wait") }
    });
    let answer = |word| ensemble.ask(1, word).unwrap_or_default();
    assert!(answer("srvr").contains("Mode: standalone"), "{}", answer("srvr"));
    assert!(answer("mntr").contains("zk_server_state"), "{}", answer("mntr"));
    ping(&mut owner);
    drop(deaf);
    let after = peak_mib(&ensemble, 1);
    assert!(after < before + 300, "from {before} to {after} MiB");
}
