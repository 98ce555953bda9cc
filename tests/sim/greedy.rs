//! Greedy clients: they ask for as much as they can, before they may, as more people than anybody is, and do not read
//! what they are answered. What a server holds for them is bounded at every moment.

use bytes::Bytes;
use zkops::server::replica::Input;
use zkops::wire::ids::{SessionId, Zxid};
use zkops::wire::jute::{Reader, Str, Writer};
use zkops::wire::proto::{
    Acl, ConnectRequest, ConnectResponse, CreateMode, CreateRequest, Request, RequestHeader, xid,
};

use crate::net::{Host, Item, LinkId, Port};
use crate::queue::Event;
use crate::scenario::{MS, SECOND};
use crate::world::World;

/// What one wants too much of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Greed {
    /// Answers of sixty kilobytes each, none of which it reads for a while.
    Unread,
    /// One such answer after the other, none of which it reads for a while.
    Drip,
    /// Thousands of requests at once, every answer read.
    Turns,
    /// Two hundred frames before there is a session.
    Early,
    /// To be three hundred people.
    Crowd,
    /// Twelve megabytes in one answer.
    MultiRead,
    /// Forty writes of sixty kilobytes at once.
    Writes,
}

impl Greed {
    pub(crate) const ALL: [Greed; 7] = [
        Greed::Unread,
        Greed::Drip,
        Greed::Turns,
        Greed::Early,
        Greed::Crowd,
        Greed::MultiRead,
        Greed::Writes,
    ];

    fn is_deaf(self) -> bool {
        matches!(self, Greed::Unread | Greed::Drip)
    }
}

/// What a server's driver holds for one, and what it has been told.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Held {
    pub(crate) greed: Greed,
    pub(crate) owed: usize,
    answers: usize,
    /// It has what it wants to read, and has asked for it.
    has_asked: bool,
}

impl Held {
    pub(crate) fn new(greed: Greed) -> Held {
        Held { greed, owed: 0, answers: 0, has_asked: false }
    }

    /// The driver does not go on with its requests beyond this.
    pub(crate) fn is_full(&self) -> bool {
        self.owed > OWED_LEN_PAUSE
    }

    /// The time that answers take to make.
    pub(crate) fn cost_us(&self, answers: &Bytes) -> u64 {
        let mut r = Reader::new(answers.clone());
        std::iter::from_fn(|| r.buffer().ok()?).map(|_| ANSWER_US).sum()
    }

    /// One batch has come to this for it; what is wrong with that.
    pub(crate) fn take(&mut self, bytes: &Bytes) -> Option<String> {
        self.owed += bytes.len();
        let owed = self.owed;
        if !self.greed.is_deaf() {
            self.owed = 0;
        }
        let mut frames = 0;
        let mut longest = 0;
        let mut r = Reader::new(bytes.clone());
        while let Ok(Some(frame)) = r.buffer() {
            (frames, longest) = (frames + 1, longest.max(frame.len()));
            self.answers += 1;
        }
        match self.greed {
            _ if frames > 256 + 64 => Some(format!("{frames} answers in one batch")),
            _ if longest > 4 * 1024 * 1024 + 2 * DATA_LEN => Some(format!("an answer of {longest} bytes")),
            _ if bytes.len() > OWED_LEN_PAUSE + longest.max(2 * DATA_LEN) => {
                Some(format!("{} bytes in one batch", bytes.len()))
            }
            greed if greed.is_deaf() && owed > 2 * OWED_LEN_PAUSE + 4 * DATA_LEN => {
                Some(format!("{owed} bytes that are not read"))
            }
            Greed::Early if self.answers > 0 => {
                Some("a session for who sent 200 frames before it".to_owned())
            }
            // Its session, its node, and each of those it says it is; one too many is told so.
            Greed::Crowd if self.answers > 3 + 256 => Some(format!("it is {} people", self.answers - 2)),
            _ => None,
        }
    }
}

impl World {
    pub(crate) fn greedy_calls(&mut self, i: usize, greed: Greed) {
        let link = self.open(Host::Greedy, 0, 0, Host::Node(i), Port::Client);
        self.greedy.insert(link, Held::new(greed));
    }

    pub(crate) fn greedy_dialled(&mut self, link: LinkId, is_up: bool) {
        let Some(held) = self.greedy.get(&link).filter(|_| is_up) else { return };
        let request = ConnectRequest {
            protocol_version: 0,
            last_zxid_seen: Zxid::ZERO,
            timeout_ms: self.knobs.session_timeout_ms as i32,
            session: SessionId::NONE,
            password: Bytes::from_static(&[0; 16]),
            read_only: None,
        };
        let mut w = Writer::new();
        let mark = w.open_frame();
        request.encode(&mut w);
        w.close_frame(mark);
        if held.greed == Greed::Early {
            (0..200).for_each(|_| put(&mut w, 1, &exists()));
        }
        self.send(link, 0, Item::Bytes(w.finish()));
    }

