//! Every distinct access control list once, with the number under which snapshots name it
//! (disk-format §3.1, §4, TRAP D11). Numbers are local to a server, start at 1 and are never used twice.

use std::collections::BTreeMap;
use std::sync::Arc;

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use super::acl::AclList;
use super::acl_index::Acls;
use super::blobs::index;
use crate::wire::proto::Acl;

/// The number that snapshots give the open list of built-in nodes.
pub(super) const OPEN_ID: i64 = -1;

/// A node's list: its place in the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct AclRef(u32);

impl AclRef {
    pub(super) const OPEN: AclRef = AclRef(u32::MAX);
}

#[derive(Debug)]
struct Entry {
    id: i64,
    /// `None`: a snapshot's node named a list that the snapshot does not have. The replay of the
    /// create or setACL that gave the node this list repairs it.
    list: Option<Arc<Acls>>,
    node_count: u32,
}

#[derive(Debug, Default)]
pub(super) struct AclCache {
    /// `None`: a free place.
    entries: Vec<Option<Entry>>,
    free: Vec<u32>,
    by_list: HashMap<Arc<Acls>, AclRef, FixedState>,
    by_id: BTreeMap<i64, AclRef>,
    id_max: i64,
}

impl AclCache {
    /// The place of a list, one use more. An absent list is open (client-protocol §4.2).
    pub(super) fn hold(&mut self, list: Option<&Arc<Acls>>) -> AclRef {
        let Some(list) = list else {
            return AclRef::OPEN;
        };
        let acl = match self.by_list.get(list) {
            Some(acl) => *acl,
            None => self.add(self.fresh_id(), Some(Arc::clone(list))),
        };
        self.hold_again(acl);
        acl
    }

    /// The place of a number read from a snapshot, one use more.
    pub(super) fn hold_id(&mut self, id: i64) -> AclRef {
        if id == OPEN_ID {
            return AclRef::OPEN;
        }
        let acl = match self.by_id.get(&id) {
            Some(acl) => *acl,
            None => self.add(id, None),
        };
        self.hold_again(acl);
        acl
    }

    /// Ends one use; the last one drops the list.
    pub(super) fn release(&mut self, acl: AclRef) {
        let Some(slot) = self.entries.get_mut(acl.0 as usize) else {
            return;
        };
        let Some(entry) = slot else {
            return;
        };
        entry.node_count -= 1;
        if entry.node_count == 0
            && let Some(entry) = slot.take()
        {
            self.forget(&entry, acl);
        }
    }

    /// Defines a number while a snapshot is read. The first definition of a number stands.
    pub(super) fn define(&mut self, id: i64, list: Arc<Acls>) {
        if id != OPEN_ID && !self.by_id.contains_key(&id) {
            self.add(id, Some(list));
        }
    }

    /// Drops what no node uses (after a snapshot was read).
    pub(super) fn drop_unused(&mut self) {
        for at in 0..self.entries.len() {
            if let Some(entry) = self.entries[at].take_if(|entry| entry.node_count == 0) {
                self.forget(&entry, AclRef(index(at)));
            }
        }
    }

    pub(super) fn list(&self, acl: AclRef) -> AclList {
        match self.entries.get(acl.0 as usize) {
            None => AclList::Open,
            Some(entry) => match entry.as_ref().and_then(|entry| entry.list.clone()) {
                Some(list) => AclList::Listed(list),
                None => AclList::Unknown,
            },
        }
    }

    pub(super) fn id(&self, acl: AclRef) -> i64 {
        match self.entries.get(acl.0 as usize) {
            None => OPEN_ID,
            Some(entry) => entry.as_ref().map_or(OPEN_ID, |entry| entry.id),
        }
    }

    /// The largest number ever given or seen.
    pub(super) fn id_max(&self) -> i64 {
        self.id_max
    }

    /// All known lists by number.
    pub(super) fn lists(&self) -> impl Iterator<Item = (i64, &[Acl])> {
        self.by_id.iter().filter_map(|(id, acl)| {
            let entry = self.entries[acl.0 as usize].as_ref()?;
            Some((*id, &***entry.list.as_ref()?))
        })
    }

    fn hold_again(&mut self, acl: AclRef) {
        if let Some(Some(entry)) = self.entries.get_mut(acl.0 as usize) {
            entry.node_count += 1;
        }
    }

    fn add(&mut self, id: i64, list: Option<Arc<Acls>>) -> AclRef {
        let entry = Some(Entry { id, list: list.clone(), node_count: 0 });
        let acl = match self.free.pop() {
            Some(at) => {
                self.entries[at as usize] = entry;
                AclRef(at)
            }
            None => {
                self.entries.push(entry);
                AclRef(index(self.entries.len() - 1))
            }
        };
        self.by_id.insert(id, acl);
        // Two numbers of one list happen in snapshots only; the first one is handed out again.
        if let Some(list) = list {
            self.by_list.entry(list).or_insert(acl);
        }
        self.id_max = self.id_max.max(id);
        acl
    }

    fn forget(&mut self, entry: &Entry, acl: AclRef) {
        self.by_id.remove(&entry.id);
        if let Some(list) = &entry.list
            && self.by_list.get(list) == Some(&acl)
        {
            self.by_list.remove(list);
        }
        self.free.push(acl.0);
    }

    fn fresh_id(&self) -> i64 {
        match self.id_max.checked_add(1) {
            Some(id) => id,
            // A snapshot used the last number there is: take the first one that is not in use.
            None => (1..i64::MAX).find(|id| !self.by_id.contains_key(id)).expect("fewer lists than numbers"),
        }
    }
}
