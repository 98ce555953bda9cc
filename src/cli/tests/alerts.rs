//! What monitoring gets to read.

use super::super::alerts::{metrics, plugin};
use crate::operator::operate::status::Outcome;
use crate::operator::plan::cures::Cause;
use crate::operator::plan::diagnosis::Diagnosis;
use crate::operator::plan::status::{Health, Row, Verdict};
use crate::report::{Exit, Failure};
use crate::wire::ids::ServerId;

fn row(id: i64, mode: &str) -> Row {
    let in_sync = mode != "down";
    Row {
        id,
        node: format!("node-{id}"),
        address: format!("10.0.0.{id}"),
        in_sync,
        mode: mode.to_owned(),
        zxid: in_sync.then(|| "0x100000005".to_owned()),
        epoch: in_sync.then_some(1),
        lag: in_sync.then_some(0),
        commit_us: in_sync.then_some(850),
        connections: in_sync.then_some(7),
        version: None,
        uptime_ms: in_sync.then_some(61_500),
        disk_free_bytes: None,
    }
}

fn looked(verdict: Verdict, rows: Vec<Row>) -> Result<Outcome, Failure> {
    let health =
        Health { cluster: "orders".to_owned(), verdict, rows, reasons: Vec::new(), notes: Vec::new() };
    Ok(Outcome { health })
}

#[test]
fn a_plugin_says_one_line_with_figures_and_a_code() {
    let healthy = Verdict::Healthy { followers: 1, observers: 0, spare: 0 };
    let (code, text) = plugin(&looked(healthy, vec![row(1, "leader"), row(2, "follower")]));
    assert_eq!(code, 0);
    assert_eq!(
        text,
        "ZKOPS OK - orders: healthy: 1 leader + 1 follower in sync; losing one more voter stops it | 'in_sync'=2;;;0;2 'spare'=0;;;0; \
         'node-1_commit'=850us 'node-1_lag'=0 'node-1_connections'=7 'node-2_commit'=850us 'node-2_lag'=0 \
         'node-2_connections'=7\n"
    );
    let codes = [
        (Verdict::Degraded { voters: 2, of: 3, spare: 0 }, 1, "WARNING"),
        (Verdict::NoQuorum { voters: 1, of: 3, needed: 2 }, 2, "CRITICAL"),
        (Verdict::Unwell { wrong: vec!["a | b".into()], unseen: Vec::new() }, 2, "CRITICAL"),
        (Verdict::Split { contradictions: vec!["two\nleaders".into()] }, 2, "CRITICAL"),
        (Verdict::Unknown { voters: 1, of: 3, unseen: Vec::new() }, 3, "UNKNOWN"),
    ];
    for (verdict, expected, word) in codes {
        let (code, text) = plugin(&looked(verdict, vec![row(1, "down")]));
        assert_eq!(code, expected, "{text}");
        assert!(text.starts_with(&format!("ZKOPS {word} - orders: ")), "{text}");
        assert_eq!((text.matches('|').count(), text.lines().count()), (1, 1), "{text}");
    }
}

#[test]
fn reasons_follow_the_line_and_a_look_that_failed_is_unknown() {
    let mut looked = looked(Verdict::Degraded { voters: 2, of: 3, spare: 0 }, vec![row(3, "down")]);
    let reason = Diagnosis {
        member: ServerId(3),
        cause: Cause::Double,
        what: "node-3: the server is stopped".to_owned(),
        evidence: vec!["a log line".to_owned()],
        next: vec!["zkops start node-3".to_owned()],
    };
    looked.as_mut().expect("it is a look").health.reasons.push(reason);
    let (_, text) = plugin(&looked);
    let lines: Vec<&str> = text.lines().skip(1).collect();
    assert_eq!(lines, ["node-3: the server is stopped", "  next: zkops start node-3"]);

    let failure = Failure::new(Exit::Usage, "orders.yml: no such file").next("zkops init");
    assert_eq!(
        plugin(&Err(failure)),
        (3, "ZKOPS UNKNOWN - orders.yml: no such file; next: zkops init\n".to_owned())
    );
}

#[test]
fn metrics_leave_out_what_is_not_known_and_say_that_a_look_failed() {
    let mut rows = vec![row(1, "leader"), row(2, "down")];
    rows[1].node = "no\"de\\2".to_owned();
    let page = metrics(&looked(Verdict::Degraded { voters: 1, of: 2, spare: 0 }, rows));
    for line in [
        "zkops_look_failed 0",
        "zkops_ensemble_state{cluster=\"orders\",state=\"degraded\"} 1",
        "zkops_ensemble_state{cluster=\"orders\",state=\"healthy\"} 0",
        "zkops_ensemble_spare_voters{cluster=\"orders\"} 0",
        "zkops_member_in_sync{cluster=\"orders\",member=\"node-1\"} 1",
        "zkops_member_in_sync{cluster=\"orders\",member=\"no\\\"de\\\\2\"} 0",
        "zkops_member_leads{cluster=\"orders\",member=\"node-1\"} 1",
        "zkops_member_commit_seconds{cluster=\"orders\",member=\"node-1\"} 0.000850",
        "zkops_member_uptime_seconds{cluster=\"orders\",member=\"node-1\"} 61.500",
    ] {
        assert!(page.lines().any(|said| said == line), "{line}: {page}");
    }
    assert_eq!(page.matches("zkops_member_lag_transactions{").count(), 1, "unknown is not zero: {page}");
    assert!(!page.contains("disk_free_bytes{"), "{page}");
    let states =
        page.lines().filter(|line| line.starts_with("zkops_ensemble_state{") && line.ends_with(" 1"));
    assert_eq!(states.count(), 1, "{page}");

    let failed = metrics(&Err(Failure::new(Exit::Usage, "no inventory")));
    assert!(failed.ends_with("zkops_look_failed 1\n") && !failed.contains("zkops_ensemble"), "{failed}");
    let unknown = metrics(&looked(Verdict::Unknown { voters: 0, of: 3, unseen: Vec::new() }, Vec::new()));
    assert!(!unknown.contains("spare_voters"), "{unknown}");
}
