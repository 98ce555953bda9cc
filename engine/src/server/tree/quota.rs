//! Quotas (client-protocol §7): which subtrees have one, their usage counters, the limits.
//! Counters are data of ordinary nodes, rewritten in place on each server: no transaction, no
//! version, no watch, outside the digest. Junk that clients write there is read as "no limit" or
//! recounted; the reference stops instead.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::node::NodeId;
use super::nodes::{Nodes, canonical};

/// Paths that have a limits node.
#[derive(Debug, Default)]
pub(super) struct Quotas {
    paths: BTreeSet<String>,
}

impl Quotas {
    /// To be told of every node that apply adds.
    pub(super) fn node_created(&mut self, nodes: &mut Nodes, path: &str, data_len: usize) {
        if let Some(target) = target(path, LIMITS) {
            self.paths.insert(target.to_owned());
            // What came while the counter stood there without a quota was charged to nobody. The reference counts it
            // at its next start only, so that servers would differ by who was restarted.
            recount(nodes, target);
        }
        if let Some(target) = target(path, STATS) {
            recount(nodes, target);
        }
        self.charge(nodes, path, 1, data_len as i64);
    }

    pub(super) fn node_deleted(&mut self, nodes: &mut Nodes, path: &str, data_len: usize) {
        if let Some(target) = target(path, LIMITS) {
            self.paths.remove(target);
        }
        self.charge(nodes, path, -1, -(data_len as i64));
    }

    pub(super) fn data_changed(&self, nodes: &mut Nodes, path: &str, old_len: usize, new_len: usize) {
        self.charge(nodes, path, 0, new_len as i64 - old_len as i64);
    }

    /// Finds the quotas of a loaded tree and counts each anew. Also after the replay behind a snapshot taken while
    /// transactions went on: what it already held of them is not counted a second time.
    pub(super) fn recount_all(&mut self, nodes: &mut Nodes) {
        let Some(top) = nodes.find(QUOTA) else {
            return;
        };
        let limits: Vec<NodeId> = nodes.subtree(top).filter(|id| nodes.name(*id) == LIMITS).collect();
        for id in limits {
            let path = nodes.path(id);
            if let Some(target) = target(&path, LIMITS) {
                self.paths.insert(target.to_owned());
                recount(nodes, target);
            }
        }
    }

    /// Whether a write would break a hard limit. Usage is what is committed: writes under way do not
    /// count, and a shrinking write that stays above the limit is refused as well (TRAP 31).
    pub(super) fn refuses(&self, nodes: &Nodes, path: &str, count_diff: i64, bytes_diff: i64) -> bool {
        let Some(charged) = self.charged(path) else {
            return false;
        };
        let read = |name: &str| {
            let id = nodes.find(&format!("{QUOTA}{charged}/{name}"))?;
            Track::parse(nodes.data(id))
        };
        let (Some(limits), Some(usage)) = (read(LIMITS), read(STATS)) else {
            return false;
        };
        let total = |key: &str, diff: i64| usage.get(key).saturating_add(diff);
        (count_diff != 0 && limits.refuses("countHardLimit", total("count", count_diff)))
            || (bytes_diff != 0 && limits.refuses("byteHardLimit", total("bytes", bytes_diff)))
    }

    fn charge(&self, nodes: &mut Nodes, path: &str, count_diff: i64, bytes_diff: i64) {
        let Some(charged) = self.charged(path) else {
            return;
        };
        let stats_path = format!("{QUOTA}{charged}/{STATS}");
        let Some(stats) = nodes.find(&stats_path) else {
            return;
        };
        match Track::parse(nodes.data(stats)) {
            Some(mut track) => {
                for (key, diff) in [("count", count_diff), ("bytes", bytes_diff)] {
                    let total = track.get(key).saturating_add(diff);
                    track.values.insert(key.to_owned(), total);
                }
                nodes.set_data(stats, &stats_path, Some(track.to_string().as_bytes()));
            }
            None => recount(nodes, charged),
        }
    }

    /// The deepest ancestor-or-self with a quota: the one that is charged.
    fn charged<'a>(&self, path: &'a str) -> Option<&'a str> {
        if self.paths.is_empty() {
            return None;
        }
        let ends = path.rmatch_indices('/').map(|(at, _)| at);
        std::iter::once(path.len())
            .chain(ends)
            .map(|end| &path[..end])
            .find(|prefix| !prefix.is_empty() && self.paths.contains(*prefix))
    }
}

fn recount(nodes: &mut Nodes, target: &str) {
    let stats_path = format!("{QUOTA}{target}/{STATS}");
    let Some(stats) = nodes.find(&stats_path) else {
        return;
    };
    let (mut count, mut bytes) = (0, 0);
    if let Some(top) = nodes.find(canonical(target)) {
        for id in nodes.subtree(top) {
            count += 1;
            bytes += nodes.get(id).data_len() as i64;
        }
    }
    let usage = Track::usage(count, bytes).to_string();
    nodes.set_data(stats, &stats_path, Some(usage.as_bytes()));
}

/// The path whose quota this node holds, when it is a node of that name. The root has no quota.
fn target<'a>(path: &'a str, name: &str) -> Option<&'a str> {
    let target = path.strip_prefix(QUOTA)?.strip_suffix(name)?.strip_suffix('/')?;
    target.starts_with('/').then_some(target)
}

/// A limits or stats value: `count=<n>,bytes=<n>[=;<key>=<n>…]`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Track {
    values: BTreeMap<String, i64>,
}

impl Track {
    /// Reads leniently: both separators, the stray `=`, unknown keys kept. `None`: not of this form.
    fn parse(data: Option<&[u8]>) -> Option<Track> {
        let text = std::str::from_utf8(data?).ok()?;
        let mut values = BTreeMap::new();
        for pair in text.split([',', ';']).filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=')?;
            let value = value.trim_end_matches('=');
            values.insert(key.to_owned(), if value.is_empty() { -1 } else { value.parse().ok()? });
        }
        (!values.is_empty()).then_some(Track { values })
    }

    /// −1 is "no limit".
    fn get(&self, key: &str) -> i64 {
        self.values.get(key).copied().unwrap_or(-1)
    }

    fn usage(count: i64, bytes: i64) -> Track {
        Track { values: BTreeMap::from([("count".to_owned(), count), ("bytes".to_owned(), bytes)]) }
    }

    /// A new total above the limit of this kind. A hard limit hides the soft one.
    fn refuses(&self, hard_key: &str, total: i64) -> bool {
        let hard = self.get(hard_key);
        hard > -1 && total > hard
    }
}

impl fmt::Display for Track {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "count={},bytes={}", self.get("count"), self.get("bytes"))?;
        let mut others = self.values.iter().filter(|(key, _)| *key != "count" && *key != "bytes").peekable();
        if others.peek().is_some() {
            // Readers of old expect it.
            f.write_str("=")?;
        }
        others.try_for_each(|(key, value)| write!(f, ";{key}={value}"))
    }
}

const QUOTA: &str = "/zookeeper/quota";
const LIMITS: &str = "zookeeper_limits";
const STATS: &str = "zookeeper_stats";
