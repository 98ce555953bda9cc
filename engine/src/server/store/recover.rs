//! The start (disk-format §5): newest loadable snapshot, replay of the log after it, and what must
//! hold in between so that nothing is lost in silence. Cutting a torn end is the only repair.

use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::aside;
use super::dirs::Dirs;
use super::disk::{Disk, Kind};
use super::epochs;
use super::refusal::{Refusal, Result};
use super::settings::Settings;
use super::snap::{self, Candidate, SnapshotFile};
use super::txnlog::{self, Replayed, Span, Torn, newest};
use super::{supersede, unsynced};
use crate::formats::names::{self, INITIALIZE};
use crate::formats::numbers::CURRENT_EPOCH;
use crate::formats::records::Epochs;
use crate::server::tree::{Tree, Txn};
use crate::wire::ids::{Epoch, Zxid};

/// What a directory holds, in memory.
#[derive(Debug)]
pub struct Recovered {
    /// Snapshot plus *all* of the log, committed or not: nobody may be told of it before the
    /// leader confirms it (disk-format §4). Its last zxid is −1 when there is no database.
    pub tree: Tree,
    /// The newest logged txns, oldest first, without a hole, up to the tree's last zxid.
    pub tail: Vec<(Zxid, Bytes)>,
    pub accepted_epoch: Epoch,
    pub current_epoch: Epoch,
    /// False: this server must not count in any quorum before it has synced with a leader.
    pub may_vote: bool,
    /// The damage because of which all of the data is left out: only a leader's snapshot makes this server
    /// whole ([`super::Store::open_among_peers`]). It does not vote then.
    pub wound: Option<Refusal>,
    /// Take a snapshot as soon as the state is known committed: there is none yet.
    pub snapshot_wanted: bool,
    /// What a human should know, one line each.
    pub notes: Vec<String>,
}

/// Loads a directory that the caller has locked. One that is refused is left exactly as it was.
pub(crate) fn recover<D: Disk>(disk: &D, dirs: &Dirs, settings: &Settings) -> Result<Recovered> {
    let mut notes = Vec::new();
    unsynced::check(disk, dirs)?;
    if settings.quorum {
        epochs::check(disk, &dirs.snaps())?;
    }
    supersede::finish(disk, dirs, &mut notes)?;
    let (mut state, markers) = load(disk, dirs, settings, &mut notes)?;
    tidy(disk, dirs, &mut notes)?;
    mend(disk, dirs, &state.replayed, &mut notes)?;
    make_durable(disk, dirs, settings, state.replayed.end.as_ref())?;
    // Consumed by the first start, once what it stands for is durable (disk-format §8).
    for marker in markers {
        disk.remove(&marker)?;
        disk.sync_dir(marker.parent().unwrap_or(Path::new("/")))?;
    }
    let last = state.tree.last_zxid();
    let epochs = match settings.quorum {
        true => epochs::recover(disk, &dirs.snaps(), last, &mut notes)?,
        false => {
            let epoch = last.max(Zxid::ZERO).epoch();
            Epochs { accepted: epoch, current: epoch }
        }
    };
    Ok(Recovered {
        tail: std::mem::take(&mut state.replayed.tail),
        tree: state.tree,
        accepted_epoch: epochs.accepted,
        current_epoch: epochs.current,
        may_vote: state.may_vote,
        wound: None,
        snapshot_wanted: state.snapshot_wanted,
        notes,
    })
}

/// A damaged directory, opened for nothing but a leader's snapshot: the promises are kept, all else counts as
/// lost. Reads only; the damage stays where it is until something better is durable.
pub(crate) fn wounded<D: Disk>(
    disk: &D,
    dirs: &Dirs,
    settings: &Settings,
    damage: Refusal,
) -> Result<Recovered> {
    let (epochs, damage) = epochs::as_read(disk, &dirs.snaps(), damage)?;
    let mut tree = Tree::with_settings(settings.tree.clone());
    tree.set_last_zxid(Zxid::NONE);
    Ok(Recovered {
        tree,
        tail: Vec::new(),
        accepted_epoch: epochs.accepted,
        current_epoch: epochs.current,
        may_vote: false,
        wound: Some(damage),
        snapshot_wanted: false,
        notes: Vec::new(),
    })
}

