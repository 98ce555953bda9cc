//! The election connections: one per pair of servers, kept by the higher id (quorum-protocol
//! §1.1). Notifications are idempotent states, so nothing is queued for a peer that is not
//! connected: when its connection comes up, the owner sends the state of that moment, which is
//! the reference's queue of one plus its "last message again" in one rule.
//!
//! It reads no vote and knows no role.

use std::collections::BTreeMap;
use std::net::IpAddr;

use bytes::Bytes;

use super::ballot::Hello;
use super::strangers::Strangers;
use super::{ConnId, Output, bent};
use crate::ensemble::{Member, Membership};
use crate::wire::ids::ServerId;

pub(super) struct Mesh {
    me: ServerId,
    hello: Bytes,
    peers: BTreeMap<ServerId, Peer>,
    by_conn: BTreeMap<ConnId, ServerId>,
    dial_timeout_ms: u64,
    /// Keep every voter connected (during an election), not only those somebody talks to.
    eager: bool,
    strangers: Strangers,
}

#[derive(Default)]
struct Peer {
    member: bool,
    voter: bool,
    /// Where the config says it is, the one to dial next first. Empty for strangers: they are never dialled.
    addresses: Vec<(String, u16)>,
    /// Where it says it is now, if that can be believed: tried once, before the others.
    moved: Option<(String, u16)>,
    /// The connection in use.
    conn: Option<ConnId>,
    /// The dial in progress and when it is given up.
    dial: Option<(ConnId, u64)>,
    /// There is something to say once connected.
    wanted: bool,
    redial_at_ms: u64,
    redial_pause_ms: u64,
}

impl Peer {
    /// An address in `hello` that is not the config's and may be dialled all the same. An IP address that is still in there
    /// is the one that the connection came from ([`Input::ElectionHello`](super::events::Input)).
    fn moved_to(&self, hello: &Hello) -> Option<(String, u16)> {
        if bent::dials_where_told() {
            return hello.addresses.first().cloned();
        }
        if self.addresses.is_empty() || self.addresses.iter().any(|listed| hello.addresses.contains(listed)) {
            return None;
        }
        let is_its_own = |host: &str| host.parse::<IpAddr>().is_ok();
        let of_its_host = |host: &str| self.addresses.iter().any(|(listed, _)| listed == host);
        hello.addresses.iter().find(|(host, _)| is_its_own(host) || of_its_host(host)).cloned()
    }
}

impl Mesh {
    pub(super) fn new(me: ServerId, membership: &Membership, dial_timeout_ms: u64) -> Mesh {
        let addresses = |m: &Member| -> Vec<(String, u16)> {
            m.addresses.iter().map(|address| (address.host.clone(), address.election_port)).collect()
        };
        let mine = membership.get(me).map(addresses).unwrap_or_default();
        let hello = Hello { sid: me, addresses: mine }.encode();
        let peer = |m: &Member| Peer {
            member: true,
            voter: membership.is_voter(m.id),
            addresses: addresses(m),
            ..Peer::default()
        };
        let peers = membership.members().filter(|m| m.id != me).map(|m| (m.id, peer(m))).collect();
        let strangers = Strangers::default();
        Mesh { me, hello, peers, by_conn: BTreeMap::new(), dial_timeout_ms, eager: false, strangers }
    }

    pub(super) fn is_connected(&self, peer: ServerId) -> bool {
        self.peers.get(&peer).is_some_and(|p| p.conn.is_some())
    }

    /// The peer behind an election connection.
    pub(super) fn peer_of(&self, conn: ConnId) -> Option<ServerId> {
        self.by_conn.get(&conn).copied().filter(|sid| self.peers[sid].conn == Some(conn))
    }

    pub(super) fn set_eager(&mut self, eager: bool) {
        self.eager = eager;
    }

    /// Sends a notification, or arranges for a connection; see the module's head.
    pub(super) fn send(&mut self, to: ServerId, bytes: Bytes, out: &mut Vec<Output>) {
        let Some(peer) = self.peers.get_mut(&to) else {
            return;
        };
        match peer.conn {
            Some(conn) => out.push(Output::SendElection { conn, bytes }),
            None => peer.wanted = true,
        }
    }

    /// A dialled connection is up. Returns the peer when the connection is to be used.
    pub(super) fn up(&mut self, conn: ConnId, now_ms: u64, out: &mut Vec<Output>) -> Option<ServerId> {
        let Some(sid) = self.by_conn.get(&conn).copied() else {
            out.push(Output::Close { conn });
            return None;
        };
        let peer = self.peers.get_mut(&sid).expect("by_conn names known peers");
        if peer.dial.is_none_or(|(dialled, _)| dialled != conn) {
            return None;
        }
        peer.dial = None;
        out.push(Output::SendElection { conn, bytes: self.hello.clone() });
        if sid > self.me {
            // The higher id keeps the connections: it has our address now and dials back.
            peer.redial_at_ms = now_ms + DIAL_BACK_MS;
            self.by_conn.remove(&conn);
            out.push(Output::Close { conn });
            return None;
        }
        self.adopt(sid, conn, out);
        Some(sid)
    }

