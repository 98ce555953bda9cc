//! Snapshots of a tree, of every compression: read, judged, measured, compared; cut short and damaged ones told apart.

use std::fs;
use std::io::{Read, Write};
use std::ops::ControlFlow;
use std::path::Path;

use tempfile::TempDir;

use crate::forensics::evidence::place::{self, Found, Kind};
use crate::forensics::evidence::snapshots::{self, Unread};
use crate::forensics::inquiry::census::Census;
use crate::forensics::inquiry::compare::{Compare, How};
use crate::forensics::inquiry::question::Znode;
use crate::forensics::inquiry::sizes::Sizes;
use crate::forensics::inquiry::znode::{self, Lists, Wanted};
use crate::formats::compression::{Compression, Encoder, decoder};
use crate::formats::names;
use crate::formats::snapshot::Writer;
use crate::server::tree::snapshot::{Item, encode_body};
use crate::server::tree::{CreateTxn, CreatedNode, Tree, Txn, TxnBody, TxnHeader};
use crate::wire::ids::{SessionId, Zxid};
use crate::wire::proto::OpCode;

fn apply(tree: &mut Tree, zxid: i64, op: OpCode, body: TxnBody) {
    let header =
        TxnHeader { session: SessionId(7), cxid: 1, zxid: Zxid(zxid), time_ms: zxid * 1000, kind: op.code() };
    tree.apply(&Txn { header, body, digest: None });
}

fn create(tree: &mut Tree, zxid: i64, path: &str, data: &[u8], ephemeral: bool) {
    let body = TxnBody::Create(CreateTxn {
        path: path.into(),
        data: Some(data.to_vec().into()),
        acl: None,
        node: CreatedNode::Plain { ephemeral },
        parent_cversion: Some(-1),
    });
    apply(tree, zxid, OpCode::Create, body);
}

/// A tree with a session, its ephemeral, and two subtrees of different sizes.
fn tree() -> Tree {
    let mut tree = Tree::new();
    apply(&mut tree, 1, OpCode::CreateSession, TxnBody::CreateSession { timeout_ms: 4000 });
    create(&mut tree, 2, "/a", b"small", false);
    create(&mut tree, 3, "/a/b", b"needle", false);
    create(&mut tree, 4, "/a/lock", b"", true);
    create(&mut tree, 5, "/large", b"", false);
    create(&mut tree, 6, "/large/one", &[b'x'; 5000], false);
    tree
}

fn bytes(tree: &Tree, compression: Compression) -> Vec<u8> {
    let mut writer = Writer::new(Encoder::new(compression, Vec::new()));
    writer.header().unwrap();
    writer.write(&encode_body(tree)).unwrap();
    writer.trailer(Some((tree.last_zxid(), tree.digest())), tree.last_zxid()).unwrap();
    let mut encoder = writer.into_inner();
    encoder.flush().unwrap();
    encoder.finish().unwrap()
}

fn put(dir: &Path, tree: &Tree, compression: Compression) -> Found {
    let path = dir.join(names::snapshot(tree.last_zxid(), compression));
    fs::write(&path, bytes(tree, compression)).unwrap();
    Found { path, zxid: Some(tree.last_zxid()), compression }
}

fn new() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// Whether it is whole, by all that is judged; `Err` with what is wrong.
fn judged(found: &Found) -> Result<Census, String> {
    let mut census = Census::default();
    let read = snapshots::walk(found, &mut |item| {
        census.hear(item);
        ControlFlow::Continue(())
    });
    let trailer = read.map_err(|why| {
        format!("{}{why}", if matches!(why, Unread::Unfinished) { "unfinished: " } else { "" })
    })?;
    census.finish(&trailer.expect("nobody had enough"), found.zxid);
    if census.faults.is_empty() { Ok(census) } else { Err(census.faults.join("; ")) }
}

/// The paths that answer.
fn paths(found: &Found, wanted: &Wanted) -> Vec<String> {
    let mut paths = Vec::new();
    let read = snapshots::walk(found, &mut |item| {
        if let Item::Node(node) = item
            && wanted.takes(&node)
        {
            paths.push(node.path.to_owned());
        }
        ControlFlow::Continue(())
    });
    read.unwrap();
    paths.sort();
    paths
}

#[test]
fn every_compression_is_read_and_judged_whole() {
    let dir = new();
    for compression in ALL {
        let census = judged(&put(dir.path(), &tree(), compression)).unwrap();
        let counts = (census.sessions, census.znodes, census.ephemerals, census.data_bytes);
        // Beside those five there are the root and what every tree has below /zookeeper.
        assert_eq!(counts, (1, 5 + 4, 1, 5011), "{compression:?}");
        assert!(census.notes.is_empty(), "{:?}", census.notes);
    }
}

