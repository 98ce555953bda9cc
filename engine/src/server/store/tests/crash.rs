//! A crash (and an I/O error, and a full disk) at every single operation of a long life: whatever
//! was flushed is there afterwards, nothing else is needed, and no start is ever refused.

use super::world::*;
use crate::server::store::mem::{Fault, MemDisk};
use crate::server::store::{Recovered, Refusal, Result, Store};
use crate::server::tree::Tree;
use crate::wire::ids::{Epoch, Zxid};

/// What a server has been told, and so what must be true after any crash.
#[derive(Debug, Default)]
struct Told {
    /// The log cannot end before this.
    at_least: Zxid,
    /// Nor behind this, unless a received snapshot is there.
    at_most: Zxid,
    /// A snapshot being received: everything before it, or exactly it.
    receiving: Option<Zxid>,
    /// It is older than the log: until the data is called whole a start may find it not to be.
    unsynced: bool,
    accepted: Epoch,
    accepted_at_most: Epoch,
    current: Epoch,
    current_at_most: Epoch,
}

impl Told {
    fn append(
        &mut self,
        store: &mut Store<MemDisk>,
        epoch: i64,
        counters: std::ops::RangeInclusive<u32>,
    ) -> Result<()> {
        for counter in counters {
            self.at_most = z(epoch, counter);
            store.append(self.at_most, &txn(self.at_most))?;
        }
        store.flush()?;
        self.at_least = self.at_most;
        Ok(())
    }

    fn epoch(&mut self, store: &mut Store<MemDisk>, epoch: i64) -> Result<()> {
        self.accepted_at_most = Epoch(epoch);
        store.write_accepted_epoch(Epoch(epoch))?;
        self.accepted = Epoch(epoch);
        self.current_at_most = Epoch(epoch);
        store.write_current_epoch(Epoch(epoch))?;
        self.current = Epoch(epoch);
        Ok(())
    }

    fn snapshot(&self, store: &Store<MemDisk>, tree: &Tree) -> Result<()> {
        let mut file = store.begin_snapshot(tree.last_zxid())?;
        body(tree).chunks(700).try_for_each(|chunk| file.write(chunk))?;
        file.finish(Some((tree.last_zxid(), tree.digest())), tree.last_zxid())?;
        Ok(())
    }

    fn truncate(&mut self, store: &mut Store<MemDisk>, to: Zxid) -> Result<()> {
        self.at_least = to;
        let recovered = store.truncate(to)?;
        assert_eq!(recovered.tree.last_zxid(), to);
        self.at_most = to;
        Ok(())
    }

    fn receive(&mut self, store: &mut Store<MemDisk>, tree: &Tree) -> Result<()> {
        self.receiving = Some(tree.last_zxid());
        self.unsynced = tree.last_zxid() < self.at_most;
        // Older than the log: on the way there, any part of what lies beyond may be gone already.
        self.at_least = self.at_least.min(tree.last_zxid());
        store.install_snapshot(tree.last_zxid(), &body(tree))?;
        (self.at_least, self.at_most) = (tree.last_zxid(), tree.last_zxid());
        self.receiving = None;
        if self.unsynced {
            store.declare_whole()?;
            self.unsynced = false;
        }
        Ok(())
    }
}

/// The txns that make up the state at `zxid` in the life below.
fn history(zxid: Zxid) -> Vec<Zxid> {
    let mut all: Vec<Zxid> = (1..=16).map(|n| z(1, n)).collect();
    if zxid.epoch() >= Epoch(2) {
        all.truncate(9);
        all.extend((1..=4).map(|n| z(2, n)));
    }
    if zxid.epoch() >= Epoch(4) {
        // What the leader of epoch 4 sent differs from all that was logged here.
        all = vec![z(1, 1), z(3, 1)];
        all.extend((1..=7).map(|n| z(4, n)));
    }
    if zxid.epoch() >= Epoch(5) {
        all.truncate(3);
        all.push(z(5, 1));
    }
    all.retain(|txn| *txn <= zxid);
    all
}

