//! Damage of every kind in a member's data: what a start makes of it, that nothing is touched before something better
//! is durable, and that no crash on the way leaves a directory that votes with a hole.

use std::path::{Path, PathBuf};

use super::world::*;
use crate::server::store::disk::Disk;
use crate::server::store::mem::{Fault, MemDisk};
use crate::server::store::{Recovered, Refusal, Result, Settings, Store};
use crate::wire::ids::{Epoch, Zxid};

/// Two log files and two snapshots of epoch 1, whose txns 1 to 9 were all acknowledged.
fn whole() -> MemDisk {
    let disk = MemDisk::new(3);
    let (mut store, _) = open(&disk).unwrap();
    store.write_accepted_epoch(Epoch(2)).unwrap();
    store.write_current_epoch(Epoch(1)).unwrap();
    log(&mut store, 1, 1..=5);
    snapshot_of(&store, &tree_of((1..=5).map(|n| z(1, n)))).unwrap();
    store.roll().unwrap();
    log(&mut store, 1, 6..=9);
    store.close().unwrap();
    disk
}

/// Where the entry of `zxid` begins in a log file.
fn entry(disk: &MemDisk, file: &str, zxid: Zxid) -> usize {
    let (bytes, wanted) = (disk.bytes(&path(file)).unwrap(), txn(zxid));
    let at = bytes.windows(wanted.len()).position(|window| window == &wanted[..]);
    at.expect("the txn is in the file") - 12
}

