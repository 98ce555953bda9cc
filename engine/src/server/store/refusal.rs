//! Why a data directory is not opened, or an open one not used any further: what is wrong, where,
//! what it means and what to do now. Nothing here decides; it only words what others found.

use std::path::{Path, PathBuf};

use super::disk;
use crate::formats::names;
use crate::formats::numbers::CURRENT_EPOCH;
use crate::wire::ids::{Epoch, Zxid};
use crate::wire::jute;

/// Why the store stops instead of going on with data that may be wrong.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The file system said no.
    #[error(transparent)]
    Disk(#[from] disk::Error),

    /// Another process has the directory.
    #[error(
        "{} is in use ({why}). Two servers on one data directory destroy it: stop the other one first, \
         or give this one its own dataDir and dataLogDir",
        dir.display()
    )]
    Locked { dir: PathBuf, why: String },

    /// A directory is missing and `datadir.autocreate=false` forbids creating it.
    #[error(
        "the data directory {} does not exist and zookeeper.datadir.autocreate=false forbids creating it. \
         Is its file system mounted? If this server is meant to start empty, create the directory",
        dir.display()
    )]
    MissingDir { dir: PathBuf },

    /// dataDir and dataLogDir differ, and one holds the other's files.
    #[error(
        "{} holds {file}, a {kind}, although {kind}s belong in {} (dataDir and dataLogDir differ). \
         Were the two settings swapped or one of them added later? Move the {kind}s there, or set the \
         directories back as they were",
        dir.display(), belongs.display()
    )]
    Misplaced { dir: PathBuf, file: String, kind: &'static str, belongs: PathBuf },

    /// Txn logs without any snapshot.
    #[error(
        "{} holds txn logs (first: {first_log}) but {} holds no snapshot: part of the data is missing, and \
         starting empty would lose it. Put the snapshot back (look for aside.* files, a backup, another disk), \
         or let this node start empty and sync from the ensemble (zkops repair). Only when the logs are known to \
         reach back to the first txn, as after an upgrade from 3.4: set snapshot.trust.empty=true for one start",
        log_dir.display(), snap_dir.display()
    )]
    NoSnapshot { snap_dir: PathBuf, log_dir: PathBuf, first_log: String },

    /// There are snapshots, none of them loads.
    #[error(
        "no snapshot in {} can be loaded, so the state cannot be rebuilt:{}\nPut a good snapshot back, or let \
         this node start empty and sync from the ensemble (zkops repair)",
        dir.display(), listed(tried)
    )]
    NoLoadableSnapshot { dir: PathBuf, tried: Vec<(String, String)> },

    /// An older snapshot loads, but the log does not lead from it to a newer, broken one.
    #[error(
        "{} is broken ({why}), and the txn log, which ends at {log_end}, does not contain {snapshot}: the txns \
         that only this file holds would be lost. Let this node sync from the ensemble (zkops repair); \
         on a server without peers restore {file} from a backup, or move it out of the directory to accept the loss",
        file.display()
    )]
    SnapshotNotReached { file: PathBuf, why: String, snapshot: Zxid, log_end: Zxid },

    /// The file does not begin as a txn log.
    #[error(
        "{} is not a txn log: it begins with {found} instead of 5a4b4c47 (\"ZKLG\"). Its txns cannot be read, \
         and going on without them would lose data. If the file does not belong here, move it out of the directory; \
         otherwise let this node sync from the ensemble (zkops repair) or restore the file from a backup",
        file.display()
    )]
    NotALog { file: PathBuf, found: String },

    /// A complete log entry that is not what was written.
    #[error(
        "{} is damaged at byte {offset}, after {after}: {what}. This is not a write cut short by a crash, so txns \
         that were acknowledged may be gone. Check the disk; let this node sync from the ensemble (zkops repair), \
         or restore the file from a backup",
        file.display()
    )]
    DamagedEntry { file: PathBuf, offset: u64, after: Zxid, what: String },

    /// A log entry with a good checksum that is no txn we know.
    #[error(
        "{} holds an entry at byte {offset}{} that this version does not understand: {what}. It was written by a \
         newer or different server; start that one, or let this node sync from the ensemble (zkops repair)",
        file.display(), zxid_text(*zxid)
    )]
    UnknownTxn { file: PathBuf, offset: u64, zxid: Option<Zxid>, what: jute::Error },

    /// The log jumps: txns between two entries are missing (TRAP D4).
    #[error(
        "txns are missing: after {after}, the end of {}, the log goes on with {found} at byte {offset} of {}. \
         Starting would silently lose what lies between. Let this node sync from the ensemble (zkops repair). On a \
         server without peers restore the missing log from a backup, or, to accept the loss of {found} and all \
         that follows, move {} and every newer log out of the directory",
        before.display(), file.display(), file.display()
    )]
    Gap { before: PathBuf, after: Zxid, file: PathBuf, found: Zxid, offset: u64 },

    /// An epoch file without a number in it.
    #[error(
        "{} holds {content:?}, which is no epoch. It records what this server promised to its peers; guessing \
         could let two leaders be elected. Restore the file, or let this node sync from the ensemble (zkops repair)",
        file.display()
    )]
    BadEpoch { file: PathBuf, content: String },

    /// A server that has been in an epoch, and neither a snapshot nor a log.
    #[error(
        "{} and the txn logs' directory hold neither a snapshot nor a txn log, although this server has been in \
         epoch {epoch}: its data is gone, and an empty server that votes could lose what it acknowledged. Put the data \
         back (is its file system mounted?), let this node sync from the ensemble (zkops repair), or, if an empty \
         database is intended, remove the epoch files there",
        dir.display()
    )]
    LostData { dir: PathBuf, epoch: Epoch },

    /// The log that was written last is not there, or nothing is left in it.
    #[error(
        "{} is missing or empty, and it was the newest txn log when this server last wrote ({} says so): the txns in it \
         are gone. Put it back, or let this node sync from the ensemble (zkops repair); on a server without peers remove \
         {} to accept the loss",
        file.display(), record.display(), record.display()
    )]
    LostLog { file: PathBuf, record: PathBuf },

    /// The log was read once more and is shorter than what was written to it.
    #[error(
        "the txn log in {} ends at {log_end}, although txns up to {written} were written to it and synced: txns that \
         were acknowledged are gone. Check the disk; let this node sync from the ensemble (zkops repair), or restore \
         the log from a backup",
        dir.display()
    )]
    LogShrank { dir: PathBuf, written: Zxid, log_end: Zxid },

    /// A sync with a leader was begun in place of lost data and did not come to its end.
    #[error(
        "{} says that this server's data is not whole: {why}\nA sync from the ensemble was begun and did not come to \
         its end; until then the data here may lack txns that this server has acknowledged. Let it sync (zkops repair); \
         on a server without peers remove that file to accept the data as it is",
        file.display()
    )]
    Unsynced { file: PathBuf, why: String },

    /// There is damage that peers could heal, but what was promised to them is not known.
    #[error(
        "{damage}\nThis server does not fetch the data from its peers by itself: {promise}. Without the newest epoch \
         that it accepted it could acknowledge writes to a leader that has been replaced"
    )]
    UnknownPromise { damage: Box<Refusal>, promise: String },

    /// The two epoch files contradict each other.
    #[error(
        "{} says that epoch {current} was reached here, but acceptedEpoch beside it says that nothing after \
         {accepted} was ever accepted: one of the two is damaged, and a vote by them could lose data. Check the disk; \
         let this node sync from the ensemble (zkops repair)",
        dir.join(CURRENT_EPOCH).display()
    )]
    EpochsReversed { dir: PathBuf, accepted: Epoch, current: Epoch },

    /// A myid file without an id in it.
    #[error(
        "{} holds {content:?} instead of this server's number. Write the N of its server.N line there \
         (echo N > {})",
        file.display(), file.display()
    )]
    BadMyid { file: PathBuf, content: String },

    /// The data is another ensemble's, or another member's.
    #[error(
        "{} holds the data of {found}, and this server was started for {expected}. Nothing was touched. Point dataDir to \
         this server's own data, or move the foreign data away and let this server sync from the ensemble (zkops repair)",
        dir.display()
    )]
    ForeignData { dir: PathBuf, found: String, expected: String },

    /// The ensemble went on by another list of voters than this server would.
    #[error(
        "the data in {} is of an ensemble that was reconfigured while it ran: /zookeeper/config there names the voters \
         {found}, zoo.cfg names {expected}. Voting by the older list could lose what the newer one has acknowledged. \
         Write all servers of /zookeeper/config into zoo.cfg, here and on the others, and start again, or go on with \
         Apache ZooKeeper, which can reconfigure",
        dir.display()
    )]
    Reconfigured { dir: PathBuf, found: String, expected: String },

    /// The file that says whose data this is does not say it.
    #[error(
        "{} does not say whose data this is: {why}. Nothing was touched. If the data is this server's, remove the file \
         and deploy again, which writes it anew; if not, move the data away (zkops repair)",
        file.display()
    )]
    BadMarker { file: PathBuf, why: String },

    /// A snapshot received from the leader that does not decode; nothing on disk was changed.
    #[error("the snapshot received for {zxid} is unusable and was not written: {what}")]
    BadReceivedSnapshot { zxid: Zxid, what: String },

    /// A caller broke the rules of the log: a bug, stopped before it reaches the disk.
    #[error("refusing to write to the log: {0}. This is a fault in the server, please report it")]
    Misuse(String),

    /// An earlier write failed: what the disk holds after it is unknown until the next start.
    #[error("the log is closed after an earlier failure ({0}). Restart the server once the cause is gone")]
    Failed(String),
}

