//! The connections of clients: what is known of each, its queue of unanswered requests, and the bytes it is
//! owed. Bytes gather per connection over a whole batch of steps, so that each socket gets one write.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};

use bytes::{Bytes, BytesMut};
use foldhash::fast::FixedState;
use hashbrown::HashMap;

use super::Replica;
use super::pipeline::Pending;
use super::stats::ClientStats;
use super::watches::Watches;
use crate::wire::ids::{SessionId, Zxid};
use crate::wire::jute::{Reader, Writer};
use crate::wire::proto::{ConnectRequest, Id, OpCode, ReplyHeader, RequestHeader};

/// A client's connection, numbered by the driver, never used twice in a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientId(pub u64);

/// Frames taken from a connection before its session is set up. A client waits for the answer, so more
/// than a few is misuse.
const EARLY_FRAMES_MAX: usize = 64;

/// Where a connection is in its life.
#[derive(Debug)]
pub(super) enum Phase {
    /// Nothing heard yet: the next frame is a ConnectRequest.
    Greeting,
    /// The session is being created or revalidated; frames wait here.
    Opening {
        early: VecDeque<Bytes>,
        with_read_only: bool,
    },
    Open,
}

#[derive(Debug)]
pub(super) struct Client {
    pub(super) addr: SocketAddr,
    pub(super) phase: Phase,
    pub(super) session: SessionId,
    pub(super) timeout_ms: i32,
    pub(super) identities: Vec<Id>,
    /// Requests not yet answered, in order; reads stand here only behind a write or a sync.
    pub(super) queue: VecDeque<Pending>,
    pub(super) stats: ClientStats,
    out: BytesMut,
    dirty: bool,
    closing: bool,
}

/// All connections, by number and by session.
#[derive(Debug, Default)]
pub(super) struct Clients {
    by_id: HashMap<ClientId, Client, FixedState>,
    by_session: HashMap<SessionId, ClientId, FixedState>,
    dirty: Vec<ClientId>,
}

impl Clients {
    pub(super) fn get(&self, id: ClientId) -> Option<&Client> {
        self.by_id.get(&id)
    }

    /// A connection that is not being closed.
    pub(super) fn live(&mut self, id: ClientId) -> Option<&mut Client> {
        self.by_id.get_mut(&id).filter(|client| !client.closing)
    }

    pub(super) fn of_session(&self, session: SessionId) -> Option<ClientId> {
        self.by_session.get(&session).copied()
    }

    pub(super) fn bind(&mut self, session: SessionId, id: ClientId) {
        self.by_session.insert(session, id);
    }

    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Lends a connection's identities out, so that a read may borrow them while its answer is written.
    pub(super) fn take_identities(&mut self, id: ClientId) -> Vec<Id> {
        self.by_id.get_mut(&id).map(|client| std::mem::take(&mut client.identities)).unwrap_or_default()
    }

    pub(super) fn put_identities(&mut self, id: ClientId, identities: Vec<Id>) {
        if let Some(client) = self.by_id.get_mut(&id) {
            client.identities = identities;
        }
    }

    /// Connections in the order of their numbers.
    pub(super) fn sorted(&self) -> Vec<(ClientId, &Client)> {
        let mut all: Vec<_> = self.by_id.iter().map(|(id, client)| (*id, client)).collect();
        all.sort_unstable_by_key(|(id, _)| *id);
        all
    }

    /// Appends one frame to what the connection is owed.
    pub(super) fn send(&mut self, id: ClientId, body: impl FnOnce(&mut Writer)) {
        let Some(client) = self.by_id.get_mut(&id).filter(|client| !client.closing) else { return };
        let mut w = Writer::on(std::mem::take(&mut client.out));
        let mark = w.open_frame();
        body(&mut w);
        w.close_frame(mark);
        client.out = w.into_inner();
        client.stats.sent += 1;
        if !client.dirty {
            client.dirty = true;
            self.dirty.push(id);
        }
    }

    /// Closes the connection once what it is owed is written. Nothing is sent to it afterwards.
    pub(super) fn close(&mut self, id: ClientId) {
        let Some(client) = self.by_id.get_mut(&id) else { return };
        client.closing = true;
        client.queue.clear();
        if !client.dirty {
            client.dirty = true;
            self.dirty.push(id);
        }
        if self.by_session.get(&client.session) == Some(&id) {
            self.by_session.remove(&client.session);
        }
    }

