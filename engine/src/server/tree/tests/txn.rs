//! Transactions as bytes: the examples of disk-format §2.2 and the decoding rules of quorum-protocol §3.3.

use bytes::Bytes;
use proptest::prelude::*;

use super::{strs, unhex};
use crate::server::tree::{Acls, CreateTxn, CreatedNode, SubTxn, Tree, Txn, TxnBody, TxnDigest, TxnHeader};
use crate::wire::ids::{SessionId, Zxid};
use crate::wire::jute::Error;
use crate::wire::proto::{Acl, OpCode};

fn check_bytes(hex: &str, kind: OpCode, body: TxnBody, digest: Option<u64>) {
    let bytes = unhex(hex);
    let txn = Txn::decode(bytes.clone()).unwrap();
    assert_eq!(txn.header.kind, kind.code());
    assert_eq!(txn.body, body);
    assert_eq!(txn.digest, digest.map(|tree| TxnDigest { version: 2, tree }));
    assert_eq!(txn.encode(), bytes);
    assert_eq!(txn.encoded_len(), bytes.len());
}

#[test]
fn the_reference_log_reads_applies_and_matches_its_digests() {
    let mut tree = Tree::new();
    assert_eq!(tree.digest(), 1_371_985_504);
    for (hex, digest) in [(CREATE_SESSION, 0x51c6_d660), (CREATE, 0xccf1_b606)] {
        let bytes = unhex(hex);
        let txn = Txn::decode(bytes.clone()).unwrap();
        assert_eq!(txn.encode(), bytes);
        assert_eq!(tree.apply(&txn).digest_ok, Some(true));
        assert_eq!(tree.digest(), digest);
    }
    assert_eq!(tree.session_timeout_ms(SessionId(0x100_0012_8ed1_0000)), Some(30_000));
    let (data, stat) = tree.get_data("/a", &[]).unwrap();
    assert_eq!(data, Some(&b"hello"[..]));
    assert_eq!((stat.czxid, stat.ctime_ms), (Zxid(2), 1_795_332_897_891));
}

#[test]
fn the_parts_of_the_worked_digest_example_add_up() {
    let part = |path: &str, data: &[u8], stat| {
        crate::server::tree::digest::node(crate::server::tree::digest::prefix_crc(path, data), &stat)
    };
    let zero = crate::server::tree::stat::StoredStat::default();
    assert_eq!(part("", b"", zero), 68_323_592);
    assert_eq!(part("/zookeeper", b"", zero), 1_303_661_912);
    let root = crate::server::tree::stat::StoredStat { cversion: 1, pzxid: Zxid(2), ..zero };
    assert_eq!(part("", b"", root), 51_738_866);
    let a = crate::server::tree::stat::StoredStat::born(
        Zxid(2),
        1_795_332_897_891,
        crate::wire::proto::Owner::None,
    );
    assert_eq!(part("/a", b"hello", a), 2_082_992_060);
}

#[test]
fn a_failed_request_is_an_error_without_digest() {
    let hex = "010000128ed10000 00000003 0000000000000004 000001a2022dfc63 ffffffff ffffff9b";
    check_bytes(hex, OpCode::Error, TxnBody::Error(-101), None);
}

