//! One simulated server: the real replica and the real store over a disk in memory, and the driver's duties
//! around them (batches, group commits, snapshots between batches), in simulated time. It decides nothing.
//!
//! | file | what it is about |
//! |---|---|
//! | `start` | what recovery finds becomes a replica |
//! | `disk` | group commits and snapshots |
//! | `wire` | what peers and clients send and get |

mod disk;
mod start;
mod wire;

pub(crate) use start::is_data;

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;

use bytes::Bytes;
use zkops::server::replica::{ClientId, Input, Now, Output, Replica};
use zkops::server::store::mem::MemDisk;
use zkops::server::store::{Dirs, SnapshotFile, Store};
use zkops::server::tree::snapshot;
use zkops::server::zab::wire::Kind;
use zkops::server::zab::{self, ConnId, PersistId, PersistOp, Role};
use zkops::wire::ids::{Epoch, ServerId, SessionId, Zxid};
use zkops::wire::jute::Reader;

use crate::greedy::Held;
use crate::net::{Item, LinkId};
use crate::queue::Event;
use crate::scenario::{Knobs, SECOND};
use crate::world::World;

/// A machine with its clock and disk, and the server process on it, if it runs.
pub(crate) struct Node {
    pub(crate) sid: ServerId,
    pub(crate) disk: MemDisk,
    pub(crate) clock: Clock,
    pub(crate) powered: bool,
    /// Grows with every start: what was meant for an older process does not reach this one.
    pub(crate) life: u64,
    pub(crate) process: Option<Process>,
    /// The process is stopped until then, and goes on as if nothing had been.
    pub(crate) paused_until: u64,
    pub(crate) slow_disk: (u64, u64),
    /// Until then its processor is at what greedy clients asked for.
    pub(crate) busy_until: u64,
    /// The disk was told to fail: a process that ends over it is no surprise.
    pub(crate) disk_fails: bool,
    /// Bits of its files have flipped.
    pub(crate) rotten: bool,
    /// Its last start was refused: peers cannot heal what is damaged.
    pub(crate) refuses: bool,
}

pub(crate) struct Clock {
    pub(crate) drift_ppm: i64,
    pub(crate) wall_offset_ms: i64,
}

impl Clock {
    pub(crate) fn now(&self, now_us: u64) -> Now {
        let ms = self.ms(now_us);
        Now { ms, wall_ms: 1_700_000_000_000 + ms as i64 + self.wall_offset_ms }
    }

    pub(crate) fn ms(&self, now_us: u64) -> u64 {
        let us = now_us as i64 + now_us as i64 / 1_000_000 * self.drift_ppm;
        us as u64 / 1000
    }

    /// A simulated time at which this clock shows at least `ms`.
    fn at(&self, ms: u64) -> u64 {
        // Never is a year away.
        let ms = ms.min(1 << 35);
        let us = (ms * 1000) as i64;
        // The inverse, first roughly, then to the millisecond.
        let mut at = us - us / (1_000_000 + self.drift_ppm) * self.drift_ppm - 1_000;
        while self.ms(at.max(0) as u64) < ms {
            at += 500;
        }
        at.max(0) as u64
    }
}

pub(crate) struct Process {
    pub(crate) replica: Replica,
    store: Store<MemDisk>,
    inbox: VecDeque<Inbound>,
    run_at: u64,
    outputs: Vec<Output>,
    pub(crate) conns: BTreeMap<ConnId, (LinkId, usize)>,
    pub(crate) clients: BTreeMap<ClientId, Served>,
    next_accepted: u64,
    next_client: u64,
    listening: bool,
    log: VecDeque<ToLog>,
    log_busy: bool,
    snapshotting: Option<Snapshotting>,
    /// Whole snapshots still with their threads, and the last zxid and the digest that they end with.
    finishing: VecDeque<(Box<SnapshotFile<MemDisk>>, Zxid, u64)>,
    /// How many connections had come and were there when they were last compared with what the replica knows.
    pub(crate) compared: [u64; 4],
    /// Signs of life in the batch at hand. They count unless the server closed the connection before them.
    heard: Vec<(ClientId, SessionId, u64)>,
}

/// A client's connection at its server.
pub(crate) struct Served {
    pub(crate) link: LinkId,
    /// The answer to its ConnectRequest is out: from now on each frame counts as a sign of life.
    open: bool,
}

/// What waits for the state thread.
enum Inbound {
    Input(Input),
    SnapshotDue,
    SnapshotBegun { zxid: Zxid, file: Box<SnapshotFile<MemDisk>> },
}

