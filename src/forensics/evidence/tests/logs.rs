//! Files that the store wrote, read back: all that was written, damage named wherever a bit is flipped, and a server
//! that writes on meanwhile.

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use proptest::prelude::{any, prop, proptest};
use tempfile::TempDir;

use crate::forensics::evidence::chop::{self, NotChopped};
use crate::forensics::evidence::logs::read_all;
use crate::forensics::evidence::place::{self, Kind, Lost, Place};
use crate::forensics::inquiry::seen::{Damage, Seen};
use crate::formats::log::{Tail, zxid_of};
use crate::server::store::{Dirs, RealDisk, Settings, Store};
use crate::server::tree::{CreateTxn, CreatedNode, Txn, TxnBody, TxnHeader};
use crate::wire::ids::{SessionId, Zxid};

fn txn(zxid: i64, data: &[u8]) -> Bytes {
    let body = TxnBody::Create(CreateTxn {
        path: format!("/n{zxid:x}").as_str().into(),
        data: Some(data.to_vec().into()),
        acl: None,
        node: CreatedNode::Plain { ephemeral: false },
        parent_cversion: Some(1),
    });
    let header =
        TxnHeader { session: SessionId(7), cxid: 1, zxid: Zxid(zxid), time_ms: 1_800_000_000_000, kind: 1 };
    Txn { header, body, digest: None }.encode()
}

fn store(dir: &Path) -> Store<RealDisk> {
    let dirs = Dirs { data: dir.to_owned(), log: dir.to_owned() };
    let settings =
        Settings { prealloc_bytes: 4096, snap_count: 1_000_000, force_sync: false, ..Settings::default() };
    let (store, _) = Store::open(RealDisk, dirs, settings).unwrap();
    store
}

/// A directory with a log of these transactions for each slice.
fn written(logs: &[&[Bytes]]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for txns in logs {
        // Every start begins a new log.
        let mut store = store(dir.path());
        for txn in *txns {
            store.append(zxid_of(txn).unwrap(), txn).unwrap();
        }
        store.flush().unwrap();
    }
    dir
}

fn three() -> TempDir {
    let all: Vec<_> = (1..=9).map(|zxid| txn(zxid, &[b'd'; 40])).collect();
    written(&[&all[..3], &all[3..6], &all[6..]])
}

fn logs(path: &Path) -> Place {
    place::find(path, Kind::Logs).unwrap()
}

#[derive(Debug, Default)]
struct Heard {
    txns: Vec<Bytes>,
    damages: Vec<(PathBuf, Damage)>,
    torn: u64,
    gone: u64,
}

fn heard(place: &Place) -> Heard {
    let mut heard = Heard::default();
    let read = read_all(place, &mut |file, seen| {
        match seen {
            Seen::Txn { txn, .. } => heard.txns.push(txn),
            Seen::Damage(damage) => heard.damages.push((file.path.clone(), damage)),
            Seen::End { tail, .. } => heard.torn += u64::from(tail != Tail::Clean),
            Seen::Gone => heard.gone += 1,
        }
        ControlFlow::Continue(())
    });
    read.unwrap();
    heard
}

proptest! {
    #![proptest_config(prop::test_runner::Config::with_cases(12))]
    #[test]
    fn what_the_store_wrote_is_what_is_read(
        sizes in prop::collection::vec(prop::collection::vec(0..3000_usize, 1..12), 1..4),
        byte in any::<u8>(),
    ) {
        let mut zxid = 0;
        let mut next = |len| {
            zxid += 1;
            txn(zxid, &vec![byte; len])
        };
        let all: Vec<Vec<Bytes>> =
            sizes.into_iter().map(|sizes| sizes.into_iter().map(&mut next).collect()).collect();
        let dir = written(&all.iter().map(Vec::as_slice).collect::<Vec<_>>());
        let heard = heard(&logs(dir.path()));
        assert_eq!(heard.txns, all.concat());
        assert!(heard.damages.is_empty() && heard.torn == 0, "{heard:?}");
    }
}