#[test]
fn a_snapshot_of_the_reference_is_whole() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/apache-3.8");
    let place = place::find(&dir, Kind::Snapshots).unwrap();
    assert_eq!(place.files.len(), 3);
    for found in &place.files {
        judged(found).unwrap_or_else(|why| panic!("{}: {why}", found.path.display()));
    }
}

#[test]
fn znodes_are_found_by_path_text_and_session() {
    let dir = new();
    let found = put(dir.path(), &tree(), Compression::Gzip);
    let below = |path: &str| Some(Znode::typed(path, true).unwrap());
    assert_eq!(paths(&found, &Wanted { below: below("/a"), ..Wanted::default() }), ["/a", "/a/b", "/a/lock"]);
    assert_eq!(paths(&found, &Wanted { text: Some("needle".to_owned()), ..Wanted::default() }), ["/a/b"]);
    assert_eq!(paths(&found, &Wanted { session: Some(SessionId(7)), ..Wanted::default() }), ["/a/lock"]);
}

#[test]
fn the_largest_subtrees_stand_first() {
    let dir = new();
    let found = put(dir.path(), &tree(), Compression::None);
    let mut sizes = Sizes::new(4);
    let read = snapshots::walk(&found, &mut |item| {
        if let Item::Node(node) = item {
            sizes.hear(&node);
        }
        ControlFlow::Continue(())
    });
    read.unwrap();
    assert!(!sizes.is_out_of_order);
    let largest = sizes.finish();
    let shown: Vec<_> =
        largest.iter().map(|tree| (tree.path.as_str(), tree.znodes, tree.data_bytes)).collect();
    assert_eq!(shown[..3], [("/", 9, 5011), ("/large", 2, 5000), ("/large/one", 1, 5000)]);
    assert_eq!(largest.len(), 4);
    let record = 76;
    assert_eq!(largest[1].bytes, 2 * record + 6 + 10 + 5000);
}

/// A flipped bit is found by the seals, wherever it changes what comes out of the file.
#[test]
fn a_flipped_bit_anywhere_is_damage() {
    let dir = new();
    for compression in ALL {
        let found = put(dir.path(), &tree(), compression);
        let whole = fs::read(&found.path).unwrap();
        let content = |bytes: &[u8]| {
            let mut content = Vec::new();
            decoder(compression, bytes).read_to_end(&mut content).map(|_| content).ok()
        };
        let original = content(&whole);
        for at in (0..whole.len()).step_by(7) {
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << (at % 8);
            fs::write(&found.path, &bytes).unwrap();
            let judged = judged(&found);
            // Behind the magic a header has numbers that nobody looks at, and a file compressed otherwise may hold the same.
            let is_same =
                content(&bytes) == original || compression == Compression::None && (4..16).contains(&at);
            match judged {
                Ok(_) => assert!(is_same, "{compression:?}, byte {at}: nothing was found"),
                // Without its last bytes no file has an end.
                Err(why) if compression == Compression::None && at + 5 < whole.len() => {
                    assert!(!why.starts_with("unfinished"), "byte {at}: {why}");
                }
                Err(_) => {}
            }
        }
    }
}

#[test]
fn one_that_is_cut_anywhere_is_unfinished_and_not_damaged() {
    let dir = new();
    for compression in ALL {
        let found = put(dir.path(), &tree(), compression);
        let whole = fs::read(&found.path).unwrap();
        for len in (20..whole.len()).step_by(11) {
            fs::write(&found.path, &whole[..len]).unwrap();
            match judged(&found) {
                Err(why) => assert!(why.starts_with("unfinished: "), "{compression:?} cut to {len}: {why}"),
                // Older servers write no more than that.
                Ok(_) => panic!("{compression:?} cut to {len} is whole"),
            }
        }
    }
}

#[test]
fn the_newest_that_is_whole_is_taken() {
    let dir = new();
    let version_2 = dir.path().join("version-2");
    fs::create_dir(&version_2).unwrap();
    let mut tree = tree();
    let older = put(&version_2, &tree, Compression::Gzip);
    create(&mut tree, 7, "/later", b"", false);
    let newer = put(&version_2, &tree, Compression::None);
    let newest = || snapshots::newest(&place::find(dir.path(), Kind::Snapshots).unwrap());
    assert_eq!(newest().0.unwrap().path, newer.path);
    let whole = fs::read(&newer.path).unwrap();
    fs::write(&newer.path, &whole[..whole.len() / 2]).unwrap();
    let (found, passed_over) = newest();
    assert_eq!(found.unwrap().path, older.path);
    assert!(
        matches!(&passed_over[..], [(path, Unread::Unfinished)] if *path == newer.path),
        "{passed_over:?}"
    );
}