    fn remove(&mut self, id: ClientId) {
        let Some(client) = self.by_id.remove(&id) else { return };
        if self.by_session.get(&client.session) == Some(&id) {
            self.by_session.remove(&client.session);
        }
    }
}

impl Replica {
    /// Hands out what each connection is owed since the last call, in a fixed order; `close` says that
    /// the connection ends behind these bytes.
    pub fn drain_clients(&mut self, mut each: impl FnMut(ClientId, Bytes, bool)) {
        for id in std::mem::take(&mut self.clients.dirty) {
            let Some(client) = self.clients.by_id.get_mut(&id) else { continue };
            client.dirty = false;
            let bytes = client.out.split().freeze();
            let closing = client.closing;
            if closing {
                self.forget(id);
            }
            each(id, bytes, closing);
        }
    }

    pub(super) fn client_up(&mut self, id: ClientId, addr: SocketAddr) {
        let client = Client {
            addr,
            phase: Phase::Greeting,
            session: SessionId::NONE,
            timeout_ms: 0,
            identities: vec![Id::new("ip", &canonical(addr.ip()).to_string())],
            queue: VecDeque::new(),
            stats: ClientStats::new(self.now),
            out: BytesMut::new(),
            dirty: false,
            closing: false,
        };
        self.clients.by_id.insert(id, client);
        if !self.serving() {
            self.clients.close(id);
        }
    }

    pub(super) fn client_down(&mut self, id: ClientId) {
        self.forget(id);
    }

    fn forget(&mut self, id: ClientId) {
        self.clients.remove(id);
        self.watches.drop_client(id);
    }

    pub(super) fn client_frame(&mut self, id: ClientId, frame: Bytes) {
        self.stats.received += 1;
        let Some(client) = self.clients.live(id) else { return };
        client.stats.received += 1;
        match &mut client.phase {
            Phase::Greeting => match ConnectRequest::decode(frame) {
                Ok(request) => self.connect(id, request),
                Err(_) => self.clients.close(id),
            },
            Phase::Opening { early, .. } if early.len() < EARLY_FRAMES_MAX => early.push_back(frame),
            Phase::Opening { .. } => self.clients.close(id),
            Phase::Open => self.request_frame(id, frame),
        }
    }

    /// The session is set up: what came meanwhile is taken now.
    pub(super) fn open(&mut self, id: ClientId) {
        let Some(client) = self.clients.live(id) else { return };
        if let Phase::Opening { early, .. } = std::mem::replace(&mut client.phase, Phase::Open) {
            early.into_iter().for_each(|frame| self.request_frame(id, frame));
        }
    }

    fn request_frame(&mut self, id: ClientId, frame: Bytes) {
        let mut r = Reader::new(frame);
        let Ok(header) = RequestHeader::decode(&mut r) else { return self.clients.close(id) };
        let session = match self.clients.live(id) {
            None => return,
            Some(client) => {
                client.stats.last_cxid = header.xid;
                client.session
            }
        };
        self.touch(session);
        match OpCode::from_code(header.op) {
            Some(op) if acceptable(op) => self.request(id, header.xid, op, r),
            _ => self.refuse_op(id, header.xid),
        }
    }

    /// −6 with zxid −1, then the close (client-protocol §2.1).
    fn refuse_op(&mut self, id: ClientId, xid: i32) {
        let err = crate::wire::proto::ErrorCode::Unimplemented.code();
        self.clients.send(id, |w| ReplyHeader { xid, zxid: Zxid::NONE, err }.encode(w));
        self.clients.close(id);
    }

    /// Ends every client connection: the server no longer serves (spec quorum §2.13).
    pub(super) fn close_all_clients(&mut self) {
        let all: Vec<ClientId> = self.clients.sorted().into_iter().map(|(id, _)| id).collect();
        all.into_iter().for_each(|id| self.clients.close(id));
        self.watches = Watches::default();
    }
}

/// What a client may ask. A bare check poisons logs (quorum Q25), deleteContainer has no ACL check (Q33),
/// createSession answers a frame out of turn (client-protocol §2.1): refused like unknown ops.
fn acceptable(op: OpCode) -> bool {
    !matches!(op, OpCode::Error | OpCode::Check | OpCode::DeleteContainer | OpCode::CreateSession)
}

/// An IPv4 address that came in through an IPv6 socket is the IPv4 address.
fn canonical(ip: IpAddr) -> IpAddr {
    ip.to_canonical()
}
