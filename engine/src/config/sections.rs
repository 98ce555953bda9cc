//! The parts of a [`super::ServerConfig`], key by key: names, defaults, bounds, and what must hold
//! between keys.

use std::io;
use std::path::Path;

use super::keys::Keys;
use super::members;
use super::settings::{Containers, Election, Pipeline, Quorum, Role, Storage};
use crate::ensemble::{Listen, MemberRole, Membership, grammar};
use crate::formats::compression::Compression;
use crate::formats::marker::{CLUSTER_KEY, MEMBER_KEY, Owner, UUID_KEY};

pub(super) fn session_timeouts(keys: &mut Keys, tick_ms: u64) -> (u64, u64) {
    let mut bound = |key, ticks: u64| match keys.number(key, -1, -1, i32::MAX as i64) {
        -1 => tick_ms * ticks,
        set => set as u64,
    };
    let (min, max) = (bound("minSessionTimeout", 2), bound("maxSessionTimeout", 20));
    if min > max {
        let what = format!("minSessionTimeout ({min} ms) is above maxSessionTimeout ({max} ms)");
        // Where one of them is derived, the other is to blame.
        let blamed = ["minSessionTimeout", "maxSessionTimeout"].into_iter().find(|key| keys.has(key));
        let advice = "raise maxSessionTimeout or lower minSessionTimeout";
        keys.problem(blamed.unwrap_or("tickTime"), what, advice);
    }
    (min, max)
}

pub(super) fn listen(keys: &mut Keys, port_key: &'static str, address_key: &'static str) -> Option<Listen> {
    let port = keys.port(port_key);
    let host = keys.text(address_key);
    if host.is_some() && port.is_none() {
        let what = format!("{address_key} is set, but {port_key} is not");
        keys.problem(address_key, what, &format!("add {port_key}=2181, or remove this line"));
    }
    port.map(|port| Listen { host, port })
}

pub(super) fn role(keys: &mut Keys, file: &Path, read: &dyn Fn(&Path) -> io::Result<Vec<u8>>) -> Role {
    let standalone_enabled = keys.bool("standaloneEnabled", true);
    let listed = members::read(keys, file, read);
    let [init_limit_ticks, sync_limit_ticks, connect_limit_ticks] =
        ["initLimit", "syncLimit", "connectToLearnerMasterLimit"]
            .map(|key| keys.number(key, 0, 0, i32::MAX as i64) as u32);
    let listen_on_all_ips = keys.bool("quorumListenOnAllIPs", false);
    let unlisted_learners = keys.number("zkops.unlistedLearners", 0, 0, UNLISTED_LEARNERS_MAX) as usize;
    let leader_serves = keys.switch("leaderServes", true);
    let peer_type = peer_type(keys);
    if keys.number("electionAlg", 3, i32::MIN as i64, i32::MAX as i64) != 3 {
        let what = "election algorithms other than 3 are gone since 3.6".to_owned();
        keys.problem("electionAlg", what, "remove this line");
    }
    let voters = listed.voters();
    if voters <= 1 && standalone_enabled {
        alone(keys, voters, listed.members.len() - voters);
        return Role::Standalone;
    }
    for (key, ticks) in [("initLimit", init_limit_ticks), ("syncLimit", sync_limit_ticks)] {
        if ticks == 0 {
            let example = if key == "initLimit" { 10 } else { 5 };
            let advice = format!("an ensemble needs it: add {key}={example}");
            match keys.has(key) {
                // What is no number was named already.
                true if keys.text(key).is_some_and(|text| text.parse::<i64>() != Ok(0)) => {}
                true => keys.problem(key, format!("{key} is 0"), &format!("write {key}={example}")),
                false => keys.missing(key, &advice),
            }
        }
    }
    if voters > 0 && voters.is_multiple_of(2) {
        keys.warn(
            None,
            &format!(
                "{voters} participants survive no more failures than {} would: an odd number is better",
                voters - 1
            ),
        );
    }
    let lines = listed.text();
    let members = listed.members.into_iter().map(|(member, _)| member);
    let Ok(membership) = Membership::new(listed.version, members) else {
        let what = "standaloneEnabled=false needs at least one participant".to_owned();
        keys.problem("server.", what, "add the server.N lines of the ensemble");
        return Role::Standalone;
    };
    Role::Quorum(Quorum {
        membership,
        lines,
        init_limit_ticks,
        sync_limit_ticks,
        connect_limit_ticks: if connect_limit_ticks == 0 { init_limit_ticks } else { connect_limit_ticks },
        listen_on_all_ips,
        unlisted_learners,
        leader_serves,
        peer_type,
    })
}

