//! Files, directories and the disks that they are on.
//!
//! | file | what it is about |
//! |---|---|
//! | `records`, `content` | what is asked and answered: all that an operator imports |
//! | `look` | stat, list, read, hash |
//! | `put` | writing one file, if it is ours to write |
//! | `verify` | whether who reads a file will take it |
//! | `dirs` | making directories |
//! | `switch` | the program in its slot, and the link that names the slot that counts |
//! | `owners`, `own` | whose directories are; giving a tree to another user |
//! | `remove` | removal below named roots, and the rename that sets data aside |
//! | `disk` | room, mount flags, and whether a directory is really writable |
//! | `durable` | what survives a power-off: a replaced file, a directory's entries |
//! | `paths` | absolute, not climbing, with a parent |
//! | `accounts` | users and groups of this host |

pub(super) mod accounts;
mod content;
pub(super) mod dirs;
pub(super) mod disk;
pub(super) mod durable;
pub(super) mod look;
pub(super) mod own;
pub(super) mod owners;
pub(super) mod paths;
pub(super) mod put;
mod records;
pub(super) mod remove;
pub(super) mod switch;
mod verify;

#[cfg(test)]
mod tests;

pub use content::Content;
pub use records::{
    AccountRecord, DirEntry, DirOwner, EnsureDir, EnsuredDir, Expect, FileContent, FileHash, FileKind, Found,
    Listing, LookOwners, Own, Owned, Owner, OwnerRecord, OwnersReport, PathSpace, PathStat, PlaceProgram,
    Put, PutFile, Reader, Remove, Removed, Rename, Space, SwitchLink, Writable,
};
