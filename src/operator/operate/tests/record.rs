//! What is remembered of the last deployment.

use crate::operator::operate::record::Record;

#[test]
fn the_last_deployment_is_remembered_until_it_is_destroyed() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("zkops");
    assert_eq!(Record::load(&dir).unwrap(), None);
    let record =
        Record { cluster: "orders".into(), path: "/x/orders.yml".into(), text: "cluster: orders\n".into() };
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
