//! The tree digest: a 64-bit sum of one CRC-32 per node, by which servers notice that they differ
//! (disk-format §10). The sum itself is kept by `nodes`; here are its parts and the bookkeeping around it.

use std::collections::VecDeque;

use super::stat::StoredStat;
use crate::wire::ids::Zxid;

/// The only version there is: trailers of another one are not compared.
pub const VERSION: i32 = 2;

/// Nodes below this take no part in the digest.
pub(super) const OUTSIDE: &str = "/zookeeper/";

/// CRC over a node's path (the root's is empty) and data.
pub(super) fn prefix_crc(path: &str, data: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(path.as_bytes());
    crc.update(data);
    crc.finalize()
}

/// A node's part of the sum. The block's order differs from the snapshot's.
pub(super) fn node(prefix_crc: u32, stat: &StoredStat) -> u64 {
    let mut block = [0; StoredStat::LEN];
    block[0..8].copy_from_slice(&stat.czxid.0.to_be_bytes());
    block[8..16].copy_from_slice(&stat.mzxid.0.to_be_bytes());
    block[16..24].copy_from_slice(&stat.pzxid.0.to_be_bytes());
    block[24..32].copy_from_slice(&stat.ctime_ms.to_be_bytes());
    block[32..40].copy_from_slice(&stat.mtime_ms.to_be_bytes());
    block[40..44].copy_from_slice(&stat.version.to_be_bytes());
    block[44..48].copy_from_slice(&stat.cversion.to_be_bytes());
    block[48..52].copy_from_slice(&stat.aversion.to_be_bytes());
    block[52..60].copy_from_slice(&stat.owner.to_be_bytes());
    let mut crc = crc32fast::Hasher::new_with_initial(prefix_crc);
    crc.update(&block);
    crc.finalize().into()
}

/// Digests of past zxids, for the `hash` word and the admin server.
#[derive(Debug, Default)]
pub(super) struct History {
    entries: VecDeque<(Zxid, u64)>,
}

impl History {
    pub(super) fn record(&mut self, zxid: Zxid, digest: u64) {
        if zxid.0 % HISTORY_EVERY != 0 {
            return;
        }
        if self.entries.len() == HISTORY_LEN_MAX {
            self.entries.pop_front();
        }
        self.entries.push_back((zxid, digest));
    }

    #[cfg(test)]
    pub(super) fn entries(&self) -> impl ExactSizeIterator<Item = (Zxid, u64)> + '_ {
        self.entries.iter().copied()
    }
}

/// What a loaded snapshot promises: the digest its tree has once replay has reached `zxid`.
/// Up to there the tree is fuzzy and no trailer is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Promise {
    pub(super) zxid: Zxid,
    pub(super) digest: u64,
}

/// Zxids between two entries of the history.
const HISTORY_EVERY: i64 = 128;
const HISTORY_LEN_MAX: usize = 1024;
