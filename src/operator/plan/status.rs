//! The verdict on a running ensemble, from observations alone: one row a member, and for every
//! member that is not in sync the diagnosis.

use serde::Serialize;

use super::desired::Desired;
use super::diagnosis::{self, Diagnosis};
use super::ensemble;
use super::facts::{Canary, Facts, HostView, ServerView, UnitState};
use crate::wire::ids::ServerId;

#[derive(Clone, Debug, PartialEq)]
pub struct Health {
    pub cluster: String,
    pub verdict: Verdict,
    pub rows: Vec<Row>,
    pub reasons: Vec<Diagnosis>,
}

/// Healthy means: one leader and everybody else follows in sync (law 4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// `spare` more voters may fail.
    Healthy { followers: usize, observers: usize, spare: usize },
    /// Writes are committed, but not every member is in sync.
    Degraded { voters: usize, of: usize, spare: usize },
    /// Nothing is committed.
    NoQuorum { voters: usize, of: usize, needed: usize },
}

/// One member's line. What is unknown is `None`, never zero.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    pub id: i64,
    pub node: String,
    pub address: String,
    pub in_sync: bool,
    /// leader, follower, observer, standalone; else what keeps it from being one.
    pub mode: String,
    pub zxid: Option<String>,
    pub epoch: Option<i64>,
    /// Transactions behind the leader.
    pub lag: Option<i64>,
    pub commit_us: Option<u64>,
    pub connections: Option<u64>,
    pub version: Option<String>,
    pub uptime_ms: Option<u64>,
}

/// Judges what was seen. `facts` may know hosts only for the members that do not serve.
pub fn judge(desired: &Desired, facts: &Facts) -> Health {
    let in_sync = ensemble::in_sync(desired, facts);
    let rows = desired.members.keys().map(|id| row(desired, facts, *id, in_sync.contains(id))).collect();
    let reasons = desired
        .members
        .keys()
        .filter(|id| !in_sync.contains(id) || facts.host(**id).is_some())
        .flat_map(|id| diagnosis::diagnose(desired, facts, *id))
        .collect();
    Health { cluster: desired.cluster.clone(), verdict: verdict(desired, facts), rows, reasons }
}

impl Health {
    pub fn healthy(&self) -> bool {
        matches!(self.verdict, Verdict::Healthy { .. })
    }
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Verdict::Healthy { followers, observers, spare } => {
                write!(f, "healthy: 1 leader + {}", count(*followers, "follower"))?;
                if *observers > 0 {
                    write!(f, " + {}", count(*observers, "observer"))?;
                }
                write!(f, " in sync; {}", may_lose(*spare))
            }
            Verdict::Degraded { voters, of, spare } => {
                write!(f, "unhealthy: serving with {voters} of {of} voters in sync; {}", may_lose(*spare))
            }
            Verdict::NoQuorum { voters, of, needed } => {
                write!(
                    f,
                    "unhealthy: no quorum: {voters} of {of} voters in sync, {needed} are needed; nothing is served"
                )
            }
        }
    }
}

fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

fn may_lose(spare: usize) -> String {
    match spare {
        0 => "losing one more voter stops it".to_owned(),
        more => format!("may lose {}", count(more, "voter")),
    }
}

fn verdict(desired: &Desired, facts: &Facts) -> Verdict {
    let in_sync = ensemble::in_sync(desired, facts);
    let voters = ensemble::voters_in_sync(desired, facts).len();
    let of = desired.voters().count();
    let needed = desired.majority();
    if voters < needed {
        return Verdict::NoQuorum { voters, of, needed };
    }
    let spare = voters - needed;
    if in_sync.len() < desired.members.len() {
        return Verdict::Degraded { voters, of, spare };
    }
    Verdict::Healthy { followers: voters - 1, observers: in_sync.len() - voters, spare }
}

fn row(desired: &Desired, facts: &Facts, id: ServerId, in_sync: bool) -> Row {
    let member = &desired.members[&id];
    let mut row = Row {
        id: id.0,
        node: member.name.clone(),
        address: member.client_address(),
        in_sync,
        mode: absent_word(facts, id),
        zxid: None,
        epoch: None,
        lag: None,
        commit_us: None,
        connections: None,
        version: None,
        uptime_ms: None,
    };
    if let Some(server) = facts.server(id) {
        row.mode = server.mode.word().to_owned();
        row.zxid = Some(server.zxid.to_string());
        row.epoch = Some(server.zxid.epoch().0);
        row.lag = lag(desired, facts, id);
        row.connections = Some(server.connections);
        row.version = Some(server.version.clone());
        row.uptime_ms = server.uptime_ms;
        if let Some(Canary::Committed { latency_us, .. }) = &server.canary {
            row.commit_us = Some(*latency_us);
        }
    }
    row
}

/// Behind the leader, in transactions of its epoch. The words of two servers are never of the
/// same instant, so the canary that this server saw committed counts too; a leader has none.
fn lag(desired: &Desired, facts: &Facts, id: ServerId) -> Option<i64> {
    let leader = ensemble::leader(desired, facts)?;
    let (ours, theirs) = (facts.server(id)?, facts.server(leader)?);
    if leader == id || ours.zxid.epoch() != theirs.zxid.epoch() {
        return None;
    }
    let seen = match &ours.canary {
        Some(Canary::Committed { zxid, .. }) => ours.zxid.max(*zxid),
        _ => ours.zxid,
    };
    Some((theirs.zxid.0 - seen.0).max(0))
}

fn absent_word(facts: &Facts, id: ServerId) -> String {
    let seen = facts.member(id);
    let word = match (&seen.server, &seen.host) {
        (_, HostView::Unreachable(_)) => "unreachable",
        (_, HostView::Seen(host)) => match &host.unit.state {
            UnitState::Absent => "not installed",
            UnitState::Stopped => "stopped",
            UnitState::Failed { .. } => "dead",
            UnitState::Running(_) => match seen.server {
                ServerView::NotServing { .. } => "not serving",
                _ => "no answer",
            },
        },
        (ServerView::NotServing { .. }, HostView::Unasked) => "not serving",
        (_, HostView::Unasked) => "no answer",
    };
    word.to_owned()
}
