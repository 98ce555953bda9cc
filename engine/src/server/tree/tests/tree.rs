//! Applying and reading: changes for watches, access control, quota, figures, and the rules that make
//! replay harmless (disk-format §4).

use super::{ALICE, Pair, create, dump, reload, set_data, strs};
use crate::server::tree::acl::AclList;
use crate::server::tree::acl_index::Acls;
use crate::server::tree::{
    ChangeKind, CreateTxn, CreatedNode, Settings, Tree, Txn, TxnBody, TxnDigest, TxnHeader,
};
use crate::wire::ids::Zxid;
use crate::wire::proto::ErrorCode::{BadArguments, NoAuth, NoNode, NodeExists, QuotaExceeded};
use crate::wire::proto::{Acl, Id, OpCode, Perms, Request, Response};

fn names(tree: &Tree, path: &str) -> Vec<String> {
    tree.get_children(path, &[]).unwrap().0.names().map(str::to_owned).collect()
}

fn txn(zxid: i64, kind: OpCode, body: TxnBody) -> Txn {
    let header = TxnHeader { session: ALICE, cxid: 0, zxid: Zxid(zxid), time_ms: zxid, kind: kind.code() };
    Txn { header, body, digest: None }
}

fn create_txn(zxid: i64, path: &str, parent_cversion: i32) -> Txn {
    let body = TxnBody::Create(CreateTxn {
        path: path.into(),
        data: None,
        acl: Some(Acls::shared(Acl::open())),
        node: CreatedNode::Plain { ephemeral: false },
        parent_cversion: Some(parent_cversion),
    });
    txn(zxid, OpCode::Create, body)
}

fn delete_txn(zxid: i64, path: &str) -> Txn {
    txn(zxid, OpCode::Delete, TxnBody::Delete { path: path.into() })
}

#[test]
fn an_empty_tree_has_the_figures_of_the_reference() {
    let tree = Tree::new();
    assert_eq!(tree.digest(), 0x51c6_d660);
    assert_eq!((tree.node_count(), tree.approximate_data_size(), tree.ephemerals_count()), (4, 44, 0));
    assert_eq!(names(&tree, "/zookeeper"), ["config", "quota"]);
    assert_eq!(tree.stat("/zookeeper/config").unwrap().aversion, -1);
}

#[test]
fn the_empty_path_reads_the_root_and_odd_paths_find_nothing() {
    let mut pair = Pair::new();
    pair.set("/", b"root", -1).unwrap();
    assert_eq!(pair.data(""), "root");
    assert_eq!(pair.follower.exists("", &[]), pair.follower.exists("/", &[]));
    for path in ["//", "zookeeper", "/zookeeper/", "//zookeeper", "/none"] {
        assert_eq!(pair.follower.get_data(path, &[]), Err(NoNode), "{path:?}");
    }
    assert_eq!(pair.follower.exists("/a\0", &[]), Err(BadArguments));
    assert_eq!(pair.follower.get_data("/a\0", &[]), Err(NoNode));
}

#[test]
fn null_and_empty_data_stay_apart() {
    let mut pair = Pair::new();
    pair.create("/a").unwrap();
    assert_eq!(pair.data("/a"), "");
    pair.run(&Request::SetData { path: "/a".into(), data: None, version: -1 }).unwrap();
    assert_eq!(pair.data("/a"), "(null)");
    assert_eq!(pair.stat("/a").data_length, 0);
    assert_eq!(reload(&pair.leader).get_data("/a", &[]).unwrap().0, None);
}

