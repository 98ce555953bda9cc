//! The txn log on a disk: a writer with group commit, a reader that tells a torn tail from damage, and the walk over
//! all files in order. The bytes of a file are `formats::log`'s.

pub(crate) mod newest;
mod read;
mod replay;
mod rewrite;
mod write;

pub use read::{End, Item, LogReader};
pub(crate) use replay::{Replayed, Span, Torn, files, replay};
pub(crate) use rewrite::rewrite;
pub(crate) use write::{LogSettings, LogWriter};

use crate::server::store::bent;
use crate::wire::ids::Zxid;

/// True when `next` may directly follow `last`: +1, or the first txn of a later epoch.
pub(crate) fn follows(last: Zxid, next: Zxid) -> bool {
    last.is_followed_by(next) || bent::follows(last, next)
}

#[cfg(test)]
mod tests;
