//! Every row of the decision table (disk-format §5), epoch files (§6), directories and locks.

use std::path::Path;

use super::world::*;
use crate::formats::marker::{self, Marker, Owner};
use crate::server::store::disk::Disk;
use crate::server::store::epochs::read_myid;
use crate::server::store::mem::{MemDisk, ReadFault};
use crate::server::store::{Dirs, RealDisk, Recovered, Refusal, Settings, Store, identify};
use crate::wire::ids::{Epoch, ServerId, Zxid};

/// What a start on `disk` comes to: last zxid, whether it may vote, the files then.
fn start(disk: &MemDisk, settings: Settings) -> String {
    match Store::open(disk.clone(), dirs(), settings) {
        Ok((_, recovered)) => {
            let vote = if recovered.may_vote { "votes" } else { "no vote" };
            format!("{} {vote} [{}]", text(recovered.tree.last_zxid()), files(disk))
        }
        Err(refusal) => format!("refused: {}", name(&refusal)),
    }
}

fn name(refusal: &Refusal) -> String {
    let debug = format!("{refusal:?}");
    debug.split([' ', '(', '{']).next().unwrap_or_default().to_owned()
}

/// A directory with `log.1` of 1, 2, 3 and no snapshot.
fn logs_only() -> MemDisk {
    let disk = MemDisk::new(1);
    {
        let (mut store, _) = open(&disk).unwrap();
        log(&mut store, 0, 1..=3);
        store.close().unwrap();
    }
    disk.remove(&path("snapshot.0")).unwrap();
    disk
}

#[test]
fn an_empty_directory_becomes_an_empty_database_with_a_snapshot() {
    let disk = MemDisk::new(1);
    assert_eq!(start(&disk, settings()), "0:0 votes [snapshot.0]");
    let again = start(&disk, settings());
    assert_eq!(again, "0:0 votes [snapshot.0]");
    assert_eq!(disk.bytes(&path("acceptedEpoch")).unwrap(), b"0");
    assert_eq!(disk.bytes(&path("currentEpoch")).unwrap(), b"0");
}

#[test]
fn without_autocreate_an_empty_directory_does_not_vote_unless_initialize_says_so() {
    let settings = Settings { db_autocreate: false, ..settings() };
    let disk = MemDisk::new(1);
    assert_eq!(start(&disk, settings.clone()), "none no vote []");
    disk.put(Path::new("/data/initialize"), b"");
    assert_eq!(start(&disk, settings.clone()), "0:0 votes [snapshot.0]");
    assert_eq!(disk.bytes(Path::new("/data/initialize")), None, "consumed by the first start");
    disk.put(Path::new("/data/initialize"), b"");
    assert_eq!(start(&disk, settings.clone()), "0:0 votes [snapshot.0]");
    assert_eq!(disk.bytes(Path::new("/data/initialize")), None, "also when there is data");
    // zkServer-initialize.sh writes it to dataDir, the reference looks in dataLogDir (TRAP D2).
    for place in ["/snaps/initialize", "/logs/initialize"] {
        let disk = MemDisk::new(1);
        let dirs = Dirs { data: "/snaps".into(), log: "/logs".into() };
        disk.put(Path::new(place), b"");
        let (_, recovered) = Store::open(disk.clone(), dirs, settings.clone()).unwrap();
        assert!(recovered.may_vote, "{place}");
        assert_eq!(disk.bytes(Path::new(place)), None);
    }
}

#[test]
fn logs_without_a_snapshot_are_refused_unless_trusted() {
    assert_eq!(start(&logs_only(), settings()), "refused: NoSnapshot");
    let disk = logs_only();
    let settings = Settings { trust_empty: true, ..settings() };
    let (_, recovered) = Store::open(disk.clone(), dirs(), settings.clone()).unwrap();
    assert_eq!((nodes(&recovered.tree).as_str(), recovered.snapshot_wanted), ("0:1 0:2 0:3", true));
    let disk = logs_only();
    disk.rename(&path("log.1"), &path("log.4")).unwrap();
    disk.edit(&path("log.4"), |bytes| drop(bytes.drain(16..16 + 13 + txn(Zxid(1)).len())));
    assert_eq!(start(&disk, settings), "refused: Gap", "trusted, but the first txn is not there");
}

#[test]
fn snapshots_that_do_not_load_stop_the_start() {
    let disk = MemDisk::new(1);
    disk.put(&path("snapshot.0"), b"garbage");
    assert_eq!(start(&disk, settings()), "refused: NoLoadableSnapshot");
    let disk = logs_only();
    disk.put(&path("snapshot.0"), b"long enough\0\0\0\x01/");
    let text = open(&disk).err().unwrap().to_string();
    assert!(
        text.contains("snapshot.0: it does not begin with ZKSN") && text.contains("zkops repair"),
        "{text}"
    );
}

