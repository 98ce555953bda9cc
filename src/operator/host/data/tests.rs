//! A member's data as it is found on a host, and the marker that says whose it is.

use std::fs;
use std::path::{Path, PathBuf};

use super::records::{Damage, DataFile, InspectData, Inspection, NumberFile, OddFile, WriteMarker};
use crate::formats::marker::Marker;
use crate::operator::host::agent::tests::host;
use crate::operator::host::failure::Kind;

async fn inspect(dir: &Path, log_dir: Option<PathBuf>) -> Inspection {
    *host(dir).inspect_data(InspectData { data_dir: dir.join("data"), log_dir }).await.unwrap()
}

/// A healthy member's directory.
fn healthy(dir: &Path) -> PathBuf {
    let data = dir.join("data");
    let version_2 = data.join("version-2");
    fs::create_dir_all(&version_2).unwrap();
    fs::write(data.join("myid"), "3\n").unwrap();
    fs::write(version_2.join("acceptedEpoch"), "2").unwrap();
    fs::write(version_2.join("currentEpoch"), "2").unwrap();
    fs::write(version_2.join("snapshot.0"), SNAPSHOT).unwrap();
    fs::write(version_2.join("log.100000001"), LOG).unwrap();
    fs::write(version_2.join("snapshot.1000000ff"), SNAPSHOT).unwrap();
    fs::write(version_2.join("log.200000001"), LOG).unwrap();
    data
}

#[tokio::test]
async fn nothing_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let seen = inspect(dir.path(), None).await;
    assert!(!seen.data_dir_exists && seen.empty && seen.damage.is_empty() && seen.unreadable.is_empty());
}

#[tokio::test]
async fn a_prepared_directory_is_empty_though_it_has_an_id() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("data")).unwrap();
    fs::write(dir.path().join("data/myid"), "3").unwrap();
    fs::write(dir.path().join("data/initialize"), "").unwrap();
    let seen = inspect(dir.path(), None).await;
    assert!(seen.data_dir_exists && seen.empty && seen.initialize);
    assert_eq!(seen.myid.unwrap().value, Some(3));
    assert_eq!((seen.foreign_count, seen.damage), (0, vec![]));
}

#[tokio::test]
async fn a_healthy_member() {
    let dir = tempfile::tempdir().unwrap();
    healthy(dir.path());
    let seen = inspect(dir.path(), None).await;
    assert!(!seen.empty);
    assert_eq!(seen.accepted_epoch.unwrap().value, Some(2));
    let zxids = |files: &[DataFile]| files.iter().map(|file| file.zxid).collect::<Vec<_>>();
    assert_eq!(zxids(&seen.snapshots), [0, 0x1_0000_00ff]);
    assert_eq!(zxids(&seen.logs), [0x1_0000_0001, 0x2_0000_0001]);
    assert_eq!(seen.zxid_by_name, Some(0x2_0000_0001));
    assert_eq!(seen.total_bytes, 2 + 1 + 1 + 2 * (SNAPSHOT.len() + LOG.len()) as u64);
    assert_eq!((seen.damage, seen.notes, seen.foreign_count), (vec![], vec![], 0));
}

#[tokio::test]
async fn logs_in_a_directory_of_their_own() {
    let dir = tempfile::tempdir().unwrap();
    healthy(dir.path());
    let logs = dir.path().join("logs");
    fs::create_dir_all(logs.join("version-2")).unwrap();
    fs::write(logs.join("version-2/log.300000001"), LOG).unwrap();
    let seen = inspect(dir.path(), Some(logs)).await;
    assert!(seen.log_dir_exists);
    assert_eq!((seen.logs.len(), seen.zxid_by_name), (3, Some(0x3_0000_0001)));
}

/// Changes a healthy directory, and says all damage that is to be seen then.
async fn check_damage(change: impl FnOnce(&Path), expected: impl FnOnce(&Path) -> Vec<Damage>) {
    let dir = tempfile::tempdir().unwrap();
    let data = healthy(dir.path());
    change(&data);
    let seen = inspect(dir.path(), None).await;
    assert_eq!(seen.damage, expected(&data.join("version-2")), "notes: {:?}", seen.notes);
}

fn nothing(_: &Path) -> Vec<Damage> {
    Vec::new()
}

fn not_a_number(file: NumberFile, raw: &str) -> Vec<Damage> {
    vec![Damage::NotANumber { file, raw: raw.into() }]
}

fn odd(path: PathBuf, how: &str) -> OddFile {
    OddFile { path, how: how.into() }
}

#[tokio::test]
async fn damage_is_told_from_what_a_server_survives() {
    let write = |path: &'static str, bytes: &'static [u8]| {
        move |data: &Path| fs::write(data.join("version-2").join(path), bytes).unwrap()
    };
    let myid = |data: &Path| fs::write(data.join("myid"), "three").unwrap();
    check_damage(myid, |_| not_a_number(NumberFile::Myid, "three")).await;
    check_damage(write("acceptedEpoch", b""), |_| not_a_number(NumberFile::AcceptedEpoch, "")).await;
    check_damage(write("currentEpoch", b"x"), |_| not_a_number(NumberFile::CurrentEpoch, "x")).await;
    check_damage(write("acceptedEpoch", b"1"), |_| vec![Damage::EpochsReversed { accepted: 1, current: 2 }])
        .await;
    for log in ["log.200000001", "log.100000001"] {
        check_damage(write(log, b"garbage, all of it"), |version_2| {
            vec![Damage::BadLog(odd(version_2.join(log), "does not begin with ZKLG"))]
        })
        .await;
    }
    // An older snapshot and the logs replace a torn one.
    check_damage(write("snapshot.1000000ff", &SNAPSHOT[..20]), nothing).await;
    check_damage(write("log.200000001", b""), nothing).await;
    check_damage(write("log.200000001", &LOG[..9]), nothing).await;
    let none = |data: &Path| {
        fs::remove_file(data.join("version-2/snapshot.0")).unwrap();
        fs::remove_file(data.join("version-2/snapshot.1000000ff")).unwrap();
    };
    check_damage(none, |_| vec![Damage::LogsWithoutSnapshot]).await;
    let file = |data: &Path| {
        fs::remove_dir_all(data.join("version-2")).unwrap();
        fs::write(data.join("version-2"), "").unwrap();
    };
    let in_the_way = |version_2: &Path| vec![Damage::NotADirectory { path: version_2.into() }];
    check_damage(file, in_the_way).await;
}

