//! The connection of a session: dial, handshake, time limits, pings, loss, expiry (client-protocol
//! §1.3, §12), and the search for a server with a quorum (§9.1).

use bytes::Bytes;

use super::{Action, Failure, Link, Probe, Session};
use crate::client::{Event, Server, State};
use crate::wire::ids::SessionId;
use crate::wire::jute::{self, Writer};
use crate::wire::proto::{ConnectRequest, ConnectResponse, EventState};

impl Session {
    /// When [`super::Input::Tick`] is wanted next.
    pub fn deadline_ms(&self) -> u64 {
        match self.link {
            Link::Idle { dial_at_ms } => dial_at_ms.min(self.expires_at_ms()),
            Link::Dialing { since_ms } | Link::Handshake { since_ms } => {
                since_ms.saturating_add(self.connect_limit_ms()).min(self.expires_at_ms())
            }
            Link::Up => self
                .silence_ends_at_ms()
                .min(self.ping_at_ms())
                .min(self.probe.at_ms)
                .min(self.close_by_ms.unwrap_or(u64::MAX)),
            Link::Ended => u64::MAX,
        }
    }

    pub(super) fn on_tick(&mut self, now_ms: u64, out: &mut Vec<Action>) {
        if self.link != Link::Up && self.link != Link::Ended && now_ms >= self.expires_at_ms() {
            return self.expire(out);
        }
        match self.link {
            Link::Idle { dial_at_ms } if now_ms >= dial_at_ms => {
                self.link = Link::Dialing { since_ms: now_ms };
                out.push(Action::Dial(self.servers.advance()));
            }
            Link::Dialing { since_ms } | Link::Handshake { since_ms }
                if now_ms >= since_ms.saturating_add(self.connect_limit_ms()) =>
            {
                out.push(Action::Hangup);
                self.lose(now_ms, out);
            }
            Link::Up if self.close_by_ms.is_some_and(|by| now_ms >= by) => self.end(State::Closed, out),
            Link::Up if now_ms >= self.silence_ends_at_ms() => {
                out.push(Action::Hangup);
                self.lose(now_ms, out);
            }
            Link::Up => {
                if now_ms >= self.ping_at_ms() {
                    self.send_ping(now_ms, out);
                }
                if now_ms >= self.probe.at_ms {
                    self.probe.at_ms = u64::MAX;
                    self.probe.asked += 1;
                    out.push(Action::Probe(self.servers.candidate(self.probe.asked - 1)));
                }
            }
            Link::Idle { .. } | Link::Dialing { .. } | Link::Handshake { .. } | Link::Ended => {}
        }
    }

    pub(super) fn on_connected(&mut self, now_ms: u64, out: &mut Vec<Action>) {
        if !matches!(self.link, Link::Dialing { .. }) {
            return;
        }
        self.link = Link::Handshake { since_ms: now_ms };
        self.ever_connected = true;
        if !self.seen_read_write {
            // A session born on a read-only server exists there only (§9.1).
            self.id = SessionId::NONE;
            self.password = Bytes::from_static(&[0; 16]);
        }
        let hello = ConnectRequest {
            protocol_version: 0,
            last_zxid_seen: self.last_zxid,
            timeout_ms: i32::try_from(self.settings.timeout_ms).unwrap_or(i32::MAX),
            session: self.id,
            password: self.password.clone(),
            read_only: Some(self.settings.read_only),
        };
        let mut w = Writer::new();
        let mark = w.open_frame();
        hello.encode(&mut w);
        w.close_frame(mark);
        self.send(now_ms, w.finish(), out);
    }

    pub(super) fn on_frame(&mut self, now_ms: u64, frame: Bytes, out: &mut Vec<Action>) {
        match self.link {
            Link::Handshake { .. } => self.on_welcome(now_ms, frame, out),
            Link::Up => {
                self.last_heard_ms = now_ms;
                if let Err(why) = self.on_reply(frame, out) {
                    self.give_up_connection(now_ms, why, out);
                }
            }
            Link::Idle { .. } | Link::Dialing { .. } | Link::Ended => {}
        }
    }

    fn on_welcome(&mut self, now_ms: u64, frame: Bytes, out: &mut Vec<Action>) {
        let Ok(welcome) = ConnectResponse::decode(frame) else {
            // A read-only server without local sessions answers with something else (§9.1 TRAP).
            out.push(Action::Hangup);
            return self.lose(now_ms, out);
        };
        let Some(timeout_ms) = u64::try_from(welcome.timeout_ms).ok().filter(|ms| *ms > 0) else {
            return self.expire(out);
        };
        let read_only = welcome.read_only.unwrap_or(false);
        self.link = Link::Up;
        self.timeout_ms = timeout_ms;
        self.id = welcome.session;
        self.password = Bytes::copy_from_slice(&welcome.password);
        self.seen_read_write |= !read_only;
        self.last_heard_ms = now_ms;
        if read_only {
            self.state = State::ConnectedReadOnly;
            self.probe = Probe {
                at_ms: now_ms.saturating_add(PROBE_INTERVAL_MS_MIN),
                interval_ms: PROBE_INTERVAL_MS_MIN,
                asked: 0,
            };
            out.push(Action::Tell(Event::session(EventState::ConnectedReadOnly)));
        } else {
            self.state = State::Connected;
            out.push(Action::Tell(Event::session(EventState::SyncConnected)));
        }
        self.send_all(now_ms, out);
    }

