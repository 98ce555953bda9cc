//! (cluster, facts, goal) → [`step::Plan`]: what to do, in which order, proven safe from the facts
//! alone. Pure and total: no planner asks a host, reads a clock or does anything.
//!
//! - [`desired`]: what the inventory asks of every member
//! - [`facts`]: what was seen of hosts and servers, in the three states of [`seen`]; [`server`]: a
//!   server asked two ways, [`ways`]: who reaches whom, [`fresh`]: facts younger than the last step; [`damage`]: what is wrong with a member's files
//! - [`layout`]: the two slots that a member runs from; [`account`]: whom its server runs as, from
//!   what [`owners`] holds
//! - [`step`]: the vocabulary of a plan: steps, waves, gates; [`gate`]: whether a gate is open
//! - [`ensemble`]: what the facts prove about the whole: leader, sync, who can be spared
//! - `identity`: the ensemble that is there is the one the inventory describes; [`changes`]: what people change in one;
//!   [`moves`]: a member at another address, [`former`]: where it was, `vacate`: what it leaves there;
//!   `outdated`: an inventory from before a move, [`remembered`]: what the operator's machine knows of it;
//!   [`lists`]: who takes part, by which file; [`doubles`]: two servers of one id, and the like; [`one_id`]: what
//!   every plan that starts a server is asked
//! - [`ports`]: who is let in where; [`network`]: what was seen of it
//! - [`preflight`]: everything that would make a deployment fail, found at once
//! - [`ownership`]: whether the hosts are this cluster's at all, asked before anything is done to them
//! - [`status`]: the health verdict; [`diagnosis`]: why one member is not well; `disk`: who runs out of room;
//!   [`cures`]: the table of causes and cures;
//!   [`fit`]: whether its server may be started; [`escalation`]: what allows more than a mild cure;
//!   [`wipe`]: data moved aside behind its proof
//! - one file per goal: [`deploy`], [`repair`], [`lifecycle`] (start, stop, restart), [`destroy`];
//!   [`without`]: the same while hosts are left out by request;
//!   [`install`] holds the steps that deploy and repair share

#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

pub mod account;
pub mod changes;
pub mod cures;
pub mod damage;
pub mod deploy;
pub mod desired;
pub mod destroy;
pub mod diagnosis;
mod disk;
pub mod doubles;
pub mod ensemble;
pub mod escalation;
pub mod facts;
pub mod fit;
pub mod former;
pub mod fresh;
pub mod gate;
mod identity;
pub mod install;
pub mod layout;
pub mod lifecycle;
pub mod lists;
pub mod moves;
mod names;
pub mod network;
pub mod one_id;
mod outdated;
pub mod owners;
pub mod ownership;
pub mod ports;
pub mod preflight;
pub mod remembered;
pub mod repair;
pub mod seen;
pub mod server;
pub mod status;
pub mod step;
mod vacate;
pub mod ways;
pub mod wipe;
pub mod without;

#[cfg(test)]
mod tests;

use crate::wire::ids::ServerId;
use desired::Desired;
use facts::Facts;
use preflight::Finding;

/// What the user wants to be true.
#[derive(Clone, Debug, PartialEq)]
pub enum Goal {
    /// Every member installed as the inventory says, and the ensemble ready.
    Deploy,
    /// One member back in sync; its data goes aside only as far as `wipe` allows.
    Repair { member: ServerId, wipe: repair::Wipe, purge_old: bool },
    /// Servers of these members run; empty: all.
    Start { members: Vec<ServerId> },
    /// Servers of these members do not run; empty: all.
    Stop { members: Vec<ServerId> },
    /// Servers of these members run in new processes; empty: all.
    Restart { members: Vec<ServerId> },
    /// What deploy put on the hosts is gone; the data too if asked.
    Destroy { data: bool },
}

/// Why there is no plan.
#[derive(Clone, Debug, PartialEq)]
pub enum Stop {
    /// Hosts that the goal needs cannot be used (exit 7).
    Unreachable(Vec<Refused>),
    /// The hosts are not fit for the goal (exit 3).
    Preflight(Vec<Finding>),
    /// It could lose data or service (exit 4).
    Refused(Refused),
}

/// One reason, with what was seen and what to do instead.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Refused {
    pub what: String,
    pub evidence: Vec<String>,
    pub next: Vec<String>,
}

/// The plan that turns `facts` into `goal`, or why there is none. Planned again on the facts
/// after it was applied, it is empty.
pub fn plan(desired: &Desired, facts: &Facts, goal: &Goal) -> Result<step::Plan, Stop> {
    match goal {
        // Deploy tells the findings of all hosts at once first.
        Goal::Deploy => ownership::same_ids(desired, facts)?,
        _ => ownership::check(desired, facts)?,
    }
    outdated::check(desired, facts)?;
    match goal {
        Goal::Deploy | Goal::Destroy { .. } => {}
        // Where it is listed, repair says itself.
        Goal::Repair { member, .. } => {
            outdated::as_listed(desired, facts, &[])?;
            with_its_data(desired, facts, &[*member])?;
        }
        Goal::Stop { members } => outdated::as_listed(desired, facts, &install::targets(desired, members))?,
        Goal::Start { members } | Goal::Restart { members } => {
            outdated::as_listed(desired, facts, &install::targets(desired, members))?;
            with_its_data(desired, facts, &install::targets(desired, members))?;
        }
    }
    let planned = match goal {
        Goal::Deploy => {
            deploy::plan(desired, facts).and_then(|plan| ownership::check(desired, facts).map(|()| plan))
        }
        Goal::Repair { member, wipe, purge_old } => repair::plan(desired, facts, *member, wipe, *purge_old),
        Goal::Start { members } => lifecycle::start(desired, facts, members),
        Goal::Stop { members } => lifecycle::stop(desired, facts, members),
        Goal::Restart { members } => lifecycle::restart(desired, facts, members),
        Goal::Destroy { data } => destroy::plan(desired, facts, *data),
    }?;
    one_id::check(desired, facts, &planned)?;
    Ok(planned)
}

/// Members that are started have their data where the inventory has it: one that was edited and not deployed is for deploy.
fn with_its_data(desired: &Desired, facts: &Facts, ids: &[ServerId]) -> Result<(), Stop> {
    for member in ids.iter().filter_map(|id| desired.members.get(id)) {
        let moved = facts.host(member.id).and_then(|host| changes::moved_data(desired, member, host));
        moved.map_or(Ok(()), |refused| Err(Stop::Refused(refused)))?;
    }
    Ok(())
}
