//! From settings and a disk to a store and a replica: all that happens between the data and the first step.
//! The process and the simulator both start here.
//!
//! It opens no socket and starts no thread: what it is given decides what comes of it.

use crate::config::{Identity, Quorum, Role, ServerConfig};
use crate::ensemble::{Membership, Voters};
use crate::server::replica::{self, Now, Replica};
use crate::server::store::disk::Disk;
use crate::server::store::{self, Dirs, Refusal, Store};
use crate::server::tree::{self, Tree};
use crate::server::zab::{self, Zab};
use crate::wire::ids::Zxid;

/// Everything that a server is told before its first step.
#[derive(Debug, Clone)]
pub struct Settings {
    pub dirs: Dirs,
    pub store: store::Settings,
    pub replica: replica::Settings,
    /// `None`: a server of its own.
    pub zab: Option<zab::Config>,
}

/// A server that has read its data and has taken no step yet.
pub struct Started<D: Disk> {
    pub store: Store<D>,
    pub replica: Replica,
    /// What a human should know, one line each.
    pub notes: Vec<String>,
    /// What is damaged, if anything: this server waits for a leader of others, and is no voter before it has that
    /// leader's data. [`replica::Output::Halt`] comes when there is none in time.
    pub wound: Option<Refusal>,
}

impl Settings {
    /// What zoo.cfg and myid say.
    pub fn new(config: &ServerConfig, identity: &Identity) -> Settings {
        let zab = match &config.role {
            Role::Standalone => None,
            Role::Quorum(quorum) => Some(zab_config(config, quorum, identity)),
        };
        Settings {
            dirs: Dirs { data: config.data_dir.clone(), log: config.data_log_dir.clone() },
            store: store_settings(config),
            replica: replica_settings(config, identity, zab.as_ref()),
            zab,
        }
    }
}

/// Opens the data and makes the replica that goes with it. `seed` is for whatever may differ from run to run.
///
/// A member of an ensemble is started with damaged data, too, if its peers may have what it lost.
///
/// # Errors
/// Why the data is not opened.
pub fn open<D: Disk>(disk: D, settings: &Settings, seed: u64, now: Now) -> Result<Started<D>, Refusal> {
    let store_settings = store::Settings { seed, ..settings.store.clone() };
    let dirs = settings.dirs.clone();
    let replica_settings =
        replica::Settings { session_salt: (seed >> 16) as u16 ^ seed as u16, ..settings.replica.clone() };
    let (store, recovered) = match &settings.zab {
        None => Store::open(disk, dirs, store_settings)?,
        Some(_) => Store::open_among_peers(disk, dirs, store_settings)?,
    };
    if let Some(config) = &settings.zab {
        check_voters(&settings.dirs, &recovered.tree, &config.membership)?;
    }
    let replica = match &settings.zab {
        None => Replica::standalone(replica_settings, recovered.tree, now),
        Some(config) => {
            let durable = zab::Durable {
                accepted_epoch: recovered.accepted_epoch,
                current_epoch: recovered.current_epoch,
                last_zxid: if recovered.may_vote { recovered.tree.last_zxid() } else { Zxid::NONE },
                tail: recovered.tail,
                wounded: recovered.wound.is_some(),
            };
            let zab = Zab::new(config.clone(), durable, seed, now.ms);
            Replica::member(replica_settings, recovered.tree, zab, now)
        }
    };
    Ok(Started { store, replica, notes: recovered.notes, wound: recovered.wound })
}

/// A list of other voters that was in force later than the one of this server: it may not even vote (quorum-protocol
/// §2.11).
fn check_voters(dirs: &Dirs, tree: &Tree, membership: &Membership) -> Result<(), Refusal> {
    let Some(found) = tree.config().and_then(|text| Voters::read(&text)) else { return Ok(()) };
    let expected = Voters::from(membership);
    if expected.are_same(&found) || found.version() <= expected.version() {
        return Ok(());
    }
    let dir = dirs.data.clone();
    Err(Refusal::Reconfigured { dir, found: found.to_string(), expected: expected.to_string() })
}

