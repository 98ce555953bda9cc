//! Tree → snapshot body (disk-format §3.1, items 2 to 5): sessions, lists, nodes, `/`. Magic, seals and
//! digest section belong to `store`.
//!
//! A body is written in bounded chunks while transactions go on being applied. What it then holds of
//! a node is some state between the start and the end; replaying the log from the zxid of the start
//! makes it right (disk-format §4). Nodes born after the start are left out: replay creates them.

use bytes::Bytes;

use super::END;
use crate::server::tree::acl_cache;
use crate::server::tree::node::NodeId;
use crate::server::tree::nodes::Nodes;
use crate::server::tree::stat::StoredStat;
use crate::server::tree::state::Tree;
use crate::wire::ids::Zxid;
use crate::wire::jute;
use crate::wire::proto::Acl;

/// The whole body at once, exactly as the tree is.
pub fn encode_body(tree: &Tree) -> Bytes {
    let node_bytes = tree.node_count() * NODE_LEN + tree.approximate_data_size() as usize;
    let mut w = jute::Writer::with_capacity(node_bytes + 1024);
    encode_head(tree, &mut w);
    let mut paths = Paths::default();
    for id in tree.nodes.subtree(NodeId::ROOT) {
        encode_node(tree, id, i64::MAX, &mut paths, &mut w);
    }
    w.string(END);
    w.finish()
}

/// A body being written.
#[derive(Debug)]
pub struct Writer {
    zxid: Zxid,
    cursor: usize,
    acl_id_max: i64,
    head: Option<Bytes>,
    is_complete: bool,
}

impl Writer {
    /// Starts a body; its sessions and lists are those of now. Call [`Writer::close`] in the end.
    pub fn open(tree: &mut Tree) -> Writer {
        let mut w = jute::Writer::new();
        encode_head(tree, &mut w);
        Writer {
            zxid: tree.last_zxid,
            cursor: tree.nodes.open_cursor(),
            acl_id_max: tree.acls.id_max(),
            head: Some(w.finish()),
            is_complete: false,
        }
    }

    /// The name that the snapshot must have: replay starts behind it.
    pub fn zxid(&self) -> Zxid {
        self.zxid
    }

    /// The next part, a little more than `len_wanted` bytes if there is so much; `None` after the last.
    pub fn chunk(&mut self, tree: &mut Tree, len_wanted: usize) -> Option<Bytes> {
        if self.is_complete {
            return None;
        }
        if let Some(head) = self.head.take() {
            return Some(head);
        }
        let mut w = jute::Writer::with_capacity(len_wanted + len_wanted / 4);
        let mut paths = Paths::default();
        while w.len() < len_wanted {
            let id = tree.nodes.cursor(self.cursor);
            if id == NodeId::NONE {
                w.string(END);
                self.is_complete = true;
                break;
            }
            let is_known = id == NodeId::ROOT || tree.nodes.get(id).stat().czxid <= self.zxid;
            if is_known {
                encode_node(tree, id, self.acl_id_max, &mut paths, &mut w);
            }
            tree.nodes.advance_cursor(self.cursor, is_known);
        }
        Some(w.finish())
    }

    /// Ends the walk, complete or not.
    pub fn close(self, tree: &mut Tree) {
        tree.nodes.close_cursor(self.cursor);
    }
}

fn encode_head(tree: &Tree, w: &mut jute::Writer) {
    w.count(tree.sessions.timeouts_ms.len());
    for (session, timeout_ms) in &tree.sessions.timeouts_ms {
        w.long(session.0);
        w.int(*timeout_ms);
    }
    w.count(tree.acls.lists().count());
    for (id, list) in tree.acls.lists() {
        w.long(id);
        Acl::encode_list(w, Some(list));
    }
}

/// A list younger than the body's list of lists is written as the open one: the setACL that gave it
/// is replayed, and readers of the reference choke on a number that they do not find (TRAP D11).
fn encode_node(tree: &Tree, id: NodeId, acl_id_max: i64, paths: &mut Paths, w: &mut jute::Writer) {
    let node = tree.nodes.get(id);
    let acl_id = tree.acls.id(node.acl);
    w.string(paths.of(&tree.nodes, id));
    w.buffer(tree.nodes.data(id));
    w.long(if acl_id > acl_id_max { acl_cache::OPEN_ID } else { acl_id });
    node.stat().encode(w);
}

/// Paths of nodes met in the order of the walk: siblings share the work.
#[derive(Debug, Default)]
struct Paths {
    parent: Option<NodeId>,
    path: String,
    parent_len: usize,
}

impl Paths {
    fn of(&mut self, nodes: &Nodes, id: NodeId) -> &str {
        if id == NodeId::ROOT {
            return "";
        }
        let parent = nodes.get(id).parent;
        if self.parent != Some(parent) {
            self.path = nodes.path(parent);
            self.parent_len = self.path.len();
            self.parent = Some(parent);
        }
        self.path.truncate(self.parent_len);
        self.path.push('/');
        self.path.push_str(nodes.name(id));
        &self.path
    }
}

/// What a node takes beside its path and data.
const NODE_LEN: usize = 4 + 4 + 8 + StoredStat::LEN;