/// A server's life in all its operations.
fn live(disk: &MemDisk, told: &mut Told) -> Result<()> {
    let (mut store, _) = open(disk)?;
    told.epoch(&mut store, 1)?;
    told.append(&mut store, 1, 1..=1)?;
    told.append(&mut store, 1, 2..=6)?;
    told.snapshot(&store, &tree_of(history(z(1, 4))))?;
    store.roll()?;
    told.append(&mut store, 1, 7..=10)?;
    drop(store);
    let (mut store, _) = open(disk)?;
    for counter in [11, 13, 15] {
        told.append(&mut store, 1, counter..=counter + 1)?;
        store.roll()?;
    }
    told.snapshot(&store, &tree_of(history(z(1, 8))))?;
    store.purge(1)?;
    told.truncate(&mut store, z(1, 9))?;
    told.epoch(&mut store, 2)?;
    told.append(&mut store, 2, 1..=4)?;
    let mut theirs = tree_of([z(1, 1), z(3, 1)]);
    theirs.set_last_zxid(z(4, 0));
    told.receive(&mut store, &theirs)?;
    told.epoch(&mut store, 4)?;
    for counter in [1, 3, 5] {
        told.append(&mut store, 4, counter..=counter + 1)?;
        store.roll()?;
    }
    told.snapshot(&store, &tree_of(history(z(4, 2))))?;
    told.append(&mut store, 4, 7..=7)?;
    told.receive(&mut store, &tree_of(history(z(4, 1))))?;
    told.epoch(&mut store, 5)?;
    told.append(&mut store, 5, 1..=1)?;
    store.close()
}

fn check(told: &Told, recovered: &Recovered, when: &str) {
    let last = recovered.tree.last_zxid();
    let in_log = told.at_least <= last && last <= told.at_most;
    assert!(in_log || told.receiving == Some(last), "{when}: {last} with {told:?}");
    assert_eq!(recovered.tree.digest(), tree_of(history(last)).digest(), "{when}: state at {last}");
    assert_eq!(
        nodes(&recovered.tree),
        history(last).iter().map(|zxid| text(*zxid)).collect::<Vec<_>>().join(" "),
        "{when}"
    );
    assert!(recovered.may_vote, "{when}");
    let accepted = told.accepted..=told.accepted_at_most;
    let current = told.current..=told.current_at_most;
    assert!(
        accepted.contains(&recovered.accepted_epoch),
        "{when}: {:?} with {told:?}",
        recovered.accepted_epoch
    );
    assert!(
        current.contains(&recovered.current_epoch),
        "{when}: {:?} with {told:?}",
        recovered.current_epoch
    );
    if let Some((newest, _)) = recovered.tail.last() {
        assert_eq!(*newest, last, "{when}");
    }
}

/// What the next start finds: good data, or data that says itself that it is not whole; a leader's snapshot then
/// makes it so.
fn start_again(disk: &MemDisk, told: &Told, when: &str) {
    match open(disk) {
        Ok((_, recovered)) => check(told, &recovered, when),
        Err(Refusal::Unsynced { .. }) if told.unsynced => {
            let (mut store, recovered) = Store::open_among_peers(disk.clone(), dirs(), settings()).unwrap();
            assert!(!recovered.may_vote && recovered.wound.is_some(), "{when}");
            assert_eq!(recovered.accepted_epoch, told.accepted, "{when}");
            store.install_snapshot(z(4, 7), &body(&tree_of(history(z(4, 7))))).unwrap();
            store.declare_whole().unwrap();
        }
        Err(refusal) => panic!("{when}: {refusal}"),
    }
}

/// The directory must be good for a next life, too.
fn goes_on(disk: &MemDisk, when: &str) {
    let last = {
        let (mut store, recovered) = open(disk).unwrap_or_else(|refusal| panic!("{when}: {refusal}"));
        assert!(
            recovered.notes.iter().all(|note| !note.contains("cut short")),
            "{when}: cut once is cut for good"
        );
        log(&mut store, 9, 1..=2);
        recovered.tree.digest()
    };
    let (_, recovered) = open(disk).unwrap_or_else(|refusal| panic!("{when}: {refusal}"));
    assert_eq!(recovered.tree.last_zxid(), z(9, 2), "{when}");
    assert_ne!(recovered.tree.digest(), last, "{when}");
}

fn operations_of_a_life() -> u64 {
    let disk = MemDisk::new(0);
    let mut told = Told::default();
    live(&disk, &mut told).unwrap();
    assert_eq!(told.at_least, z(5, 1));
    disk.operations()
}

