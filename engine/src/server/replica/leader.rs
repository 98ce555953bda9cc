//! What only the server that prepares transactions does: a leader, or a standalone server. It checks requests
//! against the state after all that is proposed, makes them transactions, expires sessions, and says when a sync
//! may be answered (quorum §2.9, §3.1).
//!
//! What it makes it hands back: proposing and answering are the caller's.

use std::collections::VecDeque;

use super::agreement::Proposal;
use super::bent;
use super::event::ClientId;
use super::held::View;
use super::sessions::{SessionOwner, SessionTracker, Standing};
use crate::server::tree::{self, Outstanding, PrepareContext, Txn, TxnBody};
use crate::server::zab::{ConnId, Packet};
use crate::wire::ids::{SessionId, Zxid};
use crate::wire::jute;
use crate::wire::proto::{ErrorCode, Id, OpCode, Request};

/// State that exists only while leading.
#[derive(Debug)]
pub(super) struct Lead {
    tracker: SessionTracker,
    outstanding: Outstanding,
    /// Proposed transactions, decoded, so that applying them need not decode again.
    prepared: VecDeque<Txn>,
    /// Requests that came while too much was proposed and not yet decided, in order.
    waiting: VecDeque<Asked>,
    /// Syncs not yet answered, in order.
    syncs: VecDeque<WaitingSync>,
    /// The last round in which a quorum said that it still follows.
    confirmed_round: u64,
    containers: Containers,
    settings: tree::Settings,
    /// Nobody else has a say, and nobody else has sessions.
    alone: bool,
}

/// How a leader leads.
#[derive(Debug, Clone)]
pub(super) struct LeadSettings {
    pub(super) tick_ms: u64,
    pub(super) containers_every_ms: u64,
    pub(super) tree: tree::Settings,
    /// A server of its own.
    pub(super) alone: bool,
}

/// When empty containers and expired TTL nodes are looked for.
#[derive(Debug, Clone, Copy)]
struct Containers {
    every_ms: u64,
    next_ms: u64,
}

/// A write as it reaches the leader.
#[derive(Debug, Clone, Copy)]
pub(super) struct Write<'a> {
    pub(super) from: SessionOwner,
    pub(super) session: SessionId,
    pub(super) cxid: i32,
    pub(super) request: &'a jute::Result<Request>,
    pub(super) who: &'a [Id],
}

/// A write that waits for room.
#[derive(Debug)]
struct Asked {
    from: SessionOwner,
    session: SessionId,
    cxid: i32,
    request: jute::Result<Request>,
    who: Vec<Id>,
}

/// A sync waits for what was proposed before it, and until a quorum has said that it still follows this leader.
#[derive(Debug)]
struct WaitingSync {
    barrier: Zxid,
    round: u64,
    asker: SyncAsker,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum SyncAsker {
    /// A learner, with what it is answered.
    Learner(ConnId, Packet),
    Client(ClientId),
}

impl Lead {
    pub(super) fn new(view: View<'_>, settings: LeadSettings) -> Lead {
        let LeadSettings { tick_ms, containers_every_ms, tree, alone } = settings;
        let now_ms = view.now.ms;
        Lead {
            tracker: SessionTracker::new(now_ms, tick_ms, view.tree.sessions()),
            outstanding: Outstanding::new(),
            prepared: VecDeque::new(),
            waiting: VecDeque::new(),
            syncs: VecDeque::new(),
            confirmed_round: 0,
            containers: Containers { every_ms: containers_every_ms, next_ms: now_ms + containers_every_ms },
            settings: tree,
            alone,
        }
    }

    pub(super) fn deadline_ms(&self) -> u64 {
        self.tracker.deadline_ms().unwrap_or(u64::MAX).min(self.containers.next_ms)
    }

    /// Writes that are not applied yet.
    pub(super) fn in_flight(&self) -> usize {
        self.prepared.len() + self.waiting.len()
    }

    /// (expiry in monotonic ms, sessions) by bucket.
    pub(super) fn session_buckets(&self) -> Vec<(u64, Vec<SessionId>)> {
        self.tracker.buckets().map(|(at, ids)| (at, ids.collect())).collect()
    }

    /// Takes a write: it becomes a proposal now if there is room (`next`), or waits behind those that wait.
    pub(super) fn ask(&mut self, view: View<'_>, next: Option<Zxid>, write: Write<'_>) -> Option<Proposal> {
        match next {
            Some(zxid) if self.waiting.is_empty() => Some(self.prepare(view, zxid, write)),
            _ => {
                let Write { from, session, cxid, request, who } = write;
                let (request, who) = (request.clone(), who.to_vec());
                self.waiting.push_back(Asked { from, session, cxid, request, who });
                None
            }
        }
    }

    /// Whether a write waits for room.
    pub(super) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// The next of those that waited, now that there is room.
    pub(super) fn ask_waiting(&mut self, view: View<'_>, zxid: Zxid) -> Option<Proposal> {
        let Asked { from, session, cxid, request, who } = self.waiting.pop_front()?;
        Some(self.prepare(view, zxid, Write { from, session, cxid, request: &request, who: &who }))
    }

