//! What is owed to hosts that were left out, until it is done.

use super::{Script, caller, inventory};
use crate::operator::operate::owed::{self, Owed};
use crate::operator::operate::session::{Session, Source};
use crate::report::{Event, Exit};
use crate::wire::ids::ServerId;

fn ids(numbers: &[i64]) -> Vec<ServerId> {
    numbers.iter().map(|id| ServerId(*id)).collect()
}

#[test]
fn what_was_left_out_is_told_until_it_is_done() {
    let dir = tempfile::tempdir().unwrap();
    let (mut caller, told) = caller(dir.path(), Script::of([]));
    let source = Source::File(inventory(dir.path()));
    let at = dir.path().join("trial.yml").display().to_string();
    let owed = |caller: &super::Caller| -> Vec<(String, String)> {
        let all = owed::load(&caller.state_dir).unwrap();
        all.into_iter().map(|Owed { member, verb, .. }| (member, verb)).collect()
    };
    let notes = || -> Vec<String> {
        let mut told = told.lock().unwrap();
        told.drain(..)
            .filter_map(|event| match event {
                Event::Note { text } => Some(text),
                _ => None,
            })
            .collect()
    };
    let pair = |member: &str, verb: &str| (member.to_owned(), verb.to_owned());

    caller.terms.without = vec!["node-3".into()];
    let session = Session::load(&caller, &source).unwrap();
    session.settle("deploy", "", &[]).unwrap();
    session.settle("restart", "", &[]).unwrap();
    session.settle("restart", "", &[]).unwrap();
    assert_eq!(owed(&caller), [pair("node-3", "deploy"), pair("node-3", "restart")]);
    assert_eq!(notes()[0], format!("node-3 was left out; when its host is back: zkops deploy {at}"));
    // Left out again it is told at the end, not at the beginning too.
    drop(Session::load(&caller, &source).unwrap());
    assert_eq!(notes(), [""; 0]);

    caller.terms.without.clear();
    let session = Session::load(&caller, &source).unwrap();
    let said = notes();
    assert!(
        said[0].starts_with("node-3 was left out of deploy (")
            && said[0].ends_with(&format!("zkops deploy {at}")),
        "{said:?}"
    );
    assert!(said[1].ends_with(&format!("zkops restart node-3 -i {at}")), "{said:?}");
    session.settle("restart", "", &ids(&[1, 2])).unwrap();
    assert_eq!(owed(&caller).len(), 2, "it was not restarted");
    session.settle("restart", "", &ids(&[3])).unwrap();
    assert_eq!(owed(&caller), [pair("node-3", "deploy")]);
    session.settle("deploy", "", &[]).unwrap();
    assert_eq!(owed(&caller), []);
    assert_eq!(notes(), [""; 0]);

    caller.terms.without = vec!["node-2".into()];
    let session = Session::load(&caller, &source).unwrap();
    session.settle("start", "", &[]).unwrap();
    session.settle("destroy", " --data", &[]).unwrap();
    assert_eq!(
        owed(&caller),
        [pair("node-2", "destroy")],
        "whoever is to be destroyed waits for nothing else"
    );
    let last = notes().pop().unwrap();
    assert!(
        last.ends_with(&format!("zkops destroy {at} --data")),
        "what was asked for is asked for again: {last}"
    );
    caller.terms.without.clear();
    Session::load(&caller, &source).unwrap().settle("deploy", "", &[]).unwrap();
    assert_eq!(owed(&caller), [], "what is deployed again is not to be destroyed");
}

#[test]
fn who_is_left_out_is_a_member() {
    let dir = tempfile::tempdir().unwrap();
    let (mut caller, _) = caller(dir.path(), Script::of([]));
    caller.terms.without = vec!["node-7".into()];
    let failure = Session::load(&caller, &Source::File(inventory(dir.path()))).err().unwrap();
    assert_eq!(
        (failure.exit, failure.what.contains("no member \"node-7\"")),
        (Exit::Usage, true),
        "{failure}"
    );
}

#[test]
fn a_damaged_reminder_stops_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let (caller, told) = caller(dir.path(), Script::of([]));
    std::fs::create_dir_all(&caller.state_dir).unwrap();
    std::fs::write(caller.state_dir.join("owed.json"), "[{").unwrap();
    assert!(Session::load(&caller, &Source::File(inventory(dir.path()))).is_ok());
    let told = told.lock().unwrap();
    assert!(matches!(&told[0], Event::Note { text } if text.contains("is damaged: remove it")), "{told:?}");
}
