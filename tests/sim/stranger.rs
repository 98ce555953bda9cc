//! Strangers at the ports between servers: whoever comes, under any id, and says what it likes (docs/security.md). What
//! they have is ids, epochs, rounds and patience; they never promise what a server would have to keep.

use std::collections::BTreeMap;

use bytes::Bytes;
use zkops::server::zab::ballot::State;
use zkops::server::zab::wire::Kind;
use zkops::server::zab::{Hello, Notification, Packet, Role};
use zkops::wire::ids::{Epoch, ServerId, Zxid};
use zkops::wire::jute::Writer;

use crate::net::{Host, Item, LinkId, Port};
use crate::queue::Event;
use crate::scenario::{MS, SECOND};
use crate::world::World;

/// A stranger, by what it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Caller {
    /// At the quorum port, without a word.
    Silent,
    /// FOLLOWERINFO or OBSERVERINFO; then it acknowledges whatever the leader has proposed.
    Learner { sid: i64, observer: bool, accepted: Accepted },
    /// HELLO, with an address of its choice, and a notification.
    Elector { sid: i64, state: State, leader: i64, epoch: i64, round: i64 },
}

/// The epoch that it says it has accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Accepted {
    Nothing,
    /// So many beyond that of the server it calls.
    Ahead(i64),
    /// This one, which only damage or forging reaches.
    Impossible(i64),
}

/// A time in which strangers are all that happens: whoever serves goes on as if they were not there.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Siege {
    pub(crate) from_us: u64,
    /// This one is down all the time.
    pub(crate) victim: Option<usize>,
    /// Elections that forged claims for the victim may cost.
    pub(crate) elections_max: usize,
}

/// Those who have come.
#[derive(Default)]
pub(crate) struct Strangers {
    callers: BTreeMap<LinkId, (Caller, u64)>,
    siege: Option<Siege>,
    /// Roles that ended, and elections won, since the siege began.
    parted: usize,
    elected: usize,
}

impl Strangers {
    pub(crate) fn new(siege: Option<Siege>) -> Strangers {
        Strangers { siege, ..Strangers::default() }
    }
}

impl World {
    /// So many of a kind call a server.
    pub(crate) fn strangers_call(&mut self, i: usize, caller: Caller, count: i64) {
        for k in 0..count {
            let (port, caller) = match caller {
                Caller::Silent | Caller::Learner { .. } => (Port::Quorum, caller),
                // A crowd of electors has as many ids.
                Caller::Elector { sid, state, leader, epoch, round } => {
                    (Port::Election, Caller::Elector { sid: sid + k, state, leader, epoch, round })
                }
            };
            let link = self.open(Host::Stranger, 0, 0, Host::Node(i), port);
            self.strangers.callers.insert(link, (caller, self.now));
        }
    }

    pub(crate) fn stranger_dialled(&mut self, link: LinkId, is_up: bool) {
        let Some((caller, since)) = self.strangers.callers.get_mut(&link).filter(|_| is_up) else { return };
        *since = self.now;
        let caller = *caller;
        let Host::Node(i) = self.net.links[link].ends[1].host else { return };
        match caller {
            Caller::Silent => {
                let limit_us = u64::from(self.knobs.init_limit) * self.knobs.tick_ms * MS;
                self.queue
                    .push(self.now + 2 * limit_us + 5 * SECOND, Event::StrangerGoesOn { link, left: 0 });
            }
            Caller::Learner { sid, observer, accepted } => {
                let mine = self.nodes[i].process.as_ref().map_or(Epoch(0), |process| process.replica.epoch());
                let accepted = match accepted {
                    Accepted::Nothing => Epoch(0),
                    Accepted::Ahead(by) => Epoch(mine.0 + by),
                    Accepted::Impossible(epoch) => Epoch(epoch),
                };
                let mut info = Writer::new();
                info.long(sid);
                info.int(0x10000);
                info.long(0);
                let kind = if observer { Kind::OBSERVERINFO } else { Kind::FOLLOWERINFO };
                let packet = Packet::with_data(kind, accepted.start(), info.finish());
                self.send(link, 0, Item::Bytes(packet.encode()));
                self.queue.push(self.now + 20 * MS, Event::StrangerGoesOn { link, left: 40 });
            }
            Caller::Elector { sid, state, leader, epoch, round } => {
                let addresses = vec![("elsewhere".to_owned(), 1)];
                let hello = Hello { sid: ServerId(sid), addresses }.encode();
                let (leader, peer_epoch) = (ServerId(leader), Epoch(epoch));
                let zxid = Zxid(peer_epoch.start().0 + 1);
                let config = Some(Bytes::from(self.membership.clone() + "version=0"));
                let said = Notification { state, leader, zxid, round, peer_epoch, version: 2, config };
                self.send(link, 0, Item::Bytes([&hello[..], &said.encode()].concat().into()));
            }
        }
    }

