//! `acceptedEpoch`, `currentEpoch` and `myid` on a disk, and what may be believed of them.
//!
//! The reference's epoch files have no checksum: a flipped bit leaves another number, and a server that votes by an
//! older epoch than it has reached lets leaders win that lack what it acknowledged. So both are also in a record of
//! ours that has one, written before the file: a file that says less is behind it or damaged. One that says more was
//! written by a reference server that ran here since.

use std::path::Path;

use super::atomic;
use super::disk::{self, Disk, read_small};
use super::refusal::{Refusal, Result};
use crate::formats::numbers::{self, ACCEPTED_EPOCH, CURRENT_EPOCH};
use crate::formats::records::{self, Epochs};
use crate::wire::ids::{Epoch, ServerId, Zxid};

/// Reads both files; what is missing follows from the newest txn and is written.
///
/// A crash may leave currentEpoch behind the newest txn's epoch (the reference then refuses to
/// start): the lower value is kept for voting, never raised (quorum-protocol TRAP Q14). An
/// acceptedEpoch behind currentEpoch is damage: no order of writes leaves it (I1), and a vote with a
/// currentEpoch that was never reached wins elections it must lose.
pub(crate) fn recover<D: Disk>(disk: &D, dir: &Path, last: Zxid, notes: &mut Vec<String>) -> Result<Epochs> {
    let epochs = recover_values(disk, dir, last, notes)?;
    for (name, epoch) in [(ACCEPTED_EPOCH, epochs.accepted), (CURRENT_EPOCH, epochs.current)] {
        if !matches!(read_file(disk, dir, name), Ok(Some(found)) if found == epoch) {
            notes.push(format!(
                "{} did not say {epoch}, as {} does: written again",
                dir.join(name).display(),
                records::EPOCHS
            ));
            write(disk, dir, name, epochs)?;
        }
    }
    Ok(epochs)
}

fn recover_values<D: Disk>(disk: &D, dir: &Path, last: Zxid, notes: &mut Vec<String>) -> Result<Epochs> {
    let of_last = last.max(Zxid::ZERO).epoch();
    let accepted = read(disk, dir, ACCEPTED_EPOCH)?;
    let Some(current) = read(disk, dir, CURRENT_EPOCH)? else {
        // acceptedEpoch first: it must never be behind currentEpoch, not even between two writes.
        let floor = accepted.unwrap_or(of_last).max(of_last);
        let epochs = Epochs { accepted: floor, current: of_last };
        if accepted != Some(floor) {
            write(disk, dir, ACCEPTED_EPOCH, epochs)?;
        }
        write(disk, dir, CURRENT_EPOCH, epochs)?;
        return Ok(epochs);
    };
    if of_last > current {
        notes.push(format!(
            "currentEpoch is {current} although the newest txn {last} is of epoch {of_last}: the last shutdown \
             came between the two writes. Voting goes on with {current}, as it must"
        ));
    }
    if let Some(accepted) = accepted {
        check_order(dir, accepted, current)?;
        return Ok(Epochs { accepted, current });
    }
    let epochs = Epochs { accepted: current.max(of_last), current };
    write(disk, dir, ACCEPTED_EPOCH, epochs)?;
    Ok(epochs)
}

/// Refuses when the files do not hold two epochs in their order. Reads only.
pub(crate) fn check<D: Disk>(disk: &D, dir: &Path) -> Result<()> {
    match (read(disk, dir, ACCEPTED_EPOCH)?, read(disk, dir, CURRENT_EPOCH)?) {
        (Some(accepted), Some(current)) => check_order(dir, accepted, current),
        _ => Ok(()),
    }
}

fn check_order(dir: &Path, accepted: Epoch, current: Epoch) -> Result<()> {
    match accepted >= current {
        true => Ok(()),
        false => Err(Refusal::EpochsReversed { dir: dir.to_owned(), accepted, current }),
    }
}

