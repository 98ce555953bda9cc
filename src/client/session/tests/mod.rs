//! The machine under virtual time: inputs and clock in, actions out, rendered as text.

mod chaos;
mod desk;

use bytes::Bytes;

use super::{Action, Effect, Failure, Input, Session, Settings, Watch};
use crate::client::State;
use crate::wire::ids::SessionId;
use crate::wire::jute::Str;
use crate::wire::proto::{AddWatchMode, ErrorCode, EventType, Request, Response, WatcherType, xid};
use desk::{Desk, TIMEOUT_MS, data, reply, welcome, welcome_from};

#[test]
fn a_new_session_is_opened_and_calls_wait_for_it() {
    let mut desk = Desk::new("a:1");
    assert_eq!(desk.get("/x", false), [""; 0], "nothing leaves before the handshake");
    assert_eq!(desk.wait(), ["dial a:1"]);
    assert_eq!(desk.give(Input::Connected), ["hello session 0 zxid 0 timeout 9000 ro false"]);
    assert_eq!(desk.session.state(), State::Connecting);
    assert_eq!(
        desk.give(Input::Frame(welcome(5, 6_000))),
        ["tell SyncConnected", "send 1 GetData /x"],
        "the queue follows the welcome"
    );
    assert_eq!(desk.session.state(), State::Connected);
    assert_eq!((desk.session.id(), desk.session.timeout_ms()), (SessionId(5), 6_000));
    assert_eq!(desk.reply(1, 3, &data()), ["answer 1 ok"]);
}

#[test]
fn a_reconnect_resumes_with_zxid_identities_watches_in_that_order() {
    let mut desk = Desk::up("a:1");
    desk.give(Input::AddAuth { ticket: 90, scheme: "digest".into(), auth: Bytes::from_static(b"u:p") });
    assert_eq!(desk.reply(xid::AUTH, 0, &Response::Empty), ["answer 90 ok"]);
    desk.get("/w", true);
    desk.reply(1, 44, &data());
    desk.call(
        Request::AddWatch { path: Str::from("/p"), mode: 0 },
        Effect::Watch(Watch::Add("/p".into(), AddWatchMode::Persistent)),
    );
    desk.reply(2, 45, &Response::Number(0));
    desk.get("/lost", false);

    assert_eq!(desk.give(Input::Down), ["tell Disconnected", "answer 3 ConnectionLoss"]);
    assert_eq!(desk.session.state(), State::Connecting);
    desk.get("/later", false);
    assert_eq!(desk.wait(), ["dial a:1"]);
    assert_eq!(desk.give(Input::Connected), ["hello session 5 zxid 45 timeout 9000 ro false"]);
    assert_eq!(
        desk.give(Input::Frame(welcome(5, 9_000))),
        [
            "tell SyncConnected",
            "send -4 Auth digest",
            "send -8 SetWatches2 since 45 [\"/w\"] [] [] [\"/p\"] []",
            "send 4 GetData /later",
        ],
        "xids go on over reconnects"
    );
    assert_eq!(desk.reply(xid::SET_WATCHES, 46, &Response::Empty), [""; 0]);
    assert_eq!(desk.reply(4, 46, &data()), ["answer 4 ok"]);
}

#[test]
fn one_shot_watches_alone_are_restored_with_the_old_op() {
    let mut desk = Desk::up("a:1");
    desk.get("/w", true);
    desk.reply(1, 7, &data());
    desk.call(
        Request::Exists { path: Str::from("/no"), watch: true },
        Effect::Watch(Watch::Exists("/no".into())),
    );
    assert_eq!(desk.refuse(2, ErrorCode::NoNode), ["answer 2 Code(-101)"]);
    desk.give(Input::Down);
    let sent = desk.connect();
    assert_eq!(sent[1], "send -8 SetWatches since 7 [\"/w\"] [\"/no\"] [] [] []");
}

#[test]
fn watch_lists_too_long_for_one_frame_are_restored_in_batches() {
    let mut desk = Desk::up("a:1");
    let long = "n".repeat(1000);
    for i in 0..300 {
        desk.get(&format!("/{i:03}{long}"), true);
        desk.reply(i + 1, 1, &data());
    }
    desk.give(Input::Down);
    let sent = desk.connect();
    assert_eq!(sent.iter().filter(|line| line.starts_with("send -8 SetWatches ")).count(), 3);
    assert_eq!(sent.iter().map(|line| line.matches(&long).count()).sum::<usize>(), 300);
}

