//! What only the server that prepares transactions does: a leader, or a standalone server. It checks
//! requests against the state after all that is proposed, gives them zxids, expires sessions, and serves the
//! learners' requests (quorum §2.9, §3.1).

use std::collections::VecDeque;

use bytes::Bytes;

use super::sessions::{SessionOwner, SessionTracker, Standing};
use super::{Agreement, ClientId, Output, Replica};
use crate::server::mutants::{self, Mutant};
use crate::server::tree::{AclList, Outstanding, PrepareContext, Txn, TxnBody};
use crate::server::zab::wire::Kind;
use crate::server::zab::{self, ConnId, Packet};
use crate::wire::ids::{SessionId, Zxid};
use crate::wire::jute::{self, Reader, Writer};
use crate::wire::proto::{ErrorCode, Id, OpCode, Request};

/// State that exists only while leading.
#[derive(Debug)]
pub(super) struct Lead {
    pub(super) tracker: SessionTracker,
    pub(super) outstanding: Outstanding,
    /// Proposed transactions, decoded, so that applying them need not decode again.
    prepared: VecDeque<Txn>,
    /// Requests that came while too much was proposed and not yet decided, in order.
    waiting: VecDeque<Asked>,
    /// Syncs not yet answered, in order.
    syncs: VecDeque<WaitingSync>,
    /// The last round in which a quorum said that it still follows.
    confirmed_round: u64,
    container_check_ms: u64,
}

/// A sync waits for what was proposed before it, and until a quorum has said that it still follows this leader.
#[derive(Debug)]
struct WaitingSync {
    barrier: Zxid,
    round: u64,
    asker: SyncAsker,
}

#[derive(Debug)]
pub(super) enum SyncAsker {
    /// A learner, with what it is answered.
    Learner(ConnId, Packet),
    Client(ClientId),
}

/// A write as it reached the leader.
#[derive(Debug)]
struct Asked {
    from: SessionOwner,
    session: SessionId,
    cxid: i32,
    request: jute::Result<Request>,
    who: Vec<Id>,
}

impl Lead {
    pub(super) fn deadline_ms(&self) -> u64 {
        self.tracker.deadline_ms().unwrap_or(u64::MAX).min(self.container_check_ms)
    }

    pub(super) fn in_flight(&self) -> usize {
        self.prepared.len() + self.waiting.len()
    }

    /// Nobody is there any more to take these answers.
    pub(super) fn forget_syncs(&mut self, learner: ConnId) {
        self.syncs.retain(|sync| !matches!(sync.asker, SyncAsker::Learner(conn, _) if conn == learner));
    }

    /// The transaction proposed under this zxid, if this server prepared it.
    pub(super) fn take_prepared(&mut self, zxid: Zxid) -> Option<Txn> {
        self.prepared.front().is_some_and(|txn| txn.header.zxid == zxid).then(|| self.prepared.pop_front())?
    }
}

impl Replica {
    pub(super) fn start_leading(&mut self) {
        let known: Vec<_> = self.tree.sessions().collect();
        self.lead = Some(Lead {
            tracker: SessionTracker::new(self.now.ms, self.settings.tick_ms, known.into_iter()),
            outstanding: Outstanding::new(),
            prepared: VecDeque::new(),
            waiting: VecDeque::new(),
            syncs: VecDeque::new(),
            confirmed_round: 0,
            container_check_ms: self.now.ms + self.settings.container_check_ms,
        });
    }

    pub(super) fn lead_tick(&mut self) {
        let Some(lead) = &mut self.lead else { return };
        for session in lead.tracker.expired(self.now.ms) {
            self.lead_request(SessionOwner::Local, session, 0, Ok(Request::CloseSession), &[]);
        }
        let Some(lead) = &mut self.lead else { return };
        if self.now.ms >= lead.container_check_ms {
            lead.container_check_ms = self.now.ms + self.settings.container_check_ms;
            for path in self.tree.expired_nodes(self.now.wall_ms, self.settings.container_never_used_ms) {
                let request = Request::DeleteContainer { path: path.into() };
                self.lead_request(SessionOwner::Local, SessionId::NONE, 0, Ok(request), &[]);
            }
        }
    }

    /// Takes a write: it becomes a transaction now, or behind those that wait.
    pub(super) fn lead_request(
        &mut self,
        from: SessionOwner,
        session: SessionId,
        cxid: i32,
        request: jute::Result<Request>,
        who: &[Id],
    ) {
        let next = self.next_zxid();
        let Some(lead) = &mut self.lead else { return };
        match next {
            Some(zxid) if lead.waiting.is_empty() => {
                self.propose_request(zxid, from, session, cxid, request, who);
            }
            _ => lead.waiting.push_back(Asked { from, session, cxid, request, who: who.to_vec() }),
        }
    }

