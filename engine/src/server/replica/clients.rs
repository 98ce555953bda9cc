//! The connections of clients: who they are, where each is in its life, its queue of unanswered requests, and the
//! bytes it is owed. Bytes gather per connection over a whole batch of steps, so that each socket gets one write.
//!
//! What a request asks and how it is answered is not known here, nor what a session's end brings with it.

use std::collections::VecDeque;
use std::net::SocketAddr;

use bytes::{Bytes, BytesMut};
use foldhash::fast::FixedState;
use hashbrown::HashMap;

use super::bent;
use super::bounds::{Batch, Early, Outstanding, Turn, is_a_crowd, may_be_owed_more};
use super::event::{ClientId, Now};
use super::identity;
use super::queue::{Pending, Queue};
use super::said::{Opened, Said};
use super::stats::{ClientLine, ClientStats, Traffic};
use crate::wire::ids::{SessionId, Zxid};
use crate::wire::jute::{Reader, Writer};
use crate::wire::proto::{
    ConnectRequest, ConnectResponse, ErrorCode, EventState, EventType, Id, ReplyHeader, RequestHeader,
    WatcherEvent, session_password, xid,
};

/// All connections, by number and by session. A session has one connection at most.
#[derive(Debug, Default)]
pub(super) struct Clients {
    by_id: HashMap<ClientId, Client, FixedState>,
    by_session: HashMap<SessionId, ClientId, FixedState>,
    /// Those that are owed something, or their end.
    dirty: Vec<ClientId>,
    /// Connections whose requests wait outside now, or do so no longer, for the driver to know.
    paced: Vec<(ClientId, bool)>,
    /// Connections whose queue has become shorter while requests waited outside.
    resumed: Vec<ClientId>,
    traffic: Traffic,
    outstanding: Outstanding,
    batch: Batch,
}

#[derive(Debug)]
struct Client {
    addr: SocketAddr,
    phase: Phase,
    session: SessionId,
    timeout_ms: i32,
    identities: Vec<Id>,
    /// Requests not yet answered, in order; reads stand here only behind a write or a sync.
    queue: Queue,
    /// Frames that wait outside, until there is room for their answers.
    later: VecDeque<Bytes>,
    /// The driver has been told that some do, and reads no more.
    is_held_back: bool,
    /// The driver has said that too much waits to be read there.
    is_full: bool,
    stats: ClientStats,
    out: BytesMut,
    dirty: bool,
    closing: bool,
    turn: Turn,
}

/// Where a connection is in its life.
#[derive(Debug)]
enum Phase {
    /// Nothing heard yet: the next frame is a ConnectRequest.
    Greeting,
    /// The session is being created or revalidated; frames wait here.
    Opening {
        early: Early,
        with_read_only: bool,
    },
    Open,
}

impl Clients {
    pub(super) fn new(outstanding_max: u64) -> Clients {
        Clients { outstanding: Outstanding { max: outstanding_max }, ..Clients::default() }
    }

    /// A connection was accepted.
    pub(super) fn up(&mut self, now: Now, id: ClientId, addr: SocketAddr) {
        let client = Client {
            addr,
            phase: Phase::Greeting,
            session: SessionId::NONE,
            timeout_ms: 0,
            identities: vec![identity::of_address(addr.ip())],
            queue: Queue::default(),
            later: VecDeque::new(),
            is_held_back: false,
            is_full: false,
            stats: ClientStats::new(now),
            out: BytesMut::new(),
            dirty: false,
            closing: false,
            turn: Turn::default(),
        };
        self.by_id.insert(id, client);
    }

    /// Takes a frame. One that cannot be read ends its connection; one that comes before the session is set up, or
    /// whose answer has no room, waits.
    pub(super) fn hear(&mut self, id: ClientId, frame: Bytes) -> Option<Said> {
        self.traffic.received += 1;
        let client = self.by_id.get_mut(&id).filter(|client| !client.closing)?;
        client.stats.received += 1;
        let is_let_in = self.outstanding.has_room(self.traffic.outstanding, client.queue.len());
        let may_come_in = client.later.is_empty() && is_let_in && client.has_room(&self.batch);
        let said = match &mut client.phase {
            Phase::Open if may_come_in => client.request(&mut self.batch, frame),
            Phase::Open => {
                client.later.push_back(frame);
                let (session, timeout_ms) = (client.session, client.timeout_ms);
                self.hold_back(id);
                return Some(Said::Later { session, timeout_ms });
            }
            Phase::Greeting => ConnectRequest::decode(frame).ok().map(Said::Connect),
            Phase::Opening { early, .. } => match early.keep(frame) {
                true => return None,
                false => None,
            },
        };
        if said.is_none() {
            self.close(id);
        }
        said
    }

