//! The machine on a desk: inputs and a clock of its own go in, actions come out as text.

use bytes::Bytes;

use super::super::{Action, Call, Effect, Input, Session, Settings, Ticket, Watch};
use crate::client::ConnectString;
use crate::wire::ids::{SessionId, Zxid};
use crate::wire::jute::{Reader, Str, Writer};
use crate::wire::proto::{
    ConnectRequest, ConnectResponse, ErrorCode, EventState, EventType, OpCode, ReplyHeader, Request,
    RequestHeader, Response, Stat, WatcherEvent, xid,
};

pub(super) const TIMEOUT_MS: u64 = 9_000;

/// A machine, its clock, and what it did last.
pub(super) struct Desk {
    pub(super) session: Session,
    pub(super) now_ms: u64,
    pub(super) next_ticket: Ticket,
}

impl Desk {
    pub(super) fn new(to: &str) -> Desk {
        Desk::with(to, false)
    }

    pub(super) fn with(to: &str, read_only: bool) -> Desk {
        let settings = Settings { timeout_ms: TIMEOUT_MS, pause_ms_max: 999, read_only, seed: 7 };
        let to: ConnectString = to.parse().unwrap();
        Desk { session: Session::new(&to, settings, 1_000), now_ms: 1_000, next_ticket: 0 }
    }

    /// Connected, with the handshake's actions checked away.
    pub(super) fn up(to: &str) -> Desk {
        let mut desk = Desk::new(to);
        desk.connect();
        desk
    }

    pub(super) fn connect(&mut self) -> Vec<String> {
        self.wait();
        self.give(Input::Connected);
        self.give(Input::Frame(welcome(5, TIMEOUT_MS as i32)))
    }

    pub(super) fn give(&mut self, input: Input) -> Vec<String> {
        let mut out = Vec::new();
        self.session.step(self.now_ms, input, &mut out);
        out.iter().map(|action| self.show(action)).collect()
    }

    /// Sleeps to the deadline and ticks.
    pub(super) fn wait(&mut self) -> Vec<String> {
        self.now_ms = self.now_ms.max(self.session.deadline_ms());
        self.give(Input::Tick)
    }

    pub(super) fn call(&mut self, request: Request, effect: Effect) -> Vec<String> {
        self.next_ticket += 1;
        self.give(Input::Call { ticket: self.next_ticket, call: Call { request, effect } })
    }

    pub(super) fn get(&mut self, path: &str, watch: bool) -> Vec<String> {
        let effect = if watch { Effect::Watch(Watch::Data(path.to_owned())) } else { Effect::None };
        self.call(Request::GetData { path: Str::from(path), watch }, effect)
    }

    pub(super) fn reply(&mut self, xid: i32, zxid: i64, response: &Response) -> Vec<String> {
        self.give(Input::Frame(reply(xid, zxid, 0, Some(response))))
    }

    pub(super) fn refuse(&mut self, xid: i32, code: ErrorCode) -> Vec<String> {
        self.give(Input::Frame(reply(xid, 0, code.code(), None)))
    }

    pub(super) fn event(&mut self, kind: EventType, path: &str) -> Vec<String> {
        let mut w = Writer::new();
        ReplyHeader { xid: xid::NOTIFICATION, zxid: Zxid(9), err: 0 }.encode(&mut w);
        WatcherEvent { kind, state: EventState::SyncConnected, path: Str::from(path) }.encode(&mut w);
        self.give(Input::Frame(w.finish()))
    }

    fn show(&self, action: &Action) -> String {
        match action {
            Action::Dial(server) => format!("dial {server}"),
            Action::Hangup => "hangup".to_owned(),
            Action::Probe(server) => format!("probe {server}"),
            Action::Answer { ticket, result: Ok(_) } => format!("answer {ticket} ok"),
            Action::Answer { ticket, result: Err(failure) } => format!("answer {ticket} {failure:?}"),
            Action::Tell(event) => match &event.path {
                Some(path) => format!("tell {:?} {path} {}", event.kind, event.zxid.0),
                None => format!("tell {:?}", event.state),
            },
            Action::Send(frame) => show_frame(frame),
        }
    }
}

fn show_frame(frame: &Bytes) -> String {
    let len = i32::from_be_bytes(frame[..4].try_into().unwrap());
    assert_eq!(len as usize, frame.len() - 4, "every frame carries its length");
    let mut r = Reader::new(frame.slice(4..));
    let header = RequestHeader::decode(&mut r).unwrap();
    match OpCode::from_code(header.op).filter(|_| header.xid != 0) {
        Some(op) => {
            let request = Request::decode(op, &mut r).unwrap();
            let path = match &request {
                Request::GetData { path, .. } | Request::Exists { path, .. } => format!(" {path}"),
                Request::Auth { scheme, .. } => format!(" {scheme}"),
                Request::SetWatches(w) | Request::SetWatches2(w) => format!(
                    " since {} {:?} {:?} {:?} {:?} {:?}",
                    w.relative_zxid.0, w.data, w.exist, w.child, w.persistent, w.persistent_recursive
                ),
                _ => String::new(),
            };
            format!("send {} {:?}{path}", header.xid, op)
        }
        None => {
            let hello = ConnectRequest::decode(frame.slice(4..)).unwrap();
            assert_eq!(hello.read_only.is_some(), frame.len() == 4 + 45);
            format!(
                "hello session {} zxid {} timeout {} ro {}",
                hello.session.0,
                hello.last_zxid_seen.0,
                hello.timeout_ms,
                hello.read_only.unwrap()
            )
        }
    }
}

pub(super) fn welcome(session: i64, timeout_ms: i32) -> Bytes {
    welcome_from(session, timeout_ms, false)
}

pub(super) fn welcome_from(session: i64, timeout_ms: i32, read_only: bool) -> Bytes {
    let mut w = Writer::new();
    let session = SessionId(session);
    ConnectResponse { timeout_ms, session, password: [3; 16], read_only: Some(read_only) }.encode(&mut w);
    w.finish()
}

pub(super) fn reply(xid: i32, zxid: i64, err: i32, response: Option<&Response>) -> Bytes {
    let mut w = Writer::new();
    ReplyHeader { xid, zxid: Zxid(zxid), err }.encode(&mut w);
    if let Some(response) = response {
        response.encode(&mut w);
    }
    w.finish()
}

pub(super) fn data() -> Response {
    Response::Data { data: None, stat: Stat::default() }
}
