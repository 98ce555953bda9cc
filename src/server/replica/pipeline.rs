//! A connection's requests in order (client-protocol §1.8): a write holds back the later requests of its own
//! session until it is applied; reads of other sessions flow.

use bytes::Bytes;

use super::leader::SyncAsker;
use super::sessions::SessionOwner;
use super::{ClientId, Replica};
use crate::server::mutants::{self, Mutant};
use crate::server::tree::Outcome;
use crate::wire::ids::{SessionId, Zxid};
use crate::wire::jute::Reader;
use crate::wire::proto::{ErrorCode, Id, OpCode, ReplyHeader, Request, digest_id, xid};

/// One unanswered request of a connection.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) xid: i32,
    pub(super) op: OpCode,
    pub(super) since_ms: u64,
    pub(super) what: Waiting,
}

/// What an unanswered request waits for.
#[derive(Debug)]
pub(super) enum Waiting {
    /// Its transaction to be applied here. `None` is a request that could not be read.
    Commit(Option<Box<Request>>),
    /// The leader's word that all it had proposed is on its way, then those transactions (§2.9).
    Sync { path: crate::wire::jute::Str },
    /// Only the requests before it.
    Turn(Request),
    /// Only the requests before it; the outcome is known.
    Refusal(ErrorCode),
}

impl Replica {
    /// Takes a request of an open connection. `body` stands behind the header.
    pub(super) fn request(&mut self, id: ClientId, xid: i32, op: OpCode, mut body: Reader) {
        let raw = body.clone().rest();
        let request = Request::decode(op, &mut body);
        match (op, request) {
            (OpCode::Auth, request) => self.authenticate(id, xid, request.ok()),
            (OpCode::Sasl, _) => self.answer_sasl(id, xid),
            (OpCode::Ping, _) => self.enqueue(id, xid::PING, op, Waiting::Turn(Request::Ping)),
            (OpCode::Sync, Ok(Request::Sync { path }))
                if self.learn.is_some() && !mutants::on(Mutant::SyncAnsweredLocally) =>
            {
                if self.enqueue_held(id, xid, op, Waiting::Sync { path }) {
                    self.forward_from(id, xid, op, raw);
                    self.note_sync(id);
                }
            }
            (OpCode::Sync, Ok(Request::Sync { path })) => self.lead_sync(id, xid, path),
            (op, Ok(request)) if op.is_write() => self.write(id, xid, request, raw),
            // A leader gives even an undecodable write its own zxid (quorum Q24); a learner keeps it to itself.
            (op, Err(error)) if op.is_write() && self.lead.is_some() => {
                self.lead_write(id, xid, op, Err(error));
            }
            (op, Ok(request)) => self.enqueue(id, xid, op, Waiting::Turn(request)),
            (op, Err(_)) => self.enqueue(id, xid, op, Waiting::Refusal(ErrorCode::MarshallingError)),
        }
    }

    fn write(&mut self, id: ClientId, xid: i32, request: Request, raw: Bytes) {
        let op = request.op();
        if let Request::Reconfig { .. } = request {
            // Dynamic configuration is off, as it is by default in the reference (§2.10).
            return self.enqueue(id, xid, op, Waiting::Refusal(ErrorCode::ReconfigDisabled));
        }
        if self.lead.is_some() {
            self.lead_write(id, xid, op, Ok(request));
        } else if self.enqueue_held(id, xid, op, Waiting::Commit(Some(Box::new(request)))) {
            self.forward_from(id, xid, op, raw);
        }
    }

    fn lead_write(
        &mut self,
        id: ClientId,
        xid: i32,
        op: OpCode,
        request: Result<Request, crate::wire::jute::Error>,
    ) {
        let asked = request.clone().ok().map(Box::new);
        if !self.enqueue_held(id, xid, op, Waiting::Commit(asked)) {
            return;
        }
        let Some(client) = self.clients.get(id) else { return };
        let (session, who) = (client.session, client.identities.clone());
        self.lead_request(SessionOwner::Local, session, xid, request, &who);
    }

    /// What is committed may not be applied here yet, while this leader's own disk lags: a sync waits for it.
    fn lead_sync(&mut self, id: ClientId, xid: i32, path: crate::wire::jute::Str) {
        let Some(zab) = self.zab().filter(|_| self.lead.is_some()) else {
            return self.enqueue(id, xid, OpCode::Sync, Waiting::Turn(Request::Sync { path }));
        };
        let barrier = zab.last_proposed();
        if self.enqueue_held(id, xid, OpCode::Sync, Waiting::Sync { path }) {
            self.await_sync(barrier, SyncAsker::Client(id));
        }
    }

    fn forward_from(&mut self, id: ClientId, xid: i32, op: OpCode, raw: Bytes) {
        let Some(client) = self.clients.get(id) else { return };
        let (session, who) = (client.session, client.identities.clone());
        self.forward_raw(session, xid, op, &raw, &who);
    }

    /// Queues a request that cannot be answered now; false when the connection is gone.
    fn enqueue_held(&mut self, id: ClientId, xid: i32, op: OpCode, what: Waiting) -> bool {
        let since_ms = self.now.ms;
        let Some(client) = self.clients.live(id) else { return false };
        client.queue.push_back(Pending { xid, op, since_ms, what });
        self.stats.outstanding += 1;
        true
    }

    /// Answers at once when nothing stands before it, else queues.
    fn enqueue(&mut self, id: ClientId, xid: i32, op: OpCode, what: Waiting) {
        let since_ms = self.now.ms;
        let Some(client) = self.clients.live(id) else { return };
        let pending = Pending { xid, op, since_ms, what };
        if client.queue.is_empty() || mutants::on(Mutant::ReadOvertakesWrite) {
            self.stats.outstanding += 1;
            self.answer(id, pending);
        } else {
            client.queue.push_back(pending);
            self.stats.outstanding += 1;
        }
    }

