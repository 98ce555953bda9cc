//! What the server's parser finds in an inventory's settings, with the place of each.

use super::{Script, caller};
use crate::operator::operate::session::{Session, Source};
use crate::report::{Event, Exit};

/// Where and what, one line each; then everything as it is shown.
fn refused(zoo: &str) -> (Vec<String>, String) {
    let dir = tempfile::tempdir().unwrap();
    let (caller, _) = caller(dir.path(), Script::of([]));
    let path = dir.path().join("orders.yml");
    std::fs::write(&path, format!("zoo: {{ {zoo} }}\nnodes: [10.0.0.1, 10.0.0.2, 10.0.0.3]\n")).unwrap();
    let Err(failure) = Session::load(&caller, &Source::File(path)) else { panic!("{zoo}: accepted") };
    assert_eq!(failure.exit, Exit::Usage, "{zoo}");
    let found = failure.evidence.iter();
    let summary = |from: &String| from.split_once("orders.yml:").map(|(_, rest)| rest.to_owned()).unwrap();
    let shown: Vec<String> = found.clone().flat_map(|found| found.lines.clone()).collect();
    (found.map(|found| summary(&found.from)).collect(), shown.join("\n"))
}

/// The notes that come with settings that are accepted.
fn notes(zoo: &str) -> Vec<String> {
    let dir = tempfile::tempdir().unwrap();
    let (caller, told) = caller(dir.path(), Script::of([]));
    let path = dir.path().join("orders.yml");
    std::fs::write(&path, format!("zoo: {{ {zoo} }}\nnodes: [10.0.0.1, 10.0.0.2, 10.0.0.3]\n")).unwrap();
    let loaded = Session::load(&caller, &Source::File(path));
    assert!(loaded.is_ok(), "{zoo}");
    let told = told.lock().unwrap();
    let note = |event: &Event| match event {
        Event::Note { text } => Some(text.split_once("orders.yml:").unwrap().1.to_owned()),
        _ => None,
    };
    told.iter().filter_map(note).collect()
}

#[test]
fn what_the_server_would_refuse_is_refused_at_its_value() {
    for (zoo, expected) in [
        ("snapCount: 10k", "1:19: error: snapCount is \"10k\", not a whole number"),
        ("zookeeper.snapCount: 10k", "1:29: error: snapCount is \"10k\", not a whole number"),
        ("jute.maxbuffer: 0x9fffff", "1:24: error: jute.maxbuffer is \"0x9fffff\", not a whole number"),
        (
            "maxSessionTimeout: 1000",
            "1:27: error: minSessionTimeout (4000 ms) is above maxSessionTimeout (1000 ms)",
        ),
        ("tickTime: 0", "1:18: error: tickTime is 0"),
        ("tickTime: fast", "1:18: error: tickTime is \"fast\", not a whole number"),
        ("syncLimit: 0", "1:19: error: syncLimit is 0"),
        ("electionAlg: 0", "1:21: error: election algorithms other than 3 are gone since 3.6"),
        ("sslQuorum: true", "1:19: error: sslQuorum=true asks for TLS or SASL"),
        ("oraclePath: /x", "1:20: error: oraclePath is set"),
        ("observerMasterPort: 2190", "1:28: error: observerMasterPort is set"),
        ("group.1: 1:2", "1:17: error: group.1 asks for hierarchical quorums"),
        ("quorumListenOnAllIPs: 'yes'", "1:30: error: quorumListenOnAllIPs is \"yes\""),
        ("cnxTimeout: 5s", "1:20: error: cnxTimeout is \"5s\", not a whole number"),
        ("leaderServes: no", "1:22: error: with `leaderServes: no` no deployment could be seen to be ready"),
        ("ticktime: 1000", "1:8: error: zoo.cfg has no key `ticktime`"),
        ("tickTimee: 1000", "1:8: error: zoo.cfg has no key `tickTimee`"),
        (
            "zookeeper.zookeeper.tickTime: 1",
            "1:8: error: `zookeeper.zookeeper.tickTime` has `zookeeper.` twice",
        ),
        ("zookeeper.dataDir: /x", "1:8: error: `zookeeper.dataDir` is written by deploy itself"),
    ] {
        assert_eq!(refused(zoo).0, [expected], "{zoo}");
    }
}

#[test]
fn everything_is_shown_at_once_with_the_place_and_the_way() {
    let (found, shown) = refused("ticktime: 1000, snapCount: 10k, syncLimit: 0, flushDelay: 5, qqqq: 1");
    assert_eq!(found.len(), 5, "three members take them from one place: {found:?}");
    for part in [
        "did you mean `tickTime`?",
        "write decimal digits only",
        "write syncLimit=5",
        "^^^ the server would not start",
        "remove it",
    ] {
        assert!(shown.contains(part), "{part:?} is not in:\n{shown}");
    }
}

/// Advice that leads into the next refusal is none.
#[test]
fn a_key_that_deploy_writes_is_never_what_was_meant() {
    for (zoo, way) in [
        ("datadir: /x", "deploy writes `dataDir` itself: set data_dir"),
        ("dataLogDirr: /x", "deploy writes `dataLogDir` itself: set data_log_dir"),
        ("client_port: 2182", "deploy writes `clientPort` itself: set ports: { client: … }"),
        ("zookeeper.zookeeper.dataDir: /x", "`dataDir` is written by deploy itself: set data_dir"),
    ] {
        let (found, shown) = refused(zoo);
        assert!(
            found.len() == 1 && shown.contains(way) && !shown.contains("did you mean"),
            "{zoo}:\n{shown}"
        );
    }
}

#[test]
fn what_has_no_effect_is_noted_and_what_is_right_passes_without_a_word() {
    assert_eq!(notes("flushDelay: 5"), ["1:8: warning: `flushDelay` has no effect here"]);
    assert_eq!(notes("watchManagerName: x"), ["1:8: warning: `watchManagerName` has no effect here"]);
    assert_eq!(
        notes("autopurge.snapRetainCount: 1"),
        ["1:35: warning: autopurge.snapRetainCount=1 is raised to 3, the least that is kept"]
    );
    for zoo in
        ["tickTime: 1000", "zookeeper.tickTime: 1000", "leaderServes: yes", "4lw.commands.whitelist: '*'"]
    {
        assert_eq!(notes(zoo), [""; 0], "{zoo}");
    }
}
