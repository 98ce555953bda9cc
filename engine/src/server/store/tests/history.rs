//! Changes of history: truncation, a received snapshot, an older snapshot standing in for a broken
//! one; and the end of old files.

use std::path::Path;

use super::world::*;
use crate::server::store::disk::Disk;
use crate::server::store::mem::{Fault, MemDisk};
use crate::server::store::{Refusal, Settings, Store};
use crate::server::tree::Tree;
use crate::wire::ids::{Epoch, Zxid};

/// Epoch 1 with 1..=5 and a snapshot after 2, then 6..=9 in a second file.
fn nine() -> (MemDisk, Store<MemDisk>) {
    let disk = MemDisk::new(1);
    let mut store = in_epoch(&disk, 1);
    log(&mut store, 1, 1..=5);
    snapshot_of(&store, &tree_of((1..=2).map(|n| z(1, n)))).unwrap();
    store.roll().unwrap();
    log(&mut store, 1, 6..=9);
    (disk, store)
}

fn reopened(disk: &MemDisk) -> String {
    match open(disk) {
        Ok((_, recovered)) => nodes(&recovered.tree),
        Err(refusal) => format!("refused: {refusal}"),
    }
}

#[test]
fn truncation_cuts_right_after_the_last_txn_and_the_log_goes_on_in_a_new_file() {
    let (disk, mut store) = nine();
    let recovered = store.truncate(z(1, 7)).unwrap();
    assert_eq!(nodes(&recovered.tree), "1:1 1:2 1:3 1:4 1:5 1:6 1:7");
    assert_eq!(recovered.tree.last_zxid(), z(1, 7));
    assert_eq!(tail(&recovered), "1:1 1:2 1:3 1:4 1:5 1:6 1:7");
    let size: usize = 16 + (6..=7).map(|n| 13 + txn(z(1, n)).len()).sum::<usize>();
    assert_eq!(disk.bytes(&path("log.100000006")).unwrap().len(), size, "padding gone too");
    store.write_accepted_epoch(Epoch(2)).unwrap();
    log(&mut store, 2, 1..=2);
    assert_eq!(files(&disk), "log.100000001 log.100000006 log.200000001 snapshot.0 snapshot.100000002");
    drop(store);
    assert_eq!(reopened(&disk), "1:1 1:2 1:3 1:4 1:5 1:6 1:7 2:1 2:2");
}

#[test]
fn truncation_removes_later_files_and_snapshots_beyond() {
    let (disk, mut store) = nine();
    snapshot_of(&store, &tree_of((1..=8).map(|n| z(1, n)))).unwrap();
    let recovered = store.truncate(z(1, 4)).unwrap();
    assert_eq!(nodes(&recovered.tree), "1:1 1:2 1:3 1:4");
    assert_eq!(files(&disk), "log.100000001 snapshot.0 snapshot.100000002");
    assert!(disk.bytes(&path("aside.truncated.log.100000006")).is_some(), "set aside, not deleted");
    assert!(disk.bytes(&path("aside.truncated.snapshot.100000008")).is_some(), "or it would come back (Q22)");
    drop(store);
    assert_eq!(reopened(&disk), "1:1 1:2 1:3 1:4");
}

#[test]
fn truncation_to_a_txn_that_is_not_in_the_log_cuts_before_it() {
    let (disk, mut store) = nine();
    store.write_accepted_epoch(Epoch(3)).unwrap();
    log(&mut store, 3, 1..=2);
    let recovered = store.truncate(z(2, 7)).unwrap();
    assert_eq!(recovered.tree.last_zxid(), z(1, 9), "not one bad txn survives (Q23)");
    drop(store);
    assert_eq!(reopened(&disk), "1:1 1:2 1:3 1:4 1:5 1:6 1:7 1:8 1:9");
}

#[test]
fn truncation_survives_a_snapshot_between_base_and_cut_that_does_not_load() {
    let (disk, mut store) = nine();
    disk.put(&path("snapshot.100000004"), b"garbage");
    let recovered = store.truncate(z(1, 5)).unwrap();
    assert_eq!(nodes(&recovered.tree), "1:1 1:2 1:3 1:4 1:5");
}