/// Both files as they are, for a server whose data is damaged: nothing is written, and nothing follows from the
/// newest txn. What it promised must be known, or it may join nobody.
///
/// An acceptedEpoch that is lost cannot be replaced by the leader's word. In an ensemble of five, say, this server
/// promised epoch 7 to a candidate that gathers one more promise, and forgot it; a leader of epoch 6 still serves
/// with two others. Joining it, this server would help to commit writes that the candidate's history lacks.
pub(crate) fn as_read<D: Disk>(disk: &D, dir: &Path, damage: Refusal) -> Result<(Epochs, Refusal)> {
    let accepted = match read(disk, dir, ACCEPTED_EPOCH) {
        Ok(Some(accepted)) => Ok(accepted),
        Ok(None) => Err(format!("{} is missing", dir.join(ACCEPTED_EPOCH).display())),
        Err(error) => Err(error.to_string()),
    };
    let accepted = match accepted {
        Ok(accepted) => accepted,
        Err(promise) => return Err(Refusal::UnknownPromise { damage: Box::new(damage), promise }),
    };
    // Missing or damaged, too: it is written anew with the data that it speaks of.
    let current = read(disk, dir, CURRENT_EPOCH).ok().flatten().filter(|current| *current <= accepted);
    Ok((Epochs { accepted, current: current.unwrap_or(Epoch(0)) }, damage))
}

/// One of the two, by its file and the record.
pub(crate) fn read<D: Disk>(disk: &D, dir: &Path, name: &str) -> Result<Option<Epoch>> {
    let file = read_file(disk, dir, name);
    let recorded = read_record(disk, dir)
        .map(|epochs| if name == ACCEPTED_EPOCH { epochs.accepted } else { epochs.current });
    match (file, recorded) {
        (file, None) => file,
        (Ok(Some(file)), Some(recorded)) => Ok(Some(file.max(recorded))),
        (_, Some(recorded)) => Ok(Some(recorded)),
    }
}

/// A record that cannot be read, or is not what was written, says nothing.
fn read_record<D: Disk>(disk: &D, dir: &Path) -> Option<Epochs> {
    let content = read_small(disk, &dir.join(records::EPOCHS), records::EPOCHS_BYTES_MAX).ok().flatten()?;
    records::parse_epochs(&content)
}

fn read_file<D: Disk>(disk: &D, dir: &Path, name: &str) -> Result<Option<Epoch>> {
    let file = dir.join(name);
    let Some(content) = read_small(disk, &file, numbers::BYTES_MAX)? else {
        return Ok(None);
    };
    match numbers::parse_epoch(&content) {
        Some(epoch) => Ok(Some(epoch)),
        None => Err(Refusal::BadEpoch { file, content: String::from_utf8_lossy(&content).into_owned() }),
    }
}

/// Writes one of the two files durably, and the record before it; no newline, as the reference reads it.
pub(crate) fn write<D: Disk>(disk: &D, dir: &Path, name: &str, epochs: Epochs) -> disk::Result<()> {
    let epoch = if name == ACCEPTED_EPOCH { epochs.accepted } else { epochs.current };
    atomic::replace(disk, dir, records::EPOCHS, records::epochs(epochs).as_bytes())?;
    atomic::replace(disk, dir, name, numbers::epoch(epoch).as_bytes())
}

/// Reads `dataDir/myid`; `None` when there is none.
pub(crate) fn read_myid<D: Disk>(disk: &D, data_dir: &Path) -> Result<Option<ServerId>> {
    let file = data_dir.join(numbers::MYID);
    let Some(content) = read_small(disk, &file, numbers::BYTES_MAX)? else {
        return Ok(None);
    };
    match numbers::parse_myid(&content) {
        Some(id) => Ok(Some(id)),
        None => Err(Refusal::BadMyid { file, content: String::from_utf8_lossy(&content).into_owned() }),
    }
}