    pub(super) fn on_down(&mut self, now_ms: u64, out: &mut Vec<Action>) {
        if !matches!(self.link, Link::Ended | Link::Idle { .. }) {
            self.lose(now_ms, out);
        }
    }

    pub(super) fn on_probed(
        &mut self,
        now_ms: u64,
        server: &Server,
        read_write: bool,
        out: &mut Vec<Action>,
    ) {
        if self.state != State::ConnectedReadOnly {
            return;
        }
        if read_write {
            self.servers.prefer(server);
            out.push(Action::Hangup);
            self.lose(now_ms, out);
            if let Link::Idle { dial_at_ms } = &mut self.link {
                *dial_at_ms = now_ms;
            }
        } else {
            self.probe.interval_ms = (self.probe.interval_ms * 2).min(PROBE_INTERVAL_MS_MAX);
            self.probe.at_ms = now_ms.saturating_add(self.probe.interval_ms);
        }
    }

    /// The peer broke the protocol: answer who waited for it, then start over elsewhere.
    fn give_up_connection(&mut self, now_ms: u64, why: jute::Error, out: &mut Vec<Action>) {
        if let Some(pending) = self.pending.pop_front() {
            self.fail(pending.ticket, &pending.effect, Failure::Malformed(why), out);
        }
        out.push(Action::Hangup);
        self.lose(now_ms, out);
    }

    /// The connection is gone: what was sent fails, its outcome unknown; then the next server.
    fn lose(&mut self, now_ms: u64, out: &mut Vec<Action>) {
        let was_connected = self.state.is_connected();
        if self.close_by_ms.is_some() {
            return self.end(State::Closed, out);
        }
        self.state = State::Connecting;
        self.probe.at_ms = u64::MAX;
        self.auth_sent.clear();
        if was_connected {
            out.push(Action::Tell(Event::session(EventState::Disconnected)));
        }
        for pending in std::mem::take(&mut self.pending) {
            self.fail(pending.ticket, &pending.effect, Failure::ConnectionLoss, out);
        }
        if !was_connected {
            self.failed_attempts += 1;
            self.fail_stale(out);
        }
        self.link = Link::Idle { dial_at_ms: now_ms.saturating_add(self.pause_ms()) };
    }

    /// The reference pauses before every attempt once a connection has been made; a list that failed
    /// as a whole waits too, so that nobody is hammered.
    fn pause_ms(&mut self) -> u64 {
        let round_over = self.failed_attempts.is_multiple_of(self.servers.len() as u64);
        if self.ever_connected || round_over {
            self.random.below(self.settings.pause_ms_max.saturating_add(1))
        } else {
            0
        }
    }

    fn expire(&mut self, out: &mut Vec<Action>) {
        self.end(State::Expired, out);
    }

    /// Answers everyone, tells why, and is no more.
    pub(super) fn end(&mut self, state: State, out: &mut Vec<Action>) {
        let (failure, event) = match state {
            State::AuthFailed => (Failure::AuthFailed, EventState::AuthFailed),
            State::Expired => (Failure::Expired, EventState::Expired),
            State::Closed | State::Connecting | State::Connected | State::ConnectedReadOnly => {
                (Failure::Closed, EventState::Closed)
            }
        };
        self.state = state;
        self.link = Link::Ended;
        // Events stand before answers, as everywhere: who is woken by an answer has seen them.
        out.push(Action::Tell(Event::session(event)));
        self.fail_all(&failure, out);
        out.push(Action::Hangup);
    }

    pub(super) fn send(&mut self, now_ms: u64, frame: Bytes, out: &mut Vec<Action>) {
        self.last_sent_ms = now_ms;
        out.push(Action::Send(frame));
    }

    /// One connection attempt, and then one handshake, may take this long.
    fn connect_limit_ms(&self) -> u64 {
        (self.timeout_ms / self.servers.len() as u64).max(1)
    }

    fn read_limit_ms(&self) -> u64 {
        self.timeout_ms * 2 / 3
    }

    fn silence_ends_at_ms(&self) -> u64 {
        self.last_heard_ms.saturating_add(self.read_limit_ms().max(1))
    }

    /// After 4/3 of the timeout in silence the servers have expired the session; a client that has
    /// none yet has nothing to lose and goes on trying.
    fn expires_at_ms(&self) -> u64 {
        if self.id == SessionId::NONE {
            u64::MAX
        } else {
            self.last_heard_ms.saturating_add(self.timeout_ms.saturating_mul(4) / 3)
        }
    }

    fn ping_at_ms(&self) -> u64 {
        let half_ms = (self.read_limit_ms() / 2).max(1);
        let quiet_ms =
            if half_ms <= PING_EARLY_MS { half_ms } else { (half_ms - PING_EARLY_MS).max(PING_EARLY_MS + 1) };
        self.last_sent_ms.saturating_add(quiet_ms.min(PING_INTERVAL_MS_MAX))
    }
}

/// Something is sent at least this often, whatever the timeout (§12).
const PING_INTERVAL_MS_MAX: u64 = 10_000;
/// Pings go out this much early once the line has been quiet as long.
const PING_EARLY_MS: u64 = 1_000;
/// First and longest interval between two `isro` questions (§9.1).
const PROBE_INTERVAL_MS_MIN: u64 = 100;
const PROBE_INTERVAL_MS_MAX: u64 = 60_000;
