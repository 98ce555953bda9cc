//! `zkops deploy`, `zkops plan` and `zkops check`: the same look at the same hosts, carried out,
//! shown, or judged.

use std::path::Path;
use std::sync::Arc;

use super::env::Env;
use super::opts::{Deploy, Inventory};
use super::session::{HOST_PATIENCE, Session};
use super::view;
use crate::operator::fleet::hosts::Fleet;
use crate::operator::fleet::visit::Push;
use crate::operator::observe::look::Depth;
use crate::operator::observe::random_hex;
use crate::operator::observe::reach::{self, Probe};
use crate::operator::plan::facts::Facts;
use crate::operator::plan::preflight::{self, Level};
use crate::operator::plan::{Goal, Stop, ensemble};
use crate::operator::transport::LocalBinary;
use crate::report::{Event, Exit, Failure};

pub(super) async fn run(opts: &Deploy, env: &Env) -> Result<Exit, Failure> {
    let looked = look(Some(&opts.inventory), Push::BesideIfAll, env, async |session, fleet, mut facts| {
        let plan = session.plan(&facts, &Goal::Deploy)?;
        if opts.dry_run {
            return Ok((session.show(env, &plan), None));
        }
        carry_out(session, env, fleet, &plan, &mut facts, opts).await?;
        Ok((Exit::Done, Some(facts)))
    });
    let (session, (exit, applied)) = looked.await?;
    if let Some(facts) = applied {
        tell(&session, env, &facts);
    }
    Ok(exit)
}

pub(super) async fn plan(opts: &Inventory, env: &Env) -> Result<Exit, Failure> {
    let looked = look(opts.inventory.as_deref(), Push::BesideIfAll, env, async |_, _, facts| Ok(facts));
    let (session, facts) = looked.await?;
    let plan = session.plan(&facts, &Goal::Deploy)?;
    Ok(session.show(env, &plan))
}

pub(super) async fn check(opts: &Inventory, env: &Env) -> Result<Exit, Failure> {
    let looked = look(opts.inventory.as_deref(), Push::Beside, env, async |_, fleet, mut facts| {
        facts.reach = reach::matrix(fleet, &facts, Probe::Listeners, &random_hex(8), REACH_PATIENCE).await;
        Ok(facts)
    });
    let (session, facts) = looked.await?;
    let findings = preflight::check(&session.desired, &facts);
    env.report.value(&view::findings_json(&session.desired, &findings));
    if !findings.is_empty() {
        env.report.text(&env.report.table(&view::findings(&session.desired, &findings)));
    }
    // What fails says so itself, with what to do; a warning has no other place for it.
    for finding in findings.iter().filter(|finding| finding.level == Level::Warn) {
        env.report.event(Event::Note { text: preflight::warning(&session.desired, finding) });
    }
    if preflight::worst(&findings) == Level::Fail {
        return Err(view::stop(&session.desired, &Stop::Preflight(findings)));
    }
    // A host that cannot be reached is no finding: nothing is known about it.
    match session.plan(&facts, &Goal::Deploy) {
        Err(failure) if failure.exit == Exit::Unreachable => Err(failure),
        _ => Ok(Exit::Done),
    }
}

/// Everything there is to see, with our own binary on every host, for `work`.
async fn look<T>(
    inventory: Option<&Path>,
    push: fn(Arc<LocalBinary>) -> Push,
    env: &Env,
    work: impl AsyncFnOnce(&Session, &mut Fleet, Facts) -> Result<T, Failure>,
) -> Result<(Session, T), Failure> {
    let session = Session::load(env, inventory)?;
    let binary = env.binary().await?;
    let session = session.with_binary(&binary);
    env.report.event(Event::Phase { title: format!("look at {}", session.desired.cluster) });
    let push = push(binary);
    let looked = session.with_fleet(env, &push, HOST_PATIENCE, async |fleet| {
        let facts = session.facts(env, fleet, Depth::Preflight).await;
        work(&session, fleet, facts).await
    });
    let result = looked.await?;
    Ok((session, result))
}

async fn carry_out(
    session: &Session,
    env: &Env,
    fleet: &mut Fleet,
    plan: &crate::operator::plan::step::Plan,
    facts: &mut Facts,
    opts: &Deploy,
) -> Result<(), Failure> {
    // Before anything changes: also a deployment that stops half-way can be repaired or destroyed.
    session.remember()?;
    let again = format!("zkops deploy {}", opts.inventory.display());
    let applied = match session.apply(env, fleet, plan, facts, again.clone()).await {
        // Ports that were opened brought a quorum together: what is left is done one by one.
        Err(stopped) if plan.expects_idle() && ensemble::serves(&session.desired, facts) => {
            let text = format!("{}; planned again", stopped.what);
            env.report.event(Event::Note { text });
            *facts = session.facts(env, fleet, Depth::Preflight).await;
            let rest = session.plan(facts, &Goal::Deploy)?;
            session.apply(env, fleet, &rest, facts, again).await?
        }
        other => other?,
    };
    if plan.is_empty() {
        env.report
            .event(Event::Note { text: "nothing to do: every host is as the inventory says".to_owned() });
    } else {
        let text =
            format!("{} steps changed something, {} found nothing to do", applied.changed, applied.unchanged);
        env.report.event(Event::Note { text });
    }
    Ok(())
}

/// The good end: who leads, and what to type next.
fn tell(session: &Session, env: &Env, facts: &Facts) {
    let desired = &session.desired;
    let leader = ensemble::leader(desired, facts);
    env.report.value(&serde_json::json!({
        "event": "ready", "cluster": desired.cluster, "leader": leader.map(|id| desired.name(id)),
        "connect": session.connect_string(), "took_ms": u64::try_from(env.elapsed().as_millis()).unwrap_or(u64::MAX),
    }));
    let systemd = desired.members.keys().filter_map(|id| facts.host(*id)).all(|host| host.systemd);
    let mut text = format!(
        "{} is ready: {} leads, {} in sync ({:.1} s)\n",
        desired.cluster,
        leader.map_or_else(|| "nobody".to_owned(), |id| desired.name(id)),
        ensemble::in_sync(desired, facts).len(),
        env.elapsed().as_secs_f32()
    );
    text += "\n  zkops status\n";
    text += &format!("  zkops cli -server {}\n", session.connect_string());
    if !systemd {
        text += "\nwithout systemd nothing starts the servers after a restart of the host: zkops start\n";
    }
    env.report.text(&text);
}

/// For one connection of the matrix.
const REACH_PATIENCE: std::time::Duration = std::time::Duration::from_secs(3);
