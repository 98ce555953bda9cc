//! A simulated client: the real session machine, a workload, and a memory of what it asked and was told, by which
//! every byte that reaches it is judged.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use fastrand::Rng;
use zkops::client::ConnectString;
use zkops::client::session::{Action, Call, Effect, Input, Session, Settings, Ticket, Watch};
use zkops::wire::ids::{SessionId, Zxid};
use zkops::wire::jute::Reader;
use zkops::wire::proto::{
    AddWatchMode, ConnectResponse, ErrorCode, OpCode, ReplyHeader, Request, RequestHeader, Response,
    WatcherEvent, xid,
};

use crate::check::session::Sent;
use crate::check::watch::{Book, Kind};
use crate::net::{Host, Item, LinkId, Port};
use crate::queue::Event;
use crate::scenario::MS;
use crate::workload::Workload;
use crate::world::World;

pub(crate) struct Client {
    pub(crate) session: Session,
    to: ConnectString,
    timeout_ms: u64,
    link: Option<LinkId>,
    /// Grows with every connection: an older one's bytes are not for this one.
    life: u64,
    tick_at: u64,
    next_ticket: Ticket,
    /// Asked and not answered, with the newest acknowledged write at that time.
    calls: BTreeMap<Ticket, Zxid>,
    /// Asked and not sent, in order.
    unsent: VecDeque<Ticket>,
    /// Sent on this connection and not answered, in order; `None` is setWatches.
    sent: VecDeque<Option<Sent>>,
    greeting: bool,
    welcomed: bool,
    seen: Zxid,
    pub(crate) book: Book,
    pub(crate) workload: Workload,
    rng: Rng,
    /// Hears and does nothing until then.
    pub(crate) paused_until: u64,
    /// Acts as long as this holds.
    pub(crate) busy: bool,
    /// When it acts next; later plans of that kind are void.
    acts_at: u64,
    closing: bool,
    /// When it sent a ping that is not answered.
    pinged_at: Option<u64>,
    pub(crate) answered: u64,
}

impl Client {
    pub(crate) fn new(index: usize, to: ConnectString, timeout_ms: u64, mut rng: Rng) -> Client {
        let settings = Settings { timeout_ms, pause_ms_max: 300, read_only: false, seed: rng.u64(..) };
        Client {
            session: Session::new(&to, settings, 0),
            to,
            timeout_ms,
            link: None,
            life: 0,
            tick_at: u64::MAX,
            next_ticket: 0,
            calls: BTreeMap::new(),
            unsent: VecDeque::new(),
            sent: VecDeque::new(),
            greeting: false,
            welcomed: false,
            seen: Zxid::ZERO,
            book: Book::default(),
            workload: Workload::new(index),
            rng,
            paused_until: 0,
            busy: true,
            acts_at: u64::MAX,
            closing: false,
            pinged_at: None,
            answered: 0,
        }
    }

    pub(crate) fn outstanding(&self) -> usize {
        self.calls.len()
    }

    /// A new session in the place of one that has ended.
    fn begin_again(&mut self, now_ms: u64) {
        let settings = Settings {
            timeout_ms: self.timeout_ms,
            pause_ms_max: 300,
            read_only: false,
            seed: self.rng.u64(..),
        };
        self.session = Session::new(&self.to, settings, now_ms);
        self.calls.clear();
        self.unsent.clear();
        self.sent.clear();
        self.book.clear();
        self.seen = Zxid::ZERO;
        self.closing = false;
    }
}

impl World {
    pub(crate) fn client_input(&mut self, c: usize, input: Input) {
        let mut actions = Vec::new();
        let now_ms = self.now / MS;
        self.clients[c].session.step(now_ms, input, &mut actions);
        for action in actions {
            self.client_action(c, action);
        }
        if self.clients[c].session.is_ended() {
            self.hang_up(c);
            self.clients[c].begin_again(now_ms);
            self.trace.say(self.now, || format!("c{} begins a new session", c + 1));
        }
        self.plan_tick(c);
    }

    fn plan_tick(&mut self, c: usize) {
        let client = &mut self.clients[c];
        let at = (client.session.deadline_ms().saturating_mul(MS)).max(self.now + 1).max(client.paused_until);
        if at < client.tick_at {
            client.tick_at = at;
            self.queue.push(at, Event::ClientTick { client: c });
        }
    }

    pub(crate) fn client_tick(&mut self, c: usize) {
        let client = &mut self.clients[c];
        if client.tick_at > self.now {
            return;
        }
        client.tick_at = u64::MAX;
        if client.paused_until > self.now {
            return self.plan_tick(c);
        }
        self.client_input(c, Input::Tick);
    }