/// Every kind of damage, and whether peers heal it.
fn damages() -> Vec<(&'static str, MemDisk, bool)> {
    let mut all = Vec::new();
    let mut damage = |what, healed, change: &dyn Fn(&MemDisk)| {
        let disk = whole();
        change(&disk);
        all.push((what, disk, healed));
    };
    let gone = |disk: &MemDisk, name: &str| {
        disk.remove(&path(name)).unwrap();
        disk.sync_dir(Path::new(DIR)).unwrap();
    };
    damage("DamagedEntry", true, &|disk| {
        let at = entry(disk, NEWER_LOG, z(1, 7));
        disk.edit(&path(NEWER_LOG), |bytes| bytes[at + 40] ^= 4);
    });
    // The same for a length, which sends the reader far behind the txns that follow.
    damage("DamagedEntry", true, &|disk| {
        let at = entry(disk, NEWER_LOG, z(1, 7));
        disk.edit(&path(NEWER_LOG), |bytes| bytes[at + 10] ^= 1);
    });
    damage("DamagedEntry", true, &|disk| {
        let at = entry(disk, NEWER_LOG, z(1, 7));
        disk.edit(&path(NEWER_LOG), |bytes| bytes[at + 8] ^= 0x80);
    });
    damage("DamagedEntry", true, &|disk| {
        let at = entry(disk, NEWER_LOG, z(1, 8)) - 1;
        disk.edit(&path(NEWER_LOG), |bytes| bytes[at] ^= 1);
    });
    damage("NotALog", true, &|disk| disk.edit(&path(NEWER_LOG), |bytes| bytes[0] ^= 1));
    damage("NoSnapshot", true, &|disk| [SNAPSHOT, "snapshot.0"].iter().for_each(|name| gone(disk, name)));
    damage("NoLoadableSnapshot", true, &|disk| {
        [SNAPSHOT, "snapshot.0"].iter().for_each(|name| disk.edit(&path(name), |bytes| bytes[60] ^= 1));
    });
    damage("SnapshotNotReached", true, &|disk| {
        [OLDER_LOG, NEWER_LOG, "zkops.newest"].iter().for_each(|name| gone(disk, name));
        disk.edit(&path(SNAPSHOT), |bytes| bytes.truncate(bytes.len() / 2));
    });
    damage("Gap", true, &|disk| {
        gone(disk, OLDER_LOG);
        gone(disk, SNAPSHOT);
    });
    damage("LostLog", true, &|disk| gone(disk, NEWER_LOG));
    damage("LostLog", true, &|disk| disk.edit(&path(NEWER_LOG), Vec::clear));
    // A kill while the next log was made: it has its name and nothing else, and is not on record yet.
    damage("LostLog", true, &|disk| {
        let header = disk.bytes(&path(NEWER_LOG)).unwrap()[..16].to_vec();
        disk.put(&path("log.10000000a"), &header);
        gone(disk, NEWER_LOG);
    });
    damage("LostData", true, &|disk| {
        [SNAPSHOT, "snapshot.0", OLDER_LOG, NEWER_LOG].iter().for_each(|name| gone(disk, name));
    });
    // The epochs of a directory that a reference server wrote: without our record of them.
    damage("BadEpoch", true, &|disk| {
        gone(disk, "zkops.epochs");
        disk.edit(&path("currentEpoch"), |bytes| bytes[0] = b'x');
    });
    damage("Disk", true, &|disk| disk.make_unreadable(&path(NEWER_LOG)));
    damage("NoLoadableSnapshot", true, &|disk| {
        [SNAPSHOT, "snapshot.0"].iter().for_each(|name| disk.make_unreadable(&path(name)));
    });
    // What a server promised nobody else knows.
    damage("BadEpoch", false, &|disk| {
        gone(disk, "zkops.epochs");
        disk.edit(&path("acceptedEpoch"), |bytes| bytes[0] = b'x');
    });
    damage("UnknownPromise", false, &|disk| {
        gone(disk, "zkops.epochs");
        gone(disk, "acceptedEpoch");
        disk.edit(&path(NEWER_LOG), |bytes| bytes[0] ^= 1);
    });
    damage("Disk", false, &|disk| {
        gone(disk, "zkops.epochs");
        disk.make_unreadable(&path("acceptedEpoch"));
    });
    // A server that is newer wrote this: it is not damaged.
    damage("UnknownTxn", false, &|disk| {
        let mut newer = txn(z(1, 10)).to_vec();
        newer[31] = 99;
        let mut bytes = disk.bytes(&path(NEWER_LOG)).unwrap();
        bytes.extend_from_slice(&u64::from(simd_adler32::adler32(&&newer[..])).to_be_bytes());
        bytes.extend_from_slice(&(newer.len() as u32).to_be_bytes());
        bytes.extend_from_slice(&newer);
        bytes.push(b'B');
        disk.put(&path(NEWER_LOG), &bytes);
    });
    all
}

fn among_peers(disk: &MemDisk) -> Result<(Store<MemDisk>, Recovered)> {
    Store::open_among_peers(disk.clone(), dirs(), settings())
}

fn name(refusal: &Refusal) -> String {
    format!("{refusal:?}").split([' ', '(', '{']).next().unwrap_or_default().to_owned()
}

/// Every file but the lock, with its content.
fn contents(disk: &MemDisk) -> Vec<(PathBuf, Vec<u8>)> {
    let names = disk.list(Path::new(DIR)).unwrap();
    names.iter().map(|name| (path(name), disk.bytes(&path(name)).unwrap())).collect()
}

/// What the leader of epoch 3 has: all of epoch 1, and more.
fn theirs() -> crate::server::tree::Tree {
    tree_of((1..=9).map(|n| z(1, n)).chain([z(3, 1), z(3, 2)]))
}

