//! Zxids as clients see them. [`real_time`]: the one order of all writes fits real time, over all znodes together,
//! which is more than linearizability of each. [`session_order`]: one session never sees the past again
//! (client-protocol §2.9: plain reads are sequentially consistent), in linear time.

use std::collections::{BTreeMap, BTreeSet};

use super::Verdict;
use super::history::{Mark, disorder};
use super::register::RegisterOp;

/// Writes and reads after `sync`: a write's zxid is above all that anybody had been told before it was called, a
/// read shows at least what anybody had been told of its znode before. No zxid belongs to two writes.
pub(crate) fn real_time(history: &[RegisterOp]) -> Verdict {
    let told: Vec<(&RegisterOp, Mark)> = history.iter().filter_map(|op| Some((op, mark(op)?))).collect();
    Verdict::of(shared_zxid(&told).or_else(|| late_write(&told)).or_else(|| stale_read(&told)))
}

fn mark(op: &RegisterOp) -> Option<Mark> {
    let number = op.reply()?.zxid()?;
    Some(Mark { invoked: op.invoked, completed: op.completed, number, new: op.call.is_write() })
}

fn shared_zxid(told: &[(&RegisterOp, Mark)]) -> Option<String> {
    let mut writers = BTreeMap::new();
    told.iter().filter(|(_, mark)| mark.new).find_map(|(op, mark)| {
        writers
            .insert(mark.number, op)
            .map(|before| format!("two writes have zxid {:#x}:\n  {before:?}\n  {op:?}", mark.number))
    })
}

fn late_write(told: &[(&RegisterOp, Mark)]) -> Option<String> {
    // Reads of other znodes may show any old zxid; they only bound the writes after them.
    let marks: Vec<Mark> =
        told.iter().map(|(_, mark)| if mark.new { *mark } else { Mark { invoked: 0, ..*mark } }).collect();
    disorder(&marks).map(|(earlier, later)| {
        format!("a later write has no higher zxid:\n  {:?}\n  {:?}", told[earlier].0, told[later].0)
    })
}

fn stale_read(told: &[(&RegisterOp, Mark)]) -> Option<String> {
    let mut keys: BTreeMap<&str, Vec<(&RegisterOp, Mark)>> = BTreeMap::new();
    for (op, mark) in told {
        keys.entry(&op.key).or_default().push((op, *mark));
    }
    keys.into_values().find_map(|told| {
        let marks: Vec<Mark> = told.iter().map(|(_, mark)| *mark).collect();
        disorder(&marks).map(|(earlier, later)| {
            format!(
                "a read after sync shows what was over before:\n  {:?}\n  {:?}",
                told[earlier].0, told[later].0
            )
        })
    })
}

/// All that sessions were told, plain reads included; `process` is the session, and each session's operations are
/// answered in the order in which they were called. Whoever has seen zxid z has seen everything up to z: a read must
/// not show a znode as it was before a change that is known to have come at or before z.
pub(crate) fn session_order(history: &[RegisterOp]) -> Verdict {
    let mut changes: BTreeMap<&str, BTreeSet<u64>> = BTreeMap::new();
    let mut sessions: BTreeMap<u64, Vec<&RegisterOp>> = BTreeMap::new();
    for op in history {
        if let Some(zxid) = op.reply().and_then(super::register::Reply::zxid) {
            changes.entry(&op.key).or_default().insert(zxid);
            sessions.entry(op.process).or_default().push(op);
        }
    }
    let broken = sessions.into_values().find_map(|mut ops| {
        ops.sort_by_key(|op| (op.invoked, op.completed));
        went_back(&ops, &changes)
    });
    Verdict::of(broken)
}

fn went_back(ops: &[&RegisterOp], changes: &BTreeMap<&str, BTreeSet<u64>>) -> Option<String> {
    let mut latest: Option<(u64, &RegisterOp)> = None;
    ops.iter().find_map(|op| {
        let zxid = op.reply()?.zxid()?;
        if let Some((seen, before)) = latest {
            let missed = match op.call.is_write() {
                true => (zxid <= seen).then_some(seen),
                false => {
                    changes.get(&*op.key)?.range(zxid + 1..).next().copied().filter(|next| *next <= seen)
                }
            };
            if let Some(missed) = missed {
                return Some(format!("a session went back behind {missed:#x}:\n  {before:?}\n  {op:?}"));
            }
        }
        if latest.is_none_or(|(seen, _)| zxid > seen) {
            latest = Some((zxid, op));
        }
        None
    })
}