#[test]
fn changes_carry_the_lists_by_which_events_are_filtered() {
    let mut pair = Pair::new();
    let closed = vec![Acl::new(Perms::READ, "digest", "a:b")];
    pair.create("/a").unwrap();
    let applied = pair.applied(&Request::Create(create("/a/b", b"", 0, closed.clone())));
    let change = &applied.changes[0];
    assert_eq!((change.kind, &change.path[..]), (ChangeKind::Created, "/a/b"));
    assert_eq!(change.acl, AclList::Listed(Acls::shared(closed)));
    assert!(!change.acl.allows(Perms::READ, &pair.who) && change.parent_acl.allows(Perms::READ, &[]));
    pair.set_acl("/a", Acl::open(), -1).unwrap();
    let set_acl = Request::SetAcl { path: "/a".into(), acl: Some(Acl::open()), version: -1 };
    assert!(pair.applied(&set_acl).changes.is_empty(), "setACL fires nothing");
    let set = pair.applied(&set_data("/a", b"", -1));
    assert_eq!(set.changes[0].kind, ChangeKind::DataChanged);
    let ops = vec![
        set_data("/a", b"x", -1),
        Request::Delete { path: "/a/b".into(), version: -1 },
        Request::Delete { path: "/a".into(), version: -1 },
    ];
    let kinds: Vec<_> = pair.applied(&Request::Multi(ops)).changes.iter().map(|c| c.kind).collect();
    assert_eq!(kinds, [ChangeKind::DataChanged, ChangeKind::Deleted, ChangeKind::Deleted]);
}

#[test]
fn reads_ask_for_permission_and_hide_hashes_from_who_may_not_administer() {
    let mut pair = Pair::new();
    let list = vec![
        Acl::new(Perms::ADMIN, "digest", "admin:hash"),
        Acl::new(Perms::READ, "digest", "bob:hash"),
        Acl::new(Perms::READ, "ip", "10.0.0.0/8"),
    ];
    pair.create_with("/a", 0, list.clone()).unwrap();
    let tree = &pair.follower;
    let bob = [Id::new("digest", "bob:hash")];
    let admin = [Id::new("digest", "admin:hash")];
    for who in [&[][..], &[Id::new("ip", "11.0.0.1")], &[Id::new("digest", "bob:other")]] {
        assert_eq!(tree.exists("/a", who), Err(NoAuth));
        assert_eq!(tree.get_data("/a", who), Err(NoAuth));
        assert_eq!(tree.get_children("/a", who).err(), Some(NoAuth));
        assert_eq!(tree.get_acl("/a", who), Err(NoAuth));
        assert_eq!(tree.count_children("/a", who), Err(NoAuth));
    }
    assert!(tree.exists("/a", &bob).is_ok());
    assert!(tree.exists("/a", &[Id::new("ip", "10.9.8.7")]).is_ok());
    assert_eq!(tree.exists("/a", &admin), Err(NoAuth), "ADMIN is not READ");
    assert_eq!(tree.get_acl("/a", &admin).unwrap().0, list);
    let shown: Vec<String> = tree.get_acl("/a", &bob).unwrap().0.into_iter().map(|acl| acl.id.id).collect();
    assert_eq!(shown, ["admin:x", "bob:x", "10.0.0.0/8"]);
    assert!(tree.get_data("/a", &[Id::new("super", "")]).is_ok());

    let mut open = Tree::with_settings(Settings { skip_acl: true, ..Settings::default() });
    open.apply(&create_txn(1, "/a", 1));
    assert!(open.get_data("/a", &[]).is_ok());
}

#[test]
fn addresses_match_by_their_first_bits_within_one_family() {
    let matches = |identity: &str, listed: &str| {
        let list = AclList::Listed(Acls::shared([Acl::new(Perms::READ, "ip", listed)]));
        list.allows(Perms::READ, &[Id::new("ip", identity)])
    };
    for (identity, listed, expected) in [
        ("10.1.2.3", "10.1.2.3", true),
        ("10.1.2.3", "10.1.2.4", false),
        ("10.1.2.3", "10.1.0.0/16", true),
        ("10.1.2.3", "10.1.2.0/31", false),
        ("10.1.2.3", "10.1.2.2/31", true),
        ("10.1.2.3", "99.0.0.0/0", true),
        ("fe80::1", "fe80::/10", true),
        ("fec0::1", "fe80::/10", false),
        ("::1", "0:0:0:0:0:0:0:1", true),
        ("::1", "0.0.0.0/0", false),
        ("somewhere", "0.0.0.0/0", false),
    ] {
        assert_eq!(matches(identity, listed), expected, "{identity} in {listed}");
    }
}