#[test]
fn truncation_that_this_disk_cannot_do_changes_nothing() {
    let (disk, mut store) = nine();
    for name in ["snapshot.0", "log.100000001"] {
        disk.remove(&path(name)).unwrap();
    }
    snapshot_of(&store, &tree_of((1..=7).map(|n| z(1, n)))).unwrap();
    let before = files(&disk);
    let recovered = store.truncate(z(1, 1)).unwrap();
    assert_eq!(recovered.tree.last_zxid(), z(1, 9));
    assert!(recovered.notes[0].contains("was not cut back"), "{:?}", recovered.notes);
    assert_eq!(files(&disk), before);
    log(&mut store, 1, 10..=10);
    drop(store);
    assert_eq!(reopened(&disk), "1:1 1:2 1:3 1:4 1:5 1:6 1:7 1:8 1:9 1:10");
}

#[test]
fn a_received_snapshot_replaces_everything() {
    let (disk, mut store) = nine();
    let mut theirs = tree_of([z(1, 1), z(1, 2), z(2, 1)]);
    theirs.set_last_zxid(z(3, 0));
    store.install_snapshot(z(3, 0), &body(&theirs)).unwrap();
    assert_eq!(files(&disk), "snapshot.300000000", "neither old logs nor old snapshots lead to it");
    store.write_accepted_epoch(Epoch(3)).unwrap();
    store.write_current_epoch(Epoch(3)).unwrap();
    log(&mut store, 3, 1..=1);
    drop(store);
    let (_, recovered) = open(&disk).unwrap();
    assert_eq!(nodes(&recovered.tree), "1:1 1:2 2:1 3:1");
    assert_eq!(tail(&recovered), "3:1", "no peer is sent a DIFF across the hole (Q18)");
    assert!(recovered.notes.is_empty(), "{:?}", recovered.notes);
}

#[test]
fn a_received_snapshot_may_be_older_than_the_log() {
    let (disk, mut store) = nine();
    store.install_snapshot(z(1, 4), &body(&tree_of((1..=4).map(|n| z(1, n))))).unwrap();
    drop(store);
    // 5 to 9 may have been acknowledged: the leader that sent this may have them, and not have applied them yet.
    let refusal = open(&disk).err().unwrap();
    assert!(matches!(refusal, Refusal::Unsynced { .. }), "{refusal}");
    let (mut store, _) = Store::open_among_peers(disk.clone(), dirs(), settings()).unwrap();
    store.install_snapshot(z(1, 4), &body(&tree_of((1..=4).map(|n| z(1, n))))).unwrap();
    log(&mut store, 1, 5..=9);
    store.declare_whole().unwrap();
    drop(store);
    assert_eq!(reopened(&disk), "1:1 1:2 1:3 1:4 1:5 1:6 1:7 1:8 1:9");
}

#[test]
fn a_received_snapshot_that_does_not_decode_changes_nothing() {
    let (disk, mut store) = nine();
    let mut bytes = body(&Tree::new()).to_vec();
    bytes.truncate(bytes.len() - 9);
    let refusal = store.install_snapshot(z(3, 0), &bytes.into()).unwrap_err();
    assert!(matches!(refusal, Refusal::BadReceivedSnapshot { .. }), "{refusal}");
    log(&mut store, 1, 10..=10);
    drop(store);
    assert_eq!(reopened(&disk), "1:1 1:2 1:3 1:4 1:5 1:6 1:7 1:8 1:9 1:10");
}

#[test]
fn only_one_generation_is_set_aside() {
    let (disk, mut store) = nine();
    let received =
        |store: &mut Store<MemDisk>, epoch| store.install_snapshot(z(epoch, 0), &body(&Tree::new())).unwrap();
    received(&mut store, 3);
    assert!(disk.bytes(&path("aside.superseded.log.100000006")).is_some());
    received(&mut store, 4);
    let aside: Vec<_> =
        disk.list(Path::new(DIR)).unwrap().into_iter().filter(|name| name.starts_with("aside.")).collect();
    assert_eq!(aside, ["aside.superseded.snapshot.300000000"]);
}

#[test]
fn a_snapshot_begun_before_the_history_changed_is_not_published() {
    let (disk, mut store) = nine();
    let mut file = store.begin_snapshot(z(1, 9)).unwrap();
    file.write(&body(&tree_of((1..=9).map(|n| z(1, n))))).unwrap();
    store.truncate(z(1, 7)).unwrap();
    assert_eq!(file.finish(None, z(1, 9)).unwrap(), None);
    drop(store);
    assert_eq!(reopened(&disk), "1:1 1:2 1:3 1:4 1:5 1:6 1:7");
}

