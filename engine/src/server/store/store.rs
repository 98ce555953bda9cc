//! The open store, used by one log thread: append and flush, epochs, truncation, received
//! snapshots, in the order that `zab` asks for. What returned `Ok` survives a power cut.
//!
//! After the first failed write every call fails: what the disk holds is then unknown, and a
//! server that goes on would acknowledge what it may not have (ZOOKEEPER-2247).

use std::path::Path;

use bytes::Bytes;

use super::aside;
use super::bent;
use super::dirs::Dirs;
use super::disk::{Disk, Lock};
use super::epochs;
use super::purge::{Purged, purge};
use super::recover::{self, Recovered};
use super::refusal::{Refusal, Result};
use super::settings::Settings;
use super::snap::{self, History, SnapshotFile};
use super::txnlog::{self, LogReader, LogWriter, newest};
use super::{supersede, unsynced};
use crate::formats::names;
use crate::formats::numbers::{ACCEPTED_EPOCH, CURRENT_EPOCH};
use crate::formats::records::{Epochs, LOCK};
use crate::server::tree::snapshot;
use crate::wire::ids::{Epoch, Zxid};

/// A data directory in use.
pub struct Store<D: Disk> {
    disk: D,
    dirs: Dirs,
    settings: Settings,
    log: LogWriter<D>,
    accepted: Epoch,
    current: Epoch,
    cadence: Cadence,
    /// Which history the disk holds: a snapshot begun before it changed is not published.
    history: History,
    /// Why what the disk holds is not whole: set from a start without a vote until [`Store::declare_whole`].
    unsynced: Option<String>,
    /// It was opened with damage, and is not whole yet.
    wounded: bool,
    /// What a human should know and has not been told.
    notes: Vec<String>,
    /// Why nothing may be written any more.
    failed: Option<String>,
    _locks: Vec<Lock>,
}

impl<D: Disk> Store<D> {
    /// Locks the directories, recovers what they hold, and makes them ready for appends.
    pub fn open(disk: D, dirs: Dirs, settings: Settings) -> Result<(Store<D>, Recovered)> {
        Store::open_with(disk, dirs, settings, &|_, refusal| Err(refusal))
    }

    /// The same for a member of an ensemble whose other members may have what this one lost: damage that a
    /// leader's snapshot makes good comes back as [`Recovered::wound`], and nothing on disk is touched before
    /// [`Store::install_snapshot`].
    pub fn open_among_peers(disk: D, dirs: Dirs, settings: Settings) -> Result<(Store<D>, Recovered)> {
        let (at, how) = (dirs.clone(), settings.clone());
        Store::open_with(disk, dirs, settings, &|disk, refusal| match refusal.is_healed_by_peers() {
            true => recover::wounded(disk, &at, &how, refusal),
            false => Err(refusal),
        })
    }

    fn open_with(
        disk: D,
        dirs: Dirs,
        settings: Settings,
        refused: &dyn Fn(&D, Refusal) -> Result<Recovered>,
    ) -> Result<(Store<D>, Recovered)> {
        prepare_dirs(&disk, &dirs, &settings)?;
        let locks = lock(&disk, &dirs)?;
        check_misplaced(&disk, &dirs)?;
        let recovered =
            recover::recover(&disk, &dirs, &settings).or_else(|refusal| refused(&disk, refusal))?;
        let last = recovered.tree.last_zxid();
        let empty = || "it was empty at the start".to_owned();
        let store = Store {
            log: LogWriter::new(disk.clone(), &dirs.logs(), settings.log(), Some(last)),
            accepted: recovered.accepted_epoch,
            current: recovered.current_epoch,
            cadence: Cadence::new(&settings),
            history: History::default(),
            unsynced: (!recovered.may_vote)
                .then(|| recovered.wound.as_ref().map_or_else(empty, Refusal::to_string)),
            wounded: recovered.wound.is_some(),
            notes: Vec::new(),
            failed: None,
            _locks: locks,
            disk,
            dirs,
            settings,
        };
        Ok((store, recovered))
    }

    pub fn dirs(&self) -> &Dirs {
        &self.dirs
    }

    pub fn accepted_epoch(&self) -> Epoch {
        self.accepted
    }

    pub fn current_epoch(&self) -> Epoch {
        self.current
    }

    /// Buffers one txn, which must follow the last one. Durable after [`Store::flush`].
    pub fn append(&mut self, zxid: Zxid, txn: &Bytes) -> Result<()> {
        self.guarded(|store| {
            store.log.append(zxid, txn)?;
            store.cadence.count(txn.len());
            Ok(())
        })
    }