#[test]
fn close_session_reads_with_list_without_and_with_a_digest_alone() {
    let listed = format!("{HEADER_CLOSE} 00000002 00000006 2f612f626164 00000003 2f6531");
    let paths = TxnBody::CloseSession { paths: Some(strs(&["/a/bad", "/e1"])) };
    check_bytes(&listed, OpCode::CloseSession, paths.clone(), None);
    let digest = "00000002 0000000051c6d660";
    check_bytes(&format!("{listed} {digest}"), OpCode::CloseSession, paths, Some(0x51c6_d660));

    let none = TxnBody::CloseSession { paths: None };
    check_bytes(HEADER_CLOSE, OpCode::CloseSession, none.clone(), None);
    check_bytes(&format!("{HEADER_CLOSE} {digest}"), OpCode::CloseSession, none.clone(), Some(0x51c6_d660));
    // A large tree's digest could be read as a length: still a digest.
    let large = format!("{HEADER_CLOSE} 00000002 7000000051c6d660");
    check_bytes(&large, OpCode::CloseSession, none, Some(0x7000_0000_51c6_d660));

    // Twelve bytes that are a list: two empty strings.
    let empty = TxnBody::CloseSession { paths: Some(strs(&["", ""])) };
    check_bytes(&format!("{HEADER_CLOSE} 00000002 00000000 00000000"), OpCode::CloseSession, empty, None);
    let no_paths = TxnBody::CloseSession { paths: Some(Vec::new()) };
    check_bytes(&format!("{HEADER_CLOSE} 00000000"), OpCode::CloseSession, no_paths.clone(), None);
    check_bytes(
        &format!("{HEADER_CLOSE} 00000000 {digest}"),
        OpCode::CloseSession,
        no_paths,
        Some(0x51c6_d660),
    );
}

#[test]
fn creates_of_logs_before_3_3_lack_the_parents_cversion() {
    let hex = "010000128ed10000 00000001 0000000000000002 000001a2022dfc63 00000001
        00000002 2f61 ffffffff 00000000 01";
    let body = TxnBody::Create(CreateTxn {
        path: "/a".into(),
        data: None,
        acl: Some(Acls::shared(Vec::new())),
        node: CreatedNode::Plain { ephemeral: true },
        parent_cversion: None,
    });
    check_bytes(hex, OpCode::Create, body, None);
    let mut tree = Tree::new();
    tree.apply(&Txn::decode(unhex(hex)).unwrap());
    assert_eq!(tree.stat("/").unwrap().cversion, 2 - 2);
    assert_eq!(tree.get_data("/a", &[]).unwrap().0, None);
}

#[test]
fn a_check_is_readable_at_top_level_and_changes_nothing() {
    let hex = "010000128ed10000 00000001 0000000000000002 000001a2022dfc63 0000000d 00000002 2f61 00000004";
    check_bytes(hex, OpCode::Check, TxnBody::Check { path: "/a".into(), version: 4 }, None);
    let mut tree = Tree::new();
    let before = tree.digest();
    tree.apply(&Txn::decode(unhex(hex)).unwrap());
    assert_eq!((tree.digest(), tree.last_zxid()), (before, Zxid(2)));
}

#[test]
fn unknown_kinds_are_refused_alone_and_in_a_multi() {
    let header = "010000128ed10000 00000001 0000000000000002 000001a2022dfc63";
    for kind in ["00000003", "0000000b", "00000063", "fffffffd"] {
        let alone = Txn::decode(unhex(&format!("{header} {kind} 00000000 00000000")));
        assert!(matches!(alone, Err(Error::Value { .. })), "{kind}: {alone:?}");
    }
    for sub in ["00000009", "0000000e", "fffffff5", "fffffff6", "00000007"] {
        let multi = format!("{header} 0000000e 00000001 {sub} 00000010 {}", "00".repeat(16));
        let multi = Txn::decode(unhex(&multi));
        assert!(matches!(multi, Err(Error::Value { .. })), "{sub}: {multi:?}");
    }
}

fn any_path() -> impl Strategy<Value = String> {
    "(/[a-zü]{1,3}){1,3}"
}

fn any_acl() -> impl Strategy<Value = Option<std::sync::Arc<Acls>>> {
    let acl = (any::<i32>(), "[a-z]{0,5}", "[a-z:=]{0,5}").prop_map(|(p, s, i)| Acl::new(p, &s, &i));
    proptest::option::of(proptest::collection::vec(acl, 0..3).prop_map(Acls::shared))
}

fn any_data() -> impl Strategy<Value = Option<Bytes>> {
    proptest::option::of(any::<Vec<u8>>().prop_map(Bytes::from))
}

