//! Whose the directories of a server are, as seen on its host. What follows from it is decided in `account`.

use std::collections::BTreeMap;
use std::fmt;

/// A user and a group of a host, by name, or by number where there is no name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    pub user: String,
    pub group: String,
}

/// Whose directories are.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OwnersFacts {
    /// The user that the inventory asks for.
    pub account: Known,
    /// By path, those that exist.
    pub dirs: BTreeMap<String, OwnerFacts>,
    /// A directory that this user may not pass on the way to what it needs.
    pub barred: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub enum Known {
    /// No user is asked for there.
    #[default]
    NotAsked,
    /// The host has none of that name.
    Missing {
        /// It has a program that makes one.
        can_make: bool,
    },
    Is(Account),
}

#[derive(Clone, Debug, PartialEq)]
pub struct OwnerFacts {
    pub owner: Account,
    /// Permission bits.
    pub mode: u32,
    /// It is a link, and this is the directory.
    pub target: Option<String>,
    /// Something in it that is somebody else's.
    pub stranger: Option<String>,
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.user)
    }
}
