//! The beginning of a log as a file of its own. The log stays as it is; nothing that is there is replaced.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use bytes::BytesMut;
use tempfile::NamedTempFile;

use super::logs;
use super::place::Place;
use crate::forensics::inquiry::seen::{Damage, Seen};
use crate::formats::log::{HEADER, put_entry, zxid_of};
use crate::formats::names;
use crate::server::store::Refusal;
use crate::wire::ids::Zxid;

/// What was written.
#[derive(Debug)]
pub struct Chopped {
    pub txns: u64,
    pub first: Zxid,
    pub last: Zxid,
    /// Something was left off.
    pub is_shorter: bool,
}

/// Why nothing was.
#[derive(Debug, thiserror::Error)]
pub enum NotChopped {
    #[error("{} is there already", .0.display())]
    Taken(PathBuf),
    #[error("{} would stand beside the log itself, where its server takes it for one of its own", .0.display())]
    Beside(PathBuf),
    #[error("{} is damaged at byte {}, after {}: {}", file.display(), damage.offset, damage.after, damage.what)]
    Damaged { file: PathBuf, damage: Damage },
    #[error("{} holds nothing up to {to}", file.display())]
    Nothing { file: PathBuf, to: Zxid },
    #[error(transparent)]
    Unreadable(Refusal),
    #[error("{} cannot be written: {why}", path.display())]
    Unwritable { path: PathBuf, why: io::Error },
}

/// Copies what the first file of `place` holds up to `to`, that included.
///
/// # Errors
/// The target is there, or would be read by a server; the log is damaged before `to`, or holds nothing up to it.
pub fn chop(place: &Place, to: Zxid, out: &Path) -> Result<Chopped, NotChopped> {
    let unwritable = |why| NotChopped::Unwritable { path: out.to_owned(), why };
    let file = place.files.first().map(|found| found.path.clone()).unwrap_or_default();
    let dir = out.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if out.symlink_metadata().is_ok() {
        return Err(NotChopped::Taken(out.to_owned()));
    }
    let name = out.file_name().unwrap_or_default().to_string_lossy();
    let is_read = names::zxid_as_reference(&name, "log").is_some();
    if is_read && dir.canonicalize().ok() == place.dir.canonicalize().ok() {
        return Err(NotChopped::Beside(out.to_owned()));
    }
    let copy = NamedTempFile::new_in(dir).map_err(unwritable)?;
    let mut writer = BufWriter::new(copy);
    writer.write_all(&HEADER).map_err(unwritable)?;
    let chopped = copied(place, &file, to, &mut |entry| writer.write_all(entry).map_err(unwritable))?;
    let copy = writer.into_inner().map_err(|why| unwritable(why.into_error()))?;
    let settled = file.metadata().and_then(|meta| copy.as_file().set_permissions(meta.permissions()));
    settled.and_then(|()| copy.as_file().sync_all()).map_err(unwritable)?;
    copy.persist_noclobber(out).map_err(|why| match why.error.kind() {
        io::ErrorKind::AlreadyExists => NotChopped::Taken(out.to_owned()),
        _ => unwritable(why.error),
    })?;
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(unwritable)?;
    Ok(chopped)
}

fn copied(
    place: &Place,
    file: &Path,
    to: Zxid,
    write: &mut dyn FnMut(&[u8]) -> Result<(), NotChopped>,
) -> Result<Chopped, NotChopped> {
    let mut done = None::<Chopped>;
    let mut is_shorter = false;
    let mut failed = Ok(());
    let mut entry = BytesMut::new();
    let read = logs::read_all(place, &mut |_, seen| {
        let (zxid, txn) = match seen {
            Seen::Txn { txn, .. } => (zxid_of(&txn).unwrap_or_default(), txn),
            Seen::Damage(damage) if damage.after >= to => {
                is_shorter = true;
                return ControlFlow::Break(());
            }
            Seen::Damage(damage) => {
                failed = Err(NotChopped::Damaged { file: file.to_owned(), damage });
                return ControlFlow::Break(());
            }
            Seen::End { .. } | Seen::Gone => return ControlFlow::Continue(()),
        };
        if zxid > to {
            is_shorter = true;
            return ControlFlow::Break(());
        }
        entry.clear();
        put_entry(&mut entry, &txn);
        failed = write(&entry);
        let chopped = done.get_or_insert(Chopped { txns: 0, first: zxid, last: zxid, is_shorter: false });
        chopped.txns += 1;
        chopped.last = chopped.last.max(zxid);
        if failed.is_err() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    read.map_err(NotChopped::Unreadable)?;
    failed?;
    let nothing = || NotChopped::Nothing { file: file.to_owned(), to };
    done.map(|chopped| Chopped { is_shorter, ..chopped }).ok_or_else(nothing)
}
