//! What only a serving follower or observer does: it remembers what it has asked its leader, and which sessions
//! it heard from (client-protocol §6.3, quorum §2.9). What is to be sent comes back as packets.

use std::collections::{BTreeMap, VecDeque};

use super::event::ClientId;
use crate::server::zab::Packet;
use crate::server::zab::wire::Kind;
use crate::wire::ids::{SessionId, Zxid};
use crate::wire::jute::{Reader, Writer};

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

/// What the leader's answer means for a client that waits for it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Revalidated { client: ClientId, valid: bool },
    SyncGranted { client: ClientId },
}

impl Learn {
    /// Something was heard from a session's client.
    pub(super) fn touch(&mut self, session: SessionId, timeout_ms: i32) {
        self.touched.insert(session, timeout_ms);
    }

    /// A client goes on with its session: the leader is asked whether it may.
    pub(super) fn revalidate(&mut self, id: ClientId, session: SessionId, timeout_ms: i32) -> Packet {
        self.revalidating.entry(session).or_default().push_back(id);
        let mut w = Writer::new();
        w.long(session.0);
        w.int(timeout_ms);
        Packet { kind: Kind::REVALIDATE, zxid: Zxid::NONE, data: Some(w.finish()), auth: None }
    }

    /// A client's sync is on its way to the leader.
    pub(super) fn sync_asked(&mut self, id: ClientId) {
        self.syncs.push_back(id);
    }

    /// REVALIDATE or SYNC from the leader. `zab` hands SYNC on once everything committed before it is applied here.
    pub(super) fn answered(&mut self, packet: Packet) -> Option<Answer> {
        match packet.kind {
            Kind::REVALIDATE => {
                let mut r = Reader::new(packet.data.unwrap_or_default());
                let (session, valid) = (SessionId(r.long().ok()?), r.bool().ok()?);
                let waiting = self.revalidating.get_mut(&session)?;
                let next = waiting.pop_front();
                if waiting.is_empty() {
                    self.revalidating.remove(&session);
                }
                next.map(|client| Answer::Revalidated { client, valid })
            }
            Kind::SYNC => self.syncs.pop_front().map(|client| Answer::SyncGranted { client }),
            _ => None,
        }
    }

    fn take_touched(&mut self) -> BTreeMap<SessionId, i32> {
        std::mem::take(&mut self.touched)
    }
}

/// The answer to PING: the sessions heard from since the last one; never null data (quorum Q12). One that does not
/// serve yet has nobody to tell of, and answers all the same: the leader counts (§2.8).
pub(super) fn ping_answer(learn: Option<&mut Learn>, zxid: Zxid) -> Packet {
    let mut w = Writer::new();
    for (session, timeout_ms) in learn.map(Learn::take_touched).unwrap_or_default() {
        w.long(session.0);
        w.int(timeout_ms);
    }
    Packet { kind: Kind::PING, zxid, data: Some(w.finish()), auth: None }
}