enum ToLog {
    Persist(Vec<(PersistId, PersistOp)>),
    BeginSnapshot(Zxid),
}

struct Snapshotting {
    writer: snapshot::Writer,
    generation: u64,
    file: Option<Box<SnapshotFile<MemDisk>>>,
}

impl Process {
    /// Whether a connection has come or gone since this was asked last.
    pub(crate) fn has_other_connections(&mut self) -> bool {
        let there = [self.conns.len() as u64, self.clients.len() as u64];
        let now = [there[0], there[1], self.next_accepted, self.next_client];
        std::mem::replace(&mut self.compared, now) != now
    }
}

impl Node {
    pub(crate) fn new(index: usize, seed: u64, drift_ppm: i64) -> Node {
        Node {
            sid: ServerId(index as i64 + 1),
            disk: MemDisk::new(seed),
            clock: Clock { drift_ppm, wall_offset_ms: 0 },
            powered: true,
            life: 0,
            process: None,
            paused_until: 0,
            slow_disk: (0, 0),
            busy_until: 0,
            disk_fails: false,
            rotten: false,
            refuses: false,
        }
    }

    /// A sync of it was begun and did not come to its end.
    pub(crate) fn is_unsynced(&self) -> bool {
        self.disk.files().iter().any(|path| path.ends_with("zkops.unsynced"))
    }

    pub(crate) fn is_serving(&self) -> bool {
        self.process.as_ref().is_some_and(|process| process.replica.serving())
    }

    pub(crate) fn role(&self) -> Option<Role> {
        Some(*self.process.as_ref()?.replica.zab()?.role())
    }
}

pub(crate) fn dirs(knobs: &Knobs) -> Dirs {
    let log = if knobs.dirs_apart { "/log" } else { "/data" };
    Dirs { data: PathBuf::from("/data"), log: PathBuf::from(log) }
}

impl World {
    /// Plans the server's next turn, now that something waits for it.
    fn wake(&mut self, i: usize) {
        let delay = self.rng.u64(0..=self.knobs.cpu_us);
        self.turn_at(i, self.now + delay);
    }

    fn turn_at(&mut self, i: usize, at: u64) {
        let node = &mut self.nodes[i];
        let at = at.max(node.paused_until).max(node.busy_until);
        let Some(process) = &mut node.process else { return };
        if at < process.run_at {
            process.run_at = at;
            self.queue.push(at, Event::Run { node: i, life: node.life });
        }
    }

    fn put_in(&mut self, i: usize, inbound: Inbound) {
        if let Some(process) = &mut self.nodes[i].process {
            process.inbox.push_back(inbound);
            self.wake(i);
        }
    }

    /// One turn of the state thread: everything that has arrived is one batch.
    pub(crate) fn run_node(&mut self, i: usize, life: u64) {
        let now_us = self.now;
        let node = &mut self.nodes[i];
        let Some(process) =
            node.process.as_mut().filter(|process| node.life == life && process.run_at <= now_us)
        else {
            return;
        };
        if node.paused_until > now_us {
            process.run_at = u64::MAX;
            let until = node.paused_until;
            return self.turn_at(i, until);
        }
        process.run_at = u64::MAX;
        while let Some(inbound) = self.nodes[i].process.as_mut().and_then(|process| process.inbox.pop_front())
        {
            match inbound {
                Inbound::Input(input) => self.step(i, input),
                Inbound::SnapshotDue => self.start_snapshot(i),
                Inbound::SnapshotBegun { zxid, file } => self.snapshot_begun(i, zxid, file),
            }
        }
        let node = &self.nodes[i];
        let now_ms = node.clock.ms(now_us);
        if node.process.as_ref().is_some_and(|process| process.replica.deadline_ms() <= now_ms) {
            self.step(i, Input::Tick);
        }
        self.finish_batch(i);
        let node = &self.nodes[i];
        if let Some(process) = &node.process {
            let at = node.clock.at(process.replica.deadline_ms());
            self.turn_at(i, at.max(now_us + 1));
            self.nothing_is_left(i);
        }
    }

