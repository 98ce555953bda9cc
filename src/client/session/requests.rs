//! The calls of a session: xids, order, replies, identities, watches restored, close (client-protocol
//! §1.6, §1.7, §4.5, §12).

use bytes::Bytes;

use super::{Action, Call, Effect, Failure, Link, Pending, Queued, Session, Ticket};
use crate::client::{Event, State};
use crate::wire::jute::{self, Reader, Str, Writer};
use crate::wire::proto::{
    ErrorCode, EventState, OpCode, ReplyHeader, Request, RequestHeader, Response, WatcherEvent, xid,
};

/// One identity: sent on every connection, before anything else.
#[derive(Debug)]
pub(super) struct Auth {
    scheme: String,
    auth: Bytes,
    /// Who waits for its first answer, and `failed_attempts` when they came.
    waiting: Vec<(Ticket, u64)>,
}

impl Session {
    pub(super) fn on_call(&mut self, now_ms: u64, ticket: Ticket, call: Call, out: &mut Vec<Action>) {
        if let Some(failure) = self.refusal() {
            return out.push(Action::Answer { ticket, result: Err(failure) });
        }
        match (&call.effect, self.link) {
            (_, Link::Up) => self.send_call(now_ms, ticket, call, out),
            (Effect::Unwatch { local: true, .. }, _) => {
                self.fail(Some(ticket), &call.effect, Failure::ConnectionLoss, out);
            }
            _ => self.queue.push_back(Queued { ticket, call, since_attempt: self.failed_attempts }),
        }
    }

    pub(super) fn on_add_auth(
        &mut self,
        now_ms: u64,
        ticket: Ticket,
        scheme: String,
        auth: Bytes,
        out: &mut Vec<Action>,
    ) {
        if let Some(failure) = self.refusal() {
            return out.push(Action::Answer { ticket, result: Err(failure) });
        }
        let known = self.auth.iter().position(|a| a.scheme == scheme && a.auth == auth);
        let at = known.unwrap_or_else(|| {
            self.auth.push(Auth { scheme, auth, waiting: Vec::new() });
            self.auth.len() - 1
        });
        self.auth[at].waiting.push((ticket, self.failed_attempts));
        if self.link == Link::Up {
            self.send_auth(now_ms, at, out);
        }
    }

    pub(super) fn on_close(&mut self, now_ms: u64, out: &mut Vec<Action>) {
        if self.is_ended() || self.close_by_ms.is_some() {
            return;
        }
        if self.link != Link::Up {
            return self.end(State::Closed, out);
        }
        self.close_by_ms = Some(now_ms.saturating_add(CLOSE_WAIT_MS));
        self.send_request(now_ms, None, &Request::CloseSession, Effect::None, out);
    }

    /// Why no more calls are taken, if so.
    fn refusal(&self) -> Option<Failure> {
        match self.state {
            State::AuthFailed => Some(Failure::AuthFailed),
            State::Expired => Some(Failure::Expired),
            State::Closed => Some(Failure::Closed),
            State::Connecting | State::Connected | State::ConnectedReadOnly => {
                self.close_by_ms.is_some().then_some(Failure::Closed)
            }
        }
    }

    /// The connection is up: identities, then watches, then what waited (§12).
    pub(super) fn send_all(&mut self, now_ms: u64, out: &mut Vec<Action>) {
        for at in 0..self.auth.len() {
            self.send_auth(now_ms, at, out);
        }
        for request in self.watches.requests(self.last_zxid) {
            self.send_request(now_ms, None, &request, Effect::None, out);
        }
        for queued in std::mem::take(&mut self.queue) {
            self.send_call(now_ms, queued.ticket, queued.call, out);
        }
    }

    fn send_call(&mut self, now_ms: u64, ticket: Ticket, call: Call, out: &mut Vec<Action>) {
        self.send_request(now_ms, Some(ticket), &call.request, call.effect, out);
    }