#[test]
fn descendants_and_ephemerals_are_counted_and_listed() {
    let mut pair = Pair::new();
    for path in ["/a", "/a/b", "/a/b/c", "/ab"] {
        pair.create(path).unwrap();
    }
    for path in ["/a/e", "/abe", "/z"] {
        pair.create_with(path, 1, Acl::open()).unwrap();
    }
    let tree = &pair.follower;
    assert_eq!(tree.count_children("/a", &[]), Ok(3));
    assert_eq!(tree.count_children("/", &[]), Ok(3 + 4 + 3));
    assert_eq!(tree.count_children("/none", &[]), Err(NoNode));
    for all in [None, Some(""), Some(" "), Some("/")] {
        assert_eq!(tree.ephemerals_of(ALICE, all), ["/a/e", "/abe", "/z"]);
    }
    assert_eq!(tree.ephemerals_of(ALICE, Some("/a")), ["/a/e", "/abe"], "a plain string prefix");
    assert_eq!(names(tree, "/a"), ["b", "e"]);
    assert_eq!(tree.get_children("/a", &[]).unwrap().0.count(), 2);
}

#[test]
fn the_configuration_is_local_and_outside_the_digest() {
    let mut pair = Pair::new();
    let digest = pair.leader.digest();
    pair.leader.set_config("server.1=a:1:2:participant\nversion=100000002", 0x1_0000_0002, 77);
    let (data, stat) = pair.leader.get_data("/zookeeper/config", &[]).unwrap();
    assert!(data.unwrap().starts_with(b"server.1="));
    assert_eq!((stat.version, stat.mzxid, stat.mtime_ms), (-1, Zxid(0x1_0000_0002), 77));
    assert_eq!(pair.leader.digest(), digest);
    pair.create("/a").unwrap();
}

#[test]
fn quota_counters_change_in_place_without_version_or_digest() {
    let mut pair = Pair::new();
    pair.set("/", b"", -1).unwrap();
    pair.create("/q").unwrap();
    pair.create("/q/one").unwrap();
    pair.create("/zookeeper/quota/q").unwrap();
    let stats = "/zookeeper/quota/q/zookeeper_stats";
    pair.create("/zookeeper/quota/q/zookeeper_limits").unwrap();
    pair.create(stats).unwrap();
    assert_eq!(pair.data(stats), "count=2,bytes=0");
    pair.run(&Request::Create(create("/q/two", b"1234567", 0, Acl::open()))).unwrap();
    pair.set("/q/one", b"12", -1).unwrap();
    assert_eq!(pair.data(stats), "count=3,bytes=9");
    pair.delete("/q/two", -1).unwrap();
    pair.create("/qq").unwrap();
    assert_eq!(pair.data(stats), "count=2,bytes=2");
    let stat = pair.stat(stats);
    assert_eq!((stat.version, stat.mzxid), (0, stat.czxid));
    let loaded = reload(&pair.leader);
    assert_eq!(dump(&loaded), dump(&pair.leader));

    // Junk stops the reference; here it is counted anew.
    pair.set(stats, b"", -1).unwrap();
    pair.set("/q/one", b"123", -1).unwrap();
    assert_eq!(pair.data(stats), "count=2,bytes=3");
    pair.set("/q/one", b"12", -1).unwrap();
    pair.set(stats, b"\xff junk", -1).unwrap();
    pair.create("/q/three").unwrap();
    assert_eq!(pair.data(stats), "count=3,bytes=2");
    pair.set(stats, b"count=9,bytes=9=;other=4", -1).unwrap();
    pair.create("/q/four").unwrap();
    assert_eq!(pair.data(stats), "count=10,bytes=9=;other=4");
    // Without limits there is no quota.
    pair.delete("/zookeeper/quota/q/zookeeper_limits", -1).unwrap();
    pair.create("/q/five").unwrap();
    assert_eq!(pair.data(stats), "count=10,bytes=9=;other=4");
}