#[test]
fn all_of_the_log_is_replayed_and_the_tail_handed_out() {
    let disk = MemDisk::new(1);
    {
        let (mut store, _) = open(&disk).unwrap();
        log(&mut store, 0, 1..=3);
        snapshot_of(&store, &tree_of((1..=3).map(Zxid))).unwrap();
        store.roll().unwrap();
        log(&mut store, 0, 4..=5);
    }
    let (mut store, recovered) = open(&disk).unwrap();
    assert_eq!(nodes(&recovered.tree), "0:1 0:2 0:3 0:4 0:5");
    assert_eq!(recovered.tree.digest(), tree_of((1..=5).map(Zxid)).digest());
    assert_eq!(tail(&recovered), "0:1 0:2 0:3 0:4 0:5");
    log(&mut store, 0, 6..=6);
    assert_eq!(files(&disk), "log.1 log.4 log.6 snapshot.0 snapshot.3", "a new file per process");
}

#[test]
fn txns_before_the_snapshot_serve_peers_too() {
    let disk = MemDisk::new(1);
    {
        let (mut store, _) = open(&disk).unwrap();
        log(&mut store, 0, 1..=5);
        snapshot_of(&store, &tree_of((1..=3).map(Zxid))).unwrap();
    }
    let (_, recovered) = open(&disk).unwrap();
    assert_eq!(tail(&recovered), "0:1 0:2 0:3 0:4 0:5");
}

#[test]
fn epoch_files_are_ascii_without_newline_and_strictly_ordered() {
    let disk = MemDisk::new(1);
    let (mut store, _) = open(&disk).unwrap();
    assert!(
        matches!(store.write_current_epoch(Epoch(1)), Err(Refusal::Misuse(_))),
        "current before accepted"
    );
    store.write_accepted_epoch(Epoch(12)).unwrap();
    store.write_current_epoch(Epoch(12)).unwrap();
    assert_eq!(disk.bytes(&path("acceptedEpoch")).unwrap(), b"12");
    assert_eq!(disk.bytes(&path("currentEpoch")).unwrap(), b"12");
    assert!(
        matches!(store.write_accepted_epoch(Epoch(11)), Err(Refusal::Misuse(_))),
        "a promise is not taken back"
    );
    assert_eq!((store.accepted_epoch(), store.current_epoch()), (Epoch(12), Epoch(12)));
}

#[test]
fn epochs_missing_or_behind_are_what_the_txns_say_and_never_bumped() {
    let with = |files: &[(&str, &str)]| -> Result<Recovered, Refusal> {
        let disk = MemDisk::new(1);
        {
            let (mut store, _) = open(&disk).unwrap();
            log(&mut store, 3, 1..=2);
        }
        for name in ["acceptedEpoch", "currentEpoch", "zkops.epochs"] {
            disk.remove(&path(name)).unwrap();
        }
        files.iter().for_each(|(name, content)| disk.put(&path(name), content.as_bytes()));
        let recovered = open(&disk).map(|(_, recovered)| recovered)?;
        let on_disk = |name| {
            Epoch(String::from_utf8(disk.bytes(&path(name)).unwrap()).unwrap().trim().parse().unwrap())
        };
        assert_eq!(on_disk("acceptedEpoch"), recovered.accepted_epoch);
        assert_eq!(on_disk("currentEpoch"), recovered.current_epoch);
        Ok(recovered)
    };
    let check = |files: &[(&str, &str)], accepted: i64, current: i64| {
        let recovered = with(files).unwrap();
        let got = (recovered.accepted_epoch, recovered.current_epoch);
        assert_eq!(got, (Epoch(accepted), Epoch(current)), "{files:?}: {:?}", recovered.notes);
    };
    check(&[], 3, 3);
    // A flipped bit may put a zero in front of another number: found by the simulator.
    let odd = with(&[("acceptedEpoch", "3"), ("currentEpoch", "03")]);
    assert!(matches!(odd, Err(Refusal::BadEpoch { .. })), "{odd:?}");
    check(&[("acceptedEpoch", "5")], 5, 3);
    check(&[("currentEpoch", "3")], 3, 3);
    check(&[("acceptedEpoch", "4"), ("currentEpoch", "4")], 4, 4);
    check(&[("acceptedEpoch", "3\n"), ("currentEpoch", "2")], 3, 2);
    check(&[("acceptedEpoch", "3"), ("currentEpoch", "2"), ("currentEpoch.tmp", "3")], 3, 2);
    // No order of writes leaves this: one of the two is damaged.
    let reversed = with(&[("acceptedEpoch", "1"), ("currentEpoch", "4")]).unwrap_err();
    assert!(matches!(reversed, Refusal::EpochsReversed { .. }), "{reversed}");
    for bad in ["", "x", "-1", "1 2", "03"] {
        let refusal = with(&[("currentEpoch", bad)]).unwrap_err();
        assert!(matches!(refusal, Refusal::BadEpoch { .. }), "{bad:?}: {refusal}");
    }
}

