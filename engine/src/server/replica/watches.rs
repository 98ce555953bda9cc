//! Which connection watches which path, and who is told of a change (client-protocol §5).
//!
//! It knows connections by number only: whether an event may be delivered (the ACL filter) and how it is
//! written are the caller's.

use std::sync::Arc;

use foldhash::fast::FixedState;
use hashbrown::{HashMap, HashSet};
use smallvec::SmallVec;

use super::bent;
use super::event::ClientId;
use crate::wire::proto::{EventType, WatcherType, path};

/// How a watch was set (§5.1). A connection may hold several on one path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Modes(u8);

impl Modes {
    pub(super) const STANDARD: Modes = Modes(1);
    pub(super) const PERSISTENT: Modes = Modes(2);
    pub(super) const RECURSIVE: Modes = Modes(4);

    const fn has(self, other: Modes) -> bool {
        self.0 & other.0 != 0
    }
}

/// The two tables of §5.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Data,
    Child,
}

/// One firing: the event's type and the connections that get it, in a fixed order.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Firing {
    pub(super) event: EventType,
    pub(super) clients: SmallVec<[ClientId; 4]>,
}

/// All watches of one server.
#[derive(Debug, Default)]
pub(super) struct Watches {
    data: Table,
    child: Table,
}

/// The data table of watches as `wchs` counts it (operations §8.2 TRAP).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Watched {
    pub connections: usize,
    pub paths: usize,
    pub watches: usize,
}

impl Watches {
    pub(super) fn add(&mut self, kind: Kind, path: &str, client: ClientId, mode: Modes) {
        self.table(kind).add(path, client, mode);
    }

    /// A node came to be: its data watchers, then its parent's child watchers.
    pub(super) fn created(&mut self, path: &str, parent: &str) -> [Firing; 2] {
        [
            Firing { event: EventType::NodeCreated, clients: self.data.fire(path, &[]) },
            Firing { event: EventType::NodeChildrenChanged, clients: self.child.fire(parent, &[]) },
        ]
    }

    /// A node is gone: data watchers, child watchers that were not just told, the parent's child watchers.
    pub(super) fn deleted(&mut self, path: &str, parent: &str) -> [Firing; 3] {
        let data = self.data.fire(path, &[]);
        let child = self.child.fire(path, &data);
        [
            Firing { event: EventType::NodeDeleted, clients: data },
            Firing { event: EventType::NodeDeleted, clients: child },
            Firing { event: EventType::NodeChildrenChanged, clients: self.child.fire(parent, &[]) },
        ]
    }

    pub(super) fn data_changed(&mut self, path: &str) -> Firing {
        Firing { event: EventType::NodeDataChanged, clients: self.data.fire(path, &[]) }
    }

    /// Whether the connection holds such a watch on exactly this path (§5.4).
    pub(super) fn has(&self, path: &str, client: ClientId, kind: WatcherType) -> bool {
        let (data, child) = (self.data.modes(path, client), self.child.modes(path, client));
        match kind {
            WatcherType::Children => child.has(Modes::STANDARD),
            WatcherType::Data => data.has(Modes::STANDARD),
            WatcherType::Any => data.0 | child.0 != 0,
            WatcherType::Persistent => data.has(Modes::PERSISTENT),
            WatcherType::PersistentRecursive => data.has(Modes::RECURSIVE),
        }
    }

    /// Drops such watches; false when there was none.
    pub(super) fn remove(&mut self, path: &str, client: ClientId, kind: WatcherType) -> bool {
        let all = Modes(7);
        let (data, child) = match kind {
            WatcherType::Children => (None, Some(Modes::STANDARD)),
            WatcherType::Data => (Some(Modes::STANDARD), None),
            WatcherType::Any => (Some(all), Some(all)),
            WatcherType::Persistent => (Some(Modes::PERSISTENT), Some(Modes::PERSISTENT)),
            WatcherType::PersistentRecursive => (Some(Modes::RECURSIVE), None),
        };
        let data = data.is_some_and(|modes| self.data.remove(path, client, modes));
        let child = child.is_some_and(|modes| self.child.remove(path, client, modes));
        data || child
    }