#[test]
fn damage_is_named_and_costs_the_vote_and_nothing_is_touched() {
    for (what, disk, healed) in damages() {
        let before = contents(&disk);
        let refusal = open(&disk).err().unwrap_or_else(|| panic!("{what}: opened"));
        let alone = if what == "UnknownPromise" { "NotALog" } else { what };
        assert_eq!(name(&refusal), alone, "{refusal}");
        match among_peers(&disk) {
            Ok((_, recovered)) => {
                assert!(healed, "{what}: {:?}", recovered.wound);
                assert_eq!(recovered.wound.map(|wound| name(&wound)).as_deref(), Some(what));
                assert!(!recovered.may_vote && recovered.tail.is_empty(), "{what}");
                assert_eq!(
                    (recovered.tree.last_zxid(), recovered.tree.node_count()),
                    (Zxid::NONE, empty_nodes())
                );
                let current = if what == "BadEpoch" { Epoch(0) } else { Epoch(1) };
                assert_eq!(
                    (recovered.accepted_epoch, recovered.current_epoch),
                    (Epoch(2), current),
                    "{what}"
                );
            }
            Err(refusal) => {
                assert!(!healed, "{what}: {refusal}");
                assert_eq!(name(&refusal), what, "{refusal}");
            }
        }
        assert_eq!(contents(&disk), before, "{what}: a start that waits for peers changes nothing");
        let alone = Settings { quorum: false, ..settings() };
        let refused = Store::open(disk.clone(), dirs(), alone).is_err();
        assert!(
            refused || what == "BadEpoch" || what == "LostData" || what == "Disk",
            "{what}: nobody has the rest"
        );
    }
}

fn empty_nodes() -> usize {
    crate::server::tree::Tree::new().node_count()
}

/// A sync as `zab` has it done.
fn heal(disk: &MemDisk) -> Result<Vec<String>> {
    let (mut store, _) = among_peers(disk)?;
    if store.accepted_epoch() < Epoch(3) {
        store.write_accepted_epoch(Epoch(3))?;
    }
    store.install_snapshot(z(3, 2), &body(&theirs()))?;
    store.append(z(3, 3), &txn(z(3, 3)))?;
    store.write_current_epoch(Epoch(3))?;
    store.declare_whole()?;
    Ok(store.take_notes())
}

#[test]
fn a_sync_makes_the_data_whole_and_keeps_the_damage_for_a_human() {
    for (what, disk, _) in damages().into_iter().filter(|(.., healed)| *healed) {
        let before = contents(&disk);
        let notes = heal(&disk).unwrap_or_else(|refusal| panic!("{what}: {refusal}"));
        let (_, recovered) = open(&disk).unwrap_or_else(|refusal| panic!("{what}: {refusal}"));
        assert!(recovered.may_vote && recovered.wound.is_none(), "{what}");
        assert_eq!(recovered.tree.last_zxid(), z(3, 3), "{what}");
        assert_eq!(recovered.current_epoch, Epoch(3), "{what}");
        for (file, content) in before {
            let name = file.file_name().unwrap().to_str().unwrap();
            if name.starts_with("log.") || name.starts_with("snapshot.") {
                let kept = disk.bytes(&path(&format!("aside.damaged.{name}")));
                assert_eq!(kept, Some(content), "{what}: {name}");
                assert!(notes.iter().any(|note| note.contains(name)), "{what}: {name} in {notes:?}");
            }
        }
    }
}

#[test]
fn what_was_damaged_outlives_syncs_and_purges() {
    let disk = whole();
    disk.edit(&path(NEWER_LOG), |bytes| bytes[0] ^= 1);
    heal(&disk).unwrap();
    let damaged = |disk: &MemDisk| {
        let names = disk.list(Path::new(DIR)).unwrap();
        names.into_iter().filter(|name| name.starts_with("aside.damaged.")).collect::<Vec<_>>()
    };
    let kept = damaged(&disk);
    assert_eq!(kept.len(), 4, "{kept:?}");
    let (mut store, _) = open(&disk).unwrap();
    for counter in [4, 5] {
        let mut newer = theirs();
        newer.set_last_zxid(z(counter, 0));
        store.install_snapshot(z(counter, 0), &body(&newer)).unwrap();
    }
    store.purge(1).unwrap();
    assert_eq!(damaged(&disk), kept);
    drop(store);
    // New damage makes room for itself.
    disk.edit(&path("snapshot.500000000"), |bytes| bytes[60] ^= 1);
    let (mut store, _) = among_peers(&disk).unwrap();
    store.install_snapshot(z(6, 0), &body(&theirs())).unwrap();
    assert_eq!(damaged(&disk), ["aside.damaged.snapshot.500000000"]);
}