    /// Proposes what waited, as far as there is room now.
    pub(super) fn lead_waiting(&mut self) {
        while let Some(zxid) = self.next_zxid()
            && let Some(asked) = self.lead.as_mut().and_then(|lead| lead.waiting.pop_front())
        {
            self.propose_request(zxid, asked.from, asked.session, asked.cxid, asked.request, &asked.who);
        }
    }

    /// Checks a write, makes it a transaction and proposes it. A request that fails is a transaction too,
    /// with a zxid of its own (client-protocol §1.7, quorum Q24).
    fn propose_request(
        &mut self,
        zxid: Zxid,
        from: SessionOwner,
        session: SessionId,
        cxid: i32,
        request: jute::Result<Request>,
        who: &[Id],
    ) {
        let session_check = self.check_session(from, session, &request);
        let Some(lead) = &mut self.lead else { return };
        let context = PrepareContext {
            zxid,
            wall_ms: self.now.wall_ms,
            session,
            cxid,
            who,
            session_check,
            // All sessions are global ones: local sessions are not offered.
            ephemeral_check: session_check,
            settings: &self.settings.tree,
        };
        let txn = match &request {
            Ok(request) => lead.outstanding.prepare(&self.tree, request, &context),
            Err(_) => Txn::error(&context, ErrorCode::MarshallingError),
        };
        let bytes = txn.encode();
        if session_check.is_ok() && txn.header.kind == OpCode::CloseSession.code() {
            lead.tracker.set_closing(session);
        }
        lead.prepared.push_back(txn);
        self.propose(zxid, bytes);
    }

    fn check_session(
        &mut self,
        from: SessionOwner,
        session: SessionId,
        request: &jute::Result<Request>,
    ) -> Result<(), ErrorCode> {
        let standalone = matches!(self.agreement, Agreement::Standalone(_));
        let now_ms = self.now.ms;
        let Some(lead) = &mut self.lead else { return Err(ErrorCode::SessionExpired) };
        match request {
            // The leader's own container task acts for no session.
            Ok(Request::DeleteContainer { .. }) => Ok(()),
            Ok(Request::CreateSession { timeout_ms }) => {
                lead.tracker.add(now_ms, session, *timeout_ms, Some(from));
                Ok(())
            }
            _ => match lead.tracker.standing(session, from) {
                Standing::Good => Ok(()),
                Standing::Unknown if standalone => Err(ErrorCode::UnknownSession),
                // An expiry closes a session whoever owns it.
                Standing::Moved if matches!(request, Ok(Request::CloseSession)) && who_expired(from) => {
                    Ok(())
                }
                Standing::Moved => Err(ErrorCode::SessionMoved),
                Standing::Unknown | Standing::Closing => Err(ErrorCode::SessionExpired),
            },
        }
    }

    /// `None` when there is no serving leader here, or its counter is used up: then an election follows.
    fn next_zxid(&self) -> Option<Zxid> {
        match &self.agreement {
            Agreement::Standalone(standalone) => Some(standalone.next_zxid()),
            Agreement::Ensemble(zab) => zab.next_zxid(),
        }
    }

    fn propose(&mut self, zxid: Zxid, txn: Bytes) {
        self.stats.proposed(txn.len());
        if mutants::on(Mutant::WatchBeforeCommit)
            && let Ok(Txn { body: TxnBody::SetData { path, .. }, .. }) = Txn::decode(txn.clone())
        {
            let firing = self.watches.data_changed(&path);
            self.notify(zxid, &path, &AclList::Open, firing);
        }
        match &mut self.agreement {
            Agreement::Standalone(standalone) => {
                let id = standalone.propose(zxid, txn.clone());
                self.out.push(Output::Persist { id, op: zab::PersistOp::Append { zxid, txn } });
            }
            Agreement::Ensemble(_) => {
                let now_ms = self.now.ms;
                self.with_zab(|zab, out| zab.propose(now_ms, zxid, txn, out));
            }
        }
    }

    /// Whether a session may go on through `owner`; if so it is that server's from now on (§1.5).
    pub(super) fn lead_revalidate(&mut self, session: SessionId, owner: SessionOwner) -> bool {
        let Some(lead) = &mut self.lead else { return false };
        let valid = lead.tracker.touch(self.now.ms, session);
        if valid {
            lead.tracker.move_to(session, owner);
        }
        valid
    }

