//! The tables of client-protocol §2.3–§2.7: which failure wins, what is created, what is answered.

use super::{ALICE, BOB, Pair, create, set_data, strs};
use crate::server::tree::{ChangeKind, Settings, TxnBody};
use crate::wire::proto::ErrorCode::{
    BadArguments, BadVersion, EphemeralOnLocalSession, InvalidAcl, MarshallingError, NoAuth,
    NoChildrenForEphemerals, NoNode, NodeExists, NotEmpty, ReconfigDisabled, RuntimeInconsistency,
    SessionExpired, Unimplemented, UnknownSession,
};
use crate::wire::proto::{Acl, CreateRequest, Id, MultiResult, Perms, Request, Response};

fn extended() -> Pair {
    Pair::with(Settings { extended_types: true, ..Settings::default() })
}

fn read_only() -> Vec<Acl> {
    vec![Acl::new(Perms::READ, "world", "anyone")]
}

fn multi(ops: Vec<Request>, pair: &mut Pair) -> Vec<MultiResult> {
    match pair.run(&Request::Multi(ops)) {
        Ok(Response::Multi(results)) => results,
        other => panic!("the header of a multi says 0: {other:?}"),
    }
}

fn plain(path: &str) -> Request {
    Request::Create(create(path, b"", 0, Acl::open()))
}

fn delete(path: &str) -> Request {
    Request::Delete { path: path.into(), version: -1 }
}

fn check(path: &str, version: i32) -> Request {
    Request::Check { path: path.into(), version }
}

#[test]
fn visible_cversion_counts_creates_and_deletes_and_sequences_count_creates_only() {
    let mut pair = Pair::new();
    assert_eq!((pair.stat("/").cversion, pair.stat("/").num_children), (-1, 1));
    pair.create("/a").unwrap();
    assert_eq!(pair.create_with("/a/s", 2, Acl::open()), Ok("/a/s0000000000".into()));
    pair.create("/a/x").unwrap();
    pair.delete("/a/x", -1).unwrap();
    assert_eq!(pair.create_with("/a/s", 2, Acl::open()), Ok("/a/s0000000002".into()));
    // A failed create consumes no number, a trailing slash makes a bare number.
    assert_eq!(pair.create("/a/s0000000002"), Err(NodeExists));
    assert_eq!(pair.create_with("/a/", 2, Acl::open()), Ok("/a/0000000003".into()));
    let stat = pair.stat("/a");
    assert_eq!((stat.cversion, stat.num_children), (2 * 4 - 3, 3));
}

#[test]
fn create_checks_come_in_the_order_of_the_table() {
    let mut pair = Pair::new();
    pair.create("/a").unwrap();
    pair.create_with("/closed", 0, read_only()).unwrap();
    pair.create_with("/e", 1, Acl::open()).unwrap();
    let no_acl = Vec::new;
    for (path, flags, acl, code) in [
        ("none/x", 9, no_acl(), BadArguments),
        ("none", 5, no_acl(), Unimplemented),
        ("none", 0, no_acl(), BadArguments),
        ("/a\0/x", 0, no_acl(), BadArguments),
        ("/none/x", 0, no_acl(), InvalidAcl),
        ("/none/x", 0, Acl::open(), NoNode),
        ("none/x", 0, Acl::open(), NoNode),
        ("/closed/..", 0, Acl::open(), NoAuth),
        ("/a/..", 0, Acl::open(), BadArguments),
        ("/a/", 0, Acl::open(), BadArguments),
        ("//x", 0, Acl::open(), BadArguments),
        ("/", 0, Acl::open(), NodeExists),
        ("/a", 0, Acl::open(), NodeExists),
        ("/e/x", 0, Acl::open(), NoChildrenForEphemerals),
    ] {
        assert_eq!(pair.create_with(path, flags, acl), Err(code), "{path:?} {flags}");
    }
    pair.session_check = Err(SessionExpired);
    assert_eq!(pair.create_with("none", 0, no_acl()), Err(SessionExpired));
    assert_eq!(pair.create_with("none", 7, no_acl()), Err(BadArguments));
    assert_eq!(pair.create_with("/e2", 1, Acl::open()), Ok("/e2".into()));
    pair.ephemeral_check = Err(EphemeralOnLocalSession);
    assert_eq!(pair.create_with("/e3", 1, Acl::open()), Err(EphemeralOnLocalSession));
}

