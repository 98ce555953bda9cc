//! A connection's first frame: a session is created, resumed or refused (client-protocol §1.3–§1.5).

use std::collections::VecDeque;

use super::clients::Phase;
use super::sessions::SessionOwner;
use super::{ClientId, Now, Replica, Settings};
use crate::server::mutants::{self, Mutant};
use crate::wire::ids::{SessionId, Zxid};
use crate::wire::proto::{ConnectRequest, ConnectResponse, Request, session_password};

/// The id the first new session of this process gets: the server's id in the top byte, then 40 bits of
/// clock, and a salt where the reference begins with zeros. The wall clock instead of the reference's
/// monotonic one, whose ids repeat after a reboot (quorum Q28). A standalone server counts as server 1
/// (client-protocol §1.4 TRAP).
pub(super) fn first_session(settings: &Settings, standalone: bool, now: Now) -> i64 {
    let sid = if standalone { 1 } else { settings.me.0 & 0xff };
    let clock = ((now.wall_ms as u64) << 24) >> 8;
    (clock | u64::from(settings.session_salt) | (sid as u64) << 56) as i64
}

impl Replica {
    pub(super) fn connect(&mut self, id: ClientId, request: ConnectRequest) {
        let ahead = request.last_zxid_seen > self.tree.last_zxid();
        if !self.serving() || (ahead && !mutants::on(Mutant::ClientAheadTaken)) {
            return self.clients.close(id);
        }
        let timeout_ms = request
            .timeout_ms
            .clamp(self.settings.session_timeout_ms_min, self.settings.session_timeout_ms_max);
        let Some(client) = self.clients.live(id) else { return };
        client.timeout_ms = timeout_ms;
        client.phase = Phase::Opening { early: VecDeque::new(), with_read_only: request.read_only.is_some() };
        if request.session == SessionId::NONE {
            self.create_session(id, timeout_ms);
        } else {
            self.resume_session(id, &request, timeout_ms);
        }
    }

    fn create_session(&mut self, id: ClientId, timeout_ms: i32) {
        // An id that somebody has must not be given to somebody else, whatever the clock says.
        while self.tree.session_timeout_ms(SessionId(self.next_session)).is_some() {
            self.next_session += 1;
        }
        let session = SessionId(self.next_session);
        self.next_session += 1;
        self.take_session(id, session);
        let request = Request::CreateSession { timeout_ms };
        if self.lead.is_some() {
            self.lead_request(SessionOwner::Local, session, 0, Ok(request), &[]);
        } else {
            self.forward(session, 0, &request, &[]);
        }
    }

    fn resume_session(&mut self, id: ClientId, request: &ConnectRequest, timeout_ms: i32) {
        let session = request.session;
        // The reference closes the old connection even before it looks at the password (§1.3 TRAP).
        if let Some(old) = self.clients.of_session(session) {
            self.clients.close(old);
        }
        if request.password[..] != session_password(session) {
            return self.finish_connect(id, false);
        }
        self.take_session(id, session);
        if self.lead.is_some() {
            let valid = self.lead_revalidate(session, SessionOwner::Local);
            self.finish_connect(id, valid);
        } else {
            self.forward_revalidate(id, session, timeout_ms);
        }
    }

    fn take_session(&mut self, id: ClientId, session: SessionId) {
        if let Some(client) = self.clients.live(id) {
            client.session = session;
        }
        self.clients.bind(session, id);
    }

    /// Answers a ConnectRequest. A refusal is a frame of zeros and then the close (§1.3 TRAP).
    pub(super) fn finish_connect(&mut self, id: ClientId, valid: bool) {
        let Some(client) = self.clients.live(id) else { return };
        let with_read_only = match &client.phase {
            Phase::Opening { with_read_only, .. } => *with_read_only,
            Phase::Greeting | Phase::Open => return,
        };
        if !valid {
            let refusal = ConnectResponse::refused(with_read_only);
            self.clients.send(id, |w| refusal.encode(w));
            return self.clients.close(id);
        }
        let response = ConnectResponse {
            timeout_ms: client.timeout_ms,
            session: client.session,
            password: session_password(client.session),
            read_only: with_read_only.then_some(false),
        };
        client.stats.last_zxid = Zxid::ZERO;
        let session = client.session;
        self.clients.send(id, |w| response.encode(w));
        self.touch(session);
        self.open(id);
    }
}