    fn step(&mut self, i: usize, input: Input) {
        let node = &mut self.nodes[i];
        let Some(process) = &mut node.process else { return };
        let now = node.clock.now(self.now);
        let mut touches = None;
        let mut snapshot_from = None;
        match &input {
            Input::ClientFrame { client, .. } => {
                if let Some(served) = process.clients.get(client).filter(|served| served.open) {
                    process.heard.push((*client, self.sessions[served.link], now.ms));
                }
            }
            Input::Peer(zab::Input::Packet { conn, packet }) if packet.kind == Kind::PING => {
                touches = Some((*conn, touched(packet.data.as_ref())));
            }
            Input::Peer(zab::Input::SnapshotReceived { conn, .. }) => snapshot_from = Some(*conn),
            Input::Reloaded { tree, .. } => self.checks.reloads(i, tree.last_zxid()),
            _ => {}
        }
        let known = process.outputs.len();
        process.replica.step(now, input, &mut process.outputs);
        // A learner that was given up before its answer was read has said nothing.
        if let Some((conn, sessions)) = touches
            && process.replica.zab().is_some_and(|zab| zab.learners().any(|learner| learner.conn == conn))
        {
            let heard = &mut self.checks.nodes[i].heard_ms;
            heard.extend(sessions.into_iter().map(|session| (session, now.ms)));
        }
        for output in &process.outputs[known..] {
            if let Output::Persist { op, .. } = output {
                self.checks.persists(i, op, now.ms);
            }
        }
        if let Some(conn) = snapshot_from {
            let installs = process.outputs[known..].iter().any(|output| {
                matches!(output, Output::Persist { op: PersistOp::InstallSnapshot { .. }, .. })
            });
            self.takes_foreign(i, conn, installs);
        }
        let node = &mut self.nodes[i];
        let Some(process) = &mut node.process else { return };
        let role = process.replica.zab().map(|zab| *zab.role());
        let before = self.checks.nodes[i].role;
        if self.checks.nodes[i].role != role {
            let (epoch, last) = (process.replica.epoch(), process.replica.last_zxid());
            self.trace.say(self.now, || format!("n{} is {role:?} in {epoch} at {last}", i + 1));
        }
        let is_candidate =
            role == Some(Role::Leading { serving: false }) && role != self.checks.nodes[i].role;
        self.checks.stepped(i, node.sid, &process.replica, now.ms);
        // Whatever was damaged is of no more use, or was of none.
        if node.rotten && process.replica.serving() {
            node.rotten = false;
            node.disk.clear_read_faults();
        }
        if before != role {
            self.role_under_siege(i, before, role);
            self.role_among_foreigners(i, role);
        }
        if is_candidate {
            self.spring_ambush(i);
        }
    }

    fn finish_batch(&mut self, i: usize) {
        let Some(process) = &mut self.nodes[i].process else { return };
        let mut ops = Vec::new();
        for output in std::mem::take(&mut process.outputs) {
            match output {
                Output::Persist { id, op } => ops.push((id, op)),
                Output::Peer(output) => self.peer_output(i, output),
                Output::PeerSnapshot { conn, body } => self.send_snapshot(i, conn, body),
                Output::Note(line) => self.trace.say(self.now, || format!("n{} notes: {line}", i + 1)),
                Output::Halt { reason } => {
                    // Damaged data and no quorum of others: it is started again by who looks after it.
                    let wounded =
                        self.nodes[i].process.as_ref().is_some_and(|process| process.replica.is_wounded());
                    // A crash amid a sync may leave a log that cannot be cut where it must be: found out, and
                    // marked, so that the next start is no voter.
                    let shrank = reason.contains("acknowledged transactions are missing here");
                    if !wounded && !shrank {
                        self.checks.fail("halt", format!("n{} halts: {reason}", i + 1));
                    }
                    return self.end_process(i, false);
                }
            }
        }
        if !ops.is_empty()
            && let Some(process) = &mut self.nodes[i].process
        {
            process.log.push_back(ToLog::Persist(ops));
            self.wake_disk(i);
        }
        self.answer_clients(i);
        self.count_signs_of_life(i);
        self.strangers_are_bounded(i);
    }