/// One server by itself, whatever lines there are.
fn alone(keys: &mut Keys, voters: usize, observers: usize) {
    match (voters, observers) {
        (0, 0) => {}
        (1, 0) => keys.warn(None, "one server line alone: running standalone, the line is ignored"),
        _ => keys.problem(
            "server.",
            format!("{voters} participants with {observers} observers cannot form an ensemble"),
            "list at least two participants, or set standaloneEnabled=false for one",
        ),
    }
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

pub(super) fn storage(keys: &mut Keys) -> Storage {
    let kib = |keys: &mut Keys, key: &'static str, default: i64| {
        let limit = keys.number(key, default, i64::MIN, i64::MAX / 1024);
        (limit > 0).then(|| limit as u64 * 1024)
    };
    let retain = keys.number("autopurge.snapRetainCount", 3, i32::MIN as i64, i32::MAX as i64);
    if retain < 3 {
        keys.warn(
            Some("autopurge.snapRetainCount"),
            &format!("autopurge.snapRetainCount={retain} is raised to 3, the least that is kept"),
        );
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

pub(super) fn pipeline(keys: &mut Keys) -> Pipeline {
    let frame = keys.number("jute.maxbuffer", 0xf_ffff, 1024, i32::MAX as i64);
    // As much again, unless it is said; never less than 1024 (`BinaryInputArchive`).
    let extra = keys.number("jute.maxbuffer.extrasize", frame, 0, i32::MAX as i64).max(1024);
    Pipeline {
        frame_bytes_max: frame as usize,
        outstanding_max: keys.number("globalOutstandingLimit", 1000, 1, i64::from(i32::MAX)) as u64,
        txn_bytes_max: (frame + extra).min(i32::MAX as i64) as usize,
        committed_log_txns: keys.number("commitLogCount", 500, i32::MIN as i64, i32::MAX as i64).max(500)
            as usize,
        extended_types: keys.flag("extendedTypesEnabled", false),
        skip_acl: keys.switch("skipACL", false),
        enforce_quota: keys.flag("enforceQuota", false),
        digest: keys.flag("digest.enabled", true),
        close_session_txn: keys.flag("closeSessionTxn.enabled", true),
        super_digest: keys.text("DigestAuthenticationProvider.superDigest"),
    }
}

pub(super) fn election(keys: &mut Keys) -> Election {
    Election {
        cnx_timeout_ms: keys.number("cnxTimeout", 5000, 1, i32::MAX as i64) as u64,
        notification_ms_min: keys.number("fastleader.minNotificationInterval", 200, 1, i32::MAX as i64)
            as u64,
        notification_ms_max: keys.number("fastleader.maxNotificationInterval", 60_000, 1, i32::MAX as i64)
            as u64,
    }
}

pub(super) fn four_letter_words(keys: &mut Keys) -> Vec<String> {
    let list = keys.text("4lw.commands.whitelist").unwrap_or_else(|| "srvr".to_owned());
    list.split(',').map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// Settings that promise protection or a different quorum: ignoring them would be worse than
/// not starting.
pub(super) fn refuse_what_is_not_built(keys: &mut Keys) {
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
    for key in ["enforce.auth.enabled", "sessionRequireClientSASLAuth"] {
        if keys.flag(key, false) {
            keys.problem(key, format!("{key}=true keeps out who has not proven who they are"), OFF);
        }
    }
    if !keys.flag("DigestAuthenticationProvider.enabled", true) {
        const KEY: &str = "DigestAuthenticationProvider.enabled";
        keys.problem(KEY, format!("{KEY}=false closes the way of names and passwords"), OFF);
    }
    // Another algorithm makes other ids of the same passwords: nobody would get in.
    const ALGORITHM: &str = "DigestAuthenticationProvider.digestAlg";
    if let Some(text) = keys.text(ALGORITHM).filter(|text| !["SHA1", "SHA-1"].contains(&text.as_str())) {
        keys.problem(ALGORITHM, format!("{ALGORITHM} is {text:?}, and digests are made with SHA1 here"), OFF);
    }
}

/// Settings of the reference that mean nothing here yet, or have nothing to steer. Their values are read as its
/// would be, so that a file that it refuses is refused, and a value that is not the default is named at the start.
pub(super) fn without_effect(keys: &mut Keys) {
    for key in ["clientTcpKeepAlive", "tcpKeepAlive", "readonlymode.enabled", "audit.enable"] {
        let set = keys.flag(key, false);
        keys.no_effect(key, set);
    }
    let reconfig = keys.bool("reconfigEnabled", false);
    keys.no_effect("reconfigEnabled", reconfig);
    let numbers = [
        ("maxBatchSize", 1000, 1, i64::from(i32::MAX)),
        ("flushDelay", 0, 0, i64::MAX),
        ("maxWriteQueuePollTime", 0, 0, i64::MAX),
        ("electionPortBindRetry", 3, 0, i64::from(i32::MAX)),
        ("znode.container.maxPerMinute", 10_000, 1, i64::from(i32::MAX)),
    ];
    for (key, default, min, max) in numbers {
        let number = keys.number(key, default, min, max);
        keys.no_effect(key, number != default);
    }
}

/// Whose data this server is started for; `deploy` writes it.
pub(super) fn owner(keys: &mut Keys) -> Owner {
    let member = keys.text(MEMBER_KEY);
    let id = member.as_deref().and_then(grammar::parse_id);
    if let Some(text) = member.filter(|_| id.is_none()) {
        let what = format!("{MEMBER_KEY} is {text:?}, not a server's number");
        keys.problem(MEMBER_KEY, what, "write the N of this server's server.N line, or remove this line");
    }
    Owner { cluster: keys.text(CLUSTER_KEY), member: id.map(|id| id.0), uuid: keys.text(UUID_KEY) }
}

pub(super) fn containers(keys: &mut Keys) -> Containers {
    Containers {
        check_interval_ms: keys.number("znode.container.checkIntervalMs", 60_000, 1, i64::MAX) as u64,
        never_used_ms_max: keys.number("znode.container.maxNeverUsedIntervalMs", 0, 0, i64::MAX) as u64,
    }
}

/// More at a time than anybody adds to an ensemble; each may hold a snapshot's worth of memory.
const UNLISTED_LEARNERS_MAX: i64 = 16;