#[test]
fn a_watch_fires_once_and_a_persistent_one_stays() {
    let mut desk = Desk::up("a:1");
    desk.get("/w", true);
    desk.reply(1, 1, &data());
    assert_eq!(desk.event(EventType::NodeDataChanged, "/w"), ["tell NodeDataChanged /w 9"]);
    assert_eq!(desk.event(EventType::NodeDataChanged, "/w"), [""; 0], "nobody watches any more");
    desk.call(
        Request::AddWatch { path: Str::from("/r"), mode: 1 },
        Effect::Watch(Watch::Add("/r".into(), AddWatchMode::PersistentRecursive)),
    );
    desk.reply(2, 1, &Response::Number(0));
    for _ in 0..2 {
        assert_eq!(desk.event(EventType::NodeCreated, "/r/a/b"), ["tell NodeCreated /r/a/b 9"]);
    }
    assert_eq!(desk.event(EventType::NodeChildrenChanged, "/r"), [""; 0], "not for recursive watches");
    assert_eq!(desk.event(EventType::NodeCreated, "/other"), [""; 0]);
}

#[test]
fn a_failed_read_leaves_no_watch() {
    let mut desk = Desk::up("a:1");
    desk.get("/no", true);
    desk.refuse(1, ErrorCode::NoNode);
    assert_eq!(desk.event(EventType::NodeCreated, "/no"), [""; 0]);
    desk.give(Input::Down);
    assert_eq!(desk.connect(), ["tell SyncConnected"]);
}

#[test]
fn removing_watches_tells_of_each_kind_and_can_be_done_without_a_server() {
    let mut desk = Desk::up("a:1");
    desk.get("/w", true);
    desk.reply(1, 1, &data());
    let unwatch = |local| Effect::Unwatch { path: "/w".into(), kind: WatcherType::Any, local };
    let request = || Request::RemoveWatches { path: Str::from("/w"), kind: 3 };
    desk.call(request(), unwatch(false));
    assert_eq!(desk.reply(2, 1, &Response::Empty), ["tell DataWatchRemoved /w -1", "answer 2 ok"]);

    desk.get("/w", true);
    desk.reply(3, 1, &data());
    desk.give(Input::Down);
    assert_eq!(desk.call(request(), unwatch(true)), ["tell DataWatchRemoved /w -1", "answer 4 ok"]);
    assert_eq!(desk.connect(), ["tell SyncConnected"], "and it is not set again");
}

#[test]
fn events_and_paths_of_a_chroot_come_without_it() {
    let mut desk = Desk::up("a:1/app");
    for (xid, path) in [(1, "/app/w"), (2, "/app"), (3, "/zookeeper/config")] {
        desk.get(path, true);
        desk.reply(xid, 1, &data());
    }
    assert_eq!(desk.event(EventType::NodeDataChanged, "/app/w"), ["tell NodeDataChanged /w 9"]);
    assert_eq!(desk.event(EventType::NodeDataChanged, "/app"), ["tell NodeDataChanged / 9"]);
    assert_eq!(
        desk.event(EventType::NodeDataChanged, "/zookeeper/config"),
        ["tell NodeDataChanged /zookeeper/config 9"]
    );
}

#[test]
fn replies_out_of_order_cost_the_connection_and_the_one_who_waited_learns_why() {
    let mut desk = Desk::up("a:1");
    desk.get("/a", false);
    desk.get("/b", false);
    let actions = desk.reply(2, 1, &data());
    assert!(actions[0].starts_with("answer 1 Malformed"), "{actions:?}");
    assert_eq!(actions[1..], ["hangup", "tell Disconnected", "answer 2 ConnectionLoss"]);
}

#[test]
fn garbage_from_the_server_costs_the_connection_and_nothing_else() {
    for garbage in [&b""[..], b"\0\0", &[0xff; 40], &[0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]] {
        let mut desk = Desk::up("a:1");
        assert_eq!(desk.give(Input::Frame(Bytes::copy_from_slice(garbage))), ["hangup", "tell Disconnected"]);
        let mut desk = Desk::new("a:1");
        desk.wait();
        desk.give(Input::Connected);
        assert_eq!(desk.give(Input::Frame(Bytes::copy_from_slice(garbage))), ["hangup"]);
        assert_eq!(desk.wait(), ["dial a:1"]);
    }
}

#[test]
fn an_error_reply_may_carry_a_body_that_means_nothing() {
    let mut desk = Desk::up("a:1");
    desk.get("/a", false);
    let frame = reply(1, 1, -5, Some(&Response::Multi(Vec::new())));
    assert_eq!(desk.give(Input::Frame(frame)), ["answer 1 Code(-5)"]);
}

