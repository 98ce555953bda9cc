//! What happens next: events by time, and by the order in which they were planned when they fall together.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::net::LinkId;
use crate::scenario::Ambush;

/// Something that is going to happen. `life` is that of the process it is meant for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Event {
    /// A server's turn: a batch, or a deadline.
    Run {
        node: usize,
        life: u64,
    },
    /// A group commit is done.
    Disk {
        node: usize,
        life: u64,
    },
    SnapshotChunk {
        node: usize,
        life: u64,
    },
    /// The snapshot thread has the last chunk on disk.
    SnapshotFinish {
        node: usize,
        life: u64,
    },
    /// A server that has just become a candidate is hit.
    Ambushed {
        node: usize,
        how: Ambush,
    },
    /// What an ambush did to it ends.
    Relieved {
        node: usize,
    },
    /// A dial has reached its host, or would have.
    Dialled {
        link: LinkId,
    },
    /// A dial that met silence ends.
    DialFails {
        link: LinkId,
    },
    Arrive {
        link: LinkId,
        side: usize,
    },
    /// A client's session machine wants a tick.
    ClientTick {
        client: usize,
    },
    /// A client thinks of something to do.
    ClientActs {
        client: usize,
    },
    /// A stranger says something more, so many times, or should be gone.
    StrangerGoesOn {
        link: LinkId,
        left: u32,
    },
    /// A greedy client asks for something more, so many times.
    GreedyAsks {
        link: LinkId,
        left: i32,
    },
    /// A greedy client reads what waits for it.
    GreedyReads {
        link: LinkId,
    },
    Fault {
        index: usize,
    },
}

#[derive(Default)]
pub(crate) struct Queue {
    heap: BinaryHeap<Reverse<(u64, u64, Event)>>,
    sequence: u64,
}

impl Queue {
    pub(crate) fn push(&mut self, at: u64, event: Event) {
        self.sequence += 1;
        self.heap.push(Reverse((at, self.sequence, event)));
    }

    /// The next event, if it is due by `until`.
    pub(crate) fn pop(&mut self, until: u64) -> Option<(u64, Event)> {
        let Reverse((at, _, _)) = self.heap.peek()?;
        if *at > until {
            return None;
        }
        let Reverse((at, _, event)) = self.heap.pop()?;
        Some((at, event))
    }
}
