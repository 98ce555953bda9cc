//! Whether a gate's condition holds, judged from facts: `apply` looks again and again and asks
//! here; it decides nothing itself.

use std::collections::BTreeSet;

use super::desired::Desired;
use super::ensemble::{self, Service};
use super::facts::{Facts, HostView, ReadBack, UnitState};
use super::fresh::Fresh;
use super::preflight::{self, Expect, Level};
use super::seen::Seen;
use super::step::Condition;
use super::{doubles, moves};
use crate::wire::ids::ServerId;

/// What an observer must look at so that a condition can be judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// The connection matrix, with real listeners.
    Reach,
    /// Servers by their client ports, with a canary through each.
    Servers,
    /// As Servers, and once all are in sync a canary written and read back everywhere.
    ReadBack,
    /// The state of the units.
    Units,
}

impl Condition {
    pub fn needs(&self) -> Needs {
        match self {
            Condition::Reachable { .. } => Needs::Reach,
            Condition::Alive { .. } | Condition::Down { .. } => Needs::Units,
            Condition::Quorum { .. } | Condition::Synced { .. } | Condition::Idle => Needs::Servers,
            Condition::Ready => Needs::ReadBack,
        }
    }
}

/// What a gate says of the facts.
#[derive(Clone, Debug, PartialEq)]
pub enum Gatekeeper {
    Open,
    /// Not yet: what is still missing, in words.
    Waiting(String),
    /// It will never open: looking again is pointless.
    Hopeless(String),
}

/// Judged by facts from behind the last step alone.
pub fn ask(desired: &Desired, fresh: Fresh<'_>, condition: &Condition) -> Gatekeeper {
    let facts = fresh.facts();
    if let (Needs::Servers | Needs::ReadBack, Some(double)) =
        (condition.needs(), doubles::fatal(desired, facts))
    {
        return Gatekeeper::Hopeless(format!("{}; {}", double.what, double.evidence.join("; ")));
    }
    match condition {
        Condition::Reachable { .. } => {
            let blocked: Vec<String> = preflight::check_reach(desired, facts, Expect::Open)
                .into_iter()
                .filter(|finding| finding.level == Level::Fail)
                .map(|finding| finding.evidence)
                .collect();
            open_if(blocked.is_empty(), || blocked.join("; "))
        }
        Condition::Quorum { min, without } => {
            quorum(desired, &moves::with_old_servers(facts), *min, *without)
        }
        Condition::Synced { member } => {
            let in_sync = ensemble::in_sync(desired, facts).contains(member);
            match died(facts, *member) {
                Some(how) if !in_sync => Gatekeeper::Hopeless(format!("{} {how}", desired.name(*member))),
                _ => open_if(in_sync, || {
                    format!("{} is not in sync{}", desired.name(*member), missing(desired, facts))
                }),
            }
        }
        Condition::Alive { member } => match facts.host(*member).map(|host| &host.unit.state) {
            Some(Seen::Is(UnitState::Running(_))) => Gatekeeper::Open,
            Some(Seen::Is(UnitState::Failed { how, again: false })) => {
                Gatekeeper::Hopeless(format!("the server of {} ended: {how}", desired.name(*member)))
            }
            _ => Gatekeeper::Waiting(format!("{} is not seen to run", desired.name(*member))),
        },
        Condition::Down { member } => down(desired, facts, *member),
        Condition::Idle => {
            let voters = ensemble::voters_in_sync(desired, facts);
            match ensemble::service(desired, facts) {
                Service::ProvenNot => Gatekeeper::Open,
                Service::Proven => Gatekeeper::Hopeless(format!(
                    "{} began to serve meanwhile and are not restarted all at once",
                    desired.names(&voters)
                )),
                Service::Unknown(why) => Gatekeeper::Waiting(format!(
                    "it is not proven that nothing is served: {}",
                    why.join("; ")
                )),
            }
        }
        Condition::Ready => match doubles::lists_apart(desired, facts) {
            Some(apart) => Gatekeeper::Hopeless(format!("{}: {}", apart.what, apart.evidence.join("; "))),
            None => ready(desired, facts),
        },
    }
}

