//! Snapshot bodies: the example of disk-format §3.2, hostile bytes, pieces of any size, lists that a
//! fuzzy snapshot lacks.

use bytes::Bytes;
use proptest::prelude::*;

use super::{Pair, create, dump, reload, unhex};
use crate::server::tree::snapshot::{self, Loader, Scanner};
use crate::server::tree::{Acls, Settings, Tree};
use crate::wire::ids::Zxid;
use crate::wire::jute;
use crate::wire::proto::{Acl, Perms, Request};

/// Bytes 0x10 to 0x19a of the reference's snapshot.0.
fn empty_body() -> Bytes {
    let zeros = "00".repeat(60);
    let config_stat = format!("{}{}ffffffff{}", "00".repeat(32), "00".repeat(8), "00".repeat(16));
    unhex(&format!(
        "00000000 00000001 0000000000000001 00000001
         00000001 00000005 776f726c64 00000006 616e796f6e65
         00000000 00000000 ffffffffffffffff {zeros}
         0000000a 2f7a6f6f6b6565706572 00000000 ffffffffffffffff {zeros}
         00000011 2f7a6f6f6b65657065722f636f6e666967 00000000 0000000000000001 {config_stat}
         00000010 2f7a6f6f6b65657065722f71756f7461 00000000 ffffffffffffffff {zeros}
         00000001 2f"
    ))
}

fn decode(body: &Bytes) -> jute::Result<Tree> {
    snapshot::decode(body.clone(), Settings::default())
}

/// A tree with something of everything.
fn rich() -> Pair {
    let mut pair = Pair::with(Settings { extended_types: true, ..Settings::default() });
    pair.run(&Request::CreateSession { timeout_ms: 4000 }).unwrap();
    pair.run(&Request::Create(create("/a", &[7; 3000], 0, vec![Acl::new(1, "digest", "é:x")]))).unwrap();
    pair.who.push(crate::wire::proto::Id::new("super", ""));
    pair.create("/a/ü").unwrap();
    pair.run(&Request::SetData { path: "/a/ü".into(), data: None, version: -1 }).unwrap();
    pair.create_with("/a/e", 1, Acl::open()).unwrap();
    pair.run(&Request::CreateContainer(create("/c", b"", 4, Acl::open()))).unwrap();
    let mut ttl = create("/t", b"x", 5, Acl::open());
    ttl.ttl_ms = Some(1000);
    pair.run(&Request::CreateTtl(ttl)).unwrap();
    pair
}

#[test]
fn the_empty_tree_is_written_as_the_reference_writes_it() {
    let body = snapshot::encode_body(&Tree::new());
    assert_eq!(body.len(), 0x19b - 0x10);
    assert_eq!(body, empty_body());
    let tree = decode(&body).unwrap();
    assert_eq!(dump(&tree), dump(&Tree::new()));
    assert_eq!(snapshot::encode_body(&tree), body);
}

#[test]
fn a_tree_survives_its_snapshot() {
    let pair = rich();
    let body = snapshot::encode_body(&pair.leader);
    let loaded = reload(&pair.leader);
    assert_eq!(dump(&loaded), dump(&pair.leader));
    assert_eq!(snapshot::encode_body(&loaded), body, "order and list numbers are kept");
    assert_eq!(loaded.sessions.containers.len() + loaded.sessions.ttls.len(), 2);
}

#[test]
fn chunks_are_bounded_and_make_the_same_body() {
    let mut pair = rich();
    for n in 0..100 {
        pair.create(&format!("/a/{n}")).unwrap();
    }
    let whole = snapshot::encode_body(&pair.leader);
    let mut writer = snapshot::Writer::open(&mut pair.leader);
    assert_eq!(writer.zxid(), pair.zxid);
    let mut body = Vec::new();
    while let Some(chunk) = writer.chunk(&mut pair.leader, 500) {
        assert!(chunk.len() < 500 + 3200, "one node more than was asked for");
        body.extend_from_slice(&chunk);
    }
    writer.close(&mut pair.leader);
    assert_eq!(body, whole);
}