#[test]
fn pings_keep_a_quiet_line_alive_and_silence_ends_it() {
    let mut desk = Desk::up("a:1");
    let start = desk.now_ms;
    // Read limit 6 s; half of it, a second early.
    assert_eq!(desk.wait(), ["send -2 Ping"]);
    assert_eq!(desk.now_ms - start, 2_000);
    desk.reply(xid::PING, 0, &Response::Empty);
    assert_eq!(desk.wait(), ["send -2 Ping"]);
    assert_eq!(desk.now_ms - start, 4_000);
    assert_eq!(desk.wait(), ["send -2 Ping"]);
    assert_eq!(desk.wait(), ["hangup", "tell Disconnected"]);
    assert_eq!(desk.now_ms - start, 2_000 + 6_000, "the read limit after the last answer");
}

#[test]
fn a_long_timeout_still_pings_every_ten_seconds() {
    let mut desk = Desk::new("a:1");
    desk.wait();
    desk.give(Input::Connected);
    desk.give(Input::Frame(welcome(5, 400_000)));
    let start = desk.now_ms;
    assert_eq!(desk.wait(), ["send -2 Ping"]);
    assert_eq!(desk.now_ms - start, 10_000);
}

#[test]
fn user_traffic_postpones_the_ping() {
    let mut desk = Desk::up("a:1");
    let start = desk.now_ms;
    desk.now_ms += 1_500;
    desk.get("/a", false);
    desk.wait();
    assert_eq!(desk.now_ms - start, 1_500 + 2_000);
}

#[test]
fn a_refused_resume_is_the_end_of_the_session() {
    let mut desk = Desk::up("a:1");
    desk.get("/a", false);
    desk.give(Input::Down);
    desk.get("/b", false);
    desk.wait();
    desk.give(Input::Connected);
    assert_eq!(desk.give(Input::Frame(welcome(0, 0))), ["tell Expired", "answer 2 Expired", "hangup"]);
    assert_eq!((desk.session.state(), desk.session.is_ended()), (State::Expired, true));
    assert_eq!(desk.get("/c", false), ["answer 3 Expired"]);
    assert_eq!(desk.session.deadline_ms(), u64::MAX);
}

#[test]
fn four_thirds_of_the_timeout_in_silence_expire_the_session_here_too() {
    let mut desk = Desk::up("a:1,b:1");
    let heard = desk.now_ms;
    desk.give(Input::Down);
    while !desk.session.is_ended() {
        if desk.wait().iter().any(|action| action.starts_with("dial")) {
            desk.give(Input::Down);
        }
    }
    assert_eq!(desk.now_ms - heard, 12_000);
    assert_eq!(desk.session.state(), State::Expired);
}

#[test]
fn a_client_that_never_had_a_session_keeps_trying() {
    let mut desk = Desk::new("a:1");
    for _ in 0..500 {
        assert_eq!(desk.wait(), ["dial a:1"]);
        assert_eq!(desk.give(Input::Down), [""; 0]);
    }
    assert!(desk.now_ms > 100_000, "a list that fails as a whole is retried with pauses");
}

#[test]
fn every_server_is_tried_before_a_call_fails() {
    let mut desk = Desk::new("a:1,b:1,c:1");
    desk.get("/x", false);
    let mut dialled = Vec::new();
    for round in 0..3 {
        let actions = desk.wait();
        dialled.extend(actions);
        let failed = desk.give(Input::Down);
        assert_eq!(failed.is_empty(), round < 2, "{failed:?}");
    }
    dialled.sort();
    assert_eq!(dialled, ["dial a:1", "dial b:1", "dial c:1"]);
}

#[test]
fn a_dial_and_a_handshake_get_a_share_of_the_timeout_each() {
    let mut desk = Desk::new("a:1,b:1,c:1");
    desk.wait();
    let start = desk.now_ms;
    assert_eq!(desk.wait(), ["hangup"]);
    assert_eq!(desk.now_ms - start, 3_000);
    desk.wait();
    desk.give(Input::Connected);
    let start = desk.now_ms;
    assert_eq!(desk.wait(), ["hangup"], "a server that accepts and says nothing");
    assert_eq!(desk.now_ms - start, 3_000);
}

