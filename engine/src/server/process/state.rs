//! The state thread: the loop around the replica. It gathers what has arrived, steps the replica through it
//! as one batch, and carries out what comes of it. It takes no protocol decision.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use tokio::sync::{mpsc, watch};

use super::ask::Ask;
use super::batch::Written;
use super::clients::{FromClient, OWED_LEN_PAUSE};
use super::log::{self, FromLog, LogThread, Piece, SnapshotJob, ToLog};
use super::peers::Peers;
use super::stream::machine::closed::Closed;
use super::stream::outlet::{Held, Outlet};
use crate::server::replica::{ClientId, Input, Now, Output, Replica};
use crate::server::store::{Dirs, RealDisk, SnapshotFile};
use crate::server::tree::snapshot;
use crate::server::zab;
use crate::wire::ids::Zxid;

/// All that the state thread is given.
pub(super) struct State {
    pub(super) parts: Parts,
    pub(super) from_clients: mpsc::Receiver<FromClient>,
    pub(super) from_peers: mpsc::Receiver<Vec<zab::Input>>,
    pub(super) from_log: mpsc::Receiver<FromLog>,
    pub(super) asks: mpsc::Receiver<Ask>,
    pub(super) stop: watch::Receiver<bool>,
}

/// What the loop works with.
pub(super) struct Parts {
    pub(super) replica: Replica,
    pub(super) clock: Clock,
    pub(super) peers: Option<Peers>,
    pub(super) log: LogThread,
    pub(super) dirs: Dirs,
    pub(super) log_events: mpsc::Sender<FromLog>,
    /// What waits to be read by clients.
    pub(super) owed: Held,
    /// How often old snapshots are removed, in ms, and how many stay.
    pub(super) purge: Option<(u64, usize)>,
}

/// Where the replica's time comes from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    origin: Instant,
}

impl Clock {
    pub(super) fn start() -> Clock {
        Clock { origin: Instant::now() }
    }

    pub(super) fn now(self) -> Now {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Now { ms: self.origin.elapsed().as_millis() as u64, wall_ms: wall.as_millis() as i64 }
    }

    fn at(self, ms: u64) -> tokio::time::Instant {
        // A deadline that never comes is a day away: waking once a day costs nothing.
        let ms = ms.min(self.now().ms + 86_400_000);
        (self.origin + Duration::from_millis(ms)).into()
    }
}

/// A snapshot on its way to disk, chunk by chunk between batches.
struct Snapshotting {
    writer: snapshot::Writer,
    /// `None` until the log thread has made the file.
    job: Option<SnapshotJob>,
    /// The tree that the writer walks; another tree has no place for it.
    generation: u64,
    /// A piece the snapshot thread had no room for. The end may be one: it tells of the tree as the last chunk left it.
    held: Option<Piece>,
}

/// What the loop itself keeps.
struct Loop {
    state: Parts,
    outlets: HashMap<ClientId, Outlet, FixedState>,
    /// Clients for whom too much waits to be read; told to the replica at the end of the batch.
    full: Vec<ClientId>,
    /// Clients whose requests have waited for room, and that have it now.
    roomy: Vec<ClientId>,
    /// What the batch at hand has come to, not yet carried out.
    outputs: Vec<Output>,
    undurable: usize,
    snapshotting: Option<Snapshotting>,
    /// Batches since the last snapshot chunk.
    busy_batches: u32,
    /// When old snapshots are removed next: at the start, then at every interval.
    purge_at: Option<tokio::time::Instant>,
    /// When a snapshot that could not be written is tried again.
    snapshot_again_at: Option<tokio::time::Instant>,
    halt: Option<Stopped>,
}

/// Why the loop ended, if not because it was asked to.
#[derive(Debug)]
pub struct Stopped {
    pub reason: String,
    /// The replica's damaged data had not been made good.
    pub wounded: bool,
}

impl From<String> for Stopped {
    fn from(reason: String) -> Stopped {
        Stopped { reason, wounded: false }
    }
}

/// What has arrived and makes up the next batch.
#[derive(Default)]
struct Arrived {
    log: Vec<FromLog>,
    peers: Vec<Vec<zab::Input>>,
    clients: Vec<FromClient>,
    asks: Vec<Ask>,
}