#[test]
fn a_quota_begins_with_what_is_there_whichever_of_its_nodes_comes_last() {
    let mut pair = Pair::new();
    pair.create("/zookeeper/quota/q").unwrap();
    let stats = "/zookeeper/quota/q/zookeeper_stats";
    pair.create(stats).unwrap();
    // Not charged to anybody: there is no quota yet.
    pair.create("/q").unwrap();
    pair.create("/zookeeper/quota/q/zookeeper_limits").unwrap();
    assert_eq!(pair.data(stats), "count=1,bytes=0");
    // As after a restart, which finds every quota and counts it anew.
    assert_eq!(dump(&reload(&pair.leader)), dump(&pair.leader));
}

#[test]
fn hard_limits_are_kept_when_quotas_are_enforced() {
    let mut pair = Pair::with(Settings { enforce_quota: true, ..Settings::default() });
    pair.create("/q").unwrap();
    pair.create("/zookeeper/quota/q").unwrap();
    let limits = "/zookeeper/quota/q/zookeeper_limits";
    let text = b"count=1,bytes=1=;byteHardLimit=10;countHardLimit=3";
    pair.run(&Request::Create(create(limits, text, 0, Acl::open()))).unwrap();
    pair.create("/zookeeper/quota/q/zookeeper_stats").unwrap();
    pair.create("/q/a").unwrap();
    pair.create("/q/b").unwrap();
    assert_eq!(pair.create("/q/c"), Err(QuotaExceeded));
    pair.set("/q/a", b"0123456789", -1).unwrap();
    assert_eq!(pair.set("/q/b", b"1", 9), Err(QuotaExceeded), "before the version");
    pair.set(limits, b"count=-1,bytes=-1=;byteHardLimit=5", -1).unwrap();
    assert_eq!(pair.set("/q/a", b"012345678", -1), Err(QuotaExceeded), "shrinking, still above");
    pair.set("/q/a", b"0123", -1).unwrap();
    for junk in [&b"junk"[..], b"", b"count=x", b"count=1,bytes=1"] {
        pair.set(limits, junk, -1).unwrap();
        pair.create_with("/q/s", 2, Acl::open()).unwrap();
    }
}

#[test]
fn containers_go_after_a_child_and_ttl_nodes_by_their_mtime() {
    let mut pair = Pair::with(Settings { extended_types: true, ..Settings::default() });
    for path in ["/used", "/unused", "/busy"] {
        pair.run(&Request::CreateContainer(create(path, b"", 4, Acl::open()))).unwrap();
    }
    let mut ttl = create("/t", b"", 5, Acl::open());
    ttl.ttl_ms = Some(1000);
    pair.run(&Request::CreateTtl(ttl)).unwrap();
    pair.create("/used/x").unwrap();
    pair.create("/busy/x").unwrap();
    pair.delete("/used/x", -1).unwrap();
    let now = pair.wall_ms;
    let expired =
        |pair: &Pair, later_ms, never_used_ms| pair.leader.expired_nodes(now + later_ms, never_used_ms);
    assert_eq!(expired(&pair, 0, 0), ["/used"]);
    assert_eq!(expired(&pair, 2000, 0), ["/t", "/used"]);
    assert_eq!(expired(&pair, 2000, 1000), ["/t", "/unused", "/used"]);
    pair.set("/t", b"", -1).unwrap();
    assert_eq!(expired(&pair, 1000, 0), ["/used"], "setData renews");
    for path in expired(&pair, 9000, 1) {
        pair.run(&Request::DeleteContainer { path: path.as_str().into() }).unwrap();
    }
    assert_eq!(names(&pair.follower, "/"), ["zookeeper", "busy"]);
}