#[test]
fn paths_with_supplementary_and_private_use_characters_are_refused() {
    let mut pair = Pair::new();
    for path in ["/\u{1f600}", "/\u{e000}", "/\u{7f}", "/\u{fff0}", "/a/./b"] {
        assert!(pair.create(path).is_err(), "{path:?}");
    }
    assert_eq!(pair.create("/ü"), Ok("/ü".into()));
    assert_eq!(pair.set("/\u{1f600}", b"", -1), Err(BadArguments));
}

#[test]
fn op_and_flags_decide_what_is_created_as_in_the_reference() {
    let mut pair = extended();
    let kinds = |pair: &Pair| (pair.leader.sessions.containers.len(), pair.leader.sessions.ttls.len());
    pair.run(&Request::Create(create("/plain", b"", 4, Acl::open()))).unwrap();
    assert_eq!(kinds(&pair), (0, 0), "op 1 with the container flag makes a plain node");
    pair.run(&Request::CreateContainer(create("/c", b"", 0, Acl::open()))).unwrap();
    assert_eq!(kinds(&pair), (1, 0), "op 19 makes a container whatever the flags");
    let ttl = |path: &str, flags, ttl_ms| {
        Request::CreateTtl(CreateRequest { ttl_ms: Some(ttl_ms), ..create(path, b"", flags, Acl::open()) })
    };
    pair.run(&ttl("/t", 5, 1000)).unwrap();
    assert_eq!(kinds(&pair), (1, 1));
    for (flags, ttl_ms) in [(5, 0), (5, -1), (6, 1 << 40), (0, 5), (0, -1), (4, -1)] {
        assert_eq!(pair.run(&ttl("/x", flags, ttl_ms)), Err(BadArguments), "{flags} {ttl_ms}");
    }
    assert_eq!(pair.run(&Request::Create(create("/x", b"", 5, Acl::open()))), Err(BadArguments));
    assert_eq!((pair.stat("/c").ephemeral_owner, pair.stat("/t").ephemeral_owner), (0, 0));

    // Containers and TTL nodes may have children; without the setting there are no TTL nodes.
    pair.create("/c/x").unwrap();
    pair.create("/t/x").unwrap();
    assert_eq!(Pair::new().run(&ttl("/t", 5, 1000)), Err(Unimplemented));
}

#[test]
fn delete_asks_the_parent_first_and_looks_at_the_version_before_the_children() {
    let mut pair = Pair::new();
    pair.create("/a").unwrap();
    pair.create("/a/b").unwrap();
    pair.create("/a/b/c").unwrap();
    pair.set_acl("/a", read_only(), -1).unwrap();
    assert_eq!(pair.delete("/a/none", 0), Err(NoAuth), "before the node's existence is revealed");
    assert_eq!(pair.delete("/none/x", 0), Err(NoNode));
    assert_eq!(pair.delete("/a/b/none", 0), Err(NoNode));
    assert_eq!(pair.delete("/a", 7), Err(BadVersion));
    assert_eq!(pair.delete("/a", 0), Err(NotEmpty));
    for path in ["/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config", "x", "", "/a\0"] {
        assert_eq!(pair.delete(path, -1), Err(BadArguments), "{path:?}");
    }
    assert_eq!(pair.delete("/a/", -1), Err(NoAuth));
    assert_eq!(pair.delete("/a/b/", -1), Err(NoNode));
    pair.session_check = Err(UnknownSession);
    assert_eq!(pair.delete("/", -1), Err(UnknownSession));
}

