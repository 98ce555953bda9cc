//! The wiring of what clients say: a connection's first frame becomes a session or is refused (client-protocol
//! §1.3–§1.5), a request is answered, proposed, or sent to the leader.

use bytes::Bytes;

use super::bent;
use super::duty::Duty;
use super::event::ClientId;
use super::leader::{SyncAsker, Write};
use super::mind::{Replica, own_write};
use super::queue::Waiting;
use super::said::Said;
use super::sessions::SessionOwner;
use super::{forwarded, identity};
use crate::wire::ids::{SessionId, Zxid};
use crate::wire::jute::{self, Reader, Str};
use crate::wire::proto::{ConnectRequest, ErrorCode, OpCode, Request, session_password, xid};

impl Replica {
    pub(super) fn client_frame(&mut self, id: ClientId, frame: Bytes) {
        if let Some(said) = self.desk.clients_mut().hear(id, frame) {
            self.heard(id, said);
        }
    }

    fn heard(&mut self, id: ClientId, said: Said) {
        match said {
            Said::Connect(request) => self.connect(id, &request),
            Said::Later { session, timeout_ms } => self.duty.touch(self.now.ms, session, timeout_ms),
            Said::Request { session, timeout_ms, xid, op, body } => {
                self.duty.touch(self.now.ms, session, timeout_ms);
                match OpCode::from_code(op).filter(|op| is_acceptable(*op)) {
                    Some(op) => self.request(id, xid, op, body),
                    None => self.desk.clients_mut().refuse_op(id, xid),
                }
            }
        }
    }

    fn connect(&mut self, id: ClientId, request: &ConnectRequest) {
        if !self.serving() || is_ahead(request.last_zxid_seen, self.held.tree().last_zxid()) {
            return self.desk.clients_mut().close(id);
        }
        let (min, max) = (self.settings.session_timeout_ms_min, self.settings.session_timeout_ms_max);
        let timeout_ms = request.timeout_ms.clamp(min, max);
        self.desk.clients_mut().opening(id, timeout_ms, request.read_only.is_some());
        if request.session == SessionId::NONE {
            self.create_session(id, timeout_ms);
        } else {
            self.resume_session(id, request, timeout_ms);
        }
    }

    fn create_session(&mut self, id: ClientId, timeout_ms: i32) {
        let tree = self.held.tree();
        let session = self.session_ids.take(|id| tree.session_timeout_ms(id).is_some());
        self.desk.clients_mut().seat(id, session);
        let request = Ok(Request::CreateSession { timeout_ms });
        if let Duty::Lead(_) = &self.duty {
            self.lead_request(own_write(session, &request));
        } else {
            self.agreement.send_to_leader(forwarded::create_session(session, timeout_ms));
        }
    }

    fn resume_session(&mut self, id: ClientId, request: &ConnectRequest, timeout_ms: i32) {
        let session = request.session;
        let clients = self.desk.clients_mut();
        // The reference closes the old connection even before it looks at the password (§1.3 TRAP).
        if let Some(old) = clients.of_session(session) {
            clients.close(old);
        }
        if request.password[..] != session_password(session) {
            return self.finish_connect(id, false);
        }
        clients.seat(id, session);
        match &mut self.duty {
            Duty::Nothing => {}
            Duty::Lead(lead) => {
                let valid = lead.revalidate(self.now.ms, session, SessionOwner::Local);
                self.finish_connect(id, valid);
            }
            Duty::Learn(learn) => {
                let packet = learn.revalidate(id, session, timeout_ms);
                self.agreement.send_to_leader(packet);
            }
        }
    }

    /// The session is set up or refused: what came meanwhile is taken now.
    pub(super) fn finish_connect(&mut self, id: ClientId, valid: bool) {
        let Some(opened) = self.desk.clients_mut().settle(id, valid) else { return };
        self.duty.touch(self.now.ms, opened.session, opened.timeout_ms);
        self.hear_later(id);
    }

    /// Takes what has waited outside, as far as there is room.
    pub(super) fn hear_later(&mut self, id: ClientId) {
        while let Some(said) = self.desk.clients_mut().hear_later(id) {
            self.heard(id, said);
        }
    }

    /// The same for those whose queue has become shorter in this step.
    pub(super) fn hear_resumed(&mut self) {
        while let Some(id) = self.desk.clients_mut().next_resumed() {
            self.hear_later(id);
        }
    }

    /// The driver's word: no more is to be owed to a connection, or more may be.
    pub(super) fn client_full(&mut self, id: ClientId, is_full: bool) {
        self.desk.clients_mut().set_full(id, is_full);
        if !is_full {
            self.hear_later(id);
        }
    }

