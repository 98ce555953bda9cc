//! The snapshot file around a tree's body (disk-format §3): header, body, seals, the digest and
//! last-zxid sections, plain or compressed. The body itself (sessions, ACLs, nodes) is `tree`'s.

mod read;
mod write;

pub(crate) use read::{Candidate, find, load, looks_valid, verify};
pub(crate) use write::History;
pub use write::SnapshotFile;

/// Magic, version 2, dbid −1.
const HEADER: [u8; 16] = *b"ZKSN\0\0\0\x02\xff\xff\xff\xff\xff\xff\xff\xff";
/// The ustring "/": ends the nodes and every seal; a plain file without it at its end is not
/// even a candidate.
const SLASH: [u8; 5] = [0, 0, 0, 1, b'/'];
/// A seal: Adler-32 of everything before it as a long, then "/".
const SEAL_BYTES: usize = 13;
/// The digest algorithm that everybody writes since 3.6.
const DIGEST_VERSION: i32 = 2;

#[cfg(test)]
mod tests;
