//! The log thread: the one place that writes to disk while the server runs. It takes everything that waits,
//! writes it in order, makes it durable with one fsync, and only then says so (design law 3).
//!
//! Snapshots are written by a thread of their own, so that a large one does not hold up the log.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::mpsc::Sender;

use super::batch::{self, Written};
use crate::server::store::{self, Dirs, RealDisk, Refusal, SnapshotFile, Store};
use crate::server::zab::{PersistId, PersistOp};
use crate::wire::ids::Zxid;

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
    /// A snapshot could not be written. The log has everything: nothing is lost but time at the next start.
    SnapshotFailed {
        zxid: Zxid,
        reason: String,
    },
    /// The disk failed: nothing more may be promised.
    Failed {
        reason: String,
    },
}

/// The log thread's handle.
#[derive(Debug)]
pub(super) struct LogThread {
    commands: Commands,
    thread: JoinHandle<()>,
}

impl LogThread {
    pub(super) fn start(
        store: Store<RealDisk>,
        fsync_warning: Duration,
        events: Sender<FromLog>,
    ) -> std::io::Result<LogThread> {
        let (commands, receiver) = Commands::new();
        let thread = std::thread::Builder::new()
            .name("log".into())
            .spawn(move || run(store, &receiver, fsync_warning, &events))?;
        Ok(LogThread { commands, thread })
    }

    /// Hands a command over, in order; what finds no room goes with the next [`LogThread::flush`].
    pub(super) fn send(&mut self, command: ToLog) {
        self.commands.send(command);
    }

    /// Hands over what waits, as far as there is room. There is some whenever the thread has told something.
    pub(super) fn flush(&mut self) {
        self.commands.flush();
    }

    /// Lets everything handed over become durable, then ends the thread. Its events must have nowhere to go any
    /// more: nobody would make room for them.
    pub(super) fn finish(self) {
        self.commands.finish();
        let _ = self.thread.join();
    }
}

/// The way to the log thread. It never blocks who sends: the state thread answers reads while the disk is slow.
#[derive(Debug)]
struct Commands {
    thread: SyncSender<ToLog>,
    /// What has found no room yet, in order; writes that follow each other are one.
    held: VecDeque<ToLog>,
}

impl Commands {
    fn new() -> (Commands, Receiver<ToLog>) {
        let (thread, receiver) = sync_channel(COMMANDS_MAX);
        (Commands { thread, held: VecDeque::new() }, receiver)
    }

    fn send(&mut self, command: ToLog) {
        match (self.held.back_mut(), command) {
            (Some(ToLog::Persist { ops: before }), ToLog::Persist { ops }) => before.extend(ops),
            (_, command) => self.held.push_back(command),
        }
        self.flush();
    }

    fn flush(&mut self) {
        while let Some(command) = self.held.pop_front() {
            match self.thread.try_send(command) {
                Ok(()) => {}
                Err(TrySendError::Full(command)) => return self.held.push_front(command),
                // A log thread that is gone has said why; the loop ends on that.
                Err(TrySendError::Disconnected(_)) => return self.held.clear(),
            }
        }
    }

    /// Waits for room: nothing comes after this.
    fn finish(self) {
        for command in self.held.into_iter().chain([ToLog::Stop]) {
            let _ = self.thread.send(command);
        }
    }
}