/// Runs until told to stop, or until going on would be wrong.
///
/// # Errors
/// The reason to end that is not a request to stop.
pub(super) async fn run(state: State) -> Result<(), Stopped> {
    let State { parts, mut from_clients, mut from_peers, mut from_log, mut asks, mut stop } = state;
    let mut this = Loop {
        state: parts,
        outlets: HashMap::default(),
        full: Vec::new(),
        roomy: Vec::new(),
        outputs: Vec::new(),
        undurable: 0,
        snapshotting: None,
        busy_batches: 0,
        purge_at: None,
        snapshot_again_at: None,
        halt: None,
    };
    this.purge_at = this.state.purge.map(|_| tokio::time::Instant::now());
    let now = this.state.clock.now();
    this.step(now, Input::Tick);
    let mut arrived = Arrived::default();
    loop {
        this.finish_batch();
        if let Some(reason) = this.halt.take() {
            return Err(reason);
        }
        let deadline = this.deadline();
        let clients_may = this.clients_may();
        let peers_may = this.undurable < UNDURABLE_OF_PEERS_MAX;
        let snapshot_turn = this.snapshot_turn();
        let may_resume = clients_may && !this.roomy.is_empty();
        let snapshotting = this.snapshotting.as_ref().is_some_and(|current| current.job.is_some());
        tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => break,
            1.. = from_log.recv_many(&mut arrived.log, BATCH_MAX) => {}
            1.. = from_peers.recv_many(&mut arrived.peers, BATCH_MAX), if peers_may => {}
            1.. = from_clients.recv_many(&mut arrived.clients, BATCH_MAX), if clients_may => {}
            1.. = asks.recv_many(&mut arrived.asks, ASKS_MAX) => {}
            () = std::future::ready(()), if may_resume => {}
            () = tokio::time::sleep_until(deadline) => {}
            () = snapshot_turn, if snapshotting => this.write_chunk(),
        }
        // What came at the same time shares the fsync and the writes.
        drain(&mut arrived.log, BATCH_MAX, || from_log.try_recv().ok());
        if peers_may {
            drain(&mut arrived.peers, BATCH_MAX, || from_peers.try_recv().ok());
        }
        if clients_may {
            drain(&mut arrived.clients, BATCH_MAX, || from_clients.try_recv().ok());
        }
        drain(&mut arrived.asks, ASKS_MAX, || asks.try_recv().ok());
        if may_resume {
            this.resume_clients();
        }
        this.take(&mut arrived, deadline);
    }
    drop(from_log);
    this.state.log.finish();
    Ok(())
}

fn drain<T>(into: &mut Vec<T>, max: usize, mut next: impl FnMut() -> Option<T>) {
    while into.len() < max
        && let Some(message) = next()
    {
        into.push(message);
    }
}

impl Loop {
    /// Whether clients are listened to, or wait until what they asked for has gone its way.
    fn clients_may(&self) -> bool {
        self.undurable < UNDURABLE_MAX
            && self.state.replica.in_flight() < UNDURABLE_MAX
            && !self.state.peers.as_ref().is_some_and(Peers::leader_is_behind)
    }

    /// When the loop must wake up although nothing has arrived.
    fn deadline(&self) -> tokio::time::Instant {
        let deadline = self.state.clock.at(self.state.replica.deadline_ms());
        [self.purge_at, self.snapshot_again_at].into_iter().flatten().fold(deadline, Ord::min)
    }

    /// Steps through a batch. Time passes under full load, too: neither ticks nor snapshots wait for a lull.
    fn take(&mut self, arrived: &mut Arrived, deadline: tokio::time::Instant) {
        let now = self.state.clock.now();
        for event in arrived.log.drain(..) {
            self.log_event(now, event);
        }
        for input in arrived.peers.drain(..).flatten() {
            if let (zab::Input::Down { conn }, Some(peers)) = (&input, &mut self.state.peers) {
                peers.gone(*conn);
            }
            self.step(now, Input::Peer(input));
        }
        for message in arrived.clients.drain(..) {
            self.client_message(now, message);
        }
        for Ask { wanted, answer } in arrived.asks.drain(..) {
            // Who asked may be gone.
            let _ = answer.send(Box::new(self.state.replica.status(now, wanted)));
        }
        if tokio::time::Instant::now() >= deadline {
            self.step(self.state.clock.now(), Input::Tick);
            self.purge_if_due();
            if self.snapshot_again_at.take_if(|at| *at <= tokio::time::Instant::now()).is_some() {
                self.start_snapshot();
            }
        }
        self.busy_batches += 1;
        if self.busy_batches > BUSY_BATCHES_MAX && self.snapshotting.is_some() {
            self.write_chunk();
        }
    }

    fn step(&mut self, now: Now, input: Input) {
        self.state.replica.step(now, input, &mut self.outputs);
    }

