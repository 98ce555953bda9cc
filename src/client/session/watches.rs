//! The client's half of watches (client-protocol §5, §12): what is watched, what an event consumes,
//! and what must be set again after a reconnect. Paths are the server's, chroot included.

use std::collections::BTreeSet;

use crate::wire::ids::Zxid;
use crate::wire::jute::Str;
use crate::wire::proto::{AddWatchMode, EventType, Request, SetWatches, WatcherType, path};

/// A watch that a request leaves behind when it succeeds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Watch {
    /// exists: a data watch when the node is there, an exist watch when it is not.
    Exists(String),
    Data(String),
    Child(String),
    Add(String, AddWatchMode),
}

#[derive(Debug, Default)]
pub(super) struct Watches {
    data: BTreeSet<String>,
    exist: BTreeSet<String>,
    child: BTreeSet<String>,
    persistent: BTreeSet<String>,
    recursive: BTreeSet<String>,
}

impl Watches {
    /// `node_exists` matters to [`Watch::Exists`] only.
    pub(super) fn register(&mut self, watch: Watch, node_exists: bool) {
        let (table, path) = match watch {
            Watch::Exists(path) if node_exists => (&mut self.data, path),
            Watch::Exists(path) => (&mut self.exist, path),
            Watch::Data(path) => (&mut self.data, path),
            Watch::Child(path) => (&mut self.child, path),
            Watch::Add(path, AddWatchMode::Persistent) => (&mut self.persistent, path),
            Watch::Add(path, AddWatchMode::PersistentRecursive) => (&mut self.recursive, path),
        };
        table.insert(path);
    }

    /// Takes an event in: one-shot watches it fires are gone. False when nobody watches for it, as
    /// after a local removal.
    pub(super) fn fire(&mut self, kind: EventType, path: &str) -> bool {
        let mut watched = self.persistent.contains(path);
        if matches!(kind, EventType::NodeCreated | EventType::NodeDataChanged | EventType::NodeDeleted) {
            watched |= self.data.remove(path) | self.exist.remove(path);
        }
        if matches!(kind, EventType::NodeChildrenChanged | EventType::NodeDeleted) {
            watched |= self.child.remove(path);
        }
        // A recursive watch never stands for NodeChildrenChanged, even if the server sent one to this
        // connection for another watch's sake (§5.2 TRAP).
        watched | (kind != EventType::NodeChildrenChanged && self.watched_recursively(path))
    }

    fn watched_recursively(&self, path: &str) -> bool {
        !self.recursive.is_empty()
            && std::iter::successors(Some(path), |path| path::parent(path))
                .any(|path| self.recursive.contains(path))
    }

    /// Forgets the watches of `kind` on exactly `path`; the event types that tell of it, empty when
    /// there were none.
    pub(super) fn remove(&mut self, path: &str, kind: WatcherType) -> Vec<EventType> {
        let any = kind == WatcherType::Any;
        let mut removed = Vec::new();
        if (any || kind == WatcherType::Children) && self.child.remove(path) {
            removed.push(EventType::ChildWatchRemoved);
        }
        if (any || kind == WatcherType::Data) && (self.data.remove(path) | self.exist.remove(path)) {
            removed.push(EventType::DataWatchRemoved);
        }
        let persistent = (any || kind == WatcherType::Persistent) && self.persistent.remove(path);
        let recursive = (any || kind == WatcherType::PersistentRecursive) && self.recursive.remove(path);
        if persistent | recursive {
            removed.push(EventType::PersistentWatchRemoved);
        }
        removed
    }

    /// The requests that set everything again on a new connection, in a fixed order. Op 101 unless a
    /// batch holds persistent paths, so that old servers understand it (§12).
    pub(super) fn requests(&self, relative_zxid: Zxid) -> Vec<Request> {
        let tables = [&self.data, &self.exist, &self.child, &self.persistent, &self.recursive];
        let mut requests = Vec::new();
        let mut batch = Batch::new(relative_zxid);
        for (table, paths) in tables.into_iter().enumerate() {
            for path in paths {
                if batch.bytes + path.len() > BATCH_BYTES_MAX {
                    requests.extend(std::mem::replace(&mut batch, Batch::new(relative_zxid)).close());
                }
                batch.push(table, path);
            }
        }
        requests.extend(batch.close());
        requests
    }
}

/// One setWatches request being filled.
struct Batch {
    watches: SetWatches,
    bytes: usize,
}

impl Batch {
    fn new(relative_zxid: Zxid) -> Batch {
        Batch { watches: SetWatches { relative_zxid, ..SetWatches::default() }, bytes: 0 }
    }

    fn push(&mut self, table: usize, path: &str) {
        self.bytes += path.len() + 4;
        let list = match table {
            0 => &mut self.watches.data,
            1 => &mut self.watches.exist,
            2 => &mut self.watches.child,
            3 => &mut self.watches.persistent,
            _ => &mut self.watches.persistent_recursive,
        };
        list.push(Str::from(path));
    }

    fn close(self) -> Option<Request> {
        let second = !self.watches.persistent.is_empty() || !self.watches.persistent_recursive.is_empty();
        match self.bytes {
            0 => None,
            _ if second => Some(Request::SetWatches2(self.watches)),
            _ => Some(Request::SetWatches(self.watches)),
        }
    }
}

/// Path bytes in one setWatches request: far below the smallest usual frame limit (§12).
const BATCH_BYTES_MAX: usize = 128 << 10;