    /// Whether a connection holds more than it may: its own share, or what is left of everybody's.
    pub(super) fn is_greedy(&self, client: ClientId) -> bool {
        let all = self.data.held + self.child.held;
        if all <= HELD_LEN_MAX {
            return false;
        }
        let held = self.data.held_by(client) + self.child.held_by(client);
        held > HELD_LEN_MAX || (all > HELD_BY_ALL_LEN_MAX && held > SHARE_LEN_MIN)
    }

    /// The connection is gone, and its watches with it.
    pub(super) fn drop_client(&mut self, client: ClientId) {
        self.data.drop_client(client);
        self.child.drop_client(client);
    }

    /// Watches in both tables, a path and a connection counted once each table.
    pub(super) fn count(&self) -> usize {
        self.data.count + self.child.count
    }

    pub(super) fn summary(&self) -> Watched {
        Watched {
            connections: self.data.by_client.len(),
            paths: self.data.by_path.len(),
            watches: self.data.count,
        }
    }

    fn table(&mut self, kind: Kind) -> &mut Table {
        match kind {
            Kind::Data => &mut self.data,
            Kind::Child => &mut self.child,
        }
    }
}

/// Watchers of one path, sorted by connection: a new connection has the highest number, so adding is
/// mostly an append.
type Watchers = SmallVec<[(ClientId, Modes); 2]>;

/// The paths that one connection watches, and the bytes that they come to.
#[derive(Debug, Default)]
struct Watching {
    paths: HashSet<Arc<str>, FixedState>,
    held: usize,
}

#[derive(Debug, Default)]
struct Table {
    by_path: HashMap<Arc<str>, Watchers, FixedState>,
    by_client: HashMap<ClientId, Watching, FixedState>,
    count: usize,
    /// Bytes that all of them come to.
    held: usize,
    /// Recursive watches held; none means that ancestors need no look.
    recursive: usize,
}

impl Table {
    fn add(&mut self, path: &str, client: ClientId, mode: Modes) {
        let path = match self.by_path.get_key_value(path) {
            Some((path, _)) => path.clone(),
            None => Arc::from(path),
        };
        let watchers = self.by_path.entry(path.clone()).or_default();
        let before = match watchers.binary_search_by_key(&client, |w| w.0) {
            Ok(at) => {
                let before = watchers[at].1;
                watchers[at].1 = Modes(before.0 | mode.0);
                before
            }
            Err(at) => {
                watchers.insert(at, (client, mode));
                self.count += 1;
                self.held += held_for(&path);
                let watching = self.by_client.entry(client).or_default();
                watching.held += held_for(&path);
                watching.paths.insert(path);
                Modes(0)
            }
        };
        if mode.has(Modes::RECURSIVE) && !before.has(Modes::RECURSIVE) {
            self.recursive += 1;
        }
    }

    /// Who is told of a change of `path`, `skip` (sorted) excepted. One-shot watches are used up.
    fn fire(&mut self, path: &str, skip: &[ClientId]) -> SmallVec<[ClientId; 4]> {
        let mut told: SmallVec<[ClientId; 4]> = SmallVec::new();
        if let Some(watchers) = self.by_path.get_mut(path) {
            told.extend(watchers.iter().map(|w| w.0));
            let spent = used_up();
            let used_up: SmallVec<[ClientId; 4]> =
                watchers.iter().filter(|w| w.1.0 & !spent.0 == 0).map(|w| w.0).collect();
            watchers.retain(|w| {
                w.1.0 &= !spent.0;
                w.1.0 != 0
            });
            if watchers.is_empty() {
                self.by_path.remove(path);
            }
            self.count -= used_up.len();
            used_up.into_iter().for_each(|client| self.unlink(client, path));
        }
        if self.recursive > 0 {
            self.add_recursive(path, &mut told);
        }
        if !skip.is_empty() {
            told.retain(|client| skip.binary_search(client).is_err());
        }
        told
    }

