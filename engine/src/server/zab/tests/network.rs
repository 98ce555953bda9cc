//! The network of a test ensemble: connections with order and delay, partitions loud and silent,
//! and a liar who ends elections as it likes.

use bytes::{Bytes, BytesMut};

use super::cluster::{Cluster, Event};
use super::disk::trace;
use crate::server::zab::ballot::State;
use crate::server::zab::wire::{Kind, take_packet};
use crate::server::zab::*;
use crate::wire::jute::FIELD_LEN_MAX;

/// The zxid of votes that a liar spreads.
pub(super) const RUMOUR: Zxid = Zxid(1 << 60);

/// One end of a connection.
pub(super) struct End {
    pub(super) peer: usize,
    pub(super) peer_conn: ConnId,
    /// The life of the peer that this connection belongs to.
    pub(super) peer_life: u64,
    pub(super) quorum: bool,
    /// The peer's HELLO is still to come.
    pub(super) hello: bool,
    pub(super) buffer: BytesMut,
    /// A snapshot stream comes next.
    pub(super) snapshot: bool,
    /// Nothing arrives before this: the order of what was sent.
    pub(super) arrives_ms: u64,
    /// Something was lost: nothing more arrives, and nobody knows yet.
    pub(super) broken: bool,
}

#[derive(Clone)]
pub(super) enum Item {
    Bytes(Bytes),
    Snapshot(Bytes),
    Close,
}

impl Cluster {
    /// Cuts a pair off from each other. Silently: both believe in their connections for now.
    pub(super) fn part(&mut self, a: usize, b: usize, silently: bool) {
        self.cut.insert((a.min(b), a.max(b)));
        trace(|| format!("{:6} n{} and n{} part (silently: {silently})", self.now_ms, a + 1, b + 1));
        if !silently {
            self.reset(a, b);
        }
    }

    pub(super) fn join(&mut self, a: usize, b: usize) {
        if self.cut.remove(&(a.min(b), a.max(b))) {
            trace(|| format!("{:6} n{} and n{} can talk again", self.now_ms, a + 1, b + 1));
            let broken = |c: &Cluster, x: usize, y: usize| -> Vec<ConnId> {
                c.nodes[x].ends.iter().filter(|(_, e)| e.peer == y && e.broken).map(|(c, _)| *c).collect()
            };
            for (x, y) in [(a, b), (b, a)] {
                for conn in broken(self, x, y) {
                    self.schedule(1, Event::Down { node: x, conn });
                }
            }
        }
    }

    /// Resets all connections between two servers.
    pub(super) fn reset(&mut self, a: usize, b: usize) {
        for (x, y) in [(a, b), (b, a)] {
            let conns: Vec<ConnId> =
                self.nodes[x].ends.iter().filter(|(_, end)| end.peer == y).map(|(conn, _)| *conn).collect();
            for conn in conns {
                self.nodes[x].ends.get_mut(&conn).unwrap().broken = true;
                let delay_ms = self.random.below(self.delay_ms_max + 1);
                self.schedule(delay_ms, Event::Down { node: x, conn });
            }
        }
    }

    pub(super) fn whisper(&mut self, i: usize) {
        if self.now_ms < self.rumours_until_ms && i < self.voters {
            let delay_ms = self.random.below(6);
            self.schedule(delay_ms, Event::Rumour { node: i });
        }
    }

    /// Makes a looking server believe that all its peers want one leader, whoever that is.
    pub(super) fn rumour(&mut self, i: usize) {
        let leader = self.random.below(self.voters as u64) as usize;
        let looking = self.nodes[i].zab.as_ref().is_some_and(|zab| *zab.role() == Role::Looking);
        if self.now_ms >= self.rumours_until_ms || !looking {
            return;
        }
        self.rumours += 1;
        let n = Notification {
            state: State::Looking,
            leader: self.nodes[leader].sid,
            zxid: RUMOUR,
            round: 1_000_000 + self.rumours,
            peer_epoch: Epoch(1 << 20),
            version: 2,
            config: None,
        };
        trace(|| format!("{:6} n{} hears that n{} shall lead", self.now_ms, i + 1, leader + 1));
        let voters = self.voters;
        let ends = self.nodes[i].ends.iter();
        let conns: Vec<ConnId> =
            ends.filter(|(_, e)| !e.quorum && e.peer < voters).map(|(conn, _)| *conn).collect();
        for conn in conns {
            let payload = n.encode().slice(4..);
            self.step(i, Input::ElectionMessage { conn, payload });
        }
    }

    pub(super) fn is_cut(&self, a: usize, b: usize) -> bool {
        self.cut.contains(&(a.min(b), a.max(b)))
    }