#[test]
fn a_body_holds_no_younger_node_and_names_no_younger_list() {
    let mut pair = rich();
    let mut writer = snapshot::Writer::open(&mut pair.leader);
    let mut body = writer.chunk(&mut pair.leader, 1).unwrap().to_vec();
    let young = vec![Acl::new(Perms::ALL, "ip", "::1")];
    pair.create_with("/a/young", 0, young.clone()).unwrap();
    pair.create("/a/young/too").unwrap();
    pair.set_acl("/c", young, -1).unwrap();
    while let Some(chunk) = writer.chunk(&mut pair.leader, 1) {
        body.extend_from_slice(&chunk);
    }
    writer.close(&mut pair.leader);
    let tree = snapshot::decode(body.into(), pair.settings.clone()).unwrap();
    assert!(tree.stat("/a/young").is_none() && tree.stat("/a/young/too").is_none());
    assert_eq!(tree.get_acl("/c", &[]).unwrap().0, Acl::open());
    assert_eq!(tree.node_count() + 2, pair.leader.node_count());
}

#[test]
fn two_snapshots_may_be_written_at_once_and_one_given_up() {
    let mut pair = rich();
    let mut first = snapshot::Writer::open(&mut pair.leader);
    let mut second = snapshot::Writer::open(&mut pair.leader);
    let given_up = snapshot::Writer::open(&mut pair.leader);
    given_up.close(&mut pair.leader);
    let mut bodies = [Vec::new(), Vec::new()];
    loop {
        let chunks = [first.chunk(&mut pair.leader, 1), second.chunk(&mut pair.leader, 400)];
        if chunks.iter().all(Option::is_none) {
            break;
        }
        for (body, chunk) in bodies.iter_mut().zip(chunks) {
            body.extend_from_slice(&chunk.unwrap_or_default());
        }
    }
    first.close(&mut pair.leader);
    second.close(&mut pair.leader);
    assert_eq!(bodies[0], bodies[1]);
    assert_eq!(bodies[0], snapshot::encode_body(&pair.leader));
}

#[test]
fn the_end_of_a_stream_is_found_in_pieces_of_any_size() {
    let body = snapshot::encode_body(&rich().leader);
    let mut stream = body.to_vec();
    stream.extend_from_slice(b"\0\0\0\x0aBenWasHere");
    for size in [1, 7, 100, 4096, stream.len()] {
        let mut scanner = Scanner::new(0);
        let mut loader = Loader::new(Settings { extended_types: true, ..Settings::default() });
        let mut seen = 0;
        for piece in stream.chunks(size) {
            let end = scanner.feed(piece).unwrap();
            assert_eq!(loader.feed(piece).unwrap(), end);
            if let Some(end) = end {
                seen += end;
                break;
            }
            seen += piece.len();
        }
        assert_eq!(seen, body.len(), "in pieces of {size}");
        let tree = loader.finish().unwrap();
        assert_eq!(snapshot::encode_body(&tree), body);
    }
}

#[test]
fn bodies_that_are_no_tree_are_refused() {
    let body = snapshot::encode_body(&rich().leader);
    for len in [0, 3, 100, body.len() - 1] {
        assert!(decode(&body.slice(..len)).is_err(), "cut at {len}");
    }
    assert!(decode(&[&body[..], b"x"].concat().into()).is_err(), "something behind the end");
    let node = |path: &str| {
        let mut w = jute::Writer::new();
        w.string(path);
        w.buffer(None);
        w.long(-1);
        w.raw(&[0; 60]);
        w.finish()
    };
    let tree = |paths: &[&str]| {
        let mut bytes = vec![0; 8];
        paths.iter().for_each(|path| bytes.extend_from_slice(&node(path)));
        bytes.extend_from_slice(b"\0\0\0\x01/");
        decode(&bytes.into())
    };
    assert!(tree(&["", "/a", "/a/b"]).is_ok());
    for paths in
        [&[][..], &["/a"], &["", "/a/b"], &["", "/a", "/a"], &["", ""], &["", "a"], &["", "/a", "/a/"]]
    {
        assert!(tree(paths).is_err(), "{paths:?}");
    }
    // Lengths and counts that nobody should wait for.
    for bytes in ["ffffffff", "00000000 80000000", "00000000 00000000 7fffffff", "00000000 00000000 fffffffe"]
    {
        assert!(Scanner::new(0).feed(&unhex(bytes)).is_err(), "{bytes}");
    }
}

