//! What a zoo.cfg comes to: every setting with its unit, none of them read from anywhere here.

use std::path::PathBuf;

use crate::ensemble::{Listen, MemberRole, Membership};
use crate::formats::compression::Compression;
use crate::formats::marker::Owner;

/// A server's settings. Units are in the names; sizes are bytes.
#[derive(Debug, Clone, PartialEq)]
pub struct ServerConfig {
    /// Whose data must be in `data_dir`.
    pub owner: Owner,
    /// Snapshots, epoch files and `myid`.
    pub data_dir: PathBuf,
    /// Txn logs; `data_dir` unless set.
    pub data_log_dir: PathBuf,
    /// The client port of zoo.cfg; a port in the own `server.N` line wins ([`ServerConfig::identity`]).
    pub client: Option<Listen>,
    pub client_port_listen_backlog: Option<u32>,
    /// Connections from one IP address; `None` = unlimited.
    pub max_client_cnxns: Option<u32>,
    /// Connections in all; `None` = unlimited.
    pub max_cnxns: Option<u32>,
    pub tick_ms: u64,
    pub min_session_timeout_ms: u64,
    pub max_session_timeout_ms: u64,
    pub role: Role,
    pub storage: Storage,
    pub pipeline: Pipeline,
    pub election: Election,
    /// Words that are answered; `*` = all (operations §8.1).
    pub four_letter_words: Vec<String>,
    pub containers: Containers,
}

/// Standalone, or one of an ensemble.
#[derive(Debug, Clone, PartialEq)]
pub enum Role {
    /// Alone: no election, no quorum port.
    Standalone,
    Quorum(Quorum),
}

/// What only a server of an ensemble needs.
#[derive(Debug, Clone, PartialEq)]
pub struct Quorum {
    pub membership: Membership,
    /// The server lines as written, with their version: what `conf` shows.
    pub lines: String,
    pub init_limit_ticks: u32,
    pub sync_limit_ticks: u32,
    /// Ticks a learner may take to connect; `init_limit_ticks` unless set.
    pub connect_limit_ticks: u32,
    /// Quorum and election ports listen on all addresses, not just the listed one.
    pub listen_on_all_ips: bool,
    /// `zkops.unlistedLearners`: servers that no server line lists and that may learn from a leader at a time, without
    /// a vote. They get all data; none may unless this says so.
    pub unlisted_learners: usize,
    /// False: a leader takes no clients.
    pub leader_serves: bool,
    /// `peerType`, if the file has it: the server list decides, this is only compared.
    pub(super) peer_type: Option<MemberRole>,
}

/// How data is kept (disk-format).
#[derive(Debug, Clone, PartialEq)]
pub struct Storage {
    /// A snapshot after this many txns, less a random part of up to half.
    pub snap_count: u32,
    /// The same by bytes of log; `None` = off.
    pub snap_log_bytes: Option<u64>,
    pub snapshot_compression: Compression,
    /// Log files grow in steps of this size; 0 = no padding.
    pub prealloc_bytes: u64,
    /// A log file beyond this is followed by a new one; `None` = off.
    pub log_file_bytes_max: Option<u64>,
    pub force_sync: bool,
    /// A sync slower than this is logged.
    pub fsync_warning_ms: u64,
    pub trust_empty: bool,
    pub db_autocreate: bool,
    pub dir_autocreate: bool,
    /// `None` = no purge task.
    pub purge_interval_ms: Option<u64>,
    pub purge_retain: usize,
}

/// Requests, sessions and the tree.
#[derive(Debug, Clone, PartialEq)]
pub struct Pipeline {
    /// Longest frame that a client may send.
    pub frame_bytes_max: usize,
    /// `globalOutstandingLimit`: requests of all clients of all servers that wait for their answers.
    pub outstanding_max: u64,
    /// Longest txn, in the log and between servers.
    pub txn_bytes_max: usize,
    /// Txns kept in memory for followers that come back.
    pub committed_log_txns: usize,
    /// TTL nodes.
    pub extended_types: bool,
    pub skip_acl: bool,
    pub enforce_quota: bool,
    pub digest: bool,
    pub close_session_txn: bool,
    /// `user:base64` of the superuser (client-protocol §4).
    pub super_digest: Option<String>,
}

/// Election and quorum connections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Election {
    pub cnx_timeout_ms: u64,
    pub notification_ms_min: u64,
    pub notification_ms_max: u64,
}

/// The leader's removal of empty containers and expired TTL nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Containers {
    pub check_interval_ms: u64,
    /// Remove containers that never had a child after this long; 0 = never.
    pub never_used_ms_max: u64,
}
