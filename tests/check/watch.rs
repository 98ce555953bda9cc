//! Watches (client-protocol §5): each fires exactly once after the change, before its session sees the change, and
//! none is missed, also across reconnects.

use std::collections::{BTreeMap, BTreeSet};

use super::Verdict;

/// What one session did and was told, in its order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Watcher {
    pub(crate) session: u64,
    pub(crate) steps: Vec<Step>,
    /// The session was over at the end of the history: what was still armed then died with it.
    pub(crate) ended: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// A read left a one-shot watch and showed the znode as of `zxid`.
    Armed { key: String, zxid: u64 },
    /// An event came; `zxid` is the change's where it was told (a server catching up does not know it).
    Fired { key: String, zxid: Option<u64> },
    /// A read without a watch showed the znode as of `zxid`.
    Saw { key: String, zxid: u64 },
}

/// `changes`: of every key the zxids at which it is known to have changed, all that happened before the history's end
/// by long enough for an event to arrive.
pub(crate) fn fan_out(watchers: &[Watcher], changes: &BTreeMap<String, BTreeSet<u64>>) -> Verdict {
    Verdict::of(watchers.iter().find_map(|watcher| {
        broken(watcher, changes).map(|why| format!("session {:#x}: {why}", watcher.session))
    }))
}

fn broken(watcher: &Watcher, changes: &BTreeMap<String, BTreeSet<u64>>) -> Option<String> {
    let next_change = |key: &str, after: u64| changes.get(key)?.range(after + 1..).next().copied();
    let mut armed: BTreeMap<&str, u64> = BTreeMap::new();
    // A watch fired, and no read has shown yet what changed since this zxid.
    let mut owed: BTreeMap<&str, u64> = BTreeMap::new();
    for (at, step) in watcher.steps.iter().enumerate() {
        match step {
            Step::Fired { key, zxid } => {
                let Some(since) = armed.remove(&**key) else {
                    return Some(format!("step {at}: an event for {key}, where no watch was left"));
                };
                if let Some(zxid) = zxid {
                    if *zxid <= since {
                        return Some(format!("step {at}: {key} fired for {zxid:#x}, which was known before"));
                    }
                    if let Some(first) = next_change(key, since).filter(|first| first < zxid) {
                        return Some(format!(
                            "step {at}: {key} fired for {zxid:#x}, not for {first:#x} before it"
                        ));
                    }
                }
                owed.insert(key, since);
            }
            Step::Armed { key, zxid } | Step::Saw { key, zxid } => {
                if let Some(since) = armed.get(&**key).filter(|since| **since < *zxid) {
                    return Some(format!("step {at}: {key} seen at {zxid:#x} before the event ({since:#x})"));
                }
                if let Some(since) = owed.remove(&**key).filter(|since| *since >= *zxid) {
                    let before = &watcher.steps[at.saturating_sub(8)..=at];
                    return Some(format!(
                        "step {at}: {key} fired, and nothing has changed since {since:#x}: {before:x?}"
                    ));
                }
                if matches!(step, Step::Armed { .. }) {
                    armed.insert(key, *zxid);
                }
            }
        }
    }
    let mut left = armed.into_iter().filter(|_| !watcher.ended);
    left.find_map(|(key, since)| {
        next_change(key, since).map(|zxid| format!("{key} changed at {zxid:#x} and the watch never fired"))
    })
}
