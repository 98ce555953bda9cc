//! A client's request on its way from a learner to the leader (quorum §2.9): `long session, int cxid, int op` and the
//! client's own body.

use bytes::Bytes;

use crate::server::zab::Packet;
use crate::server::zab::wire::{AuthId, Kind};
use crate::wire::ids::{SessionId, Zxid};
use crate::wire::jute::{Reader, Result, Writer};
use crate::wire::proto::{Id, OpCode, Request};

/// A REQUEST as the leader reads it.
#[derive(Debug)]
pub(super) struct Forwarded {
    pub(super) session: SessionId,
    pub(super) cxid: i32,
    /// A peer may write anything here.
    pub(super) op: i32,
    pub(super) body: Reader,
}

impl Forwarded {
    pub(super) fn read(data: Bytes) -> Result<Forwarded> {
        let mut body = Reader::new(data);
        Ok(Forwarded { session: SessionId(body.long()?), cxid: body.int()?, op: body.int()?, body })
    }
}

/// The packet for a request, with every identity of its connection.
pub(super) fn packet(session: SessionId, cxid: i32, op: OpCode, body: &[u8], who: &[Id]) -> Packet {
    let mut w = Writer::with_capacity(16 + body.len());
    w.long(session.0);
    w.int(cxid);
    w.int(op.code());
    w.raw(body);
    let auth = who.iter().map(|id| AuthId { scheme: id.scheme.clone(), id: id.id.clone() }).collect();
    Packet { kind: Kind::REQUEST, zxid: Zxid::NONE, data: Some(w.finish()), auth: Some(auth) }
}

/// The packet for a new session, which is this server's own wish and carries no identities (quorum §2.9).
pub(super) fn create_session(session: SessionId, timeout_ms: i32) -> Packet {
    let mut body = Writer::new();
    Request::CreateSession { timeout_ms }.encode(&mut body);
    Packet { auth: None, ..packet(session, 0, OpCode::CreateSession, &body.finish(), &[]) }
}

/// Whose request it is, as the learner says.
pub(super) fn identities(packet: &Packet) -> Vec<Id> {
    packet.auth.iter().flatten().map(|id| Id::new(&id.scheme, &id.id)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leader_reads_what_a_learner_wrote() {
        let who = [Id::new("ip", "10.0.0.1"), Id::new("digest", "ann:x")];
        let sent = packet(SessionId(7), 3, OpCode::SetData, b"body", &who);
        assert_eq!(identities(&sent), who);
        let mut read = Forwarded::read(sent.data.unwrap()).unwrap();
        assert_eq!((read.session, read.cxid, read.op), (SessionId(7), 3, OpCode::SetData.code()));
        assert_eq!(&read.body.rest()[..], b"body");
        assert!(Forwarded::read(Bytes::from_static(&[0; 15])).is_err());
    }

    #[test]
    fn a_session_that_is_being_created_has_no_identities() {
        let sent = create_session(SessionId(7), 4000);
        assert_eq!((sent.auth, sent.data.unwrap().len()), (None, 20));
    }
}
