//! A directory that Apache ZooKeeper 3.8.0 wrote (tests/data/apache-3.8/README.md).

use std::path::Path;

use super::world::*;
use crate::server::store::mem::MemDisk;
use crate::server::store::{Recovered, Settings, Store};
use crate::wire::ids::Zxid;

fn directory(without: &[&str]) -> MemDisk {
    let disk = MemDisk::new(1);
    for (name, bytes) in FILES.iter().filter(|(name, _)| !without.contains(name)) {
        disk.put(&path(name), bytes);
    }
    disk
}

fn load(disk: &MemDisk) -> Recovered {
    let settings = Settings { quorum: false, ..settings() };
    Store::open(disk.clone(), dirs(), settings).unwrap_or_else(|refusal| panic!("{refusal}")).1
}

fn check_nodes(recovered: &Recovered, when: &str) {
    for (path, data, [czxid, mzxid, pzxid, version, cversion, aversion]) in NODES {
        let (found, stat) =
            recovered.tree.get_data(path, &[]).unwrap_or_else(|code| panic!("{when}: {path}: {code:?}"));
        assert_eq!(found.unwrap_or_default(), data.as_bytes(), "{when}: {path}");
        assert_eq!(
            (stat.czxid, stat.mzxid, stat.pzxid),
            (Zxid(czxid), Zxid(mzxid), Zxid(pzxid)),
            "{when}: {path}"
        );
        let versions = (i64::from(stat.version), i64::from(stat.cversion), i64::from(stat.aversion));
        assert_eq!(versions, (version, cversion, aversion), "{when}: {path}");
    }
    assert!(recovered.tree.exists("/stadt-ü", &[]).is_ok(), "{when}");
    assert!(recovered.tree.exists("/never", &[]).is_err(), "{when}: the multi failed");
    assert!(recovered.tree.exists("/gone", &[]).is_err(), "{when}: its session was closed");
}

#[test]
fn it_loads_from_each_of_its_snapshots_with_matching_digests() {
    for (without, what) in [
        (&[][..], "snappy"),
        (&["snapshot.20.snappy"][..], "gzip"),
        (&["snapshot.20.snappy", "snapshot.1a.gz"][..], "plain, and all logs"),
    ] {
        let recovered = load(&directory(without));
        assert_eq!(recovered.notes, Vec::<String>::new(), "{what}: any digest that differs would be named");
        assert!(recovered.tree.last_zxid() >= Zxid(0x21), "{what}");
        check_nodes(&recovered, what);
    }
}

#[test]
fn all_ways_lead_to_the_same_tree() {
    let whole = load(&directory(&[]));
    let replayed = load(&directory(&["snapshot.20.snappy", "snapshot.1a.gz"]));
    assert_eq!(whole.tree.digest(), replayed.tree.digest());
    assert_eq!(whole.tree.last_zxid(), replayed.tree.last_zxid());
    assert!(whole.tree.sessions().eq(replayed.tree.sessions()));
    assert_eq!(whole.tree.node_count(), replayed.tree.node_count());
}

#[test]
fn without_its_first_log_it_is_refused() {
    let disk = directory(&["snapshot.20.snappy", "snapshot.1a.gz", "log.1"]);
    let refused = Store::open(disk, dirs(), settings()).err().unwrap().to_string();
    assert!(refused.contains("txns are missing: after 0x0"), "{refused}");
}

#[test]
fn our_log_goes_on_where_theirs_ended() {
    let disk = directory(&[]);
    let settings = Settings { quorum: false, ..settings() };
    let (mut store, recovered) = Store::open(disk.clone(), dirs(), settings.clone()).unwrap();
    let next = Zxid(recovered.tree.last_zxid().0 + 1);
    store.append(next, &txn(next)).unwrap();
    store.flush().unwrap();
    drop(store);
    let (_, recovered) = Store::open(disk.clone(), dirs(), settings).unwrap();
    assert_eq!(recovered.tree.last_zxid(), next);
    assert!(disk.bytes(Path::new(&path(&format!("log.{:x}", next.0)))).is_some());
}

const FILES: [(&str, &[u8]); 6] = [
    ("snapshot.0", include_bytes!("../../../../../tests/data/apache-3.8/version-2/snapshot.0")),
    ("log.1", include_bytes!("../../../../../tests/data/apache-3.8/version-2/log.1")),
    ("snapshot.1a.gz", include_bytes!("../../../../../tests/data/apache-3.8/version-2/snapshot.1a.gz")),
    ("log.1b", include_bytes!("../../../../../tests/data/apache-3.8/version-2/log.1b")),
    (
        "snapshot.20.snappy",
        include_bytes!("../../../../../tests/data/apache-3.8/version-2/snapshot.20.snappy"),
    ),
    ("log.21", include_bytes!("../../../../../tests/data/apache-3.8/version-2/log.21")),
];

/// Path, data, czxid, mzxid, pzxid, version, cversion, aversion as the reference itself told a
/// client after its third start.
const NODES: [(&str, &str, [i64; 6]); 12] = [
    ("/a", "", [22, 22, 23, 0, 1, 0]),
    ("/a/b", "", [23, 23, 24, 0, 1, 0]),
    ("/a/b/c", "", [24, 24, 31, 0, 2, 0]),
    ("/multi", "second run", [12, 32, 12, 1, 2, 0]),
    ("/orders", "multi", [2, 12, 30, 3, 9, 1]),
    ("/orders/item-0000000000", "", [3, 3, 3, 0, 0, 0]),
    ("/orders/item-0000000002", "xx", [5, 5, 5, 0, 0, 0]),
    ("/orders/item-0000000003", "xxx", [6, 6, 6, 0, 0, 0]),
    ("/orders/item-0000000004", "xxxx", [7, 7, 7, 0, 0, 0]),
    ("/orders/late-0000000005", "y", [28, 28, 28, 0, 0, 0]),
    ("/orders/late-0000000006", "y", [29, 29, 29, 0, 0, 0]),
    ("/orders/late-0000000007", "y", [30, 30, 30, 0, 0, 0]),
];