#[test]
fn a_standalone_server_keeps_no_epoch_files() {
    let disk = MemDisk::new(1);
    let (_, recovered) = Store::open(disk.clone(), dirs(), Settings { quorum: false, ..settings() }).unwrap();
    assert_eq!(recovered.current_epoch, Epoch(0));
    assert_eq!(disk.list(Path::new(DIR)).unwrap(), ["snapshot.0"]);
}

#[test]
fn myid_is_the_number_in_its_first_line() {
    let disk = MemDisk::new(1);
    let read = |content: &str| {
        disk.put(Path::new("/data/myid"), content.as_bytes());
        read_myid(&disk, Path::new("/data"))
    };
    for content in ["3", "3\n", " 3 \r\nrest"] {
        assert_eq!(read(content).unwrap(), Some(ServerId(3)), "{content:?}");
    }
    for content in ["", "three", "3 4", "\n3"] {
        let text = read(content).unwrap_err().to_string();
        assert!(text.contains("/data/myid") && text.contains("echo N >"), "{content:?}: {text}");
    }
    disk.remove(Path::new("/data/myid")).unwrap();
    assert_eq!(read_myid(&disk, Path::new("/data")).unwrap(), None);
}

#[test]
fn a_second_server_on_the_directory_is_refused_and_told_who_has_it() {
    let scratch = tempfile::tempdir().unwrap();
    let dirs = Dirs { data: scratch.path().join("data"), log: scratch.path().join("log") };
    let (store, _) = Store::open(RealDisk, dirs.clone(), settings()).unwrap();
    let text = Store::open(RealDisk, dirs.clone(), settings()).err().unwrap().to_string();
    assert!(
        text.contains(&format!("process {}", std::process::id())) && text.contains("own dataDir"),
        "{text}"
    );
    drop(store);
    Store::open(RealDisk, dirs, settings()).unwrap();
}

#[test]
fn directories_are_created_only_when_that_is_wanted() {
    let disk = MemDisk::new(1);
    let refused = Settings { dir_autocreate: false, ..settings() };
    assert_eq!(start(&disk, refused.clone()), "refused: MissingDir");
    disk.create_dir_all(Path::new(DIR)).unwrap();
    assert_eq!(start(&disk, refused), "0:0 votes [snapshot.0]");
}

#[test]
fn swapped_directories_are_noticed() {
    let disk = MemDisk::new(1);
    let dirs = Dirs { data: "/a".into(), log: "/b".into() };
    disk.put(Path::new("/a/version-2/log.1"), b"");
    let text = Store::open(disk.clone(), dirs.clone(), settings()).err().unwrap().to_string();
    assert!(text.contains("/a/version-2 holds log.1") && text.contains("belong in /b/version-2"), "{text}");
    disk.remove(Path::new("/a/version-2/log.1")).unwrap();
    disk.put(Path::new("/b/version-2/snapshot.0"), b"");
    let refusal = Store::open(disk, dirs, settings()).err().unwrap();
    assert!(matches!(refusal, Refusal::Misplaced { kind: "snapshot", .. }), "{refusal}");
}

#[test]
fn data_of_another_ensemble_or_member_is_left_alone() {
    let disk = MemDisk::new(1);
    let owner = |member: i64, uuid: &str| Owner {
        cluster: Some("orders".into()),
        member: Some(member),
        uuid: Some(uuid.into()),
    };
    let ask = |owner: &Owner| match identify(&disk, Path::new("/data"), owner) {
        Ok(myid) => format!("myid {}", myid.map_or("none".into(), |id| id.to_string())),
        Err(refusal) => refusal.to_string().split(". Nothing was touched").next().unwrap().to_owned(),
    };
    assert_eq!(ask(&owner(3, "7b0c")), "myid none", "nothing there yet");
    disk.put(Path::new("/data/myid"), b"3\n");
    assert_eq!(ask(&owner(3, "7b0c")), "myid 3", "Apache's data, or fresh from a repair");
    assert_eq!(
        ask(&owner(2, "7b0c")),
        "/data holds the data of member 3, as its myid says, and this server was started for member 2 of cluster \
         orders (7b0c)"
    );
    let marker = Marker { cluster: "orders".into(), member: 3, uuid: "7b0c".into() };
    disk.put(Path::new("/data/zkops.json"), &marker::encode(&marker));
    assert_eq!(ask(&owner(3, "7b0c")), "myid 3");
    assert_eq!(ask(&Owner::default()), "myid 3", "a zoo.cfg that asks for nothing");
    for foreign in [owner(2, "7b0c"), owner(3, "9d")] {
        let said = format!(
            "/data holds the data of member 3 of cluster orders (7b0c), and this server was started for {foreign}"
        );
        assert_eq!(ask(&foreign), said);
    }
    disk.put(Path::new("/data/myid"), b"2\n");
    assert!(ask(&Owner::default()).starts_with("/data holds the data of member 2, as its myid says"));
    disk.put(Path::new("/data/zkops.json"), b"{");
    assert!(ask(&owner(3, "7b0c")).starts_with("/data/zkops.json does not say whose data this is: EOF"));
}

