//! zoo.cfg texts in, settings or the printed problems out.

use std::io;
use std::path::Path;

use super::*;
use crate::ensemble::{Address, Listen, MemberRole};
use crate::formats::compression::Compression;
use crate::wire::ids::ServerId;

fn parse_with(text: &str, overrides: &[(&str, &str)]) -> Result<(ServerConfig, Vec<Warning>), Invalid> {
    let overrides: Vec<_> = overrides.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    let read = |path: &Path| match path.to_str() {
        Some("/etc/zoo.cfg.dynamic.10000000a") => {
            Ok(b"server.1=a:1:2:participant;2181\nserver.2=b:1:2:observer\nserver.3=c:1:2\n".to_vec())
        }
        Some("/etc/bad.dynamic") => Ok(b"server.1=a:1:2\nversion=5\nclientPort=1\n".to_vec()),
        _ => Err(io::ErrorKind::NotFound.into()),
    };
    ServerConfig::parse(Path::new("/etc/zoo.cfg"), text.as_bytes(), &overrides, &read)
}

fn parse(text: &str) -> (ServerConfig, Vec<Warning>) {
    parse_with(text, &[]).unwrap_or_else(|invalid| panic!("{invalid}"))
}

fn quorum(config: &ServerConfig) -> &Quorum {
    match &config.role {
        Role::Quorum(quorum) => quorum,
        Role::Standalone => panic!("standalone"),
    }
}

/// The problems of a text, one a line.
fn problems(text: &str) -> String {
    parse_with(text, &[]).expect_err("it must not pass").to_string()
}

