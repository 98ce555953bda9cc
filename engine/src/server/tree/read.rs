//! What is asked of the tree, each with its checks in the reference's order (client-protocol §2.9).
//! Data and names are borrowed: a read copies nothing but the list it must mask. Watches are the
//! caller's: it knows from the result whether to leave one.

use super::acl;
use super::node::NodeId;
use super::nodes::Nodes;
use super::state::Tree;
use crate::wire::ids::SessionId;
use crate::wire::proto::{Acl, ErrorCode, Id, Perms, Stat};

/// The names of a node's children, in the order of their creation as this server knows it.
#[derive(Debug, Clone, Copy)]
pub struct Children<'a> {
    nodes: &'a Nodes,
    parent: NodeId,
}

impl<'a> Children<'a> {
    pub fn count(&self) -> usize {
        self.nodes.get(self.parent).child_count as usize
    }

    pub fn names(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let nodes = self.nodes;
        nodes.children(self.parent).map(|id| nodes.name(id))
    }
}

impl Tree {
    /// The stat of a node without any check, for the catch-up of watches.
    pub fn stat(&self, path: &str) -> Option<Stat> {
        let id = self.find(path).ok()?;
        Some(self.nodes.get(id).visible_stat(self.settings.extended_types))
    }

    /// # Errors
    /// BadArguments for NUL in the path, NoNode (leave the watch all the same), NoAuth.
    pub fn exists(&self, path: &str, who: &[Id]) -> Result<Stat, ErrorCode> {
        if path.contains('\0') {
            return Err(ErrorCode::BadArguments);
        }
        self.readable(path, Perms::READ, who).map(|(_, stat)| stat)
    }

    /// # Errors
    /// NoNode, NoAuth.
    pub fn get_data(&self, path: &str, who: &[Id]) -> Result<(Option<&[u8]>, Stat), ErrorCode> {
        let (id, stat) = self.readable(path, Perms::READ, who)?;
        Ok((self.nodes.data(id), stat))
    }

    /// # Errors
    /// NoNode, NoAuth.
    pub fn get_children(&self, path: &str, who: &[Id]) -> Result<(Children<'_>, Stat), ErrorCode> {
        let (parent, stat) = self.readable(path, Perms::READ, who)?;
        Ok((Children { nodes: &self.nodes, parent }, stat))
    }

    /// The list, digest hashes hidden from who may not administer the node.
    ///
    /// # Errors
    /// NoNode, NoAuth.
    pub fn get_acl(&self, path: &str, who: &[Id]) -> Result<(Vec<Acl>, Stat), ErrorCode> {
        let (id, stat) = self.readable(path, acl::GET_ACL, who)?;
        let list = self.acl_of(id);
        let mut shown = list.to_vec();
        if acl::check(&list, Perms::ADMIN, who, &self.settings).is_err() {
            acl::masked(&mut shown);
        }
        Ok((shown, stat))
    }

    /// The number of all descendants. Walks them, except for the root.
    ///
    /// # Errors
    /// NoNode, NoAuth.
    pub fn count_children(&self, path: &str, who: &[Id]) -> Result<i32, ErrorCode> {
        let (id, _) = self.readable(path, Perms::READ, who)?;
        let count = if id == NodeId::ROOT { self.node_count() } else { self.nodes.subtree(id).count() };
        Ok(i32::try_from(count - 1).unwrap_or(i32::MAX))
    }

    /// Paths of the session's ephemerals that start with a plain string prefix, sorted. No, blank or
    /// root prefix: all.
    pub fn ephemerals_of(&self, session: SessionId, prefix: Option<&str>) -> Vec<String> {
        let prefix = prefix.filter(|prefix| !prefix.trim().is_empty() && *prefix != "/").unwrap_or("");
        let paths = self.sessions.ephemerals(session).map(|id| self.nodes.path(id));
        let mut paths: Vec<String> = paths.filter(|path| path.starts_with(prefix)).collect();
        paths.sort_unstable();
        paths
    }

    /// How many ephemerals a session has.
    pub fn ephemerals_len(&self, session: SessionId) -> usize {
        self.sessions.count_of(session)
    }

    fn readable(&self, path: &str, wanted: i32, who: &[Id]) -> Result<(NodeId, Stat), ErrorCode> {
        let id = self.find(path)?;
        let node = self.nodes.get(id);
        acl::check(&self.acl_of(id), wanted, who, &self.settings)?;
        Ok((id, node.visible_stat(self.settings.extended_types)))
    }
}
