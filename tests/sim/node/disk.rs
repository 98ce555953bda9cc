//! What a simulated server writes: group commits, and snapshots chunk by chunk between batches.

use std::collections::VecDeque;

use zkops::server::process::batch::{self, Written};
use zkops::server::replica::Input;
use zkops::server::store::mem::MemDisk;
use zkops::server::store::{Refusal, SnapshotFile};
use zkops::server::tree::snapshot;
use zkops::server::zab::PersistOp;
use zkops::wire::ids::Zxid;

use super::{Inbound, Snapshotting, ToLog, dirs};
use crate::queue::Event;
use crate::scenario::MS;
use crate::world::World;

impl World {
    pub(super) fn wake_disk(&mut self, i: usize) {
        let (least, beyond) = self.knobs.disk_us;
        let delay = least
            + if self.rng.u8(0..8) == 0 { self.rng.u64(0..=beyond) } else { self.rng.u64(0..=beyond / 16) };
        let node = &mut self.nodes[i];
        let Some(process) = &mut node.process else { return };
        if !process.log_busy && !process.log.is_empty() {
            process.log_busy = true;
            let slow = if node.slow_disk.1 > self.now { node.slow_disk.0 } else { 0 };
            let at = (self.now + delay + slow).max(node.paused_until);
            self.queue.push(at, Event::Disk { node: i, life: node.life });
        }
    }

    /// The log thread: writes all that waits, then says what is durable.
    pub(crate) fn run_disk(&mut self, i: usize, life: u64) {
        let node = &mut self.nodes[i];
        let Some(process) = node.process.as_mut().filter(|_| node.life == life) else { return };
        process.log_busy = false;
        let mut batch = Vec::new();
        let mut begun = Vec::new();
        let mut failed = None;
        for command in std::mem::take(&mut process.log) {
            match command {
                ToLog::Persist(ops) => batch.extend(ops),
                ToLog::BeginSnapshot(zxid) => match process.store.begin_snapshot(zxid) {
                    Ok(file) => begun.push(Inbound::SnapshotBegun { zxid, file: Box::new(file) }),
                    Err(refusal) => failed = Some(refusal),
                },
            }
        }
        let mut planned: VecDeque<PersistOp> = batch.iter().map(|(_, op)| op.clone()).collect();
        let changes_history = |op: &PersistOp| {
            matches!(op, PersistOp::Truncate { .. } | PersistOp::InstallSnapshot { .. } | PersistOp::Whole)
        };
        let is_unsure = planned.iter().any(changes_history);
        if is_unsure {
            self.checks.unsure(i, true);
        }
        let written = match failed {
            Some(refusal) => Err(refusal),
            None => batch::write(&mut process.store, &mut batch),
        };
        let written = match written {
            Ok(written) => written,
            Err(refusal) => return self.disk_failed(i, &refusal),
        };
        begun.into_iter().for_each(|inbound| self.put_in(i, inbound));
        for written in written {
            match written {
                Written::Persisted { id, ops } => {
                    planned.drain(..ops).for_each(|op| self.checks.durable(i, &op, None));
                    self.put_in(i, Inbound::Input(Input::Persisted { id }));
                }
                Written::Reloaded { id, ops, recovered } => {
                    let last = Some(recovered.tree.last_zxid());
                    self.trace.say(self.now, || {
                        format!("n{} has cut its log: {last:?} {:?}", i + 1, self.nodes[i].disk.files())
                    });
                    planned.drain(..ops).for_each(|op| self.checks.durable(i, &op, last));
                    let tree = Box::new(recovered.tree);
                    self.put_in(i, Inbound::Input(Input::Reloaded { id, tree, tail: recovered.tail }));
                }
                Written::Note(note) => self.trace.say(self.now, || format!("n{} notes: {note}", i + 1)),
                Written::SnapshotDue => self.put_in(i, Inbound::SnapshotDue),
            }
        }
        if is_unsure {
            self.checks.unsure(i, false);
        }
        self.wake_disk(i);
    }