    fn client_action(&mut self, c: usize, action: Action) {
        match action {
            Action::Dial(server) => {
                let node = server.host[1..].parse::<usize>().expect("hosts are n1, n2 …") - 1;
                let client = &mut self.clients[c];
                client.life += 1;
                let life = client.life;
                let link = self.open(Host::Client(c), life, life, Host::Node(node), Port::Client);
                self.clients[c].link = Some(link);
            }
            Action::Send(bytes) => self.client_sends(c, bytes),
            Action::Hangup => self.hang_up(c),
            Action::Answer { ticket, .. } => {
                let client = &mut self.clients[c];
                client.calls.remove(&ticket);
                client.unsent.retain(|unsent| *unsent != ticket);
                client.answered += 1;
                self.plan_act(c);
            }
            Action::Tell(_) | Action::Probe(_) => {}
        }
    }

    fn hang_up(&mut self, c: usize) {
        if let Some(link) = self.clients[c].link.take() {
            self.close(link, 0);
        }
    }

    fn client_sends(&mut self, c: usize, bytes: Bytes) {
        let client = &mut self.clients[c];
        let Some(link) = client.link else { return };
        if std::mem::take(&mut client.greeting) {
            self.sessions[link] = client.session.id();
            return self.send(link, 0, Item::Bytes(bytes));
        }
        let mut r = Reader::new(bytes.slice(4..));
        let header = RequestHeader::decode(&mut r).expect("our client frames well");
        let op = OpCode::from_code(header.op).expect("our client sends known ops");
        match header.xid {
            xid::PING => client.pinged_at = client.pinged_at.or(Some(self.now)),
            xid::SET_WATCHES => client.sent.push_back(None),
            xid => {
                let request = Request::decode(op, &mut r).expect("our client encodes well");
                let ticket = if op == OpCode::CloseSession { None } else { client.unsent.pop_front() };
                let acked_before =
                    ticket.and_then(|ticket| client.calls.get(&ticket)).copied().unwrap_or(Zxid::ZERO);
                let session = client.session.id();
                self.trace.say(self.now, || format!("c{} asks {xid}: {request:?}", c + 1));
                if op.is_write() {
                    self.checks.sends(session, xid, request.clone());
                }
                client.sent.push_back(Some(Sent { session, xid, request, acked_before }));
            }
        }
        self.send(link, 0, Item::Bytes(bytes));
    }

    /// A dial of the client's has succeeded or not.
    pub(crate) fn client_dialled(&mut self, c: usize, link: LinkId, is_up: bool) {
        let client = &mut self.clients[c];
        if client.link != Some(link) {
            return;
        }
        client.sent.clear();
        client.pinged_at = None;
        client.welcomed = false;
        if is_up {
            client.greeting = true;
            self.client_input(c, Input::Connected);
        } else {
            client.link = None;
            self.client_input(c, Input::Down);
        }
    }

    pub(crate) fn client_receives(&mut self, c: usize, link: LinkId, item: Item) {
        if self.clients[c].link != Some(link) {
            return;
        }
        let Item::Bytes(bytes) = item else {
            self.net.links[link].ends[0].open = false;
            self.clients[c].link = None;
            return self.client_input(c, Input::Down);
        };
        let mut r = Reader::new(bytes);
        while let Ok(Some(frame)) = r.buffer() {
            if self.clients[c].link != Some(link) {
                return;
            }
            self.judge_frame(c, link, frame.clone());
            self.client_input(c, Input::Frame(frame));
        }
    }

    fn judge_frame(&mut self, c: usize, link: LinkId, frame: Bytes) {
        let client = &mut self.clients[c];
        if !std::mem::replace(&mut client.welcomed, true) {
            return self.judge_welcome(c, link, frame);
        }
        let mut r = Reader::new(frame);
        let header = ReplyHeader::decode(&mut r).expect("our servers frame well");
        let session = client.session.id();
        match header.xid {
            xid::NOTIFICATION => {
                let event = WatcherEvent::decode(&mut r).expect("our servers encode well");
                self.trace.say(self.now, || {
                    format!("c{} is told {:?} of {} at {}", c + 1, event.kind, &*event.path, header.zxid)
                });
                self.checks.notified(&mut client.book, session, event.kind, &event.path, header.zxid);
            }
            xid::PING => {
                self.checks.watches_kept(&client.book, session, header.zxid);
                let since = client.pinged_at.take().unwrap_or(self.now);
                self.ping_under_siege(c, self.now - since);
            }
            xid::AUTH => {}
            xid::SET_WATCHES => {
                if !matches!(client.sent.pop_front(), Some(None)) {
                    self.checks.fail("reply order", format!("{session} did not set watches now"));
                }
                self.checks.restored(&mut client.book, session, header.zxid);
            }
            xid => {
                let Some(Some(sent)) =
                    client.sent.pop_front().filter(|sent| sent.as_ref().is_some_and(|s| s.xid == xid))
                else {
                    let what = format!("{session} gets a reply to {xid} out of turn");
                    return self.checks.fail("reply order", what);
                };
                let response = (header.err == 0)
                    .then(|| Response::decode(sent.request.op(), &mut r).expect("our servers encode well"));
                self.trace.say(self.now, || {
                    format!("c{} gets {xid}: {} error {} {response:?}", c + 1, header.zxid, header.err)
                });
                self.checks.replied(&sent, header.zxid, header.err, response.as_ref(), client.seen);
                self.checks.watches_kept(&client.book, session, header.zxid);
                client.seen = client.seen.max(header.zxid);
                match (&sent.request, &response) {
                    (Request::AddWatch { path, .. }, Some(_)) => {
                        self.checks.arm_steadily(&mut client.book, path, header.zxid);
                    }
                    (request, response) => arm(&mut client.book, request, header, response.as_ref()),
                }
                client.workload.learn(&sent.request, response.as_ref());
            }
        }
    }