#[test]
fn a_flipped_bit_is_named_wherever_it_is_and_the_others_are_read() {
    let dir = three();
    let path = dir.path().join("version-2/log.4");
    let whole = fs::read(&path).unwrap();
    let last = whole.iter().rposition(|byte| *byte != 0).unwrap();
    for byte in 0..=last {
        let mut bytes = whole.clone();
        bytes[byte] ^= 1 << (byte % 8);
        fs::write(&path, &bytes).unwrap();
        let heard = heard(&logs(dir.path()));
        let place = format!("byte {byte}");
        // Behind the magic a header has numbers that nobody looks at.
        let (damages, txns) = match byte {
            0..4 => (1, 9),
            4..16 => (0, 9),
            _ => (1, 8),
        };
        assert_eq!(heard.damages.len(), damages, "{place}: {heard:?}");
        assert_eq!(heard.txns.len(), txns, "{place}: {heard:?}");
        assert!(heard.damages.iter().all(|(file, damage)| *file == path && damage.offset <= byte as u64));
    }
}

#[test]
fn a_log_cut_anywhere_is_cut_short_and_not_damaged() {
    let dir = three();
    let path = dir.path().join("version-2/log.7");
    let whole = fs::read(&path).unwrap();
    let last = whole.iter().rposition(|byte| *byte != 0).unwrap();
    for len in 0..=last + 1 {
        fs::write(&path, &whole[..len]).unwrap();
        let heard = heard(&logs(dir.path()));
        assert!(heard.damages.is_empty(), "cut to {len}: {heard:?}");
        assert!((6..=9).contains(&heard.txns.len()));
    }
}

#[test]
fn paths_lead_to_logs() {
    let dir = three();
    let names = |path: &Path| -> Vec<String> {
        let name = |path: &Path| path.file_name().unwrap().to_string_lossy().into_owned();
        logs(path).files.iter().map(|file| name(&file.path)).collect()
    };
    let version_2 = dir.path().join("version-2");
    let config = dir.path().join("zoo.cfg");
    fs::write(&config, format!("dataDir={}\nclientPort=nonsense\n", dir.path().display())).unwrap();
    for path in [dir.path(), &version_2, &config] {
        assert_eq!(names(path), ["log.1", "log.4", "log.7"], "{}", path.display());
    }
    assert_eq!(names(&version_2.join("log.4")), ["log.4"]);
    // What was set aside is a log by what it holds.
    let aside = version_2.join("aside.damaged.log.4");
    fs::copy(version_2.join("log.4"), &aside).unwrap();
    assert_eq!(names(&aside), ["aside.damaged.log.4"]);
    assert_eq!(names(dir.path()), ["log.1", "log.4", "log.7"]);

    // A name alone makes no log.
    fs::create_dir(version_2.join("log.99")).unwrap();
    assert_eq!(names(dir.path()), ["log.1", "log.4", "log.7"]);

    let lost = |path: &Path| place::find(path, Kind::Logs).unwrap_err();
    assert!(matches!(lost(&version_2.join("snapshot.0")), Lost::Other { is: "snapshot", .. }));
    assert!(matches!(lost(&version_2.join("currentEpoch")), Lost::Unknown { .. }));
    assert!(matches!(lost(&version_2.join("log.98")), Lost::Unreadable { .. }));
    assert!(matches!(lost(Path::new("/dev/null")), Lost::Unknown { .. }));
    assert!(matches!(lost(tempfile::tempdir().unwrap().path()), Lost::Empty { .. }));
}

#[test]
fn a_log_that_is_purged_meanwhile_is_passed_over() {
    let dir = three();
    let place = logs(dir.path());
    fs::remove_file(dir.path().join("version-2/log.1")).unwrap();
    let heard = heard(&place);
    assert_eq!((heard.gone, heard.txns.len(), heard.damages.len()), (1, 6, 0));
}