    fn answer_clients(&mut self, i: usize) {
        let Some(process) = &mut self.nodes[i].process else { return };
        let mut owed = Vec::new();
        process.replica.drain_clients(|client, bytes, closing| owed.push((client, bytes, closing)));
        let mut full = Vec::new();
        for (client, bytes, closing) in owed {
            let Some(process) = &mut self.nodes[i].process else { return };
            let Some(served) = process.clients.get_mut(&client) else { continue };
            let link = served.link;
            let mut r = Reader::new(bytes.clone());
            while let Ok(Some(frame)) = r.buffer() {
                if std::mem::replace(&mut served.open, true) && frame.len() >= 16 {
                    let zxid = i64::from_be_bytes(frame[4..12].try_into().expect("eight bytes"));
                    self.checks.emits(i, Zxid(zxid));
                }
            }
            if let Some(held) = self.greedy.get_mut(&link) {
                let busy_us = held.cost_us(&bytes);
                let busy_until = &mut self.nodes[i].busy_until;
                *busy_until = self.now.max(*busy_until) + busy_us;
                if let Some(what) = held.take(&bytes) {
                    self.checks.fail("greedy: bounded", format!("n{} has {:?}: {what}", i + 1, held.greed));
                }
                full.extend(held.is_full().then_some(client));
            }
            if let Some(process) = self.nodes[i].process.as_mut().filter(|_| closing) {
                process.clients.remove(&client);
            }
            if !bytes.is_empty() {
                self.send(link, 1, Item::Bytes(bytes));
            }
            if closing {
                self.close(link, 1);
            }
        }
        self.pace_clients(i, &full);
    }

    /// As the driver does: whoever does not read is not answered further, and whoever waits gets its turn.
    fn pace_clients(&mut self, i: usize, full: &[ClientId]) {
        for client in full {
            self.step(i, Input::ClientFull { client: *client });
        }
        let Some(process) = &mut self.nodes[i].process else { return };
        let (clients, greedy) = (&process.clients, &self.greedy);
        let is_full = |client: &ClientId| {
            let held = clients.get(client).and_then(|served| greedy.get(&served.link));
            held.is_some_and(Held::is_full)
        };
        let mut roomy = Vec::new();
        process.replica.drain_held_back(|client, is_held_back| {
            roomy.extend((is_held_back && !is_full(&client)).then_some(client));
        });
        for client in roomy {
            self.client_input_of(i, Input::ClientRoom { client });
        }
    }

    fn count_signs_of_life(&mut self, i: usize) {
        let Some(process) = &mut self.nodes[i].process else { return };
        for (client, session, now_ms) in std::mem::take(&mut process.heard) {
            if process.clients.contains_key(&client) {
                self.checks.nodes[i].heard_ms.insert(session, now_ms);
            }
        }
    }

    /// The process ends; its kernel tells everybody, unless the whole machine is gone.
    pub(crate) fn end_process(&mut self, i: usize, silently: bool) {
        let Some(process) = self.nodes[i].process.take() else { return };
        let peers = process.conns.values().copied();
        let clients = process.clients.values().map(|served| (served.link, 1));
        if !silently {
            peers
                .chain(clients)
                .collect::<Vec<_>>()
                .into_iter()
                .for_each(|(link, side)| self.close(link, side));
            self.nodes[i].disk.end_process();
        }
    }

    pub(crate) fn power_off(&mut self, i: usize) {
        self.end_process(i, true);
        let node = &mut self.nodes[i];
        node.powered = false;
        node.paused_until = 0;
        node.disk.restart();
    }

    /// Everybody serves, under one leader, and nobody is behind.
    pub(crate) fn is_whole(&self) -> bool {
        let modes: Vec<_> =
            self.nodes.iter().map(|node| node.process.as_ref().and_then(|p| p.replica.mode())).collect();
        let leaders =
            modes.iter().filter(|mode| **mode == Some(zkops::server::replica::ModeWord::Leader)).count();
        modes.iter().all(Option::is_some) && leaders == 1
    }

    pub(crate) fn leader(&self) -> Option<usize> {
        let leads = |node: &Node| matches!(node.role(), Some(Role::Leading { .. }));
        let mut leaders = (0..self.nodes.len()).filter(|i| leads(&self.nodes[*i]));
        // The one with the newest epoch, should an older one not know yet.
        let epoch = |i: &usize| self.nodes[*i].process.as_ref().map_or(Epoch(0), |p| p.replica.epoch());
        leaders.by_ref().max_by_key(epoch)
    }

    /// How long a healed ensemble may take to be whole again: a vote may rest its longest pause, then a role
    /// needs its initLimit.
    pub(crate) fn healing_us(&self) -> u64 {
        30 * SECOND + 3 * u64::from(self.knobs.init_limit) * self.knobs.tick_ms * 1000
    }
}

/// The sessions of an answer to PING: 12 bytes each (quorum-protocol §2.8).
fn touched(data: Option<&Bytes>) -> Vec<SessionId> {
    let data = data.map_or(&[][..], |data| &data[..]);
    let session = |entry: &[u8]| i64::from_be_bytes(entry[..8].try_into().expect("eight bytes"));
    data.chunks_exact(12).map(|entry| SessionId(session(entry))).collect()
}
