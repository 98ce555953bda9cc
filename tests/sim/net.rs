//! The network: connections that keep their order, with delays, cuts in one or both directions, resets, and
//! machines that vanish without a word. Nothing is lost inside a living connection: TCP sends again; what is cut
//! off is held until the path is open, unless the connection ends first.

use std::collections::{BTreeSet, VecDeque};
use std::rc::Rc;

use bytes::{Bytes, BytesMut};
use fastrand::Rng;

use crate::check::log::History;

/// A machine of the simulation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Host {
    Node(usize),
    Client(usize),
    /// Somebody who is no member.
    Stranger,
    /// A client without a machine of its own, at a client port.
    Greedy,
}

/// Which port a connection goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Port {
    Election,
    Quorum,
    Client,
}

pub(crate) type LinkId = usize;

/// What travels on a connection.
#[derive(Clone)]
pub(crate) enum Item {
    Bytes(Bytes),
    /// The stream behind SNAP, and the history it stands for.
    Snapshot(Bytes, Rc<History>),
    /// The other end is closed, in order or by a reset.
    Fin,
}

/// One end of a connection.
pub(crate) struct End {
    pub(crate) host: Host,
    /// Which life of the host's process it belongs to.
    pub(crate) life: u64,
    /// The number that the process knows it by.
    pub(crate) conn: u64,
    pub(crate) open: bool,
    /// On its way to this end, with the time of arrival.
    pub(crate) queue: VecDeque<(u64, Item)>,
    pub(crate) buffer: BytesMut,
    /// The peer's HELLO is still to come.
    pub(crate) hello: bool,
    /// A snapshot stream comes next.
    pub(crate) snapshot: bool,
    last_arrival: u64,
}

pub(crate) struct Link {
    pub(crate) port: Port,
    pub(crate) ends: [End; 2],
}

/// All connections, and what stands in their way.
pub(crate) struct Net {
    pub(crate) links: Vec<Link>,
    cuts: BTreeSet<(Host, Host)>,
    latency_us: (u64, u64),
    /// Extra delay of a host's messages, and until when.
    slow: Vec<(Host, u64, u64)>,
    pub(crate) rng: Rng,
}

impl End {
    pub(crate) fn new(host: Host, life: u64, conn: u64) -> End {
        End {
            host,
            life,
            conn,
            open: true,
            queue: VecDeque::new(),
            buffer: BytesMut::new(),
            hello: false,
            snapshot: false,
            last_arrival: 0,
        }
    }
}

impl Net {
    pub(crate) fn new(latency_us: (u64, u64), rng: Rng) -> Net {
        Net { links: Vec::new(), cuts: BTreeSet::new(), latency_us, slow: Vec::new(), rng }
    }

    pub(crate) fn add(&mut self, port: Port, a: End, b: End) -> LinkId {
        self.links.push(Link { port, ends: [a, b] });
        self.links.len() - 1
    }

    pub(crate) fn delay(&mut self, now: u64, from: Host, to: Host) -> u64 {
        let (least, beyond) = self.latency_us;
        let extra =
            self.slow.iter().filter(|(host, _, until)| (*host == from || *host == to) && *until > now);
        let extra: u64 = extra.map(|(_, us, _)| *us).sum();
        // Most messages are quick, a few are late.
        let beyond =
            if self.rng.u8(0..4) == 0 { self.rng.u64(0..=beyond) } else { self.rng.u64(0..=beyond / 16) };
        least + beyond + extra
    }

    /// Queues an item towards the other side; the time of its arrival, if an event is wanted for it.
    pub(crate) fn send(&mut self, now: u64, link: LinkId, from_side: usize, item: Item) -> Option<u64> {
        let (from, to) = (self.links[link].ends[from_side].host, self.links[link].ends[1 - from_side].host);
        let delay = self.delay(now, from, to);
        let end = &mut self.links[link].ends[1 - from_side];
        if !end.open {
            return None;
        }
        let at = (now + delay).max(end.last_arrival);
        end.last_arrival = at;
        end.queue.push_back((at, item));
        (!self.is_cut(from, to)).then_some(at)
    }

    pub(crate) fn is_cut(&self, from: Host, to: Host) -> bool {
        self.cuts.contains(&(from, to))
    }

    pub(crate) fn cut(&mut self, from: Host, to: Host) {
        self.cuts.insert((from, to));
    }

    /// Opens every path; the ends that have something waiting.
    pub(crate) fn join(&mut self, now: u64) -> Vec<(LinkId, usize, u64)> {
        self.cuts.clear();
        let mut due = Vec::new();
        for link in 0..self.links.len() {
            for side in 0..2 {
                let end = &self.links[link].ends[side];
                if !end.open || end.queue.is_empty() {
                    continue;
                }
                let (from, to) = (self.links[link].ends[1 - side].host, end.host);
                let at = now + self.delay(now, from, to);
                let end = &mut self.links[link].ends[side];
                end.queue.iter_mut().for_each(|(arrives, _)| *arrives = (*arrives).max(at));
                end.last_arrival = end.last_arrival.max(at);
                due.push((link, side, at));
            }
        }
        due
    }

    pub(crate) fn slow_down(&mut self, host: Host, extra_us: u64, until: u64) {
        self.slow.push((host, extra_us, until));
    }

    pub(crate) fn calm(&mut self, latency_us: (u64, u64)) {
        self.slow.clear();
        self.latency_us = latency_us;
    }
}