    /// Carries out what the batch has come to: one message to the log thread, so that one fsync covers the
    /// batch, and one write per socket for everything it is owed.
    fn finish_batch(&mut self) {
        self.act_on_outputs();
        let (outlets, full) = (&mut self.outlets, &mut self.full);
        self.state.replica.drain_clients(|client, bytes, closing| {
            if let Some(outlet) = outlets.get(&client) {
                if !bytes.is_empty() {
                    outlet.send(bytes);
                }
                if closing {
                    outlet.finish();
                    outlets.remove(&client);
                } else if outlet.held() > OWED_LEN_PAUSE {
                    full.push(client);
                }
            }
        });
        if self.state.owed.is_too_much() {
            self.cut_the_deaf();
        }
        self.pace_clients();
    }

    /// Too much waits to be read in all: those who have left most unread make the room.
    fn cut_the_deaf(&mut self) {
        let mut all: Vec<&Outlet> = self.outlets.values().collect();
        all.sort_by_key(|outlet| std::cmp::Reverse(outlet.held()));
        for outlet in all {
            if !self.state.owed.is_too_much() {
                return;
            }
            outlet.close(Closed::Deaf { held: outlet.held() });
        }
    }

    /// Who is owed too much is neither read from nor answered before it has taken enough of that.
    fn pace_clients(&mut self) {
        if !self.full.is_empty() {
            let now = self.state.clock.now();
            for client in std::mem::take(&mut self.full) {
                self.step(now, Input::ClientFull { client });
            }
        }
        let (outlets, roomy) = (&self.outlets, &mut self.roomy);
        self.state.replica.drain_held_back(|client, is_held_back| {
            let Some(outlet) = outlets.get(&client) else { return };
            outlet.hold_back(is_held_back);
            if is_held_back && outlet.ask_for_room(OWED_LEN_PAUSE) {
                roomy.push(client);
            }
        });
    }

    /// One turn for everybody who has waited for room: what they come to in a batch is bounded.
    fn resume_clients(&mut self) {
        let now = self.state.clock.now();
        // Those who found none in the last batch stand behind those who did.
        for client in std::mem::take(&mut self.roomy).into_iter().rev() {
            self.step(now, Input::ClientRoom { client });
        }
    }

    fn act_on_outputs(&mut self) {
        let mut ops = Vec::new();
        for output in self.outputs.drain(..) {
            match output {
                Output::Persist { id, op } => ops.push((id, op)),
                Output::Peer(output) => {
                    if let Some(peers) = &mut self.state.peers {
                        peers.act(output);
                    }
                }
                Output::PeerSnapshot { conn, body } => {
                    if let Some(peers) = &mut self.state.peers {
                        peers.send_snapshot(conn, body);
                    }
                }
                Output::Note(line) => tracing::info!("{line}"),
                Output::Halt { reason } => {
                    let wounded = self.state.replica.is_wounded();
                    self.halt.get_or_insert(Stopped { reason, wounded });
                }
            }
        }
        if !ops.is_empty() {
            self.undurable += ops.len();
            self.state.log.send(ToLog::Persist { ops });
        } else {
            self.state.log.flush();
        }
        if let Some(peers) = &mut self.state.peers {
            peers.flush();
        }
    }

    fn client_message(&mut self, now: Now, message: FromClient) {
        match message {
            FromClient::Up { client, addr, outlet } => {
                self.outlets.insert(client, outlet);
                self.step(now, Input::ClientUp { client, addr });
            }
            FromClient::Frames { client, frames, slot } => {
                drop(slot);
                for frame in frames {
                    self.step(now, Input::ClientFrame { client, frame });
                }
            }
            FromClient::Room { client } => self.step(now, Input::ClientRoom { client }),
            FromClient::Down { client } => {
                self.outlets.remove(&client);
                self.step(now, Input::ClientDown { client });
            }
        }
    }

    fn log_event(&mut self, now: Now, event: FromLog) {
        match event {
            FromLog::Written(Written::Persisted { id, ops }) => {
                self.undurable = self.undurable.saturating_sub(ops);
                self.step(now, Input::Persisted { id });
            }
            FromLog::Written(Written::Reloaded { id, ops, recovered }) => {
                self.undurable = self.undurable.saturating_sub(ops);
                let tree = Box::new(recovered.tree);
                self.step(now, Input::Reloaded { id, tree, tail: recovered.tail });
            }
            FromLog::Written(Written::Note(line)) => tracing::warn!("{line}"),
            FromLog::Written(Written::SnapshotDue) => self.start_snapshot(),
            FromLog::SnapshotBegun { zxid, file } => self.snapshot_begun(zxid, *file),
            FromLog::SnapshotDone { zxid } => {
                tracing::info!(%zxid, "snapshot written");
            }
            FromLog::SnapshotFailed { zxid, reason } => self.snapshot_failed(zxid, &reason),
            FromLog::Failed { reason } => self.halt = Some(reason.into()),
        }
    }

