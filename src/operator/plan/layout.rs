//! Where a member's program and zoo.cfg stand below its install directory: in two slots, with a link that says which
//! of them counts. What is new goes into the other one, and the link is switched just before the member's own
//! restart; until then whatever restarts by itself runs what it ran before. docs/layout.md tells of it.

use std::fmt;

use super::desired::DesiredMember;
use super::seen::Seen;
use crate::operator::inventory::INSTALLED;

/// One of the two places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    A,
    B,
}

/// Where the link points.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Current {
    Slot(Slot),
    /// Something is in its place that deploy never puts there; what, in words.
    Odd(String),
}

/// What a host shows of the layout.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LayoutFacts {
    /// Absent: nothing of ours is installed, or in the layout that had no slots.
    pub current: Seen<Current>,
    /// Files of the layout before the slots (`bin/zkops`, `conf/zoo.cfg`) that are still there.
    pub legacy: Seen<Vec<String>>,
}

/// All that zkops keeps below this install directory, in either layout: what is removed with it.
pub fn own_paths(install_dir: &str) -> impl Iterator<Item = String> {
    INSTALLED.iter().map(move |name| format!("{install_dir}/{name}"))
}

impl Slot {
    pub fn other(self) -> Slot {
        match self {
            Slot::A => Slot::B,
            Slot::B => Slot::A,
        }
    }

    /// What the link says, as it is written in it.
    pub fn target(self) -> &'static str {
        match self {
            Slot::A => "slots/a",
            Slot::B => "slots/b",
        }
    }

    /// The slot that a link's text names.
    pub fn of_target(text: &str) -> Option<Slot> {
        [Slot::A, Slot::B].into_iter().find(|slot| slot.target() == text)
    }
}

impl LayoutFacts {
    /// The slot that new files go into: never the one that counts. `None`: not to be told.
    pub fn free(&self) -> Option<Slot> {
        match &self.current {
            Seen::Absent => Some(Slot::A),
            Seen::Is(Current::Slot(slot)) => Some(slot.other()),
            Seen::Is(Current::Odd(_)) | Seen::Unseen(_) => None,
        }
    }

    /// Deployed by a zkops that knew no slots.
    pub(crate) fn is_older(&self) -> bool {
        self.current.is_absent() && self.legacy.is().is_some()
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.target())
    }
}

impl DesiredMember {
    pub fn link_path(&self) -> String {
        self.installed("current")
    }

    pub(crate) fn slot_binary(&self, slot: Slot) -> String {
        self.installed(&format!("{slot}/zkops"))
    }

    pub(crate) fn slot_config(&self, slot: Slot) -> String {
        self.installed(&format!("{slot}/zoo.cfg"))
    }

    /// Whether this is a zoo.cfg of the member, in either slot.
    pub fn is_config(&self, path: &str) -> bool {
        [Slot::A, Slot::B].into_iter().any(|slot| path == self.slot_config(slot))
    }

    /// What the server may write beside its data.
    pub fn dynamic_dir(&self) -> String {
        self.installed("dynamic")
    }

    /// What zkops itself keeps on the host: lock, journal, and the daemon's files.
    pub fn var_dir(&self) -> String {
        self.installed("var")
    }

    /// The zoo.cfg of the layout before the slots.
    pub fn legacy_config(&self) -> String {
        self.installed("conf/zoo.cfg")
    }

    /// Where an installed program may be: the one that counts, or that of the layout before the slots.
    pub fn binaries(&self) -> [String; 2] {
        [self.binary_path.clone(), self.installed("bin/zkops")]
    }

    /// All that the layout before the slots kept outside `var`.
    pub fn legacy_files(&self) -> [String; 4] {
        ["bin/zkops", "bin/zkops.next", "conf/zoo.cfg", "conf/daemon.json"].map(|name| self.installed(name))
    }

    fn installed(&self, name: &str) -> String {
        format!("{}/{name}", self.dirs.install)
    }
}
