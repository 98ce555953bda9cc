//! The lock and the journal, in temporary directories.

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::lock;
use super::records::{AppendJournal, Holder, LockToken, RenewLock, TakeLock, Taken};
use crate::operator::host::agent::tests::host;
use crate::operator::host::agent::{CallError, Link};
use crate::operator::host::failure::Kind;
use crate::operator::host::files::{EnsureDir, Expect, PutFile, Remove};

fn take(path: &Path, id: &str, ttl_ms: u64) -> TakeLock {
    let holder = Holder { id: id.into(), who: "ann@desk".into(), pid: 1, command: "deploy".into() };
    TakeLock { path: path.into(), holder, ttl_ms, over: None }
}

async fn taken(link: &Link, request: TakeLock) -> LockToken {
    let path = request.path.clone();
    match link.take_lock(request).await.unwrap() {
        Taken::Taken { held, .. } => held.token(path),
        Taken::HeldBy(held) => panic!("held: {held:?}"),
    }
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
async fn whoever_was_replaced_changes_nothing_any_more() {
    let dir = tempfile::tempdir().unwrap();
    let (path, notes) = (dir.path().join("lock"), dir.path().join("notes"));
    let (first, second) = (host(dir.path()), host(dir.path()));
    let write = |link: &Link, text: &str| {
        let (link, request) = (link.clone(), PutFile { expect: Expect::Any, ..PutFile::ours(&notes, text) });
        async move { link.put_file(request).await }
    };
    first.hold(Some(taken(&first, take(&path, "a", 60_000)).await));
    write(&first, "by a").await.unwrap();
    let over = TakeLock { over: Some("a".into()), ..take(&path, "b", 60_000) };
    second.hold(Some(taken(&second, over).await));
    // It slept, wakes up and goes on.
    let CallError::StaleLock(stale) = write(&first, "by a again").await.unwrap_err() else {
        panic!("it was let through")
    };
    assert_eq!(stale.now.as_ref().unwrap().holder.id, "b");
    assert!(stale.to_string().contains("ann@desk (pid 1) took the lock over: deploy"), "{stale}");
    let renewed = first.renew_lock(RenewLock { token: first.held().unwrap(), ttl_ms: 60_000 }).await;
    assert!(matches!(renewed, Err(CallError::StaleLock(_))), "{renewed:?}");
    write(&second, "by b").await.unwrap();
    // Given back, nobody holds it; a token of before is as stale as ever, also for a namesake.
    assert!(second.release_lock(path.clone(), "b".into()).await.unwrap());
    assert!(second.read_lock(path.clone()).await.unwrap().is_none());
    for link in [&first, &second] {
        let Err(CallError::StaleLock(stale)) = write(link, "nobody").await else { panic!("nobody holds it") };
        assert!(stale.to_string().contains("gave it back"), "{stale}");
    }
    assert_eq!(taken(&first, take(&path, "a", 60_000)).await.fence, 3, "it only grows");
    assert!(matches!(write(&first, "the old token").await, Err(CallError::StaleLock(_))));
    assert_eq!(fs::read_to_string(&notes).unwrap(), "by b");
}

#[tokio::test]
async fn what_changes_something_is_refused_without_a_lock_and_looks_are_not() {
    let dir = tempfile::tempdir().unwrap();
    let link = host(dir.path());
    link.hold(None);
    let request = EnsureDir { path: dir.path().join("new"), mode: None, owner: None };
    let refused = link.ensure_dir(request).await.unwrap_err();
    assert_eq!(refused.kind(), Some(Kind::Refused), "{refused}");
    let append = AppendJournal { path: dir.path().join("journal"), line: "{}".into() };
    assert_eq!(link.append_journal(append).await.unwrap_err().kind(), Some(Kind::Refused));
    link.check_writable(dir.path().into()).await.unwrap();
    link.facts().await.unwrap();
    assert!(!dir.path().join("new").exists() && !dir.path().join("journal").exists());
}

#[tokio::test]
async fn a_lock_changes_hands_only_between_two_steps() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("lock");
    let link = host(dir.path());
    let token = taken(&link, take(&path, "a", 60_000)).await;
    let step = lock::at_hand(&token).unwrap().unwrap();
    let over = TakeLock { over: Some("a".into()), ..take(&path, "b", 60_000) };
    let refused = link.within(Duration::from_millis(900)).take_lock(over.clone()).await.unwrap_err();
    assert_eq!(refused.kind(), Some(Kind::Busy), "{refused}");
    // Its holder keeps it meanwhile, and who asks without breaking it is told at once.
    assert!(lock::renew(&RenewLock { token, ttl_ms: 60_000 }).unwrap());
    assert!(matches!(link.take_lock(take(&path, "c", 60_000)).await.unwrap(), Taken::HeldBy(_)));
    drop(step);
    assert!(matches!(link.take_lock(over).await.unwrap(), Taken::Taken { replaced: Some(_), .. }));
}

#[tokio::test]
async fn the_removal_of_the_locks_own_directory_goes_on_unless_somebody_made_a_new_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("zk/var/lock");
    let (link, other) = (host(dir.path()), host(dir.path()));
    link.hold(Some(taken(&link, take(&path, "a", 60_000)).await));
    let remove = |what: &str| Remove {
        path: dir.path().join(what),
        roots: vec![dir.path().join("zk")],
        keep: Vec::new(),
    };
    link.remove(remove("zk/var")).await.unwrap();
    fs::create_dir(dir.path().join("zk/bin")).unwrap();
    link.remove(remove("zk/bin")).await.unwrap();
    other.hold(link.held());
    assert!(matches!(other.remove(remove("zk")).await, Err(CallError::StaleLock(_))), "it removed nothing");
    taken(&other, take(&path, "b", 60_000)).await;
    assert!(matches!(link.remove(remove("zk")).await, Err(CallError::StaleLock(_))));
    assert!(path.exists());
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