#[test]
fn a_crash_anywhere_in_a_sync_leaves_a_wound_or_a_whole() {
    let kinds = ["NotALog", "NoSnapshot", "LostLog", "LostData", "BadEpoch"];
    for (what, disk, _) in damages().into_iter().filter(|(what, _, healed)| *healed && kinds.contains(what)) {
        let operations = {
            let rehearsal = disk.copy();
            heal(&rehearsal).unwrap();
            rehearsal.operations() - disk.operations()
        };
        assert!(operations > 10, "{what}: {operations}");
        for (at, fault) in (0..operations).flat_map(|at| [Fault::Crash, Fault::Io].map(|fault| (at, fault))) {
            let disk = disk.copy();
            disk.fail_at(disk.operations() + at, fault);
            let healed = heal(&disk).is_ok();
            disk.clear_faults();
            disk.restart();
            let when = format!("{what}, {fault:?} at operation {at}");
            let (_, recovered) = among_peers(&disk).unwrap_or_else(|refusal| panic!("{when}: {refusal}"));
            match &recovered.wound {
                // All that the leader sent is here, the txn behind the snapshot, too.
                None => {
                    assert_eq!((recovered.tree.last_zxid(), recovered.may_vote), (z(3, 3), true), "{when}")
                }
                Some(_) => assert!(!recovered.may_vote && !healed, "{when}"),
            }
            assert!(recovered.accepted_epoch >= Epoch(2), "{when}: the promise is kept");
            drop(recovered);
            heal(&disk).unwrap_or_else(|refusal| panic!("{when}: then {refusal}"));
            let (_, recovered) = open(&disk).unwrap_or_else(|refusal| panic!("{when}: then {refusal}"));
            assert!(recovered.may_vote && recovered.tree.last_zxid() == z(3, 3), "{when}");
        }
    }
}

#[test]
fn an_empty_server_is_not_whole_before_its_first_sync_is() {
    let settings = Settings { db_autocreate: false, ..settings() };
    let disk = MemDisk::new(1);
    let (mut store, recovered) = Store::open_among_peers(disk.clone(), dirs(), settings.clone()).unwrap();
    assert!(!recovered.may_vote && recovered.wound.is_none());
    store.write_accepted_epoch(Epoch(3)).unwrap();
    store.install_snapshot(z(3, 2), &body(&theirs())).unwrap();
    drop(store);
    // A repaired server whose sync was interrupted may have acknowledged more than this before the repair.
    let (mut store, recovered) = Store::open_among_peers(disk.clone(), dirs(), settings.clone()).unwrap();
    assert!(matches!(recovered.wound, Some(Refusal::Unsynced { .. })) && !recovered.may_vote);
    store.install_snapshot(z(3, 2), &body(&theirs())).unwrap();
    store.declare_whole().unwrap();
    drop(store);
    assert!(Store::open(disk, dirs(), settings).unwrap().1.may_vote);
}