    fn send_request(
        &mut self,
        now_ms: u64,
        ticket: Option<Ticket>,
        request: &Request,
        effect: Effect,
        out: &mut Vec<Action>,
    ) {
        let op = request.op();
        let xid = match op {
            OpCode::SetWatches | OpCode::SetWatches2 => xid::SET_WATCHES,
            _ => self.next_xid(),
        };
        self.pending.push_back(Pending { xid, op, ticket, effect });
        self.send(now_ms, frame(xid, request), out);
    }

    fn send_auth(&mut self, now_ms: u64, at: usize, out: &mut Vec<Action>) {
        let Auth { scheme, auth, .. } = &self.auth[at];
        let request = Request::Auth { scheme: Str::from(scheme.as_str()), auth: Some(auth.clone()) };
        self.auth_sent.push_back(at);
        self.send(now_ms, frame(xid::AUTH, &request), out);
    }

    pub(super) fn send_ping(&mut self, now_ms: u64, out: &mut Vec<Action>) {
        self.send(now_ms, frame(xid::PING, &Request::Ping), out);
    }

    /// Positive, increasing, back to 1 after the largest (§1.6).
    fn next_xid(&mut self) -> i32 {
        self.last_xid = self.last_xid.checked_add(1).unwrap_or(1);
        self.last_xid
    }

    /// One frame of an established connection.
    ///
    /// # Errors
    /// The peer broke the protocol; the connection is worth nothing any more.
    pub(super) fn on_reply(&mut self, frame: Bytes, out: &mut Vec<Action>) -> jute::Result<()> {
        let mut r = Reader::new(frame);
        let header = ReplyHeader::decode(&mut r)?;
        match header.xid {
            xid::NOTIFICATION => {
                let event = WatcherEvent::decode(&mut r)?;
                self.on_event(header, &event, out);
                Ok(())
            }
            xid::PING => Ok(()),
            xid::AUTH => {
                self.on_auth_reply(header.err, out);
                Ok(())
            }
            _ => self.on_call_reply(header, &mut r, out),
        }
    }

    fn on_call_reply(
        &mut self,
        header: ReplyHeader,
        r: &mut Reader,
        out: &mut Vec<Action>,
    ) -> jute::Result<()> {
        // Replies come in request order: any other xid means the two sides no longer agree (§12).
        let first = self.pending.front().map(|pending| pending.xid);
        if first != Some(header.xid) {
            return Err(jute::Error::Value { what: "the next reply's xid", value: header.xid.into() });
        }
        if header.zxid > self.last_zxid {
            self.last_zxid = header.zxid;
        }
        // A body may follow an error; it means nothing (§1.2 TRAP).
        let result = match (header.err, &self.pending[0]) {
            (0, pending) => Ok(Response::decode(pending.op, r)?),
            (code, _) => Err(Failure::Code(code)),
        };
        let Some(pending) = self.pending.pop_front() else {
            return Ok(());
        };
        if pending.op == OpCode::CloseSession {
            self.end(State::Closed, out);
            return Ok(());
        }
        self.take_effect(pending.effect, &result, out);
        if let Some(ticket) = pending.ticket {
            out.push(Action::Answer { ticket, result });
        }
        Ok(())
    }

    fn take_effect(&mut self, effect: Effect, result: &Result<Response, Failure>, out: &mut Vec<Action>) {
        match (effect, result) {
            (Effect::Watch(watch), Ok(_)) => self.watches.register(watch, true),
            (Effect::Watch(watch @ super::Watch::Exists(_)), Err(Failure::Code(code)))
                if *code == ErrorCode::NoNode.code() =>
            {
                self.watches.register(watch, false);
            }
            (Effect::Unwatch { path, kind, .. }, Ok(_)) => self.unwatch(&path, kind, out),
            (Effect::None | Effect::Watch(_) | Effect::Unwatch { .. }, _) => {}
        }
    }

