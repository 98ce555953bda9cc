//! The stat of a znode as it is stored, what a transaction makes of it, and what clients see of it.

use crate::wire::ids::Zxid;
use crate::wire::jute::Writer;
use crate::wire::proto::{Owner, Stat};

/// The stat that is stored and written to snapshots (disk-format §3.1): nothing derived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StoredStat {
    pub czxid: Zxid,
    pub mzxid: Zxid,
    pub pzxid: Zxid,
    pub ctime_ms: i64,
    pub mtime_ms: i64,
    /// `ephemeralOwner` as stored: see [`Owner::from_stored`].
    pub owner: i64,
    pub version: i32,
    /// Counts creates of children only (TRAP D10).
    pub cversion: i32,
    pub aversion: i32,
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
