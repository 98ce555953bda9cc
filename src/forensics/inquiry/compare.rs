//! What differs between two snapshots, whatever order their znodes stand in: the first is read twice, the second once,
//! and what is kept is 32 bytes a znode and the differences.

use std::collections::BTreeMap;

use serde::Serialize;

use super::znode::{self, Lists};
use super::{fingerprint, text};
use crate::server::tree::snapshot::RawNode;
use crate::wire::ids::SessionId;

/// Two snapshots, A and B.
#[derive(Debug, Default)]
pub struct Compare {
    /// Znodes of A that were not seen in B yet: path and content.
    left: BTreeMap<[u8; 16], [u8; 16]>,
    /// Those of B that are not as in A.
    changed: BTreeMap<[u8; 16], Seen>,
    sessions: BTreeMap<SessionId, i32>,
    pub differences: BTreeMap<String, Difference>,
    pub sessions_added: Vec<SessionId>,
    pub sessions_removed: Vec<SessionId>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename = "difference")]
pub struct Difference {
    path: String,
    pub how: How,
    /// What is not the same of a znode that both have, each as it is in A and in B.
    what: Vec<Change>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// In B alone.
    Added,
    /// In A alone.
    Removed,
    Changed,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    what: &'static str,
    a: String,
    b: String,
}

/// What is compared of a znode, in words.
#[derive(Debug)]
struct Seen([(&'static str, String); 11], [u8; 16]);

impl Compare {
    /// A session of A.
    pub fn first_session(&mut self, id: SessionId, timeout_ms: i32) {
        self.sessions.insert(id, timeout_ms);
    }

    /// A znode of A, the first time.
    pub fn first(&mut self, node: &RawNode, lists: &Lists) {
        self.left.insert(key(node), content(node, lists));
    }

    /// A session of B, behind all of A.
    pub fn second_session(&mut self, id: SessionId) {
        if self.sessions.remove(&id).is_none() {
            self.sessions_added.push(id);
        }
    }

    /// A znode of B.
    pub fn second(&mut self, node: &RawNode, lists: &Lists) {
        match self.left.remove(&key(node)) {
            None => self.differ(node, How::Added, Vec::new()),
            Some(before) if before == content(node, lists) => {}
            Some(_) => _ = self.changed.insert(key(node), Seen::of(node, lists)),
        }
    }

    /// B is over: what is left of A is not in it.
    pub fn is_same(&mut self) -> bool {
        self.sessions_removed = std::mem::take(&mut self.sessions).into_keys().collect();
        let is_whole = self.sessions_added.is_empty() && self.sessions_removed.is_empty();
        is_whole && self.left.is_empty() && self.changed.is_empty() && self.differences.is_empty()
    }

    /// A znode of A, once more: what became of it is said.
    pub fn again(&mut self, node: &RawNode, lists: &Lists) {
        if self.left.remove(&key(node)).is_some() {
            self.differ(node, How::Removed, Vec::new());
        } else if let Some(after) = self.changed.remove(&key(node)) {
            let what = Seen::of(node, lists).changes(&after);
            self.differ(node, How::Changed, what);
        }
    }

    fn differ(&mut self, node: &RawNode, how: How, what: Vec<Change>) {
        let path = znode::path(node).to_owned();
        self.differences.insert(path.clone(), Difference { path, how, what });
    }
}

impl Difference {
    /// One line, without its end.
    pub fn line(&self) -> String {
        let path = text::plain(&self.path);
        match self.how {
            How::Added => format!("+ {path}"),
            How::Removed => format!("- {path}"),
            How::Changed => {
                let change = |change: &Change| match change.what {
                    "bytes" => "the data's bytes".to_owned(),
                    what => format!("{what} {} -> {}", change.a, change.b),
                };
                format!("~ {path}  {}", self.what.iter().map(change).collect::<Vec<_>>().join(", "))
            }
        }
    }
}

impl Seen {
    fn of(node: &RawNode, lists: &Lists) -> Seen {
        let stat = &node.stat;
        let data = node.data.unwrap_or_default();
        let sum = fingerprint::of(&[data]);
        let len = node.data.map_or_else(|| "none".to_owned(), |data| text::bytes(data.len()));
        let words = [
            ("data", len),
            ("version", stat.version.to_string()),
            ("mzxid", stat.mzxid.to_string()),
            ("mtime", text::time(stat.mtime_ms)),
            ("acl", znode::acl(node, lists).into_owned()),
            ("aversion", stat.aversion.to_string()),
            ("cversion", stat.cversion.to_string()),
            ("pzxid", stat.pzxid.to_string()),
            ("czxid", stat.czxid.to_string()),
            ("ctime", text::time(stat.ctime_ms)),
            ("owner", SessionId(stat.owner).to_string()),
        ];
        Seen(words, sum)
    }

    /// From this one to the other.
    fn changes(&self, after: &Seen) -> Vec<Change> {
        let pairs = self.0.iter().zip(&after.0).filter(|(a, b)| a != b);
        let mut changes: Vec<_> =
            pairs.map(|((what, a), (_, b))| Change { what, a: a.clone(), b: b.clone() }).collect();
        if self.1 != after.1 && self.0[0] == after.0[0] {
            let hex = |sum: &[u8; 16]| sum.iter().map(|byte| format!("{byte:02x}")).collect();
            changes.insert(0, Change { what: "bytes", a: hex(&self.1), b: hex(&after.1) });
        }
        changes
    }
}

fn key(node: &RawNode) -> [u8; 16] {
    fingerprint::of(&[node.path.as_bytes()])
}

/// All that [`Seen`] has, without the words.
fn content(node: &RawNode, lists: &Lists) -> [u8; 16] {
    let stat = &node.stat;
    let counts = [stat.version, stat.cversion, stat.aversion].map(i64::from);
    let zxids = [stat.czxid, stat.mzxid, stat.pzxid].map(|zxid| zxid.0);
    let rest = [stat.ctime_ms, stat.mtime_ms, stat.owner, i64::from(node.data.is_some())];
    let numbers = [&counts[..], &zxids, &rest].concat();
    let numbers = numbers.into_iter().flat_map(i64::to_be_bytes).collect::<Vec<_>>();
    let data = node.data.unwrap_or_default();
    fingerprint::of(&[&numbers, data, znode::acl(node, lists).as_bytes()])
}