#[test]
fn replaying_what_is_already_there_repairs_and_breaks_nothing() {
    let mut tree = Tree::new();
    tree.apply(&create_txn(5, "/a", 3));
    tree.apply(&create_txn(6, "/a/x", 1));
    let before = dump(&tree);
    // An older create of the same node: its list is set, the parent is not turned back.
    let mut old = create_txn(2, "/a", 1);
    if let TxnBody::Create(create) = &mut old.body {
        create.acl = Some(Acls::shared([Acl::new(Perms::READ, "world", "anyone")]));
    }
    assert_eq!(tree.apply(&old).outcome, crate::server::tree::Outcome::Error(NodeExists.code()));
    assert_eq!(tree.get_acl("/a", &[]).unwrap().0[0].perms, Perms::READ);
    tree.apply(&txn(
        3,
        OpCode::SetAcl,
        TxnBody::SetAcl { path: "/a".into(), acl: Some(Acls::shared(Acl::open())), version: 0 },
    ));
    assert_eq!(dump(&tree), before);
    // A delete of a node that is gone still marks the parent, and never lowers it.
    tree.apply(&delete_txn(9, "/a/gone"));
    assert_eq!(tree.stat("/a").unwrap().pzxid, Zxid(9));
    tree.apply(&delete_txn(7, "/a/gone"));
    assert_eq!(tree.stat("/a").unwrap().pzxid, Zxid(9));
    // The snapshot caught a later /a with a child: the older delete takes both, replay brings them back.
    tree.apply(&delete_txn(10, "/a"));
    assert_eq!(tree.node_count(), 4);
    assert_eq!(tree.last_zxid(), Zxid(10));
}

#[test]
fn transactions_that_fit_no_tree_change_nothing_but_the_zxid() {
    let mut tree = Tree::new();
    let digest = tree.digest();
    for (zxid, path) in ["", "/", "x", "//x", "/none/x", "/x/", "/zookeeper//x"].into_iter().enumerate() {
        let zxid = zxid as i64 + 1;
        for txn in [create_txn(zxid, path, -1), delete_txn(zxid, path)] {
            assert_eq!(
                tree.apply(&txn).outcome,
                crate::server::tree::Outcome::Error(NoNode.code()),
                "{path:?}"
            );
        }
        assert_eq!(tree.last_zxid(), Zxid(zxid));
    }
    assert_eq!((tree.digest(), tree.node_count()), (digest, 4));
    // Even without the built-in nodes a server goes on.
    tree.apply(&delete_txn(20, "/zookeeper"));
    assert_eq!(tree.node_count(), 1);
    tree.set_config("x", 1, 1);
    let paths = Some(strs(&["/", "", "nowhere"]));
    tree.apply(&txn(21, OpCode::CloseSession, TxnBody::CloseSession { paths }));
    assert_eq!(tree.last_zxid(), Zxid(21));
}

#[test]
fn trailers_are_compared_once_the_snapshots_promise_is_met() {
    let with = |mut txn: Txn, version, tree| {
        txn.digest = Some(TxnDigest { version, tree });
        txn
    };
    let mut tree = Tree::new();
    assert_eq!(tree.promise_digest(Zxid(0), tree.digest()), Some(true));
    assert_eq!(tree.promise_digest(Zxid(0), 1), Some(false));
    assert_eq!(tree.promise_digest(Zxid(-1), 1), None);
    let mut after = Tree::new();
    let txns = [create_txn(1, "/a", 1), create_txn(2, "/b", 2), create_txn(3, "/c", 3)];
    txns[..2].iter().for_each(|txn| drop(after.apply(txn)));
    assert_eq!(tree.promise_digest(Zxid(2), after.digest()), None);
    assert_eq!(tree.apply(&with(txns[0].clone(), 2, 99)).digest_ok, None, "still fuzzy");
    assert_eq!(tree.apply(&txns[1]).digest_ok, Some(true), "the promise");
    assert_eq!(tree.apply(&with(txns[2].clone(), 2, 99)).digest_ok, Some(false));
    assert_eq!(tree.apply(&with(create_txn(4, "/d", 4), 3, 99)).digest_ok, None, "another version");
    assert_eq!(tree.apply(&create_txn(5, "/e", 5)).digest_ok, None, "no trailer");
}

