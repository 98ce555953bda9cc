//! zoo.cfg → [`ServerConfig`] (operations §10): every key with its unit, default and check. All
//! problems of a file are reported at once, each with its line and what to do.
//!
//! It opens no file but those that the caller's reader gives it, and starts nothing. Features of
//! the reference that would silently change what is safe (TLS, SASL, hierarchical quorums) are
//! refused rather than ignored; harmless keys without effect here are named in the warnings.

#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

mod keys;
mod members;
mod properties;
mod sections;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::formats::compression::Compression;
use crate::wire::ids::ServerId;
use keys::Keys;
pub use members::{Member, MemberRole, Members};

/// A server's settings. Units are in the names; sizes are bytes.
#[derive(Debug, Clone, PartialEq)]
pub struct ServerConfig {
    /// Snapshots, epoch files and `myid`.
    pub data_dir: PathBuf,
    /// Txn logs; `data_dir` unless set.
    pub data_log_dir: PathBuf,
    /// The client port of zoo.cfg; a port in the own `server.N` line wins ([`ServerConfig::identity`]).
    pub client: Option<Listen>,
    pub client_port_listen_backlog: Option<u32>,
    pub client_tcp_keep_alive: bool,
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
    pub read_only_mode: bool,
    pub containers: Containers,
    pub audit: bool,
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
    pub members: Members,
    pub init_limit_ticks: u32,
    pub sync_limit_ticks: u32,
    /// Ticks a learner may take to connect; `init_limit_ticks` unless set.
    pub connect_limit_ticks: u32,
    /// Quorum and election ports listen on all addresses, not just the listed one.
    pub listen_on_all_ips: bool,
    pub reconfig_enabled: bool,
    /// False: a leader takes no clients.
    pub leader_serves: bool,
    /// `peerType`, if the file has it: the server list decides, this is only compared.
    peer_type: Option<MemberRole>,
}

/// An address to listen on; `host` `None` = all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listen {
    pub host: Option<String>,
    pub port: u16,
}

/// How data is kept (disk-format).
#[derive(Debug, Clone, PartialEq)]
pub struct Storage {
    /// `zkops.cluster`: the ensemble whose data this must be, when the dataDir says whose it is.
    pub ensemble: Option<String>,
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
    /// Group commit: write out at this many txns at the latest.
    pub batch_txns_max: usize,
    /// Group commit: hold a batch back this long; 0 = never.
    pub flush_delay_ms: u64,
    /// How long the log thread waits for more before it writes out.
    pub write_queue_poll_ms: u64,
}

/// Requests, sessions and the tree.
#[derive(Debug, Clone, PartialEq)]
pub struct Pipeline {
    /// Longest frame that a client may send.
    pub frame_bytes_max: usize,
    pub outstanding_max: u32,
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
    /// Digest algorithm of the `digest` scheme, as Java names it.
    pub digest_alg: String,
}

/// Election and quorum connections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Election {
    pub cnx_timeout_ms: u64,
    pub notification_ms_min: u64,
    pub notification_ms_max: u64,
    pub tcp_keep_alive: bool,
    /// Tries to bind the election port; 0 = for ever.
    pub bind_retries: u32,
}

/// The leader's removal of empty containers and expired TTL nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Containers {
    pub check_interval_ms: u64,
    pub removals_per_minute_max: u32,
    /// Remove containers that never had a child after this long; 0 = never.
    pub never_used_ms_max: u64,
}

/// What the server is called and where clients reach it, once `myid` is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    pub me: ServerId,
    pub role: MemberRole,
    pub client: Option<Listen>,
}

/// Something to say once at start: the file works, but not quite as its writer may think.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning(pub String);

/// One thing that is wrong: where, what, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// `zoo.cfg:12`, or `-DsnapCount`.
    pub at: String,
    pub what: String,
    pub advice: String,
}

/// All that is wrong with a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid(pub Vec<Problem>);

impl ServerConfig {
    /// Reads a zoo.cfg. `overrides` are the `-Dkey=value` arguments, with or without the
    /// `zookeeper.` prefix; they win over the file. `read` gives the content of a file that the
    /// text names (`dynamicConfigFile`).
    pub fn parse(
        file: &Path,
        text: &[u8],
        overrides: &[(String, String)],
        read: &dyn Fn(&Path) -> io::Result<Vec<u8>>,
    ) -> Result<(ServerConfig, Vec<Warning>), Invalid> {
        let mut keys = Keys::parse(file, text, overrides);
        let config = ServerConfig::from_keys(&mut keys, file, read);
        keys.finish().map(|warnings| (config, warnings))
    }

