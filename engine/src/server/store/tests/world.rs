//! What the tests share: directories, txns with known effects, and what a tree looks like.

use std::path::{Path, PathBuf};

use bytes::Bytes;

use crate::server::store::mem::MemDisk;
use crate::server::store::{Dirs, Recovered, Refusal, Settings, Store};
use crate::server::tree::{CreateTxn, CreatedNode, Tree, Txn, TxnBody, TxnHeader, snapshot};
use crate::wire::ids::{Epoch, SessionId, Zxid};

pub(super) const DIR: &str = "/data/version-2";

pub(super) fn dirs() -> Dirs {
    Dirs { data: "/data".into(), log: "/data".into() }
}

pub(super) fn path(name: &str) -> PathBuf {
    Path::new(DIR).join(name)
}

/// Small files, one sync per flush.
pub(super) fn settings() -> Settings {
    Settings { prealloc_bytes: 4096, snap_count: 10, ..Settings::default() }
}

pub(super) fn open(disk: &MemDisk) -> Result<(Store<MemDisk>, Recovered), Refusal> {
    Store::open(disk.clone(), dirs(), settings())
}

/// A new directory of a server that has reached this epoch.
pub(super) fn in_epoch(disk: &MemDisk, epoch: i64) -> Store<MemDisk> {
    let (mut store, _) = open(disk).unwrap();
    store.write_accepted_epoch(Epoch(epoch)).unwrap();
    store.write_current_epoch(Epoch(epoch)).unwrap();
    store
}

/// Epoch and counter.
pub(super) fn z(epoch: i64, counter: u32) -> Zxid {
    Zxid::new(Epoch(epoch), counter)
}

/// Creates `/n<zxid>` with data that spans sectors now and then.
pub(super) fn txn(zxid: Zxid) -> Bytes {
    let data = vec![b'd'; if zxid.counter().is_multiple_of(3) { 1500 } else { 10 }];
    let body = TxnBody::Create(CreateTxn {
        path: format!("/n{:x}", zxid.0).as_str().into(),
        data: Some(data.into()),
        acl: None,
        node: CreatedNode::Plain { ephemeral: false },
        parent_cversion: Some(-1),
    });
    let header = TxnHeader { session: SessionId(7), cxid: 1, zxid, time_ms: 1_800_000_000_000, kind: 1 };
    Txn { header, body, digest: None }.encode()
}

/// The nodes that `txn` made, as `1:2` for epoch 1, counter 2; sorted by zxid.
pub(super) fn nodes(tree: &Tree) -> String {
    let (children, _) = tree.get_children("/", &[]).expect("the root can be listed");
    let mut zxids: Vec<i64> =
        children.names().filter_map(|name| i64::from_str_radix(name.strip_prefix('n')?, 16).ok()).collect();
    zxids.sort_unstable();
    let texts: Vec<_> = zxids.iter().map(|zxid| text(Zxid(*zxid))).collect();
    texts.join(" ")
}

pub(super) fn text(zxid: Zxid) -> String {
    if zxid == Zxid::NONE { "none".to_owned() } else { format!("{}:{}", zxid.epoch(), zxid.counter()) }
}

pub(super) fn tail(recovered: &Recovered) -> String {
    recovered.tail.iter().map(|(zxid, _)| text(*zxid)).collect::<Vec<_>>().join(" ")
}

/// A tree after these txns.
pub(super) fn tree_of(zxids: impl IntoIterator<Item = Zxid>) -> Tree {
    let mut tree = Tree::new();
    for zxid in zxids {
        tree.apply(&Txn::decode(txn(zxid)).expect("our own txn"));
    }
    tree
}

/// The body that a leader would send of `tree`.
pub(super) fn body(tree: &Tree) -> Bytes {
    snapshot::encode_body(tree)
}

/// Appends and flushes txns of one epoch.
pub(super) fn log(store: &mut Store<MemDisk>, epoch: i64, counters: std::ops::RangeInclusive<u32>) {
    for counter in counters {
        store.append(z(epoch, counter), &txn(z(epoch, counter))).unwrap();
    }
    store.flush().unwrap();
}

/// Writes a snapshot of `tree` as the snapshot thread does.
pub(super) fn snapshot_of(store: &Store<MemDisk>, tree: &Tree) -> Option<PathBuf> {
    let mut file = store.begin_snapshot(tree.last_zxid()).unwrap();
    body(tree).chunks(400).for_each(|chunk| file.write(chunk).unwrap());
    file.finish(Some((tree.last_zxid(), tree.digest())), tree.last_zxid()).unwrap()
}

/// The names in the directory that a server would read, and the epochs.
pub(super) fn files(disk: &MemDisk) -> String {
    use crate::server::store::disk::Disk;
    let names = disk.list(Path::new(DIR)).unwrap();
    let ours = |name: &str| name.starts_with("aside.") || name.starts_with("zkops.");
    let shown = names.iter().filter(|name| !ours(name) && !name.ends_with("Epoch"));
    shown.cloned().collect::<Vec<_>>().join(" ")
}
