//! zoo.cfg → [`ServerConfig`] (operations §10): every key with its unit, default and check. All
//! problems of a file are reported at once, each with its line and what to do.
//!
//! It opens no file but those that the caller's reader gives it, and starts nothing. Features of
//! the reference that would silently change what is safe (TLS, SASL, hierarchical quorums) are
//! refused rather than ignored; harmless keys without effect here are named in the warnings.

mod keys;
mod members;
mod properties;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::ids::ServerId;
use crate::store::Compression;

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
        let (min_session_timeout_ms, max_session_timeout_ms) = session_timeouts(keys, tick_ms);
        let config = ServerConfig {
            data_log_dir: keys.path("dataLogDir").unwrap_or_else(|| data_dir.clone()),
            data_dir,
            client: listen(keys, "clientPort", "clientPortAddress"),
            client_port_listen_backlog: keys.optional("clientPortListenBacklog"),
            client_tcp_keep_alive: keys.flag("clientTcpKeepAlive", false),
            max_client_cnxns: Some(keys.number("maxClientCnxns", 60, 0, i32::MAX as i64) as u32)
                .filter(|&count| count > 0),
            max_cnxns: keys.optional("maxCnxns"),
            tick_ms,
            min_session_timeout_ms,
            max_session_timeout_ms,
            role: role(keys, file, read),
            storage: storage(keys),
            pipeline: pipeline(keys),
            election: election(keys),
            four_letter_words: four_letter_words(keys),
            read_only_mode: keys.flag("readonlymode.enabled", false),
            containers: Containers {
                check_interval_ms: keys.number("znode.container.checkIntervalMs", 60_000, 1, i64::MAX) as u64,
                removals_per_minute_max: keys.number(
                    "znode.container.maxPerMinute",
                    10_000,
                    1,
                    i32::MAX as i64,
                ) as u32,
                never_used_ms_max: keys.number("znode.container.maxNeverUsedIntervalMs", 0, 0, i64::MAX)
                    as u64,
            },
            audit: keys.flag("audit.enable", false),
        };
        refuse_what_is_not_built(keys);
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

fn session_timeouts(keys: &mut Keys, tick_ms: u64) -> (u64, u64) {
    let mut bound = |key, ticks: u64| match keys.number(key, -1, -1, i32::MAX as i64) {
        -1 => tick_ms * ticks,
        set => set as u64,
    };
    let (min, max) = (bound("minSessionTimeout", 2), bound("maxSessionTimeout", 20));
    if min > max {
        let what = format!("minSessionTimeout ({min} ms) is above maxSessionTimeout ({max} ms)");
        keys.problem("minSessionTimeout", what, "raise maxSessionTimeout or lower minSessionTimeout");
    }
    (min, max)
}

fn listen(keys: &mut Keys, port_key: &'static str, address_key: &'static str) -> Option<Listen> {
    let port = keys.port(port_key);
    let host = keys.text(address_key);
    if host.is_some() && port.is_none() {
        let what = format!("{address_key} is set, but {port_key} is not");
        keys.problem(address_key, what, &format!("add {port_key}=2181, or remove this line"));
    }
    port.map(|port| Listen { host, port })
}

fn role(keys: &mut Keys, file: &Path, read: &dyn Fn(&Path) -> io::Result<Vec<u8>>) -> Role {
    let standalone_enabled = keys.bool("standaloneEnabled", true);
    let members = members::read(keys, file, read);
    let quorum = Quorum {
        init_limit_ticks: keys.number("initLimit", 0, 0, i32::MAX as i64) as u32,
        sync_limit_ticks: keys.number("syncLimit", 0, 0, i32::MAX as i64) as u32,
        connect_limit_ticks: keys.number("connectToLearnerMasterLimit", 0, 0, i32::MAX as i64) as u32,
        listen_on_all_ips: keys.bool("quorumListenOnAllIPs", false),
        reconfig_enabled: keys.bool("reconfigEnabled", false),
        leader_serves: keys.switch("leaderServes", true),
        peer_type: peer_type(keys),
        members,
    };
    if keys.number("electionAlg", 3, i32::MIN as i64, i32::MAX as i64) != 3 {
        let what = "election algorithms other than 3 are gone since 3.6".to_owned();
        keys.problem("electionAlg", what, "remove this line");
    }
    let voters = quorum.members.voters().count();
    let observers = quorum.members.len() - voters;
    if voters <= 1 && standalone_enabled {
        match (voters, observers) {
            (0, 0) => {}
            (1, 0) => keys.warn("one server line alone: running standalone, the line is ignored"),
            _ => keys.problem(
                "server.",
                format!("{voters} participants with {observers} observers cannot form an ensemble"),
                "list at least two participants, or set standaloneEnabled=false for one",
            ),
        }
        return Role::Standalone;
    }
    if voters == 0 {
        let what = "standaloneEnabled=false needs at least one participant".to_owned();
        keys.problem("server.", what, "add the server.N lines of the ensemble");
    }
    for (key, ticks) in [("initLimit", quorum.init_limit_ticks), ("syncLimit", quorum.sync_limit_ticks)] {
        if ticks == 0 {
            let example = if key == "initLimit" { 10 } else { 5 };
            keys.missing(key, &format!("an ensemble needs it: add {key}={example}"));
        }
    }
    if voters > 0 && voters.is_multiple_of(2) {
        keys.warn(&format!(
            "{voters} participants survive no more failures than {} would: an odd number is better",
            voters - 1
        ));
    }
    let connect_limit_ticks = match quorum.connect_limit_ticks {
        0 => quorum.init_limit_ticks,
        ticks => ticks,
    };
    Role::Quorum(Quorum { connect_limit_ticks, ..quorum })
}

