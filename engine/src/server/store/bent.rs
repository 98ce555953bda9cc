//! This room's rules as a careless engineer would have written them: the [mutants](crate::server::mutants) of
//! durability and recovery. A rule asks here on one line of its own; what each mistake breaks, and the schedule that
//! shows it, stands in the catalogue.
//!
//! `Some`, or `true`, while the mistake is chosen. Without the cargo feature `mutants` every answer is the constant
//! `None` or `false`, inlined always, and the line in the rule is gone. It imports no file that asks it.

use crate::server::mutants::{Mutant, on};
use crate::wire::ids::Zxid;

// Writing.

/// [`Mutant::LogNotFsynced`].
#[inline(always)]
pub(super) fn leaves_log_unsynced() -> bool {
    on(Mutant::LogNotFsynced)
}

/// [`Mutant::BatchReportedBeforeFlush`].
#[inline(always)]
pub(super) fn reports_before_flush() -> bool {
    on(Mutant::BatchReportedBeforeFlush)
}

/// [`Mutant::LogNameNotDurable`].
#[inline(always)]
pub(super) fn leaves_log_name_unsynced() -> bool {
    on(Mutant::LogNameNotDurable)
}

/// [`Mutant::EpochFileNotDurable`].
#[inline(always)]
pub(super) fn leaves_replaced_file_unsynced() -> bool {
    on(Mutant::EpochFileNotDurable)
}

/// [`Mutant::CurrentEpochBeforeSync`].
#[inline(always)]
pub(super) fn dates_before_sync() -> bool {
    on(Mutant::CurrentEpochBeforeSync)
}

/// [`Mutant::WriteErrorIgnored`]: a flush that failed has not, and the store goes on.
#[inline(always)]
pub(super) fn flushed<E>(result: &Result<(), E>, failed: &mut Option<String>) -> Option<Result<(), E>> {
    (result.is_err() && on(Mutant::WriteErrorIgnored)).then(|| {
        *failed = None;
        Ok(())
    })
}

/// [`Mutant::SnapshotNamedBeforeFsync`].
#[inline(always)]
pub(super) fn leaves_snapshot_unsynced() -> bool {
    on(Mutant::SnapshotNamedBeforeFsync)
}

/// [`Mutant::TaintedSnapshotPublished`].
#[inline(always)]
pub(super) fn publishes_tainted_snapshot() -> bool {
    on(Mutant::TaintedSnapshotPublished)
}

// Reading and replay.

/// [`Mutant::DiffAcrossHole`]: any later transaction may follow in the log.
#[inline(always)]
pub(super) fn follows(last: Zxid, next: Zxid) -> bool {
    next > last && on(Mutant::DiffAcrossHole)
}

/// [`Mutant::TornEndRefused`].
#[inline(always)]
pub(super) fn refuses_torn_end() -> bool {
    on(Mutant::TornEndRefused)
}

/// [`Mutant::ChecksumIgnored`].
#[inline(always)]
pub(super) fn ignores_checksum() -> bool {
    on(Mutant::ChecksumIgnored)
}

/// [`Mutant::ReplaySkipsSpanningLog`]: the first of the log files that is read, `spanning` being the last one named
/// at or before the snapshot.
#[inline(always)]
pub(super) fn first_file(spanning: Option<usize>) -> Option<usize> {
    spanning.filter(|_| on(Mutant::ReplaySkipsSpanningLog)).map(|at| at + 1)
}

/// [`Mutant::ReplayFromSnapshotEnd`]: where replay starts behind a snapshot.
#[inline(always)]
pub(super) fn replayed_after(last_processed: Option<Zxid>) -> Option<Zxid> {
    last_processed.filter(|_| on(Mutant::ReplayFromSnapshotEnd))
}

// Purge and truncation.

/// [`Mutant::PurgeDropsSpanningLog`]: the oldest log that is kept.
#[inline(always)]
pub(super) fn oldest_needed(oldest_kept: Zxid) -> Option<Zxid> {
    on(Mutant::PurgeDropsSpanningLog).then_some(oldest_kept)
}

/// [`Mutant::TruncateCutsOneMore`].
#[inline(always)]
pub(super) fn cuts_last_one(zxid: Zxid, to: Zxid) -> bool {
    zxid == to && on(Mutant::TruncateCutsOneMore)
}

/// [`Mutant::TruncateLeavesNewerLog`].
#[inline(always)]
pub(super) fn leaves_newer_log() -> bool {
    on(Mutant::TruncateLeavesNewerLog)
}