    /// Writes and syncs all buffered txns: the group's one sync.
    pub fn flush(&mut self) -> Result<()> {
        let flushed = self.guarded(|store| store.log.flush());
        bent::flushed(&flushed, &mut self.failed).unwrap_or(flushed)
    }

    /// True once enough was logged for the next snapshot: [`Store::roll`], then write a
    /// [`SnapshotFile`] of committed state, on any thread.
    pub fn is_snapshot_due(&self) -> bool {
        self.cadence.is_due()
    }

    /// Ends the current log file and starts counting towards the next snapshot.
    pub fn roll(&mut self) -> Result<()> {
        self.guarded(|store| store.log.roll())?;
        self.cadence.restart();
        Ok(())
    }

    /// Begins a snapshot file for the state after `zxid`, which must be known committed (I5).
    /// The file is independent of the store: it may go to another thread.
    pub fn begin_snapshot(&self, zxid: Zxid) -> Result<SnapshotFile<D>> {
        let (dir, compression) = (self.dirs.snaps(), self.settings.compression);
        Ok(SnapshotFile::create(&self.disk, &dir, zxid, compression, self.history.now())?)
    }

    /// Promises never to accept a leader of an older epoch. Flushes first.
    pub(crate) fn write_accepted_epoch(&mut self, epoch: Epoch) -> Result<()> {
        self.flush()?;
        self.guarded(|store| {
            if epoch < store.accepted {
                let why = format!("acceptedEpoch {epoch} after {}", store.accepted);
                return Err(Refusal::Misuse(why));
            }
            // A new promise may make damage look whole: a currentEpoch that was beyond the old one no longer is.
            if let Some(why) = store.unsynced.as_ref().filter(|_| store.wounded) {
                unsynced::mark(&store.disk, &store.dirs, why)?;
            }
            let epochs = Epochs { accepted: epoch, current: store.current };
            epochs::write(&store.disk, &store.dirs.snaps(), ACCEPTED_EPOCH, epochs)?;
            store.accepted = epoch;
            Ok(())
        })
    }

    /// States that everything of the epoch's initial history is durable here. Flushes first.
    pub(crate) fn write_current_epoch(&mut self, epoch: Epoch) -> Result<()> {
        if !bent::dates_before_sync() {
            self.flush()?;
        }
        self.guarded(|store| {
            if epoch > store.accepted {
                let why = format!("currentEpoch {epoch} before acceptedEpoch {}", store.accepted);
                return Err(Refusal::Misuse(why));
            }
            let epochs = Epochs { accepted: store.accepted, current: epoch };
            epochs::write(&store.disk, &store.dirs.snaps(), CURRENT_EPOCH, epochs)?;
            store.current = epoch;
            Ok(())
        })
    }

    /// Goes back to the last txn at or below `to` (TRAPs Q22, Q23): snapshots beyond it and the
    /// log after it are set aside. When no loadable snapshot and unbroken log lead there, nothing
    /// is changed and the present state is returned, with a note.
    pub fn truncate(&mut self, to: Zxid) -> Result<Recovered> {
        self.flush()?;
        self.guarded(|store| {
            store.history.change();
            let written = store.log.last().unwrap_or(Zxid::NONE);
            store.log.restart_after(to);
            let mut notes = Vec::new();
            let state = match recover::load_upto(&store.disk, &store.dirs, to, &store.settings, &mut notes) {
                Ok(state) => state,
                Err(Refusal::Disk(error)) => return Err(error.into()),
                Err(why) => {
                    notes = vec![format!("the log was not cut back to {to}: {why}")];
                    let state = recover::load_all(&store.disk, &store.dirs, &store.settings, &mut notes)?;
                    store.check_reached(written, state.tree.last_zxid())?;
                    return Ok(store.reloaded(state, notes));
                }
            };
            // What is to be cut off must be there: a log that ends early has lost more than that.
            if written > to && !state.replayed.beyond && !store.has_snapshot_after(to)? {
                store.check_reached(written, state.tree.last_zxid())?;
            }
            drop_all_after(&store.disk, &store.dirs, to, store.settings.tree.txn_len_max)?;
            store.cadence.restart();
            Ok(store.reloaded(state, notes))
        })
    }

    fn has_snapshot_after(&self, zxid: Zxid) -> Result<bool> {
        Ok(snap::find(&self.disk, &self.dirs.snaps())?.first().is_some_and(|newest| newest.zxid > zxid))
    }

    /// Read anew, the data must reach as far as it was written. When it does not, the disk says so from now on:
    /// the next start would take the shorter log for all there was.
    fn check_reached(&self, written: Zxid, log_end: Zxid) -> Result<()> {
        if log_end >= written {
            return Ok(());
        }
        let refusal = Refusal::LogShrank { dir: self.dirs.logs(), written, log_end };
        unsynced::mark(&self.disk, &self.dirs, &refusal.to_string())?;
        Err(refusal)
    }

