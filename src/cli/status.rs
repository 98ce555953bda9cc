//! `zkops status`: the servers are asked first, directly and all at once; hosts only when a
//! server does not answer as it should, to say why.

use std::time::Duration;

use super::env::Env;
use super::opts::Status;
use super::session::Session;
use super::view;
use crate::operator::fleet::hosts::{Fleet, Push};
use crate::operator::observe::look::Depth;
use crate::operator::observe::reach::{self, Probe};
use crate::operator::observe::{self, random_hex, servers};
use crate::operator::plan::facts::{Facts, MemberFacts, ServerView};
use crate::operator::plan::status::{self, Health};
use crate::report::{Exit, Failure};

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
    let patience = SERVER_PATIENCE.min(env.global.timeout);
    let reach_hosts = || session.fleet(env, &Push::Never, HOST_PATIENCE);
    // Behind a jump host the way to a server leads through its host.
    let carried = if session.is_behind_jump(env) { Some(reach_hosts().await?) } else { None };
    let ways = carried.as_ref().map(Fleet::ways).unwrap_or_default();
    let seen = servers::servers(&session.desired, &ways, patience).await;
    let alone = |server: &ServerView| MemberFacts { server: server.clone(), ..MemberFacts::default() };
    let members = seen.iter().map(|(id, server)| (*id, alone(server))).collect();
    let health = status::judge(&session.desired, &Facts { members, ..Facts::default() });
    if health.healthy() {
        if let Some(fleet) = carried {
            fleet.close().await;
        }
        return Ok(health);
    }
    let fleet = match carried {
        Some(fleet) => fleet,
        None => reach_hosts().await?,
    };
    let mut facts = observe::hosts(&fleet, seen, Depth::Diagnosis, &env.watcher(), LOOK_PATIENCE).await;
    facts.reach = reach::matrix(&fleet, &facts, Probe::ServersOnly, &random_hex(8), REACH_PATIENCE).await;
    fleet.close().await;
    Ok(status::judge(&session.desired, &facts))
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