    fn unwatch(&mut self, path: &str, kind: crate::wire::proto::WatcherType, out: &mut Vec<Action>) {
        for kind in self.watches.remove(path, kind) {
            let path = Some(self.strip_chroot(path));
            out.push(Action::Tell(Event { kind, path, ..Event::session(EventState::SyncConnected) }));
        }
    }

    fn on_event(&mut self, header: ReplyHeader, event: &WatcherEvent, out: &mut Vec<Action>) {
        if self.watches.fire(event.kind, &event.path) {
            out.push(Action::Tell(Event {
                kind: event.kind,
                state: event.state,
                path: Some(self.strip_chroot(&event.path)),
                zxid: header.zxid,
            }));
        }
    }

    /// An event outside the chroot (the config node, §12) keeps its path.
    fn strip_chroot(&self, path: &str) -> String {
        match self.chroot.as_deref().and_then(|chroot| path.strip_prefix(chroot)) {
            Some("") => "/".to_owned(),
            Some(rest) if rest.starts_with('/') => rest.to_owned(),
            _ => path.to_owned(),
        }
    }

    fn on_auth_reply(&mut self, err: i32, out: &mut Vec<Action>) {
        if err != 0 {
            return self.end(State::AuthFailed, out);
        }
        if let Some(at) = self.auth_sent.pop_front() {
            for (ticket, _) in std::mem::take(&mut self.auth[at].waiting) {
                out.push(Action::Answer { ticket, result: Ok(Response::Empty) });
            }
        }
    }

    pub(super) fn fail(
        &mut self,
        ticket: Option<Ticket>,
        effect: &Effect,
        failure: Failure,
        out: &mut Vec<Action>,
    ) {
        let Some(ticket) = ticket else {
            return;
        };
        let result = match effect {
            Effect::Unwatch { path, kind, local: true } if failure == Failure::ConnectionLoss => {
                self.unwatch(path, *kind, out);
                Ok(Response::Empty)
            }
            _ => Err(failure),
        };
        out.push(Action::Answer { ticket, result });
    }

    /// Calls that have seen every server fail once stop waiting; their identities are kept.
    pub(super) fn fail_stale(&mut self, out: &mut Vec<Action>) {
        let round = self.servers.len() as u64;
        let stale = |since: u64, now: u64| now - since >= round;
        while self.queue.front().is_some_and(|queued| stale(queued.since_attempt, self.failed_attempts)) {
            if let Some(queued) = self.queue.pop_front() {
                self.fail(Some(queued.ticket), &queued.call.effect, Failure::ConnectionLoss, out);
            }
        }
        for auth in &mut self.auth {
            auth.waiting.retain(|(ticket, since)| {
                let keep = !stale(*since, self.failed_attempts);
                if !keep {
                    out.push(Action::Answer { ticket: *ticket, result: Err(Failure::ConnectionLoss) });
                }
                keep
            });
        }
    }

    pub(super) fn fail_all(&mut self, failure: &Failure, out: &mut Vec<Action>) {
        let pending = std::mem::take(&mut self.pending).into_iter().filter_map(|pending| pending.ticket);
        let queued = std::mem::take(&mut self.queue).into_iter().map(|queued| queued.ticket);
        let auth = self.auth.iter_mut().flat_map(|auth| std::mem::take(&mut auth.waiting));
        let tickets: Vec<Ticket> = pending.chain(queued).chain(auth.map(|(ticket, _)| ticket)).collect();
        for ticket in tickets {
            out.push(Action::Answer { ticket, result: Err(failure.clone()) });
        }
    }
}

fn frame(xid: i32, request: &Request) -> Bytes {
    let mut w = Writer::new();
    let mark = w.open_frame();
    RequestHeader { xid, op: request.op().code() }.encode(&mut w);
    request.encode(&mut w);
    w.close_frame(mark);
    w.finish()
}

/// How long the answer to closeSession is waited for; the servers expire the session anyway.
const CLOSE_WAIT_MS: u64 = 5_000;
