//! The first frame in each direction, and the session password (§1.3, §1.4).

use bytes::Bytes;

use crate::wire::ids::{SessionId, Zxid};
use crate::wire::jute::{Reader, Result, Writer};

/// What a client sends first: opens a session (`session` 0) or resumes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectRequest {
    pub protocol_version: i32,
    pub last_zxid_seen: Zxid,
    pub timeout_ms: i32,
    pub session: SessionId,
    pub password: Bytes,
    /// `None`: a client older than 3.4, which also expects no such byte in the answer.
    pub read_only: Option<bool>,
}

impl ConnectRequest {
    pub fn decode(bytes: Bytes) -> Result<ConnectRequest> {
        let mut r = Reader::new(bytes);
        Ok(ConnectRequest {
            protocol_version: r.int()?,
            last_zxid_seen: Zxid(r.long()?),
            timeout_ms: r.int()?,
            session: SessionId(r.long()?),
            password: r.buffer()?.unwrap_or_default(),
            read_only: if r.remaining() > 0 { Some(r.bool()?) } else { None },
        })
    }

    pub fn encode(&self, w: &mut Writer) {
        w.int(self.protocol_version);
        w.long(self.last_zxid_seen.0);
        w.int(self.timeout_ms);
        w.long(self.session.0);
        w.buffer(Some(&self.password));
        if let Some(read_only) = self.read_only {
            w.bool(read_only);
        }
    }
}

/// The server's answer. `timeout_ms` 0 means refused: the session is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectResponse {
    pub timeout_ms: i32,
    pub session: SessionId,
    pub password: [u8; 16],
    /// Written only if the request carried the field.
    pub read_only: Option<bool>,
}

impl ConnectResponse {
    /// The refusal: all zeros (§1.3 TRAP: still a frame, then the close).
    pub fn refused(with_read_only: bool) -> ConnectResponse {
        ConnectResponse {
            timeout_ms: 0,
            session: SessionId::NONE,
            password: [0; 16],
            read_only: with_read_only.then_some(false),
        }
    }

    pub fn encode(&self, w: &mut Writer) {
        w.int(0);
        w.int(self.timeout_ms);
        w.long(self.session.0);
        w.buffer(Some(&self.password));
        if let Some(read_only) = self.read_only {
            w.bool(read_only);
        }
    }

    pub fn decode(bytes: Bytes) -> Result<ConnectResponse> {
        let mut r = Reader::new(bytes);
        r.int()?;
        let timeout_ms = r.int()?;
        let session = SessionId(r.long()?);
        let at = r.position();
        let bytes = r.buffer()?.unwrap_or_default();
        let password = <[u8; 16]>::try_from(&bytes[..])
            .map_err(|_| crate::wire::jute::Error::Length { at, len: bytes.len() as i64 })?;
        let read_only = if r.remaining() > 0 { Some(r.bool()?) } else { None };
        Ok(ConnectResponse { timeout_ms, session, password, read_only })
    }
}

/// The 16 bytes every server derives from a session id: `java.util.Random(id ^ 0xB3415C00)`, words
/// little-endian (§1.4). Not a secret; it only has to be the same everywhere.
pub fn session_password(session: SessionId) -> [u8; 16] {
    const MASK: u64 = (1 << 48) - 1;
    let mut state = (session.0 as u64 ^ 0xB341_5C00 ^ 0x5_DEEC_E66D) & MASK;
    let mut password = [0; 16];
    for word in password.chunks_exact_mut(4) {
        state = state.wrapping_mul(0x5_DEEC_E66D).wrapping_add(0xB) & MASK;
        word.copy_from_slice(&((state >> 16) as u32).to_le_bytes());
    }
    password
}
