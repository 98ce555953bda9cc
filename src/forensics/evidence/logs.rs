//! Reading one log file that its server may be writing to just now: what is damaged at the first look is looked at
//! again, and only what reads the same twice is damage.

use std::ops::ControlFlow;
use std::path::Path;

use super::place::{Found, Place};
use crate::forensics::inquiry::seen::{Damage, Seen};
use crate::formats::log::Tail;
use crate::server::store::disk::{Disk, File, Kind};
use crate::server::store::{End, Item, LogReader, RealDisk, Refusal};
use crate::wire::ids::Zxid;

/// Hands everything in a file to `each`, until that has enough. `after` is the last zxid before the file; the one in
/// it comes back.
///
/// # Errors
/// The file cannot be opened.
fn read(
    path: &Path,
    after: Zxid,
    txn_len_max: usize,
    each: &mut dyn FnMut(Seen) -> ControlFlow<()>,
) -> Result<ControlFlow<(), Zxid>, Refusal> {
    let opened = LogReader::open(&RealDisk, path, after, txn_len_max);
    let mut reader = match opened {
        Err(Refusal::Disk(why)) if why.kind == Kind::NotFound => {
            return Ok(and_then(each(Seen::Gone), after));
        }
        opened => opened?,
    };
    loop {
        let (seen, is_last) = match look(&mut reader) {
            Ok(Look::Txn(seen)) => (seen, false),
            Ok(Look::End(End { at, tail })) => {
                let len = RealDisk.len(path)?.unwrap_or(at);
                (Seen::End { at, len, tail }, true)
            }
            Ok(Look::Damaged(damage)) => {
                damage.goes_on.into_iter().for_each(|offset| reader.go_to(offset));
                let is_last = damage.goes_on.is_none();
                (Seen::Damage(damage), is_last)
            }
            Err(why) => {
                let (offset, after) = (reader.at(), reader.after());
                (Seen::Damage(Damage { offset, after, what: why.to_string(), goes_on: None }), true)
            }
        };
        if each(seen).is_break() {
            return Ok(ControlFlow::Break(()));
        }
        if is_last {
            return Ok(ControlFlow::Continue(reader.after()));
        }
    }
}

/// The same for all files, in their order.
///
/// # Errors
/// One of them cannot be opened.
pub fn read_all(place: &Place, each: &mut dyn FnMut(&Found, Seen) -> ControlFlow<()>) -> Result<(), Refusal> {
    let mut after = Zxid::ZERO;
    for file in &place.files {
        match read(&file.path, after, place.txn_len_max, &mut |seen| each(file, seen))? {
            ControlFlow::Continue(last) => after = last,
            ControlFlow::Break(()) => return Ok(()),
        }
    }
    Ok(())
}

fn and_then(flow: ControlFlow<()>, after: Zxid) -> ControlFlow<(), Zxid> {
    match flow {
        ControlFlow::Break(()) => ControlFlow::Break(()),
        ControlFlow::Continue(()) => ControlFlow::Continue(after),
    }
}

enum Look {
    Txn(Seen),
    End(End),
    Damaged(Damage),
}

/// What the reader has come to. A server writes in order, so that whatever was read of an entry too early is there
/// when it is read again; what is looked for behind damage may have been written meanwhile, too.
fn look<F: File>(reader: &mut LogReader<F>) -> Result<Look, Refusal> {
    let mut before = None;
    for _ in 0..LOOKS_MAX {
        let (offset, after) = (reader.at(), reader.after());
        let what = match glance(reader)? {
            Glance::Damaged(what) => what,
            Glance::Txn(seen) => return Ok(Look::Txn(seen)),
            Glance::End(end) => return Ok(Look::End(end)),
        };
        let goes_on = reader.find_next()?;
        let damage = Damage { offset, after, what, goes_on };
        if before.as_ref() == Some(&damage) {
            return Ok(Look::Damaged(damage));
        }
        before = Some(damage);
        reader.look_again();
    }
    Ok(before.map_or(Look::End(End { at: reader.at(), tail: Tail::Torn }), Look::Damaged))
}

enum Glance {
    Txn(Seen),
    End(End),
    Damaged(String),
}

fn glance<F: File>(reader: &mut LogReader<F>) -> Result<Glance, Refusal> {
    Ok(match reader.next() {
        Ok(Item::Txn { offset, txn }) => Glance::Txn(Seen::Txn { offset, txn }),
        Ok(Item::End(End { tail: Tail::Mismatch { unwritten: false }, .. })) => {
            Glance::Damaged("the checksum does not match, although the entry is complete".to_owned())
        }
        Ok(Item::End(end)) => Glance::End(end),
        Err(Refusal::DamagedEntry { what, .. }) => Glance::Damaged(what),
        Err(Refusal::NotALog { found, .. }) => {
            Glance::Damaged(format!("it begins with {found} instead of 5a4b4c47 (\"ZKLG\")"))
        }
        Err(other) => return Err(other),
    })
}

/// Two that say the same are enough; a file that changes under every one of these is no log of a server.
const LOOKS_MAX: usize = 16;
