//! Sessions and the nodes that end by themselves: ephemerals by session, containers, TTL nodes.
//! It keeps the books; when a session has expired is for the server to say.

use std::collections::{BTreeMap, BTreeSet};

use super::node::NodeId;
use crate::wire::ids::SessionId;
use crate::wire::proto::Owner;

#[derive(Debug, Default)]
pub(super) struct Sessions {
    /// Global sessions and their timeouts in milliseconds.
    pub(super) timeouts_ms: BTreeMap<SessionId, i32>,
    ephemerals: BTreeMap<SessionId, BTreeSet<NodeId>>,
    ephemeral_count: usize,
    pub(super) containers: BTreeSet<NodeId>,
    pub(super) ttls: BTreeSet<NodeId>,
}

impl Sessions {
    pub(super) fn node_added(&mut self, id: NodeId, owner: Owner) {
        match owner {
            Owner::None => {}
            Owner::Session(session) => {
                self.ephemerals.entry(session).or_default().insert(id);
                self.ephemeral_count += 1;
            }
            Owner::Container => {
                self.containers.insert(id);
            }
            Owner::Ttl { .. } => {
                self.ttls.insert(id);
            }
        }
    }

    pub(super) fn node_removed(&mut self, id: NodeId, owner: Owner) {
        match owner {
            Owner::None => {}
            Owner::Session(session) => {
                if let Some(nodes) = self.ephemerals.get_mut(&session) {
                    self.ephemeral_count -= usize::from(nodes.remove(&id));
                    if nodes.is_empty() {
                        self.ephemerals.remove(&session);
                    }
                }
            }
            Owner::Container => {
                self.containers.remove(&id);
            }
            Owner::Ttl { .. } => {
                self.ttls.remove(&id);
            }
        }
    }

    pub(super) fn count_of(&self, session: SessionId) -> usize {
        self.ephemerals.get(&session).map_or(0, BTreeSet::len)
    }

    pub(super) fn ephemerals(&self, session: SessionId) -> impl Iterator<Item = NodeId> + '_ {
        self.ephemerals.get(&session).into_iter().flatten().copied()
    }

    pub(super) fn ephemeral_count(&self) -> usize {
        self.ephemeral_count
    }

    pub(super) fn owners(&self) -> impl Iterator<Item = SessionId> + '_ {
        self.ephemerals.keys().copied()
    }
}