    /// The next of the frames that have waited outside, if there is room for it now. It is asked for until there is
    /// none: then the driver is to know what became of the rest.
    pub(super) fn hear_later(&mut self, id: ClientId) -> Option<Said> {
        let client = self.by_id.get_mut(&id).filter(|client| !client.closing)?;
        if client.later.is_empty() {
            if std::mem::take(&mut client.is_held_back) {
                self.paced.push((id, false));
            }
            return None;
        }
        let is_let_in = self.outstanding.has_room(self.traffic.outstanding, client.queue.len());
        if !is_let_in || !client.has_room(&self.batch) {
            // A queue that becomes shorter says so itself.
            if is_let_in && !client.queue.is_long() {
                client.is_held_back = false;
                self.hold_back(id);
            }
            return None;
        }
        let said = client.later.pop_front().and_then(|frame| client.request(&mut self.batch, frame));
        if said.is_none() {
            self.close(id);
        }
        said
    }

    /// Lets the driver know, once, that frames wait outside.
    fn hold_back(&mut self, id: ClientId) {
        let Some(client) = self.by_id.get_mut(&id) else { return };
        if !std::mem::replace(&mut client.is_held_back, true) {
            self.paced.push((id, true));
        }
    }

    /// Whether more may be owed to a connection, as the driver sees it.
    pub(super) fn set_full(&mut self, id: ClientId, is_full: bool) {
        if let Some(client) = self.by_id.get_mut(&id) {
            client.is_full = is_full;
        }
    }

    /// A connection whose frames may have waited long enough.
    pub(super) fn next_resumed(&mut self) -> Option<ClientId> {
        self.resumed.pop()
    }

    /// Hands out which connections have frames that wait outside, and which no longer.
    pub(super) fn drain_paced(&mut self, mut each: impl FnMut(ClientId, bool)) {
        self.paced.drain(..).for_each(|(id, is_held_back)| each(id, is_held_back));
    }

    /// A ConnectRequest was taken: its session is being set up.
    pub(super) fn opening(&mut self, id: ClientId, timeout_ms: i32, with_read_only: bool) {
        let Some(client) = self.by_id.get_mut(&id).filter(|client| !client.closing) else { return };
        client.timeout_ms = timeout_ms;
        client.phase = Phase::Opening { early: Early::default(), with_read_only };
    }

    /// The session that a connection will have when it is set up.
    pub(super) fn seat(&mut self, id: ClientId, session: SessionId) {
        if let Some(client) = self.by_id.get_mut(&id).filter(|client| !client.closing) {
            client.session = session;
        }
        self.by_session.insert(session, id);
    }

    /// Answers a ConnectRequest: the session stands, or is refused, with a frame of zeros and then the close
    /// (client-protocol §1.3 TRAP). Nothing when the connection does not wait for that.
    pub(super) fn settle(&mut self, id: ClientId, valid: bool) -> Option<Opened> {
        let mut served = self.live(id)?;
        let client = &mut *served.client;
        let Phase::Opening { early, with_read_only } = &mut client.phase else { return None };
        if !valid {
            let refusal = ConnectResponse::refused(*with_read_only);
            served.send(|w| refusal.encode(w));
            self.close(id);
            return None;
        }
        let response = ConnectResponse {
            timeout_ms: client.timeout_ms,
            session: client.session,
            password: session_password(client.session),
            read_only: with_read_only.then_some(false),
        };
        client.later = std::mem::take(early).into_frames();
        client.phase = Phase::Open;
        client.stats.last_zxid = Zxid::ZERO;
        let opened = Opened { session: client.session, timeout_ms: client.timeout_ms };
        served.send(|w| response.encode(w));
        Some(opened)
    }