    /// A transaction was decided: the one that was prepared under this zxid, if this server did that.
    pub(super) fn take_prepared(&mut self, zxid: Zxid) -> Option<Txn> {
        self.prepared.front().is_some_and(|txn| txn.header.zxid == zxid).then(|| self.prepared.pop_front())?
    }

    /// The tree holds it now.
    pub(super) fn applied(&mut self, zxid: Zxid, txn: &Txn) {
        self.outstanding.applied(zxid);
        if matches!(txn.body, TxnBody::CloseSession { .. }) {
            self.tracker.remove(txn.header.session);
        }
    }

    /// Sessions that nobody has heard from for their whole timeout; each is to be closed.
    pub(super) fn expired(&mut self, now_ms: u64) -> Vec<SessionId> {
        self.tracker.expired(now_ms)
    }

    /// Whether it is time to look for containers; if so the next time is set.
    pub(super) fn containers_are_due(&mut self, now_ms: u64) -> bool {
        let due = now_ms >= self.containers.next_ms;
        if due {
            self.containers.next_ms = now_ms + self.containers.every_ms;
        }
        due
    }

    /// Something was heard from a session. False when it is gone or going.
    pub(super) fn touch(&mut self, now_ms: u64, session: SessionId) -> bool {
        self.tracker.touch(now_ms, session)
    }

    /// Whether a session may go on through `owner`; if so it is that server's from now on (§1.5).
    pub(super) fn revalidate(&mut self, now_ms: u64, session: SessionId, owner: SessionOwner) -> bool {
        let valid = self.tracker.touch(now_ms, session);
        if valid {
            self.tracker.move_to(session, owner);
        }
        valid
    }

    /// Takes a sync: it waits for what is decided up to `barrier` and for a quorum's word in `round`.
    pub(super) fn await_sync(&mut self, barrier: Zxid, round: u64, asker: SyncAsker) {
        self.syncs.push_back(WaitingSync { barrier, round, asker });
    }

    /// A quorum said in this round that it still follows.
    pub(super) fn confirmed(&mut self, round: u64) {
        self.confirmed_round = round;
    }

    /// The next sync that waits for nothing more, when all up to `last` is applied.
    pub(super) fn next_sync(&mut self, last: Zxid) -> Option<SyncAsker> {
        let sync = self.syncs.front()?;
        let due = sync.barrier <= last && sync.round <= self.confirmed_round;
        due.then(|| self.syncs.pop_front())?.map(|sync| sync.asker)
    }

    /// Nobody is there any more to take these answers.
    pub(super) fn forget_syncs(&mut self, learner: ConnId) {
        self.syncs.retain(|sync| !matches!(sync.asker, SyncAsker::Learner(conn, _) if conn == learner));
    }

    /// Checks a write and makes it a transaction. A request that fails is a transaction too, with a zxid of its
    /// own (client-protocol §1.7, quorum Q24).
    fn prepare(&mut self, view: View<'_>, zxid: Zxid, write: Write<'_>) -> Proposal {
        let session_check = self.check_session(view.now.ms, &write);
        let context = PrepareContext {
            zxid,
            wall_ms: view.now.wall_ms,
            session: write.session,
            cxid: write.cxid,
            who: write.who,
            session_check,
            // All sessions are global ones: local sessions are not offered.
            ephemeral_check: session_check,
            settings: &self.settings,
        };
        let txn = match write.request {
            Ok(request) => self.outstanding.prepare(view.tree, request, &context),
            Err(_) => Txn::error(&context, ErrorCode::MarshallingError),
        };
        let bytes = txn.encode();
        if session_check.is_ok() && txn.header.kind == OpCode::CloseSession.code() {
            self.tracker.set_closing(write.session);
        }
        self.prepared.push_back(txn);
        Proposal { zxid, txn: bytes }
    }

    fn check_session(&mut self, now_ms: u64, write: &Write<'_>) -> Result<(), ErrorCode> {
        let Write { from, session, request, .. } = *write;
        match request {
            // The leader's own container task acts for no session.
            Ok(Request::DeleteContainer { .. }) => return Ok(()),
            Ok(Request::CreateSession { timeout_ms }) => {
                self.tracker.add(now_ms, session, *timeout_ms, Some(from));
                return Ok(());
            }
            _ => {}
        }
        let standing = self.tracker.standing(session, from);
        match bent::standing(standing).unwrap_or(standing) {
            Standing::Good => Ok(()),
            Standing::Unknown if self.alone => Err(ErrorCode::UnknownSession),
            // An expiry closes a session whoever owns it.
            Standing::Moved if matches!(request, Ok(Request::CloseSession)) && who_expired(from) => Ok(()),
            Standing::Moved => Err(ErrorCode::SessionMoved),
            Standing::Unknown | Standing::Closing => Err(ErrorCode::SessionExpired),
        }
    }
}

/// Expiry is the leader's own doing; a close that a client asks for carries its real owner.
fn who_expired(from: SessionOwner) -> bool {
    from == SessionOwner::Local
}
