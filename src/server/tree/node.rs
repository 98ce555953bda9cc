//! One znode as it is kept: the persisted stat, links to its family, and the handle of its bytes.
//! It does not know the other nodes: that is `nodes`.

use super::acl_cache::AclRef;
use super::blobs::Blob;
use super::digest;
use crate::wire::ids::Zxid;
use crate::wire::jute::Writer;
use crate::wire::proto::{Owner, Stat};

/// A node's place in the store. Reused after the node is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct NodeId(pub(super) u32);

impl NodeId {
    pub(super) const ROOT: NodeId = NodeId(0);
    pub(super) const NONE: NodeId = NodeId(u32::MAX);
}

/// The stat that is stored and written to snapshots (disk-format §3.1): nothing derived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct StoredStat {
    pub(super) czxid: Zxid,
    pub(super) mzxid: Zxid,
    pub(super) pzxid: Zxid,
    pub(super) ctime_ms: i64,
    pub(super) mtime_ms: i64,
    /// `ephemeralOwner` as stored: see [`Owner::from_stored`].
    pub(super) owner: i64,
    pub(super) version: i32,
    /// Counts creates of children only (TRAP D10).
    pub(super) cversion: i32,
    pub(super) aversion: i32,
}

impl StoredStat {
    /// Bytes of a StatPersisted.
    pub(super) const LEN: usize = 60;

    /// The stat of a node that `zxid` creates.
    pub(super) fn born(zxid: Zxid, time_ms: i64, owner: Owner) -> StoredStat {
        StoredStat {
            czxid: zxid,
            mzxid: zxid,
            pzxid: zxid,
            ctime_ms: time_ms,
            mtime_ms: time_ms,
            owner: owner.to_stored(),
            ..StoredStat::default()
        }
    }

    /// What the creation of a child does to its parent (disk-format §4): both fields rise together
    /// or not at all, so that replaying an old create cannot turn them back.
    pub(super) fn child_created(&mut self, parent_cversion: i32, zxid: Zxid) {
        let cversion = if parent_cversion == -1 { self.cversion.wrapping_add(1) } else { parent_cversion };
        if cversion > self.cversion {
            self.cversion = cversion;
            self.pzxid = zxid;
        }
    }

    /// What the deletion of a child does to its parent: pzxid is never lowered (TRAP D15).
    pub(super) fn child_deleted(&mut self, zxid: Zxid) {
        self.pzxid = self.pzxid.max(zxid);
    }

    /// The order of the snapshot: pzxid last.
    pub(super) fn encode(&self, w: &mut Writer) {
        w.long(self.czxid.0);
        w.long(self.mzxid.0);
        w.long(self.ctime_ms);
        w.long(self.mtime_ms);
        w.int(self.version);
        w.int(self.cversion);
        w.int(self.aversion);
        w.long(self.owner);
        w.long(self.pzxid.0);
    }

    /// What clients see (client-protocol §2.11).
    pub(super) fn visible(&self, data_len: usize, child_count: u32, extended_types: bool) -> Stat {
        Stat {
            czxid: self.czxid,
            mzxid: self.mzxid,
            ctime_ms: self.ctime_ms,
            mtime_ms: self.mtime_ms,
            version: self.version,
            cversion: self.cversion.wrapping_mul(2).wrapping_sub(child_count as i32),
            aversion: self.aversion,
            ephemeral_owner: match Owner::from_stored(self.owner, extended_types) {
                Owner::Session(session) => session.0,
                Owner::None | Owner::Container | Owner::Ttl { .. } => 0,
            },
            data_length: data_len as i32,
            num_children: child_count as i32,
            pzxid: self.pzxid,
        }
    }
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

const FLAG_NULL_DATA: u32 = 1 << 31;
const FLAG_OUTSIDE_DIGEST: u32 = 1 << 30;
const NAME_LEN_MASK: u32 = FLAG_OUTSIDE_DIGEST - 1;

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