    /// A connection that is not being closed, to be asked and answered.
    pub(super) fn live(&mut self, id: ClientId) -> Option<Served<'_>> {
        let client = self.by_id.get_mut(&id).filter(|client| !client.closing)?;
        Some(Served {
            id,
            client,
            dirty: &mut self.dirty,
            resumed: &mut self.resumed,
            traffic: &mut self.traffic,
            batch: &mut self.batch,
        })
    }

    /// A connection's session and identities, for a write of its.
    pub(super) fn who(&self, id: ClientId) -> Option<(SessionId, &[Id])> {
        let client = self.by_id.get(&id).filter(|client| !client.closing)?;
        Some((client.session, &client.identities))
    }

    pub(super) fn of_session(&self, session: SessionId) -> Option<ClientId> {
        self.by_session.get(&session).copied()
    }

    /// The outcome of an auth packet: the identities it proved, or the end. Answered at once, ahead of queued
    /// replies, with zxid 0 (§1.8 exceptions, §4.5).
    pub(super) fn authenticated(&mut self, id: ClientId, xid: i32, proven: Option<Vec<Id>>) {
        let Some(mut served) = self.live(id) else { return };
        let header = |err: ErrorCode| ReplyHeader { xid, zxid: Zxid::ZERO, err: err.code() };
        let Some(identities) = proven else {
            served.traffic.auth_failed += 1;
            served.send(|w| header(ErrorCode::AuthFailed).encode(w));
            return self.close(id);
        };
        for identity in identities {
            if !served.client.identities.contains(&identity) {
                served.client.identities.push(identity);
            }
        }
        if is_a_crowd(&served.client.identities) {
            served.traffic.auth_failed += 1;
            served.send(|w| header(ErrorCode::AuthFailed).encode(w));
            return self.close(id);
        }
        served.send(|w| header(ErrorCode::Ok).encode(w));
    }

    /// SASL is not configured: no error and no token, as such a reference server answers (§9.3).
    pub(super) fn answer_sasl(&mut self, id: ClientId, xid: i32) {
        let Some(mut served) = self.live(id) else { return };
        served.send(|w| {
            ReplyHeader { xid, zxid: Zxid::ZERO, err: 0 }.encode(w);
            w.buffer(None);
        });
    }

    /// What may not be asked: −6 with zxid −1, then the close (client-protocol §2.1).
    pub(super) fn refuse_op(&mut self, id: ClientId, xid: i32) {
        let Some(mut served) = self.live(id) else { return };
        let err = ErrorCode::Unimplemented.code();
        served.send(|w| ReplyHeader { xid, zxid: Zxid::NONE, err }.encode(w));
        self.close(id);
    }

    /// Closes the connection once what it is owed is written. Nothing is sent to it afterwards.
    pub(super) fn close(&mut self, id: ClientId) {
        let Some(client) = self.by_id.get_mut(&id) else { return };
        client.closing = true;
        client.later.clear();
        self.traffic.forget(client.queue.clear());
        if !client.dirty {
            client.dirty = true;
            self.dirty.push(id);
        }
        let session = client.session;
        self.unseat(id, session);
    }

    pub(super) fn close_all(&mut self) {
        self.sorted().into_iter().for_each(|id| self.close(id));
    }

    /// The connection is no more.
    pub(super) fn remove(&mut self, id: ClientId) {
        if bent::remembers_the_gone() {
            return;
        }
        let Some(client) = self.by_id.remove(&id) else { return };
        self.traffic.abandoned(client.queue.len());
        self.unseat(id, client.session);
    }

    /// The session is no longer this connection's, if it was.
    fn unseat(&mut self, id: ClientId, session: SessionId) {
        if self.by_session.get(&session) == Some(&id) {
            self.by_session.remove(&session);
        }
    }

    /// Hands out what each connection is owed since the last call, in the order in which they came to be owed
    /// something; true for those that end behind these bytes, and are no more.
    pub(super) fn drain(&mut self, mut each: impl FnMut(ClientId, Bytes, bool)) {
        self.batch.next();
        let mut dirty = std::mem::take(&mut self.dirty);
        for id in dirty.drain(..) {
            let Some(client) = self.by_id.get_mut(&id) else { continue };
            client.dirty = false;
            let (bytes, closing) = (client.out.split().freeze(), client.closing);
            if closing {
                self.remove(id);
            }
            each(id, bytes, closing);
        }
        self.dirty = dirty;
    }

    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(super) fn traffic(&self) -> &Traffic {
        &self.traffic
    }

    /// Nobody is served any more, so nobody waits.
    pub(super) fn forget_outstanding(&mut self) {
        self.traffic.outstanding = 0;
    }

    /// For the status words, in the order of the connections' numbers.
    pub(super) fn lines(&self) -> Vec<ClientLine> {
        let line = |client: &Client| ClientLine {
            addr: client.addr,
            session: client.session,
            timeout_ms: client.timeout_ms,
            queued: client.queue.len() + client.later.len(),
            stats: client.stats.clone(),
        };
        self.sorted().into_iter().filter_map(|id| self.by_id.get(&id)).map(line).collect()
    }

    fn sorted(&self) -> Vec<ClientId> {
        let mut all: Vec<_> = self.by_id.keys().copied().collect();
        all.sort_unstable();
        all
    }
}