    /// REQUEST from a learner: `long session, int cxid, int op` and the client's body (quorum §2.9).
    pub(super) fn peer_request(&mut self, conn: ConnId, packet: Packet) {
        let mut r = Reader::new(packet.data.clone().unwrap_or_default());
        let header = (|| Ok::<_, jute::Error>((SessionId(r.long()?), r.int()?, r.int()?)))();
        let Ok((session, cxid, op)) = header else { return };
        let owner = SessionOwner::Learner(conn);
        let who: Vec<Id> = packet.auth.iter().flatten().map(|id| Id::new(&id.scheme, &id.id)).collect();
        match OpCode::from_code(op) {
            Some(OpCode::Sync) => self.peer_sync(conn, packet),
            // Never from outside (quorum Q25, Q33): answered as the op it cannot be.
            Some(OpCode::Check | OpCode::DeleteContainer) | None => {
                let refused = Err(jute::Error::Value { what: "forwarded op", value: op.into() });
                self.lead_request(owner, session, cxid, refused, &who);
            }
            Some(op) if op.is_write() => {
                self.lead_request(owner, session, cxid, Request::decode(op, &mut r), &who);
            }
            Some(_) => {}
        }
    }

    /// SYNC is answered behind everything proposed so far (quorum §2.9). What is committed is on its way to the
    /// learner already, whether it is applied here or not.
    fn peer_sync(&mut self, conn: ConnId, request: Packet) {
        let answer = Packet { kind: Kind::SYNC, zxid: Zxid::ZERO, ..request };
        let Agreement::Ensemble(zab) = &self.agreement else { return };
        let barrier = if zab.has_outstanding() { zab.last_proposed() } else { Zxid::ZERO };
        self.await_sync(barrier, SyncAsker::Learner(conn, answer));
    }

    pub(super) fn await_sync(&mut self, barrier: Zxid, asker: SyncAsker) {
        let now_ms = self.now.ms;
        let mut round = 0;
        self.with_zab(|zab, out| round = zab.confirm_leadership(now_ms, out));
        if let Some(lead) = &mut self.lead {
            lead.syncs.push_back(WaitingSync { barrier, round, asker });
            self.release_syncs();
        }
    }

    pub(super) fn leadership_confirmed(&mut self, round: u64) {
        if let Some(lead) = &mut self.lead {
            lead.confirmed_round = round;
            self.release_syncs();
        }
    }

    /// Answers the syncs that wait for nothing more.
    pub(super) fn release_syncs(&mut self) {
        let last = self.tree.last_zxid();
        while let Some(lead) = &mut self.lead
            && lead.syncs.front().is_some_and(|s| s.barrier <= last && s.round <= lead.confirmed_round)
            && let Some(sync) = lead.syncs.pop_front()
        {
            match sync.asker {
                SyncAsker::Learner(conn, answer) => {
                    self.with_zab(|zab, out| zab.send_to_learner(conn, answer, out));
                }
                SyncAsker::Client(id) => self.grant_sync(id),
            }
        }
    }

    /// REVALIDATE: `long session, int timeout` → `long session, bool valid`.
    pub(super) fn peer_revalidate(&mut self, conn: ConnId, packet: Packet) {
        let mut r = Reader::new(packet.data.clone().unwrap_or_default());
        let Ok(session) = r.long() else { return };
        let valid = self.lead_revalidate(SessionId(session), SessionOwner::Learner(conn));
        let mut w = Writer::new();
        w.long(session);
        w.bool(valid);
        let answer = Packet { data: Some(w.finish()), ..packet };
        self.with_zab(|zab, out| zab.send_to_learner(conn, answer, out));
    }

    /// The sessions a learner heard from since its last PING: `{long id, int timeout}*` (§6.3).
    pub(super) fn peer_touched(&mut self, entries: Bytes) {
        let now_ms = self.now.ms;
        let Some(lead) = self.lead.as_mut().filter(|_| !mutants::on(Mutant::FollowerTouchesIgnored)) else {
            return;
        };
        let mut r = Reader::new(entries);
        while let (Ok(session), Ok(_)) = (r.long(), r.int()) {
            lead.tracker.touch(now_ms, SessionId(session));
        }
    }
}

/// Expiry is the leader's own doing; a close that a client asks for carries its real owner.
fn who_expired(from: SessionOwner) -> bool {
    from == SessionOwner::Local
}
