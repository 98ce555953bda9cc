//! What this server holds of the replicated state: the tree, and how often it was replaced by another.
//!
//! The node of the configuration is this server's own: whatever tree comes, it says what this server was told.

use super::event::Now;
use crate::server::tree::{Applied, Tree, Txn};
use crate::wire::ids::Zxid;

/// The tree in its place.
#[derive(Debug)]
pub(super) struct Held {
    tree: Tree,
    generation: u64,
    digest_mismatches: u64,
    /// What `/zookeeper/config` shows; `None` when standalone.
    config_text: Option<String>,
}

/// What a server holds at the time of one step: what answers and checks are made from.
#[derive(Debug, Clone, Copy)]
pub(super) struct View<'a> {
    pub(super) now: Now,
    pub(super) tree: &'a Tree,
}

impl Held {
    pub(super) fn new(tree: Tree, config_text: Option<String>, wall_ms: i64) -> Held {
        let mut held = Held { tree, generation: 0, digest_mismatches: 0, config_text };
        held.show_config(wall_ms);
        held
    }

    pub(super) fn tree(&self) -> &Tree {
        &self.tree
    }

    pub(super) fn view(&self, now: Now) -> View<'_> {
        View { now, tree: &self.tree }
    }

    pub(super) fn tree_mut(&mut self) -> &mut Tree {
        &mut self.tree
    }

    /// Changes whenever the whole tree is replaced.
    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    /// Transactions after which the tree was not what the leader's was.
    pub(super) fn digest_mismatches(&self) -> u64 {
        self.digest_mismatches
    }

    pub(super) fn apply(&mut self, txn: &Txn) -> Applied {
        let applied = self.tree.apply(txn);
        if applied.digest_ok == Some(false) {
            self.digest_mismatches += 1;
        }
        applied
    }

    /// A new epoch has begun.
    pub(super) fn start_epoch(&mut self, zxid: Zxid) {
        self.tree.set_last_zxid(zxid);
    }

    pub(super) fn replace(&mut self, tree: Tree, wall_ms: i64) {
        self.tree = tree;
        self.generation += 1;
        self.show_config(wall_ms);
    }

    fn show_config(&mut self, wall_ms: i64) {
        if let Some(text) = &self.config_text {
            self.tree.set_config(text, 0, wall_ms);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_tree_is_another_generation_and_shows_the_same_configuration() {
        let mut held = Held::new(Tree::new(), Some("version=0".into()), 5);
        let shown =
            |held: &Held| held.tree().get_data("/zookeeper/config", &[]).unwrap().0.map(<[u8]>::to_vec);
        assert_eq!((held.generation(), shown(&held).as_deref()), (0, Some(&b"version=0"[..])));
        held.start_epoch(Zxid(1 << 32));
        assert_eq!((held.generation(), held.tree().last_zxid()), (0, Zxid(1 << 32)));
        held.replace(Tree::new(), 6);
        assert_eq!((held.generation(), shown(&held).as_deref()), (1, Some(&b"version=0"[..])));
        assert_eq!(held.tree().last_zxid(), Zxid::ZERO);
    }
}
