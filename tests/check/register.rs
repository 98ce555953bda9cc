//! Model: one znode, created, set (at a version or at any), deleted and read after `sync`.
//!
//! Versions and zxids of the answers are part of the model: nearly always just one operation fits next, and the
//! search is a walk. Every written value must be unique in the history, and none may be [`UNSEEN`].

use std::collections::BTreeMap;

use super::history::{Op, Outcome};
use super::linear::Model;

/// Stands for all values that nobody ever read.
pub(crate) const UNSEEN: u64 = u64::MAX;

pub(crate) struct Register;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Call {
    Create { value: u64 },
    Set { value: u64, version: Option<i32> },
    Delete { version: Option<i32> },
    Get,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reply {
    /// Of create and set. `zxid` 0: not told.
    Written {
        version: i32,
        zxid: u64,
    },
    Deleted,
    /// Of get; `zxid` is the node's `mzxid`, 0: not told.
    Node {
        value: u64,
        version: i32,
        zxid: u64,
    },
    NoNode,
    NodeExists,
    BadVersion,
}

/// What is known of the znode.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(crate) struct State {
    node: Option<Node>,
    /// The highest zxid known so far, of this node or of one before it.
    zxid: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Node {
    value: u64,
    version: i32,
    /// 0: written by a call whose answer nobody heard.
    zxid: u64,
}

pub(crate) type RegisterOp = Op<Call, Reply>;

impl Call {
    pub(crate) fn is_write(&self) -> bool {
        !matches!(self, Call::Get)
    }

    fn value(&self) -> Option<u64> {
        match self {
            Call::Create { value } | Call::Set { value, .. } => Some(*value),
            Call::Delete { .. } | Call::Get => None,
        }
    }
}

impl Reply {
    /// The znode's zxid as this answer shows it.
    pub(crate) fn zxid(&self) -> Option<u64> {
        match self {
            Reply::Written { zxid, .. } | Reply::Node { zxid, .. } if *zxid != 0 => Some(*zxid),
            _ => None,
        }
    }
}

impl Model for Register {
    type State = State;
    type Call = Call;
    type Reply = Reply;

    fn step(state: &State, call: &Call, reply: Option<&Reply>) -> Option<State> {
        match reply {
            None => Some(heard_by_nobody(state, call)),
            Some(Reply::Written { version, zxid }) => {
                let next = heard_by_nobody(state, call);
                let node = next.node.filter(|node| node.version == *version && next_version(state, call))?;
                written(state.zxid, node, *zxid)
            }
            Some(Reply::Deleted) => {
                let next = heard_by_nobody(state, call);
                (matches!(call, Call::Delete { .. }) && state.node.is_some() && next.node.is_none())
                    .then_some(next)
            }
            Some(Reply::Node { value, version, zxid }) => {
                let node = state.node.clone().filter(|_| *call == Call::Get)?;
                let fits = node.value == *value && node.version == *version;
                match (fits, node.zxid) {
                    (false, _) => None,
                    (true, 0) => written(state.zxid, node, *zxid),
                    (true, known) => (known == *zxid || *zxid == 0).then(|| state.clone()),
                }
            }
            Some(Reply::NoNode) => {
                (state.node.is_none() && !matches!(call, Call::Create { .. })).then(|| state.clone())
            }
            Some(Reply::NodeExists) => {
                (state.node.is_some() && matches!(call, Call::Create { .. })).then(|| state.clone())
            }
            Some(Reply::BadVersion) => {
                let node = state.node.as_ref()?;
                let expected = match call {
                    Call::Set { version, .. } | Call::Delete { version } => *version,
                    Call::Create { .. } | Call::Get => None,
                };
                expected.is_some_and(|version| version != node.version).then(|| state.clone())
            }
        }
    }

    /// A write whose value was read has happened, by the time of the first such answer, with the version and
    /// zxid that were read. Values that nobody read are all alike.
    fn settle(mut ops: Vec<RegisterOp>) -> Vec<RegisterOp> {
        let mut seen: BTreeMap<u64, (u64, Reply)> = BTreeMap::new();
        for op in &ops {
            if let Some(Reply::Node { value, version, zxid }) = op.reply() {
                let first = seen
                    .entry(*value)
                    .or_insert((u64::MAX, Reply::Written { version: *version, zxid: *zxid }));
                first.0 = first.0.min(op.completed);
            }
        }
        // A read's effect is nil.
        ops.retain(|op| op.call.is_write() || op.reply().is_some());
        for op in ops.iter_mut().filter(|op| op.outcome == Outcome::Unknown) {
            let Some(value) = op.call.value() else { continue };
            match seen.get(&value) {
                // An answer before the call proves something else: the read is left to fail.
                Some((completed, _)) if *completed < op.invoked => {}
                Some((completed, reply)) => {
                    op.completed = *completed;
                    op.outcome = Outcome::Ok(reply.clone());
                }
                None => op.call = unseen(&op.call),
            }
        }
        ops
    }
}

fn unseen(call: &Call) -> Call {
    match call {
        Call::Create { .. } => Call::Create { value: UNSEEN },
        Call::Set { version, .. } => Call::Set { value: UNSEEN, version: *version },
        Call::Delete { .. } | Call::Get => call.clone(),
    }
}

/// The state after a call of which only the effect counts.
fn heard_by_nobody(state: &State, call: &Call) -> State {
    let mut next = state.clone();
    match (call, &state.node) {
        (Call::Create { value }, None) => next.node = Some(Node { value: *value, version: 0, zxid: 0 }),
        (Call::Set { value, version }, Some(node))
            if version.is_none_or(|version| version == node.version) =>
        {
            next.node = Some(Node { value: *value, version: node.version.wrapping_add(1), zxid: 0 });
        }
        (Call::Delete { version }, Some(node)) if version.is_none_or(|version| version == node.version) => {
            next.node = None;
        }
        _ => {}
    }
    next
}

/// Whether a create or set takes effect here.
fn next_version(state: &State, call: &Call) -> bool {
    match (call, &state.node) {
        (Call::Create { .. }, node) => node.is_none(),
        (Call::Set { version, .. }, Some(node)) => version.is_none_or(|version| version == node.version),
        _ => false,
    }
}

/// The node gets its zxid, which must be above all before it.
fn written(highest: u64, node: Node, zxid: u64) -> Option<State> {
    match zxid {
        0 => Some(State { node: Some(node), zxid: highest }),
        zxid if zxid > highest => Some(State { node: Some(Node { zxid, ..node }), zxid }),
        _ => None,
    }
}
