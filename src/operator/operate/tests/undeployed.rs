//! Every use case on an ensemble that was never deployed: outcomes and failures, and nobody is asked for nothing.

use super::{Script, caller, inventory};
use crate::operator::fleet::visit::Push;
use crate::operator::operate::record::Record;
use crate::operator::operate::session::{HOST_PATIENCE, Session, Source};
use crate::operator::operate::{deploy, destroy, lifecycle, repair, ssh_setup, status};
use crate::report::{Event, Exit, Failure};

#[tokio::test]
async fn status_is_an_outcome_also_where_nothing_runs() {
    let dir = tempfile::tempdir().unwrap();
    let (caller, told) = caller(dir.path(), Script::of([]));
    let session = Session::load(&caller, &Source::File(inventory(dir.path()))).unwrap();
    let outcome = status::run(&session).await.unwrap();
    assert_eq!(outcome.exit(), Exit::Unreachable, "nothing is seen, nothing is proven");
    let document = serde_json::to_value(&outcome).unwrap();
    assert_eq!((&document["event"], &document["healthy"]), (&"status".into(), &false.into()));
    assert_eq!(document["nodes"].as_array().map(Vec::len), Some(3));
    assert_eq!(document["reasons"][0]["cause"], "NotInstalled");
    let connecting = Event::Host { member: "node-2".into(), doing: "connecting".into() };
    assert!(told.lock().unwrap().contains(&connecting));
}

#[tokio::test]
async fn hosts_without_zkops_cannot_be_worked_on() {
    let dir = tempfile::tempdir().unwrap();
    let script = Script::of([]);
    let (caller, _) = caller(dir.path(), script.clone());
    let inventory = Source::File(inventory(dir.path()));
    let start = lifecycle::Request {
        verb: lifecycle::Verb::Start,
        inventory: inventory.clone(),
        members: Vec::new(),
        agreed: false,
        dry_run: false,
    };
    assert_eq!(lifecycle::run(&caller, &start).await.unwrap_err().exit, Exit::Unreachable);
    let cure = repair::Request {
        member: "node-1".into(),
        inventory: inventory.clone(),
        yes: false,
        move_data_aside: false,
        foreign_data: None,
        wipe: false,
        purge_old: false,
        dry_run: false,
    };
    assert_eq!(repair::run(&caller, &cure).await.unwrap_err().exit, Exit::Unreachable);
    let unknown = repair::Request { member: "node-9".into(), ..cure };
    let failure = repair::run(&caller, &unknown).await.unwrap_err();
    assert_eq!(failure.what, "trial has no member \"node-9\"; it has node-1, node-2 and node-3");
    assert_eq!(failure.next, [""; 0], "none of the three is nearer than the others");
    let file = dir.path().join("trial.yml").display().to_string();
    let swapped = repair::Request { member: file.clone(), ..unknown };
    let failure = repair::run(&caller, &swapped).await.unwrap_err();
    assert_eq!(failure.next, [format!("this verb names members; an inventory stands behind -i: -i {file}")]);
    // Nothing is there to destroy, so nobody's consent is needed.
    let end = destroy::Request {
        inventory: inventory.clone(),
        // Data is looked at by our own program, which a unit test is not.
        data: false,
        yes: false,
        cluster: None,
        dry_run: false,
    };
    let other = destroy::Request { cluster: Some("other".into()), ..end.clone() };
    let failure = destroy::run(&caller, &other).await.unwrap_err();
    assert_eq!(
        (failure.exit, &*failure.what),
        (Exit::Usage, "the inventory is that of \"trial\", not of \"other\"")
    );
    let gone = destroy::run(&caller, &end).await.unwrap();
    assert_eq!(
        serde_json::to_value(&gone).unwrap(),
        serde_json::json!({ "event": "done", "verb": "destroy", "cluster": "trial" })
    );
    let keys = ssh_setup::run(&caller, &ssh_setup::Request { inventory }).await;
    assert!(keys.is_ok_and(|keys| keys.failure().is_none()));
    assert_eq!(script.asked(), [""; 0]);
}

#[tokio::test]
async fn a_failure_of_the_work_is_what_a_visit_comes_to() {
    let dir = tempfile::tempdir().unwrap();
    let (caller, _) = caller(dir.path(), Script::of([]));
    let session = Session::load(&caller, &Source::File(inventory(dir.path()))).unwrap();
    let visited = session.with_fleet(&Push::Never, HOST_PATIENCE, async |fleet| {
        assert_eq!(fleet.hosts().count(), 0);
        assert_eq!(fleet.desired.members.keys().filter_map(|id| fleet.unreachable(*id)).count(), 3);
        Err::<(), _>(Failure::new(Exit::Refused, "for a reason"))
    });
    assert_eq!(visited.await.unwrap_err().what, "for a reason");
}

#[tokio::test]
async fn without_an_inventory_nothing_is_asked_of_any_host() {
    let dir = tempfile::tempdir().unwrap();
    let (caller, told) = caller(dir.path(), Script::of([]));
    let missing =
        deploy::Request { inventory: dir.path().join("nothing.yml"), dry_run: true, old_host_is_gone: false };
    let failure = deploy::run(&caller, &missing).await.unwrap_err();
    assert_eq!(failure.exit, Exit::Usage);
    assert!(failure.what.starts_with("cannot read the inventory "), "{failure}");
    assert_eq!(failure.next, ["write one: zkops init"]);
    let near = inventory(dir.path());
    let mistyped = deploy::Request {
        inventory: near.with_file_name("trail.yml"),
        dry_run: true,
        old_host_is_gone: false,
    };
    let failure = deploy::run(&caller, &mistyped).await.unwrap_err();
    assert_eq!(failure.next, [format!("did you mean {}?", near.display())]);
    let text = std::fs::read_to_string(&near).unwrap();
    let record = Record { cluster: "trial".into(), path: near, text, earlier: Vec::new() };
    record.save(&caller.state_dir).unwrap();
    let failure = Session::load(&caller, &Source::File("node-2".into())).err().unwrap();
    let whole = "node-2 is a member of trial, and this verb is about all of it: leave the name out";
    assert_eq!(failure.next, [whole]);
    Record::forget(&caller.state_dir, "trial").unwrap();
    let failure = Session::load(&caller, &Source::LastDeployed).err().unwrap();
    assert_eq!(failure.what, "no inventory named, and nothing is deployed from this machine");
    assert_eq!(*told.lock().unwrap(), []);
}

#[test]
fn a_request_says_how_it_is_typed() {
    let file = || Source::File("orders.yml".into());
    let restart = lifecycle::Request {
        verb: lifecycle::Verb::Restart,
        inventory: file(),
        members: vec!["node-1".into(), "3".into()],
        agreed: false,
        dry_run: false,
    };
    assert_eq!(restart.command(), "zkops restart node-1 3 --inventory orders.yml");
    let all = lifecycle::Request { inventory: Source::LastDeployed, members: Vec::new(), ..restart };
    assert_eq!(all.command(), "zkops restart");
    let stop = lifecycle::Request { verb: lifecycle::Verb::Stop, ..all };
    assert_eq!(stop.command(), "zkops stop --all");
    let cure = repair::Request {
        member: "node-3".into(),
        inventory: file(),
        yes: true,
        move_data_aside: false,
        foreign_data: None,
        wipe: true,
        purge_old: false,
        dry_run: false,
    };
    assert_eq!(cure.command(), "zkops repair node-3 --inventory orders.yml");
    let deploy = deploy::Request { inventory: "orders.yml".into(), dry_run: false, old_host_is_gone: false };
    assert_eq!(deploy.command(), "zkops deploy orders.yml");
}