    pub(super) fn dial(&mut self, i: usize, conn: ConnId, host: &str, quorum: bool) {
        let to = host.strip_prefix('n').and_then(|n| n.parse::<usize>().ok()).unwrap() - 1;
        let delay_ms = self.random.between(1, self.delay_ms_max);
        self.schedule(delay_ms, Event::Dialled { node: i, conn, to, quorum });
    }

    pub(super) fn dialled(&mut self, i: usize, conn: ConnId, to: usize, quorum: bool) {
        if self.is_cut(i, to) {
            // Half of the lost dials are noticed; the others end by their own deadline.
            if self.random.one_in(2) {
                self.step(i, Input::Down { conn });
            }
            return;
        }
        let target = &mut self.nodes[to];
        if target.zab.is_none() || (quorum && !target.listening) {
            return self.step(i, Input::Down { conn });
        }
        let target = &mut self.nodes[to];
        target.next_accepted += 2;
        let accepted = ConnId(target.next_accepted);
        let lives = [self.nodes[i].life, self.nodes[to].life];
        let end = |peer, peer_conn, hello| End {
            peer,
            peer_conn,
            peer_life: lives[usize::from(peer == to)],
            quorum,
            hello,
            buffer: BytesMut::new(),
            snapshot: false,
            arrives_ms: 0,
            broken: false,
        };
        self.nodes[to].ends.insert(accepted, end(i, conn, !quorum));
        self.nodes[i].ends.insert(conn, end(to, accepted, false));
        if quorum {
            self.step(to, Input::LearnerUp { conn: accepted });
            self.step(i, Input::LeaderUp { conn });
        } else {
            self.step(i, Input::ElectionUp { conn });
        }
    }

    /// Closes our end; the other hears of it after what was sent before.
    pub(super) fn hang_up(&mut self, i: usize, conn: ConnId) {
        self.send(i, conn, Item::Close);
        self.nodes[i].ends.remove(&conn);
    }

    pub(super) fn send(&mut self, i: usize, conn: ConnId, item: Item) {
        let delay_ms = self.random.between(1, self.delay_ms_max);
        let now_ms = self.now_ms;
        let lives: Vec<u64> = self.nodes.iter().map(|node| node.life).collect();
        let Some(end) = self.nodes[i].ends.get_mut(&conn) else {
            return;
        };
        let (peer, peer_conn, peer_life) = (end.peer, end.peer_conn, end.peer_life);
        if peer_life != lives[peer] {
            return;
        }
        end.arrives_ms = end.arrives_ms.max(now_ms + delay_ms);
        let delay_ms = end.arrives_ms - now_ms;
        self.schedule(delay_ms, Event::Arrive { node: peer, conn: peer_conn, item });
    }

    pub(super) fn arrive(&mut self, i: usize, conn: ConnId, item: Item) {
        let Some(peer) = self.nodes[i].ends.get(&conn).map(|end| end.peer) else {
            return;
        };
        let lost = self.is_cut(i, peer);
        let end = self.nodes[i].ends.get_mut(&conn).unwrap();
        end.broken |= lost;
        if end.broken {
            let (peer, peer_conn) = (end.peer, end.peer_conn);
            let other = self.nodes[peer].ends.get_mut(&peer_conn);
            if let Some(other) = other.filter(|other| other.peer == i && other.peer_conn == conn) {
                other.broken = true;
            }
            return;
        }
        match item {
            Item::Close => {
                self.nodes[i].ends.remove(&conn);
                self.step(i, Input::Down { conn });
            }
            Item::Snapshot(body) => {
                assert!(end.snapshot, "a snapshot stream without SNAP");
                end.snapshot = false;
                self.step(i, Input::Progress { conn });
                self.step(i, Input::SnapshotReceived { conn, body, config: None });
            }
            Item::Bytes(bytes) => {
                end.buffer.extend_from_slice(&bytes);
                while let Some(input) = self.frame(i, conn) {
                    self.step(i, input);
                }
            }
        }
    }

    /// The next complete message of a connection, as the driver would find it.
    pub(super) fn frame(&mut self, i: usize, conn: ConnId) -> Option<Input> {
        let end = self.nodes[i].ends.get_mut(&conn)?;
        if end.quorum {
            if end.snapshot {
                assert!(end.buffer.is_empty(), "packets inside a snapshot stream");
                return None;
            }
            let packet = take_packet(&mut end.buffer, FIELD_LEN_MAX).unwrap()?;
            end.snapshot = packet.kind == Kind::SNAP;
            Some(Input::Packet { conn, packet })
        } else if end.hello {
            let hello = Hello::take(&mut end.buffer).unwrap()?;
            end.hello = false;
            Some(Input::ElectionHello { conn, hello })
        } else {
            let payload = Notification::take_payload(&mut end.buffer).unwrap()?;
            Some(Input::ElectionMessage { conn, payload })
        }
    }
}