    fn reloaded(&mut self, state: recover::State, notes: Vec<String>) -> Recovered {
        self.log.restart_after(state.tree.last_zxid());
        Recovered {
            tree: state.tree,
            tail: state.replayed.tail,
            accepted_epoch: self.accepted,
            current_epoch: self.current,
            may_vote: state.may_vote,
            wound: None,
            snapshot_wanted: false,
            notes,
        }
    }

    /// Makes a snapshot received from the leader the base of all data: it becomes durable first,
    /// then all older snapshots and all logs are set aside, since the log does not lead to it
    /// (TRAP Q18). `body` is sessions, ACLs, nodes and "/", without header and seals.
    ///
    /// In a store that was opened without a vote the data is not whole by that: a mark says so on disk until
    /// [`Store::declare_whole`].
    pub fn install_snapshot(&mut self, zxid: Zxid, body: &Bytes) -> Result<()> {
        self.flush()?;
        self.guarded(|store| {
            // Once set aside the old data cannot stand in: what does not decode must not replace it.
            let tree = snapshot::decode(body.clone(), store.settings.tree.clone())
                .map_err(|error| Refusal::BadReceivedSnapshot { zxid, what: error.to_string() })?;
            // A snapshot older than what was logged may lack what was acknowledged until the proposals behind
            // it are durable, too.
            if store.log.last().is_some_and(|last| zxid < last) {
                store.unsynced.get_or_insert_with(|| format!("a leader's snapshot {zxid} took the place of more"));
            }
            let new_wound = match &store.unsynced {
                Some(why) => Some(unsynced::mark(&store.disk, &store.dirs, why)?),
                None => None,
            };
            let snap_dir = store.dirs.snaps();
            let compression = store.settings.compression;
            let mut file = SnapshotFile::receive(&store.disk, &snap_dir, zxid, compression)?;
            body.chunks(WRITE_BYTES).try_for_each(|chunk| file.write(chunk))?;
            let digest = store.settings.tree.digest_enabled.then(|| (zxid, tree.digest()));
            store.history.change();
            let base = names::snapshot(zxid, compression);
            supersede::announce(&store.disk, &store.dirs, &base)?;
            file.finish(digest, zxid)?;
            drop(tree);
            store.log.restart_after(zxid);
            let damaged = supersede::carry_out(&store.disk, &store.dirs, &base, new_wound)?;
            if !damaged.is_empty() {
                store.notes.push(format!(
                    "the leader's snapshot {zxid} is durable in {}; the data that it replaces is set aside there: {}. \
                     Remove it when it has been looked at",
                    snap_dir.join(base).display(),
                    damaged.join(", ")
                ));
            }
            store.cadence.restart();
            Ok(())
        })
    }

    /// Everything of the leader's initial history is durable: from now on this data may vote. Flushes first.
    pub fn declare_whole(&mut self) -> Result<()> {
        self.flush()?;
        self.guarded(|store| {
            unsynced::clear(&store.disk, &store.dirs)?;
            store.unsynced = None;
            store.wounded = false;
            Ok(())
        })
    }

    /// What a human should know of what was done since the last time, one line each.
    pub fn take_notes(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notes)
    }

    /// Deletes snapshots and logs that the newest `retain` good snapshots make unnecessary.
    pub fn purge(&self, retain: usize) -> Result<Purged> {
        purge(&self.disk, &self.dirs, retain)
    }

    /// A clean end: everything durable, the log's padding gone.
    pub fn close(mut self) -> Result<()> {
        self.guarded(|store| store.log.roll())
    }

    /// Runs a write; its failure is the last thing this store does.
    fn guarded<T>(&mut self, write: impl FnOnce(&mut Store<D>) -> Result<T>) -> Result<T> {
        if let Some(why) = &self.failed {
            return Err(Refusal::Failed(why.clone()));
        }
        let result = write(self);
        match &result {
            // Refused before anything was written: the disk is as it was.
            Ok(_) | Err(Refusal::Misuse(_) | Refusal::BadReceivedSnapshot { .. }) => {}
            Err(error) => self.failed = Some(error.to_string()),
        }
        result
    }
}

/// Creates the directories that are missing, durably, or refuses when that is not wanted.
fn prepare_dirs<D: Disk>(disk: &D, dirs: &Dirs, settings: &Settings) -> Result<()> {
    for (dir, version_2) in [(&dirs.data, dirs.snaps()), (&dirs.log, dirs.logs())] {
        if disk.is_dir(&version_2) {
            continue;
        }
        if !settings.dir_autocreate {
            return Err(Refusal::MissingDir { dir: version_2 });
        }
        disk.create_dir_all(&version_2)?;
        disk.sync_dir(dir)?;
        // Best effort: the parent may belong to someone else, or be unnamed.
        let _ = dir.parent().map(|parent| disk.sync_dir(parent));
    }
    Ok(())
}

