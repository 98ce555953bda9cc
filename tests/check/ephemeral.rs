//! Ephemeral znodes: there as long as their session lives, gone when it is over.

use super::Verdict;

/// The life of one ephemeral, as its owner knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Life {
    pub(crate) key: String,
    pub(crate) session: u64,
    /// When the create was answered.
    pub(crate) created: u64,
    /// When the owner called the last operation that a server still answered within the session: it lived then.
    pub(crate) alive_until: u64,
    /// When somebody called for its deletion, if anybody did.
    pub(crate) deleted: Option<u64>,
    /// From when on it must be gone: the close was answered, or the timeout and the server's rounding have passed.
    pub(crate) over: Option<u64>,
}

/// A read after `sync`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sighting {
    pub(crate) key: String,
    pub(crate) invoked: u64,
    pub(crate) completed: u64,
    /// The `ephemeralOwner`; `None`: no node.
    pub(crate) owner: Option<u64>,
}

pub(crate) fn ephemerals(lives: &[Life], sightings: &[Sighting]) -> Verdict {
    Verdict::of(lives.iter().find_map(|life| {
        let mut of_this = sightings.iter().filter(|sighting| sighting.key == life.key);
        of_this.find_map(|sighting| contradiction(life, sighting))
    }))
}

fn contradiction(life: &Life, sighting: &Sighting) -> Option<String> {
    let sure_until = life.deleted.map_or(life.alive_until, |deleted| deleted.min(life.alive_until));
    if sighting.owner != Some(life.session) {
        let early = life.created < sighting.invoked && sighting.completed < sure_until;
        return early.then(|| format!("gone before its session:\n  {life:?}\n  {sighting:?}"));
    }
    let late = life.over.is_some_and(|over| over < sighting.invoked);
    late.then(|| format!("outlives its session:\n  {life:?}\n  {sighting:?}"))
}