#[test]
fn reconnects_pause_less_than_a_second_and_the_seed_decides() {
    let pauses = |seed| {
        let settings = Settings { timeout_ms: TIMEOUT_MS, pause_ms_max: 999, read_only: false, seed };
        let mut desk = Desk::new("a:1");
        desk.session = Session::new(&"a:1".parse().unwrap(), settings, desk.now_ms);
        (0..20)
            .map(|_| {
                desk.connect();
                let before = desk.now_ms;
                desk.give(Input::Down);
                desk.session.deadline_ms() - before
            })
            .collect::<Vec<_>>()
    };
    assert!(pauses(1).iter().all(|ms| *ms < 1_000));
    assert_eq!(pauses(1), pauses(1));
    assert_ne!(pauses(1), pauses(2));
}

#[test]
fn a_refused_identity_ends_everything() {
    let mut desk = Desk::up("a:1");
    desk.get("/a", false);
    desk.give(Input::AddAuth { ticket: 9, scheme: "none".into(), auth: Bytes::new() });
    assert_eq!(
        desk.refuse(xid::AUTH, ErrorCode::AuthFailed),
        ["tell AuthFailed", "answer 1 AuthFailed", "answer 9 AuthFailed", "hangup"],
        "the refusal overtakes the queued reply"
    );
    assert_eq!(desk.session.state(), State::AuthFailed);
}

#[test]
fn close_waits_for_the_servers_word_but_not_for_ever() {
    let mut desk = Desk::up("a:1");
    desk.get("/a", false);
    assert_eq!(desk.give(Input::Close), ["send 2 CloseSession"]);
    assert_eq!(desk.get("/b", false), ["answer 2 Closed"]);
    assert_eq!(desk.reply(1, 1, &data()), ["answer 1 ok"]);
    assert_eq!(desk.reply(2, 2, &Response::Empty), ["tell Closed", "hangup"]);
    assert!(desk.session.is_ended());

    let mut desk = Desk::up("a:1");
    let start = desk.now_ms;
    desk.give(Input::Close);
    while !desk.session.is_ended() {
        desk.wait();
    }
    assert_eq!(desk.now_ms - start, 5_000);

    let mut desk = Desk::up("a:1");
    desk.give(Input::Close);
    assert_eq!(desk.give(Input::Down), ["tell Closed", "hangup"], "no reconnect to say goodbye");

    let mut desk = Desk::new("a:1");
    desk.get("/a", false);
    assert_eq!(desk.give(Input::Close), ["tell Closed", "answer 1 Closed", "hangup"]);
}

#[test]
fn a_read_only_server_will_do_until_one_with_a_quorum_is_found() {
    let mut desk = Desk::with("a:1,b:1", true);
    desk.wait();
    assert_eq!(desk.give(Input::Connected), ["hello session 0 zxid 0 timeout 9000 ro true"]);
    let read_only = welcome_from(8, 9_000, true);
    assert_eq!(desk.give(Input::Frame(read_only)), ["tell ConnectedReadOnly"]);
    assert_eq!(desk.session.state(), State::ConnectedReadOnly);
    let start = desk.now_ms;
    let probe = desk.wait();
    assert_eq!(desk.now_ms - start, 100);
    let server = desk.session.servers.candidate(0);
    assert_eq!(probe, [format!("probe {server}")]);
    desk.give(Input::Probed { server, read_write: false });
    let asked = desk.now_ms;
    let probe = desk.wait();
    assert_eq!(desk.now_ms - asked, 200, "the interval doubles");
    let server = desk.session.servers.candidate(1);
    assert_eq!(probe, [format!("probe {server}")]);
    assert_eq!(
        desk.give(Input::Probed { server: server.clone(), read_write: true }),
        ["hangup", "tell Disconnected"]
    );
    assert_eq!(desk.wait(), [format!("dial {server}")]);
    assert_eq!(
        desk.give(Input::Connected),
        ["hello session 0 zxid 0 timeout 9000 ro true"],
        "a session born read-only exists nowhere else"
    );
}

#[test]
fn xids_start_over_after_the_largest() {
    let mut desk = Desk::up("a:1");
    desk.session.last_xid = i32::MAX - 1;
    assert_eq!(desk.get("/a", false), ["send 2147483647 GetData /a"]);
    assert_eq!(desk.get("/b", false), ["send 1 GetData /b"]);
}

#[test]
fn an_unknown_error_code_is_handed_on_as_it_is() {
    let mut desk = Desk::up("a:1");
    desk.get("/a", false);
    let mut out = Vec::new();
    desk.session.step(desk.now_ms, Input::Frame(reply(1, 1, -999, None)), &mut out);
    assert_eq!(out, [Action::Answer { ticket: 1, result: Err(Failure::Code(-999)) }]);
}