#[test]
fn delete_container_asks_neither_session_nor_list() {
    let mut pair = Pair::new();
    pair.create("/a").unwrap();
    pair.run(&Request::CreateContainer(create("/a/c", b"", 4, read_only()))).unwrap();
    pair.create_with("/a/e", 1, Acl::open()).unwrap();
    pair.set_acl("/a", read_only(), -1).unwrap();
    pair.session_check = Err(SessionExpired);
    let clean = |path: &str| Request::DeleteContainer { path: path.into() };
    assert_eq!(pair.run(&clean("/zookeeper")), Err(BadArguments));
    assert_eq!(pair.run(&clean("/a/none")), Err(NoNode));
    assert_eq!(pair.run(&clean("/a")), Err(NotEmpty));
    assert_eq!(pair.run(&clean("/a/e")), Err(BadVersion));
    assert_eq!(pair.run(&clean("/a/c")), Ok(Response::Empty));
}

#[test]
fn set_data_moves_version_and_mzxid_and_leaves_the_parent_alone() {
    let mut pair = Pair::new();
    pair.create("/a").unwrap();
    let parent = pair.stat("/");
    let before = pair.stat("/a");
    let after = pair.set("/a", b"12345", 0).unwrap();
    assert_eq!((after.version, after.data_length, after.mzxid), (1, 5, pair.zxid));
    assert!(after.mtime_ms > before.mtime_ms && after.ctime_ms == before.ctime_ms);
    assert_eq!(pair.stat("/"), parent);
    assert_eq!(pair.set("/a", b"", 0), Err(BadVersion));
    assert_eq!(pair.set("/none", b"", 0), Err(NoNode));
    assert_eq!(pair.set("", b"", 0), Err(BadArguments));
    pair.create_with("/closed", 0, read_only()).unwrap();
    assert_eq!(pair.set("/closed", b"", 9), Err(NoAuth), "before the version");
    pair.set("/", b"root", -1).unwrap();
    assert_eq!(pair.data("/"), "root");
}

#[test]
fn set_acl_checks_the_list_before_the_node_compares_aversion_and_moves_nothing_else() {
    let mut pair = Pair::new();
    assert_eq!(pair.set_acl("/none", Vec::new(), -1), Err(InvalidAcl));
    assert_eq!(pair.set_acl("/none", Acl::open(), -1), Err(NoNode));
    pair.create("/a").unwrap();
    pair.set("/a", b"x", -1).unwrap();
    let before = pair.stat("/a");
    assert_eq!(pair.set_acl("/a", Acl::open(), 1), Err(BadVersion), "the data version does not count");
    let after = pair.set_acl("/a", read_only(), 0).unwrap();
    assert_eq!(after, crate::wire::proto::Stat { aversion: 1, ..before });
    assert_eq!(pair.set_acl("/a", Acl::open(), -1), Err(NoAuth));
    pair.who.push(Id::new("super", ""));
    assert!(pair.set_acl("/a", Acl::open(), -1).is_ok());
}

#[test]
fn versions_skip_minus_one() {
    let mut pair = Pair::new();
    pair.create("/a").unwrap();
    for tree in [&mut pair.leader, &mut pair.follower] {
        let id = tree.nodes.find("/a").unwrap();
        tree.nodes.change_stat(id, |stat| stat.version = -2);
    }
    assert_eq!(pair.set("/a", b"", -2).unwrap().version, 0);
}