/// What is half written when it is read is no damage, and what was read is what was written, in order.
#[test]
fn a_log_that_grows_while_it_is_read_has_a_clean_beginning() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = store(dir.path());
    store.append(Zxid(1), &txn(1, b"first")).unwrap();
    store.flush().unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for zxid in 2..600 {
                store.append(Zxid(zxid), &txn(zxid, &vec![b'x'; (zxid * 37 % 9000) as usize])).unwrap();
                store.flush().unwrap();
            }
            done.store(true, Ordering::SeqCst);
        });
        let (mut looks, mut most) = (0, 0);
        while !done.load(Ordering::SeqCst) || looks == 0 {
            let heard = heard(&logs(dir.path()));
            assert!(heard.damages.is_empty(), "{:?}", heard.damages);
            assert!(heard.txns.iter().zip(1..).all(|(txn, zxid)| zxid_of(txn) == Some(Zxid(zxid))));
            assert!(most <= heard.txns.len(), "what was there is gone");
            (looks, most) = (looks + 1, heard.txns.len());
        }
    });
    assert_eq!(heard(&logs(dir.path())).txns.len(), 599);
}

#[test]
fn looking_changes_nothing() {
    let dir = three();
    let state = || -> Vec<_> {
        let entries = fs::read_dir(dir.path().join("version-2")).unwrap().map(Result::unwrap);
        let mut state: Vec<_> = entries
            .map(|entry| {
                (
                    entry.file_name(),
                    entry.metadata().unwrap().modified().unwrap(),
                    fs::read(entry.path()).unwrap(),
                )
            })
            .collect();
        state.sort();
        state
    };
    let before = state();
    heard(&logs(dir.path()));
    assert_eq!(state(), before);
}

#[test]
fn the_beginning_of_a_log_is_copied_and_nothing_replaced() {
    let dir = three();
    let version_2 = dir.path().join("version-2");
    let log = version_2.join("log.4");
    let before = fs::read(&log).unwrap();
    let out = dir.path().join("log.4");
    let chopped = chop::chop(&logs(&log), Zxid(5), &out).unwrap();
    assert_eq!((chopped.txns, chopped.first, chopped.last, chopped.is_shorter), (2, Zxid(4), Zxid(5), true));
    assert_eq!(heard(&logs(&out)).txns, [txn(4, &[b'd'; 40]), txn(5, &[b'd'; 40])]);
    let copy = fs::read(&out).unwrap();
    assert_eq!(copy, before[..copy.len()], "byte for byte what stands in the log");

    let again = chop::chop(&logs(&log), Zxid(6), &out);
    assert!(matches!(again, Err(NotChopped::Taken(_))), "{again:?}");
    assert_eq!(fs::read(&out).unwrap(), copy);
    let beside = chop::chop(&logs(&log), Zxid(5), &version_2.join("log.5"));
    assert!(matches!(beside, Err(NotChopped::Beside(_))), "{beside:?}");
    let nothing = chop::chop(&logs(&log), Zxid(3), &dir.path().join("none"));
    assert!(matches!(nothing, Err(NotChopped::Nothing { .. })), "{nothing:?}");

    // Damage is not copied; what stands before it is.
    let mut bytes = before.clone();
    bytes[before.iter().rposition(|byte| *byte == b'd').unwrap()] ^= 1;
    fs::write(&log, bytes).unwrap();
    let damaged = chop::chop(&logs(&log), Zxid(6), &dir.path().join("none"));
    assert!(
        matches!(&damaged, Err(NotChopped::Damaged { damage, .. }) if damage.after == Zxid(5)),
        "{damaged:?}"
    );
    chop::chop(&logs(&log), Zxid(5), &dir.path().join("before")).unwrap();
    let left: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().starts_with(".tmp")), "{left:?}");
    assert_eq!(fs::read(dir.path().join("before")).unwrap(), copy);
}
