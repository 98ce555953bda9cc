//! What the operator's own machine remembers of the last deployment of a cluster: where members may have been before, and
//! which inventory is the newer one. Other machines deploy, too: it proves nothing of the hosts.

use std::collections::BTreeMap;

use super::desired::{Desired, DesiredMember};
use crate::wire::ids::ServerId;

/// A machine's memory of one cluster.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Remembered {
    pub last: Last,
    /// The members as they were deployed before the inventory at hand, where that may still matter.
    pub members: BTreeMap<ServerId, DesiredMember>,
}

/// The inventory last deployed from a machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Last {
    /// None of this cluster.
    #[default]
    Nothing,
    /// The inventory at hand.
    This,
    /// Another one, or another state of it; its path as one would type it.
    Another { inventory: String },
}

impl Remembered {
    pub fn new(last: Last, before: Option<&Desired>) -> Remembered {
        Remembered { last, members: before.map(|desired| desired.members.clone()).unwrap_or_default() }
    }
}