    /// Answers everything at the head of the queue that waits for nothing else.
    pub(super) fn drain_queue(&mut self, id: ClientId) {
        while let Some(client) = self.clients.live(id) {
            match client.queue.front() {
                Some(Pending { what: Waiting::Turn(_) | Waiting::Refusal(_), .. }) => {}
                _ => return,
            }
            let Some(pending) = client.queue.pop_front() else { return };
            self.answer(id, pending);
        }
    }

    fn answer(&mut self, id: ClientId, pending: Pending) {
        let zxid = self.tree.last_zxid();
        match pending.what {
            Waiting::Turn(ref request) => self.read(id, pending.xid, request),
            Waiting::Refusal(code) => {
                let header = ReplyHeader { xid: pending.xid, zxid, err: code.code() };
                self.clients.send(id, |w| header.encode(w));
            }
            Waiting::Sync { .. } | Waiting::Commit(_) => {}
        }
        self.account(id, &pending, zxid);
    }

    /// The first sync of this connection's queue has been granted. A write before it may still wait for room
    /// at the leader: then it is only that write's turn that the sync waits for.
    pub(super) fn grant_sync(&mut self, id: ClientId) {
        let Some(client) = self.clients.live(id) else { return };
        let sync = client.queue.iter_mut().find(|pending| matches!(pending.what, Waiting::Sync { .. }));
        if let Some(pending) = sync
            && let Waiting::Sync { path } = &pending.what
        {
            pending.what = Waiting::Turn(Request::Sync { path: path.clone() });
            self.drain_queue(id);
        }
    }

    /// Answers the write whose transaction was just applied, if its connection is here.
    pub(super) fn reply_write(&mut self, session: SessionId, cxid: i32, zxid: Zxid, outcome: &Outcome) {
        let Some(id) = self.clients.of_session(session) else { return };
        let Some(client) = self.clients.live(id) else { return };
        let matches =
            client.queue.front().is_some_and(|p| p.xid == cxid && matches!(p.what, Waiting::Commit(_)));
        if !matches {
            return;
        }
        let Some(pending) = client.queue.pop_front() else { return };
        if is_moved(outcome) {
            // Never on the wire: the stale connection just ends (§2.2, §2.7).
            self.stats.outstanding = self.stats.outstanding.saturating_sub(1);
            return self.clients.close(id);
        }
        let answer = match &pending.what {
            Waiting::Commit(Some(request)) => outcome.response(request),
            _ => Err(ErrorCode::MarshallingError.code()),
        };
        let header = |err| ReplyHeader { xid: pending.xid, zxid, err };
        self.clients.send(id, |w| match answer {
            Ok(response) => {
                header(0).encode(w);
                response.encode(w);
            }
            Err(code) => header(code).encode(w),
        });
        self.account(id, &pending, zxid);
        if pending.op == OpCode::CloseSession {
            return self.clients.close(id);
        }
        self.drain_queue(id);
    }

    fn account(&mut self, id: ClientId, pending: &Pending, zxid: Zxid) {
        let latency_ms = self.now.ms.saturating_sub(pending.since_ms);
        self.stats.outstanding = self.stats.outstanding.saturating_sub(1);
        self.stats.sent += 1;
        self.stats.latency.record(latency_ms);
        let now = self.now;
        if let Some(client) = self.clients.live(id) {
            client.stats.answered(now, pending.op, zxid, latency_ms);
        }
    }

    /// Answered at once, ahead of queued replies, with zxid 0 (§1.8 exceptions, §4.5).
    fn authenticate(&mut self, id: ClientId, xid: i32, request: Option<Request>) {
        let identity = match &request {
            Some(Request::Auth { scheme, auth }) => self.identity(id, scheme, auth.as_deref()),
            _ => None,
        };
        let header = |err: ErrorCode| ReplyHeader { xid, zxid: Zxid::ZERO, err: err.code() };
        let Some(identities) = identity else {
            self.stats.auth_failed += 1;
            self.clients.send(id, |w| header(ErrorCode::AuthFailed).encode(w));
            return self.clients.close(id);
        };
        if let Some(client) = self.clients.live(id) {
            for identity in identities {
                if !client.identities.contains(&identity) {
                    client.identities.push(identity);
                }
            }
        }
        self.clients.send(id, |w| header(ErrorCode::Ok).encode(w));
    }

    /// The identities an auth packet proves; `None` refuses it.
    fn identity(&self, id: ClientId, scheme: &str, auth: Option<&[u8]>) -> Option<Vec<Id>> {
        match scheme {
            "ip" => Some(vec![self.clients.get(id)?.identities.first()?.clone()]),
            "digest" => {
                let digest = digest_id(&String::from_utf8_lossy(auth?));
                let mut identities = Vec::new();
                if self.settings.super_digest.as_deref() == Some(&digest) {
                    identities.push(Id::new("super", ""));
                }
                identities.push(Id::new("digest", &digest));
                Some(identities)
            }
            _ => None,
        }
    }

    /// SASL is not configured: no error and no token, as such a reference server answers (§9.3).
    fn answer_sasl(&mut self, id: ClientId, xid: i32) {
        self.clients.send(id, |w| {
            ReplyHeader { xid, zxid: Zxid::ZERO, err: 0 }.encode(w);
            w.buffer(None);
        });
    }
}

/// Whether the request failed because the session speaks through another server now. In a multi its
/// first failing op says so.
fn is_moved(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Error(code) => *code == ErrorCode::SessionMoved.code(),
        Outcome::Multi(parts) => parts.iter().any(is_moved),
        _ => false,
    }
}
