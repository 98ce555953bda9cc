//! Outcomes as the documents that machines read: their keys are an interface.

use serde::Serialize;
use serde_json::{Value, json};

use crate::operator::operate::deploy::Ready;
use crate::operator::operate::lifecycle::{Done, Verb};
use crate::operator::operate::planned::Planned;
use crate::operator::operate::repair::{Back, Repaired};
use crate::operator::plan::step::{Action, Condition, Gate, Plan, Risk, Service, Step, Wave};
use crate::report::Exit;
use crate::wire::ids::ServerId;

#[track_caller]
fn check(outcome: &impl Serialize, expected: Value) {
    assert_eq!(serde_json::to_value(outcome).unwrap(), expected);
}

fn plan() -> Plan {
    let step = Step {
        member: ServerId(3),
        name: "node-3".into(),
        action: Action::Service(Service::Started),
        why: "not running".into(),
        risk: Risk::None,
        undo: Some("zkops stop node-3".into()),
    };
    let gate = Gate { condition: Condition::Ready, deadline_ms: 60_000 };
    let wave = Wave { title: "start".into(), steps: vec![step], gates: vec![gate], ..Wave::default() };
    Plan {
        title: "start orders".into(),
        waves: vec![wave],
        warnings: vec!["it is late".into()],
        ..Plan::default()
    }
}

#[test]
fn a_plan_shows_its_waves_and_whether_anything_is_pending() {
    let planned = Planned { cluster: "orders".into(), plan: plan() };
    assert_eq!(planned.exit(), Exit::Pending);
    check(
        &planned,
        json!({
            "event": "plan", "cluster": "orders", "title": "start orders", "pending": true,
            "fingerprint": planned.plan.fingerprint(), "warnings": ["it is late"],
            "waves": [{
                "title": "start",
                "gates": ["one leader, all others in sync, canary read back everywhere"],
                "steps": [{
                    "member": "node-3", "step": "server started", "why": "not running", "risk": "none",
                    "undo": "zkops stop node-3",
                }],
            }],
        }),
    );
    assert_eq!(Planned { plan: Plan::default(), ..planned }.exit(), Exit::Done);
}

#[test]
fn what_was_done_is_said_in_few_words() {
    check(
        &Done { cluster: "orders".into(), verb: Verb::Restart, plan: plan() },
        json!({ "event": "done", "cluster": "orders", "verb": "restart" }),
    );
    let ready = Ready {
        cluster: "orders".into(),
        leader: None,
        connect: "a:1,b:2".into(),
        took_ms: 7,
        in_sync: 3,
        survives_reboot: true,
        applied: None,
    };
    check(
        &ready,
        json!({ "event": "ready", "cluster": "orders", "leader": null, "connect": "a:1,b:2", "took_ms": 7 }),
    );
}

#[test]
fn a_member_that_did_not_come_back_in_sync_is_half_a_cure() {
    let mut repaired = Repaired { member: "node-3".into(), old_data: vec!["/d/old".into()], back: None };
    check(&repaired, json!({ "event": "repaired", "member": "node-3", "old_data": ["/d/old"] }));
    assert_eq!(repaired.exit(), Exit::Done, "it was in sync");
    for (in_sync, exit) in [(true, Exit::Done), (false, Exit::Halfway)] {
        repaired.back = Some(Back { mode: "follower".into(), in_sync, took_ms: 1 });
        assert_eq!(repaired.exit(), exit);
    }
}
