//! The quorum port's bytes: `QuorumPacket` and `LearnerInfo` (quorum-protocol §2.1), and how a
//! reader finds the end of a packet that carries no length.
//!
//! It does not say when a packet may be sent or what it means: that is the phases' business.

use bytes::{Buf, Bytes, BytesMut};

use crate::wire::ids::{Epoch, ServerId, Zxid};
use crate::wire::jute::{self, Reader, Writer};

/// The only learner protocol version spoken since 3.4 (§2.1).
pub(super) const PROTOCOL_VERSION: i32 = 0x10000;
/// The string (as jute ustring) that closes the snapshot stream after SNAP (§2.5).
pub const SNAPSHOT_SIGNATURE: &str = "BenWasHere";

/// The type field of a packet. Not an enum: unknown types arrive and are ignored (§2.14).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Kind(pub i32);

impl Kind {
    pub const REQUEST: Kind = Kind(1);
    pub const PROPOSAL: Kind = Kind(2);
    pub const ACK: Kind = Kind(3);
    pub const COMMIT: Kind = Kind(4);
    pub const PING: Kind = Kind(5);
    pub const REVALIDATE: Kind = Kind(6);
    pub const SYNC: Kind = Kind(7);
    pub const INFORM: Kind = Kind(8);
    pub const COMMITANDACTIVATE: Kind = Kind(9);
    pub const NEWLEADER: Kind = Kind(10);
    pub const FOLLOWERINFO: Kind = Kind(11);
    pub const UPTODATE: Kind = Kind(12);
    pub const DIFF: Kind = Kind(13);
    pub const TRUNC: Kind = Kind(14);
    /// The raw snapshot stream follows this packet: stop splitting packets there.
    pub const SNAP: Kind = Kind(15);
    pub const OBSERVERINFO: Kind = Kind(16);
    pub const LEADERINFO: Kind = Kind(17);
    pub const ACKEPOCH: Kind = Kind(18);
    pub const INFORMANDACTIVATE: Kind = Kind(19);
}

/// One identity of the client whose request is forwarded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AuthId {
    pub scheme: String,
    pub id: String,
}

/// `QuorumPacket`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Packet {
    pub kind: Kind,
    pub zxid: Zxid,
    /// `None` is null on the wire; it differs from an empty buffer (TRAP Q12).
    pub data: Option<Bytes>,
    /// Present on forwarded requests only.
    pub auth: Option<Vec<AuthId>>,
}

impl Packet {
    /// A packet without data.
    pub fn new(kind: Kind, zxid: Zxid) -> Packet {
        Packet { kind, zxid, data: None, auth: None }
    }

    pub fn with_data(kind: Kind, zxid: Zxid, data: Bytes) -> Packet {
        Packet { kind, zxid, data: Some(data), auth: None }
    }

    pub fn encode(&self) -> Bytes {
        let mut w = Writer::with_capacity(24 + self.data.as_ref().map_or(0, Bytes::len));
        self.write(&mut w);
        w.finish()
    }

    pub fn write(&self, w: &mut Writer) {
        w.int(self.kind.0);
        w.long(self.zxid.0);
        w.buffer(self.data.as_deref());
        match &self.auth {
            None => w.null_vector(),
            Some(ids) => {
                w.count(ids.len());
                for id in ids {
                    w.string(&id.scheme);
                    w.string(&id.id);
                }
            }
        }
    }

    pub fn read(r: &mut Reader) -> jute::Result<Packet> {
        Ok(Packet {
            kind: Kind(r.int()?),
            zxid: Zxid(r.long()?),
            data: r.buffer()?,
            auth: r.vector(8, |r| {
                Ok(AuthId {
                    scheme: r.string_lossy()?.unwrap_or_default(),
                    id: r.string_lossy()?.unwrap_or_default(),
                })
            })?,
        })
    }
}