    fn judge_welcome(&mut self, c: usize, link: LinkId, frame: Bytes) {
        let client = &mut self.clients[c];
        let welcome = ConnectResponse::decode(frame).expect("our servers answer well");
        let before = client.session.id();
        self.trace.say(self.now, || {
            format!("c{} has {} for {} ms (asked for {before})", c + 1, welcome.session, welcome.timeout_ms)
        });
        if welcome.timeout_ms <= 0 {
            // Refused: the session must be gone, or going.
            if before == SessionId::NONE {
                self.checks.fail("welcome", format!("c{} is refused a new session", c + 1));
            }
            return;
        }
        if before != SessionId::NONE && welcome.session != before {
            let what = format!("c{} asked for {before} and got {}", c + 1, welcome.session);
            return self.checks.fail("welcome", what);
        }
        self.sessions[link] = welcome.session;
        client.book.reconnected();
    }

    /// Plans the client's next idea.
    pub(crate) fn plan_act(&mut self, c: usize) {
        let think_us = self.knobs.think_ms * MS;
        let client = &mut self.clients[c];
        let at = (self.now + client.rng.u64(0..think_us)).max(client.paused_until);
        if client.acts_at > at || client.acts_at <= self.now {
            client.acts_at = at;
            self.queue.push(at, Event::ClientActs { client: c });
        }
    }

    pub(crate) fn client_acts(&mut self, c: usize) {
        let pipeline_max = self.knobs.pipeline_max;
        let client = &mut self.clients[c];
        if client.acts_at != self.now || !client.busy {
            return;
        }
        client.acts_at = u64::MAX;
        if client.paused_until > self.now || client.outstanding() >= pipeline_max || client.closing {
            return self.plan_act(c);
        }
        if client.rng.u32(0..400) == 0 && client.session.id() != SessionId::NONE {
            client.closing = true;
            self.client_input(c, Input::Close);
        } else {
            let watched = client.book.len();
            let requests = client.workload.next(&mut client.rng, watched);
            for request in requests {
                self.ask(c, request);
            }
        }
        self.plan_act(c);
    }

    /// A client in doubt asks for what is true now, however much it waits for already.
    pub(crate) fn client_syncs(&mut self, c: usize) {
        let client = &mut self.clients[c];
        if client.busy && client.paused_until <= self.now && !client.closing {
            let requests = client.workload.sync(&mut client.rng);
            requests.into_iter().for_each(|request| self.ask(c, request));
        }
    }

    pub(crate) fn ask(&mut self, c: usize, request: Request) {
        let acked = self.checks.acked;
        let client = &mut self.clients[c];
        client.next_ticket += 1;
        let ticket = client.next_ticket;
        client.calls.insert(ticket, acked);
        client.unsent.push_back(ticket);
        let effect = match &request {
            Request::GetData { path, watch: true } => Effect::Watch(Watch::Data(path.to_string())),
            Request::Exists { path, watch: true } => Effect::Watch(Watch::Exists(path.to_string())),
            Request::GetChildren { path, watch: true } | Request::GetChildren2 { path, watch: true } => {
                Effect::Watch(Watch::Child(path.to_string()))
            }
            Request::AddWatch { path, .. } => {
                Effect::Watch(Watch::Add(path.to_string(), AddWatchMode::Persistent))
            }
            _ => Effect::None,
        };
        self.client_input(c, Input::Call { ticket, call: Call { request, effect } });
    }
}

/// A read that asked for it has left a watch.
fn arm(book: &mut Book, request: &Request, header: ReplyHeader, response: Option<&Response>) {
    let zxid = header.zxid;
    match (request, response) {
        (Request::GetData { path, watch: true }, Some(_)) => book.arm(path, Kind::Data, zxid),
        (Request::Exists { path, watch: true }, Some(_)) => book.arm(path, Kind::Data, zxid),
        (Request::Exists { path, watch: true }, None) if header.err == ErrorCode::NoNode.code() => {
            book.arm(path, Kind::Exist, zxid);
        }
        (
            Request::GetChildren { path, watch: true } | Request::GetChildren2 { path, watch: true },
            Some(_),
        ) => {
            book.arm(path, Kind::Child, zxid);
        }
        _ => {}
    }
}
