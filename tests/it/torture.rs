//! Three servers with a normal workload, and beside it all that strangers and greedy clients can do at their ports: no
//! election, no session lost, no honest request refused, a bounded memory. A minute as a rule; ten minutes, and more of
//! everything, with `ZKOPS_LONG=1`. What honest answers took is printed beside what they take without such company.
//!
//! No time is a criterion: limits and timeouts are those of a patient ensemble, so that a busy machine passes.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use fastrand::Rng;

use crate::edges::{Raw, big_node, framed, peak_mib, request};
use crate::ensemble::{Ensemble, SOON};
use crate::run::{eventually, figure};

/// How long, and how much of everything.
struct Scale {
    znodes: usize,
    quiet: Duration,
    torture: Duration,
    /// Connections that say nothing, at all ports together. Those that are closed come again.
    silent: usize,
    /// Clients that fill a budget nearly.
    nearly: usize,
}

impl Scale {
    fn chosen() -> Scale {
        let seconds = Duration::from_secs;
        if std::env::var_os("ZKOPS_LONG").is_some() {
            let (quiet, torture) = (seconds(60), seconds(540));
            return Scale { znodes: 100_000, quiet, torture, silent: 5000, nearly: 400 };
        }
        let (quiet, torture) = (seconds(5), seconds(55));
        Scale { znodes: 10_000, quiet, torture, silent: 600, nearly: 60 }
    }
}

#[test]
fn nothing_that_reaches_a_port_hurts() {
    let scale = Scale::chosen();
    let patient = "tickTime=2000\nmaxClientCnxns=0\nmaxSessionTimeout=60000";
    let mut ensemble = Ensemble::new(3, 0, patient);
    (1..=3).for_each(|n| ensemble.start(n));
    ensemble.await_serving();
    let leader = ensemble.leader();
    big_node(&ensemble.address(leader));
    fill(&ensemble.address(leader), scale.znodes);

    let quiet = honest(&ensemble, scale.quiet);
    let before = [1, 2, 3].map(|n| peak_mib(&ensemble, n));
    let reign = epochs(&ensemble);
    let over = Arc::new(AtomicBool::new(false));
    let mut company = strangers(&ensemble, &over);
    company.extend(greedy(&ensemble, scale.nearly, &over));
    company.push(silent(&ensemble, scale.silent, &over));
    let tortured = honest(&ensemble, scale.torture);
    let after = [1, 2, 3].map(|n| peak_mib(&ensemble, n));
    over.store(true, Ordering::Relaxed);
    company.into_iter().for_each(|one| one.join().expect("no panic"));

    figure("torture: honest answers without company", &quiet);
    figure("torture: honest answers amid it", &tortured);
    figure("torture: peak memory before and after, MiB", format!("{before:?} and {after:?}"));
    assert_eq!(epochs(&ensemble), reign, "an election: {}", ensemble.logs());
    assert_eq!(ensemble.leader(), leader, "an election: {}", ensemble.logs());
    let is_bounded = |(before, after): (&u64, &u64)| *after <= before + GROWTH_MIB_MAX;
    assert!(before.iter().zip(&after).all(is_bounded), "from {before:?} to {after:?} MiB");
    for n in 1..=3 {
        eventually(&format!("server {n} has nothing outstanding"), SOON, || {
            let figures = ensemble.ask(n, "srvr").unwrap_or_default();
            if figures.contains("Outstanding: 0\n") { Ok(()) } else { Err(figures) }
        });
    }
}

/// The epoch of each server's last transaction.
fn epochs(ensemble: &Ensemble) -> [Option<i64>; 3] {
    [1, 2, 3].map(|n| {
        let figures = ensemble.ask(n, "srvr")?;
        let zxid = figures.lines().find_map(|line| line.strip_prefix("Zxid: 0x"))?;
        Some(i64::from_str_radix(zxid.trim(), 16).ok()? >> 32)
    })
}

/// Many small znodes.
fn fill(addr: &str, count: usize) {
    let mut raw = Raw::session(addr, 60_000);
    let open_acl =
        [&1_i32.to_be_bytes()[..], &31_i32.to_be_bytes(), &framed(b"world"), &framed(b"anyone")].concat();
    let mut asked = 0;
    while asked < count {
        let batch = 500.min(count - asked);
        let create = |i: usize| {
            let path = framed(format!("/n{i}").as_bytes());
            let data = framed(b"some data of a znode");
            framed(&request(1, &[&path[..], &data, &open_acl, &[0; 4]].concat()))
        };
        raw.stream
            .write_all(&(asked..asked + batch).flat_map(create).collect::<Vec<u8>>())
            .expect("it reads");
        (0..batch).for_each(|_| drop(raw.reply()));
        asked += batch;
    }
}

