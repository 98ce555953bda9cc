//! The link and the serving side together, over an in-memory pipe; and frames.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

use super::answers::Settings;
use super::frame;
use super::link::{CallError, Gone, Link};
use super::protocol::{Answer, Ask, Hello, PREAMBLE, Request, Response};
use super::serve::serve_with;
use crate::operator::host::failure::Kind;
use crate::operator::host::net::FourLetter;
use crate::operator::host::runs::{self, Holder, LockToken, TakeLock, Taken};

/// A link to a served host whose own notes go to `state_dir`.
pub(in crate::operator::host) fn host(state_dir: &std::path::Path) -> Link {
    let (ours, theirs) = duplex(PIPE_BYTES);
    let (read, write) = tokio::io::split(theirs);
    let settings = Settings { state_dir: state_dir.to_path_buf(), ..Settings::default() };
    tokio::spawn(serve_with(read, write, settings));
    let (read, write) = tokio::io::split(ours);
    let link = Link::new(read, write);
    link.hold(Some(lock()));
    link
}

/// A lock that all tests of this user hold, for requests that change something.
pub(in crate::operator::host) fn lock() -> LockToken {
    let user = rustix::process::geteuid().as_raw();
    let path = std::env::temp_dir().join(format!("zkops-tests-{user}/operator.lock"));
    let holder = Holder { id: "tests".into(), who: "tests".into(), pid: 1, command: "cargo test".into() };
    let request = TakeLock { path: path.clone(), holder, ttl_ms: 1 << 40, over: None };
    match runs::lock::take(&request, Instant::now() + Duration::from_secs(60)).unwrap() {
        Taken::Taken { held, .. } => held.token(path),
        Taken::HeldBy(held) => panic!("only tests take it: {held:?}"),
    }
}

#[tokio::test]
async fn many_calls_at_once_each_get_their_own_answer() {
    let dir = tempfile::tempdir().unwrap();
    let link = host(dir.path());
    let one = |number: usize| {
        let (link, path) = (link.clone(), dir.path().join(number.to_string()));
        async move {
            std::fs::write(&path, number.to_string()).unwrap();
            let read = link.read_file(path, 100).await.unwrap();
            assert_eq!(read.content.into_text(), number.to_string());
        }
    };
    futures_util::future::join_all((0..200).map(one)).await;
}

#[tokio::test]
async fn a_slow_request_does_not_hold_up_a_quick_one() {
    let dir = tempfile::tempdir().unwrap();
    let link = host(dir.path());
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let slow = FourLetter {
        host: "127.0.0.1".into(),
        port: silent.local_addr().unwrap().port(),
        word: "ruok".into(),
        timeout_ms: 60_000,
    };
    tokio::select! {
        answer = link.four_letter(slow) => panic!("nobody answers there: {answer:?}"),
        facts = link.facts() => assert!(facts.is_ok()),
    }
}

#[tokio::test]
async fn a_failure_keeps_its_kind_and_its_advice() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("missing");
    let error = host(dir.path()).read_file(missing.clone(), 10).await.unwrap_err();
    assert_eq!(error.kind(), Some(Kind::NotFound));
    let said = error.to_string();
    assert!(said.starts_with(&format!("cannot read {}: No such file", missing.display())), "{said}");
}

#[tokio::test]
async fn a_deadline_ends_the_wait() {
    let dir = tempfile::tempdir().unwrap();
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let link = host(dir.path()).within(Duration::from_millis(400));
    let ask = FourLetter {
        host: "127.0.0.1".into(),
        port: silent.local_addr().unwrap().port(),
        word: "ruok".into(),
        timeout_ms: 60_000,
    };
    let error = link.four_letter(ask).await.unwrap_err();
    // The host's own word, unless this machine is too busy for it to come in time.
    let host_says = error.kind() == Some(Kind::Timeout);
    assert!(host_says || matches!(error, CallError::Deadline { .. }), "{error}");
    assert!(error.to_string().contains(if host_says { "not done within" } else { "FourLetter" }), "{error}");
}

#[tokio::test]
async fn an_answer_that_does_not_fit_is_a_clear_failure_not_a_broken_link() {
    let dir = tempfile::tempdir().unwrap();
    let link = host(dir.path());
    // Long names: the listing is cut by entries, the frame by bytes.
    let error = link.stat(vec![PathBuf::from("x".repeat(3000)); 5000]).await;
    // 15 MB of question, more than 16 MB of answer.
    assert_eq!(error.unwrap_err().kind(), Some(Kind::TooLarge));
    assert!(link.facts().await.is_ok(), "the link is still good");
}

#[tokio::test]
async fn another_protocol_is_said_with_both_versions() {
    let (ours, mut theirs) = duplex(PIPE_BYTES);
    let (read, write) = tokio::io::split(ours);
    let link = Link::new(read, write);
    let hello = Hello { protocol: 99, version: "9.9.9".into() };
    theirs.write_all(PREAMBLE).await.unwrap();
    theirs.write_all(&frame::encode(&hello).unwrap()).await.unwrap();
    let error = link.facts().await.unwrap_err();
    assert!(matches!(error, CallError::Gone(Gone::Version { their_protocol: 99, .. })), "{error}");
    assert!(error.to_string().contains("9.9.9"));
}

