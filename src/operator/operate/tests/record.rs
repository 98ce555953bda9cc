//! What is remembered of the last deployment.

use super::{Script, caller};
use crate::operator::operate::destroy;
use crate::operator::operate::record::Record;
use crate::operator::operate::session::{Session, Source};

#[test]
fn the_last_deployment_is_remembered_until_it_is_destroyed() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("zkops");
    assert_eq!(Record::load(&dir).unwrap(), None);
    let record = orders("cluster: orders\n");
    record.save(&dir).unwrap();
    assert_eq!(Record::load(&dir).unwrap(), Some(record.clone()));
    Record::forget(&dir, "billing").unwrap();
    assert_eq!(Record::load(&dir).unwrap(), Some(record));
    Record::forget(&dir, "orders").unwrap();
    assert_eq!(Record::load(&dir).unwrap(), None);
}

#[test]
fn a_damaged_record_is_said_to_be_damaged() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("last.json"), "{").unwrap();
    assert!(Record::load(dir.path()).unwrap_err().to_string().contains("is damaged: remove it"));
}

#[test]
fn what_was_deployed_before_is_kept_with_it() {
    let texts = |record: &Record| record.earlier.clone();
    assert!(texts(&orders("a").behind(None)).is_empty());
    let second = orders("b").behind(Some(orders("a")));
    assert_eq!(texts(&second), ["a"]);
    assert_eq!(texts(&orders("b").behind(Some(second.clone()))), ["a"], "a second run of the same");
    assert_eq!(texts(&orders("c").behind(Some(second.clone()))), ["a", "b"]);
    assert_eq!(texts(&orders("a").behind(Some(second))), ["b"], "and back again");
    let other = Record { cluster: "billing".into(), ..orders("x") };
    assert!(texts(&orders("a").behind(Some(other))).is_empty());
    let long = (0..100).fold(orders("0"), |last, n| orders(&n.to_string()).behind(Some(last)));
    assert_eq!((long.earlier.len(), long.earlier.last().map(String::as_str)), (8, Some("98")));
}

/// With the record goes the last that knows of it.
#[test]
fn destroy_says_what_stays_where_a_member_was() {
    let dir = tempfile::tempdir().unwrap();
    let (caller, _) = caller(dir.path(), Script::of([]));
    let inventory = |third: &str| format!("cluster: orders\nnodes: [10.0.0.1, 10.0.0.2, {third}]\n");
    let earlier = vec![inventory("10.0.0.3"), inventory("10.0.0.4")];
    let record = Record { earlier, ..orders(&inventory("10.0.0.4")) };
    record.save(&caller.state_dir).unwrap();
    let session = Session::load(&caller, &Source::LastDeployed).unwrap();
    let left: Vec<String> = destroy::left_elsewhere(&session).into_iter().collect();
    assert_eq!(
        left,
        [
            "what deploy put on 10.0.0.3 for node-3 stays there, with its data in /export/data/zkdata and tcp 2181, 2888 and 3888 open in its firewall; on that host: systemctl disable --now zkops-orders; cd /export/server/zkops && rm -rf conf var bin current slots dynamic"
        ]
    );
}

fn orders(text: &str) -> Record {
    Record { cluster: "orders".into(), path: "/x/orders.yml".into(), text: text.into(), earlier: Vec::new() }
}