    pub(crate) fn greedy_hears(&mut self, link: LinkId, item: Item) {
        let Item::Bytes(bytes) = item else {
            self.net.links[link].ends[0].open = false;
            return;
        };
        // Its first answer is its session, the second says that there is something to read; it does not care for more.
        if self.sessions[link] != SessionId::NONE {
            return self.greedy_asks(link);
        }
        let Ok(Some(frame)) = Reader::new(bytes).buffer() else { return };
        let Ok(welcome) = ConnectResponse::decode(frame) else { return };
        if welcome.timeout_ms <= 0 {
            return;
        }
        self.sessions[link] = welcome.session;
        let mut w = Writer::new();
        let create = Request::Create(CreateRequest {
            path: Str::from("/greed"),
            data: Some(vec![b'g'; DATA_LEN].into()),
            acl: Some(vec![Acl::new(31, "world", "anyone")]),
            flags: CreateMode::Persistent.flags(),
            ttl_ms: None,
        });
        put(&mut w, 1, &create);
        self.checks.sends(welcome.session, 1, create);
        self.send(link, 0, Item::Bytes(w.finish()));
    }

    fn greedy_asks(&mut self, link: LinkId) {
        let Some(held) = self.greedy.get_mut(&link) else { return };
        if std::mem::replace(&mut held.has_asked, true) {
            return;
        }
        let greed = held.greed;
        let session = self.sessions[link];
        let mut w = Writer::new();
        let get = Request::GetData { path: Str::from("/greed"), watch: false };
        match greed {
            Greed::Drip => self.queue.push(self.now, Event::GreedyAsks { link, left: 80 }),
            Greed::Unread => (0..400).for_each(|k| put(&mut w, k + 2, &get)),
            Greed::Turns => (0..3000).for_each(|k| put(&mut w, k + 2, &exists())),
            Greed::Crowd => (0..300).for_each(|k| {
                let auth = Some(format!("person-{k}:pw").into_bytes().into());
                put(&mut w, xid::AUTH, &Request::Auth { scheme: "digest".into(), auth });
            }),
            Greed::MultiRead => put(&mut w, 2, &Request::MultiRead(vec![get; 200])),
            Greed::Writes => (0..40).for_each(|k| {
                let path = Str::from("/greed");
                let set = Request::SetData { path, data: Some(vec![k as u8; DATA_LEN].into()), version: -1 };
                put(&mut w, k + 2, &set);
                self.checks.sends(session, k + 2, set);
            }),
            Greed::Early => {}
        }
        self.send(link, 0, Item::Bytes(w.finish()));
        self.queue.push(self.now + 2 * SECOND, Event::GreedyReads { link });
    }

    /// It asks for one thing more, so many times.
    pub(crate) fn greedy_asks_again(&mut self, link: LinkId, left: i32) {
        if left > 0 && self.greedy.contains_key(&link) {
            let mut w = Writer::new();
            put(&mut w, 1000 - left, &Request::GetData { path: Str::from("/greed"), watch: false });
            self.send(link, 0, Item::Bytes(w.finish()));
            self.queue.push(self.now + 20 * MS, Event::GreedyAsks { link, left: left - 1 });
        }
    }

    /// It reads all that waits for it.
    pub(crate) fn greedy_reads(&mut self, link: LinkId) {
        let Some(held) = self.greedy.get_mut(&link) else { return };
        if std::mem::take(&mut held.owed) > 0 {
            self.has_room(link);
            self.queue.push(self.now + SECOND, Event::GreedyReads { link });
        }
    }

    pub(crate) fn greedy_leave(&mut self) {
        for link in std::mem::take(&mut self.greedy).into_keys() {
            self.close(link, 0);
        }
    }

    fn has_room(&mut self, link: LinkId) {
        let end = &self.net.links[link].ends[1];
        let Host::Node(i) = end.host else { return };
        if end.open && end.life == self.nodes[i].life {
            let client = zkops::server::replica::ClientId(end.conn);
            self.client_input_of(i, Input::ClientRoom { client });
        }
    }
}

fn exists() -> Request {
    Request::Exists { path: Str::from("/nobody"), watch: false }
}

fn put(w: &mut Writer, xid: i32, request: &Request) {
    let mark = w.open_frame();
    RequestHeader { xid, op: request.op().code() }.encode(w);
    request.encode(w);
    w.close_frame(mark);
}

const DATA_LEN: usize = 60_000;
/// On a processor so slow that a simulated server has something to do.
const ANSWER_US: u64 = 200;
/// As the process has it.
const OWED_LEN_PAUSE: usize = 1024 * 1024;