fn run(
    mut store: Store<RealDisk>,
    commands: &Receiver<ToLog>,
    fsync_warning: Duration,
    events: &Sender<FromLog>,
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
                        let _ = events.blocking_send(FromLog::SnapshotBegun { zxid, file: Box::new(file) });
                    }
                    Err(error) => {
                        let reason = error.to_string();
                        let _ = events.blocking_send(FromLog::SnapshotFailed { zxid, reason });
                    }
                },
                ToLog::Stop => stop = true,
            }
            next = if stop || waiting.len() >= BATCH_MAX { None } else { commands.try_recv().ok() };
        }
        let started = Instant::now();
        match batch::write(&mut store, &mut waiting) {
            Ok(written) => {
                written.into_iter().for_each(|what| drop(events.blocking_send(FromLog::Written(what))))
            }
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

fn fail(error: Refusal, events: &Sender<FromLog>) {
    let _ = events.blocking_send(FromLog::Failed { reason: error.to_string() });
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
    pieces: SyncSender<Piece>,
}

/// A part of a snapshot, in order.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece {
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
        events: Sender<FromLog>,
    ) -> std::io::Result<SnapshotJob> {
        let (sender, pieces) = sync_channel(SNAPSHOT_PIECES_MAX);
        std::thread::Builder::new().name("snapshot".into()).spawn(move || {
            let event = match write_snapshot(file, &pieces) {
                Ok(true) => FromLog::SnapshotDone { zxid },
                // Given up: the server is ending, and the unfinished file has no name that counts.
                Ok(false) => return,
                Err(error) => FromLog::SnapshotFailed { zxid, reason: error.to_string() },
            };
            let _ = events.blocking_send(event);
        })?;
        Ok(SnapshotJob { pieces: sender })
    }

    /// Hands over a piece if there is room; otherwise gives it back for later.
    pub(super) fn offer(&self, piece: Piece) -> Option<Piece> {
        match self.pieces.try_send(piece) {
            Err(TrySendError::Full(piece)) => Some(piece),
            // A snapshot thread that is gone has said why.
            Ok(()) | Err(TrySendError::Disconnected(_)) => None,
        }
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

/// Operations taken into one batch: bounds how long an ack waits for those behind it.
const BATCH_MAX: usize = 4096;

/// Pieces on their way to the snapshot thread. The state thread makes none while it is full.
const SNAPSHOT_PIECES_MAX: usize = 4;

/// Batches on their way to the log thread. While it is behind, later ones gather on the state thread, which bounds
/// what it takes in by what is not durable.
const COMMANDS_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn persist(id: u64) -> ToLog {
        let op = PersistOp::Append { zxid: Zxid(id.cast_signed()), txn: Bytes::new() };
        ToLog::Persist { ops: vec![(PersistId(id), op)] }
    }

    /// What the log thread would read, as the ids of writes and 0 for the begin of a snapshot.
    fn read(commands: &Receiver<ToLog>) -> Vec<Vec<u64>> {
        let ids = |command| match command {
            ToLog::Persist { ops } => ops.into_iter().map(|(id, _)| id.0).collect(),
            ToLog::BeginSnapshot { .. } => vec![0],
            ToLog::Stop => vec![],
        };
        commands.try_iter().map(ids).collect()
    }

    /// The test itself would hang if this blocked.
    #[test]
    fn a_log_that_stands_still_holds_up_nobody_and_gets_everything_in_order() {
        let (mut commands, thread) = Commands::new();
        let room = COMMANDS_MAX as u64;
        (1..=room + 500).for_each(|id| commands.send(persist(id)));
        commands.send(ToLog::BeginSnapshot { zxid: Zxid(1) });
        commands.send(persist(room + 501));
        assert_eq!(commands.held.len(), 3, "writes that wait together are one command");
        let first = read(&thread);
        assert_eq!(first, (1..=room).map(|id| vec![id]).collect::<Vec<_>>());
        commands.flush();
        let rest = read(&thread);
        assert_eq!(rest, [(room + 1..=room + 500).collect(), vec![0], vec![room + 501]]);
        assert!(commands.held.is_empty());
    }

    #[test]
    fn the_end_waits_for_what_was_held_before_it() {
        let (mut commands, thread) = Commands::new();
        (1..=COMMANDS_MAX as u64 + 1).for_each(|id| commands.send(persist(id)));
        let reader = std::thread::spawn(move || {
            let mut all = Vec::new();
            while let Ok(command) = thread.recv() {
                all.push(matches!(command, ToLog::Stop));
            }
            all
        });
        commands.finish();
        let stops = reader.join().unwrap();
        assert_eq!(
            (stops.len(), stops.iter().position(|stop| *stop)),
            (COMMANDS_MAX + 2, Some(COMMANDS_MAX + 1))
        );
    }

    #[test]
    fn a_snapshot_thread_that_is_behind_gets_no_piece_and_the_end_waits_like_any_other() {
        let (pieces, thread) = sync_channel(SNAPSHOT_PIECES_MAX);
        let job = SnapshotJob { pieces };
        let end = || Piece::End { zxid: Zxid(9), digest: 7 };
        for _ in 0..SNAPSHOT_PIECES_MAX {
            assert_eq!(job.offer(Piece::Chunk(Bytes::new())), None);
        }
        assert_eq!(job.offer(end()), Some(end()));
        thread.recv().unwrap();
        assert_eq!(job.offer(end()), None);
        drop(thread);
        assert_eq!(job.offer(end()), None, "nobody is there to wait for");
    }
}