    /// Takes a request of an open connection. `body` stands behind the header.
    fn request(&mut self, id: ClientId, xid: i32, op: OpCode, mut body: Reader) {
        // What a leader is sent are the client's own bytes.
        let raw = if self.duty.lead().is_some() { Bytes::new() } else { body.clone().rest() };
        let request = Request::decode(op, &mut body);
        match (op, request) {
            (OpCode::Auth, request) => self.authenticate(id, xid, request.ok()),
            (OpCode::Sasl, _) => self.desk.clients_mut().answer_sasl(id, xid),
            (OpCode::Ping, _) => self.answer_in_turn(id, xid::PING, op, Waiting::Turn(Request::Ping)),
            (OpCode::Sync, Ok(Request::Sync { path })) => self.sync(id, xid, path, &raw),
            // Dynamic configuration is off, as it is by default in the reference (§2.10).
            (OpCode::Reconfig, Ok(_)) => {
                self.answer_in_turn(id, xid, op, Waiting::Refusal(ErrorCode::ReconfigDisabled));
            }
            (op, request) if op.is_write() => self.write(id, xid, op, request, &raw),
            (op, Ok(request)) => self.answer_in_turn(id, xid, op, Waiting::Turn(request)),
            (op, Err(_)) => self.answer_in_turn(id, xid, op, Waiting::Refusal(ErrorCode::MarshallingError)),
        }
    }

    fn answer_in_turn(&mut self, id: ClientId, xid: i32, op: OpCode, what: Waiting) {
        self.desk.ask(self.held.view(self.now), id, xid, op, what);
    }

    fn write(&mut self, id: ClientId, xid: i32, op: OpCode, request: jute::Result<Request>, raw: &[u8]) {
        let Duty::Lead(lead) = &mut self.duty else {
            // A leader gives even an undecodable write its own zxid (quorum Q24); a learner keeps it to itself.
            let Ok(request) = request else {
                return self.answer_in_turn(id, xid, op, Waiting::Refusal(ErrorCode::MarshallingError));
            };
            if self.desk.hold(self.now, id, xid, op, Waiting::Commit(Some(Box::new(request)))) {
                self.forward(id, xid, op, raw);
            }
            return;
        };
        let Some((session, who)) = self.desk.clients().who(id) else { return };
        let write = Write { from: SessionOwner::Local, session, cxid: xid, request: &request, who };
        let proposal = lead.ask(self.held.view(self.now), self.agreement.next_zxid(), write);
        self.desk.hold(self.now, id, xid, op, Waiting::Commit(request.ok().map(Box::new)));
        if let Some(proposal) = proposal {
            self.propose(proposal);
        }
    }

    /// A learner asks its leader. A leader asks a quorum whether it still leads; what is committed may not be
    /// applied here yet, while this leader's own disk lags: a sync waits for it.
    fn sync(&mut self, id: ClientId, xid: i32, path: Str, raw: &[u8]) {
        let op = OpCode::Sync;
        match (&mut self.duty, self.agreement.zab()) {
            (Duty::Learn(learn), _) if !bent::sync_stays_here() => {
                if self.desk.hold(self.now, id, xid, op, Waiting::Sync { path }) {
                    learn.sync_asked(id);
                    self.forward(id, xid, op, raw);
                }
            }
            (Duty::Lead(_), Some(zab)) => {
                let barrier = zab.last_proposed();
                if self.desk.hold(self.now, id, xid, op, Waiting::Sync { path }) {
                    self.await_sync(barrier, SyncAsker::Client(id));
                }
            }
            _ => self.answer_in_turn(id, xid, op, Waiting::Turn(Request::Sync { path })),
        }
    }

    /// To the leader, with every identity of the connection.
    fn forward(&mut self, id: ClientId, xid: i32, op: OpCode, raw: &[u8]) {
        let Some((session, who)) = self.desk.clients().who(id) else { return };
        self.agreement.send_to_leader(forwarded::packet(session, xid, op, raw, who));
    }

    fn authenticate(&mut self, id: ClientId, xid: i32, request: Option<Request>) {
        let clients = self.desk.clients_mut();
        let proven = match &request {
            Some(Request::Auth { scheme, auth }) => {
                let address = clients.who(id).and_then(|(_, identities)| identities.first());
                identity::proven(scheme, auth.as_deref(), address, self.settings.super_digest.as_deref())
            }
            _ => None,
        };
        clients.authenticated(id, xid, proven);
    }
}

/// Whether a client has seen more than this server knows: it must not read the past (§1.3).
fn is_ahead(seen: Zxid, last: Zxid) -> bool {
    if let Some(bent) = bent::is_ahead() {
        return bent;
    }
    seen > last
}

/// What a client may ask. A bare check poisons logs (quorum Q25), deleteContainer has no ACL check (Q33),
/// createSession answers a frame out of turn (client-protocol §2.1): refused like unknown ops.
fn is_acceptable(op: OpCode) -> bool {
    !matches!(op, OpCode::Error | OpCode::Check | OpCode::DeleteContainer | OpCode::CreateSession)
}