#[test]
fn where_a_znode_comes_from_is_told_by_the_newest_that_has_it() {
    let dir = new();
    let mut tree = tree();
    let older = put(dir.path(), &tree, Compression::Snappy);
    apply(&mut tree, 7, OpCode::Delete, TxnBody::Delete { path: "/a/lock".into() });
    put(dir.path(), &tree, Compression::None);
    let place = place::find(dir.path(), Kind::Snapshots).unwrap();
    let origin = |path| snapshots::origin(&place, path).map(|origin| (origin.session, origin.line()));
    let (session, line) = origin("/a/lock").unwrap();
    assert_eq!(session, Some(SessionId(7)));
    let expected = format!(
        "created 1970-01-01T00:00:04.000Z (0x4), ephemeral of session 0x7: so says {}",
        older.path.display()
    );
    assert_eq!(line, expected);
    assert_eq!(origin("/").unwrap().0, None);
    assert_eq!(origin("/never"), None);
}

fn compared(a: &Found, b: &Found) -> (bool, Vec<String>) {
    let mut compare = Compare::default();
    let mut pass = |found: &Found, step: &dyn Fn(&mut Compare, Item, &Lists)| {
        let mut lists = Lists::default();
        let read = snapshots::walk(found, &mut |item| {
            match item {
                Item::Acl { id, list } => lists.define(id, &list),
                item => step(&mut compare, item, &lists),
            }
            ControlFlow::Continue(())
        });
        read.unwrap();
    };
    pass(a, &|compare, item, lists| match item {
        Item::Session { id, timeout_ms } => compare.first_session(id, timeout_ms),
        Item::Node(node) => compare.first(&node, lists),
        Item::Acl { .. } => {}
    });
    pass(b, &|compare, item, lists| match item {
        Item::Session { id, .. } => compare.second_session(id),
        Item::Node(node) => compare.second(&node, lists),
        Item::Acl { .. } => {}
    });
    let same = compare.is_same();
    let mut lists = Lists::default();
    let read = snapshots::walk(a, &mut |item| {
        match item {
            Item::Acl { id, list } => lists.define(id, &list),
            Item::Node(node) => compare.again(&node, &lists),
            Item::Session { .. } => {}
        }
        ControlFlow::Continue(())
    });
    read.unwrap();
    let counts = compare.differences.values().filter(|difference| difference.how == How::Changed).count();
    let lines: Vec<_> = compare.differences.values().map(|difference| difference.line()).collect();
    assert_eq!(lines.iter().filter(|line| line.starts_with('~')).count(), counts);
    (same, lines)
}

#[test]
fn what_differs_between_two_is_named_with_what_changed() {
    let (dir, other) = (new(), new());
    let a = put(dir.path(), &tree(), Compression::None);
    let same = put(other.path(), &tree(), Compression::Snappy);
    assert_eq!(compared(&a, &same), (true, Vec::new()));

    let mut changed = tree();
    apply(&mut changed, 7, OpCode::Delete, TxnBody::Delete { path: "/a/lock".into() });
    create(&mut changed, 8, "/new", b"", false);
    let set =
        |data: &[u8]| TxnBody::SetData { path: "/a/b".into(), data: Some(data.to_vec().into()), version: 1 };
    apply(&mut changed, 9, OpCode::SetData, set(b"thread"));
    let b = put(other.path(), &changed, Compression::Gzip);
    let (same, lines) = compared(&a, &b);
    assert!(!same);
    let shown: Vec<_> = lines.iter().map(|line| line.split("  ").next().unwrap()).collect();
    // The parents of what came and went have other counters.
    assert_eq!(shown, ["~ /", "~ /a", "~ /a/b", "- /a/lock", "+ /new"]);
    assert!(lines[2].contains("the data's bytes, version 0 -> 1, mzxid 0x3 -> 0x9"), "{}", lines[2]);
    let (_, back) = compared(&b, &a);
    assert!(back.contains(&"+ /a/lock".to_owned()) && back.contains(&"- /new".to_owned()), "{back:?}");
}

#[test]
fn a_znode_is_shown_in_a_line_and_more_where_asked() {
    let dir = new();
    let found = put(dir.path(), &tree(), Compression::None);
    let (mut lists, mut shown) = (Lists::default(), String::new());
    let all = znode::Shown { stat: true, acl: true, data: true };
    let read = snapshots::walk(&found, &mut |item| {
        match item {
            Item::Acl { id, list } => lists.define(id, &list),
            Item::Node(node) if node.path == "/a/b" => shown = znode::line(&node, &lists, all),
            _ => {}
        }
        ControlFlow::Continue(())
    });
    read.unwrap();
    let expected = "1970-01-01T00:00:03.000Z  0x3                 0         6  -                   /a/b\n    created \
                    1970-01-01T00:00:03.000Z, czxid 0x3, pzxid 0x3, cversion 0, aversion 0\n    acl world:anyone:cdrwa\n    \
                    data \"needle\"\n";
    assert_eq!(shown, expected);
}

const ALL: [Compression; 3] = [Compression::None, Compression::Gzip, Compression::Snappy];