fn quorum(desired: &Desired, facts: &Facts, min: usize, without: Option<ServerId>) -> Gatekeeper {
    let disagreements = ensemble::disagreements(desired, facts);
    if !disagreements.is_empty() {
        return Gatekeeper::Waiting(disagreements.join("; "));
    }
    let without: BTreeSet<ServerId> = without.into_iter().collect();
    let proven = ensemble::voters_proven(desired, facts, &without);
    open_if(proven >= min, || {
        let seen = ensemble::voters_in_sync(desired, facts);
        let rest: Vec<&ServerId> = seen.difference(&without).collect();
        let short =
            ensemble::missed_by_leader(desired, facts).map_or_else(String::new, |why| format!("; {why}"));
        format!(
            "{proven} of {min} voters in sync ({}){short}{}",
            desired.names(rest),
            missing(desired, facts)
        )
    })
}

/// Its manager keeps none and will start none, and no process is found on its data.
fn down(desired: &Desired, facts: &Facts, member: ServerId) -> Gatekeeper {
    let name = desired.name(member);
    let Some(host) = facts.host(member) else {
        return Gatekeeper::Waiting(format!("the host of {name} is not seen"));
    };
    let at_rest = match &host.unit.state {
        Seen::Absent => true,
        Seen::Is(UnitState::Stopped | UnitState::Failed { again: false, .. }) => true,
        Seen::Is(UnitState::Running(_) | UnitState::Failed { again: true, .. }) => false,
        Seen::Unseen(why) => return Gatekeeper::Waiting(format!("how {name} is, is not seen: {why}")),
    };
    match &host.processes {
        _ if !at_rest => Gatekeeper::Waiting(format!("{name} still runs")),
        Seen::Is(all) if all.is_empty() => Gatekeeper::Open,
        Seen::Is(all) => {
            let pids: Vec<String> = all.iter().map(|process| process.pid.to_string()).collect();
            Gatekeeper::Waiting(format!("{name} still runs, outside its service: pid {}", pids.join(", ")))
        }
        Seen::Absent => Gatekeeper::Open,
        Seen::Unseen(why) => Gatekeeper::Waiting(format!("whether {name} still runs is not seen: {why}")),
    }
}

fn ready(desired: &Desired, facts: &Facts) -> Gatekeeper {
    let disagreements = ensemble::disagreements(desired, facts);
    if !disagreements.is_empty() {
        return Gatekeeper::Waiting(disagreements.join("; "));
    }
    let in_sync = ensemble::in_sync(desired, facts);
    let dead: Vec<String> = desired
        .members
        .keys()
        .filter(|id| !in_sync.contains(id))
        .filter_map(|id| Some(format!("{} {}", desired.name(*id), died(facts, *id)?)))
        .collect();
    if !dead.is_empty() {
        return Gatekeeper::Hopeless(dead.join("; "));
    }
    if in_sync.len() < desired.members.len() {
        let (some, all) = (in_sync.len(), desired.members.len());
        return Gatekeeper::Waiting(format!("{some} of {all} in sync{}", missing(desired, facts)));
    }
    if let Some(short) = ensemble::missed_by_leader(desired, facts) {
        return Gatekeeper::Waiting(short);
    }
    match &facts.read_back {
        ReadBack::Everywhere => Gatekeeper::Open,
        // All of them were asked on their own hosts, and nothing of ours can travel there.
        ReadBack::NoWay(_) => Gatekeeper::Open,
        ReadBack::Untried => Gatekeeper::Waiting("the canary was not read back yet".to_owned()),
        ReadBack::Failed(why) => Gatekeeper::Waiting(why.clone()),
    }
}

fn open_if(open: bool, what: impl FnOnce() -> String) -> Gatekeeper {
    if open { Gatekeeper::Open } else { Gatekeeper::Waiting(what()) }
}

/// How a member's process ended, when its host says that it did.
fn died(facts: &Facts, id: ServerId) -> Option<String> {
    match &facts.host(id)?.unit.state {
        Seen::Is(UnitState::Failed { how, again: false }) => Some(format!("ended: {how}")),
        _ => None,
    }
}

/// The words of those who do not serve.
fn missing(desired: &Desired, facts: &Facts) -> String {
    let words: Vec<String> = desired
        .members
        .keys()
        .filter_map(|id| {
            let seen = facts.member(*id);
            let blind = seen.server.blindness().join("; ");
            match &seen.host {
                _ if seen.server.serving().is_some() => None,
                _ if seen.server.not_serving().is_some() => {
                    Some(format!("{}: no leader yet", desired.name(*id)))
                }
                _ if !blind.is_empty() => Some(format!("{}: {blind}", desired.name(*id))),
                HostView::Unreachable(why) => Some(format!("{}: {}", desired.name(*id), why.text)),
                HostView::Unasked | HostView::Seen(_) => None,
            }
        })
        .collect();
    if words.is_empty() { String::new() } else { format!("; {}", words.join("; ")) }
}
