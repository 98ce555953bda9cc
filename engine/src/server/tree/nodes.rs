//! The node store: every node in one table, found by path through a hash index, linked to its
//! parent and siblings by table place. It keeps the digest sum and the size sum right on every
//! change. It knows no rule of the protocol: who may do what is for `prepare` and `apply`.

use std::hash::BuildHasher;

use foldhash::fast::FixedState;
use hashbrown::HashTable;

use super::acl_cache::AclRef;
use super::blobs::{Blobs, index};
use super::digest;
use super::node::{Node, NodeId};
use super::stat::StoredStat;

/// All nodes of one tree. There is always a root.
#[derive(Debug)]
pub(super) struct Nodes {
    slots: Vec<Node>,
    free: NodeId,
    live: usize,
    index: Vec<HashTable<NodeId>>,
    hasher: FixedState,
    blobs: Blobs,
    digest: u64,
    /// Sum of path characters and data bytes, as the reference counts it.
    size: u64,
    /// Next node of each snapshot being written: see [`Nodes::open_cursor`].
    cursors: Vec<Option<NodeId>>,
}

/// The parent's path (empty for the root) and the name; `None` when the path names no child of anything.
pub(super) fn split(path: &str) -> Option<(&str, &str)> {
    match path.rsplit_once('/') {
        Some((parent, name)) if path.starts_with('/') && !parent.ends_with('/') && !name.is_empty() => {
            Some((parent, name))
        }
        _ => None,
    }
}

/// The root is stored under the empty path (disk-format §3.1).
pub(super) fn canonical(path: &str) -> &str {
    if path == "/" { "" } else { path }
}

impl Nodes {
    /// A store with a root of all-zero stat and empty data.
    pub(super) fn new() -> Nodes {
        let mut nodes = Nodes {
            slots: Vec::new(),
            free: NodeId::NONE,
            live: 0,
            index: (0..INDEX_PARTS).map(|_| HashTable::new()).collect(),
            hasher: FixedState::default(),
            blobs: Blobs::default(),
            digest: 0,
            // The reference keeps the root under two names and counts the longer one as well.
            size: 1,
            cursors: Vec::new(),
        };
        nodes.add(NodeId::NONE, "", "", Some(b""), StoredStat::default(), AclRef::OPEN);
        nodes
    }

    pub(super) fn len(&self) -> usize {
        self.live
    }

    pub(super) fn digest(&self) -> u64 {
        self.digest
    }

    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Finds a node; both `""` and `/` are the root.
    pub(super) fn find(&self, path: &str) -> Option<NodeId> {
        let path = canonical(path);
        if path.is_empty() {
            return Some(NodeId::ROOT);
        }
        let hash = self.hash(path);
        self.index[part(hash)].find(spread(hash), |id| self.is_at(*id, path.as_bytes())).copied()
    }

    pub(super) fn get(&self, id: NodeId) -> &Node {
        &self.slots[id.0 as usize]
    }

    pub(super) fn name(&self, id: NodeId) -> &str {
        std::str::from_utf8(self.name_bytes(id)).expect("a name is a part of a path, which is a string")
    }

    /// The data; `None` is null, which differs from empty.
    pub(super) fn data(&self, id: NodeId) -> Option<&[u8]> {
        let node = self.get(id);
        (!node.has_null_data()).then(|| &self.blobs.get(node.blob)[node.name_len()..])
    }

    /// The path; empty for the root.
    pub(super) fn path(&self, id: NodeId) -> String {
        let mut line = Vec::new();
        let mut at = id;
        while at != NodeId::ROOT {
            line.push(at);
            at = self.get(at).parent;
        }
        let mut path = String::new();
        for id in line.into_iter().rev() {
            path.push('/');
            path.push_str(self.name(id));
        }
        path
    }

