//! A server whose data is damaged, seen from the agreement: it has no vote and no history, and waits for a leader
//! that a quorum of the others has. When none is found in time, it stops (and may be started again).
//!
//! That it does not count is not decided here: `ledger` says so of every server that may lack what it
//! acknowledged, and `election`, `learner` and `discovery` ask it.

use super::election::Election;
use super::mesh::Mesh;
use super::terms::Terms;
use super::{Config, Core, Phase, Zab};

/// The wait of a wounded server.
pub(super) struct Healing {
    give_up_ms: u64,
    attempts: u32,
}

impl Healing {
    pub(super) fn new(config: &Terms, now_ms: u64) -> Healing {
        let others_suffice = config.is_quorum(|sid| sid != config.me);
        let wait_ms = if others_suffice { config.healing_wait_ms() } else { 0 };
        Healing { give_up_ms: now_ms + wait_ms, attempts: 0 }
    }

    /// A leader was found and lost again: the wait begins anew.
    pub(super) fn attempt_failed(&mut self, config: &Config, now_ms: u64) {
        self.attempts += 1;
        self.give_up_ms =
            if self.attempts < ATTEMPTS_MAX { now_ms + config.healing_wait_ms() } else { now_ms };
    }
}

impl Config {
    /// How long a server without its data looks for a leader that the others have without it.
    pub fn healing_wait_ms(&self) -> u64 {
        WAIT_INIT_LIMITS * self.init_ms()
    }
}

impl Zab {
    /// Whether this server's data is damaged and not made whole yet.
    pub fn is_wounded(&self) -> bool {
        self.core.healing.is_some() && self.core.ledger.is_unsynced()
    }

    /// When a server that cannot be healed stops; never while it has a leader.
    pub(super) fn healing_deadline_ms(&self) -> u64 {
        match &self.core.healing {
            Some(healing) if self.is_wounded() && !matches!(self.phase, Phase::Learning(_)) => {
                healing.give_up_ms
            }
            _ => u64::MAX,
        }
    }

    /// Why the wait was in vain.
    pub(super) fn healing_report(&self) -> String {
        let config = &self.core.config;
        if !config.is_quorum(|sid| sid != config.me) {
            return "peers without a quorum: the other voters are too few to be one, whatever they have"
                .to_owned();
        }
        let election = match &self.phase {
            Phase::Looking(election) => Some(election),
            _ => None,
        };
        let peers = describe_peers(&self.core, &self.mesh, election);
        match self.core.healing.as_ref().map_or(0, |healing| healing.attempts) {
            0 => format!(
                "peers without a quorum: {peers}; no leader was found in {} ms",
                config.healing_wait_ms()
            ),
            attempts => format!(
                "peers without a lasting quorum: {peers}; {attempts} times a leader was found and lost before this \
                 server had its data"
            ),
        }
    }
}

fn describe_peers(core: &Core, mesh: &Mesh, election: Option<&Election>) -> String {
    let others = core.config.membership.voters().filter(|sid| *sid != core.config.me);
    let each = others.map(|sid| match election.and_then(|election| election.leader_of(sid)) {
        _ if !mesh.is_connected(sid) => format!("server {sid} cannot be reached"),
        Some(leader) if leader == sid => format!("server {sid} leads"),
        Some(leader) => format!("server {sid} follows server {leader}"),
        None => format!("server {sid} has no leader"),
    });
    each.collect::<Vec<_>>().join(", ")
}

/// How long a leader is waited for, in `initLimit`s: one for an election that is under way when this server starts,
/// one for the new leader's own start.
const WAIT_INIT_LIMITS: u64 = 2;
/// Leaders found and lost before the data was whole, until it is given up. Each may take as long as a snapshot takes.
const ATTEMPTS_MAX: u32 = 10;