fn lock<D: Disk>(disk: &D, dirs: &Dirs) -> Result<Vec<Lock>> {
    let holder = format!("process {}", std::process::id());
    let take = |dir: &Path| disk.lock(&dir.join(LOCK), &holder).map_err(|error| Refusal::lock(dir, error));
    let mut locks = vec![take(&dirs.data)?];
    if dirs.log != dirs.data {
        locks.push(take(&dirs.log)?);
    }
    Ok(locks)
}

/// Logs in dataDir or snapshots in dataLogDir mean that the settings changed under the data.
fn check_misplaced<D: Disk>(disk: &D, dirs: &Dirs) -> Result<()> {
    let (snap_dir, log_dir) = (dirs.snaps(), dirs.logs());
    if snap_dir == log_dir {
        return Ok(());
    }
    let misplaced = |dir: &Path, belongs: &Path, kind: &'static str, is: &dyn Fn(&str) -> bool| match disk
        .list(dir)?
        .into_iter()
        .find(|name| is(name))
    {
        Some(file) => {
            Err(Refusal::Misplaced { dir: dir.to_owned(), file, kind, belongs: belongs.to_owned() })
        }
        None => Ok(()),
    };
    misplaced(&snap_dir, &log_dir, "txn log", &|name| names::parse_log(name).is_some())?;
    misplaced(&log_dir, &snap_dir, "snapshot", &|name| names::parse_snapshot(name).is_some())
}

/// Sets snapshots and logs beyond `to` aside. At every point in between the directory loads to a
/// prefix of what it held: snapshots go first, then logs from the newest.
fn drop_all_after<D: Disk>(disk: &D, dirs: &Dirs, to: Zxid, txn_len_max: usize) -> Result<()> {
    const WHY: &str = "truncated";
    let (snap_dir, log_dir) = (dirs.snaps(), dirs.logs());
    for candidate in snap::find(disk, &snap_dir)?.into_iter().filter(|found| found.zxid > to) {
        aside::set_aside(disk, &snap_dir, &snap_dir.join(&candidate.name), WHY)?;
    }
    disk.sync_dir(&snap_dir)?;
    let logs = txnlog::files(disk, &log_dir)?;
    newest::step_back(
        disk,
        &log_dir,
        logs.iter().map(|(first, _)| *first).filter(|first| *first <= to).max(),
    )?;
    for (_, path) in logs.iter().rev().filter(|(first, _)| *first > to && !bent::leaves_newer_log()) {
        aside::set_aside(disk, &log_dir, path, WHY)?;
        disk.sync_dir(&log_dir)?;
    }
    // The newest file left may hold txns beyond; so may older ones, when a reference server left
    // a diverged history behind. Cut from the newest.
    for (_, path) in logs.iter().rev().filter(|(first, _)| *first <= to) {
        match LogReader::end_upto(disk, path, to, txn_len_max)? {
            Some(at) => drop(aside::cut(disk, &log_dir, path, at, WHY)?),
            None => break,
        }
    }
    Ok(())
}

/// When the next snapshot is due.
struct Cadence {
    snap_count: u32,
    snap_log_bytes: Option<u64>,
    txns: u64,
    bytes: u64,
    txns_due: u64,
    bytes_due: Option<u64>,
    random: u64,
}

impl Cadence {
    fn new(settings: &Settings) -> Cadence {
        let mut cadence = Cadence {
            snap_count: settings.snap_count.max(2),
            snap_log_bytes: settings.snap_log_bytes,
            txns: 0,
            bytes: 0,
            txns_due: 0,
            bytes_due: None,
            random: settings.seed | 1,
        };
        cadence.restart();
        cadence
    }

    fn count(&mut self, txn_len: usize) {
        self.txns += 1;
        self.bytes += txn_len as u64;
    }

    fn is_due(&self) -> bool {
        self.txns > self.txns_due || self.bytes_due.is_some_and(|due| self.bytes > due)
    }

    /// Half of each limit plus a random part below the other half (disk-format §2.3).
    fn restart(&mut self) {
        (self.txns, self.bytes) = (0, 0);
        let half = u64::from(self.snap_count) / 2;
        self.txns_due = half + self.below(half);
        self.bytes_due = self.snap_log_bytes.map(|bytes| bytes / 2 + self.below(bytes / 2));
    }

    fn below(&mut self, bound: u64) -> u64 {
        // xorshift64: only spreads the servers' snapshots in time.
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % bound.max(1)
    }
}

const WRITE_BYTES: usize = 1 << 20;