    /// Adds the recursive watchers of the path's ancestors, once each, keeping the order by connection.
    fn add_recursive(&self, path: &str, told: &mut SmallVec<[ClientId; 4]>) {
        let mut at = path;
        while let Some(parent) = path::parent(at) {
            at = parent;
            let Some(watchers) = self.by_path.get(at) else { continue };
            for (client, _) in watchers.iter().filter(|w| w.1.has(Modes::RECURSIVE)) {
                if let Err(slot) = told.binary_search(client) {
                    told.insert(slot, *client);
                }
            }
        }
    }

    fn modes(&self, path: &str, client: ClientId) -> Modes {
        let found = self.by_path.get(path).and_then(|watchers| {
            let at = watchers.binary_search_by_key(&client, |w| w.0).ok()?;
            Some(watchers[at].1)
        });
        found.unwrap_or(Modes(0))
    }

    fn remove(&mut self, path: &str, client: ClientId, modes: Modes) -> bool {
        let Some(watchers) = self.by_path.get_mut(path) else { return false };
        let Ok(at) = watchers.binary_search_by_key(&client, |w| w.0) else { return false };
        let before = watchers[at].1;
        if !before.has(modes) {
            return false;
        }
        if before.has(Modes::RECURSIVE) && modes.has(Modes::RECURSIVE) {
            self.recursive -= 1;
        }
        watchers[at].1 = Modes(before.0 & !modes.0);
        if watchers[at].1 == Modes(0) {
            watchers.remove(at);
            if watchers.is_empty() {
                self.by_path.remove(path);
            }
            self.count -= 1;
            self.unlink(client, path);
        }
        true
    }

    fn drop_client(&mut self, client: ClientId) {
        let Watching { paths, held } = self.by_client.remove(&client).unwrap_or_default();
        self.held -= held;
        for path in paths {
            let Some(watchers) = self.by_path.get_mut(&path) else { continue };
            if let Ok(at) = watchers.binary_search_by_key(&client, |w| w.0) {
                let (_, modes) = watchers.remove(at);
                self.count -= 1;
                self.recursive -= usize::from(modes.has(Modes::RECURSIVE));
            }
            if watchers.is_empty() {
                self.by_path.remove(&path);
            }
        }
    }

    fn unlink(&mut self, client: ClientId, path: &str) {
        if let Some(watching) = self.by_client.get_mut(&client)
            && watching.paths.remove(path)
        {
            self.held -= held_for(path);
            watching.held -= held_for(path);
            if watching.paths.is_empty() {
                self.by_client.remove(&client);
            }
        }
    }

    fn held_by(&self, client: ClientId) -> usize {
        self.by_client.get(&client).map_or(0, |watching| watching.held)
    }
}

/// What a watch costs: its path, once here and once with the connection at most, and its places in the tables.
fn held_for(path: &str) -> usize {
    path.len() + WATCH_LEN
}

/// The watches that end when they have fired once (§5.1).
fn used_up() -> Modes {
    if let Some(bent) = bent::used_up(Modes::STANDARD.0, Modes::PERSISTENT.0) {
        return Modes(bent);
    }
    Modes::STANDARD
}

/// Bytes of a watch beside its path.
const WATCH_LEN: usize = 128;
/// What one connection's watches may come to: half a million of them with short paths, more than any recipe sets.
const HELD_LEN_MAX: usize = 64 * 1024 * 1024;
/// What all of them may come to, so that many greedy connections do not cost more than a few; and what everybody may
/// have all the same.
const HELD_BY_ALL_LEN_MAX: usize = 192 * 1024 * 1024;
const SHARE_LEN_MIN: usize = 1024 * 1024;