/// Bodies that may also stand in a multi.
fn any_part() -> impl Strategy<Value = (OpCode, TxnBody)> {
    let node = prop_oneof![
        any::<bool>().prop_map(|ephemeral| (OpCode::Create, CreatedNode::Plain { ephemeral })),
        any::<bool>().prop_map(|ephemeral| (OpCode::Create2, CreatedNode::Plain { ephemeral })),
        Just((OpCode::CreateContainer, CreatedNode::Container)),
        any::<i64>().prop_map(|ms| (OpCode::CreateTtl, CreatedNode::Ttl { ms })),
    ];
    let create = (any_path(), any_data(), any_acl(), node, any::<i32>()).prop_map(
        |(path, data, acl, (op, node), cversion)| {
            let path = path.into();
            (op, TxnBody::Create(CreateTxn { path, data, acl, node, parent_cversion: Some(cversion) }))
        },
    );
    let set_data = (any_path(), any_data(), any::<i32>()).prop_map(|(path, data, version)| {
        (OpCode::SetData, TxnBody::SetData { path: path.into(), data, version })
    });
    let check = (any_path(), any::<i32>())
        .prop_map(|(path, version)| (OpCode::Check, TxnBody::Check { path: path.into(), version }));
    prop_oneof![
        create,
        set_data,
        check,
        any_path().prop_map(|path| (OpCode::Delete, TxnBody::Delete { path: path.into() })),
        any_path().prop_map(|path| (OpCode::DeleteContainer, TxnBody::Delete { path: path.into() })),
        any::<i32>().prop_map(|code| (OpCode::Error, TxnBody::Error(code))),
    ]
}

fn any_body() -> impl Strategy<Value = (OpCode, TxnBody)> {
    let multi = proptest::collection::vec(any_part(), 0..4).prop_map(|parts| {
        let parts = parts.into_iter().map(|(op, body)| SubTxn { kind: op.code(), body });
        (OpCode::Multi, TxnBody::Multi(parts.collect()))
    });
    let set_acl = (any_path(), any_acl(), any::<i32>()).prop_map(|(path, acl, version)| {
        (OpCode::SetAcl, TxnBody::SetAcl { path: path.into(), acl, version })
    });
    prop_oneof![
        any_part(),
        multi,
        set_acl,
        any::<i32>().prop_map(|ms| (OpCode::CreateSession, TxnBody::CreateSession { timeout_ms: ms })),
    ]
}

proptest! {
    #[test]
    fn decoding_arbitrary_bytes_never_panics(kind: i32, rest: Vec<u8>, near in -11i32..22) {
        for kind in [kind, near] {
            let mut bytes = vec![0; 28];
            bytes.extend(kind.to_be_bytes());
            bytes.extend(&rest);
            let _ = Txn::decode(Bytes::from(bytes));
        }
        let _ = Txn::decode(Bytes::from(rest));
    }

    #[test]
    fn what_is_written_is_read_back((op, body) in any_body(), tree: u64, cut in 0usize..20) {
        let header = TxnHeader {
            session: SessionId(1), cxid: 2, zxid: Zxid(3), time_ms: 4, kind: op.code(),
        };
        let txn = Txn { header, body, digest: Some(TxnDigest { version: 2, tree }) };
        let bytes = txn.encode();
        prop_assert_eq!(Txn::decode(bytes.clone()), Ok(txn.clone()));
        // Any state of a follower can be given any transaction.
        let mut state = Tree::new();
        state.apply(&txn);
        let _ = Txn::decode(bytes.slice(..bytes.len().saturating_sub(cut)));
    }
}

const CREATE_SESSION: &str = "0100 00128ed10000 00000000 0000000000000001 000001a2022dfc3f fffffff6
    00007530 00000002 0000000051c6d660";
const CREATE: &str = "010000128ed10000 00000001 0000000000000002 000001a2022dfc63 00000001
    00000002 2f61 00000005 68656c6c6f 00000001 0000001f 00000005 776f726c64 00000006 616e796f6e65
    00 00000001 00000002 00000000ccf1b606";
const HEADER_CLOSE: &str = "010000128ed10000 00000009 0000000000000009 000001a2022dfc63 fffffff5";
