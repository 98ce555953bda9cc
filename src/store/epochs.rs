//! `acceptedEpoch`, `currentEpoch` and `myid`: single numbers in ASCII (disk-format §6).

use std::path::Path;

use crate::ids::{Epoch, ServerId, Zxid};

use super::atomic;
use super::disk::{self, Disk, read_small};
use super::refusal::{Refusal, Result};

/// The two promises of a server, as its disk has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Epochs {
    pub(crate) accepted: Epoch,
    pub(crate) current: Epoch,
}

pub(crate) const ACCEPTED: &str = "acceptedEpoch";
pub(crate) const CURRENT: &str = "currentEpoch";

/// Reads both files; what is missing follows from the newest txn and is written.
///
/// A crash may leave currentEpoch behind the newest txn's epoch (the reference then refuses to
/// start): the lower value is kept for voting, never raised (quorum-protocol TRAP Q14). An
/// acceptedEpoch behind currentEpoch is damage: no order of writes leaves it (I1), and a vote with a
/// currentEpoch that was never reached wins elections it must lose.
pub(crate) fn recover<D: Disk>(disk: &D, dir: &Path, last: Zxid, notes: &mut Vec<String>) -> Result<Epochs> {
    let of_last = last.max(Zxid::ZERO).epoch();
    let accepted = read(disk, dir, ACCEPTED)?;
    let Some(current) = read(disk, dir, CURRENT)? else {
        // acceptedEpoch first: it must never be behind currentEpoch, not even between two writes.
        let floor = accepted.unwrap_or(of_last).max(of_last);
        if accepted != Some(floor) {
            write(disk, dir, ACCEPTED, floor)?;
        }
        write(disk, dir, CURRENT, of_last)?;
        return Ok(Epochs { accepted: floor, current: of_last });
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
    let floor = current.max(of_last);
    write(disk, dir, ACCEPTED, floor)?;
    Ok(Epochs { accepted: floor, current })
}

/// Refuses when the files do not hold two epochs in their order. Reads only.
pub(crate) fn check<D: Disk>(disk: &D, dir: &Path) -> Result<()> {
    match (read(disk, dir, ACCEPTED)?, read(disk, dir, CURRENT)?) {
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
    let accepted = match read(disk, dir, ACCEPTED) {
        Ok(Some(accepted)) => Ok(accepted),
        Ok(None) => Err(format!("{} is missing", dir.join(ACCEPTED).display())),
        Err(error) => Err(error.to_string()),
    };
    let accepted = match accepted {
        Ok(accepted) => accepted,
        Err(promise) => return Err(Refusal::UnknownPromise { damage: Box::new(damage), promise }),
    };
    // Missing or damaged, too: it is written anew with the data that it speaks of.
    let current = read(disk, dir, CURRENT).ok().flatten().filter(|current| *current <= accepted);
    Ok((Epochs { accepted, current: current.unwrap_or(Epoch(0)) }, damage))
}

pub(crate) fn read<D: Disk>(disk: &D, dir: &Path, name: &str) -> Result<Option<Epoch>> {
    let file = dir.join(name);
    let Some(content) = read_small(disk, &file, NUMBER_FILE_BYTES_MAX)? else {
        return Ok(None);
    };
    // Only as it is written: a flipped bit may leave a number with a zero in front.
    let as_written =
        |line: &str| line.parse().ok().filter(|epoch: &i64| *epoch >= 0 && epoch.to_string() == line);
    match first_line(&content).and_then(as_written) {
        Some(epoch) => Ok(Some(Epoch(epoch))),
        None => Err(Refusal::BadEpoch { file, content: String::from_utf8_lossy(&content).into_owned() }),
    }
}

/// Writes one of the two files durably; no newline, as the reference reads it.
pub(crate) fn write<D: Disk>(disk: &D, dir: &Path, name: &str, epoch: Epoch) -> disk::Result<()> {
    atomic::replace(disk, dir, name, epoch.0.to_string().as_bytes())
}

/// Reads `dataDir/myid`; `None` when there is none.
pub fn read_myid<D: Disk>(disk: &D, data_dir: &Path) -> Result<Option<ServerId>> {
    let file = data_dir.join("myid");
    let Some(content) = read_small(disk, &file, NUMBER_FILE_BYTES_MAX)? else {
        return Ok(None);
    };
    match first_line(&content).and_then(|line| line.parse().ok()) {
        Some(id) => Ok(Some(ServerId(id))),
        None => Err(Refusal::BadMyid { file, content: String::from_utf8_lossy(&content).into_owned() }),
    }
}

fn first_line(content: &[u8]) -> Option<&str> {
    std::str::from_utf8(content).ok()?.lines().next().map(str::trim)
}

/// A number and some white space; anything larger is another file.
const NUMBER_FILE_BYTES_MAX: usize = 256;
