//! `jute.maxbuffer` above its default, with the reference beside us: frames, log, snapshots and links take what it says.

use std::path::Path;

use crate::apache::Kind::{self, Apache, Ours};
use crate::apache::formed;
use crate::edges::{Raw, framed, request};
use crate::ensemble::{Ensemble, SOON};
use crate::run::eventually;

/// Requests of four megabytes; a snapshot is soon due.
const LARGE: &str = "jute.maxbuffer=4194304\nsnapCount=10\nmaxSessionTimeout=600000";
const LEN: usize = 3_000_000;

#[test]
fn three_megabytes_are_written_logged_and_read_back() {
    let mut ensemble = Ensemble::new(3, 0, LARGE);
    (1..=3).for_each(|n| ensemble.start(n));
    ensemble.await_serving();
    create(&ensemble, 1, "/a");
    ensemble.kill(2);
    ensemble.await_serving();
    // More than the log in memory has, and enough for a snapshot.
    for i in 0..30 {
        create(&ensemble, 3, &format!("/b{i}"));
    }
    ensemble.start(2);
    ensemble.await_serving();
    (1..=3).for_each(|n| ensemble.kill(n));
    (1..=3).for_each(|n| ensemble.start(n));
    ensemble.await_serving();
    for n in 1..=3 {
        assert_holds(&ensemble, n, &["/a", "/b0", "/b29"]);
        assert_undamaged(&ensemble, n);
    }
    // Two answers of that size are still one answer.
    let get = |path: &[u8]| [&4_i32.to_be_bytes()[..], &[0], &[0xff; 4], &framed(path), &[0]].concat();
    let mut raw = Raw::session(&ensemble.address(2), 30_000);
    raw.send(&request(22, &[get(b"/a"), get(b"/b0"), [&[0xff; 4][..], &[1], &[0xff; 4]].concat()].concat()));
    assert!(raw.reply().len() > 2 * LEN);
}

/// Server 1 falls behind; then servers 1 and 2 go on in each other's place, with each other's log.
fn holds_what_is_long(kinds: [Kind; 3]) {
    let mut ensemble = formed(&kinds, None, LARGE);
    create(&ensemble, 1, "/a");
    ensemble.kill(1);
    ensemble.await_serving();
    create(&ensemble, 2, "/b");
    kinds[0].start(&mut ensemble, 1);
    ensemble.await_serving();
    create(&ensemble, 1, "/c");
    for n in [1, 2] {
        let other = if kinds[n - 1] == Ours { Apache } else { Ours };
        ensemble.kill(n);
        other.start(&mut ensemble, n);
        ensemble.await_serving();
    }
    create(&ensemble, 2, "/d");
    for n in 1..=3 {
        assert_holds(&ensemble, n, &["/a", "/b", "/c", "/d"]);
        assert_undamaged(&ensemble, n);
    }
}

#[test]
fn ours_follows_a_leader_of_the_reference_that_commits_three_megabytes() {
    holds_what_is_long([Ours, Apache, Apache]);
}

#[test]
fn the_reference_follows_our_leader_that_commits_three_megabytes() {
    holds_what_is_long([Apache, Ours, Ours]);
}

fn create(ensemble: &Ensemble, n: usize, path: &str) {
    create_of(ensemble, n, path, LEN);
}

fn create_of(ensemble: &Ensemble, n: usize, path: &str, len: usize) {
    let open_acl = [&1_i32.to_be_bytes()[..], &31_i32.to_be_bytes(), &framed(b"world"), &framed(b"anyone")];
    let body = [&framed(path.as_bytes())[..], &framed(&vec![b'x'; len]), &open_acl.concat(), &[0; 4]];
    let mut raw = Raw::session(&ensemble.address(n), 30_000);
    raw.send(&request(1, &body.concat()));
    assert_eq!(&raw.reply()[12..16], &[0; 4], "{path} through server {n}");
}

/// Every path has its data on a server, which may be a moment behind.
fn assert_holds(ensemble: &Ensemble, n: usize, paths: &[&str]) {
    let mut raw = Raw::session(&ensemble.address(n), 30_000);
    for path in paths {
        eventually(&format!("server {n} has {path}"), SOON, || {
            raw.send(&request(4, &[&framed(path.as_bytes())[..], &[0]].concat()));
            let len = raw.reply().len();
            if len == 16 + 4 + LEN + 68 { Ok(()) } else { Err(len) }
        });
    }
}

fn assert_undamaged(ensemble: &Ensemble, n: usize) {
    let log = std::fs::read_to_string(ensemble.log(n)).expect("the log is ours");
    assert!(!log.contains("damaged") && !log.contains("outside its limits"), "server {n}: {log}");
    let data = ensemble.data(n).join("version-2");
    let is_whole = |dir: &Path| {
        std::fs::read_dir(dir)
            .expect("it is ours")
            .flatten()
            .all(|entry| !entry.file_name().to_string_lossy().contains("damaged"))
    };
    assert!(is_whole(&data), "server {n} has set something aside");
}