#[test]
fn lists_are_fixed_up_before_they_are_stored() {
    let mut pair = Pair::new();
    let alice = Id::new("digest", "alice:hash");
    pair.who = vec![Id::new("ip", "10.0.0.1"), alice.clone(), Id::new("super", "")];
    let stored = |pair: &mut Pair, given: Vec<Acl>| {
        let path = pair.create_with("/a", 2, given)?;
        Ok(pair.follower.get_acl(&path, &[Id::new("super", "")]).unwrap().0)
    };
    let auth = Acl::new(Perms::ALL, "auth", "whatever");
    assert_eq!(stored(&mut pair, vec![auth.clone()]), Ok(vec![Acl { perms: Perms::ALL, id: alice }]));
    let twice = Acl::new(1, "world", "anyone");
    assert_eq!(stored(&mut pair, vec![twice.clone(), twice.clone()]), Ok(vec![twice]));
    let odd = Acl::new(255, "digest", "a:b:");
    assert_eq!(stored(&mut pair, vec![odd.clone()]), Ok(vec![odd]));
    for (scheme, id) in [
        ("world", "me"),
        ("super", "x"),
        ("digest", "a"),
        ("digest", "a:"),
        ("digest", "a:b:c"),
        ("ip", "10.0.0"),
        ("ip", "10.0.0.0/33"),
        ("ip", "10.0.0.0/-1"),
        ("ip", "10.0.0.256"),
        ("ip", "fe80::1%eth0"),
        ("ip", "::ffff:10.0.0.1"),
        ("ip", "::1/129"),
        ("sasl", "bob"),
        ("x509", "CN=bob"),
        ("nothing", ""),
    ] {
        let given = vec![Acl::new(Perms::ALL, scheme, id)];
        assert_eq!(stored(&mut pair, given), Err(InvalidAcl), "{scheme}:{id}");
    }
    for id in ["10.0.0.1", "10.0.0.0/8", "0.0.0.0/0", "::", "fe80::/10", "2001:db8::1"] {
        assert!(stored(&mut pair, vec![Acl::new(Perms::ALL, "ip", id)]).is_ok(), "{id}");
    }
    pair.who.retain(|id| id.scheme == "ip");
    assert_eq!(stored(&mut pair, vec![auth]), Err(InvalidAcl), "an address creates nothing");
}

#[test]
fn long_lists_and_many_identities_cost_no_more_than_a_transaction_may_hold() {
    let mut pair = Pair::new();
    let many: Vec<Acl> = (0..80_000).map(|perms| Acl::new(perms, "world", "anyone")).collect();
    assert_eq!(pair.create_with("/a", 0, many), Ok("/a".into()));
    pair.who = (0..3000).map(|n| Id::new("digest", &format!("user-{n}:hash"))).collect();
    let many: Vec<Acl> = (0..80_000).map(|perms| Acl::new(perms, "auth", "")).collect();
    assert_eq!(pair.create_with("/b", 0, many), Err(MarshallingError));
    // As many people as one connection may be, in two entries and in ten; and in one of each part of a multi.
    pair.who = (0..250).map(|n| Id::new("digest", &format!("{n:0250}"))).collect();
    let auth = |count: i32| -> Vec<Acl> { (0..count).map(|perms| Acl::new(perms, "auth", "")).collect() };
    assert_eq!(pair.create_with("/c", 0, auth(1)), Ok("/c".into()));
    assert_eq!(pair.create_with("/d", 0, auth(10)), Err(MarshallingError));
    let create = |n: usize| {
        let path = format!("/m{n}").into();
        let acl = Some(auth(1));
        Request::Create(CreateRequest { path, data: None, acl, flags: 0, ttl_ms: None })
    };
    let txn = pair.prepare(&Request::Multi((0..1000).map(create).collect()));
    assert_eq!(txn.body, TxnBody::Error(MarshallingError.code()), "it would be sixty megabytes");
}

#[test]
fn zookeeper_and_quota_are_open_to_anyone_and_config_is_not() {
    let mut pair = Pair::new();
    assert_eq!(pair.create("/zookeeper/mine"), Ok("/zookeeper/mine".into()));
    assert_eq!(pair.create("/zookeeper/quota/mine"), Ok("/zookeeper/quota/mine".into()));
    assert_eq!(pair.create("/zookeeper/config/mine"), Err(NoAuth));
    assert_eq!(pair.set("/zookeeper/config", b"", -1), Err(NoAuth));
}

#[test]
fn a_failed_multi_says_zero_then_the_code_then_minus_two_and_leaves_nothing() {
    let mut pair = Pair::new();
    pair.create("/a").unwrap();
    let before = pair.leader.digest();
    let ops = vec![plain("/a/b"), delete("/a/b"), plain("/none/x"), plain("/c")];
    let results = multi(ops, &mut pair);
    let codes = [0, 0, NoNode.code(), RuntimeInconsistency.code()];
    assert_eq!(results, codes.map(MultiResult::Error));
    assert_eq!(pair.leader.digest(), before);
    assert_eq!(pair.leader.last_zxid(), pair.zxid, "the zxid is consumed");
    assert!(pair.outstanding.is_empty());
}