#[test]
fn a_broken_newest_snapshot_is_replaced_by_an_older_one_and_the_log() {
    let (disk, store) = nine();
    snapshot_of(&store, &tree_of((1..=8).map(|n| z(1, n)))).unwrap();
    drop(store);
    let newest = path("snapshot.100000008");
    disk.edit(&newest, |bytes| bytes[100] ^= 1);
    assert_eq!(reopened(&disk), "1:1 1:2 1:3 1:4 1:5 1:6 1:7 1:8 1:9");
    disk.edit(&newest, |bytes| bytes.truncate(bytes.len() / 2));
    assert_eq!(reopened(&disk), "1:1 1:2 1:3 1:4 1:5 1:6 1:7 1:8 1:9");
    disk.edit(&newest, Vec::clear);
    let (_, recovered) = open(&disk).unwrap();
    assert!(recovered.may_vote && recovered.notes[0].contains("hold the same"), "{:?}", recovered.notes);
}

#[test]
fn a_broken_snapshot_that_the_log_does_not_reach_stops_the_start() {
    let (disk, store) = nine();
    drop(store);
    disk.put(&path("snapshot.10000000c"), b"garbage");
    let text = reopened(&disk);
    assert!(text.contains("snapshot.10000000c is broken") && text.contains("accept the loss"), "{text}");
}

#[test]
fn a_broken_snapshot_that_a_leader_may_have_sent_costs_the_vote() {
    let (disk, mut store) = nine();
    store.write_accepted_epoch(Epoch(2)).unwrap();
    log(&mut store, 2, 1..=1);
    drop(store);
    // Received at the start of epoch 2, it may have held txns of epoch 1 after 9.
    disk.put(&path("snapshot.200000000"), b"garbage");
    let (_, recovered) = Store::open_among_peers(disk.clone(), dirs(), settings()).unwrap();
    assert!(!recovered.may_vote, "{:?}", recovered.notes);
    for quorum in [true, false] {
        let refusal = Store::open(disk.clone(), dirs(), Settings { quorum, ..settings() }).err().unwrap();
        assert!(matches!(refusal, Refusal::SnapshotNotReached { .. }), "{refusal}");
    }
}

#[test]
fn a_hole_that_a_received_snapshot_covered_shows_when_that_is_broken() {
    // As Apache ZooKeeper leaves it: the old log stays, although the snapshot replaced it.
    let (disk, mut store) = nine();
    store.write_accepted_epoch(Epoch(2)).unwrap();
    log(&mut store, 2, 1..=1);
    drop(store);
    disk.put(&path("snapshot.10000000c"), b"garbage");
    assert!(reopened(&disk).contains("does not contain 0x10000000c"), "1:10 to 1:12 are missing");
}

#[test]
fn a_digest_that_does_not_match_is_reported_not_hidden() {
    let disk = MemDisk::new(1);
    let (store, _) = open(&disk).unwrap();
    let tree = tree_of((1..=3).map(Zxid));
    let mut file = store.begin_snapshot(Zxid(3)).unwrap();
    file.write(&body(&tree)).unwrap();
    file.finish(Some((Zxid(3), tree.digest() ^ 1)), Zxid(3)).unwrap();
    drop(store);
    let (_, recovered) = open(&disk).unwrap();
    assert_eq!(nodes(&recovered.tree), "0:1 0:2 0:3");
    assert!(recovered.notes[0].contains("does not have the digest"), "{:?}", recovered.notes);
}

/// A server that took a snapshot every ten txns, each followed by a roll.
fn with_snapshots(count: u32) -> (MemDisk, Store<MemDisk>) {
    let disk = MemDisk::new(1);
    let (mut store, _) = open(&disk).unwrap();
    for round in 0..count {
        log(&mut store, 1, round * 10 + 1..=round * 10 + 10);
        store.roll().unwrap();
        snapshot_of(&store, &tree_of((1..=round * 10 + 10).map(|n| z(1, n)))).unwrap();
    }
    log(&mut store, 1, count * 10 + 1..=count * 10 + 1);
    (disk, store)
}

#[test]
fn a_purge_keeps_the_newest_snapshots_and_the_logs_they_need() {
    let (disk, store) = with_snapshots(5);
    disk.put(&path("aside.torn.log.1-at-10"), b"x");
    let purged = store.purge(3).unwrap();
    assert_eq!(purged.notes, Vec::<String>::new());
    assert_eq!(
        purged.deleted,
        [
            "aside.torn.log.1-at-10",
            "log.100000001",
            "log.10000000b",
            "snapshot.0",
            "snapshot.10000000a",
            "snapshot.100000014"
        ]
    );
    assert_eq!(
        files(&disk),
        "log.100000015 log.10000001f log.100000029 log.100000033 snapshot.10000001e snapshot.100000028 snapshot.100000032"
    );
    assert_eq!(store.purge(3).unwrap().deleted, Vec::<String>::new());
    drop(store);
    // Each kept snapshot can still be the base.
    disk.edit(&path("snapshot.100000032"), Vec::clear);
    disk.edit(&path("snapshot.100000028"), Vec::clear);
    assert_eq!(open(&disk).unwrap().1.tree.last_zxid(), z(1, 51));
}

