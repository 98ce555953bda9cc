//! The client against the fake server over loopback, and the connect string.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::timeout;

use super::fake::Fake;
use super::{Client, ConnectString, Error, Events, MultiOp, Noticed, Options, State};
use crate::wire::proto::{
    Acl, AddWatchMode, CreateMode, ErrorCode, EventState, EventType, MultiResult, Perms, WatcherType,
};

fn quick() -> Options {
    Options {
        session_timeout: Duration::from_secs(6),
        request_timeout: LIMIT,
        reconnect_pause_max: Duration::from_millis(20),
        ..Options::default()
    }
}

async fn client(fake: &Fake, chroot: &str) -> Client {
    let client = Client::connect(format!("{}{chroot}", fake.server()).parse().unwrap(), quick());
    client.connected(LIMIT).await.unwrap();
    client
}

fn text(data: &'static str) -> Option<Bytes> {
    Some(Bytes::from_static(data.as_bytes()))
}

async fn create(client: &Client, path: &str, mode: CreateMode) -> Result<String, Error> {
    client.create(path, text("data"), Acl::open(), mode).await
}

/// The next event as `Type path`, or the state for a session event.
async fn next(events: &mut Events) -> String {
    match timeout(LIMIT, events.next()).await.expect("an event in time") {
        Some(Noticed::Event(event)) => match event.path {
            Some(path) => format!("{:?} {path}", event.kind),
            None => format!("{:?}", event.state),
        },
        Some(Noticed::Missed(count)) => format!("missed {count}"),
        None => "end".to_owned(),
    }
}

#[test]
fn connect_strings_are_parsed_or_explained() {
    let shown = |text: &str| match text.parse::<ConnectString>() {
        Ok(parsed) => parsed.to_string(),
        Err(error) => error.to_string(),
    };
    for (text, expected) in [
        ("localhost", "localhost:2181"),
        ("192.168.17.132", "192.168.17.132:2181"),
        ("a:1,b:2, c/app/x", "a:1,b:2,c:2181/app/x"),
        ("a:1/", "a:1"),
        ("[::1]:2182,[fe80::1]", "[::1]:2182,[fe80::1]:2181"),
        ("::1", "[::1]:2181"),
        ("", "connect string \"\" names no server: write host:port[,host:port…][/chroot]"),
        ("/app", "connect string \"/app\" names no server: write host:port[,host:port…][/chroot]"),
        (":2181", "server \":2181\" has no host: write host or host:port"),
        ("a:b", "server \"a:b\": the port must be a number from 1 to 65535"),
        ("a:0", "server \"a:0\": the port must be a number from 1 to 65535"),
        ("a:70000", "server \"a:70000\": the port must be a number from 1 to 65535"),
        ("[::1:2181", "server \"[::1:2181\": write an IPv6 address in brackets, as in [::1]:2181"),
        ("a:1:2", "server \"a:1:2\": write an IPv6 address in brackets, as in [::1]:2181"),
        ("[::1]2181", "[::1]:2181"),
        ("a/x/", "chroot \"/x/\": Path must not end with / character"),
    ] {
        assert_eq!(shown(text), expected, "{text:?}");
    }
}

#[tokio::test]
async fn nodes_are_created_read_changed_and_deleted() {
    let fake = Fake::start().await;
    let client = client(&fake, "").await;
    assert_eq!(create(&client, "/a", CreateMode::Persistent).await.unwrap(), "/a");
    assert_eq!(create(&client, "/a/s", CreateMode::PersistentSequential).await.unwrap(), "/a/s0000000000");
    let created = client.create2("/c", None, Acl::open(), CreateMode::Container).await.unwrap();
    assert_eq!((created.path.as_str(), created.stat.version), ("/c", 0));

    let node = client.get("/a", false).await.unwrap();
    assert_eq!((node.data, node.stat.num_children), (text("data"), 1));
    assert_eq!(client.get("/c", false).await.unwrap().data, None, "null is not empty");
    let stat = client.set("/a", text("new"), Some(0)).await.unwrap();
    assert_eq!((stat.version, stat.data_length), (1, 3));
    let bad = client.set("/a", text("x"), Some(0)).await.unwrap_err();
    assert_eq!(bad, Error::Code(ErrorCode::BadVersion, "/a".into()));
    assert_eq!(bad.to_string(), "KeeperErrorCode = BadVersion for /a");

    assert_eq!(client.children("/", false).await.unwrap().0, ["a", "c", "zookeeper"]);
    assert_eq!(client.exists("/no", false).await.unwrap(), None);
    assert_eq!(client.exists("/a", false).await.unwrap().unwrap().version, 1);
    assert_eq!(client.delete("/a", None).await, Err(Error::Code(ErrorCode::NotEmpty, "/a".into())));
    client.delete("/a/s0000000000", Some(0)).await.unwrap();
    client.delete("/a", None).await.unwrap();
    assert_eq!(client.all_children_number("/").await.unwrap(), 4);
    client.sync("/").await.unwrap();
    client.close().await;
    assert_eq!(fake.session_count(), 0, "close ends the session on the server");
}

