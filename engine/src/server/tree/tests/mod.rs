//! What the tests of this folder share: a leader and a follower that must never differ.

mod law;
mod prepare;
mod snapshots;
mod tree;
mod txn;

use bytes::Bytes;

use super::{Applied, Outstanding, PrepareContext, Settings, Tree, Txn, TxnBody, snapshot};
use crate::wire::ids::{SessionId, Zxid};
use crate::wire::jute::Str;
use crate::wire::proto::{Acl, CreateRequest, ErrorCode, Id, Request, Response, Stat};

pub(super) const ALICE: SessionId = SessionId(0x0100_0000_0000_0001);
pub(super) const BOB: SessionId = SessionId(0x0200_0000_0000_0002);

/// A leader that prepares, and a follower that sees only the bytes of the transactions.
pub(super) struct Pair {
    pub(super) leader: Tree,
    pub(super) follower: Tree,
    pub(super) outstanding: Outstanding,
    pub(super) settings: Settings,
    pub(super) zxid: Zxid,
    pub(super) wall_ms: i64,
    pub(super) session: SessionId,
    pub(super) session_check: Result<(), ErrorCode>,
    pub(super) ephemeral_check: Result<(), ErrorCode>,
    pub(super) who: Vec<Id>,
}

impl Pair {
    pub(super) fn new() -> Pair {
        Pair::with(Settings::default())
    }

    pub(super) fn with(settings: Settings) -> Pair {
        Pair {
            leader: Tree::with_settings(settings.clone()),
            follower: Tree::with_settings(settings.clone()),
            outstanding: Outstanding::new(),
            settings,
            zxid: Zxid(0x1_0000_0000),
            wall_ms: 1_000_000,
            session: ALICE,
            session_check: Ok(()),
            ephemeral_check: Ok(()),
            who: vec![Id::new("ip", "127.0.0.1")],
        }
    }

    /// Prepares on the leader; nobody applies it yet.
    pub(super) fn prepare(&mut self, request: &Request) -> Txn {
        self.zxid = Zxid(self.zxid.0 + 1);
        self.wall_ms += 7;
        let ctx = PrepareContext {
            zxid: self.zxid,
            wall_ms: self.wall_ms,
            session: self.session,
            cxid: 5,
            who: &self.who,
            session_check: self.session_check,
            ephemeral_check: self.ephemeral_check,
            settings: &self.settings,
        };
        self.outstanding.prepare(&self.leader, request, &ctx)
    }

    /// Applies on both servers and holds them against each other.
    pub(super) fn apply(&mut self, txn: &Txn) -> Applied {
        let bytes = txn.encode();
        assert_eq!(bytes.len(), txn.encoded_len());
        let received = Txn::decode(bytes.clone()).expect("what is written can be read");
        assert_eq!(&received, txn);
        assert_eq!(received.encode(), bytes);

        let applied = self.leader.apply(txn);
        self.outstanding.applied(txn.header.zxid);
        assert_eq!(self.follower.apply(&received), applied);
        assert_eq!(applied.digest_ok, txn.digest.map(|_| true), "{txn:?}");
        let has_digest = !matches!(txn.body, TxnBody::Error(_)) && self.settings.digest_enabled;
        assert_eq!(txn.digest.is_some(), has_digest, "{txn:?}");
        assert_eq!(self.leader.digest(), self.follower.digest());
        applied
    }

    pub(super) fn applied(&mut self, request: &Request) -> Applied {
        let txn = self.prepare(request);
        self.apply(&txn)
    }

    /// Prepares, applies, answers.
    pub(super) fn run(&mut self, request: &Request) -> Result<Response, ErrorCode> {
        self.applied(request)
            .outcome
            .response(request)
            .map_err(|code| ErrorCode::from_code(code).expect("only codes that clients know"))
    }

    pub(super) fn create(&mut self, path: &str) -> Result<String, ErrorCode> {
        self.create_with(path, 0, Acl::open())
    }

    pub(super) fn create_with(&mut self, path: &str, flags: i32, acl: Vec<Acl>) -> Result<String, ErrorCode> {
        match self.run(&Request::Create2(create(path, b"", flags, acl)))? {
            Response::Create2 { path, .. } => Ok(path.to_string()),
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn delete(&mut self, path: &str, version: i32) -> Result<(), ErrorCode> {
        self.run(&Request::Delete { path: path.into(), version }).map(|_| ())
    }

    pub(super) fn set(&mut self, path: &str, data: &[u8], version: i32) -> Result<Stat, ErrorCode> {
        match self.run(&set_data(path, data, version))? {
            Response::Stat(stat) => Ok(stat),
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn set_acl(&mut self, path: &str, acl: Vec<Acl>, version: i32) -> Result<Stat, ErrorCode> {
        match self.run(&Request::SetAcl { path: path.into(), acl: Some(acl), version })? {
            Response::Stat(stat) => Ok(stat),
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn stat(&self, path: &str) -> Stat {
        self.follower.stat(path).expect("the node is there")
    }

    pub(super) fn data(&self, path: &str) -> String {
        let (data, _) = self.follower.get_data(path, &[]).expect("readable");
        String::from_utf8(data.unwrap_or(b"(null)").to_vec()).unwrap()
    }
}

pub(super) fn create(path: &str, data: &[u8], flags: i32, acl: Vec<Acl>) -> CreateRequest {
    CreateRequest {
        path: path.into(),
        data: Some(Bytes::copy_from_slice(data)),
        acl: Some(acl),
        flags,
        ttl_ms: None,
    }
}

pub(super) fn set_data(path: &str, data: &[u8], version: i32) -> Request {
    Request::SetData { path: path.into(), data: Some(Bytes::copy_from_slice(data)), version }
}

pub(super) fn strs(paths: &[&str]) -> Vec<Str> {
    paths.iter().map(|path| Str::from(*path)).collect()
}

pub(super) fn unhex(hex: &str) -> Bytes {
    let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

/// Everything a tree holds, order of children aside.
pub(super) fn dump(tree: &Tree) -> Vec<String> {
    let mut lines: Vec<String> = tree
        .nodes
        .subtree(super::node::NodeId::ROOT)
        .map(|id| {
            let node = tree.nodes.get(id);
            let children = node.child_count;
            assert_eq!(tree.nodes.children(id).count(), children as usize);
            assert_eq!(tree.nodes.find(&tree.nodes.path(id)), Some(id));
            format!(
                "{:?} data {:?} acl {:?} children {children} {:?}",
                tree.nodes.path(id),
                tree.nodes.data(id).map(String::from_utf8_lossy),
                tree.acls.list(node.acl),
                node.stat(),
            )
        })
        .collect();
    assert_eq!(lines.len(), tree.node_count());
    lines.sort();
    lines.push(format!("sessions {:?}", tree.sessions().collect::<Vec<_>>()));
    lines.push(format!("ephemerals {:?}", tree.ephemerals().collect::<Vec<_>>()));
    lines.push(format!("count {} size {}", tree.ephemerals_count(), tree.approximate_data_size()));
    lines.push(format!("zxid {} digest {:x}", tree.last_zxid(), tree.digest()));
    lines.push(format!("lists {}", tree.acls.lists().count()));
    lines
}

pub(super) fn reload(tree: &Tree) -> Tree {
    let body = snapshot::encode_body(tree);
    let mut loaded = snapshot::decode(body, tree.settings().clone()).expect("what is written can be read");
    loaded.set_last_zxid(tree.last_zxid());
    loaded
}