    fn from_keys(keys: &mut Keys, file: &Path, read: &dyn Fn(&Path) -> io::Result<Vec<u8>>) -> ServerConfig {
        let data_dir = keys.path("dataDir");
        if data_dir.is_none() {
            keys.missing("dataDir", "add a line like dataDir=/var/lib/zookeeper");
        }
        let data_dir = data_dir.unwrap_or_default();
        let tick_ms = keys.number("tickTime", 3000, 1, i32::MAX as i64) as u64;
        let (min_session_timeout_ms, max_session_timeout_ms) = sections::session_timeouts(keys, tick_ms);
        let config = ServerConfig {
            data_log_dir: keys.path("dataLogDir").unwrap_or_else(|| data_dir.clone()),
            data_dir,
            client: sections::listen(keys, "clientPort", "clientPortAddress"),
            client_port_listen_backlog: keys.optional("clientPortListenBacklog"),
            client_tcp_keep_alive: keys.flag("clientTcpKeepAlive", false),
            max_client_cnxns: Some(keys.number("maxClientCnxns", 60, 0, i32::MAX as i64) as u32)
                .filter(|&count| count > 0),
            max_cnxns: keys.optional("maxCnxns"),
            tick_ms,
            min_session_timeout_ms,
            max_session_timeout_ms,
            role: sections::role(keys, file, read),
            storage: sections::storage(keys),
            pipeline: sections::pipeline(keys),
            election: sections::election(keys),
            four_letter_words: sections::four_letter_words(keys),
            read_only_mode: keys.flag("readonlymode.enabled", false),
            containers: sections::containers(keys),
            audit: keys.flag("audit.enable", false),
        };
        sections::refuse_what_is_not_built(keys);
        config
    }

    /// Which member this server is and where its clients connect. `myid` is what
    /// `dataDir/myid` holds; needed in an ensemble only.
    pub fn identity(&self, myid: Option<ServerId>) -> Result<Identity, Invalid> {
        let at = self.data_dir.join("myid").display().to_string();
        let fail =
            |what: String, advice: String| Err(Invalid(vec![Problem { at: at.clone(), what, advice }]));
        let Role::Quorum(quorum) = &self.role else {
            let me = myid.unwrap_or(ServerId(1));
            return Ok(Identity { me, role: MemberRole::Participant, client: self.client.clone() });
        };
        let listed = quorum.members.listed_ids();
        let Some(me) = myid else {
            return fail(
                "myid file is missing".to_owned(),
                format!("write this server's number ({listed}) into it: echo N > {at}"),
            );
        };
        let Some(member) = quorum.members.get(me) else {
            return fail(
                format!("this server's number is {me}, but the server lines name only {listed}"),
                format!("correct myid, or add a server.{me} line to zoo.cfg on every server"),
            );
        };
        let client = match (&self.client, &member.client) {
            (Some(file), Some(line)) if file.port != line.port || !file.covers(line) => {
                return fail(
                    format!("zoo.cfg says clients connect to {file}, the line of server.{me} says {line}"),
                    "remove clientPort and clientPortAddress from zoo.cfg, or make both agree".to_owned(),
                );
            }
            (_, Some(line)) => Some(line.clone()),
            (file, None) => file.clone(),
        };
        Ok(Identity { me, role: member.role, client })
    }

    /// What to say when `peerType` does not match the server list, which wins.
    pub fn peer_type_warning(&self, identity: &Identity) -> Option<Warning> {
        let Role::Quorum(quorum) = &self.role else { return None };
        quorum.peer_type.filter(|&peer_type| peer_type != identity.role).map(|peer_type| {
            Warning(format!(
                "peerType={peer_type}, but the server lines make server.{} a {}: the server lines win",
                identity.me, identity.role
            ))
        })
    }
}

impl Listen {
    /// True when listening on `self` includes `other`'s address.
    fn covers(&self, other: &Listen) -> bool {
        match self.host.as_deref() {
            None | Some("0.0.0.0" | "::" | "[::]") => true,
            host => host == other.host.as_deref(),
        }
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host.as_deref().unwrap_or("0.0.0.0"), self.port)
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.at, self.what, self.advice)
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<_> = self.0.iter().map(Problem::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

impl std::error::Error for Invalid {}

#[cfg(test)]
mod tests;
