//! Status: the servers are asked first, directly and all at once; hosts only when a server does not answer as it
//! should, to say why.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Serialize, Serializer};

use super::session::Session;
use crate::operator::fleet::hosts::Fleet;
use crate::operator::fleet::visit::Push;
use crate::operator::fleet::ways::Ways;
use crate::operator::observe::look::Depth;
use crate::operator::observe::reach::{self, Probe};
use crate::operator::observe::token::random_hex;
use crate::operator::observe::{facts, servers};
use crate::operator::plan::facts::{Facts, MemberFacts, ServerView};
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
        if self.health.healthy() { Exit::Done } else { Exit::Unhealthy }
    }
}

/// One look; a session may look again and again.
///
/// # Errors
/// What concerns no single host. A member that is not well is an outcome.
pub async fn run(session: &Session<'_>) -> Result<Outcome, Failure> {
    // Behind a jump host the way to a server leads through its host.
    if session.is_behind_jump() {
        let looked = session.with_fleet(&Push::Never, HOST_PATIENCE, async |fleet| {
            let (seen, health) = servers_alone(session, &fleet.ways()).await;
            Ok(if health.healthy() { health } else { explained(session, fleet, seen).await })
        });
        return Ok(Outcome { health: looked.await? });
    }
    let (seen, health) = servers_alone(session, &Ways::default()).await;
    if health.healthy() {
        return Ok(Outcome { health });
    }
    let looked = session
        .with_fleet(&Push::Never, HOST_PATIENCE, async |fleet| Ok(explained(session, fleet, seen).await));
    Ok(Outcome { health: looked.await? })
}

/// What the servers say, and what that alone proves.
async fn servers_alone(session: &Session<'_>, ways: &Ways) -> (BTreeMap<ServerId, ServerView>, Health) {
    let patience = session.caller.at_most(SERVER_PATIENCE);
    let seen = servers::servers(&session.desired, ways, patience).await;
    let alone = |server: &ServerView| MemberFacts { server: server.clone(), ..MemberFacts::default() };
    let members = seen.iter().map(|(id, server)| (*id, alone(server))).collect();
    let health = status::judge(&session.desired, &Facts { members, ..Facts::default() });
    (seen, health)
}

/// With what the hosts say, too.
async fn explained(session: &Session<'_>, fleet: &Fleet, seen: BTreeMap<ServerId, ServerView>) -> Health {
    let watcher = session.caller.watcher();
    let mut facts = facts::hosts(fleet, seen, Depth::Diagnosis, &watcher, LOOK_PATIENCE).await;
    facts.reach = reach::matrix(fleet, &facts, Probe::ServersOnly, &random_hex(8), REACH_PATIENCE).await;
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
            nodes: &health.rows,
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
    verdict: String,
    nodes: &'a [Row],
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
const REACH_PATIENCE: Duration = Duration::from_secs(2);
