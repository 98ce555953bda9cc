//! Batches as `zab` hands them over, and a life on the machine's own disk.

use bytes::Bytes;

use super::world::*;
use crate::formats::compression::Compression;
use crate::server::store::mem::{Fault, MemDisk};
use crate::server::store::{Dirs, Done, RealDisk, Refusal, Settings, Store};
use crate::server::zab::PersistOp;
use crate::wire::ids::{Epoch, Zxid};

fn append(zxid: Zxid) -> PersistOp {
    PersistOp::Append { zxid, txn: txn(zxid) }
}

#[test]
fn appends_in_a_row_share_one_sync_and_all_else_keeps_its_place() {
    let disk = MemDisk::new(1);
    let (mut store, _) = open(&disk).unwrap();
    store.apply_batch(&[append(z(1, 1))]).unwrap();
    let before = disk.operations();
    let done = store.apply_batch(&(2..=50).map(|n| append(z(1, n))).collect::<Vec<_>>()).unwrap();
    assert_eq!(done.len(), 49);
    assert!(disk.operations() - before <= 3, "grow, write, sync; not {}", disk.operations() - before);
    let ops = [
        append(z(1, 51)),
        PersistOp::AcceptedEpoch(Epoch(2)),
        PersistOp::Truncate { to: z(1, 50) },
        PersistOp::CurrentEpoch(Epoch(2)),
        append(z(2, 1)),
    ];
    let done = store.apply_batch(&ops).unwrap();
    let Done::Reloaded(recovered) = &done[2] else { panic!("a truncation answers with the state") };
    assert_eq!(recovered.tree.last_zxid(), z(1, 50));
    assert_eq!(recovered.accepted_epoch, Epoch(2));
    assert_eq!((store.accepted_epoch(), store.current_epoch()), (Epoch(2), Epoch(2)));
    let mut theirs = tree_of([z(2, 1)]);
    theirs.set_last_zxid(z(3, 0));
    let ops = [
        append(z(2, 2)),
        PersistOp::InstallSnapshot { zxid: z(3, 0), body: body(&theirs) },
        PersistOp::AcceptedEpoch(Epoch(3)),
        PersistOp::CurrentEpoch(Epoch(3)),
        append(z(3, 1)),
    ];
    store.apply_batch(&ops).unwrap();
    drop(store);
    assert_eq!(nodes(&open(&disk).unwrap().1.tree), "2:1 3:1");
}

#[test]
fn a_batch_that_fails_promises_nothing() {
    let disk = MemDisk::new(1);
    let (mut store, _) = open(&disk).unwrap();
    store.apply_batch(&[append(z(1, 1))]).unwrap();
    // The write of the two appends fails; the promise after them must not be made.
    disk.fail_at(disk.operations(), Fault::Io);
    let ops = [append(z(1, 2)), append(z(1, 3)), PersistOp::AcceptedEpoch(Epoch(9))];
    assert!(matches!(store.apply_batch(&ops), Err(Refusal::Disk(_))));
    assert_eq!(disk.bytes(&path("acceptedEpoch")).unwrap(), b"0");
    drop(store);
    // Half of the write arrived: whole txns in it may stay, they were only not promised.
    assert_eq!(nodes(&open(&disk).unwrap().1.tree), "1:1 1:2");
}

#[test]
fn a_life_on_the_real_disk() {
    let scratch = tempfile::tempdir().unwrap();
    let dirs = Dirs { data: scratch.path().join("data"), log: scratch.path().join("log") };
    for compression in [Compression::None, Compression::Gzip, Compression::Snappy] {
        let settings = Settings { compression, prealloc_bytes: 1 << 20, ..settings() };
        let (mut store, before) = Store::open(RealDisk, dirs.clone(), settings.clone()).unwrap();
        let last = before.tree.last_zxid();
        let epoch = last.epoch().0 + 1;
        store
            .apply_batch(&[PersistOp::AcceptedEpoch(Epoch(epoch)), PersistOp::CurrentEpoch(Epoch(epoch))])
            .unwrap();
        let appends: Vec<_> = (1..=20).map(|n| append(z(epoch, n))).collect();
        store.apply_batch(&appends).unwrap();
        let mut tree = before.tree;
        for n in 1..=20 {
            tree.apply(&crate::server::tree::Txn::decode(txn(z(epoch, n))).unwrap());
        }
        store.roll().unwrap();
        let mut file = store.begin_snapshot(tree.last_zxid()).unwrap();
        file.write(&body(&tree)).unwrap();
        file.finish(Some((tree.last_zxid(), tree.digest())), tree.last_zxid()).unwrap().unwrap();
        store.apply_batch(&[append(z(epoch, 21)), append(z(epoch, 22))]).unwrap();
        let recovered = store.truncate(z(epoch, 21)).unwrap();
        store.close().unwrap();
        let (store, again) = Store::open(RealDisk, dirs.clone(), settings).unwrap();
        assert_eq!(again.notes, Vec::<String>::new());
        assert_eq!(again.tree.digest(), recovered.tree.digest());
        assert_eq!(again.tree.last_zxid(), z(epoch, 21));
        assert_eq!(again.current_epoch, Epoch(epoch));
        let expected: Bytes = body(&recovered.tree);
        assert_eq!(body(&again.tree), expected);
        store.purge(3).unwrap();
    }
}