fn warnings(text: &str) -> String {
    parse(text).1.iter().map(Warning::to_string).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_walkthroughs_file_works_unchanged() {
    let (config, warnings) = parse(WALKTHROUGH);
    assert!(warnings.is_empty(), "{warnings:?}");
    assert_eq!(config.data_dir, Path::new("/export/data/zkdata"));
    assert_eq!(config.data_log_dir, config.data_dir);
    assert_eq!(
        (config.tick_ms, config.min_session_timeout_ms, config.max_session_timeout_ms),
        (2000, 4000, 40_000)
    );
    assert_eq!(config.max_client_cnxns, Some(60));
    let quorum = quorum(&config);
    assert_eq!((quorum.init_limit_ticks, quorum.sync_limit_ticks, quorum.connect_limit_ticks), (10, 5, 10));
    assert_eq!(
        quorum.lines,
        "server.1=192.168.17.130:2888:3888\nserver.2=192.168.17.131:2888:3888\n\
         server.3=192.168.17.132:2888:3888\nversion=0"
    );
    assert_eq!(quorum.unlisted_learners, 0, "who is not listed gets nothing");
    let identity = config.identity(Some(ServerId(3))).unwrap();
    assert_eq!(identity.role, MemberRole::Participant);
    assert_eq!(identity.client, Some(Listen { host: None, port: 2181 }));
    assert_eq!(
        quorum.membership.get(ServerId(3)).unwrap().addresses,
        [Address { host: "192.168.17.132".to_owned(), quorum_port: 2888, election_port: 3888 }]
    );
}

#[test]
fn its_sample_alone_is_a_standalone_server() {
    let text = WALKTHROUGH.split("server.1").next().unwrap();
    let (config, _) = parse(text);
    assert_eq!(config.role, Role::Standalone);
    assert_eq!(config.identity(None).unwrap().client, Some(Listen { host: None, port: 2181 }));
}

/// A setting that is read and means nothing is worse than an unknown one: its writer counts on it.
#[test]
fn keys_that_change_nothing_here_are_named_when_they_are_set() {
    let named = |line: &str| {
        let (_, warnings) = parse(&format!("dataDir=/d\n{line}"));
        warnings.iter().any(|warning| matches!(warning, Warning::WithoutEffect(_)))
    };
    for line in [
        "clientTcpKeepAlive=true",
        "zookeeper.readonlymode.enabled=true",
        "audit.enable=true",
        "reconfigEnabled=true",
        "flushDelay=5",
        "znode.container.maxPerMinute=7",
    ] {
        assert!(named(line), "{line}");
    }
    for line in ["clientTcpKeepAlive=false", "globalOutstandingLimit=10", "maxCnxns=7", "snapCount=5"] {
        assert!(!named(line), "{line}");
    }
    // What the reference refuses is refused although nothing would come of it, and so is what would lock people out.
    for line in ["maxBatchSize=x", "DigestAuthenticationProvider.digestAlg=SHA-256"] {
        assert!(parse_with(&format!("dataDir=/d\n{line}"), &[]).is_err(), "{line}");
    }
}

#[test]
fn defaults_are_the_references() {
    let (config, _) = parse("dataDir=/d");
    assert_eq!(
        (config.tick_ms, config.min_session_timeout_ms, config.max_session_timeout_ms),
        (3000, 6000, 60_000)
    );
    assert_eq!((config.client.clone(), config.max_client_cnxns, config.max_cnxns), (None, Some(60), None));
    let storage = &config.storage;
    assert_eq!((storage.snap_count, storage.snap_log_bytes), (100_000, Some(4 << 30)));
    assert_eq!((storage.prealloc_bytes, storage.log_file_bytes_max), (64 << 20, None));
    assert_eq!((storage.purge_interval_ms, storage.purge_retain), (None, 3));
    assert!(storage.force_sync && storage.db_autocreate && storage.dir_autocreate && !storage.trust_empty);
    assert_eq!(storage.fsync_warning_ms, 1000);
    let pipeline = &config.pipeline;
    assert_eq!((pipeline.frame_bytes_max, pipeline.txn_bytes_max), (1_048_575, 2_097_150));
    assert_eq!(pipeline.committed_log_txns, 500);
    assert!(pipeline.digest && pipeline.close_session_txn && !pipeline.skip_acl && !pipeline.extended_types);
    assert_eq!(config.four_letter_words, ["srvr"]);
    let election = &config.election;
    assert_eq!(
        (election.cnx_timeout_ms, election.notification_ms_min, election.notification_ms_max),
        (5000, 200, 60_000)
    );
}

#[test]
fn keys_are_taken_short_long_and_from_the_command_line() {
    let text = "dataDir=/d\nsnapCount=7\nzookeeper.preAllocSize=64\nforceSync=no\nskipACL=yes\nleaderServes=no\n\
                jute.maxbuffer=4194304\nautopurge.purgeInterval=2\nautopurge.snapRetainCount=10\n\
                4lw.commands.whitelist= ruok , mntr,*\nmaxClientCnxns=0\nsnapSizeLimitInKb=-1\n\
                snapshot.compression.method=gz\nsnapshot.trust.empty=TRUE\ndb.autocreate=no\nzkops.cluster=orders\nzkops.member=2\nzkops.uuid=7b0c";
    let (config, said) = parse(text);
    assert!(said.is_empty(), "{said:?}");
    let storage = &config.storage;
    assert_eq!((storage.snap_count, storage.prealloc_bytes, storage.snap_log_bytes), (7, 65_536, None));
    assert!(!storage.force_sync && config.pipeline.skip_acl && storage.trust_empty && !storage.db_autocreate);
    assert_eq!((storage.purge_interval_ms, storage.purge_retain), (Some(7_200_000), 10));
    assert_eq!(storage.snapshot_compression, Compression::Gzip);
    assert_eq!(config.owner.to_string(), "member 2 of cluster orders (7b0c)");
    assert!(problems("dataDir=/d\nzkops.member=two").contains("zoo.cfg:2: zkops.member is \"two\""));
    assert_eq!((config.pipeline.frame_bytes_max, config.pipeline.txn_bytes_max), (4 << 20, 8 << 20));
    assert_eq!(config.four_letter_words, ["ruok", "mntr", "*"]);
    assert_eq!(config.max_client_cnxns, None);
    let overrides = [("zookeeper.snapCount", "9"), ("tickTime", "500"), ("dataDir", "/other")];
    let (config, _) = parse_with(text, &overrides).unwrap();
    assert_eq!((config.storage.snap_count, config.tick_ms), (9, 500));
    assert_eq!(config.data_dir, Path::new("/other"));
    for (text, ms) in
        [("3", 10_800_000), ("500ms", 500), ("90s", 90_000), ("5m", 300_000), ("1d", 86_400_000)]
    {
        let (config, _) = parse(&format!("dataDir=/d\nautopurge.purgeInterval={text}"));
        assert_eq!(config.storage.purge_interval_ms, Some(ms), "{text}");
    }
}

#[test]
fn unknown_keys_are_named_once_with_their_lines() {
    assert_eq!(
        warnings(
            "dataDir=/d\nsnapCont=5\ninitlimit=10\nadmin.serverPort=8081\nautopurge.snapRetainCount=1\ntickTime=1\ntickTime=2\nnope"
        ),
        "/etc/zoo.cfg:7: tickTime is set again (/etc/zoo.cfg:6 had it): this line wins\n\
         /etc/zoo.cfg: autopurge.snapRetainCount=1 is raised to 3, the least that is kept\n\
         unknown keys are ignored, check their spelling: initlimit (/etc/zoo.cfg:3), nope (/etc/zoo.cfg:8), snapCont (/etc/zoo.cfg:2)\n\
         keys of Apache ZooKeeper without effect here: admin.serverPort (/etc/zoo.cfg:4)"
    );
    assert!(warnings("dataDir=data").contains("use an absolute path"));
    let two = "dataDir=/d\ninitLimit=1\nsyncLimit=1\nserver.1=a:1:2\nserver.2=b:1:2";
    assert!(warnings(two).contains("an odd number is better"));
}

#[test]
fn every_problem_is_reported_with_file_line_and_advice() {
    assert_eq!(
        problems(
            "tickTime=0\nclientPort=99999\nclientPortAddress=1.2.3.4\nstandaloneEnabled=yes\nmaxClientCnxns=many\nminSessionTimeout=9\nmaxSessionTimeout=3\nautopurge.purgeInterval=1w\nsnapshot.compression.method=zip\npeerType=leader\nelectionAlg=1"
        ),
        "/etc/zoo.cfg: dataDir is missing; add a line like dataDir=/var/lib/zookeeper\n\
         /etc/zoo.cfg:1: tickTime is 0; write a number, 1 or more\n\
         /etc/zoo.cfg:6: minSessionTimeout (9 ms) is above maxSessionTimeout (3 ms); raise maxSessionTimeout or lower minSessionTimeout\n\
         /etc/zoo.cfg:2: clientPort is \"99999\", not a port; write a number from 1 to 65535\n\
         /etc/zoo.cfg:3: clientPortAddress is set, but clientPort is not; add clientPort=2181, or remove this line\n\
         /etc/zoo.cfg:5: maxClientCnxns is \"many\", not a whole number; write decimal digits only\n\
         /etc/zoo.cfg:4: standaloneEnabled is \"yes\"; write true or false\n\
         /etc/zoo.cfg:10: peerType is \"leader\"; write participant or observer\n\
         /etc/zoo.cfg:11: election algorithms other than 3 are gone since 3.6; remove this line\n\
         /etc/zoo.cfg:9: snapshots cannot be compressed with \"zip\"; write gz or snappy, or leave it empty\n\
         /etc/zoo.cfg:8: autopurge.purgeInterval is \"1w\", not a time; write a number of hours, or a number with ms, s, m, h or d"
    );
    assert!(problems("dataDir=/d\na=\\uzzzz").starts_with("/etc/zoo.cfg:2: "));
}

#[test]
fn the_role_follows_the_number_of_voters() {
    let role = |lines: &str| {
        parse_with(&format!("dataDir=/d\ninitLimit=1\nsyncLimit=1\n{lines}"), &[])
            .map(|(config, _)| matches!(config.role, Role::Quorum(_)))
    };
    assert_eq!(role("server.1=a:1:2"), Ok(false));
    assert_eq!(role("server.1=a:1:2\nstandaloneEnabled=false"), Ok(true));
    assert_eq!(role("server.1=a:1:2\nserver.2=b:1:2"), Ok(true));
    assert!(role("server.1=a:1:2\nserver.2=b:1:2:observer").is_err());
    assert!(role("server.2=b:1:2:observer").is_err());
    assert!(role("standaloneEnabled=false").is_err());
    let zero =
        problems("dataDir=/d\ninitLimit=x\nsyncLimit=0\nserver.1=a:1:2\nserver.2=b:1:2\nserver.3=c:1:2");
    assert_eq!(
        zero,
        "/etc/zoo.cfg:2: initLimit is \"x\", not a whole number; write decimal digits only\n\
         /etc/zoo.cfg:3: syncLimit is 0; write syncLimit=5"
    );
    let missing = problems("dataDir=/d\nserver.1=a:1:2\nserver.2=b:1:2\nserver.3=c:1:2");
    assert_eq!(
        missing,
        "/etc/zoo.cfg: initLimit is missing; an ensemble needs it: add initLimit=10\n\
         /etc/zoo.cfg: syncLimit is missing; an ensemble needs it: add syncLimit=5"
    );
}

/// The operator puts a problem at the key of its inventory that caused it.
#[test]
fn a_problem_names_its_key() {
    let keys = |text: &str| -> Vec<Option<String>> {
        let Invalid(problems) = parse_with(text, &[]).expect_err("it must not pass");
        problems.into_iter().map(|problem| problem.key).collect()
    };
    for (line, key) in [
        ("zookeeper.snapCount=10k", "snapCount"),
        ("maxSessionTimeout=1000", "maxSessionTimeout"),
        ("minSessionTimeout=90000", "minSessionTimeout"),
        ("group.1=1:2", "group.1"),
        ("oraclePath=/x", "oraclePath"),
        ("server.3=z:5:6", "server.3"),
    ] {
        assert_eq!(keys(&format!("{THREE}{line}")), [Some(key.to_owned())], "{line}");
    }
    let known = ServerConfig::known_keys();
    for key in ["tickTime", "snapCount", "dynamicConfigFile", "watchManagerName", "leaderServes"] {
        assert!(known.contains(&key), "{key}");
    }
}

#[test]
fn server_lines_of_every_form_are_read() {
    let (config, _) = parse(&format!(
        "{THREE}server.4=[2001:db8::1]:2888:3888:Observer;[::1]:2181\nserver.5=h1:1:2|h2:1:2;2182\nserver.6=x:1:2:participant;10.0.0.6:2183\nserver.7=y:1:2;\n"
    ));
    let members = &quorum(&config).membership;
    let four = members.get(ServerId(4)).unwrap();
    assert_eq!((four.role, &four.addresses[0].host[..]), (MemberRole::Observer, "2001:db8::1"));
    assert_eq!(four.client, Some(Listen { host: Some("::1".to_owned()), port: 2181 }));
    let five = members.get(ServerId(5)).unwrap();
    assert_eq!((five.addresses.len(), five.client.clone()), (2, Some(Listen { host: None, port: 2182 })));
    assert_eq!(members.get(ServerId(6)).unwrap().client.as_ref().unwrap().to_string(), "10.0.0.6:2183");
    assert_eq!(members.get(ServerId(7)).unwrap().client, None);
    assert_eq!(members.voters().count(), 6);
}

#[test]
fn wrong_server_lines_are_refused() {
    for (line, part) in [
        ("server.x=a:5:6", "\"x\" is not a server's number"),
        ("server.4=a", "is not host:quorumPort:electionPort"),
        ("server.4=a:5", "does not have three or four parts"),
        ("server.4=a:5:6:voter", "role"),
        ("server.4=a:5:6:observer:1", "does not have three or four parts"),
        ("server.4=a:5:5", "both the quorum and elections"),
        ("server.4=a:0:5", "\"0\" is not a port"),
        ("server.4=a:70000:5", "\"70000\" is not a port"),
        ("server.4=:5:6", "is not host:quorumPort"),
        ("server.4=a:5:6;nowhere", "is not [host:]clientPort"),
        ("server.4=a:5:6;1;2", "secure client port"),
        ("server.4=a:5:6|b:5:6:observer", "different roles"),
        ("server.3=z:5:6", "server.3 is listed twice"),
        ("server.4=a:1:2", "server.4 has the address of server.1"),
        ("group.1=1:2:3", "hierarchical quorums"),
        ("weight.1=2", "hierarchical quorums"),
    ] {
        let said = problems(&format!("{THREE}{line}"));
        assert!(said.starts_with("/etc/zoo.cfg:7:") && said.contains(part), "{line}: {said}");
    }
}

#[test]
fn a_wrong_server_line_says_in_which_column() {
    assert_eq!(
        problems(&format!("{THREE}server.4 = a:5:70000")),
        "/etc/zoo.cfg:7:16: server.4: \"70000\" is not a port; \
         write server.N=host:quorumPort:electionPort[:participant|:observer][;[host:]clientPort]"
    );
}

#[test]
fn the_dynamic_file_is_read_with_its_version() {
    let base = "dataDir=/d\ninitLimit=1\nsyncLimit=1\ndynamicConfigFile=/etc/zoo.cfg.dynamic.10000000a\n";
    let (config, _) = parse(base);
    let members = &quorum(&config).membership;
    assert_eq!((members.version(), members.members().count()), (0x1_0000_000a, 3));
    assert_eq!(config.identity(Some(ServerId(1))).unwrap().client, Some(Listen { host: None, port: 2181 }));
    assert!(problems(&format!("{base}server.9=z:1:2")).contains("keep them in one place"));
    assert!(problems("dataDir=/d\ndynamicConfigFile=/etc/gone").contains("cannot read /etc/gone"));
    let bad = problems("dataDir=/d\ndynamicConfigFile=bad.dynamic");
    assert!(
        bad.contains("/etc/bad.dynamic:2: a version line") && bad.contains("/etc/bad.dynamic:3: clientPort"),
        "{bad}"
    );
}

#[test]
fn identity_needs_a_myid_among_the_members() {
    let (config, _) = parse(THREE);
    let fail = |myid: Option<i64>| config.identity(myid.map(ServerId)).unwrap_err().to_string();
    assert_eq!(
        fail(None),
        "/d/myid: myid file is missing; write this server's number (1, 2, 3) into it: echo N > /d/myid"
    );
    assert_eq!(
        fail(Some(4)),
        "/d/myid: this server's number is 4, but the server lines name only 1, 2, 3; correct myid, or add a \
         server.4 line to zoo.cfg on every server"
    );
}

#[test]
fn a_client_port_in_both_places_must_agree() {
    let client = |zoo_cfg: &str, line: &str| {
        let text = format!(
            "dataDir=/d\ninitLimit=1\nsyncLimit=1\n{zoo_cfg}\nserver.1=a:1:2{line}\nserver.2=b:1:2\nserver.3=c:1:2"
        );
        parse(&text)
            .0
            .identity(Some(ServerId(1)))
            .map(|identity| identity.client.map(|client| client.to_string()))
    };
    assert_eq!(client("", ";2181"), Ok(Some("0.0.0.0:2181".to_owned())));
    assert_eq!(client("clientPort=2181", ""), Ok(Some("0.0.0.0:2181".to_owned())));
    assert_eq!(
        client("clientPort=2181", ";10.0.0.1:2181"),
        Ok(Some("10.0.0.1:2181".to_owned())),
        "the line wins"
    );
    assert!(client("clientPort=2182", ";2181").is_err());
    assert!(client("clientPort=2181\nclientPortAddress=10.0.0.2", ";10.0.0.1:2181").is_err());
    assert_eq!(client("", ""), Ok(None));
}

#[test]
fn the_server_list_wins_over_peer_type() {
    let (config, _) = parse(&format!("{THREE}peerType=observer"));
    let identity = config.identity(Some(ServerId(1))).unwrap();
    let warning = config.peer_type_warning(&identity).unwrap().to_string();
    assert!(warning.contains("the server lines win"), "{warning}");
    assert_eq!(parse(THREE).0.peer_type_warning(&identity), None);
}

#[test]
fn protection_that_is_not_built_is_refused_not_ignored() {
    for line in [
        "sslQuorum=true",
        "secureClientPort=2281",
        "quorum.auth.enableSasl=true",
        "oraclePath=/x",
        "enforce.auth.enabled=true",
        "sessionRequireClientSASLAuth=true",
        "zookeeper.DigestAuthenticationProvider.enabled=false",
    ] {
        let said = problems(&format!("{THREE}{line}"));
        assert!(said.starts_with("/etc/zoo.cfg:7: ") && said.contains("cannot do it yet"), "{line}: {said}");
    }
    for line in ["sslQuorum=false", "enforce.auth.enabled=false", "DigestAuthenticationProvider.enabled=true"]
    {
        assert!(parse_with(&format!("{THREE}{line}"), &[]).is_ok(), "{line}");
    }
}

#[test]
fn the_longest_txn_is_a_frame_and_its_extra() {
    let txn = |lines: &str| parse(&format!("dataDir=/d\n{lines}")).0.pipeline.txn_bytes_max;
    assert_eq!(txn("jute.maxbuffer=5000\njute.maxbuffer.extrasize=3000"), 8000);
    assert_eq!(txn("jute.maxbuffer=5000\njute.maxbuffer.extrasize=3"), 6024, "no less than 1024");
    assert_eq!(txn("jute.maxbuffer=2147483647"), i32::MAX as usize, "as long as a length can say");
}

/// The file of the walkthrough, as an operator has it after editing zoo_sample.cfg; no newline at
/// its end.
const WALKTHROUGH: &str = "\
# The number of milliseconds of each tick
tickTime=2000
# The number of ticks that the initial
# synchronization phase can take
initLimit=10
# The number of ticks that can pass between
# sending a request and getting an acknowledgement
syncLimit=5
# the directory where the snapshot is stored.
# do not use /tmp for storage, /tmp here is just
# example sakes.
dataDir=/export/data/zkdata
# the port at which the clients will connect
clientPort=2181
# the maximum number of client connections.
# increase this if you need to handle more clients
#maxClientCnxns=60
#
# Be sure to read the maintenance section of the
# administrator guide before turning on autopurge.
#
# http://zookeeper.apache.org/doc/current/zookeeperAdmin.html#sc_maintenance
#
# The number of snapshots to retain in dataDir
#autopurge.snapRetainCount=3
# Purge task interval in hours
# Set to \"0\" to disable auto purge feature
#autopurge.purgeInterval=1
server.1=192.168.17.130:2888:3888
server.2=192.168.17.131:2888:3888
server.3=192.168.17.132:2888:3888";

const THREE: &str = "dataDir=/d\ninitLimit=10\nsyncLimit=5\nserver.1=a:1:2\nserver.2=b:1:2\nserver.3=c:1:2\n";