/// Snapshot and log as far as `upto`, read only.
pub(crate) struct State {
    pub(crate) tree: Tree,
    pub(crate) replayed: Replayed,
    pub(crate) may_vote: bool,
    snapshot_wanted: bool,
}

/// The rows of the decision table (disk-format §5). Also says which `initialize` files were seen.
fn load<D: Disk>(
    disk: &D,
    dirs: &Dirs,
    settings: &Settings,
    notes: &mut Vec<String>,
) -> Result<(State, Vec<PathBuf>)> {
    let (snap_dir, log_dir) = (dirs.snaps(), dirs.logs());
    let markers = initialize_markers(disk, dirs)?;
    let has_snapshots = !snap::find(disk, &snap_dir)?.is_empty();
    let first_log = txnlog::files(disk, &log_dir)?.into_iter().next();
    if !has_snapshots && first_log.is_none() {
        let epoch = if settings.quorum { epochs::read(disk, &snap_dir, CURRENT_EPOCH)? } else { None };
        if let Some(epoch) = epoch.filter(|epoch| *epoch > Epoch(0) && markers.is_empty()) {
            return Err(Refusal::LostData { dir: snap_dir, epoch });
        }
        if markers.is_empty() {
            newest::check(disk, &log_dir, &[], &[], settings.tree.txn_len_max)?;
        }
        let intended = settings.db_autocreate || !markers.is_empty();
        let mut tree = Tree::with_settings(settings.tree.clone());
        if intended {
            create_database(disk, &snap_dir, &tree, settings)?;
        } else {
            tree.set_last_zxid(Zxid::NONE);
            notes.push(format!(
                "{} is empty and db.autocreate=false: this server does not vote before it has synced with a leader. \
                 If an empty database is intended, create the file {}",
                snap_dir.display(),
                dirs.log.join(INITIALIZE).display()
            ));
        }
        let replayed = Replayed::nothing(tree.last_zxid());
        return Ok((State { tree, replayed, may_vote: intended, snapshot_wanted: false }, markers));
    }
    if !has_snapshots && !settings.trust_empty {
        let first_log = first_log.map(|(zxid, _)| names::log(zxid)).unwrap_or_default();
        return Err(Refusal::NoSnapshot { snap_dir, log_dir, first_log });
    }
    let base = match has_snapshots {
        true => load_base(disk, &snap_dir, None, settings, notes)?,
        false => {
            notes.push(format!("{} holds no snapshot; trusted as asked", snap_dir.display()));
            Base::empty(settings)
        }
    };
    let mut state = replay(disk, dirs, base, None, settings, notes)?;
    let (logs, empty) = (txnlog::files(disk, &log_dir)?, &state.replayed.without_header);
    newest::check(disk, &log_dir, &logs, empty, settings.tree.txn_len_max)?;
    state.snapshot_wanted = !has_snapshots;
    Ok((state, markers))
}

/// Everything that the directory holds. Reads only.
pub(crate) fn load_all<D: Disk>(
    disk: &D,
    dirs: &Dirs,
    settings: &Settings,
    notes: &mut Vec<String>,
) -> Result<State> {
    let base = load_base(disk, &dirs.snaps(), None, settings, notes)?;
    replay(disk, dirs, base, None, settings, notes)
}

/// The state at the last txn at or below `to`, as a truncation leaves it; an error when this disk
/// cannot go back there. Reads only.
pub(crate) fn load_upto<D: Disk>(
    disk: &D,
    dirs: &Dirs,
    to: Zxid,
    settings: &Settings,
    notes: &mut Vec<String>,
) -> Result<State> {
    let base = load_base(disk, &dirs.snaps(), Some(to), settings, notes)?;
    replay(disk, dirs, base, Some(to), settings, notes)
}

