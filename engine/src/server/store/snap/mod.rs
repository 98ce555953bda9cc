//! Snapshot files on a disk: found, judged, loaded into a tree, written. What stands in them is `formats::snapshot`'s,
//! the body itself (sessions, ACLs, nodes) is `tree`'s.

mod read;
mod write;

pub(crate) use read::{Candidate, find, load, looks_valid, verify};
pub(crate) use write::History;
pub use write::SnapshotFile;

#[cfg(test)]
mod tests;
