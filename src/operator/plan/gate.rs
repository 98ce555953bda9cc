//! Whether a gate's condition holds, judged from facts: `apply` looks again and again and asks
//! here; it decides nothing itself.

use super::desired::Desired;
use super::ensemble;
use super::facts::{Facts, HostView, ReadBack, ServerView, UnitState};
use super::preflight::{self, Expect, Level};
use super::step::Condition;

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

pub fn ask(desired: &Desired, facts: &Facts, condition: &Condition) -> Gatekeeper {
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
            let mut voters = ensemble::voters_in_sync(desired, facts);
            if let Some(id) = without {
                voters.remove(id);
            }
            open_if(voters.len() >= *min, || {
                format!(
                    "{} of {min} voters in sync ({}){}",
                    voters.len(),
                    desired.names(&voters),
                    missing(desired, facts)
                )
            })
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
            Some(UnitState::Running(_)) => Gatekeeper::Open,
            Some(UnitState::Failed { how, again: false }) => {
                Gatekeeper::Hopeless(format!("the server of {} ended: {how}", desired.name(*member)))
            }
            _ => Gatekeeper::Waiting(format!("{} does not run", desired.name(*member))),
        },
        Condition::Down { member } => {
            let up = facts.host(*member).is_none_or(|host| host.unit.state.running());
            open_if(!up, || format!("{} still runs", desired.name(*member)))
        }
        Condition::Idle => {
            let voters = ensemble::voters_in_sync(desired, facts);
            match ensemble::serves(desired, facts) {
                false => Gatekeeper::Open,
                true => Gatekeeper::Hopeless(format!(
                    "{} began to serve meanwhile and are not restarted all at once",
                    desired.names(&voters)
                )),
            }
        }
        Condition::Ready => ready(desired, facts),
    }
}

fn ready(desired: &Desired, facts: &Facts) -> Gatekeeper {
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
    match &facts.read_back {
        ReadBack::Everywhere => Gatekeeper::Open,
        ReadBack::Untried => Gatekeeper::Waiting("the canary was not read back yet".to_owned()),
        ReadBack::Failed(why) => Gatekeeper::Waiting(why.clone()),
    }
}

fn open_if(open: bool, what: impl FnOnce() -> String) -> Gatekeeper {
    if open { Gatekeeper::Open } else { Gatekeeper::Waiting(what()) }
}

/// How a member's process ended, when its host says that it did.
fn died(facts: &Facts, id: crate::wire::ids::ServerId) -> Option<String> {
    match &facts.host(id)?.unit.state {
        UnitState::Failed { how, again: false } => Some(format!("ended: {how}")),
        _ => None,
    }
}

/// The words of those who do not serve.
fn missing(desired: &Desired, facts: &Facts) -> String {
    let words: Vec<String> = desired
        .members
        .keys()
        .filter_map(|id| match (&facts.member(*id).server, &facts.member(*id).host) {
            (ServerView::Silent { why }, _) => Some(format!("{}: {why}", desired.name(*id))),
            (ServerView::NotServing { .. }, _) => Some(format!("{}: no leader yet", desired.name(*id))),
            (ServerView::Unasked, HostView::Unreachable(why)) => {
                Some(format!("{}: {}", desired.name(*id), why.text))
            }
            (ServerView::Unasked | ServerView::Serving(_), _) => None,
        })
        .collect();
    if words.is_empty() { String::new() } else { format!("; {}", words.join("; ")) }
}
