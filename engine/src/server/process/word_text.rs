//! The exact text of each four-letter word's answer (operations §8.2), from plain data: what the replica looked like,
//! what the server was told, what was measured. It asks nobody and reads nothing.

use std::fmt::Write;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::origins::Origins;
use crate::ensemble::Membership;
use crate::server::replica::{ClientLine, ModeWord, Sessions, Status, Watched};
use crate::server::zab;
use crate::wire::proto::OpCode;

/// What the words show that the replica does not know.
#[derive(Debug, Clone)]
pub(super) struct Context {
    /// `<x.y.z>-<build>, built on <date>`.
    pub(super) version: String,
    /// The lines of `conf`, sizes excepted.
    pub(super) conf: Conf,
    pub(super) origins: Origins,
    /// Who belongs to the ensemble; `None` when standalone.
    pub(super) membership: Option<Membership>,
    /// The wall clock at the origin of the monotonic one, for dates of expiry.
    pub(super) origin_wall_ms: i64,
}

/// The configuration as `conf` shows it.
#[derive(Debug, Clone)]
pub(super) struct Conf {
    pub(super) client_port: i32,
    pub(super) data_dir: PathBuf,
    pub(super) data_log_dir: PathBuf,
    pub(super) tick_ms: u64,
    pub(super) clients_per_ip_max: usize,
    pub(super) session_timeout_ms_min: i32,
    pub(super) session_timeout_ms_max: i32,
    pub(super) backlog: i32,
    pub(super) server_id: i64,
    pub(super) quorum: Option<QuorumConf>,
}

/// The part of `conf` that only a member of an ensemble has.
#[derive(Debug, Clone)]
pub(super) struct QuorumConf {
    pub(super) init_limit: u32,
    pub(super) sync_limit: u32,
    pub(super) election_port: u16,
    pub(super) quorum_port: u16,
    pub(super) observer: bool,
    pub(super) membership: String,
}

