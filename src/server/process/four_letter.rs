//! Four-letter words: what they are, who may ask, and the exact text of each answer (operations §8.1, §8.2).
//! Reads the replica, changes nothing.

use std::fmt::Write;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::environment;
use crate::ensemble::Membership;
use crate::server::replica::{ClientLine, ModeWord, Now, Replica};
use crate::server::zab;
use crate::wire::proto::OpCode;

/// The words this server knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Word {
    Ruok,
    Srvr,
    Stat,
    Mntr,
    Conf,
    Cons,
    Envi,
    Dump,
    Isro,
    Wchs,
}

impl Word {
    const ALL: [(Word, &'static str); 10] = [
        (Word::Ruok, "ruok"),
        (Word::Srvr, "srvr"),
        (Word::Stat, "stat"),
        (Word::Mntr, "mntr"),
        (Word::Conf, "conf"),
        (Word::Cons, "cons"),
        (Word::Envi, "envi"),
        (Word::Dump, "dump"),
        (Word::Isro, "isro"),
        (Word::Wchs, "wchs"),
    ];

    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Word> {
        Word::ALL.into_iter().find(|(_, text)| text.as_bytes() == bytes).map(|(word, _)| word)
    }

    fn text(self) -> &'static str {
        Word::ALL.into_iter().find(|(word, _)| *word == self).map_or("", |(_, text)| text)
    }
}

/// Which words are answered: `4lw.commands.whitelist`, and `srvr` always.
#[derive(Debug, Clone)]
pub(super) struct Whitelist {
    words: Vec<String>,
}

impl Whitelist {
    /// A comma list; `*` is every word.
    pub(super) fn new(list: &str) -> Whitelist {
        Whitelist { words: list.split(',').map(|word| word.trim().to_owned()).collect() }
    }

    fn allows(&self, word: Word) -> bool {
        word == Word::Srvr || self.words.iter().any(|listed| listed == "*" || listed == word.text())
    }
}

/// What the words show that the replica does not know.
#[derive(Debug, Clone)]
pub(super) struct Context {
    /// `<x.y.z>-<build>, built on <date>`.
    pub(super) version: String,
    /// The lines of `conf`, sizes excepted.
    pub(super) conf: Conf,
    /// Who belongs to the ensemble; `None` when standalone.
    pub(super) membership: Option<Membership>,
    /// The wall clock at the origin of the monotonic one, for dates of expiry.
    pub(super) origin_wall_ms: i64,
}

