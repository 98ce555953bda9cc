//! The verdict on a running ensemble, from observations alone: one row a member, and for every
//! member that is not in sync the diagnosis. Healthy and unhealthy are proven, or it is unknown.

use std::collections::BTreeSet;

use serde::Serialize;

use super::Refused;
use super::cures::Cause;
use super::desired::Desired;
use super::diagnosis::{self, Diagnosis};
use super::disk;
use super::doubles::{self, Double};
use super::ensemble::{self, Service};
use super::facts::{Facts, HostView, UnitState};
use super::moves;
use super::outdated;
use super::ownership;
use super::remembered::Last;
use super::seen::Seen;
use super::server::{Blind, BlindCause, Canary, ServerView, Sight};
use crate::wire::ids::ServerId;

#[derive(Clone, Debug, PartialEq)]
pub struct Health {
    pub cluster: String,
    pub verdict: Verdict,
    pub rows: Vec<Row>,
    pub reasons: Vec<Diagnosis>,
    /// What does not touch the verdict, and should be known: who is seen one way only, and why.
    pub notes: Vec<String>,
}

/// Healthy means: one leader and everybody else follows in sync (law 4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// `spare` more voters may fail.
    Healthy { followers: usize, observers: usize, spare: usize },
    /// Writes are committed, but not every member is in sync.
    Degraded { voters: usize, of: usize, spare: usize },
    /// Proven: nothing is committed.
    NoQuorum { voters: usize, of: usize, needed: usize },
    /// Something is proven to be wrong; whether writes are committed is not seen.
    Unwell { wrong: Vec<String>, unseen: Vec<String> },
    /// Members contradict each other: this is not one ensemble.
    Split { contradictions: Vec<String> },
    /// Neither health nor its lack is proven; who could not be seen, and from where.
    Unknown { voters: usize, of: usize, unseen: Vec<String> },
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
    /// Free where its data is, on the fuller file system.
    pub disk_free_bytes: Option<u64>,
}

/// Judges what was seen. `facts` may know hosts only for the members that do not serve.
pub fn judge(desired: &Desired, facts: &Facts) -> Health {
    let in_sync = ensemble::in_sync(desired, facts);
    let rows: Vec<Row> =
        desired.members.keys().map(|id| row(desired, facts, *id, in_sync.contains(id))).collect();
    let another = ownership::of_another_cluster(desired, facts);
    if let Some((member, why)) = another.or_else(|| outdated::of_another_time(desired, facts)) {
        return of_another_time(desired, facts, rows, member, why);
    }
    let of_members = desired
        .members
        .keys()
        .filter(|id| !in_sync.contains(id) || facts.host(**id).is_some())
        .flat_map(|id| diagnosis::diagnose(desired, facts, *id));
    let reasons = of_doubles(desired, facts).into_iter().chain(of_members).collect();
    let mut notes = ensemble::seen_from_hosts_alone(desired, facts);
    notes.extend(moves::fences(desired, facts));
    notes.extend(fences_unseen(desired, facts));
    notes.extend(changed_configs(desired, facts));
    notes.extend(disk::warnings(desired, facts));
    Health { cluster: desired.cluster.clone(), verdict: verdict(desired, facts), rows, reasons, notes }
}

/// Judged by an inventory that is not that of the ensemble as it is, or of another one: whatever else is wrong by it is wrong with it.
fn of_another_time(
    desired: &Desired,
    facts: &Facts,
    rows: Vec<Row>,
    member: ServerId,
    why: Refused,
) -> Health {
    let voters = ensemble::voters_proven(desired, facts, &BTreeSet::new());
    let of = desired.voters().count();
    let Refused { what, evidence, next } = why;
    let unseen = vec![what.clone()];
    Health {
        cluster: desired.cluster.clone(),
        verdict: Verdict::Unknown { voters, of, unseen },
        rows,
        reasons: vec![Diagnosis { member, cause: Cause::Double, what, evidence, next }],
        notes: Vec::new(),
    }
}

fn of_doubles(desired: &Desired, facts: &Facts) -> Vec<Diagnosis> {
    let reason = |double: Double| {
        let Double { members, what, evidence, next, .. } = double;
        let member = members.first().copied()?;
        Some(Diagnosis { member, cause: Cause::Double, what, evidence, next: vec![next] })
    };
    doubles::found(desired, facts).into_iter().filter_map(reason).collect()
}

impl Health {
    pub fn healthy(&self) -> bool {
        matches!(self.verdict, Verdict::Healthy { .. })
    }