    /// Only a serving replica's tree is known to be committed (quorum §6.1 I5).
    fn start_snapshot(&mut self) {
        if self.snapshotting.is_some() || !self.state.replica.settled() {
            return;
        }
        let generation = self.state.replica.tree_generation();
        let writer = snapshot::Writer::open(self.state.replica.tree_mut());
        self.state.log.send(ToLog::BeginSnapshot { zxid: writer.zxid() });
        self.snapshotting = Some(Snapshotting { writer, generation, job: None, held: None });
    }

    /// The log thread has made the file; chunks may flow.
    fn snapshot_begun(&mut self, zxid: Zxid, file: SnapshotFile<RealDisk>) {
        // One that was given up may have been of the same zxid: its file is no worse.
        let awaits = |current: &&mut Snapshotting| current.writer.zxid() == zxid && current.job.is_none();
        let Some(current) = self.snapshotting.as_mut().filter(awaits) else { return };
        match SnapshotJob::start(file, zxid, self.state.log_events.clone()) {
            Ok(job) => current.job = Some(job),
            Err(error) => {
                tracing::error!(%error, "a snapshot could not be started; the log goes on growing");
                self.give_up_snapshot();
            }
        }
    }

    /// The log has all that the snapshot would have: going on is safe, and says what is in the way.
    fn snapshot_failed(&mut self, zxid: Zxid, reason: &str) {
        tracing::error!(
            "the snapshot {zxid} could not be written: {reason}. It is tried again in {} s; until one is written the log \
             goes on growing and the next start takes longer",
            SNAPSHOT_PAUSE.as_secs()
        );
        if self.snapshotting.as_ref().is_some_and(|current| current.writer.zxid() == zxid) {
            self.give_up_snapshot();
        }
        self.snapshot_again_at = Some(tokio::time::Instant::now() + SNAPSHOT_PAUSE);
    }

    /// An unfinished file has no name that counts, and goes with its job.
    fn give_up_snapshot(&mut self) {
        let Some(current) = self.snapshotting.take() else { return };
        if current.generation == self.state.replica.tree_generation() {
            current.writer.close(self.state.replica.tree_mut());
        }
    }

    /// Comes when nothing else is there to do; a moment later when the snapshot thread is behind.
    fn snapshot_turn(&self) -> impl Future<Output = ()> + use<> {
        let behind = self.snapshotting.as_ref().is_some_and(|current| current.held.is_some());
        tokio::time::sleep(Duration::from_millis(u64::from(behind)))
    }

    fn write_chunk(&mut self) {
        self.busy_batches = 0;
        let Some(current) = &mut self.snapshotting else { return };
        if current.generation != self.state.replica.tree_generation() || !self.state.replica.settled() {
            return self.give_up_snapshot();
        }
        let Some(job) = &current.job else { return };
        let tree = self.state.replica.tree_mut();
        let piece = current.held.take().unwrap_or_else(|| match current.writer.chunk(tree, CHUNK_LEN) {
            Some(chunk) => Piece::Chunk(chunk),
            None => Piece::End { zxid: tree.last_zxid(), digest: tree.digest() },
        });
        let is_end = matches!(piece, Piece::End { .. });
        current.held = job.offer(piece);
        if is_end && current.held.is_none() {
            self.give_up_snapshot();
        }
    }

    fn purge_if_due(&mut self) {
        let Some((interval_ms, retain)) = self.state.purge else { return };
        if self.purge_at.is_some_and(|at| at > tokio::time::Instant::now()) {
            return;
        }
        self.purge_at = Some(tokio::time::Instant::now() + Duration::from_millis(interval_ms));
        log::purge(self.state.dirs.clone(), retain);
    }
}

/// Messages taken into one batch.
const BATCH_MAX: usize = 1024;

/// Questions answered in one batch: each may copy lists.
const ASKS_MAX: usize = 4;

/// Transactions handed to the log thread and not yet durable beyond which clients must wait
/// (`globalOutstandingLimit` bounds the same thing in the reference).
const UNDURABLE_MAX: usize = 16 * 1024;

/// The same for what peers send: far more, since a leader hears of its followers by the same way, and a follower is
/// cut off when it does not answer. A disk that is so far behind has lost its quorum's patience anyway.
const UNDURABLE_OF_PEERS_MAX: usize = 256 * 1024;

/// Batches after which a snapshot gets its turn although the queues were never empty.
const BUSY_BATCHES_MAX: u32 = 64;

/// How long whoever is told that a snapshot could not be written has to make room before the next try.
const SNAPSHOT_PAUSE: Duration = Duration::from_secs(60);

/// Bytes of one snapshot chunk: bounds how long clients wait for one.
const CHUNK_LEN: usize = 256 * 1024;