/// What clients do that want no harm, for a while: no answer may fail, no session may end. How long answers took.
fn honest(ensemble: &Ensemble, lasts: Duration) -> String {
    let workers: Vec<JoinHandle<Vec<Duration>>> = (0..6)
        .map(|k| {
            let addr = ensemble.address(1 + k % 3);
            std::thread::spawn(move || work(&addr, k, lasts))
        })
        .collect();
    let served = workers.into_iter().map(JoinHandle::join).collect::<Result<Vec<_>, _>>();
    let Ok(took) = served else { panic!("somebody was not served: {}", ensemble.logs()) };
    let mut took = took.concat();
    took.sort_unstable();
    let at = |share: usize| took[(took.len() - 1) * share / 100];
    format!("{} answers, p50 {:.1?}, p99 {:.1?}, the slowest {:.1?}", took.len(), at(50), at(99), at(100))
}

fn work(addr: &str, k: usize, lasts: Duration) -> Vec<Duration> {
    let mut raw = Raw::session(addr, 40_000);
    let end = Instant::now() + lasts;
    let path = framed(format!("/n{k}").as_bytes());
    let set = request(5, &[&path[..], &framed(b"other data of a znode"), &[0xff; 4]].concat());
    let get = request(4, &[&path[..], &[0]].concat());
    let ping = [&(-2_i32).to_be_bytes()[..], &11_i32.to_be_bytes()].concat();
    let mut took = Vec::new();
    while Instant::now() < end {
        for ask in [&set, &get, &ping] {
            let since = Instant::now();
            raw.send(ask);
            assert_eq!(&raw.reply()[12..16], &[0; 4], "an error of {addr}");
            took.push(since.elapsed());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    took
}

/// At the ports between servers: any id, any epoch, any round, any bytes, and gone or not.
fn strangers(ensemble: &Ensemble, over: &Arc<AtomicBool>) -> Vec<JoinHandle<()>> {
    let calls: [fn(&mut Rng) -> Vec<u8>; 3] = [learner, elector, noise];
    let doors = (1..=3).flat_map(|n| [ensemble.quorum_address(n), ensemble.election_address(n)]);
    let stranger = |(k, addr): (u64, String)| {
        let over = over.clone();
        std::thread::spawn(move || {
            let mut rng = Rng::with_seed(k);
            let mut kept = VecDeque::new();
            while !over.load(Ordering::Relaxed) {
                if let Ok(mut stream) = TcpStream::connect(&addr) {
                    let say = calls[rng.usize(0..calls.len())];
                    let _ = stream.set_write_timeout(Some(Duration::from_millis(200)));
                    let _ = stream.write_all(&say(&mut rng));
                    kept.push_back(stream);
                }
                if kept.len() > 50 {
                    kept.drain(..rng.usize(1..50));
                }
                std::thread::sleep(Duration::from_millis(5));
            }
        })
    };
    (0..).zip(doors).map(stranger).collect()
}

/// No epoch is ahead of the ensemble's: a voter's higher claim costs one election where its link does not live.
fn learner(rng: &mut Rng) -> Vec<u8> {
    let (sid, accepted) = (rng.i64(0..9), [0, 1, 0x7fff_fffe][rng.usize(0..3)]);
    let info = [&sid.to_be_bytes()[..], &0x10000_i32.to_be_bytes(), &[0; 8]].concat();
    let kind: i32 = if rng.bool() { 11 } else { 16 };
    let zxid: i64 = accepted << 32;
    [&kind.to_be_bytes()[..], &zxid.to_be_bytes(), &framed(&info), &[0xff; 4]].concat()
}

fn elector(rng: &mut Rng) -> Vec<u8> {
    let sid = rng.i64(0..200);
    let hello = [&(-65536_i64).to_be_bytes()[..], &sid.to_be_bytes(), &framed(b"127.0.0.1:1")].concat();
    let round = if rng.bool() { 1 << 62 } else { rng.i64(0..9) };
    let vote = [rng.i64(1..4), 1 << 40, round, rng.i64(0..9)].map(i64::to_be_bytes).concat();
    let said =
        framed(&[&rng.i32(0..4).to_be_bytes()[..], &vote, &2_i32.to_be_bytes(), &framed(b"")].concat());
    [hello, said.repeat(rng.usize(1..500))].concat()
}

fn noise(rng: &mut Rng) -> Vec<u8> {
    let len = rng.usize(0..5000);
    std::iter::repeat_with(|| rng.u8(..)).take(len).collect()
}

/// At all ports, so many at a time without a word; whoever is closed comes again.
fn silent(ensemble: &Ensemble, count: usize, over: &Arc<AtomicBool>) -> JoinHandle<()> {
    let doors: Vec<String> = (1..=3)
        .flat_map(|n| [ensemble.address(n), ensemble.quorum_address(n), ensemble.election_address(n)])
        .collect();
    let over = over.clone();
    std::thread::spawn(move || {
        let mut all = VecDeque::new();
        let mut doors = doors.iter().cycle();
        while let Some(addr) = doors.next().filter(|_| !over.load(Ordering::Relaxed)) {
            let stream = TcpStream::connect(addr);
            let is_refused = stream.is_err();
            all.extend(stream);
            // Each has as long as a server waits for its first word, and more.
            if is_refused || all.len() >= count {
                all.pop_front();
                std::thread::sleep(Duration::from_secs(12) / count as u32);
            }
        }
    })
}

/// What a greedy client says, and how it goes on.
#[derive(Clone, Copy, PartialEq)]
enum Greed {
    /// Again and again, all answers read.
    Insatiable,
    /// Again and again, no answer read.
    Deaf,
    /// Once; then it stays.
    Patient,
}

/// At the client ports: much is asked, little is read, and each of many fills what one may fill nearly.
fn greedy(ensemble: &Ensemble, nearly: usize, over: &Arc<AtomicBool>) -> Vec<JoinHandle<()>> {
    let big = framed(b"/big");
    let get = framed(&request(4, &[&big[..], &[0]].concat()));
    let set = framed(&request(5, &[&big[..], &framed(&[b'z'; 900_000]), &[0xff; 4]].concat()));
    let exists = framed(&request(3, &[&framed(b"/nope")[..], &[0]].concat()));
    let watch = |i: u32| framed(&request(3, &[&framed(format!("/w{i}").as_bytes())[..], &[1]].concat()));
    let person = |i: u32| {
        let who = framed(format!("person-{i}:pw").as_bytes());
        let auth = [&(-4_i32).to_be_bytes()[..], &100_i32.to_be_bytes(), &[0; 4], &framed(b"digest"), &who];
        framed(&auth.concat())
    };
    let say = |k: usize| match k {
        0..=1 => (set.clone(), Greed::Insatiable),
        2..=3 => (exists.repeat(2000), Greed::Insatiable),
        4..=5 => (get.repeat(300), Greed::Deaf),
        _ => match k % 5 {
            // A megabyte of answers, of which nothing is read; a frame that is never whole.
            0 => (get.repeat(9), Greed::Patient),
            1 => (set[..800_000].to_vec(), Greed::Patient),
            2 => ((0..2000).flat_map(watch).collect(), Greed::Patient),
            3 => ((0..250).flat_map(person).chain(exists.repeat(20)).collect(), Greed::Insatiable),
            _ => (exists.repeat(700), Greed::Insatiable),
        },
    };
    (0..6 + nearly)
        .map(|k| {
            let (frames, greed) = say(k);
            let (addr, over) = (ensemble.address(1 + k % 3), over.clone());
            std::thread::spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    insist(&addr, &frames, greed, &over);
                    std::thread::sleep(Duration::from_millis(100));
                }
            })
        })
        .collect()
}