    /// Children in the order in which they were added.
    pub(super) fn children(&self, id: NodeId) -> impl Iterator<Item = NodeId> + '_ {
        let some = |id: NodeId| (id != NodeId::NONE).then_some(id);
        std::iter::successors(some(self.get(id).first_child), move |id| some(self.get(*id).next))
    }

    /// A node and all below it, parents first.
    pub(super) fn subtree(&self, top: NodeId) -> impl Iterator<Item = NodeId> + '_ {
        std::iter::successors(Some(top), move |id| {
            let first_child = self.get(*id).first_child;
            if first_child != NodeId::NONE { Some(first_child) } else { self.after_within(*id, top) }
        })
    }

    /// Adds a child that is not there yet. `path` must be the parent's path, a slash, and `name`.
    pub(super) fn insert(
        &mut self,
        parent: NodeId,
        path: &str,
        data: Option<&[u8]>,
        stat: StoredStat,
        acl: AclRef,
    ) -> NodeId {
        let name = path.rsplit('/').next().unwrap_or(path);
        let id = self.add(parent, path, name, data, stat, acl);
        let Nodes { slots, index, .. } = self;
        let hash = slots[id.0 as usize].path_hash;
        index[part(hash)].insert_unique(spread(hash), id, |other| spread(slots[other.0 as usize].path_hash));
        self.link(id);
        id
    }

    /// Removes a node without children.
    pub(super) fn remove(&mut self, id: NodeId) -> Node {
        assert!(id != NodeId::ROOT && self.get(id).first_child == NodeId::NONE, "only leaves are removed");
        self.step_cursors_off(id);
        let ancestors = std::iter::successors(Some(id), |at| Some(self.get(*at).parent));
        let names = ancestors.take_while(|at| *at != NodeId::ROOT).map(|at| 1 + chars(self.name(at)));
        self.size -= names.sum::<u64>() + self.get(id).data_len() as u64;
        let hash = self.get(id).path_hash;
        if let Ok(entry) = self.index[part(hash)].find_entry(spread(hash), |other| *other == id) {
            entry.remove();
        }
        self.unlink(id);
        let node = std::mem::replace(&mut self.slots[id.0 as usize], Node::vacant(self.free));
        self.free = id;
        self.live -= 1;
        self.digest = self.digest.wrapping_sub(node.digest());
        self.blobs.free(node.blob);
        node
    }

    /// Changes a node's stat through `change`.
    pub(super) fn change_stat(&mut self, id: NodeId, change: impl FnOnce(&mut StoredStat)) {
        let node = &mut self.slots[id.0 as usize];
        let before = node.digest();
        let mut stat = node.stat();
        change(&mut stat);
        node.set_stat(&stat);
        self.digest = self.digest.wrapping_sub(before).wrapping_add(node.digest());
    }

    /// Replaces a node's data. `path` is the node's own.
    pub(super) fn set_data(&mut self, id: NodeId, path: &str, data: Option<&[u8]>) {
        let before = self.get(id).digest();
        let bytes = data.unwrap_or_default();
        self.size = self.size + bytes.len() as u64 - self.get(id).data_len() as u64;
        let old = self.get(id).blob;
        let name = self.name_bytes(id).to_vec();
        let blob = self.blobs.put(&name, bytes);
        self.blobs.free(old);
        let node = &mut self.slots[id.0 as usize];
        node.set_blob(blob, name.len(), data.is_none());
        node.prefix_crc = digest::prefix_crc(canonical(path), bytes);
        self.digest = self.digest.wrapping_sub(before).wrapping_add(node.digest());
    }

    /// Replaces a node's list and returns the old one.
    pub(super) fn set_acl(&mut self, id: NodeId, acl: AclRef) -> AclRef {
        std::mem::replace(&mut self.slots[id.0 as usize].acl, acl)
    }

    /// Starts a walk over all nodes, parents first, that survives changes between its steps: a
    /// removed node is stepped over, a node added behind the cursor is met.
    pub(super) fn open_cursor(&mut self) -> usize {
        match self.cursors.iter().position(|cursor| cursor.is_none()) {
            Some(at) => {
                self.cursors[at] = Some(NodeId::ROOT);
                at
            }
            None => {
                self.cursors.push(Some(NodeId::ROOT));
                self.cursors.len() - 1
            }
        }
    }

    /// The node where the cursor stands; `NONE` at the end.
    pub(super) fn cursor(&self, at: usize) -> NodeId {
        self.cursors.get(at).copied().flatten().unwrap_or(NodeId::NONE)
    }

    /// Moves the cursor to the next node: into the node where it stands, or past all below it.
    pub(super) fn advance_cursor(&mut self, at: usize, into: bool) {
        let id = self.cursor(at);
        if id == NodeId::NONE {
            return;
        }
        let first_child = self.get(id).first_child;
        let next = if into && first_child != NodeId::NONE { first_child } else { self.after(id) };
        self.cursors[at] = Some(next);
    }

    pub(super) fn close_cursor(&mut self, at: usize) {
        if let Some(cursor) = self.cursors.get_mut(at) {
            *cursor = None;
        }
    }

    fn step_cursors_off(&mut self, id: NodeId) {
        if self.cursors.contains(&Some(id)) {
            let next = self.after(id);
            self.cursors.iter_mut().filter(|cursor| **cursor == Some(id)).for_each(|c| *c = Some(next));
        }
    }

    /// The next node in the walk that is not below `id`; `NONE` at the end.
    fn after(&self, id: NodeId) -> NodeId {
        self.after_within(id, NodeId::ROOT).unwrap_or(NodeId::NONE)
    }

    fn after_within(&self, id: NodeId, top: NodeId) -> Option<NodeId> {
        let mut at = id;
        while at != top {
            let node = self.get(at);
            if node.next != NodeId::NONE {
                return Some(node.next);
            }
            at = node.parent;
        }
        None
    }

    fn add(
        &mut self,
        parent: NodeId,
        path: &str,
        name: &str,
        data: Option<&[u8]>,
        stat: StoredStat,
        acl: AclRef,
    ) -> NodeId {
        let bytes = data.unwrap_or_default();
        let mut node = Node::new(parent, stat, acl, self.hash(path));
        node.set_blob(self.blobs.put(name.as_bytes(), bytes), name.len(), data.is_none());
        node.prefix_crc = digest::prefix_crc(path, bytes);
        if path.starts_with(digest::OUTSIDE) {
            node.leave_digest();
        }
        self.digest = self.digest.wrapping_add(node.digest());
        self.size += chars(path) + bytes.len() as u64;
        self.live += 1;
        match self.free {
            NodeId::NONE => {
                self.slots.push(node);
                NodeId(index(self.slots.len() - 1))
            }
            id => {
                self.free = self.get(id).next;
                self.slots[id.0 as usize] = node;
                id
            }
        }
    }

    fn link(&mut self, id: NodeId) {
        let parent = self.get(id).parent;
        let first = self.get(parent).first_child;
        let last = if first == NodeId::NONE { id } else { self.get(first).prev };
        if first == NodeId::NONE {
            self.slots[parent.0 as usize].first_child = id;
        } else {
            self.slots[last.0 as usize].next = id;
            self.slots[first.0 as usize].prev = id;
        }
        self.slots[id.0 as usize].prev = last;
        self.slots[parent.0 as usize].child_count += 1;
    }

    fn unlink(&mut self, id: NodeId) {
        let Node { parent, next, prev, .. } = *self.get(id);
        let first = self.get(parent).first_child;
        if first == id {
            self.slots[parent.0 as usize].first_child = next;
        } else {
            self.slots[prev.0 as usize].next = next;
        }
        // The node that now stands behind, or the first one if there is none, keeps `prev`.
        let behind = if next != NodeId::NONE { next } else { first };
        self.slots[behind.0 as usize].prev = prev;
        self.slots[parent.0 as usize].child_count -= 1;
    }

    fn name_bytes(&self, id: NodeId) -> &[u8] {
        let node = self.get(id);
        &self.blobs.get(node.blob)[..node.name_len()]
    }

    /// Whether the node's path is `path`, compared from the last name up.
    fn is_at(&self, id: NodeId, path: &[u8]) -> bool {
        let (mut at, mut rest) = (id, path);
        while at != NodeId::ROOT {
            let Some(front) = rest.strip_suffix(self.name_bytes(at)) else {
                return false;
            };
            let Some(front) = front.strip_suffix(b"/") else {
                return false;
            };
            rest = front;
            at = self.get(at).parent;
        }
        rest.is_empty()
    }

    fn hash(&self, path: &str) -> u32 {
        (self.hasher.hash_one(path.as_bytes()) >> 32) as u32
    }
}

/// Stretches the stored hash over the bits that the index looks at.
fn spread(hash: u32) -> u64 {
    u64::from(hash).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

fn part(hash: u32) -> usize {
    (spread(hash) >> 32) as usize % INDEX_PARTS
}

/// The reference counts UTF-16 units; paths hold no character of two.
fn chars(text: &str) -> u64 {
    (if text.is_ascii() { text.len() } else { text.chars().count() }) as u64
}

/// The index is split, so that growing it never stops the server for longer than one part takes.
const INDEX_PARTS: usize = 64;