#[test]
fn every_128th_digest_is_kept() {
    let mut tree = Tree::new();
    for zxid in 1..=128 * 3 {
        tree.apply(&txn(zxid, OpCode::Error, TxnBody::Error(-101)));
    }
    let kept: Vec<_> = tree.digest_history().map(|(zxid, _)| zxid.0).collect();
    assert_eq!(kept, [128, 256, 384]);
    for zxid in (1..=2000).map(|n| n * 128) {
        tree.apply(&txn(zxid, OpCode::Error, TxnBody::Error(-101)));
    }
    assert_eq!(tree.digest_history().len(), 1024);
}

#[test]
fn a_hundred_thousand_children_come_and_go() {
    // With a list that is searched or shifted this would not end.
    let mut tree = Tree::new();
    let count = 100_000;
    tree.apply(&create_txn(1, "/many", 1));
    for n in 0..count {
        tree.apply(&create_txn(n + 2, &format!("/many/{n}"), -1));
    }
    assert_eq!(tree.stat("/many").unwrap().num_children, count as i32);
    // Every other one, then from both ends.
    let evens = (0..count).step_by(2);
    let odds = (0..count / 2).map(|n| if n % 2 == 0 { n + 1 } else { count - n });
    for (zxid, n) in evens.chain(odds).enumerate() {
        tree.apply(&delete_txn(count + 2 + zxid as i64, &format!("/many/{n}")));
    }
    assert_eq!(tree.node_count(), 5);
    assert_eq!(tree.stat("/many").unwrap().cversion, 2 * count as i32);
}

#[test]
fn blobs_keep_their_bytes_whatever_comes_and_goes() {
    let mut blobs = crate::server::tree::blobs::Blobs::default();
    let bytes = |n: usize| vec![n as u8; [0, 1, 8, 9, 100, 1024, 1025, 5000][n % 8]];
    let mut held: Vec<_> = (0..20_000)
        .map(|n| (n, blobs.put(&bytes(n)[..bytes(n).len() / 3], &bytes(n)[bytes(n).len() / 3..])))
        .collect();
    for round in 0..3 {
        for (at, (n, blob)) in held.iter_mut().enumerate() {
            assert_eq!(blobs.get(*blob), bytes(*n));
            if at % 3 != round {
                blobs.free(*blob);
                *n += 1;
                *blob = blobs.put(b"", &bytes(*n));
            }
        }
    }
    held.iter().for_each(|(n, blob)| assert_eq!(blobs.get(*blob), bytes(*n)));
    held.into_iter().for_each(|(_, blob)| blobs.free(blob));
    let blob = blobs.put(b"x", b"y");
    assert_eq!(blobs.get(blob), b"xy");
}

#[test]
fn answers_follow_the_op_that_was_asked() {
    let mut pair = Pair::new();
    let answer = pair.run(&Request::Create(create("/a", b"", 0, Acl::open())));
    assert_eq!(answer, Ok(Response::Create { path: "/a".into() }));
    let answer = pair.run(&Request::CreateContainer(create("/c", b"x", 4, Acl::open())));
    assert_eq!(answer, Ok(Response::Create2 { path: "/c".into(), stat: pair.stat("/c") }));
    assert_eq!(pair.run(&Request::CloseSession), Ok(Response::Empty));
}
