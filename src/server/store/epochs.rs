//! `acceptedEpoch`, `currentEpoch` and `myid`: single numbers in ASCII (disk-format §6).
//!
//! The reference's epoch files have no checksum: a flipped bit leaves another number, and a server that votes by an
//! older epoch than it has reached lets leaders win that lack what it acknowledged. So both are also in a record of
//! ours that has one, written before the file: a file that says less is behind it or damaged. One that says more was
//! written by a reference server that ran here since.

use std::path::Path;

use super::atomic;
use super::disk::{self, Disk, read_small};
use super::refusal::{Refusal, Result};
use crate::wire::ids::{Epoch, ServerId, Zxid};

/// The two promises of a server, as its disk has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Epochs {
    pub(crate) accepted: Epoch,
    pub(crate) current: Epoch,
}

pub(crate) const ACCEPTED: &str = "acceptedEpoch";
pub(crate) const CURRENT: &str = "currentEpoch";
const RECORD: &str = "zkops.epochs";

/// Reads both files; what is missing follows from the newest txn and is written.
///
/// A crash may leave currentEpoch behind the newest txn's epoch (the reference then refuses to
/// start): the lower value is kept for voting, never raised (quorum-protocol TRAP Q14). An
/// acceptedEpoch behind currentEpoch is damage: no order of writes leaves it (I1), and a vote with a
/// currentEpoch that was never reached wins elections it must lose.
pub(crate) fn recover<D: Disk>(disk: &D, dir: &Path, last: Zxid, notes: &mut Vec<String>) -> Result<Epochs> {
    let epochs = recover_values(disk, dir, last, notes)?;
    for (name, epoch) in [(ACCEPTED, epochs.accepted), (CURRENT, epochs.current)] {
        if !matches!(read_file(disk, dir, name), Ok(Some(found)) if found == epoch) {
            notes.push(format!(
                "{} did not say {epoch}, as {RECORD} does: written again",
                dir.join(name).display()
            ));
            write(disk, dir, name, epochs)?;
        }
    }
    Ok(epochs)
}

fn recover_values<D: Disk>(disk: &D, dir: &Path, last: Zxid, notes: &mut Vec<String>) -> Result<Epochs> {
    let of_last = last.max(Zxid::ZERO).epoch();
    let accepted = read(disk, dir, ACCEPTED)?;
    let Some(current) = read(disk, dir, CURRENT)? else {
        // acceptedEpoch first: it must never be behind currentEpoch, not even between two writes.
        let floor = accepted.unwrap_or(of_last).max(of_last);
        let epochs = Epochs { accepted: floor, current: of_last };
        if accepted != Some(floor) {
            write(disk, dir, ACCEPTED, epochs)?;
        }
        write(disk, dir, CURRENT, epochs)?;
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
    write(disk, dir, ACCEPTED, epochs)?;
    Ok(epochs)
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

/// One of the two, by its file and the record.
pub(crate) fn read<D: Disk>(disk: &D, dir: &Path, name: &str) -> Result<Option<Epoch>> {
    let file = read_file(disk, dir, name);
    let recorded =
        read_record(disk, dir).map(|epochs| if name == ACCEPTED { epochs.accepted } else { epochs.current });
    match (file, recorded) {
        (file, None) => file,
        (Ok(Some(file)), Some(recorded)) => Ok(Some(file.max(recorded))),
        (_, Some(recorded)) => Ok(Some(recorded)),
    }
}

/// A record that cannot be read, or is not what was written, says nothing.
fn read_record<D: Disk>(disk: &D, dir: &Path) -> Option<Epochs> {
    let content = read_small(disk, &dir.join(RECORD), NUMBER_FILE_BYTES_MAX).ok().flatten()?;
    let mut numbers = std::str::from_utf8(&content).ok()?.split(' ').map_while(|word| word.parse().ok());
    let epochs = Epochs { accepted: Epoch(numbers.next()?), current: Epoch(numbers.next()?) };
    (record(epochs).as_bytes() == content).then_some(epochs)
}

/// Both numbers and their Adler-32.
fn record(epochs: Epochs) -> String {
    let numbers = format!("{} {}", epochs.accepted.0, epochs.current.0);
    format!("{numbers} {:08x}", simd_adler32::adler32(&numbers.as_bytes()))
}

fn read_file<D: Disk>(disk: &D, dir: &Path, name: &str) -> Result<Option<Epoch>> {
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

/// Writes one of the two files durably, and the record before it; no newline, as the reference reads it.
pub(crate) fn write<D: Disk>(disk: &D, dir: &Path, name: &str, epochs: Epochs) -> disk::Result<()> {
    let epoch = if name == ACCEPTED { epochs.accepted } else { epochs.current };
    atomic::replace(disk, dir, RECORD, record(epochs).as_bytes())?;
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
