//! Checkers of histories: what clients were told, and when, against what ZooKeeper promises.
//!
//! Pure functions of a recorded history, without files, clocks or randomness, so that the simulator and the
//! tests with real processes judge by the same rules. Each gives a [`Verdict`].
//!
//! | file | promise |
//! |---|---|
//! | `linear` | any [`linear::Model`]: writes and reads after `sync` happened in one order that fits real time |
//! | `register` | model: one znode, created, set by version, deleted, read |
//! | `set`, `queue`, `lock` | models: unordered adds and reads; first in, first out; mutual exclusion |
//! | `order` | zxids against real time over all znodes, and what one session sees, plain reads included |
//! | `ids` | sequence numbers: never given twice, growing with real time |
//! | `watch` | fires exactly once, before its session sees the change, never missed |
//! | `ephemeral` | gone with its session, never before |
//!
//! Times are numbers of any one unit. Equal times count as concurrent: a coarse clock never accuses.

// Two test programs include this module, and neither uses all of it.
#![allow(dead_code)]

pub(crate) mod ephemeral;
pub(crate) mod history;
pub(crate) mod ids;
pub(crate) mod linear;
pub(crate) mod lock;
pub(crate) mod order;
pub(crate) mod queue;
pub(crate) mod register;
pub(crate) mod set;
pub(crate) mod watch;

/// What a checker found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The promise was kept, in all that the history shows.
    Holds,
    /// It was broken; how, with the operations that prove it.
    Broken(String),
    /// The search used up its steps: neither proven nor refuted. Never a pass.
    Undecided(String),
}

impl Verdict {
    pub(crate) fn holds(&self) -> bool {
        *self == Verdict::Holds
    }

    /// The first verdict that does not hold.
    pub(crate) fn and(self, next: impl FnOnce() -> Verdict) -> Verdict {
        match self {
            Verdict::Holds => next(),
            other => other,
        }
    }

    /// Broken if there is a reason.
    pub(crate) fn of(broken: Option<String>) -> Verdict {
        broken.map_or(Verdict::Holds, Verdict::Broken)
    }
}
