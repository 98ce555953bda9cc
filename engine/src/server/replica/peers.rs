//! The wiring of what servers ask each other beside agreement itself (quorum §2.8, §2.9): a learner's requests,
//! syncs, sessions; a leader's answers.

use bytes::Bytes;

use super::bent;
use super::duty::Duty;
use super::forwarded::{self, Forwarded};
use super::leader::{SyncAsker, Write};
use super::learner::{self, Answer};
use super::mind::Replica;
use super::sessions::SessionOwner;
use crate::server::zab::wire::Kind;
use crate::server::zab::{ConnId, Packet};
use crate::wire::ids::{SessionId, Zxid};
use crate::wire::jute::{self, Reader, Writer};
use crate::wire::proto::{OpCode, Request};

impl Replica {
    /// REQUEST from a learner: the client's body behind session, cxid and op (quorum §2.9).
    pub(super) fn peer_request(&mut self, conn: ConnId, packet: Packet) {
        let Ok(asked) = Forwarded::read(packet.data.clone().unwrap_or_default()) else { return };
        let Forwarded { session, cxid, op, mut body } = asked;
        let request = match OpCode::from_code(op) {
            Some(OpCode::Sync) => return self.peer_sync(conn, packet),
            // Never from outside (quorum Q25, Q33): answered as the op it cannot be.
            Some(OpCode::Check | OpCode::DeleteContainer) | None => {
                Err(jute::Error::Value { what: "forwarded op", value: op.into() })
            }
            Some(op) if op.is_write() => Request::decode(op, &mut body),
            Some(_) => return,
        };
        let who = forwarded::identities(&packet);
        let from = SessionOwner::Learner(conn);
        self.lead_request(Write { from, session, cxid, request: &request, who: &who });
    }

    /// SYNC is answered behind everything proposed so far (quorum §2.9). What is committed is on its way to the
    /// learner already, whether it is applied here or not.
    fn peer_sync(&mut self, conn: ConnId, request: Packet) {
        let answer = Packet { kind: Kind::SYNC, zxid: Zxid::ZERO, ..request };
        self.await_sync(self.agreement.undecided_up_to(), SyncAsker::Learner(conn, answer));
    }

    /// A sync waits for what is decided up to `barrier`, and for a quorum's word that it still follows.
    pub(super) fn await_sync(&mut self, barrier: Zxid, asker: SyncAsker) {
        let round = self.agreement.confirm_leadership(self.now.ms);
        if let Duty::Lead(lead) = &mut self.duty {
            lead.await_sync(barrier, round, asker);
            self.release_syncs();
        }
    }

    pub(super) fn leadership_confirmed(&mut self, round: u64) {
        if let Duty::Lead(lead) = &mut self.duty {
            lead.confirmed(round);
            self.release_syncs();
        }
    }

    /// Answers the syncs that wait for nothing more.
    pub(super) fn release_syncs(&mut self) {
        let view = self.held.view(self.now);
        while let Duty::Lead(lead) = &mut self.duty
            && let Some(asker) = lead.next_sync(view.tree.last_zxid())
        {
            match asker {
                SyncAsker::Learner(conn, answer) => self.agreement.send_to_learner(conn, answer),
                SyncAsker::Client(id) => self.desk.grant_sync(view, id),
            }
        }
    }

    /// REVALIDATE: `long session, int timeout` → `long session, bool valid`.
    pub(super) fn peer_revalidate(&mut self, conn: ConnId, packet: Packet) {
        let mut r = Reader::new(packet.data.clone().unwrap_or_default());
        let Ok(session) = r.long() else { return };
        let owner = SessionOwner::Learner(conn);
        let valid = (self.duty.lead_mut())
            .is_some_and(|lead| lead.revalidate(self.now.ms, SessionId(session), owner));
        let mut w = Writer::new();
        w.long(session);
        w.bool(valid);
        self.agreement.send_to_learner(conn, Packet { data: Some(w.finish()), ..packet });
    }

    /// The sessions a learner heard from since its last PING: `{long id, int timeout}*` (§6.3).
    pub(super) fn peer_touched(&mut self, entries: Bytes) {
        if bent::touches_are_ignored() {
            return;
        }
        let Duty::Lead(lead) = &mut self.duty else { return };
        let mut r = Reader::new(entries);
        while let (Ok(session), Ok(_)) = (r.long(), r.int()) {
            lead.touch(self.now.ms, SessionId(session));
        }
    }

    /// Its sessions stay its own until a server they go to says so (REVALIDATE): what an earlier server of theirs
    /// still has on its way must not come in behind what was sent since.
    pub(super) fn learner_gone(&mut self, conn: ConnId) {
        if let Duty::Lead(lead) = &mut self.duty {
            lead.forget_syncs(conn);
        }
    }

    pub(super) fn answer_ping(&mut self, zxid: Zxid) {
        let answer = learner::ping_answer(self.duty.learn_mut(), zxid);
        self.agreement.send_to_leader(answer);
    }

    /// REVALIDATE or SYNC from the leader.
    pub(super) fn leader_answered(&mut self, packet: Packet) {
        match self.duty.learn_mut().and_then(|learn| learn.answered(packet)) {
            Some(Answer::Revalidated { client, valid }) => self.finish_connect(client, valid),
            Some(Answer::SyncGranted { client }) => self.desk.grant_sync(self.held.view(self.now), client),
            None => {}
        }
    }
}
