//! The election port's bytes: HELLO and the notification (quorum-protocol §1.1, §1.2), and how a
//! reader finds their ends.
//!
//! It does not count votes and keeps no connection: see `election` and `mesh`.

use bytes::{Buf, Bytes, BytesMut};

use super::wire::FrameError;
use crate::wire::ids::{Epoch, ServerId, Zxid};
use crate::wire::jute::{self, Reader, Writer};

/// The notification version with peer epoch and config.
pub(super) const NOTIFICATION_VERSION: i32 = 2;
/// What stands for "no vote" in the notifications of an observer (§1.2).
pub(super) const NO_VOTE: i64 = i64::MIN;

/// Whether a server whose round is `mine` may take over `round` from one notification. The last stretch of all
/// rounds is reached by forging or damage alone: whoever went there could count on only so far, and the round behind
/// the last can be read by nobody. A server that is there all the same goes on, in small steps.
pub(super) fn is_believable(round: i64, mine: i64) -> bool {
    round < ROUND_STRETCH || (mine >= ROUND_STRETCH && round - mine <= ROUND_STEP_MAX)
}

/// What a dialling server says first.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hello {
    pub sid: ServerId,
    /// Where the sender's election port can be dialled; wildcard and unreadable addresses are
    /// left out, and an old sender names none.
    pub addresses: Vec<(String, u16)>,
}

impl Hello {
    /// Goes out in one write (TRAP Q3).
    pub fn encode(&self) -> Bytes {
        let text: Vec<String> = self.addresses.iter().map(|(host, port)| join_host(host, *port)).collect();
        let mut w = Writer::new();
        w.long(HELLO_VERSION_1);
        w.long(self.sid.0);
        // An empty field would be refused; the wildcard makes the reader use its config.
        w.string(text.first().map_or("0.0.0.0:3888", String::as_str));
        w.finish()
    }

    /// Takes a HELLO out of `buffer`, or `None` when it is not complete yet.
    pub fn take(buffer: &mut BytesMut) -> Result<Option<Hello>, FrameError> {
        let Some(first) = peek_long(buffer, 0) else {
            return Ok(None);
        };
        if first >= 0 {
            // Before 3.5 the first number is the id, and nothing follows it.
            buffer.advance(8);
            return Ok(Some(Hello { sid: ServerId(first), addresses: Vec::new() }));
        }
        if first != HELLO_VERSION_1 && first != HELLO_VERSION_2 {
            return Err(FrameError::Version(first));
        }
        let (Some(sid), Some(len)) = (peek_long(buffer, 8), peek_int(buffer, 16)) else {
            return Ok(None);
        };
        if len < 1 || len > HELLO_ADDRESS_MAX as i32 {
            return Err(FrameError::Length { what: "HELLO address", len: len.into() });
        }
        let end = 20 + len as usize;
        if buffer.len() < end {
            return Ok(None);
        }
        let bytes = buffer.split_to(end);
        let addresses =
            String::from_utf8_lossy(&bytes[20..]).split('|').filter_map(dialable_address).collect();
        Ok(Some(Hello { sid: ServerId(sid), addresses }))
    }
}

/// `host:port`, an IPv6 host in brackets.
fn join_host(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

fn dialable_address(text: &str) -> Option<(String, u16)> {
    let (host, port) = text.trim().rsplit_once(':')?;
    let port: u16 = port.parse().ok()?;
    let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
    let wildcard = matches!(host, "" | "0.0.0.0" | "::" | "0:0:0:0:0:0:0:0");
    (!wildcard && port != 0).then(|| (host.to_owned(), port))
}

/// What a server is doing, as notifications say it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    Looking,
    Following,
    Leading,
    Observing,
}

/// One notification (§1.2): a server's state and the vote it holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Notification {
    pub state: State,
    pub leader: ServerId,
    pub zxid: Zxid,
    pub round: i64,
    pub peer_epoch: Epoch,
    /// 0 for senders that have no config in the message.
    pub version: i32,
    /// The sender's config text (§1.3).
    pub config: Option<Bytes>,
}