/// One session, until it ends or is not wanted any more.
fn insist(addr: &str, frames: &[u8], greed: Greed, over: &AtomicBool) {
    let Ok(mut stream) = TcpStream::connect(addr) else { return };
    let _ = stream.set_write_timeout(Some(Duration::from_millis(300)));
    let _ = stream.set_read_timeout(Some(Duration::from_millis(100)));
    let password = [&16_i32.to_be_bytes()[..], &[0; 16]].concat();
    let connect = [&[0; 12][..], &30_000_i32.to_be_bytes(), &[0; 8], &password, &[0]].concat();
    if stream.write_all(&framed(&connect)).is_err() {
        return;
    }
    let mut buffer = vec![0; 64 * 1024];
    let mut at = 0;
    while !over.load(Ordering::Relaxed) {
        match stream.write(&frames[at..]) {
            // What was written in part goes on where it ended.
            Ok(len) => at += len,
            Err(error) if is_late(&error) => {}
            Err(_) => return,
        }
        match (at == frames.len(), greed) {
            (true, Greed::Patient) => std::thread::sleep(Duration::from_millis(200)),
            (true, _) => at = 0,
            _ => {}
        }
        if greed == Greed::Insatiable {
            match stream.read(&mut buffer) {
                Ok(0) => return,
                Ok(_) => {}
                Err(error) if is_late(&error) => {}
                Err(_) => return,
            }
        }
    }
}

fn is_late(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut)
}

/// What may come on top of a quiet server's memory.
const GROWTH_MIB_MAX: u64 = 300;
