//! The session table of the server that expires sessions: a leader, or a standalone server
//! (client-protocol §6). Learners only collect touches, see `learner`.
//!
//! Sessions expire in buckets of one tick on the monotonic clock, as the reference's do.

use std::collections::{BTreeMap, BTreeSet};

use crate::server::zab::ConnId;
use crate::wire::ids::SessionId;

/// Which server a session's writes must come through (§1.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SessionOwner {
    /// A client of this very server.
    Local,
    /// A client of the learner behind this connection.
    Learner(ConnId),
}

/// What the tracker says of a write (§2.2 row 13).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    Good,
    /// Not in the table: never created, or expired and gone.
    Unknown,
    /// Its end is already under way.
    Closing,
    /// Another server owns it now.
    Moved,
}

#[derive(Debug)]
struct Session {
    timeout_ms: u64,
    expires_ms: u64,
    closing: bool,
    owner: Option<SessionOwner>,
}

/// Sessions by id and by the bucket in which they expire.
#[derive(Debug)]
pub(super) struct SessionTracker {
    tick_ms: u64,
    sessions: BTreeMap<SessionId, Session>,
    buckets: BTreeMap<u64, BTreeSet<SessionId>>,
}

impl SessionTracker {
    /// Every known session starts with a full timeout (§6.2).
    pub(super) fn new(
        now_ms: u64,
        tick_ms: u64,
        known: impl Iterator<Item = (SessionId, i32)>,
    ) -> SessionTracker {
        let mut tracker = SessionTracker { tick_ms, sessions: BTreeMap::new(), buckets: BTreeMap::new() };
        for (id, timeout_ms) in known {
            tracker.add(now_ms, id, timeout_ms, None);
        }
        tracker
    }

    /// A session is born, or known again after its create was applied.
    pub(super) fn add(&mut self, now_ms: u64, id: SessionId, timeout_ms: i32, owner: Option<SessionOwner>) {
        let timeout_ms = u64::try_from(timeout_ms).unwrap_or(0);
        let expires_ms = self.bucket(now_ms, timeout_ms);
        let session = Session { timeout_ms, expires_ms, closing: false, owner };
        if let Some(old) = self.sessions.insert(id, session) {
            self.leave_bucket(id, old.expires_ms);
        }
        self.buckets.entry(expires_ms).or_default().insert(id);
    }

    /// Something was heard from it. False when it is gone or going.
    pub(super) fn touch(&mut self, now_ms: u64, id: SessionId) -> bool {
        let Some(session) = self.sessions.get(&id).filter(|s| !s.closing) else { return false };
        let (old, new) = (session.expires_ms, self.bucket(now_ms, session.timeout_ms));
        if new > old {
            self.leave_bucket(id, old);
            self.buckets.entry(new).or_default().insert(id);
            if let Some(session) = self.sessions.get_mut(&id) {
                session.expires_ms = new;
            }
        }
        true
    }

    /// A resume was granted through `owner`: its writes now come from there.
    pub(super) fn move_to(&mut self, id: SessionId, owner: SessionOwner) {
        if let Some(session) = self.sessions.get_mut(&id) {
            session.owner = Some(owner);
        }
    }

    /// Whether a write of this session through `from` may go on. One that nobody has spoken for to this leader yet is
    /// no learner's: a client that comes back to a learner is asked about first (REVALIDATE), and settles the owner.
    /// This server's own doing needs nobody's word: an expiry closes such a session.
    pub(super) fn standing(&mut self, id: SessionId, from: SessionOwner) -> Standing {
        match self.sessions.get_mut(&id) {
            None => Standing::Unknown,
            Some(session) if session.closing => Standing::Closing,
            Some(Session { owner: None, .. }) if from != SessionOwner::Local => Standing::Moved,
            Some(session) => match session.owner.get_or_insert(from) {
                owner if *owner == from => Standing::Good,
                _ => Standing::Moved,
            },
        }
    }

    /// Its closeSession is being proposed: nothing else of it is accepted from now on.
    pub(super) fn set_closing(&mut self, id: SessionId) {
        if let Some(session) = self.sessions.get_mut(&id) {
            session.closing = true;
            let bucket = session.expires_ms;
            self.leave_bucket(id, bucket);
        }
    }

    /// Its closeSession was applied.
    pub(super) fn remove(&mut self, id: SessionId) {
        if let Some(session) = self.sessions.remove(&id) {
            self.leave_bucket(id, session.expires_ms);
        }
    }

    /// Sessions whose bucket has passed, oldest bucket first.
    pub(super) fn expired(&mut self, now_ms: u64) -> Vec<SessionId> {
        let later = self.buckets.split_off(&(now_ms + 1));
        let due = std::mem::replace(&mut self.buckets, later);
        due.into_values().flatten().collect()
    }

    /// When [`SessionTracker::expired`] has something to say next.
    pub(super) fn deadline_ms(&self) -> Option<u64> {
        self.buckets.first_key_value().map(|(at, _)| *at)
    }

    /// (expiry, sessions) by bucket, for `dump`.
    pub(super) fn buckets(&self) -> impl Iterator<Item = (u64, impl Iterator<Item = SessionId>)> {
        self.buckets.iter().map(|(at, ids)| (*at, ids.iter().copied()))
    }

    /// `((now + timeout) / tick + 1) × tick` (§6.2).
    fn bucket(&self, now_ms: u64, timeout_ms: u64) -> u64 {
        ((now_ms + timeout_ms) / self.tick_ms + 1) * self.tick_ms
    }

    fn leave_bucket(&mut self, id: SessionId, bucket: u64) {
        if let Some(ids) = self.buckets.get_mut(&bucket) {
            ids.remove(&id);
            if ids.is_empty() {
                self.buckets.remove(&bucket);
            }
        }
    }
}