/// A loaded snapshot, and the newer ones that could not be loaded.
struct Base {
    tree: Tree,
    skipped: Vec<(Candidate, String)>,
}

impl Base {
    fn empty(settings: &Settings) -> Base {
        Base { tree: Tree::with_settings(settings.tree.clone()), skipped: Vec::new() }
    }
}

/// The newest snapshot (at or below `upto`) that loads; each attempt starts from an empty tree.
fn load_base<D: Disk>(
    disk: &D,
    dir: &Path,
    upto: Option<Zxid>,
    settings: &Settings,
    notes: &mut Vec<String>,
) -> Result<Base> {
    let mut skipped = Vec::new();
    let found = snap::find(disk, dir)?;
    let eligible = found.into_iter().filter(|found| upto.is_none_or(|upto| found.zxid <= upto));
    for candidate in eligible.take(CANDIDATES_MAX) {
        let why = match snap::looks_valid(disk, dir, &candidate) {
            Ok(true) => match snap::load(disk, dir, &candidate, &settings.tree, notes) {
                Ok(tree) => return Ok(Base { tree, skipped }),
                Err(error) => error.to_string(),
            },
            Ok(false) => "it is incomplete".to_owned(),
            Err(error) => error.to_string(),
        };
        skipped.push((candidate, why));
    }
    let tried = skipped.into_iter().map(|(candidate, why)| (candidate.name, why)).collect();
    Err(Refusal::NoLoadableSnapshot { dir: dir.to_owned(), tried })
}

fn replay<D: Disk>(
    disk: &D,
    dirs: &Dirs,
    base: Base,
    upto: Option<Zxid>,
    settings: &Settings,
    notes: &mut Vec<String>,
) -> Result<State> {
    let Base { mut tree, skipped } = base;
    let snap_dir = dirs.snaps();
    let snapshots: Vec<Zxid> = snap::find(disk, &snap_dir)?.into_iter().map(|found| found.zxid).collect();
    let span = Span {
        base: tree.last_zxid(),
        upto,
        snapshots: &snapshots,
        tail_txns_max: settings.tail_txns_max,
        tail_bytes_max: settings.tail_bytes_max,
        txn_len_max: settings.tree.txn_len_max,
    };
    let mut differing: Option<(Zxid, u64)> = None;
    let mut replayed = txnlog::replay(disk, &dirs.logs(), &span, &mut |zxid, bytes, place| {
        let txn = Txn::decode(bytes.clone()).map_err(|what| Refusal::UnknownTxn {
            file: place.file.to_owned(),
            offset: place.offset,
            zxid: Some(zxid),
            what,
        })?;
        if tree.apply(&txn).digest_ok == Some(false) {
            differing.get_or_insert((zxid, 0)).1 += 1;
        }
        Ok(())
    })?;
    tree.recount_quotas();
    notes.append(&mut replayed.notes);
    if let Some((first, count)) = differing.filter(|_| settings.tree.digest_enabled) {
        notes.push(format!(
            "after {first} and {count} txns in all the data did not have the digest that the leader gave: this \
             server may differ from its peers (compare the `hash` word, or let it sync anew with zkops repair)"
        ));
    }
    for (candidate, why) in skipped {
        let file = snap_dir.join(&candidate.name);
        let is_covered = candidate.zxid <= replayed.last && !replayed.stepped_over.contains(&candidate.zxid);
        if is_covered {
            notes.push(format!(
                "{} was skipped ({why}); an older snapshot and the log hold the same",
                file.display()
            ));
        } else {
            // Also at an epoch's start: taken by a leader there it held nothing more than the log, received from
            // one it may have held txns that are nowhere else here. The name does not tell.
            let (snapshot, log_end) = (candidate.zxid, replayed.last);
            return Err(Refusal::SnapshotNotReached { file, why, snapshot, log_end });
        }
    }
    Ok(State { tree, replayed, may_vote: true, snapshot_wanted: false })
}

