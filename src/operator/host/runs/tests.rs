//! The lock and the journal, in temporary directories.

use std::fs;
use std::path::Path;

use super::records::{AppendJournal, Holder, TakeLock, Taken};
use crate::operator::host::agent::tests::host;
use crate::operator::host::failure::Kind;

fn take(path: &Path, id: &str, ttl_ms: u64) -> TakeLock {
    let holder = Holder { id: id.into(), who: "ann@desk".into(), pid: 1, command: "deploy".into() };
    TakeLock { path: path.into(), holder, ttl_ms, over: None }
}

#[tokio::test]
async fn the_lock_has_one_holder() {
    let dir = tempfile::tempdir().unwrap();
    let (link, path) = (host(dir.path()), dir.path().join("state/lock"));
    assert!(link.read_lock(path.clone()).await.unwrap().is_none());
    assert!(matches!(
        link.take_lock(take(&path, "a", 60_000)).await.unwrap(),
        Taken::Taken { replaced: None, .. }
    ));
    assert!(matches!(
        link.take_lock(take(&path, "a", 90_000)).await.unwrap(),
        Taken::Taken { replaced: None, .. }
    ));
    let Taken::HeldBy(held) = link.take_lock(take(&path, "b", 60_000)).await.unwrap() else {
        panic!("two holders")
    };
    assert_eq!((held.holder.id.as_str(), held.until_ms - held.since_ms > 60_000), ("a", true));
    assert!(!link.release_lock(path.clone(), "b".into()).await.unwrap());
    assert!(link.release_lock(path.clone(), "a".into()).await.unwrap());
    assert!(!link.release_lock(path.clone(), "a".into()).await.unwrap());
    assert!(matches!(
        link.take_lock(take(&path, "b", 60_000)).await.unwrap(),
        Taken::Taken { replaced: None, .. }
    ));
}

#[tokio::test]
async fn a_stale_lock_is_taken_over_and_a_broken_one_only_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let (link, path) = (host(dir.path()), dir.path().join("lock"));
    link.take_lock(take(&path, "dead", 0)).await.unwrap();
    let Taken::Taken { replaced: Some(stale), .. } = link.take_lock(take(&path, "b", 60_000)).await.unwrap()
    else {
        panic!("its time was over");
    };
    assert_eq!(stale.holder.id, "dead");
    let over = |id: &str| TakeLock { over: Some(id.into()), ..take(&path, "c", 60_000) };
    assert!(matches!(link.take_lock(over("somebody else")).await.unwrap(), Taken::HeldBy(_)));
    assert!(matches!(link.take_lock(over("b")).await.unwrap(), Taken::Taken { replaced: Some(_), .. }));
}

#[tokio::test]
async fn of_many_takers_at_once_one_wins() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("lock");
    let links = [host(dir.path()), host(dir.path())];
    let takers = (0..40).map(|n| links[n % 2].take_lock(take(&path, &n.to_string(), 60_000)));
    let taken = futures_util::future::join_all(takers).await;
    let won = taken.into_iter().filter(|one| matches!(one.as_ref().unwrap(), Taken::Taken { .. })).count();
    assert_eq!(won, 1);
}

#[tokio::test]
async fn a_lock_that_is_not_one_is_not_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("lock");
    fs::write(&path, "somebody's notes").unwrap();
    let error = host(dir.path()).take_lock(take(&path, "a", 1)).await.unwrap_err();
    assert_eq!(error.kind(), Some(Kind::Foreign));
}

#[tokio::test]
async fn the_journal_only_grows_and_survives_a_torn_line() {
    let dir = tempfile::tempdir().unwrap();
    let (link, path) = (host(dir.path()), dir.path().join("log/journal"));
    let append = |line: &str| link.append_journal(AppendJournal { path: path.clone(), line: line.into() });
    assert!(link.read_journal(path.clone(), 10).await.unwrap().lines.is_empty());
    append(r#"{"step":1}"#).await.unwrap();
    append(r#"{"step":2}"#).await.unwrap();
    for bad in ["not json", "{\"a\":\n1}"] {
        assert_eq!(append(bad).await.unwrap_err().kind(), Some(Kind::Invalid));
    }
    // A crash in the middle of a line.
    let mut text = fs::read_to_string(&path).unwrap();
    text.push_str("{\"step\":");
    fs::write(&path, text).unwrap();
    append(r#"{"step":4}"#).await.unwrap();
    let tail = link.read_journal(path.clone(), 10).await.unwrap();
    assert_eq!(tail.lines, [r#"{"step":1}"#, r#"{"step":2}"#, r#"{"step":4}"#]);
    assert_eq!((tail.torn, tail.truncated), (1, false));
    let last = link.read_journal(path, 1).await.unwrap();
    assert_eq!((last.lines.as_slice(), last.truncated), ([r#"{"step":4}"#.to_string()].as_slice(), true));
}