#[test]
fn a_purge_counts_only_snapshots_whose_seals_hold() {
    let (disk, store) = with_snapshots(5);
    // Right first and last bytes: the reference would count it.
    disk.edit(&path("snapshot.100000032"), |bytes| bytes[200] ^= 1);
    let purged = store.purge(3).unwrap();
    assert!(purged.notes[0].contains("snapshot.100000032 does not count"), "{:?}", purged.notes);
    assert_eq!(purged.deleted, ["log.100000001", "snapshot.0", "snapshot.10000000a"]);
    for name in ["snapshot.100000028", "snapshot.10000001e", "snapshot.100000014"] {
        disk.edit(&path(name), |bytes| bytes[200] ^= 1);
    }
    let purged = store.purge(3).unwrap();
    assert_eq!(purged.deleted, Vec::<String>::new(), "nothing good is left to rely on");
    assert!(purged.notes.iter().any(|note| note.contains("nothing was deleted")), "{:?}", purged.notes);
}

#[test]
fn a_snapshot_is_due_between_half_and_all_of_the_limit() {
    let disk = MemDisk::new(1);
    let (mut store, _) = open(&disk).unwrap();
    let mut counter = 0;
    for _ in 0..20 {
        let mut since = 0;
        while !store.is_snapshot_due() {
            counter += 1;
            since += 1;
            log(&mut store, 1, counter..=counter);
        }
        assert!((6..=10).contains(&since), "{since} txns at snap_count 10");
        store.roll().unwrap();
    }
    let by_bytes = Settings { snap_count: 1_000_000, snap_log_bytes: Some(10_000), ..settings() };
    let (mut store, _) = Store::open(MemDisk::new(2), dirs(), by_bytes).unwrap();
    log(&mut store, 1, 1..=9);
    assert!(!store.is_snapshot_due(), "some 5 KiB");
    log(&mut store, 1, 10..=20);
    assert!(store.is_snapshot_due());
}

#[test]
fn after_a_failed_write_nothing_is_written_any_more() {
    for fault in [Fault::Io, Fault::NoSpace] {
        let disk = MemDisk::new(1);
        let (mut store, _) = open(&disk).unwrap();
        log(&mut store, 1, 1..=1);
        disk.fail_at(disk.operations(), fault);
        store.append(z(1, 2), &vec_txn(z(1, 2), 9000)).unwrap();
        let error = store.flush().unwrap_err();
        assert_eq!(error.is_no_space(), fault == Fault::NoSpace, "{error}");
        disk.clear_faults();
        assert!(matches!(store.append(z(1, 3), &txn(z(1, 3))), Err(Refusal::Failed(_))));
        assert!(matches!(store.write_accepted_epoch(Epoch(2)), Err(Refusal::Failed(_))));
        drop(store);
        assert_eq!(reopened(&disk), "1:1");
    }
}

/// A txn too large for the padding.
fn vec_txn(zxid: Zxid, len: usize) -> bytes::Bytes {
    let mut bytes = txn(zxid).to_vec();
    bytes.resize(len, 1);
    bytes.into()
}

/// Found by the simulator: the second wrote over the first one's file, and the first took its name away.
#[test]
fn two_snapshots_of_one_zxid_do_not_share_a_file() {
    let tree = tree_of((1..=9).map(|n| z(1, n)));
    for first_is_given_up in [false, true] {
        let (disk, store) = nine();
        let [mut first, mut second] = [(); 2].map(|()| store.begin_snapshot(z(1, 9)).unwrap());
        let body = body(&tree);
        first.write(&body[..body.len() / 2]).unwrap();
        second.write(&body).unwrap();
        if first_is_given_up {
            drop(first);
        } else {
            first.write(&body[body.len() / 2..]).unwrap();
            assert!(first.finish(None, z(1, 9)).unwrap().is_some());
        }
        assert!(second.finish(None, z(1, 9)).unwrap().is_some());
        drop(store);
        let unfinished = disk.files().into_iter().filter(|path| path.to_string_lossy().contains("new."));
        assert_eq!(unfinished.count(), 0);
        disk.edit(&path("log.100000001"), |bytes| bytes.clear());
        assert_eq!(reopened(&disk), "1:1 1:2 1:3 1:4 1:5 1:6 1:7 1:8 1:9", "from the snapshot");
    }
}
