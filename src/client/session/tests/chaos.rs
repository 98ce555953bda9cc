//! Anything in any order: no panic, every call answered once, every session ended by close.

use std::collections::BTreeMap;

use bytes::Bytes;
use proptest::prelude::*;

use super::desk::{Desk, data, reply, welcome_from};
use crate::client::session::{Action, Call, Effect, Input, Ticket, Watch};
use crate::wire::ids::Zxid;
use crate::wire::jute::{Str, Writer};
use crate::wire::proto::{
    EventState, EventType, OpCode, ReplyHeader, Request, Response, WatcherEvent, WatcherType, xid,
};

/// Something that happens to a session.
#[derive(Debug, Clone)]
enum Happening {
    Call {
        watch: bool,
    },
    Unwatch {
        local: bool,
    },
    Auth,
    Close,
    Connected,
    Welcome {
        timeout_ms: i32,
        read_only: bool,
    },
    /// The reply that is due.
    Reply {
        err: i32,
    },
    Garbage(Vec<u8>),
    Event {
        path: bool,
    },
    Down,
    Probed {
        read_write: bool,
    },
    Later {
        ms: u64,
    },
    Deadline,
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        3 => any::<bool>().prop_map(|watch| Happening::Call { watch }),
        1 => any::<bool>().prop_map(|local| Happening::Unwatch { local }),
        1 => Just(Happening::Auth),
        1 => Just(Happening::Close),
        3 => Just(Happening::Connected),
        3 => (prop_oneof![Just(0), Just(-5), 1..20_000], any::<bool>())
            .prop_map(|(timeout_ms, read_only)| Happening::Welcome { timeout_ms, read_only }),
        5 => prop_oneof![4 => Just(0), 1 => Just(-101), 1 => any::<i32>()].prop_map(|err| Happening::Reply { err }),
        1 => any::<Vec<u8>>().prop_map(Happening::Garbage),
        1 => any::<bool>().prop_map(|path| Happening::Event { path }),
        2 => Just(Happening::Down),
        1 => any::<bool>().prop_map(|read_write| Happening::Probed { read_write }),
        2 => (0..20_000u64).prop_map(|ms| Happening::Later { ms }),
        4 => Just(Happening::Deadline),
    ]
}

impl Desk {
    fn happen(&mut self, happening: Happening) -> Input {
        let ticket = self.next_ticket + 1;
        let mut ticketed = |input| {
            self.next_ticket = ticket;
            input
        };
        match happening {
            Happening::Call { watch } => {
                let effect = if watch { Effect::Watch(Watch::Data("/w".to_owned())) } else { Effect::None };
                let request = Request::GetData { path: Str::from("/w"), watch };
                ticketed(Input::Call { ticket, call: Call { request, effect } })
            }
            Happening::Unwatch { local } => {
                let effect = Effect::Unwatch { path: "/w".to_owned(), kind: WatcherType::Any, local };
                let request = Request::RemoveWatches { path: Str::from("/w"), kind: 3 };
                ticketed(Input::Call { ticket, call: Call { request, effect } })
            }
            Happening::Auth => {
                ticketed(Input::AddAuth { ticket, scheme: "digest".to_owned(), auth: Bytes::new() })
            }
            Happening::Close => Input::Close,
            Happening::Connected => Input::Connected,
            Happening::Welcome { timeout_ms, read_only } => {
                Input::Frame(welcome_from(5, timeout_ms, read_only))
            }
            Happening::Reply { err } => {
                let due = self.session.pending.front().map(|pending| (pending.xid, pending.op));
                let (xid, response) = match due {
                    Some((xid, OpCode::GetData)) => (xid, data()),
                    Some((xid, _)) => (xid, Response::Empty),
                    None => (xid::AUTH, Response::Empty),
                };
                Input::Frame(reply(xid, 1, err, Some(&response)))
            }
            Happening::Garbage(bytes) => Input::Frame(Bytes::from(bytes)),
            Happening::Event { path } => {
                let mut w = Writer::new();
                ReplyHeader { xid: xid::NOTIFICATION, zxid: Zxid(1), err: 0 }.encode(&mut w);
                let path = Str::from(if path { "/w" } else { "" });
                let kind = EventType::NodeDataChanged;
                WatcherEvent { kind, state: EventState::SyncConnected, path }.encode(&mut w);
                Input::Frame(w.finish())
            }
            Happening::Down => Input::Down,
            Happening::Probed { read_write } => {
                Input::Probed { server: self.session.servers.candidate(0), read_write }
            }
            Happening::Later { ms } => {
                self.now_ms += ms;
                Input::Tick
            }
            Happening::Deadline => {
                if self.session.deadline_ms() != u64::MAX {
                    self.now_ms = self.now_ms.max(self.session.deadline_ms());
                }
                Input::Tick
            }
        }
    }
}

proptest! {
    #[test]
    fn every_call_is_answered_exactly_once_whatever_happens(
        happenings in proptest::collection::vec(happening(), 0..80),
        read_only: bool,
    ) {
        let mut desk = Desk::with("a:1,b:2/app", read_only);
        let mut answers = BTreeMap::<Ticket, usize>::new();
        let mut finals = 0;
        let goodbye = std::iter::once(Happening::Close).chain(std::iter::repeat_n(Happening::Deadline, 10));
        for happening in happenings.into_iter().chain(goodbye) {
            let input = desk.happen(happening);
            let mut out = Vec::new();
            desk.session.step(desk.now_ms, input, &mut out);
            for action in out {
                match action {
                    Action::Answer { ticket, .. } => *answers.entry(ticket).or_default() += 1,
                    Action::Tell(event) => finals += usize::from(matches!(
                        event.state,
                        EventState::Closed | EventState::Expired | EventState::AuthFailed
                    )),
                    Action::Dial(_) | Action::Send(_) | Action::Hangup | Action::Probe(_) => {}
                }
            }
        }
        prop_assert!(desk.session.is_ended(), "close ends every session in time");
        prop_assert_eq!(finals, 1, "and says so once");
        prop_assert_eq!(answers.len() as u64, desk.next_ticket);
        prop_assert!(answers.values().all(|count| *count == 1), "{:?}", answers);
    }
}
