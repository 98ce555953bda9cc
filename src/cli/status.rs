//! `zkops status`: the servers are asked first, directly and all at once; hosts only when a
//! server does not answer as it should, to say why.

use std::collections::BTreeMap;
use std::time::Duration;

use super::env::Env;
use super::opts::Status;
use super::session::Session;
use super::view;
use crate::operator::fleet::hosts::Fleet;
use crate::operator::fleet::visit::Push;
use crate::operator::fleet::ways::Ways;
use crate::operator::observe::look::Depth;
use crate::operator::observe::reach::{self, Probe};
use crate::operator::observe::{self, random_hex, servers};
use crate::operator::plan::facts::{Facts, MemberFacts, ServerView};
use crate::operator::plan::status::{self, Health};
use crate::report::{Exit, Failure};
use crate::wire::ids::ServerId;

pub(super) async fn run(opts: &Status, env: &Env) -> Result<Exit, Failure> {
    let session = Session::load(env, opts.inventory.as_deref())?;
    loop {
        let health = look(&session, env).await?;
        if opts.watch && !env.report.style().json {
            env.report.text(CLEAR);
        }
        show(env, &health);
        if !opts.watch {
            return Ok(if health.healthy() { Exit::Done } else { Exit::Unhealthy });
        }
        tokio::time::sleep(opts.interval).await;
    }
}

async fn look(session: &Session, env: &Env) -> Result<Health, Failure> {
    // Behind a jump host the way to a server leads through its host.
    if session.is_behind_jump(env) {
        let looked = session.with_fleet(env, &Push::Never, HOST_PATIENCE, async |fleet| {
            let (seen, health) = servers(session, env, &fleet.ways()).await;
            Ok(if health.healthy() { health } else { explain(session, env, fleet, seen).await })
        });
        return looked.await;
    }
    let (seen, health) = servers(session, env, &Ways::default()).await;
    if health.healthy() {
        return Ok(health);
    }
    let explained = session.with_fleet(env, &Push::Never, HOST_PATIENCE, async |fleet| {
        Ok(explain(session, env, fleet, seen).await)
    });
    explained.await
}

/// The servers alone, and what they prove.
async fn servers(session: &Session, env: &Env, ways: &Ways) -> (BTreeMap<ServerId, ServerView>, Health) {
    let patience = SERVER_PATIENCE.min(env.global.timeout);
    let seen = servers::servers(&session.desired, ways, patience).await;
    let alone = |server: &ServerView| MemberFacts { server: server.clone(), ..MemberFacts::default() };
    let members = seen.iter().map(|(id, server)| (*id, alone(server))).collect();
    let health = status::judge(&session.desired, &Facts { members, ..Facts::default() });
    (seen, health)
}

/// With what the hosts say, too.
async fn explain(
    session: &Session,
    env: &Env,
    fleet: &Fleet,
    seen: BTreeMap<ServerId, ServerView>,
) -> Health {
    let mut facts = observe::hosts(fleet, seen, Depth::Diagnosis, &env.watcher(), LOOK_PATIENCE).await;
    facts.reach = reach::matrix(fleet, &facts, Probe::ServersOnly, &random_hex(8), REACH_PATIENCE).await;
    status::judge(&session.desired, &facts)
}

fn show(env: &Env, health: &Health) {
    env.report.value(&view::health_json(health));
    let mut text = env.report.table(&view::health(health));
    text += &format!("{}\n", health.verdict);
    text += &view::reasons(&health.reasons);
    env.report.text(&text);
}

/// A server that serves answers in milliseconds; this is for one that hangs.
const SERVER_PATIENCE: Duration = Duration::from_millis(1_500);
/// Whoever asks how things are does not want to wait for a host that is down.
const HOST_PATIENCE: Duration = Duration::from_secs(5);
const LOOK_PATIENCE: Duration = Duration::from_secs(10);
const REACH_PATIENCE: Duration = Duration::from_secs(2);
/// To the top left, and everything below is erased.
const CLEAR: &str = "\x1b[H\x1b[2J";