#[tokio::test]
async fn bad_paths_never_reach_the_server() {
    let fake = Fake::start().await;
    let client = client(&fake, "").await;
    fake.seen();
    for path in ["", "x", "/x/", "/a//b", "/a/../b", "/\u{1}"] {
        assert!(matches!(client.get(path, false).await, Err(Error::Path(_))), "{path:?}");
    }
    assert_eq!(fake.seen(), [""; 0]);
    assert_eq!(
        create(&client, "/", CreateMode::PersistentSequential).await.unwrap(),
        "/0000000000",
        "a number makes it a name"
    );
    client.close().await;
}

#[tokio::test]
async fn transactions_do_all_or_nothing_and_say_which_op_failed() {
    let fake = Fake::start().await;
    let client = client(&fake, "/app").await;
    let outside = self::client(&fake, "").await;
    create(&outside, "/app", CreateMode::Persistent).await.unwrap();
    let op = |path: &str| MultiOp::Create {
        path: path.to_owned(),
        data: None,
        acl: Acl::open(),
        mode: CreateMode::Persistent,
    };
    let done = client
        .multi(vec![
            op("/a"),
            MultiOp::Set { path: "/a".into(), data: text("1"), version: Some(0) },
            MultiOp::Check { path: "/a".into(), version: 1 },
            MultiOp::Delete { path: "/a".into(), version: None },
        ])
        .await
        .unwrap();
    assert!(matches!(&done[0], MultiResult::Create { path } if &**path == "/a"), "chroot stripped: {done:?}");
    assert!(matches!(done[1..], [MultiResult::SetData(_), MultiResult::Check, MultiResult::Delete]));
    let failed = client.multi(vec![op("/x"), op("/no/y"), op("/z")]).await.unwrap_err();
    assert_eq!(failed, Error::Multi { at: 1, code: ErrorCode::NoNode, path: "/no/y".into() });
    assert_eq!(client.exists("/x", false).await.unwrap(), None);
    assert_eq!(client.multi(Vec::new()).await.unwrap(), []);
    client.close().await;
    outside.close().await;
}

#[tokio::test]
async fn a_chroot_is_in_front_of_every_path_and_behind_no_answer() {
    let fake = Fake::start().await;
    let outside = client(&fake, "").await;
    create(&outside, "/app", CreateMode::Persistent).await.unwrap();
    let inside = client(&fake, "/app").await;
    assert_eq!(create(&inside, "/n", CreateMode::EphemeralSequential).await.unwrap(), "/n0000000000");
    assert_eq!(inside.children("/", false).await.unwrap().0, ["n0000000000"]);
    assert_eq!(outside.children("/app", false).await.unwrap().0, ["n0000000000"]);
    assert_eq!(inside.ephemerals("/").await.unwrap(), ["/app/n0000000000"], "ephemerals know no chroot");
    assert_eq!(inside.config(false).await.unwrap().data, text(""));
    let missing = inside.get("/no", false).await.unwrap_err();
    assert_eq!(missing, Error::Code(ErrorCode::NoNode, "/no".into()));
    inside.close().await;
    assert_eq!(outside.children("/app", false).await.unwrap().0, [""; 0], "ephemerals end with it");
    outside.close().await;
}

#[tokio::test]
async fn one_client_sees_what_another_does() {
    let fake = Fake::start().await;
    let watcher = client(&fake, "").await;
    let actor = client(&fake, "").await;
    let mut events = watcher.events();
    assert_eq!(next(&mut events).await, "SyncConnected", "the first reader gets the beginning");
    assert_eq!(watcher.exists("/w", true).await.unwrap(), None);
    watcher.children("/", true).await.unwrap();
    create(&actor, "/w", CreateMode::Persistent).await.unwrap();
    assert_eq!(next(&mut events).await, "NodeCreated /w");
    assert_eq!(next(&mut events).await, "NodeChildrenChanged /");
    watcher.get("/w", true).await.unwrap();
    actor.set("/w", None, None).await.unwrap();
    actor.set("/w", None, None).await.unwrap();
    assert_eq!(next(&mut events).await, "NodeDataChanged /w");
    watcher.add_watch("/w", AddWatchMode::PersistentRecursive).await.unwrap();
    create(&actor, "/w/x", CreateMode::Persistent).await.unwrap();
    actor.delete("/w/x", None).await.unwrap();
    assert_eq!(next(&mut events).await, "NodeCreated /w/x");
    assert_eq!(next(&mut events).await, "NodeDeleted /w/x");
    watcher.remove_watches("/w", WatcherType::Any, false).await.unwrap();
    assert_eq!(next(&mut events).await, "PersistentWatchRemoved /w");
    let none = watcher.remove_watches("/w", WatcherType::Any, false).await.unwrap_err();
    assert_eq!(none, Error::Code(ErrorCode::NoWatcher, "/w".into()));
    watcher.close().await;
    assert_eq!(next(&mut events).await, "Closed");
    assert_eq!(next(&mut events).await, "end");
    actor.close().await;
}