/// Why a byte stream cannot go on; the connection is to be closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    #[error("{what} of {len} bytes, outside its limits")]
    Length { what: &'static str, len: i64 },
    #[error("the peer speaks protocol version {0}, which is not known")]
    Version(i64),
    #[error(transparent)]
    Record(#[from] jute::Error),
}

/// Takes the first packet out of `buffer`, or `None` when it is not complete yet.
/// After a packet of [`Kind::SNAP`] the buffer holds the snapshot stream, not packets.
///
/// `data_len_max` bounds a packet's data: `jute.maxbuffer` + `…extrasize` (§0).
pub fn take_packet(buffer: &mut BytesMut, data_len_max: usize) -> Result<Option<Packet>, FrameError> {
    let Some(len) = packet_len(buffer, data_len_max)? else {
        return Ok(None);
    };
    let bytes = buffer.split_to(len).freeze();
    Ok(Some(Packet::read(&mut Reader::new(bytes))?))
}

/// The length of the first packet in `bytes`; `None` while too few bytes are there to tell or to
/// hold it. An error as soon as a length field is out of bounds, before anything is allocated.
pub(super) fn packet_len(bytes: &[u8], data_len_max: usize) -> Result<Option<usize>, FrameError> {
    const FIXED: usize = 4 + 8;
    let mut at = FIXED;
    match skip_buffer(bytes, &mut at, "packet data", data_len_max)? {
        Skip::Short => return Ok(None),
        Skip::Done => {}
    }
    let Some(count) = peek_int(bytes, at) else {
        return Ok(None);
    };
    at += 4;
    if count < -1 || count > AUTH_IDS_MAX as i32 {
        return Err(FrameError::Length { what: "packet's id list", len: count.into() });
    }
    for _ in 0..2 * count.max(0) {
        match skip_buffer(bytes, &mut at, "packet's id", data_len_max)? {
            Skip::Short => return Ok(None),
            Skip::Done => {}
        }
        if at > PACKETS_OF_DATA_MAX * data_len_max {
            return Err(FrameError::Length { what: "packet", len: at as i64 });
        }
    }
    Ok((bytes.len() >= at).then_some(at))
}

enum Skip {
    Done,
    Short,
}

/// Moves `at` behind the buffer that starts there. The buffer's own bytes need not be there yet:
/// only what follows them must be.
fn skip_buffer(bytes: &[u8], at: &mut usize, what: &'static str, len_max: usize) -> Result<Skip, FrameError> {
    let Some(len) = peek_int(bytes, *at) else {
        return Ok(Skip::Short);
    };
    if len < -1 || i64::from(len) > len_max as i64 {
        return Err(FrameError::Length { what, len: len.into() });
    }
    *at += 4 + len.max(0) as usize;
    Ok(if bytes.len() < *at { Skip::Short } else { Skip::Done })
}

fn peek_int(bytes: &[u8], at: usize) -> Option<i32> {
    let mut slice = bytes.get(at..at + 4)?;
    Some(slice.get_i32())
}

/// What a learner says of itself in FOLLOWERINFO or OBSERVERINFO.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct LearnerInfo {
    pub(super) sid: ServerId,
    pub(super) protocol_version: i32,
    pub(super) config_version: i64,
}

impl LearnerInfo {
    pub(super) fn encode(self) -> Bytes {
        let mut w = Writer::with_capacity(20);
        w.long(self.sid.0);
        w.int(self.protocol_version);
        w.long(self.config_version);
        w.finish()
    }

    /// Also takes the 8- and 12-byte forms of older learners (§2.1).
    pub(super) fn decode(data: &Bytes) -> jute::Result<LearnerInfo> {
        let mut r = Reader::new(data.clone());
        let sid = ServerId(r.long()?);
        let protocol_version = if r.remaining() >= 4 { r.int()? } else { PROTOCOL_VERSION };
        let config_version = if r.remaining() >= 8 { r.long()? } else { 0 };
        Ok(LearnerInfo { sid, protocol_version, config_version })
    }
}

/// LEADERINFO(epoch).
pub(super) fn leader_info(epoch: Epoch) -> Packet {
    int_packet(Kind::LEADERINFO, epoch.start(), PROTOCOL_VERSION)
}

/// ACKEPOCH: the learner's last zxid, and its current epoch or −1 (§2.3 step 4).
pub(super) fn ack_epoch(last: Zxid, current: Epoch) -> Packet {
    int_packet(Kind::ACKEPOCH, last, i32::try_from(current.0).unwrap_or(-1))
}

/// ACKEPOCH of a learner that is whole and still must have a snapshot. It names no zxid, or a reference server would send
/// none. A promise without a zxid is that of a server that lost its data, and elects nobody: so what this one has stands
/// behind the epoch, where a reference server does not look.
pub(super) fn ack_epoch_for_snapshot(has: Zxid, current: Epoch) -> Packet {
    let mut packet = ack_epoch(Zxid::NONE, current);
    let mut w = Writer::new();
    w.int(i32::try_from(current.0).unwrap_or(-1));
    w.long(has.0);
    packet.data = Some(w.finish());
    packet
}

/// Where the history of the sender of an ACKEPOCH ends; [`Zxid::NONE`] if it has lost it.
pub(super) fn history_end(packet: &Packet) -> Zxid {
    let behind_the_epoch = || {
        let mut r = Reader::new(packet.data.clone()?);
        r.int().ok()?;
        r.long().ok().map(Zxid)
    };
    match packet.zxid {
        Zxid::NONE => behind_the_epoch().unwrap_or(Zxid::NONE),
        last => last,
    }
}

/// The one int that LEADERINFO and ACKEPOCH carry.
pub(super) fn int_of(packet: &Packet) -> Option<i32> {
    Reader::new(packet.data.clone()?).int().ok()
}

fn int_packet(kind: Kind, zxid: Zxid, value: i32) -> Packet {
    Packet::with_data(kind, zxid, Bytes::copy_from_slice(&value.to_be_bytes()))
}

/// The longest whole packet, in longest data: one, and several times as much for the ids of a forwarded request. A
/// learner of the reference bounds what a client of its proves neither in number nor in bytes, and its link is not to
/// end by that.
const PACKETS_OF_DATA_MAX: usize = 8;
/// The most ids on one packet. A client has one per authentication scheme it used, a handful.
const AUTH_IDS_MAX: usize = 65_536;
