//! Files, directories and the disks that they are on.
//!
//! | file | what it is about |
//! |---|---|
//! | [`look`], [`content`] | stat, list, read, hash |
//! | [`put`] | writing one file so that it is the old one or the new one |
//! | [`dirs`] | directories, made durable |
//! | [`remove`] | removal below named roots, and the rename that sets data aside |
//! | [`disk`] | room, mount flags, and whether a directory is really writable |

pub mod content;
pub mod dirs;
pub mod disk;
pub mod look;
pub mod put;
pub mod remove;

#[cfg(test)]
mod tests;

pub use content::Content;
pub use dirs::{EnsureDir, EnsuredDir, Owner};
pub use disk::{PathSpace, Space, Writable};
pub use look::{DirEntry, FileContent, FileHash, FileKind, Found, Listing, PathStat};
pub use put::{Expect, Put, PutFile};
pub use remove::{Remove, Removed, Rename};