#[tokio::test]
async fn a_slow_reader_of_events_is_told_what_it_missed() {
    let fake = Fake::start().await;
    let client = client(&fake, "").await;
    let mut events = client.events();
    create(&client, "/w", CreateMode::Persistent).await.unwrap();
    client.add_watch("/w", AddWatchMode::Persistent).await.unwrap();
    for _ in 0..Events::BACKLOG_MAX + 10 {
        client.set("/w", None, None).await.unwrap();
    }
    // With the session's own first event.
    assert_eq!(next(&mut events).await, "missed 11");
    assert_eq!(next(&mut events).await, "NodeDataChanged /w");
    client.close().await;
}

#[tokio::test]
async fn a_lost_connection_is_replaced_and_the_session_goes_on() {
    let fake = Fake::start().await;
    let client = client(&fake, "").await;
    let mut events = client.events();
    create(&client, "/e", CreateMode::Ephemeral).await.unwrap();
    client.get("/e", true).await.unwrap();
    let session = client.status().session;
    fake.drop_connections();
    assert_eq!(next(&mut events).await, "SyncConnected");
    assert_eq!(next(&mut events).await, "Disconnected");
    client.connected(LIMIT).await.unwrap();
    assert_eq!(next(&mut events).await, "SyncConnected");
    assert_eq!(client.status().session, session);
    client.set("/e", None, None).await.unwrap();
    assert_eq!(next(&mut events).await, "NodeDataChanged /e", "the watch came along");
    client.close().await;
}

#[tokio::test]
async fn a_server_that_is_away_fails_calls_but_not_the_client() {
    let fake = Fake::start().await;
    let client = client(&fake, "").await;
    fake.refuse(true);
    fake.drop_connections();
    let lost = loop {
        match client.get("/", false).await {
            Ok(_) => tokio::task::yield_now().await,
            Err(error) => break error,
        }
    };
    assert_eq!(lost, Error::ConnectionLoss("/".into()));
    assert!(client.status().trouble.is_some());
    fake.refuse(false);
    client.connected(LIMIT).await.unwrap();
    assert_eq!(client.status().trouble, None);
    client.get("/", false).await.unwrap();
    client.close().await;
}

#[tokio::test]
async fn an_expired_session_says_so_to_everyone() {
    let fake = Fake::start().await;
    let client = client(&fake, "").await;
    let mut events = client.events();
    fake.expire_all();
    fake.drop_connections();
    for expected in ["SyncConnected", "Disconnected", "Expired", "end"] {
        assert_eq!(next(&mut events).await, expected);
    }
    assert_eq!(client.state(), State::Expired);
    assert_eq!(client.get("/", false).await.unwrap_err(), Error::SessionExpired("/".into()));
    assert_eq!(client.connected(LIMIT).await, Err(Error::SessionExpired(String::new())));
    client.close().await;
}

#[tokio::test]
async fn identities_open_nodes_and_survive_a_reconnect() {
    let fake = Fake::start().await;
    let client = client(&fake, "").await;
    client.add_auth("digest", Bytes::from_static(b"x:y")).await.unwrap();
    let private = vec![Acl::new(Perms::ALL, "auth", "")];
    client.create("/p", text("secret"), private, CreateMode::Persistent).await.unwrap();
    let (acl, _) = client.get_acl("/p").await.unwrap();
    assert_eq!(acl, [Acl::new(Perms::ALL, "digest", "x:MEJqKszm5QjsB/DDYgSVr5oDjb4=")]);
    fake.drop_connections();
    let again = loop {
        match client.get("/p", false).await {
            Err(Error::ConnectionLoss(_) | Error::Timeout { .. }) => continue,
            again => break again,
        }
    };
    assert_eq!(again.unwrap().data, text("secret"));
    let users = client.who_am_i().await.unwrap();
    assert!(users.contains(&("digest".into(), "x".into())), "{users:?}");
    let stranger = self::client(&fake, "").await;
    assert_eq!(stranger.get("/p", false).await.unwrap_err(), Error::Code(ErrorCode::NoAuth, "/p".into()));
    assert_eq!(
        stranger.add_auth("nosuch", Bytes::new()).await.unwrap_err(),
        Error::AuthFailed(String::new())
    );
    assert_eq!(stranger.state(), State::AuthFailed);
    assert_eq!(stranger.get("/", false).await.unwrap_err(), Error::AuthFailed("/".into()));
    stranger.close().await;
    client.close().await;
}

