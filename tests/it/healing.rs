//! Real servers whose files are damaged while they are down: with a quorum of others they make themselves whole,
//! under a continuous writer; without one they stop, say what is damaged, and leave everything as it is.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::apache::{Kind, assert_same_everywhere, formed};
use crate::ensemble::{Ensemble, SOON, Writer, kazoo};
use crate::run::eventually;

/// Many small logs and snapshots.
const EXTRA: &str = "snapCount=100";

const WHOLE: &str = "it is whole and votes again";

fn writer(ensemble: &Ensemble, path: &str) -> Writer {
    let mut command = kazoo("writer.py");
    command.arg(ensemble.addresses()).arg(path);
    Writer::start(command)
}

/// Files of a kind in a server's `version-2`, oldest first.
fn files(ensemble: &Ensemble, n: usize, prefix: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(ensemble.data(n).join("version-2")).expect("the directory is ours");
    let mut found: Vec<PathBuf> = entries
        .map(|entry| entry.expect("the directory is ours").path())
        .filter(|path| name(path).starts_with(prefix))
        .collect();
    found.sort_by_key(|path| {
        let name = name(path);
        i64::from_str_radix(name.rsplit('.').next().unwrap_or_default(), 16).unwrap_or_default()
    });
    found
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// What is there; of a running server without what it renames in between.
fn contents(ensemble: &Ensemble, n: usize) -> BTreeMap<String, Vec<u8>> {
    let read = |path: PathBuf| match fs::read(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        read => Some((name(&path), read.expect("the file is ours"))),
    };
    files(ensemble, n, "").into_iter().filter_map(read).collect()
}

fn edit(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).expect("the file is ours");
    change(&mut bytes);
    fs::write(path, bytes).expect("the file is ours");
}

/// What the server has said since its log had `seen` bytes.
fn said(ensemble: &Ensemble, n: usize, seen: usize) -> String {
    fs::read_to_string(ensemble.log(n)).unwrap_or_default().split_off(seen)
}

fn log_len(ensemble: &Ensemble, n: usize) -> usize {
    fs::metadata(ensemble.log(n)).map_or(0, |log| log.len() as usize)
}

/// One bit in the middle of the newest log; what lies behind it was acknowledged.
fn flip_a_bit(ensemble: &Ensemble, n: usize) {
    edit(logs_with_txns(ensemble, n).last().expect("there are txns"), |bytes| {
        let written = last_byte(bytes);
        bytes[written / 2] ^= 0x10;
    });
}

/// A kill while a log was being made leaves one with hardly more than its header.
fn logs_with_txns(ensemble: &Ensemble, n: usize) -> Vec<PathBuf> {
    let mut logs = files(ensemble, n, "log.");
    logs.retain(|path| last_byte(&fs::read(path).expect("the file is ours")) > 200);
    logs
}

fn last_byte(bytes: &[u8]) -> usize {
    bytes.iter().rposition(|byte| *byte != 0).unwrap_or(0)
}

fn halve_the_snapshots(ensemble: &Ensemble, n: usize) {
    for snapshot in files(ensemble, n, "snapshot.") {
        edit(&snapshot, |bytes| bytes.truncate(bytes.len() / 2));
    }
}

/// A log is gone, and no snapshot bridges the gap.
fn delete_a_log(ensemble: &Ensemble, n: usize) {
    let (snapshots, logs) = (files(ensemble, n, "snapshot."), logs_with_txns(ensemble, n));
    assert!(snapshots.len() > 1 && logs.len() > 2, "{snapshots:?} {logs:?}");
    for path in snapshots[1..].iter().chain([&logs[logs.len() - 2]]) {
        fs::remove_file(path).expect("the file is ours");
    }
}

/// The one on record. A kill while the next one was being made leaves that behind it, without a txn.
fn delete_the_newest_log(ensemble: &Ensemble, n: usize) {
    let record =
        fs::read_to_string(ensemble.data(n).join("version-2/zkops.newest")).expect("there is a record");
    let newest = record.split(' ').next().expect("there is a name");
    for path in files(ensemble, n, "log.") {
        if path.file_name().expect("it has a name").to_string_lossy().as_ref() >= newest {
            fs::remove_file(path).expect("the file is ours");
        }
    }
}

fn delete_the_snapshots(ensemble: &Ensemble, n: usize) {
    files(ensemble, n, "snapshot.").iter().for_each(|path| fs::remove_file(path).expect("the file is ours"));
}

/// In a directory without our record of it, as a reference server leaves it.
fn garble_the_epoch(ensemble: &Ensemble, n: usize) {
    fs::remove_file(ensemble.data(n).join("version-2/zkops.epochs")).expect("the file is ours");
    edit(&ensemble.data(n).join("version-2/currentEpoch"), |bytes| *bytes = b"?".to_vec());
}

