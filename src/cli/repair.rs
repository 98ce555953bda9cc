//! `zkops repair MEMBER`: the mildest cure first; if the member is still not in sync after it,
//! its data is moved aside, behind the proof that the others hold everything.

use super::env::Env;
use super::opts::Repair;
use super::prompt;
use super::session::{HOST_PATIENCE, Session};
use crate::operator::fleet::hosts::Fleet;
use crate::operator::fleet::visit::Push;
use crate::operator::observe::look::Depth;
use crate::operator::plan::facts::Facts;
use crate::operator::plan::repair::{self, Wipe};
use crate::operator::plan::step::Plan;
use crate::operator::plan::{Goal, ensemble};
use crate::report::{Event, Exit, Failure};
use crate::wire::ids::ServerId;

pub(super) async fn run(opts: &Repair, env: &Env) -> Result<Exit, Failure> {
    let session = Session::load(env, opts.inventory.as_deref())?;
    let member = session.members(std::slice::from_ref(&opts.member))?[0];
    let cured = session.with_fleet(env, &Push::Never, HOST_PATIENCE, async |fleet| {
        cure(&session, env, fleet, member, opts).await
    });
    cured.await
}

async fn cure(
    session: &Session,
    env: &Env,
    fleet: &mut Fleet,
    member: ServerId,
    opts: &Repair,
) -> Result<Exit, Failure> {
    let goal = |wipe| Goal::Repair { member, wipe, purge_old: opts.purge_old };
    let first = if opts.wipe { Wipe::Always } else { Wipe::IfNeeded };
    let mut facts = session.facts(env, fleet, Depth::Diagnosis).await;
    let plan = session.plan(&facts, &goal(first))?;
    if opts.dry_run {
        return Ok(session.show(env, &plan));
    }
    if plan.is_empty() {
        env.report.event(Event::Note { text: format!("{}: it is in sync, nothing to repair", opts.member) });
        old_data(session, env, &facts, member);
        return Ok(Exit::Done);
    }
    let plan = agreed(session, env, fleet, plan, &mut facts, &goal(first), opts).await?;
    match session.apply(env, fleet, &plan, &mut facts, again(opts)).await {
        Ok(_) => {}
        // The mild cure was carried out and did not help: what is left is the data.
        Err(failure) if failure.exit == Exit::Halfway && !repair::wipes(&plan) => {
            facts = session.facts(env, fleet, Depth::Diagnosis).await;
            let harder =
                session.plan(&facts, &goal(Wipe::Always)).map_err(|refused| after(refused, &failure))?;
            let text = format!("{} did not come back ({failure}); its data is moved aside now", opts.member);
            env.report.event(Event::Note { text });
            session.apply(env, fleet, &harder, &mut facts, again(opts)).await?;
        }
        Err(failure) => return Err(failure),
    }
    facts = session.facts(env, fleet, Depth::State).await;
    let mode = facts.server(member).map_or("in sync", |server| server.mode.word());
    let took = env.elapsed().as_secs_f32();
    env.report.text(&format!("{} is back: {mode} ({took:.1} s)\n", session.desired.name(member)));
    old_data(session, env, &facts, member);
    Ok(if ensemble::in_sync(&session.desired, &facts).contains(&member) { Exit::Done } else { Exit::Halfway })
}

/// Shows the plan and asks, unless told not to. While a person thinks the world goes on: the plan
/// that was agreed to is the plan that is carried out, or nothing is.
async fn agreed(
    session: &Session,
    env: &Env,
    fleet: &Fleet,
    plan: Plan,
    facts: &mut Facts,
    goal: &Goal,
    opts: &Repair,
) -> Result<Plan, Failure> {
    if opts.yes {
        return Ok(plan);
    }
    env.report.text(&plan.to_string());
    prompt::confirm(&env.report, "carry this out?", "--yes")?;
    let mut now = session.facts(env, fleet, Depth::Diagnosis).await;
    (now.wall_ms, now.fresh_uuid) = (facts.wall_ms, facts.fresh_uuid.clone());
    let again = session.plan(&now, goal)?;
    if again.fingerprint() != plan.fingerprint() {
        return Err(Failure::new(Exit::Halfway, "the ensemble changed while the plan was looked at")
            .state("nothing was changed")
            .next(self::again(opts)));
    }
    *facts = now;
    Ok(again)
}

/// What earlier repairs moved aside stays until somebody says otherwise.
fn old_data(session: &Session, env: &Env, facts: &Facts, member: ServerId) {
    let old = facts.host(member).map(|host| host.data.quarantined.clone()).unwrap_or_default();
    let name = session.desired.name(member);
    env.report.value(&serde_json::json!({ "event": "repaired", "member": name, "old_data": old }));
    if old.is_empty() {
        return;
    }
    let mut text = format!("old data on {name}, moved aside:\n");
    for path in &old {
        text += &format!("  {path}\n");
    }
    text += &format!("remove it with: zkops repair {name} --purge-old\n");
    env.report.text(&text);
}

fn after(mut refused: Failure, tried: &Failure) -> Failure {
    refused.state = vec![format!("a milder cure was tried first: {tried}")];
    refused.evidence.extend(tried.evidence.iter().cloned());
    refused
}

fn again(opts: &Repair) -> String {
    let inventory = opts.inventory.as_ref().map(|path| format!(" --inventory {}", path.display()));
    format!("zkops repair {}{}", opts.member, inventory.unwrap_or_default())
}