/// What must be looked up for a word, and may take time: only what the word shows.
#[derive(Debug, Clone, Default)]
pub(super) struct Measured {
    pub(super) open_files: usize,
    pub(super) open_files_max: u64,
    /// Bytes of the files in `dataDir` and `dataLogDir`.
    pub(super) data_len: u64,
    pub(super) data_log_len: u64,
    /// Free on their file systems, on the fuller of the two.
    pub(super) free_bytes: Option<u64>,
    /// What it was started on is another thing now.
    pub(super) config_changed: bool,
    pub(super) data_moved: bool,
    /// The lines of `envi`.
    pub(super) environment: Vec<(&'static str, String)>,
}

pub(super) fn srvr(status: &Status, mode: ModeWord, context: &Context) -> String {
    server(status, mode, context, None)
}

pub(super) fn stat(status: &Status, mode: ModeWord, context: &Context) -> String {
    server(status, mode, context, Some(&stat_clients(status)))
}

fn server(status: &Status, mode: ModeWord, context: &Context, clients: Option<&str>) -> String {
    let stats = &status.stats;
    let latency = &stats.traffic.latency;
    let mut out = format!("Zookeeper version: {}\n", context.version);
    if let Some(clients) = clients {
        out.push_str(clients);
    }
    out += &format!(
        "Latency min/avg/max: {}/{}/{}\nReceived: {}\nSent: {}\nConnections: {}\nOutstanding: {}\nZxid: {}\nMode: {}\nNode count: {}\n",
        latency.min_ms,
        java_double(latency.avg_ms()),
        latency.max_ms,
        stats.traffic.received,
        stats.traffic.sent,
        status.connections,
        stats.traffic.outstanding,
        status.last_zxid,
        mode.text(),
        // The reference counts the root twice (operations §8.2 TRAP).
        status.znodes + 1,
    );
    if mode == ModeWord::Leader {
        out += &format!(
            "Proposal sizes last/min/max: {}/{}/{}\n",
            stats.proposals.last, stats.proposals.min, stats.proposals.max
        );
    }
    out
}

fn stat_clients(status: &Status) -> String {
    let mut out = String::from("Clients:\n");
    for line in &status.lists.connections {
        out += &format!(" {}[1]({})\n", java_addr(line.addr), counts(line));
    }
    out.push('\n');
    out
}

pub(super) fn cons(status: &Status) -> String {
    let mut out = String::new();
    for line in &status.lists.connections {
        out += &format!(" {}[1]({}", java_addr(line.addr), counts(line));
        if line.session.0 != 0 {
            let stats = &line.stats;
            out += &format!(
                ",sid={},lop={},est={},to={}",
                line.session,
                stats.last_op.map_or("NA", op_word),
                stats.established_wall_ms,
                line.timeout_ms
            );
            if stats.last_cxid >= 0 {
                out += &format!(",lcxid=0x{:x}", stats.last_cxid);
            }
            out += &format!(
                ",lzxid={},lresp={},llat={},minlat={},avglat={},maxlat={}",
                stats.last_zxid,
                stats.last_response_ms,
                stats.last_latency_ms,
                stats.latency.min_ms,
                stats.latency.avg_ms() as u64,
                stats.latency.max_ms
            );
        }
        out.push_str(")\n");
    }
    out.push('\n');
    out
}

fn counts(line: &ClientLine) -> String {
    format!("queued={},recved={},sent={}", line.queued, line.stats.received, line.stats.sent)
}

/// An address as Java prints a socket address.
fn java_addr(addr: SocketAddr) -> String {
    match addr.ip().to_canonical() {
        IpAddr::V4(ip) => format!("/{ip}:{}", addr.port()),
        IpAddr::V6(ip) => format!("/[{ip}]:{}", addr.port()),
    }
}

pub(super) fn mntr(status: &Status, mode: ModeWord, context: &Context, measured: &Measured) -> String {
    let stats = &status.stats;
    let mut out = String::new();
    let mut line = |key: &str, value: &dyn std::fmt::Display| {
        let _ = writeln!(out, "zk_{key}\t{value}");
    };
    line("version", &context.version);
    line("server_state", &mode.text());
    let peer_state = match mode {
        ModeWord::Standalone => None,
        ModeWord::Leader => Some("leading - broadcast"),
        ModeWord::Follower => Some("following - broadcast"),
        ModeWord::Observer => Some("observing - broadcast"),
    };
    if let Some(state) = peer_state {
        line("peer_state", &state);
    }
    line("avg_latency", &java_double(stats.traffic.latency.avg_ms()));
    line("max_latency", &stats.traffic.latency.max_ms);
    line("min_latency", &stats.traffic.latency.min_ms);
    line("packets_received", &stats.traffic.received);
    line("packets_sent", &stats.traffic.sent);
    line("num_alive_connections", &status.connections);
    line("outstanding_requests", &stats.traffic.outstanding);
    line("uptime", &status.now.ms.saturating_sub(stats.started_ms));
    line("znode_count", &(status.znodes + 1));
    line("watch_count", &status.watches);
    line("ephemerals_count", &status.ephemerals);
    line("approximate_data_size", &status.data_size);
    line("global_sessions", &status.sessions);
    line("local_sessions", &0);
    line("open_file_descriptor_count", &measured.open_files);
    line("max_file_descriptor_count", &measured.open_files_max);
    // Ours alone: the reference leaves the disk to whoever watches the machine.
    if let Some(free) = measured.free_bytes {
        line("disk_free_bytes", &free);
    }
    // Ours alone, too: a start would find these.
    line("config_changed", &u8::from(measured.config_changed));
    line("data_moved", &u8::from(measured.data_moved));
    line("auth_failed_count", &stats.traffic.auth_failed);
    line("digest_mismatches_count", &stats.digest_mismatches);
    if let Some(membership) = &context.membership {
        line("quorum_size", &membership.voters().count());
        if mode == ModeWord::Leader {
            let learners = &status.learners;
            let count = |of: &dyn Fn(&zab::LearnerStatus) -> bool| learners.iter().filter(|l| of(l)).count();
            line("learners", &learners.len());
            line("synced_followers", &count(&|l| l.synced && membership.is_voter(l.sid)));
            line(
                "synced_non_voting_followers",
                &count(&|l| l.synced && !l.observer && !membership.is_voter(l.sid)),
            );
            line("synced_observers", &count(&|l| l.synced && l.observer));
            line("pending_syncs", &count(&|l| !l.synced));
            line("last_proposal_size", &stats.proposals.last);
            line("max_proposal_size", &stats.proposals.max);
            line("min_proposal_size", &stats.proposals.min);
        }
    }
    out
}

pub(super) fn conf(conf: &Conf, measured: &Measured) -> String {
    let mut out = format!(
        "clientPort={}\nsecureClientPort=-1\ndataDir={}\ndataDirSize={}\ndataLogDir={}\ndataLogSize={}\ntickTime={}\n\
         maxClientCnxns={}\nminSessionTimeout={}\nmaxSessionTimeout={}\nclientPortListenBacklog={}\nserverId={}\n",
        conf.client_port,
        conf.data_dir.display(),
        measured.data_len,
        conf.data_log_dir.display(),
        measured.data_log_len,
        conf.tick_ms,
        conf.clients_per_ip_max,
        conf.session_timeout_ms_min,
        conf.session_timeout_ms_max,
        conf.backlog,
        conf.server_id,
    );
    if let Some(quorum) = &conf.quorum {
        out += &format!(
            "initLimit={}\nsyncLimit={}\nelectionAlg=3\nelectionPort={}\nquorumPort={}\npeerType={}\nmembership: \n{}",
            quorum.init_limit,
            quorum.sync_limit,
            quorum.election_port,
            quorum.quorum_port,
            i32::from(quorum.observer),
            quorum.membership,
        );
    }
    out
}

pub(super) fn dump(status: &Status, context: &Context) -> String {
    let mut out = String::from("SessionTracker dump:\n");
    match &status.lists.sessions {
        Some(Sessions::Expiring(buckets)) => {
            let sessions: usize = buckets.iter().map(|(_, ids)| ids.len()).sum();
            out += &format!("Session Sets ({})/({sessions}):\n", buckets.len());
            for (at_ms, ids) in buckets {
                let at = java_date(context.origin_wall_ms + *at_ms as i64);
                out += &format!("{} expire at {at}:\n", ids.len());
                ids.iter().for_each(|id| out += &format!("\t{id}\n"));
            }
        }
        Some(Sessions::Known(sessions)) => {
            out += &format!("Global Sessions({}):\n", sessions.len());
            for (id, timeout_ms) in sessions {
                out += &format!("{id}\t{timeout_ms}ms\n");
            }
        }
        None => {}
    }
    let ephemerals = &status.lists.ephemerals;
    out += &format!("ephemeral nodes dump:\nSessions with Ephemerals ({}):\n", ephemerals.len());
    for (session, paths) in ephemerals {
        out += &format!("{session}:\n");
        paths.iter().for_each(|path| out += &format!("\t{path}\n"));
    }
    // Connections have no expiry of their own here: they end with their session.
    let lines = &status.lists.connections;
    out += &format!("Connections dump:\nConnections Sets (0)/({}):\n", lines.len());
    for line in lines {
        out += &format!("\tip: {} sessionId: {}\n", java_addr(line.addr), line.session);
    }
    out
}

pub(super) fn wchs(status: &Status) -> String {
    let Watched { connections, paths, watches } = status.watched;
    format!("{connections} connections watching {paths} paths\nTotal watches:{watches}\n")
}

pub(super) fn envi(measured: &Measured) -> String {
    let mut out = String::from("Environment:\n");
    for (key, value) in &measured.environment {
        out += &format!("{key}={value}\n");
    }
    out
}

/// A double as Java prints it, rounded to four decimals: at least one digit behind the point.
fn java_double(value: f64) -> String {
    let rounded = (value * 10_000.0).round() / 10_000.0;
    if rounded.fract() == 0.0 { format!("{rounded:.1}") } else { format!("{rounded}") }
}

/// `EEE MMM dd HH:mm:ss zzz yyyy` in the server's zone.
fn java_date(wall_ms: i64) -> String {
    let time = Timestamp::from_millisecond(wall_ms).unwrap_or_default();
    time.to_zoned(TimeZone::system()).strftime("%a %b %d %H:%M:%S %Z %Y").to_string()
}

fn op_word(op: OpCode) -> &'static str {
    match op {
        OpCode::CreateSession => "SESS",
        OpCode::Ping => "PING",
        OpCode::Create | OpCode::Create2 | OpCode::CreateContainer | OpCode::CreateTtl => "CREA",
        OpCode::Delete | OpCode::DeleteContainer => "DELE",
        OpCode::SetData => "SETD",
        OpCode::Multi => "MULT",
        OpCode::MultiRead => "MLTR",
        OpCode::Reconfig => "RECO",
        OpCode::Exists => "EXIS",
        OpCode::GetData => "GETD",
        OpCode::GetChildren | OpCode::GetChildren2 => "GETC",
        OpCode::GetAllChildrenNumber => "GETACN",
        OpCode::GetAcl => "GETA",
        OpCode::SetAcl => "SETA",
        OpCode::GetEphemerals => "GETE",
        OpCode::Sync => "SYNC",
        OpCode::Check => "CHEC",
        OpCode::SetWatches => "SETW",
        OpCode::SetWatches2 => "STW2",
        OpCode::AddWatch => "ADDW",
        OpCode::CheckWatches => "CHKW",
        OpCode::RemoveWatches => "REMW",
        OpCode::WhoAmI => "HOMI",
        OpCode::CloseSession => "CLOS",
        OpCode::Error | OpCode::Auth | OpCode::Sasl => "NA",
    }
}