/// A damage, and the words that must stand in the log of the server that finds it.
type Damage = (fn(&Ensemble, usize), &'static str);

/// Damages a server that is down, starts it, and waits until it is whole; what it said.
#[track_caller]
fn heals(ensemble: &mut Ensemble, n: usize, (damage, words): Damage) -> String {
    damage(ensemble, n);
    let damaged = contents(ensemble, n);
    let seen = log_len(ensemble, n);
    ensemble.start(n);
    ensemble.await_serving();
    let said = said(ensemble, n, seen);
    for words in [words, "does not vote and serves nobody", "asking it for a snapshot", "set aside", WHOLE] {
        assert!(said.contains(words), "{words:?} is not in\n{said}");
    }
    let now = contents(ensemble, n);
    let data = damaged.iter().filter(|(name, _)| name.starts_with("log.") || name.starts_with("snapshot."));
    for (name, content) in data {
        assert_eq!(now.get(&format!("aside.damaged.{name}")), Some(content), "{name} is kept");
    }
    assert!(!now.contains_key("zkops.unsynced"), "{:?}", now.keys());
    said
}

/// A follower of a serving ensemble.
fn follower(ensemble: &Ensemble) -> usize {
    let leader = ensemble.leader();
    (1..=3).find(|n| *n != leader).expect("there are three")
}

#[track_caller]
fn heals_under_load(damages: &[Damage]) -> String {
    let mut ensemble = Ensemble::new(3, 0, EXTRA);
    (1..=3).for_each(|n| ensemble.start(n));
    ensemble.await_serving();
    let mut writer = writer(&ensemble, "/w");
    for damage in damages {
        writer.await_acks(350);
        let hurt = follower(&ensemble);
        ensemble.kill(hurt);
        writer.await_acks(20);
        heals(&mut ensemble, hurt, *damage);
        writer.await_acks(50);
        // It is worth a vote: with it and the third one the ensemble goes on.
        let leader = ensemble.leader();
        ensemble.kill(leader);
        writer.await_acks(50);
        ensemble.start(leader);
        ensemble.await_serving();
    }
    let closing = writer.finish();
    assert_same_everywhere(&ensemble, &[1, 2, 3]);
    closing
}

#[test]
fn a_flipped_bit_and_missing_logs_heal_under_load() {
    let closing = heals_under_load(&[
        (flip_a_bit, "is damaged at byte"),
        (delete_a_log, "txns are missing"),
        (delete_the_newest_log, "it was the newest txn log"),
    ]);
    println!("healed under load: {closing}");
}

#[test]
fn broken_and_missing_snapshots_and_epochs_heal_under_load() {
    let closing = heals_under_load(&[
        (halve_the_snapshots, "can be loaded, so the state cannot be rebuilt"),
        (delete_the_snapshots, "holds no snapshot"),
        (garble_the_epoch, "which is no epoch"),
    ]);
    println!("healed under load: {closing}");
}

#[test]
fn a_leader_of_the_reference_heals_ours() {
    let mut ensemble = formed(&[Kind::Ours, Kind::Apache, Kind::Apache], None, EXTRA);
    let mut writer = writer(&ensemble, "/w");
    writer.await_acks(350);
    for damage in
        [(flip_a_bit as fn(&Ensemble, usize), "is damaged at byte"), (delete_a_log, "txns are missing")]
    {
        ensemble.kill(1);
        writer.await_acks(20);
        heals(&mut ensemble, 1, damage);
        writer.await_acks(350);
    }
    // Ours and a follower of the reference, without its leader.
    ensemble.kill(3);
    writer.await_acks(50);
    println!("healed by the reference: {}", writer.finish());
    assert_same_everywhere(&ensemble, &[1, 2]);
}

#[test]
fn without_a_quorum_of_others_it_stops_with_the_report_and_touches_nothing() {
    let mut ensemble = Ensemble::new(3, 0, EXTRA);
    (1..=3).for_each(|n| ensemble.start(n));
    ensemble.await_serving();
    let mut writer = writer(&ensemble, "/w");
    writer.await_acks(150);
    writer.finish();
    let hurt = follower(&ensemble);
    let down = (1..=3).find(|n| *n != hurt && *n != ensemble.leader()).expect("there are three");
    ensemble.kill(hurt);
    ensemble.kill(down);
    // Two of these are waited for a leader.
    let config = fs::read_to_string(ensemble.config(hurt)).expect("the file is ours");
    fs::write(ensemble.config(hurt), config.replace("initLimit=20", "initLimit=4"))
        .expect("the file is ours");
    flip_a_bit(&ensemble, hurt);
    let before = contents(&ensemble, hurt);
    let seen = log_len(&ensemble, hurt);
    ensemble.start(hurt);
    let answer = eventually("it answers that it does not serve", SOON, || {
        ensemble.ask(hurt, "srvr").filter(|answer| !answer.is_empty()).ok_or("nothing")
    });
    assert_eq!(answer.trim(), "This ZooKeeper instance is not currently serving requests");
    assert_eq!(ensemble.await_end(hurt), 1, "its manager tries again: the others may be back by then");
    let report = said(&ensemble, hurt, seen);
    let unreached = format!("server {down} cannot be reached");
    for words in ["is damaged at byte", ", after 0x", "peers without a quorum", &unreached, "has no leader"] {
        assert!(report.contains(words), "{words:?} is not in\n{report}");
    }
    assert_eq!(contents(&ensemble, hurt), before, "nothing was touched");
    // Its peers are back: the next start heals.
    ensemble.start(down);
    ensemble.await_serving();
    ensemble.start(hurt);
    ensemble.await_serving();
    assert!(said(&ensemble, hurt, seen).contains(WHOLE));
    assert_same_everywhere(&ensemble, &[1, 2, 3]);
}

#[test]
fn a_server_of_its_own_refuses_damaged_data() {
    let mut ensemble = Ensemble::new(1, 0, EXTRA);
    ensemble.start(1);
    ensemble.await_serving();
    let mut writer = writer(&ensemble, "/w");
    writer.await_acks(30);
    writer.finish();
    ensemble.kill(1);
    flip_a_bit(&ensemble, 1);
    let before = contents(&ensemble, 1);
    ensemble.start(1);
    assert_eq!(ensemble.await_end(1), 3);
    assert!(said(&ensemble, 1, 0).contains("is damaged at byte"));
    assert_eq!(contents(&ensemble, 1), before);
}