    /// A write has failed: the machine has stopped in the middle of it, or the process ends.
    pub(super) fn disk_failed(&mut self, i: usize, refusal: &Refusal) {
        self.trace.say(self.now, || format!("n{}: {refusal}", i + 1));
        let node = &self.nodes[i];
        if node.disk.has_crashed() {
            return self.power_off(i);
        }
        if !node.disk_fails && !node.rotten {
            self.checks.fail("disk", format!("n{} cannot write: {refusal}", i + 1));
        }
        self.end_process(i, false);
    }

    pub(super) fn start_snapshot(&mut self, i: usize) {
        let Some(process) = &mut self.nodes[i].process else { return };
        if process.snapshotting.is_some() || !process.replica.settled() {
            return;
        }
        let generation = process.replica.tree_generation();
        let writer = snapshot::Writer::open(process.replica.tree_mut());
        process.log.push_back(ToLog::BeginSnapshot(writer.zxid()));
        process.snapshotting = Some(Snapshotting { writer, generation, file: None });
        self.wake_disk(i);
    }

    pub(super) fn snapshot_begun(&mut self, i: usize, zxid: Zxid, file: Box<SnapshotFile<MemDisk>>) {
        let Some(process) = &mut self.nodes[i].process else { return };
        let awaits = |current: &&mut Snapshotting| current.writer.zxid() == zxid && current.file.is_none();
        if let Some(current) = process.snapshotting.as_mut().filter(awaits) {
            current.file = Some(file);
            self.next_chunk(i);
        }
    }

    pub(super) fn next_chunk(&mut self, i: usize) {
        let at = self.now + self.rng.u64(50..20_000);
        let life = self.nodes[i].life;
        self.queue.push(at, Event::SnapshotChunk { node: i, life });
    }

    /// A snapshot goes on while transactions do.
    pub(crate) fn snapshot_chunk(&mut self, i: usize, life: u64) {
        let chunk_len = self.knobs.snapshot_chunk;
        let node = &mut self.nodes[i];
        let Some(process) = node.process.as_mut().filter(|_| node.life == life) else { return };
        let Some(mut current) = process.snapshotting.take() else { return };
        let replica = &mut process.replica;
        if current.generation != replica.tree_generation() || !replica.settled() {
            if current.generation == replica.tree_generation() {
                current.writer.close(replica.tree_mut());
            }
            return;
        }
        let written = match (current.writer.chunk(replica.tree_mut(), chunk_len), &mut current.file) {
            (Some(chunk), Some(file)) => file.write(&chunk),
            (None, file) => {
                let (last, digest) = (replica.last_zxid(), replica.tree().digest());
                current.writer.close(replica.tree_mut());
                if let Some(file) = file.take() {
                    process.finishing.push_back((file, last, digest));
                    let delay = if self.rng.u8(0..4) == 0 { 800 * MS } else { 2 * MS };
                    let at = self.now + self.rng.u64(50..delay);
                    self.queue.push(at, Event::SnapshotFinish { node: i, life });
                }
                return;
            }
            (Some(_), None) => return,
        };
        process.snapshotting = Some(current);
        match written {
            Ok(()) => self.next_chunk(i),
            Err(error) => self.disk_failed(i, &Refusal::Disk(error)),
        }
    }

    /// The snapshot thread syncs and names a file, whatever its server has become meanwhile.
    pub(crate) fn snapshot_finish(&mut self, i: usize, life: u64) {
        let node = &mut self.nodes[i];
        let Some(process) = node.process.as_mut().filter(|_| node.life == life) else { return };
        let Some((file, last, digest)) = process.finishing.pop_front() else { return };
        if let Err(error) = file.finish(Some((last, digest)), last) {
            self.disk_failed(i, &Refusal::Disk(error));
        }
    }

    pub(crate) fn purge(&mut self, i: usize) {
        let dirs = dirs(&self.knobs);
        let Some(process) = &self.nodes[i].process else { return };
        match process.store.purge(self.knobs.retain) {
            Ok(purged) => {
                self.trace.say(self.now, || format!("n{} purges {:?} in {dirs:?}", i + 1, purged.deleted));
            }
            Err(refusal) => {
                if self.nodes[i].disk.has_crashed() {
                    self.power_off(i);
                } else if !self.nodes[i].disk_fails && !self.nodes[i].rotten {
                    self.checks.fail("purge", format!("n{}: {refusal}", i + 1));
                }
            }
        }
    }
}