impl Notification {
    /// The complete frame, length prefix included.
    pub fn encode(&self) -> Bytes {
        let config = self.config.as_deref().unwrap_or_default();
        let mut w = Writer::with_capacity(48 + config.len());
        let mark = w.open_frame();
        w.int(match self.state {
            State::Looking => 0,
            State::Following => 1,
            State::Leading => 2,
            State::Observing => 3,
        });
        w.long(self.leader.0);
        w.long(self.zxid.0);
        w.long(self.round);
        w.long(self.peer_epoch.0);
        w.int(NOTIFICATION_VERSION);
        w.buffer(Some(config));
        w.close_frame(mark);
        w.finish()
    }

    /// Reads a payload (without its length prefix); an error means: drop this message (§1.2).
    pub fn decode(payload: Bytes) -> jute::Result<Notification> {
        let size = payload.len();
        let mut r = Reader::new(payload);
        let state = match r.int()? {
            0 => State::Looking,
            1 => State::Following,
            2 => State::Leading,
            3 => State::Observing,
            value => return Err(jute::Error::Value { what: "notification state", value: value.into() }),
        };
        let leader = ServerId(r.long()?);
        let zxid = Zxid(r.long()?);
        let round = r.long()?;
        if round > ROUND_MAX {
            return Err(jute::Error::Value { what: "election round", value: round });
        }
        let peer_epoch = if size == 28 { zxid.epoch() } else { Epoch(r.long()?) };
        // TRAP Q7: a 40-byte payload counts as one without a version.
        let version = if size == 28 || size == 40 { 0 } else { r.int()? };
        let config = if version > 1 { r.buffer()? } else { None };
        Ok(Notification { state, leader, zxid, round, peer_epoch, version, config })
    }

    /// Takes one notification's payload out of `buffer`, or `None` when it is not complete yet.
    pub fn take_payload(buffer: &mut BytesMut) -> Result<Option<Bytes>, FrameError> {
        let Some(len) = peek_int(buffer, 0) else {
            return Ok(None);
        };
        if len < 1 || len > NOTIFICATION_MAX as i32 {
            return Err(FrameError::Length { what: "notification", len: len.into() });
        }
        let end = 4 + len as usize;
        if buffer.len() < end {
            return Ok(None);
        }
        buffer.advance(4);
        Ok(Some(buffer.split_to(end - 4).freeze()))
    }
}

fn peek_long(bytes: &[u8], at: usize) -> Option<i64> {
    let mut slice = bytes.get(at..at + 8)?;
    Some(slice.get_i64())
}

fn peek_int(bytes: &[u8], at: usize) -> Option<i32> {
    let mut slice = bytes.get(at..at + 4)?;
    Some(slice.get_i32())
}

/// Protocol version of a HELLO with one address: what every release since 3.5 reads (§1.1).
const HELLO_VERSION_1: i64 = -65536;
/// HELLO with several addresses; read, never sent (lesson 3720).
const HELLO_VERSION_2: i64 = -65535;
/// The longest address field of a HELLO; the reference closes beyond it.
const HELLO_ADDRESS_MAX: usize = 2048;
/// The longest notification: more than the config of 255 members needs, and much less than the 512 KiB at which the
/// reference drops the connection, since each is read on the state thread.
const NOTIFICATION_MAX: usize = 64 * 1024;

/// The largest round that is believed: counting on from here for ever would not reach the end.
const ROUND_MAX: i64 = 1 << 62;
/// Where the last stretch begins. Below it there are rounds for every election that will ever be held.
const ROUND_STRETCH: i64 = ROUND_MAX - (1 << 20);
/// More than servers that elect together are ever apart.
const ROUND_STEP_MAX: i64 = 1024;