#[test]
fn a_crash_at_any_operation_loses_nothing_that_was_flushed() {
    let operations = operations_of_a_life();
    assert!(operations > 100, "{operations}");
    for seed in 0..3 {
        for crash_at in 0..operations {
            let disk = MemDisk::new(seed * 1000 + crash_at);
            disk.fail_at(crash_at, Fault::Crash);
            let mut told = Told::default();
            live(&disk, &mut told).expect_err("the machine crashes");
            disk.restart();
            let when = format!("seed {seed}, crash at operation {crash_at}");
            start_again(&disk, &told, &when);
            goes_on(&disk, &when);
        }
    }
}

#[test]
fn a_crash_during_the_recovery_from_a_crash_loses_nothing_either() {
    let operations = operations_of_a_life();
    for crash_at in (0..operations).step_by(3) {
        for later in 0..5 {
            let disk = MemDisk::new(crash_at * 7 + later);
            disk.fail_at(crash_at, Fault::Crash);
            let mut told = Told::default();
            live(&disk, &mut told).expect_err("the machine crashes");
            disk.restart();
            disk.fail_at(disk.operations() + later, Fault::Crash);
            // A recovery with less to do than that comes through.
            let _ = open(&disk);
            disk.clear_faults();
            disk.restart();
            let when = format!("crash at operation {crash_at}, then {later} into the recovery");
            start_again(&disk, &told, &when);
            goes_on(&disk, &when);
        }
    }
}

#[test]
fn an_error_at_any_operation_stops_the_store_and_the_next_start_is_good() {
    let operations = operations_of_a_life();
    for fault in [Fault::Io, Fault::NoSpace] {
        for fail_at in 0..operations {
            let disk = MemDisk::new(fail_at);
            disk.fail_at(fail_at, fault);
            let mut told = Told::default();
            if let Err(refusal) = live(&disk, &mut told) {
                assert!(!matches!(refusal, Refusal::Misuse(_)), "{fault:?} at {fail_at}: {refusal}");
            }
            disk.clear_faults();
            let when = format!("{fault:?} at operation {fail_at}");
            start_again(&disk, &told, &when);
            goes_on(&disk, &when);
        }
    }
}

#[test]
fn what_a_start_has_read_survives_a_power_cut() {
    // The process ends before or in its fsync, the machine goes on: the next start finds the entries in the page
    // cache, votes by them, and then the machine loses power.
    for unsynced in 1..6 {
        for seed in 0..8 {
            let disk = MemDisk::new(seed);
            let (mut store, _) = open(&disk).unwrap();
            log(&mut store, 1, 1..=3);
            for counter in 4..4 + unsynced {
                store.append(z(1, counter), &txn(z(1, counter))).unwrap();
            }
            // A flush of this file is one write and one sync.
            let sync = disk.operations() + 1;
            disk.fail_at(sync, Fault::Io);
            assert!(store.flush().is_err(), "the sync was to fail");
            drop(store);
            disk.end_process();
            let (store, recovered) = open(&disk).unwrap();
            let seen = recovered.tree.last_zxid();
            drop(store);
            disk.restart();
            let (_, recovered) = open(&disk).unwrap();
            assert_eq!(recovered.tree.last_zxid(), seen, "{unsynced} entries, seed {seed}");
        }
    }
}

#[test]
fn a_truncation_never_goes_back_behind_a_snapshot_whose_installation_was_cut_short() {
    let received = tree_of((1..=5).map(|counter| z(2, counter)));
    let mut installed = 0;
    for operation in 0..60 {
        let disk = MemDisk::new(operation);
        let (mut store, _) = open(&disk).unwrap();
        // A tail of its own, in several files, which the leader has discarded.
        for counter in 1..=3 {
            log(&mut store, 1, counter..=counter);
            store.roll().unwrap();
        }
        store.write_accepted_epoch(Epoch(2)).unwrap();
        disk.fail_at(disk.operations() + operation, Fault::Crash);
        let _ = store.install_snapshot(z(2, 5), &body(&received));
        drop(store);
        disk.clear_faults();
        disk.restart();
        let (mut store, recovered) = open(&disk).unwrap();
        if recovered.tree.last_zxid() == z(2, 5) {
            installed += 1;
            let left = store.truncate(z(2, 4)).unwrap();
            assert_eq!(
                left.tree.last_zxid(),
                z(2, 5),
                "crash at operation {operation}: the old tail came back"
            );
        }
    }
    assert!(installed > 5, "the snapshot was there after {installed} of the crashes only");
}