#[test]
fn damage_found_while_the_server_runs_stops_it_and_the_next_start_is_wounded() {
    // Found when the log is read again for a truncation.
    let found = |damage: &dyn Fn(&MemDisk)| {
        let disk = whole();
        let (mut store, _) = open(&disk).unwrap();
        log(&mut store, 1, 10..=12);
        damage(&disk);
        let refusal = store.truncate(z(1, 8)).expect_err("the damage is seen");
        assert!(store.flush().is_err(), "nothing more is written");
        drop(store);
        let (_, recovered) = among_peers(&disk).unwrap();
        assert!(recovered.wound.is_some() && !recovered.may_vote, "{refusal}");
        name(&refusal)
    };
    let flipped = |disk: &MemDisk| {
        let at = entry(disk, NEWER_LOG, z(1, 7));
        disk.edit(&path(NEWER_LOG), |bytes| bytes[at + 40] ^= 4);
    };
    assert_eq!(found(&flipped), "DamagedEntry");
    assert_eq!(found(&|disk| disk.make_unreadable(&path(NEWER_LOG))), "Disk");
    // Txns that were synced are gone without a trace: only the server that wrote them knows.
    let shorter = |disk: &MemDisk| {
        disk.remove(&path("log.10000000a")).unwrap();
        let at = entry(disk, NEWER_LOG, z(1, 8));
        disk.edit(&path(NEWER_LOG), |bytes| bytes.truncate(at));
    };
    assert_eq!(found(&shorter), "LogShrank");
}

#[test]
fn a_new_promise_does_not_make_damage_look_whole() {
    let disk = MemDisk::new(1);
    {
        let (mut store, _) = Store::open(disk.clone(), dirs(), settings()).unwrap();
        store.write_accepted_epoch(Epoch(3)).unwrap();
        store.write_current_epoch(Epoch(3)).unwrap();
        log(&mut store, 3, 1..=4);
    }
    disk.edit(&path("currentEpoch"), |bytes| bytes[0] = b'7');
    {
        let (mut store, recovered) = Store::open_among_peers(disk.clone(), dirs(), settings()).unwrap();
        assert!(matches!(recovered.wound, Some(Refusal::EpochsReversed { .. })), "{:?}", recovered.wound);
        assert_eq!(recovered.current_epoch, Epoch(0), "the number is not taken at its word");
        store.write_accepted_epoch(Epoch(8)).unwrap();
    }
    disk.restart();
    // The two files no longer contradict each other.
    let (_, recovered) = Store::open_among_peers(disk, dirs(), settings()).unwrap();
    assert!(matches!(recovered.wound, Some(Refusal::Unsynced { .. })), "{:?}", recovered.wound);
    assert!(!recovered.may_vote);
}

/// Found by the simulator: a sound server started without a vote.
#[test]
fn a_flipped_bit_in_the_record_of_the_newest_log_is_no_damage() {
    let disk = whole();
    let record = path("zkops.newest");
    let bits = disk.bytes(&record).unwrap().len() * 8;
    for bit in 0..bits {
        let disk = disk.copy();
        disk.edit(&record, |bytes| bytes[bit / 8] ^= 1 << (bit % 8));
        let (_, recovered) = open(&disk).unwrap();
        assert!(recovered.may_vote, "bit {bit}");
    }
}

/// Found by the simulator: currentEpoch 9 became 1, a leader without its acknowledged txns won by its vote.
#[test]
fn no_bit_of_the_epoch_files_makes_a_server_vote_by_other_epochs() {
    let sound = MemDisk::new(3);
    let mut store = in_epoch(&sound, 9);
    log(&mut store, 9, 1..=3);
    store.close().unwrap();
    for name in ["acceptedEpoch", "currentEpoch", "zkops.epochs"] {
        let bits = sound.bytes(&path(name)).unwrap().len() * 8;
        for bit in 0..=bits {
            let disk = sound.copy();
            match bit == bits {
                true => disk.remove(&path(name)).unwrap(),
                false => disk.edit(&path(name), |bytes| bytes[bit / 8] ^= 1 << (bit % 8)),
            }
            let what = format!("bit {bit} of {name}");
            let Ok((_, recovered)) = among_peers(&disk) else { panic!("{what}: refused") };
            assert!(recovered.accepted_epoch >= Epoch(9), "{what}: the promise is kept");
            assert!(!recovered.may_vote || recovered.current_epoch == Epoch(9), "{what}");
        }
    }
}

const SNAPSHOT: &str = "snapshot.100000005";
const OLDER_LOG: &str = "log.100000001";
const NEWER_LOG: &str = "log.100000006";
