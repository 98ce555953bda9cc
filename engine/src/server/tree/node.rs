//! One znode as it is kept: its stat, links to its family, and the handle of its bytes.
//! It does not know the other nodes: that is `nodes`.

use super::acl_cache::AclRef;
use super::blobs::Blob;
use super::digest;
use super::stat::StoredStat;
use crate::wire::ids::Zxid;
use crate::wire::proto::Stat;

/// A node's place in the store. Reused after the node is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct NodeId(pub(super) u32);

impl NodeId {
    pub(super) const ROOT: NodeId = NodeId(0);
    pub(super) const NONE: NodeId = NodeId(u32::MAX);
}

/// A node. Kept small: a million of them are held in memory.
#[derive(Debug, Clone)]
pub(super) struct Node {
    // The stat, field by field: as a record of its own it would be padded.
    czxid: Zxid,
    mzxid: Zxid,
    pzxid: Zxid,
    ctime_ms: i64,
    mtime_ms: i64,
    owner: i64,
    version: i32,
    cversion: i32,
    aversion: i32,
    /// Name and data, back to back.
    pub(super) blob: Blob,
    pub(super) acl: AclRef,
    /// CRC-32 over path and data: the part of the digest that a change of the stat leaves alone.
    pub(super) prefix_crc: u32,
    pub(super) path_hash: u32,
    pub(super) parent: NodeId,
    pub(super) first_child: NodeId,
    /// Siblings stand in order of creation. Also links the free slots.
    pub(super) next: NodeId,
    /// The sibling before; of the first child, the last one.
    pub(super) prev: NodeId,
    pub(super) child_count: u32,
    name_len_and_flags: u32,
}

impl Node {
    pub(super) fn new(parent: NodeId, stat: StoredStat, acl: AclRef, path_hash: u32) -> Node {
        Node {
            czxid: stat.czxid,
            mzxid: stat.mzxid,
            pzxid: stat.pzxid,
            ctime_ms: stat.ctime_ms,
            mtime_ms: stat.mtime_ms,
            owner: stat.owner,
            version: stat.version,
            cversion: stat.cversion,
            aversion: stat.aversion,
            blob: Blob::default(),
            acl,
            prefix_crc: 0,
            path_hash,
            parent,
            first_child: NodeId::NONE,
            next: NodeId::NONE,
            prev: NodeId::NONE,
            child_count: 0,
            name_len_and_flags: 0,
        }
    }

    /// A free slot.
    pub(super) fn vacant(next: NodeId) -> Node {
        Node { next, ..Node::new(NodeId::NONE, StoredStat::default(), AclRef::OPEN, 0) }
    }

    pub(super) fn stat(&self) -> StoredStat {
        StoredStat {
            czxid: self.czxid,
            mzxid: self.mzxid,
            pzxid: self.pzxid,
            ctime_ms: self.ctime_ms,
            mtime_ms: self.mtime_ms,
            owner: self.owner,
            version: self.version,
            cversion: self.cversion,
            aversion: self.aversion,
        }
    }

    pub(super) fn set_stat(&mut self, stat: &StoredStat) {
        self.czxid = stat.czxid;
        self.mzxid = stat.mzxid;
        self.pzxid = stat.pzxid;
        self.ctime_ms = stat.ctime_ms;
        self.mtime_ms = stat.mtime_ms;
        self.owner = stat.owner;
        self.version = stat.version;
        self.cversion = stat.cversion;
        self.aversion = stat.aversion;
    }

    pub(super) fn set_blob(&mut self, blob: Blob, name_len: usize, null_data: bool) {
        // Names are bounded by the frame that brought them, far below 2^30 bytes.
        let name_len = super::blobs::index(name_len) & NAME_LEN_MASK;
        let kept = self.name_len_and_flags & FLAG_OUTSIDE_DIGEST;
        self.blob = blob;
        self.name_len_and_flags = name_len | kept | if null_data { FLAG_NULL_DATA } else { 0 };
    }

    pub(super) fn name_len(&self) -> usize {
        (self.name_len_and_flags & NAME_LEN_MASK) as usize
    }

    pub(super) fn data_len(&self) -> usize {
        self.blob.len() - self.name_len()
    }

    pub(super) fn has_null_data(&self) -> bool {
        self.name_len_and_flags & FLAG_NULL_DATA != 0
    }

    /// Everything below `/zookeeper` is left out of the tree digest (disk-format §10).
    fn is_outside_digest(&self) -> bool {
        self.name_len_and_flags & FLAG_OUTSIDE_DIGEST != 0
    }

    pub(super) fn leave_digest(&mut self) {
        self.name_len_and_flags |= FLAG_OUTSIDE_DIGEST;
    }

    pub(super) fn digest(&self) -> u64 {
        if self.is_outside_digest() { 0 } else { digest::node(self.prefix_crc, &self.stat()) }
    }

    pub(super) fn visible_stat(&self, extended_types: bool) -> Stat {
        self.stat().visible(self.data_len(), self.child_count, extended_types)
    }
}

const FLAG_NULL_DATA: u32 = 1 << 31;
const FLAG_OUTSIDE_DIGEST: u32 = 1 << 30;
const NAME_LEN_MASK: u32 = FLAG_OUTSIDE_DIGEST - 1;
