//! Status: the servers are asked first, directly and all at once; hosts only when a server does not answer as it
//! should, to say why.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Serialize, Serializer};

use super::advice::Advice;
use super::former;
use super::session::Session;
use crate::operator::fleet::hosts::Fleet;
use crate::operator::fleet::visit::Push;
use crate::operator::fleet::ways::Ways;
use crate::operator::observe::look::Depth;
use crate::operator::observe::reach::{self, Probe, SERVERS_PATIENCE};
use crate::operator::observe::token::random_hex;
use crate::operator::observe::{facts, servers};
use crate::operator::plan::facts::{Facts, MemberFacts};
use crate::operator::plan::remembered::Last;
use crate::operator::plan::server::{Server, ServerView};
use crate::operator::plan::status::{self, Health, Row};
use crate::report::{Exit, Failure};
use crate::wire::ids::ServerId;

/// How the ensemble is.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    pub health: Health,
}

impl Outcome {
    pub fn exit(&self) -> Exit {
        match &self.health {
            health if health.healthy() => Exit::Done,
            // Hosts that could not be asked are what keeps it from being known.
            health if health.unknown() => Exit::Unreachable,
            _ => Exit::Unhealthy,
        }
    }
}

/// One look, with a transaction through every server that proves that it commits.
///
/// # Errors
/// What concerns no single host. A member that is not well is an outcome.
pub async fn run(session: &Session<'_>) -> Result<Outcome, Failure> {
    look(session, Proof::Canary).await
}

/// One look of many: it leaves nothing behind, not even a transaction.
///
/// # Errors
/// As [`run`].
pub async fn quietly(session: &Session<'_>) -> Result<Outcome, Failure> {
    look(session, Proof::Words).await
}

/// What shows that a quorum commits.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Proof {
    Canary,
    /// What the servers say: the leader's count of those who follow in sync.
    Words,
}

async fn look(session: &Session<'_>, proof: Proof) -> Result<Outcome, Failure> {
    session.caller.stop.begin_anew();
    // Behind a jump host the way to a server leads through its host.
    if session.is_behind_jump() {
        let looked = session.with_fleet(&Push::Never, HOST_PATIENCE, async |fleet| {
            let (seen, health, settled) = servers_alone(session, &fleet.ways(), proof).await;
            Ok(if health.healthy() && settled { health } else { explained(session, fleet, seen).await })
        });
        return Ok(outcome(session, looked.await?));
    }
    let (seen, health, settled) = servers_alone(session, &Ways::default(), proof).await;
    if health.healthy() && settled {
        return Ok(Outcome { health });
    }
    let looked = session
        .with_fleet(&Push::Never, HOST_PATIENCE, async |fleet| Ok(explained(session, fleet, seen).await));
    Ok(outcome(session, looked.await?))
}

fn outcome(session: &Session<'_>, mut health: Health) -> Outcome {
    let advice = Advice::about(session.caller, &session.source);
    for line in health.reasons.iter_mut().flat_map(|reason| &mut reason.next) {
        *line = advice.line(line);
    }
    Outcome { health }
}

/// What the servers say, and what that alone proves; true: no member is known, by a machine that would know, to have
/// been elsewhere, and nothing was changed under a server that runs.
async fn servers_alone(
    session: &Session<'_>,
    ways: &Ways,
    proof: Proof,
) -> (BTreeMap<ServerId, ServerView>, Health, bool) {
    let patience = session.caller.at_most(SERVER_PATIENCE);
    let mut facts = Facts::default();
    let servers = async {
        match proof {
            Proof::Canary => servers::servers(&session.desired, ways, &BTreeSet::new(), patience).await,
            Proof::Words => servers::quietly(&session.desired, ways, patience).await,
        }
    };
    let (seen, elsewhere) = tokio::join!(servers, former::glance(session, None, ways, &facts));
    facts.elsewhere = elsewhere;
    let alone = |server: &ServerView| MemberFacts {
        server: Server::from_here(server.clone()),
        ..MemberFacts::default()
    };
    facts.members = seen.iter().map(|(id, server)| (*id, alone(server))).collect();
    let settled = facts.elsewhere.former.is_empty()
        && facts.elsewhere.remembered.last != Last::Nothing
        && status::stand_as_started(&facts);
    (seen, status::judge(&session.desired, &facts), settled)
}

/// With what the hosts say, too.
async fn explained(session: &Session<'_>, fleet: &Fleet, seen: BTreeMap<ServerId, ServerView>) -> Health {
    let watcher = session.caller.watcher();
    let mut facts = facts::hosts(fleet, seen, Depth::Diagnosis, &watcher, LOOK_PATIENCE).await;
    let (ways, token) = (fleet.ways(), random_hex(8));
    // Neither needs what the other sees, and each may wait for somebody that says nothing.
    let (elsewhere, tried) = tokio::join!(
        former::glance(session, Some(fleet), &ways, &facts),
        reach::matrix(fleet, &facts, Probe::ServersOnly, &token, SERVERS_PATIENCE),
    );
    facts.elsewhere = elsewhere;
    tried.into_facts(&mut facts);
    status::judge(&session.desired, &facts)
}

impl Serialize for Outcome {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let health = &self.health;
        let reasons = health.reasons.iter().map(|reason| Reason {
            id: reason.member.0,
            cause: format!("{:?}", reason.cause),
            what: &reason.what,
            evidence: &reason.evidence,
            next: &reason.next,
        });
        let document = Document {
            cluster: &health.cluster,
            healthy: health.healthy(),
            verdict: health.verdict.to_string(),
            known: !health.unknown(),
            nodes: &health.rows,
            notes: &health.notes,
            reasons: reasons.collect(),
        };
        document.serialize(serializer)
    }
}

#[derive(Serialize)]
#[serde(tag = "event", rename = "status")]
struct Document<'a> {
    cluster: &'a str,
    healthy: bool,
    /// False: neither health nor its lack is proven.
    known: bool,
    verdict: String,
    nodes: &'a [Row],
    notes: &'a [String],
    reasons: Vec<Reason<'a>>,
}

#[derive(Serialize)]
struct Reason<'a> {
    id: i64,
    cause: String,
    what: &'a str,
    evidence: &'a [String],
    next: &'a [String],
}

/// A server that serves answers in milliseconds; this is for one that hangs.
const SERVER_PATIENCE: Duration = Duration::from_millis(1_500);
/// Whoever asks how things are does not want to wait for a host that is down.
const HOST_PATIENCE: Duration = Duration::from_secs(5);
const LOOK_PATIENCE: Duration = Duration::from_secs(10);