#[test]
fn old_snapshots_without_a_configuration_node_get_one() {
    let mut body = empty_body().to_vec();
    let start = body.windows(17).position(|w| w == b"/zookeeper/config").unwrap() - 4;
    body.drain(start..start + 4 + 17 + 4 + 8 + 60);
    let tree = decode(&body.into()).unwrap();
    assert_eq!(dump(&tree), dump(&Tree::new()));
}

#[test]
fn a_missing_list_is_tolerated_never_reused_and_repaired_by_replay() {
    let mut body = empty_body().to_vec();
    // The root names list 7, which is not there.
    let root_acl = 4 + 4 + 8 + 4 + 4 + 9 + 10 + 4 + 4;
    body[root_acl..root_acl + 8].copy_from_slice(&7_i64.to_be_bytes());
    let mut tree = decode(&body.clone().into()).unwrap();
    assert!(tree.get_data("/", &[]).is_err(), "closed until it is known");
    assert!(tree.get_data("/", &[crate::wire::proto::Id::new("super", "")]).is_ok());
    assert_eq!(snapshot::encode_body(&tree), body);
    let set_acl = crate::server::tree::TxnBody::SetAcl {
        path: "/".into(),
        acl: Some(Acls::shared([Acl::new(Perms::READ, "world", "anyone"), Acl::new(2, "ip", "::1")])),
        version: 1,
    };
    let header = crate::server::tree::TxnHeader {
        session: crate::wire::ids::SessionId(1),
        cxid: 0,
        zxid: Zxid(1),
        time_ms: 0,
        kind: crate::wire::proto::OpCode::SetAcl.code(),
    };
    tree.apply(&crate::server::tree::Txn { header, body: set_acl, digest: None });
    assert!(tree.get_data("/", &[]).is_ok());
    let numbers: Vec<i64> = tree.acls.lists().map(|(id, _)| id).collect();
    assert_eq!(numbers, [1, 8]);
}

#[test]
fn the_last_list_number_there_is_does_not_stop_the_server() {
    let mut body = empty_body().to_vec();
    let config = body.windows(17).position(|w| w == b"/zookeeper/config").unwrap();
    for at in [8, config + 17 + 4] {
        body[at..at + 8].copy_from_slice(&i64::MAX.to_be_bytes());
    }
    let mut tree = decode(&body.into()).unwrap();
    let list = Acls::shared(Acl::open());
    let acl = tree.acls.hold(Some(&list));
    assert_eq!(tree.acls.id(acl), 1);
}

proptest! {
    #[test]
    fn decoding_arbitrary_bytes_never_panics(bytes: Vec<u8>, at in 0usize..500, byte: u8, cut in 0usize..500) {
        let _ = decode(&bytes.clone().into());
        let mut body = empty_body().to_vec();
        let at = at % body.len();
        body[at] = byte;
        let _ = decode(&body.clone().into());
        body.truncate(cut);
        body.extend(bytes);
        if let Ok(tree) = decode(&body.into()) {
            let _ = snapshot::encode_body(&tree);
        }
    }
}

#[test]
fn a_field_is_waited_for_as_long_as_the_settings_allow_it() {
    // No sessions, no access lists, the root's path, and the length of its data.
    let head = unhex("00000000 00000000 00000000 06000000");
    assert!(Scanner::new(0).feed(&head).is_err());
    assert_eq!(Scanner::new(128 << 20).feed(&head), Ok(None));
    let wide = Settings { txn_len_max: 128 << 20, ..Settings::default() };
    assert_eq!(Loader::new(wide).feed(&head), Ok(None));
}