    /// An accepted connection says who it is. Returns the peer when the connection is to be used.
    pub(super) fn hello(
        &mut self,
        conn: ConnId,
        hello: &Hello,
        now_ms: u64,
        out: &mut Vec<Output>,
    ) -> Option<ServerId> {
        let sid = hello.sid;
        if let Some(why) = self.refusal(sid) {
            let what = format!("a caller at the election port calls itself {sid:?}: {why}");
            self.strangers.turned_away(now_ms, &what, out);
            out.push(Output::Close { conn });
            return None;
        }
        let peer = self.peers.entry(sid).or_default();
        if sid > self.me {
            self.adopt(sid, conn, out);
            return Some(sid);
        }
        // TRAP Q4: the reference dials back to any address inside HELLO; here it must be one that the config has for
        // this member, or (a member that was given another place, while our own new list is still to come) another port
        // of such a host, or the very address that it calls from. TRAP Q6: the old connection goes first.
        out.push(Output::Close { conn });
        peer.moved = peer.moved_to(hello);
        if let Some(at) = peer.addresses.iter().position(|address| hello.addresses.contains(address)) {
            peer.addresses.swap(0, at);
        }
        peer.wanted = true;
        peer.redial_at_ms = now_ms;
        if let Some(old) = peer.conn.take() {
            self.by_conn.remove(&old);
            out.push(Output::Close { conn: old });
        }
        None
    }

    /// A connection is gone. Says whether it was one of ours.
    pub(super) fn down(&mut self, conn: ConnId, now_ms: u64) -> bool {
        let Some(sid) = self.by_conn.remove(&conn) else {
            return false;
        };
        let peer = self.peers.get_mut(&sid).expect("by_conn names known peers");
        if peer.conn == Some(conn) {
            peer.conn = None;
            peer.redial_at_ms = peer.redial_at_ms.max(now_ms + REDIAL_MS_MIN);
        }
        if peer.dial.is_some_and(|(dialled, _)| dialled == conn) {
            peer.dial = None;
            peer.redial_pause_ms = (peer.redial_pause_ms * 2).clamp(REDIAL_MS_MIN, REDIAL_MS_MAX);
            peer.redial_at_ms = now_ms + peer.redial_pause_ms;
            // Outside an election one try is enough: who needs an answer asks again.
            peer.wanted &= self.eager;
        }
        self.forget_idle_stranger(sid);
        true
    }

    /// Dials who is wanted and not connected, and gives up dials that take too long.
    pub(super) fn timers(&mut self, now_ms: u64, next_conn: &mut u64, out: &mut Vec<Output>) {
        let expired: Vec<ConnId> = self
            .peers
            .values()
            .filter_map(|p| p.dial)
            .filter(|(_, give_up_ms)| *give_up_ms <= now_ms)
            .map(|(conn, _)| conn)
            .collect();
        for conn in expired {
            out.push(Output::Close { conn });
            self.down(conn, now_ms);
        }
        let eager = self.eager;
        for (sid, peer) in &mut self.peers {
            if !peer.wants_dial(eager) || peer.redial_at_ms > now_ms {
                continue;
            }
            let Some((host, port)) = peer.moved.take().or_else(|| peer.addresses.first().cloned()) else {
                peer.wanted = false;
                continue;
            };
            let conn = ConnId(*next_conn);
            *next_conn += 2;
            peer.dial = Some((conn, now_ms + self.dial_timeout_ms));
            self.by_conn.insert(conn, *sid);
            out.push(Output::DialElection { conn, to: *sid, host, port });
        }
    }

    pub(super) fn deadline_ms(&self) -> u64 {
        let due = |p: &Peer| match p.dial {
            Some((_, give_up_ms)) => give_up_ms,
            None if p.wants_dial(self.eager) => p.redial_at_ms,
            None => u64::MAX,
        };
        self.peers.values().map(due).min().unwrap_or(u64::MAX)
    }

    /// Makes `conn` the connection to `sid`, in place of an older one.
    fn adopt(&mut self, sid: ServerId, conn: ConnId, out: &mut Vec<Output>) {
        let peer = self.peers.entry(sid).or_default();
        peer.wanted = false;
        peer.redial_at_ms = 0;
        peer.redial_pause_ms = 0;
        let dialled = peer.dial.take().map(|(conn, _)| conn);
        for old in peer.conn.replace(conn).into_iter().chain(dialled) {
            self.by_conn.remove(&old);
            out.push(Output::Close { conn: old });
        }
        self.by_conn.insert(conn, sid);
    }

    /// Why a caller is turned away.
    fn refusal(&self, sid: ServerId) -> Option<&'static str> {
        if self.peers.get(&sid).is_some_and(|peer| peer.member) {
            return None;
        }
        let strangers = self.peers.values().filter(|peer| !peer.member).count();
        match () {
            () if sid == self.me => Some("that is this server's id, two servers have the same myid"),
            // The reference's nameless observer, which never worked (§1.1).
            () if sid.0 == i64::MAX => Some("no server can have this id"),
            () if sid < self.me => Some("no server line lists it, and only members are dialled back"),
            () if !self.peers.contains_key(&sid)
                && strangers >= STRANGERS_MAX
                && !bent::keeps_all_strangers() =>
            {
                Some("too many that no server line lists are connected")
            }
            () => None,
        }
    }

    fn forget_idle_stranger(&mut self, sid: ServerId) {
        if self.peers.get(&sid).is_some_and(|p| !p.member && p.conn.is_none() && p.dial.is_none()) {
            self.peers.remove(&sid);
        }
    }
}

impl Peer {
    fn wants_dial(&self, eager: bool) -> bool {
        self.conn.is_none() && self.dial.is_none() && (self.wanted || (eager && self.voter))
    }
}

/// Servers outside the config that may hold an election connection: joiners are few (TRAP Q11),
/// and each costs a socket. They are answered over the connection that they opened (§1.4 rule 3).
const STRANGERS_MAX: usize = 16;
/// Pause after a failed dial, doubled up to the maximum: short enough for a restart on the same
/// host, long enough not to flood a dead one.
const REDIAL_MS_MIN: u64 = 50;
const REDIAL_MS_MAX: u64 = 1000;
/// How long a higher peer may take to dial back before it is called again.
const DIAL_BACK_MS: u64 = 2000;
