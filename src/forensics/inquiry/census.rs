//! Whether a snapshot holds together: every znode below one that is there, none twice, and what it says of itself.

use std::collections::BTreeSet;

use super::znode::{self, Lists};
use super::{fingerprint, text};
use crate::formats::snapshot::Trailer;
use crate::server::tree::snapshot::{Item, RawNode};
use crate::wire::ids::{SessionId, Zxid};
use crate::wire::proto::{Owner, path};

/// A count of everything, and what is odd.
#[derive(Debug, Default)]
pub struct Census {
    pub sessions: u64,
    pub lists: u64,
    pub znodes: u64,
    pub data_bytes: u64,
    pub ephemerals: u64,
    /// What a server would refuse.
    pub faults: Vec<String>,
    /// What it would take.
    pub notes: Vec<String>,
    known: Lists,
    alive: BTreeSet<SessionId>,
    paths: BTreeSet<[u8; 16]>,
    digest: u64,
    orphans: u64,
    unlisted: u64,
}

impl Census {
    pub fn hear(&mut self, item: Item) {
        match item {
            Item::Session { id, .. } => {
                self.sessions += 1;
                self.alive.insert(id);
            }
            Item::Acl { id, list } => {
                self.lists += 1;
                self.known.define(id, &list);
            }
            Item::Node(node) => self.node(&node),
        }
    }

    /// Nothing more comes. `named` is the zxid of the file's name.
    pub fn finish(&mut self, trailer: &Trailer, named: Option<Zxid>) {
        if self.znodes == 0 {
            self.fault("it holds no znode, not even the root".to_owned());
        }
        // Where the two differ, transactions went on while it was written, and replay makes it right.
        if let Some((zxid, digest)) = trailer.digest
            && Some(zxid) == named
            && digest != self.digest
        {
            let (said, is) = (format!("0x{digest:x}"), format!("0x{:x}", self.digest));
            self.fault(format!("its znodes have the digest {is}, and {said} was written beside them"));
        }
        if self.orphans > 0 {
            let count = text::counted(self.orphans, "ephemeral");
            self.notes
                .push(format!("{count} of sessions that the snapshot does not have: the log may end them"));
        }
        if self.unlisted > 0 {
            let count = text::counted(self.unlisted, "znode");
            self.notes.push(format!("{count} with a list that the snapshot does not have: the log has it"));
        }
    }

    fn node(&mut self, node: &RawNode) {
        let shown = || text::plain(znode::path(node));
        self.znodes += 1;
        self.data_bytes += node.data.map_or(0, |data| data.len() as u64);
        self.digest = self.digest.wrapping_add(node.digest());
        let is_root = node.path.is_empty();
        if is_root != (self.znodes == 1) {
            self.fault(format!("{} is not where the root is: it comes first, and once", shown()));
        }
        if !is_root {
            if let Err(why) = path::validate(node.path) {
                self.fault(format!("{}: {}", shown(), text::plain(&why.to_string())));
            }
            let parent = node.path.rsplit_once('/').map_or("", |(parent, _)| parent);
            if !self.paths.contains(&fingerprint::of(&[parent.as_bytes()])) {
                self.fault(format!("{} has no parent", shown()));
            }
        }
        if !self.paths.insert(fingerprint::of(&[node.path.as_bytes()])) {
            self.fault(format!("{} stands there twice", shown()));
        }
        if let Owner::Session(session) = znode::owner(node) {
            self.ephemerals += 1;
            self.orphans += u64::from(!self.alive.contains(&session));
        }
        self.unlisted += u64::from(self.known.get(node.acl_id).is_none());
    }

    fn fault(&mut self, what: String) {
        if self.faults.len() < FAULTS_MAX {
            self.faults.push(what);
        }
    }
}

/// As many as anybody reads.
const FAULTS_MAX: usize = 100;