#[test]
fn ops_of_a_multi_see_each_other() {
    let mut pair = Pair::new();
    let sequential = |path| Request::Create2(create(path, b"", 2, Acl::open()));
    let ops = vec![
        plain("/a"),
        sequential("/a/s"),
        sequential("/a/s"),
        set_data("/a", b"x", 0),
        check("/a", 1),
        delete("/a/s0000000000"),
    ];
    let results = multi(ops, &mut pair);
    assert!(matches!(&results[0], MultiResult::Create { path } if path == "/a"));
    assert!(matches!(&results[2], MultiResult::Create2 { path, .. } if path == "/a/s0000000001"));
    assert!(matches!(&results[3], MultiResult::SetData(stat) if stat.version == 1));
    assert_eq!(results[4..], [MultiResult::Check, MultiResult::Delete]);
    let stat = pair.stat("/a");
    assert_eq!((stat.num_children, stat.cversion, stat.version), (1, 3, 1));
    assert_eq!(stat.czxid, stat.mzxid);
    assert_eq!(multi(vec![], &mut pair), []);
}

#[test]
fn a_multi_refuses_what_it_cannot_hold_and_each_op_asks_for_the_session() {
    let mut pair = Pair::new();
    let acl = Some(Acl::open());
    let results = multi(vec![Request::SetAcl { path: "/".into(), acl, version: -1 }], &mut pair);
    assert_eq!(results, [MultiResult::Error(MarshallingError.code())]);
    pair.session_check = Err(SessionExpired);
    assert_eq!(multi(vec![plain("/a")], &mut pair), [MultiResult::Error(SessionExpired.code())]);
    assert_eq!(multi(vec![], &mut pair), []);
}

