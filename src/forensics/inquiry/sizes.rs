//! The largest subtrees of a snapshot, found in one pass: of the tree no more is kept than the way down to the znode at
//! hand, since every writer puts a znode's whole subtree behind it.

use std::collections::BTreeSet;

use serde::Serialize;

use super::znode;
use crate::server::tree::snapshot::RawNode;

/// Subtrees by size.
#[derive(Debug)]
pub struct Sizes {
    wanted: usize,
    /// The way down: each with the length of its path, which is a beginning of `path`.
    way: Vec<(usize, Sum)>,
    path: String,
    largest: BTreeSet<Subtree>,
    /// A znode stood apart from its siblings: what is said of its ancestors is not all.
    pub is_out_of_order: bool,
}

/// A znode and all below it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Subtree {
    /// What the snapshot needs for it.
    pub bytes: u64,
    pub znodes: u64,
    pub data_bytes: u64,
    pub path: String,
}

#[derive(Debug, Clone, Copy, Default)]
struct Sum {
    bytes: u64,
    znodes: u64,
    data_bytes: u64,
}

impl Sizes {
    /// The `wanted` largest are kept.
    pub fn new(wanted: usize) -> Sizes {
        Sizes {
            wanted,
            way: Vec::new(),
            path: String::new(),
            largest: BTreeSet::new(),
            is_out_of_order: false,
        }
    }

    pub fn hear(&mut self, node: &RawNode) {
        let path = znode::path(node);
        while self.way.last().is_some_and(|(len, _)| !is_below(path, &self.path[..*len])) {
            self.up();
        }
        let parent = self.way.last().map(|(len, _)| self.path[..*len].trim_end_matches('/').len());
        let is_child = parent.is_none_or(|len| path[len..].rfind('/') == Some(0));
        self.is_out_of_order |= !is_child;
        let data_bytes = node.data.map_or(0, |data| data.len() as u64);
        let sum = Sum { bytes: path.len() as u64 + data_bytes + NODE_BYTES, znodes: 1, data_bytes };
        path.clone_into(&mut self.path);
        self.way.push((path.len(), sum));
    }

    /// The largest, largest first.
    pub fn finish(&mut self) -> Vec<Subtree> {
        while !self.way.is_empty() {
            self.up();
        }
        std::mem::take(&mut self.largest).into_iter().rev().collect()
    }

    /// The subtree at hand is complete.
    fn up(&mut self) {
        let Some((len, sum)) = self.way.pop() else { return };
        let path = self.path[..len].to_owned();
        let Sum { bytes, znodes, data_bytes } = sum;
        self.largest.insert(Subtree { bytes, znodes, data_bytes, path });
        if self.largest.len() > self.wanted {
            self.largest.pop_first();
        }
        if let Some((_, above)) = self.way.last_mut() {
            above.bytes += bytes;
            above.znodes += znodes;
            above.data_bytes += data_bytes;
        }
    }
}

fn is_below(path: &str, above: &str) -> bool {
    path.strip_prefix(above.trim_end_matches('/')).is_some_and(|rest| rest.len() > 1 && rest.starts_with('/'))
}

/// Two lengths, the number of a list, a stat.
const NODE_BYTES: u64 = 4 + 4 + 8 + 60;