    /// A stranger speaks again, or has been silent for too long.
    pub(crate) fn stranger_goes_on(&mut self, link: LinkId, left: u32) {
        let Some((caller, since)) = self.strangers.callers.get(&link).copied() else { return };
        let end = &self.net.links[link].ends[1];
        let Host::Node(i) = end.host else { return };
        let node = &self.nodes[i];
        let is_there = end.open && node.life == end.life && node.process.is_some();
        if !is_there {
            return;
        }
        match (caller, &node.process) {
            (Caller::Silent, _) if node.paused_until <= since => {
                let waited_s = (self.now - since) / SECOND;
                let what = format!("n{} waits for a silent caller for {waited_s} s", i + 1);
                self.checks.fail("strangers: a deadline", what);
            }
            (Caller::Learner { .. }, Some(process)) if left > 0 => {
                if let Some(zab) = process.replica.zab() {
                    let ack = Packet::new(Kind::ACK, zab.last_proposed());
                    self.send(link, 0, Item::Bytes(ack.encode()));
                }
                self.queue.push(self.now + 20 * MS, Event::StrangerGoesOn { link, left: left - 1 });
            }
            _ => {}
        }
    }

    /// What a stranger is told: nothing, but for the epoch under the id of a member.
    pub(crate) fn stranger_hears(&mut self, link: LinkId, item: Item) {
        let bytes = match item {
            Item::Fin => {
                self.net.links[link].ends[0].open = false;
                return;
            }
            Item::Bytes(bytes) | Item::Snapshot(bytes, _) => bytes,
        };
        let members = self.nodes.len() as i64;
        let is_secret = match self.strangers.callers.get(&link) {
            Some((Caller::Learner { sid, accepted, .. }, _)) => {
                let is_member = (1..=members).contains(sid) && !matches!(accepted, Accepted::Impossible(_));
                !is_member || bytes.get(..4) != Some(&Kind::LEADERINFO.0.to_be_bytes()[..])
            }
            Some((Caller::Silent, _)) => true,
            _ => false,
        };
        if is_secret {
            let what = format!("{} bytes for {:?}", bytes.len(), self.strangers.callers.get(&link));
            self.checks.fail("strangers: told nothing", what);
        }
    }

    /// How many connections strangers have at a server, and whether a role has ended.
    pub(crate) fn strangers_are_bounded(&mut self, i: usize) {
        let Some(process) = &self.nodes[i].process else { return };
        let theirs = |port: Port| {
            let links = process.conns.values().map(|(link, _)| &self.net.links[*link]);
            links
                .filter(|link| {
                    link.ends[0].host == Host::Stranger && link.port == port && !link.ends[1].hello
                })
                .count()
        };
        let members = self.nodes.len();
        let (quorum, election) = (theirs(Port::Quorum), theirs(Port::Election));
        // Silent ones, and one that waits and one that has come in under each id; joiners, and one for each member.
        if quorum > 32 + 2 * members || election > 16 + members {
            let what = format!("n{} keeps {quorum} and {election} connections of strangers", i + 1);
            self.checks.fail("strangers: bounded", what);
        }
    }

    /// A server's role is another than before.
    pub(crate) fn role_under_siege(&mut self, i: usize, before: Option<Role>, role: Option<Role>) {
        let Some(siege) = self.strangers.siege.filter(|siege| self.now >= siege.from_us) else { return };
        if self.strangers.callers.is_empty() || siege.victim == Some(i) {
            return;
        }
        self.strangers.parted += usize::from(before.is_some_and(Role::is_serving));
        self.strangers.elected += usize::from(role == Some(Role::Leading { serving: true }));
        let Strangers { parted, elected, .. } = self.strangers;
        let is_too_much = if siege.elections_max == 0 { parted > 0 } else { elected > siege.elections_max };
        if is_too_much {
            let what = format!("n{} was {before:?} and is {role:?}, {elected} elections", i + 1);
            self.checks.fail("strangers: no quorum lost", what);
        }
    }

    /// A client's ping was answered so late. Greedy clients beside it, and whatever strangers do, cost it a fraction of its
    /// timeout at most.
    pub(crate) fn ping_under_siege(&mut self, c: usize, took_us: u64) {
        let Some(siege) = self.strangers.siege.filter(|siege| self.now >= siege.from_us) else { return };
        let limit_us = self.knobs.session_timeout_ms * MS / 3;
        if siege.elections_max == 0 && took_us > limit_us {
            let what = format!("c{} waits for it for {} ms", c + 1, took_us / MS);
            self.checks.fail("siege: a ping's answer", what);
        }
    }

    pub(crate) fn strangers_leave(&mut self) {
        self.strangers.siege = None;
        for link in std::mem::take(&mut self.strangers.callers).into_keys() {
            self.close(link, 0);
        }
    }
}