/// The result of anything that may have to stop the server.
pub type Result<T> = std::result::Result<T, Refusal>;

impl Refusal {
    pub(crate) fn lock(dir: &Path, error: disk::Error) -> Refusal {
        match error.kind {
            disk::Kind::Locked => Refusal::Locked { dir: dir.to_owned(), why: error.source.to_string() },
            _ => Refusal::Disk(error),
        }
    }

    /// Whether this is damage to the data that a snapshot from a leader makes good: files that are missing or
    /// do not hold what was written. Everything else (someone else's data, settings that do not fit, a file
    /// system that says no, a txn of a newer server) would be the same afterwards, or is not ours to replace.
    pub(crate) fn is_healed_by_peers(&self) -> bool {
        match self {
            Refusal::NoSnapshot { .. }
            | Refusal::NoLoadableSnapshot { .. }
            | Refusal::SnapshotNotReached { .. }
            | Refusal::NotALog { .. }
            | Refusal::DamagedEntry { .. }
            | Refusal::Gap { .. }
            | Refusal::LostData { .. }
            | Refusal::LostLog { .. }
            | Refusal::LogShrank { .. }
            | Refusal::EpochsReversed { .. }
            | Refusal::Unsynced { .. } => true,
            // The epoch that was accepted is a promise, and nobody else knows it; the current one says only
            // how far the data goes, and is replaced together with it.
            Refusal::BadEpoch { file, .. } => file.ends_with(CURRENT_EPOCH),
            // A file that cannot be read is lost, a directory or a write that fails is not cured by a sync.
            Refusal::Disk(error) => {
                error.op == "read" && error.kind == disk::Kind::Other && is_data(&error.path)
            }
            Refusal::Locked { .. }
            | Refusal::MissingDir { .. }
            | Refusal::Misplaced { .. }
            | Refusal::UnknownTxn { .. }
            | Refusal::BadMyid { .. }
            | Refusal::ForeignData { .. }
            | Refusal::Reconfigured { .. }
            | Refusal::BadMarker { .. }
            | Refusal::UnknownPromise { .. }
            | Refusal::BadReceivedSnapshot { .. }
            | Refusal::Misuse(_)
            | Refusal::Failed(_) => false,
        }
    }

    /// True when the disk (or quota) is full: the one failure that freeing space cures.
    pub(crate) fn is_no_space(&self) -> bool {
        matches!(self, Refusal::Disk(error) if error.kind == disk::Kind::NoSpace)
    }
}

/// A txn log, a snapshot, or the epoch that goes with them.
fn is_data(path: &Path) -> bool {
    path.file_name().and_then(|name| name.to_str()).is_some_and(|name| {
        names::parse_log(name).is_some() || names::parse_snapshot(name).is_some() || name == CURRENT_EPOCH
    })
}

fn listed(tried: &[(String, String)]) -> String {
    tried.iter().map(|(file, why)| format!("\n  {file}: {why}")).collect()
}

fn zxid_text(zxid: Option<Zxid>) -> String {
    zxid.map(|zxid| format!(" (zxid {zxid})")).unwrap_or_default()
}