#[test]
fn leftovers_go_and_look_alikes_are_named() {
    let disk = MemDisk::new(1);
    open(&disk).unwrap();
    disk.put(&path("new.log.5"), b"half");
    disk.put(&path("new.received.snapshot.9"), b"half");
    disk.put(&path("log.5.bak"), b"a copy");
    disk.put(&path("log.9"), b"ZKLG");
    let (_, recovered) = open(&disk).unwrap();
    assert_eq!(files(&disk), "log.5.bak snapshot.0");
    let notes = recovered.notes.join("\n");
    assert!(notes.contains("log.5.bak is not read") && notes.contains("log.9 held nothing"), "{notes}");
    assert!(disk.bytes(&path("aside.empty.log.9")).is_some());
}

#[test]
fn an_unknown_txn_stops_the_start_with_its_place() {
    let disk = MemDisk::new(1);
    {
        let (mut store, _) = open(&disk).unwrap();
        log(&mut store, 0, 1..=1);
        let mut unknown = txn(Zxid(2)).to_vec();
        unknown[28..32].copy_from_slice(&77i32.to_be_bytes());
        store.append(Zxid(2), &unknown.into()).unwrap();
        store.flush().unwrap();
    }
    let text = open(&disk).err().unwrap().to_string();
    assert!(text.contains("log.1 holds an entry at byte") && text.contains("zxid 0x2"), "{text}");
}

#[test]
fn torn_bytes_are_cut_and_kept_aside() {
    let disk = MemDisk::new(1);
    {
        let (mut store, _) = open(&disk).unwrap();
        log(&mut store, 0, 1..=2);
        store.close().unwrap();
    }
    let whole = disk.bytes(&path("log.1")).unwrap();
    let torn_at = whole.len() - 13 - txn(Zxid(2)).len();
    disk.edit(&path("log.1"), |bytes| {
        bytes.truncate(bytes.len() - 5);
        bytes.resize(8192, 0);
    });
    let (_, recovered) = open(&disk).unwrap();
    assert_eq!(nodes(&recovered.tree), "0:1");
    assert_eq!(disk.bytes(&path("log.1")).unwrap(), whole[..torn_at], "cut right behind the last good entry");
    let aside = disk.bytes(&path(&format!("aside.torn.log.1-at-{torn_at:x}"))).unwrap();
    assert!(whole[torn_at..whole.len() - 5].starts_with(&aside), "all but the zeros at its end");
    assert!(aside.len() > 60);
    assert!(recovered.notes[0].contains("cut short at byte"), "{:?}", recovered.notes);
    let (_, recovered) = open(&disk).unwrap();
    assert!(recovered.notes.is_empty(), "{:?}", recovered.notes);
}

/// Found by the simulator: a start that wrote its log again wrote what a bad read had given it.
#[test]
fn a_bad_read_at_a_start_leaves_the_disk_as_it_was() {
    let disk = MemDisk::new(1);
    let mut store = in_epoch(&disk, 2);
    log(&mut store, 1, 1..=5);
    snapshot_of(&store, &tree_of((1..=2).map(|n| z(1, n)))).unwrap();
    store.roll().unwrap();
    log(&mut store, 2, 1..=4);
    drop(store);
    disk.end_process();
    let reads = {
        let disk = disk.copy();
        let before = disk.reads();
        open(&disk).unwrap();
        disk.reads() - before
    };
    assert!(reads > 5, "{reads}");
    for (seed, read) in (0..40).flat_map(|seed| (0..reads).map(move |read| (seed, read))) {
        for fault in [ReadFault::Flip, ReadFault::Io] {
            let disk = disk.copy();
            disk.reseed(seed);
            disk.fail_read_at(disk.reads() + read, fault);
            drop(open(&disk));
            disk.end_process();
            disk.clear_read_faults();
            let (_, recovered) = open(&disk).unwrap();
            let what = format!("{fault:?} at read {read}, seed {seed}");
            assert_eq!(nodes(&recovered.tree), "1:1 1:2 1:3 1:4 1:5 2:1 2:2 2:3 2:4", "{what}");
        }
    }
}