fn peer_type(keys: &mut Keys) -> Option<MemberRole> {
    let text = keys.text("peerType")?;
    let role = MemberRole::parse(&text);
    if role.is_none() {
        let what = format!("peerType is {text:?}");
        keys.problem("peerType", what, "write participant or observer");
    }
    role
}

fn storage(keys: &mut Keys) -> Storage {
    let kib = |keys: &mut Keys, key: &'static str, default: i64| {
        let limit = keys.number(key, default, i64::MIN, i64::MAX / 1024);
        (limit > 0).then(|| limit as u64 * 1024)
    };
    let flush_delay_ms = keys.number("flushDelay", 0, 0, i64::MAX) as u64;
    let retain = keys.number("autopurge.snapRetainCount", 3, i32::MIN as i64, i32::MAX as i64);
    if retain < 3 {
        keys.warn(&format!("autopurge.snapRetainCount={retain} is raised to 3, the least that is kept"));
    }
    Storage {
        snap_count: keys.number("snapCount", 100_000, i32::MIN as i64, i32::MAX as i64).max(2) as u32,
        snap_log_bytes: kib(keys, "snapSizeLimitInKb", 4_194_304),
        snapshot_compression: compression(keys),
        prealloc_bytes: keys.number("preAllocSize", 65_536, 0, i64::MAX / 1024) as u64 * 1024,
        log_file_bytes_max: kib(keys, "txnLogSizeLimitInKb", -1),
        force_sync: keys.switch("forceSync", true),
        fsync_warning_ms: keys.number("fsync.warningthresholdms", 1000, 0, i64::MAX) as u64,
        trust_empty: keys.flag("snapshot.trust.empty", false),
        db_autocreate: keys.flag("db.autocreate", true),
        dir_autocreate: keys.flag("datadir.autocreate", true),
        purge_interval_ms: keys.duration_ms("autopurge.purgeInterval", 3_600_000),
        purge_retain: retain.max(3) as usize,
        batch_txns_max: keys.number("maxBatchSize", 1000, 1, i32::MAX as i64) as usize,
        write_queue_poll_ms: keys.number("maxWriteQueuePollTime", (flush_delay_ms / 3) as i64, 0, i64::MAX)
            as u64,
        flush_delay_ms,
    }
}

fn compression(keys: &mut Keys) -> Compression {
    match keys.text("snapshot.compression.method").as_deref() {
        None | Some("") => Compression::None,
        Some("gz") => Compression::Gzip,
        Some("snappy") => Compression::Snappy,
        Some(other) => {
            let what = format!("snapshots cannot be compressed with {other:?}");
            keys.problem("snapshot.compression.method", what, "write gz or snappy, or leave it empty");
            Compression::None
        }
    }
}

fn pipeline(keys: &mut Keys) -> Pipeline {
    Pipeline {
        frame_bytes_max: keys.number("jute.maxbuffer", 0xf_ffff, 1024, i32::MAX as i64) as usize,
        outstanding_max: keys.number("globalOutstandingLimit", 1000, 1, i32::MAX as i64) as u32,
        committed_log_txns: keys.number("commitLogCount", 500, i32::MIN as i64, i32::MAX as i64).max(500)
            as usize,
        extended_types: keys.flag("extendedTypesEnabled", false),
        skip_acl: keys.switch("skipACL", false),
        enforce_quota: keys.flag("enforceQuota", false),
        digest: keys.flag("digest.enabled", true),
        close_session_txn: keys.flag("closeSessionTxn.enabled", true),
        super_digest: keys.text("DigestAuthenticationProvider.superDigest"),
        digest_alg: keys.text("DigestAuthenticationProvider.digestAlg").unwrap_or_else(|| "SHA1".to_owned()),
    }
}

fn election(keys: &mut Keys) -> Election {
    Election {
        cnx_timeout_ms: keys.number("cnxTimeout", 5000, 1, i32::MAX as i64) as u64,
        notification_ms_min: keys.number("fastleader.minNotificationInterval", 200, 1, i32::MAX as i64)
            as u64,
        notification_ms_max: keys.number("fastleader.maxNotificationInterval", 60_000, 1, i32::MAX as i64)
            as u64,
        tcp_keep_alive: keys.flag("tcpKeepAlive", false),
        bind_retries: keys.number("electionPortBindRetry", 3, 0, i32::MAX as i64) as u32,
    }
}

fn four_letter_words(keys: &mut Keys) -> Vec<String> {
    let list = keys.text("4lw.commands.whitelist").unwrap_or_else(|| "srvr".to_owned());
    list.split(',').map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// Settings that promise protection or a different quorum: ignoring them would be worse than
/// not starting.
fn refuse_what_is_not_built(keys: &mut Keys) {
    const OFF: &str = "this server cannot do it yet; remove the line, or keep Apache ZooKeeper here";
    for key in ["sslQuorum", "portUnification", "client.portUnification", "quorum.auth.enableSasl"] {
        if keys.bool(key, false) {
            keys.problem(key, format!("{key}=true asks for TLS or SASL"), OFF);
        }
    }
    for key in ["secureClientPort", "oraclePath", "observerMasterPort"] {
        if keys.text(key).is_some_and(|value| value != "0") {
            keys.problem(key, format!("{key} is set"), OFF);
        }
    }
}

#[cfg(test)]
mod tests;
