//! What only a serving follower or observer does: it forwards writes to the leader and tells it which
//! sessions are alive (client-protocol §6.3, quorum §2.9).

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;

use super::{ClientId, Replica};
use crate::server::zab::Packet;
use crate::server::zab::wire::{AuthId, Kind};
use crate::wire::ids::{SessionId, Zxid};
use crate::wire::jute::{Reader, Writer};
use crate::wire::proto::{Id, OpCode, Request};

/// State that exists only while following or observing.
#[derive(Debug, Default)]
pub(super) struct Learn {
    /// Sessions heard from since the last PING was answered, with their timeouts in ms.
    touched: BTreeMap<SessionId, i32>,
    /// Resumes that wait for the leader's word.
    revalidating: BTreeMap<SessionId, VecDeque<ClientId>>,
    /// Syncs sent to the leader, which answers them in order.
    syncs: VecDeque<ClientId>,
}

impl Replica {
    /// Something was heard from a session's client.
    pub(super) fn touch(&mut self, session: SessionId) {
        if let Some(lead) = &mut self.lead {
            lead.tracker.touch(self.now.ms, session);
        } else if let Some(learn) = &mut self.learn
            && let Some(client) = self.clients.of_session(session)
            && let Some(client) = self.clients.get(client)
        {
            learn.touched.insert(session, client.timeout_ms);
        }
    }

    pub(super) fn forward(&mut self, session: SessionId, cxid: i32, request: &Request, who: &[Id]) {
        let mut body = Writer::new();
        request.encode(&mut body);
        self.forward_raw(session, cxid, request.op(), &body.finish(), who);
    }

    /// The client's own bytes go on to the leader, with every identity of its connection.
    pub(super) fn forward_raw(
        &mut self,
        session: SessionId,
        cxid: i32,
        op: OpCode,
        body: &Bytes,
        who: &[Id],
    ) {
        let mut w = Writer::with_capacity(16 + body.len());
        w.long(session.0);
        w.int(cxid);
        w.int(op.code());
        w.raw(body);
        // The server's own createSession carries no identities (quorum §2.9).
        let auth = (op != OpCode::CreateSession)
            .then(|| who.iter().map(|id| AuthId { scheme: id.scheme.clone(), id: id.id.clone() }).collect());
        let packet = Packet { kind: Kind::REQUEST, zxid: Zxid::NONE, data: Some(w.finish()), auth };
        self.with_zab(|zab, out| zab.send_to_leader(packet, out));
    }

    pub(super) fn forward_revalidate(&mut self, id: ClientId, session: SessionId, timeout_ms: i32) {
        let Some(learn) = &mut self.learn else { return };
        learn.revalidating.entry(session).or_default().push_back(id);
        let mut w = Writer::new();
        w.long(session.0);
        w.int(timeout_ms);
        let packet = Packet { kind: Kind::REVALIDATE, zxid: Zxid::NONE, data: Some(w.finish()), auth: None };
        self.with_zab(|zab, out| zab.send_to_leader(packet, out));
    }

    pub(super) fn note_sync(&mut self, id: ClientId) {
        if let Some(learn) = &mut self.learn {
            learn.syncs.push_back(id);
        }
    }

    /// PING: answered with the sessions heard from since the last one; never with null data (quorum Q12).
    pub(super) fn answer_ping(&mut self, zxid: Zxid) {
        // One that does not serve yet has nobody to tell of, and answers all the same: the leader counts (§2.8).
        let touched = self.learn.as_mut().map(|learn| std::mem::take(&mut learn.touched)).unwrap_or_default();
        let mut w = Writer::new();
        for (session, timeout_ms) in touched {
            w.long(session.0);
            w.int(timeout_ms);
        }
        let packet = Packet { kind: Kind::PING, zxid, data: Some(w.finish()), auth: None };
        self.with_zab(|zab, out| zab.send_to_leader(packet, out));
    }

    /// REVALIDATE or SYNC from the leader.
    pub(super) fn leader_answer(&mut self, packet: Packet) {
        match packet.kind {
            Kind::REVALIDATE => {
                let mut r = Reader::new(packet.data.unwrap_or_default());
                if let (Ok(session), Ok(valid)) = (r.long(), r.bool()) {
                    self.revalidated(SessionId(session), valid);
                }
            }
            Kind::SYNC => self.sync_granted(),
            _ => {}
        }
    }

    fn revalidated(&mut self, session: SessionId, valid: bool) {
        let Some(learn) = &mut self.learn else { return };
        let Some(waiting) = learn.revalidating.get_mut(&session) else { return };
        let next = waiting.pop_front();
        if waiting.is_empty() {
            learn.revalidating.remove(&session);
        }
        if let Some(id) = next {
            self.finish_connect(id, valid);
        }
    }

    /// `zab` hands SYNC on once everything committed before it is applied here.
    fn sync_granted(&mut self) {
        let Some(learn) = &mut self.learn else { return };
        if let Some(id) = learn.syncs.pop_front() {
            self.grant_sync(id);
        }
    }
}
