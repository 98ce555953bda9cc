//! A simulated server's start: what recovery finds becomes a replica.

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;

use zkops::ensemble::Membership;
use zkops::server::replica::{Replica, Settings};
use zkops::server::store::disk::Disk;
use zkops::server::store::{self, Recovered, Refusal, Store};
use zkops::server::tree;
use zkops::server::zab::{self, Zab};
use zkops::wire::ids::Zxid;

use super::{Process, dirs};
use crate::scenario::Knobs;
use crate::world::World;

/// Whether a file is data: a log, a snapshot, an epoch, or what goes with them.
pub(crate) fn is_data(path: &Path) -> bool {
    path.parent().is_some_and(|dir| dir.ends_with("version-2"))
}

fn store_settings(knobs: &Knobs, seed: u64) -> store::Settings {
    store::Settings {
        db_autocreate: false,
        prealloc_bytes: 4096,
        log_file_bytes_max: knobs.log_file_bytes_max,
        snap_count: knobs.snap_count,
        snap_log_bytes: None,
        tail_txns_max: usize::MAX,
        tail_bytes_max: usize::MAX,
        seed,
        ..store::Settings::default()
    }
}

impl World {
    pub(crate) fn start_node(&mut self, i: usize) {
        let (now, seed) = (self.now, self.rng.u64(..));
        let knobs = self.knobs.clone();
        let node = &mut self.nodes[i];
        if node.process.is_some() {
            return;
        }
        node.powered = true;
        node.life += 1;
        let opened = Store::open_among_peers(node.disk.clone(), dirs(&knobs), store_settings(&knobs, seed));
        let (store, recovered) = match opened {
            Ok(opened) => opened,
            Err(refusal) => return self.does_not_open(i, &refusal),
        };
        let excused = node.rotten || node.disk_fails;
        self.checks.recovers(i, &recovered, excused);
        self.trace.say(now, || {
            format!(
                "n{} starts at {}, epochs {} and {}{}",
                i + 1,
                recovered.tree.last_zxid(),
                recovered.accepted_epoch,
                recovered.current_epoch,
                match (&recovered.wound, recovered.may_vote) {
                    (Some(wound), _) => format!(", wounded: {wound}"),
                    (None, true) => String::new(),
                    (None, false) => ", may not vote".to_owned(),
                }
            )
        });
        for note in &recovered.notes {
            self.trace.say(now, || format!("n{} notes: {note}", i + 1));
        }
        self.trace.say(now, || format!("n{} has {:?}", i + 1, self.nodes[i].disk.files()));
        let replica = self.replica(i, recovered, seed);
        let node = &mut self.nodes[i];
        node.process = Some(Process {
            replica,
            store,
            inbox: VecDeque::new(),
            run_at: u64::MAX,
            outputs: Vec::new(),
            conns: BTreeMap::new(),
            clients: BTreeMap::new(),
            next_accepted: 0,
            next_client: 0,
            listening: false,
            log: VecDeque::new(),
            log_busy: false,
            snapshotting: None,
            finishing: VecDeque::new(),
            compared: [0; 4],
            heard: Vec::new(),
        });
        self.wake(i);
    }

    /// What `zkops repair` does: once a quorum of others serves, the data goes, and the server comes back without a
    /// vote until it has its leader's.
    pub(crate) fn repair(&mut self, i: usize) {
        let serving = self.nodes[..self.checks.voters].iter().filter(|node| node.is_serving()).count();
        let node = &mut self.nodes[i];
        if node.process.is_some() || !node.refuses || serving <= self.checks.voters / 2 {
            return;
        }
        node.refuses = false;
        let data = node.disk.files().into_iter().filter(|path| path.ends_with("initialize") || is_data(path));
        for path in data {
            node.disk.remove(&path).expect("the faults are over");
        }
        let dirs = dirs(&self.knobs);
        for dir in [dirs.logs(), dirs.snaps()] {
            node.disk.sync_dir(&dir).expect("the faults are over");
        }
        self.trace.say(self.now, || format!("n{} is repaired: its data is gone", i + 1));
    }

    fn does_not_open(&mut self, i: usize, refusal: &Refusal) {
        self.trace.say(self.now, || format!("n{} does not start: {refusal}", i + 1));
        let node = &mut self.nodes[i];
        if node.disk.has_crashed() {
            self.power_off(i);
        } else if node.disk_fails || node.rotten {
            node.refuses = node.rotten;
            node.disk.end_process();
        } else {
            self.checks.fail("starts again", format!("n{} does not start: {refusal}", i + 1));
        }
    }

    fn replica(&self, i: usize, recovered: Recovered, seed: u64) -> Replica {
        let node = &self.nodes[i];
        let now = node.clock.now(self.now);
        let knobs = &self.knobs;
        let membership = Membership::parse(&self.membership).expect("the member list is ours");
        let settings = Settings {
            me: node.sid,
            tick_ms: knobs.tick_ms,
            session_timeout_ms_min: 2 * knobs.tick_ms as i32,
            session_timeout_ms_max: 20 * knobs.tick_ms as i32,
            session_salt: (seed >> 32) as u16,
            leader_serves: true,
            outstanding_max: knobs.outstanding_max,
            super_digest: None,
            tree: tree::Settings::default(),
            container_check_ms: 60_000,
            container_never_used_ms: 0,
            config_text: Some(membership.to_string()),
        };
        let last_zxid = if recovered.may_vote { recovered.tree.last_zxid() } else { Zxid::NONE };
        let durable = zab::Durable {
            accepted_epoch: recovered.accepted_epoch,
            current_epoch: recovered.current_epoch,
            last_zxid,
            tail: recovered.tail,
            wounded: recovered.wound.is_some(),
        };
        let config = zab::Config {
            me: node.sid,
            membership,
            tick_ms: knobs.tick_ms,
            init_limit: knobs.init_limit,
            sync_limit: knobs.sync_limit,
            connect_limit: 0,
            cnx_timeout_ms: 5 * knobs.tick_ms,
            notification_ms_min: 200,
            notification_ms_max: 10_000,
            committed_log_max: knobs.committed_log_max,
            committed_log_bytes_max: 1 << 20,
            txn_len_max: tree::Settings::default().txn_len_max,
            counter_max: knobs.counter_max,
            unlisted_learners: 0,
        };
        Replica::member(settings, recovered.tree, Zab::new(config, durable, seed, now.ms), now)
    }
}