#[tokio::test]
async fn all_damage_is_told_and_each_snapshot_that_is_odd() {
    let change = |data: &Path| {
        fs::write(data.join("myid"), "three").unwrap();
        fs::write(data.join("version-2/snapshot.0"), "x").unwrap();
        fs::write(data.join("version-2/snapshot.1000000ff"), "x").unwrap();
    };
    check_damage(change, |version_2| {
        let odd = |name: &str| odd(version_2.join(name), "does not begin with ZKSN");
        let all = Damage::NoSnapshotLoads { odd: vec![odd("snapshot.1000000ff"), odd("snapshot.0")] };
        not_a_number(NumberFile::Myid, "three").into_iter().chain([all]).collect()
    })
    .await;
}

#[tokio::test]
async fn compressed_snapshots_count() {
    let gzip = |data: &Path| {
        fs::remove_file(data.join("version-2/snapshot.0")).unwrap();
        fs::rename(data.join("version-2/snapshot.1000000ff"), data.join("version-2/snapshot.1000000ff.gz"))
            .unwrap();
        fs::write(data.join("version-2/snapshot.1000000ff.gz"), [0x1f, 0x8b, 8, 0]).unwrap();
    };
    check_damage(gzip, nothing).await;
    check_damage(
        |data| {
            gzip(data);
            fs::write(data.join("version-2/snapshot.1000000ff.gz"), "plain").unwrap();
        },
        |version_2| {
            let odd = vec![odd(version_2.join("snapshot.1000000ff.gz"), "is not gzip")];
            vec![Damage::NoSnapshotLoads { odd }]
        },
    )
    .await;
}

#[tokio::test]
async fn strangers_are_listed() {
    let dir = tempfile::tempdir().unwrap();
    let data = healthy(dir.path());
    fs::write(data.join("precious.db"), "1234").unwrap();
    fs::write(data.join("version-2/notes.txt"), "").unwrap();
    fs::write(data.join("version-2/log.200000001.tmp"), "").unwrap();
    fs::write(data.join("version-2/currentEpoch.tmp"), "").unwrap();
    fs::create_dir(data.join("lost+found")).unwrap();
    let seen = inspect(dir.path(), None).await;
    // ZooKeeper takes `log.200000001.tmp` for a log (TRAP D1): it is listed as one.
    assert_eq!(seen.foreign, [data.join("precious.db"), data.join("version-2/notes.txt")]);
    assert_eq!(seen.logs.len(), 3);
}

fn marker(member: i64) -> Marker {
    Marker { cluster: "orders".into(), member, uuid: "7b0c".into() }
}

#[tokio::test]
async fn the_marker_guards_against_another_identity() {
    let dir = tempfile::tempdir().unwrap();
    let data = healthy(dir.path());
    let link = host(dir.path());
    let write = |member, replace| {
        link.write_marker(WriteMarker {
            data_dir: data.clone(),
            marker: marker(member),
            replace,
            owner: None,
        })
    };
    assert_eq!(inspect(dir.path(), None).await.marker, None);
    assert!(write(3, false).await.unwrap());
    assert!(!write(3, false).await.unwrap(), "the same again is no change");
    assert_eq!(inspect(dir.path(), None).await.marker, Some(marker(3)));
    let error = write(2, false).await.unwrap_err();
    assert_eq!(error.kind(), Some(Kind::Foreign));
    assert!(error.to_string().contains("member 3 of cluster orders"), "{error}");
    assert!(write(2, true).await.unwrap());
    assert_eq!(inspect(dir.path(), None).await.marker, Some(marker(2)));
    fs::write(data.join("zkops.json"), "{").unwrap();
    let Inspection { unreadable, damage, .. } = inspect(dir.path(), None).await;
    assert!(matches!(&damage[..], [Damage::BadMarker(_)]), "no server starts on it: {damage:?}");
    assert_eq!(unreadable.iter().map(|failure| failure.kind).collect::<Vec<_>>(), [Kind::Foreign]);
}

#[tokio::test]
async fn a_marker_needs_its_directory() {
    let dir = tempfile::tempdir().unwrap();
    let request =
        WriteMarker { data_dir: dir.path().join("none"), marker: marker(1), replace: false, owner: None };
    assert_eq!(host(dir.path()).write_marker(request).await.unwrap_err().kind(), Some(Kind::NotFound));
}

/// A snapshot's first bytes and its last: a seal (disk-format §3.2).
const SNAPSHOT: &[u8] = b"ZKSN\0\0\0\x02\xff\xff\xff\xff\xff\xff\xff\xff....\0\0\0\x01/";
/// A log's header (disk-format §2.1).
const LOG: &[u8] = b"ZKLG\0\0\0\x02\0\0\0\0\0\0\0\0";
