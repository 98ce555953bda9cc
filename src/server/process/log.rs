//! The log thread: the one place that writes to disk while the server runs. It takes everything that waits,
//! writes it in order, makes it durable with one fsync, and only then says so (design law 3).
//!
//! Snapshots are written by a thread of their own, so that a large one does not hold up the log.

use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::mpsc::UnboundedSender;

use super::batch::{self, Written};
use crate::server::store::{self, Dirs, RealDisk, Refusal, SnapshotFile, Store};
use crate::server::zab::{PersistId, PersistOp};
use crate::wire::ids::Zxid;

/// Operations taken into one batch: bounds how long an ack waits for those behind it.
const BATCH_MAX: usize = 4096;

/// Snapshot chunks on their way to the snapshot thread. The state thread makes none while it is full.
const SNAPSHOT_CHUNKS_MAX: usize = 4;

/// What the log thread is told.
#[derive(Debug)]
pub(super) enum ToLog {
    /// All that one batch of the state thread wants written, in order: together, so that one fsync covers it.
    Persist { ops: Vec<(PersistId, PersistOp)> },
    /// Make the file of a snapshot of committed state.
    BeginSnapshot { zxid: Zxid },
    /// Write what waits and end.
    Stop,
}

/// What the log and snapshot threads tell the state thread.
pub(super) enum FromLog {
    Written(Written),
    SnapshotBegun {
        zxid: Zxid,
        file: Box<SnapshotFile<RealDisk>>,
    },
    SnapshotDone {
        zxid: Zxid,
    },
    /// The disk failed: nothing more may be promised.
    Failed {
        reason: String,
    },
}

/// The log thread's handle.
#[derive(Debug)]
pub(super) struct LogThread {
    pub(super) commands: Sender<ToLog>,
    thread: JoinHandle<()>,
}

impl LogThread {
    pub(super) fn start(
        store: Store<RealDisk>,
        fsync_warning: Duration,
        events: UnboundedSender<FromLog>,
    ) -> std::io::Result<LogThread> {
        let (commands, receiver) = channel();
        let thread = std::thread::Builder::new()
            .name("log".into())
            .spawn(move || run(store, &receiver, fsync_warning, &events))?;
        Ok(LogThread { commands, thread })
    }

    /// Lets everything handed over become durable, then ends the thread.
    pub(super) fn finish(self) {
        let _ = self.commands.send(ToLog::Stop);
        let _ = self.thread.join();
    }
}

fn run(
    mut store: Store<RealDisk>,
    commands: &Receiver<ToLog>,
    fsync_warning: Duration,
    events: &UnboundedSender<FromLog>,
) {
    let mut waiting = Vec::new();
    while let Ok(first) = commands.recv() {
        let mut stop = false;
        let mut next = Some(first);
        while let Some(command) = next {
            match command {
                ToLog::Persist { ops } => waiting.extend(ops),
                ToLog::BeginSnapshot { zxid } => match store.begin_snapshot(zxid) {
                    Ok(file) => {
                        let _ = events.send(FromLog::SnapshotBegun { zxid, file: Box::new(file) });
                    }
                    Err(error) => fail(error, events),
                },
                ToLog::Stop => stop = true,
            }
            next = if stop || waiting.len() >= BATCH_MAX { None } else { commands.try_recv().ok() };
        }
        let started = Instant::now();
        match batch::write(&mut store, &mut waiting) {
            Ok(written) => written.into_iter().for_each(|what| drop(events.send(FromLog::Written(what)))),
            Err(error) => return fail(error, events),
        }
        let took = started.elapsed();
        if took > fsync_warning {
            tracing::warn!(?took, "the disk is slow: every write of the ensemble may wait for it");
        }
        if stop {
            if let Err(error) = store.close() {
                tracing::error!(%error, "the log could not be closed in order; the next start repairs that");
            }
            return;
        }
    }
}

fn fail(error: Refusal, events: &UnboundedSender<FromLog>) {
    let _ = events.send(FromLog::Failed { reason: error.to_string() });
}

/// Removes what the newest `retain` good snapshots make unnecessary. It reads whole snapshots to know that they
/// are good, so it has a thread of its own.
pub(super) fn purge(dirs: Dirs, retain: usize) {
    let spawned = std::thread::Builder::new().name("purge".into()).spawn(move || {
        match store::purge(&RealDisk, &dirs, retain) {
            Ok(purged) => {
                if !purged.deleted.is_empty() {
                    tracing::info!(files = ?purged.deleted, "old snapshots and logs removed");
                }
                purged.notes.iter().for_each(|note| tracing::warn!("{note}"));
            }
            Err(error) => tracing::warn!(%error, "old snapshots and logs could not be removed"),
        }
    });
    if let Err(error) = spawned {
        tracing::warn!(%error, "no thread for the removal of old snapshots; it is tried again at the next interval");
    }
}

/// A snapshot being written by its own thread.
#[derive(Debug)]
pub(super) struct SnapshotJob {
    chunks: SyncSender<Piece>,
}

#[derive(Debug)]
enum Piece {
    Chunk(Bytes),
    /// The end: digest and zxid of the tree as the last chunk left it.
    End {
        zxid: Zxid,
        digest: u64,
    },
}

impl SnapshotJob {
    pub(super) fn start(
        file: SnapshotFile<RealDisk>,
        zxid: Zxid,
        events: UnboundedSender<FromLog>,
    ) -> std::io::Result<SnapshotJob> {
        let (chunks, pieces) = sync_channel(SNAPSHOT_CHUNKS_MAX);
        std::thread::Builder::new().name("snapshot".into()).spawn(move || {
            let event = match write_snapshot(file, &pieces) {
                Ok(true) => FromLog::SnapshotDone { zxid },
                // Given up: the server is ending, and the unfinished file has no name that counts.
                Ok(false) => return,
                Err(error) => FromLog::Failed { reason: error.to_string() },
            };
            let _ = events.send(event);
        })?;
        Ok(SnapshotJob { chunks })
    }

    /// Hands over a chunk if there is room; otherwise gives it back for later.
    pub(super) fn offer(&self, chunk: Bytes) -> Option<Bytes> {
        match self.chunks.try_send(Piece::Chunk(chunk)) {
            Ok(()) => None,
            Err(std::sync::mpsc::TrySendError::Full(Piece::Chunk(chunk))) => Some(chunk),
            Err(_) => None,
        }
    }

    pub(super) fn finish(&self, zxid: Zxid, digest: u64) {
        let _ = self.chunks.send(Piece::End { zxid, digest });
    }
}

fn write_snapshot(mut file: SnapshotFile<RealDisk>, pieces: &Receiver<Piece>) -> Result<bool, Refusal> {
    for piece in pieces {
        match piece {
            Piece::Chunk(chunk) => file.write(&chunk)?,
            Piece::End { zxid, digest } => {
                file.finish(Some((zxid, digest)), zxid)?;
                return Ok(true);
            }
        }
    }
    Ok(false)
}