/// The configuration as `conf` shows it.
#[derive(Debug, Clone)]
pub(super) struct Conf {
    pub(super) client_port: i32,
    pub(super) data_dir: std::path::PathBuf,
    pub(super) data_log_dir: std::path::PathBuf,
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

/// The answer to a word, as the connection gets it before it is closed.
pub(super) fn answer(
    word: Word,
    replica: &Replica,
    now: Now,
    context: &Context,
    whitelist: &Whitelist,
) -> String {
    if !whitelist.allows(word) {
        return format!("{} is not executed because it is not in the whitelist.\n", word.text());
    }
    let Some(mode) = replica.mode() else {
        return match word {
            Word::Ruok => "imok".to_owned(),
            Word::Envi => envi(context),
            Word::Isro => "null".to_owned(),
            _ => "This ZooKeeper instance is not currently serving requests\n".to_owned(),
        };
    };
    match word {
        Word::Ruok => "imok".to_owned(),
        Word::Isro => "rw".to_owned(),
        Word::Envi => envi(context),
        Word::Srvr => srvr(replica, mode, context, None),
        Word::Stat => srvr(replica, mode, context, Some(&stat_clients(replica))),
        Word::Mntr => mntr(replica, mode, now, context),
        Word::Conf => conf(&context.conf),
        Word::Cons => cons(replica),
        Word::Dump => dump(replica, context),
        Word::Wchs => {
            let (connections, paths, watches) = replica.watch_summary();
            format!("{connections} connections watching {paths} paths\nTotal watches:{watches}\n")
        }
    }
}

fn srvr(replica: &Replica, mode: ModeWord, context: &Context, clients: Option<&str>) -> String {
    let stats = replica.stats();
    let latency = &stats.latency;
    let mut out = format!("Zookeeper version: {}\n", context.version);
    if let Some(clients) = clients {
        out.push_str(clients);
    }
    out += &format!(
        "Latency min/avg/max: {}/{}/{}\nReceived: {}\nSent: {}\nConnections: {}\nOutstanding: {}\nZxid: {}\nMode: {}\nNode count: {}\n",
        latency.min_ms,
        java_double(latency.avg_ms()),
        latency.max_ms,
        stats.received,
        stats.sent,
        replica.client_count(),
        stats.outstanding,
        replica.last_zxid(),
        mode.text(),
        // The reference counts the root twice (operations §8.2 TRAP).
        replica.tree().node_count() + 1,
    );
    if mode == ModeWord::Leader {
        out += &format!(
            "Proposal sizes last/min/max: {}/{}/{}\n",
            stats.proposal_len_last, stats.proposal_len_min, stats.proposal_len_max
        );
    }
    out
}

fn stat_clients(replica: &Replica) -> String {
    let mut out = String::from("Clients:\n");
    for line in replica.client_lines() {
        out += &format!(" {}[1]({})\n", java_addr(&line), counts(&line));
    }
    out.push('\n');
    out
}

fn cons(replica: &Replica) -> String {
    let mut out = String::new();
    for line in replica.client_lines() {
        out += &format!(" {}[1]({}", java_addr(&line), counts(&line));
        if line.session.0 != 0 {
            let stats = line.stats;
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

fn counts(line: &ClientLine<'_>) -> String {
    format!("queued={},recved={},sent={}", line.queued, line.stats.received, line.stats.sent)
}

/// An address as Java prints a socket address.
fn java_addr(line: &ClientLine<'_>) -> String {
    let ip = line.addr.ip().to_canonical();
    match ip {
        std::net::IpAddr::V4(ip) => format!("/{ip}:{}", line.addr.port()),
        std::net::IpAddr::V6(ip) => format!("/[{ip}]:{}", line.addr.port()),
    }
}

fn mntr(replica: &Replica, mode: ModeWord, now: Now, context: &Context) -> String {
    let stats = replica.stats();
    let tree = replica.tree();
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
    line("avg_latency", &java_double(stats.latency.avg_ms()));
    line("max_latency", &stats.latency.max_ms);
    line("min_latency", &stats.latency.min_ms);
    line("packets_received", &stats.received);
    line("packets_sent", &stats.sent);
    line("num_alive_connections", &replica.client_count());
    line("outstanding_requests", &stats.outstanding);
    line("uptime", &now.ms.saturating_sub(stats.started_ms));
    line("znode_count", &(tree.node_count() + 1));
    line("watch_count", &replica.watch_count());
    line("ephemerals_count", &tree.ephemerals_count());
    line("approximate_data_size", &tree.approximate_data_size());
    line("global_sessions", &tree.sessions().len());
    line("local_sessions", &0);
    line("open_file_descriptor_count", &environment::open_files());
    line("max_file_descriptor_count", &environment::open_files_max());
    line("auth_failed_count", &stats.auth_failed);
    line("digest_mismatches_count", &stats.digest_mismatches);
    if let (Some(zab), Some(membership)) = (replica.zab(), &context.membership) {
        line("quorum_size", &membership.voters().count());
        if mode == ModeWord::Leader {
            let learners: Vec<_> = zab.learners().collect();
            let count = |of: &dyn Fn(&zab::LearnerStatus) -> bool| learners.iter().filter(|l| of(l)).count();
            line("learners", &learners.len());
            line("synced_followers", &count(&|l| l.synced && membership.is_voter(l.sid)));
            line(
                "synced_non_voting_followers",
                &count(&|l| l.synced && !l.observer && !membership.is_voter(l.sid)),
            );
            line("synced_observers", &count(&|l| l.synced && l.observer));
            line("pending_syncs", &count(&|l| !l.synced));
            line("last_proposal_size", &stats.proposal_len_last);
            line("max_proposal_size", &stats.proposal_len_max);
            line("min_proposal_size", &stats.proposal_len_min);
        }
    }
    out
}

fn conf(conf: &Conf) -> String {
    let mut out = format!(
        "clientPort={}\nsecureClientPort=-1\ndataDir={}\ndataDirSize={}\ndataLogDir={}\ndataLogSize={}\ntickTime={}\n\
         maxClientCnxns={}\nminSessionTimeout={}\nmaxSessionTimeout={}\nclientPortListenBacklog={}\nserverId={}\n",
        conf.client_port,
        conf.data_dir.display(),
        environment::dir_len(&conf.data_dir),
        conf.data_log_dir.display(),
        environment::dir_len(&conf.data_log_dir),
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

fn dump(replica: &Replica, context: &Context) -> String {
    let mut out = String::from("SessionTracker dump:\n");
    match replica.session_buckets() {
        Some(buckets) => {
            let sessions: usize = buckets.iter().map(|(_, ids)| ids.len()).sum();
            out += &format!("Session Sets ({})/({sessions}):\n", buckets.len());
            for (at_ms, ids) in buckets {
                let at = java_date(context.origin_wall_ms + at_ms as i64);
                out += &format!("{} expire at {at}:\n", ids.len());
                ids.iter().for_each(|id| out += &format!("\t{id}\n"));
            }
        }
        None => {
            out += &format!("Global Sessions({}):\n", replica.tree().sessions().len());
            for (id, timeout_ms) in replica.tree().sessions() {
                out += &format!("{id}\t{timeout_ms}ms\n");
            }
        }
    }
    let ephemerals: Vec<_> = replica.tree().ephemerals().collect();
    out += &format!("ephemeral nodes dump:\nSessions with Ephemerals ({}):\n", ephemerals.len());
    for (session, paths) in ephemerals {
        out += &format!("{session}:\n");
        paths.iter().for_each(|path| out += &format!("\t{path}\n"));
    }
    // Connections have no expiry of their own here: they end with their session.
    let lines = replica.client_lines();
    out += &format!("Connections dump:\nConnections Sets (0)/({}):\n", lines.len());
    for line in lines {
        out += &format!("\tip: {} sessionId: {}\n", java_addr(&line), line.session);
    }
    out
}

fn envi(context: &Context) -> String {
    let mut out = String::from("Environment:\n");
    for (key, value) in environment::facts(&context.version) {
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