    /// Nothing proves health, and nothing the contrary.
    pub fn unknown(&self) -> bool {
        matches!(self.verdict, Verdict::Unknown { .. })
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
            Verdict::Unwell { wrong, unseen } => {
                write!(f, "unhealthy: {}; whether the others serve is not seen", wrong.join("; "))?;
                unseen.iter().try_for_each(|line| write!(f, "; {line}"))
            }
            Verdict::Split { contradictions } => {
                write!(f, "unhealthy: not one ensemble: {}", contradictions.join("; "))
            }
            Verdict::Unknown { voters, of, unseen } => {
                write!(f, "unknown: {voters} of {of} voters are seen in sync; {}", unseen.join("; "))
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
    let mut contradictions = ensemble::disagreements(desired, facts);
    if contradictions.is_empty() {
        contradictions = doubles::contradictions(desired, facts);
    }
    if !contradictions.is_empty() {
        return Verdict::Split { contradictions };
    }
    let in_sync = ensemble::in_sync(desired, facts);
    let voters = ensemble::voters_proven(desired, facts, &BTreeSet::new());
    let of = desired.voters().count();
    let needed = desired.majority();
    let wrong = proven_wrong(desired, facts, &in_sync);
    let healthy = in_sync.len() == desired.members.len() && wrong.is_empty() && voters >= needed;
    let spare = voters.saturating_sub(needed);
    match ensemble::service(desired, facts) {
        _ if healthy => Verdict::Healthy { followers: voters - 1, observers: in_sync.len() - voters, spare },
        Service::ProvenNot => Verdict::NoQuorum { voters, of, needed },
        Service::Proven if !wrong.is_empty() => Verdict::Degraded { voters, of, spare },
        Service::Unknown(unseen) if !wrong.is_empty() => Verdict::Unwell { wrong, unseen },
        Service::Proven | Service::Unknown(_) => {
            Verdict::Unknown { voters, of, unseen: not_proven(desired, facts, &in_sync) }
        }
    }
}

/// What proves that not everybody is in sync: a leader that misses somebody, a member that says so
/// itself, one whose host knows that it does not run or that nobody listens there.
fn proven_wrong(desired: &Desired, facts: &Facts, in_sync: &BTreeSet<ServerId>) -> Vec<String> {
    let led = ensemble::leader(desired, facts).is_some();
    let wrong = |id: &ServerId| {
        let name = desired.name(*id);
        if let Some(rule) = client_port_closed(desired, facts, *id) {
            return Some(format!("{name}: its own firewall closes its client port: {rule}"));
        }
        match facts.sight(*id) {
            Sight::NotServing(how) => Some(format!("{name}: {how}")),
            Sight::Serving(server) => match &server.canary {
                Some(Canary::Failed { why }) => {
                    Some(format!("{name}: no write is committed through it: {why}"))
                }
                _ if server.data_moved.is_and(|moved| *moved) => {
                    Some(format!("{name}: its data was moved away under its server"))
                }
                Some(Canary::Committed { .. }) if led && !in_sync.contains(id) => {
                    Some(format!("{name} is behind the leader"))
                }
                _ => None,
            },
            Sight::Unseen(_) => match &facts.member(*id).server.on_host {
                ServerView::Blind(Blind { cause: BlindCause::Refused, .. }) => {
                    Some(format!("{name}: nobody listens at its client port, asked on its own host"))
                }
                _ => None,
            },
        }
    };
    let members = desired.members.keys().filter_map(wrong);
    members.chain(ensemble::missed_by_leader(desired, facts)).collect()
}

/// Where this machine remembers no deployment, only the hosts know whether a place of before is blocked there.
fn fences_unseen(desired: &Desired, facts: &Facts) -> Option<String> {
    let unseen = |id: &&ServerId| facts.host(**id).is_none_or(|host| host.fences.is().is_none());
    let unseen: Vec<ServerId> = desired.members.keys().filter(unseen).copied().collect();
    (facts.elsewhere.remembered.last == Last::Nothing && !unseen.is_empty()).then(|| {
        format!(
            "whether {} still block{} an old address of a member is not seen: nothing of {} was deployed from this machine",
            desired.names(&unseen),
            if unseen.len() == 1 { "s" } else { "" },
            desired.cluster
        )
    })
}

/// Members whose next start would read another zoo.cfg than they run with; lists that differ are told as such.
fn changed_configs(desired: &Desired, facts: &Facts) -> Vec<String> {
    let changed =
        |id: &ServerId| facts.server(*id).is_some_and(|server| server.config_changed == Seen::Is(true));
    let ids: Vec<ServerId> = desired.members.keys().copied().filter(changed).collect();
    let told = |id: &ServerId| {
        let name = desired.name(*id);
        format!(
            "{name}: its zoo.cfg was changed since its server started, which reads it at its next start: zkops deploy {}",
            desired.inventory
        )
    };
    ids.iter().map(told).collect()
}

/// Every server that serves says that nothing was changed under it: a start of it would find what it runs with. Where
/// one says otherwise, or nothing (an older one, a word that is not in its whitelist), its host is asked.
pub fn stand_as_started(servers: &Facts) -> bool {
    let mut servers = servers.members.values().filter_map(|member| member.server.serving());
    servers.all(|server| server.config_changed == Seen::Is(false) && server.data_moved == Seen::Is(false))
}

/// The rule of a member's own host that keeps clients out, where it is not seen from here.
fn client_port_closed<'a>(desired: &Desired, facts: &'a Facts, id: ServerId) -> Option<&'a str> {
    let blind = matches!(facts.member(id).server.from_here, ServerView::Blind(_));
    let firewall = facts.host(id).filter(|_| blind)?.firewall.is()?;
    let rule = firewall.ports.get(&desired.members[&id].ports.client)?;
    (!rule.open).then_some(rule.rule.as_str())
}

/// Why health is not proven; never empty.
fn not_proven(desired: &Desired, facts: &Facts, in_sync: &BTreeSet<ServerId>) -> Vec<String> {
    let mut why = ensemble::unseen(desired, facts);
    if why.is_empty() {
        let rest: Vec<&ServerId> = desired.members.keys().filter(|id| !in_sync.contains(id)).collect();
        let what = "whether they follow the same leader is not seen";
        why.push(format!("{} serve, but {what}", desired.names(rest)));
    }
    why
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
        disk_free_bytes: disk::free_bytes(desired, facts, id),
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
    let not_serving = seen.server.not_serving().is_some();
    let word = match &seen.host {
        HostView::Unreachable(_) => "unreachable",
        HostView::Seen(host) => match &host.unit.state {
            Seen::Absent => "not installed",
            Seen::Is(UnitState::Stopped) => "stopped",
            Seen::Is(UnitState::Failed { .. }) => "dead",
            _ if not_serving => "not serving",
            Seen::Is(UnitState::Running(_)) | Seen::Unseen(_) => "no answer",
        },
        HostView::Unasked if not_serving => "not serving",
        HostView::Unasked => "no answer",
    };
    word.to_owned()
}