#[test]
fn create2_in_a_multi_is_written_so_that_old_servers_apply_it() {
    let kinds = |settings: Settings| {
        let mut pair = Pair::with(settings);
        let op = Request::Create2(create("/a", b"", 0, Acl::open()));
        match pair.prepare(&Request::Multi(vec![op])).body {
            TxnBody::Multi(parts) => parts[0].kind,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(kinds(Settings::default()), 1);
    assert_eq!(kinds(Settings { create2_in_multi: true, ..Settings::default() }), 15);
}

#[test]
fn a_failed_multi_restores_the_parents_pending_record() {
    let mut pair = Pair::new();
    pair.create("/a").unwrap();
    // One create is still on its way when the multi fails on the same parent (ZOOKEEPER-1624).
    let pending = pair.prepare(&Request::Create(create("/a/s", b"", 2, Acl::open())));
    let failed = pair.prepare(&Request::Multi(vec![plain("/a/x"), delete("/none")]));
    let next = pair.prepare(&Request::Create(create("/a/s", b"", 2, Acl::open())));
    for txn in [&pending, &failed, &next] {
        pair.apply(txn);
    }
    assert!(pair.follower.stat("/a/s0000000001").is_some());
    assert_eq!(pair.stat("/a").num_children, 2);
}

#[test]
fn requests_see_what_is_prepared_and_not_yet_applied() {
    let mut pair = Pair::new();
    let txns = [
        pair.prepare(&plain("/a")),
        pair.prepare(&plain("/a")),
        pair.prepare(&plain("/a/b")),
        pair.prepare(&delete("/a")),
        pair.prepare(&delete("/a/b")),
        pair.prepare(&delete("/a")),
        pair.prepare(&set_data("/a", b"", -1)),
    ];
    let failed: Vec<bool> = txns.iter().map(|txn| txn.body.is_failure()).collect();
    assert_eq!(failed, [false, true, false, true, false, false, true]);
    txns.iter().for_each(|txn| drop(pair.apply(txn)));
    assert!(pair.outstanding.is_empty());
}

#[test]
fn closing_a_session_takes_its_ephemerals_also_those_on_their_way() {
    for close_session_paths in [true, false] {
        let mut pair = Pair::with(Settings { close_session_paths, ..Settings::default() });
        let ephemeral = |path| Request::Create(create(path, b"", 1, Acl::open()));
        pair.run(&Request::CreateSession { timeout_ms: 4000 }).unwrap();
        pair.create("/a").unwrap();
        pair.run(&ephemeral("/a/gone")).unwrap();
        pair.run(&ephemeral("/a/stays")).unwrap();
        pair.session = BOB;
        pair.run(&ephemeral("/a/bobs")).unwrap();
        assert_eq!(pair.leader.ephemerals_count(), 3);
        assert_eq!(pair.leader.orphaned_sessions(), [BOB]);
        pair.session = ALICE;
        let txns = [
            pair.prepare(&delete("/a/gone")),
            pair.prepare(&ephemeral("/a/late")),
            pair.prepare(&Request::CloseSession),
            pair.prepare(&delete("/a/late")),
        ];
        let listed = close_session_paths.then(|| strs(&["/a/late", "/a/stays"]));
        assert_eq!(txns[2].body, TxnBody::CloseSession { paths: listed });
        let applied = txns.each_ref().map(|txn| pair.apply(txn));
        let mut deleted: Vec<&str> = applied[2].changes.iter().map(|change| &change.path[..]).collect();
        deleted.sort_unstable();
        assert_eq!(deleted, ["/a/late", "/a/stays"]);
        assert!(applied[2].changes.iter().all(|change| change.kind == ChangeKind::Deleted));
        assert!(matches!(txns[3].body, TxnBody::Error(-101)));
        assert_eq!(pair.stat("/a").num_children, 1);
        assert_eq!(pair.leader.session_timeout_ms(ALICE), None);
        assert_eq!(pair.leader.ephemerals_of(BOB, None), ["/a/bobs"]);
    }
}

#[test]
fn the_emptied_parent_of_closed_ephemerals_can_be_deleted_at_once() {
    let mut pair = Pair::new();
    pair.create("/a").unwrap();
    pair.create_with("/a/e", 1, Acl::open()).unwrap();
    let txns = [pair.prepare(&Request::CloseSession), pair.prepare(&delete("/a"))];
    txns.iter().for_each(|txn| drop(pair.apply(txn)));
    assert!(pair.follower.stat("/a").is_none());
}

#[test]
fn transactions_that_peers_could_not_read_are_refused_before_they_exist() {
    let mut pair = Pair::with(Settings { txn_len_max: 200, ..Settings::default() });
    assert_eq!(pair.run(&Request::Create(create("/a", &[0; 200], 0, Acl::open()))), Err(MarshallingError));
    let ops = vec![plain("/a"), plain("/b"), plain("/c"), plain("/d")];
    assert_eq!(pair.run(&Request::Multi(ops)), Err(MarshallingError));
    for n in 0..20 {
        pair.create_with(&format!("/ephemeral-{n}"), 1, Acl::open()).unwrap();
    }
    // A session must end whatever it owns: the list is cut, the nodes go all the same.
    let close = pair.prepare(&Request::CloseSession);
    assert!(matches!(&close.body, TxnBody::CloseSession { paths: Some(paths) } if paths.len() > 1));
    assert!(close.encoded_len() <= 200);
    pair.apply(&close);
    assert_eq!((pair.leader.ephemerals_count(), pair.leader.node_count()), (0, 4));
}

#[test]
fn what_is_no_write_becomes_an_error() {
    let mut pair = Pair::new();
    assert_eq!(pair.run(&Request::Ping), Err(Unimplemented));
    assert_eq!(pair.run(&check("/", -1)), Err(Unimplemented), "a check stands in a multi only");
    let reconfig = Request::Reconfig { joining: None, leaving: None, members: None, config_id: -1 };
    assert_eq!(pair.run(&reconfig), Err(ReconfigDisabled));
}