/// Removes what an earlier process did not finish; names what only looks like data.
fn tidy<D: Disk>(disk: &D, dirs: &Dirs, notes: &mut Vec<String>) -> Result<()> {
    let (snap_dir, log_dir) = (dirs.snaps(), dirs.logs());
    for dir in if snap_dir == log_dir { vec![&snap_dir] } else { vec![&snap_dir, &log_dir] } {
        let mut removed = false;
        for name in disk.list(dir)? {
            if name.starts_with(names::UNFINISHED) {
                disk.remove(&dir.join(name))?;
                removed = true;
            } else if names::is_misleading(&name) {
                notes.push(format!(
                    "{} is not read: its name only begins like a log's or a snapshot's. Apache ZooKeeper would read it: \
                     move it out of the directory",
                    dir.join(name).display()
                ));
            }
        }
        if removed {
            disk.sync_dir(dir)?;
        }
    }
    Ok(())
}

/// Cuts torn ends (TRAP D5) and sets files without a header aside, so that every server accepts
/// the directory. What is cut is kept in a file of its own.
fn mend<D: Disk>(disk: &D, dirs: &Dirs, replayed: &Replayed, notes: &mut Vec<String>) -> Result<()> {
    let dir = dirs.logs();
    for Torn { file, at, after } in &replayed.torn {
        let kept = aside::cut(disk, &dir, file, *at, "torn")?;
        notes.push(format!(
            "{}: the last write was cut short at byte {at} after {after}; nobody was told of it. Cut off{}",
            file.display(),
            kept.map(|kept| format!(", kept as {kept}")).unwrap_or_default()
        ));
    }
    for file in &replayed.without_header {
        aside::set_aside(disk, &dir, file, "empty")?;
        notes.push(format!("{} held nothing, not even a header; set aside", file.display()));
    }
    if !replayed.without_header.is_empty() {
        disk.sync_dir(&dir)?;
    }
    Ok(())
}

/// Makes sure that the disk holds what was just read. The process before this one may have been killed before its
/// fsync, or its fsync failed: then the newest entries, names and epochs are in the page cache alone, and votes
/// and acks are about to build on them. Written once more, because after a failed fsync the kernel may take pages
/// for clean that never reached the disk. Only the newest log can be meant: an older one was synced before the
/// next was begun.
fn make_durable<D: Disk>(
    disk: &D,
    dirs: &Dirs,
    settings: &Settings,
    end: Option<&(PathBuf, u64)>,
) -> Result<()> {
    if let Some((path, end)) = end {
        txnlog::rewrite(disk, path, *end, settings.tree.txn_len_max)?;
    }
    disk.sync_dir(&dirs.logs())?;
    Ok(disk.sync_dir(&dirs.snaps())?)
}

/// Writes the empty database: a directory with logs must have a snapshot, so it is there first.
fn create_database<D: Disk>(disk: &D, dir: &Path, tree: &Tree, settings: &Settings) -> Result<()> {
    let mut file = SnapshotFile::receive(disk, dir, Zxid::ZERO, settings.compression)?;
    file.write(&crate::server::tree::snapshot::encode_body(tree))?;
    file.finish(None, Zxid::ZERO)?;
    Ok(())
}

/// The reference looks in dataLogDir, its script writes to dataDir (TRAP D2): both count.
fn initialize_markers<D: Disk>(disk: &D, dirs: &Dirs) -> Result<Vec<PathBuf>> {
    let mut markers = vec![dirs.log.join(INITIALIZE)];
    if dirs.data != dirs.log {
        markers.push(dirs.data.join(INITIALIZE));
    }
    let mut present = Vec::new();
    for marker in markers {
        match disk.len(&marker) {
            Ok(Some(_)) => present.push(marker),
            Ok(None) => {}
            Err(error) if error.kind == Kind::NotFound => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(present)
}

/// As many snapshots as the reference tries.
const CANDIDATES_MAX: usize = 100;