#[tokio::test]
async fn a_mute_server_costs_the_callers_deadline() {
    let fake = Fake::start().await;
    fake.mute(true);
    let options = Options { request_timeout: Duration::from_millis(80), ..quick() };
    let client = Client::connect(fake.server().parse().unwrap(), options);
    let late = timeout(LIMIT, client.connected(Duration::from_millis(50))).await.expect("it ends");
    assert_eq!(late.unwrap_err(), Error::Timeout { ms: 50, path: String::new() });
    let late = timeout(LIMIT, client.get("/", false)).await.expect("it ends");
    assert_eq!(late.unwrap_err(), Error::Timeout { ms: 80, path: "/".into() });
    client.close().await;
    assert_eq!(client.state(), State::Closed);
    assert_eq!(client.get("/", false).await.unwrap_err(), Error::Closed);
    client.close().await;
}

#[tokio::test]
async fn hostile_frames_drop_the_connection_and_no_more() {
    let fake = Fake::start().await;
    let client = client(&fake, "").await;
    let mut events = client.events();
    assert_eq!(next(&mut events).await, "SyncConnected");
    for garbage in [&b""[..], b"\0", b"\xff\xff\xff\xff\0\0\0\0\0\0\0\0\0\0\0\0\x7f\xff\xff\xff"] {
        fake.inject(garbage);
        assert_eq!(next(&mut events).await, "Disconnected");
        assert_eq!(next(&mut events).await, "SyncConnected");
    }
    client.close().await;
}

#[tokio::test]
async fn a_caller_that_stops_waiting_harms_nobody() {
    let fake = Fake::start().await;
    let client = client(&fake, "").await;
    for _ in 0..50 {
        let _ = timeout(Duration::ZERO, client.get("/", false)).await;
    }
    let many = (0..3000).map(|i| {
        let client = client.clone();
        async move { client.create(&format!("/n{i}"), None, Acl::open(), CreateMode::Persistent).await }
    });
    let made = futures_util::future::join_all(many).await;
    assert!(made.iter().all(Result::is_ok), "more calls than fit wait their turn");
    client.close().await;
}

#[tokio::test]
async fn the_last_clone_dropped_closes_the_session() {
    let fake = Fake::start().await;
    let client = client(&fake, "").await;
    create(&client, "/e", CreateMode::Ephemeral).await.unwrap();
    drop(client.clone());
    client.get("/e", false).await.unwrap();
    let mut events = client.events();
    drop(client);
    assert_eq!(next(&mut events).await, "SyncConnected");
    assert_eq!(next(&mut events).await, "Closed");
    assert_eq!(fake.session_count(), 0);
}

#[tokio::test]
async fn a_read_only_server_serves_reads_until_it_has_a_quorum() {
    let fake = Fake::start().await;
    fake.serve_read_only(true);
    let client = Client::connect(fake.server().parse().unwrap(), Options { read_only: true, ..quick() });
    client.connected(LIMIT).await.unwrap();
    assert_eq!(client.state(), State::ConnectedReadOnly);
    client.get("/", false).await.unwrap();
    let refused = create(&client, "/x", CreateMode::Persistent).await.unwrap_err();
    assert_eq!(refused, Error::Code(ErrorCode::NotReadOnly, "/x".into()));
    let mut events = client.events();
    fake.serve_read_only(false);
    for expected in ["ConnectedReadOnly", "Disconnected", "SyncConnected"] {
        assert_eq!(next(&mut events).await, expected);
    }
    create(&client, "/x", CreateMode::Persistent).await.unwrap();
    client.close().await;
}

#[tokio::test]
async fn event_kinds_carry_the_zxid_that_fired_them() {
    let fake = Fake::start().await;
    let client = client(&fake, "").await;
    let mut events = client.events();
    client.exists("/z", true).await.unwrap();
    let stat = client.create2("/z", None, Acl::open(), CreateMode::Persistent).await.unwrap().stat;
    let seen = [events.try_next(), events.try_next()].map(|noticed| match noticed {
        Some(Noticed::Event(event)) => event,
        other => panic!("the event stands before the reply: {other:?}"),
    });
    assert_eq!((seen[0].kind, seen[0].state), (EventType::None, EventState::SyncConnected));
    assert_eq!((seen[1].kind, seen[1].zxid), (EventType::NodeCreated, stat.czxid));
    client.close().await;
}

/// No wait of a test is longer.
const LIMIT: Duration = Duration::from_secs(20);