impl Client {
    /// Whether one more request may be taken: its answer is at most what comes on top of the bounds.
    fn has_room(&self, batch: &Batch) -> bool {
        self.turn.is_left(batch)
            && batch.has_room()
            && may_be_owed_more(self.is_full, self.out.len())
            && !self.queue.is_long()
    }

    /// A request's header; `None` when there is none.
    fn request(&mut self, batch: &mut Batch, frame: Bytes) -> Option<Said> {
        self.turn.take(batch);
        let mut body = Reader::new(frame);
        let RequestHeader { xid, op } = RequestHeader::decode(&mut body).ok()?;
        self.stats.last_cxid = xid;
        Some(Said::Request { session: self.session, timeout_ms: self.timeout_ms, xid, op, body })
    }
}

/// A live connection while it is asked and answered.
pub(super) struct Served<'a> {
    id: ClientId,
    client: &'a mut Client,
    dirty: &'a mut Vec<ClientId>,
    resumed: &'a mut Vec<ClientId>,
    traffic: &'a mut Traffic,
    batch: &'a mut Batch,
}

impl Served<'_> {
    pub(super) fn id(&self) -> ClientId {
        self.id
    }

    pub(super) fn session(&self) -> SessionId {
        self.client.session
    }

    pub(super) fn identities(&self) -> &[Id] {
        &self.client.identities
    }

    /// Takes a request that waits for its turn only. It comes back when that is now.
    pub(super) fn take_turn(&mut self, pending: Pending) -> Option<Pending> {
        let now = self.client.queue.take_turn(pending);
        self.traffic.outstanding += 1;
        now
    }

    /// Takes a request that waits for something else, too.
    pub(super) fn hold(&mut self, pending: Pending) {
        self.client.queue.hold(pending);
        self.traffic.outstanding += 1;
    }

    pub(super) fn next_turn(&mut self) -> Option<Pending> {
        let next = self.client.queue.next_turn();
        if next.is_none() && !self.client.later.is_empty() {
            self.resumed.push(self.id);
        }
        next
    }

    pub(super) fn committed(&mut self, xid: i32) -> Option<Pending> {
        self.client.queue.committed(xid)
    }

    pub(super) fn grant_sync(&mut self) {
        self.client.queue.grant_sync();
    }

    /// Appends one frame to what the connection is owed.
    pub(super) fn send(&mut self, body: impl FnOnce(&mut Writer)) {
        self.send_as(|_, w| body(w));
    }

    /// The same for what depends on who asks.
    pub(super) fn send_as<R>(&mut self, body: impl FnOnce(&[Id], &mut Writer) -> R) -> R {
        let client = &mut *self.client;
        let before = client.out.len();
        let mut w = Writer::on(std::mem::take(&mut client.out));
        let mark = w.open_frame();
        let result = body(&client.identities, &mut w);
        w.close_frame(mark);
        client.out = w.into_inner();
        self.batch.gather(client.out.len() - before);
        client.stats.sent += 1;
        if !client.dirty {
            client.dirty = true;
            self.dirty.push(self.id);
        }
        result
    }

    /// What it asked for was as much work as so many requests: its turn, and the batch, are shorter by them.
    pub(super) fn toil(&mut self, requests: usize) {
        self.client.turn.toil(self.batch, requests);
    }

    /// Whether it is among those that one batch has more to tell than it can hold.
    pub(super) fn is_flooded(&self) -> bool {
        self.batch.is_flood(self.client.out.len())
    }

    /// Tells of a change that is watched.
    pub(super) fn send_event(&mut self, zxid: Zxid, kind: EventType, path: &str) {
        let header = ReplyHeader { xid: xid::NOTIFICATION, zxid, err: 0 };
        let event = WatcherEvent { kind, state: EventState::SyncConnected, path: path.into() };
        self.traffic.sent += 1;
        self.send(|w| {
            header.encode(w);
            event.encode(w);
        });
    }

    /// A request has its answer: it is counted.
    pub(super) fn answered(&mut self, now: Now, pending: &Pending, zxid: Zxid) {
        let latency_ms = now.ms.saturating_sub(pending.since_ms);
        self.traffic.forget(1);
        self.traffic.sent += 1;
        self.traffic.latency.record(latency_ms);
        self.client.stats.answered(now, pending.op, zxid, latency_ms);
    }

    /// A request will never have its answer.
    pub(super) fn unanswered(&mut self) {
        self.traffic.forget(1);
    }
}