#[tokio::test]
async fn the_host_does_not_serve_another_protocol() {
    let (mut ours, theirs) = duplex(PIPE_BYTES);
    let (read, write) = tokio::io::split(theirs);
    let served = tokio::spawn(serve_with(read, write, Settings::default()));
    let hello = Hello { protocol: 99, version: "9.9.9".into() };
    ours.write_all(&frame::encode(&hello).unwrap()).await.unwrap();
    let mut said = Vec::new();
    ours.read_to_end(&mut said).await.unwrap();
    assert!(said.starts_with(PREAMBLE), "it says who it is, and ends");
    served.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_login_shells_chatter_is_skipped() {
    let dir = tempfile::tempdir().unwrap();
    let (ours, mut theirs) = duplex(PIPE_BYTES);
    theirs.write_all(b"Welcome to node-1!\nLast login: today\n").await.unwrap();
    let (read, write) = tokio::io::split(theirs);
    let settings = Settings { state_dir: dir.path().to_path_buf(), ..Settings::default() };
    tokio::spawn(serve_with(read, write, settings));
    let (read, write) = tokio::io::split(ours);
    assert!(Link::new(read, write).facts().await.is_ok());
}

#[tokio::test]
async fn what_came_instead_of_an_agent_is_shown() {
    let (ours, mut theirs) = duplex(PIPE_BYTES);
    theirs.write_all(b"This account is currently not available.\n").await.unwrap();
    drop(theirs);
    let (read, write) = tokio::io::split(ours);
    let error = Link::new(read, write).facts().await.unwrap_err();
    assert!(error.to_string().contains("This account is currently not available."), "{error}");
}

#[tokio::test]
async fn the_host_ends_when_the_link_is_dropped() {
    let dir = tempfile::tempdir().unwrap();
    let (ours, theirs) = duplex(PIPE_BYTES);
    let (read, write) = tokio::io::split(theirs);
    let settings = Settings { state_dir: dir.path().to_path_buf(), ..Settings::default() };
    let served = tokio::spawn(serve_with(read, write, settings));
    let (read, write) = tokio::io::split(ours);
    let link = Link::new(read, write);
    link.facts().await.unwrap();
    drop(link);
    tokio::time::timeout(Duration::from_secs(10), served).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn calls_on_a_dead_link_fail_at_once_and_say_so() {
    let dir = tempfile::tempdir().unwrap();
    let (ours, theirs) = duplex(PIPE_BYTES);
    let (read, write) = tokio::io::split(theirs);
    let settings = Settings { state_dir: dir.path().to_path_buf(), ..Settings::default() };
    let served = tokio::spawn(serve_with(read, write, settings));
    let (read, write) = tokio::io::split(ours);
    let link = Link::new(read, write);
    link.facts().await.unwrap();
    served.abort();
    let error = link.facts().await.unwrap_err();
    assert!(matches!(error, CallError::Gone(Gone::Broken { .. })), "{error}");
}

#[tokio::test]
async fn frames_are_bounded_and_total() {
    let read = |bytes: Vec<u8>| async move { frame::read::<Ask>(&mut bytes.as_slice()).await };
    assert!(read(Vec::new()).await.unwrap().is_none(), "a clean end");
    assert!(read(vec![0, 0]).await.is_err(), "cut in the length");
    assert!(read(vec![0, 0, 0, 9, b'{']).await.is_err(), "cut in the body");
    assert!(read(vec![0xff; 8]).await.is_err(), "four gigabytes announced");
    assert!(read(vec![0, 0, 0, 2, b'{', b'}']).await.is_err(), "JSON of another kind");
    assert!(frame::encode(&"x".repeat(frame::BYTES_MAX)).is_err());
}

#[test]
fn the_wire_form_is_length_then_tagged_json() {
    let ask = Ask { id: 7, limit_ms: 1500, request: Request::ListDir { path: "/etc".into() }, lock: None };
    let bytes = frame::encode(&ask).unwrap();
    let json = r#"{"id":7,"limit_ms":1500,"request":{"request":"list_dir","with":{"path":"/etc"}}}"#;
    assert_eq!(&bytes[..4], &u32::try_from(json.len()).unwrap().to_be_bytes());
    assert_eq!(std::str::from_utf8(&bytes[4..]).unwrap(), json);
    let answer = Answer { id: 7, result: Ok(Response::Changed(true)) };
    let bytes = frame::encode(&answer).unwrap();
    assert_eq!(
        std::str::from_utf8(&bytes[4..]).unwrap(),
        r#"{"id":7,"result":{"Ok":{"response":"changed","with":true}}}"#
    );
}

/// Larger than any single write in these tests needs, smaller than the answers of some.
const PIPE_BYTES: usize = 64 << 10;