/// What a server with damaged data does now.
pub(super) fn healing_words(settings: &Settings) -> String {
    let wait_ms = settings.zab.as_ref().map_or(0, zab::Config::healing_wait_ms);
    format!(
        "This server does not vote and serves nobody. For {wait_ms} ms it waits for a leader that a quorum of the \
         other servers has, to take that leader's data in place of its own; nothing on disk is touched before that"
    )
}

fn zab_config(config: &ServerConfig, quorum: &Quorum, identity: &Identity) -> zab::Config {
    zab::Config {
        me: identity.me,
        membership: quorum.membership.clone(),
        tick_ms: config.tick_ms,
        init_limit: quorum.init_limit_ticks,
        sync_limit: quorum.sync_limit_ticks,
        connect_limit: quorum.connect_limit_ticks,
        cnx_timeout_ms: config.election.cnx_timeout_ms,
        notification_ms_min: config.election.notification_ms_min,
        notification_ms_max: config.election.notification_ms_max,
        committed_log_max: config.pipeline.committed_log_txns,
        committed_log_bytes_max: COMMITTED_LOG_BYTES_MAX,
        txn_len_max: config.pipeline.txn_bytes_max,
        counter_max: zab::COUNTER_MAX,
        unlisted_learners: quorum.unlisted_learners,
    }
}

fn replica_settings(
    config: &ServerConfig,
    identity: &Identity,
    zab: Option<&zab::Config>,
) -> replica::Settings {
    let leader_serves = match &config.role {
        Role::Standalone => true,
        Role::Quorum(quorum) => quorum.leader_serves,
    };
    replica::Settings {
        me: identity.me,
        tick_ms: config.tick_ms,
        session_timeout_ms_min: i32::try_from(config.min_session_timeout_ms).unwrap_or(i32::MAX),
        session_timeout_ms_max: i32::try_from(config.max_session_timeout_ms).unwrap_or(i32::MAX),
        session_salt: 0, // `open` is told
        leader_serves,
        outstanding_max: outstanding_max(config, identity),
        super_digest: config.pipeline.super_digest.clone(),
        tree: tree_settings(config),
        container_check_ms: config.containers.check_interval_ms,
        container_never_used_ms: i64::try_from(config.containers.never_used_ms_max).unwrap_or(i64::MAX),
        config_text: zab.map(|zab| zab.membership.to_string()),
    }
}

/// A voter's part of `globalOutstandingLimit`: all but one of the voters are thought to have clients
/// (`LeaderZooKeeperServer`, `FollowerZooKeeperServer`); an observer has all of it.
fn outstanding_max(config: &ServerConfig, identity: &Identity) -> u64 {
    let parts = match &config.role {
        Role::Standalone => 1,
        Role::Quorum(quorum) if !quorum.membership.is_voter(identity.me) => 1,
        Role::Quorum(quorum) => match quorum.membership.voters().count() {
            voters @ 3.. => voters as u64 - 1,
            _ => 1,
        },
    };
    config.pipeline.outstanding_max / parts
}

fn tree_settings(config: &ServerConfig) -> tree::Settings {
    tree::Settings {
        extended_types: config.pipeline.extended_types,
        skip_acl: config.pipeline.skip_acl,
        digest_enabled: config.pipeline.digest,
        close_session_paths: config.pipeline.close_session_txn,
        enforce_quota: config.pipeline.enforce_quota,
        txn_len_max: config.pipeline.txn_bytes_max,
        ..tree::Settings::default()
    }
}

fn store_settings(config: &ServerConfig) -> store::Settings {
    let storage = &config.storage;
    store::Settings {
        snap_count: storage.snap_count,
        snap_log_bytes: storage.snap_log_bytes,
        compression: storage.snapshot_compression,
        prealloc_bytes: storage.prealloc_bytes,
        log_file_bytes_max: storage.log_file_bytes_max,
        force_sync: storage.force_sync,
        trust_empty: storage.trust_empty,
        db_autocreate: storage.db_autocreate,
        dir_autocreate: storage.dir_autocreate,
        quorum: matches!(config.role, Role::Quorum(_)),
        tail_txns_max: config.pipeline.committed_log_txns,
        tail_bytes_max: COMMITTED_LOG_BYTES_MAX,
        seed: 0, // `open` is told
        tree: tree_settings(config),
    }
}

/// Bytes of committed transactions kept in memory for learners that come back.
const COMMITTED_LOG_BYTES_MAX: usize = 64 << 20;
