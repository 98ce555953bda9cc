//! The 68-byte Stat that clients see (§2.1, §2.11).

use crate::wire::ids::Zxid;
use crate::wire::jute::{Reader, Result, Writer};

/// A node's metadata as clients see it: derived fields already derived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stat {
    pub czxid: Zxid,
    pub mzxid: Zxid,
    /// Milliseconds since 1970, the leader's clock.
    pub ctime_ms: i64,
    pub mtime_ms: i64,
    pub version: i32,
    pub cversion: i32,
    pub aversion: i32,
    /// The session for session ephemerals, else 0.
    pub ephemeral_owner: i64,
    pub data_length: i32,
    pub num_children: i32,
    pub pzxid: Zxid,
}

impl Stat {
    pub fn encode(&self, w: &mut Writer) {
        w.long(self.czxid.0);
        w.long(self.mzxid.0);
        w.long(self.ctime_ms);
        w.long(self.mtime_ms);
        w.int(self.version);
        w.int(self.cversion);
        w.int(self.aversion);
        w.long(self.ephemeral_owner);
        w.int(self.data_length);
        w.int(self.num_children);
        w.long(self.pzxid.0);
    }

    pub fn decode(r: &mut Reader) -> Result<Stat> {
        Ok(Stat {
            czxid: Zxid(r.long()?),
            mzxid: Zxid(r.long()?),
            ctime_ms: r.long()?,
            mtime_ms: r.long()?,
            version: r.int()?,
            cversion: r.int()?,
            aversion: r.int()?,
            ephemeral_owner: r.long()?,
            data_length: r.int()?,
            num_children: r.int()?,
            pzxid: Zxid(r.long()?),
        })
    }
}
